// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The MSR filter: the VMM's ranges and ours as one. Ours are LSTAR, which shows a kernel, and, from
 * the seal on, the MSRs that the monitor pins. The first range that matches decides (api.rst,
 * KVM_X86_SET_MSR_FILTER), so ours come first. Changed under rf_vm.lock.
 */
#include <string.h>

#include "hv/vmx/msr.h"
#include "hv/vmx/cpu.h"
#include "hv/vmx/cr.h"
#include "hv/vmx/decode.h"

#define MSR_SYSENTER_EIP 0x176u
#define GROUP 64 /* MSRs that one of our ranges spans at most */

static struct {
	struct kvm_msr_filter filter; /* the VMM's; its bitmaps point into `bits` */
	uint8_t bits[KVM_MSR_FILTER_MAX_RANGES][KVM_MSR_FILTER_MAX_BITMAP_SIZE];
} vmm = { .filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW };

static struct {
	_Atomic uint32_t count;
	struct rf_pinned pins[RF_PIN_MAX];
} pinned, before;      /* the last release */
static bool is_pinned; /* also where the monitor asked for no MSR */

/* --- the filter ----------------------------------------------------------- */

struct groups {
	struct kvm_msr_filter_range ranges[KVM_MSR_FILTER_MAX_RANGES];
	uint8_t bits[KVM_MSR_FILTER_MAX_RANGES][GROUP / 8];
	size_t count;
};

/* Adds an MSR to the range it fits into, or opens one. A clear bit denies. */
static int group(struct groups *g, uint32_t index)
{
	for (size_t i = 0; i < g->count; i++) {
		struct kvm_msr_filter_range *r = &g->ranges[i];

		if (index < r->base || index - r->base >= GROUP)
			continue;
		g->bits[i][(index - r->base) / 8] &= (uint8_t) ~(1u << ((index - r->base) % 8));
		if (index - r->base >= r->nmsrs)
			r->nmsrs = index - r->base + 1;
		return 0;
	}
	if (g->count == KVM_MSR_FILTER_MAX_RANGES)
		return -ENOSPC;
	memset(g->bits[g->count], 0xff, GROUP / 8);
	g->bits[g->count][0] = 0xfe;
	g->ranges[g->count] = (struct kvm_msr_filter_range){
		.flags = KVM_MSR_FILTER_WRITE,
		.nmsrs = 1,
		.base = index,
		.bitmap = g->bits[g->count],
	};
	g->count++;
	return 0;
}

/* What the VMM's filter alone says of a write. */
static bool theirs_allows(const struct kvm_msr_filter *theirs, uint32_t index)
{
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		const struct kvm_msr_filter_range *r = &theirs->ranges[i];
		uint32_t bit = index - r->base;

		if (index >= r->base && bit < r->nmsrs && r->flags & KVM_MSR_FILTER_WRITE)
			return r->bitmap[bit / 8] >> (bit % 8) & 1;
	}
	return !(theirs->flags & KVM_MSR_FILTER_DEFAULT_DENY);
}

static int set_filter(int vm_fd, const struct kvm_msr_filter *theirs, const struct rf_pinned *pins,
		      uint32_t count)
{
	struct kvm_msr_filter f = { .flags = theirs->flags };
	struct groups g = { .count = 0 };
	int err = 0;

	/* Ascending, so that neighbours share a range; LSTAR among them. */
	for (uint32_t i = 0; !err && i < count; i++)
		err = group(&g, pins[i].index);
	if (!err)
		err = group(&g, RF_MSR_LSTAR);
	if (err)
		return err;
	/* Between two of ours the first range still decides: it says there what theirs would. */
	for (size_t i = 0; i < g.count; i++)
		for (uint32_t n = 0; n < g.ranges[i].nmsrs; n++)
			if (!theirs_allows(theirs, g.ranges[i].base + n))
				g.bits[i][n / 8] &= (uint8_t) ~(1u << (n % 8));
	memcpy(f.ranges, g.ranges, g.count * sizeof(f.ranges[0]));
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		if (!theirs->ranges[i].nmsrs)
			continue;
		if (g.count == KVM_MSR_FILTER_MAX_RANGES)
			return -ENOSPC;
		f.ranges[g.count++] = theirs->ranges[i];
	}
	return rf_kvm(vm_fd, KVM_X86_SET_MSR_FILTER, &f);
}

int rf_msr_filter_init(int vm_fd)
{
	return set_filter(vm_fd, &vmm.filter, NULL, 0);
}

int rf_msr_filter_merge(int vm_fd, const struct kvm_msr_filter *theirs)
{
	struct kvm_msr_filter copy = { .flags = theirs->flags };
	int err;

	RF_LOCKED();
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		copy.ranges[i] = theirs->ranges[i];
		if (copy.ranges[i].nmsrs > KVM_MSR_FILTER_MAX_BITMAP_SIZE * 8)
			return -EINVAL;
	}
	err = set_filter(vm_fd, &copy, pinned.pins, pinned.count);
	if (err)
		return err;
	for (size_t i = 0; i < KVM_MSR_FILTER_MAX_RANGES; i++) {
		if (copy.ranges[i].nmsrs)
			memcpy(vmm.bits[i], copy.ranges[i].bitmap, (copy.ranges[i].nmsrs + 7) / 8);
		copy.ranges[i].bitmap = vmm.bits[i];
	}
	vmm.filter = copy;
	return 0;
}

/* --- pins ----------------------------------------------------------------- */

