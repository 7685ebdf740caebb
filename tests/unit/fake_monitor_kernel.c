// SPDX-License-Identifier: LGPL-2.1-or-later
/* introspection/ as the monitor calls it, out of tables. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/arch.h"
#include "introspection/x86/gadget.h"
#include "tests/unit/fake_monitor.h"

struct rf_kernel {
	struct rf_image image;
	uint64_t symbol; /* SYMBOL_AT, as it was at discovery */
};

struct rf_textpatch {
	int nothing;
};

static const struct {
	const char *name;
	uint64_t at;
} symbols[] = {
	{ "_text", TEXT_AT },
	{ "entry_SYSCALL_64", 0x1080 },
	{ "commit_creds", 0x2000 },
	{ "vc_boot_ghcb", VC_AT },
	{ "secondary_startup_64_no_verify", STARTUP_AT },
	{ "common_startup_64", STARTUP_AT + 0x20 },
	{ "verify_cpu", STARTUP_AT + 0x30 },
	{ "_etext", TEXT_END },
	{ "__start_rodata", RODATA_AT },
	{ "sys_call_table", RODATA_AT + 0x100 },
	{ "__end_rodata", RODATA_END },
	{ "system_state", STATE_AT },
	{ "__SCK____perf_guest_state", PERF_KEY_AT },
	{ "idt_table", IDT_AT },
};

/* --- the kernel --- */

static int discovered(rf_gva inside, const struct rf_paging *p, struct rf_kernel **out,
		      struct rf_diag *diag)
{
	fake.inside = inside;
	fake.paging = *p;
	if (fake.discover_err || !rf_within(inside.v, 1, IMAGE_GVA, IMAGE_SIZE)) {
		strcpy(diag->text, "no kernel there");
		return fake.discover_err ? fake.discover_err : -ENOENT;
	}
	*out = calloc(1, sizeof(**out));
	(*out)->image = (struct rf_image){ rf_gva_of(IMAGE_GVA), rf_gpa_of(IMAGE_GPA), IMAGE_SIZE };
	if (fake.has_symbol)
		memcpy(&(*out)->symbol, fake.ram + SYMBOL_AT, sizeof((*out)->symbol));
	fake.kernels++;
	return 0;
}

int rf_kernel_discover(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		       struct rf_kernel **out, struct rf_diag *diag)
{
	fake.discovered++;
	return discovered(inside, p, out, diag);
}

int rf_kernel_discover_image(const struct rf_memory *m, const struct rf_image *image,
			     const struct rf_image *tables, uint8_t levels, rf_gva inside,
			     struct rf_kernel **out, struct rf_diag *diag)
{
	const struct rf_paging p = { .levels = levels };

	fake.by_image++;
	fake.believed = *tables;
	if (fake.image_err)
		return fake.image_err;
	if (image->base.v != IMAGE_GVA || image->gpa.v != IMAGE_GPA || image->size != IMAGE_SIZE)
		return -EBADMSG;
	return discovered(inside, &p, out, diag);
}

void rf_kernel_destroy(struct rf_kernel *k)
{
	fake.kernels -= !!k;
	free(k);
}

bool rf_kernel_has_types(const struct rf_kernel *k)
{
	return !fake.no_types;
}

const char *rf_kernel_banner(const struct rf_kernel *k)
{
	return fake.banner ? fake.banner : "Linux version 6.12-fake";
}

const struct rf_image *rf_kernel_image(const struct rf_kernel *k)
{
	return &k->image;
}

int rf_kernel_image_gpa(const struct rf_kernel *k, rf_gva gva, rf_gpa *out)
{
	if (!rf_within(gva.v, 1, IMAGE_GVA, IMAGE_SIZE))
		return -ENOENT;
	*out = rf_gpa_of(gva.v - IMAGE_GVA + IMAGE_GPA);
	return 0;
}

int rf_kernel_paging(const struct rf_kernel *k, struct rf_paging *out)
{
	*out = (struct rf_paging){ rf_gpa_of(0x3000000), 4 };
	return 0;
}

