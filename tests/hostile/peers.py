# SPDX-License-Identifier: LGPL-2.1-or-later
"""hv/proto.h as others might speak it: a monitor for real fences, a fence for the real monitor."""
import array
import fcntl
import os
import socket
import struct
import threading
from pathlib import Path
from typing import Callable

MAGIC, REVISION = 0x434E4652, 8
HELLO, WELCOME, EVENT, VERDICT, DONE = 1, 2, 3, 4, 8
SIZES = {HELLO: 80, WELCOME: 32, EVENT: 624, DONE: 32}
KILL = 4
BOARD_MAGIC = 0x44424652
# sizeof(struct rf_board_file); the test true-fence fails when it is not this.
BOARD_SIZE = 2710376
# offsetof() in it: state, traps_count, traps[0].len, which is followed by its kind.
STATE_AT, TRAPS_AT, TRAP_LEN_AT = 12, 33608, 33671


def message(kind: int, body: bytes = b"", revision: int = REVISION, magic: int = MAGIC) -> bytes:
    """A packet; the body is filled up with zeros."""
    body = body.ljust(SIZES.get(kind, 24) - 16, b"\0")
    return struct.pack("=IHHII", magic, revision, kind, 16 + len(body), 0) + body


def welcome(revision: int = REVISION) -> bytes:
    """A monitor's answer to HELLO."""
    return message(WELCOME, bytes(16), revision)


class FakeMonitor:
    """Listens for a fence; `behave` gets the listening socket in a thread of its own."""

    def __init__(self, path: Path, behave: Callable[[socket.socket], None]) -> None:
        self.path = path
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(path))
        self.listener.listen(16)
        self.listener.settimeout(20)

        def serve() -> None:
            try:
                behave(self.listener)
            except OSError:
                pass

        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        """Nobody listens from now on."""
        self.listener.close()
        self.path.unlink(missing_ok=True)


def answer_all(packets: list[bytes], hold: bool = True) -> Callable[[socket.socket], None]:
    """A monitor that answers each HELLO with these packets, then keeps the connection open or not."""
    kept = []

    def behave(listener: socket.socket) -> None:
        while True:
            peer, _ = listener.accept()
            peer.recv(4096)
            for packet in packets:
                peer.send(packet)
            if hold:
                kept.append(peer)
            else:
                peer.close()

    return behave


def board(size: int = BOARD_SIZE, sealed: bool = True, magic: int = BOARD_MAGIC) -> int:
    """A board of a fence that has nothing to tell."""
    fd = os.memfd_create("board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, struct.pack("=IHHI", magic, REVISION, 0, 2)[:size], 0)
    if sealed:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def dial(path: Path, packet: bytes, fds: list[int]) -> socket.socket:
    """Connects as a fence does and says one thing."""
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.settimeout(8)
    s.connect(str(path))
    control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    if packet:
        s.sendmsg([packet], control)
    return s


def event(number: int, kind: int, msr: int = 0) -> bytes:
    """A question of the first vCPU; all that it does not say is zeros."""
    return message(EVENT, struct.pack("=QII", number, kind, 0) + bytes(216) + struct.pack("=I", msr))


def verdict(packet: bytes) -> tuple[int, int]:
    """Of which event, and which one."""
    return struct.unpack_from("=QI", packet, 16)


def hello(revision: int = REVISION, size: int = BOARD_SIZE) -> bytes:
    """What a fence says first."""
    body = struct.pack("=IIQQQ32s", os.getpid(), 0, 1, 1, size, b"qemu")
    return message(HELLO, body, revision)
