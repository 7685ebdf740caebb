// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#define HEX (2 * RF_CHAIN_BYTES)
static const char before_prev[] = ",\"prev\":\"", before_hash[] = "\",\"hash\":\"",
		  at_end[] = "\"}";

/* What stands behind the last byte that is hashed, and behind the last one before prev. */
#define HASH_TAIL (sizeof(before_hash) - 2 + HEX + sizeof(at_end) - 1)
#define PREV_TAIL (sizeof(before_prev) - 1 + HEX + 1 + HASH_TAIL)

/* --- the memory ------------------------------------------------------------ */

void rf_chain_init(struct rf_chain *c)
{
	*c = (struct rf_chain){ .magic = RF_CHAIN_MAGIC,
				.version = RF_CHAIN_VERSION,
				.size = sizeof(*c) };
}

int rf_chain_create(void)
{
	int fd = memfd_create("ringfence-chain", MFD_CLOEXEC | MFD_ALLOW_SEALING), err = 0;
	struct rf_chain c;

	if (fd < 0)
		return -errno;
	rf_chain_init(&c);
	/* A mapping of what somebody cuts is a signal at the next look. */
	if (write(fd, &c, sizeof(c)) != (ssize_t)sizeof(c))
		err = -ENOSPC;
	else if (fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) < 0)
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static bool is_chain(const struct rf_chain *c)
{
	return c->magic == RF_CHAIN_MAGIC && c->version == RF_CHAIN_VERSION &&
	       c->size == sizeof(*c) && c->current <= 1;
}

int rf_chain_take(int fd, struct rf_chain **out, bool *anew)
{
	struct rf_chain *c;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_size != (off_t)sizeof(*c))
		return -EPROTO;
	c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (c == MAP_FAILED)
		return -errno;
	/* No writer gets to such a number, and none could go on from it. */
	*anew = !is_chain(c) || rf_chain_now(c)->seq >= RF_CHAIN_SEQ_MAX;
	if (*anew)
		rf_chain_init(c);
	*out = c;
	return 0;
}

const struct rf_chain_state *rf_chain_now(const struct rf_chain *c)
{
	return &c->slot[__atomic_load_n(&c->current, __ATOMIC_ACQUIRE) & 1];
}

bool rf_chain_is_in(int fd, int file)
{
	const struct rf_chain *c = mmap(NULL, sizeof(*c), PROT_READ, MAP_SHARED, fd, 0);
	struct stat st;
	bool is = false;

	if (c == MAP_FAILED)
		return false;
	/* Its writer may have gone on twice between two looks at it. */
	for (int i = 0; i < 3 && !is && !fstat(file, &st); i++) {
		const struct rf_chain_state *now = rf_chain_now(c);

		is = is_chain(c) && (!now->seq || (now->dev == st.st_dev && now->ino == st.st_ino));
	}
	munmap((void *)(uintptr_t)c, sizeof(*c));
	return is;
}

static struct rf_chain_state *other(struct rf_chain *c)
{
	return &c->slot[!(c->current & 1)];
}

static void flip(struct rf_chain *c)
{
	__atomic_store_n(&c->current, !(c->current & 1), __ATOMIC_RELEASE);
}

const struct rf_chain_state *rf_chain_ahead(const struct rf_chain *c)
{
	const struct rf_chain_state *now = rf_chain_now(c), *next = &c->slot[!(c->current & 1)];

	return next->instance == now->instance && next->seq == now->seq + 1 ? next : NULL;
}

void rf_chain_follow(struct rf_chain *c, uint64_t instance)
{
	if (rf_chain_now(c)->instance == instance)
		return;
	*other(c) = (struct rf_chain_state){ .instance = instance };
	flip(c);
}

void rf_chain_resume(struct rf_chain *c, uint64_t seq, const uint8_t hash[RF_CHAIN_BYTES])
{
	struct rf_chain_state *next = other(c);

	*next = (struct rf_chain_state){ .instance = rf_chain_now(c)->instance, .seq = seq };
	memcpy(next->hash, hash, RF_CHAIN_BYTES);
	flip(c);
}

void rf_chain_prepare(struct rf_chain *c, const uint8_t hash[RF_CHAIN_BYTES])
{
	const struct rf_chain_state *now = rf_chain_now(c);
	struct rf_chain_state *next = other(c);

	/* Killed in between, it is a state of no line that is in any file. */
	next->seq = 0;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	memcpy(next->hash, hash, RF_CHAIN_BYTES);
	next->instance = now->instance;
	next->dev = next->ino = next->end = 0;
	next->checkpoint = now->checkpoint;
	next->tree = now->tree;
	/* Behind lines that nobody here has seen there is no tree. */
	if (now->tree.size == now->seq)
		rf_merkle_add(&next->tree, hash, RF_CHAIN_BYTES);
	__atomic_store_n(&next->seq, now->seq + 1, __ATOMIC_RELEASE);
}

