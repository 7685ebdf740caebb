// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/about.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/process.h"

static void print_value(const char *label, const json_t *v)
{
	char text[512] = "-";

	if (json_is_string(v) && json_string_length(v))
		rf_safe(text, sizeof(text), json_string_value(v));
	else if (json_is_integer(v))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(v));
	else if (json_is_real(v))
		snprintf(text, sizeof(text), "%.1f", json_real_value(v));
	printf("%-18s%s\n", label, text);
}

/* Members of an object of numbers on one line: "allowed 3, blocked 1". */
static void print_numbers(const char *label, json_t *o)
{
	const char *name, *comma = "";
	json_t *v;

	printf("%-18s", label);
	json_object_foreach(o, name, v)
	{
		char safe[64];

		rf_safe(safe, sizeof(safe), name);
		printf("%s%s %lld", comma, safe, (long long)json_integer_value(v));
		comma = ", ";
	}
	printf("%s\n", *comma ? "" : "-");
}

static int print_regions(json_t *regions)
{
	static const char *const titles[] = { "REGION", "GUEST ADDRESS", "PHYSICAL", "KIB",
					      "SHA-256" };
	struct rf_listing *t;
	size_t i;
	json_t *o;

	if (!json_array_size(regions))
		return 0;
	t = rf_listing_create(titles, 5);
	if (!t)
		return -ENOMEM;
	json_array_foreach(regions, i, o)
	{
		char kib[24], digest[17] = "-";
		const char *sha = json_string_value(json_object_get(o, "sha256"));

		snprintf(kib, sizeof(kib), "%lld",
			 (long long)json_integer_value(json_object_get(o, "size")) / 1024);
		if (sha && *sha)
			snprintf(digest, sizeof(digest), "%s", sha);
		if (rf_listing_row(t,
				   (const char *[]){ json_string_value(json_object_get(o, "kind")),
						     json_string_value(json_object_get(o, "gva")),
						     json_string_value(json_object_get(o, "gpa")),
						     kib, digest }))
			break;
	}
	putchar('\n');
	rf_listing_print(t);
	rf_listing_destroy(t);
	return 0;
}

/* Of a VM that does not run as it should: why, and what to do. */
static void print_why(json_t *o)
{
	char state;
	static const struct {
		const char *watch, *means;
	} watches[] = {
		{ "lost",
		  "what clears a pinned bit of CR0 or CR4 is not undone; the log's last record of "
		  "kind control-watch says why. As root: ringfence doctor" },
		{ "unknown",
		  "the VM's `ringfence run`, which looks each second, is gone or hangs" },
	};
	static const struct {
		const char *member, *label, *todo;
	} reasons[] = {
		{ "halted", "why no vCPU runs", RF_HALTED_TODO },
		{ "unprotected", "UNPROTECTED",
		  "end the VM; or report where the kernel is from and the line above, to have it "
		  "recognised" },
		{ "awaiting", "waits for",
		  "nothing while the VMM starts or loads; else let it run (`cont`), load the state "
		  "again, or reset it" },
	};

	if (rf_process_stat((pid_t)json_integer_value(json_object_get(o, "vmm_pid")), &state,
			    NULL) &&
	    state == 'T')
		printf("%-18sthe VMM is stopped (SIGSTOP): for what a check has found, a watch "
		       "that is lost, or by somebody; `ringfence run` and the log say\n"
		       "%-18s`kill -CONT` of the VMM process resumes it, `ringfence stop` ends "
		       "it\n",
		       "stands still", "to do");
	for (size_t i = 0; i < sizeof(watches) / sizeof(watches[0]); i++)
		if (!strcmp(json_string_value(json_object_get(o, "control_watch")) ?: "",
			    watches[i].watch))
			printf("%-18s%s\n", "watch", watches[i].means);
	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		json_t *why = json_object_get(o, reasons[i].member);

		if (!json_string_length(why))
			continue;
		print_value(reasons[i].label, why);
		printf("%-18s%s\n", "to do", reasons[i].todo);
	}
}