int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out)
{
	const uint64_t by = fake.moved_by ? fake.moved_by : RF_PAGE_SIZE;

	*out = rf_gva_of(fake.copied);
	if (fake.copied && !strcmp(name, "relocate_kernel"))
		return 0;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		if (!fake.has_tables && !strcmp(name, "idt_table"))
			continue;
		if (strcmp(symbols[i].name, name) || (fake.without && !strcmp(fake.without, name)))
			continue;
		*out = rf_gva_of(
			IMAGE_GVA + (fake.moved && !strcmp(fake.moved, name) ? by : 0) +
			(k->symbol && !strcmp(name, "commit_creds") ? k->symbol : symbols[i].at));
		return 0;
	}
	return -ENOENT;
}

int rf_kernel_enumerator(const struct rf_kernel *k, const char *enum_name, const char *name,
			 int64_t *out)
{
	bool suspend = !strcmp(name, "SYSTEM_SUSPEND");

	if (fake.no_types)
		return -ENOTSUP;
	if (strcmp(enum_name, "system_states") || (!suspend && strcmp(name, "SYSTEM_RUNNING")) ||
	    (fake.without && !strcmp(fake.without, name)))
		return -ENOENT;
	*out = suspend ? SUSPEND : RUNNING;
	return 0;
}

int rf_kernel_symbolize(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			uint64_t *offset)
{
	if (!rf_within(gva.v, 1, IMAGE_GVA, IMAGE_SIZE))
		return -ENOENT;
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
		if (gva.v - IMAGE_GVA < symbols[i].at)
			break;
		*out = (struct rf_symbol){ symbols[i].name, rf_gva_of(IMAGE_GVA + symbols[i].at),
					   'T' };
		*offset = gva.v - out->addr.v;
	}
	return 0;
}

int rf_task_current(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		    rf_gva percpu_base, struct rf_task *out)
{
	if (!fake.task)
		return -ENOENT;
	/* The per-CPU base tells which register the caller took. */
	*out = (struct rf_task){ .comm = "insmod", .pid = (int32_t)percpu_base.v, .uid = 1000 };
	return 0;
}

int rf_module_find(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   rf_gva gva, struct rf_module *out)
{
	uint8_t byte;

	while (fake.endless)
		if (rf_memory_read(m, rf_gpa_of(IMAGE_GPA), &byte, 1))
			return -E2BIG;
	if (gva.v >> 32 != 0xffffffff || gva.v < UINT64_C(0xffffffffc0000000))
		return -ENOENT;
	*out = (struct rf_module){ .base = rf_gva_of(UINT64_C(0xffffffffc0000000)),
				   .size = 0x1000 };
	strcpy(out->name, fake.module ? fake.module : "evil");
	return 0;
}

/* --- descriptor tables --- */

int rf_gadgets_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		    rf_gva start, rf_gva end, rf_gadget_fn fn, void *ctx)
{
	for (unsigned int i = 0; i < fake.insns_count; i++) {
		struct rf_gadget gadget;
		uint64_t gva = fake.insns[i].gva;
		uint8_t code[15];
		size_t at;
		int err;

		if (rf_memory_read(m, rf_gpa_of(gva - IMAGE_GVA + IMAGE_GPA), code, sizeof(code)) ||
		    rf_gadget_decode(code, sizeof(code), rf_gva_of(gva), &gadget))
			continue;
		at = (size_t)((uint8_t *)memchr(code, 0x0f, sizeof(code)) - code);
		if (gva + at < start.v || gva + at >= end.v)
			continue;
		/* Where instructions begin is only told of one of them. */
		gadget.intended = end.v - start.v == 1 && !fake.insns[i].hidden;
		err = fn(ctx, &gadget);
		if (err)
			return err;
	}
	return 0;
}

int rf_tables_init(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		   struct rf_tables *out)
{
	static struct rf_cpu_tables cpus[2];

	if (fake.no_types)
		return -ENOENT;
	*out = (struct rf_tables){ .idt_table = IMAGE_GVA + IDT_AT,
				   .bringup_idt = IMAGE_GVA + BRINGUP_AT,
				   .tss_limit = 0x206f,
				   .cpu_count = 2,
				   .cpus = cpus };
	for (uint64_t i = 0; i < 2; i++)
		cpus[i] = (struct rf_cpu_tables){ IMAGE_GVA + (fake.gdt_at ? fake.gdt_at : GDT_AT) +
							  i * RF_PAGE_SIZE,
						  GDT_RO_GVA + i * 0x10000, TSS_GVA + i * 0x10000 };
	for (unsigned int i = 0; i < 32; i++)
		out->idt.exception[i] = IMAGE_GVA + 0x100 + i * 16;
	return 0;
}

