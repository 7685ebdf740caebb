UNIT_TESTS += test_store test_textpatch
STORE_SRCS = introspection/disasm.c introspection/store.c introspection/store_insn.c
TEXTPATCH_SRCS = $(filter introspection/textpatch%,$(INTROSPECTION_SRCS)) $(PATCH_SRCS)
test_store_SRCS = tests/unit/test_store.c tests/unit/fake_guest.c $(STORE_SRCS)
test_textpatch_SRCS = tests/unit/test_textpatch.c tests/unit/fake_guest.c $(TEXTPATCH_SRCS)
