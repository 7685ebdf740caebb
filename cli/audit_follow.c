// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/audit_follow.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>

#include "cli/output.h"

#define FOLLOW_MS 200

int rf_audit_follow(struct rf_log *l, rf_log_fn fn, void *ctx)
{
	int err = 0;

	while (!err && rf_flush() == RF_EXIT_OK) {
		err = rf_log_read(l, fn, ctx);
		if (!err && rf_log_is_replaced(l)) {
			poll(NULL, 0, FOLLOW_MS);
			err = rf_log_read(l, fn, ctx);
		}
		if (!err)
			err = rf_log_reopen(l);
		fflush(stdout);
		if (!err && poll(NULL, 0, FOLLOW_MS) < 0 && errno != EINTR)
			err = -errno;
	}
	return err;
}
