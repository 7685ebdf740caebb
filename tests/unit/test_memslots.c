// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The slots as KVM would have them: a model of KVM's rules stands in for the kernel, and a second one for the KVM a VMM
 * without the fence would have. After every operation both must answer the same, and memory must be what
 * hv/memslots.h promises.
 */
#include <errno.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "hv/base.h"
#include "hv/memslots.h"

#define PAGES 96	      /* of guest-physical space in play */
#define LIMIT 64	      /* ids below it are the VMM's */
#define SLOTS (LIMIT + RF_OWN_IDS)
#define HOST UINT64_C(0x7f0000000000)
#define P(n) ((uint64_t)(n) * RF_PAGE_SIZE)

struct fake_slot {
	uint32_t flags;
	uint64_t gpa, size, hva;
	uint8_t dirty[PAGES];
};

struct fake_kvm {
	struct fake_slot slots[RF_SPACES][SLOTS];
};

enum { FENCED = 100, NATIVE = 101 }; /* file descriptors */

static struct fake_kvm fenced, native;
static int fail_after = -1; /* that many calls go well, then one fails; -1: none does */

/* virt/kvm/kvm_main.c __kvm_set_memory_region() of 6.1, line by line. */
static int fake_set(struct fake_kvm *k, const struct kvm_userspace_memory_region *r)
{
	uint32_t space = r->slot >> 16, id = r->slot & 0xffff;
	struct fake_slot *s;

	if (r->flags & ~(uint32_t)(KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY))
		return -EINVAL;
	if (r->memory_size % RF_PAGE_SIZE || r->guest_phys_addr % RF_PAGE_SIZE ||
	    r->userspace_addr % RF_PAGE_SIZE)
		return -EINVAL;
	if (space >= RF_SPACES || id >= SLOTS)
		return -EINVAL;
	if (r->guest_phys_addr + r->memory_size < r->guest_phys_addr)
		return -EINVAL;
	s = &k->slots[space][id];
	if (!r->memory_size) {
		if (!s->size)
			return -EINVAL;
		*s = (struct fake_slot){ 0 };
		return 0;
	}
	if (s->size) {
		if (s->hva != r->userspace_addr || s->size != r->memory_size ||
		    (s->flags ^ r->flags) & KVM_MEM_READONLY)
			return -EINVAL;
		if (s->gpa == r->guest_phys_addr && s->flags == r->flags)
			return 0;
	}
	if (!s->size || s->gpa != r->guest_phys_addr)
		for (uint32_t i = 0; i < SLOTS; i++)
			if (i != id && rf_overlaps(k->slots[space][i].gpa, k->slots[space][i].size,
						   r->guest_phys_addr, r->memory_size))
				return -EEXIST;
	if (!(r->flags & KVM_MEM_LOG_DIRTY_PAGES) || !(s->flags & KVM_MEM_LOG_DIRTY_PAGES) || !s->size)
		memset(s->dirty, 0, sizeof(s->dirty));
	s->flags = r->flags;
	s->gpa = r->guest_phys_addr;
	s->size = r->memory_size;
	s->hva = r->userspace_addr;
	return 0;
}

static int fake_log(struct fake_kvm *k, const struct kvm_dirty_log *log)
{
	uint32_t space = log->slot >> 16, id = log->slot & 0xffff;
	uint64_t *bits = log->dirty_bitmap;
	struct fake_slot *s;

	if (space >= RF_SPACES || id >= SLOTS)
		return -EINVAL;
	s = &k->slots[space][id];
	if (!s->size || !(s->flags & KVM_MEM_LOG_DIRTY_PAGES))
		return -ENOENT;
	memset(bits, 0, (s->size / RF_PAGE_SIZE + 63) / 64 * 8);
	for (uint64_t p = 0; p < s->size / RF_PAGE_SIZE; p++)
		if (s->dirty[p])
			bits[p / 64] |= UINT64_C(1) << (p % 64);
	memset(s->dirty, 0, sizeof(s->dirty));
	return 0;
}

