// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sealed text that changes: by the monitor's table, by what the VMM loads in place, and what must
 * not change it. */
#include <pthread.h>

#include "hv/fence.h"
#include "tests/kvm/patched.h"

GUEST(x_mov8, "mov %cl, (%rdi)");
GUEST(x_mov32, "mov %ecx, (%rdi)");
GUEST(x_mov64, "mov %rcx, (%rdi)");
GUEST(x_wrmsr, "wrmsr");
GUEST(x_flip, "1: movb $0xf8, (%rdi)\n movb $0x90, (%rdi)\n dec %rcx\n jnz 1b");
GUEST(x_spin, "1: incq (%rsi)\n pause\n cmpq $0, (%rdi)\n je 1b");

static bool stores8(struct cpu *c, uint64_t gpa, uint8_t byte)
{
	struct fault f;

	before = (struct kvm_regs){ .rdi = gpa,
				    .rcx = byte,
				    .rsp = STACK + (c->index + 1) * 0x1000 };
	CPU_START(c, x_mov8, .rdi = gpa, .rcx = byte);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	return !cpu_faulted(c, &f);
}

/* --- SETTLE ------------------------------------------------------------------------ */

static unsigned settles; /* how often the judge says so */
static uint64_t runs, ids[70];
static unsigned asked;

static bool settle(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (!asked)
		runs = monitor_count(RF_COUNT_RUN);
	CHECK_EQ(monitor_count(RF_COUNT_RUN), runs); /* nobody enters with the question open */
	CHECK(asked < COUNT(ids));
	ids[asked++] = ev->id;
	if (asked <= settles)
		v->verdict = RF_VERDICT_SETTLE;
	else
		deny_at_code(ev, v);
	return true;
}

/* The monitor says that the table allows it, and the table does not: asked again, and again. */
void settle_without_entry(void)
{
	struct cpu *c;

	patched_machine(1);
	c = &vm.cpus[0];
	settles = 64;
	monitor_set_judge(settle);
	CHECK(!stores8(c, SEALED + 0x20, 0xcc));
	CHECK_EQ(asked, 65);
	for (unsigned i = 1; i < asked; i++)
		CHECK(ids[i] > ids[i - 1]);
	check_pattern(c, SEALED + 0x20);
	CHECK_EQ(monitor_count(RF_COUNT_DENIED), 1);
	CHECK_EQ(monitor_count(RF_COUNT_PATCHED_BYTES), 0);
	/* Each store has its own tries. */
	asked = 0;
	CHECK(!stores8(c, SEALED + 0x28, 0xcc));
	CHECK_EQ(asked, 65);
}

static void settles_for_ever(void)
{
	patched_machine(1);
	settles = 65;
	monitor_set_judge(settle);
	CPU_START(&vm.cpus[0], x_mov8, .rdi = SEALED + 0x20, .rcx = 0xcc);
	cpu_wait(&vm.cpus[0]);
}

void settle_ends(void)
{
	ends_the_vm(settles_for_ever, "calls a store legal that its table does not allow");
}

static bool settle_after_entry(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (asked++ == 3) {
		table->extra[0] =
			(struct rf_patch_site){ .at = 0x20, .shape = 1, .kind = RF_SITE_SMP_LOCK };
		__atomic_store_n(&table->extra_count, 1, __ATOMIC_RELEASE);
	}
	v->verdict = RF_VERDICT_SETTLE;
	return true;
}

/* The entry comes while it is asked; meanwhile the VMM has its thread whenever it wants. */
void settle_with_entry(void)
{
	struct cpu *c;

	patched_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(settle_after_entry);
	CHECK(stores8(c, SEALED + 0x20, 0xf8));
	CHECK_EQ(asked, 4);
	CHECK_EQ(sealed_copy(SEALED + 0x20)[0], 0xf8);
	CHECK_EQ(vm.ram[SEALED + 0x20], 0xf8);
	CHECK_EQ(monitor_count(RF_COUNT_SETTLED), 0); /* not without the monitor */
	CHECK_EQ(monitor_count(RF_COUNT_ALLOWED), 2); /* the kernel, and this */
	CHECK(stores8(c, SEALED + 0x20, 0x90));
	CHECK_EQ(monitor_count(RF_COUNT_SETTLED), 1);
	CHECK_EQ(asked, 4);
}

