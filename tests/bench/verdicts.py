# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a vCPU waits for a verdict, while the sweeper does this and that.

A guest of a few instructions (tests/hostile/) on this machine's own KVM stores to its sealed rodata and counts the cycles of
each store: exit, question, record on disk, verdict, and on. The rounds of each condition are taken in turn with quiet ones, so
that a noisy machine is noisy for all of them.
"""
import json
import os
import re
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

sys.path.append(str(Path(__file__).resolve().parents[1] / "hostile"))
# pylint: disable=wrong-import-position
import place  # noqa: E402
from machine import RUNS_ON, Failed, Lab, Qmp, wait  # noqa: E402

TIMES, COUNT = 0x4000000, 1000  # as tests/hostile/guest.h
POLICY = "mode: observe\n"


@dataclass
class Latency:
    """Of each round of a condition, in microseconds; the quiet one is the round just before."""
    p99: dict[str, list[float]] = field(default_factory=dict)
    quiet: dict[str, list[float]] = field(default_factory=dict)

    def ratio(self, condition: str) -> float:
        """To the quiet rounds beside: the median."""
        return statistics.median(a / b for a, b in zip(self.p99[condition], self.quiet[condition]))

    def all_quiet(self) -> list[float]:
        """Every quiet round."""
        return [value for values in self.quiet.values() for value in values]


def cycles_per_us() -> float:
    """Of the time stamp counter: what the kernel says at boot, else this processor's own word."""
    log = subprocess.run(["dmesg"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=False).stdout
    found = re.findall(r"tsc: (?:Detected|Refined TSC clocksource calibration:) ([\d.]+) MHz", log)
    if not found:
        found = re.findall(r"^cpu MHz\s*: ([\d.]+)", Path("/proc/cpuinfo").read_text(), re.M)
    return float(found[-1])


class Vm:
    """The guest, under `ringfence run`."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        qmp = lab.folder / "qmp"
        self.vm = lab.run("times", POLICY, ("-qmp", f"unix:{qmp},server=on,wait=off"))
        self.vm.says(RUNS_ON, "the guest to run")
        self.qmp, self.per_us = Qmp(qmp), cycles_per_us()
        wait(lambda: lab.status()["sweeper"].get("follows"), "the sweeper")

    def rounds(self) -> int:
        """That the guest has finished."""
        return self.vm.out.read_text(errors="replace").count("ROUND")

    def times(self) -> list[float]:
        """Microseconds of each store of a round that began after this call, ascending."""
        done = self.rounds()
        wait(lambda: self.rounds() >= done + 2, "the guest's stores", 120)
        path = self.lab.folder / "times"
        self.qmp.ask("stop")
        self.qmp.socket.sendall(json.dumps({"execute": "pmemsave", "arguments": {
            "val": TIMES, "size": COUNT * 8, "filename": str(path)}}).encode() + b"\n")
        while "return" not in json.loads(self.qmp.lines.readline()):
            pass
        self.qmp.ask("cont")
        return sorted(cycles / self.per_us for cycles in struct.unpack(f"<{COUNT}Q", path.read_bytes()))


def stopped(vm: Vm) -> Callable[[], None]:
    """The sweeper does nothing."""
    pid = vm.lab.status()["sweeper"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    return lambda: os.kill(pid, signal.SIGCONT)


def again_and_again(act: Callable[[], None], pause: float) -> Callable[[], None]:
    """In a thread, until the result is called."""
    end = threading.Event()

    def work() -> None:
        while not end.wait(pause):
            try:
                act()
            except (OSError, Failed, subprocess.SubprocessError):
                pass

    thread = threading.Thread(target=work, daemon=True)
    thread.start()

    def stop() -> None:
        end.set()
        thread.join()

    return stop


def killed(vm: Vm) -> Callable[[], None]:
    """It dies, and another one begins."""
    return again_and_again(lambda: os.kill(vm.lab.status()["sweeper"]["pid"], signal.SIGKILL), 1)


def spinning(_: Vm) -> Callable[[], None]:
    """It walks without end: what it takes from the monitor is a processor, as this one does that is as nice."""
    spinner = subprocess.Popen(["nice", "-n", "5", "sh", "-c", "while :; do :; done"])  # pylint: disable=consider-using-with

    def stop() -> None:
        spinner.kill()
        spinner.wait()

    return stop


CONDITIONS = {"stopped": stopped, "killed": killed, "spinning": spinning}


def conditions(vm: Vm, rounds: int) -> Iterator[tuple[str, list[float]]]:
    """Each in its turn, between quiet ones."""
    for _ in range(rounds):
        for name, begin in CONDITIONS.items():
            yield "quiet", vm.times()
            end = begin(vm)
            try:
                yield name, vm.times()
            finally:
                end()


def measure(build: Path, rounds: int) -> Latency:
    """Raises Failed where no guest can run."""
    found = Latency()
    with tempfile.TemporaryDirectory(prefix="rf-verdicts-") as base:
        cpu, why = place.find(build, Path(base))
        if not cpu:
            raise Failed(why)
        lab = Lab(build, Path(base) / "vm", f"verdicts-{os.getpid()}", cpu)
        lab.folder.mkdir(mode=0o700)
        try:
            quiet = 0.0
            for condition, times in conditions(Vm(lab), rounds):
                p99 = times[len(times) * 99 // 100]
                if condition == "quiet":
                    quiet = p99
                    continue
                found.p99.setdefault(condition, []).append(p99)
                found.quiet.setdefault(condition, []).append(quiet)
        finally:
            lab.clean()
    return found


if __name__ == "__main__":
    MEASURED = measure(Path(sys.argv[1]).resolve(), int(sys.argv[2]))
    for key, values in MEASURED.p99.items():
        print(f"{key}: {[round(v) for v in values]}, quiet {[round(v) for v in MEASURED.quiet[key]]}, "
              f"ratio {MEASURED.ratio(key):.2f}")
