// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/synth.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* --- memory and page tables ------------------------------------------------------ */

static int synth_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	const struct synth *s = ctx;

	if (!rf_within(gpa.v, len, 0, s->size))
		return -EFAULT;
	memcpy(buf, s->ram + gpa.v, len);
	return 0;
}

void synth_init(struct synth *s, size_t size, uint64_t tables, unsigned int levels)
{
	*s = (struct synth){ .ram = calloc(1, size), .size = size, .next_table = tables };
	require(s->ram);
	s->m = (struct rf_memory){ synth_read, s };
	s->p = (struct rf_paging){ rf_gpa_of(tables), levels };
	s->next_table += RF_PAGE_SIZE;
}

void synth_deinit(struct synth *s)
{
	free(s->ram);
}

static uint64_t *entry_at(struct synth *s, uint64_t table, uint64_t gva, unsigned int level)
{
	uint64_t at = table + (gva >> (12 + 9 * level) & 511) * 8;

	require(at + 8 <= s->size);
	return (uint64_t *)(s->ram + at);
}

uint64_t *synth_entry(struct synth *s, uint64_t gva, unsigned int level)
{
	uint64_t table = s->p.root.v;

	for (unsigned int l = s->p.levels - 1; l > level; l--)
		table = *entry_at(s, table, gva, l) & UINT64_C(0x000ffffffffff000);
	return entry_at(s, table, gva, level);
}

void synth_map(struct synth *s, uint64_t gva, uint64_t gpa, uint64_t page, uint64_t flags)
{
	unsigned int leaf = page == RF_PAGE_SIZE ? 0 : page == RF_HUGE_SIZE ? 1 : 2;

	for (unsigned int l = s->p.levels - 1; l > leaf; l--) {
		uint64_t *e = synth_entry(s, gva, l);

		if (*e)
			continue;
		*e = s->next_table | 7;
		s->next_table += RF_PAGE_SIZE;
		require(s->next_table <= s->size);
	}
	*synth_entry(s, gva, leaf) = gpa | 1 | flags | (leaf ? 0x80 : 0);
}

void synth_put(struct synth *s, uint64_t gpa, const void *bytes, size_t len)
{
	require(rf_within(gpa, len, 0, s->size));
	memcpy(s->ram + gpa, bytes, len);
}

/* --- kallsyms -------------------------------------------------------------------- */

struct encoder {
	struct synth_tables t;
	size_t room, align;
	char token[256][8];
};

static void put(struct encoder *e, const void *bytes, size_t len)
{
	if (e->t.len + len > e->room) {
		e->room = (e->t.len + len) * 2;
		e->t.bytes = realloc(e->t.bytes, e->room);
		require(e->t.bytes);
	}
	memcpy(e->t.bytes + e->t.len, bytes, len);
	e->t.len += len;
}

static void put_u32(struct encoder *e, uint32_t x)
{
	put(e, &x, 4);
}

static size_t align(struct encoder *e)
{
	while (e->t.len & (e->align - 1))
		put(e, "", 1);
	return e->t.len;
}

/* A few pairs and words in codes that no character uses, as the real compressor would choose. */
static void make_tokens(struct encoder *e)
{
	static const char *const words[] = { "sys_", "Tf", "un", "ct", "ion", "_", "do_", "\x01" };

	for (unsigned int c = 33; c < 127; c++)
		e->token[c][0] = c;
	for (unsigned int i = 0; i < 7; i++)
		strcpy(e->token[200 + i * 5], words[i]);
	strcpy(e->token[1], "xy");
	strcpy(e->token[255], "zzz");
}

/* Greedy, longest token first; the type letter is compressed together with the name. */
static size_t compress(const struct encoder *e, const char *text, uint8_t *out)
{
	size_t used = 0;

	while (*text) {
		unsigned int best = (uint8_t)*text;

		for (unsigned int c = 0; c < 256; c++)
			if (strlen(e->token[c]) > strlen(e->token[best]) &&
			    !strncmp(text, e->token[c], strlen(e->token[c])))
				best = c;
		out[used++] = best;
		text += strlen(e->token[best]);
	}
	return used;
}

static void put_names(struct encoder *e, const struct synth_symbol *symbols, size_t count)
{
	uint32_t *markers = calloc(count / 256 + 1, sizeof(*markers));
	uint8_t code[4096], length[2];
	char text[4096];

	require(markers);
	e->t.num_syms = align(e);
	put_u32(e, count);
	e->t.names = align(e);
	for (size_t i = 0; i < count; i++) {
		size_t n;

		if (i % 256 == 0)
			markers[i / 256] = e->t.len - e->t.names;
		require(strlen(symbols[i].name) + 2 < sizeof(text));
		text[0] = symbols[i].type;
		strcpy(text + 1, symbols[i].name);
		n = compress(e, text, code);
		length[0] = n > 127 ? (n & 127) | 128 : n;
		length[1] = n >> 7;
		put(e, length, n > 127 ? 2 : 1);
		put(e, code, n);
	}
	e->t.markers = align(e);
	for (size_t i = 0; i < (count + 255) / 256; i++)
		put_u32(e, markers[i]);
	free(markers);
	align(e);
}

static void put_tokens(struct encoder *e)
{
	size_t start = align(e);
	uint16_t index[256];

	for (unsigned int c = 0; c < 256; c++) {
		index[c] = e->t.len - start;
		if (c == '0')
			e->t.digits = e->t.len;
		put(e, e->token[c], strlen(e->token[c]) + 1);
	}
	align(e);
	put(e, index, sizeof(index));
}

