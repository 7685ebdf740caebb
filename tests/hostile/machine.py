# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the hostile tests start: QEMU with a small guest, `ringfence run` around it, the monitor alone."""
import json
import os
import resource
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

# A slow machine says so, as for the lab.
SCALE = float(os.environ.get("LAB_TIMEOUT_SCALE", "1"))
# Nothing here takes a second on an idle machine; a test that needs this long has found something.
LIMIT = 20.0 * SCALE
RUNS_ON = "STILL RUNNING"


class Failed(Exception):
    """An assertion that did not hold; the text says which."""


class Skipped(Exception):
    """This machine cannot do it; the text says why."""


def check(condition: object, text: str) -> None:
    """Assert with a text for people."""
    if not condition:
        raise Failed(text)


def wait(condition: Callable[[], Any], what: str, seconds: float = LIMIT) -> Any:
    """Until the condition holds; its value."""
    until = time.monotonic() + seconds
    while not (value := condition()):
        check(time.monotonic() < until, f"waited {seconds:.0f} s for {what}")
        time.sleep(0.01)
    return value


class Process:
    """A child whose output goes to files."""

    def __init__(self, folder: Path, command: list[str], env: dict[str, str] | None = None,
                 file_limit: int = 0, **options: Any) -> None:
        self.out, self.err = folder / "out", folder / "err"

        def limit() -> None:
            if file_limit:
                resource.setrlimit(resource.RLIMIT_FSIZE, (file_limit, file_limit))

        with open(self.out, "wb") as out, open(self.err, "wb") as err:
            self.began = time.monotonic()
            # pylint: disable-next=subprocess-popen-preexec-fn,consider-using-with
            self.child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                          env={**os.environ, **(env or {})}, preexec_fn=limit, **options)

    def said(self, text: str) -> bool:
        """On its output, so far."""
        return text in self.out.read_text(errors="replace")

    def says(self, text: str, what: str, seconds: float = LIMIT) -> None:
        """Until it says this. One that ends without is not waited for."""
        wait(lambda: self.said(text) or self.child.poll() is not None, what, seconds)
        check(self.said(text), f"it ended with {self.child.returncode}, instead of {what}: {self.complained()[-4000:]}")

    def complained(self) -> str:
        """Its errors, so far."""
        return self.err.read_text(errors="replace")

    def ended(self, seconds: float = LIMIT) -> int:
        """Its exit code, 128 + n for signal n, as the shell says it."""
        try:
            code = self.child.wait(max(0.01, self.began + seconds - time.monotonic()))
        except subprocess.TimeoutExpired as e:
            raise Failed(f"it still runs after {seconds:.0f} s; {self.complained()[-500:]}") from e
        return 128 - code if code < 0 else code

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ends it with a signal."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        return self.ended(time.monotonic() - self.began + LIMIT)


