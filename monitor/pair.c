// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor's end of the pair. */
#include "monitor/pair.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"

#define AT_ONCE 16 /* things said, before an event has its turn */
/* What the sweeper's word alone brings about is written down at most so often. */
#define LINE_NS UINT64_C(1000000000)

/* --- what it is told ------------------------------------------------------------ */

/* Who does not listen is told again when it has said something. */
static void order_kernel(struct rf_guest *g)
{
	const struct rf_order o = { .what = RF_ORDER_KERNEL,
				    .kernel = g->pair.kernel,
				    .generation = g->pair.generation,
				    .control_by_traps = g->control_by_traps,
				    .pins = g->pins,
				    .tables_known = g->tables_known,
				    .checks = g->checks_on };

	g->pair.behind = rf_msg_send(g->pair.fd, &o, sizeof(o), NULL, 0) != 0;
}

void rf_pair_announce(struct rf_guest *g)
{
	uint64_t kernel = g->attached ? g->kernel_event : 0;

	if (!g->pair.fd || g->pair.sweeper || (!kernel && !g->pair.kernel))
		return;
	g->pair.kernel = kernel;
	g->pair.generation++;
	order_kernel(g);
}

int rf_pair_ask(struct rf_guest *g, const struct rf_guard *guard, int client)
{
	const struct rf_order o = { .what = RF_ORDER_ASK,
				    .guard = rf_guards_row(guard),
				    .watched = rf_watched_is_on(g, true),
				    .asked = g->asked };

	if (!g->pair.fd || !g->attached || guard->in_monitor)
		return -ENOTCONN;
	return rf_msg_send(g->pair.fd, &o, sizeof(o), &client, 1) ? -EAGAIN : 0;
}

/* From here on the monitor does what a sweeper would. */
static int alone(struct rf_guest *g, const char *why)
{
	close(g->pair.fd);
	g->pair.fd = 0;
	return rf_note(g, "sweeper", "the monitor does its work", why);
}

/*
 * `run` holds both ends, so that no sweeper ends the pair: not by a packet of no bytes, which is
 * passed over. Else whoever has taken one over would get the monitor to walk what it was taken over
 * by. Only where `run` is gone is it the end.
 */
static int on_silence(struct rf_guest *g)
{
	struct pollfd p = { .fd = g->pair.fd };

	if (poll(&p, 1, 0) <= 0 || !(p.revents & POLLHUP))
		return 0;
	if (rf_run_is_gone(g))
		return alone(g, "`ringfence run` is gone, and nobody else would start another one");
	g->pair.shut = true;
	return rf_note(g, "sweeper", "cut off",
		       "nothing is swept until another monitor takes over");
}

/* Is it time for another line of the sweeper's making? */
static bool may_write(struct rf_guest *g)
{
	uint64_t now = rf_now_ns();

	if (g->pair.wrote_ns && now - g->pair.wrote_ns < LINE_NS)
		return false;
	g->pair.wrote_ns = now;
	return true;
}

/* Its eyes. What does not go through is tried again. */
static void order_look(struct rf_guest *g)
{
	const struct rf_order o = { .what = RF_ORDER_LOOK };
	int fds[RF_SHARED];

	g->hv->ops->share(g->hv, fds);
	g->pair.blind = rf_msg_send(g->pair.fd, &o, sizeof(o), fds, RF_SHARED) != 0;
	g->pair.behind = true;
}

static int on_hello(struct rf_guest *g, const struct rf_found *f)
{
	char text[96];

	if (!g->hv->ops->share)
		return alone(g, "this hypervisor's backend cannot be shared");
	g->pair.sweepers++;
	if (f->count != 1 || f->values[0] != RF_PAIR_REVISION)
		return may_write(g) ? rf_note(g, "sweeper", "not let in",
					      "it is of another release than this monitor: nothing "
					      "is swept until another monitor takes over")
				    : 0;
	order_look(g);
	if (g->pair.sweepers == 1 || !may_write(g))
		return 0;
	snprintf(text, sizeof(text),
		 "this monitor's number %u; what the last one had not finished is looked at again",
		 g->pair.sweepers);
	return rf_note(g, "sweeper", "started again", text);
}

static int on_endless(struct rf_guest *g, const struct rf_found *f)
{
	static const struct rf_unit other = { 0, "finding a name or a kernel's tables" };
	uint32_t rows = rf_guards_row(NULL);
	const struct rf_unit *unit = f->guard >= rows ? &other
				     : f->kind	      ? &rf_guards[f->guard]->step_unit
						      : &rf_guards[f->guard]->sweep_unit;

	if ((unit != &other && !unit->what) || !may_write(g))
		return 0;
	return rf_unit_endless(g, unit);
}

static int take(struct rf_guest *g, const struct rf_found *f)
{
	g->pair.heard_ns = rf_now_ns();
	if (f->count > RF_FOUND_VALUES)
		return 0;
	switch (f->what) {
	case RF_FOUND_HELLO:
		return on_hello(g, f);
	case RF_FOUND_ALIVE:
		memcpy(g->pair.alive, f->values, sizeof(g->pair.alive));
		g->sweeps = f->values[RF_ALIVE_SWEEPS];
		g->pair.behind |=
			f->values[RF_ALIVE_GENERATION] != g->pair.generation && g->pair.kernel;
		return 0;
	case RF_FOUND_ENDLESS:
		return on_endless(g, f);
	case RF_FOUND_HINT:
		return g->attached && f->kernel == g->kernel_event
			       ? rf_guards_found(g, f->guard, f->kind, f->values, f->count)
			       : 0;
	}
	return 0;
}

int rf_pair_take(struct rf_guest *g)
{
	for (int i = 0; i < AT_ONCE && g->pair.fd && !g->pair.shut; i++) {
		struct rf_found f;
		ssize_t n = rf_packet_receive(g->pair.fd, 0, &f, sizeof(f), NULL, 0);
		int err;

		if (n == -EAGAIN)
			break;
		if (n < 0)
			err = on_silence(g);
		else
			err = n == (ssize_t)sizeof(f) ? take(g, &f) : 0;
		if (err)
			return err;
	}
	if (g->pair.fd && g->pair.blind)
		order_look(g);
	if (g->pair.fd && g->pair.behind && !g->pair.blind)
		order_kernel(g);
	return 0;
}

json_t *rf_pair_status(const struct rf_guest *g)
{
	uint64_t silent_ns = g->pair.heard_ns ? rf_now_ns() - g->pair.heard_ns : 0;
	bool follows = g->pair.fd && !g->pair.shut && g->pair.kernel &&
		       g->pair.alive[RF_ALIVE_GENERATION] == g->pair.generation;

	return json_pack("{s:b, s:I, s:I, s:I, s:b, s:f}", "alone", !g->pair.fd, "started",
			 (json_int_t)g->pair.sweepers, "pid",
			 (json_int_t)(uint32_t)g->pair.alive[RF_ALIVE_PID], "rss_kib",
			 (json_int_t)(uint32_t)g->pair.alive[RF_ALIVE_RSS_KIB], "follows", follows,
			 "silent_s", (double)silent_ns / 1e9);
}
