// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guard of the trail: what the fence allowed is written down, and what was left half way is put
 * back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"
#include "patch/kinds.h"

#define BLOCK 4096 /* trail entries at once, and by one flush */
#define GRACE_NS UINT64_C(1000000000)
#define PATIENCE 10
#define LATE_NS UINT64_C(1000000000)   /* that the fence's count of time may be */
#define QUIET_NS UINT64_C(2000000000)  /* without a patch: the burst is over */
#define BURST_NS UINT64_C(30000000000) /* nor is a longer one waited for: see rf_patch_span */

/* --- the trail, to disk --------------------------------------------------- */

void rf_patches_summarise(struct rf_guest *g)
{
	/* Each kind at its longest: a name of 22 letters, a number of 20 digits, ", " and a
	 * space. */
	char text[RF_SITE_KINDS * 45 + 1] = "";
	struct rf_patch_span span;
	size_t len = 0;

	g->burst_ns = 0;
	for (int k = 1; k < RF_SITE_KINDS; k++) {
		if (!g->burst[k])
			continue;
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s %llu",
					len ? ", " : "", rf_site_kind_text((enum rf_site_kind)k),
					(unsigned long long)g->burst[k]);
		g->burst[k] = 0;
	}
	if (len || g->named) {
		const struct rf_record r = { .kind = "patches",
					     .region = "text",
					     .rule = "text-patch-legal",
					     .verdict = RF_WORD_ALLOWED,
					     .outcome = "applied",
					     .detail = len ? text : NULL,
					     .patch_log = g->patchlog ? &span : NULL };

		if (g->patchlog)
			rf_patchlog_span(g->patchlog, &span);
		g->named = false;
		rf_record_write(g, &r);
	}
}

/* The patch log, as far as it may grow; its head, where that could not be written, first. */
static int log_patches(struct rf_guest *g, struct rf_patch_line *lines, size_t n)
{
	int err = g->fold && rf_record_is_long(g, rf_patchlog_size(g->patchlog)) ? -EDQUOT : 0;

	if (!err && g->headless)
		err = rf_patchlog_head(g->patchlog, g->table->base, g->kernel_event);
	if (err)
		return err;
	g->headless = false;
	return rf_patchlog_write(g->patchlog, lines, n);
}

/*
 * It takes nothing. They are legal, so they go on, and are told by their number; or the trail keeps
 * them, and what is not on it yet waits (policy: on_log_full). Tells it once.
 */
static int not_logged(struct rf_guest *g, size_t n, int err)
{
	bool told = g->patches_full;

	if (!told || !g->fold)
		rf_complain(g, "the patch log could not be written: %s", strerror(-err));
	if (!g->fold)
		return err;
	g->patches_full = true;
	if (rf_record_waits(g))
		return err;
	g->patches_lost += n;
	return 0;
}

/* How many entries are there: no more than the trail holds, whatever the VMM's memory says. */
static uint64_t left_to_drain(const struct rf_guest *g)
{
	struct rf_patching now;
	uint64_t from = g->patches_taken;

	g->hv->ops->trail(g->hv, &now);
	if (from < now.oldest)
		from = now.oldest;
	return from < now.head ? now.head - from : 0;
}

/* Who patches all the time must not keep us here: what comes meanwhile is the next time's. */
int rf_patches_drain(struct rf_guest *g)
{
	static struct rf_patch_entry entries[BLOCK];
	static struct rf_patch_line lines[BLOCK];
	uint64_t left;
	size_t n;

	if (!g->patchlog || !g->table)
		return 0;
	for (left = left_to_drain(g); left; left -= n) {
		int err;

		n = g->hv->ops->entries(g->hv, g->patches_taken, entries,
					left < BLOCK ? (size_t)left : BLOCK);
		if (!n)
			break;
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
		}
		err = log_patches(g, lines, n);
		if (!err)
			g->patches_full = false;
		else if (not_logged(g, n, err))
			return err;
		for (size_t i = 0; i < n; i++) {
			if (lines[i].kind < RF_SITE_KINDS)
				g->burst[lines[i].kind]++;
			rf_patch_names_want(&lines[i]);
		}
		g->last_patch_ns = rf_now_ns();
		if (!g->burst_ns)
			g->burst_ns = g->last_patch_ns;
		g->patches_taken += n;
		__atomic_store_n(&g->table->taken, g->patches_taken, __ATOMIC_RELEASE);
	}
	return 0;
}

#define NAMES_AT_ONCE 8 /* times a tick's; what has none by then stays without */

void rf_patches_end_part(struct rf_guest *g)
{
	struct rf_budget outer;

	if (!g->patches || !g->patchlog)
		return;
	outer = rf_unit_begin(g, &rf_guard_trail.tick_unit);
	rf_patches_drain(g);
	for (int i = 0; i < NAMES_AT_ONCE && rf_patch_names_left(g); i++)
		rf_patch_names_write(g);
	rf_unit_end(g, &rf_guard_trail.tick_unit, &outer);
	rf_patches_summarise(g);
	/* What is patched from here on is named where it is written. */
	rf_patch_names_forget();
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
		return now_ns > since + GRACE_NS;
	return now_ns > since + PATIENCE * limit ||
	       now_ns > (since > g->last_change_ns ? since : g->last_change_ns) + limit;
}

/*
 * Nanoseconds in which the guest could go on, as the fence counts them: neither the VMM's having it
 * stopped nor a VMM that is stopped itself is its doing, and how seldom we look does not matter.
 */
static uint64_t guest_ns(struct rf_guest *g)
{
	struct rf_backend_info info;

	if (!g->hv->ops->info(g->hv, &info))
		g->ran_ns = info.counters[RF_COUNT_RAN_NS];
	return g->ran_ns;
}

static int watch_flights(struct rf_guest *g)
{
	uint64_t now_ns = guest_ns(g);
	struct rf_patching now;
	uint32_t kept = 0;
	int err;

	g->hv->ops->trail(g->hv, &now);
	if (now.changes != g->changes_seen)
		g->last_change_ns = now_ns + LATE_NS;
	g->changes_seen = now.changes;
	for (uint32_t i = 0; i < now.count; i++) {
		struct rf_waiting w = { now.flights[i].number, now_ns + LATE_NS };

		for (uint32_t n = 0; n < g->waiting_count; n++)
			if (g->waiting[n].number == w.number)
				w.since = g->waiting[n].since;
		if (was_left(g, &now, i, w.since, now_ns)) {
			err = abandon(g, &now.flights[i]);
			if (err)
				return err;
			w.since = now_ns + LATE_NS;
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
	if (err && rf_record_waits(g))
		err = 0; /* they stay on the trail */
	rf_patch_names_write(g);
	now = rf_now_ns();
	if (!err)
		err = watch_flights(g);
	if ((now - g->last_patch_ns > QUIET_NS && !rf_patch_names_left(g)) ||
	    (g->burst_ns && now - g->burst_ns > BURST_NS))
		rf_patches_summarise(g);
	return err;
}

static const char *lacks(const struct rf_guest *g)
{
	return g->patches ? NULL : "there is no table of patch sites, so that nothing is allowed";
}

const struct rf_guard rf_guard_trail = {
	.name = "trail",
	.lacks = lacks,
	.tick_unit = { 1 << 14, "following patches" },
	.tick = watch_trail,
};
