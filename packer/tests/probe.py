"""Tries what a service that was taken over would try, and prints what came of each: "done", or why not."""

import ctypes
import json
import mmap
import os
import socket
import subprocess
import time

libc = ctypes.CDLL(None, use_errno=True)


def system(result):
    """The result of a call of the C library, whose errors are Python's."""
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def write(path, content="probe"):
    with open(path, "w") as file:
        file.write(content)


def rewrite(path):
    """What is there already, so that nothing changes where it can be done."""
    with open(path) as file:
        content = file.read()
    write(path, content)


def setuid_file():
    path = "/var/lib/tideline/probe-setuid"
    write(path)
    os.chmod(path, 0o4755)


def execute_from(folder):
    path = f"{folder}/probe-script"
    write(path, "#!/usr/bin/python3\n")
    os.chmod(path, 0o755)
    subprocess.run([path], check=True)


def other_process():
    with open("/proc/1/environ", "rb") as file:
        file.read()


ATTEMPTS = {
    "write its state": lambda: write("/var/lib/tideline/probe"),
    "write its log": lambda: write("/var/log/tideline/probe"),
    "open a TCP socket": lambda: socket.socket().close(),
    "read its settings": lambda: os.stat("/etc/tideline"),
    "write to /etc": lambda: write("/etc/probe"),
    "write to /usr": lambda: write("/usr/local/bin/probe"),
    "write to /var/lib": lambda: write("/var/lib/probe"),
    "replace the binary": lambda: os.utime("/usr/local/bin/tideline"),
    "read root's home": lambda: os.listdir("/root"),
    "see other processes": other_process,
    "mount": lambda: system(libc.mount(b"probe", b"/mnt", b"tmpfs", 0, None)),
    "bind-mount": lambda: system(libc.mount(b"/etc", b"/mnt", None, 4096, None)),
    "open a raw socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close(),
    "open a packet socket": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "open a netlink socket": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "bind a low port": lambda: socket.create_server(("127.0.0.1", 81)).close(),
    "enter a new namespace": lambda: system(libc.unshare(0x10000000)),
    "map writable code": lambda: mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close(),
    "make a setuid file": setuid_file,
    "run another program": lambda: subprocess.run(["/usr/bin/true"], check=True),
    "run what it wrote to its state": lambda: execute_from("/var/lib/tideline"),
    "run what it wrote to its log": lambda: execute_from("/var/log/tideline"),
    "run what it wrote to /tmp": lambda: execute_from("/tmp"),
    "run what it wrote to /var/tmp": lambda: execute_from("/var/tmp"),
    "change the host's name": lambda: socket.sethostname(socket.gethostname()),
    "trace a process": lambda: system(libc.ptrace(0x4206, os.getppid(), None, None)),
    "change its root": lambda: os.chroot("/mnt"),
    "give a file away": lambda: (write("/var/lib/tideline/probe-own"), os.chown("/var/lib/tideline/probe-own", 65533, 65533)),
    "make a device": lambda: os.mknod("/var/lib/tideline/probe-null", 0o20600, os.makedev(1, 3)),
}


def outcome(attempt):
    """In a process of its own: some attempts change what the next ones would find."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        try:
            attempt()
            said = "done"
        except Exception as error:
            said = repr(error)
        os.write(writer, said.encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as answer:
        # Nothing, where the system killed it for trying.
        said = answer.read() or "killed"
    os.wait()
    return said


if __name__ == "__main__":
    print("PROBE " + json.dumps({name: outcome(attempt) for name, attempt in ATTEMPTS.items()}), flush=True)
    # The journal still finds out whose line that was.
    time.sleep(0.1)
