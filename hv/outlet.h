/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How command and monitor speak to people: who watches over something waits for no reader. */
#ifndef RF_HV_OUTLET_H
#define RF_HV_OUTLET_H

#include <stdbool.h>

/* Where lines for people go. Whoever reads there may stand still: lines are lost then, and the next
 * one that is taken says how many. */
struct rf_outlet {
	int fd;
	bool terminal, socket;
	bool torn;	   /* of the last line a part was taken */
	unsigned int lost; /* lines since the last one that was taken */
};

/* The descriptor stays the caller's. */
void rf_outlet_to(struct rf_outlet *o, int fd);
/*
 * Opens the same pipe or terminal anew, so that no write waits: an open file description of its
 * own, as the flags of the other one are shared with who else has it. The descriptor,
 * close-on-exec, which the caller closes; or -errno, and *o is as it was: it is something else, or
 * this user may not open it. A socket and a regular file need none.
 */
int rf_outlet_anew(struct rf_outlet *o);
/*
 * lines: each with its newline; who: stands before the word about lost ones. Of more than 4095
 * bytes the rest is left out. ms: how long it may wait for a reader; -1: as long as it takes. Where
 * rf_outlet_anew() failed for a pipe or a terminal it may be longer: room is asked for and is then
 * too little.
 */
void rf_outlet_put(struct rf_outlet *o, const char *who, const char *lines, int ms);

#endif
