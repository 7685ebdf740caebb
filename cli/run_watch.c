// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Keeps the VMM and its monitor together. The rule that shapes it: a VMM that is not under
 * protection does not run on, nor does one that nobody watches over. Were this process killed, the
 * kernel or the fence would end the VMM (run_link.c), and the monitor behind it, which records
 * that. Were the monitor killed, the seals would stay and each event that needs a verdict would
 * hold its vCPU until the next one is there.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/process.h"
#include "cli/run.h"
#include "cli/run_child.h"
#include "cli/run_reload.h"

#define READY_MS 10000	 /* for a monitor to say that it is ready */
#define STOP_MS 2000	 /* for a monitor to end once the VMM has */
#define GRACE_MS 200	 /* the monitor ends with the VMM, and may be reaped first */
#define PROGRESS_MS 1000 /* nothing is silent for longer */
#define AGAIN_MS 100	 /* a VMM that takes nothing is told again */
#define LOOK_MS 5000	 /* so often it is asked whether the monitor is */

struct watch {
	struct rf_run *run;
	sigset_t old_mask; /* for the children */
	int signal_fd;

	struct rf_child monitor, sweeper;
	struct rf_run_reload reload;
	bool ready, serves;   /* the monitor that lives */
	bool in_flight;	      /* it cannot be passed on to the VMM */
	bool again;	      /* another rotation was asked for, while one was under way */
	char last_error[256]; /* what a monitor complained of */

	pid_t vmm; /* 0: not started or reaped */
	pid_t attached;
	bool vmm_ended;
	int vmm_status;
	int stop_signal; /* asked to end before there was a VMM to pass it to */
};

/* The sweeper of the monitor that lives. */
static int start_sweeper(struct watch *w)
{
	pid_t pid;
	int notify, err = rf_run_spawn_sweeper(w->run, &w->old_mask, &pid, &notify);

	if (!err)
		rf_child_began(&w->sweeper, pid, notify);
	return err;
}

/* Each monitor has a sweeper of its own: one that was another's ends, and starts again. */
static int start_monitor(struct watch *w)
{
	pid_t pid;
	int notify, err = rf_run_pair(w->run);

	if (!err)
		err = rf_run_orders(w->run);
	if (!err)
		err = rf_run_logs(w->run);
	if (!err)
		err = rf_run_meet(w->run);
	if (!err)
		err = rf_run_spawn_monitor(w->run, &w->old_mask, &pid, &notify);
	if (w->run->orders[1] >= 0)
		close(w->run->orders[1]);
	w->run->orders[1] = -1;
	if (err)
		return err;
	rf_run_introduce(w->run);
	rf_child_began(&w->monitor, pid, notify);
	w->ready = w->serves = false;
	w->run->deaf = false;
	w->sweeper.restarts = 0;
	if (w->sweeper.pid)
		kill(w->sweeper.pid, SIGKILL);
	return 0;
}

/* What is asked for while one is under way is no second one: what was moved since counts alone. */
static void rotate(struct watch *w, enum rf_rotate_for what)
{
	if (w->run->rotating)
		w->again = true;
	else if (w->serves)
		rf_run_rotate(w->run, what);
	else
		rf_say("%s: the log goes on in its old file: no monitor serves a VM just now",
		       w->run->name);
}

static void rotated(struct watch *w, bool done)
{
	if (done)
		rf_run_rotated(w->run);
	else
		rf_run_not_rotated(w->run);
	if (w->again)
		rotate(w, RF_ROTATE_MOVED);
	w->again = false;
}

/* The VMM stands still as a whole: what it has open, and all that the guest had done, is there. */
static void stop_vmm(struct watch *w, bool for_good)
{
	if (!w->vmm)
		return;
	if (for_good ? kill(w->vmm, SIGKILL) : !rf_run_pause(w->run, w->vmm, RF_PAUSED_CHECK))
		rf_say("%s: a check has found something, and the VMM cannot be %s: %s",
		       w->run->name, for_good ? "ended" : "stopped", strerror(errno));
	else if (for_good)
		rf_say("%s: the VM is ended for what a check has found (policy: checks_kill)",
		       w->run->name);
	else
		rf_say("%s: the VM is paused for what a check has found (policy: checks_pause); "
		       "`kill -CONT %d` resumes it, `ringfence stop` ends it",
		       w->run->name, (int)w->vmm);
}

