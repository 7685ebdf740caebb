/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Where the keys of a policy file stand. libcyaml, which reads it, forgets that; libyaml, on which
 * it is built, says it of each word. Nothing here judges.
 */
#ifndef RF_POLICY_PLACES_H
#define RF_POLICY_PLACES_H

#include <stdbool.h>
#include <stddef.h>

#define RF_PLACES_MAX 128 /* keys of one file: twice as many as there are */
#define RF_PLACE_TEXT 48  /* bytes of a word that are kept */

enum rf_place_kind {
	RF_PLACE_WORD = 1, /* a word or a number */
	RF_PLACE_KEYS,	   /* keys of its own below it */
	RF_PLACE_LIST,
	RF_PLACE_ALIAS,
};

/* Lines and columns count from 1. */
struct rf_place {
	char section[RF_PLACE_TEXT]; /* "" at the file's own level */
	char key[RF_PLACE_TEXT], value[RF_PLACE_TEXT];
	enum rf_place_kind kind;
	unsigned int line, column, value_line, value_column;
};

struct rf_places {
	size_t count;
	struct rf_place items[RF_PLACES_MAX];
	/* Where reading stopped before the end, and why; line 0: it did not. */
	unsigned int line, column;
	char why[96];
	unsigned int second_line; /* of another document behind the first one, 0 none */
};

void rf_places_read(const char *text, size_t len, struct rf_places *out);
/* The first one of that name; NULL: it is not in the file. */
const struct rf_place *rf_places_find(const struct rf_places *p, const char *section,
				      const char *key);

#endif
