UNIT_TESTS += test_pagetable test_kallsyms
KALLSYMS_SRCS = introspection/kallsyms.c introspection/kallsyms_tables.c introspection/symbols.c
test_pagetable_SRCS = tests/unit/test_pagetable.c tests/unit/synth.c introspection/pagetable.c
test_kallsyms_SRCS = tests/unit/test_kallsyms.c tests/unit/synth.c $(KALLSYMS_SRCS)
