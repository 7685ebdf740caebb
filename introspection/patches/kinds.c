// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What each kind of site may hold. Read in the kernel sources 6.1.192 and 6.12.117, which agree:
 *  - arch/x86/kernel/jump_label.c __jump_label_patch(): x86_nops[size] or text_gen_insn(JMP8/JMP32)
 * to the entry's target, size 2 or 5 as the instruction in place is (arch_jump_entry_size());
 *  - 7.3 has two forms more of a call: see WARN5; and none of lock prefixes;
 *  - arch/x86/kernel/static_call.c __static_call_transform() and __static_call_validate(): a call
 * site holds call rel32, a 5-byte nop, or "cs cs cs xor eax,eax" for __static_call_return0; a tail
 * site or trampoline jmp rel32 or ret and four int3 (jmp to a return thunk with rethunk); a tail
 * site that the compiler made conditional keeps its jcc and only changes the target;
 *  - arch/x86/kernel/ftrace.c ftrace_nop_replace(), ftrace_call_replace(), ftrace_jmp_replace(); in
 * 7.3 the second makes a jmp to a direct function whose address has bit 0 set;
 *  - arch/x86/kernel/kprobes/core.c arch_arm_kprobe(), arch_disarm_kprobe(): one byte, the int3 or
 * the opcode; opt.c arch_optimize_kprobes(): text_poke_bp() of a jmp to the detour,
 * arch_unoptimize_kprobe(): int3, then the old tail behind it;
 *  - arch/x86/kernel/alternative.c alternatives_smp_lock(): 3e -> f0, one byte at once;
 *  - arch/x86/kernel/callthunks.c: thunks.c.
 */
#include <string.h>

#include "introspection/patches/impl.h"
#include "introspection/kernel.h"

#define NOP2                                                                                       \
	{                                                                                          \
		0x66, 0x90                                                                         \
	} /* asm/nops.h BYTES_NOP2 */
#define NOP5                                                                                       \
	{                                                                                          \
		0x0f, 0x1f, 0x44, 0x00, 0x00                                                       \
	} /* BYTES_NOP5 */
#define XOR5RAX                                                                                    \
	{                                                                                          \
		0x2e, 0x2e, 0x2e, 0x31, 0xc0                                                       \
	}
#define RET5                                                                                       \
	{                                                                                          \
		0xc3, 0xcc, 0xcc, 0xcc, 0xcc                                                       \
	}
/* warninsn and unlockinsn of arch/x86/kernel/static_call.c: ud1 (%edx), %rdi; ds ds movb $0,
 * (%rdi) */
#define WARN5                                                                                      \
	{                                                                                          \
		0x67, 0x48, 0x0f, 0xb9, 0x3a                                                       \
	}
#define UNLOCK5                                                                                    \
	{                                                                                          \
		0x3e, 0x3e, 0xc6, 0x07, 0x00                                                       \
	}
/* ARCH_DEFINE_STATIC_CALL_NULL_TRAMP without rethunk: how an untouched trampoline was assembled. */
#define RET_NOPS                                                                                   \
	{                                                                                          \
		0xc3, 0xcc, 0x90, 0x90, 0x90                                                       \
	}

#define EXACTLY(...)                                                                               \
	{                                                                                          \
		.how = RF_FORM_BYTES, .bytes = __VA_ARGS__                                         \
	}
#define TO_OWN(byte)                                                                               \
	{                                                                                          \
		.how = RF_FORM_REL32, .op_len = 1, .bytes = { byte }                               \
	}
#define OWN                                                                                        \
	{                                                                                          \
		.how = RF_FORM_OWN                                                                 \
	}
#define ARMED                                                                                      \
	{                                                                                          \
		.how = RF_FORM_OWN_INT3                                                            \
	}
#define TO(byte, number)                                                                           \
	{                                                                                          \
		.how = RF_FORM_REL32, .op_len = 1, .bytes = { byte }, .set = number                \
	}

#define CALLS                                                                                      \
	TO(0xe8, RF_SET_FUNCTIONS), TO(0xe8, RF_SET_CALL_EXTRA), TO_OWN(0xe8), EXACTLY(NOP5),      \
		EXACTLY(XOR5RAX)

/*
 * A static call goes to the start of a function. Of trampolines only to the site's own: that is how
 * the compiler leaves it until static_call_init().
 */
