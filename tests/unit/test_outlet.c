// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lines for people whom nobody reads. Each case runs in a child: what is kept by a write is ended
 * by an alarm, long after what would have come back by itself.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/outlet.h"
#include "monitor/monitor.h"
#include "must.h"

#define KEPT_S 20
#define PATIENCE_MS 50
#define LINES 300

/* The code that fn ends with, or -SIGALRM: it was kept. */
static int in_child(int (*fn)(int arg), int arg)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		alarm(KEPT_S);
		_exit(fn(arg));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* [0] is read, [1] is written to; a terminal as it is for people, with "\n" made "\r\n". */
static void open_terminal(int ends[2])
{
	MUST(openpty(&ends[0], &ends[1], NULL, NULL, NULL) == 0);
}

static const char *line(int number)
{
	static char text[600];

	memset(text, 'a', sizeof(text));
	snprintf(text, 32, "we: line %d ", number);
	text[strlen(text)] = 'a';
	strcpy(text + sizeof(text) - sizeof(" END\n"), " END\n");
	return text;
}

/* Everything that can be read at once. */
static char *read_all(int fd, char *all, size_t size)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < size - 1 && poll(&p, 1, 100) > 0) {
		n = read(fd, all + len, size - 1 - len);
		len += n > 0 ? (size_t)n : 0;
	}
	all[len] = '\0';
	return all;
}

static unsigned int count(const char *all, const char *what)
{
	unsigned int n = 0;

	for (; (all = strstr(all, what)); all++)
		n++;
	return n;
}

/* Lines with this at their end, which a pipe has as it is: one whose end alone had no room is lost. */
static unsigned int ending(const char *all, const char *what)
{
	char end[32], terminals[32];

	snprintf(end, sizeof(end), "%s\n", what);
	snprintf(terminals, sizeof(terminals), "%s\r\n", what);
	return count(all, end) + count(all, terminals);
}

/* The number before " lines before this were lost", of all of them. */
static unsigned int told_lost(const char *all)
{
	unsigned int sum = 0, n;

	for (const char *at = all; (at = strstr(at, "we: ")); at++)
		if (sscanf(at, "we: %u lines before", &n) == 1)
			sum += n;
	return sum;
}

/* Not read until the end: what is whole there and what is told to be lost are all of them. */
static void say_and_count(struct rf_outlet *o, int reader, int ms)
{
	static char all[1 << 20], later[1 << 16];
	unsigned int more = 0; /* tries of the last line: what is read makes room a moment later */

	for (int i = 0; i < LINES; i++)
		rf_outlet_put(o, "we: ", line(i), ms);
	MUST(o->lost > 0);
	read_all(reader, all, sizeof(all));
	for (rf_outlet_put(o, "we: ", "we: the last\n", PATIENCE_MS); o->lost && more < 500; more++) {
		poll(NULL, 0, 10);
		strcat(all, read_all(reader, later, sizeof(later)));
		rf_outlet_put(o, "we: ", "we: the last\n", PATIENCE_MS);
	}
	MUST(o->lost == 0);
	strcat(all, read_all(reader, later, sizeof(later)));
	MUST(ending(all, "we: the last") == 1);
	MUST(ending(all, " END") + told_lost(all) == LINES + more);
}

/* To a terminal that nobody reads yet, opened anew. */
static void open_outlet(struct rf_outlet *o, int ends[2])
{
	open_terminal(ends);
	rf_outlet_to(o, ends[1]);
	MUST(rf_outlet_anew(o) >= 0);
}

static int on_unread_terminal(int ms)
{
	struct rf_outlet o;
	int ends[2];

	open_outlet(&o, ends);
	MUST(o.terminal && !(fcntl(ends[1], F_GETFL) & O_NONBLOCK));
	say_and_count(&o, ends[0], ms);
	return 0;
}

static void unread_terminal(void **state)
{
	assert_int_equal(in_child(on_unread_terminal, 0), 0);
}

/* One line waits in vain, and no longer than that; thousands behind it do not wait. */
static int on_patience(int lines)
{
	struct rf_outlet o;
	int ends[2];

	open_outlet(&o, ends);
	for (int i = 0; i < lines; i++)
		rf_outlet_put(&o, "we: ", line(i), PATIENCE_MS);
	MUST(o.lost > 0);
	return 0;
}

static void waits_in_vain(void **state)
{
	assert_int_equal(in_child(on_patience, 5000), 0);
}

/* The control: by the descriptor that others have as well a write is kept. */
static int on_shared(int opened_anew)
{
	struct rf_outlet o;
	int ends[2];

	alarm(3);
	open_terminal(ends);
	rf_outlet_to(&o, ends[1]);
	if (opened_anew)
		MUST(rf_outlet_anew(&o) >= 0);
	for (int i = 0; i < LINES; i++)
		rf_outlet_put(&o, "we: ", line(i), 0);
	return 0;
}

static void shared_terminal_keeps(void **state)
{
	assert_int_equal(in_child(on_shared, 0), -SIGALRM);
	assert_int_equal(in_child(on_shared, 1), 0);
}

