// SPDX-License-Identifier: LGPL-2.1-or-later
/* A thousand ways to touch a log of two VMs, by chance: each is found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "policy/chain.h"
#include "tests/unit/fake_log.h"

int fdatasync(int fd);
int fdatasync(int fd)
{
	return 0;
}

static struct fake_log base, touched;

static unsigned int seed = 20240501;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

static void flip_a_byte(struct fake_log *l)
{
	size_t len, at;
	char *text = fake_log_text(l, &len);

	at = any(len);
	text[at] ^= (char)(1 << any(8));
	fake_log_drop_all(l);
	fake_log_parse(l, text, len);
	free(text);
}

static void drop_a_line(struct fake_log *l)
{
	fake_log_drop(l, any(l->count));
}

/* Of one instance: between two, the order is in no chain. */
static void swap_lines(struct fake_log *l)
{
	size_t a, b, len;
	char *line;

	do {
		a = any(l->count);
		b = any(l->count);
	} while (a == b ||
		 !strstr(l->line[a], "\"vm\":\"one\"") != !strstr(l->line[b], "\"vm\":\"one\""));
	line = l->line[a];
	l->line[a] = l->line[b];
	l->line[b] = line;
	len = l->len[a];
	l->len[a] = l->len[b];
	l->len[b] = len;
}

static void duplicate_a_line(struct fake_log *l)
{
	size_t from = any(l->count);

	fake_log_add(l, any(l->count + 1), base.line[from], base.len[from]);
}

static void truncate_it(struct fake_log *l)
{
	size_t len;
	char *text = fake_log_text(l, &len);

	fake_log_drop_all(l);
	fake_log_parse(l, text, any(len));
	free(text);
}

static void insert_a_line(struct fake_log *l)
{
	static const char *const lines[] = { "",
					     "x",
					     "{}",
					     "null",
					     "{\"type\":\"end\"}",
					     "{\"instance\":\"0x77\",\"seq\":3,\"type\":\"gap\"}" };
	const char *line = lines[any(6)];

	fake_log_add(l, any(l->count + 1), line, strlen(line));
}

static void edit_a_field(struct fake_log *l)
{
	static const char *const names[] = { "\"time\":\"", "\"vm\":\"",    "\"instance\":\"0x",
					     "\"seq\":",    "\"mono_ns\":", "\"type\":\"",
					     "\"prev\":\"", "\"hash\":\"" };
	const char *name = names[any(8)];
	size_t at = any(l->count);
	char *value = strstr(l->line[at], name) + strlen(name);

	*value = *value == '1' ? '2' : '1';
}

/* A line that fits, with its own right hash, instead of what was there or as one more. */
static void forge_a_line(struct fake_log *l)
{
	size_t at = any(l->count - 2);
	struct rf_jsonline j;
	struct rf_chain_line was;
	uint64_t instance = strstr(l->line[at], "\"vm\":\"one\"") ? FAKE_LOG_ONE : FAKE_LOG_TWO;
	char text[1024];
	uint8_t hash[32];

	assert_true(rf_chain_line_read(l->line[at], l->len[at], instance, &was));
	rf_jsonline_begin(&j, text, sizeof(text));
	rf_jsonline_address(&j, "instance", instance);
	rf_jsonline_number(&j, "seq", was.seq);
	rf_jsonline_text(&j, "type", any(2) ? "end" : "decision", 16);
	assert_int_equal(rf_chain_seal(&j, was.prev, hash), 0);
	if (any(2))
		fake_log_drop(l, at);
	fake_log_add(l, at, text, j.len - 1);
}

static void a_thousand_tamperings(void **state)
{
	static void (*const ways[])(
		struct fake_log * l) = { flip_a_byte, drop_a_line,   swap_lines,   duplicate_a_line,
					 truncate_it, insert_a_line, edit_a_field, forge_a_line };
	size_t len, before;
	char *whole = fake_log_text(&base, &before), *text;
	unsigned int cut = 0;

	for (int i = 0; i < 1000; i++) {
		enum rf_verdict_of_log v;
		bool same;

		fake_log_copy(&touched, &base);
		ways[i % 8](&touched);
		text = fake_log_text(&touched, &len);
		same = len == before && !memcmp(text, whole, len);
		free(text);
		assert_false(same);
		v = fake_log_verify(&touched, 1);
		if (v == RF_LOG_INTACT || (!fake_findings && touched.count))
			print_message("number %d was not fake_found\n", i);
		assert_int_not_equal(v, RF_LOG_INTACT);
		/* But for a cut, it is not left at "who knows". */
		cut += v == RF_LOG_OPEN_END;
		if (ways[i % 8] != truncate_it && ways[i % 8] != insert_a_line &&
		    !(ways[i % 8] == drop_a_line && v == RF_LOG_OPEN_END) &&
		    !(ways[i % 8] == flip_a_byte && v == RF_LOG_OPEN_END))
			assert_int_equal(v, RF_LOG_NOT_INTACT);
	}
	assert_in_range(cut, 100, 140);
	free(whole);
	fake_log_drop_all(&touched);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_thousand_tamperings) };
	int failed = fake_log_two_vms(&base);

	if (!failed)
		failed = cmocka_run_group_tests(tests, NULL, NULL);
	fake_log_drop_all(&base);
	unlink(fake_log_path);
	return failed;
}