/* --- commands while a guest tries the fence ------------------------------------------ */

static uint64_t flight(void)
{
	CHECK_EQ(monitor_trail()->flights_count, 1);
	return monitor_trail()->flights[0].number;
}

static bool deny_msrs(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	if (ev->kind == RF_EVENT_MSR) {
		v->verdict = RF_VERDICT_DENY;
		return true;
	}
	return false; /* held */
}

static atomic_int over;

static void *tries_lstar(void *arg)
{
	struct cpu *c = arg;

	while (!atomic_load(&over)) {
		CPU_START(c, x_wrmsr, .rcx = LSTAR, .rax = 0x4000);
		CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	}
	return NULL;
}

/* A vCPU that tries to load another entry, again and again, makes no command stale. */
void restore_beside_denied_lstar(void)
{
	struct rf_msg_mend mend = { .gpa = DATA, .to = 1 };
	uint64_t kernel = patched_machine(2), one = 0;
	struct cpu *c = &vm.cpus[0];
	pthread_t thread;

	monitor_set_judge(deny_msrs);
	CHECK_EQ(pthread_create(&thread, NULL, tries_lstar, &vm.cpus[1]), 0);
	mend.kernel = kernel;
	memcpy(vm.ram + DATA, &one, 8);
	for (unsigned i = 0; i < 50; i++) {
		unsigned n = monitor_events_of(RF_EVENT_MSR);

		CHECK(stores8(c, FIVE, 0xcc));
		CHECK_EQ(sealed_copy(FIVE)[0], 0xcc);
		while (monitor_events_of(RF_EVENT_MSR) < n + 2)
			usleep(100);
		CHECK_EQ(monitor_restore(kernel, flight()), 0);
		CHECK(!memcmp(sealed_copy(FIVE), nop5[0], 5));
		CHECK_EQ(monitor_trail()->flights_count, 0);
		CHECK_EQ(monitor_mend(&mend), 0);
		mend.from = mend.to;
		mend.to++;
		vm.ram[OTHER] ^= 0xff;
		CHECK_EQ(monitor_heal(kernel, OTHER, 0x1000, 0), 0);
		CHECK_EQ(monitor_heals()->head, i + 1);
		CHECK_EQ(monitor_board()->kernel, kernel);
	}
	atomic_store(&over, 1);
	pthread_join(thread, NULL);
	CHECK_EQ(monitor_events_of(RF_EVENT_KERNEL), 1);
	CHECK(monitor_events_of(RF_EVENT_MSR) >= 100);
}

/* Each vCPU waits for an answer, but has run since the site was left: it is put back. */
void restore_with_all_held(void)
{
	uint64_t kernel = patched_machine(2);
	struct cpu *c = &vm.cpus[0];

	CHECK(stores8(c, FIVE, 0xcc));
	CPU_START(c, x_mov8, .rdi = SEALED + 0x20, .rcx = 1);
	monitor_event(1, RF_EVENT_WRITE);
	CPU_START(&vm.cpus[1], x_wrmsr, .rcx = LSTAR, .rax = 0x4000);
	monitor_event(2, RF_EVENT_MSR);
	CHECK_EQ((int64_t)monitor_restore(kernel, flight() + 1), -ENOENT);
	CHECK_EQ((int64_t)monitor_restore(kernel + 1, flight()), -ESTALE);
	CHECK_EQ(monitor_restore(kernel, flight()), 0);
	CHECK(!memcmp(sealed_copy(FIVE), nop5[0], 5));
	CHECK(!memcmp(vm.ram + FIVE, nop5[0], 5));
}

static bool deny_stores(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	return deny_at_code(ev, v);
}

/* A store that is denied leaves no site half way that it would have touched: it was not the
 * kernel's patcher that began it. */
