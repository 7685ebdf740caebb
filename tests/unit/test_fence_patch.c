/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hv/patch.c: what the fence settles by the table, what it leaves to the monitor, and the trail of
 * both. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "hv/vm.h"

#define TEXT_GPA UINT64_C(0x1000000)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define TEXT_SIZE UINT64_C(0x2000)
#define SITE 0x100u  /* a 5-byte jump label: target SITE + 0x50 */
#define OTHER 0x200u /* another one */
#define LOCK 0x300u  /* one byte, written directly */

struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };
static struct rf_board_file *file;
static struct rf_trail *trail;
static struct rf_patch_table *table;
static struct rf_vcpu vcpu;
static uint8_t text[TEXT_SIZE], decoy[TEXT_SIZE];
static uint64_t dirty[1];
static bool somebody_runs;
static int table_fd = -1;

static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0, 0 }, jmp[5] = { 0xe9, 0x4b, 0, 0, 0 };

bool rf_gate_anyone_in(void)
{
	return somebody_runs;
}

void rf_fatal(const char *why)
{
	fail_msg("%s", why);
	abort();
}

static int make_table(size_t size, int seals)
{
	int fd = memfd_create("table", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static struct rf_patch_site *add_site(uint32_t at, uint16_t shape, enum rf_site_kind kind)
{
	struct rf_patch_site *s = &table->sites[table->sites_count++];

	*s = (struct rf_patch_site){ .at = at, .shape = shape, .kind = (uint8_t)kind };
	s->target = TEXT_GVA + at + 0x50;
	return s;
}

static int setup(void **state)
{
	file = calloc(1, sizeof(*file));
	trail = &file->trail;
	rf_vm.board = &file->board;
	rf_vm.board->kernel = 7;
	atomic_store(&rf_vm.kernel, 7);
	rf_patch_reset();
	memset(text, 0x90, sizeof(text));
	memset(dirty, 0, sizeof(dirty));
	memcpy(text + SITE, nop5, 5);
	memcpy(text + OTHER, nop5, 5);
	text[LOCK] = 0x3e;
	memcpy(decoy, text, sizeof(text));
	rf_vm.slots.nr_overlays = 1;
	rf_vm.slots.overlays[0] = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
						       .gpa = { TEXT_GPA, TEXT_SIZE },
						       .gva = TEXT_GVA,
						       .region = RF_REGION_TEXT,
						       .copy = text,
						       .decoy = decoy,
						       .dirty = dirty };
	vcpu.id = 3;
	somebody_runs = true;

	table_fd = make_table(sizeof(*table), F_SEAL_SHRINK);
	table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE, MAP_SHARED, table_fd, 0);
	assert_ptr_not_equal(table, MAP_FAILED);
	table->magic = RF_TABLE_MAGIC;
	table->revision = RF_TABLE_REVISION;
	table->kernel = 7;
	table->base = TEXT_GVA;
	table->size = TEXT_SIZE;
	table->shapes_count = 2;
	table->shapes[0] = (struct rf_shape){ .len = 5, .count = 2 };
	table->shapes[0].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES };
	memcpy(table->shapes[0].forms[0].bytes, nop5, 5);
	table->shapes[0].forms[1] =
		(struct rf_form){ .how = RF_FORM_REL32, .op_len = 1, .op = { 0xe9 } };
	table->shapes[1] = (struct rf_shape){ .len = 1, .flags = RF_SHAPE_DIRECT, .count = 1 };
	table->shapes[1].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0xf0 } };
	add_site(SITE, 0, RF_SITE_JUMP_LABEL);
	add_site(OTHER, 0, RF_SITE_JUMP_LABEL);
	add_site(LOCK, 1, RF_SITE_SMP_LOCK);
	assert_int_equal(rf_patch_use(table_fd), 0);
	return 0;
}

static int teardown(void **state)
{
	munmap(table, sizeof(*table));
	close(table_fd);
	free(file);
	return 0;
}