void rf_tables_deinit(struct rf_tables *t)
{
	*t = (struct rf_tables){ 0 };
}

/* --- page tables --- */

int rf_pt_read(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva, void *buf,
	       size_t len)
{
	for (size_t i = 0; i < len; i++) {
		struct rf_translation t;

		if (rf_pt_translate(m, p, rf_gva_of(gva.v + i), &t) ||
		    rf_memory_read(m, t.gpa, (uint8_t *)buf + i, 1))
			return -EFAULT;
	}
	return 0;
}

void fake_map(uint64_t gva, uint64_t gpa, uint64_t size, bool writable, bool executable)
{
	if (fake.maps_count == sizeof(fake.maps) / sizeof(fake.maps[0]))
		abort();
	for (unsigned int i = fake.maps_count++; i; i--)
		fake.maps[i] = fake.maps[i - 1];
	fake.maps[0] = (struct rf_mapping){ rf_gva_of(gva), rf_gpa_of(gpa), size,
					    writable,	    false,	    executable };
}

void fake_map_kernel(void)
{
	fake.maps_count = 0;
	fake_map(OTHER_GVA, OTHER_GPA, RAM_SIZE - IMAGE_SIZE, true, false);
	fake_map(IMAGE_GVA + RODATA_AT, IMAGE_GPA + RODATA_AT, RODATA_SIZE, false, false);
	fake_map(IMAGE_GVA + TEXT_AT, IMAGE_GPA + TEXT_AT, TEXT_SIZE, false, true);
}

int rf_pt_translate(const struct rf_memory *m, const struct rf_paging *p, rf_gva gva,
		    struct rf_translation *out)
{
	uint8_t byte;

	if (fake.endless && rf_memory_read(m, rf_gpa_of(IMAGE_GPA), &byte, 1))
		return -E2BIG; /* as pagetable.c, which reads an entry */
	for (unsigned int i = 0; i < fake.maps_count; i++) {
		const struct rf_mapping *r = &fake.maps[i];

		if (!rf_within(gva.v, 1, r->gva.v, r->size))
			continue;
		*out = (struct rf_translation){ .gpa = rf_gpa_of(r->gpa.v + (gva.v - r->gva.v)),
						.page_size = RF_PAGE_SIZE,
						.writable = r->writable,
						.executable = r->executable };
		return 0;
	}
	return -ENOENT;
}

int rf_pt_walk(const struct rf_memory *m, const struct rf_paging *p, rf_gva start, rf_gva end,
	       uint64_t max_entries, int (*fn)(void *ctx, const struct rf_mapping *run), void *ctx)
{
	for (uint64_t at = rf_page_down(start.v); at < end.v && !fake.walk_err;
	     at += RF_PAGE_SIZE) {
		struct rf_mapping run = { .gva = rf_gva_of(at), .size = RF_PAGE_SIZE };
		struct rf_translation t;
		int r;

		if (rf_pt_translate(m, p, run.gva, &t))
			continue;
		run.gpa = t.gpa;
		run.writable = t.writable;
		run.executable = t.executable;
		r = fn(ctx, &run);
		if (r)
			return r;
	}
	return fake.walk_err;
}

/* --- instructions and patches --- */

int rf_store_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		  const struct rf_paging *p, const struct rf_store_seen *seen, struct rf_store *out)
{
	uint8_t byte;

	fake.seen = *seen;
	while (fake.store_endless)
		if (rf_memory_read(m, rf_gpa_of(IMAGE_GPA), &byte, 1))
			return -E2BIG;
	if (!fake.store_err)
		*out = fake.store;
	return fake.store_err;
}

/* A list that leads back into itself. */
static void walk_lists(const struct rf_memory *m)
{
	uint8_t byte;

	fake.endless_read = 0;
	while (fake.endless && !rf_memory_read(m, rf_gpa_of(IMAGE_GPA), &byte, 1))
		fake.endless_read++;
}

