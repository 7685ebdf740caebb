# SPDX-License-Identifier: LGPL-2.1-or-later
"""The protected guests: a stock kernel with an initramfs of busybox, our init, helpers and the attack module."""
from dataclasses import dataclass
from pathlib import Path

import kernels
from build import HERE, ROOT, Cpio, digest, locked, out_dir, run, write_atomic

MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk"]
# Of the kernel, whatever its flavour, beside what all get. The emulated processor's CPUID says of XSAVE what a 7.x kernel ends over
# (arch/x86/kernel/fpu/core.c fpstate_reset()).
ARGUMENTS = {"7": "noxsave"}
ATTACKS = ROOT / "tests/attacks/module"


@dataclass(frozen=True)
class Guest:
    """Absolute paths of one guest's two files."""
    vmlinuz: Path
    initrd: Path
    arguments: Path


def folder() -> Path:
    """Where the guests stand, one folder per kernel; $GUEST of jobs that run natively."""
    return out_dir() / "guest"


def _helper() -> Path:
    """The static program that does what a shell cannot: tight loops, port I/O, a first act without a shell."""
    source = HERE / "guest/helper.c"
    program = out_dir() / "helper"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", program, source)
    return program


def get(series: str) -> Guest:
    """The guest's files, rebuilt when something they are made of changed."""
    kernel = kernels.get(series)
    home = folder() / series
    initrd, stamp = home / "initrd", home / "key"
    with locked(f"guest-{series}"):
        sources = sorted(ATTACKS.iterdir()) if ATTACKS.exists() else []
        sources = [source for source in sources if source.is_file()]
        inputs = [HERE / "guest/init", HERE / "guest/helper.c", HERE / "guest.py", HERE / "build.py", *sources]
        key = digest([kernel.release, *inputs])
        if not (initrd.exists() and stamp.exists() and stamp.read_text() == key):
            archive = Cpio()
            for name in ("dev", "proc", "sys", "tmp"):
                archive.directory(name)
            archive.char_device("dev/console", 5, 1)
            archive.busybox()
            helper = _helper()
            archive.file("bin/helper", helper)
            # A kernel told rdinit=/first runs this and nothing before it.
            archive.link("first", "bin/helper")
            for order, (name, body) in enumerate(kernel.modules(MODULES).items()):
                archive.data(f"modules/{order:02}-{name}.ko", body)
            if sources:
                archive.file("rf_attack.ko", kernels.build_module(kernel, ATTACKS, "rf_attack"))
            archive.data("init", (HERE / "guest/init").read_bytes(), 0o755)
            write_atomic(initrd, archive.finish())
            write_atomic(home / "vmlinuz", kernel.vmlinuz.read_bytes())
            write_atomic(home / "arguments", ARGUMENTS.get(series.split("-")[0], "").encode())
            write_atomic(stamp, key.encode())
    return Guest(home / "vmlinuz", initrd, home / "arguments")
