// SPDX-License-Identifier: LGPL-2.1-or-later
/* The monitor and its sweeper, each with the other end of the pair in the test's hand. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/fake_monitor.h"

static int peer; /* the other end */

static int setup(void **state)
{
	int ends[2], err = fake_setup(state);

	if (err || socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		return -1;
	peer = ends[1];
	guest.pair.fd = ends[0];
	fcntl(guest.pair.fd, F_SETFL, O_NONBLOCK);
	fake_sealed();
	return 0;
}

static int teardown(void **state)
{
	close(peer);
	if (guest.pair.fd)
		close(guest.pair.fd);
	guest.pair = (struct rf_pair){ 0 };
	return fake_teardown(state);
}

/* --- the monitor ---------------------------------------------------------- */

static void say(const struct rf_found *f)
{
	assert_int_equal(rf_msg_send(peer, f, sizeof(*f), NULL, 0), 0);
}

static void hint(const struct rf_guard *guard, uint32_t kind, uint64_t value)
{
	const struct rf_found f = { .what = RF_FOUND_HINT,
				    .guard = rf_guards_row(guard),
				    .kind = kind,
				    .count = 1,
				    .kernel = guest.kernel_event,
				    .values = { value } };

	say(&f);
}

static void take(void)
{
	assert_int_equal(rf_pair_take(&guest), 0);
}

/* The next order; how many descriptors came with it is what is returned, -1: no order. */
static int ordered(struct rf_order *o)
{
	int fds[RF_SHARED] = { -1, -1, -1 }, count = 0;
	ssize_t n = rf_packet_receive(peer, 0, o, sizeof(*o), fds, RF_SHARED);

	if (n < 0)
		return -1;
	assert_int_equal(n, sizeof(*o));
	for (int i = 0; i < RF_SHARED; i++)
		if (fds[i] >= 0) {
			count++;
			close(fds[i]);
		}
	return count;
}

static void sealed_is_announced(void **state)
{
	struct rf_order o;

	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.what, RF_ORDER_KERNEL);
	assert_int_equal(o.kernel, guest.kernel_event);
	assert_int_equal(o.generation, 1);
	assert_true(o.pins);
	assert_int_equal(ordered(&o), -1);
	fake_reset();
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.kernel, 0);
	assert_int_equal(o.generation, 2);
	assert_int_equal(ordered(&o), -1); /* it is forgotten once */
}

static void sweeper_comes(void **state)
{
	const struct rf_found hello = { .what = RF_FOUND_HELLO,
					.count = 1,
					.values = { RF_PAIR_REVISION } };
	struct rf_order o;
	size_t lines;

	ordered(&o);
	lines = fake_lines();
	say(&hello);
	take();
	assert_int_equal(ordered(&o), RF_SHARED);
	assert_int_equal(o.what, RF_ORDER_LOOK);
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.what, RF_ORDER_KERNEL);
	assert_int_equal(o.kernel, guest.kernel_event);
	assert_int_equal(fake_lines(), lines);
	/* Another one instead of it. */
	say(&hello);
	take();
	assert_int_equal(ordered(&o), RF_SHARED);
	assert_int_equal(fake_lines(), lines + 1);
	assert_string_equal(fake_text(fake_line(0), "kind"), "sweeper");
	assert_string_equal(fake_text(fake_line(0), "outcome"), "started again");
}

/* What it says is a claim: the fence and the monitor look for themselves. */
static void hints(void **state)
{
	hint(&rf_guard_decoys, 0, IMAGE_GPA);
	take();
	assert_int_equal(fake.heals_asked, 1);
	assert_int_equal(fake_count("kind", "dma"), 0); /* nothing was foreign there */
	fake.decoy[0x1000]++;
	hint(&rf_guard_decoys, 0, IMAGE_GPA + 0x1fff); /* of a page any address is */
	take();
	assert_int_equal(rf_sweep_drain(&guest), 0);
	assert_int_equal(fake_count("kind", "dma"), 1);
	hint(&rf_guard_patches, RF_GONE_PROBE, 0x123);
	hint(&rf_guard_patches, 4, IMAGE_GVA);
	take();
	assert_int_equal(fake.forgotten, 2);
	assert_int_equal(fake.forgotten_of, 4);
	assert_int_equal(fake.forgotten_last, IMAGE_GVA);
}

