// SPDX-License-Identifier: LGPL-2.1-or-later
/*
 * What the control-register watch needs of a host, one by one, and then whether it works.
 */
#include <errno.h>
#include <limits.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "cli/doctor_host.h"
#include "cli/watch_link.h"
#include "hv/bpf/crwatch.h"

#ifndef CAP_PERFMON /* include/uapi/linux/capability.h, Linux 5.8 */
#define CAP_PERFMON 38
#define CAP_BPF 39
#endif

#define KPROBE_PMU "/sys/bus/event_source/devices/kprobe/type"

static FILE *open_file(const char *path)
{
	char at[PATH_MAX];

	return fopen(rf_host_path(path, at), "re");
}

static bool there(const char *path)
{
	char at[PATH_MAX];

	return !access(rf_host_path(path, at), R_OK);
}

enum rf_facility_state rf_host_btf(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	if (!there("/sys/kernel/btf/vmlinux"))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "no /sys/kernel/btf/vmlinux");
	/* Built in, it is part of vmlinux and no module. */
	if (there("/sys/module/kvm/initstate") && !there("/sys/kernel/btf/kvm"))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "no /sys/kernel/btf/kvm");
	return RF_FACILITY_PRESENT;
}

enum rf_facility_state rf_host_bpf_rights(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	static const struct {
		int bit;
		const char *name;
	} needed[] = { { CAP_SYS_ADMIN, "CAP_SYS_ADMIN" },
		       { CAP_PERFMON, "CAP_PERFMON" },
		       { CAP_BPF, "CAP_BPF" } };
	unsigned long long effective = 0;
	bool found = false;
	char line[256];
	FILE *f = open_file("/proc/self/status");

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "CapEff: %llx", &effective) == 1;
	if (f)
		fclose(f);
	if (!found)
		return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "/proc/self/status does not tell");
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++)
		if (!(effective >> needed[i].bit & 1))
			return rf_host_tell(detail, RF_FACILITY_MISSING, "no %s", needed[i].name);
	return RF_FACILITY_PRESENT;
}

enum rf_facility_state rf_host_kprobes(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	FILE *f = open_file("/proc/sys/kernel/perf_event_paranoid");
	int paranoid = 0;
	bool known = f && fscanf(f, "%d", &paranoid) == 1;

	if (f)
		fclose(f);
	if (!known)
		return rf_host_tell(detail, RF_FACILITY_MISSING,
				    "no kernel.perf_event_paranoid, no perf");
	/* Registered with CONFIG_KPROBE_EVENTS (kernel/events/core.c perf_tp_register()). */
	if (!there(KPROBE_PMU))
		return rf_host_tell(detail, RF_FACILITY_MISSING,
				    "no " KPROBE_PMU ": this kernel has no kprobe events; "
				    "kernel.perf_event_paranoid is %d",
				    paranoid);
	/* CAP_PERFMON is above it (include/linux/perf_event.h perf_allow_kernel()). */
	return rf_host_tell(detail, RF_FACILITY_PRESENT, "kernel.perf_event_paranoid is %d",
			    paranoid);
}

enum rf_facility_state rf_host_cr_symbols(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	static const char *const names[] = { "kvm_set_cr0", "kvm_set_cr4" };
	bool found[2] = { false, false };
	FILE *f = open_file("/proc/kallsyms");
	char line[512], type, name[256];

	if (!f)
		return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "/proc/kallsyms: %s",
				    strerror(errno));
	while (fgets(line, sizeof(line), f))
		if (sscanf(line, "%*x %c %255s", &type, name) == 2 && strchr("Tt", type))
			for (int i = 0; i < 2; i++)
				found[i] |= !strcmp(name, names[i]);
	fclose(f);
	for (int i = 0; i < 2; i++)
		if (!found[i])
			return rf_host_tell(detail, RF_FACILITY_MISSING, "no %s in /proc/kallsyms",
					    names[i]);
	return RF_FACILITY_PRESENT;
}

enum rf_facility_state rf_host_bpffs(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char at[PATH_MAX];
	struct statfs fs;
	struct stat st;

	rf_host_path("/sys/fs/bpf", at);
	if (statfs(at, &fs) || stat(at, &st))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "/sys/fs/bpf: %s",
				    strerror(errno));
	if (fs.f_type != BPF_FS_MAGIC)
		return rf_host_tell(detail, RF_FACILITY_MISSING,
				    "nothing is mounted at /sys/fs/bpf");
	/* Who makes "ringfence" in it before root does keeps the watch away. */
	if (st.st_mode & 022)
		return rf_host_tell(detail, RF_FACILITY_PRESENT,
				    "others than root may take our name in it (mode %04o): "
				    "chmod 0700 /sys/fs/bpf",
				    st.st_mode & 07777);
	return RF_FACILITY_PRESENT;
}

enum rf_facility_state rf_host_pid_namespace(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	return rf_host_tell(
		detail, rf_crwatch_own_namespace() ? RF_FACILITY_MISSING : RF_FACILITY_PRESENT,
		"%s", rf_crwatch_own_namespace() ? "this process runs in another one" : "");
}

enum rf_facility_state rf_host_cr_watch(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char why[RF_CRWATCH_WHY] = "";
	int service, page;
	bool pinned;

	if (kvm->open_error || kvm->version < 0)
		return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "KVM cannot be asked");
	/* Others than root have it of who serves them; asked for a page, and gone again. */
	if (geteuid() && !rf_watch_ask(&service, &page, why)) {
		close(service);
		close(page);
		return rf_host_tell(detail, RF_FACILITY_PRESENT,
				    "by `ringfence watch`, which has tried it");
	}
	if (geteuid())
		return rf_host_tell(detail, RF_FACILITY_MISSING, "%.*s", RF_DETAIL_MAX - 1, why);
	if (rf_crwatch_try(kvm->path, &pinned, why))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "%.*s", RF_DETAIL_MAX - 1, why);
	return rf_host_tell(detail, RF_FACILITY_PRESENT, "tried on a guest: it works; %s",
			    pinned ? "it is loaded" : "the next `ringfence run` as root loads it");
}
