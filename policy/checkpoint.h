/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Checkpoints (c2sp.org/tlog-checkpoint): a signed note whose text is
 *
 *	<origin>
 *	<number of leaves, decimal>
 *	<Merkle root, base64>
 *
 * The origin names the VM instance, so that no checkpoint of one passes for another one's.
 */
#ifndef RF_POLICY_CHECKPOINT_H
#define RF_POLICY_CHECKPOINT_H

#include "policy/merkle.h"
#include "policy/note.h"

#define RF_CHECKPOINT_ORIGIN 128

struct rf_checkpoint {
	char origin[RF_CHECKPOINT_ORIGIN];
	uint64_t size;
	uint8_t root[RF_MERKLE_BYTES];
};

/* "ringfence/audit/<vm>/0x<instance>", with '_' for what a name may not have. */
void rf_checkpoint_origin(const char *vm, uint64_t instance, char out[RF_CHECKPOINT_ORIGIN]);
/* 0 or -EMSGSIZE. */
int rf_checkpoint_sign(const struct rf_note_key *k, const struct rf_checkpoint *c,
		       char note[RF_NOTE_BYTES]);
/* As rf_note_open(), and -EBADMSG for a note that is no checkpoint, or has more lines. */
int rf_checkpoint_open(const struct rf_note_key *k, const char *note, size_t len,
		       struct rf_checkpoint *out);

#endif
