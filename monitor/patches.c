/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Text patching, as the monitor sees it: it compiles the table the fence judges by, answers for
 * what the table does not know, writes down what was allowed, and puts back what was left half way.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"
#include "patch/kinds.h"

#define BLOCK 512 /* trail entries at once */
#define GRACE_NS UINT64_C(1000000000)
#define PATIENCE 10
#define LISTS_MS 1000		      /* the table against the guest's own lists */
#define OVERRUN_MS (10 * LISTS_MS)    /* the same where they do not end */
#define QUIET_NS UINT64_C(2000000000) /* without a patch: the burst is over */

/* --- the trail, to disk --------------------------------------------------- */

static void summarise(struct rf_guest *g)
{
	/* Each kind at its longest: a name of 22 letters, a number of 20 digits, ", " and a space.
	 */
	char text[RF_SITE_KINDS * 45 + 1] = "";
	size_t len = 0;

	for (int k = 1; k < RF_SITE_KINDS; k++) {
		if (!g->burst[k])
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %llu",
					len ? ", " : "", rf_site_kind_text((enum rf_site_kind)k),
					(unsigned long long)g->burst[k]);
		g->burst[k] = 0;
	}
	if (len) {
		const struct rf_record r = { .kind = "patches",
					     .region = "text",
					     .rule = "text-patch-legal",
					     .verdict = RF_WORD_ALLOWED,
					     .outcome = "applied",
					     .detail = text };

		rf_record_write(g, &r);
	}
}

int rf_patches_drain(struct rf_guest *g)
{
	struct rf_patch_entry entries[BLOCK];
	size_t n;

	if (!g->patchlog || !g->table)
		return 0;
	while ((n = g->hv->ops->entries(g->hv, g->patches_taken, entries, BLOCK))) {
		struct rf_patch_line lines[BLOCK];
		int err;

		for (size_t i = 0; i < n; i++) {
			const struct rf_patch_entry *e = &entries[i];

			/* What would not read as a patch again would be miscounted: bounded. */
			lines[i] = (struct rf_patch_line){
				.ns = e->ns,
				.at = e->at,
				.vcpu = e->vcpu,
				.kind = e->kind && e->kind < RF_SITE_KINDS ? e->kind : UINT8_MAX,
				/* Of a longer one its beginning. */
				.len = e->len < 1 || e->len > sizeof(lines[i].before)
					       ? sizeof(lines[i].before)
					       : e->len,
			};
			memcpy(lines[i].before, e->before, sizeof(lines[i].before));
			memcpy(lines[i].after, e->after, sizeof(lines[i].after));
			if (lines[i].kind < RF_SITE_KINDS)
				g->burst[lines[i].kind]++;
		}
		err = rf_patchlog_write(g->patchlog, lines, n);
		if (err) {
			rf_complain(g, "the patch log could not be written: %s", strerror(-err));
			return err;
		}
		g->last_patch_ns = rf_now_ns();
		g->patches_taken += n;
		__atomic_store_n(&g->table->taken, g->patches_taken, __ATOMIC_RELEASE);
	}
	return 0;
}

/* --- the table ------------------------------------------------------------ */

static const char *lacks(const struct rf_guest *g)
{
	if (!g->table)
		return "this hypervisor's backend keeps no table of sites";
	return g->patches
		       ? NULL
		       : "its patch sites could not be read, or text is not sealed: each write to "
			 "sealed text is denied";
}

static int begin(struct rf_guest *g, bool kept)
{
	struct rf_diag diag = { "" };
	struct rf_textpatch_stats stats;
	struct rf_patching now;
	struct rf_budget outer;
	int err, ended;

	if (!g->table)
		return rf_note(g, "patch", "no site table: every write to text is denied",
			       "this backend keeps none");
	outer = rf_unit_begin(g, &rf_guard_patches.sweep_unit);
	err = rf_textpatch_create(g->kernel, &g->mem, &g->paging, g->table, kept, &g->patches,
				  &diag);
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
		if (err)
			return err;
		/* An earlier monitor's log may hold a patch twice, when its disk was full. */
		g->hv->ops->trail(g->hv, &now);
		g->patches_taken = rf_patchlog_count(g->patchlog);
		if (g->patches_taken > now.head)
			g->patches_taken = now.head;
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
		summarise(g);
	}
	rf_textpatch_destroy(g->patches);
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

