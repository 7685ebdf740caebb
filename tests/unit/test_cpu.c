// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * hv/vmx/cpu.c over a made-up KVM: what a vCPU is, also in modes that this machine's KVM does not
 * offer (a guest's guest, the firmware's), what a VMM loads, and what is injected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/vmx/cpu.h"
#include "hv/vmx/decode.h"

static struct rf_board_file file;
struct rf_board *rf_board = &file.board;
struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct kvm_run area;
static struct rf_arch_vcpu arch;
static struct rf_vcpu vcpu = { .fd = 7, .run = &area, .arch = &arch };

static struct {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_vcpu_events events;
	struct kvm_nested_state nested;
	bool no_nested, no_mp_state;
	uint32_t mp_state;
	uint64_t lstar;
	struct kvm_cpuid_entry2 cpuid[4];
	uint32_t nr_cpuid;
	int parts; /* KVM_RUNs before -EINTR */
	unsigned runs, regs_set, sregs_set, events_set;
} kvm;

void rf_gate_hold_entry(struct rf_vcpu *v)
{
	v->run->immediate_exit = 1;
}

static int ask(unsigned long request, void *arg)
{
	struct kvm_cpuid2 *c = arg;
	struct kvm_msrs *m = arg;

	switch (request) {
	case KVM_GET_REGS:
		memcpy(arg, &kvm.regs, sizeof(kvm.regs));
		return 0;
	case KVM_SET_REGS:
		memcpy(&kvm.regs, arg, sizeof(kvm.regs));
		kvm.regs_set++;
		return 0;
	case KVM_GET_SREGS:
		memcpy(arg, &kvm.sregs, sizeof(kvm.sregs));
		return 0;
	case KVM_SET_SREGS:
		memcpy(&kvm.sregs, arg, sizeof(kvm.sregs));
		kvm.sregs_set++;
		return 0;
	case KVM_GET_VCPU_EVENTS:
		memcpy(arg, &kvm.events, sizeof(kvm.events));
		return 0;
	case KVM_SET_VCPU_EVENTS:
		memcpy(&kvm.events, arg, sizeof(kvm.events));
		kvm.events_set++;
		return 0;
	case KVM_GET_MP_STATE:
		memcpy(arg, &kvm.mp_state, sizeof(kvm.mp_state));
		return kvm.no_mp_state ? -EINVAL : 0;
	case KVM_GET_NESTED_STATE:
		if (kvm.no_nested)
			return -EINVAL;
		memcpy(arg, &kvm.nested, sizeof(kvm.nested));
		return 0;
	case KVM_GET_MSRS:
		assert_int_equal(m->nmsrs, 1);
		m->entries[0].data = m->entries[0].index == RF_MSR_LSTAR ? kvm.lstar : 0;
		return 1;
	case KVM_GET_CPUID2:
		memcpy(c->entries, kvm.cpuid, sizeof(kvm.cpuid));
		c->nent = kvm.nr_cpuid;
		return 0;
	case KVM_RUN:
		assert_int_equal(area.immediate_exit, 1);
		assert_int_equal(area.msr.error, 0);
		area.msr.error = 1;
		kvm.regs.rip += 2; /* what completes moves it */
		kvm.runs++;
		return kvm.parts-- > 0 ? 0 : -EINTR;
	}
	fail();
	return -EINVAL;
}

long syscall(long number, ...)
{
	unsigned long request;
	va_list ap;
	void *arg;
	int r;

	va_start(ap, number);
	va_arg(ap, unsigned long);
	request = va_arg(ap, unsigned long);
	arg = va_arg(ap, void *);
	va_end(ap);
	assert_int_equal(number, SYS_ioctl);
	r = ask(request, arg);
	if (r >= 0)
		return r;
	errno = -r;
	return -1;
}

