# make hostile: stock QEMU and `ringfence run`, with guests and peers that lie: on this machine's /dev/kvm, or in the emulated
# host where that runs no QEMU.
HOSTILE_MEMORY_SRCS = tests/hostile/memory.c tests/hostile/image.c tests/unit/synth.c $(KALLSYMS_SRCS)
$(O)/hostile/memory: $(HOSTILE_MEMORY_SRCS:%.c=$(O)/obj/%.o)
	@mkdir -p $(@D)
	@echo "  LD $@"
	$(Q)$(CC) -pie -o $@ $^
$(O)/hostile/guest.elf: tests/hostile/guest.S tests/hostile/guest.h
	@mkdir -p $(@D)
	@echo "  AS $@"
	$(Q)$(CC) -m32 -I. -nostdlib -static -no-pie -Wl,-N,--no-warn-rwx-segments,--build-id=none,-e,start \
		-Wl,-Ttext=0x100000,--section-start=.note.pvh=0x101000 -o $@ $<

.PHONY: hostile
hostile: programs $(O)/hostile/memory $(O)/hostile/guest.elf
	tests/hostile/hostile.py $(O)
