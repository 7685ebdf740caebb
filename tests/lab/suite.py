#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock guests under protection: each test boots some, then asserts on what they said and on the record.

suite.py [--host-kernel 6.12] [TEST ...]. Ends with "lab: N passed, N failed". A test is a function that gives the job to
run and the check of its artefacts; to add one, write it and add it to TESTS.
"""
import json
import re
import sys

import kernels
from host import EXAMPLE, NEEDED
from trial import Outcome, RUN, Record, Test, check, each_event_once, main, quiet, sealed, summary, untorn


def boot(kernel: str, cpus: int) -> Test:
    """A plain boot is sealed, quiet, and measured."""
    def verify(o: Outcome) -> None:
        check(o.said("RF: done mode=idle status=0") == 1, "the guest did not run to its end")
        check(o.said(f"cpus={cpus} "), f"the guest does not have {cpus} CPUs")
        sealed(o)
        quiet(o)
        check(o.decisions(kind="kernel", outcome="found"), "the kernel was not recognised with its types")
    return Test(f"boot-{kernel}-{cpus}", RUN + f"protected boot {kernel} {cpus} 'rf.mode=idle rf.seconds=1'", verify,
                processors=2, guests=(kernel,))


def gadgets(kernel: str) -> Test:
    """The report on a running guest's sensitive instructions: of its own text, complete, and promising nothing more than holds."""
    script = RUN + f"""
protected gadgets {kernel} 1 'rf.mode=idle rf.seconds=20' & vm=$!
for n in $(tries 240); do ringfence status gadgets 2>/dev/null | grep -q '^state *sealed' && break; sleep 0.5; done
ringfence gadgets --json gadgets >$OUT/gadgets; ringfence gadgets --all gadgets >$OUT/gadgets.txt
wait $vm
"""

    def verify(o: Outcome) -> None:
        report = json.loads(o._text("gadgets"))
        kinds = {(k["kind"], k["intended"]): k for k in report["kinds"]}
        check(report["total"] == len(report["list"]) > 200 and not report["left_out"], f"{report['total']} instructions")
        for kind, symbol in (("lidt", "load_idt"), ("ltr", "load_tr"), ("mov cr4", "cr4"), ("wrmsr", "write_msr")):
            check(any(kind == g["kind"] and g["intended"] and symbol in g["symbol"] for g in report["list"]),
                  f"no {kind} in a function named like {symbol}")
        for kind, word in (("wrmsr", "blocked"), ("mov cr3", "not covered"), ("svm", "not covered"), ("clts", "harmless")):
            check(all(kinds[kind, intended]["covered"] == word for intended in (True, False)), f"{kind}: {kinds[kind, True]}")
        check(re.search(r"native_load_idt\+\S+ +lidt +intended", o._text("gadgets.txt")), "the list for people has no lidt")
        print(f"  {kernel}: {report['total']} in {report['text_bytes'] >> 10} KiB, {report['search_ms']:.0f} ms, "
              f"longest piece {report['longest_piece_ms']:.1f} ms")
        sealed(o)
        quiet(o)
    return Test(f"gadgets-{kernel}", script, verify)


def tracing(kernel: str) -> Test:
    """Jump labels and static calls switch on and off under the lock, and do what they should."""
    def verify(o: Outcome) -> None:
        check(o.said("result=ok") == 3 and not o.said("result=failed"), "a key did not work")
        sealed(o)
        quiet(o)
        each_event_once(o)
        patches = o.patches()
        check(patches["jump_label"] > 50 and patches["static_call"] > 5 and patches["static_call_trampoline"] > 5,
              f"too few patches: {patches}")
        check(sum(patches.values()) == sum(summary(r).total() for r in o.decisions(kind="patches")),
              "the audit log counts other patches than the patch log holds")
    script = RUN + f"protected trace {kernel} 2 'rf.mode=trace rf.trace=tracepoint,schedstats,tracepoint'"
    return Test(f"tracing-{kernel}", script, verify, guests=(kernel,))


def patches_denied() -> Test:
    """A policy without probes and tracers: what they would patch is not, whatever the kernel believes; other patching goes on."""
    trace = "rf.mode=trace rf.trace=tracepoint,inside,functions,kprobe,tracepoint"
    script = f"""
l2 6.12 1 '{trace}' >$OUT/control 2>&1
printf 'version: 1\npatches: {{ ftrace: deny, kprobes: deny }}\n' >policy
WRAP="ringfence run --name denied --policy policy --audit $OUT/audit.jsonl --" l2 6.12 1 '{trace}' >$OUT/console 2>$OUT/said
"""

    def verify(o: Outcome) -> None:
        for what in ("inside", "functions", "kprobe"):
            check(o._text("control").count(f"trace {what} result=ok") == 1, f"{what}: the control saw nothing")
            check(o.said(f"trace {what} result=failed") == 1, f"{what}: something was seen")
        check(o.said("trace tracepoint result=ok") == 2, "what is allowed was not patched, or the guest did not go on")
        sealed(o)
        denied = o.decisions(verdict="blocked")
        check(denied and all(r["outcome"].startswith("dropped: ") for r in denied), f"records: {denied[:3]}")
        check(o.patches()["jump_label"] > 0 and not o.patches()["ftrace"] + o.patches()["kprobe"], f"patches: {o.patches()}")
    return Test("patches-denied", script, verify)


HOOKS = ["hook_ftrace", "hook_kprobe", "hook_kretprobe", "hook_tracepoint", "hook_static_call"]


def hooks_owned() -> Test:
    """A module registers handlers as a tracer does: each is told, once; of one that the policy names none is."""
    attack = f"'rf.mode=attack rf.attacks={','.join(HOOKS)} rf.linger=3 rf.patience=4'"
    script = f"""
WRAP="ringfence run --name told --audit $OUT/told.jsonl --" l2 6.12 1 {attack} >$OUT/told 2>&1
printf 'version: 1\npatches: {{ owners: [ lttng-tracer, rf-attack ] }}\n' >policy
WRAP="ringfence run --name owned --policy policy --audit $OUT/audit.jsonl --" l2 6.12 1 {attack} >$OUT/console 2>$OUT/said
"""

    def verify(o: Outcome) -> None:
        told = [json.loads(line) for line in o._text("told.jsonl").splitlines()]
        hooks = [r for r in told if r.get("kind") == "hook"]
        check(o._text("told").count("result=landed") == len(HOOKS) == o.said("result=landed"), "a handler was not called")
        check(len(hooks) == len(HOOKS), f"{len(hooks)} of {len(HOOKS)} handlers were told: {hooks}")
        check(all(r["handler"]["module"] == "rf_attack" and r["verdict"] == "detected" and r["target"]["symbol"] for r in hooks),
              f"function, handler or module is missing: {hooks}")
        sealed(o)
        quiet(o)
    return Test("hooks-owned", script, verify)


