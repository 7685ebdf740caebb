// SPDX-License-Identifier: LGPL-2.1-or-later
/* One guest from the moment its kernel shows itself: found, watched, sealed, judged, and forgotten
 * at a reset. */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "monitor/monitor.h"

/*
 * Reads, as introspection/budget.h counts them: some five for each word that is looked up through
 * page tables. These, and the guards' own, are several times what the largest guest of the tests
 * needs (docs/testing.md).
 */
const struct rf_unit rf_unit_kernel = { 1 << 20, "looking at a kernel" };
static const struct rf_unit event_unit = { 1 << 15, "judging an event" };

/* The guards have it, and the sweeper hears of it. */
static int attach_guards(struct rf_guest *g, bool kept)
{
	int err = rf_guards_attach(g, kept);

	if (!err)
		rf_pair_announce(g);
	return err;
}

void rf_guest_forget(struct rf_guest *g)
{
	rf_guards_forget(g);
	rf_pair_announce(g);
	rf_kernel_destroy(g->kernel);
	g->kernel = NULL;
	g->refused[0] = g->unprotected[0] = '\0';
	g->halted = NULL;
	g->arrived = g->awaiting = g->unknown = false;
	g->kernel_event = g->lstar = 0;
	g->regions_count = 0;
	g->traps_count = 0;
	memset(g->tables_digest, 0, sizeof(g->tables_digest));
	g->poll_permissions = g->late = false;
}

/* --- found ---------------------------------------------------------------- */

/*
 * sealed: says where the kernel lies; NULL when the guest's page tables must tell.
 * 0, or -errno with diag filled; what could not be recorded is not found either.
 */
static int find_kernel(struct rf_guest *g, uint64_t lstar, uint64_t cr3, uint64_t cr4,
		       uint64_t event, const struct rf_backend_info *sealed, struct rf_diag *diag)
{
	uint64_t start = rf_now_ns();
	int err;

	rf_guest_forget(g);
	g->paging = rf_paging_of(cr3, cr4);
	g->cr3 = cr3;
	g->cr4 = cr4;
	err = sealed ? rf_sealed_kernel(g, sealed, lstar, diag)
		     : rf_kernel_discover(&g->mem, &g->paging, rf_gva_of(lstar), &g->kernel, diag);
	g->discovery_ns = rf_now_ns() - start;
	if (err) {
		rf_note(g, "kernel", "not recognised", diag->text);
		rf_kernel_destroy(g->kernel);
		g->kernel = NULL;
		return err;
	}
	rf_kernel_paging(g->kernel, &g->paging);
	g->kernel_event = event;
	g->lstar = lstar;
	err = rf_note(g, "kernel",
		      rf_kernel_has_types(g->kernel) ? "found" : "found, without types",
		      rf_kernel_banner(g->kernel));
	if (err)
		snprintf(diag->text, sizeof(diag->text), "it could not be recorded: %s",
			 strerror(-err));
	return err;
}

/*
 * The word whose value SYSTEM_RUNNING says that init memory is freed and mark_readonly() is done,
 * and that no user code has run yet (init/main.c kernel_init()). -ENOENT: this kernel does not tell
 * where or what it is.
 */
static int find_state(const struct rf_guest *g, struct rf_msg_watch *out)
{
	int64_t running;
	rf_gva state;
	rf_gpa gpa;
	int err;

	err = rf_kernel_address(g->kernel, "system_state", &state);
	if (!err)
		err = rf_kernel_enumerator(g->kernel, "system_states", "SYSTEM_RUNNING", &running);
	if (!err)
		err = rf_kernel_image_gpa(g->kernel, state, &gpa);
	if (err)
		return -ENOENT;
	*out = (struct rf_msg_watch){
		.kernel = g->kernel_event, .gpa = gpa.v, .len = 4, .value = (uint64_t)running
	};
	return 0;
}

/* --- sealed --------------------------------------------------------------- */

struct permission_check {
	bool writable, not_executable;
	uint64_t mapped; /* bytes */
};

static int see_run(void *ctx, const struct rf_mapping *run)
{
	struct permission_check *c = ctx;

	c->writable |= run->writable;
	c->not_executable |= !run->executable;
	c->mapped += run->size;
	return 0;
}

