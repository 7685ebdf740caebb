// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The patch sites of a stock kernel, from a memory dump of a booted one: every site must hold a
 * legal instruction now, and every transition that its kernel could make must be judged legal while
 * a forged one is not. The dump is changed in memory only.
 *
 *   patchsites DUMP CR3 CR4 INSIDE [RECORDS]
 *
 * RECORDS: how many functions of its own text the kernel says it can trace. Exit 1 when a site
 * holds something else or a verdict is wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "introspection/patches/textpatch.h"
#include "introspection/kernel.h"
#include "tests/unit/dump.h"
#include "patch/kinds.h"

static unsigned int wrong;
static struct rf_patch_table table;
static uint32_t last_tail = UINT32_MAX;

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

static void complain(const char *what, const struct rf_patch_site *s)
{
	if (wrong++ < 20)
		printf("  wrong: %s at %#llx (%s)\n", what,
		       (unsigned long long)(table.base + s->at),
		       rf_site_kind_text((enum rf_site_kind)s->kind));
}

static enum rf_patch_verdict store(struct rf_textpatch *t, struct overlay *o, uint32_t at,
				   const uint8_t *bytes, size_t len)
{
	struct rf_memory m = { overlay_read, o };
	struct rf_patch_result r;

	if (rf_textpatch_judge(t, &m, last_tail, rf_gva_of(table.base + at), bytes, len, &r))
		return RF_PATCH_NOT_A_SITE;
	if (r.verdict <= RF_PATCH_DONE) {
		memcpy(o->text + at, bytes, len);
		if (r.verdict == RF_PATCH_STEP && r.offset)
			last_tail = r.at;
	}
	return r.verdict;
}

static enum rf_patch_verdict poke(struct rf_textpatch *t, struct overlay *o,
				  const struct rf_patch_site *s, uint8_t len, const uint8_t *insn)
{
	static const uint8_t int3 = RF_INT3;

	if (table.shapes[s->shape].flags & (RF_SHAPE_DIRECT | RF_SHAPE_FILLED))
		return store(t, o, s->at, insn, len);
	if (store(t, o, s->at, &int3, 1) != RF_PATCH_STEP)
		return RF_PATCH_BAD_STEP;
	/* Two overlapping stores, as memcpy_orig makes a 4-byte tail. */
	for (int again = 0; again < 2; again++) {
		enum rf_patch_verdict v = store(t, o, s->at + 1, insn + 1, len - 1u);

		if (v != RF_PATCH_STEP && v != RF_PATCH_DONE)
			return v;
	}
	return store(t, o, s->at, insn, 1);
}

static void rel32(uint8_t *at, uint64_t next, uint64_t target)
{
	int32_t rel = (int32_t)(target - next);

	memcpy(at, &rel, 4);
}

/*
 * The form as bytes; false when it says nothing else than what is there, or reaches nowhere. A set
 * is represented by a target of the middle of it.
 */
static bool spell(const struct rf_patch_site *s, uint8_t len, const struct rf_form *f,
		  const uint8_t *was, uint8_t *insn)
{
	const struct rf_patch_set *set = &table.sets[f->set];
	uint64_t target = s->target;

	memcpy(insn, was, len);
	switch (f->how) {
	case RF_FORM_BYTES:
		memcpy(insn, f->bytes, len);
		break;
	case RF_FORM_REL8:
		insn[0] = f->bytes[0];
		insn[1] = (uint8_t)(target - table.base - s->at - 2);
		break;
	case RF_FORM_REL32:
		if (f->set) {
			if (!set->count)
				return false;
			target = table.targets[set->first + set->count / 2];
		} else if (target >> 63 && !(target << 1)) {
			return false; /* it has no target of its own */
		}
		memcpy(insn, f->bytes, len);
		rel32(insn + f->op_len, table.base + s->at + len, target);
		break;
	}
	return memcmp(insn, was, len);
}

/* There, and back; and to somewhere else, which the kernel never does. */
static void transitions(struct rf_textpatch *t, struct overlay *o, const struct rf_patch_site *s)
{
	const struct rf_shape *shape = &table.shapes[s->shape];
	uint8_t was[RF_SITE_MAX_LEN], insn[RF_SITE_MAX_LEN] = { 0 };

	memcpy(was, o->text + s->at, shape->len);
	for (uint8_t i = 0; i < shape->count; i++) {
		if (!spell(s, shape->len, &shape->forms[i], was, insn))
			continue;
		if (s->flags & RF_SITE_FROZEN) {
			if (poke(t, o, s, shape->len, insn) <= RF_PATCH_DONE)
				complain("a frozen site may be patched", s);
			continue;
		}
		if (shape->flags & RF_SHAPE_FILLED && i) {
			if (poke(t, o, s, shape->len, insn) <= RF_PATCH_DONE)
				complain("what is filled may be emptied", s);
			continue;
		}
		if (poke(t, o, s, shape->len, insn) != RF_PATCH_DONE)
			complain("legal transition denied", s);
		else if (shape->flags & (RF_SHAPE_DIRECT | RF_SHAPE_FILLED))
			; /* there is no way back */
		else if (poke(t, o, s, shape->len, was) != RF_PATCH_DONE)
			complain("way back denied", s);
		insn[shape->len - 1] ^= 1; /* 16 MiB away, or 1 byte for the short form */
		if (poke(t, o, s, shape->len, insn) <= RF_PATCH_DONE)
			complain("foreign target allowed", s);
		/* put back what a real blocked patch would leave to the monitor */
		memcpy(o->text + s->at, was, shape->len);
	}
}

