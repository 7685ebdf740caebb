# SPDX-License-Identifier: LGPL-2.1-or-later
"""The steps of make check: each is a make target (docs/testing.md says what it proves)."""
from dataclasses import dataclass

# Each step of the lab may emulate a machine, which takes a processor and some 3 GB.
LAB_HOSTS = 3


@dataclass(frozen=True)
class Step:
    """One of them."""
    name: str
    minutes: float  # on a quiet core; the lab's longest begin first
    lab: bool = False  # boots stock guests: in an emulated host, where this machine's KVM runs none
    needs: str = ""  # goes to the lab or is a counted skip without
    settings: tuple[str, ...] = ()
    whole: str = ""  # what make check-all runs in its place, which is in LONG


# Quick ones first.
STEPS = [
    Step("check-test", 0.3),
    Step("mutants-test", 0.3),
    Step("matrix-test", 0.2, needs="the 6.12 kernel's package"),
    Step("layers", 1.5),
    Step("unit", 2),
    Step("unit-arm64", 1, needs="gcc-aarch64-linux-gnu, qemu-user"),
    Step("package", 1.2),
    Step("cli-test", 4),
    Step("valgrind-short", 2, whole="valgrind"),
    Step("fuzz", 2.5, settings=("FUZZ_SECONDS=2",)),
    Step("kvm-store", 0.1, needs="/dev/kvm"),
    Step("kvm", 0.5, needs="/dev/kvm"),
    Step("hostile", 8, needs="/dev/kvm that runs QEMU"),
    Step("oracle-short", 2, lab=True, whole="oracle"),
    Step("planted-short", 3, lab=True, whole="planted"),
    Step("kvm-lab", 3, lab=True),
    Step("lab-suite-short", 10, lab=True, whole="lab-suite"),
    Step("lab-suite-6.1", 2, lab=True),
    Step("matrix-short", 3, lab=True, settings=("HOSTS=1",), whole="matrix"),
    Step("lab-lifecycle-short", 3, lab=True, whole="lab-lifecycle"),
    Step("attacks-short", 9, lab=True, whole="attacks"),
    Step("storm-short", 6, lab=True, whole="storm"),
    Step("bench-short", 3, lab=True, whole="bench"),
]
# What takes hours.
LONG = [
    Step("valgrind", 5),
    Step("oracle", 4, lab=True),
    Step("lab-suite", 45, lab=True),
    Step("lab-lifecycle", 30, lab=True),
    Step("attacks", 30, lab=True),
    Step("attacks-latency", 30, lab=True),
    Step("storm", 60, lab=True),
    Step("bench", 60, lab=True),
    Step("planted", 35, lab=True, settings=("EXECUTIONS=3400000",)),
    Step("planted-live", 10, lab=True),
    Step("quiet", 30, lab=True),
    Step("attacks-7", 10, lab=True),
    Step("lab-host7", 30, lab=True),
    Step("lab-flavours", 60, lab=True),
    Step("lab-vmx", 60, lab=True),
    Step("matrix", 60, lab=True, settings=("HOSTS=1",)),
]


def all_of_them() -> list[Step]:
    """make check-all: what has a whole form in that one."""
    long = {s.name: s for s in LONG}
    return list(dict.fromkeys([long.get(s.whole, s) for s in STEPS] + LONG))
