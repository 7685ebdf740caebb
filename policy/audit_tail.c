// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/audit_tail.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

static uint64_t *word_of(struct rf_audit_seen *s, uint64_t event)
{
	return &s->bits[event % RF_AUDIT_WINDOW / 64];
}

void rf_audit_seen_add(struct rf_audit_seen *s, uint64_t event)
{
	if (!event || (event < s->highest && s->highest - event >= RF_AUDIT_WINDOW))
		return;
	if (event > s->highest) {
		/* The ids in between take over bits of ids that leave the window. */
		if (event - s->highest >= RF_AUDIT_WINDOW)
			memset(s->bits, 0, sizeof(s->bits));
		else
			for (uint64_t id = s->highest + 1; id < event; id++)
				*word_of(s, id) &= ~(UINT64_C(1) << id % 64);
		s->highest = event;
	}
	*word_of(s, event) |= UINT64_C(1) << event % 64;
}

bool rf_audit_seen_has(const struct rf_audit_seen *s, uint64_t event)
{
	if (!event || event > s->highest || s->highest - event >= RF_AUDIT_WINDOW)
		return false;
	return s->bits[event % RF_AUDIT_WINDOW / 64] >> event % 64 & 1;
}

bool rf_audit_line_event(const char *line, size_t len, uint64_t instance, uint64_t *event)
{
	const char *type, *from;
	char ours[24];
	json_t *root, *id;
	bool found = false;

	if (len > RF_AUDIT_LINE_BYTES)
		return false;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	type = json_string_value(json_object_get(root, "type"));
	from = json_string_value(json_object_get(root, "instance"));
	id = json_object_get(root, "event");
	snprintf(ours, sizeof(ours), "0x%" PRIx64, instance);
	if (type && from && !strcmp(type, "decision") && !strcmp(from, ours) &&
	    json_integer_value(id) > 0) {
		*event = (uint64_t)json_integer_value(id);
		found = true;
	}
	json_decref(root);
	return found;
}

struct tail {
	char *buf; /* malloc'd */
	size_t len;
	bool whole; /* it starts where the file starts */
};

static int read_tail(int fd, struct tail *out)
{
	struct tail t = { 0 };
	struct stat st;
	off_t start;
	size_t want;

	if (fstat(fd, &st) < 0)
		return -errno;
	start = st.st_size > RF_AUDIT_TAIL_BYTES ? st.st_size - RF_AUDIT_TAIL_BYTES : 0;
	want = (size_t)(st.st_size - start);
	t.whole = start == 0;
	t.buf = malloc(want + 1);
	if (!t.buf)
		return -ENOMEM;
	while (t.len < want) {
		ssize_t n = pread(fd, t.buf + t.len, want - t.len, start + (off_t)t.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;

			free(t.buf);
			return err;
		}
		if (n == 0)
			break;
		t.len += (size_t)n;
	}
	*out = t;
	return 0;
}

int rf_audit_tail(int fd, uint64_t instance, struct rf_audit_seen *seen, bool *torn)
{
	struct tail t = { 0 };
	struct timespec now;
	size_t at = 0;
	int err;

	/* Else jansson opens a file for its hash seed, and the caller may stand in a sandbox. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	json_object_seed((size_t)now.tv_nsec | 1);

	err = read_tail(fd, &t);
	if (err)
		return err;
	/* The first line of a tail is half a line: its events have long been answered. */
	while (!t.whole && at < t.len && t.buf[at++] != '\n')
		;
	while (at < t.len) {
		const char *end = memchr(t.buf + at, '\n', t.len - at);
		size_t line = end ? (size_t)(end - (t.buf + at)) : t.len - at;
		uint64_t event;

		if (rf_audit_line_event(t.buf + at, line, instance, &event))
			rf_audit_seen_add(seen, event);
		at += line + 1;
	}
	*torn = t.len > 0 && t.buf[t.len - 1] != '\n';
	free(t.buf);
	return 0;
}
