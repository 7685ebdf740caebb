// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * `stop`: ends a VM as SIGTERM to its `ringfence run` does. Who that is comes from the kernel, of
 * the socket on which it listens: a number in a file may be another process by now.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/control.h"
#include "cli/exit.h"
#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/paths.h"

#define WAIT_SECONDS 30

/*
 * Whoever listened may have left the socket to a child and ended, and his number may be another
 * process's by now: it is signalled only if it is a process of the folder's owner. Of one that may
 * be dumped /proc/PID is its user's (proc(5)), and `run` is one.
 */
static int check_owner(const struct rf_vm *vm, pid_t pid, int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	char path[32];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d", (int)pid);
	if (stat(path, &st))
		return -ESRCH;
	/* It has not ended, so it was its /proc/PID. */
	if (poll(&p, 1, 0))
		return -ESRCH;
	return st.st_uid == vm->folder.owner ? 0 : -EPERM;
}

/* A descriptor of the `run` that listens in the state folder, or -errno; -ECONNREFUSED or -ENOENT:
 * nobody does. */
static int run_of(const struct rf_vm *vm)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct pollfd p = { .events = POLLRDHUP };
	int pidfd, err = rf_state_dial(vm, RF_FILE_RELOAD, SOCK_SEQPACKET, &p.fd);

	if (err)
		return err;
	pidfd = getsockopt(p.fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)
			? -1
			: (int)syscall(SYS_pidfd_open, peer.pid, 0);
	err = pidfd < 0 ? -errno : 0;
	/* As long as it has not hung up the number was still its own when it was opened. */
	if (!err && poll(&p, 1, 0) && p.revents)
		err = -ECONNREFUSED;
	if (!err)
		err = check_owner(vm, peer.pid, pidfd);
	rf_let_go(p.fd);
	if (!err)
		return pidfd;
	if (pidfd >= 0)
		close(pidfd);
	return err;
}

static int not_stopped(const struct rf_vm *vm, int err)
{
	if (!vm->alive || err == -EPERM)
		return rf_vm_silent(vm, err, "");
	if (err == -ECONNREFUSED || err == -ENOENT || err == -ESRCH)
		return rf_fail(RF_EXIT_NO_ANSWER, "nothing was done",
			       "end its VMM by its own means (`ringfence list` has its process)",
			       "the `ringfence run` of %s is gone, or of an older release",
			       vm->name);
	return rf_fail(RF_EXIT_NO_ANSWER, "nothing was done",
		       "ask the user who has started it, or root", "%s cannot be stopped: %s",
		       vm->name, strerror(-err));
}

static int stop(int argc, char **argv)
{
	uint32_t seconds = WAIT_SECONDS;
	struct rf_operands operands;
	struct pollfd gone = { .events = POLLIN };
	struct rf_vm vm;
	int code;

	const struct rf_option options[] = {
		{ "wait", 'w', RF_OPTION_NUMBER, &seconds, 0, 3600 },
		{ 0 },
	};
	code = rf_options(&rf_command_stop, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	code = rf_vm_operand(&rf_command_stop, &operands, &vm);
	if (code != RF_EXIT_OK)
		return code;
	gone.fd = run_of(&vm);
	if (gone.fd < 0)
		return not_stopped(&vm, gone.fd);
	if (syscall(SYS_pidfd_send_signal, gone.fd, SIGTERM, NULL, 0) && errno != ESRCH) {
		code = not_stopped(&vm, -errno);
	} else if (poll(&gone, 1, (int)seconds * 1000) <= 0) {
		code = rf_fail(RF_EXIT_NO_ANSWER,
			       "it was asked to end, and runs on, protected as before",
			       "wait, or end it with `kill -KILL` (`ringfence list` has its "
			       "process)",
			       "the VMM of %s has not ended within %u s", vm.name, seconds);
	} else {
		printf("%s: stopped\n", vm.name);
		code = rf_flush();
	}
	close(gone.fd);
	return code;
}

const struct rf_command rf_command_stop = {
	.name = "stop",
	.usage = "[--wait SECONDS] NAME|STATE-FOLDER",
	.summary = "End a VM, as SIGTERM to its `ringfence run` does",
	.help = "  -w, --wait SECONDS   for its end, 0 to 3600 (default: 30)\n",
	.run = stop,
};
