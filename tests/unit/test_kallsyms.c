// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "introspection/symbols.h"
#include "tests/unit/synth.h"

#define IMAGE UINT64_C(0xffffffff92000000)
#define AT (IMAGE + 0x1200000) /* of the tables */
#define COUNT 1000u
#define LONG_NAME 300u
#define TOO_LONG 512u

struct fixture {
	struct synth_symbol symbol[COUNT];
	char name[COUNT][16];
	char long_name[TOO_LONG + 1];
};

static size_t long_name = LONG_NAME;

/* Per-CPU symbols first, then text, then data; one name too long for a one-byte length. */
static void fill(struct fixture *f, bool percpu)
{
	memset(f->long_name, 'q', long_name);
	f->long_name[long_name] = '\0';
	for (unsigned int i = 0; i < COUNT; i++) {
		snprintf(f->name[i], sizeof(f->name[i]), "do_function%u", i);
		f->symbol[i] = (struct synth_symbol){ f->name[i], i < 600 ? 't' : 'D',
						      IMAGE + (i / 2) * 0x4000 };
		if (percpu && i < 20)
			f->symbol[i] = (struct synth_symbol){ f->name[i], 'A', i * 0x1000 };
	}
	f->symbol[20] = (struct synth_symbol){ "_text", 'T', IMAGE };
	for (unsigned int i = 0; !percpu && i < 20; i++)
		f->symbol[i].addr = IMAGE;
	f->symbol[21].addr = IMAGE;
	f->symbol[500].name = f->long_name;
	f->symbol[700].name = f->symbol[300].name;
}

static struct rf_kallsyms_view view_of(const struct synth_tables *t)
{
	return (struct rf_kallsyms_view){
		.bytes = t->bytes,
		.len = t->len,
		.addr = rf_gva_of(AT),
		.first = rf_gva_of(IMAGE),
		.last = rf_gva_of(UINT64_C(0xffffffffbfffffff)),
		.inside = rf_gva_of(IMAGE + 50 * 0x4000 + 8),
	};
}

static struct synth_tables encode(struct fixture *f, enum synth_order order,
				  enum rf_kallsyms_encoding encoding)
{
	fill(f, encoding == RF_KALLSYMS_ABSOLUTE_PERCPU);
	return synth_kallsyms(f->symbol, COUNT, order, encoding, AT, IMAGE);
}

static int decode(const struct synth_tables *t, struct rf_kallsyms *k)
{
	struct rf_kallsyms_view view = view_of(t);
	struct rf_diag diag;

	return rf_kallsyms_decode(&view, t->digits, k, &diag);
}

static void every_order_and_encoding_decodes(void **state)
{
	struct fixture f;
	struct rf_kallsyms k;

	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++) {
		for (int encoding = RF_KALLSYMS_ABSOLUTE_PERCPU;
		     encoding <= RF_KALLSYMS_PLACE_RELATIVE; encoding++) {
			/*
			 * Never released: place-relative offsets came after the last change of
			 * order.
			 */
			if (encoding == RF_KALLSYMS_PLACE_RELATIVE && order < SYNTH_ORDER_6_4)
				continue;
			struct synth_tables t = encode(&f, order, encoding);

			assert_int_equal(decode(&t, &k), 0);
			assert_int_equal(k.count, COUNT);
			assert_int_equal(k.encoding, encoding);
			for (unsigned int i = 0; i < COUNT; i++) {
				assert_int_equal(k.pool[k.name[i]], f.symbol[i].type);
				assert_string_equal(k.pool + k.name[i] + 1, f.symbol[i].name);
				assert_int_equal(k.addr[i], f.symbol[i].addr);
			}
			rf_kallsyms_deinit(&k);
			free(t.bytes);
		}
	}
}

/* Every number of symbols around a group's border, and so with and without padding of each
 * table. */
static void every_count_decodes(void **state)
{
	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++) {
		for (unsigned int count = 40; count < 800; count += count % 256 < 250 ? 13 : 1) {
			struct fixture f;
			struct rf_kallsyms k;

			fill(&f, true);
			f.symbol[21].type = 'T';
			struct synth_tables t = synth_kallsyms(
				f.symbol, count, order, RF_KALLSYMS_ABSOLUTE_PERCPU, AT, IMAGE);
			struct rf_kallsyms_view view = view_of(&t);

			assert_int_equal(rf_kallsyms_decode(&view, t.digits, &k, NULL), 0);
			assert_int_equal(k.count, count);
			rf_kallsyms_deinit(&k);
			free(t.bytes);
		}
	}
}

/* A copy of exactly the truncated size, so that a read past it is seen by the sanitiser. */
static void truncated_tables_are_refused(void **state)
{
	struct fixture f;
	struct rf_kallsyms k;

	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++) {
		struct synth_tables t = encode(&f, order, RF_KALLSYMS_ABSOLUTE_PERCPU);
		size_t full = t.base + 8 > t.digits + 2048 ? t.base + 8 : t.digits;

		for (size_t len = 0; len < full; len += len % 512 < 24 ? 1 : 61) {
			struct synth_tables cut = t;
			int r;

			cut.bytes = malloc(len ? len : 1);
			memcpy(cut.bytes, t.bytes, len);
			cut.len = len;
			r = decode(&cut, &k);
			assert_true(r == -ENOENT || r == -EBADMSG);
			free(cut.bytes);
		}
		free(t.bytes);
	}
}

