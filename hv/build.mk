# The fence, preloaded into the VMM: libc only.
FENCE_SRCS =
# Monitor side of hv/: backends behind hv/backend.h.
BACKEND_SRCS =
