"""Runs a program on a new pseudo-terminal until it exits.

Arguments: rows, columns, and the program with its arguments. Standard input: JSON documents, one per line:
{"type": input to type}, {"size": new [rows, columns] of the window} or {"signal": number of a signal to send}.
Standard output: the output of the program. The exit code is that of the program, or 128 plus the number of the signal
that killed it.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios


def resize(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


rows, columns, *argv = sys.argv[1:]
pid, master = pty.fork()
if pid == 0:
    resize(0, int(rows), int(columns))
    os.execvp(argv[0], argv)

commands = b""
sources = [master, 0]
while True:
    ready, _, _ = select.select(sources, [], [])
    if master in ready:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        os.write(1, chunk)
    if 0 in ready:
        chunk = os.read(0, 65536)
        if not chunk:
            sources.remove(0)
        *lines, commands = (commands + chunk).split(b"\n")
        for command in map(json.loads, lines):
            if "type" in command:
                os.write(master, command["type"].encode())
            if "size" in command:
                resize(master, *command["size"])
            if "signal" in command:
                os.kill(pid, command["signal"])

_, status = os.waitpid(pid, 0)
code = os.waitstatus_to_exitcode(status)
sys.exit(code if code >= 0 else 128 - code)
