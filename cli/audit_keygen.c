// SPDX-License-Identifier: LGPL-2.1-or-later
/* `audit keygen`: a key for `run --audit-key`, and the public one for `audit verify --key`. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/audit_verify.h"
#include "cli/output.h"
#include "policy/note.h"

#define KEY_NAME "ringfence-audit" /* in each signature; the key's id tells keys apart */

/* What is there is somebody's key: it is not written over. */
static int write_new(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	size_t len = strlen(text);
	int err = 0;

	if (fd < 0)
		return -errno;
	if (fchmod(fd, mode) || write(fd, text, len) != (ssize_t)len || fsync(fd))
		err = errno ? -errno : -ENOSPC;
	close(fd);
	if (err)
		unlink(path);
	return err;
}

int rf_audit_keygen(const char *path)
{
	char public_path[PATH_MAX], text[RF_NOTE_KEY_TEXT];
	const char *failed = path;
	struct rf_note_key key;
	int err = sodium_init() < 0 ? -EIO : 0;

	if (!err &&
	    snprintf(public_path, sizeof(public_path), "%s.pub", path) >= (int)sizeof(public_path))
		err = -ENAMETOOLONG;
	if (!err) {
		rf_note_key_generate(KEY_NAME, &key);
		rf_note_secret_text(&key, text);
		errno = 0;
		err = write_new(path, text, 0600);
		sodium_memzero(text, sizeof(text));
	}
	if (!err) {
		failed = public_path;
		rf_note_public_text(&key, text);
		err = write_new(public_path, text, 0644);
		if (err)
			unlink(path);
	}
	sodium_memzero(&key, sizeof(key));
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "no key was made",
			       "give a path that is not taken, in a folder that this user may "
			       "write",
			       "cannot write the key %s: %s", failed, strerror(-err));
	printf("%s", text);
	return rf_flush();
}
