/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Files in a folder that was reached safely (cli/safe_path.h), by its descriptor and their
 * names. */
#ifndef RF_CLI_SAFE_FILE_H
#define RF_CLI_SAFE_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "cli/safe_path.h"

/* What was made, so that nothing else is removed in its place. ino 0: nothing. */
struct rf_made {
	dev_t dev;
	ino_t ino;
};

/* What has that name now. 0 or -errno. */
int rf_made_note(int folder, const char *name, struct rf_made *out);
bool rf_made_is(int folder, const char *name, const struct rf_made *made);
/* Removes it (flags as of unlinkat(2)) if that is still what was made. 0, -ESTALE or -errno. */
int rf_made_remove(int folder, const char *name, const struct rf_made *made, int flags);

/*
 * Opens a file to be written and kept, and makes it with that mode where it is not there (O_EXCL:
 * where it is there, -EEXIST); other flags as of openat(2). Never a link, a FIFO's other end or a
 * terminal: a regular file of root's or the caller's, with one name, which others may not write.
 * The descriptor or -errno and *why.
 */
int rf_file_keep(int folder, const char *name, int flags, mode_t mode, struct rf_why *why);
/* One that must not be there, with this text, on disk. 0 and *made, or -errno and *why. */
int rf_file_new(int folder, const char *name, const char *text, size_t len, mode_t mode,
		struct rf_why *why, struct rf_made *made);
/* The same in the place of what has that name: what is there is whole, be it the last one. */
int rf_file_replace(int folder, const char *name, const char *text, size_t len, mode_t mode,
		    struct rf_why *why, struct rf_made *made);
/* Removes what a process that was killed has left, of that type (S_IFREG, S_IFSOCK), root's or the
 * caller's. 0 also where there is nothing; else -errno and *why. */
int rf_file_clear(int folder, const char *name, mode_t type, struct rf_why *why);

/* The names that were made in it are on disk. */
void rf_folder_sync(int folder);

/* A file to be read of a folder that may be another user's: regular, and that user's or root's.
 * Opened without a side effect on what else may be there. The descriptor or -errno. */
int rf_file_read_only(const struct rf_folder *f, const char *name);
/*
 * The same by its path, reached as RF_WAY_READ says. In a folder of root's or the caller's it may
 * be anybody's, as in /tmp: *owner is whose word it is, rf_is_trusted() or not. The descriptor, or
 * -errno (-EINVAL: no regular file) and *why.
 */
int rf_path_read_only(const char *path, struct rf_why *why, uid_t *owner);
/* The same of one that belongs to something of that user's: another user's is refused with -EPERM,
 * and named. Root's and the caller's are one. */
int rf_path_read_of(const char *path, uid_t owner, struct rf_why *why);

#endif
