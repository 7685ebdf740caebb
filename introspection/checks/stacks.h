/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a guest's threads are in the middle of. */
#ifndef RF_INTROSPECTION_CHECKS_STACKS_H
#define RF_INTROSPECTION_CHECKS_STACKS_H

#include "introspection/checks/inside.h"

/*
 * *out: some thread's stack leads back into one of these functions of the kernel's ('|' between
 * them; one that it has not got is left out). Of a thread that runs also what its stack held
 * before. Stacks are the guest's: who wants it true can have it so. 0, or the errors of inside.h.
 */
int rf_run_is_in(struct rf_run *run, const char *functions, bool *out);

#endif
