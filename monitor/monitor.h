/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The monitor's own parts: one guest, how it is judged, how its state is shown. One VM a
 * process. */
#ifndef RF_MONITOR_MONITOR_H
#define RF_MONITOR_MONITOR_H

#include <poll.h>
#include <stdlib.h>

#include <jansson.h>

#include "hv/backend.h"
#include "introspection/budget.h"
#include "introspection/x86/descriptor.h"
#include "introspection/arch.h"
#include "introspection/kernel.h"
#include "introspection/patches/textpatch.h"
#include "introspection/task.h"
#include "monitor/guard.h"
#include "monitor/pair.h"
#include "monitor/reload.h"
#include "monitor/sequence.h"
#include "monitor/watched.h"
#include "policy/audit.h"
#include "policy/fold.h"
#include "policy/measurement.h"
#include "policy/name.h"
#include "policy/patchlog.h"
#include "policy/policy.h"

#define RF_OVERRAN_MAX (2 * RF_GUARDS_MAX + 2)

struct rf_measured {
	struct rf_region region;
	char sha256[65];
};

/* A site half way, and since when we have known it. */
struct rf_waiting {
	uint64_t number, since;
};

/* What was told of in a GDT: each entry, and the second half of what has one; zeroes: nothing. */
struct rf_gdt_told {
	uint64_t entries[RF_GDT_ENTRIES][2];
};

struct rf_guest {
	struct rf_backend *hv;
	struct rf_audit *audit;
	struct rf_fold *fold; /* what is counted and not written; NULL: all is written */
	uint64_t counted[RF_WORD_DETECTED + 1]; /* so, by word, by this monitor */
	uint64_t tried_ns;			/* whether a full log has room again, last */
	bool resuming;	       /* what is written stands already: no line of it is a condition */
	bool patches_full;     /* the patch log takes nothing */
	bool headless;	       /* its head is not there yet */
	uint64_t patches_lost; /* of it, told in the log by their number */
	struct rf_patchlog *patchlog; /* NULL: every patch is asked about and none is logged */
	struct rf_patch_table *table; /* shared with the fence; NULL: this backend has none */
	struct rf_disasm *disasm;
	struct rf_policy policy;
	char name[RF_NAME_MAX + 1];
	int notify_fd;	  /* lines for who started us, -1 none */
	uint32_t vmm_pid; /* the VMM that an earlier monitor had, 0 none */
	int logs_fd;	  /* from which new files for the logs come, 0 none */
	struct rf_sequence sequence;
	uint64_t killed_ns; /* when the VM's end was ordered, 0 it was not */
	const char *lie;   /* what the fence has said that cannot be; NULL nothing, constant text */
	int rotate_client; /* who has asked for them and waits, 0 nobody */
	uint64_t cuts_told; /* of the audit log: cut by somebody else */
	struct rf_pair pair;
	struct rf_reloads reload;
	struct rf_watched watched;	/* the host's control-register watch */
	const struct rf_guard *at_work; /* its sweep or step runs; NULL none */
	uint32_t row;			/* of that one */

	/* The kernel that runs now; all of it goes with a reset. */
	struct rf_memory mem; /* in a unit: units.c */
	struct rf_budget budget;
	const struct rf_unit *overran[RF_OVERRAN_MAX]; /* the last of each did, and that was told */
	/* When each guard was last, by its row. */
	uint64_t ticked_ns[RF_GUARDS_MAX], swept_ns[RF_GUARDS_MAX];
	struct rf_paging paging; /* of the kernel, as it was when it was found */
	struct rf_kernel *kernel;
	struct rf_textpatch *patches;
	bool sites_lost; /* of it, those in writable memory: no earlier monitor's table was whole */
	uint64_t burst[RF_SITE_KINDS];	  /* patches since the last line about them */
	uint64_t patches_taken;		  /* of the fence's trail, written down */
	bool named;			  /* places, since the last line about patches */
	uint64_t last_patch_ns, burst_ns; /* of the last patch, of the first one of the burst */
	uint32_t changes_seen;		  /* of the trail */
	uint64_t last_change_ns;	  /* when one came last, by the guest's time: trail.c */
	uint64_t ran_ns;		  /* the guest's time, when it was asked for last */
	uint32_t waiting_count;
	struct rf_waiting waiting[RF_FLIGHTS], next_waiting[RF_FLIGHTS];
	uint64_t kernel_event; /* names the kernel to the fence */
	uint64_t lstar;
	enum rf_seal_how seal_how; /* when its moment comes */
	uint8_t note[32];	   /* of its text as it showed itself */
	uint64_t cr3, cr4;	   /* of the vCPU that announced it */
	uint32_t regions_count;
	struct rf_measured regions[RF_SEAL_MAX];
	bool unknown;	       /* it is not recognised, and runs unsealed by policy */
	bool arrived;	       /* it ran already when the VMM loaded it */
	bool awaiting;	       /* the VMM loaded a running guest that has not shown itself yet */
	bool poll_permissions; /* no watched word: see rf_guest_poll() */
	bool late;     /* sealed so, but the log took no line: what is sealed is to be read again */
	bool attached; /* the guards have it */
	bool pins;     /* its MSRs are pinned, by policy */
	bool checks_on;				  /* its memory is checked, by policy */
	const char *owner_names[RF_POLICY_NAMES]; /* of policy.owners, for the checks */
	uint64_t discovery_ns, seal_ns;

