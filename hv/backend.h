/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the monitor asks of a hypervisor, whichever it is: one ops table.
 *
 * To add a backend: fill the table in hv/backend_<name>.c; every member but the ones marked
 * optional is there. Nothing outside hv/ knows which one it talks to.
 */
#ifndef RF_HV_BACKEND_H
#define RF_HV_BACKEND_H

#include <stdbool.h>
#include <stddef.h>

#include "hv/addr.h"
#include "hv/board.h"
#include "hv/proto.h"

struct rf_backend;

/* An event's vcpu is below it: RF_CR_VCPUS of hv/vmx/crwatch.h. */
#define RF_BACKEND_VCPU_IDS 4096u

union rf_backend_message {
	struct rf_msg h;
	struct rf_msg_event event;
	struct rf_msg_outcome outcome;
};

/* How a VM stands right now; copied, so it stays as it was. */
struct rf_backend_info {
	enum rf_vm_state state;
	uint32_t vmm_pid;
	uint64_t instance;   /* unique to this VM start */
	uint64_t next_event; /* at attach: ids below it were sent to an earlier monitor */
	uint32_t vcpus;
	uint64_t kernel; /* id of the event that announced the kernel, 0 none */
	uint64_t lstar, cr3, cr4;
	uint64_t seal_ns, copy_bytes;
	bool cr_watch; /* the host watches CR0 and CR4 for this VM */
	uint64_t cr0_pinned, cr4_pinned;
	uint64_t heals_taken;  /* heals(): where an earlier monitor stopped */
	bool loaded;	       /* the VMM has loaded a guest that ran elsewhere or before */
	uint64_t kept_entry;   /* of the kernel that was sealed last and released, 0 none */
	uint8_t kept_note[32]; /* rf_msg_watch's of that kernel */
	uint64_t counters[RF_COUNTERS];
	uint32_t regions_count;
	struct rf_region image; /* while sealed */
	struct rf_region regions[RF_SEAL_MAX];
	uint32_t traps_count; /* they stand in text, where read() shows them */
	uint8_t traps_note[32];
	struct rf_trap_site traps[RF_TRAP_MAX];
};

/* What the fence says of text patching. */
struct rf_patching {
	uint64_t head;	 /* entries ever made */
	uint64_t oldest; /* of those that are still there */
	uint64_t kinds[RF_SITE_KINDS];
	uint32_t last_tail, batch, changes; /* hv/board.h struct rf_trail */
	uint32_t count;
	struct rf_flight flights[RF_FLIGHTS];
};

#define RF_RAM_MAX ((size_t)RF_BOARD_RUNS)
struct rf_ram { /* guest-physical, bytes */
	uint64_t gpa, size;
};

/* What a second process needs, to see a VM and to do nothing to it. */
enum { RF_SHARED_BOARD, RF_SHARED_MEMORY, RF_SHARED_TABLE, RF_SHARED };

struct rf_backend_ops {
	const char *name;
	/* 0, -EAGAIN (the layout kept changing), or -EBADMSG: it says what cannot be. */
	int (*info)(struct rf_backend *b, struct rf_backend_info *out);
	/* Guest memory as the guest sees it: all of it or -EFAULT. */
	int (*read)(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len);
	/* The VMM's own memory below a sealed range, where devices write. Optional. -ENOENT: not
	 * sealed. */
	int (*read_decoy)(struct rf_backend *b, rf_gpa gpa, void *buf, size_t len);
	/* Where there is memory now, by address, what lies side by side as one: so many, -EAGAIN,
	 * -EBADMSG, or -E2BIG: in more pieces. Optional. */
	int (*ram)(struct rf_backend *b, struct rf_ram out[RF_RAM_MAX]);
	/* A descriptor that polls readable when next_event() has work. */
	int (*poll_fd)(struct rf_backend *b);
	/*
	 * 0 with *out filled (h.type says which member: EVENT or OUTCOME) and each field within its
	 * bounds (hv/check.h), -EAGAIN nothing there, -ECONNRESET the VM is gone, -EBADMSG /
	 * -EPROTONOSUPPORT the peer does not speak the protocol.
	 */
	int (*next)(struct rf_backend *b, union rf_backend_message *out);
	/* What the last -EBADMSG was about, in words; NULL: nothing was wrong. Optional. */
	const char *(*wrong)(struct rf_backend *b);
	/* Commands: 0 or -errno, nothing changed on failure. */
	int (*watch)(struct rf_backend *b, const struct rf_msg_watch *m);
	int (*seal)(struct rf_backend *b, const struct rf_msg_seal *m, uint64_t *ns);
	/* Optional. */
	int (*pin)(struct rf_backend *b, const struct rf_msg_pin *m);
	int (*traps)(struct rf_backend *b, const struct rf_msg_traps *m);
	int (*mend)(struct rf_backend *b, const struct rf_msg_mend *m);
	/*
	 * heal: the VMM's memory below these sealed pages is as it should be afterwards; what was
	 * foreign can be had from heals(), which copies what was healed since entry *from, moves
	 * *from on, and says how many, at most max: a gap in *from is as many lost. Both or none.
	 */
	int (*heal)(struct rf_backend *b, const struct rf_msg_heal *m);
	size_t (*heals)(struct rf_backend *b, uint64_t *from, struct rf_heal *out, size_t max);
	int (*verdict)(struct rf_backend *b, struct rf_msg_verdict *m);
	/*
	 * Legal text patching without a round trip. Optional, all or none; who only looks has table
	 * and trail.
	 * table: written by the caller, read by the fence; lives as long as the backend.
	 * entries: copies what the trail holds from entry `from` on; how many, at most max.
	 * trail: copies what is counted and under way; all its numbers are within their bounds.
	 * restore: -ENOENT when the flight has ended.
	 */
	struct rf_patch_table *(*table)(struct rf_backend *b);
	size_t (*entries)(struct rf_backend *b, uint64_t from, struct rf_patch_entry *out,
			  size_t max);
	void (*trail)(struct rf_backend *b, struct rf_patching *out);
	int (*restore)(struct rf_backend *b, const struct rf_msg_restore *m);
	/* For how long the other side has said nothing, ns. It is asked for a sign of life once a
	 * second, when this is called: a guest that runs well has nothing to say. Optional. */
	uint64_t (*silence)(struct rf_backend *b);
	/* Descriptors by which another process sees what this one does, borrowed. Optional. */
	void (*share)(struct rf_backend *b, int fds[RF_SHARED]);
	void (*destroy)(struct rf_backend *b);
};

struct rf_backend {
	const struct rf_backend_ops *ops;
};

/*
 * Serves the VMM at the other end of sock (owned on success), which has SO_PASSCRED since before
 * that end was given away: reads its HELLO, maps the board, answers. rules: what the policy lets
 * the fence do; of the first monitor that a VM has they count. 0, or -errno with *why set to
 * constant text.
 */
int rf_backend_kvm_attach(int sock, const struct rf_rules *rules, struct rf_backend **out,
			  const char **why);

/*
 * A backend that sees, by descriptors of another one's share() (owned on success): info, without
 * what the VMM said of itself, read, read_decoy and table, which is read-only here. 0 or -errno.
 */
int rf_backend_kvm_view(const int fds[RF_SHARED], struct rf_backend **out);

#endif
