// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What it costs to look at a dump as `ringfence check`, `ps` and `modules` do: JSON, a line each.
 *
 *   bench_checks DUMP registers|memory
 *
 * {"discovery_ms", "cpu_ms", "reads", "bytes"}: the kernel is found by the registers that are in
 * the dump, or, with "memory", by reading all of it; then, with "registers", those of
 * look_at_all(), and
 * {"checks_ms", "cpu_ms", "reads", "bytes"} of all checks together; last {"walk_ms", "tasks",
 * "modules"}: the lists of both, walked as often as drgn_walk.py does, the median.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "hv/dump/dump.h"
#include "introspection/checks/listing.h"
#include "introspection/locate.h"
#include "tests/planted/look_all.h"

#define RANGES_MAX 65536u
#define CPUS_MAX 256u
#define WALKS 9

struct counted {
	struct rf_dump *dump;
	uint64_t reads, bytes;
};

struct guest {
	struct counted counted;
	struct rf_memory m;
	struct rf_kernel *k;
	struct rf_paging p;
};

static double ms_of(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

struct since {
	double ms, cpu_ms;
};

static struct since now(void)
{
	return (struct since){ ms_of(CLOCK_MONOTONIC), ms_of(CLOCK_PROCESS_CPUTIME_ID) };
}

static int read_counted(void *ctx, rf_gpa gpa, void *buf, size_t len)
{
	struct counted *c = ctx;

	c->reads++;
	c->bytes += len;
	return rf_dump_read(c->dump, gpa, buf, len);
}

static int open_dump(const char *path, struct rf_dump **out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	char why[200] = "cannot be opened";

	err = rf_dump_open(fd, out, why, sizeof(why));
	if (fd >= 0)
		close(fd);
	if (err)
		fprintf(stderr, "%s: %s\n", path, why);
	else
		rf_dump_fill(*out);
	return err;
}

static int locate(struct guest *g, bool by_registers)
{
	static struct rf_locate_range ranges[RANGES_MAX];
	struct rf_locate_hint hints[CPUS_MAX];
	struct rf_diag diag = { "" };
	struct rf_dump_cpu cpu;
	size_t count = 0, cpus = 0;
	int err;

	while (count < RANGES_MAX &&
	       !rf_dump_range(g->counted.dump, count, &ranges[count].start, &ranges[count].size))
		count++;
	for (; by_registers && cpus < CPUS_MAX && !rf_dump_cpu(g->counted.dump, cpus, &cpu); cpus++)
		hints[cpus] = (struct rf_locate_hint){ cpu.cr3, cpu.cr4, cpu.idt_base, cpu.rip };
	err = rf_kernel_locate(&g->m, hints, cpus, ranges, count, &g->k, &g->p, &diag);
	if (err)
		fprintf(stderr, "no kernel found: %s\n", diag.text);
	return err;
}

static void print_cost(const char *what, struct since start, struct counted *c)
{
	struct since end = now();

	printf("{\"%s\": %.3f, \"cpu_ms\": %.3f, \"reads\": %llu, \"bytes\": %llu}\n", what,
	       end.ms - start.ms, end.cpu_ms - start.cpu_ms, (unsigned long long)c->reads,
	       (unsigned long long)c->bytes);
	c->reads = c->bytes = 0;
}

static int by_time(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static int walk(struct rf_checks *c)
{
	struct rf_module_row *modules;
	struct rf_task_row *tasks;
	size_t task_count = 0, module_count = 0;
	double times[WALKS];
	char why[RF_WHY];
	int err = 0;

	for (int i = 0; !err && i < WALKS; i++) {
		double start = ms_of(CLOCK_MONOTONIC);
		int later;

		err = rf_list_tasks(c, &tasks, &task_count, why);
		later = rf_list_modules(c, &modules, &module_count, why);
		times[i] = ms_of(CLOCK_MONOTONIC) - start;
		err = err ? err : later;
		free(tasks);
		free(modules);
	}
	if (err) {
		fprintf(stderr, "the lists: %s\n", why);
		return err;
	}
	qsort(times, WALKS, sizeof(*times), by_time);
	printf("{\"walk_ms\": %.3f, \"tasks\": %zu, \"modules\": %zu}\n", times[WALKS / 2],
	       task_count, module_count);
	return 0;
}

static int look(struct guest *g)
{
	const struct rf_checks_options options = { .live = false };
	struct since start = now();
	struct rf_checks *c;
	int err = rf_checks_create(g->k, &g->m, &g->p, &options, &c);

	if (err)
		return err;
	err = look_at_all(c, 0);
	if (!err) {
		print_cost("checks_ms", start, &g->counted);
		err = walk(c);
	}
	rf_checks_destroy(c);
	return err;
}

int main(int argc, char **argv)
{
	struct guest g = { .k = NULL };
	bool by_registers = argc == 3 && !strcmp(argv[2], "registers");
	struct since start;
	int err;

	if (argc != 3 || (!by_registers && strcmp(argv[2], "memory"))) {
		fputs("usage: bench_checks DUMP registers|memory\n", stderr);
		return 2;
	}
	g.m = (struct rf_memory){ read_counted, &g.counted };
	start = now();
	if (open_dump(argv[1], &g.counted.dump))
		return 1;
	err = locate(&g, by_registers);
	if (!err) {
		print_cost("discovery_ms", start, &g.counted);
		if (by_registers)
			err = look(&g);
	}
	rf_kernel_destroy(g.k);
	rf_dump_close(g.counted.dump);
	return err != 0;
}
