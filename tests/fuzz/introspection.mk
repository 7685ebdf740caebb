FUZZERS += fuzz_kallsyms fuzz_btf fuzz_pagetable fuzz_checks
fuzz_checks_SRCS = tests/fuzz/fuzz_checks.c $(CHECKED_SRCS)
FUZZERS += fuzz_posture
fuzz_posture_SRCS = tests/fuzz/fuzz_posture.c $(CHECKED_SRCS) $(POSTURE_SRCS)
$(O)/tests/fuzz_posture: PKG_LIBS += $(DUMP_LIBS)
fuzz_kallsyms_SRCS = tests/fuzz/fuzz_kallsyms.c introspection/kallsyms.c \
	introspection/kallsyms_tables.c introspection/symbols.c
fuzz_btf_SRCS = tests/fuzz/fuzz_btf.c introspection/btf.c introspection/btf_fields.c
fuzz_pagetable_SRCS = tests/fuzz/fuzz_pagetable.c introspection/x86/pagetable.c
FUZZERS += fuzz_locate
fuzz_locate_SRCS = tests/fuzz/fuzz_locate.c introspection/locate.c introspection/x86/gate.c introspection/budget.c \
	$(KERNEL_SRCS)

SEEDS_SRCS = tests/fuzz/introspection_seeds.c tests/unit/synth.c
$(O)/introspection_seeds: $(SEEDS_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -o $@ $^
.PHONY: fuzz-seeds
fuzz-seeds: $(O)/introspection_seeds
	mkdir -p tests/fuzz/corpus/fuzz_kallsyms tests/fuzz/corpus/fuzz_btf tests/fuzz/corpus/fuzz_pagetable tests/fuzz/corpus/fuzz_locate
	$(O)/introspection_seeds tests/fuzz/corpus
