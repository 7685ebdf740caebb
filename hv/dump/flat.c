// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * makedumpfile's flattened form, which can be written to a pipe: pieces of a file, each behind its
 * place and size. QEMU writes its kdump formats so. struct makedumpfile_header and _data_header in
 * makedumpfile.h; the same in QEMU's include/sysemu/dump.h. Numbers are big-endian.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "hv/dump/impl.h"

#define SIGNATURE "makedumpfile"
#define HEADER_SIZE 4096u /* MAX_SIZE_MDF_HEADER */
#define FLAT 1		  /* type and version */
#define END_MARK UINT64_MAX

/* A 256 GiB guest in QEMU's pieces of 16 KiB; 384 MiB of memory. */
#define PIECES_MAX (UINT64_C(1) << 24)
/* makedumpfile writes its header anew when it has come to the end. */
#define AGAIN_MAX 64u

struct header {
	char signature[16];
	uint64_t type, version;
};

struct piece {
	uint64_t at, size; /* in the file that is meant; at + size is at most INT64_MAX */
	uint64_t from;	   /* in the file that is there: a later piece has a higher one */
};

struct rf_dump_flat {
	struct piece *pieces; /* by place, none overlaps another */
	size_t count, cap;
	struct piece again[AGAIN_MAX]; /* in order of time, each inside of one of these */
	size_t again_count;
};

static int push(struct rf_dump_flat *flat, const struct piece *p, const struct rf_dump_why *why)
{
	struct piece *more;
	size_t cap = flat->cap ? flat->cap * 2 : 256;

	if (flat->count == PIECES_MAX)
		return rf_dump_fail(why, -ENOTSUP, "flattened into more than %llu pieces",
				    (unsigned long long)PIECES_MAX);
	if (flat->count == flat->cap) {
		more = reallocarray(flat->pieces, cap, sizeof(*more));
		if (!more)
			return rf_dump_fail(why, -ENOMEM, "no memory for %zu pieces", cap);
		flat->pieces = more;
		flat->cap = cap;
	}
	flat->pieces[flat->count++] = *p;
	return 0;
}

static int read_pieces(struct rf_dump_file *f, struct rf_dump_flat *flat,
		       const struct rf_dump_why *why)
{
	uint64_t head[2], from = HEADER_SIZE;
	struct piece p;
	int r;

	for (;;) {
		if (rf_dump_file_plain(f, from, head, sizeof(head)))
			return rf_dump_fail(why, -EBADMSG, "flattened, and cut off at byte %llu",
					    (unsigned long long)from);
		from += sizeof(head);
		p = (struct piece){ be64toh(head[0]), be64toh(head[1]), from };
		if (p.at == END_MARK && p.size == END_MARK)
			return 0;
		if (!p.size || !rf_within(p.at, p.size, 0, INT64_MAX))
			return rf_dump_fail(why, -EBADMSG, "flattened, malformed piece at %llu",
					    (unsigned long long)(from - sizeof(head)));
		if (!rf_within(from, p.size, 0, f->plain_size))
			return rf_dump_fail(why, -EBADMSG, "flattened, and cut off in a piece");
		r = push(flat, &p, why);
		if (r)
			return r;
		from += p.size;
	}
}

static int by_place(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->from < y->from ? -1 : x->from > y->from;
}

static int by_time(const void *a, const void *b)
{
	const struct piece *x = a, *y = b;

	return x->from < y->from ? -1 : x->from > y->from;
}

/*
 * What was written twice counts as it was written last. That is rare, so the later pieces are kept
 * apart. Each must lie inside of an earlier one: no reader has to put any other mesh in order.
 */
static int take_again(struct rf_dump_flat *flat, const struct rf_dump_why *why)
{
	const struct piece *p, *below;
	size_t kept = 0;

	for (size_t i = 0; i < flat->count; i++) {
		p = &flat->pieces[i];
		below = kept ? &flat->pieces[kept - 1] : NULL;
		if (!below || p->at - below->at >= below->size) {
			flat->pieces[kept++] = *p;
			continue;
		}
		if (p->from < below->from || !rf_within(p->at, p->size, below->at, below->size) ||
		    flat->again_count == AGAIN_MAX)
			return rf_dump_fail(why, -EBADMSG, "flattened, its pieces overlap");
		flat->again[flat->again_count++] = *p;
	}
	flat->count = kept;
	qsort(flat->again, flat->again_count, sizeof(*p), by_time);
	return 0;
}

int rf_dump_flat_open(struct rf_dump_file *f, const struct rf_dump_why *why)
{
	struct rf_dump_flat *flat;
	struct header h;
	int r;

	if (rf_dump_file_plain(f, 0, &h, sizeof(h)) ||
	    memcmp(h.signature, SIGNATURE, sizeof(SIGNATURE)))
		return 0;
	if (be64toh(h.type) != FLAT || be64toh(h.version) != FLAT)
		return rf_dump_fail(why, -ENOTSUP, "flattened in a way that is not known");
	flat = calloc(1, sizeof(*flat));
	if (!flat)
		return rf_dump_fail(why, -ENOMEM, "no memory for pieces");
	r = read_pieces(f, flat, why);
	if (!r && !flat->count)
		r = rf_dump_fail(why, -EBADMSG, "flattened, and nothing in it");
	if (!r) {
		qsort(flat->pieces, flat->count, sizeof(*flat->pieces), by_place);
		r = take_again(flat, why);
	}
	f->flat = flat;
	if (!r)
		f->size = flat->pieces[flat->count - 1].at + flat->pieces[flat->count - 1].size;
	return r;
}

void rf_dump_flat_close(struct rf_dump_file *f)
{
	if (f->flat)
		free(f->flat->pieces);
	free(f->flat);
	f->flat = NULL;
}

/* The first piece that ends above that place; count when none does. */
static size_t first_above(const struct rf_dump_flat *flat, uint64_t at)
{
	size_t low = 0, high = flat->count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (flat->pieces[middle].at + flat->pieces[middle].size > at)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* What a piece has of buf, which is [at, at+len). */
static int copy_piece(struct rf_dump_file *f, const struct piece *p, uint64_t at, uint8_t *buf,
		      size_t len)
{
	uint64_t first = p->at > at ? p->at : at;
	uint64_t end = p->at + p->size < at + len ? p->at + p->size : at + len;

	if (first >= end)
		return 0;
	return rf_dump_file_plain(f, p->from + (first - p->at), buf + (first - at), end - first);
}

int rf_dump_file_read(struct rf_dump_file *f, uint64_t at, void *buf, size_t len)
{
	const struct rf_dump_flat *flat = f->flat;
	int r = 0;

	if (!flat)
		return rf_dump_file_plain(f, at, buf, len);
	if (!rf_within(at, len, 0, f->size))
		return -EFAULT;
	/* A place that nobody wrote to is a hole of a file: zeros. */
	memset(buf, 0, len);
	for (size_t i = first_above(flat, at);
	     !r && i < flat->count && flat->pieces[i].at < at + len; i++)
		r = copy_piece(f, &flat->pieces[i], at, buf, len);
	for (size_t i = 0; !r && i < flat->again_count; i++)
		r = copy_piece(f, &flat->again[i], at, buf, len);
	return r;
}