def profiles() -> Test:
    """The profiles that are no default: a stock guest boots under `strict` without an alert, and it stops an attack and a tracer;
    `observe` stops neither, and writes both down.
    """
    attack = "'rf.mode=attack rf.attacks=syscall_table,hook_ftrace rf.linger=3 rf.patience=4'"
    script = f"""
l2 6.12 1 {attack} >$OUT/control 2>&1
WRAP="ringfence run --name quiet --policy strict --audit $OUT/audit.jsonl --" l2 6.12 1 'rf.mode=idle rf.seconds=1' >$OUT/console 2>$OUT/said
for policy in strict observe; do
	WRAP="ringfence run --name $policy --policy $policy --audit $OUT/$policy.jsonl --" l2 6.12 1 {attack} >$OUT/$policy 2>&1
done
"""

    def verify(o: Outcome) -> None:
        check(o._text("control").count("result=landed") == 2, "the control did not land")
        check(o.said("RF: done mode=idle status=0") == 1, "the guest did not run to its end")
        sealed(o)
        quiet(o)
        check("result=landed" not in o._text("strict") and "syscall_table result=faulted" in o._text("strict"), "an attack got through")
        check(o._text("observe").count("result=landed") == 2, "observe denied something")
        for policy, word in (("strict", "blocked"), ("observe", "detected")):
            records = [json.loads(line) for line in o._text(f"{policy}.jsonl").splitlines()]
            writes = [r for r in records if r.get("kind") == "write"]
            check({r["verdict"] for r in writes} == {word}, f"{policy}: {[r['verdict'] for r in writes]}")
            check(any(r["target"]["symbol"] == "sys_call_table" for r in writes), f"{policy}: no record of the table")
            # Also of a tracer that was refused: it stands on the kernel's list.
            check([r["verdict"] for r in records if r.get("kind") == "hook"] == ["detected"], f"{policy}: the handler was not told")
    return Test("profiles", script, verify, 300, ("console", "control", "strict", "observe"))


# Whatever the processor: "force" makes it one that needs it, and the other mitigations stay out of the way.
STUFFING = "retbleed=stuff,force spectre_v2=retpoline spec_rstack_overflow=off"


def stuffing(kernel: str) -> Test:
    """Call depth accounting: the kernel fills the padding before functions that only modules call, when they are loaded."""
    trace = f"{STUFFING} rf.mode=trace rf.trace=retbleed,modules,tracepoint,syscalls,schedstats,ftrace,kprobe"
    attack = f"{STUFFING} rf.mode=attack rf.attacks=forged_thunk,syscall_table"
    script = RUN + f"""
l2 {kernel} 1 '{attack}' >$OUT/control 2>&1
LIMIT=250 protected stuffing {kernel} 1 '{trace}'
WRAP="ringfence run --name attacked --audit $OUT/attacked.jsonl --" l2 {kernel} 1 '{attack}' >$OUT/attacked 2>&1
"""

    def verify(o: Outcome) -> None:
        check(o.said("RF: retbleed Mitigation: Stuffing") == 1, "this guest's kernel does not count its calls")
        check(o._text("control").count("result=landed") == 2, "the control did not land")
        check(o.said("result=ok") == 6 and not o.said("result=failed"), "a module was not loaded, or a key did not work")
        sealed(o)
        quiet(o)
        patches = o.patches()
        check(patches["call_thunk"] > 10, f"too few functions: {patches}")
        check(sum(patches.values()) == sum(summary(r).total() for r in o.decisions(kind="patches")),
              "the audit log counts other patches than the patch log holds")
        attacked = o._text("attacked")
        # A patch is dropped, a store gets a fault.
        check("forged_thunk result=unchanged" in attacked and attacked.count("result=faulted") == 1 and
              "result=landed" not in attacked, "an attack got through")
        loud = [json.loads(line) for line in o._text("attacked.jsonl").splitlines()]
        rules = [r["rule"] for r in loud if r.get("verdict") == "blocked"]
        check(rules == ["text-illegal-instruction", "rodata-is-never-written"], f"rules: {rules}")
    return Test(f"stuffing-{kernel}", script, verify, 400, ("console", "control", "attacked"), guests=(kernel,))


def live(kernel: str) -> Test:
    """What the commands show of a VM that runs, and of its dump, is what the guest says itself; before the seal, and of no VM, nothing
    is shown.
    """
    script = RUN + f"""
show() {{ name=$1; shift; ringfence "$@" >$OUT/$name 2>$OUT/$name.err; echo "$name $?" >>$OUT/codes; }}
show none ps --live nobody
LIMIT=900 protected live {kernel} 1 'rf.mode=live rf.seconds=800' & vm=$!
for n in $(tries 240); do ringfence status live >/dev/null 2>&1 && break; sleep 0.1; done
show early ps --live live
for n in $(tries 240); do grep -q 'RF: live ready' $OUT/console && break; sleep 0.5; done
show ps ps --live --json live
show modules modules --live --json live
show symbols symbols --live --json live vfs_read
show print print --live --json live task_struct init_task comm
show disas disas --live live vfs_read 1
show hooks hooks --live --json live
show posture check posture --live --json live
show dump dump --json live /tmp/dumped
show dumped ps --json /tmp/dumped
show dumped-modules modules --json /tmp/dumped
rm /tmp/dumped
ringfence stop live >/dev/null
wait $vm
"""

    def verify(o: Outcome) -> None:
        codes = dict(line.split() for line in o._text("codes").splitlines())
        check((codes.pop("none"), codes.pop("early")) == ("3", "6"), f"of no VM, or before the seal: {o._text('codes')}")
        check(len(codes) == 10 and set(codes.values()) == {"0"}, f"{codes} {o._text('ps.err')}{o._text('dump.err')}")
        dump = json.loads(o._text("dump"))
        check(dump["bytes"] >= 256 << 20 and not dump["missing"], f"not all of its memory was dumped: {dump}")
        tasks, dumped = ({(t["pid"], t["comm"]) for t in json.loads(o._text(name))["tasks"] if t["pid"] == t["tid"]}
                         for name in ("ps", "dumped"))
        theirs = {(int(pid), comm) for pid, comm in re.findall(r"RF: live task (\d+) (.*)", o.console)
                  if not comm.startswith("kworker/")}  # there the guest adds what it works for
        theirs = {(pid, comm[:15]) for pid, comm in theirs}  # of a kernel thread it has the whole name elsewhere
        check(len(theirs) > 20 and theirs <= tasks, f"tasks that are not shown: {sorted(theirs - tasks)[:5]}")
        check(theirs <= dumped, f"tasks that are not in its dump: {sorted(theirs - dumped)[:5]}")
        loaded = set(re.findall(r"RF: live module (\S+)", o.console))
        for name in ("modules", "dumped-modules"):
            modules = {m["name"] for m in json.loads(o._text(name))["modules"]}
            check(loaded and modules == loaded, f"{name} are {modules}, not {loaded}")
        at = re.search(r"RF: live symbol ([0-9a-f]{16}) T vfs_read$", o.console, re.M)
        check(at and at[1] in o._text("symbols").replace("0x", ""), f"vfs_read is {at and at[1]}: {o._text('symbols')[:200]}")
        check(at and at[1] in o._text("disas"), f"disas shows {o._text('disas')[:200]}")
        check("swapper" in o._text("print"), f"print shows {o._text('print')[:200]}")
        check(json.loads(o._text("hooks"))["checks"], "no check has looked for hooks")
        check(json.loads(o._text("posture"))["good"] > 10, "the posture is not known")
        sealed(o)
        quiet(o)
    return Test(f"live-{kernel}", script, verify, 930, guests=(kernel,))


