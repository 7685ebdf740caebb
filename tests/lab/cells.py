# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cells of the matrix: what is declared of each, and the job that runs it.

A cell differs from BASE in one value, some in two that are known to be delicate together. To add one: a line in CELLS; a
value that is not there yet is a line in the table of its kind, with what the guest or the host then says of itself, so that a
cell cannot pass for another.
"""
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Callable

import kernels
import vmm
from suite import STUFFING
from trial import Test

OWN = "QEMU 7.2"  # of Debian 12
ATTACKS = {"direct_map": "sys_call_table", "commit_creds": "commit_creds"}  # and the symbol that the record names
MEMORY_MIB = 256


@dataclass(frozen=True)
class Value:
    """What one value of a cell adds to the guest's command. guest and host are regular expressions: what either says of
    itself then.
    """
    arguments: str = ""  # of QEMU
    machine: str = ""  # machine properties
    board: str = ""  # another machine than microvm
    before: str = ""  # commands on the host
    after: str = ""
    guest: str = ""
    host: str = ""
    seconds: int = 0  # that a guest needs more
    files: Callable[[], dict[str, Path]] = field(default=dict)


def _memory(backend: str) -> str:
    return f"-object memory-backend-{backend},id=ram,size={MEMORY_MIB}M"


HALF = MEMORY_MIB // 2
MACHINES = {
    "microvm": Value(guest="efi=0 machine=(?!Standard PC)"),  # what it is called is its firmware's matter
    "its own": Value(),  # of a VMM that has no other
    "pc": Value(board="pc", guest=r"efi=0 machine=Standard PC \(i440FX"),
    "q35": Value(board="q35", guest=r"efi=0 machine=Standard PC \(Q35"),
    # The code is the one for secure boot, which wants SMM; the vars have no keys, so that the kernel takes our module.
    "q35, OVMF, SMM": Value(
        "-global driver=cfi.pflash01,property=secure,value=on -drive if=pflash,format=raw,unit=0,readonly=on,file=code.fd "
        "-drive if=pflash,format=raw,unit=1,snapshot=on,file=vars.fd", "smm=on", "q35",
        guest=r"efi=1 machine=Standard PC \(Q35", seconds=150, files=vmm.firmware)}
MEMORIES = {
    "anonymous": Value(),
    "memfd, shared": Value(_memory("memfd") + ",share=on", "memory-backend=ram"),
    "hugetlb": Value(_memory("memfd") + ",hugetlb=on", "memory-backend=ram", host=rf"HugePages_Total: +{HALF + 2}\b",
                     before=f"echo {HALF + 2} >/proc/sys/vm/nr_hugepages", after="echo 0 >/proc/sys/vm/nr_hugepages"),
    "two NUMA nodes": Value(f"-object memory-backend-ram,id=a,size={HALF}M -object memory-backend-ram,id=b,size={HALF}M "
                            "-numa node,memdev=a,cpus=0 -numa node,memdev=b,cpus=1", guest="nodes=2")}
COMMAND_LINES = {
    "": Value(guest="pti=0"),
    "pti=on": Value(guest="pti=1"),
    "nokaslr": Value(guest="text=ffffffff81000000"),
    "mitigations=off": Value(guest="spectre_v2=Vulnerable"),
    STUFFING: Value(guest="retbleed=Mitigation: Stuffing"),
    "ftrace=function trace_event=sched:sched_switch": Value(guest="tracer=function probes=0", seconds=100),
    # The first offset is an instruction's start where functions begin with a nop alone, the second behind an endbr64.
    "kprobe_event=p:one,vfs_read+5;p:two,vfs_read+9": Value(guest="tracer=nop probes=[12]")}
OPTIONS = {
    "": Value(),
    # KVM then refuses a register of its own that wants its APIC: QEMU 7.2 writes it all the same, and ends.
    "-machine kernel-irqchip=off": Value("-cpu host,kvm-asyncpf-int=off", "kernel-irqchip=off"),
    "-overcommit mem-lock=on": Value("-overcommit mem-lock=on"),
    "-runas": Value("-runas 65534:65534"),
    "-sandbox on": Value("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")}
# Of the host, for good: a cell with such a one is the last of its host.
SETTINGS = {
    "": Value(host="yama=[012]"),
    "Yama 3": Value(before="echo 3 >/proc/sys/kernel/yama/ptrace_scope", host="yama=3")}


@dataclass(frozen=True)
class Cell:
    """One combination. Each value but the kernels, the VMM and the number of vCPUs is a key of a table above."""
    name: str
    host: str = "6.12"
    guest: str = "6.12"
    vmm: str = OWN
    machine: str = "microvm"
    vcpus: int = 1
    cmdline: str = ""
    memory: str = "anonymous"
    options: str = ""
    setting: str = ""
    trace: str = "tracepoint,functions,kprobe"  # what is switched on and off: guest/init
    protected: bool = True

    def values(self) -> list[Value]:
        """All that it is made of."""
        return [MACHINES[self.machine], MEMORIES[self.memory], COMMAND_LINES[self.cmdline], OPTIONS[self.options],
                SETTINGS[self.setting]]

    def steps(self) -> list[str]:
        """What is switched on and off."""
        return self.trace.split(",")


BASE = Cell("base")
CELLS = [
    BASE,
    *(replace(BASE, name=f"smp-{n}", vcpus=n) for n in (2, 4, 8)),
    replace(BASE, name="pc", machine="pc"),
    replace(BASE, name="q35", machine="q35"),
    # The firmware writes CR8. QEMU's emulator has a virtual interrupt raised there without its lock, and asserts that it has it
    # (target/i386/tcg/sysemu/misc_helper.c helper_write_crN()), so that the host ends, whether the guest is protected or not.
    # KVM has each such write exit when the guest's APIC is not its own.
    replace(BASE, name="q35-ovmf-smm", machine="q35, OVMF, SMM", options="-machine kernel-irqchip=off"),
    replace(BASE, name="pti", cmdline="pti=on"),
    replace(BASE, name="nokaslr", cmdline="nokaslr"),
    replace(BASE, name="no-mitigations", cmdline="mitigations=off"),
    replace(BASE, name="stuffing", cmdline=STUFFING),
    replace(BASE, name="boot-tracer", cmdline="ftrace=function trace_event=sched:sched_switch", trace="tracepoint,functions"),
    replace(BASE, name="boot-probes", cmdline="kprobe_event=p:one,vfs_read+5;p:two,vfs_read+9", trace="tracepoint,functions"),
    replace(BASE, name="memfd", memory="memfd, shared"),
    replace(BASE, name="hugetlb", memory="hugetlb"),
    # Which nodes there are stands in a table that a microvm has not; with a CPU each.
    replace(BASE, name="numa", memory="two NUMA nodes", machine="q35", vcpus=2),
    replace(BASE, name="mem-lock", options="-overcommit mem-lock=on"),
    replace(BASE, name="runas", options="-runas"),
    replace(BASE, name="sandbox", options="-sandbox on"),
    replace(BASE, name="yama", setting="Yama 3"),
    *(replace(BASE, name=f"guest-{series}", guest=series)
      for series in ("6.1", "7", *kernels.FLAVOURS, "7-full", "7-rt")),
    *(replace(BASE, name=f"{series}-smp-2", guest=series, vcpus=2) for series in ("6.1-rt", "6.12-rt", "7-rt")),
    # KVM of an rt kernel wants a TSC of constant rate (arch/x86/kvm/x86.c kvm_x86_vendor_init()), which the emulator says of no
    # processor of AMD's: it does not load in there, and the cell fails for that.
    *(replace(BASE, name=f"host-{series}", host=series) for series in ("6.1", "7", "6.12-full", "6.12-rt")),
    replace(BASE, name="host-6.1-guest-7", host="6.1", guest="7"),
    replace(BASE, name="host-7-guest-7", host="7", guest="7"),
    *(replace(BASE, name=name.replace(" ", "-").lower(), vmm=name) for name in vmm.NEWER),
    replace(BASE, name="qemu-11-q35-guest-7", vmm="QEMU 11", machine="q35", guest="7"),
    replace(BASE, name="host-7-qemu-11", vmm="QEMU 11", host="7"),
    replace(BASE, name="kvmtool", vmm=vmm.KVMTOOL, machine="its own")]
SHORT = ("base", "pti")
# Cannot hold: what is expected of a sealed guest is asked of one that nothing protects.
UNPROTECTED = replace(BASE, name="planted-unprotected", protected=False)

# lkvm adds words of its own in front of these; it has no machine to choose.
KVMTOOL = """
l2() {
	l2_kernel=$1 l2_cpus=$2
	limited "${LIMIT:-100}" $WRAP lkvm run --name cell --network mode=none --console serial -c "$l2_cpus" -m %d \\
		-k "$GUEST/$l2_kernel/vmlinuz" -i "$GUEST/$l2_kernel/initrd" \\
		-p "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check reboot=t $(cat "$GUEST/$l2_kernel/arguments") $3"
}
""" % MEMORY_MIB


def _command(cell: Cell) -> str:
    """What boots the cell's guest."""
    values = cell.values()
    board = [value.board for value in values if value.board]
    machine = ",".join(value.machine for value in values if value.machine)
    settings = {"BOARD": "".join(board), "MACHINE": machine, "MEMORY": str(MEMORY_MIB), "LIMIT": str(_limit(cell))}
    words = " ".join(f"{name}={word}" for name, word in settings.items() if word)
    line = f"rf.mode=cell rf.trace={cell.trace} rf.attacks={','.join(ATTACKS)} {cell.cmdline}"
    arguments = " ".join(value.arguments for value in values if value.arguments)
    return f"{words} l2 {cell.guest} {cell.vcpus} '{line}' {arguments}"


