// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/base.h"

#include <signal.h>
#include <stdio.h>

#include "hv/terminal.h"

struct rf_vm rf_vm = { .lock = PTHREAD_MUTEX_INITIALIZER };

void rf_say(const char *what, const char *why)
{
	char line[512]; /* one write, so that lines of several processes do not mix */
	const char *begin = isatty(STDERR_FILENO) ? RF_TERMINAL_BEGIN : "";
	int n = snprintf(line, sizeof(line), "%sringfence: %s: %s\n", begin, what, why);

	if (write(STDERR_FILENO, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1) < 0)
		return;
}

void rf_fatal(const char *why)
{
	rf_say("the VM was ended", why);
	for (;;)
		kill(getpid(), SIGKILL);
}

uint64_t rf_monotonic_ns(void)
{
	return rf_clock_ns(CLOCK_MONOTONIC);
}
