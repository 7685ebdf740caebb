/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Places of the kernel's that hold pointers to functions, each a row: where its objects begin, how
 * they hang together, and which of their pointers lead to code. Most checks are a table of them.
 */
#ifndef RF_INTROSPECTION_CHECKS_SLOTS_H
#define RF_INTROSPECTION_CHECKS_SLOTS_H

#include "introspection/checks/inside.h"

enum rf_shape {
	RF_SHAPE_LIST = 1, /* a list_head */
	RF_SHAPE_LISTS,	   /* an array of them */
	RF_SHAPE_HLIST,	   /* a hlist_head */
	RF_SHAPE_HLISTS,   /* an array of them */
	RF_SHAPE_CHAIN,	   /* a pointer to the first; link holds that to the next */
	RF_SHAPE_POINTERS, /* an array of pointers to objects */
	RF_SHAPE_STRUCTS,  /* an array of objects */
	RF_SHAPE_CODE,	   /* an array of pointers to functions of the image's own text */
};

struct rf_slots {
	const char *what;   /* one of them, in words */
	const char *symbol; /* "a|b": the first that there is. An array ends at the next symbol. */
	enum rf_shape shape;
	const char *type; /* struct of the objects */
	const char *link;
	/* A member of each object that points to a table of functions, and the table's struct.
	 * Without: the functions are the object's own. */
	const char *ops, *ops_type;
	const char *name;		   /* a member: a text, or a pointer to one */
	const char *head_type, *head_path; /* of the symbol, where its list stands; else at once */
};

/*
 * All rows, up to one without a symbol. A symbol that this kernel has not got leaves its row out;
 * none that there is: -ENOTSUP. So it is too where a row's types are missing, when all others have
 * been looked at: but for one that the next row has by another shape.
 */
int rf_run_slots(struct rf_run *run, const struct rf_slots *rows);

/* The objects of one row at `head`, as if its symbol stood there. bytes: of an array. */
int rf_run_slots_at(struct rf_run *run, const struct rf_slots *row, uint64_t head, uint64_t bytes);

#endif
