"""Runs a program on a pseudo-terminal, types input when the expected output appears, and exits with its exit code.

Standard input: JSON, a list of {"at": output to wait for, "type": input to type then, "size": optional [rows, columns]
to resize to before, "pause": optional seconds to wait before}. Standard output: the output of the program.
"""

import fcntl
import json
import os
import pty
import select
import struct
import sys
import termios
import time

typing = json.load(sys.stdin)
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])

screen = b""
seen = 0
end = time.monotonic() + 60
while time.monotonic() < end:
    ready, _, _ = select.select([master], [], [], 0.1)
    if ready:
        try:
            chunk = os.read(master, 65536)
        except OSError:
            break
        if not chunk:
            break
        screen += chunk
    if typing:
        found = screen.find(typing[0]["at"].encode(), seen)
        if found >= 0:
            seen = found + len(typing[0]["at"].encode())
            time.sleep(typing[0].get("pause", 0.1))
            if "size" in typing[0]:
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", *typing[0]["size"], 0, 0))
                time.sleep(0.5)  # the program is notified by SIGWINCH
            os.write(master, typing.pop(0)["type"].encode())
else:
    os.kill(pid, 9)

_, status = os.waitpid(pid, 0)
sys.stdout.buffer.write(screen)
sys.stdout.flush()
sys.exit(os.waitstatus_to_exitcode(status) & 255)
