// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/guestmem.h"

#include <string.h>

#include "hv/board.h"
#include "hv/vcpu.h"

struct rf_memslots rf_guestmem;

void rf_guestmem_init(int vm_fd, uint32_t id_limit)
{
	rf_guestmem.vm_fd = vm_fd;
	rf_guestmem.id_limit = id_limit;
}

/* --- the board ---------------------------------------------------------------- */

static void add_run(struct rf_board *b, struct rf_board_run run)
{
	if (b->runs_count < RF_BOARD_RUNS)
		b->runs[b->runs_count++] = run;
}

/* An overlay is one run for each slot that it lies on: their memory need not be side by side. */
static void add_overlay(struct rf_board *b, const struct rf_overlay *o)
{
	uint64_t len = 0;

	for (uint64_t at = 0; at < o->gpa.size; at += len) {
		uint64_t rest = o->gpa.size - at;
		uint8_t *below = rf_slot_host(&rf_guestmem, o->gpa.start + at, rest, &len);

		add_run(b, (struct rf_board_run){ o->gpa.start + at, len,
						  (uint64_t)(uintptr_t)(o->copy + at),
						  (uint64_t)(uintptr_t)below });
	}
	if (o->kind == RF_OVERLAY_SEAL)
		b->regions[b->regions_count++] =
			(struct rf_region){ o->gpa.start, o->gpa.size, o->gva, o->region, 0 };
}

void rf_guestmem_publish(void)
{
	struct rf_board *b = rf_board;

	rf_board_begin();
	b->runs_count = 0;
	b->regions_count = 0;
	RF_EACH_OVERLAY(&rf_guestmem, o)
		add_overlay(b, o);
	RF_EACH_SLOT(&rf_guestmem, s) {
		for (uint32_t p = 0; !s->space && p < s->nr_pieces; p++) {
			const struct rf_range *r = &s->pieces[p].gpa;

			add_run(b, (struct rf_board_run){ r->start, r->size,
							  s->hva + (r->start - s->gpa), 0 });
		}
	}
	rf_board_end();
}

/* --- the VMM's requests ---------------------------------------------------------- */

int rf_guestmem_set(const struct kvm_userspace_memory_region *r)
{
	int err;

	RF_LOCKED();
	err = rf_memslots_set(&rf_guestmem, r, false);
	if (err == -EAGAIN) {
		rf_gate_close();
		err = rf_memslots_set(&rf_guestmem, r, true);
		rf_gate_open();
	}
	rf_guestmem_publish();
	return err;
}

int rf_guestmem_dirty_log(const struct kvm_dirty_log *log, bool heal)
{
	const struct rf_slot *s;

	RF_LOCKED();
	s = rf_slot_of(&rf_guestmem, (uint16_t)(log->slot >> 16), log->slot & 0xffff);
	/* What is dirty is read next. Only what this slot shows: a display's is asked for many
	 * times a second. */
	if (heal && s)
		rf_guestmem_heal(s->gpa, s->size);
	return rf_memslots_dirty_log(&rf_guestmem, log);
}

bool rf_guestmem_overlaid(uint64_t gpa, uint64_t size)
{
	RF_LOCKED();
	RF_EACH_OVERLAY(&rf_guestmem, o)
		if (rf_overlaps(gpa, size, o->gpa.start, o->gpa.size))
			return true;
	return false;
}

/* --- overlays -------------------------------------------------------------------- */

void rf_guestmem_overlay(const struct rf_overlay *next, size_t n)
{
	if (rf_memslots_overlay(&rf_guestmem, next, n))
		rf_fatal("KVM refused the memory slots around sealed memory");
	rf_guestmem_publish();
}

struct rf_overlay *rf_guestmem_sealed(uint64_t gpa, uint64_t len)
{
	struct rf_overlay *o = rf_overlay_at(&rf_guestmem, gpa);

	return o && o->kind == RF_OVERLAY_SEAL && len <= o->gpa.size - (gpa - o->gpa.start) ? o
											    : NULL;
}

bool rf_guestmem_any_sealed(void)
{
	RF_EACH_OVERLAY(&rf_guestmem, o)
		if (o->kind == RF_OVERLAY_SEAL)
			return true;
	return false;
}

bool rf_guestmem_is_ram(uint64_t gpa, uint64_t size)
{
	uint64_t len;

	if (gpa + size < gpa)
		return false;
	for (; size; gpa += len, size -= len)
		if (!rf_slot_host(&rf_guestmem, gpa, size, &len))
			return false;
	return true;
}

