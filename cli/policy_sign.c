// SPDX-License-Identifier: LGPL-2.1-or-later
/* `policy sign`: the signature that lets a policy loosen one in force. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <sodium.h>

#include "cli/output.h"
#include "cli/policy.h"
#include "policy/file.h"
#include "policy/name.h"
#include "policy/reload.h"

#define NOT_SIGNED "nothing was signed"

static int read_key(const char *path, struct rf_note_key *key)
{
	char text[RF_NOTE_KEY_TEXT];
	size_t len;
	int err = rf_file_read(path, text, sizeof(text), &len);

	if (!err)
		err = rf_note_secret_parse(text, len, key);
	sodium_memzero(text, sizeof(text));
	if (!err)
		return RF_EXIT_OK;
	return rf_fail(err == -EBADMSG ? RF_EXIT_NO : RF_EXIT_NOT_FOUND, NOT_SIGNED,
		       "give the file that `ringfence audit keygen` has made, not FILE.pub",
		       "key %s: %s", path,
		       err == -EBADMSG ? "it is not a secret key" : rf_policy_problem(err));
}

/* By another name first: what is there is whole, be it the last one's. */
static int write_note(const char *path, const char *note)
{
	char fresh[PATH_MAX];
	size_t len = strlen(note);
	int fd, err = 0;

	if (snprintf(fresh, sizeof(fresh), "%s.new", path) >= (int)sizeof(fresh))
		return -ENAMETOOLONG;
	fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return -errno;
	if (write(fd, note, len) != (ssize_t)len || fsync(fd))
		err = errno ? -errno : -ENOSPC;
	close(fd);
	if (!err && rename(fresh, path))
		err = -errno;
	if (err)
		unlink(fresh);
	return err;
}

static int sign(const struct rf_policy_args *a, const struct rf_note_key *key,
		const struct rf_policy_origin *origin)
{
	const char *vm = a->items[0], *file = a->items[1];
	time_t now = time(NULL);
	struct rf_policy_note n = { .serial = a->serial ? a->serial : (uint64_t)now,
				    .until = (uint64_t)now + a->valid_for };
	char note[RF_NOTE_BYTES], path[PATH_MAX], until[RF_TIME_TEXT];
	int err;

	memcpy(n.sha256, origin->sha256, sizeof(n.sha256));
	err = snprintf(path, sizeof(path), "%s.sig", file) >= (int)sizeof(path) ? -ENAMETOOLONG : 0;
	if (!err)
		err = rf_policy_note_sign(key, vm, &n, note);
	if (!err)
		err = write_note(path, note);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, NOT_SIGNED,
			       "make the folder of the policy writable for this user",
			       "cannot write %s.sig: %s", file, strerror(-err));
	printf("%s.sig: for VM %s, serial %llu, until %s\n", file, vm, (unsigned long long)n.serial,
	       rf_time_text((long long)n.until, until));
	return rf_flush();
}

int rf_policy_sign(const struct rf_policy_args *a)
{
	struct rf_policy_origin origin;
	struct rf_note_key key;
	struct rf_policy p;
	int code;

	if (!a->key)
		return rf_fail(RF_EXIT_USAGE, NOT_SIGNED,
			       "give --key KEY; `ringfence audit keygen KEY` makes one",
			       "policy sign: needs a key");
	if (!rf_name_valid(a->items[0]))
		return rf_fail(RF_EXIT_USAGE, NOT_SIGNED, "give the name as `run --name` had it",
			       "policy sign: \"%s\" cannot be a VM's name", a->items[0]);
	code = rf_policy_take(a->items[1], &origin, &p);
	if (code != RF_EXIT_OK)
		return code;
	if (origin.profile)
		return rf_fail(RF_EXIT_USAGE, NOT_SIGNED,
			       "copy the profile's file, and sign the copy",
			       "policy sign: %s is a profile", a->items[1]);
	code = read_key(a->key, &key);
	if (code == RF_EXIT_OK)
		code = sign(a, &key, &origin);
	sodium_memzero(&key, sizeof(key));
	return code;
}
