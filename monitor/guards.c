/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The guards there are, and what is done with all of them. */
#include <errno.h>
#include <string.h>

#include "monitor/guard.h"
#include "monitor/monitor.h"

#define MS UINT64_C(1000000)

#define ADDRESS(name) &rf_guard_##name,
const struct rf_guard *const rf_guards[] = { RF_GUARDS(ADDRESS) NULL };
_Static_assert(sizeof(rf_guards) / sizeof(rf_guards[0]) - 1 <= RF_GUARDS_MAX, "each has its time");

int rf_guards_attach(struct rf_guest *g, bool kept)
{
	int err = 0;

	for (size_t i = 0; !err && rf_guards[i]; i++)
		if (rf_guards[i]->attach)
			err = rf_guards[i]->attach(g, kept);
	return err;
}

void rf_guards_forget(struct rf_guest *g)
{
	for (size_t i = 0; rf_guards[i]; i++)
		if (rf_guards[i]->forget)
			rf_guards[i]->forget(g);
}

int rf_guards_answer(struct rf_guest *g, const struct rf_msg_event *ev)
{
	for (size_t i = 0; ev->kind < 64 && rf_guards[i]; i++)
		if (rf_guards[i]->answers & RF_ANSWERS(ev->kind))
			return rf_guards[i]->answer(g, ev);
	return -EBADMSG;
}

static int tick(struct rf_guest *g, const struct rf_guard *guard, uint32_t elapsed_ms)
{
	struct rf_budget outer = rf_unit_begin(g, &guard->tick_unit);
	int err = guard->tick(g, elapsed_ms);
	int ended = rf_unit_end(g, &guard->tick_unit, &outer);

	return err ? err : ended;
}

int rf_guards_tick(struct rf_guest *g)
{
	uint64_t now = rf_now_ns();

	for (size_t i = 0; rf_guards[i]; i++) {
		const struct rf_guard *guard = rf_guards[i];
		uint64_t elapsed_ms = (now - g->ticked_ns[i]) / MS;
		uint32_t period_ms = guard->period_ms ? guard->period_ms(g) : RF_TICK_MS;
		int err;

		if (!guard->tick || !period_ms || elapsed_ms < period_ms)
			continue;
		g->ticked_ns[i] = now;
		err = tick(g, guard, elapsed_ms < UINT32_MAX ? (uint32_t)elapsed_ms : UINT32_MAX);
		if (err)
			return err;
	}
	return 0;
}

bool rf_guards_busy(const struct rf_guest *g)
{
	for (size_t i = 0; rf_guards[i]; i++)
		if (rf_guards[i]->busy && rf_guards[i]->busy(g))
			return true;
	return false;
}

int rf_guards_step(struct rf_guest *g)
{
	int err = 0;

	for (size_t i = 0; !err && rf_guards[i]; i++) {
		const struct rf_guard *guard = rf_guards[i];
		struct rf_budget outer;

		if (!guard->busy || !guard->busy(g))
			continue;
		outer = rf_unit_begin(g, &guard->step_unit);
		guard->step(g);
		err = rf_unit_end(g, &guard->step_unit, &outer);
	}
	return err;
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
