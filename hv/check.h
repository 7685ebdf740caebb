/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Can a fence have said that? A VMM that was taken over says anything, and what its monitor uses as
 * an index, a length, a count or a kind is bounded here, at one place, before anybody looks at it:
 * the board each time that it is copied, a message each time that one is taken. Pure: what is given
 * is a copy of our own, which nobody changes meanwhile.
 */
#ifndef RF_HV_CHECK_H
#define RF_HV_CHECK_H

#include "hv/backend.h"

/* No fence has more: RF_MAX_VCPUS of hv/vcpu.h. */
#define RF_SAID_VCPUS 1024u
/* A kernel's image, and all that is sealed of it: introspection/kimage.c finds no larger one. */
#define RF_SAID_IMAGE_MAX (UINT64_C(256) << 20)

/* Each: NULL, or constant text that names what no fence says. */
const char *rf_check_board(const struct rf_board *b);
const char *rf_check_hello(const struct rf_msg_hello *m);
const char *rf_check_event(const struct rf_msg_event *m);
const char *rf_check_outcome(const struct rf_msg_outcome *m);
const char *rf_check_done(const struct rf_msg_done *m);
/* Entries of the lists behind the board, made what readers can use: nothing but bounds. */
void rf_bound_heal(struct rf_heal *h);
void rf_bound_flight(struct rf_flight *f);

#endif
