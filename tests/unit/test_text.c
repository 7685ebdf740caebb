/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hv/text.c: what the fence settles by the table, what it leaves to the monitor, the trail of both,
 * and text that the VMM loads. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "hv/text.h"
#include "tests/unit/fake_vcpus.h"

#define TEXT_GPA UINT64_C(0x1000000)
#define TEXT_GVA UINT64_C(0xffffffff81000000)
#define TEXT_SIZE UINT64_C(0x2000)
#define SITE 0x100u  /* a 5-byte jump label: target SITE + 0x50 */
#define OTHER 0x200u /* another one */
#define LOCK 0x300u  /* one byte, written directly */

static struct rf_board_file *file;
static struct rf_trail *trail;
static struct rf_patch_table *table;
static struct rf_vcpu vcpu;
static uint8_t text[TEXT_SIZE], decoy[TEXT_SIZE];
static uint64_t dirty[1];
static struct rf_overlay *const overlay = &rf_guestmem.overlays[0];
static int table_fd = -1;

static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0, 0 }, jmp[5] = { 0xe9, 0x4b, 0, 0, 0 };

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
	rf_board = &file->board;
	rf_board->kernel = 7;
	rf_text_reset();
	rf_guestmem_stand_ins(NULL, 0);
	memset(text, 0x90, sizeof(text));
	memset(dirty, 0, sizeof(dirty));
	memcpy(text + SITE, nop5, 5);
	memcpy(text + OTHER, nop5, 5);
	text[LOCK] = 0x3e;
	memcpy(decoy, text, sizeof(text));
	rf_guestmem.nr_slots = 1;
	rf_guestmem.slots[0] = (struct rf_slot){
		.used = true, .gpa = TEXT_GPA, .size = TEXT_SIZE, .hva = (uint64_t)(uintptr_t)decoy
	};
	rf_guestmem.nr_overlays = 1;
	*overlay = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
					.gpa = { TEXT_GPA, TEXT_SIZE },
					.gva = TEXT_GVA,
					.region = RF_REGION_TEXT,
					.copy = text,
					.dirty = dirty };
	vcpu.id = 3;

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
		(struct rf_form){ .how = RF_FORM_REL32, .op_len = 1, .bytes = { 0xe9 } };
	table->shapes[1] = (struct rf_shape){ .len = 1, .flags = RF_SHAPE_DIRECT, .count = 1 };
	table->shapes[1].forms[0] = (struct rf_form){ .how = RF_FORM_BYTES, .bytes = { 0xf0 } };
	add_site(SITE, 0, RF_SITE_JUMP_LABEL);
	add_site(OTHER, 0, RF_SITE_JUMP_LABEL);
	add_site(LOCK, 1, RF_SITE_SMP_LOCK);
	assert_int_equal(rf_text_use(table_fd), 0);
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
	return rf_text_settle(&vcpu, TEXT_GPA + at, bytes, len);
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

#define PAD 0x600
static const uint8_t thunk[10] = { 0x65, 0x48, 0xc1, 0x3c, 0x25, 1, 2, 3, 4, 5 };
static uint8_t nops[10];

/* Ten bytes that are filled in, where nops are. */
static void add_pad(uint32_t at)
{
	memset(nops, 0x90, sizeof(nops));
	table->shapes_count = 3;
	table->shapes[2] = (struct rf_shape){ .len = 10, .flags = RF_SHAPE_FILLED, .count = 2 };
	table->shapes[2].forms[0].how = table->shapes[2].forms[1].how = RF_FORM_BYTES;
	memcpy(table->shapes[2].forms[0].bytes, thunk, 10);
	memcpy(table->shapes[2].forms[1].bytes, nops, 10);
	add_site(at, 2, RF_SITE_CALL_THUNK);
	memcpy(text + at, nops, 10);
	memcpy(decoy + at, nops, 10);
}

