# SPDX-License-Identifier: LGPL-2.1-or-later
"""docs/matrix.md, made of the results: every cell, every failure with its message, every skip with its reason. No dates and no
addresses, so that the same results make the same page.
"""
import re
import textwrap
from typing import Any, Iterable

from cells import BASE, CELLS, UNPROTECTED, Cell
from judge import ASPECTS, summary

Row = dict[str, Any]
WIDTH = 100
HEAD = """# The matrix

Made by `make matrix` ([testing.md](testing.md) says how to run it and how to add a cell), and not
edited by hand. A cell is a host, a guest, a VMM and their settings. `{base}` is the one that all
others differ from, most of them in one value. In each the same guest boots twice in the lab's
emulated host, first unprotected, then under `ringfence run`. Both switch tracers and probes on, see
them at work, and switch them off, then a module stores into the system call table and into the text
of `commit_creds()`. The columns:

- as declared: host, VMM and both guests say of themselves what the row says;
- control landed: unprotected, both stores land and the tracers work;
- sealed: text, rodata and the IDT, once each, before the first user instruction;
- blocked, recorded: protected, neither store lands, and each is on record;
- tracers quiet: the tracers work all the same, the guest comes to its end, and no other alert is on
  record.
"""


def _steady(text: str) -> str:
    """Without what differs from run to run."""
    text = re.sub(r"\b0x[0-9a-f]+", "0x..", " ".join(text.split()))
    return re.sub(r"\b(VMM|pid|process) \d+", r"\1 N", text).replace("|", "/")


def _item(text: str) -> str:
    return textwrap.fill(f"- {text}", WIDTH, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    names = list(head)
    return [f"| {' | '.join(cells)} |" for cells in (names, ["---"] * len(names), *rows)]


def _else(cell: Cell) -> str:
    """What is said in no column of its own."""
    memory = "" if cell.memory == BASE.memory else f"memory: {cell.memory}"
    host = "" if cell.setting == BASE.setting else f"host: {cell.setting}"
    words = [f"`{text}`" for text in (cell.cmdline, cell.options) if text]
    return ", ".join([*words, *(text for text in (memory, host) if text)])


def _cell_row(cell: Cell, row: Row) -> list[str]:
    values = [f"`{cell.name}`", cell.host, cell.guest, cell.vmm, cell.machine, str(cell.vcpus), _else(cell)]
    if "aspects" not in row:
        return [*values, *(["" for _ in ASPECTS]), "skipped" if "skipped" in row else "not run"]
    wrong = [name for name, text in row["aspects"].items() if text]
    return [*values, *("no" if name in wrong else "yes" for name in ASPECTS), "**fails**" if wrong else "holds"]


def _seen(rows: dict[str, Row]) -> list[list[str]]:
    """Which versions there were, by the names that the columns have."""
    found: dict[tuple[str, str], set[str]] = {}
    for row in rows.values():
        for kind, version in row.get("versions", {}).items():
            found.setdefault((kind, row["cell"][kind]), set()).add(version)
    # "not known": the host never came so far as to say it.
    return [[{"vmm": "VMM"}.get(kind, f"{kind} kernel"), name, ", ".join(sorted(v for v in seen if v)) or "not known"]
            for (kind, name), seen in sorted(found.items())]


def page(rows: dict[str, Row]) -> str:
    """The whole page; there is a line of each cell, also of one that has no result."""
    cells = {cell: rows.get(cell.name, {}) for cell in CELLS}
    skipped = {cell: row["skipped"] for cell, row in cells.items() if "skipped" in row}
    not_run = sum(not row for row in cells.values())
    failing = {cell: row for cell, row in cells.items() if any(row.get("aspects", {}).values())}
    holds = len(cells) - len(failing) - len(skipped) - not_run
    lines = [HEAD.format(base=BASE.name), f"{len(cells)} cells: {holds} hold, {len(failing)} fail, {len(skipped)} are skipped, "
             f"{not_run} were not run.", "",
             *_table(["cell", "host", "guest", "VMM", "machine", "vCPUs", "what else", *ASPECTS, "result"],
                     (_cell_row(cell, row) for cell, row in cells.items()))]
    lines += ["", "## What fails", ""] + (["Nothing."] if not failing else [])
    for cell, row in failing.items():
        words = f" Last words: `{_steady(row['words'])}`." if row["words"] else ""
        lines.append(_item(f"`{cell.name}`: {_steady(summary(row['aspects']))}.{words}"))
    lines += ["", "## What is skipped", ""] + (["Nothing."] if not skipped else [])
    lines += [_item(f"`{cell.name}`: {_steady(why)}.") for cell, why in skipped.items()]
    lines += ["", "## What it would find", "",
              textwrap.fill("Each line is a failure planted in what the base cell left behind, and what was said of it. The last "
                            "one is a guest that was booted with no protection.", WIDTH), "",
              *_table(["planted", "found"], ([name, _steady(said) + (f" **not as it must be: {wrong}**" if wrong else "")]
                                             for name, (said, wrong) in rows.get(BASE.name, {}).get("planted", {}).items()))]
    unprotected = rows.get(UNPROTECTED.name, {"skipped": "not run"})
    said = _steady(summary(unprotected.get("aspects", {})))
    lines += _table([f"`{UNPROTECTED.name}`", said or unprotected.get("skipped", "**nothing**")], [])[:1]
    lines += ["", "## Versions seen", "", *_table(["what", "name above", "version"], _seen(rows)), ""]
    return "\n".join(lines)


def cells_on(text: str) -> set[str]:
    """The cells that have a row on the page's first table."""
    return set(re.findall(r"^\| `([^`]+)` \|", text.split("## What fails")[0], re.M))
