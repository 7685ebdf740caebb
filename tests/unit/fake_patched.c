// SPDX-License-Identifier: LGPL-2.1-or-later
#include <stdlib.h>
#include <string.h>

#include "tests/unit/fake_patched.h"

struct rf_patch_table patched_table;
const uint8_t patched_nop5[5] = { 0x0f, 0x1f, 0x44, 0, 0 };

/*
 * CODE: push rbp; mov rbp,rsp; mov eax,imm32; add rax,rbx; pop rbp; ret; then int3 up to the next
 * function. At 1 and 4 instructions begin, a jump of five bytes fits at 4.
 */
static const uint8_t code[] = { 0x55, 0x48, 0x89, 0xe5, 0xb8, 0x11, 0x22, 0x33,
				0x44, 0x48, 0x01, 0xd8, 0x5d, 0xc3, 0xcc, 0xcc };

static const struct fake_member members[] = {
	{ "ftrace_page", "next", 0, 8 },
	{ "ftrace_page", "records", 8, 8 },
	{ "ftrace_page", "index", 16, 4 },
	{ "ftrace_page", NULL, 0, 24 },
	{ "dyn_ftrace", "ip", 0, 8 },
	{ "dyn_ftrace", NULL, 0, 16 },
	{ "ftrace_ops", "next", 8, 8 },
	{ "ftrace_ops", "trampoline", 40, 8 },
	{ "ftrace_ops", "func", 0, 8 },
	{ "ftrace_ops", "func_hash", 24, 8 },
	{ "ftrace_ops_hash", "filter_hash", 8, 8 },
	{ "fprobe", "ops", 0, 48 },
	{ "fprobe", "entry_handler", 48, 8 },
	{ "fprobe", "exit_handler", 56, 8 },
	{ "fprobe_hlist", "hlist", 0, 16 },
	{ "fprobe_hlist", "fp", 16, 8 },
	{ "fprobe_hlist", "size", 24, 4 },
	{ "fprobe_hlist", "array", 32, 0 },
	{ "fprobe_hlist_node", "addr", 8, 8 },
	{ "klp_ops", "fops", 32, 48 },
	{ "klp_ops", "func_stack", 16, 16 },
	{ "klp_func", "stack_node", 32, 16 },
	{ "klp_func", "new_func", 8, 8 },
	{ "ftrace_hash", "size_bits", 0, 8 },
	{ "ftrace_hash", "buckets", 8, 8 },
	{ "ftrace_hash", "count", 16, 8 },
	{ "ftrace_func_entry", "hlist", 0, 16 },
	{ "ftrace_func_entry", "ip", 16, 8 },
	{ "ftrace_func_entry", "direct", 24, 8 },
	{ "kprobe", "hlist", 0, 16 },
	{ "kprobe", "list", 16, 16 },
	{ "kprobe", "addr", 40, 8 },
	{ "kprobe", "post_handler", 72, 8 },
	{ "kretprobe", "kp", 0, 120 },
	{ "kretprobe", "handler", 120, 8 },
	{ "kretprobe", "entry_handler", 128, 8 },
	{ "kprobe", "pre_handler", 64, 8 },
	{ "kprobe", "opcode", 80, 1 },
	{ "kprobe", NULL, 0, 120 },
	{ "optimized_kprobe", "optinsn.copied_insn", 136, 4 },
	{ "optimized_kprobe", "optinsn.insn", 144, 8 },
	{ "optimized_kprobe", "optinsn.size", 152, 8 },
	{ "smp_alt_module", "mod", 0, 8 },
	{ "smp_alt_module", "locks", 16, 8 },
	{ "smp_alt_module", "locks_end", 24, 8 },
	{ "smp_alt_module", "text", 32, 8 },
	{ "smp_alt_module", "text_end", 40, 8 },
	{ "smp_alt_module", "next", 48, 16 },
	{ "kgdb_bkpt", "bpt_addr", 0, 8 },
	{ "kgdb_bkpt", "state", 16, 4 },
	{ "kgdb_bkpt", NULL, 0, 24 },
	{ "kgdb_bpstate", "BP_SET", 2, 0 },
	{ "kgdb_bpstate", "BP_ACTIVE", 3, 0 },
	{ "static_call_key", "func", 0, 8 },
	{ "tracepoint", "funcs", 8, 8 },
	{ "tracepoint_func", "func", 0, 8 },
	{ "tracepoint_func", NULL, 0, 16 },
	{ "bpf_ksym", "start", 0, 8 },
	{ "bpf_ksym", "end", 8, 8 },
	{ "bpf_ksym", "name", 16, 32 },
	{ "bpf_ksym", "lnode", 48, 16 },
	{ "bpf_dispatcher", "image", 8, 8 },
};