static void filled(void **state)
{
	const struct rf_patch_entry *e = &trail->entries[0];
	uint32_t busy_batch = trail->batch;

	add_pad(PAD);
	assert_false(byte(PAD, 0xcc));
	assert_false(store(PAD + 2, thunk + 2, 8)); /* not from the front */
	/* No word of the guest's says that it is at work: it has none for this. */
	table->busy = TEXT_GPA; /* and where it has, none that can be read */
	assert_true(store(PAD, thunk, 8));
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->flights[0].len, 10);
	assert_memory_equal(trail->flights[0].before, nops, 10);
	assert_int_equal(trail->head, 0);
	assert_true(store(PAD + 2, thunk + 2, 8)); /* memcpy()'s overlapping stores */
	assert_memory_equal(text + PAD, thunk, 10);
	assert_memory_equal(decoy + PAD, thunk, 10);
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->kinds[RF_SITE_CALL_THUNK], 1);
	assert_int_equal(e->len, 10);
	assert_memory_equal(e->before, nops, 10);
	assert_memory_equal(e->after, thunk, 10);
	assert_in_range(trail->batch, busy_batch, busy_batch + 1);
	assert_false(store(PAD, nops, 10));
	assert_false(store(PAD, nops, 8));
}

/* Begun and left, it is put back; what does not belong there puts it back at once. */
static void filled_half(void **state)
{
	add_pad(PAD);
	for (uint32_t n = 1; n < 10; n++) {
		for (uint32_t i = 0; i < n; i++)
			assert_true(byte(PAD + i, thunk[i]));
		assert_int_equal(trail->flights_count, 1);
		if (n % 2) {
			rf_board->counters[RF_COUNT_RUN]++;
			assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
		} else {
			assert_false(byte(PAD + n, (uint8_t)~thunk[n]));
			rf_text_denied(TEXT_GPA + PAD + n, 1);
		}
		assert_int_equal(trail->flights_count, 0);
		assert_memory_equal(text + PAD, nops, 10);
		assert_memory_equal(decoy + PAD, nops, 10);
	}
	assert_int_equal(trail->head, 0);
}

/* A tail that is half written elsewhere is not forgotten over it. */
static void filled_meanwhile(void **state)
{
	add_pad(PAD);
	assert_true(byte(SITE, 0xcc));
	assert_true(byte(OTHER, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 1));
	assert_true(store(PAD, thunk, 4));
	assert_true(store(PAD + 1, thunk + 1, 8));
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_true(byte(PAD + 9, thunk[9]));
	assert_false(store(OTHER + 1, jmp + 1, 4));
	assert_int_equal(trail->last_tail, SITE);
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
	rf_board->kernel = 0;
	assert_false(byte(SITE, 0xcc));
	rf_board->kernel = table->kernel = 7;
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
	struct rf_overlay *o = overlay;

	assert_false(rf_text_settle(&vcpu, TEXT_GPA - 1, nop5, 1));
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
	rf_text_denied(TEXT_GPA + SITE - 8, 8); /* ends where the site begins */
	assert_int_equal(trail->flights_count, 2);
	rf_text_denied(TEXT_GPA + SITE, 1);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(trail->flights_count, 1);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, 0);
}

static void restored(void **state)
{
	uint64_t flight, entries = trail->head;

	rf_board->counters[RF_COUNT_RUN] = 100;
	assert_true(byte(OTHER, 0xcc));
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	flight = trail->flights[1].number;
	/* Nobody has run since: whoever patches could not go on. */
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	assert_int_equal(text[SITE], 0xcc);
	/* Somebody has, and is outside again by now. */
	rf_board->counters[RF_COUNT_RUN]++;
	assert_true(store(SITE + 1, jmp + 1, 4)); /* the last change counts */
	assert_int_equal(rf_text_restore(flight), -EAGAIN);
	rf_board->counters[RF_COUNT_RUN]++;
	assert_int_equal(rf_text_restore(flight), 0);
	assert_memory_equal(text + SITE, nop5, 5);
	assert_int_equal(text[OTHER], 0xcc);
	assert_int_equal(rf_text_restore(flight), -ENOENT);
	assert_int_equal(rf_text_restore(0), -ENOENT);
	assert_int_equal(rf_text_restore(UINT64_MAX), -ENOENT);
	assert_int_equal(trail->flights_count, 1);
	/* The counter moved on for a reason that has nothing to do with this text: enough. */
	assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
	assert_int_equal(trail->flights_count, 0);
	assert_memory_equal(text, decoy, sizeof(text));
	assert_int_equal(trail->head, entries);
}

