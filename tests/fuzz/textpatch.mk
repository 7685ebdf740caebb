FUZZERS += fuzz_store fuzz_textpatch fuzz_textpatch_live fuzz_poker
fuzz_store_SRCS = tests/fuzz/fuzz_store.c tests/unit/fake_guest.c introspection/x86/disasm.c \
	introspection/x86/store.c introspection/x86/store_insn.c introspection/x86/store_raw.c
fuzz_poker_SRCS = tests/fuzz/fuzz_poker.c tests/unit/fake_guest.c introspection/x86/poker.c \
	introspection/x86/entry.c introspection/x86/disasm.c
fuzz_textpatch_SRCS = tests/fuzz/fuzz_textpatch.c tests/unit/fake_guest.c $(TEXTPATCH_SRCS)
fuzz_textpatch_live_SRCS = tests/fuzz/fuzz_textpatch_live.c introspection/budget.c tests/unit/fake_patched.c tests/unit/fake_guest.c \
	$(TEXTPATCH_SRCS)
