// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/run_reload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/reload_request.h"
#include "monitor/policy_known.h"
#include "monitor/reload.h"
#include "policy/stricter.h"

#define REQUEST_MS 2000 /* for a request to come */
#define ANSWER_MS 10000 /* for the monitor, and for the next one */
#define END_MS 2000	/* for a monitor to end that took another policy */
#define REPLIES 16	/* heard at once: a monitor that was taken over may never stop */

void rf_run_reload_begin(struct rf_run_reload *w, struct rf_run *r)
{
	*w = (struct rf_run_reload){ .run = r, .client = -1, .fd = -1 };
}

static void let_go(struct rf_run_reload *w)
{
	if (w->client >= 0)
		rf_let_go(w->client);
	w->client = -1;
}

static void forget(struct rf_run_reload *w)
{
	if (w->fd >= 0)
		close(w->fd);
	w->fd = -1;
	w->asked = false;
	json_decref(w->changes);
	w->changes = NULL;
}

void rf_run_reload_end(struct rf_run_reload *w)
{
	let_go(w);
	forget(w);
}

/* --- the client ------------------------------------------------------------- */

static json_t *changes_of(const struct rf_policy *from, const struct rf_policy *to)
{
	json_t *all = json_array();

	for (size_t i = 0; i < rf_keys_count; i++) {
		const struct rf_key *k = &rf_keys[i];
		enum rf_change c = rf_key_change(k, from, to);
		char path[RF_KEY_PATH];

		if (c != RF_CHANGE_NONE)
			json_array_append_new(
				all, json_pack("{s:s, s:o, s:o, s:s}", "key", rf_key_path(k, path),
					       "from", rf_key_json_of(from, k), "to",
					       rf_key_json_of(to, k), "change", rf_change_text(c)));
	}
	return all;
}

