# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user's "monitor" whose answer brings a socket that whoever lets go of it waits for: lingering.py FOLDER SECONDS, 0 none.
With a third word it is his `ringfence run` that is asked for another policy.
"""
import fcntl
import os
import socket
import struct
import sys

F_OFD_SETLK = 37  # include/uapi/asm-generic/fcntl.h
MONITOR = (socket.SOCK_STREAM, "control.sock", b'{"state":"sealed"}\n')
RUN = (socket.SOCK_SEQPACKET, "reload.sock", b'{"accepted":false,"why":"no"}')


def lingering(seconds: int) -> "tuple[socket.socket, socket.socket]":
    """One that has more to send than is taken, and the end that takes nothing."""
    listener = socket.create_server(("127.0.0.1", 0))
    sender = socket.create_connection(listener.getsockname())
    taker, _ = listener.accept()
    sender.setblocking(False)
    try:
        while True:
            sender.send(bytes(65536))
    except BlockingIOError:
        pass
    sender.setblocking(True)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, seconds))
    return sender, taker


def main() -> None:
    """Serves until it is killed."""
    folder, seconds = sys.argv[1], int(sys.argv[2])
    kind, name, answer = RUN if len(sys.argv) > 3 else MONITOR
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(f"{folder}/{name}")
    server.listen()
    kept = []
    while True:
        client, _ = server.accept()
        client.recv(1 << 20)
        if seconds:
            sender, taker = lingering(seconds)
            kept += [taker, client]
            try:
                socket.send_fds(client, [answer], [sender.fileno()])
            except PermissionError:  # who asks takes none, where the kernel has that (Linux 6.16)
                client.sendall(answer)
            sender.close()
        else:
            client.sendall(answer)
            kept.append(client)


main()
