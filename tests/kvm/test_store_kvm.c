// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * rf_store_find() against KVM itself: a guest of one instruction stores to a read-only slot, and
 * what is found from the exit must be the instruction and the registers that the guest was started
 * with. This is where the claims about RIP and registers at such exits are checked on the running
 * host.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "introspection/arch.h"
#include "introspection/kernel.h"
#include "tests/kvm/store_table.h"

#define RAM 0x20000
#define SEALED 0x10000 /* two pages, read-only slot */
#define SEALED_END 0x12000
#define CODE 0x8000
#define STACK 0xa800

enum { AX, CX, DX, BX, SP, BP, SI, DI };

struct machine {
	int kvm, vm, vcpu;
	struct kvm_run *run;
	size_t run_size;
	uint8_t *ram;
	struct rf_disasm *d;
	struct rf_memory m;
	const char *skip;
};

static struct machine vm;

/* No symbols here: the stream around RIP has to do. */
int rf_kernel_symbol_extent(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			    rf_gva *end)
{
	return -ENOENT;
}

static int ram_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct machine *v = ctx;

	if (!rf_within(gpa.v, len, 0, RAM))
		return -EFAULT;
	memcpy(buf, v->ram + gpa.v, len);
	return 0;
}

static int slot(int id, uint64_t from, uint64_t to, unsigned int flags)
{
	struct kvm_userspace_memory_region r = {
		.slot = (unsigned int)id,
		.flags = flags,
		.guest_phys_addr = from,
		.memory_size = to - from,
		.userspace_addr = (uintptr_t)vm.ram + from,
	};

	return ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static void page_tables(void)
{
	uint64_t *pml4 = (uint64_t *)(vm.ram + 0x1000), *pdpt = (uint64_t *)(vm.ram + 0x2000);
	uint64_t *pd = (uint64_t *)(vm.ram + 0x3000), *pt = (uint64_t *)(vm.ram + 0x4000);

	pml4[0] = 0x2000 | 3;
	pdpt[0] = 0x3000 | 3;
	pd[0] = 0x4000 | 3;
	for (uint64_t i = 0; i < RAM / 4096; i++)
		pt[i] = i << 12 | 0x63; /* present, writable, accessed, dirty */
}

static int cpuid(void)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} all;

	all.head.nent = 256;
	return ioctl(vm.kvm, KVM_GET_SUPPORTED_CPUID, &all) || ioctl(vm.vcpu, KVM_SET_CPUID2, &all);
}

static int long_mode(void)
{
	struct kvm_segment code = {
		.type = 11, .s = 1, .present = 1, .l = 1, .g = 1, .limit = ~0u, .selector = 8
	};
	struct kvm_segment data = {
		.type = 3, .s = 1, .present = 1, .g = 1, .limit = ~0u, .selector = 16
	};
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 7 } } };
	struct kvm_sregs s;

	if (ioctl(vm.vcpu, KVM_GET_SREGS, &s))
		return -1;
	s.cs = code;
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.gs.base = SEALED;
	s.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	s.cr3 = 0x1000;
	s.cr4 = 0x40620; /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
	s.efer = 0x500;	 /* LMA LME */
	if (ioctl(vm.vcpu, KVM_SET_SREGS, &s))
		return -1;
	ioctl(vm.vcpu, KVM_SET_XCRS, &xcrs); /* without AVX its case is skipped by its #UD */
	return 0;
}

