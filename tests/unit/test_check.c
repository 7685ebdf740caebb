// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/check.c: what no fence says, field by field. Each row changes one thing of what is right. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "hv/check.h"
#include "hv/span.h"

/* --- the board -------------------------------------------------------------------- */

static struct rf_board b;

#define TEXT 0
#define RODATA 1
#define IDT 2

static void sealed_board(void)
{
	memset(&b, 0, sizeof(b));
	b.magic = RF_BOARD_MAGIC;
	b.revision = RF_PROTO_REVISION;
	b.seq = 4;
	b.state = RF_VM_SEALED;
	b.vcpus = 2;
	b.cr_watch = b.loaded = 1;
	b.runs_count = 2;
	b.runs[0] = (struct rf_board_run){ 0, 0x40000000, 0x7f0000000000, 0 };
	b.runs[1] = (struct rf_board_run){ 0x1000000, 0x200000, 0x7e0000000000, 0x7f0001000000 };
	b.image = (struct rf_region){ 0x1000000, 0x2000000, 0xffffffff81000000, 0, 0 };
	b.regions_count = 3;
	b.regions[TEXT] =
		(struct rf_region){ 0x1000000, 0x200000, 0xffffffff81000000, RF_REGION_TEXT, 0 };
	b.regions[RODATA] =
		(struct rf_region){ 0x1400000, 0x100000, 0xffffffff81400000, RF_REGION_RODATA, 0 };
	b.regions[IDT] =
		(struct rf_region){ 0x1600000, 0x1000, 0xffffffff81600000, RF_REGION_IDT, 0 };
	b.traps_count = 2;
	b.traps[0] = (struct rf_trap_site){ .gpa = 0x1001000, .len = 3, .kind = RF_TRAP_LIDT };
	b.traps[1] = (struct rf_trap_site){
		.gpa = 0x1001003, .len = 15, .kind = RF_TRAP_KEXEC, .reg = 15
	};
}

#define FIELD(member, value)                                                                       \
	{                                                                                          \
#member " = " #value, offsetof(struct rf_board, member),                           \
			sizeof(((struct rf_board *)0)->member), value                              \
	}

static const struct {
	const char *what;
	size_t at, size;
	uint64_t value;
} wrong[] = {
	FIELD(magic, 0),
	FIELD(revision, RF_PROTO_REVISION + 1),
	FIELD(state, RF_VM_HALTED + 1),
	FIELD(state, UINT32_MAX),
	FIELD(vcpus, RF_SAID_VCPUS + 1),
	FIELD(cr_watch, 2),
	FIELD(loaded, 0x80000000),
	FIELD(runs_count, RF_BOARD_RUNS + 1),
	FIELD(runs_count, UINT32_MAX),
	FIELD(runs[0].gpa, UINT64_MAX - 0x1000),
	FIELD(runs[0].size, UINT64_MAX),
	FIELD(runs[0].hva, UINT64_MAX),
	FIELD(runs[0].hva, INT64_MAX),
	FIELD(runs[1].decoy, INT64_MAX - 0x100000),
	FIELD(regions_count, RF_SEAL_MAX + 1),
	FIELD(regions_count, UINT32_MAX),
	FIELD(regions_count, 4), /* one of nothing */
	FIELD(regions[0].gpa, 0x1000001),
	FIELD(regions[0].gpa, UINT64_MAX - 0xfff),
	FIELD(regions[0].size, 0),
	FIELD(regions[0].size, 0x1ffff0),
	FIELD(regions[2].size, RF_SAID_IMAGE_MAX + RF_PAGE_SIZE),
	FIELD(regions[2].size, UINT64_MAX - 0xfff),
	FIELD(regions[0].gva, 0xffffffff81000800),
	FIELD(regions[2].gva, UINT64_MAX - 0x1fff + 0x1001),
	FIELD(regions[0].kind, RF_REGION_IMAGE),
	FIELD(regions[2].kind, RF_REGION_IDT + 1),
	FIELD(regions[1].kind, 33),
	FIELD(regions[1].kind, RF_REGION_TEXT), /* two of a kind */
	FIELD(regions[1].gpa, 0x11ff000),	/* the last page of the one before */
	FIELD(regions[1].gpa, 0x800000),	/* in front of it */
	FIELD(image.size, RF_SAID_IMAGE_MAX + 1),
	FIELD(image.gva, UINT64_MAX),
	FIELD(image.gpa, UINT64_MAX),
	FIELD(traps_count, RF_TRAP_MAX + 1),
	FIELD(traps_count, UINT32_MAX),
	FIELD(traps_count, 3), /* one of nothing */
	FIELD(traps[0].len, 0),
	FIELD(traps[0].len, 2),
	FIELD(traps[1].len, 16),
	FIELD(traps[1].len, 255),
	FIELD(traps[0].kind, 0),
	FIELD(traps[0].kind, RF_TRAP_KEXEC + 1),
	FIELD(traps[0].kind, 255),
	FIELD(traps[0].reg, 16),
	FIELD(traps[0].gpa, 0xfffffe),	/* half of it before text */
	FIELD(traps[1].gpa, 0x11ffffc), /* half of it behind */
	FIELD(traps[1].gpa, 0x1400000), /* sealed, and no text */
	FIELD(traps[1].gpa, UINT64_MAX),
	FIELD(traps[1].gpa, 0x1001002), /* over the one before */
	FIELD(traps[1].gpa, 0x1000000), /* in front of it */
};