static const struct rf_shape shapes[] = {
	[RF_SHAPE_JUMP2] = { .len = 2, .count = 2, .forms = {
		EXACTLY(NOP2),
		{ .how = RF_FORM_REL8, .op_len = 1, .bytes = { 0xeb } },
	} },
	[RF_SHAPE_JUMP5] = { .len = 5, .count = 2, .forms = { EXACTLY(NOP5), TO_OWN(0xe9) } },
	[RF_SHAPE_CALL] = { .len = 5, .count = 5, .forms = {
		CALLS,
	} },
	[RF_SHAPE_CALL_WARN] = { .len = 5, .count = 6, .forms = {
		CALLS, EXACTLY(WARN5),
	} },
	[RF_SHAPE_CALL_UNLOCK] = { .len = 5, .count = 6, .forms = {
		CALLS, EXACTLY(UNLOCK5),
	} },
	[RF_SHAPE_CALL_TAIL] = { .len = 5, .count = 4, .forms = {
		TO(0xe9, RF_SET_FUNCTIONS), TO(0xe9, RF_SET_CALL_EXTRA), TO_OWN(0xe9),
		EXACTLY(RET5),
	} },
	[RF_SHAPE_TRAMP] = { .len = 5, .count = 4, .forms = {
		TO(0xe9, RF_SET_FUNCTIONS), TO(0xe9, RF_SET_CALL_EXTRA),
		EXACTLY(RET5), EXACTLY(RET_NOPS),
	} },
	[RF_SHAPE_FTRACE] = { .len = 5, .count = 3, .forms = {
		EXACTLY(NOP5), TO(0xe8, RF_SET_FTRACE_CALLERS), TO(0xe9, RF_SET_FTRACE_JUMPS),
	} },
	[RF_SHAPE_FTRACE_CALL] = { .len = 5, .count = 1, .forms = {
		TO(0xe8, RF_SET_FTRACE_FUNCS),
	} },
	[RF_SHAPE_FTRACE_JMP] = { .len = 5, .count = 1, .forms = {
		TO(0xe9, RF_SET_FTRACE_FUNCS),
	} },
	[RF_SHAPE_SMP_LOCK] = { .len = 1, .flags = RF_SHAPE_DIRECT, .count = 1, .forms = {
		EXACTLY({ 0xf0 }),
	} },
	[RF_SHAPE_PROBE] = { .len = 1, .count = 2, .forms = { OWN, ARMED } },
	[RF_SHAPE_PROBE_OPT] = { .len = 5, .count = 3, .forms = {
		OWN, ARMED, TO(0xe9, RF_SET_OPT_SLOTS),
	} },
	[RF_SHAPE_PROBE_GONE] = { .len = 1, .count = 1, .forms = { OWN } },
	[RF_SHAPE_PROBE_OPT_GONE] = { .len = 5, .count = 1, .forms = { OWN } },
};

static void add_jcc(struct rf_patch_table *table, uint8_t cc)
{
	static const uint16_t sets[] = { RF_SET_FUNCTIONS, RF_SET_CALL_EXTRA, 0 };
	struct rf_shape s = { .len = 6, .count = 3 };

	for (int i = 0; i < 3; i++)
		s.forms[i] = (struct rf_form){
			.how = RF_FORM_REL32, .op_len = 2, .set = sets[i], .bytes = { 0x0f, cc }
		};
	table->shapes[RF_SHAPE_CALL_JCC + (cc & 15)] = s;
}

void rf_textpatch_shapes(struct rf_patch_table *table)
{
	_Static_assert(RF_SHAPE_COUNT <= RF_TABLE_SHAPES && RF_SETS <= RF_TABLE_SETS, "room");
	memcpy(table->shapes, shapes, sizeof(shapes));
	for (uint8_t cc = 0x80; cc < 0x90; cc++)
		add_jcc(table, cc);
	table->shapes_count = RF_SHAPE_COUNT;
}

struct rf_patch_site rf_textpatch_entry(const struct rf_textpatch *t, const struct rf_site *s)
{
	return (struct rf_patch_site){
		.at = (uint32_t)(s->addr - t->text),
		.shape = s->shape,
		.kind = s->kind,
		.flags = t->frozen >> s->kind & 1 ? RF_SITE_FROZEN : s->flags & RF_SITE_FROZEN,
		.target = s->target,
	};
}

bool rf_textpatch_tail_whole(const struct rf_textpatch *t, const struct rf_site *s,
			     const uint8_t *now)
{
	const struct rf_patch_site entry = rf_textpatch_entry(t, s);
	const struct rf_shape *sh = &t->table->shapes[s->shape];
	uint8_t insn[RF_SITE_MAX_LEN];

	memcpy(insn, now, sh->len);
	for (uint8_t i = 0; i < sh->count; i++) {
		const struct rf_form *f = &sh->forms[i];

		insn[0] = f->bytes[0];
		if (rf_patch_at_rest(t->table, &entry, sh, insn))
			return true;
	}
	return false;
}

/* --- which of a kind's shapes a site has ---------------------------------- */

/* Takes the shape when the site holds one of its forms. */
static bool at_rest(const struct rf_textpatch *t, struct rf_site *s, uint16_t shape,
		    const uint8_t *now, size_t have)
{
	const struct rf_shape *sh = &t->table->shapes[shape];
	struct rf_patch_site entry;

	s->shape = shape;
	s->len = sh->len;
	entry = rf_textpatch_entry(t, s);
	return have >= sh->len && rf_patch_at_rest(t->table, &entry, sh, now);
}

