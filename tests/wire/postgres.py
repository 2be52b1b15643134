"""A PostgreSQL 15 of Debian's, to be measured beside: a fresh cluster with its default settings on loopback."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

from protocol import Client, message, startup

BIN = Path("/usr/lib/postgresql/15/bin")


def is_installed():
    return (BIN / "initdb").exists() and (os.getuid() != 0 or any(p.pw_name == "postgres" for p in pwd.getpwall()))


class Postgres:
    """Run by `postgres` where we are root."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="moat-pg-")
        self.port = 20000 + os.getpid() % 10000
        self.prefix = []
        if os.getuid() == 0:
            shutil.chown(self.folder, "postgres")
            self.prefix = ["runuser", "-u", "postgres", "--"]
        self.run("initdb", "-D", self.folder + "/data", "-A", "trust", "-U", "bench")
        self.run("pg_ctl", "-D", self.folder + "/data", "-w", "-l", self.folder + "/log", "-o",
                 f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1", "start")

    def run(self, program, *words):
        subprocess.run([*self.prefix, BIN / program, *words], check=True, stdout=subprocess.DEVNULL, cwd="/")

    def connect(self):
        client = Client(self.port, login=False)
        client.send(startup(user="bench", database="postgres"))
        client.until("Z")
        return client

    def copy_in(self, statement, source):
        """Feeds COPY ... FROM STDIN with what the file object has."""
        with self.connect() as client:
            client.socket.settimeout(600)
            client.send(message("Q", statement.encode() + b"\0"))
            client.until("G")
            while block := source.read(1 << 16):
                client.send(message("d", block))
            client.send(message("c"))
            client.rows(client.until("Z"))

    def close(self):
        self.run("pg_ctl", "-D", self.folder + "/data", "-m", "immediate", "stop")
        shutil.rmtree(self.folder)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
