/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The VMM at the other end of a monitor's socket, for tests of hv/backend_kvm.c: it may lie. */
#ifndef RF_TESTS_FAKE_VMM_H
#define RF_TESTS_FAKE_VMM_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "hv/backend.h"
#include "tests/unit/open_fds.h"

extern int vmm, monitor;       /* the two ends */
extern struct rf_board *board; /* in a struct rf_board_file */
extern struct rf_backend *hv;
extern const char *why;
extern const struct rf_rules rules;

/* A descriptor of a board of so many bytes, mapped at `board`. */
int make_board(size_t size, int seals);
void send_fds(const void *msg, size_t size, const int *fds, int n);
struct rf_msg_hello hello(void);
/* With a board, and the memory of this process. */
void say_hello(const struct rf_msg_hello *h, int board_fd);
void connected(void);  /* a pair of sockets, and nothing said */
void refused(int err); /* the monitor's attaching fails so */
void attached(void);
void detach(void);

#endif
