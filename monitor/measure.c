// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the sealed memory is, in a form that the kernel's own patching does not change: text as
 * rf_textpatch_canonical() makes it, without our traps (rf_guest_read()), the rest as it is. So a
 * guest is the same at its source and where it arrives, whatever it patched in between.
 *
 * Asked for by `ringfence measure` it is done piece by piece between events. What arrives is
 * measured at once: its vCPUs are held until there is an answer to its kernel's announcement.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"

#define BLOCK (1u << 20)
#define PIECE (128u << 10) /* hashed in less than a millisecond */

struct rf_measuring {
	struct rf_measurement m; /* regions from `region` on are not measured yet */
	uint32_t region;
	uint64_t at; /* bytes of it that are done */
	crypto_hash_sha256_state state;
	int err;
	uint64_t spent_ns, longest_ns; /* longest: of one piece */
};

static bool is_patched(const struct rf_guest *g, const struct rf_region *r)
{
	return r->kind == RF_REGION_TEXT && g->patches;
}

/* len: BLOCK at most. */
static int add(struct rf_guest *g, const struct rf_region *r, bool canonical, uint64_t at,
	       size_t len, crypto_hash_sha256_state *state)
{
	static uint8_t block[BLOCK];

	if (rf_memory_read(&g->mem, rf_gpa_of(r->gpa + at), block, len))
		return -EFAULT;
	if (canonical && is_patched(g, r))
		rf_textpatch_canonical(g->patches, rf_gva_of(r->gva + at), block, len);
	crypto_hash_sha256_update(state, block, len);
	return 0;
}

static void finish(crypto_hash_sha256_state *state, char sha256[65])
{
	unsigned char digest[crypto_hash_sha256_BYTES];

	crypto_hash_sha256_final(state, digest);
	sodium_bin2hex(sha256, 65, digest, sizeof(digest));
}

int rf_measure_region(struct rf_guest *g, const struct rf_region *r, bool canonical,
		      char sha256[65])
{
	crypto_hash_sha256_state state;
	int err = 0;

	crypto_hash_sha256_init(&state);
	for (uint64_t at = 0; at < r->size && !err; at += BLOCK)
		err = add(g, r, canonical, at, r->size - at < BLOCK ? r->size - at : BLOCK, &state);
	if (!err)
		finish(&state, sha256);
	return err;
}

/* The places, not the digests. */
static void describe(const struct rf_region *r, struct rf_measurement_region *out)
{
	*out = (struct rf_measurement_region){ .gva = r->gva, .gpa = r->gpa, .size = r->size };
	snprintf(out->kind, sizeof(out->kind), "%s", rf_region_text(r->kind));
}

/* --- asked for ------------------------------------------------------------ */

static void forget(struct rf_guest *g)
{
	free(g->measuring);
	g->measuring = NULL;
}

static bool busy(const struct rf_guest *g)
{
	return g->measuring && !g->measuring->err && g->measuring->region < g->measuring->m.count;
}

static void step(struct rf_guest *g)
{
	struct rf_measuring *w = g->measuring;
	uint64_t start = rf_now_ns(), spent, left;
	const struct rf_region *r;

	r = &g->regions[w->region].region;
	left = r->size - w->at;
	if (!w->at)
		crypto_hash_sha256_init(&w->state);
	w->err = add(g, r, true, w->at, left < PIECE ? left : PIECE, &w->state);
	w->at += PIECE;
	if (!w->err && w->at >= r->size) {
		finish(&w->state, w->m.regions[w->region].sha256);
		w->region++;
		w->at = 0;
	}
	spent = rf_now_ns() - start;
	w->spent_ns += spent;
	if (spent > w->longest_ns)
		w->longest_ns = spent;
}

static int begin(struct rf_guest *g)
{
	struct rf_measuring *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	snprintf(w->m.kernel, sizeof(w->m.kernel), "%s", rf_kernel_banner(g->kernel));
	/* Three kinds at most are ever planned (guest.c). */
	for (; w->m.count < g->regions_count && w->m.count < RF_MEASUREMENT_REGIONS; w->m.count++)
		describe(&g->regions[w->m.count].region, &w->m.regions[w->m.count]);
	g->measuring = w;
	return 0;
}

static json_t *reply(struct rf_guest *g)
{
	struct rf_backend_info info;
	struct rf_measuring *w;
	json_t *o;

	if (!g->kernel || !g->regions_count || g->hv->ops->info(g->hv, &info) ||
	    info.state != RF_VM_SEALED) {
		forget(g);
		return json_pack("{s:s}", "error", g->halted ? g->halted : "no kernel is sealed");
	}
	if (!g->measuring && begin(g))
		return NULL;
	w = g->measuring;
	if (busy(g))
		return json_pack("{s:b}", "done", 0);
	if (w->err)
		o = json_pack("{s:s}", "error", "the sealed memory could not be read");
	else
		o = json_pack("{s:b, s:o, s:f, s:f}", "done", 1, "measurement",
			      rf_measurement_json(&w->m), "spent_ms", (double)w->spent_ns / 1e6,
			      "longest_piece_ms", (double)w->longest_ns / 1e6);
	/* Given out once: the next one who asks wants to know how it is then. */
	forget(g);
	return o;
}

