// SPDX-License-Identifier: LGPL-2.1-or-later
/* The VM's place in the host's control-register watch, and that it stays there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/sockios.h>

#include "cli/output.h"
#include "cli/run.h"
#include "cli/watch_link.h"
#include "monitor/watched.h"

#define LOOK_MS 1000  /* docs/ringfence.1.scd says so */
#define AGAIN_MS 5000 /* it cannot be put back: tried so often */
/* For another `run` that puts it back, or the service; so long signals wait. */
#define WAIT_MS 500

_Static_assert(RF_WATCHED_WHY == RF_CRWATCH_WHY, "handed on as it is");

/* Root asks the kernel, others `ringfence watch`. */
static int set_up(struct rf_run *r, char *why)
{
	struct rf_run_control *c = &r->control;
	int err;

	if (geteuid())
		return rf_watch_ask(&c->service, &c->page.fd, why);
	err = rf_crwatch_open(r->kvm, RF_CRWATCH_WAIT_MS, &c->watch, why);
	if (!err) {
		err = rf_crwatch_page_create(&c->page);
		if (err)
			snprintf(why, RF_CRWATCH_WHY, "no page for this VM: %s", strerror(-err));
	}
	return err;
}

static bool is_set_up(const struct rf_run *r)
{
	return r->control.page.fd >= 0;
}

int rf_run_control(struct rf_run *r)
{
	char why[RF_CRWATCH_WHY] = "";

	if (!r->now.pin_control || !set_up(r, why))
		return RF_EXIT_OK;
	if (r->now.need_watch)
		return rf_fail(RF_EXIT_REFUSED,
			       "nothing was started; the policy says that CR0 and "
			       "CR4 must be watched (pin: control_watch)",
			       geteuid() ? "have root start `ringfence watch`, or let the policy "
					   "say optional"
					 : "see `ringfence doctor`, or let the policy say optional",
			       "the host's control-register watch cannot be used: %s", why);
	rf_say("%s: writes to CR0 and CR4 are not watched: %s; `ringfence doctor` tells what is "
	       "lost "
	       "and how to mend it",
	       r->name, why);
	return RF_EXIT_OK;
}

int rf_run_control_enter(struct rf_run *r)
{
	struct rf_run_control *c = &r->control;
	char fd[16], why[RF_CRWATCH_WHY];
	int err;

	if (!is_set_up(r)) {
		/* Of a run around this one. */
		unsetenv(RF_CR_ENVIRONMENT);
		return 0;
	}
	snprintf(fd, sizeof(fd), "%d", c->page.fd);
	err = c->service >= 0 ? rf_watch_enter(c->service, why)
			      : rf_crwatch_enter(&c->watch, getpid(), &c->page, true,
						 RF_CRWATCH_WAIT_MS, why);
	if (!err && (setenv(RF_CR_ENVIRONMENT, fd, 1) || fcntl(c->page.fd, F_SETFD, 0) < 0))
		err = -errno;
	return err;
}

/* --- while the VMM runs ------------------------------------------------------ */

/* The guest's next instruction is not run: a stopped thread is out of KVM_RUN (arch/x86/kvm/x86.c
 * vcpu_run(): a pending signal ends it). */
static void hold(struct rf_run *r, pid_t vmm)
{
	/* Again with each look: others may let it go on. */
	if (r->now.need_watch)
		rf_run_pause(r, vmm, RF_PAUSED_WATCH);
}

/* What the service has said since: 1 it is on, 0 nothing, and that is no loss yet, else -errno.
 * Looks are counted, not time: where this process has not run, the service may not have either. */
static int hear(struct rf_run_control *c, char *why)
{
	int heard = rf_watch_hear(c->service, why);

	c->unheard = heard ? 0 : c->unheard + 1;
	if (heard == -ECONNRESET) {
		close(c->service);
		c->service = -1;
	}
	if (heard || c->unheard <= RF_WATCH_SILENT)
		return heard;
	snprintf(why, RF_CRWATCH_WHY, "`ringfence watch` says nothing");
	return -ETIMEDOUT;
}

static bool is_lost(struct rf_run_control *c, pid_t vmm)
{
	if (c->watch.vms < 0)
		return hear(c, c->why) < 0;
	return rf_crwatch_check(&c->watch, c->why) ||
	       rf_crwatch_check_place(&c->watch, vmm, c->page.id, c->why);
}

