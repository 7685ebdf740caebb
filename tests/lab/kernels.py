# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock kernels out of the distribution's packages: image, modules, and headers to build a module with.

Nothing is installed: packages are fetched by name and unpacked below the build folder.
"""
import lzma
import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Sequence

import suites
from build import LabError, Unreachable, locked, out_dir, run

# Meta packages: the newest kernel of each series is what the index says today, never a version written here.
SERIES = {"6.1": "cloud-amd64", "6.12": "6.12-cloud-amd64"}
# The same series built otherwise: with all drivers, and for real time (PREEMPT_RT).
FLAVOURS = {"6.1-full": "amd64", "6.1-rt": "rt-amd64", "6.12-full": "6.12-amd64", "6.12-rt": "6.12-rt-amd64"}
# Of newer suites: the newest of all of them. The suite beside each is the one whose C library its programs run with.
NEWER = {"7": r"linux-image-7\.[\d.]+\S*-cloud-amd64", "7-full": r"linux-image-7\.[\d.]+(\+[^-]*)?-amd64",
         "7-rt": r"linux-image-7\.[\d.]+\S*-rt-amd64"}
SUITES = {"trixie-backports": "trixie", "sid": "sid"}


@dataclass(frozen=True)
class Kernel:
    """One unpacked kernel. Paths are absolute."""
    series: str
    release: str
    tree: Path

    @property
    def vmlinuz(self) -> Path:
        """The boot image as the package ships it; since 7.2 beside the modules, and the postinst copies it to /boot."""
        beside = self._modules / "vmlinuz"
        return beside if beside.exists() else self.tree / "boot" / f"vmlinuz-{self.release}"

    @property
    def _modules(self) -> Path:
        """Newer packages name the folder that /lib is a link to."""
        new = self.tree / "usr/lib/modules" / self.release
        return new if new.exists() else self.tree / "lib/modules" / self.release

    @property
    def config(self) -> Path:
        """What it was built with."""
        beside = self._modules / "config"
        return beside if beside.exists() else self.tree / "boot" / f"config-{self.release}"

    @property
    def module_tree(self) -> Path:
        """All its modules."""
        return self._modules

    @property
    def headers(self) -> Path:
        """What `make -C` takes to build an external module."""
        return self.tree / "usr/src" / f"linux-headers-{self.release}"

    def module(self, name: str) -> bytes:
        """A module's bytes, unpacked; LabError when the kernel has no such module (it may be built in)."""
        pattern = re.compile(re.escape(name).replace("_", "[-_]") + r"\.ko(\.xz)?")
        for folder, _, files in os.walk(self._modules):
            for found in files:
                if pattern.fullmatch(found):
                    body = (Path(folder) / found).read_bytes()
                    return lzma.decompress(body) if found.endswith(".xz") else body
        raise LabError(f"{self.release} has no module {name}")

    def modules(self, names: list[str]) -> dict[str, bytes]:
        """Those of the modules that are not built into this kernel, in the order given."""
        found = {}
        for name in names:
            try:
                found[name] = self.module(name)
            except LabError:
                pass
        return found


def _depends(package: str, wanted: str) -> list[str]:
    """The package's dependencies whose names match."""
    text = run("apt-cache", "depends", "--important", package, failure=Unreachable)
    return [name for name in re.findall(r"Depends: (\S+)", text) if re.fullmatch(wanted, name)]


def _packages(flavour: str) -> list[str]:
    """Every package of the newest kernel of a flavour, image first."""
    image = _depends(f"linux-image-{flavour}", r"linux-image-\d.*")
    if not image:
        raise Unreachable(f"the package index does not say what linux-image-{flavour} depends on; run apt-get update")
    release = image[0].removeprefix("linux-image-")
    headers = f"linux-headers-{release}"
    return [image[0], headers] + _depends(headers, r"linux-headers-.*-common(-rt)?|linux-kbuild-.*")


def _download(flavour: str, debs: Path) -> list[str]:
    """Fetch the packages of a flavour into a folder; a stale index is renewed once where we may."""
    # Without this apt drops to a user of its own that may not write into the folder.
    fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download"]
    try:
        names = _packages(flavour)
        run(*fetch, *names, cwd=debs, failure=Unreachable)
    except Unreachable:
        if os.geteuid() != 0:
            raise
        run("apt-get", "-q", "update", failure=Unreachable)
        names = _packages(flavour)
        run(*fetch, *names, cwd=debs, failure=Unreachable)
    return names


def _download_newer(pattern: str, debs: Path) -> tuple[list[str], str]:
    """Fetch the newest kernel of all newer suites into a folder; the suite of its C library. Its image may be an empty
    package with others of content.
    """
    found: list[tuple[list[int], str, suites.Suite]] = []
    missing: list[str] = []
    for suite_name in SUITES:
        try:
            suite = suites.Suite(suite_name)
        except Unreachable as error:
            missing.append(str(error))
            continue
        for name in suite.names(pattern):
            version = name.removeprefix("linux-image-").split("+")[0].split("-")[0]
            found.append(([int(part) for part in version.split(".")], name, suite))
    if not found:
        raise Unreachable("\n".join([f"no {pattern} in {', '.join(SUITES)}", *missing]))
    _, image, suite = max(found, key=lambda entry: entry[:2])
    headers = image.replace("linux-image-", "linux-headers-", 1)
    names = [image, headers] + suite.depends(image, r"linux-(binary|modules)-\d.*")
    names += suite.depends(headers, r"linux-headers-.*-common|linux-kbuild-.*|linux-base-\d.*")
    suite.download(names, debs)
    return names, SUITES[suite.name]