static void hints_that_mean_nothing(void **state)
{
	struct rf_found f = { .what = RF_FOUND_HINT,
			      .guard = rf_guards_row(&rf_guard_decoys),
			      .count = 1,
			      .kernel = guest.kernel_event + 1,
			      .values = { IMAGE_GPA } };

	say(&f); /* of another kernel */
	f.kernel = guest.kernel_event;
	f.count = RF_FOUND_VALUES + 1;
	say(&f);
	f.count = UINT32_MAX;
	say(&f);
	f.count = 1;
	f.guard = rf_guards_row(NULL);
	say(&f);
	f.guard = UINT32_MAX;
	say(&f);
	f.guard = rf_guards_row(&rf_guard_tables); /* which sweeps nothing */
	say(&f);
	f.guard = rf_guards_row(&rf_guard_decoys);
	f.values[0] = OTHER_GPA; /* not sealed */
	say(&f);
	f.values[0] = UINT64_MAX;
	say(&f);
	f.what = 77;
	say(&f);
	assert_int_equal(send(peer, &f, sizeof(f) - 1, 0), sizeof(f) - 1);
	assert_int_equal(send(peer, "x", 1, 0), 1);
	take();
	assert_int_equal(fake.heals_asked, 0);
	assert_int_equal(fake.forgotten, 0);
	/* A page of sealed memory with an odd address is one all the same, and the fence's to
	 * bound. */
	fake_reset();
	f.what = RF_FOUND_HINT;
	f.values[0] = IMAGE_GPA;
	say(&f);
	take();
	assert_int_equal(fake.heals_asked, 0);
}

/* However much it says, events have their turn. */
static void bounded(void **state)
{
	for (int i = 0; i < 40; i++)
		hint(&rf_guard_patches, RF_GONE_PROBE, 1);
	take();
	assert_int_equal(fake.forgotten, 16);
	take();
	take();
	assert_int_equal(fake.forgotten, 40);
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *seed >> 33;
}

/* One that was taken over says whatever it likes. */
static void hostile(void **state)
{
	uint64_t seed = 1;
	struct rf_order o;
	size_t lines = fake_lines();

	for (int i = 0; i < 20000; i++) {
		struct rf_found f;
		uint32_t *words = (uint32_t *)&f;

		for (size_t w = 0; w < sizeof(f) / 4; w++)
			words[w] = (uint32_t)next(&seed);
		f.what %= 6;
		f.guard %= 14;
		if (next(&seed) % 4)
			f.count %= RF_FOUND_VALUES + 2;
		if (next(&seed) % 2)
			f.kernel = guest.kernel_event;
		for (int v = 0; v < 8 && next(&seed) % 2; v++)
			f.values[v] = IMAGE_GPA + next(&seed) % (2 * IMAGE_SIZE);
		say(&f);
		take();
		while (ordered(&o) >= 0)
			;
	}
	assert_int_equal(fake.info.state, RF_VM_SEALED);
	assert_int_equal(fake_count("kind", "dma"), 0);
	/* Of the lines that it can bring about there is one a second. */
	assert_true(fake_lines() - lines <= 60);
}

static void endless(void **state)
{
	struct rf_found f = { .what = RF_FOUND_ENDLESS,
			      .guard = rf_guards_row(&rf_guard_patches),
			      .kernel = guest.kernel_event };

	say(&f);
	say(&f);
	take();
	assert_int_equal(fake_count("kind", "endless"), 1);
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "walking lists of probes"));
	assert_string_equal(fake_text(fake_line(0), "rule"), "guest-lists-end");
	guest.pair.wrote_ns = 0;
	f.guard = rf_guards_row(&rf_guard_gadgets);
	f.kind = 1;
	say(&f);
	take();
	assert_non_null(strstr(fake_text(fake_line(0), "detail"), "one step of the search"));
	guest.pair.wrote_ns = 0;
	f.guard = RF_GUARDS_MAX;
	say(&f);
	take();
	assert_int_equal(fake_count("kind", "endless"), 3);
}

static void alive(void **state)
{
	const struct rf_found hello = { .what = RF_FOUND_HELLO,
					.count = 1,
					.values = { RF_PAIR_REVISION } };
	struct rf_found f = { .what = RF_FOUND_ALIVE, .count = 4, .values = { 1, 4711, 2048, 9 } };
	struct rf_order o;
	json_t *status;

	ordered(&o);
	say(&hello);
	say(&f);
	take();
	status = rf_pair_status(&guest);
	assert_int_equal(json_integer_value(json_object_get(status, "pid")), 4711);
	assert_int_equal(json_integer_value(json_object_get(status, "rss_kib")), 2048);
	assert_int_equal(json_integer_value(json_object_get(status, "started")), 1);
	assert_true(json_is_true(json_object_get(status, "follows")));
	json_decref(status);
	assert_int_equal(guest.sweeps, 9);
	assert_int_equal(ordered(&o), RF_SHARED);
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(ordered(&o), -1);
	/* What it does not follow it is told again. */
	f.values[RF_ALIVE_GENERATION] = 0;
	say(&f);
	take();
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.generation, 1);
}