static void boards_that_no_fence_makes(void **state)
{
	sealed_board();
	assert_null(rf_check_board(&b));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		sealed_board();
		memcpy((uint8_t *)&b + wrong[i].at, &wrong[i].value, wrong[i].size);
		if (!rf_check_board(&b))
			fail_msg("taken: %s", wrong[i].what);
	}
}

static void boards_that_fences_make(void **state)
{
	static const struct {
		const char *what;
		size_t at, size;
		uint64_t value;
	} right[] = {
		FIELD(state, RF_VM_BOOTING),
		FIELD(state, RF_VM_HALTED),
		FIELD(vcpus, 0),
		FIELD(vcpus, RF_SAID_VCPUS),
		FIELD(runs_count, 0),
		FIELD(traps_count, 0),
		FIELD(traps[0].len, 3),
		FIELD(traps[1].gpa, 0x11ffff1),	  /* text's last bytes */
		FIELD(regions[1].gpa, 0x1200000), /* side by side */
		FIELD(image.size, 0),
		FIELD(runs[0].size, 0),
	};

	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		sealed_board();
		memcpy((uint8_t *)&b + right[i].at, &right[i].value, right[i].size);
		if (rf_check_board(&b))
			fail_msg("refused: %s: %s", right[i].what, rf_check_board(&b));
	}
	memset(&b, 0, sizeof(b)); /* a new one */
	b.magic = RF_BOARD_MAGIC;
	b.revision = RF_PROTO_REVISION;
	assert_null(rf_check_board(&b));
}

/* Traps stand in sealed text: without it there are none. */
static void traps_without_text(void **state)
{
	sealed_board();
	b.regions_count = 0;
	assert_non_null(rf_check_board(&b));
	b.traps_count = 0;
	assert_null(rf_check_board(&b));
}

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
	random_state = random_state * 1664525 + 1013904223;
	return random_state >> 8;
}

/* What its readers do with a board that is taken, done here, each step within bounds. */
static void use(void)
{
	uint64_t sum = 0;

	assert_in_range(b.regions_count, 0, RF_SEAL_MAX);
	assert_in_range(b.runs_count, 0, RF_BOARD_RUNS);
	assert_in_range(b.traps_count, 0, RF_TRAP_MAX);
	for (uint32_t i = 0; i < b.traps_count; i++) {
		for (uint8_t n = 0; n < b.traps[i].len; n++)
			sum += b.traps[i].bytes[n]; /* ASan and UBSan see past the array */
		assert_in_range(b.traps[i].len, 3, 15);
	}
	for (uint32_t i = 0; i < b.regions_count; i++) {
		assert_in_range(b.regions[i].kind, RF_REGION_TEXT, RF_REGION_IDT);
		assert_true(b.regions[i].gpa + b.regions[i].size - 1 >= b.regions[i].gpa);
		sum += b.regions[i].size;
	}
	assert_true(sum <= 3 * RF_SAID_IMAGE_MAX + RF_TRAP_MAX * 15 * 255);
}

