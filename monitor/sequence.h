/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What may come when. hv/check.h says what each message of a fence can be by itself; here is what
 * it can be after those before it: which kinds in which state of the VM, by what the monitor itself
 * has asked for and been told, and each number once. A VMM that was taken over says anything in any
 * order; an honest fence says nothing else than what is let here (hv/event.c, hv/life_table.c).
 *
 * What looks out of order and is not: a vCPU may be about to ask when another thread releases what
 * it asks about, so that its question comes behind the news. It is one question of each vCPU, as it
 * waits for the answer, and of a kind that went with a state before. Before a monitor has come any
 * number of things may have been told; they are let, once each.
 */
#ifndef RF_MONITOR_SEQUENCE_H
#define RF_MONITOR_SEQUENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/backend.h"

/* As hv/life_table.h's, and whether a kernel was announced. */
enum rf_sequence_state {
	RF_SEQUENCE_NOTHING, /* no kernel since the start, or a release */
	RF_SEQUENCE_FOUND,   /* one was announced */
	RF_SEQUENCE_WATCHED, /* its watched word is armed */
	RF_SEQUENCE_SEALED,
	RF_SEQUENCE_HALTED,
};

/* Numbers that came, of the newest so many: what is older nobody knows any more. */
#define RF_SEQUENCE_WINDOW (1u << 16)
struct rf_sequence_seen {
	uint64_t top; /* the highest */
	uint64_t bits[RF_SEQUENCE_WINDOW / 64];
};

struct rf_sequence {
	enum rf_sequence_state state;
	uint32_t been;	/* a bit for each state that it was in */
	uint64_t first; /* numbers below it were given before this monitor came */
	struct rf_sequence_seen events, outcomes;
	struct {
		uint64_t last; /* question that it asked, 0 none */
		bool open;     /* that one's outcome may come */
		bool late;     /* its next question may be of an earlier state */
	} vcpus[RF_BACKEND_VCPU_IDS];
};

/* As the fence is when this monitor has come to it. */
void rf_sequence_begin(struct rf_sequence *o, const struct rf_backend_info *info);
/* Commands that the fence has carried out. */
void rf_sequence_watched(struct rf_sequence *o);
void rf_sequence_sealed(struct rf_sequence *o);
/* The next message, within its bounds. NULL, or constant text that says why it cannot be. */
const char *rf_sequence_event(struct rf_sequence *o, const struct rf_msg_event *ev);
const char *rf_sequence_outcome(struct rf_sequence *o, const struct rf_msg_outcome *m);
/* Is an answer awaited of it? */
bool rf_sequence_asks(enum rf_event_kind kind);

#endif
