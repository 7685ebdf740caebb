// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs the table of kinds: each in a guest of its own whose target lies in a read-only slot.
 * Whatever the CPU stores, the slot's bytes stay, and KVM_RUN ends in a way that the fence has an
 * answer to; which way differs from KVM to KVM and is printed.
 */
#include "tests/kvm/store_table.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "introspection/arch.h"
#include "tests/kvm/store_kinds.h"

#define KICK_MS 60
#define KICKS 4 /* in a row with RIP at one place: it stands still */

static const char *const words[] = {
	[OUT_NONE] = "not on this CPU",
	[OUT_MMIO] = "write exit",
	[OUT_EMULATION] = "emulation failure",
	[OUT_DELIVERY] = "delivery error",
	[OUT_INTERNAL] = "internal error",
	[OUT_FAULT] = "fault, no exit",
	[OUT_STALLED] = "STALLED",
	[OUT_RAN] = "ran on",
	[OUT_SHUTDOWN] = "shutdown",
	[OUT_OTHER] = "OTHER",
	[OUT_LANDED] = "LANDED",
};

static struct kind_vm v;
static int kvm = -1;
static size_t run_size;
static uint8_t before[KINDS_SEALED_END - KINDS_SEALED];
static struct {
	struct kvm_cpuid2 head;
	struct kvm_cpuid_entry2 entries[256];
} cpuid;

static void kick(int sig)
{
	(void)sig;
	v.run->immediate_exit = 1;
}

static bool has(const struct kind *k)
{
	for (unsigned int i = 0; k->cpu.leaf && i < cpuid.head.nent; i++) {
		const struct kvm_cpuid_entry2 *e = &cpuid.entries[i];
		const uint32_t r[4] = { e->eax, e->ebx, e->ecx, e->edx };

		if (e->function == k->cpu.leaf && e->index == k->cpu.sub)
			return r[k->cpu.reg] >> k->cpu.bit & 1;
	}
	return !k->cpu.leaf;
}

static void put(uint64_t gpa, uint64_t value)
{
	memcpy(v.ram + gpa, &value, 8);
}

static void slot(uint32_t id, uint32_t flags, uint64_t from, uint64_t to)
{
	struct kvm_userspace_memory_region r = { .slot = id,
						 .flags = flags,
						 .guest_phys_addr = from,
						 .memory_size = to - from,
						 .userspace_addr = (uintptr_t)v.ram + from };

	assert_int_equal(ioctl(v.vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
}

static void tables(void)
{
	static const uint64_t entries[16] = {
		[0x08 / 8] = 0x00af9b000000ffff, /* code */
		[0x10 / 8] = 0x00cf93000000ffff, /* data */
		[0x18 / 8] = 0x00affb000000ffff, /* the same of ring 3 */
		[0x20 / 8] = 0x00cff3000000ffff,
		[0x28 / 8] = 0x00008b0000000067 | KINDS_TSS << 16,  /* busy */
		[0x38 / 8] = 0x00cf92000000ffff,		    /* data, never accessed */
		[0x40 / 8] = 0x0000890000000067 | KINDS_TSS << 16,  /* not busy */
		[0x50 / 8] = 0x00af9a000000ffff,		    /* code, never accessed */
		[0x58 / 8] = 0x0000ec0000080000 | (KINDS_CODE + 2), /* ring 3's gate to code */
		[0x68 / 8] = 0x0000890000000067 | (uint64_t)KINDS_DATA << 16, /* of 32 bits */
		[0x70 / 8] = 0x00cf9b000000ffff,			      /* code of 32 bits */
	};

	memcpy(v.ram + KINDS_GDT, entries, sizeof(entries));
	put(0x1000, 0x2067);
	put(0x2000, 0x3067);
	put(0x3000, 0x4067);
	for (uint64_t i = 0; i < 512; i++)
		put(0x4000 + 8 * i, i << 12 | 0x67); /* present, writable, user, accessed, dirty */
	put(0x4000 + 8 * (KINDS_UNMAPPED >> 12), 0);
	for (uint64_t i = 0; i < 256; i++) {
		uint64_t at = KINDS_HANDLERS + 4 * i;

		memcpy(v.ram + at, (uint8_t[]){ 0xb0, (uint8_t)i, 0xf4, 0x90 }, 4);
		put(KINDS_IDT + 16 * i, at | 0x80000 | UINT64_C(0xee01) << 32); /* IST 1 */
	}
	for (uint64_t at = KINDS_TSS + 4; at < KINDS_TSS + 0x5c; at += 8)
		put(at, KINDS_IST);
	memset(v.ram + KINDS_BEFORE, 0x5a, KINDS_SEALED_END - KINDS_BEFORE);
	memset(v.ram + KINDS_DATA, 0x11, 0x1000);
}

static void registers(void)
{
	struct kvm_segment code = {
		.type = 11, .s = 1, .present = 1, .l = 1, .g = 1, .limit = ~0u
	};
	struct kvm_segment data = {
		.type = 3, .s = 1, .present = 1, .db = 1, .g = 1, .limit = ~0u
	};
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 7 } } };
	const struct kind zmm = { .cpu = { 7, 0, 1, 16 } };

	assert_int_equal(ioctl(v.vcpu, KVM_GET_SREGS, &v.sregs), 0);
	code.selector = 8;
	data.selector = 16;
	v.sregs.cs = code;
	v.sregs.ds = v.sregs.es = v.sregs.ss = v.sregs.fs = v.sregs.gs = data;
	v.sregs.tr = (struct kvm_segment){
		.base = KINDS_TSS, .limit = 0x67, .selector = 0x28, .type = 11, .present = 1
	};
	v.sregs.gdt = (struct kvm_dtable){ .base = KINDS_GDT, .limit = 0x7f };
	v.sregs.idt = (struct kvm_dtable){ .base = KINDS_IDT, .limit = 0xfff };
	v.sregs.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	v.sregs.cr3 = 0x1000;
	v.sregs.cr4 = 0x40620; /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
	v.sregs.efer = 0x500;  /* LMA LME */
	v.regs = (struct kvm_regs){
		.rax = 7,
		.rcx = 3,
		.rsi = KINDS_DATA + 0x200,
		.rdi = KINDS_TARGET,
		.rsp = KINDS_STACK - 0x100,
		.rbp = KINDS_DATA + 0x900,
		.rip = KINDS_CODE,
		.rflags = 2,
	};
	if (has(&zmm))
		xcrs.xcrs[0].value = 0xe7;
	ioctl(v.vcpu, KVM_SET_XCRS, &xcrs); /* where there is no AVX there are no kinds of it */
}

