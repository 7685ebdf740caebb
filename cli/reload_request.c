// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/reload_request.h"

#include <errno.h>
#include <string.h>

int rf_request_parse(const void *packet, size_t len, struct rf_request *out)
{
	const struct rf_request_head *h = packet;

	if (len < sizeof(*h) || h->magic != RF_REQUEST_MAGIC)
		return -EBADMSG;
	if (h->revision != RF_REQUEST_REVISION)
		return -EPROTONOSUPPORT;
	if (h->text_len > RF_REQUEST_TEXT || h->note_len > RF_REQUEST_NOTE ||
	    len != sizeof(*h) + h->text_len + h->note_len || h->profile > 1 ||
	    !memchr(h->name, 0, sizeof(h->name)))
		return -EBADMSG;
	*out = (struct rf_request){ .profile = h->profile,
				    .name = h->name,
				    .text = (const char *)(h + 1),
				    .text_len = h->text_len,
				    .note = (const char *)(h + 1) + h->text_len,
				    .note_len = h->note_len };
	return 0;
}

size_t rf_request_make(const struct rf_request *q, void *packet)
{
	struct rf_request_head *h = packet;

	if (q->text_len > RF_REQUEST_TEXT || q->note_len > RF_REQUEST_NOTE ||
	    strlen(q->name) >= sizeof(h->name))
		return 0;
	*h = (struct rf_request_head){ .magic = RF_REQUEST_MAGIC,
				       .revision = RF_REQUEST_REVISION,
				       .profile = q->profile,
				       .text_len = (uint32_t)q->text_len,
				       .note_len = (uint32_t)q->note_len };
	strcpy(h->name, q->name);
	memcpy((char *)(h + 1), q->text, q->text_len);
	if (q->note_len)
		memcpy((char *)(h + 1) + q->text_len, q->note, q->note_len);
	return sizeof(*h) + q->text_len + q->note_len;
}
