// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <string.h>

#include "introspection/kernel_internal.h"
#include "introspection/task.h"

/* struct module is about 1.2 KiB; more than this is not one. */
#define MODULE_MAX 8192u
/* The list is the guest's: a cycle that misses the head must end somewhere. */
#define MODULES_MAX 4096u

static void add_part(struct rf_module_layout *l, uint64_t base, uint64_t size)
{
	if (l->part_count < RF_MODULE_PARTS_MAX)
		l->part[l->part_count++] = (struct rf_module_part){ base, size };
}

/* From 6.4 on: struct module_memory mem[MOD_MEM_NUM_TYPES] (include/linux/module.h). */
static bool array_parts(const struct rf_kernel *k, struct rf_module_layout *l)
{
	struct rf_member mem, base, size;
	uint64_t each;

	if (rf_kernel_member(k, "module", "mem", &mem) ||
	    rf_kernel_sizeof(k, "module_memory", &each) ||
	    rf_kernel_member(k, "module_memory", "base", &base) ||
	    rf_kernel_member(k, "module_memory", "size", &size) || base.size != 8 ||
	    size.size != 4 || !each)
		return false;
	for (uint64_t at = 0; at < mem.size && l->part_count < RF_MODULE_PARTS_MAX; at += each)
		add_part(l, mem.offset + at + base.offset, mem.offset + at + size.offset);
	return l->part_count;
}

/* To 6.3: struct module_layout core_layout, init_layout. */
static bool layout_parts(const struct rf_kernel *k, struct rf_module_layout *l)
{
	static const char *const paths[][2] = { { "core_layout.base", "core_layout.size" },
						{ "init_layout.base", "init_layout.size" } };
	struct rf_member base, size;

	for (unsigned int i = 0; i < 2; i++) {
		if (rf_kernel_member(k, "module", paths[i][0], &base) ||
		    rf_kernel_member(k, "module", paths[i][1], &size) || base.size != 8 ||
		    size.size != 4)
			continue;
		add_part(l, base.offset, size.offset);
	}
	return l->part_count;
}

void rf_module_layout_init(struct rf_kernel *k)
{
	struct rf_module_layout l = { 0 };
	struct rf_member list, name;

	if (rf_kernel_address(k, "modules", &l.head) || rf_kernel_sizeof(k, "module", &l.size) ||
	    rf_kernel_member(k, "module", "list", &list) ||
	    rf_kernel_member(k, "module", "name", &name))
		return;
	if (!array_parts(k, &l) && !layout_parts(k, &l))
		return;
	if (l.size > MODULE_MAX || !rf_within(list.offset, 16, 0, l.size) ||
	    !rf_within(name.offset, name.size, 0, l.size))
		return;
	for (unsigned int i = 0; i < l.part_count; i++)
		if (!rf_within(l.part[i].base, 8, 0, l.size) ||
		    !rf_within(l.part[i].size, 4, 0, l.size))
			return;
	l.list = list.offset;
	l.name = name.offset;
	l.name_size = name.size;
	l.known = true;
	k->module = l;
}

static bool holds(const struct rf_module_layout *l, const uint8_t *module, uint64_t addr,
		  struct rf_module *out)
{
	uint64_t base;
	uint32_t size;

	for (unsigned int i = 0; i < l->part_count; i++) {
		memcpy(&base, module + l->part[i].base, sizeof(base));
		memcpy(&size, module + l->part[i].size, sizeof(size));
		if (!rf_within(addr, 1, base, size))
			continue;
		out->base.v = base;
		out->size = size;
		rf_guest_text((const char *)module + l->name, l->name_size, out->name,
			      sizeof(out->name));
		return true;
	}
	return false;
}

/* Other than 0 ends the walk. */
typedef int (*module_fn)(void *ctx, const struct rf_module_layout *l, const uint8_t *module);

static int each_module(const struct rf_kernel *k, const struct rf_memory *m,
		       const struct rf_paging *p, module_fn fn, void *ctx)
{
	const struct rf_module_layout *l = &k->module;
	uint8_t module[MODULE_MAX];
	uint64_t at;
	int r;

	if (!l->known)
		return -ENOENT;
	r = rf_pt_read(m, p, l->head, &at, sizeof(at));
	if (r == -ENOENT)
		return -EFAULT; /* that nobody has it is not said */
	for (unsigned int i = 0; !r && at != l->head.v; i++) {
		if (i == MODULES_MAX)
			return -EBADMSG;
		r = rf_pt_read(m, p, rf_gva_of(at - l->list), module, l->size);
		if (r)
			return r == -EINVAL ? -EBADMSG : r == -ENOENT ? -EFAULT : r;
		r = fn(ctx, l, module);
		memcpy(&at, module + l->list, sizeof(at));
	}
	return r;
}

struct search {
	uint64_t addr;
	struct rf_module found;
};

static int is_it(void *ctx, const struct rf_module_layout *l, const uint8_t *module)
{
	struct search *s = ctx;

	return holds(l, module, s->addr, &s->found);
}

int rf_module_find(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   rf_gva gva, struct rf_module *out)
{
	struct search s = { .addr = gva.v };
	int r = each_module(k, m, p, is_it, &s);

	if (r <= 0)
		return r ? r : -ENOENT;
	*out = s.found;
	return 0;
}

struct ranges {
	struct rf_module_range *v;
	size_t count, max;
};

static int add_ranges(void *ctx, const struct rf_module_layout *l, const uint8_t *module)
{
	struct ranges *s = ctx;

	for (unsigned int i = 0; i < l->part_count; i++) {
		uint64_t base;
		uint32_t size;

		memcpy(&base, module + l->part[i].base, sizeof(base));
		memcpy(&size, module + l->part[i].size, sizeof(size));
		if (!size)
			continue;
		if (s->count == s->max)
			return -EBADMSG;
		s->v[s->count++] = (struct rf_module_range){ base, size };
	}
	return 0;
}

int rf_module_ranges(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, struct rf_module_range *out, size_t max,
		     size_t *count)
{
	struct ranges s = { out, 0, max };
	int r = !k->module.known ? -ENOTSUP : each_module(k, m, p, add_ranges, &s);

	*count = s.count;
	return r;
}