/* hv/base.h rf_kvm() ends here. */
long syscall(long number, ...)
{
	va_list ap;
	int fd, err;
	unsigned long request, fd_or_at;
	void *arg;

	va_start(ap, number);
	fd_or_at = va_arg(ap, unsigned long);
	request = va_arg(ap, unsigned long);
	arg = va_arg(ap, void *);
	va_end(ap);
	fd = (int)fd_or_at;
	if (number == SYS_munmap)
		return munmap((void *)(uintptr_t)fd_or_at, request);
	assert_int_equal(number, SYS_ioctl);
	if (fail_after == 0)
		err = -ENOMEM;
	else if (request == KVM_SET_USER_MEMORY_REGION)
		err = fake_set(fd == FENCED ? &fenced : &native, arg);
	else
		err = fake_log(fd == FENCED ? &fenced : &native, arg);
	if (fail_after >= 0)
		fail_after--;
	if (!err)
		return 0;
	errno = -err;
	return -1;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

/* --- the machine under test --------------------------------------------------------------------- */

static struct rf_memslots m;

static void fresh(void)
{
	if (m.nr_overlays)
		assert_int_equal(rf_memslots_overlay(&m, NULL, 0), 0);
	memset(&m, 0, sizeof(m));
	memset(&fenced, 0, sizeof(fenced));
	memset(&native, 0, sizeof(native));
	m.vm_fd = FENCED;
	m.id_limit = LIMIT;
	fail_after = -1;
}

static struct kvm_userspace_memory_region region(uint32_t slot, uint32_t flags, uint64_t page,
						 uint64_t pages, uint64_t hva)
{
	return (struct kvm_userspace_memory_region){ slot, flags, P(page), P(pages), hva };
}

/* As fence.c does it; the same of the KVM without a fence, which must agree. */
static int set(struct kvm_userspace_memory_region r)
{
	int err = rf_memslots_set(&m, &r, false);

	if (err == -EAGAIN)
		err = rf_memslots_set(&m, &r, true);
	assert_int_equal(err, fake_set(&native, &r));
	return err;
}

static struct rf_overlay overlay(enum rf_overlay_kind kind, uint64_t page, uint64_t pages)
{
	size_t size = P(pages) + RF_PAGE_SIZE;
	uint8_t *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	return (struct rf_overlay){ .kind = kind, .gpa = { P(page), P(pages) }, .copy = map, .map = map,
				    .map_size = size, .dirty = (uint64_t *)(void *)(map + P(pages)),
				    .ids = { UINT32_MAX, UINT32_MAX } };
}

/* The one slot of k that holds a page, NULL when none does; two are an error. */
static struct fake_slot *holder(struct fake_kvm *k, uint32_t space, uint64_t page)
{
	struct fake_slot *found = NULL;

	for (uint32_t i = 0; i < SLOTS; i++) {
		struct fake_slot *s = &k->slots[space][i];

		if (!s->size || P(page) < s->gpa || P(page) - s->gpa >= s->size)
			continue;
		assert_null(found);
		found = s;
	}
	return found;
}

static uint64_t backing(const struct fake_slot *s, uint64_t page)
{
	return s ? s->hva + (P(page) - s->gpa) : 0;
}

/* The VMM's memory below an overlay, where one slot holds it all. */
static uint8_t *below(const struct rf_overlay *o)
{
	uint64_t len;
	uint8_t *at = rf_slot_host(&m, o->gpa.start, o->gpa.size, &len);

	return at && len == o->gpa.size ? at : NULL;
}

/* Every promise of hv/memslots.h, for every page. */
static void check(void)
{
	for (uint32_t space = 0; space < RF_SPACES; space++) {
		for (uint32_t i = 0; i < LIMIT; i++)
			if (fenced.slots[space][i].size)
				assert_true(native.slots[space][i].size); /* a VMM's id is a VMM's slot */
		for (uint64_t p = 0; p < PAGES; p++) {
			struct fake_slot *have = holder(&fenced, space, p);
			struct fake_slot *want = holder(&native, space, p);
			struct rf_overlay *o = rf_overlay_at(&m, P(p));

			if (o && m.space_used[space]) {
				assert_non_null(have);
				assert_int_equal(backing(have, p),
						 (uint64_t)(uintptr_t)o->copy + (P(p) - o->gpa.start));
				assert_int_equal(have->flags & KVM_MEM_READONLY,
						 o->kind == RF_OVERLAY_SEAL ? KVM_MEM_READONLY : 0);
				if (o->kind == RF_OVERLAY_WATCH && want &&
				    rf_within(o->gpa.start, o->gpa.size, want->gpa, want->size))
					assert_int_equal(have->flags,
							 want->flags & KVM_MEM_LOG_DIRTY_PAGES);
				continue;
			}
			assert_int_equal(backing(have, p), backing(want, p));
			if (have)
				assert_int_equal(have->flags, want->flags);
		}
	}
	for (size_t i = 0; i < m.nr_overlays; i++) {
		struct rf_overlay *o = &m.overlays[i];
		struct fake_slot *s = holder(&native, 0, o->gpa.start / RF_PAGE_SIZE);
		bool whole = s && !(s->flags & KVM_MEM_READONLY) &&
			     rf_within(o->gpa.start, o->gpa.size, s->gpa, s->size);

		/* Never memory that the VMM has taken away. */
		assert_int_equal((uint64_t)(uintptr_t)below(o),
				 whole ? backing(s, o->gpa.start / RF_PAGE_SIZE) : 0);
	}
}

static void put(const struct rf_overlay *next, size_t n)
{
	assert_int_equal(rf_memslots_overlay(&m, next, n), 0);
	check();
}

/* --- dirty log ------------------------------------------------------------------------------------ */

/* A store of the guest: into both KVMs; into a sealed page as an allowed patch. */
static void guest_writes(uint32_t space, uint64_t page)
{
	struct fake_slot *n = holder(&native, space, page), *f = holder(&fenced, space, page);
	struct rf_overlay *o = rf_overlay_at(&m, P(page));

	if (!n || n->flags & KVM_MEM_READONLY)
		return;
	if (n->flags & KVM_MEM_LOG_DIRTY_PAGES)
		n->dirty[page - n->gpa / RF_PAGE_SIZE] = 1;
	if (o && o->kind == RF_OVERLAY_SEAL) {
		uint64_t at = page - o->gpa.start / RF_PAGE_SIZE;

		o->dirty[at / 64] |= UINT64_C(1) << (at % 64);
	} else if (f->flags & KVM_MEM_LOG_DIRTY_PAGES) {
		f->dirty[page - f->gpa / RF_PAGE_SIZE] = 1;
	}
}

/* The VMM asks: nothing dirty may be missing; more only where `exact` is not asked for. */
static void compare_logs(uint32_t slot, bool exact)
{
	uint64_t have[2] = { ~UINT64_C(0), ~UINT64_C(0) }, want[2] = { 0, 0 };
	struct kvm_dirty_log a = { .slot = slot, .dirty_bitmap = have };
	struct kvm_dirty_log b = { .slot = slot, .dirty_bitmap = want };
	int err = fake_log(&native, &b);

	assert_int_equal(rf_memslots_dirty_log(&m, &a), err);
	if (err)
		return;
	for (uint64_t p = 0; p < native.slots[slot >> 16][slot & 0xffff].size / RF_PAGE_SIZE; p++) {
		bool h = have[p / 64] >> (p % 64) & 1, w = want[p / 64] >> (p % 64) & 1;

		if (w != h && (exact || w))
			fail_msg("slot %#x page %d: %s", slot, (int)p, w ? "lost" : "never written");
	}
}

/* --- tests ----------------------------------------------------------------------------------------- */

#define LOG KVM_MEM_LOG_DIRTY_PAGES

static void plain_slots_pass(void **state)
{
	fresh();
	assert_int_equal(set(region(0, 0, 0, 16, HOST)), 0);
	assert_int_equal(set(region(1, KVM_MEM_READONLY, 16, 4, HOST + P(100))), 0);
	assert_int_equal(set(region(2, 0, 8, 4, HOST)), -EEXIST);
	assert_int_equal(set(region(0, 0, 0, 17, HOST)), -EINVAL);
	assert_int_equal(set(region(0, KVM_MEM_READONLY, 0, 16, HOST)), -EINVAL);
	assert_int_equal(set(region(0, 1u << 31, 0, 16, HOST)), -EINVAL);
	assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0);
	assert_int_equal(set(region(0, 0, 32, 16, HOST)), 0); /* moved */
	assert_int_equal(set(region(9, 0, 0, 0, 0)), -EINVAL);
	assert_int_equal(set(region(0, 0, 0, 0, 0)), 0);
	check();
}