static int start(void **state)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };
	int size;

	vm.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm.kvm < 0) {
		vm.skip = "no /dev/kvm";
		return 0;
	}
	vm.vm = ioctl(vm.kvm, KVM_CREATE_VM, 0);
	size = ioctl(vm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm.ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (vm.vm < 0 || size <= 0 || vm.ram == MAP_FAILED) {
		vm.skip = "KVM makes no VM here";
		return 0;
	}
	vm.run_size = (size_t)size;
	if (ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0 ||
	    ioctl(vm.vm, KVM_ENABLE_CAP, &cap)) {
		vm.skip = "KVM lacks READONLY_MEM or EXIT_ON_EMULATION_FAILURE";
		return 0;
	}
	page_tables();
	if (slot(0, 0, SEALED, 0) || slot(1, SEALED, SEALED_END, KVM_MEM_READONLY) ||
	    slot(2, SEALED_END, RAM, 0))
		return -1;
	vm.vcpu = ioctl(vm.vm, KVM_CREATE_VCPU, 0);
	if (vm.vcpu < 0)
		return -1;
	vm.run = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm.vcpu, 0);
	if (vm.run == MAP_FAILED || cpuid() || long_mode())
		return -1;
	vm.m = (struct rf_memory){ ram_read, &vm };
	return rf_disasm_create(&vm.d);
}

static int stop(void **state)
{
	rf_disasm_destroy(vm.d);
	if (vm.run)
		munmap(vm.run, vm.run_size);
	if (vm.ram && vm.ram != MAP_FAILED)
		munmap(vm.ram, RAM);
	close(vm.vcpu);
	close(vm.vm);
	close(vm.kvm);
	return 0;
}

static void set_regs(const struct rf_regs *r)
{
	struct kvm_regs k = {
		.rax = r->gpr[0],
		.rcx = r->gpr[1],
		.rdx = r->gpr[2],
		.rbx = r->gpr[3],
		.rsp = r->gpr[4],
		.rbp = r->gpr[5],
		.rsi = r->gpr[6],
		.rdi = r->gpr[7],
		.r8 = r->gpr[8],
		.r9 = r->gpr[9],
		.r10 = r->gpr[10],
		.r11 = r->gpr[11],
		.r12 = r->gpr[12],
		.r13 = r->gpr[13],
		.r14 = r->gpr[14],
		.r15 = r->gpr[15],
		.rip = r->rip,
		.rflags = r->rflags | 2,
	};

	assert_int_equal(ioctl(vm.vcpu, KVM_SET_REGS, &k), 0);
}

static void get_regs(struct rf_regs *r)
{
	struct kvm_regs k;

	assert_int_equal(ioctl(vm.vcpu, KVM_GET_REGS, &k), 0);
	*r = (struct rf_regs){
		.gpr = { k.rax, k.rcx, k.rdx, k.rbx, k.rsp, k.rbp, k.rsi, k.rdi, k.r8, k.r9, k.r10,
			 k.r11, k.r12, k.r13, k.r14, k.r15 },
		.rip = k.rip,
		.rflags = k.rflags,
		.gs_base = SEALED,
	};
}

/* One store: all its pieces, drained as the fence does it. False: no write exit came. */
static bool run_store(struct rf_store_seen *seen, uint8_t bytes[64])
{
	const struct kvm_run *run = vm.run;
	int r = ioctl(vm.vcpu, KVM_RUN, 0);

	if (r == 0 && run->exit_reason == KVM_EXIT_INTERNAL_ERROR &&
	    run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		*seen = (struct rf_store_seen){ .gpa = { RF_STORE_GPA_UNKNOWN } };
		get_regs(&seen->regs);
		return true;
	}
	if (r || run->exit_reason != KVM_EXIT_MMIO || !run->mmio.is_write) {
		print_message("  exit %d (%d)\n", run->exit_reason, r ? errno : 0);
		return false;
	}
	*seen = (struct rf_store_seen){ .gpa = { run->mmio.phys_addr },
					.bytes = bytes,
					.rip_after = true };
	vm.run->immediate_exit = 1;
	do {
		memcpy(bytes + seen->len, run->mmio.data, run->mmio.len);
		seen->len += run->mmio.len;
		r = ioctl(vm.vcpu, KVM_RUN, 0);
	} while (!r && run->exit_reason == KVM_EXIT_MMIO && seen->len + 8 <= 64);
	vm.run->immediate_exit = 0;
	assert_true(r < 0 && errno == EINTR);
	get_regs(&seen->regs);
	return true;
}

