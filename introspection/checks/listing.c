// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/checks/listing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/checks/each_task.h"
#include "introspection/checks/impl.h"
#include "introspection/kernel_internal.h"

/* Of guest memory: some ten a task, two a character of its name. */
#define TASK_READS (UINT64_C(1) << 24)
#define MODULE_READS (UINT64_C(1) << 20)

struct rows {
	void *v;
	size_t count, room, size, max; /* size: bytes of one */
};

/* A new one, zeroed; NULL: *err says why. */
static void *add(struct rows *r, int *err)
{
	size_t room = r->room ? r->room * 2 : 64;
	void *v;

	if (r->count == r->max) {
		*err = -E2BIG;
		return NULL;
	}
	if (r->count == r->room) {
		v = reallocarray(r->v, room, r->size);
		if (!v) {
			*err = -ENOMEM;
			return NULL;
		}
		r->v = v;
		r->room = room;
	}
	v = (char *)r->v + r->count++ * r->size;
	memset(v, 0, r->size);
	return v;
}

/* --- tasks ---------------------------------------------------------------------------- */

struct tasks {
	struct rf_tasks l;
	uint64_t state, exit_state, parent, uid, euid;
	struct rows rows;
};

static int lay_out_tasks(struct rf_run *run, struct tasks *t)
{
	int err;

	/* `state` to 5.13 */
	(void)((err = rf_run_tasks_layout(run, &t->l)) ||
	       (err = rf_run_member(run, "task_struct", "__state|state", 0, &t->state)) ||
	       (err = rf_run_member(run, "task_struct", "exit_state", 4, &t->exit_state)) ||
	       (err = rf_run_member(run, "task_struct", "real_parent", 8, &t->parent)) ||
	       (err = rf_run_member(run, "cred", "uid", 4, &t->uid)) ||
	       (err = rf_run_member(run, "cred", "euid", 4, &t->euid)));
	return err;
}

/* As __task_state_index() has it (include/linux/sched.h). */
static char letter_of(uint32_t state, uint32_t exit_state)
{
	static const char letters[] = "RSDTtXZPI";
	const uint32_t idle = 0x402, waits_for_lock = 0x1000, frozen = 0x8000;
	uint32_t reported = (state | exit_state) & 0x7f;

	if ((state & idle) == idle)
		return 'I';
	if (state & (waits_for_lock | frozen))
		reported |= 2;
	return reported ? letters[32 - __builtin_clz(reported)] : letters[0];
}

static int read_state(struct rf_run *run, const struct tasks *t, uint64_t task, char *out)
{
	uint32_t state, exit_state;
	int err = rf_run_u32(run, task + t->state, &state);

	if (!err)
		err = rf_run_u32(run, task + t->exit_state, &exit_state);
	if (!err)
		*out = letter_of(state, exit_state);
	return err;
}

static int read_creds(struct rf_run *run, const struct tasks *t, uint64_t task,
		      struct rf_task_row *out)
{
	uint64_t cred;
	int err = rf_run_u64(run, task + t->l.real_cred, &cred);

	if (!err)
		err = rf_run_u32(run, cred + t->uid, &out->uid);
	return err ? err : rf_run_u32(run, cred + t->euid, &out->euid);
}

static int read_parent(struct rf_run *run, const struct tasks *t, uint64_t task, int32_t *out)
{
	uint64_t parent;
	int err = rf_run_u64(run, task + t->parent, &parent);

	return err || !parent ? err : rf_run_u32(run, parent + t->l.tgid, (uint32_t *)out);
}

static int add_task(struct rf_run *run, uint64_t task, void *ctx)
{
	struct tasks *t = ctx;
	int err = 0;
	struct rf_task_row *row = add(&t->rows, &err);

	if (!row)
		return err;
	row->at.v = task;
	(void)((err = rf_run_u32(run, task + t->l.pid, (uint32_t *)&row->pid)) ||
	       (err = rf_run_u32(run, task + t->l.tgid, (uint32_t *)&row->tgid)) ||
	       (err = rf_run_text(run, task + t->l.comm, row->comm, sizeof(row->comm))) ||
	       (err = rf_run_task_is_kernel(run, &t->l, task, &row->is_kernel)) ||
	       (err = read_parent(run, t, task, &row->parent)) ||
	       (err = read_creds(run, t, task, row)) ||
	       (err = read_state(run, t, task, &row->state)));
	if (err)
		t->rows.count--;
	return err;
}

static int ask_for_tasks(struct rf_run *run, void *ctx)
{
	struct tasks *t = ctx;
	int err = lay_out_tasks(run, t);

	t->rows.count = 0;
	return err ? err : rf_run_tasks(run, &t->l, add_task, t);
}

int rf_list_tasks(struct rf_checks *c, struct rf_task_row **out, size_t *count, char why[RF_WHY])
{
	struct tasks t = { .rows = { .size = sizeof(**out), .max = RF_TASKS_MAX } };
	int err = rf_checks_ask(c, TASK_READS, ask_for_tasks, &t, why);

	*out = t.rows.v;
	*count = t.rows.count;
	return err;
}

/* --- modules ---------------------------------------------------------------------------- */

struct modules {
	uint64_t state, taints;
	struct rows rows;
};

static int read_parts(struct rf_run *run, struct rf_module_row *row)
{
	unsigned int parts = run->c->k->module.part_count;
	struct rf_range part;
	int err = 0;

	/* The first is the text, or holds it (introspection/module.c). */
	for (unsigned int i = 0; !err && i < parts; i++) {
		err = rf_run_module_part(run, row->at.v, i, &part);
		if (err)
			break;
		row->size += part.end - part.start;
		if (!i)
			row->base.v = part.start;
	}
	return err;
}

static int add_module(struct rf_run *run, const struct rf_module_claim *claim, void *ctx)
{
	static const char letters[] = "LCG"; /* enum module_state */
	struct modules *m = ctx;
	uint32_t state;
	int err = 0;
	struct rf_module_row *row = add(&m->rows, &err);

	if (!row)
		return err;
	row->at.v = claim->at;
	row->vouched = claim->vouched;
	memcpy(row->name, claim->name, sizeof(row->name));
	(void)((err = rf_run_u32(run, claim->at + m->state, &state)) ||
	       (err = rf_run_u64(run, claim->at + m->taints, &row->taints)) ||
	       (err = read_parts(run, row)));
	if (err)
		m->rows.count--;
	else
		row->state = state < 3 ? letters[state] : '?';
	return err;
}

static int ask_for_modules(struct rf_run *run, void *ctx)
{
	struct modules *m = ctx;
	int err;

	m->rows.count = 0;
	if ((err = rf_run_member(run, "module", "state", 4, &m->state)) ||
	    (err = rf_run_member(run, "module", "taints", 8, &m->taints)))
		return err;
	if (!run->c->k->module.known)
		return rf_run_lacks(run, "the kernel's types do not say where a module lies");
	return rf_run_modules(run, add_module, m);
}

int rf_list_modules(struct rf_checks *c, struct rf_module_row **out, size_t *count,
		    char why[RF_WHY])
{
	struct modules m = { .rows = { .size = sizeof(**out), .max = RF_MODULES_MAX } };
	int err = rf_checks_ask(c, MODULE_READS, ask_for_modules, &m, why);

	*out = m.rows.v;
	*count = m.rows.count;
	return err;
}
