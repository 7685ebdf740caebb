// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/sequence.h"

#include <string.h>

#define IN(state) (1u << RF_SEQUENCE_##state)
#define ANYWHERE (IN(NOTHING) | IN(FOUND) | IN(WATCHED) | IN(SEALED) | IN(HALTED))

/*
 * The states in which each kind comes, and whether it is a question. Stores, registers and traps
 * are asked about where something is sealed (hv/vmx/decode.c); what is loaded is compared with a
 * seal, too (hv/life.c what_was_loaded()). A kernel that was denied is told of behind the VM's
 * lock, so that a reset may have been told first: what halts and what announces comes anywhere.
 */
static const struct {
	uint32_t in;
	bool asks;
} kinds[] = {
	[RF_EVENT_KERNEL] = { ANYWHERE, true },
	[RF_EVENT_WATCH] = { IN(WATCHED), true },
	[RF_EVENT_WRITE] = { IN(SEALED), true },
	[RF_EVENT_EMULATION] = { IN(SEALED), true },
	[RF_EVENT_MSR] = { IN(SEALED), true },
	[RF_EVENT_CR] = { IN(SEALED), true },
	[RF_EVENT_TRAP] = { IN(SEALED), true },
	[RF_EVENT_TABLES] = { IN(SEALED), true },
	[RF_EVENT_MSR_FOUND] = { IN(SEALED), true },
	[RF_EVENT_STALLED] = { IN(SEALED), true },
	[RF_EVENT_DELIVERY] = { IN(SEALED), true },
	[RF_EVENT_RESET] = { ANYWHERE, false },
	[RF_EVENT_RELOADED] = { IN(SEALED) | IN(HALTED), false },
	[RF_EVENT_HALTED] = { ANYWHERE, false },
	[RF_EVENT_UNSEALED] = { ANYWHERE, false },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

bool rf_sequence_asks(enum rf_event_kind kind)
{
	return (uint32_t)kind < KINDS && kinds[kind].asks;
}

/* --- numbers ------------------------------------------------------------------------ */

static bool first_time(struct rf_sequence_seen *s, uint64_t id)
{
	uint64_t bit = UINT64_C(1) << id % 64, *word = &s->bits[id % RF_SEQUENCE_WINDOW / 64];

	if (id > s->top && id - s->top >= RF_SEQUENCE_WINDOW) {
		memset(s->bits, 0, sizeof(s->bits));
		s->top = id;
	}
	for (; s->top < id; s->top++) {
		uint64_t next = s->top + 1;

		s->bits[next % RF_SEQUENCE_WINDOW / 64] &= ~(UINT64_C(1) << next % 64);
	}
	if (s->top - id >= RF_SEQUENCE_WINDOW)
		return true;
	if (*word & bit)
		return false;
	*word |= bit;
	return true;
}

/* --- states ------------------------------------------------------------------------- */

static void enter(struct rf_sequence *o, enum rf_sequence_state state)
{
	o->state = state;
	o->been |= 1u << state;
}

/* The same, while vCPUs may be about to ask about what was before. */
static void fall_back(struct rf_sequence *o, enum rf_sequence_state state)
{
	enter(o, state);
	for (uint32_t i = 0; i < RF_BACKEND_VCPU_IDS; i++)
		o->vcpus[i].late = true;
}

void rf_sequence_begin(struct rf_sequence *o, const struct rf_backend_info *info)
{
	static const enum rf_sequence_state as[] = {
		[RF_VM_BOOTING] = RF_SEQUENCE_NOTHING, [RF_VM_FOUND] = RF_SEQUENCE_FOUND,
		[RF_VM_WATCHED] = RF_SEQUENCE_WATCHED, [RF_VM_SEALED] = RF_SEQUENCE_SEALED,
		[RF_VM_HALTED] = RF_SEQUENCE_HALTED,
	};

	memset(o, 0, sizeof(*o));
	o->first = info->next_event;
	o->events.top = o->outcomes.top = info->next_event - 1;
	fall_back(o, as[info->state]);
	/* Another monitor may have had it in any. */
	if (o->first > 1)
		o->been = ANYWHERE;
}

void rf_sequence_watched(struct rf_sequence *o)
{
	enter(o, RF_SEQUENCE_WATCHED);
}

void rf_sequence_sealed(struct rf_sequence *o)
{
	enter(o, RF_SEQUENCE_SEALED);
}

/* What has come leads on. */
static void step(struct rf_sequence *o, enum rf_event_kind kind)
{
	switch (kind) {
	case RF_EVENT_KERNEL:
		if (o->state == RF_SEQUENCE_NOTHING || o->state == RF_SEQUENCE_HALTED)
			enter(o, RF_SEQUENCE_FOUND);
		break;
	case RF_EVENT_RESET:
		fall_back(o, RF_SEQUENCE_NOTHING);
		break;
	case RF_EVENT_RELOADED:
		enter(o, RF_SEQUENCE_SEALED);
		break;
	case RF_EVENT_HALTED:
		fall_back(o, RF_SEQUENCE_HALTED);
		break;
	default:
		break;
	}
}

/* --- messages ----------------------------------------------------------------------- */

static const char *check_question(struct rf_sequence *o, const struct rf_msg_event *ev)
{
	uint64_t *last = &o->vcpus[ev->vcpu].last;
	bool *late = &o->vcpus[ev->vcpu].late;
	bool was_late = *late;

	if (ev->id <= *last)
		return "a vCPU asks with a number that is not above its last one's";
	*last = ev->id;
	o->vcpus[ev->vcpu].open = true;
	*late = false;
	if (kinds[ev->kind].in & 1u << o->state)
		return NULL;
	return was_late && kinds[ev->kind].in & o->been
		       ? NULL
		       : "a question that nothing in this state of the VM leads to";
}

static const char *check_told(const struct rf_sequence *o, const struct rf_msg_event *ev)
{
	bool sealed = o->been & IN(SEALED) &&
		      (o->state == RF_SEQUENCE_SEALED || o->state == RF_SEQUENCE_HALTED);

	/* It waited, and may be of any state before. */
	if (ev->id < o->first)
		return NULL;
	if (!(kinds[ev->kind].in & 1u << o->state) || (ev->kind == RF_EVENT_RELOADED && !sealed))
		return "something is told that nothing in this state of the VM leads to";
	if (ev->kind == RF_EVENT_HALTED && ev->life.cause == RF_CAUSE_TEXT && !sealed)
		return "sealed memory is compared where none is";
	if (ev->kind == RF_EVENT_RESET && ev->life.cause == RF_CAUSE_KEXEC &&
	    o->state != RF_SEQUENCE_SEALED)
		return "a kernel hands over that is not sealed";
	return NULL;
}

const char *rf_sequence_event(struct rf_sequence *o, const struct rf_msg_event *ev)
{
	const char *why;

	if ((uint32_t)ev->kind >= KINDS || !kinds[ev->kind].in || ev->vcpu >= RF_BACKEND_VCPU_IDS)
		return "an event of no kind, or of no vCPU";
	if (!first_time(&o->events, ev->id))
		return "a number comes twice";
	why = kinds[ev->kind].asks ? check_question(o, ev) : check_told(o, ev);
	if (!why)
		step(o, ev->kind);
	return why;
}

const char *rf_sequence_outcome(struct rf_sequence *o, const struct rf_msg_outcome *m)
{
	if (m->id < o->first)
		return first_time(&o->outcomes, m->id) ? NULL : "an outcome comes twice";
	for (uint32_t i = 0; i < RF_BACKEND_VCPU_IDS; i++) {
		if (o->vcpus[i].last != m->id || !o->vcpus[i].open)
			continue;
		o->vcpus[i].open = false;
		return NULL;
	}
	return "the outcome of what was not asked, or is over";
}
