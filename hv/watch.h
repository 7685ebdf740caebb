/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The watched page: one word whose taking a value is the moment to seal. */
#ifndef RF_HV_WATCH_H
#define RF_HV_WATCH_H

#include "hv/span.h"
#include "hv/vcpu.h"

/*
 * len 4 or 8, gpa a multiple of it, in RAM; replaces all overlays. Lock held; closes the gate.
 * 0, -EALREADY: the word has the value, -EINVAL, -errno; nothing changed on failure.
 */
int rf_watch_arm(uint64_t gpa, uint32_t len, uint64_t value);
/* What is there is not waited for any more; the overlay is replaced by the caller. Gate closed. */
void rf_watch_disarm(void);
bool rf_watch_armed(void);
/* For the event: which word, which value. */
void rf_watch_describe(struct rf_msg_event *ev);
/* KVM_RUN said -EFAULT with a watch armed: lets the one store through. Result as KVM_RUN's. */
int rf_watch_step(struct rf_vcpu *v, bool *hit);
/*
 * Performs a store to the watched page that came as an MMIO exit (a KVM without a second page-table
 * stage). False, and nothing is done, when the bytes are sealed by now. Takes the lock.
 */
bool rf_watch_store(uint64_t gpa, const uint8_t *bytes, uint32_t len, bool *hit);

#endif