void denied_half_way(void)
{
	struct cpu *c;

	patched_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_stores);
	CHECK(stores8(c, FIVE, 0xcc));
	CHECK_EQ(sealed_copy(FIVE)[0], 0xcc);
	CHECK_EQ(monitor_trail()->flights_count, 1);
	/* Beside it: it stays as it is. */
	CHECK(!stores8(c, FIVE + 5, 0x77));
	CHECK(!stores8(c, FIVE - 1, 0x77));
	CHECK_EQ(sealed_copy(FIVE)[0], 0xcc);
	CHECK_EQ(monitor_trail()->flights_count, 1);
	CHECK(!stores8(c, FIVE + 4, 0x77));
	CHECK_EQ(monitor_trail()->flights_count, 0);
	CHECK(!memcmp(sealed_copy(FIVE), nop5[0], 5));
	CHECK(!memcmp(vm.ram + FIVE, nop5[0], 5));
	/* With its tail written as well. */
	CHECK(stores8(c, FIVE, 0xcc));
	CHECK(stores8(c, FIVE + 1, nop5[1][1]));
	CHECK(!stores8(c, FIVE, 0x77));
	CHECK(!memcmp(sealed_copy(FIVE), nop5[0], 5));
	CHECK_EQ(monitor_trail()->flights_count, 0);
	CHECK_EQ(monitor_trail()->last_tail, UINT32_MAX);
}

/* --- over a trap ---------------------------------------------------------------------- */

static bool deny_writes(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	CHECK_EQ(ev->kind, RF_EVENT_WRITE);
	return deny_at_code(ev, v);
}

static void put_probe(uint64_t gpa, uint8_t kind, const struct rf_shape *shape)
{
	table->extra_count = 0;
	table->shapes[2] = *shape;
	table->shapes_count = 3;
	table->extra[0] =
		(struct rf_patch_site){ .at = (uint32_t)(gpa - SEALED), .shape = 2, .kind = kind };
	table->extra_count = 1;
}

/* A probe lies where the guest says. On a trap, or over part of it, it says so in vain. */
void probe_over_trap(void)
{
	static const uint8_t kinds[] = { RF_SITE_KPROBE, RF_SITE_KGDB };
	uint64_t kernel = patched_machine(1);
	struct cpu *c = &vm.cpus[0];
	unsigned denied = 0;

	plant_trap(kernel);
	monitor_set_judge(deny_writes);
	for (size_t k = 0; k < COUNT(kinds); k++) {
		for (int64_t at = -5; at <= 3; at++) { /* a probe of five bytes from there on */
			struct rf_shape s = { .len = 5, .flags = RF_SHAPE_DIRECT, .count = 1 };
			uint64_t gpa = TRAPPED + (uint64_t)at;
			uint8_t was[5], now[8];
			bool over_it = at > -5 && at < 3;

			memcpy(was, sealed_copy(gpa), 5);
			s.forms[0].how = RF_FORM_BYTES;
			memcpy(s.forms[0].bytes, was, 5);
			/* The instruction that the trap stands for, in its place. */
			for (int i = 0; i < 3; i++)
				if (at + i + 5 > 0 && i - at >= 0 && i - at < 5)
					s.forms[0].bytes[i - at] = ltr[i];
			s.forms[0].bytes[at == 3 ? 0 : at == -5 ? 4 : 0] ^= over_it ? 0 : 0x40;
			put_probe(gpa, kinds[k], &s);
			memcpy(now, sealed_copy(gpa), 8);
			memcpy(now, s.forms[0].bytes, 5);
			before = (struct kvm_regs){ .rdi = gpa, .rsp = STACK + 0x1000 };
			memcpy(&before.rcx, now, 4);
			/* Its first four bytes; where only the last differs, that one. */
			if (!memcmp(was, now, 4)) {
				CHECK_EQ(stores8(c, gpa + 4, now[4]), !over_it);
			} else {
				cpu_start(c, x_mov32, x_mov32_end, &before);
				CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
				CHECK_EQ(cpu_faulted(c, &(struct fault){ 0 }), over_it);
			}
			denied += over_it;
			CHECK_EQ(monitor_events_of(RF_EVENT_WRITE), denied);
			CHECK_EQ(sealed_copy(TRAPPED)[0], 0xe6);
			CHECK_EQ(sealed_copy(TRAPPED)[1], 0xe6);
			CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
			if (over_it)
				CHECK(!memcmp(sealed_copy(gpa), was, 5));
		}
	}
}

