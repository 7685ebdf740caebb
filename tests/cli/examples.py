#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""examples.py GUIDE RINGFENCE: runs what a guide shows.

A block that begins with "# NAME" is the file NAME. JSON has no comments, so NAME.jsonl has not that line, and a record is
wrapped: lines that begin with a space go on. A block whose first line begins with "$ " is a console: each command is run,
in the folder of those files, and must print what is shown; "..." on a line of its own is any lines, within one any text.
Prints what differs, and how many commands were run."""
import os
import re
import subprocess
import sys
import tempfile


def blocks(text: str) -> list[str]:
    return [body for _, body in re.findall(r"^```(\w*)\n(.*?)^```$", text, re.S | re.M)]


def commands(block: str) -> list[tuple[str, str]]:
    parts = re.split(r"^\$ (.*)\n", block, flags=re.M)
    return list(zip(parts[1::2], parts[2::2]))


def matches(shown: str, said: str) -> bool:
    pattern = "".join("(?:.*\n)*" if line == "...\n" else re.escape(line).replace(r"\.\.\.", ".*") for line in shown.splitlines(True))
    return re.fullmatch(pattern, said) is not None


def main() -> int:
    guide, ringfence = sys.argv[1], os.path.realpath(sys.argv[2])
    ran, wrong, status = 0, 0, 0
    environment = {"PATH": f"{os.path.dirname(ringfence)}:/usr/bin:/bin", "LC_ALL": "C"}
    text = open(guide, encoding="utf-8").read()
    with tempfile.TemporaryDirectory() as folder:
        for block in blocks(text):
            name = re.match(r"# ([\w.]+\.\w+)\n", block)
            if name:
                keep = re.sub("\n ", "", block[name.end():]) if name[1].endswith(".jsonl") else block
                with open(os.path.join(folder, name[1]), "w", encoding="utf-8") as f:
                    f.write(keep)
            if not block.startswith("$ "):
                continue
            for command, shown in commands(block):
                done = subprocess.run(["sh", "-c", f"(exit {status}); {command}"], cwd=folder, env=environment, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60, check=False)
                status = done.returncode
                ran += 1
                if not matches(shown, done.stdout):
                    wrong += 1
                    print(f"$ {command}\n{done.stdout}--- is shown as\n{shown}")
    print(f"{ran} commands")
    return 1 if wrong or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
