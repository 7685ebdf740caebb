/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A row, and with what it is read. A row has up to four readings; each makes a number and a text,
 * and says which number is wanted. What a kernel has renamed, or keeps in another way, is one more
 * reading: no version is ever asked for.
 */
#ifndef RF_INTROSPECTION_POSTURE_IMPL_H
#define RF_INTROSPECTION_POSTURE_IMPL_H

#include "introspection/checks/impl.h"
#include "introspection/posture/posture.h"

struct rf_posture {
	struct rf_checks *c;
	const struct rf_posture_cpu *cpus;
	size_t cpu_count;
	/* The configuration that the kernel was built with, "\nCONFIG_A=y\n..."; NULL: it carries
	 * none, or config_why says what is wrong with it. */
	char *config;
	char config_why[RF_WHY];
};

struct rf_look {
	struct rf_run *run;
	const struct rf_posture *p;
};

struct rf_answer {
	int64_t value;
	char text[80], by[80];
};

enum rf_wanted {
	RF_IS = 1,
	RF_IS_NOT,
	RF_AT_LEAST,
};

/* What it means that the kernel has not got what a reading is of. */
enum rf_absent {
	RF_ABSENT_WEAK,	   /* the protection is not built in */
	RF_ABSENT_GOOD,	   /* what is to be restricted is not built in; `also` must be absent too */
	RF_ABSENT_PASS,	   /* nothing: the next reading has the word */
	RF_ABSENT_UNKNOWN, /* that it cannot be known */
};

/* What a value is called. */
struct rf_word {
	const char *enumerator; /* of the kernel's types, whose value counts; NULL: value */
	int64_t value;
	const char *text; /* NULL ends them */
};

struct rf_reading {
	/*
	 * 0 and *out; -ENOENT, the kernel has not got it; or an error of inside.h. One of the
	 * functions below, which say what they make of the members.
	 */
	int (*read)(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
	const char *name; /* what is looked at; several, with '|' between them: the first there */
	enum rf_wanted wanted;
	int64_t value;		/* that is wanted */
	const char *enumerator; /* value is that one's of the kernel's types; NULL: value */
	enum rf_absent absent;
	/*
	 * Other names of the same feature, like `name`. Where that is absent and one of these is
	 * there, the kernel has the feature, and keeps what was asked for elsewhere: unknown. No
	 * system call will do: kernel/sys_ni.c has a stub of the same name for each that is not
	 * built in (arch/x86/include/asm/syscall_wrapper.h __COND_SYSCALL).
	 */
	const char *also;
	const char *missing; /* what is said where it is absent; NULL: "not built in" */
	uint8_t size;	     /* bytes of a variable; 0: 4, an int */
	uint64_t mask;
	const char *type, *path;     /* a member of a variable */
	const struct rf_word *words; /* NULL: a number is a number */
};

enum rf_combine {
	RF_FIRST, /* the first reading that the kernel has */
	RF_ANY,	  /* good where one of them is */
	RF_ALL,	  /* good where all of them are that the kernel has */
};

struct rf_posture_row {
	const char *name, *wanted, *set, *why; /* posture.h */
	enum rf_combine combine;
	uint32_t reads; /* of guest memory, at most; 0: RF_POSTURE_READS */
	struct rf_reading readings[4];
};
#define RF_POSTURE_READS 4096u

/* Good where lockdown forbids that reason (include/linux/security.h enum lockdown_reason). */
#define RF_BY_LOCKDOWN(reason)                                                                     \
	{                                                                                          \
		rf_read_lockdown, "kernel_locked_down", RF_AT_LEAST, .enumerator = (reason),       \
								     .absent = RF_ABSENT_PASS,     \
								     .words = rf_posture_lockdown  \
	}
extern const struct rf_word rf_posture_lockdown[], rf_posture_on_off[], rf_posture_off_on[];

/* By subject; one without a name behind the last. */
extern const struct rf_posture_row rf_posture_image[], rf_posture_memory[], rf_posture_use[];

/* --- readings: 1 yes, 0 no, where nothing else is said ------------------------------- */

/* Is there a function of that name? Also where kallsyms has no variables. */
int rf_read_function(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Is there a variable of that name? */
int rf_read_symbol(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Has struct `type` a member `name`? */
int rf_read_member(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* How many values lie between the enumerators `name` and `path`? */
int rf_read_span(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* A static key: is it on? */
int rf_read_key(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* A variable's number, of it the member type.path; with mask: is one of these bits set? */
int rf_read_number(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Does the text that stands there contain the word `path`? */
int rf_read_text(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Is the security module active? */
int rf_read_lsm(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* The level of lockdown, where the security module of that name is active; otherwise 0. */
int rf_read_lockdown(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Does the kernel's own configuration say so ("CONFIG_A=y")? */
int rf_read_config(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Is the flag of /proc/cpuinfo on? The bug? */
int rf_read_flag(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
int rf_read_bug(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Has each processor that runs the bit `mask` of its register "CR0" or "CR4"? */
int rf_read_register(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* Has page_offset_base been moved? */
int rf_read_page_offset(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
/* How many vulnerabilities of the processor are left open? */
int rf_read_vulnerabilities(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);

/* How many pages are all of mask, between two symbols, of the modules' area, of the kernel's half.
 */
#define RF_PAGE_WRITABLE 1u
#define RF_PAGE_EXECUTABLE 2u
int rf_read_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
int rf_read_module_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);
int rf_read_all_pages(struct rf_look *l, const struct rf_reading *r, struct rf_answer *out);

/* --- what they share --------------------------------------------------------------- */

/* The first of the names that is there. -ENOENT: none; -ENOTSUP: none, but kallsyms has functions
 * alone. */
int rf_posture_symbol(struct rf_look *l, const char *names, uint64_t *at, char found[64]);
/* Of what has not been found: 0, or -ENOTSUP, as one of r->also is there. */
int rf_posture_absent(struct rf_look *l, const struct rf_reading *r);
/* Is the processor said to have that bug? 0, -ENOENT (no such name), or an error of inside.h. */
int rf_posture_bug(struct rf_look *l, const char *name, bool *out);
/* Does a list with `between` between its words have that one? */
bool rf_posture_has_word(const char *list, const char *word, char between);

/* config.c. Fills in config or config_why. */
void rf_posture_take_config(struct rf_posture *p);

#endif
