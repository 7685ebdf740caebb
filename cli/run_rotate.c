// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The logs go on in new files (monitor/rotate.h). Where the audit log was moved away, a new one of
 * its name follows; where it was not, it is moved here. The patch log goes with it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "cli/run.h"
#include "monitor/rotate.h"
#include "policy/chain.h"

/* So long the old file is kept open for a monitor that takes over: what was decided in it may not
 * be answered yet. */
#define BEFORE_MS 60000
/* Files are moved at most so often, whoever asks: a monitor that was taken over could do it for
 * ever. */
#define MOVE_MS 1000
#define HOUR_MS 3600000
/* For a monitor to answer, on a disk that flushes slowly. A word of its that is lost has no
 * other. */
#define ANSWER_MS 30000
/* logrotate(8) moves the logs one by one, and then has somebody ask. Whoever went on between the
 * two would have the second one written over. */
#define AWAY_MS 60000
#define LOOK_MS 1000

/* --- what is moved ------------------------------------------------------------- */

/* Has that file another name by now? By a path, folder is AT_FDCWD. */
static bool is_moved(int folder, const char *name, int fd)
{
	struct rf_made was;
	struct stat st;

	if (fstat(fd, &st))
		return true;
	was = (struct rf_made){ st.st_dev, st.st_ino };
	return !rf_made_is(folder, name, &was);
}

/* "audit-20261129T112233.123456Z.jsonl": they sort by age, and keep what names them a log. */
static int stamped(const char *path, char out[PATH_MAX])
{
	size_t len = strlen(path);
	const char *ext = len > 6 && !strcmp(path + len - 6, ".jsonl") ? ".jsonl" : "";
	struct timespec now;
	char when[32];
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	strftime(when, sizeof(when), "%Y%m%dT%H%M%S", &tm);
	return snprintf(out, PATH_MAX, "%.*s-%s.%06ldZ%s", (int)(len - strlen(ext)), path, when,
			now.tv_nsec / 1000, ext) < PATH_MAX
		       ? 0
		       : -ENAMETOOLONG;
}

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* --- a rotation ------------------------------------------------------------------ */

struct rotation {
	char audit[PATH_MAX], patches[PATH_MAX];	 /* where the logs are by name */
	char old_audit[PATH_MAX], old_patches[PATH_MAX]; /* where we moved them to; "" nowhere */
	struct rf_folder here;	/* in which the logs are; all of them is in it by their names */
	struct rf_folder there; /* to which somebody has moved the audit log, -1: that one */
	struct rf_new_logs m;
};

/* The folder is looked at anew each time, as somebody may have moved that as well. */
static int rotation_init(struct rotation *n, const struct rf_run *r, struct rf_why *why)
{
	char name[NAME_MAX + 1];

	*n = (struct rotation){ .here = RF_FOLDER_NONE, .there = RF_FOLDER_NONE };
	snprintf(n->audit, sizeof(n->audit), "%s", r->audit_path);
	return rf_folder_above(n->audit, RF_WAY_USE, why, &n->here, name);
}

static void rotation_deinit(struct rotation *n)
{
	rf_folder_close(&n->here);
	rf_folder_close(&n->there);
}

static int there(const struct rotation *n)
{
	return n->there.fd >= 0 ? n->there.fd : n->here.fd;
}

/* No file is written over. */
static int move(int from, const char *path, int to, const char *new_path)
{
	return renameat2(from, name_of(path), to, name_of(new_path), RENAME_NOREPLACE) ? -errno : 0;
}

__attribute__((format(printf, 2, 3))) static void tell(struct rotation *n, const char *format, ...)
{
	char text[2 * PATH_MAX + 256];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	rf_safe(n->m.told, sizeof(n->m.told), text);
}

static int failed(struct rotation *n, const char *what, const char *path, int err)
{
	n->m.failed = 1;
	tell(n, "%s %s: %s", what, path, strerror(-err));
	return err;
}

/* The patch log, to a name that goes with where the audit log is now: `audit verify` looks
 * there. */
