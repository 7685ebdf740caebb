// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Pinned bits of CR0 and CR4, put back before the guest runs on.
 *
 * The host's watch (hv/bpf/cr.bpf.c) marks a vCPU that is about to clear one and signals its
 * thread; the signal is the gate's own. KVM executes no guest instruction between the write and the
 * return of KVM_RUN:
 *  - the exit handler returns to vcpu_run(), which looks for work, a signal among it, after each
 *    vcpu_enter_guest() and then returns -EINTR (arch/x86/kvm/x86.c vcpu_run(),
 *    xfer_to_guest_mode_handle_work());
 *  - one that arrives later than that look is seen by vcpu_enter_guest() with interrupts off,
 * before the entry (kvm_vcpu_exit_request());
 *  - MOV to CR is no fast path: those are chosen by exit reason (svm/svm.c
 * svm_exit_handlers_fastpath(), vmx/vmx.c vmx_exit_handlers_fastpath());
 *  - instructions that KVM emulates end in the same loop, one at a time; the one loop that emulates
 *    several looks for work after each (vmx/vmx.c handle_invalid_guest_state()).
 *
 * The mark stays until it is looked at, after whichever KVM_RUN that is. A lost signal is counted
 * by the program, and the channel's thread then gets every vCPU out (rf_cr_tick()).
 */
#include "hv/vmx/cr.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "hv/board.h"
#include "hv/vmx/cpu.h"

static struct rf_cr_page *page; /* NULL: this host has no watch */
static uint64_t lost_seen;
static struct {
	uint64_t cr0, cr4;
} pinned, before; /* now, and at the last release; they change with every vCPU outside */

/* The page that descriptor `text` names, or NULL. The descriptor is closed. */
static struct rf_cr_page *map(const char *text)
{
	struct rf_cr_page *p;
	struct stat st;
	char *end;
	long fd = strtol(text, &end, 10);

	if (!*text || *end || fd < 3 || fd > 1 << 20 || fstat((int)fd, &st))
		return NULL;
	/* A BPF map has no size; beyond a file's end a look would be a fault. */
	if (S_ISREG(st.st_mode) && st.st_size < (off_t)sizeof(*p))
		return NULL;
	p = rf_mmap(sizeof(*p), PROT_READ | PROT_WRITE, MAP_SHARED, (int)fd);
	if (p == MAP_FAILED)
		return NULL;
	if (p->magic != RF_CR_MAGIC || p->revision != RF_CR_REVISION) {
		rf_munmap(p, sizeof(*p));
		return NULL;
	}
	close((int)fd);
	return p;
}

int rf_cr_init(void)
{
	const char *text = secure_getenv(RF_CR_ENVIRONMENT);

	if (!text || page)
		return 0;
	page = map(text);
	if (!page)
		return -EINVAL;
	page->signal = (uint32_t)rf_gate_signal();
	return 0;
}

bool rf_cr_watched(void)
{
	return page;
}

int rf_cr_pin(struct rf_vcpu *boot, uint64_t cr0, uint64_t cr4, bool again)
{
	struct kvm_sregs s;

	if (pinned.cr0 | pinned.cr4)
		return -EALREADY;
	rf_cpu_get(boot, KVM_GET_SREGS, &s);
	rf_board_begin(); /* a reader keeps its copy until then */
	pinned.cr0 = cr0 & (s.cr0 | (again ? before.cr0 : 0)) & UINT32_MAX;
	pinned.cr4 = cr4 & (s.cr4 | (again ? before.cr4 : 0)) & UINT32_MAX;
	rf_board->cr0_pinned = pinned.cr0;
	rf_board->cr4_pinned = pinned.cr4;
	rf_board_end();
	if (page) {
		page->cr0_pinned = pinned.cr0;
		page->cr4_pinned = pinned.cr4;
	}
	return 0;
}

