// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Writing needs write(2), fdatasync(2) and clock_gettime(2) alone: the monitor does it inside its
 * sandbox. Opening reads the tail and needs more (fstat, pread, a few MiB of heap).
 */
#include "policy/audit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/audit_tail.h"
#include "policy/jsonline.h"

/* Longest part of each string that is kept: each byte can take six in the line. */
#define TEXT_MAX 256
#define DETAIL_MAX 1024
#define VM_MAX 64

/* All six plain strings, detail, VM, two names, two byte strings, task, digest, registers, numbers
 * and member names. */
#define LINE_MAX_BYTES                                                                             \
	(6 * (5 * TEXT_MAX + DETAIL_MAX + VM_MAX + 2 * (128 + 57) + 17 + 65) +                     \
	 4 * RF_AUDIT_BYTES + 2 * 16 * 8 + 2048)

struct rf_audit {
	int fd;
	bool torn; /* the file does not end in a newline: the next line must start with one */
	uint64_t instance;
	struct rf_audit_seen seen;
	uint64_t count[RF_WORD_DETECTED + 1];
	char vm[VM_MAX + 1];
	char line[1 + LINE_MAX_BYTES]; /* [0] is the newline that ends a torn line */
};

int rf_audit_open_fd(int fd, const char *vm, uint64_t instance, struct rf_audit **out)
{
	struct rf_audit *a;
	struct stat st;
	int flags, err;

	flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	/* Only a regular file can be read back, and only an append cannot overwrite what is there.
	 */
	if (!S_ISREG(st.st_mode) || (flags & O_ACCMODE) != O_RDWR || !(flags & O_APPEND))
		return -EINVAL;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->instance = instance;
	snprintf(a->vm, sizeof(a->vm), "%s", vm);
	err = rf_audit_tail(fd, instance, &a->seen, &a->torn);
	/* Its writer may have died before it was on disk, and now it is acted on. */
	if (!err && fdatasync(fd) < 0)
		err = -errno;
	if (err) {
		free(a);
		return err;
	}
	a->line[0] = '\n';
	a->fd = fd;
	*out = a;
	return 0;
}

int rf_audit_open(const char *path, const char *vm, uint64_t instance, struct rf_audit **out)
{
	/* O_NOFOLLOW: root writes here, and the folder may be somebody else's. O_NONBLOCK: it may
	 * be a FIFO. */
	int fd = open(path,
		      O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
		      0600);
	int err;

	if (fd < 0)
		return -errno;
	err = rf_audit_open_fd(fd, vm, instance, out);
	if (err)
		close(fd);
	return err;
}

void rf_audit_close(struct rf_audit *a)
{
	if (!a)
		return;
	close(a->fd);
	free(a);
}

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

/* The line goes out in one write(2), so that another writer's append never lands inside it. */
static int flush_line(struct rf_audit *a, size_t len)
{
	const char *p = a->torn ? a->line : a->line + 1;
	size_t left = a->torn ? len + 1 : len;

	while (left) {
		ssize_t n = write(a->fd, p, left);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		p += n;
		left -= (size_t)n;
		/* Until the last byte is out, the file ends in half a line, whatever comes next. */
		a->torn = left > 0;
	}
	return fdatasync(a->fd) < 0 ? -errno : 0;
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

static void begin_line(struct rf_audit *a, const char *type, struct rf_jsonline *j)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	rf_jsonline_begin(j, a->line + 1, sizeof(a->line) - 1);
	rf_audit_put_time(j, "time", (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec);
	rf_jsonline_text(j, "vm", a->vm, VM_MAX);
	rf_jsonline_address(j, "instance", a->instance);
	rf_jsonline_text(j, "type", type, TEXT_MAX);
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
	begin_line(a, "decision", &j);
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
	err = rf_jsonline_end(&j);
	if (!err)
		err = flush_line(a, j.len);
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
	int err;

	begin_line(a, "outcome", &j);
	rf_jsonline_number(&j, "event", event);
	rf_jsonline_text(&j, "status", status, TEXT_MAX);
	err = rf_jsonline_end(&j);
	return err ? err : flush_line(a, j.len);
}

int rf_audit_line(struct rf_audit *a, const char *type,
		  void (*put)(struct rf_jsonline *j, const void *what), const void *what)
{
	struct rf_jsonline j;
	int err;

	begin_line(a, type, &j);
	put(&j, what);
	err = rf_jsonline_end(&j);
	return err ? err : flush_line(a, j.len);
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
