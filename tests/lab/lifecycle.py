#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What happens to a guest in its life, and to its seals and pins with it: processors that go and come, resets, sleep, snapshots,
another kernel, a debugger, guests of its own. After each the guest attacks: that is denied, and nothing else is reported.
The same attacks land in the unprotected guests of the offline tests.

lifecycle.py [--host-kernel 6.12] [TEST ...]. Written as suite.py is. The guest's part is guest/life.sh.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Callable, Optional

import kernels
from build import HERE, Cpio, out_dir, run
from trial import Outcome, Record, Test, about_attacker, check, main, sealed

EXTRA = ["irqbypass", "ccp", "kvm", "kvm-amd", "kvm-intel", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"]
# life.sh makes them last.
ATTACKS = ("lstar_after_seal", "msr_star", "syscall_table")

# guest MACHINE CPUS CMDLINE [QEMU arguments]: the monitor of QEMU is on standard input. said TEXT [TIMES]: waits for the guest.
# WRAP: what goes in front of it; CONSOLE: what it says, with what its monitor says beside it.
HOST = """
cat $GUEST/$KERNEL/initrd life.cpio >life.img
truncate -s 4096 count
guest() {
	machine=$1 cpus=$2 cmdline=$3
	shift 3
	limited $LIMIT $WRAP $QEMU -M $machine -accel kvm -cpu host \\
		-smp $cpus -m 512 -nodefaults -no-user-config -display none -serial file:$OUT/$CONSOLE -monitor stdio \\
		-kernel $GUEST/$KERNEL/vmlinuz -initrd life.img \\
		-append "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check $(cat $GUEST/$KERNEL/arguments) rf.mode=life $cmdline" "$@" >$OUT/$CONSOLE.hmp 2>&1
	echo "$CONSOLE: qemu ended with status $?"
}
said() {
	for n in $(tries $((LIMIT * 2))); do
		seen=$(grep -c "$1" $OUT/$CONSOLE 2>/dev/null)
		[ "${seen:-0}" -ge "${2:-1}" ] && return
		sleep 0.5
	done
}
"""
BOTH = ("6.12", "6.1")
MICROVM = "microvm,pit=off,pic=off,rtc=on,isa-serial=on"


def files(kernel: str) -> dict[str, bytes]:
    """The second initramfs, which is put behind the guest's own."""
    program = out_dir() / "life"
    run("gcc", "-O2", "-static", "-Wall", "-Wextra", "-Werror", "-o", program, HERE / "guest/life.c")
    archive = Cpio()
    archive.file("extra/life", program)
    archive.data("life.sh", (HERE / "guest/life.sh").read_bytes())
    for order, (name, body) in enumerate(kernels.get(kernel).modules(EXTRA).items()):
        archive.data(f"extra/{order:02}-{name}.ko", body)
    return {"life.cpio": archive.finish()}


def with_disk() -> dict[str, bytes]:
    """And an empty disk that keeps snapshots."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "snapshots"
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", path, "16M"], check=True)
        return files("6.12") | {"snapshots": path.read_bytes()}


def alerts(o: Outcome) -> list[Record]:
    """Everything that was reported, but that the attack module is one that nobody vouches for."""
    return [r for r in o.decisions() if r.get("verdict") in ("blocked", "detected", "undone") and not about_attacker(r)]


def defended(o: Outcome, boots: int = 1, attacked: int = 1, landed: int = 0) -> None:
    """The guest ended by itself, sealed once a boot; its attacks failed, each has its record, and there is no other."""
    check(o.said("RF: done mode=life status=0") == 1, "the guest did not get to its end")
    check(not o.said("RF: life failed"), "the guest could not do its part")
    sealed(o, boots)
    check(all(o.said(f"attack {name} result=faulted") == attacked for name in ATTACKS) and o.said("result=landed") == landed,
          "an attack landed")
    found = [(r["kind"], r["target"].get("symbol") if r["kind"] == "write" else r["detail"].split()[0]) for r in alerts(o)]
    wanted = [("msr", "LSTAR"), ("msr", "STAR"), ("control-register", "CR0.WP"), ("write", "sys_call_table")] * attacked
    check(found == wanted, f"alerts: {found[:20]}")


def life(name: str, verify: Callable[[Outcome], None], monitor: str = "true", *, machine: str = MICROVM, cpus: int = 2,
         cmdline: str = "", arguments: str = "-no-reboot", kernel: str = "6.12",
         made: Optional[Callable[[], dict[str, bytes]]] = None, limit: int = 120, policy: str = "",
         control: Optional[Callable[[str], object]] = None) -> Test:
    """One guest, with what is typed into its VMM's monitor meanwhile; before it, with a control, the same one unprotected."""
    run_it = f"({monitor}; said 'RF: done'; sleep 3; echo quit) |\nguest {machine} {cpus} '{cmdline}' {arguments}\n"
    script = (f"KERNEL={kernel}" + HOST + f"echo 'version: 1\n{policy}' >policy\n" +
              ("WRAP= CONSOLE=control LIMIT=120\n" + run_it if control else "") +
              f'WRAP="ringfence run --name life --policy policy --audit $OUT/audit.jsonl --" CONSOLE=console LIMIT={limit}\n' + run_it)

    def both(o: Outcome) -> None:
        check(not control or control(o._text("control")), "the control was stopped too")
        verify(o)
    return Test(name, script, both, limit + 30 + (130 if control else 0), files=made or (lambda: files(kernel)),
                consoles=("control", "console") if control else ("console",),
                guests=(kernel,) if kernel in kernels.NEWER else ("6.1", "6.12"))


def offline(kernel: str) -> Test:
    """A processor that went and came back loads what the others have, and may load nothing else."""
    return life(f"offline-{kernel}", defended, cmdline="rf.act=offline_online", kernel=kernel,
                control=lambda said: all(f"attack {name} result=landed" in said for name in ATTACKS))


def restarts(name: str, machine: str, how: str) -> Test:
    """The guest's own restart, by each means that it has."""
    def verify(o: Outcome) -> None:
        check(o.said("RF: life boot 1") == 1 and o.said("RF: life boot 2") == 1, "it did not boot twice")
        check(len(o.decisions(kind="reset")) == 1, "the reset is not in the record, once")
        defended(o, boots=2)
    bus = "pci" if machine == "q35" else "device"
    return life(name, verify, machine=machine, cmdline=f"rf.act=restart rf.type={how}",
                arguments=f"-drive id=count,file=count,format=raw,if=none -device virtio-blk-{bus},drive=count")


def system_reset() -> Test:
    """The operator's reset, in the middle of something."""
    def verify(o: Outcome) -> None:
        check(o.said("RF: life begin") == 2, "it did not boot twice")
        defended(o, boots=2)
    return life("system-reset", verify, "said 'life tick 3'; echo system_reset", arguments="")


def smm() -> Test:
    """System management mode has memory and registers of its own, and gives the guest's back."""
    def verify(o: Outcome) -> None:
        found = re.search(r"life smis before=(\d+) after=(\d+)", o.console)
        check(found, "it did not say how many")
        count = int(found.group(2)) - int(found.group(1))
        check(count == 20, f"{count} interrupts instead of 20")
        defended(o)
    return life("smm", verify, machine="q35", cmdline="rf.act=smis")


WAKE = ("said 'life begin'; for n in $(tries 60); do echo info status; sleep 0.5; grep -q suspended $OUT/$CONSOLE.hmp && break; done; "
        "echo system_wakeup")


def again(o: Outcome) -> None:
    """What the kernel was sealed with is there again after its sleep."""
    found = o.decisions(kind="seal", outcome="sealed again, with the bytes it had")
    check([r["region"] for r in found] == ["text", "rodata", "idt"], f"sealed again: {found}")
    check(len({r["sha256"] for r in o.decisions(kind="seal", region="rodata")}) == 1, "rodata changed asleep")


def suspend() -> Test:
    """To sleep, memory alone kept, and back: the VMM resets the processors, the kernel loads its own registers again."""
    def verify(o: Outcome) -> None:
        check("suspended" in o._text("console.hmp"), "it never slept")
        check(o.said("RF: init") == 1, "it booted instead of waking up")
        defended(o)
        again(o)
    return life("suspend", verify, WAKE, machine="q35", cmdline="rf.act=suspend no_console_suspend")


def asleep() -> Test:
    """A store on the way out of sleep, when the VMM's reset had released the seals: they are there again."""
    def verify(o: Outcome) -> None:
        check(o.said("attack asleep result=faulted") == 1, "it was not refused")
        again(o)
        check(alerts(o)[0]["verdict"] == "blocked" and alerts(o)[0]["region"] == "rodata", f"alerts: {alerts(o)[:1]}")
        o.records = [r for r in o.records if r is not alerts(o)[0]]
        defended(o)
    return life("asleep", verify, WAKE, machine="q35", cmdline="rf.act=asleep no_console_suspend",
                control=lambda said: "attack asleep result=landed" in said)


def s3_forged_state(kernel: str) -> Test:
    """The same by an attacker who has made the kernel look like one that boots: what was sealed is there again all the same."""
    def verify(o: Outcome) -> None:
        check(o.said("attack s3_forged_state result=") == 1 and not o.said("result=landed"), "the store stayed")
        again(o)
        o.records = [r for r in o.records if (r.get("target") or {}).get("symbol") != "linux_banner"]
        defended(o)
    return life(f"s3-forged-state-{kernel}", verify, WAKE, machine="q35", cmdline="rf.act=s3_forged_state no_console_suspend",
                kernel=kernel, limit=200,
                control=lambda said: "attack s3_forged_state result=landed" in said)


def fake_kallsyms_s3() -> Test:
    """Another kallsyms in a free page of the image, for when the kernel is read again behind its sleep: it is not believed."""
    def verify(o: Outcome) -> None:
        check(o.said("attack fake_kallsyms result=landed") == 1, "the lie did not land")
        again(o)
        check(not o.decisions(kind="kernel", outcome="not recognised"), "the kernel was taken for another")
        check(len({r["detail"] for r in o.decisions(kind="kernel")}) == 1, "the kernel has more than one banner")
        defended(o, landed=1)
    return life("fake-kallsyms-s3", verify, WAKE, machine="q35", cmdline="rf.act=fake_kallsyms_s3 rf.patience=1 no_console_suspend",
                limit=200, control=lambda said: "attack fake_kallsyms result=landed" in said and "attack syscall_table result=landed" in said)


# move CPUS CMDLINE [QEMU arguments]: a guest that begins an attack, is saved WAIT seconds later, and goes on in another VMM. What
# it says there goes to CONSOLE, what it said before to CONSOLE-source.
MOVE = """
move() {
	to=$CONSOLE CONSOLE=$CONSOLE-source
	(said 'result=none'; sleep $WAIT; echo migrate '"exec:cat >state"'
	 for n in $(tries 60); do echo info migrate; sleep 1; grep -q 'status: completed' $OUT/$CONSOLE.hmp && break; done; echo quit) |
		guest q35 "$@"
	[ ! -e $OUT/audit.jsonl ] || mv $OUT/audit.jsonl $OUT/source.jsonl
	CONSOLE=$to LIMIT=90
	(said 'RF: done'; sleep 3; echo quit) | guest q35 "$@" -incoming 'exec:cat state'
	rm state
}
"""


def moves(name: str, attack: str, kernel: str, verify: Callable[[Outcome], None], cpus: int, cmdline: str, arguments: str = "",
          wait: int = 5) -> Test:
    """One guest that is moved in the middle of an attack, unprotected and then protected."""
    script = (f"KERNEL={kernel} WAIT={wait}" + HOST + MOVE + "printf 'version: 1\n' >policy\n" +
              "".join(f"{setting} LIMIT=150\nmove {cpus} 'rf.act={attack} {cmdline}' -no-reboot {arguments}\n" for setting in
                      ("WRAP= CONSOLE=control",
                       'WRAP="ringfence run --name moved --policy policy --audit $OUT/audit.jsonl --" CONSOLE=console')))

    def both(o: Outcome) -> None:
        check(f"attack {attack} result=landed" in o._text("control"), "the control did not land")
        for source in ("control-source", "console-source"):
            check(f"attack {attack} result=none" in o._text(source) and "status: completed" in o._text(source + ".hmp"),
                  f"{source}: the guest was not moved while it attacked")
            check("RF: life over" not in o._text(source), f"{source}: the guest was moved too late")
        check(not o.said("result=landed"), "the attack landed")
        verify(o)
    return Test(name, script, both, 520, consoles=("control-source", "console-source"), files=lambda: files(kernel))


def dma_then_migrate(kernel: str) -> Test:
    """What a device wrote over sealed memory is found and recorded, and does not go to another host."""
    def verify(o: Outcome) -> None:
        source = [json.loads(line) for line in o._text("source.jsonl").splitlines()]
        check([r for r in source if r.get("kind") == "dma" and r["verdict"] == "detected"
               and r["target"]["symbol"] == "__start_BTF"], "not on the source's record")
        check(o.said("attack dma_then_migrate result=unchanged") == 1, "the guest did not go on")
        sealed_as = [r["sha256"] for r in source if r.get("kind") == "seal" and r["region"] == "rodata"]
        check([r["sha256"] for r in o.decisions(kind="seal", region="rodata")] == sealed_as, "rodata changed on the way")
        check(o.said("result=faulted") == len(ATTACKS), "an attack at the destination was not refused")
    return moves(f"dma-then-migrate-{kernel}", "dma_then_migrate", kernel, verify, 1, "rf.patience=60",
                 "-drive id=disk,file=count,format=raw,if=none -device virtio-blk-pci,drive=disk")


def restore_lstar_zero(kernel: str, cpus: int) -> Test:
    """A guest that is saved while its own LSTAR is 0 is sealed where it is loaded, by what another processor has there; when
    none has anything it does not run.
    """
    def verify(o: Outcome) -> None:
        if cpus == 1 and not o.console.strip():
            check("ringfence: " in o._text("console.hmp"), "the VM ended, and nobody said why")
            return
        check(o.said("attack restore_lstar_zero result=faulted") == 1, "the store was not refused")
        check(len(o.decisions(kind="seal", outcome="sealed as it was restored")) == 3, "not sealed on arrival")
        check(o.decisions(verdict="blocked", kind="write")[0]["target"]["symbol"] == "linux_banner", "no record")
    return moves(f"restore-lstar-zero-{kernel}-{cpus}", "restore_lstar_zero", kernel, verify, cpus,
                 "rf.patience=40 rcupdate.rcu_cpu_stall_suppress=1", wait=3)


def stopped() -> Test:
    """stop and cont."""
    return life("stop-cont", defended, "said 'life tick 3'; echo stop; sleep 3; echo cont", cmdline="rf.ticks=5")


def snapshot() -> Test:
    """savevm, and loadvm in the same VMM: the guest is where it was, with its seals."""
    def verify(o: Outcome) -> None:
        check("Error" not in o._text("console.hmp"), "the VMM could not")
        check(o.said("RF: life tick 6") == 2, "it was not put back in time")
        defended(o)
    monitor = "said 'life tick 3'; echo savevm one; said 'life tick 7'; echo loadvm one"
    return life("snapshot", verify, monitor, machine="q35", cmdline="rf.ticks=10", made=with_disk,
                arguments="-no-reboot -drive if=none,id=snapshots,file=snapshots,format=qcow2")


def nested() -> Test:
    """A guest that runs guests: what these do to their registers is theirs."""
    def verify(o: Outcome) -> None:
        check(o.said("nested=ok") == 3, "its guests did not run")
        defended(o)
    return life("nested", verify, cmdline="rf.act=guests")


KEXEC = ("-no-reboot -drive id=k,file=$GUEST/$KERNEL/vmlinuz,format=raw,if=none,readonly=on -device virtio-blk-device,drive=k "
         "-drive id=i,file=life.img,format=raw,if=none,readonly=on -device virtio-blk-device,drive=i")
NEXT = "rf.next=console=ttyS0,panic=-1,tsc=reliable,no_timer_check,reboot=t,rf.mode=life,rf.act=ticks,rf.ticks=2"
REARM = "on_kexec: rearm"
CRASH = f"rf.act=kexec_crash reboot=t crashkernel=160M {NEXT},nr_cpus=1"


def went(said: str) -> bool:
    """An unprotected guest goes on as another kernel."""
    return said.count("RF: life loaded") == 1 and said.count("RF: life begin") == 2 and "RF: done mode=life status=0" in said


def refused(o: Outcome) -> None:
    """The way to another kernel ended at its beginning: one record of it, and the first kernel is still sealed."""
    check(o.said("RF: life loaded") == 1, "there was nothing to go to")
    check(o.said("RF: init") == 1, "the second kernel ran")
    found = [(r["kind"], r["verdict"], r["writer"].get("symbol")) for r in alerts(o)]
    check(found == [("kexec", "blocked", "machine_kexec")], f"alerts: {found[:20]}")
    sealed(o)


def succeeded(o: Outcome) -> None:
    """The next kernel is sealed and pinned as the first one was, and the way there is on record."""
    check(o.said("RF: life loaded") == 1, "there was nothing to go to")
    check(o.said("RF: life begin") == 2, "the second kernel did not run")
    check(len(o.decisions(kind="kexec", verdict="allowed")) == len(o.decisions(kind="reset")) == 1, "not on record, once")
    defended(o, boots=2)


def kexec(kernel: str, policy: str = "") -> Test:
    """Another kernel, by kexec: denied, or sealed in its turn, as the owner wants it."""
    return life(f"kexec-{kernel}" + ("-rearmed" if policy else ""), succeeded if policy else refused,
                cmdline=f"rf.act=kexec_now {NEXT}", arguments=KEXEC, kernel=kernel, limit=90 if policy else 45, policy=policy,
                control=None if policy else went)


def untrapped() -> Test:
    """A kernel on its way to another one where no trap is, as in text that is not sealed: it ends where it clears CR0.WP."""
    def verify(o: Outcome) -> None:
        check(o.said("RF: life loaded") == 1, "there was nothing to go to")
        check(o.said("RF: init") == 1, "the second kernel ran")
        found = [(r["kind"], r["verdict"], r.get("detail", "").split(":")[0]) for r in alerts(o)]
        check(found == [("control-register", "undone", "CR0.WP cleared")], f"alerts: {found[:20]}")
    return life("kexec-untrapped", verify, cmdline=f"rf.act=kexec_now {NEXT}", arguments=KEXEC, limit=45,
                policy="seal: { text: false }", control=went)


def kdump(policy: str = "") -> Test:
    """The crash kernel is another kernel too."""
    return life("kdump" + ("-rearmed" if policy else ""), succeeded if policy else refused, cmdline=CRASH, arguments=KEXEC,
                limit=90 if policy else 45, policy=policy, control=None if policy else went)


RSP = r"""
packet() {
	rest=$1 sum=0
	while [ -n "$rest" ]; do
		sum=$(((sum + $(printf %d "'$rest")) % 256)) rest=${rest#?}
	done
	printf '+$%s#%02x' "$1" $sum
	sleep 1
}
# A breakpoint of one kind (1: hardware, 0: in memory) on a function that is called all the time, and away again.
debug() {
	at=$(sed -n 's/.*RF: life at //p' $OUT/console | tr -d '\r')
	(packet '?'; packet g; packet Z$1,$at,1; packet c; sleep 3; printf '\003'; sleep 1; packet z$1,$at,1; packet D; sleep 1) |
		nc 127.0.0.1 1234 >>$OUT/gdb
}
"""


def debugger(name: str, kind: int) -> Test:
    """A debugger at the VMM's gdbstub stops the guest, looks at it, sets a breakpoint, goes on, leaves. One in memory is the VMM's
    write into sealed text: it does not get there, and is reported as what it is.
    """
    def verify(o: Outcome) -> None:
        said = o._text("gdb")
        check(said.count("$OK#9a") >= 2, f"the breakpoint was not set and taken back: {said[-200:]}")
        found = o.decisions(verdict="detected")
        check({r["target"]["symbol"] for r in found} == (set() if kind else {"do_sys_openat2"}), f"found: {found}")
        o.records = [r for r in o.records if r not in found]
        defended(o)
    test = life(name, verify, f"said 'life tick 2'; echo gdbserver tcp:127.0.0.1:1234; sleep 1; debug {kind}; echo cont",
                cmdline="rf.act=debugged rf.ticks=6")
    test.script = RSP + test.script
    return test


TESTS = [offline("6.12"), offline("6.1"), offline("7"), restarts("restart-triple", MICROVM, "triple"), restarts("restart-q35", "q35", "acpi"),
         system_reset(), smm(), suspend(), asleep(), fake_kallsyms_s3(), *(s3_forged_state(kernel) for kernel in BOTH),
         *(dma_then_migrate(kernel) for kernel in BOTH),
         *(restore_lstar_zero(kernel, cpus) for kernel in BOTH for cpus in (1, 2)), stopped(), snapshot(), nested(),
         kexec("6.12"), kexec("6.12", REARM), kexec("6.1", REARM), untrapped(), kdump(), kdump(REARM),
         debugger("debugger", 1), debugger("debugger-int3", 0)]

if __name__ == "__main__":
    sys.exit(main(str(__doc__), TESTS, "lifecycle"))
