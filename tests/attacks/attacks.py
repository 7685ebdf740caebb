#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every attack, first on a plain guest, where it must land, then on a protected one, where it must not.

For each kernel and number of processors two guests boot on one host. Of the protected guest the log must hold a record
that names each attack's target. Results go to attacks.json in the build folder.
"""
import argparse
import json
import re
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Iterable, Optional

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab"))
# pylint: disable=wrong-import-position
import runner  # noqa: E402
from build import ROOT, LabError, out_dir  # noqa: E402
from host import built  # noqa: E402
from kernels import NEWER  # noqa: E402
from trial import losses  # noqa: E402

LINE = re.compile(r"RF: attack (?P<name>\S+) result=(?P<result>\S+) target=(?P<symbol>\S+?)\+(?P<offset>0x[0-9a-f]+) "
                  r"va=(?P<va>\S+) pa=(?P<pa>\S+) len=(?P<len>\d+) detail=(?P<detail>.*)")

Record = dict[str, Any]

# How a record calls a store, by what KVM made of it.
STORES = ("write", "emulation", "delivery")

# Of the policy that protected guests have. Of what was left half way the record is due that long after the last store to
# text; the guest counts its own steps of 100 ms, which may take longer, never shorter, and looks less often than the monitor.
PATCH_TIMEOUT_MS = 3000
PATCH_LATE_MS = 3 * PATCH_TIMEOUT_MS


@dataclass(frozen=True)
class Wanted:
    """What must become of an attack under protection."""
    word: str = "blocked"
    results: tuple[str, ...] = ("faulted", "unchanged")
    kinds: tuple[str, ...] = STORES  # of its record
    outcome: Optional[str] = None  # of its record, where that is one of several
    # The guest itself waits until it is found, so that it stands in the log in its turn.
    in_turn: bool = True
    records: int = 1
    rules: tuple[str, ...] = ()  # of its record, any where there are none
    says: str = ""  # how its record's detail begins


# Stopped on the way, but for these: a device's write goes to a decoy, which is found by looking; a patch that is begun and
# left is found by waiting, and taken back; a control register is written before anybody hears of it, and set back before
# the guest goes on; a processor's own lidt and its GDT are looked at.
STOPPED = Wanted()
ABANDONED = Wanted("detected", ("restored",), ("patch",), "the site's old bytes were put back")
UNDONE = Wanted("undone", ("faulted",), ("control-register",))
LOOKED_AT = Wanted("detected", ("restored",), ("msr",), in_turn=False)
MSR = Wanted("blocked", ("faulted",), ("msr",))
# The kernel's own interfaces: it is told who comes by them.
HOOK = Wanted("detected", ("landed",), ("hook",), in_turn=False)
# What the kernel's patcher is given is no site, or none of the site's instructions.
NO_PATCH = Wanted(rules=("text-illegal-instruction", "text-not-a-patch-site"))
WANTED = {"dma_read": Wanted("detected", kinds=("dma",), in_turn=False),
          "dma_twice": Wanted("detected", kinds=("dma",), in_turn=False, records=2), "int3_recorded": ABANDONED, "int3_kept": ABANDONED,
          "cr0_wp": UNDONE, "cr4_smep": UNDONE, "cr4_smap": UNDONE, "cr4_umip": UNDONE, "cr4_rop": UNDONE, "cr4_ap": UNDONE,
          "cr4_latency": UNDONE, "lstar_after_seal": MSR, "msr_cstar": MSR, "msr_star": MSR, "msr_sfmask": MSR,
          "msr_sysenter": MSR, "msr_misc": MSR, "efer_nxe": MSR, "pat_change": MSR, "kvmclock_rodata": MSR,
          "msr_vmload": LOOKED_AT, "msr_vmrun": LOOKED_AT,
          "idt_gate": Wanted("blocked", ("faulted",)), "idt_lidt": Wanted("blocked", ("faulted",), ("table",)),
          "idt_lidt_own": Wanted("detected", ("restored",), ("table",), in_turn=False),
          "gdt_callgate": Wanted("detected", ("restored", "landed"), ("table",), in_turn=False),
          "restore_starved": ABANDONED, "sgdt_sealed": Wanted("blocked", ("faulted",)),
          **{f"hook_{how}": replace(HOOK, says=f"{how.replace('_', '-')}; ")
             for how in ("ftrace", "fprobe", "kprobe", "kretprobe", "tracepoint", "static_call")},
          "forged_ops": replace(HOOK, says="ftrace, every function"), "unlisted_ops": replace(HOOK, says="unlisted: "),
          "forged_kprobe": replace(HOOK, says="kprobe; calls the module"),
          "forged_kprobe_nobody": replace(HOOK, says="kprobe; calls code in memory that no listed module owns"),
          # Told in any case; where the monitor has seen its probe come and go, it is a patch that was begun and left as well.
          "forged_kprobe_stray": replace(HOOK, says="stray-probe", results=("landed", "unchanged")), "forged_kprobe_inside": NO_PATCH,
          "forged_static_key": NO_PATCH, "moved_static_key": NO_PATCH,
          # Where no frame can be pushed the guest may end; what it was about to do it has said before.
          "stack_in_sealed": Wanted("blocked", ("faulted", "none"))}

# Seconds that a protected guest needs at most; runner.PATIENCE times that, and it is killed.
SHIELDED_LIMIT = 150

# Those that want a guest of their own: of another machine, or because they may end it. All of one setting share a guest.
ALONE = {"lstar_zero_vmport": "pc", "lstar_zero_l2": "pc", "log_flood": "last", "stack_in_sealed": "last"}
SETTINGS = {"": "DISK=disk.img", "pc": "BOARD=q35", "last": ""}

# Shown and not stopped: no pin applies to a guest's guest, whose memory may be the guest's own (docs/threat-model.md).
OPEN = {"cr4_vmrun": "not covered: a guest that runs itself as a guest of its own"}


# The emulated processor does not tell the host's KVM of XSETBV, which any other does. A newer KVM's emulator knows AVX
# stores (7.3 does, 6.18 does not) and looks at its own XCR0 (emulate.c x86_emulate_insn()): the guest gets the #UD of a vCPU whose AVX is off, before any store.
AVX_UNKNOWN = "the emulated processor hides XCR0 from KVM; denied_unemulated of kvm-lab makes this store"


def hidden(pair: "Pair", shielded: "Attempt") -> bool:
    """Whether this is the one store that the lab cannot bring before a newer KVM."""
    return pair.host in NEWER and shielded.name == "avx_32" and shielded.result == "faulted" and "trap=6 " in shielded.detail


@dataclass
class Attempt:
    """One line of a guest about one attack."""
    name: str
    result: str
    symbol: str
    offset: int
    va: int
    pa: int
    length: int
    detail: str


@dataclass
class Pair:
    """The two guests of one kernel and number of processors, in one setting."""
    kernel: str
    cpus: int
    host: str
    setting: str = ""
    attacks: str = "all"
    control: dict[str, Attempt] = field(default_factory=dict)
    protected: dict[str, Attempt] = field(default_factory=dict)
    records: list[Record] = field(default_factory=list)
    folded: list[Record] = field(default_factory=list)  # lines that count what was not written
    log_bytes: int = 0
    stopped: bool = False  # the protected guest had to be ended
    lost: str = ""  # what tells that a process of ours was lost beside the protected guest

    def job_name(self, side: str) -> str:
        """The name of one of its two jobs."""
        return f"attacks-{self.kernel}-{self.cpus}-{self.setting}{'-' * bool(self.setting)}{side}"


def attempts(log: str) -> dict[str, Attempt]:
    """What a guest said of each attack it began; the one that ended it is there with no result."""
    found = {name: Attempt(name, "silent", "?", 0, 0, 0, 0, "the guest ended") for name in re.findall(r"RF: begin (\w+)", log)}
    for match in LINE.finditer(log):
        part = match.groupdict()
        found[part["name"]] = Attempt(part["name"], part["result"], part["symbol"], int(part["offset"], 16),
                                      int(part["va"], 16), int(part["pa"], 16), int(part["len"]), part["detail"].strip())
    return found


# What a kernel that dies says of why and where, before the many lines of its registers.
OOPS = re.compile(r"BUG: |kernel BUG at |Oops: |^int3: |general protection fault|double fault|stack segment: |invalid opcode: |RIP: ")


def add_ending(found: dict[str, Attempt], result: runner.Result) -> None:
    """Of the attack that nothing more was heard of: how its guest's job ended, why its kernel died, and what was said last."""
    lines = [re.sub(r"^\[ *[0-9.]+\] ", "", line.strip()) for line in result.log.splitlines() if line.strip()]
    died = [line for line in lines if OOPS.search(line)][:4]
    last = died + lines[-1:] if died else lines[-3:]
    for attempt in found.values():
        if attempt.result == "silent":
            attempt.detail += f"; its job: status {result.status}, {result.seconds:.0f} s {result.note}; it said: {' / '.join(last)}"


