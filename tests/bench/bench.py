#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What protection costs: a table, and {figure: {value, unit, how}} as JSON. See docs/benchmarks.md.

Two guests of one stock kernel, one plain and one under ringfence, run the same loops in turn on one host; a memory image is
searched on this machine itself. Counts are judged, times never are. Ends with "bench: N passed, N failed".
"""
import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Iterable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
# pylint: disable=wrong-import-position
import checks  # noqa: E402
import discovery  # noqa: E402
import probe  # noqa: E402
import records  # noqa: E402
import runner  # noqa: E402
import verdicts  # noqa: E402
from build import ROOT, LabError, out_dir, write_atomic  # noqa: E402
from samples import FENCE_EXITS, REGISTER_EXITS, Measured, Patches, Samples, patch_log, patches  # noqa: E402
from trial import about_attacker  # noqa: E402

HERE = Path(__file__).resolve().parent
LOOPS = ("forkexec", "syscalls")
TRACER_RATIO = 3
SOME = "p*"
TRACED = {False: "all functions", True: f"set_ftrace_filter={SOME}"}
JOB_SECONDS = 700
LEAST_ROUNDS = 2
SIZES = (1, 4, 16)  # GiB of memory, of dumps that are looked at


class Bench:
    """Figures and verdicts as they come in. Those of every kernel but the first carry its name."""

    def __init__(self, command: str, where: str) -> None:
        self.command, self.where = command, where
        self.suffix = ""
        self.figures: dict[str, dict[str, Any]] = {}
        self.passed, self.failed, self.skipped = 0, 0, 0

    def figure(self, name: str, value: Any, unit: str, how: str, where: Optional[str] = None,
               spread: Iterable[float] = ()) -> None:
        """Record one figure; the spread gives it its least and greatest single measurement."""
        entry = {"value": tidy(value), "unit": unit, "how": f"{self.command}, {where or self.where}: {how}"}
        if spread := list(spread):
            entry |= {"least": tidy(min(spread)), "greatest": tidy(max(spread)), "measurements": len(spread)}
        self.figures[name + self.suffix] = entry

    def check(self, holds: object, text: str) -> None:
        """Count one verdict; say what does not hold."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"bench: FAILED{self.suffix.replace('_', ' ', 1)}: {text}", flush=True)

    def skip(self, reason: str) -> None:
        """What this machine cannot measure."""
        self.skipped += 1
        print(f"bench: skipped{self.suffix.replace('_', ' ', 1)}: {reason}", flush=True)

    def table(self) -> str:
        """For people."""
        lines = [f"{'figure':34} {'value':>10}  {'unit':30} {'least - greatest'}"]
        for name, f in self.figures.items():
            spread = f"{f['least']} - {f['greatest']} ({f['measurements']})" if "least" in f else ""
            lines.append(f"{name:34} {f['value']:>10}  {f['unit']:30} {spread}".rstrip())
        return "\n".join(lines)


def tidy(value: Any) -> Any:
    """Four significant digits say all there is."""
    if not isinstance(value, float):
        return value
    return round(value) if abs(value) >= 1000 else float(f"{value:.4g}")


def ratio(bench: Bench, name: str, pairs: list[tuple[Measured, Measured]], cost: Callable[[Measured], float],
          how: str) -> None:
    """Median over the rounds of sealed / unsealed."""
    ratios = [cost(sealed) / cost(unsealed) for unsealed, sealed in pairs]
    bench.figure(name, statistics.median(ratios), "sealed / unsealed", how, spread=ratios)


