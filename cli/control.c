// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/paths.h"

#define REQUEST_MAX 128
#define DONE_MS 60000 /* on a slow machine; a question takes about a tenth of a second */
#define ASK_AGAIN_MS 50
#define SILENCES 5 /* of RF_CONTROL_TIMEOUT_MS: a busy host, or a monitor that is started again */

static int wait_for(int fd, short events, int64_t until)
{
	int64_t left = until - rf_now_ms();
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	if (left <= 0)
		return -ETIMEDOUT;
	n = poll(&p, 1, (int)left);
	if (n < 0)
		return errno == EINTR ? 0 : -errno;
	return n ? 0 : -ETIMEDOUT;
}

/* Who listens there was given the socket by nobody but the kernel; a socket that lies in the folder
 * may be anybody's. */
static int check_peer(const struct rf_vm *vm, int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -errno;
	return peer.uid == vm->folder.owner ? 0 : -EPERM;
}

int rf_state_dial(const struct rf_vm *vm, const char *file, int type, int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	/* A listener whose queue is full lets connect() wait; for a socket of this kind the send
	 * timeout ends that. */
	struct timeval limit = { .tv_sec = RF_CONTROL_TIMEOUT_MS / 1000 };
	int fd, err = 0;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", vm->folder.fd,
		     file) >= (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	rf_refuse_descriptors(fd);
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	err = check_peer(vm, fd);
	if (!err) {
		*out = fd;
		return 0;
	}
	rf_let_go(fd);
	return err;
}

static int read_line(int fd, int64_t until, char *buf, size_t size, size_t *out)
{
	size_t len = 0;
	ssize_t n;
	int err;

	while (len < size) {
		err = wait_for(fd, POLLIN, until);
		if (err)
			return err;
		n = rf_take(fd, buf + len, size - len);
		if (n == -EINTR || n == -EAGAIN)
			continue;
		if (n == 0 || n == -EBADF)
			return -EBADMSG;
		if (n < 0)
			return (int)n;
		len += (size_t)n;
		if (memchr(buf + len - n, '\n', (size_t)n)) {
			*out = len;
			return 0;
		}
	}
	return -EBADMSG;
}

/* What its monitor answers to a line, a line of *len bytes, to a buffer of RF_CONTROL_ANSWER_MAX.
 */
static int ask(const struct rf_vm *vm, const char *request, int64_t until, char *answer,
	       size_t *len)
{
	int fd, err = rf_state_dial(vm, RF_FILE_CONTROL, SOCK_STREAM, &fd);

	if (err)
		return err;
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		err = -errno;
	if (!err)
		err = read_line(fd, until, answer, RF_CONTROL_ANSWER_MAX, len);
	rf_let_go(fd);
	return err;
}

static int request_within(const struct rf_vm *vm, const char *request, int64_t ms, json_t **out)
{
	int64_t until = rf_now_ms() + ms;
	char *answer = malloc(RF_CONTROL_ANSWER_MAX);
	size_t len = 0;
	int err = -ENOMEM;
	json_t *o;

	if (answer)
		err = ask(vm, request, until, answer, &len);
	if (!err) {
		o = json_loadb(answer, len, JSON_REJECT_DUPLICATES, NULL);
		*out = json_is_object(o) ? rf_safe_json(o) : NULL;
		err = *out ? 0 : -EBADMSG;
		json_decref(o);
	}
	free(answer);
	return err;
}

static const char *command(const char *cmd, char out[REQUEST_MAX])
{
	snprintf(out, REQUEST_MAX, "{\"cmd\":\"%s\"}\n", cmd);
	return out;
}

int rf_control_ask_within(const struct rf_vm *vm, const char *cmd, int64_t ms, json_t **out)
{
	char request[REQUEST_MAX];

	return request_within(vm, command(cmd, request), ms, out);
}

int rf_control_ask(const struct rf_vm *vm, const char *cmd, json_t **out)
{
	return rf_control_ask_within(vm, cmd, RF_CONTROL_TIMEOUT_MS, out);
}

/* Is its `ringfence run` gone? Nobody listens where that does. */
static bool run_is_gone(const struct rf_vm *vm)
{
	int fd, err = rf_state_dial(vm, RF_FILE_RELOAD, SOCK_SEQPACKET, &fd);

	if (!err)
		rf_let_go(fd);
	return err == -ECONNREFUSED || err == -ENOENT;
}

