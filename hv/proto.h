/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the fence (inside the VMM) and the monitor say to each other.
 *
 * Transport: AF_UNIX SOCK_SEQPACKET, one message a packet; the monitor listens, the fence connects
 * and connects again whenever the monitor is gone. Same host, so native byte order. Every message
 * starts with rf_msg; a packet whose magic, revision, type or size is not exactly what its type
 * says is refused and the connection closed. Both sides treat the other's words as hostile input:
 * copied once, every count bounded here.
 *
 *   fence   -> HELLO (+ the board's fd, and its /proc/self/mem to read the VMM's memory)
 *                                                monitor -> WELCOME (+ the patch table's fd)
 *   fence   -> EVENT                             monitor -> commands, then VERDICT for that event
 *   fence   -> DONE for each command             fence   -> OUTCOME once a verdict other than ALLOW
 * is enforced, or any could not be
 */
#ifndef RF_HV_PROTO_H
#define RF_HV_PROTO_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define RF_PROTO_MAGIC UINT32_C(0x434e4652) /* "RFNC" */
#define RF_PROTO_REVISION 11
#define RF_MSG_MAX 2048 /* bytes, no message is larger */

enum rf_msg_type {
	RF_MSG_HELLO = 1,
	RF_MSG_WELCOME = 2,
	RF_MSG_EVENT = 3,
	RF_MSG_VERDICT = 4,
	RF_MSG_OUTCOME = 5,
	RF_MSG_WATCH = 6,
	RF_MSG_SEAL = 7,
	RF_MSG_DONE = 8,
	RF_MSG_RESTORE = 9,
	RF_MSG_PIN = 10,
	RF_MSG_TRAPS = 11,
	RF_MSG_MEND = 12,
	RF_MSG_HEAL = 13,
	RF_MSG_PEER = 14, /* `run` to the fence: the header alone, and the socket of a monitor */
};

struct rf_msg {
	uint32_t magic;
	uint16_t revision;
	uint16_t type;
	uint32_t size; /* of the whole message, this header included */
	uint32_t seq;  /* commands: chosen by the monitor, echoed in DONE; else 0 */
};

/* Where a VM stands; hv/life_table.c says how it moves. */
enum rf_vm_state {
	RF_VM_BOOTING = 0, /* no kernel seen yet */
	RF_VM_FOUND = 1,   /* LSTAR was written, nothing sealed */
	RF_VM_WATCHED = 2, /* the watched word is armed */
	RF_VM_SEALED = 3,
	RF_VM_HALTED = 4, /* what the VMM loaded cannot be run protected: no vCPU runs */
};

struct rf_msg_hello {
	struct rf_msg h;
	uint32_t vmm_pid;
	uint32_t state;	     /* enum rf_vm_state */
	uint64_t instance;   /* unique to this VM start */
	uint64_t next_event; /* ids below it were sent to an earlier monitor */
	uint64_t board_size; /* bytes of the memfd sent along */
	char vmm[32];	     /* program name, NUL-terminated */
};

/*
 * What the policy lets the fence do on a monitor's word. The first WELCOME counts, before the guest
 * has run; what a later monitor says changes nothing.
 */
struct rf_rules {
	uint32_t observe;     /* 1: a denied store, load or register may be let be all the same */
	uint32_t kexec;	      /* 1: another kernel may take over from the sealed one */
	uint32_t unsealed_ms; /* a kernel that runs unsealed for so long is told of; 0: not */
	uint32_t pad;
};

struct rf_msg_welcome {
	struct rf_msg h;
	struct rf_rules rules;
};

enum rf_event_kind {
	RF_EVENT_KERNEL = 1,	/* LSTAR is being written: msr */
	RF_EVENT_WATCH = 2,	/* the watched word took the awaited value: watch */
	RF_EVENT_WRITE = 3,	/* a store to a sealed range, already decoded by KVM: write */
	RF_EVENT_EMULATION = 4, /* an instruction KVM could not emulate: insn */
	RF_EVENT_MSR = 6,   /* a pinned MSR is being given another value, or one to ask for: msr */
	RF_EVENT_CR = 8,    /* pinned bits of CR0 or CR4 were cleared, and are set again: cr */
	RF_EVENT_RESET = 5, /* seals are gone, no verdict is awaited: life */
	RF_EVENT_TRAP = 9,  /* a trap stands where the instruction was: trap, tables */
	RF_EVENT_TABLES = 10,	 /* not the table registers last judged: tables, kept */
	RF_EVENT_MSR_FOUND = 11, /* a pinned MSR has another value, written past the filter: msr */
	RF_EVENT_STALLED = 12,	 /* RIP stands still in KVM_RUN: a store that KVM can neither do nor
				    report? regs */
	RF_EVENT_DELIVERY = 13,	 /* an event's frame could not be pushed: delivery */
	/* No verdict is awaited of these: */
	RF_EVENT_RELOADED = 14, /* the VMM loaded a state of the sealed kernel: life */
	RF_EVENT_HALTED = 15,	/* the VMM loaded what cannot be run protected: life */
	RF_EVENT_UNSEALED = 16, /* a kernel has run unsealed for rf_rules' unsealed_ms: regs */
};

/* Why seals were released, or what the VMM did. */
enum rf_life_cause {
	RF_CAUSE_RESET = 1,   /* the VMM reset the guest */
	RF_CAUSE_ARRIVED = 2, /* the VMM loaded another running kernel */
	RF_CAUSE_KEXEC = 3,   /* the kernel handed over, and may */
	RF_CAUSE_TEXT = 4,    /* HALTED: sealed memory is not what the loaded state goes with */
	RF_CAUSE_NOBODY = 5,  /* HALTED: no vCPU says which kernel it is */
	RF_CAUSE_DENIED = 6,  /* HALTED: the monitor refused the kernel */
};

/* A vCPU's registers at the event. gpr order is that of the instruction encoding. */
struct rf_vcpu_regs {
	uint64_t gpr[16];
	uint64_t rip, rflags;
	uint64_t cr0, cr2, cr3, cr4, efer;
	uint64_t fs_base, gs_base, kernel_gs_base;
	uint32_t cpl;
	uint32_t pad;
};

/* Where a descriptor table lies. LDTR and TR: the part that the descriptor filled. */
struct rf_table {
	uint64_t base;
	uint32_t limit;	   /* offset of the last byte */
	uint16_t selector; /* LDTR, TR; 0: no LDT, all is 0 then */
	uint16_t pad;
};

struct rf_vcpu_tables {
	struct rf_table idt, gdt, ldt, tr;
};

/* Pinned bits of control registers that were cleared. */
struct rf_cr_cleared {
	uint64_t cr0_bits, cr4_bits; /* put back */
	uint64_t cr0, cr4;	     /* as the guest had them, not what regs say */
	/* 1: nothing else ended that KVM_RUN, so RIP is right behind the instruction if the signal
	 * came at once. */
	uint32_t interrupted;
	uint32_t pad;
};

#define RF_EVENT_BYTES 64
/* KERNEL and MSR events: the register that holds a kernel's system-call entry (LSTAR). */
#define RF_MSR_ENTRY UINT32_C(0xc0000082)

struct rf_msg_event {
	struct rf_msg h;
	uint64_t id; /* unique for the VM's life, ascending */
	uint32_t kind;
	uint32_t vcpu;
	struct rf_vcpu_regs regs;
	struct {
		uint32_t index;
		uint32_t pad;
		uint64_t value;
		uint64_t pinned; /* MSR: what it should be */
	} msr;
	struct rf_cr_cleared cr;
	struct {
		uint64_t gpa;	    /* lowest byte that reached a sealed range */
		uint32_t len;	    /* bytes, 1..RF_EVENT_BYTES, contiguous from gpa */
		uint16_t rip_after; /* 1: RIP is past the instruction (REP: on it) */
		uint16_t elsewhere; /* 1: it also wrote sealed bytes that do not follow these: never
				       legal */
		uint8_t bytes[RF_EVENT_BYTES];
	} write;
	struct {
		uint32_t len;
		uint8_t bytes[15];
		uint8_t pad[5];
	} insn;
	struct {
		uint64_t gpa;
		uint64_t old_value, new_value;
	} watch;
	struct {
		uint64_t gpa;	/* of the site */
		uint64_t value; /* a control register's: what it would have got */
		uint32_t kind;	/* enum rf_trap_kind; POKE: `write` says what is to be stored */
		uint32_t len;	/* bytes of the instruction */
	} trap;
	struct {
		uint64_t gpa;	 /* UINT64_MAX: not told */
		uint32_t vector; /* UINT32_MAX: not told, as of INT3 and INT n */
		uint32_t pad;
	} delivery;
	struct {
		uint32_t cause;	  /* enum rf_life_cause */
		uint32_t adopted; /* RELOADED: bytes of sealed text that came with the state */
	} life;
	struct rf_vcpu_tables tables; /* as they are */
	struct rf_vcpu_tables kept;   /* TABLES: as last allowed */
	uint32_t has_kept;
	uint32_t pad;
};

enum rf_verdict {
	RF_VERDICT_ALLOW = 1, /* apply the store / let the MSR be written / go on */
	RF_VERDICT_DENY = 2,  /* suppress it and fault the guest as `fault` says */
	/* EMULATION, DELIVERY: the VMM's business; STALLED: the CPU shuts down. */
	RF_VERDICT_NOT_OURS = 3,
	RF_VERDICT_KILL = 4, /* end the VM now */
	/* WRITE, or TRAP of a POKE: the table says now whether it is legal. */
	RF_VERDICT_SETTLE = 5,
};

struct rf_msg_verdict {
	struct rf_msg h;
	uint64_t id;
	uint32_t verdict;
	/* Exception for DENY: 14 #PF, 13 #GP, 8 #DF. 0 none: a CR, or a POKE, which is dropped. */
	uint32_t vector;
	uint32_t error_code;
	uint32_t pad;
	uint64_t cr2;	  /* for vector 14 */
	uint64_t gpr[16]; /* registers as if the store had never run */
	uint64_t rip, rflags;
	struct rf_table table; /* ALLOW of a TRAP: what the register gets */
};

struct rf_msg_outcome {
	struct rf_msg h;
	uint64_t id;
	/* 0, or -errno: the verdict could not be enforced, and the VM is ended; or, with -EIO for a
	 * KERNEL event, the CPU did not take the entry, the guest got #GP, and no kernel is known;
	 * or, with RF_NOT_NOW, the guest goes on without the fault that it was to have
	 */
	int32_t status;
	uint32_t pad;
};

#define RF_NOT_NOW (-EBUSY) /* no KVM_SET_* of registers says that */

/* Report the store that makes the word at gpa equal value. One watch a VM; armed before the
 * DONE. */
struct rf_msg_watch {
	struct rf_msg h;
	uint64_t kernel; /* id of the event that announced the kernel it is meant for; else -ESTALE
			  */
	uint64_t gpa;	 /* naturally aligned, in RAM */
	uint64_t value;
	uint32_t len; /* 4 or 8 */
	uint32_t pad;
	uint8_t note[32]; /* the monitor's own of this kernel; kept beyond its release */
};

enum rf_region_kind {
	RF_REGION_IMAGE = 0,
	RF_REGION_TEXT = 1,
	RF_REGION_RODATA = 2,
	RF_REGION_IDT = 3,
};

struct rf_region {
	uint64_t gpa, size; /* bytes, multiples of 4 KiB */
	uint64_t gva;  /* where the kernel maps it; kept so that a restarted monitor needs no page
			  tables */
	uint32_t kind; /* enum rf_region_kind */
	uint32_t pad;
};

#define RF_SEAL_MAX 16

/*
 * Seals all regions or none; every vCPU is outside the guest meanwhile. Ends the watch. What was
 * sealed before a release is kept until another kernel is sealed.
 */
enum rf_seal_how {
	RF_SEAL_NOW = 0,   /* the bytes that are there. -EEXIST: these regions are kept */
	RF_SEAL_KEPT = 1,  /* the bytes and pins that are kept. -ENOENT: these regions are not;
			      -EPERM:  they are, with another entry */
	RF_SEAL_FRESH = 2, /* as NOW: the monitor knows that the kernel was booted anew */
};

struct rf_msg_seal {
	struct rf_msg h;
	uint64_t kernel; /* as in rf_msg_watch: a reset in between makes it stale */
	/* Of the whole kernel, not sealed: kept for a monitor that takes over. */
	struct rf_region image;
	uint32_t count;	  /* 1..RF_SEAL_MAX */
	uint32_t how;	  /* enum rf_seal_how */
	uint8_t note[32]; /* as rf_msg_watch's, of a kernel that was not watched; zeroes: none */
	struct rf_region regions[RF_SEAL_MAX];
};

/*
 * Puts the bytes back that a site held before its patching began (a patcher that died half way).
 * -ENOENT: it is not under way any more. -EAGAIN: no vCPU has run since text was changed last, so
 * it could not go on.
 */
struct rf_msg_restore {
	struct rf_msg h;
	uint64_t kernel; /* as in rf_msg_watch */
	uint64_t flight; /* its number on the trail */
};

enum rf_pin_how {
	/* Keeps, in the bits of mask, the value that the vCPU which announced the kernel has now;
	 * sealed again with what was kept (RF_SEAL_KEPT): the value that was pinned then. */
	RF_PIN_VALUE = 1,
	RF_PIN_ASK = 2, /* each write is an event */
};

#define RF_PIN_MAX 32

/*
 * Writes to these MSRs, and to these bits, are events from now on. What the VM does not have is
 * left out. -ENOSPC: the
 * VMM's own filter leaves no room.
 */
struct rf_msg_pin {
	struct rf_msg h;
	uint64_t kernel;   /* as in rf_msg_watch */
	uint64_t cr0, cr4; /* bits that stay if that vCPU has them now (RF_PIN_VALUE), or had them
			      pinned before; enforced at once only where the host has a watch */
	uint32_t count;	   /* 0..RF_PIN_MAX, indexes ascending */
	uint32_t pad;
	struct {
		uint32_t index;
		uint32_t how; /* enum rf_pin_how */
		uint64_t mask;
	} pins[RF_PIN_MAX];
};

enum rf_trap_kind {
	RF_TRAP_LIDT = 1,
	RF_TRAP_LGDT = 2,
	RF_TRAP_LLDT = 3,
	RF_TRAP_LTR = 4,
	RF_TRAP_MOV_CR0 = 5,
	RF_TRAP_MOV_CR4 = 6,
	RF_TRAP_POKE = 7,  /* one at most: rf_poke */
	RF_TRAP_KEXEC = 8, /* another kernel takes over from here; allowed: as after a reset */
};

/*
 * The kernel's one function that changes text, func'(how, text, source, length), which maps, stores
 * and flushes. The trap stands on the instruction that takes `frame` off RSP: what the table allows
 * is stored there and then, and the vCPU goes on at `back`, where the function ends.
 */
struct rf_poke {
	uint64_t how;  /* first argument of a call that copies */
	uint64_t back; /* guest-virtual, in the same region */
	uint32_t frame, pad;
};

struct rf_trap_site {
	uint64_t gpa;
	uint8_t bytes[15]; /* the instruction's, as they must stand there */
	uint8_t len;	   /* 3..15 */
	uint8_t kind;	   /* enum rf_trap_kind */
	uint8_t reg;	   /* MOV_CR*: which gpr is read */
	uint8_t pad[6];
};

#define RF_TRAP_MAX 60

/* The byte at offset n of a planted trap: hv/vmx/decode.h says why these. */
#define RF_TRAP_BYTE(n) ((n) == 0 ? RF_TRAP_OPCODE : (n) == 1 ? RF_TRAP_PORT : RF_TRAP_FILLER)
#define RF_TRAP_OPCODE 0xe6 /* OUT imm8, AL: SDM vol. 2B */
#define RF_TRAP_PORT 0xe6
#define RF_TRAP_FILLER 0xcc

/*
 * Traps go into the sealed text in place of these instructions, all or none, once for a kernel:
 * -EALREADY. The VMM's own memory keeps the instructions. -EILSEQ: others stand there.
 *
 * From then on each vCPU's table registers are compared with those last judged: when it leaves to
 * the VMM, at most once in check_ms, and once it has run for a twentieth of that without leaving.
 */
struct rf_msg_traps {
	struct rf_msg h;
	uint64_t kernel;   /* as in rf_msg_watch */
	uint32_t count;	   /* 0..RF_TRAP_MAX, ascending, apart from each other */
	uint32_t check_ms; /* 0: registers are not compared */
	uint64_t cr0, cr4; /* MOV_CR*: a move that clears one of these, set before, is an event */
	uint8_t note[32];  /* the monitor's own, kept for one that takes over */
	struct rf_poke poke;
	struct rf_trap_site sites[RF_TRAP_MAX];
};

/*
 * Eight bytes of the guest's memory, not sealed, become `to` if they are still `from`; else
 * -EAGAIN. At once, whoever runs. A slot whose dirty pages are logged is told as dirty all over,
 * once.
 */
struct rf_msg_mend {
	struct rf_msg h;
	uint64_t kernel; /* as in rf_msg_watch */
	uint64_t gpa;	 /* a multiple of 8, in RAM */
	uint64_t from, to;
};

/*
 * The VMM's own memory below these sealed pages is made what the guest's sealed memory is. What was
 * foreign goes to the board's list of heals. len 0: none; only `taken` counts then, for any kernel.
 * -ESTALE also while the VMM's memory holds a state that it loads.
 */
struct rf_msg_heal {
	struct rf_msg h;
	uint64_t kernel; /* as in rf_msg_watch */
	uint64_t gpa, len;
	uint64_t taken; /* entries of that list that are written down, 0 none */
};

/* Each begins with the kernel that it is for. */
union rf_command {
	struct {
		struct rf_msg h;
		uint64_t kernel;
	} to;
	struct rf_msg_watch watch;
	struct rf_msg_seal seal;
	struct rf_msg_restore restore;
	struct rf_msg_pin pin;
	struct rf_msg_traps traps;
	struct rf_msg_mend mend;
	struct rf_msg_heal heal;
};

struct rf_msg_done {
	struct rf_msg h; /* seq of the command */
	int32_t status;	 /* 0 or -errno; on failure nothing changed */
	uint32_t pad;
	uint64_t ns; /* how long the vCPUs were held */
};

_Static_assert(sizeof(struct rf_msg) == 16, "header");
_Static_assert(sizeof(struct rf_msg_hello) == 80, "hello");
_Static_assert(sizeof(struct rf_vcpu_regs) == 216, "regs");
_Static_assert(offsetof(struct rf_msg_event, msr) == 16 + 16 + 216, "event");
_Static_assert(sizeof(struct rf_msg_event) <= RF_MSG_MAX, "event fits");
_Static_assert(sizeof(struct rf_msg_seal) <= RF_MSG_MAX, "seal fits");
_Static_assert(sizeof(struct rf_msg_traps) <= RF_MSG_MAX, "traps fit");
_Static_assert(sizeof(struct rf_msg_verdict) == 16 + 24 + 8 + 16 * 8 + 16 + 16, "verdict");

/*
 * Exact size of a message of this type, 0 for a type that does not exist. Both sides check a packet
 * with rf_msg_check() before they look at anything else.
 */
size_t rf_msg_size(uint16_t type);
/* 0, -EBADMSG (magic, type, size), -EPROTONOSUPPORT (another revision). len is the packet's
 * length. */
int rf_msg_check(const void *packet, size_t len);
/* Fills the header. */
void rf_msg_init(struct rf_msg *h, uint16_t type, uint32_t seq);

#define RF_MSG_FDS 3 /* descriptors that can go with a packet */

/* One packet; n descriptors go with it, RF_MSG_FDS at most. 0 or -errno. */
int rf_msg_send(int fd, const void *msg, size_t size, const int *fds, size_t n);
/*
 * One packet, whatever it is: its length, never 0, or as below. A descriptor that is not taken is
 * never one of ours. n: RF_MSG_FDS at most.
 */
ssize_t rf_packet_receive(int sock, int timeout_ms, void *packet, size_t room, int *fds, size_t n);
/*
 * One packet of exactly one message. fds: n of them, all -1, take the first descriptors that come
 * with it; any other is closed. 0, -EAGAIN (nothing within timeout_ms, -1 for ever), -ECONNRESET,
 * or rf_msg_check()'s.
 */
int rf_msg_receive(int sock, int timeout_ms, uint8_t *packet, size_t room, int *fds, size_t n);

#endif
