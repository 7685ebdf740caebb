// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Folding, in the monitor: no verdict depends on whether it was written or counted, a question that
 * is sent again gets the same answer, and lines and counts add up, whoever dies.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define PLACE(i) (IMAGE_GPA + RODATA_AT + (i) % (RODATA_SIZE - 8))

static struct rf_msg_verdict store_at(uint64_t gpa, struct rf_msg_event *ev)
{
	*ev = fake_write_event(gpa, "1", 1);
	return fake_answer(ev);
}

static void another_monitor(void)
{
	const struct rf_policy policy = guest.policy;

	fake_new_monitor();
	guest.policy = policy;
	guest.fold = &fake_fold;
	assert_int_equal(rf_record_begin(&guest, 7), 0);
	assert_int_equal(rf_guest_resume(&guest), 0);
}

struct sums {
	uint64_t full, counted, outcomes, failed, lines;
};

/* Decisions about stores. */
static struct sums sums(void)
{
	FILE *log = fopen(fake.log_path, "r");
	struct sums s = { 0 };
	char *text = NULL;
	size_t room = 0;

	while (getline(&text, &room, log) > 0) {
		json_t *o = json_loads(text, 0, NULL);
		bool store = !strcmp(fake_text(o, "kind"), "write");

		s.lines++;
		s.full += store && !strcmp(fake_text(o, "type"), "decision");
		s.outcomes += !strcmp(fake_text(o, "type"), "outcome");
		s.failed += !strcmp(fake_text(o, "status"), "failed");
		if (store && !strcmp(fake_text(o, "type"), "folded")) {
			s.counted += (uint64_t)json_integer_value(json_object_get(o, "count"));
			s.failed += (uint64_t)json_integer_value(json_object_get(o, "failed"));
		}
		json_decref(o);
	}
	free(text);
	fclose(log);
	return s;
}

/* --- the same, and never the same --- */

#define TIMES 20000u

/* Each is denied, with its own fault; the fence's outcomes of what has no line have none. */
static void flood(void **state)
{
	struct rf_msg_event ev;
	struct stat before, after;
	struct sums s;

	stat(fake.log_path, &before);
	for (unsigned int i = 0; i < TIMES; i++) {
		struct rf_msg_verdict v = store_at(TABLE, &ev);

		assert_int_equal(v.verdict, RF_VERDICT_DENY);
		assert_int_equal(v.vector, 14);
		assert_int_equal(v.gpr[3], 0x33);
		assert_int_equal(rf_record_outcome(&guest, ev.id, 0), 0);
		if (i % 100 == 0)
			rf_record_flush(&guest, false);
	}
	rf_record_flush(&guest, true);
	s = sums();
	assert_int_equal(s.full + s.counted, TIMES);
	assert_int_equal(s.outcomes, s.full);
	stat(fake.log_path, &after);
	print_message("%u denials: %llu lines in full, %lld bytes\n", TIMES,
		      (unsigned long long)s.full, (long long)(after.st_size - before.st_size));
	assert_in_range(after.st_size - before.st_size, 1, 128 << 10);
	assert_int_equal(guest.counted[RF_WORD_BLOCKED] +
				 rf_audit_count(guest.audit, RF_WORD_BLOCKED),
			 TIMES);
}

/*
 * The same, while something keeps each fault from being given (RF_NOT_NOW): the VM goes on, and so does
 * the guest, for as long as it likes. A line has its own; what is counted is counted as failed too.
 */
static void flood_of_failures(void **state)
{
	struct rf_msg_event ev;
	struct stat before, after;
	struct sums s;

	stat(fake.log_path, &before);
	for (unsigned int i = 0; i < TIMES; i++) {
		assert_int_equal(store_at(TABLE, &ev).verdict, RF_VERDICT_DENY);
		assert_int_equal(rf_record_outcome(&guest, ev.id, RF_NOT_NOW), 0);
		if (i % 100 == 0)
			rf_record_flush(&guest, false);
		if (i == TIMES / 2)
			another_monitor();
	}
	rf_record_flush(&guest, true);
	s = sums();
	assert_int_equal(s.full + s.counted, TIMES);
	assert_int_equal(s.failed, TIMES);
	assert_int_equal(s.outcomes, s.full);
	stat(fake.log_path, &after);
	print_message("%u denials, none carried out: %llu lines in full, %lld bytes\n", TIMES,
		      (unsigned long long)s.full, (long long)(after.st_size - before.st_size));
	assert_in_range(after.st_size - before.st_size, 1, 128 << 10);
}

