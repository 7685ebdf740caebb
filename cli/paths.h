/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where things lie: the state of running VMs, their logs, the fence and the monitor. */
#ifndef RF_CLI_PATHS_H
#define RF_CLI_PATHS_H

#include <limits.h>

#include "policy/name.h"

#define RF_RUNTIME_DIRS "/run/user"
#define RF_TMP_BASE "/tmp/ringfence-" /* and the user's number */

/*
 * Folder that holds one folder per running VM: /run/ringfence for root; else
 * $XDG_RUNTIME_DIR/ringfence; without that /run/user/UID/ringfence where /run/user/UID is this
 * user's, and where nobody has logged in /tmp/ringfence-UID. Whose it is says who opens it
 * (cli/safe_path.h). 0 or -ENAMETOOLONG.
 */
int rf_state_base(char out[PATH_MAX]);
/* State folder of a VM given by name, or by the folder itself when the word has a '/'. */
int rf_state_dir(const char *name, char out[PATH_MAX]);

/* State files, relative to the state folder. */
#define RF_FILE_CONTROL "control.sock"
#define RF_FILE_RELOAD "reload.sock"
#define RF_FILE_LOCK                                                                               \
	"lock" /* locked by `run` and by its monitors, so for as long as either lives */
#define RF_FILE_VM "vm.json"
#define RF_FILE_AUDIT "audit.jsonl" /* for users other than root, unless --audit says otherwise */

/* Where the log of a VM of that name lies, or lay: root's is /var/log/ringfence/NAME/audit.jsonl,
 * another user's in the state folder. */
int rf_audit_default(const char *name, char out[PATH_MAX]);

/*
 * The log of allowed patches that belongs to an audit log: its name with ".patches" for ".jsonl",
 * or behind it; of one that was rotated, "audit.jsonl.1", "audit.patches.1"; of a log of patches
 * itself. 0 or -ENAMETOOLONG.
 */
int rf_patches_path(const char *audit, char out[PATH_MAX]);

/* a, "/" and b in out: 0 or -ENAMETOOLONG. */
int rf_path_join(const char *a, const char *b, char out[PATH_MAX]);

/*
 * The fence: $RINGFENCE_LIB, else beside this executable, else /usr/lib/ringfence. 0 with an
 * absolute path, or the -errno of the last try. What is found must be a file that can be read;
 * whether it loads is another question.
 */
int rf_find_library(char out[PATH_MAX]);
/* ringfence-monitor: beside this executable, else in $PATH, else /usr/bin. */
int rf_find_monitor(char out[PATH_MAX]);
/*
 * A policy that comes with ringfence, by its name: in policy/ beside this executable (where it was
 * built), else in ../share/ringfence/policy, else in /usr/share/ringfence/policy. 0, -ENOENT, or
 * another -errno.
 */
int rf_find_profile(const char *name, char out[PATH_MAX]);
/* A program as execvp(3) would find it. 0, -ENOENT, -EACCES (found, but not an executable file). */
int rf_find_program(const char *name, char out[PATH_MAX]);

#endif
