/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A policy as a command line names it: a profile that comes with ringfence, or a file. */
#ifndef RF_CLI_POLICY_FILE_H
#define RF_CLI_POLICY_FILE_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "policy/keys.h"

#define RF_PROFILES "default, observe, strict"

/* Whose words a policy's are. */
struct rf_policy_origin {
	bool profile;
	char name[PATH_MAX]; /* of the profile, or the file's path; "" neither: all is default */
	char sha256[65];     /* of the file's bytes */
	unsigned int lines[RF_KEYS_MAX]; /* by row of rf_keys: where it stands there, 0 nowhere */
	/* Of a VM's: since when it is in force, seconds since 1970 (0 not known); how many there
	 * were before it; and by which signature, 0 none. */
	long long since;
	uint32_t reloads;
	uint64_t serial;
};

/*
 * The place of a policy. A word without '/' that is a profile's name is that profile, whatever file
 * of that name lies here; any other is a file's path. 0 or -ENAMETOOLONG; whether the file is there
 * is not asked.
 */
int rf_policy_find(const char *word, char path[PATH_MAX], bool *profile);

/*
 * Reads it. 0, or -errno of rf_file_read() or rf_policy_parse() with *diag; origin->name is set
 * whenever there is one. `path` is where it is read from, if that is another place than what it is
 * called by; NULL none.
 */
int rf_policy_read(const char *word, const char *path, struct rf_policy_diag *diag,
		   struct rf_policy_origin *origin, struct rf_policy *out);
/* rf_policy_read(), and rf_policy_know() of monitor/policy_known.h. */
int rf_policy_read_known(const char *word, const char *path, struct rf_policy_diag *diag,
			 struct rf_policy_origin *origin, struct rf_policy *out);
/* The same, the error reported: "FILE:2:1: there is no such key ..." An enum rf_exit. */
int rf_policy_take(const char *word, struct rf_policy_origin *origin, struct rf_policy *out);
/* Sets o->name by o->profile: the profile `word`, or the whole path of the file. */
void rf_policy_origin_name(struct rf_policy_origin *o, const char *word, const char *path);
/* Why a file could not be read. */
const char *rf_policy_problem(int err);

/* "profile strict", "/etc/web.yaml", "none: every key is at its default"; returns out. */
const char *rf_policy_origin_text(const struct rf_policy_origin *o, char *out, size_t size);

/* As `run` leaves it for `status` and `policy show`. NULL: no memory. */
json_t *rf_policy_origin_json(const struct rf_policy_origin *o);
/* False: it is none. */
bool rf_policy_origin_read(const json_t *o, struct rf_policy_origin *out);

#endif
