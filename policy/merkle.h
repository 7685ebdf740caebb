/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Merkle tree hash of RFC 6962, section 2.1, over a list that only grows. Of the tree no more
 * is kept than the roots of its full subtrees, one for each bit of its size.
 */
#ifndef RF_POLICY_MERKLE_H
#define RF_POLICY_MERKLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RF_MERKLE_BYTES 32
#define RF_MERKLE_LEVELS 64

struct rf_merkle {
	uint64_t size; /* leaves */
	uint8_t subtree[RF_MERKLE_LEVELS]
		       [RF_MERKLE_BYTES]; /* of 2^i leaves, where size has bit i */
};

/* All zeros is the empty tree. */
void rf_merkle_add(struct rf_merkle *m, const void *leaf, size_t len);
void rf_merkle_root(const struct rf_merkle *m, uint8_t root[RF_MERKLE_BYTES]);

/* The roots that it has, the largest subtree's first: as many as its size has bits. */
#define RF_MERKLE_PACKED (RF_MERKLE_LEVELS * RF_MERKLE_BYTES)
size_t rf_merkle_pack(const struct rf_merkle *m, uint8_t out[RF_MERKLE_PACKED]); /* bytes */
bool rf_merkle_unpack(uint64_t size, const uint8_t *bytes, size_t len, struct rf_merkle *out);

#endif
