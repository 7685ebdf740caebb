// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The patch sites of a stock kernel, from a memory dump of a booted one: every site must hold a
 * legal instruction now, and every transition that its kernel could make must be judged legal while
 * a forged one is not. The dump is changed in memory only.
 *
 *   patchsites DUMP CR3 CR4 INSIDE
 *
 * Exit 1 when a site holds something else or a verdict is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "introspection/textpatch.h"
#include "introspection/textpatch_impl.h"
#include "tests/unit/dump.h"

static unsigned int wrong;

/* A private copy of the text over the dump: writes land there. */
struct overlay {
	struct dump *dump;
	uint8_t *text;
	uint64_t gpa, size;
};

static int overlay_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct overlay *o = ctx;

	if (rf_within(gpa.v, len, o->gpa, o->size)) {
		memcpy(buf, o->text + (gpa.v - o->gpa), len);
		return 0;
	}
	return dump_read(o->dump, gpa, buf, len);
}

static void complain(const char *what, const struct rf_site *s)
{
	if (wrong++ < 20)
		printf("  wrong: %s at %#llx (kind %u)\n", what, (unsigned long long)s->addr,
		       s->kind);
}

static enum rf_patch_verdict store(struct rf_textpatch *t, struct overlay *o, uint64_t gva,
				   const uint8_t *bytes, size_t len)
{
	struct rf_memory m = { overlay_read, o };
	struct rf_patch_result r;

	if (rf_textpatch_judge(t, &m, rf_gva_of(gva), bytes, len, &r))
		return RF_PATCH_NOT_A_SITE;
	if (r.verdict <= RF_PATCH_DONE) {
		memcpy(o->text + (gva - t->text), bytes, len);
		rf_textpatch_applied(t, &r);
	}
	return r.verdict;
}

static enum rf_patch_verdict poke(struct rf_textpatch *t, struct overlay *o,
				  const struct rf_site *s, const uint8_t *insn)
{
	static const uint8_t int3 = RF_INT3;

	if (store(t, o, s->addr, &int3, 1) != RF_PATCH_STEP)
		return RF_PATCH_BAD_STEP;
	/* Two overlapping stores, as memcpy_orig makes a 4-byte tail. */
	for (int again = 0; again < 2; again++) {
		enum rf_patch_verdict v = store(t, o, s->addr + 1, insn + 1, s->len - 1u);

		if (v != RF_PATCH_STEP)
			return v;
	}
	return store(t, o, s->addr, insn, 1);
}

static void rel32(uint8_t *at, uint64_t next, uint64_t target)
{
	int32_t rel = (int32_t)(target - next);

	memcpy(at, &rel, 4);
}

/* What the kernel could put there next; and a jump into the middle of a function, which it never
 * does. */
static void transitions(struct rf_textpatch *t, struct overlay *o, const struct rf_site *s,
			uint64_t function)
{
	static const uint8_t nop5[] = { 0x0f, 0x1f, 0x44, 0, 0 }, nop2[] = { 0x66, 0x90 };
	static const uint8_t ret5[] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
	uint8_t was[8], insn[8] = { 0 };

	memcpy(was, o->text + (s->addr - t->text), s->len);
	if (s->kind == RF_SITE_JUMP_LABEL && s->len == 2) {
		insn[0] = 0xeb;
		insn[1] = (uint8_t)(s->target - s->addr - 2);
	} else if (s->len == 6) {
		memcpy(insn, was, 2);
		rel32(insn + 2, s->addr + 6, function);
	} else {
		bool call = s->kind == RF_SITE_STATIC_CALL && !(s->flags & RF_SITE_TAIL);

		insn[0] = call ? 0xe8 : 0xe9;
		rel32(insn + 1, s->addr + 5, s->kind == RF_SITE_JUMP_LABEL ? s->target : function);
	}
	if (!memcmp(insn, was, s->len)) {
		if (s->len == 6)
			return; /* it already goes there, and knows nothing else */
		memcpy(insn,
		       s->len == 2					  ? nop2
		       : insn[0] == 0xe9 && s->kind != RF_SITE_JUMP_LABEL ? ret5
									  : nop5,
		       s->len);
	}
	if (s->flags & RF_SITE_FROZEN) {
		if (poke(t, o, s, insn) <= RF_PATCH_DONE)
			complain("a frozen site may be patched", s);
		return;
	}
	if (poke(t, o, s, insn) != RF_PATCH_DONE)
		complain("legal transition denied", s);
	else if (poke(t, o, s, was) != RF_PATCH_DONE)
		complain("way back denied", s);
	insn[s->len - 1] ^= 1; /* somewhere else: 16 MiB, or 1 byte for the short form */
	if (poke(t, o, s, insn) <= RF_PATCH_DONE)
		complain("foreign target allowed", s);
	/* put back what a real blocked patch would leave to the monitor */
	memcpy(o->text + (s->addr - t->text), was, s->len);
	rf_textpatch_applied(t, &(struct rf_patch_result){ .verdict = RF_PATCH_DONE,
							   .site = rf_gva_of(s->addr) });
}

