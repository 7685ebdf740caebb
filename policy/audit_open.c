// SPDX-License-Identifier: LGPL-2.1-or-later
/* A log is opened: what its file has of this instance is read back, and compared with where the
 * chain of its lines stands. A few MiB of heap, and what writing needs. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/audit_impl.h"

void rf_audit_boot_id(char out[RF_AUDIT_BOOT_ID])
{
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, out, RF_AUDIT_BOOT_ID - 1);

	if (fd >= 0)
		close(fd);
	if (n != RF_AUDIT_BOOT_ID - 1)
		n = 0;
	out[n] = '\0';
}

/* A file of the log, and what its tail has of the chain. */
struct part {
	int fd;
	struct stat st;
	struct rf_audit_found found;
};

/* Does the chain's last line still stand where it was written? */
static bool in_its_place(const struct part *p, const struct rf_chain_state *now)
{
	struct rf_chain_line l = { 0 };
	size_t len, at;
	char *buf;

	if (now->dev != p->st.st_dev || now->ino != p->st.st_ino ||
	    now->end > (uint64_t)p->st.st_size)
		return false;
	len = now->end < RF_AUDIT_LINE_BYTES ? (size_t)now->end : RF_AUDIT_LINE_BYTES;
	buf = malloc(len + 1);
	if (!buf)
		return false;
	if (pread(p->fd, buf, len, (off_t)(now->end - len)) == (ssize_t)len) {
		for (at = len; at && buf[at - 1] != '\n'; at--)
			;
		rf_chain_line_read(buf + at, len - at, now->instance, &l);
	}
	free(buf);
	return l.holds && l.seq == now->seq && !memcmp(l.hash, now->hash, sizeof(l.hash));
}

/* Of a chain that nobody kept, its last line is what the file has. */
static bool stands_in(const struct part *p, const struct rf_audit *a, bool kept)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	if (!kept)
		return p->found.last.seq;
	return p->found.ahead_end || (now->seq && (p->found.now_end || in_its_place(p, now)));
}

/* A chain that somebody kept, and what the file has of it. */
static void compare(struct rf_audit *a, const struct part *p, uint64_t highest)
{
	const struct rf_chain_state *now = rf_chain_now(a->chain);

	/* The one before it is in the file, too, or is named in it: its writer had looked. */
	if (p->found.ahead_end) {
		rf_chain_commit(a->chain, p->st.st_dev, p->st.st_ino, p->found.ahead_end);
		return;
	}
	if (!now->seq || stands_in(p, a, true))
		return;
	a->gap_from = highest + 1;
	a->gap_to = now->seq;
}

static int read_part(struct rf_audit *a, int fd, struct part *out)
{
	struct part p = { .fd = fd };
	int flags = fcntl(fd, F_GETFL), err;

	if (flags < 0 || fstat(fd, &p.st) < 0)
		return -errno;
	/* Only a regular file can be read back, and only an append cannot overwrite what is
	 * there. */
	if (!S_ISREG(p.st.st_mode) || (flags & O_ACCMODE) != O_RDWR || !(flags & O_APPEND))
		return -EINVAL;
	err = rf_audit_tail(fd, a->chain, &a->seen, &p.found);
	/* Its writer may have died before it was on disk, and now it is acted on. */
	if (!err && fdatasync(fd) < 0)
		err = -errno;
	if (!err)
		*out = p;
	return err;
}

/* The file that the chain stands in is the one to go on in: *stays, it is the one before. */
static int open_chain(struct rf_audit *a, int fd, const struct rf_audit_setup *setup, bool *stays)
{
	bool kept = setup->chain && !setup->chain_anew;
	struct part before = { .fd = -1 }, now, *in = &now;
	uint64_t highest;
	int err = 0;

	if (!setup->chain)
		rf_chain_init(&a->own);
	a->chain = setup->chain ? setup->chain : &a->own;
	rf_chain_follow(a->chain, setup->instance);
	if (setup->before_fd)
		err = read_part(a, setup->before_fd, &before);
	if (!err)
		err = read_part(a, fd, &now);
	if (err)
		return err;
	*stays = setup->before_fd && !stands_in(&now, a, kept) && stands_in(&before, a, kept) &&
		 (before.st.st_dev != now.st.st_dev || before.st.st_ino != now.st.st_ino);
	if (*stays)
		in = &before;
	highest =
		now.found.highest > before.found.highest ? now.found.highest : before.found.highest;
	a->fd = in->fd;
	a->owed = in->found.noise;
	a->anew = setup->chain_anew;
	if (kept)
		compare(a, in, highest);
	else if (in->found.last.seq)
		rf_chain_resume(a->chain, in->found.last.seq, in->found.last.hash);
	return 0;
}

int rf_audit_open_setup(int fd, const struct rf_audit_setup *setup, struct rf_audit **out)
{
	struct rf_audit *a = calloc(1, sizeof(*a));
	bool stays;
	int err;

	if (!a)
		return -ENOMEM;
	snprintf(a->vm, sizeof(a->vm), "%s", setup->vm);
	snprintf(a->boot_id, sizeof(a->boot_id), "%s", setup->boot_id ? setup->boot_id : "");
	a->key = setup->key;
	a->tried_ns = rf_audit_now_ns();
	a->line[0] = '\n';
	err = open_chain(a, fd, setup, &stays);
	/* Half done by somebody who died: both are regular files, and two. */
	if (!err && stays)
		err = rf_audit_rotate(a, fd);
	if (err) {
		free(a);
		return err;
	}
	if (setup->before_fd && !stays)
		close(setup->before_fd);
	*out = a;
	return 0;
}

void rf_audit_close(struct rf_audit *a)
{
	if (!a)
		return;
	close(a->fd);
	free(a);
}
