// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_beside.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/safe_file.h"

#define PEEK_BYTES (1 << 20)
/* Nothing that a VM writes in a week is longer, and a line without an end is read to it. */
#define FILE_BYTES (INT64_C(1) << 32)
#define CLOCK_S 60 /* the host's clock may be set meanwhile */

bool rf_beside_same(int fd, int other)
{
	struct stat a, b;

	return !fstat(fd, &a) && !fstat(other, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

struct looking {
	const struct rf_log *log;
	const struct rf_seq *seq;
};

/* 1: this one. */
static int look(void *ctx, json_t *record)
{
	const struct looking *w = ctx;

	return rf_seq_fits(w->seq, record) ? 1 : w->log->at > PEEK_BYTES ? -ENOENT : 0;
}

bool rf_beside_has(struct rf_log *l, const struct rf_seq *q)
{
	struct looking w = { .log = l, .seq = q };

	rf_log_anew(l);
	return rf_log_read(l, look, &w) == 1;
}

/* The file's name up to ".jsonl", which may be followed by other things. */
static size_t stem(const char *name)
{
	const char *end = strstr(name, ".jsonl");

	return end && end != name ? (size_t)(end - name) : strlen(name);
}

static bool is_written_since(const struct rf_log *l, time_t since)
{
	struct stat st;

	return !fstat(l->fd, &st) && st.st_mtime >= since - CLOCK_S && st.st_size <= FILE_BYTES;
}

/* That the file of that path stands in; NULL: it cannot be read. */
static DIR *open_folder(const char *path)
{
	char name[NAME_MAX + 1];
	struct rf_folder above;
	struct rf_why why;
	DIR *d;
	int fd;

	if (rf_folder_above(path, RF_WAY_READ, &why, &above, name))
		return NULL;
	fd = openat(above.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	rf_folder_close(&above);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (fd >= 0 && !d)
		close(fd);
	return d;
}

/* In a folder that others may write they can have as many files by such a name as they like. */
static int open_of(uid_t owner, const char *file, struct rf_log *out)
{
	struct rf_why why;
	int fd = rf_path_read_of(file, owner, &why);

	return fd < 0 ? fd : rf_log_take(fd, file, out);
}

bool rf_beside_find(const struct rf_log *of, time_t since, int *tries,
		    bool (*right)(void *ctx, struct rf_log *l), void *ctx, struct rf_log *out)
{
	const char *path = of->path;
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	int before = (int)(name - path);
	char file[PATH_MAX];
	bool found = false;
	DIR *d = open_folder(path);

	if (!d)
		return false;
	for (struct dirent *e; !found && *tries > 0 && (e = readdir(d));) {
		if (strncmp(e->d_name, name, stem(name)) != 0 || strstr(e->d_name, ".patches") ||
		    snprintf(file, sizeof(file), "%.*s%s", before, path, e->d_name) >= PATH_MAX ||
		    open_of(of->owner, file, out))
			continue;
		if (is_written_since(out, since)) {
			--*tries;
			found = right(ctx, out);
		}
		if (!found)
			rf_log_close(out);
	}
	closedir(d);
	return found;
}
