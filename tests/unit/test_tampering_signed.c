// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A thousand ways to touch a log of two VMs whose monitors sign it, by chance, by somebody who has
 * no key but can hash: each is found, and the first record that is not as it was is named; none
 * before it is accused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sodium.h>

#include "tests/unit/fake_log.h"
#include "tests/unit/fake_recorders.h"

#define TAMPERINGS 1000u
#define STEPS 40

static struct fake_log base, foreign, touched;

static unsigned int seed = 20261129;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

/* --- records ------------------------------------------------------------------- */

struct record {
	uint64_t instance, seq; /* instance 0: the line is none */
};

static struct record base_is[FAKE_LOG_LINES], foreign_is[FAKE_LOG_LINES];

static struct record record_of(const char *text, size_t len)
{
	for (unsigned int i = 0; i < RECORDERS - 1; i++) {
		struct rf_chain_line line;

		if (rf_chain_line_read(text, len, recorders[i].instance, &line))
			return (struct record){ line.instance, line.seq };
	}
	return (struct record){ .instance = 0 };
}

static bool is_checkpoint(const struct fake_log *l, size_t at)
{
	return strstr(l->line[at], "\"type\":\"checkpoint\"");
}

/* The first checkpoint of it behind that place of the base, SIZE_MAX none. */
static size_t next_checkpoint(uint64_t instance, size_t at)
{
	while (++at < base.count)
		if (is_checkpoint(&base, at) && base_is[at].instance == instance)
			return at;
	return SIZE_MAX;
}

/* Of its instance. */
static bool is_last(size_t at)
{
	const struct record r = base_is[at];

	while (++at < base.count)
		if (base_is[at].instance == r.instance)
			return false;
	return true;
}

/* --- what was done ------------------------------------------------------------- */

static struct {
	struct record first; /* that is not as it was, or not where it was */
	size_t line;	     /* from 1: where it stands, or where it stood */
	uint64_t checkpoint; /* seq of the first one that cannot fit; 0: the hashes do not */
	bool cut;	     /* from there on nothing of it is left */
} done;

static void did(size_t at)
{
	done.first = base_is[at];
	done.line = at + 1;
	done.checkpoint = 0;
	done.cut = false;
}

static void change_a_byte(void)
{
	size_t line = any(base.count), at = any(base.len[line]);
	char old = touched.line[line][at];

	do
		touched.line[line][at] = (char)any(256);
	while (touched.line[line][at] == old || touched.line[line][at] == '\n');
	did(line);
}

static void drop_a_line(void)
{
	size_t line = any(base.count);

	fake_log_drop(&touched, line);
	did(line);
	done.cut = is_last(line);
}

static void double_a_line(void)
{
	size_t from = any(base.count), to = any(base.count + 1);

	fake_log_add(&touched, to, base.line[from], base.len[from]);
	did(from);
	done.line = to + 1;
}

/* Of one instance: between two, the order is in no chain. */
static void swap_lines(void)
{
	size_t a, b;

	do {
		a = any(base.count);
		b = any(base.count);
	} while (a >= b || base_is[a].instance != base_is[b].instance);
	fake_log_drop(&touched, a);
	fake_log_add(&touched, a, base.line[b], base.len[b]);
	fake_log_drop(&touched, b);
	fake_log_add(&touched, b, base.line[a], base.len[a]);
	did(a);
}

static void cut_it(void)
{
	size_t line = any(base.count), at = any(base.len[line]);

	while (touched.count > line + 1)
		fake_log_drop(&touched, touched.count - 1);
	touched.len[line] = at;
	if (!at)
		fake_log_drop(&touched, line);
	touched.torn = at;
	did(line);
	done.cut = true;
}

static void add_a_line(void)
{
	static const char *const lines[] = { "",
					     "x",
					     "{}",
					     "null",
					     "{\"type\":\"end\"}",
					     "{\"instance\":\"0x70\",\"seq\":3,\"type\":\"gap\"}" };
	size_t at = any(base.count + 1);
	const char *line = lines[any(6)];

	fake_log_add(&touched, at, line, strlen(line));
	done.first = (struct record){ .instance = 0 };
	done.line = at + 1;
	done.checkpoint = 0;
	done.cut = false;
}

