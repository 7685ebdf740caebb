// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * memory VARIANT FILE: guest memory from SCRIPT on, for guest.S: its script, its page tables, and a
 * kernel image that is what it should be ("good") or lies in one way.
 * Without arguments: the names of all variants.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/hostile/guest.h"
#include "tests/hostile/image.h"

/* --- variants -------------------------------------------------------------------- */

static void good(struct guest *g)
{
	put_kernel(g);
	op_boot(g);
	op_end(g);
}

/* Then writes to its sealed rodata for ever; for a policy that only observes. */
static void flood(struct guest *g)
{
	put_kernel(g);
	op_boot(g);
	op_print(g, "STILL RUNNING\n");
	op(g, OP_STORE, gpa_of(RODATA), 0x11111111, 0);
	op(g, OP_STORE, gpa_of(RODATA), 0x22222222, 0);
	op(g, OP_GOTO, g->ops - 2, 0, 0);
}

/* The same, and how long each took; tests/bench/verdicts.py. */
static void times(struct guest *g)
{
	put_kernel(g);
	op_boot(g);
	op_print(g, "STILL RUNNING\n");
	op(g, OP_TIMES, gpa_of(RODATA), TIMES, TIMES_COUNT);
	op_print(g, "ROUND\n");
	op(g, OP_GOTO, g->ops - 2, 0, 0);
}

static void unmapped(struct guest *g)
{
	op_lstar(g, ENTRY);
	op_end(g);
}

static void outside_window(struct guest *g)
{
	put_kernel(g);
	op_lstar(g, 0x100000);
	op_end(g);
}

static void image_outside_ram(struct guest *g)
{
	synth_map(&g->s, IMAGE, UINT64_C(0xf00000000), RF_HUGE_SIZE, SYNTH_W);
	op_lstar(g, ENTRY);
	op_end(g);
}

static void table_outside_ram(struct guest *g)
{
	put_kernel(g);
	*synth_entry(&g->s, IMAGE, 2) = UINT64_C(0xf00000000) | 7;
	op_lstar(g, ENTRY);
	op_end(g);
}

/* Every table of the upper half is the root: half a million paths to one page. */
static void cyclic(struct guest *g)
{
	for (uint64_t i = 1; i < 512; i++)
		*synth_entry(&g->s, i << 39, 3) = g->s.p.root.v | 7;
	op_lstar(g, ENTRY);
	op_end(g);
}

/* The image is fine; what else is in its window leads back to the root. */
static void cyclic_elsewhere(struct guest *g)
{
	put_kernel(g);
	for (uint64_t at = 256 * MIB; at < 1024 * MIB; at += RF_HUGE_SIZE)
		*synth_entry(&g->s, WINDOW + at, 1) = g->s.p.root.v | 7;
	op_boot(g);
	op_end(g);
}

