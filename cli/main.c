// SPDX-License-Identifier: LGPL-2.1-or-later
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/output.h"

static int overview(void)
{
	printf("Usage: ringfence COMMAND [OPTIONS] ...\n"
	       "       ringfence COMMAND --help | --help | --version\n\n"
	       "Keeps the kernel of a Linux guest honest from outside it, on stock KVM.\n\n");
	for (const struct rf_command *const *c = rf_commands; *c; c++)
		printf("  %-9s %s\n", (*c)->name, (*c)->summary);
	printf("\nExit codes and files: ringfence(1).\n");
	return rf_flush();
}

int main(int argc, char **argv)
{
	int fd;

	/* A closed standard descriptor would be taken by the first file opened, and printed
	 * into. */
	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2 && fcntl(fd, F_SETFD, 0) == 0);
	if (fd > 2)
		close(fd);

	if (argc < 2)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence --help`",
			       "no command given");
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help"))
		return overview();
	if (!strcmp(argv[1], "--version")) {
		printf("ringfence %s\n", RF_VERSION);
		return rf_flush();
	}
	for (const struct rf_command *const *c = rf_commands; *c; c++)
		if (!strcmp(argv[1], (*c)->name))
			return (*c)->run(argc - 1, argv + 1);
	return rf_fail(RF_EXIT_USAGE, "nothing was done", "see `ringfence --help` for the commands",
		       "there is no command \"%s\"", argv[1]);
}
