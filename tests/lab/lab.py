#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The lab's command line; see docs/testing.md. Python callers use runner.run_jobs()."""
import argparse
import sys
from pathlib import Path

import guest
import kernels
import probe
import runner
from build import LabError


def _job(text: str) -> runner.Job:
    """NAME=SCRIPT[@SECONDS]"""
    name, _, rest = text.partition("=")
    script, _, seconds = rest.partition("@")
    if not script:
        raise argparse.ArgumentTypeError("a job is NAME=SCRIPT[@SECONDS]")
    if not Path(script).is_file():
        raise argparse.ArgumentTypeError(f"{script} is no file; a job is NAME=SCRIPT[@SECONDS]")
    if seconds and not seconds.isdecimal():
        raise argparse.ArgumentTypeError(f"{seconds} is no number; a job is NAME=SCRIPT[@SECONDS]")
    return runner.Job(name, Path(script).read_text(), int(seconds or 120))


def _file(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if not Path(path or name).is_file():
        raise argparse.ArgumentTypeError(f"{path or name} is no file")
    return name, Path(path or name)


def _run(options: argparse.Namespace) -> int:
    for job in options.job:
        job.files.update({Path(name).name: path for name, path in options.file})
    results = runner.run_jobs(options.job, options.host_kernel, options.guests.split(","), options.smp, options.mem)
    for result in results:
        verdict = "ok" if result.ok else result.note or f"exit status {result.status}"
        print(f"lab: {result.name}: {verdict}, {result.seconds:.1f} s, artefacts in {result.out}")
    return 0 if all(result.ok for result in results) else 1


def _kernels(options: argparse.Namespace) -> int:
    for series in kernels.SERIES:
        print(series, kernels.get(series, options.refresh).release)
    return 0


def _guests(_: argparse.Namespace) -> int:
    for series in kernels.SERIES:
        print(series, guest.get(series).initrd)
    return 0


def _probe(_: argparse.Namespace) -> int:
    mode, why = probe.choose()
    print(f"lab: {mode} host, because {why}")
    return 0


def _shell(options: argparse.Namespace) -> int:
    return runner.shell(options.host_kernel, options.smp, options.mem)


def main() -> int:
    """Parse, run, turn the lab's own errors into one line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(required=True)
    for name, action, text in (("run", _run, "run jobs"), ("shell", _shell, "a shell in the emulated host"),
                               ("kernels", _kernels, "fetch the kernels"), ("guests", _guests, "build the guests"),
                               ("probe", _probe, "say where guests run on this machine")):
        command = commands.add_parser(name, help=text)
        command.set_defaults(action=action)
        if name in ("run", "shell"):
            command.add_argument("--host-kernel", default="6.12", choices=sorted(kernels.SERIES | kernels.NEWER))
            command.add_argument("--smp", type=int, default=2, help="processors of the emulated host")
            command.add_argument("--mem", type=int, default=2048, help="its memory in MiB")
        if name == "run":
            command.add_argument("--job", type=_job, action="append", required=True, metavar="NAME=SCRIPT[@SECONDS]")
            command.add_argument("--file", type=_file, action="append", default=[], metavar="NAME=PATH",
                                 help="a file to stand beside every job's script")
            command.add_argument("--guests", default="6.1,6.12", help="guest kernels to take along")
        if name == "kernels":
            command.add_argument("--refresh", action="store_true", help="look for newer ones")
    options = parser.parse_args()
    try:
        return options.action(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