static const struct {
	const char *name;
	uint64_t addr;
	char type;
} symbols[] = {
	{ "_text", TEXT, 'T' },
	{ "_etext", ETEXT, 'T' },
	{ "__start_rodata", RODATA, 'D' },
	{ "__end_rodata", ERODATA, 'D' },
	{ "__start___jump_table", RODATA, 'D' },
	{ "__stop___jump_table", RODATA + 16, 'D' },
	{ "__start___tracepoints_ptrs", RODATA + 0x200, 'D' },
	{ "__stop___tracepoints_ptrs", RODATA + 0x208, 'D' },
	{ "__start_static_call_sites", RODATA + 0x100, 'D' },
	{ "__stop_static_call_sites", RODATA + 0x108, 'D' },
	{ "labelled", TEXT + 0xf0, 't' },
	{ "__SCT__one", TRAMP, 'T' },
	{ "__SCK__one", KEY, 'D' },
	{ "__SCT__bpf_dispatcher_xdp_call", DISPATCHER_TRAMP, 'T' },
	{ "__SCK__bpf_dispatcher_xdp_call", DISPATCHER_KEY, 'D' },
	{ "bpf_dispatcher_xdp", DISPATCHER, 'D' },
	{ "code", CODE, 't' },
	{ "after_code", CODE + sizeof(code), 't' },
	{ "ftrace_caller", FTRACE_CALLER, 'T' },
	{ "ftrace_call", FTRACE_CALL, 'T' },
	{ "ftrace_regs_caller", FTRACE_REGS_CALLER, 'T' },
	{ "ftrace_regs_call", FTRACE_REGS_CALL, 'T' },
	{ "ftrace_stub", FTRACE_STUB, 'T' },
	{ "ftrace_ops_list_func", FTRACE_LIST, 'T' },
	{ "tracer", TRACER, 't' },
	{ "aggr_pre_handler", AGGREGATOR, 't' },
	{ "pre_handler_kretprobe", KRETPROBE, 't' },
	{ "fprobe_handler", FPROBE, 't' },
	{ "klp_ftrace_handler", LIVEPATCH, 't' },
	{ "locked", LOCKED, 't' },
	{ "ftrace_pages_start", PAGES_VAR, 'b' },
	{ "ftrace_ops_list", OPS_VAR, 'D' },
	{ "direct_functions", DIRECT_VAR, 'd' },
	{ "ftrace_trace_function", FUNC_VAR, 'D' },
	{ "ftrace_list_end", OPS_END, 'D' },
	{ "smp_alt_modules", SMP_LIST, 'd' },
	{ "__smp_locks", LOCKS, 'D' },
	{ "__smp_locks_end", LOCKS + 12, 'D' },
	{ "kprobe_table", PROBES, 'b' },
	{ "__tracepoint_one", TRACEPOINT(0), 'd' },
	{ "__SCK__tp_func_one", TRACEPOINT_KEY, 'd' },
	{ "bpf_kallsyms", BPF_LIST, 'd' },
	{ "kgdb_break", KGDB, 'b' },
	{ "after_kgdb", KGDB + 96, 'b' },
	{ "not_fprobe_table", FPROBES, 'b' },
};

/* A fuzzer uses this too. */
static void must(bool what)
{
	if (!what)
		abort();
}

uint64_t patched_alloc(struct patched *f, uint64_t size)
{
	uint64_t at = f->heap;

	f->heap += (size + 15) & ~UINT64_C(15);
	return at;
}

void patched_rel32(uint8_t *insn, uint8_t op, uint64_t site, uint64_t target)
{
	int32_t rel = (int32_t)(target - site - 5);

	insn[0] = op;
	memcpy(insn + 1, &rel, 4);
}

static void write_rel32(struct patched *f, uint8_t op, uint64_t site, uint64_t target)
{
	uint8_t insn[5];

	patched_rel32(insn, op, site, target);
	fake_write(&f->g, site, insn, 5);
}

