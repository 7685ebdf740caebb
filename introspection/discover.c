// SPDX-License-Identifier: LGPL-2.1-or-later
/* Finds the kernel, and reads out of its image all that struct rf_kernel holds. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "introspection/diag.h"
#include "introspection/kernel_internal.h"
#include "introspection/kimage.h"
#include "introspection/scratch.h"

/*
 * PTI_USER_PGTABLE_BIT, arch/x86/include/asm/pgtable.h: the user half's top table follows the
 * kernel half's.
 */
#define PTI_USER_ROOT UINT64_C(0x1000)

static void read_banner(const struct rf_memory *m, const struct rf_image *within,
			struct rf_kernel *k)
{
	char text[sizeof(k->banner)];
	struct rf_symbol s;
	rf_gpa gpa;

	if (rf_symbols_by_name(&k->symbols, "linux_banner", &s) ||
	    rf_kimage_gpa(within, s.addr, sizeof(text), &gpa) ||
	    rf_memory_read(m, gpa, text, sizeof(text)))
		return;
	text[sizeof(text) - 1] = '\0';
	rf_guest_text(text, strcspn(text, "\n"), k->banner, sizeof(k->banner));
}

/*
 * .BTF lies in rodata between two linker symbols (BTF in include/asm-generic/vmlinux.lds.h).
 * Anything wrong with it costs the types, not the kernel.
 */
static int read_types(const struct rf_memory *m, const struct rf_image *within, struct rf_kernel *k)
{
	struct rf_symbol start, stop;
	rf_gpa gpa;
	void *blob;
	int r;

	if (rf_symbols_by_name(&k->symbols, "__start_BTF", &start) ||
	    rf_symbols_by_name(&k->symbols, "__stop_BTF", &stop))
		return 0;
	if (stop.addr.v <= start.addr.v || stop.addr.v - start.addr.v > RF_BTF_SIZE_MAX ||
	    rf_kimage_gpa(within, start.addr, stop.addr.v - start.addr.v, &gpa))
		return 0;
	blob = rf_scratch_alloc(stop.addr.v - start.addr.v);
	if (!blob)
		return -ENOMEM;
	r = rf_memory_read(m, gpa, blob, stop.addr.v - start.addr.v);
	if (!r)
		r = rf_btf_create(blob, stop.addr.v - start.addr.v, &k->btf);
	rf_scratch_free(blob, stop.addr.v - start.addr.v);
	return r == -ENOMEM ? r : 0;
}

/* Everything that is read from a known image, of which `within` is believed. */
static int read_image(const struct rf_memory *m, const struct rf_image *within, uint8_t levels,
		      rf_gva inside, struct rf_kernel *k, struct rf_diag *diag)
{
	struct rf_kallsyms table = { 0 };
	int r;

	r = rf_kimage_symbols(m, &k->image, within, inside, &table, diag);
	if (r)
		return r;
	r = rf_symbols_init(&k->symbols, &table);
	if (r) {
		rf_kallsyms_deinit(&table);
		return rf_diag_fail(diag, r, "symbol names cannot be indexed");
	}
	k->levels = levels;
	r = read_types(m, within, k);
	if (r)
		return rf_diag_fail(diag, r, "no memory for the kernel's types");
	read_banner(m, within, k);
	rf_task_layout_init(k);
	rf_module_layout_init(k);
	return 0;
}

/*
 * Page tables can map more at the image's distance than the image: what lies below the 2 MiB page
 * of _text or above that of _end is none of it (arch/x86/mm/init_64.c cleanup_highmap() unmaps it).
 */
static void clip_image(struct rf_kernel *k)
{
	uint64_t first = k->image.base.v, last = first + (k->image.size - 1), below;
	struct rf_symbol s;

	if (!rf_symbols_by_name(&k->symbols, "_text", &s) &&
	    rf_within(s.addr.v, 1, first, k->image.size)) {
		below = (s.addr.v & ~(RF_HUGE_SIZE - 1)) - first;
		if ((int64_t)below > 0) {
			k->image.base.v += below;
			k->image.gpa.v += below;
			k->image.size -= below;
		}
	}
	if (!rf_symbols_by_name(&k->symbols, "_end", &s) && s.addr.v > k->image.base.v &&
	    s.addr.v <= last && ((s.addr.v - 1) | (RF_HUGE_SIZE - 1)) < last)
		k->image.size = ((s.addr.v - 1) | (RF_HUGE_SIZE - 1)) + 1 - k->image.base.v;
}

static int discover(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		    struct rf_kernel *k, struct rf_diag *diag)
{
	int r = rf_kimage_find(m, p, inside, &k->image, diag);

	if (!r)
		r = read_image(m, &k->image, p->levels, inside, k, diag);
	if (!r)
		clip_image(k);
	return r;
}

int rf_kernel_discover_image(const struct rf_memory *m, const struct rf_image *image,
			     const struct rf_image *tables, uint8_t levels, rf_gva inside,
			     struct rf_kernel **out, struct rf_diag *diag)
{
	struct rf_kernel *k;
	int r;

	if (!rf_within(inside.v, 1, image->base.v, image->size))
		return rf_diag_fail(diag, -EBADMSG, "the image does not hold its own entry point");
	k = calloc(1, sizeof(*k));
	if (!k)
		return rf_diag_fail(diag, -ENOMEM, "no memory for a kernel");
	k->image = *image;
	r = read_image(m, tables, levels, inside, k, diag);
	if (r) {
		rf_kernel_destroy(k);
		return r;
	}
	*out = k;
	return 0;
}

int rf_kernel_discover(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		       struct rf_kernel **out, struct rf_diag *diag)
{
	struct rf_paging kernel_half = *p;
	struct rf_kernel *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return rf_diag_fail(diag, -ENOMEM, "no memory for a kernel");
	r = discover(m, p, inside, k, diag);
	/* The user half maps the entry code alone: an image without symbols. */
	if ((r == -ENOENT || r == -EBADMSG) && p->root.v & PTI_USER_ROOT) {
		kernel_half.root.v &= ~PTI_USER_ROOT;
		if (!discover(m, &kernel_half, inside, k, NULL))
			r = 0;
	}
	if (r) {
		rf_kernel_destroy(k);
		return r;
	}
	*out = k;
	return 0;
}
