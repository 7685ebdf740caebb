/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Legal instructions of each kind of site. Read in the kernel sources 6.1.192 and 6.12.117, which
 * agree:
 *  - arch/x86/kernel/jump_label.c __jump_label_patch(): x86_nops[size] or text_gen_insn(JMP8/JMP32)
 * to the entry's target, size 2 or 5 as the instruction in place is (arch_jump_entry_size());
 *  - arch/x86/kernel/static_call.c __static_call_transform() and __static_call_validate(): a call
 * site holds call rel32, a 5-byte nop, or "cs cs cs xor eax,eax" for __static_call_return0; a tail
 * site or trampoline jmp rel32 or ret and four int3 (jmp to a return thunk with rethunk); a tail
 * site that the compiler made conditional keeps its jcc and only changes the target.
 */
#include "introspection/textpatch_impl.h"

#include <string.h>

static const uint8_t nop2[2] = { 0x66, 0x90 };			 /* asm/nops.h BYTES_NOP2 */
static const uint8_t nop5[5] = { 0x0f, 0x1f, 0x44, 0x00, 0x00 }; /* BYTES_NOP5 */
static const uint8_t xor5rax[5] = { 0x2e, 0x2e, 0x2e, 0x31, 0xc0 };
static const uint8_t ret5[5] = { 0xc3, 0xcc, 0xcc, 0xcc, 0xcc };
/* ARCH_DEFINE_STATIC_CALL_NULL_TRAMP without rethunk: how an untouched trampoline was assembled. */
static const uint8_t ret_nops[5] = { 0xc3, 0xcc, 0x90, 0x90, 0x90 };
static const uint8_t tramp_ud[3] = { 0x0f, 0xb9, 0xcc };

static uint64_t rel32_target(uint64_t next, const uint8_t *rel)
{
	int32_t v;

	memcpy(&v, rel, sizeof(v)); /* x86 guests on x86 hosts: little endian */
	return next + (uint64_t)(int64_t)v;
}

/* --- jump labels ---------------------------------------------------------- */

/* The two instructions of a site of len 2 or 5. False: the target is out of reach for that size. */
static bool jump_forms(const struct rf_site *site, uint8_t len, uint8_t nop[5], uint8_t jmp[5])
{
	int64_t rel = (int64_t)(site->target - (site->addr + len));

	memcpy(nop, len == 2 ? nop2 : nop5, len);
	if (len == 2) {
		jmp[0] = 0xeb;
		jmp[1] = (uint8_t)rel;
		return rel >= INT8_MIN && rel <= INT8_MAX;
	}
	jmp[0] = 0xe9;
	for (int i = 0; i < 4; i++)
		jmp[1 + i] = (uint8_t)((uint64_t)rel >> (8 * i));
	return rel >= INT32_MIN && rel <= INT32_MAX;
}

static const char *jump_illegal(const struct rf_textpatch *t, const struct rf_memory *m,
				const struct rf_site *site, const uint8_t *insn)
{
	uint8_t nop[5], jmp[5];
	bool reach = jump_forms(site, site->len, nop, jmp);

	if (!memcmp(insn, nop, site->len) || (reach && !memcmp(insn, jmp, site->len)))
		return NULL;
	return insn[0] == jmp[0] ? "jump label: jmp to another target than the entry's"
				 : "jump label: neither its nop nor its jmp";
}

static bool jump_tail_byte(const struct rf_textpatch *t, const struct rf_site *site,
			   uint32_t offset, uint8_t byte)
{
	uint8_t nop[5], jmp[5];
	bool reach = jump_forms(site, site->len, nop, jmp);

	return byte == nop[offset] || (reach && byte == jmp[offset]);
}

/*
 * While in flight the size cannot be read off the first byte. Five bytes whose tail is made of the
 * two known 5-byte tails are a 5-byte site: a 2-byte one is followed by other code. (Bytes of both
 * tails may be mixed: the tail can be half written.)
 */
static bool jump_measure(const struct rf_textpatch *t, const struct rf_memory *m,
			 struct rf_site *site, const uint8_t *now, size_t have)
{
	static const uint8_t sizes[2] = { 5, 2 };

	for (int i = 0; i < 2; i++) {
		site->len = sizes[i];
		if (have < site->len)
			continue;
		if (now[0] != RF_INT3) {
			if (!jump_illegal(t, m, site, now))
				return true;
			continue;
		}
		bool fits = true;

		for (uint32_t off = 1; off < site->len; off++)
			fits = fits && jump_tail_byte(t, site, off, now[off]);
		if (fits)
			return true;
	}
	return false;
}

/* --- static calls --------------------------------------------------------- */

/*
 * With call depth tracking (retbleed=stuff) direct calls go to a copy of skl_call_thunk_template in
 * the padding before the function (6.12 arch/x86/kernel/callthunks.c
 * callthunks_translate_call_dest()): sarq $5 on a per-CPU word, whose address is RIP-relative
 * (modrm 3d) or absolute.
 */
static bool is_call_thunk(const struct rf_textpatch *t, const struct rf_memory *m, uint64_t at)
{
	static const uint8_t sarq_rip[4] = { 0x65, 0x48, 0xc1, 0x3d };
	uint8_t want[RF_THUNK_MAX], have[RF_THUNK_MAX];
	uint32_t disp;

	if (!t->thunk_len || !rf_kernel_is_function(t->k, rf_gva_of(at + t->thunk_len)) ||
	    rf_textpatch_read(t, m, at, have, t->thunk_len))
		return false;
	memcpy(want, t->thunk, t->thunk_len);
	if (t->thunk_len >= 9 && !memcmp(want, sarq_rip, 4)) {
		memcpy(&disp, want + 4, 4);
		disp += (uint32_t)(t->thunk_at - at);
		memcpy(want + 4, &disp, 4);
	}
	return !memcmp(have, want, t->thunk_len);
}

