/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The running kernel, found and understood from its own memory: where the image lies, its symbols
 * (kallsyms tables), its types (.BTF). No file, profile or version number from outside.
 */
#ifndef RF_INTROSPECTION_KERNEL_H
#define RF_INTROSPECTION_KERNEL_H

#include "introspection/arch.h"

struct rf_kernel; /* owns copies of all tables; holds no reference to rf_memory */

/*
 * Finds the image that holds `inside` (any address of it: MSR_LSTAR holds entry_SYSCALL_64), then
 * decodes kallsyms and BTF. The image is the run of mappings around `inside` in the kernel-image
 * window (Documentation/arch/x86/x86_64/mm.rst). Works before and after mark_rodata_ro().
 *
 * 0 and *out (destroy with rf_kernel_destroy), or -errno with diag (may be NULL) filled:
 *
 * - -ENOENT: no image or no kallsyms there
 * - -EBADMSG: tables contradict themselves, or there is more than one kallsyms
 * - -EFAULT, -ENOMEM
 *
 * A kernel without usable BTF is still found: rf_kernel_has_types() is false then. A root that is
 * the user half of a page-table-isolation pair is recognised, and its kernel half used.
 */
int rf_kernel_discover(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		       struct rf_kernel **out, struct rf_diag *diag);
/*
 * The same for an image that is known already, because it was sealed: guest page tables, which an
 * attacker may have changed since, are not asked. Symbols, types and banner are read in `tables`
 * alone, a part of the image: its sealed rodata, or where none is sealed all of it. levels is
 * rf_paging's. `inside` as above.
 */
struct rf_image;
int rf_kernel_discover_image(const struct rf_memory *m, const struct rf_image *image,
			     const struct rf_image *tables, uint8_t levels, rf_gva inside,
			     struct rf_kernel **out, struct rf_diag *diag);
void rf_kernel_destroy(struct rf_kernel *k); /* NULL is fine */

bool rf_kernel_has_types(const struct rf_kernel *k);
/* First line of linux_banner ("Linux version 6.12 ..."), "" when not found. Lives as long as k. */
const char *rf_kernel_banner(const struct rf_kernel *k);

/* --- the image: one physically contiguous run, gva [base, base+size) -> gpa ------ */
struct rf_image {
	rf_gva base;   /* first mapped address of the image: _text's 2 MiB page */
	rf_gpa gpa;    /* where base lies */
	uint64_t size; /* bytes, multiple of 4 KiB */
};
const struct rf_image *rf_kernel_image(const struct rf_kernel *k);
/* gva inside the image -> gpa by the image's offset, without guest page tables. -ENOENT outside. */
int rf_kernel_image_gpa(const struct rf_kernel *k, rf_gva gva, rf_gpa *out);

/*
 * The kernel's own page tables (init_top_pgt, which init_mm and every process's kernel half
 * follow), with as many levels as discovery was given. Unlike CR3 they stay the same, exist for the
 * guest's whole life, and map all of the kernel when the CPU runs user code under page-table
 * isolation. -ENOENT without the symbol.
 */
int rf_kernel_paging(const struct rf_kernel *k, struct rf_paging *out);

/* --- symbols --------------------------------------------------------------------- */
struct rf_symbol {
	const char *name; /* lives as long as the kernel object */
	rf_gva addr;	  /* per-CPU symbols: the offset in the per-CPU area */
	char type;	  /* nm letter as kallsyms stores it; 'A' absolute and per-CPU */
};

/* First symbol of that exact name. 0 or -ENOENT. */
int rf_kernel_symbol(const struct rf_kernel *k, const char *name, struct rf_symbol *out);
/* Like above, the address alone. */
int rf_kernel_address(const struct rf_kernel *k, const char *name, rf_gva *out);
/*
 * The last symbol at or below gva (preferring, among aliases at one address, a global text or data
 * name) and the distance to it. -ENOENT outside the image. Compiler markers never win over a name.
 */