	/* Traps in sealed text, where instructions load descriptor tables. */
	bool control_by_traps; /* control registers too: nothing else on this host watches them */
	uint32_t traps_count;
	struct rf_trap_site traps[RF_TRAP_MAX];
	struct rf_tables tables; /* that are the kernel's own */
	bool tables_known;
	uint8_t tables_digest[32];    /* of where they lie, at the seal; zeroes before */
	struct rf_gdt_told *gdt_told; /* of each CPU */
	uint32_t gdt_next;	      /* CPU whose turn it is */

	/* Where the comparison of sealed bytes with their decoys stands. */
	uint32_t sweep_region;
	uint64_t sweep_at;
	uint64_t sweeps;      /* rounds completed */
	uint64_t heals_taken; /* of the fence's list, written down */

	const struct rf_measurement *expect; /* of what arrives here; NULL nothing */
	struct rf_measuring *measuring;	     /* asked for, under way or finished; NULL none */
	char refused[128];		     /* what differs of what arrived last; "" nothing */
	char unprotected[192];		     /* why it runs so, by policy; "" it does not */
	const char *halted;		     /* why no vCPU runs; NULL they may, or nobody knows */

	struct rf_asked asked;		  /* by the command that is answered, of rf_guard_memory */
	struct rf_gadget_report *gadgets; /* asked for, under way or finished; NULL none */
};

