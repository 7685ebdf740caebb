# SPDX-License-Identifier: LGPL-2.1-or-later
"""Stock QEMU that has lost the fence on its way: by no KVM and by no emulator a guest runs."""
import subprocess
import sys
import time
from typing import Callable

from machine import RUNS_ON, SCALE, Lab, Skipped, check

# A program that takes what begins so out of the environment of the VMM that it becomes.
DROP = """import os, sys
for name in [name for name in os.environ if name.startswith({names})]:
    del os.environ[name]
os.execvp(sys.argv[1], sys.argv[1:])"""
FENCE, REQUEST = "LD_PRELOAD", "RINGFENCE_"
# It takes a second; --start-timeout is 30.
SECONDS = 15 * SCALE


def emulates(lab: Lab) -> bool:
    """Whether its module of the emulation is there: in the lab's host it is not."""
    done = subprocess.run([lab.vmm, "-M", "none", "-accel", "tcg", "-display", "none", "-S", "-monitor", "stdio"], input=b"quit\n",
                          capture_output=True, check=False, timeout=60)
    return done.returncode == 0


def lost(names: tuple[str, ...], accelerator: str = "kvm", cpu: str = "") -> Callable[[Lab], None]:
    """The guest runs without ringfence, and under it not for a moment."""
    def test(lab: Lab) -> None:
        if accelerator.startswith("tcg") and not emulates(lab):
            raise Skipped("this QEMU has no emulation")
        qemu = lab.qemu("good")
        qemu[qemu.index("-accel") + 1] = accelerator
        qemu[qemu.index("-cpu") + 1] = cpu or lab.cpu
        command = [sys.executable, "-c", DROP.format(names=names), *qemu]
        control = lab.start("control", command)
        control.says(RUNS_ON, "the unprotected guest to run")
        control.stop()
        vm = lab.start("run", [str(lab.build / "ringfence"), "run", "--name", lab.tag, "--state", str(lab.state),
                               "--audit", str(lab.audit), "--", *command])
        code = vm.ended()
        took, said = time.monotonic() - vm.began, vm.complained()
        check(code == 124, f"exit code {code}, not 124: {said}")
        check(took < SECONDS, f"it took {took:.0f} s")
        check(not vm.said("UP"), "the guest has run")
        check("Operation not permitted" in said and "before it came under protection" in said, f"not why: {said}")
        check(not lab.left(), f"left running: {lab.left()}")
        check(not lab.state.exists(), "the state folder is left")
    return test


TESTS = {
    "lost-preload": lost((FENCE,)),
    "lost-environment": lost((FENCE, REQUEST)),
    "lost-request": lost((REQUEST,)),
    "lost-emulated": lost((FENCE,), "tcg", "max"),
    "lost-emulated-split": lost((FENCE,), "tcg,split-wx=on", "max"),
    "lost-request-emulated": lost((REQUEST,), "tcg", "max"),
}
