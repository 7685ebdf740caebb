// SPDX-License-Identifier: LGPL-2.1-or-later
/* cli/vmm_fds.c and cli/vmm_asks.c: what a VMM's command line says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/vmm_asks.h"
#include "cli/vmm_fds.h"

/* Up to three arguments, and the descriptors that they name. */
static const struct {
	const char *args[3];
	unsigned int fds[5]; /* 0 ends them */
} named[] = {
	/* QEMU: qemu-options.hx, docs/system/invocation. */
	{ { "-netdev", "tap,id=n0,fd=27,vhost=on,vhostfd=28" }, { 27, 28 } },
	{ { "-netdev", "tap,id=n0,fds=3:4:5,vhostfds=6" }, { 3, 4, 5, 6 } },
	{ { "-netdev", "af-xdp,ifname=eth0,sock-fds=8:9,queues=2" }, { 8, 9 } },
	{ { "-netdev", "stream,addr.type=fd,addr.str=12" }, { 12 } },
	{ { "-netdev", "dgram,local.type=fd,local.str=13" }, { 13 } },
	{ { "-net", "tap,fd=7" }, { 7 } },
	{ { "-netdev", "{\"type\":\"tap\",\"fd\":\"27\",\"vhostfd\": \"29\",\"id\":\"h\"}" },
	  { 27, 29 } },
	{ { "-netdev", "{\"type\":\"tap\",\"fds\":\"27:28\"}" }, { 27, 28 } },
	{ { "-blockdev", "{\"server\":{\"type\":\"fd\",\"str\":\"11\"}}" }, { 11 } },
	{ { "-object", "{\"qom-type\":\"iommufd\",\"id\":\"i\",\"fd\":\"22\"}" }, { 22 } },
	{ { "-chardev", "socket,id=m,fd=30,server=on,wait=off" }, { 30 } },
	{ { "-add-fd", "fd=3,set=2,opaque=/a" }, { 3 } },
	{ { "--add-fd", "set=2,fd=31" }, { 31 } },
	{ { "-incoming", "fd:14" }, { 14 } },
	{ { "-device", "vhost-vsock-pci,guest-cid=5,vhostfd=33" }, { 33 } },
	{ { "-virtfs", "proxy,sock_fd=15,mount_tag=t" }, { 15 } },
	{ { "-drive", "file=/dev/fd/63,format=raw" }, { 63 } },
	{ { "-kernel", "/proc/self/fd/10" }, { 10 } },
	/* Others'. */
	{ { "--net", "fd=[3,4],mac=52:54:00:11:22:33" }, { 3, 4 } },
	{ { "--api-socket", "fd=5" }, { 5 } },
	{ { "--tap-fd", "16" }, { 16 } },
	{ { "--tap-fd=16" }, { 16 } },
	{ { "fd=65535" }, { 65535 } },
	/* None. */
	{ { "-drive", "file=/dev/fdset/2" }, { 0 } },
	{ { "-device", "vfio-pci,fd=dev0" }, { 0 } },
	{ { "-device", "vfio-pci,fd=3com" }, { 0 } },
	{ { "-chardev", "socket,fd=monitor" }, { 0 } },
	{ { "-m", "4096" }, { 0 } },
	{ { "-netdev", "tap,fd=,ifname=7" }, { 0 } },
	{ { "fd=0", "fd=1", "fds=2:0" }, { 0 } },
	{ { "fd=65536", "fd=99999999999999999999", "fd=18446744073709551619" }, { 0 } },
	{ { "fd=-4", "fd=+4", "fd=0x9" }, { 0 } },
	{ { "fd", "7" }, { 0 } },
	{ { "--tap-fd" }, { 0 } },
	{ { "-fd=", "7" }, { 0 } },
	{ { "offd 9", "fdx=9", "/dev/fd" }, { 0 } },
	{ { "" }, { 0 } },
};

static void descriptors(void **state)
{
	for (size_t i = 0; i < sizeof(named) / sizeof(named[0]); i++) {
		char *const args[] = { (char *)named[i].args[0], (char *)named[i].args[1],
				       named[i].args[1] ? (char *)named[i].args[2] : NULL, NULL };
		struct rf_fd_set got = { 0 }, want = { 0 };

		for (size_t n = 0; named[i].fds[n]; n++)
			rf_fd_add(&want, named[i].fds[n]);
		rf_vmm_fds(args, &got);
		if (memcmp(&got, &want, sizeof(got)))
			fail_msg("%s %s", args[0], args[1] ? args[1] : "");
	}
}