int rf_textpatch_create(const struct rf_kernel *k, const struct rf_memory *m,
			const struct rf_paging *p, struct rf_patch_table *table, bool kept,
			uint32_t frozen, struct rf_textpatch **out, struct rf_diag *diag)
{
	fake.frozen = frozen;
	if (fake.textpatch_err) {
		strcpy(diag->text, "no tables");
		return fake.textpatch_err;
	}
	*out = calloc(1, sizeof(**out));
	fake.table_kept = kept;
	walk_lists(m);
	fake.patched_by = k->symbol;
	table->magic = RF_TABLE_MAGIC; /* it is whole */
	table->base = IMAGE_GVA;
	table->size = TEXT_SIZE;
	table->extra_count = fake.armed_count;
	memcpy(table->extra, fake.armed, sizeof(fake.armed));
	fake.tables++;
	return 0;
}

void rf_textpatch_stats(const struct rf_textpatch *t, struct rf_textpatch_stats *out)
{
	*out = fake.stats;
	out->nothing_kept = fake.table_kept && fake.nothing_kept;
}

void rf_textpatch_destroy(struct rf_textpatch *t)
{
	fake.tables -= !!t;
	free(t);
}

void rf_textpatch_canonical(const struct rf_textpatch *t, rf_gva gva, uint8_t *buf, size_t len)
{
	for (uint64_t at = fake.site; fake.site && at < fake.site + 5; at++)
		if (rf_within(at, 1, gva.v, len))
			buf[at - gva.v] = 0;
}

int rf_textpatch_judge(const struct rf_textpatch *t, const struct rf_memory *m, uint32_t last_tail,
		       rf_gva gva, const uint8_t *bytes, size_t len, struct rf_patch_result *out)
{
	fake.judged++;
	fake.judged_at = gva;
	fake.judged_last_tail = last_tail;
	if (fake.judge_err)
		return fake.judge_err;
	*out = fake.patch;
	if (fake.refreshed && fake.after_refresh)
		out->verdict = fake.after_refresh;
	return 0;
}

int rf_textpatch_refresh(struct rf_textpatch *t, const struct rf_memory *m,
			 const struct rf_paging *p, rf_gva gva, const uint8_t *bytes, size_t len)
{
	fake.refreshed++;
	walk_lists(m);
	return fake.refresh_err;
}

int rf_function_head(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		     const char *name, uint8_t least, struct rf_insns *out)
{
	if (!fake.kexec || strcmp(name, "machine_kexec"))
		return -ENOENT;
	*out = (struct rf_insns){ .at = rf_gva_of(fake.kexec),
				  .bytes = { 0x41, 0x55, 0x41, 0x54 },
				  .len = 4 };
	return 0;
}

int rf_textpatch_poker(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		       struct rf_poker *out)
{
	if (!fake.poker)
		return -ENOENT;
	*out = (struct rf_poker){ .at = rf_gva_of(fake.poker),
				  .bytes = { 0x48, 0x83, 0xec, 0x40 },
				  .len = 4,
				  .frame = 0x40,
				  .back = rf_gva_of(fake.poker + 16),
				  .how = rf_gva_of(fake.poker + 32) };
	return 0;
}

int rf_textpatch_sweep(struct rf_textpatch *t, const struct rf_memory *m, const struct rf_paging *p)
{
	fake.patch_sweeps++;
	walk_lists(m);
	return 0;
}

int rf_textpatch_copy(const struct rf_patch_table *from, uint64_t kernel, struct rf_patch_table *to)
{
	fake.copies++;
	return from->kernel == kernel ? 0 : -ENOENT;
}

int rf_textpatch_follow(struct rf_textpatch *t, const struct rf_patch_table *from)
{
	fake.follows++;
	return 0;
}

int rf_textpatch_look(struct rf_textpatch *t, const struct rf_patch_table *from,
		      const struct rf_memory *m, const struct rf_paging *p, rf_gone_fn gone,
		      void *ctx)
{
	int err = rf_textpatch_sweep(t, m, p);

	for (uint32_t i = 0; !err && i < fake.gone; i++)
		err = gone(ctx, i < fake.gone / 2 ? RF_GONE_PROBE : 3, i);
	return err;
}

int rf_textpatch_forget(struct rf_textpatch *t, const struct rf_memory *m, uint32_t of,
			const uint64_t *what, size_t n)
{
	fake.forgotten += n;
	fake.forgotten_of = of;
	fake.forgotten_last = n ? what[n - 1] : 0;
	return 0;
}

