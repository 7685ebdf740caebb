# SPDX-License-Identifier: LGPL-2.1-or-later
"""Made-up artefacts of a cell that holds: what the matrix's judgement is tested with where nothing is booted."""
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


def _records() -> list[dict[str, object]]:
    """What is on record of the protected one."""
    seals = [{"kind": "seal", "region": region, "outcome": "sealed before the first user instruction", "verdict": "allowed",
              "size": 2 << 20, "sha256": "0" * 64} for region in ("text", "rodata", "idt")]
    stores = [{"kind": "write", "verdict": "blocked", "event": number, "target": {"symbol": symbol}}
              for number, symbol in enumerate(ATTACKS.values())]
    return [{"type": "decision", **record} for record in seals + stores]


def make(folder: Path, cell: Cell) -> Path:
    """Write them all into a folder."""
    folder.mkdir(parents=True)
    version = f"vmm QEMU emulator version {cell.vmm.split()[-1]}.0"
    (folder / "host").write_text(f"{kernels.get(cell.host).release}\n{version}\nyama=0\n")
    (folder / "control").write_text(_guest(cell, "landed"))
    (folder / "console").write_text(_guest(cell, "faulted"))
    (folder / "said").write_text("")
    (folder / "audit.jsonl").write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in _records()))
    return folder
