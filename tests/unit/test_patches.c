// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor's part in text patching: table, patch log, bursts, sites left half way. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define SITE_AT 0x1500u

static int setup(void **state)
{
	int err = fake_setup(state);

	if (!err)
		fake_sealed();
	return err;
}

/* At the seal; not for what every kernel has, nor for what nothing is missing for. */
/* The log's last line of that outcome, which is there. */
static json_t *last_of(const char *outcome)
{
	size_t i = 0;

	while (strcmp(fake_text(fake_line(i), "outcome"), outcome))
		i++;
	return fake_line(i);
}

static void denied_kinds(void **state)
{
	static const struct {
		enum rf_patch_word denied;
		uint32_t kinds;
	} cases[] = {
		{ RF_PATCH_WORD_FTRACE, 1u << RF_SITE_FTRACE | 1u << RF_SITE_FTRACE_CALL },
		{ RF_PATCH_WORD_STATIC_CALLS,
		  1u << RF_SITE_STATIC_CALL | 1u << RF_SITE_STATIC_TRAMP },
		{ RF_PATCH_WORD_JUMP_LABELS, 1u << RF_SITE_JUMP_LABEL },
		{ RF_PATCH_WORD_KPROBES, 1u << RF_SITE_KPROBE | 1u << RF_SITE_KGDB },
		{ RF_PATCH_WORD_KGDB, 1u << RF_SITE_KGDB },
		{ RF_PATCH_WORD_TRACEPOINTS, 0 },
	};
	uint32_t all = 0;

	assert_int_equal(fake.frozen, 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		guest.policy.patches[cases[i].denied] = RF_PATCH_RULE_DENY;
		fake_reset();
		fake_sealed();
		assert_int_equal(fake.frozen, cases[i].kinds);
		guest.policy.patches[cases[i].denied] = RF_PATCH_RULE_ALLOW;
		all |= cases[i].kinds;
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		guest.policy.patches[cases[i].denied] = RF_PATCH_RULE_DENY;
	fake_reset();
	fake_sealed();
	assert_int_equal(fake.frozen, all);
}

static void left_out(void **state)
{
	static const char outcome[] = "sites left out of the table";
	struct rf_textpatch_stats *s = &fake.stats;
	json_t *line;

	assert_int_equal(fake_count("outcome", outcome), 0);
	*s = (struct rf_textpatch_stats){
		.init = 1, .merged = 2, .frozen = 3, .flying = 4, .nameless = 5
	};
	fake_reset();
	guest.policy.pin_tables = false;
	fake_sealed();
	assert_int_equal(fake_count("outcome", outcome), 0);
	s->odd = 7;
	s->full = 8;
	s->first_odd = rf_gva_of(IMAGE_GVA + 0x1084);
	fake_reset();
	fake_sealed();
	assert_int_equal(fake_count("outcome", outcome), 1);
	line = last_of(outcome);
	assert_string_equal(fake_text(line, "kind"), "patch");
	assert_string_equal(fake_text(json_object_get(line, "target"), "symbol"),
			    "entry_SYSCALL_64");
	assert_memory_equal(fake_text(line, "detail"), "odd 7 (", 7);
	assert_non_null(strstr(fake_text(line, "detail"), "; full 8 ("));
	assert_null(strstr(fake_text(line, "detail"), "nameless"));
	/* All of them fit: no reason is cut. */
	*s = (struct rf_textpatch_stats){ SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX,
					  SIZE_MAX, SIZE_MAX, SIZE_MAX, SIZE_MAX, false,
					  SIZE_MAX, { 1 },    SIZE_MAX };
	fake_reset();
	fake_sealed();
	line = last_of(outcome);
	assert_non_null(strstr(fake_text(line, "detail"), "unread 18446744073709551615 ("));
	assert_int_equal(strrchr(fake_text(line, "detail"), ')')[1], '\0');
}

/* A command line's probes, or whoever was there before: the auditor hears of it, once. */
static void patched_before(void **state)
{
	static const char outcome[] = "patched before the seal, and believed";
	json_t *line;

	assert_int_equal(fake_count("outcome", outcome), 0);
	fake.stats.traced = 4711;
	for (uint32_t i = 0; i < 9; i++)
		fake.armed[i] = (struct rf_patch_site){ .at = 0x1084 + i, .kind = RF_SITE_KPROBE };
	fake.armed_count = 9;
	fake_reset();
	fake_sealed();
	assert_int_equal(fake_count("outcome", outcome), 1);
	line = last_of(outcome);
	assert_memory_equal(fake_text(line, "detail"),
			    "4711 functions are traced; 9 breakpoints: entry_SYSCALL_64+0x", 61);
	assert_non_null(strstr(fake_text(line, "detail"), " and 1 more"));
	fake_new_monitor(); /* it asks nobody again */
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake_count("outcome", outcome), 1);
}

