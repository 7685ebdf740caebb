/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The questions to the host behind the rows of the facility table; each as rf_facility.check wants
 * it. */
#ifndef RF_CLI_DOCTOR_HOST_H
#define RF_CLI_DOCTOR_HOST_H

#include <limits.h>

#include "cli/doctor_table.h"

/* Returns state, and what was found in words, cut to RF_DETAIL_MAX bytes. */
__attribute__((format(printf, 3, 4))) enum rf_facility_state
rf_host_tell(char detail[RF_DETAIL_MAX], enum rf_facility_state state, const char *fmt, ...);

/* Where a file of the host's is looked for: below $RINGFENCE_HOST_ROOT where that is set, which is
 * for tests. Returns out. */
const char *rf_host_path(const char *path, char out[PATH_MAX]);

enum rf_facility_state rf_host_kvm_device(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_kvm_version(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_kvm_create(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_paging(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_vmload(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_memory(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_memfd(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_seccomp(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_monitor_user(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_huge_pages(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_library(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_monitor(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_qemu(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
/* doctor_watch.c */
enum rf_facility_state rf_host_btf(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_bpf_rights(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_kprobes(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_cr_symbols(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_bpffs(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_pid_namespace(const struct rf_probe *kvm,
					     char detail[RF_DETAIL_MAX]);
enum rf_facility_state rf_host_cr_watch(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX]);

#endif
