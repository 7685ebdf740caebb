/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folding: decisions that say the same again are counted instead of written, so that no guest fills
 * its host's disk with lines, and none goes unrecorded. What is written and what is counted add up
 * to what was decided, always.
 *
 * Decisions with the same kind, rule, verdict, target and writer, and of registers the same detail,
 * are a key; keys with the same kind, rule and verdict are a class. A key is written in full a few
 * times, then about once a second, and counted in between. More keys in a minute than
 * RF_FOLD_CLASS_KEYS are counted by their class. Nothing here decides, delays or writes anything:
 * it says what is to be written.
 *
 * All of it is one piece of memory without a pointer, which outlives its monitor: whoever takes
 * over writes out what was counted, and gives a denial again that the vCPU was to get. What the
 * memory says was let is judged anew, and counted again (monitor/record.c). So each
 * step is made in an order in which it can be finished, or taken back, wherever its monitor dies
 * (rf_fold_adopt()). One process at a time uses it.
 */
#ifndef RF_POLICY_FOLD_H
#define RF_POLICY_FOLD_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/audit.h"

#define RF_FOLD_KEYS 256u
#define RF_FOLD_CLASSES 32u	    /* the last one is of whatever has no place of its own */
#define RF_FOLD_VCPUS 1024u	    /* RF_MAX_VCPUS of hv/vcpu.h */
#define RF_FOLD_KEY_LINES 8u	    /* of a key in full at once; then one each second */
#define RF_FOLD_LINES 256u	    /* of all keys in full at once; then one each second */
#define RF_FOLD_CLASS_KEYS 64u	    /* that are told apart in a minute, of each class */
#define RF_FOLD_MINUTE_KEYS 128u    /* the same of all classes ... */
#define RF_FOLD_CLASS_KEYS_LEAST 4u /* ... but so many of each, whatever the others do */
#define RF_FOLD_FOLDS 32u	    /* folded lines at once; then two each second */
#define RF_FOLD_SECOND UINT64_C(1000000000)
#define RF_FOLD_DUE_NS (10 * RF_FOLD_SECOND)   /* what is counted is written after so long */
#define RF_FOLD_CLASS_NS (60 * RF_FOLD_SECOND) /* one line of each class in full, in any case */

struct rf_fold_time {
	uint64_t real_ns, mono_ns; /* CLOCK_REALTIME, CLOCK_MONOTONIC */
};

/* What the decisions have in common. */
struct rf_fold_what {
	char kind[24], rule[RF_AUDIT_RULE];
	uint32_t verdict; /* enum rf_word */
	uint8_t is_class; /* without target and writer */
	uint8_t has_target, has_writer;
	uint8_t ended; /* the VM, by it */
	uint64_t target, writer;
	char detail[96]; /* of registers: which one, and its value; of it the beginning */
};

struct rf_fold_count {
	uint64_t count;
	uint64_t failed; /* verdicts on these, or on earlier ones, that were not carried out */
	struct rf_fold_time first, last;
};

/* A key, or a class. */
struct rf_fold_slot {
	struct rf_fold_what what;
	uint64_t hash;		/* of it; 0 free */
	struct rf_fold_count n; /* counted and in no line yet */
	uint64_t lines;		/* its allowance of lines in full: when it is whole again, ns */
	uint64_t used_ns;	/* last */
	uint64_t minute;	/* that it was told apart in last; of a class: that keys is of */
	uint32_t keys;		/* of a class: told apart in that minute */
	uint64_t line_ns;	/* of a class: its last line in full, 0 none */
};

/* Why the log takes no line: it is as long as it may be. No write fails with this one. */
#define RF_FOLD_QUOTA (-E2BIG)

/* A time in which the log took no line: what of it is in no line yet. */
struct rf_fold_gap {
	int32_t error; /* -errno, RF_FOLD_QUOTA, 0: there is none */
	struct rf_fold_time since;
	uint64_t decisions; /* counted only */
	uint64_t lines;	    /* that are no decisions, and were let go without */
	uint64_t by_class[RF_FOLD_CLASSES];
};

/* A line to be written: of type "folded", or "unwritten". */
struct rf_fold_line {
	uint64_t number; /* rises by one a line; a number that is met twice is the same line */
	uint32_t state;	 /* enum rf_fold_state */
	uint32_t from;	 /* slot; RF_FOLD_FROM_GAP */
	struct rf_fold_what what;
	struct rf_fold_count n;
	struct rf_fold_gap gap;
};

