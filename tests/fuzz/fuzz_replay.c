// SPDX-License-Identifier: LGPL-2.1-or-later
/* A line of a log, any bytes of which may be the guest's: judged by each policy that judges
 * otherwise, with a text for what it would be. */
#include <stdlib.h>
#include <string.h>

#include "policy/replay.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void judge(const json_t *record, const struct rf_policy *p)
{
	struct rf_replay r;
	char text[160];

	rf_replay(record, p, &r);
	rf_replay_text(&r, p, text, sizeof(text));
	if (!text[0] || (r.what == RF_REPLAY_DECIDED && !r.count))
		abort();
	/* What is not known must not pass for what is as it was. */
	if (r.what == RF_REPLAY_NOT_KNOWN && (rf_replay_same(&r) || !r.why))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *record = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	struct rf_policy p;

	for (size_t i = 0; json_is_object(record) && i < rf_keys_count; i++)
		for (const struct rf_key_word *w = rf_keys[i].words; w && w->text; w++) {
			rf_policy_default(&p);
			rf_key_set(&p, &rf_keys[i], w->value);
			judge(record, &p);
		}
	json_decref(record);
	return 0;
}
