# What the record endures: a disk that loses what was not flushed, the record's own writers on it.
RECORDER_SRCS = tests/unit/fake_disk.c tests/unit/fake_recorders.c monitor/record.c monitor/report.c hv/outlet.c $(POLICY_SRCS)
UNIT_TESTS += test_power_cut test_full_disk
test_power_cut_SRCS = tests/unit/test_power_cut.c $(RECORDER_SRCS)
test_full_disk_SRCS = tests/unit/test_full_disk.c $(RECORDER_SRCS)
UNIT_TESTS += test_million
test_million_SRCS = tests/unit/test_million.c $(RECORDER_SRCS)
UNIT_TESTS += test_tampering_signed
test_tampering_signed_SRCS = tests/unit/test_tampering_signed.c tests/unit/fake_log.c $(RECORDER_SRCS)
UNIT_TESTS += test_mutated_log
test_mutated_log_SRCS = tests/unit/test_mutated_log.c tests/unit/mutate.c $(RECORDER_SRCS)
UNIT_TESTS += test_clocks
test_clocks_SRCS = tests/unit/test_clocks.c $(RECORDER_SRCS)
UNIT_TESTS += test_patchlog_cut
test_patchlog_cut_SRCS = tests/unit/test_patchlog_cut.c tests/unit/fake_disk.c policy/patchlog.c
UNIT_TESTS += test_fold_due
test_fold_due_SRCS = tests/unit/test_fold_due.c $(RECORDER_SRCS)
