/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What can be seen of a VM without asking its fence: the board, and guest memory through the
 * descriptor of the VMM's memory that came with it. More than one process may have such a view.
 * Whatever stands on a board is bounded here before anybody uses it.
 */
#ifndef RF_HV_VIEW_H
#define RF_HV_VIEW_H

#include "hv/backend.h"

struct rf_view {
	const volatile struct rf_board *board;
	const struct rf_trail *trail; /* behind it in the same mapping */
	const struct rf_heals *heals;
	int board_fd, memory_fd; /* /proc/PID/mem of the VMM, for reading */
	struct rf_board copy;	 /* the last consistent view */
	uint32_t copy_seq;
	const char *wrong; /* what of the board no fence says, the last time; constant text */
};

/* Owns both descriptors on success. 0, or -errno with *why set to constant text. */
int rf_view_open(struct rf_view *v, int board_fd, int memory_fd, const char **why);
void rf_view_close(struct rf_view *v);

/* A memory file of exactly this size, which cannot shrink. Asks no file system but the kernel's
 * own. */
bool rf_view_is_sealed(int fd, off_t size);

/*
 * Closes a descriptor that the VMM has sent (-1 none), unless that may wait for a file system of
 * the VMM's: such a one stays open, and is let go with the process.
 */
void rf_view_let_go(int fd);

/* Fills what the board says. 0, -EAGAIN, or -EBADMSG: no fence says that. */
int rf_view_info(struct rf_view *v, struct rf_backend_info *out);
/* 0, -EFAULT; decoy, where none is: -ENOENT. */
int rf_view_read(struct rf_view *v, uint64_t gpa, void *buf, size_t len, bool decoy);
/* As the ops of the same names. */
int rf_view_ram(struct rf_view *v, struct rf_ram out[RF_RAM_MAX]);
size_t rf_view_heals(const struct rf_view *v, uint64_t *from, struct rf_heal *out, size_t max);
size_t rf_view_entries(const struct rf_view *v, uint64_t from, struct rf_patch_entry *out,
		       size_t max);
void rf_view_trail(const struct rf_view *v, struct rf_patching *out);

#endif
