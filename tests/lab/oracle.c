// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * Compares what introspection finds in a memory dump with what the guest said of itself. See
 * tests/lab/oracle.py.
 *
 *   oracle DUMP CR3 CR4 INSIDE [symbols FILE] [types FILE] [modules FILE] [task COMM PID]
 *
 * symbols: lines of /proc/kallsyms, relocated as in this dump. types: "S name bytes" and "M struct
 * path bit-offset bytes" lines. modules: lines of /proc/modules. Prints one line per comparison;
 * exit 1 when one differs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "introspection/task.h"
#include "tests/unit/dump.h"

static unsigned int wrong;

static void differs(const char *what, const char *line)
{
	if (wrong++ < 20)
		printf("  differs (%s): %s\n", what, line);
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static long status_kib(const char *field)
{
	char line[256];
	long kib = -1;
	FILE *f = fopen("/proc/self/status", "re");

	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, field, strlen(field)))
			kib = atol(line + strlen(field) + 1);
	if (f)
		fclose(f);
	return kib;
}

static FILE *open_lines(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f) {
		perror(path);
		exit(2);
	}
	return f;
}

/*
 * Each symbol in order: address, type, name; each name leads to its first; each text address to
 * itself.
 */
static void compare_symbols(const struct rf_kernel *k, const char *path)
{
	size_t n = 0, count = rf_kernel_symbol_count(k);
	char line[1024], type, name[600];
	unsigned long long addr;
	FILE *f = open_lines(path);

	while (fgets(line, sizeof(line), f)) {
		struct rf_symbol s, by_name, by_addr;
		uint64_t offset;

		if (strchr(line, '[') || sscanf(line, "%llx %c %599s", &addr, &type, name) != 3)
			continue;
		if (n == count) {
			differs("one too few", line);
			break;
		}
		rf_kernel_symbol_at(k, n++, &s);
		if (s.addr.v != addr || s.type != type || strcmp(s.name, name))
			differs(s.name, line);
		if (rf_kernel_symbol(k, name, &by_name) || strcmp(by_name.name, name) ||
		    by_name.addr.v > s.addr.v)
			differs("by name", line);
		if (rf_kernel_image_gpa(k, s.addr, &(rf_gpa){ 0 }))
			continue;
		if (rf_kernel_symbolize(k, s.addr, &by_addr, &offset) || offset ||
		    by_addr.addr.v != addr)
			differs("by address", line);
		if ((type == 't' || type == 'T') && !rf_kernel_is_function(k, s.addr))
			differs("is a function", line);
	}
	fclose(f);
	if (n != count)
		differs("count", path);
	printf("symbols: %zu compared\n", n);
}

static void compare_types(const struct rf_kernel *k, const char *path)
{
	unsigned long long bits, size;
	char line[1024], type[300], member[300];
	size_t sizes = 0, members = 0;
	FILE *f = open_lines(path);

	while (fgets(line, sizeof(line), f)) {
		struct rf_member m;
		uint64_t bytes;

		if (sscanf(line, "S %299s %llu", type, &size) == 2) {
			sizes++;
			if (rf_kernel_sizeof(k, type, &bytes) || bytes != size)
				differs("sizeof", line);
		} else if (sscanf(line, "M %299s %299s %llu %llu", type, member, &bits, &size) ==
			   4) {
			members++;
			if (rf_kernel_member(k, type, member, &m) || m.offset * 8 != bits ||
			    m.size != size)
				differs("member", line);
		}
	}
	fclose(f);
	printf("types: %zu sizes and %zu members compared\n", sizes, members);
	if (!members)
		differs("none", path);
}

