// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Runs every check on a memory dump and prints what it says, a JSON object a line: of each check
 * {"check", "state", "why", "seconds", "objects", "reads", "round"}, and before it of each of its
 * findings {"finding" (the check), "object", "target", "what", "owner", "symbol", "reason",
 * "round"}. Round 0 is the dump's. ROUNDS more are of RAM, the memory of the same guest, which runs
 * meanwhile: checks are run as on a live one.
 *
 *   look DUMP CR3 CR4 INSIDE [RAM ROUNDS]
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "introspection/checks/check.h"
#include "tests/unit/dump.h"

static int round_now;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int print(json_t *line)
{
	int err = line ? json_dumpf(line, stdout, JSON_COMPACT) : -1;

	json_decref(line);
	putchar('\n');
	return err ? -ENOMEM : 0;
}

static int show(void *ctx, const struct rf_check_finding *f)
{
	char object[24], target[24];

	snprintf(object, sizeof(object), "%#llx", (unsigned long long)f->object.v);
	snprintf(target, sizeof(target), "%#llx", (unsigned long long)f->target.v);
	return print(json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i}", "finding",
			       f->check->name, "object", object, "target", target, "what", f->what,
			       "owner", f->owner, "symbol", f->symbol, "reason", f->reason, "round",
			       round_now));
}

static int run_all(struct rf_checks *c)
{
	int err = 0;

	for (size_t i = 0; !err && rf_checks[i]; i++) {
		struct rf_check_result r;
		double start = now();

		err = rf_checks_run(c, rf_checks[i], show, NULL, &r);
		if (!err)
			err = print(json_pack("{s:s, s:s, s:s, s:f, s:I, s:I, s:i}", "check",
					      rf_checks[i]->name, "state",
					      rf_check_state_text(r.state), "why", r.why, "seconds",
					      now() - start, "objects", (json_int_t)r.looked_at,
					      "reads", (json_int_t)r.reads, "round", round_now));
	}
	return err;
}

static int look(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		bool live, int rounds)
{
	const struct rf_checks_options options = { .live = live };
	struct rf_checks *checks;
	int err = rf_checks_create(k, m, p, &options, &checks);

	if (err)
		return err;
	for (int i = 0; !err && i < rounds; i++) {
		err = run_all(checks);
		round_now++;
	}
	rf_checks_destroy(checks);
	return err;
}

static int look_at_ram(const struct rf_kernel *k, const struct rf_paging *p, const char *ram,
		       int rounds)
{
	struct rf_memory m;
	struct dump d;
	int err = dump_open(ram, &d);

	if (err)
		return err;
	m = dump_memory(&d);
	err = look(k, &m, p, true, rounds);
	dump_close(&d);
	return err;
}

int main(int argc, char **argv)
{
	struct rf_diag diag = { "" };
	struct rf_paging p, kernel_p;
	struct rf_kernel *k;
	struct rf_memory m;
	struct dump d;
	int err;

	if (argc != 5 && argc != 7) {
		fputs("usage: look DUMP CR3 CR4 INSIDE [RAM ROUNDS]\n", stderr);
		return 2;
	}
	err = dump_open(argv[1], &d);
	if (err) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-err));
		return 2;
	}
	m = dump_memory(&d);
	p = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	err = rf_kernel_discover(&m, &p, rf_gva_of(strtoull(argv[4], NULL, 16)), &k, &diag);
	if (err) {
		fprintf(stderr, "no kernel found: %s (%s)\n", strerror(-err), diag.text);
		return 1;
	}
	if (rf_kernel_paging(k, &kernel_p))
		kernel_p = p;
	err = look(k, &m, &kernel_p, false, 1);
	if (!err && argc == 7)
		err = look_at_ram(k, &kernel_p, argv[5], atoi(argv[6]));
	rf_kernel_destroy(k);
	dump_close(&d);
	if (err)
		fprintf(stderr, "look: %s\n", strerror(-err));
	return err != 0;
}
