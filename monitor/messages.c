// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/messages.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/judge.h"

#define BATCH 64 /* in a row, before the control socket and the sweep have their turn */

#define CANNOT_BE "the fence says what cannot be"

/* What could not be recorded, and waits for room in the log; all that came later waits behind
 * it. */
static struct {
	bool some;
	union rf_backend_message m;
} held;

/* --- one message --------------------------------------------------------------------- */

static int answer(struct rf_guest *g, const union rf_backend_message *m)
{
	int err = m->h.type == RF_MSG_EVENT
			  ? rf_guest_event(g, &m->event)
			  : rf_record_outcome(g, m->outcome.id, m->outcome.status);

	held.some = err && rf_record_waits(g);
	if (!held.some)
		return err;
	if (m != &held.m)
		held.m = *m;
	return 0;
}

/* A VM whose fence makes no sense does not run on. A fence that only lies goes on, and is not
 * listened to. */
static int refuse(struct rf_guest *g, const union rf_backend_message *m, const char *why)
{
	struct rf_record r = { .kind = "monitor", .outcome = CANNOT_BE };
	struct rf_msg_verdict v = { .verdict = RF_VERDICT_KILL };
	char detail[200];

	if (m->h.type != RF_MSG_EVENT || !rf_sequence_asks(m->event.kind)) {
		g->lie = why;
		return -EPROTO;
	}
	snprintf(detail, sizeof(detail), "%s (event %llu of kind %u, vCPU %u)", why,
		 (unsigned long long)m->event.id, m->event.kind, m->event.vcpu);
	r.detail = detail;
	rf_complain(g, "%s: %s; the VM is ended", CANNOT_BE, detail);
	v.id = m->event.id;
	rf_decide(g, &m->event, &r, &v);
	return -EPROTO;
}

int rf_message_take(struct rf_guest *g, const union rf_backend_message *m)
{
	const char *why = m->h.type == RF_MSG_EVENT
				  ? rf_sequence_event(&g->sequence, &m->event)
				  : rf_sequence_outcome(&g->sequence, &m->outcome);

	return why ? refuse(g, m, why) : answer(g, m);
}

/* --- what has come -------------------------------------------------------------------- */

/* Once there is room. What was begun of a kernel is taken up as another monitor would. */
static int take_held(struct rf_guest *g)
{
	const struct rf_msg_event *ev = &held.m.event;
	int err = 0;

	if (!held.some || rf_record_waits(g))
		return 0;
	if (held.m.h.type == RF_MSG_EVENT &&
	    (ev->kind == RF_EVENT_KERNEL || ev->kind == RF_EVENT_WATCH)) {
		rf_guest_forget(g);
		err = rf_guest_resume(g);
	}
	return err ? err : answer(g, &held.m);
}

/* Nothing is taken any more of a fence that was told to end its VM. */
static int await_end(struct rf_guest *g)
{
	if (rf_now_ns() - g->killed_ns < RF_MESSAGES_END_NS)
		return 0;
	g->lie = "the VM goes on after its end was ordered";
	return -EPROTO;
}

bool rf_messages_wait(const struct rf_guest *g)
{
	return held.some || g->killed_ns;
}

int rf_messages_take(struct rf_guest *g, bool *more)
{
	int first = g->killed_ns ? await_end(g) : take_held(g);

	*more = false;
	if (first)
		return first;
	for (int i = 0; i < BATCH && !rf_messages_wait(g); i++) {
		union rf_backend_message m;
		int err = g->hv->ops->next(g->hv, &m);

		*more = !err;
		if (err)
			return err == -EAGAIN ? 0 : err;
		rf_alive(g);
		err = rf_message_take(g, &m);
		if (err)
			return err;
	}
	*more &= !rf_messages_wait(g);
	return 0;
}

void rf_messages_give_up(struct rf_guest *g, int err)
{
	const char *why = g->lie;

	if (!why && err == -EBADMSG && g->hv->ops->wrong)
		why = g->hv->ops->wrong(g->hv);
	if (!why)
		return;
	rf_complain(g, "%s: %s", CANNOT_BE, why);
	rf_note(g, "monitor", CANNOT_BE, why);
}
