// SPDX-License-Identifier: LGPL-2.1-or-later
/* Needs write(2), fdatasync(2), fstat(2), pread(2), lseek(2) and clock_gettime(2) alone: the
 * monitor does it inside its sandbox. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/audit_impl.h"
#include "policy/checkpoint.h"
#include "policy/jsonline.h"
#include "policy/patchlog.h"

bool rf_audit_has_event(const struct rf_audit *a, uint64_t event)
{
	return rf_audit_seen_has(&a->seen, event);
}

bool rf_audit_decision(const struct rf_audit *a, uint64_t event, struct rf_audit_decision *out)
{
	const struct rf_audit_decision *d;

	if (!rf_audit_seen_has(&a->seen, event))
		return false;
	d = rf_audit_seen_kept(&a->seen, event);
	*out = d ? *d : (struct rf_audit_decision){ .event = event };
	return true;
}

uint64_t rf_audit_count(const struct rf_audit *a, enum rf_word w)
{
	return rf_word_text(w) ? a->count[w] : 0;
}

/* What stands last in the file. What cannot be told is as it should be. */
struct last {
	bool torn;  /* it lacks its newline: half a line of ours, or of another VM's monitor */
	bool noise; /* it is no line of a chain, with its newline or without */
};

static struct last look_at_end(int fd)
{
	char buf[RF_CHAIN_END_BYTES + 1];
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) || !st.st_size)
		return (struct last){ .torn = false };
	n = st.st_size < (off_t)sizeof(buf) ? st.st_size : (ssize_t)sizeof(buf);
	if (pread(fd, buf, (size_t)n, st.st_size - n) != n)
		return (struct last){ .torn = false };
	return (struct last){ .torn = buf[n - 1] != '\n',
			      .noise = buf[n - 1] != '\n' || !rf_chain_ends(buf, (size_t)n - 1) };
}

/* The line is in the file, all of it or all but its newline: it counts. */
static void count_line(struct rf_audit *a, size_t missing)
{
	off_t end = lseek(a->fd, 0, SEEK_CUR);
	struct stat st = { 0 };

	if (fstat(a->fd, &st) || end < 0)
		end = 0; /* then it is looked for in the tail */
	else if (!missing)
		end--;
	rf_chain_commit(a->chain, st.st_dev, st.st_ino, (uint64_t)end);
}

/* What went out, and whether it is one line: between the look at the end of the file and the write
 * another VM's monitor may have torn its own there. */
struct out {
	size_t left, wrote;
	bool glued;
};

static bool newline_before(int fd, off_t start)
{
	char before = '\n';

	return start <= 0 || pread(fd, &before, 1, start - 1) != 1 || before == '\n';
}

/*
 * In one write(2), so that another writer's append never lands inside it; what a second one adds
 * may be behind another's.
 */
static int put_out(struct rf_audit *a, size_t len, struct out *o)
{
	const char *p = a->torn ? a->line : a->line + 1;
	off_t end = -1;

	*o = (struct out){ .left = a->torn ? len + 1 : len };
	while (o->left) {
		ssize_t n = write(a->fd, p + o->wrote, o->left);
		off_t now;

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		now = lseek(a->fd, 0, SEEK_CUR);
		if (o->wrote)
			o->glued |= now >= 0 && end >= 0 && now - n != end;
		else if (!a->torn)
			o->glued = now >= 0 && !newline_before(a->fd, now - n);
		end = now;
		o->wrote += (size_t)n;
		o->left -= (size_t)n;
	}
	return 0;
}

/*
 * A line that is torn here is no record, and its number is the next one's. What lacks its newline
 * alone is one: it is flushed, and the next line begins with a newline. So is what may not have
 * reached the disk: readers find it. -EAGAIN: it is all in the file, but glued to what others
 * wrote.
 */
static int flush_line(struct rf_audit *a, size_t len)
{
	struct out o;
	int err = put_out(a, len, &o);

	if (o.left > 1 || o.glued) {
		a->owed |= o.wrote > 0;
		return err ? err : -EAGAIN;
	}
	err = fdatasync(a->fd) < 0 ? -errno : 0;
	a->owed = false;
	count_line(a, o.left);
	return err;
}

/*
 * RFC 3339, UTC. Done by hand: the C library's conversion opens the time zone file at its first
 * use, which the sandbox does not let it.
 */
