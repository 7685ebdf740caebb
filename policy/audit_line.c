// SPDX-License-Identifier: LGPL-2.1-or-later
/* One line, from its first member to the disk; whoever else writes to the file, and whatever was
 * torn in it. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/audit_impl.h"
#include "policy/jsonline.h"

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

void rf_audit_start_line(struct rf_audit *a, const char *type, struct rf_jsonline *j)
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

int rf_audit_finish_line(struct rf_audit *a, struct rf_jsonline *j, bool checkpoint)
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
