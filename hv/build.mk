# The fence, preloaded into the VMM: libc only.
FENCE_SRCS = $(JUDGE_SRCS) hv/base.c hv/board.c hv/proto.c hv/split.c hv/memslots.c hv/vcpu.c hv/guestmem.c \
	hv/text.c hv/seal.c hv/watch.c hv/life_table.c hv/life.c hv/channel.c hv/event.c hv/handle.c \
	hv/enforce.c hv/run.c hv/serve.c hv/known.c hv/fence.c hv/interpose.c $(ARCH_SRCS)
# One architecture is linked, by ARCH=vmx or arm64: hv/arch.h says what it has to offer.
ARCH = vmx
VMX_SRCS = hv/vmx/cpu.c hv/vmx/cr.c hv/vmx/decode.c hv/vmx/dispatch.c hv/vmx/enforce.c hv/vmx/exit.c \
	hv/vmx/known.c hv/vmx/let.c hv/vmx/msr.c hv/vmx/poke.c hv/vmx/tables.c hv/vmx/trap.c hv/vmx/vm.c
ARM64_SRCS = hv/arm64/decode.c hv/arm64/exit.c hv/arm64/known.c hv/arm64/vm.c
ARCH_SRCS = $(if $(filter arm64,$(ARCH)),$(ARM64_SRCS),$(VMX_SRCS))
# Monitor side of hv/: backends behind hv/backend.h.
BACKEND_SRCS = hv/proto.c hv/check.c hv/view.c hv/backend_kvm.c hv/backend_view.c
BACKEND_SRCS += hv/vmx/probe.c
# How command and monitor speak to people.
BACKEND_SRCS += hv/outlet.c
# The host's control-register watch: libbpf, for the ringfence command alone. The program itself is hv/bpf/cr.bpf.c.
CRWATCH_SRCS = hv/bpf/crwatch.c hv/bpf/folder.c hv/bpf/found.c hv/bpf/pins.c hv/bpf/program.c hv/bpf/proof.c hv/bpf/vms.c
# The filter around a VMM that `run` starts, by which KVM is reached through the fence alone: libseccomp.
DOOR_SRCS = hv/doorkeeper.c
# Memory of a machine out of a file, for the ringfence command alone: zlib, and where they are lzo2, snappy, zstd (DUMP_LIBS).
DUMP_SRCS = hv/dump/dump.c hv/dump/elf.c hv/dump/kdump.c hv/dump/lime.c hv/dump/raw.c hv/dump/notes.c hv/dump/ranges.c \
	hv/dump/unpack.c hv/dump/flat.c hv/dump/file.c hv/dump/cache.c hv/dump/core.c
