// SPDX-License-Identifier: LGPL-2.1-or-later
/* The kernel that was sealed comes again, or a command comes too late: what is read, believed and
 * recorded then. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static void assert_regions_known(void)
{
	assert_int_equal(guest.regions_count, 2);
	assert_ptr_equal(rf_guest_region(&guest, IMAGE_GPA + TEXT_AT), &guest.regions[0]);
	assert_ptr_equal(rf_guest_region(&guest, IMAGE_GPA + RODATA_AT), &guest.regions[1]);
}

/* --- a command that comes too late --- */

/*
 * -ESTALE: a release dropped the question, or another announcement overtook it. The strictest word
 * is sent, which finds nobody in the first case and ends the VM in the second. The monitor cannot
 * tell which it was: its record says so, and does not say that the VM is ended.
 */
static void assert_stale(const struct rf_msg_event *ev, const char *what)
{
	size_t lines = fake_lines(), ended = fake_count("outcome", "the VM is ended");

	fake_notified();
	assert_int_equal(fake_judge(ev), RF_VERDICT_KILL);
	assert_int_equal(fake_count("outcome", "the VM is ended"), ended);
	assert_true(fake_lines() > lines);
	assert_string_equal(fake_text(fake_line(0), "kind"), "monitor");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "a command came too late");
	assert_int_equal(strncmp(fake_text(fake_line(0), "detail"), what, strlen(what)), 0);
	/* Nobody is told of an error, or of a seal. */
	assert_string_equal(fake_notified(), "");
}

static void stale_watch(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.watch_err = -ESTALE;
	assert_stale(&ev, "the kernel could not be watched");
	/* What comes next is protected as ever. */
	fake.watch_err = 0;
	fake_reset();
	fake_sealed();
	assert_regions_known();
}

static void stale_seal(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.seal_err = -ESTALE;
	ev = fake_event(RF_EVENT_WATCH);
	assert_stale(&ev, "the kernel could not be sealed");
	fake.seal_err = 0;
	fake_reset();
	fake_sealed();
	assert_regions_known();
}

static void stale_kept_seal(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	fake.ram[0x80] ^= 0xff;
	fake.seal_err = -ESTALE;
	ev = fake_kernel_event(LSTAR);
	assert_stale(&ev, "the kernel could not be watched");
	fake.seal_err = 0;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seal.how, RF_SEAL_KEPT);
	assert_regions_known();
}

/* Two processors announce: the first one's commands are for a kernel that is not the newest. */
static void overtaken(void **state)
{
	struct rf_msg_event first = fake_kernel_event(LSTAR), second = fake_kernel_event(LSTAR);

	assert_stale(&first, "the kernel could not be watched");
	assert_int_equal(fake_judge(&second), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_WATCHED);
	assert_int_equal(guest.kernel_event, second.id);
}

/* Nor is what is not sealed late sealed by a kernel that is gone: its reset is on the way. */
static void stale_poll(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);
	size_t lines;

	fake.no_types = true;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_true(guest.poll_permissions);
	lines = fake_lines();
	fake.seal_err = -ESTALE;
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake_lines(), lines);
	assert_int_equal(fake.info.state, RF_VM_FOUND);
	fake.seal_err = -EINVAL;
	guest.poll_permissions = true;
	assert_int_equal(rf_guest_poll(&guest), -EINVAL);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not sealed");
}

/* --- the same kernel again --- */

/* Booted anew: its text, as it shows itself, is what it was the first time. */
static void booted_anew(void **state)
{
	uint8_t note[32];

	fake_sealed();
	assert_int_equal(fake.seal.how, RF_SEAL_NOW);
	memcpy(note, fake.watch.note, sizeof(note));
	fake_reset();
	fake_sealed();
	assert_int_equal(fake.seals, 2);
	assert_int_equal(fake.seal.how, RF_SEAL_FRESH);
	assert_memory_equal(fake.watch.note, note, sizeof(note));
	assert_regions_known();
	/* And again, whichever entry the kept one had. */
	fake_reset();
	fake.info.kept_entry = LSTAR + 0x1000;
	fake_sealed();
	assert_int_equal(fake.seal.how, RF_SEAL_FRESH);
}

/* The fence keeps the table of patch sites: another kernel's is nobody's until it has its own. */
static void a_table_of_before(void **state)
{
	struct rf_msg_event ev;

	for (int kept = 1; kept >= 0; kept--) {
		fake_sealed();
		assert_int_equal(fake.table.magic, RF_TABLE_MAGIC);
		fake_reset();
		if (!kept)
			fake.info.kept_entry = 0;
		ev = fake_kernel_event(LSTAR);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
		assert_int_equal(fake.table.magic, 0);
		fake_reset();
	}
}