def read_records(path: Path) -> list[Record]:
    """The decisions of an audit log; none when there is no log. A line cut by a crash is left out."""
    found = []
    for line in path.read_text(errors="replace").splitlines() if path.exists() else []:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("type", "decision") == "decision":
            found.append(record)
    return found


def read_folded(path: Path) -> list[Record]:
    """The lines that count decisions. A number that was met before is the same line once more."""
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines if '"type":"folded"' in line and line.endswith("}")]
    return list({record["number"]: record for record in found}.values())


def number(value: Any) -> Optional[int]:
    """A number that JSON carries as text or as itself."""
    try:
        return int(value, 0) if isinstance(value, str) else int(value)
    except (TypeError, ValueError):
        return None


def names_register(record: Record, attempt: Attempt) -> bool:
    """Whether the record's text has the register and the bit ("CR4.SMEP"), and of an MSR also the value."""
    text = str(record.get("detail") or "")
    named = all(re.search(rf"\b{re.escape(word)}\b", text) for word in attempt.symbol.removeprefix("MSR_").split("."))
    return named and (record["kind"] != "msr" or f"<- {attempt.va:#x}," in text)


def names_target(record: Record, attempt: Attempt) -> bool:
    """Whether the record is about this attack's target, by name or, under any name, by the frame's address."""
    target = record.get("target") or {}
    offset, gpa = number(target.get("offset")), number(record.get("gpa"))
    if record.get("kind") == "hook" and number((record.get("handler") or {}).get("addr")) == attempt.va:
        return True
    if record.get("kind") in ("msr", "control-register", "table"):
        return names_register(record, attempt)
    # A cut store is recorded by the part that was refused, a disk sector by the bytes that differ.
    if target.get("symbol") == attempt.symbol and offset is not None:
        return offset < attempt.offset + attempt.length and offset + (number(record.get("len")) or 1) > attempt.offset
    return bool(target.get("symbol")) and gpa is not None and attempt.pa <= gpa < attempt.pa + attempt.length


