FUZZERS += fuzz_pair
fuzz_pair_SRCS = tests/fuzz/fuzz_pair.c $(MONITOR_FAKES)
