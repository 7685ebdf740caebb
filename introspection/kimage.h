/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Where the kernel image lies, and its kallsyms tables in it. */
#ifndef RF_INTROSPECTION_KIMAGE_H
#define RF_INTROSPECTION_KIMAGE_H

#include "introspection/kallsyms.h"
#include "introspection/kernel.h"

/*
 * The kernel-image window: __START_KERNEL_map and the 1 GiB that KASLR uses of it (modules begin
 * above it, or in its upper half without KASLR). Documentation/arch/x86/x86_64/mm.rst;
 * KERNEL_IMAGE_SIZE in arch/x86/include/asm/page_64_types.h.
 */
#define RF_KIMAGE_WINDOW UINT64_C(0xffffffff80000000)
#define RF_KIMAGE_WINDOW_SIZE (UINT64_C(1) << 30)

/*
 * The image around `inside`: all mappings of the window whose distance from guest-virtual to
 * guest-physical is the one of `inside`. The loader puts the image into one physical run, so that
 * distance holds for all of it, and for nothing else; holes (init memory is unmapped under
 * page-table isolation) do not end it. 0, -ENOENT when inside is not mapped there, -EBADMSG,
 * -EFAULT.
 */
int rf_kimage_find(const struct rf_memory *m, const struct rf_paging *p, rf_gva inside,
		   struct rf_image *out, struct rf_diag *diag);

/*
 * Finds and decodes kallsyms in `within`, which lies in the image; nothing outside of it is read.
 * A kernel has one: two that decode are -EBADMSG, as who could write there may have made either.
 * 0 (free with rf_kallsyms_deinit), or as rf_kallsyms_decode().
 */
int rf_kimage_symbols(const struct rf_memory *m, const struct rf_image *image,
		      const struct rf_image *within, rf_gva inside, struct rf_kallsyms *out,
		      struct rf_diag *diag);

/* gva inside the image -> gpa; -ENOENT unless all of [gva, gva+len) is inside. */
int rf_kimage_gpa(const struct rf_image *image, rf_gva gva, uint64_t len, rf_gpa *out);

#endif
