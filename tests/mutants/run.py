#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""make mutants: does some native test notice, if a check of the product is not there?

Each mutant of the tables (table.py) is put into a copy of the tree, what contains its file is built again, and the tests that
contain it run until one fails. MUTANTS="NAME..." and FOLDERS="hv patch..." pick some. The last line is "mutants: N killed, N
survived, ..."; O/mutants.json has all of it. It fails when less than nine of ten are killed, when one survives that the tables do
not excuse, when an excuse is wrong, or when a mutant's text is not there. --named is a quick look: of the tests only those that
the tables name. --self-test tests the counting.
"""
import argparse
import collections
import contextlib
import dataclasses
import io
import json
import os
import sys
import time
from pathlib import Path

import table
import tree
from table import Mutant
from tree import Tree

LEAST_KILLED = 0.9
LEAST_SECONDS = 20.0  # that a test may take before it hangs; more where it takes long by itself
WRONG = ["text not found", "does not compile", "wrongly excused"]


@dataclasses.dataclass
class Result:
    """killed, survived, equivalent, lab-only, skipped, or one of WRONG; what killed it, or why it is so."""

    mutant: Mutant
    what: str
    by: str = ""
    seconds: float = 0.0


def tests_of(mutant: Mutant, where: Tree, only_named: bool) -> list[str]:
    """Those named first."""
    others = [test for test in where.containing(mutant.file) if test not in mutant.by]
    return mutant.by + ([] if only_named and mutant.by else others)


def has_kvm() -> bool:
    """Whether the fence's micro-guests can run here."""
    return os.access("/dev/kvm", os.R_OK | os.W_OK)


def first_to_fail(mutant: Mutant, changed: str, tests: list[str], where: Tree) -> tuple[str, str]:
    """The test, and what of it; changed is the file with the mutation. Where none fails: ("", ""), or what make said."""
    groups = [[test] for test in tests[:1]] + [tests[1:]] if tests[1:] else [tests]
    for group in groups:
        where.prepare(group)
        with where.changed(mutant.file, changed):
            said = where.build(group)
            if said:
                return "", said
            for test in group:
                outcome = where.try_test(test)
                if outcome.failed:
                    return test, outcome.how
    return "", ""


def judge(mutant: Mutant, where: Tree, only_named: bool = False) -> Result:
    """Build it, run its tests, put the file back."""
    path = where.folder / mutant.file
    changed = mutant.apply(path.read_text() if path.exists() else "")
    if changed is None:
        return Result(mutant, "text not found")
    tests = [test for test in tests_of(mutant, where, only_named) if has_kvm() or not test.startswith(tree.KVM)]
    if not tests:
        return Result(mutant, mutant.excuse or ("skipped" if mutant.by else "survived"), mutant.why or "no test contains it")
    killer, said = first_to_fail(mutant, changed, tests, where)
    if killer:
        return Result(mutant, "wrongly excused" if mutant.excuse else "killed", f"{killer} ({said})")
    if said:
        return Result(mutant, "does not compile", said)
    return Result(mutant, mutant.excuse or "survived", mutant.why)


def judge_all(mutants: list[Mutant], source: Path, folder: Path, least: float = LEAST_SECONDS,
              only_named: bool = False) -> list[Result]:
    """One after the other, each as it is done on a line. One copy for the plain ones, one for those that need a sanitizer."""
    results = []
    for sanitised in (False, True):
        chosen = [mutant for mutant in mutants if mutant.sanitised == sanitised]
        if not chosen:
            continue
        where = Tree(source, folder / ("sanitised" if sanitised else "plain"), tree.SANITISED if sanitised else tree.PLAIN)
        where.least = least
        print(f"mutants: {len(chosen)} in {where.folder}", flush=True)
        for mutant in chosen:
            began = time.monotonic()
            result = judge(mutant, where, only_named)
            result.seconds = time.monotonic() - began
            results.append(result)
            by = result.by.strip().splitlines() or [""]
            print(f"{mutant.folder:13} {mutant.name:40} {result.what:16} {by[-1]} {result.seconds:.1f} s", flush=True)
    return results


