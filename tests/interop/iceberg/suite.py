#!/usr/bin/env python3
"""Write the matrix of tables with Spark, read it with Moat, compare. The last line is the count of tables.

    suite.py PROGRAM

    MOAT_CACHE           where tools/deps keeps what it installed (.cache/deps)
    MOAT_ICEBERG_ROOT    where the tables are (/tmp/moat-iceberg-00000000); kept, and used again when the writer has not changed
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("MOAT_CACHE", HERE.parents[2] / ".cache/deps"))
ROOT = Path(os.environ.get("MOAT_ICEBERG_ROOT", "/tmp/moat-iceberg-00000000"))
PYTHON = CACHE / "venv-interop/bin/python"
SPARK = CACHE / "spark"


def missing():
    if not (SPARK / ".complete").exists():
        yield "Spark with Iceberg's runtime"
    if not PYTHON.exists():
        yield "the Python packages of the group interop"
    if not shutil.which("java"):
        yield "a Java runtime"


def writers_hash():
    """Of everything that decides what the tables are."""
    digest = hashlib.sha256((SPARK / ".complete").read_bytes())
    for path in sorted(HERE.glob("*.py")):
        if path.name not in ("compare.py", "readers.py", "suite.py", "relocate.py") and not path.name.startswith("big_") and not path.name.endswith("_test.py"):
            digest.update(path.read_bytes())
    return digest.hexdigest()


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    lacking = list(missing())
    for name in lacking:
        print(f"skipped: {name} is not here; tools/deps interop installs it")
    if lacking:
        print(f"0 passed, 0 failed, {len(lacking)} skipped")
        return 0
    ROOT.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{ROOT}.lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        stamp, hash_ = ROOT / "written-by", writers_hash()
        if not stamp.exists() or stamp.read_text() != hash_:
            environment = {**os.environ, "MOAT_SPARK": str(SPARK), "MOAT_ICEBERG_ROOT": str(ROOT)}
            done = subprocess.run([PYTHON, HERE / "generate.py", "--root", ROOT], env=environment, stderr=subprocess.DEVNULL, check=False)
            if done.returncode != 0:
                return 1
            stamp.write_text(hash_)
        return subprocess.run([PYTHON, HERE / "compare.py", "--root", ROOT, "--moat", sys.argv[1]], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