/* No seal of text, no flight to put back. */
static void restored_without_text(void **state)
{
	assert_true(byte(SITE, 0xcc));
	rf_board->counters[RF_COUNT_RUN]++;
	overlay->region = RF_REGION_RODATA;
	assert_int_equal(rf_text_restore(trail->flights[0].number), -ENOENT);
	overlay->region = RF_REGION_TEXT;
	overlay->kind = RF_OVERLAY_WATCH;
	assert_int_equal(rf_text_restore(trail->flights[0].number), -ENOENT);
	overlay->kind = RF_OVERLAY_SEAL;
	rf_text_reset();
	assert_int_equal(rf_text_restore(1), -ENOENT);
}

/* --- over traps ------------------------------------------------------------------ */

#define TRAP 0x208u /* seven bytes */

static const uint8_t lidt[7] = { 0x0f, 0x01, 0x1d, 1, 2, 3, 4 };
static struct rf_trap_site traps[2];

/* The trap in the copy, the instruction in the VMM's memory. */
static void plant(uint32_t at)
{
	traps[0] = (struct rf_trap_site){ .gpa = TEXT_GPA + 0x10, .len = 3, .bytes = { 9, 9, 9 } };
	traps[1] = (struct rf_trap_site){ .gpa = TEXT_GPA + at, .len = 7, .kind = RF_TRAP_LIDT };
	memcpy(traps[1].bytes, lidt, 7);
	for (int i = 0; i < 7; i++)
		text[at + i] = RF_TRAP_BYTE(i);
	memcpy(decoy + at, lidt, 7);
	for (int i = 0; i < 3; i++)
		text[0x10 + i] = RF_TRAP_BYTE(i);
	memset(decoy + 0x10, 9, 3);
	rf_guestmem_stand_ins(traps, 2);
}

static void trap_stands(void)
{
	for (int i = 0; i < 7; i++)
		assert_int_equal(text[TRAP + i], RF_TRAP_BYTE(i));
	assert_memory_equal(decoy + TRAP, lidt, 7);
}

/* A probe's site, of six bytes, that holds what the guest itself has there. */
static void probe(uint32_t at, enum rf_site_kind kind)
{
	table->shapes[0].len = 6;
	table->shapes[0].forms[0].how = RF_FORM_OWN;
	table->shapes[0].forms[1].op_len = 2;
	table->shapes[0].forms[1].bytes[1] = 0x4b;
	table->sites[1] = (struct rf_patch_site){ .at = at, .kind = (uint8_t)kind };
	memcpy(table->sites[1].own, decoy + at, 6);
	table->sites[2].at = 0x400;
}

/*
 * A forged probe puts a site on a trap's bytes: the guest says where probes are. Beside the trap it
 * may be written; no byte of the trap's is, and none comes back with what is put back.
 */
