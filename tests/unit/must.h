/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* For child processes of a test, where no assertion may go on. */
#ifndef RF_TESTS_MUST_H
#define RF_TESTS_MUST_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MUST(what)                                                                                 \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "not so: %s (%s)\n", #what, strerror(errno));              \
			_exit(1);                                                                  \
		}                                                                                  \
	} while (0)

#endif
