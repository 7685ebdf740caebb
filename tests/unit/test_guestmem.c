/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * hv/guestmem.c and hv/seal.c over memory of this process: what is sealed, what lies below it, and
 * what of both is told. The guest's RAM is two slots of the VMM's whose memory is not side by side,
 * and the sealed region lies over both.
 */
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "hv/board.h"
#include "hv/guestmem.h"
#include "hv/seal.h"
#include "tests/unit/fake_vcpus.h"

#define LIMIT 32
#define IDS (LIMIT + RF_OWN_IDS)
#define PAGES 16u /* of each slot */
#define SIZE (PAGES * RF_PAGE_SIZE)
#define A_GPA UINT64_C(0x40100000)
#define B_GPA (A_GPA + SIZE)
#define SEAL_GPA (B_GPA - 4 * RF_PAGE_SIZE) /* four pages of each */
#define SEAL_SIZE (8 * RF_PAGE_SIZE)
#define SEAL_GVA UINT64_C(0xffffffff81000000)
#define HALF (4 * RF_PAGE_SIZE)
#define LOG KVM_MEM_LOG_DIRTY_PAGES

static struct rf_board_file file;
static struct rf_heals *const heals = &file.heals;
static uint8_t *a, *b; /* the VMM's memory */
static struct kvm_userspace_memory_region kvm[RF_SPACES][IDS];

/* --- KVM -------------------------------------------------------------------------- */

static int kvm_set(const struct kvm_userspace_memory_region *r)
{
	struct kvm_userspace_memory_region *s = &kvm[r->slot >> 16][r->slot & 0xffff];

	if (!r->memory_size == !s->memory_size && !r->memory_size)
		return -EINVAL;
	for (uint32_t i = 0; i < IDS && r->memory_size; i++)
		if (&kvm[r->slot >> 16][i] != s &&
		    rf_overlaps(kvm[r->slot >> 16][i].guest_phys_addr,
				kvm[r->slot >> 16][i].memory_size, r->guest_phys_addr,
				r->memory_size))
			return -EEXIST;
	*s = *r;
	return 0;
}

/* What the guest has there; writable: whether its store would land. */
static uint8_t *guest(uint64_t gpa, bool *writable)
{
	for (uint32_t i = 0; i < IDS; i++) {
		const struct kvm_userspace_memory_region *s = &kvm[0][i];

		if (gpa < s->guest_phys_addr || gpa - s->guest_phys_addr >= s->memory_size)
			continue;
		if (writable)
			*writable = !(s->flags & KVM_MEM_READONLY);
		return (uint8_t *)(uintptr_t)(s->userspace_addr + (gpa - s->guest_phys_addr));
	}
	return NULL;
}

/* hv/base.h's rf_kvm() and rf_mmap() end here. */
long syscall(long number, ...)
{
	const struct kvm_userspace_memory_region *r;
	const struct kvm_dirty_log *log;
	unsigned long one, two, three;
	int err = 0;
	va_list ap;

	va_start(ap, number);
	one = va_arg(ap, unsigned long);
	two = va_arg(ap, unsigned long);
	three = va_arg(ap, unsigned long);
	if (number == SYS_munmap)
		return munmap((void *)one, two);
	if (number == SYS_mmap) {
		int flags = va_arg(ap, int);

		va_end(ap);
		return (long)mmap((void *)one, two, (int)three, flags, -1, 0);
	}
	va_end(ap);
	assert_int_equal(number, SYS_ioctl);
	if (two == KVM_SET_USER_MEMORY_REGION) {
		r = (void *)three;
		err = kvm_set(r);
	} else {
		assert_int_equal(two, KVM_GET_DIRTY_LOG);
		log = (void *)three; /* the guest's own stores are none of this test's */
		r = &kvm[log->slot >> 16][log->slot & 0xffff];
		if (!r->memory_size || !(r->flags & LOG))
			err = -ENOENT;
		else
			memset(log->dirty_bitmap, 0, (r->memory_size / RF_PAGE_SIZE + 63) / 64 * 8);
	}
	errno = -err;
	return err ? -1 : 0;
}

uint64_t rf_monotonic_ns(void)
{
	static uint64_t now;

	return now += 7;
}

void rf_fatal(const char *why)
{
	fail_msg("fatal: %s", why);
	abort();
}

/* --- the machine -------------------------------------------------------------------- */

static int slot(uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size, const void *host)
{
	const struct kvm_userspace_memory_region r = { id, flags, gpa, size,
						       (uint64_t)(uintptr_t)host };

	return rf_guestmem_set(&r);
}