static void examine(struct rf_textpatch *t, const struct rf_memory *m, struct dump *d)
{
	static const char *const names[] = { NULL, "jump labels", "static calls", "trampolines" };
	size_t by_len[7][4] = { { 0 } };
	struct rf_textpatch_stats st;
	struct overlay o = { .dump = d, .size = t->etext - t->text };
	rf_gva function = rf_gva_of(0);
	rf_gpa gpa;

	rf_textpatch_stats(t, &st);
	for (int kind = 1; kind < 4; kind++)
		printf("%s: %zu\n", names[kind], rf_textpatch_count(t, (enum rf_site_kind)kind));
	for (size_t i = 0; i < t->count; i++)
		by_len[t->sites[i].len][t->sites[i].kind]++;
	printf("jump labels of 2 bytes: %zu, tail jcc: %zu\n", by_len[2][1], by_len[6][2]);
	printf("init %zu, outside %zu, odd %zu, merged %zu, frozen %zu, in flight %zu\n", st.init,
	       st.outside, st.odd, st.merged, st.frozen, rf_textpatch_in_flight(t));
	if (st.odd || st.outside) {
		wrong++;
		printf("  first odd site: %#llx\n", (unsigned long long)st.first_odd.v);
	}
	if (rf_textpatch_count(t, RF_SITE_JUMP_LABEL) < 500 ||
	    rf_textpatch_count(t, RF_SITE_STATIC_CALL) < 500 ||
	    rf_textpatch_count(t, RF_SITE_STATIC_TRAMP) < 100) {
		wrong++;
		printf("  too few sites for a stock kernel\n");
	}
	o.text = malloc(o.size);
	if (!o.text || rf_kernel_image_gpa(t->k, rf_gva_of(t->text), &gpa) ||
	    rf_memory_read(m, gpa, o.text, o.size) ||
	    rf_kernel_address(t->k, "__static_call_return0", &function)) {
		printf("  text cannot be read\n");
		exit(2);
	}
	o.gpa = gpa.v;
	for (size_t i = 0; i < t->count; i++)
		if (!(t->sites[i].flags & RF_SITE_IN_FLIGHT))
			transitions(t, &o, &t->sites[i], function.v);
	free(o.text);
}

int main(int argc, char **argv)
{
	struct rf_diag diag = { "" };
	struct rf_textpatch *t;
	struct timespec a, b;
	struct rf_paging p;
	struct rf_memory m;
	struct rf_kernel *k;
	struct dump d;
	int r;

	if (argc != 5) {
		fputs("usage: patchsites DUMP CR3 CR4 INSIDE\n", stderr);
		return 2;
	}
	r = dump_open(argv[1], &d);
	if (r) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
		return 2;
	}
	m = dump_memory(&d);
	p = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	r = rf_kernel_discover(&m, &p, rf_gva_of(strtoull(argv[4], NULL, 16)), &k, &diag);
	if (r || rf_kernel_paging(k, &p)) {
		printf("no kernel: %s (%s)\n", strerror(-r), diag.text);
		return 1;
	}
	clock_gettime(CLOCK_MONOTONIC, &a);
	r = rf_textpatch_create(k, &m, &p, &t, &diag);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (r) {
		printf("no site table: %s (%s)\n", strerror(-r), diag.text);
		return 1;
	}
	printf("%s\ntables read in %.1f ms\n", rf_kernel_banner(k),
	       (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
	examine(t, &m, &d);
	rf_textpatch_destroy(t);
	rf_kernel_destroy(k);
	dump_close(&d);
	printf("%s\n", wrong ? "WRONG" : "all sites legal, all verdicts right");
	return wrong != 0;
}
