// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/event.h"

#include <string.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/channel.h"
#include "hv/life.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t answered;
static atomic_ullong next_id = 1;

/* What is told and has not been taken by a monitor yet. */
#define TOLD 96
#define TOLD_OUTCOMES 32 /* there must be room for more: a guest has outcomes made, not resets */
static union told {
	struct rf_msg h;
	struct rf_msg_event event;
	struct rf_msg_outcome outcome;
} told[TOLD];
static unsigned nr_told;

void rf_event_init(void)
{
	rf_cond_init(&answered);
}

uint64_t rf_event_hello(void)
{
	pthread_mutex_lock(&lock);
	RF_EACH_VCPU(v)
		v->wait.sent = false;
	pthread_mutex_unlock(&lock);
	return atomic_load(&next_id);
}

void rf_event_new(struct rf_vcpu *v)
{
	memset(&v->wait.event, 0, sizeof(v->wait.event));
	v->wait.saved.reason = 0;
	v->wait.tries = 0;
}

static void move(struct rf_vcpu *v, enum rf_phase from, enum rf_phase to)
{
	if (!atomic_compare_exchange_strong(&v->phase, &from, to))
		rf_fatal("a vCPU has two questions at once");
}

/* In order: behind what was told before and could not be sent yet. */
static void send(struct rf_vcpu *v)
{
	v->wait.sent = !nr_told && !rf_channel_send(&v->wait.event, sizeof(v->wait.event));
}

/* What all events have. v NULL: of no vCPU. */
static void fill(struct rf_msg_event *ev, struct rf_vcpu *v, enum rf_event_kind kind)
{
	rf_msg_init(&ev->h, RF_MSG_EVENT, 0);
	ev->id = atomic_fetch_add(&next_id, 1);
	ev->kind = kind;
	if (!v)
		return;
	ev->vcpu = v->id;
	rf_arch_regs(v, &ev->regs);
}

/* Behind what was told before; kept, as long as less than room are, until it can be sent. */
static void tell(const void *msg, unsigned room)
{
	const struct rf_msg *h = msg;

	pthread_mutex_lock(&lock);
	if (nr_told || rf_channel_send(msg, h->size)) {
		if (nr_told < room)
			memcpy(&told[nr_told++], msg, h->size);
		else
			rf_count(RF_COUNT_UNTOLD);
	}
	pthread_mutex_unlock(&lock);
}

void rf_event_post(struct rf_vcpu *v, enum rf_event_kind kind)
{
	struct rf_msg_event *ev = &v->wait.event;

	fill(ev, v, kind);
	/* Before it is sent: the monitor's commands name it. */
	if (kind == RF_EVENT_KERNEL)
		rf_life_announced(v, ev->id, rf_arch_announced(ev));
	pthread_mutex_lock(&lock);
	move(v, RF_OUT, RF_ASKING);
	send(v);
	pthread_mutex_unlock(&lock);
}

int rf_event_take(struct rf_vcpu *v)
{
	int err = 0;

	pthread_mutex_lock(&lock);
	while (atomic_load(&v->phase) == RF_ASKING && !err) {
		if (rf_gate_wanted(v))
			err = -EINTR;
		else /* a kick interrupts no condition wait: look every now and then */
			rf_cond_wait(&answered, &lock, 20000000);
	}
	if (!err && atomic_load(&v->phase) != RF_ANSWERED)
		err = -ECANCELED;
	if (!err)
		move(v, RF_ANSWERED, RF_OUT);
	pthread_mutex_unlock(&lock);
	return err;
}

void rf_event_outcome(struct rf_vcpu *v, int status)
{
	struct rf_msg_outcome m = { .id = v->wait.event.id, .status = status };

	rf_msg_init(&m.h, RF_MSG_OUTCOME, 0);
	tell(&m, TOLD_OUTCOMES);
}

void rf_event_drop(struct rf_vcpu *v)
{
	pthread_mutex_lock(&lock);
	atomic_store(&v->phase, RF_OUT);
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}

void rf_event_tell(struct rf_vcpu *v, enum rf_event_kind kind, uint32_t cause, uint32_t adopted)
{
	struct rf_msg_event ev = { .life = { cause, adopted } };

	fill(&ev, v, kind);
	tell(&ev, TOLD);
}

/* --- by the channel's thread --------------------------------------------------- */

static void send_told(void)
{
	unsigned sent = 0;

	while (sent < nr_told && !rf_channel_send(&told[sent], told[sent].h.size))
		sent++;
	if (!sent)
		return;
	nr_told -= sent;
	memmove(told, told + sent, nr_told * sizeof(told[0]));
}

/* What was asked since the socket is there has been sent. */
void rf_event_connected(void)
{
	rf_event_retry();
}

bool rf_event_retry(void)
{
	bool unsent;

	pthread_mutex_lock(&lock);
	if (nr_told)
		send_told();
	unsent = nr_told;
	RF_EACH_VCPU(v) {
		if (atomic_load(&v->phase) != RF_ASKING || v->wait.sent)
			continue;
		send(v);
		unsent |= !v->wait.sent;
	}
	pthread_mutex_unlock(&lock);
	return unsent;
}

void rf_event_verdict(const struct rf_msg_verdict *m)
{
	pthread_mutex_lock(&lock);
	RF_EACH_VCPU(v) {
		struct rf_wait *w = &v->wait;

		/* A verdict for a question that was dropped finds nobody. */
		if (atomic_load(&v->phase) != RF_ASKING || w->event.id != m->id)
			continue;
		w->verdict = *m;
		/* Anything but the known words is the strictest of them. */
		if (m->verdict < RF_VERDICT_ALLOW || m->verdict > RF_VERDICT_SETTLE ||
		    (m->verdict == RF_VERDICT_SETTLE && w->event.kind != RF_EVENT_WRITE &&
		     w->event.trap.kind != RF_TRAP_POKE))
			w->verdict.verdict = RF_VERDICT_KILL;
		move(v, RF_ASKING, RF_ANSWERED);
	}
	pthread_cond_broadcast(&answered);
	pthread_mutex_unlock(&lock);
}
