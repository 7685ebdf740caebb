# SPDX-License-Identifier: LGPL-2.1-or-later
"""Part of oracle.py: what the commands of `ringfence` that look at a dump say, against what the guest said of itself.

A guest that nobody attacked is clean by every check; one system call that leads elsewhere, written into the dump, is
found. Of the same moment drgn reads the same tasks and modules (drgn_walk.py).
"""
import json
import re
import subprocess
from pathlib import Path

import posture
from build import LabError

# Debian's interpreter: python3-drgn is built for that one.
DRGN = ["/usr/bin/python3", Path(__file__).with_name("drgn_walk.py")]
NOWHERE = 0xffffffffff5ff000  # the kernel's half, and nobody's


def drgn(home: Path, core: Path, rounds: int) -> dict:
    """What drgn says of that core, with the types and symbols that the guest had for itself; and how long its walks took."""
    done = subprocess.run([*DRGN, core, home / "btf.json", home / "symbols", str(rounds)], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=300)
    if done.returncode:
        raise LabError(f"drgn: {done.stderr.strip()[-500:]}")
    return json.loads(done.stdout)


class Looks:
    def __init__(self, program: Path, home: Path) -> None:
        self._program, self._home, self._wrong = program, home, 0

    def differs(self, what: str, *values: object) -> None:
        self._wrong += 1
        print(f"  differs (ringfence {what}):", *values)

    def same(self, what: str, ours: set, theirs: set) -> None:
        print(f"ringfence {what}: {len(theirs)} compared")
        if not theirs:
            self.differs(what, "the guest has said nothing")
        for each in sorted(ours ^ theirs)[:20]:
            self.differs(what, "the command's" if each in ours else "the guest's", each)

    def run(self, name: str, *operands: str, code: int = 0) -> str:
        done = subprocess.run([self._program, name, *operands[:1], self._home / "dump", *operands[1:]], timeout=120,
                              text=True, stdout=subprocess.PIPE)
        if done.returncode != code:
            self.differs(name, f"exit code {done.returncode}, not {code}")
        return done.stdout

    def answer(self, name: str, *operands: str, code: int = 0) -> dict:
        return json.loads(self.run(name, "--json", *operands, code=code))

    def check(self, found: int) -> dict:
        o = self.answer("check", code=1 if found else 0)
        print(f"ringfence check: {len(o['checks'])} checks, {o['clean']} clean, {o['found']} found")
        for each in o["checks"]:
            if each["state"] not in ("clean", "found"):
                self.differs("check", each["check"], each["state"], each["why"])
        for each in o["findings"] if not found else []:
            self.differs("check", json.dumps(each))
        if o["found"] != found or len(o["checks"]) < 30:
            self.differs("check", f"{o['found']} found, not {found}")
        return o

    def modules(self, console: str) -> None:
        said = re.findall(r"^(\S+) (\d+) \d+ \S+ Live (0x[0-9a-f]+)", console, re.M)
        self.same("modules", {(m["name"], str(m["size"]), m["address"]) for m in self.answer("modules")["modules"]},
                  set(said))

    def tasks(self, console: str) -> None:
        """Workers of the kernel's come and go; and /proc has more of a thread's name than fits in its task."""
        said = {int(pid): (ppid, uid, euid, name)
                for pid, ppid, uid, euid, name in re.findall(r"^TASK (\d+) (\d+) (\d+) (\d+) (\S+)", console, re.M)}
        ours = {t["pid"]: (str(t["ppid"]), str(t["uid"]), str(t["euid"]), t["comm"])
                for t in self.answer("ps")["tasks"]}
        kept = {pid for table in (said, ours) for pid, task in table.items() if not task[3].startswith("kworker/")}
        kept |= said.keys() & ours.keys()
        cut = {pid: (*said[pid][:3], said[pid][3][:len(ours[pid][3])]) for pid in said.keys() & ours.keys()}
        self.same("ps", {(pid, *ours[pid]) for pid in kept & ours.keys()},
                  {(pid, *cut.get(pid, said[pid])) for pid in kept & said.keys()})

    def symbols(self) -> None:
        ours = self.run("symbols", "--raw").splitlines()
        theirs = (self._home / "symbols").read_text().splitlines()
        self.same("symbols", set(ours), set(theirs))
        if ours != theirs:
            self.differs("symbols", "another order")

    def bytes_at(self, symbol: str, count: int) -> bytes:
        at = int(self.answer("pagetable", symbol)["gpa"], 16)
        with (self._home / "dump").open("rb") as dump:
            dump.seek(at)
            return dump.read(count)

    def code_and_structs(self) -> None:
        code = bytes.fromhex("".join(line["bytes"] for line in self.answer("disas", "vfs_read", "40")["code"]))
        if code != self.bytes_at("vfs_read", len(code)) or len(code) < 80:
            self.differs("disas", code.hex())
        if self.answer("disas", "vfs_read+16", "1") != self.answer("disas", "vfs_read+0x10", "1"):
            self.differs("disas", "16 is not 0x10")
        [comm] = self.answer("print", "struct task_struct", "init_task", "comm")["members"]
        if comm["value"] != '"swapper/0"' and comm["value"] != '"swapper"':
            self.differs("print", comm)

    def drgn(self) -> None:
        """Of one moment, so that each task is the same: where it lies, too."""
        theirs = drgn(self._home, self._home / "dump.elf", 1)
        for name, rows in (("ps", "tasks"), ("modules", "modules")):
            keys = sorted(theirs[rows][0]) if theirs[rows] else []
            self.same(f"{name}, by drgn", *({tuple(str(row[key]) for key in keys) for row in said[rows]}
                                            for said in (self.answer(name), theirs)))

    def planted(self) -> None:
        """The control: what is not found is not there."""
        at = int(self.answer("pagetable", "sys_call_table")["gpa"], 16)
        with (self._home / "dump").open("r+b") as dump:
            dump.seek(at)
            was = dump.read(8)
            dump.seek(at)
            dump.write(NOWHERE.to_bytes(8, "little"))
        for each in self.check(1)["findings"]:
            if (each["check"], each["target"], each["owner"]) != ("syscalls", f"{NOWHERE:#x}", "nobody"):
                self.differs("check", json.dumps(each))
        with (self._home / "dump").open("r+b") as dump:
            dump.seek(at)
            dump.write(was)

    def protections(self, truth: posture.Truth) -> None:
        """Each row of both forms: without registers, and with."""
        for dump in self._home / "dump", self._home / "dump.elf":
            said = subprocess.run([self._program, "check", "posture", "--json", dump], timeout=120, stdout=subprocess.PIPE)
            rows = json.loads(said.stdout)["rows"] if not said.returncode else []
            wrong = truth.wrong(rows, registers=dump.suffix == ".elf")
            print(f"ringfence check posture: {len(rows)} rows compared")
            for each in wrong:
                self.differs("check posture", each)
        same = subprocess.run([self._program, "check", "posture", self._home / "dump", "--diff", self._home / "dump"],
                              timeout=120, stdout=subprocess.DEVNULL)
        if same.returncode:
            self.differs("check posture --diff", f"exit code {same.returncode} of the same dump twice")

    def all(self, truth: posture.Truth) -> bool:
        console = (self._home / "console").read_text(errors="replace")
        self.check(0)
        self.modules(console)
        self.tasks(console)
        self.symbols()
        self.code_and_structs()
        self.protections(truth)
        self.drgn()
        self.planted()
        return not self._wrong


def look(program: Path, home: Path, truth: posture.Truth) -> bool:
    return Looks(program, home).all(truth)