static uint8_t *memory(uint8_t salt)
{
	uint8_t *m = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(m, MAP_FAILED);
	for (uint64_t i = 0; i < SIZE; i++)
		m[i] = (uint8_t)(salt + i * 7 + (i >> 12));
	return m;
}

static struct rf_region region(uint64_t gpa, uint64_t size)
{
	return (struct rf_region){
		.gpa = gpa, .size = size, .gva = SEAL_GVA, .kind = RF_REGION_TEXT
	};
}

static int seal(uint64_t gpa, uint64_t size, bool again)
{
	const struct rf_region r = region(gpa, size);
	uint64_t ns = 0;
	int err = rf_seal_install(&r, 1, again, &ns);

	if (!err)
		assert_int_not_equal(ns, 0);
	assert_false(fake_vcpus.gate_closed);
	return err;
}

static struct rf_overlay *sealed_region(void)
{
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, false), 0);
	return &rf_guestmem.overlays[0];
}

static int setup(void **state)
{
	memset(&file, 0, sizeof(file));
	memset(kvm, 0, sizeof(kvm));
	memset(&rf_guestmem, 0, sizeof(rf_guestmem));
	memset(&fake_vcpus, 0, sizeof(fake_vcpus));
	rf_board = &file.board;
	rf_guestmem_init(3, LIMIT);
	rf_guestmem_stand_ins(NULL, 0);
	a = memory(1);
	b = memory(0x55);
	return slot(0, 0, A_GPA, SIZE, a) || slot(1, 0, B_GPA, SIZE, b);
}

static int teardown(void **state)
{
	rf_gate_close();
	rf_seal_release();
	rf_gate_open();
	rf_seal_forget();
	munmap(a, SIZE);
	munmap(b, SIZE);
	return 0;
}

/* The VMM asks; `pages`: a bit a page of what it is told, of 16. */
static uint32_t dirty(uint32_t id)
{
	uint64_t bits[1] = { ~UINT64_C(0) };
	const struct kvm_dirty_log log = { .slot = id, .dirty_bitmap = bits };

	assert_int_equal(rf_guestmem_dirty_log(&log, true), 0);
	assert_int_equal(bits[0] >> PAGES, 0);
	return (uint32_t)bits[0];
}

/* Asks both once, so that nothing of the sealing itself is left to tell. */
static void log_both(void)
{
	assert_int_equal(slot(0, LOG, A_GPA, SIZE, a), 0);
	assert_int_equal(slot(1, LOG, B_GPA, SIZE, b), 0);
	dirty(0);
	dirty(1);
}

/* --- a region over two slots ---------------------------------------------------------- */

static void sealed_over_two_slots(void **state)
{
	struct rf_overlay *o;
	bool writable;

	assert_true(rf_guestmem_is_ram(SEAL_GPA, SEAL_SIZE));
	assert_false(rf_guestmem_any_sealed());
	o = sealed_region();
	assert_int_equal(fake_vcpus.closings, 1);
	assert_true(rf_guestmem_any_sealed());
	assert_memory_equal(o->copy, a + SIZE - HALF, HALF);
	assert_memory_equal(o->copy + HALF, b, HALF);
	assert_int_equal(((uint64_t)(uintptr_t)o->copy ^ SEAL_GPA) % RF_HUGE_SIZE, 0);
	for (uint64_t at = 0; at < 2 * SIZE; at += RF_PAGE_SIZE) {
		bool in = rf_within(A_GPA + at, 1, SEAL_GPA, SEAL_SIZE);

		assert_ptr_equal(guest(A_GPA + at, &writable),
				 in	     ? o->copy + (A_GPA + at - SEAL_GPA)
				 : at < SIZE ? a + at
					     : b + at - SIZE);
		assert_int_equal(writable, !in);
	}
	assert_ptr_equal(rf_guestmem_sealed(SEAL_GPA, SEAL_SIZE), o);
	assert_ptr_equal(rf_guestmem_sealed(SEAL_GPA + SEAL_SIZE - 1, 1), o);
	assert_null(rf_guestmem_sealed(SEAL_GPA, SEAL_SIZE + 1));
	assert_null(rf_guestmem_sealed(SEAL_GPA + 1, UINT64_MAX));
	assert_null(rf_guestmem_sealed(SEAL_GPA - 1, 1));
	assert_true(rf_guestmem_overlaid(SEAL_GPA + SEAL_SIZE - 1, 1));
	assert_true(rf_guestmem_overlaid(0, UINT64_MAX));
	assert_false(rf_guestmem_overlaid(SEAL_GPA + SEAL_SIZE, 8));
	assert_false(rf_guestmem_overlaid(SEAL_GPA - 8, 8));
	assert_int_equal(file.board.copy_bytes, SEAL_SIZE);
	assert_int_not_equal(file.board.seal_ns, 0);
}

