// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"

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

int rf_state_dial(const char *state_dir, const char *file, int type, int *out)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	/* A listener whose queue is full lets connect() wait; for a socket of this kind the send
	 * timeout ends that. */
	struct timeval limit = { .tv_sec = RF_CONTROL_TIMEOUT_MS / 1000 };
	char path[PATH_MAX];
	int fd, err;

	err = rf_path_join(state_dir, file, path);
	if (!err && strlen(path) >= sizeof(addr.sun_path))
		err = -ENAMETOOLONG;
	if (err)
		return err;
	strcpy(addr.sun_path, path);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)) < 0 ||
	    connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0) {
		err = errno == EAGAIN ? -ETIMEDOUT : -errno;
		close(fd);
		return err;
	}
	*out = fd;
	return 0;
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
		n = recv(fd, buf + len, size - len, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		len += (size_t)n;
		if (memchr(buf + len - n, '\n', (size_t)n)) {
			*out = len;
			return 0;
		}
	}
	return -EBADMSG;
}

int rf_control_ask_within(const char *state_dir, const char *cmd, int64_t ms, json_t **out)
{
	int64_t until = rf_now_ms() + ms;
	char request[128], *answer;
	size_t len = 0;
	json_t *o;
	int fd, err;

	err = rf_state_dial(state_dir, RF_FILE_CONTROL, SOCK_STREAM, &fd);
	if (err)
		return err;
	answer = malloc(RF_CONTROL_ANSWER_MAX);
	if (!answer) {
		close(fd);
		return -ENOMEM;
	}
	snprintf(request, sizeof(request), "{\"cmd\":\"%s\"}\n", cmd);
	if (send(fd, request, strlen(request), MSG_NOSIGNAL) != (ssize_t)strlen(request))
		err = -errno;
	if (!err)
		err = read_line(fd, until, answer, RF_CONTROL_ANSWER_MAX, &len);
	close(fd);
	if (!err) {
		o = json_loadb(answer, len, JSON_REJECT_DUPLICATES, NULL);
		if (json_is_object(o)) {
			*out = o;
		} else {
			json_decref(o);
			err = -EBADMSG;
		}
	}
	free(answer);
	return err;
}

int rf_control_ask(const char *state_dir, const char *cmd, json_t **out)
{
	return rf_control_ask_within(state_dir, cmd, RF_CONTROL_TIMEOUT_MS, out);
}

static int lock_held(const char *state_dir)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	char path[PATH_MAX];
	int fd, held = 0;

	if (rf_path_join(state_dir, RF_FILE_LOCK, path))
		return 0;
	fd = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return 0;
	/* Asking does not take it: a `run` that starts meanwhile is not disturbed. */
	if (fcntl(fd, F_OFD_GETLK, &lock) == 0)
		held = lock.l_type != F_UNLCK;
	close(fd);
	return held;
}

/* Any of the files that `run` makes: a folder without one was never a VM's. */
static bool is_state_dir(const char *state_dir)
{
	static const char *const files[] = { RF_FILE_LOCK, RF_FILE_VM, RF_FILE_CONTROL };
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!rf_path_join(state_dir, files[i], path) && lstat(path, &st) == 0)
			return true;
	return false;
}

int rf_vm_read(const char *state_dir, struct rf_vm *out)
{
	const char *text, *slash;
	char path[PATH_MAX];
	struct stat st;
	struct rf_vm vm = { 0 };
	json_t *o = NULL;

	if (strlen(state_dir) >= sizeof(vm.state_dir) || stat(state_dir, &st) < 0 ||
	    !S_ISDIR(st.st_mode))
		return -ENOENT;
	if (!is_state_dir(state_dir))
		return -ENODATA;
	strcpy(vm.state_dir, state_dir);
	slash = strrchr(state_dir, '/');
	rf_safe(vm.name, sizeof(vm.name), slash ? slash + 1 : state_dir);
	vm.alive = lock_held(state_dir);
	if (!rf_path_join(state_dir, RF_FILE_VM, path) && stat(path, &st) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size < 65536)
		o = json_load_file(path, 0, NULL);
	text = json_string_value(json_object_get(o, "name"));
	if (text && rf_name_valid(text))
		strcpy(vm.name, text);
	text = json_string_value(json_object_get(o, "audit"));
	if (text && strlen(text) < sizeof(vm.audit))
		strcpy(vm.audit, text);
	vm.vmm_pid = (int)json_integer_value(json_object_get(o, "vmm_pid"));
	vm.started = json_integer_value(json_object_get(o, "started"));
	vm.policy_known = rf_policy_origin_read(json_object_get(o, "policy"), &vm.policy);
	json_decref(o);
	*out = vm;
	return 0;
}