/* What the guest's own page tables say of [start, end). */
static int permissions(struct rf_guest *g, uint64_t start, uint64_t end, struct permission_check *c)
{
	*c = (struct permission_check){ 0 };
	return rf_pt_walk(&g->mem, &g->paging, rf_gva_of(start), rf_gva_of(end), 100000, see_run,
			  c);
}

static int take_regions(struct rf_guest *g, const struct rf_region *regions, uint32_t count,
			const char *outcome)
{

	for (uint32_t i = 0; i < count; i++) {
		struct rf_measured *m = &g->regions[i];
		struct permission_check c;
		struct rf_record r = { .kind = "seal", .outcome = outcome, .has_target = true };

		m->region = regions[i];
		g->regions_count = i + 1;
		int err = rf_measure_region(g, &m->region, false, m->sha256);

		if (err)
			return err;
		r.region = rf_region_text(m->region.kind);
		r.gpa = m->region.gpa;
		r.size = m->region.size;
		memcpy(r.sha256, m->sha256, sizeof(r.sha256));
		r.target.addr = m->region.gva;
		snprintf(r.target.symbol, sizeof(r.target.symbol), "%s",
			 m->region.kind == RF_REGION_TEXT  ? "_text"
			 : m->region.kind == RF_REGION_IDT ? "idt_table"
							   : "__start_rodata");
		/* Not a ground to refuse: the seal does not rest on them. But the auditor should
		 * know. */
		if (permissions(g, m->region.gva, m->region.gva + m->region.size, &c))
			r.detail = "the guest's page tables could not be read";
		else if (c.writable)
			r.detail = "the guest's own page tables leave it writable (rodata=off?)";
		else if (m->region.kind == RF_REGION_TEXT && c.not_executable)
			r.detail = "the guest's own page tables leave parts of it not executable";
		err = rf_record_write(g, &r);
		if (err)
			return err;
	}
	return 0;
}

static int seal(struct rf_guest *g, enum rf_seal_how how, const char *outcome)
{
	struct rf_msg_seal m;
	int err = rf_plan(g, &m);

	if (err)
		return err;

	m.how = how;
	memcpy(m.note, g->note, sizeof(m.note));
	if (!m.count)
		return rf_note(g, "seal", "nothing is sealed",
			       "the policy seals nothing; no register is pinned either");
	err = rf_ask_seal(g, &m);
	if (!err)
		err = take_regions(g, m.regions, m.count, outcome);
	if (!err)
		err = attach_guards(g, false);
	if (!err)
		rf_notify(g, "sealed");
	return err;
}

/* --- events --------------------------------------------------------------- */

static int end_it(struct rf_guest *g, const struct rf_msg_event *ev, const char *outcome,
		  const char *detail)
{
	struct rf_record r = { .kind = "monitor", .outcome = outcome, .detail = detail };
	struct rf_msg_verdict v = { .id = ev->id, .verdict = RF_VERDICT_KILL };

	return rf_decide(g, ev, &r, &v);
}

/* mmap(2): EAGAIN is a mapping that may not be locked as all others of the process are. */
static const char locked[] =
	"the VMM locks its memory, and its RLIMIT_MEMLOCK has no room for a second copy of what is "
	"sealed: raise it by 64 MiB (ulimit -l, LimitMEMLOCK= of systemd, hard_limit of libvirt), "
	"or start the VMM without mem-lock";

/* A VM asked to run protected does not run on with a kernel that cannot be protected. */
static int give_up(struct rf_guest *g, const struct rf_msg_event *ev, const char *what,
		   const char *why, int err)
{
	char line[512];

	if (err == -ECONNRESET || rf_record_waits(g))
		return err;
	/* Which of the two it was only the fence knows: the word finds nobody after a release. */
	if (err == -ESTALE) {
		snprintf(line, sizeof(line),
			 "%s: a release has dropped its question, and nothing is ended; or another "
			 "kernel was announced before it was answered, and the VM is",
			 what);
		err = end_it(g, ev, "a command came too late", line);
		/* A VM that goes on has released what this was about. */
		rf_guest_forget(g);
		g->killed_ns = 0;
		return err;
	}
	if (err == -EAGAIN && !why)
		why = locked;
	if (err == -EPERM)
		why = "the text of the kernel that was sealed here, with another entry or other "
		      "bounds";
	snprintf(line, sizeof(line), "%s: %s", what, why && *why ? why : strerror(-err));
	rf_complain(g, "%s; the VM is ended", line);
	return end_it(g, ev, RF_OUTCOME_ENDED, line);
}

