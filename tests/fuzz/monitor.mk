FUZZERS += fuzz_pair fuzz_sequence
fuzz_pair_SRCS = tests/fuzz/fuzz_pair.c $(MONITOR_FAKES)
fuzz_sequence_SRCS = tests/fuzz/fuzz_sequence.c hv/check.c $(MONITOR_FAKES)