def summary(results: list[Result]) -> int:
    """By folder; what is wrong; the closing line. The exit status."""
    kinds = ["killed", "survived", "equivalent", "lab-only", "skipped", *WRONG]
    counted = collections.Counter((result.mutant.folder, result.what) for result in results)
    print(f"{'folder':13}", *(f"{kind:>15}" for kind in kinds))
    for name in sorted({result.mutant.folder for result in results}):
        print(f"{name:13}", *(f"{counted[name, kind]:15}" for kind in kinds))
    for result in results:
        if result.what not in ("killed", "equivalent"):
            print(f"{result.what}: {result.mutant.name} in {result.mutant.file}: {result.by}".strip().removesuffix(":"))
    total = collections.Counter(result.what for result in results)
    wrong = sum(total[kind] for kind in WRONG)
    judged = len(results) - total["skipped"]
    print(f"mutants: {total['killed']} killed, {total['survived']} survived, {total['equivalent']} equivalent, "
          f"{total['lab-only']} lab-only, {total['skipped']} skipped, {wrong} wrong")
    return 1 if total["survived"] or wrong or not judged or total["killed"] < LEAST_KILLED * judged else 0


def self_test(source: Path, folder: Path) -> int:
    """One of each kind, planted in hv/arm64/decode.c; how they are told apart and what the run then says. And whether the tables
    fit the source.
    """
    planted = {"killed": "killed", "hang": "killed", "survivor": "survived", "excused": "equivalent", "not-there": "text not found",
               "ambiguous": "text not found", "no-c": "does not compile", "no-excuse": "wrongly excused"}
    mutants = table.parse("planted", (source / "tests/mutants/planted.tbl").read_text())
    assert {mutant.name for mutant in mutants} == set(planted)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        results = {result.mutant.name: result for result in judge_all(mutants, source, folder, 2.0)}
        statuses = {name: summary([result]) for name, result in results.items()}
        # Nine killed and one excused pass; eight and two do not.
        statuses["nine"] = summary([results["killed"]] * 9 + [results["excused"]])
        statuses["eight"] = summary([results["killed"]] * 8 + [results["excused"]] * 2)
    failed, stale, unknown = 0, list[str](), list[str]()
    for name, what in planted.items():
        wanted = 0 if what == "killed" else 1
        if results[name].what != what or statuses[name] != wanted or (name == "hang" and "hangs" not in results[name].by):
            failed += 1
            print(f"mutants-test {name} FAILED: {results[name].what} {results[name].by}, status {statuses[name]}")
    for name, wanted in (("nine", 0), ("eight", 1)):
        if statuses[name] != wanted:
            failed += 1
            print(f"mutants-test {name} FAILED: status {statuses[name]}")
    known = Tree(source, folder / "plain", tree.PLAIN).tests()
    for mutant in table.load(Path(__file__).parent):
        if mutant.apply((source / mutant.file).read_text()) is None:
            stale.append(f"{mutant.name} in {mutant.file}")
        unknown += [f"{test} of {mutant.name}" for test in mutant.by if test not in known]
    if unknown:
        failed += 1
        print(f"mutants-test FAILED: no such test: {', '.join(unknown)}")
    if stale:
        failed += 1
        print(f"mutants-test FAILED: text that is not there any more: {', '.join(stale)}")
    if (folder / "plain/hv/arm64/decode.c").read_text() != (source / "hv/arm64/decode.c").read_text():
        failed += 1
        print("mutants-test FAILED: the file was not put back")
    if failed:
        print(printed.getvalue())
    print(f"mutants-test: {len(planted) + 5 - failed} passed, {failed} failed")
    return 1 if failed else 0


def main() -> int:
    """The whole run, or the self-test."""
    parser = argparse.ArgumentParser()
    parser.add_argument("build", type=Path)
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--named", action="store_true")
    parser.add_argument("--mutants", default="")
    parser.add_argument("--folders", default="")
    asked = parser.parse_args()
    source = Path(__file__).resolve().parents[2]
    if asked.self_test:
        return self_test(source, asked.build / "mutants-test")
    try:
        mutants = table.load(Path(__file__).parent)
        names, folders = asked.mutants.split(), asked.folders.split()
        unknown = set(names) - {mutant.name for mutant in mutants} | set(folders) - {mutant.folder for mutant in mutants}
        if unknown:
            raise table.Wrong(f"no such mutant or folder: {', '.join(sorted(unknown))}")
        mutants = [m for m in mutants if (not names or m.name in names) and (not folders or m.folder in folders)]
        results = judge_all(mutants, source, asked.build / "mutants", only_named=asked.named)
    except table.Wrong as wrong:
        print(f"mutants: {wrong}")
        return 1
    rows = [{**dataclasses.asdict(r.mutant), "result": r.what, "killed_by": r.by, "seconds": round(r.seconds, 1)} for r in results]
    (asked.build / "mutants.json").write_text(json.dumps(rows, indent=1) + "\n")
    return summary(results)


if __name__ == "__main__":
    sys.exit(main())
