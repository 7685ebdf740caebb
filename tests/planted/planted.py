#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does each check find what it is for, and nothing where there is nothing?

Boots stock kernels on plain emulation and dumps the memory of each guest three times: with many of the distribution's modules
loaded and in use, when no check may have a finding; with what tests/planted/module plants, where each plant must be found, with
the right check's name and addresses, and nothing else; and when that is taken back, when there must be no finding again. Each
time the memory of the same guest is looked at as well while it runs, twice: what a plant was found at there is `live`. In
between the guest uses what was planted, and the module says whether it is there and was called: without that, a plant counts
as failed. build/planted.json has a row for each plant, and for each look at a guest without any.

Then all of it runs on the memory with the plants in which a few places are changed (tests/fuzz/flips.c).

    planted.py BUILD [KERNEL ...]           ONLY=a,b: these plants alone; KEEP=1: the dumps stay;
                                            EXECUTIONS=n: with so many changed memories a kernel
"""
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, Iterator

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "lab"), str(HERE.parent / "fuzz")]

import dumps  # noqa: E402
import kernels  # noqa: E402
import oracle  # noqa: E402
from build import ROOT, Cpio, LabError, out_dir  # noqa: E402

ATTACKS = ROOT / "tests/attacks/module"
STAGE_SECONDS = 300
LIVE_ROUNDS = 2
EXECUTIONS = 4000
CPU, ARGUMENTS = "max", "pti=on"
PAGE_SIZE = 4096
# Those of a kernel's modules that it has, and what they need: what registers itself at more than one place, or is in much use.
MODULES = """dummy veth tun bridge br_netfilter 8021q bonding macvlan ipvlan vxlan wireguard ipip ip_gre sit nf_tables nft_ct
nft_nat nft_chain_nat nft_compat nft_reject_inet nf_conntrack_netlink nfnetlink_log nf_synproxy_core ip_tables iptable_filter
iptable_nat ip6table_filter ipt_REJECT xt_conntrack xt_MASQUERADE ebtables ebtable_filter ip_set ip_vs nf_log_syslog tls sctp
algif_hash algif_skcipher tcp_bbr vsock vsock_loopback af_key xfrm_user esp4 psample sch_fq sch_ingress cls_bpf act_mirred
ext4 xfs btrfs vfat isofs squashfs overlay fuse cuse nfs nfsd cifs 9p autofs4 binfmt_misc configfs efivarfs loop dm_mod dm_crypt
nbd zram raid1 virtio_net virtio_blk virtio_scsi virtio_console virtio_balloon virtio_rng sd_mod sr_mod sg ahci nvme e1000
ena usb_storage usbhid hid_generic evdev psmouse serio_raw i2c_smbus softdog pcspkr button rfkill kvm netconsole pstore_blk
crc32c_generic sha512_generic aes_generic ghash_generic cryptd echainiv ecdh_generic msr cpuid tcp_diag udp_diag unix_diag
inet_diag mptcp_diag vhost_net vhost_vsock ppp_generic team failover target_core_mod drm bochs qemu_fw_cfg""".split()
# Plants that are not found, and why that is left so.
KNOWN_MISSES = {
    "creds_subjective": "a call may act with credentials of another's meanwhile (override_creds()), so it is no finding",
}
# Checks with no plant, and why.
NO_PLANT: dict[str, str] = {}


@dataclass
class Plant:
    """What the guest's module said of one plant."""
    name: str
    check: str
    said: str  # PLANTED, CANNOT or FAILED
    object: int = 0
    target: int = 0
    also: int = 0
    why: str = ""
    proof: str = ""


def place_of(finding: dict, check: str) -> tuple[str, int, int]:
    """What it is about. check: the key of its check's name."""
    return finding[check], int(finding["object"], 16), int(finding.get("target", "0"), 16)


