// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdio.h>
#include <stdlib.h>

#include "cli/subject.h"
#include "introspection/checks/listing.h"

struct list {
	struct rf_task_row *rows;
	size_t count;
	int err; /* why, in words, there may be more of them */
	char why[RF_WHY];
};

static bool is_shown(const struct rf_task_row *t, bool threads)
{
	return threads || t->pid == t->tgid;
}

static json_t *row_json(const struct rf_task_row *t)
{
	const char state[2] = { t->state };

	return json_pack("{s:i,s:i,s:i,s:I,s:I,s:s,s:b,s:s,s:o}", "pid", t->tgid, "tid", t->pid,
			 "ppid", t->parent, "uid", (json_int_t)t->uid, "euid", (json_int_t)t->euid,
			 "state", state, "kernel_thread", t->is_kernel, "comm", t->comm, "task",
			 rf_address_json(t->at.v));
}

static int print_json(const struct rf_subject *s, const struct list *l, bool threads)
{
	json_t *o = rf_subject_json(s), *rows = json_array();

	for (size_t i = 0; i < l->count; i++)
		if (is_shown(&l->rows[i], threads))
			json_array_append_new(rows, row_json(&l->rows[i]));
	json_object_set_new(o, "complete", json_boolean(!l->err));
	json_object_set_new(o, "why", json_string(l->why));
	json_object_set_new(o, "tasks", rows);
	return rf_print_json(o);
}

static int add_row(struct rf_listing *t, const struct rf_task_row *row, bool threads)
{
	char pid[16], tid[16], parent[16], uid[16], euid[16];
	const char state[2] = { row->state }, *kind = row->is_kernel ? "kernel" : "user";

	snprintf(pid, sizeof(pid), "%d", row->tgid);
	snprintf(tid, sizeof(tid), "%d", row->pid);
	snprintf(parent, sizeof(parent), "%d", row->parent);
	snprintf(uid, sizeof(uid), "%u", row->uid);
	snprintf(euid, sizeof(euid), "%u", row->euid);
	if (threads)
		return rf_listing_row(
			t, (const char *[]){ pid, tid, parent, uid, euid, state, kind, row->comm });
	return rf_listing_row(t,
			      (const char *[]){ pid, parent, uid, euid, state, kind, row->comm });
}

static int print_table(const struct list *l, bool threads)
{
	static const char *const titles[] = {
		"PID", "PPID", "UID", "EUID", "STATE", "KIND", "COMM"
	};
	static const char *const with_threads[] = { "PID",  "TID",   "PPID", "UID",
						    "EUID", "STATE", "KIND", "COMM" };
	struct rf_listing *t = rf_listing_create(threads ? with_threads : titles, threads ? 8 : 7);
	int err = t ? 0 : -1;

	for (size_t i = 0; !err && i < l->count; i++)
		if (is_shown(&l->rows[i], threads))
			err = add_row(t, &l->rows[i], threads);
	return rf_subject_table(t, err);
}

struct asked {
	bool json, threads;
};

static int show(const struct rf_subject *s, char **operands, void *ctx)
{
	const struct asked *asked = ctx;
	struct list l = { 0 };
	struct rf_checks *c;
	int code = rf_subject_checks(s, NULL, &c);

	if (code != RF_EXIT_OK)
		return code;
	l.err = rf_list_tasks(c, &l.rows, &l.count, l.why);
	rf_checks_destroy(c);
	code = asked->json ? print_json(s, &l, asked->threads) : print_table(&l, asked->threads);
	free(l.rows);
	return code == RF_EXIT_OK ? rf_subject_complete("the list of tasks", l.err, l.why) : code;
}

static int ps(int argc, char **argv)
{
	struct rf_subject_options how = { 0 };
	struct rf_operands operands;
	struct asked asked = { 0 };
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &asked.json, 0, 0 },
		{ "threads", 0, RF_OPTION_FLAG, &asked.threads, 0, 0 },
		{ "raw", 0, RF_OPTION_FLAG, &how.raw, 0, 0 },
		{ "live", 0, RF_OPTION_FLAG, &how.live, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_ps, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(&rf_command_ps, &operands, 1, 1);
	return code >= 0 ? code : rf_subject_show(&operands, &how, show, &asked);
}

const struct rf_command rf_command_ps = {
	.name = "ps",
	.usage = "[--threads] [--raw] [--live] [--json] FILE",
	.summary = "Show the processes of the guest, in a dump of its memory or live",
	.help = "      --threads  each thread of each process\n"
		"      --raw      FILE is memory as it is, whatever it begins with\n"
		"      --live     FILE is the name of a VM that runs, whose kernel is sealed\n"
		"  -j, --json     all of it as JSON, with the address of each task_struct\n"
		"\n"
		"It is what the kernel's own list of tasks says, which a rootkit may have\n"
		"changed: `ringfence check FILE tasks-hidden creds-shared kthreads` compares\n"
		"it with other traces. STATE is the letter of ps(1), KIND says whether it is a\n"
		"thread of the kernel's own, UID is the real one.\n"
		"\n"
		"The exit code: 0; 3 there is no FILE; 6 FILE cannot be read or has no kernel\n"
		"in it, or the list is damaged: what could be read is shown.\n"
		"With --live: 3 there is no such VM; 4 its monitor does not answer, and what was\n"
		"shown is not all; 6 its kernel is not sealed, or is another one by now.\n",
	.run = ps,
};
