#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests, fences and monitors that lie, against stock QEMU and the real programs.

hostile.py BUILD [TEST ...]. Ends with "hostile: N passed, N failed, N skipped". They run on this machine's /dev/kvm, or in the
lab's emulated host where that runs no QEMU; LAB=native or emulated chooses (place.py). Whatever is wrong must end in a clear
error within seconds, with nothing unprotected left running. Each guest runs without ringfence first; there it must go
on.
"""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Callable

import lost
import peers
import place
import ways
from machine import LIMIT, RUNS_ON, SCALE, Failed, Lab, Monitor, Process, Qmp, Skipped, check, wait
from ways import decisions

Test = Callable[[Lab], None]

# --- guests ------------------------------------------------------------------------------------------

# Variant of memory.c: the reason, as the user and the record must have it.
REFUSED = {
    "unmapped": "no translation in page tables",
    "outside-window": "not in the kernel-image window",
    "image-outside-ram": "cannot read the image",
    "table-outside-ram": "no translation in page tables",
    "cyclic": "no kallsyms|malformed",
    "reserved-address": "cannot read the image|no translation",
    "reserved-large": "no translation in page tables",
    "reserved-size": "no translation in page tables",
    "noise": "no kallsyms in",
    "digits": "no names and markers agree",
    "offsets": "offsets of 11 symbols fit no known encoding",
    "truncated": "kallsyms",
    "backwards": "could not be sealed",
    "beyond-ram": "could not be sealed",
    "five-levels-noise": "no kallsyms in",
    "aliases": "no kallsyms in",
    "wide": "no kernel image",
    "empty": "no kallsyms in",
    "digits-everywhere": "too many places look like kallsyms",
    "tables-everywhere": "too many tables look like kallsyms",
}


def needs(lab: Lab, variant: str) -> None:
    """What the guest's CPU must have for it."""
    if not variant.startswith("five-levels"):
        return
    if not re.search(r"\bla57\b", Path("/proc/cpuinfo").read_text()):
        raise Skipped("this CPU has no 5-level paging")
    if not lab.cpu.startswith("host"):
        raise Skipped(f"-cpu {lab.cpu} has no 5-level paging")


def control(lab: Lab, variant: str) -> None:
    """Without ringfence the guest goes on."""
    needs(lab, variant)
    vm = lab.start("control", lab.qemu(variant))
    vm.says(RUNS_ON, "the unprotected guest to run")
    vm.stop()


def ends(lab: Lab, vm: Process, reason: str) -> None:
    """The VM is ended in time for this reason, and nothing is left."""
    code = vm.ended()
    said = vm.complained()
    check(code == 137, f"exit code {code}, not 137: {said}")
    check(not vm.said(RUNS_ON), "the guest went on")
    check(re.search(reason, said), f"no reason \"{reason}\" in: {said}")
    check("the VM was ended: the monitor ends it" in said, f"no word of the end in: {said}")
    check(not lab.left(), f"left running: {lab.left()}")
    check(not lab.state.exists(), "the state folder is left")


def refused(variant: str) -> Test:
    """The guest's lie ends the VM."""
    def test(lab: Lab) -> None:
        control(lab, variant)
        ends(lab, lab.run(variant), REFUSED[variant])
        last = [r for r in lab.records() if r["type"] == "decision"][-1]
        check(last["kind"] == "monitor" and last["outcome"] == "the VM is ended" and
              re.search(REFUSED[variant], last["detail"]), f"the record says {last}")
    return test


def goes_on(variant: str) -> Test:
    """A kernel of ours that tells the truth is found and sealed: the tests above end for what they are about."""
    def test(lab: Lab) -> None:
        control(lab, variant)
        vm = lab.run(variant)
        vm.says(RUNS_ON, "the guest to run")
        for region in ("text", "rodata"):
            seals = lab.recorded(kind="seal", region=region, outcome="sealed before")
            check(len(seals) == 1, f"{region} was sealed {len(seals)} times")
        status = lab.status()
        check(status["state"] == "sealed", f"status: {status}")
        check(status["kernel"].startswith("Linux version 6.99 ?[2J?"), f"status: {status}")
        vm.stop()
        check(not lab.left(), f"left running: {lab.left()}")
    return test


