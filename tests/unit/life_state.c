// SPDX-License-Identifier: LGPL-2.1-or-later
/* Of the model's states: which mean the same, and what must hold in each. */
#include <stddef.h>
#include <string.h>

#include "tests/unit/life_model.h"

/* --- what means the same looks the same ----------------------------------------------- */

static uint32_t word_of(struct cpu c)
{
	uint32_t w;

	c.id = 0;
	memcpy(&w, &c, sizeof(w));
	return w;
}

static bool in_order(struct vm *vm, unsigned cpus)
{
	struct cpu c;

	if (cpus < 3 || word_of(vm->cpu[1]) <= word_of(vm->cpu[2]))
		return false;
	c = vm->cpu[1];
	vm->cpu[1] = vm->cpu[2];
	vm->cpu[2] = c;
	if (vm->announcer >= 2)
		vm->announcer = (5u - vm->announcer) & 3;
	return true;
}

static uint32_t other(uint32_t entry)
{
	return entry ? 3 - entry : 0;
}

/* The first kernel that is met is A. */
static void name_kernels(struct vm *vm)
{
	uint32_t first = vm->entry ? vm->entry : vm->seals ? vm->seals : vm->kept;

	if (!first)
		first = vm->announced_entry;
	for (unsigned i = 0; i < MAX_CPUS && !first; i++)
		first = vm->cpu[i].entry ? vm->cpu[i].entry : entry_held(&vm->cpu[i]);
	if (first != B)
		return;
	vm->entry = other(vm->entry) & 3;
	vm->seals = other(vm->seals) & 3;
	vm->kept = other(vm->kept) & 3;
	vm->announced_entry = other(vm->announced_entry) & 3;
	for (unsigned i = 0; i < MAX_CPUS; i++) {
		struct cpu *c = &vm->cpu[i];

		c->entry = other(c->entry) & 3;
		if (entry_held(c))
			c->held = c->held == H_KA ? H_KB : H_KA;
	}
}

/*
 * The question of a vCPU that was loaded is dropped before anything else happens to it: whatever it
 * is, and was answered. Only who is told of it by name counts.
 */
static void moot(const struct vm *vm, struct cpu *c)
{
	if (!(c->loaded || vm->loading) || (c->phase != P_ASKING && c->phase != P_ANSWERED))
		return;
	c->phase = P_ASKING;
	c->entry = c->allow = 0;
	if (c->id && (c->id == vm->announced || c->id == vm->mon_id))
		return;
	c->id = 0;
	c->ask = ASK_OTHER;
}

bool model_canonical(const struct model *m, struct vm *vm)
{
	uint32_t names[8] = { 0 }, stale = 0, n = 0;
	bool swapped;

	if (vm->dead)
		return false;
	for (unsigned i = 0; i < m->cpus; i++) {
		struct cpu *c = &vm->cpu[i];

		if (c->phase != P_ASKING && c->phase != P_ANSWERED && c->at < AT_ASK)
			c->ask = c->entry = c->id = 0;
		moot(vm, c);
		if (c->phase != P_ASKING)
			c->sent = 0;
		if (c->phase != P_ANSWERED && c->at != AT_TAKEN)
			c->allow = 0;
		if (c->at == AT_ASK)
			c->id = 0;
	}
	name_kernels(vm);
	swapped = in_order(vm, m->cpus);
#define RENAME(field)                                                                              \
	do {                                                                                       \
		uint32_t old = (field);                                                            \
		if (old && !names[old]) {                                                          \
			names[old] = ++n;                                                          \
			stale |= (vm->stale >> old & 1) << n;                                      \
		}                                                                                  \
		(field) = names[old] & 7;                                                          \
	} while (0)
	RENAME(vm->in_force);
	RENAME(vm->announced);
	RENAME(vm->force);
	RENAME(vm->mon_id);
	for (unsigned i = 0; i < m->cpus; i++)
		RENAME(vm->cpu[i].id);
#undef RENAME
	vm->stale = stale & 0xff;
	return swapped;
}

/* --- what must hold ------------------------------------------------------------------- */

const char *model_wrong(const struct model *m, const struct vm *vm)
{
	bool runs = false;

	if (vm->dead)
		return NULL;
	for (unsigned i = 0; i < m->cpus; i++) {
		const struct cpu *c = &vm->cpu[i];

		if ((c->at == AT_GATE || c->at == AT_GUEST) != (c->phase == P_IN))
			return "a vCPU enters the guest with a question open";
		runs |= c->at == AT_GUEST;
	}
	if (vm->state == RF_VM_SEALED && !vm->seals)
		return "SEALED without seals";
	if (vm->seals && vm->state != RF_VM_SEALED && vm->state != RF_VM_HALTED)
		return "seals in a state that knows of none";
	if (vm->state == RF_VM_BOOTING && (vm->in_force || vm->armed))
		return "BOOTING with a kernel known";
	if (vm->state == RF_VM_FOUND && (!vm->in_force || vm->armed))
		return "FOUND is not what is so";
	if (vm->state == RF_VM_WATCHED && !vm->armed)
		return "WATCHED without a watch";
	if (vm->in_force != vm->force)
		return "the kernel in force is not the one that was let last";
	if (!runs)
		return NULL;
	if (vm->must && !vm->seals)
		return "a vCPU runs without the seal, and no release was told";
	if (vm->untold)
		return "a vCPU runs before the release is told";
	if (vm->state == RF_VM_HALTED)
		return "a vCPU runs though the VM is halted";
	if (vm->awaiting || vm->waits)
		return "a vCPU runs before what arrived is announced and let";
	if (vm->seals && vm->bad_text)
		return "a loaded state runs with sealed text that it does not go with";
	if ((vm->seals && vm->stale_seal) || (vm->armed && vm->stale_watch))
		return "a vCPU runs under what was armed for another kernel";
	if (vm->in_force && is_stale(vm, vm->in_force))
		return "a kernel that is gone is in force";
	return NULL;
}
