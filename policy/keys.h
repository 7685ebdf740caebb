/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The keys of the policy file, in one table: the parser's schema is made of it, and so is all that
 * is said of a key anywhere.
 *
 * To add a key: its member in struct rf_policy, one row in policy/keys.c; in docs/ringfence.1.scd,
 * POLICY, its line in the file that is shown there, its row and its words, and its word in the
 * table of RELOADING; and its line in policy/profiles/default.yaml. `make cli-test` compares them.
 */
#ifndef RF_POLICY_KEYS_H
#define RF_POLICY_KEYS_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "policy/policy.h"

#define RF_KEYS_MAX 64	   /* rows */
#define RF_KEY_WORDS_MAX 4 /* legal words of a key */
#define RF_KEY_PATH 64	   /* "pin.control_watch" */
#define RF_KEY_LEGAL 96	   /* what may stand there, as a phrase */
#define RF_KEY_SECTIONS 8u /* keys that have keys below them */

struct rf_key_word {
	const char *text; /* NULL: the last one stands before */
	uint32_t value;
};

/*
 * Which of two values is the stricter one, for a policy that changes while its VM runs. FIXED: what
 * the key is about is done at the start or at the seal, and is not done again.
 */
enum rf_key_way {
	RF_KEY_FIXED = 1,
	RF_KEY_GREATER, /* the greater number, or value of a word, is stricter */
	RF_KEY_SMALLER,
	RF_KEY_FEWER, /* of names: those of the other list, with some left out */
	RF_KEY_MORE,  /* of names: those of the other list, and others */
};

struct rf_key {
	const char *section; /* the key that it stands below; NULL none */
	const char *name;
	const char *what;		 /* one line */
	const struct rf_key_word *words; /* NULL: a number, or names */
	uint32_t min, max;		 /* of a number */
	const char *unit;		 /* of a number, NULL none */
	uint32_t standard;		 /* its value where the file does not say */
	size_t at, size;		 /* the member of struct rf_policy, size 0: none */
	bool names;	 /* a list of names, `max` at most; its value is how many there are */
	bool of_modules; /* '_' is read for '-' in each of them */
	enum rf_key_way way;
	bool held;    /* the fence holds the VM to it from the start: it is never loosened */
	bool endless; /* of a number: 0 stands for one without end */
};

extern const struct rf_key rf_keys[];
extern const size_t rf_keys_count;

uint32_t rf_key_get(const struct rf_policy *p, const struct rf_key *k);
void rf_key_set(struct rf_policy *p, const struct rf_key *k, uint32_t value);

/* Of a key that is a list of names. */
const struct rf_names *rf_key_names(const struct rf_policy *p, const struct rf_key *k);

/* "pin.control_watch"; returns out. */
const char *rf_key_path(const struct rf_key *k, char out[RF_KEY_PATH]);
/* The row of a key by its place; section NULL or "": the file's own level. NULL: there is none. */
const struct rf_key *rf_key_find(const char *section, const char *name);
/* As it stands in the file; returns out. */
const char *rf_key_value(const struct rf_key *k, uint32_t value, char out[RF_KEY_PATH]);
/* "enforce, observe", or "10 to 3600000 (milliseconds)"; returns out. */
const char *rf_key_legal(const struct rf_key *k, char out[RF_KEY_LEGAL]);

/* The key's value in *p, of names all of them. NULL: no memory. */
json_t *rf_key_json_of(const struct rf_policy *p, const struct rf_key *k);
/* As in the file, with its type: a number (of names how many), true, false, a word. NULL: no
 * memory. */
json_t *rf_key_json(const struct rf_key *k, uint32_t value);

/* All of *p, by the keys' paths. NULL: no memory. */
json_t *rf_keys_json(const struct rf_policy *p);

#endif
