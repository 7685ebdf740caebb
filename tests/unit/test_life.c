/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hv/life.c over the fence's real memory, text and watch, a KVM that takes every slot, and an
 * architecture that is a table: what each cause does to the VM. The states and all the ways between
 * them are test_life_model.c's. The VM's life is one for the process: each test begins with a
 * reset, and the order of the first ones counts.
 */
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/life.h"
#include "hv/seal.h"
#include "hv/text.h"
#include "hv/watch.h"
#include "tests/unit/fake_vcpus.h"

#define RAM_GPA UINT64_C(0x1000000)
#define PAGES 32u
#define RAM_SIZE (PAGES * RF_PAGE_SIZE)
#define TEXT_GPA (RAM_GPA + 4 * RF_PAGE_SIZE)
#define TEXT_SIZE (4 * RF_PAGE_SIZE)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define RODATA_GPA (TEXT_GPA + TEXT_SIZE)
#define WORD_GPA (RAM_GPA + 16 * RF_PAGE_SIZE + 0x10)
#define RUNNING 3
#define ENTRY (TEXT_GVA + 0x80)
#define OTHER_ENTRY (TEXT_GVA + 0x1000080)
#define SITE 0x100u

static struct rf_board_file file;
static uint8_t *ram;
static struct rf_patch_table *table;
static int table_fd = -1;

/* --- KVM and the clock ---------------------------------------------------------------------- */

long syscall(long number, ...)
{
	unsigned long a[5];
	va_list ap;

	va_start(ap, number);
	for (int i = 0; i < 5; i++)
		a[i] = va_arg(ap, unsigned long);
	va_end(ap);
	if (number == SYS_munmap)
		return munmap((void *)a[0], a[1]);
	if (number == SYS_mmap)
		return (long)mmap((void *)a[0], a[1], (int)a[2], (int)a[3], (int)a[4], 0);
	if (number == SYS_mprotect)
		return mprotect((void *)a[0], a[1], (int)a[2]);
	assert_int_equal(number, SYS_ioctl);
	assert_int_equal(a[1], KVM_SET_USER_MEMORY_REGION);
	return 0;
}

static uint64_t now = 1000000000;

