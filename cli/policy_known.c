// SPDX-License-Identifier: LGPL-2.1-or-later
/* A policy whose names are known. */
#include <errno.h>
#include <stdio.h>

#include "cli/output.h"
#include "cli/policy_file.h"
#include "monitor/policy_known.h"

int rf_policy_read_known(const char *word, const char *from, struct rf_policy_diag *diag,
			 struct rf_policy_origin *origin, struct rf_policy *out)
{
	int err = rf_policy_read(word, from, diag, origin, out);

	return err ? err : rf_policy_know(out, origin->lines, diag);
}

int rf_policy_take(const char *word, struct rf_policy_origin *origin, struct rf_policy *out)
{
	struct rf_policy_diag diag = { 0 };
	int err = rf_policy_read_known(word, NULL, &diag, origin, out);

	if (!err)
		return RF_EXIT_OK;
	if (err == -EBADMSG)
		return rf_fail(RF_EXIT_NO,
			       "a policy that is not valid is not shown, signed or judged by",
			       "correct it; `ringfence policy keys` lists what may stand in it, "
			       "`ringfence check --list` the checks",
			       "%s:%u:%u: %s", word, diag.line, diag.column, diag.text);
	return rf_fail(RF_EXIT_NOT_FOUND, "there is no policy to look at",
		       "give the path of a file, or a profile: " RF_PROFILES, "policy %s: %s", word,
		       rf_policy_problem(err));
}
