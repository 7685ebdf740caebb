// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * bpf OBJECT COUNT: attach the programs of storm.bpf.c, make what they hang on happen COUNT times,
 * say how often each ran. Status 0 when that is COUNT, and COUNT packets more for XDP from
 * BPF_PROG_TEST_RUN.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("%s: %m\n", #condition);                                            \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

enum { FENTRY, FEXIT, KPROBE, XDP, KINDS };

/* Each comes back before the next is sent: none is still on its way when the hits are read. */
static void packets(unsigned int n)
{
	struct sockaddr_in self = { .sin_family = AF_INET };
	socklen_t size = sizeof(self);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	char c = 'x';

	self.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	CHECK(fd >= 0 && !bind(fd, (struct sockaddr *)&self, sizeof(self)));
	CHECK(!getsockname(fd, (struct sockaddr *)&self, &size));
	for (unsigned int i = 0; i < n; i++)
		CHECK(sendto(fd, &c, 1, 0, (struct sockaddr *)&self, sizeof(self)) == 1 &&
		      recv(fd, &c, 1, 0) == 1);
	close(fd);
}

static void read_hits(int map, unsigned long long *hits)
{
	for (__u32 kind = 0; kind < KINDS; kind++)
		CHECK(!bpf_map_lookup_elem(map, &kind, &hits[kind]));
}

int main(int argc, char **argv)
{
	unsigned int n = argc == 3 ? atoi(argv[2]) : 0, lo = if_nametoindex("lo"), pid = getpid();
	unsigned char packet[64] = { 0 };
	LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet, .data_size_in = sizeof(packet),
		    .repeat = (int)n);
	int xdp = -1, hits_fd, zero = open("/dev/zero", O_RDWR);
	unsigned long long before[KINDS], hits[KINDS];
	struct bpf_program *program;
	struct bpf_object *object;
	struct bpf_map *map;

	CHECK(n && lo && zero >= 0);
	object = bpf_object__open(argv[1]);
	CHECK(object);
	map = bpf_object__find_map_by_name(object, ".rodata");
	CHECK(map && !bpf_map__set_initial_value(map, &pid, sizeof(pid)));
	CHECK(!bpf_object__load(object));
	hits_fd = bpf_object__find_map_fd_by_name(object, "hits");
	bpf_object__for_each_program(program, object)
	{
		if (bpf_program__type(program) == BPF_PROG_TYPE_XDP)
			xdp = bpf_program__fd(program);
		else
			CHECK(bpf_program__attach(program));
	}
	CHECK(xdp >= 0 && !bpf_xdp_attach(lo, xdp, XDP_FLAGS_SKB_MODE, NULL));

	/* Attaching reads and writes files too. */
	read_hits(hits_fd, before);
	for (unsigned int i = 0; i < n; i++)
		CHECK(read(zero, packet, 1) == 1 && write(zero, packet, 1) == 1);
	packets(n);
	CHECK(!bpf_prog_test_run_opts(xdp, &run));
	read_hits(hits_fd, hits);
	CHECK(!bpf_xdp_detach(lo, XDP_FLAGS_SKB_MODE, NULL));

	for (int kind = 0; kind < KINDS; kind++)
		hits[kind] -= before[kind];
	printf("fentry %llu, fexit %llu, kprobe %llu of %u calls, xdp %llu of %u packets\n",
	       hits[FENTRY], hits[FEXIT], hits[KPROBE], n, hits[XDP], 2 * n);
	return !(hits[FENTRY] == n && hits[FEXIT] == n && hits[KPROBE] == n && hits[XDP] >= 2 * n);
}