static void flood_of_places(void **state)
{
	struct rf_msg_event ev;
	struct stat st;
	struct sums s;

	for (unsigned int i = 0; i < TIMES; i++)
		assert_int_equal(store_at(PLACE(i * 7), &ev).verdict, RF_VERDICT_DENY);
	rf_record_flush(&guest, true);
	s = sums();
	assert_int_equal(s.full + s.counted, TIMES);
	stat(fake.log_path, &st);
	assert_in_range(st.st_size, 1, 512 << 10);
}

/* What is let through against the rules is counted as well, and let. */
static void flood_observed(void **state)
{
	struct rf_msg_event ev;
	struct sums s;

	guest.policy.mode = RF_MODE_OBSERVE;
	for (unsigned int i = 0; i < 1000; i++)
		assert_int_equal(store_at(TABLE, &ev).verdict, RF_VERDICT_ALLOW);
	rf_record_flush(&guest, true);
	s = sums();
	assert_int_equal(s.full + s.counted, 1000);
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "type"), "folded");
}

/* What ends the VM has its line. */
static void an_end_is_not_folded(void **state)
{
	struct rf_msg_event ev;

	for (int i = 0; i < 50; i++)
		store_at(TABLE, &ev);
	guest.policy.on_denied = RF_ON_DENIED_KILL;
	assert_int_equal(store_at(TABLE, &ev).verdict, RF_VERDICT_KILL);
	assert_string_equal(fake_text(fake_line(0), "outcome"), RF_OUTCOME_ENDED);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "event")), ev.id);
}

static void an_outcome_that_failed(void **state)
{
	struct rf_msg_event ev;

	for (int i = 0; i < 50; i++)
		store_at(TABLE, &ev);
	assert_int_equal(rf_record_outcome(&guest, ev.id, 0), 0);
	assert_string_equal(fake_text(fake_line(0), "type"), "decision");
	assert_int_equal(rf_record_outcome(&guest, ev.id, -EINVAL), 0);
	assert_string_equal(fake_text(fake_line(0), "type"), "outcome");
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "event")), ev.id);
	/* All that was counted is in lines by the time that one more could not be carried out. */
	store_at(TABLE, &ev);
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 51);
	assert_int_equal(rf_record_outcome(&guest, ev.id, RF_NOT_NOW), 0);
	assert_string_equal(fake_text(fake_line(0), "type"), "folded");
	assert_int_equal(rf_fold_pending(&fake_fold), 0);
	rf_record_flush(&guest, true);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "count")), 0);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "failed")), 1);
	assert_int_equal(sums().full + sums().counted, 51);
}

/* A guest resets itself as often as it likes: what is counted is written when it is due. */
static void a_reset(void **state)
{
	struct rf_msg_event ev;
	uint64_t full;

	for (int i = 0; i < 50; i++)
		store_at(TABLE, &ev);
	full = sums().full;
	fake_reset();
	assert_string_equal(fake_text(fake_line(0), "kind"), "reset");
	assert_int_equal(sums().counted, 0);
	assert_int_equal(rf_fold_pending(&fake_fold), 50 - full);
	rf_record_flush(&guest, true);
	assert_string_equal(fake_text(fake_line(0), "type"), "folded");
	assert_string_equal(fake_text(fake_line(0), "of"), "one place");
	assert_int_equal(sums().full + sums().counted, 50);
}

/* Lines that count are as many as a second allows, resets or not. */
static void resets(void **state)
{
	struct rf_msg_event ev;

	for (int reset = 0; reset < 20; reset++) {
		for (int i = 0; i < 300; i++)
			store_at(PLACE(i * 8), &ev);
		fake_reset();
		fake_sealed();
		rf_record_flush(&guest, false);
	}
	assert_in_range(fake_count("type", "folded"), 0, RF_FOLD_FOLDS);
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 20 * 300);
}

/* --- sent again --- */

static void not_found(void)
{
	fake.store_err = -ENOENT;
}

/* Whoever takes over writes out what was counted, gives the same answer, and counts it once. */
static void sent_again(void **state)
{
	struct rf_msg_verdict first, again;
	struct rf_msg_event ev;
	size_t lines;

	for (int i = 0; i < 50; i++)
		first = store_at(TABLE, &ev);
	assert_false(rf_audit_has_event(guest.audit, ev.id));
	assert_int_equal(first.vector, 14);
	another_monitor();
	assert_int_equal(sums().full + sums().counted, 50);
	not_found();
	guest.policy.mode = RF_MODE_OBSERVE;
	lines = fake_lines();
	again = fake_answer(&ev);
	assert_memory_equal(&again, &first, sizeof(first));
	assert_int_equal(fake_lines(), lines);
	/* By the same monitor, too. */
	again = fake_answer(&ev);
	assert_memory_equal(&again, &first, sizeof(first));
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 50);
}

