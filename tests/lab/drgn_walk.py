#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What drgn reads of a guest's tasks and modules, in the dump that ringfence reads: JSON.

    drgn_walk.py CORE TYPES SYMBOLS ROUNDS

CORE is an ELF core with the guest's VMCOREINFO. drgn 0.0.22 takes types from DWARF alone, which a stock kernel comes without;
so it is given what the guest's own BTF says, as `bpftool -j btf dump` prints it (TYPES), and the addresses of /proc/kallsyms
(SYMBOLS). Memory, page tables, lists, members and strings are read by drgn's own code. Debian's interpreter runs this:
python3-drgn is built for that one.
"""
import json
import re
import statistics
import sys
import time
from typing import Any, Callable, Optional

import drgn
from drgn.helpers.linux.list import list_for_each_entry

KERNEL_MAP = 0xffffffff80000000  # Documentation/arch/x86/x86_64/mm.rst
PAGE_SIZE = 4096
QUALIFIERS = {"CONST": drgn.Qualifiers.CONST, "VOLATILE": drgn.Qualifiers.VOLATILE, "RESTRICT": drgn.Qualifiers.RESTRICT}
# The objects that walks begin at, and their types.
OBJECTS = {"init_task": "struct task_struct", "modules": "struct list_head"}


class Types:
    """drgn's types out of BTF; those of members are made when they are asked for."""

    def __init__(self, prog: drgn.Program, types: list[dict[str, Any]]) -> None:
        self._prog, self._by_id, self._made = prog, {t["id"]: t for t in types}, {0: prog.void_type()}
        self._named: dict[tuple[str, str], int] = {}
        for t in types:
            self._named.setdefault((t["kind"], t["name"]), t["id"])

    def find(self, kind: drgn.TypeKind, name: str, filename: Optional[str]) -> Optional[drgn.Type]:
        """As Program.add_type_finder() wants it."""
        number = self._named.get((kind.name, name))
        return None if filename or number is None else self._type(number)

    def _type(self, number: int) -> drgn.Type:
        if number not in self._made:
            self._made[number] = self._make(self._by_id[number])
        return self._made[number]

    def _later(self, number: int, bits: int) -> Callable[[], Any]:
        if not bits:
            return lambda: self._type(number)
        return lambda: drgn.Object(self._prog, self._type(number), bit_field_size=bits)

    def _struct(self, t: dict[str, Any]) -> drgn.Type:
        make = self._prog.struct_type if t["kind"] == "STRUCT" else self._prog.union_type
        members = [drgn.TypeMember(self._later(m["type_id"], m.get("bitfield_size", 0)),
                                   None if m["name"] == "(anon)" else m["name"], m["bits_offset"]) for m in t["members"]]
        return make(None if t["name"] == "(anon)" else t["name"], t["size"], members)

    def _make(self, t: dict[str, Any]) -> drgn.Type:
        kind, prog = t["kind"], self._prog
        if kind in ("STRUCT", "UNION"):
            return self._struct(t)
        if kind == "INT":
            if "BOOL" in t["encoding"]:
                return prog.bool_type(t["name"], t["size"])
            return prog.int_type(t["name"], t["size"], "SIGNED" in t["encoding"])
        if kind in ("ENUM", "ENUM64"):
            values = [drgn.TypeEnumerator(v["name"], v["val"]) for v in t["values"]]
            signed = any(v["val"] < 0 for v in t["values"])
            name = None if t["name"] == "(anon)" else t["name"]
            return prog.enum_type(name, prog.int_type("int" if signed else "unsigned int", t["size"], signed), values)
        if kind == "PTR":
            return prog.pointer_type(self._type(t["type_id"]))
        if kind == "ARRAY":
            return prog.array_type(self._type(t["type_id"]), t["nr_elems"] or None)
        if kind == "TYPEDEF":
            return prog.typedef_type(t["name"], self._type(t["type_id"]))
        if kind in QUALIFIERS:
            return self._type(t["type_id"]).qualified(QUALIFIERS[kind])
        if kind == "TYPE_TAG":
            return self._type(t["type_id"])
        if kind == "FLOAT":
            return prog.float_type(t["name"], t["size"])
        # What is declared and not defined, and functions: nobody looks into those.
        return prog.void_type() if kind != "FWD" else prog.struct_type(t["name"])


