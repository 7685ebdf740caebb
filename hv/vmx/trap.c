// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * No CPU lets a hypervisor see LGDT, LIDT, LLDT and LTR through stock KVM. So each of them in
 * sealed text is replaced, in the copy that the guest runs, by an OUT that exits; what it would
 * have loaded is read and judged by the monitor, and loaded here. Others, out of modules or the
 * middle of an instruction, are found by comparing the registers every now and then.
 *
 * The VMM's own pages keep the instructions: what it saves, dumps or migrates is the kernel as it
 * was built. A vCPU must therefore never be seen between the OUT and the end of the instruction it
 * stands for: RIP goes from the one to the other here, no filler is ever run.
 */
#include "hv/vmx/trap.h"

#include <string.h>

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/text.h"
#include "hv/vmx/decode.h"
#include "hv/vmx/tables.h"

/* The traps in sealed text. They change under rf_vm.lock with every vCPU outside. */
static struct {
	bool set; /* the monitor has said what it wants */
	uint32_t count;
	uint64_t cr0, cr4;
	struct rf_poke poke;
	uint64_t poke_rip; /* 0: there is none */
	struct rf_trap_site sites[RF_TRAP_MAX];
	uint64_t rips[RF_TRAP_MAX]; /* where the kernel maps them */
} traps;

const uint64_t *rf_traps_at(uint32_t *count)
{
	*count = traps.count;
	return traps.rips;
}

struct rf_poke rf_traps_poke(void)
{
	RF_LOCKED();
	return traps.poke;
}

/* --- where a vCPU is ---------------------------------------------------------- */

void rf_cpu_where(struct rf_vcpu *v, uint64_t *rip, uint32_t *cpl)
{
	struct kvm_sregs s = { .ss.dpl = 0 };

	if (!v->arch->at_out_known)
		rf_cpu_get(v, KVM_GET_REGS, &v->arch->at_out);
	v->arch->at_out_known = false;
	/* Patching comes in tens of thousands, and is judged whoever does it. */
	if (!rf_trap_hit(traps.poke_rip, v->arch->at_out.rip))
		rf_cpu_get(v, KVM_GET_SREGS, &s);
	*rip = v->arch->at_out.rip;
	*cpl = s.ss.dpl; /* as in rf_arch_regs() */
}

/* On from rip to `to`, unless the VMM has moved the vCPU elsewhere meanwhile. */
static int go(struct rf_vcpu *v, uint64_t rip, uint64_t to)
{
	struct kvm_regs r;

	rf_cpu_get(v, KVM_GET_REGS, &r);
	if (r.rip != rip)
		return 0;
	r.rip = to;
	if (v->wait.event.trap.kind == RF_TRAP_POKE)
		r.rax = r.rsi; /* `to` is the function's end: what it returns */
	return rf_kvm(v->fd, KVM_SET_REGS, &r);
}

/* --- planting --------------------------------------------------------------- */

static int check_sites(const struct rf_msg_traps *m)
{
	uint32_t pokes = 0;

	if (m->count > RF_TRAP_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < m->count; i++) {
		const struct rf_trap_site *s = &m->sites[i];
		const struct rf_overlay *o = rf_text_at(s->gpa, s->len);

		if (s->len <= RF_TRAP_LEN || s->len > sizeof(s->bytes) || s->reg > 15 ||
		    s->kind < RF_TRAP_LIDT || s->kind > RF_TRAP_KEXEC || !o)
			return -EINVAL;
		if (s->kind == RF_TRAP_POKE && (pokes++ || m->poke.back - o->gva >= o->gpa.size))
			return -EINVAL;
		if (i && (s->gpa < s[-1].gpa || s->gpa - s[-1].gpa < s[-1].len))
			return -EINVAL;
	}
	return 0;
}

static uint8_t *code_of(const struct rf_trap_site *s)
{
	struct rf_overlay *o = rf_text_at(s->gpa, s->len);

	return o->copy + (s->gpa - o->gpa.start);
}

static void plant(const struct rf_msg_traps *m)
{
	traps.set = true;
	traps.count = m->count;
	traps.cr0 = m->cr0;
	traps.cr4 = m->cr4;
	traps.poke = m->poke;
	memcpy(traps.sites, m->sites, sizeof(traps.sites));
	for (uint32_t i = 0; i < m->count; i++) {
		const struct rf_trap_site *at = &traps.sites[i];
		const struct rf_overlay *o = rf_text_at(at->gpa, at->len);
		uint8_t *code = code_of(at);

		traps.rips[i] = o->gva + (at->gpa - o->gpa.start);
		if (at->kind == RF_TRAP_POKE)
			traps.poke_rip = traps.rips[i];
		for (int n = 0; n < at->len; n++)
			code[n] = RF_TRAP_BYTE(n);
	}
	rf_guestmem_stand_ins(traps.sites, traps.count);
}