int rf_kernel_symbolize(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			uint64_t *offset);
/* Like rf_kernel_symbolize(), and the address of the next higher symbol or the image's end. */
int rf_kernel_symbol_extent(const struct rf_kernel *k, rf_gva gva, struct rf_symbol *out,
			    rf_gva *end);
/* True when gva is exactly the start of a text symbol ('t', 'T', 'w', 'W'). */
bool rf_kernel_is_function(const struct rf_kernel *k, rf_gva gva);
/* All symbols in address order; index < rf_kernel_symbol_count(). */
size_t rf_kernel_symbol_count(const struct rf_kernel *k);
void rf_kernel_symbol_at(const struct rf_kernel *k, size_t index, struct rf_symbol *out);

/* --- types ----------------------------------------------------------------------- */
struct rf_member {
	uint64_t offset; /* bytes from the start of the outermost struct */
	uint64_t size;	 /* bytes */
};

/*
 * Member by dotted path ("real_cred", "mem.base" ...), looked up through anonymous structs and
 * unions, as C would. -ENOENT when the type or member is absent, -ENOTSUP without BTF or for a bit
 * field, -EBADMSG.
 */
int rf_kernel_member(const struct rf_kernel *k, const char *type, const char *path,
		     struct rf_member *out);
/* sizeof(struct type) in bytes. */
int rf_kernel_sizeof(const struct rf_kernel *k, const char *type, uint64_t *out);
/*
 * fn for each member that is a pointer to a function, of structs in it and of arrays of pointers
 * too: where it stands, bytes from the start of struct type, and its name, which lives as long as
 * k. Members of unions are left out: which of them counts the types do not say. fn's error ends it.
 * -ENOENT, -ENOTSUP, -EBADMSG as above, or fn's error.
 */
typedef int (*rf_function_member_fn)(void *ctx, uint64_t offset, const char *name);
int rf_kernel_functions(const struct rf_kernel *k, const char *type, rf_function_member_fn fn,
			void *ctx);
/* How a member is read. */
enum rf_field_kind {
	RF_FIELD_SIGNED = 1,
	RF_FIELD_UNSIGNED,
	RF_FIELD_BOOL,
	RF_FIELD_ENUM,
	RF_FIELD_POINTER,
	RF_FIELD_FUNCTION, /* a pointer to one */
	RF_FIELD_STRUCT,
	RF_FIELD_UNION,
	RF_FIELD_OTHER,
};

#define RF_FIELD_TYPE_TEXT 128
struct rf_field {
	const char *name; /* as the guest has it; "" of one without; lives as long as k */
	char type[RF_FIELD_TYPE_TEXT]; /* "struct cred *", as the guest has it */
	enum rf_field_kind kind;
	bool is_array, is_signed; /* is_signed: of an enum */
	uint64_t count;		  /* of an array, 0 where it has no size; else 1 */
	uint64_t bit;		  /* where the first one stands, from the start of struct type */
	uint32_t width;		  /* bits of one */
	unsigned int depth;	  /* structs around it, those without a name included */
	const void *of;		  /* for rf_kernel_field_value() */
};

/*
 * fn for each member of struct (or union) type in order, and of structs in it down to depth_max
 * with a name; path, if not NULL: that member, and those inside of it. All of what it tells lies
 * inside of struct type. fn's error ends it. -ENOENT, -ENOTSUP, -EBADMSG as above, -EINVAL (path),
 * or fn's error.
 */
typedef int (*rf_field_fn)(void *ctx, const struct rf_field *field);
int rf_kernel_fields(const struct rf_kernel *k, const char *type, const char *path,
		     unsigned int depth_max, rf_field_fn fn, void *ctx);
/* What an enum calls a value, NULL where it has no name. As the guest has it. */
const char *rf_kernel_field_value(const struct rf_kernel *k, const struct rf_field *f,
				  int64_t value);
/* Value of an enumerator (enum may be anonymous: enum_name NULL). E.g. "SYSTEM_RUNNING". */
int rf_kernel_enumerator(const struct rf_kernel *k, const char *enum_name, const char *name,
			 int64_t *out);

#endif
