# SPDX-License-Identifier: LGPL-2.1-or-later
"""Made-up artefacts of a cell and of tests that hold: what their judgement is tested with where nothing is booted."""
import json
from pathlib import Path

import kernels
from cells import ATTACKS, Cell

FACTS = "RF: cell pti=0 nodes=1 text=ffffffff9a000000 tracer=nop probes=0 efi=0 machine=none spectre_v2=x retbleed=x\n"


def _guest(cell: Cell, result: str) -> str:
    """What a guest says."""
    return "".join([
        f"RF: init kernel={kernels.get(cell.guest).release} cpus={cell.vcpus} mode=cell uptime=1\n", FACTS,
        *(f"RF: trace {step} result=ok\n" for step in cell.steps()),
        *(f"RF: attack {name} result={result} target=x\n" for name in ATTACKS), "RF: done mode=cell status=0\n"])


Records = list[dict[str, object]]
FIRST, ANEW = "sealed before the first user instruction", "sealed after a reset, as a kernel that was booted anew"


def _seals(outcome: str) -> Records:
    """What each sealed kernel has on record."""
    return [{"kind": "seal", "region": region, "outcome": outcome, "verdict": "allowed", "size": 2 << 20, "sha256": "0" * 64}
            for region in ("text", "rodata", "idt")]


def _records() -> Records:
    """What is on record of the protected one."""
    stores: Records = [{"kind": "write", "verdict": "blocked", "event": number, "target": {"symbol": symbol}}
              for number, symbol in enumerate(ATTACKS.values())]
    return _seals(FIRST) + stores


def _write(path: Path, records: Records) -> None:
    path.write_text("".join(json.dumps({"type": "decision", **r}, separators=(",", ":")) + "\n" for r in records))


def make(folder: Path, cell: Cell) -> Path:
    """Write them all into a folder."""
    folder.mkdir(parents=True)
    version = f"vmm QEMU emulator version {cell.vmm.split()[-1]}.0"
    (folder / "host").write_text(f"{kernels.get(cell.host).release}\n{version}\nyama=0\n")
    (folder / "control").write_text(_guest(cell, "landed"))
    (folder / "console").write_text(_guest(cell, "faulted"))
    (folder / "said").write_text("")
    _write(folder / "audit.jsonl", _records())
    return folder


# Of tests of the suite whose guest attacks and then comes to its end: its mode, how many come there, how many stores of each are
# refused, and what else they say.
TESTS = {"first-act": ("first", 1, 1, ""), "reboot": ("reboot", 1, 2, "RF: boot 1 of 2\nRF: boot 2 of 2\n"),
         "q35": ("attack", 1, 1, ""), "hotplug": ("hotplug", 1, 1, "RF: hotplug cpu2 online\n"),
         "hardened-host": ("attack", 2, 2, "")}


def make_test(folder: Path, name: str) -> Path:
    """What such a test leaves, where it holds."""
    folder.mkdir(parents=True)
    mode, guests, stores, more = TESTS[name]
    (folder / "host").write_text("3\nnone integrity [confidentiality]\n")
    (folder / "control").write_text("RF: attack x result=landed\n" * stores)
    said = "RF: attack x result=faulted\n" * stores + f"RF: done mode={mode} status=0\n"
    (folder / "console").write_text(more + said * guests)
    records = _seals(FIRST) * guests
    records += [{"kind": "reset"}, *_seals(ANEW)] if name == "reboot" else []
    records += [{"kind": "write", "verdict": "blocked", "vcpu": 2, "target": {"symbol": "sys_call_table"}}] * (guests * stores)
    _write(folder / "audit.jsonl", records)
    return folder