uint64_t rf_monotonic_ns(void)
{
	return now;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

static unsigned kicks;

void rf_gate_kick(struct rf_vcpu *v)
{
	kicks++;
}

/* --- the architecture ------------------------------------------------------------------------- */

static struct {
	struct rf_cpu_state cpu[4];
	unsigned pins, plants, disarms, abandoned;
	struct rf_vcpu *pin_boot;
	bool pin_again;
	const struct rf_vcpu *disarm_first;
	int pin_err;
} arch;

struct rf_cpu_state rf_arch_state(struct rf_vcpu *v)
{
	return arch.cpu[v->id];
}

void rf_arch_regs(struct rf_vcpu *v, struct rf_vcpu_regs *out)
{
	*out = (struct rf_vcpu_regs){ .rip = v->id };
}

uint64_t rf_arch_where(struct rf_vcpu *v)
{
	return v->id;
}

uint32_t rf_arch_step_flags(void)
{
	return 0;
}

uint64_t rf_arch_announced(const struct rf_msg_event *ev)
{
	return ev->msr.value;
}

void rf_arch_kernel_to_board(const struct rf_msg_event *ev)
{
	file.board.lstar = ev->msr.value;
	file.board.cr3 = ev->regs.cr3;
	file.board.cr4 = ev->regs.cr4;
	assert_int_equal(file.board.seq % 2, 1); /* with the rest of the layout */
}

int rf_arch_pin(const struct rf_msg_pin *m, struct rf_vcpu *boot, bool again)
{
	arch.pins++;
	arch.pin_boot = boot;
	arch.pin_again = again;
	return arch.pin_err;
}

int rf_arch_plant(const struct rf_msg_traps *m)
{
	arch.plants++;
	return 0;
}

/* Before the seals are gone: traps are taken out of what is sealed. */
void rf_arch_disarm(const struct rf_vcpu *first)
{
	assert_true(fake_vcpus.gate_closed);
	arch.disarms++;
	arch.disarm_first = first;
}

int rf_arch_abandon(struct rf_vcpu *v)
{
	arch.abandoned++;
	return 0;
}

/* --- what happens -------------------------------------------------------------------------------
 */

static unsigned drops;
static bool dropped[4];

static void drop(struct rf_vcpu *v)
{
	assert_true(fake_vcpus.gate_closed);
	drops++;
	dropped[v->id] = true;
	atomic_store(&v->phase, RF_OUT);
}

static void cpu(uint32_t n, enum rf_vcpu_class class, uint64_t entry)
{
	arch.cpu[n] = (struct rf_cpu_state){ class, entry, class == RF_CPU_KERNEL };
}

static unsigned tells;
static struct rf_life_outcome told;

/* Before any vCPU can go on to announce what comes next. */
static void tell(const struct rf_life_outcome *o)
{
	assert_true(fake_vcpus.gate_closed);
	tells++;
	told = *o;
}

static void tell_kexec(void)
{
	assert_true(fake_vcpus.gate_closed);
	tells++;
}

/* The VMM loads it. */
static void load(uint32_t n, enum rf_vcpu_class class, uint64_t entry)
{
	cpu(n, class, entry);
	rf_life_loaded(&rf_vcpus[n]);
}

static struct rf_life_outcome settle(void)
{
	struct rf_life_outcome o;

	drops = arch.abandoned = tells = 0;
	told = (struct rf_life_outcome){ .event = RF_LIFE_EVENTS };
	memset(dropped, 0, sizeof(dropped));
	rf_life_settle(drop, tell, &o);
	assert_true(tells <= 1);
	assert_int_equal(told.event, o.event);
	assert_int_equal(told.halted, o.halted);
	assert_int_equal(told.released, o.released);
	assert_int_equal(told.adopted, o.adopted);
	assert_false(fake_vcpus.gate_closed);
	assert_int_equal(pthread_mutex_trylock(&rf_vm.lock), 0);
	pthread_mutex_unlock(&rf_vm.lock);
	for (uint32_t i = 0; i < fake_vcpus.count; i++)
		assert_false(rf_vcpus[i].loaded);
	return o;
}

static struct rf_life_outcome reset(void)
{
	for (uint32_t i = 0; i < fake_vcpus.count; i++)
		load(i, RF_CPU_RESET, 0);
	return settle();
}

#define assert_outcome(o, e, r, h, a)                                                              \
	do {                                                                                       \
		struct rf_life_outcome o_ = (o);                                                   \
		assert_int_equal(o_.event, e);                                                     \
		assert_int_equal(o_.released, r);                                                  \
		assert_int_equal(o_.halted, h);                                                    \
		assert_int_equal(o_.adopted, a);                                                   \
	} while (0)

static uint64_t next_id = 100;

static struct rf_msg_event announce(uint32_t n, uint64_t entry)
{
	struct rf_msg_event ev = { .id = next_id++, .kind = RF_EVENT_KERNEL, .vcpu = n };

	ev.msr.value = entry;
	ev.regs.cr3 = 0x3000 + ev.id;
	ev.regs.cr4 = 0x4000 + ev.id;
	rf_vcpus[n].wait.event = ev;
	rf_life_announced(&rf_vcpus[n], ev.id, entry);
	return ev;
}

static uint64_t kernel(uint32_t n, uint64_t entry)
{
	struct rf_msg_event ev = announce(n, entry);

	cpu(n, RF_CPU_KERNEL, entry);
	rf_life_known(&ev);
	return ev.id;
}

static struct rf_msg_seal seal_of(uint64_t id, enum rf_seal_how how)
{
	struct rf_msg_seal m = { .kernel = id, .count = 2, .how = how };

	m.image = (struct rf_region){ .gpa = TEXT_GPA, .size = 0x8000, .gva = TEXT_GVA };
	m.regions[0] = (struct rf_region){
		.gpa = TEXT_GPA, .size = TEXT_SIZE, .gva = TEXT_GVA, .kind = RF_REGION_TEXT
	};
	m.regions[1] = (struct rf_region){ .gpa = RODATA_GPA,
					   .size = RF_PAGE_SIZE,
					   .gva = TEXT_GVA + TEXT_SIZE,
					   .kind = RF_REGION_RODATA };
	return m;
}

/* A vCPU enters the guest. */
static void run(void)
{
	file.board.counters[RF_COUNT_RUN]++;
}

static int command(uint16_t type, const void *m, size_t size)
{
	union rf_command c = { .to.kernel = 0 };
	uint64_t ns;

	memcpy(&c, m, size);
	c.to.h.type = type;
	return rf_life_command(&c, &ns);
}

static int seal_of_message(const struct rf_msg_seal *m)
{
	return command(RF_MSG_SEAL, m, sizeof(*m));
}

static int seal_held(uint64_t id, enum rf_seal_how how)
{
	const struct rf_msg_seal m = seal_of(id, how);

	return seal_of_message(&m);
}

/* And lets the guest go on. */
static int seal(uint64_t id, enum rf_seal_how how)
{
	int err = seal_held(id, how);

	if (!err)
		run();
	return err;
}

static int watch(uint64_t id, uint8_t note)
{
	struct rf_msg_watch m = { .kernel = id, .gpa = WORD_GPA, .value = RUNNING, .len = 4 };

	memset(m.note, note, sizeof(m.note));
	return command(RF_MSG_WATCH, &m, sizeof(m));
}

static int restore(uint64_t id)
{
	const struct rf_msg_restore m = { .kernel = id, .flight = 1 };

	return command(RF_MSG_RESTORE, &m, sizeof(m));
}

static int mend(uint64_t id)
{
	const struct rf_msg_mend m = { .kernel = id, .gpa = RAM_GPA, .from = 1, .to = 2 };

	return command(RF_MSG_MEND, &m, sizeof(m));
}

static int heal(uint64_t id, uint64_t gpa, uint64_t len, uint64_t taken)
{
	const struct rf_msg_heal m = { .kernel = id, .gpa = gpa, .len = len, .taken = taken };

	return command(RF_MSG_HEAL, &m, sizeof(m));
}

static int pin(uint64_t id)
{
	const struct rf_msg_pin m = { .kernel = id };

	return command(RF_MSG_PIN, &m, sizeof(m));
}

static int plant(uint64_t id)
{
	const struct rf_msg_traps m = { .kernel = id };

	return command(RF_MSG_TRAPS, &m, sizeof(m));
}

/* A kernel that is watched and sealed. */
static uint64_t sealed(uint8_t note)
{
	uint64_t id = kernel(0, ENTRY);

	for (uint32_t i = 1; i < fake_vcpus.count; i++)
		cpu(i, RF_CPU_KERNEL, ENTRY);
	assert_int_equal(watch(id, note), 0);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	return id;
}

static bool is_sealed(void)
{
	return rf_guestmem_any_sealed();
}

static enum rf_life_may may(uint32_t n)
{
	uint64_t entry = 77;
	enum rf_life_may m = rf_life_may(&rf_vcpus[n], &entry);

	assert_int_equal(entry, m == RF_MAY_ANNOUNCE ? arch.cpu[n].entry : 77);
	return m;
}

static void make_table(void)
{
	table_fd = memfd_create("table", MFD_ALLOW_SEALING);
	assert_int_equal(ftruncate(table_fd, sizeof(*table)), 0);
	assert_int_equal(fcntl(table_fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	table->magic = RF_TABLE_MAGIC;
	table->revision = RF_TABLE_REVISION;
	table->base = TEXT_GVA;
	table->size = TEXT_SIZE;
	table->shapes_count = 1;
	table->shapes[0] = (struct rf_shape){ .len = 5, .count = 2 };
	table->shapes[0].forms[0] =
		(struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0x0f, 0x1f, 0x44, 0, 0 } };
	table->shapes[0].forms[1] =
		(struct rf_form){ .how = RF_FORM_REL32, .op_len = 1, .op = { 0xe9 } };
	table->sites_count = 1;
	table->sites[0] = (struct rf_patch_site){ .at = SITE, .kind = RF_SITE_JUMP_LABEL };
	table->sites[0].target = TEXT_GVA + SITE + 0x50;
	assert_int_equal(rf_text_use(table_fd), 0);
	close(table_fd);
}

static int once(void **state)
{
	const struct kvm_userspace_memory_region r = { 0, 0, RAM_GPA, RAM_SIZE, 0 };
	struct kvm_userspace_memory_region ours = r;

	rf_board = &file.board;
	rf_guestmem_init(3, 32);
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ours.userspace_addr = (uint64_t)(uintptr_t)ram;
	rf_text_reset();
	make_table();
	for (uint32_t i = 0; i < 4; i++)
		rf_vcpus[i].id = i;
	fake_vcpus.count = 3;
	return rf_guestmem_set(&ours);
}

/* As a VM that begins. */
static int setup(void **state)
{
	fake_vcpus.count = 3;
	for (uint32_t i = 0; i < 4; i++) {
		atomic_store(&rf_vcpus[i].phase, RF_OUT);
		rf_vcpus[i].wait.saved.reason = 0;
	}
	reset();
	rf_seal_forget();
	file.board.kept_entry = 0;
	memset(file.board.kept_note, 0, sizeof(file.board.kept_note));
	memset(&file.heals, 0, sizeof(file.heals));
	memset(&arch, 0, sizeof(arch));
	for (uint64_t i = 0; i < RAM_SIZE; i++)
		ram[i] = (uint8_t)(i * 7 + (i >> 12));
	memcpy(ram + (TEXT_GPA - RAM_GPA) + SITE, "\x0f\x1f\x44\0\0", 5);
	memset(ram + (WORD_GPA - RAM_GPA), 0, 4);
	memset(ram, 0, 8);
	ram[0] = 1;
	table->kernel = 0;
	kicks = 0;
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	return 0;
}

/* --- the rules ---------------------------------------------------------------------------------
 */

/* Before any monitor has said anything nothing is let. */
static void no_rules_yet(void **state)
{
	uint64_t known = 77;

	assert_false(rf_life_allowed()->observe);
	assert_false(rf_life_allowed()->kexec);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(known, 0);
	assert_int_equal(rf_life_entry(0, &known), RF_ENTRY_NEW);
	sealed(0);
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_true(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	now += UINT64_C(1000000000000);
	reset();
	now += UINT64_C(1000000000000);
	rf_life_tick();
	assert_false(rf_life_overdue(&rf_vcpus[0]));
}

static void the_first_rules_count(void **state)
{
	const struct rf_rules first = { .kexec = 1, .unsealed_ms = 1000 };
	const struct rf_rules next = { .observe = 1, .unsealed_ms = 0 };

	rf_life_rules(&first);
	assert_memory_equal(rf_life_allowed(), &first, sizeof(first));
	rf_life_rules(&next);
	rf_life_rules(&(struct rf_rules){ 0 });
	assert_memory_equal(rf_life_allowed(), &first, sizeof(first));
}

/* --- the kernel and its commands
 * ------------------------------------------------------------------ */

static void boots_and_is_sealed(void **state)
{
	struct rf_msg_event ev = announce(1, ENTRY);
	uint64_t known;

	/* Announced: commands may name it before the answer, and no other. */
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(watch(ev.id - 1, 1), -ESTALE);
	assert_int_equal(watch(ev.id + 1, 1), -ESTALE);
	assert_int_equal(watch(0, 1), -ESTALE);
	assert_int_equal(watch(ev.id, 1), 0);
	assert_int_equal(rf_life_state(), RF_VM_WATCHED);
	assert_true(rf_watch_armed());
	assert_int_equal(file.board.state, RF_VM_WATCHED);
	assert_int_equal(file.board.kernel, 0);
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_WATCHED);
	assert_int_equal(file.board.kernel, ev.id);
	assert_int_equal(file.board.lstar, ENTRY);
	assert_int_equal(file.board.cr3, ev.regs.cr3);
	assert_int_equal(file.board.cr4, ev.regs.cr4);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_KNOWN);
	assert_int_equal(known, ENTRY);
	assert_int_equal(rf_life_known_entry(), ENTRY);
	assert_int_equal(rf_life_entry(OTHER_ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(plant(ev.id), -EINVAL); /* traps go into sealed text */
	assert_int_equal(seal(ev.id + 1, RF_SEAL_NOW), -ESTALE);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_false(rf_watch_armed());
	assert_true(is_sealed());
	assert_int_equal(file.board.image.size, 0x8000);
	assert_int_equal(file.board.regions_count, 2);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_KNOWN);
	assert_int_equal(rf_life_entry(OTHER_ENTRY, &known), RF_ENTRY_PINNED);
	assert_int_equal(known, ENTRY);
	/* Sealed once. */
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -EALREADY);
	assert_int_equal(seal(ev.id, RF_SEAL_FRESH), -EALREADY);
	assert_int_equal(seal(ev.id, RF_SEAL_KEPT), -EALREADY);
	assert_int_equal(watch(ev.id, 2), -EBUSY);
	assert_int_equal(pin(ev.id), 0);
	assert_ptr_equal(arch.pin_boot, &rf_vcpus[1]); /* the one that announced it */
	assert_false(arch.pin_again);
	assert_int_equal(plant(ev.id), 0);
	assert_int_equal(arch.plants, 1);
	assert_int_equal(pin(ev.id + 1), -ESTALE);
	assert_int_equal(plant(ev.id + 1), -ESTALE);
	assert_int_equal(arch.pins + arch.plants, 2);
}

static void not_sealed(void **state)
{
	struct rf_msg_event ev = announce(0, ENTRY);
	struct rf_msg_seal m = seal_of(ev.id, RF_SEAL_NOW);

	m.count = RF_SEAL_MAX + 1;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = UINT32_MAX;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = 0;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.count = 2;
	m.how = RF_SEAL_FRESH + 1;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.how = UINT32_MAX;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	m.how = RF_SEAL_KEPT;
	assert_int_equal(seal_of_message(&m), -ENOENT);
	m.how = RF_SEAL_NOW;
	m.regions[1].gpa = RAM_GPA + RAM_SIZE;
	assert_int_equal(seal_of_message(&m), -EINVAL);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_false(is_sealed());
	/* A word that has its value: a kernel that runs already. Its note counts all the same. */
	ram[WORD_GPA - RAM_GPA] = RUNNING;
	assert_int_equal(watch(ev.id, 5), -EALREADY);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	rf_life_known(&ev);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	reset();
	assert_int_equal(file.board.kept_note[31], 5);
}

/* A store that KVM emulated: it lands, and the VMM's log knows of it, as KVM's does not. */
static void watched_store(void **state)
{
	uint64_t id = kernel(0, ENTRY);
	uint32_t value = RUNNING;
	bool hit = true;

	memset(ram + (WORD_GPA - RAM_GPA), 0, 8);
	assert_int_equal(watch(id, 1), 0);
	assert_int_equal(rf_guestmem.overlays[0].dirty[0], 0);
	assert_true(rf_watch_store(WORD_GPA + 4, (const uint8_t *)&value, 4, &hit));
	assert_false(hit); /* another word */
	assert_int_equal(rf_guestmem.overlays[0].dirty[0], 1);
	assert_memory_equal(ram + (WORD_GPA + 4 - RAM_GPA), &value, 4);
	assert_true(rf_watch_store(WORD_GPA, (const uint8_t *)&value, 4, &hit));
	assert_true(hit);
	assert_true(rf_watch_store(WORD_GPA, (const uint8_t *)&value, 4, &hit));
	assert_false(hit); /* it has it already */
	assert_memory_equal(ram + (WORD_GPA - RAM_GPA), &value, 4);
}

/* An announced kernel is not the one in force: who loops on denied ones makes nothing stale. */
static void announced_and_in_force(void **state)
{
	uint64_t id = sealed(1);
	struct rf_msg_event ev;

	for (int i = 0; i < 20; i++) {
		ev = announce(1, OTHER_ENTRY);
		assert_int_equal(restore(id), -ENOENT); /* there is no flight: not stale */
		assert_int_equal(restore(ev.id), -ENOENT);
		assert_int_equal(mend(id), i ? -EAGAIN : 0);
		assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
		assert_int_equal(pin(id), 0);
		assert_false(rf_life_denied(&ev));
		assert_int_equal(restore(id), -ENOENT);
		assert_int_equal(mend(id), -EAGAIN);
		assert_int_equal(restore(ev.id), -ESTALE);
		assert_int_equal(mend(ev.id), -ESTALE);
		assert_int_equal(heal(ev.id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	}
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_int_equal(rf_life_known_entry(), ENTRY);
	assert_int_equal(file.board.kernel, id);
	/* Two at once: the answer to the older one takes nothing from the newer. */
	ev = announce(1, OTHER_ENTRY);
	announce(2, OTHER_ENTRY);
	assert_int_equal(restore(ev.id), -ESTALE);
	assert_int_equal(restore(ev.id + 1), -ENOENT);
	assert_false(rf_life_denied(&ev));
	assert_int_equal(restore(ev.id + 1), -ENOENT);
	assert_int_equal(restore(id), -ENOENT);
}

static void healed(void **state)
{
	uint64_t id = sealed(1);
	uint8_t was = ram[TEXT_GPA - RAM_GPA];

	ram[TEXT_GPA - RAM_GPA] ^= 0xff;
	ram[TEXT_GPA - RAM_GPA + RF_PAGE_SIZE] ^= 0xff;
	assert_int_equal(heal(id + 1, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(heal(id, UINT64_MAX - 1, 3, 0), -EINVAL);
	assert_int_equal(file.heals.head, 0);
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
	assert_int_equal(file.heals.head, 1);
	assert_int_equal(ram[TEXT_GPA - RAM_GPA], was);
	/* What is written down is of any kernel's time. */
	assert_int_equal(heal(0, 0, 0, 1), 0);
	assert_int_equal(file.heals.taken, 1);
	assert_int_equal(file.heals.head, 1);
	assert_int_equal(heal(id + 1, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(heal(id, 0, UINT64_MAX, 0), 0);
	assert_int_equal(file.heals.head, 2);
}

/* --- a reset
 * ---------------------------------------------------------------------------------------- */

static void released_by_a_reset(void **state)
{
	uint64_t id = sealed(9), known;

	announce(1, OTHER_ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		atomic_store(&rf_vcpus[i].phase, i == 1 ? RF_ASKING : RF_OUT);
	rf_vcpus[1].wait.saved.reason = 29;
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(file.board.state, RF_VM_BOOTING);
	assert_false(is_sealed());
	assert_int_equal(file.board.kernel, 0);
	assert_int_equal(file.board.regions_count, 0);
	assert_int_equal(file.board.copy_bytes, 0);
	assert_int_equal(arch.disarms, 1);
	assert_null(arch.disarm_first);
	/* All questions are moot; the register write that waited is not completed by KVM. */
	assert_int_equal(drops, 3);
	assert_int_equal(arch.abandoned, 1);
	assert_int_equal(rf_vcpus[1].wait.saved.reason, 0);
	assert_int_equal(rf_life_entry(ENTRY, &known), RF_ENTRY_NEW);
	assert_int_equal(known, 0);
	for (uint64_t k = id; k < next_id; k++) {
		assert_int_equal(restore(k), -ESTALE);
		assert_int_equal(mend(k), -ESTALE);
		assert_int_equal(seal(k, RF_SEAL_NOW), -ESTALE);
		assert_int_equal(watch(k, 1), -ESTALE);
		assert_int_equal(pin(k), -ESTALE);
		assert_int_equal(plant(k), -ESTALE);
	}
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(file.board.kept_note[0], 9);
	assert_false(rf_life_unsettled());
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
	/* With nobody's load there is nothing to look at. */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_int_equal(drops, 0);
}

/* What is not all of a reset is none: no value of the guest's makes it one. */
static void no_reset(void **state)
{
	static const struct {
		enum rf_vcpu_class class;
		uint64_t entry;
	} others[] = {
		{ RF_CPU_KERNEL, ENTRY }, { RF_CPU_KERNEL, 0 }, /* LSTAR of 0 by VMLOAD */
		{ RF_CPU_NESTED, ENTRY }, { RF_CPU_NESTED, 0 },
		{ RF_CPU_OTHER, 0 }, /* a guest can leave long mode */
		{ RF_CPU_OTHER, ENTRY },
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		for (uint32_t left = 1; left < 3; left++) {
			uint64_t id;

			setup(state);
			id = sealed(1);
			/* All are in the reset state by the VMM, but for one that goes on. */
			for (uint32_t n = 0; n < 3; n++)
				if (n != left)
					load(n, RF_CPU_RESET, 0);
			cpu(left, others[i].class, others[i].entry);
			assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
			assert_true(is_sealed());
			assert_int_equal(rf_life_state(), RF_VM_SEALED);
			assert_int_equal(restore(id), -ENOENT);
			assert_false(dropped[left]);
			assert_int_equal(arch.disarms, 0);
		}
	}
	/* The boot CPU was not: an AP that the VMM resets, while the others look like reset. */
	setup(state);
	sealed(1);
	for (uint32_t n = 0; n < 3; n++)
		cpu(n, RF_CPU_RESET, 0);
	load(1, RF_CPU_RESET, 0);
	load(2, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
	/* Nor is what a guest can make its CPUs look like without any load. */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
}

/* A CPU that is plugged in comes by a load, while the others run. */
static void a_plugged_cpu_is_nothing(void **state)
{
	uint64_t id = sealed(1);

	fake_vcpus.count = 4;
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	load(3, RF_CPU_RESET, 0);
	assert_true(rf_life_unsettled());
	assert_int_equal(may(0), RF_MAY_NOT_YET); /* until it is looked at */
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(is_sealed());
	assert_int_equal(restore(id), -ENOENT);
	assert_int_equal(drops, 1);
	assert_true(dropped[3]);
	assert_int_equal(rf_vcpus[1].phase, RF_ASKING); /* its question stands */
	assert_int_equal(may(3), RF_MAY_RUN);
	assert_false(rf_life_unsettled());
}

/* The firmware's state, as a snapshot of it has: no kernel runs in there. */
static void a_load_of_firmware(void **state)
{
	sealed(1);
	load(0, RF_CPU_OTHER, 0);
	load(1, RF_CPU_RESET, 0);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_RESET, false, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
}

static void nothing_to_tell(void **state)
{
	/* The VMM's first reset, of a VM that has not begun. */
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
	/* A kernel that was announced had begun. */
	announce(0, ENTRY);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
	kernel(0, ENTRY);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_outcome(reset(), RF_LIFE_EVENTS, false, 0, 0);
}

/* Each in an announcement of its own: nothing of them waits on, nobody waits for ever. */
static void two_resets_in_announcements(void **state)
{
	struct rf_msg_event ev = announce(0, ENTRY), next;

	atomic_store(&rf_vcpus[0].phase, RF_ASKING);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_true(dropped[0]);
	next = announce(0, ENTRY);
	atomic_store(&rf_vcpus[0].phase, RF_ASKING);
	assert_int_equal(watch(ev.id, 1), -ESTALE);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(watch(next.id, 1), -ESTALE);
	assert_int_equal(may(0), RF_MAY_RUN);
	sealed(1);
}

static void many_resets(void **state)
{
	uint8_t text[TEXT_SIZE];

	for (int i = 0; i < 50; i++) {
		uint64_t id = sealed(1);

		/* What was patched in its life is kept, whatever its next life begins with. */
		rf_overlay_write(&rf_guestmem.overlays[0], 0x40, (uint8_t *)&id, sizeof(id));
		memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
		assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
		assert_int_equal(file.board.kept_entry, ENTRY);
		ram[TEXT_GPA - RAM_GPA + 0x40]++;
		if (i % 2) {
			id = kernel(0, ENTRY);
			assert_int_equal(seal(id, RF_SEAL_KEPT), 0);
			assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
			reset();
		}
	}
	for (uint32_t space = 0; space < RF_SPACES; space++)
		for (uint32_t i = 0; i < RF_OWN_IDS; i++)
			assert_int_equal(rf_guestmem.own_ids[space][i], 0);
}

/* --- what is kept
 * ------------------------------------------------------------------------------------ */

static void kept_until_another_is_sealed(void **state)
{
	uint8_t text[TEXT_SIZE];
	uint64_t id = sealed(7);

	assert_int_equal(pin(id), 0);
	memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
	reset();
	/* Another kernel comes up, and is not sealed: by firmware, a boot loader, an attacker. */
	id = kernel(0, OTHER_ENTRY);
	assert_int_equal(watch(id, 8), 0);
	reset();
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(file.board.kept_note[0], 7);
	ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
	/* The same one, at the same place: not with the bytes that are there by now. */
	id = kernel(2, ENTRY);
	assert_int_equal(seal(id, RF_SEAL_NOW), -EEXIST);
	assert_int_equal(rf_life_state(), RF_VM_FOUND);
	assert_int_equal(seal(id, RF_SEAL_KEPT), 0);
	assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
	assert_int_equal(file.board.kept_entry, 0);
	assert_int_equal(pin(id), 0);
	assert_true(arch.pin_again); /* with the values it had */
	assert_ptr_equal(arch.pin_boot, &rf_vcpus[2]);
	/* And its note goes on with it. */
	reset();
	assert_int_equal(file.board.kept_note[0], 7);
	assert_int_equal(file.board.kept_entry, ENTRY);
	/* Booted anew, as the monitor knows. */
	id = kernel(0, ENTRY);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	assert_int_equal(rf_guestmem.overlays[0].copy[9], (uint8_t)~text[9]);
	assert_int_equal(pin(id), 0);
	assert_false(arch.pin_again);
	reset();
	/* Another entry there is what whoever woke the kernel up says: it gets nothing, nor may it
	 * be sealed over. Booted anew it may; then nothing of the first is left. */
	id = kernel(0, OTHER_ENTRY);
	assert_int_equal(seal(id, RF_SEAL_NOW), -EEXIST);
	assert_int_equal(seal(id, RF_SEAL_KEPT), -EPERM);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	reset();
	assert_int_equal(file.board.kept_entry, OTHER_ENTRY);
	assert_int_equal(file.board.kept_note[0],
			 0); /* it had no watch: the note was not its own */
	id = kernel(0, ENTRY);
	assert_int_equal(seal(id, RF_SEAL_KEPT), -EPERM);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
}

/* By the announced entry as well: a kernel is sealed before its answer where it runs already. */
static void kept_by_the_announced_entry(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_seal m;

	sealed(7);
	reset();
	ev = announce(0, ENTRY);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -EEXIST);
	/* Other regions are not what is kept. */
	m = seal_of(ev.id, RF_SEAL_NOW);
	m.regions[0].size -= RF_PAGE_SIZE;
	assert_int_equal(seal_of_message(&m), 0);
	reset();
	ev = announce(0, ENTRY);
	assert_int_equal(seal(ev.id, RF_SEAL_KEPT), -ENOENT);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
}

/* --- loads
 * --------------------------------------------------------------------------------------------- */

static void arrives(void **state)
{
	struct rf_msg_event ev;

	/* CPU 0 has no entry yet, CPU 1 is in a guest of its own, CPU 2 says who it is. */
	load(0, RF_CPU_KERNEL, 0);
	load(1, RF_CPU_NESTED, OTHER_ENTRY);
	load(2, RF_CPU_KERNEL, ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_NOT_YET);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_true(rf_life_unsettled());
	assert_int_equal(may(0), RF_MAY_NOT_YET);
	assert_int_equal(may(1), RF_MAY_NOT_YET);
	assert_int_equal(may(2), RF_MAY_ANNOUNCE);
	assert_int_equal(may(2), RF_MAY_NOT_YET); /* once */
	ev = announce(2, ENTRY);
	/* Nobody runs before it is sealed and answered. */
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_NOT_YET);
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
	assert_false(rf_life_unsettled());
}

static void arrives_over_a_sealed_one(void **state)
{
	uint64_t id = sealed(3);

	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, OTHER_ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(file.board.kept_entry, ENTRY);
	assert_int_equal(restore(id), -ESTALE);
	assert_int_equal(drops, 3);
	assert_int_equal(arch.disarms, 1);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
	/* And is loaded again before the answer: that announcement is moot, another comes. */
	announce(1, OTHER_ENTRY);
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, OTHER_ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_int_equal(may(2), RF_MAY_ANNOUNCE);
	announce(2, OTHER_ENTRY);
	/* And is reset before the answer: nothing is awaited any more. */
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(may(i), RF_MAY_RUN);
}

/* The one that announces is taken away by the VMM: another one does. */
static void the_announcer_goes(void **state)
{
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
	announce(1, ENTRY);
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_true(dropped[1]);
	assert_int_equal(may(1), RF_MAY_NOT_YET);
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
}

/* Nobody says which kernel it is: it does not run. */
static void arrives_with_nobody(void **state)
{
	static const struct {
		enum rf_vcpu_class class;
		uint64_t entry;
	} rows[] = { { RF_CPU_KERNEL, 0 }, { RF_CPU_NESTED, ENTRY }, { RF_CPU_NESTED, 0 } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup(state);
		sealed(1);
		for (uint32_t n = 0; n < 3; n++)
			load(n, rows[i].class, rows[i].entry);
		assert_outcome(settle(), RF_LIFE_ARRIVED, true, RF_CAUSE_NOBODY, 0);
		assert_int_equal(rf_life_state(), RF_VM_HALTED);
		assert_int_equal(file.board.state, RF_VM_HALTED);
		for (uint32_t n = 0; n < 3; n++)
			assert_int_equal(may(n), RF_MAY_NEVER);
		assert_true(rf_life_unsettled());
		/* The guest's own doing changes nothing; another load does. */
		cpu(0, RF_CPU_KERNEL, ENTRY);
		assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
		assert_int_equal(may(0), RF_MAY_NEVER);
		load(0, RF_CPU_KERNEL, ENTRY);
		assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
		assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	}
}

static void arrives_and_is_denied(void **state)
{
	struct rf_msg_event ev;

	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	settle();
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	ev = announce(0, ENTRY);
	assert_true(rf_life_denied(&ev));
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_NEVER);
	assert_int_equal(seal(ev.id, RF_SEAL_NOW), -ESTALE);
	/* A late answer of another one does not let it run. */
	rf_life_known(&ev);
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	assert_int_equal(may(0), RF_MAY_NEVER);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_int_equal(may(0), RF_MAY_RUN);
	/* One that the guest announces by itself: denied, and it runs on as it was. */
	ev = announce(0, ENTRY);
	assert_false(rf_life_denied(&ev));
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
}

/* A state of the kernel that is sealed. */
static void reload(void)
{
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
}

static void loaded_again(void **state)
{
	uint8_t *text = ram + (TEXT_GPA - RAM_GPA);
	uint64_t id = sealed(1);

	table->kernel = id;
	atomic_store(&rf_vcpus[1].phase, RF_ASKING);
	reload();
	/* What differs now is the load: not to be healed before it is judged. */
	assert_true(rf_life_holds_load());
	ram[TEXT_GPA - RAM_GPA + 0x700]++;
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	ram[TEXT_GPA - RAM_GPA + 0x700]--;
	assert_int_equal(file.heals.head, 0);
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 0);
	assert_false(rf_life_holds_load());
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), 0);
	assert_true(is_sealed());
	assert_true(dropped[1]); /* of before the load */
	assert_int_equal(arch.disarms, 0);
	assert_int_equal(restore(id), -ENOENT);
	/* Its text had another legal patch. */
	memcpy(text + SITE, "\xe9\x4b\0\0\0", 5);
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 3);
	assert_memory_equal(rf_guestmem.overlays[0].copy + SITE, "\xe9\x4b\0\0\0", 5);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_RUN);
	/* One vCPU that knows is enough: others may be in guests of their own, or come up. */
	load(0, RF_CPU_NESTED, OTHER_ENTRY);
	load(1, RF_CPU_KERNEL, ENTRY);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
}

static void loaded_and_does_not_fit(void **state)
{
	uint8_t *text = ram + (TEXT_GPA - RAM_GPA);
	uint64_t id = sealed(1);

	table->kernel = id;
	memcpy(text + SITE, "\xe9\x4b\0\0\0", 5);
	text[0x500] ^= 0xff;
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
	assert_int_equal(rf_life_state(), RF_VM_HALTED);
	assert_true(is_sealed()); /* seals stay as they are */
	assert_true(rf_life_holds_load());
	assert_int_equal(heal(id, TEXT_GPA, RF_PAGE_SIZE, 0), -ESTALE);
	assert_int_equal(text[0x500], (uint8_t)~rf_guestmem.overlays[0].copy[0x500]);
	assert_int_equal(rf_guestmem.overlays[0].copy[SITE], 0x0f);
	for (uint32_t n = 0; n < 3; n++)
		assert_int_equal(may(n), RF_MAY_NEVER);
	/* The same state again is the same again; one that fits is let. */
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
	text[0x500] ^= 0xff;
	assert_int_equal(may(0), RF_MAY_NEVER); /* nobody has loaded it */
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, 0, 3);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	assert_int_equal(may(0), RF_MAY_RUN);
	assert_int_equal(restore(id), -ENOENT);
	/* A reset gets out of it, too. */
	text[0x500] ^= 0xff;
	reload();
	settle();
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
	assert_false(is_sealed());
	assert_int_equal(may(0), RF_MAY_RUN);
}

