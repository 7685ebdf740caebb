/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a member of a struct of the guest's holds, in words. */
#ifndef RF_CLI_PRINT_VALUE_H
#define RF_CLI_PRINT_VALUE_H

#include "cli/subject.h"

#define RF_VALUE_TEXT 400
/* bytes[0..size): the struct that f->bit counts from. "" of structs, whose members follow. */
void rf_value_text(const struct rf_subject *s, const struct rf_field *f, const uint8_t *bytes,
		   uint64_t size, char out[RF_VALUE_TEXT]);
/* It has not whole bytes. */
bool rf_value_is_bits(const struct rf_field *f);

#endif
