// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/merkle.h"

#include <stdbool.h>
#include <string.h>

#include <sodium.h>

/* Leaves and nodes are told apart by their first byte, so that no node passes for a leaf. */
static void hash(uint8_t out[RF_MERKLE_BYTES], uint8_t first, const void *a, size_t a_len,
		 const void *b, size_t b_len)
{
	crypto_hash_sha256_state s;

	crypto_hash_sha256_init(&s);
	crypto_hash_sha256_update(&s, &first, 1);
	crypto_hash_sha256_update(&s, a, a_len);
	if (b_len)
		crypto_hash_sha256_update(&s, b, b_len);
	crypto_hash_sha256_final(&s, out);
}

void rf_merkle_add(struct rf_merkle *m, const void *leaf, size_t len)
{
	uint8_t root[RF_MERKLE_BYTES];
	unsigned int level = 0;

	hash(root, 0, leaf, len, NULL, 0);
	/* No size is too large: it may lie in memory that a process which was taken over has
	 * written. */
	for (; level < RF_MERKLE_LEVELS - 1 && m->size >> level & 1; level++)
		hash(root, 1, m->subtree[level], RF_MERKLE_BYTES, root, sizeof(root));
	memcpy(m->subtree[level], root, sizeof(root));
	m->size++;
}

void rf_merkle_root(const struct rf_merkle *m, uint8_t root[RF_MERKLE_BYTES])
{
	bool any = false;

	crypto_hash_sha256(root, NULL, 0);
	for (unsigned int level = 0; level < RF_MERKLE_LEVELS; level++) {
		if (!(m->size >> level & 1))
			continue;
		if (any)
			hash(root, 1, m->subtree[level], RF_MERKLE_BYTES, root, RF_MERKLE_BYTES);
		else
			memcpy(root, m->subtree[level], RF_MERKLE_BYTES);
		any = true;
	}
}

size_t rf_merkle_pack(const struct rf_merkle *m, uint8_t out[RF_MERKLE_PACKED])
{
	size_t len = 0;

	for (unsigned int level = RF_MERKLE_LEVELS; level--;) {
		if (!(m->size >> level & 1))
			continue;
		memcpy(out + len, m->subtree[level], RF_MERKLE_BYTES);
		len += RF_MERKLE_BYTES;
	}
	return len;
}

bool rf_merkle_unpack(uint64_t size, const uint8_t *bytes, size_t len, struct rf_merkle *out)
{
	struct rf_merkle m = { .size = size };

	if (len != (size_t)__builtin_popcountll(size) * RF_MERKLE_BYTES)
		return false;
	for (unsigned int level = RF_MERKLE_LEVELS; level--;) {
		if (!(size >> level & 1))
			continue;
		memcpy(m.subtree[level], bytes, RF_MERKLE_BYTES);
		bytes += RF_MERKLE_BYTES;
	}
	*out = m;
	return true;
}