/* In a kernel. */
static void anew(void)
{
	memset(&kvm, 0, sizeof(kvm));
	memset(&area, 0, sizeof(area));
	memset(&vcpu.wait, 0, sizeof(vcpu.wait));
	kvm.sregs.cr0 = 0x80050033;
	kvm.sregs.cr3 = 0x1000;
	kvm.sregs.efer = 0xd01;
	kvm.nested.flags = KVM_STATE_NESTED_GIF_SET;
	kvm.nested.format = KVM_STATE_NESTED_FORMAT_SVM;
	kvm.lstar = 0x1234;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

/* As a reset leaves it. */
static void reset(void)
{
	anew();
	kvm.sregs = (struct kvm_sregs){ .cr0 = 0x60000010 };
	kvm.sregs.cs.selector = 0xf000;
	kvm.sregs.cs.base = 0xffff0000;
	kvm.regs = (struct kvm_regs){ .rip = 0xfff0, .rflags = 2, .rdx = 0x600 };
	kvm.lstar = 0;
}

static enum rf_vcpu_class class(void)
{
	struct rf_cpu_state s = rf_arch_state(&vcpu);

	assert_int_equal(s.entry, kvm.lstar);
	return s.class;
}

static void classes(void **state)
{
	anew();
	assert_int_equal(class(), RF_CPU_KERNEL);
	kvm.sregs.efer &= ~UINT64_C(0x400);
	assert_int_equal(class(), RF_CPU_OTHER);
	anew();
	kvm.sregs.cr0 &= ~UINT64_C(0x80000000);
	assert_int_equal(class(), RF_CPU_OTHER);
	/* Each part of a reset's state. */
	reset();
	assert_int_equal(class(), RF_CPU_RESET);
	for (int i = 0; i < 10; i++) {
		reset();
		switch (i) {
		case 0:
			kvm.sregs.cr0 |= 1;
			break;
		case 1:
			kvm.sregs.cr0 |= 0x80000000;
			break;
		case 2:
			kvm.sregs.cr3 = 0x1000;
			break;
		case 3:
			kvm.sregs.cr4 = 0x20;
			break;
		case 4:
			kvm.sregs.efer = 0x100;
			break;
		case 5:
			kvm.lstar = 1;
			break;
		case 6:
			kvm.regs.rip = 0xfff3;
			break;
		case 7:
			kvm.regs.rflags = 0x202;
			break;
		case 8:
			kvm.sregs.cs.selector = 0x1000;
			break;
		case 9:
			kvm.sregs.cs.base = 0xf0000;
			break;
		}
		assert_int_equal(class(), RF_CPU_OTHER);
	}
}

static void guests_guests(void **state)
{
	anew();
	kvm.nested.flags |= KVM_STATE_NESTED_GUEST_MODE;
	assert_int_equal(class(), RF_CPU_NESTED);
	assert_true(rf_cpu_nested(&vcpu));
	/* About to, or just back. */
	anew();
	kvm.nested.flags = 0;
	assert_int_equal(class(), RF_CPU_NESTED);
	assert_false(rf_cpu_nested(&vcpu));
	assert_true(rf_cpu_switching(&vcpu));
	/* VMX has no GIF. */
	kvm.nested.format = KVM_STATE_NESTED_FORMAT_VMX;
	assert_int_equal(class(), RF_CPU_KERNEL);
	assert_false(rf_cpu_switching(&vcpu));
	kvm.nested.flags = KVM_STATE_NESTED_GUEST_MODE;
	assert_true(rf_cpu_switching(&vcpu));
	anew();
	kvm.no_nested = true;
	assert_int_equal(class(), RF_CPU_KERNEL);
	assert_false(rf_cpu_nested(&vcpu));
	/* The firmware's own mode, where KVM says that the field is valid. */
	anew();
	kvm.events.smi.smm = 1;
	assert_false(rf_cpu_in_smm(&vcpu));
	kvm.events.flags = KVM_VCPUEVENT_VALID_SMM;
	assert_true(rf_cpu_in_smm(&vcpu));
	assert_int_equal(class(), RF_CPU_NESTED);
	assert_false(rf_cpu_nested(&vcpu));
	kvm.events.smi.smm = 0;
	assert_int_equal(class(), RF_CPU_KERNEL);
}

static bool loads(unsigned at, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[8];
	} m = { .head.nmsrs = 8 };

	for (unsigned i = 0; i < 8; i++)
		m.entries[i].index = 0x10 + i;
	m.entries[at] = (struct kvm_msr_entry){ .index = index, .data = value };
	return rf_arch_loads(&vcpu, KVM_SET_MSRS, &m);
}