/*
 * Text as it is in memory when the kernel shows itself, before it has patched anything: what tells
 * a kernel that was booted anew from one that was sealed here and goes on (out of sleep, or because
 * firmware handed the CPU back to it). Nothing that the guest says decides that.
 */
static int measure_text(struct rf_guest *g, uint8_t note[32])
{
	struct rf_region text;
	char sha256[65];
	size_t len;
	int err = rf_plan_region(g, RF_REGION_TEXT, &text);

	if (!err)
		err = rf_measure_region(g, &text, false, sha256);
	if (!err && sodium_hex2bin(note, 32, sha256, 64, NULL, &len, NULL))
		err = -EINVAL;
	return err;
}

static bool known_note(const uint8_t note[32])
{
	static const uint8_t none[32];

	return memcmp(note, none, sizeof(none)) != 0;
}

/*
 * What is sealed already: the fence knows where it lies, no guest page table is asked, and symbols,
 * types and tables are read from sealed memory alone.
 */
static int take_over(struct rf_guest *g, const struct rf_backend_info *info, uint64_t lstar,
		     uint64_t cr3, uint64_t cr4, uint64_t event, bool kept, const char *outcome,
		     struct rf_diag *diag)
{
	int err = find_kernel(g, lstar, cr3, cr4, event, info, diag);

	if (err)
		return err;
	rf_sealed_traps(g, info); /* before any text is read */
	memcpy(g->tables_digest, info->traps_note, sizeof(g->tables_digest));
	err = take_regions(g, info->regions, info->regions_count, outcome);
	if (!err)
		err = attach_guards(g, kept);
	/* Another kernel is announced, or a reset came between: their events are on the way, and
	 * what is pinned stays so. */
	return err == -ESTALE ? 0 : err;
}

/* Behind a seal of a kernel that ran before: what was read so far was read from memory that anybody
 * could write, or a device of the VMM's that runs again. */
static int read_again(struct rf_guest *g, bool kept, const char *outcome)
{
	struct rf_diag diag = { "" };
	struct rf_backend_info info;
	int err = g->hv->ops->info(g->hv, &info);

	if (!err)
		err = take_over(g, &info, g->lstar, g->cr3, g->cr4, g->kernel_event, kept, outcome,
				&diag);
	if (!err)
		rf_notify(g, "sealed");
	return err;
}

/* A restored or migrated guest, whose kernel runs already. */
static int seal_arrived(struct rf_guest *g)
{
	static const char outcome[] = "sealed as it was restored";
	struct rf_msg_seal m;
	int err = rf_plan(g, &m);

	m.how = g->seal_how;
	memcpy(m.note, g->note, sizeof(m.note));
	if (!err && !m.count)
		return seal(g, g->seal_how, outcome);
	if (!err)
		err = rf_ask_seal(g, &m);
	if (!err)
		err = read_again(g, false, outcome);
	g->arrived = !err;
	return err;
}

#define SEALED_AGAIN 1

/* The table that is there is another kernel's, for whoever takes over before this one has its
 * own. */
static int begins_anew(struct rf_guest *g)
{
	if (g->table)
		g->table->magic = 0;
	return 0;
}

/*
 * What the text is now, into g->note. The kernel that was sealed last, at the same place
 * with the same entry, gets its sealed bytes back unless it was booted anew: SEALED_AGAIN.
 */
static int first_look(struct rf_guest *g)
{
	struct rf_backend_info info;
	struct rf_msg_seal m;
	int err = measure_text(g, g->note);

	if (!err)
		err = g->hv->ops->info(g->hv, &info);
	if (err)
		return err;
	if (!info.kept_entry)
		return begins_anew(g);
	if (known_note(info.kept_note) && !memcmp(info.kept_note, g->note, sizeof(g->note))) {
		g->seal_how = RF_SEAL_FRESH;
		return begins_anew(g);
	}
	err = rf_plan(g, &m);
	m.how = RF_SEAL_KEPT;
	if (!err && m.count)
		err = rf_ask_seal(g, &m);
	if (err || !m.count)
		return !err || err == -ENOENT ? begins_anew(g) : err;
	err = read_again(g, true, "sealed again, with the bytes it had");
	return err ? err : SEALED_AGAIN;
}

