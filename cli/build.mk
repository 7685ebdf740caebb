CLI_SRCS = cli/main.c cli/commands.c cli/options.c cli/output.c cli/paths.c cli/program.c \
	cli/run.c cli/run_check.c cli/run_control.c cli/run_spawn.c cli/run_state.c cli/run_watch.c \
	cli/control.c cli/list.c cli/status.c cli/gadgets.c cli/measure.c cli/run_files.c cli/audit.c cli/audit_log.c cli/audit_patches.c \
	cli/doctor.c cli/doctor_host.c cli/doctor_table.c cli/doctor_watch.c cli/demo.c
MONITOR_SRCS = cli/monitor/main.c cli/monitor/controls.c cli/monitor/cover.c cli/monitor/gadgets.c cli/monitor/guest.c cli/monitor/judge.c cli/monitor/judge_stores.c cli/monitor/measure.c \
	cli/monitor/patches.c cli/monitor/pins.c cli/monitor/places.c cli/monitor/plan.c cli/monitor/units.c cli/monitor/report.c cli/monitor/sandbox.c cli/monitor/status.c \
	cli/monitor/sweep.c cli/monitor/tables.c cli/monitor/traps.c cli/paths.c
