#!/usr/bin/env python3
"""moat iceberg inspect|validate over the sample of real tables, whole and damaged.

iceberg_test.py MOAT    ends with "N passed, N failed"; exits 1 if any failed.
"""

import json
import os
import shutil
import subprocess
import sys
import traceback
from pathlib import Path

MOAT = os.path.abspath(sys.argv[1])
SAMPLE = Path("tests/data/iceberg")
VECTORS = "warehouse/hadoop/core/v3_bucket_id_dv_eq"


def run(*arguments):
    done = subprocess.run([MOAT, "iceberg", *map(str, arguments)], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def whole_tables(root):
    """Every table of the sample that could be moved is without a problem."""
    tables = sorted(path.parent for path in root.glob("warehouse/hadoop/*/*/metadata"))
    assert len(tables) > 20, tables
    for table in tables:
        code, out, err = run("validate", table, "--format", "json")
        assert code == 0, (table, out, err)
        report = json.loads(out)
        assert report["problems"] == 0 and report["checks"] > 0, (table, report)


def inspect_tells(root):
    """What inspect prints is what the snapshot's summary says."""
    code, out, err = run("inspect", root / VECTORS, "--format", "json")
    assert code == 0, err
    table = json.loads(out)
    path = table["metadata_location"]
    metadata = json.loads(Path(path).read_text())
    current = next(s for s in metadata["snapshots"] if s["snapshot-id"] == metadata["current-snapshot-id"])
    assert table["files"]["data_files"] == int(current["summary"]["total-data-files"])
    assert table["files"]["data_rows"] == int(current["summary"]["total-records"])
    assert table["files"]["deletion_vectors"] > 0
    assert table["schema"]["fields"] == metadata["schemas"][-1]["fields"]
    code, out, err = run("inspect", path)
    assert code == 0 and "deletion" not in err and "Partition specs" in out and "bucket" in out, out
    assert "\x1b" not in out
    assert "\x1b[1m" in run("inspect", path, "--color", "always")[1]


def damage_is_told(root):
    """A file cut short and a flipped byte are problems, with exit code 6."""
    table = root / VECTORS
    data = sorted(table.glob("data/**/*.parquet"))[0]
    data.write_bytes(data.read_bytes()[:-1])
    puffin = bytearray((file := sorted(table.glob("data/**/*.puffin"))[0]).read_bytes())
    puffin[30] ^= 1
    file.write_bytes(puffin)
    code, out, _ = run("validate", table)
    assert code == 6 and "PROBLEM  file-size:" in out and "PROBLEM  vector:" in out, out


def usage_is_clear(root):
    """Wrong paths and formats say what to do."""
    assert run("validate", root / "none")[0] == 1
    assert run("inspect")[0] == 2
    code, _, err = run("inspect", root / VECTORS, "--format", "csv")
    assert code == 1 and "table or json" in err, err
    code, out, _ = run("--help")
    assert code == 0 and "PATH is the folder of an Iceberg table" in out


def main():
    prefix = (SAMPLE / "prefix").read_text().strip()
    root = Path(f"{prefix[:-8]}{os.getpid() % 100000000:08d}")
    subprocess.run([sys.executable, "tests/interop/iceberg/relocate.py", SAMPLE, prefix, root], check=True,
                   stdout=subprocess.DEVNULL)
    passed, failed = 0, 0
    try:
        for case in (whole_tables, inspect_tells, damage_is_told, usage_is_clear):
            try:
                case(root)
                passed += 1
            except Exception:  # pylint: disable=broad-except
                failed += 1
                print(f"FAILED {case.__name__}: {case.__doc__}")
                traceback.print_exc(file=sys.stdout)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