static void assert_run(uint32_t n, uint64_t gpa, uint64_t size, const void *host, const void *below)
{
	const struct rf_board_run *r = &file.board.runs[n];

	assert_int_equal(r->gpa, gpa);
	assert_int_equal(r->size, size);
	assert_int_equal(r->hva, (uint64_t)(uintptr_t)host);
	assert_int_equal(r->decoy, (uint64_t)(uintptr_t)below);
}

static void board_shows_both(void **state)
{
	struct rf_overlay *o;
	uint32_t seq = file.board.seq;

	assert_int_equal(file.board.runs_count, 2);
	assert_run(0, A_GPA, SIZE, a, NULL);
	assert_run(1, B_GPA, SIZE, b, NULL);
	o = sealed_region();
	assert_int_not_equal(file.board.seq, seq);
	assert_int_equal(file.board.seq % 2, 0);
	assert_int_equal(file.board.runs_count, 4);
	assert_run(0, SEAL_GPA, HALF, o->copy, a + SIZE - HALF);
	assert_run(1, B_GPA, HALF, o->copy + HALF, b);
	assert_run(2, A_GPA, SIZE - HALF, a, NULL);
	assert_run(3, B_GPA + HALF, SIZE - HALF, b + HALF, NULL);
	assert_int_equal(file.board.regions_count, 1);
	assert_int_equal(file.board.regions[0].gpa, SEAL_GPA);
	assert_int_equal(file.board.regions[0].size, SEAL_SIZE);
	assert_int_equal(file.board.regions[0].gva, SEAL_GVA);
	assert_int_equal(file.board.regions[0].kind, RF_REGION_TEXT);
	/* The VMM takes one of them away, and gives another. */
	assert_int_equal(slot(1, 0, B_GPA, 0, NULL), 0);
	assert_int_equal(file.board.runs_count, 3);
	assert_run(0, SEAL_GPA, HALF, o->copy, a + SIZE - HALF);
	assert_run(1, B_GPA, HALF, o->copy + HALF, NULL);
	assert_int_equal(file.board.regions_count, 1);
	assert_int_equal(slot(2, 0, B_GPA, SIZE / 2, b + SIZE / 2), 0);
	assert_run(1, B_GPA, HALF, o->copy + HALF, b + SIZE / 2);
	/* What the firmware's own mode has elsewhere is no memory of the kernel's. */
	assert_int_equal(file.board.runs_count, 4);
	assert_int_equal(slot(1u << 16 | 7, 0, B_GPA + SIZE, SIZE / 2, b), 0);
	assert_int_equal(file.board.runs_count, 4);
}

/* The VMM takes the first one away: the second is still there, and still follows. */
static void first_of_two_goes(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = sealed_region();

	assert_int_equal(slot(0, 0, A_GPA, 0, NULL), 0);
	assert_run(0, SEAL_GPA, HALF, o->copy, NULL);
	assert_run(1, B_GPA, HALF, o->copy + HALF, b);
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(b, four + 2, 2);
}

/* An allowed store lands in the copy and in both memories below. */
static void written_over_two_slots(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = sealed_region();

	log_both();
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(a + SIZE - 2, four, 2);
	assert_memory_equal(b, four + 2, 2);
	assert_int_equal(o->dirty[0], 1u << 3 | 1u << 4);
	assert_int_equal(file.board.counters[RF_COUNT_PATCHED_BYTES], 4);
	/* Each slot is told its own, once, whichever is asked first. */
	assert_int_equal(dirty(1), 1u << 0);
	assert_int_equal(dirty(1), 0);
	assert_int_equal(dirty(0), 1u << 15);
	assert_int_equal(dirty(0), 0);
	rf_overlay_write(o, 0, four, 1);
	rf_overlay_write(o, SEAL_SIZE - 1, four, 1);
	assert_int_equal(dirty(0), 1u << 12);
	assert_int_equal(dirty(1), 1u << 3);
	assert_int_equal(a[SIZE - HALF], 0xa1);
	assert_int_equal(b[HALF - 1], 0xa1);
	memset(a, 0, SIZE);
	memset(b, 0, SIZE);
	rf_overlay_mirror(o);
	assert_memory_equal(o->copy, a + SIZE - HALF, HALF);
	assert_memory_equal(o->copy + HALF, b, HALF);
	assert_int_equal(a[SIZE - HALF - 1] | b[HALF], 0);
}

