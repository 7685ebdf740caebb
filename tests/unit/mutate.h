/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Text that is almost right: the same changes each time. */
#ifndef RF_TESTS_UNIT_MUTATE_H
#define RF_TESTS_UNIT_MUTATE_H

#include <stddef.h>

#include "tests/unit/leave_out.h"

#define MUTATED (rounds(10000))

/* Changes it in one to three places; a longer text never has more than room. Returns its length. */
size_t mutate(char *text, size_t len, size_t room);
unsigned int mutate_lines(const char *text, size_t len); /* newlines, and one */

/* So many changed policies: each is taken, or refused with the place where it is wrong. */
void mutated_policies(const char *name, const char *whole, size_t all, unsigned int times);

#endif
