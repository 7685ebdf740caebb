// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * From an exit to the store behind it. KVM's emulator has run the instruction when a write to a
 * read-only slot exits (arch/x86/kvm/x86.c x86_emulate_instruction(): registers and RIP are written
 * back with mmio_needed set), so its start has to be found backwards and its register changes
 * undone. What the hardware reported decides between candidates; no single one is believed for its
 * bytes alone.
 */
#include "introspection/x86/store_insn.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define CANDIDATES_MAX 32

struct candidate {
	rf_gva start;
	uint8_t code[RF_INSN_MAX];
	struct rf_store_insn insn;
	const char *raw; /* mnemonic of one that Capstone does not know */
	struct rf_regs before;
	uint64_t operand; /* linear */
	uint32_t offset;  /* of the first reported byte in the operand */
	rf_gpa gpa;
	bool exact;
};

struct search {
	struct rf_disasm *d;
	const struct rf_memory *m;
	const struct rf_paging *p;
	const struct rf_store_seen *seen;
	size_t count;
	struct candidate found[CANDIDATES_MAX];
};

static bool maps_to(const struct search *s, uint64_t linear, rf_gpa *gpa)
{
	struct rf_translation t;

	if (rf_pt_translate(s->m, s->p, rf_gva_of(linear), &t))
		return false;
	if (s->seen->gpa.v != RF_STORE_GPA_UNKNOWN && t.gpa.v != s->seen->gpa.v)
		return false;
	*gpa = t.gpa;
	return true;
}

/*
 * May a report of seen->len bytes begin at `offset` of the operand? It ends where the operand ends,
 * at the page border when the rest was writable, or after whole 8-byte pieces (KVM_RUN hands out
 * min(8, fragment) bytes at a time) when the caller did not merge them.
 */
static bool length_fits(const struct search *s, const struct candidate *c, uint32_t offset)
{
	uint32_t len = s->seen->len, size = c->insn.size;
	uint64_t first = c->operand + offset;
	uint64_t to_border = RF_PAGE_SIZE - (first & (RF_PAGE_SIZE - 1));

	if (!len)
		return true;
	if (!size)
		return len <= RF_PAGE_SIZE;
	if (len > size - offset)
		return false;
	return len == size - offset || len == to_border || !(len % 8);
}

/* Where in the operand the report begins: at its start, after a page border, or at a later 8-byte
 * piece. */
static bool find_offset(const struct search *s, struct candidate *c)
{
	uint32_t size = c->insn.size ? c->insn.size : 1;
	uint64_t border = RF_PAGE_SIZE - (c->operand & (RF_PAGE_SIZE - 1));

	for (uint32_t base = 0;;) {
		for (uint32_t off = base; off < size; off += 8) {
			if ((off == 0 || s->seen->len) && length_fits(s, c, off) &&
			    maps_to(s, c->operand + off, &c->gpa)) {
				c->offset = off;
				return true;
			}
		}
		if (base || border >= size)
			break;
		base = (uint32_t)border;
	}
	/* Nothing executed and the first page may be writable or not even the reported one. */
	if (!s->seen->len && border < size && maps_to(s, c->operand + border, &c->gpa)) {
		c->offset = (uint32_t)border;
		return true;
	}
	return false;
}

/* The reported bytes, seen as part of a value that the instruction stored from a register or
 * immediate. */
static bool value_fits(const struct search *s, const struct candidate *c, uint64_t value)
{
	uint32_t size = c->insn.size;

	for (uint32_t i = 0; i < s->seen->len && c->offset + i < size && c->offset + i < 8; i++)
		if (s->seen->bytes[i] != (uint8_t)(value >> (8 * (c->offset + i))))
			return false;
	return true;
}

/*
 * The whole value stored. Bytes outside the report went to writable memory before the exit: they
 * are read from there, and may have changed since.
 */
