/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Puts a door (hv/door.h) on this process: a seccomp filter, which every process that comes of it
 * by fork and exec has too, whatever becomes of its environment, and which nobody takes off again.
 * For `run` and `doctor`; the fence never sees it.
 *
 * Calls of other architectures (i386, x32) end the process: no fence is there for them.
 *
 * A filter needs CAP_SYS_ADMIN in the process's user namespace, or that the process and its
 * children never gain privilege by an exec (seccomp(2)). Where it lacks the one it takes the other:
 * a set-user-id program that the VMM starts, as qemu-bridge-helper is, then runs without privilege.
 */
#ifndef RF_HV_DOORKEEPER_H
#define RF_HV_DOORKEEPER_H

enum rf_door {
	/*
	 * Without the word KVM_CREATE_VM fails with EPERM, and so does making executable memory:
	 * anonymous, shared (of a memfd, too) or of System V, and memory that is made executable.
	 * Programs and libraries are mapped privately from their files, and go on (glibc,
	 * elf/dl-map-segments.h). A library that wants its text relocated or an executable stack is
	 * not loaded, as the dynamic linker calls mprotect(2) itself (elf/dl-reloc.c,
	 * sysdeps/unix/sysv/linux/dl-execstack.c), and QEMU has none.
	 */
	RF_DOOR_CLOSED = 1,
	/* KVM_RUN fails with EPERM, so that KVM can be asked what it offers, and runs no guest. */
	RF_DOOR_ASKING,
};

/* 0 or -errno; then nothing has changed but, perhaps, that exec gains no privilege. */
int rf_door_shut(enum rf_door door);

/* Shuts the first one in a child, and tries it there. 0; -EPROTO: it lets through what it should
 * not, or the other way round; -errno: there can be none. */
int rf_door_try(void);

#endif