def find_record(records: list[Record], attempt: Attempt) -> Optional[Record]:
    """The attack's own record: of its kind, with the word and the end that are wanted. Attacks run one after another and
    several share a target, so what has been passed by in the log is taken off: none shares a record with another. Of what
    looking finds alone, the time says nothing.
    """
    wanted = WANTED.get(attempt.name, STOPPED)
    for index, record in enumerate(records):
        if record.get("kind") not in wanted.kinds or wanted.outcome not in (None, record.get("outcome")):
            continue
        if (wanted.rules and record.get("rule") not in wanted.rules) or not str(record.get("detail") or "").startswith(wanted.says):
            continue
        if record.get("verdict") == wanted.word and names_target(record, attempt):
            del records[0 if wanted.in_turn else index:index + 1]
            return record
    return None


def untimely(attempt: Attempt) -> str:
    """What is wrong with the time that a site left half way was left so, or ''; and whether anybody was starved at all. And what
    stayed until it was on record was on record by then.
    """
    if "told=never" in attempt.detail:
        return f"it was not on record while it stayed ({attempt.detail})"
    if WANTED.get(attempt.name) is not ABANDONED:
        return ""
    waited = re.search(r"\bwaited=(\d+)ms\b", attempt.detail)
    if not waited:
        return f"it does not say how long it waited ({attempt.detail})"
    if int(waited.group(1)) > PATCH_LATE_MS:
        return f"put back after {waited.group(1)} ms, where {PATCH_TIMEOUT_MS} are stated"
    if attempt.name == "restore_starved" and not re.search(r"\bannounced=[1-9]", attempt.detail):
        return f"no announcement was refused meanwhile ({attempt.detail})"
    return ""


