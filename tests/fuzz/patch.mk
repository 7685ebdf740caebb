FUZZERS += fuzz_patch fuzz_patchlog
fuzz_patch_SRCS = tests/fuzz/fuzz_patch.c tests/unit/fake_vcpus.c hv/board.c hv/text.c hv/guestmem.c \
	hv/memslots.c hv/split.c patch/judge.c
fuzz_patchlog_SRCS = tests/fuzz/fuzz_patchlog.c policy/patchlog.c
