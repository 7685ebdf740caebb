// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/gadget.h"
#include "introspection/kernel.h"

#include <errno.h>
#include <string.h>

#define INSN_MAX 15 /* Intel SDM vol. 2A 2.3.11 */
/* memchr() on blocks that stay in the cache. */
#define BLOCK ((size_t)16 << 10)
#define CHUNK ((size_t)2 << 10)
/* A longer way from a symbol's start is not walked: the time for a range is bounded. */
#define FORWARD_MAX (UINT64_C(256) << 10)

/*
 * The instruction stream of the function that holds the last candidate, decoded once and only as
 * far as that. Candidates come in ascending order.
 */
struct stream {
	struct rf_disasm *d;
	const struct rf_kernel *k;
	const struct rf_memory *m;
	rf_gva symbol; /* 0: none yet */
	bool lost;     /* no symbol, too far away, or unreadable */
	uint64_t at;   /* the next boundary */
	uint64_t code_at;
	size_t code_len;
	uint8_t code[CHUNK + INSN_MAX];
};

struct finder {
	struct stream stream;
	rf_gadget_fn fn;
	void *ctx;
};

/* Bytes of the image from gva on, as many of `want` as there are; 0: none, or unreadable. */
static size_t image_bytes(const struct rf_kernel *k, const struct rf_memory *m, uint64_t gva,
			  uint8_t *buf, size_t want)
{
	const struct rf_image *image = rf_kernel_image(k);
	rf_gpa gpa;
	uint64_t left;

	if (rf_kernel_image_gpa(k, rf_gva_of(gva), &gpa))
		return 0;
	left = image->size - (gva - image->base.v);
	if (want > left)
		want = left;
	return rf_memory_read(m, gpa, buf, want) ? 0 : want;
}

/* Moves to the stream of the function around addr. */
static void stream_seek(struct stream *s, uint64_t addr)
{
	struct rf_symbol sym;
	rf_gva end;

	if (rf_kernel_symbol_extent(s->k, rf_gva_of(addr), &sym, &end)) {
		s->lost = true;
		return;
	}
	if (sym.addr.v == s->symbol.v)
		return;
	s->symbol = sym.addr;
	s->at = sym.addr.v;
	s->lost = false;
}

/* Is addr, not below those asked before, the start of an instruction of its function? */
static bool stream_starts(struct stream *s, uint64_t addr)
{
	size_t n, off;

	if (!s->d)
		return false;
	stream_seek(s, addr);
	if (s->lost || addr - s->symbol.v > FORWARD_MAX)
		return false;
	while (s->at < addr) {
		off = s->at - s->code_at;
		if (s->at < s->code_at || off >= s->code_len ||
		    (s->code_len - off < INSN_MAX && s->code_len == sizeof(s->code))) {
			s->code_at = s->at;
			s->code_len = image_bytes(s->k, s->m, s->at, s->code, sizeof(s->code));
			off = 0;
			if (!s->code_len) {
				s->lost = true;
				return false;
			}
		}
		n = rf_disasm_length(s->d, s->code + off, s->code_len - off, rf_gva_of(s->at));
		/* What Capstone does not know: the stream falls into step again by itself. */
		s->at += n ? n : 1;
	}
	return s->at == addr;
}

static bool is_prefix(uint8_t b)
{
	switch (b) {
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
	case 0x66:
	case 0x67:
	case 0xf0:
	case 0xf2:
	case 0xf3:
		return true;
	default:
		return false;
	}
}

/* How many of the bytes before `op` could be its prefixes; REX only right before it. */
static size_t prefixes_before(const uint8_t *op, size_t before)
{
	size_t n = 0;

	if (before > INSN_MAX - 2)
		before = INSN_MAX - 2;
	if (n < before && (op[-1] & 0xf0) == 0x40)
		n++;
	while (n < before && is_prefix(op[-(ptrdiff_t)n - 1]))
		n++;
	return n;
}

