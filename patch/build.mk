# The verdict on text patches: shared by the fence and the monitor, pure.
PATCH_SRCS = patch/judge.c