static void our_ids_are_not_the_vmms(void **state)
{
	struct kvm_userspace_memory_region r = region(LIMIT, 0, 0, 1, HOST);

	fresh();
	assert_int_equal(rf_memslots_set(&m, &r, true), -EINVAL);
	r.slot = 2 << 16;
	assert_int_equal(rf_memslots_set(&m, &r, true), -EINVAL);
	assert_int_equal(set(region(LIMIT - 1, 0, 0, 1, HOST)), 0);
}

/* Head, middle, tail and whole: the slot can be deleted, made again, moved, and logged each time. */
static void overlays_cut_and_stay(void **state)
{
	static const struct rf_range places[] = { { 0, 4 }, { 6, 4 }, { 12, 4 }, { 0, 16 } };

	for (size_t i = 0; i < 4; i++) {
		struct rf_overlay o;

		fresh();
		o = overlay(RF_OVERLAY_SEAL, places[i].start, places[i].size);
		assert_int_equal(set(region(0, 0, 0, 16, HOST)), 0);
		put(&o, 1);
		assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0);
		check();
		assert_int_equal(set(region(0, LOG, 0, 20, HOST)), -EINVAL);
		assert_int_equal(set(region(0, LOG, 0, 16, HOST + P(1))), -EINVAL);
		assert_int_equal(set(region(0, LOG | KVM_MEM_READONLY, 0, 16, HOST)), -EINVAL);
		check();
		assert_int_equal(set(region(1, 0, places[i].start, 1, HOST + P(64))), -EEXIST);
		assert_int_equal(set(region(0, LOG, 40, 16, HOST)), 0); /* from under it */
		check();
		assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0); /* and back */
		check();
		assert_int_equal(set(region(0, 0, 0, 0, 0)), 0);
		check();
		assert_int_equal(set(region(0, 0, 0, 0, 0)), -EINVAL);
		assert_int_equal(set(region(5, 0, 0, 16, HOST + P(200))), 0);
		check();
		put(NULL, 0); /* reset */
	}
}

