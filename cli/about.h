/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `list` and `status` say of a VM that its monitor does not: out of its state folder and the
 * end of its log. */
#ifndef RF_CLI_ABOUT_H
#define RF_CLI_ABOUT_H

#include <jansson.h>

#include "cli/control.h"

/* Only this much of the end of a log is looked at: it is asked for each VM of a list. */
#define RF_ABOUT_LOG_BYTES (256u << 10)

/*
 * {"policy_from": {"profile", "name", "sha256"}, "uptime_s", "last_denial"}: null what is not
 * known. last_denial is the last record of this VM, not of an earlier one of its name, whose
 * verdict is another one than "allowed". NULL: no memory.
 */
json_t *rf_about(const struct rf_vm *vm);

/* How it stands in short, by the monitor's "state", "control_watch", "log" and "fence_silent":
 * "sealed", "sealed, watch lost, log full". Returns out. */
#define RF_ABOUT_STATE 80
const char *rf_about_state(const json_t *o, char out[RF_ABOUT_STATE]);

/* Of the same members, for people: "profile strict", "2d 03:04:05", "2024-05-01T10:00:00Z
 * msr-is-pinned"; "-" what is not known. Returns out. */
const char *rf_about_policy(const json_t *about, char *out, size_t size);
const char *rf_about_uptime(const json_t *about, char *out, size_t size);
const char *rf_about_denial(const json_t *about, char *out, size_t size);

#endif
