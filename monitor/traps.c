// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Which instructions of the sealed text become traps, what stands there all the same for who reads
 * text, and what one of them would have loaded.
 *
 * The ones meant by the compiler alone are replaced: what is hidden inside of other instructions
 * cannot be. A probe on exactly such an instruction is refused, as its copy elsewhere would be the
 * trap's, not the instruction's (monitor/judge.c).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "monitor/monitor.h"
#include "introspection/arch.h"
#include "introspection/x86/gadget.h"

#define CANDIDATES 1024

/* --- text as it was built ---------------------------------------------------- */

void rf_traps_hide(const struct rf_guest *g, uint64_t gpa, uint8_t *buf, size_t len)
{
	for (uint32_t i = 0; i < g->traps_count; i++) {
		const struct rf_trap_site *s = &g->traps[i];

		if (!rf_overlaps(gpa, len, s->gpa, s->len))
			continue;
		for (uint8_t n = 0; n < s->len; n++) {
			/* What else stands there was stored. */
			uint8_t planted = RF_TRAP_BYTE(n);
			uint64_t at = s->gpa + n - gpa;

			if (s->gpa + n >= gpa && at < len && buf[at] == planted)
				buf[at] = s->bytes[n];
		}
	}
}

int rf_guest_read(void *guest, rf_gpa gpa, void *buf, size_t len)
{
	struct rf_guest *g = guest;
	int err = g->hv->ops->read(g->hv, gpa, buf, len);

	if (!err)
		rf_traps_hide(g, gpa.v, buf, len);
	return err;
}

bool rf_traps_touch(const struct rf_guest *g, uint64_t gpa, uint64_t len)
{
	for (uint32_t i = 0; i < g->traps_count; i++)
		if (rf_overlaps(gpa, len, g->traps[i].gpa, g->traps[i].len))
			return true;
	return false;
}

/* --- the sites ---------------------------------------------------------------- */

struct hunt {
	struct rf_guest *g;
	uint32_t count, left_out;
	struct rf_gadget found[CANDIDATES];
};

static uint32_t kind_of(const struct rf_guest *g, const struct rf_gadget *gadget)
{
	bool tables = g->tables_known; /* else nothing could be judged */

	switch (gadget->kind) {
	case RF_GADGET_LIDT:
		return tables ? RF_TRAP_LIDT : 0;
	case RF_GADGET_LGDT:
		return tables ? RF_TRAP_LGDT : 0;
	case RF_GADGET_LLDT:
		return tables ? RF_TRAP_LLDT : 0;
	case RF_GADGET_LTR:
		return tables ? RF_TRAP_LTR : 0;
	case RF_GADGET_MOV_CR0:
		return g->control_by_traps ? RF_TRAP_MOV_CR0 : 0;
	case RF_GADGET_MOV_CR4:
		return g->control_by_traps ? RF_TRAP_MOV_CR4 : 0;
	default:
		return 0;
	}
}

static int candidate(void *ctx, const struct rf_gadget *gadget)
{
	struct hunt *h = ctx;

	if (!kind_of(h->g, gadget))
		return 0;
	if (h->count == CANDIDATES)
		return -E2BIG; /* no kernel is like that */
	h->found[h->count++] = *gadget;
	return 0;
}

struct meant {
	const struct rf_guest *g;
	struct rf_gadget *out;
};

static int is_intended(void *ctx, const struct rf_gadget *gadget)
{
	struct meant *m = ctx;

	if (gadget->intended && kind_of(m->g, gadget))
		*m->out = *gadget;
	return 0;
}

/* Without knowing where instructions begin, what ends the one before may look like a prefix: the
 * opcode is asked about. */
static int find_intended(struct rf_guest *g, struct rf_gadget *f)
{
	const uint8_t *opcode = memchr(f->bytes, 0x0f, f->len);
	struct meant m = { g, f };
	rf_gva at;

	if (!opcode)
		return -EINVAL;
	at = rf_gva_of(f->addr.v + (uint64_t)(opcode - f->bytes));
	return rf_gadgets_find(g->disasm, g->kernel, &g->mem, at, rf_gva_of(at.v + 1), is_intended,
			       &m);
}

/*
 * Copied and run elsewhere, where a trap would be nobody's: by kexec
 * (arch/x86/kernel/relocate_kernel_64.S, machine_kexec() copies KEXEC_CONTROL_CODE_MAX_SIZE) and by
 * resume from disk (arch/x86/power/hibernate_64.S core_restore_code, a page).
 */
static bool is_copied(const struct rf_guest *g, uint64_t gva)
{
	static const struct {
		const char *symbol;
		uint64_t size;
	} copied[] = { { "relocate_kernel", 2048 }, { "core_restore_code", 4096 } };
	rf_gva start;

	for (size_t i = 0; i < sizeof(copied) / sizeof(copied[0]); i++)
		if (!rf_kernel_address(g->kernel, copied[i].symbol, &start) && gva >= start.v &&
		    gva - start.v < copied[i].size)
			return true;
	return false;
}

