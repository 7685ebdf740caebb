// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/fuzz/flip.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- memory ----------------------------------------------------------------------------- */

void flip_open(const char *path, struct flip_ram *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	*out = (struct flip_ram){ .size = 0 };
	if (fd < 0 || fstat(fd, &st)) {
		perror(path);
		exit(2);
	}
	out->size = st.st_size;
	out->bytes = mmap(NULL, out->size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	close(fd);
	if (out->bytes == MAP_FAILED) {
		perror(path);
		exit(2);
	}
}

void flip_close(struct flip_ram *ram)
{
	munmap(ram->bytes, ram->size);
}

static void record(struct flip_places *p, uint64_t at, size_t len)
{
	if (p->count == p->room) {
		p->room = p->room ? p->room * 2 : 4096;
		p->v = reallocarray(p->v, p->room, sizeof(*p->v));
		if (!p->v) {
			perror("places");
			exit(2);
		}
	}
	p->v[p->count++] = (struct flip_place){ at, len < UINT32_MAX ? len : UINT32_MAX };
}

static int read_ram(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct flip_ram *ram = ctx;

	if (!rf_within(gpa.v, len, 0, ram->size))
		return -EFAULT;
	ram->calls++;
	ram->copied += len;
	if (ram->record && len)
		record(ram->record, gpa.v, len);
	memcpy(buf, ram->bytes + gpa.v, len);
	return 0;
}

struct rf_memory flip_memory(struct flip_ram *ram)
{
	return (struct rf_memory){ read_ram, ram };
}

static int by_place(const void *a, const void *b)
{
	const struct flip_place *x = a, *y = b;

	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	return x->len < y->len ? -1 : x->len > y->len;
}

void flip_record(struct flip_ram *ram, struct flip_places *places)
{
	struct flip_places *p = ram->record;
	size_t kept = 0;

	ram->record = places;
	if (!p || !p->count)
		return;
	qsort(p->v, p->count, sizeof(*p->v), by_place);
	for (size_t i = 0; i < p->count; i++)
		if (!i || by_place(&p->v[kept - 1], &p->v[i]))
			p->v[kept++] = p->v[i];
	p->count = kept;
}

/* --- chance ----------------------------------------------------------------------------- */

/* splitmix64, by Sebastiano Vigna; public domain. */
static uint64_t next(struct flip_random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

uint64_t flip_below(struct flip_random *r, uint64_t limit)
{
	return next(r) % limit;
}

/* --- changes ---------------------------------------------------------------------------- */

/* Where len bytes may be changed; NULL: they do not lie in memory, or too much is changed. */
static uint8_t *change(struct flip_ram *ram, uint64_t at, size_t len)
{
	struct flip_undo *u = &ram->undo[ram->undo_count];

	if (ram->undo_count == FLIPS_MAX || len > FLIP_PAGE || !rf_within(at, len, 0, ram->size))
		return NULL;
	ram->undo_count++;
	u->at = at;
	u->len = len;
	memcpy(u->bytes, ram->bytes + at, len);
	return ram->bytes + at;
}

void flip_back(struct flip_ram *ram)
{
	while (ram->undo_count) {
		struct flip_undo *u = &ram->undo[--ram->undo_count];

		memcpy(ram->bytes + u->at, u->bytes, u->len);
	}
}

/* A place that was read, and in one of many bytes a word of it. */
static uint64_t some_place(const struct flip_places *p, struct flip_random *r, size_t *len)
{
	const struct flip_place *place = &p->v[flip_below(r, p->count)];

	*len = place->len < 8 ? place->len : 8;
	return place->at + (place->len >= 16 ? flip_below(r, place->len / 8) * 8 : 0);
}

/* An address in the kernel's half, as likely as not one that is somewhere in what was read. */
static uint64_t some_pointer(const struct flip_ram *ram, const struct flip_places *p,
			     struct flip_random *r)
{
	uint64_t v = 0;
	size_t len;

	for (int i = 0; i < 8; i++) {
		uint64_t at = some_place(p, r, &len);

		if (len == 8)
			memcpy(&v, ram->bytes + at, 8);
		if (v >> 47 == 0x1ffff)
			return v;
	}
	return ram->direct + some_place(p, r, &len);
}

static uint64_t some_number(struct flip_random *r)
{
	static const uint64_t odd[] = {
		0,
		1,
		2,
		0xff,
		0xffff,
		INT32_MAX,
		UINT32_MAX,
		INT64_MAX,
		UINT64_MAX,
		UINT64_MAX - 4095, /* an error of the kernel's, as a pointer */
		0x8000000000000000,
		0x800000000000,
		0xffff800000000000,
		0xdead000000000100, /* LIST_POISON1 */
	};

	return flip_below(r, 4) ? odd[flip_below(r, sizeof(odd) / sizeof(*odd))] : next(r);
}

static void change_word(struct flip_ram *ram, const struct flip_places *p, struct flip_random *r)
{
	size_t len;
	uint64_t at = some_place(p, r, &len), v = 0, little;
	uint8_t *to = change(ram, at, len);

	if (!to)
		return;
	memcpy(&v, to, len);
	switch (flip_below(r, 6)) {
	case 0:
	case 1:
		v ^= UINT64_C(1) << flip_below(r, len * 8);
		break;
	case 2:
		v = some_pointer(ram, p, r);
		break;
	case 3:
		v = some_number(r);
		break;
	case 4: /* it leads to itself, or to right before it */
		v = ram->direct + at - flip_below(r, 3) * 8;
		break;
	default:
		little = flip_below(r, 2) ? flip_below(r, 4096) : flip_below(r, 16) * 8;
		v += flip_below(r, 2) ? little : -little;
	}
	memcpy(to, &v, len);
}

static void change_bytes(struct flip_ram *ram, const struct flip_places *p, struct flip_random *r)
{
	size_t len;
	uint64_t at = some_place(p, r, &len);
	uint8_t *to = change(ram, at, 1 + flip_below(r, 64));

	for (size_t i = 0; to && i < ram->undo[ram->undo_count - 1].len; i++)
		to[i] = next(r);
}

static void change_page(struct flip_ram *ram, const struct flip_places *p, struct flip_random *r)
{
	size_t len;
	uint64_t at = some_place(p, r, &len) & ~(uint64_t)(FLIP_PAGE - 1), from;
	uint8_t *to = change(ram, at, FLIP_PAGE), *other;

	if (!to)
		return;
	from = some_place(p, r, &len) & ~(uint64_t)(FLIP_PAGE - 1);
	switch (flip_below(r, 4)) {
	case 0: /* they change places */
		other = from == at ? NULL : change(ram, from, FLIP_PAGE);
		if (!other)
			return;
		memcpy(to, other, FLIP_PAGE);
		memcpy(other, ram->undo[ram->undo_count - 2].bytes, FLIP_PAGE);
		break;
	case 1:
		if (rf_within(from, FLIP_PAGE, 0, ram->size))
			memmove(to, ram->bytes + from, FLIP_PAGE);
		break;
	case 2:
		memset(to, flip_below(r, 2) ? 0 : 0xff, FLIP_PAGE);
		break;
	default:
		for (size_t i = 0; i < FLIP_PAGE; i++)
			to[i] = next(r);
	}
}

void flip_some(struct flip_ram *ram, const struct flip_places *places, struct flip_random *r)
{
	unsigned int changes = 1 + flip_below(r, 4);

	for (unsigned int i = 0; i < changes; i++) {
		uint64_t kind = flip_below(r, 16);

		if (kind == 0)
			change_page(ram, places, r);
		else if (kind == 1)
			change_bytes(ram, places, r);
		else
			change_word(ram, places, r);
	}
}