def boot_probes(kernel: str) -> Test:
    """Probes and the function tracer of the kernel's own command line are armed before the seal: they go on, and are listed."""
    probes = "ftrace=function trace_event=sched:sched_switch kprobe_event=p:one,vfs_read+5;p:two,vfs_read+9"
    # The first offset is an instruction's start where functions begin with a nop alone, the second where there is an endbr64.
    script = RUN + f"LIMIT=150 protected probes {kernel} 1 'rf.mode=idle rf.seconds=1 {probes}'"

    def verify(o: Outcome) -> None:
        check(o.said("RF: done mode=idle status=0") == 1, "the guest did not run to its end")
        sealed(o)
        quiet(o)
        found = o.decisions(kind="patch", outcome="patched before the seal, and believed")
        said = re.fullmatch(r"(\d+) functions are traced; (\d+) breakpoints: (vfs_read\+0x[59]).*", found[0]["detail"])
        check(len(found) == 1 and said, f"listed is {found}")
        check(said and int(said[1]) > 10000 and int(said[2]) in (1, 2), f"listed is {found[0]['detail']}")
    return Test(f"boot-probes-{kernel}", script, verify, 240, guests=(kernel,))


def tables(kernel: str, cpus: int) -> Test:
    """Who loads descriptor tables legally is not disturbed: CPUs that go and come back, tasks with an LDT, a reboot."""
    script = RUN + """
(while sleep 1; do ringfence status --json tables >$OUT/status.new && mv $OUT/status.new $OUT/status; done) 2>/dev/null &
""" + f"protected tables {kernel} {cpus} 'rf.mode=tables rf.rounds=3'; kill %1 $!"

    def verify(o: Outcome) -> None:
        check(o.said("RF: done mode=tables status=0") == 1, "the guest did not run to its end")
        check(o.said("ldt result=ok") == 3, "a task lost its LDT")
        check(o.said("cpu1 back 1") == (3 if cpus > 1 else 0), "a CPU did not come back")
        sealed(o)
        quiet(o)
        check(o.decisions(kind="traps"), "no traps were planted")
        status = json.loads(o._text("status"))
        check(status["trap_sites"] >= 10, f"only {status['trap_sites']} traps")
        check(status["counters"]["traps"] >= 20, f"only {status['counters']['traps']} traps were run into")
    return Test(f"tables-{kernel}-{cpus}", script, verify, 180)


def monitor_killed() -> Test:
    """The monitor dies by SIGKILL again and again, from before the seal until the end."""
    script = RUN + """
answers() {
	for vm in killed attacked1 attacked2 attacked3 attacked4 attacked5; do
		ringfence status $vm 2>/dev/null | grep -qE '^state *(booting|found|watched|sealed)' && return
	done
	false
}
# Some die while they take over; most when they have, or a slow machine would never get any further.
(while sleep $(($RANDOM % 4 + 2)); do
	[ $(($RANDOM % 3)) = 0 ] || until answers; do sleep 1; done
	killall -9 ringfence-monitor 2>/dev/null && echo killed >>$OUT/kills
done) &
LIMIT=150 protected killed 6.12 2 'rf.mode=trace rf.trace=tracepoint,schedstats,tracepoint,tracepoint'
# A fast machine needs more than one such guest until the monitor has died often enough.
for n in 1 2 3 4 5; do
	LIMIT=150 protected attacked$n 6.12 1 'rf.mode=attack rf.attacks=syscall_table,commit_creds,ro_after_init,vmap_alias'
	[ $(wc -l <$OUT/kills) -ge 10 ] && break
done
kill %1 $! 2>/dev/null
"""

    def verify(o: Outcome) -> None:
        kills = len(o._text("kills").splitlines())
        check(kills >= 10, f"the monitor was killed only {kills} times")
        check(o.said("result=ok") == 4, "tracing broke")
        attacked = o.said("mode=attack uptime=")
        check(o.said("result=faulted") == 4 * attacked > 0 and not o.said("result=landed"), "an attack got through")
        by_instance: dict[str, list[Record]] = {}
        for record in o.decisions():
            by_instance.setdefault(record["instance"], []).append(record)
        check(len(by_instance) == 1 + attacked, "each VM is an instance of its own")
        for records in by_instance.values():
            part = Outcome(o.result)
            part.records = records
            each_event_once(part)
        targets = {r["target"]["symbol"] for r in o.decisions(verdict="blocked")}
        check({"sys_call_table", "commit_creds"} <= targets, f"records are missing: {targets}")
    return Test("monitor-killed", script, verify, 600, kills=True)


