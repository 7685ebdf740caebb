FUZZERS += fuzz_request
fuzz_request_SRCS = tests/fuzz/fuzz_request.c cli/reload_request.c
