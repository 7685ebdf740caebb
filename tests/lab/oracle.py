#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does introspection see what the kernel says of itself?

Boots stock kernels on plain emulation (no KVM), lets init print /proc/kallsyms, /proc/modules and its BTF, dumps
memory and compares with tests/lab/oracle.c: each symbol, each member of each named struct (as bpftool reads them), the
loaded modules, the running task. Sensitive instructions are compared with what objdump finds in the same text, and the
descriptor tables and their registers must be recognised. The same memory is dumped in QEMU's formats, and in each the kernel
must be found with no help (tests/lab/locate.c). What the commands say that look at a dump is compared in looks.py. One boot more is stopped in syscall_init(), where ringfence starts in earnest: KASLR
on, everything still writable and executable.

    oracle.py PROGRAM [--short] [SERIES ...]
"""
import argparse
import contextlib
import gzip
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Callable

import kernels
import looks
import posture
from build import Cpio, LabError, locked, out_dir, run

MEMORY = 256 << 20
WINDOW = 0xffffffff80000000
BOOT_SECONDS = 120
# What dump-guest-memory is given beside a path: an ELF core, kdump-compressed ones. (With -p there is only what the page
# tables of the moment map: without the kernel, when a program runs under page-table isolation.)
FORMATS = {"elf": "", "zlib": "-z", "lzo": "-l", "snappy": "-s"}
# The kernel's module qemu_fw_cfg tells this device where its VMCOREINFO is; dump-guest-memory puts that into the dump. drgn needs it.
VMCOREINFO = ("-device", "vmcoreinfo")
TURNS = 8  # that the guest is stopped for a moment in which init runs
# (CPU model, kernel arguments): five levels with page-table isolation, four without and the image at its linked place.
FULL = [("max", "pti=on"), ("qemu64", "nokaslr")]
# A third one for kernels that can count their calls: newer ones do so on this vendor's alone.
COUNTING = ("Skylake-Client", "retbleed=stuff spectre_v2=retpoline pti=on")
INIT = """#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc p /proc; $b mount -t sysfs s /sys; $b mount -t devtmpfs d /dev
for m in /mod/*; do $b insmod $m; done
$b mount -t tracefs t /sys/kernel/tracing
echo TRACEABLE $($b grep -v '\\[' /sys/kernel/tracing/available_filter_functions | $b grep -vc __ftrace_invalid)
$b mount -t securityfs s /sys/kernel/security
for f in $($b find /proc/sys/kernel /proc/sys/fs /proc/sys/vm /proc/sys/user /proc/sys/dev/tty /proc/sys/net/core -type f); do
	case $f in *random/*) ;; *) v=$($b cat $f 2>/dev/null) && echo SYSCTL ${f#/proc/sys/} $v ;; esac
done
$b grep -m 2 -E '^(flags|bugs)' /proc/cpuinfo | $b sed 's/^/CPU /'
for v in /sys/devices/system/cpu/vulnerabilities/*; do echo VULNERABILITY ${v##*/} $($b cat $v); done
echo LOCKDOWN $($b cat /sys/kernel/security/lockdown)
echo LSM $($b cat /sys/kernel/security/lsm)
for t in 1 2; do $b stty -F /dev/ttyS$t raw; done
$b cat /proc/kallsyms | $b gzip -1 -c >/dev/ttyS1
$b gzip -1 -c /sys/kernel/btf/vmlinux >/dev/ttyS2
$b cat /proc/modules
for p in /proc/[0-9]*; do
	while read k v w x; do case $k in Name:) n=$v ;; PPid:) q=$v ;; Uid:) u="$v $w" ;; esac; done <$p/status
	echo TASK ${p#/proc/} $q $u $n
done
echo READY
while :; do :; done
"""


class Stub:
    """QEMU's gdb stub: breakpoints, continue, and monitor commands (gdb manual, appendix E)."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        for _ in range(100):
            with contextlib.suppress(OSError):
                self._socket.connect(str(path))
                break
            time.sleep(0.05)
        self._socket.settimeout(BOOT_SECONDS)
        self._stream = self._socket.makefile("rb")

    def _receive(self) -> str:
        while self._stream.read(1) != b"$":
            pass
        body = bytearray()
        while (byte := self._stream.read(1)) != b"#":
            if not byte:
                raise LabError("the gdb stub hung up")
            body += byte
        self._stream.read(2)
        self._socket.sendall(b"+")
        return body.decode()

    def ask(self, text: str) -> str:
        self._socket.sendall(f"${text}#{sum(text.encode()) & 0xff:02x}".encode())
        return self._receive()

    def detach(self) -> None:
        """The guest goes on."""
        self.ask("D")
        self._stream.close()
        self._socket.close()

    def monitor(self, command: str) -> str:
        said, answer = "", self.ask("qRcmd," + command.encode().hex())
        while answer != "OK":
            if answer.startswith("O"):
                said += bytes.fromhex(answer[1:]).decode()
            elif not answer.startswith("T"):  # that we stopped the guest by connecting
                raise LabError(f"monitor command {command}: {answer}")
            answer = self._receive()
        return said


def until_ready(home: Path, process: "subprocess.Popen[bytes]", series: str) -> str:
    """What its console has said when init says that it is ready."""
    console = home / "console"
    for _ in range(BOOT_SECONDS * 5):
        time.sleep(0.2)
        said = console.read_text(errors="replace") if console.exists() else ""
        if "READY" in said:
            return said
        if process.poll() is not None:
            raise LabError(f"{series}: the guest ended early")
    raise LabError(f"{series}: no guest in user space after {BOOT_SECONDS} s")


@contextlib.contextmanager
def guest(home: Path, vmlinuz: Path, cpu: str, arguments: str, *extra: str):
    """A running guest, gone afterwards whatever happens."""
    for name in ("console", "kallsyms.gz", "btf.gz", "dump", "gdb"):
        (home / name).unlink(missing_ok=True)
    command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", cpu, "-m", str(MEMORY >> 20), "-nodefaults",
               "-display", "none", "-serial", f"file:{home}/console", "-serial", f"file:{home}/kallsyms.gz", "-serial",
               f"file:{home}/btf.gz", "-chardev", f"socket,id=gdb,path={home}/gdb,server=on,wait=off", "-gdb",
               "chardev:gdb", "-kernel", str(vmlinuz), "-initrd", str(home / "initrd"), "-append",
               f"console=ttyS0 quiet panic=-1 {arguments}", *extra]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def page_tables(stub: Stub, home: Path) -> tuple[str, str]:
    """CR3 and CR4 of the first CPU, in hexadecimal."""
    registers = stub.monitor("info registers")
    (home / "registers").write_text(registers)
    return tuple(re.search(rf"{name}=([0-9a-f]+)", registers).group(1) for name in ("CR3", "CR4"))