/* --- left half way -------------------------------------------------------- */

static int abandon(struct rf_guest *g, const struct rf_flight *f)
{
	const struct rf_facts facts = { .kind = RF_FACT_ABANDONED, .region = RF_FACT_REGION_TEXT };
	const struct rf_msg_restore m = { .kernel = g->kernel_event, .flight = f->number };
	struct rf_record r = { .kind = "patch", .region = "text", .len = f->len };
	uint64_t gva = g->table->base + f->at;
	struct rf_decision d;
	rf_gpa gpa;
	int err = 0;

	if (rf_policy_decide(&g->policy, &facts, &d) ||
	    rf_kernel_image_gpa(g->kernel, rf_gva_of(gva), &gpa))
		return -EINVAL;
	r.gpa = gpa.v;
	r.has_new = !rf_memory_read(&g->mem, gpa, r.new_bytes, f->len);
	if (g->policy.mode == RF_MODE_ENFORCE)
		err = g->hv->ops->restore(g->hv, &m);
	/* It has ended by itself, or no vCPU ran: then nobody could have gone on with it. */
	if (err == -ENOENT || err == -EAGAIN || err == -ESTALE)
		return 0;
	r.outcome = err					? "the old bytes could not be put back"
		    : g->policy.mode == RF_MODE_ENFORCE ? "the site's old bytes were put back"
							: "left as it is";
	r.has_old = r.has_target = true;
	memcpy(r.old_bytes, f->before, f->len);
	rf_name_address(g, &g->paging, gva, &r.target);
	r.rule = d.rule;
	r.verdict = d.word;
	r.detail = "a patch was begun and not finished";
	return rf_record_write(g, &r);
}

/*
 * A site was left when the kernel has begun another batch since (hv/board.h), or when no site was
 * changed for patch_timeout_ms: a slow patcher goes on. PATIENCE times that is too long for any:
 * who goes on for ever only wants to be taken for one. Flights are known by their number; one of an
 * earlier batch must be seen for GRACE_NS, as what we read is a moment old.
 */
static bool was_left(const struct rf_guest *g, const struct rf_patching *now, uint32_t flight,
		     uint64_t since, uint64_t now_ns)
{
	uint64_t limit = g->policy.patch_timeout_ms * UINT64_C(1000000);

	if (now->flights[flight].batch != now->batch)
		return now_ns - since > GRACE_NS;
	return now_ns - since > PATIENCE * limit ||
	       now_ns - (since > g->last_change_ns ? since : g->last_change_ns) > limit;
}

static int watch_flights(struct rf_guest *g, uint64_t now_ns)
{
	struct rf_patching now;
	uint32_t kept = 0;
	int err;

	g->hv->ops->trail(g->hv, &now);
	if (now.changes != g->changes_seen)
		g->last_change_ns = now_ns;
	g->changes_seen = now.changes;
	for (uint32_t i = 0; i < now.count; i++) {
		struct rf_waiting w = { now.flights[i].number, now_ns };

		for (uint32_t n = 0; n < g->waiting_count; n++)
			if (g->waiting[n].number == w.number)
				w.since = g->waiting[n].since;
		if (was_left(g, &now, i, w.since, now_ns)) {
			err = abandon(g, &now.flights[i]);
			if (err)
				return err;
			w.since = now_ns;
		}
		g->next_waiting[kept++] = w;
	}
	memcpy(g->waiting, g->next_waiting, kept * sizeof(g->waiting[0]));
	g->waiting_count = kept;
	return 0;
}

static int watch_trail(struct rf_guest *g, uint32_t elapsed_ms)
{
	uint64_t now;
	int err;

	if (!g->patches)
		return 0;
	err = rf_patches_drain(g);
	now = rf_now_ns();
	if (!err)
		err = watch_flights(g, now);
	if (now - g->last_patch_ns > QUIET_NS)
		summarise(g);
	return err;
}

const struct rf_guard rf_guard_trail = {
	.name = "trail",
	.lacks = lacks,
	.tick_unit = { 1 << 14, "following patches" },
	.tick = watch_trail,
};

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
	err = rf_textpatch_create(g->kernel, &g->mem, &g->paging, copy, true, &g->patches, &diag);
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
