/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log of allowed text patches: too many for a line each in the audit log (a tracer on all
 * functions is fifty thousand), so 32 bytes each in a file beside it, host byte order.
 *
 * A file is a row of records. A head says which VM start and which kernel the patches after it
 * belong to; names of places in it, and of places that patches lead to, come some time behind the
 * patches. Each ends in its mark; what does not (torn by a crash or a full disk, then filled up
 * to the next 32 bytes) is no record and is skipped.
 */
#ifndef RF_POLICY_PATCHLOG_H
#define RF_POLICY_PATCHLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RF_PATCHLOG_HEAD UINT32_C(0x44484c50) /* "PLHD" */
#define RF_PATCHLOG_LINE UINT32_C(0x4e4c4c50) /* "PLLN" */
#define RF_PATCHLOG_NAME UINT32_C(0x4d4e4c50) /* "PLNM" */

struct rf_patch_line {
	uint64_t ns; /* CLOCK_REALTIME */
	uint32_t at; /* of the site, bytes from the head's base */
	uint16_t vcpu;
	uint8_t kind; /* the site's */
	uint8_t len;  /* of the site, 1..6; of a longer one its beginning is here */
	uint8_t before[6], after[6];
	uint32_t mark; /* RF_PATCHLOG_LINE */
};

struct rf_patch_head {
	uint64_t instance; /* unique to one VM start */
	uint64_t base;	   /* guest-virtual start of kernel text */
	uint64_t kernel;   /* which kernel since the VM's start: ascends with each reboot */
	uint32_t version;  /* 1 */
	uint32_t mark;	   /* RF_PATCHLOG_HEAD */
};

/* A piece of a name. What has a bracket in it is a module's, and the guest's claim. */
struct rf_patch_name {
	uint32_t at;   /* bytes from the head's base, also of what lies before it: modulo 2^32 */
	uint8_t part;  /* from 0; RF_PATCH_NAME_LAST: it is the last one */
	char text[23]; /* printable ASCII; no NUL behind it where it fills all */
	uint32_t mark; /* RF_PATCHLOG_NAME */
};
#define RF_PATCH_NAME_LAST 0x80
#define RF_PATCH_NAME_PARTS 7 /* "symbol+0x123" */
#define RF_PATCH_NAME_BYTES (RF_PATCH_NAME_PARTS * 23 + 1)

union rf_patch_record {
	struct rf_patch_line line;
	struct rf_patch_name name;
	struct rf_patch_head head;
};
_Static_assert(sizeof(union rf_patch_record) == 32, "one size for all");

static inline bool rf_patch_is_head(const union rf_patch_record *r)
{
	return r->head.mark == RF_PATCHLOG_HEAD && r->head.version == 1;
}

static inline bool rf_patch_is_line(const union rf_patch_record *r)
{
	return r->line.mark == RF_PATCHLOG_LINE && r->line.len >= 1 &&
	       r->line.len <= sizeof(r->line.before);
}

/* Where the call or jump leads that was put in place (SDM vol. 2: E8, E9 and 32 bits from its end);
 * as a name's at. */
static inline bool rf_patch_leads(const struct rf_patch_line *l, uint32_t *to)
{
	if (l->len < 5 || (l->after[0] != 0xe8 && l->after[0] != 0xe9))
		return false;
	memcpy(to, l->after + 1, sizeof(*to));
	*to += l->at + 5;
	return true;
}

static inline bool rf_patch_is_name(const union rf_patch_record *r)
{
	return r->name.mark == RF_PATCHLOG_NAME &&
	       (r->name.part & ~RF_PATCH_NAME_LAST) < RF_PATCH_NAME_PARTS;
}

struct rf_patchlog;

/* What a line of the record vouches for: bytes of the file, from the instance's first head on. */
struct rf_patch_span {
	uint64_t from, to;
	uint8_t sha256[32];
};

/*
 * Takes over an fd opened for append and read of a regular file. Counts the patches of `instance`
 * that are there already (an earlier writer's) and adds them to the span, reading back no further
 * than its first head. 0 or -errno, -EINVAL for an fd of the wrong kind. Owns fd on success.
 */
int rf_patchlog_open_fd(int fd, uint64_t instance, struct rf_patchlog **out);
/* Goes on in another file, opened in the same way: owns fd on success, and counts on. A head must
 * come first in it. */
void rf_patchlog_rotate(struct rf_patchlog *p, int fd);
void rf_patchlog_close(struct rf_patchlog *p); /* NULL is fine */

/* Patches of this instance, written by whoever. */
uint64_t rf_patchlog_count(const struct rf_patchlog *p);
uint64_t rf_patchlog_size(const struct rf_patchlog *p); /* bytes, 0 unknown */
/* What follows belongs to this kernel. */
int rf_patchlog_head(struct rf_patchlog *p, uint64_t base, uint64_t kernel);
/* Appends and flushes to disk; sets the marks. 0 or -errno: then none of them counts as written. */
int rf_patchlog_write(struct rf_patchlog *p, struct rf_patch_line *lines, size_t count);

/* The pieces of a name, as records: how many, RF_PATCH_NAME_PARTS at most. */
size_t rf_patchlog_name(union rf_patch_record *out, uint32_t at, const char *symbol,
			uint64_t offset);
/* As rf_patchlog_write(). */
int rf_patchlog_names(struct rf_patchlog *p, const union rf_patch_record *records, size_t count);
/*
 * As far as it was written or, where a write failed, found there before the next one. Of a file
 * that somebody has cut it begins at the cut.
 */
void rf_patchlog_span(const struct rf_patchlog *p, struct rf_patch_span *out);

/*
 * Reads records from `*offset` on, at most max, and moves *offset behind them. How many, or -errno.
 * What lies in them is the caller's to check.
 */
long rf_patchlog_read(int fd, uint64_t *offset, union rf_patch_record *out, size_t max);

#endif
