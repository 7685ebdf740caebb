/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Asking a VM's monitor, and its `ringfence run`. */
#ifndef RF_CLI_CONTROL_H
#define RF_CLI_CONTROL_H

#include <stdint.h>

#include <jansson.h>

#include "cli/vm.h"

#define RF_CONTROL_TIMEOUT_MS 2000
#define RF_CONTROL_ANSWER_MAX (1u << 20) /* bytes */

/*
 * Sends {"cmd":cmd} to the VM's monitor and reads its answer, one JSON object on one
 * line; the caller drops the reference. 0, -ENOENT and -ECONNREFUSED (nobody listens), -ETIMEDOUT,
 * -EBADMSG (not an object, too long, cut off), -EPERM (who listens is not the folder's owner), or
 * another -errno.
 */
int rf_control_ask(const struct rf_vm *vm, const char *cmd, json_t **out);
/* The same, of what may take longer than RF_CONTROL_TIMEOUT_MS. */
int rf_control_ask_within(const struct rf_vm *vm, const char *cmd, int64_t ms, json_t **out);

/* Pages of a sealed guest's memory, from guest-physical `at` on, as struct rf_asked of
 * monitor/pair.h (0 from 0 on: its map of memory): asked until it is answered. 0 and the answer,
 * which may be an "error", or -errno as above. */
int rf_control_memory(const struct rf_vm *vm, uint64_t at, unsigned int pages, json_t **out);

/* Connects to one of a state folder's sockets, of that type; sending waits no longer than
 * RF_CONTROL_TIMEOUT_MS. 0 and *out (the caller closes it), or -errno as above. */
int rf_state_dial(const struct rf_vm *vm, const char *file, int type, int *out);

/* Why its monitor gave no answer; means is for a VM that lives. Prints it, returns the exit
 * code. */
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

/* What an answer, or an error in its place, comes to: RF_EXIT_OK, or the exit code of the error
 * that was printed. */
int rf_vm_answer(const struct rf_vm *vm, const struct rf_question *q, int err, json_t *o);

/*
 * Asks it of the one VM among the operands, until it is answered. RF_EXIT_OK with *out (the caller
 * drops the reference) and *vm, or the exit code of the error that was printed.
 */
int rf_vm_ask(const struct rf_command *c, const struct rf_operands *operands,
	      const struct rf_question *q, struct rf_vm *vm, json_t **out);

#endif
