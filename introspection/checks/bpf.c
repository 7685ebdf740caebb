// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * BPF programs (kernel/bpf/syscall.c prog_idr): which of them can change what others see. What a
 * program calls is judged by its instructions, and a name alone vouches for those that an operator
 * has named: anybody may give a program any name.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/families.h"
#include "introspection/checks/impl.h"
#include "introspection/checks/set.h"

#define INSNS_MAX (1u << 20) /* BPF_COMPLEXITY_LIMIT_INSNS; the verifier adds to them */
#define FUNCS_MAX 1024u	     /* BPF_MAX_SUBPROGS is 256 */
#define NAME_SIZE 48

enum { KPROBE, TRACING, WRITABLE, LSM, PERF_EVENT, EXT, TYPES };

static const struct type {
	const char *enumerator, *name;
} types[TYPES] = {
	[KPROBE] = { "BPF_PROG_TYPE_KPROBE", "kprobe" },
	[TRACING] = { "BPF_PROG_TYPE_TRACING", "tracing" },
	[WRITABLE] = { "BPF_PROG_TYPE_RAW_TRACEPOINT_WRITABLE", "writable raw tracepoint" },
	[LSM] = { "BPF_PROG_TYPE_LSM", "LSM" },
	[PERF_EVENT] = { "BPF_PROG_TYPE_PERF_EVENT", "perf event" },
	[EXT] = { "BPF_PROG_TYPE_EXT", "extension" },
};

/* What systemd loads by itself (its src/bpf/); names are cut after 15 letters. */
static const struct usual {
	unsigned int type;
	const char *name, *at; /* beginning of the function that it is attached to */
} usual[] = {
	{ LSM, "restrict_filesy", "bpf_lsm_file_open" },
	{ LSM, "userns_restrict", "bpf_lsm_path_" },
	{ KPROBE, "userns_restrict", "" },
};

/* Helpers that write where a program otherwise cannot. */
static const char *const writers[] = { "bpf_probe_write_user", "bpf_override_return" };
#define WRITERS (sizeof(writers) / sizeof(writers[0]))

struct layout {
	uint64_t type, attach, tag, aux, len, insns; /* of struct bpf_prog */
	uint64_t name, function;		     /* of struct bpf_prog_aux */
	int64_t types[TYPES], iterates;
	bool call_known[WRITERS];
	int32_t calls[WRITERS];
};

struct program {
	char name[17], at[NAME_SIZE];
	uint8_t tag[8];
	uint32_t type, attach;
};

static void find_calls(struct rf_run *run, struct layout *l)
{
	rf_gva base, helper;

	if (rf_kernel_address(run->c->k, "__bpf_call_base", &base))
		return;
	/* The verifier leaves the distance to it in the instruction. */
	for (size_t i = 0; i < WRITERS; i++) {
		l->call_known[i] = !rf_kernel_address(run->c->k, writers[i], &helper);
		l->calls[i] = l->call_known[i] ? (int32_t)(helper.v - base.v) : 0;
	}
}

static int lay_out(struct rf_run *run, struct layout *l)
{
	const struct rf_kernel *k = run->c->k;
	int err;

	if ((err = rf_run_member(run, "bpf_prog", "type", 4, &l->type)) ||
	    (err = rf_run_member(run, "bpf_prog", "expected_attach_type", 4, &l->attach)) ||
	    (err = rf_run_member(run, "bpf_prog", "tag", 8, &l->tag)) ||
	    (err = rf_run_member(run, "bpf_prog", "aux", 8, &l->aux)) ||
	    (err = rf_run_member(run, "bpf_prog", "len", 4, &l->len)) ||
	    (err = rf_run_member(run, "bpf_prog", "insnsi", 0, &l->insns)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "name", 16, &l->name)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "attach_func_name", 8, &l->function)))
		return err;
	for (size_t i = 0; i < TYPES; i++)
		if (rf_kernel_enumerator(k, "bpf_prog_type", types[i].enumerator, &l->types[i]))
			l->types[i] = -1;
	if (rf_kernel_enumerator(k, "bpf_attach_type", "BPF_TRACE_ITER", &l->iterates))
		l->iterates = -1;
	find_calls(run, l);
	return 0;
}

