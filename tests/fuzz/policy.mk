FUZZERS += fuzz_replay fuzz_policy fuzz_audit fuzz_measure fuzz_verify fuzz_checkpoint fuzz_patchproof fuzz_patch_names fuzz_reload
fuzz_policy_SRCS = tests/fuzz/fuzz_policy.c policy/parse.c $(POLICY_PARSE_SRCS) policy/file.c policy/decide.c
fuzz_audit_SRCS = tests/fuzz/fuzz_audit.c policy/audit_tail.c policy/chain.c policy/merkle.c policy/jsonline.c
fuzz_measure_SRCS = tests/fuzz/fuzz_measure.c policy/measurement.c policy/file.c
fuzz_verify_SRCS = tests/fuzz/fuzz_verify.c policy/verify.c policy/chain.c policy/merkle.c policy/note.c policy/checkpoint.c policy/jsonline.c
fuzz_checkpoint_SRCS = tests/fuzz/fuzz_checkpoint.c policy/merkle.c policy/note.c policy/checkpoint.c
fuzz_replay_SRCS = tests/fuzz/fuzz_replay.c $(POLICY_REPLAY_SRCS) policy/decide.c policy/parse.c $(POLICY_PARSE_SRCS) \
	policy/file.c policy/audit_tail.c policy/chain.c policy/merkle.c policy/jsonline.c
fuzz_patchproof_SRCS = tests/fuzz/fuzz_patchproof.c policy/patchproof.c policy/patchlog.c $(wordlist 2,99,$(fuzz_verify_SRCS))
fuzz_patch_names_SRCS = tests/fuzz/fuzz_patch_names.c cli/patch_names.c policy/patchlog.c
fuzz_reload_SRCS = tests/fuzz/fuzz_reload.c policy/reload.c policy/stricter.c policy/name.c policy/note.c policy/parse.c $(POLICY_PARSE_SRCS)