def steady(bench: Bench, samples: Samples) -> None:
    """The loops: what the fence adds (nothing), what KVM counts, what the guest's clock says."""
    loops = samples.of("sealed", *LOOPS)
    pairs = [pair for loop in LOOPS for pair in samples.pairs(loop)]
    bench.check(len(loops) == len(pairs) >= LEAST_ROUNDS * len(LOOPS), f"{len(pairs)} paired loops, {len(loops)} sealed")
    bench.check(samples.fences.get("unsealed") == 0 and samples.fences.get("sealed", 0) > 0,
                f"who is under the fence: {samples.fences}")
    bench.check(loops and all(m.before.status["state"] == m.after.status["state"] == "sealed" for m in loops), "not sealed")
    delta = sum(m.fence(*FENCE_EXITS) for m in loops)
    bench.figure("steady_exits_delta", delta, "exits", "`ringfence status --json` of the sealed guest before and after each "
                 f"loop: counters {' + '.join(FENCE_EXITS)}, added up over {len(loops)} loops")
    bench.check(loops and delta == 0, f"the fence added {delta} exits in steady state")
    for loop in LOOPS:
        ratio(bench, "forkexec_ratio" if loop == "forkexec" else "syscall_ratio", samples.pairs(loop),
              lambda m: m.said("ns") / m.said("n"), f"`helper {loop} N` in both guests in turn, CLOCK_MONOTONIC of the guest, "
              "median of the rounds")
    if not all("exits" in m.after.kvm and "exits" in m.before.kvm for pair in pairs for m in pair):
        bench.skip("KVM's own counters: no /sys/kernel/debug/kvm on this host")
        return
    for kind in ("unsealed", "sealed"):
        done = samples.of(kind, *LOOPS)
        total = sum(m.kvm("exits") for m in done) * 1e9 / sum(m.said("ns") for m in done)
        bench.figure(f"steady_exits_per_s_{kind}", total, "exits per second of guest time",
                     "/sys/kernel/debug/kvm/*/exits of the guest's VM before and after each loop")
    ratio(bench, "steady_exits_ratio", pairs, lambda m: m.kvm("exits") / m.said("n"),
          "/sys/kernel/debug/kvm/*/exits per iteration, median of the paired loops")
    ratio(bench, "steady_own_exits_ratio", pairs,
          lambda m: (m.kvm("exits") - m.kvm("irq_exits") - m.kvm("io_exits")) / m.said("n"),
          "the same of exits - irq_exits - io_exits: without the host's own interrupts, which come with time, and the "
          "line on the console that starts and ends a loop")
    # KVM reports a store to a read-only slot as MMIO: its own word on what the fence claims.
    mmio = sum(m.kvm("mmio_exits") for m in loops)
    bench.figure("steady_mmio_exits", mmio, "exits", "/sys/kernel/debug/kvm/*/mmio_exits of the sealed guest over the loops")
    bench.check(loops and mmio == 0, f"KVM counted {mmio} stores to read-only memory in steady state")


def patching(bench: Bench, samples: Samples, log: list[int], short: bool) -> None:
    """Legal patches: keys, and the function tracer, switched on and off in the sealed guest."""
    done = samples.of("sealed", "jump-label", "static-call", "tracer")
    bench.check(len(log) == sum(done[-1].after.status["patches"].values()), f"{len(log)} patches are on record")
    if all("mmio_exits" in m.after.kvm for m in done):
        seen, counted = sum(m.kvm("mmio_exits") for m in done), sum(m.fence("write") for m in done)
        bench.check(seen == counted, f"KVM counted {seen} sealed stores, the fence {counted}")
    switches = samples.of("sealed", "jump-label", "static-call")
    keys = patches(switches, log)
    bench.check(keys.finished > 50 * len(switches) / 4, f"only {keys.finished} sites patched: were the counters alive?")
    bench.check(keys.asked == 0, f"the monitor was asked {keys.asked} times about {keys.finished} patches")
    figures(bench, "key_", keys, f"{len(switches)} switches of sched_switch's tracepoint and of sched_schedstats")
    rounds = samples.of("sealed", "tracer")
    tracer = patches(rounds, log)
    bench.check(tracer.finished > 1000 * len(rounds) > 0, f"only {tracer.finished} patches in {len(rounds)} tracer rounds")
    # Each time it goes on it makes a trampoline, which the monitor finds when its first call is not on the table.
    bench.check(tracer.asked <= len(rounds), f"the monitor was asked {tracer.asked} times in {len(rounds)} rounds of the tracer")
    if tracer.finished:
        figures(bench, "", tracer, f"{len(rounds)} times the function tracer on and off, {TRACED[short]}")


