// SPDX-License-Identifier: LGPL-2.1-or-later
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/about.h"
#include "cli/control.h"
#include "cli/list_users.h"
#include "cli/output.h"
#include "cli/paths.h"

/* Other users decide how many they have and how fast they answer; theirs are bounded together. */
#define USERS 4096
#define OTHERS_VMS 256
#define OTHERS_MS 20000
#define USER_MS RF_CONTROL_TIMEOUT_MS
#define VMS 1024 /* looked at in one folder */

struct listing {
	json_t *vms;
	int64_t until;	 /* monitors are asked, 0: without end */
	size_t room;	 /* for so many more */
	bool incomplete; /* there was none */
};

/* Whoever made a folder may have given it a name that is no text, and JSON takes none. */
static json_t *path_json(const char *path)
{
	char safe[PATH_MAX];
	json_t *o = json_string(path);

	if (o)
		return o;
	rf_safe(safe, sizeof(safe), path);
	return json_string(safe);
}

/* One row of the answer: what the folder says, and what the monitor says if it does. */
static json_t *describe(const struct rf_vm *vm, int64_t until)
{
	int64_t left = until ? until - rf_now_ms() : RF_CONTROL_TIMEOUT_MS;
	json_t *o = NULL, *status = NULL, *about;
	char text[256], user[RF_USER_TEXT];
	const char *state;
	int err = left <= 0 ? -ETIME : rf_control_ask_within(vm, "status", left, &status);

	snprintf(text, sizeof(text), "%s",
		 !vm->alive	 ? "dead"
		 : err == -ETIME ? "not asked"
		 : err == -EPERM ? "not its owner's"
				 : "monitor lost");
	state = json_string_value(json_object_get(status, "state"));
	if (!err && state)
		rf_safe(text, sizeof(text), state);
	o = json_pack("{s:s, s:s, s:s, s:I, s:i, s:o, s:o}", "name", vm->name, "state", text,
		      "user", rf_user_text(vm->folder.owner, user), "uid",
		      (json_int_t)vm->folder.owner, "vmm_pid", vm->vmm_pid, "state_dir",
		      path_json(vm->state_dir), "audit_log", path_json(vm->audit));
	about = rf_about(vm);
	json_object_update(o, about);
	json_decref(about);
	if (o && status) {
		json_object_set(o, "mode", json_object_get(status, "mode"));
		json_object_set(o, "audit", json_object_get(status, "audit"));
		json_object_set(o, "kernel", json_object_get(status, "kernel"));
		json_object_set(o, "log", json_object_get(status, "log"));
		json_object_set(o, "fence_silent", json_object_get(status, "fence_silent"));
		json_object_set(o, "control_watch", json_object_get(status, "control_watch"));
	}
	json_decref(status);
	return o;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names in a folder, VMS at most. How many, or -errno. */
static int names_in(const struct rf_folder *f, struct listing *l, char *names[VMS])
{
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), n = 0;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *e;

	if (!d) {
		n = -errno;
		if (fd >= 0)
			close(fd);
		return n;
	}
	while (n < VMS && (e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		names[n] = strdup(e->d_name);
		if (!names[n])
			break;
		n++;
	}
	l->incomplete |= n == VMS;
	closedir(d);
	qsort(names, (size_t)n, sizeof(*names), by_name);
	return n;
}

/* Closes the folder. */
static int collect(struct rf_folder *f, const char *base, struct listing *l)
{
	static char *names[VMS];
	int n = names_in(f, l, names), err = n < 0 ? n : 0;
	struct rf_why why;
	struct rf_vm vm;

	for (int i = 0; i < n; i++) {
		if (!err && !rf_vm_read_in(f, base, names[i], &why, &vm)) {
			if (!l->room)
				l->incomplete = true;
			else if (json_array_append_new(l->vms, describe(&vm, l->until)))
				err = -ENOMEM;
			else
				l->room--;
			rf_vm_close(&vm);
		}
		free(names[i]);
	}
	rf_folder_close(f);
	return err;
}

static void collect_others(struct listing *l)
{
	static uid_t users[USERS];
	size_t n = rf_users_find(users, USERS);
	int64_t end = rf_now_ms() + OTHERS_MS;

	l->room = OTHERS_VMS;
	for (size_t i = 0; i < n; i++) {
		int64_t now = rf_now_ms();

		l->until = now + USER_MS < end ? now + USER_MS : end;
		for (unsigned int which = 0; which < RF_USERS_BASES; which++) {
			char base[PATH_MAX];
			struct rf_folder f;

			if (!rf_users_base(users[i], which, base, &f))
				collect(&f, base, l);
		}
	}
}

static int print_table(json_t *vms)
{
	static const char *const titles[] = { "NAME", "STATE", "USER",	 "VMM",		"BLOCKED",
					      "MODE", "UP",    "POLICY", "LAST DENIAL", "KERNEL" };
	struct rf_listing *t = rf_listing_create(titles, 10);
	size_t i;
	json_t *o;

	if (!t)
		return rf_fail(RF_EXIT_INTERNAL, "there is no answer", "free some memory",
			       "no memory for the table");
	json_array_foreach(vms, i, o)
	{
		json_t *blocked = json_object_get(json_object_get(o, "audit"), "blocked");
		char pid[16], shown[RF_ABOUT_STATE], count[24], kernel[48] = "-", up[32],
								policy[128], denial[128];
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
		if (rf_listing_row(t, (const char *[]){
					      json_string_value(json_object_get(o, "name")),
					      rf_about_state(o, shown),
					      json_string_value(json_object_get(o, "user")), pid,
					      blocked ? count : NULL,
					      json_string_value(json_object_get(o, "mode")),
					      rf_about_uptime(o, up, sizeof(up)),
					      rf_about_policy(o, policy, sizeof(policy)),
					      rf_about_denial(o, denial, sizeof(denial)), kernel }))
			break;
	}
	rf_listing_print(t);
	rf_listing_destroy(t);
	return rf_flush();
}

/* RF_EXIT_OK or the exit code of the error that was printed. */
static int find_all(const char *from, struct listing *l)
{
	char base[PATH_MAX];
	struct rf_folder f;
	struct rf_why why;
	int err = from ? 0 : rf_state_base(base);

	if (!err)
		err = rf_folder_open(from ? from : base, RF_WAY_OTHERS, &why, &f);
	if (!err) {
		err = collect(&f, from ? from : base, l);
		snprintf(why.what, sizeof(why.what), "%s", strerror(-err));
	}
	/* Without a place for state nothing can have been started in it. */
	if (err && err != -ENOENT)
		return rf_fail(RF_EXIT_INTERNAL, "it is not known which VMs run",
			       "run it as the user who started them", "cannot read %s: %s",
			       from ? from : base, why.what);
	if (!from && geteuid() == 0)
		collect_others(l);
	return RF_EXIT_OK;
}

static int list(int argc, char **argv)
{
	struct listing l = { .room = SIZE_MAX };
	struct rf_operands operands;
	const char *from = NULL;
	bool json = false;
	int code;

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
	l.vms = json_array();
	code = find_all(from, &l);
	if (code == RF_EXIT_OK && json)
		code = rf_print_json(json_incref(l.vms));
	else if (code == RF_EXIT_OK)
		code = print_table(l.vms);
	json_decref(l.vms);
	if (l.incomplete)
		rf_say("there are more VMs than are shown: see `ringfence list --state-base`");
	return code;
}

const struct rf_command rf_command_list = {
	.name = "list",
	.usage = "[--json] [--state-base DIR]",
	.summary = "List this user's VMs, for root all users', and how each stands",
	.help = "  -j, --json            as JSON\n"
		"      --state-base DIR  folder of state folders (root: /run/ringfence, then "
		"other\n"
		"                        users'; else $XDG_RUNTIME_DIR/ringfence; without that\n"
		"                        /run/user/UID/ringfence or /tmp/ringfence-UID)\n"
		"\n"
		"State: waiting (no VMM yet), booting, found (kernel seen), watched, sealed,\n"
		"unprotected (its kernel is not recognised, and the policy lets it run),\n"
		"halted (no vCPU runs; `ringfence status` says why and what to do);\n"
		"\"monitor lost\": its monitor does not answer; \"dead\": left behind by a crash;\n"
		"\"not asked\": another user's, whose monitors have taken two seconds already;\n"
		"\"not its owner's\": somebody else listens there.\n"
		"\"VMM silent\" behind it: the fence has said nothing for five seconds, as when\n"
		"the VMM is stopped; the state is what it was then.\n"
		"\"log full\" behind it: decisions are counted only (`ringfence status`).\n"
		"\"watch lost\": CR0 and CR4 were watched, and are not; \"watch unknown\":\n"
		"nobody has said so for five seconds.\n",
	.run = list,
};
