# make kvm-store: what KVM reports of a store, and what rf_store_find() makes of it, on this machine's /dev/kvm.
STORE_KVM_SRCS = tests/kvm/test_store_kvm.c tests/kvm/store_table.c tests/kvm/store_kinds.c \
	introspection/x86/pagetable.c introspection/x86/disasm.c introspection/x86/store.c introspection/x86/store_insn.c introspection/x86/store_raw.c
$(O)/tests/test_store_kvm: $(STORE_KVM_SRCS:%.c=$(O)/san/%.o)
	@mkdir -p $(@D)
	$(CC) $(SAN) -o $@ $^ -lcmocka $(PKG_LIBS)
.PHONY: kvm-store
kvm-store: $(O)/tests/test_store_kvm
	$(O)/tests/test_store_kvm
$(O)/tests/store_kvm_plain: $(STORE_KVM_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	$(CC) -pie -o $@ $^ -lcmocka $(PKG_LIBS)
