/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef RF_TESTS_OPEN_FDS_H
#define RF_TESTS_OPEN_FDS_H

#include <dirent.h>

/* So many more or fewer of this process's descriptors are open: to be compared with itself. */
static inline int open_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

#endif
