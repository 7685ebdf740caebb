# SPDX-License-Identifier: LGPL-2.1-or-later
"""Part of oracle.py: what the rows of `ringfence check posture` must say of a guest.

By the configuration its kernel was built with, its command line, and what it says of itself: /proc/sys, /proc/cpuinfo, the
list of vulnerabilities, the security modules. A row that nothing here knows is an error: it would be compared with nothing.
"""
import re
from typing import Optional

# Row: one of these options is set.
BUILT_IN = {
    "kernel-rwx": ["STRICT_KERNEL_RWX"], "module-rwx": ["STRICT_MODULE_RWX"], "cfi": ["CFI", "CFI_CLANG"],
    "stack-protector": ["STACKPROTECTOR"], "vmap-stack": ["VMAP_STACK"], "thread-info-in-task": ["THREAD_INFO_IN_TASK"],
    "stack-erased": ["KSTACK_ERASE", "GCC_PLUGIN_STACKLEAK"], "stack-offset": ["RANDOMIZE_KSTACK_OFFSET_DEFAULT"],
    "hardened-usercopy": ["HARDENED_USERCOPY"], "init-on-alloc": ["INIT_ON_ALLOC_DEFAULT_ON"],
    "init-on-free": ["INIT_ON_FREE_DEFAULT_ON"], "slab-freelist-random": ["SLAB_FREELIST_RANDOM"],
    "slab-freelist-hardened": ["SLAB_FREELIST_HARDENED"],
    "kmalloc-random": ["RANDOM_KMALLOC_CACHES", "KMALLOC_PARTITION_CACHES"], "list-hardened": ["LIST_HARDENED", "DEBUG_LIST"],
    "fortify-source": ["FORTIFY_SOURCE"], "kfence": ["KFENCE_SAMPLE_INTERVAL"], "seccomp": ["SECCOMP_FILTER"],
    "randstruct": ["RANDSTRUCT_FULL", "RANDSTRUCT_PERFORMANCE", "GCC_PLUGIN_RANDSTRUCT"],
    "vsyscall": ["LEGACY_VSYSCALL_NONE"], "proc-mem": ["PROC_MEM_FORCE_PTRACE", "PROC_MEM_NO_FORCE"],
    "module-signatures": ["MODULE_SIG_FORCE"], "page-table-check": ["PAGE_TABLE_CHECK_ENFORCED"],
}
# None of these is.
NOT_BUILT_IN = {
    "slab-nomerge": ["SLAB_MERGE_DEFAULT"], "ia32": ["IA32_EMULATION"], "modify-ldt": ["MODIFY_LDT_SYSCALL"],
    "dev-mem": ["DEVMEM"], "kcore": ["PROC_KCORE"], "debugfs": ["DEBUG_FS_ALLOW_ALL"], "hibernation": ["HIBERNATION"],
}
# Nothing on the command lines of the oracle's guests switches these off, or that one on.
ALWAYS = {"no-wx-pages": True, "mitigations": True, "refcount-saturates": True, "pointer-hashing": True, "page-shuffle": False}
# A file of /proc/sys: good from one number to another.
MANY = 1 << 62
SYSCTLS = {
    "kptr-restrict": ("kernel/kptr_restrict", 2, 2), "dmesg-restrict": ("kernel/dmesg_restrict", 1, 1),
    "perf-paranoid": ("kernel/perf_event_paranoid", 3, MANY), "aslr": ("kernel/randomize_va_space", 2, 2),
    "unprivileged-bpf": ("kernel/unprivileged_bpf_disabled", 1, 2), "bpf-jit-harden": ("net/core/bpf_jit_harden", 2, 2),
    "ptrace-scope": ("kernel/yama/ptrace_scope", 3, 3), "userfaultfd": ("vm/unprivileged_userfaultfd", 0, 0),
    "io-uring": ("kernel/io_uring_disabled", 2, 2), "mmap-min-addr": ("vm/mmap_min_addr", 65536, MANY),
    "suid-dumpable": ("fs/suid_dumpable", 0, 0), "protected-symlinks": ("fs/protected_symlinks", 1, 1),
    "protected-hardlinks": ("fs/protected_hardlinks", 1, 1), "protected-fifos": ("fs/protected_fifos", 2, 2),
    "protected-regular": ("fs/protected_regular", 2, 2), "tiocsti": ("dev/tty/legacy_tiocsti", 0, 0),
    "ldisc-autoload": ("dev/tty/ldisc_autoload", 0, 0), "modules-disabled": ("kernel/modules_disabled", 1, 1),
    "kexec-disabled": ("kernel/kexec_load_disabled", 1, 1),
}
FLAGS = {"nx": "nx", "smep": "smep", "smap": "smap", "umip": "umip", "user-shadow-stack": "user_shstk"}
# What no memory says, but a configuration that the kernel carries.
BY_CONFIG = {"stack-init": "INIT_STACK_ALL_ZERO", "registers-zeroed": "ZERO_CALL_USED_REGS"}
# What the list of vulnerabilities calls otherwise, and what it has no row for, or what is within another's.
VULNERABILITIES = {"gather_data_sampling": "gds", "reg_file_data_sampling": "rfds", "spec_rstack_overflow": "srso",
                   "indirect_target_selection": "its", "tsx_async_abort": "taa"}
