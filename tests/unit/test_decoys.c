// SPDX-License-Identifier: LGPL-2.1-or-later
/* Sealed memory against its decoy: what a device wrote is found and put back, each write told once,
 * nothing left out. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define BLOCK (64u << 10)
#define ALL (TEXT_SIZE + RODATA_SIZE)

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

static void drain(void)
{
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake.info.heals_taken, fake.heals_head);
}

static void sweep_all(void)
{
	uint64_t before = guest.sweeps;

	for (int i = 0; i < 100 && guest.sweeps == before; i++)
		assert_int_equal(rf_sweep(&guest, ALL), 0);
	assert_int_equal(guest.sweeps, before + 1);
	drain();
}

static void nothing_sealed(void **state)
{
	assert_int_equal(rf_sweep(&guest, 1 << 20), 0);
	assert_int_equal(fake.decoy_reads, 0);
}

static void without_decoys(void **state)
{
	static struct rf_backend_ops ops;
	struct rf_backend hv = { &ops };

	ops = *fake.hv.ops;
	ops.read_decoy = NULL;
	guest.hv = &hv;
	fake.decoy[0]++;
	assert_int_equal(rf_sweep(&guest, ALL), 0);
	ops.read_decoy = fake.hv.ops->read_decoy;
	ops.heal = NULL; /* nor one that heals nothing */
	ops.heals = NULL;
	assert_int_equal(rf_sweep(&guest, ALL), 0);
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake.decoy_reads, 0);
	assert_int_equal(fake_count("kind", "dma"), 0);
	guest.hv = &fake.hv;
}

static void equal(void **state)
{
	size_t lines = fake_lines();

	sweep_all();
	sweep_all();
	assert_int_equal(fake_lines(), lines);
	assert_int_equal(fake.heals_asked, 0);
}

/* A legal patch reaches the decoy a moment after the sealed page. */
static void settle(void)
{
	if (fake.decoy_reads == 2)
		fake.decoy[5] = fake.ram[5];
}

static void equal_at_the_second_look(void **state)
{
	fake.decoy[5]++;
	fake.on_decoy = settle;
	assert_int_equal(rf_sweep(&guest, 1), 0);
	assert_int_equal(fake.decoy_reads, 2);
	assert_int_equal(fake.heals_asked, 0);
}

/* The kernel patches without a pause: at each look another site changes, in both copies. */
static void patch(void)
{
	fake.ram[fake.decoy_reads]++;
	fake.decoy[fake.decoy_reads] = fake.ram[fake.decoy_reads];
}

static void equal_while_patched(void **state)
{
	fake.on_decoy = patch;
	assert_int_equal(rf_sweep(&guest, 1), 0);
	assert_int_equal(fake.decoy_reads, 1);
	assert_int_equal(fake.heals_asked, 0);
	/* What a device writes meanwhile is found all the same, and nothing else is told. */
	guest.sweep_at = 0;
	fake.decoy[40] ^= 0xff;
	assert_int_equal(rf_sweep(&guest, 1), 0);
	assert_int_equal(fake.decoy_reads, 3);
	assert_int_equal(fake.heals_asked, 1);
	drain();
	assert_int_equal(fake_count("kind", "dma"), 1);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "len")), 1);
}

/* Two patches, each in the copy alone at one of the looks. */
static void late(void)
{
	if (fake.decoy_reads != 2)
		return;
	fake.decoy[5] = fake.ram[5];
	fake.decoy[6]++;
}

static void equal_in_turn(void **state)
{
	fake.decoy[5]++;
	fake.on_decoy = late;
	assert_int_equal(rf_sweep(&guest, 1), 0);
	assert_int_equal(fake.decoy_reads, 2);
	assert_int_equal(fake.heals_asked, 0);
}

static void differs(void **state)
{
	json_t *line;

	/* Two pages of text, the last of rodata; in the second of them from 0x10 to 0x12 with a
	 * byte between alike. */
	fake.decoy[0x1000]++;
	fake.decoy[0x27010]++;
	fake.decoy[0x27012]++;
	fake.decoy[RODATA_AT + RODATA_SIZE - 1]++;
	sweep_all();
	assert_int_equal(fake.heals_asked, 3);
	assert_int_equal(fake.heal.len, 0); /* the last one says what is written down */
	assert_memory_equal(fake.decoy, fake.ram, TEXT_SIZE);
	assert_memory_equal(fake.decoy + RODATA_AT, fake.ram + RODATA_AT, RODATA_SIZE);
	assert_int_equal(fake_count("kind", "dma"), 3);
	assert_int_equal(fake_count("verdict", "detected"), 3);
	assert_int_equal(rf_audit_count(guest.audit, RF_WORD_DETECTED), 3);
	line = fake_line(0);
	assert_string_equal(fake_text(line, "region"), "rodata");
	assert_string_equal(fake_text(line, "gpa"), "0x1042fff");
	assert_string_equal(fake_text(line, "rule"), "dma-to-sealed-memory");
	assert_null(json_object_get(line, "event"));
	line = fake_line(1);
	assert_string_equal(fake_text(line, "region"), "text");
	assert_string_equal(fake_text(line, "gpa"), "0x1027010");
	assert_int_equal(json_integer_value(json_object_get(line, "len")), 3);
	assert_int_equal(strlen(fake_text(line, "old")), 6);
	assert_string_not_equal(fake_text(line, "old"), fake_text(line, "new"));
	assert_string_equal(fake_text(json_object_get(line, "target"), "addr"),
			    "0xffffffff81027010");
	assert_non_null(strstr(fake_text(line, "outcome"), "put back"));
	/* Each write is told once, and told again when it comes again. */
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 3);
	fake.decoy[0x1001]++;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 4);
	fake.decoy[0x1001]++;
	fake.decoy[0x2000]++;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 6);
}

