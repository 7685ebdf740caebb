// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/memslots.h"

#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "hv/base.h"

static int kvm_set(struct rf_memslots *m, uint32_t space, uint32_t id, uint32_t flags,
		   struct rf_range gpa, uint64_t hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = space << 16 | id,
		.flags = flags,
		.guest_phys_addr = gpa.start,
		.memory_size = gpa.size,
		.userspace_addr = hva,
	};

	return rf_kvm(m->vm_fd, KVM_SET_USER_MEMORY_REGION, &r);
}

static int take_id(struct rf_memslots *m, uint32_t space, uint32_t *id)
{
	for (uint32_t i = 0; i < RF_OWN_IDS; i++) {
		if (m->own_ids[space][i])
			continue;
		m->own_ids[space][i] = 1;
		*id = m->id_limit + i;
		return 0;
	}
	return -ENOSPC;
}

static void give_id(struct rf_memslots *m, uint32_t space, uint32_t id)
{
	if (id >= m->id_limit && id - m->id_limit < RF_OWN_IDS)
		m->own_ids[space][id - m->id_limit] = 0;
}

static int kvm_delete(struct rf_memslots *m, uint32_t space, uint32_t id, uint64_t gpa)
{
	int err = kvm_set(m, space, id, 0, (struct rf_range){ gpa, 0 }, 0);

	if (!err)
		give_id(m, space, id);
	return err;
}

struct rf_overlay *rf_overlay_at(struct rf_memslots *m, uint64_t gpa)
{
	RF_EACH_OVERLAY(m, o)
		if (rf_within(gpa, 1, o->gpa.start, o->gpa.size))
			return o;
	return NULL;
}

struct rf_slot *rf_slot_holding(struct rf_memslots *m, uint64_t gpa, uint64_t size)
{
	RF_EACH_SLOT(m, s)
		if (s->space == 0 && !(s->flags & KVM_MEM_READONLY) &&
		    rf_within(gpa, size, s->gpa, s->size))
			return s;
	return NULL;
}

uint8_t *rf_slot_host(struct rf_memslots *m, uint64_t gpa, uint64_t size, uint64_t *len)
{
	struct rf_slot *s = size ? rf_slot_holding(m, gpa, 1) : NULL;

	*len = size;
	if (!s) {
		RF_EACH_SLOT(m, next)
			if (next->gpa > gpa && next->gpa - gpa < *len)
				*len = next->gpa - gpa;
		return NULL;
	}
	if (*len > s->size - (gpa - s->gpa))
		*len = s->size - (gpa - s->gpa);
	return (uint8_t *)(uintptr_t)(s->hva + (gpa - s->gpa));
}

static bool slot_touches(const struct rf_slot *s, const struct rf_overlay *o, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (rf_overlaps(s->gpa, s->size, o[i].gpa.start, o[i].gpa.size))
			return true;
	return false;
}

/* --- pieces: what KVM has of one slot of the VMM -------------------------- */

static int pieces_delete(struct rf_memslots *m, struct rf_slot *s)
{
	for (uint32_t i = 0; i < s->nr_pieces; i++) {
		int err = kvm_delete(m, s->space, s->pieces[i].id, s->pieces[i].gpa.start);

		if (err)
			return err;
	}
	s->nr_pieces = 0;
	return 0;
}

/* Made, or, if it is there, given the slot's flags. */
static int piece_set(struct rf_memslots *m, const struct rf_slot *s, struct rf_piece p)
{
	return kvm_set(m, s->space, p.id, s->flags, p.gpa, s->hva + (p.gpa.start - s->gpa));
}

/* Whether a watched page's stores are logged is for the slot below it to say; a sealed one never
 * becomes dirty by the guest. */
