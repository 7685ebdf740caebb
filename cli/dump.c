// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/vm_memory.h"
#include "cli/subject.h"
#include "hv/dump/core.h"

#define MIB (1024.0 * 1024)

struct dump {
	struct rf_vm_memory from;
	struct rf_core core;
	struct rf_progress progress;
	uint64_t bytes;
	const char *path;
};

/* Where to go on. 0, -ENOENT: that was all, or -errno. */
static int next_of(struct dump *d, uint64_t *at, int pages)
{
	*at += (unsigned int)pages * RF_VM_MEMORY_PAGE;
	if (pages == (int)RF_VM_MEMORY_PAGES)
		return 0;
	if (!d->from.next)
		return -ENOENT;
	if (d->from.next <= *at || d->from.next % RF_VM_MEMORY_PAGE)
		return -EBADMSG; /* no sweeper says that, and there would be no end to it */
	*at = d->from.next;
	return 0;
}

/* From its first page to its last. 0, or -errno: of asking, which is d->from.err too, or of
 * writing. */
static int copy(struct dump *d)
{
	uint64_t at = 0;
	int err, pages;

	do {
		pages = rf_vm_memory_fetch(&d->from, at, RF_VM_MEMORY_PAGES);
		if (pages < 0)
			return pages;
		err = pages ? rf_core_add(&d->core, rf_gpa_of(at), d->from.bytes,
					  (size_t)pages * RF_VM_MEMORY_PAGE)
			    : 0;
		if (err)
			return err;
		d->bytes += (size_t)pages * RF_VM_MEMORY_PAGE;
		if (rf_progress_due(&d->progress))
			rf_say("%.0f MiB are written", (double)d->bytes / MIB);
		err = next_of(d, &at, pages);
	} while (!err);
	if (err == -ENOENT && d->bytes)
		return rf_core_end(&d->core);
	d->from.err = err == -ENOENT ? -EBADMSG : err; /* no VM is without memory */
	return d->from.err;
}

static json_t *ranges_json(const struct rf_core *c)
{
	json_t *all = json_array();

	for (size_t i = 0; i < c->count; i++)
		json_array_append_new(all, json_pack("{s:o, s:o}", "at",
						     rf_address_json(c->ranges[i].gpa), "size",
						     rf_address_json(c->ranges[i].size)));
	return all;
}

static int show(const struct dump *d, bool json)
{
	char safe[256];

	if (json)
		return rf_print_json(json_pack("{s:s, s:s, s:I, s:I, s:o}", "vm", d->from.vm.name,
					       "file", d->path, "bytes", (json_int_t)d->bytes,
					       "zeros", (json_int_t)d->core.zeros, "ranges",
					       ranges_json(&d->core)));
	rf_safe(safe, sizeof(safe), d->path);
	printf("%s: %.1f MiB of memory of %s, in %zu %s; %.1f MiB of it are zeros, and take no "
	       "room\n",
	       safe, (double)d->bytes / MIB, d->from.vm.name, d->core.count,
	       d->core.count == 1 ? "range" : "ranges", (double)d->core.zeros / MIB);
	return rf_flush();
}

/* The file is new, and this user's alone: all that the guest knows will be in it. */
static int open_new(const char *path)
{
	return open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
}

static int not_opened(const char *path, int err)
{
	return rf_fail(err == EEXIST ? RF_EXIT_USAGE : RF_EXIT_INTERNAL, "nothing was dumped",
		       err == EEXIST ? "name a file that is not there, or remove that one"
				     : "name a file in a folder that you may write to",
		       "%s: %s", path, strerror(err));
}

static int write_dump(struct dump *d, bool json)
{
	int fd = open_new(d->path), err;

	if (fd < 0)
		return not_opened(d->path, errno);
	err = rf_core_begin(&d->core, fd);
	if (!err)
		err = copy(d);
	close(fd);
	if (!err)
		return show(d, json);
	unlink(d->path);
	if (d->from.err)
		return rf_vm_memory_lost(&d->from);
	return rf_fail(RF_EXIT_INTERNAL, "nothing was dumped; the file is gone again",
		       err == -E2BIG ? "dump it by its VMM (virsh dump --memory-only)"
				     : "make room there, or name a file elsewhere",
		       "%s: %s", d->path,
		       err == -E2BIG ? "its memory is in too many pieces" : strerror(-err));
}

static int dump(int argc, char **argv)
{
	struct rf_operands operands;
	struct dump *d;
	bool json = false;
	json_t *first = NULL;
	int code;

	const struct rf_option options[] = {
		{ "json", 'j', RF_OPTION_FLAG, &json, 0, 0 },
		{ 0 },
	};
	code = rf_options(&rf_command_dump, options, false, RF_EXIT_USAGE, argc, argv, &operands);
	if (code < 0)
		code = rf_subject_operands(&rf_command_dump, &operands, 2, 2);
	if (code >= 0)
		return code;
	d = calloc(1, sizeof(*d));
	if (!d)
		return rf_fail(RF_EXIT_INTERNAL, "nothing was dumped",
			       "free some memory, then run it again", "no memory");
	d->path = operands.items[1];
	code = rf_vm_find(operands.items[0], &d->from.vm);
	if (code == RF_EXIT_OK) {
		code = rf_vm_memory_begin(&d->from, &first);
		json_decref(first);
		if (code == RF_EXIT_OK)
			code = write_dump(d, json);
		rf_vm_memory_close(&d->from);
	}
	free(d);
	return code;
}

const struct rf_command rf_command_dump = {
	.name = "dump",
	.usage = "[--json] NAME|STATE-FOLDER FILE",
	.summary = "Write the memory of a sealed guest to a file, for `ringfence check` and others",
	.help = "  -j, --json  what was written, as JSON\n"
		"\n"
		"FILE must not be there; it is made for this user alone. It is an ELF core, as\n"
		"QEMU's dump-guest-memory writes, without registers: `ringfence check FILE` and\n"
		"its kin find the kernel by themselves. It has what the guest sees: of what is\n"
		"sealed the sealed bytes, not what a device has written below.\n"
		"The guest runs meanwhile, so that pages are of different moments. Stop its VMM\n"
		"before (virsh suspend) where they have to be of one.\n"
		"\n"
		"The exit code: 0 it is written; 2 FILE is there; 3 there is no such VM; 4 its\n"
		"monitor does not answer; 5 FILE cannot be written; 6 its kernel is not sealed,\n"
		"or is another one by now. Where it is not 0, there is no FILE.\n",
	.run = dump,
};
