// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a policy names that policy/ does not know: checks. */
#include <errno.h>
#include <stdio.h>

#include "cli/policy_file.h"
#include "introspection/checks/check.h"

static int wrong(const struct rf_key *k, const unsigned int *lines, struct rf_policy_diag *diag,
		 const char *name, bool is_guards)
{
	*diag = (struct rf_policy_diag){ .line = lines[k - rf_keys], .column = 1 };
	if (is_guards)
		snprintf(diag->text, sizeof(diag->text),
			 "%s: \"%s\" is looked for by a guard, which `patches` and `pin` are for, "
			 "and on_denied",
			 k->name, name);
	else
		snprintf(diag->text, sizeof(diag->text),
			 "%s: there is no check \"%s\"; `ringfence check --list` has them", k->name,
			 name);
	return -EBADMSG;
}

/* Who writes a check's name wrongly would wait for it to be off, or to end the VM. */
static int know_checks(const struct rf_policy *p, const unsigned int *lines,
		       struct rf_policy_diag *diag)
{
	for (const struct rf_key *k = rf_keys; k < rf_keys + rf_keys_count; k++) {
		const struct rf_names *list = rf_key_names(p, k);

		for (uint32_t i = 0; k->names && !k->of_modules && i < list->count; i++) {
			const struct rf_check *check = rf_check_named(list->name[i]);

			if (!check)
				return wrong(k, lines, diag, list->name[i], false);
			if (check->guard && list != &p->checks_off)
				return wrong(k, lines, diag, list->name[i], true);
		}
	}
	return 0;
}

int rf_policy_read_known(const char *word, const char *from, struct rf_policy_diag *diag,
			 struct rf_policy_origin *origin, struct rf_policy *out)
{
	int err = rf_policy_read(word, from, diag, origin, out);

	return err ? err : know_checks(out, origin->lines, diag);
}