/* --- compared ------------------------------------------------------------- */

/* What one look at what arrived, or came up, has led to. */
struct judgement {
	enum rf_action worst;
	char what[24]; /* differs, the first of it; "" nothing does */
	/*
	 * The event that waits, NULL none. The line of the worst is held back until all has been
	 * looked at, and is then the record of the answer: a look that was cut short has answered
	 * nothing.
	 */
	const struct rf_msg_event *ev;
	bool asks_more; /* an event that is let be is judged further */
	struct rf_record held;
	char held_region[24], held_detail[600]; /* of it */
	enum rf_action held_for;		/* 0: none is held */
};

static enum rf_verdict verdict_of(const struct judgement *j)
{
	return j->worst == RF_ACTION_KILL	? RF_VERDICT_KILL
	       : j->worst == RF_ACTION_SUPPRESS ? RF_VERDICT_DENY
						: RF_VERDICT_ALLOW;
}

/* Writes it, or the one before it that was held. */
static int line(struct rf_guest *g, const struct rf_record *r, enum rf_action action,
		struct judgement *j)
{
	int err = 0;

	if (!j->ev || action < j->held_for)
		return rf_record_write(g, r);
	if (j->held_for)
		err = rf_record_write(g, &j->held);
	j->held = *r;
	j->held_for = action;
	/* The caller's own may be gone by then. */
	snprintf(j->held_region, sizeof(j->held_region), "%s", r->region ? r->region : "");
	snprintf(j->held_detail, sizeof(j->held_detail), "%s", r->detail ? r->detail : "");
	j->held.region = j->held_region;
	j->held.detail = j->held_detail;
	return err;
}

/* The last one. */
static int conclude(struct rf_guest *g, struct judgement *j)
{
	const struct rf_msg_verdict v = { .verdict = verdict_of(j) };
	const struct rf_audit_answer answer = rf_answer_of(j->ev, &v);

	if (!j->held_for)
		return 0;
	if (v.verdict != RF_VERDICT_ALLOW || !j->asks_more) {
		j->held.event = j->ev->id;
		j->held.vcpu = j->ev->vcpu;
		j->held.answer = &answer;
	}
	return rf_record_write(g, &j->held);
}

/* A line. found: NULL, it is about the kernel's name or a region that is not there. */
static int tell(struct rf_guest *g, enum rf_fact_measure fact, const char *region,
		const struct rf_measurement_region *found,
		const struct rf_measurement_region *expected, const char *detail,
		struct judgement *j)
{
	const struct rf_facts facts = { .kind = RF_FACT_MEASURE, .measure = fact };
	struct rf_record r = { .kind = "measure", .region = region, .detail = detail };
	struct rf_decision d;
	int err = rf_policy_decide(&g->policy, &facts, &d);

	if (err)
		return err;
	r.rule = d.rule;
	r.verdict = d.word;
	r.outcome = fact == RF_FACT_MEASURE_EXPECTED ? "as it was measured"
		    : d.action == RF_ACTION_APPLY    ? "it runs all the same"
		    : d.action == RF_ACTION_KILL     ? RF_OUTCOME_ENDED
						     : "halted: no vCPU runs";
	if (found) {
		r.gpa = found->gpa;
		r.size = found->size;
		r.has_target = true;
		r.target.addr = found->gva;
		memcpy(r.sha256, found->sha256, sizeof(r.sha256));
	}
	if (expected)
		memcpy(r.expected, expected->sha256, sizeof(r.expected));
	if (fact != RF_FACT_MEASURE_EXPECTED && !j->what[0])
		snprintf(j->what, sizeof(j->what), "%s", region ? region : "the kernel");
	if (d.action > j->worst)
		j->worst = d.action;
	return line(g, &r, d.action, j);
}

/* Guests say what they like in a banner: both are printable, and cut. */
static int tell_kernel(struct rf_guest *g, enum rf_fact_measure fact, struct judgement *j)
{
	char detail[600];

	snprintf(detail, sizeof(detail), "the kernel is \"%s\", not \"%s\"",
		 rf_kernel_banner(g->kernel), g->expect->kernel);
	return tell(g, fact, NULL, NULL, NULL, detail, j);
}

static bool is_expected_kernel(const struct rf_guest *g)
{
	return !strcmp(g->expect->kernel, rf_kernel_banner(g->kernel));
}

static int compare_region(struct rf_guest *g, const struct rf_measured *sealed, struct judgement *j)
{
	static const char *const details[] = {
		[RF_MEASUREMENT_ELSEWHERE] = "it lies elsewhere, or has another size",
		[RF_MEASUREMENT_CHANGED] = "its bytes are not what they were",
	};
	const struct rf_measurement_region *expected;
	struct rf_measurement_region found;
	enum rf_measurement_match match;
	int err = 0;

	describe(&sealed->region, &found);
	/* The rest was measured as it is when it was sealed, a moment ago. */
	if (is_patched(g, &sealed->region))
		err = rf_measure_region(g, &sealed->region, true, found.sha256);
	else
		memcpy(found.sha256, sealed->sha256, sizeof(found.sha256));
	if (err)
		return err;
	expected = rf_measurement_find(g->expect, found.kind);
	if (!expected)
		return tell(g, RF_FACT_MEASURE_DIFFERENT, found.kind, &found, NULL,
			    "sealed here, but not measured before", j);
	match = rf_measurement_compare(expected, &found);
	return match == RF_MEASUREMENT_SAME
		       ? tell(g, RF_FACT_MEASURE_EXPECTED, found.kind, &found, expected, NULL, j)
		       : tell(g, RF_FACT_MEASURE_DIFFERENT, found.kind, &found, expected,
			      details[match], j);
}

