# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of mutants, one file a folder of the source: tests/mutants/*.txt.

    mutant NAME FILE [NTH]          a name of its own; where the text occurs more than once: which one, from 1
    - text                          lines as they stand in FILE; the blanks in front of the first may be left out
    + text                          what stands there instead; none: nothing
    by TEST...                      which native tests should see it, tried first: test_x, kvm:SCENARIO, cli-test
    sanitised                       only a sanitizer sees it
    equivalent: WHY                 nothing can see it
    lab-only: TEST, WHY             a stock guest sees it
"""
import dataclasses
from pathlib import Path


@dataclasses.dataclass
class Mutant:
    """One change to one file. `why` is what excuses a survivor, `excuse` its kind: equivalent, lab-only, or none."""

    name: str
    file: str
    nth: int = 0
    old: str = ""
    new: str = ""
    by: list[str] = dataclasses.field(default_factory=list)
    sanitised: bool = False
    excuse: str = ""
    why: str = ""

    @property
    def folder(self) -> str:
        """The layer that the file belongs to."""
        return self.file.split("/", 1)[0]

    def apply(self, text: str) -> str | None:
        """The file with the mutation. None: its text is not there, or not said which of several."""
        parts = text.split(self.old) if self.old else [text]
        if len(parts) < 2 or (self.nth or len(parts) - 1) > len(parts) - 1 or (not self.nth and len(parts) != 2):
            return None
        nth = self.nth or 1
        return self.old.join(parts[:nth]) + self.new + self.old.join(parts[nth:])


class Wrong(Exception):
    """A table that says nothing sensible; with its place."""


def parse(name: str, text: str) -> list[Mutant]:
    """The mutants of one table."""
    found: list[Mutant] = []
    old: list[str] = []
    new: list[str] = []
    for number, line in enumerate([*text.splitlines(), ""], 1):
        word, _, rest = line.partition(" ")
        if line.startswith("#"):
            continue
        if word == "mutant":
            words = rest.split()
            if len(words) not in (2, 3) or not all(word.isdigit() for word in words[2:]):
                raise Wrong(f"{name}:{number}: not \"mutant NAME FILE [NTH]\"")
            found.append(Mutant(words[0], words[1], int(words[2]) if len(words) == 3 else 0))
            old, new = [], []
        elif not line:
            continue
        elif not found:
            raise Wrong(f"{name}:{number}: no mutant before it")
        elif word == "-":
            old.append(rest)
        elif word == "+":
            new.append(rest)
        elif word == "by":
            found[-1].by = rest.split()
        elif word == "sanitised":
            found[-1].sanitised = True
        elif word in ("equivalent:", "lab-only:") and rest:
            found[-1].excuse, found[-1].why = word[:-1], rest
        else:
            raise Wrong(f"{name}:{number}: {word} is no word of a table")
        found[-1].old, found[-1].new = "\n".join(old), "\n".join(new)
    for mutant in found:
        if not mutant.old or mutant.old == mutant.new:
            raise Wrong(f"{name}: {mutant.name} changes nothing")
    return found


def load(folder: Path) -> list[Mutant]:
    """All tables. A name stands once."""
    mutants = [mutant for path in sorted(folder.glob("*.txt")) for mutant in parse(path.name, path.read_text())]
    names = [mutant.name for mutant in mutants]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Wrong(f"two mutants of one name: {', '.join(twice)}")
    return mutants
