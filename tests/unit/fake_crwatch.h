/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What any kernel has in place of KVM's two functions: the watch's programs are attached to a
 * function of the test, with links of the same type. The proof says what the test wants.
 */
#ifndef RF_TESTS_FAKE_CRWATCH_H
#define RF_TESTS_FAKE_CRWATCH_H

#include <stdbool.h>

struct fake_crwatch {
	int proof, proofs; /* what the next `proofs` say; then it works */
	int no_attach;	   /* from which one on none can be attached, 0 never */
	int attached;
	unsigned int gaps; /* a link was to be pinned, and none was under its name */
	bool replaces;	   /* each must have one */
};
extern struct fake_crwatch fake_crwatch;

#endif
