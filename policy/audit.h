/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The record: one JSON object per line, on disk before the decision that it is about is enforced.
 * What says the same again is counted instead (policy/fold.h), as is what a full log does not take,
 * and the counts are lines of their own. The lines of one VM instance are a chain (policy/chain.h):
 * whoever has the file can tell what was changed, dropped, added or moved in it.
 *
 * Verdict words have one meaning everywhere: "blocked" the write never lands, "undone" it was
 * reverted before the next guest instruction, "detected" it was found within a stated time,
 * "allowed" it was legal and applied. Strings that come from the guest are escaped and marked as
 * claimed by the guest.
 */
#ifndef RF_POLICY_AUDIT_H
#define RF_POLICY_AUDIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum rf_word { RF_WORD_ALLOWED = 1, RF_WORD_BLOCKED, RF_WORD_UNDONE, RF_WORD_DETECTED };
const char *rf_word_text(enum rf_word w); /* "allowed" ..., NULL for no such word */

/* An address with the name the guest's own symbol table gives it. symbol "" when there is none. */
struct rf_named {
	uint64_t addr;
	char symbol[128];
	uint64_t offset;
	char module[57]; /* "" for the kernel itself */
};

#define RF_AUDIT_BYTES 64

struct rf_patch_span; /* policy/patchlog.h */

/* What the question was answered with; the stricter, the higher. */
enum rf_answered {
	RF_ANSWERED_ALLOW = 1,
	RF_ANSWERED_NOT_OURS, /* left to the VMM */
	RF_ANSWERED_DENY,
	RF_ANSWERED_KILL,
};

/*
 * All that the vCPU gets, so that a monitor which is asked once more, because the one that wrote
 * the record died before its answer arrived, gives the same one whatever the guest's memory says by
 * then.
 */
struct rf_audit_answer {
	enum rf_answered verdict;
	bool has_fault; /* vector to rflags */
	bool has_gpr;	/* no: those of the event */
	bool has_table; /* base to selector: what a register is loaded with */
	uint8_t vector; /* 0: the registers alone */
	uint32_t error_code;
	uint64_t cr2, rip, rflags, gpr[16];
	uint64_t base;
	uint32_t limit;
	uint16_t selector;
};

/* The outcome of a record after which the VM is ended: then that is the answer, even where the
 * record has no other one. */
#define RF_OUTCOME_ENDED "the VM is ended"
/* The same, of one that stands still until somebody resumes it. */
#define RF_OUTCOME_PAUSED "left as it is, and the VM is paused"

#define RF_AUDIT_RULE 40 /* no rule's name is as long */

/* What is on record about an event. */
struct rf_audit_decision {
	uint64_t event;
	enum rf_word word; /* 0: it has none */
	/* The answer is in the record, all of it. Not so: a line of another version's, or two that
	 * contradict each other; answer.verdict is what they say, the strictest of it, 0 nothing.
	 */
	bool exact;
	struct rf_audit_answer answer;
	char rule[RF_AUDIT_RULE]; /* "" none */
};

/* A decision on one guest action. Members that do not apply stay zero and are left out of the
 * line. */
struct rf_record {
	uint64_t event; /* id given by the fence, unique for the VM's life; 0 none */
	uint32_t vcpu;
	const char *kind;   /* "write", "msr", "emulation", "dma", "seal", "patch", "monitor" ... */
	const char *region; /* "text", "rodata", ... NULL none */
	struct rf_named target;	 /* what was to be changed */
	struct rf_named writer;	 /* the instruction that did it: also the RIP of the line */
	struct rf_named handler; /* the code that is called */
	bool has_target, has_writer, has_handler, has_task;
	char task[17]; /* claimed by the guest */
	int32_t pid;
	uint32_t uid;
	uint64_t gpa;
	uint32_t len; /* bytes in old/new; at most RF_AUDIT_BYTES are kept, len says all */
	bool has_old, has_new;
	uint8_t old_bytes[RF_AUDIT_BYTES], new_bytes[RF_AUDIT_BYTES];
	const char *disassembly; /* of the store, NULL none */
	const char *rule;	 /* the rule that gave the verdict */
	enum rf_word verdict;
	const char
		*outcome; /* what the guest gets: "page fault", "applied", "left to the VMM" ... */
	const char *detail;		       /* free text for people, NULL none */
	char sha256[65];		       /* measurement of a region, "" none */
	char expected[65];		       /* what it should be, "" none */
	uint64_t size;			       /* bytes of a region, 0 none */
	const struct rf_patch_span *patch_log; /* of kind "patches": what of it this line is of */
	const struct rf_audit_answer *answer;  /* to this event, NULL none */
};

struct rf_audit;    /* an open log */
struct rf_chain;    /* policy/chain.h */
struct rf_note_key; /* policy/note.h */

