// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Checks, lists and discovery on the memory of a real kernel in which a little is not as it was:
 * what an attacker who writes to it can make of it. None may read outside of memory, go on for
 * ever, read more than it may, or say something that is not text.
 *
 *   flips DUMP CR3 CR4 INSIDE COUNT [SEED [FIRST]]
 *
 * DUMP is raw memory; it is not changed. INSIDE (hexadecimal, as CR3 and CR4) is an address of the
 * kernel's image. Each execution depends on SEED and its number alone: COUNT 1 and FIRST repeat the
 * one that has failed. A JSON object a target, then a line of counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <sanitizer/common_interface_defs.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "introspection/checks/listing.h"
#include "tests/fuzz/flip.h"

#define TARGETS_MAX 128u
/* One of so many executions is of each target, whatever it costs. */
#define RAREST 10000u
/* One execution takes milliseconds; what is at it for that long will not end. */
#define LOOK_SECONDS 5
#define HANGS_LOOKS 12
/* Of the lists of owners, which are read again where a live guest's list is torn: owner.c, run.c.
 */
#define OWNERS_READS (UINT64_C(1) << 20)
#define TRIES 8
/* What one execution costs beside its reads, in reads; and how many bytes cost as much as one. */
#define FIXED_COST 300u
#define BYTES_COST 16u
/* And of those that look through all symbols of the kernel. */
#define SYMBOLS_COST 10000u

struct guest {
	struct flip_ram ram;
	struct rf_memory m;
	struct rf_paging booted, own; /* as the CPU had it; the kernel's */
	rf_gva inside;
	struct rf_kernel *k;
};

/* What is run. Its answer: a state of checks. */
struct target {
	const char *name;
	enum rf_check_state (*run)(struct guest *g, const struct target *t, bool live);
	const struct rf_check *check;
	struct flip_places places;
	uint64_t reads; /* in memory as it was; discovery's without those of the checks behind it */
	uint64_t most;	/* that one execution took */
	uint64_t cost, weight, executions, states[RF_CHECK_UNDECIDED + 1];
	double worst, all; /* seconds */
	uint64_t worst_at;
};

static struct {
	volatile sig_atomic_t looks; /* at the same execution */
	volatile uint64_t number;
	uint64_t seed, seen;
	const char *target, *check;
} now;

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* --- what ends it ------------------------------------------------------------------------ */

static void say_where(void)
{
	fprintf(stderr,
		"flips: FAILED in %s, last check %s: repeat it with COUNT 1 SEED %" PRIu64
		" FIRST %" PRIu64 "\n",
		now.target ? now.target : "memory as it was", now.check ? now.check : "none",
		now.seed, now.number);
}

static void fail(const char *what)
{
	fprintf(stderr, "flips: %s\n", what);
	say_where();
	_exit(1);
}

/* Of the processor's time, so that a busy machine is no hang. */
static void look_at_clock(int sig)
{
	now.looks = now.number == now.seen ? now.looks + 1 : 0;
	now.seen = now.number;
	if (now.looks >= HANGS_LOOKS)
		fail("it does not end");
}

static void aborted(int sig)
{
	say_where();
	signal(sig, SIG_DFL);
	raise(sig);
}

/*
 * Little is kept of what was freed: it would be memory that is touched for the first time, each
 * time. No count in a guest may make anybody ask for hundreds of megabytes.
 */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "quarantine_size_mb=4:malloc_context_size=10:max_allocation_size_mb=256:"
	       "hard_rss_limit_mb=2048";
}

/* Its library has no callback of ours: aborted() says where. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
	return "abort_on_error=1:print_stacktrace=1";
}

static void watch(void)
{
	const struct itimerval every = { { LOOK_SECONDS, 0 }, { LOOK_SECONDS, 0 } };

	__sanitizer_set_death_callback(say_where);
	signal(SIGABRT, aborted);
	signal(SIGPROF, look_at_clock);
	setitimer(ITIMER_PROF, &every, NULL);
}

/* --- targets ---------------------------------------------------------------------------- */

static void require_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (len == size)
		fail("a text without an end");
	for (size_t i = 0; i < len; i++)
		if (text[i] < ' ' || text[i] > '~')
			fail("a text that is not printable");
}

static int judge_finding(void *ctx, const struct rf_check_finding *f)
{
	uint64_t *told = ctx;

	require_text(f->what, sizeof(f->what));
	require_text(f->owner, sizeof(f->owner));
	require_text(f->symbol, sizeof(f->symbol));
	require_text(f->reason, sizeof(f->reason));
	if (!f->check || f->bytes_count > sizeof(f->bytes) || !*f->what || !*f->reason)
		fail("a finding that says nothing");
	++*told;
	return 0;
}

static struct rf_checks *checks_of(struct guest *g, const struct rf_kernel *k,
				   const struct rf_paging *p, bool live)
{
	const struct rf_checks_options options = { .live = live };
	struct rf_checks *c;

	if (rf_checks_create(k, &g->m, p, &options, &c))
		fail("no memory");
	return c;
}

