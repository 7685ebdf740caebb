UNIT_TESTS += test_store test_store_kinds test_patch_judge test_textpatch test_textpatch_live test_textpatch_probes test_textpatch_calls test_textpatch_kept test_textpatch_thunks test_canonical test_poker test_hooks
STORE_SRCS = introspection/x86/disasm.c introspection/x86/store.c introspection/x86/store_insn.c introspection/x86/store_raw.c
TEXTPATCH_SRCS = $(filter introspection/patches/%,$(INTROSPECTION_SRCS)) introspection/x86/poker.c introspection/x86/entry.c introspection/x86/disasm.c $(PATCH_SRCS)
test_store_SRCS = tests/unit/test_store.c tests/unit/fake_guest.c $(STORE_SRCS)
test_store_kinds_SRCS = tests/unit/test_store_kinds.c tests/unit/fake_guest.c $(STORE_SRCS)
test_textpatch_SRCS = tests/unit/test_textpatch.c tests/unit/fake_guest.c $(TEXTPATCH_SRCS)
test_textpatch_live_SRCS = tests/unit/test_textpatch_live.c tests/unit/fake_patched.c tests/unit/fake_guest.c \
	$(TEXTPATCH_SRCS)
test_textpatch_calls_SRCS = tests/unit/test_textpatch_calls.c $(filter-out tests/unit/test_textpatch_live.c,$(test_textpatch_live_SRCS))
test_textpatch_kept_SRCS = tests/unit/test_textpatch_kept.c introspection/budget.c $(filter-out tests/unit/test_textpatch_live.c,$(test_textpatch_live_SRCS))
test_textpatch_probes_SRCS = $(subst test_textpatch_live.c,test_textpatch_probes.c,$(test_textpatch_live_SRCS))
test_textpatch_thunks_SRCS = $(subst test_textpatch_live.c,test_textpatch_thunks.c,$(test_textpatch_live_SRCS))
test_hooks_SRCS = $(subst test_textpatch_live.c,test_hooks.c,$(test_textpatch_live_SRCS)) introspection/budget.c
test_canonical_SRCS = tests/unit/test_canonical.c tests/unit/fake_patched.c tests/unit/fake_guest.c $(TEXTPATCH_SRCS)
test_poker_SRCS = tests/unit/test_poker.c tests/unit/fake_guest.c introspection/x86/poker.c introspection/x86/entry.c introspection/x86/disasm.c
test_patch_judge_SRCS = tests/unit/test_patch_judge.c $(PATCH_SRCS)
