// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/gate.h"

#include <errno.h>

#define TYPE_AND_PRESENT (UINT64_C(0x8f) << 40)
#define INTERRUPT_GATE (UINT64_C(0x8e) << 40)

int rf_gate_target(const struct rf_memory *m, const struct rf_paging *p, rf_gva table,
		   uint8_t vector, rf_gva *out)
{
	uint64_t gate[2];
	int r = rf_pt_read(m, p, rf_gva_of(table.v + vector * sizeof(gate)), gate, sizeof(gate));

	if (r)
		return r;
	if ((gate[0] & TYPE_AND_PRESENT) != INTERRUPT_GATE)
		return -ENOENT;
	out->v = (gate[0] & 0xffff) | (gate[0] >> 32 & 0xffff0000) | gate[1] << 32;
	return 0;
}