static void other_address_space(void **state)
{
	struct rf_overlay o;

	fresh();
	o = overlay(RF_OVERLAY_SEAL, 4, 4);
	assert_int_equal(set(region(0, 0, 0, 16, HOST)), 0);
	put(&o, 1);
	/* SMM comes to life after the seal. */
	assert_int_equal(set(region(1 << 16, 0, 40, 4, HOST + P(40))), 0);
	check();
	assert_int_equal(set(region(1 << 16 | 1, 0, 0, 16, HOST)), 0);
	check();
	assert_int_equal(set(region(1 << 16, 0, 0, 0, 0)), 0);
	check();
}

static void more_than_can_be(void **state)
{
	struct rf_overlay many[RF_MAX_OVERLAYS + 1];

	fresh();
	assert_int_equal(set(region(0, 0, 0, PAGES, HOST)), 0);
	assert_int_equal(rf_memslots_overlay(&m, many, RF_MAX_OVERLAYS + 1), -ENOSPC);
	check();
	for (size_t i = 0; i < RF_MAX_OVERLAYS; i++)
		many[i] = overlay(i ? RF_OVERLAY_SEAL : RF_OVERLAY_WATCH, 1 + i * 5, 2);
	put(many, RF_MAX_OVERLAYS);
	assert_int_equal(m.slots[0].nr_pieces, RF_MAX_PIECES);
	assert_int_equal(set(region(0, 0, 0, 0, 0)), 0);
	check();
	assert_int_equal(set(region(0, 0, 0, PAGES, HOST)), 0);
	check();
}