/* Each of several vCPUs has one. */
static void sent_again_by_vcpu(void **state)
{
	struct rf_msg_event ev[8];
	struct rf_msg_verdict v;

	for (int i = 0; i < 50; i++) {
		ev[i % 8] = fake_write_event(TABLE, "1", 1);
		ev[i % 8].vcpu = (uint32_t)i % 8;
		fake_answer(&ev[i % 8]);
	}
	another_monitor();
	guest.policy.mode = RF_MODE_OBSERVE;
	for (int i = 0; i < 8; i++) {
		v = fake_answer(&ev[i]);
		assert_int_equal(v.verdict, RF_VERDICT_DENY);
		assert_int_equal(v.vector, 14);
	}
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 50);
}

/*
 * Memory is not a log: nothing goes through by its word. What is let again is counted again, and a
 * line says so.
 */
static void observed_and_sent_again(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict v;

	guest.policy.mode = RF_MODE_OBSERVE;
	for (int i = 0; i < 50; i++)
		store_at(TABLE, &ev);
	another_monitor();
	assert_int_equal(fake_count("outcome", "recorded twice"), 0);
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_ALLOW);
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 51);
	assert_int_equal(fake_count("outcome", "recorded twice"), 1);
	guest.policy.mode = RF_MODE_ENFORCE;
	another_monitor();
	v = fake_answer(&ev);
	assert_int_equal(fake_count("outcome", "recorded twice"), 2);
	assert_int_equal(v.verdict, RF_VERDICT_DENY);
	assert_int_equal(v.vector, 14);
	rf_record_flush(&guest, true);
	assert_int_equal(sums().full + sums().counted, 52);
}

/* --- what a monitor that was taken over leaves for events that are to come --- */

static void leave(uint64_t event, enum rf_answered answered, const char *rule)
{
	struct rf_fold_asked *asked = &fake_fold.asked[1];

	*asked = (struct rf_fold_asked){ .event = event, .word = RF_WORD_ALLOWED };
	strcpy(asked->rule, rule);
	asked->answer.verdict = answered;
	fake_fold.vcpus = 2;
}

static void lets_no_store(void **state)
{
	struct rf_msg_event ev;

	leave(fake.info.next_event, RF_ANSWERED_ALLOW, "");
	another_monitor();
	ev = fake_write_event(TABLE, "1", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "event")), ev.id);
	leave(fake.info.next_event, RF_ANSWERED_NOT_OURS, "");
	another_monitor();
	ev = fake_write_event(TABLE, "1", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
}

static void loads_no_table(void **state)
{
	struct rf_msg_event ev;

	leave(fake.info.next_event, RF_ANSWERED_ALLOW, "");
	fake_fold.asked[1].answer.has_table = true;
	fake_fold.asked[1].answer.base = 0xffff888012345000;
	fake_fold.asked[1].answer.limit = 0xfff;
	another_monitor();
	ev = fake_event(RF_EVENT_TRAP);
	ev.trap.kind = RF_TRAP_LIDT;
	assert_int_not_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake_verdict()->table.base, 0);
	assert_int_equal(json_integer_value(json_object_get(fake_line(0), "event")), ev.id);
}

static void lets_no_kernel(void **state)
{
	struct rf_msg_event ev;

	leave(fake.info.next_event + 1, RF_ANSWERED_ALLOW, "kernel-not-recognised");
	another_monitor();
	fake_reset();
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_fold.asked[1].event, ev.id);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_non_null(guest.kernel);
	assert_false(guest.unknown);
	assert_int_equal(fake.info.state, RF_VM_WATCHED);
	/* Nor past its end of boot. */
	leave(fake.info.next_event, RF_ANSWERED_ALLOW, "");
	another_monitor();
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_fold.asked[1].event, ev.id);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
}

/* The memory is another release's: told, and folding goes on in memory of its own. */
static void foreign_memory(void **state)
{
	struct rf_msg_event ev;

	for (int i = 0; i < 50; i++)
		store_at(TABLE, &ev);
	fake_fold.size++;
	fake_new_monitor();
	guest.fold = &fake_fold;
	assert_int_equal(rf_record_begin(&guest, 7), 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "counts are lost");
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_ptr_not_equal(guest.fold, &fake_fold);
	for (int i = 0; i < 50; i++)
		assert_int_equal(store_at(TABLE, &ev).verdict, RF_VERDICT_DENY);
	assert_int_equal(rf_fold_pending(guest.fold), 42);
	free(guest.fold);
	guest.fold = NULL;
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_folding, fake_teardown)
		T(flood),
		T(flood_of_failures),
		T(flood_of_places),
		T(flood_observed),
		T(an_end_is_not_folded),
		T(an_outcome_that_failed),
		T(a_reset),
		T(resets),
		T(sent_again),
		T(sent_again_by_vcpu),
		T(observed_and_sent_again),
		T(lets_no_store),
		T(loads_no_table),
		T(lets_no_kernel),
		T(foreign_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
