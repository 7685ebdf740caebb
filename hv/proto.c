/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "hv/proto.h"

#include <errno.h>
#include <string.h>

static const uint32_t sizes[] = {
	[RF_MSG_HELLO] = sizeof(struct rf_msg_hello),
	[RF_MSG_WELCOME] = sizeof(struct rf_msg_welcome),
	[RF_MSG_EVENT] = sizeof(struct rf_msg_event),
	[RF_MSG_VERDICT] = sizeof(struct rf_msg_verdict),
	[RF_MSG_OUTCOME] = sizeof(struct rf_msg_outcome),
	[RF_MSG_WATCH] = sizeof(struct rf_msg_watch),
	[RF_MSG_SEAL] = sizeof(struct rf_msg_seal),
	[RF_MSG_DONE] = sizeof(struct rf_msg_done),
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
