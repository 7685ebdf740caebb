// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/watched.h"

#include "monitor/monitor.h"

void rf_watched_take(struct rf_guest *g, struct rf_watched_report *r)
{
	if (r->revision != RF_WATCHED_REVISION)
		return;
	r->why[sizeof(r->why) - 1] = '\0';
	/* A monitor that comes while it is lost says so anew. */
	if (r->lost && !g->watched.lost)
		rf_note(g, "control-watch", "lost", r->why);
	else if (!r->lost && g->watched.lost)
		rf_note(g, "control-watch", "back",
			"writes to CR0 and CR4 are watched again; what was cleared meanwhile was "
			"not undone");
	g->watched.lost = r->lost;
	g->watched.heard_ns = rf_now_ns();
}

static bool is_fresh(const struct rf_guest *g)
{
	return g->watched.heard_ns &&
	       rf_now_ns() - g->watched.heard_ns <= RF_WATCHED_MS * UINT64_C(1000000);
}

bool rf_watched_is_on(const struct rf_guest *g, bool watched)
{
	return watched && is_fresh(g) && !g->watched.lost;
}

const char *rf_watched_text(const struct rf_guest *g, bool watched)
{
	return !watched ? "off" : !is_fresh(g) ? "unknown" : g->watched.lost ? "lost" : "on";
}
