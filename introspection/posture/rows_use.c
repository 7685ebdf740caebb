// SPDX-License-Identifier: LGPL-2.1-or-later
/* What programs, and users without privileges, may ask of the kernel. */
#include <stddef.h>

#include "introspection/posture/impl.h"

static const struct rf_word allowed[] = { { NULL, 0, "not allowed" },
					  { NULL, 1, "allowed" },
					  { 0 } };
static const struct rf_word forbidden[] = {
	{ NULL, 0, "allowed" }, { NULL, 1, "not allowed" }, { NULL, 2, "not allowed" }, { 0 }
};
/* arch/x86/entry/vsyscall/vsyscall_64.c vsyscall_mode, an enum without a name */
static const struct rf_word vsyscall_modes[] = {
	{ NULL, 0, "emulate" }, { NULL, 1, "xonly" }, { NULL, 2, "none" }, { 0 }
};
/* fs/proc/base.c enum proc_mem_force */
static const struct rf_word proc_mem_modes[] = {
	{ .enumerator = "PROC_MEM_FORCE_ALWAYS", .text = "always" },
	{ .enumerator = "PROC_MEM_FORCE_PTRACE", .text = "by ptrace" },
	{ .enumerator = "PROC_MEM_FORCE_NEVER", .text = "never" },
	{ 0 },
};

/* An int that a sysctl sets. */
#define SYSCTL(variable, test, number)                                                             \
	{                                                                                          \
		rf_read_number, (variable), (test), .value = (number)                              \
	}