def without_types(lab: Lab) -> None:
    """Types that are garbage: known to be sealed late, and both user and record say so."""
    control(lab, "no-types")
    vm = lab.run("no-types")
    vm.says(RUNS_ON, "the guest to run")
    check(lab.recorded(kind="kernel", outcome="found, without types"), "the kernel is not recorded")
    check(lab.recorded(kind="kernel", outcome="sealed late"), "the record does not say that the seal is late")
    check("sealed late" in vm.complained(), f"the user is not told: {vm.complained()}")
    vm.stop()


# --- a log that cannot be written -----------------------------------------------------------------------

def full_log(variant: str, room: int, policy: str = "", lands: bool = False) -> Test:
    """The log takes `room` more bytes. What cannot be recorded is not allowed: the VM is ended."""
    def test(lab: Lab) -> None:
        control(lab, variant)
        full = ("{" + " " * 997 + "}\n") * 10000  # the limit is everybody's: beyond what QEMU and the fence make
        lab.audit.write_text(full)
        vm = lab.run(variant, policy, file_limit=len(full) + room)
        if lands:
            vm.says(RUNS_ON, "the guest to run")
            vm.ended()
            vm.out.write_text("")
        ends(lab, vm, "the audit log could not be written: File too large")
    return test


def fills(lab: Lab, policy: str) -> Process:
    """A guest that floods a log which takes no more than some lines of it."""
    full = ("{" + " " * 997 + "}\n") * 10000
    lab.audit.write_text(full)
    vm = lab.run("flood", OBSERVE + policy, file_limit=len(full) + 8000)
    vm.says(RUNS_ON, "the guest to run")
    wait(lambda: lab.status()["log"]["state"] == "full", "the log to be full", 30 * SCALE)
    return vm


def room_again(lab: Lab, vm: Process, monitor: int, least: int) -> None:
    """The monitor is the same one, and its log is rotated. Every store is on record; of those that were only counted it says so."""
    check(lab.status()["monitor_pid"] == monitor, "another monitor was needed")
    earlier = decisions(lab)
    os.truncate(lab.audit, 0)
    wait(lambda: lab.status()["log"]["state"] == "ok", "the log to be written again")
    judged(lab)
    vmm = lab.status()["vmm_pid"]
    os.kill(vmm, signal.SIGSTOP)
    wait(lambda: not lab.status()["log"]["in_no_line_yet"], "what was counted to be written", 20)
    made, known, gaps = lab.status()["counters"]["write"], earlier + decisions(lab), lab.recorded(type="unwritten")
    os.kill(vmm, signal.SIGCONT)
    check(known in (made - 1, made), f"{made} stores, and {known} are on record")
    # One gap. A line of it that was tried in vain says what it said then; the rest of the gap has another.
    check(len({(g["since_mono_ns"], g["cause"]) for g in gaps}) == 1 and gaps[0]["cause"] == "File too large" and
          [g["number"] for g in gaps] == list(range(gaps[0]["number"], gaps[0]["number"] + len(gaps))) and
          sum(g["decisions"] for g in gaps) >= least, f"the gap: {gaps}")
    said = vm.complained()
    check(said.count("the audit log could not be written") == 1, f"it was not told once: {said}")
    vm.stop()
    check(not lab.left(), f"left running: {lab.left()}")


def full_log_counts(lab: Lab) -> None:
    """With on_log_full: continue the guest goes on, and each decision is counted."""
    vm = fills(lab, "on_log_full: continue\n")
    monitor = lab.status()["monitor_pid"]
    before = lab.status()["log"]["counted_only"]
    wait(lambda: lab.status()["log"]["counted_only"] > before + 200, "decisions that are counted")
    check(re.search(r"^log +FULL since \d{4}-.* \(File too large\): \d+ decisions counted only", lab.ask("status"), re.M),
          f"status does not say so: {lab.ask('status')}")
    room_again(lab, vm, monitor, 200)


def full_log_holds(lab: Lab) -> None:
    """With on_log_full: pause nothing is answered before there is room."""
    vm = fills(lab, "on_log_full: pause\n")
    monitor = lab.status()["monitor_pid"]
    time.sleep(0.5)
    before = lab.status()
    time.sleep(2)
    after = lab.status()
    check(after["counters"]["write"] == before["counters"]["write"], "the guest's stores are answered")
    check(after["log"]["counted_only"] == 0, f"decisions were made: {after['log']}")
    check(not lab.recorded(type="unwritten"), "the gap has ended")
    room_again(lab, vm, monitor, 0)


# --- monitors that lie ----------------------------------------------------------------------------------

