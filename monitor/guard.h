/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A guard watches over one thing of a sealed kernel. What the serving loop, the guest's life and
 * the control socket know of it is one constant entry: another guard is a file, and a row of
 * RF_GUARDS.
 */
#ifndef RF_MONITOR_GUARD_H
#define RF_MONITOR_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "hv/backend.h"

struct rf_guest;

/* A piece of work, with a bound on what it reads of the guest (introspection/budget.h). */
struct rf_unit {
	uint64_t reads;
	const char *what; /* "walking lists": took more than so many reads of guest memory */
};

/* Of rf_guard's answers: an RF_EVENT_*. */
#define RF_ANSWERS(event) (UINT64_C(1) << (event))

/*
 * Every member but the name may be left out; answer goes with answers, found and sweep_unit with
 * sweep, tick_unit with tick, and reply, busy, step and step_unit with command. Whatever returns
 * int: 0 or -errno, and an error ends this process; another one is started, and takes over.
 */
struct rf_guard {
	const char *name; /* in the answer to "status" */
	/* Why it does nothing for this guest, for "status" alone: the others are called all the
	 * same. NULL: it does. */
	const char *(*lacks)(const struct rf_guest *g);

	/*
	 * The kernel is sealed, in the order of the table. kept: it was so before, and what the
	 * fence keeps for whoever takes over is believed. -ESTALE: it is another kernel's turn
	 * already.
	 */
	int (*attach)(struct rf_guest *g, bool kept);
	/* The kernel is gone, or there never was one. */
	void (*forget)(struct rf_guest *g);

	/* Questions that it gives the verdict on, RF_ANSWERS() of each; no other guard has them. */
	uint64_t answers;
	int (*answer)(struct rf_guest *g, const struct rf_msg_event *ev);

	/* Every RF_TICK_MS, before the seal too: little work, of some thousand reads at most. */
	struct rf_unit tick_unit;
	int (*tick)(struct rf_guest *g, uint32_t elapsed_ms);

	/*
	 * What walks the guest on a schedule, in the sweeper (pair.h): there follow comes first,
	 * once for a sealed kernel, instead of attach. What sweep finds it tells, by rf_tell();
	 * found, in the monitor, looks for itself, and is the one that writes it down.
	 */
	int (*follow)(struct rf_guest *g);
	uint32_t (*period_ms)(const struct rf_guest *g); /* 0 never; left out: RF_TICK_MS */
	struct rf_unit sweep_unit;
	int (*sweep)(struct rf_guest *g, uint32_t elapsed_ms);
	int (*found)(struct rf_guest *g, uint32_t kind, const uint64_t *values, size_t n);

	/*
	 * A command of the control socket, and the work that it may begin, in the sweeper: while
	 * that is under way, step is called again and again. The answer is the caller's; NULL: no
	 * memory. in_monitor: others act upon the answer, and it is the monitor's own; then a step
	 * is a matter of a millisecond, and reads what is sealed alone.
	 */
	const char *command;
	bool in_monitor;
	json_t *(*reply)(struct rf_guest *g);
	bool (*busy)(const struct rf_guest *g);
	struct rf_unit step_unit;
	void (*step)(struct rf_guest *g);
};

#define RF_TICK_MS 100
#define RF_GUARDS_MAX 16

/* rf_guard_NAME is in the file of that guard. Attached in this order: instructions are replaced
 * last, when text has been looked at. */
#define RF_GUARDS(row)                                                                             \
	row(stores) row(trail) row(patches) row(tables) row(registers) row(traps) row(decoys)      \
		row(gadgets) row(measure) row(hooks) row(checks) row(memory)
#define RF_DECLARE_GUARD(name) extern const struct rf_guard rf_guard_##name;
RF_GUARDS(RF_DECLARE_GUARD)

extern const struct rf_guard *const rf_guards[]; /* NULL behind the last one */

int rf_guards_attach(struct rf_guest *g, bool kept);
void rf_guards_forget(struct rf_guest *g);
/* -EBADMSG: nobody answers that. */
int rf_guards_answer(struct rf_guest *g, const struct rf_msg_event *ev);
/* Those whose time has come: the monitor's, and the sweeper's. */
int rf_guards_tick(struct rf_guest *g);
int rf_guards_sweep(struct rf_guest *g);
/* In the sweeper, in the order of the table. */
int rf_guards_follow(struct rf_guest *g);
/* To whom the row's sweep has said something. 0 or -errno; a row that is none says nothing. */
int rf_guards_found(struct rf_guest *g, uint32_t row, uint32_t kind, const uint64_t *values,
		    size_t n);
uint32_t rf_guards_row(const struct rf_guard *guard);
bool rf_guards_busy(const struct rf_guest *g);
int rf_guards_step(struct rf_guest *g);
/* Whose command it is, or NULL. */
const struct rf_guard *rf_guards_command(const char *command);
/* Its answer; NULL: no memory. The caller's. */
json_t *rf_guards_reply(struct rf_guest *g, const struct rf_guard *guard);
/* {"name": "on" or why it is not}; NULL: no memory. Drop the reference. */
json_t *rf_guards_status(const struct rf_guest *g);

#endif