/* One slot is away: what is there is kept right, what is not there is not touched. */
static void written_with_a_slot_away(void **state)
{
	static const uint8_t four[4] = { 0xa1, 0xa2, 0xa3, 0xa4 };
	struct rf_overlay *o = sealed_region();
	uint8_t was = b[0], page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];

	assert_int_equal(slot(1, 0, B_GPA, 0, NULL), 0);
	rf_overlay_write(o, HALF - 2, four, 4);
	assert_memory_equal(o->copy + HALF - 2, four, 4);
	assert_memory_equal(a + SIZE - 2, four, 2);
	assert_int_equal(b[0], was);
	assert_int_equal(rf_guestmem_below(o, HALF - 2, page, 2), 0);
	assert_int_equal(rf_guestmem_below(o, HALF - 2, page, 3), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, HALF, page, 1), -EFAULT);
	assert_false(rf_guestmem_differs(o, HALF, page, below));
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	/* It comes back as it was: what was patched meanwhile is not there. */
	assert_int_equal(slot(1, 0, B_GPA, SIZE, b), 0);
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_memory_equal(b, four + 2, 2);
}

/* --- healed ------------------------------------------------------------------------------ */

static void healed_over_two_slots(void **state)
{
	struct rf_overlay *o = sealed_region();
	uint8_t was_a = a[SIZE - 1], was_b = b[0];
	const struct rf_heal *h = heals->entries;

	log_both();
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 0);
	a[SIZE - 1] ^= 0xff; /* a device's write over the border */
	b[0] ^= 0xff;
	b[2] ^= 0x0f;
	assert_int_equal(rf_guestmem_heal(0, 0), 2);
	assert_int_equal(a[SIZE - 1], was_a);
	assert_int_equal(b[0], was_b);
	assert_memory_equal(o->copy + HALF, b, HALF);
	assert_int_equal(heals->head, 2);
	assert_int_equal(h[0].gpa, B_GPA - 1);
	assert_int_equal(h[0].len, 1);
	assert_int_equal(h[0].own[0], was_a);
	assert_int_equal(h[0].foreign[0], (uint8_t)~was_a);
	assert_int_equal(h[0].own[1] | h[0].foreign[1], 0);
	assert_int_equal(h[1].gpa, B_GPA);
	assert_int_equal(h[1].len, 3);
	assert_int_equal(h[1].foreign[1], b[1]); /* the byte between is as it should be */
	assert_int_equal(h[1].own[1], b[1]);
	assert_int_equal(h[1].foreign[2], b[2] ^ 0x0f);
	/* The VMM has saved the foreign ones by now: it is told again. */
	assert_int_equal(dirty(0), 1u << 15);
	assert_int_equal(dirty(1), 1u << 0);
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 2);
	assert_int_equal(fake_vcpus.closings, 1); /* the seal's alone */
}

/* Each difference is told, again and again; a whole page as much as an entry holds. */
static void each_write_is_told(void **state)
{
	sealed_region();
	for (uint32_t i = 0; i < 5; i++) {
		b[9] ^= 0x80;
		assert_int_equal(rf_guestmem_heal(0, 0), 1);
		assert_int_equal(heals->head, i + 1);
	}
	for (uint32_t i = 0; i < RF_PAGE_SIZE; i++)
		b[RF_PAGE_SIZE + i]++;
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_int_equal(heals->entries[5].gpa, B_GPA + RF_PAGE_SIZE);
	assert_int_equal(heals->entries[5].len, RF_PAGE_SIZE);
	assert_memory_equal(heals->entries[5].own, b + RF_PAGE_SIZE, RF_HEAL_BYTES);
	assert_int_equal(heals->entries[5].foreign[RF_HEAL_BYTES - 1],
			 (uint8_t)(b[RF_PAGE_SIZE + RF_HEAL_BYTES - 1] + 1));
}

/* Only what was asked for. */
static void healed_in_part(void **state)
{
	uint8_t was;

	sealed_region();
	was = b[RF_PAGE_SIZE];
	b[0]++;
	b[RF_PAGE_SIZE]++;
	b[2 * RF_PAGE_SIZE]++;
	assert_int_equal(rf_guestmem_heal(B_GPA + RF_PAGE_SIZE, RF_PAGE_SIZE), 1);
	assert_int_equal(b[RF_PAGE_SIZE], was);
	assert_int_equal(heals->head, 1);
	assert_int_equal(rf_guestmem_heal(B_GPA + RF_PAGE_SIZE - 1, 1), 1); /* the page of a byte */
	assert_int_equal(rf_guestmem_heal(SEAL_GPA + SEAL_SIZE, RF_PAGE_SIZE), 0);
	assert_int_equal(rf_guestmem_heal(0, UINT64_MAX), 1);
	assert_int_equal(heals->head, 3);
	/* Not sealed: a device's own business. */
	a[0]++;
	b[HALF]++;
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
}

