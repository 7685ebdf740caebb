// SPDX-License-Identifier: GPL-2.0-only
#include <linux/mm.h>
#include <linux/vmalloc.h>

#include "planted.h"

int rf_write(void *at, const void *to)
{
	struct page *page = virt_to_page(at); /* of the image's own mapping too */
	void *map = vmap(&page, 1, VM_MAP, PAGE_KERNEL);

	if (!map)
		return -ENOMEM;
	WRITE_ONCE(*(const void **)(map + offset_in_page(at)), to);
	vunmap(map);
	return 0;
}

void *rf_find(const void *from, size_t bytes, const void *value)
{
	const void *found;

	for (size_t i = 0; i + sizeof(found) <= bytes; i += sizeof(found))
		if (!copy_from_kernel_nofault(&found, from + i, sizeof(found)) && found == value)
			return (void *)from + i;
	return NULL;
}