static void put_offsets(struct encoder *e, const struct synth_symbol *symbols, size_t count,
			enum rf_kallsyms_encoding encoding, uint64_t at, uint64_t base)
{
	e->t.offsets = align(e);
	for (size_t i = 0; i < count; i++) {
		uint64_t addr = symbols[i].addr;

		if (encoding == RF_KALLSYMS_PLACE_RELATIVE)
			put_u32(e, addr - (at + e->t.len));
		else if (encoding == RF_KALLSYMS_BASE_RELATIVE)
			put_u32(e, addr - base);
		else
			put_u32(e, addr < base ? addr : base - 1 - addr);
	}
	e->t.base = align(e);
	if (encoding != RF_KALLSYMS_PLACE_RELATIVE)
		put(e, &base, 8);
}

struct synth_tables synth_kallsyms(const struct synth_symbol *symbols, size_t count,
				   enum synth_order order, enum rf_kallsyms_encoding encoding,
				   uint64_t at, uint64_t base)
{
	struct encoder e = { .align = order == SYNTH_ORDER_7 ? 4 : 8 };
	bool last = order == SYNTH_ORDER_6_4 || order == SYNTH_ORDER_7;

	make_tokens(&e);
	put(&e, "what stands before", 18);
	align(&e);
	if (!last)
		put_offsets(&e, symbols, count, encoding, at, base);
	put_names(&e, symbols, count);
	for (size_t i = 0; i < count && order == SYNTH_ORDER_6_2; i++)
		put_u32(&e, count - 1 - i);
	for (size_t i = 0; i < count && order == SYNTH_ORDER_6_3; i++)
		put(&e, (uint8_t[]){ i >> 16, i >> 8, i }, 3);
	put_tokens(&e);
	if (last)
		put_offsets(&e, symbols, count, encoding, at, base);
	align(&e);
	put(&e, "what stands behind", 18);
	align(&e);
	return e.t;
}

/* --- BTF ------------------------------------------------------------------------- */

void synth_btf_init(struct synth_btf *b)
{
	memset(b, 0, sizeof(*b));
	b->strings_used = 1;
}

static uint32_t string(struct synth_btf *b, const char *text)
{
	uint32_t at = b->strings_used;

	if (!text || !*text)
		return 0;
	require(at + strlen(text) < sizeof(b->strings));
	strcpy(b->strings + at, text);
	b->strings_used += strlen(text) + 1;
	return at;
}

static void word(struct synth_btf *b, uint32_t x)
{
	require(b->words_used < sizeof(b->words) / sizeof(b->words[0]));
	b->words[b->words_used++] = x;
}

static uint32_t type(struct synth_btf *b, const char *name, unsigned int kind, uint32_t vlen,
		     bool flag, uint32_t size_or_type)
{
	word(b, string(b, name));
	word(b, kind << 24 | vlen | (uint32_t)flag << 31);
	word(b, size_or_type);
	return ++b->types;
}

uint32_t synth_btf_int(struct synth_btf *b, const char *name, uint32_t bytes, uint32_t bits)
{
	uint32_t id = type(b, name, BTF_KIND_INT, 0, false, bytes);

	word(b, bits);
	return id;
}

uint32_t synth_btf_ref(struct synth_btf *b, unsigned int kind, const char *name, uint32_t to)
{
	return type(b, name, kind, 0, false, to);
}

uint32_t synth_btf_array(struct synth_btf *b, uint32_t of, uint32_t count)
{
	uint32_t id = type(b, NULL, BTF_KIND_ARRAY, 0, false, 0);

	word(b, of);
	word(b, 1);
	word(b, count);
	return id;
}

uint32_t synth_btf_struct(struct synth_btf *b, unsigned int kind, const char *name, uint32_t size,
			  uint32_t members, bool kind_flag)
{
	return type(b, name, kind, members, kind_flag, size);
}

void synth_btf_member(struct synth_btf *b, const char *name, uint32_t of, uint32_t offset)
{
	word(b, string(b, name));
	word(b, of);
	word(b, offset);
}

uint32_t synth_btf_enum(struct synth_btf *b, bool wide, const char *name, uint32_t values,
			bool is_signed)
{
	return type(b, name, wide ? BTF_KIND_ENUM64 : BTF_KIND_ENUM, values, is_signed,
		    wide ? 8 : 4);
}

void synth_btf_value(struct synth_btf *b, bool wide, const char *name, int64_t value)
{
	word(b, string(b, name));
	word(b, (uint64_t)value);
	if (wide)
		word(b, (uint64_t)value >> 32);
}

uint8_t *synth_btf_blob(const struct synth_btf *b, size_t *len)
{
	struct btf_header h = {
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(h),
		.type_len = b->words_used * 4,
		.str_off = b->words_used * 4,
		.str_len = b->strings_used,
	};
	uint8_t *blob = malloc(sizeof(h) + h.type_len + h.str_len);

	require(blob);
	memcpy(blob, &h, sizeof(h));
	memcpy(blob + sizeof(h), b->words, h.type_len);
	memcpy(blob + sizeof(h) + h.type_len, b->strings, h.str_len);
	*len = sizeof(h) + h.type_len + h.str_len;
	return blob;
}