static void take_line(void *ctx, const char *line)
{
	struct watch *w = ctx;
	unsigned int pid;

	if (!strcmp(line, "ready"))
		w->ready = true;
	else if (!strcmp(line, "sealed"))
		rf_say("%s: the guest kernel is sealed", w->run->name);
	else if (!strcmp(line, "pause") || !strcmp(line, "end"))
		stop_vmm(w, !strcmp(line, "end"));
	else if (!strcmp(line, "rotate") || !strcmp(line, "rotate-moved"))
		rotate(w, strcmp(line, "rotate") ? RF_ROTATE_MOVED : RF_ROTATE_CLIENT);
	else if (!strcmp(line, "rotated") || !strcmp(line, "rotate-failed"))
		rotated(w, !strcmp(line, "rotated"));
	else if (sscanf(line, "attached %u", &pid) == 1 && pid) {
		if (w->attached && w->attached != (pid_t)pid) {
			rf_say("%s: process %u says that it is the VMM, which is %d; the VM is "
			       "ended",
			       w->run->name, pid, (int)w->attached);
			if (w->vmm)
				kill(w->vmm, SIGKILL);
			return;
		}
		if (w->attached)
			rf_say("%s: another monitor (process %d) serves again", w->run->name,
			       (int)w->monitor.pid);
		w->attached = w->run->attached = (pid_t)pid;
		w->serves = true;
		rf_run_control_serves(w->run);
		rf_run_reload_attached(&w->reload);
	} else if (!strncmp(line, "error ", 6)) /* the monitor has printed it too */
		rf_safe(w->last_error, sizeof(w->last_error), line + 6);
}

/* Nothing that it says matters, but that it does; its errors it has printed. */
static void pass_over(void *ctx, const char *line) {}

static void describe_end(int status, char *out, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(out, size, "was killed by signal %d (%s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(out, size, "ended with status %d", WEXITSTATUS(status));
}

static void monitor_ended(struct watch *w, int status)
{
	bool reloaded;
	char how[80];

	rf_child_read(&w->monitor, take_line, w);
	rf_child_ended(&w->monitor);
	w->ready = w->serves = w->again = false;
	/* Wherever it was: the next one gets both files. */
	rf_run_rotated(w->run);
	reloaded = rf_run_reload_monitor_gone(&w->reload);
	if (!w->vmm)
		return;
	if (reloaded) {
		w->monitor.restarts = 0;
		w->monitor.restart_at = rf_now_ms();
		return;
	}
	describe_end(status, how, sizeof(how));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
		if (w->monitor.restart_at < rf_now_ms() + GRACE_MS)
			w->monitor.restart_at = rf_now_ms() + GRACE_MS;
		return;
	}
	rf_say("%s: the monitor %s; nothing is unlocked, another one is started", w->run->name,
	       how);
}

/* Where its monitor has ended, it ends with it. */
static void sweeper_ended(struct watch *w, int status)
{
	bool others = w->sweeper.since < w->monitor.since;
	char how[80];

	rf_child_ended(&w->sweeper);
	if (others)
		w->sweeper.restart_at = rf_now_ms();
	if (others || !w->vmm || !w->monitor.pid)
		return;
	describe_end(status, how, sizeof(how));
	rf_say("%s: the sweeper %s; another one is started", w->run->name, how);
}

/* As it ends it leaves the control-register watch, and then only its id is free. options: WNOHANG
 * or 0. True: it has been reaped. */
static bool reap_vmm(struct watch *w, int options)
{
	siginfo_t ended = { .si_pid = 0 };

	while (waitid(P_PID, (id_t)w->vmm, &ended, WEXITED | WNOWAIT | options) && errno == EINTR)
		;
	if (!ended.si_pid)
		return false;
	rf_run_control_leave(w->run, w->vmm);
	waitpid(w->vmm, &w->vmm_status, 0);
	w->vmm = 0;
	return true;
}

static void reap(struct watch *w)
{
	int status;

	/* The VMM first: when both are gone, the monitor is not missed. */
	if (w->vmm && reap_vmm(w, WNOHANG))
		w->vmm_ended = true;
	if (w->monitor.pid && waitpid(w->monitor.pid, &status, WNOHANG) == w->monitor.pid)
		monitor_ended(w, status);
	if (w->sweeper.pid && waitpid(w->sweeper.pid, &status, WNOHANG) == w->sweeper.pid)
		sweeper_ended(w, status);
}

