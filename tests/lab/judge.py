# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a cell of the matrix must show, asked of what its two guests left; and failures planted in that, each to be found."""
import json
import re
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Callable

import runner
import trial
from cells import ATTACKS, Cell, wanted_of_guest, wanted_of_host
from trial import WRONG, Failed, Outcome, Record, check

Aspect = Callable[[Outcome, Cell], None]


def _attack_records(o: Outcome) -> list[Record]:
    """Of the two attacks, and no other store."""
    return [r for r in o.decisions(kind="write", verdict="blocked") if r["target"].get("symbol") in ATTACKS.values()]


def _plain(pattern: str) -> str:
    """A regular expression for people."""
    return pattern.replace("\\b", "").replace("(?!", "(not ").replace("\\", "").strip("^$ ")


def declared(o: Outcome, cell: Cell) -> None:
    """Both guests and the host are what the row says."""
    for wanted in wanted_of_host(cell):
        check(re.search(wanted, o._text("host"), re.M), f"the host does not say {_plain(wanted)}")
    for which, text in (("unprotected", o._text("control")), ("protected", o.console)):
        for wanted in wanted_of_guest(cell):
            check(re.search(wanted, text), f"the {which} guest does not say {_plain(wanted)}")


def control(o: Outcome, cell: Cell) -> None:
    """Unprotected, both attacks land and the tracers work."""
    text = o._text("control")
    for name in ATTACKS:
        check(f"attack {name} result=landed" in text, f"{name} did not land in the unprotected guest")
    for step in cell.steps():
        check(f"trace {step} result=ok" in text, f"{step} did not work in the unprotected guest")
    check("RF: done mode=cell status=0" in text, "the unprotected guest did not run to its end")


def sealed(o: Outcome, _: Cell) -> None:
    """Sealed once, before user mode, as the guest's page tables have it."""
    trial.sealed(o)


def blocked(o: Outcome, _: Cell) -> None:
    """No attack landed, and each has one record."""
    for name, symbol in ATTACKS.items():
        check(o.said(f"attack {name} result=faulted") == 1, f"{name} was not refused")
        found = [r for r in _attack_records(o) if r["target"]["symbol"] == symbol]
        check(len(found) == 1, f"{len(found)} records of {name}")
    check(not o.said("result=landed"), "an attack landed")


def quiet(o: Outcome, cell: Cell) -> None:
    """Tracers went on and off and did their work, the guest came to its end, beside the attacks nothing is on record, and nothing
    of ours was lost on the way.
    """
    for step in cell.steps():
        check(o.said(f"trace {step} result=ok") == 1, f"{step} did not work")
    check(o.said("RF: done mode=cell status=0") == 1, "the guest did not run to its end")
    trial.each_event_once(o)
    rest = Outcome(o.result)
    known = _attack_records(o)
    rest.records = [r for r in o.records if r not in known]
    trial.quiet(rest)


ASPECTS: dict[str, Aspect] = {"as declared": declared, "control landed": control, "sealed": sealed, "blocked, recorded": blocked,
                              "tracers quiet": quiet}


# Of a guest that nothing protects.
UNSEALED = {"sealed", "blocked, recorded"}


def judge(o: Outcome, cell: Cell) -> dict[str, str]:
    """Each aspect, with "" where it holds and else what does not."""
    found = {}
    for name, aspect in ASPECTS.items():
        found[name] = o.result.note
        try:
            if not o.result.note:
                aspect(o, cell)
        except WRONG as error:
            found[name] = str(error) if isinstance(error, Failed) else repr(error)
    return found


def summary(aspects: dict[str, str]) -> str:
    """What does not hold, in one line; "" where all does."""
    wrong = {name: text for name, text in aspects.items() if text}
    if len(wrong) == len(ASPECTS) and len(set(wrong.values())) == 1:
        return next(iter(wrong.values()))
    return "; ".join(f"{name}: {text}" for name, text in wrong.items())


def last_words(o: Outcome) -> str:
    """Of a guest that ended early: what ringfence said last, if it was more than that all is well, else the guest's own last
    line.
    """
    if o.said("RF: done"):
        return ""
    well = ("under protection", "waiting for the VMM", "is sealed")
    said = [line for line in o._text("said").splitlines() if not any(word in line for word in well)]
    lines = said or [line for line in o._text("console").splitlines() if line.strip()]
    return lines[-1].strip() if lines else "it said nothing"


Plant = Callable[[runner.Result], object]


def _edit(name: str, change: Callable[[str], str]) -> Plant:
    def plant_it(r: runner.Result) -> None:
        path = r.out / name
        path.write_text(change(path.read_text(errors="replace") if path.exists() else ""))
    return plant_it


