// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A subject out of a VM that runs. Each page is asked for over its control socket, and comes from
 * the sweeper: what is walked is walked here, so that no verdict waits for it.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/subject.h"
#include "cli/vm_memory.h"
#include "hv/dump/cache.h"

#define PAGE RF_VM_MEMORY_PAGE
#define LOOK_MS 600000 /* ten minutes, as rf_vm_memory_lost() says */
#define NOT_ALL "what was read is not all of it, or not all of one kernel"
#define IMAGE_MAX (UINT64_C(256) << 20) /* bytes, as introspection/kimage.c */

struct live {
	struct rf_vm_memory from;
	struct rf_dump_cache cache;
	bool is_sealed; /* what is read now: it does not change meanwhile, and is kept */
};

static int fill(void *source, uint64_t number, uint8_t *to)
{
	struct live *l = source;

	if (rf_vm_memory_fetch(&l->from, number * RF_VM_MEMORY_BLOCK, RF_VM_MEMORY_PAGES) <
	    (int)RF_VM_MEMORY_PAGES)
		return -EFAULT;
	memcpy(to, l->from.bytes, RF_VM_MEMORY_BLOCK);
	return 0;
}

/* The read of struct rf_memory. */
static int read_live(void *source, rf_gpa gpa, void *buf, size_t len)
{
	struct live *l = source;
	uint8_t *to = buf;

	if (l->is_sealed && !rf_dump_cache_read(&l->cache, fill, l, gpa.v, buf, len))
		return 0;
	while (len) {
		uint64_t at = gpa.v % PAGE, left = (at + len + PAGE - 1) / PAGE;
		unsigned int pages =
			left < RF_VM_MEMORY_PAGES ? (unsigned int)left : RF_VM_MEMORY_PAGES;
		size_t part = pages * PAGE - at < len ? pages * PAGE - at : len;

		if (rf_vm_memory_fetch(&l->from, gpa.v - at, pages) < (int)pages)
			return -EFAULT;
		memcpy(to, l->from.bytes + at, part);
		to += part;
		gpa.v += part;
		len -= part;
	}
	return 0;
}

static int lost_live(void *source)
{
	return rf_vm_memory_lost(&((struct live *)source)->from, NOT_ALL);
}

static void close_live(void *source)
{
	struct live *l = source;

	rf_dump_cache_deinit(&l->cache);
	rf_vm_memory_close(&l->from);
	free(l);
}

/* --- the kernel in it ------------------------------------------------------------------- */

/* False: no kernel's. */
static bool image_of(const json_t *o, struct rf_image *out)
{
	*out = (struct rf_image){ rf_gva_of(rf_vm_memory_number(o, "gva")),
				  rf_gpa_of(rf_vm_memory_number(o, "gpa")),
				  rf_vm_memory_number(o, "size") };
	return out->size && out->size <= IMAGE_MAX && out->base.v <= UINT64_MAX - out->size &&
	       out->gpa.v <= UINT64_MAX - out->size;
}

/* Out of sealed memory alone, at the place that its monitor says. */
static int discover(struct live *l, const json_t *answer, struct rf_subject *s,
		    struct rf_diag *diag)
{
	const json_t *o = json_object_get(answer, "kernel");
	struct rf_image image, tables;
	int err;

	s->paging = (struct rf_paging){ rf_gpa_of(rf_vm_memory_number(o, "root")),
					(uint8_t)json_integer_value(json_object_get(o, "levels")) };
	if (!image_of(json_object_get(o, "image"), &image) ||
	    !image_of(json_object_get(o, "tables"), &tables) || s->paging.levels < 4 ||
	    s->paging.levels > 5) {
		snprintf(diag->text, sizeof(diag->text), "its monitor does not say where it is");
		return -EBADMSG;
	}
	l->is_sealed = true;
	err = rf_kernel_discover_image(&s->memory, &image, &tables, s->paging.levels, image.base,
				       &s->kernel, diag);
	l->is_sealed = false;
	if (!err)
		rf_kernel_paging(s->kernel, &s->paging); /* the kernel's own, if it has a symbol */
	return err;
}

static int find_kernel(struct live *l, struct rf_subject *s)
{
	struct rf_diag diag = { "" };
	json_t *o = NULL;
	int code = rf_vm_memory_begin(&l->from, &o), err;

	if (code != RF_EXIT_OK)
		return code;
	err = discover(l, o, s, &diag);
	json_decref(o);
	if (!err)
		return RF_EXIT_OK;
	if (l->from.err)
		return rf_vm_memory_lost(&l->from, NOT_ALL);
	return rf_fail(RF_EXIT_CANNOT_TELL, "nothing was looked at, so nothing is known",
		       "run it again; dump its memory (`ringfence dump`, or virsh dump "
		       "--memory-only), and look at that",
		       "the kernel of %s was not found: %s", s->name,
		       err == -ENOMEM ? "no memory" : diag.text);
}

int rf_subject_open_live(const char *name, struct rf_subject *out)
{
	struct rf_subject s = {
		.format = "a VM that runs", .live = true, .close = close_live, .lost = lost_live
	};
	struct live *l = calloc(1, sizeof(*l));
	int code;

	s.places = calloc(1, sizeof(*s.places));
	if (!l || !s.places || !rf_dump_cache_init(&l->cache, RF_VM_MEMORY_BLOCK)) {
		free(l);
		free(s.places);
		return rf_fail(RF_EXIT_INTERNAL, "nothing was looked at",
			       "free some memory, then run it again", "no memory");
	}
	code = rf_vm_find(name, &l->from.vm);
	if (code != RF_EXIT_OK) {
		rf_dump_cache_deinit(&l->cache);
		free(l);
		free(s.places);
		return code;
	}
	l->from.until = rf_now_ms() + LOOK_MS;
	s.name = l->from.vm.name;
	s.source = l;
	s.memory = (struct rf_memory){ read_live, l };
	s.places->to = s.memory;
	rf_budget_begin(s.places, RF_PLACE_READS);
	code = find_kernel(l, &s);
	if (code == RF_EXIT_OK) {
		*out = s;
	} else {
		free(s.places);
		close_live(l);
	}
	return code;
}
