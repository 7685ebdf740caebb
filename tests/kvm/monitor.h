/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A monitor that does as the test says: one thread receives, keeps what it heard, and answers
 * events by itself where the test gave it a judge. It speaks hv/proto.h and nothing else of the
 * project.
 */
#ifndef RF_TESTS_KVM_MONITOR_H
#define RF_TESTS_KVM_MONITOR_H

#include <stdbool.h>

#include "hv/board.h"
#include "hv/proto.h"

enum monitor_manners {
	MONITOR_GOOD,
	MONITOR_FOREIGN,  /* answers something else */
	MONITOR_REVISION, /* of another revision */
	MONITOR_HANGS_UP,
};

/* Fills *v (made out as ALLOW for ev) and returns true, or false: the test answers later. On the
 * monitor's thread. */
typedef bool (*monitor_judge)(const struct rf_msg_event *ev, struct rf_msg_verdict *v);

/* Said in WELCOME; all is let unless a scenario says otherwise first. */
extern struct rf_rules monitor_rules;

/* What RINGFENCE_LINK names in this process. */
int monitor_link(void);
/* Starts to serve whoever has that; another one each time that the fence hangs up. */
void monitor_start(enum monitor_manners manners);
/* As if killed: its sockets are closed, what it heard is forgotten. */
void monitor_die(void);
void monitor_set_judge(monitor_judge judge);
/* Waits for the VM's connection. */
void monitor_await_vm(void);

/* The n-th event (from 0) since the monitor started, which must be of that kind. Waits. */
struct rf_msg_event monitor_event(unsigned n, enum rf_event_kind kind);
/* The same of whatever kind, which must have been heard already. */
struct rf_msg_event monitor_nth(unsigned n);
unsigned monitor_events(void);
/* Of that kind alone. */
unsigned monitor_events_of(enum rf_event_kind kind);
/* The newest one of that kind, once so many have come: what the fence tells arrives when it
 * does. */
struct rf_msg_event monitor_await_event(enum rf_event_kind kind, unsigned count);
struct rf_msg_event monitor_last_event(enum rf_event_kind kind);
struct rf_msg_outcome monitor_outcome(unsigned n);

void monitor_verdict(const struct rf_msg_verdict *v);
void monitor_allow(uint64_t id);
/* Commands; the status of their DONE. */
int monitor_watch(uint64_t kernel, uint64_t gpa, uint32_t len, uint64_t value);
int monitor_seal(uint64_t kernel, const struct rf_region *regions, uint32_t count);
int monitor_seal_how(uint64_t kernel, const struct rf_region *regions, uint32_t count,
		     enum rf_seal_how how);
int monitor_seal_again(uint64_t kernel, const struct rf_region *regions, uint32_t count);
/* Any command, made with rf_msg_init(). */
int monitor_command(struct rf_msg *m);
int monitor_pin(const struct rf_msg_pin *m);
int monitor_mend(const struct rf_msg_mend *m);
int monitor_traps(const struct rf_msg_traps *m);
int monitor_heal(uint64_t kernel, uint64_t gpa, uint64_t len, uint64_t taken);
int monitor_restore(uint64_t kernel, uint64_t flight);
/* Any packet. */
void monitor_send(const void *packet, size_t size);

/* The board the VM sent, mapped read-only. */
const volatile struct rf_board *monitor_board(void);
const volatile struct rf_heals *monitor_heals(void);
const volatile struct rf_trail *monitor_trail(void);
const struct rf_msg_hello *monitor_hello(void);
uint64_t monitor_count(enum rf_counter c);

#endif
