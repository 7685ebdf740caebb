// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A log that takes no line, because its file system is full or the policy's quota is: what becomes
 * of each decision by on_log_full, that all of them are counted and told of once there is room, and
 * that no monitor ends for it.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define CANNOT "the audit log could not be written: No space left on device"

static uint32_t stored(struct rf_msg_event *ev)
{
	*ev = fake_write_event(TABLE, "1", 1);
	return fake_judge(ev);
}

static void another_monitor(void)
{
	const struct rf_policy policy = guest.policy;
	bool full = fake.saved_fd >= 0;

	fake_log_room();
	fake_new_monitor();
	if (full)
		fake_log_full();
	guest.policy = policy;
	guest.fold = &fake_fold;
	assert_int_equal(rf_record_begin(&guest, 7), 0);
	assert_int_equal(rf_guest_resume(&guest), 0);
}

static json_int_t status_of(const char *member)
{
	json_t *o = rf_record_status(&guest);
	json_int_t n = json_integer_value(json_object_get(o, member));

	json_decref(o);
	return n;
}

static bool is_full(void)
{
	json_t *o = rf_record_status(&guest);
	bool full = !strcmp(fake_text(o, "state"), "full");

	assert_true(full || !strcmp(fake_text(o, "state"), "ok"));
	json_decref(o);
	return full;
}

static json_int_t member(size_t from_end, const char *name)
{
	return json_integer_value(json_object_get(fake_line(from_end), name));
}

/* Of all lines about gaps: what was counted after a try that failed has one of its own. */
static json_int_t told(const char *name)
{
	json_int_t sum = 0;

	for (size_t i = 0, n = fake_lines(); i < n; i++)
		if (!strcmp(fake_text(fake_line(i), "type"), "unwritten"))
			sum += member(i, name);
	return sum;
}

/* Room, and a second has passed. */
static void room(void)
{
	fake_log_room();
	guest.tried_ns = 0;
	rf_record_flush(&guest, false);
}

/* --- deny --- */

/* They go on being denied, each is counted, and the lines that tell come when there is room. */
static void denials_are_counted(void **state)
{
	struct rf_msg_event ev;
	const char *told;

	assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	fake_notified();
	fake_log_full();
	for (int i = 0; i < 100; i++) {
		assert_int_equal(stored(&ev), RF_VERDICT_DENY);
		assert_int_equal(fake_verdict()->vector, 14);
		assert_int_equal(rf_record_outcome(&guest, ev.id, 0), 0);
		rf_record_flush(&guest, false);
	}
	/* Once, and not each time. */
	told = fake_notified();
	assert_non_null(strstr(told, CANNOT));
	assert_null(strstr(strstr(told, CANNOT) + strlen(CANNOT), "could not be written"));
	assert_true(is_full());
	assert_int_equal(status_of("counted_only"), 100);
	/* A failure is told of, by its number at least. */
	assert_int_equal(rf_record_outcome(&guest, ev.id, -EINVAL), 0);
	assert_int_equal(status_of("lines_lost"), 1);
	room();
	assert_false(is_full());
	assert_non_null(strstr(fake_notified(), "100 decisions were counted only"));
	assert_int_equal(fake_count("type", "unwritten"), 1);
	assert_string_equal(fake_text(fake_line(1), "type"), "unwritten");
	assert_string_equal(fake_text(fake_line(1), "cause"), "No space left on device");
	assert_int_equal(member(1, "decisions"), 100);
	assert_int_equal(member(1, "lines_lost"), 1);
	assert_int_equal(
		json_integer_value(json_object_get(json_object_get(fake_line(1), "rules"),
						   "write rodata-is-never-written blocked")),
		100);
	assert_string_equal(fake_text(fake_line(0), "type"), "folded");
	assert_int_equal(member(0, "count"), 100);
	/* And lines again. */
	assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	assert_int_equal(member(0, "event"), ev.id);
}