/* A client that does not read is nobody's trouble. */
static void answer(struct rf_run_reload *w, bool accepted, const char *why)
{
	char safe[RF_RELOAD_TEXT];
	json_t *o;
	char *text;

	rf_safe(safe, sizeof(safe), why);
	o = json_pack("{s:b, s:b, s:I, s:s, s:s, s:O?}", "accepted", accepted, "signed",
		      w->said.is_signed, "serial", (json_int_t)w->said.serial, "sha256",
		      w->said.sha256, "why", safe, "changes", w->changes);
	text = o ? json_dumps(o, JSON_COMPACT | JSON_ENSURE_ASCII) : NULL;
	if (text && w->client >= 0)
		send(w->client, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
	free(text);
	json_decref(o);
	let_go(w);
}

static void refuse(struct rf_run_reload *w, const char *why)
{
	rf_say("%s: another policy is refused: %s", w->run->name, why);
	answer(w, false, why);
	forget(w);
}

/* The folder lets nobody else in; the record says who it was. */
static void hear(struct rf_run_reload *w)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	w->client = accept4(w->run->reload_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (w->client < 0)
		return;
	w->until = rf_now_ms() + REQUEST_MS;
	if (getsockopt(w->client, SOL_SOCKET, SO_PEERCRED, &who, &size) ||
	    (who.uid != 0 && who.uid != geteuid()))
		let_go(w);
	else
		w->uid = who.uid;
}

/* --- the monitor ------------------------------------------------------------ */

static int hand_over(struct rf_run_reload *w, const struct rf_request *q)
{
	struct rf_reload_order o = { .revision = RF_RELOAD_REVISION,
				     .taken = w->said.accepted,
				     .uid = w->uid,
				     .note_len = (uint32_t)q->note_len };
	char self[32];
	int fd, err;

	/* A description of its own: what has been written stands before its place. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", w->fd);
	fd = open(self, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memcpy(o.note, q->note, q->note_len);
	err = rf_run_order(w->run, &o, sizeof(o), fd);
	close(fd);
	return err;
}

static void judge(struct rf_run_reload *w, const struct rf_request *q)
{
	const struct rf_run *r = w->run;
	const struct rf_reload question = {
		.vm = r->name,
		.now = &r->now,
		.text = q->text,
		.len = q->text_len,
		.note = q->note,
		.note_len = q->note_len,
		.key = r->policy_key ? &r->reload_key : NULL,
		.serial = r->serial,
		.time = (uint64_t)time(NULL),
	};

	/* Who asks may have come without `policy reload`. */
	rf_reload_judge_known(&question, &w->said);
	w->changes = changes_of(&r->now, &w->said.policy);
	w->origin = (struct rf_policy_origin){ .profile = q->profile };
	snprintf(w->origin.name, sizeof(w->origin.name), "%s", q->name);
	memcpy(w->origin.sha256, w->said.sha256, sizeof(w->origin.sha256));
	if (w->said.accepted)
		rf_policy_lines(q->text, q->text_len, w->origin.lines);
}

/* What `run` refuses goes to the monitor all the same, whose record it is. */
static void take_request(struct rf_run_reload *w, const void *packet, size_t len, bool serves)
{
	struct rf_request q;
	int err = rf_request_parse(packet, len, &q);

	w->said = (struct rf_reloaded){ .accepted = false };
	if (err) {
		refuse(w, err == -EPROTONOSUPPORT ? "`policy reload` is of another release"
						  : "what came is no request");
		return;
	}
	if (!serves || w->run->orders[0] < 0) {
		refuse(w, "no monitor serves the VM at this moment");
		return;
	}
	judge(w, &q);
	w->fd = rf_run_keep("ringfence-policy", q.text, q.text_len);
	err = w->fd < 0 ? w->fd : hand_over(w, &q);
	if (err) {
		refuse(w, "it cannot be handed to the monitor");
		return;
	}
	w->asked = true;
	w->until = rf_now_ms() + ANSWER_MS;
}

/* From here on each monitor starts with it. */
static void commit(struct rf_run_reload *w)
{
	struct rf_run *r = w->run;
	struct rf_why why;

	if (r->policy_fd >= 0)
		close(r->policy_fd);
	r->policy_fd = w->fd;
	w->fd = -1;
	r->serial = w->said.serial;
	r->origin = w->origin;
	r->origin.reloads = ++r->reloads;
	r->origin.since = time(NULL);
	r->origin.serial = w->said.is_signed ? w->said.serial : 0;
	rf_run_take(r, &w->said.policy);
	if (rf_run_describe(r, &why))
		rf_say("%s: the VM's description cannot be written (%s): `policy show` will not "
		       "know where its policy is from",
		       r->name, why.what);
	w->asked = false;
	w->taken = true;
	w->until = rf_now_ms() + ANSWER_MS;
}

static void take_reply(struct rf_run_reload *w, struct rf_reload_reply *reply)
{
	char safe[RF_RELOAD_TEXT];

	reply->why[sizeof(reply->why) - 1] = '\0';
	rf_safe(safe, sizeof(safe), reply->why);
	if (w->said.accepted && reply->accepted) {
		commit(w);
		w->end_by = rf_now_ms() + END_MS;
	} else {
		refuse(w, !w->said.accepted ? w->said.why
			  : safe[0]	    ? safe
					    : "the monitor refuses it and does not say why");
	}
}

/* Of what a monitor says, what nobody asked for is passed over. */
static void hear_monitor(struct rf_run_reload *w)
{
	static struct rf_reload_reply reply;
	ssize_t n;

	for (int i = 0; i < REPLIES && w->run->orders[0] >= 0; i++) {
		n = rf_take(w->run->orders[0], &reply, sizeof(reply));
		if (n == -EINTR)
			continue;
		if (n == -EAGAIN)
			return;
		if (n <= 0) {
			rf_let_go(w->run->orders[0]);
			w->run->orders[0] = -1;
		} else if (w->asked && n == (ssize_t)sizeof(reply) &&
			   reply.revision == RF_RELOAD_REVISION) {
			take_reply(w, &reply);
		}
	}
}

bool rf_run_reload_monitor_gone(struct rf_run_reload *w)
{
	bool expected;

	hear_monitor(w);
	expected = w->end_by || (w->asked && w->said.accepted);
	if (w->asked && w->said.accepted)
		commit(w);
	else if (w->asked)
		refuse(w, w->said.why);
	w->end_by = 0;
	return expected;
}

void rf_run_reload_attached(struct rf_run_reload *w)
{
	if (!w->taken || w->end_by)
		return;
	w->taken = false;
	rf_say("%s: another policy is in force, %s", w->run->name,
	       w->said.is_signed ? "signed" : "which loosens nothing");
	answer(w, true, "");
	forget(w);
}

bool rf_run_reload_overdue(const struct rf_run_reload *w)
{
	return w->end_by && rf_now_ms() > w->end_by;
}

/* --- the loop --------------------------------------------------------------- */

void rf_run_reload_poll(const struct rf_run_reload *w, struct pollfd p[RF_RUN_RELOAD_FDS])
{
	bool idle = w->client < 0 && !w->asked && !w->taken;

	p[0] = (struct pollfd){ .fd = idle ? w->run->reload_fd : -1, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = w->asked || w->taken ? -1 : w->client, .events = POLLIN };
	p[2] = (struct pollfd){ .fd = w->run->orders[0], .events = POLLIN };
}

int64_t rf_run_reload_due(const struct rf_run_reload *w, int64_t until)
{
	if (w->client >= 0 && w->until < until)
		until = w->until;
	return w->end_by && w->end_by < until ? w->end_by : until;
}

/* Who waits longer than that for a monitor asks again, or `policy show`. */
static void out_of_time(struct rf_run_reload *w)
{
	if (w->client < 0 || rf_now_ms() < w->until)
		return;
	if (w->asked)
		answer(w, false,
		       "the monitor has not answered yet; ask `ringfence policy show` later");
	else if (w->taken)
		answer(w, true, "it comes into force with another monitor, which has not come yet");
	else
		let_go(w);
}

void rf_run_reload_serve(struct rf_run_reload *w, bool serves)
{
	static uint64_t packet[RF_REQUEST_MAX / sizeof(uint64_t) + 2];
	ssize_t n;

	hear_monitor(w);
	if (w->client < 0 && !w->asked && !w->taken)
		hear(w);
	if (w->client >= 0 && !w->asked && !w->taken) {
		n = rf_take(w->client, packet, sizeof(packet));
		if (n > 0)
			take_request(w, packet, (size_t)n, serves);
		else if (n != -EAGAIN && n != -EINTR)
			let_go(w);
	}
	out_of_time(w);
}
