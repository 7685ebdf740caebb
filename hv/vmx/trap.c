/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * No CPU lets a hypervisor see LGDT, LIDT, LLDT and LTR through stock KVM. So each of them in
 * sealed text is replaced, in the copy that the guest runs, by an OUT that exits; what it would
 * have loaded is read and judged by the monitor, and loaded here. Others, out of modules or the
 * middle of an instruction, are found by comparing the registers every now and then.
 *
 * The VMM's own pages keep the instructions: what it saves, dumps or migrates is the kernel as it
 * was built. A vCPU must therefore never be seen between the OUT and the end of the instruction it
 * stands for: RIP goes from the one to the other here, no NOP is ever run.
 */
#include <string.h>
#include <time.h>

#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/decode.h"

#define CR0_PG (UINT64_C(1) << 31)
#define EFER_LMA (UINT64_C(1) << 10)
#define NOP 0x90
/* The IDT that CPUs come up with has 32 gates (arch/x86/kernel/head64.c bringup_idt_table). */
#define BRINGUP_IDT_LIMIT (32 * 16 - 1)
#define FIRST_MIB UINT64_C(0x100000)

/* System descriptor types in long mode: SDM vol. 3A table 3-2. */
#define TYPE_LDT 2
#define TYPE_TSS_BUSY 11

/* --- registers -------------------------------------------------------------- */

int rf_cpu_where(struct rf_vcpu *v, uint64_t *rip, uint32_t *cpl)
{
	struct kvm_sregs s = { .ss.dpl = 0 };
	int err = v->at_out_known ? 0 : rf_kvm(v->fd, KVM_GET_REGS, &v->at_out);

	v->at_out_known = false;
	/* Patching comes in tens of thousands, and is judged whoever does it. */
	if (!err && !rf_trap_hit(rf_vm.traps.poke_rip, v->at_out.rip))
		err = rf_kvm(v->fd, KVM_GET_SREGS, &s);
	if (err)
		return err;
	*rip = v->at_out.rip;
	*cpl = s.ss.dpl; /* as in rf_cpu_get_regs() */
	return 0;
}

/* What an unusable segment's base and limit are is not defined. */
static struct rf_table of_segment(const struct kvm_segment *s)
{
	if (s->unusable || !s->present)
		return (struct rf_table){ 0 };
	return (struct rf_table){ s->base, s->limit, s->selector, 0 };
}

static struct rf_vcpu_tables of_sregs(const struct kvm_sregs *s)
{
	return (struct rf_vcpu_tables){
		.idt = { s->idt.base, s->idt.limit, 0, 0 },
		.gdt = { s->gdt.base, s->gdt.limit, 0, 0 },
		.ldt = of_segment(&s->ldt),
		.tr = of_segment(&s->tr),
	};
}

int rf_cpu_get_tables(struct rf_vcpu *v, struct rf_vcpu_tables *out)
{
	struct kvm_sregs s;
	int err = rf_kvm(v->fd, KVM_GET_SREGS, &s);

	if (!err)
		*out = of_sregs(&s);
	return err;
}

static struct kvm_segment segment(const struct rf_table *t, uint8_t type)
{
	if (!t->selector)
		return (struct kvm_segment){ .unusable = 1 };
	return (struct kvm_segment){
		.base = t->base,
		.limit = t->limit,
		.selector = t->selector,
		.type = type,
		.present = 1,
		.g = t->limit > 0xfffff,
	};
}

static void put_dtable(struct kvm_dtable *d, const struct rf_table *t)
{
	d->base = t->base;
	d->limit = (uint16_t)t->limit;
}

/* The one that was loaded. What nobody judged is still to be compared. */
static void judged(struct rf_vcpu_tables *kept, uint32_t kind, const struct kvm_sregs *s)
{
	const struct rf_vcpu_tables now = of_sregs(s);

	if (kind == RF_TRAP_LIDT)
		kept->idt = now.idt;
	else if (kind == RF_TRAP_LGDT)
		kept->gdt = now.gdt;
	else if (kind == RF_TRAP_LLDT)
		kept->ldt = now.ldt;
	else if (kind == RF_TRAP_LTR)
		kept->tr = now.tr;
}

