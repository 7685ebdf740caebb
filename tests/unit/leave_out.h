/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What this machine cannot run is skipped, with the reason, which tests/run-unit shows. */
#ifndef RF_TESTS_LEAVE_OUT_H
#define RF_TESTS_LEAVE_OUT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define LEAVE_OUT(...)                         \
	do {                                   \
		print_message("skipped: ");    \
		print_message(__VA_ARGS__);    \
		print_message("\n");           \
		skip();                        \
	} while (0)

#define NEEDS_ROOT()                                   \
	do {                                           \
		if (geteuid())                         \
			LEAVE_OUT("it takes root");    \
	} while (0)

/* How often to repeat a loop; RF_TEST_PART=N, as tests/run-valgrind has it, divides that by N. */
static inline unsigned int rounds(unsigned int times)
{
	const char *part = getenv("RF_TEST_PART");
	int divisor = part ? atoi(part) : 1;

	return divisor > 1 ? times / (unsigned int)divisor : times;
}

#endif