/* A guest makes a VMM put back what it has read; what it does not hold yet is a load. */
static void what_is_a_load(void **state)
{
	anew();
	for (unsigned at = 0; at < 8; at++) {
		assert_true(loads(at, RF_MSR_LSTAR, 0x9999));
		assert_false(loads(at, RF_MSR_LSTAR, 0x1234)); /* the one it has */
		assert_false(loads(at, RF_MSR_LSTAR, 0));
		assert_false(loads(at, 0xc0000083, 0x9999));
	}
	assert_false(rf_arch_loads(&vcpu, KVM_SET_MSRS, NULL));
	assert_true(rf_arch_loads(&vcpu, KVM_SET_MP_STATE, NULL));
	assert_false(rf_arch_loads(&vcpu, KVM_SET_REGS, &kvm.regs));
	assert_true(rf_arch_saves(KVM_GET_REGS));
	assert_false(rf_arch_saves(KVM_GET_SREGS));
}

static int faults(uint32_t vector)
{
	struct rf_msg_verdict v = {
		.vector = vector, .error_code = 3, .cr2 = 0x5000, .rip = 0x6000, .rflags = 0x46
	};

	for (uint64_t i = 0; i < 16; i++)
		v.gpr[i] = 0x100 + i;
	return rf_arch_fault(&vcpu, &v);
}

static void delivered_next(void **state)
{
	anew();
	kvm.events.exception.nr = 14;
	assert_int_equal(rf_cpu_delivers(&vcpu), RF_NO_VECTOR);
	/* Which a KVM without KVM_CAP_EXCEPTION_PAYLOAD calls both. */
	kvm.events.exception.injected = kvm.events.exception.pending = 1;
	assert_int_equal(rf_cpu_delivers(&vcpu), RF_NO_VECTOR);
	kvm.events.exception.pending = 0;
	assert_int_equal(rf_cpu_delivers(&vcpu), 14);
	/* What is lost is told first. */
	kvm.events.nmi.injected = 1;
	assert_int_equal(rf_cpu_delivers(&vcpu), 2);
	kvm.events.interrupt.injected = 1;
	kvm.events.interrupt.nr = 0x30;
	assert_int_equal(rf_cpu_delivers(&vcpu), 0x30);
}

/* In HLT, for a SIPI; a KVM that does not say has none that waits inside. */
static void waits(void **state)
{
	static const uint32_t inside[] = { KVM_MP_STATE_HALTED, KVM_MP_STATE_INIT_RECEIVED,
					   KVM_MP_STATE_UNINITIALIZED };

	anew();
	kvm.mp_state = KVM_MP_STATE_RUNNABLE;
	assert_false(rf_cpu_waits(&vcpu));
	for (int i = 0; i < 6; i++) {
		kvm.mp_state = inside[i % 3];
		kvm.no_mp_state = i > 2;
		assert_int_equal(rf_cpu_waits(&vcpu), i < 3);
	}
}