/* More than the list holds: none is lost unseen, as head counts them all. */
static void more_than_the_list_holds(void **state)
{
	sealed_region();
	for (uint32_t i = 0; i < RF_HEALS + 10; i++) {
		b[i] ^= 0xff;
		assert_int_equal(rf_guestmem_heal(0, 0), 1);
	}
	assert_int_equal(heals->head, RF_HEALS + 10);
	for (uint32_t n = 10; n < RF_HEALS + 10; n++)
		assert_int_equal(heals->entries[n % RF_HEALS].gpa, B_GPA + n);
	/* Written down: forwards only, and not more than there were. */
	rf_guestmem_heals_taken(20);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(19);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(RF_HEALS + 11);
	assert_int_equal(heals->taken, 20);
	rf_guestmem_heals_taken(RF_HEALS + 10);
	assert_int_equal(heals->taken, RF_HEALS + 10);
}

/* Before the VMM reads: its dirty log, and its registers of a stopped VM. */
static void healed_before_it_is_read(void **state)
{
	uint8_t was = b[5];

	log_both();
	sealed_region();
	dirty(0);
	dirty(1);
	b[5]++;
	assert_int_equal(dirty(0), 0);
	assert_int_equal(b[5], (uint8_t)(was + 1)); /* asked about the other one */
	/* The same number in another address space (SMM's) is another slot, over other memory. */
	assert_int_equal(slot(1 | 1 << 16, LOG, A_GPA, SIZE, a), 0);
	dirty(1 | 1 << 16);
	assert_int_equal(b[5], (uint8_t)(was + 1));
	assert_int_equal(dirty(1), 1u << 0);
	assert_int_equal(b[5], was);
	/* Not where what differs is a load that nobody has judged yet. */
	b[5]++;
	{
		uint64_t bits[1];
		const struct kvm_dirty_log log = { .slot = 1, .dirty_bitmap = bits };

		assert_int_equal(rf_guestmem_dirty_log(&log, false), 0);
		assert_int_equal(bits[0], 0);
		assert_int_equal(b[5], was + 1);
		b[5] = was;
	}
	fake_vcpus.count = 3;
	for (enum rf_phase phase = RF_OUT; phase <= RF_ANSWERED; phase++) {
		uint64_t head = heals->head;

		atomic_store(&rf_vcpus[2].phase, phase);
		b[5]++;
		rf_guestmem_heal_stopped();
		assert_int_equal(heals->head, head + (phase != RF_IN));
		assert_int_equal(b[5], was + (phase == RF_IN));
		b[5] = was;
	}
	atomic_store(&rf_vcpus[2].phase, RF_OUT);
	assert_int_equal(pthread_mutex_trylock(&rf_vm.lock), 0);
	pthread_mutex_unlock(&rf_vm.lock);
}

/* --- traps stand in the copy alone --------------------------------------------------------- */

static struct rf_trap_site sites[3];

/* An instruction of seven bytes, the fourth of which begins another page (and slot). */
static struct rf_overlay *trapped(void)
{
	struct rf_overlay *o = sealed_region();

	for (int i = 0; i < 3; i++) {
		static const uint64_t at[3] = { 0x20, HALF - 3, HALF + 0x100 };

		sites[i] = (struct rf_trap_site){ .gpa = SEAL_GPA + at[i], .len = 7 };
		memcpy(sites[i].bytes, o->copy + at[i], 7);
		memset(o->copy + at[i], 0x90, 7);
		memset(o->copy + at[i], 0xe6, 2);
	}
	rf_guestmem_stand_ins(sites, 3);
	return o;
}

static void traps_are_no_difference(void **state)
{
	uint8_t page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	struct rf_overlay *o = trapped();

	assert_true(rf_guestmem_stands_in(SEAL_GPA + 0x26, 1));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x27, 1));
	assert_true(rf_guestmem_stands_in(SEAL_GPA + 0x1f, 2));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x1f, 1));
	assert_true(rf_guestmem_stands_in(B_GPA, RF_PAGE_SIZE));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x20, 0));
	for (uint64_t at = 0; at < SEAL_SIZE; at += RF_PAGE_SIZE)
		assert_false(rf_guestmem_differs(o, at, page, below));
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
	assert_int_equal(heals->head, 0);
	assert_int_equal(o->copy[HALF - 3], 0xe6);
	/* Alone it stands on both of its pages. */
	rf_guestmem_stand_ins(&sites[1], 1);
	assert_true(rf_guestmem_stands_in(SEAL_GPA + HALF - 3, 1));
	assert_true(rf_guestmem_stands_in(B_GPA, 1));
	assert_true(rf_guestmem_stands_in(B_GPA + 3, 1));
	assert_false(rf_guestmem_stands_in(B_GPA + 4, 1));
	assert_false(rf_guestmem_stands_in(SEAL_GPA + 0x20, 1));
}

