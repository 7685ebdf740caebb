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

#include "cli/let_go.h"
#include "cli/output.h"
#include "cli/safe_file.h"
#include "cli/watch_link.h"
#include "cli/watch_serve.h"

#define PER_USER 64
#define QUEUE 1024 /* net.core.somaxconn may say less */

/* Where it listens. */
struct place {
	struct rf_folder folder;
	char name[NAME_MAX + 1];
	struct rf_made made;
	int lock, listener;
};

#define PLACE_NONE                                                                                 \
	{                                                                                          \
		.folder = RF_FOLDER_NONE, .lock = -1, .listener = -1                               \
	}

static void leave(struct place *p)
{
	if (p->made.ino)
		rf_made_remove(p->folder.fd, p->name, &p->made, 0);
	if (p->listener >= 0)
		close(p->listener);
	if (p->lock >= 0)
		close(p->lock);
	rf_folder_close(&p->folder);
}

/* One service listens there. A file of root's alone, for others may open the folder, and so hold
 * its lock. */
static int take_lock(struct place *p, struct rf_why *why)
{
	p->lock = rf_file_keep(p->folder.fd, "lock", O_RDWR, 0600, why);
	if (p->lock < 0)
		return p->lock;
	if (!flock(p->lock, LOCK_EX | LOCK_NB))
		return 0;
	snprintf(why->what, sizeof(why->what), "another one listens there");
	why->todo = "end it";
	return -EBUSY;
}

/* Mode 0660 and the group's that may use KVM: who may not has no VM to be watched. */
static int listen_in(struct place *p, const struct group *g)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	mode_t mask;
	int err;

	if (snprintf(at.sun_path, sizeof(at.sun_path), "/proc/self/fd/%d/%s", p->folder.fd,
		     p->name) >= (int)sizeof(at.sun_path))
		return -ENAMETOOLONG;
	p->listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p->listener < 0)
		return -errno;
	rf_refuse_descriptors(p->listener);
	mask = umask(0177); /* nobody's before it is that group's */
	err = bind(p->listener, (struct sockaddr *)&at, sizeof(at)) ? -errno : 0;
	umask(mask);
	if (!err)
		err = rf_made_note(p->folder.fd, p->name, &p->made);
	if (!err && (fchownat(p->folder.fd, p->name, 0, g->gr_gid, AT_SYMLINK_NOFOLLOW) ||
		     chmod(at.sun_path, 0660) || listen(p->listener, QUEUE)))
		err = -errno;
	return err;
}

/* 0 or -errno, with *why. */
static int come(struct place *p, const char *path, const struct group *g, struct rf_why *why)
{
	char self[32];
	int err = rf_folder_above(path, RF_WAY_MAKE, why, &p->folder, p->name);

	if (err)
		return err;
	/* Others find the socket in it. */
	snprintf(self, sizeof(self), "/proc/self/fd/%d", p->folder.fd);
	if (p->folder.made && chmod(self, 0755))
		return rf_why_errno(why, -errno, p->folder.fd, ".");
	err = take_lock(p, why);
	if (!err)
		err = rf_file_clear(p->folder.fd, p->name, S_IFSOCK, why);
	if (err)
		return err;
	err = listen_in(p, g);
	return err ? rf_why_errno(why, err, p->folder.fd, p->name) : 0;
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
	rf_watch_service_shut(&s);
	rf_watch_service_deinit(&s);
	close(stop);
	return RF_EXIT_OK;
}

static int watch(int argc, char **argv)
{
	const char *path = RF_WATCH_SOCKET, *group = "kvm", *kvm = "/dev/kvm";
	struct rlimit files = { .rlim_cur = 64 + 6 * RF_WATCH_CLIENTS,
				.rlim_max = 64 + 6 * RF_WATCH_CLIENTS };
	uint32_t per_user = PER_USER;
	struct rf_operands operands;
	struct place place = PLACE_NONE;
	const struct group *g;
	struct rf_why why;
	int code;

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
	g = getgrnam(group);
	if (!g)
		return rf_fail(RF_EXIT_NO, "nobody is served",
			       "give --group one that is there, whose members may use KVM",
			       "watch: there is no group %s", group);
	code = come(&place, path, g, &why);
	if (code)
		code = rf_fail(RF_EXIT_NO, "nobody is served",
			       why.todo ?: "give --socket a place in a folder of root's alone",
			       "watch: cannot listen at %s: %s", path, why.what);
	else
		code = serve(kvm, place.listener, per_user);
	leave(&place);
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
