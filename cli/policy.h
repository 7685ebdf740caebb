/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence policy`, one file a verb. Each returns an enum rf_exit and has reported its errors. */
#ifndef RF_CLI_POLICY_H
#define RF_CLI_POLICY_H

#include <stdint.h>

#include "cli/output.h"
#include "cli/policy_file.h"

struct rf_policy_args {
	char **items; /* what follows the verb, NULL-terminated */
	int count;
	bool json;
	uint32_t line;		    /* of the log, 0 not given */
	const char *key;	    /* the secret key, NULL not given */
	uint32_t serial, valid_for; /* of a signature; 0 not given; seconds */
};

/* Are these files policies, and what do they amount to? */
int rf_policy_check(const struct rf_policy_args *a);
/* What may stand in one. */
int rf_policy_keys(const struct rf_policy_args *a);
/* Every key's value, and where it comes from: of a file, a profile, a running VM. */
int rf_policy_show(const struct rf_policy_args *a);
/* Another policy for a running VM. */
int rf_policy_reload(const struct rf_policy_args *a);
/* A signature for it. */
int rf_policy_sign(const struct rf_policy_args *a);
/* Which rule decides one record of a log, under this policy, and why. */
int rf_policy_explain(const struct rf_policy_args *a);
/* What of a log would be decided otherwise. */
int rf_policy_test(const struct rf_policy_args *a);

#endif
