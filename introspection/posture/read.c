// SPDX-License-Identifier: LGPL-2.1-or-later
/* Readings of symbols, types and variables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/posture/impl.h"

/* Text and errors alike: run says that it lacks these names. */
static int find(struct rf_look *l, const char *names, uint64_t *at, char found[64])
{
	const char *left = names;

	while (rf_next_name(&left, found))
		if (!rf_run_symbol(l->run, found, at))
			return 0;
	rf_run_lacks(l->run, "the kernel has no symbol %s", names);
	return -ENOENT;
}

/* scripts/kallsyms.c symbol_valid(): without CONFIG_KALLSYMS_ALL nothing but text. */
int rf_posture_symbol(struct rf_look *l, const char *names, uint64_t *at, char found[64])
{
	uint64_t init_task;
	int err = find(l, names, at, found);

	if (err && rf_run_symbol(l->run, "init_task", &init_task))
		return rf_run_lacks(l->run, "the kernel's symbols have no variables: %s is one",
				    names);
	if (err)
		rf_run_lacks(l->run, "the kernel has no symbol %s", names);
	return err;
}

int rf_posture_absent(struct rf_look *l, const struct rf_reading *r)
{
	uint64_t at;
	char found[64];

	if (!r->also || find(l, r->also, &at, found))
		return 0;
	return rf_run_lacks(l->run, "the kernel has %s, but no symbol %s", found, r->name);
}

static void say(struct rf_answer *out, int64_t value, const char *yes, const char *no)
{
	out->value = value;
	snprintf(out->text, sizeof(out->text), "%s", value ? yes : no);
}

int rf_read_function(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	uint64_t at;
	char found[64];
	bool there = !find(l, r->name, &at, found);

	if (!there && rf_posture_absent(l, r))
		return -ENOTSUP;
	say(out, there, "built in", "not built in");
	snprintf(out->by, sizeof(out->by), "%s %.60s", there ? "symbol" : "no symbol",
		 there ? found : r->name);
	return 0;
}

int rf_read_symbol(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	uint64_t at;
	char found[64];
	int err = rf_posture_symbol(l, r->name, &at, found);

	if (err && err != -ENOENT)
		return err;
	if (err && rf_posture_absent(l, r))
		return -ENOTSUP;
	say(out, !err, "built in", "not built in");
	snprintf(out->by, sizeof(out->by), "%s %.60s", err ? "no symbol" : "symbol",
		 err ? r->name : found);
	return 0;
}

int rf_read_member(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	uint64_t size;
	int err = rf_run_sizeof(l->run, r->type, &size);
	bool there;

	if (err)
		return err;
	there = rf_run_has(l->run, r->type, r->name);
	say(out, there, "built in", "not built in");
	snprintf(out->by, sizeof(out->by), "%s %s.%s", there ? "type" : "no type", r->type,
		 r->name);
	return 0;
}

int rf_read_span(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	const struct rf_kernel *k = rf_run_kernel(l->run);
	int64_t first, last;
	uint64_t size;
	int err = rf_run_sizeof(l->run, "task_struct", &size);

	if (err) /* it has no types at all */
		return err;
	if (rf_kernel_enumerator(k, NULL, r->name, &first) ||
	    rf_kernel_enumerator(k, NULL, r->path, &last))
		return -ENOENT;
	say(out, last > first, "built in", "not built in");
	snprintf(out->by, sizeof(out->by), "enumerator %s", r->path);
	return 0;
}

/* --- variables, keys ------------------------------------------------------------------------- */

const struct rf_word rf_posture_on_off[] = { { NULL, 0, "off" }, { NULL, 1, "on" }, { 0 } };
/* Of what is on to switch something off. */
const struct rf_word rf_posture_off_on[] = { { NULL, 0, "on" }, { NULL, 1, "off" }, { 0 } };

static int word_value(struct rf_look *l, const struct rf_word *w, int64_t *out)
{
	*out = w->value;
	return w->enumerator ? rf_kernel_enumerator(rf_run_kernel(l->run), NULL, w->enumerator, out)
			     : 0;
}

static void call_it(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	int64_t value;

	for (const struct rf_word *w = r->words; w && w->text; w++)
		if (!word_value(l, w, &value) && value == out->value)
			snprintf(out->text, sizeof(out->text), "%s", w->text);
}

/* include/linux/jump_label.h struct static_key: an atomic_t in front, which static_key_count()
 * reads as "on" where it is not 0. */
int rf_read_key(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	uint64_t at;
	uint32_t enabled;
	char found[64];
	int err = rf_posture_symbol(l, r->name, &at, found);

	if (!err)
		err = rf_run_u32(l->run, at, &enabled);
	if (err)
		return err;
	say(out, enabled != 0, "on", "off");
	call_it(l, r, out);
	snprintf(out->by, sizeof(out->by), "static key %s", found);
	return 0;
}

