/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sealed text and its legal changes: the monitor's table, and the trail of what was done by it. */
#ifndef RF_HV_TEXT_H
#define RF_HV_TEXT_H

#include "hv/board.h"
#include "hv/guestmem.h"

struct rf_vcpu;

/*
 * Applies a store to sealed text that the monitor's table allows, whole or not at all. False: the
 * monitor must be asked (no table, not legal by it, a trap stands there, or the trail has no room).
 * Takes the lock. told: the monitor has said that it is legal, and knows of patchers that are at
 * work without the table's word for it (the kernel's debugger).
 */
bool rf_text_settle(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len, bool told);
/* A store was denied: sites under way that it would have touched get their old bytes back. Takes
 * the lock. */
void rf_text_denied(uint64_t gpa, uint32_t len);
/*
 * Puts back what a site held before its patching began; `flight` is its number on the trail.
 * -ENOENT: it is not under way any more. -EAGAIN: no vCPU has run since text was changed last. Lock
 * held.
 */
int rf_text_restore(uint64_t flight);
/*
 * The VMM has loaded other bytes below the seals, with a state of the same kernel: they become the
 * sealed ones, if all that differs is text, and whole sites of the table as it may leave them.
 * *adopted counts the bytes. 0, or -EPERM with nothing changed. Lock held, gate closed.
 */
int rf_text_adopt(uint32_t *adopted);
/* Takes the table that fd holds (not owned) in place of an earlier one. 0, -EBADMSG, -errno. Takes
 * the lock. */
int rf_text_use(int fd);
/* All sites under way get their old bytes back. Lock held. */
void rf_text_put_back_all(void);
/* Nothing is under way. Lock held. */
void rf_text_reset(void);

/* The text that holds all of the range, or NULL: not sealed as such. Lock held. */
struct rf_overlay *rf_text_at(uint64_t gpa, uint64_t len);

#endif
