// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/replay_impl.h"

const char *rf_replay_member(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

const struct rf_key *rf_replay_off(const struct rf_policy *p, const char *section, const char *name)
{
	const struct rf_key *k = rf_key_find(section, name);

	return rf_key_get(p, k) ? NULL : k;
}

void rf_replay_add(struct rf_replay *out, const struct rf_decision *d)
{
	for (size_t i = 0; i < out->count; i++)
		if (out->would[i].word == d->word && out->would[i].action == d->action)
			return;
	if (out->count < RF_REPLAY_WOULD)
		out->would[out->count++] = *d;
}