void rf_audit_put_time(struct rf_jsonline *j, const char *name, uint64_t ns)
{
	static const uint8_t month_days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t seconds = (int64_t)(ns / 1000000000), day = seconds / 86400,
		second = seconds % 86400;
	int year = 1970, month = 0;
	bool leap;
	char text[64];

	for (;; year++) {
		leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		if (day < 365 + leap)
			break;
		day -= 365 + leap;
	}
	for (;; month++) {
		int days = month_days[month] + (month == 1 && leap);

		if (day < days)
			break;
		day -= days;
	}
	snprintf(text, sizeof(text), "%04d-%02d-%02dT%02d:%02d:%02d.%09dZ", year, month + 1,
		 (int)day + 1, (int)(second / 3600), (int)(second / 60 % 60), (int)(second % 60),
		 (int)(ns % 1000000000));
	rf_jsonline_text(j, name, text, sizeof(text));
}

uint64_t rf_audit_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void start_line(struct rf_audit *a, const char *type, struct rf_jsonline *j)
{
	struct last last = look_at_end(a->fd);
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	a->torn = last.torn;
	rf_jsonline_begin(j, a->line + 1, sizeof(a->line) - 1);
	rf_audit_put_time(j, "time", (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	rf_jsonline_text(j, "vm", a->vm, VM_MAX);
	rf_jsonline_address(j, "instance", rf_chain_now(a->chain)->instance);
	rf_jsonline_number(j, "seq", rf_chain_now(a->chain)->seq + 1);
	rf_jsonline_number(j, "mono_ns", rf_audit_now_ns());
	if (a->boot_id[0])
		rf_jsonline_text(j, "boot_id", a->boot_id, sizeof(a->boot_id));
	a->type_at = j->len;
	/* What stands between the record before this line and this line is then no tampering. */
	if (last.noise || a->owed)
		rf_jsonline_bool(j, "after_torn", true);
	rf_jsonline_text(j, "type", type, TEXT_MAX);
}

/* 0 with the line in the chain's next slot, or -EMSGSIZE. */
static int seal_line(struct rf_audit *a, struct rf_jsonline *j, bool checkpoint)
{
	uint8_t hash[RF_CHAIN_BYTES];
	int err;

	a->sealed_at = j->len;
	err = rf_chain_seal(j, rf_chain_now(a->chain)->hash, hash);
	if (err)
		return err;
	rf_chain_prepare(a->chain, hash);
	if (checkpoint)
		rf_chain_prepared_checkpoint(a->chain);
	return 0;
}

/* The same line once more, that stands behind what is no record. */
static int seal_again(struct rf_audit *a, struct rf_jsonline *j, bool checkpoint)
{
	static const char told[] = ",\"after_torn\":true";
	size_t more = sizeof(told) - 1;
	char *at = j->buf + a->type_at;

	a->torn = look_at_end(a->fd).torn;
	j->len = a->sealed_at;
	if (strncmp(at, told, more) != 0) {
		if (more > j->cap - j->len)
			return -EMSGSIZE;
		memmove(at + more, at, j->len - a->type_at);
		memcpy(at, told, more);
		j->len += more;
	}
	return seal_line(a, j, checkpoint);
}

#define TRIES 8 /* another one would have to tear a line each time, just then */

static int finish_as(struct rf_audit *a, struct rf_jsonline *j, bool checkpoint)
{
	int err = seal_line(a, j, checkpoint);

	if (!err)
		err = flush_line(a, j->len);
	for (int i = 1; err == -EAGAIN && i < TRIES; i++) {
		err = seal_again(a, j, checkpoint);
		if (!err)
			err = flush_line(a, j->len);
	}
	return err == -EAGAIN ? -EIO : err;
}

static int finish_line(struct rf_audit *a, struct rf_jsonline *j)
{
	return finish_as(a, j, false);
}

/* What is not in this file any more, and perhaps in none. */
static int name_gap(struct rf_audit *a)
{
	struct rf_jsonline j;
	char detail[96];
	int err;

	snprintf(detail, sizeof(detail), "lines %" PRIu64 " to %" PRIu64 " are not in this file",
		 a->gap_from, a->gap_to);
	start_line(a, "gap", &j);
	rf_jsonline_number(&j, "from", a->gap_from);
	rf_jsonline_number(&j, "to", a->gap_to);
	rf_jsonline_text(&j, "detail", detail, sizeof(detail));
	err = finish_line(a, &j);
	if (rf_chain_now(a->chain)->seq > a->gap_to)
		a->gap_to = 0;
	return err;
}

/* The chain goes on behind what is in the file, which nothing vouches for. */
static int name_anew(struct rf_audit *a)
{
	uint64_t before = rf_chain_now(a->chain)->seq;
	struct rf_jsonline j;
	int err;

	start_line(a, "decision", &j);
	rf_jsonline_text(&j, "kind", "monitor", TEXT_MAX);
	rf_jsonline_text(&j, "outcome", "the chain goes on behind the file's last line", TEXT_MAX);
	rf_jsonline_text(&j, "detail",
			 "the memory that says where the chain stands is of another release, or "
			 "damaged: lines that were cut off before this one cannot be told",
			 DETAIL_MAX);
	err = finish_line(a, &j);
	if (rf_chain_now(a->chain)->seq > before)
		a->anew = false;
	return err;
}

static int begin_line(struct rf_audit *a, const char *type, struct rf_jsonline *j)
{
	int err = a->gap_to ? name_gap(a) : a->anew ? name_anew(a) : 0;

	if (!err)
		start_line(a, type, j);
	return err;
}

static void put_named(struct rf_jsonline *j, const char *name, const struct rf_named *n)
{
	rf_jsonline_open(j, name);
	if (n->symbol[0]) {
		rf_jsonline_text(j, "symbol", n->symbol, sizeof(n->symbol));
		rf_jsonline_address(j, "offset", n->offset);
	}
	rf_jsonline_address(j, "addr", n->addr);
	if (n->module[0])
		rf_jsonline_text(j, "module", n->module, sizeof(n->module));
	rf_jsonline_close(j);
}

static void put_optional(struct rf_jsonline *j, const char *name, const char *text, size_t max)
{
	if (text && text[0])
		rf_jsonline_text(j, name, text, max);
}

static void put_action(struct rf_jsonline *j, const struct rf_record *r)
{
	size_t kept = r->len < RF_AUDIT_BYTES ? r->len : RF_AUDIT_BYTES;

	if (r->has_target)
		put_named(j, "target", &r->target);
	if (r->has_writer) {
		put_named(j, "writer", &r->writer);
		rf_jsonline_address(j, "rip", r->writer.addr);
	}
	if (r->has_handler)
		put_named(j, "handler", &r->handler);
	if (r->has_task) {
		rf_jsonline_open(j, "task");
		rf_jsonline_text(j, "comm", r->task, sizeof(r->task));
		rf_jsonline_signed(j, "pid", r->pid);
		rf_jsonline_number(j, "uid", r->uid);
		rf_jsonline_bool(j, "claimed_by_guest", true);
		rf_jsonline_close(j);
	}
	if (r->gpa)
		rf_jsonline_address(j, "gpa", r->gpa);
	if (r->len)
		rf_jsonline_number(j, "len", r->len);
	if (r->has_old)
		rf_jsonline_hex(j, "old", r->old_bytes, kept);
	if (r->has_new)
		rf_jsonline_hex(j, "new", r->new_bytes, kept);
}

static void put_answer(struct rf_jsonline *j, const struct rf_audit_answer *a)
{
	rf_jsonline_open(j, "answer");
	rf_jsonline_text(j, "verdict", rf_answered_text(a->verdict), TEXT_MAX);
	if (a->has_fault) {
		rf_jsonline_number(j, "vector", a->vector);
		rf_jsonline_number(j, "error_code", a->error_code);
		rf_jsonline_address(j, "cr2", a->cr2);
		rf_jsonline_address(j, "rip", a->rip);
		rf_jsonline_address(j, "rflags", a->rflags);
	}
	if (a->has_gpr)
		rf_jsonline_hex(j, "gpr", (const uint8_t *)a->gpr, sizeof(a->gpr));
	if (a->has_table) {
		rf_jsonline_open(j, "table");
		rf_jsonline_address(j, "base", a->base);
		rf_jsonline_number(j, "limit", a->limit);
		rf_jsonline_number(j, "selector", a->selector);
		rf_jsonline_close(j);
	}
	rf_jsonline_close(j);
}

static void put_patch_log(struct rf_jsonline *j, const struct rf_patch_span *s)
{
	rf_jsonline_open(j, "patch_log");
	rf_jsonline_number(j, "from", s->from);
	rf_jsonline_number(j, "to", s->to);
	rf_jsonline_hex(j, "sha256", s->sha256, sizeof(s->sha256));
	rf_jsonline_close(j);
}

static void remember(struct rf_audit *a, const struct rf_record *r)
{
	struct rf_audit_decision d = { .event = r->event, .word = r->verdict };

	if (r->answer) {
		d.exact = true;
		d.answer = *r->answer;
	}
	snprintf(d.rule, sizeof(d.rule), "%s", r->rule ? r->rule : "");
	rf_audit_seen_decision(&a->seen, &d);
}

int rf_audit_write(struct rf_audit *a, const struct rf_record *r)
{
	struct rf_jsonline j;
	int err;

	if (!r->kind || (r->verdict && !rf_word_text(r->verdict)) ||
	    (r->answer && (!r->event || !rf_answered_text(r->answer->verdict))))
		return -EINVAL;
	err = begin_line(a, "decision", &j);
	if (err)
		return err;
	if (r->event) {
		rf_jsonline_number(&j, "event", r->event);
		rf_jsonline_number(&j, "vcpu", r->vcpu);
	}
	rf_jsonline_text(&j, "kind", r->kind, TEXT_MAX);
	put_optional(&j, "region", r->region, TEXT_MAX);
	put_action(&j, r);
	put_optional(&j, "disassembly", r->disassembly, TEXT_MAX);
	put_optional(&j, "rule", r->rule, TEXT_MAX);
	put_optional(&j, "verdict", rf_word_text(r->verdict), TEXT_MAX);
	put_optional(&j, "outcome", r->outcome, TEXT_MAX);
	if (r->answer)
		put_answer(&j, r->answer);
	put_optional(&j, "detail", r->detail, DETAIL_MAX);
	put_optional(&j, "sha256", r->sha256, sizeof(r->sha256));
	put_optional(&j, "expected", r->expected, sizeof(r->expected));
	if (r->size)
		rf_jsonline_number(&j, "size", r->size);
	if (r->patch_log)
		put_patch_log(&j, r->patch_log);
	err = finish_line(a, &j);
	if (err)
		return err;
	if (r->event)
		remember(a, r);
	if (r->verdict)
		a->count[r->verdict]++;
	return 0;
}

int rf_audit_outcome(struct rf_audit *a, uint64_t event, const char *status)
{
	struct rf_jsonline j;
	int err = begin_line(a, "outcome", &j);

	if (err)
		return err;
	rf_jsonline_number(&j, "event", event);
	rf_jsonline_text(&j, "status", status, TEXT_MAX);
	return finish_line(a, &j);
}

/* Signs what stands before it: a checkpoint is not a leaf of its own tree. */
static int write_checkpoint(struct rf_audit *a)
{
	struct rf_checkpoint c = { .size = 0 };
	char note[RF_NOTE_BYTES];
	struct rf_jsonline j;
	int err = begin_line(a, "checkpoint", &j);

	if (err)
		return err;
	rf_checkpoint_origin(a->vm, rf_chain_now(a->chain)->instance, c.origin);
	c.size = rf_chain_now(a->chain)->tree.size;
	rf_merkle_root(&rf_chain_now(a->chain)->tree, c.root);
	err = rf_checkpoint_sign(a->key, &c, note);
	if (err)
		return err;
	rf_jsonline_number(&j, "tree_size", c.size);
	rf_jsonline_hex(&j, "root", c.root, sizeof(c.root));
	rf_jsonline_utf8(&j, "note", note, sizeof(note));
	return finish_as(a, &j, true);
}

/* All lines until now are known. */
static bool signs(const struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	return a->key && now->tree.size == now->seq;
}

static bool can_sign(const struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	return signs(a) && now->seq > now->checkpoint;
}

int rf_audit_tick(struct rf_audit *a)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);
	uint64_t ns = rf_audit_now_ns();

	bool many = now->seq - now->checkpoint >= RF_AUDIT_CHECKPOINT_LINES && !a->failed;
	int err;

	if (!can_sign(a) || (!many && ns - a->tried_ns < RF_AUDIT_CHECKPOINT_NS))
		return 0;
	a->tried_ns = ns;
	err = write_checkpoint(a);
	a->failed = err;
	return err;
}

int rf_audit_end(struct rf_audit *a)
{
	struct rf_jsonline j;
	int err = begin_line(a, "end", &j);

	if (err)
		return err;
	/* Then it is not the last line, and a log where it is was cut. */
	if (signs(a))
		rf_jsonline_bool(&j, "signed", true);
	err = finish_line(a, &j);
	return err || !can_sign(a) ? err : write_checkpoint(a);
}

int rf_audit_line(struct rf_audit *a, const char *type,
		  void (*put)(struct rf_jsonline *j, const void *what), const void *what)
{
	struct rf_jsonline j;
	int err = begin_line(a, type, &j);

	if (err)
		return err;
	put(&j, what);
	return finish_line(a, &j);
}

uint64_t rf_audit_written(const struct rf_audit *a)
{
	return a->seen.folded;
}

uint64_t rf_audit_size(const struct rf_audit *a)
{
	struct stat st;

	return fstat(a->fd, &st) || st.st_size < 0 ? 0 : (uint64_t)st.st_size;
}