static void write_self_relative(struct patched *f, uint64_t at, uint64_t to)
{
	int32_t rel = (int32_t)(to - at);

	fake_write(&f->g, at, &rel, 4);
}

static void put_tables(struct patched *f)
{
	static const uint8_t ud[3] = { 0x0f, 0xb9, 0xcc };

	write_self_relative(f, RODATA, JUMP);
	write_self_relative(f, RODATA + 4, JUMP + 16);
	fake_put64(&f->g, RODATA + 8, DATA + 0x80 - (RODATA + 8));
	fake_write(&f->g, JUMP, patched_nop5, 5);
	write_self_relative(f, RODATA + 0x100, CALL);
	write_self_relative(f, RODATA + 0x104, KEY);
	fake_put64(&f->g, KEY, FUNC(0));
	fake_put64(&f->g, DISPATCHER_KEY, FUNC(1));
	write_rel32(f, 0xe8, CALL, FUNC(0));
	write_rel32(f, 0xe9, TRAMP, FUNC(0));
	write_rel32(f, 0xe9, DISPATCHER_TRAMP, FUNC(1));
	fake_write(&f->g, TRAMP + 5, ud, 3);
	fake_write(&f->g, DISPATCHER_TRAMP + 5, ud, 3);
}

/* Two pages of records: the core's in two parts, a module's in the second. */
static void put_ftrace(struct patched *f)
{
	static const uint8_t endbr[4] = { 0xf3, 0x0f, 0x1e, 0xfa };
	uint64_t first = patched_alloc(f, 24), second = patched_alloc(f, 24);
	uint64_t records = patched_alloc(f, 18 * 16), hash = patched_alloc(f, 24);

	fake_put64(&f->g, PAGES_VAR, first);
	fake_put64(&f->g, first, second);
	fake_put64(&f->g, first + 8, records);
	fake_put64(&f->g, first + 16, 8);
	fake_put64(&f->g, second + 8, records + 8 * 16);
	fake_put64(&f->g, second + 16, 10);
	for (uint64_t i = 0; i < 16; i++) {
		uint64_t ip = FUNC(i);

		if (ip == ENDBR_FUNC) {
			fake_write(&f->g, ip, endbr, 4);
			ip += 4;
		}
		fake_put64(&f->g, records + 16 * i, ip);
		fake_write(&f->g, ip, patched_nop5, 5);
	}
	fake_put64(&f->g, records + 16 * 16, MODULE + 0x40);
	fake_put64(&f->g, records + 17 * 16, FUNC(3) + 0x20); /* of a weak function */
	fake_put64(&f->g, OPS_VAR, OPS_END);
	fake_put64(&f->g, FUNC_VAR, FTRACE_STUB);
	fake_put64(&f->g, hash, 4);
	fake_put64(&f->g, hash + 8, patched_alloc(f, 16 * 8));
	fake_put64(&f->g, DIRECT_VAR, hash);
	write_rel32(f, 0xe8, FTRACE_CALL, FTRACE_STUB);
	write_rel32(f, 0xe8, FTRACE_REGS_CALL, FTRACE_STUB);
}

/* Two tracepoints that call nobody, and no piece of BPF's. */
static void put_hooks(struct patched *f)
{
	write_self_relative(f, RODATA + 0x200, TRACEPOINT(1));
	write_self_relative(f, RODATA + 0x204, TRACEPOINT(0));
	fake_put64(&f->g, TRACEPOINT_KEY, FUNC(0));
	fake_put64(&f->g, BPF_LIST, BPF_LIST);
}

/* Booted on one CPU: lock addl $1,(%rax) and lock xadd %rax,(%rdi), without their locks. */
static void put_locks(struct patched *f)
{
	static const uint8_t insns[] = { 0x3e, 0x83, 0x00, 0x01, 0x3e, 0x48, 0x0f, 0xc1, 0x07 };
	uint64_t own = patched_alloc(f, 64);

	fake_write(&f->g, LOCKED, insns, sizeof(insns));
	write_self_relative(f, LOCKS, LOCKED);
	write_self_relative(f, LOCKS + 4, LOCKED + 4);
	fake_put64(&f->g, SMP_LIST, own + 48);
	fake_put64(&f->g, own + 16, LOCKS);
	fake_put64(&f->g, own + 24, LOCKS + 12);
	fake_put64(&f->g, own + 32, TEXT);
	fake_put64(&f->g, own + 40, ETEXT);
	fake_put64(&f->g, own + 48, SMP_LIST);
}

