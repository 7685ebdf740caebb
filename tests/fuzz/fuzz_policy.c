// SPDX-License-Identifier: LGPL-2.1-or-later
/* A policy file of any bytes: parsed or refused with a reason, and what is parsed is a policy that
 * decides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct rf_facts nothing = { 0 };
	struct rf_policy_diag diag = { 0 };
	struct rf_decision d;
	struct rf_policy p;
	int err;

	/* Past the limit each input is the same one. */
	err = size > 4096 ? -EFBIG : rf_policy_parse((const char *)data, size, &diag, &p);
	if (err == -EBADMSG && (!diag.text[0] || !diag.line || !diag.column))
		abort();
	if (err)
		return 0;
	if (rf_policy_decide(&p, &nothing, &d) || d.word != RF_WORD_BLOCKED ||
	    p.dma_sweep_ms < RF_POLICY_SWEEP_MIN || p.dma_sweep_ms > RF_POLICY_SWEEP_MAX)
		abort();
	return 0;
}
