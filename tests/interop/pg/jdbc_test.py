#!/usr/bin/env python3
"""pgjdbc over `moat serve`: jdbc_test.py MOAT. Counted as skipped where Java or the driver is not there (tools/deps interop)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/wire"))
from protocol import PASSWORD, Server

JAR = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps")) / "pg-suites/pgjdbc.jar"
MOAT = sys.argv[1]


def main():
    if not JAR.exists() or not shutil.which("javac"):
        print("skipped pgjdbc: not installed")
        print("0 passed, 0 failed, 1 skipped")
        return 0
    with Server(MOAT) as server:
        path = Path(server.folder, "flights.csv")
        path.write_text("id,origin,delay,day\n1,JFK,1.5,2020-01-01\n2,LAX,,2020-01-02\n")
        server.sql(f"CREATE EXTERNAL TABLE flights LOCATION '{path}'; GRANT SELECT ON flights TO USER amelia")
        done = subprocess.run(["java", "-cp", JAR, Path(__file__).parent / "Jdbc.java", str(server.port), PASSWORD], capture_output=True, text=True, timeout=300)
        print(done.stdout + done.stderr)
    print("1 passed, 0 failed" if done.returncode == 0 else "0 passed, 1 failed")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