/* Those that are on in a line, and why each of the others is not. */
static void print_guards(json_t *guards)
{
	const char *name, *between = "";
	json_t *how;

	if (!json_object_size(guards))
		return;
	printf("%-18s", "guards");
	json_object_foreach(guards, name, how)
	{
		if (strcmp(json_string_value(how) ?: "", "on"))
			continue;
		printf("%s%s", between, name);
		between = ", ";
	}
	putchar('\n');
	json_object_foreach(guards, name, how)
	{
		if (strcmp(json_string_value(how) ?: "", "on"))
			printf("%-18s%s: %s\n", "guard off", name, json_string_value(how) ?: "-");
	}
}

/* All of this is as old as the fence's last word. */
static void print_fence(json_t *o)
{
	double silent = json_real_value(json_object_get(o, "fence_silent_s"));

	if (json_is_true(json_object_get(o, "fence_silent")))
		printf("%-18sthe VMM has said nothing for %.0f s (is it stopped?): what stands "
		       "here was so then\n",
		       "fence", silent);
	else
		printf("%-18s%s\n", "fence",
		       json_is_real(json_object_get(o, "fence_silent_s")) ? "answers" : "-");
}

/* What walks the guest, beside the monitor. */
static void print_sweeper(json_t *sweeper)
{
	json_int_t pid = json_integer_value(json_object_get(sweeper, "pid"));
	json_int_t started = json_integer_value(json_object_get(sweeper, "started"));
	double silent = json_real_value(json_object_get(sweeper, "silent_s"));

	printf("%-18s", "sweeper");
	if (!sweeper)
		printf("-\n");
	else if (json_is_true(json_object_get(sweeper, "alone")))
		printf("none: the monitor does its work\n");
	else if (!pid)
		printf("is being started\n");
	else if (silent > 3)
		printf("process %lld has said nothing for %.0f s: nothing is swept\n",
		       (long long)pid, silent);
	else
		printf("process %lld, %lld KiB%s\n", (long long)pid,
		       (long long)json_integer_value(json_object_get(sweeper, "rss_kib")),
		       json_is_true(json_object_get(sweeper, "follows"))
			       ? ""
			       : ", does not know the kernel yet: nothing is swept");
	if (started > 1)
		printf("%-18s%lld times\n", "sweeper started", (long long)started);
}

/* What no patch is allowed at, though the kernel lists it: a line for each reason. */
static void print_left_out(json_t *all)
{
	char reason[64], why[256], first[192];
	size_t i;
	json_t *o;

	if (!json_array_size(all))
		printf("%-18s%s\n", "sites left out", json_is_array(all) ? "none" : "-");
	json_array_foreach(all, i, o)
	{
		json_t *count = json_object_get(o, "count");

		printf("%-18s", "sites left out");
		if (json_is_integer(count))
			printf("%lld ", (long long)json_integer_value(count));
		rf_safe(reason, sizeof(reason),
			json_string_value(json_object_get(o, "reason")) ?: "-");
		rf_safe(why, sizeof(why), json_string_value(json_object_get(o, "why")) ?: "-");
		rf_safe(first, sizeof(first), json_string_value(json_object_get(o, "first")) ?: "");
		printf("%s: %s%s%s\n", reason, why, *first ? "; the first is " : "", first);
	}
}

/* What the monitor does not know: where its policy is from, since when the VM runs, and what was
 * denied last, be it by an earlier monitor. */
static void print_about(const json_t *o)
{
	char text[512];
	const char *sha256 =
		json_string_value(json_object_get(json_object_get(o, "policy_from"), "sha256"));

	printf("%-18s%s\n", "up", rf_about_uptime(o, text, sizeof(text)));
	printf("%-18s%s\n", "policy", rf_about_policy(o, text, sizeof(text)));
	if (sha256 && *sha256) {
		rf_safe(text, sizeof(text), sha256);
		printf("%-18s%s\n", "policy sha256", text);
	}
	printf("%-18s%s\n", "last denial", rf_about_denial(o, text, sizeof(text)));
}

