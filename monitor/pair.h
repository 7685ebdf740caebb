/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The monitor and its sweeper. Verdicts are the monitor's, and whatever walks the guest on a
 * schedule is the sweeper's: another process, which sees what the monitor sees (share() of
 * hv/backend.h), can do nothing to the VM, and may be slow, hang or die without a verdict waiting
 * for it. A socket pair of packets is between them.
 *
 * What the sweeper says is no more than a claim: the monitor looks for itself, or does nothing with
 * it that a list in guest memory could not have led to as well.
 *
 * Without a sweeper the monitor does its work, too: alone.
 */
#ifndef RF_MONITOR_PAIR_H
#define RF_MONITOR_PAIR_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

struct rf_guard;
struct rf_guest;
struct rf_unit;

#define RF_PAIR_REVISION 4 /* of these messages, and of what a row or a kind means */

enum rf_found_what {
	RF_FOUND_HELLO = 1,   /* a sweeper has come; values: RF_PAIR_REVISION */
	RF_FOUND_ALIVE = 2,   /* each second; values: enum rf_alive */
	RF_FOUND_ENDLESS = 3, /* a unit's reads were not enough */
	RF_FOUND_HINT = 4,    /* for the guard's found() */
};

enum rf_alive { RF_ALIVE_GENERATION, RF_ALIVE_PID, RF_ALIVE_RSS_KIB, RF_ALIVE_SWEEPS };

#define RF_FOUND_VALUES 28

struct rf_found {
	uint32_t what;
	uint32_t guard;	 /* its row; ENDLESS: RF_GUARDS_MAX when the unit is none of a guard's */
	uint32_t kind;	 /* HINT: the guard's own; ENDLESS: 1 it was a step */
	uint32_t count;	 /* values, RF_FOUND_VALUES at most */
	uint64_t kernel; /* of which it was found; of another one it means nothing */
	uint64_t values[RF_FOUND_VALUES];
};

enum rf_order_what {
	RF_ORDER_LOOK = 1,   /* with RF_SHARED descriptors: the VM */
	RF_ORDER_KERNEL = 2, /* what is sealed now */
	RF_ORDER_ASK = 3,    /* with a client's socket, who is answered and let go */
};

/* Guest memory that somebody asks for; at and pages 0: the map of it (monitor/memory.c map()). */
#define RF_ASKED_PAGES 16u /* at once: the answer must fit into a socket's buffer */
struct rf_asked {
	uint64_t at; /* guest-physical, a page's first byte */
	uint32_t pages;
};

struct rf_order {
	uint32_t what;
	uint32_t guard;	     /* ASK: whose command it is, its row */
	uint64_t kernel;     /* KERNEL: the event that announced it; 0: there is none */
	uint64_t generation; /* KERNEL: another one, another knowledge, be it of the same kernel */
	bool control_by_traps, pins, tables_known, checks;
	bool watched;	       /* ASK: CR0 and CR4, by who looks for it (monitor/watched.h) */
	struct rf_asked asked; /* ASK: of what */
};

/* Where there can be memory, and no more of it than at once. */
bool rf_asked_is_sane(const struct rf_asked *a);

struct rf_pair {
	int fd;			     /* 0: alone */
	bool sweeper;		     /* this process is it */
	bool behind, blind;	     /* the last KERNEL order, or LOOK, did not go through */
	bool shut;		     /* nobody is at the other end, and nobody will be */
	uint64_t kernel, generation; /* as was last ordered */
	uint32_t sweepers;	     /* that have come so far */
	uint64_t heard_ns, wrote_ns;
	uint64_t alive[4]; /* as it says */
};

/* --- tell.c ---------------------------------------------------------------------- */
/*
 * The sweep of that guard has found something: of each n values at most RF_FOUND_VALUES go in a
 * packet. Alone it is looked at at once. 0, or -errno as found().
 */
int rf_tell(struct rf_guest *g, const struct rf_guard *guard, uint32_t kind, const uint64_t *values,
	    size_t n);
/* In the sweeper: a unit took more reads than it may. */
int rf_tell_endless(struct rf_guest *g, const struct rf_unit *unit);

/* --- pair.c: in the monitor; each does nothing when it is alone ----------------- */
/* What is sealed, or that nothing is any more. */
void rf_pair_announce(struct rf_guest *g);
/* What the sweeper has said, some of it. 0 or -errno of what was done about it. */
int rf_pair_take(struct rf_guest *g);
/*
 * Hands a client on, who asks for what is the sweeper's to know. 0; -ENOTCONN: to be answered here;
 * -EAGAIN: the sweeper does not listen.
 */
int rf_pair_ask(struct rf_guest *g, const struct rf_guard *guard, int client);
/* For "status": {"alone", "started", "pid", "rss_kib", "follows", "silent_s"}; NULL: no memory. */
json_t *rf_pair_status(const struct rf_guest *g);

/* --- sweeper.c ------------------------------------------------------------------ */
/* The sweeper's whole life. Returns when the monitor is gone: 0, or -errno. */
int rf_sweeper_run(struct rf_guest *g);

#endif