def _with_library(tree: Path, library: str) -> None:
    """Programs of the kernel's build that want a newer C library than this machine's get one, and run with that loader."""
    wanting = []
    for program in (path for path in tree.glob("usr/lib/linux-kbuild-*/**/*") if path.is_file() and not path.is_symlink()):
        with open(program, "rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
        done = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if "not found" in done.stdout:
            wanting.append(program)
    if not wanting:
        return
    with tempfile.TemporaryDirectory(prefix="libc-", dir=out_dir()) as temporary:
        suites.Suite(library).download(["libc6"], Path(temporary))
        run("dpkg", "-x", next(Path(temporary).glob("*.deb")), Path(temporary) / "tree")
        loader = next((Path(temporary) / "tree").glob("usr/lib/*/ld-linux-x86-64.so.2"))
        shutil.copytree(loader.parent, tree / "libc", symlinks=True, ignore=shutil.ignore_patterns("gconv"))
    loader = tree / "libc" / loader.name
    for program in wanting:
        real = program.rename(program.with_name(program.name + ".real"))
        # By where it lies, so that the folder may be moved; "..", as the kernel resolves it, is of the real place.
        libc = os.path.relpath(loader.parent, program.parent)
        program.write_text(f'#!/bin/sh\nhere=${{0%/*}}\n'
                           f'exec "$here/{libc}/{loader.name}" --library-path "$here/{libc}" "$here/{real.name}" "$@"\n')
        program.chmod(0o755)


def _relocate(headers: Path) -> None:
    """The headers' makefile names /usr/src; make it find its sibling wherever the tree is."""
    makefile = headers / "Makefile"
    text = re.sub(r"^include /usr/src/", "include $(dir $(lastword $(MAKEFILE_LIST)))../", makefile.read_text(), flags=re.M)
    # Newer ones name themselves too. Kept at once: behind the next include the list's last word is another.
    text = re.sub(r"^KBUILD_OUTPUT *=.*", "KBUILD_OUTPUT := $(dir $(lastword $(MAKEFILE_LIST)))", text, flags=re.M)
    makefile.write_text(text)
    # Beside a vmlinux the build wants pahole, for a type section that our modules do not need.
    (headers / "vmlinux").unlink(missing_ok=True)


def get(series: str, refresh: bool = False) -> Kernel:
    """The newest kernel of a series, fetched on first use or when asked to look again."""
    if series not in SERIES | FLAVOURS | NEWER:
        raise LabError(f"unknown kernel {series}; known: {', '.join(SERIES | FLAVOURS | NEWER)}")
    home = out_dir() / "kernels" / series
    stamp = home / "release"
    with locked(f"kernel-{series}"):
        # Folders of before the newer ones had headers are still about.
        if refresh or not stamp.exists() or not Kernel(series, stamp.read_text(), home / "tree").headers.exists():
            print(f"lab: fetching the newest {series} kernel packages", flush=True)
            shutil.rmtree(home, ignore_errors=True)
            debs = home / "debs"
            debs.mkdir(parents=True)
            library = ""
            if series not in NEWER:
                names = _download((SERIES | FLAVOURS)[series], debs)
            else:
                names, library = _download_newer(NEWER[series], debs)
            tree = home / "tree"
            for deb in sorted(debs.glob("*.deb")):
                run("dpkg", "-x", deb, tree)
            shutil.rmtree(debs)
            release = names[0].removeprefix("linux-image-")
            _relocate(tree / "usr/src" / f"linux-headers-{release}")
            if library:
                _with_library(tree, library)
            stamp.write_text(release)
    return Kernel(series, stamp.read_text(), home / "tree")


def _with_our_compiler(kernel: Kernel) -> list[str]:
    """What make is told where the compiler that the kernel was built with is not here: use this machine's, without the
    options that it has not. What a module is laid out by does not depend on them.
    """
    named = re.search(r"^CC *=.*\$\(CROSS_COMPILE\)(gcc-\d+)", (kernel.headers / ".kernelvariables").read_text(), re.M)
    if not named or shutil.which(named[1]):
        return []
    alignment = ["gcc", "-fmin-function-alignment=16", "-E", "-x", "c", "-o", "/dev/null", "/dev/null"]
    refused = subprocess.run(alignment, stderr=subprocess.DEVNULL).returncode
    return ["CC=gcc"] + (["CONFIG_CC_HAS_MIN_FUNCTION_ALIGNMENT="] if refused else [])


def build_module(kernel: Kernel, sources: Path, name: str, also: Sequence[Path] = ()) -> Path:
    """An external module out of a folder and some files more, built in a copy: kbuild writes beside its sources, and kernels
    share them. Others that its Kbuild names lie beside it.
    """
    work = out_dir() / name / kernel.series
    with locked(f"{name}-{kernel.series}"):  # two steps of a check may need the same
        work.mkdir(parents=True, exist_ok=True)
        wanted = {source.name: source for source in [*sources.iterdir(), *also] if source.is_file()}
        for old in work.glob("*.[ch]"):
            # A mod.c is kbuild's own; any other without a source is a leftover of a file since removed.
            if old.name not in wanted and not old.name.endswith(".mod.c"):
                old.unlink()
        for file, source in wanted.items():
            copy = work / file
            if not copy.exists() or copy.read_bytes() != source.read_bytes():
                shutil.copy(source, copy)
        # Debug information is most of a module, and each guest would unpack it, read it and copy it.
        run("make", "-s", "-C", kernel.headers, f"M={work}", *_with_our_compiler(kernel), "KCFLAGS=-g0", "modules")
    return work / f"{name}.ko"