static void dirty_pages_are_merged(void **state)
{
	struct rf_overlay o[2];

	fresh();
	o[0] = overlay(RF_OVERLAY_WATCH, 3, 1);
	o[1] = overlay(RF_OVERLAY_SEAL, 60, 10);
	assert_int_equal(set(region(0, LOG, 1, 80, HOST)), 0);
	put(o, 2);
	compare_logs(0, false);
	guest_writes(0, 1);
	guest_writes(0, 3);
	guest_writes(0, 59);
	guest_writes(0, 60);
	guest_writes(0, 66);
	guest_writes(0, 80);
	compare_logs(0, true);
	compare_logs(0, true); /* told once */
	assert_int_equal(set(region(0, 0, 1, 80, HOST)), 0);
	compare_logs(0, true); /* both say ENOENT */
}

/* A seal in the middle of a migration: what was dirty before is still told. */
static void sealing_loses_no_dirty_page(void **state)
{
	struct rf_overlay o;

	fresh();
	o = overlay(RF_OVERLAY_SEAL, 6, 4);
	assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0);
	guest_writes(0, 2);
	guest_writes(0, 7);
	put(&o, 1);
	guest_writes(0, 12);
	compare_logs(0, false);
	guest_writes(0, 8);
	guest_writes(0, 1);
	put(NULL, 0); /* and a reset */
	compare_logs(0, false);
	guest_writes(0, 3);
	compare_logs(0, true);
}

/* What one piece's log has told is gone from KVM when the next one's fails: all is told then. */
static void a_log_that_fails_loses_nothing(void **state)
{
	uint64_t bits[2];
	struct kvm_dirty_log log = { .slot = 0, .dirty_bitmap = bits };
	struct rf_overlay o;

	for (int good = 0; good < 2; good++) {
		fresh();
		o = overlay(RF_OVERLAY_SEAL, 6, 4);
		assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0);
		put(&o, 1);
		compare_logs(0, false); /* of the cut itself */
		guest_writes(0, 2);
		guest_writes(0, 12);
		fail_after = good;
		assert_int_equal(rf_memslots_dirty_log(&m, &log), -ENOMEM);
		assert_int_equal(fail_after, -1);
		compare_logs(0, false);
		guest_writes(0, 3);
		compare_logs(0, true);
	}
}

