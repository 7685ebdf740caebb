// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/paths.h"
#include "cli/program.h"
#include "cli/run.h"
#include "cli/user.h"
#include "hv/doorkeeper.h"
#include "hv/vmx/probe.h"

#define NOT_STARTED "nothing was started; no guest runs unprotected"

int rf_run_check_program(struct rf_run *r)
{
	enum rf_program kind;
	int err;

	err = rf_find_program(r->command[0], r->program);
	if (err == -ENOENT)
		return rf_fail(RF_EXIT_NO_PROGRAM, NOT_STARTED,
			       "give the VMM's path, or install it (qemu-system-x86)",
			       "there is no program %s", r->command[0]);
	if (!err)
		err = rf_program_check(r->program, &kind);
	if (err)
		return rf_fail(RF_EXIT_NOT_PROTECTABLE, NOT_STARTED,
			       "give a VMM this user may read and execute", "cannot run %s: %s",
			       r->command[0], strerror(-err));
	if (kind != RF_PROGRAM_OK)
		return rf_fail(RF_EXIT_NOT_PROTECTABLE,
			       "the fence cannot be preloaded into it, so its guest would run "
			       "unprotected; nothing was started",
			       "give the VMM's own dynamically linked program", "%s %s", r->program,
			       rf_program_text(kind));
	return RF_EXIT_OK;
}

/* Only where a guest is to run: a probe may leave its parent. */
static int check_stays(const struct rf_run *r)
{
	for (char **arg = r->command + 1; *arg; arg++)
		if (!strcmp(*arg, "-daemonize") || !strcmp(*arg, "--daemonize"))
			return rf_fail(
				RF_EXIT_NOT_PROTECTABLE,
				"the VMM would leave its parent, which could no longer end it if "
				"it is not under protection; nothing was started",
				"leave it out and let a service manager keep `ringfence run` in "
				"the background",
				"%s is asked to run as a daemon", r->program);
	return RF_EXIT_OK;
}

int rf_run_no_door(int err)
{
	return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
		       "use a kernel with CONFIG_SECCOMP_FILTER; in a container or service, allow "
		       "seccomp(2); see `ringfence doctor`",
		       "a VMM without the fence could not be kept from KVM (seccomp): %s",
		       strerror(-err));
}

static int check_parts(struct rf_run *r)
{
	enum rf_program kind = RF_PROGRAM_OK;
	int err;

	err = rf_find_library(r->library);
	if (err)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "install ringfence, or set RINGFENCE_LIB to the library's path",
			       "the fence (libringfence.so) is missing: %s", strerror(-err));
	/* ld.so(8) splits the list at both, and would then look for two files that do not exist. */
	if (strpbrk(r->library, " :"))
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "put it in a folder without spaces and colons in its path",
			       "%s cannot be preloaded from there", r->library);
	err = rf_program_check(r->library, &kind);
	if (err || (kind != RF_PROGRAM_OK && kind != RF_PROGRAM_STATIC))
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "install ringfence again, or correct RINGFENCE_LIB", "%s %s",
			       r->library, err ? strerror(-err) : rf_program_text(kind));
	err = rf_find_monitor(r->monitor);
	if (err)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "install ringfence, or put ringfence-monitor into the PATH",
			       "the monitor (ringfence-monitor) is missing: %s", strerror(-err));
	return RF_EXIT_OK;
}

static int check_kvm(const struct rf_run *r)
{
	struct rf_probe p;

	rf_probe_kvm(r->kvm, &p);
	if (p.open_error)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       p.open_error == -EACCES
				       ? "join the group that owns it (kvm), then log in again"
				       : "load kvm_intel or kvm_amd; see `ringfence doctor`",
			       "cannot open %s: %s", r->kvm, strerror(-p.open_error));
	if (p.version != 12)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED, "see `ringfence doctor`",
			       "%s is not KVM with API version 12", r->kvm);
	if (p.create_error)
		return rf_fail(RF_EXIT_REFUSED, NOT_STARTED,
			       "end the other hypervisor if there is one; see `ringfence doctor`",
			       "%s makes no VM: %s", r->kvm, strerror(-p.create_error));
	return RF_EXIT_OK;
}

/* The same one for each monitor of this VM. */
static void choose_user(struct rf_run *r)
{
	char why[RF_USER_WHY];
	struct rf_user u;

	if (!rf_user_of_monitor(&u, why))
		snprintf(r->monitor_user, sizeof(r->monitor_user), "%u:%u", u.uid, u.gid);
	else if (geteuid() == 0)
		rf_say("%s: the monitor has no user of its own: %s; `ringfence doctor` tells what "
		       "is lost and how to mend it",
		       r->name, why);
}

int rf_run_check(struct rf_run *r)
{
	int code = rf_run_check_program(r), err;

	if (!code)
		code = check_stays(r);
	if (!code)
		code = check_parts(r);
	if (!code) {
		err = rf_door_try();
		code = err ? rf_run_no_door(err) : RF_EXIT_OK;
	}
	if (!code)
		code = rf_run_files(r);
	if (!code)
		code = check_kvm(r);
	if (!code)
		code = rf_run_control(r);
	if (!code)
		choose_user(r);
	return code;
}