/* A genuine line of the same number, in the same instance's name, of another log. */
static void splice(void)
{
	struct record of;
	size_t at, from;

	do {
		at = any(base.count);
		of = base_is[at];
		for (from = 0; from < foreign.count; from++) {
			if (foreign_is[from].instance == of.instance &&
			    foreign_is[from].seq == of.seq)
				break;
		}
	} while (from == foreign.count);
	fake_log_drop(&touched, at);
	fake_log_add(&touched, at, foreign.line[from], foreign.len[from]);
	did(at);
}

/* One line less, more, or another one, and all hashes of its instance as if it had been so. The
 * last checkpoint is over all lines but its own. */
static void hash_anew(void)
{
	struct record r;
	size_t at, next;
	char *digit;

	do {
		at = any(base.count);
		r = base_is[at];
		next = next_checkpoint(r.instance, at);
	} while (next == SIZE_MAX);
	did(at);
	done.checkpoint = base_is[next].seq;
	switch (any(3)) {
	case 0:
		digit = strstr(touched.line[at], "\"mono_ns\":") + strlen("\"mono_ns\":");
		*digit = *digit == '1' ? '2' : '1';
		break;
	case 1:
		fake_log_drop(&touched, at);
		done.checkpoint--;
		break;
	case 2:
		fake_log_add(&touched, at, base.line[at], base.len[at]);
		done.checkpoint = is_checkpoint(&base, at) ? r.seq + 1 : done.checkpoint + 1;
	}
	fake_log_hash_anew(&touched, r.instance);
}

/* The roots of the lines before that place, as they were signed. */
static size_t true_roots(uint64_t instance, size_t at, uint8_t out[RF_MERKLE_PACKED])
{
	struct rf_merkle tree = { .size = 0 };
	struct rf_chain_line line;

	for (size_t i = 0; i < at; i++)
		if (rf_chain_line_read(base.line[i], base.len[i], instance, &line))
			rf_merkle_add(&tree, line.hash, sizeof(line.hash));
	return rf_merkle_pack(&tree, out);
}

/* A later part, which says that all before one line is in another file, and from there on is the
 * forger's; the checkpoints' notes are as they were. */
static void forge_a_part(void)
{
	uint8_t roots[RF_MERKLE_PACKED];
	char tree[2 * RF_MERKLE_PACKED + 1];
	size_t at, next, len;
	struct record r;
	unsigned int how = (unsigned int)any(4);

	do {
		at = any(base.count);
		r = base_is[at];
		next = next_checkpoint(r.instance, at);
	} while (r.seq == 1 || next == SIZE_MAX);
	did(at);
	len = true_roots(r.instance, at, roots);
	if (how == 1)
		roots[any(len)] ^= 1;
	if (how == 2)
		len -= 1 + any(len);
	sodium_bin2hex(tree, sizeof(tree), roots, len);
	done.line = 1 + fake_log_forge_part(&touched, r.instance, at, how ? tree : NULL);
	done.checkpoint = base_is[next].seq;
}

/* --- what was found ------------------------------------------------------------ */

static bool names(const struct rf_finding *f)
{
	uint64_t to = f->to > f->seq ? f->to : f->seq;

	if (done.checkpoint)
		return f->kind == RF_FOUND_FALSE_CHECKPOINT && f->instance == done.first.instance &&
		       f->seq == done.checkpoint;
	if (f->line == done.line && f->kind != RF_FOUND_NOT_COVERED)
		return true;
	if (!done.first.instance || f->instance != done.first.instance)
		return false;
	if (done.cut)
		return f->kind == RF_FOUND_NO_CHECKPOINT ||
		       (f->kind == RF_FOUND_OPEN_END && f->seq == done.first.seq - 1) ||
		       (f->kind == RF_FOUND_NOT_COVERED && f->seq < done.first.seq);
	/* What another log has in its place fits, but the line behind it does not fit it. */
	return (f->seq <= done.first.seq && done.first.seq <= to) ||
	       (f->kind == RF_FOUND_NOT_LINKED && f->seq == done.first.seq + 1);
}

