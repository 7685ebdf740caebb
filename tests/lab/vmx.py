#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The demo and the attacks on stock kvm_intel with EPT, which QEMU's emulator does not have: in Bochs, slowly.

The emulated host is the lab's own, started from a CD; so are the jobs, `make demo`'s and `make attacks`'s. Clocks in
there run about 70 times slow, so every limit that counts is kept here. What the jobs leave comes back over the serial
line to out/vmx/. Ends with "vmx: N passed, N failed, N skipped".
"""
import argparse
import base64
import binascii
import io
import os
import pty
import re
import selectors
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Callable, Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "attacks"))
# pylint: disable=wrong-import-position,protected-access
import attacks  # noqa: E402
import host  # noqa: E402
import runner  # noqa: E402
import trial  # noqa: E402
from build import HERE, LabError, out_dir, run  # noqa: E402

KERNEL = "6.12"
# Wall time. One guest takes two to three minutes on an idle core; nothing is silent for longer than a boot.
TOTAL_SECONDS = 3600 * runner.SCALE
SILENT_SECONDS = 600 * runner.SCALE
# The jobs' own limits are in the emulated host's slow time, where they only end what would never end.
JOB_SECONDS = 100
LOADER = [Path("/usr/lib/ISOLINUX/isolinux.bin"), Path("/usr/lib/syslinux/modules/bios/ldlinux.c32")]
ROMS = [Path("/usr/share/bochs/BIOS-bochs-latest"), Path("/usr/share/bochs/VGABIOS-lgpl-latest")]
# Bochs's VMX lacks posted interrupts.
COMMAND_LINE = ("console=ttyS0,115200 panic=-1 mitigations=off nokaslr tsc=reliable no_timer_check quiet "
                "kvm_intel.enable_apicv=0")
BOCHSRC = """
display_library: term
cpu: model=corei7_skylake_x, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=2048, host=2048
romimage: file={roms[0]}
vgaromimage: file={roms[1]}
pci: enabled=1, chipset=i440fx
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
clock: sync=none, time0=local
com1: enabled=1, mode=file, dev={serial}
log: {log}
panic: action=report
error: action=ignore
info: action=ignore
"""
FACTS = """
echo "host: $(uname -r), $(grep -m 1 'model name' /proc/cpuinfo | cut -d: -f2)"
echo "kvm_intel ept=$(cat /sys/module/kvm_intel/parameters/ept)"
ringfence doctor >doctor; cat doctor
grep -q "^This host offers all that ringfence requires" doctor
"""
# As attacks.jobs_for(), but what is found by looking is looked for more often: three seconds would be three minutes.
ATTACK = "DISK=disk.img l2 {pair.kernel} {pair.cpus} 'rf.mode=attack rf.attacks={names} rf.linger={linger} rf.patience={patience}'\n"
PROTECTED = """printf 'version: 1\\ndma_sweep_ms: 100\\npatch_timeout_ms: 1000\\n' >policy
WRAP="ringfence run --name vmx --policy policy --audit $OUT/audit.jsonl --"
"""


def home() -> Path:
    """Where artefacts, verdicts and consoles end up."""
    return out_dir() / "out" / "vmx"


def make_iso(jobs: list[runner.Job], work: Path) -> Path:
    """A CD that boots the emulated host: Bochs loads no kernel by itself."""
    for needed in LOADER + ROMS:
        if not needed.exists():
            raise LabError(f"no {needed}: run scripts/packages.sh")
    tree, iso = work / "cd", work / "host.iso"
    tree.mkdir()
    kernel = host.image(KERNEL, [KERNEL], jobs, tree / "host.img")
    for source in (*LOADER, kernel.vmlinuz):
        shutil.copy(source, tree / source.name.split("-")[0])
    (tree / "isolinux.cfg").write_text("DEFAULT lab\nPROMPT 0\nLABEL lab\n KERNEL /vmlinuz\n INITRD /host.img\n"
                                       f" APPEND {COMMAND_LINE}\n")
    run("xorriso", "-as", "mkisofs", "-quiet", "-o", iso, "-b", "isolinux.bin", "-c", "boot.cat", "-no-emul-boot",
        "-boot-load-size", "4", "-boot-info-table", tree)
    return iso


class Bochs:
    """One emulator, from start to certain end. Its display wants a terminal; what it draws is kept, not looked at."""

    def __init__(self, iso: Path, work: Path) -> None:
        self.serial = home() / "serial.txt"
        self.serial.touch()
        (work / "bochsrc").write_text(BOCHSRC.format(iso=iso, serial=self.serial, roms=ROMS, log=home() / "bochs.log"))
        # The packaged build has a debugger that waits for a command.
        (work / "commands").write_text("c\n")
        self.screen, terminal = pty.openpty()
        # pylint: disable=consider-using-with,subprocess-popen-preexec-fn
        self.process = subprocess.Popen(["bochs", "-q", "-f", work / "bochsrc", "-rc", work / "commands"], cwd=work,
                                        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
                                        env=os.environ | {"TERM": "vt100"}, preexec_fn=runner._die_with_parent)
        os.close(terminal)

    def __enter__(self) -> "Bochs":
        return self

    def __exit__(self, *_: object) -> None:
        runner._end(self.process)
        os.close(self.screen)

    def lines(self) -> Iterator[str]:
        """The serial line as it grows. Ends with the emulator, in silence that is too long, or when time is up."""
        began = heard = time.monotonic()
        pending = b""
        with self.serial.open("rb") as serial, (home() / "screen.txt").open("wb") as screen, \
                selectors.DefaultSelector() as selector:
            selector.register(self.screen, selectors.EVENT_READ)
            while True:
                now = time.monotonic()
                chunk = serial.read()
                if chunk:
                    heard = now
                    *whole, pending = (pending + chunk).split(b"\n")
                    for line in whole:
                        yield line.decode(errors="replace").strip("\r")
                elif self.process.poll() is not None:
                    print(f"vmx: Bochs ended with status {self.process.returncode}; see {home()}", flush=True)
                    return
                elif now - heard > SILENT_SECONDS or now - began > TOTAL_SECONDS:
                    print(f"vmx: nothing new for {now - heard:.0f} s, {now - began:.0f} s in all: given up", flush=True)
                    return
                time.sleep(0.2)
                if selector.select(0):
                    screen.write(self._drawn())

    def _drawn(self) -> bytes:
        try:
            return os.read(self.screen, 65536)
        except OSError:  # the other end is gone with the emulator
            return b""


def unpack(name: str, text: list[str]) -> None:
    """Artefacts that came over the console. A line the kernel talked into spoils them; the job then has none."""
    try:
        with tarfile.open(fileobj=io.BytesIO(base64.b64decode("".join(text))), mode="r:gz") as tar:
            for member in tar:
                if member.name.split("/")[0] == name:
                    runner.extract(tar, member, home())
    except (tarfile.TarError, binascii.Error, EOFError, OSError) as error:
        print(f"vmx: the artefacts of {name} are damaged: {error}", flush=True)


def follow(lines: Iterator[str], jobs: list[runner.Job]) -> dict[str, runner.Result]:
    """Show what comes with the time since the start, and sort it by job; see host/jobs for the marks."""
    began = since = time.monotonic()
    results = {job.name: runner.Result(job.name, None, home() / job.name, note="never started") for job in jobs}
    current, packed, packing = None, [], False
    for line in lines:
        now = time.monotonic()
        words = line.split()
        if words[:1] == ["@@lab"] and len(words) > 1:
            packing = words[1] == "tar"
            if words[1] == "start":
                current, since = results[words[2]], now
                current.note = "it did not end"
            elif words[1] == "end":
                result = results[words[2]]
                result.status, result.note, result.seconds = int(words[3]), "", now - since
                current, packed = None, []
            elif words[1] == "tar-end":
                unpack(words[2], packed)
        elif packing:
            packed.append(line)
            continue
        elif current:
            current.log += line + "\n"
        print(f"{now - began:5.0f} s  {line}", flush=True)
        if words[:2] == ["@@lab", "finished"]:
            break
    for result in results.values():
        runner._save(result)
    return results


class Verdicts:
    """One line for each test, on the screen and in verdicts.txt, and their number."""

    def __init__(self) -> None:
        self.passed = self.failed = self.skipped = 0
        self.text = ""

    def say(self, line: str) -> None:
        """Print and keep a line."""
        print(line, flush=True)
        self.text += line + "\n"
        (home() / "verdicts.txt").write_text(self.text)

    def add(self, what: str, wrong: str) -> None:
        """One test; it passed when nothing was wrong."""
        self.failed += bool(wrong)
        self.passed += not wrong
        self.say(f"vmx {what:20} FAILED  {wrong}" if wrong else f"vmx {what:20} ok")

    def skip(self, what: str, why: str) -> None:
        """A test that could not be made here."""
        self.skipped += 1
        self.say(f"vmx {what:20} skipped {why}")

    def check(self, what: str, verify: Callable[[runner.Result], None], result: runner.Result) -> None:
        """One test that asserts on what a job left."""
        try:
            verify(result)
        except trial.WRONG as error:
            self.add(what, f"{error} (artefacts in {result.out})")
        else:
            self.add(what, "")


def check_host(result: runner.Result) -> None:
    """It is Intel's KVM with EPT, or all that follows proves something else."""
    trial.check("kvm_intel ept=Y" in result.log, "kvm_intel is not there with ept=Y")
    trial.check(result.ok, "ringfence doctor misses what it requires")


