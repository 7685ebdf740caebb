// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_vmm.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

int vmm, monitor = -1;
struct rf_board *board;
struct rf_backend *hv;
const char *why;
const struct rf_rules rules = { .observe = 1, .kexec = 1, .unsealed_ms = 1234 };

int make_board(size_t size, int seals)
{
	int fd = memfd_create("board", MFD_ALLOW_SEALING);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	board = mmap(NULL, sizeof(struct rf_board_file), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(board, MAP_FAILED);
	if (size >= sizeof(struct rf_board_file)) {
		board->magic = RF_BOARD_MAGIC;
		board->revision = RF_PROTO_REVISION;
		board->seq = 2;
	}
	if (seals)
		assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

void send_fds(const void *msg, size_t size, const int *fds, int n)
{
	struct iovec iov = { (void *)(uintptr_t)msg, size };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(8 * sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE((size_t)n * sizeof(int));
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN((size_t)n * sizeof(int));
		memcpy(CMSG_DATA(&control.h), fds, (size_t)n * sizeof(int));
	}
	assert_int_equal(sendmsg(vmm, &m, MSG_NOSIGNAL), size);
}

struct rf_msg_hello hello(void)
{
	struct rf_msg_hello h = { .vmm_pid = 1,
				  .instance = 77,
				  .next_event = 5,
				  .board_size = sizeof(struct rf_board_file) };

	rf_msg_init(&h.h, RF_MSG_HELLO, 0);
	memset(h.vmm, 'x', sizeof(h.vmm)); /* no NUL */
	return h;
}

void say_hello(const struct rf_msg_hello *h, int board_fd)
{
	const int fds[] = { board_fd, open("/proc/self/mem", O_RDONLY) };

	send_fds(h, sizeof(*h), fds, 2);
	close(fds[1]);
}

void connected(void)
{
	const int on = 1;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	vmm = pair[0];
	monitor = pair[1];
	/* As `run` makes it. */
	assert_int_equal(setsockopt(monitor, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)), 0);
	why = NULL;
}

void refused(int err)
{
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), err);
	assert_non_null(why);
	close(monitor);
	close(vmm);
}

void attached(void)
{
	struct rf_msg_hello h = hello();
	struct rf_msg_welcome w;
	int fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);

	connected();
	say_hello(&h, fd);
	close(fd);
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), 0);
	assert_int_equal(recv(vmm, &w, sizeof(w), 0), sizeof(w));
	assert_int_equal(rf_msg_check(&w, sizeof(w)), 0);
	assert_int_equal(w.h.type, RF_MSG_WELCOME);
	assert_memory_equal(&w.rules, &rules, sizeof(rules));
}

void detach(void)
{
	hv->ops->destroy(hv);
	close(vmm);
	munmap(board, sizeof(struct rf_board_file));
}