static void begin(const struct kind *k, bool sealed)
{
	struct kvm_enable_cap cap = { .cap = KVM_CAP_EXIT_ON_EMULATION_FAILURE, .args = { 1 } };

	v.vm = ioctl(kvm, KVM_CREATE_VM, 0);
	assert_true(v.vm >= 0);
	v.ram = mmap(NULL, KINDS_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(v.ram != MAP_FAILED);
	assert_int_equal(ioctl(v.vm, KVM_ENABLE_CAP, &cap), 0);
	slot(0, 0, 0, KINDS_SEALED);
	slot(1, sealed ? KVM_MEM_READONLY : 0, KINDS_SEALED, KINDS_SEALED_END);
	slot(2, 0, KINDS_SEALED_END, KINDS_RAM);
	v.vcpu = ioctl(v.vm, KVM_CREATE_VCPU, 0);
	assert_true(v.vcpu >= 0);
	v.run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v.vcpu, 0);
	assert_true(v.run != MAP_FAILED);
	assert_int_equal(ioctl(v.vcpu, KVM_SET_CPUID2, &cpuid), 0);
	tables();
	registers();
	memset(v.ram + KINDS_CODE - 0x100, 0x90, 0x100); /* what stands before is a stream too */
	memcpy(v.ram + KINDS_CODE, k->code, (size_t)(k->end - k->code));
	if (k->setup)
		k->setup(&v);
	memcpy(before, v.ram + KINDS_SEALED, sizeof(before));
	if (ioctl(v.vcpu, KVM_SET_SREGS, &v.sregs))
		fail_msg("%s: KVM_SET_SREGS: %s", k->name, strerror(errno));
	assert_int_equal(ioctl(v.vcpu, KVM_SET_REGS, &v.regs), 0);
}

static void end(void)
{
	munmap(v.run, run_size);
	close(v.vcpu);
	close(v.vm);
	munmap(v.ram, KINDS_RAM);
}

static struct kvm_regs regs(void)
{
	struct kvm_regs r;

	assert_int_equal(ioctl(v.vcpu, KVM_GET_REGS, &r), 0);
	return r;
}

/* A write exit: all of the store. */
static struct {
	uint64_t gpa;
	uint32_t len;
	uint8_t bytes[512];
} told;

