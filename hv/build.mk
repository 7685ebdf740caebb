# The fence, preloaded into the VMM: libc only.
FENCE_SRCS = $(PATCH_SRCS) hv/channel.c hv/fence.c hv/gate.c hv/interpose.c hv/memslots.c hv/proto.c hv/run.c hv/exit.c hv/enforce.c hv/patch.c \
	hv/seal.c hv/split.c hv/watch.c hv/vmx/cpu.c hv/vmx/cr.c hv/vmx/decode.c hv/vmx/msr.c hv/vmx/poke.c hv/vmx/trap.c
# Monitor side of hv/: backends behind hv/backend.h.
BACKEND_SRCS = hv/proto.c hv/backend_kvm.c
BACKEND_SRCS += hv/probe.c
# The host's control-register watch: libbpf, for the ringfence command alone. The program itself is hv/bpf/cr.bpf.c.
CRWATCH_SRCS = hv/bpf/crwatch.c hv/bpf/proof.c hv/bpf/vms.c
