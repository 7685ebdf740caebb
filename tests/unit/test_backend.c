/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* hv/backend_kvm.c against a fence that lies: the test is the VMM at the other end of the socket.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/backend.h"

static int vmm, monitor = -1;  /* the two ends */
static struct rf_board *board; /* in a struct rf_board_file */
static struct rf_backend *hv;
static const char *why;
static const struct rf_rules rules = { .observe = 1, .kexec = 1, .unsealed_ms = 1234 };

static int make_board(size_t size, int seals)
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

static void send_fds(const void *msg, size_t size, const int *fds, int n)
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

static struct rf_msg_hello hello(void)
{
	struct rf_msg_hello h = { .vmm_pid = 1,
				  .instance = 77,
				  .next_event = 5,
				  .board_size = sizeof(struct rf_board_file) };

	rf_msg_init(&h.h, RF_MSG_HELLO, 0);
	memset(h.vmm, 'x', sizeof(h.vmm)); /* no NUL */
	return h;
}

/* With a board, and the memory of this process. */
static void say_hello(const struct rf_msg_hello *h, int board_fd)
{
	const int fds[] = { board_fd, open("/proc/self/mem", O_RDONLY) };

	send_fds(h, sizeof(*h), fds, 2);
	close(fds[1]);
}

static void connected(void)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	vmm = pair[0];
	monitor = pair[1];
	why = NULL;
}

static void refused(int err)
{
	assert_int_equal(rf_backend_kvm_attach(monitor, &rules, &hv, &why), err);
	assert_non_null(why);
	close(monitor);
	close(vmm);
}

static void attached(void)
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

static void detach(void)
{
	hv->ops->destroy(hv);
	close(vmm);
	munmap(board, sizeof(struct rf_board_file));
}

static int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* --- the patch table goes from one monitor to the next -------------------------------------------
 */

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

/* --- attach --------------------------------------------------------------------------------------
 */

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

static struct rf_msg_event event(uint64_t id)
{
	struct rf_msg_event e = { .id = id, .kind = RF_EVENT_WRITE, .write.len = 8 };

	rf_msg_init(&e.h, RF_MSG_EVENT, 0);
	return e;
}