/* Whether each decision is on record, and how many are so as counts alone. */
static void print_log(json_t *log)
{
	json_int_t since = json_integer_value(json_object_get(log, "since"));
	json_int_t folded = json_integer_value(json_object_get(log, "folded"));
	json_int_t patches = json_integer_value(json_object_get(log, "patches_lost"));
	const char *state = json_string_value(json_object_get(log, "state")) ?: "-";
	char cause[128], when[32] = "-";
	time_t at = (time_t)since;
	struct tm tm;

	if (gmtime_r(&at, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	rf_safe(cause, sizeof(cause), json_string_value(json_object_get(log, "cause")) ?: "-");
	if (strcmp(state, "full") != 0)
		printf("%-18s%s\n", "log", strcmp(state, "ok") ? "-" : "ok");
	else
		printf("%-18sFULL since %s (%s): %lld decisions counted only, %lld other lines "
		       "lost\n%-18s%s\n",
		       "log", when, cause,
		       (long long)json_integer_value(json_object_get(log, "counted_only")),
		       (long long)json_integer_value(json_object_get(log, "lines_lost")), "to do",
		       "have it go on in a new file: ringfence audit rotate NAME; or give it a "
		       "larger log_quota_mb: ringfence policy reload NAME FILE; or make room in "
		       "its file system");
	if (folded)
		printf("%-18s%lld decisions\n", "folded", (long long)folded);
	if (patches)
		printf("%-18s%lld legal patches, as the patch log takes nothing\n", "counted only",
		       (long long)patches);
}

static int print_status(json_t *o)
{
	static const struct {
		const char *label, *member;
	} values[] = {
		{ "name", "name" },
		{ "state", "state" },
		{ "guest kernel", "kernel" },
		{ "vCPUs", "vcpus" },
		{ "VMM process", "vmm_pid" },
		{ "monitor process", "monitor_pid" },
		{ "monitor KiB", "monitor_rss_kib" },
		{ "sealed copy KiB", "private_copy_kib" },
		{ "discovery ms", "discovery_ms" },
		{ "seal ms", "seal_ms" },
		{ "control watch", "control_watch" },
		{ "control pinned", "control_pinned" },
		{ "mode", "mode" },
		{ "on_denied", "on_denied" },
		{ "patches denied", "patches_denied" },
		{ "on_denied_patch", "on_denied_patch" },
		{ "on_kexec", "on_kexec" },
		{ "on_mismatch", "on_mismatch" },
		{ "on_unknown_kernel", "on_unknown_kernel" },
		{ "on_log_full", "on_log_full" },
	};
	json_t *expect = json_object_get(o, "expect");
	char state[RF_ABOUT_STATE];
	int err;

	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (strcmp(values[i].member, "state") != 0) {
			print_value(values[i].label, json_object_get(o, values[i].member));
		} else {
			printf("%-18s%s\n", "state", rf_about_state(o, state));
			print_why(o);
			print_fence(o);
			print_about(o);
		}
		if (!strcmp(values[i].member, "monitor_rss_kib"))
			print_sweeper(json_object_get(o, "sweeper"));
	}
	printf("%-18s%s\n", "--expect",
	       json_is_true(expect) ? "given: what arrives is compared"
	       : expect		    ? "not given: nothing is compared"
				    : "-");
	print_guards(json_object_get(o, "guards"));
	print_numbers("decisions", json_object_get(o, "audit"));
	print_log(json_object_get(o, "log"));
	print_numbers("patches", json_object_get(o, "patches"));
	print_left_out(json_object_get(o, "sites_left_out"));
	print_numbers("counters", json_object_get(o, "counters"));
	err = print_regions(json_object_get(o, "regions"));
	json_decref(o);
	if (err)
		return rf_fail(RF_EXIT_INTERNAL, "the answer is not complete", "free some memory",
			       "no memory for the table");
	return rf_flush();
}

static int status(int argc, char **argv)
{
	struct rf_operands operands;
	bool json = false;
	struct rf_vm vm;
	json_t *o, *about;
	int code, err;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_status, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	code = rf_vm_operand(&rf_command_status, &operands, &vm);
	if (code != RF_EXIT_OK)
		return code;
	err = rf_control_ask(&vm, "status", &o);
	if (err)
		return rf_vm_silent(&vm, err,
				    "what was sealed stays sealed; how it stands is not known");
	about = rf_about(&vm);
	json_object_update(o, about);
	json_decref(about);
	return json ? rf_print_json(o) : print_status(o);
}

const struct rf_command rf_command_status = {
	.name = "status",
	.usage = "[--json] NAME|STATE-FOLDER",
	.summary = "Show how one VM stands: state, kernel, sealed regions, counters",
	.help = "  -j, --json   the monitor's whole answer as JSON, and what it does not\n"
		"               know: policy_from, uptime_s, last_denial\n",
	.run = status,
};
