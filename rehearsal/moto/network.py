"""Sockets in a network namespace, of a process that stays in its own: a socket is in the one that its thread is in."""

import ctypes
import os
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

# As in <sched.h>.
CLONE_NEWNET = 0x40000000
CONNECT_SECONDS = 5
# How long a machine may take until it answers.
BOOT_SECONDS = 300
# Connections to a machine at a time.
CONNECTIONS = 64
SSH = 22
# Where a machine is reached from outside: port 22 of a loopback address is often the host's own.
PUBLIC_NETWORK, PUBLIC_PORT = "127.53.1", 2222


def enter(name):
    """Moves this thread into a network namespace."""
    with (Path("/run/netns") / name).open() as namespace:
        if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)


class Namespace:
    """A network namespace, by `ip netns`' name."""

    def __init__(self, name):
        self.thread = ThreadPoolExecutor(max_workers=1, initializer=enter, initargs=(name,))

    def listen(self, address):
        """A listener on a free port."""
        return self.thread.submit(socket.create_server, (address, 0), backlog=256).result()

    def connect(self, address, port):
        return self.thread.submit(socket.create_connection, (address, port), CONNECT_SECONDS).result()


class PublicAddress:
    """A loopback address of a machine's own, at which its SSH is reached from outside once it answers."""

    def __init__(self, namespace, machine):
        self.namespace, self.machine, self.closed, self.open = namespace, machine, False, set()
        self.socket, self.address = bound()
        Thread(target=self.serve, daemon=True).start()

    def serve(self):
        # Until then connections are refused, which a client takes for a machine that boots, and tries again.
        if not self.answers():
            return
        try:
            self.socket.listen()
            while True:
                client, _ = self.socket.accept()
                Thread(target=self.forward, args=(client,), daemon=True).start()
        except OSError:
            # It was closed.
            return

    def answers(self):
        end = time.monotonic() + BOOT_SECONDS
        while not self.closed and time.monotonic() < end:
            try:
                self.namespace.connect(self.machine, SSH).close()
                return True
            except OSError:
                time.sleep(0.2)
        return False

    def forward(self, client):
        with client:
            if len(self.open) >= 2 * CONNECTIONS:
                return
            try:
                server = self.namespace.connect(self.machine, SSH)
            except OSError:
                return
            with server:
                server.settimeout(None)
                ends = {client, server}
                self.open |= ends
                if not self.closed:
                    back = Thread(target=pump, args=(server, client), daemon=True)
                    back.start()
                    pump(client, server)
                    back.join()
                self.open -= ends

    def close(self):
        """Cuts what is open."""
        self.closed = True
        for each in (self.socket, *self.open):
            cut(each)
        self.socket.close()


def bound():
    """A socket on the first public address that is free, and that address."""
    for host in range(1, 255):
        address = f"{PUBLIC_NETWORK}.{host}"
        each = socket.socket()
        try:
            each.bind((address, PUBLIC_PORT))
            return each, address
        except OSError:
            each.close()
    raise RuntimeError(f"every address of {PUBLIC_NETWORK}.0/24 is taken at port {PUBLIC_PORT}")


def pump(source, sink):
    """Passes on what comes until it ends; what goes wrong ends both ways."""
    try:
        while chunk := source.recv(1 << 16):
            sink.sendall(chunk)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        cut(source)
        cut(sink)


def cut(each):
    try:
        each.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It was not connected any more.
        pass
