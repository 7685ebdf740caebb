/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the guest's site tables: include/linux/jump_label.h struct jump_entry and
 * include/linux/static_call_types.h struct static_call_site (6.1 and 6.12; both self-relative), and
 * the trampolines by name. The linker puts both tables into ro_after_init
 * (include/asm-generic/vmlinux.lds.h RO_AFTER_INIT_DATA), so after the seal they are as trustworthy
 * as text. Their content is still bounded and checked here: what was there at the seal may have
 * been forged before it.
 */
#include "introspection/diag.h"
#include "introspection/textpatch_impl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_MAX                                                                                  \
	(UINT64_C(16) << 20) /* bytes: a million jump entries; a big kernel has some 20,000 */
#define CHUNK 4096

struct jump_entry {
	int32_t code, target;
	int64_t key; /* bit 0: branch is the default, bit 1: init text */
};
_Static_assert(sizeof(struct jump_entry) == 16, "include/linux/jump_label.h");

struct static_call_site {
	int32_t addr, key; /* low bits of the key's address: 1 tail, 2 init text */
};
_Static_assert(sizeof(struct static_call_site) == 8, "include/linux/static_call_types.h");

static int push(struct rf_textpatch *t, const struct rf_site *site)
{
	if (t->count == t->room) {
		size_t room = t->room ? 2 * t->room : 4096;
		struct rf_site *sites = reallocarray(t->sites, room, sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		t->sites = sites;
		t->room = room;
	}
	t->sites[t->count++] = *site;
	return 0;
}

static uint64_t relative(uint64_t field, int64_t offset)
{
	return field + (uint64_t)offset;
}

/* One entry at guest address `at` -> a site. */
typedef void (*entry_fn)(uint64_t at, const void *entry, struct rf_site *out);

static void jump_entry(uint64_t at, const void *entry, struct rf_site *out)
{
	struct jump_entry e;

	memcpy(&e, entry, sizeof(e));
	*out = (struct rf_site){
		.addr = relative(at, e.code),
		.target = relative(at + 4, e.target),
		.key = relative(at + 8, e.key & ~INT64_C(3)),
		.kind = RF_SITE_JUMP_LABEL,
		.flags = e.key & 2 ? RF_SITE_INIT : 0,
	};
}

static void call_entry(uint64_t at, const void *entry, struct rf_site *out)
{
	struct static_call_site e;
	uint64_t key;

	memcpy(&e, entry, sizeof(e));
	key = relative(at + 4, e.key);
	*out = (struct rf_site){
		.addr = relative(at, e.addr),
		.key = key & ~UINT64_C(3),
		.kind = RF_SITE_STATIC_CALL,
		.flags = (uint8_t)((key & 1 ? RF_SITE_TAIL : 0) | (key & 2 ? RF_SITE_INIT : 0)),
	};
}

struct table {
	const char *name, *start, *stop;
	size_t entry_size;
	entry_fn entry;
};

static const struct table tables[] = {
	{ "jump table", "__start___jump_table", "__stop___jump_table", sizeof(struct jump_entry),
	  jump_entry },
	{ "static call sites", "__start_static_call_sites", "__stop_static_call_sites",
	  sizeof(struct static_call_site), call_entry },
};

/* The guest's patcher reads the table through its own page tables: both must see the same frames.
 */
static int check_mapping(const struct rf_textpatch *t, const struct rf_memory *m,
			 const struct rf_paging *p, uint64_t start, uint64_t stop)
{
	for (uint64_t at = rf_page_down(start); at < stop; at += RF_PAGE_SIZE) {
		struct rf_translation tr;
		rf_gpa want;
		int err = rf_kernel_image_gpa(t->k, rf_gva_of(at), &want);

		if (!err)
			err = rf_pt_translate(m, p, rf_gva_of(at), &tr);
		if (err)
			return err == -ENOENT ? -EBADMSG
					      : err; /* -ENOENT means no table, to the caller */
		if (tr.gpa.v != want.v)
			return -EBADMSG;
	}
	return 0;
}

static int add_entry(struct rf_textpatch *t, struct rf_site *site)
{
	if (site->flags & RF_SITE_INIT) {
		t->stats.init++;
		return 0;
	}
	if (!rf_textpatch_in_text(t, site->addr) ||
	    (site->kind == RF_SITE_JUMP_LABEL && !rf_textpatch_in_text(t, site->target))) {
		t->stats.outside++;
		return 0;
	}
	if (site->key >= t->rodata && site->key < t->erodata)
		site->flags |= RF_SITE_FROZEN;
	return push(t, site);
}

static int read_table(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      const struct table *table, struct rf_diag *diag)
{
	uint8_t chunk[CHUNK];
	rf_gva start, stop;
	int err;

	if (rf_kernel_address(t->k, table->start, &start) ||
	    rf_kernel_address(t->k, table->stop, &stop))
		return -ENOENT;
	if (stop.v < start.v ||
	    !rf_within(start.v, stop.v - start.v, t->rodata, t->erodata - t->rodata)) {
		return rf_diag_fail(diag, -EBADMSG, "%s [%#llx, %#llx) is not inside rodata",
				    table->name, (unsigned long long)start.v,
				    (unsigned long long)stop.v);
	}
	if ((stop.v - start.v) % table->entry_size || stop.v - start.v > TABLE_MAX) {
		return rf_diag_fail(diag, -EBADMSG,
				    "%s has %llu bytes, no plausible number of entries",
				    table->name, (unsigned long long)(stop.v - start.v));
	}
	err = p ? check_mapping(t, m, p, start.v, stop.v) : 0;
	if (err) {
		return rf_diag_fail(diag, err, "%s is not mapped to the image's own frames",
				    table->name);
	}
	for (uint64_t at = start.v; at < stop.v;) {
		size_t n = stop.v - at < CHUNK ? stop.v - at : CHUNK;

		err = rf_textpatch_read(t, m, at, chunk, n);
		if (err)
			return rf_diag_fail(diag, err, "%s cannot be read", table->name);
		for (size_t i = 0; i < n; i += table->entry_size) {
			struct rf_site site;

			table->entry(at + i, chunk + i, &site);
			err = add_entry(t, &site);
			if (err)
				return err;
		}
		at += n;
	}
	return 0;
}

/* --- trampolines: symbols __SCT__name, whose key is __SCK__name ----------- */

struct named {
	const char *name; /* past the prefix */
	uint64_t addr;
	bool key;
};

static int by_name(const void *a, const void *b)
{
	const struct named *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c ? c : x->key - y->key;
}

static int add_trampolines(struct rf_textpatch *t, const struct named *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rf_site site = { .addr = names[i].addr, .kind = RF_SITE_STATIC_TRAMP };
		int err;

		if (names[i].key)
			continue;
		if (i + 1 < count && names[i + 1].key && !strcmp(names[i].name, names[i + 1].name))
			site.key = names[i + 1].addr;
		err = add_entry(t, &site);
		if (err)
			return err;
	}
	return 0;
}

