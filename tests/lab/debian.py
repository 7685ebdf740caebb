# SPDX-License-Identifier: LGPL-2.1-or-later
"""A whole Debian as a guest: one disk for all its kernels, and an initramfs per kernel that hands over to its systemd.

The disk holds Debian's packages and the kernels' modules, nothing of ours. What a job wants to run in the guest comes
in the initramfs, below /run of the guest.
"""
import shutil
import tempfile
from pathlib import Path
from typing import Iterable, Mapping

import kernels
from build import HERE, Cpio, LabError, digest, locked, out_dir, run, write_atomic

PACKAGES = ["systemd", "systemd-sysv", "udev", "kmod", "dbus", "login", "iproute2", "bpftool", "linux-perf", "libbpf1"]
# Nobody reads there; without them the image is made in half the time.
LEAVE_OUT = ["/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*"]
SUITE = "bookworm"
DISK_MIB = 1024
# Both machines' transports; what a kernel has built in is left out.
MODULES = ["virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "virtio_blk", "crc16", "mbcache", "crc32c_generic", "libcrc32c", "jbd2", "ext4"]


def _system(root: Path, releases: Iterable[kernels.Kernel]) -> None:
    """Debian's files in a folder, with every kernel's modules."""
    options = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEAVE_OUT]
    run("mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", *options, SUITE, root)
    for kernel in releases:
        shutil.copytree(kernel.module_tree, root / "usr/lib/modules" / kernel.release, symlinks=True)
        run("depmod", "-b", root, kernel.release)
    (root / "etc/hostname").write_text("debian\n")
    (root / "etc/fstab").write_text("")
    # Without an identity systemd takes each start for the first one and asks questions.
    (root / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")


def disk(guests: Iterable[str]) -> Path:
    """The disk's image, an ext4 file system with the modules of the usual kernels and of these; made when its packages,
    kernels or this file changed. Never written to.
    """
    releases = [kernels.get(series) for series in sorted({*kernels.SERIES, *guests})]
    key = digest([HERE / "debian.py", PACKAGES, *(kernel.release for kernel in releases)])
    image = out_dir() / "debian" / f"{key}.ext4"
    with locked("debian"):
        if image.exists():
            return image
        if not shutil.which("mmdebstrap"):
            raise LabError("mmdebstrap is not installed: run scripts/packages.sh")
        print("lab: making the Debian guest's disk", flush=True)
        shutil.rmtree(image.parent, ignore_errors=True)
        image.parent.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="debian-", dir=out_dir()) as temporary:
            root = Path(temporary) / "root"
            _system(root, releases)
            part = image.with_suffix(".part")
            run("/usr/sbin/mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-L", "debian", "-d", root, part,
                f"{DISK_MIB}M")
            part.replace(image)
    return image


def initrd(series: str, files: Mapping[str, bytes]) -> bytes:
    """An initramfs that mounts the disk, puts the files below /run and becomes Debian's init. Programs start with #! or
    are ELF files: these are made executable.
    """
    archive = Cpio()
    for name in ("dev", "proc", "sys", "run", "root"):
        archive.directory(name)
    archive.char_device("dev/console", 5, 1)
    archive.busybox()
    for order, (name, body) in enumerate(kernels.get(series).modules(MODULES).items()):
        archive.data(f"modules/{order:02}-{name}.ko", body)
    for name, body in files.items():
        archive.data(f"job/{name}", body, 0o755 if body[:2] == b"#!" or body[:4] == b"\x7fELF" else 0o644)
    archive.data("init", (HERE / "guest/switch").read_bytes(), 0o755)
    return archive.finish()


def get(series: str) -> Path:
    """The plain initramfs of a kernel, beside the small guest's: $GUEST/<kernel>/debian in jobs."""
    target = out_dir() / "guest" / series / "debian"
    write_atomic(target, initrd(series, {}))
    return target