static void kvm_refuses(void **state)
{
	struct kvm_userspace_memory_region r = region(1, 0, 0, 16, HOST);
	struct rf_overlay o;

	fresh();
	o = overlay(RF_OVERLAY_SEAL, 4, 4);
	assert_int_equal(set(region(0, 0, 0, 16, HOST)), 0);
	put(&o, 1);
	assert_int_equal(set(region(0, 0, 0, 0, 0)), 0);
	fail_after = 1; /* the first piece is made, the second is not */
	assert_int_equal(rf_memslots_set(&m, &r, true), -ENOMEM);
	assert_int_equal(fail_after, -1);
	check();
	assert_int_equal(set(r), 0);
	check();
	/* Other flags: made anew, it has those of before. */
	r = region(1, LOG, 0, 16, HOST);
	fail_after = 0;
	assert_int_equal(rf_memslots_set(&m, &r, false), -ENOMEM);
	assert_int_equal(fail_after, -1);
	put(NULL, 0);
	o = overlay(RF_OVERLAY_SEAL, 4, 4);
	put(&o, 1);
	/* The overlay of an address space that gets its first slot, then the slot itself. */
	r = region(1u << 16 | 2, 0, 32, 16, HOST);
	for (int good = 0; good < 2; good++) {
		fail_after = good;
		assert_int_equal(rf_memslots_set(&m, &r, true), -ENOMEM);
		assert_int_equal(fail_after, -1);
		assert_false(m.space_used[1]);
	}
	assert_int_equal(rf_memslots_set(&m, &r, false), -EAGAIN);
	assert_int_equal(set(r), 0);
	assert_int_not_equal(m.overlays[0].ids[1], UINT32_MAX);
	check();
}

/* A guest's RAM may be several slots side by side. */
static bool is_ram(uint64_t page, uint64_t pages)
{
	for (uint64_t p = page; p < page + pages; p++)
		if (!rf_slot_holding(&m, P(p), P(1)))
			return false;
	return true;
}

static void an_overlay_over_two_slots(void **state)
{
	struct rf_overlay o;
	uint64_t len;

	fresh();
	assert_int_equal(set(region(3, LOG, 0, 10, HOST)), 0);
	assert_int_equal(set(region(4, LOG, 10, 10, HOST + P(50))), 0);
	assert_ptr_equal(rf_slot_host(&m, P(8), P(6), &len), HOST + P(8));
	assert_int_equal(len, P(2));
	assert_ptr_equal(rf_slot_host(&m, P(10), P(4), &len), HOST + P(50));
	assert_int_equal(len, P(4));
	assert_null(rf_slot_host(&m, P(20), P(1), &len));
	assert_null(rf_slot_host(&m, P(8), 0, &len));
	/* A hole ends where the nearest slot begins, or with what was asked for. */
	assert_int_equal(set(region(5, 0, 24, 2, HOST + P(90))), 0);
	assert_int_equal(set(region(6, 0, 40, 4, HOST + P(95))), 0);
	assert_null(rf_slot_host(&m, P(21), P(30), &len));
	assert_int_equal(len, P(3));
	assert_null(rf_slot_host(&m, P(21), P(2), &len));
	assert_int_equal(len, P(2));
	assert_int_equal(set(region(5, 0, 0, 0, 0)), 0);
	assert_int_equal(set(region(6, 0, 0, 0, 0)), 0);
	o = overlay(RF_OVERLAY_SEAL, 8, 6);
	put(&o, 1);
	assert_null(below(&m.overlays[0]));
	compare_logs(3, false);
	compare_logs(4, false);
	guest_writes(0, 8);
	guest_writes(0, 10);
	guest_writes(0, 13);
	guest_writes(0, 2);
	compare_logs(3, true);
	compare_logs(4, true); /* not gone with the other slot's */
	guest_writes(0, 9);
	guest_writes(0, 11);
	compare_logs(4, true);
	compare_logs(3, true);
	/* One of them goes and comes: the other is as it was. */
	assert_int_equal(set(region(4, 0, 0, 0, 0)), 0);
	check();
	guest_writes(0, 9);
	compare_logs(3, true);
	assert_int_equal(set(region(4, LOG, 10, 10, HOST + P(70))), 0);
	check();
	assert_null(below(&m.overlays[0]));
	/* One slot for it all. */
	assert_int_equal(set(region(3, 0, 0, 0, 0)), 0);
	assert_int_equal(set(region(4, 0, 0, 0, 0)), 0);
	assert_int_equal(set(region(3, LOG, 0, 20, HOST)), 0);
	check();
	assert_ptr_equal(below(&m.overlays[0]), HOST + P(8));
}

