FUZZERS += fuzz_when
fuzz_when_SRCS = tests/fuzz/fuzz_when.c cli/when.c
