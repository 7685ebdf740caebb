#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The patcher storm: everything in a stock Debian guest that patches its kernel's text, unprotected and then sealed.

Of each step of the sealed guest nothing may be denied and nothing reported, it must do what it does unprotected, and
what the function tracer tells of the same system calls must be the same. Figures per kernel and step go to storm.json
in the build folder. The short one has the sealed guest alone, and compares it with nothing. Ends with
"storm: N passed, N failed, N skipped".
"""
import argparse
import json
import re
import statistics
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import debian
import kernels
import runner
import trial
from build import HERE, LabError, out_dir, run, write_atomic
from host import built

SOURCES = HERE / "storm"
STEPS = ("function graph tracepoints digest kprobes optprobes uprobes perf bpf livepatch keys preempt kfence "
         "modules hotplug").split()
SIDES = ("unsealed", "sealed")
LINE = re.compile(r"@ RF: storm (?P<when>begin|end) step=(?P<step>\S+) round=(?P<round>\d+)"
                  r"(?: result=(?P<result>\S+) seconds=(?P<seconds>\S+) detail=(?P<detail>.*))?")
# A guest under emulation in an emulated host.
JOB_SECONDS = 1500
# What the check has time for: one guest. The other one, to compare digests and times with, is the whole storm's.
SHORT: dict[str, Any] = {"probes": 40, "inside": 80, "modules": 5, "functions": "vfs_*"}
LONG_STEPS = ("tracepoints", "digest", "perf", "preempt")
SHORT_STEPS: dict[str, list[str]] = {"unsealed": [], "sealed": [name for name in STEPS if name not in LONG_STEPS]}


@dataclass
class Step:
    """One run of one step. The counters are of what happened from its begin to its end."""
    name: str
    result: str = "never ended"
    seconds: float = 0.0
    detail: str = ""
    counts: Counter[str] = field(default_factory=Counter)
    patches: Counter[str] = field(default_factory=Counter)
    sealed: bool = False  # the monitor said so at both ends


def counters(status: dict[str, Any]) -> Counter[str]:
    """What a step is charged with: the fence's counters, and the words in the record as alerts."""
    counts = Counter(status.get("counters", {}))
    counts["alerts"] = sum(n for word, n in status.get("audit", {}).items() if word != "allowed")
    return counts


def difference(after: Counter[str], before: Counter[str]) -> Counter[str]:
    """How far each counter moved."""
    return Counter({name: after[name] - before[name] for name in after})


def read_steps(path: Path) -> list[Step]:
    """The steps of one guest, in order, out of job.sh's samples."""
    steps: list[Step] = []
    at: dict[str, Any] = {}
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    for line, reading in zip(lines[::2], lines[1::2]):
        found = LINE.match(line)
        status = json.loads(reading) if reading.startswith("{") else {}
        if found and found["when"] == "begin":
            steps.append(Step(found["step"]))
            at = status
        elif found and steps:
            step = steps[-1]
            step.result, step.seconds, step.detail = found["result"], float(found["seconds"]), found["detail"]
            step.counts = difference(counters(status), counters(at))
            step.sealed = at.get("state") == status.get("state") == "sealed"
            step.patches = difference(Counter(status.get("patches", {})), Counter(at.get("patches", {})))
    return steps


