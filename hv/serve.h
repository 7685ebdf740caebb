/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the monitor says, handed to whom it concerns. */
#ifndef RF_HV_SERVE_H
#define RF_HV_SERVE_H

#include "hv/channel.h"

extern const struct rf_channel_handlers rf_serve;

#endif
