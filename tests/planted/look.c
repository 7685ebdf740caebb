// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Every check on a memory dump: look_all.h has what it prints. Round 0 is the dump's. ROUNDS more
 * are of RAM, the memory of the same guest, which runs meanwhile: checks are run as on a live one.
 *
 *   look DUMP CR3 CR4 INSIDE [RAM ROUNDS]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/planted/look_all.h"
#include "tests/unit/dump.h"

static int round_now;

static int look(const struct rf_kernel *k, const struct rf_memory *m, const struct rf_paging *p,
		bool live, int rounds)
{
	const struct rf_checks_options options = { .live = live };
	struct rf_checks *checks;
	int err = rf_checks_create(k, m, p, &options, &checks);

	if (err)
		return err;
	for (int i = 0; !err && i < rounds; i++) {
		err = look_at_all(checks, round_now);
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