/* It reads nothing: nobody waits for it, and the last word is what it gets once it does. */
static void deaf(void **state)
{
	struct rf_order o;
	uint64_t last = 0;

	for (int i = 0; i < 5000; i++)
		rf_pair_announce(&guest);
	assert_true(guest.pair.behind);
	assert_int_equal(rf_pair_ask(&guest, &rf_guard_gadgets, fake.log_fd), -EAGAIN);
	while (ordered(&o) >= 0)
		last = o.generation;
	assert_true(last < guest.pair.generation);
	take();
	assert_false(guest.pair.behind);
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.generation, guest.pair.generation);
}

static void asked(void **state)
{
	struct rf_order o;

	ordered(&o);
	assert_int_equal(rf_pair_ask(&guest, &rf_guard_measure, fake.log_fd), -ENOTCONN);
	guest.asked = (struct rf_asked){ .at = 0x5000, .pages = 3 };
	assert_int_equal(rf_pair_ask(&guest, &rf_guard_gadgets, fake.log_fd), 0);
	assert_int_equal(ordered(&o), 1);
	assert_int_equal(o.what, RF_ORDER_ASK);
	assert_int_equal(o.asked.at, 0x5000);
	assert_int_equal(o.asked.pages, 3);
	assert_int_equal(o.guard, rf_guards_row(&rf_guard_gadgets));
	fake_reset(); /* nothing is sealed, which the monitor knows itself */
	assert_int_equal(rf_pair_ask(&guest, &rf_guard_gadgets, fake.log_fd), -ENOTCONN);
}

/* Nobody is there who could start another one. */
static void left_alone(void **state)
{
	guest.notify_fd = -1; /* nor does anybody read what it says */
	close(peer);
	take();
	assert_int_equal(guest.pair.fd, 0);
	assert_string_equal(fake_text(fake_line(0), "kind"), "sweeper");
	take();
	assert_int_equal(rf_pair_ask(&guest, &rf_guard_gadgets, fake.log_fd), -ENOTCONN);
	memset(guest.swept_ns, 0, sizeof(guest.swept_ns));
	assert_int_equal(rf_guards_sweep(&guest), 0);
	assert_int_equal(fake.patch_sweeps, 1);
	peer = open("/dev/null", O_RDONLY);
}

/* `run` holds both ends, so a sweeper alone never ends the pair: not by a packet of no bytes, nor
 * by shutting its end. Else the monitor itself walks what the sweeper was taken over by. */
static void says_nothing_at_all(void **state)
{
	int runs = dup(peer);

	assert_int_equal(send(peer, "", 0, 0), 0);
	take();
	close(runs);
	assert_int_not_equal(guest.pair.fd, 0);
	/* Nor is it cut off: what it says next is heard. */
	hint(&rf_guard_decoys, 0, IMAGE_GPA);
	take();
	assert_int_equal(fake.heals_asked, 1);
}

static void shuts_its_end(void **state)
{
	int runs = dup(peer);

	assert_int_equal(shutdown(peer, SHUT_RDWR), 0);
	take();
	close(runs);
	assert_int_not_equal(guest.pair.fd, 0);
}

/* Each line is a flush to the disk, and the log can be full. */
static void says_hello_for_ever(void **state)
{
	const struct rf_found hello = { .what = RF_FOUND_HELLO,
					.count = 1,
					.values = { RF_PAIR_REVISION } };
	struct rf_order o;

	for (int i = 0; i < 1000; i++) {
		say(&hello);
		take();
		while (ordered(&o) >= 0)
			;
	}
	assert_true(fake_count("kind", "sweeper") <= 5);
}

