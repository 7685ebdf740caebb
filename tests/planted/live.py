#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the checks find in a guest that runs: plants of tests/planted/module in a sealed guest, each of which must be on record.

The lab's host boots the guest without protection and with it. In both each plant must be there, as the module says. The
record of the protected one must have nothing of kind check before the first plant, and then one line for each of them, of the
right check, with the right address. How long that took is shown, and in build/planted-live.json. What a seal refuses anyway is
left out: this is about what comes in by the kernel's own interfaces, or changes data. Twice more it runs under a policy of which
one check pauses it, which somebody must resume, and one ends it.

    live.py [--host-kernel 6.12] [KERNEL]
"""
import argparse
import json
import re
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "lab")]

import kernels  # noqa: E402
import planted  # noqa: E402
import runner  # noqa: E402
from build import LabError, out_dir, write_atomic  # noqa: E402
from host import built  # noqa: E402

PLANTS = """netfilter_hook packet_all notifier_reboot notifier_keyboard proc_created proc_ops_copy misc_device inode_fop
binary_format key_type file_system_type pernet_ops tcp_congestion socket_family kthread timer high_timer running_work
task_unlisted task_unnumbered creds_of_kernel module_unlisted module_deleted taint_cleared modprobe_path core_pattern
setuid_file kernel_started""".split()
QUIET, PATIENCE = 20, 60  # seconds of the guest's
JOB_SECONDS = 400
# What the policies of two more guests say, and who resumes the one that stands still: it is looked at twice.
POLICIES = {"paused": "checks_observe: [ netfilter ]\\nchecks_pause: [ packet-handlers ]", "ended": "checks_kill: [ notifiers ]"}
RESUME = """
printf 'version: 1\\n{policy}\\n' >policy
(while sleep 1; do
	vmm=$(sed -n 's/.*`kill -CONT \\([0-9]*\\)` resumes it.*/\\1/p' $OUT/console 2>/dev/null | tail -1)
	[ "$vmm" ] || continue
	for _ in 1 2; do sleep 3; grep State: /proc/$vmm/status >>$OUT/state; done
	kill -CONT $vmm
	break
done) &
"""
SCRIPT = """
export WRAP="{wrap}"
INITRD=./initrd MEMORY=512 LIMIT=380 l2 {kernel} 1 '' 2>&1 | while read -r line; do
	echo "$line" >>$OUT/console
	case $line in
	*STAGE*|*PLANTED*) read -r up _ </proc/uptime; echo "$up $line" >>$OUT/times ;;
	*BUG*|*Oops*|*panic*|*"NO PLANTS"*) echo "$line" ;;
	esac
done
"""


def make_job(kernel: str, side: str, initrd: Path) -> runner.Job:
    """One guest."""
    policy = "--policy policy " if side in POLICIES else ""
    wrap = f"ringfence run --name live {policy}--audit $OUT/audit.jsonl --" if side != "control" else ""
    before = RESUME.format(policy=POLICIES[side]) if policy else ""
    return runner.Job(f"live-{kernel}-{side}", before + SCRIPT.format(wrap=wrap, kernel=kernel), JOB_SECONDS, {"initrd": initrd})


def times_of(path: Path) -> dict[str, float]:
    """When the console said that a plant was planted, or a stage begun: seconds since the host's boot."""
    found = {}
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        said = re.match(r"([\d.]+) .*(?:PLANTED (\S+) check=|STAGE (\S+))", line)
        if said:
            found[said[2] or f"STAGE {said[3]}"] = float(said[1])
    return found


def checks_of(path: Path) -> list[dict]:
    """Lines of what checks have found."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    records = [json.loads(line) for line in lines if line.startswith("{")]
    return [r for r in records if r.get("kind") == "check" and r.get("verdict")]


def second_of(record: dict) -> float:
    """When it was written, by the same clock."""
    return record["mono_ns"] / 1e9


def is_about(record: dict, plant: planted.Plant) -> bool:
    """The check's name begins the detail; of a pointer the target counts, of a structure its own address."""
    here = int(record.get("target", {}).get("addr", "0"), 16)
    leads_to = int(record.get("handler", {}).get("addr", "0"), 16)
    return (record["detail"].startswith(plant.check + " ") and leads_to == plant.target
            and (here == plant.object or not plant.object))