static void injected(void **state)
{
	static const uint32_t good[] = { 8, 13, 14 };

	for (uint32_t vector = 0; vector < 40; vector++) {
		if (vector == 8 || vector == 13 || vector == 14)
			continue;
		anew();
		assert_int_equal(faults(vector), -EINVAL);
		assert_int_equal(kvm.regs_set + kvm.sregs_set + kvm.events_set, 0);
	}
	assert_int_equal(faults(14 + 256), -EINVAL);
	for (int i = 0; i < 3; i++) {
		anew();
		kvm.sregs.cr2 = 0x77;
		kvm.events.exception.pending = 1;
		kvm.events.exception_has_payload = 1;
		kvm.events.flags = KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SMM;
		kvm.events.interrupt.injected = kvm.events.nmi.injected = 1;
		assert_int_equal(faults(good[i]), 0);
		assert_int_equal(kvm.regs.rip, 0x6000);
		assert_int_equal(kvm.regs.rflags, 0x46);
		assert_int_equal(kvm.regs.rax, 0x100);
		assert_int_equal(kvm.regs.rcx, 0x101);
		assert_int_equal(kvm.regs.rsp, 0x104);
		assert_int_equal(kvm.regs.r15, 0x10f);
		assert_int_equal(kvm.sregs.cr2, good[i] == 14 ? 0x5000 : 0x77);
		assert_int_equal(kvm.events.exception.injected, 1);
		assert_int_equal(kvm.events.exception.pending, 0);
		assert_int_equal(kvm.events.exception.nr, good[i]);
		assert_int_equal(kvm.events.exception.has_error_code, 1);
		assert_int_equal(kvm.events.exception.error_code, 3);
		assert_int_equal(kvm.events.exception_has_payload, 0);
		assert_int_equal(kvm.events.flags, 0); /* what others have queued since */
		/* Of a double fault alone they were the first. */
		assert_int_equal(kvm.events.interrupt.injected, good[i] != 8);
		assert_int_equal(kvm.events.nmi.injected, good[i] != 8);
	}
}

/* What is dropped moves no register, and no kick of the VMM's is lost or made. */
static void abandoned(void **state)
{
	for (int wanted = 0; wanted < 2; wanted++) {
		anew();
		area.immediate_exit = (uint8_t)wanted;
		vcpu.wait.saved.reason = 5;
		kvm.regs.rip = 0x4000;
		kvm.parts = 3;
		assert_int_equal(rf_arch_abandon(&vcpu), 0);
		assert_int_equal(kvm.runs, 4);
		assert_int_equal(kvm.regs.rip, 0x4000);
		assert_int_equal(area.immediate_exit, wanted);
		assert_int_equal(vcpu.wait.saved.reason, 0);
	}
	anew();
	kvm.parts = 1000;
	assert_int_equal(rf_arch_abandon(&vcpu), -EIO);
	assert_int_equal(kvm.runs, 64);
}

static void efer(void **state)
{
	static const uint64_t always[] = { 1, 0x100, 0x400, 0x800, 0x2000 };
	static const struct {
		uint64_t bit;
		struct kvm_cpuid_entry2 leaf;
	} by_leaf[] = {
		{ 1 << 12, { .function = 0x80000001, .ecx = 1 << 2 } },
		{ 1 << 14, { .function = 0x80000001, .edx = 1 << 25 } },
		{ 1 << 15, { .function = 0x80000001, .ecx = 1 << 17 } },
		{ 1 << 21, { .function = 0x80000021, .eax = 1 << 8 } },
	};

	anew();
	for (size_t i = 0; i < 5; i++)
		assert_true(rf_cpu_offers_efer(&vcpu, always[i]));
	for (size_t i = 0; i < 4; i++) {
		anew();
		assert_false(rf_cpu_offers_efer(&vcpu, by_leaf[i].bit));
		kvm.nr_cpuid = 2;
		kvm.cpuid[1] = by_leaf[i].leaf;
		assert_true(rf_cpu_offers_efer(&vcpu, by_leaf[i].bit | 0xd01));
		for (size_t n = 0; n < 4; n++)
			assert_int_equal(rf_cpu_offers_efer(&vcpu, by_leaf[n].bit), n == i);
		/* The same bits of another leaf say nothing. */
		kvm.cpuid[1].function ^= 2;
		assert_false(rf_cpu_offers_efer(&vcpu, by_leaf[i].bit));
	}
	assert_false(rf_cpu_offers_efer(&vcpu, UINT64_C(1) << 40));
	assert_false(rf_cpu_offers_efer(&vcpu, 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(classes),	  cmocka_unit_test(guests_guests),
		cmocka_unit_test(what_is_a_load), cmocka_unit_test(delivered_next), cmocka_unit_test(waits), cmocka_unit_test(injected),
		cmocka_unit_test(abandoned),	  cmocka_unit_test(efer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