def text(value: drgn.Object) -> str:
    """As ringfence prints what a guest wrote."""
    return "".join(chr(byte) if 32 <= byte < 127 else "?" for byte in value.string_())


def walk_tasks(prog: drgn.Program) -> list[dict[str, Any]]:
    """The list that for_each_process() follows; each time all that `ringfence ps` shows."""
    return [{"pid": task.tgid.value_(), "comm": text(task.comm), "ppid": task.real_parent.tgid.value_(),
             "uid": task.real_cred.uid.val.value_(), "euid": task.real_cred.euid.val.value_(), "task": f"{task.value_():#x}"}
            for task in list_for_each_entry("struct task_struct", prog["init_task"].tasks.address_of_(), "tasks")]


def walk_modules(prog: drgn.Program) -> list[dict[str, Any]]:
    """The list of /proc/modules. Since 6.4 a module has an array of its parts, before two of them."""
    out = []
    for module in list_for_each_entry("struct module", prog["modules"].address_of_(), "list"):
        try:
            parts = [(part.base.value_(), part.size.value_()) for part in module.mem]
        except AttributeError:
            parts = [(part.base.value_(), part.size.value_()) for part in (module.core_layout, module.init_layout)]
        out.append({"name": text(module.name), "address": f"{parts[0][0]:#x}", "size": sum(size for _, size in parts),
                    "module": f"{module.value_():#x}"})
    return out


def map_top(prog: drgn.Program, core: str) -> None:
    """QEMU's segments have physical addresses alone, and drgn reads the top of the page tables by its virtual one: that page is
    added, where the guest's VMCOREINFO says. All below is drgn's own way.
    """
    with open(core, "rb") as file:
        notes = file.read(1 << 20).decode("latin-1")
    top = int(re.search(r"^SYMBOL\(swapper_pg_dir\)=([0-9a-f]+)$", notes, re.M)[1], 16)
    base = int(re.search(r"^NUMBER\(phys_base\)=(-?\d+)$", notes, re.M)[1])
    prog.add_memory_segment(top, PAGE_SIZE, lambda address, count, offset, physical: prog.read(
        top + offset - KERNEL_MAP + base, count, physical=True))


def open_core(core: str, types: str, symbols: str) -> drgn.Program:
    """A program that knows the guest's own types and symbols."""
    prog = drgn.Program()
    prog.set_core_dump(core)
    map_top(prog, core)
    found = Types(prog, json.load(open(types, encoding="ascii"))["types"])
    addresses: dict[str, int] = {}
    for line in open(symbols, encoding="ascii"):
        address, _, name = line.split()[:3]
        addresses.setdefault(name, int(address, 16))

    def find(prog: drgn.Program, name: str, flags: drgn.FindObjectFlags, filename: Optional[str]) -> Optional[drgn.Object]:
        if name not in OBJECTS or filename or not flags & drgn.FindObjectFlags.VARIABLE:
            return None
        return drgn.Object(prog, OBJECTS[name], address=addresses[name])

    prog.add_type_finder(found.find)
    prog.add_object_finder(find)
    return prog


def main() -> None:
    """The first walk makes types; those after it are timed."""
    core, types, symbols, rounds = sys.argv[1:]
    began = time.monotonic()
    prog = open_core(core, types, symbols)
    out: dict[str, Any] = {"tasks": walk_tasks(prog), "modules": walk_modules(prog)}
    out["load_ms"] = (time.monotonic() - began) * 1e3
    times: list[float] = []
    for _ in range(int(rounds)):
        began = time.perf_counter()
        walk_tasks(prog)
        walk_modules(prog)
        times.append((time.perf_counter() - began) * 1e3)
    out["walk_ms"] = statistics.median(times)
    json.dump(out, sys.stdout)


if __name__ == "__main__":
    main()
