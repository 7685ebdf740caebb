MONITOR_SRCS = monitor/armed.c monitor/ask.c monitor/controls.c monitor/cover.c monitor/gadgets.c monitor/guards.c monitor/guest.c monitor/hooks.c monitor/hooks_told.c monitor/memory.c monitor/checks.c monitor/checks_told.c monitor/checks_which.c \
	monitor/judge.c monitor/left_out.c monitor/main.c monitor/measure.c monitor/messages.c monitor/pair.c monitor/patch_names.c monitor/patches.c monitor/pins.c monitor/places.c \
	monitor/plan.c monitor/policy_known.c monitor/registers.c monitor/reload.c monitor/record.c monitor/report.c monitor/resent.c monitor/rotate.c monitor/sandbox.c monitor/sealed.c monitor/sequence.c monitor/status.c monitor/stores.c \
	monitor/decoys.c monitor/sweeper.c monitor/tables.c monitor/tell.c monitor/trail.c monitor/traps.c monitor/units.c monitor/watched.c
