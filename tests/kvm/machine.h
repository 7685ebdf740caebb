/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A VMM of a few lines that links the fence: a guest in long mode, identity-mapped, whose code is written in the test
 * (GUEST()). Every ioctl on KVM goes through rf_fence_ioctl(), as of a VMM that embeds the fence.
 */
#ifndef RF_TESTS_KVM_MACHINE_H
#define RF_TESTS_KVM_MACHINE_H

#include <linux/kvm.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/kvm/check.h"

#define RAM_SIZE 0x400000
#define CODE 0x10000	  /* a page a vCPU */
#define STACK 0x20000	  /* a page a vCPU */
#define DATA 0x30000	  /* nobody's */
#define SEALED 0x200000	  /* four pages in the second 2 MiB page */
#define SEALED_SIZE 0x4000
#define OTHER 0x210000	  /* one page */
#define WATCHED 0x220000  /* a page */
#define NOWHERE 0x400000  /* mapped by the guest, no memory there */
#define SPARE 0x600000	  /* as NOWHERE: for slots added later */
#define MAX_CPUS 8

/* Guest code: "name" and the instructions; a HLT is put behind them. */
#define GUEST(name, ...)                                                                           \
	__asm__(".pushsection .rodata\n" #name ": .globl " #name "\n" __VA_ARGS__                  \
		"\nhlt\n" #name "_end: .globl " #name "_end\n.popsection");                         \
	extern const uint8_t name[], name##_end[]

struct cpu {
	int fd;
	unsigned index;
	struct kvm_run *run;
	pthread_t thread;
	bool running;
	atomic_int stop;       /* give up at the next EINTR */
	atomic_ullong eintr;   /* KVM_RUN said so that often */
	int result, error;     /* of the last KVM_RUN */
};

/* An exception that the guest took, as it lies on its stack. */
struct fault {
	uint64_t vector, error, rip, cs, rflags, rsp, ss;
};

extern struct machine {
	int kvm, vm;
	uint8_t *ram;
	size_t run_size;
	unsigned nr_cpus;
	struct cpu cpus[MAX_CPUS];
} vm;

/* Skips the scenario where there is no usable KVM. */
void machine_need_kvm(void);
/* The result of KVM_CREATE_VM. */
int machine_try(void);
/* A machine with that many vCPUs, or the scenario fails. */
void machine_create(unsigned cpus);
/* Before that, and before a fork: the machine's memory is seen by both processes. */
void machine_share_ram(void);
/* Before that: the LAPICs are KVM's, the PIC the VMM's (QEMU's kernel-irqchip=split). */
void machine_split_irqchip(void);
struct cpu *machine_add_cpu(void);
/* A slot of the VMM. Result and errno of the ioctl. */
int machine_slot(uint32_t slot, uint32_t flags, uint64_t gpa, uint64_t size, const void *hva);

/* The VMM resets the machine: the whole reset state into every vCPU, none of which runs. */
void machine_put_reset(void);
/* One vCPU's part of it. */
void cpu_put_reset(struct cpu *c);
/* The first vCPU is about to run (what the VMM loaded is looked at then), and does not. -1 with errno, as KVM_RUN. */
int machine_settle(void);
/* All of a reset; then every vCPU is in long mode again, as a firmware would have it. */
void machine_reset(void);
void cpu_long_mode(struct cpu *c);
void cpu_put_mp_state(struct cpu *c);

/* Copies the code to the vCPU's page; runs it there on a thread of its own with these registers (RIP, RSP set here). */
void cpu_start(struct cpu *c, const uint8_t *code, const uint8_t *end, const struct kvm_regs *r);
/* Waits for an exit that is not EINTR; its reason. */
uint32_t cpu_wait(struct cpu *c);
/* Waits for a KVM_RUN that fails, and not with EINTR; its errno. */
int cpu_wait_error(struct cpu *c);
/* The VMM gets its thread back, wherever the vCPU is held. */
void cpu_stop(struct cpu *c);
/* In a loop of the scenario's own, on the thread that runs it: kicks are its. */
void cpu_is_mine(struct cpu *c);
/* Takes the running vCPU out: a signal whose handler raises immediate_exit, as VMMs do. */
void cpu_kick(struct cpu *c);
/* Both, for code that must end in its HLT with no fault; the registers then. */
struct kvm_regs cpu_do(struct cpu *c, const uint8_t *code, const uint8_t *end, struct kvm_regs r);
#define CPU_DO(c, code, ...) cpu_do(c, code, code##_end, (struct kvm_regs){ __VA_ARGS__ })
#define CPU_START(c, code, ...) cpu_start(c, code, code##_end, &(struct kvm_regs){ __VA_ARGS__ })

uint64_t cpu_code(const struct cpu *c); /* address its code starts at */
struct kvm_regs cpu_regs(struct cpu *c);
/* After cpu_wait() said HLT: did it end in an exception? */
bool cpu_faulted(struct cpu *c, struct fault *f);
uint64_t cpu_cr2(struct cpu *c);
/* As the guest sees memory. */
uint64_t guest_read(struct cpu *c, uint64_t gpa);
int cpu_get_msr(struct cpu *c, uint32_t index, uint64_t *value);
int cpu_set_msr(struct cpu *c, uint32_t index, uint64_t value);
int cpu_ioctl(struct cpu *c, unsigned long request, void *arg);

#endif
