# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs jobs on a KVM host: in an emulated one, booted once for all of them, or on this machine's own KVM.

A job is a shell script with files beside it. Its output is shown as it comes; its exit status and what it left in
$OUT come back. Everything is bounded in time, and no emulator outlives the call.
"""
import codecs
import contextlib
import ctypes
import math
import os
import re
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator, Optional, Union

import debian
import guest
import host
import probe
import vmm
from build import HERE, LabError, out_dir

# A loaded machine runs everything later; tests that must be patient set this.
SCALE = float(os.environ.get("LAB_TIMEOUT_SCALE", "1"))
# A job's limits, and those of its guests, say what a machine of the usual speed needs. They are there to end what hangs,
# never what is slow: this many times as long.
PATIENCE = math.ceil(3 * SCALE)
BOOT_SECONDS = 180
# How long after its own limit a job may take to be killed and to hand over its artefacts.
GRACE_SECONDS = 60
# How often a host is sent an interrupt, for it may have lost one. The host says each 15 seconds that it runs (host/jobs); for how
# long it may be silent until it counts as one that stands still.
NUDGE_SECONDS = 5
STILL_SECONDS = 150
# The emulator answers at once on its sockets, or never.
ASK_SECONDS = 3


@dataclass
class Job:
    """One script to run. Files, given as paths or bytes, stand in its current folder under their names."""
    name: str
    script: str
    timeout: int = 120
    files: dict[str, Union[Path, bytes]] = field(default_factory=dict)
    debian: bool = False  # it boots the Debian guest

    def contents(self) -> dict[str, bytes]:
        """Every file of the job's folder."""
        files = {name: body if isinstance(body, bytes) else body.read_bytes() for name, body in self.files.items()}
        return files | {"run.sh": self.script.encode(), "timeout": str(self.timeout * PATIENCE).encode(),
                        "patience": str(PATIENCE).encode()}


@dataclass
class Result:
    """How a job ended. status is None when it never ended by itself; out is the folder with its artefacts."""
    name: str
    status: Optional[int]
    out: Path
    seconds: float = 0.0
    log: str = ""
    note: str = ""
    host_died: bool = False

    @property
    def ok(self) -> bool:
        """Whether the script ended by itself with status 0."""
        return self.status == 0


Show = Callable[[str], None]


def show_line(line: str) -> None:
    """The default way to show live output."""
    print(line, flush=True)


def _die_with_parent() -> None:
    """In the child: an emulator must not survive a runner that was killed."""
    ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _lines(process: "subprocess.Popen[bytes]", deadline: Callable[[], float]) -> Iterator[str]:
    """The process's output, line by line as it comes; ends with the output or at the deadline, asked anew each time."""
    assert process.stdout
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            left = deadline() - time.monotonic()
            if left <= 0:
                break
            if not selector.select(min(left, 5)):
                continue
            chunk = os.read(process.stdout.fileno(), 65536)
            if not chunk:
                break
            *whole, pending = (pending + decoder.decode(chunk)).split("\n")
            for line in whole:
                yield line.rstrip("\r")
    if pending:
        yield pending.rstrip("\r")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Leave nothing of the process's session behind."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()


def _still(monitor: Path) -> Path:
    """What the emulator says of a machine that stands still: its registers, and what would wake it up."""
    said = b""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(ASK_SECONDS)
        asked.connect(str(monitor))
        asked.sendall(b"info status\ninfo registers -a\ninfo lapic\ninfo irq\nx /8i $pc\n")
        while chunk := asked.recv(65536):
            said += chunk
    path = out_dir() / "out" / f"still-{os.getpid()}.txt"
    path.write_bytes(said)
    return path


def _fresh(name: str) -> Path:
    folder = out_dir() / "out" / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _save(result: Result) -> None:
    result.out.mkdir(parents=True, exist_ok=True)
    (result.out / "log.txt").write_text(result.log)


def _nudge(port: Path) -> None:
    """An interrupt for the emulated host: somebody opens the other end of a port of its own, and closes it.

    QEMU 7.2 loses one now and then; whether a newer one does was not looked for. The processor is halted, and its APIC has a
    vector that nobody looks at before the next one comes. By its source do_vmexit() (target/i386/tcg/sysemu/svm_helper.c) takes
    a bit out of interrupt_request without a lock, while a device's thread may be putting another one in.
    """
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(ASK_SECONDS)
        asked.connect(str(port))