static int create(struct patched *f, bool kept)
{
	struct fake_guest *g = &f->g;
	int err;

	rf_textpatch_destroy(f->t);
	f->t = NULL;
	f->diag.text[0] = '\0';
	err = rf_textpatch_create(&g->k, &g->m, &g->p, &patched_table, kept, f->frozen, &f->t,
				  &f->diag);
	must(!(patched_table.seq % 2));
	if (!err)
		f->last_tail = rf_textpatch_torn(f->t);
	return err;
}

int patched_create(struct patched *f)
{
	return create(f, false);
}

int patched_take_over(struct patched *f)
{
	return create(f, true);
}

int patched_setup(void **state)
{
	static struct patched f;

	rf_textpatch_destroy(f.t);
	rf_textpatch_destroy(f.other);
	memset(&f, 0, sizeof(f));
	fake_init(&f.g);
	fake_map(&f.g, TEXT, 0x1000, 4);
	fake_map(&f.g, HEAP, 0x6000, 4);
	fake_map(&f.g, MODULE, 0xa000, 2);
	f.heap = HEAP + 0x10;
	f.g.module = MODULE;
	f.g.module_size = MODULE_SIZE;
	f.g.k.image = (struct rf_image){ rf_gva_of(TEXT), rf_gpa_of(0x1000), 0x4000 };
	for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++)
		fake_symbol(&f.g, symbols[i].name, symbols[i].addr, symbols[i].type);
	for (uint64_t i = 0; i < 16; i++)
		fake_symbol(&f.g, "func", FUNC(i), 't');
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		fake_member(&f.g, members[i].type, members[i].path, members[i].offset,
			    members[i].size);
	put_tables(&f);
	put_ftrace(&f);
	put_locks(&f);
	put_hooks(&f);
	fake_write(&f.g, CODE, code, sizeof(code));
	*state = &f;
	must(!patched_create(&f));
	return 0;
}

int patched_teardown(void **state)
{
	struct patched *f = *state;

	rf_textpatch_destroy(f->t);
	rf_textpatch_destroy(f->other);
	f->t = f->other = NULL;
	return 0;
}

/* --- stores --------------------------------------------------------------- */

enum rf_patch_verdict patched_store(struct patched *f, uint64_t gva, const void *bytes, size_t len)
{
	struct fake_guest *g = &f->g;

	for (int look = 0; look < 2; look++) {
		must(!rf_textpatch_judge(f->t, &g->m, f->last_tail, rf_gva_of(gva), bytes, len,
					 &f->r));
		must(f->r.why);
		if (look || f->r.verdict <= RF_PATCH_DONE)
			break;
		f->refreshed++;
		must(!rf_textpatch_refresh(f->t, &g->m, &g->p, rf_gva_of(gva), bytes, len));
		must(!(patched_table.seq % 2));
	}
	if (f->r.verdict <= RF_PATCH_DONE) {
		fake_write(g, gva, bytes, len);
		if (f->r.verdict == RF_PATCH_STEP && f->r.offset && f->r.now[0] == RF_INT3)
			f->last_tail = f->r.at;
	}
	return f->r.verdict;
}

enum rf_patch_verdict patched_byte(struct patched *f, uint64_t gva, int byte)
{
	uint8_t b = (uint8_t)byte;

	return patched_store(f, gva, &b, 1);
}

enum rf_patch_verdict patched_poke(struct patched *f, uint64_t site, const uint8_t *insn,
				   size_t len)
{
	enum rf_patch_verdict v = patched_byte(f, site, RF_INT3);

	for (int again = 0; again < 2 && v <= RF_PATCH_DONE; again++)
		v = patched_store(f, site + 1, insn + 1, len - 1);
	return v <= RF_PATCH_DONE ? patched_byte(f, site, insn[0]) : v;
}

enum rf_patch_verdict patched_call(struct patched *f, uint64_t site, uint8_t op, uint64_t target)
{
	uint8_t insn[5];

	patched_rel32(insn, op, site, target);
	return patched_poke(f, site, insn, 5);
}

bool patched_holds(struct patched *f, uint64_t gva, const void *bytes, size_t len)
{
	uint8_t now[16];

	must(!rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(gva), now, len));
	return !memcmp(now, bytes, len);
}

/* --- lists ---------------------------------------------------------------- */