/* What has not gone through is sent again, eyes first. */
static void blind_at_first(void **state)
{
	const struct rf_found hello = { .what = RF_FOUND_HELLO,
					.count = 1,
					.values = { RF_PAIR_REVISION } };
	struct rf_order o;

	for (int i = 0; i < 5000; i++)
		rf_pair_announce(&guest);
	say(&hello);
	take();
	assert_true(guest.pair.blind);
	while (ordered(&o) >= 0)
		;
	take();
	assert_int_equal(ordered(&o), RF_SHARED);
	assert_int_equal(ordered(&o), 0);
	assert_int_equal(o.kernel, guest.kernel_event);
}

/* Of another release, which means other things by the same numbers: it is given nothing. */
static void of_another_release(void **state)
{
	struct rf_found hello = { .what = RF_FOUND_HELLO,
				  .count = 1,
				  .values = { RF_PAIR_REVISION + 1 } };
	struct rf_order o;

	ordered(&o);
	say(&hello);
	hello.count = 0;
	say(&hello);
	take();
	assert_int_equal(ordered(&o), -1);
	assert_int_not_equal(guest.pair.fd, 0);
	assert_string_equal(fake_text(fake_line(0), "outcome"), "not let in");
	assert_int_equal(fake_count("kind", "sweeper"), 1);
}

/* --- the sweeper ---------------------------------------------------------- */

static struct rf_guest sweeper;

static struct {
	int fd; /* the monitor's end */
	void (*script)(void);
	unsigned int hints, endless;
	struct rf_found last;
} monitor;

static void hear_until(uint32_t what)
{
	struct rf_found f;

	do {
		if (rf_packet_receive(monitor.fd, 5000, &f, sizeof(f), NULL, 0) < 0)
			return;
		monitor.hints += f.what == RF_FOUND_HINT;
		monitor.endless += f.what == RF_FOUND_ENDLESS;
		monitor.last = f;
	} while (f.what != what);
}

static void order(const struct rf_order *o, const int *fds, size_t n)
{
	rf_msg_send(monitor.fd, o, sizeof(*o), fds, n);
}

static void *monitor_main(void *arg)
{
	monitor.script();
	close(monitor.fd);
	return NULL;
}

static void sweep(void (*script)(void))
{
	pthread_t thread;
	int ends[2], err;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
	memset(&monitor, 0, sizeof(monitor));
	monitor.fd = ends[0];
	monitor.script = script;
	memset(&sweeper, 0, sizeof(sweeper));
	sweeper.policy = guest.policy;
	sweeper.notify_fd = -1;
	sweeper.pair = (struct rf_pair){ .fd = ends[1], .sweeper = true };
	rf_unit_memory(&sweeper);
	assert_int_equal(pthread_create(&thread, NULL, monitor_main, NULL), 0);
	err = rf_sweeper_run(&sweeper);
	pthread_join(thread, NULL);
	assert_int_equal(err, 0);
	rf_guards_forget(&sweeper);
	rf_kernel_destroy(sweeper.kernel);
	close(ends[1]);
}

static void look(void)
{
	const struct rf_order o = { .what = RF_ORDER_LOOK };
	const int fds[RF_SHARED] = { fake.log_fd, fake.log_fd, fake.log_fd };

	hear_until(RF_FOUND_HELLO);
	order(&o, fds, RF_SHARED);
}

static void kernel(uint64_t event, uint64_t generation)
{
	const struct rf_order o = { .what = RF_ORDER_KERNEL,
				    .kernel = event,
				    .generation = generation,
				    .tables_known = true };

	order(&o, NULL, 0);
}

static void until_it_follows(uint64_t generation)
{
	do
		hear_until(RF_FOUND_ALIVE);
	while (monitor.last.what == RF_FOUND_ALIVE &&
	       monitor.last.values[RF_ALIVE_GENERATION] != generation);
}

static void finds_script(void)
{
	look();
	kernel(guest.kernel_event, 1);
	hear_until(RF_FOUND_HINT);
	assert_int_equal(monitor.last.kernel, guest.kernel_event);
	until_it_follows(1);
}

static void finds(void **state)
{
	size_t lines = fake_lines();

	guest.table->kernel = guest.kernel_event;
	fake.gone = 100;
	sweep(finds_script);
	assert_int_equal(fake.views, 1);
	assert_int_equal(fake.confined, 1);
	assert_true(fake.copies == 1 && fake.patch_sweeps >= 1);
	assert_true(monitor.hints >= 4);       /* 50 and 50, in packets of 28 */
	assert_int_equal(fake_lines(), lines); /* it has no log */
}

static void foreign_script(void)
{
	look();
	kernel(guest.kernel_event, 1);
	hear_until(RF_FOUND_HINT);
}