static void over_traps(void **state)
{
	static const enum rf_site_kind kinds[] = { RF_SITE_KPROBE, RF_SITE_KGDB };

	for (size_t k = 0; k < 2; k++) {
		for (uint32_t at = TRAP - 8; at <= TRAP + 8; at++) {
			bool in = at >= TRAP && at < TRAP + 7;
			uint8_t was[8], below[8];

			plant(TRAP);
			probe(at, kinds[k]);
			memcpy(was, text + at, 8);
			memcpy(below, decoy + at, 8);
			/* Its first byte, and back. */
			assert_int_equal(byte(at, 0xcc), !in);
			trap_stands();
			assert_int_equal(byte(at, below[0]), !in);
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_int_equal(trail->flights_count, 0);
			/* Its first byte, then all that may be stored of its tail, denied. */
			assert_int_equal(byte(at, 0xcc), !in);
			for (uint32_t i = 1; i < 6; i++) {
				bool over = at + i >= TRAP && at + i < TRAP + 7;

				if (over)
					assert_false(store(at + i, below + i, 1));
				else
					store(at + i, below + i, 1);
				assert_false(over && store(at + i, below + i, 2));
			}
			assert_int_equal(trail->flights_count, !in);
			rf_text_denied(TEXT_GPA + at + 5, 1);
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_memory_equal(decoy + at, below, 8);
			/* And put back at the monitor's word. */
			if (!in) {
				assert_true(byte(at, 0xcc));
				rf_board->counters[RF_COUNT_RUN]++;
				assert_int_equal(rf_text_restore(trail->flights[0].number), 0);
			}
			trap_stands();
			assert_memory_equal(text + at, was, 8);
			assert_memory_equal(decoy + at, below, 8);
			assert_int_equal(trail->flights_count, 0);
		}
	}
}

/* One that a store of the whole would end, as a breakpoint's does. */
static void over_a_trap_at_once(void **state)
{
	plant(TRAP);
	table->shapes[1].forms[0].bytes[0] = 0x77;
	table->sites[1] = (struct rf_patch_site){ .at = TRAP, .shape = 1, .kind = RF_SITE_KPROBE };
	table->sites[2].at = 0x400;
	assert_false(byte(TRAP, 0x77));
	trap_stands();
	rf_guestmem_stand_ins(NULL, 0);
	assert_true(byte(TRAP, 0x77)); /* it was the trap alone that kept it */
}

/* --- adopted ---------------------------------------------------------------------- */

static void adopts(uint32_t bytes)
{
	uint32_t n = 77;

	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, bytes);
	assert_memory_equal(text, decoy, sizeof(text));
}

static void refuses(void)
{
	static uint8_t text_was[TEXT_SIZE], decoy_was[TEXT_SIZE];
	uint32_t flights = trail->flights_count, n = 77;

	memcpy(text_was, text, sizeof(text));
	memcpy(decoy_was, decoy, sizeof(decoy));
	dirty[0] = 0;
	assert_int_equal(rf_text_adopt(&n), -EPERM);
	assert_int_equal(n, 0);
	assert_memory_equal(text, text_was, sizeof(text));
	assert_memory_equal(decoy, decoy_was, sizeof(decoy));
	assert_int_equal(dirty[0], 0);
	assert_int_equal(trail->flights_count, flights);
}

static void adopted(void **state)
{
	adopts(0);
	assert_int_equal(dirty[0], 0);
	memcpy(decoy + SITE, jmp, 5);
	decoy[LOCK] = 0xf0;
	adopts(4); /* 0f 1f 44 00 00 -> e9 4b 00 00 00, and the prefix */
	assert_memory_equal(text + SITE, jmp, 5);
	assert_int_equal(text[LOCK], 0xf0);
	assert_int_equal(dirty[0], 1);
	assert_int_equal(trail->head, 0);
	memcpy(decoy + SITE, nop5, 5); /* and back */
	adopts(3);
	/* What had been half way is at rest in what was loaded. */
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 1));
	memcpy(decoy + SITE, jmp, 5);
	adopts(2); /* text had cc 4b 44 00 00 */
	assert_int_equal(trail->flights_count, 0);
	assert_int_equal(trail->last_tail, UINT32_MAX);
	/* And the kernel that was loaded patches on. */
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, nop5 + 1, 4));
	assert_true(byte(SITE, nop5[0]));
}

