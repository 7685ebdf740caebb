// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The watched page: a writable slot over memory the host has mapped read-only. A guest store to it
 * makes KVM_RUN return -EFAULT before it executes, whatever the instruction (locked, wide,
 * crossing). With every other vCPU held, the page is opened, the one instruction single-stepped,
 * the word compared, the page closed: stores execute natively and once, so a locked
 * read-modify-write beside the word stays atomic, which emulation through a read-only slot would
 * not give.
 */
#include "hv/watch.h"

#include <string.h>
#include <sys/mman.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/seal.h"

/* Changes with every vCPU outside. */
static struct {
	bool armed;
	uint64_t gpa, value;
	uint32_t len;
} watch;

/* Each page an instruction touches may cost one step without progress; the next fault steps
 * again. */
#define MAX_STEPS 4

static uint64_t word(const struct rf_overlay *o)
{
	uint64_t value = 0;

	memcpy(&value, o->copy + (watch.gpa - o->gpa.start), watch.len);
	return value;
}

static void set_debug(struct rf_vcpu *v, uint32_t control)
{
	struct kvm_guest_debug dbg = v->vmm_debug;

	dbg.control |= control;
	if (rf_kvm(v->fd, KVM_SET_GUEST_DEBUG, &dbg))
		rf_fatal("KVM refused single-stepping");
}

static void protect(struct rf_overlay *o, int prot)
{
	if (syscall(SYS_mprotect, o->copy, RF_PAGE_SIZE, prot))
		rf_fatal("the watched page could not be protected");
}

/* Value before `old`, and now: true when it has just become the awaited one. */
static bool became(const struct rf_overlay *o, uint64_t old)
{
	return old != watch.value && word(o) == watch.value;
}

/*
 * Runs the instruction. A trap may come before it has executed: a CPU that keeps the trap pending
 * when the store first leaves the guest for the page that was just opened delivers it on the next
 * entry (Intel SDM 28.3.4 clears it there, Bochs 2.7 does not). RIP has not moved then, and to call
 * it stepped would be to fault on it for ever.
 */
static int step_once(struct rf_vcpu *v, const struct rf_overlay *o, uint64_t old)
{
	uint64_t before = rf_arch_where(v);
	int err;

	for (int i = 0; i < MAX_STEPS; i++) {
		err = rf_kvm(v->fd, KVM_RUN, NULL);
		if (err || v->run->exit_reason != KVM_EXIT_DEBUG || word(o) != old ||
		    rf_arch_where(v) != before)
			break;
	}
	return err;
}

int rf_watch_arm(uint64_t gpa, uint32_t len, uint64_t value)
{
	uint64_t page = rf_page_down(gpa), current = 0;
	struct rf_overlay o;
	int err;

	if ((len != 4 && len != 8) || gpa % len || !rf_guestmem_is_ram(page, RF_PAGE_SIZE))
		return -EINVAL;
	err = rf_overlay_alloc(&o, RF_OVERLAY_WATCH, page, RF_PAGE_SIZE);
	if (err)
		return err;
	rf_gate_close();
	rf_overlay_take(&o);
	memcpy(&current, o.copy + (gpa - page), len);
	if (current == value)
		err = -EALREADY;
	else if (syscall(SYS_mprotect, o.copy, RF_PAGE_SIZE, PROT_READ))
		err = -errno;
	if (err) {
		rf_munmap(o.map, o.map_size);
	} else {
		watch.armed = true;
		watch.gpa = gpa;
		watch.len = len;
		watch.value = value;
		rf_guestmem_overlay(&o, 1);
	}
	rf_gate_open();
	return err;
}

void rf_watch_disarm(void)
{
	watch.armed = false;
}

bool rf_watch_armed(void)
{
	return watch.armed;
}

void rf_watch_describe(struct rf_msg_event *ev)
{
	ev->watch.gpa = watch.gpa;
	ev->watch.new_value = watch.value;
}

int rf_watch_step(struct rf_vcpu *v, bool *hit)
{
	uint32_t step = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | rf_arch_step_flags();
	struct rf_overlay *o;
	uint64_t old;
	int err;

	rf_gate_close();
	o = watch.armed ? rf_overlay_at(&rf_guestmem, watch.gpa) : NULL;
	if (!o) {
		/* Disarmed between the fault and here: just run on. */
		rf_gate_open();
		v->run->exit_reason = KVM_EXIT_DEBUG;
		return 0;
	}
	rf_count(RF_COUNT_WATCH);
	old = word(o);
	protect(o, PROT_READ | PROT_WRITE);
	set_debug(v, step);
	err = step_once(v, o, old);
	set_debug(v, 0);
	protect(o, PROT_READ);
	*hit = became(o, old);
	rf_overlay_mirror(o);
	rf_gate_open();
	return err;
}

bool rf_watch_store(uint64_t gpa, const uint8_t *bytes, uint32_t len, bool *hit)
{
	struct rf_overlay *o;
	bool stored = true;

	RF_LOCKED();
	rf_gate_close();
	o = rf_overlay_at(&rf_guestmem, gpa);
	if (o && o->kind == RF_OVERLAY_WATCH && rf_within(gpa, len, o->gpa.start, o->gpa.size)) {
		uint64_t old = word(o);

		rf_count(RF_COUNT_WATCH);
		protect(o, PROT_READ | PROT_WRITE);
		memcpy(o->copy + (gpa - o->gpa.start), bytes, len);
		protect(o, PROT_READ);
		rf_overlay_mirror(o);
		o->dirty[0] = 1;
		*hit = became(o, old);
	} else {
		/* The watch ended since KVM reported the store: the guest's own again, or
		 * sealed. */
		stored = rf_guestmem_write(gpa, bytes, len);
	}
	rf_gate_open();
	return stored;
}
