// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/paths.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Where it is installed: the Makefile's, or those of a test. */
#ifndef RF_BINDIR
#define RF_BINDIR "/usr/bin"
#define RF_LIBDIR "/usr/lib/ringfence"
#define RF_DATADIR "/usr/share/ringfence"
#endif

/* The last place in a file's name where this ending stands, before what a rotation puts behind it;
 * NULL: it has none. */
static const char *ending_of(const char *path, const char *ending)
{
	const char *base = strrchr(path, '/'), *last = NULL;
	size_t len = strlen(ending);

	for (const char *at = base ? base : path; (at = strstr(at, ending)); at++)
		if (strchr(".-", at[len])) /* or the end */
			last = at;
	return last;
}

int rf_patches_path(const char *audit, char out[PATH_MAX])
{
	static const char log[] = ".jsonl", patches[] = ".patches";
	const char *at = ending_of(audit, log), *rest = at ? at + strlen(log) : "";
	int len;

	if (ending_of(audit, patches))
		len = snprintf(out, PATH_MAX, "%s", audit);
	else
		len = snprintf(out, PATH_MAX, "%.*s%s%s", (int)(at ? at - audit : PATH_MAX), audit,
			       patches, rest);
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

int rf_path_join(const char *a, const char *b, char out[PATH_MAX])
{
	size_t head = strlen(a), tail = strlen(b);

	if (head + 1 + tail >= PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(out, a, head);
	out[head] = '/';
	memcpy(out + head + 1, b, tail + 1);
	return 0;
}

/* pam_systemd(8) makes it when a user logs in. */
static bool has_runtime_dir(const char *path)
{
	struct stat st;

	return !lstat(path, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid();
}

int rf_state_base(char out[PATH_MAX])
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	char of_user[sizeof(RF_RUNTIME_DIRS) + 16];

	if (geteuid() == 0)
		return rf_path_join("/run", "ringfence", out);
	if (runtime && runtime[0] == '/')
		return rf_path_join(runtime, "ringfence", out);
	snprintf(of_user, sizeof(of_user), RF_RUNTIME_DIRS "/%u", geteuid());
	if (has_runtime_dir(of_user))
		return rf_path_join(of_user, "ringfence", out);
	snprintf(out, PATH_MAX, RF_TMP_BASE "%u", geteuid());
	return 0;
}

int rf_state_dir(const char *name, char out[PATH_MAX])
{
	char base[PATH_MAX];
	int err;

	if (strchr(name, '/')) {
		if (strlen(name) >= PATH_MAX)
			return -ENAMETOOLONG;
		strcpy(out, name);
		return 0;
	}
	if (!rf_name_valid(name))
		return -EINVAL;
	err = rf_state_base(base);
	return err ? err : rf_path_join(base, name, out);
}

int rf_audit_default(const char *name, char out[PATH_MAX])
{
	char dir[PATH_MAX];
	int err = geteuid() == 0 ? rf_path_join("/var/log/ringfence", name, dir)
				 : rf_state_dir(name, dir);

	return err ? err : rf_path_join(dir, RF_FILE_AUDIT, out);
}

static int usable(const char *path, int mode)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || access(path, mode) < 0)
		return -EACCES;
	return 0;
}

static int beside_executable(const char *file, char out[PATH_MAX])
{
	char exe[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n < 0)
		return -errno;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash)
		return -ENOENT;
	*slash = '\0';
	return rf_path_join(exe, file, out);
}

int rf_find_profile(const char *name, char out[PATH_MAX])
{
	static const char *const beside[] = { "policy", "../share/ringfence/policy" };
	char file[RF_NAME_MAX + sizeof(".yaml")], tail[PATH_MAX], path[PATH_MAX];
	int err = -ENOENT;

	if (!rf_name_valid(name))
		return -ENOENT;
	snprintf(file, sizeof(file), "%s.yaml", name);
	for (size_t i = 0; err && i < sizeof(beside) / sizeof(beside[0]); i++) {
		err = rf_path_join(beside[i], file, tail);
		if (!err)
			err = beside_executable(tail, path);
		if (!err)
			err = usable(path, R_OK);
	}
	if (err && !rf_path_join(RF_DATADIR "/policy", file, path))
		err = usable(path, R_OK);
	if (!err && !realpath(path, out))
		err = -errno;
	return err;
}

int rf_find_library(char out[PATH_MAX])
{
	const char *given = getenv("RINGFENCE_LIB");
	char path[PATH_MAX];
	int err;

	if (given) {
		/* The VMM may start in another folder than the one this was written for. */
		if (!realpath(given, path))
			return -errno;
		err = usable(path, R_OK);
	} else {
		err = beside_executable("libringfence.so", path);
		if (!err)
			err = usable(path, R_OK);
		if (err) {
			strcpy(path, RF_LIBDIR "/libringfence.so");
			err = usable(path, R_OK);
		}
	}
	if (!err)
		strcpy(out, path);
	return err;
}

int rf_find_program(const char *name, char out[PATH_MAX])
{
	const char *dirs = getenv("PATH");
	int found = -ENOENT;

	if (strchr(name, '/')) {
		int err = strlen(name) < PATH_MAX ? usable(name, X_OK) : -ENAMETOOLONG;

		if (!err)
			strcpy(out, name);
		return err == -ENOTDIR ? -ENOENT : err;
	}
	if (!dirs)
		dirs = "/usr/bin:/bin";
	while (*name) {
		size_t len = strcspn(dirs, ":");
		char dir[PATH_MAX], path[PATH_MAX];

		if (len < sizeof(dir)) {
			int err;

			snprintf(dir, sizeof(dir), "%.*s", len ? (int)len : 1, len ? dirs : ".");
			err = rf_path_join(dir, name, path);
			if (!err)
				err = usable(path, X_OK);
			if (!err) {
				strcpy(out, path);
				return 0;
			}
			if (err == -EACCES)
				found = -EACCES;
		}
		if (!dirs[len])
			break;
		dirs += len + 1;
	}
	return found;
}

int rf_find_monitor(char out[PATH_MAX])
{
	char path[PATH_MAX];
	int err = beside_executable("ringfence-monitor", path);

	if (!err)
		err = usable(path, X_OK);
	if (err)
		err = rf_find_program("ringfence-monitor", path);
	if (err) {
		strcpy(path, RF_BINDIR "/ringfence-monitor");
		err = usable(path, X_OK);
	}
	if (!err)
		strcpy(out, path);
	return err;
}
