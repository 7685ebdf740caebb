POLICY_REPLAY_SRCS = policy/replay.c policy/replay_patches.c policy/replay_impl.c policy/rules.c
# What parse.c stands on.
POLICY_PARSE_SRCS = policy/keys.c policy/places.c policy/wrong.c
POLICY_SRCS += policy/audit.c
POLICY_SRCS += policy/audit_tail.c
POLICY_SRCS += policy/jsonline.c
POLICY_SRCS += policy/decide.c
POLICY_SRCS += policy/file.c
POLICY_SRCS += policy/parse.c $(POLICY_PARSE_SRCS)
POLICY_SRCS += policy/measurement.c
POLICY_SRCS += policy/patchlog.c
POLICY_SRCS += $(POLICY_REPLAY_SRCS)
POLICY_SRCS += policy/name.c