int rf_arch_pin(const struct rf_msg_pin *m, struct rf_vcpu *boot, bool again)
{
	struct rf_pinned next[RF_PIN_MAX];
	uint32_t count = 0;
	int err = 0;

	if (m->count > RF_PIN_MAX)
		return -EINVAL;
	/* A kernel whose CR bits alone are pinned is pinned as well. */
	if (is_pinned)
		return -EALREADY;
	rf_gate_close(); /* a vCPU's registers cannot be read while it runs */
	for (uint32_t i = 0; !err && i < m->count; i++) {
		struct rf_pinned p = { m->pins[i].index, m->pins[i].how, m->pins[i].mask, 0 };

		if (p.how != RF_PIN_VALUE && p.how != RF_PIN_ASK)
			err = -EINVAL;
		if (count && p.index <= next[count - 1].index)
			err = -EINVAL;
		/* What this VM has not got gives #GP without us. */
		if (!err && !rf_cpu_get_msr(boot, p.index, &p.value)) {
			/* SVM keeps 32 bits for an AMD guest, whose SYSENTER is #UD in long mode
			 * (arch/x86/kvm/svm/svm.c svm_get_msr()). */
			if (p.index == MSR_SYSENTER_EIP && !(p.value >> 32))
				p.mask &= UINT32_MAX;
			/* The CPU is about to load what it had before. */
			for (uint32_t n = 0; again && n < before.count; n++)
				if (before.pins[n].index == p.index)
					p = before.pins[n];
			next[count++] = p;
		}
	}
	if (!err)
		err = rf_cr_pin(boot, m->cr0, m->cr4, again);
	if (!err) {
		err = set_filter(rf_vm.fd, &vmm.filter, next, count);
		if (err)
			rf_cr_unpin();
	}
	if (!err) {
		memcpy(pinned.pins, next, count * sizeof(next[0]));
		atomic_store(&pinned.count, count);
		is_pinned = true;
	}
	rf_gate_open();
	return err;
}

void rf_msr_unpin(void)
{
	if (is_pinned)
		before = pinned;
	pinned.count = 0;
	is_pinned = false;
	rf_cr_unpin();
	if (set_filter(rf_vm.fd, &vmm.filter, NULL, 0))
		rf_fatal("KVM refused the MSR filter after a reset");
}

bool rf_msr_pinned(uint32_t index, struct rf_pinned *out)
{
	RF_LOCKED();
	for (uint32_t i = 0; i < pinned.count; i++) {
		if (pinned.pins[i].index != index)
			continue;
		*out = pinned.pins[i];
		return true;
	}
	return false;
}

bool rf_msr_vmm_denies(uint32_t index)
{
	RF_LOCKED();
	return !theirs_allows(&vmm.filter, index);
}

bool rf_msr_ours(uint32_t index)
{
	for (uint32_t i = 0; i < atomic_load(&pinned.count); i++)
		if (pinned.pins[i].index == index)
			return true;
	return false;
}

#define MSR_PAT 0x277u
#define PAT_AT_RESET UINT64_C(0x0007040600070406) /* SDM vol. 3A table 12-12 */

/* What a CPU has until the kernel has set it up. */
static bool fresh(uint32_t index, uint64_t value)
{
	return !value || (index == MSR_PAT && value == PAT_AT_RESET);
}

bool rf_msr_look(struct rf_vcpu *v, uint64_t lstar, struct rf_msg_event *out)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entries[RF_PIN_MAX + 1];
	} m = { .head.nmsrs = 0 };
	struct rf_pinned pins[RF_PIN_MAX + 1];
	struct rf_kept *k = &v->arch->kept;
	bool whole = true;
	uint32_t i, at = 0, n = 0;

	pthread_mutex_lock(&rf_vm.lock);
	for (i = 0; i < pinned.count; i++)
		if (pinned.pins[i].how == RF_PIN_VALUE)
			pins[n++] = pinned.pins[i];
	pthread_mutex_unlock(&rf_vm.lock);
	if (n)
		pins[n++] = (struct rf_pinned){ RF_MSR_LSTAR, RF_PIN_VALUE, UINT64_MAX, lstar };
	m.head.nmsrs = n;
	for (i = 0; i < n; i++)
		m.entries[i].index = pins[i].index;
	if (n && rf_kvm(v->fd, KVM_GET_MSRS, &m) != (int)n)
		rf_fatal("a pinned MSR could not be read");
	/* In turn: one that is spoilt again before each look keeps no other from being found. */
	for (i = 0; i < n; i++) {
		uint64_t bit;

		at = (k->msr_next + i) % n;
		bit = UINT64_C(1) << at;
		if (!((m.entries[at].data ^ pins[at].value) & pins[at].mask)) {
			k->msrs_told &= ~bit;
			continue;
		}
		whole = false;
		if (k->msrs_told & bit && k->msr_values[at] == m.entries[at].data)
			continue;
		if (k->msrs_set || !fresh(pins[at].index, m.entries[at].data))
			break;
	}
	/* It had them all once: none is fresh any more. INIT leaves them (x86.c
	 * kvm_vcpu_reset()). */
	if (n && whole)
		k->msrs_set = true;
	/* A guest's hypervisor loads its guest's, with GIF clear, before it runs it. */
	if (i == n || rf_cpu_switching(v))
		return false;
	k->msr_next = at + 1;
	k->msrs_told |= UINT64_C(1) << at;
	k->msr_values[at] = m.entries[at].data;
	out->msr.index = pins[at].index;
	out->msr.value = m.entries[at].data;
	/* To be put back: the rest of it is the guest's. */
	out->msr.pinned = (pins[at].value & pins[at].mask) | (m.entries[at].data & ~pins[at].mask);
	return true;
}
