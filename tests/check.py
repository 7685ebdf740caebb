#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make check: every test, one step after another, counted at the end.

A step is a make target. Its last line "NAME: N passed, N failed[, N skipped]" says how much it tested; a step that fails without
such a line, or that says success and counted nothing, is one failure. Of a step that ended before that line, the tests that had
passed count too. Skips are listed with their reasons; last comes what failed, for who keeps only the end. Steps
given as arguments run alone; --all: whole instead of short, and what takes long; --self-test tests the counting.
"""
import concurrent.futures
import contextlib
import io
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Iterator

# Quick ones first: what is broken shows early. The lab's emulated host has one processor, most of the time: where there are two,
# what takes as long as all the rest runs in a lane of its own beside it. What they run is built before (make test-programs).
BESIDE = ["lab-suite", "lab-suite-6.1", "lab-lifecycle-short", "lab-lifecycle", "kvm-lab", "storm-short"]
NATIVE = ["check-test", "layers", "unit", "unit-arm64", "package", "cli-test", "valgrind", "fuzz", "kvm-store", "kvm", "hostile"]
STEPS = NATIVE + ["oracle", "kvm-lab", "lab-suite", "lab-suite-6.1", "lab-lifecycle-short", "attacks-short", "storm-short", "bench-short"]
# --all: in place of a short form the whole of it, and what takes long.
WHOLE = {"lab-lifecycle-short": "lab-lifecycle", "attacks-short": "attacks"}
LONG = ["attacks-latency", "attacks-7", "lab-host7", "lab-flavours", "lab-vmx"]
COUNTS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")
# One test that passed: "unit test_x  ok", "hostile  good  0.5 s  passed", in a job of the lab or not; cmocka's "[       OK ] x".
PASSED = re.compile(r"\[ +OK \]|^(?:\[\S+\] )?[a-z][\w.-]* +\S.*\b(?:ok|passed)\b")
# What names a failure or says why: a test's own line, a place in its source, a broken rule of the layers, a step that was ended.
BROKEN = re.compile(r"^(?:\[\S+\] )?  tests/\S+:\d+: |\bFAILED\b(?! TEST|.*, listed below)|^check(-layers)?: (?!warning)")
SHOWN, WIDTH = 40, 320
SETTINGS = {"fuzz": ["FUZZ_SECONDS=5"]}
# A step ends when nothing moves any more: a loaded machine may take its time. What is silent for longest is a lab job, and no
# guest of the check has more than 900 s. The second limit is for what talks for ever.
QUIET_SECONDS = 1200.0
STEP_SECONDS = 4500.0


def lines(process: "subprocess.Popen[bytes]", quiet: float, most: float) -> Iterator[str]:
    """The output as it comes. A process that is silent or goes on for too long is ended, and the last line says so."""
    assert process.stdout
    began = moved = time.monotonic()
    pending = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(1):
                chunk = os.read(process.stdout.fileno(), 65536)
                if not chunk:
                    break
                moved = time.monotonic()
                *whole, pending = (pending + chunk).split(b"\n")
                yield from (line.decode(errors="replace") for line in whole)
            elif process.poll() is not None:
                break  # what it left behind keeps its output open
            now = time.monotonic()
            if now - moved >= quiet or now - began >= most:
                what = f"said nothing for {quiet:.0f} s" if now - moved >= quiet else f"was not done after {most:.0f} s"
                end(process)
                pending += f"\ncheck: it {what} and was ended".encode()
                break
    yield from pending.decode(errors="replace").splitlines()


def end(process: "subprocess.Popen[bytes]") -> None:
    """Ends the process and its group; time to clean up first."""
    for number, seconds in ((signal.SIGTERM, 30), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, number)
            process.wait(seconds)
        except ProcessLookupError:
            pass
        except subprocess.TimeoutExpired:
            continue


def run(step: str, command: list[str], quiet: float = QUIET_SECONDS,
        most: float = STEP_SECONDS) -> tuple[list[int], list[str], list[str]]:
    """Run one step with its output shown; its counts, the reasons of its skips, and what failed by name."""
    counts, seen, reasons, broken = [0, 0, 0], 0, [], []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            for line in lines(process, quiet, most):
                print(f"{step}| {line}" if step in STEPS + LONG else line, flush=True)
                found = COUNTS.search(line)
                if found:
                    counts = [int(n or 0) for n in found.groups()]
                elif PASSED.search(line):
                    seen += 1
                if re.search(r"\bskip(ped)?\b", line, re.I) and not found:
                    reasons.append(f"{step}: {line.strip()}")
                if BROKEN.search(line) and not found:
                    broken.append(f"{step}: {' '.join(line.split())}"[:WIDTH])
            status = process.wait()
        finally:
            end(process)
    if status and not any(counts):
        counts[0] = seen
    if status and not counts[1]:
        counts[1] = 1
        broken.append(f"{step}: it ended with status {status}")
    if not any(counts):
        counts[1] = 1
        broken.append(f"{step}: it tested nothing")
    return counts, reasons, list(dict.fromkeys(broken))


# A step's script, what it must count, how many reasons to skip it gives, how many failures it names.
SELF_TESTS: dict[str, tuple[str, list[int], int, int]] = {
    "passes": ("echo 'x a  ok'; echo 'x: 3 passed, 0 failed'", [3, 0, 0], 0, 0),
    "fails": ("echo '[  FAILED  ] a'; echo 'b FAILED'; echo 'b FAILED'; echo '2 FAILED TESTS'; echo 'x: 3 passed, 2 failed'; exit 1",
              [3, 2, 0], 0, 2),
    "skips": ("echo 'x b  skipped: no c'; echo 'x: 1 passed, 0 failed, 1 skipped'", [1, 0, 1], 1, 0),
    "all-skipped": ("echo 'x b  skipped: no c'; echo 'x: 0 passed, 0 failed, 1 skipped'; exit 1", [0, 1, 1], 1, 1),
    "counts-nothing": ("echo hello", [0, 1, 0], 0, 1),
    "fails-after-its-counts": ("echo 'x: 3 passed, 0 failed'; exit 1", [3, 1, 0], 0, 1),
    "dies": ("echo 'x a  1.0 s  passed'; echo '[       OK ] b'; kill -9 $$", [2, 1, 0], 0, 1),
    "silent": ("echo 'x a  ok'; echo '[x] y b  1 s  passed'; sleep 60; echo 'x: 9 passed, 0 failed'", [2, 1, 0], 0, 2),
    "silent-after-its-counts": ("echo 'x: 3 passed, 0 failed'; sleep 60", [3, 1, 0], 0, 2),
    "slow": ("for i in 1 2 3; do sleep 1; echo; done; echo 'x: 3 passed, 0 failed'", [3, 0, 0], 0, 0),
    "for-ever": ("echo 'x a  ok'; while sleep 0.5; do echo; done", [1, 1, 0], 0, 2),
    "leaves-a-child": ("echo 'x: 3 passed, 0 failed'; sleep 60 &", [3, 0, 0], 0, 0),
}


def reads_own_dependencies() -> bool:
    """Whether make leaves alone what looks like a dependency file and is none: steps begin while the lab unpacks trees."""
    lab = Path(os.environ.get("O", "build"), "lab")
    lab.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=lab) as temporary:
        Path(temporary, "modprobe.d").mkdir()
        Path(temporary, "service.d").write_text("no makefile\n")
        return subprocess.run(["make", "-n", f"O={lab.parent}", "check-test"], stdout=subprocess.DEVNULL).returncode == 0


def self_test() -> int:
    """The counting, of steps that are scripts; the limits are 2.5 and 5 s."""
    failed = 0
    for name, (script, wanted, skips, named) in SELF_TESTS.items():
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            counts, reasons, broken = run(name, ["sh", "-c", script], 2.5, 5)
        if counts != wanted or len(reasons) != skips or len(broken) != named or time.monotonic() - began > 20:
            failed += 1
            print(f"check-test {name:24} FAILED: counts {counts}, not {wanted}; {reasons}; {broken}")
    if not reads_own_dependencies():
        failed += 1
        print("check-test make FAILED: it reads what lies in the lab's folder")
    print(f"check-test: {len(SELF_TESTS) + 1 - failed} passed, {failed} failed")
    return 1 if failed else 0


def machine() -> str:
    """Where it failed: tests differ most by the processor and by which KVM there is."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    kvm = [m.name for m in Path("/sys/module").glob("kvm_*")] if Path("/dev/kvm").exists() else "no /dev/kvm"
    return f"on {os.cpu_count()} x {cpu[1] if cpu else os.uname().machine}, Linux {os.uname().release}, {kvm}"