/* Where the kernel patches, it stores what it knows, and reads what it expects. */
static bool is_patched(const struct rf_guest *g, uint64_t gva, uint64_t len)
{
	const struct rf_patch_table *t = g->table;

	if (!t || !t->kernel)
		return false;
	for (uint32_t i = 0; i < t->sites_count; i++)
		if (rf_overlaps(gva, len, t->base + t->sites[i].at,
				t->shapes[t->sites[i].shape].len))
			return true;
	for (uint32_t i = 0; i < t->extra_count; i++)
		if (rf_overlaps(gva, len, t->base + t->extra[i].at,
				t->shapes[t->extra[i].shape].len))
			return true;
	return false;
}

static int pick(struct hunt *h, const struct rf_region *text, struct rf_msg_traps *m)
{
	struct rf_guest *g = h->g;

	for (uint32_t i = 0; i < h->count; i++) {
		struct rf_gadget *f = &h->found[i];
		struct rf_trap_site *s = &m->sites[m->count];
		int err = find_intended(g, f);
		uint64_t gpa = text->gpa + (f->addr.v - text->gva);

		if (err)
			return err;
		if (!f->intended || is_copied(g, f->addr.v) || (m->count && s[-1].gpa == gpa))
			continue;
		if (m->count == RF_TRAP_MAX || f->len < 3 || f->operand.reg > 15 ||
		    is_patched(g, f->addr.v, f->len) || (m->count && gpa < s[-1].gpa + s[-1].len)) {
			h->left_out++;
			continue;
		}
		*s = (struct rf_trap_site){
			.gpa = gpa,
			.len = f->len,
			.kind = (uint8_t)kind_of(g, f),
			.reg = f->operand.reg < 0 ? 0 : (uint8_t)f->operand.reg,
		};
		memcpy(s->bytes, f->bytes, f->len);
		m->count++;
	}
	return 0;
}

static void insert(const struct rf_guest *g, const struct rf_region *text, uint64_t gva,
		   const uint8_t *bytes, uint8_t len, enum rf_trap_kind kind,
		   struct rf_msg_traps *m)
{
	struct rf_trap_site site = { .gpa = text->gpa + (gva - text->gva),
				     .len = len,
				     .kind = (uint8_t)kind };
	uint32_t i = m->count;

	if (m->count == RF_TRAP_MAX || !rf_within(gva, len, text->gva, text->size) ||
	    is_patched(g, gva, len))
		return;
	memcpy(site.bytes, bytes, len);
	for (; i && m->sites[i - 1].gpa > site.gpa; i--)
		m->sites[i] = m->sites[i - 1];
	m->sites[i] = site;
	m->count++;
}

/*
 * What kexec, and a crash, run last of this kernel (kernel/kexec_core.c kernel_kexec(),
 * __crash_kexec()). Who goes on without it meets what is sealed and pinned.
 */
static void add_kexec(struct rf_guest *g, const struct rf_region *text, struct rf_msg_traps *m)
{
	struct rf_insns head;

	if (!rf_function_head(g->disasm, g->kernel, &g->mem, "machine_kexec", 3, &head))
		insert(g, text, head.at.v, head.bytes, head.len, RF_TRAP_KEXEC, m);
}

/* Without it patching is slower, and as well guarded. */
static void add_poker(struct rf_guest *g, const struct rf_region *text, struct rf_msg_traps *m)
{
	uint32_t before = m->count;
	struct rf_poker p;

	if (!g->table || !g->table->kernel ||
	    rf_textpatch_poker(g->disasm, g->kernel, &g->mem, &p) ||
	    !rf_within(p.back.v, 1, text->gva, text->size))
		return;
	insert(g, text, p.at.v, p.bytes, p.len, RF_TRAP_POKE, m);
	if (m->count > before)
		m->poke = (struct rf_poke){ p.how.v, p.back.v, p.frame, 0 };
}

/* What is sealed ends with the page; the kernel's text does not. */
static int add_loads(struct rf_guest *g, const struct rf_region *text, struct rf_msg_traps *m,
		     uint32_t *left_out)
{
	static struct hunt h; /* one VM a process */
	rf_gva end;
	int err = rf_kernel_address(g->kernel, "_etext", &end);

	if (err)
		return err;
	h = (struct hunt){ .g = g };
	err = rf_gadgets_find(NULL, g->kernel, &g->mem, rf_gva_of(text->gva), end, candidate, &h);
	if (!err)
		err = pick(&h, text, m);
	*left_out = h.left_out;
	return err;
}

static int find_sites(struct rf_guest *g, struct rf_msg_traps *m, uint32_t *left_out)
{
	const struct rf_region *text = NULL;
	int err = 0;

	for (uint32_t i = 0; i < g->regions_count; i++)
		if (g->regions[i].region.kind == RF_REGION_TEXT)
			text = &g->regions[i].region;
	if (!text)
		return 0;
	if (g->tables_known || g->control_by_traps)
		err = add_loads(g, text, m, left_out);
	if (err)
		return err;
	add_poker(g, text, m);
	add_kexec(g, text, m);
	return 0;
}

