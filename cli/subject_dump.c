// SPDX-License-Identifier: LGPL-2.1-or-later
/* A subject out of a dump of memory. */
#include "cli/subject.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hv/dump/dump.h"
#include "introspection/locate.h"

#define SEARCH_LONG (UINT64_C(1) << 30) /* bytes of memory */

/* --- the file --------------------------------------------------------------------------- */

static int fail_to_open(const char *path, int err)
{
	if (err == ENOENT || err == ENOTDIR)
		return rf_fail(RF_EXIT_NOT_FOUND, "nothing was looked at",
			       "give the path of a dump of a guest's memory; a VM that runs goes "
			       "by its name behind --live",
			       "cannot open %s: %s", path, strerror(err));
	return rf_fail(RF_EXIT_CANNOT_TELL, "nothing was looked at, so nothing is known",
		       "give a file that this user may read", "cannot open %s: %s", path,
		       strerror(err));
}

static int fail_to_read(const char *path, int err, const char *why)
{
	if (err == -ENOMEM || err == -EMFILE)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was looked at",
			       "free some memory or descriptors, then run it again", "%s: %s", path,
			       why);
	if (err == -EBADMSG)
		return rf_fail(RF_EXIT_CANNOT_TELL,
			       "the dump is cut off or damaged; nothing was looked at",
			       "copy the whole of it, or make it anew", "%s: %s", path, why);
	return rf_fail(RF_EXIT_CANNOT_TELL, "nothing was looked at, so nothing is known",
		       "give a dump of a guest's memory: an ELF core, kdump, LiME or raw one, "
		       "as `virsh dump --memory-only` makes",
		       "%s: %s", path, why);
}

static int open_dump(const char *path, bool raw, struct rf_dump **out)
{
	/* Of a pipe nothing can be read twice; to wait for one is no answer. */
	int err, fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	char why[200] = "";

	if (fd < 0)
		return fail_to_open(path, errno);
	err = raw ? rf_dump_open_raw(fd, out, why, sizeof(why))
		  : rf_dump_open(fd, out, why, sizeof(why));
	close(fd);
	return err ? fail_to_read(path, err, why) : RF_EXIT_OK;
}

static void close_dump(void *dump)
{
	rf_dump_close(dump);
}

/* --- the kernel in it ------------------------------------------------------------------- */

struct where {
	struct rf_locate_hint *hints;
	struct rf_locate_range *ranges;
	size_t hint_count, range_count;
};

static struct rf_locate_hint hint_of(const struct rf_dump_cpu *cpu)
{
	struct rf_locate_hint h = { 0 };

	if (cpu->known & RF_DUMP_CPU_SYSTEM) {
		h.cr3 = cpu->cr3;
		h.cr4 = cpu->cr4;
		h.idt_base = cpu->idt_base;
	}
	if (cpu->known & RF_DUMP_CPU_RIP)
		h.rip = cpu->rip;
	return h;
}

static int look_where(const struct rf_dump *d, struct where *w)
{
	struct rf_locate_range r;
	struct rf_dump_cpu cpu;
	void *grown;

	w->hints = calloc(rf_dump_cpus(d) ?: 1, sizeof(*w->hints));
	if (!w->hints)
		return -ENOMEM;
	while (!rf_dump_cpu(d, w->hint_count, &cpu))
		w->hints[w->hint_count++] = hint_of(&cpu);
	while (!rf_dump_range(d, w->range_count, &r.start, &r.size)) {
		grown = reallocarray(w->ranges, w->range_count + 1, sizeof(r));
		if (!grown)
			return -ENOMEM;
		w->ranges = grown;
		w->ranges[w->range_count++] = r;
	}
	return 0;
}

static int fail_to_find(const char *name, int err, const char *why)
{
	if (err == -ENOMEM)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was looked at",
			       "free some memory, then run it again", "%s: no memory", name);
	if (err == -ENOENT)
		return rf_fail(RF_EXIT_CANNOT_TELL,
			       "nothing was looked at: it is no memory of an x86-64 Linux guest, "
			       "not all of it, or from before its kernel had started",
			       "dump all of the guest's memory while it runs; of a filtered dump "
			       "keep the kernel's pages",
			       "%s: no kernel was found: %s", name, why);
	return rf_fail(RF_EXIT_CANNOT_TELL, "nothing was looked at, so nothing is known",
		       "dump the guest's memory anew, with the registers of its processors "
		       "(virsh dump --memory-only)",
		       "%s: the kernel was not found: %s", name, why);
}

/* Of all of them, or none: a processor that is left out might be the one that matters. */
static int keep_registers(const struct rf_dump *d, struct rf_subject *s)
{
	struct rf_dump_cpu cpu;
	size_t count = rf_dump_cpus(d);

	s->cpus = calloc(count ?: 1, sizeof(*s->cpus));
	if (!s->cpus)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		if (rf_dump_cpu(d, i, &cpu) || !(cpu.known & RF_DUMP_CPU_SYSTEM))
			return 0;
		s->cpus[i] = (struct rf_posture_cpu){ cpu.cr0, cpu.cr4 };
	}
	s->cpu_count = count;
	return 0;
}

static int find_kernel(const struct rf_dump *d, struct rf_subject *s)
{
	struct rf_diag diag = { "" };
	struct where w = { 0 };
	int err = look_where(d, &w);

	if (!err)
		err = keep_registers(d, s);
	/* Without registers all of it is read: more than that takes over a second. */
	if (!err && !w.hint_count && rf_dump_end(d) > SEARCH_LONG && isatty(rf_messages_fd()))
		rf_say("%s: looking for the kernel in %llu MiB", s->name,
		       (unsigned long long)rf_dump_end(d) >> 20);
	if (!err)
		err = rf_kernel_locate(&s->memory, w.hints, w.hint_count, w.ranges, w.range_count,
				       &s->kernel, &s->paging, &diag);
	free(w.hints);
	free(w.ranges);
	return err ? fail_to_find(s->name, err, diag.text) : RF_EXIT_OK;
}

int rf_subject_open(const char *name, const struct rf_subject_options *options,
		    struct rf_subject *out)
{
	struct rf_subject s = { .name = name, .close = close_dump };
	struct rf_dump *d;
	int code;

	if (options->live && options->raw)
		return rf_fail(RF_EXIT_USAGE, "nothing was done", "leave one of them out",
			       "--raw is for a dump, --live for a VM that runs");
	if (options->live)
		return rf_subject_open_live(name, out);
	code = open_dump(name, options->raw, &d);
	if (code != RF_EXIT_OK)
		return code;
	s.source = d;
	/* Of the kernel's own pages no others are left out than those of zeros. */
	if (!rf_dump_fill(d))
		rf_say("%s: memory that was left out of this dump counts as zeros", name);
	s.format = rf_dump_format(d);
	s.memory = (struct rf_memory){ rf_dump_read, d };
	s.places = calloc(1, sizeof(*s.places));
	if (s.places) {
		s.places->to = s.memory;
		rf_budget_begin(s.places, RF_PLACE_READS);
	}
	code = s.places ? find_kernel(d, &s) : fail_to_find(name, -ENOMEM, "");
	if (code == RF_EXIT_OK)
		*out = s;
	else
		rf_subject_close(&s);
	return code;
}

void rf_subject_close(struct rf_subject *s)
{
	rf_kernel_destroy(s->kernel);
	free(s->places);
	free(s->cpus);
	s->close(s->source);
}
