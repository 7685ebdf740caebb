/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a CPU stores, by an instruction or on its own, and what KVM makes of it when the target lies
 * in a read-only slot.
 */
#ifndef RF_TESTS_STORE_KINDS_H
#define RF_TESTS_STORE_KINDS_H

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

/* How KVM_RUN ended. Each may be what another KVM does with the same store. */
enum outcome {
	OUT_NONE,      /* the CPU lacks it */
	OUT_MMIO,      /* a write exit with the bytes */
	OUT_EMULATION, /* KVM_INTERNAL_ERROR_EMULATION, RIP on the instruction */
	OUT_DELIVERY,  /* KVM_INTERNAL_ERROR_DELIVERY_EV */
	OUT_INTERNAL,  /* another suberror */
	OUT_FAULT,     /* the guest took an exception, nothing was told to user space */
	OUT_STALLED,   /* KVM_RUN never returns by itself, RIP stands still */
	OUT_RAN,       /* the guest ran on, the store was dropped */
	OUT_SHUTDOWN,  /* KVM_EXIT_SHUTDOWN: a triple fault */
	OUT_OTHER,     /* whatever else: not known to the fence */
	OUT_LANDED,    /* the bytes in the read-only slot changed */
};

/* Guest-physical, mapped one to one. */
#define KINDS_RAM 0x40000
#define KINDS_GDT 0x5000
#define KINDS_IDT 0x6000
#define KINDS_TSS 0x7000
#define KINDS_CODE 0x8000
#define KINDS_HANDLERS 0x9000 /* 4 bytes a vector: mov al, vector; hlt */
#define KINDS_STACK 0xb000    /* top of a page that is not sealed */
#define KINDS_IST 0xc000      /* the same, for exceptions */
#define KINDS_DATA 0xc000     /* a page */
#define KINDS_BEFORE 0xf000   /* the page below what is sealed */
#define KINDS_SEALED 0x10000  /* a read-only slot */
#define KINDS_TARGET 0x10100
#define KINDS_SEALED_END 0x20000
#define KINDS_UNMAPPED 0x3f000

/* One guest of one vCPU, new for every kind. */
struct kind_vm {
	int vm, vcpu;
	struct kvm_run *run;
	uint8_t *ram;
	struct kvm_regs regs;	/* before */
	struct kvm_sregs sregs; /* before */
};

struct kind {
	const char *name;
	const uint8_t *code, *end;
	uint32_t at; /* of the instruction in question, from code */
	/* Of the instruction's own operand, what rf_store_find() has to find; 0: it has none. */
	uint64_t target;
	uint32_t size;
	uint32_t also; /* bits of enum outcome, next to those that any kind may have */
	void (*setup)(struct kind_vm *v);
	struct {
		uint32_t leaf, sub, reg, bit; /* leaf 0: any CPU has it; reg 0 eax .. 3 edx */
	} cpu;
};

extern const struct kind kinds[];
extern const unsigned int kinds_count;

#define BIT(n) (1u << (n))

#endif
