// SPDX-License-Identifier: LGPL-2.1-or-later
/* A kernel that was found, and questions about it. How one is found: discover.c. */
#include "introspection/kernel.h"

#include <errno.h>
#include <stdlib.h>

#include "introspection/kernel_internal.h"
#include "introspection/kimage.h"

int rf_kernel_symbol_gpa(const struct rf_kernel *k, const char *name, uint64_t len, rf_gpa *gpa)
{
	struct rf_symbol s;
	int r = rf_symbols_by_name(&k->symbols, name, &s);

	return r ? r : rf_kimage_gpa(&k->image, s.addr, len, gpa);
}

void rf_kernel_destroy(struct rf_kernel *k)
{
	if (!k)
		return;
	rf_symbols_deinit(&k->symbols);
	rf_btf_destroy(k->btf);
	free(k);
}

bool rf_kernel_has_types(const struct rf_kernel *k)
{
	return k->btf;
}

const char *rf_kernel_banner(const struct rf_kernel *k)
{
	return k->banner;
}

const struct rf_image *rf_kernel_image(const struct rf_kernel *k)
{
	return &k->image;
}

int rf_kernel_image_gpa(const struct rf_kernel *k, rf_gva gva, rf_gpa *out)
{
	return rf_kimage_gpa(&k->image, gva, 1, out);
}

int rf_kernel_paging(const struct rf_kernel *k, struct rf_paging *out)
{
	rf_gpa root;
	int r = rf_kernel_symbol_gpa(k, "init_top_pgt", RF_PAGE_SIZE, &root);

	if (r)
		return r;
	if (root.v & (RF_PAGE_SIZE - 1))
		return -ENOENT;
	*out = (struct rf_paging){ root, k->levels };
	return 0;
}

/* --- symbols --------------------------------------------------------------------- */

int rf_kernel_symbol(const struct rf_kernel *k, const char *name, struct rf_symbol *out)
{
	return rf_symbols_by_name(&k->symbols, name, out);
}

int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out)
{
	struct rf_symbol s;
	int r = rf_symbols_by_name(&k->symbols, name, &s);

	if (!r)
		*out = s.addr;
	return r;
}

int rf_kernel_symbol_extent(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			    rf_gva *end)
{
	uint64_t next, image_end = k->image.base.v + k->image.size;
	struct rf_symbol s;
	int r;

	if (!rf_within(gva.v, 1, k->image.base.v, k->image.size))
		return -ENOENT;
	r = rf_symbols_by_address(&k->symbols, gva.v, &s, &next);
	if (r)
		return r;
	if (s.addr.v < k->image.base.v)
		return -ENOENT;
	*out = s;
	end->v = next < image_end ? next : image_end;
	return 0;
}

int rf_kernel_symbolize(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			uint64_t *offset)
{
	struct rf_symbol s;
	rf_gva end;
	int r = rf_kernel_symbol_extent(k, gva, &s, &end);

	if (r)
		return r;
	*out = s;
	*offset = gva.v - s.addr.v;
	return 0;
}

bool rf_kernel_is_function(const struct rf_kernel *k, rf_gva gva)
{
	return rf_symbols_is_function(&k->symbols, gva.v);
}

size_t rf_kernel_symbol_count(const struct rf_kernel *k)
{
	return k->symbols.table.count;
}

void rf_kernel_symbol_at(const struct rf_kernel *k, size_t index, struct rf_symbol *out)
{
	rf_symbols_at(&k->symbols, index, out);
}

/* --- types ----------------------------------------------------------------------- */

int rf_kernel_member(const struct rf_kernel *k, const char *type, const char *path,
		     struct rf_member *out)
{
	return k->btf ? rf_btf_member(k->btf, type, path, out) : -ENOTSUP;
}

int rf_kernel_sizeof(const struct rf_kernel *k, const char *type, uint64_t *out)
{
	return k->btf ? rf_btf_sizeof(k->btf, type, out) : -ENOTSUP;
}

int rf_kernel_functions(const struct rf_kernel *k, const char *type, rf_function_member_fn fn,
			void *ctx)
{
	return k->btf ? rf_btf_functions(k->btf, type, fn, ctx) : -ENOTSUP;
}

int rf_kernel_fields(const struct rf_kernel *k, const char *type, const char *path,
		     unsigned int depth_max, rf_field_fn fn, void *ctx)
{
	return k->btf ? rf_btf_fields(k->btf, type, path, depth_max, fn, ctx) : -ENOTSUP;
}

const char *rf_kernel_field_value(const struct rf_kernel *k, const struct rf_field *f,
				  int64_t value)
{
	return rf_btf_field_value(k->btf, f, value);
}

int rf_kernel_enumerator(const struct rf_kernel *k, const char *enum_name, const char *name,
			 int64_t *out)
{
	return k->btf ? rf_btf_enumerator(k->btf, enum_name, name, out) : -ENOTSUP;
}
