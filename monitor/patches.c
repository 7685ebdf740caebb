// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Text patching, as the monitor sees it: it compiles the table the fence judges by, and answers for
 * what the table does not know. What was allowed is the trail's: trail.c.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "patch/kinds.h"

#define LISTS_MS 1000		   /* the table against the guest's own lists */
#define OVERRUN_MS (10 * LISTS_MS) /* the same where they do not end */

/* --- the table ------------------------------------------------------------ */

static const char *lacks(const struct rf_guest *g)
{
	if (!g->table)
		return "this hypervisor's backend keeps no table of sites";
	if (!g->policy.seal_text)
		return "text is not sealed, by policy";
	return g->patches
		       ? NULL
		       : "its patch sites could not be read: each write to sealed text is denied";
}

/* The kinds of site that the policy denies. */
static uint32_t frozen(const struct rf_policy *p)
{
	static const struct {
		enum rf_patch_word word;
		enum rf_site_kind kind;
	} kinds[] = {
		{ RF_PATCH_WORD_JUMP_LABELS, RF_SITE_JUMP_LABEL },
		{ RF_PATCH_WORD_STATIC_CALLS, RF_SITE_STATIC_CALL },
		{ RF_PATCH_WORD_STATIC_CALLS, RF_SITE_STATIC_TRAMP },
		{ RF_PATCH_WORD_FTRACE, RF_SITE_FTRACE },
		{ RF_PATCH_WORD_FTRACE, RF_SITE_FTRACE_CALL },
		{ RF_PATCH_WORD_KPROBES, RF_SITE_KPROBE },
		/* What runs a probe is an int3, whoever has put it there. */
		{ RF_PATCH_WORD_KPROBES, RF_SITE_KGDB },
		{ RF_PATCH_WORD_KGDB, RF_SITE_KGDB },
	};
	uint32_t out = 0;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (p->patches[kinds[i].word] == RF_PATCH_RULE_DENY)
			out |= 1u << kinds[i].kind;
	return out;
}

/*
 * The log has what is in no table yet, when its writer died; what the table says counts where the
 * log was rotated or cut since. An earlier monitor's log may hold a patch twice, when its disk was
 * full.
 */
static uint64_t go_on_from(const struct rf_guest *g, uint64_t taken, const struct rf_patching *now)
{
	uint64_t from = rf_patchlog_count(g->patchlog);

	if (from < taken)
		from = taken;
	if (from < now->oldest)
		from = now->oldest;
	return from < now->head ? from : now->head;
}

static int begin(struct rf_guest *g, bool kept)
{
	struct rf_diag diag = { "" };
	struct rf_textpatch_stats stats;
	struct rf_patching now;
	struct rf_budget outer;
	uint64_t taken;
	int err, ended;

	if (!g->table)
		return rf_note(g, "patch", "no site table: every write to text is denied",
			       "this backend keeps none");
	taken = g->table->taken;
	outer = rf_unit_begin(g, &rf_guard_patches.sweep_unit);
	err = rf_textpatch_create(g->kernel, &g->mem, &g->paging, g->table, kept,
				  frozen(&g->policy), &g->patches, &diag);
	ended = rf_unit_end(g, &rf_guard_patches.sweep_unit, &outer);
	if (ended)
		return ended;
	if (err)
		return rf_note(g, "patch", "no site table: every write to text is denied",
			       diag.text);
	rf_textpatch_stats(g->patches, &stats);
	g->sites_lost = stats.nothing_kept;
	if (g->sites_lost) {
		err = rf_note(
			g, "patch", "sites in writable memory are not known",
			"the earlier monitor has left no table of them that is whole, and the "
			"guest is not asked: patches there (ftrace, probes, lock prefixes) are "
			"denied");
		if (err)
			return err;
	}
	err = rf_left_out_record(g);
	if (!err && !kept)
		err = rf_armed_record(g);
	if (err)
		return err;
	if (g->patchlog) {
		err = rf_patchlog_head(g->patchlog, g->table->base, g->kernel_event);
		if (err && (!g->fold || !g->resuming))
			return err;
		g->headless = err;
		g->hv->ops->trail(g->hv, &now);
		g->patches_taken = go_on_from(g, taken, &now);
		g->table->taken = g->patches_taken;
		/* From here on the fence may judge by it. */
		__atomic_store_n(&g->table->kernel, g->kernel_event, __ATOMIC_RELEASE);
	}
	return 0;
}

static void end(struct rf_guest *g)
{
	if (g->table)
		__atomic_store_n(&g->table->kernel, 0, __ATOMIC_RELEASE);
	if (g->patches) {
		rf_patches_drain(g);
		rf_patch_names_write(g);
		rf_patches_summarise(g);
	}
	rf_textpatch_destroy(g->patches);
	rf_patch_names_forget();
	g->patches = NULL;
	g->waiting_count = 0;
}