def check_demo(result: runner.Result) -> None:
    """The control landed, then the same attack was blocked, with a record that names the table."""
    trial.check(result.ok, result.note or f"exit status {result.status}")
    trial.check(result.log.count("result=landed") == 1, "the control did not land")
    trial.check(result.log.count("result=faulted") == 1, "the protected guest's store did not fault")
    trial.check(re.search(r"^  BLOCKED$", result.log, re.M), "not BLOCKED")
    trial.check(re.search(r"^  target +sys_call_table\+", result.log, re.M), "the record does not name the table")


def check_sealed(result: runner.Result) -> None:
    """The record says that text and rodata were sealed at the right moment."""
    trial.check(not result.note, result.note)
    trial.sealed(trial.Outcome(result))


def check_wp(protected: attacks.Attempt) -> None:
    """A store with CR0.WP cleared, which nobody hears of here, is blocked all the same."""
    trial.check("wp=cleared" in protected.detail, f"WP was not cleared: {protected.detail}")
    trial.check(protected.result == "faulted", f"the store with WP cleared: {protected.result}")


def judge(results: dict[str, runner.Result], pair: attacks.Pair) -> Verdicts:
    """Every test's verdict."""
    # arch/x86/kvm/kvm_cache_regs.h KVM_POSSIBLE_CR0_GUEST_BITS: no exit, nobody is told.
    attacks.OPEN["cr0_wp"] = "not seen: with EPT the guest owns CR0.WP, which is no help against a seal"
    verdicts = Verdicts()
    for name, verify in (("host", check_host), ("demo", check_demo)):
        verdicts.check(name, verify, results[name])
    control, protected = (results.get(pair.job_name(side)) for side in ("control", "protected"))
    if not control or not protected:
        return verdicts
    verdicts.check("sealed", check_sealed, protected)
    pair.control, pair.protected = attacks.attempts(control.log), attacks.attempts(protected.log)
    pair.records = attacks.read_records(protected.out / "audit.jsonl")
    if not pair.control:
        verdicts.add("attacks", "the control guest told of no attack")
    if "cr0_wp" in pair.protected and "syscall_table" in pair.protected:
        verdicts.check("wp-cleared", lambda _: check_wp(pair.protected["syscall_table"]), protected)
    for row, wrong in attacks.judge(pair, False):
        if "skipped" in row:
            verdicts.skip(row["name"], row["skipped"])
        else:
            verdicts.add(row["name"], wrong)
    return verdicts


