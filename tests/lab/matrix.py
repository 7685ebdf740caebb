#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The matrix: which hosts, guests, VMMs and settings are held. Each cell (cells.py) boots a guest unprotected and protected.

matrix.py [--short] [CELL ...]. What each cell showed goes to matrix.json in the build folder; once all have a result there, of
these very programs, docs/matrix.md is made of it. Named cells are run anew and the others' results stay. --self-test runs
nothing: failures are planted in made-up artefacts. Ends with "matrix: N passed, N failed, N skipped".
"""
import argparse
import concurrent.futures
import functools
import json
import os
import sys
import tempfile
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any, Callable, Iterator, Optional

import guest
import host
import judge
import kernels
import matrix_page
import runner
import suite
import trial
import vmm
from build import ROOT, LabError, Unreachable, digest, out_dir, write_atomic
from cells import BASE, CELLS, OWN, SHORT, UNPROTECTED, Cell, script, test
from matrix_made_up import TESTS, make, make_test

PAGE = ROOT / "docs/matrix.md"
# Of one host's boot: a host that dies takes no more with it, and results are kept so far.
TOGETHER = 8
Row = dict[str, Any]


def results_file() -> Path:
    """Where all that is known stands."""
    return out_dir().parent / "matrix.json"


def programs() -> str:
    """A key of what is tested: results of other programs do not count."""
    return digest(path.read_bytes() for path in host.built())


def known() -> dict[str, Row]:
    """The rows that there are, of these programs and of cells that would still be run so."""
    try:
        found = json.loads(results_file().read_text())
    except (OSError, ValueError):
        return {}
    rows = found["cells"] if found["programs"] == programs() else {}
    declared = {cell.name: (asdict(cell), script(cell)) for cell in [*CELLS, UNPROTECTED]}
    return {name: row for name, row in rows.items() if (row["cell"], row["script"]) == declared.get(name)}


def keep(rows: dict[str, Row]) -> dict[str, Row]:
    """Add rows to those that are known; all of them."""
    rows = known() | rows
    write_atomic(results_file(), json.dumps({"programs": programs(), "cells": rows}, indent=1).encode())
    return rows


@functools.cache
def _cannot_have(get: Callable[..., object], *what: object) -> Optional[LabError]:
    """What the lab says when something cannot be had. Asked once: a suite that is not reached takes its time."""
    try:
        get(*what)
    except LabError as error:
        return error
    return None


def missing(cell: Cell) -> Optional[LabError]:
    """Why the cell cannot be run here: not every machine reaches what it needs. A fault of ours comes before that."""
    asked = [_cannot_have(kernels.get, cell.host), _cannot_have(kernels.get, cell.guest), _cannot_have(vmm.get, cell.vmm),
             *(_cannot_have(value.files) for value in cell.values())]
    errors = sorted(filter(None, asked), key=lambda error: isinstance(error, Unreachable))
    return errors[0] if errors else None


def versions(cell: Cell, o: trial.Outcome) -> dict[str, str]:
    """What the host and its VMM say of themselves; the guest's kernel is what was put in."""
    said = o._text("host").splitlines() + ["", ""]
    guest_kernel = "" if _cannot_have(kernels.get, cell.guest) else kernels.get(cell.guest).release
    return {"host": said[0], "vmm": said[1].removeprefix("vmm "), "guest": guest_kernel}


def row(cell: Cell, result: runner.Result) -> Row:
    """All that is known of a cell that was run; says it, too."""
    o = trial.Outcome(result)
    aspects = judge.judge(o, cell)
    wrong = {name: text for name, text in aspects.items() if text}
    words = judge.last_words(o) if wrong else ""
    holds = set(wrong) == (set() if cell.protected else judge.UNSEALED)
    print(f"matrix {cell.name:24} {'ok' if holds else 'FAILED':8} {result.seconds:5.1f} s")
    for name, text in wrong.items():
        print(f"    {name}: {text}")
    if wrong:
        print(f"    last words: {words or 'it ran to its end'} (artefacts in {result.out})", flush=True)
    planted = judge.plant(o, cell) if cell == BASE and not wrong else {}
    return {"cell": asdict(cell), "script": script(cell), "aspects": aspects, "words": words, "versions": versions(cell, o),
            "planted": planted, "holds": holds}