static void compare_modules(const struct rf_kernel *k, const struct rf_memory *m,
			    const struct rf_paging *p, const char *path)
{
	char line[1024], name[64];
	unsigned long long base;
	size_t n = 0;
	FILE *f = open_lines(path);

	while (fgets(line, sizeof(line), f)) {
		struct rf_module module;

		if (sscanf(line, "%63s %*s %*s %*s %*s %llx", name, &base) != 2)
			continue;
		n++;
		if (rf_module_find(k, m, p, rf_gva_of(base + 64), &module) ||
		    strcmp(module.name, name) || module.base.v != base)
			differs("module", line);
	}
	fclose(f);
	if (rf_module_find(k, m, p, rf_gva_of(0xffffffffff000000),
			   &(struct rf_module){ .size = 0 }) != -ENOENT)
		differs("module", "found where none is");
	printf("modules: %zu compared\n", n);
	if (!n)
		differs("none", path);
}

/* CPU 0's per-CPU area as the kernel itself knows it: a dump has no GS base. */
static void compare_task(const struct rf_kernel *k, const struct rf_memory *m,
			 const struct rf_paging *p, const char *comm, int pid)
{
	struct rf_task t = { .pid = -1 };
	rf_gva table;
	uint64_t base = 0;
	int r;

	r = rf_kernel_address(k, "__per_cpu_offset", &table);
	if (!r)
		r = rf_pt_read(m, p, table, &base, sizeof(base));
	if (!r)
		r = rf_task_current(k, m, p, rf_gva_of(base), &t);
	printf("task: %d, '%s' pid %d tgid %d uid %u\n", r, t.comm, t.pid, t.tgid, t.uid);
	if (r || strcmp(t.comm, comm) || t.pid != pid || t.tgid != pid || t.uid)
		differs("task", comm);
}

int main(int argc, char **argv)
{
	struct rf_diag diag = { "" };
	struct rf_paging p, kernel_p;
	struct rf_kernel *k;
	struct dump d;
	struct rf_memory m;
	double start;
	long before;
	int r, i;

	if (argc < 5) {
		fputs("usage: oracle DUMP CR3 CR4 INSIDE [symbols F] [types F] [modules F] "
		      "[task COMM PID]\n",
		      stderr);
		return 2;
	}
	r = dump_open(argv[1], &d);
	if (r) {
		fprintf(stderr, "%s: %s\n", argv[1], strerror(-r));
		return 2;
	}
	m = dump_memory(&d);
	p = rf_paging_of(strtoull(argv[2], NULL, 16), strtoull(argv[3], NULL, 16));
	before = status_kib("RssAnon:");
	start = now_ms();
	r = rf_kernel_discover(&m, &p, rf_gva_of(strtoull(argv[4], NULL, 16)), &k, &diag);
	printf("discovery: %.1f ms, %llu reads, %llu KiB read", now_ms() - start,
	       (unsigned long long)d.calls, (unsigned long long)d.copied / 1024);
	if (r) {
		printf(": %s (%s)\n", strerror(-r), diag.text);
		return 1;
	}
	printf(", keeps %ld KiB\n", status_kib("RssAnon:") - before);
	printf("image: %#llx at %#llx, %llu KiB, %u levels: %s\n",
	       (unsigned long long)rf_kernel_image(k)->base.v,
	       (unsigned long long)rf_kernel_image(k)->gpa.v,
	       (unsigned long long)rf_kernel_image(k)->size / 1024, p.levels, rf_kernel_banner(k));
	if (rf_kernel_paging(k, &kernel_p))
		differs("paging", "no init_top_pgt");
	for (i = 5; i < argc; i++) {
		if (!strcmp(argv[i], "symbols") && i + 1 < argc)
			compare_symbols(k, argv[++i]);
		else if (!strcmp(argv[i], "types") && i + 1 < argc)
			compare_types(k, argv[++i]);
		else if (!strcmp(argv[i], "modules") && i + 1 < argc)
			compare_modules(k, &m, &kernel_p, argv[++i]);
		else if (!strcmp(argv[i], "task") && i + 2 < argc) {
			compare_task(k, &m, &kernel_p, argv[i + 1], atoi(argv[i + 2]));
			i += 2;
		}
	}
	rf_kernel_destroy(k);
	dump_close(&d);
	printf("%s\n", wrong ? "DIFFERS" : "equal");
	return wrong != 0;
}
