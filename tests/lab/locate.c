// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The kernel of a dump, found with no help, in each format that a hypervisor writes. See
 * tests/lab/oracle.py.
 *
 *   locate INSIDE LEVELS RAW DUMP...
 *
 * All files are of one moment. Of each: the memory is RAW's, and by registers, where it has them,
 * and by memory alone the kernel is found that has entry_SYSCALL_64 at INSIDE (hexadecimal) and so
 * many levels of page tables.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/dump/dump.h"
#include "introspection/locate.h"

#define RANGES_MAX 65536u
#define CPUS_MAX 256u
#define BLOCK 65536u

static unsigned int wrong;

struct expected {
	uint64_t inside;
	unsigned int levels;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static struct rf_dump *open_dump(const char *path, bool raw)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;
	struct rf_dump *d = NULL;
	char why[200] = "cannot be opened";

	r = raw ? rf_dump_open_raw(fd, &d, why, sizeof(why))
		: rf_dump_open(fd, &d, why, sizeof(why));
	if (fd >= 0)
		close(fd);
	if (r)
		printf("  wrong: %s: %s (%d)\n", path, why, r);
	wrong += r != 0;
	return d;
}

/* Where both have memory; what the dump has beyond RAW's end is ROM. */
static void compare(struct rf_dump *raw, struct rf_dump *d)
{
	static uint8_t ours[BLOCK], theirs[BLOCK];
	uint64_t size, at, part, bytes = 0, differ = 0;
	double start = now_ms();
	rf_gpa from;

	for (size_t i = 0; !rf_dump_range(d, i, &from, &size); i++) {
		for (at = from.v; at < from.v + size && at < rf_dump_end(raw); at += part) {
			part = from.v + size - at < BLOCK ? from.v + size - at : BLOCK;
			differ += rf_dump_read(d, rf_gpa_of(at), ours, part) ||
				  rf_dump_read(raw, rf_gpa_of(at), theirs, part) ||
				  memcmp(ours, theirs, part);
			bytes += part;
		}
	}
	printf("  %llu MiB compared in %.0f ms, %zu processors\n", (unsigned long long)bytes >> 20,
	       now_ms() - start, rf_dump_cpus(d));
	if (differ || bytes < rf_dump_end(raw) / 2)
		printf("  wrong: %llu blocks differ\n", (unsigned long long)differ);
	wrong += differ || bytes < rf_dump_end(raw) / 2;
}

static void locate(struct rf_dump *d, const struct rf_locate_hint *hints, size_t hint_count,
		   const struct rf_locate_range *ranges, size_t range_count,
		   const struct expected *e)
{
	const struct rf_memory m = { rf_dump_read, d };
	struct rf_diag diag = { "another kernel" };
	struct rf_kernel *k = NULL;
	double start = now_ms();
	struct rf_paging p;
	rf_gva entry;
	int r;

	r = rf_kernel_locate(&m, hints, hint_count, ranges, range_count, &k, &p, &diag);
	if (r || rf_kernel_address(k, "entry_SYSCALL_64", &entry) || entry.v != e->inside ||
	    p.levels != e->levels) {
		printf("  wrong: %s (%d)\n", diag.text, r);
		wrong++;
	} else {
		printf("  %s: image at %#llx, %u levels at %#llx, %.0f ms\n",
		       hint_count ? "by registers" : "by memory alone",
		       (unsigned long long)rf_kernel_image(k)->gpa.v, p.levels,
		       (unsigned long long)p.root.v, now_ms() - start);
	}
	rf_kernel_destroy(k);
}

static void check(struct rf_dump *d, const struct expected *e)
{
	static struct rf_locate_range ranges[RANGES_MAX];
	struct rf_locate_hint hints[CPUS_MAX];
	struct rf_dump_cpu cpu;
	size_t count, cpus = 0;

	for (count = 0; count < RANGES_MAX; count++)
		if (rf_dump_range(d, count, &ranges[count].start, &ranges[count].size))
			break;
	for (; cpus < CPUS_MAX && !rf_dump_cpu(d, cpus, &cpu); cpus++)
		hints[cpus] = (struct rf_locate_hint){ cpu.cr3, cpu.cr4, cpu.idt_base, cpu.rip };
	if (cpus)
		locate(d, hints, cpus, NULL, 0, e);
	locate(d, NULL, 0, ranges, count, e);
}

int main(int argc, char **argv)
{
	struct rf_dump *raw, *d;
	struct expected e;

	if (argc < 4) {
		fputs("usage: locate INSIDE LEVELS RAW DUMP...\n", stderr);
		return 2;
	}
	e = (struct expected){ strtoull(argv[1], NULL, 16), strtoul(argv[2], NULL, 10) };
	raw = open_dump(argv[3], true);
	for (int i = 3; i < argc && raw; i++) {
		d = open_dump(argv[i], false);
		if (!d)
			continue;
		printf("locate: %s, as %s\n", argv[i], rf_dump_format(d));
		compare(raw, d);
		check(d, &e);
		rf_dump_close(d);
	}
	rf_dump_close(raw);
	return wrong != 0;
}
