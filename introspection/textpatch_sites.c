/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reads the guest's site tables: include/linux/jump_label.h struct jump_entry and
 * include/linux/static_call_types.h struct static_call_site (6.1 and 6.12; both self-relative), and
 * the trampolines by name. The linker puts both tables into ro_after_init
 * (include/asm-generic/vmlinux.lds.h RO_AFTER_INIT_DATA), so after the seal they are as trustworthy
 * as text. Their content is still bounded and checked here: what was there at the seal may have
 * been forged before it.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/scratch.h"
#include "introspection/textpatch_impl.h"

#define TABLE_MAX                                                                                  \
	(UINT64_C(16) << 20) /* bytes: a million jump entries; a big kernel has some 20,000 */
#define CHUNK 4096
#define TEXT_MAX (UINT64_C(256) << 20) /* bytes; distributions have some 20 MiB */

struct jump_entry {
	int32_t code, target;
	int64_t key; /* bit 0: branch is the default, bit 1: init text */
};
_Static_assert(sizeof(struct jump_entry) == 16, "include/linux/jump_label.h");

struct static_call_site {
	int32_t addr, key; /* low bits of the key's address: 1 tail, 2 init text */
};
_Static_assert(sizeof(struct static_call_site) == 8, "include/linux/static_call_types.h");

