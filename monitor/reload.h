/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Another policy while the VM runs (policy/reload.h says which one may be). `ringfence run` hands
 * it over, by a socket pair of packets that each monitor has of its own.
 *
 * A process judges by one policy all its life. A monitor that takes another one writes that down,
 * answers, and ends: nothing is asked of it any more, its table of patch sites is withdrawn, and
 * who waits for a verdict gets it of the next monitor, which takes over as always, by the new
 * policy. `run` starts that one, and its sweeper. Whatever dies when, there is no way back: `run`
 * has the new policy in place of the old one before it starts anybody.
 */
#ifndef RF_MONITOR_RELOAD_H
#define RF_MONITOR_RELOAD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "policy/reload.h"

struct rf_guest;

#define RF_RELOAD_REVISION 1 /* of these messages */

/* With a descriptor of the file's bytes, a regular one. */
struct rf_reload_order {
	uint32_t revision;
	uint32_t taken;	   /* `run` takes it; 0: it is to be written down that it does not */
	uint32_t uid;	   /* who asks */
	uint32_t note_len; /* of what came as the signature; 0: nothing did */
	char note[RF_NOTE_BYTES];
};

struct rf_reload_reply {
	uint32_t revision;
	uint32_t accepted; /* 1: it is on record, and this monitor ends */
	char sha256[RF_SHA256_TEXT];
	char why[RF_RELOAD_TEXT]; /* it was refused */
};

/* What a monitor knows of it; of its process, not of the kernel. */
struct rf_reloads {
	int fd;			       /* from `run`; 0 none */
	const struct rf_note_key *key; /* that loosens; NULL none */
	uint64_t serial;	       /* of the last signed policy, 0 none */
	uint32_t count;		       /* policies that came after the first one */
	char sha256[RF_SHA256_TEXT];   /* of the policy in force, "" it is no file */
};

/* Writes down which policy is in force: first, of the VM's first monitor, or where it is another
 * one than at the VM's start. 0 or -errno. */
int rf_reload_begin(struct rf_guest *g, bool first);
#define RF_RELOADED 1
/* What `run` wants, or tells (monitor/watched.h). 0, RF_RELOADED: this monitor's time is over; or
 * -errno. */
int rf_reload_take(struct rf_guest *g);
/* For "status": {"count", "serial", "key", "sha256"}; NULL: no memory. */
json_t *rf_reload_status(const struct rf_guest *g);

#endif
