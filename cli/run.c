// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "cli/run.h"

#define MONITOR_TIMEOUT_MIN 3 /* it speaks each second */
#define SAY_MS 50	      /* a line of ours waits at most so long to be read */

static void pass_over(int signal_number) {}

/* The channel of its own that was asked for: no child but the monitor gets it. An enum rf_exit. */
static int take_messages(const struct rf_run *r)
{
	int flags;

	if (!r->messages_fd)
		return RF_EXIT_OK;
	flags = fcntl((int)r->messages_fd, F_GETFL);
	if (flags < 0 || flags & O_PATH || (flags & O_ACCMODE) == O_RDONLY ||
	    fcntl((int)r->messages_fd, F_SETFD, FD_CLOEXEC) < 0)
		return rf_fail(RF_EXIT_REFUSED, "nothing was started",
			       "open it before, as in: ringfence run --messages-fd 3 ... 3>>FILE",
			       "run: --messages-fd %u is no descriptor that can be written to",
			       r->messages_fd);
	/* Nobody has to read it; and what catches a signal is not inherited. */
	if (signal(SIGPIPE, pass_over) == SIG_IGN)
		signal(SIGPIPE, SIG_IGN);
	rf_messages_to((int)r->messages_fd);
	return RF_EXIT_OK;
}

static int run_guest(struct rf_run *r)
{
	int code = rf_run_check(r);

	if (!code)
		code = rf_run_prepare(r);
	return code ? code : rf_run_watch(r);
}

static int run(int argc, char **argv)
{
	struct rf_operands operands;
	enum rf_vmm_asks asks;
	char name[RF_NAME_MAX + 1];
	struct rf_run r;
	int code;

	rf_run_init(&r);
	const struct rf_option options[] = {
		{ "name", 'n', RF_OPTION_TEXT, &r.name, 0, 0 },
		{ "policy", 'p', RF_OPTION_TEXT, &r.policy, 0, 0 },
		{ "policy-key", 0, RF_OPTION_TEXT, &r.policy_key, 0, 0 },
		{ "expect", 'e', RF_OPTION_TEXT, &r.expect, 0, 0 },
		{ "audit", 'a', RF_OPTION_TEXT, &r.audit, 0, 0 },
		{ "audit-key", 0, RF_OPTION_TEXT, &r.audit_key, 0, 0 },
		{ "state", 's', RF_OPTION_TEXT, &r.state, 0, 0 },
		{ "kvm", 0, RF_OPTION_TEXT, &r.kvm, 0, 0 },
		{ "pass-fd", 0, RF_OPTION_LIST, &r.pass, 0, 0 },
		{ "messages-fd", 0, RF_OPTION_NUMBER, &r.messages_fd, 3, 65535 },
		{ "start-timeout", 't', RF_OPTION_NUMBER, &r.start_timeout, 1, 86400 },
		{ "monitor-timeout", 0, RF_OPTION_NUMBER, &r.monitor_timeout, 0, 86400 },
		{ 0 },
	};
	code = rf_options(&rf_command_run, options, true, RF_EXIT_REFUSED, argc, argv, &operands);
	if (code >= 0)
		return code;
	rf_messages_wait(SAY_MS);
	code = take_messages(&r);
	if (code)
		return code;
	if (!operands.count)
		return rf_fail(RF_EXIT_REFUSED, "nothing was started", "see `ringfence run --help`",
			       "run: there is no VMM to run");
	if (r.monitor_timeout && r.monitor_timeout < MONITOR_TIMEOUT_MIN)
		return rf_fail(RF_EXIT_REFUSED, "nothing was started",
			       "give 3 or more seconds, or 0 for never",
			       "run: --monitor-timeout %u would end monitors that live",
			       r.monitor_timeout);
	if (!r.name) {
		snprintf(name, sizeof(name), "vm-%d", (int)getpid());
		r.name = name;
	}
	if (!rf_name_valid(r.name))
		return rf_fail(
			RF_EXIT_REFUSED, "nothing was started",
			"use letters, digits, '_', '-' and '.', 64 at most, the first one not "
			"'-' or '.'",
			"run: \"%s\" cannot be a VM's name", r.name);
	r.command = operands.items;
	code = rf_run_fds(&r);
	/* No descriptor of ours before: its number could be one that is meant for the VMM. */
	if (!code)
		rf_messages_anew();
	asks = rf_vmm_asks(r.command + 1);
	if (!code && asks != RF_VMM_GUEST)
		code = rf_run_ask(&r, asks);
	else if (!code)
		code = run_guest(&r);
	rf_run_deinit(&r);
	return code;
}

const struct rf_command rf_command_run = {
	.name = "run",
	.usage = "[OPTIONS] [--] VMM [ARGUMENTS]",
	.summary = "Run a VMM with its guest's kernel under protection",
	.help = "  -n, --name NAME        the VM's name (vm- and the process id)\n"
		"  -p, --policy FILE|PROFILE  policy (without one: enforce, fault, seal\n"
		"                         everything); profile: " RF_PROFILES "\n"
		"      --policy-key PUBKEY  who may loosen the policy while the VM runs: the "
		"public\n"
		"                         key that `policy reload` then wants a signature by\n"
		"  -e, --expect FILE      what `ringfence measure` said of the guest that arrives\n"
		"                         here: another one is refused (policy: on_mismatch)\n"
		"  -a, --audit FILE       log of decisions (root: "
		"/var/log/ringfence/NAME/audit.jsonl,\n"
		"                         else audit.jsonl in the state folder)\n"
		"      --audit-key FILE   sign checkpoints of the log with this key, which\n"
		"                         `ringfence audit keygen` makes\n"
		"  -s, --state DIR        state folder, absolute (root: /run/ringfence/NAME,\n"
		"                         else $XDG_RUNTIME_DIR/ringfence/NAME; without that\n"
		"                         /run/user/UID/ringfence/NAME or "
		"/tmp/ringfence-UID/NAME)\n"
		"  -t, --start-timeout S  seconds until the VMM must be under protection (30)\n"
		"      --monitor-timeout S  seconds until a monitor that says nothing is killed "
		"and\n"
		"                         another one takes over (60; 0: never)\n"
		"      --kvm PATH         the KVM device the VMM is told to use (/dev/kvm)\n"
		"      --pass-fd N        the VMM gets this descriptor too (again for each; those "
		"that\n"
		"                         its command line names it gets anyway, the rest is "
		"closed)\n"
		"      --messages-fd N    what ringfence itself and the monitor say goes to this\n"
		"                         descriptor, not to standard error, which the guest may\n"
		"                         write to as well\n"
		"\n"
		"The exit code is the VMM's own, 128 + n when signal n killed it. Else:\n"
		"  124  the VMM did not come under protection and was ended\n"
		"  125  refused: option, policy, key, measurement, descriptor, fence, monitor, "
		"KVM,\n"
		"       seccomp, the control-register watch that the policy requires, state folder "
		"or log\n"
		"  126  the program cannot be protected\n"
		"  127  there is no such program\n",
	.run = run,
};