/*
 * A call may go to the start of a function in sealed text. Of trampolines only to the site's own:
 * that is how the compiler leaves it until static_call_init(). Functions of modules are not known
 * here yet.
 */
static bool call_target_legal(const struct rf_textpatch *t, const struct rf_memory *m,
			      const struct rf_site *site, uint64_t target)
{
	const struct rf_site *at;

	if (!rf_textpatch_in_text(t, target))
		return false;
	if (!rf_kernel_is_function(t->k, rf_gva_of(target)))
		return is_call_thunk(t, m, target);
	at = rf_textpatch_find(t, target);
	if (!at || at->kind != RF_SITE_STATIC_TRAMP)
		return true;
	return site->kind == RF_SITE_STATIC_CALL && at->key && at->key == site->key &&
	       at->addr == target;
}

static const char *call_illegal(const struct rf_textpatch *t, const struct rf_memory *m,
				const struct rf_site *site, const uint8_t *insn)
{
	static const char foreign[] =
		"static call: target is not the start of a function in sealed text";
	bool tail = site->flags & RF_SITE_TAIL || site->kind == RF_SITE_STATIC_TRAMP;

	if (site->len == 6) {
		if (insn[0] != 0x0f || insn[1] != site->cc)
			return "static call: another condition or instruction than the site's jcc";
		return call_target_legal(t, m, site, rel32_target(site->addr + 6, insn + 2))
			       ? NULL
			       : foreign;
	}
	if (insn[0] == (tail ? 0xe9 : 0xe8))
		return call_target_legal(t, m, site, rel32_target(site->addr + 5, insn + 1))
			       ? NULL
			       : foreign;
	if (!tail && (!memcmp(insn, nop5, 5) || !memcmp(insn, xor5rax, 5)))
		return NULL;
	if (tail && (!memcmp(insn, ret5, 5) ||
		     (site->kind == RF_SITE_STATIC_TRAMP && !memcmp(insn, ret_nops, 5))))
		return NULL;
	return "static call: not an instruction of that form of site";
}

static bool call_tail_byte(const struct rf_textpatch *t, const struct rf_site *site,
			   uint32_t offset, uint8_t byte)
{
	return site->len != 6 || offset != 1 ||
	       byte == site->cc; /* the rest is a rel32: judged whole */
}

static bool is_jcc32(const uint8_t *insn)
{
	return (insn[1] & 0xf0) == 0x80;
}

static bool call_measure(const struct rf_textpatch *t, const struct rf_memory *m,
			 struct rf_site *site, const uint8_t *now, size_t have)
{
	bool flying = have && now[0] == RF_INT3;
	uint8_t jcc[RF_SITE_MAX_LEN];

	if (have >= 6 && site->flags & RF_SITE_TAIL && (flying || now[0] == 0x0f) &&
	    is_jcc32(now)) {
		site->len = 6;
		site->cc = now[1];
		memcpy(jcc, now, 6);
		jcc[0] = 0x0f;
		/* In flight a jmp's displacement may look like a condition: then the target
		 * decides. */
		if (!call_illegal(t, m, site, jcc))
			return true;
		if (!flying)
			return false;
	}
	site->len = 5;
	return have >= 5 && (flying || !call_illegal(t, m, site, now));
}

/* __static_call_validate(): ud1 %esp,%ecx follows, which is unique to trampolines. */
static bool tramp_measure(const struct rf_textpatch *t, const struct rf_memory *m,
			  struct rf_site *site, const uint8_t *now, size_t have)
{
	site->len = 5;
	return have >= 8 && !memcmp(now + 5, tramp_ud, 3) &&
	       (now[0] == RF_INT3 || !call_illegal(t, m, site, now));
}

static const struct rf_site_ops kinds[] = {
	[RF_SITE_JUMP_LABEL] = {
		.illegal = jump_illegal,
		.tail_byte = jump_tail_byte,
		.first = { 0x66, 0xeb, 0x0f, 0xe9 },
		.measure = jump_measure,
	},
	[RF_SITE_STATIC_CALL] = {
		.illegal = call_illegal,
		.tail_byte = call_tail_byte,
		.first = { 0xe8, 0xe9, 0x0f, 0x2e, 0xc3 },
		.measure = call_measure,
	},
	[RF_SITE_STATIC_TRAMP] = {
		.illegal = call_illegal,
		.tail_byte = call_tail_byte,
		.first = { 0xe9, 0xc3 },
		.measure = tramp_measure,
	},
};

const struct rf_site_ops *rf_site_ops(enum rf_site_kind kind)
{
	return &kinds[kind];
}

bool rf_textpatch_tail_complete(const struct rf_textpatch *t, const struct rf_memory *m,
				const struct rf_site *site, const uint8_t *insn)
{
	const struct rf_site_ops *ops = rf_site_ops(site->kind);
	uint8_t whole[RF_SITE_MAX_LEN];

	memcpy(whole, insn, site->len);
	for (size_t i = 0; i < sizeof(ops->first) && ops->first[i]; i++) {
		whole[0] = ops->first[i];
		if (!ops->illegal(t, m, site, whole))
			return true;
	}
	return false;
}