static void patched(size_t count, enum rf_site_kind kind)
{
	for (size_t i = 0; i < count; i++)
		fake.entries[fake.patching.head++] = (struct rf_patch_entry){ .at = SITE_AT,
									      .kind = (uint8_t)kind,
									      .len = 5,
									      .before = { 1 },
									      .after = { 2 } };
}

static void flight(uint64_t number)
{
	struct rf_flight *f = &fake.patching.flights[fake.patching.count++];

	*f = (struct rf_flight){
		.number = number, .at = SITE_AT, .kind = RF_SITE_FTRACE, .len = 5
	};
	memcpy(f->before, "\x0f\x1f\x44\0\0", 5);
}

static size_t logged(void)
{
	union rf_patch_record r[64];
	uint64_t offset = 0;
	size_t lines = 0;
	int fd = open(fake.patches_path, O_RDONLY | O_CLOEXEC);
	long n;

	while ((n = rf_patchlog_read(fd, &offset, r, 64)) > 0)
		for (long i = 0; i < n; i++)
			lines += rf_patch_is_line(&r[i]);
	close(fd);
	return lines;
}

/* As the loop of a monitor without a sweeper does, with as much time gone by as it takes to be
 * quiet. */
static void tick(uint64_t seconds)
{
	guest.last_patch_ns -= seconds * 1000000000;
	for (size_t i = 0; i < RF_GUARDS_MAX; i++)
		guest.ticked_ns[i] = guest.swept_ns[i] -=
			seconds * 1000000000 + RF_TICK_MS * 1000000;
	fake.info.counters[RF_COUNT_RAN_NS] += seconds * 1000000000;
	assert_int_equal(rf_guards_tick(&guest), 0);
	assert_int_equal(rf_guards_sweep(&guest), 0);
}

/* So much time goes by in which the guest does not run. */
static void stand_still(uint64_t seconds)
{
	fake.info.counters[RF_COUNT_RAN_NS] -= seconds * 1000000000;
	tick(seconds);
}

static void published(void **state)
{
	assert_int_equal(fake.table.kernel, guest.kernel_event);
	rf_guest_forget(&guest);
	assert_int_equal(fake.table.kernel, 0);
}

static void nothing_to_publish(void **state)
{
	struct rf_msg_event ev = fake_event(RF_EVENT_RESET);

	assert_int_equal(rf_guest_event(&guest, &ev), 0);
	fake.info = (struct rf_backend_info){ .next_event = fake.info.next_event };
	fake.textpatch_err = -ENOENT;
	fake_sealed();
	assert_int_equal(fake.table.kernel, 0);
	assert_null(guest.patches);
}

static void drained(void **state)
{
	patched(1100, RF_SITE_FTRACE);
	tick(0);
	assert_int_equal(logged(), 1100);
	assert_int_equal(fake.table.taken, 1100);
	assert_int_equal(fake_count("kind", "patches"), 0); /* the burst may go on */
	patched(3, RF_SITE_KPROBE);
	tick(0);
	guest.last_patch_ns -= UINT64_C(3000000000);
	tick(3);
	assert_int_equal(fake_count("kind", "patches"), 1);
	assert_string_equal(fake_text(fake_line(0), "detail"), "ftrace 1100, kprobe 3");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "allowed");
	tick(3);
	assert_int_equal(fake_count("kind", "patches"), 1);
	assert_int_equal(logged(), 1103);
	assert_int_equal(json_integer_value(
				 json_object_get(json_object_get(fake_line(0), "patch_log"), "to")),
			 (1 + 1103 + 1) * 32); /* and a name */
	/* Who patches all the time keeps them out of the record no longer than this. */
	patched(1, RF_SITE_FTRACE);
	tick(0);
	assert_int_equal(fake_count("kind", "patches"), 1);
	guest.burst_ns -= UINT64_C(31000000000);
	tick(0);
	assert_int_equal(fake_count("kind", "patches"), 2);
}

