// SPDX-License-Identifier: LGPL-2.1-or-later
/* hv/backend_kvm.c, attached to a fence that lies: what it says, and what it is told. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fake_vmm.h"
#include "tests/unit/leave_out.h"
#include "tests/unit/must.h"

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
	int events, others; /* others: answers to nothing */
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
	for (int i = 0; i <= script.others; i++)
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
	if (err && (events_before > 100 || script.others))
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
	/* Answers without end, to what nobody asks, are not passed over for ever. */
	attached();
	script.others = 5000;
	assert_int_equal(seal_once(0, false, 0), -EBADMSG);
	assert_non_null(strstr(hv->ops->wrong(hv), "answers"));
	script.others = 0;
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

	NEEDS_ROOT();
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

static struct rf_ram where[RF_RAM_MAX];

static void ram_is(int count, uint64_t first, uint64_t size, uint64_t second)
{
	assert_int_equal(hv->ops->ram(hv, where), count);
	assert_int_equal(where[0].gpa, first);
	assert_int_equal(where[0].size, size);
	if (count > 1)
		assert_int_equal(where[1].gpa, second);
}

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
	/* What lies side by side is one, in whichever order it stands. */
	ram_is(1, 0x1000, 0x2000, 0);
	board->runs[2] = (struct rf_board_run){ 0x4000, 0, (uintptr_t)ram[1], 0 };
	board->runs_count = 3;
	board->runs[1].gpa = 0x8000;
	board->seq += 2;
	ram_is(2, 0x1000, 0x1000, 0x8000);
	board->runs[0].gpa = 0x9000;
	board->seq += 2;
	ram_is(1, 0x8000, 0x2000, 0);
	board->runs[0].gpa = 0xa000;
	board->seq += 2;
	ram_is(2, 0x8000, 0x1000, 0xa000);
	/* One byte in two of them. */
	board->runs[1].size = 0x2001;
	board->seq += 2;
	assert_int_equal(hv->ops->ram(hv, where), -EBADMSG);
	/* What had no room may be missing. */
	board->runs_count = RF_BOARD_RUNS;
	board->seq += 2;
	assert_int_equal(hv->ops->ram(hv, where), -E2BIG);
	board->runs_count = 2;
	/* Runs that wrap, or lie where nothing is. */
	board->runs[0] = (struct rf_board_run){ UINT64_MAX - 10, UINT64_MAX, (uintptr_t)ram[0], 0 };
	board->runs[1] = (struct rf_board_run){ 0, UINT64_MAX, 8, 0 };
	board->seq += 2;
	hv->ops->read(hv, rf_gpa_of(UINT64_MAX - 4), buf, 64); /* its word against its own */
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0x1000), buf, 64), -EFAULT);
	/* Counts out of bounds, and a layout that never settles: no answer rather than a wrong
	 * one. */
	board->runs_count = RF_BOARD_RUNS + 1;
	board->seq += 2;
	assert_int_equal(hv->ops->info(hv, &info), -EBADMSG);
	assert_int_equal(hv->ops->read(hv, rf_gpa_of(0x1000), buf, 1), -EFAULT);
	assert_int_equal(hv->ops->ram(hv, where), -EBADMSG);
	board->runs_count = 0;
	board->regions_count = RF_SEAL_MAX + 1;
	board->seq += 2;
	assert_int_equal(hv->ops->info(hv, &info), -EBADMSG);
	board->regions_count = 0;
	board->seq++;
	assert_int_equal(hv->ops->info(hv, &info), -EAGAIN);
	board->seq++;
	assert_int_equal(hv->ops->info(hv, &info), 0);
	assert_int_equal(info.instance, 77);
	assert_int_equal(info.vmm_pid, getpid()); /* the kernel's word, not the HELLO's */
	detach();
}

static volatile sig_atomic_t looking, met;

/* As rf_board_begin() and rf_board_end() do it: what is in between belongs together. One of the two
 * stands near the board's beginning, the other near its end. */
