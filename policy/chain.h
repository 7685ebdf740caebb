/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The chain of one VM's records: each line names the hash of the line before it and its own, so
 * that none can be changed, dropped, added or moved and the rest still fit.
 *
 * The canonical form of a line is its own bytes. Its last two members are
 *
 *	,"prev":"<64 digits>","hash":"<64 digits>"}
 *
 * and hash is the SHA-256 of all that stands before `,"hash":`, from the `{` on. prev is the hash
 * of this instance's previous line, 64 zeros in the first one. Whoever verifies needs no JSON
 * writer that agrees with ours, only the bytes.
 *
 * Where the chain stands is kept outside of the file, in memory that outlives the monitor: what the
 * file holds is then compared with it, not believed.
 */
#ifndef RF_POLICY_CHAIN_H
#define RF_POLICY_CHAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "policy/jsonline.h"
#include "policy/merkle.h"

#define RF_CHAIN_BYTES 32		     /* of a hash */
#define RF_CHAIN_SEQ_MAX (UINT64_C(1) << 53) /* what a JSON reader with doubles still tells */
#define RF_CHAIN_MAGIC UINT64_C(0x4e49414843465200) /* "\0RFCHAIN" */
#define RF_CHAIN_VERSION 1u

/* Behind the last line of an instance. */
struct rf_chain_state {
	uint64_t instance; /* 0: nobody's yet */
	uint64_t seq;	   /* of that line, 0 none */
	uint64_t dev, ino; /* the file it was written to, */
	uint64_t end;	   /* and the offset behind its '}' there */
	uint8_t hash[RF_CHAIN_BYTES];
	uint64_t checkpoint;   /* seq of the last line of type "checkpoint", 0 none */
	struct rf_merkle tree; /* over the hashes of all lines; of fewer where they are not known */
};

/*
 * Shared memory of `run` and each monitor of its VM. A monitor may be killed at any instruction:
 * the next state is completed in the slot that is not current, then the line is written, and one
 * store makes that slot the current one. So a slot that is one line ahead says what the line looks
 * like that a dead monitor was about to write, and the next monitor knows it by its hash.
 */
struct rf_chain {
	uint64_t magic;
	uint32_t version, size; /* of this struct */
	uint32_t current, reserved;
	struct rf_chain_state slot[2];
};

/* A sealed memfd with a chain in it that has no line. Its number, or -errno. */
int rf_chain_create(void);
/*
 * Maps one; the caller may close fd. What is no chain of this version is made one that has no line,
 * and *anew set: whoever has spoiled it does not stop the next one. 0 or -errno, -EPROTO for memory
 * of another size.
 */
int rf_chain_take(int fd, struct rf_chain **out, bool *anew);
/* For `run`, while a monitor writes: does the last line stand in that file? True where there is no
 * line yet. */
bool rf_chain_is_in(int fd, int file);
/* In private memory. */
void rf_chain_init(struct rf_chain *c);

const struct rf_chain_state *rf_chain_now(const struct rf_chain *c);
/* The slot that is one line ahead, NULL when there is none. */
const struct rf_chain_state *rf_chain_ahead(const struct rf_chain *c);

/* From here on the chain is this instance's; another one's is forgotten. */
void rf_chain_follow(struct rf_chain *c, uint64_t instance);
/* Goes on behind a line that somebody else has read in the log. */
void rf_chain_resume(struct rf_chain *c, uint64_t seq, const uint8_t hash[RF_CHAIN_BYTES]);
/* A line with this hash is about to be written; */
void rf_chain_prepare(struct rf_chain *c, const uint8_t hash[RF_CHAIN_BYTES]);
/* it is a checkpoint; */
void rf_chain_prepared_checkpoint(struct rf_chain *c);
/* and now it stands in that file. */
void rf_chain_commit(struct rf_chain *c, uint64_t dev, uint64_t ino, uint64_t end);

/* Adds prev and hash and ends the line. 0 with the hash, or -EMSGSIZE. */
int rf_chain_seal(struct rf_jsonline *j, const uint8_t prev[RF_CHAIN_BYTES],
		  uint8_t hash[RF_CHAIN_BYTES]);

/* What a line says of its place in a chain. */
struct rf_chain_line {
	uint64_t instance, seq;
	uint8_t prev[RF_CHAIN_BYTES], hash[RF_CHAIN_BYTES];
	bool holds; /* hash is that of the line's bytes */
};

/* Is it a line of an instance's chain? line without its newline; root: the same, parsed. What a
 * member holds that is not as we write it, is not there. */
bool rf_chain_line_of(const json_t *root, const char *line, size_t len, struct rf_chain_line *out);
/* The same without a parsed line, at the price of one that is not ours in any case: its text is
 * looked at before it is parsed. */
bool rf_chain_line_read(const char *line, size_t len, uint64_t instance, struct rf_chain_line *out);

/* Do these bytes end as a line of a chain does, before its newline? Half a line never does. */
#define RF_CHAIN_END_BYTES (10 + 2 * RF_CHAIN_BYTES + 2)
bool rf_chain_ends(const char *bytes, size_t len);
bool rf_chain_ends_with(const char *bytes, size_t len, const uint8_t hash[RF_CHAIN_BYTES]);

/* As rf_jsonline_address() writes it, and in no other way. */
bool rf_chain_address(const json_t *root, const char *name, uint64_t *out);

#endif
