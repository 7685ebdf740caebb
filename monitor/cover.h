/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What stands between an attacker and the use of a sensitive instruction: one table, which the
 * report on a guest is made of. It must never promise more than is in force.
 */
#ifndef RF_MONITOR_COVER_H
#define RF_MONITOR_COVER_H

#include "introspection/x86/gadget.h"

/* What is in force for this guest now. */
struct rf_in_force {
	bool observing;	    /* what would be blocked is let through and recorded: detected */
	bool lstar;	    /* the filter holds LSTAR */
	bool msrs;	    /* and the other MSRs that policy pins */
	bool cr_watch;	    /* pinned bits of CR0 and CR4 are restored */
	bool cr_trap_sites; /* without a watch: a trap stands in the place of each intended load */
	bool cr_compared;   /* CR0 and CR4 are compared as table registers are */
	bool trap_sites;    /* a trap stands in the place of each intended descriptor-table load */
	bool compared;	    /* table registers are compared on the VMM's exits and on a timer */
};

struct rf_cover {
	const char *word; /* "blocked", "undone", "detected", "harmless" or "not covered" */
	const char *by;	  /* what does it, or why not */
};

/* For a kind that is none of them: "not covered". */
struct rf_cover rf_cover_of(const struct rf_in_force *f, enum rf_gadget_kind kind, bool intended);

#endif
