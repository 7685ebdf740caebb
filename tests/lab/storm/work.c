// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * A process that does the same each time, for tracers to look at.
 *
 * work calls N       N rounds of system calls
 * work traced N      the same on CPU 0, with tracing on for this process and for as long as that
 * work steps N       N calls of a function of its own; work where: that function's offset in this
 * file, for a uprobe
 */
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void put(const char *name, const char *text)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/kernel/tracing/%s", name);
	fd = open(path, O_WRONLY | O_TRUNC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0) {
		perror(path);
		exit(1);
	}
	close(fd);
}

static void calls(int n)
{
	char buffer[64] = { 0 };
	struct stat st;

	for (int i = 0; i < n; i++) {
		int pipes[2], fd = open("/proc/self/stat", O_RDONLY);

		if (fd < 0 || pipe(pipes) || fstat(fd, &st) || read(fd, buffer, 16) != 16 ||
		    lseek(fd, 0, SEEK_SET) || write(pipes[1], buffer, 16) != 16 ||
		    read(pipes[0], buffer, 16) != 16 || access("/nowhere", F_OK) == 0)
			exit(1);
		close(fd);
		close(pipes[0]);
		close(pipes[1]);
		getppid();
	}
}

__attribute__((noinline)) void step(void)
{
	__asm__ volatile("" ::: "memory");
}

static int where(void)
{
	uintptr_t start, end, offset, here = (uintptr_t)step;
	FILE *maps = fopen("/proc/self/maps", "r");

	while (maps && fscanf(maps, "%lx-%lx %*s %lx%*[^\n]", &start, &end, &offset) == 3) {
		if (here >= start && here < end)
			return printf("0x%lx\n", here - start + offset) < 0;
	}
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	int n = argc > 2 ? atoi(argv[2]) : 1;
	cpu_set_t first;
	char pid[16];

	if (!strcmp(what, "where"))
		return where();
	if (!strcmp(what, "traced")) {
		CPU_ZERO(&first);
		CPU_SET(0, &first);
		if (sched_setaffinity(0, sizeof(first), &first))
			return 1;
		snprintf(pid, sizeof(pid), "%d", getpid());
		put("set_ftrace_pid", pid);
		put("tracing_on", "1");
		calls(n);
		put("tracing_on", "0");
	} else if (!strcmp(what, "calls")) {
		calls(n);
	} else if (!strcmp(what, "steps")) {
		for (int i = 0; i < n; i++)
			step();
	} else {
		return 2;
	}
	return 0;
}
