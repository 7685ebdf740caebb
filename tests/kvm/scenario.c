// SPDX-License-Identifier: LGPL-2.1-or-later
#include "tests/kvm/scenario.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

GUEST(g_wrmsr, "wrmsr");
GUEST(g_store, "mov %rcx, (%rdi)");

struct kvm_regs before;

void ask(void)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", monitor_link());
	CHECK_EQ(setenv("RINGFENCE_LINK", text, 1), 0);
}

void protected_machine(unsigned cpus)
{
	machine_need_kvm();
	ask();
	monitor_start(MONITOR_GOOD);
	machine_create(cpus);
	monitor_await_vm();
	CHECK_EQ(monitor_board()->magic, RF_BOARD_MAGIC);
	CHECK_EQ(monitor_board()->state, RF_VM_BOOTING);
}

uint64_t kernel_starts(unsigned n)
{
	struct rf_msg_event ev;

	CPU_START(&vm.cpus[0], g_wrmsr, .rcx = LSTAR, .rax = (uint32_t)KERNEL_ENTRY,
		  .rdx = KERNEL_ENTRY >> 32);
	ev = monitor_event(n, RF_EVENT_KERNEL);
	CHECK_EQ(ev.vcpu, 0);
	CHECK_EQ(ev.msr.index, LSTAR);
	CHECK_EQ(ev.msr.value, KERNEL_ENTRY);
	CHECK_EQ(ev.regs.rip, cpu_code(&vm.cpus[0]));
	CHECK_EQ(ev.regs.gpr[1], LSTAR);
	CHECK_EQ(ev.regs.cr3, 0x1000);
	CHECK_EQ(ev.regs.cpl, 0);
	return ev.id;
}

void kernel_goes_on(uint64_t kernel)
{
	struct fault f;
	uint64_t value;

	monitor_allow(kernel);
	CHECK_EQ(cpu_wait(&vm.cpus[0]), KVM_EXIT_HLT);
	CHECK(!cpu_faulted(&vm.cpus[0], &f));
	CHECK_EQ(cpu_get_msr(&vm.cpus[0], LSTAR, &value), 0);
	CHECK_EQ(value, KERNEL_ENTRY);
	CHECK_EQ(monitor_board()->kernel, kernel);
	CHECK_EQ(monitor_board()->lstar, KERNEL_ENTRY);
}

void fill_pattern(void)
{
	for (uint64_t gpa = SEALED - 0x1000; gpa < OTHER + 0x2000; gpa += 8) {
		uint64_t value = PATTERN(gpa);

		memcpy(vm.ram + gpa, &value, sizeof(value));
	}
}

const struct rf_region both_regions[2] = {
	{ SEALED, SEALED_SIZE, UINT64_C(0xffffffff81000000), RF_REGION_TEXT, 0 },
	{ OTHER, 0x1000, UINT64_C(0xffffffff82000000), RF_REGION_RODATA, 0 },
};

int seal_both(uint64_t kernel)
{
	return monitor_seal(kernel, both_regions, 2);
}

int seal_both_fresh(uint64_t kernel)
{
	return monitor_seal_how(kernel, both_regions, 2, RF_SEAL_FRESH);
}

uint8_t *sealed_copy(uint64_t gpa)
{
	const volatile struct rf_board *b = monitor_board();
	bool sealed = false;

	for (uint32_t i = 0; i < b->regions_count; i++)
		sealed |= gpa >= b->regions[i].gpa && gpa - b->regions[i].gpa < b->regions[i].size;
	for (uint32_t i = 0; sealed && i < b->runs_count; i++)
		if (gpa >= b->runs[i].gpa && gpa - b->runs[i].gpa < b->runs[i].size)
			return (uint8_t *)(uintptr_t)(b->runs[i].hva + (gpa - b->runs[i].gpa));
	return NULL;
}

uint64_t sealed_machine(unsigned cpus)
{
	uint64_t kernel;

	protected_machine(cpus);
	fill_pattern();
	kernel = kernel_starts(0);
	CHECK_EQ(seal_both(kernel), 0);
	CHECK_EQ(monitor_board()->state, RF_VM_SEALED);
	CHECK_EQ(monitor_board()->regions_count, 2);
	CHECK_EQ(monitor_board()->copy_bytes, SEALED_SIZE + 0x1000);
	kernel_goes_on(kernel);
	CHECK(sealed_copy(SEALED) && sealed_copy(OTHER) && sealed_copy(SEALED) != vm.ram + SEALED);
	/* Huge pages survive only so. */
	CHECK_EQ((uintptr_t)sealed_copy(SEALED) % 0x200000, SEALED % 0x200000);
	CHECK_EQ((uintptr_t)sealed_copy(OTHER) % 0x200000, OTHER % 0x200000);
	check_pattern(&vm.cpus[0], SEALED);
	check_pattern(&vm.cpus[0], SEALED + SEALED_SIZE - 8);
	check_pattern(&vm.cpus[0], OTHER);
	return kernel;
}