def figures(bench: Bench, name: str, cost: Patches, runs: str) -> None:
    """What one patch costs in exits and questions."""
    counted = f"{runs}: {cost.finished} finished patches (`patches` of `ringfence status --json`)"
    bench.figure(f"{name}patch_exits", cost.exits / cost.finished, "exits per patch",
                 f"{counted}, counters write + poked = {cost.exits}")
    bench.figure(f"{name}patch_exits_per_byte", cost.exits / cost.bytes, "exits per instruction byte",
                 f"{counted}, of {cost.bytes} bytes by the patch log; the {cost.exits} stores have {cost.stored} bytes")
    bench.figure(f"{name}patch_round_trips", cost.asked / cost.finished, "questions to the monitor per patch",
                 f"{counted}, counters write - settled = {cost.asked}")


def tracing(bench: Bench, samples: Samples, short: bool) -> None:
    """How long the function tracer takes to go on and off. Time, so not judged, but said."""
    pairs = [pair for pair in samples.pairs("tracer") if pair[0].round]
    ratio(bench, "tracer_ratio", pairs, lambda m: m.said("ns"), "`helper switch current_tracer function nop`, "
          f"{TRACED[short]}, in both guests in turn, CLOCK_MONOTONIC of the guest, median of the rounds after a first one that "
          "makes buffers")
    value = bench.figures["tracer_ratio" + bench.suffix]["value"]
    if value > TRACER_RATIO:
        print(f"bench: NOTE{bench.suffix.replace('_', ' ', 1)}: tracer_ratio is {value}, above {TRACER_RATIO} ({bench.where})")


def denied(bench: Bench, samples: Samples) -> None:
    """One store that is refused."""
    attempts = samples.of("sealed", "denied-store")
    bench.check(len(attempts) == 1 and "result=faulted" in attempts[0].answer,
                f"the store was not refused: {[m.answer for m in attempts]}")
    for m in attempts:
        refused = m.fence("denied")
        bench.check(refused == 1, f"{refused} stores were refused instead of 1")
        bench.figure("denied_write_round_trip", m.fence(*FENCE_EXITS) / max(refused, 1), "exits per denied store",
                     "`echo direct_map >/proc/rf_attack` in the sealed guest: counters "
                     f"{' + '.join(FENCE_EXITS)} / denied")


def registers(bench: Bench, samples: Samples, watch: Path) -> None:
    """What pinned registers cost: nothing while nobody writes them, the time of a refused write, one program a host."""
    loops = samples.of("sealed", *LOOPS)
    delta = sum(m.fence(*REGISTER_EXITS) for m in loops)
    bench.figure("register_steady_exits_delta", delta, "exits", "`ringfence status --json` of the sealed guest before and after "
                 f"each loop: counters {' + '.join(REGISTER_EXITS)}, added up over {len(loops)} loops")
    bench.check(loops and delta == 0, f"pinned registers added {delta} exits in steady state")
    looks = sum(m.fence("looks") for m in loops) * 1e9 / sum(m.said("ns") for m in loops)
    bench.figure("register_looks_per_s", looks, "exits per second of guest time", "the same, counter `looks`: vCPUs got out to be "
                 "compared because they ran register_check_ms without leaving to the VMM")
    refused = samples.of("sealed", "denied-msr")
    bench.check(refused and all("result=faulted" in m.answer and m.fence("denied") == 1 for m in refused),
                f"writes of STAR were not refused once each: {[m.answer for m in refused]}")
    times = [m.said("ns") / 1000 for m in refused]
    bench.figure("denied_msr_write_us", statistics.median(times), "us", "`echo msr_star >/proc/rf_attack` in the sealed guest, "
                 "record on disk included; the guest's clock", spread=times)
    found = re.search(r"vms=(\d+) watched=(\d+) probes=(\d+) known=(\d+)", watch.read_text() if watch.exists() else "")
    if samples.of("sealed", *LOOPS)[-1].after.status["control_watch"] != "on":
        bench.skip("CR0 and CR4: this host has no control-register watch")
        return
    (latency,) = samples.of("sealed", "denied-cr")
    tries = latency.said("tries")
    bench.check("result=faulted" in latency.answer and latency.fence("control_undone") == latency.fence("denied") == tries > 0,
                f"writes of CR4 were not undone: {latency.answer}")
    bench.figure("denied_cr_write_us", latency.said("ns") / tries / 1000, "us", "`echo cr4_latency >/proc/rf_attack`: ns / tries, "
                 "records included, most of them counted and not written; the guest's clock")
    bench.check(found, "the many VMs did not come up")
    if found:
        vms, watched, probes, _ = map(int, found.groups())
        bench.check(vms == watched and probes == 2, f"{found.group()}: each VM watched, by two probes for all of them")
        bench.figure("control_watch_probes", probes, f"probes for {vms} VMs", "/sys/kernel/debug/kprobes/list of the host while "
                     f"{vms} VMs more run under `ringfence run`: kvm_set_cr0 and kvm_set_cr4, once each")


