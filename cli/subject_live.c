// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A subject out of a VM that runs. Each page is asked for over its control socket, and comes from
 * the sweeper: what is walked is walked here, so that no verdict waits for it.
 */
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/control.h"
#include "cli/subject.h"
#include "hv/dump/cache.h"

#define PAGE ((uint64_t)4096)
#define PAGES 16u /* at once, as RF_ASKED_PAGES of monitor/pair.h */
#define BLOCK (PAGES * PAGE)
#define LOOK_MS 600000
#define IMAGE_MAX (UINT64_C(256) << 20) /* bytes, as introspection/kimage.c */

struct live {
	struct rf_vm vm;
	struct rf_dump_cache cache;
	json_t *kernel; /* as the first answer has it: no other's memory is shown with its symbols
			 */
	int64_t until;	/* ms; a guest, or who answers for it, may make it long */
	bool is_sealed; /* what is read now: it does not change meanwhile, and is kept */
	int err;	/* of asking, the first one; no error of memory that is not there */
	uint8_t bytes[BLOCK];
};

static const struct rf_question question = {
	.cmd = "memory",
	.nothing = "its memory is not shown before its kernel is sealed",
	.unknown = "nothing was looked at; what was sealed stays sealed",
};

/* As many of these pages as there are in a row, to l->bytes. Their number, or -errno. */
static int pages_of(const json_t *o, struct live *l)
{
	const char *text = json_string_value(json_object_get(o, "bytes"));
	size_t n;

	if (!text || sodium_base642bin(l->bytes, sizeof(l->bytes), text, strlen(text), NULL, &n,
				       NULL, sodium_base64_VARIANT_ORIGINAL))
		return -EBADMSG;
	return (int)(n / PAGE);
}

static int fetch(struct live *l, uint64_t at, unsigned int pages)
{
	json_t *o = NULL;
	int n = l->err;

	if (!n && rf_now_ms() > l->until)
		n = -ETIME;
	if (!n)
		n = rf_control_memory(&l->vm, at, pages, &o);
	if (!n && !json_equal(json_object_get(o, "kernel"), l->kernel))
		n = -ESTALE;
	if (!n)
		n = pages_of(o, l);
	json_decref(o);
	if (n < 0 && !l->err)
		l->err = n;
	return n;
}

static int fill(void *source, uint64_t number, uint8_t *to)
{
	struct live *l = source;
	int n = fetch(l, number * BLOCK, PAGES);

	if (n < (int)PAGES)
		return -EFAULT;
	memcpy(to, l->bytes, BLOCK);
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
		unsigned int pages = left < PAGES ? (unsigned int)left : PAGES;
		size_t part = pages * PAGE - at < len ? pages * PAGE - at : len;

		if (fetch(l, gpa.v - at, pages) < (int)pages)
			return -EFAULT;
		memcpy(to, l->bytes + at, part);
		to += part;
		gpa.v += part;
		len -= part;
	}
	return 0;
}

/* What was shown rests on less than all of it. */
static int lost_live(void *source)
{
	const struct live *l = source;

	if (l->err == -ESTALE)
		return rf_fail(RF_EXIT_CANNOT_TELL, "what was read is of no kernel that ever was",
			       "run it again once `ringfence status` says sealed",
			       "the kernel of %s is gone, or another one by now", l->vm.name);
	if (l->err == -ETIME)
		return rf_fail(RF_EXIT_CANNOT_TELL, "what was read is not all of it",
			       "dump its memory (virsh dump --memory-only), and look at that",
			       "%s was looked at for %d minutes", l->vm.name, LOOK_MS / 60000);
	return l->err ? rf_vm_silent(&l->vm, l->err, "what is shown is not all of it") : RF_EXIT_OK;
}

static void close_live(void *source)
{
	struct live *l = source;

	rf_dump_cache_deinit(&l->cache);
	json_decref(l->kernel);
	rf_vm_close(&l->vm);
	free(l);
}

/* --- the kernel in it ------------------------------------------------------------------- */

static uint64_t number_of(const json_t *o, const char *member)
{
	return strtoull(json_string_value(json_object_get(o, member)) ?: "", NULL, 16);
}

/* False: no kernel's. */
static bool image_of(const json_t *o, struct rf_image *out)
{
	*out = (struct rf_image){ rf_gva_of(number_of(o, "gva")), rf_gpa_of(number_of(o, "gpa")),
				  number_of(o, "size") };
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

	s->paging = (struct rf_paging){ rf_gpa_of(number_of(o, "root")),
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
	int err = rf_control_memory(&l->vm, 0, 1, &o),
	    code = rf_vm_answer(&l->vm, &question, err, o);

	if (code == RF_EXIT_OK)
		l->kernel = json_incref(json_object_get(o, "kernel"));
	if (code == RF_EXIT_OK)
		err = discover(l, o, s, &diag);
	json_decref(o);
	if (code != RF_EXIT_OK)
		return code == RF_EXIT_NO ? RF_EXIT_CANNOT_TELL : code;
	if (!err)
		return RF_EXIT_OK;
	if (l->err)
		return lost_live(l);
	return rf_fail(RF_EXIT_CANNOT_TELL, "nothing was looked at, so nothing is known",
		       "run it again; dump its memory (virsh dump --memory-only), and look at that",
		       "the kernel of %s was not found: %s", l->vm.name,
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
	if (!l || !s.places || !rf_dump_cache_init(&l->cache, BLOCK)) {
		free(l);
		free(s.places);
		return rf_fail(RF_EXIT_INTERNAL, "nothing was looked at",
			       "free some memory, then run it again", "no memory");
	}
	code = rf_vm_find(name, &l->vm);
	if (code != RF_EXIT_OK) {
		rf_dump_cache_deinit(&l->cache);
		free(l);
		free(s.places);
		return code;
	}
	l->until = rf_now_ms() + LOOK_MS;
	s.name = l->vm.name;
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
