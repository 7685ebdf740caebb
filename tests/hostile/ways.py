# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ways in which a VM is run: in each, a monitor that dies is followed by another one, and no record is lost."""
import os
import shutil
import signal
import subprocess
import time
from typing import Callable

from machine import RUNS_ON, SCALE, Lab, Skipped, check, wait

# A second each, but for the first ones. An emulated host takes six times as long.
KILLS = 20 if SCALE <= 1 else 5
NOBODY, LIBVIRT_QEMU = 65534, 64055  # the second: Debian's libvirt-daemon-system.postinst
SANDBOX = "on,obsolete=deny,spawn=deny,resourcecontrol=deny"
# Not with -runas: QEMU's filter is there before it changes its user, and ends it for that, with or without ringfence.
NO_OTHER_USER = SANDBOX + ",elevateprivileges=deny"


def decisions(lab: Lab) -> int:
    """Stores that are on record: in full, and as one of a count. A number that is met twice is one line; what a monitor let
    and counted as it was killed is counted by the next one too, which says so.
    """
    counts = {r["number"]: r["count"] for r in lab.recorded(type="folded", kind="write")}
    twice = lab.recorded(type="decision", kind="monitor", outcome="recorded twice")
    return len(lab.recorded(type="decision", kind="write")) + sum(counts.values()) - len(twice)


def as_user(lab: Lab, uid: int) -> tuple[str, ...]:
    """Of another user's, who may use KVM: where the device is root's alone, one of its own lies over it."""
    if os.geteuid():
        raise Skipped("needs root")
    for folder in (lab.folder.parent, *lab.build.parents):
        if not folder.stat().st_mode & 1 and folder != lab.folder.parent:
            raise Skipped(f"{folder} is closed to other users")
    if subprocess.run(["setpriv", "--reuid", str(uid), "true"], capture_output=True, check=False).returncode:
        raise Skipped("this setpriv knows no --reuid")
    lab.folder.parent.chmod(0o711)
    node = lab.folder / "kvm"
    os.mknod(node, 0o600 | 0o020000, os.stat("/dev/kvm").st_rdev)
    node.chmod(0o666)
    shutil.chown(lab.folder, uid, uid)
    script = f'mount --bind {node} /dev/kvm && exec setpriv --reuid {uid} --regid {uid} --clear-groups "$@"'
    return ("unshare", "-m", "sh", "-c", script, "sh")


def in_user_namespace(lab: Lab) -> tuple[str, ...]:
    """Root there, and nobody else's uid is known."""
    if subprocess.run(["unshare", "-Ur", "true"], capture_output=True, check=False).returncode:
        raise Skipped("no user namespace may be made")
    return ("unshare", "-Ur")


def changed_root(lab: Lab) -> tuple[str, ...]:
    """QEMU's own -chroot."""
    (lab.folder / "empty").mkdir()
    return ("-chroot", str(lab.folder / "empty"))


def alone(_: Lab) -> tuple[str, ...]:
    """Nothing of that."""
    return ()


def way(start: Callable[[Lab], tuple[str, ...]] = alone, more: Callable[[Lab], tuple[str, ...]] = alone) -> Callable[[Lab], None]:
    """Started by `start`, with more options of QEMU's."""
    def test(lab: Lab) -> None:
        if os.geteuid() and more is not alone:
            raise Skipped("needs root")
        vm = lab.run("flood", "mode: observe\n", more(lab), start(lab))
        vm.says(RUNS_ON, "the guest to run")
        for _ in range(KILLS):
            pid = lab.status()["monitor_pid"]
            os.kill(pid, signal.SIGKILL)
            wait(lambda dead=pid: lab.status()["monitor_pid"] != dead, "the next monitor")
            before = decisions(lab)
            wait(lambda known=before: decisions(lab) > known, "its records")
        status = lab.status()
        check(status["state"] == "sealed", f"it is {status['state']}")
        vmm = status["vmm_pid"]
        os.kill(vmm, signal.SIGSTOP)
        wait(lambda: not lab.status()["log"]["in_no_line_yet"], "what was counted to be written", 20 * SCALE)
        time.sleep(0.2)
        made, known = lab.status()["counters"]["write"], decisions(lab)
        os.kill(vmm, signal.SIGCONT)
        vm.stop()
        check(known > KILLS and known in (made - 1, made), f"{made} stores, and {known} are on record")
        done = subprocess.run([lab.build / "ringfence", "audit", "verify", lab.audit], capture_output=True, text=True, check=False)
        check(done.returncode == 0, f"the log: {done.stdout}{done.stderr}")
        check(vm.complained().count("serves again") == KILLS, f"other monitors: {vm.complained()[-500:]}")
        check(not lab.left(), f"left running: {lab.left()}")
    return test


TESTS = {
    "way-plain": way(),
    "way-user": way(lambda lab: as_user(lab, NOBODY)),
    "way-libvirt-qemu": way(lambda lab: as_user(lab, LIBVIRT_QEMU), lambda _: ("-sandbox", NO_OTHER_USER)),
    "way-runas": way(more=lambda _: ("-runas", f"{NOBODY}:{NOBODY}")),
    "way-chroot": way(more=changed_root),
    "way-runas-chroot-sandbox": way(more=lambda lab: (*changed_root(lab), "-runas", f"{NOBODY}:{NOBODY}", "-sandbox", SANDBOX)),
    "way-user-namespace": way(in_user_namespace),
}