# Of attack_flood.c's stores: lines in full, as many as there are seconds, and counts. A line of each and of its outcome would be
# five times as much.
FLOOD_BYTES = 256 << 10


def flooded(pair: Pair, attempt: Attempt) -> str:
    """What is wrong with the log after a flood, or ''."""
    if attempt.name != "log_flood":
        return ""
    refused = int((re.search(r"\brefused=(\d+)\b", attempt.detail) or [0, 0])[1])
    full = sum(number((record.get("target") or {}).get("addr")) == attempt.va for record in pair.records)
    counted = sum(record["count"] for record in pair.folded if number((record.get("target") or {}).get("addr")) == attempt.va)
    print(f"log_flood: {refused} stores refused; {full} lines in full, {counted} counted; the log has {pair.log_bytes} bytes")
    if not refused or full + counted != refused:
        return f"{refused} stores were refused, the log has {full} and counts {counted} ({attempt.detail})"
    return "" if pair.log_bytes < FLOOD_BYTES else f"the log has {pair.log_bytes} bytes"


def pairs_for(kernel: str, cpus: int, host: str, attacks: str) -> list[Pair]:
    """The pairs that run these attacks."""
    names = attacks.split(",")
    common = [name for name in names if name not in ALONE]
    if attacks == "all":
        names = list(ALONE)
    pairs = [Pair(kernel, cpus, host, attacks=",".join(common))] if common else []
    for setting in dict.fromkeys(ALONE[name] for name in names if name in ALONE):
        chosen = [name for name in names if ALONE.get(name) == setting]
        pairs.append(Pair(kernel, cpus, host, setting, ",".join(chosen)))
    return pairs


# Writes "told ADDRESS WORD" to the guest's console for each address in a record of a hook, or of what a device wrote; the word is the
# first one of its detail. What is found by looking stays until its own is told (rf_until_told() in module/main.c).
TELLING = r"""mkfifo told
exec 3<>told
(until [ -e "$OUT/audit.jsonl" ]; do sleep 0.3; done
tail -f "$OUT/audit.jsonl" | busybox awk '/"kind":"(hook|dma)"/ {
	what = match($0, /"detail":"[a-z-]+/) ? substr($0, RSTART + 10, RLENGTH - 10) : "-"
	for (line = $0; match(line, /"addr":"0x[0-9a-f]+"/); line = substr(line, RSTART + RLENGTH))
		print "told", substr(line, RSTART + 8, RLENGTH - 9), what
	fflush()
}' >&3) >/dev/null 2>&1 &
"""


def jobs_for(pair: Pair, tries: int, control_only: bool) -> list[runner.Job]:
    """The guests to run for one pair."""
    command = (f"{SETTINGS[pair.setting]} LIMIT=%d l2 {pair.kernel} {pair.cpus} "
               f"'rf.mode=attack rf.attacks={pair.attacks} rf.linger=%d "
               f"rf.patience=%d rf.tries={tries}%s'")
    # Each try is an event with its record.
    more = tries // 100
    # Of an attack that must be taken back the control shows that nobody else does, which takes less time.
    jobs = [runner.Job(pair.job_name("control"), command % (100, 0, 1, "") + "\n", 110)]
    if not control_only:
        # Sooner than by default, for the attack that waits for it.
        wrap = (f"printf 'version: 1\\npatch_timeout_ms: {PATCH_TIMEOUT_MS}\\n' >policy\n"
                f"WRAP='ringfence run --name {pair.job_name('protected')} --policy policy --audit '$OUT/audit.jsonl' --'\n")
        limit = SHIELDED_LIMIT + more
        script = TELLING + wrap + command % (limit, 3, 30, " rf.tells=1") + " <told\nstatus=$?\nkill $!\nexit $status\n"
        jobs.append(runner.Job(pair.job_name("protected"), script, limit + 30))
    return jobs


