FUZZERS += fuzz_replay fuzz_policy fuzz_audit fuzz_measure
fuzz_policy_SRCS = tests/fuzz/fuzz_policy.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c policy/decide.c
fuzz_audit_SRCS = tests/fuzz/fuzz_audit.c policy/audit_tail.c
fuzz_measure_SRCS = tests/fuzz/fuzz_measure.c policy/measurement.c policy/file.c
fuzz_replay_SRCS = tests/fuzz/fuzz_replay.c $(POLICY_REPLAY_SRCS) policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) \
	policy/file.c policy/audit_tail.c
