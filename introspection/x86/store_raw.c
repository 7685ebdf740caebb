// SPDX-License-Identifier: LGPL-2.1-or-later
/* Stores that came after Capstone 4.0.2, from their bytes: 64-bit mode, SDM vol. 2A 2.1 and 2.2. */
#include <errno.h>
#include <string.h>

#include "introspection/x86/store_insn.h"

struct bytes {
	const uint8_t *code;
	size_t len, at;
	bool opsize, addr32;
	uint8_t rep, rex, segment; /* rep: F2, F3 or 0 */
};

static bool next(struct bytes *b, uint8_t *out)
{
	if (b->at >= b->len)
		return false;
	*out = b->code[b->at++];
	return true;
}

/* Prefixes in any order, then REX, which counts only right before the opcode. */
static bool prefixes(struct bytes *b, uint8_t *op)
{
	while (next(b, op)) {
		switch (*op) {
		case 0x66:
			b->opsize = true;
			break;
		case 0x67:
			b->addr32 = true;
			break;
		case 0xf2:
		case 0xf3:
			b->rep = *op;
			break;
		case 0x64:
		case 0x65:
			b->segment = *op == 0x64 ? 1 : 2;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			break; /* no base in 64-bit mode, so they change nothing */
		default:
			if ((*op & 0xf0) != 0x40)
				return true;
			b->rex = *op;
			return next(b, op) && (*op & 0xf0) != 0x40;
		}
	}
	return false;
}

/* The operand of mod and rm. False: a register, or too few bytes. */
static bool memory(struct bytes *b, uint8_t modrm, struct rf_store_insn *insn)
{
	uint8_t mod = modrm >> 6, rm = modrm & 7, sib, part;
	int size = mod == 1 ? 1 : mod == 2 ? 4 : 0;
	uint32_t disp = 0;

	if (mod == 3)
		return false;
	insn->has_mem = true;
	insn->scale = 1;
	if (rm == 4) {
		if (!next(b, &sib))
			return false;
		insn->scale = (uint8_t)(1 << (sib >> 6));
		insn->index = (int8_t)((sib >> 3 & 7) | (b->rex & 2) << 2);
		if (insn->index == 4)
			insn->index = -1;
		insn->base = (int8_t)((sib & 7) | (b->rex & 1) << 3);
		if ((sib & 7) == 5 && !mod) {
			insn->base = -1;
			size = 4;
		}
	} else if (rm == 5 && !mod) {
		insn->rip_relative = true;
		size = 4;
	} else {
		insn->base = (int8_t)(rm | (b->rex & 1) << 3);
	}
	for (int i = 0; i < size; i++) {
		if (!next(b, &part))
			return false;
		disp |= (uint32_t)part << (8 * i);
	}
	insn->disp = size == 1 ? (int8_t)disp : (int32_t)disp;
	return true;
}

/* reg: written as it is. */
static void source(struct rf_store_insn *insn, int8_t reg, uint8_t size)
{
	insn->reg = reg;
	insn->reg_size = size;
	insn->size = size;
}

/* 64 bytes at the address in a register; what is in memory is read. */
static bool wide(struct bytes *b, uint8_t modrm, int8_t reg, struct rf_store_insn *insn)
{
	struct rf_store_insn from = *insn;

	if (!memory(b, modrm, &from))
		return false;
	insn->has_mem = true;
	insn->scale = 1;
	insn->base = reg;
	insn->size = 64;
	insn->segment = 0; /* ES: an override moves the source (SDM vol. 2A, MOVDIR64B) */
	return true;
}

int rf_store_raw_decode(const uint8_t *code, size_t len, struct rf_store_insn *out,
			const char **name)
{
	struct bytes b = { .code = code, .len = len < RF_INSN_MAX ? len : RF_INSN_MAX };
	struct rf_store_insn insn = { .reg = -1, .base = -1, .index = -1, .count = 1 };
	uint8_t op, map, modrm;
	const char *text = NULL;
	int8_t reg;

	if (!prefixes(&b, &op) || op != 0x0f || !next(&b, &map) || !next(&b, &op))
		return -ENOENT;
	insn.segment = b.segment;
	insn.addr32 = b.addr32;
	if (map == 0x01 && op == 0xfc) { /* clzero: a cache line, that of RAX */
		text = "clzero";
		insn.has_mem = true;
		insn.scale = 1;
		insn.base = 0;
		insn.size = insn.align = 64;
	} else if (map == 0x38 && next(&b, &modrm)) {
		reg = (int8_t)((modrm >> 3 & 7) | (b.rex & 4) << 1);
		if (op == 0xf9 && !b.opsize && !b.rep && memory(&b, modrm, &insn))
			text = "movdiri";
		else if (op == 0xf6 && !b.opsize && !b.rep && memory(&b, modrm, &insn))
			text = "wrss";
		else if (op == 0xf5 && b.opsize && !b.rep && memory(&b, modrm, &insn))
			text = "wruss";
		else if (op == 0xf8 && (b.opsize || b.rep) && wide(&b, modrm, reg, &insn))
			text = b.rep == 0xf2 ? "enqcmd" : b.rep == 0xf3 ? "enqcmds" : "movdir64b";
		if (text && op != 0xf8)
			source(&insn, reg, b.rex & 8 ? 8 : 4);
	}
	if (!text)
		return -ENOENT;
	insn.length = (uint8_t)b.at;
	*out = insn;
	*name = text;
	return 0;
}
