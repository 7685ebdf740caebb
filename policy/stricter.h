/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Two policies, key by key: which one is the stricter. What that means the table of keys says. */
#ifndef RF_POLICY_STRICTER_H
#define RF_POLICY_STRICTER_H

#include "policy/keys.h"

enum rf_change {
	RF_CHANGE_NONE,
	RF_CHANGE_TIGHTER,
	RF_CHANGE_LOOSER,
	RF_CHANGE_NEVER, /* no signature lets it: the key is fixed, or the fence holds the VM to it
			  */
};

enum rf_change rf_key_change(const struct rf_key *k, const struct rf_policy *from,
			     const struct rf_policy *to);

/*
 * The keys that change in one of these ways (1 << enum rf_change), with both values: "mode: observe
 * -> enforce; patches.owners: [a, b] -> [a]". What has no room is left out, and " ..." says so.
 * Returns out, which is "" where there is none.
 */
const char *rf_changes_text(const struct rf_policy *from, const struct rf_policy *to, uint32_t ways,
			    char *out, size_t size);
/* A key's value, of names all of them, as far as there is room. Returns out. */
const char *rf_key_whole_value(const struct rf_key *k, const struct rf_policy *p, char *out,
			       size_t size);
const char *rf_change_text(enum rf_change c); /* "tighter" */
/* "observe < enforce, never looser", "fixed", "the smaller number": which value is stricter.
 * Returns out. */
const char *rf_key_way_text(const struct rf_key *k, char out[RF_KEY_LEGAL]);

#endif
