/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions and what is told: a vCPU has at most one question open, and while it is open the guest
 * does not run there (hv/vcpu.h). A question is sent to whichever monitor is connected, and to the
 * next one again, until its verdict is there or it is dropped.
 */
#ifndef RF_HV_EVENT_H
#define RF_HV_EVENT_H

#include "hv/vcpu.h"

void rf_event_init(void);
/* Another monitor is talked to, which has no question yet. Ids below the result have been used. */
uint64_t rf_event_hello(void);

/* Clears v->wait for a question that is about to be filled in. */
void rf_event_new(struct rf_vcpu *v);
/* v->wait.event, filled in but for what all events have, is asked: the vCPU is RF_ASKING. */
void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind);
/*
 * Waits for the verdict. 0: it is in v->wait.verdict, and the vCPU is RF_OUT. -EINTR: the VMM wants
 * the thread back first, and the question stays open. -ECANCELED: it was dropped.
 */
int rf_event_take(struct rf_vcpu *v);
/* A verdict other than ALLOW was carried out, or one could not be. Kept and counted as what is
 * told, with less room, so that no guest keeps out what the VMM does. */
void rf_event_outcome(struct rf_vcpu *v, int status);
/* A question has become moot; any thread, with the vCPU outside. */
void rf_event_drop(struct rf_vcpu *v);

/* Something no verdict is awaited of. regs of v, where it is not NULL. Kept until a monitor has it,
 * as far as there is room: the newest are lost, and counted. */
void rf_event_tell(struct rf_vcpu *v, enum rf_event_kind kind, uint32_t cause, uint32_t adopted);

/* --- by the channel's thread --------------------------------------------------- */

/* A monitor has come: it gets every question that has no verdict yet. */
void rf_event_connected(void);
/* What could not be sent is tried again. True: there is still something. */
bool rf_event_retry(void);
void rf_event_verdict(const struct rf_msg_verdict *m);

#endif
