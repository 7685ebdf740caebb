// SPDX-License-Identifier: LGPL-2.1-or-later
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
#include "introspection/kernel.h"
#include "introspection/patches/impl.h"

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

/* The guest's patcher reads the table through its own page tables: both must see the same
 * frames. */
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
	if ((site->key >= t->rodata && site->key < t->erodata) ||
	    rf_security_key(&l->security, site->key))
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

static int read_all(struct rf_loader *l)
{
	size_t missing = 0;
	int err = rf_security_keys(l->t->k, &l->security);

	for (size_t i = 0; !err && i < sizeof(tables) / sizeof(tables[0]); i++) {
		err = read_table(l, &tables[i]);
		if (err == -ENOENT) /* not every kernel has inline static calls */
			missing++, err = 0;
	}
	if (err)
		return err;
	if (missing == sizeof(tables) / sizeof(tables[0]))
		return rf_diag_fail(l->diag, -ENOENT, "no jump table and no static call sites");
	return read_trampolines(l);
}

int rf_sealed_sites(struct rf_loader *l)
{
	int err = read_all(l);

	free(l->security.keys);
	l->security = (struct rf_security){ 0 };
	return err;
}
