// SPDX-License-Identifier: LGPL-2.1-or-later
/* A monitor dies at each moment it can, another one takes over: nothing is judged without its
 * regions. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

/* The event is judged by a monitor that dies before its verdict is on its way. */
static void judged_and_lost(const struct rf_msg_event *ev)
{
	fake.verdict_err = -ECONNRESET;
	assert_int_equal(rf_guest_event(&guest, ev), -ECONNRESET);
	fake.verdict_err = 0;
	fake.by_image = 0;
	fake_new_monitor();
}

static void assert_taken_over(void)
{
	assert_int_equal(fake.by_image, 1);
	assert_true(fake.table_kept); /* the guest is not asked what its text was */
	assert_int_equal(guest.regions_count, 2);
	assert_int_equal(guest.regions[0].region.gpa, IMAGE_GPA + TEXT_AT);
	assert_int_equal(guest.regions[1].region.gpa, IMAGE_GPA + RODATA_AT);
	assert_non_null(guest.patches);
	assert_int_equal(fake_count("outcome", "still sealed; this monitor took over"), 2);
}

/* A store to rodata is denied by the rule for rodata: its region is known. */
static void assert_protected(void)
{
	struct rf_msg_event ev = fake_write_event(IMAGE_GPA + RODATA_AT, "x", 1);

	fake.store_err = -ENOENT;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "rule"), "rodata-is-never-written");
}

static void nothing_yet(void **state)
{
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_null(guest.kernel);
	assert_int_equal(fake_lines(), 0);
	fake.info_err = -EAGAIN;
	assert_int_equal(rf_guest_resume(&guest), -EAGAIN);
}

/* The kernel was found and watched, its event is sent again. */
static void died_before_found(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	judged_and_lost(&ev);
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.watches, 2);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_protected();
}

static void died_while_watched(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.table.magic = RF_TABLE_MAGIC; /* of the kernel before */
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.table.magic, 0);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.watches, 1); /* it is armed: not again */
	assert_int_equal(guest.kernel_event, ev.id);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_count("outcome", "sealed before the first user instruction"), 2);
	assert_protected();
}

/* The same kernel booted anew, at the same place: the one who saw that is gone. What is armed was
 * armed because nothing of it goes on. */
static void died_while_watched_again(void **state)
{
	struct rf_msg_event ev;

	fake_sealed();
	fake_reset();
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_WATCHED);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.watches, 2);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake.seal.how, RF_SEAL_FRESH);
	assert_protected();
}

static void died_while_polling(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.no_types = true;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_FOUND);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_true(guest.poll_permissions);
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_protected();
}

/* Sealed, the vCPU still held at its store of SYSTEM_RUNNING. */
static void died_before_running(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	judged_and_lost(&ev);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_taken_over();
	fake_notified();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.seals, 2);
	assert_taken_over();
	assert_string_equal(fake_notified(), "sealed\n");
	assert_protected();
}

/* Sealed by nobody we know of: no region is known, so nothing is let go. */
static void sealed_by_nobody(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake.seal_err = -EALREADY;
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

/* A restored guest is sealed while its kernel is announced: to the fence no kernel is known
 * then. */
static void died_before_restored(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR), forged;

	fake.state_runs = true;
	judged_and_lost(&ev);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake.info.kernel, 0);
	assert_int_equal(rf_guest_resume(&guest), 0);
	fake_notified();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_notified(), "sealed\n");
	assert_int_equal(fake_count("kind", "msr"), 0);
	assert_taken_over();
	/* From then on LSTAR stays what it is, in this monitor as in the next. */
	forged = fake_kernel_event(LSTAR + 8);
	assert_int_equal(fake_judge(&forged), RF_VERDICT_DENY);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_judge(&forged), RF_VERDICT_DENY);
	assert_protected();
}

static void restored_not_read_again(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.state_runs = true;
	judged_and_lost(&ev);
	fake.discover_err = -EFAULT;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

/*
 * Who sealed died before its table of sites was whole, and before the first user instruction was
 * let run: the next one asks the guest, as at the seal. Later nobody does.
 */
static void sites_lost_at_the_seal(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake_sealed();
	fake.nothing_kept = true;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_true(fake.table_kept);
	assert_true(fake_count("outcome", "sites in writable memory are not known") == 1);
	ev = fake_event(RF_EVENT_WATCH); /* asked again */
	fake.seal_err = -EALREADY;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_false(fake.table_kept);
	assert_int_equal(fake.tables, 1);
}

/* While the answer is not enforced yet LSTAR is set by nobody else. */
static void restored_and_forged_at_once(void **state)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR), forged;

	fake.state_runs = true;
	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	forged = fake_kernel_event(LSTAR + 8);
	assert_int_equal(fake_judge(&forged), RF_VERDICT_DENY);
}