def preloaded(lab: Lab, run: peers.Run, more: list[str] | None = None) -> Process:
    """QEMU with the fence, and no `ringfence run` around it but this one."""
    link = run.vmms.fileno()
    fence = {"LD_PRELOAD": str(lab.build / "libringfence.so"), "RINGFENCE_LINK": str(link)}
    return lab.start("vm", lab.qemu("good", *(more or [])), env=fence, pass_fds=[link])


def does_not_start(lab: Lab, run: peers.Run, reason: str) -> None:
    """A VMM without a monitor ends before its guest has run."""
    vm = preloaded(lab, run)
    code = vm.ended()
    check(code not in (0, 137), f"exit code {code}")
    check(not vm.said("UP"), "the guest has run")
    check(re.search(reason, vm.complained()), f"no reason \"{reason}\" in: {vm.complained()}")
    check(not lab.left(), f"left running: {lab.left()}")


def foreign_monitor(packets: list[bytes], reason: str, hold: bool = True) -> Test:
    """Nor does one whose monitor is none."""
    def test(lab: Lab) -> None:
        control(lab, "good")
        run = peers.Run()
        monitor = peers.FakeMonitor(run, packets, hold)
        does_not_start(lab, run, reason)
        monitor.close()
    return test


def no_monitor(lab: Lab) -> None:
    """Nobody comes."""
    does_not_start(lab, peers.Run(), "no monitor came within 10 seconds")


def no_run(lab: Lab) -> None:
    """Nobody is there who could send one."""
    run = peers.Run()
    run.ours.close()
    does_not_start(lab, run, "leads to no `ringfence run`")


def held(lab: Lab, vm: Process, seconds: float = 1.5) -> None:
    """The guest has begun, and waits at its LSTAR for as long as nobody answers."""
    vm.says("UP", "the guest to begin")
    time.sleep(seconds)
    check(not vm.said(RUNS_ON), "the guest went on without a verdict")
    check(vm.child.poll() is None, f"the VM ended: {vm.complained()}")
    check(Qmp(lab.folder / "qmp").ask("query-status")["running"], "QMP says it does not run")


def vanishing(lab: Lab, after: Callable[[Process, peers.Run], None], packets: list[bytes]) -> None:
    """A monitor that welcomes the VM and is never seen again, or as somebody else."""
    run = peers.Run()
    monitor = peers.FakeMonitor(run, packets, hold=False)
    vm = preloaded(lab, run, ["-qmp", f"unix:{lab.folder / 'qmp'},server=on,wait=off"])
    vm.says("UP", "the guest to begin")
    monitor.close()
    held(lab, vm)
    after(vm, run)
    check(not lab.left(), f"left running: {lab.left()}")


def vanishes_quit(lab: Lab) -> None:
    """QEMU still does what QMP says."""
    def leave(vm: Process, _: peers.Run) -> None:
        Qmp(lab.folder / "qmp").ask("quit")
        check(vm.ended() == 0, "quit does not end it")
    vanishing(lab, leave, [peers.welcome()])


def vanishes_term(lab: Lab) -> None:
    """And ends on SIGTERM."""
    vanishing(lab, lambda vm, _: check(vm.stop() == 0, "SIGTERM does not end it"), [peers.welcome()])


def comes_back_foreign(lab: Lab) -> None:
    """Who comes in its place and speaks something else gives no verdict; a real one does."""
    def go_on(vm: Process, run: peers.Run) -> None:
        for packets in ([b"HTTP/1.1 200 OK\r\n\r\n"], [peers.welcome(1)], [peers.welcome(), b"\0" * 2048],
                        [peers.welcome(), peers.message(peers.VERDICT)]):
            monitor = peers.FakeMonitor(run, packets)
            held(lab, vm, 0.4)
            monitor.close()
        real = Monitor(lab, run.offer())
        vm.says(RUNS_ON, "the real monitor's verdict")
        vm.stop()
        check(real.process.ended() == 0, "the monitor does not end with the VM")
    vanishing(lab, go_on, [peers.welcome()])


# --- fences that lie ------------------------------------------------------------------------------------