struct one {
	const char *insn;
	uint64_t target; /* linear, the first sealed byte */
	uint64_t rdi, rcx, rflags;
	bool inexact;
	bool optional; /* the CPU may not have it */
};

static const struct one cases[] = {
	{ .insn = "8807", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "66890f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x1234 },
	{ .insn = "890f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x12345678 },
	{ .insn = "48890f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x123456789a },
	{ .insn = "48c707ffffffff", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "480fc30f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 5 },
	{ .insn = "4889bc4f00010000", .target = SEALED + 0x140, .rdi = SEALED, .rcx = 0x20 },
	{ .insn = "6548890c2520000000", .target = SEALED + 0x20, .rdi = 0, .rcx = 7 },
	{ .insn = "48890df97f0000",
	  .target = SEALED + 0,
	  .rdi = 0,
	  .rcx = 7 }, /* rip-relative, from CODE + 7 */
	{ .insn = "f3a4", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 3 },
	{ .insn = "f348a5", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 1 },
	{ .insn = "f348ab", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 9 },
	{ .insn = "f348ab",
	  .target = SEALED + 0x100,
	  .rdi = SEALED + 0x100,
	  .rcx = 9,
	  .rflags = 1 << 10 },
	{ .insn = "f3a4",
	  .target = SEALED + 0x100,
	  .rdi = SEALED + 0x100,
	  .rcx = 1,
	  .rflags = 1 << 10 },
	{ .insn = "a4", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "66ab", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rflags = 1 << 10 },
	{ .insn = "f00907", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "f0480fc10f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x77 },
	{ .insn = "f00fc10f",
	  .target = SEALED + 0x100,
	  .rdi = SEALED + 0x100,
	  .rcx = 0x77,
	  .inexact = true },
	{ .insn = "660fc10f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x77 },
	{ .insn = "48870f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .rcx = 0x99887766 },
	{ .insn = "863f", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "48873f", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "f0480fb10f",
	  .target = SEALED + 0x108,
	  .rdi = SEALED + 0x108,
	  .rcx = 3 }, /* succeeds: RAX is what stands there */
	{ .insn = "f0480fab0f",
	  .target = SEALED + 0xf8,
	  .rdi = SEALED + 0x100,
	  .rcx = (uint64_t)-1 },
	{ .insn = "f0480fba2f11", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "48ff07", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "0f9407", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "0f1107", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "f30f7f07", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "488904 24", .target = SEALED + 0x7f0, .rdi = 0 },
	{ .insn = "51", .target = SEALED + 0x7e8, .rdi = 0, .rcx = 0x1234567 },
	{ .insn = "54", .target = SEALED + 0x7e8, .rdi = 0 },
	{ .insn = "6a11", .target = SEALED + 0x7e8, .rdi = 0 },
	{ .insn = "ff36", .target = SEALED + 0x7e8, .rdi = 0 },
	{ .insn = "e8f0000000", .target = SEALED + 0x7e8, .rdi = 0 },
	{ .insn = "ffd1", .target = SEALED + 0x7e8, .rdi = 0, .rcx = CODE + 0x200 },
	{ .insn = "8f07", .target = SEALED + 0x100, .rdi = SEALED + 0x100 },
	{ .insn = "48890f",
	  .target = SEALED,
	  .rdi = SEALED - 3,
	  .rcx = 0x1122334455667788 }, /* writable, then sealed */
	{ .insn = "48890f",
	  .target = SEALED_END - 3,
	  .rdi = SEALED_END - 3,
	  .rcx = 0x1122334455667788 }, /* sealed, then writable */
	{ .insn = "48890f",
	  .target = SEALED + 0xffd,
	  .rdi = SEALED + 0xffd,
	  .rcx = 0x1122334455667788 }, /* sealed twice */
	{ .insn = "48870f",
	  .target = SEALED,
	  .rdi = SEALED - 3,
	  .rcx = 0x1122334455667788,
	  .inexact = true },
	{ .insn = "0f1107", .target = SEALED, .rdi = SEALED - 5 },
	{ .insn = "480fc70f", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .optional = true },
	{ .insn = "c5fe7f07", .target = SEALED + 0x100, .rdi = SEALED + 0x100, .optional = true },
	{ .insn = "c5fe7f07", .target = SEALED + 0xff8, .rdi = SEALED + 0xff8, .optional = true },
};

static size_t unhex(const char *hex, uint8_t *out)
{
	unsigned int v;
	size_t n = 0;
	int used;

	while (sscanf(hex, "%2x%n", &v, &used) == 1) {
		out[n++] = (uint8_t)v;
		hex += used;
	}
	return n;
}

static void one_store(const struct one *c)
{
	struct rf_paging p = { rf_gpa_of(0x1000), 4 };
	struct rf_regs before = { .rip = CODE, .rflags = c->rflags | 2, .gs_base = SEALED };
	struct rf_store_seen seen;
	struct rf_store out;
	uint8_t bytes[64];
	size_t n;

	memset(vm.ram + CODE - 64, 0x90, 1024);
	n = unhex(c->insn, vm.ram + CODE);
	for (int i = 0; i < 16; i++)
		before.gpr[i] = 0x1111222200000000 + (uint64_t)i;
	before.gpr[AX] = 0x5a5a;
	for (uint64_t i = 0; i < SEALED_END + 0x100 - (SEALED - 0x100); i += 8)
		memcpy(vm.ram + SEALED - 0x100 + i, &before.gpr[AX], 8);
	before.gpr[CX] = c->rcx;
	before.gpr[SI] = STACK + 0x100;
	before.gpr[DI] = c->rdi;
	before.gpr[SP] = c->rdi ? STACK : SEALED + 0x7f0;
	set_regs(&before);
	if (!run_store(&seen, bytes)) {
		if (!c->optional)
			fail_msg("%s did not exit as a store", c->insn);
		print_message("  %s: not on this CPU\n", c->insn);
		long_mode();
		return;
	}
	if (rf_store_find(vm.d, NULL, &vm.m, &p, &seen, &out))
		fail_msg("%s is not found: gpa %#llx len %u rip %#llx", c->insn,
			 (unsigned long long)seen.gpa.v, seen.len,
			 (unsigned long long)seen.regs.rip);
	if (out.rip.v != CODE || out.insn_len != n || out.target.v != c->target ||
	    out.exact == c->inexact)
		fail_msg("%s: found '%s' at %#llx, target %#llx, exact %d (gpa %#llx len %u)",
			 c->insn, out.text, (unsigned long long)out.rip.v,
			 (unsigned long long)out.target.v, out.exact,
			 (unsigned long long)seen.gpa.v, seen.len);
	for (int i = 0; i < 16; i++)
		if (out.before.gpr[i] != before.gpr[i])
			fail_msg("%s: register %d is %#llx, was %#llx", c->insn, i,
				 (unsigned long long)out.before.gpr[i],
				 (unsigned long long)before.gpr[i]);
	assert_int_equal(out.before.rflags & 1 << 10, before.rflags & 1 << 10);
}

static void stores(void **state)
{
	if (vm.skip) {
		print_message("  skipped: %s\n", vm.skip);
		skip();
	}
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		one_store(&cases[i]);
	print_message("  %zu stores\n", sizeof(cases) / sizeof(cases[0]));
}

static void table(void **state)
{
	if (vm.skip)
		skip();
	store_table(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(stores), cmocka_unit_test(table) };

	int failed = cmocka_run_group_tests(tests, start, stop);
	int skipped = !failed && vm.skip;

	printf("kvm-store: %d passed, %d failed, %d skipped\n", !failed && !skipped, !!failed,
	       skipped);
	return failed;
}