def misled() -> Test:
    """The monitor is killed again and again while the guest's own tables and lists lie: another kallsyms in a free page of the
    image, direct functions and modules without end, a probe that never was. Another monitor knows the kernel all the same, and
    what it is attacked with then.
    """
    lies, attacks = ["fake_kallsyms", "endless_direct_functions", "endless_modules"], ["own_bytes_restart", "syscall_table", "commit_creds"]
    # First the one that is to be believed: what comes behind lists without end is not read any more.
    line = f"rf.mode=attack rf.attacks={','.join(attacks[:1] + lies + attacks[1:])}"
    script = RUN + f"""
l2 6.12 1 '{line} rf.patience=1' >$OUT/control 2>&1
# Each has taken over when it is killed: it answers.
(while sleep 6; do ringfence status misled 2>/dev/null | grep -q '^state *sealed' || continue
	killall -9 ringfence-monitor 2>/dev/null && echo killed >>$OUT/kills
done) &
LIMIT=200 protected misled 6.12 1 '{line} rf.patience=15'
kill %1 $! 2>/dev/null
"""

    def verify(o: Outcome) -> None:
        control = o._text("control")
        check(all(f"attack {name} result=landed" in control for name in lies + attacks), "the control did not land")
        check(o.said("result=landed") == len(lies) and o.said("result=faulted") == len(attacks),
              "an attack got through, or the lies did not land")
        check(len(o._text("kills").splitlines()) >= 3, "the monitor was hardly killed")
        check(len(o.decisions(kind="seal", outcome="still sealed; this monitor took over")) >= 6, "none took over")
        check(not o.decisions(kind="kernel", outcome="not recognised"), "the kernel was taken for another")
        check(len({r["detail"] for r in o.decisions(kind="kernel")}) == 1, "the kernel has more than one banner")
        check(o.decisions(kind="endless", verdict="detected", rule="guest-lists-end"), "nobody told of what does not end")
        targets = {r["target"]["symbol"] for r in o.decisions(verdict="blocked")}
        check({"sys_call_table", "commit_creds"} < targets and len(targets) == 3, f"targets: {targets}")
        each_event_once(o)
    return Test("misled", script, verify, 400, kills=True)


def example_guard() -> Test:
    """A monitor with one more guard (tests/guards): a file and a row."""
    attack = "rf.mode=attack rf.attacks=power_off_hook,syscall_table rf.patience=5"
    script = RUN + f"""
mkdir /example && cp /usr/bin/ringfence /example && cp /usr/lib/ringfence/ringfence-monitor-example /example/ringfence-monitor
PATH=/example:$PATH
l2 6.12 1 '{attack}' >$OUT/control 2>&1
(for n in $(tries 120); do ringfence status example >$OUT/status 2>/dev/null; grep -q '^guards' $OUT/status && break; sleep 0.5; done) &
protected example 6.12 1 '{attack}'
"""

    def verify(o: Outcome) -> None:
        check(o._text("control").count("result=landed") == 2, "the control did not land")
        check(o.said("result=landed") == 1 and o.said("result=faulted") == 1, "the seal did not hold, or the example's attack did not land")
        sealed(o)
        found = o.decisions(kind="example", verdict="detected")
        check(len(found) == 1 and found[0]["target"]["symbol"] == "pm_power_off", f"the example found {found}")
        check(re.search(r"^guards .*\bexample\b", o._text("status"), re.M), "status does not name it")
    return Test("example-guard", script, verify, programs=(*NEEDED, EXAMPLE))


def log_full(kernel: str) -> Test:
    """Others fill the file system that the log is on, before a guest makes a thousand stores that are refused: it goes on,
    each is refused, and once there is room the log has each of them, in lines or in counts.
    """
    attack = "rf.mode=attack rf.attacks=log_flood rf.delay"
    script = f"""
l2 {kernel} 1 '{attack}=0' >$OUT/control 2>&1
small=$(mktemp -d)
mount -t tmpfs -o size=512k none $small
state() {{ ringfence status --json full >$OUT/$1.new 2>/dev/null && mv $OUT/$1.new $OUT/$1; }}
WRAP="ringfence run --name full --audit $small/audit.jsonl --" l2 {kernel} 1 '{attack}=20 rf.linger=30' >$OUT/console 2>$OUT/said & vm=$!
for n in $(tries 120); do state before && grep -q '"state": *"sealed"' $OUT/before && break; sleep 0.5; done
dd if=/dev/zero of=$small/others bs=4k 2>/dev/null
for n in $(tries 120); do grep -q 'log_flood result=' $OUT/console && break; sleep 0.5; done
state full; rm $small/others
for n in $(tries 60); do state room && grep -q '"in_no_line_yet": *0[,}}]' $OUT/room && break; sleep 0.5; done
wait $vm
ringfence audit verify $small/audit.jsonl >$OUT/verify 2>&1; echo "status=$?" >>$OUT/verify
mv $small/audit.jsonl $OUT/torn.jsonl; umount $small
"""

    def verify(o: Outcome) -> None:
        check("landed=1000 refused=0" in o._text("control"), "the control did not land")
        check(o.said("log_flood result=faulted") == 1 and o.said("landed=0 refused=1000") == 1, "a store was not refused")
        check(o.said("RF: done mode=attack status=0") == 1, "the guest did not go on to its end")
        before, full, room = (json.loads(o._text(name))["log"] for name in ("before", "full", "room"))
        check(before["state"] == "ok" and full["state"] == "full" and full["cause"] == "No space left on device", f"the log: {full}")
        check(room["state"] == "ok" and room["in_no_line_yet"] == 0, f"it has not caught up: {room}")
        # A line that the file system took a part of is torn, which the next one says.
        o.records = untorn(o._text("torn.jsonl"))
        stores = {"rule": "rodata-is-never-written", "verdict": "blocked"}
        lines = len(o.decisions(kind="write", **stores))
        counts = {r["number"]: r["count"] for r in o.records if r["type"] == "folded" and r.items() >= stores.items()}
        check(lines + sum(counts.values()) == 1000, f"{lines} lines and {counts} are not the thousand")
        gaps = [r for r in o.records if r["type"] == "unwritten"]
        check(sum(gap["decisions"] for gap in gaps) == full["counted_only"] > 900 and
              all(gap["cause"] == full["cause"] for gap in gaps), f"{full['counted_only']} counted, and the gap: {gaps}")
        sealed(o)
        each_event_once(o)
        check(o._text("verify").endswith("status=0\n"), f"the log's chain: {o._text('verify')}")
    return Test(f"log-full-{kernel}", script, verify, 240, consoles=("control", "console"), guests=(kernel,))