def memory(bench: Bench, samples: Samples) -> None:
    """What it takes in memory and, once, in time."""
    pairs = [pair for loop in LOOPS for pair in samples.pairs(loop)]
    last = pairs[-1][1].after.status
    extra = [sealed.after.memory["VmRSS"] - unsealed.after.memory["VmRSS"] for unsealed, sealed in pairs]
    bench.figure("sealed_extra_kib", statistics.median(extra), "KiB", "VmRSS in /proc/PID/status of the two QEMU "
                 "processes after the same loop, sealed - unsealed, guest memory all resident in both (-mem-prealloc)",
                 spread=extra)
    bench.figure("private_copy_kib", last["private_copy_kib"], "KiB", "`ringfence status --json`: memory that holds the "
                 "sealed bytes")
    sizes = [sealed.after.status["monitor_rss_kib"] for _, sealed in pairs]
    bench.figure("monitor_rss_kib", statistics.median(sizes), "KiB", "`ringfence status --json` after each loop",
                 spread=sizes)
    bench.figure("seal_ms", last["seal_ms"], "ms", "`ringfence status --json`: how long the one seal of this guest's "
                 "boot held its vCPUs; mostly the copy")
    bench.figure("discovery_lab_ms", last["discovery_ms"], "ms", "`ringfence status --json`: finding the kernel, out of the "
                 "running VMM, where the guest ran")


def found(bench: Bench, program: Path, kernel: str, runs: int) -> None:
    """Discovery on this machine itself."""
    try:
        d = discovery.measure(program, kernel, runs)
    except (LabError, OSError) as error:
        bench.check(False, f"discovery: {error}")
        return
    bench.check(True, "discovery")
    bench.figure("discovery_ms", d.ms, "ms", f"`oracle DUMP CR3 CR4 ENTRY` on the memory of a booted stock {kernel} "
                 f"kernel, median; {d.reads} reads, {d.read_kib} KiB", "natively on this machine", spread=d.times)


