// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A VMM that stands still: the policy requires a control-register watch that is lost, or a check
 * has found what the policy has a VM paused for. It goes on when neither is so any more.
 */
#include <signal.h>
#include <sys/wait.h>

#include "cli/run.h"

/*
 * Who has resumed it has dealt with what was found; a lost watch is another matter. The kernel says
 * once that a child was continued (kernel/exit.c wait_task_continued()), also of a stop that had
 * not come to all of its threads yet: its state in /proc would still be another one then. It says
 * nothing of a SIGCONT that comes before any thread has stopped: that one takes the SIGSTOP away
 * unseen (kernel/signal.c prepare_signal()), and the VMM counts as paused until the next one.
 */
static void forget_what_is_over(struct rf_run *r, pid_t vmm)
{
	siginfo_t info = { .si_pid = 0 };

	if (!waitid(P_PID, (id_t)vmm, &info, WCONTINUED | WNOHANG) && info.si_pid)
		r->paused &= ~(unsigned int)RF_PAUSED_CHECK;
}

bool rf_run_pause(struct rf_run *r, pid_t vmm, enum rf_paused why)
{
	forget_what_is_over(r, vmm);
	if (kill(vmm, SIGSTOP))
		return false;
	r->paused |= why;
	return true;
}

void rf_run_resume(struct rf_run *r, pid_t vmm, enum rf_paused why)
{
	bool was = r->paused & why;

	forget_what_is_over(r, vmm);
	r->paused &= ~(unsigned int)why;
	if (was && !r->paused)
		kill(vmm, SIGCONT);
}

bool rf_run_is_paused(struct rf_run *r, pid_t vmm)
{
	forget_what_is_over(r, vmm);
	return r->paused;
}
