// SPDX-License-Identifier: LGPL-2.1-or-later
/* The VM's place in the host's control-register watch, and that it stays there. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/run.h"
#include "monitor/watched.h"

#define LOOK_MS 1000  /* docs/ringfence.1.scd says so */
#define AGAIN_MS 5000 /* it cannot be put back: tried so often */
#define WAIT_MS 500   /* for another `run` that puts it back; signals and monitors wait so long */

_Static_assert(RF_WATCHED_WHY == RF_CRWATCH_WHY, "handed on as it is");

int rf_run_control(struct rf_run *r)
{
	struct rf_run_control *c = &r->control;
	char why[RF_CRWATCH_WHY] = "";
	int err;

	if (!r->now.pin_control)
		return RF_EXIT_OK;
	err = rf_crwatch_open(r->kvm, RF_CRWATCH_WAIT_MS, &c->watch, why);
	if (!err) {
		err = rf_crwatch_page_create(&c->page);
		if (err)
			snprintf(why, sizeof(why), "no page for this VM: %s", strerror(-err));
	}
	if (!err)
		return RF_EXIT_OK;
	if (r->now.need_watch)
		return rf_fail(RF_EXIT_REFUSED,
			       "nothing was started; the policy says that CR0 and "
			       "CR4 must be watched (pin: control_watch)",
			       "see `ringfence doctor`, or let the policy say optional",
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

	if (!c->page.page) {
		/* Of a run around this one. */
		unsetenv(RF_CR_ENVIRONMENT);
		return 0;
	}
	snprintf(fd, sizeof(fd), "%d", c->page.fd);
	err = rf_crwatch_enter(&c->watch, getpid(), &c->page, RF_CRWATCH_WAIT_MS, why);
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
	if (r->now.need_watch && !kill(vmm, SIGSTOP))
		r->control.held = true;
}

static void let_go(struct rf_run *r, pid_t vmm)
{
	if (r->control.held)
		kill(vmm, SIGCONT);
	r->control.held = false;
}

static int put_back(struct rf_run *r, pid_t vmm, char *why)
{
	struct rf_run_control *c = &r->control;
	struct rf_crwatch fresh;
	int err = rf_crwatch_open(r->kvm, WAIT_MS, &fresh, why);

	if (err)
		return err;
	err = rf_crwatch_enter(&fresh, vmm, &c->page, WAIT_MS, why);
	if (err) {
		rf_crwatch_close(&fresh);
		return err;
	}
	rf_crwatch_close(&c->watch);
	c->watch = fresh;
	return 0;
}

static void tell_monitor(struct rf_run *r, bool serves)
{
	struct rf_watched_report report = { .revision = RF_WATCHED_REVISION,
					    .lost = r->control.lost };

	if (!serves || r->orders[0] < 0)
		return;
	if (report.lost)
		memcpy(report.why, r->control.why, sizeof(report.why));
	rf_run_order(r, &report, sizeof(report), -1);
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
		c->again_at = rf_now_ms() + AGAIN_MS;
		return;
	}
	c->lost = false;
	let_go(r, vmm);
	rf_say("%s: the control-register watch is back", r->name);
}

void rf_run_control_look(struct rf_run *r, pid_t vmm, bool serves)
{
	struct rf_run_control *c = &r->control;
	bool lost_now = false;

	if (!c->page.page || !vmm || rf_now_ms() < c->look_at)
		return;
	if (!c->lost && rf_crwatch_check(&c->watch, vmm, c->page.id, c->why))
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
	if (r->control.page.page)
		tell_monitor(r, true);
}

int64_t rf_run_control_due(const struct rf_run *r, int64_t until)
{
	const struct rf_run_control *c = &r->control;

	return c->page.page && c->look_at < until ? c->look_at : until;
}

bool rf_run_control_holds(const struct rf_run *r)
{
	return r->control.held;
}

void rf_run_control_leave(struct rf_run *r, pid_t vmm)
{
	if (r->control.page.page)
		rf_crwatch_leave(&r->control.watch, vmm, r->control.page.id);
}