def _limit(cell: Cell) -> int:
    """Seconds that one guest needs at most on a machine of the usual speed."""
    return 100 + 25 * (cell.vcpus - 1) + sum(value.seconds for value in cell.values())


def script(cell: Cell) -> str:
    """The unprotected guest, then the protected one; what the host is stands in $OUT/host."""
    own, version = (KVMTOOL, "lkvm version") if cell.vmm == vmm.KVMTOOL else ("", "$QEMU --version | head -n 1")
    values, command = cell.values(), _command(cell)
    after = [value.after for value in values if value.after]
    wrap = "ringfence run --name cell --audit $OUT/audit.jsonl --" if cell.protected else ""
    return "\n".join([
        own, *(value.before for value in values if value.before),
        f"{{ uname -r; echo \"vmm $({version})\"; echo yama=$(cat /proc/sys/kernel/yama/ptrace_scope)",
        "grep HugePages_Total /proc/meminfo; } >$OUT/host",
        f"WRAP= {command} >$OUT/control 2>&1",
        f"WRAP=\"{wrap}\" {command} >$OUT/console 2>$OUT/said",
        *(["how=$?", *after, "(exit $how)"] if after else []), ""])


def test(cell: Cell, verify: Callable[..., None]) -> Test:
    """The cell as the suite's tests are."""
    def files() -> dict[str, bytes]:
        return {name: path.read_bytes() for value in cell.values() for name, path in value.files().items()}
    return Test(cell.name, script(cell), verify, 2 * _limit(cell) + 30, ("control", "console"), files=files, guests=(cell.guest,))


def wanted_of_guest(cell: Cell) -> list[str]:
    """Regular expressions of what the guest says of itself."""
    release = kernels.get(cell.guest).release.replace("+", r"\+")
    return [f"RF: init kernel={release} cpus={cell.vcpus} ", *(value.guest for value in cell.values() if value.guest)]


def wanted_of_host(cell: Cell) -> list[str]:
    """The same of what stands in $OUT/host."""
    number = cell.vmm.split()[-1].replace(".", r"\.")
    version = "vmm kvm tool" if cell.vmm == vmm.KVMTOOL else rf"vmm QEMU emulator version {number}\."
    release = kernels.get(cell.host).release.replace("+", r"\+")
    return [f"^{release}$", version, *(value.host for value in cell.values() if value.host)]