int rf_loader_push(struct rf_loader *l, const struct rf_site *site)
{
	if (l->count == l->room) {
		size_t room = l->room ? 2 * l->room : 4096;
		struct rf_site *sites = reallocarray(l->sites, room, sizeof(*sites));

		if (!sites)
			return -ENOMEM;
		l->sites = sites;
		l->room = room;
	}
	l->sites[l->count++] = *site;
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
		.target = RF_NO_TARGET,
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

static int add_entry(struct rf_loader *l, struct rf_site *site)
{
	struct rf_textpatch *t = l->t;

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
	return rf_loader_push(l, site);
}

static int read_table(struct rf_loader *l, const struct table *table)
{
	struct rf_textpatch *t = l->t;
	uint8_t chunk[CHUNK];
	rf_gva start, stop;
	int err;

	if (rf_kernel_address(t->k, table->start, &start) ||
	    rf_kernel_address(t->k, table->stop, &stop))
		return -ENOENT;
	if (stop.v < start.v ||
	    !rf_within(start.v, stop.v - start.v, t->rodata, t->erodata - t->rodata)) {
		return rf_diag_fail(l->diag, -EBADMSG, "%s [%#llx, %#llx) is not inside rodata",
				    table->name, (unsigned long long)start.v,
				    (unsigned long long)stop.v);
	}
	if ((stop.v - start.v) % table->entry_size || stop.v - start.v > TABLE_MAX) {
		return rf_diag_fail(l->diag, -EBADMSG,
				    "%s has %llu bytes, no plausible number of entries",
				    table->name, (unsigned long long)(stop.v - start.v));
	}
	err = l->p ? check_mapping(t, l->m, l->p, start.v, stop.v) : 0;
	if (err) {
		return rf_diag_fail(l->diag, err, "%s is not mapped to the image's own frames",
				    table->name);
	}
	for (uint64_t at = start.v; at < stop.v;) {
		size_t n = stop.v - at < CHUNK ? stop.v - at : CHUNK;

		err = rf_textpatch_read(t, l->m, at, chunk, n);
		if (err)
			return rf_diag_fail(l->diag, err, "%s cannot be read", table->name);
		for (size_t i = 0; i < n; i += table->entry_size) {
			struct rf_site site;

			table->entry(at + i, chunk + i, &site);
			err = add_entry(l, &site);
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

static int add_trampolines(struct rf_loader *l, const struct named *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct rf_site site = { .addr = names[i].addr,
					.target = RF_NO_TARGET,
					.kind = RF_SITE_STATIC_TRAMP };
		int err;

		if (names[i].key)
			continue;
		if (i + 1 < count && names[i + 1].key && !strcmp(names[i].name, names[i + 1].name))
			site.key = names[i + 1].addr;
		err = add_entry(l, &site);
		if (err)
			return err;
	}
	return 0;
}

/* Keys and trampolines are joined by one sorted pass: looking each key up by name would be
 * quadratic. */
static int read_trampolines(struct rf_loader *l)
{
	const struct rf_kernel *k = l->t->k;
	size_t total = rf_kernel_symbol_count(k), count = 0, room = 0;
	struct named *names = NULL;
	int err = 0;

	for (size_t i = 0; i < total && !err; i++) {
		struct rf_symbol sym;
		struct named *more;

		rf_kernel_symbol_at(k, i, &sym);
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
		err = add_trampolines(l, names, count);
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
static int merge(struct rf_loader *l)
{
	size_t kept = 0;

	qsort(l->sites, l->count, sizeof(*l->sites), by_addr);
	for (size_t i = 0; i < l->count; i++) {
		struct rf_site *last = kept ? &l->sites[kept - 1] : NULL;
		const struct rf_site *s = &l->sites[i];

		if (!last || last->addr != s->addr) {
			l->sites[kept++] = *s;
			continue;
		}
		if (last->kind != s->kind || last->target != s->target || last->key != s->key ||
		    last->flags != s->flags) {
			return rf_diag_fail(l->diag, -EBADMSG, "two entries for %#llx disagree",
					    (unsigned long long)s->addr);
		}
		l->t->stats.merged++;
	}
	l->count = kept;
	return 0;
}

/* A call's own target is the trampoline of its key, when there is exactly one. */
static int by_key(const void *a, const void *b)
{
	const struct rf_site *x = *(const struct rf_site *const *)a;
	const struct rf_site *y = *(const struct rf_site *const *)b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (y->kind == RF_SITE_STATIC_TRAMP) - (x->kind == RF_SITE_STATIC_TRAMP);
}

static int own_trampolines(struct rf_loader *l)
{
	struct rf_site **keyed = l->count ? calloc(l->count, sizeof(*keyed)) : NULL;
	const struct rf_site *tramp = NULL;
	size_t count = 0;

	if (!keyed)
		return l->count ? -ENOMEM : 0;
	for (size_t i = 0; i < l->count; i++)
		if (l->sites[i].kind != RF_SITE_JUMP_LABEL && l->sites[i].key)
			keyed[count++] = &l->sites[i];
	qsort(keyed, count, sizeof(struct rf_site *), by_key);
	for (size_t i = 0; i < count; i++) {
		if (keyed[i]->kind == RF_SITE_STATIC_TRAMP)
			tramp = keyed[i];
		else if (tramp && tramp->key == keyed[i]->key)
			keyed[i]->target = tramp->addr;
	}
	free(keyed);
	return 0;
}

static void odd(struct rf_textpatch *t, struct rf_site *s)
{
	if (!t->stats.odd++)
		t->stats.first_odd = rf_gva_of(s->addr);
	s->kind = 0;
}

/* From `first` on. A call to a module is known once its key has been asked for. */
static void measure(struct rf_loader *l, size_t first)
{
	const struct rf_live live = { l->m, l->p };
	struct rf_textpatch *t = l->t;

	for (size_t i = first; i < l->count; i++) {
		struct rf_site *s = &l->sites[i];
		size_t have = t->etext - s->addr < 8 ? t->etext - s->addr : 8;
		bool call = s->kind == RF_SITE_STATIC_CALL || s->kind == RF_SITE_STATIC_TRAMP;
		uint8_t now[8] = { 0 };
		bool legal;

		memcpy(now, l->bytes + (s->addr - t->text), have);
		legal = rf_textpatch_measure(t, s, now, have);
		if (!legal && call && s->key && l->p) {
			rf_calls_learn(t, &live, s->key);
			legal = rf_textpatch_measure(t, s, now, have);
		}
		if (!legal) {
			odd(t, s);
			continue;
		}
		if (now[0] != RF_INT3)
			continue;
		t->stats.flying++;
		if (!rf_textpatch_tail_whole(t, s, now))
			t->torn = (uint32_t)(s->addr - t->text);
	}
}

/* Sealed tables name them; the rest come from writable memory. */
static bool is_sealed(const struct rf_site *s)
{
	return s->kind <= RF_SITE_STATIC_TRAMP;
}

/*
 * Sites do not reach into one another. In sealed tables that is refused; what came from writable
 * memory yields to them.
 */
static int part(struct rf_loader *l)
{
	size_t kept = 0;

	qsort(l->sites, l->count, sizeof(*l->sites), by_addr);
	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site s = l->sites[i];

		if (!s.kind)
			continue;
		while (kept && s.addr - l->sites[kept - 1].addr < l->sites[kept - 1].len) {
			const struct rf_site *last = &l->sites[kept - 1];

			if (is_sealed(&s) && is_sealed(last)) {
				return rf_diag_fail(
					l->diag, -EBADMSG, "sites %#llx and %#llx overlap",
					(unsigned long long)last->addr, (unsigned long long)s.addr);
			}
			l->t->stats.foreign++;
			if (!is_sealed(&s))
				break;
			kept--;
		}
		if (!kept || s.addr - l->sites[kept - 1].addr >= l->sites[kept - 1].len)
			l->sites[kept++] = s;
	}
	l->count = kept;
	return 0;
}

static void write_down(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;
	struct rf_patch_table *table = t->table;

	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site *s = &l->sites[i];

		if (table->sites_count == RF_TABLE_SITES) {
			t->stats.full++;
			continue;
		}
		t->by_kind[s->kind]++;
		t->stats.frozen += !!(s->flags & RF_SITE_FROZEN);
		table->sites[table->sites_count++] = rf_textpatch_entry(t, s);
	}
}

static int keep_keys(struct rf_loader *l)
{
	struct rf_textpatch *t = l->t;

	t->calls = l->count ? calloc(l->count, sizeof(*t->calls)) : NULL;
	if (l->count && !t->calls)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		const struct rf_site *s = &l->sites[i];

		if ((s->kind == RF_SITE_STATIC_CALL || s->kind == RF_SITE_STATIC_TRAMP) && s->key)
			t->calls[t->calls_count++] =
				(struct rf_call_key){ (uint32_t)(s->addr - t->text), s->key };
	}
	return 0;
}

/* --- all of it ------------------------------------------------------------ */

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
	if (t->etext - t->text > TEXT_MAX)
		return rf_diag_fail(diag, -EBADMSG, "text has %llu bytes, no plausible number",
				    (unsigned long long)(t->etext - t->text));
	return 0;
}

static int read_tables(struct rf_loader *l)
{
	size_t missing = 0;
	int err;

	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		err = read_table(l, &tables[i]);
		if (err == -ENOENT) /* not every kernel has inline static calls */
			missing++;
		else if (err)
			return err;
	}
	if (missing == sizeof(tables) / sizeof(tables[0]))
		return rf_diag_fail(l->diag, -ENOENT, "no jump table and no static call sites");
	return read_trampolines(l);
}

