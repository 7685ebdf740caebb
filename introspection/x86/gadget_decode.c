// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * One instruction from its bytes: Intel SDM vol. 2 chapters 2 (format), 3 to 6 and appendix A
 * (opcodes); AMD APM vol. 3 for those of SVM. By hand, as only a dozen opcodes matter, every offset
 * of the text is tried, and Capstone 4 does not know the newer ones.
 *
 * In doubt it is one: a prefix that some CPU ignores and another refuses does not hide anything.
 */
#include "introspection/x86/gadget.h"

#include <errno.h>
#include <string.h>

#define OP_NONE 0xffff
#define OP_WRUSS 0x38f5
#define OP_WRSS 0x38f6

struct prefixes {
	bool opsize, addr32, lock;
	uint8_t rep; /* the last of F2 and F3, 0 none */
	uint8_t rex;
	int8_t segment;
	size_t len;
};

struct modrm {
	uint8_t mod, reg, rm; /* without REX */
	uint8_t byte;
};

static const char *const names[RF_GADGET_KINDS] = {
	[RF_GADGET_NONE] = "none",	 [RF_GADGET_MOV_CR0] = "mov cr0",
	[RF_GADGET_MOV_CR3] = "mov cr3", [RF_GADGET_MOV_CR4] = "mov cr4",
	[RF_GADGET_MOV_CR8] = "mov cr8", [RF_GADGET_LMSW] = "lmsw",
	[RF_GADGET_CLTS] = "clts",	 [RF_GADGET_WRMSR] = "wrmsr",
	[RF_GADGET_LGDT] = "lgdt",	 [RF_GADGET_LIDT] = "lidt",
	[RF_GADGET_LLDT] = "lldt",	 [RF_GADGET_LTR] = "ltr",
	[RF_GADGET_MOV_DR] = "mov dr",	 [RF_GADGET_XSETBV] = "xsetbv",
	[RF_GADGET_XRSTORS] = "xrstors", [RF_GADGET_WRSS] = "wrss",
	[RF_GADGET_VMX] = "vmx",	 [RF_GADGET_SVM] = "svm",
};

const char *rf_gadget_kind_text(enum rf_gadget_kind kind)
{
	return (unsigned int)kind < RF_GADGET_KINDS ? names[kind] : names[RF_GADGET_NONE];
}

/* Legacy prefixes in any order, REX last: elsewhere it has no effect (SDM vol. 2A 2.2.1). */
static struct prefixes read_prefixes(const uint8_t *code, size_t len)
{
	struct prefixes p = { 0 };

	for (; p.len < len; p.len++) {
		switch (code[p.len]) {
		case 0x66:
			p.opsize = true;
			continue;
		case 0x67:
			p.addr32 = true;
			continue;
		case 0xf0:
			p.lock = true;
			continue;
		case 0xf2:
		case 0xf3:
			p.rep = code[p.len];
			continue;
		case 0x64:
			p.segment = 1;
			continue;
		case 0x65:
			p.segment = 2;
			continue;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
			/* No base in 64-bit mode, and they leave an FS or GS before them in force:
			 * AMD APM vol. 3 1.2.4. */
			continue;
		default:
			break;
		}
		break;
	}
	if (p.len < len && (code[p.len] & 0xf0) == 0x40)
		p.rex = code[p.len++];
	return p;
}

static int8_t extend(uint8_t reg, uint8_t rex, unsigned int bit)
{
	return (int8_t)(reg | (rex >> bit & 1) << 3);
}

/* Bytes that ModRM's memory operand takes, ModRM included; 0: there are not that many. */
static size_t memory_operand(const uint8_t *at, size_t len, const struct prefixes *p,
			     const struct modrm *m, struct rf_operand *o)
{
	size_t n = 1, disp = m->mod == 1 ? 1 : m->mod == 2 ? 4 : 0;
	uint8_t base = m->rm, sib;

	o->type = RF_OPERAND_MEM;
	o->addr32 = p->addr32;
	o->segment = p->segment;
	o->base = extend(base, p->rex, 0);
	o->index = -1;
	o->scale = 1;
	if (m->rm == 4) {
		if (len < 2)
			return 0;
		sib = at[n++];
		base = sib & 7;
		o->base = extend(base, p->rex, 0);
		o->scale = (uint8_t)(1 << (sib >> 6));
		o->index = extend(sib >> 3 & 7, p->rex, 1);
		if (o->index == 4) /* RSP is no index; R12 is */
			o->index = -1;
	}
	if (!m->mod && base == 5) { /* REX.B does not change that: SDM vol. 2A 2.2.1.2 */
		o->base = -1;
		o->rip_relative = m->rm == 5;
		disp = 4;
	}
	if (len < n + disp)
		return 0;
	if (disp == 1)
		o->disp = (int8_t)at[n];
	else if (disp == 4)
		memcpy(&o->disp, at + n, 4);
	return n + disp;
}