static int read_program(struct rf_run *run, const struct layout *l, uint64_t at, struct program *p)
{
	uint64_t aux, function;
	int err;

	*p = (struct program){ 0 };
	if ((err = rf_run_u32(run, at + l->type, &p->type)) ||
	    (err = rf_run_u32(run, at + l->attach, &p->attach)) ||
	    (err = rf_run_read(run, at + l->tag, p->tag, sizeof(p->tag))) ||
	    (err = rf_run_u64(run, at + l->aux, &aux)) ||
	    (err = rf_run_text(run, aux + l->name, p->name, sizeof(p->name))) ||
	    (err = rf_run_u64(run, aux + l->function, &function)))
		return err;
	return function ? rf_run_text(run, function, p->at, sizeof(p->at)) : 0;
}

/* TYPES: of none that matters by itself. */
static unsigned int type_of(const struct layout *l, const struct program *p)
{
	unsigned int i = 0;

	while (i < TYPES && (int64_t)p->type != l->types[i])
		i++;
	return i;
}

/* "BPF program x, kprobe, at do_exit" */
static void describe(const struct layout *l, const struct program *p, char *out, size_t size)
{
	unsigned int type = type_of(l, p);
	char number[16];

	snprintf(number, sizeof(number), "type %u", p->type);
	snprintf(out, size, "BPF program %s, %s%s%s", p->name[0] ? p->name : "without a name",
		 type < TYPES ? types[type].name : number, p->at[0] ? ", at " : "", p->at);
}

/* The tag says which program it is, whatever it is called. */
static int tell(struct rf_run *run, const struct layout *l, uint64_t at, const struct program *p,
		const char *why)
{
	char what[128], reason[160];
	uint64_t tag;

	memcpy(&tag, p->tag, sizeof(tag));
	describe(l, p, what, sizeof(what));
	snprintf(reason, sizeof(reason), "%s; its tag is %016llx", why,
		 (unsigned long long)be64toh(tag));
	return rf_run_found(run, at, what, 0, reason);
}

/* include/uapi/linux/bpf.h struct bpf_insn: a call, whose src_reg 0 means a helper. */
static bool is_call(const struct layout *l, const uint8_t insn[8], size_t writer)
{
	int32_t distance;

	memcpy(&distance, insn + 4, sizeof(distance));
	return insn[0] == 0x85 && !(insn[1] & 0xf0) && l->call_known[writer] &&
	       distance == l->calls[writer];
}

/* *out: the first of the writers that it calls, WRITERS none. */
static int find_writer(struct rf_run *run, const struct layout *l, uint64_t at, size_t *out)
{
	uint8_t insns[512][8];
	uint32_t len;
	int err = rf_run_u32(run, at + l->len, &len);

	*out = WRITERS;
	if (!err && len > 4 * INSNS_MAX)
		err = -EBADMSG;
	for (uint32_t i = 0; !err && i < len && *out == WRITERS;) {
		uint32_t n = len - i < 512 ? len - i : 512;

		err = rf_run_read(run, at + l->insns + i * 8ull, insns, n * 8);
		for (uint32_t j = 0; !err && j < n && *out == WRITERS; j++)
			for (size_t w = 0; w < WRITERS && *out == WRITERS; w++)
				if (is_call(l, insns[j], w))
					*out = w;
		i += n;
	}
	return err;
}

static bool is_usual(const struct layout *l, const struct program *p)
{
	unsigned int type = type_of(l, p);

	/* Iterators are read, as files are; the kernel itself has two. */
	if (type == TRACING && (int64_t)p->attach == l->iterates)
		return true;
	for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (usual[i].type == type && !strcmp(usual[i].name, p->name) &&
		    !strncmp(usual[i].at, p->at, strlen(usual[i].at)))
			return true;
	return false;
}

static int accept(struct rf_run *run, const struct layout *l, uint64_t at, const struct program *p)
{
	char what[96];

	describe(l, p, what, sizeof(what));
	return rf_run_fine(run, at, what, 0);
}

static int look_at_program(struct rf_run *run, uint64_t at, void *ctx)
{
	const struct layout *l = ctx;
	struct program p;
	char why[64];
	size_t writer;
	int err;

	rf_run_saw(run);
	err = read_program(run, l, at, &p);
	if (err)
		return err;
	if (rf_run_is_known(run, p.name))
		return accept(run, l, at, &p);
	err = find_writer(run, l, at, &writer);
	if (err)
		return err;
	if (writer != WRITERS) {
		snprintf(why, sizeof(why), "it calls %s()", writers[writer]);
		return tell(run, l, at, &p, why);
	}
	if (type_of(l, &p) == TYPES || is_usual(l, &p))
		return accept(run, l, at, &p);
	return tell(run, l, at, &p,
		    "it looks into the kernel, or decides for it, and is not known");
}

