/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The fence's public interface, for a VMM that links it instead of having it preloaded
 * (<ringfence/fence.h>, `pkg-config ringfence`).
 *
 * A VMM replaces each ioctl() it makes on /dev/kvm, VM and vCPU file descriptors by
 * rf_fence_ioctl(); nothing else changes. The preloaded form (hv/interpose.c) does just that for
 * every ioctl() of the process.
 *
 * Protection is asked for by RINGFENCE_LINK in the environment (the number of the descriptor by
 * which `ringfence run` hands over its monitors, hv/channel.h) or by rf_fence_request(). Not asked
 * for, every call passes to the kernel as it is. Asked for and not possible, KVM_CREATE_VM fails
 * with EPERM and the reason stands on stderr: a VMM never runs unprotected by accident. Once
 * protected, the VMM is ended when `run` is gone. Thread-safe. One protected VM in a process's
 * life: a second KVM_CREATE_VM fails the same way, also when the first VM is closed.
 */
#ifndef RF_HV_FENCE_H
#define RF_HV_FENCE_H

/* Same result and errno as ioctl(fd, request, arg). */
int rf_fence_ioctl(int fd, unsigned long request, void *arg);

/* Asks for protection through the monitors that come by this descriptor. */
void rf_fence_request(int link_fd);

/*
 * 1 while protection is asked for and no protected VM exists yet. A VMM has no business making
 * executable memory then: an emulator that wants to run the guest without KVM does (see
 * interpose.c).
 */
int rf_fence_waiting(void);

#endif