def foreign_fences(lab: Lab) -> None:
    """Each is refused, with a reason, and ends its monitor: the next one is another fence's."""
    good, memory = peers.board(), os.open("/proc/self/mem", os.O_RDONLY)
    pipe = os.pipe()[0]
    wrong: dict[str, tuple[bytes, list[int]]] = {
        "of another revision": (peers.hello(1), [good]),
        "foreign bytes": (b"GET / HTTP/1.1\r\n\r\n", []),
        "truncated": (peers.hello()[:40], [good]),
        "no more than a header": (peers.hello()[:16], [good]),
        "of another type": (peers.welcome(), [good]),
        "too long": (peers.hello() + b"\0" * 4000, [good]),
        "without a board": (peers.hello(), []),
        "a board that can shrink": (peers.hello(), [peers.board(sealed=False), memory]),
        "a board of another size": (peers.hello(size=4096), [peers.board(4096), memory]),
        "a board smaller than it says": (peers.hello(), [peers.board(64), memory]),
        "a foreign board": (peers.hello(), [peers.board(magic=0), memory]),
        "without memory": (peers.hello(), [good]),
        "memory that never answers": (peers.hello(), [good, pipe]),
        "no board but a file": (peers.hello(), [os.open("/dev/null", os.O_RDONLY), memory]),
    }
    for what, (packet, fds) in wrong.items():
        monitors, vmms = peers.meet()
        monitor = Monitor(lab, monitors)
        peers.say(vmms, packet, fds)
        vmms.settimeout(8)
        answer = vmms.recv(4096)
        check(not answer or what == "of another revision", f"{what}: it was welcomed")
        check(vmms.recv(4096) == b"" if answer else True, f"{what}: not hung up on")
        check(monitor.process.ended() == 1, f"{what}: its monitor does not end")
        check(monitor.process.complained().count("a VMM was refused") == 1, f"{what}: {monitor.process.complained()}")
        check("another revision" in monitor.process.complained() or what != "of another revision", "no word about the revision")


def silent_fence(lab: Lab) -> None:
    """Who says nothing is waited for, and its monitor ends with it, without a word."""
    monitors, vmms = peers.meet()
    monitor = Monitor(lab, monitors)
    check(b'"waiting"' in monitor.status(), "the monitor does not wait")
    time.sleep(3)
    check(b'"waiting"' in monitor.status(), "the monitor does not wait any more")
    vmms.close()
    check(monitor.process.ended() == 0 and not monitor.process.complained(), monitor.process.complained())


def true_fence(lab: Lab) -> None:
    """The control of the above: said right, it is welcomed."""
    monitors, vmms = peers.meet()
    monitor = Monitor(lab, monitors)
    with vmms:
        peers.say(vmms, peers.hello(), [peers.board(), os.open("/proc/self/mem", os.O_RDONLY)])
        vmms.settimeout(8)
        check(len(vmms.recv(4096)) == peers.SIZES[peers.WELCOME], "a fence is not welcomed")
    # Whose process goes on, as it is this one.
    check(monitor.process.ended() == 1 and "hung up, and its VMM lives" in monitor.process.complained(), monitor.process.complained())


LIE = "the fence says what cannot be"


def let_in(lab: Lab, board: int) -> tuple[Monitor, socket.socket]:
    """A monitor, and a fence's end of its socket that it has welcomed."""
    monitors, vmms = peers.meet()
    monitor = Monitor(lab, monitors)
    vmms.settimeout(8)
    peers.say(vmms, peers.hello(), [board, os.open("/proc/self/mem", os.O_RDONLY)])
    check(len(vmms.recv(4096)) == peers.SIZES[peers.WELCOME], "a fence is not welcomed")
    return monitor, vmms


def heard(s: socket.socket) -> bytes:
    """The monitor's next word, but for its questions whether the fence lives; nothing once it has hung up."""
    while peers.kind_of(packet := s.recv(4096)) == peers.RESTORE:
        pass
    return packet


def lie(packet: bytes, answered: bool, why: str) -> Test:
    """A VMM that was taken over says this first: it is on record, and the monitor listens no more."""
    def test(lab: Lab) -> None:
        monitor, s = let_in(lab, peers.board())
        with s:
            s.send(packet)
            if answered:
                check(peers.verdict(heard(s)) == (1, peers.KILL), "the VM is not ended")
            check(heard(s) == b"", "not hung up on")
        check(monitor.process.ended() == 1, "the monitor has ended as if all were well")
        check(f"{LIE}: {why}" in monitor.process.complained(), monitor.process.complained())
        check(lab.recorded(kind="monitor", outcome=LIE), "it is not on record")
    return test


def lie_on_the_board(lab: Lab) -> None:
    """A trap of 255 bytes where 15 have room, in a guest that is sealed: nobody reads it."""
    board = peers.board()
    os.pwrite(board, struct.pack("=I", 3), peers.STATE_AT)
    os.pwrite(board, struct.pack("=I", 1), peers.TRAPS_AT)
    os.pwrite(board, bytes([255, 1]), peers.TRAP_LEN_AT)
    monitor, s = let_in(lab, board)
    with s:
        check(heard(s) == b"", "not hung up on")
    check(monitor.process.ended() == 1, "the monitor has ended as if all were well")


