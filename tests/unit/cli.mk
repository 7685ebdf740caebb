UNIT_TESTS += test_cli
UNIT_TESTS += test_counted
UNIT_TESTS += test_run_rotate
test_run_rotate_SRCS = tests/unit/test_run_rotate.c cli/run_logs.c cli/run_counted.c cli/paths.c policy/name.c hv/proto.c policy/fold.c policy/foldlog.c $(AUDIT_SRCS)
# Has its own ftruncate(2).
test_counted_SRCS = tests/unit/test_counted.c policy/fold.c policy/foldlog.c $(AUDIT_SRCS)
test_cli_SRCS = tests/unit/test_cli.c cli/audit_log.c cli/options.c cli/paths.c cli/program.c cli/when.c policy/name.c

# The ringfence command against bad input: needs no guest, but /dev/kvm for the cases that start something.
.PHONY: cli-test
cli-test: programs
	tests/cli/run.sh $(O)