def judge(counts: planted.Counts, kernel: str, plant: planted.Plant, control: dict, records: list[dict], times: dict) -> None:
    """One plant."""
    name = f"{kernel}-{plant.name}"
    if plant.said == "CANNOT":
        return counts.skips(name, plant.why)
    if plant.said != "PLANTED" or "reads=no" in plant.proof or not plant.proof:
        return counts.fails(name, f"it is not there: {plant.said} {plant.why} {plant.proof}")
    if plant.name not in control or "reads=no" in control[plant.name].proof or not control[plant.name].proof:
        return counts.fails(name, "it was not there in the guest without protection")
    found = next((record for record in records if is_about(record, plant)), None)
    row = {"check": plant.check, "plant": plant.name, "kernel": kernel, "live": "found" if found else "missed"}
    counts.rows.append(row)
    if not found:
        return counts.fails(name, f"{plant.check} has not told of {plant.object:#x} -> {plant.target:#x}")
    row["seconds"] = round(second_of(found) - times.get(plant.name, 0), 1)
    return counts.passes(name, row["seconds"], found["detail"])


def judge_policies(counts: planted.Counts, kernel: str, outs: dict[str, Path]) -> None:
    """What became of the guests that a check was to pause, and to end."""
    def text(side: str, name: str) -> str:
        return (outs[side] / name).read_text(errors="replace") if (outs[side] / name).exists() else ""

    def has(side: str, check: str, verdict: str, outcome: str) -> bool:
        return any(r["detail"].startswith(check + " ") and (r["verdict"], r["outcome"]) == (verdict, outcome)
                   for r in checks_of(outs[side] / "audit.jsonl"))
    wanted = {
        "observed": ("netfilter's finding is not on record as allowed", has("paused", "netfilter", "allowed", "left as it is")),
        "paused": ("packet-handlers' finding is not on record so",
                   has("paused", "packet-handlers", "detected", "left as it is, and the VM is paused")),
        "stands-still": ("its VMM did not stand still", text("paused", "state").count("T (stopped)") == 2),
        "resumed": ("it did not go on", "STAGE DONE" in text("paused", "console")),
        "ended": ("notifiers' finding is not on record so", has("ended", "notifiers", "detected", "the VM is ended")),
        "is-over": ("the guest went on, or nobody says why it ended", "STAGE DONE" not in text("ended", "console")
                    and "is ended for what a check has found" in text("ended", "console")),
    }
    for name, (why, holds) in wanted.items():
        if holds:
            counts.passes(f"{kernel}-policy-{name}", 0, "as the policy says")
        else:
            counts.fails(f"{kernel}-policy-{name}", why)


def main() -> int:
    """Boot, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--host-kernel", default="6.12")
    parser.add_argument("kernel", nargs="?", default="6.12")
    options = parser.parse_args()
    counts, home = planted.Counts(), out_dir() / "planted" / f"live-{options.kernel}"
    try:
        built()
        home.mkdir(parents=True, exist_ok=True)
        script = (HERE / "live.sh").read_text().replace("$PLANTS", ",".join(PLANTS))
        script = script.replace("$QUIET", str(QUIET)).replace("$PATIENCE", str(PATIENCE))
        planted.initrd(out_dir().parent, kernels.get(options.kernel), home, script, [])
        jobs = [make_job(options.kernel, side, home / "initrd") for side in ("control", "protected", *POLICIES)]
        results = {r.name: r for r in runner.run_jobs(jobs, options.host_kernel, [options.kernel], cpus=1)}
    except LabError as error:
        print(f"planted-live: {error}\nplanted-live: 0 passed, 1 failed")
        return 1
    sides = {side: results[f"live-{options.kernel}-{side}"] for side in ("control", "protected")}
    plants = {side: planted.plants_of((r.out / "console").read_text(errors="replace") if (r.out / "console").exists() else "")
              for side, r in sides.items()}
    records, times = checks_of(sides["protected"].out / "audit.jsonl"), times_of(sides["protected"].out / "times")
    early = [r for r in records if second_of(r) < min((t for name, t in times.items() if name in PLANTS), default=0)]
    if early or "STAGE PLANTED" not in times:
        counts.fails(f"{options.kernel}-quiet", f"{len(early)} findings before anything was planted: {early[:2]}")
    else:
        counts.passes(f"{options.kernel}-quiet", times["STAGE PLANTED"] - times.get("STAGE CLEAN", 0), "nothing is found")
    judge_policies(counts, options.kernel, {side: results[f"live-{options.kernel}-{side}"].out for side in POLICIES})
    for plant in plants["protected"]:
        judge(counts, options.kernel, plant, {p.name: p for p in plants["control"]}, records, times)
    write_atomic(out_dir().parent / "planted-live.json", json.dumps(counts.rows, indent=1).encode() + b"\n")
    print(f"planted-live: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed or counts.passed < 2 else 0


if __name__ == "__main__":
    sys.exit(main())