/* Who writes the trap's own bytes below it has written something foreign. */
static void a_device_over_a_trap(void **state)
{
	uint8_t page[RF_PAGE_SIZE], below[RF_PAGE_SIZE];
	struct rf_overlay *o = trapped();

	memcpy(a + SIZE - 3, o->copy + HALF - 3, 3);
	memcpy(b, o->copy + HALF, 4);
	assert_true(rf_guestmem_differs(o, HALF - RF_PAGE_SIZE, page, below));
	assert_memory_equal(page + RF_PAGE_SIZE - 3, sites[1].bytes, 3);
	assert_int_equal(below[RF_PAGE_SIZE - 3], 0xe6);
	assert_true(rf_guestmem_differs(o, HALF, page, below));
	assert_memory_equal(page, sites[1].bytes + 3, 4);
	assert_memory_equal(page + 0x100, sites[2].bytes, 7);
	assert_int_equal(rf_guestmem_heal(0, 0), 2);
	assert_memory_equal(a + SIZE - 3, sites[1].bytes, 3);
	assert_memory_equal(b, sites[1].bytes + 3, 4);
	assert_memory_equal(heals->entries[0].own, sites[1].bytes, 3);
	assert_int_equal(o->copy[HALF - 3], 0xe6); /* the trap stands */
	assert_int_equal(o->copy[HALF], 0x90);
	assert_int_equal(rf_guestmem_heal(0, 0), 0);
}

/* --- plain memory ------------------------------------------------------------------------- */

static void plain_memory(void **state)
{
	struct rf_slot *held;
	uint8_t buf[RF_PAGE_SIZE + 1];
	uint64_t word = 0x1122334455667788;
	uint32_t half;

	sealed_region();
	assert_int_equal(rf_guestmem_read(A_GPA + 5, buf, 9), 0);
	assert_memory_equal(buf, a + 5, 9);
	assert_int_equal(rf_guestmem_read(A_GPA + 8, &half, 4), 0);
	assert_memory_equal(&half, a + 8, 4);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, RF_PAGE_SIZE), 0);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, RF_PAGE_SIZE + 1), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, 0), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA, buf, UINT64_MAX), -EFAULT);
	assert_int_equal(rf_guestmem_read(A_GPA - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(UINT64_MAX, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA, buf, 1), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA + SEAL_SIZE - 1, buf, 2), -EFAULT);
	assert_int_equal(rf_guestmem_read(SEAL_GPA - 2, buf, 2), 0);

	memcpy(a + 16, &word, 8);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, word, 9), 0);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, word, 10), -EAGAIN);
	memcpy(&word, a + 16, 8);
	assert_int_equal(word, 9);
	assert_int_equal(rf_guestmem_swap(A_GPA + 17, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(SEAL_GPA, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(A_GPA - 8, 0, 0), -EINVAL);
	assert_int_equal(rf_guestmem_swap(UINT64_MAX - 7, 0, 0), -EINVAL);
	/* A guest that is being moved takes it along. */
	held = rf_slot_holding(&rf_guestmem, A_GPA, 1);
	assert_false(held->all_dirty);
	held->flags |= KVM_MEM_LOG_DIRTY_PAGES;
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, 10, 11), -EAGAIN);
	assert_false(held->all_dirty);
	assert_int_equal(rf_guestmem_swap(A_GPA + 16, 9, 11), 0);
	assert_true(held->all_dirty);
	held->flags &= ~(uint32_t)KVM_MEM_LOG_DIRTY_PAGES;
	held->all_dirty = false;

	assert_true(rf_guestmem_write(A_GPA + 24, "abc", 3));
	assert_memory_equal(a + 24, "abc", 3);
	assert_false(rf_guestmem_write(SEAL_GPA, "abc", 3));
	assert_true(rf_guestmem_write(0, "abc", 3)); /* a device's */
	/* KVM did not see it: the log tells of all. */
	log_both();
	assert_true(rf_guestmem_write(A_GPA + 24, "xyz", 3));
	assert_int_equal(dirty(0), (1u << PAGES) - 1);
	assert_int_equal(dirty(0), 0);
	assert_int_equal(dirty(1), 0);
	/* Memory that the VMM gives read-only is none to store to. */
	assert_int_equal(slot(5, KVM_MEM_READONLY, 0x1000, 0x1000, a), 0);
	assert_false(rf_guestmem_is_ram(0x1000, 0x1000));
	assert_int_equal(rf_guestmem_read(0x1000, buf, 8), -EFAULT);
	assert_true(rf_guestmem_write(0x1000, "rom", 3));
	assert_memory_not_equal(a, "rom", 3);
}

