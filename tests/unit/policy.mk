UNIT_TESTS += test_audit test_policy test_policy_keys test_replay test_patchlog test_measurement
test_audit_SRCS = tests/unit/test_audit.c policy/audit.c policy/audit_tail.c policy/jsonline.c
test_policy_SRCS = tests/unit/test_policy.c policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
test_patchlog_SRCS = tests/unit/test_patchlog.c policy/patchlog.c
test_measurement_SRCS = tests/unit/test_measurement.c policy/measurement.c policy/file.c
test_policy_keys_SRCS = tests/unit/test_policy_keys.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
test_replay_SRCS = tests/unit/test_replay.c $(POLICY_REPLAY_SRCS) policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) \
	policy/file.c policy/audit_tail.c
