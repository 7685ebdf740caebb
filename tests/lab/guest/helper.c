// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * The guests' helper, static and called by name: what a shell cannot do, or not fast enough to be measured.
 *
 *   helper syscalls N      N getppid() calls, timed          helper cmos-get         the boot counter's byte
 *   helper forkexec N      N fork+exec+wait, timed           helper cmos-put N       set it
 *   helper last            the attack module's last result   helper user_alias       the store from user mode
 *   helper switch FILE VALUE...   each value written to FILE in turn, timed
 *   helper ldt N           two tasks with an LDT of their own take turns N times
 *   first                  run as rdinit: attack before anything else happens in user mode
 */
#define _GNU_SOURCE
#include <asm/ldt.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PROC "/proc/rf_attack"
/* A byte of the clock chip's memory that neither firmware nor kernel uses. */
#define CMOS_BYTE 0x7b

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int report(const char *what, long n, uint64_t ns, uint64_t cycles)
{
	printf("%s n=%ld ns=%llu cycles=%llu ns_each=%.1f\n", what, n, (unsigned long long)ns,
	       (unsigned long long)cycles, (double)ns / (double)n);
	return 0;
}

static int run_syscalls(long n)
{
	uint64_t t = now_ns(), c = __builtin_ia32_rdtsc();

	for (long i = 0; i < n; i++)
		syscall(SYS_getppid);
	return report("syscalls", n, now_ns() - t, __builtin_ia32_rdtsc() - c);
}

static int run_forkexec(long n)
{
	uint64_t t = now_ns(), c = __builtin_ia32_rdtsc();

	for (long i = 0; i < n; i++) {
		pid_t pid = fork();

		if (pid == 0) {
			execl("/bin/helper", "helper", "nothing", (char *)NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, NULL, 0) != pid)
			return perror("forkexec"), 1;
	}
	return report("forkexec", n, now_ns() - t, __builtin_ia32_rdtsc() - c);
}

static int run_switch(const char *file, char **values)
{
	uint64_t t = now_ns(), c = __builtin_ia32_rdtsc();
	int fd = open(file, O_WRONLY);
	long n = 0;

	for (; values[n]; n++)
		if (pwrite(fd, values[n], strlen(values[n]), 0) < 0)
			return perror(file), 1;
	return report("switch", n, now_ns() - t, __builtin_ia32_rdtsc() - c);
}

/* Two tasks with an LDT each take turns on a CPU; each must find its own segment every time. */
static int run_ldt(long n)
{
	pid_t pid = fork();
	struct user_desc d = { .base_addr = 0, .limit = pid ? 0x111 : 0x222, .seg_32bit = 1, .useable = 1 };
	uint64_t start = now_ns();
	long wrong = 0;
	cpu_set_t one;
	int status = 0;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	sched_setaffinity(0, sizeof(one), &one);
	if (pid < 0 || syscall(SYS_modify_ldt, 1, &d, sizeof(d)))
		wrong++;
	for (long i = 0; i < n; i++) {
		unsigned int limit = 0;

		__asm__ volatile("lsl %1, %0" : "+r"(limit) : "r"(7) : "cc"); /* entry 0, LDT, RPL 3 */
		wrong += limit != d.limit;
		sched_yield();
	}
	if (!pid)
		_exit(wrong != 0);
	waitpid(pid, &status, 0);
	printf("ldt result=%s\n", wrong || status ? "failed" : "ok");
	return report("ldt", n, now_ns() - start, 0);
}

static int cmos(const char *value)
{
	if (ioperm(0x70, 2, 1))
		return perror("ioperm"), 1;
	outb(CMOS_BYTE, 0x70);
	if (value)
		outb((unsigned char)atoi(value), 0x71);
	else
		printf("%u\n", inb(0x71));
	return 0;
}

/* Copies the last result to fd in one write, so that a kernel message cannot cut the line. */
static int last(int fd, const char *prefix)
{
	char line[1024], text[900] = "";
	int in = open(PROC "_last", O_RDONLY);
	ssize_t n = in < 0 ? -1 : read(in, text, sizeof(text) - 1);

	if (in >= 0)
		close(in);
	if (n <= 0)
		strcpy(text, "attack ? result=none detail=no result to read\n");
	n = snprintf(line, sizeof(line), "%s%s", prefix, text);
	return write(fd, line, (size_t)n) == n ? 0 : 1;
}

static sigjmp_buf out;
static volatile sig_atomic_t caught;

static void on_signal(int sig)
{
	caught = sig;
	siglongjmp(out, 1);
}

/*
 * The module maps the target's page into this process writable; the store comes from user mode. SIGALRM covers a
 * store that is refused for ever without a fault being seen.
 */
static int user_alias(void)
{
	static const int signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGALRM };
	char command[64];
	int fd;

	fd = open(PROC, O_RDWR);
	if (fd < 0 || write(fd, "user_alias", 10) != 10)
		return perror(PROC), 1;

	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED) {
		snprintf(command, sizeof(command), "user_alias mmap %d", errno);
		return write(fd, command, strlen(command)) < 0;
	}
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		signal(signals[i], on_signal);
	if (!sigsetjmp(out, 1)) {
		unsigned int offset = 0;
		char text[32] = "";

		if (pread(fd, text, sizeof(text) - 1, 1 << 20) > 0)
			offset = (unsigned int)strtoul(text, NULL, 0) & 4095;
		alarm(3);
		*(volatile char *)(page + offset) ^= 1;
	}
	alarm(0);
	snprintf(command, sizeof(command), "user_alias signal %d", (int)caught);
	return write(fd, command, strlen(command)) < 0;
}

/* A microvm has no way to be reset but a triple fault; see restart_cleanly in init. */
static void restart(void)
{
	int fd;

	mkdir("/sys", 0755);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	fd = open("/sys/kernel/reboot/type", O_WRONLY);
	if (fd < 0 || write(fd, "triple", 6) != 6)
		dprintf(1, "RF: note reboot type: %s\n", strerror(errno));
	reboot(RB_AUTOBOOT);
}

/* Nothing ran in user mode before this: load the module with its attack as parameter, then tell. */
static int first(void)
{
	int module = open("/rf_attack.ko", O_RDONLY | O_CLOEXEC);
	long failed = syscall(SYS_finit_module, module, "attack=syscall_table", 0);
	int saved = errno;

	mkdir("/proc", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	if (failed)
		dprintf(1, "RF: note finit_module: %s\n", strerror(saved));
	last(1, "RF: ");
	dprintf(1, "RF: done mode=first status=%d\n", failed ? 1 : 0);
	restart();
	return 1;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";

	if (getpid() == 1)
		return first();
	if (!strcmp(what, "nothing"))
		return 0;
	if (!strcmp(what, "syscalls") && argc > 2)
		return run_syscalls(atol(argv[2]));
	if (!strcmp(what, "forkexec") && argc > 2)
		return run_forkexec(atol(argv[2]));
	if (!strcmp(what, "switch") && argc > 3)
		return run_switch(argv[2], argv + 3);
	if (!strcmp(what, "ldt") && argc > 2)
		return run_ldt(atol(argv[2]));
	if (!strcmp(what, "cmos-get"))
		return cmos(NULL);
	if (!strcmp(what, "cmos-put") && argc > 2)
		return cmos(argv[2]);
	if (!strcmp(what, "last"))
		return last(1, "");
	if (!strcmp(what, "user_alias"))
		return user_alias();
	fprintf(stderr, "helper: what?\n");
	return 2;
}