/* More bytes than a line holds. */
static void whole_page(void **state)
{
	for (size_t i = 0; i < RF_PAGE_SIZE; i++)
		fake.decoy[RODATA_AT + i]++;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 1);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "len")), 4096);
	assert_int_equal(strlen(fake_text(fake_line(0), "new")), 2 * RF_AUDIT_BYTES);
	assert_int_equal(strlen(fake_text(fake_line(0), "old")), 2 * RF_AUDIT_BYTES);
	for (int i = 0; i < RF_AUDIT_BYTES; i++) { /* none of them made up */
		char was[3], is[3];

		snprintf(was, sizeof(was), "%02x", fake.ram[RODATA_AT + i]);
		snprintf(is, sizeof(is), "%02x", (uint8_t)(fake.ram[RODATA_AT + i] + 1));
		assert_memory_equal(fake_text(fake_line(0), "old") + 2 * i, was, 2);
		assert_memory_equal(fake_text(fake_line(0), "new") + 2 * i, is, 2);
	}
}

/* Each page of each region is looked at in a round, whatever part is asked for at a time. */
static void covered(void **state)
{
	static const uint64_t parts[] = { 1, 4096, BLOCK - 1, BLOCK, BLOCK + 1, ALL, UINT64_MAX };

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		for (uint64_t page = 0; page < ALL; page += RF_PAGE_SIZE) {
			uint64_t at = page < TEXT_SIZE ? page : RODATA_AT + page - TEXT_SIZE;

			fake.decoy[at] = (uint8_t)~fake.ram[at];
		}
		fake_new_monitor(); /* which goes on where the other one stopped */
		assert_int_equal(rf_guest_resume(&guest), 0);
		for (int calls = 0; !guest.sweeps; calls++) {
			assert_true(calls < 64);
			assert_int_equal(rf_sweep(&guest, parts[i]), 0);
		}
		assert_int_equal(guest.sweeps, 1);
		assert_int_equal(fake.heals_asked, (i + 1) * ALL / RF_PAGE_SIZE);
		drain();
		assert_int_equal(fake_count("kind", "dma"), (i + 1) * ALL / RF_PAGE_SIZE);
		assert_int_equal(guest.sweep_region, 0);
		assert_int_equal(guest.sweep_at, 0);
	}
}

/* Text takes three blocks, rodata less than one: four steps, then from the start. */
static void steps(void **state)
{
	static const struct {
		uint32_t region;
		uint64_t at, sweeps;
	} rows[] = {
		{ 0, BLOCK, 0 }, { 0, 2 * BLOCK, 0 }, { 1, 0, 0 }, { 0, 0, 1 }, { 0, BLOCK, 1 }
	};

	assert_int_equal(rf_sweep(&guest, 0), 0);
	assert_int_equal(fake.decoy_reads, 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		assert_int_equal(rf_sweep(&guest, 1), 0);
		assert_int_equal(fake.decoy_reads, i + 1);
		assert_int_equal(guest.sweep_region, rows[i].region);
		assert_int_equal(guest.sweep_at, rows[i].at);
		assert_int_equal(guest.sweeps, rows[i].sweeps);
	}
}

/* The VMM's slot is away, or the guest is being reset: not a difference. */
static void unreadable(void **state)
{
	fake.decoy[0]++;
	fake.read_err = -EFAULT;
	sweep_all();
	fake.read_err = 0;
	fake.info.state = RF_VM_BOOTING; /* no decoy is there */
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 0);
	fake.info.state = RF_VM_SEALED;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 1);
}

