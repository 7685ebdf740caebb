#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make check: every test, one step after another, counted at the end.

A step is a make target. Its last line "NAME: N passed, N failed[, N skipped]" says how much it tested; a step that fails without
such a line, or that says success and counted nothing, is one failure. Skips are listed with their reasons. Steps given
as arguments run alone.
"""
import os
import re
import subprocess
import sys
import time

# Quick ones first: what is broken shows early. The lab's come last.
STEPS = ["layers", "unit", "cli-test", "valgrind", "fuzz", "kvm-store", "kvm", "hostile", "oracle", "kvm-lab",
         "lab-suite", "lab-suite-6.1", "lab-lifecycle-short", "attacks", "storm-short", "bench-short"]
COUNTS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")
SETTINGS = {"fuzz": ["FUZZ_SECONDS=5"]}
# No step may take the whole run with it when it hangs.
STEP_SECONDS = 1500


def run(step: str) -> tuple[list[int], list[str]]:
    """Run one step with its output shown; its counts and the reasons of its skips."""
    command = ["make", "--no-print-directory", step, *SETTINGS.get(step, [])]
    counts, reasons = [0, 0, 0], []
    process = subprocess.Popen(["timeout", "-k", "30", str(STEP_SECONDS), *command], stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    assert process.stdout
    for line in process.stdout:
        print(line, end="", flush=True)
        found = COUNTS.search(line)
        if found:
            counts = [int(n or 0) for n in found.groups()]
        if re.search(r"\bskip(ped)?\b", line, re.I) and not found:
            reasons.append(f"{step}: {line.strip()}")
    if process.wait() and not counts[1]:
        counts[1] = 1
        print(f"check: {step} ended with status {process.returncode}")
    if not any(counts):
        counts[1] = 1
        print(f"check: {step} tested nothing")
    return counts, reasons


def main() -> int:
    """Run the steps; the closing line counts everything."""
    steps = sys.argv[1:] or STEPS
    totals, skipped, table = [0, 0, 0], [], []
    for step in steps:
        print(f"=== {step}", flush=True)
        began = time.monotonic()
        counts, reasons = run(step)
        totals = [a + b for a, b in zip(totals, counts)]
        skipped += reasons
        table.append(f"{step:16} {counts[0]:5} passed {counts[1]:4} failed {counts[2]:4} skipped "
                     f"{time.monotonic() - began:7.0f} s")
    print("=== summary", *table, *skipped, sep="\n")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    sys.exit(main())
