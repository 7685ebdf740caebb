// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Later parts of a signed log, made by somebody who can write files and hash, and has the notes
 * that were signed, but not the key: no note counts for another line than those it was signed over,
 * whatever the part says of the lines before it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <sodium.h>

#include "policy/chain.h"
#include "policy/note.h"
#include "tests/unit/fake_log.h"

#define VM UINT64_C(0x11)
#define LINES 40

static struct fake_log whole, touched;
static struct fake_log part; /* as the monitor wrote it, of a log that was rotated */
static struct rf_note_key key, public_key;
static struct rf_chain chain;
static size_t last; /* the place of its checkpoint, of both */

static int new_file(void)
{
	strcpy(fake_log_path, "/tmp/rf-forged-XXXXXX");
	close(mkstemp(fake_log_path));
	return open(fake_log_path, O_RDWR | O_APPEND);
}

static void put(struct rf_audit *a, unsigned int n)
{
	while (n--)
		assert_int_equal(rf_audit_outcome(a, n + 1, "ok"), 0);
}

static void read_and_unlink(struct fake_log *out)
{
	fake_log_read(out);
	unlink(fake_log_path);
}

/* LINES, the end, and a checkpoint; rotated: in two files, of which the later one is kept. */
static void write_log(bool rotated, struct fake_log *out)
{
	const struct rf_audit_setup how = {
		.vm = "one", .instance = VM, .chain = &chain, .key = &key
	};
	struct rf_audit *a = NULL;

	rf_chain_init(&chain);
	assert_int_equal(rf_audit_open_setup(new_file(), &how, &a), 0);
	put(a, LINES / 2);
	if (rotated) {
		unlink(fake_log_path);
		assert_int_equal(rf_audit_rotate(a, new_file()), 0);
	}
	put(a, LINES / 2);
	assert_int_equal(rf_audit_end(a, NULL), 0);
	rf_audit_close(a);
	read_and_unlink(out);
	assert_non_null(strstr(out->line[out->count - 1], "\"type\":\"checkpoint\""));
}

static int setup(void **state)
{
	if (sodium_init() < 0)
		return -1;
	rf_note_key_generate("owner", &key);
	public_key = key;
	fake_log_key = &public_key;
	write_log(false, &whole);
	write_log(true, &part);
	last = whole.count - 1;
	assert_int_equal(last, LINES + 1);
	return 0;
}

static int teardown(void **state)
{
	fake_log_drop_all(&whole);
	fake_log_drop_all(&part);
	fake_log_drop_all(&touched);
	return 0;
}

static void assert_forged(const struct fake_log *l)
{
	for (int with_key = 0; with_key < 2; with_key++) {
		bool told = false;

		fake_log_key = with_key ? &public_key : NULL;
		assert_int_equal(fake_log_verify(l, 1), RF_LOG_NOT_INTACT);
		assert_int_equal(fake_instance_count, 1);
		assert_int_equal(fake_instances[0].verdict, RF_LOG_NOT_INTACT);
		assert_int_equal(fake_instances[0].checkpoints, 0);
		assert_int_equal(fake_instances[0].covered, 0);
		assert_false(fake_instances[0].ended);
		for (size_t i = 0; i < fake_findings; i++)
			told |= fake_found[i].kind == RF_FOUND_FALSE_CHECKPOINT &&
				fake_found[i].line == l->count;
		assert_true(told);
	}
	fake_log_key = &public_key;
}

/* The roots of the first n lines. */
static void roots_of(size_t n, char out[2 * RF_MERKLE_PACKED + 1])
{
	struct rf_merkle tree = { .size = 0 };
	uint8_t roots[RF_MERKLE_PACKED];
	struct rf_chain_line l;

	for (size_t i = 0; i < n; i++) {
		assert_true(rf_chain_line_read(whole.line[i], whole.len[i], VM, &l));
		rf_merkle_add(&tree, l.hash, sizeof(l.hash));
	}
	sodium_bin2hex(out, 2 * RF_MERKLE_PACKED + 1, roots, rf_merkle_pack(&tree, roots));
}