/* 0, or -errno: KVM takes only what the CPU would (x86.c kvm_is_valid_sregs()). */
static int load(struct rf_vcpu *v, uint32_t kind, const struct rf_table *t, uint64_t value)
{
	struct kvm_sregs s;
	int err = rf_kvm(v->fd, KVM_GET_SREGS, &s);

	if (err)
		return err;
	switch (kind) {
	case RF_TRAP_LIDT:
		put_dtable(&s.idt, t);
		break;
	case RF_TRAP_LGDT:
		put_dtable(&s.gdt, t);
		break;
	case RF_TRAP_LLDT:
		s.ldt = segment(t, TYPE_LDT);
		break;
	case RF_TRAP_LTR:
		/*
		 * The CPU also marks the descriptor busy, in memory that is the guest's. Nobody
		 * looks: Linux writes it anew before each LTR (arch/x86/include/asm/desc.h
		 * set_tss_desc(), force_reload_TR()).
		 */
		s.tr = segment(t, TYPE_TSS_BUSY);
		break;
	case RF_TRAP_MOV_CR0:
		s.cr0 = value;
		break;
	case RF_TRAP_MOV_CR4:
		s.cr4 = value;
		break;
	default:
		return -EINVAL;
	}
	/* A changed CR0 or CR4 flushes the guest's TLB: x86.c __set_sregs(),
	 * KVM_REQ_TLB_FLUSH_GUEST.
	 */
	err = rf_kvm(v->fd, KVM_SET_SREGS, &s);
	if (!err && v->kept.known)
		judged(&v->kept.tables, kind, &s);
	return err;
}

/* On behind an instruction of len bytes, unless the VMM has moved the vCPU elsewhere meanwhile. */
static int skip(struct rf_vcpu *v, uint64_t rip, uint32_t len)
{
	struct kvm_regs r;
	int err = rf_kvm(v->fd, KVM_GET_REGS, &r);

	if (err || r.rip != rip)
		return err;
	r.rip += len;
	return rf_kvm(v->fd, KVM_SET_REGS, &r);
}

/* --- planting --------------------------------------------------------------- */

static struct rf_overlay *text_of(const struct rf_trap_site *s)
{
	struct rf_overlay *o = rf_overlay_at(&rf_vm.slots, s->gpa);

	return o && o->kind == RF_OVERLAY_SEAL && o->region == RF_REGION_TEXT &&
			       s->len <= o->gpa.size - (s->gpa - o->gpa.start)
		       ? o
		       : NULL;
}