static enum rf_check_state run_one(struct rf_checks *c, const struct rf_check *check, bool live)
{
	now.check = check->name;
	struct rf_check_result r = { 0 };
	uint64_t told = 0;

	if (rf_checks_run(c, check, judge_finding, &told, &r))
		fail("a check that returns an error");
	require_text(r.why, sizeof(r.why));
	if (r.state < RF_CHECK_CLEAN || r.state > RF_CHECK_UNDECIDED || r.check != check)
		fail("no such state");
	if (r.reads > check->reads + OWNERS_READS * (live ? TRIES : 1))
		fail("more reads than it has");
	if ((r.state == RF_CHECK_FOUND) != (r.found > 0) ||
	    told != (r.found < RF_FINDINGS_MAX ? r.found : RF_FINDINGS_MAX))
		fail("another number of findings than it says");
	if ((r.state == RF_CHECK_NOT_RUN || r.state == RF_CHECK_UNDECIDED) && !*r.why)
		fail("it does not say why");
	return r.state;
}

static enum rf_check_state run_check(struct guest *g, const struct target *t, bool live)
{
	struct rf_checks *c = checks_of(g, g->k, &g->own, live);
	enum rf_check_state state = run_one(c, t->check, live);

	rf_checks_destroy(c);
	return state;
}

static enum rf_check_state list_tasks(struct rf_checks *c)
{
	struct rf_task_row *rows;
	char why[RF_WHY];
	size_t count;
	int err = rf_list_tasks(c, &rows, &count, why);

	require_text(why, sizeof(why));
	for (size_t i = 0; i < count; i++)
		require_text(rows[i].comm, sizeof(rows[i].comm));
	free(rows);
	return err ? RF_CHECK_UNDECIDED : RF_CHECK_CLEAN;
}

static enum rf_check_state list_modules(struct rf_checks *c)
{
	struct rf_module_row *rows;
	char why[RF_WHY];
	size_t count;
	int err = rf_list_modules(c, &rows, &count, why);

	require_text(why, sizeof(why));
	for (size_t i = 0; i < count; i++)
		require_text(rows[i].name, sizeof(rows[i].name));
	free(rows);
	return err ? RF_CHECK_UNDECIDED : RF_CHECK_CLEAN;
}

static enum rf_check_state run_tasks(struct guest *g, const struct target *t, bool live)
{
	struct rf_checks *c = checks_of(g, g->k, &g->own, live);
	enum rf_check_state state = list_tasks(c);

	rf_checks_destroy(c);
	return state;
}

static enum rf_check_state run_modules(struct guest *g, const struct target *t, bool live)
{
	struct rf_checks *c = checks_of(g, g->k, &g->own, live);
	enum rf_check_state state = list_modules(c);

	rf_checks_destroy(c);
	return state;
}

/* Its tables are changed, symbols and types among them: what checks make of those comes next. */
static enum rf_check_state run_discovery(struct guest *g, const struct target *t, bool live)
{
	struct flip_places *recorded = g->ram.record;
	struct rf_diag diag = { "" };
	struct rf_paging p;
	struct rf_kernel *k;
	struct rf_checks *c;

	if (rf_kernel_discover(&g->m, &g->booted, g->inside, &k, &diag)) {
		require_text(diag.text, sizeof(diag.text));
		if (!*diag.text)
			fail("discovery does not say why");
		return RF_CHECK_UNDECIDED;
	}
	g->ram.record = NULL; /* these places are those of checks */
	if (rf_kernel_paging(k, &p))
		p = g->own;
	c = checks_of(g, k, &p, live);
	for (size_t i = 0; rf_checks[i]; i++)
		run_one(c, rf_checks[i], live);
	list_tasks(c);
	list_modules(c);
	rf_checks_destroy(c);
	rf_kernel_destroy(k);
	g->ram.record = recorded;
	return RF_CHECK_CLEAN;
}

static size_t all_targets(struct target *out)
{
	size_t n = 0;

	for (; rf_checks[n] && n < TARGETS_MAX - 3; n++)
		out[n] = (struct target){ .name = rf_checks[n]->name,
					  .run = run_check,
					  .check = rf_checks[n] };
	out[n++] = (struct target){ .name = "list of tasks", .run = run_tasks };
	out[n++] = (struct target){ .name = "list of modules", .run = run_modules };
	out[n++] = (struct target){ .name = "discovery", .run = run_discovery };
	return n;
}

/* --- executions -------------------------------------------------------------------------- */

