// SPDX-License-Identifier: LGPL-2.1-or-later
#include "cli/doctor_host.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/paths.h"
#include "cli/user.h"
#include "hv/doorkeeper.h"

#define LOAD_MS 5000

enum rf_facility_state rf_host_tell(char detail[RF_DETAIL_MAX], enum rf_facility_state state,
				    const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(detail, RF_DETAIL_MAX, fmt, args);
	va_end(args);
	return state;
}

const char *rf_host_path(const char *path, char out[PATH_MAX])
{
	const char *root = secure_getenv("RINGFENCE_HOST_ROOT");

	snprintf(out, PATH_MAX, "%s%s", root ? root : "", path);
	return out;
}

/* First line of a small file; 0 or -errno. */
static int read_word(const char *path, char *out, size_t size)
{
	char at[PATH_MAX];
	int fd = open(rf_host_path(path, at), O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, out, size - 1);
	close(fd);
	if (n <= 0)
		return -EIO;
	out[n] = '\0';
	out[strcspn(out, "\n")] = '\0';
	return 0;
}

enum rf_facility_state rf_host_kvm_device(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	if (!kvm->open_error)
		return RF_FACILITY_PRESENT;
	return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", strerror(-kvm->open_error));
}

enum rf_facility_state rf_host_kvm_version(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	if (kvm->open_error)
		return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "the device cannot be opened");
	if (kvm->version < 0)
		return rf_host_tell(detail, RF_FACILITY_MISSING, "the device is not KVM");
	return rf_host_tell(detail, kvm->version == 12 ? RF_FACILITY_PRESENT : RF_FACILITY_MISSING,
			    "version %d", kvm->version);
}

enum rf_facility_state rf_host_kvm_create(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	if (kvm->open_error || kvm->version < 0)
		return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "KVM cannot be asked");
	if (!kvm->create_error)
		return RF_FACILITY_PRESENT;
	return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", strerror(-kvm->create_error));
}

enum rf_facility_state rf_host_paging(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	static const char *const files[] = { "/sys/module/kvm_intel/parameters/ept",
					     "/sys/module/kvm_amd/parameters/npt" };
	char word[16];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		if (!read_word(files[i], word, sizeof(word)))
			return rf_host_tell(detail,
					    word[0] == 'Y' || word[0] == '1' ? RF_FACILITY_PRESENT
									     : RF_FACILITY_MISSING,
					    "%s: %s", files[i], word);
	return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "neither kvm_intel nor kvm_amd tells");
}

/*
 * Where the CPU has virtual VMLOAD and VMSAVE, kvm_amd leaves both to it: arch/x86/kvm/svm/svm.c
 * init_vmcb_after_set_cpuid(). svm_hardware_setup() clears the parameter where it has not.
 */
enum rf_facility_state rf_host_vmload(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	static const char amd[] = "/sys/module/kvm_amd/parameters/vls";
	char word[16];

	if (!read_word(amd, word, sizeof(word)))
		return rf_host_tell(detail,
				    word[0] == 'N' || word[0] == '0' ? RF_FACILITY_PRESENT
								     : RF_FACILITY_MISSING,
				    "%s: %s", amd, word);
	if (!read_word("/sys/module/kvm_intel/parameters/ept", word, sizeof(word)))
		return rf_host_tell(detail, RF_FACILITY_PRESENT, "kvm_intel: there is no vmload");
	return rf_host_tell(detail, RF_FACILITY_UNKNOWN, "neither kvm_intel nor kvm_amd tells");
}

/*
 * A process may open its own whatever Yama's ptrace_scope says; the fence opens the VMM's and hands
 * it to the monitor.
 */
enum rf_facility_state rf_host_memory(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return rf_host_tell(detail, RF_FACILITY_MISSING, "/proc/self/mem: %s",
				    strerror(errno));
	close(fd);
	return RF_FACILITY_PRESENT;
}

enum rf_facility_state rf_host_monitor_user(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char why[RF_USER_WHY];
	struct rf_user u;

	if (rf_user_of_monitor(&u, why))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", why);
	return rf_host_tell(
		detail, RF_FACILITY_PRESENT,
		u.named ? "tried: ringfence, user %u"
			: "tried: an id of each VM's own, as %u; no user is named ringfence",
		u.uid);
}

enum rf_facility_state rf_host_memfd(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	int fd = memfd_create("ringfence-doctor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int err = fd < 0 || fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) < 0 ? errno : 0;

	if (fd >= 0)
		close(fd);
	if (!err)
		return RF_FACILITY_PRESENT;
	return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", strerror(err));
}

enum rf_facility_state rf_host_seccomp(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	unsigned int action = SECCOMP_RET_KILL_PROCESS;
	int err =
		syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) ? -errno : rf_door_try();

	if (!err)
		return RF_FACILITY_PRESENT;
	return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", strerror(-err));
}

enum rf_facility_state rf_host_huge_pages(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char word[64];
	int err = read_word("/sys/kernel/mm/transparent_hugepage/enabled", word, sizeof(word));

	if (err)
		return rf_host_tell(detail, RF_FACILITY_MISSING, "transparent huge pages: %s",
				    strerror(-err));
	return rf_host_tell(detail,
			    strstr(word, "[never]") ? RF_FACILITY_MISSING : RF_FACILITY_PRESENT,
			    "%s", word);
}

/* In a child, as a library that cannot be trusted to load may do anything. The reason goes through
 * the pipe. */
static int try_load(const char *path, char *why, size_t size)
{
	struct pollfd p;
	int ends[2], status;
	ssize_t n = 0;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		close(ends[0]);
		close(ends[1]);
		return -EAGAIN;
	}
	if (!pid) {
		const char *text = dlopen(path, RTLD_NOW | RTLD_LOCAL) ? "" : dlerror();

		_exit(write(ends[1], text, strlen(text)) < 0 || *text);
	}
	close(ends[1]);
	p = (struct pollfd){ .fd = ends[0], .events = POLLIN };
	if (poll(&p, 1, LOAD_MS) > 0)
		n = read(ends[0], why, size - 1);
	else
		kill(pid, SIGKILL);
	close(ends[0]);
	why[n > 0 ? n : 0] = '\0';
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -ELIBBAD;
}

enum rf_facility_state rf_host_library(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char path[PATH_MAX], why[RF_DETAIL_MAX];
	int err = rf_find_library(path);

	if (err)
		return rf_host_tell(detail, RF_FACILITY_MISSING, "%s", strerror(-err));
	if (try_load(path, why, sizeof(why)))
		return rf_host_tell(detail, RF_FACILITY_MISSING, "does not load: %s", why);
	return rf_host_tell(detail, RF_FACILITY_PRESENT, "%s", path);
}

enum rf_facility_state rf_host_monitor(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char path[PATH_MAX];
	int err = rf_find_monitor(path);

	return rf_host_tell(detail, err ? RF_FACILITY_MISSING : RF_FACILITY_PRESENT, "%s",
			    err ? strerror(-err) : path);
}

enum rf_facility_state rf_host_qemu(const struct rf_probe *kvm, char detail[RF_DETAIL_MAX])
{
	char path[PATH_MAX];
	int err = rf_find_program("qemu-system-x86_64", path);

	return rf_host_tell(detail, err ? RF_FACILITY_MISSING : RF_FACILITY_PRESENT, "%s",
			    err ? strerror(-err) : path);
}