/* Copies from the VMM's memory below the overlay, or to it. */
static int copy_below(const struct rf_overlay *o, uint64_t at, uint8_t *to, const uint8_t *from,
		      uint64_t size)
{
	uint64_t len;

	for (uint64_t done = 0; done < size; done += len) {
		uint8_t *below =
			rf_slot_host(&rf_guestmem, o->gpa.start + at + done, size - done, &len);

		if (below)
			memcpy(to ? to + done : below, to ? below : from + done, len);
		else if (to)
			return -EFAULT; /* the VMM has taken it away */
	}
	return 0;
}

void rf_overlay_take(struct rf_overlay *o)
{
	if (copy_below(o, 0, o->copy, NULL, o->gpa.size))
		rf_fatal("memory to be sealed went away");
}

static void mirror(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t size)
{
	copy_below(o, at, NULL, bytes, size);
}

void rf_overlay_write(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len)
{
	/* Other vCPUs may be fetching these bytes: the int3 protocol is made for that. */
	memcpy(o->copy + at, bytes, len);
	mirror(o, at, bytes, len);
	for (uint64_t p = at / RF_PAGE_SIZE; p <= (at + len - 1) / RF_PAGE_SIZE; p++)
		rf_mark(o->dirty, p);
	__atomic_fetch_add(&rf_board->counters[RF_COUNT_PATCHED_BYTES], len, __ATOMIC_RELAXED);
}

void rf_overlay_mirror(struct rf_overlay *o)
{
	mirror(o, 0, o->copy, o->gpa.size);
}

/* --- plain memory ------------------------------------------------------------------ */

static uint8_t *plain(uint64_t gpa, uint64_t len, struct rf_slot **slot)
{
	struct rf_slot *s = rf_slot_holding(&rf_guestmem, gpa, len);

	/* Overlays are whole pages, and nothing asked for here is larger. */
	if (!s || rf_overlay_at(&rf_guestmem, gpa) || rf_overlay_at(&rf_guestmem, gpa + len - 1))
		return NULL;
	*slot = s;
	return (uint8_t *)(uintptr_t)(s->hva + (gpa - s->gpa));
}

int rf_guestmem_read(uint64_t gpa, void *buf, uint64_t len)
{
	struct rf_slot *s;
	const uint8_t *at = len && len <= RF_PAGE_SIZE ? plain(gpa, len, &s) : NULL;

	if (!at)
		return -EFAULT;
	/* Words that other CPUs write meanwhile are read whole. */
	if (len == sizeof(uint32_t) && !(gpa % sizeof(uint32_t))) {
		uint32_t word =
			__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);

		memcpy(buf, &word, sizeof(word));
	} else {
		memcpy(buf, at, len);
	}
	return 0;
}

int rf_guestmem_swap(uint64_t gpa, uint64_t from, uint64_t to)
{
	struct rf_slot *s;
	uint8_t *at = gpa % sizeof(from) ? NULL : plain(gpa, sizeof(from), &s);

	if (!at)
		return -EINVAL;
	if (!__atomic_compare_exchange_n((uint64_t *)(void *)at, &from, to, false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST))
		return -EAGAIN;
	s->all_dirty = s->flags & KVM_MEM_LOG_DIRTY_PAGES; /* KVM did not see it */
	return 0;
}

bool rf_guestmem_write(uint64_t gpa, const void *bytes, uint64_t len)
{
	struct rf_slot *s;
	uint8_t *at;

	if (rf_overlay_at(&rf_guestmem, gpa))
		return false;
	at = plain(gpa, len, &s);
	if (at) {
		memcpy(at, bytes, len);
		s->all_dirty = s->flags & KVM_MEM_LOG_DIRTY_PAGES; /* KVM did not see it */
	}
	return true;
}

/* --- decoys -------------------------------------------------------------------------- */

static struct {
	const struct rf_trap_site *sites; /* ascending, apart from each other */
	uint32_t count;
} stand_ins;

void rf_guestmem_stand_ins(const struct rf_trap_site *sites, uint32_t count)
{
	stand_ins.sites = sites;
	stand_ins.count = count;
}