int rf_vm_silent(const struct rf_vm *vm, int err, const char *means)
{
	if (err == -EPERM)
		return rf_fail(RF_EXIT_NO_ANSWER, "what it says would be somebody else's word",
			       "start the VM again, and see who may write to that folder",
			       "what listens in %s is not its owner's: it is not asked",
			       vm->state_dir);
	if (!vm->alive)
		return rf_fail(RF_EXIT_NOT_FOUND, "its VMM is gone; only its state folder is left",
			       "start a VM of that name again, or remove " RF_FILE_LOCK
			       ", " RF_FILE_VM " and the sockets from that folder",
			       "VM %s is dead (%s)", vm->name, vm->state_dir);
	if (run_is_gone(vm))
		return rf_fail(RF_EXIT_NO_ANSWER, means,
			       "start it again once its monitor has written its last record; where "
			       "that does not end, kill it",
			       "`ringfence run` of %s is gone, and its VM ended with it", vm->name);
	return rf_fail(RF_EXIT_NO_ANSWER, means,
		       "look at what `ringfence run` prints: it starts a dead monitor again",
		       err == -EBADMSG ? "the answers of %s's monitor make no sense: %s"
				       : "the monitor of %s does not answer: %s",
		       vm->name, strerror(-err));
}

/* Asks until the monitor is done. 0 and *out, or -errno. */
static int ask_until_done(const struct rf_vm *vm, const char *request, json_t **out)
{
	static const struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000 };
	int64_t until = rf_now_ms() + DONE_MS;
	unsigned int silent = 0;

	for (;;) {
		json_t *o, *done;
		int err = request_within(vm, request, RF_CONTROL_TIMEOUT_MS, &o);

		if (err == -ETIMEDOUT && ++silent < SILENCES)
			continue;
		if (err)
			return err;
		done = json_object_get(o, "done");
		if (json_is_true(done) || json_is_string(json_object_get(o, "error"))) {
			*out = o;
			return 0;
		}
		err = json_is_false(done) ? -ETIMEDOUT : -EBADMSG;
		json_decref(o);
		if (err == -EBADMSG || rf_now_ms() > until)
			return err;
		nanosleep(&pause, NULL);
	}
}

int rf_control_memory(const struct rf_vm *vm, uint64_t at, unsigned int pages, json_t **out)
{
	char request[REQUEST_MAX];

	snprintf(request, sizeof(request), "{\"cmd\":\"memory\",\"at\":%llu,\"pages\":%u}\n",
		 (unsigned long long)at, pages);
	return ask_until_done(vm, request, out);
}

int rf_vm_answer(const struct rf_vm *vm, const struct rf_question *q, int err, json_t *o)
{
	const char *error = err ? NULL : json_string_value(json_object_get(o, "error"));
	bool halted, unprotected;
	char safe[256];

	if (err)
		return rf_vm_silent(vm, err, q->unknown);
	if (!error)
		return RF_EXIT_OK;
	rf_safe(safe, sizeof(safe), error);
	halted = json_is_true(json_object_get(o, "halted"));
	unprotected = json_is_true(json_object_get(o, "unprotected"));
	return rf_fail(RF_EXIT_NO, q->nothing,
		       unprotected ? "nothing can be: this kernel is never sealed"
		       : halted	   ? RF_HALTED_TODO
				   : "wait until `ringfence status` says sealed",
		       halted ? "%s is halted, no vCPU runs: %s" : "%s: %s", vm->name, safe);
}

int rf_vm_ask(const struct rf_command *c, const struct rf_operands *operands,
	      const struct rf_question *q, struct rf_vm *vm, json_t **out)
{
	char request[REQUEST_MAX];
	json_t *o = NULL;
	int code = rf_vm_operand(c, operands, vm), err;

	if (code != RF_EXIT_OK)
		return code;
	err = ask_until_done(vm, command(q->cmd, request), &o);
	code = rf_vm_answer(vm, q, err, o);
	if (code == RF_EXIT_OK)
		*out = o;
	else
		json_decref(o);
	return code;
}