@dataclass
class Look:
    """What the checks said of one dump, or of the guest that ran."""
    checks: list[dict]
    findings: list[dict]

    def names(self) -> set[str]:
        """All checks that there are."""
        return {check["check"] for check in self.checks}

    def states(self) -> dict[str, str]:
        """Of each check."""
        return {check["check"]: check["state"] for check in self.checks}

    def places(self) -> set[tuple[str, int, int]]:
        """What each finding is about."""
        return {place_of(finding, "finding") for finding in self.findings}


@dataclass
class Looks:
    """All that was seen at one stage."""
    dump: Look
    live: list[Look]
    hooks: dict  # what `ringfence hooks` has shown of the dump


@dataclass
class Counts:
    """Rows of the result, and how many of them are what."""
    test: str = "planted"
    rows: list[dict] = field(default_factory=list)
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def passes(self, name: str, seconds: float, text: str) -> None:
        """One test that passed."""
        self.passed += 1
        print(f"{self.test} {name}  ok  {seconds:.1f} s  {text}", flush=True)

    def fails(self, name: str, text: str) -> None:
        """One that did not."""
        self.failed += 1
        print(f"{self.test} {name}  FAILED  {text}", flush=True)

    def skips(self, name: str, text: str) -> None:
        """One that cannot be had."""
        self.skipped += 1
        print(f"{self.test} {name}  skipped: {text}", flush=True)


def needed(kernel: kernels.Kernel, wanted: list[str]) -> dict[str, bytes]:
    """Modules of the kernel's and those they depend on, these first."""
    found: dict[str, bytes] = {}

    def add(name: str) -> None:
        name = name.replace("-", "_")
        if name in found:
            return
        for body in kernel.modules([name]).values():
            depends = re.search(rb"\0depends=([^\0]*)\0", b"\0" + body)
            for other in (depends[1].decode().split(",") if depends and depends[1] else []):
                add(other)
            found[name] = body
    for name in wanted:
        add(name)
    return found


def initrd(build: Path, kernel: kernels.Kernel, home: Path, script: str, modules: list[str]) -> None:
    """The guest's whole file system."""
    module = kernels.build_module(kernel, HERE / "module", "rf_planted",
                                  [ATTACKS / name for name in ("symbols.c", "attacks.h", "compat.h")])
    patch = kernels.build_module(kernel, HERE.parent / "lab/storm/module", "rf_livepatch")
    archive = Cpio()
    archive.busybox()
    archive.char_device("dev/console", 5, 1)
    for name in ("proc", "sys", "tmp", "etc", "mnt"):
        archive.directory(name)
    archive.data("init", script.encode(), 0o755)
    archive.file("bin/rf_life", build / "rf_life")
    archive.data("bin/rf_garbage", b"\x7frfplanted\n", 0o755)
    archive.data("tmp/rf_helper", b"#!/bin/sh\necho HELPER RAN >/dev/ttyS0\n", 0o755)
    archive.data("tmp/rf_root", b"#!/bin/sh\n", 0o755)
    for ko in [*module.parent.glob("rf_*.ko"), patch]:
        archive.file(ko.name, ko)
    bodies = needed(kernel, modules)
    for name, body in bodies.items():
        archive.data(f"mod/{name}.ko", body)
    archive.data("mod/order", "".join(f"{name}\n" for name in bodies).encode())
    (home / "initrd").write_bytes(archive.finish())