void rf_cr_unpin(void)
{
	if (pinned.cr0 | pinned.cr4)
		before = pinned;
	rf_board->cr0_pinned = rf_board->cr4_pinned = pinned.cr0 = pinned.cr4 = 0;
	if (page)
		page->cr0_pinned = page->cr4_pinned = 0;
	RF_EACH_VCPU(v) {
		if (page)
			__atomic_store_n(&page->slots[v->id], 0, __ATOMIC_RELAXED);
		v->arch->cr = (struct rf_cr_cleared){ 0 };
	}
}

/* Sets those of these bits that are pinned and clear, and notes them. */
static bool put_back(struct rf_vcpu *v, uint64_t cr0, uint64_t cr4)
{
	struct rf_cr_cleared *u = &v->arch->cr;
	struct kvm_sregs s;

	rf_cpu_get(v, KVM_GET_SREGS, &s);
	cr0 &= pinned.cr0 & ~s.cr0;
	cr4 &= pinned.cr4 & ~s.cr4;
	/* Neither a guest of the guest's nor the firmware has anything to do with what the kernel
	 * pins; RSM clears bits on its way and loads the kernel's own at its end (smm.c
	 * emulator_leave_smm()). */
	if (!(cr0 | cr4) || rf_cpu_nested(v) || rf_cpu_in_smm(v))
		return false;
	/* Found, and not told of yet: what was tried first is what is told. */
	if (!u->cr0_bits && !u->cr4_bits) {
		u->cr0 = s.cr0;
		u->cr4 = s.cr4;
	}
	u->cr0_bits |= cr0;
	u->cr4_bits |= cr4;
	s.cr0 |= cr0;
	s.cr4 |= cr4;
	/*
	 * At any exit: KVM_SET_SREGS changes neither RIP nor what completes the exit, and puts a
	 * pending interrupt back that KVM_GET_SREGS told of (x86.c __set_sregs()).
	 */
	if (rf_kvm(v->fd, KVM_SET_SREGS, &s))
		rf_fatal("pinned bits of CR0 or CR4 could not be put back");
	rf_count(RF_COUNT_CR);
	return true;
}

bool rf_cr_undo(struct rf_vcpu *v)
{
	uint64_t marks;

	if (!page || !__atomic_load_n(&page->slots[v->id], __ATOMIC_RELAXED))
		return false;
	marks = __atomic_exchange_n(&page->slots[v->id], 0, __ATOMIC_SEQ_CST);
	/* A mark is an attempt: KVM may have refused it with #GP, and then nothing is clear. */
	return put_back(v, marks >> 32, marks & UINT32_MAX);
}

#define LOOK 8
#define ENOUGH (2 * LOOK)
#define TOLD UINT_MAX

void rf_cr_look(struct rf_vcpu *v, uint64_t cr0, uint64_t cr4, bool comes_up)
{
	unsigned *missing = &v->arch->kept.cr_missing;

	if (!(pinned.cr0 & ~cr0) && !(pinned.cr4 & ~cr4))
		*missing = 0;
	else if (*missing != TOLD && (*missing += comes_up ? 1 : LOOK) >= ENOUGH)
		/* Else a guest's guest, or SMM: again. */
		*missing = put_back(v, UINT64_MAX, UINT64_MAX) ? TOLD : ENOUGH - 1;
}

int rf_cr_let(struct rf_vcpu *v, uint64_t cr0_bits, uint64_t cr4_bits)
{
	struct kvm_sregs s;

	rf_cpu_get(v, KVM_GET_SREGS, &s);
	s.cr0 &= ~cr0_bits;
	s.cr4 &= ~cr4_bits;
	return rf_kvm(v->fd, KVM_SET_SREGS, &s);
}

void rf_cr_tick(void)
{
	uint64_t lost;

	if (!page)
		return;
	lost = __atomic_load_n(&page->lost, __ATOMIC_RELAXED);
	rf_board->counters[RF_COUNT_CR_CLEARED] = __atomic_load_n(&page->cleared, __ATOMIC_RELAXED);
	rf_board->counters[RF_COUNT_CR_LOST] = lost;
	if (lost == lost_seen)
		return;
	lost_seen = lost;
	RF_LOCKED();
	rf_gate_close(); /* each looks at its mark before it enters again */
	rf_gate_open();
}
