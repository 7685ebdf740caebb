// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/planted/look_all.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <time.h>

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int print(json_t *line)
{
	int err = line ? json_dumpf(line, stdout, JSON_COMPACT) : -1;

	json_decref(line);
	putchar('\n');
	return err ? -ENOMEM : 0;
}

static int show(void *ctx, const struct rf_check_finding *f)
{
	char object[24], target[24];

	snprintf(object, sizeof(object), "%#llx", (unsigned long long)f->object.v);
	snprintf(target, sizeof(target), "%#llx", (unsigned long long)f->target.v);
	return print(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "finding",
			       f->check->name, "object", object, "target", target, "what", f->what,
			       "owner", f->owner, "symbol", f->symbol, "reason", f->reason, "round",
			       *(int *)ctx));
}

int look_at_all(struct rf_checks *c, int round)
{
	int err = 0;

	for (size_t i = 0; !err && rf_checks[i]; i++) {
		struct rf_check_result r;
		double start = now();

		err = rf_checks_run(c, rf_checks[i], show, &round, &r);
		if (!err)
			err = print(json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:i}", "check",
					      rf_checks[i]->name, "state",
					      rf_check_state_text(r.state), "why", r.why, "seconds",
					      now() - start, "objects", (json_int_t)r.looked_at,
					      "reads", (json_int_t)r.reads, "round", round));
	}
	return err;
}
