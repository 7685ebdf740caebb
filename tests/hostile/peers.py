# SPDX-License-Identifier: LGPL-2.1-or-later
"""hv/proto.h as others might speak it: a monitor for real fences, a fence for the real monitor."""
import array
import fcntl
import os
import re
import socket
import struct
import threading
from pathlib import Path

MAGIC = 0x434E4652
PROTO = (Path(__file__).resolve().parents[2] / "hv/proto.h").read_text()
REVISION = int(re.findall(r"#define RF_PROTO_REVISION (\d+)", PROTO)[0])
HELLO, WELCOME, EVENT, VERDICT, DONE, RESTORE, PEER = 1, 2, 3, 4, 8, 9, 14
SIZES = {HELLO: 80, WELCOME: 32, EVENT: 624, DONE: 32, PEER: 16}
KILL = 4
BOARD_MAGIC = 0x44424652
# sizeof(struct rf_board_file); the test true-fence fails when it is not this.
BOARD_SIZE = 2710384
# offsetof() in it: state, traps_count, traps[0].len, which is followed by its kind.
STATE_AT, TRAPS_AT, TRAP_LEN_AT = 12, 33616, 33679


def message(kind: int, body: bytes = b"", revision: int = REVISION, magic: int = MAGIC) -> bytes:
    """A packet; the body is filled up with zeros."""
    body = body.ljust(SIZES.get(kind, 24) - 16, b"\0")
    return struct.pack("=IHHII", magic, revision, kind, 16 + len(body), 0) + body


def welcome(revision: int = REVISION) -> bytes:
    """A monitor's answer to HELLO."""
    return message(WELCOME, bytes(16), revision)


def say(s: socket.socket, packet: bytes, fds: list[int]) -> None:
    """One packet and what goes with it."""
    s.sendmsg([packet], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else [])


class Run:
    """What `ringfence run` is to a fence: who gives it its monitors. Forgotten, it is gone, and the VM with it."""

    def __init__(self) -> None:
        self.ours, self.vmms = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    def offer(self) -> socket.socket:
        """Another monitor's socket; the fence gets its other end."""
        monitors, vmms = meet()
        say(self.ours, message(PEER), [vmms.fileno()])
        vmms.close()
        return monitors


def meet() -> tuple[socket.socket, socket.socket]:
    """As `run` makes it: the monitor's end, and the VMM's."""
    monitors, vmms = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    monitors.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    return monitors, vmms


class FakeMonitor:
    """Monitors one after the other, each time that the fence hangs up: each answers HELLO with these packets, and keeps the
    connection or not."""

    def __init__(self, run: Run, packets: list[bytes], hold: bool = True) -> None:
        self.dead, self.peer = False, run.offer()

        def serve() -> None:
            while not self.dead:
                peer = self.peer
                try:
                    peer.settimeout(20)
                    if peer.recv(4096):
                        for packet in packets:
                            peer.send(packet)
                        while hold and peer.recv(4096):
                            pass
                except OSError:
                    pass
                peer.close()
                if not self.dead:
                    self.peer = run.offer()

        threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        """Nobody is there from now on."""
        self.dead = True
        try:
            self.peer.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def board(size: int = BOARD_SIZE, sealed: bool = True, magic: int = BOARD_MAGIC) -> int:
    """A board of a fence that has nothing to tell."""
    fd = os.memfd_create("board", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    os.pwrite(fd, struct.pack("=IHHI", magic, REVISION, 0, 2)[:size], 0)
    if sealed:
        fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    return fd


def event(number: int, kind: int, msr: int = 0) -> bytes:
    """A question of the first vCPU; all that it does not say is zeros."""
    return message(EVENT, struct.pack("=QII", number, kind, 0) + bytes(216) + struct.pack("=I", msr))


def kind_of(packet: bytes) -> int:
    """0: there is none."""
    kind: int = struct.unpack_from("=H", packet, 6)[0] if packet else 0
    return kind


def verdict(packet: bytes) -> tuple[int, int]:
    """Of which event, and which one."""
    return struct.unpack_from("=QI", packet, 16)


def hello(revision: int = REVISION, size: int = BOARD_SIZE) -> bytes:
    """What a fence says first."""
    body = struct.pack("=IIQQQ32s", os.getpid(), 0, 1, 1, size, b"qemu")
    return message(HELLO, body, revision)
