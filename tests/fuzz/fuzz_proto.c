// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The monitor's end of the protocol against a VMM that says anything: the check alone, then hv/backend_kvm.c over a
 * socket whose other end sends what the input holds and hangs up.
 *
 * Input: a byte of flags, 24 bytes of board, then packets: two bytes of length, one of kind (0 raw; else that type of
 * message with a good header), the bytes.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "hv/backend.h"

enum { RAW_HELLO = 1, SEAL_FIRST = 2, NO_BOARD = 4, HEAL_FIRST = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rf_board *board;
static struct rf_heals *heals;
static int board_fd = -1, memory_fd = -1;

static void board_once(void)
{
	if (board)
		return;
	board_fd = memfd_create("board", MFD_ALLOW_SEALING);
	memory_fd = open("/proc/self/mem", O_RDONLY);
	if (board_fd < 0 || memory_fd < 0 || ftruncate(board_fd, sizeof(struct rf_board_file)) ||
	    fcntl(board_fd, F_ADD_SEALS, F_SEAL_SHRINK))
		abort();
	board = mmap(NULL, sizeof(struct rf_board_file), PROT_READ | PROT_WRITE, MAP_SHARED, board_fd, 0);
	if (board == MAP_FAILED)
		abort();
	heals = &((struct rf_board_file *)board)->heals;
	board->magic = RF_BOARD_MAGIC;
	board->revision = RF_PROTO_REVISION;
	board->seq = 2;
	board->runs_count = 1;
}

static void say(int sock, const uint8_t *packet, size_t size, int fd)
{
	struct iovec iov = { (void *)(uintptr_t)packet, size };
	const int fds[] = { fd, memory_fd };
	union {
		struct cmsghdr h;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = { .room = { 0 } };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof(control.room);
		control.h.cmsg_level = SOL_SOCKET;
		control.h.cmsg_type = SCM_RIGHTS;
		control.h.cmsg_len = CMSG_LEN(sizeof(fds));
		memcpy(CMSG_DATA(&control.h), fds, sizeof(fds));
	}
	if (sendmsg(sock, &m, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		return; /* full: the rest of the input is lost */
}

/* The next packet of the input, on the heap to the byte. NULL at the end. */
static uint8_t *packet_of(const uint8_t **data, size_t *size, size_t *len)
{
	uint8_t kind, *packet;
	size_t have;

	if (*size < 3)
		return NULL;
	*len = ((*data)[0] | (size_t)(*data)[1] << 8) % (RF_MSG_MAX + 64);
	kind = (*data)[2];
	*data += 3;
	*size -= 3;
	have = *len < *size ? *len : *size;
	if (kind) { /* body after a header that is as it should be */
		struct rf_msg h;

		rf_msg_init(&h, kind % (RF_MSG_HEAL + 2), kind >> 4);
		*len = h.size > sizeof(h) ? h.size : sizeof(h);
		have = have < *len - sizeof(h) ? have : *len - sizeof(h);
		packet = calloc(1, *len);
		if (!packet)
			abort();
		memcpy(packet, &h, sizeof(h));
		memcpy(packet + sizeof(h), *data, have);
	} else {
		packet = calloc(1, *len ? *len : 1);
		if (!packet)
			abort();
		memcpy(packet, *data, have);
	}
	*data += have;
	*size -= have;
	return packet;
}

static void drive(struct rf_backend *b, uint8_t flags, uint64_t gpa)
{
	struct rf_msg_seal seal = { .count = 1 };
	union rf_backend_message m;
	struct rf_msg_heal heal = { .gpa = gpa, .len = RF_PAGE_SIZE };
	static struct rf_heal healed[RF_HEALS];
	struct rf_backend_info info;
	uint64_t ns, from = gpa;
	uint8_t buf[64];
	size_t n;

	b->ops->info(b, &info);
	b->ops->read(b, rf_gpa_of(gpa), buf, sizeof(buf));
	b->ops->read_decoy(b, rf_gpa_of(gpa), buf, sizeof(buf));
	if (flags & SEAL_FIRST)
		b->ops->seal(b, &seal, &ns);
	if (flags & HEAL_FIRST)
		b->ops->heal(b, &heal);
	n = b->ops->heals(b, &from, healed, RF_HEALS);
	if (n > RF_HEALS || from > heals->head)
		abort();
	for (size_t i = 0; i < n; i++)
		if (healed[i].len > RF_PAGE_SIZE)
			abort();
	while (!b->ops->next(b, &m)) {
		if (m.h.type != RF_MSG_EVENT && m.h.type != RF_MSG_OUTCOME)
			abort();
		if (m.h.type == RF_MSG_EVENT &&
		    (m.event.write.len > RF_EVENT_BYTES || m.event.insn.len > 15))
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rf_backend *b;
	const struct rf_rules rules = { .observe = 1 };
	const char *why = NULL;
	uint8_t flags, *packet;
	size_t len;
	const int on = 1;
	int pair[2];
	bool first = true;

	if (size < 25)
		return 0;
	board_once();
	flags = data[0];
	memcpy(&board->runs[0].gpa, data + 1, 8);
	memcpy(&board->runs[0].size, data + 9, 8);
	memcpy(&board->runs[0].hva, data + 17, 8);
	board->runs[0].decoy = board->runs[0].hva;
	heals->head = board->runs[0].size;
	heals->taken = board->runs[0].hva;
	heals->entries[heals->head % RF_HEALS].len = (uint32_t)board->runs[0].hva;
	data += 25;
	size -= 25;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) ||
	    setsockopt(pair[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		abort();
	if (!(flags & RAW_HELLO)) {
		struct rf_msg_hello h = { .next_event = 9, .board_size = sizeof(struct rf_board_file) };

		rf_msg_init(&h.h, RF_MSG_HELLO, 0);
		say(pair[0], (const uint8_t *)&h, sizeof(h), board_fd);
		first = false;
	}
	while ((packet = packet_of(&data, &size, &len))) {
		if (!rf_msg_check(packet, len)) {
			struct rf_msg h;

			memcpy(&h, packet, sizeof(h));
			if (h.size != len || rf_msg_size(h.type) != len)
				abort();
		}
		say(pair[0], packet, len, first && !(flags & NO_BOARD) ? board_fd : -1);
		first = false;
		free(packet);
	}
	shutdown(pair[0], SHUT_WR); /* so that nothing waits */
	if (rf_backend_kvm_attach(pair[1], &rules, &b, &why)) {
		if (!why)
			abort();
		close(pair[1]);
	} else {
		drive(b, flags, board->runs[0].gpa);
		b->ops->destroy(b);
	}
	close(pair[0]);
	return 0;
}
