// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/backend_kvm.c against a fence that lies: attaching to it. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_vmm.h"

/* --- the patch table goes from one monitor to the next
 * ------------------------------------------- */

static int passed = -1; /* the table that the fence keeps */

/* Another monitor; the fence hands over what it got of the last one. */
static void attached_next(void)
{
	struct rf_msg_hello h = hello();
	int board_fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK),
	    got[RF_MSG_FDS] = { -1, -1, -1 };
	const int fds[] = { board_fd, open("/proc/self/mem", O_RDONLY), passed };
	uint8_t packet[RF_MSG_MAX + 1];

	connected();
	send_fds(&h, sizeof(h), fds, passed < 0 ? 2 : 3);
	for (size_t i = 0; i < 3; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), 0);
	assert_int_equal(rf_msg_receive(vmm, 1000, packet, sizeof(packet), got, RF_MSG_FDS), 0);
	assert_true(got[0] >= 0);
	passed = got[0];
}

static void table_of_the_next(void **state)
{
	int before = open_fds();
	struct rf_patch_table *t;

	attached_next();
	t = hv->ops->table(hv);
	assert_int_equal(t->magic, 0);
	t->magic = RF_TABLE_MAGIC;
	t->kernel = 9;
	t->sites_count = 7;
	t->sites[6].at = 0x1234;
	t->extra[RF_TABLE_EXTRA - 1].at = 0x99;
	t->targets[RF_TABLE_TARGETS - 1] = 77;
	detach();
	for (int i = 0; i < 2; i++) { /* and who comes after that one */
		attached_next();
		t = hv->ops->table(hv);
		assert_int_equal(t->magic, RF_TABLE_MAGIC);
		assert_int_equal(t->kernel, 0); /* nobody judges by it before it is looked at */
		assert_int_equal(t->sites_count, 7);
		assert_int_equal(t->sites[6].at, 0x1234);
		assert_int_equal(t->extra[RF_TABLE_EXTRA - 1].at, 0x99);
		assert_int_equal(t->targets[RF_TABLE_TARGETS - 1], 77);
		detach();
	}
	close(passed);
	passed = -1;
	assert_int_equal(open_fds(), before);
}

/* What the VMM hands over in its place is not read. */
static void tables_that_are_none(void **state)
{
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	for (int i = 0; i < 4; i++) {
		passed = i == 0	  ? memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING)
			 : i == 1 ? memfd_create("unsealed", MFD_CLOEXEC | MFD_ALLOW_SEALING)
			 : i == 2 ? open("/proc/self/mem", O_RDONLY)
				  : dup(pipes[0]);
		if (i == 0)
			assert_int_equal(ftruncate(passed, 4096) |
						 fcntl(passed, F_ADD_SEALS, F_SEAL_SHRINK),
					 0);
		if (i == 1)
			assert_int_equal(ftruncate(passed, sizeof(struct rf_patch_table)), 0);
		attached_next();
		assert_int_equal(hv->ops->table(hv)->magic, 0);
		detach();
		close(passed);
	}
	passed = -1;
	close(pipes[0]);
	close(pipes[1]);
}

/* --- attach
 * -------------------------------------------------------------------------------------- */

static void foreign_peers(void **state)
{
	struct rf_msg_hello h = hello();
	struct rf_msg_welcome w = { 0 };
	int fds = open_fds();

	connected();
	assert_int_equal(send(vmm, "GET / HTTP/1.1\r\n", 16, 0), 16);
	refused(-EBADMSG);

	connected();
	close(vmm);
	vmm = -1;
	refused(-ECONNRESET);

	connected(); /* cut short */
	assert_int_equal(send(vmm, &h, sizeof(h) - 1, 0), sizeof(h) - 1);
	refused(-EBADMSG);

	connected(); /* no board */
	assert_int_equal(send(vmm, &h, sizeof(h), 0), sizeof(h));
	refused(-EBADMSG);

	connected(); /* not a HELLO, and shorter than one */
	rf_msg_init(&w.h, RF_MSG_WELCOME, 0);
	assert_int_equal(send(vmm, &w, sizeof(w), 0), sizeof(w));
	refused(-EBADMSG);

	connected(); /* another revision is told ours */
	h.h.revision++;
	assert_int_equal(send(vmm, &h, sizeof(h), 0), sizeof(h));
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), -EPROTONOSUPPORT);
	assert_non_null(strstr(why, "revision"));
	assert_int_equal(recv(vmm, &w, sizeof(w), 0), sizeof(w));
	assert_int_equal(w.h.revision, RF_PROTO_REVISION);
	close(vmm);
	close(monitor);
	assert_int_equal(open_fds(), fds);
}

static void refused_board(int fd)
{
	struct rf_msg_hello h = hello();

	connected();
	say_hello(&h, fd);
	close(fd);
	if (board)
		munmap(board, sizeof(struct rf_board_file));
	board = NULL;
	refused(-EBADMSG);
	assert_non_null(strstr(why, "board"));
}

static int tmp_is_of_no_device(void)
{
	struct stat st;

	assert_int_equal(stat("/tmp", &st), 0);
	return !major(st.st_dev);
}