/* From the kernel found to its seal. armed: the fence watches already, for an earlier monitor. */
static int await_running(struct rf_guest *g, bool armed)
{
	struct rf_msg_watch watch;
	struct rf_region rodata;
	struct rf_msg_seal m;
	int err;

	/* Who armed it has looked: a kernel that goes on would be sealed by now, with what is
	 * kept. */
	g->seal_how = armed ? RF_SEAL_FRESH : RF_SEAL_NOW;
	if (!find_state(g, &watch)) {
		err = armed ? 0 : first_look(g);
		memcpy(watch.note, g->note, sizeof(watch.note));
		if (!err && !armed)
			err = rf_ask_watch(g, &watch);
		if (err == -EALREADY)
			err = seal_arrived(g);
		return err == SEALED_AGAIN ? 0 : err;
	}
	err = armed ? 0 : first_look(g);
	if (err)
		return err == SEALED_AGAIN ? 0 : err;
	/* What could never be sealed is not waited for. */
	err = rf_plan_region(g, RF_REGION_RODATA, &rodata);
	if (!err)
		err = rf_plan(g, &m);
	if (err)
		return err;
	g->poll_permissions = true;
	rf_complain(
		g,
		"the kernel has no system_state to watch: it is sealed late, and user code may run "
		"before");
	return rf_note(
		g, "kernel", "sealed late",
		"the kernel has no system_state to watch: it is sealed when its page tables have "
		"made rodata read-only, and user code may have run by then");
}

/*
 * A guest loads LSTAR past every filter (VMLOAD), and may do so just before it is saved: what
 * arrives is the kernel's own entry (arch/x86/kernel/cpu/common.c syscall_init()), or text where
 * that has no name. *own: what it should be, 0 unknown.
 */
static bool brings_own_entry(const struct rf_guest *g, uint64_t lstar, uint64_t *own)
{
	rf_gva entry;

	*own = 0;
	if (!rf_kernel_address(g->kernel, "entry_SYSCALL_64", &entry)) {
		*own = entry.v;
		return lstar == entry.v;
	}
	for (uint32_t i = 0; i < g->regions_count; i++) {
		const struct rf_region *r = &g->regions[i].region;

		if (r->kind == RF_REGION_TEXT && rf_within(lstar, 1, r->gva, r->size))
			return true;
	}
	return false;
}

#define TAKEN_OVER "still sealed; this monitor took over"

/* The first user instruction waits for our answer: the guest's lists can be believed as at the
 * seal. */
static int read_sites_again(struct rf_guest *g)
{
	int err;

	rf_guard_patches.forget(g);
	err = rf_guard_patches.attach(g, false);
	rf_pair_announce(g);
	return err;
}

/*
 * May a kernel that is not recognised run unsealed? Only one that boots here: where one was sealed
 * before, or the VMM loads one that was sealed elsewhere, it is unrecognised because somebody made
 * it so. Whether one boots is the fence's to say.
 */
static bool may_be_unknown(const struct rf_guest *g, const struct rf_backend_info *info,
			   bool awaited, int err)
{
	return g->policy.on_unknown_kernel == RF_ON_UNKNOWN_UNSEALED &&
	       (err == -ENOENT || err == -EBADMSG) && !awaited && !info->kept_entry &&
	       !info->loaded && info->counters[RF_COUNT_RUN];
}

/* Rules of policy/decide.c, by which an answer that is on record tells what it rests on. */
#define NOT_RECOGNISED "kernel-not-recognised"
#define DIFFERS "measurement-differs"

static void runs_unknown(struct rf_guest *g, const char *why)
{
	g->unknown = true;
	snprintf(g->unprotected, sizeof(g->unprotected),
		 "its kernel is not recognised: %s (policy: on_unknown_kernel)", why);
	rf_complain(g,
		    "the kernel is not recognised and runs UNPROTECTED, as the policy says: %s; "
		    "to have it recognised, report where it is from, its version, and this line",
		    why);
}

/* On record, by whoever comes to know it. ev: lets it run; NULL, an earlier monitor did. 0 or
 * -errno. */
