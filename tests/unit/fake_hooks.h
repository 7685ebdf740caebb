/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hooks that the test makes up, in the place of what introspection/patches/ finds. */
#ifndef RF_TESTS_FAKE_HOOKS_H
#define RF_TESTS_FAKE_HOOKS_H

#include "introspection/patches/hooks.h"

#define FAKE_HOOKS 8u
extern struct rf_hook fake_hooks[FAKE_HOOKS];
extern unsigned int fake_hooks_count;
extern size_t fake_odd; /* sites that hold what the kernel would not write */

#endif
