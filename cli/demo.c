// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The main job on this host: boot a stock guest under protection, let it attack its own kernel,
 * show the record. It uses `ringfence run` as anybody would and judges by the log alone, never by
 * what the guest prints.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/audit_log.h"
#include "cli/doctor_table.h"
#include "cli/output.h"
#include "cli/paths.h"

#define ATTACKED "sys_call_table"
#define EMULATED "run `make demo` in the source tree: it does the same in an emulated host"

struct demo {
	const char *kernel, *initrd, *qemu;
	uint32_t timeout; /* seconds */
	bool json;
	char dir[64], state[96], audit[96];
};

static const char *text_of(json_t *o, const char *name)
{
	const char *text = json_string_value(json_object_get(o, name));

	return text ? text : "-";
}

/* Keeps the first record of the write that was blocked at the table. */
static int find_blocked(void *ctx, json_t *o)
{
	json_t **found = ctx;

	if (!*found && !strcmp(text_of(o, "verdict"), "blocked") &&
	    !strcmp(text_of(json_object_get(o, "target"), "symbol"), ATTACKED))
		*found = json_incref(o);
	return 0;
}

static void line(const char *label, const char *text)
{
	char safe[512];

	rf_safe(safe, sizeof(safe), text);
	printf("  %-14s%s\n", label, safe);
}

static void place(const char *label, json_t *o)
{
	/* A module without symbols of its own is named "[module]" already. */
	bool module = json_object_get(o, "module") && text_of(o, "symbol")[0] != '[';
	char text[512];

	snprintf(text, sizeof(text), "%s+%s at %s%s%s", text_of(o, "symbol"), text_of(o, "offset"),
		 text_of(o, "addr"), module ? ", module " : "", module ? text_of(o, "module") : "");
	line(label, text);
}

static int report(const struct demo *d, json_t *record)
{
	json_t *task = json_object_get(record, "task");
	char text[256];

	if (d->json)
		return rf_print_json(json_pack("{s:b, s:s, s:O}", "blocked", 1, "attack",
					       "overwrite an entry of the system call table",
					       "record", record));
	printf("\n  BLOCKED\n\n");
	line("attack", "overwrite an entry of the system call table");
	place("target", json_object_get(record, "target"));
	place("writer", json_object_get(record, "writer"));
	line("instruction", text_of(record, "disassembly"));
	snprintf(text, sizeof(text), "%s -> %s (never written)", text_of(record, "old"),
		 text_of(record, "new"));
	line("bytes", text);
	snprintf(text, sizeof(text), "%s, pid %lld (claimed by the guest)", text_of(task, "comm"),
		 (long long)json_integer_value(json_object_get(task, "pid")));
	line("task", text);
	line("rule", text_of(record, "rule"));
	line("the guest got", text_of(record, "outcome"));
	line("recorded", text_of(record, "time"));
	printf("\n");
	return rf_flush();
}

/* The child: `ringfence run` with a small virtual machine. Its console goes where --json leaves it
 * room. */
static _Noreturn void become_run(const struct demo *d)
{
	/* clang-format off */
	const char *const argv[] = {
		"run", "--name", "demo", "--state", d->state, "--audit", d->audit, "--", d->qemu,
		"-M", "microvm,pit=off,pic=off,isa-serial=on", "-accel", "kvm", "-cpu", "host",
		"-m", "256", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
		"-serial", "stdio", "-kernel", d->kernel, "-initrd", d->initrd, "-append",
		"console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check reboot=t "
		"rf.mode=demo", NULL,
	};
	/* clang-format on */
	char *copy[sizeof(argv) / sizeof(argv[0])];

	if (d->json)
		dup2(STDERR_FILENO, STDOUT_FILENO);
	memcpy(copy, argv, sizeof(argv));
	_exit(rf_command_run.run((int)(sizeof(argv) / sizeof(argv[0])) - 1, copy));
}

/* Waits for the guest's end, the time limit included. 0 with a wait status, or -ETIMEDOUT. */
static int wait_for_end(const struct demo *d, pid_t pid, int *status)
{
	int64_t until = rf_now_ms() + (int64_t)d->timeout * 1000;
	pid_t n;

	while ((n = waitpid(pid, status, WNOHANG)) == 0 || (n < 0 && errno == EINTR)) {
		if (rf_now_ms() >= until) {
			/* `run` passes it on to the VMM. One that does not listen to it is not
			 * waited for. */
			kill(pid, SIGTERM);
			for (int i = 0; i < 50 && waitpid(pid, status, WNOHANG) == 0; i++)
				poll(NULL, 0, 100);
			return -ETIMEDOUT;
		}
		poll(NULL, 0, 50);
	}
	return n < 0 ? -errno : 0;
}

