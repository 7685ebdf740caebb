// SPDX-License-Identifier: LGPL-2.1-or-later
#include "monitor/reload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "monitor/monitor.h"
#include "monitor/policy_known.h"
#include "policy/file.h"
#include "policy/stricter.h"

#define DETAIL 1024 /* as much of it as a line has */

/* --- on record -------------------------------------------------------------- */

static int write_down(struct rf_guest *g, const char *outcome, const char *sha256,
		      const char *detail)
{
	struct rf_record r = { .kind = "policy", .outcome = outcome, .detail = detail };

	snprintf(r.sha256, sizeof(r.sha256), "%s", sha256);
	return rf_record_write(g, &r);
}

/* Who, by whose leave, instead of which one. */
static size_t describe(const struct rf_guest *g, const struct rf_reload_order *o,
		       const struct rf_reloaded *said, char out[DETAIL])
{
	char by[64] = "unsigned";

	if (said->is_signed)
		snprintf(by, sizeof(by), "signed, serial %" PRIu64, said->signed_serial);
	else if (said->signed_serial)
		snprintf(by, sizeof(by), "with a signature that is not taken, serial %" PRIu64,
			 said->signed_serial);
	else if (o->note_len)
		snprintf(by, sizeof(by), "with what is no signature for it");
	return (size_t)snprintf(out, DETAIL, "asked for by user %u, %s; in force%s: %s; ", o->uid,
				by, said->accepted ? " until then" : "",
				g->reload.sha256[0] ? g->reload.sha256
						    : "none, every key at its default");
}

static int record_taken(struct rf_guest *g, const struct rf_reload_order *o,
			const struct rf_reloaded *said)
{
	char detail[DETAIL];
	size_t len = describe(g, o, said, detail);

	rf_changes_text(&g->policy, &said->policy, 1u << RF_CHANGE_TIGHTER | 1u << RF_CHANGE_LOOSER,
			detail + len, sizeof(detail) - len);
	if (!detail[len])
		snprintf(detail + len, sizeof(detail) - len, "no key changes");
	return write_down(g, "taken", said->sha256, detail);
}

/* A line that is lost lets nothing. */
static void record_refused(struct rf_guest *g, const struct rf_reload_order *o,
			   const struct rf_reloaded *said)
{
	char detail[DETAIL];
	size_t len = describe(g, o, said, detail);

	snprintf(detail + len, sizeof(detail) - len, "%s", said->why);
	write_down(g, "refused", said->sha256, detail);
}

/* The one that the VM is started with; who reads the log a week later has nothing else. */
static void describe_first(const struct rf_guest *g, char out[DETAIL])
{
	const uint32_t all =
		1u << RF_CHANGE_TIGHTER | 1u << RF_CHANGE_LOOSER | 1u << RF_CHANGE_NEVER;
	struct rf_policy normal;
	size_t len = (size_t)snprintf(out, DETAIL, "the one that the VM is started with%s; ",
				      g->reload.key ? ", and with a key that may loosen it" : "");

	rf_policy_default(&normal);
	rf_changes_text(&normal, &g->policy, all, out + len, DETAIL - len);
	if (!out[len])
		snprintf(out + len, DETAIL - len, "every key is at its default");
}

/* The one that took it has written it down, or died over it. It is in force all the same. */
int rf_reload_begin(struct rf_guest *g, bool first)
{
	char detail[DETAIL];
	int err;

	if (!g->reload.count && !first)
		return 0;
	if (!g->reload.count)
		describe_first(g, detail);
	else
		snprintf(detail, sizeof(detail),
			 "number %u after the one that the VM was started with; last serial "
			 "%" PRIu64,
			 g->reload.count, g->reload.serial);
	g->resuming = true;
	err = write_down(g, "in force", g->reload.sha256, detail);
	g->resuming = false;
	return err;
}

/* --- another one ------------------------------------------------------------ */

/* Seconds since 1970; by a call that the sandbox lets through. */
static uint64_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

static void judge(struct rf_guest *g, const struct rf_reload_order *o, const char *text, size_t len,
		  struct rf_reloaded *said)
{
	const struct rf_reload q = {
		.vm = g->name,
		.now = &g->policy,
		.text = text,
		.len = len,
		.note = o->note,
		.note_len = o->note_len,
		.key = g->reload.key,
		.serial = g->reload.serial,
		.time = now_s(),
	};

	rf_reload_judge_known(&q, said);
	if (said->accepted && !o->taken) {
		said->accepted = false;
		snprintf(said->why, sizeof(said->why), "`ringfence run` does not take it");
	}
}

/* Before it is answered. Where the log takes no line, nothing changes. */
static void settle(struct rf_guest *g, const struct rf_reload_order *o, struct rf_reloaded *said)
{
	int err = said->accepted ? record_taken(g, o, said) : 0;

	if (err) {
		said->accepted = false;
		snprintf(said->why, sizeof(said->why), "it could not be recorded: %s",
			 strerror(-err));
	} else if (!said->accepted) {
		record_refused(g, o, said);
	}
}

static int answer(struct rf_guest *g, const struct rf_reloaded *said)
{
	struct rf_reload_reply r = { .revision = RF_RELOAD_REVISION, .accepted = said->accepted };

	memcpy(r.sha256, said->sha256, sizeof(r.sha256));
	memcpy(r.why, said->why, sizeof(r.why));
	return rf_msg_send(g->reload.fd, &r, sizeof(r), NULL, 0);
}

static int take(struct rf_guest *g, struct rf_reload_order *o, int file)
{
	static char text[RF_POLICY_FILE_MAX + 1];
	static struct rf_reloaded said;
	size_t len;
	int err = rf_file_take(file, text, sizeof(text), &len);

	if (err || o->revision != RF_RELOAD_REVISION || o->note_len > sizeof(o->note)) {
		said = (struct rf_reloaded){ .accepted = false };
		snprintf(said.why, sizeof(said.why), "it does not arrive at the monitor: %s",
			 strerror(err ? -err : EPROTO));
	} else {
		judge(g, o, text, len, &said);
		settle(g, o, &said);
	}
	err = answer(g, &said);
	if (!said.accepted)
		return 0;
	/* Nobody would start another monitor. */
	return err ? write_down(g, "not in force", said.sha256, "`ringfence run` is gone")
		   : RF_RELOADED;
}

int rf_reload_take(struct rf_guest *g)
{
	union {
		struct rf_reload_order order;
		struct rf_watched_report watched;
	} m;
	int file = -1;
	ssize_t n;

	_Static_assert(sizeof(m.order) != sizeof(m.watched), "told apart by their sizes");
	if (!g->reload.fd)
		return 0;
	n = rf_packet_receive(g->reload.fd, 0, &m, sizeof(m), &file, 1);
	if (n == -EAGAIN)
		return 0;
	if (n == (ssize_t)sizeof(m.order) && file >= 0)
		return take(g, &m.order, file);
	if (file >= 0)
		close(file);
	if (n == (ssize_t)sizeof(m.watched))
		rf_watched_take(g, &m.watched);
	if (n < 0) {
		close(g->reload.fd);
		g->reload.fd = 0;
	}
	return 0;
}

json_t *rf_reload_status(const struct rf_guest *g)
{
	return json_pack("{s:I, s:I, s:b, s:s}", "count", (json_int_t)g->reload.count, "serial",
			 (json_int_t)g->reload.serial, "key", g->reload.key != NULL, "sha256",
			 g->reload.sha256);
}