/* A site over two pages is one site. */
static void adopted_over_pages(void **state)
{
	table->sites[2] =
		(struct rf_patch_site){ .at = 0xffe, .shape = 0, .kind = RF_SITE_JUMP_LABEL };
	table->sites[2].target = TEXT_GVA + 0xffe + 0x50;
	table->shapes[0].forms[0].bytes[3] = 0x11;
	memcpy(text + 0xffe, table->shapes[0].forms[0].bytes, 5);
	memcpy(decoy + 0xffe, jmp, 5);
	memcpy(decoy + SITE, jmp, 5);
	adopts(7);
	assert_int_equal(dirty[0], 3);
	/* Only its second half is foreign. */
	decoy[0x1001] = 0x11;
	refuses();
}

static void not_adopted(void **state)
{
	static const uint8_t foreign[5] = { 0xe9, 0x4b, 1, 0, 0 };

	memcpy(decoy + SITE, jmp, 5);
	decoy[SITE + 5]++; /* no site; behind one that could be adopted */
	refuses();
	decoy[SITE + 5]--;
	decoy[TEXT_SIZE - 1]++;
	refuses();
	decoy[TEXT_SIZE - 1]--;
	decoy[0]++; /* before the first */
	refuses();
	decoy[0]--;
	memcpy(decoy + OTHER, foreign, 5);
	refuses();
	memcpy(decoy + OTHER, jmp, 4);
	decoy[OTHER] = 0xcc; /* half way: nobody says what it was before */
	refuses();
	memcpy(decoy + OTHER, nop5, 5);
	decoy[LOCK] = 0xcc;
	refuses();
	decoy[LOCK] = 0x3e;
	/* A table that is not for this text. */
	table->kernel = 8;
	refuses();
	table->kernel = 7;
	table->base += 4096;
	refuses();
	table->base -= 4096;
	table->sites[0].shape = 9;
	refuses();
	table->sites[0].shape = 0;
	/* Memory that is never patched. */
	overlay->region = RF_REGION_RODATA;
	refuses();
	overlay->region = RF_REGION_TEXT;
	adopts(3);
}

/* One region is as it may be, the next is not: nothing of the first is taken over. */
static void not_adopted_for_the_next(void **state)
{
	static uint8_t rodata[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	static uint64_t rodata_dirty[1];

	rf_guestmem.nr_slots = 2;
	rf_guestmem.slots[1] = (struct rf_slot){ .used = true,
						 .gpa = TEXT_GPA + TEXT_SIZE,
						 .size = sizeof(below),
						 .hva = (uint64_t)(uintptr_t)below };
	rf_guestmem.nr_overlays = 2;
	overlay[1] = (struct rf_overlay){ .kind = RF_OVERLAY_SEAL,
					  .gpa = { TEXT_GPA + TEXT_SIZE, sizeof(rodata) },
					  .gva = TEXT_GVA + TEXT_SIZE,
					  .region = RF_REGION_RODATA,
					  .copy = rodata,
					  .dirty = rodata_dirty };
	memcpy(decoy + SITE, jmp, 5);
	below[RF_PAGE_SIZE - 1] = 1;
	refuses();
	/* A watched page is no seal. */
	overlay[1].kind = RF_OVERLAY_WATCH;
	adopts(3);
	assert_int_equal(rodata[RF_PAGE_SIZE - 1], 0);
	below[RF_PAGE_SIZE - 1] = 0;
}

/* The trap stays: the instruction below it is the guest's own, and nothing else may lie there. */
static void adopted_with_traps(void **state)
{
	uint32_t n;

	plant(TRAP);
	memcpy(decoy + SITE, jmp, 5);
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, 3);
	assert_memory_equal(text + SITE, jmp, 5);
	assert_int_equal(text[TRAP], 0xe6);
	assert_memory_equal(decoy + TRAP, lidt, 7);
	decoy[TRAP + 3]++;
	refuses();
	decoy[TRAP + 3]--;
	decoy[TRAP] = 0xe6; /* what the copy has is not the guest's */
	refuses();
	decoy[TRAP] = 0x0f;
	/* A site over it says nothing, even if its bytes would be legal: a probe's. */
	table->sites[1] = (struct rf_patch_site){ .at = TRAP + 2, .kind = RF_SITE_KPROBE };
	table->sites[1].target = TEXT_GVA + TRAP + 2 + 0x50;
	table->sites[2].at = 0x400;
	memcpy(decoy + TRAP + 2, jmp, 5);
	refuses();
	rf_guestmem_stand_ins(NULL, 0);
	memcpy(text + TRAP, decoy + TRAP, 2);
	memcpy(text + 0x10, decoy + 0x10, 3);
	memcpy(text + TRAP + 2, nop5, 5);
	adopts(3); /* it was the trap alone that kept it */
}