/* --- hooks --- */

struct rf_hooks {
	int nothing;
};

int rf_hooks_create(struct rf_textpatch *t, const struct rf_memory *m, struct rf_hooks **out)
{
	*out = calloc(1, sizeof(**out));
	fake.hook_tables++;
	return 0;
}

void rf_hooks_destroy(struct rf_hooks *h)
{
	fake.hook_tables -= !!h;
	free(h);
}

int rf_hooks_walk(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  rf_hook_fn fn, void *ctx)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < fake.hooks_count; i++)
		err = fn(ctx, &fake.hooks[i]);
	return err ? err : fake.hooks_err;
}

int rf_hooks_look(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		  uint64_t kind, uint64_t object, rf_hook_fn fn, void *ctx)
{
	int err = 0;

	fake.hooks_looked++;
	for (uint32_t i = 0; !err && i < fake.hooks_count; i++)
		if (fake.hooks[i].kind == kind && fake.hooks[i].object == object)
			err = fn(ctx, &fake.hooks[i]);
	return err;
}

bool rf_hooks_shows(const struct rf_hooks *h, enum rf_hook_kind kind)
{
	return !(fake.hooks_hidden >> kind & 1);
}

int rf_hooks_bpf(const struct rf_hooks *h, const struct rf_memory *m, const struct rf_paging *p,
		 rf_gva gva, char name[RF_BPF_NAME])
{
	if (!fake.bpf)
		return fake.bpf_err ? fake.bpf_err : -ENOENT;
	strcpy(name, fake.bpf);
	return 0;
}

/* --- checks --- */

struct rf_checks {
	int nothing;
};

static const struct rf_check fake_checks[] = {
	{ .name = "first",
	  .attack = "T1014",
	  .severity = RF_SEVERITY_HIGH,
	  .period_ms = 1000,
	  .reads = 100 },
	{ .name = "second",
	  .attack = "T1014",
	  .severity = RF_SEVERITY_LOW,
	  .period_ms = 5000,
	  .reads = 100 },
	{ .name = "guarded",
	  .attack = "T1014",
	  .severity = RF_SEVERITY_LOW,
	  .period_ms = 1000,
	  .reads = 100,
	  .guard = "tables" },
};
const struct rf_check *const rf_checks[] = { &fake_checks[0], &fake_checks[1], &fake_checks[2],
					     NULL };

const struct rf_check *rf_check_named(const char *name)
{
	for (unsigned int i = 0; i < 3; i++)
		if (!strcmp(fake_checks[i].name, name))
			return &fake_checks[i];
	return NULL;
}

const char *rf_severity_text(enum rf_severity severity)
{
	return severity == RF_SEVERITY_HIGH ? "high" : "low";
}

const char *rf_check_state_text(enum rf_check_state state)
{
	return state == RF_CHECK_CLEAN ? "clean" : "other";
}

int rf_checks_create(const struct rf_kernel *k, const struct rf_memory *m,
		     const struct rf_paging *p, const struct rf_checks_options *options,
		     struct rf_checks **out)
{
	fake.checks_alive++;
	fake.checks_known = options->known.count ? options->known.names[0] : NULL;
	*out = calloc(1, sizeof(**out));
	return *out ? 0 : -ENOMEM;
}

void rf_checks_destroy(struct rf_checks *c)
{
	fake.checks_alive -= c != NULL;
	free(c);
}

int rf_checks_run(struct rf_checks *c, const struct rf_check *check, rf_check_finding_fn fn,
		  void *ctx, struct rf_check_result *result)
{
	uint32_t n = check == rf_checks[0] ? fake.findings_count : 0;
	int err = 0;

	fake.checks_runs[check - fake_checks]++;
	for (uint32_t i = 0; !err && i < n; i++)
		err = fn(ctx, &fake.findings[i]);
	*result = (struct rf_check_result){ .check = check,
					    .state = n ? RF_CHECK_FOUND : RF_CHECK_CLEAN,
					    .looked_at = 7,
					    .found = n,
					    .why = "because" };
	if (check == rf_checks[0] && fake.check_state)
		result->state = fake.check_state;
	result->cut =
		result->state == RF_CHECK_UNDECIDED || (fake.check_cut && check == rf_checks[0]);
	return err;
}
