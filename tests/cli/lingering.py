# SPDX-License-Identifier: LGPL-2.1-or-later
"""A user's "monitor" whose answer brings a socket that whoever lets go of it waits for: lingering.py FOLDER SECONDS, 0 none."""
import fcntl
import os
import socket
import struct
import sys

F_OFD_SETLK = 37  # include/uapi/asm-generic/fcntl.h
ANSWER = b'{"state":"sealed"}\n'


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
    lock = os.open(f"{folder}/lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.fcntl(lock, F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{folder}/control.sock")
    server.listen()
    kept = []
    while True:
        client, _ = server.accept()
        client.recv(200)
        if seconds:
            sender, taker = lingering(seconds)
            kept += [taker, client]
            socket.send_fds(client, [ANSWER], [sender.fileno()])
            sender.close()
        else:
            client.sendall(ANSWER)
            kept.append(client)


main()