static int move_patches(struct rotation *n, const char *audit)
{
	int err = rf_patches_path(audit, n->old_patches);

	if (!err)
		err = move(n->here.fd, n->patches, there(n), n->old_patches);
	if (!err)
		return 0;
	n->old_patches[0] = '\0';
	return failed(n, "cannot move", n->patches, err);
}

/* An hour ago at least there were fewer. */
static int may_ask(struct rf_run *r, struct rotation *n)
{
	int64_t oldest = r->asked_ms[r->asked % RF_RUN_MOVES];

	if (oldest && rf_now_ms() - oldest < HOUR_MS) {
		n->m.failed = 1;
		tell(n,
		     "logs are moved %d times an hour at most for who asks the monitor: move them, "
		     "or send SIGHUP to `ringfence run`",
		     RF_RUN_MOVES);
		return -EDQUOT;
	}
	r->asked_ms[r->asked++ % RF_RUN_MOVES] = rf_now_ms();
	return 0;
}

static int move_both(struct rf_run *r, struct rotation *n, enum rf_rotate_for what)
{
	int err = what == RF_ROTATE_CLIENT ? may_ask(r, n) : 0;

	if (err)
		return err;
	err = stamped(n->audit, n->old_audit);
	if (r->moved_ms && rf_now_ms() - r->moved_ms < MOVE_MS)
		err = -EAGAIN;
	if (!err)
		err = move(n->here.fd, n->audit, n->here.fd, n->old_audit);
	if (err) {
		n->old_audit[0] = '\0';
		return failed(n, "cannot move", n->audit, err);
	}
	r->moved_ms = rf_now_ms();
	return move_patches(n, n->old_audit);
}

/* Somebody has moved the audit log alone: its patches go where they belong. */
static int move_after(const struct rf_run *r, struct rotation *n)
{
	char now[PATH_MAX], name[NAME_MAX + 1];
	struct rf_why why;

	rf_place_of(r->audit_fd, now);
	/* It is nowhere any more, or where others could lead the way. */
	if (rf_folder_above(now, RF_WAY_USE, &why, &n->there, name) ||
	    is_moved(n->there.fd, name, r->audit_fd)) {
		rf_folder_close(&n->there);
		if (stamped(n->audit, now))
			return failed(n, "too long a path:", n->audit, -ENAMETOOLONG);
	}
	return move_patches(n, now);
}

/* As it was, as far as nobody was quicker. */
static void move_back(const struct rotation *n)
{
	if (n->old_audit[0])
		move(n->here.fd, n->old_audit, n->here.fd, n->audit);
	if (n->old_patches[0])
		move(there(n), n->old_patches, n->here.fd, n->patches);
}

static int open_new(struct rotation *n, const char *path, int *fd)
{
	struct rf_why why;

	*fd = rf_run_open_log(n->here.fd, name_of(path), &why);
	if (*fd < 0) {
		n->m.failed = 1;
		tell(n, "cannot open %s", why.what);
		return *fd;
	}
	rf_folder_sync(n->here.fd);
	return 0;
}

static int open_both(struct rf_run *r, struct rotation *n)
{
	int err = open_new(n, n->audit, &r->next_audit_fd);

	if (!err && rf_run_share_log(r->next_audit_fd))
		err = failed(n, "another one has it alone:", n->audit, -EBUSY);
	if (!err)
		err = open_new(n, n->patches, &r->next_patches_fd);
	n->m.with = !err;
	return err;
}

static void close_next(struct rf_run *r)
{
	if (r->next_audit_fd >= 0)
		close(r->next_audit_fd);
	if (r->next_patches_fd >= 0)
		close(r->next_patches_fd);
	r->next_audit_fd = r->next_patches_fd = -1;
	r->rotating = false;
}