def snapshot(stub: Stub, home: Path) -> tuple[str, str]:
    """Dump memory; what page_tables() says."""
    # Unquoted, the path's first slash would divide the size.
    said = stub.monitor(f'pmemsave 0 {MEMORY:#x} "{home}/dump"')
    if said.strip():
        raise LabError(f"no memory dump: {said}")
    return page_tables(stub, home)


def dump(stub: Stub, home: Path, *formats: str) -> list[Path]:
    """The same memory in the other formats that this QEMU was built with."""
    paths = []
    for name in formats:
        option, path = FORMATS[name], home / f"dump.{name}"
        path.unlink(missing_ok=True)
        said = stub.monitor(f'dump-guest-memory {option} "{path}"').strip()
        if re.search("not (available|supported)", said):
            print(f"oracle: no {name}: {said}")
        elif said:
            raise LabError(f"no memory dump: {said}")
        else:
            paths.append(path)
    return paths


def sparse_core(stub: Stub, home: Path) -> Path:
    """Memory as an ELF core, in which pages of zeros take no room on the disk: a guest uses little of many gigabytes."""
    pipe, path = home / "pipe", home / "core"
    for old in (pipe, path):
        old.unlink(missing_ok=True)
    os.mkfifo(pipe)
    copy = subprocess.Popen(["dd", f"if={pipe}", f"of={path}", "bs=1M", "iflag=fullblock", "conv=sparse", "status=none"])
    try:
        said = stub.monitor(f'dump-guest-memory "{pipe}"').strip()
        if said or copy.wait(600):
            raise LabError(f"no memory dump: {said or 'dd failed'}")
    finally:
        copy.kill()
        pipe.unlink()
    return path


def locate(program: str, home: Path, inside: str, cr4: str, dumps: list[Path]) -> bool:
    """In each format the memory is the same, and its kernel is found with neither registers nor addresses from here."""
    levels = 5 if int(cr4, 16) & 0x1000 else 4
    done = subprocess.run([Path(program).with_name("locate"), inside, str(levels), home / "dump", *dumps], timeout=300)
    for path in dumps:
        path.unlink()
    return done.returncode == 0


def address(symbols: str, name: str) -> int:
    found = re.search(rf"^([0-9a-f]+) \w {name}$", symbols, re.M)
    if not found:
        raise LabError(f"the guest's kallsyms have no {name}")
    return int(found.group(1), 16)


