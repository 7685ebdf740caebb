// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/board.h"
#include "hv/base.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/resource.h>

struct rf_board *rf_board;

int rf_board_create(int *out_fd)
{
	size_t size = sizeof(struct rf_board_file);
	struct rlimit files;
	struct rf_board *b = NULL;
	int fd, err;

	/* Beyond it ftruncate() ends in a signal that nobody could explain. */
	if (!getrlimit(RLIMIT_FSIZE, &files) && files.rlim_cur < size)
		return -EFBIG;
	fd = memfd_create("ringfence-board", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)size))
		goto fail;
	b = rf_mmap(size, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	if (b == MAP_FAILED)
		goto fail;
	/* From here on nobody else gets a writable mapping. */
	if (fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		goto fail;
	b->magic = RF_BOARD_MAGIC;
	b->revision = RF_PROTO_REVISION;
	rf_board = b;
	*out_fd = fd;
	return 0;
fail:
	err = -errno;
	rf_munmap(b, size); /* of no mapping: nothing */
	close(fd);
	return err;
}

void rf_board_begin(void)
{
	__atomic_fetch_add(&rf_board->seq, 1, __ATOMIC_SEQ_CST);
}

void rf_board_end(void) __attribute__((alias("rf_board_begin")));
