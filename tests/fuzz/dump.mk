FUZZERS += fuzz_dump
fuzz_dump_SRCS = tests/fuzz/fuzz_dump.c $(DUMP_SRCS)
$(O)/tests/fuzz_dump: PKG_LIBS += $(DUMP_LIBS)

DUMP_SEEDS_SRCS = tests/fuzz/dump_seeds.c $(FAKE_DUMP_SRCS)
$(O)/dump_seeds: $(DUMP_SEEDS_SRCS:%.c=$(O)/obj/%.o)
	$(CC) -pie -o $@ $^ $(DUMP_LIBS)
fuzz-seeds: fuzz-seeds-dump
.PHONY: fuzz-seeds-dump
fuzz-seeds-dump: $(O)/dump_seeds
	mkdir -p tests/fuzz/corpus/fuzz_dump
	$(O)/dump_seeds tests/fuzz/corpus/fuzz_dump
