# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a test of the lab is: a job for the emulated host, what it leaves, and what must hold of that; and how tests are run."""
import argparse
import functools
import json
import re
import struct
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, Sequence

import kernels
import runner
from build import LabError, Unreachable
from host import NEEDED, built

Record = dict[str, Any]
# enum rf_site_kind, patch/table.h
PATCH_KINDS = ["", "jump_label", "static_call", "static_call_trampoline", "ftrace", "ftrace_call", "kprobe", "smp_lock",
               "kgdb", "call_thunk"]


class Outcome:
    """What a job left: the guest's console and the record."""

    def __init__(self, result: runner.Result) -> None:
        self.result = result
        self.console = self._text("console") + self._text("said")

    @functools.cached_property
    def records(self) -> list[Record]:
        """What is on record. Failed where a line is torn: that is the failure of who asks, and of nobody else."""
        lines = self._text("audit.jsonl").splitlines()
        found = untorn("\n".join(lines))
        if len(found) != len(lines):
            raise Failed(f"torn lines in audit.jsonl: {len(lines) - len(found)}")
        return found

    def _text(self, name: str) -> str:
        path = self.result.out / name
        return path.read_text(errors="replace") if path.exists() else ""

    def decisions(self, **wanted: Any) -> list[Record]:
        """Records of decisions whose members have these values."""
        return [r for r in self.records
                if r["type"] == "decision" and all(r.get(k) == v for k, v in wanted.items())]

    def said(self, text: str) -> int:
        """How often the guest said it."""
        return self.console.count(text)

    def patches(self) -> Counter[str]:
        """The log of allowed patches (policy/patchlog.h), counted by kind; it must be whole."""
        counts: Counter[str] = Counter()
        data = (self.result.out / "audit.patches").read_bytes()
        check(len(data) % 32 == 0, "the patch log is torn")
        for at in range(0, len(data), 32):
            _, site, _, kind, size, before, after, mark = struct.unpack("<QIHBB6s6s4s", data[at:at + 32])
            check(mark in (b"PLHD", b"PLLN", b"PLNM"), f"record {at // 32} of the patch log has no mark")
            if mark == b"PLLN":
                check(before[:size] != after[:size], f"a patch of {site:#x} that changes nothing")
                counts[PATCH_KINDS[kind]] += 1
        return counts


class Failed(Exception):
    """An assertion that did not hold; the text says which."""


# What an artefact that is not as it should be makes a check say: all of it is that one test's failure.
WRONG = (Failed, AttributeError, LookupError, OSError, TypeError, ValueError)


def untorn(text: str) -> list[Record]:
    """The records of a log of which some lines are torn."""
    found = []
    for line in text.splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        found += [record] if isinstance(record, dict) else []
    return found


def check(condition: object, text: str) -> None:
    """Assert with a text for people."""
    if not condition:
        raise Failed(text)


def sealed(o: Outcome, boots: int = 1, note: str = "") -> None:
    """Text, rodata and the IDT were sealed at the right moment, as the guest's page tables have them, once per boot."""
    for region in ("text", "rodata", "idt"):
        found = o.decisions(kind="seal", region=region, outcome="sealed before the first user instruction")
        anew = o.decisions(kind="seal", region=region, outcome="sealed after a reset, as a kernel that was booted anew")
        check((len(found), len(anew)) == (1, boots - 1),
              f"{len(found)} + {len(anew)} seals of {region} instead of {boots} {note}".rstrip())
        found += anew
        for record in found:
            check("detail" not in record, f"{region}: {record.get('detail')}")
            check(re.fullmatch("[0-9a-f]{64}", record["sha256"]), "a seal without a measurement")
            least = 4096 if region == "idt" else 1 << 20
            check(record["size"] >= least, f"only {record['size']} bytes of {region} sealed")