def hardened_host() -> Test:
    """A host where nobody may trace anybody, and whose kernel keeps its memory to itself: neither can be taken back, so this
    test comes last. Under one of the guests the VMM gives up root.
    """
    attack = "rf.mode=attack rf.attacks=syscall_table,commit_creds"
    script = RUN + f"""
mountpoint -q /sys/kernel/security || mount -t securityfs none /sys/kernel/security
echo 3 >/proc/sys/kernel/yama/ptrace_scope; echo confidentiality >/sys/kernel/security/lockdown
cat /proc/sys/kernel/yama/ptrace_scope /sys/kernel/security/lockdown >$OUT/host
l2 6.12 1 '{attack}' >$OUT/control 2>&1
protected hardened 6.12 1 '{attack}'
(until ringfence status runas 2>/dev/null | grep -q '^state *sealed'; do sleep 1; done
killall -9 ringfence-monitor) &
protected runas 6.12 1 '{attack} rf.seconds=20' -runas 65534:65534
ringfence doctor >$OUT/doctor
"""

    def verify(o: Outcome) -> None:
        check(re.search(r"^3\n.*\[confidentiality\]", o._text("host")), "the host is not what it should be")
        check(o._text("control").count("result=landed") == 2, "the control did not land")
        check(o.said("result=faulted") == 4 and not o.said("result=landed"), "an attack landed")
        check(o.said("RF: done mode=attack status=0") == 2, "a guest did not run to its end")
        seals = o.decisions(kind="seal", outcome="sealed before the first user instruction")
        check(len(seals) == 6 and len(o.decisions(verdict="blocked")) == 4, "not sealed twice, or not on record")
    return Test("hardened-host", script, verify, 240, kills=True)


def rootless() -> Test:
    """A user who may open /dev/kvm and nothing else, and a VMM that locks its memory with little room for more: sealed, or
    refused with a remedy, and sealed once that is followed.
    """
    script = RUN + r"""
chmod 666 /dev/kvm; mkdir /run/own; chown 65534:65534 /run/own $OUT; chmod 700 /run/own
cat >own <<'X'
. /lab/lib.sh
export XDG_RUNTIME_DIR=/run/own
cd $OUT
""" + RUN + r"""
id -u
protected plain 6.12 1 'rf.mode=attack rf.attacks=syscall_table,commit_creds'
# What the VMM alone keeps locked: with little more it boots, with 30 MiB more the fence starts, and 64 more are the remedy.
WRAP=
l2 6.12 1 'rf.mode=idle rf.seconds=5' -overcommit mem-lock=on >alone &
until grep -q 'RF: init' alone; do sleep 0.5; done
kb=$(sed -n 's/^VmLck:[^0-9]*\([0-9]*\).*/\1/p' /proc/$(pidof ${QEMU##*/})/status); wait
ulimit -S -l $((kb + 8000))
l2 6.12 1 'rf.mode=attack rf.attacks=syscall_table' -overcommit mem-lock=on >control
for more in 31000 96536; do
	ulimit -S -l $((kb + more))
	protected locked$more 6.12 1 'rf.mode=attack rf.attacks=syscall_table' -overcommit mem-lock=on
	echo "status$more=$?"
done
X
ulimit -l 4000000
start-stop-daemon -S -c 65534:65534 -x /bin/sh -- ./own >$OUT/steps
"""

    def verify(o: Outcome) -> None:
        check("result=landed" in o._text("control"), "the control attack did not land, or the VMM alone has no room")
        check(o._text("steps").startswith("65534\n"), "it ran as root")
        refused = o.decisions(kind="monitor", outcome="the VM is ended")
        check(len(refused) == 1 and "RLIMIT_MEMLOCK" in refused[0]["detail"], "no refusal that says what to do")
        check("status31000=137" in o._text("steps") and "status96536=0" in o._text("steps"), o._text("steps"))
        check(o.said("result=faulted") == 3 and not o.said("result=landed"), "an attack landed")
        seals = o.decisions(kind="seal", outcome="sealed before the first user instruction")
        check(len(seals) == 6 and len(o.decisions(verdict="blocked")) == 3, "not sealed twice, or not on record")
    return Test("rootless", script, verify, 240, consoles=())


def first_act() -> Test:
    """The attack is the first thing user mode does: a static program as init."""
    script = RUN + """
l2 6.12 1 'rdinit=/first' >$OUT/control 2>&1
protected first 6.12 1 'rdinit=/first'
"""

    def verify(o: Outcome) -> None:
        check("result=landed" in o._text("control"), "the control attack did not land")
        check(o.said("result=faulted") == 1 and not o.said("result=landed"), "init's first act landed")
        check(o.said("RF: done mode=first status=0") == 1, "the guest did not run to its end")
        sealed(o)
        check(o.decisions(verdict="blocked", kind="write")[0]["target"]["symbol"] == "sys_call_table", "no record")
    return Test("first-act", script, verify, consoles=())


def reboot() -> Test:
    """A reboot ends the seal with its kernel; the next one is sealed and attacked in vain."""
    script = RUN + "REBOOT=1 MACHINE=rtc=on protected reboot 6.12 1 " \
        "'rf.mode=reboot rf.boots=2 rf.attacks=syscall_table'"

    def verify(o: Outcome) -> None:
        check(o.said("RF: boot 1 of 2") == 1 and o.said("RF: boot 2 of 2") == 1, "it did not boot twice")
        check(o.said("result=faulted") == 2 and not o.said("result=landed"), "an attack landed")
        check(o.said("RF: done mode=reboot status=0") == 1, "the guest did not run to its end")
        sealed(o, boots=2)
        check(len(o.decisions(kind="reset")) >= 1, "the reset is not in the record")
    return Test("reboot", script, verify)


Q35 = """
q35() { cmdline=$1; shift; limited ${LIMIT:-150} ringfence run --name q35 ${RUN:-} --audit $OUT/audit.jsonl -- $QEMU -M q35 -accel kvm -cpu host -m 256 \
-nodefaults -no-user-config -display none -no-reboot -serial file:$OUT/console -kernel $GUEST/6.12/vmlinuz \
-initrd $GUEST/6.12/initrd -append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check $cmdline" "$@"; }
said() { for n in $(tries ${2:-120}); do grep -q "RF: $1" $OUT/console 2>/dev/null && break; sleep 0.5; done; }
user_mode() { said init; }
"""