/* Rodata that differs fits nothing. */
static void loaded_with_other_rodata(void **state)
{
	table->kernel = sealed(1);
	ram[RODATA_GPA - RAM_GPA + 5] ^= 1;
	reload();
	assert_outcome(settle(), RF_LIFE_RELOADED, false, RF_CAUSE_TEXT, 0);
}

/* Before the seal a load of the same kernel may run user code: sealed before it runs. */
static void loaded_before_the_seal(void **state)
{
	uint64_t id = kernel(0, ENTRY);

	assert_int_equal(watch(id, 1), 0);
	reload();
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_false(rf_watch_armed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(may(1), RF_MAY_ANNOUNCE);
}

/* --- what comes too late ------------------------------------------------------------------------
 */

/* The VMM has loaded memory when a command for the kernel that was there comes. */
static void sealed_while_loaded(void **state)
{
	struct rf_msg_seal m;
	uint64_t id = kernel(0, ENTRY);

	assert_int_equal(watch(id, 1), 0);
	ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
	assert_int_equal(seal_held(id, RF_SEAL_NOW), 0);
	reload();
	/* As if it had not come: it is announced, and nothing of it is kept. */
	assert_outcome(settle(), RF_LIFE_ARRIVED, true, 0, 0);
	assert_int_equal(file.board.kept_entry, 0);
	m = seal_of(id, RF_SEAL_KEPT);
	assert_false(rf_seal_is_kept(m.regions, m.count));
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
	id = announce(0, ENTRY).id;
	assert_int_equal(seal_held(id, RF_SEAL_KEPT), -ENOENT);
	assert_int_equal(seal_held(id, RF_SEAL_NOW), 0);
}

/* Sealed with what was kept, and reset before it runs: kept again, for the kernel that it is of. */
static void kept_twice(void **state)
{
	uint8_t text[TEXT_SIZE];
	struct rf_msg_event ev;

	sealed(7);
	memcpy(text, rf_guestmem.overlays[0].copy, TEXT_SIZE);
	reset();
	for (int i = 0; i < 2; i++) {
		ev = announce(0, ENTRY);
		assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), 0);
		ram[TEXT_GPA - RAM_GPA + 9] ^= 0xff;
		reset();
		assert_int_equal(file.board.kept_entry, ENTRY);
	}
	ev = announce(0, OTHER_ENTRY);
	assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), -EPERM);
	ev = announce(0, ENTRY);
	assert_int_equal(seal_held(ev.id, RF_SEAL_KEPT), 0);
	assert_memory_equal(rf_guestmem.overlays[0].copy, text, TEXT_SIZE);
}