# One of our own processes was lost on the way: what `run` says of it, what the next one writes down, and a status that is a
# crash's (SIGILL, SIGABRT, SIGBUS, SIGFPE, SIGSEGV), of the VMM too.
LOST = re.compile(r'another one is started|"outcome": ?"(still sealed; this monitor took over|started again)"|'
                  r"ended with status (132|134|135|136|139)\b")
# Of these what a test's own kill makes.
KILLED = re.compile(r'was killed by signal 9 \(|"outcome": ?"')


def losses(out: Path, kills: bool = False) -> str:
    """The line in a job's artefacts that tells of a process of ours that was lost, "" where none was: rather one that says how,
    with what was said before it, than one of the record. kills: the job kills some by SIGKILL; a crash is a loss all the same.
    """
    recorded = ""
    for path in sorted(out.iterdir()) if out.exists() else []:
        before = ""
        for line in path.read_text(errors="replace").splitlines():
            if (lost := LOST.search(line)) and not (kills and KILLED.search(line)):
                if not line.startswith("{"):
                    return f"{path.name}: {line.strip()}" + (f" (before it: {before.strip()})" if before else "")
                recorded = recorded or f"{path.name}: {lost[0]}"
            before = line
    return recorded


def undisturbed(o: Outcome, kills: bool = False) -> None:
    """Nothing of ours was lost on the way, and the script, which many end with the VM, was ended by no signal."""
    check(o.result.status is not None and 0 <= o.result.status < 128, f"the job ended with status {o.result.status}")
    lost = losses(o.result.out, kills)
    check(not lost, f"lost on the way: {lost}")


def quiet(o: Outcome) -> None:
    """Nothing was denied and nothing reported: a legal guest raises no alarm. Nor was anything of ours lost meanwhile."""
    undisturbed(o)
    loud = o.decisions(verdict="blocked") + o.decisions(verdict="detected") + o.decisions(verdict="undone")
    first = ", ".join(str(loud[0].get(key)) for key in ("kind", "rule", "detail", "target", "handler", "writer")) if loud else ""
    check(not loud, f"{len(loud)} false alarms, first: {first}")


def about_attacker(r: Record) -> bool:
    """A check's finding of the attack module's own entries in /proc, of which it is right: it comes where the guest lasts."""
    return r["kind"] == "check" and r.get("handler", {}).get("module") == "rf_attack"


def each_event_once(o: Outcome) -> None:
    """No decision is written twice, whatever happened to the monitor."""
    ids = [r["event"] for r in o.decisions() if "event" in r]
    check(len(ids) == len(set(ids)), "a decision was written twice")


def summary(record: Record) -> Counter[str]:
    """The counts in a record of kind "patches"."""
    pairs = (part.rsplit(" ", 1) for part in record.get("detail", "").split(", ") if part)
    return Counter({kind: int(count) for kind, count in pairs})


# What ringfence says while the guest speaks goes to a file of its own: it must not tear the guest's lines. How each ended is
# kept, as a script may go on behind it.
RUN = """protected() {
	WRAP="ringfence run --name $1 --audit $OUT/audit.jsonl --" ran=$1; shift
	l2 "$@" >>$OUT/console 2>>$OUT/said; how=$?
	echo "$ran: ended with status $how" >>$OUT/ended
	return $how
}
"""


@dataclass
class Test:
    """A job and the check of what it left."""
    name: str
    script: str
    verify: Callable[[Outcome], None]
    seconds: int = 120
    consoles: tuple[str, ...] = ("console",)  # whose guests must all come to init's first line
    debian: bool = False  # it boots the Debian guest
    # Of the host. On two a guest or the emulator now and then ends, where both run what is patched (docs/testing.md).
    processors: int = 1
    files: Callable[[], dict[str, bytes]] = dict  # what stands beside the script
    guests: tuple[str, ...] = ("6.1", "6.12")  # kernels that the host takes along
    kills: bool = False  # the monitor and the sweeper
    programs: tuple[str, ...] = NEEDED

    def __post_init__(self) -> None:
        if missing := set(re.findall(r"\b(?:l2|debian) (\d\S*)", self.script)) - set(self.guests):
            raise ValueError(f"{self.name} boots {', '.join(sorted(missing))}, which its host does not take along")

    def job(self) -> runner.Job:
        """What runs on the host."""
        return runner.Job(self.name, self.script, self.seconds, self.files(), debian=self.debian)

    def in_user_mode(self, result: runner.Result) -> bool:
        """Whether each guest that was started came so far; `ringfence run` says that it starts one."""
        outcome = Outcome(result)
        texts = [outcome.console if name == "console" else outcome._text(name) for name in self.consoles]
        return all(text.count("RF: init") >= max(1, text.count(": under protection (")) for text in texts)