static bool is_sealed_here(const struct rf_guest *g, const char *kind)
{
	for (uint32_t i = 0; i < g->regions_count; i++)
		if (!strcmp(rf_region_text(g->regions[i].region.kind), kind))
			return true;
	return false;
}

static int compare(struct rf_guest *g, struct judgement *j)
{
	int err = is_expected_kernel(g) ? 0 : tell_kernel(g, RF_FACT_MEASURE_DIFFERENT, j);

	for (uint32_t i = 0; i < g->regions_count && !err; i++)
		err = compare_region(g, &g->regions[i], j);
	for (uint32_t i = 0; i < g->expect->count && !err; i++) {
		const struct rf_measurement_region *e = &g->expect->regions[i];

		if (!is_sealed_here(g, e->kind))
			err = tell(g, RF_FACT_MEASURE_DIFFERENT, e->kind, NULL, e,
				   "measured before, but not sealed here", j);
	}
	return err;
}

/* Its text; NULL: none is sealed. */
static const struct rf_region *text_of(const struct rf_guest *g)
{
	for (uint32_t i = 0; i < g->regions_count; i++)
		if (g->regions[i].region.kind == RF_REGION_TEXT)
			return &g->regions[i].region;
	return NULL;
}

/* No expectation: a line all the same, which can be compared with what the source says. */
static int note_text(struct rf_guest *g, const char *outcome, struct judgement *j)
{
	const struct rf_region *text = text_of(g);
	struct rf_record r = { .kind = "measure", .region = "text", .outcome = outcome };
	int err;

	if (!text)
		return 0;
	err = rf_measure_region(g, text, true, r.sha256);
	r.gpa = text->gpa;
	r.size = text->size;
	r.has_target = true;
	r.target.addr = text->gva;
	return err ? err : line(g, &r, RF_ACTION_APPLY, j);
}

int rf_measure_arrived(struct rf_guest *g, const struct rf_msg_event *ev, bool asks_more,
		       enum rf_verdict *out)
{
	struct judgement j = { .worst = RF_ACTION_APPLY, .ev = ev, .asks_more = asks_more };
	int err = g->expect ? compare(g, &j) : note_text(g, "measured as it arrived", &j);

	if (!err)
		err = conclude(g, &j);
	else if (j.held_for)
		rf_record_write(g, &j.held); /* found, and no answer yet */
	*out = err ? RF_VERDICT_KILL : verdict_of(&j);
	if (err || !j.what[0])
		return err;
	snprintf(g->refused, sizeof(g->refused),
		 "what arrived is not what was measured before it moved (%s)", j.what);
	rf_complain(g, "%s; %s", g->refused,
		    *out == RF_VERDICT_ALLOW  ? "the policy lets it run"
		    : *out == RF_VERDICT_KILL ? "the VM is ended"
					      : "it is refused");
	return 0;
}

/*
 * Read-only data has pointers that each boot makes anew, and a kernel that lies elsewhere
 * (randomised at boot) has other bytes everywhere: text at the same place is all that can be
 * compared.
 */
int rf_measure_booted(struct rf_guest *g)
{
	const struct rf_measurement_region *expected;
	const struct rf_region *text = text_of(g);
	struct judgement j = { .worst = RF_ACTION_APPLY };
	struct rf_measurement_region found;
	int err;

	if (!g->expect)
		return 0;
	if (!is_expected_kernel(g))
		return tell_kernel(g, RF_FACT_MEASURE_BOOTED, &j);
	expected = rf_measurement_find(g->expect, "text");
	if (!text || !expected)
		return 0;
	describe(text, &found);
	if (rf_measurement_compare(expected, &found) == RF_MEASUREMENT_ELSEWHERE)
		return note_text(g, "not compared: it booted, and lies elsewhere", &j);
	err = rf_measure_region(g, text, true, found.sha256);
	if (err)
		return err;
	return rf_measurement_compare(expected, &found) == RF_MEASUREMENT_SAME
		       ? tell(g, RF_FACT_MEASURE_EXPECTED, "text", &found, expected, NULL, &j)
		       : tell(g, RF_FACT_MEASURE_BOOTED, "text", &found, expected,
			      "it booted; its bytes are not what they were", &j);
}

const struct rf_guard rf_guard_measure = {
	.name = "measure",
	.forget = forget,
	.command = "measure",
	.in_monitor = true,
	.reply = reply,
	.busy = busy,
	.step_unit = { 1 << 12, "one step of a measurement" },
	.step = step,
};