/* As the fence takes it. */
static void drain(char *text, size_t size)
{
	unsigned int exits = 0;
	int r;

	told.gpa = v.run->mmio.phys_addr;
	told.len = 0;
	v.run->immediate_exit = 1;
	do {
		assert_true(told.len + v.run->mmio.len <= sizeof(told.bytes));
		memcpy(told.bytes + told.len, v.run->mmio.data, v.run->mmio.len);
		told.len += v.run->mmio.len;
		exits++;
		r = ioctl(v.vcpu, KVM_RUN, 0);
	} while (!r && v.run->exit_reason == KVM_EXIT_MMIO);
	v.run->immediate_exit = 0;
	snprintf(text, size, "%u bytes at +0x%llx, %u exits, RIP +%lld%s", told.len,
		 (unsigned long long)(told.gpa - KINDS_SEALED), exits,
		 (long long)(regs().rip - KINDS_CODE),
		 r < 0 && errno == EINTR ? "" : ", then OTHER");
}

static enum outcome internal_error(char *text, size_t size)
{
	const struct kvm_run *run = v.run;
	int n;

	if (run->internal.suberror == KVM_INTERNAL_ERROR_EMULATION) {
		bool bytes = run->emulation_failure.ndata >= 3 &&
			     run->emulation_failure.flags &
				     KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES;

		snprintf(text, size, "ndata %u, %u bytes, RIP +%lld", run->emulation_failure.ndata,
			 bytes ? run->emulation_failure.insn_size : 0,
			 (long long)(regs().rip - KINDS_CODE));
		return OUT_EMULATION;
	}
	n = snprintf(text, size, "suberror %u:", run->internal.suberror);
	for (uint32_t i = 0; i < run->internal.ndata && i < 8 && n > 0 && (size_t)n < size; i++)
		n += snprintf(text + n, size - (size_t)n, " %llx",
			      (unsigned long long)run->internal.data[i]);
	return run->internal.suberror == KVM_INTERNAL_ERROR_DELIVERY_EV ? OUT_DELIVERY
									: OUT_INTERNAL;
}

/* Port I/O of a string: bytes for it. */
static void io(void)
{
	if (v.run->io.direction == KVM_EXIT_IO_IN)
		memset((uint8_t *)v.run + v.run->io.data_offset, 0xee,
		       (size_t)v.run->io.size * v.run->io.count);
}

static enum outcome run(char *text, size_t size)
{
	const struct itimerval on = { { 0, KICK_MS * 1000 }, { 0, KICK_MS * 1000 } }, off = { 0 };
	enum outcome out = OUT_OTHER;
	unsigned int kicks = 0, turns;
	uint64_t at = 0;

	setitimer(ITIMER_REAL, &on, NULL);
	for (turns = 0; turns < 100; turns++) {
		int r = ioctl(v.vcpu, KVM_RUN, 0);
		uint64_t rip = regs().rip;

		if (r < 0 && errno == EINTR) {
			v.run->immediate_exit = 0;
			kicks = rip == at ? kicks + 1 : 1;
			at = rip;
			if (kicks < KICKS)
				continue;
			snprintf(text, size, "RIP +%lld", (long long)(rip - KINDS_CODE));
			out = OUT_STALLED;
			break;
		}
		if (r < 0) {
			snprintf(text, size, "KVM_RUN: %s", strerror(errno));
			break;
		}
		if (v.run->exit_reason == KVM_EXIT_IO) {
			io();
			continue;
		}
		setitimer(ITIMER_REAL, &off, NULL);
		v.run->immediate_exit = 0;
		if (v.run->exit_reason == KVM_EXIT_MMIO && v.run->mmio.is_write) {
			drain(text, size);
			out = OUT_MMIO;
		} else if (v.run->exit_reason == KVM_EXIT_INTERNAL_ERROR) {
			out = internal_error(text, size);
		} else if (v.run->exit_reason == KVM_EXIT_SHUTDOWN) {
			out = OUT_SHUTDOWN;
		} else if (v.run->exit_reason == KVM_EXIT_HLT && rip >= KINDS_HANDLERS &&
			   rip < KINDS_HANDLERS + 0x400) {
			snprintf(text, size, "vector %llu",
				 (unsigned long long)(rip - KINDS_HANDLERS) / 4);
			out = OUT_FAULT;
		} else if (v.run->exit_reason == KVM_EXIT_HLT) {
			snprintf(text, size, "RIP +%lld", (long long)(rip - KINDS_CODE));
			out = OUT_RAN;
		} else {
			snprintf(text, size, "exit reason %u", v.run->exit_reason);
		}
		break;
	}
	setitimer(ITIMER_REAL, &off, NULL);
	v.run->immediate_exit = 0;
	if (memcmp(before, v.ram + KINDS_SEALED, sizeof(before))) {
		size_t i = 0;

		while (before[i] == v.ram[KINDS_SEALED + i])
			i++;
		snprintf(text, size, "at +0x%zx (%s)", i, words[out]);
		out = OUT_LANDED;
	}
	return out;
}

