# SPDX-License-Identifier: LGPL-2.1-or-later
"""What job.sh wrote down, as pairs of readings around each thing a guest was told to do.

    # KIND N                  N mappings of the fence in that guest's VMM
    @ KIND WHAT ROUND WHEN    a reading: KVM's counters, the status of the monitor, lines of /proc/PID/status
    = ANSWER                  what the guest said of it; after the second reading
"""
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KVM = re.compile(r"/sys/kernel/debug/kvm/[^/]+/(\w+):(-?\d+)")
# Exits that only the fence causes: sealed stores, failed emulations, filtered MSRs, the watched page.
FENCE_EXITS = ("write", "poked", "emulation", "msr", "watch", "traps")
# Those of pinned registers.
REGISTER_EXITS = ("msr", "traps", "control_cleared", "control_undone")


@dataclass
class Reading:
    """Counters at one moment. kvm is empty without debugfs, status without a fence."""
    kvm: dict[str, int] = field(default_factory=dict)
    status: dict[str, Any] = field(default_factory=dict)
    memory: dict[str, int] = field(default_factory=dict)


@dataclass
class Measured:
    """One thing a guest did, and the readings on both sides of it."""
    kind: str
    what: str
    round: int
    before: Reading
    after: Reading
    answer: str = ""

    def kvm(self, name: str) -> int:
        """How far KVM's counter of that name moved. KeyError when there is none."""
        return self.after.kvm[name] - self.before.kvm[name]

    def fence(self, *names: str) -> int:
        """How far these counters of the fence moved, added up. KeyError without a fence."""
        before, after = self.before.status["counters"], self.after.status["counters"]
        return sum(after[name] - before[name] for name in names)

    def said(self, name: str) -> int:
        """A number out of the guest's answer. ValueError when it is not there."""
        found = re.search(rf"\b{name}=(\d+)", self.answer)
        if not found:
            raise ValueError(f"{self.kind} {self.what} {self.round}: no {name} in {self.answer!r}")
        return int(found.group(1))


class Samples:
    """Everything of one pair of guests."""

    def __init__(self, path: Path) -> None:
        self.fences: dict[str, int] = {}
        self.measured: list[Measured] = []
        reading = Reading()
        for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
            if line.startswith("# "):
                _, kind, count = line.split()
                self.fences[kind] = int(count)
            elif line.startswith("@ "):
                _, kind, what, number, when = line.split()
                reading = Reading()
                if when == "before":
                    self.measured.append(Measured(kind, what, int(number), reading, Reading()))
                else:
                    self.measured[-1].after = reading
            elif line.startswith("= "):
                self.measured[-1].answer = line
            elif line.startswith("{"):
                reading.status = json.loads(line)
            elif found := KVM.match(line):
                reading.kvm[found.group(1)] = int(found.group(2))
            elif found := re.match(r"(Vm|Rss)(\w+):\s+(\d+) kB", line):
                reading.memory[found.group(1) + found.group(2)] = int(found.group(3))

    def of(self, kind: str, *starts: str) -> list[Measured]:
        """What this kind of guest did, of the things whose names begin so."""
        return [m for m in self.measured if m.kind == kind and m.what.startswith(starts)]

    def pairs(self, what: str) -> list[tuple[Measured, Measured]]:
        """(unsealed, sealed), round by round. Rounds that one of them lacks are left out."""
        sealed = {m.round: m for m in self.of("sealed", what)}
        return [(m, sealed[m.round]) for m in self.of("unsealed", what) if m.round in sealed]


@dataclass
class Patches:
    """What the kernel's own patching cost: the counters over some switches of keys, or of the tracer."""
    exits: int = 0  # stores to sealed text, and calls of the kernel's patcher, that left the guest
    asked: int = 0  # those of them that the fence could not settle itself
    finished: int = 0  # patches, each a site with another instruction than before
    bytes: int = 0  # of their instructions, by the patch log
    stored: int = 0  # bytes of all the stores


def patch_log(path: Path) -> list[int]:
    """The length of each patched instruction, in order (policy/patchlog.h)."""
    data = path.read_bytes() if path.exists() else b""
    return [data[at + 15] for at in range(0, len(data) - len(data) % 32, 32) if data[at + 28:at + 32] == b"PLLN"]


def patches(switches: list[Measured], log: list[int]) -> Patches:
    """Every finished patch moves one counter of `patches` and is one record of the log: the counters say which are whose."""
    total = Patches()
    for m in switches:
        before, after = (sum(reading.status["patches"].values()) for reading in (m.before, m.after))
        total.exits += m.fence("write", "poked")
        total.asked += m.fence("write") - m.fence("settled")
        total.finished += after - before
        total.stored += m.fence("patched_bytes")
        total.bytes += sum(log[before:after])
    return total