def relocate(symbols: str, distance: int) -> str:
    """/proc/kallsyms of the kernel proper as it would read with the image elsewhere."""
    def move(line: str) -> str:
        value = int(line[:16], 16)
        return f"{value + distance if value >= WINDOW else value:016x}{line[16:]}\n"
    return "".join(move(line) for line in symbols.splitlines() if "[" not in line)


def bpftool() -> str:
    """bpftool, out of its package when it is not installed."""
    here = out_dir() / "bpftool"
    found = shutil.which("bpftool", path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found:
        return found
    program = here / "usr/sbin/bpftool"
    with locked("bpftool"):
        if not program.exists():
            here.mkdir(parents=True, exist_ok=True)
            run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "bpftool", cwd=here)
            run("dpkg", "-x", next(here.glob("*.deb")), here)
    return str(program)


def guest_symbols(home: Path) -> str:
    """Its /proc/kallsyms."""
    return gzip.decompress((home / "kallsyms.gz").read_bytes()).decode()


def btf_json(home: Path) -> Path:
    """The guest's own types, as bpftool prints them."""
    (home / "btf").write_bytes(gzip.decompress((home / "btf.gz").read_bytes()))
    (home / "btf.json").write_text(run(bpftool(), "-j", "btf", "dump", "file", home / "btf"))
    return home / "btf.json"


def type_lines(printed: Path) -> str:
    """Sizes of all named structs and unions and all their plain members, seen through anonymous ones."""
    types = {t["id"]: t for t in json.loads(printed.read_text())["types"]}

    def resolved(number: int) -> dict:
        t = types.get(number, {"kind": "VOID"})
        while t["kind"] in ("TYPEDEF", "CONST", "VOLATILE", "RESTRICT", "TYPE_TAG"):
            t = types.get(t["type_id"], {"kind": "VOID"})
        return t

    def size(number: int) -> int:
        t = resolved(number)
        if t["kind"] == "ARRAY":
            return t["nr_elems"] * size(t["type_id"])
        return 8 if t["kind"] == "PTR" else t.get("size", 0)

    def members(t: dict, base: int):
        for m in t["members"]:
            inner = resolved(m["type_id"])
            if m["name"] != "(anon)":
                if not m.get("bitfield_size"):
                    yield m["name"], base + m["bits_offset"], size(m["type_id"])
            elif inner["kind"] in ("STRUCT", "UNION"):
                yield from members(inner, base + m["bits_offset"])

    seen, lines = set(), []
    for t in types.values():
        if t["kind"] not in ("STRUCT", "UNION") or t["name"] == "(anon)" or t["name"] in seen:
            continue
        seen.add(t["name"])
        lines.append(f"S {t['name']} {t['size']}")
        lines += [f"M {t['name']} {name} {bits} {n}" for name, bits, n in members(t, 0)]
    return "\n".join(lines) + "\n"


def compare(program: str, home: Path, what: str, *arguments: object) -> bool:
    print(f"oracle {what}", flush=True)
    done = subprocess.run([program, str(home / "dump"), *map(str, arguments)], timeout=300)
    if done.returncode:
        print(f"oracle {what}: DIFFERS", flush=True)
    return done.returncode == 0


def patch_sites(program: str, home: Path, cr3: str, cr4: str, inside: str, thunks: int) -> bool:
    """Every patch site of the booted kernel holds a legal instruction, and may become what its kernel makes of it. All
    functions of the kernel's own text that it says it can trace are among them, and so many that it can count calls of.
    """
    sites = Path(program).with_name("patchsites")
    traceable = re.search(r"TRACEABLE (\d+)", (home / "console").read_text(errors="replace"))
    if not traceable:
        raise LabError("the guest did not say what it can trace")
    return subprocess.run([sites, home / "dump", cr3, cr4, inside, traceable.group(1), str(thunks)],
                          timeout=60).returncode == 0


# What objdump calls an instruction, and what introspection/x86/gadget.h does.
SENSITIVE = [(r"mov\s+cr([0348]),", r"mov cr\2"), (r"mov\s+(?:db|dr)\d,", "mov dr"),
             (r"(lgdt|lidt|lldt|ltr|lmsw|clts|xsetbv|xrstors)", r"\2"), (r"wrmsr", "wrmsr"), (r"wru?ss", "wrss"),
             (r"(?:vmxon|vmxoff|vmptrld|vmclear|vmlaunch|vmresume)", "vmx"),
             (r"(?:vmrun|vmload|vmsave|stgi|clgi|skinit)", "svm")]


