# SPDX-License-Identifier: LGPL-2.1-or-later
"""What it costs to look at a dump, on this machine itself: finding the kernel, each check, the lists beside drgn's.

A stock guest boots on plain emulation with 1, 4 and 16 GiB of memory and is dumped as an ELF core, as libvirt does; where it
is zeros the file has holes. Times are of a file that is in the page cache. Each of them is told; the number of reads and the
memory that the command takes are judged, as they are the same on a busy machine.
"""
import json
import os
import signal
import statistics
import subprocess
from dataclasses import dataclass
from fcntl import F_SETPIPE_SZ, fcntl
from pathlib import Path
from typing import Any

import kernels
import looks
import oracle
from build import Cpio, LabError, out_dir

RSS_KIB = 64 << 10
# What more of memory may cost in reads: a larger guest has longer tables of some kinds.
GROWTH = 1.25
# The goals, of a machine that does nothing else: told where they are missed, not judged.
GOALS = {"discovery_dump_ms": 50, "all_checks_ms": 300}


@dataclass
class Cost:
    """Of a part of one run; cpu_ms: of a processor, which other work on the machine hardly changes."""
    ms: float
    cpu_ms: float
    reads: int
    bytes: int


@dataclass
class Looked:
    """One run of bench_checks by the registers in the dump."""
    discovery: Cost
    checks: Cost
    walk_ms: float
    each: list[dict[str, Any]]


