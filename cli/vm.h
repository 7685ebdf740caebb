/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The VMs there are, by their state folders. Root is asked about other users' too: such a folder is
 * reached as RF_WAY_OTHERS says, and what is in it is that user's word, read within bounds.
 */
#ifndef RF_CLI_VM_H
#define RF_CLI_VM_H

#include <limits.h>

#include "cli/audit_log.h"
#include "cli/command.h"
#include "cli/options.h"
#include "cli/policy_file.h"
#include "cli/safe_path.h"

/* What stands in the state folder of a VM. */
struct rf_vm {
	struct rf_folder folder; /* open: all that is asked of the VM is asked in it */
	char state_dir[PATH_MAX], name[256], audit[PATH_MAX];
	int vmm_pid;	   /* 0 not known */
	long long started; /* seconds since 1970, 0 not known */
	bool policy_known; /* false: `run` was of a release that did not say */
	struct rf_policy_origin policy;
	int alive; /* 1: its lock is held by `run` or the VMM; 0: it was left behind */
};

/*
 * Reads vm.json and tries the lock. A folder with no more than one of a VM's files is a dead VM
 * named after the folder. 0 (the caller closes it), -ENOENT (no folder), -ENODATA (a folder, but
 * with none of a VM's files: it is somebody else's), -EPERM (somebody could lead the way), or
 * another -errno, and *why.
 */
int rf_vm_read(const char *state_dir, struct rf_why *why, struct rf_vm *out);
/* The same of a folder in one that is open, whose path is base. */
int rf_vm_read_in(const struct rf_folder *in, const char *base, const char *name,
		  struct rf_why *why, struct rf_vm *out);
void rf_vm_close(struct rf_vm *vm);
/* What a vm.json says, into *vm; what makes no sense is left as it is. */
void rf_vm_parse(const char *text, size_t len, struct rf_vm *vm);

/* "alice", or the number of a user that has no name; returns out. */
#define RF_USER_TEXT 64
const char *rf_user_text(uid_t uid, char out[RF_USER_TEXT]);

/*
 * The log that a word means, and whose it is to be: a name, of a VM of this user's that runs, of
 * one that has ended, or at last of a file here; a path, of a log or of a state folder. Each is
 * reached as rf_path_read_only() and rf_vm_read() say; who opens it later does so by
 * rf_path_read_of(). RF_EXIT_OK, where another user's is told to be his; or the exit code of the
 * error that was printed: too long a path; what somebody else could lead elsewhere; a name in the
 * place of which another user has something; a VM of another user's, who names a log that is not
 * his.
 */
int rf_vm_log(const char *word, char out[PATH_MAX], uid_t *owner);
/* The same of an open VM, opened. 0 or -errno; *l has path. */
int rf_vm_log_open(const struct rf_vm *vm, char path[PATH_MAX], struct rf_log *l);

/* For a command about one VM, by name or state folder: RF_EXIT_OK, or the exit code of the error
 * that was printed. It is open until the process ends. */
int rf_vm_find(const char *name, struct rf_vm *out);
/* The same of a command's only operand. */
int rf_vm_operand(const struct rf_command *c, const struct rf_operands *operands,
		  struct rf_vm *out);

#endif
