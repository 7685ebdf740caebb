// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What ordinary programs have in the kernel, for the guest in which nothing is planted: threads,
 * children that share memory, namespaces of their own, users, sockets, a socket filter, timers,
 * files that are watched. Prints LIVES and sleeps. With arguments it does nothing but load a BPF
 * program of each name, for the plants.
 */
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/un.h>
#include <unistd.h>

#define STACK (64u << 10)

static void *sleep_in_thread(void *unused)
{
	for (;;)
		pause();
	return 0;
}

static int sleep_in_child(void *unused)
{
	for (;;)
		pause();
	return 0;
}

static void child(int flags)
{
	char *stack = malloc(STACK);

	if (!stack || clone(sleep_in_child, stack + STACK, flags | SIGCHLD, NULL) < 0)
		perror("clone");
}

static void sockets(void)
{
	static const int families[] = { AF_UNIX, AF_INET, AF_INET6, AF_NETLINK, AF_PACKET };
	struct sock_filter all[] = { BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0),
				     BPF_STMT(BPF_RET | BPF_A, 0) };
	struct sock_fprog filter = { .len = 2, .filter = all };

	for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
		int s = socket(families[i], families[i] == AF_UNIX ? SOCK_STREAM : SOCK_DGRAM, 0);

		if (s >= 0)
			setsockopt(s, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof(filter));
	}
}

static void files(void)
{
	struct itimerspec hour = { .it_value.tv_sec = 3600 };
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = epoll_create1(0), timer = timerfd_create(CLOCK_MONOTONIC, 0), ends[2];
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	timerfd_settime(timer, 0, &hour, NULL);
	epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);
	inotify_add_watch(inotify_init(), "/etc", IN_MODIFY);
	signalfd(-1, &set, 0);
	eventfd(0, 0);
	memfd_create("life", 0);
	if (pipe(ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		perror("pipe");
}

/* Does nothing, and might look into the kernel. */
static void load(const char *name)
{
	static const struct bpf_insn insns[] = {
		{ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0 },
		{ .code = BPF_JMP | BPF_EXIT },
	};
	union bpf_attr attr = { .prog_type = BPF_PROG_TYPE_KPROBE,
				.insn_cnt = 2,
				.insns = (uintptr_t)insns,
				.license = (uintptr_t) "GPL" };

	memcpy(attr.prog_name, name, strlen(name));
	if (syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr)) < 0)
		perror("bpf");
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc > 1) {
		for (int i = 1; i < argc; i++)
			load(argv[i]);
		puts("LOADED BPF");
		fflush(stdout);
		sleep_in_child(NULL);
	}

	for (int i = 0; i < 4; i++)
		if (pthread_create(&thread, NULL, sleep_in_thread, NULL))
			perror("pthread_create");
	child(CLONE_VM | CLONE_FILES);
	child(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
	child(CLONE_NEWUSER | CLONE_NEWPID);
	if (!fork()) {
		if (setgid(1000) || setuid(1000))
			perror("setuid");
		sleep_in_child(NULL);
	}
	sockets();
	files();
	puts("LIVES");
	fflush(stdout);
	sleep_in_child(NULL);
	return 0;
}
