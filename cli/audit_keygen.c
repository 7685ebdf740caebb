// SPDX-License-Identifier: LGPL-2.1-or-later
/* `audit keygen`: a key for `run --audit-key`, and the public one for `audit verify --key`. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "cli/audit_verify.h"
#include "cli/output.h"
#include "cli/safe_file.h"
#include "policy/note.h"

#define KEY_NAME "ringfence-audit" /* in each signature; the key's id tells keys apart */

/* What is there is somebody's key: it is not written over. Both or none are left. */
static int write_both(const char *path, const struct rf_note_key *key, struct rf_why *why,
		      char public_text[RF_NOTE_KEY_TEXT])
{
	char name[NAME_MAX + 1], public_name[NAME_MAX + 1], text[RF_NOTE_KEY_TEXT];
	struct rf_folder folder;
	struct rf_made made, public_made;
	int err = rf_folder_above(path, RF_WAY_USE, why, &folder, name);

	if (err)
		return err;
	if (snprintf(public_name, sizeof(public_name), "%s.pub", name) >= (int)sizeof(public_name))
		err = rf_why_errno(why, -ENAMETOOLONG, folder.fd, name);
	if (!err) {
		rf_note_secret_text(key, text);
		err = rf_file_new(folder.fd, name, text, strlen(text), 0600, why, &made);
		sodium_memzero(text, sizeof(text));
	}
	if (!err) {
		rf_note_public_text(key, public_text);
		err = rf_file_new(folder.fd, public_name, public_text, strlen(public_text), 0644,
				  why, &public_made);
		if (err)
			rf_made_remove(folder.fd, name, &made, 0);
	}
	rf_folder_close(&folder);
	return err;
}

int rf_audit_keygen(const char *path)
{
	struct rf_why why = { .what = "no random numbers", .todo = "look at the system's log" };
	char text[RF_NOTE_KEY_TEXT];
	struct rf_note_key key;
	int err = sodium_init() < 0 ? -EIO : 0;

	if (!err) {
		rf_note_key_generate(KEY_NAME, &key);
		err = write_both(path, &key, &why, text);
	}
	sodium_memzero(&key, sizeof(key));
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "no key was made",
			       err == -EPERM ? why.todo
					     : "give a path that is not taken, in a folder that "
					       "this user may write",
			       "cannot write the key: %s", why.what);
	printf("%s", text);
	return rf_flush();
}