/* The VMM has taken its memory away: there is nothing to compare with. */
static void adopted_without_memory(void **state)
{
	uint32_t n = 77;

	memset(decoy, 0xff, sizeof(decoy));
	rf_guestmem.slots[0].used = false;
	assert_int_equal(rf_text_adopt(&n), 0);
	assert_int_equal(n, 0);
	assert_memory_equal(text + SITE, nop5, 5);
}

static void tables_refused(void **state)
{
	int fd = make_table(4096, F_SEAL_SHRINK);

	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	fd = make_table(sizeof(*table), F_SEAL_GROW);
	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	fd = open("/dev/null", O_RDONLY);
	assert_int_equal(rf_text_use(fd), -EBADMSG);
	close(fd);
	/* The one in use stays. */
	assert_true(byte(SITE, 0xcc));
}

/* --- who begins ------------------------------------------------------------- */

static void begun_by_nobody(void **state)
{
	static uint32_t ram[1024];
	struct rf_slot *s = &rf_guestmem.slots[1];

	*s = (struct rf_slot){
		.used = true, .gpa = 0x8000, .size = sizeof(ram), .hva = (uint64_t)(uintptr_t)ram
	};
	rf_guestmem.nr_slots = 2;
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
	rf_text_denied(TEXT_GPA + OTHER, 1);
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
}

/*
 * A site whose target is gone from its set (forgotten in between, or no room for it) holds none of
 * its forms. It is begun all the same as any other: by the kernel's patcher alone, and watched.
 */
static void begun_where_its_target_is_gone(void **state)
{
	static uint32_t ram[1024];
	struct rf_slot *s = &rf_guestmem.slots[1];

	*s = (struct rf_slot){
		.used = true, .gpa = 0x8000, .size = sizeof(ram), .hva = (uint64_t)(uintptr_t)ram
	};
	rf_guestmem.nr_slots = 2;
	table->busy = 0x8010;
	ram[4] = 1;
	table->shapes[0].forms[1].set = 1;
	table->sets[1] = (struct rf_patch_set){ 0, 1 };
	table->targets[0] = TEXT_GVA + SITE + 0x50;
	assert_true(byte(SITE, 0xcc));
	assert_true(store(SITE + 1, jmp + 1, 4));
	assert_true(byte(SITE, jmp[0]));
	assert_int_equal(trail->flights_count, 0);
	table->sets[1].count = 0; /* forgotten */
	ram[4] = 0;		  /* nobody patches */
	assert_false(byte(SITE, 0xcc));
	ram[4] = 1;
	if (byte(SITE, 0xcc))
		assert_int_equal(trail->flights_count, 1);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(whole_patch),
		T(back_again),
		T(direct_byte),
		T(batch),
		T(batches),
		T(filled),
		T(filled_half),
		T(filled_meanwhile),
		T(illegal),
		T(other_tables),
		T(other_memory),
		T(hostile_table),
		T(full),
		T(denied_goes_back),
		T(restored),
		T(restored_without_text),
		T(over_traps),
		T(over_a_trap_at_once),
		T(adopted),
		T(adopted_over_pages),
		T(not_adopted),
		T(not_adopted_for_the_next),
		T(adopted_with_traps),
		T(adopted_without_memory),
		T(tables_refused),
		T(begun_by_nobody),
		T(begun_where_its_target_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