static void events(void **state)
{
	union rf_backend_message m;
	struct rf_msg_event e = event(9);
	struct rf_msg_done d = { .status = 0 };

	attached();
	assert_int_equal(hv->ops->next(hv, &m), -EAGAIN);
	assert_int_equal(send(vmm, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(hv->ops->next(hv, &m), 0);
	assert_int_equal(m.event.id, 9);
	e.write.len = RF_EVENT_BYTES + 1;
	assert_int_equal(send(vmm, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(hv->ops->next(hv, &m), -EBADMSG);
	e = event(10);
	e.insn.len = 16;
	assert_int_equal(send(vmm, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(hv->ops->next(hv, &m), -EBADMSG);
	rf_msg_init(&d.h, RF_MSG_DONE, 1); /* of a command nobody gave */
	assert_int_equal(send(vmm, &d, sizeof(d), 0), sizeof(d));
	assert_int_equal(hv->ops->next(hv, &m), -EBADMSG);
	assert_int_equal(send(vmm, &e, sizeof(e) - 1, 0), sizeof(e) - 1);
	assert_int_equal(hv->ops->next(hv, &m), -EBADMSG);
	e.h.revision++;
	assert_int_equal(send(vmm, &e, sizeof(e), 0), sizeof(e));
	assert_int_equal(hv->ops->next(hv, &m), -EPROTONOSUPPORT);
	shutdown(vmm, SHUT_RDWR);
	assert_int_equal(hv->ops->next(hv, &m), -ECONNRESET);
	detach();
}

/* Answers a command: `events` first, of which one may be ill-formed, then a DONE of another time,
 * then the DONE. */
static struct {
	int events;
	bool ill_formed;
	int32_t status;
} script;

static void *answer(void *arg)
{
	uint8_t packet[RF_MSG_MAX];
	struct rf_msg_done d = { .ns = 123 };
	struct rf_msg h;

	if (recv(vmm, packet, sizeof(packet), 0) <= 0)
		return NULL;
	memcpy(&h, packet, sizeof(h));
	for (int i = 0; i < script.events; i++) {
		struct rf_msg_event e = event((uint64_t)i + 1);

		if (script.ill_formed && i == script.events - 1)
			e.write.len = 4000;
		send(vmm, &e, sizeof(e), MSG_NOSIGNAL);
	}
	rf_msg_init(&d.h, RF_MSG_DONE, h.seq - 1);
	d.status = -EIO;
	send(vmm, &d, sizeof(d), MSG_NOSIGNAL);
	d.h.seq = h.seq;
	d.status = script.status;
	send(vmm, &d, sizeof(d), MSG_NOSIGNAL);
	return NULL;
}

static int seal_once(int events_before, bool ill_formed, int32_t status)
{
	struct rf_msg_seal m = { .count = 1 };
	uint64_t ns = 0;
	pthread_t t;
	int err;

	script.events = events_before;
	script.ill_formed = ill_formed;
	script.status = status;
	assert_int_equal(pthread_create(&t, NULL, answer, NULL), 0);
	err = hv->ops->seal(hv, &m, &ns);
	if (!err)
		assert_int_equal(ns, 123);
	if (err && events_before > 100)
		shutdown(vmm, SHUT_RDWR); /* nobody reads on: the sender would wait for ever */
	pthread_join(t, NULL);
	return err;
}

static void commands(void **state)
{
	union rf_backend_message m;

	attached();
	assert_int_equal(seal_once(0, false, 0), 0);
	assert_int_equal(seal_once(0, false, -ESTALE), -ESTALE);
	assert_int_equal(seal_once(0, false, 1), -EBADMSG); /* no such status */
	assert_int_equal(seal_once(3, false, 0), 0);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_int_equal(hv->ops->next(hv, &m), 0);
		assert_int_equal(m.event.id, id);
	}
	assert_int_equal(hv->ops->next(hv, &m), -EAGAIN);
	detach();
	/* An event that comes in the middle of a command is looked at no less. */
	attached();
	assert_int_equal(seal_once(2, true, 0), -EBADMSG);
	detach();
	/* As many as vCPUs and what is told can send, in order. */
	attached();
	assert_int_equal(seal_once(4096, false, 0), 0);
	for (uint64_t id = 1; id <= 4096; id++) {
		assert_int_equal(hv->ops->next(hv, &m), 0);
		assert_int_equal(m.event.id, id);
	}
	assert_int_equal(hv->ops->next(hv, &m), -EAGAIN);
	detach();
	/* More than they could have sent. */
	attached();
	assert_int_equal(seal_once(4100, false, 0), -EBADMSG);
	detach();
}

/* --- another user's VMM --- */

#define PLACE 0x1000
static uint8_t place[64];

/* As QEMU with -runas and -chroot: by then nobody may trace it but with CAP_SYS_PTRACE. */
static _Noreturn void runas_vmm(int board_fd, int ready, int end)
{
	struct rf_msg_hello h = hello();
	char c;

	memset(place, 0x5a, sizeof(place));
	say_hello(&h, board_fd);
	if (chroot("/proc/self/fdinfo") || setresgid(65534, 65534, 65534) ||
	    setresuid(65534, 65534, 65534) || write(ready, "r", 1) != 1)
		_exit(1);
	_exit(read(end, &c, 1) != 0);
}

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not so: %s\n", #what);                                    \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

static _Noreturn void other_monitor(pid_t pid, int end)
{
	uint8_t buf[sizeof(place)];
	struct iovec local = { buf, sizeof(buf) }, remote = { place, sizeof(buf) };

	MUST(!setresgid(65533, 65533, 65533) && !setresuid(65533, 65533, 65533));
	MUST(!rf_backend_kvm_attach(monitor, &rules, &hv, &why));
	MUST(!hv->ops->read(hv, rf_gpa_of(PLACE), buf, sizeof(buf)));
	for (size_t i = 0; i < sizeof(buf); i++)
		MUST(buf[i] == 0x5a);
	/* What a process id alone is good for. */
	MUST(process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0 && errno == EPERM);
	close(end);
	while (!kill(pid, 0) || errno == EPERM)
		usleep(1000);
	MUST(hv->ops->read(hv, rf_gpa_of(PLACE), buf, sizeof(buf)) == -EFAULT);
	_exit(0);
}

static void memory_of_another_user(void **state)
{
	int ready[2], end[2], fd, status;
	pid_t pid, reader;
	char c;

	if (geteuid())
		skip();
	fd = make_board(sizeof(struct rf_board_file), F_SEAL_SHRINK);
	board->runs_count = 1;
	board->runs[0] = (struct rf_board_run){ PLACE, sizeof(place), (uintptr_t)place, 0 };
	connected();
	assert_int_equal(pipe(ready) | pipe(end), 0);
	pid = fork();
	if (!pid) {
		close(end[1]);
		runas_vmm(fd, ready[1], end[0]);
	}
	assert_int_equal(read(ready[0], &c, 1), 1);
	reader = fork();
	if (!reader)
		other_monitor(pid, end[1]);
	close(end[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
	close(end[0]);
	close(monitor);
	close(vmm);
	munmap(board, sizeof(struct rf_board_file));
}

/* --- the board --- */

static void memory(void **state)
{
	static uint8_t ram[2][4096] = { { 1, 2, 3 }, { 4, 5, 6 } };
	struct rf_backend_info info;
	uint8_t buf[8192];

	attached();
	board->runs_count = 2;
	board->runs[0] =
		(struct rf_board_run){ 0x1000, 4096, (uintptr_t)ram[0], (uintptr_t)ram[1] };
	board->runs[1] = (struct rf_board_run){ 0x2000, 4096, (uintptr_t)ram[1], 0 };
	board->seq += 2;
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0x1000), buf, 8192), 0);
	assert_memory_equal(buf, ram, 8192);
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0x1001), buf, 8192), -EFAULT);
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0xfff), buf, 2), -EFAULT);
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(UINT64_MAX), buf, 2), -EFAULT);
	assert_int_equal(hv->ops->read_decoy(hv, rf_gpa_of(0x1000), buf, 3), 0);
	assert_memory_equal(buf, ram[1], 3);
	assert_int_equal(hv->ops->read_decoy(hv, rf_gpa_of(0x2000), buf, 3), -ENOENT);
	/* Runs that wrap, or lie where nothing is. */
	board->runs[0] = (struct rf_board_run){ UINT64_MAX - 10, UINT64_MAX, (uintptr_t)ram[0], 0 };
	board->runs[1] = (struct rf_board_run){ 0, UINT64_MAX, 8, 0 };
	board->seq += 2;
	hv->ops->read(hv, rf_gpa_of(UINT64_MAX - 4), buf, 64); /* its word against its own */
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0x1000), buf, 64), -EFAULT);
	/* Counts out of bounds, and a layout that never settles: no answer rather than a wrong one.
	 */
	board->runs_count = RF_BOARD_RUNS + 1;
	board->seq += 2;
	assert_int_equal(hv->ops->info(hv, &info), -EAGAIN);
	board->runs_count = 0;
	board->regions_count = RF_SEAL_MAX + 1;
	board->seq += 2;
	assert_int_equal(hv->ops->info(hv, &info), -EAGAIN);
	board->regions_count = 0;
	board->seq++;
	assert_int_equal(hv->ops->info(hv, &info), -EAGAIN);
	board->seq++;
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.instance, 77);
	assert_int_equal(info.vmm_pid, getpid()); /* the kernel's word, not the HELLO's */
	detach();
}

