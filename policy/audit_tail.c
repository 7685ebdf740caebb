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

const struct rf_audit_decision *rf_audit_seen_kept(const struct rf_audit_seen *s, uint64_t event)
{
	for (size_t i = 0; i < RF_AUDIT_KEPT; i++)
		if (event && s->kept[i].event == event)
			return &s->kept[i];
	return NULL;
}

/* Without a word there is none to compare; of two that differ, the one that let less. */
static enum rf_word stricter(enum rf_word a, enum rf_word b)
{
	return a == RF_WORD_BLOCKED || !b ? a : b;
}

static bool same_answer(const struct rf_audit_decision *a, const struct rf_audit_decision *b)
{
	const struct rf_audit_answer *x = &a->answer, *y = &b->answer;

	/* Neither by memcmp(): what does not apply may be anything, and so may padding. */
	return a->word == b->word && a->exact == b->exact && x->verdict == y->verdict &&
	       x->has_fault == y->has_fault && x->has_gpr == y->has_gpr &&
	       x->has_table == y->has_table && x->vector == y->vector &&
	       x->error_code == y->error_code && x->cr2 == y->cr2 && x->rip == y->rip &&
	       x->rflags == y->rflags && !memcmp(x->gpr, y->gpr, sizeof(x->gpr)) &&
	       x->base == y->base && x->limit == y->limit && x->selector == y->selector;
}

void rf_audit_seen_decision(struct rf_audit_seen *s, const struct rf_audit_decision *d)
{
	struct rf_audit_decision *old = NULL;

	if (rf_audit_seen_has(s, d->event))
		old = (struct rf_audit_decision *)(uintptr_t)rf_audit_seen_kept(s, d->event);
	rf_audit_seen_add(s, d->event);
	if (!old) {
		s->kept[s->next++ % RF_AUDIT_KEPT] = *d;
		return;
	}
	if (same_answer(old, d))
		return;
	old->exact = false;
	old->word = stricter(old->word, d->word);
	if (d->answer.verdict > old->answer.verdict)
		old->answer.verdict = d->answer.verdict;
}

const char *rf_word_text(enum rf_word w)
{
	switch (w) {
	case RF_WORD_ALLOWED:
		return "allowed";
	case RF_WORD_BLOCKED:
		return "blocked";
	case RF_WORD_UNDONE:
		return "undone";
	case RF_WORD_DETECTED:
		return "detected";
	}
	return NULL;
}

const char *rf_answered_text(enum rf_answered a)
{
	switch (a) {
	case RF_ANSWERED_ALLOW:
		return "allow";
	case RF_ANSWERED_NOT_OURS:
		return "not-ours";
	case RF_ANSWERED_DENY:
		return "deny";
	case RF_ANSWERED_KILL:
		return "kill";
	}
	return NULL;
}

/* --- one line ------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name)) ?: "";
}

static bool number_of(const json_t *o, const char *name, json_int_t max, json_int_t *out)
{
	const json_t *v = json_object_get(o, name);

	if (!json_is_integer(v) || json_integer_value(v) < 0 || json_integer_value(v) > max)
		return false;
	*out = json_integer_value(v);
	return true;
}

/* As rf_jsonline_hex() writes it: exactly len bytes. */
static bool bytes_of(const json_t *o, const char *name, void *out, size_t len)
{
	static const char digits[] = "0123456789abcdef";
	const char *text = text_of(o, name);
	uint8_t *to = out;

	if (strlen(text) != 2 * len || strspn(text, digits) != 2 * len)
		return false;
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)((strchr(digits, text[2 * i]) - digits) << 4 |
				  (strchr(digits, text[2 * i + 1]) - digits));
	return true;
}

/* All or nothing. */
static bool answer_of(const json_t *o, struct rf_audit_answer *out)
{
	struct rf_audit_answer a = { .verdict = RF_ANSWERED_ALLOW };
	const json_t *table = json_object_get(o, "table");
	json_int_t n;

	while (rf_answered_text(a.verdict) &&
	       strcmp(rf_answered_text(a.verdict), text_of(o, "verdict")) != 0)
		a.verdict++;
	if (!rf_answered_text(a.verdict))
		return false;
	a.has_fault = json_object_get(o, "vector");
	a.has_gpr = json_object_get(o, "gpr");
	a.has_table = table;
	if (a.has_gpr && (!a.has_fault || !bytes_of(o, "gpr", a.gpr, sizeof(a.gpr))))
		return false;
	if (a.has_fault) {
		if (!number_of(o, "vector", UINT8_MAX, &n))
			return false;
		a.vector = (uint8_t)n;
		if (!number_of(o, "error_code", UINT32_MAX, &n))
			return false;
		a.error_code = (uint32_t)n;
		if (!rf_chain_address(o, "cr2", &a.cr2) || !rf_chain_address(o, "rip", &a.rip) ||
		    !rf_chain_address(o, "rflags", &a.rflags))
			return false;
	}
	if (table) {
		if (!rf_chain_address(table, "base", &a.base) ||
		    !number_of(table, "limit", UINT32_MAX, &n))
			return false;
		a.limit = (uint32_t)n;
		if (!number_of(table, "selector", UINT16_MAX, &n))
			return false;
		a.selector = (uint16_t)n;
	}
	*out = a;
	return true;
}

