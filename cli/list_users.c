// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/list_users.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/paths.h"

#define ENTRIES 65536 /* of a folder in which anybody may put them */

struct users {
	uid_t *items;
	size_t count, max;
};

static void add(struct users *u, uid_t uid)
{
	size_t at = u->count;

	if (uid == 0 || uid == geteuid())
		return;
	while (at && u->items[at - 1] > uid)
		at--;
	if ((at && u->items[at - 1] == uid) || at == u->max)
		return;
	if (u->count < u->max)
		u->count++;
	memmove(u->items + at + 1, u->items + at, (u->count - at - 1) * sizeof(*u->items));
	u->items[at] = uid;
}

/* "ringfence-1000" with its prefix: 1000. */
static bool number_of(const char *name, const char *prefix, unsigned long *out)
{
	size_t len = strlen(prefix);
	char *end;

	if (strncmp(name, prefix, len) != 0 || !isdigit((unsigned char)name[len]))
		return false;
	*out = strtoul(name + len, &end, 10);
	return !*end;
}

/* The owners of the folders that have such a name; by_name: if the number in it is theirs. */
static void scan(struct users *u, const char *folder, const char *prefix, bool by_name)
{
	DIR *d = opendir(folder);
	unsigned long number;
	struct dirent *e;
	struct stat st;

	for (int i = 0; d && i < ENTRIES && (e = readdir(d)); i++)
		if (number_of(e->d_name, prefix, &number) &&
		    !fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) &&
		    S_ISDIR(st.st_mode) && (!by_name || number == st.st_uid))
			add(u, st.st_uid);
	if (d)
		closedir(d);
}

size_t rf_users_find(uid_t *out, size_t max)
{
	struct users u = { out, 0, max };

	scan(&u, RF_RUNTIME_DIRS, "", true);
	scan(&u, "/tmp", strrchr(RF_TMP_BASE, '/') + 1, true);
	/* Whoever fills /tmp with names hides none of those. */
	scan(&u, "/proc", "", false);
	return u.count;
}

int rf_users_base(uid_t uid, unsigned int which, char path[PATH_MAX], struct rf_folder *out)
{
	struct rf_folder f;
	struct rf_why why;
	int err;

	snprintf(path, PATH_MAX, which ? RF_TMP_BASE "%u" : RF_RUNTIME_DIRS "/%u/ringfence", uid);
	err = rf_folder_open(path, RF_WAY_OTHERS, &why, &f);
	if (!err && f.owner != uid) {
		rf_folder_close(&f);
		err = -EPERM;
	}
	if (!err)
		*out = f;
	return err;
}