@dataclass
class Lab:
    """One test's folder, and what stands in the build folder."""
    build: Path
    folder: Path
    tag: str
    cpu: str
    vmm: str = "qemu-system-x86_64"
    children: list[Process] = field(default_factory=list)

    def memory(self, variant: str) -> Path:
        """The guest memory of a variant."""
        path = self.folder / f"{variant}.memory"
        subprocess.run([self.build / "hostile/memory", variant, path], check=True)
        return path

    def qemu(self, variant: str, *more: str) -> list[str]:
        """A stock QEMU's command line."""
        return [self.vmm, "-name", self.tag, "-M", "microvm,isa-serial=on", "-accel", "kvm",
                "-cpu", self.cpu, "-m", "320", "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
                "-serial", "stdio", "-kernel", str(self.build / "hostile/guest.elf"), "-device",
                f"loader,file={self.memory(variant)},addr=0x200000,force-raw=on", *more]

    def start(self, name: str, command: list[str], **options: Any) -> Process:
        """Starts a process whose output goes to a folder of that name."""
        folder = self.folder / name
        folder.mkdir()
        child = Process(folder, command, **options)
        self.children.append(child)
        return child

    def run(self, variant: str, policy: str = "", more: tuple[str, ...] = (), way: tuple[str, ...] = (), **options: Any) -> Process:
        """`ringfence run` with the variant's guest; way: what it is started by."""
        arguments = ["--name", self.tag, "--state", str(self.state), "--audit", str(self.audit)]
        if policy:
            path = self.folder / "policy.yaml"
            path.write_text("version: 1\n" + policy)
            arguments += ["--policy", str(path)]
        command = [*way, str(self.build / "ringfence"), "run", *arguments, "--", *self.qemu(variant, *more)]
        return self.start("run", command, **options)

    @property
    def state(self) -> Path:
        """The VM's state folder."""
        return self.folder / "state"

    @property
    def audit(self) -> Path:
        """The VM's log."""
        return self.folder / "audit.jsonl"

    def records(self) -> list[dict[str, Any]]:
        """The log's whole lines that are records."""
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        return [json.loads(line) for line in lines if line.startswith('{"time"') and line.endswith("}")]

    def recorded(self, **wanted: str) -> list[dict[str, Any]]:
        """Records whose members begin with these texts."""
        return [r for r in self.records() if all(str(r.get(k, "")).startswith(v) for k, v in wanted.items())]

    def ask(self, command: str, *options: str) -> str:
        """What `ringfence COMMAND` says of the VM. It gives a monitor two seconds: a slow machine has more than one try."""
        for _ in range(max(1, int(SCALE))):
            done = subprocess.run([self.build / "ringfence", command, self.state, *options], capture_output=True,
                                  text=True, timeout=LIMIT, check=False)
            if done.returncode == 0:
                break
        check(done.returncode == 0, f"no {command}: {done.stderr}")
        return done.stdout

    def status(self) -> dict[str, Any]:
        """What `ringfence status` says."""
        answer: dict[str, Any] = json.loads(self.ask("status", "--json"))
        return answer

    def left(self) -> list[str]:
        """Command lines of this test's processes that still live."""
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                text = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if self.tag in text:
                found.append(f"{path.parent.name} {text[:80]}")
        return found

    def clean(self) -> None:
        """Ends what a failed test has left."""
        for child in self.children:
            if child.child.poll() is None:
                child.child.kill()
                child.child.wait()
        for line in self.left():
            try:
                os.kill(int(line.split()[0]), signal.SIGKILL)
            except ProcessLookupError:
                pass


class Monitor:
    """The real one, alone, for whoever has the other end of this socket."""

    def __init__(self, lab: Lab, fence: socket.socket) -> None:
        lab.state.mkdir(mode=0o700, exist_ok=True)
        self.control = lab.state / "control.sock"
        self.control.unlink(missing_ok=True)
        control = socket.socket(socket.AF_UNIX)
        control.bind(str(self.control))
        control.listen(16)
        log = os.open(lab.audit, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        fds = [fence.fileno(), control.fileno(), log]
        self.process = lab.start(f"monitor-{len(lab.children)}", [
            str(lab.build / "ringfence-monitor"), "--name", lab.tag, "--fence-fd", str(fds[0]),
            "--control-fd", str(fds[1]), "--audit-fd", str(log)], pass_fds=fds)
        fence.close()
        control.close()
        os.close(log)

    def status(self) -> bytes:
        """Its answer on the control socket."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.control))
            s.sendall(b'{"cmd":"status"}\n')
            return s.makefile("rb").readline()


class Qmp:
    """A QEMU monitor connection."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(5)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str) -> Any:
        """A command's answer; events on the way are passed over."""
        self.socket.sendall(json.dumps({"execute": command}).encode() + b"\n")
        while True:
            answer = json.loads(self.lines.readline())
            check("error" not in answer, f"QMP {command}: {answer}")
            if "return" in answer:
                return answer["return"]
