/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * `ringfence watch` and who asks it: the service is the test's process, as root, its clients are
 * processes of other users. Maps, pins and credentials are the kernel's.
 */
#ifndef RF_TESTS_WATCH_ACTORS_H
#define RF_TESTS_WATCH_ACTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <cmocka.h>

#include "cli/watch_link.h"
#include "cli/watch_serve.h"
#include "hv/bpf/impl.h"
#include "tests/unit/fake_bpffs.h"
#include "tests/unit/fake_crwatch.h"

#ifndef SO_PASSRIGHTS
#define SO_PASSRIGHTS 83
#endif

#define OTHER_USER 12345
#define ACTORS 4

extern struct rf_watch_service service;
extern char path[64], said[256], why[RF_CRWATCH_WHY]; /* where it listens, what it printed last */
extern int listener;

/* As cli/output.h has them, whose rf_command is not hv/proto.h's. */
int64_t rf_now_ms(void);
void rf_say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Shared with them: what they have to say, and what they are to do next. */
struct shared {
	struct actor {
		volatile int step;   /* how far it may go */
		volatile int done;   /* how far it has got */
		volatile int result; /* of that step */
		char why[RF_CRWATCH_WHY];
	} actors[ACTORS];
	volatile pid_t other;
	volatile int64_t clock; /* theirs, in ms; 0: the kernel's */
};
extern struct shared *shared;

struct actor_state {
	int sock, page;
	int heard;
};

/* One step of it. */
typedef int (*act)(struct actor_state *s, int step, char *why);

extern pid_t actors[ACTORS]; /* 0: it has ended */

void become_user(void);
__attribute__((noreturn)) void be_actor(int n, uid_t uid, act what);
void start_as(int n, uid_t uid, act what);
void start(int n, act what);
/* It does its next step while the service serves: the step's result. */
int goes_on(int n);
void serve(void);
void ends(int n);
int listen_here(void);
uint32_t place_of(int n);
struct rf_watch_client *client_of(int n);
/* As `run` and the VMM together: 1 asks, 2 is entered, from 3 on it listens. */
int as_it_should(struct actor_state *s, int step, char *reason);
/* All three of these. */
void gets_a_place(int n);
/* As on a kernel that cannot keep descriptors away. */
void descriptors_may_come(int on);

int setup(void **state);
int teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