/* Not each call looks: once in a second. */
static void tried_each_second(void **state)
{
	struct rf_msg_event ev;

	fake_log_full();
	stored(&ev);
	fake_log_room();
	rf_record_flush(&guest, false);
	assert_true(is_full());
	guest.tried_ns -= 1000000000;
	rf_record_flush(&guest, false);
	assert_false(is_full());
}

static void an_end_is_told(const char *class, const char *verdict)
{
	json_int_t times = 0;

	assert_string_equal(fake_text(fake_line(0), "type"), "folded");
	assert_string_equal(fake_text(fake_line(0), "outcome"), RF_OUTCOME_ENDED);
	assert_string_equal(fake_text(fake_line(0), "verdict"), verdict);
	assert_int_equal(member(0, "count"), 1);
	for (size_t i = 0, n = fake_lines(); i < n; i++)
		times += json_integer_value(
			json_object_get(json_object_get(fake_line(i), "rules"), class));
	assert_int_equal(times, 1);
}

/* Against the rules nothing goes on without a line; what is legal does, and is counted. */
static void observed(void **state)
{
	struct rf_msg_event ev;

	guest.policy.mode = RF_MODE_OBSERVE;
	fake_log_full();
	assert_int_equal(stored(&ev), RF_VERDICT_KILL);
	assert_int_equal(status_of("counted_only"), 1);
	/* Sent again, it gets no other answer. */
	another_monitor();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	assert_int_equal(status_of("counted_only"), 1);
	room();
	an_end_is_told("write rodata-is-never-written blocked, VM ended", "blocked");
}

/* As the policy has it of each denial: by which rule, the record says. */
static void ended(void **state)
{
	struct rf_msg_event ev;

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	fake_log_full();
	assert_int_equal(stored(&ev), RF_VERDICT_KILL);
	assert_int_equal(status_of("counted_only"), 1);
	assert_int_equal(status_of("lines_lost"), 0);
	another_monitor();
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	room();
	an_end_is_told("write rodata-is-never-written blocked, VM ended", "blocked");
}

static void legal_ones_go_on(void **state)
{
	const struct rf_audit_answer allow = { .verdict = RF_ANSWERED_ALLOW };
	const struct rf_record r = { .event = 77,
				     .kind = "msr",
				     .rule = "msr-of-each-cpu",
				     .verdict = RF_WORD_ALLOWED,
				     .answer = &allow };

	fake_log_full();
	assert_int_equal(rf_record_write(&guest, &r), 0);
	assert_int_equal(status_of("counted_only"), 1);
}

/* A kernel that comes up is not let without its line. */
static void a_reset(void **state)
{
	struct rf_msg_event ev;

	fake_log_full();
	fake_reset();
	assert_null(guest.kernel);
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_KILL);
	room();
	an_end_is_told("monitor any, VM ended", "any");
	assert_true(told("lines_lost") >= 2);
}

/* Who takes over what is sealed lets nothing by it: no monitor after the other ends. */
static void taken_over(void **state)
{
	struct rf_msg_event ev;

	fake_log_full();
	for (int i = 0; i < 10; i++)
		stored(&ev);
	another_monitor();
	assert_true(is_full());
	assert_int_equal(status_of("counted_only"), 10);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY); /* sent again */
	assert_int_equal(status_of("counted_only"), 10);
	assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	room();
	assert_int_equal(told("decisions"), 11);
	assert_int_equal(member(0, "count"), 11);
}

/* What is found afterwards, and waits for nobody. */
static void found(void **state)
{
	fake.heals[0] = (struct rf_heal){ .gpa = IMAGE_GPA + RODATA_AT, .len = 2 };
	fake.heals_head = 1;
	fake_log_full();
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(status_of("counted_only"), 1);
	assert_int_equal(fake.info.heals_taken, 1);
	room();
	assert_int_equal(member(0, "count"), 1);
	assert_string_equal(fake_text(fake_line(0), "rule"), "dma-to-sealed-memory");
}

