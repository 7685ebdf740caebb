// SPDX-License-Identifier: LGPL-2.1-or-later
/* A guest is measured where it runs, and compared where it arrives or boots. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SITE (IMAGE_GVA + 0x3000)

static struct rf_measurement expect;

static char *byte_at(uint64_t gva)
{
	return (char *)fake.ram + (gva - IMAGE_GVA);
}

/* What `ringfence measure` is told, in its pieces. */
static json_t *ask(unsigned int *pieces)
{
	json_t *o;

	for (*pieces = 0;; ++*pieces) {
		o = rf_guard_measure.reply(&guest);
		assert_non_null(o);
		if (!json_is_false(json_object_get(o, "done")))
			return o;
		json_decref(o);
		assert_true(rf_guard_measure.busy(&guest));
		rf_guards_step(&guest);
		assert_true(*pieces < 100);
	}
}

static void measure(struct rf_measurement *out)
{
	unsigned int pieces;
	json_t *o = ask(&pieces);
	char *text = json_dumps(json_object_get(o, "measurement"), JSON_COMPACT);
	char why[RF_MEASUREMENT_WHY];

	assert_non_null(text);
	assert_int_equal(rf_measurement_parse(text, strlen(text), why, out), 0);
	free(text);
	json_decref(o);
}

/* The guest as it is, at its source; then its VMM is another one. */
static void moves(void)
{
	fake.site = SITE;
	fake_sealed();
	measure(&expect);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.lstar = 0;
	fake.info.regions_count = 0;
	fake.state_runs = true;
	fake_new_monitor();
	guest.expect = &expect;
	fake_notified();
}

static uint32_t arrives(void)
{
	struct rf_msg_event ev = fake_kernel_event(LSTAR);

	return fake_judge(&ev);
}

static const char *record(size_t from_end, const char *member)
{
	json_t *line = fake_line(from_end);

	assert_string_equal(fake_text(line, "kind"), "measure");
	return fake_text(line, member);
}

/* --- asked for --- */

static void asked(void **state)
{
	struct rf_measurement m, again;
	unsigned int pieces;
	json_t *o = ask(&pieces);

	assert_string_equal(fake_text(o, "error"), "no kernel is sealed");
	json_decref(o);
	fake.site = IMAGE_GVA + 0x1fffe; /* across the border of two pieces */
	fake.has_tables = true;
	guest.policy.pin_tables = true;
	fake_sealed();
	measure(&m);
	assert_string_equal(m.kernel, "Linux version 6.12-fake");
	assert_int_equal(m.count, 3);
	assert_string_equal(m.regions[0].kind, "text");
	assert_int_equal(m.regions[0].gva, IMAGE_GVA + TEXT_AT);
	assert_int_equal(m.regions[0].gpa, IMAGE_GPA + TEXT_AT);
	assert_int_equal(m.regions[0].size, TEXT_SIZE);
	assert_string_equal(m.regions[1].kind, "rodata");
	assert_string_equal(m.regions[2].kind, "idt");
	/* Rodata as it is sealed, text not: its site is blank. */
	assert_string_equal(m.regions[1].sha256, guest.regions[1].sha256);
	assert_string_not_equal(m.regions[0].sha256, guest.regions[0].sha256);
	/* In one go it is the same; and whatever the site holds. */
	assert_int_equal(
		rf_measure_region(&guest, &guest.regions[0].region, true, again.regions[0].sha256),
		0);
	assert_string_equal(again.regions[0].sha256, m.regions[0].sha256);
	memset(byte_at(fake.site), 0xcc, 5);
	measure(&again);
	assert_string_equal(again.regions[0].sha256, m.regions[0].sha256);
	/* A byte beside it, of which nobody asked the fence. */
	*byte_at(fake.site + 5) ^= 1;
	o = ask(&pieces);
	assert_int_equal(pieces, 4); /* two of text, one of each other */
	json_decref(o);
	measure(&again);
	assert_string_not_equal(again.regions[0].sha256, m.regions[0].sha256);
}

static void asked_in_vain(void **state)
{
	unsigned int pieces;
	json_t *o;

	fake_sealed();
	o = rf_guard_measure.reply(&guest);
	json_decref(o);
	fake.read_err = -EFAULT;
	o = ask(&pieces);
	assert_string_equal(fake_text(o, "error"), "the sealed memory could not be read");
	json_decref(o);
	assert_null(guest.measuring);
	/* A reset while it is under way. */
	fake.read_err = 0;
	o = rf_guard_measure.reply(&guest);
	json_decref(o);
	rf_guards_step(&guest);
	assert_int_equal(rf_guest_event(&guest, &(struct rf_msg_event){ .kind = RF_EVENT_RESET }),
			 0);
	assert_false(rf_guard_measure.busy(&guest));
	rf_guards_step(&guest);
	o = rf_guard_measure.reply(&guest);
	assert_string_equal(fake_text(o, "error"), "no kernel is sealed");
	json_decref(o);
}

