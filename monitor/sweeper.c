// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The sweeper: what walks the guest on a schedule, in a process of its own. It is given its eyes by
 * the monitor, knows the kernel from sealed memory alone, and tells what it finds.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "monitor/monitor.h"
#include "monitor/sandbox.h"

#define AT_ONCE 16 /* orders, before what is swept has its turn */

struct sweeper {
	struct rf_guest *g;
	uint64_t told_ns;    /* that it is alive */
	uint64_t generation; /* that it follows; 0 none */
	uint64_t complained; /* of which it did last */
};

/* --- orders --------------------------------------------------------------------- */

/* Receives one; fds: as many as come with it, -1 else. 0, -EAGAIN, or -ECONNRESET. */
static int receive(struct rf_guest *g, int timeout_ms, struct rf_order *o, int fds[RF_SHARED])
{
	ssize_t n;

	for (int i = 0; i < RF_SHARED; i++)
		fds[i] = -1;
	n = rf_packet_receive(g->pair.fd, timeout_ms, o, sizeof(*o), fds, RF_SHARED);
	if (n < 0)
		return (int)n;
	return n == (ssize_t)sizeof(*o) ? 0 : -ECONNRESET;
}

static void close_all(const int fds[RF_SHARED])
{
	for (int i = 0; i < RF_SHARED; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* What another sweeper did not read is none of ours, nor may it get in front of our own. */
static int pass_over_old(struct rf_guest *g)
{
	struct rf_order o;
	int fds[RF_SHARED], err;

	while (!(err = receive(g, 0, &o, fds)))
		close_all(fds);
	return err == -EAGAIN ? 0 : err;
}

static int say_hello(struct rf_guest *g)
{
	const struct rf_found f = { .what = RF_FOUND_HELLO,
				    .count = 1,
				    .values = { RF_PAIR_REVISION } };

	return rf_msg_send(g->pair.fd, &f, sizeof(f), NULL, 0) ? -ECONNRESET : 0;
}

/* Both who started us and the monitor take silence for a hang. */
static int tell_alive(struct sweeper *s)
{
	struct rf_guest *g = s->g;
	struct rf_found f = { .what = RF_FOUND_ALIVE,
			      .count = 4,
			      .values = { [RF_ALIVE_GENERATION] = s->generation,
					  [RF_ALIVE_PID] = (uint64_t)getpid(),
					  [RF_ALIVE_RSS_KIB] = (uint64_t)rf_rss_kib(),
					  [RF_ALIVE_SWEEPS] = g->sweeps } };

	if (rf_now_ns() - s->told_ns < RF_ALIVE_NS)
		return 0;
	s->told_ns = rf_now_ns();
	rf_notify(g, "alive");
	return rf_msg_send(g->pair.fd, &f, sizeof(f), NULL, 0) ? -ECONNRESET : 0;
}

/* --- the VM --------------------------------------------------------------------- */

/* Waits for what is looked at. 0 or -errno. */
static int get_eyes(struct sweeper *s)
{
	struct rf_guest *g = s->g;
	int fds[RF_SHARED], err;
	struct rf_order o;

	for (;;) {
		err = receive(g, (int)(RF_ALIVE_NS / 1000000), &o, fds);
		if (!err && o.what == RF_ORDER_LOOK)
			break;
		if (!err)
			close_all(fds);
		if (!err || err == -EAGAIN)
			err = tell_alive(s);
		if (err)
			return err;
	}
	err = rf_backend_kvm_view(fds, &g->hv);
	if (err)
		close_all(fds);
	return err ? err : rf_sandbox_attached(-1, false);
}

static void forget(struct rf_guest *g)
{
	rf_guards_forget(g);
	rf_kernel_destroy(g->kernel);
	g->kernel = NULL;
	g->kernel_event = 0;
	g->regions_count = g->traps_count = 0;
}

static int learn(struct rf_guest *g, const struct rf_backend_info *info, struct rf_diag *diag)
{
	int err;

	g->paging = rf_paging_of(info->cr3, info->cr4);
	err = rf_sealed_kernel(g, info, info->lstar, diag);
	if (err)
		return err;
	rf_kernel_paging(g->kernel, &g->paging);
	rf_sealed_traps(g, info);
	for (uint32_t i = 0; i < info->regions_count; i++)
		g->regions[i].region = info->regions[i];
	g->regions_count = info->regions_count;
	return rf_guards_follow(g);
}

/* The board may be ahead of the order, or moving: the monitor orders again what is not followed. */
static int follow(struct sweeper *s, const struct rf_order *o)
{
	struct rf_guest *g = s->g;
	struct rf_diag diag = { "" };
	struct rf_backend_info info;
	struct rf_budget outer;
	int err, ended;

	if (o->generation == s->generation)
		return 0;
	s->generation = 0;
	forget(g);
	if (!o->kernel || g->hv->ops->info(g->hv, &info) || info.kernel != o->kernel ||
	    info.state != RF_VM_SEALED)
		return 0;
	g->kernel_event = o->kernel;
	g->control_by_traps = o->control_by_traps;
	g->pins = o->pins;
	g->tables_known = o->tables_known;
	g->checks_on = o->checks;
	outer = rf_unit_begin(g, &rf_unit_kernel);
	err = learn(g, &info, &diag);
	ended = rf_unit_end(g, &rf_unit_kernel, &outer);
	if (!err) {
		s->generation = o->generation;
		return ended;
	}
	if (s->complained != o->generation)
		rf_complain(g, "the sweeper cannot read the sealed kernel: %s",
			    diag.text[0] ? diag.text : strerror(-err));
	s->complained = o->generation;
	forget(g);
	return ended;
}

static void answer(struct rf_guest *g, const struct rf_order *o, int client)
{
	if (o->guard >= rf_guards_row(NULL) || !rf_guards[o->guard]->reply)
		return;
	if (!g->kernel) { /* the monitor has one: it is not read yet */
		rf_reply_not_yet(client);
		return;
	}
	g->watched = (struct rf_watched){ .lost = !o->watched, .heard_ns = rf_now_ns() };
	g->asked = o->asked;
	rf_reply(client, rf_guards_reply(g, rf_guards[o->guard]));
}

static int take_orders(struct sweeper *s)
{
	struct rf_order o;
	int fds[RF_SHARED], err;

	/* Who asks without end must not keep it from its own work. */
	for (int i = 0; i < AT_ONCE && !(err = receive(s->g, 0, &o, fds)); i++) {
		if (o.what == RF_ORDER_KERNEL)
			err = follow(s, &o);
		else if (o.what == RF_ORDER_ASK && fds[0] >= 0)
			answer(s->g, &o, fds[0]);
		close_all(fds);
		if (!err)
			err = tell_alive(s);
		if (err)
			return err;
	}
	return err == -EAGAIN ? 0 : err;
}

int rf_sweeper_run(struct rf_guest *g)
{
	struct sweeper s = { .g = g };
	int err = pass_over_old(g);

	if (!err)
		err = say_hello(g);
	rf_notify(g, "ready");
	if (!err)
		err = get_eyes(&s);
	while (!err) {
		struct pollfd p = { .fd = g->pair.fd, .events = POLLIN };

		poll(&p, 1, rf_guards_busy(g) ? 0 : RF_TICK_MS);
		err = tell_alive(&s);
		if (!err)
			err = take_orders(&s);
		if (!err)
			err = rf_guards_step(g);
		if (!err)
			err = rf_guards_sweep(g);
	}
	return err == -ECONNRESET ? 0 : err;
}
