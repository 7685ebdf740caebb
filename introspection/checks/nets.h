/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces. */
#ifndef RF_INTROSPECTION_CHECKS_NETS_H
#define RF_INTROSPECTION_CHECKS_NETS_H

#include "introspection/checks/inside.h"

/*
 * struct net of each. The first one, whose place is known, is looked at also where somebody took it
 * off the list of them; that it is not there is told.
 */
int rf_run_nets(struct rf_run *run, rf_object_fn fn, void *ctx);

#endif
