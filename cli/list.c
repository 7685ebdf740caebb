// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/about.h"
#include "cli/control.h"
#include "cli/output.h"
#include "cli/paths.h"

/* "sealed, log full": its decisions are counted only; "sealed, VMM silent": it was, when the fence
 * spoke last. */
static const char *state_of(const json_t *o, char out[64])
{
	const char *log = json_string_value(json_object_get(json_object_get(o, "log"), "state"));

	snprintf(out, 64, "%.32s%s%s", json_string_value(json_object_get(o, "state")) ?: "-",
		 log && !strcmp(log, "full") ? ", log full" : "",
		 json_is_true(json_object_get(o, "fence_silent")) ? ", VMM silent" : "");
	return out;
}

/* One row of the answer: what the folder says, and what the monitor says if it does. */
static json_t *describe(const struct rf_vm *vm)
{
	json_t *o = NULL, *status = NULL, *about;
	const char *state;
	int err = rf_control_ask(vm->state_dir, "status", &status);
	char text[256];

	snprintf(text, sizeof(text), "%s", vm->alive ? "monitor lost" : "dead");
	state = json_string_value(json_object_get(status, "state"));
	if (!err && state)
		rf_safe(text, sizeof(text), state);
	o = json_pack("{s:s, s:s, s:i, s:s, s:s}", "name", vm->name, "state", text, "vmm_pid",
		      vm->vmm_pid, "state_dir", vm->state_dir, "audit_log", vm->audit);
	about = rf_about(vm);
	json_object_update(o, about);
	json_decref(about);
	if (o && status) {
		json_object_set(o, "mode", json_object_get(status, "mode"));
		json_object_set(o, "audit", json_object_get(status, "audit"));
		json_object_set(o, "kernel", json_object_get(status, "kernel"));
		json_object_set(o, "log", json_object_get(status, "log"));
		json_object_set(o, "fence_silent", json_object_get(status, "fence_silent"));
	}
	json_decref(status);
	return o;
}

static int hidden(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static int collect(const char *base, json_t *vms)
{
	struct dirent **entries;
	int n = scandir(base, &entries, hidden, alphasort);
	int err = 0;

	if (n < 0)
		return errno == ENOENT ? 0 : -errno;
	for (int i = 0; i < n; i++) {
		char dir[PATH_MAX];
		struct rf_vm vm;

		if (!err && !rf_path_join(base, entries[i]->d_name, dir) && !rf_vm_read(dir, &vm) &&
		    json_array_append_new(vms, describe(&vm)))
			err = -ENOMEM;
		free(entries[i]);
	}
	free(entries);
	return err;
}

static int print_table(json_t *vms)
{
	static const char *const titles[] = { "NAME", "STATE",	"VMM",	       "BLOCKED", "MODE",
					      "UP",   "POLICY", "LAST DENIAL", "KERNEL" };
	struct rf_table *t = rf_table_create(titles, 9);
	size_t i;
	json_t *o;

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "there is no answer", "free some memory",
			       "no memory for the table");
	json_array_foreach(vms, i, o)
	{
		json_t *blocked = json_object_get(json_object_get(o, "audit"), "blocked");
		char pid[16], shown[64], count[24], kernel[48] = "-", up[32], policy[128],
						    denial[128];
		const char *banner = json_string_value(json_object_get(o, "kernel"));

		snprintf(pid, sizeof(pid), "%d",
			 (int)json_integer_value(json_object_get(o, "vmm_pid")));
		snprintf(count, sizeof(count), "%lld", (long long)json_integer_value(blocked));
		/* "Linux version 6.12.1-... (builder) ...": the first words name it. */
		if (banner && *banner) {
			rf_safe(kernel, sizeof(kernel), banner);
			if (strchr(kernel, '('))
				*strchr(kernel, '(') = '\0';
		}
		if (rf_table_row(t, (const char *[]){
					    json_string_value(json_object_get(o, "name")),
					    state_of(o, shown), pid, blocked ? count : NULL,
					    json_string_value(json_object_get(o, "mode")),
					    rf_about_uptime(o, up, sizeof(up)),
					    rf_about_policy(o, policy, sizeof(policy)),
					    rf_about_denial(o, denial, sizeof(denial)), kernel }))
			break;
	}
	rf_table_print(t);
	rf_table_destroy(t);
	return rf_flush();
}

static int list(int argc, char **argv)
{
	struct rf_operands operands;
	char base[PATH_MAX];
	const char *from = NULL;
	bool json = false;
	json_t *vms;
	int code, err;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ "state-base", 0, RF_OPTION_TEXT, &from, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_list, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code >= 0)
		return code;
	if (operands.count)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence list --help`",
			       "list: takes no \"%s\"", operands.items[0]);
	vms = json_array();
	err = from ? 0 : rf_state_base(base);
	if (!err)
		err = collect(from ? from : base, vms);
	/* Without a place for state nothing can have been started in it. */
	if (err && err != -ENOENT) {
		json_decref(vms);
		return rf_fail(RF_EXIT_INTERNAL, "it is not known which VMs run",
			       "run it as the user who started them", "cannot read %s: %s",
			       from ? from : base, strerror(-err));
	}
	if (json)
		return rf_print_json(vms);
	code = print_table(vms);
	json_decref(vms);
	return code;
}

const struct rf_command rf_command_list = {
	.name = "list",
	.usage = "[--json] [--state-base DIR]",
	.summary = "List this user's VMs and how each stands",
	.help = "  -j, --json            as JSON\n"
		"      --state-base DIR  folder of state folders (root: /run/ringfence,\n"
		"                        else $XDG_RUNTIME_DIR/ringfence)\n"
		"\n"
		"State: waiting (no VMM yet), booting, found (kernel seen), watched, sealed,\n"
		"unprotected (its kernel is not recognised, and the policy lets it run),\n"
		"halted (no vCPU runs; `ringfence status` says why and what to do);\n"
		"\"monitor lost\": its monitor does not answer; \"dead\": left behind by a crash.\n"
		"\"VMM silent\" behind it: the fence has said nothing for five seconds, as when\n"
		"the VMM is stopped; the state is what it was then.\n"
		"\"log full\" behind it: decisions are counted only (`ringfence status`).\n",
	.run = list,
};
