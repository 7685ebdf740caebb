# SPDX-License-Identifier: LGPL-2.1-or-later
"""A copy of the source tree with a build folder of its own, in which the native tests are built and run."""
import contextlib
import dataclasses
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Iterator

from table import Wrong

# As the unit tests are built, but without sanitizers and without complaints: a variable that is unused now is no reason to leave
# a mutant out.
PLAIN = ["WARN=-w", "SAN=-O1"]
SANITISED = ["WARN=-w"]
MAKE_SECONDS = 1200.0
COPIED = ["cli", "completions", "docs", "hv", "introspection", "monitor", "packaging", "patch", "policy", "scripts", "tests"]
TIMES_ITS_OWN = 8.0  # what a test may take before it hangs
KVM, CLI = "kvm", "cli-test"
HANGS = "hangs"
LISTS = """
include Makefile
the-lists:
	$(foreach t,$(UNIT_TESTS),$(info $(t) $($(t)_SRCS)))
	$(info kvm $(FENCE_KVM_SRCS))
	@:
"""


@dataclasses.dataclass
class Outcome:
    """Of one test: whether it failed, and why, in a word."""

    failed: bool
    how: str
    seconds: float


def run(command: list[str], cwd: Path, seconds: float, **environment: str) -> tuple[int | None, str]:
    """Status and output. None: it was not done by then, and was ended with all that it started."""
    with subprocess.Popen(command, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          start_new_session=True, text=True, errors="replace", env={**os.environ, **environment}) as process:
        try:
            output = process.communicate(timeout=seconds)[0]
            return process.returncode, output
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return None, ""


class Tree:
    """The copy. Only files that differ are written, so what was built of the others stays."""

    def __init__(self, source: Path, folder: Path, settings: list[str]) -> None:
        self.source, self.folder, self.settings = source, folder, settings  # least: seconds, of every limit
        self.limits: dict[str, float] = {}
        self.least = 0.0
        self.fill()
        self.programs = self.lists()

    def fill(self) -> None:
        """Make it equal to the source."""
        names = {str(path.relative_to(self.source)) for folder in COPIED for path in (self.source / folder).rglob("*")
                 if path.is_file() and path.parent.name != "__pycache__"} | {"Makefile"}
        for name in names:
            copy = self.folder / name
            if copy.exists() and copy.read_bytes() == (self.source / name).read_bytes():
                continue
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(self.source / name, copy)
            shutil.copymode(self.source / name, copy)
        for path in self.folder.rglob("*"):
            inside = path.relative_to(self.folder)
            if path.is_file() and inside.parts[0] != "build" and str(inside) not in names:
                path.unlink()

    def lists(self) -> dict[str, set[str]]:
        """Of each test the sources in it, also those that a source includes: make says so."""
        said = subprocess.run(["make", "-s", "-f", "-", "O=build", "the-lists"], cwd=self.folder, check=True, text=True,
                              input=LISTS, stdout=subprocess.PIPE).stdout
        programs = {}
        for test, *sources in (line.split() for line in said.splitlines() if line):
            inside = set(sources)
            for name in sources:
                inside.update(re.findall(r'^#include "(\S+\.c)"', (self.folder / name).read_text(), re.M))
            programs[test] = inside
        return programs

    def tests(self) -> set[str]:
        """Every name that a table may have behind "by"."""
        scenarios = re.findall(r"\b\w+(?=[,;])", (self.folder / "tests/kvm/scenario.h").read_text())
        return {*self.programs, KVM, CLI, *(f"{KVM}:{name}" for name in scenarios)}

    def containing(self, file: str) -> list[str]:
        """The tests that a file can be seen by, the longest last. The command's take many minutes: only where they are named."""
        return sorted((test for test, sources in self.programs.items() if file in sources), key=lambda t: (t == KVM, t))

    def build(self, tests: list[str]) -> str:
        """What make says where it fails."""
        targets = {t: f"build/tests/{t}" for t in self.programs} | {KVM: "build/tests/test_fence_kvm", CLI: "programs"}
        wanted = sorted({targets[test.split(":")[0]] for test in tests})
        command = ["make", "-s", "-k", "--no-print-directory", "O=build", *self.settings, *wanted]
        status, said = run(command, self.folder, MAKE_SECONDS)
        return "" if status == 0 else said or "make hung"

    def try_test(self, test: str) -> Outcome:
        """Run one, as its step of the check does. What fails must do so twice: on a loaded machine a test may fail by itself."""
        outcome = self.try_once(test)
        return self.try_once(test) if outcome.failed and outcome.how != HANGS else outcome

    def try_once(self, test: str) -> Outcome:
        """One run, within the limit."""
        limit = self.limits.get(test, 300.0)
        began = time.monotonic()
        if test == CLI:
            command = ["tests/cli/run.sh", "build"]
        elif test.startswith(KVM):
            command = ["build/tests/test_fence_kvm", *test.split(":")[1:]]
        else:
            command = ["tests/run-unit", "build", test]
        # run-unit has a limit of its own for each program, in a process group of its own.
        status, said = run(command, self.folder, limit + 10, LIMIT=f"{limit:.0f}")
        seconds = time.monotonic() - began
        if status == 0:
            return Outcome(False, "", seconds)
        named = re.search(r"\[  FAILED  \] ([a-z]\w+)$|^cli  (.*?): FAILED", said, re.M)
        how = next((name for name in named.groups() if name), "") if named else ""
        return Outcome(True, HANGS if seconds >= limit else how or "died", seconds)

    def prepare(self, tests: list[str]) -> None:
        """Build and run them once as they are: how long each may take. One that fails then can kill nothing."""
        new = [test for test in tests if test not in self.limits]
        said = self.build(new) if new else ""
        if said:
            raise Wrong(f"it does not compile as it is: {said}")
        for test in new:
            outcome = self.try_test(test)
            if outcome.failed:
                raise Wrong(f"{test} fails without a mutant: {outcome.how}")
            self.limits[test] = max(self.least, TIMES_ITS_OWN * outcome.seconds)

    @contextlib.contextmanager
    def changed(self, name: str, text: str) -> Iterator[None]:
        """With a file that says something else. Put back, it is newer than what was built of it: make builds that again."""
        path = self.folder / name
        original = path.read_text()
        try:
            path.write_text(text)
            yield
        finally:
            path.write_text(original)
