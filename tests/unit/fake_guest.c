// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/unit/fake_guest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/task.h"

static int fake_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct fake_guest *g = ctx;

	if (!rf_within(gpa.v, len, 0, sizeof(g->ram)))
		return -EFAULT;
	memcpy(buf, g->ram + gpa.v, len);
	return 0;
}

void fake_init(struct fake_guest *g)
{
	memset(g, 0, sizeof(*g));
	g->m = (struct rf_memory){ fake_read, g };
	g->p = (struct rf_paging){ rf_gpa_of(0), 4 };
}

void fake_map(struct fake_guest *g, uint64_t gva, uint64_t gpa, size_t pages)
{
	for (size_t i = 0; i < pages; i++) {
		if (g->mapped == 2 * FAKE_PAGES)
			abort();
		g->map[g->mapped].gva = gva + i * 4096;
		g->map[g->mapped++].gpa = gpa + i * 4096;
	}
}

void fake_symbol(struct fake_guest *g, const char *name, uint64_t addr, char type)
{
	size_t i = g->k.count++;

	if (i == sizeof(g->k.syms) / sizeof(g->k.syms[0]))
		abort();
	for (; i && g->k.syms[i - 1].addr.v > addr; i--)
		g->k.syms[i] = g->k.syms[i - 1];
	g->k.syms[i] = (struct rf_symbol){ name, rf_gva_of(addr), type };
}

void fake_member(struct fake_guest *g, const char *type, const char *path, uint64_t offset,
		 uint64_t size)
{
	if (g->k.members_count == sizeof(g->k.members) / sizeof(g->k.members[0]))
		abort();
	g->k.members[g->k.members_count++] = (struct fake_member){ type, path, offset, size };
}

int rf_pt_translate(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		    struct rf_translation *out)
{
	const struct fake_guest *g = m->ctx;

	for (size_t i = 0; i < g->mapped; i++) {
		if (g->map[i].gva == rf_page_down(gva.v)) {
			*out = (struct rf_translation){
				.gpa = rf_gpa_of(g->map[i].gpa + gva.v % 4096), .page_size = 4096
			};
			return 0;
		}
	}
	return -ENOENT;
}

int rf_pt_read(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva, void *buf,
	       size_t len)
{
	uint8_t *to = buf;

	while (len) {
		size_t n = 4096 - gva.v % 4096;
		struct rf_translation t;
		int err = rf_pt_translate(m, p, gva, &t);

		if (n > len)
			n = len;
		if (!err)
			err = rf_memory_read(m, t.gpa, to, n);
		if (err)
			return err;
		to += n;
		gva.v += n;
		len -= n;
	}
	return 0;
}

void fake_write(struct fake_guest *g, uint64_t gva, const void *bytes, size_t len)
{
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++) {
		struct rf_translation t;

		if (rf_pt_translate(&g->m, &g->p, rf_gva_of(gva + i), &t) ||
		    t.gpa.v >= sizeof(g->ram))
			abort();
		g->ram[t.gpa.v] = from[i];
	}
}

void fake_put64(struct fake_guest *g, uint64_t gva, uint64_t value)
{
	fake_write(g, gva, &value, sizeof(value));
}

const struct rf_image *rf_kernel_image(const struct rf_kernel *k)
{
	return &k->image;
}

int rf_kernel_image_gpa(const struct rf_kernel *k, rf_gva gva, rf_gpa *out)
{
	if (!rf_within(gva.v, 1, k->image.base.v, k->image.size))
		return -ENOENT;
	*out = rf_gpa_of(k->image.gpa.v + (gva.v - k->image.base.v));
	return 0;
}

int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out)
{
	for (size_t i = 0; i < k->count; i++) {
		if (!strcmp(k->syms[i].name, name)) {
			*out = k->syms[i].addr;
			return 0;
		}
	}
	return -ENOENT;
}

int rf_kernel_symbol_extent(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			    rf_gva *end)
{
	if (!rf_within(gva.v, 1, k->image.base.v, k->image.size))
		return -ENOENT;
	for (size_t i = k->count; i-- > 0;) {
		if (k->syms[i].addr.v <= gva.v) {
			*out = k->syms[i];
			*end = i + 1 < k->count ? k->syms[i + 1].addr
						: rf_gva_of(k->image.base.v + k->image.size);
			return 0;
		}
	}
	return -ENOENT;
}

bool rf_kernel_is_function(const struct rf_kernel *k, rf_gva gva)
{
	for (size_t i = 0; i < k->count; i++)
		if (k->syms[i].addr.v == gva.v && strchr("tTwW", k->syms[i].type))
			return true;
	return false;
}

size_t rf_kernel_symbol_count(const struct rf_kernel *k)
{
	return k->count;
}

void rf_kernel_symbol_at(const struct rf_kernel *k, size_t index, struct rf_symbol *out)
{
	*out = k->syms[index];
}

int rf_kernel_symbol(const struct rf_kernel *k, const char *name, struct rf_symbol *out)
{
	for (size_t i = 0; i < k->count; i++) {
		if (!strcmp(k->syms[i].name, name)) {
			*out = k->syms[i];
			return 0;
		}
	}
	return -ENOENT;
}

static const struct fake_member *member_of(const struct rf_kernel *k, const char *type,
					   const char *path)
{
	for (size_t i = 0; i < k->members_count; i++) {
		const struct fake_member *m = &k->members[i];

		if (!strcmp(m->type, type) &&
		    (path && m->path ? !strcmp(path, m->path) : path == m->path))
			return m;
	}
	return NULL;
}

int rf_kernel_member(const struct rf_kernel *k, const char *type, const char *path,
		     struct rf_member *out)
{
	const struct fake_member *m = member_of(k, type, path);

	if (!m)
		return -ENOENT;
	*out = (struct rf_member){ m->offset, m->size };
	return 0;
}

int rf_kernel_sizeof(const struct rf_kernel *k, const char *type, uint64_t *out)
{
	const struct fake_member *m = member_of(k, type, NULL);

	if (!m)
		return -ENOENT;
	*out = m->size;
	return 0;
}

int rf_kernel_enumerator(const struct rf_kernel *k, const char *enum_name, const char *name,
			 int64_t *out)
{
	const struct fake_member *m = member_of(k, enum_name, name);

	if (!m)
		return -ENOENT;
	*out = (int64_t)m->offset;
	return 0;
}

int rf_module_find(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   rf_gva gva, struct rf_module *out)
{
	const struct fake_guest *g = m->ctx;

	if (!rf_within(gva.v, 1, g->module, g->module_size))
		return -ENOENT;
	*out = (struct rf_module){ "fake", rf_gva_of(g->module), g->module_size };
	return 0;
}

int rf_module_ranges(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, struct rf_module_range *out, size_t max,
		     size_t *count)
{
	struct fake_guest *g = m->ctx;

	g->module_walks++;
	if (g->modules_err)
		return g->modules_err;
	*count = g->nr_ranges < max ? g->nr_ranges : max;
	if (*count) {
		memcpy(out, g->ranges, *count * sizeof(*out));
		return 0;
	}
	*count = g->module_size && max;
	if (*count)
		out[0] = (struct rf_module_range){ g->module, g->module_size };
	return 0;
}
