/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What replay.c and replay_patches.c stand on. */
#ifndef RF_POLICY_REPLAY_IMPL_H
#define RF_POLICY_REPLAY_IMPL_H

#include "policy/replay.h"

/* A string of a record, "" where there is none. */
const char *rf_replay_member(const json_t *o, const char *name);
/* The key, if this policy has it off; else NULL. */
const struct rf_key *rf_replay_off(const struct rf_policy *p, const char *section,
				   const char *name);
/* One more decision that it may be. */
void rf_replay_add(struct rf_replay *out, const struct rf_decision *d);

/* Of a record of kind "patches". */
void rf_replay_patches(const json_t *record, const struct rf_policy *p, struct rf_replay *out);

#endif