/* What the patch log calls a place, put together; NULL: nothing. *times: how often it does. */
static const char *name_of(uint32_t at, unsigned int *times)
{
	static char text[RF_PATCH_NAME_BYTES];
	union rf_patch_record r;
	uint64_t offset = 0;
	int fd = open(fake.patches_path, O_RDONLY);

	*times = 0;
	text[0] = '\0';
	while (rf_patchlog_read(fd, &offset, &r, 1) == 1) {
		if (!rf_patch_is_name(&r) || r.name.at != at)
			continue;
		if (!*times)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%.23s",
				 r.name.text);
		*times += (r.name.part & RF_PATCH_NAME_LAST) != 0;
	}
	close(fd);
	return *times ? text : NULL;
}

static void called(uint32_t at, uint64_t target, enum rf_site_kind kind)
{
	struct rf_patch_entry *e = &fake.entries[fake.patching.head++];
	uint32_t distance = (uint32_t)(target - (IMAGE_GVA + at + 5));

	*e = (struct rf_patch_entry){
		.at = at, .kind = (uint8_t)kind, .len = 5, .before = { 1 }, .after = { 0xe8 }
	};
	memcpy(e->after + 1, &distance, sizeof(distance));
}

/* Each place is named once, and so is what a call leads to: a function, a module, nobody's. */
static void named(void **state)
{
	const uint64_t module = UINT64_C(0xffffffffc0000100), nobody = UINT64_C(0xffffffffa0000000);
	unsigned int times;

	for (int i = 0; i < 2; i++) {
		patched(2, RF_SITE_FTRACE);
		called(0x2004, module, RF_SITE_STATIC_CALL);
		called(0x2014, IMAGE_GVA + 0x1080, RF_SITE_FTRACE);
		called(0x2024, nobody, RF_SITE_FTRACE);
		called(0x2034, IMAGE_GVA + 0x1090, RF_SITE_JUMP_LABEL);
		tick(0);
		tick(0);
	}
	assert_string_equal(name_of(SITE_AT, &times), "entry_SYSCALL_64+0x480");
	assert_int_equal(times, 1);
	assert_string_equal(name_of(0x2004, &times), "commit_creds+0x4");
	assert_string_equal(name_of((uint32_t)(module - IMAGE_GVA), &times), "[evil]+0x100");
	assert_int_equal(times, 1);
	assert_string_equal(name_of(0x1080, &times), "entry_SYSCALL_64");
	assert_null(name_of((uint32_t)(nobody - IMAGE_GVA), &times));
	assert_null(name_of(0x1090, &times));
	/* A line that vouches for the patches vouches for the names: it waits for them. */
	for (uint32_t i = 0; i < 1000; i++)
		called(0x2100 + i, IMAGE_GVA + 0x1080, RF_SITE_FTRACE);
	tick(0);
	guest.last_patch_ns -= UINT64_C(3000000000);
	tick(0);
	assert_int_equal(fake_count("kind", "patches"), 0);
	for (int i = 0; i < 3; i++)
		tick(0);
	assert_int_equal(fake_count("kind", "patches"), 1);
	name_of(0x2100 + 999, &times);
	assert_int_equal(times, 1);
	/* Another kernel's are its own. */
	fake_reset();
	fake_sealed();
	patched(1, RF_SITE_FTRACE);
	tick(0);
	name_of(SITE_AT, &times);
	assert_int_equal(times, 2);
}