const struct rf_posture_row rf_posture_use[] = {
	/* kernel/seccomp.c, of CONFIG_SECCOMP_FILTER */
	{ "seccomp", "built in", "CONFIG_SECCOMP_FILTER",
	  "else a program cannot give up the system calls that it does not need",
	  .readings = { { rf_read_function, "seccomp_filter_release", RF_IS, .value = 1 } } },
	{ "landlock", "active", "CONFIG_SECURITY_LANDLOCK, and landlock in CONFIG_LSM",
	  "else a program without privileges cannot shut itself in",
	  .readings = { { rf_read_lsm, "landlock", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN } } },
	/* lib/vsprintf.c, for this one and the next */
	{ "kptr-restrict", "2", "sysctl kernel.kptr_restrict = 2",
	  "else files of /proc tell where the kernel lies",
	  .readings = { SYSCTL("kptr_restrict", RF_IS, 2) } },
	{ "pointer-hashing", "on", "boot: no no_hash_pointers",
	  "else each message of the kernel's tells addresses",
	  .readings = { { rf_read_number, "no_hash_pointers", RF_IS, 0, .absent = RF_ABSENT_UNKNOWN,
			  .size = 1, .words = rf_posture_off_on } } },
	/* kernel/printk/printk.c; without CONFIG_PRINTK nothing is printed */
	{ "dmesg-restrict", "1", "CONFIG_SECURITY_DMESG_RESTRICT; sysctl kernel.dmesg_restrict = 1",
	  "else everybody reads the kernel's messages, addresses among them",
	  .readings = { { rf_read_number, "dmesg_restrict", RF_IS, 1, .absent = RF_ABSENT_GOOD,
			  .also = "vprintk_emit|devkmsg_read" } } },
	/* kernel/events/core.c; 3 is a patch of Debian's and Android's, and 2 elsewhere */
	{ "perf-paranoid", "3", "sysctl kernel.perf_event_paranoid = 3",
	  "else everybody measures what runs, and uses a large part of the kernel",
	  .readings = { { rf_read_number, "sysctl_perf_event_paranoid", RF_AT_LEAST, 3,
			  .absent = RF_ABSENT_GOOD,
			  .also = "perf_event_create_kernel_counter" } } },
	/* kernel/bpf/syscall.c: 1 for good, 2 until root changes it */
	{ "unprivileged-bpf", "not allowed",
	  "CONFIG_BPF_UNPRIV_DEFAULT_OFF; sysctl kernel.unprivileged_bpf_disabled = 1",
	  "else everybody brings code into the kernel, checked by a verifier that had bugs",
	  .readings = { { rf_read_number, "sysctl_unprivileged_bpf_disabled", RF_AT_LEAST, 1,
			  .absent = RF_ABSENT_GOOD, .also = "bpf_map_new_fd|bpf_prog_new_fd",
			  .words = forbidden } } },
	/* kernel/bpf/core.c; without CONFIG_BPF_JIT it has bpf_int_jit_compile() all the same */
	{ "bpf-jit-harden", "2", "sysctl net.core.bpf_jit_harden = 2",
	  "else constants of a BPF program become code of an attacker's",
	  .readings = { { rf_read_number, "bpf_jit_harden", RF_IS, 2, .absent = RF_ABSENT_GOOD,
			  .also = "bpf_jit_binary_alloc|bpf_jit_get_func_addr" } } },
	/* security/yama/yama_lsm.c: what it says counts where the module is active */
	{ "ptrace-scope", "3", "CONFIG_SECURITY_YAMA; sysctl kernel.yama.ptrace_scope = 3",
	  "else one program of a user's takes over the others", .combine = RF_ALL,
	  .readings = { { rf_read_number, "ptrace_scope", RF_AT_LEAST, .value = 3 },
			{ rf_read_lsm, "yama", RF_IS, 1, .absent = RF_ABSENT_UNKNOWN } } },
	/* fs/userfaultfd.c */
	{ "userfaultfd", "not allowed", "sysctl vm.unprivileged_userfaultfd = 0",
	  "else everybody stops the kernel in the middle of a copy, for as long as it takes",
	  .readings = { { rf_read_number, "sysctl_unprivileged_userfaultfd", RF_IS, 0,
			  .absent = RF_ABSENT_GOOD, .also = "handle_userfault|dup_userfaultfd",
			  .words = allowed } } },
	/* io_uring/io_uring.c since 6.6; before it cannot be forbidden. io_uring/tctx.c */
	{ "io-uring", "2", "CONFIG_IO_URING not set; sysctl kernel.io_uring_disabled = 2",
	  "else everybody uses a large and young part of the kernel",
	  .readings = { { rf_read_number, "sysctl_io_uring_disabled", RF_AT_LEAST, 2,
			  .absent = RF_ABSENT_PASS },
			{ rf_read_function, "__io_uring_free", RF_IS, 0,
			  .also = "io_uring_setup|io_submit_sqes|io_uring_fops" } } },
	/* kernel/fork.c of Debian's; kernel/ucount.c: the first of enum ucount_type */
	{ "user-namespaces", "not allowed",
	  "sysctl user.max_user_namespaces = 0, or kernel.unprivileged_userns_clone = 0",
	  "else everybody is root in a namespace, before code that trusted root", .combine = RF_ANY,
	  .readings = { { rf_read_number, "unprivileged_userns_clone", RF_IS, 0,
			  .absent = RF_ABSENT_PASS, .words = allowed },
			{ rf_read_number, "init_user_ns", RF_IS, 0, .absent = RF_ABSENT_UNKNOWN,
			  .size = 8, .type = "user_namespace", .path = "ucount_max" } } },
	/* mm/memory.c */
	{ "aslr", "2", "sysctl kernel.randomize_va_space = 2",
	  "else an attacker knows the addresses of a program",
	  .readings = { SYSCTL("randomize_va_space", RF_IS, 2) } },
	/* security/min_addr.c */
	{ "mmap-min-addr", "65536 or more",
	  "CONFIG_DEFAULT_MMAP_MIN_ADDR=65536; sysctl vm.mmap_min_addr = 65536",
	  "else a program puts data where the kernel's NULL pointers lead",
	  .readings = { { rf_read_number, "mmap_min_addr", RF_AT_LEAST, 65536, .size = 8 } } },
	/* fs/exec.c */
	{ "suid-dumpable", "0", "sysctl fs.suid_dumpable = 0",
	  "else programs with privileges leave their memory behind in a file",
	  .readings = { SYSCTL("suid_dumpable", RF_IS, 0) } },
	/* fs/namei.c, for this one and the next three */
	{ "protected-symlinks", "1", "sysctl fs.protected_symlinks = 1",
	  "else a link in /tmp leads others to a file of their own",
	  .readings = { SYSCTL("sysctl_protected_symlinks", RF_IS, 1) } },
	{ "protected-hardlinks", "1", "sysctl fs.protected_hardlinks = 1",
	  "else a user keeps an old program with privileges under another name",
	  .readings = { SYSCTL("sysctl_protected_hardlinks", RF_IS, 1) } },
	{ "protected-fifos", "2", "sysctl fs.protected_fifos = 2",
	  "else a pipe in /tmp takes what others meant for a file",
	  .readings = { SYSCTL("sysctl_protected_fifos", RF_IS, 2) } },
	{ "protected-regular", "2", "sysctl fs.protected_regular = 2",
	  "else a file in /tmp takes what others meant for their own",
	  .readings = { SYSCTL("sysctl_protected_regular", RF_IS, 2) } },
	/* drivers/tty/tty_io.c, since 6.2; before it cannot be forbidden */
	{ "tiocsti", "not allowed",
	  "CONFIG_LEGACY_TIOCSTI not set; sysctl dev.tty.legacy_tiocsti = 0",
	  "else a program types commands into the terminal that it was started from",
	  .readings = { { rf_read_number, "tty_legacy_tiocsti", RF_IS, 0,
			  .missing = "cannot be forbidden", .size = 1, .words = allowed } } },
	/* drivers/tty/tty_ldisc.c */
	{ "ldisc-autoload", "0", "CONFIG_LDISC_AUTOLOAD not set; sysctl dev.tty.ldisc_autoload = 0",
	  "else everybody loads old drivers of terminals",
	  .readings = { SYSCTL("tty_ldisc_autoload", RF_IS, 0) } },
	{ "vsyscall", "none", "CONFIG_LEGACY_VSYSCALL_NONE; boot: vsyscall=none",
	  "else each program has code at an address that never changes",
	  .readings = { { rf_read_number, "vsyscall_mode", RF_IS, 2, .absent = RF_ABSENT_GOOD,
			  .also = "map_vsyscall|get_gate_vma", .words = vsyscall_modes } } },
	/* arch/x86/entry/common.c since 6.7; arch/x86/entry/entry_64_compat.S */
	{ "ia32", "off", "CONFIG_IA32_EMULATION not set; boot: ia32_emulation=0",
	  "a second table of system calls, which few use, is open to everybody",
	  .readings = { { rf_read_number, "__ia32_enabled", RF_IS, 0, .absent = RF_ABSENT_PASS,
			  .size = 1, .words = rf_posture_on_off },
			{ rf_read_function, "entry_SYSENTER_compat", RF_IS, 0,
			  .also = "do_fast_syscall_32|ia32_setup_frame" } } },
	/* arch/x86/kernel/ldt.c is not built without it */
	{ "modify-ldt", "not built in", "CONFIG_MODIFY_LDT_SYSCALL not set",
	  "else everybody has the processor load descriptors of his own",
	  .readings = { { rf_read_function, "ldt_dup_context", RF_IS, 0,
			  .also = "write_ldt|destroy_context_ldt" } } },
	/* fs/proc/base.c; without it each write is forced */
	{ "proc-mem", "not always", "CONFIG_PROC_MEM_NO_FORCE; boot: proc_mem.force_override=never",
	  "else a program writes to read-only memory of its own and of others",
	  .readings = { { rf_read_number, "proc_mem_force_override", RF_IS_NOT,
			  .enumerator = "PROC_MEM_FORCE_ALWAYS", .missing = "cannot be forbidden",
			  .words = proc_mem_modes } } },
	/* drivers/char/mem.c; lockdown forbids LOCKDOWN_DEV_MEM */
	{ "dev-mem", "not built in, or not allowed",
	  "CONFIG_DEVMEM not set; boot: lockdown=integrity",
	  "else root has memory of devices, and of the kernel, as a file", .combine = RF_ANY,
	  .readings = { { rf_read_symbol, "mem_fops", RF_IS, 0,
			  .also = "read_mem|write_mem|mmap_mem" },
			RF_BY_LOCKDOWN("LOCKDOWN_DEV_MEM") } },
	/* fs/proc/kcore.c; LOCKDOWN_KCORE */
	{ "kcore", "not built in, or not allowed",
	  "CONFIG_PROC_KCORE not set; boot: lockdown=confidentiality",
	  "else root reads all of the kernel's memory as a file", .combine = RF_ANY,
	  .readings = { { rf_read_function, "kclist_add", RF_IS, 0,
			  .also = "open_kcore|read_kcore_iter|read_kcore" },
			RF_BY_LOCKDOWN("LOCKDOWN_KCORE") } },
	/* fs/debugfs/inode.c: DEBUGFS_ALLOW_MOUNT of fs/debugfs/internal.h; a bool in 7.x */
	{ "debugfs", "off, or not to be mounted", "CONFIG_DEBUG_FS not set; boot: debugfs=off",
	  "what developers look into, and change, was never made safe",
	  .readings = { { rf_read_number, "debugfs_allow", RF_IS, 0, .absent = RF_ABSENT_PASS,
			  .mask = 1u << 1 },
			{ rf_read_number, "debugfs_enabled", RF_IS, 0, .absent = RF_ABSENT_GOOD,
			  .also = "debugfs_create_dir|debugfs_create_file", .size = 1,
			  .words = rf_posture_on_off } } },
	{ 0 },
};
