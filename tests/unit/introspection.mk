UNIT_TESTS += test_pagetable test_kallsyms test_btf test_kernel test_checks test_checks_walk test_checks_leaving test_checks_programs
KALLSYMS_SRCS = introspection/kallsyms.c introspection/kallsyms_tables.c introspection/symbols.c
KERNEL_SRCS = introspection/discover.c introspection/kernel.c introspection/kimage.c introspection/x86/pagetable.c \
	introspection/btf.c introspection/btf_fields.c introspection/task.c introspection/module.c $(KALLSYMS_SRCS)
test_pagetable_SRCS = tests/unit/test_pagetable.c tests/unit/synth.c introspection/x86/pagetable.c
test_kallsyms_SRCS = tests/unit/test_kallsyms.c tests/unit/synth.c $(KALLSYMS_SRCS)
test_btf_SRCS = tests/unit/test_btf.c tests/unit/synth.c introspection/btf.c
UNIT_TESTS += test_btf_fields
test_btf_fields_SRCS = tests/unit/test_btf_fields.c tests/unit/synth.c introspection/btf.c introspection/btf_fields.c
test_kernel_SRCS = tests/unit/test_kernel.c tests/unit/synth.c $(KERNEL_SRCS)
UNIT_TESTS += test_locate
test_locate_SRCS = tests/unit/test_locate.c tests/unit/synth.c introspection/locate.c introspection/x86/gate.c \
	introspection/budget.c $(KERNEL_SRCS)
CHECKED_SRCS = tests/unit/fake_types.c tests/unit/fake_hooks.c $(CHECKS_SRCS) introspection/budget.c \
	introspection/patches/hooks_kinds.c introspection/x86/descriptor.c introspection/x86/descriptor_expect.c
test_checks_SRCS = tests/unit/test_checks.c $(CHECKED_SRCS)
test_checks_walk_SRCS = tests/unit/test_checks_walk.c $(CHECKED_SRCS)
test_checks_leaving_SRCS = tests/unit/test_checks_leaving.c $(CHECKED_SRCS)
test_checks_programs_SRCS = tests/unit/test_checks_programs.c $(CHECKED_SRCS)
# Tasks and modules as the guest's lists have them.
UNIT_TESTS += test_listing
test_listing_SRCS = tests/unit/test_listing.c $(CHECKED_SRCS)
# What a kernel protects itself with; zlib is for the configuration that it may carry.
UNIT_TESTS += test_posture test_posture_config test_posture_cpu test_posture_rows test_posture_show
POSTURED_SRCS = $(CHECKED_SRCS) $(POSTURE_SRCS)
test_posture_SRCS = tests/unit/test_posture.c $(POSTURED_SRCS)
test_posture_config_SRCS = tests/unit/test_posture_config.c $(POSTURED_SRCS)
test_posture_cpu_SRCS = tests/unit/test_posture_cpu.c $(POSTURED_SRCS)
test_posture_rows_SRCS = tests/unit/test_posture_rows.c $(POSTURED_SRCS)
test_posture_show_SRCS = tests/unit/test_posture_show.c cli/posture_show.c cli/output.c hv/outlet.c cli/options.c $(POSTURED_SRCS)
$(foreach test,$(filter test_posture%,$(UNIT_TESTS)),$(O)/tests/$(test) $(O)/valgrind/$(test)): PKG_LIBS += $(DUMP_LIBS)
