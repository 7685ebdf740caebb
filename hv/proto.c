// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/proto.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static const uint32_t sizes[] = {
	[RF_MSG_HELLO] = sizeof(struct rf_msg_hello),
	[RF_MSG_WELCOME] = sizeof(struct rf_msg_welcome),
	[RF_MSG_EVENT] = sizeof(struct rf_msg_event),
	[RF_MSG_VERDICT] = sizeof(struct rf_msg_verdict),
	[RF_MSG_OUTCOME] = sizeof(struct rf_msg_outcome),
	[RF_MSG_WATCH] = sizeof(struct rf_msg_watch),
	[RF_MSG_SEAL] = sizeof(struct rf_msg_seal),
	[RF_MSG_DONE] = sizeof(struct rf_msg_done),
	[RF_MSG_RESTORE] = sizeof(struct rf_msg_restore),
	[RF_MSG_PIN] = sizeof(struct rf_msg_pin),
	[RF_MSG_TRAPS] = sizeof(struct rf_msg_traps),
	[RF_MSG_MEND] = sizeof(struct rf_msg_mend),
	[RF_MSG_HEAL] = sizeof(struct rf_msg_heal),
	[RF_MSG_PEER] = sizeof(struct rf_msg),
};

size_t rf_msg_size(uint16_t type)
{
	return type < sizeof(sizes) / sizeof(sizes[0]) ? sizes[type] : 0;
}

int rf_msg_check(const void *packet, size_t len)
{
	struct rf_msg h;

	if (len < sizeof(h))
		return -EBADMSG;
	memcpy(&h, packet, sizeof(h));
	if (h.magic != RF_PROTO_MAGIC)
		return -EBADMSG;
	if (h.revision != RF_PROTO_REVISION)
		return -EPROTONOSUPPORT;
	if (!rf_msg_size(h.type) || h.size != rf_msg_size(h.type) || h.size != len)
		return -EBADMSG;
	return 0;
}

void rf_msg_init(struct rf_msg *h, uint16_t type, uint32_t seq)
{
	*h = (struct rf_msg){
		.magic = RF_PROTO_MAGIC,
		.revision = RF_PROTO_REVISION,
		.type = type,
		.size = (uint32_t)rf_msg_size(type),
		.seq = seq,
	};
}

union control {
	struct cmsghdr h;
	char room[CMSG_SPACE(RF_MSG_FDS * sizeof(int))];
};

int rf_msg_send(int fd, const void *msg, size_t size, const int *fds, size_t n)
{
	struct iovec iov = { (void *)(uintptr_t)msg, size };
	union control control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *c;

		m.msg_control = control.room;
		m.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) == (ssize_t)size ? 0 : -errno;
}

ssize_t rf_packet_receive(int sock, int timeout_ms, void *packet, size_t room, int *fds, size_t n)
{
	struct pollfd p = { .fd = sock, .events = POLLIN };
	struct iovec iov = { packet, room };
	union control control;
	/* Room to the byte, and none where none is awaited: what does not fit is never a descriptor
	 * of this process, whose close() a file system of the sender's (FUSE) could make wait. */
	struct msghdr m = { .msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = n ? control.room : NULL,
			    .msg_controllen = n ? CMSG_LEN(n * sizeof(int)) : 0 };
	struct cmsghdr *c;
	ssize_t len;

	poll(&p, 1, timeout_ms);
	len = recvmsg(sock, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (len <= 0)
		return len && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : -ECONNRESET;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	return len;
}

int rf_msg_receive(int sock, int timeout_ms, uint8_t *packet, size_t room, int *fds, size_t n)
{
	ssize_t len = rf_packet_receive(sock, timeout_ms, packet, room, fds, n);

	return len < 0 ? (int)len : rf_msg_check(packet, (size_t)len);
}
