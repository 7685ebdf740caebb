// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A question that is sent again, and a log that does not say, or not in one way, what it was
 * answered with: torn, old, foreign, contradicting itself. No answer lets more than the record, and
 * each that is not exactly the record's is told of.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

#define NOT_EXACT "not answered exactly as recorded"

static int setup(void **state)
{
	int err = fake_setup(state);

	if (err)
		return err;
	fake_sealed();
	fake_table_store();
	return 0;
}

static void another_monitor(void)
{
	fake_new_monitor();
	assert_int_equal(rf_guest_resume(&guest), 0);
}

/* A store that is denied, and what was answered. */
static struct rf_msg_verdict denied(struct rf_msg_event *ev)
{
	*ev = fake_write_event(TABLE, "1", 1);
	return fake_answer(ev);
}

/* --- the log, as somebody else left it --- */

static char text[1u << 20];

static size_t load(void)
{
	FILE *f = fopen(fake.log_path, "r");
	size_t n = fread(text, 1, sizeof(text) - 1, f);

	fclose(f);
	assert_in_range(n, 2, sizeof(text) - 2);
	text[n] = '\0';
	return n;
}

static char *last_line(void)
{
	size_t n = load();

	for (n--; n && text[n - 1] != '\n';)
		n--;
	return text + n;
}

/* In place: whoever has it open to append goes on at its end. */
static void store(void)
{
	FILE *f = fopen(fake.log_path, "w");

	fputs(text, f);
	fclose(f);
}

/* In the last line, from `from` up to and with the next `to`; "" to: nothing more. */
static void replace(const char *from, const char *to, const char *with)
{
	char *at = strstr(last_line(), from), *end, rest[4096];

	assert_non_null(at);
	end = strstr(at + strlen(from), to) + strlen(to);
	snprintf(rest, sizeof(rest), "%s", end);
	sprintf(at, "%s%s", with, rest);
	store();
}

static void append(const char *line)
{
	FILE *f = fopen(fake.log_path, "a");

	fputs(line, f);
	fclose(f);
}

static void no_answer(void)
{
	replace(",\"answer\":{", "}", "");
}

static void assert_plain_denial(const struct rf_msg_event *ev, const struct rf_msg_verdict *v)
{
	assert_int_equal(v->verdict, RF_VERDICT_DENY);
	assert_int_equal(v->vector, 13);
	assert_int_equal(v->rip, ev->regs.rip);
	assert_int_equal(v->rflags, ev->regs.rflags);
	assert_memory_equal(v->gpr, ev->regs.gpr, sizeof(v->gpr));
}

static void assert_told(const struct rf_msg_event *ev, const char *what)
{
	char id[40];
	json_t *line = fake_line(0);

	snprintf(id, sizeof(id), "event %llu was decided", (unsigned long long)ev->id);
	assert_string_equal(fake_text(line, "kind"), "monitor");
	assert_string_equal(fake_text(line, "outcome"), NOT_EXACT);
	assert_null(json_object_get(line, "event")); /* not another decision */
	assert_memory_equal(fake_text(line, "detail"), id, strlen(id));
	assert_non_null(strstr(fake_text(line, "detail"), what));
	assert_int_equal(fake_count("outcome", NOT_EXACT), 1);
}

/* --- torn --- */

/* Half a line is no record: it is decided now, and that is the record. */
static void cut_in_the_middle(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict first = denied(&ev), again;
	size_t whole;
	char *line;

	assert_int_equal(first.vector, 14);
	line = last_line();
	whole = strlen(line);
	/* Each byte of the end, which has the answer, and some of the rest. */
	for (size_t left = 1; left < whole - 1; left += left + 300 < whole ? 97 : 1) {
		load();
		last_line()[left] = '\0';
		store();
		fake_new_monitor();
		assert_int_equal(rf_audit_has_event(guest.audit, ev.id), false);
	}
	assert_int_equal(rf_guest_resume(&guest), 0);
	guest.policy.mode = RF_MODE_OBSERVE;
	again = fake_answer(&ev);
	assert_int_equal(again.verdict, RF_VERDICT_ALLOW);
	load();
	assert_non_null(strstr(last_line(), "\"verdict\":\"detected\""));
	fake.store_err = -ENOENT;
	fake_new_monitor();
	assert_true(rf_audit_has_event(guest.audit, ev.id));
}

/* All of it but its end: the line is whole. */
static void cut_before_its_newline(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict first = denied(&ev), again;

	text[load() - 1] = '\0';
	store();
	another_monitor();
	fake.store_err = -ENOENT;
	again = fake_answer(&ev);
	assert_memory_equal(&again, &first, sizeof(first));
}

