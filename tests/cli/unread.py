# SPDX-License-Identifier: LGPL-2.1-or-later
# unread.py MODE MONITORS COMMAND...: COMMAND's standard error is a terminal, as people have it, and COMMAND gets SIGTERM once
# so many monitors have been started (FAKE_LOG has a line of each). MODE says when the terminal is read: "read" all along;
# "filled" after the end, and "late" before SIGTERM: in both somebody else has filled it but for a few bytes. Prints "exit
# CODE", or what it waited for in vain, and what was read.
import os, pty, select, signal, subprocess, sys, threading, time

mode, monitors, command = sys.argv[1], int(sys.argv[2]), sys.argv[3:]
SECONDS = 60
master, slave = pty.openpty()
seen = []


def fill():
    # A description of its own: COMMAND's stays one that waits.
    other = os.open(os.ttyname(slave), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    quiet = 0
    while quiet < 20: # what was written is moved on by the kernel, which makes room
        try:
            os.write(other, b"x")
            quiet = 0
        except BlockingIOError:
            quiet += 1
            time.sleep(0.02)
    while not select.select([], [slave], [], 0.3)[1]:
        os.read(master, 100)
    os.close(other)


def monitors_started():
    with open(os.environ["FAKE_LOG"]) as f:
        return len(f.readlines()) >= monitors


def within(condition, what):
    until = time.monotonic() + SECONDS
    while not condition():
        if time.monotonic() > until:
            return "waited in vain for " + what
        time.sleep(0.1)
    return ""


def read():
    while True:
        seen.append(os.read(master, 4096))


def read_from_now_on():
    threading.Thread(target=read, daemon=True).start()
    time.sleep(1)


if mode == "read":
    read_from_now_on()
else:
    fill()
run = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=slave)
failed = within(monitors_started, "monitors")
if mode == "late":
    read_from_now_on()
if not failed:
    run.send_signal(signal.SIGTERM)
    failed = within(lambda: run.poll() is not None, "its end")
if failed:
    run.kill()
print(failed or "exit %d" % run.wait())
if mode == "filled":
    read_from_now_on()
else:
    time.sleep(1)
sys.stdout.flush()
sys.stdout.buffer.write(b"".join(seen))
