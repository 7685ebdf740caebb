/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_TESTS_PLANTED_LOOK_ALL_H
#define RF_TESTS_PLANTED_LOOK_ALL_H

#include "introspection/checks/check.h"

/*
 * Runs each check and prints what it says, a JSON object a line: of each check {"check", "state",
 * "why", "seconds", "objects", "reads", "round"}, and before it of each of its findings {"finding"
 * (the check), "object", "target", "what", "owner", "symbol", "reason", "round"}. 0 or -ENOMEM.
 */
int look_at_all(struct rf_checks *c, int round);

#endif
