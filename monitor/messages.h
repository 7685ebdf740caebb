/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the fence says, taken in order, one after the other, and answered. */
#ifndef RF_MONITOR_MESSAGES_H
#define RF_MONITOR_MESSAGES_H

#include "monitor/monitor.h"

/* So long a VMM's end may take, once it was ordered (the fence kills its process at once,
 * hv/base.c) or its fence has hung up: gigabytes of memory are to be given back. */
#define RF_MESSAGES_END_NS UINT64_C(10000000000)

/*
 * One message, within its bounds. 0, or -errno: -EPROTO when no fence says that now, which is on
 * record (a question is answered with the VM's end first); else as rf_guest_event().
 */
int rf_message_take(struct rf_guest *g, const union rf_backend_message *m);
/*
 * What has come, to its verdicts: some at most, so that a guest that never stops does not keep its
 * operator out. 0 with *more set when there may be more, -ECONNRESET when the VM is gone, -errno.
 */
int rf_messages_take(struct rf_guest *g, bool *more);
/* Nothing more is taken for now: one could not be recorded, and waits for room in the log; or the
 * VM's end was ordered. */
bool rf_messages_wait(const struct rf_guest *g);
/* The connection is given up for this error: what the fence has said that cannot be is written
 * down. */
void rf_messages_give_up(struct rf_guest *g, int err);

#endif