/* The front cut off, as when the tables are larger than what was copied around the digits. */
static void headless_tables_are_refused(void **state)
{
	struct fixture f;
	struct rf_kallsyms k;
	struct synth_tables t = encode(&f, SYNTH_ORDER_6_1, RF_KALLSYMS_ABSOLUTE_PERCPU);

	for (size_t cut = t.offsets + 8; cut + 8 < t.digits; cut += 488) {
		struct rf_kallsyms_view view = view_of(&t);
		uint8_t *bytes = malloc(t.len - cut);
		int r;

		memcpy(bytes, t.bytes + cut, t.len - cut);
		view.bytes = bytes;
		view.len -= cut;
		view.addr.v += cut;
		r = rf_kallsyms_decode(&view, t.digits - cut, &k, NULL);
		assert_true(r == -ENOENT || r == -EBADMSG);
		free(bytes);
	}
	free(t.bytes);
}

static void spoil(enum synth_order order, size_t which, size_t at, uint32_t value, int expected)
{
	struct fixture f;
	struct rf_kallsyms k = { .count = 77 };
	struct synth_tables t = encode(&f, order, RF_KALLSYMS_ABSOLUTE_PERCPU);
	size_t start[] = { t.num_syms, t.names, t.markers, t.offsets, t.base };

	memcpy(t.bytes + start[which] + at, &value, 4);
	assert_int_equal(decode(&t, &k), expected);
	assert_int_equal(k.count, 77);
	free(t.bytes);
}

static void contradictions_are_refused(void **state)
{
	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++) {
		spoil(order, 0, 0, COUNT + 1, -EBADMSG); /* num_syms */
		spoil(order, 0, 0, UINT32_MAX, -EBADMSG);
		spoil(order, 1, 0, 0xffffffff, -EBADMSG);	/* a name longer than all */
		spoil(order, 1, 0, 0x00000000, -EBADMSG);	/* a name of no length */
		spoil(order, 2, 4, 0xfffffff0, -EBADMSG);	/* a marker past the names */
		spoil(order, 2, 8, 1, -EBADMSG);		/* markers that descend */
		spoil(order, 3, 300 * 4, 0x7fffffff, -EBADMSG); /* an address out of order */
		spoil(order, 3, 999 * 4, 0x80000000, -EBADMSG); /* an address past the window */
		spoil(order, 4, 4, 0, -EBADMSG);		/* relative_base not in the image */
	}
}

/* Each single byte changed: refused, or still a table whose every address fits the image. */
static void no_changed_byte_does_harm(void **state)
{
	struct fixture f;
	struct synth_tables t = encode(&f, SYNTH_ORDER_6_4, RF_KALLSYMS_ABSOLUTE_PERCPU);

	for (size_t at = t.num_syms; at < t.len; at += at % 64 < 8 ? 1 : 29) {
		struct rf_kallsyms k;
		uint8_t was = t.bytes[at];

		t.bytes[at] ^= 1 + at % 255;
		if (!decode(&t, &k)) {
			for (size_t i = 1; i < k.count; i++)
				assert_true(k.addr[i] >= k.addr[i - 1]);
			rf_kallsyms_deinit(&k);
		}
		t.bytes[at] = was;
	}
	free(t.bytes);
}

/* Case tables of fs/nls hold the digits too, as UTF-16. */
static void other_digits_are_not_tokens(void **state)
{
	uint16_t table[512];

	for (unsigned int i = 0; i < 512; i++)
		table[i] = i % 256;
	struct rf_kallsyms_view view = { .bytes = (uint8_t *)table, .len = sizeof(table) };

	assert_memory_equal(table + '0', rf_kallsyms_digits, RF_KALLSYMS_DIGITS_LEN);
	assert_false(rf_kallsyms_probe(&view, '0' * 2));
	assert_false(rf_kallsyms_probe(&view, sizeof(table)));
	assert_false(rf_kallsyms_probe(&view, sizeof(table) + 1));
}

/* --- the index over the names ---------------------------------------------------- */

static void make_symbols(const struct synth_symbol *list, size_t count, struct rf_symbols *out)
{
	struct synth_tables t = synth_kallsyms(list, count, SYNTH_ORDER_6_4,
					       RF_KALLSYMS_ABSOLUTE_PERCPU, AT, IMAGE);
	struct rf_kallsyms_view view = view_of(&t);
	struct rf_kallsyms k;

	view.inside = rf_gva_of(IMAGE + 1);
	assert_int_equal(rf_kallsyms_decode(&view, t.digits, &k, NULL), 0);
	assert_int_equal(rf_symbols_init(out, &k), 0);
	assert_null(k.pool);
	free(t.bytes);
}