static bool stored_value(const struct search *s, const struct candidate *c, uint64_t *value,
			 bool *whole)
{
	uint8_t bytes[8] = { 0 };
	uint32_t size = c->insn.size;

	if (size > 8)
		return false;
	*whole = true;
	for (uint32_t i = 0; i < size; i++) {
		if (i >= c->offset && i - c->offset < s->seen->len) {
			bytes[i] = s->seen->bytes[i - c->offset];
			continue;
		}
		*whole = false;
		if (rf_pt_read(s->m, s->p, rf_gva_of(c->operand + i), &bytes[i], 1))
			return false;
	}
	*value = 0;
	for (uint32_t i = 0; i < 8; i++)
		*value |= (uint64_t)bytes[i] << (8 * i);
	return true;
}

static void set_reg(struct rf_regs *regs, const struct rf_store_insn *insn, uint64_t v)
{
	uint64_t mask =
		insn->reg_size >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * insn->reg_size)) - 1;
	unsigned int shift = insn->reg_high ? 8 : 0;
	uint64_t *reg = &regs->gpr[insn->reg];

	if (insn->reg_size ==
	    4) /* the upper half was cleared with the write: what it was is lost */
		*reg = v & mask;
	else
		*reg = (*reg & ~(mask << shift)) | (v & mask) << shift;
}

/* Puts into before what the exchange took out of the register. */
static bool undo_exchange(const struct search *s, struct candidate *c)
{
	uint64_t value;
	bool whole;

	if (!stored_value(s, c, &value, &whole))
		return false;
	if (c->insn.class == RF_STORE_XADD) /* memory became old + reg, the register holds old */
		value -= rf_store_reg(&c->before, c->insn.reg, c->insn.reg_size, c->insn.reg_high);
	set_reg(&c->before, &c->insn, value);
	c->exact = c->exact && whole && c->insn.reg_size != 4;
	return true;
}

/* True when what is known of the stored value agrees with the report; sets c->exact. */
static bool check_value(const struct search *s, struct candidate *c)
{
	const struct rf_store_insn *insn = &c->insn;
	bool zf = s->seen->regs.rflags & (UINT64_C(1) << 6);

	switch (insn->class) {
	case RF_STORE_XCHG:
	case RF_STORE_XADD:
		return insn->reg < 0 || undo_exchange(s, c);
	case RF_STORE_CMPXCHG:
		/* A failed one writes back the old value and loses RAX (emulate.c em_cmpxchg()). */
		c->exact = c->exact && zf;
		if (insn->reg < 0)
			return true;
		return value_fits(s, c,
				  rf_store_reg(&c->before, zf ? insn->reg : 0, insn->reg_size,
					       zf && insn->reg_high));
	case RF_STORE_CMPXCHG8B:
		c->exact = c->exact && zf;
		if (insn->size == 8 && zf)
			return value_fits(s, c,
					  c->before.gpr[1] << 32 | (uint32_t)c->before.gpr[3]);
		return true;
	case RF_STORE_ENTER:
		c->exact = c->exact && c->offset == 0 && s->seen->len == 8;
		if (c->exact)
			memcpy(&c->before.gpr[5], s->seen->bytes, 8);
		return true;
	case RF_STORE_CALL:
	case RF_STORE_BITS:
		return true;
	default:
		if (insn->has_imm)
			return value_fits(s, c, (uint64_t)insn->imm);
		if (insn->reg < 0)
			return true;
		return value_fits(
			s, c, rf_store_reg(&c->before, insn->reg, insn->reg_size, insn->reg_high));
	}
}

static bool uses(const struct rf_store_insn *insn, int8_t reg)
{
	return reg >= 0 && (insn->base == reg || insn->index == reg);
}

static bool decode(struct search *s, const uint8_t *code, size_t len, rf_gva start,
		   struct candidate *c)
{
	if (rf_disasm_one(s->d, code, len, start))
		return s->d->insn->size <= RF_INSN_MAX && !rf_store_insn_decode(s->d, &c->insn);
	return !rf_store_raw_decode(code, len, &c->insn, &c->raw);
}

/*
 * KVM's emulator never gets to these: far calls push twice and only the last is reported, ENTER
 * with levels it does not do. A string of INS comes as one store as far as its page goes (emulate.c
 * pio_in_emulated()).
 */
static bool reported(const struct search *s, struct rf_store_insn *insn)
{
	if (insn->class == RF_STORE_LCALL || (insn->class == RF_STORE_ENTER && insn->size != 8))
		return false;
	if (insn->class == RF_STORE_INS && insn->rep && s->seen->len > insn->size &&
	    !(s->seen->len % insn->size)) {
		insn->count = s->seen->len / insn->size;
		insn->size = s->seen->len;
	}
	return true;
}