static bool accuses_one_before(const struct rf_finding *f)
{
	return rf_finding_weight(f->kind) == RF_LOG_NOT_INTACT && f->line < done.line;
}

/* An instance of which nothing is left is not missed: the others' ends are. */
static bool is_all_gone(void)
{
	return done.cut && done.first.seq == 1;
}

static bool is_found(enum rf_verdict_of_log verdict)
{
	bool named = false;

	if (verdict == RF_LOG_INTACT)
		return false;
	for (size_t i = 0; i < fake_findings; i++) {
		named |= names(&fake_found[i]);
		if (accuses_one_before(&fake_found[i]))
			return false;
	}
	return named || is_all_gone();
}

static void say(unsigned int i, enum rf_verdict_of_log verdict)
{
	print_message("tampering %u, line %zu, 0x%llx %llu: %s\n", i, done.line,
		      (unsigned long long)done.first.instance, (unsigned long long)done.first.seq,
		      rf_verdict_of_log_text(verdict));
	for (size_t n = 0; n < fake_findings && n < 5; n++)
		print_message("  %s, line %llu, 0x%llx %llu to %llu\n",
			      rf_finding_text(fake_found[n].kind),
			      (unsigned long long)fake_found[n].line,
			      (unsigned long long)fake_found[n].instance,
			      (unsigned long long)fake_found[n].seq,
			      (unsigned long long)fake_found[n].to);
}

static void a_thousand_tamperings(void **state)
{
	static void (*const ways[])(void) = { change_a_byte, drop_a_line, double_a_line,
					      swap_lines,    cut_it,	  add_a_line,
					      splice,	     hash_anew,	  forge_a_part };
	unsigned int found = 0;

	for (unsigned int i = 0; i < TAMPERINGS; i++) {
		enum rf_verdict_of_log verdict;

		fake_log_copy(&touched, &base);
		ways[i % (sizeof(ways) / sizeof(ways[0]))]();
		verdict = fake_log_verify(&touched, 1);
		if (is_found(verdict))
			found++;
		else
			say(i, verdict);
	}
	print_message("%u tamperings of a signed log of %zu lines, %u found\n", TAMPERINGS,
		      base.count, found);
	assert_int_equal(found, TAMPERINGS);
}

/* --- the logs ------------------------------------------------------------------ */

static void write_log(unsigned int with, struct fake_log *out, struct record *is)
{
	assert_int_equal(recorders_setup(NULL), 0);
	recorders_work(with, STEPS);
	assert_true(recorder_end(&recorders[1]) && recorder_end(&recorders[0]));
	strcpy(fake_log_path, recorders_path);
	fake_log_read(out);
	for (size_t i = 0; i < out->count; i++) {
		is[i] = record_of(out->line[i], out->len[i]);
		assert_true(is[i].instance);
	}
}

static int setup(void **state)
{
	fake_log_key = &recorders_key;
	write_log(2, &foreign, foreign_is);
	recorders_teardown(NULL);
	write_log(1, &base, base_is);
	assert_int_equal(fake_log_verify(&foreign, 1), RF_LOG_INTACT);
	assert_int_equal(fake_log_verify(&base, 1), RF_LOG_INTACT);
	assert_true(next_checkpoint(recorders[0].instance, 0) < base.count / 2);
	return 0;
}

static int teardown(void **state)
{
	fake_log_drop_all(&base);
	fake_log_drop_all(&foreign);
	fake_log_drop_all(&touched);
	return recorders_teardown(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(a_thousand_tamperings) };

	return cmocka_run_group_tests(tests, setup, teardown);
}