def end_closes(lab: Lab) -> None:
    """Told to end its VM a fence goes on: nothing of it is taken any more, and after ten seconds it is given up."""
    monitor, s = let_in(lab, peers.board())
    with s:
        s.send(peers.event(1, 1, 0xC0000082))
        check(peers.verdict(heard(s)) == (1, peers.KILL), "a kernel that is none is let run")
        for number in range(2, 6):
            s.send(peers.event(number, 2))
        s.settimeout(4)
        try:
            check(not heard(s), "it is listened to")
            raise Failed("it is given up at once")
        except TimeoutError:
            pass
        check(bool(monitor.status()), "the operator is not heard any more")
        s.settimeout(20)
        try:
            check(heard(s) == b"", "it is listened to")
        except ConnectionResetError:
            pass  # what was not read goes with the socket
    check(monitor.process.ended() == 1, "the monitor has ended as if all were well")
    check(lab.recorded(kind="monitor", outcome=LIE), "it is not on record")


# --- the control socket ---------------------------------------------------------------------------------

OBSERVE = "mode: observe\n"


def control_socket(lab: Lab) -> None:
    """Garbage, many and slow clients, while the guest never stops writing to sealed memory: both are served."""
    vm = lab.run("flood", OBSERVE)
    vm.says(RUNS_ON, "the guest to run")

    def events() -> int:
        count = lab.status()["audit"]["detected"]
        assert isinstance(count, int)
        return count

    wait(lambda: events() > 100, "the flood")
    path = str(lab.state / "control.sock")
    for text in (b"\0", b"\xff" * 4096, b"[" * 4096, b"{}", b'{"cmd":7}\n', b'{"cmd":"status"', b'{"cmd":"stop"}\n'):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(path)
            s.sendall(text)
            answer = s.recv(65536)
            check(b"unknown command" in answer, f"{text[:20]!r} is answered by {answer!r}")
    idle: list[socket.socket] = []
    for _ in range(200):
        idle.append(socket.socket(socket.AF_UNIX))
        wait(lambda s=idle[-1]: s.connect_ex(path) == 0, "a connection")
    began, before = time.monotonic(), events()
    wait(lambda: events() > before + 100, "verdicts beside idle clients", 5 * SCALE)
    check(time.monotonic() - began < 5 * SCALE, "idle clients slow it down")
    for s in idle:
        s.close()
    slow = socket.socket(socket.AF_UNIX)
    slow.settimeout(5)
    slow.connect(path)
    time.sleep(2)
    check(slow.recv(4096) == b"", "who says nothing is kept for ever")
    check(events() > before, "no verdicts")
    vm.stop()
    check(not lab.left(), f"left running: {lab.left()}")


def gadgets(lab: Lab) -> None:
    """The report on the sealed text, made by the sandboxed monitor, while the guest never stops to want verdicts."""
    vm = lab.run("flood", OBSERVE)
    vm.says(RUNS_ON, "the guest to run")
    before = lab.status()["audit"]["detected"]
    for _ in range(2):
        said = json.loads(lab.ask("gadgets", "--json"))
        check(said["text_bytes"] == 0x10000 and said["left_out"] == 0, f"the report is on something else: {said}")
        found = {(g["kind"], g["intended"], int(g["at"], 16) & 0xffff) for g in said["list"]}
        check(found == {("mov cr3", True, 0x2000), ("lidt", False, 0x2100)}, f"other instructions: {said['list']}")
        covered = {(k["kind"], k["covered"]) for k in said["kinds"]}
        check({("wrmsr", "detected"), ("mov cr3", "not covered")} <= covered, f"it is promised: {covered}")
        time.sleep(5.5)  # a finished report is given out again for five seconds
    shown = lab.ask("gadgets", "--all")
    check(re.search(r"lidt +unintended +not covered", shown), f"the list: {shown}")
    check(lab.status()["audit"]["detected"] > before + 100, "no verdicts meanwhile")
    vm.stop()
    check(not lab.left(), f"left running: {lab.left()}")