static int note_unknown(struct rf_guest *g, const struct rf_msg_event *ev, const char *why)
{
	const struct rf_facts facts = { .kind = RF_FACT_UNKNOWN };
	struct rf_record r = { .kind = "kernel", .outcome = "runs unsealed", .detail = why };
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_ALLOW };
	struct rf_decision d;

	if (rf_policy_decide(&g->policy, &facts, &d))
		return ev ? rf_answer(g, ev, RF_VERDICT_KILL) : -EINVAL;
	r.rule = d.rule;
	r.verdict = d.word;
	runs_unknown(g, why);
	if (!ev)
		return rf_record_write(g, &r);
	v.id = ev->id;
	return rf_decide(g, ev, &r, &v);
}

/*
 * The answer is on record, and is sent once what it rests on is as it was: it lets a kernel run,
 * which this monitor has to know.
 */
static int on_kernel(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_resent *resent)
{
	const struct rf_vcpu_regs *r = &ev->regs;
	struct rf_diag diag = { "" };
	enum rf_verdict verdict = RF_VERDICT_ALLOW;
	struct rf_backend_info info;
	bool awaited = g->awaiting, own_entry;
	uint64_t own;
	int err = g->hv->ops->info(g->hv, &info);

	if (err)
		return err;
	if (info.state == RF_VM_SEALED && (info.kernel || g->kernel))
		return resent ? rf_send_verdict(g, &resent->v) : rf_judge_late_msr(g, ev);
	if (resent && !strcmp(resent->rule, NOT_RECOGNISED)) {
		rf_guest_forget(g);
		runs_unknown(g, "an earlier monitor's record says why");
		return rf_send_verdict(g, &resent->v);
	}
	/* Sealed, no kernel known: who sealed it as it was restored died before the answer, and
	 * none of it has run yet. */
	if (info.state == RF_VM_SEALED)
		err = take_over(g, &info, ev->msr.value, r->cr3, r->cr4, ev->id, true, TAKEN_OVER,
				&diag);
	else
		err = find_kernel(g, ev->msr.value, r->cr3, r->cr4, ev->id, NULL, &diag);
	if (err && info.state != RF_VM_SEALED && may_be_unknown(g, &info, awaited, err))
		return note_unknown(g, ev, diag.text);
	if (err)
		return give_up(
			g, ev,
			"no Linux kernel could be recognised (report where it is from, its "
			"version and this line; on_unknown_kernel in ringfence(1) lets it run "
			"unprotected)",
			diag.text, err);
	if (info.state == RF_VM_SEALED) {
		err = g->sites_lost ? read_sites_again(g) : 0;
		rf_notify(g, "sealed");
		g->arrived = true;
	} else {
		err = await_running(g, false);
	}
	if (!err && resent)
		return rf_send_verdict(g, &resent->v);
	own_entry = err || !g->arrived || brings_own_entry(g, ev->msr.value, &own);
	if (!err && g->arrived)
		err = rf_measure_arrived(g, ev, !own_entry, &verdict);
	if (!err && !own_entry && verdict == RF_VERDICT_ALLOW)
		return rf_judge_arrived_entry(g, ev, own);
	return err ? give_up(g, ev, "the kernel could not be watched", NULL, err)
		   : rf_answer(g, ev, verdict);
}

static const char sealed_first[] = "sealed before the first user instruction";
/* Memory was the guest's own between its reset and now: what is sealed is what it has made of
 * it. */
static const char sealed_anew[] = "sealed after a reset, as a kernel that was booted anew";

static int on_running(struct rf_guest *g, const struct rf_msg_event *ev)
{
	struct rf_backend_info info;
	int err = g->kernel ? g->hv->ops->info(g->hv, &info) : -ENOENT;

	if (!err)
		err = seal(g, g->seal_how, info.kept_entry ? sealed_anew : sealed_first);
	if (!err)
		err = rf_measure_booted(g);
	/* Whoever sealed died before the answer. The regions came with rf_guest_resume(). */
	if (err == -EALREADY && g->regions_count) {
		rf_notify(g, "sealed");
		err = g->sites_lost ? read_sites_again(g) : 0;
	}
	return err ? give_up(g, ev, "the kernel could not be sealed", NULL, err)
		   : rf_answer(g, ev, RF_VERDICT_ALLOW);
}

