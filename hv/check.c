// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/check.h"

#include <stdbool.h>

#include "hv/span.h"

#define ERRNO_MAX 4095 /* include/linux/err.h MAX_ERRNO */

static bool wraps(uint64_t start, uint64_t size)
{
	return size && start + (size - 1) < start;
}

static bool is_flag(uint64_t value)
{
	return value <= 1;
}

static bool is_status(int32_t status)
{
	return status <= 0 && status >= -ERRNO_MAX;
}

/* --- the board ------------------------------------------------------------------ */

/* An offset of pread(2) is signed. */
static bool is_host(uint64_t hva, uint64_t size)
{
	return hva <= INT64_MAX && size <= INT64_MAX - hva;
}

static const char *check_runs(const struct rf_board *b)
{
	if (b->runs_count > RF_BOARD_RUNS)
		return "more runs of memory than a board has room for";
	for (uint32_t i = 0; i < b->runs_count; i++) {
		const struct rf_board_run *r = &b->runs[i];

		if (wraps(r->gpa, r->size))
			return "a run of guest memory that wraps";
		if (!is_host(r->hva, r->size) || !is_host(r->decoy, r->size))
			return "a run of memory where no process has any";
	}
	return NULL;
}

static const char *check_region(const struct rf_region *r)
{
	if (r->gpa % RF_PAGE_SIZE || r->size % RF_PAGE_SIZE || r->gva % RF_PAGE_SIZE || !r->size)
		return "a sealed region that is not made of pages";
	if (r->size > RF_SAID_IMAGE_MAX || wraps(r->gpa, r->size) || wraps(r->gva, r->size))
		return "a sealed region larger than any kernel";
	if (r->kind != RF_REGION_TEXT && r->kind != RF_REGION_RODATA && r->kind != RF_REGION_IDT)
		return "a sealed region of no kind";
	return NULL;
}

static const char *check_regions(const struct rf_board *b)
{
	uint32_t kinds = 0;

	if (b->regions_count > RF_SEAL_MAX)
		return "more sealed regions than can be asked for";
	for (uint32_t i = 0; i < b->regions_count; i++) {
		const struct rf_region *r = &b->regions[i];
		const char *why = check_region(r);

		if (why)
			return why;
		if (i && (r->gpa < r[-1].gpa || r->gpa - r[-1].gpa < r[-1].size))
			return "sealed regions that do not ascend";
		if (kinds & 1u << r->kind)
			return "two sealed regions of one kind";
		kinds |= 1u << r->kind;
	}
	if (b->image.size > RF_SAID_IMAGE_MAX || wraps(b->image.gpa, b->image.size) ||
	    wraps(b->image.gva, b->image.size))
		return "an image larger than any kernel";
	return NULL;
}

static const struct rf_region *text_of(const struct rf_board *b)
{
	for (uint32_t i = 0; i < b->regions_count; i++)
		if (b->regions[i].kind == RF_REGION_TEXT)
			return &b->regions[i];
	return NULL;
}

static bool is_trap_kind(uint32_t kind)
{
	return kind >= RF_TRAP_LIDT && kind <= RF_TRAP_KEXEC;
}

/* As hv/proto.h has it: an instruction of 3..15 bytes. */
static bool is_trap_len(uint32_t len)
{
	return len >= 3 && len <= sizeof(((struct rf_trap_site *)0)->bytes);
}

/* The fence plants them behind the seal, and takes them away before it goes. */
static const char *check_traps(const struct rf_board *b)
{
	const struct rf_region *text = text_of(b);

	if (b->traps_count > RF_TRAP_MAX)
		return "more traps than can be asked for";
	for (uint32_t i = 0; i < b->traps_count; i++) {
		const struct rf_trap_site *s = &b->traps[i];

		if (!is_trap_kind(s->kind) || !is_trap_len(s->len) || s->reg > 15)
			return "a trap that stands for no instruction";
		if (!text || !rf_within(s->gpa, s->len, text->gpa, text->size))
			return "a trap outside of sealed text";
		if (i && (s->gpa < s[-1].gpa || s->gpa - s[-1].gpa < s[-1].len))
			return "traps that do not ascend";
	}
	return NULL;
}

const char *rf_check_board(const struct rf_board *b)
{
	const char *why;

	if (b->magic != RF_BOARD_MAGIC || b->revision != RF_PROTO_REVISION)
		return "a board of another kind than at first";
	if (b->state > RF_VM_HALTED)
		return "a state that no VM is in";
	if (b->vcpus > RF_SAID_VCPUS)
		return "more vCPUs than it can have";
	if (!is_flag(b->cr_watch) || !is_flag(b->loaded))
		return "a flag that is neither set nor clear";
	why = check_runs(b);
	if (!why)
		why = check_regions(b);
	return why ? why : check_traps(b);
}

