FUZZERS += fuzz_policy fuzz_audit fuzz_measure fuzz_verify
fuzz_policy_SRCS = tests/fuzz/fuzz_policy.c policy/parse.c policy/file.c policy/decide.c
fuzz_audit_SRCS = tests/fuzz/fuzz_audit.c policy/audit_tail.c policy/chain.c policy/jsonline.c
fuzz_measure_SRCS = tests/fuzz/fuzz_measure.c policy/measurement.c policy/file.c
fuzz_verify_SRCS = tests/fuzz/fuzz_verify.c policy/verify.c policy/chain.c policy/jsonline.c