def monitor_killed(lab: Lab) -> None:
    """In the middle of a flood: another one takes over, each event is recorded once, in full or as one of a count."""
    vm = lab.run("flood", OBSERVE)
    vm.says(RUNS_ON, "the guest to run")
    for _ in range(3):
        pid = lab.status()["monitor_pid"]
        before = decisions(lab)
        time.sleep(0.2)
        os.kill(pid, signal.SIGKILL)
        # Who takes over writes down what was counted.
        wait(lambda known=before: decisions(lab) > known + 20, "the next monitor")
    wait(lambda: decisions(lab) > 200, "more stores", 60 * SCALE)
    vmm = lab.status()["vmm_pid"]
    os.kill(vmm, signal.SIGSTOP)
    wait(lambda: not lab.status()["log"]["in_no_line_yet"], "what was counted to be written", 20)
    made, known = lab.status()["counters"]["write"], decisions(lab)
    os.kill(vmm, signal.SIGCONT)
    vm.stop()
    ids = [r["event"] for r in lab.recorded(type="decision", kind="write")]
    check(len(ids) == len(set(ids)), "an event is recorded twice")
    check(known > 200 and known in (made - 1, made), f"{made} stores, and {known} are on record")
    check(not lab.left(), f"left running: {lab.left()}")


def dies_with_its_vmm(lab: Lab) -> None:
    """Monitor and VMM are killed at once, so that no other monitor comes: `run` writes down what was counted."""
    vm = lab.run("flood", OBSERVE)
    vm.says(RUNS_ON, "the guest to run")
    judged(lab)
    vmm = lab.status()["vmm_pid"]
    for _ in range(20):  # until it is stopped where enough of them are only counted: that comes and goes, with each line
        os.kill(vmm, signal.SIGCONT)
        wait(lambda: lab.status()["log"]["in_no_line_yet"] > 20, "stores that are only counted", 60 * SCALE)
        os.kill(vmm, signal.SIGSTOP)
        time.sleep(0.2)
        status = lab.status()
        if status["log"]["in_no_line_yet"] > 20:
            break
    made, waiting = status["counters"]["write"], status["log"]["in_no_line_yet"]
    check(waiting > 20 and decisions(lab) + waiting in (made - 1, made), f"{made} stores, {decisions(lab)} and {waiting} are known")
    vm.child.send_signal(signal.SIGSTOP)
    os.kill(status["monitor_pid"], signal.SIGKILL)
    os.kill(status["vmm_pid"], signal.SIGKILL)
    vm.child.send_signal(signal.SIGCONT)
    vm.ended()
    check(decisions(lab) in (made - 1, made), f"{made} stores, and {decisions(lab)} are on record")
    check(not lab.left(), f"left running: {lab.left()}")


def judged(lab: Lab, more: int = 50) -> None:
    """The guest's stores go on to be judged."""
    before = lab.status()["audit"]["detected"]
    wait(lambda: lab.status()["audit"]["detected"] > before + more, f"{more} verdicts")


def sweeper_lost(lab: Lab) -> None:
    """Stopped and killed in the middle of a flood: no verdict waits for it, another one comes, and the seal is what it was."""
    vm = lab.run("flood", OBSERVE)
    vm.says(RUNS_ON, "the guest to run")
    first = lab.status()
    sweeper = wait(lambda: lab.status()["sweeper"].get("pid"), "the sweeper to say something")
    os.kill(sweeper, signal.SIGSTOP)
    judged(lab)
    wait(lambda: lab.status()["sweeper"]["silent_s"] > 1.5, "status to say that it is silent")
    os.kill(sweeper, signal.SIGKILL)
    judged(lab)
    wait(lambda: lab.status()["sweeper"]["started"] == 2, "another sweeper")
    check(lab.recorded(kind="sweeper", outcome="started again"), "it is not on record")
    last = lab.status()
    check(last["sweeper"]["pid"] != sweeper or not lab.status()["sweeper"]["follows"], "the dead one is shown as alive")
    check(last["monitor_pid"] == first["monitor_pid"] and last["state"] == "sealed", "it was not the sweeper that was lost")
    wait(lambda: lab.status()["dma_sweeps"] > 1, "the new one's sweeps")
    # The control: without a monitor nothing is judged. A line in full is due each second.
    before = len(lab.recorded(kind="write"))
    wait(lambda: len(lab.recorded(kind="write")) > before, "another line")
    os.kill(last["monitor_pid"], signal.SIGSTOP)
    time.sleep(0.5)
    before = len(lab.recorded(kind="write"))
    time.sleep(3)
    check(len(lab.recorded(kind="write")) == before, "a stopped monitor judges")
    os.kill(last["monitor_pid"], signal.SIGCONT)
    judged(lab)
    vm.stop()
    check(not lab.left(), f"left running: {lab.left()}")


