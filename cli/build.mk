CLI_SRCS =
MONITOR_SRCS = cli/monitor/main.c cli/monitor/guest.c cli/monitor/judge.c cli/monitor/sandbox.c \
	cli/monitor/status.c cli/monitor/sweep.c
