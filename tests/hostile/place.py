# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where the hostile tests run: on this machine's KVM, with a CPU model that it can run, else in the lab's emulated host."""
import os
import sys
from pathlib import Path

from machine import RUNS_ON, SCALE, Failed, Lab

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "lab"))
# pylint: disable=wrong-import-position
import runner  # noqa: E402
from build import LabError, library_closure  # noqa: E402

# Tried in this order. With "host" QEMU writes the IA32_ARCH_CAPABILITIES (MSR 0x10a) that KVM said it has, and asserts that KVM
# takes it (target/i386/kvm/kvm.c, kvm_buf_set_msrs()); the KVM of some AMD machines does not.
CPUS = ("host", "host,-arch-capabilities", "qemu64")
# A machine that can needs half a second.
SECONDS = 10 * SCALE
# All tests in the emulated host, where each is about EMULATED_SCALE times slower.
EMULATED_SECONDS, EMULATED_SCALE = 1500, 6


def find(build: Path, folder: Path, vmm: str = "qemu-system-x86_64", seconds: float = SECONDS) -> tuple[str, str]:
    """The first CPU model with which the good guest runs, started as the tests start it; "" and why when there is none."""
    why = ""
    for number, cpu in enumerate(CPUS):
        lab = Lab(build, folder / f"probe-{number}", f"hostile-{os.getpid()}-probe", cpu, vmm)
        lab.folder.mkdir(mode=0o700)
        try:
            lab.start("vm", lab.qemu("good")).says(RUNS_ON, "a guest to run", seconds)
            return cpu, why
        except (Failed, OSError) as e:
            why = why or f"QEMU with -cpu {cpu}: {' '.join(str(e).split())[:300]}"
        finally:
            lab.clean()
    return "", why


def python() -> dict[str, Path]:
    """This interpreter with all that it has loaded, for a machine without one: names below a folder, and their files."""
    library = Path(os.__file__).parent
    loaded = {Path(m.__file__) for m in list(sys.modules.values()) if getattr(m, "__file__", None)}
    program = Path(sys.executable).resolve()
    files = {f"lib/{library.name}/{path.relative_to(library)}": path for path in loaded if library in path.parents}
    native = [program, *(path for path in loaded if path.suffix == ".so")]
    return files | {"python3": program} | {f"lib/{path.name}": path for path in library_closure(native)}


def emulated(build: Path, names: list[str]) -> int:
    """The same tests as a job of the lab; its output has their counts. Raises LabError."""
    files: dict[str, Path] = {f"python/{name}": path for name, path in python().items()}
    files |= {f"tests/hostile/{path.name}": path for path in HERE.glob("*.py")}
    files |= {f"tests/lab/{path.name}": path for path in (HERE.parent / "lab").glob("*.py")}
    files["hv/proto.h"] = HERE.parents[1] / "hv/proto.h"  # peers.py
    files |= {f"build/hostile/{name}": build / "hostile" / name for name in ("memory", "guest.elf")}
    script = ("ln -s /usr/bin/ringfence /usr/bin/ringfence-monitor /usr/lib/ringfence/libringfence.so build\n"
              f"export LAB=native LAB_TIMEOUT_SCALE={EMULATED_SCALE * SCALE}\n"
              "export PYTHONHOME=$PWD/python LD_LIBRARY_PATH=$PWD/python/lib\n"
              f"python/python3 tests/hostile/hostile.py build {' '.join(names)}\n")
    job = runner.Job("hostile", script, EMULATED_SECONDS, dict(files))
    result = runner.run_jobs([job], guests=["6.12"], mode="emulated")[0]
    if result.status is None:
        print(f"hostile: {result.note}")
    return 0 if result.ok else 1
