// SPDX-License-Identifier: GPL-2.0-only
/*
 * The store comes from user mode, through a writable mapping of the sealed page: what /dev/mem offers on kernels built
 * without STRICT_DEVMEM. Distribution kernels are built with it, so this module plays /dev/mem's part. User space
 * writes the attack's name, maps the page, stores to its first byte and writes "user_alias signal N".
 */
#include <linux/mm.h>
#include <linux/string.h>

#include "attacks.h"

static unsigned long pfn;

void attack_user_alias(struct rf_report *r)
{
	u8 *at = rf_quiet_page(r);

	pfn = 0;
	if (at && rf_aim_at(r, "__start_BTF", at, 1))
		pfn = page_to_pfn(rf_page(at));
}

int rf_user_alias_mmap(struct vm_area_struct *vma)
{
	if (!pfn || vma->vm_end - vma->vm_start != PAGE_SIZE)
		return -EINVAL;
	return remap_pfn_range(vma, vma->vm_start, pfn, PAGE_SIZE, vma->vm_page_prot);
}

void rf_user_alias_done(struct rf_report *r, const char *how)
{
	if (!pfn || !r->at)
		return;
	rf_say(r, "%s", how);
	if (!strncmp(how, "mmap", 4))
		rf_skip(r, "the mapping was refused");
	else
		rf_judge(r, strcmp(how, "signal 0") != 0);
	pfn = 0;
}