class _Console:
    """Reads the emulated host's console: whose turn it is, how long it may take, how it ended."""

    def __init__(self, jobs: list[Job], show: Show, beats: Path, nudge: Path) -> None:
        self.jobs = {job.name: job for job in jobs}
        self.results = {job.name: Result(job.name, None, _fresh(job.name), note="never started", host_died=True)
                        for job in jobs}
        self.show = show
        self.current: Optional[str] = None
        self.finished = False
        self.began = time.monotonic()
        self.limit = self.began + BOOT_SECONDS * SCALE
        self.beats, self.seen = beats, 0
        self.beat: Optional[float] = None  # when the file of beats was last seen to grow, while a job runs
        self.nudge, self.nudged = nudge, 0.0

    def deadline(self) -> float:
        """When to give up, on the monotonic clock."""
        size, now = self.beats.stat().st_size if self.beats.exists() else 0, time.monotonic()
        if self.current and size != self.seen:
            self.seen, self.beat = size, now
        if now - max(self.began, self.nudged) > NUDGE_SECONDS:
            self.nudged = now
            _nudge(self.nudge)
        return self.limit if self.beat is None else min(self.limit, self.beat + STILL_SECONDS * SCALE)

    def line(self, line: str) -> None:
        """Take one line of the console."""
        words = line.split()
        now = time.monotonic()
        if words[:1] == ["@@lab"] and len(words) > 1:
            self._mark(words, now)
        elif self.current:
            self.results[self.current].log += line + "\n"
            self.show(f"[{self.current}] {line}")
        elif line.strip() and "TCG doesn't support requested feature" not in line:
            self.show(f"[host] {line}")

    def _mark(self, words: list[str], now: float) -> None:
        kind = words[1]
        if kind == "start":
            self.current = words[2]
            self.began = now
            self.limit = now + self.jobs[self.current].timeout * PATIENCE + GRACE_SECONDS
            self.results[self.current].note = "the emulated host stopped in it"
        elif kind == "end":
            result = self.results[words[2]]
            result.seconds = now - self.began
            result.status, result.note, result.host_died = int(words[3]), "", False
            # The killer in there reports a signal; only the time tells a limit from a crash.
            if result.status in (137, 143) and result.seconds >= self.jobs[words[2]].timeout * PATIENCE * 0.9:
                result.status, result.note = None, f"not done after {self.jobs[words[2]].timeout * PATIENCE} s"
            self.show(f"lab: {words[2]}: {result.seconds:.0f} s")
            self.current = self.beat = None
            self.limit = now + GRACE_SECONDS
        elif kind == "finished":
            self.finished = True
        elif kind == "ready":
            self.show(f"lab: emulated host up: Linux {words[2]}, {now - self.began:.0f} s")
        else:
            self.show("lab: " + " ".join(words[2:]))


def qemu_line(series: str, image: Path, cpus: int, memory: int, extra: str = "") -> list[str]:
    """The emulator's command line for a host of this kernel."""
    from kernels import get  # the kernel is there: the image was made with it
    return [*vmm.emulator(cpus), "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "EPYC,+svm,+npt,+umip", "-smp", str(cpus),
            "-m", str(memory), "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
            "-kernel", str(get(series).vmlinuz), "-initrd", str(image),
            "-append", f"console=ttyS0 panic=-1 mitigations=off quiet {extra}".strip()]


def _unpack(archive: Path, results: dict[str, Result]) -> None:
    """Artefacts arrive as one tar after another; a host that died left the last one cut."""
    try:
        with tarfile.open(archive, ignore_zeros=True) as tar:
            for member in tar:
                if member.name.split("/")[0] in results:
                    extract(tar, member, out_dir() / "out")
    except tarfile.ReadError:
        pass


def extract(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> None:
    """A plain file or folder, and nothing that leads out of the target. (Debian 12's tarfile has no filters yet.)"""
    path = folder / member.name
    if member.name.startswith("/") or ".." in member.name.split("/"):
        return
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
    elif member.isfile():
        body = tar.extractfile(member)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body.read() if body else b"")


