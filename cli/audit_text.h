/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A member of a record in words. What is returned still holds what the guest claims. */
#ifndef RF_CLI_AUDIT_TEXT_H
#define RF_CLI_AUDIT_TEXT_H

#include <stddef.h>

#include <jansson.h>

/* Of target, writer or handler: "sys_call_table+0x190 [module]", the bare address, or "-". */
void rf_place_text(const json_t *o, char *out, size_t size);

#endif