/* Without changes: where it reads. Targets have about the same time in all, but for the rarest. */
static uint64_t learn(struct guest *g, struct target *t, size_t count)
{
	uint64_t all = 0, weights = 0;

	for (size_t i = 0; i < count; i++) {
		uint64_t calls = g->ram.calls, copied = g->ram.copied;

		flip_record(&g->ram, &t[i].places);
		t[i].run(g, &t[i], false);
		flip_record(&g->ram, NULL);
		t[i].reads = g->ram.calls - calls;
		t[i].cost = FIXED_COST + t[i].reads + (g->ram.copied - copied) / BYTES_COST;
		if (!strcmp(t[i].name, "idt") || !strcmp(t[i].name, "gdt"))
			t[i].cost += SYMBOLS_COST;
		t[i].weight = t[i].places.count ? 1 + UINT64_C(1000000000) / t[i].cost : 0;
		all += t[i].weight;
	}
	for (size_t i = 0; i < count; i++) {
		if (t[i].places.count && t[i].weight < all / RAREST)
			t[i].weight = all / RAREST;
		weights += t[i].weight;
	}
	return weights;
}

/* The first executions are one of each. */
static struct target *choose(struct target *t, size_t count, uint64_t at)
{
	if (now.number < count && t[now.number].weight)
		return &t[now.number];
	for (; count > 1 && at >= t->weight; count--)
		at -= t++->weight;
	return t;
}

static void execute(struct guest *g, struct target *t, struct flip_random *r)
{
	uint64_t before = g->ram.calls;
	double start = seconds(), took;
	bool live = !flip_below(r, 8);

	now.target = t->name;
	flip_some(&g->ram, &t->places, r);
	t->states[t->run(g, t, live)]++;
	flip_back(&g->ram);
	t->executions++;
	took = seconds() - start;
	t->all += took;
	if (took > t->worst) {
		t->worst = took;
		t->worst_at = now.number;
	}
	if (g->ram.calls - before > t->most)
		t->most = g->ram.calls - before;
}

static void tell(const struct target *t)
{
	printf("{\"target\": \"%s\", \"executions\": %" PRIu64 ", \"clean\": %" PRIu64
	       ", \"found\": %" PRIu64 ", \"undecided\": %" PRIu64 ", \"could_not_run\": %" PRIu64
	       ", \"places\": %zu, \"reads\": %" PRIu64 ", \"most_reads\": %" PRIu64
	       ", \"cost\": %" PRIu64
	       ", \"seconds\": %.1f, \"worst_ms\": %.0f, \"worst_at\": %" PRIu64 "}\n",
	       t->name, t->executions, t->states[RF_CHECK_CLEAN], t->states[RF_CHECK_FOUND],
	       t->states[RF_CHECK_UNDECIDED], t->states[RF_CHECK_NOT_RUN], t->places.count,
	       t->reads, t->most, t->cost, t->all, t->worst * 1e3, t->worst_at);
}

static void open_guest(char **argv, struct guest *g)
{
	struct rf_diag diag = { "" };
	rf_gva base;

	flip_open(argv[1], &g->ram);
	g->m = flip_memory(&g->ram);
	g->booted = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	g->inside = rf_gva_of(strtoull(argv[4], NULL, 16));
	if (rf_kernel_discover(&g->m, &g->booted, g->inside, &g->k, &diag)) {
		fprintf(stderr, "flips: no kernel found: %s\n", diag.text);
		exit(1);
	}
	if (rf_kernel_paging(g->k, &g->own))
		g->own = g->booted;
	g->ram.direct =
		0xffff888000000000; /* Documentation/arch/x86/x86_64/mm.rst, without KASLR */
	if (!rf_kernel_address(g->k, "page_offset_base", &base))
		rf_pt_read(&g->m, &g->own, base, &g->ram.direct, sizeof(g->ram.direct));
}

int main(int argc, char **argv)
{
	static struct target targets[TARGETS_MAX];
	static struct guest g;
	uint64_t count, first, weights;
	size_t n = all_targets(targets);
	double start;

	if (argc < 6 || argc > 8) {
		fputs("usage: flips DUMP CR3 CR4 INSIDE COUNT [SEED [FIRST]]\n", stderr);
		return 2;
	}
	count = strtoull(argv[5], NULL, 10);
	now.seed = argc > 6 ? strtoull(argv[6], NULL, 10) : (uint64_t)time(NULL);
	first = argc > 7 ? strtoull(argv[7], NULL, 10) : 0;
	watch();
	open_guest(argv, &g);
	weights = learn(&g, targets, n);
	start = seconds();
	for (now.number = first; now.number < first + count; now.number++) {
		struct flip_random r = { now.seed + now.number * 0xd1342543de82ef95 };

		execute(&g, choose(targets, n, flip_below(&r, weights)), &r);
	}
	for (size_t i = 0; i < n; i++) {
		tell(&targets[i]);
		free(targets[i].places.v);
	}
	printf("flips: seed %" PRIu64 ", %" PRIu64 " executions in %.0f s, none failed\n", now.seed,
	       count, seconds() - start);
	rf_kernel_destroy(g.k);
	flip_close(&g.ram);
	return 0;
}
