# The verdict on text patches: shared by the fence and the monitor, pure.
JUDGE_SRCS = patch/judge.c
PATCH_SRCS = $(JUDGE_SRCS) patch/kinds.c
