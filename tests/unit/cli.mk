UNIT_TESTS += test_cli test_doctor test_output
test_output_SRCS = tests/unit/test_output.c cli/output.c hv/outlet.c cli/options.c
UNIT_TESTS += test_print_value
test_print_value_SRCS = tests/unit/test_print_value.c cli/print_value.c cli/output.c hv/outlet.c cli/options.c
UNIT_TESTS += test_let_go
test_let_go_SRCS = tests/unit/test_let_go.c cli/let_go.c hv/proto.c
UNIT_TESTS += test_run_link
test_run_link_SRCS = tests/unit/test_run_link.c cli/run_link.c cli/run_logs.c cli/let_go.c hv/proto.c
UNIT_TESTS += test_counted
UNIT_TESTS += test_vmm_args
test_vmm_args_SRCS = tests/unit/test_vmm_args.c cli/vmm_fds.c cli/vmm_asks.c
UNIT_TESTS += test_follow
test_follow_SRCS = tests/unit/test_follow.c cli/audit_log.c $(SAFE_SRCS) cli/audit_seqs.c cli/audit_beside.c
UNIT_TESTS += test_run_rotate
test_run_rotate_SRCS = tests/unit/test_run_rotate.c cli/run_logs.c cli/let_go.c cli/run_open.c cli/run_counted.c $(SAFE_SRCS) cli/paths.c policy/name.c hv/proto.c policy/fold.c policy/foldlog.c $(AUDIT_SRCS)
UNIT_TESTS += test_export
EXPORT_PARTS = $(EXPORT_SRCS) cli/audit_text.c cli/output.c hv/outlet.c cli/options.c policy/rules.c
test_export_SRCS = tests/unit/test_export.c tests/unit/export_check.c cli/audit_log.c $(SAFE_SRCS) $(EXPORT_PARTS) $(AUDIT_SRCS)
# Has its own mkdirat(2) and fsync(2).
UNIT_TESTS += test_run_state
test_run_state_SRCS = tests/unit/test_run_state.c cli/run_folder.c cli/run_link.c cli/let_go.c hv/proto.c cli/run_open.c $(SAFE_SRCS) cli/run_counted.c cli/paths.c cli/policy_file.c $(POLICY_SRCS)
# Has its own openat(2).
UNIT_TESTS += test_safe_path test_safe_file
test_safe_path_SRCS = tests/unit/test_safe_path.c
test_safe_file_SRCS = tests/unit/test_safe_file.c cli/safe_path.c
# Has its own ftruncate(2).
test_counted_SRCS = tests/unit/test_counted.c policy/fold.c policy/foldlog.c $(AUDIT_SRCS)
test_doctor_SRCS = tests/unit/test_doctor.c cli/doctor_table.c
UNIT_TESTS += test_run_control
test_run_control_SRCS = tests/unit/test_run_control.c cli/run_control.c cli/run_pause.c
UNIT_TESTS += test_patch_names
test_patch_names_SRCS = tests/unit/test_patch_names.c cli/patch_names.c policy/patchlog.c
test_cli_SRCS = tests/unit/test_cli.c cli/audit_log.c $(SAFE_SRCS) cli/options.c cli/paths.c cli/program.c cli/when.c policy/name.c

# The ringfence command against bad input: needs no guest, but /dev/kvm for the cases that start something.
.PHONY: cli-test
cli-test: programs
	tests/cli/run.sh $(O)
