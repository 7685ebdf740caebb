// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Read in the sources of 6.1, 6.12 and 7.3:
 *  - kernel/bpf/core.c: pack_list, of packs of 2 MiB for each node that there may be; programs that
 *    seccomp or sockets are filtered with lie in them too, and are on no other list;
 *  - kernel/kprobes.c: kprobe_insn_slots and kprobe_optinsn_slots, lists of pages;
 *  - arch/x86/realmode/init.c: the code by which CPUs are started, in the first MiB;
 *  - arch/x86/kernel/machine_kexec_64.c: the page that the next kernel is entered through, which
 *    newer kernels make executable when one is loaded; arch/x86/hyperv/hv_init.c: that of calls of
 *    Hyper-V.
 */
#include "introspection/checks/pieces.h"

#include <errno.h>
#include <stdlib.h>

#define PIECES_MAX 65536u
#define PIECE_MAX (UINT64_C(1) << 30) /* bytes of one: modules have less room in all */
#define PACK_BYTES (UINT64_C(2) << 20)
#define NODES_MAX 1024u
#define REAL_MODE_MAX (UINT64_C(1) << 16)

/* --- a set of pages ---------------------------------------------------------------- */

static int add(struct rf_pieces *p, uint64_t start, uint64_t size)
{
	size_t room = p->room ? p->room * 2 : 256;

	if (!start || !size)
		return 0;
	if (!rf_is_kernel(start) || size > PIECE_MAX || start + size < start)
		return -EBADMSG;
	if (p->count == PIECES_MAX)
		return -EBADMSG;
	if (p->count == p->room) {
		struct rf_range *v = realloc(p->v, room * sizeof(*v));

		if (!v)
			return -ENOMEM;
		p->v = v;
		p->room = room;
	}
	p->v[p->count++] = (struct rf_range){
		start & ~(RF_PAGE_SIZE - 1),
		(start + size + RF_PAGE_SIZE - 1) & ~(RF_PAGE_SIZE - 1),
	};
	return 0;
}

static int by_start(const void *a, const void *b)
{
	const struct rf_range *x = a, *y = b;

	return x->start < y->start ? -1 : x->start > y->start;
}

static void sort(struct rf_pieces *p)
{
	size_t kept = 0;

	if (p->count)
		qsort(p->v, p->count, sizeof(*p->v), by_start);
	for (size_t i = 0; i < p->count; i++) {
		if (kept && p->v[i].start <= p->v[kept - 1].end) {
			if (p->v[i].end > p->v[kept - 1].end)
				p->v[kept - 1].end = p->v[i].end;
		} else {
			p->v[kept++] = p->v[i];
		}
	}
	p->count = kept;
}

const struct rf_range *rf_pieces_find(const struct rf_pieces *p, uint64_t gva)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (gva >= p->v[middle].end)
			low = middle + 1;
		else
			high = middle;
	}
	return low < p->count && gva >= p->v[low].start ? &p->v[low] : NULL;
}

void rf_pieces_deinit(struct rf_pieces *p)
{
	free(p->v);
	*p = (struct rf_pieces){ 0 };
}

/* --- ftrace and probes --------------------------------------------------------------- */

struct tracers {
	struct rf_pieces *pieces;
	uint64_t next, trampoline, size;
};

/* ftrace_ops_list ends with ftrace_list_end, whose next is NULL; it calls nobody. */
static int add_tracer(struct rf_run *run, uint64_t ops, void *ctx)
{
	const struct tracers *t = ctx;
	uint64_t at, size;
	int err = rf_run_u64(run, ops + t->trampoline, &at);

	if (!err)
		err = rf_run_u64(run, ops + t->size, &size);
	/* Some have one in text: ftrace_caller's. */
	return err || rf_run_in_text(run, at) ? err : add(t->pieces, at, size);
}

static int add_tracers(struct rf_run *run, struct rf_pieces *out)
{
	struct tracers t = { .pieces = out };
	uint64_t head, link;
	int err;

	if (rf_run_symbol(run, "ftrace_ops_list", &head) ||
	    rf_run_member(run, "ftrace_ops", "next", 8, &t.next) ||
	    rf_run_member(run, "ftrace_ops", "trampoline", 8, &t.trampoline) ||
	    rf_run_member(run, "ftrace_ops", "trampoline_size", 8, &t.size))
		return 0; /* it has none */
	err = rf_run_chain(run, head, t.next, add_tracer, &t);
	/*
	 * Tracers of the kernel's own keep theirs when they have nothing to trace any more
	 * (ftrace_shutdown(), kernel/trace/ftrace.c): kprobe_ftrace_ops, fprobe's.
	 */
	if (err || rf_run_symbol(run, "ftrace_ops_trampoline_list", &head) ||
	    rf_run_member(run, "ftrace_ops", "list", 16, &link))
		return err;
	return rf_run_list(run, head, link, add_tracer, &t);
}

struct slots {
	struct rf_pieces *pieces;
	uint64_t insns;
};

static int add_slots_of(struct rf_run *run, uint64_t page, void *ctx)
{
	const struct slots *s = ctx;
	uint64_t at;
	int err = rf_run_u64(run, page + s->insns, &at);

	return err ? err : add(s->pieces, at, RF_PAGE_SIZE);
}

static int add_slots(struct rf_run *run, const char *cache, struct rf_pieces *out)
{
	struct slots s = { .pieces = out };
	uint64_t at, pages, link;

	if (rf_run_symbol(run, cache, &at) ||
	    rf_run_member(run, "kprobe_insn_cache", "pages", 16, &pages) ||
	    rf_run_member(run, "kprobe_insn_page", "list", 16, &link) ||
	    rf_run_member(run, "kprobe_insn_page", "insns", 8, &s.insns))
		return 0;
	return rf_run_list(run, at + pages, link, add_slots_of, &s);
}