def instructions_of(bench: Bench, figure: str, how: str, function: str, command: list[str], numbers: tuple[int, int],
                    each: int = 1, where: Optional[str] = None) -> None:
    """In a function of the fence: the cost of two numbers of things, subtracted."""
    counts = []
    for number in numbers:
        call = ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", f"--toggle-collect={function}",
                *command, str(number)]
        try:
            done = subprocess.run(call, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
        except (OSError, subprocess.TimeoutExpired) as error:
            bench.skip(f"{figure}: {error}")
            return
        collected = re.search(r"Collected : (\d+)", done.stdout)
        if not re.search(rf"^{number} ", done.stdout, re.M) or not collected:
            bench.skip(f"{figure}: {done.stdout.strip().splitlines()[-1:]}")
            return
        counts.append(int(collected.group(1)))
    least, most = numbers
    bench.figure(figure, (counts[1] - counts[0]) / ((most - least) * each), "instructions", f"`valgrind --tool=callgrind "
                 f"--toggle-collect={function} {Path(command[0]).name} {' '.join([*command[1:], 'N'])}`: {how}, "
                 f"({most} - {least})" + (f" * {each}" if each > 1 else ""), where or "this machine's processor")


def instructions(bench: Bench, tests: Path) -> None:
    """What the fence does for an exit that is the VMM's, and for a store that it settles."""
    instructions_of(bench, "fence_instructions_per_exit", "N port exits of a sealed micro-guest that go on to the VMM",
                    "rf_fence_ioctl", [str(tests / "bench_exits")], (1000, 3000), where="natively on this machine's /dev/kvm")
    settle = "N batches of 256 patches of three stores each, on a table of 80,000 sites and 60,000 functions, each store"
    for name, kind in (("patch_fence_instructions", "ftrace"), ("patch_fence_instructions_static_call", "static_call")):
        instructions_of(bench, name, settle, "rf_text_settle", [str(tests / "bench_settle"), kind], (4, 12), 256 * 3)


def waiting(bench: Bench, rounds: int) -> None:
    """How long a vCPU waits for a verdict, whatever the sweeper does."""
    try:
        found = verdicts.measure(out_dir().parent, rounds)
    except (verdicts.Failed, OSError, KeyError, ValueError) as error:
        bench.skip(f"verdict_us_p99: {error}")
        return
    where, how = "natively on this machine's /dev/kvm", (f"99th percentile of {verdicts.COUNT} stores to sealed rodata that are "
                                                       "asked about, recorded and let through (mode: observe), by the guest's "
                                                       "time stamp counter; the median of the rounds")
    quiet = found.all_quiet()
    bench.figure("verdict_us_p99", statistics.median(quiet), "us", how, where, quiet)
    for condition, did in {"stopped": "stopped", "killed": "killed each second", "spinning": "as good as in a list without end: "
                           "beside a process that spins and is as nice"}.items():
        bench.figure(f"verdict_us_p99_sweeper_{condition}", statistics.median(found.p99[condition]), "us", f"the same, the sweeper "
                     f"{did}; {found.ratio(condition):.2f} of the quiet round beside each (median)", where, found.p99[condition])


def fence_lines(bench: Bench) -> None:
    """As the layer check counts them, and judges them."""
    done = subprocess.run(["scripts/check-layers"], cwd=ROOT, env=os.environ | {"CHECKS": "fence"}, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=120)
    found = re.search(r"fence: (\d+) lines of code, (\d+) with comments", done.stdout)
    bench.check(found and done.returncode == 0, f"CHECKS=fence scripts/check-layers: {done.stdout.strip()}")
    if found:
        bench.figure("fence_lines", int(found.group(1)), "lines of code", "`CHECKS=fence scripts/check-layers`: FENCE_SRCS and "
                     f"the headers they include, without comments and blank lines ({found.group(2)} with them)", "counted")


def script(kernel: str, short: bool) -> str:
    """job.sh with its numbers. A loop takes 0.3 s in the emulated host: many short pairs stand a busy machine better
    than few long ones.
    """
    rounds, budget, switches, traces = (LEAST_ROUNDS, 0, 1, LEAST_ROUNDS) if short else (16, 70, 2, 4)
    return (f"kernel={kernel} forkexec=50 syscalls=400000 rounds={rounds} least={LEAST_ROUNDS} budget={budget} "
            f"patches={switches} traces={traces} traces_budget=150 functions='{SOME if short else ''}' vms={10 if short else 100}\n" +
            (HERE / "job.sh").read_text())


def guests(bench: Bench, result: runner.Result, short: bool) -> None:
    """All figures of one pair of guests. A guest that said too little is one failure, not an accident of ours."""
    samples = Samples(result.out / "samples")
    bench.check(result.ok, result.note or f"the job ended with status {result.status} (artefacts in {result.out})")
    log = patch_log(result.out / "audit.patches")
    audit = result.out / "audit.jsonl"
    records = [json.loads(line) for line in audit.read_text().splitlines()] if audit.exists() else None
    # What attacks is itself found in /proc, by its module.
    foreign = records and [r for r in records if r.get("verdict") == "detected" and not about_attacker(r)]
    bench.check(records is not None and not foreign, f"on record, and nothing was done that is to be detected: {foreign}")
    for part in (lambda: steady(bench, samples), lambda: patching(bench, samples, log, short),
                 lambda: tracing(bench, samples, short), lambda: denied(bench, samples),
                 lambda: registers(bench, samples, result.out / "watch"), lambda: memory(bench, samples)):
        try:
            part()
        except (ValueError, KeyError, IndexError, ZeroDivisionError, statistics.StatisticsError) as error:
            bench.check(False, f"{error!r} (artefacts in {result.out})")


def finish(bench: Bench, name: str, ran: str) -> int:
    """Write, show, judge."""
    write_atomic(out_dir().parent / f"{name}.json", (json.dumps(bench.figures, indent=1) + "\n").encode())
    print(f"\n{ran}; {name}.json")
    print(bench.table())
    skipped = f", {bench.skipped} skipped" if bench.skipped else ""
    print(f"bench: {bench.passed} passed, {bench.failed} failed{skipped}")
    return 1 if bench.failed else 0


def record() -> int:
    """What the record takes, alone."""
    bench = Bench("make bench-record", "this machine")
    records.measure(bench, out_dir().parent)
    return finish(bench, "bench-record", "no guests ran")


def looking(series: str) -> int:
    """What it costs to look at dumps, alone."""
    bench = Bench("make bench-checks", "this machine")
    checks.measure(bench, out_dir().parent, series, SIZES, 9)
    return finish(bench, "bench-checks", f"guests of {series}, on plain emulation")


def main() -> int:
    """Measure, show, write, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="two rounds of the first kernel")
    parser.add_argument("--record", action="store_true", help="what the record takes alone: needs no guest")
    parser.add_argument("--checks", action="store_true", help="what it costs to look at dumps alone: needs no KVM")
    parser.add_argument("--kernels", default="6.12 6.1")
    parser.add_argument("--host-kernel", default="6.12")
    options = parser.parse_args()
    if options.record:
        return record()
    kernels = options.kernels.split()[:1 if options.short else None]
    if options.checks:
        return looking(kernels[0])
    began, load = time.monotonic(), os.getloadavg()[0]
    name = "bench-short" if options.short else "bench"
    try:
        mode, _ = probe.choose()
        bench = Bench(f"make {name}", "emulated host" if mode == "emulated" else "this machine's KVM")
        jobs = [runner.Job(f"bench-{kernel}", script(kernel, options.short), JOB_SECONDS,
                           {"onevm": out_dir().parent / "tests/bench_onevm"}) for kernel in kernels]
        results = runner.run_jobs(jobs, options.host_kernel, kernels)
    except LabError as error:
        print(f"bench: {error}\nbench: 0 passed, 1 failed")
        return 1
    for kernel, result in zip(kernels, results):
        bench.suffix = "" if kernel == kernels[0] else f"_{kernel}"
        guests(bench, result, options.short)
        found(bench, out_dir().parent / "oracle", kernel, 3 if options.short else 9)
    bench.suffix = ""
    bench.figure("machine_load", max(load, os.getloadavg()[0]), "runnable tasks", "os.getloadavg(), the greater of "
                 f"before and after; {os.cpu_count()} processors. Far above that, times say little", "this machine")
    instructions(bench, out_dir().parent / "tests")
    waiting(bench, 2 if options.short else 10)
    records.measure(bench, out_dir().parent)
    if not options.short:
        checks.measure(bench, out_dir().parent, kernels[0], SIZES, 9)
    fence_lines(bench)
    return finish(bench, name, f"suffix none: {kernels[0]}; guests ran: {bench.where}; {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
