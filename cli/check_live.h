/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* `ringfence check --live`: what the checks of a VM's monitor have found so far. */
#ifndef RF_CLI_CHECK_LIVE_H
#define RF_CLI_CHECK_LIVE_H

#include <stdbool.h>

#include "cli/command.h"
#include "cli/options.h"

/* operands: a VM, and names of checks, none: all. An exit code. */
int rf_check_live(const struct rf_command *c, const struct rf_operands *operands, bool json);

#endif