def boots(cells: list[Cell]) -> Iterator[list[Cell]]:
    """Cells that share a host: of one kernel, with one VMM, those that change it for good behind the others."""
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in sorted(cells, key=lambda cell: bool(cell.setting)):
        groups.setdefault((cell.host, cell.vmm), []).append(cell)
    for group in groups.values():
        for at in range(0, len(group), TOGETHER):
            yield group[at:at + TOGETHER]


def broken(cells: list[Cell], why: object) -> dict[str, Row]:
    """What could be had and did not work: the cells fail, and say why."""
    note = " ".join(str(why).split())
    return {cell.name: row(cell, runner.Result(cell.name, None, out_dir() / "out/none", note=note)) for cell in cells}


def run_boot(cells: list[Cell]) -> dict[str, Row]:
    """Run cells that share a host; those whose guest cannot be made fail, and not the others with them."""
    rows: dict[str, Row] = {}
    for series in sorted({cell.guest for cell in cells}):
        if why := _cannot_have(guest.get, series):
            rows |= broken([cell for cell in cells if cell.guest == series], why)
    left = [cell for cell in cells if cell.name not in rows]
    if not left:
        return rows
    try:
        results, again = trial.run_all([test(cell, lambda _: None) for cell in left], left[0].host, mode="emulated",
                                       vmm_name="" if left[0].vmm == OWN else left[0].vmm)
    except LabError as error:
        return rows | broken(left, error)
    if again:
        print(f"matrix: booted again, for no user mode: {', '.join(again)}", flush=True)
    return rows | {cell.name: row(cell, result) for cell, result in zip(left, results)}


def run_cells(cells: list[Cell], hosts: int) -> dict[str, Row]:
    """Run all that can be run, so many hosts side by side; what is known is kept as it comes."""
    rows: dict[str, Row] = {}

    def add(more: dict[str, Row]) -> None:
        rows.update(more)
        keep(more)

    for cell in cells:
        error = missing(cell)
        if isinstance(error, Unreachable):
            why = " ".join(str(error).split())
            print(f"matrix {cell.name:24} skipped: {why}", flush=True)
            add({cell.name: {"cell": asdict(cell), "script": script(cell), "skipped": why}})
        elif error:
            add(broken([cell], error))
    with concurrent.futures.ThreadPoolExecutor(hosts) as pool:
        left = [cell for cell in cells if cell.name not in rows]
        for done in concurrent.futures.as_completed([pool.submit(run_boot, boot) for boot in boots(left)]):
            add(done.result())
    return rows


def judged(rows: dict[str, Row]) -> Counter[str]:
    """How many passed, failed and were skipped; what is planted passes where it is found."""
    counts: Counter[str] = Counter()
    for name, found in rows.items():
        counts["skipped" if "skipped" in found else "passed" if found["holds"] else "failed"] += 1
        for what, (_, wrong) in found.get("planted", {}).items():
            counts["failed" if wrong else "passed"] += 1
            if wrong:
                print(f"matrix planted in {name}: {what} FAILED: {wrong}")
    return counts


def planted_in_suite() -> dict[str, tuple[str, str]]:
    """Made-up artefacts of some tests of the suite, and failures planted in them: what was said of each, and "" where that is as
    it must be.
    """
    found = {}
    for name in TESTS:
        test_of = next(t for t in suite.TESTS if t.name == name)
        for what, (alter, holds) in judge.PLANTED_IN_TESTS.items():
            with tempfile.TemporaryDirectory() as temporary:
                result = runner.Result(name, 0, make_test(Path(temporary) / "out", name))
                alter(result)
                said = trial.judge(test_of, result)
            holds = holds or (test_of.kills and what == judge.KILL)
            found[f"{name}: {what}"] = said or "it holds", "" if holds == (not said) else "that is not as it must be"
    return found


def planted_in_host() -> dict[str, tuple[str, str]]:
    """A record of a guest whose registers are the host's, and one beside it that is not."""
    found = {}
    for what, rip, holds in (("behind VMRUN", 0xffffffffc04de5b0, True), ("in another module", 0xffffffffc04de710, False)):
        with tempfile.TemporaryDirectory() as temporary:
            result = runner.Result("host", 0, Path(temporary))
            (result.out / "vcpu-run").write_text("ffffffffc04de510\n")
            (result.out / "audit.jsonl").write_text('{"rip":"%#x"}\n' % rip)
            said = runner.mixed_up(result)
        found[f"host: {what}"] = "the host's" if said else "a guest's", "" if said == holds else "that is not as it must be"
    return found


