#!/usr/bin/env python3
"""Arrow's JDBC driver for Flight SQL over `moat serve`: suite.py MOAT. Counted as skipped where Java or the driver are not there (tools/deps interop)."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/wire"))
import authority
from protocol import PASSWORD, Server, run

JAR = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps")) / "flight-jdbc.jar"
SETUP = "CREATE VIEW v AS SELECT 1 AS x, 'a' AS y; CREATE VIEW hidden AS SELECT 2 AS x; GRANT SELECT ON v TO USER amelia"


class FlightServer(Server):
    def start(self, *settings):
        super().start("server.http_port=-1", "server.flight_port=0", *settings)
        self.flight_port = int(re.search(r"port (\d+) of", self.process.stdout.readline()).group(1))


def the_jdbc_driver():
    folder = tempfile.mkdtemp(prefix="moat-flight-")
    certificate = authority.certificate(folder, "server")
    with FlightServer(sys.argv[1], *authority.tls_settings(*certificate), setup=SETUP) as server:
        done = subprocess.run(["java", "--add-opens=java.base/java.nio=ALL-UNNAMED", "-cp", JAR, Path(__file__).parent / "FlightSql.java",
                               str(server.flight_port), PASSWORD, certificate[0]], capture_output=True, text=True, timeout=300)
        assert done.returncode == 0 and done.stdout.splitlines()[-1:] == ["ok"], (done.stdout + done.stderr)[-6000:]
    shutil.rmtree(folder, ignore_errors=True)


if not JAR.exists() or not shutil.which("javac"):  # its source is run
    print("skipped: Arrow's JDBC driver for Flight SQL is not installed")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
sys.exit(run([the_jdbc_driver], sys.argv[2:]))