static int check_sites(const struct rf_msg_traps *m)
{
	uint32_t pokes = 0;

	if (m->count > RF_TRAP_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < m->count; i++) {
		const struct rf_trap_site *s = &m->sites[i];
		const struct rf_overlay *o = text_of(s);

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
	struct rf_overlay *o = text_of(s);

	return o->copy + (s->gpa - o->gpa.start);
}

int rf_traps_plant(const struct rf_msg_traps *m)
{
	struct rf_traps *t = &rf_vm.traps;
	int err;

	pthread_mutex_lock(&rf_vm.lock);
	if (!m->kernel || m->kernel != atomic_load(&rf_vm.kernel))
		err = -ESTALE;
	else if (rf_vm.state != RF_VM_SEALED)
		err = -EINVAL;
	else
		err = t->set ? -EALREADY : check_sites(m);
	if (err) {
		pthread_mutex_unlock(&rf_vm.lock);
		return err;
	}
	rf_gate_close(); /* nobody fetches them half written */
	for (uint32_t i = 0; !err && i < m->count; i++)
		if (memcmp(code_of(&m->sites[i]), m->sites[i].bytes, m->sites[i].len))
			err = -EILSEQ;
	if (!err) {
		t->set = true;
		t->count = m->count;
		t->cr0 = m->cr0;
		t->cr4 = m->cr4;
		memcpy(t->note, m->note, sizeof(t->note));
		t->poke = m->poke;
		memcpy(t->sites, m->sites, sizeof(t->sites));
		for (uint32_t i = 0; i < m->count; i++) {
			const struct rf_overlay *o = text_of(&t->sites[i]);
			uint8_t *code = code_of(&t->sites[i]);

			t->rips[i] = o->gva + (t->sites[i].gpa - o->gpa.start);
			if (t->sites[i].kind == RF_TRAP_POKE)
				t->poke_rip = t->rips[i];
			memset(code, NOP, t->sites[i].len);
			code[0] = RF_TRAP_OPCODE;
			code[1] = RF_TRAP_PORT;
		}
		atomic_store(&rf_vm.check_ns, m->check_ms * UINT64_C(1000000));
		rf_board_publish();
	}
	rf_gate_open();
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

void rf_traps_forget(void)
{
	for (uint32_t i = 0; i < rf_vm.traps.count; i++)
		memcpy(code_of(&rf_vm.traps.sites[i]), rf_vm.traps.sites[i].bytes,
		       rf_vm.traps.sites[i].len);
	atomic_store(&rf_vm.check_ns, 0);
	memset(&rf_vm.traps, 0, sizeof(rf_vm.traps));
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		rf_vm.vcpus[i].kept = (struct rf_kept){ .known = false };
}

/* --- executed --------------------------------------------------------------- */

#define MAX_STEPS 4 /* a debugger of the VMM's may get a step out of it */

/*
 * KVM ends the OUT without running the guest: immediate_exit, api.rst KVM_RUN. It stays raised, so
 * that a kick of the VMM's own is not lost. The lock: KVM may look the instruction up
 * (svm.c skip_emulated_instruction() without NRIPS).
 */
static int end_out(struct rf_vcpu *v)
{
	int err = 0;

	atomic_store(&v->kicked, 1);
	v->run->immediate_exit = 1;
	pthread_mutex_lock(&rf_vm.lock);
	for (int i = 0; !err && i < MAX_STEPS; i++)
		err = rf_kvm(v->fd, KVM_RUN, NULL);
	pthread_mutex_unlock(&rf_vm.lock);
	return err == -EINTR ? 0 : err ? err : -EIO;
}

/* Where KVM tells (api.rst KVM_CAP_X86_GUEST_MODE, 6.11) nobody need ask. */
static bool in_guests_guest(struct rf_vcpu *v)
{
	return rf_vm.tells_guest_mode ? v->run->flags & KVM_RUN_X86_GUEST_MODE : rf_cpu_nested(v);
}

bool rf_trap_find(struct rf_vcpu *v, uint64_t *rip, struct rf_trap_site *out)
{
	bool found = false;

	pthread_mutex_lock(&rf_vm.lock);
	for (uint32_t i = 0; !found && i < rf_vm.traps.count; i++) {
		found = rf_trap_hit(rf_vm.traps.rips[i], *rip);
		if (!found)
			continue;
		*rip = rf_vm.traps.rips[i];
		*out = rf_vm.traps.sites[i];
	}
	pthread_mutex_unlock(&rf_vm.lock);
	return found && !in_guests_guest(v);
}

void rf_trap_take(struct rf_vcpu *v, uint64_t rip)
{
	struct kvm_regs r;

	if (end_out(v) || rf_kvm(v->fd, KVM_GET_REGS, &r))
		rf_fatal("a trap could not be taken");
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
	if (rf_cpu_get_regs(v, &r))
		rf_fatal("a vCPU's registers could not be read");
	*value = r.gpr[site->reg];
	cleared = site->kind == RF_TRAP_MOV_CR0 ? r.cr0 & ~*value & rf_vm.traps.cr0
						: r.cr4 & ~*value & rf_vm.traps.cr4;
	if (cleared)
		return false;
	memcpy(fault.gpr, r.gpr, sizeof(fault.gpr));
	fault.rip = r.rip;
	fault.rflags = r.rflags;
	err = load(v, site->kind, NULL, *value) ? rf_cpu_fault(v, &fault)
						: skip(v, r.rip, site->len);
	if (err)
		rf_fatal("a move to a control register could not be completed");
	return true;
}

int rf_trap_enforce(struct rf_vcpu *v, bool allowed)
{
	const struct rf_msg_event *ev = &v->wait.event;
	const struct rf_msg_verdict *verdict = &v->wait.verdict;

	/* The VMM's own memory has the instruction, and runs it. */
	if (allowed && ev->trap.kind == RF_TRAP_KEXEC) {
		rf_vm_reset(v);
		return 0;
	}
	/* What the CPU would not take is the guest's own fault. */
	if (!allowed || load(v, ev->trap.kind, &verdict->table, ev->trap.value))
		return rf_cpu_fault(v, verdict);
	return skip(v, ev->regs.rip, ev->trap.len);
}

/* --- compared --------------------------------------------------------------- */

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	return clock_gettime(id, &t) ? 0 : (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

bool rf_tables_due(struct rf_vcpu *v)
{
	uint64_t every = atomic_load(&rf_vm.check_ns), now;
	struct kvm_sregs s;
	struct kvm_regs r;

	if (!every || v->left_behind)
		return false;
	now = read_clock(CLOCK_MONOTONIC_COARSE);
	if (now - v->kept.looked_ns < every && v->kept.looked_ns)
		return false;
	/* The firmware has tables and an EFER of its own; the next exit outside is looked at. */
	if (rf_cpu_in_smm(v))
		return false;
	v->kept.looked_ns = now;
	atomic_store(&v->kept.used_ns, read_clock(CLOCK_THREAD_CPUTIME_ID));
	if (rf_kvm(v->fd, KVM_GET_SREGS, &s) || rf_kvm(v->fd, KVM_GET_REGS, &r))
		rf_fatal("a vCPU's registers could not be read");
	/* Else it comes up: in real mode, or in a trampoline below 1 MiB, with no IDT and a GDT of
	 * its own (arch/x86/realmode/rm/trampoline_64.S, "load idt with 0, 0"). */
	if (s.cr0 & CR0_PG && s.efer & EFER_LMA &&
	    (s.ss.dpl || r.rip >= FIRST_MIB || s.gdt.base >= FIRST_MIB || s.idt.limit)) {
		rf_cr_look(v, s.cr0, s.cr4);
		return true;
	}
	return false;
}

bool rf_tables_look(struct rf_vcpu *v, struct rf_vcpu_tables *out)
{
	if (rf_cpu_get_tables(v, out))
		rf_fatal("a vCPU's registers could not be read");
	/* That one lies in plain data: its gates are asked about each time. */
	return !(v->kept.known && out->idt.limit != BRINGUP_IDT_LIMIT &&
		 !memcmp(out, &v->kept.tables, sizeof(*out))) &&
	       !rf_cpu_switching(v);
}

static bool same(const struct rf_table *a, const struct rf_table *b)
{
	return !memcmp(a, b, sizeof(*a));
}

int rf_tables_enforce(struct rf_vcpu *v, bool allowed)
{
	const struct rf_vcpu_tables *bad = &v->wait.event.tables, *kept = &v->kept.tables;
	struct rf_vcpu_tables now;
	struct kvm_sregs s;
	int err;

	/* Judged once, whatever the verdict; there may be nothing to go back to. */
	if (allowed || !v->kept.known) {
		v->kept.known = true;
		v->kept.tables = *bad;
		return 0;
	}
	err = rf_kvm(v->fd, KVM_GET_SREGS, &s);
	if (err)
		return err;
	/* The VMM may have loaded another state while the verdict was awaited. */
	now = of_sregs(&s);
	if (same(&now.idt, &bad->idt))
		put_dtable(&s.idt, &kept->idt);
	if (same(&now.gdt, &bad->gdt))
		put_dtable(&s.gdt, &kept->gdt);
	if (same(&now.ldt, &bad->ldt))
		s.ldt = segment(&kept->ldt, TYPE_LDT);
	if (same(&now.tr, &bad->tr))
		s.tr = segment(&kept->tr, TYPE_TSS_BUSY);
	return rf_kvm(v->fd, KVM_SET_SREGS, &s);
}

/* The CPU-time clock of a thread: include/linux/posix-timers_types.h CPUCLOCK_PERTHREAD_MASK,
 * CPUCLOCK_SCHED; of one that has ended it says nothing. */
static clockid_t clock_of(int tid)
{
	return (clockid_t)((~(unsigned)tid << 3) | 4 | 2);
}

#define IDLE_PART 20 /* who ran less than a twentieth of the time waits for the next tick */

void rf_tables_tick(void)
{
	static uint64_t last; /* the channel's thread alone comes here */
	uint64_t every = atomic_load(&rf_vm.check_ns), now = read_clock(CLOCK_MONOTONIC_COARSE);

	if (!every || now - last < every)
		return;
	last = now;
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++) {
		struct rf_vcpu *v = &rf_vm.vcpus[i];
		uint64_t used;

		/* By what it ran, not by the clock: a guest that does nothing is left alone. */
		if (!atomic_load(&v->in_run) || !atomic_load(&v->tid))
			continue;
		used = read_clock(clock_of(atomic_load(&v->tid)));
		if (used >= atomic_load(&v->kept.used_ns) + every / IDLE_PART) {
			rf_count(RF_COUNT_LOOK);
			rf_gate_kick(v);
		}
	}
}