static bool store(uint32_t at, const void *bytes, uint32_t len)
{
	return rf_patch_settle(&vcpu, TEXT_GPA + at, bytes, len);
}

static bool byte(uint32_t at, uint8_t b)
{
	return store(at, &b, 1);
}

/* --- settled ------------------------------------------------------------------ */

static void whole_patch(void **state)
{
	const struct rf_patch_entry *e = &trail->entries[0];
	uint32_t changes;

	assert_true(byte(SITE, 0xcc));
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->flights[0].at, SITE);
	assert_memory_equal(trail->flights[0].before, nop5, 5);
	assert_true(store(SITE + 1, jmp + 1, 4));
	assert_int_equal(trail->last_tail, SITE);
	changes = trail->changes;
	assert_true(store(SITE + 1, jmp + 1, 4));  /* memcpy()'s overlapping stores */
	assert_int_equal(trail->changes, changes); /* no sign of life */
	assert_int_equal(trail->head, 0);
	assert_true(byte(SITE, jmp[0]));
	assert_memory_equal(text + SITE, jmp, 5);
	assert_memory_equal(decoy + SITE, jmp, 5);
	assert_int_equal(dirty[0], 1);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	assert_int_equal(trail->head, 1);
	assert_int_equal(trail->kinds[RF_SITE_JUMP_LABEL], 1);
	assert_int_equal(e->at, SITE);
	assert_int_equal(e->vcpu, 3);
	assert_int_equal(e->kind, RF_SITE_JUMP_LABEL);
	assert_int_equal(e->len, 5);
	assert_memory_equal(e->before, nop5, 5);
	assert_memory_equal(e->after, jmp, 5);
}

/* int3 and back: nothing has changed, so there is nothing to write down. */
static void back_again(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(SITE, nop5[0]));
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->head, 0);
}

static void direct_byte(void **state)
{
	assert_false(byte(LOCK, 0xcc));
	assert_true(byte(LOCK, 0xf0));
	assert_int_equal(trail->kinds[RF_SITE_SMP_LOCK], 1);
	assert_int_equal(trail->entries[0].before[0], 0x3e);
	assert_false(byte(LOCK, 0x3e));
	assert_int_equal(text[LOCK], 0xf0);
}

static void batch(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->flights_count, 2);
	assert_true(store(SITE + 1, jmp + 1, 1));
	assert_false(store(OTHER + 1, jmp + 1, 4)); /* the first one's tail is half written */
	assert_true(store(OTHER + 1, nop5 + 1, 4)); /* changes nothing, and that is not forgotten */
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_true(store(SITE + 2, jmp + 2, 3));
	assert_true(store(OTHER + 1, jmp + 1, 4));
	assert_true(byte(SITE, 0xe9));
	assert_true(byte(OTHER, 0xe9));
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->head, 2);
}

/* What is begun after one has ended is of the next batch. */
static void batches(void **state)
{
	uint32_t first;

	assert_true(byte(SITE, 0xcc)); /* whatever an earlier test left */
	assert_true(byte(SITE, 0x0f));
	assert_true(byte(SITE, 0xcc));
	first = trail->batch;
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->batch, first);
	assert_int_equal(trail->flights[1].batch, first);
	assert_true(byte(OTHER, 0x0f));
	assert_int_equal(trail->batch, first);
	assert_true(byte(OTHER, 0xcc));
	assert_int_equal(trail->batch, first + 1);
	assert_int_equal(trail->flights[0].batch, first);
	assert_int_equal(trail->flights[1].batch, first + 1);
}

/* --- left to the monitor ------------------------------------------------------- */

static void unchanged(void)
{
	assert_memory_equal(text + SITE, nop5, 5);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, 0);
	assert_int_equal(trail->flights_count, 0);
}