/* MOV CR with LOCK reaches CR8 on AMD: APM vol. 3, AltMovCr8. */
static enum rf_gadget_kind mov_cr(uint8_t reg, const struct prefixes *p)
{
	uint8_t cr = reg | (uint8_t)((p->rex >> 2 & 1) << 3);

	if (p->lock)
		return cr == 0 ? RF_GADGET_MOV_CR8 : RF_GADGET_NONE;
	return cr == 0	 ? RF_GADGET_MOV_CR0
	       : cr == 3 ? RF_GADGET_MOV_CR3
	       : cr == 4 ? RF_GADGET_MOV_CR4
	       : cr == 8 ? RF_GADGET_MOV_CR8
			 : RF_GADGET_NONE; /* CR2 is an address nobody trusts, others are #UD */
}

/* 0F 01 with a register form: the whole byte is the opcode. */
static enum rf_gadget_kind group7_register(uint8_t byte, const struct prefixes *p)
{
	switch (byte) {
	case 0xc2: /* vmlaunch */
	case 0xc3: /* vmresume */
	case 0xc4: /* vmxoff */
		return RF_GADGET_VMX;
	case 0xc6: /* wrmsrns, F3: wrmsrlist, F2: rdmsrlist */
		return p->rep == 0xf2 ? RF_GADGET_NONE : RF_GADGET_WRMSR;
	case 0xd1:
		return RF_GADGET_XSETBV;
	case 0xd8: /* vmrun */
	case 0xda: /* vmload */
	case 0xdb: /* vmsave */
	case 0xdc: /* stgi */
	case 0xdd: /* clgi */
	case 0xde: /* skinit */
		return RF_GADGET_SVM;
	default:
		return (byte & 0xf8) == 0xf0 ? RF_GADGET_LMSW : RF_GADGET_NONE;
	}
}

static enum rf_gadget_kind group9(const struct modrm *m, const struct prefixes *p)
{
	if (m->mod == 3)
		return RF_GADGET_NONE; /* rdrand, rdseed, senduipi */
	if (m->reg == 3)
		return p->rep || p->opsize ? RF_GADGET_NONE : RF_GADGET_XRSTORS;
	return m->reg == 6 ? RF_GADGET_VMX : RF_GADGET_NONE;
}

/*
 * 0F 38 F6 without a prefix is wrss, 66 0F 38 F5 wruss; F6 with 66 and F3 is adcx and adox. What
 * ModRM's memory operand names is written, the register is what is written there.
 */
static enum rf_gadget_kind shadow_stack(uint16_t op, const struct modrm *m,
					const struct prefixes *p)
{
	if (m->mod == 3 || p->rep || p->opsize != (op == OP_WRUSS))
		return RF_GADGET_NONE;
	return RF_GADGET_WRSS;
}

/* The kind, and the size of what it reads. */
static enum rf_gadget_kind classify(uint16_t op, const struct modrm *m, const struct prefixes *p,
				    uint8_t *size)
{
	switch (op) {
	case 0x00:
		*size = 2;
		return m->reg == 2 ? RF_GADGET_LLDT : m->reg == 3 ? RF_GADGET_LTR : RF_GADGET_NONE;
	case 0x01:
		*size = m->reg == 6 ? 2 : 10;
		if (m->mod == 3)
			return group7_register(m->byte, p);
		return m->reg == 2   ? RF_GADGET_LGDT
		       : m->reg == 3 ? RF_GADGET_LIDT
		       : m->reg == 6 ? RF_GADGET_LMSW
				     : RF_GADGET_NONE;
	case 0x22:
		*size = 8;
		return mov_cr(m->reg, p);
	case 0x23:
		*size = 8;
		return p->rex & 4 ? RF_GADGET_NONE : RF_GADGET_MOV_DR; /* #UD with REX.R */
	case 0xc7:
		*size = m->reg == 6 ? 8 : 0;
		return group9(m, p);
	case OP_WRSS:
	case OP_WRUSS:
		*size = p->rex & 8 ? 8 : 4;
		return shadow_stack(op, m, p);
	default:
		return RF_GADGET_NONE;
	}
}