/* Keys and trampolines are joined by one sorted pass: looking each key up by name would be
 * quadratic. */
static int read_trampolines(struct rf_textpatch *t)
{
	size_t total = rf_kernel_symbol_count(t->k), count = 0, room = 0;
	struct named *names = NULL;
	int err = 0;

	for (size_t i = 0; i < total && !err; i++) {
		struct rf_symbol sym;
		struct named *more;

		rf_kernel_symbol_at(t->k, i, &sym);
		if (strncmp(sym.name, "__SC", 4) || (sym.name[4] != 'T' && sym.name[4] != 'K') ||
		    strncmp(sym.name + 5, "__", 2))
			continue;
		if (count == room) {
			room = room ? 2 * room : 1024;
			more = reallocarray(names, room, sizeof(*names));
			if (!more) {
				err = -ENOMEM;
				break;
			}
			names = more;
		}
		names[count++] = (struct named){ sym.name + 7, sym.addr.v, sym.name[4] == 'K' };
	}
	if (!err && count) {
		qsort(names, count, sizeof(*names), by_name);
		err = add_trampolines(t, names, count);
	}
	free(names);
	return err;
}

/* --- sorting, measuring, checking ----------------------------------------- */

static int by_addr(const void *a, const void *b)
{
	const struct rf_site *x = a, *y = b;

	if (x->addr != y->addr)
		return x->addr < y->addr ? -1 : 1;
	return x->kind - y->kind;
}

/* Duplicates become one. Two trampoline symbols at one address may know the key once. */
static int merge(struct rf_textpatch *t, struct rf_diag *diag)
{
	size_t kept = 0;

	qsort(t->sites, t->count, sizeof(*t->sites), by_addr);
	for (size_t i = 0; i < t->count; i++) {
		struct rf_site *last = kept ? &t->sites[kept - 1] : NULL;
		const struct rf_site *s = &t->sites[i];

		if (!last || last->addr != s->addr) {
			t->sites[kept++] = *s;
			continue;
		}
		if (last->kind != s->kind || last->target != s->target || last->key != s->key ||
		    last->flags != s->flags) {
			return rf_diag_fail(diag, -EBADMSG, "two entries for %#llx disagree",
					    (unsigned long long)s->addr);
		}
		t->stats.merged++;
	}
	t->count = kept;
	return 0;
}

