// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A VMM's command line, one argument a line: a descriptor that it names stands in it as a number of
 * its own, and what is taken for a probe has a machine of the type none, and no other.
 */
#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/vmm_asks.h"
#include "cli/vmm_fds.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARGS 16

static void check_fds(char *const *args)
{
	static struct rf_fd_set named, numbers;

	memset(&named, 0, sizeof(named));
	memset(&numbers, 0, sizeof(numbers));
	rf_vmm_fds(args, &named);
	for (; *args; args++) {
		const char *p = *args;

		while (*p) {
			unsigned long n;
			char *end;

			if (!isdigit((unsigned char)*p)) {
				p++;
				continue;
			}
			n = strtoul(p, &end, 10);
			if (n >= 3 && n < RF_FD_MAX)
				rf_fd_add(&numbers, (unsigned int)n);
			p = end;
		}
	}
	for (size_t i = 0; i < RF_FD_MAX / 64; i++)
		if (named.bits[i] & ~numbers.bits[i])
			abort();
}

static void check_asks(char *const *args)
{
	unsigned int machines = 0;

	if (rf_vmm_asks(args) != RF_VMM_PROBE)
		return;
	for (; *args; args++) {
		const char *name = *args + strspn(*args, "-");

		if (!strcmp(name, "cpu") || !strcmp(name, "device") || !strcmp(name, "kernel"))
			abort();
		if ((!strcmp(name, "machine") || !strcmp(name, "M")) && args[1] &&
		    !strncmp(args[1], "none", 4))
			machines++;
	}
	if (!machines)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512], *args[ARGS + 1] = { NULL }, *next = text;

	if (size >= sizeof(text))
		size = sizeof(text) - 1;
	memcpy(text, data, size);
	text[size] = '\0';
	for (size_t i = 0; i < ARGS && next; i++)
		args[i] = strsep(&next, "\n");
	check_fds(args);
	check_asks(args);
	return 0;
}