/* A line waits for a reader who is slow, and comes whole. */
static int on_slow_reader(int arg)
{
	static char all[1 << 20];
	struct rf_outlet o, before;
	int ends[2];
	pid_t reader;

	open_outlet(&o, ends);
	for (before = o; !before.lost;)
		rf_outlet_put(&before, "we: ", line(0), 0);
	reader = fork();
	if (!reader) {
		poll(NULL, 0, 200);
		read_all(ends[0], all, sizeof(all));
		_exit(count(all, "we: the last") == 1 ? 0 : 1);
	}
	rf_outlet_put(&o, "we: ", "we: the last\n", KEPT_S * 1000);
	MUST(o.lost == 0);
	MUST(waitpid(reader, &arg, 0) == reader && arg == 0);
	return 0;
}

static void slow_reader(void **state)
{
	assert_int_equal(in_child(on_slow_reader, 0), 0);
}

static int on_unread_pipe(int kind)
{
	struct rf_outlet o;
	int ends[2];

	MUST((kind == SOCK_STREAM ? socketpair(AF_UNIX, kind, 0, ends) : pipe(ends)) == 0);
	rf_outlet_to(&o, ends[1]);
	MUST(o.socket == (kind == SOCK_STREAM));
	MUST((rf_outlet_anew(&o) >= 0) == !o.socket);
	say_and_count(&o, ends[0], 0);
	return 0;
}

static void unread_pipe_and_socket(void **state)
{
	assert_int_equal(in_child(on_unread_pipe, 0), 0);
	assert_int_equal(in_child(on_unread_pipe, SOCK_STREAM), 0);
}

/* Between the question whether there is room and the write somebody else fills it. */
static int fill_behind_poll = -1;

int poll(struct pollfd *fds, nfds_t n, int ms)
{
	static const char block[4096];
	int ready = (int)syscall(SYS_poll, fds, n, ms);

	while (fill_behind_poll >= 0 && write(fill_behind_poll, block, sizeof(block)) > 0)
		;
	return ready;
}

static int on_contended_pipe(int opened_anew)
{
	struct rf_outlet o;
	char path[32];
	int ends[2];

	alarm(opened_anew ? KEPT_S : 3);
	MUST(pipe(ends) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", ends[1]);
	fill_behind_poll = open(path, O_WRONLY | O_NONBLOCK);
	MUST(fill_behind_poll >= 0);
	rf_outlet_to(&o, ends[1]);
	if (opened_anew)
		MUST(rf_outlet_anew(&o) >= 0);
	rf_outlet_put(&o, "we: ", line(0), 0);
	return o.lost == 1 ? 0 : 2;
}

static void contended_pipe(void **state)
{
	assert_int_equal(in_child(on_contended_pipe, 1), 0);
	assert_int_equal(in_child(on_contended_pipe, 0), -SIGALRM);
}

/* What is none of these is not opened anew: the master of a terminal would be another one. */
static void not_opened_anew(void **state)
{
	struct rf_outlet o;
	int ends[2], file = open("/tmp", O_TMPFILE | O_RDWR, 0600),
		     null = open("/dev/null", O_RDWR);

	open_terminal(ends);
	rf_outlet_to(&o, ends[0]);
	assert_int_equal(rf_outlet_anew(&o), -EINVAL);
	assert_int_equal(o.fd, ends[0]);
	rf_outlet_to(&o, null);
	assert_int_equal(rf_outlet_anew(&o), -EINVAL);
	assert_true(file >= 0);
	rf_outlet_to(&o, file);
	assert_int_equal(rf_outlet_anew(&o), -EINVAL);
	rf_outlet_put(&o, "we: ", "we: one\n", 0);
	assert_int_equal(lseek(file, 0, SEEK_END), 8);
	assert_int_equal(o.lost, 0);
	close(file);
	close(null);
	close(ends[0]);
	close(ends[1]);
}

/* --- the monitor ---------------------------------------------------------------------- */

static int on_complaints(int is_raw)
{
	struct rf_guest guest = { .notify_fd = -1 };
	static char all[1 << 20];
	struct termios t;
	int ends[2];

	open_terminal(ends);
	if (is_raw) {
		MUST(tcgetattr(ends[1], &t) == 0);
		cfmakeraw(&t);
		MUST(tcsetattr(ends[1], TCSANOW, &t) == 0);
	}
	MUST(dup2(ends[1], STDERR_FILENO) == STDERR_FILENO);
	rf_report_begin();
	for (int i = 0; i < LINES; i++)
		rf_complain(&guest, "%s", line(i));
	/* Both have their own: the one that the guest has still waits. */
	if (fcntl(ends[1], F_GETFL) & O_NONBLOCK || !(fcntl(STDERR_FILENO, F_GETFL) & O_NONBLOCK))
		return 2;
	read_all(ends[0], all, sizeof(all));
	rf_complain(&guest, "and now");
	read_all(ends[0], all, sizeof(all));
	return strstr(all, "lines before this were lost") && strstr(all, "and now") ? 0 : 3;
}

static void monitor_goes_on(void **state)
{
	assert_int_equal(in_child(on_complaints, 0), 0);
	assert_int_equal(in_child(on_complaints, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unread_terminal),	  cmocka_unit_test(waits_in_vain),
		cmocka_unit_test(shared_terminal_keeps),  cmocka_unit_test(slow_reader),
		cmocka_unit_test(unread_pipe_and_socket), cmocka_unit_test(contended_pipe),
		cmocka_unit_test(not_opened_anew),	  cmocka_unit_test(monitor_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
