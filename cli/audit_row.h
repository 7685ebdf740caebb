/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A record as a row of `audit tail`. */
#ifndef RF_CLI_AUDIT_ROW_H
#define RF_CLI_AUDIT_ROW_H

#include <jansson.h>

#define RF_ROW_CELLS 8

struct rf_row {
	char time[32], event[24], target[200], writer[200], task[64];
	char about[4096]; /* whole, however long: the end of a cause may be what matters */
	const char *cell[RF_ROW_CELLS];
};

/* Cells are of *c or of the record, NULL for what it does not have; not made safe yet. */
void rf_row_fill(json_t *o, struct rf_row *c);

#endif