/* It goes on: sealed at once with what it had, whatever it says of itself. */
static void goes_on(uint32_t state_word)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	memcpy(fake.ram + STATE_AT, &state_word, sizeof(state_word));
	fake.state_runs = state_word == RUNNING;
	fake.ram[0x80] ^= 0xff; /* patched since it was booted, or by an attacker now */
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 2);
	assert_int_equal(fake.seal.how, RF_SEAL_KEPT);
	assert_int_equal(fake.seal.kernel, ev.id);
	assert_int_equal(fake.watches, 1); /* not again */
	assert_int_equal(fake.pins, 2);
	assert_int_equal(fake_count("outcome", "sealed again, with the bytes it had"), 2);
	assert_true(fake.table_kept);
	assert_regions_known();
	assert_non_null(strstr(fake_notified(), "sealed\n"));
}

static void woken_up(void **state)
{
	goes_on(SUSPEND);
}

static void handed_back_by_firmware(void **state)
{
	goes_on(RUNNING);
}

static void goes_on_and_says_it_boots(void **state)
{
	goes_on(0);
}

/* No note: a monitor of another time did not leave one. It is not taken for a new boot. */
static void without_a_note(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	memset(fake.info.kept_note, 0, sizeof(fake.info.kept_note));
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seal.how, RF_SEAL_KEPT);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
}

/* Nothing is kept of these regions: it is watched like any other kernel. */
static void woken_up_elsewhere(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	fake.kept = false;
	fake.ram[0x80] ^= 0xff;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 2); /* tried */
	assert_int_equal(fake.seal.how, RF_SEAL_KEPT);
	assert_int_equal(fake.watches, 2);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 3);
	assert_int_equal(fake.seal.how, RF_SEAL_NOW);
}

#define TRUE_SYMBOL UINT64_C(0x2000)
#define FORGED_SYMBOL UINT64_C(0x6660)

static void put_symbol(uint64_t at)
{
	fake.has_symbol = true;
	memcpy(fake.ram + SYMBOL_AT, &at, sizeof(at));
}

static uint64_t believed(void)
{
	rf_gva at;

	assert_int_equal(rf_kernel_address(guest.kernel, "commit_creds", &at), 0);
	return at.v - IMAGE_GVA;
}

/* All that the monitor has read of the guest was read behind its seal. */
static void assert_read_of_sealed(void)
{
	uint64_t sealed;

	memcpy(&sealed, fake.ram + SYMBOL_AT, sizeof(sealed));
	assert_int_equal(sealed, TRUE_SYMBOL);
	assert_int_equal(believed(), TRUE_SYMBOL);
	assert_int_equal(fake.patched_by, TRUE_SYMBOL); /* sites too */
	assert_int_equal(fake.kernels, 1);
	assert_int_equal(fake.tables, 1);
}

enum between { NOTHING, NEW_MONITOR, NEW_MONITOR_LATE, MONITOR_LOST };

/*
 * Whoever wakes the kernel up (S3's waking vector, firmware after a reset) can write to rodata,
 * which is plain memory until the kept bytes are there again, and with it to kallsyms.
 */
static void forged_symbols(enum between what)
{
	struct rf_msg_event ev;

	put_symbol(TRUE_SYMBOL);
	fake_sealed();
	assert_int_equal(believed(), TRUE_SYMBOL);
	if (what == NEW_MONITOR)
		fake_new_monitor();
	fake_reset();
	if (what == NEW_MONITOR_LATE) {
		fake_new_monitor();
		assert_int_equal(rf_guest_resume(&guest), 0);
	}
	put_symbol(FORGED_SYMBOL);
	fake.ram[0x80] ^= 0xff;
	fake.by_image = 0;
	ev = fake_kernel_event(LSTAR);
	if (what == MONITOR_LOST) { /* sealed again, and no answer was sent */
		fake.verdict_err = -ECONNRESET;
		assert_int_equal(rf_guest_event(&guest, &ev), -ECONNRESET);
		fake.verdict_err = 0;
		fake_new_monitor();
		assert_int_equal(rf_guest_resume(&guest), 0);
	}
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seal.how, RF_SEAL_KEPT);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake.by_image, what == MONITOR_LOST ? 2 : 1);
	assert_read_of_sealed();
	assert_regions_known();
	/* And whoever comes next. */
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_read_of_sealed();
}

