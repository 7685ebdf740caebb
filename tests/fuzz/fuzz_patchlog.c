// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A patch log left by anybody, for a writer that goes on with it: whatever lies in it, what is
 * written afterwards is found again, and nothing that was there is changed. Input: the file, after
 * one byte that says how often its bytes are repeated (several blocks are read from the end).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/patchlog.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			abort();                                                                   \
	} while (0)

static uint64_t size_of(int fd)
{
	struct stat st;

	MUST(!fstat(fd, &st));
	return (uint64_t)st.st_size;
}

static struct rf_patchlog *open_again(int fd)
{
	struct rf_patchlog *p = NULL;
	int own = dup(fd);

	MUST(own >= 0 && !rf_patchlog_open_fd(own, 1, &p) && p);
	return p;
}

/* The same from the front: patches behind heads of instance 1, and no other head behind them. */
static uint64_t count_forward(int fd, uint64_t *records)
{
	static union rf_patch_record r[4096];
	uint64_t offset = 0, count = 0;
	bool ours = false;
	long n = rf_patchlog_read(fd, &offset, r, 4096);

	MUST(n >= 0 && n < 4096);
	for (long i = 0; i < n; i++) {
		if (rf_patch_is_head(&r[i])) {
			if (r[i].head.instance != 1 || !ours)
				count = 0;
			ours = r[i].head.instance == 1;
		} else if (rf_patch_is_line(&r[i]) && ours) {
			count++;
		}
	}
	*records = (uint64_t)n;
	return ours ? count : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t all[100000], now[sizeof(all)];
	struct rf_patch_line line = { .at = 1, .kind = 1, .len = 5 };
	struct rf_patchlog *p;
	uint64_t count, records;
	size_t total = 0;
	int fd;

	if (!size)
		return 0;
	for (unsigned int n = 0; n <= data[0]; n++) {
		if (total + size - 1 > sizeof(all))
			break;
		memcpy(all + total, data + 1, size - 1);
		total += size - 1;
	}
	fd = memfd_create("log", 0);
	MUST(fd >= 0 && write(fd, all, total) == (ssize_t)total &&
	     !fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_APPEND));
	p = open_again(fd);
	count = rf_patchlog_count(p);
	MUST(size_of(fd) % sizeof(line) == 0 && size_of(fd) - total < sizeof(line));
	MUST(count == count_forward(fd, &records) && count <= records);
	MUST(pread(fd, now, total, 0) == (ssize_t)total && !memcmp(now, all, total));
	/* A writer begins with a head. */
	MUST(!rf_patchlog_head(p, 2, 3) && !rf_patchlog_write(p, &line, 1));
	MUST(rf_patchlog_count(p) == count + 1);
	rf_patchlog_close(p);
	p = open_again(fd);
	MUST(rf_patchlog_count(p) == count + 1);
	rf_patchlog_close(p);
	close(fd);
	return 0;
}