def main() -> int:
    """Build the CD, run it, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--attacks", default="all", help="names with commas, or nothing: the demo alone")
    options = parser.parse_args()
    pair = attacks.Pair(KERNEL, 1, KERNEL)
    jobs = [runner.Job("host", FACTS, JOB_SECONDS),
            runner.Job("demo", (HERE / "jobs/demo.sh").read_text(), 2 * JOB_SECONDS)]
    for side, script, linger, patience in (("control", "", 0, 1), ("protected", PROTECTED, 0.5, 4)):
        script += ATTACK.format(pair=pair, names=options.attacks, linger=linger, patience=patience)
        jobs += [runner.Job(pair.job_name(side), script, JOB_SECONDS)] if options.attacks else []
    began = time.monotonic()
    try:
        shutil.rmtree(home(), ignore_errors=True)
        home().mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="vmx-", dir=out_dir()) as temporary:
            iso = make_iso(jobs, Path(temporary))
            print(f"vmx: Bochs starts; {len(jobs)} jobs, a guest takes minutes", flush=True)
            with Bochs(iso, Path(temporary)) as bochs:
                results = follow(bochs.lines(), jobs)
    except (LabError, OSError) as error:
        print(f"vmx: {error}", file=sys.stderr)
        return 2
    verdicts = judge(results, pair)
    print(f"vmx: artefacts in {home()}, {time.monotonic() - began:.0f} s")
    verdicts.say(f"vmx: {verdicts.passed} passed, {verdicts.failed} failed, {verdicts.skipped} skipped")
    return 1 if verdicts.failed else 0


if __name__ == "__main__":
    sys.exit(main())