/* Who patches all the time does not keep the monitor: what came meanwhile is the next time's. */
static void patches_for_ever(void **state)
{
	patched(3, RF_SITE_FTRACE);
	fake.patches_on = true;
	for (size_t i = 0; i < 5; i++) {
		assert_int_equal(rf_patches_drain(&guest), 0);
		assert_int_equal(logged(), 3 + i);
		assert_int_equal(fake.table.taken, 3 + i);
	}
	/* Nor does a VMM whose trail says that there is no end to it. */
	fake.patching.oldest = fake.patching.head - 2;
	fake.patches_on = false;
	guest.patches_taken = 0;
	assert_int_equal(rf_patches_drain(&guest), 0);
	assert_int_equal(guest.patches_taken, 2);
}

/* Names that come after the line about a burst have a line of their own. */
static void named_late(void **state)
{
	union rf_patch_record r;
	uint64_t offset = 0, to;
	int fd = open(fake.patches_path, O_RDONLY);
	json_t *line;

	for (uint32_t i = 0; i < 20; i++)
		called(0x2100 + i, UINT64_C(0xffffffffc0000100) + i, RF_SITE_STATIC_CALL);
	tick(0);
	guest.burst_ns -= UINT64_C(31000000000); /* it is told though names are left */
	tick(0);
	assert_int_equal(fake_count("kind", "patches"), 1);
	for (int i = 0; i < 20; i++)
		tick(0);
	tick(3);
	assert_int_equal(fake_count("kind", "patches"), 2);
	line = fake_line(0);
	assert_string_equal(fake_text(line, "detail"), "");
	to = (uint64_t)json_integer_value(
		json_object_get(json_object_get(line, "patch_log"), "to"));
	while (rf_patchlog_read(fd, &offset, &r, 1) == 1)
		;
	assert_int_equal(to, offset); /* all of it */
	close(fd);
	tick(3);
	assert_int_equal(fake_count("kind", "patches"), 2);
}

/* The longest line about a burst there can be. */
static void long_burst(void **state)
{
	for (int k = 1; k < RF_SITE_KINDS; k++)
		guest.burst[k] = UINT64_MAX;
	tick(3);
	assert_int_equal(fake_count("kind", "patches"), 1);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "kgdb 18446744073709551615"));
}

/* The next monitor goes on where the log ends, and the last one leaves nothing behind. */
static void drained_by_the_next(void **state)
{
	patched(2, RF_SITE_FTRACE);
	tick(0);
	patched(3, RF_SITE_FTRACE);
	fake_new_monitor(); /* the fake's death drains: real ones do not */
	patched(4, RF_SITE_FTRACE);
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.table.taken, 5);
	tick(0);
	assert_int_equal(logged(), 9);
	patched(1, RF_SITE_FTRACE);
	rf_guard_patches.forget(&guest);
	assert_int_equal(logged(), 10);
	assert_int_equal(fake_count("kind", "patches"), 2);
}

/* What the fence says of an entry is bounded: each is one line, whatever it says. */
static void strange_entries(void **state)
{
	patched(3, RF_SITE_FTRACE);
	fake.entries[0].kind = 0;
	fake.entries[1].kind = 200;
	fake.entries[2].len = 99;
	tick(0);
	assert_int_equal(logged(), 3);
}

static void left_half_way(void **state)
{
	flight(9);
	memcpy(fake.ram + SITE_AT, "\xcc\x1f\x44\0\0", 5);
	tick(0);
	tick(19);
	assert_int_equal(fake.restored, 0);
	fake.patching.changes++; /* the patcher is slow */
	tick(19);
	tick(19);
	assert_int_equal(fake.restored, 0);
	tick(3);
	assert_int_equal(fake.restored, 1);
	assert_int_equal(fake.restore.flight, 9);
	assert_int_equal(fake.restore.kernel, guest.kernel_event);
	assert_string_equal(fake_text(fake_line(0), "kind"), "patch");
	assert_string_equal(fake_text(fake_line(0), "rule"), "text-patch-abandoned");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "outcome"),
			    "the site's old bytes were put back");
	assert_string_equal(fake_text(fake_line(0), "old"), "0f1f440000");
	assert_string_equal(fake_text(fake_line(0), "new"), "cc1f440000");
	assert_string_equal(fake_text(json_object_get(fake_line(0), "target"), "symbol"),
			    "entry_SYSCALL_64");
}

