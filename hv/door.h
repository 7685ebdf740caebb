/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The door: a filter of system calls that `ringfence run` puts on the VMM before its exec
 * (hv/doorkeeper.h). Who makes a VM, or memory that can be executed, must say this word in a
 * register that the kernel does not look at: the fourth argument of ioctl(2) and mprotect(2). The
 * fence says it, no stock VMM does; so one that has lost the fence, in whatever way, runs nothing.
 * It is not a secret: a program that was made to say it is trusted, as the VMM's program is.
 *
 * No address has this form (bits 63 to 47 differ), so none that is left in a register passes for
 * it.
 */
#ifndef RF_HV_DOOR_H
#define RF_HV_DOOR_H

#define RF_DOOR_WORD 0x9e6b52f1c7d43a85UL

#endif