/* --- what arrives --- */

static void arrived_as_it_was(void **state)
{
	moves();
	memset(byte_at(SITE), 0xcc, 5); /* patched meanwhile */
	assert_int_equal(arrives(), RF_VERDICT_ALLOW);
	assert_string_equal(fake_notified(), "sealed\n");
	assert_int_equal(fake_count("rule", "measurement-as-expected"), 2);
	assert_int_equal(fake_count("rule", "measurement-differs"), 0);
	assert_string_equal(record(0, "region"), "rodata");
	assert_string_equal(record(0, "verdict"), "allowed");
	assert_string_equal(record(1, "sha256"), expect.regions[0].sha256);
	assert_string_equal(record(1, "expected"), expect.regions[0].sha256);
}

static void refused(const char *what)
{
	char why[160];

	assert_int_equal(arrives(), RF_VERDICT_DENY);
	assert_int_equal(fake.info.state, RF_VM_HALTED);
	snprintf(why, sizeof(why), "what arrived is not what was measured before it moved (%s)",
		 what);
	assert_string_equal(guest.refused, why);
	assert_non_null(strstr(fake_notified(), why));
	assert_true(fake_count("verdict", "blocked") > 0);
}

static void arrived_changed(void **state)
{
	unsigned int pieces;
	json_t *o;

	moves();
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	refused("text");
	assert_string_equal(record(0, "rule"), "measurement-differs");
	assert_string_equal(record(0, "verdict"), "blocked");
	assert_string_equal(record(0, "outcome"), "halted: no vCPU runs");
	assert_string_equal(record(0, "expected"), expect.regions[0].sha256);
	assert_string_not_equal(record(0, "sha256"), expect.regions[0].sha256);
	assert_string_equal(record(1, "verdict"), "allowed");
	/* The fence says that it holds the VM; the reason stays. */
	assert_int_equal(
		rf_guest_event(&guest, &(struct rf_msg_event){ .kind = RF_EVENT_HALTED,
							       .life.cause = RF_CAUSE_DENIED }),
		0);
	assert_string_equal(fake_text(fake_line(0), "detail"), guest.refused);
	assert_ptr_equal(guest.halted, guest.refused);
	o = ask(&pieces);
	assert_non_null(strstr(fake_text(o, "error"), "(text)"));
	json_decref(o);
	/* The VMM loads something else. */
	assert_int_equal(rf_guest_event(&guest, &(struct rf_msg_event){ .kind = RF_EVENT_RESET }),
			 0);
	assert_null(guest.halted);
}

static void arrived_with_other_rodata(void **state)
{
	moves();
	*byte_at(IMAGE_GVA + RODATA_AT) ^= 1;
	refused("rodata");
}

static void arrived_elsewhere(void **state)
{
	moves();
	expect.regions[0].gva += RF_PAGE_SIZE;
	refused("text");
	assert_non_null(strstr(record(0, "detail"), "elsewhere"));
}

static void arrived_another_kernel(void **state)
{
	moves();
	fake.banner = "Linux version 6.13-fake";
	refused("the kernel");
	assert_non_null(strstr(record(0, "detail"), "6.13-fake"));
	assert_non_null(strstr(record(0, "detail"), "6.12-fake"));
	assert_string_equal(record(0, "verdict"), "blocked");
}

/* Nobody vouches for what the source did not seal, nor for what is not sealed here. */
static void arrived_with_other_regions(void **state)
{
	moves();
	expect.count = 1;
	refused("rodata");
	assert_string_equal(record(0, "expected"), "");
}

static void arrived_unsealed(void **state)
{
	moves();
	guest.policy.seal_rodata = false;
	refused("rodata");
	assert_non_null(strstr(record(0, "detail"), "not sealed here"));
	assert_string_equal(record(0, "sha256"), "");
}

static void alert(void **state)
{
	moves();
	guest.policy.on_mismatch = RF_ON_MISMATCH_ALERT;
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	assert_int_equal(arrives(), RF_VERDICT_ALLOW);
	assert_string_equal(record(1, "verdict"), "detected");
	assert_string_equal(record(1, "outcome"), "it runs all the same");
	assert_non_null(strstr(fake_notified(), "the policy lets it run"));
	assert_null(guest.halted);
	assert_int_equal(fake_count("verdict", "blocked"), 0);
}