def _says(name: str, line: str) -> Plant:
    return _edit(name, lambda text: text + line + "\n")


def _ends(status: int) -> Plant:
    return lambda r: setattr(r, "status", status)


def _unprotected(r: runner.Result) -> None:
    shutil.copy(r.out / "control", r.out / "console")
    for name in ("audit.jsonl", "said"):
        (r.out / name).write_text("")


def _without(word: str) -> Callable[[str], str]:
    return lambda text: "".join(line for line in text.splitlines(True) if word not in line)


def _one_more_alert(text: str) -> str:
    line = next(line for line in text.splitlines() if '"sys_call_table"' in line and '"blocked"' in line)
    record = json.loads(line)
    record["event"], record["target"]["symbol"] = -1, "vfs_read"
    return text + json.dumps(record) + "\n"


def _took_over(text: str) -> str:
    """Each seal once more, as another monitor writes it."""
    seals = [line for line in text.splitlines() if '"kind":"seal"' in line]
    return text + "".join(re.sub('"outcome":"[^"]*"', '"outcome":"still sealed; this monitor took over"', line) + "\n"
                          for line in seals)


# What is done to the artefacts of a cell that holds, and which aspects must then say so.
PLANTED: dict[str, tuple[Plant, set[str]]] = {
    "the guest was not protected": (_unprotected, UNSEALED),
    "the control was protected too": (lambda r: shutil.copy(r.out / "console", r.out / "control"), {"control landed"}),
    "text was never sealed": (_edit("audit.jsonl", _without('"kind":"seal","region":"text"')), {"sealed"}),
    "an attack is not on record": (_edit("audit.jsonl", _without('"symbol":"commit_creds"')), {"blocked, recorded"}),
    "an attack landed all the same": (
        _edit("console", lambda t: t.replace("direct_map result=faulted", "direct_map result=landed")), {"blocked, recorded"}),
    "one alert more": (_edit("audit.jsonl", _one_more_alert), {"tracers quiet"}),
    "a tracer saw nothing": (
        _edit("console", lambda t: t.replace("trace functions result=ok", "trace functions result=failed")), {"tracers quiet"}),
    "the guest ended early": (_edit("console", _without("RF: done")), {"tracers quiet"}),
    "ringfence run crashed": (_ends(139), {"tracers quiet"}),
    "the monitor crashed": (
        _says("said", "ringfence: x: the monitor was killed by signal 11 (Segmentation fault); nothing is unlocked, another one "
              "is started"), {"tracers quiet"}),
    "the sweeper crashed": (
        _says("said", "ringfence: x: the sweeper was killed by signal 11 (Segmentation fault); another one is started"),
        {"tracers quiet"}),
    "another monitor took over": (_edit("audit.jsonl", _took_over), {"tracers quiet"}),
    "another sweeper came": (
        _says("audit.jsonl", '{"type":"decision","kind":"sweeper","outcome":"started again","detail":"number 2"}'),
        {"tracers quiet"}),
    "a line of the record is torn": (_edit("audit.jsonl", lambda t: t[:-20]), {"sealed", "blocked, recorded", "tracers quiet"}),
    "it was another kernel": (_edit("console", lambda t: t.replace("init kernel=", "init kernel=x")), {"as declared"}),
    "it was another VMM": (_edit("host", _without("vmm ")), {"as declared"})}


# What is done to the artefacts of a test of the suite that holds, and whether it then holds; KILL is what a test may do itself.
KILL = "the monitor was killed"
PLANTED_IN_TESTS: dict[str, tuple[Plant, bool]] = {
    "nothing": (lambda _: None, True),
    KILL: (
        _says("said", "ringfence: x: the monitor was killed by signal 9 (Killed); nothing is unlocked, another one is started"),
        False),
    "the monitor crashed": (PLANTED["the monitor crashed"][0], False),
    "ringfence run crashed behind a guest": (_says("ended", "x: ended with status 139"), False),
    "ringfence run crashed at its end": (_ends(139), False),
    "the guest ended early": (_edit("console", lambda t: t.replace("RF: done", "RF: d", 1)), False),
    "a line of the record is torn": (_edit("audit.jsonl", lambda t: t[:-20]), False)}


def plant(o: Outcome, cell: Cell) -> dict[str, tuple[str, str]]:
    """Each planted failure: what was said of it, and "" where that is as it must be."""
    rows = {}
    for name, (alter, wanted) in PLANTED.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "out"
            shutil.copytree(o.result.out, folder)
            result = replace(o.result, out=folder)
            alter(result)
            aspects = judge(Outcome(result), cell)
        found = {aspect for aspect, text in aspects.items() if text}
        rows[name] = (summary(aspects), "" if found == wanted else f"{found} found, and not {wanted}")
    return rows
