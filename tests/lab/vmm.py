# SPDX-License-Identifier: LGPL-2.1-or-later
"""The VMM of the emulated host, and what emulates that host: this machine's own QEMU, one of a newer suite with its suite's
libraries, or, as a VMM, one that is no QEMU.

The host has one of them, under its usual name, and the C library that it was built for. The project's programs, built with this
machine's, run with that too: a newer C library has all names of an older one.
"""
import functools
import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import suites
from build import LabError, Unreachable, digest, library_closure, locked, out_dir, run

# What microvm, pc and q35 guests load at start.
ROMS = ["bios-microvm.bin", "qboot.rom", "bios-256k.bin", "kvmvapic.bin", "linuxboot_dma.bin", "pvh.bin"]
ROM_FOLDERS = ["usr/share/qemu", "usr/share/seabios"]
# The suites that QEMU of that version comes from, the first one's packages first: the newest there is.
NEWER = {"QEMU 10.0": ("trixie",), "QEMU 11": ("trixie-backports", "trixie")}
# Of what QEMU's package depends on, that is all it runs with.
NEEDED = r"lib.*|zlib1g|qemu-system-(x86|common|data)|seabios"
# Built by hand from https://git.kernel.org/pub/scm/linux/kernel/git/will/kvmtool.git (docs/testing.md): no package has it.
KVMTOOL = "kvmtool"


@dataclass(frozen=True)
class Vmm:
    """One VMM. libraries are by their names in the host; roms by those in its /usr/share/qemu."""
    name: str
    program: Path
    libraries: dict[str, Path]
    roms: dict[str, Path]

    def key(self) -> str:
        """Changes with any of its files."""
        return digest([self.name, self.program, *self.libraries.values(), *self.roms.values()])


def qemu() -> Path:
    """The distribution's VMM on this machine."""
    found = shutil.which("qemu-system-x86_64")
    if not found:
        raise LabError("qemu-system-x86_64 is not installed: run scripts/packages.sh")
    return Path(found)


def named(library: Path, below: Path = Path("/")) -> str:
    """A library's name in the host: /lib is a link to /usr/lib there, as it is where the names come from."""
    name = "/" + str(library.relative_to(below))
    return name if name.startswith("/usr") else f"/usr{name}"


def _roms(below: Path) -> dict[str, Path]:
    found = {name: below / folder / name for name in ROMS for folder in reversed(ROM_FOLDERS)
             if (below / folder / name).exists()}
    missing = set(ROMS) - set(found)
    if missing:
        raise LabError(f"no {', '.join(sorted(missing))}: run scripts/packages.sh")
    return found


def _here(name: str, program: Path) -> Vmm:
    """A program of this machine with this machine's libraries."""
    return Vmm(name, program, {named(library): library for library in library_closure([program])}, _roms(Path("/")))


def _tree(name: str, folder: Path) -> None:
    """Unpack QEMU's package of a newer suite, and those of all it runs with, into a folder."""
    suite = suites.Suite(*NEWER[name])
    packages = [package for package in suite.installed_with("qemu-system-x86") if re.fullmatch(NEEDED, package)]
    with tempfile.TemporaryDirectory(prefix="vmm-", dir=out_dir()) as temporary:
        suite.download(packages, Path(temporary))
        for package in sorted(Path(temporary).glob("*.deb")):
            run("dpkg", "-x", package, folder)


def _folder(name: str) -> Path:
    """Where a newer suite's QEMU is unpacked, with all that it needs."""
    home = out_dir() / "vmm" / name.replace(" ", "-").lower()
    with locked(home.name):
        if not home.exists():
            print(f"lab: fetching {name}", flush=True)
            part = home.with_name(home.name + ".part")
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
            _tree(name, part)
            part.rename(home)
    return home


def _started(home: Path, *options: str) -> list[str]:
    """The command that starts such a QEMU: by its own loader, as that of this machine might not be able to load it."""
    libraries = home / "usr/lib/x86_64-linux-gnu"
    return [str(word) for word in (libraries / "ld-linux-x86-64.so.2", "--library-path", libraries, *options,
                                   home / "usr/bin/qemu-system-x86_64")]


def _libraries(name: str, home: Path) -> list[Path]:
    """What such a QEMU runs with: all of it of its own suite."""
    text = run(*_started(home, "--list"))
    found = [Path(path) for path in re.findall(r"=> (\S+) ", text)]
    outside = [str(path) for path in found if home not in path.parents]
    if outside or "not found" in text:
        raise LabError(f"{name} does not have all its libraries in {home}: {' '.join(outside)}\n{text}")
    return found


def _newer(name: str) -> Vmm:
    home = _folder(name)
    found = _libraries(name, home)
    return Vmm(name, home / "usr/bin/qemu-system-x86_64",
               {named(path, home): path for path in found} | {"/usr/lib64/ld-linux-x86-64.so.2": Path(_started(home)[0])}, _roms(home))


# QEMU's emulator before this lets one thread translate a line that another is just writing to, and keeps what it read
# (docs/testing.md): a processor then meets an int3 that is there no more.
FIRST_SOUND = (8, 1)
EMULATOR = "QEMU 10.0"


@functools.cache
def emulator(processors: int) -> list[str]:
    """How a machine without KVM is started: this machine's own QEMU, if it is new enough or has one thread alone, else EMULATOR,
    unpacked; its own all the same, which is said, where that cannot be had.
    """
    own = qemu()
    version = re.search(r"version (\d+)\.(\d+)", run(own, "--version"))
    if processors == 1 or version and (int(version[1]), int(version[2])) >= FIRST_SOUND:
        return [str(own)]
    try:
        home = _folder(EMULATOR)
        _libraries(EMULATOR, home)
    except Unreachable as error:
        print(f"lab: {EMULATOR} cannot be had, and {own} emulates: what has two processors may die of an int3 that is nobody's. To "
              f"do: let this machine reach the suite {NEWER[EMULATOR][0]} once. ({' '.join(str(error).split())[-200:]})", flush=True)
        return [str(own)]
    return [*_started(home), *(word for folder in ROM_FOLDERS for word in ("-L", str(home / folder)))]


def get(name: str) -> Vmm:
    """A VMM by its name: "" is this machine's own QEMU. LabError where it cannot be had."""
    if name in NEWER:
        return _newer(name)
    if name == KVMTOOL:
        if not (program := os.environ.get("KVMTOOL")):
            raise Unreachable("no package has kvmtool, and KVMTOOL= names no lkvm that was built from its sources")
        if not os.access(program, os.X_OK) or not Path(program).is_file():
            raise LabError(f"KVMTOOL={program} is no program: build one with `make lkvm` in kvmtool's sources (docs/testing.md)")
        return _here(name, Path(program).resolve())
    return _here(name, qemu())


def firmware() -> dict[str, Path]:
    """OVMF as the distribution has it: the code that secure boot is made for, and variables without keys."""
    home = out_dir() / "ovmf"
    with locked(home.name):
        if not home.exists():
            with tempfile.TemporaryDirectory(prefix="ovmf-", dir=out_dir()) as temporary:
                run("apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", "ovmf", cwd=Path(temporary),
                    failure=Unreachable)
                run("dpkg", "-x", next(Path(temporary).glob("*.deb")), Path(temporary) / "tree")
                (Path(temporary) / "tree").rename(home)
    folder = home / "usr/share/OVMF"
    return {"code.fd": folder / "OVMF_CODE_4M.secboot.fd", "vars.fd": folder / "OVMF_VARS_4M.fd"}