def disassembled(code: Path, base: int) -> dict[int, str]:
    """Address and kind of every sensitive instruction that objdump finds from one end of the bytes to the other."""
    lister = subprocess.Popen(["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", "-Mintel", "--no-show-raw-insn",
                               f"--adjust-vma={base:#x}", str(code)], stdout=subprocess.PIPE)
    # grep is for speed: there are five million lines.
    chosen = subprocess.run(["grep", "-E", r"\b(mov +[cd][rb][0-9]|[lv]|w|clts|x|stgi|clgi|skinit)"], stdin=lister.stdout,
                            stdout=subprocess.PIPE, text=True).stdout
    if lister.wait():
        raise LabError(f"objdump could not read {code}")
    prefix = r"(?:(?:[c-gs]s|rex\S*|data16|addr32|lock|repn?z?)\s+)*"
    # The first group is the address, the second may be the kind's.
    patterns = [(re.compile(rf"\s*([0-9a-f]+):\s+{prefix}{pattern}"), kind) for pattern, kind in SENSITIVE]
    return {int(found.group(1), 16): found.expand(kind) for line in chosen.splitlines()
            for pattern, kind in patterns if (found := pattern.match(line))}


def sensitive(program: str, home: Path, cr3: str, cr4: str, inside: str) -> bool:
    """The intended ones are exactly those that objdump finds; each of the others is one when it is read alone."""
    text, listed, alone = home / "text", home / "gadgets", home / "alone"
    finder = Path(program).with_name("gadgets")
    if subprocess.run([finder, home / "dump", cr3, cr4, inside, text, listed], timeout=60).returncode:
        return False
    first, *lines = listed.read_text().splitlines()
    base, code = int(first, 16), text.read_bytes()
    found = [(int(address, 16), int(length), how, kind)
             for address, length, how, kind in (line.split(None, 3) for line in lines)]
    ours = {(address, kind) for address, _, how, kind in found if how == "intended"}
    theirs = set(disassembled(text, base).items())
    # Each in 32 bytes of its own, with nops behind it.
    hidden = [(kind, code[address - base:address - base + length])
              for address, length, how, kind in found if how == "unintended"]
    alone.write_bytes(b"".join(body.ljust(32, b"\x90") for _, body in hidden))
    read = disassembled(alone, 0)
    wrong = [(kind, body.hex()) for at, (kind, body) in enumerate(hidden) if read.get(at * 32) != kind]
    print(f"sensitive instructions: {len(ours)} intended ones compared with objdump's {len(theirs)}, {len(hidden)} others")
    for address, kind in sorted(ours ^ theirs)[:20]:
        print(f"  differs: {kind} at {address:#x}, {'not by objdump' if (address, kind) in ours else 'not by us'}")
    for kind, body in wrong[:20]:
        print(f"  differs: {body} is no {kind}")
    text.unlink()
    return ours == theirs and not wrong and len(ours) > 50


def tables(program: str, home: Path, cr3: str, cr4: str, inside: str) -> bool:
    """Nothing is found in the IDT and GDTs of a booted kernel, its registers are recognised, forgeries are found."""
    said = (home / "registers").read_text()
    table = {name: re.search(rf"^{name}=\s+([0-9a-f]+) ([0-9a-f]+)", said, re.M).groups() for name in ("IDT", "GDT")}
    ldt = re.search(r"^LDT=([0-9a-f]+)", said, re.M).group(1)
    tr = re.search(r"^TR =([0-9a-f]+) ([0-9a-f]+)", said, re.M).groups()
    return subprocess.run([Path(program).with_name("tables"), home / "dump", cr3, cr4, inside, *table["IDT"], *table["GDT"],
                           ldt, *tr], timeout=60).returncode == 0


def snapshot_of_init(program: str, home: Path, inside: str) -> tuple[str, str, list[Path]]:
    """Of a moment when init runs, which does nothing else; on a busy machine the kernel's own threads have their turn as well."""
    for left in reversed(range(TURNS)):
        stub = Stub(home / "gdb")
        cr3, cr4 = snapshot(stub, home)
        runs = subprocess.run([program, home / "dump", cr3, cr4, inside, "task", "init", "1"], timeout=60,
                              stdout=subprocess.DEVNULL).returncode == 0
        if runs or not left:
            break
        stub.detach()
        time.sleep(0.1)
    # Whoever runs is compared: a reader that is wrong is wrong each time.
    return cr3, cr4, dump(stub, home, *FORMATS)