static void take_signals(struct watch *w)
{
	struct signalfd_siginfo s;

	while (read(w->signal_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
		int number = (int)s.ssi_signo;

		if (number == SIGCHLD)
			reap(w);
		else if (number == SIGHUP && s.ssi_code != SI_KERNEL)
			rotate(w, RF_ROTATE_SIGNAL);
		else if (!w->vmm)
			w->stop_signal = number;
		else if (rf_run_is_paused(w->run,
					  w->vmm)) /* it would be let go to hear anything else */
			kill(w->vmm, SIGKILL);
		else if (s.ssi_code != SI_KERNEL) /* the terminal has sent it to the VMM too */
			kill(w->vmm, number);
	}
}

/*
 * A monitor that serves a VM says so each second. One that hangs, for whatever reason, would hold
 * each vCPU that needs a verdict, for good: it is killed, which unlocks nothing, and another one
 * goes on. So is a sweeper, which holds nobody.
 */
static void end_silent(struct watch *w)
{
	uint32_t limit = w->attached ? w->run->monitor_timeout : 0;
	struct rf_child *const both[] = { &w->monitor, &w->sweeper };
	int64_t silent;

	for (int i = 0; i < 2; i++)
		if (rf_child_end_silent(both[i], limit, &silent))
			rf_say("%s: the %s has said nothing for %lld s, and is killed",
			       w->run->name, both[i]->what, (long long)silent / 1000);
}

/* Nor does `run` wait for one that reads nothing, or does not answer: whatever the reason, another
 * one may. */
static void end_deaf(struct watch *w)
{
	bool late = rf_run_rotate_overdue(w->run);

	if (!w->monitor.pid || (!w->run->deaf && !late))
		return;
	rf_say("%s: the monitor %s, and is killed", w->run->name,
	       late ? "does not answer" : "does not read what it is sent");
	kill(w->monitor.pid, SIGKILL);
	w->run->deaf = false;
	w->run->rotating_ms = rf_now_ms();
}

/* Starts what has ended, when it is time. */
static void start_again(struct watch *w)
{
	struct {
		struct rf_child *child;
		int (*start)(struct watch *w);
		const char *loss;
	} both[] = {
		{ &w->monitor, start_monitor, "the guest is held where it needs a verdict" },
		{ &w->sweeper, start_sweeper, "nobody looks for what can only be detected" },
	};

	for (int i = 0; i < 2; i++) {
		struct rf_child *c = both[i].child;
		int err;

		if (c->pid || !w->vmm || rf_now_ms() < c->restart_at || !w->monitor.since ||
		    (i && !w->monitor.pid))
			continue;
		err = both[i].start(w);
		if (!err)
			continue;
		c->restart_at = rf_now_ms() + RF_CHILD_AGAIN_MS;
		rf_say("%s: the %s cannot be started: %s; %s", w->run->name, c->what,
		       strerror(-err), both[i].loss);
	}
}

/* Another VM of the same user can keep the kernel from passing a socket on: said once. */
static bool introduce(struct watch *w)
{
	int err = rf_run_introduce(w->run);

	if (err && err != -EAGAIN && !w->in_flight)
		rf_say("%s: the VMM cannot be given its monitor: %s; it is tried again",
		       w->run->name, strerror(-err));
	w->in_flight = err && err != -EAGAIN;
	return err;
}

/* Waits until something happened, `until` (monotonic ms) at most, and deals with it. */
static void step(struct watch *w, int64_t until)
{
	struct pollfd p[3 + RF_RUN_RELOAD_FDS] = { { .fd = w->signal_fd, .events = POLLIN },
						   { .fd = w->monitor.notify_fd, .events = POLLIN },
						   { .fd = w->sweeper.notify_fd,
						     .events = POLLIN } };
	int64_t now = rf_now_ms();

	if (!w->monitor.pid && w->vmm && w->monitor.restart_at < until)
		until = w->monitor.restart_at;
	if (!w->sweeper.pid && w->monitor.pid && w->vmm && w->sweeper.restart_at < until)
		until = w->sweeper.restart_at;
	until = rf_run_reload_due(&w->reload, until);
	if (introduce(w) && until > now + AGAIN_MS)
		until = now + AGAIN_MS;
	if (w->vmm)
		until = rf_run_control_due(w->run, until);
	if (until < now)
		until = now;
	rf_run_reload_poll(&w->reload, p + 3);
	poll(p, 3 + RF_RUN_RELOAD_FDS, until - now > LOOK_MS ? LOOK_MS : (int)(until - now));
	if (p[1].revents)
		rf_child_read(&w->monitor, take_line, w);
	if (p[2].revents)
		rf_child_read(&w->sweeper, pass_over, w);
	take_signals(w);
	rf_run_reload_serve(&w->reload, w->serves);
	if (rf_run_reload_overdue(&w->reload) && w->monitor.pid)
		kill(w->monitor.pid, SIGKILL);
	rf_run_control_look(w->run, w->vmm, w->serves);
	end_silent(w);
	end_deaf(w);
	start_again(w);
	if (w->serves && rf_run_log_is_away(w->run))
		rotate(w, RF_ROTATE_MOVED);
	rf_run_reserve(w->run);
	rf_run_forget_before(w->run);
}

static void progress(struct watch *w, int64_t since, int64_t *next, const char *what)
{
	int64_t now = rf_now_ms();

	if (now < *next)
		return;
	rf_say("%s: waiting for %s (%lld s)", w->run->name, what, (long long)(now - since) / 1000);
	*next = now + (now - since < 5000 ? PROGRESS_MS : 5 * PROGRESS_MS);
}

static int wait_ready(struct watch *w)
{
	int64_t since = rf_now_ms(), next = since + PROGRESS_MS, until = since + READY_MS;

	while (!w->ready && w->monitor.pid && !w->stop_signal && rf_now_ms() < until) {
		step(w, next < until ? next : until);
		progress(w, since, &next, "the monitor to be ready");
	}
	if (w->stop_signal)
		return 128 + w->stop_signal;
	if (w->ready)
		return 0;
	return rf_fail(RF_EXIT_REFUSED, "the VMM was not started; no guest runs unprotected",
		       "look at what it printed above; run `ringfence doctor`",
		       w->monitor.pid ? "the monitor did not get ready within 10 s%s%s"
				      : "the monitor ended before it was ready%s%s",
		       w->last_error[0] ? ": " : "", w->last_error);
}

/* Is pid the process `ancestor` or one below it? The chain is short, and /proc may lie about none
 * of it to root. */
static bool descends(pid_t pid, pid_t ancestor)
{
	for (int depth = 0; depth < 64 && pid > 1; depth++) {
		if (pid == ancestor)
			return true;
		if (!rf_process_stat(pid, NULL, &pid))
			return false;
	}
	return false;
}

static void end_vmm(struct watch *w)
{
	if (w->attached && w->vmm && w->attached != w->vmm && descends(w->attached, w->vmm))
		kill(w->attached, SIGKILL);
	if (!w->vmm)
		return;
	kill(w->vmm, SIGKILL);
	reap_vmm(w, 0);
	w->vmm = 0;
}

static int wait_attached(struct watch *w)
{
	const struct rf_run *r = w->run;
	int64_t since = rf_now_ms(), next = since + PROGRESS_MS;
	int64_t until = since + (int64_t)r->start_timeout * 1000;
	char how[80];

	while (!w->attached && w->vmm && rf_now_ms() < until) {
		step(w, next < until ? next : until);
		if (!w->attached && w->vmm)
			progress(w, since, &next, "the VMM to come under protection");
	}
	if (w->vmm_ended && !w->attached) {
		describe_end(w->vmm_status, how, sizeof(how));
		return rf_fail(
			RF_EXIT_NOT_ATTACHED, "no guest ran",
			"if it printed an error above, correct that; a VMM must use KVM, and "
			"\"Operation not permitted\" is what it gets of KVM without the fence: "
			"give the VMM itself, not a program that changes its environment",
			"%s %s before it came under protection%s%s", r->program, how,
			w->last_error[0] ? ": " : "", w->last_error);
	}
	if (!w->attached) {
		end_vmm(w);
		return rf_fail(
			RF_EXIT_NOT_ATTACHED,
			"it may not use KVM, or not load the fence; it was ended, so that no "
			"guest runs unprotected",
			"give the VMM its KVM option (-accel kvm), or more time with "
			"--start-timeout",
			"%s did not come under protection within %u s%s%s", r->program,
			r->start_timeout, w->last_error[0] ? ": " : "", w->last_error);
	}
	if (w->vmm && w->attached != w->vmm) {
		pid_t vmm = w->vmm;

		end_vmm(w);
		return rf_fail(
			RF_EXIT_NOT_ATTACHED,
			"only a VMM that is started directly can be watched over; it was ended",
			"give the VMM itself, not a program that starts it",
			"process %d came under protection, but %s is process %d", (int)w->attached,
			r->program, (int)vmm);
	}
	rf_say("%s: under protection (VMM %d, monitor %d), log %s", r->name, (int)w->attached,
	       (int)w->monitor.pid, r->audit_path);
	return 0;
}

static void stop_monitor(struct watch *w)
{
	int64_t until = rf_now_ms() + STOP_MS;

	if (w->sweeper.pid)
		kill(w->sweeper.pid, SIGKILL);
	/* It ends by itself when the VMM does; what it has to say about that must not be lost. */
	while (w->monitor.pid && w->vmm_ended && rf_now_ms() < until - STOP_MS / 2)
		step(w, until - STOP_MS / 2);
	if (w->monitor.pid)
		kill(w->monitor.pid, SIGTERM);
	while (w->monitor.pid && rf_now_ms() < until)
		step(w, until);
	if (w->monitor.pid)
		kill(w->monitor.pid, SIGKILL);
	/* What the kernel does not let go of, because of a descriptor that the VMM sent, is
	 * left. */
	for (int64_t end = rf_now_ms() + STOP_MS;
	     (w->monitor.pid || w->sweeper.pid) && rf_now_ms() < end;)
		step(w, end);
	if (w->monitor.pid)
		rf_say("%s: the monitor (process %d) was killed and does not end; it is left",
		       w->run->name, (int)w->monitor.pid);
}

static int watch_both(struct watch *w)
{
	struct rf_run *r = w->run;
	struct rf_why why;
	int err, code;

	err = start_monitor(w);
	if (err)
		return rf_fail(RF_EXIT_REFUSED,
			       "the VMM was not started; no guest runs unprotected",
			       "install ringfence again", "cannot start %s: %s", r->monitor,
			       strerror(-err));
	code = wait_ready(w);
	if (code)
		return code;
	err = start_sweeper(w);
	if (err)
		return rf_fail(RF_EXIT_REFUSED,
			       "the VMM was not started; no guest runs unprotected",
			       "free some memory or processes", "cannot start the sweeper: %s",
			       strerror(-err));
	err = rf_run_spawn_vmm(r, &w->old_mask, &w->vmm);
	if (err)
		return rf_fail(RF_EXIT_NOT_PROTECTABLE, "no guest runs",
			       "give a VMM this user may execute", "cannot start %s: %s",
			       r->program, strerror(-err));
	r->vmm = w->vmm;
	r->started = r->origin.since = time(NULL);
	err = rf_run_describe(r, &why);
	if (err)
		rf_say("%s: cannot write the VM's description (%s): `ringfence list` will know "
		       "less",
		       r->name, why.what);
	code = wait_attached(w);
	if (code)
		return code;
	while (w->vmm)
		step(w, rf_now_ms() + 60000);
	if (WIFSIGNALED(w->vmm_status)) {
		char how[80];

		describe_end(w->vmm_status, how, sizeof(how));
		rf_say("%s: the VMM %s; where the fence or the monitor did that, it said why "
		       "above, "
		       "and the log has it",
		       r->name, how);
		return 128 + WTERMSIG(w->vmm_status);
	}
	return WEXITSTATUS(w->vmm_status);
}

int rf_run_watch(struct rf_run *r)
{
	struct watch w = { .run = r,
			   .monitor = RF_CHILD_NONE("monitor"),
			   .sweeper = RF_CHILD_NONE("sweeper") };
	sigset_t mask;
	int code;

	sigemptyset(&mask);
	sigaddset(&mask, SIGCHLD);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigaddset(&mask, SIGHUP);
	signal(SIGCHLD, SIG_DFL); /* inherited as ignored, it would reap behind our back */
	sigprocmask(SIG_BLOCK, &mask, &w.old_mask);
	w.signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	if (w.signal_fd < 0)
		return rf_fail(RF_EXIT_REFUSED, "nothing was started", "free some descriptors",
			       "cannot watch for signals: %s", strerror(errno));
	rf_run_reload_begin(&w.reload, r);
	code = watch_both(&w);
	end_vmm(&w);
	stop_monitor(&w);
	rf_run_settle(r, w.monitor.pid != 0);
	rf_run_reload_end(&w.reload);
	close(w.signal_fd);
	return code;
}
