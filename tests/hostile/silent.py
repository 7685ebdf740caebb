# SPDX-License-Identifier: LGPL-2.1-or-later
"""A VMM that was taken over and lives on, without a word to its monitors: `ringfence run -- python3 silent.py MODE SECONDS`.

It says HELLO, and hangs up once it is welcomed: to each monitor that comes ("again"), or to the first one, and then nothing any
more ("mute").
"""
import os
import socket
import sys
import time

import peers


def main() -> None:
    """Until the time is up."""
    mode, until = sys.argv[1], time.monotonic() + float(sys.argv[2])
    link = socket.socket(fileno=int(os.environ["RINGFENCE_LINK"]))
    kept = []
    greeted = False
    while time.monotonic() < until:
        link.settimeout(max(0.1, until - time.monotonic()))
        try:
            _, fds, _, _ = socket.recv_fds(link, 4096, 1)
        except (TimeoutError, OSError):
            continue
        if not fds:
            return  # `run` is gone
        with socket.socket(fileno=fds[0]) as monitor:
            if mode == "mute" and greeted:
                kept.append(os.dup(monitor.fileno()))
                continue
            peers.say(monitor, peers.hello(), [peers.board(), os.open("/proc/self/mem", os.O_RDONLY)])
            monitor.settimeout(10)
            greeted = bool(monitor.recv(4096))


if __name__ == "__main__":
    main()
