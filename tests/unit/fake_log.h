/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A log in memory, line by line, so that it can be touched; and what the verifier says of it. */
#ifndef RF_TESTS_UNIT_FAKE_LOG_H
#define RF_TESTS_UNIT_FAKE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "policy/audit.h"
#include "policy/verify.h"

#define FAKE_LOG_LINES 2048

struct fake_log {
	char *line[FAKE_LOG_LINES]; /* malloc'd, without newline */
	size_t len[FAKE_LOG_LINES], count;
	bool torn; /* the last line has no newline */
};

void fake_log_add(struct fake_log *l, size_t at, const char *text, size_t len);
void fake_log_drop(struct fake_log *l, size_t at);
void fake_log_drop_all(struct fake_log *l);
void fake_log_parse(struct fake_log *l, const char *text, size_t len);
char *fake_log_text(const struct fake_log *l, size_t *len); /* malloc'd */
void fake_log_copy(struct fake_log *to, const struct fake_log *from);

/* Each line of an instance named, numbered and hashed anew, as if it had been written like this. */
void fake_log_hash_anew(struct fake_log *l, uint64_t instance);
/* Of an instance no line before that one is left: it is one of type "continued" with that tree
 * (NULL: with none), and those behind it are hashed anew. Where it is then. */
size_t fake_log_forge_part(struct fake_log *l, uint64_t instance, size_t at, const char *tree);

extern char fake_log_path[32];		/* the file, */
void fake_log_read(struct fake_log *l); /* which is read */

#define FAKE_LOG_ONE UINT64_C(0xfedcba9876543210)
#define FAKE_LOG_TWO UINT64_C(0x77)
struct rf_audit *fake_log_writer(uint64_t instance);
void fake_log_write(struct rf_audit *a, unsigned int n); /* decisions, and some outcomes */
/* A new file with 200 lines of two VMs, mixed, each with its end; read. 0 or -1. */
int fake_log_two_vms(struct fake_log *out);

extern const struct rf_note_key *fake_log_key; /* that checkpoints must be signed by; NULL none */
enum rf_verdict_of_log fake_log_verify(const struct fake_log *logs, unsigned int files);
/* What the last call has found. */
extern struct rf_finding fake_found[1024];
extern size_t fake_findings;
extern struct rf_verified fake_instances[16];
extern size_t fake_instance_count;
void fake_log_assert_found(size_t n, enum rf_finding_kind kind, uint64_t instance, uint64_t seq,
			   uint64_t line);

#endif