def q35() -> Test:
    """A PC with firmware and system management memory, in QEMU's own sandbox."""
    script = Q35 + "q35 'rf.mode=attack rf.attacks=syscall_table' -smp 2 " \
        "-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"

    def verify(o: Outcome) -> None:
        check(o.said("result=faulted") == 1 and not o.said("result=landed"), "the attack landed")
        check(o.said("RF: done mode=attack status=0") == 1, "the guest did not run to its end")
        sealed(o)
    return Test("q35", script, verify, 180)


def hotplug() -> Test:
    """A vCPU that is plugged in after the seal is held by it too. (A third: the second one makes Linux patch in its SMP locks.)"""
    script = Q35 + """
(user_mode; echo device_add host-x86_64-cpu,id=late,socket-id=2,core-id=0,thread-id=0; sleep 25; echo info cpus) |
q35 'rf.mode=hotplug' -smp 2,sockets=3,maxcpus=3 -monitor stdio >$OUT/hmp 2>&1
"""

    def verify(o: Outcome) -> None:
        check(o.said("RF: hotplug cpu2 online"), "the plugged CPU never ran")
        check(o.said("result=faulted") == 1 and not o.said("result=landed"), "its attack landed")
        check(o.said("RF: done mode=hotplug status=0") == 1, "the guest did not run to its end")
        sealed(o)
        check(o.decisions(verdict="blocked")[0]["vcpu"] == 2, "the record names another CPU")
    return Test("hotplug", script, verify, 180)


def control_watch() -> Test:
    """One watch of CR0 and CR4 serves every VM of the host, mends itself, and is trusted only where it is the one of this
    release; where it may not be had, the VM runs without it or, by policy, not at all.
    """
    script = """
# With memory, as without it this is what libvirt asks a VMM, and nothing to be protected.
quick() { name=$1; echo quit | limited 60 ${AS:-ringfence} run --name $name $OPTIONS -- $QEMU -M none -m 16 -accel kvm -display none \\
	-monitor stdio -serial none >$OUT/$name 2>&1; echo "$name status=$?" >>$OUT/console; }
probes() { echo "$1 probes=$(grep -c ' kvm_set_cr[04]+' /sys/kernel/debug/kprobes/list) folders=$(ls /sys/fs/bpf/ringfence | wc -l)" >>$OUT/console; }
rm -rf /sys/fs/bpf/ringfence # of the guests before
for n in $(tries 40); do [ $(grep -c ' kvm_set_cr[04]+' /sys/kernel/debug/kprobes/list) = 0 ] && break; sleep 0.5; done
ringfence doctor >$OUT/doctor-before
quick first; probes first
# seen VM FILE: it says that its watch is on and what is pinned. A monitor that has not heard of the watch for a moment, on a
# slow host, says that it does not know.
seen() { for n in $(tries 60); do ringfence status --json $1 >$OUT/$2 2>/dev/null; grep -q '"control_watch": *"on"' $OUT/$2 && grep -q '"control_pinned": *"[^"]' $OUT/$2 && return; sleep 1; done; }
for vm in a b; do WRAP="ringfence run --name $vm --audit $OUT/$vm.jsonl --" MEMORY=192 l2 6.12 1 'rf.mode=idle rf.seconds=100' >$OUT/boot-$vm 2>&1 & done
seen a status-a; seen b status-b
probes both; ringfence doctor >$OUT/doctor-used
here=$(echo /sys/fs/bpf/ringfence/cr-*)
rm $here/rf_cr4 $here/vms # under both, who put it back
for vm in a b; do
	for n in $(tries 40); do grep -q '"kind":"control-watch".*"outcome":"back"' $OUT/$vm.jsonl && break; sleep 0.5; done
	seen $vm back-$vm
done
probes restored; ringfence doctor >$OUT/doctor-restored
wait
rm $here/rf_cr4
for n in $(tries 40); do [ $(grep -c ' kvm_set_cr[04]+' /sys/kernel/debug/kprobes/list) = 1 ] && break; sleep 0.5; done
probes broken; quick mended; probes mended
mv $here/rf_cr0 $here/x; mv $here/rf_cr4 $here/rf_cr0; mv $here/x $here/rf_cr4; quick foreign
printf 'version: 1\\npin: { control_watch: required }\\n' >$OUT/policy; chmod 644 $OUT/policy
OPTIONS="--policy $OUT/policy" quick foreign-required
mv $here/rf_cr0 $here/x; mv $here/rf_cr4 $here/rf_cr0; mv $here/x $here/rf_cr4
# One that must be watched stands still without, and where nobody may put it back.
(sleep 60; echo quit) | limited 120 ringfence run --name held --policy $OUT/policy --audit $OUT/held.jsonl -- $QEMU -M none -m 16 -accel kvm -display none \
	-monitor stdio -serial none >$OUT/held 2>&1 &
vmm() { case $(sed -n 's/^State:.//p' /proc/$held/status) in T*) is=stopped ;; ?*) is=running ;; *) is=gone ;; esac; echo "held $1=$is" >>$OUT/console; }
for n in $(tries 40); do grep -q 'under protection' $OUT/held && break; sleep 0.5; done
held=$(sed -n 's/.*(VMM \\([0-9]*\\),.*/\\1/p' $OUT/held)
vmm before; chown nobody /sys/fs/bpf/ringfence; rm $here/rf_cr0
for n in $(tries 40); do grep -q 'cannot be put back' $OUT/held && break; sleep 0.5; done
sleep 1; vmm lost; ringfence list >$OUT/held-list
chown root /sys/fs/bpf/ringfence
for n in $(tries 40); do grep -q 'watch is back' $OUT/held && break; sleep 0.5; done
vmm back; wait
rm -r $here; OPTIONS="--policy $OUT/policy" quick again
for n in $(tries 40); do [ $(grep -c ' kvm_set_cr[04]+' /sys/kernel/debug/kprobes/list) = 2 ] && break; sleep 0.5; done
probes again
chmod 666 /dev/kvm; mkdir -m 700 /tmp/nobody; chown nobody /tmp/nobody
export XDG_RUNTIME_DIR=/tmp/nobody
AS='start-stop-daemon -S -c nobody -x /usr/bin/ringfence --'
quick nobody; OPTIONS="--policy $OUT/policy" quick nobody-required
# The same user where there is a service for him, and a guest of his that clears a bit.
grep -q ^kvm: /etc/group || echo kvm:x:65534: >>/etc/group
ringfence watch --group kvm >$OUT/service 2>&1 & service=$!
for n in $(tries 40); do grep -q 'serves VMMs' $OUT/service && break; sleep 0.5; done
cp /usr/bin/ringfence /usr/bin/ringfence-user # start-stop-daemon starts no second one of a program
AS='start-stop-daemon -S -c nobody -x /usr/bin/ringfence-user --'
quick served; OPTIONS="--policy $OUT/policy" quick served-required
cat >own <<'X'
. /lab/lib.sh
export XDG_RUNTIME_DIR=/tmp/nobody
WRAP="ringfence run --name user --audit /tmp/nobody/user.jsonl --" l2 6.12 1 'rf.mode=attack rf.attacks=cr4_smep rf.delay=4' >/tmp/nobody/user 2>&1
X
start-stop-daemon -S -c nobody -x /bin/sh -- ./own & own=$!
seen /tmp/nobody/ringfence/user user-status
wait $own; cp /tmp/nobody/user /tmp/nobody/user.jsonl $OUT/
kill $service
"""

    def verify(o: Outcome) -> None:
        for name in ("served", "served-required"):
            check(o.said(f"{name} status=0") and "not watched" not in o._text(name), f"{name}: {o._text(name)}")
        check(json.loads(o._text("user-status"))["control_watch"] == "on", "a user's guest is not watched")
        check('"verdict":"undone"' in o._text("user.jsonl"), f"nothing was undone for a user: {o._text('user')}")
        for name in ("first", "mended", "again"):
            check(o.said(f"{name} status=0"), f"{name} did not run")
            check("not watched" not in o._text(name), f"{name}: {o._text(name)}")
        for name, probes in (("first", 2), ("both", 2), ("restored", 2), ("broken", 1), ("mended", 2), ("again", 2)):
            check(o.said(f"{name} probes={probes} folders=1"), f"{name}: not {probes} probes in one folder")
        for vm in "ab":
            check(json.loads(o._text(f"back-{vm}"))["control_watch"] == "on", f"{vm} is not watched again")
            kinds = [r["outcome"] for r in map(json.loads, o._text(f"{vm}.jsonl").splitlines()) if r.get("kind") == "control-watch"]
            check(kinds[:2] == ["lost", "back"], f"{vm} has {kinds} on record")
            check("watch is lost" in o._text(f"boot-{vm}") and "watch is back" in o._text(f"boot-{vm}"), f"{vm} does not say it is lost, or back")
            status = json.loads(o._text(f"status-{vm}"))
            check(status["control_watch"] == "on" and "CR0.WP" in status["control_pinned"], f"{vm} is not watched: {status}")
            check("status=0" in o._text(f"boot-{vm}"), f"{vm} did not run to its end")
        check("it works; the next `ringfence run` as root loads it" in o._text("doctor-before"),
              "doctor sees a watch before there is one, or none would work")
        for name in ("used", "restored"):
            check("it works; it is loaded" in o._text(f"doctor-{name}"), f"doctor does not see the watch ({name})")
        check(o.said("held before=running") and o.said("held lost=stopped") and o.said("held back=running"), "not stopped where the watch must be, or not let go")
        check("watch lost" in o._text("held-list"), f"list does not say it is lost: {o._text('held-list')}")
        check('"outcome":"lost"' in o._text("held.jsonl"), "that it was lost is not on record")
        for name, why in (("foreign", "is not this program"), ("nobody", "only root")):
            check(o.said(f"{name} status=0") and why in o._text(name), f"{name} did not run, or did not say why unwatched")
            check(o.said(f"{name}-required status=125") and why in o._text(f"{name}-required"), f"{name} was not refused")
    return Test("control-watch", script, verify, 600, consoles=("boot-a", "boot-b"))


