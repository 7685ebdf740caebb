#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make check: every step of tests/steps.py, two native ones and as many of the lab as there are processors at once, counted at the end.

A step is a make target. Lines "NAME: N passed, N failed[, N skipped]" say how much it tested, one of each of its programs; a step
that fails without such a line, that says success and counted nothing, or that names a failure and counts none, is one failure.
Of a step that ended before that line, the tests that had passed count too. What this machine cannot run is a skip, also where a
step has nothing else. Skips are listed with their reasons; last comes what failed, for who keeps only the end. Steps
given as arguments run alone; --list names them; --all: whole instead of short, and what takes long; --self-test tests the
counting. All of it is in build/check.json too.
"""
import concurrent.futures
import contextlib
import io
import json
import os
import re
import selectors
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Iterator, Optional

from steps import LAB_HOSTS, LONG, STEPS, Step, all_of_them

COUNTS = re.compile(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?")
# One test that passed: "unit test_x  ok", "hostile  good  0.5 s  passed", in a job of the lab or not; cmocka's "[       OK ] x".
PASSED = re.compile(r"\[ +OK \]|^(?:\[\S+\] )?[a-z][\w.-]* +\S.*\b(?:ok|passed)\b")
# What names a failure or says why: a test's own line, a place in its source, a broken rule of the layers, a step that was ended.
BROKEN = re.compile(r"^(?:\[\S+\] )?  tests/\S+:\d+: |\bFAILED\b(?! TEST|.*, listed below)|^check(-layers)?: (?!warning)")
# A test that says how long it took: "lab reboot  ok  31.2 s", "hostile  good  0.5 s  passed".
TIMED = re.compile(r"^(?:\[\S+\] )?[a-z][\w.-]* +([\w.-]+) .*?\b(\d+(?:\.\d+)?) s\b")
SHOWN, WIDTH, SLOWEST = 40, 320, 10
# A step ends when nothing moves any more: a loaded machine may take its time. What is silent for longest is a lab job, and no
# guest of the check has more than 900 s. The second limit is for what talks for ever, the third for the longest: so many times
# the minutes that a step is said to take.
QUIET_SECONDS = 1200.0
STEP_SECONDS = 4500.0
LATE = 4


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


@dataclass
class Result:
    """What a step counted, why it skipped, what failed by name, and what its tests took."""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    seconds: float = 0.0
    cpu: float = 0.0  # seconds of it, of all that it has waited for
    skips: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    tests: list[tuple[float, str]] = field(default_factory=list)

    def count(self, passed: int, failed: int, skipped: int) -> None:
        """What one of its programs has counted: there may be several."""
        self.passed, self.failed, self.skipped = self.passed + passed, self.failed + failed, self.skipped + skipped

    def fails(self, why: str) -> None:
        """One failure that no test has counted."""
        self.failed = 1
        self.failures.append(why)


def cpu_of(pid: int) -> float:
    """What a child that has ended, and those that it has waited for, had of the processors: proc(5), utime to cstime."""
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
    return sum(int(n) for n in ticks) / os.sysconf("SC_CLK_TCK")


def run(step: str, command: list[str], quiet: float = QUIET_SECONDS, most: float = STEP_SECONDS) -> Result:
    """Run one step with its output shown."""
    result, seen, began = Result(), 0, time.monotonic()
    last: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True) as process:
        try:
            for line in lines(process, quiet, most):
                print(f"{step}| {line}", flush=True)
                found, timed, broken = COUNTS.search(line), TIMED.search(line), BROKEN.search(line)
                passed = PASSED.search(line) and not broken
                if found:
                    result.count(*(int(n or 0) for n in found.groups()))
                    continue
                last = [*last, line.strip()][-2:] if line.strip() else last
                if passed:
                    seen += 1
                if timed and (passed or broken):
                    result.tests.append((float(timed[2]), f"{step} {timed[1]}"))
                if re.search(r"\bskip(ped)?\b", line, re.I):
                    result.skips.append(f"{step}: {line.strip()}")
                if broken:
                    result.failures.append(f"{step}: {' '.join(line.split())}"[:WIDTH])
            if process.returncode is None:
                result.cpu = cpu_of(process.pid)
            status = process.wait()
        finally:
            end(process)
    uncounted = status and not (result.passed or result.failed or result.skipped)
    if uncounted:
        result.passed = seen
    if status and not result.failed:
        said = f", having said: {' / '.join(last)}" if uncounted and last else ""
        result.fails(f"{step}: it ended with status {status}{said}"[:WIDTH])
    if result.failures and not result.failed:
        result.fails(f"{step}: it names failures and counts none")
    if not (result.passed or result.failed or result.skipped):
        result.fails(f"{step}: it tested nothing")
    result.failures = list(dict.fromkeys(result.failures))
    result.seconds = time.monotonic() - began
    return result


# A step's script, what it must count, how many reasons to skip it gives, how many failures it names.
SELF_TESTS: dict[str, tuple[str, list[int], int, int]] = {
    "passes": ("echo 'x a  ok'; echo 'x: 3 passed, 0 failed'", [3, 0, 0], 0, 0),
    "fails": ("echo '[  FAILED  ] a'; echo 'b FAILED'; echo 'b FAILED'; echo '2 FAILED TESTS'; echo 'x: 3 passed, 2 failed'; exit 1",
              [3, 2, 0], 0, 2),
    "skips": ("echo 'x b  skipped: no c'; echo 'x: 1 passed, 0 failed, 1 skipped'", [1, 0, 1], 1, 0),
    "all-skipped": ("echo 'x b  skipped: no c'; echo 'x: 0 passed, 0 failed, 1 skipped'; exit 1", [0, 1, 1], 1, 1),
    "all-skipped-and-content": ("echo 'x b  skipped: no c'; echo 'x: 0 passed, 0 failed, 1 skipped'", [0, 0, 1], 1, 0),
    "of-two-programs": ("echo 'x c  skipped: d'; echo 'x: 3 passed, 0 failed, 1 skipped'; echo 'y b FAILED'; "
                        "echo 'y: 9 passed, 1 failed'; echo 'z: 2 passed, 0 failed'; exit 1", [14, 1, 1], 1, 1),
    "names-a-failure": ("echo 'x a FAILED'; echo 'x: 2 passed, 0 failed'", [2, 1, 0], 0, 2),
    "fails-and-is-ok": ("echo 'unit a FAILED: it is not ok 3 s'; kill -9 $$", [0, 1, 0], 0, 2),
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


def machine() -> str:
    """Where it failed: tests differ most by the processor and by which KVM there is."""
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.M)
    kvm = [m.name for m in Path("/sys/module").glob("kvm_*")] if Path("/dev/kvm").exists() else "no /dev/kvm"
    return f"on {os.cpu_count()} x {cpu[1] if cpu else os.uname().machine}, Linux {os.uname().release}, {kvm}"


class Queue:
    """The steps that nobody has begun. Two workers take the native ones, as they stand: what is broken shows early, and half of
    their time these wait. The others take those of the lab, the longest first. Who finds none of his kind takes the other's, but
    for the second of the two: a host of the lab wants a processor.
    """
    def __init__(self, todo: list[Step]) -> None:
        self.lock = threading.Lock()
        self.native = [s for s in todo if not s.lab]
        self.lab = sorted((s for s in todo if s.lab), key=lambda s: -s.minutes)

    def take(self, kinds: str) -> Optional[Step]:
        """The next one of the kinds n(ative) and l(ab), in that order, or None."""
        with self.lock:
            for steps in (self.native if kind == "n" else self.lab for kind in kinds):
                if steps:
                    return steps.pop(0)
        return None


def work(queue: Queue, kinds: str, done: dict[str, Result]) -> None:
    """Take and run steps until there are none."""
    while step := queue.take(kinds):
        print(f"=== {step.name}", flush=True)
        done[step.name] = run(step.name, ["make", "--no-print-directory", step.name, *step.settings],
                              most=max(STEP_SECONDS, LATE * 60 * step.minutes))


def report(done: dict[str, Result], seconds: float, folder: Path) -> int:
    """The summary, for people and as check.json there; the status to exit with."""
    print("=== summary")
    for name, r in done.items():
        print(f"{name:19} {r.passed:5} passed {r.failed:4} failed {r.skipped:4} skipped {r.seconds:7.0f} s "
              f"{r.cpu:7.0f} s of a processor")
    print("slowest:")
    for took, test in sorted((t for r in done.values() for t in r.tests), reverse=True)[:SLOWEST]:
        print(f"  {took:7.1f} s  {test}")
    for r in done.values():
        print(*r.skips, sep="\n", end="\n" if r.skips else "")
    passed, failed, skipped = (sum(getattr(r, what) for r in done.values()) for what in ("passed", "failed", "skipped"))
    failures = [f for r in done.values() for f in r.failures]
    if failures:
        if len(failures) > SHOWN:
            failures[SHOWN:] = [f"and {len(failures) - SHOWN} more"]
        print("=== failed", *failures, machine(), sep="\n")
    folder.mkdir(parents=True, exist_ok=True)
    left = {"machine": machine(), "seconds": round(seconds), "passed": passed, "failed": failed, "skipped": skipped,
            "steps": {name: asdict(r) for name, r in done.items()}}
    Path(folder, "check.json").write_text(json.dumps(left, indent=1) + "\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped in {seconds / 60:.0f} minutes")
    return 1 if failed or not passed else 0


def each_step_once() -> bool:
    """Whether the workers take every step of a whole check, each one once: quick native ones first, and the lab's longest; and
    whether one takes no step of the lab.
    """
    queue, taken = Queue(all_of_them()), []
    while step := queue.take(("nl", "ln")[len(taken) % 2]):
        taken.append(step)
    longest = max((s for s in taken if s.lab), key=lambda s: s.minutes)
    alone = Queue(all_of_them())
    native = list(iter(lambda: alone.take("n"), None))
    return (sorted(s.name for s in taken) == sorted(s.name for s in all_of_them()) and taken[:2] == [STEPS[0], longest] and
            native == [s for s in all_of_them() if not s.lab])


def is_documented() -> bool:
    """Whether docs/testing.md says what each step proves, or names it among those outside the check; no document has a
    gap.
    """
    text = " ".join(Path("docs/testing.md").read_text().split())
    unfinished = [p for p in [Path("README.md"), *Path("docs").iterdir()] if p.is_file() and "@@" in p.read_text()]
    return not unfinished and all(f"`make {s.name}`" in text for s in STEPS + LONG)


def knows_the_slowest() -> bool:
    """Whether it finds out how long tests took and what a step had of the processors, and says and leaves that."""
    script = ("i=0; while [ $i -lt 50000 ]; do i=$((i + 1)); done; echo 'lab a  ok  31.2 s';"
              "echo '[x] hostile  b  0.5 s  passed'; echo 'x c FAILED 7 s'; echo 'lab: d: 9 s'; echo 'x: 2 passed, 1 failed'; exit 1")
    with contextlib.redirect_stdout(io.StringIO()) as said:
        done = {"x": run("x", ["sh", "-c", script])}
        with tempfile.TemporaryDirectory() as out:
            status = report(done, 60, Path(out))
            left = json.loads(Path(out, "check.json").read_text())
    return (status == 1 and "31.2 s  x a" in said.getvalue() and 0 < done["x"].cpu <= 2 * done["x"].seconds and
            done["x"].tests == [(31.2, "x a"), (0.5, "x b"), (7.0, "x c")] and
            [left["passed"], left["failed"], left["steps"]["x"]["failures"]] == [2, 1, ["x: x c FAILED 7 s"]])


def self_test() -> int:
    """The counting, of steps that are scripts; the limits are 2.5 and 5 s. And what is round it."""
    failed = 0
    for name, (script, wanted, skips, named) in SELF_TESTS.items():
        began = time.monotonic()
        with contextlib.redirect_stdout(io.StringIO()):
            got = run(name, ["sh", "-c", script], 2.5, 5)
        counts = [got.passed, got.failed, got.skipped]
        if counts != wanted or len(got.skips) != skips or len(got.failures) != named or time.monotonic() - began > 20:
            failed += 1
            print(f"check-test {name:24} FAILED: counts {counts}, not {wanted}; {got.skips}; {got.failures}")
    checks = (reads_own_dependencies, each_step_once, is_documented, knows_the_slowest)
    for check in checks:
        if not check():
            failed += 1
            print(f"check-test {check.__name__:24} FAILED: {check.__doc__}")
    print(f"check-test: {len(SELF_TESTS) + len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    """Run the steps that are asked for."""
    named, began = sys.argv[1:], time.monotonic()
    if named == ["--help"]:
        print(__doc__)
        return 0
    if named == ["--list"]:
        for s in STEPS + LONG:
            print(f"{s.name:20} {'lab' if s.lab else 'native':7} {s.minutes:5.1f} minutes  "
                  f"{'check' if s in STEPS else 'check-all':9}  {s.needs}".rstrip())
        return 0
    if named == ["--all"]:
        todo = all_of_them()
    else:
        unknown = [name for name in named if not any(s.name == name for s in STEPS + LONG)]
        if unknown:
            print(f"check: no such step: {' '.join(unknown)}; --list names them", file=sys.stderr)
            return 2
        todo = [s for s in STEPS + LONG if s.name in named] if named else STEPS
    done: dict[str, Result] = {}
    # As many hosts of the lab as there are processors in the end: one more, and each takes more of them (attacks-short half as
    # much again).
    workers = ["n", "nl", *["ln"] * (min(os.cpu_count() or 1, LAB_HOSTS) - 1)]
    queue = Queue(todo)
    with concurrent.futures.ThreadPoolExecutor(len(workers)) as pool:
        for task in [pool.submit(work, queue, kinds, done) for kinds in workers]:
            task.result()
    return report({s.name: done[s.name] for s in todo}, time.monotonic() - began, Path(os.environ.get("O", "build")))


if __name__ == "__main__":
    os.chdir(os.path.join(os.path.dirname(__file__), ".."))
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())