/* An announcement that the VMM made moot: no command is for it. */
static void announced_and_loaded(void **state)
{
	struct rf_msg_event first = announce(0, ENTRY), second;

	rf_life_known(&first);
	second = announce(1, OTHER_ENTRY);
	assert_int_equal(watch(second.id, 1), 0);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_EVENTS, false, 0, 0);
	assert_int_equal(seal(second.id, RF_SEAL_NOW), -ESTALE);
	assert_int_equal(seal(first.id, RF_SEAL_NOW), 0);
}

/* The only one that could say what arrived is taken away: it is held, and not for ever silently. */
static void nobody_is_left(void **state)
{
	load(0, RF_CPU_NESTED, 0);
	load(1, RF_CPU_KERNEL, ENTRY);
	load(2, RF_CPU_OTHER, 0);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, 0, 0);
	load(1, RF_CPU_RESET, 0);
	assert_outcome(settle(), RF_LIFE_ARRIVED, false, RF_CAUSE_NOBODY, 0);
	assert_int_equal(may(0), RF_MAY_NEVER);
	assert_outcome(reset(), RF_LIFE_RESET, false, 0, 0);
}

/* Answers from before a release, carried out behind it. */
static void answered_too_late(void **state)
{
	struct rf_msg_event other, ev;

	kernel(0, ENTRY);
	other = announce(1, OTHER_ENTRY);
	assert_int_equal(seal(rf_vcpus[0].wait.event.id, RF_SEAL_NOW), 0);
	rf_vcpus[0].wait.event.id = next_id++;
	rf_vcpus[2].wait.event.id = next_id++;
	assert_true(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	rf_life_known(&other);
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_int_equal(rf_life_known_entry(), 0);
	assert_int_equal(watch(other.id, 1), -ESTALE);
	/* Its question got its id before the release, and is announced after it. */
	rf_life_announced(&rf_vcpus[1], other.id, OTHER_ENTRY);
	assert_int_equal(watch(other.id, 1), -ESTALE);
	/* The next kernel is sealed: no kexec of the one before ends that. */
	ev = announce(0, ENTRY);
	rf_life_known(&ev);
	assert_int_equal(seal(ev.id, RF_SEAL_FRESH), 0);
	assert_false(rf_life_kexec(&rf_vcpus[2], drop, tell_kexec));
	assert_true(is_sealed());
	rf_vcpus[2].wait.event.id = next_id++;
	assert_true(rf_life_kexec(&rf_vcpus[2], drop, tell_kexec));
	/* Nor does a denial hold what the VMM has loaded since. */
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, ENTRY);
	settle();
	assert_false(rf_life_denied(&ev));
	assert_int_equal(may(0), RF_MAY_ANNOUNCE);
}

