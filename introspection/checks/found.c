// SPDX-License-Identifier: LGPL-2.1-or-later
/* What a check says of what it has found, and the judgement that most of them share. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/impl.h"
#include "introspection/kernel_internal.h"

void rf_run_saw(struct rf_run *run)
{
	run->looked_at++;
}

uint64_t rf_run_looked_at(const struct rf_run *run)
{
	return run->looked_at;
}

static void describe_owner(const struct rf_owner *o, char *out, size_t size)
{
	switch (o->code) {
	case RF_CODE_CORE:
		snprintf(out, size, "the kernel");
		break;
	case RF_CODE_MODULE:
		snprintf(out, size, "module %s", o->name);
		break;
	case RF_CODE_BPF:
		snprintf(out, size, "BPF program %s", o->name);
		break;
	default:
		snprintf(out, size, "nobody");
	}
}

/* As much as can be had: a finding is told without, too. */
static void add_target(struct rf_run *run, struct rf_check_finding *f)
{
	struct rf_owner owner;
	struct rf_symbol s;
	uint64_t offset, at = run->at;

	if (!rf_run_owner(run, f->target.v, &owner))
		describe_owner(&owner, f->owner, sizeof(f->owner));
	if (!rf_kernel_symbolize(run->c->k, f->target, &s, &offset))
		snprintf(f->symbol, sizeof(f->symbol), "%.80s+%#llx", s.name,
			 (unsigned long long)offset);
	if (!rf_run_read(run, f->target.v, f->bytes, sizeof(f->bytes)))
		f->bytes_count = sizeof(f->bytes);
	run->at = at;
}

static void make(struct rf_run *run, uint64_t object, const char *what, uint64_t target,
		 const char *reason, struct rf_check_finding *f)
{
	*f = (struct rf_check_finding){ .check = run->check,
					.object = { object },
					.target = { target } };
	snprintf(f->what, sizeof(f->what), "%s", what);
	snprintf(f->reason, sizeof(f->reason), "%s", reason);
	if (target)
		add_target(run, f);
	/* Names of symbols may be any bytes. */
	rf_guest_text(f->what, sizeof(f->what), f->what, sizeof(f->what));
	rf_guest_text(f->symbol, sizeof(f->symbol), f->symbol, sizeof(f->symbol));
}

static int tell(struct rf_run *run, uint64_t object, const char *what, uint64_t target,
		const char *reason)
{
	struct rf_check_finding f;

	make(run, object, what, target, reason, &f);
	run->stopped = run->each(run->each_ctx, &f);
	return run->stopped;
}

int rf_run_found(struct rf_run *run, uint64_t object, const char *what, uint64_t target,
		 const char *reason)
{
	run->found++;
	if (run->each)
		return tell(run, object, what, target, reason);
	if (run->found <= RF_FINDINGS_MAX)
		make(run, object, what, target, reason, &run->findings[run->found - 1]);
	return 0;
}

int rf_run_fine(struct rf_run *run, uint64_t object, const char *what, uint64_t target)
{
	return run->each ? tell(run, object, what, target, "") : 0;
}

int rf_run_code(struct rf_run *run, uint64_t at, uint64_t target, const char *what)
{
	struct rf_owner o;
	int err;

	if (!target)
		return 0;
	rf_run_saw(run);
	err = rf_run_owner(run, target, &o);
	if (err)
		return err;
	if (o.vouched)
		return rf_run_fine(run, at, what, target);
	if (o.code == RF_CODE_NOBODY)
		return rf_run_found(run, at, what, target,
				    "it leads to memory whose code is nobody's");
	if (o.code == RF_CODE_MODULE)
		return rf_run_found(run, at, what, target,
				    "it leads into a module that nobody vouches for");
	return rf_run_found(run, at, what, target, "it leads into a BPF program that is not known");
}

int rf_run_core_code(struct rf_run *run, uint64_t at, uint64_t target, const char *what)
{
	rf_run_saw(run);
	if (!target)
		return 0;
	if (rf_run_in_text(run, target))
		return rf_run_fine(run, at, what, target);
	return rf_run_found(run, at, what, target, "it leads out of the text of the kernel");
}

struct table {
	struct rf_run *run;
	uint64_t at;
	const char *what;
};

static int look_at_member(void *ctx, uint64_t offset, const char *name)
{
	const struct table *t = ctx;
	uint64_t target;
	char what[96];
	int err = rf_run_u64(t->run, t->at + offset, &target);

	snprintf(what, sizeof(what), "%s of %.60s", name, t->what);
	return err ? err : rf_run_code(t->run, t->at + offset, target, what);
}

int rf_run_functions(struct rf_run *run, const char *type, uint64_t at, const char *what)
{
	struct table t = { run, at, what };
	int err = rf_kernel_functions(run->c->k, type, look_at_member, &t);

	if (err == -ENOENT || !rf_kernel_has_types(run->c->k))
		return rf_run_lacks(run, "the kernel's types have no struct %s", type);
	return err;
}

int rf_run_table(struct rf_run *run, const char *type, uint64_t object, uint64_t table,
		 const char *what)
{
	unsigned int slot = (table / 8) % RF_JUDGED;
	uint64_t found = run->found;
	struct rf_owner o;
	int err;

	if (!table || (run->judged[slot].table == table && !strcmp(run->judged[slot].type, type)))
		return 0;
	rf_run_saw(run);
	/* Some of the kernel's own lie in its data; none of them in memory that was allocated. */
	if (rf_kernel_image_gpa(run->c->k, rf_gva_of(table), &(rf_gpa){ 0 })) {
		err = rf_run_owner(run, table, &o);
		if (err)
			return err;
		if (o.code == RF_CODE_NOBODY)
			return rf_run_found(run, object, what, table,
					    "its operations lie in memory that is nobody's");
		if (!o.vouched)
			return rf_run_found(
				run, object, what, table,
				"its operations lie in a module that nobody vouches for");
	}
	err = rf_run_functions(run, type, table, what);
	if (!err && run->found == found) {
		run->judged[slot].table = table;
		run->judged[slot].type = type;
	}
	return err;
}