static void symbols_are_read_again(void **state)
{
	forged_symbols(NOTHING);
}

static void symbols_are_read_again_by_a_new_monitor(void **state)
{
	forged_symbols(NEW_MONITOR);
}

static void symbols_are_read_again_by_one_after_the_reset(void **state)
{
	forged_symbols(NEW_MONITOR_LATE);
}

static void symbols_are_read_again_after_a_lost_answer(void **state)
{
	forged_symbols(MONITOR_LOST);
}

/* What cannot be read out of the seal is not believed as it was read before. */
static void sealed_again_not_read_again(void **state)
{
	struct rf_msg_event ev;

	put_symbol(TRUE_SYMBOL);
	fake_sealed();
	fake_reset();
	put_symbol(FORGED_SYMBOL);
	fake.ram[0x80] ^= 0xff;
	fake.image_err = -EBADMSG;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake_count("outcome", "the VM is ended"), 1);
	assert_null(guest.kernel);
}

/* The frames of the kernel that was sealed, and an entry that the attacker chose inside of it. */
static void another_entry(void **state)
{
	struct rf_msg_event ev;

	for (int runs = 0; runs < 2; runs++) {
		fake_sealed();
		fake_reset();
		fake.ram[0x80] ^= 0xff; /* the attacker's text */
		fake.state_runs = runs; /* system_state says what it said before */
		ev = fake_kernel_event(LSTAR + 0x10);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
		assert_int_equal(fake.info.state, RF_VM_BOOTING);
		assert_string_equal(fake_text(fake_line(0), "outcome"), "the VM is ended");
		assert_non_null(strstr(fake_text(fake_line(0), "detail"), "with another entry"));
		fake.ram[0x80] ^= 0xff;
		fake.state_runs = fake.kept = false;
	}
}

/*
 * Text can be made what it was when the kernel first showed itself, for as long as LSTAR's verdict
 * takes: what is sealed then is the attacker's. The record must not say that nobody ran before.
 */
static void forged_to_look_fresh(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);
	uint8_t boot = fake.ram[0x80];

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.ram[0x80] = boot ^ 0x55; /* alternatives, jump labels */
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_count("outcome", "sealed before the first user instruction"), 2);
	fake_reset();
	fake.ram[0x80] = boot;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_WATCHED);
	fake.ram[0x80] = 0x66;
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seal.how, RF_SEAL_FRESH);
	assert_int_equal(fake_count("outcome", "sealed before the first user instruction"), 2);
	assert_int_equal(
		fake_count("outcome", "sealed after a reset, as a kernel that was booted anew"), 2);
}

/* Something was sealed here and a reset came; text is none that is known, the regions are not
 * the kept ones: memory was the guest's own. */
static void recorded_as_after_a_reset(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	assert_int_equal(fake_count("outcome", "sealed before the first user instruction"), 2);
	fake_reset();
	fake.ram[0x80] ^= 0x55;
	fake.kept = false; /* these regions are not: bounds or addresses are others */
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_WATCHED);
	assert_int_not_equal(fake.info.kept_entry, 0);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seal.how, RF_SEAL_NOW);
	assert_int_equal(fake_count("outcome", "sealed before the first user instruction"), 2);
	assert_int_equal(
		fake_count("outcome", "sealed after a reset, as a kernel that was booted anew"), 2);
}

/* What is kept cannot be sealed again: such a kernel is not let on without. */
static void not_sealed_again(void **state)
{
	static const int errors[] = { -EINVAL, -ENOMEM, -ESTALE, -ETIMEDOUT };
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	fake.ram[0x80] ^= 0xff;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		fake.seal_err = errors[i];
		ev = fake_kernel_event(LSTAR);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
		assert_int_equal(fake.watches, 1);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		T(stale_watch),
		T(recorded_as_after_a_reset),
		T(stale_seal),
		T(stale_kept_seal),
		T(overtaken),
		T(stale_poll),
		T(booted_anew),
		T(a_table_of_before),
		T(woken_up),
		T(handed_back_by_firmware),
		T(goes_on_and_says_it_boots),
		T(without_a_note),
		T(woken_up_elsewhere),
		T(symbols_are_read_again),
		T(symbols_are_read_again_by_a_new_monitor),
		T(symbols_are_read_again_by_one_after_the_reset),
		T(symbols_are_read_again_after_a_lost_answer),
		T(sealed_again_not_read_again),
		T(another_entry),
		T(forged_to_look_fresh),
		T(not_sealed_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
