# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long it takes to find a stock kernel in a memory image, on this machine itself.

The image comes from a stock kernel with KASLR, booted on plain emulation; the time is that of the code that the monitor
runs, built as the program tests/lab/oracle.c.
"""
import re
import statistics
import subprocess
from dataclasses import dataclass
from pathlib import Path

import kernels
import oracle
from build import Cpio, LabError, out_dir

INIT = """#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
/bin/busybox grep ' entry_SYSCALL_64$' /proc/kallsyms
echo READY
while :; do :; done
"""
FOUND = re.compile(r"discovery: ([\d.]+) ms, (\d+) reads, (\d+) KiB read, keeps (\d+) KiB")


@dataclass
class Discovery:
    """Median over the runs; reads and KiB are the same in each."""
    ms: float
    times: list[float]
    reads: int
    read_kib: int


def _boot(kernel: kernels.Kernel, home: Path) -> tuple[str, str, str]:
    """Leave home/dump; CR3, CR4 and the system call entry's address."""
    with oracle.guest(home, kernel.vmlinuz, "max", "") as process:
        said = oracle.until_ready(home, process, kernel.series)
        cr3, cr4 = oracle.snapshot(oracle.Stub(home / "gdb"), home)
    found = re.search(r"([0-9a-f]{16}) \w entry_SYSCALL_64", said)
    if not found:
        raise LabError(f"{kernel.series}: the guest's kallsyms have no entry_SYSCALL_64")
    return cr3, cr4, found.group(1)


def measure(program: Path, series: str, runs: int) -> Discovery:
    """Boot, dump, find the kernel in the dump this many times. LabError when it is not found."""
    kernel = kernels.get(series)
    home = out_dir() / "bench" / series
    home.mkdir(parents=True, exist_ok=True)
    archive = Cpio()
    archive.busybox()
    archive.data("init", INIT.encode(), 0o755)
    archive.char_device("dev/console", 5, 1)
    archive.directory("proc")
    (home / "initrd").write_bytes(archive.finish())
    try:
        registers = _boot(kernel, home)
        said = [subprocess.run([program, home / "dump", *registers], stdout=subprocess.PIPE, text=True, timeout=60)
                for _ in range(runs)]
    finally:
        (home / "dump").unlink(missing_ok=True)
    found = [FOUND.search(done.stdout) for done in said if not done.returncode]
    times = [float(match.group(1)) for match in found if match]
    if len(times) != runs:
        raise LabError(f"{series}: the kernel was not found: {said[0].stdout.strip()}")
    return Discovery(statistics.median(times), times, int(found[0].group(2)), int(found[0].group(3)))