static int resume(struct rf_guest *g);

/* It runs: nothing can be refused for want of a line. */
static int measure_late(struct rf_guest *g)
{
	int err;

	g->resuming = true;
	err = rf_measure_booted(g);
	g->resuming = false;
	return err;
}

/* The fence has sealed it, and cannot be asked to twice: it is taken over as another monitor would.
 * Who waits for room (on_log_full) waits here as well. 0 or -errno. */
static int finish_late(struct rf_guest *g)
{
	int err;

	if (rf_record_waits(g))
		return g->fold->gap.error ? g->fold->gap.error : -ENOSPC;
	rf_guest_forget(g);
	err = resume(g);
	/* A reset may have come between. */
	return err || !g->attached ? err : measure_late(g);
}

static bool is_sealed(struct rf_guest *g)
{
	struct rf_backend_info info;

	return !g->hv->ops->info(g->hv, &info) && info.state == RF_VM_SEALED;
}

static int poll_permissions(struct rf_guest *g)
{
	struct permission_check c;
	struct rf_region rodata;
	int err;

	/* Tables that show nothing there do not show it read-only. */
	if (rf_plan_region(g, RF_REGION_RODATA, &rodata) ||
	    permissions(g, rodata.gva, rodata.gva + rodata.size, &c) || c.writable || !c.mapped)
		return 0;
	g->poll_permissions = false;
	err = seal(g, g->seal_how, "sealed late: user code may have run before");
	if (err == -ESTALE)
		return 0; /* a reset came between: its event is on the way */
	if (err && g->fold && g->fold->gap.error && is_sealed(g)) {
		g->late = true;
		return rf_record_waits(g) ? 0 : finish_late(g);
	}
	if (err && err != -ECONNRESET)
		rf_note(g, "seal", "not sealed", strerror(-err));
	return err ? err : measure_late(g);
}

int rf_guest_poll(struct rf_guest *g)
{
	struct rf_budget outer;
	int err, ended;

	if (!g->poll_permissions && (!g->late || rf_record_waits(g)))
		return 0;
	outer = rf_unit_begin(g, &rf_unit_kernel);
	err = g->late ? finish_late(g) : poll_permissions(g);
	ended = rf_unit_end(g, &rf_unit_kernel, &outer);
	return err ? err : ended;
}

/* What the VMM did to the VM; no verdict is awaited. */
static int on_life(struct rf_guest *g, const struct rf_msg_event *ev)
{
	static const char *const causes[] = {
		[RF_CAUSE_RESET] = "a reset by the VMM; the next kernel is sealed as it comes up",
		[RF_CAUSE_ARRIVED] =
			"the VMM loaded another running guest, which is sealed before it runs",
		[RF_CAUSE_KEXEC] = "kexec, which the policy lets; the next kernel is sealed as it "
				   "comes up",
		[RF_CAUSE_TEXT] = "what the VMM loaded goes with other sealed memory than this "
				  "guest's",
		[RF_CAUSE_NOBODY] = "what the VMM loaded does not say which kernel it is of",
		[RF_CAUSE_DENIED] = "the kernel that the VMM loaded was refused",
	};
	const char *why =
		ev->life.cause < sizeof(causes) / sizeof(causes[0]) && causes[ev->life.cause]
			? causes[ev->life.cause]
			: "no reason was given";
	char detail[160];
	int err = rf_sweep_drain(g);

	if (err)
		return err;
	switch (ev->kind) {
	case RF_EVENT_RESET:
		rf_guest_forget(g);
		g->awaiting = ev->life.cause == RF_CAUSE_ARRIVED;
		return rf_note(g, "reset", "seals released", why);
	case RF_EVENT_RELOADED:
		g->halted = NULL;
		snprintf(
			detail, sizeof(detail),
			"the VMM loaded a state of this kernel; %u bytes of its text came with it, "
			"all of them legal patches",
			ev->life.adopted);
		return rf_note(g, "load", "still sealed", detail);
	case RF_EVENT_HALTED:
		if (ev->life.cause == RF_CAUSE_DENIED && g->refused[0])
			why = g->refused;
		g->halted = why;
		rf_pair_announce(g); /* what is being measured is another state's */
		rf_complain(g,
			    "the VM is halted, no vCPU runs: %s (reset it, or load another state)",
			    why);
		return rf_note(g, "load", "halted: no vCPU runs", why);
	}
	snprintf(detail, sizeof(detail), "a 64-bit kernel runs at 0x%llx and is not sealed",
		 (unsigned long long)ev->regs.rip);
	rf_complain(g, "%s", detail);
	return rf_note(g, "unsealed", "not sealed for unsealed_alert_ms", detail);
}

