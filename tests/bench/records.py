# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the record takes: system calls and bytes a record, records a second, and the verifier's speed.

tests/bench/record.c writes with the monitor's own code to this machine's file system and counts its own write(2) and
fdatasync(2); `ringfence audit verify` reads what it wrote. The counts are judged, times never.
"""
import json
import re
import resource
import subprocess
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Protocol

DURABLE, FOLDED, READ = 500, 100_000, 100_000
PLACES = 12  # as in record.c
# Bytes of a line at most, of these records: a denial with all its members, an outcome, a line of counts.
LINE_BYTES = {"decision write": 1536, "decision msr": 1024, "outcome": 384, "folded": 768, "checkpoint": 1024}
WHERE = "natively on this machine's file system"


class Figures(Protocol):
    """The bench."""
    command: str

    def figure(self, name: str, value: Any, unit: str, how: str, where: str) -> None:
        """One more."""

    def check(self, holds: object, text: str) -> None:
        """A verdict."""


def write(program: Path, mode: str, log: Path, number: int) -> dict[str, int]:
    """What it says of itself: lines, writes, flushes, bytes, ns."""
    done = subprocess.run([program, mode, log, str(number)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=300, check=False)
    said = {name: int(value) for value, name in re.findall(r"(\d+) (\w+)", done.stdout)}
    if done.returncode or said.get("records") != number:
        raise ValueError(f"{program.name} {mode}: {done.stdout.strip()}")
    return said


def line_bytes(log: Path) -> dict[str, float]:
    """The mean length of a line, newline included, by type and, of decisions, kind; "record" of all."""
    lengths: dict[str, list[int]] = defaultdict(list)
    with log.open("rb") as lines:
        for line in lines:
            record = json.loads(line)
            kind = f"decision {record['kind']}" if record["type"] == "decision" else record["type"]
            lengths[kind].append(len(line))
            lengths["record"].append(len(line))
    return {kind: sum(all_of) / len(all_of) for kind, all_of in lengths.items()}


def verify(ringfence: Path, log: Path, key: list[str]) -> tuple[dict[str, Any], float]:
    """Its report, and the seconds of a processor that it took."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([ringfence, "audit", "verify", "--json", *key, log], stdout=subprocess.PIPE, timeout=300, check=False)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return json.loads(done.stdout), used.ru_utime + used.ru_stime - began.ru_utime - began.ru_stime


def writing(bench: Figures, program: Path, folder: Path) -> None:
    """Durable, and folded."""
    log = folder / "durable"
    said = write(program, "durable", log, DURABLE)
    how = f"`bench_record durable LOG {DURABLE}`: "
    bench.check(said["flushes"] == said["writes"] == said["lines"] == DURABLE, f"one write and one flush a record: {said}")
    bench.figure("record_flushes", said["flushes"] / DURABLE, "fdatasync a record", how + "its own count of fdatasync(2)", WHERE)
    bench.figure("record_writes", said["writes"] / DURABLE, "write a record", how + "its own count of write(2)", WHERE)
    bench.figure("record_durable_per_s", DURABLE * 1e9 / said["ns"], "records a second", how + "CLOCK_MONOTONIC; the disk "
                 "is nearly all of it", WHERE)
    folded = folder / "folded"
    said = write(program, "folded", folded, FOLDED)
    how = f"`bench_record folded LOG {FOLDED}`: denials of twelve places, "
    # As policy/fold.h has it: of each place eight lines in full, then one a second; one of counts in ten seconds.
    seconds = said["ns"] / 1e9
    most = PLACES * (8 + seconds + 1) + PLACES * (seconds / 10 + 2)
    bench.check(said["flushes"] == said["writes"] == said["lines"] <= most, f"at most {most:.0f} lines, each flushed once: {said}")
    counted = sum(json.loads(line).get("count", 1) for line in folded.open("rb"))
    bench.check(counted == FOLDED, f"lines and counts add up to {counted}, not {FOLDED}")
    bench.figure("record_folded_flushes", said["flushes"] / FOLDED, "fdatasync a denial", how + "its own count", WHERE)
    bench.figure("record_folded_bytes", said["bytes"] / FOLDED, "bytes a denial", how + "the log's size", WHERE)
    bench.figure("record_folded_per_s", FOLDED * 1e9 / said["ns"], "denials a second", how + "CLOCK_MONOTONIC", WHERE)
    bytes_of = line_bytes(folded)
    bench.figure("record_bytes_folded", bytes_of["folded"], "bytes", "the mean line of type folded there", WHERE)
    bench.check(bytes_of["folded"] <= LINE_BYTES["folded"], f"a line of counts has {bytes_of['folded']:.0f} bytes")


def reading(bench: Figures, program: Path, ringfence: Path, folder: Path) -> None:
    """Bytes by kind, and the verifier with a key and without."""
    log = folder / "signed"
    said = write(program, "signed", log, READ)
    for name, key in (("verify", []), ("verify_signed", ["--key", f"{log}.pub"])):
        report, seconds = verify(ringfence, log, key)
        how = f"`ringfence audit verify{' --key PUB' if key else ''}` of what `bench_record signed LOG {READ}` wrote, "\
              f"{said['lines']} records, {said['bytes']} bytes; processor time"
        bench.check(report["result"] == "intact" and report["instances"][0]["records"] == said["lines"],
                    f"{name}: {report['result']}, {report['instances']}")
        bench.figure(f"{name}_records_per_s", said["lines"] / seconds, "records a second", how, WHERE)
        bench.figure(f"{name}_mb_per_s", said["bytes"] / seconds / 1e6, "MB a second", how, WHERE)
    for kind, mean in line_bytes(log).items():
        bench.figure("record_bytes_" + kind.replace("decision ", "").replace("record", "mean"), mean, "bytes",
                     f"the mean line of `bench_record signed LOG {READ}`", WHERE)
        bench.check(mean <= LINE_BYTES.get(kind, mean), f"a line of {kind} has {mean:.0f} bytes")


def measure(bench: Figures, build: Path) -> None:
    """All of it; the logs are gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="bench-record-", dir=build) as folder:
        program = build / "tests/bench_record"
        for part in (lambda: writing(bench, program, Path(folder)),
                     lambda: reading(bench, program, build / "ringfence", Path(folder))):
            try:
                part()
            except (OSError, ValueError, KeyError, IndexError, subprocess.TimeoutExpired) as error:
                bench.check(False, f"the record: {error!r}")