/* --- another instance --- */

static void of_an_earlier_instance(void **state)
{
	struct rf_msg_event ev;

	denied(&ev);
	replace("\"instance\":\"0x7\"", "", "\"instance\":\"0x6\"");
	another_monitor();
	guest.policy.mode = RF_MODE_OBSERVE;
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_ALLOW);
	assert_string_equal(fake_text(fake_line(0), "instance"), "0x7");
	assert_string_equal(fake_text(fake_line(0), "verdict"), "detected");
	assert_int_equal(fake_count("outcome", NOT_EXACT), 0);
}

/* Ids begin anew with each start of a VM: those before and behind ours say other things. */
static void between_two_other_instances(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict first = denied(&ev), again;
	char line[256];

	for (int i = 6; i <= 8; i += 2) {
		snprintf(line, sizeof(line),
			 "{\"instance\":\"0x%d\",\"type\":\"decision\",\"event\":%llu,\"kind\":"
			 "\"write\",\"verdict\":\"detected\",\"answer\":{\"verdict\":\"allow\"}}\n",
			 i, (unsigned long long)ev.id);
		append(line);
	}
	another_monitor();
	again = fake_answer(&ev);
	assert_memory_equal(&again, &first, sizeof(first));
}

/* --- twice --- */

static void twice_the_same(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict first = denied(&ev), again;
	char line[4096];

	snprintf(line, sizeof(line), "%.4000s", last_line());
	append(line);
	another_monitor();
	again = fake_answer(&ev);
	assert_memory_equal(&again, &first, sizeof(first));
	assert_int_equal(fake_count("outcome", NOT_EXACT), 0);
}

/* The stricter of both, and as neither says how, without what lies in the guest's memory. */
static void twice_and_not_the_same(void **state)
{
	static const char *const others[] = {
		"\"answer\":{\"verdict\":\"allow\"}",
		"\"answer\":{\"verdict\":\"deny\"}",
		"\"answer\":{\"verdict\":\"deny\",\"vector\":13,\"error_code\":0,\"cr2\":\"0x0\","
		"\"rip\":\"0x1\",\"rflags\":\"0x2\"}",
		"\"rule\":\"none\"",
	};

	for (int first = 0; first < 2; first++)
		for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
			struct rf_msg_event ev;
			struct rf_msg_verdict v;
			char line[512], own[4096];
			size_t told = fake_count("outcome", NOT_EXACT);

			denied(&ev);
			snprintf(line, sizeof(line),
				 "{\"instance\":\"0x7\",\"type\":\"decision\",\"event\":%llu,"
				 "\"kind\":\"write\",\"verdict\":\"detected\",%s}\n",
				 (unsigned long long)ev.id, others[i]);
			if (first) {
				snprintf(own, sizeof(own), "%.4000s", last_line());
				*last_line() = '\0';
				store();
				append(line);
				append(own);
			} else {
				append(line);
			}
			another_monitor();
			v = fake_answer(&ev);
			assert_plain_denial(&ev, &v);
			assert_int_equal(fake_count("outcome", NOT_EXACT), told + 1);
		}
}

static void twice_and_once_ended(void **state)
{
	struct rf_msg_event ev;
	char line[256];

	denied(&ev);
	snprintf(line, sizeof(line),
		 "{\"instance\":\"0x7\",\"type\":\"decision\",\"event\":%llu,\"kind\":\"write\","
		 "\"outcome\":\"the VM is ended\"}\n",
		 (unsigned long long)ev.id);
	append(line);
	another_monitor();
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_KILL);
	assert_told(&ev, "the VM is ended");
}

/* --- an older version's, which has a word and no answer --- */

static void old_denial(void **state)
{
	struct rf_msg_event ev;
	struct rf_msg_verdict v;

	denied(&ev);
	no_answer();
	another_monitor();
	guest.policy.mode = RF_MODE_OBSERVE;
	v = fake_answer(&ev);
	assert_plain_denial(&ev, &v);
	assert_told(&ev, "(blocked)");
}

static void old_end(void **state)
{
	struct rf_msg_event ev;

	guest.policy.on_denied = RF_ON_DENIED_KILL;
	denied(&ev);
	no_answer();
	another_monitor();
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_KILL);
	assert_told(&ev, "the VM is ended");
}

static void old_store_let_through(void **state)
{
	struct rf_msg_event ev;

	guest.policy.mode = RF_MODE_OBSERVE;
	denied(&ev);
	no_answer();
	another_monitor();
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_ALLOW);
	assert_told(&ev, "it is let through");
}