static int walk_programs(struct rf_run *run, rf_object_fn fn, void *ctx)
{
	uint64_t programs, tree;
	int err;

	if ((err = rf_run_symbol(run, "prog_idr", &programs)) ||
	    (err = rf_run_member(run, "idr", "idr_rt", 0, &tree)))
		return err;
	return rf_run_xarray(run, programs + tree, fn, ctx);
}

static int look_at_programs(struct rf_run *run)
{
	struct layout l = { 0 };
	int err = lay_out(run, &l);

	return err ? err : walk_programs(run, look_at_program, &l);
}

const struct rf_check rf_check_bpf_programs = {
	.name = "bpf-programs",
	.summary = "BPF programs that look into the kernel, or write into processes, are known",
	.reading = "a rootkit in BPF, or an agent that should be named in the policy",
	.attack = "T1014",
	.severity = RF_SEVERITY_HIGH,
	.front_door = true,
	.period_ms = 5000,
	.reads = 1 << 18,
	.run = look_at_programs,
};

/* --- hidden ones: code of a program, whose number leads nowhere ------------------------------ */

struct hidden {
	struct rf_set listed;
	uint64_t aux, func, count;	    /* of struct bpf_prog and struct bpf_prog_aux */
	uint64_t ksym, program, is_program; /* of struct bpf_prog_aux and struct bpf_ksym */
	uint64_t name, start;
};

/* A program, and the functions in it, which are compiled as programs of their own. */
static int list_program(struct rf_run *run, uint64_t at, void *ctx)
{
	struct hidden *h = ctx;
	uint64_t aux, funcs, func;
	uint32_t count;
	int err;

	rf_run_saw(run);
	if ((err = rf_set_add(&h->listed, at)) || (err = rf_run_u64(run, at + h->aux, &aux)) ||
	    (err = rf_run_u64(run, aux + h->func, &funcs)) ||
	    (err = rf_run_u32(run, aux + h->count, &count)))
		return err;
	if (count > FUNCS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; !err && funcs && i < count; i++) {
		err = rf_run_u64(run, funcs + i * 8ull, &func);
		if (!err)
			err = rf_set_add(&h->listed, func);
	}
	return err;
}

static int look_at_symbol(struct rf_run *run, uint64_t ksym, void *ctx)
{
	const struct hidden *h = ctx;
	char what[96], name[64];
	uint64_t program, start;
	uint8_t is_program;
	int err = rf_run_read(run, ksym + h->is_program, &is_program, 1);

	if (err || !is_program)
		return err;
	rf_run_saw(run);
	err = rf_run_u64(run, ksym - h->ksym + h->program, &program);
	if (err || rf_set_has(&h->listed, program))
		return err;
	if ((err = rf_run_text(run, ksym + h->name, name, sizeof(name))) ||
	    (err = rf_run_u64(run, ksym + h->start, &start)))
		return err;
	snprintf(what, sizeof(what), "BPF code %s", name);
	return rf_run_found(run, program, what, start,
			    "it is of a program that no number leads to");
}

static int look_for_hidden(struct rf_run *run, struct hidden *h)
{
	uint64_t head, link;
	int err;

	if ((err = rf_run_symbol(run, "bpf_kallsyms", &head)) ||
	    (err = rf_run_member(run, "bpf_prog", "aux", 8, &h->aux)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "func", 8, &h->func)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "func_cnt", 4, &h->count)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "ksym", 0, &h->ksym)) ||
	    (err = rf_run_member(run, "bpf_prog_aux", "prog", 8, &h->program)) ||
	    (err = rf_run_member(run, "bpf_ksym", "lnode", 16, &link)) ||
	    (err = rf_run_member(run, "bpf_ksym", "prog", 1, &h->is_program)) ||
	    (err = rf_run_member(run, "bpf_ksym", "name", 0, &h->name)) ||
	    (err = rf_run_member(run, "bpf_ksym", "start", 8, &h->start)) ||
	    (err = walk_programs(run, list_program, h)))
		return err;
	rf_set_sort(&h->listed);
	return rf_run_list(run, head, link, look_at_symbol, h);
}

static int look_for_hidden_programs(struct rf_run *run)
{
	struct hidden h = { 0 };
	int err = look_for_hidden(run, &h);

	rf_set_deinit(&h.listed);
	return err;
}

const struct rf_check rf_check_bpf_hidden = {
	.name = "bpf-hidden",
	.summary = "each BPF program that has code has a number, by which tools find it",
	.reading = "a BPF program is kept from being seen",
	.attack = "T1564",
	.severity = RF_SEVERITY_CRITICAL,
	.period_ms = 5000,
	.reads = 1 << 18,
	.run = look_for_hidden_programs,
};
