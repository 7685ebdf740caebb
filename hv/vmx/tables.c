// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The registers that say where descriptor tables lie: loaded for a trapped instruction, and
 * compared every now and then with those last judged, as no CPU lets a hypervisor see their loads
 * through stock KVM.
 */
#include "hv/vmx/tables.h"

#include <string.h>
#include <sys/random.h>

#include "hv/board.h"
#include "hv/vmx/cr.h"

/* The IDT that CPUs come up with has 32 gates (arch/x86/kernel/head64.c bringup_idt_table). */
#define BRINGUP_IDT_LIMIT (32 * 16 - 1)
#define FIRST_MIB UINT64_C(0x100000)

/* System descriptor types in long mode: SDM vol. 3A table 3-2. */
#define TYPE_LDT 2
#define TYPE_TSS_BUSY 11

/* What a VM exit leaves as the limit of GDT and IDT: SDM vol. 3C 28.5.2. */
#define VM_EXIT_LIMIT 0xffff

static atomic_ullong check_ns; /* how often registers are compared, 0: not */
static atomic_ullong next_ns;  /* CLOCK_MONOTONIC, when vCPUs are got out for it */

void rf_tables_every(uint64_t ns)
{
	atomic_store(&check_ns, ns);
	atomic_store(&next_ns, 0);
	RF_EACH_VCPU(v)
		v->arch->kept = (struct rf_kept){ .known = false };
}

/* --- registers -------------------------------------------------------------- */

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

static struct rf_vcpu_tables tables_of(struct rf_vcpu *v)
{
	struct kvm_sregs s;