/* The trail is the fence's word: bounded, whatever it says. */
static void trail_is_bounded(void **state)
{
	struct rf_trail *t;
	struct rf_patch_entry out[4];
	struct rf_patching now;
	struct rf_patch_table *table;

	attached();
	t = &((struct rf_board_file *)board)->trail;
	table = hv->ops->table(hv);
	assert_non_null(table);
	assert_int_equal(table->kernel, 0);
	assert_int_equal(hv->ops->entries(hv, 0, out, 4), 0);
	for (uint32_t i = 0; i < RF_TRAIL_ENTRIES; i++)
		t->entries[i].at = i;
	t->head = 6;
	assert_int_equal(hv->ops->entries(hv, 0, out, 4), 4);
	assert_int_equal(out[3].at, 3);
	assert_int_equal(hv->ops->entries(hv, 4, out, 4), 2);
	assert_int_equal(out[1].at, 5);
	assert_int_equal(hv->ops->entries(hv, 7, out, 4), 0); /* more than there ever were */
	t->head = RF_TRAIL_ENTRIES + 3;
	assert_int_equal(hv->ops->entries(hv, 2, out, 4), 0); /* overwritten by now */
	assert_int_equal(hv->ops->entries(hv, RF_TRAIL_ENTRIES - 1, out, 4), 4);
	assert_int_equal(out[1].at, 0);

	t->flights_count = UINT32_MAX;
	t->flights[0].len = 255;
	t->kinds[RF_SITE_FTRACE] = 9;
	hv->ops->trail(hv, &now);
	assert_int_equal(now.count, RF_FLIGHTS);
	assert_int_equal(now.flights[0].len, RF_SITE_MAX_LEN);
	assert_int_equal(now.kinds[RF_SITE_FTRACE], 9);
	assert_int_equal(now.head, RF_TRAIL_ENTRIES + 3);
	detach();
}

