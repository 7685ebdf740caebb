# Records in other formats; and policy/rules.c, which says what their rules mean.
EXPORT_SRCS = cli/export.c cli/export_base.c cli/export_rows.c cli/export_view.c cli/export_ocsf.c cli/export_json.c cli/export_text.c
# What only looks, at a dump of memory or at a VM that runs.
SUBJECT_SRCS = cli/subject.c cli/subject_dump.c cli/subject_live.c cli/vm_memory.c cli/dump.c cli/check.c cli/check_live.c cli/check_run.c cli/check_show.c cli/check_posture.c cli/posture_show.c cli/hooks.c cli/code.c cli/ps.c cli/modules.c cli/symbols.c cli/disas.c cli/pagetable.c cli/print.c cli/print_value.c
# Paths and files that others cannot lead elsewhere.
SAFE_SRCS = cli/safe_path.c cli/safe_file.c
CLI_SRCS = $(SAFE_SRCS) cli/main.c cli/commands.c cli/options.c cli/output.c cli/paths.c cli/process.c cli/program.c \
	cli/run.c cli/run_check.c cli/run_child.c cli/run_control.c cli/run_pause.c cli/run_fds.c cli/run_ask.c cli/vmm_fds.c cli/vmm_asks.c cli/run_counted.c cli/run_spawn.c cli/run_state.c cli/run_folder.c cli/run_watch.c \
	cli/vm.c cli/control.c cli/list.c cli/list_users.c cli/status.c cli/gadgets.c cli/measure.c cli/stop.c cli/run_files.c cli/run_link.c cli/let_go.c cli/run_reload.c cli/reload_request.c cli/run_logs.c cli/run_open.c cli/run_rotate.c cli/audit_rotate.c cli/audit.c cli/audit_filter.c cli/audit_row.c cli/audit_tail.c cli/when.c cli/watch.c cli/watch_link.c cli/watch_ask.c cli/watch_serve.c cli/watch_close.c cli/watch_keep.c cli/watch_found.c cli/audit_log.c cli/audit_patches.c cli/patch_names.c cli/audit_verify.c cli/audit_keygen.c \
	cli/audit_text.c cli/audit_follow.c cli/audit_seqs.c cli/audit_beside.c cli/audit_export.c $(EXPORT_SRCS) \
	cli/doctor.c cli/doctor_host.c cli/doctor_table.c cli/doctor_watch.c cli/demo.c cli/user.c \
	cli/policy.c cli/policy_file.c cli/policy_known.c monitor/policy_known.c cli/policy_check.c cli/policy_show.c cli/policy_reload.c cli/policy_sign.c cli/policy_replay.c cli/about.c $(SUBJECT_SRCS)
