#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Does any check find something in a guest that is busy, and to which nobody did anything?

Boots stock kernels on plain emulation with many of the distribution's modules. Then processes come and go, modules are loaded and
unloaded, functions traced and probed, file systems mounted, network devices and namespaces made and taken away, all at once;
meanwhile all checks are run again and again, half of the rounds while the guest runs, as the monitor does it, half while it is
stopped, which is what a dump shows. build/quiet.json has what each kernel's rounds showed.

    quiet.py BUILD ROUNDS [KERNEL ...]
"""
import re
import shutil
import sys
import time
from pathlib import Path

import planted
from build import out_dir
import kernels

# Those of the rounds while the guest runs, that one program makes.
AT_ONCE = 20


def judge_stopped(counts: planted.Counts, name: str, looks: list[planted.Look]) -> None:
    """A dump cannot be looked at twice, and what stands half way in it is no finding."""
    wrong = [planted.shown(finding) for look in looks for finding in look.findings]
    states = [f"{check['check']} {check['state']} {check['why']}" for look in looks for check in look.checks
              if check["state"] not in ("clean", "found")]
    text = f"{len(looks)} rounds of {len(looks[0].checks)} checks while it is stopped: {len(states)} times not to the end"
    if wrong:
        counts.fails(name, f"{text}, {len(wrong)} findings: {'; '.join(sorted(set(wrong))[:5])}")
    else:
        counts.passes(name, 0, f"{text} {sorted(set(states))[:3]}")


def check(counts: planted.Counts, build: Path, series: str, rounds: int) -> None:
    """One kernel."""
    kernel = kernels.get(series)
    home = out_dir() / "quiet" / series
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    init = (planted.HERE / "init.sh").read_text()
    script = init[:init.index("# --- plants")] + (planted.HERE / "load.sh").read_text()
    planted.initrd(build, kernel, home, script, planted.MODULES)
    print(f"quiet {kernel.release}", flush=True)
    with planted.running(home, kernel) as guest:
        guest.wait("CLEAN")
        guest.go()
        guest.wait("LOAD")
        live: list[planted.Look] = []
        stopped: list[planted.Look] = []
        began = time.monotonic()
        while len(live) + len(stopped) < rounds:
            live += guest.look(build, "LOAD", min(AT_ONCE, rounds)).live
            stopped += [guest.look_while_stopped(build) for _ in range(min(AT_ONCE, rounds))]
            print(f"quiet: {series}: {len(live) + len(stopped)} of {rounds} rounds, {time.monotonic() - began:.0f} s", flush=True)
        guest.go()
        guest.wait("DONE")
        ran = {name: int(times) for name, times in re.findall(r"^RAN (\S+) (\d+)", guest.console(), re.M)}
    if not ran or not min(ran.values()):
        counts.fails(f"{series}-load", f"the guest was not busy: {ran}")
    else:
        counts.passes(f"{series}-load", time.monotonic() - began, " ".join(f"{name}={times}" for name, times in ran.items()))
    planted.judge_live(counts, f"{series}-live", live)
    judge_stopped(counts, f"{series}-stopped", stopped)
    counts.rows.append({"kernel": kernel.release, "live": len(live), "stopped": len(stopped), "load": ran,
                        "findings": sum(len(look.findings) for look in live + stopped)})
    (home / "dump").unlink(missing_ok=True)


def main() -> int:
    """All that is asked for."""
    if len(sys.argv) < 3:
        print(__doc__, file=sys.stderr)
        return 2
    build, rounds, counts = Path(sys.argv[1]).resolve(), int(sys.argv[2]), planted.Counts("quiet")
    return planted.each_kernel(counts, build, sys.argv[3:], lambda series: check(counts, build, series, rounds))


if __name__ == "__main__":
    sys.exit(main())