/* What follows the opcode: bytes with ModRM, 0 when there are not that many. */
static size_t operand(enum rf_gadget_kind kind, uint16_t op, const uint8_t *at, size_t len,
		      const struct prefixes *p, const struct modrm *m, struct rf_operand *o)
{
	/* mov to cr and dr ignore mod: SDM vol. 2B, MOV. */
	if (m->mod == 3 || op == 0x22 || op == 0x23) {
		if (op == 0x01 && kind != RF_GADGET_LMSW) {
			o->size = 0; /* all of ModRM is opcode */
			return 1;
		}
		o->type = RF_OPERAND_REG;
		o->reg = extend(m->rm, p->rex, 0);
		return 1;
	}
	if (kind == RF_GADGET_WRSS)
		o->reg = extend(m->reg, p->rex, 2);
	return memory_operand(at, len, p, m, o);
}

/* Opcodes of the maps 0F and 0F 38, which is told by the upper byte. OP_NONE: bytes are missing. */
static uint16_t read_opcode(const uint8_t *code, size_t len, size_t *at)
{
	uint16_t op;

	if (len - *at < 2 || code[*at] != 0x0f)
		return OP_NONE;
	op = code[*at + 1];
	*at += 2;
	if (op == 0x38) {
		if (*at == len)
			return OP_NONE;
		op = (uint16_t)(0x3800 | code[(*at)++]);
	}
	return op;
}

int rf_gadget_decode(const uint8_t *code, size_t len, rf_gva addr, struct rf_gadget *out)
{
	struct rf_gadget g;
	struct prefixes p;
	struct modrm m;
	size_t at, used;
	uint16_t op;

	memset(&g, 0, sizeof(g)); /* padding too: results can be compared as bytes */
	g.addr = addr;
	g.operand.reg = g.operand.base = g.operand.index = -1;
	g.operand.scale = 1;
	if (len > sizeof(g.bytes))
		len = sizeof(g.bytes);
	p = read_prefixes(code, len);
	at = p.len;
	op = read_opcode(code, len, &at);
	if (op == 0x06 || op == 0x30) {
		g.kind = op == 0x06 ? RF_GADGET_CLTS : RF_GADGET_WRMSR;
	} else if (op == OP_NONE || at == len) {
		return -ENOENT;
	} else {
		m = (struct modrm){ code[at] >> 6, code[at] >> 3 & 7, code[at] & 7, code[at] };
		g.kind = classify(op, &m, &p, &g.operand.size);
		used = g.kind ? operand(g.kind, op, code + at, len - at, &p, &m, &g.operand) : 0;
		if (!used)
			return -ENOENT;
		at += used;
	}
	/* LOCK is #UD but for what mov_cr() makes of it. */
	if (p.lock && g.kind != RF_GADGET_MOV_CR8)
		return -ENOENT;
	g.len = (uint8_t)at;
	memcpy(g.bytes, code, at);
	*out = g;
	return 0;
}

uint64_t rf_gadget_operand_address(const struct rf_gadget *g, const struct rf_regs *regs)
{
	const struct rf_operand *o = &g->operand;
	uint64_t ea = (uint64_t)(int64_t)o->disp;

	if (o->type != RF_OPERAND_MEM)
		return 0;
	if (o->rip_relative)
		ea += g->addr.v + g->len;
	if (o->base >= 0)
		ea += regs->gpr[o->base];
	if (o->index >= 0)
		ea += regs->gpr[o->index] * o->scale;
	if (o->addr32)
		ea = (uint32_t)ea;
	if (o->segment)
		ea += o->segment == 1 ? regs->fs_base : regs->gs_base;
	return ea;
}