static int gather_hooks(struct rf_run *run, struct rf_pieces *out)
{
	int err = add_tracers(run, out);

	if (!err)
		err = add_slots(run, "kprobe_insn_slots", out);
	return err ? err : add_slots(run, "kprobe_optinsn_slots", out);
}

int rf_pieces_of_hooks(struct rf_run *run, struct rf_pieces *out)
{
	int err = gather_hooks(run, out);

	sort(out);
	return err;
}

/* --- BPF ------------------------------------------------------------------------------ */

struct packs {
	struct rf_pieces *pieces;
	uint64_t at, bytes;
};

static int add_pack(struct rf_run *run, uint64_t pack, void *ctx)
{
	const struct packs *p = ctx;
	uint64_t at;
	int err = rf_run_u64(run, pack + p->at, &at);

	return err ? err : add(p->pieces, at, p->bytes);
}

/* num_possible_nodes(): node_states[N_POSSIBLE], which is the first. */
static int count_nodes(struct rf_run *run, uint64_t *out)
{
	uint64_t mask[NODES_MAX / 64] = { 0 }, at, ids, nodes = 0;
	uint32_t count;
	int err;

	if (rf_run_symbol(run, "node_states", &at) || rf_run_symbol(run, "nr_node_ids", &ids)) {
		*out = 1; /* built for one */
		return 0;
	}
	err = rf_run_u32(run, ids, &count);
	if (!err && (!count || count > NODES_MAX))
		err = -EBADMSG;
	if (!err)
		err = rf_run_read(run, at, mask, (count + 63) / 64 * 8);
	for (uint32_t i = 0; !err && i < count; i++)
		nodes += mask[i / 64] >> i % 64 & 1;
	*out = nodes ? nodes : 1;
	return err;
}

static int add_packs(struct rf_run *run, struct rf_pieces *out)
{
	struct packs p = { .pieces = out };
	uint64_t head, link, nodes;
	int err;

	if (rf_run_symbol(run, "pack_list", &head) ||
	    rf_run_member(run, "bpf_prog_pack", "list", 16, &link) ||
	    rf_run_member(run, "bpf_prog_pack", "ptr", 8, &p.at))
		return 0;
	err = count_nodes(run, &nodes);
	p.bytes = nodes * PACK_BYTES;
	return err ? err : rf_run_list(run, head, link, add_pack, &p);
}

/* --- pages of the boot --------------------------------------------------------------------- */

/* set_real_mode_permissions(): from text_start to ro_end, which are physical addresses. */
static int add_real_mode(struct rf_run *run, struct rf_pieces *out)
{
	uint64_t symbol, header, text, end;
	struct rf_translation t;
	uint32_t from, to;
	int err;

	if (rf_run_symbol(run, "real_mode_header", &symbol) ||
	    rf_run_member(run, "real_mode_header", "text_start", 4, &text) ||
	    rf_run_member(run, "real_mode_header", "ro_end", 4, &end))
		return 0;
	if ((err = rf_run_u64(run, symbol, &header)) || !header ||
	    (err = rf_run_u32(run, header + text, &from)) ||
	    (err = rf_run_u32(run, header + end, &to)))
		return err;
	if (rf_pt_translate(&run->c->m, &run->c->p, rf_gva_of(header), &t) || from < t.gpa.v ||
	    to < from || to - t.gpa.v > REAL_MODE_MAX)
		return -EBADMSG;
	return add(out, header + (from - t.gpa.v), to - from);
}

static int add_page_at(struct rf_run *run, const char *symbol, struct rf_pieces *out)
{
	uint64_t at, page;
	int err;

	if (rf_run_symbol(run, symbol, &at))
		return 0;
	err = rf_run_u64(run, at, &page);
	return err ? err : add(out, page, RF_PAGE_SIZE);
}

/* page_address(), and the direct map around it: where the kernel says those two begin. */
static int add_kexec(struct rf_run *run, const char *image, struct rf_pieces *out)
{
	uint64_t at, kimage, member, page, size, pages, direct, symbol;
	int err;

	if (rf_run_symbol(run, image, &at) ||
	    rf_run_member(run, "kimage", "control_code_page", 8, &member) ||
	    rf_run_sizeof(run, "page", &size) || !size)
		return 0;
	if ((err = rf_run_u64(run, at, &kimage)) || !kimage ||
	    (err = rf_run_u64(run, kimage + member, &page)) || !page)
		return err;
	if (rf_run_symbol(run, "vmemmap_base", &symbol) ||
	    (err = rf_run_u64(run, symbol, &pages)) ||
	    rf_run_symbol(run, "page_offset_base", &symbol) ||
	    (err = rf_run_u64(run, symbol, &direct)))
		return err;
	return add(out, direct + (page - pages) / size * RF_PAGE_SIZE, RF_PAGE_SIZE);
}

int rf_pieces_of_all(struct rf_run *run, struct rf_pieces *out)
{
	struct rf_owner unused;
	const struct rf_claims *l = &run->c->claims;
	int err = rf_run_owner(run, 0, &unused); /* the claims are read */

	for (size_t i = 0; !err && i < l->count; i++)
		err = add(out, l->v[i].range.start, l->v[i].range.end - l->v[i].range.start);
	if (!err)
		err = gather_hooks(run, out);
	if (!err)
		err = add_packs(run, out);
	if (!err)
		err = add_real_mode(run, out);
	if (!err)
		err = add_page_at(run, "hv_hypercall_pg", out);
	if (!err)
		err = add_kexec(run, "kexec_image", out);
	if (!err)
		err = add_kexec(run, "kexec_crash_image", out);
	sort(out);
	return err;
}
