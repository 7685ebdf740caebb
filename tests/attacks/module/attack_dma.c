// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device does the writing: a disk read whose buffer is the sealed page, which no guest page table can forbid. The
 * sector is first given what the page holds, with one byte changed.
 *
 * Under protection it is the VMM's own page that the device writes, which the guest does not see.
 * But the VMM sees nothing else, and what it sends to another host or saves is that page.
 */
#include <linux/bvec.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/gfp.h>
#include <linux/string.h>
#include <linux/uio.h>

#include "attacks.h"

#define DISK "/dev/vda"
#define SECTOR 512

static ssize_t transfer(struct file *disk, struct page *page, bool write)
{
	struct bio_vec vec = { .bv_page = page, .bv_len = SECTOR, .bv_offset = 0 };
	struct iov_iter iter;
	loff_t pos = 0;

	iov_iter_bvec(&iter, write ? WRITE : READ, &vec, 1, SECTOR);
	return write ? vfs_iter_write(disk, &iter, &pos, 0) : vfs_iter_read(disk, &iter, &pos, 0);
}

/* True when the device has read over the target. */
static bool overwrite(struct rf_report *r)
{
	u8 *at = rf_quiet_page(r);
	struct file *disk;
	struct page *own;
	ssize_t done;

	if (!at || !rf_aim_at(r, "__start_BTF", at, SECTOR))
		return false;
	/* Without O_DIRECT the disk would be read into the page cache, and copied by the processor. */
	disk = filp_open(DISK, O_RDWR | O_DIRECT, 0);
	if (IS_ERR(disk)) {
		rf_skip(r, "there is no " DISK);
		return false;
	}
	own = alloc_page(GFP_KERNEL);
	if (!own) {
		filp_close(disk, NULL);
		rf_skip(r, "no memory");
		return false;
	}
	memcpy(page_address(own), r->before, SECTOR);
	*(u8 *)page_address(own) ^= 1;
	done = transfer(disk, own, true);
	if (done == SECTOR)
		done = transfer(disk, rf_page(at), false);
	filp_close(disk, NULL);
	__free_page(own);
	rf_say(r, "read=%zd", done);
	return done == SECTOR;
}

void attack_dma_read(struct rf_report *r)
{
	bool done = overwrite(r);

	if (r->outcome == RF_NONE)
		rf_judge(r, !done);
	/* One record is of all that is there when it is found: who writes there next waits for this one. */
	if (r->outcome != RF_SKIPPED)
		rf_until_told(r, r->at, r->len, NULL, rf_patience / 3);
}

/* Once more when the first one has been found and put back: that it was told of is no reason not to tell of this one. */
void attack_dma_twice(struct rf_report *r)
{
	enum rf_outcome first;

	attack_dma_read(r);
	first = r->outcome;
	if (first == RF_SKIPPED)
		return;
	r->outcome = RF_NONE;
	attack_dma_read(r);
	if (r->outcome != first)
		rf_say(r, "the first one was another: %d, %d", first, r->outcome);
	if (r->outcome == RF_LANDED && first != RF_LANDED)
		r->outcome = first;
}

/* Somebody else must move the guest to another VMM in the time of rf_patience. */
void attack_dma_then_migrate(struct rf_report *r)
{
	bool done = overwrite(r);

	if (r->outcome != RF_NONE)
		return;
	rf_announce();
	for (unsigned int i = 0; i < rf_patience; i++)
		msleep(1000);
	/* Left as it is: where it landed it may be sealed by now. */
	if (memcmp(r->at, r->before, r->len))
		r->outcome = RF_LANDED;
	else
		r->outcome = done ? RF_UNCHANGED : RF_FAULTED;
}