void check_pattern(struct cpu *c, uint64_t gpa)
{
	uint64_t value;

	CHECK_EQ(guest_read(c, gpa), PATTERN(gpa));
	memcpy(&value, sealed_copy(gpa), sizeof(value));
	CHECK_EQ(value, PATTERN(gpa));
	memcpy(&value, vm.ram + gpa, sizeof(value));
	CHECK_EQ(value, PATTERN(gpa));
}

bool deny_at_code(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	const struct kvm_regs *r = &before;
	const uint64_t gpr[16] = { r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				   r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15 };

	if (ev->kind != RF_EVENT_WRITE && ev->kind != RF_EVENT_EMULATION)
		return true;
	v->verdict = RF_VERDICT_DENY;
	v->vector = 14;
	v->error_code = 3; /* present, write */
	v->cr2 = ev->kind == RF_EVENT_WRITE ? ev->write.gpa : r->rdi;
	memcpy(v->gpr, gpr, sizeof(gpr));
	v->rip = cpu_code(&vm.cpus[ev->vcpu]);
	v->rflags = r->rflags | 2;
	return true;
}

void fault_where_it_is(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	v->vector = 13;
	memcpy(v->gpr, ev->regs.gpr, sizeof(v->gpr));
	v->rip = ev->regs.rip;
	v->rflags = ev->regs.rflags;
}

bool allow(const struct rf_msg_event *ev, struct rf_msg_verdict *v)
{
	return true;
}

void store_is_denied(struct cpu *c, uint64_t gpa)
{
	uint64_t was = guest_read(c, gpa);
	struct fault f;

	before = (struct kvm_regs){ .rdi = gpa,
				    .rcx = ~was,
				    .rsp = STACK + (c->index + 1) * 0x1000 };
	monitor_set_judge(deny_at_code);
	CPU_START(c, g_store, .rdi = gpa, .rcx = ~was);
	CHECK_EQ(cpu_wait(c), KVM_EXIT_HLT);
	monitor_set_judge(NULL);
	CHECK(cpu_faulted(c, &f));
	CHECK_EQ(f.vector, 14);
	CHECK_EQ(guest_read(c, gpa), was);
}

void guest_has_msr(struct cpu *c, uint32_t index, uint64_t value)
{
	struct {
		struct kvm_msrs head;
		struct kvm_msr_entry entry;
	} m = { .head.nmsrs = 1, .entry = { .index = index, .data = value } };

	CHECK_EQ(ioctl(c->fd, KVM_SET_MSRS, &m), 1);
}

void await_change(uint64_t gpa, uint64_t from)
{
	for (int ms = 0; *(volatile uint64_t *)(vm.ram + gpa) == from; ms++) {
		CHECK(ms < 10000);
		usleep(1000);
	}
}

void ends_the_vm(void (*body)(void), const char *said)
{
	char text[1024] = "";
	size_t have = 0;
	int fds[2], status;
	ssize_t n;
	pid_t pid;

	CHECK_EQ(pipe(fds), 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(fds[0]);
		dup2(fds[1], STDERR_FILENO);
		close(fds[1]);
		body();
		_exit(1);
	}
	close(fds[1]);
	while ((n = read(fds[0], text + have, sizeof(text) - 1 - have)) > 0)
		have += (size_t)n;
	close(fds[0]);
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == SKIPPED)
		_exit(SKIPPED);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		FAIL("the VM was not ended: status %#x, stderr: %s", (unsigned)status, text);
	if (!strstr(text, "ringfence: the VM was ended") || !strstr(text, said))
		FAIL("stderr: %s", text);
}

void compare_every(uint64_t kernel, uint32_t ms)
{
	struct rf_msg_traps m = { .kernel = kernel, .check_ms = ms };

	rf_msg_init(&m.h, RF_MSG_TRAPS, 0);
	CHECK_EQ(monitor_traps(&m), 0);
}
