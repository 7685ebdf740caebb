# make kvm: the fence on this machine's /dev/kvm. The fence is linked without
# interpose.c: the test is a VMM that embeds it. fence_kvm_plain is the same without sanitisers, for the emulated host.
FENCE_KVM_SRCS = tests/kvm/test_fence_kvm.c tests/kvm/scenario.c tests/kvm/machine.c tests/kvm/monitor.c \
	tests/kvm/fence_start.c tests/kvm/fence_stores.c tests/kvm/fence_watch.c \
	tests/kvm/fence_memory.c tests/kvm/fence_monitor.c tests/kvm/fence_pass.c tests/kvm/fence_pins.c tests/kvm/fence_cr.c tests/kvm/fence_traps.c tests/kvm/fence_poke.c \
	tests/kvm/patched.c tests/kvm/fence_device.c tests/kvm/fence_text.c tests/kvm/fence_rules.c tests/kvm/fence_known.c tests/kvm/fence_combined.c tests/kvm/fence_kinds.c tests/kvm/fence_life.c tests/kvm/fence_woken.c tests/kvm/fence_told.c tests/kvm/fence_halted.c tests/kvm/fence_looks.c \
	$(filter-out hv/interpose.c,$(FENCE_SRCS))
$(O)/tests/test_fence_kvm: $(FENCE_KVM_SRCS:%.c=$(O)/san/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) $(SAN) -o $@ $^ -lcmocka -lpthread
$(O)/tests/fence_kvm_plain: $(FENCE_KVM_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^ -lcmocka -lpthread

.PHONY: kvm
kvm: $(O)/tests/test_fence_kvm
	@! $(O)/tests/test_fence_kvm no_such_scenario 2>/dev/null || { echo "kvm: an unknown scenario is no error"; exit 1; }
	$(O)/tests/test_fence_kvm