static const char *at(const struct rf_symbols *s, uint64_t addr, uint64_t *next)
{
	struct rf_symbol found;

	return rf_symbols_by_address(s, addr, &found, next) ? "(none)" : found.name;
}

static void the_best_name_speaks_for_an_address(void **state)
{
	static const struct synth_symbol list[] = {
		{ "cpu_number", 'A', 0x100 },
		{ "_text", 'T', IMAGE },
		{ "startup_64", 'T', IMAGE },
		{ "local_alias", 't', IMAGE + 0x100 },
		{ "global_name", 'T', IMAGE + 0x100 },
		{ "other_global", 'T', IMAGE + 0x100 },
		{ "$x", 't', IMAGE + 0x140 },
		{ "twice", 'd', IMAGE + 0x200 },
		{ "__start_rodata", 'R', IMAGE + 0x300 },
		{ "first_thing", 'r', IMAGE + 0x300 },
		{ "twice", 'd', IMAGE + 0x400 },
	};
	struct rf_symbols s;
	struct rf_symbol found;
	uint64_t next;

	make_symbols(list, 11, &s);
	assert_string_equal(at(&s, IMAGE, &next), "startup_64");
	assert_string_equal(at(&s, IMAGE + 0x100, &next), "global_name");
	assert_int_equal(next, IMAGE + 0x200); /* not the marker */
	assert_string_equal(at(&s, IMAGE + 0x150, &next), "global_name");
	assert_string_equal(at(&s, IMAGE + 0x3ff, &next), "first_thing");
	assert_string_equal(at(&s, IMAGE + 0x400, &next), "twice");
	assert_int_equal(next, UINT64_MAX);
	assert_string_equal(at(&s, 0x99, &next), "(none)");

	assert_int_equal(rf_symbols_by_name(&s, "twice", &found), 0);
	assert_int_equal(found.addr.v, IMAGE + 0x200);
	assert_int_equal(found.type, 'd');
	assert_int_equal(rf_symbols_by_name(&s, "thrice", &found), -ENOENT);
	assert_int_equal(rf_symbols_by_name(&s, "", &found), -ENOENT);

	assert_true(rf_symbols_is_function(&s, IMAGE + 0x100));
	assert_false(rf_symbols_is_function(&s, IMAGE + 0x101));
	assert_false(rf_symbols_is_function(&s, IMAGE + 0x200));
	rf_symbols_deinit(&s);
	rf_symbols_deinit(&s);
}

/* Thousands of one name are normal (static functions); thousands of one hash are an attack. */
static void colliding_names_are_refused(void **state)
{
	enum { MANY = 5000 };
	struct rf_kallsyms k = { .count = MANY, .pool_size = MANY * 12 };
	struct rf_symbols s;
	size_t made = 0;

	k.addr = calloc(MANY, sizeof(*k.addr));
	k.name = calloc(MANY, sizeof(*k.name));
	k.pool = calloc(MANY, 12);
	for (size_t i = 0; i < MANY; i++)
		k.name[i] = snprintf(k.pool, 12, "tsame") * 0;
	assert_int_equal(rf_symbols_init(&s, &k), 0);
	k = s.table;
	memset(&s.table, 0, sizeof(s.table));
	rf_symbols_deinit(&s);

	for (uint32_t i = 0; made < MANY; i++) {
		char name[12];

		snprintf(name, sizeof(name), "t%08x", i);
		if (rf_name_hash(name + 1) % 512)
			continue;
		k.name[made] = made * 12;
		strcpy(k.pool + made++ * 12, name);
	}
	/* All in 16 or so of 8192 places. */
	assert_int_equal(rf_symbols_init(&s, &k), -EBADMSG);
	assert_non_null(k.pool);
	rf_kallsyms_deinit(&k);
}

/* KSYM_NAME_LEN, with the zero at its end: no kernel has a longer one. */
static void longest_name(void **state)
{
	for (int order = SYNTH_ORDER_6_1; order <= SYNTH_ORDER_7; order++)
		for (long_name = TOO_LONG - 1; long_name <= TOO_LONG; long_name++) {
			struct rf_kallsyms k = { 0 };
			struct fixture f;
			struct synth_tables t = encode(&f, order, RF_KALLSYMS_ABSOLUTE_PERCPU);

			assert_int_equal(decode(&t, &k), long_name < TOO_LONG ? 0 : -EBADMSG);
			rf_kallsyms_deinit(&k);
			free(t.bytes);
		}
	long_name = LONG_NAME;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_order_and_encoding_decodes),
		cmocka_unit_test(every_count_decodes),
		cmocka_unit_test(longest_name),
		cmocka_unit_test(truncated_tables_are_refused),
		cmocka_unit_test(headless_tables_are_refused),
		cmocka_unit_test(contradictions_are_refused),
		cmocka_unit_test(no_changed_byte_does_harm),
		cmocka_unit_test(other_digits_are_not_tokens),
		cmocka_unit_test(the_best_name_speaks_for_an_address),
		cmocka_unit_test(colliding_names_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
