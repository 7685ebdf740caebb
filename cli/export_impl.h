/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What all formats say of a record, found once. */
#ifndef RF_CLI_EXPORT_IMPL_H
#define RF_CLI_EXPORT_IMPL_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/export.h"

/* How much it matters, in each format's own words. */
struct rf_export_level {
	int ocsf;	     /* severity_id */
	const char *caption; /* its name there */
	int cef;	     /* 0 to 10 */
	int syslog;	     /* RFC 5424, 6.2.1; the journal's PRIORITY as well */
	const char *falco;
};

enum rf_export_severity { RF_EXPORT_INFO, RF_EXPORT_MEDIUM, RF_EXPORT_HIGH, RF_EXPORT_CRITICAL };

/* What OCSF calls them, its version 1.8.0. */
enum rf_ocsf_class {
	RF_OCSF_BASE = 0,
	RF_OCSF_KERNEL = 1003,
	RF_OCSF_MEMORY = 1004,
	RF_OCSF_FINDING = 2004,
	RF_OCSF_LIFECYCLE = 6002,
};

#define RF_OCSF_OTHER 99 /* activity_id: its name says what */

enum rf_export_when {
	RF_EXPORT_ANY = 0,
	RF_EXPORT_BARE,	  /* without a verdict */
	RF_EXPORT_DETAIL, /* without a verdict, and with a detail */
};

/* One kind of record, or of those of a kind that begin their outcome so. */
struct rf_export_row {
	const char *type, *kind; /* kind NULL: of any */
	enum rf_export_when when;
	const char *begins; /* the outcome, or the status of a line of type outcome; NULL any */
	const char *says;
	enum rf_ocsf_class class;
	int activity;
	const char *activity_name;
	enum rf_export_severity alert; /* how much it matters where it is an alert */
	bool quiet;		       /* without a verdict it is none */
};

/* The first row that fits. Never NULL: what no row is about has one. */
const struct rf_export_row *rf_export_row(const json_t *record);
const struct rf_export_level *rf_export_level(enum rf_export_severity s);

/* A verdict in the words of others. */
struct rf_export_verdict {
	const char *word;
	int action_id; /* OCSF, profile security_control */
	const char *action;
	int disposition_id;
	const char *disposition;
	const char *ecs; /* event.type */
};

/* NULL: there is none. One that is not known is a row of its own. */
const struct rf_export_verdict *rf_export_verdict(const char *word);

struct rf_export_time {
	bool known; /* else all of it is 0, which is 1970 */
	int64_t seconds;
	uint32_t ns;
};

struct rf_export_time rf_export_time(const char *rfc3339);
/* With so many digits of the second, 3 or 6: "2024-05-01T10:00:00.123Z". */
void rf_export_time_text(const struct rf_export_time *t, int digits, char out[32]);
int64_t rf_export_ms(const struct rf_export_time *t);

struct rf_export_view {
	json_t *record;
	const struct rf_export_row *row;
	const struct rf_export_level *level;
	const struct rf_export_verdict *verdict;
	bool alert;
	struct rf_export_time time;
	/* Out of the record, printable ASCII. "" where there is none. */
	char vm[65], type[33], kind[33], rule[65], task[33], instance[33];
	char uid[64];		   /* instance/seq */
	char target[256], by[256]; /* by: the writer, or the handler */
	char message[1024];	   /* a sentence; what the guest has named stands last */
};

void rf_export_look(json_t *record, struct rf_export_view *out);

/* The kind, or of a line without one its type. */
const char *rf_export_code(const struct rf_export_view *v);
/* The text of a member; NULL: there is none, or it is empty. */
const char *rf_export_text(const json_t *o, const char *name);
/* NULL: not a number. */
const json_t *rf_export_number(const struct rf_export_view *v, const char *name);
const json_t *rf_export_task(const struct rf_export_view *v, const char *name);

/* One of both: a JSON object that is printed on one line, or text that put() writes. */
struct rf_export_way {
	json_t *(*make)(const struct rf_export_view *v); /* new; NULL no memory */
	int (*put)(const struct rf_export_view *v, FILE *out);
};

extern const struct rf_export_way rf_export_ocsf, rf_export_ecs, rf_export_falco, rf_export_cef,
	rf_export_syslog, rf_export_journal;

/*
 * Each leaf of the record: "target.symbol", with its value. Objects are opened four deep; what is
 * deeper, and lists, are leaves. Names are printable ASCII, cut at RF_EXPORT_NAME - 1. Not 0 stops
 * it and is returned.
 */
#define RF_EXPORT_NAME 96
typedef int (*rf_export_leaf_fn)(void *ctx, const char *name, json_t *leaf);
int rf_export_leaves(json_t *record, rf_export_leaf_fn fn, void *ctx);
/* A leaf as printable ASCII; the caller frees. NULL: no memory. */
char *rf_export_leaf_text(const json_t *leaf);

#endif