def full(program: str, kernel: kernels.Kernel, home: Path, cpu: str, arguments: str, parts: tuple[Callable, ...]) -> tuple[bool, str]:
    """A kernel in user space, sealed by itself, with modules. Parts of it are looked at by these."""
    with guest(home, kernel.vmlinuz, cpu, arguments, *VMCOREINFO) as process:
        said = until_ready(home, process, kernel.series)
        symbols = guest_symbols(home)
        inside = f"{address(symbols, 'entry_SYSCALL_64'):x}"
        cr3, cr4, dumps = snapshot_of_init(program, home, inside)
    (home / "symbols").write_text(relocate(symbols, 0))
    modules = [line for line in said.splitlines() if " Live " in line]
    (home / "modules").write_text("\n".join(modules) + "\n")
    (home / "types").write_text(type_lines(btf_json(home)))
    good = compare(program, home, f"{kernel.release} {cpu} {arguments}", cr3, cr4, inside, "symbols", home / "symbols",
                   "types", home / "types", "modules", home / "modules", "task", "init", 1)
    checks = [look(program, home, cr3, cr4, inside) for look in parts]
    config = set(re.findall(r"^CONFIG_(\w+)=(?:y|[1-9].*)$", kernel.config.read_text(), re.M))
    truth = posture.Truth(config, arguments, said)
    checks.append(looks.look(Path(program).with_name("ringfence"), home, truth))
    checks.append(locate(program, home, inside, cr4, dumps))
    checks.append(patch_sites(program, home, cr3, cr4, inside, 10000 if (cpu, arguments) == COUNTING else 0))
    return all(checks) and good, symbols


def early(program: str, kernel: kernels.Kernel, home: Path, symbols: str) -> bool:
    """A kernel at its write to MSR_LSTAR. Where KASLR put it is not known before: one breakpoint for each place."""
    base, stop = address(symbols, "_text"), address(symbols, "syscall_init")
    with guest(home, kernel.vmlinuz, "max", "pti=on", "-S"):
        stub = Stub(home / "gdb")
        for slot in range(512):
            stub.ask(f"Z1,{WINDOW + (slot << 21) + stop - base:x},1")
        if not stub.ask("c").startswith("T05"):
            raise LabError(f"{kernel.series}: stopped elsewhere than in syscall_init()")
        cr3, cr4 = snapshot(stub, home)
        rip = int(re.search(r"RIP=([0-9a-f]+)", stub.monitor("info registers")).group(1), 16)
        dumps = dump(stub, home, "elf")
    distance = rip - stop
    (home / "symbols").write_text(relocate(symbols, distance))
    inside = f"{address(symbols, 'entry_SYSCALL_64') + distance:x}"
    good = compare(program, home, f"{kernel.release} at LSTAR", cr3, cr4, inside, "symbols", home / "symbols", "types",
                   home / "types", "task", "swapper", 0)
    return locate(program, home, inside, cr4, dumps) and good


def check(program: str, series: str, short: bool) -> list[bool]:
    """One result for each memory image of the kernel. Short: without the early one, whose hundreds of breakpoints make the emulator
    slow, and one text is disassembled.
    """
    kernel = kernels.get(series)
    home = out_dir() / "oracle" / series
    home.mkdir(parents=True, exist_ok=True)
    archive = Cpio()
    archive.busybox()
    archive.data("init", INIT.encode(), 0o755)
    archive.char_device("dev/console", 5, 1)
    for name in ("proc", "sys"):
        archive.directory(name)
    for name, body in kernel.modules(["dummy", "veth", "qemu_fw_cfg"]).items():
        archive.data(f"mod/{name}.ko", body)
    (home / "initrd").write_bytes(archive.finish())
    counts = "CONFIG_MITIGATION_CALL_DEPTH_TRACKING=y" in kernel.config.read_text()
    results = [full(program, kernel, home, cpu, arguments, (tables,) if short and number else (sensitive, tables))
               for number, (cpu, arguments) in enumerate(FULL + [COUNTING] * counts)]
    good = [ok for ok, _ in results]
    if not short:
        good.append(early(program, kernel, home, results[0][1]))
    (home / "dump").unlink()
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program")
    parser.add_argument("series", nargs="*", default=kernels.SERIES)
    parser.add_argument("--short", action="store_true")
    options = parser.parse_intermixed_args()  # parse_args() gives "PROGRAM --short SERIES" no series
    try:
        good = [ok for series in options.series for ok in check(options.program, series, options.short)]
    except (LabError, OSError, subprocess.TimeoutExpired) as error:
        print(f"oracle: {error}", file=sys.stderr)
        return 1
    print(f"oracle: {sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
