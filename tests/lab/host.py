# SPDX-License-Identifier: LGPL-2.1-or-later
"""The emulated host's initramfs, in three layers so that a change costs only its own layer.

base      busybox, KVM modules, stock QEMU with its libraries: big, compressed, cached per host kernel
guests    the guests' kernels and initramfs: cached
jobs      the project's programs and the jobs: written anew for each run, in well under a second
"""
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Iterable

import debian
import guest
import kernels
import vmm
from build import HERE, Cpio, LabError, digest, library_closure, locked, out_dir, run, write_atomic

if TYPE_CHECKING:
    from runner import Job

# In load order. What a kernel has built in is left out; kvm-intel serves hosts with VMX.
MODULES = ["irqbypass", "ccp", "kvm", "kvm-amd", "kvm-intel", "virtio_ring", "virtio", "virtio_pci_modern_dev",
           "virtio_pci_legacy_dev", "virtio_pci", "virtio_console", "virtio_blk"]
# With one more guard (tests/guards): a test takes it for the monitor, and nobody else needs it.
EXAMPLE = "ringfence-monitor-example"
# Where the project's programs stand in an installation.
PROGRAMS = {"ringfence": "usr/bin/ringfence", "ringfence-monitor": "usr/bin/ringfence-monitor",
            "libringfence.so": "usr/lib/ringfence/libringfence.so", EXAMPLE: f"usr/lib/ringfence/{EXAMPLE}"}
# What protects a guest: all that `make programs` builds.
NEEDED = ("ringfence", "ringfence-monitor", "libringfence.so")


def built(*programs: str) -> list[Path]:
    """The programs named, or those that protect a guest. LabError, which says what to do, where one is not built."""
    paths = [out_dir().parent / name for name in dict.fromkeys(programs or NEEDED)]
    if missing := [path.name for path in paths if not path.exists()]:
        folder = os.environ.get("O", "build")
        targets = dict.fromkeys(f"{folder}/{EXAMPLE}" if name == EXAMPLE else "programs" for name in missing)
        raise LabError(f"not built: {', '.join(missing)}; run `make O={folder} {' '.join(targets)}`")
    return paths


def _base(kernel: kernels.Kernel, has: vmm.Vmm) -> Path:
    """Everything that only changes when packages do."""
    sources = [HERE / "host.py", HERE / "build.py", *sorted((HERE / "host").iterdir())]
    key = digest([kernel.release, has.key(), *sources])
    name = "-".join([kernel.series, *has.name.lower().split()])
    image = out_dir() / "host" / name / f"{key}.img"
    with locked(f"host-{name}"):
        if image.exists():
            return image
        shutil.rmtree(image.parent, ignore_errors=True)
        archive = Cpio()
        for folder in ("dev", "proc", "sys", "usr/lib", "usr/lib64", "root"):
            archive.directory(folder)
        archive.link("lib", "usr/lib")
        archive.link("lib64", "usr/lib64")
        archive.char_device("dev/console", 5, 1)
        archive.busybox()
        archive.data("etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
        archive.data("etc/group", b"root:x:0:\nnogroup:x:65534:\n")
        for order, (name, body) in enumerate(kernel.modules(MODULES).items()):
            archive.data(f"lab/modules/{order:02}-{name}.ko", body)
        for name in ("jobs", "job.sh", "lib.sh"):
            archive.data(f"lab/{name}", (HERE / "host" / name).read_bytes(), 0o755)
        hold = out_dir() / "hold"
        with locked("hold"):  # another host's image may be made meanwhile
            run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", hold, HERE / "host/hold.c")
            archive.file("lab/hold", hold)
        archive.file(f"usr/bin/{has.program.name}", has.program)
        for name, source in has.libraries.items():
            archive.file(name, source)
        for name, source in has.roms.items():
            archive.file(f"usr/share/qemu/{name}", source)
        archive.data("init", (HERE / "host/init").read_bytes(), 0o755)
        write_atomic(image.with_suffix(".cpio"), archive.finish())
        run("zstd", "-q", "-T0", "-5", "--rm", image.with_suffix(".cpio"), "-o", image)
    return image


def _guests(series: Iterable[str], debian_too: bool) -> bytes:
    archive = Cpio()
    for name in series:
        files = guest.get(name)
        archive.file(f"guest/{name}/vmlinuz", files.vmlinuz)
        archive.file(f"guest/{name}/initrd", files.initrd)
        archive.file(f"guest/{name}/arguments", files.arguments)
        if debian_too:
            archive.file(f"guest/{name}/debian", debian.get(name))
    return archive.finish()


def _jobs(jobs: "list[Job]", has: vmm.Vmm) -> bytes:
    """The programs as built now (those that exist) and the jobs, with a list to keep their order."""
    archive = Cpio()
    programs = [out_dir().parent / name for name in PROGRAMS if (out_dir().parent / name).exists()]
    for program in programs:
        archive.file(PROGRAMS[program.name], program)
    for profile in sorted((out_dir().parent / "policy").glob("*.yaml")):
        archive.file(f"usr/share/ringfence/policy/{profile.name}", profile)
    for library in library_closure(programs):
        # Of two of one name the VMM's is the newer one, or the same.
        if (name := vmm.named(library)) not in has.libraries:
            archive.file(name, library)
    archive.data("jobs/order", " ".join(job.name for job in jobs).encode())
    for job in jobs:
        for name, body in job.contents().items():
            archive.data(f"jobs/{job.name}/{name}", body, 0o755)
    return archive.finish()


def image(series: str, guests: Iterable[str], jobs: "list[Job]", target: Path, debian_too: bool = False,
          vmm_name: str = "") -> kernels.Kernel:
    """Write the emulated host's initramfs to a file; return the kernel that goes with it."""
    kernel, has = kernels.get(series), vmm.get(vmm_name)
    base = _base(kernel, has).read_bytes()
    # The kernel looks for the next archive at a multiple of four bytes.
    target.write_bytes(base + b"\0" * (-len(base) % 4) + _guests(guests, debian_too) + _jobs(jobs, has))
    return kernel