static void reset_in_the_middle(void **state)
{
	fake.decoy[0]++;
	assert_int_equal(rf_sweep(&guest, 2 * BLOCK + 1), 0);
	assert_int_equal(guest.sweep_region, 1);
	fake_reset();
	assert_int_equal(fake_count("kind", "dma"), 1); /* though nobody drained */
	assert_int_equal(rf_sweep(&guest, ALL), 0);
	/* One region now, so that where the last round stood would be past the end. */
	guest.policy.seal_rodata = false;
	fake_sealed();
	fake.decoy[0]++;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 2);
}

static void log_is_full(void **state)
{
	fake.decoy[0]++;
	assert_int_equal(rf_sweep(&guest, ALL), 0);
	fake_log_full();
	assert_int_not_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake.info.heals_taken, 0); /* who takes over tells it */
	fake_log_room();
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	drain();
	assert_int_equal(fake_count("kind", "dma"), 1);
}

/* --- the fence's list of what it healed --- */

static void add_heal(uint64_t gpa, uint32_t len)
{
	fake.heals[fake.heals_head++ % RF_HEALS] =
		(struct rf_heal){ .gpa = gpa, .len = len, .own = { 1, 2 }, .foreign = { 3, 4 } };
}

/* What was healed without being asked for (before a save, a migration) is told as well. */
static void healed_by_the_fence(void **state)
{
	unsigned int asked = fake.heals_asked;

	for (uint32_t i = 0; i < 40; i++)
		add_heal(IMAGE_GPA + i * RF_PAGE_SIZE + i, 2);
	drain();
	assert_int_equal(fake.heals_asked, asked);
	assert_int_equal(fake_count("kind", "dma"), 40);
	assert_string_equal(fake_text(fake_line(0), "gpa"), "0x1027027");
	assert_string_equal(fake_text(fake_line(0), "old"), "0102");
	assert_string_equal(fake_text(fake_line(0), "new"), "0304");
	drain();
	assert_int_equal(fake_count("kind", "dma"), 40);
}

/* More than the list holds: how many are lost is said. */
static void more_than_the_list_holds(void **state)
{
	add_heal(IMAGE_GPA, 1);
	drain();
	for (uint32_t i = 0; i < RF_HEALS + 7; i++)
		add_heal(IMAGE_GPA + i, 1);
	drain();
	assert_int_equal(fake_count("kind", "dma"), 1 + 1 + RF_HEALS);
	assert_non_null(strstr(fake_text(fake_line(RF_HEALS), "detail"), "7 more writes"));
	assert_string_equal(fake_text(fake_line(RF_HEALS - 1), "gpa"), "0x1000007");
}

/* A place that is no region of ours, a length that is none: told all the same. */
/* A fence whose list never ends keeps nobody: a list of it, and on with the rest. */
static void a_list_that_grows_as_it_is_read(void **state)
{
	uint64_t before = guest.heals_taken;

	fake.heals_on = true;
	assert_int_equal(rf_sweep_drain(&guest), 0);
	fake.heals_on = false;
	assert_in_range(guest.heals_taken - before, 1, RF_HEALS);
	drain();
}

static void healed_elsewhere(void **state)
{
	add_heal(OTHER_GPA, 1);
	add_heal(UINT64_MAX, RF_PAGE_SIZE);
	drain();
	assert_int_equal(fake_count("kind", "dma"), 2);
	assert_string_equal(fake_text(fake_line(0), "region"), "unknown");
	assert_null(json_object_get(fake_line(0), "target"));
}

static void heal_fails(void **state)
{
	fake.decoy[0]++;
	fake.heal_err = -ESTALE; /* a reset came between: its event is on the way */
	assert_int_equal(rf_sweep(&guest, ALL), 0);
	fake.heal_err = -ECONNRESET;
	guest.sweep_at = guest.sweep_region = 0;
	assert_int_equal(rf_sweep(&guest, ALL), -ECONNRESET);
	fake.heal_err = 0;
	guest.sweep_at = guest.sweep_region = 0;
	sweep_all();
	assert_int_equal(fake_count("kind", "dma"), 1);
	assert_int_equal(fake.heal.kernel, 0);
}

/* The document says so: what a device writes is recorded in either case and ends no VM. */
static void ends_no_vm(void **state)
{
	unsigned int verdicts = fake.verdicts;

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	fake.decoy[0]++;
	sweep_all();
	assert_int_equal(fake_count("verdict", "detected"), 1);
	assert_int_equal(fake.verdicts, verdicts);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_sealed, fake_setup, fake_teardown),
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(without_decoys),
		T(equal),
		T(equal_at_the_second_look),
		T(equal_while_patched),
		T(equal_in_turn),
		T(differs),
		T(whole_page),
		T(covered),
		T(steps),
		T(unreadable),
		T(reset_in_the_middle),
		T(log_is_full),
		T(ends_no_vm),
		T(healed_by_the_fence),
		T(more_than_the_list_holds),
		T(a_list_that_grows_as_it_is_read),
		T(healed_elsewhere),
		T(heal_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
