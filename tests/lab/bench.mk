# SPDX-License-Identifier: LGPL-2.1-or-later
#   make bench        what protection costs: a table and build/bench.json (docs/benchmarks.md)
#   make bench-short  the same in two rounds of one kernel, for the check: build/bench-short.json
#   make bench-record what the record takes alone, which is in both: build/bench-record.json
#   make bench-checks what it takes to look at dumps, which is in both: build/bench-checks.json
#   make bench-door   the ratio of a KVM call behind the door to one without it
BENCH_KERNELS ?= 6.12 6.1
BENCH = O=$(O) python3 tests/bench/bench.py --host-kernel $(HOST_KERNEL) --kernels "$(BENCH_KERNELS)"

# A micro-guest on /dev/kvm whose exits are counted in the fence's instructions.
BENCH_EXITS_SRCS = tests/bench/exits.c tests/kvm/scenario.c tests/kvm/machine.c tests/kvm/monitor.c \
	$(filter-out hv/interpose.c,$(FENCE_SRCS))
$(O)/tests/bench_exits: $(BENCH_EXITS_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ -lpthread

# Patches settled on a table of a real kernel's size.
BENCH_SETTLE_SRCS = tests/bench/settle.c $(TEXT_SRCS) introspection/patches/kinds.c
$(O)/tests/bench_settle: $(BENCH_SETTLE_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ -lpthread

# The record, written by the monitor's own code.
BENCH_RECORD_SRCS = tests/bench/record.c monitor/record.c monitor/report.c hv/outlet.c $(POLICY_SRCS)
$(O)/tests/bench_record: $(BENCH_RECORD_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ $(PKG_LIBS)

# What it costs to look at a dump.
BENCH_CHECKS_SRCS = tests/bench/checks.c tests/planted/look_all.c $(INTROSPECTION_SRCS) $(PATCH_SRCS) $(DUMP_SRCS)
$(O)/tests/bench_checks: $(BENCH_CHECKS_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ $(PKG_LIBS) $(DUMP_LIBS)

# One of many VMs.
$(O)/tests/bench_onevm: $(O)/obj/tests/bench/onevm.o
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^

# What the filter around a VMM costs each of its calls of KVM.
BENCH_DOOR_SRCS = tests/bench/door.c $(DOOR_SRCS)
$(O)/tests/bench_door: $(BENCH_DOOR_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ -lseccomp

BENCH_PROGRAMS = $(O)/oracle $(O)/tests/bench_exits $(O)/tests/bench_settle $(O)/tests/bench_record $(O)/tests/bench_onevm $(O)/tests/bench_door $(O)/tests/bench_checks $(O)/hostile/memory $(O)/hostile/guest.elf
.PHONY: bench bench-short bench-record bench-checks bench-door
bench: programs $(BENCH_PROGRAMS)
	$(BENCH)
bench-short: programs $(BENCH_PROGRAMS)
	$(BENCH) --short
bench-record: programs $(O)/tests/bench_record
	$(BENCH) --record
bench-checks: $(O)/ringfence $(O)/tests/bench_checks
	$(BENCH) --checks
bench-door: $(O)/tests/bench_door
	$(O)/tests/bench_door
