// SPDX-License-Identifier: LGPL-2.1-or-later
/* policy/chain.c: a line's state while it is made. Its tree is made up here: where it grows, whoever
 * makes the state may be killed. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "policy/chain.h"

static struct rf_chain chain;
static unsigned int grown;

void rf_merkle_add(struct rf_merkle *m, const void *leaf, size_t len)
{
	assert_null(rf_chain_ahead(&chain));
	m->size++;
	grown++;
}

static void is_ahead(uint64_t seq, const uint8_t hash[RF_CHAIN_BYTES])
{
	const struct rf_chain_state *ahead = rf_chain_ahead(&chain);

	assert_non_null(ahead);
	assert_int_equal(ahead->seq, seq);
	assert_memory_equal(ahead->hash, hash, RF_CHAIN_BYTES);
	assert_int_equal(ahead->tree.size, seq);
}

/* Half made, a state is of no line, also where the slot was a line's that was never written: its
 * number, with another line's hash or without a leaf in the tree, would be believed. */
static void half_made_is_none(void **state)
{
	static const uint8_t never_written[RF_CHAIN_BYTES] = { 1 }, written[RF_CHAIN_BYTES] = { 2 };

	rf_chain_init(&chain);
	rf_chain_follow(&chain, 7);
	for (uint64_t seq = 1; seq <= 3; seq++) {
		assert_null(rf_chain_ahead(&chain));
		rf_chain_prepare(&chain, never_written);
		is_ahead(seq, never_written);
		rf_chain_prepare(&chain, written);
		is_ahead(seq, written);
		rf_chain_commit(&chain, 1, 2, 100 * seq);
		assert_int_equal(rf_chain_now(&chain)->seq, seq);
	}
	assert_int_equal(grown, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(half_made_is_none) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