/* Both go on, or none: what a part of the one says is of a part of the other. */
static int prepare(struct rf_run *r, struct rotation *n, enum rf_rotate_for what)
{
	bool audit, patches;
	int err = rf_patches_path(n->audit, n->patches);

	if (err)
		return failed(n, "too long a path:", n->audit, err);
	/* Else a monitor that dies now would leave its chain in a file that nobody knows of. */
	if (!rf_chain_is_in(r->chain_fd, r->audit_fd))
		return failed(n, "no line was written yet since the log went on in", n->audit,
			      -EAGAIN);
	audit = is_moved(n->here.fd, name_of(n->audit), r->audit_fd);
	patches = is_moved(n->here.fd, name_of(n->patches), r->patches_fd);
	if (!audit && patches)
		return failed(n, "its patch log was moved, so move it as well:", n->audit, -EEXIST);
	if (!audit && what == RF_ROTATE_MOVED) {
		tell(n, "no log was moved");
		return 0;
	}
	if (!audit)
		err = move_both(r, n, what);
	else if (!patches)
		err = move_after(r, n);
	if (!err)
		err = open_both(r, n);
	if (!err && n->old_audit[0])
		tell(n, "the log goes on in %s; what was written until now is in %s", n->audit,
		     n->old_audit);
	else if (!err)
		tell(n, "the log goes on in %s", n->audit);
	return err;
}

int rf_run_rotate(struct rf_run *r, enum rf_rotate_for what)
{
	struct rotation n;
	struct rf_why why;
	int err = rf_run_logs_room(r), sent;

	/* Nothing is moved for one that will not hear of it. */
	if (err) {
		rf_say("%s: the log goes on in its old file: the monitor does not listen", r->name);
		return err;
	}
	err = rotation_init(&n, r, &why);
	if (err) {
		n.m.failed = 1;
		tell(&n, "%s", why.what);
	} else {
		err = prepare(r, &n, what);
	}
	if (err) {
		close_next(r);
		move_back(&n);
		n.m.with = 0;
	}
	sent = rf_run_logs_send(r, &n.m);
	r->rotating = !err && !sent;
	r->rotating_ms = rf_now_ms();
	if (sent && !err) {
		close_next(r);
		move_back(&n);
		failed(&n, "the monitor does not listen:", r->name, sent);
		err = sent;
	}
	if (err)
		rf_say("%s: the log goes on in its old file: %s", r->name, n.m.told);
	else
		rf_say("%s: %s", r->name, n.m.told);
	rotation_deinit(&n);
	return err;
}

void rf_run_rotated(struct rf_run *r)
{
	bool with = r->rotating && r->next_audit_fd >= 0;

	r->rotating = false;
	if (!with)
		return;
	rf_run_unreserve(r);
	if (r->audit_before_fd >= 0)
		close(r->audit_before_fd);
	r->audit_before_fd = r->audit_fd;
	r->before_until = rf_now_ms() + BEFORE_MS;
	r->audit_fd = r->next_audit_fd;
	close(r->patches_fd);
	r->patches_fd = r->next_patches_fd;
	r->next_audit_fd = r->next_patches_fd = -1;
	r->reserved = 0;
	rf_run_reserve(r);
}

void rf_run_not_rotated(struct rf_run *r)
{
	close_next(r);
}

bool rf_run_rotate_overdue(const struct rf_run *r)
{
	return r->rotating && rf_now_ms() - r->rotating_ms >= ANSWER_MS;
}

bool rf_run_log_is_away(struct rf_run *r)
{
	int64_t now = rf_now_ms();

	if (r->audit_fd < 0 || r->rotating || now - r->looked_ms < LOOK_MS)
		return false;
	r->looked_ms = now;
	if (!is_moved(AT_FDCWD, r->audit_path, r->audit_fd))
		r->away_ms = 0;
	else if (!r->away_ms)
		r->away_ms = now;
	if (!r->away_ms || now - r->away_ms < AWAY_MS)
		return false;
	r->away_ms = now; /* where it cannot be done, it is tried again */
	return true;
}

void rf_run_forget_before(struct rf_run *r)
{
	if (r->audit_before_fd < 0 || rf_now_ms() < r->before_until ||
	    !rf_chain_is_in(r->chain_fd, r->audit_fd))
		return;
	close(r->audit_before_fd);
	r->audit_before_fd = -1;
}
