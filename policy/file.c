// SPDX-License-Identifier: LGPL-2.1-or-later
#include "policy/file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

int rf_file_open(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

int rf_file_take(int fd, char *buf, size_t room, size_t *len)
{
	size_t got = 0;
	struct stat st;
	ssize_t n;
	int err = 0;

	if (fstat(fd, &st) < 0)
		err = -errno;
	else if (!S_ISREG(st.st_mode))
		err = -EINVAL;
	while (!err && got < room) {
		n = read(fd, buf + got, room - got);
		if (n < 0 && errno != EINTR)
			err = -errno;
		if (n == 0)
			break;
		if (n > 0)
			got += (size_t)n;
	}
	close(fd);
	if (!err)
		*len = got;
	return err;
}

int rf_file_read(const char *path, char *buf, size_t room, size_t *len)
{
	int fd = rf_file_open(path);

	return fd < 0 ? fd : rf_file_take(fd, buf, room, len);
}