#define RF_AUDIT_BOOT_ID 37
/* What the kernel calls this run of the host, "" when it does not say. Opens a file. */
void rf_audit_boot_id(char out[RF_AUDIT_BOOT_ID]);

struct rf_audit_setup {
	const char *vm;	     /* at most 64 bytes, copied into each line */
	uint64_t instance;   /* unique to one VM start */
	const char *boot_id; /* NULL or "": left out of the lines */
	/*
	 * Memory that outlives this process, with where the chain stands; it stays mapped until the
	 * log is closed. NULL: the chain goes on behind the last line of this instance in the file,
	 * which is then believed.
	 */
	struct rf_chain *chain;
	/* It is spoiled, and says nothing: as without it, and the first line says so. */
	bool chain_anew;
	/*
	 * The file that the log was in before this one, opened in the same way; 0 none. Where the
	 * chain stands in it still, whoever was to go on in the new file died before: then that is
	 * done now, as by rf_audit_rotate(). Else it is read for what was decided, and closed.
	 */
	int before_fd;
	/* Signs checkpoints; it stays the caller's until the log is closed. NULL: there are
	 * none. */
	const struct rf_note_key *key;
};

/*
 * Takes over a regular file opened for append and read. Reads its last 4 MiB so that a restarted
 * writer goes on: rf_audit_has_event() then knows the decisions of this VM instance (a number
 * unique to one VM start; lines of other instances do not count). A torn last line is left as it is
 * and ended before the next one. What the chain says that was written, and the file does not have,
 * is named by a line of type "gap" before the first new one; the chain goes on from where it stood.
 * A line that a dead writer finished but did not get to count is counted. 0, and both descriptors
 * are its own; or -errno, -EINVAL for a file of the wrong kind.
 */
int rf_audit_open_setup(int fd, const struct rf_audit_setup *setup, struct rf_audit **out);
void rf_audit_close(struct rf_audit *a);
/*
 * Goes on in another file, as opened for rf_audit_open_setup(): the old one ends with a line of
 * type "rotated" and a checkpoint, where there is a key; the new one begins with one of type
 * "continued". 0: so it is, and fd is owned; lines that were not taken are left out, or come before
 * the next one. Else -EINVAL for an fd of the wrong kind, -EEXIST for the same file, or -errno:
 * nothing has changed.
 */
int rf_audit_rotate(struct rf_audit *a, int fd);
/* How often somebody else has cut the file while it was written. What is missing since is a gap. */
uint64_t rf_audit_cuts(const struct rf_audit *a);

/* True when a decision for this event id is in the log already (a restarted monitor is sent it
 * again). */
bool rf_audit_has_event(const struct rf_audit *a, uint64_t event);
/*
 * The same decision; false: there is none. One that is too long ago for its answer to be kept is
 * not exact and has no word: more are kept than a VM has open questions.
 */
bool rf_audit_decision(const struct rf_audit *a, uint64_t event, struct rf_audit_decision *out);

/* Writes the line and flushes it to disk (fdatasync). 0, or -errno: then the caller must not
 * enforce an allow. */
int rf_audit_write(struct rf_audit *a, const struct rf_record *r);
/* Second, short line once the fence has reported:
 * {"type":"outcome","event":N,"status":"ok"|...}. */
int rf_audit_outcome(struct rf_audit *a, uint64_t event, const char *status);
/* The last line of this instance: {"type":"end","cause":TEXT}, NULL none. A log without one was
 * cut, or its writer died. Behind it comes a last checkpoint, where there is a key: then it has
 * "signed":true. */
#define RF_AUDIT_CAUSE 80 /* bytes at most */
int rf_audit_end(struct rf_audit *a, const char *cause);

#define RF_AUDIT_CHECKPOINT_LINES 256
#define RF_AUDIT_CHECKPOINT_NS UINT64_C(10000000000)
/*
 * To be called often: writes a checkpoint (policy/checkpoint.h) when there are that many lines
 * since the last one, or when there is one and this much time has passed. 0, also where nothing is
 * to be done, or -errno; it is tried again.
 */
int rf_audit_tick(struct rf_audit *a);

/*
 * A line of another type; put adds its members. On disk, or -errno, as a record's. written: the
 * highest number of a "folded" or "unwritten" line (policy/fold.h) of this instance that was there
 * when it was opened. size: bytes, 0 unknown.
 */
struct rf_jsonline;
int rf_audit_line(struct rf_audit *a, const char *type,
		  void (*put)(struct rf_jsonline *j, const void *what), const void *what);
uint64_t rf_audit_written(const struct rf_audit *a);
uint64_t rf_audit_size(const struct rf_audit *a);
/* RFC 3339 of CLOCK_REALTIME ns. */
void rf_audit_put_time(struct rf_jsonline *j, const char *name, uint64_t ns);

/* Number of lines written by this process, by word; index with enum rf_word. */
uint64_t rf_audit_count(const struct rf_audit *a, enum rf_word w);

#endif