/* The VMM has it stopped, or is stopped itself, for as long as they like: who patches goes on
 * afterwards. */
static void stopped_half_way(void **state)
{
	flight(9);
	tick(0);
	tick(10);
	for (int i = 0; i < 20; i++) {
		stand_still(60);
		assert_int_equal(fake.restored, 0);
	}
	tick(9);
	assert_int_equal(fake.restored, 0);
	tick(3);
	assert_int_equal(fake.restored, 1);
}

/* However seldom the monitor comes round: what ran in between did. */
static void left_while_the_monitor_is_slow(void **state)
{
	flight(9);
	tick(0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fake.restored, 0);
		tick(9);
	}
	assert_int_equal(fake.restored, 1);
}

/* What the fence says of time is a second old: nobody is a second early by that. */
static void left_no_sooner_than_that(void **state)
{
	guest.policy.patch_timeout_ms = RF_POLICY_PATCH_MIN;
	flight(9);
	tick(0);
	tick(1); /* all of it may have gone by before that was seen */
	tick(1);
	assert_int_equal(fake.restored, 0);
	fake.patching.changes++;
	tick(0);
	tick(2);
	assert_int_equal(fake.restored, 0);
	tick(1);
	assert_int_equal(fake.restored, 1);
}

/* A board that cannot be read says nothing of time. */
static void left_unknown(void **state)
{
	flight(9);
	tick(0);
	fake.info_err = -EAGAIN;
	for (int i = 0; i < 10; i++)
		tick(10);
	assert_int_equal(fake.restored, 0);
	fake.info_err = 0;
	tick(0);
	assert_int_equal(fake.restored, 1);
}

/* Who changes something again and again is believed for a while only. */
static void kept_half_way(void **state)
{
	flight(9);
	for (int i = 0; i < 19; i++) {
		fake.patching.changes++;
		tick(10);
		assert_int_equal(fake.restored, 0);
	}
	for (int i = 0; i < 3; i++) {
		fake.patching.changes++;
		tick(8);
	}
	assert_int_equal(fake.restored, 1);
}

/* Whatever else is written: the kernel has begun another batch, so this one is over. */
static void left_by_its_batch(void **state)
{
	flight(9);
	fake.patching.batch = 1;
	flight(10);
	fake.patching.flights[1].batch = 1;
	fake.patching.flights[1].at += 64;
	for (int i = 0; i < 3; i++) {
		fake.patching.changes++;
		tick(2);
	}
	assert_true(fake.restored >= 1);
	assert_int_equal(fake.restore.flight, 9);
}

/* Another flight at the same site is not as old; one that ended by itself is no finding. */
static void not_left(void **state)
{
	size_t lines = fake_lines();

	flight(9);
	tick(0);
	tick(19);
	fake.patching.count = 0;
	flight(10);
	tick(2);
	tick(17);
	assert_int_equal(fake.restored, 0);
	fake.restore_err = -ENOENT;
	tick(5);
	assert_int_equal(fake.restored, 1);
	fake.restore_err = -EAGAIN; /* no vCPU runs: it gets the whole time again */
	tick(22);
	tick(19);
	assert_int_equal(fake.restored, 2);
	assert_int_equal(fake_lines(), lines);
}

static void observed(void **state)
{
	guest.policy.mode = RF_MODE_OBSERVE;
	flight(9);
	tick(0);
	tick(22);
	assert_int_equal(fake.restored, 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "left as it is");
}