/* Of an int and a long the sign counts; a bool has none. */
static int read_signed(struct rf_look *l, uint64_t at, uint8_t size, int64_t *out)
{
	uint64_t v = 0;
	int err = rf_run_read(l->run, at, &v, size);

	if (err)
		return err;
	*out = size == 4 ? (int32_t)v : (int64_t)v;
	return 0;
}

int rf_read_number(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	uint64_t at, offset = 0;
	char found[64];
	int err = rf_posture_symbol(l, r->name, &at, found);

	if (!err && r->type)
		err = rf_run_member(l->run, r->type, r->path, 0, &offset);
	if (!err)
		err = read_signed(l, at + offset, r->size ? r->size : 4, &out->value);
	if (err)
		return err;
	snprintf(out->text, sizeof(out->text), "%lld", (long long)out->value);
	if (r->mask)
		say(out, ((uint64_t)out->value & r->mask) != 0, "on", "off");
	call_it(l, r, out);
	snprintf(out->by, sizeof(out->by), "%s%s%s", found, r->type ? "." : "",
		 r->type ? r->path : "");
	return 0;
}

/* --- texts ----------------------------------------------------------------------------------- */

bool rf_posture_has_word(const char *list, const char *word, char between)
{
	size_t len = strlen(word);

	for (const char *p = list; p; p = strchr(p, between)) {
		p += *p == between;
		if (!strncmp(p, word, len) && (p[len] == between || !p[len]))
			return true;
		if (!*p)
			break;
	}
	return false;
}

int rf_read_text(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	char found[64], text[200];
	uint64_t at;
	int err = rf_posture_symbol(l, r->name, &at, found);

	if (!err)
		err = rf_run_text(l->run, at, text, sizeof(text));
	if (err)
		return err;
	say(out, strstr(text, r->path) != NULL, "built in", "not built in");
	snprintf(out->by, sizeof(out->by), "text of %s", found);
	return 0;
}

/* security/security.c: "lockdown,capability,yama"; its address stands in lsm_names. */
static int named_in_text(struct rf_look *l, const char *name, bool *out)
{
	char found[64], names[200];
	uint64_t at;
	int err = rf_posture_symbol(l, "lsm_names", &at, found);

	if (!err)
		err = rf_run_u64(l->run, at, &at);
	if (!err)
		err = rf_run_text(l->run, at, names, sizeof(names));
	if (!err)
		*out = rf_posture_has_word(names, name, ',');
	return err;
}

/* Since 6.8 security/security.c has a list as well, and 7.x that alone: lsm_idlist[], of
 * lsm_active_cnt pointers to struct lsm_id, whose first member leads to the name. */
#define LSMS_MAX 64u
static int named_in_list(struct rf_look *l, const char *name, bool *out)
{
	uint64_t list, at, id, text;
	uint32_t count;
	char found[64], each[32];
	int err = rf_posture_symbol(l, "lsm_idlist", &list, found);

	if (!err)
		err = rf_posture_symbol(l, "lsm_active_cnt", &at, found);
	if (!err)
		err = rf_run_u32(l->run, at, &count);
	if (!err && count > LSMS_MAX)
		err = -EBADMSG;
	*out = false;
	for (uint32_t i = 0; !err && i < count; i++) {
		(void)((err = rf_run_u64(l->run, list + i * sizeof(uint64_t), &id)) ||
		       (err = rf_run_u64(l->run, id, &text)) ||
		       (err = rf_run_text(l->run, text, each, sizeof(each))));
		*out |= !err && !strcmp(each, name);
	}
	return err;
}

static int is_active(struct rf_look *l, const char *name, bool *out)
{
	int err = named_in_text(l, name, out);

	return err == -ENOENT ? named_in_list(l, name, out) : err;
}

int rf_read_lsm(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	bool active = false;
	int err = is_active(l, r->name, &active);

	if (err)
		return err;
	say(out, active, "active", "not active");
	snprintf(out->by, sizeof(out->by), "list of security modules");
	return 0;
}

/* --- lockdown -------------------------------------------------------------------------------- */

const struct rf_word rf_posture_lockdown[] = {
	{ .enumerator = "LOCKDOWN_NONE", .text = "not enforced" },
	{ .enumerator = "LOCKDOWN_INTEGRITY_MAX", .text = "enforced by lockdown" },
	{ .enumerator = "LOCKDOWN_CONFIDENTIALITY_MAX", .text = "enforced by lockdown" },
	{ 0 },
};

/*
 * security/lockdown/lockdown.c: lockdown_param() sets kernel_locked_down by the command line even
 * where lsm= leaves the module out. security_locked_down() asks modules that are active alone
 * (security/security.c), so that the level does nothing then.
 */
int rf_read_lockdown(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out)
{
	bool active = false;
	int err = rf_read_number(l, r, out);

	if (err || out->value <= 0) /* LOCKDOWN_NONE: whoever is active */
		return err;
	err = is_active(l, "lockdown", &active);
	if (err == -ENOENT)
		return -ENOTSUP;
	if (!err && !active) {
		say(out, 0, "active", "not active");
		snprintf(out->by, sizeof(out->by), "list of security modules");
	}
	return err;
}