/* The first that ends behind gpa; looked for at each patch. */
static uint32_t stand_in_from(uint64_t gpa)
{
	uint32_t lo = 0, hi = stand_ins.count;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (stand_ins.sites[mid].gpa + stand_ins.sites[mid].len <= gpa)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool rf_guestmem_stands_in(uint64_t gpa, uint64_t len)
{
	uint32_t i = stand_in_from(gpa);

	return i < stand_ins.count && stand_ins.sites[i].gpa < gpa + len;
}

void rf_guestmem_show_own(uint64_t gpa, uint8_t *bytes, uint64_t len)
{
	for (uint32_t i = stand_in_from(gpa); i < stand_ins.count; i++) {
		const struct rf_trap_site *s = &stand_ins.sites[i];

		if (s->gpa >= gpa + len)
			return;
		for (uint32_t b = 0; b < s->len; b++)
			if (s->gpa + b >= gpa && s->gpa + b - gpa < len)
				bytes[s->gpa + b - gpa] = s->bytes[b];
	}
}

static void own_page(const struct rf_overlay *o, uint64_t at, uint8_t *page)
{
	memcpy(page, o->copy + at, RF_PAGE_SIZE);
	rf_guestmem_show_own(o->gpa.start + at, page, RF_PAGE_SIZE);
}

void rf_overlay_put_back(struct rf_overlay *o, uint64_t at, const uint8_t *bytes, uint64_t len)
{
	for (uint64_t i = 0; i < len; i++)
		if (!rf_guestmem_stands_in(o->gpa.start + at + i, 1))
			rf_overlay_write(o, at + i, bytes + i, 1);
}

static void note_heal(uint64_t gpa, const uint8_t *own, const uint8_t *foreign)
{
	struct rf_heals *h = &((struct rf_board_file *)rf_board)->heals;
	struct rf_heal *e = &h->entries[h->head % RF_HEALS];
	uint32_t first = 0, last = RF_PAGE_SIZE, len;

	while (own[first] == foreign[first])
		first++;
	while (own[last - 1] == foreign[last - 1])
		last--;
	len = last - first;
	*e = (struct rf_heal){ .gpa = gpa + first, .len = len };
	memcpy(e->own, own + first, len < sizeof(e->own) ? len : sizeof(e->own));
	memcpy(e->foreign, foreign + first, len < sizeof(e->foreign) ? len : sizeof(e->foreign));
	__atomic_store_n(&h->head, h->head + 1, __ATOMIC_RELEASE);
}

int rf_guestmem_below(const struct rf_overlay *o, uint64_t at, uint8_t *buf, uint64_t size)
{
	return rf_within(at, size, 0, o->gpa.size) ? copy_below(o, at, buf, NULL, size) : -EFAULT;
}

bool rf_guestmem_differs(const struct rf_overlay *o, uint64_t at, uint8_t *own, uint8_t *below)
{
	uint64_t gpa = o->gpa.start + at, len;
	const uint8_t *host = rf_slot_host(&rf_guestmem, gpa, RF_PAGE_SIZE, &len);

	if (!host || (!memcmp(o->copy + at, host, RF_PAGE_SIZE) &&
		      !rf_guestmem_stands_in(gpa, RF_PAGE_SIZE)))
		return false;
	own_page(o, at, own);
	memcpy(below, host, RF_PAGE_SIZE); /* a device may be writing: looked at once */
	return memcmp(own, below, RF_PAGE_SIZE);
}

static bool heal_page(struct rf_overlay *o, uint64_t at)
{
	uint8_t own[RF_PAGE_SIZE], foreign[RF_PAGE_SIZE];

	if (!rf_guestmem_differs(o, at, own, foreign))
		return false;
	mirror(o, at, own, RF_PAGE_SIZE);
	rf_mark(o->dirty, at / RF_PAGE_SIZE);
	note_heal(o->gpa.start + at, own, foreign);
	return true;
}

uint64_t rf_guestmem_heal(uint64_t gpa, uint64_t len)
{
	uint64_t healed = 0;

	RF_EACH_OVERLAY(&rf_guestmem, o) {
		for (uint64_t at = 0; o->kind == RF_OVERLAY_SEAL && at < o->gpa.size;
		     at += RF_PAGE_SIZE)
			if (!len || rf_overlaps(gpa, len, o->gpa.start + at, RF_PAGE_SIZE))
				healed += heal_page(o, at);
	}
	return healed;
}

void rf_guestmem_heals_taken(uint64_t taken)
{
	struct rf_heals *h = &((struct rf_board_file *)rf_board)->heals;

	if (taken > h->taken && taken <= h->head)
		__atomic_store_n(&h->taken, taken, __ATOMIC_RELEASE);
}

void rf_guestmem_heal_stopped(void)
{
	if (!rf_guestmem.nr_overlays)
		return;
	RF_LOCKED();
	RF_EACH_VCPU(v)
		if (atomic_load(&v->phase) == RF_IN)
			return;
	rf_guestmem_heal(0, 0);
}