/* --- continue --- */

static void goes_on(void **state)
{
	struct rf_msg_event ev;

	guest.policy.on_log_full = RF_ON_LOG_FULL_CONTINUE;
	guest.policy.mode = RF_MODE_OBSERVE;
	fake_log_full();
	for (int i = 0; i < 10; i++)
		assert_int_equal(stored(&ev), RF_VERDICT_ALLOW);
	fake_reset();
	ev = fake_kernel_event(LSTAR);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	room();
	assert_int_equal(told("decisions"), 10);
	assert_true(told("lines_lost") >= 4);
}

/* --- pause --- */

static void is_held(const struct rf_msg_event *ev)
{
	unsigned int before = fake.verdicts;

	assert_int_not_equal(rf_guest_event(&guest, ev), 0);
	assert_int_equal(fake.verdicts, before);
	assert_true(rf_record_waits(&guest));
}

static void nothing_is_answered(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	fake_log_full();
	for (int i = 0; i < 20; i++)
		is_held(&ev);
	assert_int_equal(status_of("counted_only"), 0);
	assert_int_equal(rf_sweep_drain(&guest), 0);
	room();
	assert_false(rf_record_waits(&guest));
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(member(0, "event"), ev.id);
}

/* As main.c does it: what was begun of a kernel is taken up as by another monitor. */
static void a_kernel_waits(void **state)
{
	struct rf_msg_event ev;

	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	fake_reset();
	ev = fake_kernel_event(LSTAR);
	fake_log_full();
	is_held(&ev);
	room();
	rf_guest_forget(&guest);
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	ev = fake_event(RF_EVENT_WATCH);
	fake_log_full();
	is_held(&ev);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_false(guest.attached);
	room();
	rf_guest_forget(&guest);
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_ALLOW);
	assert_true(guest.attached);
	ev = fake_event(RF_EVENT_RESET);
	ev.life.cause = RF_CAUSE_RESET;
	fake_log_full();
	is_held(&ev);
	room();
	assert_int_equal(fake_judge(&ev), 0);
	assert_string_equal(fake_text(fake_line(0), "kind"), "reset");
}

/* --- a kernel that is sealed late --- */

static int setup_late(void **state)
{
	struct rf_msg_event ev;
	int err = fake_setup(state);

	if (err)
		return err;
	memset(&fake_fold, 0, sizeof(fake_fold));
	guest.fold = &fake_fold;
	fake.no_types = true;
	if (rf_record_begin(&guest, 7))
		return -1;
	ev = fake_kernel_event(LSTAR);
	return fake_judge(&ev) == RF_VERDICT_ALLOW && guest.poll_permissions ? 0 : -1;
}

/* The fence has sealed it: no monitor ends for want of a line, and nothing of it is unguarded. */
static void late(void **state)
{
	struct rf_msg_event ev;

	fake_log_full();
	for (int i = 0; i < 3; i++)
		assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake.seals, 1);
	assert_true(guest.attached);
	assert_false(guest.late);
	assert_int_equal(guest.regions_count, fake.info.regions_count);
	assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	room();
	assert_true(told("lines_lost") >= 1);
	assert_int_equal(told("decisions"), 1);
}

/* Before the next poll comes a question: it is judged by what is sealed. */
static void late_and_asked(void **state)
{
	struct rf_msg_event ev;

	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	fake_log_full();
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_true(guest.late);
	room();
	assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	assert_true(guest.attached);
	assert_false(guest.late);
}

static void late_and_held(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);

	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	fake_log_full();
	for (int i = 0; i < 3; i++)
		assert_int_equal(rf_guest_poll(&guest), 0);
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_true(guest.late);
	assert_false(guest.attached);
	is_held(&ev);
	room();
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_true(guest.attached);
	assert_int_equal(fake.seals, 1);
	assert_string_equal(fake_text(fake_line(0), "kind"), "seal");
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
}