/* The answer was sent, but the fence acts on it only after the next monitor has attached. */
static void died_before_enforced(bool restored)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	fake.state_runs = restored;
	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_null(guest.kernel);
	fake.info.kernel = ev.id;
	fake.info.lstar = LSTAR;
	fake.info.cr3 = CR3;
	if (!restored) {
		ev = fake_event(RF_EVENT_WATCH);
		assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
		assert_int_equal(fake_count("outcome", "sealed before the first user instruction"),
				 2);
	}
	assert_protected();
	assert_int_equal(guest.regions_count, 2);
}

static void died_before_watch_enforced(void **state)
{
	died_before_enforced(false);
}

static void died_before_seal_enforced(void **state)
{
	died_before_enforced(true);
}

static void died_after_sealed(void **state)
{
	fake_sealed();
	fake_new_monitor();
	fake.maps_count = 0; /* the attacker's page tables have no say */
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_taken_over();
	assert_int_equal(fake.discovered, 1);
	assert_int_equal(fake.seals, 1);
	assert_protected();
}

/* The gaps in the image are anybody's: symbols come from what is sealed. */
static void symbols_of_sealed_rodata(void **state)
{
	fake_sealed();
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.believed.base.v, IMAGE_GVA + RODATA_AT);
	assert_int_equal(fake.believed.gpa.v, IMAGE_GPA + RODATA_AT);
	assert_int_equal(fake.believed.size, guest.regions[1].region.size);
	/* Where none is sealed, all of the image is searched. */
	fake_new_monitor();
	fake.info.regions_count = 1;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.believed.base.v, IMAGE_GVA);
	assert_int_equal(fake.believed.size, IMAGE_SIZE);
}

/* And name what is sealed, to the byte. */
static void symbols_of_another_kernel(void **state)
{
	static const char *const bounds[] = { "_text", "_etext", "__start_rodata", "__end_rodata" };

	fake_sealed();
	for (unsigned int i = 0; i < 4; i++) {
		fake_new_monitor();
		fake_notified();
		fake.moved = bounds[i];
		assert_int_equal(rf_guest_resume(&guest), -EBADMSG);
		assert_null(guest.kernel);
		assert_int_equal(guest.regions_count, 0);
		assert_string_equal(fake_text(fake_line(0), "outcome"), "not recognised");
		assert_non_null(strstr(fake_notified(), i < 2 ? "as its text" : "as its rodata"));
		fake.moved = NULL;
		fake.without = bounds[i];
		fake_new_monitor();
		assert_int_equal(rf_guest_resume(&guest), -EBADMSG);
		fake.without = NULL;
	}
	fake_new_monitor();
	fake.by_image = 0;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_taken_over();
}

/* Under "observe" LSTAR may point anywhere: the next monitor still knows the kernel. */
static void observed_lstar(void **state)
{
	struct rf_msg_event ev;

	guest.policy.mode = RF_MODE_OBSERVE;
	fake_sealed();
	ev = fake_kernel_event(UINT64_C(0xffffffffc0000010));
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.inside.v, IMAGE_GVA + TEXT_AT);
	assert_taken_over();
	/* With rodata alone sealed no code address is left: not taken over, and said. */
	fake_new_monitor();
	fake.info.regions[0] = fake.info.regions[1];
	fake.info.regions_count = 1;
	fake_notified();
	assert_int_equal(rf_guest_resume(&guest), -ENOENT);
	assert_non_null(strstr(fake_notified(), "could not be read again"));
}

/* What fails half-way leaves no region that was not taken. */
static void half_taken_over(void **state)
{
	fake_sealed();
	fake_new_monitor();
	fake.unreadable = IMAGE_GPA + TEXT_AT;
	assert_int_equal(rf_guest_resume(&guest), -EFAULT);
	assert_null(rf_guest_region(&guest, IMAGE_GPA + RODATA_AT));
	assert_int_equal(guest.regions_count, 1);
	fake.unreadable = 0;
	fake_new_monitor();
	fake_log_full();
	assert_int_not_equal(rf_guest_resume(&guest), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		T(sites_lost_at_the_seal),
		T(nothing_yet),
		T(died_before_found),
		T(died_while_watched),
		T(died_while_watched_again),
		T(died_while_polling),
		T(died_before_running),
		T(sealed_by_nobody),
		T(died_before_restored),
		T(restored_not_read_again),
		T(restored_and_forged_at_once),
		T(died_before_watch_enforced),
		T(died_before_seal_enforced),
		T(died_after_sealed),
		T(symbols_of_sealed_rodata),
		T(symbols_of_another_kernel),
		T(observed_lstar),
		T(half_taken_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