static int watch_follows(struct rf_memslots *m, const struct rf_slot *s)
{
	int err = 0;

	RF_EACH_OVERLAY(m, o)
		if (!err && o->kind == RF_OVERLAY_WATCH && o->ids[s->space] != UINT32_MAX &&
		    rf_within(o->gpa.start, o->gpa.size, s->gpa, s->size))
			err = kvm_set(m, s->space, o->ids[s->space],
				      s->flags & KVM_MEM_LOG_DIRTY_PAGES, o->gpa,
				      (uint64_t)(uintptr_t)o->copy);
	return err;
}

static int pieces_create(struct rf_memslots *m, struct rf_slot *s)
{
	struct rf_range cuts[RF_MAX_OVERLAYS], parts[RF_MAX_PIECES];
	int n, err = 0;

	for (size_t i = 0; i < m->nr_overlays; i++)
		cuts[i] = m->overlays[i].gpa;
	n = rf_split((struct rf_range){ s->gpa, s->size }, cuts, m->nr_overlays, parts,
		     RF_MAX_PIECES);
	if (n < 0)
		return n;
	for (int i = 0; !err && i < n; i++) {
		struct rf_piece p = { s->id, parts[i] }; /* the first keeps the VMM's own id */

		err = i ? take_id(m, s->space, &p.id) : 0;
		if (err)
			return err;
		err = piece_set(m, s, p);
		if (err)
			give_id(m, s->space, p.id);
		else
			s->pieces[s->nr_pieces++] = p;
	}
	return err ? err : watch_follows(m, s);
}

/* Only the flags differ: legal on live slots, no gate. */
static int set_flags(struct rf_memslots *m, struct rf_slot *s, uint32_t flags)
{
	uint32_t before = s->flags;
	int err = 0;

	s->flags = flags;
	for (uint32_t i = 0; !err && i < s->nr_pieces; i++)
		err = piece_set(m, s, s->pieces[i]);
	if (err) {
		s->flags = before;
		return err;
	}
	if (!(flags & KVM_MEM_LOG_DIRTY_PAGES))
		s->all_dirty = false;
	return watch_follows(m, s);
}

/* --- overlays ------------------------------------------------------------- */

static int overlay_install(struct rf_memslots *m, struct rf_overlay *o)
{
	uint32_t flags = o->kind == RF_OVERLAY_SEAL ? KVM_MEM_READONLY : 0;
	int err = 0;

	for (uint32_t space = 0; !err && space < RF_SPACES; space++) {
		if (o->ids[space] != UINT32_MAX || !m->space_used[space])
			continue;
		err = take_id(m, space, &o->ids[space]);
		if (err)
			return err;
		err = kvm_set(m, space, o->ids[space], flags, o->gpa, (uint64_t)(uintptr_t)o->copy);
		if (err) {
			give_id(m, space, o->ids[space]);
			o->ids[space] = UINT32_MAX;
		}
	}
	return err;
}

static int overlay_remove(struct rf_memslots *m, struct rf_overlay *o)
{
	for (uint32_t space = 0; space < RF_SPACES; space++) {
		int err = o->ids[space] == UINT32_MAX
				  ? 0
				  : kvm_delete(m, space, o->ids[space], o->gpa.start);

		if (err)
			return err;
		o->ids[space] = UINT32_MAX;
	}
	if (o->map)
		rf_munmap(o->map, o->map_size);
	return 0;
}