class Guest:
    """One that runs, and waits at the end of each stage."""

    def __init__(self, home: Path, process: "subprocess.Popen[bytes]", go: socket.socket) -> None:
        self._home, self._process, self._go = home, process, go
        self.looked_at: list[str] = []  # the last dump, and how it is read

    def console(self) -> str:
        """All that it has said."""
        path = self._home / "console"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait(self, stage: str) -> None:
        """Until it is at the end of that stage."""
        for _ in range(STAGE_SECONDS * 5):
            text = self.console()
            if re.search(rf"^STAGE {stage}\r?$", text, re.M):
                return
            if re.search(r"Kernel panic|Oops|BUG:|general protection", text):
                time.sleep(3)
                raise LabError(f"the guest died on its way to {stage}:\n" + "\n".join(self.console().splitlines()[-40:]))
            if self._process.poll() is not None:
                raise LabError(f"the guest ended on its way to {stage}")
            time.sleep(0.2)
        raise LabError(f"the guest is not at {stage} after {STAGE_SECONDS} s:\n" + "\n".join(self.console().splitlines()[-20:]))

    def go(self) -> None:
        """Leave to go on."""
        self._go.sendall(b"\n")

    def _ram(self) -> Path:
        """Its memory, as it changes."""
        for fd in Path(f"/proc/{self._process.pid}/fd").iterdir():
            if "memory-backend-memfd" in os.readlink(fd):
                return fd
        raise LabError("the guest's memory is in no file")

    def _inside(self) -> str:
        """An address in its kernel's text."""
        inside = re.search(r"^([0-9a-f]{16}) \S entry_SYSCALL_64", self.console(), re.M)
        if not inside:
            raise LabError("the guest did not say where entry_SYSCALL_64 is")
        return inside[1]

    def _run(self, build: Path, memory: Path, cr3: str, cr4: str, rounds: int) -> list[Look]:
        """What the checks say of memory, and in each round of the guest."""
        live = [self._ram(), str(rounds)] if rounds else []
        done = subprocess.run([build / "look", memory, cr3, cr4, self._inside(), *live], stdout=subprocess.PIPE, text=True,
                              timeout=600 + 20 * rounds)
        if done.returncode:
            raise LabError(f"the checks did not run: {done.stdout[-300:]}")
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        return [Look([line for line in lines if "check" in line and line["round"] == number],
                     [line for line in lines if "finding" in line and line["round"] == number]) for number in range(rounds + 1)]

    def look_while_stopped(self, build: Path) -> Look:
        """What a dump of this moment would show."""
        stub = oracle.Stub(self._home / "gdb")
        cr3, cr4 = oracle.page_tables(stub, self._home)
        try:
            return self._run(build, self._ram(), cr3, cr4, 0)[0]
        finally:
            stub.detach()

    def look(self, build: Path, stage: str, rounds: int = LIVE_ROUNDS) -> Looks:
        """What the checks see in its memory now."""
        stub = oracle.Stub(self._home / "gdb")
        cr3, cr4 = oracle.snapshot(stub, self._home)
        stub.detach()
        dump = self._home / "dump"
        if os.environ.get("KEEP"):
            dump = dump.rename(self._home / f"dump-{stage}")
            (self._home / f"args-{stage}").write_text(f"{dump} {cr3} {cr4} {self._inside()}\n")
        self.looked_at = [str(dump), cr3, cr4, self._inside()]
        looks = self._run(build, dump, cr3, cr4, rounds)
        hooks = subprocess.run([build / "ringfence", "hooks", "--all", "--json", dump], stdout=subprocess.PIPE, text=True,
                               timeout=600)
        return Looks(looks[0], looks[1:], json.loads(hooks.stdout) | {"status": hooks.returncode})


@contextlib.contextmanager
def running(home: Path, kernel: kernels.Kernel) -> Iterator[Guest]:
    """A guest, gone afterwards."""
    (home / "go").unlink(missing_ok=True)
    memory = f"memory-backend-memfd,id=ram,share=on,size={oracle.MEMORY}"
    with oracle.guest(home, kernel.vmlinuz, CPU, ARGUMENTS, "-object", memory, "-machine", "memory-backend=ram",
                      "-chardev", f"socket,id=go,path={home}/go,server=on,wait=off",
                      "-serial", "chardev:go") as process, socket.socket(socket.AF_UNIX) as go:
        for _ in range(100):
            with contextlib.suppress(OSError):
                go.connect(str(home / "go"))
                break
            time.sleep(0.05)
        yield Guest(home, process, go)


