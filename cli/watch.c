// SPDX-License-Identifier: LGPL-2.1-or-later
/* `watch`: the control-register watch for VMMs that root did not start, until it is ended. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/watch_link.h"
#include "cli/watch_serve.h"

#define PER_USER 64

/* A folder of root's alone, in which others may look for the socket: made 0755, and closed if it is
 * anything else. The descriptor is the lock: one service listens there. */
static int open_folder(const char *path)
{
	struct stat st;
	int fd;

	if (mkdir(path, 0755) && errno != EEXIST)
		return -errno;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || st.st_uid || st.st_mode & 022) {
		close(fd);
		return -EPERM;
	}
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		close(fd);
		return -EBUSY;
	}
	return fd;
}

/* Mode 0660 and the group's that may use KVM: who may not has no VM to be watched. */
static int let_in(const char *path, const char *group)
{
	const struct group *g = getgrnam(group);

	if (!g)
		return -ENOENT;
	return chown(path, 0, g->gr_gid) || chmod(path, 0660) ? -errno : 0;
}

static int listen_at(const char *path, const char *group, int *folder)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	char above[sizeof(at.sun_path)], *slash;
	int fd, err = 0;

	if (path[0] != '/' ||
	    snprintf(at.sun_path, sizeof(at.sun_path), "%s", path) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	strcpy(above, path);
	slash = strrchr(above, '/');
	if (slash == above)
		return -EINVAL;
	*slash = '\0';
	*folder = open_folder(above);
	if (*folder < 0)
		return *folder;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	umask(0177);  /* nobody's until let_in() */
	unlink(path); /* of one before; the lock says that it is gone */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)))
		err = -errno;
	if (!err)
		err = let_in(path, group);
	if (!err && listen(fd, 64))
		err = -errno;
	if (!err)
		return fd;
	close(fd);
	return err;
}

static int open_signals(void)
{
	sigset_t mask;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	return signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int serve(const char *kvm, int listener, uint32_t per_user)
{
	static struct rf_watch_service s;
	struct signalfd_siginfo signal;
	int stop = open_signals(), err;

	if (stop < 0)
		return rf_fail(RF_EXIT_INTERNAL, "nobody is served", "free some descriptors",
			       "cannot watch for signals: %s", strerror(errno));
	err = rf_watch_service_init(&s, kvm, listener, per_user);
	if (err) {
		close(stop);
		return rf_fail(RF_EXIT_NO, "nobody is served", "see `ringfence doctor`",
			       "the host's control-register watch cannot be used: %s", s.why);
	}
	rf_say("watch: serves VMMs of other users than root, %u for each", per_user);
	while (read(stop, &signal, sizeof(signal)) != (ssize_t)sizeof(signal))
		rf_watch_service_step(&s, stop);
	rf_watch_service_deinit(&s);
	close(stop);
	return RF_EXIT_OK;
}

static int watch(int argc, char **argv)
{
	const char *path = RF_WATCH_SOCKET, *group = "kvm", *kvm = "/dev/kvm";
	struct rlimit files = { .rlim_cur = 64 + 4 * RF_WATCH_CLIENTS,
				.rlim_max = 64 + 4 * RF_WATCH_CLIENTS };
	uint32_t per_user = PER_USER;
	struct rf_operands operands;
	int code, listener, folder = -1;

	const struct rf_option options[] = {
		{ "socket", 0, RF_OPTION_TEXT, &path, 0, 0 },
		{ "group", 0, RF_OPTION_TEXT, &group, 0, 0 },
		{ "per-user", 0, RF_OPTION_NUMBER, &per_user, 1, RF_WATCH_CLIENTS },
		{ "kvm", 0, RF_OPTION_TEXT, &kvm, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_watch, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count)
		return rf_fail(RF_EXIT_USAGE, "nobody is served", "see `ringfence watch --help`",
			       "watch: takes no \"%s\"", operands.items[0]);
	if (geteuid())
		return rf_fail(RF_EXIT_NO, "nobody is served", "start it as root",
			       "watch: only root may load the host's control-register watch");
	setrlimit(RLIMIT_NOFILE, &files);
	listener = listen_at(path, group, &folder);
	if (listener < 0) {
		code = rf_fail(
			RF_EXIT_NO, "nobody is served",
			listener == -EBUSY
				? "end the one that runs"
				: "give --group a group that is there, whose members may use "
				  "KVM, and --socket a place in a folder of root's alone",
			"watch: cannot listen at %s for group %s: %s", path, group,
			strerror(-listener));
	} else {
		code = serve(kvm, listener, per_user);
		unlink(path);
		close(listener);
	}
	if (folder >= 0)
		close(folder);
	return code;
}

const struct rf_command rf_command_watch = {
	.name = "watch",
	.usage = "[OPTIONS]",
	.summary = "Watch CR0 and CR4 for VMMs that root did not start",
	.help = "      --socket PATH  where `ringfence run` of others asks, in a folder that\n"
		"                     root alone may write (/run/ringfence-watch/socket)\n"
		"      --group NAME   whose members may ask (kvm)\n"
		"      --per-user N   VMs of one user, 1 to 1024 (64)\n"
		"      --kvm PATH     the KVM device that the watch is tried on (/dev/kvm)\n"
		"\n"
		"It runs as root, in the foreground, until SIGTERM; VMs stay watched, and the\n"
		"next one takes them over.\n",
	.run = watch,
};