bool rf_traps_load(const struct rf_guest *g)
{
	for (uint32_t i = 0; i < g->traps_count; i++)
		if (g->traps[i].kind < RF_TRAP_POKE)
			return true;
	return false;
}

static int begin(struct rf_guest *g, bool kept)
{
	struct rf_msg_traps m = { .kernel = g->kernel_event };
	struct rf_backend_info info;
	uint32_t left_out = 0, loads = 0;
	char text[160];
	bool kexec = false;
	int err = g->hv->ops->info(g->hv, &info);

	if (err)
		return err;
	/* Nothing else on this host sees what the kernel's own instructions load. */
	g->control_by_traps = g->policy.pin_control && !info.cr_watch;
	if (!g->hv->ops->traps || g->traps_count)
		return 0;
	if (g->tables_known || g->control_by_traps)
		m.check_ms = g->policy.register_check_ms;
	if (g->control_by_traps)
		rf_control_wanted(&g->policy, &m.cr0, &m.cr4);
	memcpy(m.note, g->tables_digest, sizeof(m.note));
	err = find_sites(g, &m, &left_out);
	if (!err && !m.count && !m.check_ms)
		return 0;
	if (!err)
		err = g->hv->ops->traps(g->hv, &m);
	if (err == -EALREADY)
		return 0; /* an earlier monitor's, and there were none */
	if (err)
		return err;
	memcpy(g->traps, m.sites, sizeof(g->traps));
	g->traps_count = m.count;
	for (uint32_t i = 0; i < m.count; i++) {
		loads += m.sites[i].kind < RF_TRAP_POKE;
		kexec |= m.sites[i].kind == RF_TRAP_KEXEC;
	}
	snprintf(text, sizeof(text), "%u instructions that load descriptor tables%s%s%s%s", loads,
		 g->control_by_traps ? " or control registers" : "",
		 left_out ? "; there are more than could be replaced" : "",
		 m.poke.how ? "; text patching" : "", kexec ? "; kexec" : "");
	return rf_note(g, "traps", "planted in the sealed text", text);
}

/* --- what one would have loaded ----------------------------------------------- */

static int read_operand(struct rf_guest *g, const struct rf_msg_event *ev,
			const struct rf_paging *p, const struct rf_gadget *gadget, uint8_t *buf)
{
	const struct rf_operand *o = &gadget->operand;
	struct rf_regs regs = { .rip = ev->regs.rip,
				.rflags = ev->regs.rflags,
				.fs_base = ev->regs.fs_base,
				.gs_base = ev->regs.gs_base };

	memcpy(regs.gpr, ev->regs.gpr, sizeof(regs.gpr));
	if (o->type == RF_OPERAND_REG && o->size == 2 && o->reg >= 0 && o->reg < 16) {
		memcpy(buf, &regs.gpr[o->reg], 2);
		return 0;
	}
	if (o->type != RF_OPERAND_MEM || (o->size != 2 && o->size != 10))
		return -EINVAL;
	return rf_pt_read(&g->mem, p, rf_gva_of(rf_gadget_operand_address(gadget, &regs)), buf,
			  o->size);
}

int rf_traps_operand(struct rf_guest *g, const struct rf_msg_event *ev, const struct rf_paging *p,
		     struct rf_table *out)
{
	const struct rf_trap_site *s = NULL;
	struct rf_gadget gadget;
	uint8_t buf[10] = { 0 };
	int err;

	for (uint32_t i = 0; i < g->traps_count; i++)
		if (g->traps[i].gpa == ev->trap.gpa)
			s = &g->traps[i];
	if (!s || s->kind != ev->trap.kind)
		return -ENOENT;
	/* At its own address: the operand may be relative to it. */
	err = rf_gadget_decode(s->bytes, s->len, rf_gva_of(ev->regs.rip), &gadget);
	if (!err && (gadget.len != s->len || kind_of(g, &gadget) != s->kind))
		err = -EBADMSG;
	if (!err)
		err = read_operand(g, ev, p, &gadget, buf);
	if (err)
		return err;
	*out = (struct rf_table){ 0 };
	if (s->kind == RF_TRAP_LIDT || s->kind == RF_TRAP_LGDT) {
		uint16_t limit;

		memcpy(&limit, buf, sizeof(limit));
		memcpy(&out->base, buf + 2, sizeof(out->base));
		out->limit = limit;
	} else {
		memcpy(&out->selector, buf, sizeof(out->selector));
	}
	return 0;
}

static const char *lacks(const struct rf_guest *g)
{
	return g->traps_count ? NULL : "no instruction was replaced: by policy, or none was found";
}

/* Last of those that are attached: the others read text as it is. */
const struct rf_guard rf_guard_traps = {
	.name = "traps",
	.lacks = lacks,
	.attach = begin,
};