def plants_of(console: str) -> list[Plant]:
    """What the module has said on the console."""
    plants: dict[str, Plant] = {}
    for name in re.findall(r"PLANTING (\S+)", console):
        plants[name] = Plant(name, "?", "FAILED", why="the guest said nothing more of it")
    for said, name, check, rest in re.findall(r"(PLANTED|CANNOT|FAILED) (\S+) check=(\S+) ([^\r\n]*)", console):
        values = dict(re.findall(r"(object|target|also)=0x([0-9a-f]+)", rest))
        plants[name] = Plant(name, check, said, *(int(values.get(key, "0"), 16) for key in ("object", "target", "also")),
                             why=rest.removeprefix("why="))
    for name, proof in re.findall(r"PROVED (\S+) ([^\r\n]*)", console):
        if name in plants:
            plants[name].proof = proof
    return list(plants.values())


def is_it(plant: Plant, finding: dict, also: bool = False) -> bool:
    """Is that what was planted, or the other object of it? Pages of code that lie side by side are one finding."""
    wanted = plant.also if also else plant.object
    pages = re.match(r"(\d+) (?:writable )?executable page", finding["what"])
    if pages and finding["finding"] == plant.check:
        return 0 <= wanted - int(finding["object"], 16) < int(pages[1]) * PAGE_SIZE
    return (finding["finding"] == plant.check and int(finding["target"], 16) == plant.target
            and (int(finding["object"], 16) == wanted or not (wanted or also)))


def is_of_ours(plants: list[Plant], finding: dict) -> bool:
    """Does it belong to a plant: what one check has found, and more of the same structure, or of our modules?"""
    same = [plant for plant in plants if plant.check == finding["finding"] and plant.said == "PLANTED"]
    ours = re.search(r"\bmodule rf_", finding["owner"] + finding["what"])
    return bool(same) and (bool(ours) or any(int(finding[key], 16) in (plant.object, plant.target) for plant in same
                                             for key in ("object", "target") if int(finding[key], 16)))


def shown(finding: dict) -> str:
    """In a line."""
    return (f"{finding['finding']}: {finding['what']} at {finding['object']} -> {finding['target']} "
            f"{finding['symbol']} ({finding['owner']}): {finding['reason']}")


def judge_hooks(counts: Counts, name: str, looks: Looks) -> None:
    """`ringfence hooks` shows what its checks have found as not accepted, that alone, and what they accept besides."""
    hooks, status = looks.hooks["hooks"], looks.hooks["status"]
    checks = {check["check"] for check in looks.hooks["checks"]}
    odd = {place_of(hook, "check") for hook in hooks if not hook["accepted"]}
    found = {place for place in looks.dump.places() if place[0] in checks}
    accepted = sum(hook["accepted"] for hook in hooks)
    if odd == found and status == bool(found) and len(checks) >= 10 and accepted >= 100:
        counts.passes(name, 0, f"{len(checks)} checks, {accepted} hooks accepted, {len(found)} not")
    else:
        counts.fails(name, f"status {status}, {accepted} accepted; differ: {sorted(odd ^ found)[:5]}")


def judge_live(counts: Counts, name: str, live: list[Look]) -> None:
    """A guest with nothing planted that runs: nothing is seen in two rounds one after the other, as it would have to be to be
    told, and each check came to its end in one of them or the next.
    """
    before, wrong, once = Look([], []), [], 0
    for number, look in enumerate(live, 1):
        stays = look.places() & before.places()
        wrong += [f"round {number}: {shown(f)}" for f in look.findings if place_of(f, "finding") in stays]
        once += len(look.places() - before.places())
        wrong += [f"round {number}: {check} is {state}" for check, state in look.states().items()
                  if state not in ("clean", "found") and before.states().get(check, "clean") not in ("clean", "found")]
        before = look
    undecided = sum(state == "undecided" for look in live for state in look.states().values())
    if not wrong and live and all(look.checks for look in live):
        counts.passes(name, sum(check["seconds"] for look in live for check in look.checks),
                      f"{len(live)} rounds of {len(live[0].checks)} checks while it runs: {once} things seen once, "
                      f"{undecided} times undecided")
    else:
        counts.fails(name, f"{len(wrong)} of {len(live)} rounds while it runs: {'; '.join(wrong[:5])}")