enum rf_fold_state { RF_FOLD_NONE, RF_FOLD_TAKING, RF_FOLD_TAKEN };

#define RF_FOLD_SLOTS (RF_FOLD_KEYS + RF_FOLD_CLASSES)
#define RF_FOLD_FROM_GAP RF_FOLD_SLOTS

/* The answer to the last event of a vCPU that was counted. */
struct rf_fold_asked {
	uint64_t event; /* 0 none */
	uint32_t word;
	char rule[RF_AUDIT_RULE];
	struct rf_audit_answer answer;
	/* Where it was counted, as long as that has this hash; and its class. */
	uint32_t slot, of_class;
	uint64_t hash;
};

struct rf_fold {
	uint64_t magic; /* 0: never used */
	uint64_t size;	/* of this struct: another release's is not read */
	uint64_t instance;
	uint64_t numbers;      /* given to lines */
	uint64_t counted;      /* decisions, ever */
	uint64_t lines, folds; /* allowances */
	uint64_t minute;       /* that active is of */
	uint32_t active;       /* keys told apart in it */
	uint32_t vcpus;	       /* of asked, in use */
	uint32_t found;	       /* slot of the decision that was looked up last, by hash and time */
	uint64_t found_hash, found_ns;
	struct {
		uint32_t state; /* RF_FOLD_TAKEN: to be made, whoever dies */
		uint32_t slot, of_class, vcpu;
		uint64_t event;
		uint64_t count, failed, counted, gap, gap_class; /* that become these */
		struct rf_fold_time now;
	} step;
	struct rf_fold_line line; /* being written */
	struct rf_fold_gap gap;
	struct rf_fold_slot slots[RF_FOLD_SLOTS];
	struct rf_fold_asked asked[RF_FOLD_VCPUS];
};

void rf_fold_init(struct rf_fold *f, uint64_t instance);
/*
 * Takes over what an earlier monitor has left, of which the log's last number is `written`. Memory
 * that was never used is set up. -EBADMSG: another release's, or nobody's; it is untouched.
 */
int rf_fold_adopt(struct rf_fold *f, uint64_t instance, uint64_t written);

/* May it be counted instead of written? Not what seals, measures, ends or alerts. */
bool rf_fold_is_decision(const struct rf_record *r);
/* Does it end the VM? Of these the log has each in full; it is counted where it takes no line. */
bool rf_fold_is_end(const struct rf_record *r);
/* Is this one to be written in full? Uses up its allowance. */
bool rf_fold_in_full(struct rf_fold *f, const struct rf_record *r, const struct rf_fold_time *now);
/* Counts it. Its answer, if it has one, is that to its event from here on. */
void rf_fold_count(struct rf_fold *f, const struct rf_record *r, const struct rf_fold_time *now);
/* What was counted about this event, the last of its vCPU; false: nothing. */
bool rf_fold_decision(const struct rf_fold *f, uint32_t vcpu, uint64_t event,
		      struct rf_audit_decision *out);

/* The same of any vCPU. */
bool rf_fold_has_event(const struct rf_fold *f, uint64_t event);
/* The verdict on it was not carried out, and the VM goes on: counted with it. There is one. */
void rf_fold_failed(struct rf_fold *f, uint64_t event, const struct rf_fold_time *now);

/*
 * The next line that is due, or of all that is counted; of a gap the line that ends it. NULL none.
 * Once it is written: rf_fold_written(). It stays the next one until then, in a later monitor too.
 */
const struct rf_fold_line *rf_fold_next(struct rf_fold *f, const struct rf_fold_time *now,
					bool all);
void rf_fold_written(struct rf_fold *f);
uint64_t rf_fold_pending(const struct rf_fold *f); /* decisions that are in no line yet */
bool rf_fold_waits(const struct rf_fold *f);	   /* is anything in no line yet? */

/* The log takes no line; does nothing if that is known. */
void rf_fold_gap_begin(struct rf_fold *f, int error, const struct rf_fold_time *now);
/* A line that is no decision was let go without. */
void rf_fold_gap_missed(struct rf_fold *f);
/* Of the time in which it takes none: decisions that were counted only, and such lines. */
void rf_fold_gap_sums(const struct rf_fold *f, uint64_t *decisions, uint64_t *lines);

#endif
