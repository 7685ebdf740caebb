// SPDX-License-Identifier: LGPL-2.1-or-later
/* Memory by guest-virtual address, and what things are called. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "introspection/checks/impl.h"
#include "introspection/kernel_internal.h"

const struct rf_kernel *rf_run_kernel(const struct rf_run *run)
{
	return run->c->k;
}

/* The image's own pages lie where it was found, whatever page tables say now. */
static int place_of(struct rf_run *run, uint64_t gva, rf_gpa *out)
{
	struct rf_checks *c = run->c;
	struct rf_place *place = &c->places[(gva / RF_PAGE_SIZE) % RF_PLACES];
	uint64_t page = gva & ~(RF_PAGE_SIZE - 1);
	struct rf_translation t;
	int err;

	if (!rf_kernel_image_gpa(c->k, rf_gva_of(gva), out))
		return 0;
	if (place->gva != page || !page) {
		err = rf_pt_translate(&c->m, &c->p, rf_gva_of(page), &t);
		if (err)
			return err == -ENOENT || err == -EINVAL ? -EFAULT : err;
		*place = (struct rf_place){ page, t.gpa.v };
	}
	*out = rf_gpa_of(place->gpa + (gva - page));
	return 0;
}

int rf_run_read(struct rf_run *run, uint64_t gva, void *buf, size_t len)
{
	uint8_t *to = buf;

	while (len) {
		size_t part = RF_PAGE_SIZE - gva % RF_PAGE_SIZE;
		rf_gpa gpa;
		int err;

		part = part < len ? part : len;
		err = rf_is_kernel(gva) ? place_of(run, gva, &gpa) : -EFAULT;
		if (!err)
			err = rf_memory_read(&run->c->m, gpa, to, part);
		if (err) {
			run->at = gva;
			return err;
		}
		gva += part;
		to += part;
		len -= part;
	}
	return 0;
}

int rf_run_u64(struct rf_run *run, uint64_t gva, uint64_t *out)
{
	uint64_t v;
	int err = rf_run_read(run, gva, &v, sizeof(v));

	if (!err)
		*out = v;
	return err;
}

int rf_run_u32(struct rf_run *run, uint64_t gva, uint32_t *out)
{
	uint32_t v;
	int err = rf_run_read(run, gva, &v, sizeof(v));

	if (!err)
		*out = v;
	return err;
}

int rf_run_text(struct rf_run *run, uint64_t gva, char *out, size_t size)
{
	char raw[256];
	size_t len = 0, want = size - 1 < sizeof(raw) ? size - 1 : sizeof(raw);
	int err;

	/* Not beyond its page where it ends before: the next one need not be there. */
	while (len < want && (!len || raw[len - 1])) {
		size_t part = RF_PAGE_SIZE - (gva + len) % RF_PAGE_SIZE;
		const char *end;

		part = part < want - len ? part : want - len;
		err = rf_run_read(run, gva + len, raw + len, part);
		if (err)
			return err;
		end = memchr(raw + len, '\0', part);
		len = end ? (size_t)(end - raw) + 1 : len + part;
	}
	rf_guest_text(raw, len, out, size);
	return 0;
}

/* --- names ---------------------------------------------------------------------- */

int rf_run_says(struct rf_run *run, int err, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(run->lacks, sizeof(run->lacks), format, args);
	va_end(args);
	return err;
}

bool rf_next_name(const char **names, char out[64])
{
	size_t len = strcspn(*names, "|");

	if (!len || len >= 64)
		return false;
	memcpy(out, *names, len);
	out[len] = '\0';
	*names += len + ((*names)[len] == '|');
	return true;
}

int rf_run_symbol(struct rf_run *run, const char *names, uint64_t *out)
{
	const char *left = names;
	char name[64];
	rf_gva gva;

	while (rf_next_name(&left, name)) {
		if (rf_kernel_address(run->c->k, name, &gva))
			continue;
		*out = gva.v;
		return 0;
	}
	return rf_run_lacks(run, "the kernel has no symbol %s", names);
}

int rf_run_member(struct rf_run *run, const char *type, const char *paths, uint64_t size,
		  uint64_t *offset)
{
	const char *left = paths;
	struct rf_member m;
	char path[64];

	while (rf_next_name(&left, path)) {
		if (rf_kernel_member(run->c->k, type, path, &m) || (size && m.size != size))
			continue;
		*offset = m.offset;
		return 0;
	}
	return rf_run_lacks(run, "the kernel's types have no %s in struct %s", paths, type);
}

bool rf_run_has(struct rf_run *run, const char *type, const char *path)
{
	struct rf_member m;

	return !rf_kernel_member(run->c->k, type, path, &m);
}

int rf_run_sizeof(struct rf_run *run, const char *types, uint64_t *out)
{
	const char *left = types;
	char type[64];

	while (rf_next_name(&left, type))
		if (!rf_kernel_sizeof(run->c->k, type, out))
			return 0;
	return rf_run_lacks(run, "the kernel's types have no struct %s", types);
}