NO_ROW = {"meltdown", "itlb_multihit", "ghostwrite", "old_microcode", "spectre_v2_user"}


class Truth:
    """Of one guest; config: options that are y, or a number but 0."""

    def __init__(self, config: set[str], arguments: str, console: str) -> None:
        self._config, self._arguments = config, arguments
        self._sysctls = dict(re.findall(r"^SYSCTL (\S+) (-?\d+)\s*$", console, re.M))
        cpu = dict(re.findall(r"^CPU (flags|bugs)\s*:(.*)$", console, re.M))
        self._flags, self._bugs = cpu.get("flags", "").split(), cpu.get("bugs", "").split()
        self._open = {VULNERABILITIES.get(name, name)
                      for name, says in re.findall(r"^VULNERABILITY (\S+) (.*)$", console, re.M)
                      if re.match(r"(Mitigation: )?Vulnerable", says) and name not in NO_ROW}
        if "BHI: Vulnerable" in console:  # within the line of spectre_v2
            self._open.add("bhi")
        self._lockdown = re.search(r"^LOCKDOWN .*\[(\w+)\]", console, re.M)
        self._modules = re.search(r"^LSM (\S+)", console, re.M)

    def _said_nothing(self) -> list[str]:
        has = {"/proc/sys": self._sysctls, "/proc/cpuinfo": self._flags, "lockdown": self._lockdown, "lsm": self._modules}
        return [f"the guest said nothing of {name}" for name, what in has.items() if not what]

    def _sysctl(self, row: dict) -> tuple[Optional[bool], Optional[str]]:
        name, least, most = SYSCTLS[row["name"]]
        if name not in self._sysctls:  # older than that one, and nothing forbids it
            return False, None
        value = self._sysctls[name]
        return least <= int(value) <= most, value if row["found"].lstrip("-").isdigit() else None

    def _namespaces(self) -> bool:
        return (self._sysctls.get("kernel/unprivileged_userns_clone") == "0" or
                self._sysctls.get("user/max_user_namespaces") == "0")

    def _of(self, row: dict, registers: bool) -> tuple[Optional[bool], Optional[str]]:
        """Is it good? None: it is unknown. And the text that must be found, if one is known. KeyError: nobody knows."""
        name = row["name"]
        if name in BUILT_IN:
            return bool(self._config & set(BUILT_IN[name])), None
        if name in NOT_BUILT_IN:
            return not self._config & set(NOT_BUILT_IN[name]), None
        if name in SYSCTLS:
            return self._sysctl(row)
        if name in FLAGS:
            return FLAGS[name] in self._flags, None
        if name in BY_CONFIG:
            return (BY_CONFIG[name] in self._config if "IKCONFIG" in self._config else None), None
        others = {
            "write-protect": (True if registers else None, None),
            "kaslr": ("nokaslr" not in self._arguments, None), "kaslr-memory": ("nokaslr" not in self._arguments, None),
            "pti": ("pti" in self._flags or "cpu_meltdown" not in self._bugs, None),
            "ibt": ("X86_KERNEL_IBT" in self._config and "ibt" in self._flags, None),
            "lockdown": (self._lockdown.group(1) == "confidentiality", self._lockdown.group(1)),
            "landlock": ("landlock" in self._modules.group(1).split(","), None),
            "user-namespaces": (self._namespaces(), None),
            "panic-on-oops": (self._sysctls["kernel/panic_on_oops"] != "0" or self._sysctls.get("kernel/oops_limit") == "1",
                              None),
            "vulnerabilities": (not self._open, row["found"] if self._opened(row) else "others"),
        }
        return others[name] if name in others else (ALWAYS[name], None)

    def _opened(self, row: dict) -> bool:
        found = set(row["found"].split(", "))
        return found == self._open or (not self._open and row["found"].startswith("none of "))

    def wrong(self, rows: list[dict], registers: bool) -> list[str]:
        """What differs, in words."""
        wrong = self._said_nothing()
        if wrong or len(rows) < 60:
            return wrong or [f"{len(rows)} rows"]
        for row in rows:
            try:
                good, found = self._of(row, registers)
            except KeyError:
                wrong.append(f"{row['name']}: nothing here knows what it must say")
                continue
            state = "unknown" if good is None else "good" if good else "weak"
            if row["state"] != state or found not in (None, row["found"]):
                wrong.append(f"{row['name']} is {row['state']} ({row['found']}, {row['by'] or row['unknown']}), not {state}"
                             + (f" ({found})" if found else "") + f"; open: {', '.join(sorted(self._open))}"
                             * (row["name"] == "vulnerabilities"))
            if registers and row["name"] in ("smep", "smap", "umip") and row["by"] != "CR4":
                wrong.append(f"{row['name']} by {row['by']}, and there are registers")
        return wrong