def self_test() -> int:
    """Made-up artefacts of a cell and of tests that hold, and each planted failure in them; nothing is booted. And the page has
    each cell.
    """
    with tempfile.TemporaryDirectory() as temporary:
        o = trial.Outcome(runner.Result(BASE.name, 0, make(Path(temporary) / "out", BASE)))
        wrong = [f"what holds does not: {name}: {text}" for name, text in judge.judge(o, BASE).items() if text]
        planted = judge.plant(o, BASE)
    planted |= planted_in_suite() | planted_in_host()
    for name, (said, why) in planted.items():
        print(f"matrix-test {name:36} {'FAILED' if why else 'ok'} {why or said}")
        wrong += [f"{name}: {why}"] if why else []
    names = [cell.name for cell in CELLS]
    unknown = matrix_page.cells_on(PAGE.read_text()) ^ set(names)
    if unknown or len(set(names)) != len(names):
        wrong.append(f"docs/matrix.md and the cells declared differ in: {' '.join(sorted(unknown))}")
    for text in wrong:
        print(f"matrix-test FAILED: {text}")
    print(f"matrix-test: {len(planted) + 2 - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


def make_page() -> int:
    """The page of the results that there are. Of none at all it would only lose what it has."""
    there = known()
    if not there:
        raise LabError(f"{results_file()} has no result of these programs, and docs/matrix.md stays as it is; run `make matrix`")
    write_atomic(PAGE, matrix_page.page(there).encode())
    print(f"matrix: docs/matrix.md is made; not run: {len({*CELLS, UNPROTECTED}) - len(there)} of {len(CELLS) + 1} cells")
    return 0


def run(names: set[str], hosts: int, short: bool) -> int:
    """Run the cells of these names; the page is made when each cell has a result."""
    everything = [*CELLS, UNPROTECTED]
    rows = run_cells([cell for cell in everything if cell.name in names], hosts)
    there = known()
    if short:
        print("matrix: docs/matrix.md is made by a run of all")
    elif left := [cell.name for cell in everything if cell.name not in there]:
        print(f"matrix: docs/matrix.md is left as it is; of these programs there is no result yet of: {' '.join(left)}")
    else:
        write_atomic(PAGE, matrix_page.page(there).encode())
    if not names:
        print("matrix: each cell has a result of these programs, and none is left to run")
        return 0
    counts = judged(rows)
    print(f"matrix: {counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
    return 1 if counts["failed"] or not counts["passed"] else 0


def main() -> int:
    """Run the cells that are named, or all."""
    names = [cell.name for cell in [*CELLS, UNPROTECTED]]
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help=f"these alone: {' '.join(SHORT)}")
    parser.add_argument("--self-test", action="store_true", help="plant failures, boot nothing")
    parser.add_argument("--rest", action="store_true", help="those that have no result yet")
    parser.add_argument("--page", action="store_true", help="run nothing, make the page of the results that there are")
    parser.add_argument("--hosts", type=int, default=os.cpu_count(), help="emulated hosts side by side")
    parser.add_argument("cells", nargs="*", metavar="CELL", help=" ".join(names))
    options = parser.parse_args()
    if unknown := set(options.cells) - set(names):
        parser.error(f"no such cell: {' '.join(sorted(unknown))}; these are: {' '.join(names)}")
    if sum(map(bool, (options.short, options.self_test, options.rest, options.page, options.cells))) > 1:
        parser.error("one of --short, --self-test, --rest, --page and names of cells")
    try:
        if options.self_test:
            return self_test()
        host.built()
        if options.page:
            return make_page()
        wanted = set(SHORT) if options.short else set(names) - set(known()) if options.rest else set(options.cells or names)
        if wanted == set(names) and not options.rest:
            results_file().unlink(missing_ok=True)
        return run(wanted, options.hosts, options.short)
    except LabError as error:
        print(f"matrix: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