def migrated() -> Test:
    """A sealed guest moves to another VMM: what it was patched to moves with it, and it is sealed there before it runs. What
    its source had measured, before it was patched, is what arrives; where the measurement says something else, nothing runs.
    """
    script = Q35 + """
LIMIT=300
(said init 400; ringfence measure --json q35 >$OUT/expect; said patched 200; ringfence measure --json q35 >$OUT/expect.patched
 ringfence measure q35 >$OUT/expect.txt; echo migrate '"exec:cat >/tmp/state"'
 for n in $(tries 60); do [ -s /tmp/state ] && break; sleep 0.5; done; sleep 6; echo info migrate; sleep 2; echo quit) |
q35 'rf.mode=attack rf.patched=4 rf.delay=40 rf.attacks=syscall_table,commit_creds' -smp 2 -monitor stdio >$OUT/hmp 2>&1
mv $OUT/console $OUT/source; grep -q 'RF: init' $OUT/source || exit; mv $OUT/audit.jsonl $OUT/source.jsonl
# One digit of the first digest: text's.
sed -e '1,/sha256/s/"[0-7]\\([0-9a-f]*\\)"$/"x\\1"/' -e '1,/sha256/s/"[89a-f]\\([0-9a-f]*\\)"$/"0\\1"/' -e 's/"x/"8/' $OUT/expect >$OUT/forged
(for n in $(tries 60); do ringfence status q35 >$OUT/halted 2>/dev/null; grep -q 'why no vCPU runs.*(text)' $OUT/halted && break; sleep 0.5; done
 ringfence measure q35 >$OUT/unmeasured 2>&1; sleep 3; echo info status; sleep 1; echo quit) |
RUN="--expect $OUT/forged" q35 'rf.mode=attack' -smp 2 -incoming 'exec:cat /tmp/state' -monitor stdio >$OUT/refused 2>&1
mv $OUT/console $OUT/refused.console; mv $OUT/audit.jsonl $OUT/refused.jsonl
RUN="--expect $OUT/expect" q35 'rf.mode=attack' -smp 2 -incoming 'exec:cat /tmp/state' >$OUT/destination 2>&1
"""

    def refused(o: Outcome) -> None:
        o.records = [json.loads(line) for line in o._text("refused.jsonl").splitlines()]
        check(not o._text("refused.console"), "what was refused ran")
        [denied] = o.decisions(verdict="blocked")
        check(denied["rule"] == "measurement-differs" and denied["region"] == "text", f"another record: {denied}")
        check(denied["sha256"] != denied["expected"], "the record's two digests are the same")
        check(o.decisions(kind="load", outcome="halted: no vCPU runs"), "no record that the VM is halted")
        check("why no vCPU runs" in o._text("halted") and "(text)" in o._text("halted"), "status does not say why")
        check("(text)" in o._text("unmeasured"), "what is halted was measured")

    def verify(o: Outcome) -> None:
        check("RF: begin" not in o._text("source"), "the source attacked before it moved")
        check(re.search(r"RF: patched tracer=function probes=2 \S*optimised=1", o._text("source")), "the source was not patched")
        expect = o._text("expect")
        check(json.loads(expect)["version"] == 1 and expect == o._text("expect.patched"), "patching changed the measurement")
        check(json.loads(expect)["regions"][0]["sha256"] in o._text("expect.txt"), "no table of it")
        check(o.said("RF: done mode=attack status=0") == 1, "the guest did not go on at the destination")
        check(o.said("result=faulted") == 2 and not o.said("result=landed"), "an attack landed at the destination")
        check(len(o.decisions(kind="seal", outcome="sealed as it was restored")) == 3, "not sealed on arrival")
        check(len(o.decisions(kind="measure", rule="measurement-as-expected")) == 3, "it is not what it was at its source")
        source = {r["region"]: r["sha256"] for r in map(json.loads, o._text("source.jsonl").splitlines())
                  if r.get("kind") == "seal"}
        moved = {r["region"]: r["sha256"] for r in o.decisions(kind="seal")}
        check(source["rodata"] == moved["rodata"], "rodata changed on the way")
        check(source["text"] != moved["text"], "no patch moved with it")
        check(len(o.decisions(verdict="blocked")) == 2, "the record does not hold the two attacks")
        check(not o.decisions(verdict="detected"), "alerts at the destination")
        refused(o)
    return Test("migrated", script, verify, 600, consoles=("source",))