int rf_memslots_overlay(struct rf_memslots *m, const struct rf_overlay *next, size_t n)
{
	struct rf_slot *touched[RF_MAX_SLOTS];
	size_t nr_touched = 0;
	int err = 0;

	if (n > RF_MAX_OVERLAYS)
		return -ENOSPC;
	RF_EACH_SLOT(m, s)
		if (slot_touches(s, m->overlays, m->nr_overlays) || slot_touches(s, next, n))
			touched[nr_touched++] = s;
	for (size_t i = 0; i < nr_touched && !err; i++)
		err = pieces_delete(m, touched[i]);
	for (size_t i = 0; i < m->nr_overlays && !err; i++)
		err = overlay_remove(m, &m->overlays[i]);
	if (err)
		return err;
	if (n)
		memcpy(m->overlays, next, n * sizeof(*next));
	m->nr_overlays = n;
	for (size_t i = 0; i < n && !err; i++)
		err = overlay_install(m, &m->overlays[i]);
	for (size_t i = 0; i < nr_touched && !err; i++) {
		err = pieces_create(m, touched[i]);
		/* The bitmaps went with the old pieces. */
		touched[i]->all_dirty = touched[i]->flags & KVM_MEM_LOG_DIRTY_PAGES;
	}
	return err;
}

/* --- the VMM's own changes ------------------------------------------------ */

struct rf_slot *rf_slot_of(struct rf_memslots *m, uint16_t space, uint32_t id)
{
	RF_EACH_SLOT(m, s)
		if (s->space == space && s->id == id)
			return s;
	return NULL;
}

static struct rf_slot *find_free(struct rf_memslots *m)
{
	for (size_t i = 0; i < RF_MAX_SLOTS; i++) {
		if (m->slots[i].used)
			continue;
		if (i >= m->nr_slots)
			m->nr_slots = i + 1;
		return &m->slots[i];
	}
	return NULL;
}

/*
 * What KVM itself would answer (kvm_main.c __kvm_set_memory_region()): a slot that is cut, or lies
 * under an overlay, does not reach it as the VMM asked for it.
 */
