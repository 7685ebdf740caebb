// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/kvm/machine.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>

#include "hv/fence.h"

#define PML4 0x1000
#define PDPT 0x2000
#define PD 0x3000
#define GDT 0x4000
#define IDT 0x5000
#define STUBS 0x7000 /* 16 bytes a vector */
#define VECTORS 32
#define PATIENCE 30 /* seconds */

#define PTE 0x63	   /* present, writable, accessed, dirty */
#define PTE_HUGE (PTE | 0x80)

struct machine vm;
static bool split_irqchip;
static __thread struct cpu *mine;

GUEST(g_read, "mov (%rdi), %rax");

void machine_need_kvm(void)
{
	int version;

	vm.kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (vm.kvm < 0)
		SKIP("/dev/kvm: %s", strerror(errno));
	version = ioctl(vm.kvm, KVM_GET_API_VERSION, 0);
	if (version != 12)
		SKIP("/dev/kvm is not KVM (version %d)", version);
	if (ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) <= 0 ||
	    ioctl(vm.kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_MSR_FILTER) <= 0)
		SKIP("this KVM lacks read-only slots or MSR filters");
}

int machine_try(void)
{
	vm.vm = rf_fence_ioctl(vm.kvm, KVM_CREATE_VM, NULL);
	return vm.vm;
}

static void write64(uint64_t gpa, uint64_t value)
{
	memcpy(vm.ram + gpa, &value, sizeof(value));
}

static void tables(void)
{
	write64(PML4, PDPT | PTE);
	write64(PDPT, PD | PTE);
	for (uint64_t i = 0; i < 8; i++)
		write64(PD + i * 8, i << 21 | PTE_HUGE);
	write64(GDT + 8, 0x00af9b000000ffff);  /* 64-bit code */
	write64(GDT + 16, 0x00cf93000000ffff); /* data */
	for (uint64_t v = 0; v < VECTORS; v++) {
		uint64_t stub = STUBS + v * 16;
		bool has_error = v == 8 || (v >= 10 && v <= 14) || v == 17 || v == 21;
		const uint8_t code[] = { 0x6a, 0, 0x6a, (uint8_t)v, 0xf4 }; /* push 0, push v, hlt */

		write64(IDT + v * 16, (stub & 0xffff) | 8 << 16 | UINT64_C(0x8e00) << 32);
		memcpy(vm.ram + stub, code + (has_error ? 2 : 0), has_error ? 3 : 5);
	}
}

void cpu_long_mode(struct cpu *c)
{
	struct kvm_segment code = { .type = 11, .s = 1, .present = 1, .l = 1, .g = 1,
				    .limit = ~0u, .selector = 8 };
	struct kvm_segment data = { .type = 3, .s = 1, .present = 1, .db = 1, .g = 1,
				    .limit = ~0u, .selector = 16 };
	struct kvm_xcrs xcrs = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 7 } } };
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cs = code;
	s.ds = s.es = s.ss = s.fs = s.gs = data;
	s.gdt.base = GDT;
	s.gdt.limit = 23;
	s.idt.base = IDT;
	/* Not 511: a table as long as the one that Linux CPUs come up with is asked about at each look. */
	s.idt.limit = 0x2ff;
	s.cr0 = 0x80010033; /* PG WP NE ET MP PE */
	s.cr3 = PML4;
	s.cr4 = 0x40620; /* OSXSAVE OSXMMEXCPT OSFXSR PAE */
	s.efer = 0x500;	 /* LMA LME */
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	cpu_ioctl(c, KVM_SET_XCRS, &xcrs); /* without AVX its case ends in #UD */
}

static void set_cpuid(struct cpu *c)
{
	static struct {
		struct kvm_cpuid2 head;
		struct kvm_cpuid_entry2 entries[256];
	} all;

	all.head.nent = 256;
	CHECK_EQ(ioctl(vm.kvm, KVM_GET_SUPPORTED_CPUID, &all), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_CPUID2, &all), 0);
}

struct cpu *machine_add_cpu(void)
{
	struct cpu *c = &vm.cpus[vm.nr_cpus];

	CHECK(vm.nr_cpus < MAX_CPUS);
	c->index = vm.nr_cpus++;
	c->fd = rf_fence_ioctl(vm.vm, KVM_CREATE_VCPU, (void *)(uintptr_t)c->index);
	CHECK(c->fd >= 0);
	c->run = mmap(NULL, vm.run_size, PROT_READ | PROT_WRITE, MAP_SHARED, c->fd, 0);
	CHECK(c->run != MAP_FAILED);
	set_cpuid(c);
	cpu_long_mode(c);
	return c;
}