def _emulated(jobs: list[Job], series: str, guests: list[str], cpus: int, memory: int, show: Show,
              vmm_name: str) -> list[Result]:
    disk = debian.disk(guests) if any(job.debian for job in jobs) else None
    # A socket's path is short: it is not below the build folder, wherever that is.
    with tempfile.TemporaryDirectory(prefix="boot-", dir=out_dir()) as temporary, \
            tempfile.TemporaryDirectory(prefix="rf-lab-") as sockets:
        image, artefacts, beats = (Path(temporary) / name for name in ("host.img", "artefacts.tar", "beats"))
        nudge, monitor = Path(sockets) / "nudge", Path(sockets) / "monitor"
        host.image(series, guests, jobs, image, disk is not None, vmm_name)
        command = qemu_line(series, image, cpus, memory) + [
            "-monitor", f"unix:{monitor},server=on,wait=off",
            "-device", "virtio-serial-pci", "-chardev", f"file,id=artefacts,path={artefacts}",
            "-device", "virtserialport,chardev=artefacts", "-chardev", f"file,id=beats,path={beats}",
            "-device", "virtserialport,chardev=beats", "-chardev", f"socket,id=nudge,path={nudge},server=on,wait=off",
            "-device", "virtserialport,chardev=nudge"]
        if disk:
            command += ["-drive", f"file={disk},format=raw,if=virtio,readonly=on"]
        console = _Console(jobs, show, beats, nudge)
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=_die_with_parent)
        try:
            for line in _lines(process, console.deadline):
                console.line(line)
            if not console.finished and process.poll() is None and time.monotonic() >= console.deadline():
                said = _still(monitor)
                show(f"lab: the emulated host hangs; it was killed (what the emulator said of it: {said})")
            elif not console.finished:
                try:
                    status = process.wait(ASK_SECONDS)
                    show(f"lab: the emulator ended with {f'status {status}' if status >= 0 else signal.Signals(-status).name}")
                except subprocess.TimeoutExpired:
                    show("lab: the emulated host's console was closed, and its emulator, which went on, was killed")
        finally:
            _end(process)
        if artefacts.exists():
            _unpack(artefacts, console.results)
    for result in console.results.values():
        _save(result)
    return list(console.results.values())


def _native(jobs: list[Job], guests: list[str], show: Show) -> list[Result]:
    disk = debian.disk(guests) if any(job.debian for job in jobs) else None
    for series in guests:
        guest.get(series)
        if disk:
            debian.get(series)
    build = out_dir().parent
    return [_native_job(job, build, disk, show) for job in jobs]


def _native_job(job: Job, build: Path, disk: Optional[Path], show: Show) -> Result:
    result = Result(job.name, None, _fresh(job.name))
    with tempfile.TemporaryDirectory(prefix="native-", dir=out_dir()) as temporary:
        for name, body in job.contents().items():
            (Path(temporary) / name).write_bytes(body)
            (Path(temporary) / name).chmod(0o755)
        environment = os.environ | {
            "PATH": f"{build}:{os.environ['PATH']}", "OUT": str(result.out), "GUEST": str(guest.folder()),
            "DEBIAN": str(disk or ""),
            "QEMU": str(vmm.qemu()), "LAB": str(HERE / "host"), "LAB_MODE": "native", "TMPDIR": temporary}
        began = time.monotonic()
        process = subprocess.Popen(["sh", str(HERE / "host/job.sh")], cwd=temporary, env=environment,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   start_new_session=True, preexec_fn=_die_with_parent)
        try:
            for line in _lines(process, lambda: began + job.timeout * PATIENCE):
                result.log += line + "\n"
                show(f"[{job.name}] {line}")
            try:
                result.status = process.wait(max(0.1, began + job.timeout * PATIENCE - time.monotonic()))
            except subprocess.TimeoutExpired:
                result.note = f"not done after {job.timeout * PATIENCE} s"
        finally:
            _end(process)
        result.seconds = time.monotonic() - began
    _save(result)
    return result


VCPU_RUN_BYTES = 0x200  # of __svm_vcpu_run(), at least