def lost(result: runner.Result) -> bool:
    """Whether the emulator may have lost the guest: it never reached user mode, or ended on its way with nobody to end it. Of a
    protected one that is so in the one attack where it was seen, of a thousand exits, and when neither fence nor monitor says
    that it ended it.
    """
    if "RF: init" not in result.log:
        return True
    if "RF: done" in result.log:
        return False
    if result.name.endswith("control"):
        return True
    last = re.findall(r"RF: begin (\w+)", result.log)[-1:]
    return last == ["cr4_latency"] and result.ok and "the VM was ended" not in result.log


def run_all(jobs: list[runner.Job], options: argparse.Namespace, kernels: list[str]) -> dict[str, runner.Result]:
    """Run the jobs; once more those whose guest the emulator may have lost, with one processor (see runner.run_jobs()): what
    ends there too ended by our doing.
    """
    results, options.retried = runner.run_again(
        jobs, lambda left, again: runner.run_jobs(left, options.host_kernel, kernels, cpus=1 if again else 2), lost, 2, "attacks")
    return results


def judge(pair: Pair, control_only: bool) -> Iterable[tuple[Record, str]]:
    """One result for each attack, with what is wrong with it or ''."""
    for name, shielded in pair.protected.items():
        if name not in pair.control:
            yield {"name": name, "kernel": pair.kernel, "cpus": pair.cpus, "control": "-", "protected": shielded.result,
                   "word": None, "record": None}, "the control never came to it"
    for name, plain in pair.control.items():
        shielded = pair.protected.get(name)
        row: Record = {"name": name, "kernel": pair.kernel, "cpus": pair.cpus, "control": plain.result,
                       "protected": shielded.result if shielded else None, "word": None, "record": None}
        if plain.result == "skipped":
            row["skipped"] = plain.detail
            yield row, ""
            continue
        wrong = "" if plain.result == "landed" else f"the control did not land ({plain.detail})"
        if not wrong and ("UNFORGED" in plain.detail or "CHANGED" in plain.detail):
            wrong = f"the control had no effect, or was not undone ({plain.detail})"
        if name in OPEN and not wrong and shielded and shielded.result == "landed":
            row["skipped"] = OPEN[name]
        elif not wrong and shielded and hidden(pair, shielded):
            row["skipped"] = AVX_UNKNOWN
        elif not control_only and not wrong:
            if not shielded:
                wrong = "the protected guest said nothing of it"
            elif shielded.result == "skipped":
                wrong = f"it was skipped under protection alone ({shielded.detail})"
            elif shielded.result not in WANTED.get(name, STOPPED).results:
                wrong = f"it {shielded.result} under protection ({shielded.detail})"
            else:
                if shielded.result == "none" and pair.stopped:
                    wrong = "the guest neither went on nor ended"
                flood = flooded(pair, shielded)
                found = [find_record(pair.records, shielded) for _ in range(WANTED.get(name, STOPPED).records)]
                row["record"] = found[0] if all(found) else None
                row["word"] = row["record"]["verdict"] if row["record"] else None
                wrong = wrong if row["record"] else f"{shielded.result}, but no record names its target"
                wrong = wrong or untimely(shielded) or flood
                if "CHANGED" in shielded.detail:
                    wrong = f"the fault was not precise, or the target not put back ({shielded.detail})"
        yield row, wrong


