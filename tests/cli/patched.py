#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""patched.py FOLDER: writes a record, one.jsonl, and the patch log that its lines vouch for, one.patches: two names in it."""
import hashlib
import json
import struct
import sys
from pathlib import Path

HEAD = struct.pack("<QQQII", 1, 0xffffffff81000000, 2, 1, 0x44484c50)
PATCH = struct.pack("<QIHBB6s6sI", 1714557600000000000, 0x100, 0, 4, 5, bytes(6), struct.pack("<Bix", 0xe8, -0x205), 0x4e4c4c50)


def name(at: int, text: bytes) -> bytes:
    """Its pieces; 0x80: the last one."""
    pieces = [text[i:i + 23] for i in range(0, len(text), 23)]
    return b"".join(struct.pack("<IB23sI", at & 0xffffffff, i | 0x80 * (i + 1 == len(pieces)), piece, 0x4d4e4c50)
                    for i, piece in enumerate(pieces))


def main() -> None:
    patches, lines, before = HEAD + PATCH + name(0x100, b"function_of_a_long_name+0x4") + name(-0x100, b'[a"b\x1b]') + 2 * PATCH, [], "0" * 64
    for members in ({"to": 64}, {"to": len(patches)}, None):
        line = {"time": "2024-05-01T10:00:00.000000000Z", "vm": "one", "instance": "0x1", "seq": len(lines) + 1, "mono_ns": 1,
                "type": "decision" if members else "end"}
        if members:
            line.update(kind="patches", patch_log={"from": 0, **members, "sha256": hashlib.sha256(patches[:members["to"]]).hexdigest()})
        text = json.dumps({**line, "prev": before}, separators=(",", ":"))[:-1]
        before = hashlib.sha256(text.encode()).hexdigest()
        lines.append(f'{text},"hash":"{before}"}}\n')
    Path(sys.argv[1], "one.jsonl").write_text("".join(lines))
    Path(sys.argv[1], "one.patches").write_bytes(patches)


main()
