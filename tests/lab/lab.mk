# SPDX-License-Identifier: LGPL-2.1-or-later
# The lab: stock guests on stock KVM, emulated where this machine has none that runs them. docs/testing.md
#   make demo      the main job                   make attacks   every attack, unprotected and protected
#   make lab       prepare kernels and guests     make lab-shell a shell in the emulated host
KERNELS ?= 6.1 6.12
CPUS ?= 1 2
HOST_KERNEL ?= 6.12
export O

# lab-suite: stock guests under protection, on either host kernel. The short form, one of each kind, is the check's.
SUITE_SHORT = boot-7-2 tracing-6.1 boot-probes-6.12 misled first-act reboot unprotectable hardened-host
.PHONY: lab-suite lab-suite-short lab-suite-6.1
lab-suite: programs $(O)/ringfence-monitor-example
	tests/lab/suite.py --host-kernel $(HOST_KERNEL)
lab-suite-short: programs $(O)/ringfence-monitor-example
	tests/lab/suite.py --host-kernel $(HOST_KERNEL) $(SUITE_SHORT)
lab-suite-6.1: programs
	tests/lab/suite.py --host-kernel 6.1 tracing-6.12

# lab-flavours: the same kernels as a guest's own, with all drivers and for real time; what the check shows on one kernel.
FLAVOURS = 6.1-full 6.1-rt 6.12-full 6.12-rt
.PHONY: lab-flavours
lab-flavours: programs
	tests/lab/suite.py --host-kernel $(HOST_KERNEL) $(foreach f,$(FLAVOURS),boot-$(f)-2 tracing-$(f)) \
		log-full-6.1 log-full-7
	tests/attacks/attacks.py --guests "$(FLAVOURS:%=%:1)" --host-kernel $(HOST_KERNEL)
	tests/lab/storm.py --short --kernels "$(FLAVOURS)" --host-kernel $(HOST_KERNEL)

# lab-lifecycle: processors that go and come, resets, sleep, snapshots, kexec, a debugger, guests of its own. The short form is the check's.
.PHONY: lab-lifecycle lab-lifecycle-short
lab-lifecycle: programs
	tests/lab/lifecycle.py --host-kernel $(HOST_KERNEL)
lab-lifecycle-short: programs
	tests/lab/lifecycle.py --host-kernel $(HOST_KERNEL) offline-6.12 nested

# The fence's micro-guests on stock KVM with two-stage paging, where stores to watched pages come as -EFAULT; and every
# kind of store there (tests/kvm/store_kinds.c).
CMOCKA_LIBRARY = $(shell readlink -f /usr/lib/x86_64-linux-gnu/libcmocka.so.0)
CAPSTONE = $(shell readlink -f /usr/lib/x86_64-linux-gnu/libcapstone.so.4)
.PHONY: kvm-lab
kvm-lab: $(O)/tests/fence_kvm_plain $(O)/tests/store_kvm_plain
	tests/lab/lab.py run --host-kernel $(HOST_KERNEL) --smp 1 --guests 6.12 --job kvm=tests/lab/jobs/kvm.sh@400 \
		--file fence_kvm_plain=$(O)/tests/fence_kvm_plain --file store_kvm_plain=$(O)/tests/store_kvm_plain \
		--file libcmocka.so.0=$(CMOCKA_LIBRARY) --file libcapstone.so.4=$(CAPSTONE)

# ATTACKS="a,b" picks some. attacks-latency: a bit of CR4 is cleared 100,000 times and never seen clear.
ATTACKS ?= all
.PHONY: demo attacks attacks-short attacks-7 attacks-control attacks-latency lab lab-shell
demo: programs
	tests/lab/lab.py run --host-kernel $(HOST_KERNEL) --guests 6.12 --job demo=tests/lab/jobs/demo.sh@180
attacks: programs
	tests/attacks/attacks.py --kernels "$(KERNELS)" --cpus "$(CPUS)" --attacks "$(ATTACKS)" --host-kernel $(HOST_KERNEL)
# The check's: all of them on 6.12 with two processors; one of each way into a kernel on 6.1 with one.
SHORT_6_1 = syscall_table,direct_map,rep_movsq,cross_in,forged_non_site,forged_ftrace_insn,forged_static_key,lstar_after_seal,$\
	cr0_wp,cr4_smep,idt_gate,int3_left,hook_ftrace,unlisted_ops
attacks-short: programs
	tests/attacks/attacks.py --guests "6.12:2" --host-kernel $(HOST_KERNEL)
	tests/attacks/attacks.py --guests "6.1:1" --attacks "$(SHORT_6_1)" --host-kernel $(HOST_KERNEL) --results attacks-6.1.json
# The newest 7.x guest, with one processor.
attacks-7: programs
	tests/attacks/attacks.py --guests "7:1" --attacks "$(ATTACKS)" --host-kernel $(HOST_KERNEL) --results attacks-7.json
attacks-control:
	tests/attacks/attacks.py --control-only --kernels "$(KERNELS)" --cpus "$(CPUS)" --attacks "$(ATTACKS)" \
		--host-kernel $(HOST_KERNEL)
attacks-latency: programs
	tests/attacks/attacks.py --kernels 6.12 --cpus 1 --attacks cr4_latency --tries 100000 --host-kernel $(HOST_KERNEL)
lab:
	tests/lab/lab.py guests
	tests/lab/lab.py probe
lab-shell: programs
	tests/lab/lab.py shell --host-kernel $(HOST_KERNEL)

# lab-host7: the fence's micro-guests and every attack on the newest 7.x host (docs/testing.md). Emulated whatever this machine has.
.PHONY: lab-host7
lab-host7: programs
	LAB=emulated $(MAKE) --no-print-directory kvm-lab HOST_KERNEL=7
	LAB=emulated tests/attacks/attacks.py --kernels 6.12 --cpus 1 --attacks "$(ATTACKS)" --host-kernel 7 --results attacks-host7.json

# lab-vmx: the demo and the attacks on stock kvm_intel with EPT, in Bochs; takes long, so make check leaves it out.
.PHONY: lab-vmx
lab-vmx: programs
	tests/lab/vmx.py
