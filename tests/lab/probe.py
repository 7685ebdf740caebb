# SPDX-License-Identifier: LGPL-2.1-or-later
"""Can this machine's own KVM run a stock guest? Only booting one tells: a /dev/kvm may exist and still not be able to."""
import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Optional

import guest
import vmm
from build import LabError, digest, locked, out_dir, write_atomic

# A machine that can needs about two seconds; one that cannot either fails at once or spins.
SECONDS = 20


def _boot() -> tuple[bool, str]:
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False, "there is no usable /dev/kvm here"
    files = guest.get("6.12")
    command = [vmm.qemu(), "-M", "microvm,pit=off,pic=off,isa-serial=on", "-accel", "kvm", "-cpu", "host", "-m", "256",
               "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio", "-kernel", files.vmlinuz,
               "-initrd", files.initrd, "-append",
               "console=ttyS0 quiet panic=-1 tsc=reliable no_timer_check reboot=t rf.mode=idle rf.seconds=0"]
    began = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True)
    try:
        output, _ = process.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        if b"RF: init" not in output:
            return False, f"a stock guest on /dev/kvm is not up after {SECONDS} s"
    if b"RF: done mode=idle" in output:
        return True, f"a stock guest ran on /dev/kvm in {time.monotonic() - began:.1f} s"
    said = output.decode(errors="replace").strip().splitlines()
    return False, f"a stock guest does not boot on /dev/kvm ({said[-1].strip()[:80] if said else 'it says nothing'})"


def choose(mode: Optional[str] = None) -> tuple[str, str]:
    """The mode to run in and the reason, for people. The probe's answer is kept until the machine changes."""
    forced = mode or os.environ.get("LAB")
    if forced:
        if forced not in ("native", "emulated"):
            raise LabError(f"LAB={forced}: native or emulated")
        return forced, "it was asked for"
    cache = out_dir() / "probe.json"
    with locked("probe"):
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text()
        key = digest([vmm.qemu(), boot_id])
        if cache.exists():
            known = json.loads(cache.read_text())
            if known["key"] == key:
                return known["mode"], known["why"]
        works, why = _boot()
        answer = {"key": key, "mode": "native" if works else "emulated", "why": why}
        write_atomic(cache, json.dumps(answer).encode())
        return answer["mode"], why