/* Words over two slots, no overlay near. */
static void plain_over_two_slots(void **state)
{
	uint8_t buf[8];

	assert_int_equal(rf_guestmem_read(B_GPA - 4, buf, 8), -EFAULT);
	assert_int_equal(rf_guestmem_read(B_GPA - 8, buf, 8), 0);
	assert_true(rf_guestmem_write(B_GPA - 4, "12345678", 8));
	assert_memory_not_equal(b, "5678", 4);
	assert_true(rf_guestmem_is_ram(A_GPA, 2 * SIZE));
	assert_false(rf_guestmem_is_ram(A_GPA, 2 * SIZE + 1));
	assert_false(rf_guestmem_is_ram(A_GPA - 1, 2));
	assert_false(rf_guestmem_is_ram(A_GPA, UINT64_MAX));
	assert_false(rf_guestmem_is_ram(UINT64_MAX, 1));
}

static void below_is_bounded(void **state)
{
	struct rf_overlay *o = sealed_region();
	static uint8_t buf[SEAL_SIZE];

	assert_int_equal(rf_guestmem_below(o, 0, buf, SEAL_SIZE), 0);
	assert_memory_equal(buf, o->copy, SEAL_SIZE);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE, buf, 0), 0);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE, buf, 1), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, SEAL_SIZE + 1, buf, 0), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, 1, buf, SEAL_SIZE), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, 1, buf, UINT64_MAX), -EFAULT);
	assert_int_equal(rf_guestmem_below(o, UINT64_MAX, buf, 2), -EFAULT);
}

/* --- seals ------------------------------------------------------------------------------ */

static void what_cannot_be_sealed(void **state)
{
	struct rf_region many[RF_SEAL_MAX + 1];
	uint64_t ns;

	assert_int_equal(seal(SEAL_GPA + 1, SEAL_SIZE, false), -EINVAL);
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE - 1, false), -EINVAL);
	assert_int_equal(seal(SEAL_GPA, 0, false), -EINVAL);
	assert_int_equal(seal(B_GPA, SIZE + RF_PAGE_SIZE, false), -EINVAL);
	assert_int_equal(seal(A_GPA - RF_PAGE_SIZE, 2 * RF_PAGE_SIZE, false), -EINVAL);
	assert_int_equal(seal(A_GPA, rf_page_down(UINT64_MAX), false), -EINVAL);
	assert_int_equal(seal(rf_page_down(UINT64_MAX), RF_PAGE_SIZE, false), -EINVAL);
	for (uint32_t i = 0; i <= RF_SEAL_MAX; i++)
		many[i] = region(A_GPA + i * RF_PAGE_SIZE, RF_PAGE_SIZE);
	assert_int_equal(rf_seal_install(many, 0, false, &ns), -EINVAL);
	assert_int_equal(rf_seal_install(many, RF_SEAL_MAX + 1, false, &ns), -EINVAL);
	assert_int_equal(rf_seal_install(many, UINT32_MAX, false, &ns), -EINVAL);
	many[1].gpa = many[0].gpa;
	assert_int_equal(rf_seal_install(many, 2, false, &ns), -EINVAL);
	many[1].gpa = many[0].gpa - RF_PAGE_SIZE;
	assert_int_equal(rf_seal_install(many, 2, false, &ns), -EINVAL);
	assert_int_equal(rf_guestmem.nr_overlays, 0);
	assert_int_equal(fake_vcpus.closings, 0);
	many[1] = region(A_GPA + RF_PAGE_SIZE, RF_PAGE_SIZE);
	assert_int_equal(rf_seal_install(many, RF_SEAL_MAX, false, &ns), 0);
	assert_int_equal(file.board.regions_count, RF_SEAL_MAX);
}

static void release(void)
{
	rf_gate_close();
	rf_seal_release();
	rf_gate_open();
}

