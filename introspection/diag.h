/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Filling a diagnostic: one line, for the person who reads it. */
#ifndef RF_INTROSPECTION_DIAG_H
#define RF_INTROSPECTION_DIAG_H

#include <stdarg.h>
#include <stdio.h>

#include "introspection/memory.h"

/* Sets the text (diag may be NULL) and returns err, so that a parser can fail in one statement. */
__attribute__((format(printf, 3, 4))) static inline int rf_diag_fail(struct rf_diag *diag, int err,
								     const char *format, ...)
{
	va_list args;

	if (diag) {
		va_start(args, format);
		vsnprintf(diag->text, sizeof(diag->text), format, args);
		va_end(args);
	}
	return err;
}

#endif