static void write_board(int signal)
{
	uint64_t n = board->lstar + 1;

	__atomic_fetch_add(&board->seq, 1, __ATOMIC_SEQ_CST);
	board->lstar = n;
	memcpy(board->traps_note, &n, sizeof(n));
	__atomic_fetch_add(&board->seq, 1, __ATOMIC_SEQ_CST);
	met += looking;
}

/* No copy has a part of what was before and a part of what is now: whoever looks is interrupted by
 * who writes, once a look and each time at another moment. */
static void written_meanwhile(void **state)
{
	struct sigaction act = { .sa_handler = write_board };
	struct itimerval once = { .it_value.tv_usec = 0 };
	struct rf_backend_info info;
	uint64_t note;

	attached();
	met = 0;
	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	for (unsigned int i = 0; met < 200; i++) {
		once.it_value.tv_usec = 1 + i % 100;
		assert_int_equal(setitimer(ITIMER_REAL, &once, NULL), 0);
		looking = 1;
		__atomic_fetch_add(&board->seq, 2, __ATOMIC_SEQ_CST); /* a copy, each time */
		assert_int_equal(hv->ops->info(hv, &info), 0);
		looking = 0;
		memcpy(&note, info.traps_note, sizeof(note));
		assert_true(info.lstar == note);
	}
	once.it_value.tv_usec = 0;
	assert_int_equal(setitimer(ITIMER_REAL, &once, NULL), 0);
	/* One that is on its way yet ends nobody. */
	act.sa_handler = SIG_IGN;
	assert_int_equal(sigaction(SIGALRM, &act, NULL), 0);
	detach();
}

/* A fence that says nothing is asked, once at a time, and its answer is nobody else's. */
static void silence_is_asked_about(void **state)
{
	struct rf_msg_outcome o = { .id = 4 };
	struct rf_msg_done d = { .status = -ESTALE };
	union rf_backend_message m;
	struct rf_msg_restore ping;
	uint64_t silent;

	attached();
	usleep(20000);
	silent = hv->ops->silence(hv);
	assert_true(silent >= 20000000 && silent < UINT64_C(60000000000));
	assert_true(hv->ops->silence(hv) >= silent);
	assert_int_equal(recv(vmm, &ping, sizeof(ping), 0), sizeof(ping));
	assert_int_equal(rf_msg_check(&ping, sizeof(ping)), 0);
	assert_int_equal(ping.h.type, RF_MSG_RESTORE);
	assert_int_equal(ping.kernel, 0);
	/* Not answered, it is not asked again. */
	usleep(1100000);
	assert_true(hv->ops->silence(hv) >= 1100000000);
	assert_int_equal(recv(vmm, &ping, sizeof(ping), MSG_DONTWAIT), -1);
	/* Anything it says is a sign of life. */
	rf_msg_init(&o.h, RF_MSG_OUTCOME, 0);
	send_fds(&o, sizeof(o), NULL, 0);
	assert_int_equal(hv->ops->next(hv, &m), 0);
	assert_int_equal(m.outcome.id, 4);
	assert_true(hv->ops->silence(hv) < 1000000000);
	rf_msg_init(&d.h, RF_MSG_DONE, ping.h.seq);
	send_fds(&d, sizeof(d), NULL, 0);
	assert_int_equal(hv->ops->next(hv, &m), -EAGAIN);
	/* An answer that was not asked for is nonsense as before. */
	send_fds(&d, sizeof(d), NULL, 0);
	assert_int_equal(hv->ops->next(hv, &m), -EBADMSG);
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
		cmocka_unit_test(memory_of_another_user),
		cmocka_unit_test(events),
		cmocka_unit_test(commands),
		cmocka_unit_test(memory),
		cmocka_unit_test(written_meanwhile),
		cmocka_unit_test(silence_is_asked_about),
		cmocka_unit_test(trail_is_bounded),
		cmocka_unit_test(seen_by_another),
		cmocka_unit_test(heal_is_asked_for),
		cmocka_unit_test(heals_are_bounded),
		cmocka_unit_test(kept_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