void rf_chain_prepared_checkpoint(struct rf_chain *c)
{
	other(c)->checkpoint = other(c)->seq;
}

void rf_chain_commit(struct rf_chain *c, uint64_t dev, uint64_t ino, uint64_t end)
{
	struct rf_chain_state *next = other(c);

	next->dev = dev;
	next->ino = ino;
	next->end = end;
	flip(c);
}

/* --- a line ---------------------------------------------------------------- */

int rf_chain_seal(struct rf_jsonline *j, const uint8_t prev[RF_CHAIN_BYTES],
		  uint8_t hash[RF_CHAIN_BYTES])
{
	rf_jsonline_hex(j, "prev", prev, RF_CHAIN_BYTES);
	if (!j->overflow)
		crypto_hash_sha256(hash, (const uint8_t *)j->buf, j->len);
	rf_jsonline_hex(j, "hash", hash, RF_CHAIN_BYTES);
	return rf_jsonline_end(j);
}

bool rf_chain_address(const json_t *root, const char *name, uint64_t *out)
{
	const char *text = json_string_value(json_object_get(root, name)) ?: "";
	char again[24];
	uint64_t v;

	if (sscanf(text, "0x%16" SCNx64, &v) != 1)
		return false;
	snprintf(again, sizeof(again), "0x%" PRIx64, v);
	if (strcmp(again, text) != 0)
		return false;
	*out = v;
	return true;
}

static bool digits(const char *at, uint8_t out[RF_CHAIN_BYTES])
{
	static const char all[] = "0123456789abcdef";

	for (size_t i = 0; i < HEX; i++)
		if (!at[i] || !strchr(all, at[i]))
			return false;
	return !sodium_hex2bin(out, RF_CHAIN_BYTES, at, HEX, NULL, NULL, NULL);
}

static bool end_of(const char *bytes, size_t len, uint8_t hash[RF_CHAIN_BYTES])
{
	const char *at = bytes + len - RF_CHAIN_END_BYTES;

	_Static_assert(RF_CHAIN_END_BYTES == HASH_TAIL + 1, "the quote before it, too");
	return len >= RF_CHAIN_END_BYTES && !memcmp(at, before_hash, sizeof(before_hash) - 1) &&
	       digits(at + sizeof(before_hash) - 1, hash) &&
	       !memcmp(bytes + len - (sizeof(at_end) - 1), at_end, sizeof(at_end) - 1);
}

bool rf_chain_ends(const char *bytes, size_t len)
{
	uint8_t hash[RF_CHAIN_BYTES];

	return end_of(bytes, len, hash);
}

bool rf_chain_ends_with(const char *bytes, size_t len, const uint8_t hash[RF_CHAIN_BYTES])
{
	uint8_t there[RF_CHAIN_BYTES];

	return end_of(bytes, len, there) && !memcmp(there, hash, RF_CHAIN_BYTES);
}

/* The two last members, by the bytes. */
static bool tail_of(const char *line, size_t len, struct rf_chain_line *out)
{
	const char *prev, *hash;

	if (len < 1 + PREV_TAIL || line[0] != '{')
		return false;
	prev = line + len - PREV_TAIL;
	hash = line + len - HASH_TAIL - 1;
	if (memcmp(prev, before_prev, sizeof(before_prev) - 1) ||
	    memcmp(hash, before_hash, sizeof(before_hash) - 1) ||
	    memcmp(line + len - (sizeof(at_end) - 1), at_end, sizeof(at_end) - 1))
		return false;
	return digits(prev + sizeof(before_prev) - 1, out->prev) &&
	       digits(hash + sizeof(before_hash) - 1, out->hash);
}

bool rf_chain_line_of(const json_t *root, const char *line, size_t len, struct rf_chain_line *out)
{
	const json_t *seq = json_object_get(root, "seq");
	uint8_t hash[RF_CHAIN_BYTES];
	struct rf_chain_line l;

	if (!tail_of(line, len, &l) || !rf_chain_address(root, "instance", &l.instance) ||
	    !json_is_integer(seq) || json_integer_value(seq) < 1 ||
	    (uint64_t)json_integer_value(seq) > RF_CHAIN_SEQ_MAX)
		return false;
	l.seq = (uint64_t)json_integer_value(seq);
	crypto_hash_sha256(hash, (const uint8_t *)line, len - HASH_TAIL);
	l.holds = !memcmp(hash, l.hash, sizeof(hash));
	*out = l;
	return true;
}

bool rf_chain_line_read(const char *line, size_t len, uint64_t instance, struct rf_chain_line *out)
{
	struct rf_chain_line l;
	char ours[48];
	json_t *root;
	bool found;

	snprintf(ours, sizeof(ours), "\"instance\":\"0x%" PRIx64 "\"", instance);
	if (!tail_of(line, len, &l) || !memmem(line, len, ours, strlen(ours)))
		return false;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	found = rf_chain_line_of(root, line, len, &l) && l.instance == instance;
	json_decref(root);
	if (found)
		*out = l;
	return found;
}