def vmm_stopped(lab: Lab) -> None:
    """What is shown of a VMM that says nothing any more is said to be old."""
    def state() -> str:
        vms = json.loads(subprocess.run([lab.build / "ringfence", "list", "--json", "--state-base", lab.folder],
                                        capture_output=True, check=True).stdout)
        return " ".join("silent" if vm["fence_silent"] else vm["state"] for vm in vms)
    vm = lab.run("good")
    vm.says(RUNS_ON, "the guest to run")
    check(state() == "sealed", f"it is {state()}")
    vmm = lab.status()["vmm_pid"]
    os.kill(vmm, signal.SIGSTOP)
    wait(lambda: state() == "silent", "list to say so")
    check("has said nothing for" in lab.ask("status"), "status does not say so")
    os.kill(vmm, signal.SIGCONT)
    wait(lambda: state() == "sealed", "list to see that it goes on")
    check(not lab.status()["fence_silent"], "status does not see it")
    vm.stop()


def hangs_up(mode: str, seconds: int = 25) -> Test:
    """Its end is not on record while the process lives, nor is it shown as a VM that is about to start."""
    def test(lab: Lab) -> None:
        silent = [sys.executable, str(Path(__file__).resolve().parent / "silent.py"), mode, str(seconds)]
        vm = lab.start("run", [str(lab.build / "ringfence"), "run", "--name", lab.tag, "--state", str(lab.state),
                               "--audit", str(lab.audit), "--", *silent])
        # The first monitor may still be on its way up, and gives no answer.
        ask = [lab.build / "ringfence", "status", "--json", lab.state]
        wait(lambda: "serves again" in vm.complained() or mode == "mute" and
             b'"monitor lost"' in subprocess.run(ask, capture_output=True, check=False).stdout, "the next monitor")
        check(lab.recorded(kind="monitor", outcome="the fence has hung up"), "it is not on record")
        check(not lab.recorded(type="end"), "its end is on record, and it lives")
        check("the fence has hung up, and its VMM lives" in vm.complained(), f"not told: {vm.complained()}")
        vm.ended(seconds + LIMIT)
        monitors = vm.complained().count("another one is started")
        check(monitors < 2 * seconds, f"{monitors} monitors were started")
        check(not lab.left(), f"left running: {lab.left()}")
    return test


# --- machines that cannot -------------------------------------------------------------------------------

ASSERTS = """echo "qemu-system-x86_64: error: failed to set MSR 0x10a to 0xd" >&2
echo "qemu-system-x86_64: kvm_buf_set_msrs: Assertion \\`ret == cpu->kvm_msr_buf->nmsrs' failed." >&2
kill -ABRT $$"""


def bad_machine(refused: str, does: str, reason: str, finds: bool) -> Test:
    """A QEMU that does not run on this KVM with some CPU models: one that runs is found, or the reason why there is none."""
    def test(lab: Lab) -> None:
        vmm = lab.folder / "qemu"
        vmm.write_text(f"#!/bin/sh\ncase \"$*\" in *{refused}*)\n{does};;\nesac\nexec {lab.vmm} \"$@\"\n")
        vmm.chmod(0o755)
        cpu, why = place.find(lab.build, lab.folder, str(vmm), 10 if finds else 1)
        check(bool(cpu) == finds and cpu != "host", f"-cpu {cpu} is used: {why}")
        check(re.search(reason, why), f"no reason \"{reason}\" in: {why}")
        check(not lab.left(), f"left running: {lab.left()}")
    return test