static int ram_read(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	(void)ctx;
	if (!rf_within(gpa.v, len, 0, KINDS_RAM))
		return -EFAULT;
	memcpy(buf, v.ram + gpa.v, len);
	return 0;
}

/* What the monitor makes of it: from what was written, or off the instruction at RIP. */
static const char *found(struct rf_disasm *d, const struct kind *k, enum outcome out, char *text,
			 size_t size)
{
	const struct rf_memory m = { ram_read, NULL };
	const struct rf_paging p = { rf_gpa_of(v.sregs.cr3), 4 };
	const struct kvm_regs r = regs(), *b = &v.regs;
	const uint64_t were[8] = { b->rax, b->rcx, b->rdx, b->rbx, b->rsp, b->rbp, b->rsi, b->rdi };
	struct rf_store_seen seen = {
		.regs = { .gpr = { r.rax, r.rcx, r.rdx, r.rbx, r.rsp, r.rbp, r.rsi, r.rdi },
			  .rip = r.rip,
			  .rflags = r.rflags },
		.gpa = { RF_STORE_GPA_UNKNOWN },
	};
	struct rf_store s;

	if (out == OUT_MMIO) {
		seen.gpa.v = told.gpa;
		seen.len = told.len;
		seen.bytes = told.bytes;
		seen.rip_after = true;
	} else if (r.rip != KINDS_CODE + k->at) {
		return "RIP is elsewhere";
	}
	if (rf_store_find(d, NULL, &m, &p, &seen, &s))
		return "no store is found";
	snprintf(text, size, "found '%s' at +%lld, %u bytes at 0x%llx", s.text,
		 (long long)(s.rip.v - KINDS_CODE), s.size, (unsigned long long)s.operand.v);
	if (s.rip.v != KINDS_CODE + k->at || s.target.v != k->target ||
	    (s.size != k->size && out != OUT_MMIO))
		return text;
	for (int i = 0; i < 8; i++)
		if (s.before.gpr[i] != were[i])
			return "a register is not as it was";
	return NULL;
}

/* What the fence has an answer to: an event with a record, then the guest's fault. */
static const uint32_t answered =
	BIT(OUT_MMIO) | BIT(OUT_EMULATION) | BIT(OUT_STALLED) | BIT(OUT_DELIVERY);

enum result { GOOD, WRONG, SKIPPED };

static enum result one(struct rf_disasm *d, const struct kind *k)
{
	char text[160] = "", wrong[160];
	const char *not_found = NULL;
	enum outcome out = OUT_NONE;
	bool good;

	/* The control: where nothing is sealed the same store lands. Else this KVM cannot do it at
	 * all. */
	if (has(k)) {
		begin(k, false);
		out = run(text, sizeof(text));
		end();
	}
	if (out != OUT_LANDED) {
		print_message("  %-28s skipped: %s%s%s%s\n", k->name, words[out],
			      out ? " where nothing is sealed" : "", *text ? ": " : "", text);
		return SKIPPED;
	}
	begin(k, true);
	text[0] = 0;
	out = run(text, sizeof(text));
	if (k->target && BIT(out) & (BIT(OUT_MMIO) | BIT(OUT_EMULATION) | BIT(OUT_STALLED)))
		not_found = found(d, k, out, wrong, sizeof(wrong));
	end();
	good = !not_found && (answered | k->also) >> out & 1;
	print_message("  %-28s %-18s %s%s%s%s\n", k->name, words[out], text, not_found ? "; " : "",
		      not_found ? not_found : "", good ? "" : " <- WRONG");
	return good ? GOOD : WRONG;
}

void store_table(void **state)
{
	struct sigaction act = { .sa_handler = kick }, old;
	struct rf_disasm *d;
	unsigned int count[3] = { 0 };

	(void)state;
	kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (kvm < 0)
		skip(); /* with the reason that the program gives */
	cpuid.head.nent = 256;
	assert_int_equal(ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &cpuid), 0);
	run_size = (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	assert_int_equal(rf_disasm_create(&d), 0);
	sigaction(SIGALRM, &act, &old);
	for (unsigned int i = 0; i < kinds_count; i++)
		count[one(d, &kinds[i])]++;
	sigaction(SIGALRM, &old, NULL);
	rf_disasm_destroy(d);
	close(kvm);
	print_message("  %u kinds of store as they should be, %u not, %u skipped\n", count[GOOD],
		      count[WRONG], count[SKIPPED]);
	if (count[WRONG] || !count[GOOD])
		fail_msg("a store ended in a way that the fence has no answer to");
}