/* Of a line that does not tell: as far as its word does. What was "detected" may have been put
 * back, too: whoever answers has to know of which kind of event that is true. */
static enum rf_answered implied(enum rf_word word, const char *outcome)
{
	if (!strcmp(outcome, RF_OUTCOME_ENDED))
		return RF_ANSWERED_KILL;
	if (!word)
		return 0;
	return word == RF_WORD_BLOCKED || word == RF_WORD_UNDONE ? RF_ANSWERED_DENY
								 : RF_ANSWERED_ALLOW;
}

bool rf_audit_line_decision(const char *line, size_t len, uint64_t instance,
			    struct rf_audit_decision *out)
{
	struct rf_audit_decision d = { .exact = false };
	char ours[24];
	json_t *root;
	bool found;

	if (len > RF_AUDIT_LINE_BYTES)
		return false;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	snprintf(ours, sizeof(ours), "0x%" PRIx64, instance);
	found = !strcmp(text_of(root, "type"), "decision") &&
		!strcmp(text_of(root, "instance"), ours) &&
		json_integer_value(json_object_get(root, "event")) > 0;
	if (found) {
		d.event = (uint64_t)json_integer_value(json_object_get(root, "event"));
		for (d.word = RF_WORD_DETECTED; d.word; d.word--)
			if (!strcmp(rf_word_text(d.word), text_of(root, "verdict")))
				break;
		snprintf(d.rule, sizeof(d.rule), "%s", text_of(root, "rule"));
		d.exact = answer_of(json_object_get(root, "answer"), &d.answer);
		if (!d.exact)
			d.answer.verdict = implied(d.word, text_of(root, "outcome"));
		*out = d;
	}
	json_decref(root);
	return found;
}

uint64_t rf_audit_line_folded(const char *line, size_t len, uint64_t instance)
{
	char ours[24];
	json_int_t number = 0;
	json_t *root;

	/* Most lines are none: they are not read twice. */
	if (len > RF_AUDIT_LINE_BYTES || !memmem(line, len, "\"number\":", 9))
		return 0;
	root = json_loadb(line, len, JSON_REJECT_DUPLICATES, NULL);
	snprintf(ours, sizeof(ours), "0x%" PRIx64, instance);
	if ((!strcmp(text_of(root, "type"), "folded") ||
	     !strcmp(text_of(root, "type"), "unwritten")) &&
	    !strcmp(text_of(root, "instance"), ours))
		number = json_integer_value(json_object_get(root, "number"));
	json_decref(root);
	return number > 0 ? (uint64_t)number : 0;
}

struct tail {
	char *buf; /* malloc'd */
	size_t len;
	uint64_t start; /* where in the file */
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
	t.start = (uint64_t)start;
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

static bool is_record(const char *line, size_t len)
{
	json_t *root = len <= RF_AUDIT_LINE_BYTES ? json_loadb(line, len, 0, NULL) : NULL;
	bool is = json_is_object(root);

	json_decref(root);
	return is;
}

/* A line of the chain, and the offset behind it. */
static void look_at(struct rf_audit_found *f, const struct rf_chain *c, const char *line,
		    size_t len, uint64_t end)
{
	const struct rf_chain_state *now = rf_chain_now(c), *ahead = rf_chain_ahead(c);
	struct rf_chain_line l;

	if (!rf_chain_line_read(line, len, now->instance, &l))
		return;
	f->last = l;
	if (!l.holds)
		return;
	if (l.seq <= now->seq && l.seq > f->highest)
		f->highest = l.seq;
	if (l.seq == now->seq && !memcmp(l.hash, now->hash, sizeof(l.hash)))
		f->now_end = end;
	if (ahead && l.seq == ahead->seq && !memcmp(l.hash, ahead->hash, sizeof(l.hash)))
		f->ahead_end = end;
}

int rf_audit_tail(int fd, const struct rf_chain *chain, struct rf_audit_seen *seen,
		  struct rf_audit_found *found)
{
	uint64_t instance = rf_chain_now(chain)->instance;
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
	while (t.start && at < t.len && t.buf[at++] != '\n')
		;
	while (at < t.len) {
		const char *end = memchr(t.buf + at, '\n', t.len - at);
		size_t line = end ? (size_t)(end - (t.buf + at)) : t.len - at;
		uint64_t number = rf_audit_line_folded(t.buf + at, line, instance);
		struct rf_audit_decision d;

		if (number > seen->folded)
			seen->folded = number;
		if (rf_audit_line_decision(t.buf + at, line, instance, &d))
			rf_audit_seen_decision(seen, &d);
		look_at(found, chain, t.buf + at, line, t.start + at + line);
		if (at + line + 1 >= t.len)
			found->noise = !is_record(t.buf + at, line);
		at += line + 1;
	}
	free(t.buf);
	return 0;
}
