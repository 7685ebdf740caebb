UNIT_TESTS += test_dump test_dump_kdump test_core
FAKE_DUMP_SRCS = tests/unit/fake_dump.c
DUMP_CHECK_SRCS = tests/unit/dump_check.c $(FAKE_DUMP_SRCS) $(DUMP_SRCS)
test_core_SRCS = tests/unit/test_core.c $(DUMP_SRCS)
test_dump_SRCS = tests/unit/test_dump.c $(DUMP_CHECK_SRCS)
test_dump_kdump_SRCS = tests/unit/test_dump_kdump.c $(DUMP_CHECK_SRCS)
# Test and fake know what the build found as well.
DUMP_KNOWING = tests/unit/test_dump_kdump.o tests/unit/fake_dump.o
$(DUMP_KNOWING:%=$(O)/san/%) $(DUMP_KNOWING:%=$(O)/obj/%): PKG_CFLAGS += $(DUMP_CFLAGS)
$(foreach kind,tests valgrind,$(O)/$(kind)/test_dump $(O)/$(kind)/test_dump_kdump $(O)/$(kind)/test_core): PKG_LIBS += $(DUMP_LIBS)
