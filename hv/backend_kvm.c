// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The KVM backend, monitor side: the fence at the other end of a socket, its board, and guest
 * memory through the descriptor of the VMM's memory that the fence hands over. The VMM is trusted
 * less than it seems: whatever it says is bounded before it is used.
 */
#include "hv/view.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "hv/check.h"

/* A fence says it at once, and gives up on us after 10 s: a silent peer must not cost it the
 * start. */
#define HELLO_MS 2000
/* What came while a command's answer was awaited: a question a vCPU, an outcome, and what is
 * told. */
#define QUEUE 4096
#define PING_NS UINT64_C(1000000000)

struct kvm_backend {
	struct rf_backend base;
	int sock;
	struct rf_msg_hello hello;
	struct rf_view view;
	struct rf_patch_table *table;
	int table_fd;
	uint32_t seq;
	uint32_t ping; /* seq of the one whose answer has not come yet, 0 none */
	uint64_t pinged_ns, heard_ns;
	const char *wrong; /* what of the last message no fence says; constant text */
	size_t queued;
	union rf_backend_message *queue; /* QUEUE of them; untouched parts cost no memory */
};

static struct kvm_backend *of(struct rf_backend *b)
{
	return (struct kvm_backend *)b;
}

/* --- what it sees --------------------------------------------------------- */

static int kvm_info(struct rf_backend *b, struct rf_backend_info *out)
{
	struct kvm_backend *k = of(b);
	int err = rf_view_info(&k->view, out);

	if (err)
		return err;
	out->vmm_pid = k->hello.vmm_pid;
	out->instance = k->hello.instance;
	out->next_event = k->hello.next_event;
	return 0;
}

static int kvm_read(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	return rf_view_read(&of(b)->view, gpa.v, buf, len, false) ? -EFAULT : 0;
}

static int kvm_read_decoy(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len)
{
	return rf_view_read(&of(b)->view, gpa.v, buf, len, true);
}

static int kvm_ram(struct rf_backend *b, struct rf_ram out[RF_RAM_MAX])
{
	return rf_view_ram(&of(b)->view, out);
}

static size_t kvm_heals(struct rf_backend *b, uint64_t *from, struct rf_heal *out, size_t max)
{
	return rf_view_heals(&of(b)->view, from, out, max);
}

static struct rf_patch_table *kvm_table(struct rf_backend *b)
{
	return of(b)->table;
}

static size_t kvm_entries(struct rf_backend *b, uint64_t from, struct rf_patch_entry *out,
			  size_t max)
{
	return rf_view_entries(&of(b)->view, from, out, max);
}

static void kvm_trail(struct rf_backend *b, struct rf_patching *out)
{
	rf_view_trail(&of(b)->view, out);
}

static void kvm_share(struct rf_backend *b, int fds[RF_SHARED])
{
	const struct kvm_backend *k = of(b);

	fds[RF_SHARED_BOARD] = k->view.board_fd;
	fds[RF_SHARED_MEMORY] = k->view.memory_fd;
	fds[RF_SHARED_TABLE] = k->table_fd;
}

/* --- messages ------------------------------------------------------------- */

