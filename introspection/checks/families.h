/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Every check there is: rf_check_NAME stands in the file of its family. */
#ifndef RF_INTROSPECTION_CHECKS_FAMILIES_H
#define RF_INTROSPECTION_CHECKS_FAMILIES_H

#include "introspection/checks/check.h"

#define RF_CHECKS_OF_CALLS(row) row(syscalls) row(softirqs) row(sysrq)
#define RF_CHECKS_OF_DESCRIPTORS(row) row(idt) row(gdt)
#define RF_CHECKS_OF_TASKS(row) row(tasks_hidden) row(creds_shared) row(kthreads)
#define RF_CHECKS_OF_MODULES(row) row(modules_hidden) row(taint_cleared) row(code_of_nobody)
#define RF_CHECKS_OF_LSM(row) row(lsm_hooks)
#define RF_CHECKS_OF_HOOKS(row)                                                                    \
	row(hooks_ftrace) row(hooks_fprobes) row(hooks_kprobes) row(hooks_tracepoints)             \
		row(hooks_static_calls) row(hooks_livepatches) row(hooks_unlisted)
#define RF_CHECKS_OF_BPF(row) row(bpf_programs) row(bpf_hidden)
#define RF_CHECKS_OF_DEFERRED(row)                                                                 \
	row(timers) row(work_items) row(tasklets) row(cpu_hotplug) row(interrupt_actions)
#define RF_CHECKS_OF_NET(row)                                                                      \
	row(netfilter) row(packet_handlers) row(protocols) row(socket_families) row(net_devices)   \
		row(net_registrations) row(netlink) row(net_kinds) row(sockets)
#define RF_CHECKS_OF_NOTIFIERS(row) row(notifiers) row(keyboard)
#define RF_CHECKS_OF_FILES(row) row(filesystems) row(superblocks) row(inodes) row(proc_entries)
#define RF_CHECKS_OF_PROGRAMS(row) row(setuid_programs) row(kernel_started)
#define RF_CHECKS_OF_DEVICES(row)                                                                  \
	row(tty_drivers) row(line_disciplines) row(misc_devices) row(input_handlers) row(consoles)
#define RF_CHECKS_OF_KERNEL(row)                                                                   \
	row(binary_formats) row(key_types) row(crypto_algorithms) row(clocks) row(log_dumpers)     \
		row(control_groups) row(suspend) row(shrinkers) row(vdso)
#define RF_CHECKS_OF_SETTINGS(row) row(helper_paths) row(settings_lowered)

#define RF_CHECKS(row)                                                                             \
	RF_CHECKS_OF_CALLS(row)                                                                    \
	RF_CHECKS_OF_DESCRIPTORS(row)                                                              \
	RF_CHECKS_OF_TASKS(row)                                                                    \
	RF_CHECKS_OF_MODULES(row)                                                                  \
	RF_CHECKS_OF_LSM(row)                                                                      \
	RF_CHECKS_OF_HOOKS(row)                                                                    \
	RF_CHECKS_OF_BPF(row)                                                                      \
	RF_CHECKS_OF_DEFERRED(row)                                                                 \
	RF_CHECKS_OF_NET(row)                                                                      \
	RF_CHECKS_OF_NOTIFIERS(row)                                                                \
	RF_CHECKS_OF_FILES(row)                                                                    \
	RF_CHECKS_OF_PROGRAMS(row)                                                                 \
	RF_CHECKS_OF_DEVICES(row)                                                                  \
	RF_CHECKS_OF_KERNEL(row)                                                                   \
	RF_CHECKS_OF_SETTINGS(row)

#define RF_DECLARE_CHECK(name) extern const struct rf_check rf_check_##name;
RF_CHECKS(RF_DECLARE_CHECK)

#endif
