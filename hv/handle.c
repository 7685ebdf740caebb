// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/handle.h"

#include <string.h>

#include "hv/board.h"
#include "hv/event.h"
#include "hv/life.h"
#include "hv/text.h"
#include "hv/watch.h"

enum rf_next rf_on_sealed_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes, uint32_t len)
{
	struct rf_msg_event *ev = &v->wait.event;

	rf_count(RF_COUNT_WRITE);
	if (rf_text_settle(v, gpa, bytes, len, false)) {
		rf_count(RF_COUNT_SETTLED);
		return RF_AGAIN;
	}
	rf_event_new(v);
	ev->write.gpa = gpa;
	ev->write.len = len;
	memcpy(ev->write.bytes, bytes, len);
	if (rf_arch_drain(v))
		rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_WRITE);
	return RF_WAIT;
}

static enum rf_next moment_to_seal(struct rf_vcpu *v)
{
	rf_event_new(v);
	rf_watch_describe(&v->wait.event);
	rf_event_post(v, RF_EVENT_WATCH);
	return RF_WAIT;
}

enum rf_next rf_on_watched_store(struct rf_vcpu *v, uint64_t gpa, const uint8_t *bytes,
				 uint32_t len)
{
	bool hit = false;

	if (!rf_watch_store(gpa, bytes, len, &hit))
		return rf_on_sealed_store(v, gpa, bytes, len);
	return hit ? moment_to_seal(v) : RF_AGAIN;
}

enum rf_next rf_on_watched_step(struct rf_vcpu *v, int *err, bool *dispatch)
{
	bool hit = false;

	*err = rf_watch_step(v, &hit);
	/* A debugger of the VMM's steps too: then the exit is its own. */
	*dispatch = !*err && (v->run->exit_reason != KVM_EXIT_DEBUG ||
			      v->vmm_debug.control & KVM_GUESTDBG_SINGLESTEP);
	if (!hit)
		return *err || *dispatch ? RF_TO_VMM : RF_AGAIN;
	moment_to_seal(v);
	if (*dispatch)
		rf_exit_save(v, &v->wait.saved);
	return RF_WAIT;
}

enum rf_next rf_on_unemulated(struct rf_vcpu *v, const uint8_t *bytes, uint32_t len)
{
	rf_count(RF_COUNT_EMULATION);
	rf_event_new(v);
	v->wait.event.insn.len = len;
	memcpy(v->wait.event.insn.bytes, bytes, len);
	rf_arch_describe(v);
	rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_EMULATION);
	return RF_WAIT;
}

enum rf_next rf_on_new_entry(struct rf_vcpu *v, uint64_t entry, bool pending)
{
	rf_event_new(v);
	rf_arch_announce(&v->wait.event, entry);
	if (pending)
		rf_exit_save(v, &v->wait.saved);
	rf_event_post(v, RF_EVENT_KERNEL);
	return RF_WAIT;
}
