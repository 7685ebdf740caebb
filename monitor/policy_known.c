// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/policy_known.h"

#include <errno.h>
#include <stdio.h>

#include "introspection/checks/check.h"

enum wrong { UNKNOWN, BY_GUARD, IS_OFF, NONE_RUNS };

static int wrong(const struct rf_key *k, const unsigned int *lines, struct rf_policy_diag *diag,
		 const char *name, enum wrong what)
{
	static const char *const texts[] = {
		[UNKNOWN] = "there is no check of that name; `ringfence check --list` has them",
		[BY_GUARD] =
			"it is looked for by a guard, which `patches`, `pin` and on_denied are for",
		[IS_OFF] = "it is not run: checks_off names it too",
		[NONE_RUNS] = "no check is run: checks is off",
	};

	*diag = (struct rf_policy_diag){ .line = lines[k - rf_keys], .column = 1 };
	snprintf(diag->text, sizeof(diag->text), "%s: \"%s\": %s", k->name, name, texts[what]);
	return -EBADMSG;
}

/* Who writes a check's name wrongly would wait for it to be off, or to end the VM. */
int rf_policy_know(const struct rf_policy *p, const unsigned int *lines,
		   struct rf_policy_diag *diag)
{
	for (const struct rf_key *k = rf_keys; k < rf_keys + rf_keys_count; k++) {
		const struct rf_names *list = rf_key_names(p, k);

		for (uint32_t i = 0; k->names && !k->of_modules && i < list->count; i++) {
			const struct rf_check *check = rf_check_named(list->name[i]);

			if (!check)
				return wrong(k, lines, diag, list->name[i], UNKNOWN);
			if (check->guard && list != &p->checks_off)
				return wrong(k, lines, diag, list->name[i], BY_GUARD);
			if (list != &p->checks_off && rf_names_has(&p->checks_off, check->name))
				return wrong(k, lines, diag, list->name[i], IS_OFF);
			if (list != &p->checks_off && p->checks == RF_CHECKS_OFF)
				return wrong(k, lines, diag, list->name[i], NONE_RUNS);
		}
	}
	return 0;
}

int rf_policy_parse_known(const char *text, size_t len, struct rf_policy_diag *diag,
			  struct rf_policy *out)
{
	unsigned int lines[RF_KEYS_MAX];
	int err = rf_policy_parse(text, len, diag, out);

	if (err)
		return err;
	rf_policy_lines(text, len, lines);
	return rf_policy_know(out, lines, diag);
}

void rf_reload_judge_known(const struct rf_reload *q, struct rf_reloaded *out)
{
	unsigned int lines[RF_KEYS_MAX];
	struct rf_policy_diag diag;

	rf_reload_judge(q, out);
	if (!out->accepted)
		return;
	rf_policy_lines(q->text, q->len, lines);
	if (!rf_policy_know(&out->policy, lines, &diag))
		return;
	out->accepted = false;
	out->serial = q->serial;
	snprintf(out->why, sizeof(out->why), "it is no policy: line %u, column %u: %s", diag.line,
		 diag.column, diag.text);
}