/* Observing, all else of such a store may land: the trap stays, and so does what the VMM saves. */
void observed_over_trap(void)
{
	uint64_t kernel = patched_machine(1), value = UINT64_C(0x0101010101010101);
	uint8_t was[8];

	plant_trap(kernel);
	memcpy(was, sealed_copy(TRAPPED - 4), 8);
	monitor_set_judge(allow);
	CPU_DO(&vm.cpus[0], x_mov64, .rdi = TRAPPED - 4, .rcx = value);
	CHECK_EQ(sealed_copy(TRAPPED)[0], 0xe6);
	CHECK(!memcmp(vm.ram + TRAPPED, ltr, 3));
	CHECK(!memcmp(sealed_copy(TRAPPED - 4), was, 8));
	CPU_DO(&vm.cpus[0], x_mov64, .rdi = TRAPPED + 3, .rcx = value);
	CHECK(!memcmp(sealed_copy(TRAPPED + 3), &value, 8));
}

/* --- what the VMM loads in place -------------------------------------------------------- */

/* The load's last word: its vCPUs run in the kernel that is sealed. The result of their next
 * KVM_RUN. */
static int load(void)
{
	for (unsigned i = 0; i < vm.nr_cpus; i++)
		cpu_put_mp_state(&vm.cpus[i]);
	CHECK_EQ(machine_settle(), -1);
	return errno;
}

static uint64_t reloadable(void)
{
	uint64_t kernel = patched_machine(1);

	plant_trap(kernel);
	return kernel;
}

void reload_adopted(void)
{
	struct rf_msg_event ev;
	struct cpu *c;

	reloadable();
	c = &vm.cpus[0];
	CHECK_EQ(load(), EINTR);
	ev = monitor_event(1, RF_EVENT_RELOADED);
	CHECK_EQ(ev.life.adopted, 0);
	memcpy(vm.ram + FIVE, nop5[1], 5);
	vm.ram[BYTE2] = 0xf8;
	CHECK_EQ(load(), EINTR);
	ev = monitor_event(2, RF_EVENT_RELOADED);
	CHECK_EQ(ev.life.adopted, 5 + 1);
	CHECK(!memcmp(sealed_copy(FIVE), nop5[1], 5));
	CHECK_EQ(guest_read(c, BYTE2) & 0xff, 0xf8);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	CHECK_EQ(sealed_copy(TRAPPED)[0], 0xe6);
	CHECK_EQ(monitor_heals()->head, 0);
	/* A site that was half way here is as the load has it. */
	CHECK(stores8(c, FIVE, 0xcc));
	CHECK_EQ(monitor_trail()->flights_count, 1);
	memcpy(vm.ram + FIVE, nop5[0], 5);
	CHECK_EQ(load(), EINTR);
	CHECK_EQ(monitor_event(3, RF_EVENT_RELOADED).life.adopted, 5);
	CHECK_EQ(monitor_trail()->flights_count, 0);
	CHECK(!memcmp(sealed_copy(FIVE), nop5[0], 5));
	store_is_denied(c, SEALED + 0x20);
	CHECK_EQ(monitor_events_of(RF_EVENT_RESET), 0);
}

/* One load that must not run: nothing of it is taken over, and the VMM may load what fits, or
 * reset. */