/* Considers the instruction of exactly `len` bytes at `start`; what the registers were follows from
 * it. */
static void consider(struct search *s, const uint8_t *code, size_t len, rf_gva start,
		     bool exact_len)
{
	struct candidate *c = &s->found[s->count];
	bool ran = s->seen->rip_after;

	if (s->count == CANDIDATES_MAX)
		return;
	memset(c, 0, sizeof(*c));
	if (!decode(s, code, len, start, c) || (exact_len && c->insn.length != len) ||
	    (ran && !reported(s, &c->insn)))
		return;
	/* RIP stays on a repeated store and passes any other; the caller knows which of the two it
	 * asks for. */
	if (ran && c->insn.rep == exact_len)
		return;
	c->start = start;
	memcpy(c->code, code, c->insn.length);
	c->before = s->seen->regs;
	c->before.rip = start.v;
	c->exact = true;
	if (ran) {
		rf_store_undo_pointers(&c->insn, &c->before);
		c->exact = !(c->insn.addr32 &&
			     (c->insn.class == RF_STORE_MOVS || c->insn.class == RF_STORE_STOS ||
			      c->insn.class == RF_STORE_INS));
	}
	c->operand = rf_store_address(&c->insn, &c->before, start.v);
	if (ran && (c->insn.class == RF_STORE_XCHG || c->insn.class == RF_STORE_XADD) &&
	    uses(&c->insn, c->insn.reg)) {
		/* The exchange changed its own address: undo it first, for which the report must be
		 * whole. */
		if (s->seen->len != c->insn.size || !undo_exchange(s, c))
			return;
		c->operand = rf_store_address(&c->insn, &c->before, start.v);
		if (!find_offset(s, c) || c->offset)
			return;
	} else if (!find_offset(s, c) || (ran && !check_value(s, c))) {
		return;
	}
	s->count++;
}

/* CALL: RIP is at its target and the return address is what was stored. */
static void consider_call(struct search *s, const uint8_t *code, size_t have, uint64_t ret)
{
	for (size_t n = 2; n <= have; n++) {
		size_t before = s->count;
		const struct rf_store_insn *insn = &s->found[before].insn;

		consider(s, code + have - n, n, rf_gva_of(ret - n), true);
		if (s->count == before)
			continue;
		if (insn->class != RF_STORE_CALL ||
		    (insn->has_imm && (uint64_t)insn->imm != s->seen->regs.rip) ||
		    (insn->reg >= 0 && s->found[before].before.gpr[insn->reg] != s->seen->regs.rip))
			s->count = before;
	}
}

/* Up to RF_INSN_MAX bytes that end at `end`, right-aligned in code; how many, or a read error. */
static int read_before(const struct search *s, uint64_t end, uint8_t code[RF_INSN_MAX])
{
	size_t n = RF_INSN_MAX;
	int err;

	if (end < n)
		return -EINVAL;
	err = rf_pt_read(s->m, s->p, rf_gva_of(end - n), code, n);
	if (err) { /* the previous page may not be mapped: keep to the one that was executed */
		n = end & (RF_PAGE_SIZE - 1);
		if (!n || n >= RF_INSN_MAX)
			return err;
		err = rf_pt_read(s->m, s->p, rf_gva_of(end - n), code + RF_INSN_MAX - n, n);
	}
	return err ? err : (int)n;
}

/* Up to RF_INSN_MAX bytes from `at`; how many, or a read error. */
static int read_after(const struct search *s, uint64_t at, uint8_t code[RF_INSN_MAX])
{
	size_t n = RF_INSN_MAX, on_page = RF_PAGE_SIZE - (at & (RF_PAGE_SIZE - 1));
	int err = rf_pt_read(s->m, s->p, rf_gva_of(at), code, n);

	if (err && on_page < n) {
		n = on_page;
		err = rf_pt_read(s->m, s->p, rf_gva_of(at), code, n);
	}
	return err ? err : (int)n;
}