	rf_cpu_get(v, KVM_GET_SREGS, &s);
	return of_sregs(&s);
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

void rf_arch_describe(struct rf_vcpu *v)
{
	v->wait.event.tables = tables_of(v);
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

int rf_tables_load(struct rf_vcpu *v, uint32_t kind, const struct rf_table *t, uint64_t value)
{
	struct kvm_sregs s;
	int err;

	rf_cpu_get(v, KVM_GET_SREGS, &s);
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
	if (!err && v->arch->kept.known)
		judged(&v->arch->kept.tables, kind, &s);
	return err;
}

/* --- compared --------------------------------------------------------------- */

unsigned rf_tables_tick_ms(void)
{
	uint64_t next = atomic_load(&next_ns), now = rf_clock_ns(CLOCK_MONOTONIC_COARSE);
	uint64_t ms = next > now ? (next - now) / 1000000 + 1 : 1;

	return atomic_load(&check_ns) && ms < 60000 ? (unsigned)ms : 60000;
}

bool rf_tables_due(struct rf_vcpu *v)
{
	uint64_t every = atomic_load(&check_ns), now, last = atomic_load(&v->arch->kept.looked_ns);
	struct kvm_sregs s;
	struct kvm_regs r;
	bool bare, ours;

	if (!every)
		return false;
	now = rf_clock_ns(CLOCK_MONOTONIC_COARSE);
	if (now - last < every && last)
		return false;
	/* The firmware has tables and an EFER of its own; the next exit outside is looked at. */
	if (rf_cpu_in_smm(v))
		return false;
	atomic_store(&v->arch->kept.looked_ns, now);
	/* Where the guest chose to stop, by an exit or in HLT, a look saves it none of ours. */
	v->chose |= !last && rf_cpu_waits(v);
	ours = !last && !v->chose;
	if (ours)
		atomic_store(&v->arch->kept.used_ns, rf_clock_ns(CLOCK_THREAD_CPUTIME_ID));
	if (v->arch->left_behind)
		return false;
	rf_cpu_get(v, KVM_GET_SREGS, &s);
	rf_cpu_get(v, KVM_GET_REGS, &r);
	/* Else it comes up: in real mode, or in a trampoline below 1 MiB, with no IDT and a GDT of
	 * its own (arch/x86/realmode/rm/trampoline_64.S, "load idt with 0, 0"), both of which it
	 * still has as the kernel begins (arch/x86/kernel/head_64.S common_startup_64()). */
	bare = !s.ss.dpl && s.gdt.base < FIRST_MIB && !s.idt.limit;
	if (!(s.cr0 & CR0_PG) || !(s.efer & EFER_LMA) || (bare && r.rip < FIRST_MIB))
		return false;
	if (ours)
		rf_cr_look(v, s.cr0, s.cr4, bare);
	return true;
}

bool rf_tables_look(struct rf_vcpu *v, struct rf_vcpu_tables *out)
{
	*out = tables_of(v);
	/* That IDT lies in plain data: its gates are asked about each time. That limit is right for
	 * as long as the guest runs guests. */
	return !(v->arch->kept.known && out->idt.limit != BRINGUP_IDT_LIMIT &&
		 out->gdt.limit != VM_EXIT_LIMIT &&
		 !memcmp(out, &v->arch->kept.tables, sizeof(*out))) &&
	       !rf_cpu_switching(v);
}

#define ASKED_AGAIN 16 /* looks after which it is asked again at the latest */

/*
 * KVM can neither do nor report some stores of an instruction's own, as those of SGDT and SIDT to a
 * read-only slot: segmented_write_std() ends in X86EMUL_IO_NEEDED with nothing to be done in user
 * space (arch/x86/kvm/emulate.c em_store_gdt_idt(), x86.c x86_emulate_instruction()), and KVM_RUN
 * goes on for ever. A vCPU that has used its time and has not moved may hang in one.
 */
bool rf_tables_stalled(struct rf_vcpu *v)
{
	struct rf_kept *k = &v->arch->kept;
	struct kvm_regs r;

	if (v->chose)
		return false; /* it came back by itself, or waits */
	rf_cpu_get(v, KVM_GET_REGS, &r);
	/* RIP alone: what interrupts the vCPU there may count in other registers. */
	if (r.rip != k->stood) {
		k->stood = r.rip;
		k->looks = 0;
		return false;
	}
	/* What stands there may be another instruction by now: asked again, less and less often. */
	k->looks++;
	return !(k->looks & (k->looks - 1)) || !(k->looks % ASKED_AGAIN);
}

void rf_tables_moved(struct rf_vcpu *v)
{
	v->arch->kept.stood = 0;
	v->arch->kept.looks = 0;
}

static bool same(const struct rf_table *a, const struct rf_table *b)
{
	return !memcmp(a, b, sizeof(*a));
}

/* Only what was changed; the VMM may have loaded another state while the verdict was awaited. */
static bool goes_back(const struct rf_table *now, const struct rf_table *bad,
		      const struct rf_table *kept)
{
	return same(now, bad) && !same(bad, kept);
}

int rf_tables_enforce(struct rf_vcpu *v, bool allowed)
{
	const struct rf_vcpu_tables *bad = &v->wait.event.tables, *kept = &v->arch->kept.tables;
	struct rf_vcpu_tables now;
	struct kvm_sregs s;

	/*
	 * What is let is judged once, but not what a CPU has that comes up. Where nothing is known
	 * yet there is nothing to go back to, and what is denied does not become that.
	 */
	if (allowed || !v->arch->kept.known) {
		if (!allowed || !bad->idt.limit)
			return 0;
		v->arch->kept.known = true;
		v->arch->kept.tables = *bad;
		return 0;
	}
	rf_cpu_get(v, KVM_GET_SREGS, &s);
	now = of_sregs(&s);
	if (goes_back(&now.idt, &bad->idt, &kept->idt))
		put_dtable(&s.idt, &kept->idt);
	if (goes_back(&now.gdt, &bad->gdt, &kept->gdt))
		put_dtable(&s.gdt, &kept->gdt);
	if (goes_back(&now.ldt, &bad->ldt, &kept->ldt))
		s.ldt = segment(&kept->ldt, TYPE_LDT);
	if (goes_back(&now.tr, &bad->tr, &kept->tr))
		s.tr = segment(&kept->tr, TYPE_TSS_BUSY);
	return rf_kvm(v->fd, KVM_SET_SREGS, &s);
}

/* The CPU-time clock of a thread: include/linux/posix-timers_types.h CPUCLOCK_PERTHREAD_MASK,
 * CPUCLOCK_SCHED; of one that has ended it says nothing. */
#define CLOCK_OF(tid) ((clockid_t)((~(unsigned)(tid) << 3) | 4 | 2))

#define IDLE_PART 20 /* who ran less than a twentieth of the time waits for the next tick */

/* A guest that knew when would have its registers as they must be just then. */
static uint64_t at_some_time(uint64_t now, uint64_t every)
{
	uint64_t random = 0;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		return now + every;
	return now + every / 2 + random % (every / 2 + 1);
}

/*
 * A vCPU that is outside when it is due, or halted, has stopped where the guest liked. Until it was
 * met elsewhere it is tried again, so often in a period; for one period as well if nothing runs.
 */
#define TRIES 32

void rf_tables_tick(void)
{
	static uint64_t ran;
	static unsigned still;
	uint64_t every = atomic_load(&check_ns), now = rf_clock_ns(CLOCK_MONOTONIC_COARSE);
	uint64_t runs = rf_board->counters[RF_COUNT_RUN];
	bool owed = false;

	if (!every || now < atomic_load(&next_ns))
		return;
	RF_EACH_VCPU(v) {
		/* By what it ran, not by the clock: a guest that does nothing is left alone. */
		if (!atomic_load(&v->tid) ||
		    rf_clock_ns(CLOCK_OF(atomic_load(&v->tid))) <
			    atomic_load(&v->arch->kept.used_ns) + every / IDLE_PART)
			continue;
		owed = true;
		if (atomic_load(&v->phase) != RF_IN)
			continue;
		rf_count(RF_COUNT_LOOK);
		atomic_store(&v->arch->kept.looked_ns, 0);
		rf_gate_kick(v);
	}
	still = runs == ran ? still + 1 : 0;
	ran = runs;
	owed &= still < TRIES;
	atomic_store(&next_ns, at_some_time(now, owed ? every / TRIES : every - every / TRIES));
}