int rf_patches_judge(struct rf_guest *g, const struct rf_msg_event *ev, uint64_t gva,
		     struct rf_patch_result *out)
{
	struct rf_patching now;
	int err;

	g->hv->ops->trail(g->hv, &now);
	err = rf_textpatch_judge(g->patches, &g->mem, now.last_tail, rf_gva_of(gva),
				 ev->write.bytes, ev->write.len, out);
	/* A breakpoint, a trampoline, a target may have come since: the guest's lists say. */
	if (!err && out->verdict != RF_PATCH_STEP && out->verdict != RF_PATCH_DONE &&
	    !rf_textpatch_refresh(g->patches, &g->mem, &g->paging, rf_gva_of(gva), ev->write.bytes,
				  ev->write.len))
		err = rf_textpatch_judge(g->patches, &g->mem, now.last_tail, rf_gva_of(gva),
					 ev->write.bytes, ev->write.len, out);
	if (!err && out->verdict == RF_PATCH_STEP && out->resting && now.count == RF_FLIGHTS) {
		out->verdict = RF_PATCH_BAD_STEP;
		out->why = "more sites half way than the kernel ever patches at once";
	}
	return err;
}

bool rf_patches_under_way(struct rf_guest *g, uint64_t gva, uint32_t len)
{
	struct rf_patching now;

	if (!g->patches)
		return false;
	g->hv->ops->trail(g->hv, &now);
	for (uint32_t i = 0; i < now.count; i++) {
		uint64_t site = g->table->base + now.flights[i].at;

		if (gva < site + now.flights[i].len && site < gva + len)
			return true;
	}
	return false;
}

/* --- the table against the guest's lists ----------------------------------- */

/* The sweeper's copy of the table, by which nothing is judged. */
static int follow_table(struct rf_guest *g)
{
	static struct rf_patch_table *copy;
	const struct rf_patch_table *from = g->hv->ops->table ? g->hv->ops->table(g->hv) : NULL;
	struct rf_diag diag = { "" };
	struct rf_budget outer;
	int err, ended;

	if (!copy)
		copy = calloc(1, sizeof(*copy));
	if (!copy)
		return -ENOMEM;
	err = from ? rf_textpatch_copy(from, g->kernel_event, copy) : -ENOENT;
	if (err)
		return err == -ENOENT ? 0 : err; /* the monitor has none either */
	g->table = copy;
	outer = rf_unit_begin(g, &rf_guard_patches.sweep_unit);
	err = rf_textpatch_create(g->kernel, &g->mem, &g->paging, copy, true, frozen(&g->policy),
				  &g->patches, &diag);
	ended = rf_unit_end(g, &rf_guard_patches.sweep_unit, &outer);
	return err == -ENOMEM ? err : ended;
}

static uint32_t period_ms(const struct rf_guest *g)
{
	return rf_unit_overran(g, &rf_guard_patches.sweep_unit) ? OVERRUN_MS : LISTS_MS;
}

/* Gone things, as many as a packet takes. */
struct gone {
	struct rf_guest *g;
	uint32_t of;
	size_t n;
	uint64_t what[RF_FOUND_VALUES];
};

static int tell_gone(struct gone *t)
{
	size_t n = t->n;

	t->n = 0;
	return n ? rf_tell(t->g, &rf_guard_patches, t->of, t->what, n) : 0;
}

static int gone(void *ctx, uint32_t of, uint64_t what)
{
	struct gone *t = ctx;
	int err = 0;

	if (t->n == RF_FOUND_VALUES || of != t->of)
		err = tell_gone(t);
	t->of = of;
	t->what[t->n++] = what;
	return err;
}

/* A guest that changes its lists meanwhile is looked at again in a second. */
static int compare_lists(struct rf_guest *g, uint32_t elapsed_ms)
{
	struct gone t = { .g = g };
	int err;

	if (!g->patches)
		return 0;
	if (!g->pair.sweeper) {
		rf_textpatch_sweep(g->patches, &g->mem, &g->paging);
		return 0;
	}
	err = rf_textpatch_look(g->patches, g->hv->ops->table(g->hv), &g->mem, &g->paging, gone,
				&t);
	return err == -ECONNRESET || err == -ENOMEM ? err : tell_gone(&t);
}

static int forget_gone(struct rf_guest *g, uint32_t of, const uint64_t *what, size_t n)
{
	/* What cannot be read is said again. */
	if (g->patches)
		rf_textpatch_forget(g->patches, &g->mem, of, what, n);
	return 0;
}

const struct rf_guard rf_guard_patches = {
	.name = "patches",
	.lacks = lacks,
	.attach = begin,
	.forget = end,
	.follow = follow_table,
	.period_ms = period_ms,
	.sweep_unit = { 1 << 18, "walking lists of probes, trampolines and direct functions" },
	.sweep = compare_lists,
	.found = forget_gone,
};
