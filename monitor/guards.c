// SPDX-License-Identifier: LGPL-2.1-or-later
/* The guards there are, and what is done with all of them. */
#include <errno.h>
#include <string.h>

#include "monitor/guard.h"
#include "monitor/monitor.h"

#define MS UINT64_C(1000000)

#define ADDRESS(name) &rf_guard_##name,
const struct rf_guard *const rf_guards[] = { RF_GUARDS(ADDRESS) NULL };
#define ROWS (sizeof(rf_guards) / sizeof(rf_guards[0]) - 1)
_Static_assert(ROWS <= RF_GUARDS_MAX, "each has its time");

int rf_guards_attach(struct rf_guest *g, bool kept)
{
	int err = 0;

	/* An attach that failed half way has left what it got as far as. */
	rf_guards_forget(g);
	for (size_t i = 0; !err && rf_guards[i]; i++)
		if (rf_guards[i]->attach)
			err = rf_guards[i]->attach(g, kept);
	if (err)
		return err;
	g->attached = true;
	return 0;
}

/* Whose work it is that begins, or NULL. */
static void now_at_work(struct rf_guest *g, uint32_t row)
{
	g->at_work = row < ROWS ? rf_guards[row] : NULL;
	g->row = row;
}

int rf_guards_follow(struct rf_guest *g)
{
	int err = 0;

	for (uint32_t i = 0; !err && rf_guards[i]; i++) {
		now_at_work(g, i);
		if (rf_guards[i]->follow)
			err = rf_guards[i]->follow(g);
	}
	now_at_work(g, ROWS);
	return err;
}

void rf_guards_forget(struct rf_guest *g)
{
	for (size_t i = 0; rf_guards[i]; i++)
		if (rf_guards[i]->forget)
			rf_guards[i]->forget(g);
	g->attached = false;
}

int rf_guards_answer(struct rf_guest *g, const struct rf_msg_event *ev)
{
	for (size_t i = 0; ev->kind < 64 && rf_guards[i]; i++)
		if (rf_guards[i]->answers & RF_ANSWERS(ev->kind))
			return rf_guards[i]->answer(g, ev);
	return -EBADMSG;
}

/* In a unit of this many reads. */
static int work(struct rf_guest *g, const struct rf_unit *unit,
		int (*fn)(struct rf_guest *g, uint32_t elapsed_ms), uint32_t elapsed_ms)
{
	struct rf_budget outer = rf_unit_begin(g, unit);
	int err = fn(g, elapsed_ms), ended = rf_unit_end(g, unit, &outer);

	return err ? err : ended;
}

/* Is it time again? Then *last is now. */
static bool is_time(uint64_t *last, uint32_t period_ms, uint32_t *elapsed_ms)
{
	uint64_t now = rf_now_ns(), elapsed = (now - *last) / MS;

	if (!period_ms || elapsed < period_ms)
		return false;
	*last = now;
	*elapsed_ms = elapsed < UINT32_MAX ? (uint32_t)elapsed : UINT32_MAX;
	return true;
}

int rf_guards_tick(struct rf_guest *g)
{
	uint32_t elapsed_ms;
	int err = 0;

	for (size_t i = 0; !err && rf_guards[i]; i++)
		if (rf_guards[i]->tick && is_time(&g->ticked_ns[i], RF_TICK_MS, &elapsed_ms))
			err = work(g, &rf_guards[i]->tick_unit, rf_guards[i]->tick, elapsed_ms);
	return err;
}

int rf_guards_sweep(struct rf_guest *g)
{
	uint32_t elapsed_ms;
	int err = 0;

	for (uint32_t i = 0; !err && rf_guards[i]; i++) {
		const struct rf_guard *guard = rf_guards[i];
		uint32_t period_ms = guard->period_ms ? guard->period_ms(g) : RF_TICK_MS;

		now_at_work(g, i);
		if (guard->sweep && is_time(&g->swept_ns[i], period_ms, &elapsed_ms))
			err = work(g, &guard->sweep_unit, guard->sweep, elapsed_ms);
	}
	now_at_work(g, ROWS);
	return err;
}

int rf_guards_found(struct rf_guest *g, uint32_t row, uint32_t kind, const uint64_t *values,
		    size_t n)
{
	static const struct rf_unit found = { 1 << 12, "looking at what the sweeper has found" };
	struct rf_budget outer;
	int err, ended;

	if (row >= ROWS || !rf_guards[row]->found)
		return 0;
	outer = rf_unit_begin(g, &found);
	err = rf_guards[row]->found(g, kind, values, n);
	ended = rf_unit_end(g, &found, &outer);
	return err ? err : ended;
}

uint32_t rf_guards_row(const struct rf_guard *guard)
{
	uint32_t row = 0;

	while (row < ROWS && rf_guards[row] != guard)
		row++;
	return row;
}

/* Is its command this process's work? */
static bool is_at_home(const struct rf_guest *g, const struct rf_guard *guard)
{
	return !g->pair.fd || g->pair.sweeper != guard->in_monitor;
}

static bool is_busy(const struct rf_guest *g, const struct rf_guard *guard)
{
	return guard->busy && is_at_home(g, guard) && guard->busy(g);
}

bool rf_guards_busy(const struct rf_guest *g)
{
	bool busy = false;

	for (size_t i = 0; rf_guards[i]; i++)
		busy |= is_busy(g, rf_guards[i]);
	return busy;
}

int rf_guards_step(struct rf_guest *g)
{
	int err = 0;

	for (uint32_t i = 0; !err && rf_guards[i]; i++) {
		const struct rf_guard *guard = rf_guards[i];
		struct rf_budget outer;

		if (!is_busy(g, guard))
			continue;
		now_at_work(g, i);
		outer = rf_unit_begin(g, &guard->step_unit);
		guard->step(g);
		err = rf_unit_end(g, &guard->step_unit, &outer);
	}
	now_at_work(g, ROWS);
	return err;
}

json_t *rf_guards_reply(struct rf_guest *g, const struct rf_guard *guard)
{
	struct rf_budget outer = rf_unit_begin(g, &guard->step_unit);
	json_t *reply = guard->reply(g);

	/* What it finds too long to read, the next step of its work finds too, and tells. */
	g->budget = outer;
	return reply;
}

const struct rf_guard *rf_guards_command(const char *command)
{
	for (size_t i = 0; rf_guards[i]; i++)
		if (rf_guards[i]->command && !strcmp(rf_guards[i]->command, command))
			return rf_guards[i];
	return NULL;
}

json_t *rf_guards_status(const struct rf_guest *g)
{
	json_t *all = json_object();

	for (size_t i = 0; rf_guards[i]; i++) {
		const char *lacks = rf_guards[i]->lacks ? rf_guards[i]->lacks(g) : NULL;

		json_object_set_new(all, rf_guards[i]->name, json_string(lacks ? lacks : "on"));
	}
	return all;
}