static void illegal(void **state)
{
	static const uint8_t foreign[5] = { 0xe9, 0x4b, 1, 0, 0 };

	assert_false(byte(SITE - 1, 0xcc));	   /* no site */
	assert_false(byte(SITE, 0xe9));		   /* no int3 */
	assert_false(store(SITE + 1, jmp + 1, 4)); /* no int3 */
	assert_false(store(SITE, jmp, 5));
	assert_false(store(SITE - 1, jmp, 4));
	assert_false(store(SITE + 3, jmp, 4));
	unchanged();
	assert_true(byte(SITE, 0xcc));
	assert_false(store(SITE + 1, foreign + 1, 4));
	assert_true(byte(SITE, 0x0f));
	unchanged();
}

static void other_tables(void **state)
{
	table->kernel = 8;
	assert_false(byte(SITE, 0xcc));
	table->kernel = 0;
	assert_false(byte(SITE, 0xcc));
	rf_vm.board->kernel = 0;
	assert_false(byte(SITE, 0xcc));
	rf_vm.board->kernel = table->kernel = 7;
	table->base += 4096;
	assert_false(byte(SITE, 0xcc));
	table->base -= 4096;
	table->magic++;
	assert_false(byte(SITE, 0xcc));
	table->magic--;
	table->revision++;
	assert_false(byte(SITE, 0xcc));
	table->revision--;
	table->seq = 1; /* being changed, for ever */
	assert_false(byte(SITE, 0xcc));
	table->seq = 2;
	unchanged();
	assert_true(byte(SITE, 0xcc));
}

static void other_memory(void **state)
{
	struct rf_overlay *o = &rf_vm.slots.overlays[0];

	assert_false(rf_patch_settle(&vcpu, TEXT_GPA - 1, nop5, 1));
	assert_false(store(TEXT_SIZE - 1, nop5, 2)); /* reaches beyond */
	assert_false(store(TEXT_SIZE, nop5, 1));
	o->region = RF_REGION_RODATA;
	assert_false(byte(SITE, 0xcc));
	o->region = RF_REGION_TEXT;
	o->kind = RF_OVERLAY_WATCH;
	assert_false(byte(SITE, 0xcc));
	o->kind = RF_OVERLAY_SEAL;
	unchanged();
}

/* Counts, shapes and sets that a broken monitor could write: nothing is read out of bounds. */
static void hostile_table(void **state)
{
	table->sites_count = UINT32_MAX;
	table->extra_count = UINT32_MAX;
	assert_false(byte(SITE - 1, 0xcc));
	table->extra_count = 0;
	table->sites_count = 3;
	table->sites[0].shape = 9;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].shape = UINT16_MAX;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].shape = 0;
	table->sites[0].kind = RF_SITE_KINDS; /* counters are kept by kind */
	assert_false(byte(SITE, 0xcc));
	table->sites[0].kind = 0;
	assert_false(byte(SITE, 0xcc));
	table->sites[0].kind = RF_SITE_JUMP_LABEL;
	table->shapes_count = UINT32_MAX;
	table->shapes[0].len = 255;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].len = 0;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].len = 5;
	table->shapes[0].count = 255;
	assert_false(byte(SITE, 0xcc));
	table->shapes[0].count = 2;
	table->shapes[0].forms[1].set = 1;
	table->sets[1] = (struct rf_patch_set){ UINT32_MAX, UINT32_MAX };
	assert_true(byte(SITE, 0xcc));
	assert_false(store(SITE + 1, jmp + 1, 4));
	table->shapes[0].forms[1].set = UINT16_MAX;
	assert_false(store(SITE + 1, jmp + 1, 4));
	/* A site that would reach out of text. */
	table->sites[2].at = TEXT_SIZE - 2;
	table->sites[2].shape = 0;
	assert_false(byte(TEXT_SIZE - 2, 0xcc));
	assert_memory_equal(text, decoy, sizeof(text));
}

static void full(void **state)
{
	trail->head = RF_TRAIL_ENTRIES + 5;
	table->taken = 5;
	assert_false(byte(SITE, 0xcc));
	table->taken = 6;
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(SITE, 0x0f));
	table->taken = RF_TRAIL_ENTRIES + 6; /* more than there is */
	assert_false(byte(SITE, 0xcc));
	table->taken = trail->head;
	trail->flights_count = RF_FLIGHTS;
	assert_false(byte(SITE, 0xcc));
	trail->flights_count = 0;
	assert_memory_equal(text, decoy, sizeof(text));
}

