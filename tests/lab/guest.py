# SPDX-License-Identifier: LGPL-2.1-or-later
"""The protected guests: a stock kernel with an initramfs of busybox, our init, helpers and the attack module."""
import shutil
from dataclasses import dataclass
from pathlib import Path

import kernels
from build import HERE, ROOT, Cpio, digest, locked, out_dir, run, write_atomic

MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_blk"]
ATTACKS = ROOT / "tests/attacks/module"


@dataclass(frozen=True)
class Guest:
    """Absolute paths of one guest's two files."""
    vmlinuz: Path
    initrd: Path


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


def _attack_module(kernel: kernels.Kernel) -> Path:
    """The attack module, built out of a copy: kbuild writes beside its sources, and two kernels share them."""
    work = out_dir() / "module" / kernel.series
    work.mkdir(parents=True, exist_ok=True)
    wanted = {source.name for source in ATTACKS.iterdir() if source.is_file()}
    for old in work.glob("*.[ch]"):
        # A mod.c is kbuild's own; any other without a source is a leftover of a file since removed.
        if old.name not in wanted and not old.name.endswith(".mod.c"):
            old.unlink()
    for name in wanted:
        source, copy = ATTACKS / name, work / name
        if not copy.exists() or copy.read_bytes() != source.read_bytes():
            shutil.copy(source, copy)
    run("make", "-s", "-C", kernel.headers, f"M={work}", "modules")
    return work / "rf_attack.ko"


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
                archive.file("rf_attack.ko", _attack_module(kernel))
            archive.data("init", (HERE / "guest/init").read_bytes(), 0o755)
            write_atomic(initrd, archive.finish())
            write_atomic(home / "vmlinuz", kernel.vmlinuz.read_bytes())
            write_atomic(stamp, key.encode())
    return Guest(home / "vmlinuz", initrd)
