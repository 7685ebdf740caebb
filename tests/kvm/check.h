/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A scenario runs in a process of its own (the fence knows one VM a process), in any of its threads. A check that fails
 * ends it; what this host cannot do ends it as skipped, with the reason.
 */
#ifndef RF_TESTS_KVM_CHECK_H
#define RF_TESTS_KVM_CHECK_H

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SKIPPED 77

#define FAIL(...)                                                                                  \
	do {                                                                                       \
		fprintf(stderr, "  %s:%d: ", __FILE__, __LINE__);                                  \
		fprintf(stderr, __VA_ARGS__);                                                      \
		fputc('\n', stderr);                                                               \
		_exit(1);                                                                          \
	} while (0)

#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (!(cond))                                                                       \
			FAIL("not so: %s (errno %s)", #cond, strerror(errno));                     \
	} while (0)

#define CHECK_EQ(a, b)                                                                             \
	do {                                                                                       \
		uint64_t a_ = (uint64_t)(a), b_ = (uint64_t)(b);                                   \
		if (a_ != b_)                                                                      \
			FAIL("%s is %#llx, not %s (%#llx)", #a, (unsigned long long)a_, #b,        \
			     (unsigned long long)b_);                                              \
	} while (0)

#define SKIP(...)                                                                                  \
	do {                                                                                       \
		printf("  skipped: ");                                                             \
		printf(__VA_ARGS__);                                                               \
		putchar('\n');                                                                     \
		fflush(stdout);                                                                    \
		_exit(SKIPPED);                                                                    \
	} while (0)

#endif
