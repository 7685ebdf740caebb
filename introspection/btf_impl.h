/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What btf.c and btf_fields.c share; no one else includes it. */
#ifndef RF_INTROSPECTION_BTF_IMPL_H
#define RF_INTROSPECTION_BTF_IMPL_H

#include <bpf/btf.h>

#include "introspection/btf.h"

/* C needs two or three; the guest gets no more before its types count as malformed. */
#define RF_BTF_NESTING_MAX 32u	      /* structs in structs, waiting to be searched */
#define RF_BTF_MEMBERS_MAX (1u << 16) /* looked at for one answer */

/* A member, by the number of its type. */
struct rf_btf_found {
	uint32_t type;
	uint64_t bits;	/* from the start of the outermost struct */
	uint32_t width; /* of a bit field, else 0 */
};

const char *rf_btf_name(const struct rf_btf *b, uint32_t offset); /* "" without one */
/* NULL: no such type. */
const struct btf_type *rf_btf_type(const struct rf_btf *b, uint32_t id);
/* Through typedefs and qualifiers to what they name. NULL: dangling, or no end in sight. */
const struct btf_type *rf_btf_resolve(const struct rf_btf *b, uint32_t id);
/* Bytes. 0, -EBADMSG. */
int rf_btf_bytes(const struct rf_btf *b, uint32_t id, uint64_t *out);
/* A struct or union by name, by way of a typedef too. 0, -ENOENT. */
int rf_btf_find(const struct rf_btf *b, const char *name, const struct btf_type **out);
/* By dotted path; also a bit field. 0, -ENOENT, -EINVAL, -EBADMSG. */
int rf_btf_find_path(const struct rf_btf *b, const struct btf_type *type, const char *path,
		     struct rf_btf_found *out);
/* The name of a value of an enum. NULL: none has it, or it is no enum. */
const char *rf_btf_value_name(const struct rf_btf *b, const struct btf_type *t, int64_t value);

#endif
