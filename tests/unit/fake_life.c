// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_life.h"

#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

struct rf_board_file file;
uint8_t *ram;
struct rf_patch_table *table;
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

uint64_t now = 1000000000;

uint64_t rf_monotonic_ns(void)
{
	return now;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

unsigned kicks;

void rf_gate_kick(struct rf_vcpu *v)
{
	kicks++;
}

/* --- the architecture ------------------------------------------------------------------------- */

struct arch arch;

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

/* --- what happens
 * ------------------------------------------------------------------------------- */

unsigned drops;
bool dropped[4];

void drop(struct rf_vcpu *v)
{
	assert_true(fake_vcpus.gate_closed);
	drops++;
	dropped[v->id] = true;
	atomic_store(&v->phase, RF_OUT);
}

void cpu(uint32_t n, enum rf_vcpu_class class, uint64_t entry)
{
	arch.cpu[n] = (struct rf_cpu_state){ class, entry, class == RF_CPU_KERNEL };
}

unsigned tells;
static struct rf_life_outcome told;

/* Before any vCPU can go on to announce what comes next. */
void tell(const struct rf_life_outcome *o)
{
	assert_true(fake_vcpus.gate_closed);
	tells++;
	told = *o;
}

void tell_kexec(void)
{
	assert_true(fake_vcpus.gate_closed);
	tells++;
}

/* The VMM loads it. */
void load(uint32_t n, enum rf_vcpu_class class, uint64_t entry)
{
	cpu(n, class, entry);
	rf_life_loaded(&rf_vcpus[n]);
}

struct rf_life_outcome settle(void)
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

struct rf_life_outcome reset(void)
{
	for (uint32_t i = 0; i < fake_vcpus.count; i++)
		load(i, RF_CPU_RESET, 0);
	return settle();
}

uint64_t next_id = 100;

struct rf_msg_event announce(uint32_t n, uint64_t entry)
{
	struct rf_msg_event ev = { .id = next_id++, .kind = RF_EVENT_KERNEL, .vcpu = n };

	ev.msr.value = entry;
	ev.regs.cr3 = 0x3000 + ev.id;
	ev.regs.cr4 = 0x4000 + ev.id;
	rf_vcpus[n].wait.event = ev;
	rf_life_announced(&rf_vcpus[n], ev.id, entry);
	return ev;
}

uint64_t kernel(uint32_t n, uint64_t entry)
{
	struct rf_msg_event ev = announce(n, entry);

	cpu(n, RF_CPU_KERNEL, entry);
	rf_life_known(&ev);
	return ev.id;
}

struct rf_msg_seal seal_of(uint64_t id, enum rf_seal_how how)
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
void run(void)
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

int seal_of_message(const struct rf_msg_seal *m)
{
	return command(RF_MSG_SEAL, m, sizeof(*m));
}

int seal_held(uint64_t id, enum rf_seal_how how)
{
	const struct rf_msg_seal m = seal_of(id, how);

	return seal_of_message(&m);
}

/* And lets the guest go on. */
int seal(uint64_t id, enum rf_seal_how how)
{
	int err = seal_held(id, how);

	if (!err)
		run();
	return err;
}

int watch(uint64_t id, uint8_t note)
{
	struct rf_msg_watch m = { .kernel = id, .gpa = WORD_GPA, .value = RUNNING, .len = 4 };

	memset(m.note, note, sizeof(m.note));
	return command(RF_MSG_WATCH, &m, sizeof(m));
}

int restore(uint64_t id)
{
	const struct rf_msg_restore m = { .kernel = id, .flight = 1 };

	return command(RF_MSG_RESTORE, &m, sizeof(m));
}

int mend(uint64_t id)
{
	const struct rf_msg_mend m = { .kernel = id, .gpa = RAM_GPA, .from = 1, .to = 2 };

	return command(RF_MSG_MEND, &m, sizeof(m));
}

int heal(uint64_t id, uint64_t gpa, uint64_t len, uint64_t taken)
{
	const struct rf_msg_heal m = { .kernel = id, .gpa = gpa, .len = len, .taken = taken };

	return command(RF_MSG_HEAL, &m, sizeof(m));
}

int pin(uint64_t id)
{
	const struct rf_msg_pin m = { .kernel = id };

	return command(RF_MSG_PIN, &m, sizeof(m));
}

int plant(uint64_t id)
{
	const struct rf_msg_traps m = { .kernel = id };

	return command(RF_MSG_TRAPS, &m, sizeof(m));
}

/* A kernel that is watched and sealed. */
uint64_t sealed(uint8_t note)
{
	uint64_t id = kernel(0, ENTRY);

	for (uint32_t i = 1; i < fake_vcpus.count; i++)
		cpu(i, RF_CPU_KERNEL, ENTRY);
	assert_int_equal(watch(id, note), 0);
	assert_int_equal(seal(id, RF_SEAL_FRESH), 0);
	assert_int_equal(rf_life_state(), RF_VM_SEALED);
	return id;
}

bool is_sealed(void)
{
	return rf_guestmem_any_sealed();
}

enum rf_life_may may(uint32_t n)
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
		(struct rf_form){ .how = RF_FORM_REL32, .op_len = 1, .bytes = { 0xe9 } };
	table->sites_count = 1;
	table->sites[0] = (struct rf_patch_site){ .at = SITE, .kind = RF_SITE_JUMP_LABEL };
	table->sites[0].target = TEXT_GVA + SITE + 0x50;
	assert_int_equal(rf_text_use(table_fd), 0);
	close(table_fd);
}

int once(void **state)
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
int setup(void **state)
{
	fake_vcpus.count = 3;
	for (uint32_t i = 0; i < 4; i++) {
		atomic_store(&rf_vcpus[i].phase, RF_OUT);
		atomic_store(&rf_vcpus[i].parked, false);
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