static void sets(void **state)
{
	struct rf_fd_set s = { 0 };

	rf_fd_add(&s, 63);
	rf_fd_add(&s, 64);
	rf_fd_add(&s, RF_FD_MAX - 1);
	assert_true(rf_fd_in(&s, 63) && rf_fd_in(&s, 64) && rf_fd_in(&s, RF_FD_MAX - 1));
	assert_false(rf_fd_in(&s, 62) || rf_fd_in(&s, 65) || rf_fd_in(&s, RF_FD_MAX));
	rf_fd_remove(&s, 64);
	assert_true(rf_fd_in(&s, 63) && !rf_fd_in(&s, 64));
}

#define LIBVIRT "-S", "-no-user-config", "-nodefaults", "-nographic"

static const struct {
	enum rf_vmm_asks asks;
	const char *args[14];
} lines[] = {
	{ RF_VMM_HELP, { "--version" } },
	{ RF_VMM_HELP, { "-version" } },
	{ RF_VMM_HELP, { "-h" } },
	{ RF_VMM_HELP, { "--help", "more" } },
	{ RF_VMM_HELP, { "-machine", "help" } },
	{ RF_VMM_HELP, { "-M", "?" } },
	{ RF_VMM_HELP, { "-accel", "kvm", "-cpu", "help" } },
	{ RF_VMM_HELP, { "-M", "q35", "-device", "virtio-net-pci,help" } },
	{ RF_VMM_HELP, { "--object", "help" } },
	/* libvirt, qemuProcessQMPInit() in src/qemu/qemu_process.c. */
	{ RF_VMM_PROBE,
	  { LIBVIRT, "-machine", "none,accel=kvm:tcg", "-qmp", "unix:/m,server=on,wait=off",
	    "-pidfile", "/p", "-daemonize" } },
	{ RF_VMM_PROBE,
	  { LIBVIRT, "-machine", "none,accel=tcg", "-qmp", "unix:/m,server,nowait", "-pidfile",
	    "/p", "-daemonize" } },
	{ RF_VMM_PROBE, { "-M", "none", "-accel", "kvm", "-qmp", "stdio", "-display", "none" } },
	/* It has a processor, or may get one, or something that it could run. */
	{ RF_VMM_GUEST, { "-machine", "none", "-cpu", "host" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-m", "64", "-device", "loader,file=/x" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-readconfig", "/x" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-preconfig" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-machine", "pc" } },
	{ RF_VMM_GUEST, { "-machine", "pc", "-machine", "none" } },
	{ RF_VMM_GUEST, { "-machine", "none,type=pc" } },
	{ RF_VMM_GUEST, { "-machine", "none,accel=kvm,type=pc" } },
	{ RF_VMM_GUEST, { "-machine", "none,accel=kvm,firmware=/x" } },
	{ RF_VMM_GUEST, { "-machine", "nonesuch" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-incoming", "defer" } },
	{ RF_VMM_GUEST, { "-machine", "none", "disk.img" } },
	{ RF_VMM_GUEST, { "-machine", "none", "-qmp" } },
	{ RF_VMM_GUEST, { LIBVIRT, "-daemonize" } },
	{ RF_VMM_GUEST, { "-qmp", "-machine", "none" } },
	/* A program before it. */
	{ RF_VMM_GUEST, { "-u", "LD_PRELOAD", "qemu", "-machine", "none" } },
	{ RF_VMM_GUEST, { "-S", "qemu -accel tcg", "-machine", "none" } },
	{ RF_VMM_GUEST, { "-Sqemu -accel tcg", "-machine", "none" } },
	/* Guests. */
	{ RF_VMM_GUEST, { NULL } },
	{ RF_VMM_GUEST, { "-daemonize" } },
	{ RF_VMM_GUEST, { "-name", "help" } },
	{ RF_VMM_GUEST, { "-append", "-h" } },
	{ RF_VMM_GUEST, { "-append", "help", "-cpu", "host" } },
	{ RF_VMM_GUEST, { "-cpu", "host,helpful" } },
	{ RF_VMM_GUEST, { "help" } },
	{ RF_VMM_GUEST, { "-" } },
	{ RF_VMM_GUEST, { "-cpu" } },
	{ RF_VMM_GUEST, { "-device", "virtio-net-pci,help=on" } },
};

static void purposes(void **state)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		if (rf_vmm_asks((char *const *)lines[i].args) != lines[i].asks)
			fail_msg("line %zu: %s %s", i, lines[i].args[0], lines[i].args[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors),
		cmocka_unit_test(sets),
		cmocka_unit_test(purposes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