static void publish(const uint8_t *note)
{
	rf_board_begin();
	rf_board->traps_count = traps.count;
	memcpy(rf_board->traps_note, note, sizeof(rf_board->traps_note));
	memcpy(rf_board->traps, traps.sites, sizeof(rf_board->traps));
	rf_board_end();
}

int rf_arch_plant(const struct rf_msg_traps *m)
{
	int err = traps.set ? -EALREADY : check_sites(m);

	if (err)
		return err;
	rf_gate_close(); /* nobody fetches them half written */
	for (uint32_t i = 0; !err && i < m->count; i++)
		if (memcmp(code_of(&m->sites[i]), m->sites[i].bytes, m->sites[i].len))
			err = -EILSEQ;
	if (!err) {
		plant(m);
		rf_tables_every(m->check_ms * UINT64_C(1000000));
		publish(m->note);
	}
	rf_gate_open();
	return err;
}

void rf_traps_forget(void)
{
	for (uint32_t i = 0; i < traps.count; i++)
		memcpy(code_of(&traps.sites[i]), traps.sites[i].bytes, traps.sites[i].len);
	memset(&traps, 0, sizeof(traps));
	rf_guestmem_stand_ins(NULL, 0);
	rf_tables_every(0);
	publish((const uint8_t[32]){ 0 });
}

/* --- executed --------------------------------------------------------------- */

/* Where KVM tells (api.rst KVM_CAP_X86_GUEST_MODE, 6.11) nobody need ask. */
static bool in_guests_guest(struct rf_vcpu *v)
{
	return rf_cpu_can.tells_guest_mode ? v->run->flags & KVM_RUN_X86_GUEST_MODE
					   : rf_cpu_nested(v);
}

bool rf_trap_find(struct rf_vcpu *v, uint64_t *rip, struct rf_trap_site *out)
{
	RF_LOCKED();
	for (uint32_t i = 0; i < traps.count; i++) {
		if (!rf_trap_hit(traps.rips[i], *rip))
			continue;
		*rip = traps.rips[i];
		*out = traps.sites[i];
		return !in_guests_guest(v);
	}
	return false;
}

void rf_trap_take(struct rf_vcpu *v, uint64_t rip)
{
	struct kvm_regs r;

	if (rf_cpu_complete(v))
		rf_fatal("a trap could not be taken");
	rf_cpu_get(v, KVM_GET_REGS, &r);
	r.rip = rip;
	if (rf_kvm(v->fd, KVM_SET_REGS, &r))
		rf_fatal("a trap could not be taken");
}

bool rf_trap_settle(struct rf_vcpu *v, const struct rf_trap_site *site, uint64_t *value)
{
	struct rf_msg_verdict fault = { .vector = 13 };
	struct rf_vcpu_regs r;
	uint64_t cleared;
	int err;

	if (site->kind != RF_TRAP_MOV_CR0 && site->kind != RF_TRAP_MOV_CR4)
		return false;
	rf_arch_regs(v, &r);
	*value = r.gpr[site->reg];
	cleared = site->kind == RF_TRAP_MOV_CR0 ? r.cr0 & ~*value & traps.cr0
						: r.cr4 & ~*value & traps.cr4;
	if (cleared)
		return false;
	memcpy(fault.gpr, r.gpr, sizeof(fault.gpr));
	fault.rip = r.rip;
	fault.rflags = r.rflags;
	err = rf_tables_load(v, site->kind, NULL, *value) ? rf_arch_fault(v, &fault)
							  : go(v, r.rip, r.rip + site->len);
	if (err)
		rf_fatal("a move to a control register could not be completed");
	return true;
}

int rf_trap_enforce(struct rf_vcpu *v, bool allowed)
{
	const struct rf_msg_event *ev = &v->wait.event;
	const struct rf_msg_verdict *verdict = &v->wait.verdict;
	const uint64_t end = rf_traps_poke().back; /* of the patching function; 0: released */

	if (ev->trap.kind == RF_TRAP_POKE) {
		if (!allowed)
			rf_text_denied(ev->write.gpa, ev->write.len);
		if (allowed || !verdict->vector) /* it was made, or is dropped */
			return end ? go(v, ev->regs.rip, end) : 0;
	}
	/* What the CPU would not take is the guest's own fault. */
	if (!allowed || rf_tables_load(v, ev->trap.kind, &verdict->table, ev->trap.value))
		return rf_arch_fault(v, verdict);
	return go(v, ev->regs.rip, ev->regs.rip + ev->trap.len);
}