/* A second process sees the same by the descriptors that it is given, and can do nothing. */
static void seen_by_another(void **state)
{
	struct rf_patching now = { 0 }, seen = { 0 };
	struct rf_board_file *file;
	struct rf_backend *view;
	int fds[RF_SHARED];

	attached();
	file = (struct rf_board_file *)board;
	file->trail.changes = 5;
	file->trail.kinds[RF_SITE_FTRACE] = 9;
	hv->ops->share(hv, fds);
	for (int i = 0; i < RF_SHARED; i++)
		fds[i] = dup(fds[i]);
	assert_int_equal(rf_backend_kvm_view(fds, &view), 0);
	file->trail.changes = 6;
	hv->ops->trail(hv, &now);
	view->ops->trail(view, &seen);
	assert_memory_equal(&now, &seen, sizeof(now));
	assert_int_equal(seen.changes, 6);
	hv->ops->table(hv)->kernel = 7;
	assert_int_equal(view->ops->table(view)->kernel, 7);
	assert_null(view->ops->restore);
	assert_null(view->ops->verdict);
	view->ops->destroy(view);
	detach();
}

/* Its answer may be about anything; what the command said is what was asked. */
static void *answer_heal(void *arg)
{
	struct rf_msg_heal *got = arg;
	struct rf_msg_done d = { .status = -ESTALE };

	if (recv(vmm, got, sizeof(*got), 0) != sizeof(*got))
		return NULL;
	rf_msg_init(&d.h, RF_MSG_DONE, got->h.seq);
	send(vmm, &d, sizeof(d), MSG_NOSIGNAL);
	return NULL;
}

static void heal_is_asked_for(void **state)
{
	const struct rf_msg_heal m = { .kernel = 3, .gpa = 0x1000, .len = 0x2000, .taken = 9 };
	struct rf_msg_heal got = { 0 };
	pthread_t t;

	attached();
	assert_int_equal(pthread_create(&t, NULL, answer_heal, &got), 0);
	assert_int_equal(hv->ops->heal(hv, &m), -ESTALE);
	pthread_join(t, NULL);
	assert_int_equal(rf_msg_check(&got, sizeof(got)), 0);
	assert_int_equal(got.h.type, RF_MSG_HEAL);
	assert_int_equal(got.kernel, 3);
	assert_int_equal(got.gpa, 0x1000);
	assert_int_equal(got.len, 0x2000);
	assert_int_equal(got.taken, 9);
	detach();
}

