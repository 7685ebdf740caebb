UNIT_TESTS += test_guest test_guest_again test_guest_late test_takeover test_judge test_judge_policy \
	test_judge_emulation test_judge_stores test_pins test_controls test_sweep test_patches test_tables test_measure \
	test_status test_guards test_guest_unknown
MONITOR_FAKES = tests/unit/fake_monitor.c tests/unit/fake_monitor_kernel.c monitor/controls.c monitor/guest.c \
	monitor/judge.c monitor/stores.c monitor/registers.c monitor/guards.c monitor/gadgets.c monitor/cover.c monitor/measure.c monitor/patches.c monitor/pins.c monitor/places.c monitor/plan.c monitor/units.c introspection/budget.c monitor/report.c monitor/sweep.c \
	monitor/tables.c monitor/traps.c \
	introspection/descriptor.c introspection/gadget_decode.c hv/proto.c policy/audit.c \
	policy/audit_tail.c policy/decide.c policy/jsonline.c policy/file.c policy/measurement.c policy/parse.c policy/patchlog.c $(PATCH_SRCS)
test_guest_SRCS = tests/unit/test_guest.c $(MONITOR_FAKES)
test_guest_again_SRCS = tests/unit/test_guest_again.c $(MONITOR_FAKES)
test_guest_late_SRCS = tests/unit/test_guest_late.c $(MONITOR_FAKES)
test_takeover_SRCS = tests/unit/test_takeover.c $(MONITOR_FAKES)
test_judge_SRCS = tests/unit/test_judge.c $(MONITOR_FAKES)
test_judge_policy_SRCS = tests/unit/test_judge_policy.c $(MONITOR_FAKES)
test_judge_emulation_SRCS = tests/unit/test_judge_emulation.c $(MONITOR_FAKES)
test_judge_stores_SRCS = tests/unit/test_judge_stores.c $(MONITOR_FAKES)
test_pins_SRCS = tests/unit/test_pins.c $(MONITOR_FAKES)
test_controls_SRCS = tests/unit/test_controls.c $(MONITOR_FAKES)
test_sweep_SRCS = tests/unit/test_sweep.c $(MONITOR_FAKES)
test_patches_SRCS = tests/unit/test_patches.c $(MONITOR_FAKES)
test_tables_SRCS = tests/unit/test_tables.c $(MONITOR_FAKES)
test_measure_SRCS = tests/unit/test_measure.c $(MONITOR_FAKES)
test_guards_SRCS = tests/unit/test_guards.c $(MONITOR_FAKES)
test_guest_unknown_SRCS = tests/unit/test_guest_unknown.c $(MONITOR_FAKES)
test_status_SRCS = tests/unit/test_status.c monitor/status.c $(MONITOR_FAKES)