/* An earlier monitor has decided it, and died before its answer was there. */
static int answer_again(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_resent *resent)
{
	if (ev->kind == RF_EVENT_KERNEL && resent->v.verdict == RF_VERDICT_ALLOW)
		return on_kernel(g, ev, resent);
	/* For who asks why the VM is halted. */
	if (ev->kind == RF_EVENT_KERNEL && !strcmp(resent->rule, DIFFERS))
		snprintf(g->refused, sizeof(g->refused),
			 "what arrived is not what was measured before it moved (see the log)");
	return rf_send_verdict(g, &resent->v);
}

static int judge(struct rf_guest *g, const struct rf_msg_event *ev)
{
	struct rf_resent resent;
	int late = g->late && ev->kind != RF_EVENT_RESET ? finish_late(g) : 0;

	if (late)
		return late;
	if (rf_resent(g, ev, &resent))
		return answer_again(g, ev, &resent);
	/* An earlier monitor's answer was enforced after we came: the kernel is known since. */
	if (!g->kernel && !g->unknown && ev->kind != RF_EVENT_KERNEL &&
	    ev->kind != RF_EVENT_RESET) {
		int err = resume(g);

		if (err)
			return err;
	}
	switch (ev->kind) {
	case RF_EVENT_KERNEL:
		return on_kernel(g, ev, NULL);
	case RF_EVENT_WATCH:
		return on_running(g, ev);
	case RF_EVENT_RESET:
	case RF_EVENT_RELOADED:
	case RF_EVENT_HALTED:
	case RF_EVENT_UNSEALED:
		return on_life(g, ev);
	}
	return rf_guards_answer(g, ev);
}

int rf_guest_event(struct rf_guest *g, const struct rf_msg_event *ev)
{
	bool looks = (!g->kernel && !g->unknown) || g->late || ev->kind == RF_EVENT_KERNEL ||
		     ev->kind == RF_EVENT_WATCH;
	const struct rf_unit *unit = looks ? &rf_unit_kernel : &event_unit;
	struct rf_budget outer = rf_unit_begin(g, unit);
	int err = judge(g, ev), ended = rf_unit_end(g, unit, &outer);

	return err ? err : ended;
}

static int resume_kernel(struct rf_guest *g)
{
	struct rf_diag diag = { "" };
	struct rf_backend_info info;
	int err = g->hv->ops->info(g->hv, &info);

	if (!err && g->heals_taken < info.heals_taken)
		g->heals_taken = info.heals_taken;
	/* Nothing runs: there is nothing to take over before the VMM has loaded something else. */
	if (err || !info.kernel || info.state == RF_VM_HALTED)
		return err;
	if (info.state == RF_VM_SEALED)
		err = take_over(g, &info, info.lstar, info.cr3, info.cr4, info.kernel, true,
				TAKEN_OVER, &diag);
	else
		err = find_kernel(g, info.lstar, info.cr3, info.cr4, info.kernel, NULL, &diag);
	if (err && info.state == RF_VM_FOUND && may_be_unknown(g, &info, false, err))
		return note_unknown(g, NULL, diag.text);
	if (err)
		rf_complain(g, "the kernel of the running guest could not be read again: %s",
			    diag.text[0] ? diag.text : strerror(-err));
	else if (info.state != RF_VM_SEALED)
		err = await_running(g, info.state == RF_VM_WATCHED);
	return err;
}

/* What is sealed is so already: no line about it is a condition. */
static int resume(struct rf_guest *g)
{
	int err;

	g->resuming = true;
	err = resume_kernel(g);
	g->resuming = false;
	return err;
}

int rf_guest_resume(struct rf_guest *g)
{
	struct rf_budget outer = rf_unit_begin(g, &rf_unit_kernel);
	int err = resume(g), ended = rf_unit_end(g, &rf_unit_kernel, &outer);

	return err ? err : ended;
}
