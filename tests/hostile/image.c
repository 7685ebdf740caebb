// SPDX-License-Identifier: LGPL-2.1-or-later
/* A guest's script, page tables and kernel image, as memory.c's variants begin. */
#include "tests/hostile/image.h"

#include <stdlib.h>
#include <string.h>

#include <bpf/btf.h>

#include "tests/hostile/guest.h"

#define RAM (32 * MIB) /* what is written; the guest has more */
#define MSR_LSTAR 0xc0000082
#define CR4_PAE 0x20
#define CR4_LA57 0x1000
#define RUNNING 2 /* SYSTEM_RUNNING, as its types say */

uint64_t gpa_of(uint64_t gva)
{
	return gva - IMAGE + IMAGE_GPA;
}

void put(struct guest *g, uint64_t gva, const void *bytes, size_t len)
{
	synth_put(&g->s, gpa_of(gva), bytes, len);
}

/* --- the script ------------------------------------------------------------------ */

void op(struct guest *g, uint64_t kind, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t words[] = { kind, a, b, c };

	synth_put(&g->s, SCRIPT + GUEST_OPS + g->ops++ * OP_SIZE, words, sizeof(words));
}

void op_print(struct guest *g, const char *text)
{
	uint64_t words[3] = { 0 };

	memcpy(words, text, strlen(text));
	op(g, OP_PRINT, words[0], words[1], words[2]);
}

void op_lstar(struct guest *g, uint64_t value)
{
	op_print(g, "UP\n");
	op(g, OP_WRMSR, MSR_LSTAR, value, 0);
}

void op_end(struct guest *g)
{
	op_print(g, "STILL RUNNING\n");
	op(g, OP_HALT, 0, 0, 0);
}

/* What a Linux does next: the end of its boot. */
void op_boot(struct guest *g)
{
	op_lstar(g, ENTRY);
	op(g, OP_STORE, gpa_of(STATE), RUNNING, 0);
}

void finish(struct guest *g)
{
	const uint64_t head[] = { g->s.p.root.v, CR4_PAE | (g->s.p.levels == 5 ? CR4_LA57 : 0) };

	synth_put(&g->s, SCRIPT + GUEST_CR3, head, sizeof(head));
}

/* --- the image ------------------------------------------------------------------- */

void start(struct guest *g, unsigned int levels)
{
	*g = (struct guest){ .rodata_end = RODATA_END };
	synth_init(&g->s, RAM, gpa_of(ROOT), levels);
	g->s.next_table += RF_PAGE_SIZE; /* the user half of the root */
	for (uint64_t at = 0; at < 512 * MIB; at += RF_HUGE_SIZE)
		synth_map(&g->s, at, at, RF_HUGE_SIZE, SYNTH_W);
}

void map_image(struct guest *g)
{
	for (uint64_t at = 0; at < IMAGE_SIZE; at += RF_HUGE_SIZE)
		synth_map(&g->s, IMAGE + at, IMAGE_GPA + at, RF_HUGE_SIZE, SYNTH_W);
}

/* The same bytes each time: xorshift64. */
void put_noise(struct guest *g, uint64_t gva, uint64_t len)
{
	uint64_t x = 88172645463325252u;

	for (uint64_t at = 0; at < len; at += 8) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		put(g, gva + at, &x, 8);
	}
}

static void put_types(struct guest *g)
{
	struct synth_btf b;
	uint8_t *blob;
	size_t len;

	synth_btf_init(&b);
	synth_btf_enum(&b, false, "system_states", 1, false);
	synth_btf_value(&b, false, "SYSTEM_RUNNING", RUNNING);
	blob = synth_btf_blob(&b, &len);
	put(g, BTF, blob, len);
	g->btf_len = len;
	free(blob);
}

void put_symbols(struct guest *g)
{
	const struct synth_symbol list[] = {
		{ "_text", 'T', IMAGE },
		{ "entry_SYSCALL_64", 'T', ENTRY },
		{ "_etext", 'T', IMAGE + 0x10000 },
		{ "__start_rodata", 'R', RODATA },
		{ "__start_BTF", 'R', BTF },
		{ "__stop_BTF", 'R', BTF + g->btf_len },
		{ "linux_banner", 'D', BANNER },
		{ "__end_rodata", 'R', g->rodata_end },
		{ "init_top_pgt", 'D', ROOT },
		{ "system_state", 'D', STATE },
		{ "_end", 'B', IMAGE + IMAGE_SIZE },
	};
	struct synth_symbol sorted[11];

	memcpy(sorted, list, sizeof(list));
	/* kallsyms is in the order of addresses, whatever a variant made of one of them. */
	for (int i = 1; i < 11; i++)
		for (int k = i; k && sorted[k].addr < sorted[k - 1].addr; k--) {
			struct synth_symbol moved = sorted[k];

			sorted[k] = sorted[k - 1];
			sorted[k - 1] = moved;
		}
	g->kallsyms = synth_kallsyms(sorted, 11, SYNTH_ORDER_6_4, RF_KALLSYMS_ABSOLUTE_PERCPU,
				     TABLES, IMAGE);
	put(g, TABLES, g->kallsyms.bytes, g->kallsyms.len);
	free(g->kallsyms.bytes);
}

void put_kernel(struct guest *g)
{
	/* Terminal controls and what is no UTF-8: it reaches the record and `status`. */
	static const char banner[] = "Linux version 6.99 \x1b[2J\xc2\x9b\xff\xfe\"\\ (a liar's)\n";

	map_image(g);
	put_types(g);
	put_symbols(g);
	put(g, BANNER, banner, sizeof(banner));
	/* For `ringfence gadgets`: a mov cr3 between zeros, and a lidt across two of them. */
	put(g, IMAGE + 0x2000, "\x0f\x22\xd8", 3);
	put(g, IMAGE + 0x2100, "\x0f\x01\x1f", 3);
}