/* Bits above any MAXPHYADDR. */
static void reserved_address(struct guest *g)
{
	put_kernel(g);
	*synth_entry(&g->s, IMAGE, 1) |= UINT64_C(0x000fc00000000000);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* A large page's address has low bits that must be 0; SDM vol. 3A table 4-18. */
static void reserved_large(struct guest *g)
{
	put_kernel(g);
	*synth_entry(&g->s, IMAGE, 1) |= 0x1fe000;
	op_lstar(g, ENTRY);
	op_end(g);
}

/* There are no pages of 512 GiB. */
static void reserved_size(struct guest *g)
{
	put_kernel(g);
	*synth_entry(&g->s, IMAGE, 3) |= 0x80;
	op_lstar(g, ENTRY);
	op_end(g);
}

static void noise(struct guest *g)
{
	map_image(g);
	put_noise(g, IMAGE, 3 * MIB);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* The digits that every token table has, and a token table, and nothing that goes with them. */
static void digits(struct guest *g)
{
	noise(g);
	put_symbols(g);
	put_noise(g, TABLES, g->kallsyms.digits - 200);
	put(g, IMAGE + MIB, rf_kallsyms_digits, RF_KALLSYMS_DIGITS_LEN);
}

/* Symbols that are not in order, behind names that are right. */
static void offsets(struct guest *g)
{
	put_kernel(g);
	put_noise(g, TABLES + g->kallsyms.offsets, 40);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* The image's mapping ends in the middle of its symbol table. */
static void truncated(struct guest *g)
{
	put_kernel(g);
	*synth_entry(&g->s, RODATA, 1) = 0;
	for (uint64_t at = 0; at < 0x10000; at += RF_PAGE_SIZE)
		synth_map(&g->s, RODATA + at, gpa_of(RODATA + at), RF_PAGE_SIZE, SYNTH_W);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* Bounds that cannot be: rodata ends before it begins, or behind all of memory. */
static void backwards(struct guest *g)
{
	g->rodata_end = RODATA - RF_PAGE_SIZE;
	good(g);
}

static void beyond_ram(struct guest *g)
{
	g->rodata_end = IMAGE + 900 * MIB;
	good(g);
}

static void no_types(struct guest *g)
{
	put_kernel(g);
	put_noise(g, BTF, 4096);
	op_boot(g);
	op_end(g);
}

/* 1 GiB of addresses, all of them one frame. */
static void aliases(struct guest *g)
{
	for (uint64_t at = 0; at < 1024 * MIB; at += RF_HUGE_SIZE)
		synth_map(&g->s, WINDOW + at, IMAGE_GPA, RF_HUGE_SIZE, SYNTH_W);
	put_noise(g, IMAGE, 3 * MIB);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* An image of 1 GiB, most of it outside RAM. */
static void wide(struct guest *g)
{
	for (uint64_t at = 0; at < 1024 * MIB; at += RF_HUGE_SIZE)
		synth_map(&g->s, WINDOW + at, IMAGE_GPA + at, RF_HUGE_SIZE, SYNTH_W);
	op_lstar(g, ENTRY);
	op_end(g);
}

/* The largest image there may be, and nothing in it. */
static void empty(struct guest *g)
{
	for (uint64_t at = 0; at < 240 * MIB; at += RF_HUGE_SIZE)
		synth_map(&g->s, WINDOW + at, 64 * MIB + at, RF_HUGE_SIZE, SYNTH_W);
	op_lstar(g, ENTRY);
	op_end(g);
}

/*
 * One symbol table behind the other, each wrong in its last step; `tables` false: the digits alone.
 */
static void everywhere(struct guest *g, bool tables)
{
	uint64_t piece = 0x10000;

	if (tables) {
		put_symbols(g);
		put_noise(g, TABLES + g->kallsyms.offsets, 40);
	} else {
		piece = 24;
		put(g, TABLES, rf_kallsyms_digits, RF_KALLSYMS_DIGITS_LEN);
	}
	op(g, OP_COPY, 64 * MIB, gpa_of(TABLES), piece);
	op(g, OP_COPY, 64 * MIB + piece, 64 * MIB, 8 * MIB - piece);
	empty(g);
}

static void digits_everywhere(struct guest *g)
{
	everywhere(g, false);
}

static void tables_everywhere(struct guest *g)
{
	everywhere(g, true);
}

static const struct {
	const char *name;
	void (*make)(struct guest *g);
} variants[] = {
	{ "good", good },
	{ "flood", flood },
	{ "times", times },
	{ "unmapped", unmapped },
	{ "outside-window", outside_window },
	{ "image-outside-ram", image_outside_ram },
	{ "table-outside-ram", table_outside_ram },
	{ "cyclic", cyclic },
	{ "cyclic-elsewhere", cyclic_elsewhere },
	{ "reserved-address", reserved_address },
	{ "reserved-large", reserved_large },
	{ "reserved-size", reserved_size },
	{ "noise", noise },
	{ "digits", digits },
	{ "offsets", offsets },
	{ "truncated", truncated },
	{ "backwards", backwards },
	{ "beyond-ram", beyond_ram },
	{ "no-types", no_types },
	{ "five-levels", good },
	{ "five-levels-noise", noise },
	{ "aliases", aliases },
	{ "wide", wide },
	{ "empty", empty },
	{ "digits-everywhere", digits_everywhere },
	{ "tables-everywhere", tables_everywhere },
};

static void save(const struct guest *g, const char *path)
{
	static const uint8_t zeros[RF_PAGE_SIZE];
	FILE *f = fopen(path, "wbe");
	int err = !f;

	/* Holes where there is nothing: most of it. */
	for (uint64_t at = SCRIPT; !err && at < g->s.size; at += RF_PAGE_SIZE)
		if (memcmp(g->s.ram + at, zeros, RF_PAGE_SIZE))
			err = fseek(f, (long)(at - SCRIPT), SEEK_SET) ||
			      fwrite(g->s.ram + at, RF_PAGE_SIZE, 1, f) != 1;
	if (err || fclose(f)) {
		perror(path);
		exit(1);
	}
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		struct guest g;

		if (argc == 1)
			puts(variants[i].name);
		if (argc != 3 || strcmp(argv[1], variants[i].name))
			continue;
		start(&g, strncmp(argv[1], "five-levels", 11) ? 4 : 5);
		variants[i].make(&g);
		finish(&g);
		save(&g, argv[2]);
		synth_deinit(&g.s);
		return 0;
	}
	return argc != 1;
}