static int send_msg(struct kvm_backend *k, const void *msg, size_t size)
{
	return rf_msg_send(k->sock, msg, size, NULL, 0) ? -ECONNRESET : 0;
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Any command shows that the fence lives; this one names no kernel, and is refused. */
static uint64_t kvm_silence(struct rf_backend *b)
{
	struct kvm_backend *k = of(b);
	struct rf_msg_restore m = { .kernel = 0 };
	uint64_t now = now_ns();

	if (!k->ping && now - k->pinged_ns >= PING_NS) {
		rf_msg_init(&m.h, RF_MSG_RESTORE, ++k->seq);
		if (!send_msg(k, &m, sizeof(m)))
			k->ping = k->seq;
		k->pinged_ns = now;
	}
	return now - k->heard_ns;
}

/* True: it is the answer to a ping, and has done all that it is for. */
static bool is_pong(struct kvm_backend *k, const uint8_t *packet)
{
	struct rf_msg h;

	memcpy(&h, packet, sizeof(h));
	k->heard_ns = now_ns();
	if (h.type != RF_MSG_DONE || !k->ping || h.seq != k->ping)
		return false;
	k->ping = 0;
	return true;
}

/* A packet of the right size that is no answer to a command, and that a fence can have sent. */
static int take(struct kvm_backend *k, const uint8_t *packet, union rf_backend_message *out)
{
	union rf_backend_message m = { 0 };

	memcpy(&m.h, packet, sizeof(m.h));
	if (m.h.type == RF_MSG_EVENT || m.h.type == RF_MSG_OUTCOME)
		memcpy(&m, packet, m.h.size);
	k->wrong = m.h.type == RF_MSG_EVENT	? rf_check_event(&m.event)
		   : m.h.type == RF_MSG_OUTCOME ? rf_check_outcome(&m.outcome)
						: "a message that is no monitor's to get";
	if (k->wrong)
		return -EBADMSG;
	*out = m;
	return 0;
}

/* A packet that is a message. */
static int receive(struct kvm_backend *k, int timeout_ms, uint8_t packet[RF_MSG_MAX + 1])
{
	int err = rf_msg_receive(k->sock, timeout_ms, packet, RF_MSG_MAX + 1, NULL, 0);

	k->wrong = err == -EBADMSG ? "a packet that is no message" : NULL;
	return err;
}

static const char *kvm_wrong(struct rf_backend *b)
{
	return of(b)->wrong ? of(b)->wrong : of(b)->view.wrong;
}

static int kvm_next(struct rf_backend *b, union rf_backend_message *out)
{
	struct kvm_backend *k = of(b);
	uint8_t packet[RF_MSG_MAX + 1];
	int err;

	if (k->queued) {
		*out = k->queue[0];
		memmove(k->queue, k->queue + 1, --k->queued * sizeof(k->queue[0]));
		return 0;
	}
	do
		err = receive(k, 0, packet);
	while (!err && is_pong(k, packet));
	return err ? err : take(k, packet, out);
}

/* Sends a command and waits for its DONE; events that come first are kept for kvm_next(). */
static int command(struct kvm_backend *k, struct rf_msg *m, uint64_t *ns)
{
	uint8_t packet[RF_MSG_MAX + 1];
	uint32_t others = 0; /* answers to commands that were given up */

	m->seq = ++k->seq;
	if (send_msg(k, m, m->size))
		return -ECONNRESET;
	for (;;) {
		struct rf_msg h;
		int err = receive(k, 30000, packet);

		if (err)
			return err == -EAGAIN ? -ETIMEDOUT : err;
		if (is_pong(k, packet))
			continue;
		memcpy(&h, packet, sizeof(h));
		if (h.type == RF_MSG_DONE) {
			struct rf_msg_done done;

			memcpy(&done, packet, sizeof(done));
			if (h.seq != k->seq && others++ < QUEUE)
				continue;
			if (h.seq != k->seq) {
				k->wrong = "more answers than there were commands";
				return -EBADMSG;
			}
			if (ns)
				*ns = done.ns;
			k->wrong = rf_check_done(&done);
			return k->wrong ? -EBADMSG : done.status;
		}
		if (k->queued == QUEUE) {
			k->wrong = "more questions than its vCPUs can have";
			return -EBADMSG;
		}
		err = take(k, packet, &k->queue[k->queued]);
		if (err)
			return err;
		k->queued++;
	}
}

static int kvm_watch(struct rf_backend *b, const struct rf_msg_watch *m)
{
	struct rf_msg_watch copy = *m;

	rf_msg_init(&copy.h, RF_MSG_WATCH, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_seal(struct rf_backend *b, const struct rf_msg_seal *m, uint64_t *ns)
{
	struct rf_msg_seal copy = *m;

	rf_msg_init(&copy.h, RF_MSG_SEAL, 0);
	return command(of(b), &copy.h, ns);
}

static int kvm_pin(struct rf_backend *b, const struct rf_msg_pin *m)
{
	struct rf_msg_pin copy = *m;

	rf_msg_init(&copy.h, RF_MSG_PIN, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_traps(struct rf_backend *b, const struct rf_msg_traps *m)
{
	struct rf_msg_traps copy = *m;

	rf_msg_init(&copy.h, RF_MSG_TRAPS, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_mend(struct rf_backend *b, const struct rf_msg_mend *m)
{
	struct rf_msg_mend copy = *m;

	rf_msg_init(&copy.h, RF_MSG_MEND, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_heal(struct rf_backend *b, const struct rf_msg_heal *m)
{
	struct rf_msg_heal copy = *m;

	rf_msg_init(&copy.h, RF_MSG_HEAL, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_verdict(struct rf_backend *b, struct rf_msg_verdict *m)
{
	rf_msg_init(&m->h, RF_MSG_VERDICT, 0);
	return send_msg(of(b), m, sizeof(*m));
}

static int kvm_restore(struct rf_backend *b, const struct rf_msg_restore *m)
{
	struct rf_msg_restore copy = *m;

	rf_msg_init(&copy.h, RF_MSG_RESTORE, 0);
	return command(of(b), &copy.h, NULL);
}

static int kvm_poll_fd(struct rf_backend *b)
{
	return of(b)->sock;
}

static void kvm_destroy(struct rf_backend *b)
{
	struct kvm_backend *k = of(b);

	if (!k)
		return;
	rf_view_close(&k->view);
	munmap(k->table, sizeof(*k->table));
	close(k->table_fd);
	close(k->sock);
	free(k->queue);
	free(k);
}

static const struct rf_backend_ops kvm_ops = {
	.name = "kvm",
	.info = kvm_info,
	.read = kvm_read,
	.read_decoy = kvm_read_decoy,
	.ram = kvm_ram,
	.poll_fd = kvm_poll_fd,
	.next = kvm_next,
	.wrong = kvm_wrong,
	.watch = kvm_watch,
	.seal = kvm_seal,
	.pin = kvm_pin,
	.traps = kvm_traps,
	.mend = kvm_mend,
	.heal = kvm_heal,
	.heals = kvm_heals,
	.verdict = kvm_verdict,
	.table = kvm_table,
	.entries = kvm_entries,
	.trail = kvm_trail,
	.restore = kvm_restore,
	.silence = kvm_silence,
	.share = kvm_share,
	.destroy = kvm_destroy,
};

/* --- attach --------------------------------------------------------------- */

/* The table for the fence: its size is fixed before anybody maps it. The descriptor or -errno. */
static int make_table(struct kvm_backend *k)
{
	int fd = memfd_create("ringfence-table", MFD_CLOEXEC | MFD_ALLOW_SEALING), err;

	if (fd < 0)
		return -errno;
	if (!ftruncate(fd, sizeof(*k->table)) &&
	    !fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW)) {
		k->table = mmap(NULL, sizeof(*k->table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		/* From here on nobody else gets to write to it. */
		if (k->table != MAP_FAILED &&
		    !fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL))
			return fd;
	}
	err = -errno;
	if (k->table && k->table != MAP_FAILED)
		munmap(k->table, sizeof(*k->table));
	close(fd);
	return err;
}

/*
 * What the last monitor's table says, for this one's: from here on no other copy of it counts. Who
 * judges by it waits for this monitor to name its kernel. Pages that nobody wrote to stay so.
 */
static void take_table(struct kvm_backend *k, int fd)
{
	static const uint8_t nothing[RF_PAGE_SIZE];
	const uint8_t *from;

	if (!rf_view_is_sealed(fd, sizeof(*k->table)))
		return;
	from = mmap(NULL, sizeof(*k->table), PROT_READ, MAP_SHARED, fd, 0);
	if (from == MAP_FAILED)
		return;
	for (size_t at = 0; at < sizeof(*k->table); at += RF_PAGE_SIZE) {
		size_t left = sizeof(*k->table) - at,
		       len = left < RF_PAGE_SIZE ? left : RF_PAGE_SIZE;

		if (memcmp(from + at, nothing, len))
			memcpy((uint8_t *)k->table + at, from + at, len);
	}
	munmap((void *)(uintptr_t)from, sizeof(*k->table));
	k->table->kernel = 0;
}

/* old: the last monitor's table, -1 none. */
static int welcome_fence(struct kvm_backend *k, struct rf_msg_welcome *welcome, int old)
{
	int fd = make_table(k), err;

	if (fd < 0)
		return fd;
	if (old >= 0)
		take_table(k, old);
	err = rf_msg_send(k->sock, welcome, sizeof(*welcome), &fd, 1);
	if (err) {
		munmap(k->table, sizeof(*k->table));
		close(fd);
	}
	k->table_fd = fd;
	return err;
}

/*
 * The process that sent what comes next, by the kernel's word and not the peer's: both ends of the
 * socket are `run`'s, so it is asked of the packet (unix(7), SO_PASSCRED), whose descriptors stay
 * in it. 0: nobody that is known here.
 */
static pid_t sender(int sock)
{
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr m = { .msg_control = control.room, .msg_controllen = sizeof(control.room) };
	struct pollfd p = { .fd = sock, .events = POLLIN };
	const struct cmsghdr *c;
	struct ucred who;
	const int off = 0;

	poll(&p, 1, HELLO_MS);
	if (recvmsg(sock, &m, MSG_PEEK | MSG_DONTWAIT) < 0)
		return 0;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS ||
	    setsockopt(sock, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off)))
		return 0;
	memcpy(&who, CMSG_DATA(c), sizeof(who));
	return who.pid;
}

int rf_backend_kvm_attach(int sock, const struct rf_rules *rules, struct rf_backend **out,
			  const char **why)
{
	struct rf_msg_welcome welcome = { .rules = *rules };
	uint8_t packet[RF_MSG_MAX + 1];
	struct kvm_backend *k = calloc(1, sizeof(*k));
	int fds[RF_MSG_FDS] = { -1, -1, -1 }, err;
	pid_t vmm;

	if (k)
		k->queue = calloc(QUEUE, sizeof(*k->queue));
	if (!k || !k->queue) {
		free(k);
		*why = "out of memory";
		return -ENOMEM;
	}
	k->sock = sock;
	vmm = sender(sock);
	err = rf_msg_receive(sock, HELLO_MS, packet, sizeof(packet), fds, RF_MSG_FDS);
	*why = err == -EPROTONOSUPPORT
		       ? "the fence is of another revision than this monitor: install both "
			 "from one release"
		       : "what connected is not a fence";
	/* Also to one of another revision, so that it can say why it was refused. */
	rf_msg_init(&welcome.h, RF_MSG_WELCOME, 0);
	if (err == -EPROTONOSUPPORT)
		send_msg(k, &welcome, sizeof(welcome));
	if (err)
		goto fail;
	memcpy(&k->hello, packet, sizeof(k->hello));
	if (k->hello.h.type != RF_MSG_HELLO || fds[0] < 0) {
		err = -EBADMSG;
		goto fail;
	}
	*why = "the kernel does not say which process it is";
	if (vmm <= 0) {
		err = -EPERM;
		goto fail;
	}
	k->hello.vmm_pid = (uint32_t)vmm;
	k->hello.vmm[sizeof(k->hello.vmm) - 1] = '\0';
	*why = rf_check_hello(&k->hello);
	err = *why ? -EBADMSG : rf_view_open(&k->view, fds[0], fds[1], why);
	if (err)
		goto fail;
	err = welcome_fence(k, &welcome, fds[2]);
	if (err) {
		*why = "the VMM went away, or no memory for the patch table";
		rf_view_close(&k->view);
		fds[0] = fds[1] = -1;
		goto fail;
	}
	rf_view_let_go(fds[2]);
	k->base.ops = &kvm_ops;
	k->heard_ns = now_ns();
	*out = &k->base;
	return 0;

fail:
	for (int i = 0; i < RF_MSG_FDS; i++)
		rf_view_let_go(fds[i]);
	free(k->queue);
	free(k);
	return err;
}