def _lines(program: Path, core: Path, how: str) -> list[dict[str, Any]]:
    done = subprocess.run([program, core, how], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=600)
    if done.returncode:
        raise LabError(f"bench_checks {how}: {done.stderr.strip()[-300:]}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def _cost(lines: list[dict[str, Any]], name: str) -> Cost:
    (line,) = (line for line in lines if name in line)
    return Cost(line[name], line["cpu_ms"], line["reads"], line["bytes"])


def _look(program: Path, core: Path) -> Looked:
    lines = _lines(program, core, "registers")
    (walk,) = (line["walk_ms"] for line in lines if "walk_ms" in line)
    return Looked(_cost(lines, "discovery_ms"), _cost(lines, "checks_ms"), walk, [line for line in lines if "check" in line])


def _rss_kib(program: Path, core: Path) -> int:
    """VmHWM of `ringfence check`, which waits meanwhile: its answer is longer than the pipe it is written to."""
    reader, writer = os.pipe()
    fcntl(writer, F_SETPIPE_SZ, 4096)
    with subprocess.Popen([program, "check", "--json", core], stdout=writer) as process:
        os.close(writer)
        try:
            os.read(reader, 1)
            status = Path(f"/proc/{process.pid}/status").read_text()
        finally:
            process.send_signal(signal.SIGKILL)
            os.close(reader)
    peak = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    if not peak:
        raise LabError("`ringfence check` ended before its answer was read")
    return peak[0]


def _boot(kernel: kernels.Kernel, home: Path, gib: int) -> Path:
    """A core of that guest, and beside it what it said of its types and symbols."""
    home.mkdir(parents=True, exist_ok=True)
    archive = Cpio()
    archive.busybox()
    archive.data("init", oracle.INIT.encode(), 0o755)
    archive.char_device("dev/console", 5, 1)
    for name in ("proc", "sys"):
        archive.directory(name)
    for name, body in kernel.modules(["dummy", "veth", "qemu_fw_cfg"]).items():
        archive.data(f"mod/{name}.ko", body)
    (home / "initrd").write_bytes(archive.finish())
    with oracle.guest(home, kernel.vmlinuz, "max", "pti=on", "-m", f"{gib}G", *oracle.VMCOREINFO) as process:
        oracle.until_ready(home, process, kernel.series)
        core = oracle.sparse_core(oracle.Stub(home / "gdb"), home)
    (home / "symbols").write_text(oracle.guest_symbols(home))
    oracle.btf_json(home)
    return core


def _times(bench: Any, name: str, size: str, costs: list[Cost], how: str) -> None:
    goal = GOALS[name] if size == "1g" else 0
    name = name if size == "1g" and name != "all_checks_ms" else f"{name}_{size}"
    for figure, values, what in ((name, [cost.ms for cost in costs], ""),
                                 (name.replace("_ms", "_cpu_ms"), [cost.cpu_ms for cost in costs], "processor time of ")):
        bench.figure(figure, statistics.median(values), "ms", f"{what}{how}, median of {len(costs)}; {costs[0].reads} reads, "
                     f"{costs[0].bytes >> 10} KiB", spread=values)
        if goal and statistics.median(values) > goal:
            print(f"bench: NOTE: {figure} is {statistics.median(values):.0f}, above {goal} (load {os.getloadavg()[0]:.1f})")


def _of(name: str, size: str) -> str:
    """The usual size has the name alone."""
    return name if size == "1g" else f"{name}_{size}"


def _one_size(bench: Any, build: Path, core: Path, size: str, rounds: int) -> Looked:
    program = build / "tests/bench_checks"
    runs = [_look(program, core) for _ in range(rounds)]
    _times(bench, "discovery_dump_ms", size, [run.discovery for run in runs], "`bench_checks CORE registers`: opening the dump, "
           "and the kernel with its symbols and types, by the registers in it")
    _times(bench, "all_checks_ms", size, [run.checks for run in runs], f"the same, then all {len(runs[0].each)} checks")
    bench.figure(_of("check_reads", size), runs[0].checks.reads, "reads of guest memory", "the same, all checks")
    others = [f"{each['check']} {each['state']} {each['why']}" for each in runs[0].each if each["state"] != "clean"]
    bench.check(len(runs[0].each) > 50 and not others, f"{size}: checks that are not clean: {others}")
    rss = _rss_kib(build / "ringfence", core)
    bench.figure(_of("check_rss_kib", size), rss, "KiB", "VmHWM of `ringfence check --json CORE`")
    bench.check(rss < RSS_KIB, f"{size}: `ringfence check` takes {rss} KiB, the most is {RSS_KIB}")
    return runs[0]


def _table(bench: Any, build: Path, looked: dict[str, Looked]) -> None:
    """Each check at each size."""
    sizes = list(looked)
    rows = {each["check"]: {size: {"ms": round(mine["seconds"] * 1e3, 3), "reads": mine["reads"], "objects": mine["objects"]}
                            for size in sizes for mine in looked[size].each if mine["check"] == each["check"]}
            for each in looked[sizes[0]].each}
    (build / "bench-checks-each.json").write_text(json.dumps(rows, indent=1) + "\n")
    print(f"{'check':20}" + "".join(f"{size:>10} ms {'reads':>8} {'objects':>8}" for size in sizes))
    for name, row in rows.items():
        print(f"{name:20}" + "".join(f"{row[size]['ms']:13} {row[size]['reads']:8} {row[size]['objects']:8}" for size in sizes))


def _beside_drgn(bench: Any, home: Path, core: Path, ours: float, rounds: int) -> None:
    """The lists of tasks and of modules, with all that `ps` and `modules` show. Both have loaded, and walked them before."""
    theirs = looks.drgn(home, core, rounds)
    bench.figure("drgn_walk_ms", theirs["walk_ms"], "ms", f"drgn_walk.py: {len(theirs['tasks'])} tasks, {len(theirs['modules'])} "
                 f"modules by list_for_each_entry(), all that `ps` and `modules` show of each; median of {rounds}")
    bench.figure("walk_ms", ours, "ms", "`bench_checks CORE registers`: rf_list_tasks() and rf_list_modules(), median of 9")
    bench.figure("tasks_vs_drgn_ratio", ours / theirs["walk_ms"], "ringfence / drgn", "walk_ms / drgn_walk_ms: one dump, walks "
                 "alone, after each has loaded; drgn's are Python that calls its C library for each member")


def measure(bench: Any, build: Path, series: str, sizes: tuple[int, ...], rounds: int) -> None:
    """Figures of all sizes, in GiB. A guest that does not come up is one failure."""
    where, bench.where = bench.where, "natively on this machine"
    kernel, looked = kernels.get(series), {}
    for gib in sizes:
        size, home = f"{gib}g", out_dir() / "bench" / f"checks-{gib}g"
        try:
            core = _boot(kernel, home, gib)
            looked[size] = _one_size(bench, build, core, size, rounds)
            search = _cost(_lines(build / "tests/bench_checks", core, "memory"), "discovery_ms")
            bench.figure(_of("search_ms", size), search.ms, "ms", "`bench_checks CORE memory`: the kernel is found without "
                         f"registers, which reads all of the memory: {search.bytes >> 20} MiB")
            if gib == sizes[0]:
                _beside_drgn(bench, home, core, looked[size].walk_ms, rounds)
        except (LabError, OSError, ValueError, subprocess.TimeoutExpired) as error:
            bench.check(False, f"a dump of {gib} GiB: {error}")
        finally:
            (home / "core").unlink(missing_ok=True)
    if looked:
        _table(bench, build, looked)
    first, *others = [(size, run.checks.reads) for size, run in looked.items()] or [("", 0)]
    for size, reads in others:
        bench.check(reads < first[1] * GROWTH, f"all checks read {reads} times at {size}, {first[1]} times at {first[0]}")
    bench.where = where
