// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a policy names that policy/ does not know: checks. */
#include <errno.h>
#include <stdio.h>

#include "cli/policy_file.h"
#include "introspection/checks/check.h"

/* Who writes a check's name wrongly would wait for it to be off. */
static int know_checks(const struct rf_policy *p, const unsigned int *lines,
		       struct rf_policy_diag *diag)
{
	const struct rf_key *key = rf_key_find(NULL, "checks_off");

	for (uint32_t i = 0; i < p->checks_off.count; i++) {
		if (rf_check_named(p->checks_off.name[i]))
			continue;
		*diag = (struct rf_policy_diag){ .line = lines[key - rf_keys], .column = 1 };
		snprintf(diag->text, sizeof(diag->text),
			 "checks_off: there is no check \"%s\"; `ringfence check --list` has them",
			 p->checks_off.name[i]);
		return -EBADMSG;
	}
	return 0;
}

int rf_policy_read_known(const char *word, const char *from, struct rf_policy_diag *diag,
			 struct rf_policy_origin *origin, struct rf_policy *out)
{
	int err = rf_policy_read(word, from, diag, origin, out);

	return err ? err : know_checks(out, origin->lines, diag);
}
