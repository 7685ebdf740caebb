/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folders, reached so that nobody else can lead the way. `ringfence` is often root and often works
 * for others, who give it paths: whoever may write to a folder on the way can put a link or a
 * folder of his own there, at any moment. So each component is opened by itself, without following
 * it, and looked at before the next one is looked up in it. What comes of it is a descriptor, and
 * everything below is done by *at() calls (cli/safe_file.h).
 *
 * Who may be on the way: root and the caller. A folder of theirs may not be writable by others,
 * unless it is sticky (/tmp): what is used below is then looked at in its turn. A symbolic link is
 * followed where it is theirs and stands in a folder that nobody else may write, not in a sticky
 * one. An access control list that lets others write shows in the mode's group bits (acl(5)).
 */
#ifndef RF_CLI_SAFE_PATH_H
#define RF_CLI_SAFE_PATH_H

#include <limits.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#define RF_SAFE_LINKS 40 /* as many as Linux follows (include/linux/namei.h MAXSYMLINKS) */

/* Why not: the component, its owner and mode, and what is wrong with them. */
struct rf_why {
	char what[640];
	const char *todo;
};

struct rf_folder {
	int fd; /* O_PATH */
	uid_t owner;
	bool foreign; /* it is neither root's nor the caller's */
	bool made;    /* it was not there */
};
#define RF_FOLDER_NONE                                                                             \
	{                                                                                          \
		.fd = -1                                                                           \
	}

enum rf_way {
	RF_WAY_USE,    /* what is not there is an error */
	RF_WAY_MAKE,   /* folders that are missing are made, with mode 0700, and are on disk */
	RF_WAY_OTHERS, /* to read: from a folder of another user's on, all must be that user's,
			  no link is followed and no other file system entered */
	RF_WAY_READ,   /* the same, to read one file: a folder of root's or the caller's may be
			  writable by others, as a sticky one */
};

/*
 * Opens the folder at that path. 0 and *out, which the caller closes, or -errno and *why: -EPERM
 * where somebody else could lead the way.
 */
int rf_folder_open(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out);
/* The same of the folder that a path's last component stands in, and that component. */
int rf_folder_above(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out,
		    char name[NAME_MAX + 1]);
/* The same of the folder that a path leads to a file in: by links as well, where they may be
 * followed, also that in the last place. */
int rf_folder_of(const char *path, enum rf_way way, struct rf_why *why, struct rf_folder *out,
		 char name[NAME_MAX + 1]);
/* A folder in one that is open; never by a link. */
int rf_folder_enter(const struct rf_folder *in, const char *name, enum rf_way way,
		    struct rf_why *why, struct rf_folder *out);
void rf_folder_close(struct rf_folder *f);

/* Root, or the caller; or, in a user namespace, somebody who has no number there. */
bool rf_is_trusted(uid_t uid);
/* Who it is, and what is wrong: for what was opened, by its place. Returns err. */
int rf_why_of(struct rf_why *why, int err, int fd, const struct stat *st, const char *wrong,
	      const char *todo);
/* Of a name in a folder; the error says what is wrong. Returns err. */
int rf_why_errno(struct rf_why *why, int err, int folder, const char *name);
/* Where an open file is, "?" where that cannot be said. */
void rf_place_of(int fd, char out[PATH_MAX]);

#endif
