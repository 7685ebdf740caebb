// SPDX-License-Identifier: LGPL-2.1-or-later
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/unit/fake_slots.h"

struct rf_board_file slots_file;
uint8_t *slots_a, *slots_b;
struct kvm_userspace_memory_region slots_kvm[RF_SPACES][IDS];

/* --- KVM -------------------------------------------------------------------------- */

static int kvm_set(const struct kvm_userspace_memory_region *r)
{
	struct kvm_userspace_memory_region *s = &slots_kvm[r->slot >> 16][r->slot & 0xffff];

	if (!r->memory_size == !s->memory_size && !r->memory_size)
		return -EINVAL;
	for (uint32_t i = 0; i < IDS && r->memory_size; i++)
		if (&slots_kvm[r->slot >> 16][i] != s &&
		    rf_overlaps(slots_kvm[r->slot >> 16][i].guest_phys_addr,
				slots_kvm[r->slot >> 16][i].memory_size, r->guest_phys_addr,
				r->memory_size))
			return -EEXIST;
	*s = *r;
	return 0;
}

uint8_t *slots_guest(uint64_t gpa, bool *writable)
{
	for (uint32_t i = 0; i < IDS; i++) {
		const struct kvm_userspace_memory_region *s = &slots_kvm[0][i];

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
		r = &slots_kvm[log->slot >> 16][log->slot & 0xffff];
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

int slots_set(uint32_t id, uint32_t flags, uint64_t gpa, uint64_t size, const void *host)
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

struct rf_region slots_region(uint64_t gpa, uint64_t size)
{
	return (struct rf_region){
		.gpa = gpa, .size = size, .gva = SEAL_GVA, .kind = RF_REGION_TEXT
	};
}

int slots_seal(uint64_t gpa, uint64_t size, bool again)
{
	const struct rf_region r = slots_region(gpa, size);
	uint64_t ns = 0;
	int err = rf_seal_install(&r, 1, again, &ns);

	if (!err)
		assert_int_not_equal(ns, 0);
	assert_false(fake_vcpus.gate_closed);
	return err;
}

struct rf_overlay *slots_sealed(void)
{
	assert_int_equal(slots_seal(SEAL_GPA, SEAL_SIZE, false), 0);
	return &rf_guestmem.overlays[0];
}

int slots_setup(void **state)
{
	memset(&slots_file, 0, sizeof(slots_file));
	memset(slots_kvm, 0, sizeof(slots_kvm));
	memset(&rf_guestmem, 0, sizeof(rf_guestmem));
	memset(&fake_vcpus, 0, sizeof(fake_vcpus));
	rf_board = &slots_file.board;
	rf_guestmem_init(3, LIMIT);
	rf_guestmem_stand_ins(NULL, 0);
	slots_a = memory(1);
	slots_b = memory(0x55);
	return slots_set(0, 0, A_GPA, SIZE, slots_a) || slots_set(1, 0, B_GPA, SIZE, slots_b);
}

int slots_teardown(void **state)
{
	rf_gate_close();
	rf_seal_release();
	rf_gate_open();
	rf_seal_forget();
	munmap(slots_a, SIZE);
	munmap(slots_b, SIZE);
	return 0;
}

uint32_t slots_dirty(uint32_t id)
{
	uint64_t bits[1] = { ~UINT64_C(0) };
	const struct kvm_dirty_log log = { .slot = id, .dirty_bitmap = bits };

	assert_int_equal(rf_guestmem_dirty_log(&log, true), 0);
	assert_int_equal(bits[0] >> PAGES, 0);
	return (uint32_t)bits[0];
}

void slots_log_both(void)
{
	assert_int_equal(slots_set(0, LOG, A_GPA, SIZE, slots_a), 0);
	assert_int_equal(slots_set(1, LOG, B_GPA, SIZE, slots_b), 0);
	slots_dirty(0);
	slots_dirty(1);
}