/* --- report.c ------------------------------------------------------------- */
uint64_t rf_now_ns(void);   /* CLOCK_MONOTONIC */
void rf_report_begin(void); /* before the sandbox closes */
/* One line to whoever started this monitor; false: it was not taken, there is no room just now. */
bool rf_notify(const struct rf_guest *g, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
#define RF_ALIVE_NS UINT64_C(1000000000) /* so often */
void rf_alive(const struct rf_guest *g); /* who started us takes silence for a hang */
/* Is nobody at the other end of its pipe? Then nobody starts, or opens, anything any more. */
bool rf_run_is_gone(const struct rf_guest *g);
/* An error: to stderr, and to whoever started this monitor. */
void rf_complain(const struct rf_guest *g, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* One line to a client, whom nobody waits for. Takes the reference; NULL: no memory, no answer. */
void rf_reply(int client, json_t *reply);
void rf_reply_not_yet(int client); /* who asked for a guard's work is to ask again */

/* Rises within a second where a vCPU runs, whether it ever leaves the guest or not: by one each
 * time that it comes in, and for each tenth of a second that it is there. */
static inline uint64_t rf_ran(const struct rf_backend_info *info)
{
	return info->counters[RF_COUNT_RUN] + info->counters[RF_COUNT_RAN_NS] / 100000000;
}

/* --- record.c ------------------------------------------------------------- */
/* After attach: takes up what an earlier monitor has counted, and writes it down. 0 or -errno. */
int rf_record_begin(struct rf_guest *g, uint64_t instance);
/*
 * A line of the log, or one more of what is counted; complains when it cannot be written. 0 or
 * -errno: then nothing may be allowed on its ground. While the log takes no line all decisions are
 * counted; 0 means that the policy has what it is about go on.
 */
int rf_record_write(struct rf_guest *g, const struct rf_record *r);
/* status: as in rf_msg_outcome. */
int rf_record_outcome(struct rf_guest *g, uint64_t event, int status);
void rf_record_tick(struct rf_guest *g); /* a checkpoint, when it is time */
int rf_record_end(struct rf_guest *g);	 /* the log's last line */
int rf_note(struct rf_guest *g, const char *kind, const char *outcome, const char *detail);
/* What is on record about it, as a line or as one of those counted; false: nothing. */
bool rf_record_decision(const struct rf_guest *g, const struct rf_msg_event *ev,
			struct rf_audit_decision *out);
/* Of an event that is to be recorded: says so if it was counted before. */
void rf_record_tell_twice(struct rf_guest *g, const struct rf_msg_event *ev);
/* Is nothing to be answered before the log has room? Whatever failed is to be done again then. */
bool rf_record_waits(const struct rf_guest *g);
/* Writes down what was counted and is due, or all of it; of a full log sees each second whether it
 * has room. */
void rf_record_flush(struct rf_guest *g, bool all);
/* {"state": "ok" or "full", ...}; NULL: no memory. Drop the reference. */
json_t *rf_record_status(const struct rf_guest *g);
/* Is a log of this size as long as the policy lets it be? */
bool rf_record_is_long(const struct rf_guest *g, uint64_t size);

/* --- units.c -------------------------------------------------------------- */
/* Sets g->mem up. It can be read within a unit alone. */
void rf_unit_memory(struct rf_guest *g);
/*
 * A unit begins, maybe inside of another one, whose budget comes back and must be handed to
 * rf_unit_end(). That writes down a unit whose reads were not enough, once until one of its kind is
 * within them again. 0 or -errno.
 */
struct rf_budget rf_unit_begin(struct rf_guest *g, const struct rf_unit *unit);
int rf_unit_end(struct rf_guest *g, const struct rf_unit *unit, const struct rf_budget *outer);
bool rf_unit_overran(const struct rf_guest *g, const struct rf_unit *unit); /* the last time */
/* Writes down that a unit was not read to its end. 0 or -errno. */
int rf_unit_endless(struct rf_guest *g, const struct rf_unit *unit);
/*
 * A part of the unit at work, which may read no more than so much of what is left of that. One that
 * was not enough is the caller's to tell. What it has read is the unit's.
 */
struct rf_budget rf_part_begin(struct rf_guest *g, uint64_t reads);
uint64_t rf_part_end(struct rf_guest *g, const struct rf_budget *outer);
extern const struct rf_unit rf_unit_kernel; /* looking at a kernel, or taking over */

/* --- guest.c -------------------------------------------------------------- */
/* After attach: takes up a guest that an earlier monitor has sealed. 0 or -errno (reason
 * recorded). */
int rf_guest_resume(struct rf_guest *g);
/* One event of the fence, to its verdict. 0, or -errno: the connection is of no use any more. */
int rf_guest_event(struct rf_guest *g, const struct rf_msg_event *ev);
/* For a kernel without the watched word: seals once its page tables have made rodata read-only. */
int rf_guest_poll(struct rf_guest *g);
void rf_guest_forget(struct rf_guest *g); /* the kernel is gone */

/* --- ask.c ------------------------------------------------------------------ */
/* As the ops of the same names. */
int rf_ask_watch(struct rf_guest *g, const struct rf_msg_watch *m);
int rf_ask_seal(struct rf_guest *g, const struct rf_msg_seal *m);

/* --- sealed.c -------------------------------------------------------------- */
/* g->kernel, from what is sealed; g->paging says how many levels. 0, or -errno with diag. */
int rf_sealed_kernel(struct rf_guest *g, const struct rf_backend_info *sealed, uint64_t lstar,
		     struct rf_diag *diag);
/* What is planted in it. */
void rf_sealed_traps(struct rf_guest *g, const struct rf_backend_info *sealed);

/* --- plan.c --------------------------------------------------------------- */
/* Where the kernel's symbols say that a region lies (RF_REGION_*). 0, -ENOENT, -EBADMSG. */
int rf_plan_region(const struct rf_guest *g, uint32_t kind, struct rf_region *out);
/* What the policy wants sealed. 0 or as rf_plan_region(). */
int rf_plan(const struct rf_guest *g, struct rf_msg_seal *m);
/* Do the symbols name what is sealed, each region with its bounds? 0, or -EBADMSG with diag. */
int rf_plan_agrees(const struct rf_guest *g, const struct rf_backend_info *sealed,
		   struct rf_diag *diag);

/* --- places.c ------------------------------------------------------------- */
/* The sealed region that a frame pushed to this stack would reach, *gva in it; or NULL. */
const struct rf_measured *rf_sealed_frame(struct rf_guest *g, const struct rf_paging *p,
					  uint64_t stack, uint64_t *gva, uint64_t *gpa);
const char *rf_region_text(uint32_t kind);
/* The region that holds gpa, or NULL. */
const struct rf_measured *rf_guest_region(const struct rf_guest *g, uint64_t gpa);
/* Symbol or module behind an address; never fails, leaves names empty. */
void rf_name_address(struct rf_guest *g, const struct rf_paging *p, uint64_t gva,
		     struct rf_named *out);
/* The same within the reads of the unit at work, *m where it is a module's. 0, -ENOENT: nobody's;
 * or why the list of modules does not say. */
int rf_name_within(struct rf_guest *g, const struct rf_paging *p, uint64_t gva,
		   struct rf_named *out, struct rf_module *m);

/* --- registers.c: what guest.c asks for ------------------------------------ */
int rf_judge_late_msr(struct rf_guest *g, const struct rf_msg_event *ev);
/* A kernel that arrived with another entry than its own; own 0: it has no name there. */
int rf_judge_arrived_entry(struct rf_guest *g, const struct rf_msg_event *ev, uint64_t own);
/* --- judge.c -------------------------------------------------------------- */
/*
 * A load of a register, or registers that were compared: a line unless it is legal. value: what an
 * allowed load gets; NULL with kind RF_FACT_LOAD: nothing could be loaded, so it is denied in any
 * mode.
 */
int rf_judge_load(struct rf_guest *g, const struct rf_msg_event *ev, const struct rf_facts *facts,
		  uint64_t target, const char *detail, const struct rf_table *value);
int rf_judge_kexec(struct rf_guest *g, const struct rf_msg_event *ev);
/* To the fence. The VM's end closes the connection: nothing that comes later is taken
 * (messages.h). */
int rf_send_verdict(struct rf_guest *g, struct rf_msg_verdict *v);
/* A verdict that needs no record and nothing of a vCPU. */
int rf_answer(struct rf_guest *g, const struct rf_msg_event *ev, enum rf_verdict verdict);
/* Record, with all that is answered, then verdict. */
int rf_decide(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_record *r,
	      struct rf_msg_verdict *v);

/* --- resent.c ------------------------------------------------------------- */
/* What is on record for the event, as a verdict: for v->id, and not sent yet. */
struct rf_resent {
	struct rf_msg_verdict v;
	char rule[RF_AUDIT_RULE]; /* that gave it, "" unknown */
};
/* False: nothing is, and it is judged. Writes a line if the answer cannot be exactly that one. */
bool rf_resent(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_resent *out);
struct rf_audit_answer rf_answer_of(const struct rf_msg_event *ev, const struct rf_msg_verdict *v);

/* --- patches.c: text patching --------------------------------------------- */
/* A store the fence did not settle. 0 with *out, or -errno. */
int rf_patches_judge(struct rf_guest *g, const struct rf_msg_event *ev, uint64_t gva,
		     struct rf_patch_result *out);
/* Does the store touch a site that is half way? Then its denial puts the old bytes back. */
bool rf_patches_under_way(struct rf_guest *g, uint64_t gva, uint32_t len);
/* --- trail.c -------------------------------------------------------------- */
/* What the fence allowed, to disk; and a line of the log about it. */
int rf_patches_drain(struct rf_guest *g);
void rf_patches_summarise(struct rf_guest *g);
/* The same, of all of it, as the logs are about to go on in other files. */
void rf_patches_end_part(struct rf_guest *g);
/* --- patch_names.c: names in the log of them --- */
void rf_patch_names_want(const struct rf_patch_line *l);
void rf_patch_names_write(struct rf_guest *g); /* some of them */
bool rf_patch_names_left(const struct rf_guest *g);
void rf_patch_names_forget(void); /* another kernel */
/* --- armed.c: what was patched before the seal ------------------------------- */
/* A line, if anything was. 0 or -errno. */
int rf_armed_record(struct rf_guest *g);

/* --- left_out.c: what the table of sites does not have ---------------------- */
/* [{"reason", "count", "why", "first"}], JSON's null where there is no table. Drop the
 * reference. */
json_t *rf_left_out_status(struct rf_guest *g);
/* A line, unless it is what every kernel has. 0 or -errno. */
int rf_left_out_record(struct rf_guest *g);
/* --- pins.c: MSRs, and the request for controls.c's bits --------------------------- */
/* At the seal, by policy. 0 or -errno. */
int rf_pins_set(struct rf_guest *g);
/* What writing `value` means; *name gets the MSR's. */
enum rf_fact_msr rf_pins_fact(const struct rf_guest *g, uint32_t index, uint64_t value,
			      const char **name);

/* --- controls.c: CR0 and CR4 ------------------------------------------------ */
/* The bits that the policy wants kept. */
void rf_control_wanted(const struct rf_policy *p, uint64_t *cr0, uint64_t *cr4);
/* "CR0.WP CR4.SMEP": always fits RF_CONTROL_NAMES. */
#define RF_CONTROL_NAMES 80
void rf_control_names(uint64_t cr0, uint64_t cr4, char *out, size_t size);
/* Length of the MOV that ends at RIP and loaded `value` into CR `cr` (0 or 4); 0: it does not. */
uint32_t rf_control_mov(struct rf_guest *g, const struct rf_paging *p,
			const struct rf_vcpu_regs *regs, uint32_t cr, uint64_t value);

/* --- traps.c: instructions replaced in sealed text --------------------------- */
/* Is any instruction that loads a register replaced? */
bool rf_traps_load(const struct rf_guest *g);
/* rf_memory's read: guest memory as the guest sees it, but for the traps. */
int rf_guest_read(void *guest, rf_gpa gpa, void *buf, size_t len);
/* Puts the instructions where the traps are, in what was read at gpa. */
void rf_traps_hide(const struct rf_guest *g, uint64_t gpa, uint8_t *buf, size_t len);
bool rf_traps_touch(const struct rf_guest *g, uint64_t gpa, uint64_t len);
/* What the instruction would have loaded, as far as its operand says. 0 or -errno. */
int rf_traps_operand(struct rf_guest *g, const struct rf_msg_event *ev, const struct rf_paging *p,
		     struct rf_table *out);

/* --- decoys.c: decoys ------------------------------------------------------ */
/* Compares the next `bytes` of sealed memory with what lies below, and tells the pages that
 * differ. */
int rf_sweep(struct rf_guest *g, uint64_t bytes);
/* What devices had written and the fence healed, to disk. 0 or -errno. */
int rf_sweep_drain(struct rf_guest *g);

/* --- measure.c: sealed memory in a form that legal patching does not change -- */
/* SHA-256; not canonical: as it is. 0 or -EFAULT. */
int rf_measure_region(struct rf_guest *g, const struct rf_region *r, bool canonical,
		      char sha256[65]);
/*
 * What arrived is sealed: compared with what is expected, recorded; *out: may it run? 0 or -errno,
 * then it may not. The last line is the record of that answer to ev. asks_more: where it may, more
 * is to be judged, so that then it is not.
 */
int rf_measure_arrived(struct rf_guest *g, const struct rf_msg_event *ev, bool asks_more,
		       enum rf_verdict *out);
/* What booted here is sealed: compared as far as it can be, recorded. 0 or -errno. */
int rf_measure_booted(struct rf_guest *g);
/* --- status.c ------------------------------------------------------------- */
#define RF_STATUS_CLIENTS 16

/* The control socket: a line in, a line out. A client that is slow is waited for by nobody. */
struct rf_status {
	int listen_fd; /* -1 none */
	unsigned int count;
	struct {
		int fd;
		uint64_t until;	      /* CLOCK_MONOTONIC ns */
	} clients[RF_STATUS_CLIENTS]; /* connected, nothing said yet */
};

extern int rf_statm_fd; /* /proc/self/statm, opened before the sandbox closed */
long rf_rss_kib(void);
int rf_status_init(struct rf_status *s, int listen_fd);
/* Fills p, which has room for RF_STATUS_CLIENTS + 1, and says how many there are. */
nfds_t rf_status_poll(const struct rf_status *s, struct pollfd *p);
/* Accepts, answers, drops who took too long; never waits. */
void rf_status_serve(struct rf_guest *g, struct rf_status *s);

#endif
