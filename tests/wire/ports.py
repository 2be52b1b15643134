"""Ports for servers that must be told theirs before they start."""

import fcntl
import os
import random
import socket

GIVEN = set()
PORTS = os.open(f"/tmp/moat-test-ports-{os.getuid()}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)


def free_port():
    """Below those that the kernel gives to whoever connects, so that none of these takes it before its server does; given once, and to no other
    suite that runs beside: a byte of PORTS is locked for each until this process ends."""
    for port in random.sample(range(20000, 32000), 1000):
        if port in GIVEN:
            continue
        try:
            fcntl.lockf(PORTS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
        except OSError:
            continue
        GIVEN.add(port)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass
    raise RuntimeError("no free port")