static void out_of_the_table(void **state)
{
	for (unsigned s = 0; s < RF_VM_STATES + 2; s++)
		for (unsigned e = 0; e < RF_LIFE_EVENTS + 2; e++) {
			struct rf_life_step step;

			if (s < RF_VM_STATES && e < RF_LIFE_EVENTS)
				continue;
			step = rf_life_step((enum rf_vm_state)s, (enum rf_life_event)e);
			assert_int_equal(step.next, s);
			assert_int_equal(step.action, RF_LIFE_REFUSE);
		}
}

/* --- kexec
 * ------------------------------------------------------------------------------------------------
 */

static void handed_over(void **state)
{
	uint64_t id = sealed(4);

	rf_vcpus[0].wait.saved.reason = 2;
	rf_vcpus[0].wait.event.id = next_id++;
	rf_vcpus[1].wait.saved.reason = 2;
	drops = arch.abandoned = tells = 0;
	memset(dropped, 0, sizeof(dropped));
	assert_true(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_false(fake_vcpus.gate_closed);
	assert_int_equal(tells, 1);
	assert_false(is_sealed());
	assert_int_equal(rf_life_state(), RF_VM_BOOTING);
	assert_ptr_equal(arch.disarm_first, &rf_vcpus[0]);
	assert_int_equal(drops, 2);
	assert_int_equal(tells, 1);
	assert_false(dropped[0]); /* its own is being carried out */
	assert_int_equal(arch.abandoned, 1);
	assert_int_equal(rf_vcpus[0].wait.saved.reason, 2);
	assert_int_equal(restore(id), -ESTALE);
	assert_int_equal(file.board.kept_entry, ENTRY);
	/* There is no other kernel to hand over to from there. */
	tells = 0;
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	kernel(0, OTHER_ENTRY);
	assert_false(rf_life_kexec(&rf_vcpus[0], drop, tell_kexec));
	assert_int_equal(tells, 0);
	assert_int_equal(rf_life_state(), RF_VM_FOUND);
}

/* --- unsealed for too long
 * ------------------------------------------------------------------------------------ */

static void later(uint64_t ms)
{
	now += ms * 1000000;
	rf_life_tick();
}

static void unsealed(void **state)
{
	uint64_t id;

	cpu(0, RF_CPU_KERNEL, 0);
	cpu(1, RF_CPU_OTHER, 0);
	cpu(2, RF_CPU_NESTED, 0);
	atomic_store(&rf_vcpus[1].phase, RF_IN);
	later(1000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	assert_false(rf_life_unsettled());
	later(1);
	assert_int_equal(kicks, 1); /* who is inside is got out to be looked at */
	assert_true(rf_life_unsettled());
	/* One that is none of a kernel's, then the next tick's. */
	assert_false(rf_life_overdue(&rf_vcpus[1]));
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	later(1);
	assert_false(rf_life_overdue(&rf_vcpus[2]));
	later(1);
	assert_true(rf_life_overdue(&rf_vcpus[0]));
	/* Once. */
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	assert_false(rf_life_unsettled());
	/* Whatever it announces since: the time counts from the boot on, and anew from the next. */
	atomic_store(&rf_vcpus[1].phase, RF_OUT);
	kernel(0, OTHER_ENTRY);
	reset();
	later(600);
	id = kernel(0, ENTRY);
	later(600);
	assert_true(rf_life_overdue(&rf_vcpus[0]));
	/* A sealed one is none, nor is one that does not run. */
	assert_int_equal(seal(id, RF_SEAL_NOW), 0);
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
	for (uint32_t i = 0; i < 3; i++)
		load(i, RF_CPU_KERNEL, 0);
	assert_int_equal(settle().halted, RF_CAUSE_NOBODY);
	later(5000);
	assert_false(rf_life_overdue(&rf_vcpus[0]));
}

#define T(f) cmocka_unit_test_setup(f, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(no_rules_yet),
		T(the_first_rules_count),
		T(boots_and_is_sealed),
		T(not_sealed),
		T(announced_and_in_force),
		T(healed),
		T(released_by_a_reset),
		T(no_reset),
		T(a_plugged_cpu_is_nothing),
		T(a_load_of_firmware),
		T(nothing_to_tell),
		T(two_resets_in_announcements),
		T(many_resets),
		T(kept_until_another_is_sealed),
		T(kept_by_the_announced_entry),
		T(arrives),
		T(arrives_over_a_sealed_one),
		T(the_announcer_goes),
		T(arrives_with_nobody),
		T(arrives_and_is_denied),
		T(loaded_again),
		T(loaded_and_does_not_fit),
		T(loaded_with_other_rodata),
		T(loaded_before_the_seal),
		T(sealed_while_loaded),
		T(kept_twice),
		T(announced_and_loaded),
		T(nobody_is_left),
		T(answered_too_late),
		T(watched_store),
		T(out_of_the_table),
		T(handed_over),
		T(unsealed),
	};

	return cmocka_run_group_tests(tests, once, NULL);
}
