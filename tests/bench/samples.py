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
FENCE_EXITS = ("write", "emulation", "msr", "watch")


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
    """What the kernel's own patching cost."""
    exits: int = 0
    sites: int = 0
    bytes: int = 0
    changed: int = 0
    records: int = 0
    stored: int = 0


def patches(samples: Samples, audit: Path) -> Patches:
    """Exits, and the instructions they patched, over all switches of keys.

    Every store to sealed memory moves the counter `write` by one and leaves one record, so the counter says which records belong
    to a switch. The bytes of the instructions are the distinct guest-physical bytes stored to in one switch: text_poke_bp()
    stores to each byte of an instruction it replaces, to the first one twice (int3, then the new one). A site is an address
    that got the int3. changed counts the bytes that differ after the switch from what they were before it.
    """
    lines = audit.read_text(errors="replace").splitlines() if audit.exists() else []
    records = [r for r in map(json.loads, lines) if r.get("type") == "decision" and r.get("kind") == "write"]
    total = Patches()
    for m in samples.of("sealed", "jump-label", "static-call"):
        window = records[m.before.status["counters"]["write"]:m.after.status["counters"]["write"]]
        window = [r for r in window if r["verdict"] == "allowed" and r["region"] == "text"]
        first: dict[int, int] = {}
        last: dict[int, int] = {}
        sites = set()
        for record in window:
            gpa = int(record["gpa"], 16)
            if record["new"] == "cc":
                sites.add(gpa)
            for i, (old, new) in enumerate(zip(bytes.fromhex(record["old"]), bytes.fromhex(record["new"]))):
                first.setdefault(gpa + i, old)
                last[gpa + i] = new
        total.exits += m.fence("write")
        total.records += len(window)
        total.stored += m.fence("patched_bytes")
        total.sites += len(sites)
        total.bytes += len(last)
        total.changed += sum(first[at] != last[at] for at in last)
    return total