/* Sealed, released, and again: the bytes are those it had, whatever lies below by now. */
static void kept(void **state)
{
	static uint8_t was[SEAL_SIZE];
	struct rf_overlay *o;
	struct rf_region r = region(SEAL_GPA, SEAL_SIZE);
	bool writable;

	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), -ENOENT);
	o = sealed_region();
	rf_overlay_write(o, 3, (const uint8_t *)"patched", 7);
	memcpy(was, o->copy, SEAL_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	release();
	assert_false(rf_guestmem_any_sealed());
	assert_int_equal(file.board.regions_count, 0);
	assert_ptr_equal(guest(SEAL_GPA, &writable), a + SIZE - HALF);
	assert_true(writable);
	assert_true(rf_seal_is_kept(&r, 1));
	assert_false(rf_seal_is_kept(&r, 0));
	r.gva++;
	assert_false(rf_seal_is_kept(&r, 1));
	r = region(SEAL_GPA + RF_PAGE_SIZE, SEAL_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	r = region(SEAL_GPA, SEAL_SIZE - RF_PAGE_SIZE);
	assert_false(rf_seal_is_kept(&r, 1));
	r = region(SEAL_GPA, SEAL_SIZE);
	r.kind = RF_REGION_RODATA;
	assert_false(rf_seal_is_kept(&r, 1));
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE - RF_PAGE_SIZE, true), -ENOENT);
	/* Released with nothing sealed: what is kept stays so. */
	release();
	b[7] ^= 0xff; /* an attacker's, while nothing is sealed */
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), 0);
	o = &rf_guestmem.overlays[0];
	assert_memory_equal(o->copy, was, SEAL_SIZE);
	assert_ptr_equal(guest(B_GPA + 7, &writable), o->copy + HALF + 7);
	assert_false(writable);
	/* It is told as a device's would be. */
	assert_int_equal(rf_guestmem_heal(0, 0), 1);
	assert_int_equal(heals->entries[0].gpa, B_GPA + 7);
	assert_int_equal(b[7], was[HALF + 7]);
	/* And again: fifty times. */
	for (int i = 0; i < 50; i++) {
		release();
		b[i]++;
		assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), 0);
		assert_memory_equal(rf_guestmem.overlays[0].copy, was, SEAL_SIZE);
	}
	/* Another kernel's seal takes its place. */
	release();
	assert_int_equal(seal(A_GPA, RF_PAGE_SIZE, false), 0);
	release();
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), -ENOENT);
	assert_int_equal(seal(A_GPA, RF_PAGE_SIZE, true), 0);
	release();
	rf_seal_forget();
	assert_int_equal(seal(A_GPA, RF_PAGE_SIZE, true), -ENOENT);
}

/* Memory that went away can be kept, and sealed again when it is back; not without it. */
static void kept_without_memory(void **state)
{
	sealed_region();
	release();
	assert_int_equal(slot(1, 0, B_GPA, 0, NULL), 0);
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), -EINVAL);
	assert_int_equal(slot(1, 0, B_GPA, SIZE, b), 0);
	assert_int_equal(seal(SEAL_GPA, SEAL_SIZE, true), 0);
}

static void the_gate_is_closed_where_slots_are_made_anew(void **state)
{
	assert_int_equal(fake_vcpus.closings, 0);
	assert_int_equal(slot(7, 0, 0x1000, 0x1000, a), 0);
	assert_int_equal(fake_vcpus.closings, 0);
	sealed_region();
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slot(7, 0, 0x1000, 0, NULL), 0); /* none of the overlays' */
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slot(0, LOG, A_GPA, SIZE, a), 0); /* flags alone */
	assert_int_equal(fake_vcpus.closings, 1);
	assert_int_equal(slot(0, 0, A_GPA, 0, NULL), 0);
	assert_int_equal(fake_vcpus.closings, 2);
	assert_false(fake_vcpus.gate_closed);
	assert_int_equal(slot(0, 1u << 31, A_GPA, SIZE, a), -EINVAL);
	assert_int_equal(slot(0, 0, B_GPA, SIZE, a), -EEXIST);
	assert_int_equal(slot(LIMIT, 0, A_GPA, SIZE, a), -EINVAL);
	assert_false(fake_vcpus.gate_closed);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(sealed_over_two_slots),    T(board_shows_both),
		T(written_over_two_slots),
		T(first_of_two_goes),   T(written_with_a_slot_away),
		T(healed_over_two_slots),    T(each_write_is_told),
		T(healed_in_part),	     T(more_than_the_list_holds),
		T(healed_before_it_is_read), T(traps_are_no_difference),
		T(a_device_over_a_trap),     T(plain_memory),
		T(plain_over_two_slots),     T(below_is_bounded),
		T(what_cannot_be_sealed),    T(kept),
		T(kept_without_memory),	     T(the_gate_is_closed_where_slots_are_made_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