int machine_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, const void *hva)
{
	struct kvm_userspace_memory_region r = { slot, flags, gpa, size, (uintptr_t)hva };

	return rf_fence_ioctl(vm.vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static void on_kick(int sig)
{
	if (mine)
		mine->run->immediate_exit = 1;
}

static void map_ram(int how)
{
	uint8_t *map = mmap(NULL, RAM_SIZE * 2, PROT_READ | PROT_WRITE, how | MAP_ANONYMOUS, -1, 0);

	CHECK(map != MAP_FAILED);
	vm.ram = (uint8_t *)(((uintptr_t)map + 0x1fffff) & ~(uintptr_t)0x1fffff);
}

void machine_share_ram(void)
{
	map_ram(MAP_SHARED);
}

void machine_split_irqchip(void)
{
	split_irqchip = true;
}

void machine_create(unsigned cpus)
{
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	struct sigaction act = { .sa_handler = on_kick };

	if (machine_try() < 0)
		FAIL("KVM_CREATE_VM: %s", strerror(errno));
	sigaction(SIGUSR1, &act, NULL);
	vm.run_size = (size_t)ioctl(vm.kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (!vm.ram)
		map_ram(MAP_PRIVATE);
	tables();
	CHECK_EQ(machine_slot(0, 0, 0, RAM_SIZE, vm.ram), 0);
	if (split_irqchip && rf_fence_ioctl(vm.vm, KVM_ENABLE_CAP, &split))
		SKIP("this KVM has no split irqchip: %s", strerror(errno));
	while (cpus--)
		machine_add_cpu();
}

/* --- reset --------------------------------------------------------------------------------------------- */

void cpu_put_mp_state(struct cpu *c)
{
	struct kvm_mp_state mp = { .mp_state = KVM_MP_STATE_RUNNABLE };

	CHECK_EQ(cpu_ioctl(c, KVM_SET_MP_STATE, &mp), 0);
}

void cpu_put_reset(struct cpu *c)
{
	struct kvm_regs r = { .rip = 0xfff0, .rflags = 2 };
	struct kvm_sregs s;

	/* In QEMU's order: target/i386/kvm/kvm.c kvm_arch_put_registers(). */
	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	s.cr0 = 0x60000010;
	s.cr2 = s.cr3 = s.cr4 = s.efer = 0;
	s.cs = (struct kvm_segment){ .base = 0xffff0000, .limit = 0xffff, .selector = 0xf000, .type = 11,
				     .present = 1, .s = 1 };
	s.ds = s.es = s.ss = s.fs = s.gs = (struct kvm_segment){ .limit = 0xffff, .type = 3, .present = 1,
								 .s = 1 };
	s.idt = s.gdt = (struct kvm_dtable){ .limit = 0xffff };
	CHECK_EQ(cpu_ioctl(c, KVM_SET_SREGS, &s), 0);
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &r), 0);
	CHECK_EQ(cpu_set_msr(c, 0xc0000082, 0), 0);
	cpu_put_mp_state(c);
}

void machine_put_reset(void)
{
	for (unsigned i = 0; i < vm.nr_cpus; i++)
		cpu_put_reset(&vm.cpus[i]);
}

int machine_settle(void)
{
	struct cpu *c = &vm.cpus[0];
	int result;

	CHECK(!c->running);
	c->run->immediate_exit = 1;
	result = cpu_ioctl(c, KVM_RUN, NULL);
	c->run->immediate_exit = 0;
	return result;
}

void machine_reset(void)
{
	machine_put_reset();
	CHECK_EQ(machine_settle(), -1);
	CHECK_EQ(errno, EINTR);
	for (unsigned i = 0; i < vm.nr_cpus; i++)
		cpu_long_mode(&vm.cpus[i]);
}

/* --- running ------------------------------------------------------------------------------------------ */

int cpu_ioctl(struct cpu *c, unsigned long request, void *arg)
{
	return rf_fence_ioctl(c->fd, request, arg);
}

uint64_t cpu_code(const struct cpu *c)
{
	return CODE + c->index * 0x1000;
}

static void *run_loop(void *arg)
{
	struct cpu *c = arg;

	mine = c;
	do {
		c->result = cpu_ioctl(c, KVM_RUN, NULL);
		c->error = errno;
		if (c->result >= 0 || c->error != EINTR)
			break;
		atomic_fetch_add(&c->eintr, 1);
		c->run->immediate_exit = 0; /* as QEMU does, kvm_eat_signals() */
	} while (!atomic_load(&c->stop));
	return NULL;
}

void cpu_start(struct cpu *c, const uint8_t *code, const uint8_t *end, const struct kvm_regs *r)
{
	struct kvm_regs regs = *r;

	CHECK(end - code <= 0x1000);
	memcpy(vm.ram + cpu_code(c), code, (size_t)(end - code));
	regs.rip = cpu_code(c);
	if (!regs.rsp)
		regs.rsp = STACK + (c->index + 1) * 0x1000;
	regs.rflags |= 2;
	CHECK_EQ(cpu_ioctl(c, KVM_SET_REGS, &regs), 0);
	CHECK(!c->running);
	c->running = true;
	atomic_store(&c->stop, 0);
	CHECK_EQ(pthread_create(&c->thread, NULL, run_loop, c), 0);
}

static void join(struct cpu *c)
{
	struct timespec t;
	int err;

	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += PATIENCE;
	err = pthread_timedjoin_np(c->thread, NULL, &t);
	if (err)
		FAIL("vCPU %u does not come back: %s", c->index, strerror(err));
	c->running = false;
}

uint32_t cpu_wait(struct cpu *c)
{
	join(c);
	if (c->result < 0 && atomic_load(&c->stop))
		return KVM_EXIT_INTR;
	if (c->result < 0)
		FAIL("vCPU %u: KVM_RUN: %s (exit %u)", c->index, strerror(c->error),
		     c->run->exit_reason);
	return c->run->exit_reason;
}

int cpu_wait_error(struct cpu *c)
{
	join(c);
	CHECK(c->result < 0);
	return c->error;
}

void cpu_is_mine(struct cpu *c)
{
	mine = c;
}

void cpu_kick(struct cpu *c)
{
	pthread_kill(c->thread, SIGUSR1);
}

void cpu_stop(struct cpu *c)
{
	atomic_store(&c->stop, 1);
	for (int i = 0; pthread_tryjoin_np(c->thread, NULL); i++) {
		CHECK(i < PATIENCE * 200);
		cpu_kick(c); /* its thread may not have begun yet */
		usleep(5000);
	}
	c->running = false;
	c->run->immediate_exit = 0; /* a kick that came when its loop had ended already */
	CHECK(c->result < 0 && c->error == EINTR);
}

struct kvm_regs cpu_regs(struct cpu *c)
{
	struct kvm_regs r;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_REGS, &r), 0);
	return r;
}