/* Behind int3: are the bytes of the tail those of the nop or the jmp? It may be half written. */
static bool jump_tail(const struct rf_site *s, uint8_t len, const uint8_t *now)
{
	static const uint8_t nops[2][5] = { NOP2, NOP5 };
	int64_t rel = (int64_t)(s->target - (s->addr + len));

	for (int i = 1; i < len; i++)
		if (now[i] != nops[len == 5][i] &&
		    now[i] != (uint8_t)((uint64_t)rel >> (8 * (i - 1))))
			return false;
	return true;
}

/*
 * While in flight the size cannot be read off the first byte. Five bytes whose tail is made of the
 * two known 5-byte tails are a 5-byte site: a 2-byte one is followed by other code.
 */
static bool measure_jump(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			 size_t have)
{
	if (now[0] != RF_INT3)
		return at_rest(t, s, RF_SHAPE_JUMP5, now, have) ||
		       at_rest(t, s, RF_SHAPE_JUMP2, now, have);
	s->len = have >= 5 && jump_tail(s, 5, now) ? 5 : 2;
	s->shape = s->len == 5 ? RF_SHAPE_JUMP5 : RF_SHAPE_JUMP2;
	return have >= s->len && jump_tail(s, s->len, now);
}

static bool measure_call(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			 size_t have)
{
	uint16_t shape = s->flags & RF_SITE_TAIL ? RF_SHAPE_CALL_TAIL : RF_SHAPE_CALL;
	uint8_t jcc[RF_SITE_MAX_LEN];

	if (have >= 6 && s->flags & RF_SITE_TAIL && (now[1] & 0xf0) == 0x80 &&
	    (now[0] == RF_INT3 || now[0] == 0x0f)) {
		memcpy(jcc, now, 6);
		jcc[0] = 0x0f;
		/* In flight a jmp's displacement may look like a condition: then the target
		 * decides. */
		if (at_rest(t, s, (uint16_t)(RF_SHAPE_CALL_JCC + (now[1] & 15)), jcc, have))
			return true;
	}
	/* What stands for one function is a form of the calls of that one alone. */
	if (!(s->flags & RF_SITE_TAIL) && !at_rest(t, s, shape, now, have) &&
	    (at_rest(t, s, RF_SHAPE_CALL_WARN, now, have) ||
	     at_rest(t, s, RF_SHAPE_CALL_UNLOCK, now, have)))
		return true;
	return at_rest(t, s, shape, now, have) || (now[0] == RF_INT3 && have >= 5);
}

/* __static_call_validate(): ud1 %esp,%ecx follows, which is unique to trampolines. */
static bool measure_tramp(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			  size_t have)
{
	static const uint8_t ud[3] = { 0x0f, 0xb9, 0xcc };

	if (have < 8 || memcmp(now + 5, ud, 3))
		return false;
	return at_rest(t, s, RF_SHAPE_TRAMP, now, have) || now[0] == RF_INT3;
}

static bool measure_ftrace_call(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
				size_t have)
{
	rf_gva graph;
	bool jmp = !rf_kernel_address(t->k, "ftrace_graph_call", &graph) && graph.v == s->addr;

	return at_rest(t, s, jmp ? RF_SHAPE_FTRACE_JMP : RF_SHAPE_FTRACE_CALL, now, have) ||
	       now[0] == RF_INT3;
}

static bool measure_smp_lock(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			     size_t have)
{
	return at_rest(t, s, RF_SHAPE_SMP_LOCK, now, have) || now[0] == 0x3e;
}

bool rf_textpatch_measure(const struct rf_textpatch *t, struct rf_site *s, const uint8_t *now,
			  size_t have)
{
	switch ((enum rf_site_kind)s->kind) {
	case RF_SITE_JUMP_LABEL:
		return measure_jump(t, s, now, have);
	case RF_SITE_STATIC_CALL:
		return measure_call(t, s, now, have);
	case RF_SITE_STATIC_TRAMP:
		return measure_tramp(t, s, now, have);
	case RF_SITE_FTRACE:
		return at_rest(t, s, RF_SHAPE_FTRACE, now, have) ||
		       (now[0] == RF_INT3 && have >= 5);
	case RF_SITE_FTRACE_CALL:
		return measure_ftrace_call(t, s, now, have);
	case RF_SITE_SMP_LOCK:
		return measure_smp_lock(t, s, now, have);
	case RF_SITE_CALL_THUNK:
		return at_rest(t, s, RF_SHAPE_CALL_THUNK, now, have) ||
		       (have >= s->len && rf_thunk_begun(&t->thunk, s->addr, now));
	default:
		return false;
	}
}