static int check_request(struct rf_memslots *m, const struct rf_slot *old,
			 const struct rf_slot *next)
{
	if (next->flags & ~(uint32_t)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if ((next->gpa | next->size | next->hva) % RF_PAGE_SIZE ||
	    next->gpa + next->size < next->gpa)
		return -EINVAL;
	if (!next->size)
		return old ? 0 : -EINVAL;
	if (old && (old->size != next->size || old->hva != next->hva ||
		    (old->flags ^ next->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	RF_EACH_SLOT(m, s)
		if (s != old && s->space == next->space &&
		    rf_overlaps(s->gpa, s->size, next->gpa, next->size))
			return -EEXIST;
	return 0;
}

/* KVM has the slot as the VMM made it. */
static bool is_whole(const struct rf_slot *s)
{
	return s->nr_pieces == 1 && s->pieces[0].id == s->id && s->pieces[0].gpa.start == s->gpa &&
	       s->pieces[0].gpa.size == s->size;
}

int rf_memslots_set(struct rf_memslots *m, const struct kvm_userspace_memory_region *r, bool gated)
{
	uint16_t space = (uint16_t)(r->slot >> 16);
	struct rf_slot *s, *room;
	struct rf_slot next = {
		.used = true,
		.space = space,
		.id = r->slot & 0xffff,
		.flags = r->flags,
		.gpa = r->guest_phys_addr,
		.size = r->memory_size,
		.hva = r->userspace_addr,
	};
	bool split, first;
	int err;

	if (space >= RF_SPACES || next.id >= m->id_limit)
		return -EINVAL;
	s = rf_slot_of(m, space, next.id);
	err = check_request(m, s, &next);
	if (err)
		return err;
	if (s && next.size && s->gpa == next.gpa) /* only the flags differ: legal on live slots */
		return set_flags(m, s, next.flags);
	room = s ? s : find_free(m);
	if (!room)
		return -ENOSPC;
	split = slot_touches(&next, m->overlays, m->nr_overlays) || (s && !is_whole(s)) ||
		(m->nr_overlays && !m->space_used[space]);
	if (split && !gated)
		return -EAGAIN;
	if (s) {
		/* It moves: what was dirty goes with its pieces. */
		next.all_dirty = next.flags & KVM_MEM_LOG_DIRTY_PAGES;
		err = pieces_delete(m, s);
		if (err)
			return err;
		s->used = false;
	}
	if (!next.size)
		return 0;
	*room = next;
	first = !m->space_used[space];
	m->space_used[space] = true;
	for (size_t i = 0; !err && i < m->nr_overlays; i++)
		err = overlay_install(m, &m->overlays[i]);
	if (!err)
		err = pieces_create(m, room);
	if (err) {
		/* As the VMM would see it without us: the slot was not made. */
		if (pieces_delete(m, room))
			rf_fatal("a memory slot could be neither made nor removed");
		room->used = false;
		m->space_used[space] = !first;
	}
	return err;
}

/* --- dirty log ------------------------------------------------------------ */

static uint64_t words(uint64_t bytes)
{
	return (bytes / RF_PAGE_SIZE + 63) / 64;
}

/* The VMM's bitmap is little-endian words, as KVM's. */
static int merge_kvm_log(struct rf_memslots *m, const struct rf_slot *s, uint32_t id,
			 struct rf_range gpa, uint64_t *out)
{
	struct kvm_dirty_log log = { .slot = (uint32_t)s->space << 16 | id };
	uint64_t *part = calloc(words(gpa.size), sizeof(*part));
	int err;

	if (!part)
		return -ENOMEM;
	log.dirty_bitmap = part;
	err = rf_kvm(m->vm_fd, KVM_GET_DIRTY_LOG, &log);
	for (uint64_t p = 0; !err && p < gpa.size / RF_PAGE_SIZE; p++)
		if (part[p / 64] >> (p % 64) & 1)
			rf_mark(out, (gpa.start - s->gpa) / RF_PAGE_SIZE + p);
	free(part);
	return err;
}

/* What was patched of the overlay, where it lies in the slot; told once. */
static void move_bits(uint64_t *out, const struct rf_slot *s, struct rf_overlay *o)
{
	for (uint64_t p = 0; p < o->gpa.size / RF_PAGE_SIZE; p++) {
		uint64_t bit = UINT64_C(1) << (p % 64), gpa = o->gpa.start + p * RF_PAGE_SIZE;

		if (!(o->dirty[p / 64] & bit) || !rf_within(gpa, RF_PAGE_SIZE, s->gpa, s->size))
			continue;
		o->dirty[p / 64] &= ~bit;
		rf_mark(out, (gpa - s->gpa) / RF_PAGE_SIZE);
	}
}

static int merge_logs(struct rf_memslots *m, struct rf_slot *s, uint64_t *out)
{
	int err = 0;

	for (uint32_t i = 0; !err && i < s->nr_pieces; i++)
		err = merge_kvm_log(m, s, s->pieces[i].id, s->pieces[i].gpa, out);
	RF_EACH_OVERLAY(m, o) {
		if (err || !slot_touches(s, o, 1))
			continue;
		if (o->kind == RF_OVERLAY_WATCH)
			err = merge_kvm_log(m, s, o->ids[s->space], o->gpa, out);
		if (!err)
			move_bits(out, s, o);
	}
	return err;
}

int rf_memslots_dirty_log(struct rf_memslots *m, const struct kvm_dirty_log *log)
{
	struct rf_slot *s = rf_slot_of(m, (uint16_t)(log->slot >> 16), log->slot & 0xffff);
	uint64_t *out = log->dirty_bitmap;
	int err;

	if (!s || (!s->all_dirty && is_whole(s)))
		return rf_kvm(m->vm_fd, KVM_GET_DIRTY_LOG, (void *)(uintptr_t)log);
	if (!(s->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return -ENOENT;
	memset(out, 0, words(s->size) * sizeof(*out));
	err = merge_logs(m, s, out);
	if (err) {
		s->all_dirty = true; /* what was taken out of KVM is told next time */
		return err;
	}
	for (uint64_t p = 0; s->all_dirty && p < s->size / RF_PAGE_SIZE; p++)
		rf_mark(out, p);
	s->all_dirty = false;
	return 0;
}