static uint64_t get64(struct patched *f, uint64_t gva)
{
	uint64_t v;

	must(!rf_pt_read(&f->g.m, &f->g.p, rf_gva_of(gva), &v, 8));
	return v;
}

uint64_t patched_ops(struct patched *f, uint64_t trampoline)
{
	uint64_t ops = patched_alloc(f, 48);

	fake_put64(&f->g, ops + 8, get64(f, OPS_VAR));
	fake_put64(&f->g, ops + 40, trampoline);
	fake_put64(&f->g, OPS_VAR, ops);
	return ops;
}

uint64_t patched_direct(struct patched *f, uint64_t ip, uint64_t target)
{
	uint64_t entry = patched_alloc(f, 32);
	uint64_t bucket =
		get64(f, get64(f, DIRECT_VAR) + 8) + 8 * (ip * UINT64_C(0x61c8864680b583eb) >> 60);

	fake_put64(&f->g, entry, get64(f, bucket));
	fake_put64(&f->g, entry + 16, ip);
	fake_put64(&f->g, entry + 24, target);
	fake_put64(&f->g, bucket, entry);
	return entry;
}

static uint64_t probe_bucket(uint64_t addr)
{
	return PROBES + 8 * (addr * UINT64_C(0x61c8864680b583eb) >> 58);
}

uint64_t patched_probe(struct patched *f, uint64_t addr, uint8_t opcode, uint64_t slot)
{
	uint64_t probe = patched_alloc(f, 160), bucket = probe_bucket(addr);

	fake_put64(&f->g, probe, get64(f, bucket));
	fake_put64(&f->g, probe + 40, addr);
	fake_write(&f->g, probe + 80, &opcode, 1);
	if (slot) {
		fake_put64(&f->g, probe + 64, AGGREGATOR);
		fake_put64(&f->g, probe + 144, slot);
		fake_put64(&f->g, probe + 152, 5);
	}
	fake_put64(&f->g, bucket, probe);
	return probe;
}

void patched_unprobe(struct patched *f, uint64_t probe)
{
	uint64_t at = probe_bucket(get64(f, probe + 40));

	while (get64(f, at) != probe)
		at = get64(f, at);
	fake_put64(&f->g, at, get64(f, probe));
}

enum patched_by patched_by;
static struct rf_patch_table other_table;

static int forget(void *ctx, uint32_t of, uint64_t what)
{
	struct patched *f = ctx;

	return rf_textpatch_forget(f->t, &f->g.m, of, &what, 1);
}

static int sweep_by_another(struct patched *f)
{
	int err = 0;

	if (patched_by == PATCHED_BY_A_NEW_ONE) {
		rf_textpatch_destroy(f->other);
		f->other = NULL;
	}
	if (!f->other)
		err = rf_textpatch_copy(&patched_table, patched_table.kernel, &other_table);
	if (!err && !f->other)
		err = rf_textpatch_create(&f->g.k, &f->g.m, &f->g.p, &other_table, true, 0,
					  &f->other, &f->diag);
	return err ? err : rf_textpatch_look(f->other, &patched_table, &f->g.m, &f->g.p, forget, f);
}

int patched_sweep(struct patched *f)
{
	int err = patched_by == PATCHED_ALONE ? rf_textpatch_sweep(f->t, &f->g.m, &f->g.p)
					      : sweep_by_another(f);

	must(!(patched_table.seq % 2));
	return err;
}

struct rf_textpatch_stats patched_stats(struct patched *f)
{
	struct rf_textpatch_stats st;

	rf_textpatch_stats(f->t, &st);
	return st;
}

void patched_detour(struct patched *f, uint8_t *insn)
{
	patched_rel32(insn, 0xe9, CODE + 4, SLOT);
}

void patched_rename(struct patched *f, const char *from, const char *to)
{
	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, from))
			f->g.k.syms[i].name = to;
}

void patched_later_fprobes(struct patched *f)
{
	patched_rename(f, "fprobe_handler", "fprobe_ftrace_entry");
	patched_rename(f, "not_fprobe_table", "fprobe_table");
}

void patched_symbol(struct patched *f, const char *name, uint64_t addr)
{
	bool there = false;

	for (size_t i = 0; i < f->g.k.count; i++)
		if (!strcmp(f->g.k.syms[i].name, name)) {
			f->g.k.syms[i].addr.v = addr;
			there = true;
		}
	must(there);
}