static int compile(struct rf_loader *l)
{
	const struct rf_live live = { l->m, l->p };
	struct rf_textpatch *t = l->t;
	size_t sealed;
	int err = read_tables(l);

	if (!err && l->count)
		err = merge(l);
	if (!err)
		err = own_trampolines(l);
	if (err)
		return err;
	rf_textpatch_shapes(t->table);
	rf_textpatch_functions(l);
	measure(l, 0);
	sealed = l->count;
	err = rf_ftrace_sites(l);
	if (!err)
		err = rf_smp_lock_sites(l);
	if (err)
		return err;
	measure(l, sealed);
	err = part(l);
	if (!err)
		err = keep_keys(l);
	if (err)
		return err;
	write_down(l);
	if (l->p)
		rf_probe_load(t, &live);
	return 0;
}

int rf_textpatch_load(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p,
		      struct rf_diag *diag)
{
	struct rf_loader l = { .t = t, .m = m, .p = p, .diag = diag };
	int err = bounds(t, diag);
	uint64_t size;

	if (err)
		return err;
	size = t->etext - t->text;
	t->table->magic = RF_TABLE_MAGIC;
	t->table->revision = RF_TABLE_REVISION;
	t->table->base = t->text;
	t->table->size = size;
	l.bytes = rf_scratch_alloc(size);
	if (!l.bytes)
		return rf_diag_fail(diag, -ENOMEM, "no memory for a copy of the text");
	err = rf_textpatch_read(t, m, t->text, l.bytes, size);
	if (err)
		rf_diag_fail(diag, err, "the text cannot be read");
	else
		err = compile(&l);
	rf_scratch_free(l.bytes, size);
	free(l.sites);
	return err;
}