def judge_control(counts: Counts, kernel: str, stage: str, looks: Looks) -> None:
    """A guest with nothing planted: no finding, and each check could be made to its end."""
    look = looks.dump
    judge_hooks(counts, f"{kernel}-{stage.lower()}-hooks", looks)
    judge_live(counts, f"{kernel}-{stage.lower()}-live", looks.live)
    for check in look.checks:
        name = f"{kernel}-{stage.lower()}-{check['check']}"
        here = [finding for finding in look.findings if finding["finding"] == check["check"]]
        counts.rows.append({"check": check["check"], "plant": None, "stage": stage, "kernel": kernel,
                            "dump": check["state"], "findings": len(here), "seconds": check["seconds"]})
        if check["state"] == "clean":
            counts.passed += 1
        else:
            counts.fails(name, f"nothing is planted, and it is {check['state']}: {check['why']}")
        for finding in here[:10]:
            print(f"  {shown(finding)}", flush=True)
    seconds = sum(check["seconds"] for check in look.checks)
    print(f"planted {kernel} {stage}: {len(look.findings)} findings of {len(look.checks)} checks, "
          f"{sum(check['objects'] for check in look.checks)} objects, {seconds:.2f} s", flush=True)


def is_found(plant: Plant, look: Look) -> bool:
    """Is it, and its other object, if it has one?"""
    return all(any(is_it(plant, finding, also) for finding in look.findings) for also in {False, bool(plant.also)})


def judge_plant(counts: Counts, kernel: str, plant: Plant, looks: Looks) -> None:
    """One of them."""
    look = looks.dump
    name = f"{kernel}-{plant.name}"
    row = {"check": plant.check, "plant": plant.name, "kernel": kernel, "object": f"{plant.object:#x}",
           "target": f"{plant.target:#x}", "proof": plant.proof}
    counts.rows.append(row)
    check = next((check for check in look.checks if check["check"] == plant.check), None)
    row["seconds"] = check["seconds"] if check else 0
    row["dump"] = row["live"] = "skipped"
    if plant.said == "CANNOT":
        row["why"] = plant.why
        return counts.skips(name, plant.why)
    row["dump"] = row["live"] = "missed"
    if plant.said != "PLANTED":
        return counts.fails(name, f"it could not be planted: {plant.why}")
    proof = re.fullmatch(r"reads=(yes|no|-) calls=(\d+|-)", plant.proof)
    if not proof or proof[1] == "no" or proof[2] == "0" or (proof[1], proof[2]) == ("-", "-"):
        return counts.fails(name, f"the plant has no effect: {plant.proof or 'nothing was said of it'}")
    if not check:
        return counts.fails(name, f"there is no check {plant.check}")
    found = next((finding for finding in look.findings if is_it(plant, finding)), None)
    if not is_found(plant, look):
        if plant.name in KNOWN_MISSES and not found:
            row["why"] = KNOWN_MISSES[plant.name]
            return counts.skips(name, f"known to be missed: {row['why']}")
        counts.fails(name, f"{plant.check} has not found {plant.object:#x} -> {plant.target:#x}: {check['state']} {check['why']}")
        for finding in look.findings:
            if finding["finding"] == plant.check:
                print(f"  {shown(finding)}", flush=True)
        return None
    row.update(dump="found", what=found["what"], reason=found["reason"])
    if not any(is_found(plant, one) for one in looks.live):
        return counts.fails(name, f"{plant.check} has found it in the dump, and not while the guest ran")
    row["live"] = "found"
    return counts.passes(name, check["seconds"], f"{plant.check}: {found['what']} ({plant.proof})")