/* --- messages -------------------------------------------------------------------- */

const char *rf_check_hello(const struct rf_msg_hello *m)
{
	if (m->board_size != sizeof(struct rf_board_file))
		return "the fence's board is not what it should be";
	if (m->state > RF_VM_HALTED || !m->next_event)
		return "the fence says hello from a state that no VM is in";
	/* A kernel is found, watched and sealed once an event has announced it. */
	if (m->next_event == 1 && m->state != RF_VM_BOOTING && m->state != RF_VM_HALTED)
		return "the fence says hello from a state that nothing has led to";
	return NULL;
}

static const char *check_store(const struct rf_msg_event *m)
{
	if (m->write.len < 1 || wraps(m->write.gpa, m->write.len))
		return "a store of no bytes, or past the end of memory";
	if (!is_flag(m->write.rip_after) || !is_flag(m->write.elsewhere))
		return "a flag that is neither set nor clear";
	return NULL;
}

static const char *check_trap(const struct rf_msg_event *m)
{
	if (!is_trap_kind(m->trap.kind) || !is_trap_len(m->trap.len))
		return "a trap that stands for no instruction";
	return m->trap.kind == RF_TRAP_POKE ? check_store(m) : NULL;
}

/* Interrupts and exceptions have eight bits: SDM vol. 3A 6.2. */
static const char *check_delivery(const struct rf_msg_event *m)
{
	return m->delivery.vector > UINT8_MAX && m->delivery.vector != UINT32_MAX
		       ? "a vector that no CPU has"
		       : NULL;
}

static const char *check_life(const struct rf_msg_event *m)
{
	uint32_t cause = m->life.cause;
	bool fits = m->kind == RF_EVENT_RESET ? cause >= RF_CAUSE_RESET && cause <= RF_CAUSE_KEXEC
		    : m->kind == RF_EVENT_HALTED
			    ? cause >= RF_CAUSE_TEXT && cause <= RF_CAUSE_DENIED
			    : !cause;

	return fits ? NULL : "a cause that does not go with what it tells";
}

/* What one kind alone has. NULL where that is nothing to be bounded. */
static const char *check_kind(const struct rf_msg_event *m)
{
	switch (m->kind) {
	case RF_EVENT_WRITE:
		return check_store(m);
	case RF_EVENT_KERNEL:
		return m->msr.index != RF_MSR_ENTRY ? "a kernel announced by another register"
						    : NULL;
	case RF_EVENT_TRAP:
		return check_trap(m);
	case RF_EVENT_DELIVERY:
		return check_delivery(m);
	case RF_EVENT_CR:
		return is_flag(m->cr.interrupted) ? NULL : "a flag that is neither set nor clear";
	case RF_EVENT_TABLES:
		return is_flag(m->has_kept) ? NULL : "a flag that is neither set nor clear";
	case RF_EVENT_RESET:
	case RF_EVENT_RELOADED:
	case RF_EVENT_HALTED:
	case RF_EVENT_UNSEALED:
		return check_life(m);
	case RF_EVENT_WATCH:
	case RF_EVENT_EMULATION:
	case RF_EVENT_MSR:
	case RF_EVENT_MSR_FOUND:
	case RF_EVENT_STALLED:
		return NULL;
	}
	return "an event of no kind";
}

const char *rf_check_event(const struct rf_msg_event *m)
{
	if (!m->id)
		return "an event without a number";
	if (m->vcpu >= RF_BACKEND_VCPU_IDS)
		return "an event of a vCPU that it cannot have";
	if (m->regs.cpl > 3)
		return "a privilege level that no CPU has";
	/* Lengths, whether or not this kind has anything there. */
	if (m->write.len > RF_EVENT_BYTES || m->insn.len > sizeof(m->insn.bytes))
		return "more bytes than there is room for";
	return check_kind(m);
}

const char *rf_check_outcome(const struct rf_msg_outcome *m)
{
	return !m->id		      ? "the outcome of an event without a number"
	       : is_status(m->status) ? NULL
				      : "an outcome that is no error's number";
}

const char *rf_check_done(const struct rf_msg_done *m)
{
	return is_status(m->status) ? NULL : "an answer that is no error's number";
}

/* --- the lists behind the board ---------------------------------------------------- */

void rf_bound_heal(struct rf_heal *h)
{
	if (h->len > RF_PAGE_SIZE)
		h->len = RF_PAGE_SIZE;
}

void rf_bound_flight(struct rf_flight *f)
{
	if (f->kind >= RF_SITE_KINDS)
		f->kind = 0;
	if (f->len > RF_SITE_MAX_LEN)
		f->len = RF_SITE_MAX_LEN;
}