/* Slot ids of the fence's own are few: none is lost, whatever comes and goes. */
static void ids_are_given_back(void **state)
{
	for (int round = 0; round < RF_OWN_IDS + 2; round++) {
		struct rf_overlay o[2];

		if (!round)
			fresh();
		o[0] = overlay(RF_OVERLAY_WATCH, 3, 1);
		o[1] = overlay(RF_OVERLAY_SEAL, 6, 4);
		if (!round) {
			assert_int_equal(set(region(0, 0, 0, 16, HOST)), 0);
			assert_int_equal(set(region(1 << 16, 0, 0, 16, HOST)), 0);
		}
		put(o, 2);
		assert_int_equal(set(region(0, 0, 0, 0, 0)), 0);
		assert_int_equal(set(region(0, LOG, 0, 16, HOST)), 0);
		put(NULL, 0);
		for (uint32_t space = 0; space < RF_SPACES; space++)
			for (uint32_t i = 0; i < RF_OWN_IDS; i++)
				assert_int_equal(m.own_ids[space][i], 0);
	}
}

/* Anything a VMM and a monitor may do, in any order. */
static void random_operations(void **state)
{
	for (unsigned seed = 1; seed <= 60; seed++) {
		srandom(seed);
		fresh();
		for (int step = 0; step < 300; step++) {
			uint32_t slot = (uint32_t)random() % 6;
			uint64_t page = (uint64_t)random() % 64, pages = (uint64_t)random() % 32;
			uint32_t flags = random() % 3 ? 0 : random() % 2 ? LOG : KVM_MEM_READONLY;
			struct rf_overlay next[RF_MAX_OVERLAYS];
			struct fake_slot *s;
			size_t n = 0;

			if (random() % 5 == 0)
				slot |= 1 << 16;
			s = &native.slots[slot >> 16][slot & 0xffff];
			switch (random() % 12) {
			case 0 ... 3:
				set(region(slot, flags, page, pages, HOST + P(1000 * (slot & 0xf))));
				break;
			case 4 ... 5: /* only the flags, or only the place */
				set(region(slot, random() % 2 ? flags : s->flags,
					   random() % 2 ? page : s->gpa / RF_PAGE_SIZE,
					   s->size / RF_PAGE_SIZE, s->hva));
				break;
			case 6:
				set(region(slot, 0, 0, 0, 0));
				break;
			case 7: /* overlays, as a seal or a watch would put them */
				for (uint64_t at = 0; n < 4;) {
					uint64_t from = at + (uint64_t)random() % 12;
					uint64_t size = 1 + (uint64_t)random() % 6;

					if (from + size > PAGES)
						break;
					if (random() % 4 == 0 && rf_slot_holding(&m, P(from), P(1)))
						next[n++] = overlay(RF_OVERLAY_WATCH, from, 1);
					else if (is_ram(from, size))
						next[n++] = overlay(RF_OVERLAY_SEAL, from, size);
					at = from + size;
				}
				put(next, n);
				break;
			case 8 ... 10:
				for (int i = 0; i < 10; i++)
					guest_writes(slot >> 16, (uint64_t)random() % PAGES);
				break;
			case 11:
				compare_logs(slot, false);
				break;
			}
			check();
		}
	}
	fresh();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(plain_slots_pass),
		cmocka_unit_test(our_ids_are_not_the_vmms),
		cmocka_unit_test(overlays_cut_and_stay),
		cmocka_unit_test(other_address_space),
		cmocka_unit_test(more_than_can_be),
		cmocka_unit_test(dirty_pages_are_merged),
		cmocka_unit_test(sealing_loses_no_dirty_page),
		cmocka_unit_test(a_log_that_fails_loses_nothing),
		cmocka_unit_test(kvm_refuses),
		cmocka_unit_test(an_overlay_over_two_slots),
		cmocka_unit_test(ids_are_given_back),
		cmocka_unit_test(random_operations),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