NOT_A_MONITOR = "what answers in the monitor's place is not a monitor"
TESTS: dict[str, Test] = {
    **{variant: goes_on(variant) for variant in ("good", "cyclic-elsewhere", "five-levels")},
    **{variant: refused(variant) for variant in REFUSED},
    "no-types": without_types,
    "log-full-at-the-kernel": full_log("good", 0),
    "log-full-at-the-seal": full_log("good", 300),
    "log-full-later": full_log("flood", 8000, OBSERVE, lands=True),
    "log-full-counts": full_log_counts, "log-full-holds": full_log_holds,
    "monitor-of-another-revision": foreign_monitor([peers.welcome(1)], "another revision"),
    "monitor-truncated": foreign_monitor([peers.welcome()[:20]], NOT_A_MONITOR),
    "monitor-foreign": foreign_monitor([b"220 smtp ready\r\n"], NOT_A_MONITOR),
    "monitor-other-magic": foreign_monitor([peers.message(peers.WELCOME, magic=0)], NOT_A_MONITOR),
    "monitor-other-type": foreign_monitor([peers.hello()], NOT_A_MONITOR),
    "monitor-too-long": foreign_monitor([peers.welcome() + b"\0" * 4000], NOT_A_MONITOR),
    "monitor-hangs-up": foreign_monitor([], "refused this VM", hold=False),
    "monitor-silent": foreign_monitor([], "did not answer within 10 seconds"),
    "no-monitor": no_monitor, "no-run": no_run,
    "monitor-vanishes-quit": vanishes_quit, "monitor-vanishes-term": vanishes_term,
    "monitor-comes-back-foreign": comes_back_foreign,
    "foreign-fences": foreign_fences, "silent-fence": silent_fence, "true-fence": true_fence,
    "lie-order": lie(peers.event(1, 2), True, "a question that nothing in this state"),
    "lie-kind": lie(peers.event(1, 99), False, "an event of no kind"),
    "lie-length": lie(peers.event(1, 3), False, "a store of no bytes"),
    "lie-answer": lie(peers.message(peers.DONE), False, "a message that is no monitor's to get"),
    "lie-board": lie_on_the_board, "end-closes": end_closes,
    "cpu-host-asserts": bad_machine("'-cpu host '", ASSERTS, "0x10a.* Assertion", True),
    "cpu-any-host-asserts": bad_machine("'-cpu host'", ASSERTS, "0x10a.* Assertion", True),
    "cpu-any-asserts": bad_machine("'-cpu '", ASSERTS, "0x10a.* Assertion", False),
    "cpu-any-hangs": bad_machine("'-cpu '", "exec sleep 60", "waited 1 s for a guest", False),
    "control-socket": control_socket, "gadgets": gadgets, "monitor-killed": monitor_killed,
    "monitor-killed-with-its-vmm": dies_with_its_vmm, "sweeper-lost": sweeper_lost, "vmm-stopped": vmm_stopped,
    "hangs-up-mute": hangs_up("mute"), "hangs-up-again": hangs_up("again"),
    **ways.TESTS, **lost.TESTS,
}


def run(lab: Lab, name: str) -> str:
    """One test: "" when it passed, else what to say."""
    lab.folder.mkdir(mode=0o700)
    try:
        TESTS[name](lab)
        return ""
    except Skipped as e:
        return f"skipped: {e}"
    except Failed as e:
        return f"FAILED: {e}"
    except Exception:  # pylint: disable=broad-exception-caught
        return f"FAILED: {traceback.format_exc()}"
    finally:
        lab.clean()


def run_all(build: Path, names: list[str], base: Path) -> int:
    """The tests where they can run; the last line counts them."""
    where, counts = os.environ.get("LAB"), {"passed": 0, "FAILED": 0, "skipped": 0}
    cpu, why = ("", "it was asked for") if where == "emulated" else place.find(build, base)
    if cpu:
        print(f"hostile: guests run with -cpu {cpu}{why and ', not otherwise: '}{why}", flush=True)
    elif where != "native":
        print(f"hostile: in the emulated host, because {why}", flush=True)
        try:
            return place.emulated(build, names)
        except (place.LabError, OSError) as e:
            why += f"; and no emulated host: {e}"
    for name in names:
        began = time.monotonic()
        said = run(Lab(build, base / name, f"hostile-{os.getpid()}-{name}", cpu), name) if cpu else f"skipped: {why}"
        counts[said.split(":")[0] or "passed"] += 1
        print(f"hostile  {name:28} {time.monotonic() - began:5.1f} s  {said or 'passed'}", flush=True)
    print(f"hostile: {counts['passed']} passed, {counts['FAILED']} failed, {counts['skipped']} skipped")
    return 0 if counts["passed"] and not counts["FAILED"] else 1


def main() -> int:
    """Run the tests named, or all."""
    if len(sys.argv) < 2:
        print("usage: hostile.py BUILD [TEST ...]", file=sys.stderr)
        return 2
    unknown = set(sys.argv[2:]) - set(TESTS)
    if unknown:
        print(f"hostile: no such test: {' '.join(sorted(unknown))}; these are: {' '.join(TESTS)}", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="rf-hostile-") as base:
        return run_all(Path(sys.argv[1]).resolve(), sys.argv[2:] or list(TESTS), Path(base))


if __name__ == "__main__":
    sys.exit(main())