/* The service does it, and says so; a new one has to be asked. */
static int wait_for_service(struct rf_run_control *c, pid_t vmm, char *why)
{
	int err;

	if (c->service >= 0) {
		err = hear(c, why);
		if (!err)
			memcpy(why, c->why, sizeof(c->why));
		return err > 0 ? 0 : err ? err : -EAGAIN;
	}
	err = rf_watch_adopt(vmm, WAIT_MS, &c->service, why);
	if (!err)
		c->unheard = 0;
	return err;
}

static int put_back(struct rf_run *r, pid_t vmm, char *why)
{
	struct rf_run_control *c = &r->control;
	struct rf_crwatch fresh;
	int err;

	if (c->watch.vms < 0)
		return wait_for_service(c, vmm, why);
	err = rf_crwatch_open(r->kvm, WAIT_MS, &fresh, why);
	if (err)
		return err;
	err = rf_crwatch_enter(&fresh, vmm, &c->page, true, WAIT_MS, why);
	if (err) {
		rf_crwatch_close(&fresh);
		return err;
	}
	rf_crwatch_close(&c->watch);
	c->watch = fresh;
	return 0;
}

/*
 * One report at a time, when the one before has been read: a monitor may be busy for long, which is
 * no reason to end it, and what else it is sent must find room. A loss that it has not heard of is
 * told before the end of it.
 */
static void tell_monitor(struct rf_run *r, bool serves)
{
	struct rf_run_control *c = &r->control;
	struct rf_watched_report report = { .revision = RF_WATCHED_REVISION };
	bool deaf = r->deaf;
	int unread;

	if (c->lost) {
		c->untold = true;
		memcpy(c->untold_why, c->why, sizeof(c->untold_why));
	}
	if (!serves || r->orders[0] < 0 || ioctl(r->orders[0], SIOCOUTQ, &unread) || unread)
		return;
	report.lost = c->untold;
	if (c->untold)
		memcpy(report.why, c->untold_why, sizeof(report.why));
	if (!rf_run_order(r, &report, sizeof(report), -1))
		c->untold = false;
	r->deaf = deaf;
}

static void lose(struct rf_run *r, bool serves)
{
	struct rf_run_control *c = &r->control;

	c->again_at = 0;
	rf_say("%s: the control-register watch is lost: %s; %s", r->name, c->why,
	       r->now.need_watch
		       ? "the VMM is stopped until it is back (pin: control_watch)"
		       : "until it is back what clears a pinned bit of CR0 or CR4 is not undone");
	tell_monitor(r, serves);
}

static void regain(struct rf_run *r, pid_t vmm)
{
	struct rf_run_control *c = &r->control;
	char why[RF_CRWATCH_WHY] = "";

	if (put_back(r, vmm, why)) {
		/* Once for each reason. */
		if (strcmp(why, c->why) != 0)
			rf_say("%s: the control-register watch cannot be put back: %s; it is tried "
			       "again, and `ringfence doctor` tells what it needs",
			       r->name, why);
		memcpy(c->why, why, sizeof(c->why));
		c->again_at = rf_now_ms() + (c->service >= 0 ? 0 : AGAIN_MS);
		return;
	}
	c->lost = false;
	rf_run_resume(r, vmm, RF_PAUSED_WATCH);
	rf_say("%s: the control-register watch is back", r->name);
}

void rf_run_control_look(struct rf_run *r, pid_t vmm, bool serves)
{
	struct rf_run_control *c = &r->control;
	bool lost_now = false;

	if (!is_set_up(r) || !vmm || rf_now_ms() < c->look_at)
		return;
	if (!c->lost && is_lost(c, vmm))
		c->lost = lost_now = true;
	if (c->lost)
		hold(r, vmm);
	if (lost_now)
		lose(r, serves);
	if (c->lost && rf_now_ms() >= c->again_at)
		regain(r, vmm);
	tell_monitor(r, serves);
	c->look_at = rf_now_ms() + LOOK_MS;
}

void rf_run_control_serves(struct rf_run *r)
{
	if (is_set_up(r))
		tell_monitor(r, true);
}

int64_t rf_run_control_due(const struct rf_run *r, int64_t until)
{
	const struct rf_run_control *c = &r->control;

	return is_set_up(r) && c->look_at < until ? c->look_at : until;
}

void rf_run_control_leave(struct rf_run *r, pid_t vmm)
{
	if (r->control.watch.vms >= 0)
		rf_crwatch_leave(&r->control.watch, vmm, r->control.page.id);
}