static void observed(void **state)
{
	moves();
	guest.policy.mode = RF_MODE_OBSERVE;
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	assert_int_equal(arrives(), RF_VERDICT_ALLOW);
	assert_string_equal(record(1, "verdict"), "detected");
}

static void ended(void **state)
{
	moves();
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	assert_int_equal(arrives(), RF_VERDICT_KILL);
	assert_string_equal(record(0, "outcome"), "the VM is ended");
}

/* What cannot be recorded, or read, does not run. */
static void not_recorded(void **state)
{
	moves();
	fake_log_full();
	assert_int_equal(arrives(), RF_VERDICT_KILL);
}

/* Without a measurement there is a line that an auditor can compare. */
static void nothing_expected(void **state)
{
	moves();
	guest.expect = NULL;
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	assert_int_equal(arrives(), RF_VERDICT_ALLOW);
	assert_string_equal(record(0, "outcome"), "measured as it arrived");
	assert_string_equal(record(0, "verdict"), "");
	assert_int_equal(strlen(record(0, "sha256")), 64);
	assert_int_equal(fake_count("kind", "measure"), 1);
}

/* The monitor that sealed it dies before its answer: the next one compares, too. */
static void compared_by_the_next_monitor(void **state)
{
	struct rf_msg_event ev;

	moves();
	*byte_at(IMAGE_GVA + 0x2000) ^= 1;
	ev = fake_kernel_event(LSTAR);
	fake.verdict_err = -ECONNRESET;
	assert_int_equal(rf_guest_event(&guest, &ev), -ECONNRESET);
	fake.verdict_err = 0;
	fake_new_monitor();
	guest.expect = &expect;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	/* And the one after it finds a VM that is held, of which it has nothing to take over. */
	fake_new_monitor();
	fake.info.kernel = ev.id;
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_null(guest.kernel);
	fake.info.kernel = 0;
}

/* --- what boots --- */

static void booted(uint64_t change)
{
	fake.site = SITE;
	fake_sealed();
	measure(&expect);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = fake.info.lstar = 0;
	fake_new_monitor();
	guest.expect = &expect;
	if (change)
		*byte_at(change) ^= 1;
	fake_sealed();
}

static void booted_the_same(void **state)
{
	booted(IMAGE_GVA + RODATA_AT); /* has pointers of this boot */
	assert_string_equal(record(0, "rule"), "measurement-as-expected");
	assert_int_equal(fake_count("kind", "measure"), 1);
}

static void booted_changed(void **state)
{
	booted(IMAGE_GVA + 0x2000);
	assert_string_equal(record(0, "verdict"), "detected");
	assert_string_equal(record(0, "rule"), "measurement-differs");
}

static void booted_another_kernel(void **state)
{
	booted(0);
	fake.banner = "Linux version 6.13-fake";
	fake.info.state = RF_VM_BOOTING;
	fake_new_monitor();
	guest.expect = &expect;
	fake_sealed();
	assert_string_equal(record(0, "verdict"), "detected");
	assert_non_null(strstr(record(0, "detail"), "6.13-fake"));
}

/* Randomised: no alarm at each boot. */
static void booted_elsewhere(void **state)
{
	booted(0);
	expect.regions[0].gva += 0x200000;
	fake.info.state = RF_VM_BOOTING;
	fake_new_monitor();
	guest.expect = &expect;
	fake_sealed();
	assert_string_equal(record(0, "outcome"), "not compared: it booted, and lies elsewhere");
	assert_string_equal(record(0, "verdict"), "");
}

static void booted_unrecorded(void **state)
{
	struct rf_msg_event ev;

	booted(0);
	fake.info.state = RF_VM_BOOTING;
	fake_new_monitor();
	guest.expect = &expect;
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	fake_log_full();
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_setup, fake_teardown)
		T(asked),
		T(asked_in_vain),
		T(arrived_as_it_was),
		T(arrived_changed),
		T(arrived_with_other_rodata),
		T(arrived_elsewhere),
		T(arrived_another_kernel),
		T(arrived_with_other_regions),
		T(arrived_unsealed),
		T(alert),
		T(observed),
		T(ended),
		T(not_recorded),
		T(nothing_expected),
		T(compared_by_the_next_monitor),
		T(booted_the_same),
		T(booted_changed),
		T(booted_another_kernel),
		T(booted_elsewhere),
		T(booted_unrecorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