def run_lane(steps: list[str]) -> dict[str, tuple[list[int], list[str], list[str], float]]:
    """One step after the other: as run(), and the seconds of each."""
    done = {}
    for step in steps:
        print(f"=== {step}", flush=True)
        began = time.monotonic()
        result = run(step, ["make", "--no-print-directory", step, *SETTINGS.get(step, [])])
        done[step] = (*result, time.monotonic() - began)
    return done


def main() -> int:
    """Run the steps; the closing line counts everything."""
    steps = sys.argv[1:] or STEPS
    if steps == ["--all"]:
        steps = [WHOLE.get(step, step) for step in STEPS] + LONG
    totals, skipped, failed, table = [0, 0, 0], [], [], []
    lanes = [[s for s in steps if s not in BESIDE], [s for s in steps if s in BESIDE]]
    if (os.cpu_count() or 1) < 2:
        lanes = [steps]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        done = {step: result for lane in pool.map(run_lane, lanes) for step, result in lane.items()}
    for step in steps:
        counts, reasons, broken, seconds = done[step]
        totals = [a + b for a, b in zip(totals, counts)]
        skipped += reasons
        failed += broken
        table.append(f"{step:19} {counts[0]:5} passed {counts[1]:4} failed {counts[2]:4} skipped {seconds:7.0f} s")
    print("=== summary", *table, *skipped, sep="\n")
    if failed:
        if len(failed) > SHOWN:
            failed[SHOWN:] = [f"and {len(failed) - SHOWN} more"]
        print("=== failed", *failed, machine(), sep="\n")
    print(f"{totals[0]} passed, {totals[1]} failed, {totals[2]} skipped")
    return 1 if totals[1] or not totals[0] else 0


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())
