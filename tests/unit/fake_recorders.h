/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Monitors that write one log by the monitor's own code (monitor/record.c), with what `run` keeps
 * for each of them: who says what was decided, and what the log has of it. All of it lies in memory
 * that outlives a process which is killed. The clocks stand until a test lets time pass.
 */
#ifndef RF_TESTS_UNIT_FAKE_RECORDERS_H
#define RF_TESTS_UNIT_FAKE_RECORDERS_H

#include "monitor/monitor.h"
#include "policy/chain.h"
#include "policy/note.h"
#include "policy/verify.h"

#define RECORDERS 3u /* the last one is the start after the others' end */
#define RECORDER_ACKS 1024u
#define RECORDER_PLACE(n) (UINT64_C(0xffffffff81000000) + 8 * (n))

/* What was answered: the caller may act on it. */
struct recorder_ack {
	size_t ops; /* of the disk, done by then */
	uint64_t event;
	bool counted; /* and not written */
};

struct recorder {
	char name[8];
	const char *path; /* of its log; all others' too, if a test does not say otherwise */
	uint64_t instance;
	struct rf_guest guest;
	struct rf_chain chain;
	struct rf_fold fold;
	uint64_t events;
	uint64_t refused; /* that were not recorded, and told so */
	uint32_t acks;
	struct recorder_ack ack[RECORDER_ACKS];
};

extern struct recorder *recorders; /* RECORDERS of them, shared memory */
extern char recorders_path[32];
extern struct rf_note_key recorders_key;

/* An empty log, and nobody who has written to it. 0 or -1; cmocka fixtures. */
int recorders_setup(void **state);
int recorders_teardown(void **state);
/* Another file in the log's place, with these bytes; the disk goes on keeping the first one's
 * operations alone. */
void recorders_log(const char *text, size_t len);

/* A monitor begins, with what the one before it has left. What it should write may not be written:
 * the disk may be full. */
void recorder_begin(struct recorder *r);
void recorder_drop(struct recorder *r); /* without a word */
/* Orderly: true if the log has its end. */
bool recorder_end(struct recorder *r);
/* What is decided about its next event: a store to place n is denied, by one of three rules. */
struct rf_record recorder_denial(struct recorder *r, unsigned int place);
/* The same, recorded. */
void recorder_deny(struct recorder *r, unsigned int place);
void recorder_tick(struct recorder *r);

void recorders_pass(uint64_t ns);	    /* on both clocks */
void recorders_set_clock(uint64_t real_ns); /* CLOCK_REALTIME alone */
uint64_t recorders_mono_ns(void);

/* So many steps of the first two by chance: denials, notes, outcomes, time, new monitors. */
void recorders_work(unsigned int seed, unsigned int steps);

/* A file, whole; malloc'd. */
char *recorders_bytes(const char *path, size_t *len);

/* --- what the log has ---------------------------------------------------------- */

struct recorded {
	uint64_t full, counted; /* decisions; counted: by lines of counts, each number once */
	bool event[RECORDER_ACKS];
	bool open_end;		 /* as the verifier says */
	uint64_t last;		 /* seq */
	uint64_t said_unwritten; /* decisions, of lines that end a time without lines */
	enum rf_verdict_of_log verdict;
	bool ended;
};

struct recorded_log {
	struct recorded of[RECORDERS];
	uint64_t found[RF_FOUND_KINDS];
	enum rf_verdict_of_log verdict;
};

struct recorded_log recorders_read(bool with_key);

#endif
