// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Lock prefixes. A kernel that boots on one CPU has overwritten them with a segment prefix (3e) and
 * puts them back when a second CPU comes up: arch/x86/kernel/alternative.c
 * alternatives_smp_module_add(), alternatives_enable_smp(). While that may happen smp_alt_modules
 * lists the kernel's own .smp_locks; else the section has been freed (alternative_instructions())
 * and is not read. The list and the section are writable: an entry counts only where a prefix of an
 * instruction stands that can be locked (Intel SDM vol. 2A, LOCK).
 */
#include <string.h>

#include "introspection/patches/impl.h"
#include "introspection/kernel.h"

#define LOCKS_MAX (RF_TABLE_SITES / 2)
#define MODULES_MAX 4096u
#define CHUNK 4096u

struct listed {
	uint64_t locks, locks_end, text, text_end;
};

/* The entry of the kernel itself: the one without a module. */
static bool listed(const struct rf_textpatch *t, const struct rf_live *g, struct listed *out)
{
	static const char type[] = "smp_alt_module";
	uint64_t mod, start, end, text, text_end, next, at, module;
	rf_gva head;

	if (rf_kernel_address(t->k, "smp_alt_modules", &head) ||
	    !rf_textpatch_member(t->k, type, "mod", 8, &mod) ||
	    !rf_textpatch_member(t->k, type, "locks", 8, &start) ||
	    !rf_textpatch_member(t->k, type, "locks_end", 8, &end) ||
	    !rf_textpatch_member(t->k, type, "text", 8, &text) ||
	    !rf_textpatch_member(t->k, type, "text_end", 8, &text_end) ||
	    !rf_textpatch_member(t->k, type, "next", 16, &next) ||
	    rf_live_read(g, head.v, &at, sizeof(at)))
		return false;
	for (unsigned int i = 0; at != head.v && i < MODULES_MAX; i++) {
		uint64_t base = at - next;

		if (rf_live_read(g, base + mod, &module, 8) || rf_live_read(g, at, &at, 8))
			return false;
		if (!module)
			return !rf_live_read(g, base + start, &out->locks, 8) &&
			       !rf_live_read(g, base + end, &out->locks_end, 8) &&
			       !rf_live_read(g, base + text, &out->text, 8) &&
			       !rf_live_read(g, base + text_end, &out->text_end, 8);
	}
	return false;
}

/* insn has 8 bytes: does an instruction with a memory operand follow the prefix that LOCK
 * allows? */
static bool can_be_locked(const uint8_t *insn)
{
	size_t i = 1;
	uint8_t op, reg;

	if (insn[i] == 0x66)
		i++;
	if ((insn[i] & 0xf0) == 0x40) /* REX */
		i++;
	op = insn[i++];
	if (op == 0x0f) {
		op = insn[i++];
		reg = insn[i] >> 3 & 7;
		if (insn[i] >> 6 == 3)
			return false;
		switch (op) {
		case 0xab: /* bts, btr, btc */
		case 0xb3:
		case 0xbb:
		case 0xb0: /* cmpxchg */
		case 0xb1:
		case 0xc0: /* xadd */
		case 0xc1:
			return true;
		case 0xba:
			return reg >= 5;
		case 0xc7: /* cmpxchg8b, cmpxchg16b */
			return reg == 1;
		}
		return false;
	}
	reg = insn[i] >> 3 & 7;
	if (insn[i] >> 6 == 3)
		return false;
	if (op < 0x38) /* add, or, adc, sbb, and, sub, xor to memory */
		return (op & 7) <= 1;
	switch (op) {
	case 0x80:
	case 0x81:
	case 0x83:
		return reg != 7;
	case 0x86: /* xchg */
	case 0x87:
		return true;
	case 0xf6: /* not, neg */
	case 0xf7:
		return reg == 2 || reg == 3;
	case 0xfe: /* inc, dec */
	case 0xff:
		return reg <= 1;
	}
	return false;
}

static int add_lock(struct rf_loader *l, uint64_t at)
{
	struct rf_textpatch *t = l->t;
	const struct rf_site site = { .addr = at,
				      .target = RF_NO_TARGET,
				      .kind = RF_SITE_SMP_LOCK };
	const uint8_t *insn;

	if (!rf_within(at, 8, t->text, t->etext - t->text)) {
		return 0; /* init text */
	}
	insn = l->bytes + (at - t->text);
	if ((insn[0] != 0x3e && insn[0] != 0xf0) || !can_be_locked(insn)) {
		t->stats.foreign++;
		return 0;
	}
	return rf_loader_push(l, &site);
}

int rf_smp_lock_sites(struct rf_loader *l)
{
	const struct rf_live g = rf_live_begin(l->t, l->m, l->p);
	struct rf_textpatch *t = l->t;
	int32_t chunk[CHUNK / 4];
	rf_gva start, end;
	struct listed own;

	if (!l->p || rf_kernel_address(t->k, "__smp_locks", &start) ||
	    rf_kernel_address(t->k, "__smp_locks_end", &end) || !listed(t, &g, &own) ||
	    own.locks != start.v || own.locks_end != end.v || own.text != t->text ||
	    end.v <= start.v)
		return 0;
	if ((end.v - start.v) / 4 > LOCKS_MAX) {
		t->stats.unread++;
		return 0;
	}
	for (uint64_t at = start.v; at < end.v;) {
		size_t n = end.v - at < CHUNK ? end.v - at : CHUNK;

		if (rf_textpatch_read(t, l->m, at, chunk, n)) {
			t->stats.unread++;
			return 0;
		}
		for (size_t i = 0; i < n / 4; i++) {
			/* 0: not in this kernel's text (alternatives_smp_lock()). */
			int err = chunk[i] ? add_lock(l, at + 4 * i + (uint64_t)(int64_t)chunk[i])
					   : 0;

			if (err)
				return err;
		}
		at += n;
	}
	return 0;
}