static void boards(void **state)
{
	struct rf_msg_hello h = hello();
	char name[] = "/tmp/rf-board-XXXXXX";
	int fd, fds = open_fds();

	refused_board(make_board(4096, F_SEAL_SHRINK));
	refused_board(make_board(sizeof(struct rf_board_file), 0)); /* could shrink under us */
	fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	board->magic++;
	refused_board(fd);
	fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	board->revision++;
	refused_board(fd);

	/* A file that knows no seals could shrink too. */
	fd = mkstemp(name);
	unlink(name);
	assert_int_equal(ftruncate(fd, sizeof(struct rf_board_file)), 0);
	board = mmap(NULL, sizeof(struct rf_board_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	board->magic = RF_BOARD_MAGIC;
	board->revision = RF_PROTO_REVISION;
	refused_board(fd);
	/* Nor is it closed where it could be of a file system that makes who closes it wait. */
	fds += tmp_is_of_no_device();

	connected();
	h.board_size--;
	fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	say_hello(&h, fd);
	close(fd);
	munmap(board, sizeof(struct rf_board_file));
	refused(-EBADMSG);
	assert_int_equal(open_fds(), fds);
}

static void refused_memory(int fd, int n)
{
	const int fds[] = { make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK), fd };
	struct rf_msg_hello h = hello();

	connected();
	send_fds(&h, sizeof(h), fds, n);
	refused(-EBADMSG);
	assert_non_null(strstr(why, "memory"));
	close(fds[0]);
	close(fd);
	munmap(board, sizeof(struct rf_board_file));
	board = NULL;
}

/* What could keep a reader waiting, or be written through, is not taken. */
static void memories(void **state)
{
	int fds = open_fds(), ends[2];

	refused_memory(-1, 1);
	assert_int_equal(pipe(ends), 0);
	refused_memory(ends[0], 2);
	close(ends[1]);
	refused_memory(memfd_create("memory", 0), 2);
	refused_memory(open("/proc/self/mem", O_RDWR), 2);
	assert_int_equal(open_fds(), fds);
}

/* The one that hv/board.c makes: the monitor takes it, and nobody who has it can write, shrink or
 * grow it, or seal it further. */
static void the_fences_own_board(void **state)
{
	struct rf_msg_hello h = hello();
	int fd;

	assert_int_equal(rf_board_create(&fd), 0);
	assert_int_equal(fcntl(fd, F_GET_SEALS),
			 F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
	assert_ptr_equal(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	assert_int_equal(ftruncate(fd, 0), -1);
	connected();
	say_hello(&h, fd);
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), 0);
	board = rf_board;
	close(fd);
	detach();
}

/* Descriptors sent where none are awaited must not pile up in the monitor. */
static void smuggled_descriptors(void **state)
{
	struct rf_msg_outcome o = { .id = 1 };
	union rf_backend_message m;
	int before, some[8];

	attached();
	for (int i = 0; i < 8; i++)
		some[i] = vmm;
	before = open_fds();
	rf_msg_init(&o.h, RF_MSG_OUTCOME, 0);
	for (int n = 1; n <= 8; n++) {
		send_fds(&o, sizeof(o), some, n);
		assert_int_equal(hv->ops->next(hv, &m), 0);
		assert_int_equal(m.h.type, RF_MSG_OUTCOME);
	}
	assert_int_equal(open_fds(), before);
	detach();
}

/* --- what it says --- */

/* The kernel says who it is, whatever HELLO does; without its word nobody is believed. */
static void the_kernel_says_who(void **state)
{
	struct rf_msg_hello h = hello();
	int fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK), status;
	const int off = 0;
	struct rf_backend_info info;
	pid_t child;

	connected();
	child = fork();
	if (!child) {
		say_hello(&h, fd);
		pause();
	}
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), 0);
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.vmm_pid, child);
	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, &status, 0), child);
	hv->ops->destroy(hv);
	close(vmm);

	connected();
	assert_int_equal(setsockopt(monitor, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)), 0);
	say_hello(&h, fd);
	refused(-EPERM);
	assert_non_null(strstr(why, "which process"));
	close(fd);
	munmap(board, sizeof(struct rf_board_file));
}

static unsigned int open_files(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* As many descriptors as are awaited, and no process started later inherits one. What is sent
 * beyond never becomes one of this process. */
static void descriptors(void **state)
{
	const int sent[] = { STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO };
	struct rf_msg m;
	uint8_t packet[RF_MSG_MAX];
	int pair[2], fds[RF_MSG_FDS];
	unsigned int before;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	before = open_files();
	rf_msg_init(&m, RF_MSG_PEER, 0);
	for (size_t wanted = 0; wanted <= RF_MSG_FDS; wanted++) {
		memset(fds, -1, sizeof(fds));
		assert_int_equal(rf_msg_send(pair[0], &m, sizeof(m), sent, 3), 0);
		assert_int_equal(rf_msg_receive(pair[1], 1000, packet, sizeof(packet), fds, wanted),
				 0);
		assert_int_equal(open_files(), before + wanted);
		for (size_t i = 0; i < RF_MSG_FDS; i++) {
			assert_int_equal(fds[i] >= 0, i < wanted);
			assert_true(fds[i] < 0 || fcntl(fds[i], F_GETFD) == FD_CLOEXEC);
			assert_true(fds[i] < 0 || !close(fds[i]));
		}
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(table_of_the_next),
		cmocka_unit_test(tables_that_are_none),
		cmocka_unit_test(foreign_peers),
		cmocka_unit_test(boards),
		cmocka_unit_test(memories),
		cmocka_unit_test(smuggled_descriptors),
		cmocka_unit_test(the_fences_own_board),
		cmocka_unit_test(the_kernel_says_who),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