static void odd(struct rf_textpatch *t, struct rf_site *s)
{
	if (!t->stats.odd++)
		t->stats.first_odd = rf_gva_of(s->addr);
	s->kind = 0;
}

/*
 * Trampolines first: whether a call is legal depends on what is known of them (rf_textpatch_find()
 * needs len). Their own legality does not depend on call sites.
 */
static int measure(struct rf_textpatch *t, const struct rf_memory *m, bool trampolines)
{
	for (size_t i = 0; i < t->count; i++) {
		struct rf_site *s = &t->sites[i];
		uint64_t left = t->etext - s->addr;
		size_t have = left < 8 ? left : 8;
		uint8_t now[8] = { 0 };
		int err;

		if ((s->kind == RF_SITE_STATIC_TRAMP) != trampolines || !s->kind)
			continue;
		err = rf_textpatch_read(t, m, s->addr, now, have);
		if (err)
			return err;
		if (!rf_site_ops(s->kind)->measure(t, m, s, now, have)) {
			odd(t, s);
			continue;
		}
		s->before[0] = RF_INT3;
		if (now[0] != RF_INT3)
			continue;
		s->flags |= RF_SITE_IN_FLIGHT;
		t->in_flight++;
		if (!rf_textpatch_tail_complete(t, m, s, now))
			t->last_tail = s->addr;
	}
	return 0;
}

/* Drops the odd ones, counts, and refuses sites that reach into one another. */
static int settle(struct rf_textpatch *t, struct rf_diag *diag)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->count; i++) {
		const struct rf_site *s = &t->sites[i];

		if (!s->kind)
			continue;
		if (kept && s->addr - t->sites[kept - 1].addr < t->sites[kept - 1].len) {
			return rf_diag_fail(diag, -EBADMSG, "sites %#llx and %#llx overlap",
					    (unsigned long long)t->sites[kept - 1].addr,
					    (unsigned long long)s->addr);
		}
		t->by_kind[s->kind]++;
		t->stats.frozen += !!(s->flags & RF_SITE_FROZEN);
		t->sites[kept++] = *s;
	}
	t->count = kept;
	return 0;
}

static int bounds(struct rf_textpatch *t, struct rf_diag *diag)
{
	static const char *const names[] = { "_text", "_etext", "__start_rodata", "__end_rodata" };
	uint64_t *const to[] = { &t->text, &t->etext, &t->rodata, &t->erodata };
	const struct rf_image *image = rf_kernel_image(t->k);

	for (size_t i = 0; i < 4; i++) {
		rf_gva v;

		if (rf_kernel_address(t->k, names[i], &v))
			return rf_diag_fail(diag, -ENOENT, "no symbol %s", names[i]);
		*to[i] = v.v;
	}
	if (t->text >= t->etext || t->rodata >= t->erodata ||
	    !rf_within(t->text, t->etext - t->text, image->base.v, image->size) ||
	    !rf_within(t->rodata, t->erodata - t->rodata, image->base.v, image->size))
		return rf_diag_fail(diag, -EBADMSG, "text or rodata does not lie inside the image");
	return 0;
}

/* Absent before 6.2 and without CONFIG_MITIGATION_CALL_DEPTH_TRACKING; then nothing is recognised
 * as one. */
static void read_thunk(struct rf_textpatch *t, const struct rf_memory *m)
{
	rf_gva start, end;

	if (rf_kernel_address(t->k, "skl_call_thunk_template", &start) ||
	    rf_kernel_address(t->k, "skl_call_thunk_tail", &end) || end.v <= start.v ||
	    end.v - start.v > RF_THUNK_MAX ||
	    !rf_within(start.v, end.v - start.v, t->rodata, t->erodata - t->rodata) ||
	    rf_textpatch_read(t, m, start.v, t->thunk, end.v - start.v))
		return;
	t->thunk_at = start.v;
	t->thunk_len = (uint8_t)(end.v - start.v);
}

int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      struct rf_diag *diag)
{
	size_t missing = 0;
	int err = bounds(t, diag);

	if (err)
		return err;
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		err = read_table(t, m, p, &tables[i], diag);
		if (err == -ENOENT) /* not every kernel has inline static calls */
			missing++;
		else if (err)
			return err;
	}
	if (missing == sizeof(tables) / sizeof(tables[0]))
		return rf_diag_fail(diag, -ENOENT, "no jump table and no static call sites");
	read_thunk(t, m);
	err = read_trampolines(t);
	if (!err && t->count)
		err = merge(t, diag);
	if (!err)
		err = measure(t, m, true);
	if (!err)
		err = measure(t, m, false);
	if (!err)
		err = settle(t, diag);
	return err;
}
