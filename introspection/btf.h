/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The guest kernel's types, read through libbpf from a copy of its .BTF
 * (Documentation/bpf/btf.rst).
 *
 * libbpf checks that each type record lies inside the blob and each name inside the string section;
 * it does not check that type references make sense or end (bpf tools trust their input). Only its
 * plain accessors are used here; every reference is followed by our own loops, which are bounded.
 * libbpf's own walkers (btf__resolve_size, btf__resolve_type, dedup, dump) are never called on
 * guest data.
 */
#ifndef RF_INTROSPECTION_BTF_H
#define RF_INTROSPECTION_BTF_H

#include "introspection/kernel.h"

#define RF_BTF_SIZE_MAX ((size_t)32 << 20) /* distributions have 5 to 8 MiB */

struct rf_btf;

/* Copies the blob. 0, -EBADMSG, -ENOMEM. */
int rf_btf_create(const void *blob, size_t len, struct rf_btf **out);
void rf_btf_destroy(struct rf_btf *b); /* NULL is fine */

/* As rf_kernel_member(), rf_kernel_sizeof(), rf_kernel_functions(), rf_kernel_enumerator(),
 * rf_kernel_fields(), rf_kernel_field_value(). */
int rf_btf_member(const struct rf_btf *b, const char *type, const char *path,
		  struct rf_member *out);
int rf_btf_sizeof(const struct rf_btf *b, const char *type, uint64_t *out);
int rf_btf_functions(const struct rf_btf *b, const char *type, rf_function_member_fn fn, void *ctx);
int rf_btf_fields(const struct rf_btf *b, const char *type, const char *path,
		  unsigned int depth_max, rf_field_fn fn, void *ctx);
const char *rf_btf_field_value(const struct rf_btf *b, const struct rf_field *f, int64_t value);
int rf_btf_enumerator(const struct rf_btf *b, const char *enum_name, const char *name,
		      int64_t *out);

#endif
