// SPDX-License-Identifier: LGPL-2.1-or-later
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "cli/safe_file.h"
#include "cli/subject.h"
#include "cli/vm_memory.h"
#include "hv/dump/core.h"

#define MIB (1024.0 * 1024)

/* Of memory that is not there although the map has it: a VMM takes a slot away and puts it back. */
#define TRIES 10
#define TRY_AGAIN_MS 200
#define MISSING_MAX 64 /* pages in a row */

struct dump {
	struct rf_vm_memory from;
	struct rf_vm_range map[RF_VM_MEMORY_RANGES], after[RF_VM_MEMORY_RANGES];
	int count; /* of the map */
	struct rf_core core;
	struct rf_progress progress;
	uint64_t total, bytes, missing; /* of memory: all, written, passed by */
	const char *path;
	char name[NAME_MAX + 1]; /* in the folder */
	struct rf_folder folder;
	struct rf_made made;
};

/* As rf_vm_memory_fetch(); 0: none of it, also not after so many tries. */
static int fetch(struct dump *d, uint64_t at, unsigned int pages, int tries)
{
	static const struct timespec pause = { .tv_nsec = TRY_AGAIN_MS * 1000000 };
	int n = 0;

	for (int i = 0; !n && i < tries; i++) {
		if (i)
			nanosleep(&pause, NULL);
		n = rf_vm_memory_fetch(&d->from, at, pages);
	}
	return n;
}

static int take(struct dump *d, uint64_t at, size_t len)
{
	int err = rf_core_add(&d->core, rf_gpa_of(at), d->from.bytes, len);

	d->bytes += len;
	if (rf_progress_due(&d->progress))
		rf_say("%.0f of %.0f MiB are written", (double)d->bytes / MIB,
		       (double)d->total / MIB);
	return err;
}

/* A page that cannot be read is left out, and waited for if it is the first one in a row; behind
 * so many of them the rest of the range is a device's, which is no RAM. */
static int copy_range(struct dump *d, const struct rf_vm_range *r)
{
	uint64_t done = 0, len;
	int n = 1, missing = 0, err = 0;

	while (!err && n >= 0 && done < r->size && missing < MISSING_MAX) {
		uint64_t left = (r->size - done) / RF_VM_MEMORY_PAGE;

		n = fetch(d, r->at + done,
			  left < RF_VM_MEMORY_PAGES ? (unsigned int)left : RF_VM_MEMORY_PAGES,
			  missing ? 1 : TRIES);
		len = n > 0 ? (unsigned int)n * RF_VM_MEMORY_PAGE : RF_VM_MEMORY_PAGE;
		if (n > 0)
			err = take(d, r->at + done, len);
		else
			d->missing += len;
		missing = n > 0 ? 0 : missing + 1;
		done += len;
	}
	d->missing += r->size - done;
	return n < 0 ? n : err;
}

/* The disk is never filled with it: how much of it will be zeros is not known before. */
static int look_for_room(struct dump *d, int fd)
{
	struct statvfs fs;

	for (int i = 0; i < d->count; i++)
		d->total += d->map[i].size;
	if (fstatvfs(fd, &fs))
		return -errno;
	/* A file system of somebody's own may say that its blocks have no size. */
	return fs.f_frsize && d->total / fs.f_frsize < fs.f_bavail ? 0 : -ENOSPC;
}

/* 0, or -errno: of asking, which is d->from.err too, of writing, or -ERESTART: it is another
 * memory by now. */
static int copy(struct dump *d, int fd)
{
	int n = rf_vm_memory_map(&d->from, d->map), err;

	if (n < 0)
		return n;
	d->count = n;
	err = look_for_room(d, fd);
	if (!err)
		err = rf_core_begin(&d->core, fd);
	for (int i = 0; !err && i < d->count; i++)
		err = copy_range(d, &d->map[i]);
	if (err)
		return err;
	n = rf_vm_memory_map(&d->from, d->after);
	if (n < 0)
		return n;
	if (n != d->count || memcmp(d->map, d->after, (size_t)n * sizeof(d->map[0])))
		return -ERESTART;
	return rf_core_end(&d->core);
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
	char *safe = rf_safe_dup(d->path);
	int code;

	if (json) {
		code = rf_print_json(
			json_pack("{s:s, s:s, s:I, s:I, s:I, s:o}", "vm", d->from.vm.name, "file",
				  safe ?: "?", "bytes", (json_int_t)d->bytes, "zeros",
				  (json_int_t)d->core.zeros, "missing", (json_int_t)d->missing,
				  "ranges", ranges_json(&d->core)));
	} else {
		printf("%s: %.1f MiB of memory of %s, in %zu %s; %.1f MiB of it are zeros, and "
		       "take no room\n",
		       safe ?: "?", (double)d->bytes / MIB, d->from.vm.name, d->core.count,
		       d->core.count == 1 ? "range" : "ranges", (double)d->core.zeros / MIB);
		code = rf_flush();
	}
	free(safe);
	if (code != RF_EXIT_OK || !d->missing)
		return code;
	return rf_fail(
		RF_EXIT_OPEN_END, "the file has all the rest of it",
		"nothing, where it is a device's memory, as with VFIO; else take it by its VMM "
		"(virsh dump --memory-only)",
		"%.1f MiB of its memory cannot be read", (double)d->missing / MIB);
}