bool cpu_faulted(struct cpu *c, struct fault *f)
{
	struct kvm_regs r = cpu_regs(c);

	if (r.rip < STUBS || r.rip >= STUBS + VECTORS * 16)
		return false;
	memcpy(f, vm.ram + r.rsp, sizeof(*f));
	CHECK_EQ(f->vector, (r.rip - STUBS) / 16);
	return true;
}

uint64_t cpu_cr2(struct cpu *c)
{
	struct kvm_sregs s;

	CHECK_EQ(cpu_ioctl(c, KVM_GET_SREGS, &s), 0);
	return s.cr2;
}

struct kvm_regs cpu_do(struct cpu *c, const uint8_t *code, const uint8_t *end, struct kvm_regs r)
{
	struct fault f;

	cpu_start(c, code, end, &r);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	if (cpu_faulted(c, &f))
		FAIL("exception %d, error %#x, at %#llx", (int)f.vector, (unsigned)f.error,
		     (unsigned long long)f.rip);
	return cpu_regs(c);
}

uint64_t guest_read(struct cpu *c, uint64_t gpa)
{
	return CPU_DO(c, g_read, .rdi = gpa).rax;
}

struct one_msr {
	struct kvm_msrs head;
	struct kvm_msr_entry entry;
};

int cpu_get_msr(struct cpu *c, uint32_t index, uint64_t *value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry.index = index };
	int n = cpu_ioctl(c, KVM_GET_MSRS, &m);

	*value = m.entry.data;
	return n == 1 ? 0 : -1;
}

int cpu_set_msr(struct cpu *c, uint32_t index, uint64_t value)
{
	struct one_msr m = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	return cpu_ioctl(c, KVM_SET_MSRS, &m) == 1 ? 0 : -1;
}