static int judge(const struct demo *d, int ended, int status)
{
	json_t *record = NULL;
	struct rf_log log;
	int code;

	if (!rf_log_open(d->audit, geteuid(), &log)) {
		rf_log_read(&log, find_blocked, &record);
		rf_log_finish(&log, find_blocked, &record);
		rf_log_close(&log);
	}
	if (record) {
		code = report(d, record);
		json_decref(record);
		return code;
	}
	if (ended)
		return rf_fail(RF_EXIT_NO,
			       "this host's KVM may be too slow, or unable to run stock guests",
			       EMULATED ", or give more time with --timeout",
			       "the guest did not end within %u s", d->timeout);
	if (WIFEXITED(status) && WEXITSTATUS(status) >= RF_EXIT_NOT_ATTACHED &&
	    WEXITSTATUS(status) <= RF_EXIT_NO_PROGRAM)
		return rf_fail(RF_EXIT_NO, "the guest was not run", "correct what is said above",
			       "the demo ended with status %d", WEXITSTATUS(status));
	return rf_fail(RF_EXIT_NO,
		       "nothing was blocked: this is a failure of the protection or of the guest",
		       "look at the guest's console above; the guest image must contain the attack",
		       "no record of a blocked write to %s", ATTACKED);
}

/* 0 when this host can, else the code to exit with. */
static int check_host(void)
{
	char detail[RF_DETAIL_MAX];
	struct rf_probe kvm;

	rf_probe_kvm("/dev/kvm", &kvm);
	for (const struct rf_facility *f = rf_facilities; f->name; f++)
		if (f->need == RF_NEED_REQUIRED &&
		    rf_facility_check(f, &kvm, detail) != RF_FACILITY_PRESENT)
			return rf_fail(RF_EXIT_NO, "the demo cannot run on this host itself",
				       EMULATED, "this host lacks: %s%s%s", f->name,
				       detail[0] ? ": " : "", detail);
	return 0;
}

static int run_demo(struct demo *d)
{
	int status = 0, ended, code;
	pid_t pid;

	snprintf(d->dir, sizeof(d->dir), "/tmp/ringfence-demo-XXXXXX");
	if (!mkdtemp(d->dir))
		return rf_fail(RF_EXIT_INTERNAL, "nothing was started", "make room in /tmp",
			       "cannot make a folder in /tmp: %s", strerror(errno));
	snprintf(d->state, sizeof(d->state), "%s/vm", d->dir);
	snprintf(d->audit, sizeof(d->audit), "%s/audit.jsonl", d->dir);
	rf_say("demo: 1. a stock kernel (%s) boots under protection", d->kernel);
	rf_say("demo: 2. it is found, its symbols are read from its memory, it is sealed");
	rf_say("demo: 3. it then attacks its own system call table");
	fflush(stdout);
	pid = fork();
	if (!pid)
		become_run(d);
	if (pid < 0) {
		rmdir(d->dir);
		return rf_fail(RF_EXIT_INTERNAL, "nothing was started", "free some memory",
			       "cannot start the demo: %s", strerror(errno));
	}
	ended = wait_for_end(d, pid, &status);
	rf_say("demo: 4. what the log says");
	code = judge(d, ended, status);
	if (code == RF_EXIT_OK) {
		unlink(d->audit);
		rmdir(d->dir);
	} else {
		rf_say("demo: the log is in %s", d->audit);
	}
	return code;
}

static int demo(int argc, char **argv)
{
	struct demo d = { .qemu = "qemu-system-x86_64", .timeout = 120 };
	struct rf_operands operands;
	int code;

	const struct rf_option options[] = {
		{ "kernel", 'k', RF_OPTION_TEXT, &d.kernel, 0, 0 },
		{ "initrd", 'i', RF_OPTION_TEXT, &d.initrd, 0, 0 },
		{ "qemu", 'q', RF_OPTION_TEXT, &d.qemu, 0, 0 },
		{ "timeout", 't', RF_OPTION_NUMBER, &d.timeout, 1, 86400 },
		{ "json", 'j', RF_OPTION_FLAG, &d.json, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_demo, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence demo --help`",
			       "demo: takes no \"%s\"", operands.items[0]);
	code = check_host();
	if (code)
		return code;
	if (!d.kernel || !d.initrd)
		return rf_fail(RF_EXIT_USAGE, "there is no guest to show it on",
			       "give --kernel and --initrd, or " EMULATED,
			       "demo: needs a kernel and a guest image");
	if (access(d.kernel, R_OK) || access(d.initrd, R_OK))
		return rf_fail(RF_EXIT_NOT_FOUND, "there is no guest to show it on",
			       "correct --kernel or --initrd, or " EMULATED,
			       "demo: cannot read %s: %s",
			       access(d.kernel, R_OK) ? d.kernel : d.initrd, strerror(errno));
	return run_demo(&d);
}

const struct rf_command rf_command_demo = {
	.name = "demo",
	.usage = "--kernel VMLINUZ --initrd IMAGE [--qemu PATH] [--timeout S] [--json]",
	.summary = "Boot a guest under protection, let it attack its kernel, show the record",
	.help = "  -k, --kernel FILE   a distribution's kernel, unmodified\n"
		"  -i, --initrd FILE   the demo's guest image (build/ of the source tree)\n"
		"  -q, --qemu PATH     the VMM (qemu-system-x86_64)\n"
		"  -t, --timeout S     seconds until the guest must have ended (120)\n"
		"  -j, --json          the record as JSON; the guest's console goes to stderr\n"
		"\n"
		"On a host without a KVM that runs stock guests, `make demo` in the source tree\n"
		"does the same in an emulated host. The exit code is 0 only when a write to\n"
		"sys_call_table was blocked and recorded.\n",
	.run = demo,
};
