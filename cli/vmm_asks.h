/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a VMM is started for, by its command line. Pure. */
#ifndef RF_CLI_VMM_ASKS_H
#define RF_CLI_VMM_ASKS_H

enum rf_vmm_asks {
	RF_VMM_GUEST = 1, /* to run a guest, for all that is not one of the others */
	/* To print something and end: --version, -machine help, -device qxl,help ... */
	RF_VMM_HELP,
	/*
	 * To be asked what it can do, as libvirt does: a machine of the type "none" and nothing
	 * else that would give it a processor or something to run (probing[] has all that it may
	 * be given). QEMU makes such a machine a processor for -cpu alone, which is not among them
	 * (hw/core/null-machine.c), and plugs none in later (hw/core/qdev-hotplug.c).
	 */
	RF_VMM_PROBE,
};

/* args: without the program, NULL-terminated. */
enum rf_vmm_asks rf_vmm_asks(char *const *args);

#endif