static void mutated_boards(void **state)
{
	static const uint8_t odd[] = { 0, 1, 0x7f, 0x80, 0xff };
	unsigned int taken = 0, refused = 0;

	for (int i = 0; i < 200000; i++) {
		sealed_board();
		for (uint32_t n = 0; n <= next_random() % 3; n++) {
			/* Among the first entries: there is where something stands. */
			size_t tables[] = { 0, offsetof(struct rf_board, image),
					    offsetof(struct rf_board, regions),
					    offsetof(struct rf_board, runs),
					    offsetof(struct rf_board, traps_count) };
			size_t at = tables[next_random() % 5] + next_random() % 120;
			uint8_t value =
				next_random() & 1 ? odd[next_random() % 5] : (uint8_t)next_random();

			((uint8_t *)&b)[at] = value;
		}
		if (rf_check_board(&b)) {
			refused++;
		} else {
			taken++;
			use();
		}
	}
	assert_true(taken > 1000);
	assert_true(refused > 1000);
}

/* --- messages --------------------------------------------------------------------- */

static struct rf_msg_event event_of(enum rf_event_kind kind)
{
	struct rf_msg_event e = { .id = 7, .kind = kind, .vcpu = 1 };

	switch (kind) {
	case RF_EVENT_KERNEL:
		e.msr.index = RF_MSR_ENTRY;
		break;
	case RF_EVENT_WRITE:
		e.write.len = 8;
		break;
	case RF_EVENT_TRAP:
		e.trap.kind = RF_TRAP_LIDT;
		e.trap.len = 3;
		break;
	case RF_EVENT_RESET:
		e.life.cause = RF_CAUSE_RESET;
		break;
	case RF_EVENT_HALTED:
		e.life.cause = RF_CAUSE_TEXT;
		break;
	default:
		break;
	}
	return e;
}

#define EVENT(kind, member, value)                                                                 \
	{                                                                                          \
#kind ": " #member " = " #value, RF_EVENT_##kind,                                  \
			offsetof(struct rf_msg_event, member),                                     \
			sizeof(((struct rf_msg_event *)0)->member), value                          \
	}

static const struct {
	const char *what;
	enum rf_event_kind kind;
	size_t at, size;
	uint64_t value;
} odd_events[] = {
	EVENT(WATCH, id, 0),
	EVENT(WATCH, kind, 0),
	EVENT(WATCH, kind, 7), /* there is none */
	EVENT(WATCH, kind, RF_EVENT_UNSEALED + 1),
	EVENT(WATCH, kind, UINT32_MAX),
	EVENT(WATCH, vcpu, RF_BACKEND_VCPU_IDS),
	EVENT(WATCH, vcpu, UINT32_MAX),
	EVENT(WATCH, regs.cpl, 4),
	EVENT(WATCH, write.len, RF_EVENT_BYTES + 1),
	EVENT(WATCH, insn.len, 16),
	EVENT(KERNEL, msr.index, RF_MSR_ENTRY + 1),
	EVENT(WRITE, write.len, 0),
	EVENT(WRITE, write.len, RF_EVENT_BYTES + 1),
	EVENT(WRITE, write.gpa, UINT64_MAX),
	EVENT(WRITE, write.rip_after, 2),
	EVENT(WRITE, write.elsewhere, 0x8000),
	EVENT(EMULATION, insn.len, 16),
	EVENT(EMULATION, insn.len, UINT32_MAX),
	EVENT(TRAP, trap.kind, 0),
	EVENT(TRAP, trap.kind, RF_TRAP_KEXEC + 1),
	EVENT(TRAP, trap.kind, UINT32_MAX),
	EVENT(TRAP, trap.kind, RF_TRAP_POKE), /* of a store of no bytes */
	EVENT(TRAP, trap.len, 2),
	EVENT(TRAP, trap.len, 16),
	EVENT(DELIVERY, delivery.vector, 256),
	EVENT(DELIVERY, delivery.vector, UINT32_MAX - 1),
	EVENT(CR, cr.interrupted, 2),
	EVENT(TABLES, has_kept, 2),
	EVENT(RESET, life.cause, 0),
	EVENT(RESET, life.cause, RF_CAUSE_TEXT),
	EVENT(RESET, life.cause, UINT32_MAX),
	EVENT(RELOADED, life.cause, 1),
	EVENT(HALTED, life.cause, RF_CAUSE_KEXEC),
	EVENT(HALTED, life.cause, RF_CAUSE_DENIED + 1),
	EVENT(UNSEALED, life.cause, 1),
};