/* Why there is none. */
static int tell(const struct dump *d, int err)
{
	const char *nothing = "nothing was dumped; the file is gone again";

	if (d->from.err)
		return rf_vm_memory_lost(&d->from, nothing);
	if (err == -ERESTART)
		return rf_fail(RF_EXIT_CANNOT_TELL, nothing, "run it again",
			       "memory of %s came or went meanwhile", d->from.vm.name);
	if (err == -ENOSPC)
		return rf_fail(RF_EXIT_INTERNAL, nothing,
			       "make room there for all of its memory, or name a file elsewhere",
			       "%s: no room for %.0f MiB", d->path, (double)d->total / MIB);
	if (err == -E2BIG)
		return rf_fail(RF_EXIT_CANNOT_TELL, nothing,
			       "take it by its VMM (virsh dump --memory-only)",
			       "what can be read of the memory of %s is in too many pieces",
			       d->from.vm.name);
	return rf_fail(RF_EXIT_INTERNAL, nothing,
		       "see what is wrong there, or name a file elsewhere", "%s: %s", d->path,
		       strerror(-err));
}

/* The file is new, and this user's alone: all that the guest knows will be in it. */
static int write_dump(struct dump *d, bool json)
{
	struct rf_why why = { .what = "" };
	int fd = rf_file_keep(d->folder.fd, d->name, O_WRONLY | O_EXCL, 0600, &why), err, code;

	if (fd < 0)
		return rf_fail(fd == -EEXIST ? RF_EXIT_USAGE : RF_EXIT_INTERNAL,
			       "nothing was dumped",
			       fd == -EEXIST ? "name a file that is not there, or remove that one"
					     : "name a file in a folder that you may write to",
			       "%s", why.what);
	err = rf_made_note(d->folder.fd, d->name, &d->made);
	if (!err)
		err = copy(d, fd);
	close(fd);
	code = err ? tell(d, err) : show(d, json);
	if (code == RF_EXIT_OK || code == RF_EXIT_OPEN_END)
		rf_folder_sync(d->folder.fd);
	else
		rf_made_remove(d->folder.fd, d->name, &d->made, 0);
	return code;
}

/* In a folder that others cannot lead elsewhere meanwhile. */
static int dump_into(struct dump *d, bool json)
{
	struct rf_why why = { .what = "" };
	int code;

	if (rf_folder_above(d->path, RF_WAY_USE, &why, &d->folder, d->name))
		return rf_fail(RF_EXIT_INTERNAL, "nothing was dumped",
			       why.todo ?: "name a file in a folder that you may write to", "%s",
			       why.what);
	code = write_dump(d, json);
	rf_folder_close(&d->folder);
	return code;
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
			code = dump_into(d, json);
		rf_vm_memory_close(&d->from);
	}
	free(d);
	return code;
}

const struct rf_command rf_command_dump = {
	.name = "dump",
	.usage = "[--json] VM FILE",
	.summary = "Write the memory of a VM whose kernel is sealed to a file",
	.help = "  -j, --json  what was written, as JSON\n"
		"\n"
		"VM is a name or a state folder. FILE must not be there; it is made for this user\n"
		"alone. It is an ELF core, as QEMU's dump-guest-memory writes, without registers:\n"
		"`ringfence check`, hooks, ps, modules and the others find the kernel in it. It\n"
		"has what the guest sees: of what is sealed the sealed bytes. It is the sweeper's\n"
		"word; `virsh dump --memory-only` is the VMM's.\n"
		"The guest runs meanwhile, so its pages are of different moments. Where they must\n"
		"be of one, pause the guest first (`virsh suspend`, QEMU's `stop`; `ringfence "
		"stop`\n"
		"ends it), and resume it afterwards.\n"
		"A dump that is killed leaves a FILE that is no core: remove it.\n"
		"\n"
		"The exit code: 0 all of it is written; 2 FILE is there; 3 there is no such VM;\n"
		"4 its monitor does not answer; 5 FILE cannot be written, or there is no room for\n"
		"all of its memory; 6 its kernel is not sealed, or is another one by now, or its\n"
		"memory came or went meanwhile; 7 it is written, but for what could not be read.\n"
		"Where it is neither 0 nor 7 there is no FILE of this command's.\n",
	.run = dump,
};
