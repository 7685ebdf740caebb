// SPDX-License-Identifier: LGPL-2.1-or-later
/* Which checks are run, and what they say, for `check` and `hooks`. */
#include <errno.h>
#include <stdlib.h>

#include "cli/check.h"

/* Of all checks together: more is no kernel's. */
#define FINDINGS_MAX ((size_t)1 << 18)

const struct rf_check **rf_check_chosen(char **names, int count, rf_check_fits_fn fits, int *code)
{
	const struct rf_check **out;
	size_t n = 0, all = 0;

	while (rf_checks[all])
		all++;
	out = calloc((size_t)count > all ? (size_t)count + 1 : all + 1, sizeof(*out));
	if (!out) {
		*code = rf_fail(RF_EXIT_INTERNAL, "nothing was done", "free some memory",
				"no memory");
		return NULL;
	}
	for (size_t i = 0; !count && rf_checks[i]; i++)
		if (!fits || fits(rf_checks[i]))
			out[n++] = rf_checks[i];
	for (int i = 0; i < count; i++) {
		out[i] = rf_check_named(names[i]);
		if (out[i])
			continue;
		*code = rf_fail(RF_EXIT_USAGE, "nothing was done",
				"see `ringfence check --list` for their names",
				"there is no check \"%s\"", names[i]);
		free(out);
		return NULL;
	}
	return out;
}

static int keep(void *ctx, const struct rf_check_finding *finding)
{
	struct rf_check_report *r = ctx;
	size_t room = r->finding_room ? r->finding_room * 2 : 16;
	struct rf_check_finding *grown;

	if (!finding) { /* it is read once more */
		r->finding_count = r->begin.count;
		r->left_out = r->begin.left_out;
		return 0;
	}
	/* What is accepted must not take the place of what is not. */
	if (r->finding_count >= (*finding->reason ? FINDINGS_MAX : FINDINGS_MAX / 2)) {
		r->left_out++;
		return 0;
	}
	if (r->finding_count == r->finding_room) {
		grown = reallocarray(r->findings, room, sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		r->findings = grown;
		r->finding_room = room;
	}
	r->findings[r->finding_count++] = *finding;
	return 0;
}

static int run_checks(struct rf_checks *c, const struct rf_check **each, rf_check_run_fn run,
		      struct rf_check_report *r)
{
	struct rf_progress progress = { 0 };
	size_t count = 0;

	while (each[count])
		count++;
	r->results = calloc(count, sizeof(*r->results));
	if (!r->results)
		return -ENOMEM;
	rf_progress_due(&progress);
	for (; r->result_count < count; r->result_count++) {
		struct rf_check_result *result = &r->results[r->result_count];
		int err;

		r->begin.count = r->finding_count;
		r->begin.left_out = r->left_out;
		err = run(c, each[r->result_count], keep, r, result);
		if (err)
			return err;
		r->count[result->state]++;
		r->found += result->found;
		if (rf_progress_due(&progress))
			rf_say("%zu of %zu checks have run", r->result_count + 1, count);
	}
	return 0;
}

int rf_check_report_make(const struct rf_subject *s, const struct rf_check **each,
			 rf_check_run_fn run, const struct rf_known *known,
			 struct rf_check_report *out)
{
	struct rf_checks *c;
	int err, code = rf_subject_checks(s, known, &c);

	*out = (struct rf_check_report){ 0 };
	if (code != RF_EXIT_OK)
		return code;
	err = run_checks(c, each, run, out);
	rf_checks_destroy(c);
	if (!err)
		return RF_EXIT_OK;
	return rf_fail(RF_EXIT_INTERNAL, "not all was looked at", "free some memory",
		       "no memory for the checks");
}

void rf_check_report_deinit(struct rf_check_report *r)
{
	free(r->results);
	free(r->findings);
}

/* A check that did not come to its end is no clean one. */
int rf_check_report_judge(const struct rf_check_report *r)
{
	if (r->count[RF_CHECK_FOUND])
		return RF_EXIT_NO;
	return r->count[RF_CHECK_CLEAN] == r->result_count ? RF_EXIT_OK : RF_EXIT_CANNOT_TELL;
}
