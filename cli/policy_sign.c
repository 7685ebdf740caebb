// SPDX-License-Identifier: LGPL-2.1-or-later
/* `policy sign`: the signature that lets a policy loosen one in force. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#include "cli/output.h"
#include "cli/policy.h"
#include "cli/safe_file.h"
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

/* In the place of the last one, beside the policy's file. */
static int write_note(const char *file, const char *note, struct rf_why *why)
{
	char name[NAME_MAX + 1], note_name[NAME_MAX + 1];
	struct rf_folder folder;
	struct rf_made made;
	int err = rf_folder_above(file, RF_WAY_USE, why, &folder, name);

	if (err)
		return err;
	if (snprintf(note_name, sizeof(note_name), "%s.sig", name) >= (int)sizeof(note_name))
		err = rf_why_errno(why, -ENAMETOOLONG, folder.fd, name);
	else
		err = rf_file_replace(folder.fd, note_name, note, strlen(note), 0644, why, &made);
	rf_folder_close(&folder);
	return err;
}

static int sign(const struct rf_policy_args *a, const struct rf_note_key *key,
		const struct rf_policy_origin *origin)
{
	const char *vm = a->items[0], *file = a->items[1];
	time_t now = time(NULL);
	struct rf_policy_note n = { .serial = a->serial ? a->serial : (uint64_t)now,
				    .until = (uint64_t)now + a->valid_for };
	struct rf_why why = { .what = "it cannot be signed", .todo = NULL };
	char note[RF_NOTE_BYTES], until[RF_TIME_TEXT];
	int err;

	memcpy(n.sha256, origin->sha256, sizeof(n.sha256));
	err = rf_policy_note_sign(key, vm, &n, note);
	if (!err)
		err = write_note(file, note, &why);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, NOT_SIGNED,
			       err == -EPERM && why.todo
				       ? why.todo
				       : "make the folder of the policy writable for this user",
			       "cannot write %s.sig: %s", file, why.what);
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
