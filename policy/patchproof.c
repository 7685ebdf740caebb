// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/patchproof.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <jansson.h>
#include <sodium.h>

#include "policy/patchlog.h"

#define RECORD sizeof(union rf_patch_record)
#define BLOCK 1024 /* records read at once */
#define ROWS_MAX                                                                                   \
	1024 /* VMs that share a log name the same bytes, each from its own beginning on           \
	      */

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

/* Claims from one place on, which ascend; the sum is over what was read since. */
struct row {
	const struct claim *next, *end;
	crypto_hash_sha256_state sum;
};

/* The file is read once, for all of them. In bytes; size: of the whole records. */
struct reading {
	struct rf_patch_proof *p;
	int fd;
	uint64_t at, size;
	const struct claim *next, *end; /* which no row has yet */
	struct row *rows;		/* ROWS_MAX of them, count in use */
	size_t count;
	/* As far as some claim goes, and whose it is; what lies behind that is nobody's. */
	uint64_t covered;
	const struct claim *last;
	uint64_t nobodys; /* records in a row, patches or names */
};

static bool can_fit(const struct reading *r, const struct rf_patch_span *s)
{
	return s->to <= r->size && s->from % RECORD == 0 && s->to % RECORD == 0;
}

static void settle_nobodys(struct reading *r)
{
	static const struct claim nobody;
	struct claim c = r->last ? *r->last : nobody;

	c.at.to = r->nobodys;
	if (r->nobodys)
		find(r->p, &c, RF_FOUND_PATCHES_NOT_COVERED);
	r->nobodys = 0;
}

/* Those from one place on. */
static void begin_row(struct reading *r)
{
	const struct claim *fits = NULL, *c = r->next;

	for (; r->next < r->end && r->next->span.from == c->span.from; r->next++) {
		const struct rf_patch_span *s = &r->next->span;
		uint64_t to = s->to < r->size ? s->to - s->to % RECORD : r->size;

		if (!can_fit(r, s))
			find(r->p, r->next, RF_FOUND_PATCHES_CHANGED);
		else if (!fits)
			fits = r->next;
		if (to > r->covered) {
			r->covered = to;
			r->last = r->next;
		}
	}
	if (!fits)
		return;
	if (r->count == ROWS_MAX) {
		find(r->p, fits, RF_FOUND_PATCHES_TOO_MANY);
		return;
	}
	r->rows[r->count].next = fits;
	r->rows[r->count].end = r->next;
	crypto_hash_sha256_init(&r->rows[r->count++].sum);
}

/* Is it done? */
static bool compare_row(struct reading *r, struct row *row)
{
	for (; row->next < row->end; row->next++) {
		crypto_hash_sha256_state until;
		uint8_t hash[sizeof(row->next->span.sha256)];

		if (!can_fit(r, &row->next->span))
			continue;
		if (row->next->span.to > r->at)
			return false;
		until = row->sum;
		crypto_hash_sha256_final(&until, hash);
		if (memcmp(hash, row->next->span.sha256, sizeof(hash)) != 0)
			find(r->p, row->next, RF_FOUND_PATCHES_CHANGED);
	}
	return true;
}

static void end_rows(struct reading *r)
{
	size_t left = 0;

	for (size_t i = 0; i < r->count; i++)
		if (!compare_row(r, &r->rows[i]))
			r->rows[left++] = r->rows[i];
	r->count = left;
}

/* What ends and begins at this place; both, if it is about no bytes. */
static void take_claims(struct reading *r)
{
	end_rows(r);
	while (r->next < r->end && r->next->span.from <= r->at) {
		settle_nobodys(r);
		begin_row(r);
	}
	end_rows(r);
}

/* The next place where something begins or ends. */
static uint64_t next_place(const struct reading *r)
{
	uint64_t to = r->size;

	/* Between two records: behind the first of them. */
	if (r->next < r->end && r->next->span.from < to)
		to = (r->next->span.from + RECORD - 1) / RECORD * RECORD;
	if (r->covered > r->at && r->covered < to)
		to = r->covered;
	for (size_t i = 0; i < r->count; i++)
		if (r->rows[i].next->span.to < to)
			to = r->rows[i].next->span.to;
	return to;
}

static int read_until(struct reading *r, uint64_t to)
{
	static union rf_patch_record block[BLOCK];

	while (r->at < to) {
		uint64_t left = (to - r->at) / sizeof(block[0]);
		bool nobodys = r->at >= r->covered;
		long n = rf_patchlog_read(r->fd, &r->at, block, left < BLOCK ? left : BLOCK);

		if (n <= 0)
			return n ? (int)n : -EIO;
		for (size_t i = 0; i < r->count; i++)
			crypto_hash_sha256_update(&r->rows[i].sum, (const uint8_t *)block,
						  (size_t)n * sizeof(block[0]));
		for (long i = 0; i < n && nobodys; i++)
			r->nobodys += rf_patch_is_line(&block[i]) || rf_patch_is_name(&block[i]);
	}
	return 0;
}

static int check_all(struct rf_patch_proof *p, int fd, uint64_t size)
{
	struct reading r = { .p = p,
			     .fd = fd,
			     .size = size - size % RECORD,
			     .next = p->all,
			     .end = p->count ? p->all + p->count : p->all,
			     .rows = calloc(ROWS_MAX, sizeof(*r.rows)) };
	int err = r.rows ? 0 : -ENOMEM;

	if (!err)
		take_claims(&r);
	while (!err && r.at < r.size) {
		err = read_until(&r, next_place(&r));
		if (!err)
			take_claims(&r);
	}
	/* Those that begin behind it. */
	while (!err && r.next < r.end) {
		settle_nobodys(&r);
		begin_row(&r);
	}
	if (!err)
		settle_nobodys(&r);
	free(r.rows);
	return err;
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
