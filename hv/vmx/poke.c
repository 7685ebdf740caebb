/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Linux changes its text through one function, a few bytes at a time: it maps the page where it may
 * be written, stores, unmaps and flushes (arch/x86/kernel/alternative.c __text_poke()). With text
 * sealed each store in there is an exit, and what is one copy to the kernel is up to four stores.
 * A trap behind the function's prologue makes one exit of it all, and spares the guest the rest.
 *
 * Nothing is trusted for coming this way: what is stored is what the table allows from anybody.
 */
#include <string.h>

#include "hv/vmx/poke.h"

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/text.h"
#include "hv/vmx/trap.h"

/* From the guest's plain memory, where it lies in one page. */
static bool read_source(struct rf_vcpu *v, uint64_t gva, uint8_t *buf, size_t len)
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
	return !rf_guestmem_read(t.physical_address, buf, len);
}

bool rf_poke(struct rf_vcpu *v, uint64_t rip, const struct rf_trap_site *site)
{
	uint8_t bytes[RF_SITE_MAX_LEN];
	struct kvm_regs r = v->arch->at_out;
	struct rf_poke p;
	bool done;

	pthread_mutex_lock(&rf_vm.lock);
	p = rf_traps_poke();
	pthread_mutex_unlock(&rf_vm.lock);
	/* A text address outside of the sealed text leads to a frame that is not sealed text. */
	done = p.how && r.rdi == p.how && r.rcx && r.rcx <= sizeof(bytes) &&
	       read_source(v, r.rdx, bytes, r.rcx) &&
	       rf_text_settle(v, site->gpa + (r.rsi - rip), bytes, (uint32_t)r.rcx);
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
		return done;
	}
	v->run->s.regs.regs = r;
	v->run->kvm_valid_regs = v->run->kvm_dirty_regs = KVM_SYNC_X86_REGS;
	v->arch->regs_in_run = true;
	return done;
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