def files(kernel: kernels.Kernel) -> dict[str, bytes]:
    """What the guest gets below /run."""
    work = out_dir() / "storm"
    work.mkdir(parents=True, exist_ok=True)
    strict = ["-O2", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE"]
    run("gcc", *strict, "-o", work / "work", SOURCES / "work.c")
    run("gcc", *strict, "-o", work / "bpf", SOURCES / "bpf.c", "-lbpf")
    run("clang", "-O2", "-g", "-Wall", "-Werror", "-target", "bpf", "-I/usr/include/x86_64-linux-gnu", "-c",
        SOURCES / "storm.bpf.c", "-o", work / "storm.bpf.o")
    inside = {name: (work / name).read_bytes() for name in ("work", "bpf", "storm.bpf.o")}
    module = kernels.build_module(kernel, SOURCES / "module", "rf_livepatch")
    inside["rf_livepatch.ko"] = module.read_bytes()
    inside["storm.sh"] = (SOURCES / "storm.sh").read_bytes()
    inside["config"] = kernel.config.read_bytes()
    unit = (SOURCES / "storm.service").read_bytes()
    return {f"storm/{name}": body for name, body in inside.items()} | {
        "systemd/system/storm.service": unit}


def make_job(kernel: str, side: str, steps: list[str], options: argparse.Namespace) -> runner.Job:
    """One guest."""
    parameters = {"steps": ",".join(steps)} | (SHORT if options.short else {})
    seconds = JOB_SECONDS
    if side == "sealed" and not options.short:
        parameters |= {"rounds": 1000, "minutes": options.minutes}
        seconds += 60 * options.minutes
    # The console is the storm's: it answers there. An oops ends the guest, whatever part of it would go on.
    words = ["systemd.mask=serial-getty@ttyS0.service", "systemd.wants=storm.service", "oops=panic",
             *(f"rf.{name}={value}" for name, value in parameters.items())]
    script = f"kernel={kernel} side={side} options='{' '.join(words)}'\n" + (SOURCES / "job.sh").read_text()
    initrd = debian.initrd(kernel, files(kernels.get(kernel)))
    return runner.Job(f"storm-{kernel}-{side}", script, seconds, {"initrd": initrd}, debian=True)


def run_all(jobs: list[runner.Job], host_kernel: str, guests: list[str]) -> dict[str, runner.Result]:
    """Run the jobs; again, twice at most, those whose guest never came to the storm, and those unprotected that ended in it:
    the emulator ends a guest now and then, and of these nobody else can have. What a sealed guest began is never repeated.
    """
    def lost(result: runner.Result) -> bool:
        return "RF: storm up" not in result.log or (result.name.endswith("-unsealed") and "RF: storm done" not in result.log)

    # One processor: on two its guest or the emulator ended, why is not known (docs/testing.md).
    return runner.run_again(jobs, lambda left, _: runner.run_jobs(left, host_kernel, guests, cpus=1), lost, 3, "storm")[0]


class Storm:
    """Verdicts as they come in."""

    def __init__(self) -> None:
        self.passed, self.failed, self.skipped = 0, 0, 0
        self.steps = 0  # judged, of any guest
        self.figures: dict[str, dict[str, Any]] = {}

    def verdict(self, what: str, wrong: str) -> None:
        """One thing tested; it passed when nothing was wrong."""
        self.passed += not wrong
        self.failed += bool(wrong)
        if wrong:
            print(f"storm {what:24} FAILED  {wrong}", flush=True)

    def step(self, kernel: str, name: str, runs: dict[str, list[Step]]) -> None:
        """One step of one kernel, in the guests that were to do it."""
        for side, steps in runs.items():
            bad = [f"round {number}: {step.result}: {step.detail}" for number, step in enumerate(steps, 1)
                   if step.result not in ("ok", "skipped")]
            denied, alerts = (sum(step.counts[what] for step in steps) for what in ("denied", "alerts"))
            if denied or alerts:
                bad.append(f"{denied} stores denied, {alerts} alerts")
            if side == "sealed" and not all(step.sealed for step in steps):
                bad.append("the monitor did not say that the guest is sealed")
            done = [s for s in steps if s.result == "ok"]
            if side == "sealed" and name != "modules" and done and not any(s.counts["write"] + s.counts["poked"] for s in done):
                bad.append("it patched nothing")
            reasons = {step.detail for step in steps if step.result == "skipped"}
            if reasons and not bad:
                self.skipped += 1
                print(f"storm {kernel + ' ' + name:24} skipped {side}: {', '.join(sorted(reasons))}", flush=True)
            else:
                self.steps += 1
                self.verdict(f"{kernel} {name} {side}", "; ".join(bad[:3]) if steps else "it never ran")
        self.figures.setdefault(kernel, {})[name] = figures(runs)

    def guest(self, kernel: str, side: str, result: runner.Result) -> None:
        """One guest as a whole: it came to the storm's end; of a sealed one the record is quiet, the boot's too."""
        try:
            trial.check(not result.note, result.note)
            outcome = trial.Outcome(result)
            trial.check(outcome.said("RF: storm done"), "the guest did not come to the storm's end")
            if side == "sealed":
                trial.sealed(outcome)
                trial.quiet(outcome)
        except trial.WRONG as error:
            self.verdict(f"{kernel} guest {side}", f"{error} (artefacts in {result.out})")
        else:
            self.verdict(f"{kernel} guest {side}", "")

    def digest(self, kernel: str, runs: dict[str, list[Step]]) -> None:
        """Tracing tells the same of the sealed guest as of the other."""
        sums = [re.findall(r"sum=(\w+)", run.detail) for steps in runs.values() for run in steps]
        same = all(runs.values()) and all(s and s == sums[0] for s in sums)
        self.verdict(f"{kernel} digest same", "" if same else f"different or none: {sums}")


def figures(runs: dict[str, list[Step]]) -> dict[str, Any]:
    """What storm.json says of one step of one kernel. seconds are medians, by the guest's clock; all else adds up."""
    sealed = runs.get("sealed", [])
    counts: Counter[str] = sum((run.counts for run in sealed), Counter())
    patches: Counter[str] = sum((run.patches for run in sealed), Counter())
    seconds = {}
    for side in SIDES:
        done = [run.seconds for run in runs.get(side, []) if run.result == "ok"]
        seconds[side] = statistics.median(done) if done else None
    ratio = seconds["sealed"] / seconds["unsealed"] if seconds["sealed"] and seconds["unsealed"] else None
    return {"rounds": len(sealed), "results": dict(Counter(run.result for run in sealed)),
            "denied": counts["denied"], "alerts": counts["alerts"], "exits": counts["write"] + counts["poked"],
            "patches": dict(patches), "seconds_unsealed": seconds["unsealed"], "seconds_sealed": seconds["sealed"],
            "time_ratio": ratio and round(ratio, 2)}


def table(figures_of: dict[str, dict[str, Any]]) -> str:
    """For people."""
    lines = [f"{'kernel step':18} {'rounds':>6} {'denied':>6} {'alerts':>6} {'exits':>8} {'patches':>8} "
             f"{'unsealed s':>10} {'ratio':>6}"]
    for kernel, steps in figures_of.items():
        lines += [f"{kernel:5} {name:12} {f['rounds']:6} {f['denied']:6} {f['alerts']:6} {f['exits']:8} "
                  f"{sum(f['patches'].values()):8} {f['seconds_unsealed'] or '-':>10} {f['time_ratio'] or '-':>6}"
                  for name, f in steps.items()]
    return "\n".join(lines)


def planned(options: argparse.Namespace, parser: argparse.ArgumentParser) -> dict[str, list[str]]:
    """The steps of each guest that has any; an error where a name is unknown, or no step is left."""
    sides, steps = options.sides.split(), options.steps.split()
    for what, chosen, names in (("side", sides, SIDES), ("step", steps, STEPS)):
        if unknown := set(chosen) - set(names):
            parser.error(f"no such {what}: {' '.join(sorted(unknown))}; these are: {' '.join(names)}")
    plan = {side: [step for step in (SHORT_STEPS[side] if options.short else STEPS) if not steps or step in steps]
            for side in sides}
    plan = {side: chosen for side, chosen in plan.items() if chosen}
    if not plan or not options.kernels.split():
        parser.error("no step is left to run" + (f"; the short storm's are: {SHORT_STEPS}" if options.short else ""))
    return plan


def main() -> int:
    """Run the guests, judge, write the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernels", default="6.1 6.12")
    parser.add_argument("--host-kernel", default="6.12")
    parser.add_argument("--minutes", type=int, default=15, help="after which the sealed guest begins no new round")
    parser.add_argument("--short", action="store_true", help="one round of less")
    parser.add_argument("--sides", default=" ".join(SIDES), help="to look at one guest alone")
    parser.add_argument("--steps", default="", help="to look at these alone")
    options = parser.parse_args()
    name = "storm-short" if options.short else "storm"
    chosen = options.kernels.split()
    plan = planned(options, parser)
    try:
        if "sealed" in plan:
            built()
        jobs = [make_job(kernel, side, plan[side], options) for kernel in chosen for side in plan]
        results = run_all(jobs, options.host_kernel, chosen)
    except LabError as error:
        print(f"{name}: {error}\n{name}: 0 passed, 1 failed")
        return 1
    storm = Storm()
    for kernel in chosen:
        guests = {side: results[f"storm-{kernel}-{side}"] for side in plan}
        for side, result in guests.items():
            storm.guest(kernel, side, result)
        found = {side: read_steps(result.out / "samples") for side, result in guests.items()}
        for step in STEPS:
            runs = {side: [s for s in found[side] if s.name == step] for side in plan if step in plan[side]}
            if runs:
                storm.step(kernel, step, runs)
            if step == "digest" and len(runs) == 2:
                storm.digest(kernel, runs)
    write_atomic(out_dir().parent / f"{name}.json", json.dumps(storm.figures, indent=1).encode() + b"\n")
    print(table(storm.figures))
    if not storm.steps:
        print(f"{name}: no step was run")
    print(f"{name}: {storm.passed} passed, {storm.failed} failed, {storm.skipped} skipped")
    return 1 if storm.failed or not storm.steps else 0


if __name__ == "__main__":
    sys.exit(main())