static void gather_after(struct search *s, const uint8_t *tail, size_t have)
{
	uint64_t rip = s->seen->regs.rip, ret;
	uint8_t code[RF_INSN_MAX];
	int n;

	for (n = 1; n <= (int)have; n++) {
		size_t at = s->count;

		consider(s, tail + RF_INSN_MAX - n, (size_t)n, rf_gva_of(rip - (size_t)n), true);
		if (s->count > at && s->found[at].insn.class == RF_STORE_CALL)
			s->count = at; /* RIP would be elsewhere; consider_call() takes those */
	}
	n = read_after(s, rip, code);
	if (n > 0)
		consider(s, code, (size_t)n, rf_gva_of(rip), false);
	if (s->count || s->seen->len != 8)
		return;
	memcpy(&ret, s->seen->bytes, sizeof(ret));
	n = read_before(s, ret, code);
	if (n > 0)
		consider_call(s, code + RF_INSN_MAX - n, (size_t)n, ret);
}

/*
 * The candidate on the instruction stream; among several the longest, for a prefix belongs to what
 * follows it. The only candidate is taken even off the stream (Capstone may have lost it), but not
 * called exact.
 */
static const struct candidate *choose(struct search *s, const struct rf_kernel *k, bool *sure)
{
	const struct candidate *best = NULL, *first = &s->found[0];
	uint64_t end = s->seen->regs.rip;
	rf_gva starts[CANDIDATES_MAX];
	uint32_t mask;
	bool known;

	if (first->insn.class == RF_STORE_CALL)
		end = first->start.v + first->insn.length;
	for (size_t i = 0; i < s->count; i++)
		starts[i] = s->found[i].start;
	mask = rf_disasm_on_stream(s->d, k, s->m, s->p, rf_gva_of(end), starts, s->count, &known);
	*sure = mask ? !(mask & (mask - 1)) : s->count == 1 && !known;
	if (!mask)
		mask = UINT32_MAX;
	for (size_t i = 0; i < s->count; i++) {
		const struct candidate *c = &s->found[i];

		/* A store before RIP beats a REP on it, which fits by chance when both write one
		 * value. */
		if ((mask >> i & 1) &&
		    (!best || (!c->insn.rep && c->insn.length > best->insn.length)))
			best = c;
	}
	return best;
}

int rf_store_find(struct rf_disasm *d, const struct rf_kernel *k, const struct rf_memory *m,
		  const struct rf_paging *p, const struct rf_store_seen *seen, struct rf_store *out)
{
	struct search s = { .d = d, .m = m, .p = p, .seen = seen };
	const struct candidate *c;
	uint8_t code[RF_INSN_MAX];
	struct rf_store r;
	bool sure;
	int n;

	if ((seen->len && !seen->bytes) || (seen->rip_after && !seen->len))
		return -EINVAL;
	if (seen->rip_after) {
		n = read_before(&s, seen->regs.rip, code);
		/* A call's target may begin its page with nothing mapped below, and REP stands on
		 * RIP. */
		gather_after(&s, code, n > 0 ? (size_t)n : 0);
		if (!s.count)
			return n < 0 ? n : -ENOENT;
	} else {
		n = read_after(&s, seen->regs.rip, code);
		if (n < 0)
			return n;
		consider(&s, code, (size_t)n, rf_gva_of(seen->regs.rip), false);
		if (!s.count)
			return -ENOENT;
	}
	/* Where nothing ran RIP names the instruction; else the stream has a say. */
	sure = true;
	c = seen->rip_after ? choose(&s, k, &sure) : &s.found[0];
	if (!c)
		return -ENOENT;
	r = (struct rf_store){
		.rip = c->start,
		.insn_len = c->insn.length,
		.target = rf_gva_of(c->operand + c->offset),
		.gpa = c->gpa,
		.operand = rf_gva_of(c->operand),
		.size = c->insn.size,
		.untold = c->insn.untold,
		.before = c->before,
		.exact = c->exact && sure,
	};
	memcpy(r.insn, c->code, c->insn.length);
	if (c->raw)
		snprintf(r.text, sizeof(r.text), "%s [0x%llx]", c->raw,
			 (unsigned long long)c->operand);
	else
		rf_disasm_text(d, c->code, c->insn.length, c->start, r.text, sizeof(r.text));
	*out = r;
	return 0;
}