/* A denied store to a site under way puts it back, and the line says so. */
static void denied_under_way(void **state)
{
	struct rf_msg_event ev = fake_write_event(IMAGE_GPA + SITE_AT, "\x90", 1);

	fake.patch.verdict = RF_PATCH_BAD_INSN;
	flight(9);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_non_null(strstr(fake_text(fake_line(0), "outcome"), "old bytes were put back"));
	ev = fake_write_event(IMAGE_GPA + SITE_AT + 5, "\x90", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_null(strstr(fake_text(fake_line(0), "outcome"), "put back"));
}

static void too_many_under_way(void **state)
{
	struct rf_msg_event ev = fake_write_event(IMAGE_GPA + SITE_AT, "\xcc", 1);

	fake.patch = (struct rf_patch_result){ .verdict = RF_PATCH_STEP, .resting = true };
	fake.patching.count = RF_FLIGHTS;
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_string_equal(fake_text(fake_line(0), "rule"), "text-illegal-step");
}

static void swept(void **state)
{
	tick(2);
	assert_int_equal(fake.patch_sweeps, 1);
	tick(0);
	assert_int_equal(fake.patch_sweeps, 1);
	tick(2);
	assert_int_equal(fake.patch_sweeps, 2);
}

static void assert_endless(const char *what)
{
	assert_string_equal(fake_text(fake_line(0), "kind"), "endless");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_string_equal(fake_text(fake_line(0), "rule"), "guest-lists-end");
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), what));
}

static int64_t monotonic_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Lists that lead back into themselves: each unit of work ends all the same, it is told once, and
 * the next look comes later. */
static void lists_without_end(void **state)
{
	size_t lines;
	int64_t since;

	tick(2);
	assert_int_equal(fake.patch_sweeps, 1);
	lines = fake_lines();
	fake.endless = true;
	since = monotonic_ms();
	tick(2);
	assert_int_equal(fake.patch_sweeps, 2);
	assert_int_equal(fake.endless_read, 1 << 18);
	assert_int_equal(fake_lines(), lines + 1);
	assert_endless("walking lists of probes");
	tick(2);
	tick(2);
	tick(5);
	/* The clock goes on in a test that runs slowly, too. */
	if (monotonic_ms() - since < 1000)
		assert_int_equal(fake.patch_sweeps, 2);
	tick(2);
	assert_int_equal(fake.patch_sweeps, 3);
	assert_int_equal(fake_lines(), lines + 1);
	/* They end again, and then they do not. */
	fake.endless = false;
	tick(11);
	assert_int_equal(fake.patch_sweeps, 4);
	fake.endless = true;
	tick(2);
	assert_int_equal(fake.patch_sweeps, 5);
	assert_int_equal(fake_lines(), lines + 2);
}

/* While a vCPU waits for its verdict it is less, and the store is denied as ever. */
static void judged_without_end(void **state)
{
	struct rf_msg_event ev;

	fake.endless = true;
	fake.patch.verdict = RF_PATCH_NOT_A_SITE;
	ev = fake_write_event(IMAGE_GPA + SITE_AT, "x", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_int_equal(fake.refreshed, 1);
	assert_true(fake.endless_read <= 1 << 15);
	assert_endless("judging an event");
	/* The next one has reads of its own. */
	ev = fake_write_event(IMAGE_GPA + SITE_AT, "x", 1);
	assert_int_equal(fake_judge(&ev), RF_VERDICT_DENY);
	assert_true(fake.endless_read > 1 << 14);
}

/* Another monitor takes over: the kernel is known, and its lists are what is not read. */
static void taken_over_without_end(void **state)
{
	fake.endless = true;
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
	assert_int_equal(fake.endless_read, 1 << 18);
	assert_int_equal(guest.regions_count, 2);
	assert_non_null(guest.patches);
	assert_int_equal(fake_count("rule", "guest-lists-end"), 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(denied_kinds),
		T(left_out),
		T(patched_before),
		T(published),
		T(nothing_to_publish),
		T(drained),
		T(named),
		T(patches_for_ever),
		T(named_late),
		T(long_burst),
		T(drained_by_the_next),
		T(strange_entries),
		T(left_half_way),
		T(stopped_half_way),
		T(left_while_the_monitor_is_slow),
		T(left_no_sooner_than_that),
		T(left_unknown),
		T(left_by_its_batch),
		T(kept_half_way),
		T(not_left),
		T(observed),
		T(denied_under_way),
		T(too_many_under_way),
		T(swept),
		T(lists_without_end),
		T(judged_without_end),
		T(taken_over_without_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