def run_all(tests: list[Test], host_kernel: str, **host: Any) -> tuple[list[runner.Result], list[str]]:
    """Run the jobs; again, twice at most and on a host with one processor, those whose guest never reached user mode. In the
    emulated host a boot ends early now and then, protected or not; a test whose guests all came there is never run again,
    however they ended. host is what else runner.run_jobs() is to be told.
    """
    done: dict[str, runner.Result] = {}
    for cpus in (2, 1):
        if chosen := [t for t in tests if t.processors == cpus]:
            guests = sorted({kernel for t in chosen for kernel in t.guests})
            jobs = [t.job() for t in chosen]
            done |= {r.name: r for r in runner.run_jobs(jobs, host_kernel, guests, cpus, **host)}
    results = [done[t.name] for t in tests]
    again = []
    for index, test in enumerate(tests):
        for _ in range(2):
            if not test.in_user_mode(results[index]):
                again.append(test.name)
                results[index] = runner.run_jobs([test.job()], host_kernel, list(test.guests), 1, **host)[0]
    return results, again


def missing(test: Test) -> str:
    """Why a kernel of a newer suite cannot be had here, "" where all can: not every machine reaches such a suite."""
    for series in test.guests:
        try:
            if series in kernels.NEWER:
                kernels.get(series)
        except Unreachable as error:
            return " ".join(str(error).split())
    return ""


def judge(test: Test, result: runner.Result) -> str:
    """What does not hold of what a test left, "" where all does."""
    try:
        check(not result.note, result.note)
        o = Outcome(result)
        undisturbed(o, test.kills)
        test.verify(o)
    except WRONG as error:
        return repr(error)
    return ""


def main(description: str, known: list[Test], name: str, more: Sequence[Test] = ()) -> int:
    """Run the tests named, also of those that are run by their names alone, or all; say how many passed."""
    named = [*known, *more]
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host-kernel", default="6.12")
    parser.add_argument("tests", nargs="*", metavar="TEST", help=" ".join(t.name for t in named))
    options = parser.parse_args()
    tests = [t for t in named if t.name in options.tests] if options.tests else known
    unknown = set(options.tests) - {t.name for t in named}
    if unknown:
        parser.error(f"no such test: {' '.join(sorted(unknown))}; these are: {' '.join(t.name for t in named)}")
    try:
        built(*(program for t in tests for program in t.programs))
        without = {t.name: why for t in tests if (why := missing(t))}
        tests = [t for t in tests if t.name not in without]
        results, again = run_all(tests, options.host_kernel)
    except LabError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    failed = 0
    for test, result in zip(tests, results):
        if not (wrong := judge(test, result)):
            print(f"{name} {test.name:20} ok      {result.seconds:5.1f} s")
        else:
            failed += 1
            print(f"{name} {test.name:20} FAILED  {wrong} (artefacts in {result.out})")
            for line in Outcome(result).console.splitlines()[-20:]:
                print(f"    {line}")
    if again:
        print(f"{name}: booted again, for no user mode: {', '.join(again)}")
    for test_name, why in without.items():
        print(f"{name} {test_name:20} skipped: {why}")
    print(f"{name}: {len(tests) - failed} passed, {failed} failed, {len(without)} skipped")
    return 1 if failed or not tests else 0
