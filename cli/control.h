/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking a VM's monitor, and finding the VMs there are. */
#ifndef RF_CLI_CONTROL_H
#define RF_CLI_CONTROL_H

#include <limits.h>

#include <jansson.h>

#include "cli/command.h"
#include "cli/options.h"
#include "cli/policy_file.h"

#define RF_CONTROL_TIMEOUT_MS 2000
#define RF_CONTROL_ANSWER_MAX (1u << 20) /* bytes */

/*
 * Sends {"cmd":cmd} to the monitor behind state_dir and reads its answer, one JSON object on one
 * line; the caller drops the reference. 0, -ENOENT and -ECONNREFUSED (nobody listens), -ETIMEDOUT,
 * -EBADMSG (not an object, too long, cut off), or another -errno.
 */
int rf_control_ask(const char *state_dir, const char *cmd, json_t **out);
/* The same, of what may take longer than RF_CONTROL_TIMEOUT_MS. */
int rf_control_ask_within(const char *state_dir, const char *cmd, int64_t ms, json_t **out);

/* Connects to one of a state folder's sockets, of that type; sending waits no longer than
 * RF_CONTROL_TIMEOUT_MS. 0 and *out (the caller closes it), or -errno as above. */
int rf_state_dial(const char *state_dir, const char *file, int type, int *out);

/* What stands in the state folder of a VM. */
struct rf_vm {
	char state_dir[PATH_MAX], name[256], audit[PATH_MAX];
	int vmm_pid;	   /* 0 not known */
	long long started; /* seconds since 1970, 0 not known */
	bool policy_known; /* false: `run` was of a release that did not say */
	struct rf_policy_origin policy;
	int alive; /* 1: its lock is held by `run` or the VMM; 0: it was left behind */
};

/*
 * Reads vm.json and tries the lock. A folder with no more than one of a VM's files is a dead VM
 * named after the folder. 0, -ENOENT (no folder), -ENODATA (a folder, but with none of a VM's
 * files: it is somebody else's).
 */
int rf_vm_read(const char *state_dir, struct rf_vm *out);

/*
 * The log that a word means: a path when it has a '/' or is a file here; else the log of a running
 * VM, or root's log of an ended one. 0 or -ENAMETOOLONG.
 */
int rf_vm_log(const char *word, char out[PATH_MAX]);

/* For a command about one VM, by name or state folder: RF_EXIT_OK, or the exit code of the error
 * that was printed. */
int rf_vm_find(const char *name, struct rf_vm *out);
/* The same of a command's only operand. */
int rf_vm_operand(const struct rf_command *c, const struct rf_operands *operands,
		  struct rf_vm *out);
/* Why its monitor gave no answer; means is for a VM that lives. Prints it, returns the exit code.
 */
int rf_vm_silent(const struct rf_vm *vm, int err, const char *means);

/* What a user can do about a VM that is halted. */
#define RF_HALTED_TODO                                                                             \
	"reset the guest in its VMM (system_reset), load another state, or load this one into a "  \
	"new VM"

/* A question that the monitor answers with {"done":false} until it is done, or with {"error"}. */
struct rf_question {
	const char *cmd;
	const char *nothing; /* what an error means: "there is nothing to measure" */
	const char *unknown; /* what silence means for a VM that lives */
};

/*
 * Asks it of the one VM among the operands, until it is answered. RF_EXIT_OK with *out (the caller
 * drops the reference) and *vm, or the exit code of the error that was printed.
 */
int rf_vm_ask(const struct rf_command *c, const struct rf_operands *operands,
	      const struct rf_question *q, struct rf_vm *vm, json_t **out);

#endif
