#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checks on the memory of real kernels, a little of it changed, millions of times: tests/fuzz/flips.c on dumps that the lab made.

    dumps.py BUILD EXECUTIONS ARGS...       each ARGS is a file of one line: DUMP CR3 CR4 INSIDE

`KEEP=1 make planted` leaves such files in build/lab/planted/. EXECUTIONS are of all dumps together. SEED=n repeats a run.
build/fuzz-dumps.json has a row for each dump and each check.
"""
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# So few are not worth another process, which first has to find the kernel and to learn where each check reads.
SHARE = 50000
STATES = ("clean", "found", "undecided", "could_not_run")


@dataclass
class Flips:
    """What came of one dump."""
    failed: str
    executions: int
    seed: int
    seconds: float
    rows: list[dict]

    def text(self) -> str:
        """In a line."""
        states = ", ".join(f"{sum(row[state] for row in self.rows)} {state.replace('_', ' ')}" for state in STATES)
        return f"{self.executions} executions, seed {self.seed}: {states}"


def _add_up(rows: list[dict]) -> list[dict]:
    """Of all processes: a row a target."""
    out: dict[str, dict] = {}
    for row in rows:
        mine = out.setdefault(row["target"], {"target": row["target"]} | dict.fromkeys(("executions", *STATES), 0) | {
            "reads": row["reads"], "most_reads": 0, "worst_ms": 0, "worst_at": 0})
        for key in ("executions", *STATES):
            mine[key] += row[key]
        mine["most_reads"] = max(mine["most_reads"], row["most_reads"])
        if row["worst_ms"] >= mine["worst_ms"]:
            mine |= {key: row[key] for key in ("worst_ms", "worst_at")}
    return list(out.values())


def flip(build: Path, where: list[str], executions: int, seed: int) -> Flips:
    """One dump: where is its path, CR3, CR4 and an address of the kernel's image."""
    began = time.monotonic()
    processes = max(1, min(os.cpu_count() or 1, executions // SHARE))
    each = executions // processes
    running = [subprocess.Popen([build / "flips", *where, str(each), str(seed), str(i * each)], stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True) for i in range(processes)]
    failed, rows = "", []
    for process in running:
        out, err = process.communicate()
        rows += [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        if process.returncode or err:
            failed = failed or f"status {process.returncode}: {err[-3000:]}"
    rows = _add_up(rows)
    never = [row["target"] for row in rows if row["reads"] and not row["executions"]]
    if not failed and (not rows or never):
        failed = f"never run: {' '.join(never) or 'all of them'}"
    return Flips(failed, sum(row["executions"] for row in rows), seed, time.monotonic() - began, rows)


def judged(build: Path, name: str, flips: Flips) -> bool:
    """Said, and written down beside those of other dumps."""
    path = build / "fuzz-dumps.json"
    said = json.loads(path.read_text()) if path.exists() else {}
    said[name] = {"seed": flips.seed, "executions": flips.executions, "failed": flips.failed, "targets": flips.rows}
    path.write_text(json.dumps(said, indent=1) + "\n")
    if flips.failed:
        print(f"fuzz-dumps {name}  FAILED  {flips.failed}", flush=True)
    else:
        print(f"fuzz-dumps {name}  ok  {flips.seconds:.1f} s  {flips.text()}", flush=True)
    return not flips.failed


def seed_of_today() -> int:
    """Another one each time, where none is given."""
    return int(os.environ.get("SEED") or time.time())


def main() -> int:
    """The same seed for all dumps."""
    if len(sys.argv) < 4:
        print(__doc__, file=sys.stderr)
        return 2
    build, executions, seed = Path(sys.argv[1]).resolve(), int(sys.argv[2]), seed_of_today()
    good = [judged(build, path.split("/")[-2] + "-" + Path(path).name, flip(build, Path(path).read_text().split(),
                                                                             executions // len(sys.argv[3:]), seed))
            for path in sys.argv[3:]]
    print(f"fuzz-dumps: {sum(good)} passed, {len(good) - sum(good)} failed")
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
