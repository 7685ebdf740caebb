// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/serve.h"

#include <string.h>

#include "hv/arch.h"
#include "hv/board.h"
#include "hv/event.h"
#include "hv/life.h"
#include "hv/text.h"

static void hello(struct rf_msg_hello *m)
{
	m->state = rf_life_state();
	m->instance = rf_vm.instance;
	m->next_event = rf_event_hello();
	m->board_size = sizeof(struct rf_board_file);
}

static int welcome(const struct rf_msg_welcome *m, int table_fd, const char **why)
{
	/* Without one each text patch is asked about. */
	int err = table_fd < 0 ? 0 : rf_text_use(table_fd);

	if (err)
		*why = "the monitor's patch table is not what it should be";
	else
		rf_life_rules(&m->rules);
	return err;
}

/* --- commands ----------------------------------------------------------------- */

#define DONE_TRIES 2500 /* of 2 ms: who does not read for so long is no monitor any more */

static bool answer(const struct rf_msg_done *done)
{
	const struct timespec pause = { .tv_nsec = 2000000 };

	for (int i = 0; i < DONE_TRIES; i++) {
		int err = rf_channel_send(done, sizeof(*done));

		if (err != -EAGAIN)
			return !err;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool message(const uint8_t *packet)
{
	/* A packet is copied into what its type says, for its alignment. */
	union {
		struct rf_msg h;
		struct rf_msg_verdict verdict;
		union rf_command command;
		uint8_t bytes[RF_MSG_MAX];
	} m;
	struct rf_msg_done done = { 0 };

	memcpy(&m.h, packet, sizeof(m.h));
	memcpy(m.bytes, packet, rf_msg_size(m.h.type));
	if (m.h.type == RF_MSG_VERDICT) {
		rf_event_verdict(&m.verdict);
		return true;
	}
	done.status = rf_life_command(&m.command, &done.ns);
	rf_msg_init(&done.h, RF_MSG_DONE, m.h.seq);
	return done.status != -EBADMSG && answer(&done);
}

/* --- time --------------------------------------------------------------------- */

#define TICK_MS 1000

static bool unsent;

/* The guest's own time. While it stands still (SIGSTOP, a frozen cgroup) so does this thread. */
static void count_time(void)
{
	static uint64_t last_ns, last_runs;
	uint64_t *const counters = rf_board->counters, runs = counters[RF_COUNT_RUN];
	uint64_t now = rf_monotonic_ns(), gap = now - last_ns;
	bool ran = runs != last_runs;

	/* A guest that does nothing, or never leaves, runs all the same. */
	RF_EACH_VCPU(v)
		ran |= atomic_load(&v->phase) == RF_IN;
	if (ran)
		counters[RF_COUNT_RAN_NS] +=
			gap < TICK_MS * 1000000ull ? gap : TICK_MS * 1000000ull;
	last_ns = now;
	last_runs = runs;
}

static void tick(void)
{
	count_time();
	rf_arch_tick();
	rf_life_tick();
	unsent = rf_event_retry();
}

static unsigned tick_ms(void)
{
	unsigned ms = rf_arch_tick_ms();

	return unsent ? 5 : ms < TICK_MS ? ms : TICK_MS;
}

const struct rf_channel_handlers rf_serve = {
	.hello = hello,
	.welcome = welcome,
	.connected = rf_event_connected,
	.message = message,
	.tick = tick,
	.tick_ms = tick_ms,
};