/* The patcher itself, which a fence on VMX leaves early. */
static void look_at_the_poker(const struct rf_kernel *k, const struct rf_memory *m)
{
	struct rf_poker p;
	struct rf_disasm *d;

	if (rf_disasm_create(&d))
		return;
	if (rf_textpatch_poker(d, k, m, &p)) {
		wrong++;
		printf("  __text_poke() is built in a way that is not known\n");
	} else {
		printf("__text_poke() takes %u bytes of stack at %#llx\n", p.frame,
		       (unsigned long long)p.at.v);
	}
	rf_disasm_destroy(d);
}

static void examine(struct rf_textpatch *t, const struct rf_memory *m, struct rf_kernel *k,
		    struct dump *d)
{
	struct overlay o = { .dump = d, .size = table.size };
	struct rf_textpatch_stats st;
	size_t short_jumps = 0, jcc = 0;
	rf_gpa gpa;

	rf_textpatch_stats(t, &st);
	for (int kind = 1; kind < RF_SITE_KINDS; kind++)
		printf("%s: %zu\n", rf_site_kind_text((enum rf_site_kind)kind),
		       rf_textpatch_count(t, (enum rf_site_kind)kind));
	for (uint32_t i = 0; i < table.sites_count; i++) {
		short_jumps += table.shapes[table.sites[i].shape].len == 2;
		jcc += table.shapes[table.sites[i].shape].len == 6;
	}
	printf("sites of 2 bytes: %zu, tail jcc: %zu\n", short_jumps, jcc);
	printf("init %zu, outside %zu, odd %zu, merged %zu, frozen %zu, in flight %zu, full %zu\n",
	       st.init, st.outside, st.odd, st.merged, st.frozen, st.flying, st.full);
	printf("nameless %zu, foreign %zu, unread %zu, targets:", st.nameless, st.foreign,
	       st.unread);
	for (int i = 1; i < RF_TABLE_SETS; i++)
		printf(" %u", table.sets[i].count);
	printf(", extra sites: %u\n", table.extra_count);
	if (st.odd || st.outside || st.full || st.unread) {
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
	if (!o.text || rf_kernel_image_gpa(k, rf_gva_of(table.base), &gpa) ||
	    rf_memory_read(m, gpa, o.text, o.size)) {
		printf("  text cannot be read\n");
		exit(2);
	}
	o.gpa = gpa.v;
	for (uint32_t i = 0; i < table.sites_count; i++)
		if (o.text[table.sites[i].at] != RF_INT3)
			transitions(t, &o, &table.sites[i]);
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

	if (argc < 5 || argc > 7) {
		fputs("usage: patchsites DUMP CR3 CR4 INSIDE [RECORDS [THUNKS]]\n", stderr);
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
	r = rf_textpatch_create(k, &m, &p, &table, false, 0, &t, &diag);
	clock_gettime(CLOCK_MONOTONIC, &b);
	if (r) {
		printf("no site table: %s (%s)\n", strerror(-r), diag.text);
		return 1;
	}
	printf("%s\ntables read in %.1f ms\n", rf_kernel_banner(k),
	       (b.tv_sec - a.tv_sec) * 1e3 + (b.tv_nsec - a.tv_nsec) / 1e6);
	/* In a dump nobody patches: what is asked here is what the patcher may do when it is at
	 * work. */
	if (!table.busy) {
		wrong++;
		printf("  nothing says whether the patcher is at work\n");
	}
	table.busy = 0;
	look_at_the_poker(k, &m);
	examine(t, &m, k, &d);
	if (argc >= 6 && rf_textpatch_count(t, RF_SITE_FTRACE) != strtoull(argv[5], NULL, 10)) {
		wrong++;
		printf("  the kernel says it can trace %s functions\n", argv[5]);
	}
	if (argc == 7 && rf_textpatch_count(t, RF_SITE_CALL_THUNK) < strtoull(argv[6], NULL, 10)) {
		wrong++;
		printf("  too few functions with room to count calls in: less than %s\n", argv[6]);
	}
	rf_textpatch_destroy(t);
	rf_kernel_destroy(k);
	dump_close(&d);
	printf("%s\n", wrong ? "WRONG" : "all sites legal, all verdicts right");
	return wrong != 0;
}