/* What was healed comes once, in order; what was overwritten is seen as a gap. */
static void heals_are_bounded(void **state)
{
	struct rf_backend_info info;
	struct rf_heal out[RF_HEALS + 4];
	struct rf_heals *h;
	uint64_t from = 0;

	attached();
	h = &((struct rf_board_file *)board)->heals;
	assert_int_equal(hv->ops->heals(hv, &from, out, 4), 0);
	assert_int_equal(from, 0);
	for (uint32_t i = 0; i < RF_HEALS; i++)
		h->entries[i] = (struct rf_heal){ .gpa = i, .len = 1, .own = { 7 } };
	h->head = 6;
	h->taken = 2;
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.heals_taken, 2);
	from = info.heals_taken;
	assert_int_equal(hv->ops->heals(hv, &from, out, 3), 3);
	assert_int_equal(from, 5);
	assert_int_equal(out[0].gpa, 2);
	assert_int_equal(out[2].gpa, 4);
	assert_int_equal(out[2].own[0], 7);
	assert_int_equal(hv->ops->heals(hv, &from, out, 3), 1);
	assert_int_equal(out[0].gpa, 5);
	assert_int_equal(from, 6);
	assert_int_equal(hv->ops->heals(hv, &from, out, 3), 0);
	/* Ten are lost. */
	h->head = RF_HEALS + 16;
	assert_int_equal(hv->ops->heals(hv, &from, out, 0), 0);
	assert_int_equal(from, 16);
	assert_int_equal(hv->ops->heals(hv, &from, out, RF_HEALS + 4), RF_HEALS);
	assert_int_equal(from, RF_HEALS + 16);
	assert_int_equal(out[0].gpa, 16);
	assert_int_equal(out[RF_HEALS - 1].gpa, 15);
	/* A fence that lies. */
	h->head = UINT64_MAX;
	h->entries[(UINT64_MAX - 1) % RF_HEALS].len = UINT32_MAX;
	assert_int_equal(hv->ops->heals(hv, &from, out, RF_HEALS + 4), RF_HEALS);
	assert_int_equal(from, UINT64_MAX);
	assert_int_equal(out[RF_HEALS - 1].len, RF_PAGE_SIZE);
	h->head = 3;
	assert_int_equal(hv->ops->heals(hv, &from, out, 4), 0);
	assert_int_equal(from, 3);
	detach();
}

/* What was sealed last and is kept, for a monitor that has not seen it. */
static void kept_is_told(void **state)
{
	struct rf_backend_info info;
	uint8_t note[32];

	attached();
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.kept_entry, 0);
	memset(note, 0x5a, sizeof(note));
	board->kept_entry = UINT64_C(0xffffffff81a00000);
	memcpy(board->kept_note, note, sizeof(note));
	board->seq += 2;
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.kept_entry, UINT64_C(0xffffffff81a00000));
	assert_memory_equal(info.kept_note, note, sizeof(note));
	detach();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_of_the_next),
		cmocka_unit_test(tables_that_are_none),
		cmocka_unit_test(foreign_peers),
		cmocka_unit_test(boards),
		cmocka_unit_test(memories),
		cmocka_unit_test(memory_of_another_user),
		cmocka_unit_test(smuggled_descriptors),
		cmocka_unit_test(events),
		cmocka_unit_test(commands),
		cmocka_unit_test(memory),
		cmocka_unit_test(trail_is_bounded),
		cmocka_unit_test(seen_by_another),
		cmocka_unit_test(heal_is_asked_for),
		cmocka_unit_test(heals_are_bounded),
		cmocka_unit_test(kept_is_told),
		cmocka_unit_test(the_fences_own_board),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
