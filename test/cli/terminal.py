"""Runs a command in a pseudo-terminal for tests: `terminal.py COLUMNS ROWS COMMAND...`.

Lines of JSON on standard input: {"type": TEXT}, {"size": [COLUMNS, ROWS]}. What the terminal shows goes to standard output as it is; its
settings (raw or not) to standard error when asked with {"settings": true}. Ends with the command's exit code.
"""
import fcntl, json, os, pty, select, struct, sys, termios

columns, rows = int(sys.argv[1]), int(sys.argv[2])


def resize(fd, columns, rows):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


ready_read, ready_write = os.pipe()
pid, master = pty.fork()
if pid == 0:
    os.read(ready_read, 1)
    os.execvp(sys.argv[3], sys.argv[3:])
resize(master, columns, rows)
os.write(ready_write, b"x")
pending = b""
watched = [master, 0]
while master in watched:
    for fd in select.select(watched, [], [])[0]:
        if fd == master:
            try:
                data = os.read(master, 65536)
            except OSError:
                data = b""
            if not data:
                watched.remove(master)
                break
            os.write(1, data)
            continue
        data = os.read(0, 65536)
        if not data:
            watched.remove(0)
            continue
        pending += data
        while b"\n" in pending:
            line, pending = pending.split(b"\n", 1)
            command = json.loads(line)
            if "type" in command:
                os.write(master, command["type"].encode())
            if "size" in command:
                resize(master, *command["size"])
            if "settings" in command:
                local = termios.tcgetattr(master)[3]
                os.write(2, b"raw\n" if not local & termios.ICANON else b"cooked\n")
status = os.waitpid(pid, 0)[1]
sys.exit(os.waitstatus_to_exitcode(status) % 256)