def report(pairs: list[Pair], control_only: bool, results: Path) -> int:
    """Print the table, write the results, return the exit status."""
    rows, failures = [], 0
    print(f"\n{'attack':<22}{'kernel':<8}{'cpus':<6}{'control':<11}{'protected':<11}{'word':<10}")
    for pair in pairs:
        wrongs = [] if pair.control else ["the control guest told of no attack"]
        wrongs += [f"lost on the way: {pair.lost}"] if pair.lost else []
        for wrong in wrongs:
            print(f"{'(none)':<22}{pair.kernel:<8}{pair.cpus:<6}FAILED: {wrong}")
            failures += 1
        for row, wrong in judge(pair, control_only):
            rows.append(row)
            failures += bool(wrong)
            note = f"FAILED: {wrong}" if wrong else row.get("skipped", "")
            print(f"{row['name']:<22}{row['kernel']:<8}{row['cpus']:<6}{row['control']:<11}"
                  f"{row['protected'] or '-':<11}{row['word'] or '-':<10}{note}".rstrip())
    results.write_text(json.dumps(rows, indent=1) + "\n")
    skipped = sum("skipped" in row for row in rows)
    done = len(rows) - skipped
    print(f"results in {results}")
    print(f"attacks: {max(done - failures, 0)} passed, {failures} failed, {skipped} skipped")
    # A run in which everything was skipped has proven nothing.
    return 1 if failures or not done else 0


def known_attacks() -> list[str]:
    """Those of both lists of the guest's module."""
    return re.findall(r"^\tRF\((\w+)\)", (ROOT / "tests/attacks/module/attacks.h").read_text(), re.M)


def main() -> int:
    """Parse, run, report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", default="6.1 6.12", help="guest kernels")
    parser.add_argument("--cpus", default="1 2", help="numbers of guest processors")
    parser.add_argument("--guests", default="", help="instead of all of these with each other: \"KERNEL:CPUS ...\"")
    parser.add_argument("--attacks", default="all", help="names, with commas")
    parser.add_argument("--tries", type=int, default=1000, help="of cr4_latency")
    parser.add_argument("--host-kernel", default="6.12", help="the emulated host's kernel")
    parser.add_argument("--results", default="attacks.json", help="their file's name in the build folder")
    parser.add_argument("--control-only", action="store_true", help="only show that the attacks work")
    options = parser.parse_args()
    if unknown := set(options.attacks.split(",")) - {"all"} - set(known_attacks()):
        parser.error(f"no such attack: {' '.join(sorted(unknown))}; these are: {' '.join(known_attacks())}")
    try:
        if not options.control_only:
            built()
        guests = [guest.split(":") for guest in options.guests.split()] or \
            [[kernel, cpus] for kernel in options.kernels.split() for cpus in options.cpus.split()]
        kernels = list(dict.fromkeys(kernel for kernel, _ in guests))
        pairs = [pair for kernel, cpus in guests for pair in pairs_for(kernel, int(cpus), options.host_kernel, options.attacks)]
        jobs = [job for pair in pairs for job in jobs_for(pair, options.tries, options.control_only)]
        results = run_all(jobs, options, kernels)
    except LabError as error:
        print(f"attacks: {error}", file=sys.stderr)
        return 2
    for pair in pairs:
        pair.control = attempts(results[pair.job_name("control")].log)
        if not options.control_only:
            protected = results[pair.job_name("protected")]
            pair.protected = attempts(protected.log)
            add_ending(pair.protected, protected)
            pair.records = read_records(protected.out / "audit.jsonl")
            pair.lost = losses(protected.out)
            pair.folded = read_folded(protected.out / "audit.jsonl")
            pair.log_bytes = (protected.out / "audit.jsonl").stat().st_size if (protected.out / "audit.jsonl").exists() else 0
            pair.stopped = protected.status is None or protected.seconds > 0.9 * SHIELDED_LIMIT * runner.PATIENCE
    status = report(pairs, options.control_only, out_dir().parent / options.results)
    if options.retried:
        print(f"attacks: booted twice: {', '.join(options.retried)}; the first try is kept as <name>.first")
    return status


if __name__ == "__main__":
    sys.exit(main())
