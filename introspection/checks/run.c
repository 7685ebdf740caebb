// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Running checks. On a live guest lists change while they are read: one that contradicts itself is
 * read again, and what looks odd must look the same a second time before it is told.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/checks/impl.h"
#include "introspection/checks/slots.h"

#define TRIES 8 /* of a live list that changes meanwhile */

const char *rf_severity_text(enum rf_severity severity)
{
	static const char *const texts[] = { [RF_SEVERITY_LOW] = "low",
					     [RF_SEVERITY_MEDIUM] = "medium",
					     [RF_SEVERITY_HIGH] = "high",
					     [RF_SEVERITY_CRITICAL] = "critical" };

	return texts[severity];
}

const char *rf_check_state_text(enum rf_check_state state)
{
	static const char *const texts[] = { [RF_CHECK_CLEAN] = "clean",
					     [RF_CHECK_FOUND] = "found",
					     [RF_CHECK_NOT_RUN] = "could not run",
					     [RF_CHECK_UNDECIDED] = "undecided" };

	return texts[state];
}

const struct rf_check *rf_check_named(const char *name)
{
	for (size_t i = 0; rf_checks[i]; i++)
		if (!strcmp(rf_checks[i]->name, name))
			return rf_checks[i];
	return NULL;
}

/* Between two symbols of the linker's (include/asm-generic/vmlinux.lds.h). */
static struct rf_range between(const struct rf_kernel *k, const char *first, const char *last)
{
	struct rf_range r = { 0 };
	rf_gva start, end;

	if (!rf_kernel_address(k, first, &start) && !rf_kernel_address(k, last, &end))
		r = (struct rf_range){ start.v, end.v };
	return r;
}

int rf_checks_create(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, const struct rf_checks_options *options,
		     struct rf_checks **out)
{
	struct rf_checks *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->k = k;
	c->memory = *m;
	c->budget.to = options->live ? (struct rf_memory){ rf_pages_read, c } : *m;
	c->m = (struct rf_memory){ rf_budget_read, &c->budget };
	c->p = *p;
	c->options = *options;
	c->text = between(k, "_stext", "_etext");
	c->init = between(k, "_sinittext", "_einittext");
	c->rodata = between(k, "__start_rodata", "__end_rodata");
	*out = c;
	return 0;
}

void rf_checks_destroy(struct rf_checks *c)
{
	if (!c)
		return;
	rf_front_destroy(c->front);
	rf_descriptors_destroy(c->descriptors);
	rf_claims_deinit(c);
	free(c);
}

static void begin_to_read(struct rf_checks *c, uint64_t reads)
{
	rf_budget_begin(&c->budget, reads);
	c->claims.left = RF_CLAIMS_READS;
}

/* fn, with its ctx: until it is read as a whole. *run is that of the last time. */
static int try_to(struct rf_checks *c, const struct rf_run *begin, rf_question_fn fn, void *ctx,
		  struct rf_run *run)
{
	int err;

	for (int i = 0; i < (c->options.live ? TRIES : 1); i++) {
		*run = *begin;
		if (i && begin->each)
			begin->each(begin->each_ctx, NULL);
		rf_claims_forget(c);
		if (c->options.live) {
			memset(c->places, 0, sizeof(c->places));
			rf_pages_forget(c);
		}
		err = fn(run, ctx);
		if (err != -EFAULT && err != -EBADMSG && err != -ELOOP)
			break;
	}
	return err;
}

static int run_check(struct rf_run *run, void *ctx)
{
	const struct rf_check *check = run->check;

	return check->slots ? rf_run_slots(run, check->slots) : check->run(run);
}

static int look(const struct rf_run *begin, struct rf_run *run)
{
	int err;

	begin_to_read(begin->c, begin->check->reads);
	err = try_to(begin->c, begin, run_check, NULL, run);

	/* A list is made endless on purpose. */
	if (err == -ELOOP && !run->stopped)
		err = rf_run_found(run, run->at, "list", 0, "the list does not end");
	return err;
}

static bool is_same(const struct rf_check_finding *a, const struct rf_check_finding *b)
{
	return a->object.v == b->object.v && a->target.v == b->target.v &&
	       !strcmp(a->reason, b->reason);
}

