UNIT_TESTS += test_audit test_policy test_patchlog test_measurement test_fold
test_audit_SRCS = tests/unit/test_audit.c policy/audit.c policy/audit_tail.c policy/jsonline.c
test_policy_SRCS = tests/unit/test_policy.c policy/decide.c policy/parse.c policy/file.c
test_patchlog_SRCS = tests/unit/test_patchlog.c policy/patchlog.c
test_measurement_SRCS = tests/unit/test_measurement.c policy/measurement.c policy/file.c
test_fold_SRCS = tests/unit/test_fold.c policy/foldlog.c policy/audit.c policy/audit_tail.c policy/jsonline.c
