/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One event under judgement: between judge.c and the guards that judge. */
#ifndef RF_MONITOR_JUDGE_H
#define RF_MONITOR_JUDGE_H

#include "monitor/monitor.h"

struct rf_look {
	struct rf_paging paging;
	struct rf_store store;
	bool found;	       /* the instruction behind the store is known */
	bool nothing_to_apply; /* so that it is denied where it would be let through */
	bool stack;	       /* what an event pushes goes to sealed memory */
	uint32_t mov;	       /* length of the MOV to CR that was undone, 0 not found */
	bool half_way; /* the store touches a site under way, which goes back to what it was */
	struct rf_record r;
	struct rf_msg_verdict v;
	char detail[128], outcome[128];
};

/* Clears *l and fills what any event has: paging, vCPU, the task. */
void rf_look_at(struct rf_guest *g, const struct rf_msg_event *ev, const char *kind,
		struct rf_look *l);
/* The instruction that stores, from what KVM wrote for it or off RIP; names the writer. */
void rf_look_for_store(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_look *l);
/* A WRITE, or a TRAP of a POKE: what the kernel's patching function is about to store. 0 or
 * -errno. */
int rf_judge_store(struct rf_guest *g, const struct rf_msg_event *ev);
enum rf_fact_region rf_fact_region_of(const struct rf_measured *m);
/* The policy's word, its record, the verdict. 0 or -errno. */
int rf_conclude(struct rf_guest *g, const struct rf_msg_event *ev, struct rf_look *l,
		const struct rf_facts *facts);

#endif
