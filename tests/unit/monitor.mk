UNIT_TESTS += test_guest test_guest_again test_guest_late test_takeover test_judge test_judge_policy \
	test_judge_emulation test_judge_stores test_pins test_controls test_decoys test_patches test_tables test_traps test_measure \
	test_status test_memory test_guards test_guest_unknown test_pair test_hooks_guard test_checks_guard test_sandbox test_resent test_resent_log test_record test_record_full test_reload_monitor test_rotate_logs test_sequence test_watched
MONITOR_FAKES = tests/unit/fake_monitor.c tests/unit/fake_monitor_kernel.c introspection/budget.c \
	$(filter-out monitor/main.c monitor/sandbox.c,$(MONITOR_SRCS)) \
	introspection/patches/hooks_kinds.c introspection/x86/descriptor.c introspection/x86/gadget_decode.c hv/proto.c hv/outlet.c $(POLICY_SRCS) $(PATCH_SRCS)
test_guest_SRCS = tests/unit/test_guest.c $(MONITOR_FAKES)
test_guest_again_SRCS = tests/unit/test_guest_again.c $(MONITOR_FAKES)
test_sequence_SRCS = tests/unit/test_sequence.c $(MONITOR_FAKES)
test_guest_late_SRCS = tests/unit/test_guest_late.c $(MONITOR_FAKES)
test_takeover_SRCS = tests/unit/test_takeover.c $(MONITOR_FAKES)
test_judge_SRCS = tests/unit/test_judge.c $(MONITOR_FAKES)
test_judge_policy_SRCS = tests/unit/test_judge_policy.c $(MONITOR_FAKES)
test_judge_emulation_SRCS = tests/unit/test_judge_emulation.c $(MONITOR_FAKES)
test_judge_stores_SRCS = tests/unit/test_judge_stores.c $(MONITOR_FAKES)
test_pins_SRCS = tests/unit/test_pins.c $(MONITOR_FAKES)
test_controls_SRCS = tests/unit/test_controls.c $(MONITOR_FAKES)
test_decoys_SRCS = tests/unit/test_decoys.c $(MONITOR_FAKES)
test_patches_SRCS = tests/unit/test_patches.c $(MONITOR_FAKES)
test_tables_SRCS = tests/unit/test_tables.c tests/unit/fake_tables.c $(MONITOR_FAKES)
test_traps_SRCS = tests/unit/test_traps.c tests/unit/fake_tables.c $(MONITOR_FAKES)
test_measure_SRCS = tests/unit/test_measure.c $(MONITOR_FAKES)
test_guards_SRCS = tests/unit/test_guards.c $(MONITOR_FAKES)
test_resent_SRCS = tests/unit/test_resent.c $(MONITOR_FAKES)
test_resent_log_SRCS = tests/unit/test_resent_log.c $(MONITOR_FAKES)
test_record_SRCS = tests/unit/test_record.c $(MONITOR_FAKES)
test_record_full_SRCS = tests/unit/test_record_full.c $(MONITOR_FAKES)
test_rotate_logs_SRCS = tests/unit/test_rotate_logs.c $(MONITOR_FAKES)
test_guest_unknown_SRCS = tests/unit/test_guest_unknown.c $(MONITOR_FAKES)
test_status_SRCS = tests/unit/test_status.c $(MONITOR_FAKES)
test_memory_SRCS = tests/unit/test_memory.c $(MONITOR_FAKES)
test_hooks_guard_SRCS = tests/unit/test_hooks_guard.c $(MONITOR_FAKES)
test_checks_guard_SRCS = tests/unit/test_checks_guard.c $(MONITOR_FAKES)
test_pair_SRCS = tests/unit/test_pair.c $(MONITOR_FAKES)
# Each forbidden call, tried; and what the monitor may no more.
test_sandbox_SRCS = tests/unit/test_sandbox.c monitor/sandbox.c
test_watched_SRCS = tests/unit/test_watched.c $(MONITOR_FAKES)
test_reload_monitor_SRCS = tests/unit/test_reload_monitor.c $(MONITOR_FAKES)
UNIT_TESTS += test_outlet
test_outlet_SRCS = tests/unit/test_outlet.c monitor/report.c hv/outlet.c