/* --- put back ------------------------------------------------------------------ */

static void denied_goes_back(void **state)
{
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	rf_patch_denied(TEXT_GPA + SITE - 8, 8); /* ends where the site begins */
	assert_int_equal(trail->flights_count, 2);
	rf_patch_denied(TEXT_GPA + SITE, 1);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, 0);
}

static void restored(void **state)
{
	struct rf_msg_restore m = { .kernel = 7 };

	assert_true(byte(OTHER, 0xcc));
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	m.flight = trail->flights[1].number;
	somebody_runs = false;
	assert_int_equal(rf_patch_restore(&m), -EAGAIN);
	somebody_runs = true;
	m.kernel = 6;
	assert_int_equal(rf_patch_restore(&m), -ESTALE);
	m.kernel = 7;
	assert_int_equal(text[SITE], 0xcc);
	assert_int_equal(rf_patch_restore(&m), 0);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(rf_patch_restore(&m), -ENOENT);
	assert_int_equal(trail->flights_count, 1);
	assert_memory_equal(text, decoy, sizeof(text));
}

static void tables_refused(void **state)
{
	int fd = make_table(4096, F_SEAL_SHRINK);

	assert_int_equal(rf_patch_use(fd), -EBADMSG);
	close(fd);
	fd = make_table(sizeof(*table), F_SEAL_GROW);
	assert_int_equal(rf_patch_use(fd), -EBADMSG);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(rf_patch_use(fd), -EBADMSG);
	close(fd);
	/* The one in use stays. */
	assert_true(byte(SITE, 0xcc));
}

/* --- who begins ------------------------------------------------------------- */

static void begun_by_nobody(void **state)
{
	static uint32_t ram[1024];
	struct rf_slot *s = &rf_vm.slots.slots[0];

	*s = (struct rf_slot){
		.used = true, .gpa = 0x8000, .size = sizeof(ram), .hva = (uint64_t)(uintptr_t)ram
	};
	rf_vm.slots.nr_slots = 1;
	table->busy = 0x8010;
	assert_false(byte(SITE, 0xcc));
	assert_memory_equal(text + SITE, nop5, 5);
	ram[4] = 1;
	assert_true(byte(SITE, 0xcc));
	ram[4] = 0;
	assert_true(store(SITE + 1, jmp + 1, 4)); /* what is begun goes on */
	assert_true(byte(SITE, jmp[0]));
	assert_false(byte(OTHER, 0xcc));
	assert_true(byte(LOCK, 0xf0)); /* has no first step */
	table->sites[1].kind = RF_SITE_KPROBE;
	assert_true(byte(OTHER, 0xcc));
	rf_patch_denied(TEXT_GPA + OTHER, 1);
	table->sites[1].kind = RF_SITE_JUMP_LABEL;
	ram[4] = ram[5] = ~0u;
	table->busy = 0x8012; /* no place for a number */
	assert_false(byte(OTHER, 0xcc));
	table->busy = 0x8000 + sizeof(ram); /* no memory */
	assert_false(byte(OTHER, 0xcc));
	table->busy = TEXT_GPA; /* sealed */
	assert_false(byte(OTHER, 0xcc));
	table->busy = UINT64_MAX - 3;
	assert_false(byte(OTHER, 0xcc));
	table->busy = 0;
	assert_true(byte(OTHER, 0xcc));
	rf_vm.slots.nr_slots = 0;
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_patch),	   T(back_again),	T(direct_byte),
		T(batch),	   T(batches),		T(illegal),
		T(other_tables),   T(other_memory),	T(hostile_table),
		T(full),	   T(denied_goes_back), T(restored),
		T(tables_refused), T(begun_by_nobody),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