static void sees_decoys(void **state)
{
	sweeper.policy.dma_sweep_ms = 1;
	fake.decoy[0x1000]++;
	sweep(foreign_script);
	assert_int_equal(monitor.last.guard, rf_guards_row(&rf_guard_decoys));
	assert_int_equal(monitor.last.values[0], IMAGE_GPA + 0x1000);
	assert_int_equal(fake.heals_asked, 0);
}

static void endless_script(void)
{
	look();
	kernel(guest.kernel_event, 1);
	hear_until(RF_FOUND_ENDLESS);
}

static void walks_without_end(void **state)
{
	guest.table->kernel = guest.kernel_event;
	fake.endless = true;
	sweep(endless_script);
	assert_int_equal(monitor.endless, 1);
	assert_int_equal(monitor.last.guard, rf_guards_row(&rf_guard_patches));
	fake.endless = false;
}

static void stale_script(void)
{
	look();
	kernel(guest.kernel_event + 1, 1); /* the board has another one */
	hear_until(RF_FOUND_ALIVE);
	assert_int_equal(monitor.last.values[RF_ALIVE_GENERATION], 0);
	kernel(guest.kernel_event, 2);
	until_it_follows(2);
	kernel(0, 3);
	kernel(guest.kernel_event, 4);
	until_it_follows(4);
}

static void follows_orders(void **state)
{
	sweep(stale_script);
	assert_int_equal(monitor.last.values[RF_ALIVE_GENERATION], 4);
}

static int client[2];

static void ask_script(void)
{
	const struct rf_order o = { .what = RF_ORDER_ASK,
				    .guard = rf_guards_row(&rf_guard_gadgets) },
			      nobody = { .what = RF_ORDER_ASK, .guard = UINT32_MAX },
			      silent = { .what = RF_ORDER_ASK,
					 .guard = rf_guards_row(&rf_guard_patches) };

	look();
	order(&nobody, &client[1], 1);
	order(&silent, &client[1], 1);
	kernel(guest.kernel_event, 1);
	order(&o, &client[1], 1);
	close(client[1]);
	until_it_follows(1);
	hear_until(RF_FOUND_ALIVE);
}

/* What a client gets, who is let go then. */
static const char *answer_to(void (*script)(void))
{
	static char text[8192];
	char more;
	ssize_t n;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, client), 0);
	sweep(script);
	n = recv(client[0], text, sizeof(text) - 1, 0);
	assert_true(n > 0);
	text[n] = '\0';
	assert_int_equal(recv(client[0], &more, 1, 0), 0);
	close(client[0]);
	return text;
}

static void answers(void **state)
{
	assert_string_equal(answer_to(ask_script),
			    "{\"done\":false,\"searched\":0,\"text_bytes\":163840}\n");
}

/* Guest memory is read by the sweeper, of what it is asked for. */
static void memory_script(void)
{
	const struct rf_order o = { .what = RF_ORDER_ASK,
				    .guard = rf_guards_row(&rf_guard_memory),
				    .asked = { IMAGE_GPA + RODATA_AT, 1 } };

	look();
	kernel(guest.kernel_event, 1);
	until_it_follows(1);
	order(&o, &client[1], 1);
	close(client[1]);
	hear_until(RF_FOUND_ALIVE);
}

static void shows_memory(void **state)
{
	assert_non_null(strstr(answer_to(memory_script), "\"pages\":1,\"bytes\":\""));
}

static void odd_script(void)
{
	struct rf_order o = { .what = RF_ORDER_ASK };

	order(&o, NULL, 0); /* before its hello: of somebody else's time */
	look();
	order(&o, NULL, 0); /* no client */
	o.what = 99;
	order(&o, NULL, 0);
	send(monitor.fd, "x", 1, MSG_NOSIGNAL); /* no monitor says that: it ends */
	hear_until(77);
}

static void odd_orders(void **state)
{
	sweep(odd_script);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(sealed_is_announced),
		T(sweeper_comes),
		T(hints),
		T(hints_that_mean_nothing),
		T(bounded),
		T(hostile),
		T(endless),
		T(alive),
		T(deaf),
		T(asked),
		T(left_alone),
		T(blind_at_first),
		T(of_another_release),
		T(says_nothing_at_all),
		T(shuts_its_end),
		T(says_hello_for_ever),
		T(finds),
		T(sees_decoys),
		T(walks_without_end),
		T(follows_orders),
		T(answers),
		T(shows_memory),
		T(odd_orders),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