static void misfit(uint64_t gpa, uint8_t byte)
{
	uint64_t entries = monitor_board()->counters[RF_COUNT_RUN];
	unsigned told = monitor_events_of(RF_EVENT_HALTED);
	unsigned reloaded = monitor_events_of(RF_EVENT_RELOADED);
	uint8_t own = vm.ram[gpa];

	vm.ram[BYTE] = 0xf8; /* legal by itself */
	vm.ram[gpa] = byte;
	CHECK_EQ(load(), EPERM);
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EPERM);
	CHECK_EQ(monitor_board()->state, RF_VM_HALTED);
	CHECK_EQ(monitor_count(RF_COUNT_RUN), entries);
	CHECK_EQ(monitor_await_event(RF_EVENT_HALTED, told + 1).life.cause, RF_CAUSE_TEXT);
	CHECK_EQ(monitor_events_of(RF_EVENT_RELOADED), reloaded);
	CHECK_EQ(sealed_copy(BYTE)[0], 0x90);
	vm.ram[BYTE] = 0x90;
	vm.ram[gpa] = own;
	CHECK_EQ(load(), EINTR);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	store_is_denied(&vm.cpus[0], SEALED + 0x20);
}

void reload_misfits(void)
{
	uint64_t kernel = reloadable();

	misfit(OTHER + 0x123, 0xee); /* rodata */
	misfit(SEALED + 0x20, 0xcc); /* no site */
	misfit(SEALED + SEALED_SIZE - 1, 0xcc);
	misfit(BYTE2, 0xcc); /* no form of the site */
	misfit(FIVE, 0xcc);  /* half way: whose work would it be? */
	misfit(FIVE + 4, 0x90);
	misfit(TRAPPED, 0xe6); /* what the fence has there */
	misfit(TRAPPED + 2, 0xd8);
	/* Without a table nothing may differ, with another kernel's neither. */
	table->kernel = kernel + 1;
	misfit(BYTE2, 0xf8);
	table->kernel = kernel;
	/* A probe of the guest's over the trap. */
	put_probe(TRAPPED + 2, RF_SITE_KPROBE,
		  &(struct rf_shape){ .len = 1,
				      .flags = RF_SHAPE_DIRECT,
				      .count = 2,
				      .forms = { { .how = RF_FORM_BYTES, .bytes = { 0xd9 } },
						 { .how = RF_FORM_BYTES, .bytes = { 0xd8 } } } });
	misfit(TRAPPED + 2, 0xd8);
	/* Held, and then reset. */
	vm.ram[OTHER] ^= 0xff;
	CHECK_EQ(load(), EPERM);
	machine_reset();
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
	CHECK_EQ(guest_read(&vm.cpus[0], OTHER), PATTERN(OTHER) ^ 0xff);
}

/* What a load wrote is no device's doing: it is not healed away before it was judged. */
void reload_is_not_healed(void)
{
	static uint64_t bits[RAM_SIZE / 0x1000 / 64];
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };
	uint64_t kernel = reloadable();
	struct cpu *c = &vm.cpus[0];

	CHECK_EQ(machine_slot(0, KVM_MEM_LOG_DIRTY_PAGES, 0, RAM_SIZE, vm.ram), 0);
	memset(vm.ram + DATA, 0, 0x1000);
	CPU_START(c, x_spin, .rdi = DATA, .rsi = DATA + 64);
	await_change(DATA + 64, 0);
	cpu_stop(c);
	/* QEMU's loadvm: a reset's state first (migration/savevm.c load_snapshot()), memory, then
	 * the vCPUs'. */
	cpu_put_reset(c);
	memcpy(vm.ram + FIVE, nop5[1], 5);
	CHECK_EQ((int64_t)monitor_heal(kernel, 0, RAM_SIZE, 0), -ESTALE); /* the sweep comes by */
	CHECK_EQ(rf_fence_ioctl(vm.vm, KVM_GET_DIRTY_LOG, &log), 0);
	cpu_regs(c); /* as `info registers` of a stopped guest */
	CHECK_EQ(monitor_heals()->head, 0);
	cpu_long_mode(c);
	CHECK_EQ(cpu_set_msr(c, LSTAR, KERNEL_ENTRY), 0);
	CHECK_EQ(load(), EINTR);
	CHECK_EQ(monitor_event(1, RF_EVENT_RELOADED).life.adopted, 5);
	CHECK(!memcmp(sealed_copy(FIVE), nop5[1], 5));
	/* And then devices are healed as ever. */
	vm.ram[OTHER] ^= 0xff;
	CHECK_EQ(monitor_heal(kernel, 0, RAM_SIZE, 0), 0);
	CHECK_EQ(monitor_heals()->head, 1);
	/* What does not fit stays what the VMM has loaded as well. */
	vm.ram[OTHER] ^= 0xff;
	CHECK_EQ(load(), EPERM);
	CHECK_EQ((int64_t)monitor_heal(kernel, 0, RAM_SIZE, 0), -ESTALE);
	cpu_regs(c);
	CHECK_EQ(monitor_heals()->head, 1);
	CHECK_EQ(monitor_board()->state, RF_VM_HALTED);
}