int rf_vm_find(const char *name, struct rf_vm *out)
{
	char dir[PATH_MAX];
	int err = rf_state_dir(name, dir);

	if (!err)
		err = rf_vm_read(dir, out);
	if (err == -ENODATA)
		return rf_fail(
			RF_EXIT_NOT_FOUND,
			"it has none of the files that `ringfence run` makes; it is left alone",
			"give a VM's name, or its state folder (see `ringfence list`)",
			"%s is not the state folder of a VM", dir);
	return err ? rf_fail(RF_EXIT_NOT_FOUND,
			     "no VM of that name has its state in the usual place of this user",
			     "see `ringfence list`; give the state folder of one that was started "
			     "with "
			     "--state",
			     "there is no VM %s", name)
		   : RF_EXIT_OK;
}

int rf_vm_operand(const struct rf_command *c, const struct rf_operands *operands, struct rf_vm *out)
{
	char todo[100];

	if (operands->count == 1)
		return rf_vm_find(operands->items[0], out);
	snprintf(todo, sizeof(todo), "see `ringfence %s --help`", c->name);
	return rf_fail(RF_EXIT_USAGE, "nothing was done", todo, "%s: needs the name of one VM",
		       c->name);
}

/* A folder of that name, as root's logs lie in, is no log. */
static bool is_file(const char *word)
{
	struct stat st;

	return !stat(word, &st) && !S_ISDIR(st.st_mode);
}

int rf_vm_log(const char *word, char out[PATH_MAX])
{
	char dir[PATH_MAX];
	struct rf_vm vm;

	if (strlen(word) >= PATH_MAX)
		return -ENAMETOOLONG;
	strcpy(out, word);
	if (!rf_state_dir(word, dir) && !rf_vm_read(dir, &vm)) {
		if (vm.audit[0])
			strcpy(out, vm.audit);
		else if (rf_path_join(dir, RF_FILE_AUDIT, out))
			return -ENAMETOOLONG;
		return 0;
	}
	if (strchr(word, '/') || is_file(word) || !rf_name_valid(word))
		return 0;
	return rf_audit_default(word, out);
}

/* Is its `ringfence run` gone? Nobody listens where that does. */
static bool run_is_gone(const struct rf_vm *vm)
{
	int fd, err = rf_state_dial(vm->state_dir, RF_FILE_RELOAD, SOCK_SEQPACKET, &fd);

	if (!err)
		close(fd);
	return err == -ECONNREFUSED || err == -ENOENT;
}

int rf_vm_silent(const struct rf_vm *vm, int err, const char *means)
{
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
		       "the monitor of %s does not answer: %s", vm->name, strerror(-err));
}

/* Asks until the monitor is done. 0 and *out, or -errno. */
static int ask_until_done(const char *state_dir, const char *cmd, json_t **out)
{
	static const struct timespec pause = { .tv_nsec = ASK_AGAIN_MS * 1000000 };
	int64_t until = rf_now_ms() + DONE_MS;
	unsigned int silent = 0;

	for (;;) {
		json_t *o, *done;
		int err = rf_control_ask(state_dir, cmd, &o);

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

int rf_vm_ask(const struct rf_command *c, const struct rf_operands *operands,
	      const struct rf_question *q, struct rf_vm *vm, json_t **out)
{
	char safe[256];
	const char *error;
	bool halted, unprotected;
	json_t *o;
	int code = rf_vm_operand(c, operands, vm), err;

	if (code != RF_EXIT_OK)
		return code;
	err = ask_until_done(vm->state_dir, q->cmd, &o);
	if (err)
		return rf_vm_silent(vm, err, q->unknown);
	error = json_string_value(json_object_get(o, "error"));
	if (!error) {
		*out = o;
		return RF_EXIT_OK;
	}
	rf_safe(safe, sizeof(safe), error);
	halted = json_is_true(json_object_get(o, "halted"));
	unprotected = json_is_true(json_object_get(o, "unprotected"));
	json_decref(o);
	return rf_fail(RF_EXIT_NO, q->nothing,
		       unprotected ? "nothing can be: this kernel is never sealed"
		       : halted	   ? RF_HALTED_TODO
				   : "wait until `ringfence status` says sealed",
		       halted ? "%s is halted, no vCPU runs: %s" : "%s: %s", vm->name, safe);
}
