// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/patchproof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>
#include <sodium.h>

#include "policy/patchlog.h"

#define BLOCK 1024   /* records read at once */
#define TIMES_READ 8 /* VMs that share a log name the same bytes: so often, and no more */

/* What one line says. */
struct claim {
	struct rf_patch_span span;
	struct rf_finding at;
};

struct rf_patch_proof {
	rf_finding_fn fn;
	void *ctx;
	struct claim *all;
	size_t count, room;
};

struct rf_patch_proof *rf_patch_proof_create(rf_finding_fn fn, void *ctx)
{
	struct rf_patch_proof *p = calloc(1, sizeof(*p));

	if (p)
		*p = (struct rf_patch_proof){ .fn = fn, .ctx = ctx };
	return p;
}

void rf_patch_proof_destroy(struct rf_patch_proof *p)
{
	if (!p)
		return;
	free(p->all);
	free(p);
}

/* --- what the lines say ------------------------------------------------------ */

static bool read_span(const json_t *root, struct rf_patch_span *out)
{
	json_int_t from, to;
	const char *hash;
	size_t len;

	if (json_unpack((json_t *)root, "{s:{s:I, s:I, s:s}}", "patch_log", "from", &from, "to",
			&to, "sha256", &hash) ||
	    from < 0 || to < from)
		return false;
	out->from = (uint64_t)from;
	out->to = (uint64_t)to;
	return !sodium_hex2bin(out->sha256, sizeof(out->sha256), hash, strlen(hash), NULL, &len,
			       NULL) &&
	       len == sizeof(out->sha256);
}

static struct claim *room_for_one(struct rf_patch_proof *p)
{
	size_t room = p->room ? 2 * p->room : 64;
	struct claim *bigger;

	if (p->count == p->room) {
		bigger = reallocarray(p->all, room, sizeof(*bigger));
		if (!bigger)
			return NULL;
		p->all = bigger;
		p->room = room;
	}
	return &p->all[p->count++];
}

int rf_patch_proof_line(struct rf_patch_proof *p, unsigned int file, uint64_t number,
			const char *line, size_t len)
{
	static const char name[] = "\"patch_log\"";
	struct rf_finding at = { .file = file, .line = number };
	struct rf_patch_span span;
	struct claim *c;
	const char *id;
	json_t *root;
	bool says;

	if (len > RF_VERIFY_LINE_BYTES || !memmem(line, len, name, sizeof(name) - 1))
		return 0;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	says = json_is_object(root) && read_span(root, &span);
	if (says) {
		id = json_string_value(json_object_get(root, "instance"));
		at.instance = id ? strtoull(id, NULL, 0) : 0;
		at.seq = (uint64_t)json_integer_value(json_object_get(root, "seq"));
	}
	json_decref(root);
	if (!says)
		return 0; /* no line of ours, which its hash tells */
	c = room_for_one(p);
	if (!c)
		return -ENOMEM;
	*c = (struct claim){ span, at };
	return 0;
}

/* --- what the file has ------------------------------------------------------- */

static int by_place(const void *a, const void *b)
{
	const struct rf_patch_span *x = &((const struct claim *)a)->span;
	const struct rf_patch_span *y = &((const struct claim *)b)->span;

	if (x->from != y->from)
		return x->from < y->from ? -1 : 1;
	return x->to < y->to ? -1 : x->to > y->to;
}

static void find(struct rf_patch_proof *p, const struct claim *c, enum rf_finding_kind kind)
{
	struct rf_finding f = c->at;

	f.kind = kind;
	p->fn(p->ctx, &f);
}

static int sum_up(int fd, crypto_hash_sha256_state *sum, uint64_t from, uint64_t to)
{
	static union rf_patch_record block[BLOCK];

	while (from < to) {
		uint64_t left = (to - from) / sizeof(block[0]);
		long n = rf_patchlog_read(fd, &from, block, left < BLOCK ? left : BLOCK);

		if (n <= 0)
			return n ? (int)n : -EIO;
		crypto_hash_sha256_update(sum, (const uint8_t *)block,
					  (size_t)n * sizeof(block[0]));
	}
	return 0;
}

/* Claims from one place on, which ascend. The file is read once for all of them. */
static int check_row(struct rf_patch_proof *p, int fd, uint64_t size, const struct claim *c,
		     size_t count)
{
	uint64_t at = c->span.from;
	crypto_hash_sha256_state sum;
	int err = 0;

	crypto_hash_sha256_init(&sum);
	for (size_t i = 0; i < count && !err; i++) {
		const struct rf_patch_span *s = &c[i].span;
		crypto_hash_sha256_state until;
		uint8_t hash[sizeof(s->sha256)];

		if (s->to > size || s->from % sizeof(union rf_patch_record) ||
		    s->to % sizeof(union rf_patch_record)) {
			find(p, &c[i], RF_FOUND_PATCHES_CHANGED);
			continue;
		}
		err = sum_up(fd, &sum, at, s->to);
		at = s->to;
		until = sum;
		crypto_hash_sha256_final(&until, hash);
		if (!err && memcmp(hash, s->sha256, sizeof(hash)) != 0)
			find(p, &c[i], RF_FOUND_PATCHES_CHANGED);
	}
	return err;
}

/* Are there patches, or names, among these bytes, that no line is about? */
static int look_between(struct rf_patch_proof *p, int fd, uint64_t from, uint64_t to,
			const struct claim *last)
{
	static union rf_patch_record block[BLOCK];
	static const struct claim nobody;
	uint64_t records = 0;

	while (from < to) {
		uint64_t left = (to - from) / sizeof(block[0]);
		long n = left ? rf_patchlog_read(fd, &from, block, left < BLOCK ? left : BLOCK) : 0;

		if (n < 0)
			return (int)n;
		if (!n)
			break;
		for (long i = 0; i < n; i++)
			records += rf_patch_is_line(&block[i]) || rf_patch_is_name(&block[i]);
	}
	if (records) {
		struct claim c = last ? *last : nobody;

		c.at.to = records;
		find(p, &c, RF_FOUND_PATCHES_NOT_COVERED);
	}
	return 0;
}

static int check_all(struct rf_patch_proof *p, int fd, uint64_t size)
{
	uint64_t covered = 0, allowance = TIMES_READ * size;
	const struct claim *last = NULL;
	int err = 0;

	for (size_t i = 0, n; i < p->count && !err; i += n) {
		const struct claim *c = &p->all[i];
		uint64_t to;

		for (n = 1; i + n < p->count && c[n].span.from == c->span.from;)
			n++;
		to = c[n - 1].span.to < size ? c[n - 1].span.to : size;
		if (to > c->span.from) {
			if (allowance < to - c->span.from)
				return -E2BIG;
			allowance -= to - c->span.from;
		}
		if (c->span.from > covered)
			err = look_between(p, fd, covered,
					   c->span.from < size ? c->span.from : size, last);
		if (!err)
			err = check_row(p, fd, size, c, n);
		if (to > covered) {
			covered = to;
			last = &c[n - 1];
		}
	}
	return err ? err : look_between(p, fd, covered, size, last);
}

int rf_patch_proof_check(struct rf_patch_proof *p, int fd)
{
	struct stat st;
	int err = 0;

	if (p->count)
		qsort(p->all, p->count, sizeof(p->all[0]), by_place);
	if (fd < 0 && p->count)
		find(p, &p->all[p->count - 1], RF_FOUND_PATCHES_MISSING);
	else if (fd >= 0)
		err = fstat(fd, &st) ? -errno : check_all(p, fd, (uint64_t)st.st_size);
	p->count = 0;
	return err;
}