def unprotectable() -> Test:
    """What cannot be protected does not run: emulation, and a KVM nobody may use."""
    script = """
try() { name=$1; shift; limited 60 "$@" >$OUT/$name 2>&1; echo "$name status=$?" >>$OUT/console
	pidof qemu-system-x86_64 >/dev/null && { echo "$name left-running" >>$OUT/console; killall -9 qemu-system-x86_64; }; }
guest="-M microvm,pit=off,pic=off,isa-serial=on -m 256 -nodefaults -display none -serial stdio -no-reboot
-kernel $GUEST/6.12/vmlinuz -initrd $GUEST/6.12/initrd"
try tcg ringfence run --name tcg --start-timeout 20 -- $QEMU $guest -accel tcg -append "console=ttyS0 rf.mode=idle"
try fallback sh -c "chmod 000 /dev/kvm; ringfence run --name fb --kvm /dev/null --start-timeout 20 -- $QEMU $guest -accel kvm:tcg"
try foreign env RINGFENCE_LINK=none LD_PRELOAD=/usr/lib/ringfence/libringfence.so $QEMU $guest -accel kvm
try other ls -l / 
LD_PRELOAD=/usr/lib/ringfence/libringfence.so RINGFENCE_LINK=none ls / >/dev/null && echo "ls status=0" >>$OUT/console
"""

    def verify(o: Outcome) -> None:
        check(not o.said("left-running"), "an unprotected guest was left running")
        for name in ("tcg", "fallback", "foreign"):
            said = o._text(name)
            check("RF: init" not in said and "Linux version" not in said, f"{name}: the guest ran unprotected")
            check(f"{name} status=0" not in o.console, f"{name}: reported as a success")
            check("ringfence: " in said, f"{name}: no reason was given")
        check("executable memory refused" in o._text("tcg"), "emulation was not what was refused")
        check("this VM is not started" in o._text("foreign"), "the fence did not say why")
        check(o.said("ls status=0"), "a program that is no VMM was disturbed")
    return Test("unprotectable", script, verify, 200, consoles=())


def debian(kernel: str, machine: str) -> Test:
    """A whole Debian comes up to its login prompt: all that its systemd, udev and modules patch on the way is legal. The
    PC's udev loads kvm, which has static calls of the kernel lead into it.
    """
    settings, patched = ("BOARD=q35 CPU=host", "static_call") if machine == "q35" else ("", "jump_label")
    script = f"""
(for n in $(tries 360); do grep -q 'debian login:' $OUT/console 2>/dev/null && break; sleep 0.5; done
 for n in $(tries 30); do
	sleep 2; ringfence status --json debian >$OUT/status; grep -q '"{patched}": *[1-9]' $OUT/status && break
 done
 echo quit) |
{settings} SERIAL=file:$OUT/console WRAP="ringfence run --name debian --audit $OUT/audit.jsonl --" \
	debian {kernel} 2 '' -monitor stdio >$OUT/hmp 2>&1
"""

    def verify(o: Outcome) -> None:
        check(o.said("debian login:"), "no login prompt")
        sealed(o)
        quiet(o)
        status = json.loads(o._text("status"))
        check(status["state"] == "sealed" and status["vcpus"] == 2, f"state {status['state']}, {status['vcpus']} vCPUs")
        check(status["counters"]["denied"] == 0, f"{status['counters']['denied']} stores were denied")
        check(status["patches"][patched] > 0, f"no {patched} was patched: {status['patches']}")
    return Test(f"debian-{kernel}-{machine}", script, verify, 300, consoles=(), debian=True)


TESTS = [boot("6.1", 1), boot("6.1", 2), boot("6.12", 1), boot("6.12", 2), boot("6.12", 4), boot("7", 1),
         boot("7", 2), tracing("6.1"), tracing("6.12"), tracing("7"), stuffing("6.12"), patches_denied(), hooks_owned(),
         log_full("6.12"), profiles(), boot_probes("6.12"), live("6.1"), live("6.12"), tables("6.1", 2), tables("6.12", 2), gadgets("6.1"),
         gadgets("6.12"), monitor_killed(), misled(), example_guard(), first_act(), reboot(), q35(), hotplug(), migrated(),
         unprotectable(), debian("6.1", "microvm"), debian("6.12", "microvm"), debian("6.12", "q35"), control_watch(),
         rootless(), hardened_host()]
# Run by their names (make lab-flavours).
FLAVOURS = [test(kernel) for kernel in kernels.FLAVOURS for test in (lambda kernel: boot(kernel, 2), tracing)] + [
    log_full("6.1"), log_full("7")]


if __name__ == "__main__":
    sys.exit(main(str(__doc__), TESTS, "lab", FLAVOURS))
