// SPDX-License-Identifier: LGPL-2.1-or-later
#include "introspection/x86/disasm_impl.h"
#include "introspection/kernel.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FORWARD_MAX                                                                                \
	65536 /* a longer way from the symbol's start is not walked: time per event is bounded */
#define VOTE_BACK 96 /* bytes before RIP where the voting streams start */
#define CHUNK 2048

int rf_disasm_create(struct rf_disasm **out)
{
	struct rf_disasm *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &d->detail) != CS_ERR_OK ||
	    cs_open(CS_ARCH_X86, CS_MODE_64, &d->plain) != CS_ERR_OK ||
	    cs_option(d->detail, CS_OPT_DETAIL, CS_OPT_ON) != CS_ERR_OK) {
		rf_disasm_destroy(d);
		return -ENOTSUP;
	}
	d->insn = cs_malloc(d->detail);
	d->step = cs_malloc(d->plain);
	if (!d->insn || !d->step) {
		rf_disasm_destroy(d);
		return -ENOMEM;
	}
	*out = d;
	return 0;
}

void rf_disasm_destroy(struct rf_disasm *d)
{
	if (!d)
		return;
	if (d->insn)
		cs_free(d->insn, 1);
	if (d->step)
		cs_free(d->step, 1);
	if (d->detail)
		cs_close(&d->detail);
	if (d->plain)
		cs_close(&d->plain);
	free(d);
}

bool rf_disasm_one(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr)
{
	uint64_t at = addr.v;

	return cs_disasm_iter(d->detail, &code, &len, &at, d->insn);
}

void rf_disasm_text(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr, char *text,
		    size_t text_size)
{
	uint64_t at = addr.v;

	if (!text_size)
		return;
	if (!cs_disasm_iter(d->plain, &code, &len, &at, d->step))
		snprintf(text, text_size, "(bad)");
	else if (!d->step->op_str[0])
		snprintf(text, text_size, "%s", d->step->mnemonic);
	else
		snprintf(text, text_size, "%s %s", d->step->mnemonic, d->step->op_str);
}

/*
 * UD1 (0f b9 /r), which Capstone 4 takes for two bytes and none of its operand: kernels of 7.x
 * stand one in each WARN (arch/x86/include/asm/bug.h __WARN_trap()). 0: it is none.
 */
static size_t ud1_length(const uint8_t *code, size_t len)
{
	size_t i = 0;
	uint8_t mod, rm;

	while (i < len && i < 4 && (code[i] == 0x66 || code[i] == 0x67))
		i++;
	if (i < len && (code[i] & 0xf0) == 0x40) /* REX */
		i++;
	if (len < i + 3 || code[i] != 0x0f || code[i + 1] != 0xb9)
		return 0;
	mod = code[i + 2] >> 6;
	rm = code[i + 2] & 7;
	i += 3;
	if (mod == 3)
		return i;
	if (rm == 4) { /* SIB, SDM vol. 2A 2.1.5 */
		if (i == len)
			return 0;
		rm = code[i++] & 7;
	}
	i += mod == 1 ? 1 : mod == 2 || rm == 5 ? 4 : 0;
	return i <= len ? i : 0;
}

size_t rf_disasm_length(struct rf_disasm *d, const uint8_t *code, size_t len, rf_gva addr)
{
	const uint8_t *from = code;
	size_t left = len;
	uint64_t at = addr.v;

	size_t ud1 = ud1_length(code, len);

	if (ud1)
		return ud1;
	return cs_disasm_iter(d->plain, &from, &left, &at, d->step) ? d->step->size : 0;
}

/*
 * 1 for bytes Capstone 4 does not know (wrpkru, serialize, data in text), after which the stream
 * falls into step again by itself.
 */
static size_t step_length(struct rf_disasm *d, const uint8_t *code, size_t len, uint64_t at)
{
	size_t n = rf_disasm_length(d, code, len, rf_gva_of(at));

	return n ? n : 1;
}

static uint32_t mark(uint64_t at, const rf_gva *starts, size_t count)
{
	uint32_t mask = 0;

	for (size_t i = 0; i < count; i++)
		if (starts[i].v == at)
			mask |= UINT32_C(1) << i;
	return mask;
}

/* Decodes from `from` up to and including rip, in chunks that overlap by one instruction. */
static int walk(struct rf_disasm *d, const struct rf_memory *m, const struct rf_paging *p,
		uint64_t from, uint64_t rip, const rf_gva *starts, size_t count, uint32_t *mask)
{
	uint8_t code[CHUNK + RF_INSN_MAX];
	uint32_t found = 0;
	uint64_t at = from;

	while (at < rip) {
		uint64_t left = rip - at;
		size_t want = left < CHUNK ? left : CHUNK;
		/* The last chunk stops at RIP, so that it never touches a page that RIP's code does
		 * not. */
		size_t have = left < CHUNK + RF_INSN_MAX ? left : CHUNK + RF_INSN_MAX;
		size_t i = 0;
		int err = rf_pt_read(m, p, rf_gva_of(at), code, have);

		if (err)
			return err;
		while (i < want) {
			found |= mark(at + i, starts, count);
			i += step_length(d, code + i, have - i, at + i);
		}
		at += i;
	}
	found |= mark(at, starts, count); /* RIP itself, where a REP stands */
	*mask = found;
	return 0;
}

static uint32_t vote(struct rf_disasm *d, const struct rf_memory *m, const struct rf_paging *p,
		     uint64_t rip, const rf_gva *starts, size_t count)
{
	uint8_t code[VOTE_BACK];
	unsigned int votes[32] = { 0 }, best = 0, streams = 0;
	size_t back = VOTE_BACK;
	uint32_t mask = 0;

	if (rip < back || rf_pt_read(m, p, rf_gva_of(rip - back), code, back)) {
		back = rip &
		       (RF_PAGE_SIZE - 1); /* the page before may be anything: stay on RIP's own */
		if (back > VOTE_BACK)
			back = VOTE_BACK;
		if (!back || rf_pt_read(m, p, rf_gva_of(rip - back), code, back))
			return 0;
	}
	for (size_t from = 0; from + RF_INSN_MAX < back; from++) {
		uint32_t seen = 0;
		size_t i = from;

		for (; i < back; i += step_length(d, code + i, back - i, rip - back + i))
			seen |= mark(rip - back + i, starts, count);
		seen |= mark(rip - back + i, starts, count);
		streams++;
		for (size_t j = 0; j < count; j++)
			votes[j] += seen >> j & 1;
	}
	for (size_t i = 0; i < count; i++)
		if (votes[i] > best)
			best = votes[i];
	for (size_t i = 0; best > streams / 2 && i < count; i++)
		if (votes[i] == best)
			mask |= UINT32_C(1) << i;
	return mask;
}

uint32_t rf_disasm_on_stream(struct rf_disasm *d, const struct rf_kernel *k,
			     const struct rf_memory *m, const struct rf_paging *p, rf_gva rip,
			     const rf_gva *starts, size_t count, bool *known)
{
	struct rf_symbol sym;
	uint32_t mask = 0;
	rf_gva end;

	*known = false;
	if (count > 32 || !rip.v)
		return 0;
	/* RIP - 1: after the last instruction of a function RIP is already in the next one. */
	if (k && !rf_kernel_symbol_extent(k, rf_gva_of(rip.v - 1), &sym, &end) &&
	    sym.addr.v < rip.v && rip.v - sym.addr.v <= FORWARD_MAX &&
	    !walk(d, m, p, sym.addr.v, rip.v, starts, count, &mask)) {
		*known = true;
		return mask;
	}
	return vote(d, m, p, rip.v, starts, count);
}