static bool worth_decoding(const uint8_t *op, size_t len)
{
	if (len < 2)
		return false;
	switch (op[1]) {
	case 0x00:
	case 0x01:
	case 0x06:
	case 0x22:
	case 0x23:
	case 0x30:
	case 0xc7:
		return true;
	case 0x38:
		return len > 2 && (op[2] == 0xf5 || op[2] == 0xf6);
	default:
		return false;
	}
}

/* All that the opcode at `op`, which lies at addr, is with its different prefixes. */
static int examine(struct finder *f, const uint8_t *op, size_t before, size_t len, uint64_t addr)
{
	size_t most = prefixes_before(op, before);
	bool starts[INSN_MAX] = { false };
	uint32_t seen = 0;
	struct rf_gadget g;
	int r;

	/* Most places are nothing whatever stands before them: do not decode their function. */
	for (size_t n = 0; n <= most; n++)
		if (!rf_gadget_decode(op - n, len + n, rf_gva_of(addr - n), &g))
			seen |= UINT32_C(1) << g.kind;
	if (!seen)
		return 0;
	for (size_t n = most + 1; n-- > 0;)
		starts[n] = stream_starts(&f->stream, addr - n);
	seen = 0;
	/* First the one that is meant, then the longest of each other kind. */
	for (int meant = 1; meant >= 0; meant--) {
		for (size_t n = most + 1; n-- > 0;) {
			if ((meant && !starts[n]) ||
			    rf_gadget_decode(op - n, len + n, rf_gva_of(addr - n), &g) ||
			    seen & UINT32_C(1) << g.kind)
				continue;
			seen |= UINT32_C(1) << g.kind;
			g.intended = meant;
			r = f->fn(f->ctx, &g);
			if (r)
				return r;
		}
	}
	return 0;
}

/* Opcodes in [from, to) of a block whose first byte lies at base. */
static int search(struct finder *f, const uint8_t *block, size_t len, size_t from, size_t to,
		  uint64_t base)
{
	const uint8_t *at = block + from, *op;
	int r;

	while (at < block + to && (op = memchr(at, 0x0f, (size_t)(block + to - at)))) {
		size_t off = (size_t)(op - block);

		at = op + 1;
		if (!worth_decoding(op, len - off))
			continue;
		r = examine(f, op, off, len - off, base + off);
		if (r)
			return r;
	}
	return 0;
}

int rf_gadgets_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		    rf_gva start, rf_gva end, rf_gadget_fn fn, void *ctx)
{
	const struct rf_image *image = rf_kernel_image(k);
	struct finder f = { .stream = { .d = d, .k = k, .m = m }, .fn = fn, .ctx = ctx };
	uint8_t block[INSN_MAX + BLOCK + INSN_MAX];
	int r;

	if (end.v < start.v || !rf_within(start.v, end.v - start.v, image->base.v, image->size))
		return -EINVAL;
	for (uint64_t at = start.v; at < end.v; at += BLOCK) {
		size_t want = end.v - at < BLOCK ? end.v - at : BLOCK;
		/* Prefixes may lie before the range, operands behind it. */
		size_t before = at - image->base.v < INSN_MAX ? at - image->base.v : INSN_MAX;
		size_t have = image_bytes(k, m, at - before, block, before + want + INSN_MAX);

		if (have < before + want)
			return -EFAULT;
		r = search(&f, block, have, before, before + want, at - before);
		if (r)
			return r;
	}
	return 0;
}

struct list {
	struct rf_gadget *out;
	size_t cap, count;
};

static int list_add(void *ctx, const struct rf_gadget *g)
{
	struct list *l = ctx;

	if (l->count < l->cap)
		l->out[l->count] = *g;
	l->count++;
	return 0;
}

int rf_gadgets_list(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		    rf_gva start, rf_gva end, struct rf_gadget *out, size_t cap, size_t *count)
{
	struct list l = { out, cap, 0 };
	int r = rf_gadgets_find(d, k, m, start, end, list_add, &l);

	if (!r)
		*count = l.count;
	return r;
}