static void events_that_no_fence_sends(void **state)
{
	for (uint32_t kind = 1; kind <= RF_EVENT_UNSEALED; kind++) {
		struct rf_msg_event e = event_of((enum rf_event_kind)kind);

		if (kind != 7)
			assert_null(rf_check_event(&e));
	}
	for (size_t i = 0; i < sizeof(odd_events) / sizeof(odd_events[0]); i++) {
		struct rf_msg_event e = event_of(odd_events[i].kind);

		memcpy((uint8_t *)&e + odd_events[i].at, &odd_events[i].value, odd_events[i].size);
		if (!rf_check_event(&e))
			fail_msg("taken: %s", odd_events[i].what);
	}
}

static void other_messages(void **state)
{
	struct rf_msg_hello h = { .next_event = 1, .board_size = sizeof(struct rf_board_file) };
	struct rf_msg_outcome o = { .id = 1 };
	struct rf_msg_done d = { .status = 0 };

	assert_null(rf_check_hello(&h));
	h.state = RF_VM_HALTED; /* told of next */
	assert_null(rf_check_hello(&h));
	h.state = RF_VM_SEALED;
	assert_non_null(rf_check_hello(&h)); /* nothing has led there */
	h.next_event = 2;
	assert_null(rf_check_hello(&h));
	h.state = RF_VM_HALTED + 1;
	assert_non_null(rf_check_hello(&h));
	h.state = RF_VM_BOOTING;
	h.next_event = 0;
	assert_non_null(rf_check_hello(&h));
	h.next_event = 1;
	h.board_size++;
	assert_non_null(rf_check_hello(&h));

	for (int32_t s = 1; s < 0x40000000; s <<= 1) {
		o.status = d.status = s;
		assert_non_null(rf_check_outcome(&o));
		assert_non_null(rf_check_done(&d));
	}
	o.status = d.status = -4095;
	assert_null(rf_check_outcome(&o));
	assert_null(rf_check_done(&d));
	o.status = d.status = -4096;
	assert_non_null(rf_check_outcome(&o));
	assert_non_null(rf_check_done(&d));
	o = (struct rf_msg_outcome){ .id = 0 };
	assert_non_null(rf_check_outcome(&o));
}

/* Lists behind the board are copied and shown: what an entry says of itself is cut to its room. */
static void entries_are_bounded(void **state)
{
	struct rf_flight f = { .kind = UINT8_MAX, .len = UINT8_MAX };
	struct rf_heal h = { .len = UINT32_MAX };

	rf_bound_flight(&f);
	assert_int_equal(f.kind, 0);
	assert_int_equal(f.len, RF_SITE_MAX_LEN);
	f = (struct rf_flight){ .kind = RF_SITE_KINDS - 1, .len = RF_SITE_MAX_LEN };
	rf_bound_flight(&f);
	assert_int_equal(f.kind, RF_SITE_KINDS - 1);
	assert_int_equal(f.len, RF_SITE_MAX_LEN);
	rf_bound_heal(&h);
	assert_int_equal(h.len, RF_PAGE_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_are_bounded),
		cmocka_unit_test(boards_that_no_fence_makes),
		cmocka_unit_test(boards_that_fences_make),
		cmocka_unit_test(traps_without_text),
		cmocka_unit_test(mutated_boards),
		cmocka_unit_test(events_that_no_fence_sends),
		cmocka_unit_test(other_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