/* What cannot be told of is not let through. */
static void old_store_and_no_room(void **state)
{
	struct rf_msg_event ev;

	guest.policy.mode = RF_MODE_OBSERVE;
	denied(&ev);
	no_answer();
	another_monitor();
	fake_log_full();
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_KILL);
	fake_log_room();
}

/* By kind of event: what a word without an answer is worth. */
static void old_by_kind(void **state)
{
	static const struct {
		enum rf_event_kind kind;
		uint32_t trap;
		const char *word;
		uint32_t verdict, vector;
	} cases[] = {
		/* The value that it was given is not on record. */
		{ RF_EVENT_TRAP, RF_TRAP_LGDT, "detected", RF_VERDICT_DENY, 13 },
		{ RF_EVENT_TRAP, RF_TRAP_LTR, "blocked", RF_VERDICT_DENY, 13 },
		{ RF_EVENT_TRAP, RF_TRAP_MOV_CR0, "detected", RF_VERDICT_ALLOW, 0 },
		{ RF_EVENT_TRAP, RF_TRAP_POKE, "blocked", RF_VERDICT_DENY, 0 },
		{ RF_EVENT_TRAP, RF_TRAP_KEXEC, "allowed", RF_VERDICT_ALLOW, 0 },
		{ RF_EVENT_TRAP, RF_TRAP_KEXEC, "blocked", RF_VERDICT_DENY, 13 },
		{ RF_EVENT_MSR, 0, "allowed", RF_VERDICT_ALLOW, 0 },
		{ RF_EVENT_MSR, 0, "blocked", RF_VERDICT_DENY, 13 },
		/* "Detected" is what is put back, as well as what is let be. */
		{ RF_EVENT_CR, 0, "detected", RF_VERDICT_DENY, 0 },
		{ RF_EVENT_CR, 0, "undone", RF_VERDICT_DENY, 0 },
		{ RF_EVENT_TABLES, 0, "detected", RF_VERDICT_DENY, 0 },
		{ RF_EVENT_MSR_FOUND, 0, "detected", RF_VERDICT_DENY, 0 },
		{ RF_EVENT_EMULATION, 0, "detected", RF_VERDICT_DENY, 13 },
		{ RF_EVENT_STALLED, 0, "blocked", RF_VERDICT_DENY, 13 },
		{ RF_EVENT_DELIVERY, 0, "blocked", RF_VERDICT_DENY, 8 },
		{ RF_EVENT_WATCH, 0, "blocked", RF_VERDICT_KILL, 0 },
		{ RF_EVENT_WRITE, 0, "no word of ours", RF_VERDICT_DENY, 13 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct rf_msg_event ev = fake_event(cases[i].kind);
		struct rf_msg_verdict v;
		char line[256];

		ev.trap.kind = cases[i].trap;
		ev.write.len = 1;
		snprintf(
			line, sizeof(line),
			"{\"instance\":\"0x7\",\"type\":\"decision\",\"event\":%llu,\"kind\":\"k\","
			"\"verdict\":\"%s\"}\n",
			(unsigned long long)ev.id, cases[i].word);
		append(line);
		another_monitor();
		v = fake_answer(&ev);
		assert_int_equal(v.verdict, cases[i].verdict);
		assert_int_equal(v.vector, cases[i].vector);
		assert_int_equal(fake_count("outcome", NOT_EXACT), i + 1);
	}
}

/* An older monitor let it run unprotected. */
static void old_unknown_kernel(void **state)
{
	struct rf_msg_event ev;
	char line[256];

	fake_reset();
	ev = fake_kernel_event(LSTAR);
	snprintf(line, sizeof(line),
		 "{\"instance\":\"0x7\",\"type\":\"decision\",\"event\":%llu,\"kind\":\"kernel\","
		 "\"rule\":\"kernel-not-recognised\",\"verdict\":\"detected\"}\n",
		 (unsigned long long)ev.id);
	append(line);
	another_monitor();
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_ALLOW);
	assert_true(guest.unknown);
}

/* --- answers that are none --- */

