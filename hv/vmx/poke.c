// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Linux changes its text through one function, a few bytes at a time: it maps the page where it may
 * be written, stores, unmaps and flushes (arch/x86/kernel/alternative.c __text_poke()). With text
 * sealed each store in there is an exit, and what is one copy to the kernel is up to four stores.
 * A trap behind the function's prologue makes one exit of it all, and spares the guest the rest.
 *
 * Nothing is trusted for coming this way: what is stored is what the table allows from anybody.
 *
 * It is also where a change can be refused before anything is held. Further on the function holds a
 * lock, runs on tables of its own with interrupts off, and ends in BUG() when the bytes are not
 * there; a fault in there leaves text_mutex taken for good.
 */
#include <string.h>

#include "hv/vmx/poke.h"

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/life.h"
#include "hv/text.h"
#include "hv/vmx/trap.h"

/* From the guest's plain memory, where it lies in one page; `to` must be sealed text: an address
 * outside of it leads to a frame that is none. */
static bool read_source(struct rf_vcpu *v, uint64_t gva, uint8_t *buf, size_t len, uint64_t to)
{
	const struct rf_region *image = &rf_board->image;
	struct kvm_translation t = { .linear_address = gva };

	if (gva % RF_PAGE_SIZE > RF_PAGE_SIZE - len)
		return false;
	if (rf_within(gva, len, image->gva, image->size))
		t.physical_address = image->gpa + (gva - image->gva);
	else if (rf_kvm(v->fd, KVM_TRANSLATE, &t) || !t.valid)
		return false;
	RF_LOCKED();
	return rf_text_at(to, len) && !rf_guestmem_read(t.physical_address, buf, len);
}

bool rf_poke(struct rf_vcpu *v, uint64_t rip, const struct rf_trap_site *site)
{
	struct rf_msg_event *ev = &v->wait.event;
	struct kvm_regs r = v->arch->at_out;
	uint64_t gpa = site->gpa + (r.rsi - rip);
	struct rf_poke p = rf_traps_poke();
	bool ours = p.how && r.rdi == p.how && r.rcx && r.rcx <= sizeof(ev->write.bytes) &&
		    read_source(v, r.rdx, ev->write.bytes, r.rcx, gpa);
	bool done = ours && rf_text_settle(v, gpa, ev->write.bytes, (uint32_t)r.rcx, false);

	ev->write.gpa = gpa;
	ev->write.len = (uint32_t)r.rcx;
	if (ours && !done && !rf_life_allowed()->observe)
		return false;
	rf_count(done ? RF_COUNT_POKED : RF_COUNT_TRAP);
	if (done) {
		r.rax = r.rsi;
		r.rip = p.back;
	} else {
		r.rsp -= p.frame; /* its flags are nobody's: the compiler only makes room */
		r.rip = rip + site->len;
	}
	/*
	 * The OUT is still to be completed, which comes to nothing once RIP is another: x86.c
	 * complete_fast_pio_out() compares it with the one of the exit. Others follow at once: two
	 * system calls are spared where KVM_RUN can take the registers along (api.rst,
	 * KVM_CAP_SYNC_REGS) and the VMM does not have it do so.
	 */
	if (!rf_cpu_can.syncs_regs || v->run->kvm_valid_regs || v->run->kvm_dirty_regs) {
		if (rf_kvm(v->fd, KVM_SET_REGS, &r))
			rf_fatal("a trap could not be taken");
		return true;
	}
	v->run->s.regs.regs = r;
	v->run->kvm_valid_regs = v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	v->arch->regs_in_run = true;
	return true;
}

void rf_poke_settle(struct rf_vcpu *v)
{
	if (!v->arch->regs_in_run)
		return;
	v->arch->regs_in_run = false;
	if (v->run->kvm_dirty_regs && rf_kvm(v->fd, KVM_SET_REGS, &v->run->s.regs.regs))
		rf_fatal("a trap could not be taken");
	v->run->kvm_valid_regs = v->run->kvm_dirty_regs = 0;
}

void rf_poke_ran(struct rf_vcpu *v)
{
	v->arch->at_out_known = v->arch->regs_in_run && !v->run->kvm_dirty_regs;
	if (v->arch->at_out_known)
		v->arch->at_out = v->run->s.regs.regs;
	rf_poke_settle(v);
}
