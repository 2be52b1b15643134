#!/usr/bin/env python3
"""One SQLite file, two programs: PyIceberg's SqlCatalog opens a catalog that Moat's layout made, and Moat one that PyIceberg made and changes.

    catalog_test.py MOAT LOCAL_CATALOG

    LOCAL_CATALOG   the program beside this that makes a catalog file as Moat does

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[3] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
except ImportError:
    if PYTHON.exists() and not os.environ.get("MOAT_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "MOAT_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

MOAT, MAKER = sys.argv[1:]


def moat(folder, sql):
    done = subprocess.run([MOAT, "--warehouse", folder / "moat", "--format", "arrow", "-c", sql], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return pa.ipc.open_stream(done.stdout).read_all().to_pylist()


def open_catalog(folder, name):
    return SqlCatalog(name, uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}/lake")


def rows(first, last):
    return pa.table({"id": pa.array(range(first, last), pa.int64()), "s": [f"row {i}" for i in range(first, last)]})


def moat_opens_what_pyiceberg_made(folder):
    catalog = open_catalog(folder, "py")
    catalog.create_namespace("sales", {"owner": "ann"})
    catalog.create_namespace(("sales", "eu"))
    table = catalog.create_table("sales.orders", schema=rows(0, 1).schema)
    table.append(rows(0, 5))
    attach = f"ATTACH '{folder}/catalog.sqlite' AS lake (TYPE iceberg_local)"
    assert moat(folder, f"{attach}; SELECT count(*) AS n, sum(id) AS total FROM lake.sales.orders") == [{"n": 5, "total": 10}]
    assert [row["schema"] for row in moat(folder, "SHOW SCHEMAS IN lake")] == ["sales", "sales.eu"]
    # What it commits later is there at once, and what it renames or drops is not.
    table.append(rows(5, 7))
    assert moat(folder, "SELECT count(*) AS n FROM lake.sales.orders") == [{"n": 7}]
    with table.update_schema() as update:
        update.rename_column("s", "title")
    assert moat(folder, "SELECT title FROM lake.sales.orders WHERE id = 6") == [{"title": "row 6"}]
    catalog.rename_table("sales.orders", "sales.eu.deals")
    assert moat(folder, 'SELECT count(*) AS n FROM lake."sales.eu".deals') == [{"n": 7}]
    assert moat(folder, "SHOW TABLES IN lake") == [{"schema": "sales.eu", "name": "deals", "kind": "BASE TABLE"}]
    # A second catalog in the file has to be told from the first.
    open_catalog(folder, "other").create_namespace("empty")
    done = subprocess.run([MOAT, "--warehouse", folder / "moat", "-c", "SELECT 1 FROM lake.sales.orders"], capture_output=True, check=False)
    assert done.returncode != 0 and b"CATALOG_NAME" in done.stderr, done.stderr
    assert moat(folder, f"{attach[:-1]}, CATALOG_NAME 'py')".replace("ATTACH", "ATTACH OR REPLACE") + '; SELECT count(*) AS n FROM lake."sales.eu".deals') == [{"n": 7}]


def pyiceberg_opens_what_moat_made(folder):
    source = open_catalog(folder, "py")
    source.create_namespace("tmp")
    table = source.create_table("tmp.t", schema=rows(0, 1).schema)
    table.append(rows(0, 3))
    made = folder / "made"
    made.mkdir()
    location = table.metadata_location
    subprocess.run([MAKER, made / "catalog.sqlite", "ours", f"sales={location}", "sales.eu="], check=True, stdout=subprocess.DEVNULL)
    catalog = open_catalog(made, "ours")
    assert sorted(catalog.list_namespaces()) == [("sales",)], catalog.list_namespaces()
    assert catalog.list_namespaces("sales") == [("sales", "eu")], catalog.list_namespaces("sales")
    assert catalog.load_namespace_properties("sales.eu") == {"exists": "true"}, catalog.load_namespace_properties("sales.eu")
    assert catalog.list_tables("sales") == [("sales", "t")]
    ours = catalog.load_table("sales.t")
    assert ours.scan().to_arrow().num_rows == 3
    # It may go on with the file, and both see what it did.
    ours.append(rows(3, 4))
    catalog.create_namespace("more")
    attach = f"ATTACH '{made}/catalog.sqlite' AS made (TYPE iceberg_local, WAREHOUSE '{folder}')"
    assert moat(folder, f"{attach}; SELECT max(id) AS m FROM made.sales.t") == [{"m": 3}]
    assert [row["schema"] for row in moat(folder, "SHOW SCHEMAS IN made")] == ["more", "sales", "sales.eu"]


def main():
    failed = 0
    tests = (moat_opens_what_pyiceberg_made, pyiceberg_opens_what_moat_made)
    for test in tests:
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run([MOAT, "init", f"{folder}/moat"], check=True, stdout=subprocess.DEVNULL)
            try:
                test(Path(folder))
            except Exception:
                failed += 1
                print(f"{test.__name__}: FAILED")
                traceback.print_exc(file=sys.stdout)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
