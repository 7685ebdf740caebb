/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's control-register watch, as `ringfence run` sees it: it looks each second, and tells
 * the monitor that serves, by the socket pair of monitor/reload.h. The monitor writes down when it
 * is lost and when it is back, and shows what it was told last; what is older than RF_WATCHED_MS
 * says nothing any more.
 */
#ifndef RF_MONITOR_WATCHED_H
#define RF_MONITOR_WATCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_guest;

#define RF_WATCHED_REVISION 1
#define RF_WATCHED_MS 5000
#define RF_WATCHED_WHY 256

/* One packet, without a descriptor. */
struct rf_watched_report {
	uint32_t revision;
	uint32_t lost;		  /* 0: it is on */
	char why[RF_WATCHED_WHY]; /* it is lost */
};

/* What a monitor was told. */
struct rf_watched {
	bool lost;
	uint64_t heard_ns; /* 0 never */
};

/* Such a packet has come. */
void rf_watched_take(struct rf_guest *g, struct rf_watched_report *r);
bool rf_watched_is_on(const struct rf_guest *g, bool watched);
/* For "status": "off", "on", "lost", or "unknown": nobody looks. watched: the fence has a page. */
const char *rf_watched_text(const struct rf_guest *g, bool watched);

#endif