static void late_and_reset(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	ev.life.cause = RF_CAUSE_RESET;
	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	fake_log_full();
	assert_int_equal(rf_guest_poll(&guest), 0);
	assert_true(guest.late);
	is_held(&ev);
	fake.info.state = RF_VM_BOOTING;
	fake.info.kernel = 0;
	room();
	assert_int_equal(fake_judge(&ev), 0);
	assert_false(guest.late);
	assert_null(guest.kernel);
	assert_string_equal(fake_text(fake_line(0), "kind"), "reset");
	assert_int_equal(rf_guest_poll(&guest), 0);
}

/* --- the quota --- */

static void grow(uint64_t to)
{
	struct stat st;
	FILE *f;

	stat(fake.log_path, &st);
	f = fopen(fake.log_path, "a");
	for (uint64_t at = (uint64_t)st.st_size; at < to; at++)
		fputc(at + 1 == to ? '\n' : ' ', f);
	fclose(f);
}

static void drop_blanks(void)
{
	assert_int_equal(truncate(fake.log_path, 0), 0);
}

/* For decisions all of it but an eighth, which others may use; a shorter log has room again. */
static void quota(void **state)
{
	const uint64_t quota = 2u << 20;
	struct rf_msg_event ev;
	struct stat st;

	guest.policy.log_quota_mb = 2;
	assert_int_equal(rf_policy_log_bytes(&guest.policy, true), quota);
	assert_int_equal(rf_policy_log_bytes(&guest.policy, false), quota - quota / 8);
	grow(quota - quota / 8 - 1);
	assert_int_equal(stored(&ev), RF_VERDICT_DENY); /* the last one */
	assert_false(is_full());
	fake_notified();
	for (int i = 0; i < 50; i++)
		assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	assert_non_null(strstr(fake_notified(), "as long as log_quota_mb lets it be"));
	assert_true(is_full());
	assert_int_equal(rf_note(&guest, "seal", "a line", NULL), 0);
	stat(fake.log_path, &st);
	assert_in_range(st.st_size, quota - quota / 8, quota - quota / 8 + 4096);
	grow(quota);
	assert_int_not_equal(rf_note(&guest, "seal", "another one", NULL), 0);
	stat(fake.log_path, &st);
	assert_int_equal(st.st_size, quota);
	guest.tried_ns = 0;
	rf_record_flush(&guest, false);
	assert_true(is_full());
	drop_blanks();
	guest.tried_ns = 0;
	rf_record_flush(&guest, false);
	assert_false(is_full());
	assert_string_equal(fake_text(fake_line(1), "cause"), "log_quota_mb");
	assert_int_equal(member(1, "decisions"), 50);
	assert_int_equal(member(0, "count"), 50);
	/* None. */
	grow(quota);
	guest.policy.log_quota_mb = 0;
	stored(&ev);
	assert_false(is_full());
}

/* An orderly end has its line in what the quota leaves for such. */
static void an_end_at_the_quota(void **state)
{
	const uint64_t decisions = (1u << 20) - (1u << 17);
	char text[8192] = "", *at;
	struct rf_msg_event ev;
	int fd;

	guest.policy.log_quota_mb = 1;
	grow(decisions);
	for (int i = 0; i < 3; i++)
		assert_int_equal(stored(&ev), RF_VERDICT_DENY);
	assert_true(is_full());
	rf_guest_forget(&guest);
	rf_record_flush(&guest, true);
	assert_true(is_full());
	assert_int_equal(rf_record_end(&guest), 0);
	fd = open(fake.log_path, O_RDONLY | O_CLOEXEC);
	assert_true(pread(fd, text, sizeof(text) - 1, (off_t)decisions) > 0);
	close(fd);
	at = strstr(text, "\"type\":\"unwritten\"");
	assert_non_null(at);
	at = strstr(at, "\"type\":\"folded\"");
	assert_non_null(at);
	assert_non_null(strstr(at, "\"count\":3"));
	assert_non_null(strstr(at, "\"type\":\"end\""));
	assert_int_equal(rf_fold_pending(&fake_fold), 0);
	assert_int_equal(fake_fold.gap.error, 0);
}

