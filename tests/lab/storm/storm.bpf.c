// SPDX-License-Identifier: GPL-2.0-only
/* One program for each way BPF has to change kernel text; each counts how often it ran. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

enum { FENTRY, FEXIT, KPROBE, XDP, KINDS };

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KINDS);
	__type(key, __u32);
	__type(value, __u64);
} hits SEC(".maps");

/* The process whose system calls count. */
const volatile __u32 worker;

static void count(__u32 kind)
{
	__u64 *n = bpf_map_lookup_elem(&hits, &kind);

	if (n)
		__sync_fetch_and_add(n, 1);
}

static int of_worker(__u32 kind)
{
	if (bpf_get_current_pid_tgid() >> 32 == worker)
		count(kind);
	return 0;
}

SEC("fentry/vfs_read")
int on_entry(void *context)
{
	return of_worker(FENTRY);
}

SEC("fexit/vfs_read")
int on_exit(void *context)
{
	return of_worker(FEXIT);
}

/* Another function: one that a trampoline hangs on already would be probed behind it. */
SEC("kprobe/vfs_write")
int on_probe(void *context)
{
	return of_worker(KPROBE);
}

SEC("xdp")
int on_packet(struct xdp_md *packet)
{
	count(XDP);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
