/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is wrong with a policy file that was refused, in words for who wrote it: the place, and
 * words of the table of keys. Nothing of the file: whoever may have `ringfence` of root read one
 * (sudo) may not read all that root may, and /etc/shadow is a policy file with a wrong key in
 * line 1.
 */
#ifndef RF_POLICY_WRONG_H
#define RF_POLICY_WRONG_H

#include "policy/keys.h"
#include "policy/places.h"

/* The first thing in the file that the table of keys does not have so; `said` is constant text, for
 * what is none of that. */
void rf_wrong_explain(const struct rf_places *places, const char *said, struct rf_policy_diag *out);

/* Of a file that libcyaml has taken: is a number in it no number but to libcyaml? Then *out says
 * so. */
bool rf_wrong_number(const struct rf_places *places, struct rf_policy_diag *out);
/* Of a file that was read whole: what stands at a key's place. key NULL: the file. Returns
 * -EBADMSG. */
int rf_wrong_at(const struct rf_places *places, const struct rf_key *key,
		struct rf_policy_diag *out, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

#endif
