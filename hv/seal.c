/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sealing: the guest's bytes are copied into memory private to the fence and a read-only slot is
 * laid over them. The VMM's own pages stay where they are as a decoy, so that a device the guest
 * programs writes into dead pages.
 */
#include "hv/vm.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "hv/vmx/cpu.h"

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static size_t dirty_bytes(uint64_t size)
{
	return (size / RF_PAGE_SIZE + 63) / 64 * 8;
}

/*
 * Memory for one overlay, its host address congruent with the guest's modulo 2 MiB: else KVM maps
 * it with 4 KiB pages only (arch/x86/kvm/x86.c kvm_alloc_memslot_metadata()). The dirty bitmap
 * follows the copy.
 */
static int overlay_alloc(struct rf_overlay *o, enum rf_overlay_kind kind, uint64_t gpa,
			 uint64_t size)
{
	size_t want = size + dirty_bytes(size) + 2 * RF_HUGE_SIZE;
	uint8_t *map = mmap(NULL, want, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint64_t start;

	if (map == MAP_FAILED)
		return -errno;
	start = ((uint64_t)(uintptr_t)map + RF_HUGE_SIZE - 1) & ~(RF_HUGE_SIZE - 1);
	start += gpa & (RF_HUGE_SIZE - 1);
	madvise(map, want, MADV_HUGEPAGE); /* refused where there are none: only slower */
	*o = (struct rf_overlay){
		.kind = kind,
		.gpa = { gpa, size },
		.copy = (uint8_t *)(uintptr_t)start,
		.map = map,
		.map_size = want,
		.dirty = (uint64_t *)(uintptr_t)(start + size),
		.ids = { UINT32_MAX, UINT32_MAX },
	};
	return 0;
}

static int check_regions(const struct rf_region *r, uint32_t count)
{
	if (count < 1 || count > RF_SEAL_MAX)
		return -EINVAL;
	for (uint32_t i = 0; i < count; i++) {
		if (r[i].gpa % RF_PAGE_SIZE || r[i].size % RF_PAGE_SIZE || !r[i].size)
			return -EINVAL;
		if (i && (r[i].gpa < r[i - 1].gpa || r[i].gpa - r[i - 1].gpa < r[i - 1].size))
			return -EINVAL;
		if (!rf_slot_holding(&rf_vm.slots, r[i].gpa, r[i].size))
			return -EINVAL;
	}
	return 0;
}

static uint8_t *decoy_of(uint64_t gpa, uint64_t size)
{
	struct rf_slot *s = rf_slot_holding(&rf_vm.slots, gpa, size);

	return s ? (uint8_t *)(uintptr_t)(s->hva + (gpa - s->gpa)) : NULL;
}

/*
 * What was sealed when the VMM reset the guest. A guest that wakes up out of sleep is reset too,
 * but its kernel goes on: then it gets these bytes back.
 */
static struct rf_overlay kept[RF_SEAL_MAX];
static uint32_t nr_kept;

static void drop_kept(void)
{
	while (nr_kept) {
		nr_kept--;
		munmap(kept[nr_kept].map, kept[nr_kept].map_size);
	}
}

static void keep_seals(void)
{
	for (size_t i = 0; i < rf_vm.slots.nr_overlays; i++) {
		struct rf_overlay *o = &rf_vm.slots.overlays[i];

		if (o->kind != RF_OVERLAY_SEAL)
			continue;
		kept[nr_kept] = *o;
		kept[nr_kept].ids[0] = kept[nr_kept].ids[1] = UINT32_MAX;
		nr_kept++;
		o->map = NULL;
	}
}

/* All of them, or -ENOENT. */
static int take_kept(const struct rf_region *r, uint32_t count, struct rf_overlay *out)
{
	for (uint32_t i = 0; i < count; i++)
		if (nr_kept != count || kept[i].gpa.start != r[i].gpa ||
		    kept[i].gpa.size != r[i].size || kept[i].gva != r[i].gva ||
		    kept[i].region != r[i].kind)
			return -ENOENT;
	memcpy(out, kept, count * sizeof(*out));
	for (uint32_t i = 0; i < count; i++)
		out[i].decoy = decoy_of(r[i].gpa, r[i].size);
	nr_kept = 0;
	return 0;
}

int rf_seal(const struct rf_msg_seal *m, uint64_t *ns)
{
	const struct rf_region *regions = m->regions;
	uint32_t count = m->count;
	struct rf_overlay next[RF_SEAL_MAX];
	uint64_t start, copy_bytes = 0;
	uint32_t made = 0;
	int err;

	pthread_mutex_lock(&rf_vm.lock);
	if (!m->kernel || m->kernel != atomic_load(&rf_vm.kernel))
		err = -ESTALE;
	else
		err = rf_vm.state == RF_VM_SEALED ? -EALREADY : check_regions(regions, count);
	if (!err && m->again)
		err = take_kept(regions, count, next);
	for (; !err && !m->again && made < count; made++) {
		err = overlay_alloc(&next[made], RF_OVERLAY_SEAL, regions[made].gpa,
				    regions[made].size);
		if (err)
			break;
		next[made].gva = regions[made].gva;
		next[made].region = regions[made].kind;
		next[made].decoy = decoy_of(regions[made].gpa, regions[made].size);
	}
	if (err) {
		for (uint32_t i = 0; i < made; i++)
			munmap(next[i].map, next[i].map_size);
		pthread_mutex_unlock(&rf_vm.lock);
		return err;
	}

	rf_gate_close();
	start = now_ns();
	/* A watched page inside the range holds the same bytes as the VMM's: it is mirrored. */
	for (uint32_t i = 0; i < made; i++)
		memcpy(next[i].copy, next[i].decoy, next[i].gpa.size);
	for (uint32_t i = 0; i < count; i++)
		copy_bytes += next[i].gpa.size;
	if (rf_memslots_overlay(&rf_vm.slots, next, count))
		rf_fatal("KVM refused the sealed memory slots");
	drop_kept();
	rf_vm.again = m->again;
	rf_vm.watch.armed = false;
	rf_vm.state = RF_VM_SEALED;
	*ns = now_ns() - start;
	rf_vm.board->seal_ns = *ns;
	rf_vm.board->copy_bytes = copy_bytes;
	rf_vm.board->image = m->image;
	rf_board_publish();
	rf_gate_open();
	pthread_mutex_unlock(&rf_vm.lock);
	return 0;
}

int rf_watch_arm(const struct rf_msg_watch *m)
{
	uint64_t page = rf_page_down(m->gpa), current = 0;
	struct rf_overlay o;
	int err;

	if ((m->len != 4 && m->len != 8) || m->gpa % m->len)
		return -EINVAL;
	pthread_mutex_lock(&rf_vm.lock);
	if (!m->kernel || m->kernel != atomic_load(&rf_vm.kernel))
		err = -ESTALE;
	else if (rf_vm.state == RF_VM_SEALED)
		err = -EBUSY;
	else if (!rf_slot_holding(&rf_vm.slots, page, RF_PAGE_SIZE))
		err = -EINVAL;
	else
		err = overlay_alloc(&o, RF_OVERLAY_WATCH, page, RF_PAGE_SIZE);
	if (err) {
		pthread_mutex_unlock(&rf_vm.lock);
		return err;
	}
	rf_gate_close();
	o.decoy = decoy_of(page, RF_PAGE_SIZE);
	memcpy(o.copy, o.decoy, RF_PAGE_SIZE);
	memcpy(&current, o.copy + (m->gpa - page), m->len);
	if (current == m->value) {
		munmap(o.map, o.map_size);
		err = -EALREADY;
	} else if (mprotect(o.copy, RF_PAGE_SIZE, PROT_READ)) {
		err = -errno;
		munmap(o.map, o.map_size);
	} else {
		if (rf_memslots_overlay(&rf_vm.slots, &o, 1))
			rf_fatal("KVM refused the watched page");
		rf_vm.watch = (struct rf_watch){ true, rf_gpa_of(m->gpa), m->len, m->value };
		rf_vm.state = RF_VM_WATCHED;
		rf_board_publish();
	}
	rf_gate_open();
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

int rf_mend(const struct rf_msg_mend *m)
{
	const struct rf_slot *s = NULL;
	uint64_t from = m->from;
	int err = -EINVAL;

	pthread_mutex_lock(&rf_vm.lock);
	if (!m->kernel || m->kernel != atomic_load(&rf_vm.kernel))
		err = -ESTALE;
	else if (!(m->gpa % sizeof(from)) && !rf_overlay_at(&rf_vm.slots, m->gpa))
		s = rf_slot_holding(&rf_vm.slots, m->gpa, sizeof(from));
	if (s)
		err = __atomic_compare_exchange_n(
			      (uint64_t *)(uintptr_t)(s->hva + (m->gpa - s->gpa)), &from, m->to,
			      false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)
			      ? 0
			      : -EAGAIN;
	pthread_mutex_unlock(&rf_vm.lock);
	return err;
}

void rf_kernel_found(const struct rf_msg_event *ev)
{
	pthread_mutex_lock(&rf_vm.lock);
	rf_vm.lstar = ev->msr.value;
	if (rf_vm.state == RF_VM_BOOTING)
		rf_vm.state = RF_VM_FOUND;
	rf_vm.board->kernel = ev->id;
	rf_vm.board->lstar = ev->msr.value;
	rf_vm.board->cr3 = ev->regs.cr3;
	rf_vm.board->cr4 = ev->regs.cr4;
	rf_board_publish();
	pthread_mutex_unlock(&rf_vm.lock);
}

void rf_vm_reset(const struct rf_vcpu *first)
{
	pthread_mutex_lock(&rf_vm.lock);
	rf_gate_close();
	rf_traps_forget();
	drop_kept();
	if (!first)
		keep_seals();
	if (rf_memslots_overlay(&rf_vm.slots, NULL, 0))
		rf_fatal("KVM refused the guest's own memory slots after a reset");
	/* KVM would complete a wrmsr that waited for its verdict in the next guest, and move its
	 * RIP. */
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		if (rf_vm.vcpus[i].wait.saved.reason && rf_cpu_abandon(&rf_vm.vcpus[i]))
			rf_fatal("what the guest did before its reset could not be dropped");
	for (unsigned i = 0; i < atomic_load(&rf_vm.nr_vcpus); i++)
		rf_vm.vcpus[i].left_behind = first && first != &rf_vm.vcpus[i];
	rf_vm.watch.armed = false;
	rf_vm.state = RF_VM_BOOTING;
	rf_vm.lstar = 0;
	atomic_store(&rf_vm.kernel, 0);
	rf_patch_reset();
	rf_msr_unpin();
	rf_vm.board->kernel = 0;
	rf_vm.board->copy_bytes = 0;
	rf_board_publish();
	rf_gate_open();
	pthread_mutex_unlock(&rf_vm.lock);
	rf_channel_reset();
}