/* Those of the first look that the second has too. */
static void keep_what_stays(struct rf_run *run, const struct rf_run *again)
{
	uint64_t n = run->found < RF_FINDINGS_MAX ? run->found : RF_FINDINGS_MAX;
	uint64_t others = again->found < RF_FINDINGS_MAX ? again->found : RF_FINDINGS_MAX;
	uint64_t kept = 0;

	for (uint64_t i = 0; i < n; i++)
		for (uint64_t j = 0; j < others; j++)
			if (is_same(&run->findings[i], &again->findings[j])) {
				run->findings[kept++] = run->findings[i];
				break;
			}
	/* Where both had more than are kept, what is counted stays. */
	if (run->found <= RF_FINDINGS_MAX || again->found <= RF_FINDINGS_MAX)
		run->found = kept;
}

static void explain(const struct rf_run *run, int err, uint64_t reads, char why[RF_WHY])
{
	unsigned long long at = run->at;

	if (err == -ENOTSUP || err == -EAGAIN)
		snprintf(why, RF_WHY, "%s", run->lacks);
	else if (err == -EFAULT)
		snprintf(why, RF_WHY, "%#llx leads to memory that is not there", at);
	else if (err == -EBADMSG)
		snprintf(why, RF_WHY, "what is at %#llx contradicts itself", at);
	else if (err == -ELOOP)
		snprintf(why, RF_WHY, "the list at %#llx does not end", at);
	else if (err == -E2BIG)
		snprintf(why, RF_WHY, "it took more than %llu reads of guest memory",
			 (unsigned long long)reads);
	else if (err)
		snprintf(why, RF_WHY, "%s", strerror(-err));
	else if (run->found > RF_FINDINGS_MAX && !run->each)
		snprintf(why, RF_WHY, "%llu more are not shown",
			 (unsigned long long)(run->found - RF_FINDINGS_MAX));
	else
		*why = '\0';
}

static enum rf_check_state state_of(const struct rf_run *run, int err)
{
	if (run->found) /* also where something else could not be read */
		return RF_CHECK_FOUND;
	if (err == -ENOTSUP)
		return RF_CHECK_NOT_RUN;
	return err ? RF_CHECK_UNDECIDED : RF_CHECK_CLEAN;
}

static void sum_up(const struct rf_run *run, int err, struct rf_check_result *result)
{
	const struct rf_budget *b = &run->c->budget;

	*result = (struct rf_check_result){
		.check = run->check,
		.state = state_of(run, err),
		.cut = (err && err != -ENOTSUP) || (!run->each && run->found > RF_FINDINGS_MAX),
		.looked_at = run->looked_at,
		.found = run->found,
		.reads = b->given - b->left,
	};
	explain(run, err, run->check->reads, result->why);
}

int rf_checks_run(struct rf_checks *c, const struct rf_check *check, rf_check_finding_fn fn,
		  void *ctx, struct rf_check_result *result)
{
	struct rf_run begin = { .c = c, .check = check, .findings = c->findings[0] };
	struct rf_run run, again;
	int err, looked, stop = 0;

	err = look(&begin, &run);
	if (c->options.live && run.found) {
		begin.findings = c->findings[1];
		looked = look(&begin, &again);
		keep_what_stays(&run, &again);
		/* What could not be seen again is not gone. */
		if (!err)
			err = looked;
	}
	sum_up(&run, err, result);
	for (uint64_t i = 0; !stop && i < run.found && i < RF_FINDINGS_MAX; i++)
		stop = fn(ctx, &run.findings[i]);
	return stop;
}

int rf_checks_list(struct rf_checks *c, const struct rf_check *check, rf_check_finding_fn fn,
		   void *ctx, struct rf_check_result *result)
{
	const struct rf_run begin = { .c = c, .check = check, .each = fn, .each_ctx = ctx };
	struct rf_run run;
	int err;

	err = look(&begin, &run);
	sum_up(&run, err, result);
	return run.stopped;
}

int rf_checks_ask(struct rf_checks *c, uint64_t reads, rf_question_fn fn, void *ctx,
		  char why[RF_WHY])
{
	const struct rf_run begin = { .c = c, .findings = c->findings[0] };
	struct rf_run run;
	int err;

	begin_to_read(c, reads);
	err = try_to(c, &begin, fn, ctx, &run);
	explain(&run, err, reads, why);
	return err;
}
