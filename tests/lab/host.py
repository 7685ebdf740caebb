# SPDX-License-Identifier: LGPL-2.1-or-later
"""The emulated host's initramfs, in three layers so that a change costs only its own layer.

base      busybox, KVM modules, stock QEMU with its libraries: big, compressed, cached per host kernel
guests    the guests' kernels and initramfs: cached
jobs      the project's programs and the jobs: written anew for each run, in well under a second
"""
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Iterable

import debian
import guest
import kernels
from build import HERE, Cpio, LabError, digest, library_closure, locked, out_dir, run, write_atomic

if TYPE_CHECKING:
    from runner import Job

# In load order. What a kernel has built in is left out; kvm-intel serves hosts with VMX.
MODULES = ["irqbypass", "ccp", "kvm", "kvm-amd", "kvm-intel", "virtio_ring", "virtio", "virtio_pci_modern_dev",
           "virtio_pci_legacy_dev", "virtio_pci", "virtio_console", "virtio_blk"]
# What microvm and q35 guests load at start.
ROMS = ["bios-microvm.bin", "qboot.rom", "bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin"]
ROM_FOLDERS = [Path("/usr/share/qemu"), Path("/usr/share/seabios")]
# Where the project's programs stand in an installation.
PROGRAMS = {"ringfence": "usr/bin/ringfence", "ringfence-monitor": "usr/bin/ringfence-monitor",
            "libringfence.so": "usr/lib/ringfence/libringfence.so",
            # With one more guard (tests/guards): a test takes it for the monitor.
            "ringfence-monitor-example": "usr/lib/ringfence/ringfence-monitor-example"}


def qemu() -> Path:
    """The distribution's VMM on this machine."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise LabError("qemu-system-x86_64 is not installed: run scripts/packages.sh")
    return Path(found)


def _roms() -> dict[str, Path]:
    found = {name: folder / name for name in ROMS for folder in reversed(ROM_FOLDERS) if (folder / name).exists()}
    missing = set(ROMS) - set(found)
    if missing:
        raise LabError(f"no {', '.join(sorted(missing))}: run scripts/packages.sh")
    return found


def _add_libraries(archive: Cpio, programs: Iterable[Path]) -> None:
    for library in library_closure(programs):
        name = str(library)
        # /lib is a link to /usr/lib here as on the machine the names come from.
        archive.file(name if name.startswith("/usr") else f"/usr{name}", library)


def _base(kernel: kernels.Kernel) -> Path:
    """Everything that only changes when the machine's packages do."""
    libraries = library_closure([qemu()])
    roms = _roms()
    sources = [HERE / "host.py", HERE / "build.py", *sorted((HERE / "host").iterdir())]
    key = digest([kernel.release, qemu(), *libraries, *roms.values(), *sources])
    image = out_dir() / "host" / kernel.series / f"{key}.img"
    with locked(f"host-{kernel.series}"):
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
        run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", hold, HERE / "host/hold.c")
        archive.file("lab/hold", hold)
        archive.file("usr/bin/qemu-system-x86_64", qemu())
        _add_libraries(archive, [qemu()])
        for name, source in roms.items():
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


def _jobs(jobs: "list[Job]") -> bytes:
    """The programs as built now (those that exist) and the jobs, with a list to keep their order."""
    archive = Cpio()
    programs = [out_dir().parent / name for name in PROGRAMS if (out_dir().parent / name).exists()]
    for program in programs:
        archive.file(PROGRAMS[program.name], program)
    for profile in sorted((out_dir().parent / "policy").glob("*.yaml")):
        archive.file(f"usr/share/ringfence/policy/{profile.name}", profile)
    _add_libraries(archive, programs)
    archive.data("jobs/order", " ".join(job.name for job in jobs).encode())
    for job in jobs:
        for name, body in job.contents().items():
            archive.data(f"jobs/{job.name}/{name}", body, 0o755)
    return archive.finish()


def image(series: str, guests: Iterable[str], jobs: "list[Job]", target: Path,
          debian_too: bool = False) -> kernels.Kernel:
    """Write the emulated host's initramfs to a file; return the kernel that goes with it."""
    kernel = kernels.get(series)
    base = _base(kernel).read_bytes()
    # The kernel looks for the next archive at a multiple of four bytes.
    target.write_bytes(base + b"\0" * (-len(base) % 4) + _guests(guests, debian_too) + _jobs(jobs))
    return kernel
