// SPDX-License-Identifier: LGPL-2.1-or-later
#include "hv/dump/dump.h"

#include <errno.h>
#include <string.h>

#include "hv/dump/impl.h"

/* In this order: raw is what is left. */
static int (*const formats[])(struct rf_dump *d, const struct rf_dump_why *why) = {
	rf_dump_elf_open,
	rf_dump_kdump_open,
	rf_dump_lime_open,
};

/* What people may take for a dump, and how they get one. */
static const struct {
	const char *magic;
	uint8_t len;
	const char *what;
} others[] = {
	{ "LibvirtQemudSave", 16, "a state that libvirt saved: virsh dump --memory-only" },
	{ "LibvirtQemudPart", 16, "a state that libvirt did not save to its end" },
	{ "QEVM", 4, "a migration stream of QEMU's: dump-guest-memory, virsh dump --memory-only" },
	{ "QFI\xfb", 4, "a qcow2 disk" },
	{ "PAGEDU64", 8, "a crash dump of Windows" },
	{ "PAGEDUMP", 8, "a crash dump of Windows" },
	{ "\xd0\xbe\xd2\xbe", 4, "a state of VMware's: vmss2core makes a core of it" },
	{ "\xd2\xbe\xd2\xbe", 4, "a state of VMware's: vmss2core makes a core of it" },
	{ "\x7fVirtualBox SavedState", 22, "a state of VirtualBox's: dumpvmcore" },
	{ "\x1f\x8b\x08", 3, "compressed with gzip: unpack it first" },
	{ "\xfd"
	  "7zXZ",
	  5, "compressed with xz: unpack it first" },
	{ "\x28\xb5\x2f\xfd", 4, "compressed with zstd: unpack it first" },
	{ "\x04\x22\x4d\x18", 4, "compressed with lz4: unpack it first" },
};

static int recognise(struct rf_dump *d, const struct rf_dump_why *why)
{
	char start[32] = "";
	int r;

	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		r = formats[i](d, why);
		if (r != -ENOENT)
			return r;
	}
	if (d->file.flat)
		return rf_dump_fail(why, -ENOTSUP, "flattened, and no known format in it");
	rf_dump_file_read(&d->file, 0, start,
			  d->file.size < sizeof(start) ? d->file.size : sizeof(start));
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
		if (!memcmp(start, others[i].magic, others[i].len))
			return rf_dump_fail(why, -ENOTSUP, "%s", others[i].what);
	}
	return rf_dump_raw_open(d, why);
}

static int open_as(int fd, bool raw, struct rf_dump **out, const struct rf_dump_why *why)
{
	struct rf_dump *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return rf_dump_fail(why, -ENOMEM, "no memory for a dump");
	d->file.fd = -1;
	r = rf_dump_file_open(&d->file, fd, why);
	if (!r && raw)
		r = rf_dump_raw_open(d, why);
	if (!r && !raw) {
		r = rf_dump_flat_open(&d->file, why);
		if (!r)
			r = recognise(d, why);
	}
	if (r) {
		rf_dump_close(d);
		return r;
	}
	*out = d;
	return 0;
}

int rf_dump_open(int fd, struct rf_dump **out, char *why, size_t why_size)
{
	return open_as(fd, false, out, &(struct rf_dump_why){ why, why_size });
}

int rf_dump_open_raw(int fd, struct rf_dump **out, char *why, size_t why_size)
{
	return open_as(fd, true, out, &(struct rf_dump_why){ why, why_size });
}

void rf_dump_close(struct rf_dump *d)
{
	if (!d)
		return;
	rf_dump_kdump_close(d);
	rf_dump_ranges_deinit(&d->ranges);
	rf_dump_flat_close(&d->file);
	rf_dump_file_close(&d->file);
	free(d->cpus);
	free(d);
}

int rf_dump_read(void *dump, rf_gpa gpa, void *buf, size_t len)
{
	struct rf_dump *d = dump;

	return len ? d->read(d, gpa.v, buf, len) : 0;
}

int rf_dump_fill(struct rf_dump *d)
{
	return rf_dump_kdump_fill(d);
}

const char *rf_dump_format(const struct rf_dump *d)
{
	return d->format;
}

uint64_t rf_dump_end(const struct rf_dump *d)
{
	const struct rf_dump_range *last = &d->ranges.v[d->ranges.count - 1];

	return last->start + last->size;
}

int rf_dump_range(const struct rf_dump *d, size_t i, rf_gpa *start, uint64_t *size)
{
	if (i >= d->ranges.count)
		return -ENOENT;
	*start = rf_gpa_of(d->ranges.v[i].start);
	*size = d->ranges.v[i].size;
	return 0;
}

size_t rf_dump_cpus(const struct rf_dump *d)
{
	return d->cpu_count;
}

int rf_dump_cpu(const struct rf_dump *d, size_t i, struct rf_dump_cpu *out)
{
	if (i >= d->cpu_count)
		return -ENOENT;
	*out = d->cpus[i];
	return 0;
}
