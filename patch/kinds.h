/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kinds of sites by name: the monitor's, the fence counts them by number. */
#ifndef RF_PATCH_KINDS_H
#define RF_PATCH_KINDS_H

#include "patch/table.h"

/* For the record and for people: "jump_label", ... */
const char *rf_site_kind_text(enum rf_site_kind kind);

#endif