def judge_planted(counts: Counts, kernel: str, plants: list[Plant], looks: Looks, whole: bool) -> None:
    """All plants are found, no check has none, and nothing else is found."""
    look = looks.dump
    judge_hooks(counts, f"{kernel}-planted-hooks", looks)
    for plant in plants:
        judge_plant(counts, kernel, plant, looks)
    if not plants:
        counts.fails(kernel, "nothing was planted")
    for check in sorted(look.names() - {plant.check for plant in plants}) if whole else []:
        if check in NO_PLANT:
            counts.skips(f"{kernel}-{check}", NO_PLANT[check])
        else:
            counts.fails(f"{kernel}-{check}", f"no plant for check {check}")
    others = [finding for finding in look.findings if not is_of_ours(plants, finding) and
              not any(is_it(plant, finding, also) for plant in plants for also in (False, True))]
    for finding in others[:20]:
        counts.fails(f"{kernel}-alarm", f"nobody planted {shown(finding)}")


def judge_flips(counts: Counts, build: Path, series: str, where: list[str]) -> None:
    """Nothing goes wrong on that memory, whatever is changed in it. Else the memory is kept: the next look takes its place."""
    executions = int(os.environ.get("EXECUTIONS", EXECUTIONS))
    if dumps.judged(build, series, dumps.flip(build, where, executions, dumps.seed_of_today())):
        counts.passed += 1
    else:
        counts.failed += 1
        dump = Path(where[0])
        kept = dump.with_name("dump-PLANTED")
        if dump != kept:
            shutil.copyfile(dump, kept)
        dump.with_name("args-PLANTED").write_text(" ".join([str(kept), *where[1:]]) + "\n")
        print(f"planted {series}: to repeat it: {build}/flips {kept} {' '.join(where[1:])} 1 SEED FIRST", flush=True)


def check(counts: Counts, build: Path, series: str) -> None:
    """One kernel."""
    kernel = kernels.get(series)
    home = out_dir() / "planted" / series
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    only = os.environ.get("ONLY", "")
    script = (HERE / "init.sh").read_text().replace("$PLANTS", f"only={only}" if only else "")
    initrd(build, kernel, home, script, MODULES)
    print(f"planted {kernel.release}", flush=True)
    with running(home, kernel) as guest:
        guest.wait("CLEAN")
        loaded = re.findall(r"^(NOT )?LOADED (\S+)", guest.console(), re.M)
        print(f"planted {series}: {sum(not no for no, _ in loaded)} modules of the distribution are loaded, not "
              f"{' '.join(name for no, name in loaded if no) or 'one'}", flush=True)
        judge_control(counts, series, "CLEAN", guest.look(build, "CLEAN"))
        guest.go()
        try:
            guest.wait("PLANTED")
        finally:
            plants = plants_of(guest.console())
            (home / "plants").write_text("".join(f"{plant}\n" for plant in plants))
        judge_planted(counts, series, plants, guest.look(build, "PLANTED"), not only)
        judge_flips(counts, build, series, guest.looked_at)
        guest.go()
        guest.wait("GONE")
        if "PLANTS STAY" in guest.console():
            counts.fails(f"{series}-gone", "the plants could not be taken back")
        judge_control(counts, series, "GONE", guest.look(build, "GONE"))
    (home / "dump").unlink(missing_ok=True)


def each_kernel(counts: Counts, build: Path, wanted: list[str], one: Callable[[str], None]) -> int:
    """Each kernel has one guest; the status to exit with. BUILD/TEST.json has the rows."""
    for series in wanted or [*kernels.SERIES, "7"]:
        try:
            one(series)
        except (LabError, OSError, subprocess.TimeoutExpired) as error:
            counts.fails(series, str(error))
        (build / f"{counts.test}.json").write_text(json.dumps(counts.rows, indent=1) + "\n")
    print(f"{counts.test}: {counts.passed} passed, {counts.failed} failed, {counts.skipped} skipped")
    return 1 if counts.failed or not counts.passed else 0


def main() -> int:
    """All that is asked for."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    build, counts = Path(sys.argv[1]).resolve(), Counts()
    return each_kernel(counts, build, sys.argv[2:], lambda series: check(counts, build, series))


if __name__ == "__main__":
    sys.exit(main())