/* Where nothing is left, it has none. */
static void no_end_beyond_the_quota(void **state)
{
	struct rf_msg_event ev;
	struct stat st;

	guest.policy.log_quota_mb = 1;
	grow(1u << 20);
	stored(&ev);
	rf_record_flush(&guest, true);
	assert_int_equal(rf_record_end(&guest), 0);
	stat(fake.log_path, &st);
	assert_int_equal(st.st_size, 1u << 20);
	assert_int_equal(rf_fold_pending(&fake_fold), 1);
}

/* What was counted before it is written at the quota no more, and is told with the gap. */
static void quota_met_by_counts(void **state)
{
	struct rf_msg_event ev;

	guest.policy.log_quota_mb = 1;
	for (int i = 0; i < 20; i++)
		stored(&ev);
	grow(1u << 20);
	rf_record_flush(&guest, false);
	assert_true(is_full());
	stored(&ev);
	drop_blanks();
	guest.tried_ns = 0;
	rf_record_flush(&guest, false);
	assert_int_equal(member(1, "decisions"), 1);
	assert_int_equal(member(0, "count"), 20 - 8 + 1);
}

/* --- the patch log --- */

static void patch(uint64_t n)
{
	for (uint64_t i = fake.patching.head; i < n; i++)
		fake.entries[i] = (struct rf_patch_entry){ .kind = 1, .len = 1 };
	fake.patching.head = n;
}

static off_t patches_size(void)
{
	struct stat st;

	stat(fake.patches_path, &st);
	return st.st_size;
}

static void patches_at_the_quota(void **state)
{
	off_t size;

	guest.patches_taken = 0;
	patch(10);
	assert_int_equal(rf_patches_drain(&guest), 0);
	size = patches_size();
	guest.policy.log_quota_mb = 1;
	assert_int_equal(truncate(fake.patches_path, 1u << 20), 0);
	patch(30);
	fake_notified();
	assert_int_equal(rf_patches_drain(&guest), 0);
	assert_int_equal(patches_size(), 1u << 20);
	assert_int_equal(guest.patches_taken, 30);
	assert_int_equal(status_of("patches_lost"), 20);
	assert_non_null(strstr(fake_notified(), "the patch log could not be written"));
	assert_int_equal(guest.burst[1], 30);
	/* They wait. */
	guest.policy.on_log_full = RF_ON_LOG_FULL_PAUSE;
	patch(40);
	assert_int_not_equal(rf_patches_drain(&guest), 0);
	assert_true(rf_record_waits(&guest));
	assert_int_equal(guest.patches_taken, 30);
	assert_int_equal(truncate(fake.patches_path, size), 0);
	assert_int_equal(rf_patches_drain(&guest), 0);
	assert_false(rf_record_waits(&guest));
	assert_int_equal(guest.patches_taken, 40);
	assert_int_equal(guest.burst[1], 40);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fake_folding, fake_teardown)
		T(denials_are_counted),
		T(tried_each_second),
		T(observed),
		T(ended),
		T(legal_ones_go_on),
		T(a_reset),
		T(taken_over),
		T(found),
		T(goes_on),
		T(nothing_is_answered),
		T(a_kernel_waits),
#define LATE(f) cmocka_unit_test_setup_teardown(f, setup_late, fake_teardown)
		LATE(late),
		LATE(late_and_asked),
		LATE(late_and_held),
		LATE(late_and_reset),
		T(quota),
		T(quota_met_by_counts),
		T(an_end_at_the_quota),
		T(no_end_beyond_the_quota),
		T(patches_at_the_quota),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
