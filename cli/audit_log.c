// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/safe_file.h"

/* The magic of gzip, bzip2, xz, zstd (the formats of logrotate): no log begins so. */
int rf_log_is_plain(int fd)
{
	/* Octal, as its second byte is a digit. */
	static const char *const magics[] = { "\x1f\x8b", "BZh", "\3757zXZ", "\x28\xb5\x2f\xfd" };
	char begin[8] = { 0 };

	if (pread(fd, begin, sizeof(begin), 0) < 0)
		return -errno;
	for (size_t i = 0; i < sizeof(magics) / sizeof(magics[0]); i++)
		if (!memcmp(begin, magics[i], strlen(magics[i])))
			return -EMEDIUMTYPE;
	return 0;
}

const char *rf_log_problem(int err)
{
	return err == -EMEDIUMTYPE ? "it is compressed: unpack it first, as with gunzip"
	       : err == -EPERM	   ? "it is another user's by now, or may not be read"
				   : strerror(-err);
}

int rf_log_open(const char *path, uid_t owner, struct rf_log *l)
{
	struct rf_why why;
	int fd = rf_path_read_of(path, owner, &why);

	return fd < 0 ? fd : rf_log_take(fd, path, l);
}

int rf_log_take(int fd, const char *path, struct rf_log *l)
{
	struct stat st;
	char *line;
	int err;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	err = rf_log_is_plain(fd);
	if (err) {
		close(fd);
		return err;
	}
	line = malloc(RF_LOG_LINE_BYTES);
	if (!line) {
		close(fd);
		return -ENOMEM;
	}
	*l = (struct rf_log){ .path = path, .fd = fd, .owner = st.st_uid, .line = line };
	if (st.st_size > RF_LOG_BACK_BYTES) {
		/* The first line met is half a line. */
		l->at = st.st_size - RF_LOG_BACK_BYTES;
		l->skipping = true;
	}
	return 0;
}

void rf_log_whole(struct rf_log *l)
{
	l->at = 0;
	l->skipping = false;
}

void rf_log_close(struct rf_log *l)
{
	close(l->fd);
	free(l->line);
}

static void is_broken(struct rf_log *l, void *ctx)
{
	l->unreadable++;
	if (l->broken)
		l->broken(ctx, l->ended + 1);
}

static int take_line(struct rf_log *l, rf_log_fn fn, void *ctx)
{
	json_t *o = json_loadb(l->line, l->len, JSON_REJECT_DUPLICATES, NULL);
	size_t len = l->len;
	int err = 0;

	l->len = 0;
	if (json_is_object(o))
		err = l->see ? l->see(l, o) : 0;
	else if (len)
		is_broken(l, ctx);
	if (json_is_object(o) && err >= 0)
		err = err ? 0 : fn(ctx, o);
	json_decref(o);
	return err;
}

static int take_bytes(struct rf_log *l, const char *buf, size_t n, rf_log_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; i < n && !err; i++) {
		l->at++;
		if (buf[i] == '\n') {
			if (!l->skipping)
				err = take_line(l, fn, ctx);
			l->skipping = false;
			l->ended++;
		} else if (!l->skipping && l->len == RF_LOG_LINE_BYTES) {
			l->skipping = true;
			l->len = 0;
			is_broken(l, ctx);
		} else if (!l->skipping) {
			l->line[l->len++] = buf[i];
		}
	}
	return err;
}

int rf_log_read(struct rf_log *l, rf_log_fn fn, void *ctx)
{
	char buf[16384];
	ssize_t n;
	int err;

	for (;;) {
		n = pread(l->fd, buf, sizeof(buf), l->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		err = take_bytes(l, buf, (size_t)n, fn, ctx);
		if (err)
			return err;
	}
}

int rf_log_finish(struct rf_log *l, rf_log_fn fn, void *ctx)
{
	return l->len && !l->skipping ? take_line(l, fn, ctx) : 0;
}

void rf_log_anew(struct rf_log *l)
{
	rf_log_whole(l);
	l->len = 0;
	l->ended = 0;
}

int rf_log_reopen(struct rf_log *l, struct rf_log *before, struct rf_why *why)
{
	struct stat here, there;
	struct rf_log next;
	int fd, err;

	if (fstat(l->fd, &here) < 0)
		return -errno;
	fd = rf_path_read_of(l->path, l->owner, why);
	/* Between a rename and the new file there is no name: the old one is still the log. Nor is
	 * it another one that is no log. */
	if (fd < 0)
		return fd == -ENOENT || fd == -EINVAL ? RF_LOG_SAME : fd;
	if (fstat(fd, &there) < 0 || (here.st_ino == there.st_ino && here.st_dev == there.st_dev)) {
		close(fd);
		if (here.st_size >= l->at)
			return RF_LOG_SAME;
		rf_log_anew(l);
		return RF_LOG_CUT;
	}
	err = rf_log_take(fd, l->path, &next);
	if (err)
		return err == -EINVAL || err == -EMEDIUMTYPE ? RF_LOG_SAME : err;
	*before = *l;
	l->fd = next.fd;
	l->line = next.line;
	l->owner = next.owner;
	rf_log_anew(l);
	return RF_LOG_NEXT;
}
