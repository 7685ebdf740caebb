POLICY_SRCS += policy/audit.c
POLICY_SRCS += policy/audit_tail.c
POLICY_SRCS += policy/jsonline.c
POLICY_SRCS += policy/decide.c
POLICY_SRCS += policy/file.c
POLICY_SRCS += policy/parse.c
POLICY_SRCS += policy/measurement.c
POLICY_SRCS += policy/patchlog.c
