// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Descriptors that a VMM hands over and that are of a file system of its own, which answers nothing
 * any more once the file is open (FUSE). Whoever asks it anything waits beyond any signal: the
 * control shows that of this file; the monitor refuses it and has asked nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_vmm.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/must.h"

#define MEMORY_SIZE sizeof(struct rf_board_file)

/* --- the file system ------------------------------------------------------------- */

static void reply(int dev, uint64_t unique, const void *what, size_t size)
{
	uint8_t packet[sizeof(struct fuse_out_header) + 256];
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + size), .unique = unique };

	memcpy(packet, &h, sizeof(h));
	memcpy(packet + sizeof(h), what, size);
	MUST(write(dev, packet, h.len) == (ssize_t)h.len);
}

/* Lets its one file be opened, and then only says that it was asked. */
static _Noreturn void serve(int dev, int asked)
{
	static uint8_t packet[FUSE_MIN_READ_BUFFER * 32];
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
				      .minor = 31,
				      .max_write = 4096 };
	const struct fuse_open_out open_out = { .fh = 1 };
	struct fuse_in_header h;

	for (;;) {
		if (read(dev, packet, sizeof(packet)) < (ssize_t)sizeof(h))
			_exit(0); /* unmounted */
		memcpy(&h, packet, sizeof(h));
		if (h.opcode == FUSE_INIT)
			reply(dev, h.unique, &init, sizeof(init));
		else if (h.opcode == FUSE_OPEN)
			reply(dev, h.unique, &open_out, sizeof(open_out));
		else
			MUST(write(asked, "?", 1) == 1);
	}
}

/* --- who is given it ---------------------------------------------------------------- */

static int board_fd, asked[2];

static bool was_asked(void)
{
	char c;

	return read(asked[0], &c, 1) == 1;
}

/* board, memory, table; -1: the right one. Is it refused, or, of a table, passed over? */
static void hand_over(int board_file, int memory_file, int table_file)
{
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	struct rf_msg_hello h = hello();
	const int fds[] = { board_file < 0 ? board_fd : board_file,
			    memory_file < 0 ? memory : memory_file, table_file };
	int err;

	connected();
	send_fds(&h, sizeof(h), fds, table_file < 0 ? 2 : 3);
	err = rf_backend_kvm_attach(monitor, &rules, &hv, &why);
	MUST(err == (table_file < 0 ? -EBADMSG : 0));
	if (!err)
		hv->ops->destroy(hv);
	else
		close(monitor);
	close(vmm);
	close(memory);
	MUST(!was_asked());
}

/* Who asks is not to be killed before the file system is gone. */
static void control(int file)
{
	pid_t pid = fork();
	struct stat st;
	int status;

	if (!pid) {
		fstat(file, &st);
		_exit(0);
	}
	for (int i = 0; i < 500 && !was_asked(); i++)
		usleep(10000);
	kill(pid, SIGKILL);
	usleep(200000);
	MUST(waitpid(pid, &status, WNOHANG) == 0);
}

/* In a mount namespace of its own. 77: there is no FUSE here. */
static _Noreturn void with_fuse(void)
{
	char where[] = "/tmp/rf-fuse-XXXXXX", options[96];
	int place = mkstemp(where), dev, file;
	pid_t server;

	MUST(place >= 0);
	close(place);
	dev = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (dev < 0 || unshare(CLONE_NEWNS) ||
	    mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL))
		_exit(77);
	snprintf(options, sizeof(options), "fd=%d,rootmode=100666,user_id=0,group_id=0", dev);
	if (mount("rf", where, "fuse.rf", MS_NOSUID | MS_NODEV, options))
		_exit(77);
	MUST(!pipe2(asked, O_NONBLOCK | O_CLOEXEC));
	server = fork();
	if (!server)
		serve(dev, asked[1]);
	close(dev);
	file = open(where, O_RDONLY | O_CLOEXEC);
	MUST(file >= 0);
	while (was_asked()) /* by the opening */
		;
	board_fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	hand_over(file, -1, -1);
	hand_over(-1, file, -1);
	hand_over(-1, -1, file);
	control(file);
	MUST(!kill(server, SIGKILL) && waitpid(server, NULL, 0) == server);
	umount2(where, MNT_DETACH);
	unlink(where);
	_exit(0);
}

static void of_a_file_system_that_never_answers(void **state)
{
	pid_t pid;
	int status;

	if (geteuid() || access("/dev/fuse", R_OK | W_OK)) {
		LEAVE_OUT("FUSE is root's, or not there");
	}
	pid = fork();
	if (!pid) {
		alarm(60);
		with_fuse();
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		LEAVE_OUT("FUSE cannot be mounted here");
	}
	assert_int_equal(status, 0);
}

/* --- others that are none ------------------------------------------------------------ */

static int regular_file(void)
{
	char name[] = "/tmp/rf-file-XXXXXX";
	int fd = mkstemp(name), again = open(name, O_RDONLY | O_CLOEXEC);

	assert_int_equal(ftruncate(fd, MEMORY_SIZE), 0);
	close(fd);
	unlink(name);
	return again;
}

/* What could be of such a file system, by what is known without asking it. */
static bool stays_open(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return S_ISREG(st.st_mode) && !major(st.st_dev);
}

/* How many descriptors the monitor has left open. */
static int refused_in_both_places(int fd)
{
	int left = 2 * stays_open(fd);
	int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	const int as_board[] = { fd, memory }, as_memory[] = { board_fd, fd };
	struct rf_msg_hello h = hello();

	assert_true(fd >= 0);
	connected();
	send_fds(&h, sizeof(h), as_board, 2);
	refused(-EBADMSG);
	connected();
	send_fds(&h, sizeof(h), as_memory, 2);
	refused(-EBADMSG);
	assert_non_null(strstr(why, "memory"));
	close(memory);
	close(fd);
	return left;
}

/* Also what procfs has elsewhere, or a device that answers anything. */
static void of_other_kinds(void **state)
{
	int ends[2], expected;

	board_fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	expected = open_fds();
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(refused_in_both_places(ends[0]), 0);
	close(ends[1]);
	assert_int_equal(refused_in_both_places(eventfd(0, EFD_CLOEXEC)), 0);
	assert_int_equal(refused_in_both_places(open("/dev/zero", O_RDONLY | O_CLOEXEC)), 0);
	expected += refused_in_both_places(regular_file());
	expected += refused_in_both_places(open("/sys/kernel/notes", O_RDONLY | O_CLOEXEC));
	assert_int_equal(open_fds(), expected);
	close(board_fd);
	munmap(board, sizeof(struct rf_board_file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_a_file_system_that_never_answers),
		cmocka_unit_test(of_other_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
