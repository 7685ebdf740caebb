# SPDX-License-Identifier: LGPL-2.1-or-later
"""What every part of the lab shares: where things are kept, locking, cpio archives, library closures."""
import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Iterable, Iterator, Optional

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


class LabError(Exception):
    """The lab could not do what was asked; the text is for people."""


class Unreachable(LabError):
    """This machine does not get a package: its sources do not have it, or the archive is not reached. No fault of ours."""


def out_dir() -> Path:
    """The lab's folder below the build folder, which O= names as it does for make."""
    return (ROOT / os.environ.get("O", "build") / "lab").resolve()


@contextlib.contextmanager
def locked(name: str) -> Iterator[None]:
    """Several runs may share one build folder: one of them builds, the others wait and find it done."""
    out_dir().mkdir(parents=True, exist_ok=True)
    with open(out_dir() / f".{name}.lock", "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def run(*command: object, cwd: Optional[Path] = None, failure: type[LabError] = LabError) -> str:
    """Run a command, return its output; a failure carries the last lines of what it said."""
    text = [str(word) for word in command]
    if not shutil.which(text[0]):
        raise failure(f"{text[0]} is not installed: run scripts/packages.sh")
    done = subprocess.run(text, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-15:])
        raise failure(f"{' '.join(text)}: exit status {done.returncode}\n{tail}")
    return done.stdout


def digest(parts: Iterable[object]) -> str:
    """A key over names and, for paths, over size and time: enough to notice a rebuild, cheap on big files."""
    key = hashlib.sha256()
    for part in parts:
        if isinstance(part, Path):
            info = part.stat()
            part = (str(part), info.st_size, info.st_mtime_ns)
        key.update(repr(part).encode())
    return key.hexdigest()[:20]


def library_closure(programs: Iterable[Path]) -> list[Path]:
    """Every shared object the programs need, the dynamic linker among them, under the names they are found by."""
    found: dict[str, Path] = {}
    for program in programs:
        done = subprocess.run(["ldd", str(program)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if "not found" in done.stdout:
            raise LabError(f"{program}: a library is missing\n{done.stdout}")
        for path in re.findall(r"(/\S+)", done.stdout):
            # A sanitised or plain program may print its own path ("/x/prog:"); only libraries matter.
            if ".so" in path and not path.endswith(":"):
                found[path] = Path(path)
    return list(found.values())


class Cpio:
    """An initramfs archive ("newc", Documentation/driver-api/early-userspace/buffer-format.rst), made without root."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._dirs = {"."}
        self._next = 1

    def _entry(self, name: str, mode: int, body: bytes = b"", rdev: tuple[int, int] = (0, 0)) -> None:
        raw = name.encode() + b"\0"
        fields = (self._next, mode, 0, 0, 1, 0, len(body), 0, 0, rdev[0], rdev[1], len(raw), 0)
        self._next += 1
        self._data += b"070701" + b"".join(b"%08x" % value for value in fields) + raw
        self._pad()
        self._data += body
        self._pad()

    def _pad(self) -> None:
        self._data += b"\0" * (-len(self._data) % 4)

    def directory(self, name: str) -> None:
        """Add a folder and those above it, once."""
        name = name.strip("/")
        if not name or name in self._dirs:
            return
        self.directory(str(Path(name).parent) if "/" in name else "")
        self._dirs.add(name)
        self._entry(name, stat.S_IFDIR | 0o755)

    def data(self, name: str, body: bytes, mode: int = 0o644) -> None:
        """Add a file with this content."""
        name = name.strip("/")
        self.directory(str(Path(name).parent))
        self._entry(name, stat.S_IFREG | mode, body)

    def file(self, name: str, source: Path) -> None:
        """Add a copy of a host file (links are followed), with its execute permission."""
        executable = os.access(source, os.X_OK)
        self.data(name, source.read_bytes(), 0o755 if executable else 0o644)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        name = name.strip("/")
        self.directory(str(Path(name).parent))
        self._entry(name, stat.S_IFLNK | 0o777, target.encode())

    def char_device(self, name: str, major: int, minor: int) -> None:
        """Add a character device; init needs /dev/console before anything is mounted."""
        self.directory(str(Path(name.strip("/")).parent))
        self._entry(name.strip("/"), stat.S_IFCHR | 0o600, rdev=(major, minor))

    def busybox(self) -> None:
        """Add the static busybox and a link for each of its applets."""
        program = shutil.which("busybox") or "/bin/busybox"
        if library_closure([Path(program)]):
            raise LabError(f"{program} is not static: install busybox-static")
        self.file("bin/busybox", Path(program))
        for applet in run(program, "--list").split():
            if applet != "busybox":
                self.link(f"bin/{applet}", "busybox")

    def finish(self) -> bytes:
        """The archive, padded so that another may follow it in one initrd."""
        self._entry("TRAILER!!!", 0)
        self._data += b"\0" * (-len(self._data) % 512)
        return bytes(self._data)


def write_atomic(path: Path, body: bytes) -> None:
    """Replace a file in one step: a reader in another process sees the old one or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(body)
    part.replace(path)