static void broken_answers(void **state)
{
	static const struct {
		const char *from, *to, *with;
	} breaks[] = {
		{ "\"verdict\":\"deny\"", "", "\"verdict\":\"Deny\"" },
		{ "\"verdict\":\"deny\"", "", "\"verdict\":2" },
		{ "\"verdict\":\"deny\",", "", "" },
		{ "\"vector\":14", "", "\"vector\":256" },
		{ "\"vector\":14", "", "\"vector\":-1" },
		{ "\"vector\":14", "", "\"vector\":14.0" },
		{ "\"vector\":14", "", "\"vector\":\"14\"" },
		{ "\"vector\":14,", "", "" }, /* registers without it */
		{ "\"error_code\":3", "", "\"error_code\":4294967296" },
		{ "\"error_code\":3,", "", "" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":\"0x\"" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":\"0x11112222333344445\"" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":\" 0x1\"" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":\"0x01\"" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":\"1\"" },
		{ "\"cr2\":\"0x", "\"", "\"cr2\":1" },
		{ "\"rflags\":\"0x", "\"", "\"rflags\":\"0x2x\"" },
		{ "\"gpr\":\"", "\"", "\"gpr\":\"00\"" },
		{ "\"gpr\":\"0", "", "\"gpr\":\"G" },
		{ "\"gpr\":\"0", "", "\"gpr\":\"" },
		{ "\"gpr\":\"0", "", "\"gpr\":\"000" },
		{ "\"gpr\":\"", "\"", "\"gpr\":0" },
		{ "\"answer\":{", "}", "\"answer\":[]" },
		{ "\"answer\":{", "}", "\"answer\":\"deny\"" },
		{ "\"vector\":14", "", "\"vector\":14,\"table\":0" },
		{ "\"vector\":14", "", "\"vector\":14,\"table\":{\"base\":\"0x1\",\"limit\":1}" },
		{ "\"vector\":14", "",
		  "\"vector\":14,\"table\":{\"base\":\"0x1\",\"limit\":1,\"selector\":65536}" },
		{ "\"vector\":14", "",
		  "\"vector\":14,\"table\":{\"base\":\"1\",\"limit\":1,\"selector\":1}" },
	};

	for (size_t i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++) {
		struct rf_msg_event ev;
		struct rf_msg_verdict v;

		guest.policy.mode = RF_MODE_ENFORCE;
		v = denied(&ev);
		assert_int_equal(v.gpr[3], 0x33);
		replace(breaks[i].from, breaks[i].to, breaks[i].with);
		another_monitor();
		guest.policy.mode = RF_MODE_OBSERVE;
		v = fake_answer(&ev);
		if (v.vector == 14)
			print_message("%s\n", breaks[i].with);
		assert_plain_denial(&ev, &v);
		assert_int_equal(fake_count("outcome", NOT_EXACT), i + 1);
	}
}

/* Two of a name in one line: who wrote that is nobody of ours. */
static void two_answers_in_a_line(void **state)
{
	struct rf_msg_event ev;

	denied(&ev);
	replace(",\"answer\":{", "", ",\"answer\":{\"verdict\":\"allow\"},\"answer\":{");
	another_monitor();
	assert_false(rf_audit_has_event(guest.audit, ev.id));
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_DENY);
}

/* What the guest names itself is not a member of the line, whatever it is. */
static void a_guests_words(void **state)
{
	struct rf_msg_event ev = fake_write_event(TABLE, "1", 1);
	const struct rf_record r = {
		.kind = "write",
		.detail = "\"},\"event\":77,\"answer\":{\"verdict\":\"allow\"}}\n"
			  "{\"event\":77,\"type\":\"decision\",\"instance\":"
			  "\"0x7\",\"answer\":{\"verdict\":\"allow\"}}\n"
	};

	assert_int_equal(rf_record_write(&guest, &r), 0);
	another_monitor();
	ev.id = 77;
	assert_int_equal(fake_answer(&ev).verdict, RF_VERDICT_DENY);
	assert_int_equal(fake_verdict()->vector, 14);
}

/* --- too many --- */

/* It is known that it was decided, not how: more than a thousand others were decided since. */
static void long_ago(void **state)
{
	struct rf_msg_event ev, first;
	struct rf_msg_verdict v;

	denied(&first);
	for (int i = 0; i < 1023; i++)
		v = denied(&ev);
	another_monitor();
	v = fake_answer(&first);
	assert_int_equal(v.vector, 14); /* the last 1,024 */
	denied(&ev);
	another_monitor();
	v = fake_answer(&first);
	assert_plain_denial(&first, &v);
	assert_told(&first, "no word is kept");
	/* Those of this monitor's own are the same. */
	v = fake_answer(&ev);
	assert_int_equal(v.vector, 14);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, fake_teardown)
		T(cut_in_the_middle),
		T(cut_before_its_newline),
		T(of_an_earlier_instance),
		T(between_two_other_instances),
		T(twice_the_same),
		T(twice_and_not_the_same),
		T(twice_and_once_ended),
		T(old_denial),
		T(old_end),
		T(old_store_let_through),
		T(old_store_and_no_room),
		T(old_by_kind),
		T(old_unknown_kernel),
		T(broken_answers),
		T(two_answers_in_a_line),
		T(a_guests_words),
		T(long_ago),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
