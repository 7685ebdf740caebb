UNIT_TESTS += test_audit test_chain test_chain_ahead test_rotate test_verify test_tampering test_forged_parts test_checkpoint test_policy test_policy_keys test_replay test_patchlog test_patchproof test_measurement test_fold test_fold_gap test_reload
UNIT_TESTS += test_mutated_policy test_mutated_profiles
AUDIT_SRCS = policy/audit.c policy/audit_begin.c policy/audit_line.c policy/audit_open.c policy/audit_tail.c policy/chain.c policy/merkle.c policy/note.c policy/checkpoint.c policy/jsonline.c
test_audit_SRCS = tests/unit/test_audit.c $(AUDIT_SRCS)
# Kills writers by its own write(2) and fdatasync(2).
test_chain_SRCS = tests/unit/test_chain.c $(AUDIT_SRCS)
test_chain_ahead_SRCS = tests/unit/test_chain_ahead.c policy/chain.c policy/jsonline.c
# Kills writers as test_chain does.
test_rotate_SRCS = tests/unit/test_rotate.c policy/verify.c $(AUDIT_SRCS)
test_verify_SRCS = tests/unit/test_verify.c tests/unit/fake_log.c policy/verify.c $(AUDIT_SRCS)
test_tampering_SRCS = tests/unit/test_tampering.c tests/unit/fake_log.c policy/verify.c $(AUDIT_SRCS)
test_forged_parts_SRCS = tests/unit/test_forged_parts.c tests/unit/fake_log.c policy/verify.c $(AUDIT_SRCS)
test_checkpoint_SRCS = tests/unit/test_checkpoint.c tests/unit/fake_log.c policy/verify.c $(AUDIT_SRCS)
test_policy_SRCS = tests/unit/test_policy.c policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
test_patchlog_SRCS = tests/unit/test_patchlog.c policy/patchlog.c
test_patchproof_SRCS = tests/unit/test_patchproof.c policy/patchproof.c policy/patchlog.c policy/verify.c $(AUDIT_SRCS)
test_measurement_SRCS = tests/unit/test_measurement.c policy/measurement.c policy/file.c
MUTATED_POLICY_SRCS = tests/unit/mutate.c tests/unit/mutated_policies.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
test_mutated_policy_SRCS = tests/unit/test_mutated_policy.c $(MUTATED_POLICY_SRCS)
test_mutated_profiles_SRCS = tests/unit/test_mutated_profiles.c $(MUTATED_POLICY_SRCS)
test_policy_keys_SRCS = tests/unit/test_policy_keys.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
test_replay_SRCS = tests/unit/test_replay.c $(POLICY_REPLAY_SRCS) policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) \
	policy/file.c policy/audit_tail.c policy/chain.c policy/merkle.c policy/jsonline.c
test_fold_gap_SRCS = tests/unit/test_fold_gap.c policy/foldlog.c $(AUDIT_SRCS)
test_fold_SRCS = tests/unit/test_fold.c policy/foldlog.c $(AUDIT_SRCS)
test_reload_SRCS = tests/unit/test_reload.c policy/reload.c policy/stricter.c policy/name.c policy/merkle.c policy/note.c policy/checkpoint.c \
	policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c