/* It begins at each line in turn, with each of these for a tree. */
static void each_place_and_tree(void **state)
{
	for (size_t at = 1; at < last; at++) {
		char tree[2 * RF_MERKLE_PACKED + 1], other[sizeof(tree) + 64];
		const char *trees[7] = { NULL, "", "00", "no digits" };

		roots_of(at, tree);
		snprintf(other, sizeof(other), "%s%064d", tree, 0);
		trees[4] = other;
		trees[5] = tree;     /* the true one: this line is false all the same */
		trees[6] = tree + 2; /* half a root */
		for (size_t i = 0; i < 7; i++) {
			fake_log_copy(&touched, &whole);
			assert_int_equal(fake_log_forge_part(&touched, VM, at, trees[i]), 0);
			assert_forged(&touched);
		}
		tree[strlen(tree) - 1] ^= 1;
		fake_log_copy(&touched, &whole);
		fake_log_forge_part(&touched, VM, at, tree);
		assert_forged(&touched);
	}
}

/* The part begins behind the lines that it was signed over; or there is nothing but it. */
static void older_than_its_part(void **state)
{
	fake_log_copy(&touched, &whole);
	/* One more, so that the part begins behind the checkpoint. */
	fake_log_add(&touched, touched.count, whole.line[0], whole.len[0]);
	fake_log_hash_anew(&touched, VM);
	fake_log_forge_part(&touched, VM, touched.count - 1, NULL);
	assert_int_equal(touched.count, 1);
	fake_log_add(&touched, 1, whole.line[last], whole.len[last]);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_instances[0].checkpoints, 0);
	assert_int_equal(fake_found[0].kind, RF_FOUND_MOVED);
	fake_log_drop(&touched, 0);
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_instances[0].checkpoints, 0);
}

/* What the monitor wrote holds; with another tree, or none, it does not. */
static void a_true_part(void **state)
{
	char tree[2 * RF_MERKLE_PACKED + 1], *from;

	assert_int_equal(fake_log_verify(&part, 1), RF_LOG_OPEN_BEGIN);
	assert_int_equal(fake_findings, 1);
	assert_int_equal(fake_instances[0].checkpoints, 1);
	assert_int_equal(fake_instances[0].covered, fake_instances[0].last - 1);
	assert_true(fake_instances[0].ended);
	from = strstr(part.line[0], "\"tree\":\"") + 8;
	snprintf(tree, sizeof(tree), "%.*s", (int)strcspn(from, "\""), from);
	tree[0] = tree[0] == '0' ? '1' : '0';
	for (int none = 0; none < 2; none++) {
		fake_log_copy(&touched, &part);
		fake_log_forge_part(&touched, VM, 0, none ? NULL : tree);
		assert_forged(&touched);
	}
}

/* One line is not as it was: what was signed behind it cannot be computed any more, and counts for
 * nothing, though nobody has forged it. */
static void behind_a_changed_line(void **state)
{
	fake_log_copy(&touched, &whole);
	strstr(touched.line[3], "\"ok\"")[1] = 'O';
	assert_int_equal(fake_log_verify(&touched, 1), RF_LOG_NOT_INTACT);
	assert_int_equal(fake_findings, 3);
	fake_log_assert_found(0, RF_FOUND_CHANGED, VM, 4, 4);
	fake_log_assert_found(1, RF_FOUND_NOT_COMPUTED, VM, last + 1, last + 1);
	fake_log_assert_found(2, RF_FOUND_NO_CHECKPOINT, VM, 0, last + 1);
	assert_int_equal(fake_instances[0].checkpoints, 0);
	assert_int_equal(fake_instances[0].covered, 0);
	assert_false(fake_instances[0].ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_place_and_tree),
		cmocka_unit_test(older_than_its_part),
		cmocka_unit_test(a_true_part),
		cmocka_unit_test(behind_a_changed_line),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