def mixed_up(result: Result) -> bool:
    """Whether a record says that a guest stood where the host's KVM enters guests: the emulator took the host's registers for
    that guest's. Seen once, as a guest reset itself by a triple fault: the GDTR was the host's as well, and RIP the instruction
    behind VMRUN. No guest can be there, but by chance.
    """
    address = result.out / "vcpu-run"
    if not address.exists() or not (text := address.read_text().strip()):
        return False
    at = int(text.split()[0], 16)
    said = [int(rip, 16) for path in result.out.rglob("*.jsonl")
            for rip in re.findall(r'"rip":"(0x[0-9a-f]+)"', path.read_text(errors="replace"))]
    return any(at <= rip < at + VCPU_RUN_BYTES for rip in said)


def _keep_first(out: Path) -> None:
    """The run that went wrong is evidence: the next one would write over it."""
    if out.exists():
        kept = out.with_name(out.name + ".first")
        shutil.rmtree(kept, ignore_errors=True)
        out.rename(kept)


def run_jobs(jobs: list[Job], host_kernel: str = "6.12", guests: Optional[list[str]] = None, cpus: int = 2,
             memory: int = 2048, mode: Optional[str] = None, show: Show = show_line, vmm_name: str = "") -> list[Result]:
    """Run the jobs one after another where stock guests run; results come in the jobs' order.

    mode, or else LAB= in the environment, is native or emulated; by default a probe decides. vmm_name is one that vmm.get()
    knows; an emulated host has it. Raises LabError when the lab itself cannot be built; a failing job is a result, never an
    exception.
    """
    names = [job.name for job in jobs]
    if len(set(names)) != len(names) or any("/" in name or not name or name.startswith(".") for name in names):
        raise LabError(f"job names must be distinct file names: {names}")
    guests = guests or ["6.1", "6.12"]
    out_dir().mkdir(parents=True, exist_ok=True)
    mode, why = probe.choose(mode)
    emulator = f" in {vmm.EMULATOR if len(vmm.emulator(cpus)) > 1 else vmm.qemu()}" if mode == "emulated" else ""
    show(f"lab: {mode} host{emulator}, because {why}")
    if mode == "native":
        return _native(jobs, guests, show)
    results = _emulated(jobs, host_kernel, guests, cpus, memory, show, vmm_name)
    lost = {result.name for result in results if result.host_died or mixed_up(result)}
    if lost:
        # Not the jobs' doing as a rule: where two threads of an emulator change what they share it dies now and then, any QEMU's
        # (docs/testing.md). With one processor it has one; a second death is reported as it is.
        show(f"lab: THE EMULATED HOST DIED, or took its registers for a guest's; it is booted once more, with one processor, for: "
             f"{', '.join(sorted(lost))}")
        for name in lost:
            _keep_first(out_dir() / "out" / name)
        again = _emulated([job for job in jobs if job.name in lost], host_kernel, guests, 1, memory, show, vmm_name)
        fresh = {result.name: result for result in again}
        results = [fresh.get(result.name, result) for result in results]
    return results


def run_again(jobs: list[Job], run: Callable[[list[Job], bool], list[Result]], lost: Callable[[Result], bool], tries: int,
              label: str) -> tuple[dict[str, Result], list[str]]:
    """Run the jobs; again, `tries` times in all, those whose result counts as lost. The results, and the names of what was run
    again: said loudly, its first run is kept as <name>.first. run is also told whether it is run again.
    """
    results: dict[str, Result] = {}
    retried: list[str] = []
    for _ in range(tries):
        left = [job for job in jobs if job.name not in results or lost(results[job.name])]
        if not left:
            break
        if results:
            print(f"{label}: NO USER MODE, or an end that nobody made, in {', '.join(job.name for job in left)}; once more",
                  flush=True)
        for job in left:
            if job.name in results:
                _keep_first(results[job.name].out)
        retried += [job.name for job in left if job.name in results]
        results |= {result.name: result for result in run(left, bool(results))}
    return results, retried


def shell(host_kernel: str = "6.12", cpus: int = 2, memory: int = 2048) -> int:
    """An interactive shell in the emulated host."""
    with tempfile.TemporaryDirectory(prefix="boot-", dir=out_dir()) as temporary:
        image = Path(temporary) / "host.img"
        host.image(host_kernel, ["6.1", "6.12"], [], image)
        command = qemu_line(host_kernel, image, cpus, memory, "lab.shell")
        command[command.index("stdio")] = "mon:stdio"
        return subprocess.call(command, stdin=sys.stdin, preexec_fn=_die_with_parent)