/* --- two at a time ------------------------------------------------------------------------ */

static void *changes_table(void *arg)
{
	/* Odd nearly all the time, and then 0xf9 is a form. */
	while (!atomic_load(&over)) {
		__atomic_fetch_add(&table->seq, 1, __ATOMIC_SEQ_CST);
		__atomic_store_n(&table->shapes[1].forms[1].bytes[0], 0xf9, __ATOMIC_SEQ_CST);
		for (int i = 0; i < 200; i++)
			__asm__ volatile("pause");
		__atomic_store_n(&table->shapes[1].forms[1].bytes[0], 0xf8, __ATOMIC_SEQ_CST);
		__atomic_fetch_add(&table->seq, 1, __ATOMIC_SEQ_CST);
		for (int i = 0; i < 100; i++)
			__asm__ volatile("pause");
	}
	return NULL;
}

/* The table changes while stores are judged by it: no mixture of two of its states is ever
 * believed. */
void table_changes_meanwhile(void)
{
	struct cpu *c;
	pthread_t thread;

	patched_machine(1);
	c = &vm.cpus[0];
	monitor_set_judge(deny_writes);
	CHECK_EQ(pthread_create(&thread, NULL, changes_table, NULL), 0);
	for (int i = 0; i < 3000; i++) {
		CHECK(!stores8(c, BYTE, 0xf9));
		CHECK_EQ(sealed_copy(BYTE)[0], 0x90);
	}
	atomic_store(&over, 1);
	pthread_join(thread, NULL);
	CHECK(stores8(c, BYTE, 0xf8));
	CHECK_EQ(monitor_count(RF_COUNT_SETTLED), 1);
}

#define FLIPS 3000

/* Two vCPUs patch at once: each change is on the trail, and no site loses one. */
void settled_by_two(void)
{
	struct {
		uint8_t from, to;
		uint64_t count;
	} at[2] = { { 0x90, 0xf8, 0 }, { 0x90, 0xf8, 0 } };
	const uint64_t sites[2] = { BYTE, BYTE2 };

	patched_machine(2);
	for (int i = 0; i < 2; i++)
		CPU_START(&vm.cpus[i], x_flip, .rdi = sites[i], .rcx = FLIPS);
	for (int i = 0; i < 2; i++)
		CHECK_EQ(cpu_wait(&vm.cpus[i]), KVM_EXIT_HLT);
	CHECK_EQ(monitor_count(RF_COUNT_SETTLED), 4 * FLIPS);
	CHECK_EQ(monitor_trail()->head, 4 * FLIPS);
	CHECK_EQ(monitor_trail()->kinds[RF_SITE_SMP_LOCK], 4 * FLIPS);
	for (uint64_t n = 0; n < 4 * FLIPS; n++) {
		struct rf_patch_entry e;
		int i;

		memcpy(&e, (const void *)&monitor_trail()->entries[n], sizeof(e));
		i = e.at == BYTE2 - SEALED;
		CHECK_EQ(e.at, sites[i] - SEALED);
		CHECK_EQ(e.vcpu, i);
		CHECK_EQ(e.before[0], at[i].count % 2 ? at[i].to : at[i].from);
		CHECK_EQ(e.after[0], at[i].count % 2 ? at[i].from : at[i].to);
		at[i].count++;
	}
	CHECK_EQ(at[0].count, 2 * FLIPS);
	CHECK_EQ(monitor_events(), 1);
	check_pattern(&vm.cpus[0], SEALED);
}
