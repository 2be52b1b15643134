#!/usr/bin/env python3
"""TPC-DS' 99 queries in Trino's dialect, the texts that Trino's own benchmarks have, over Moat: all must run, and those that DuckDB understands as
they are must have the same rows.

tpcds.py MOAT [QUERY...]    with the Python of venv-interop, where DuckDB's generator is; skipped where that or the texts are not (tools/deps interop)

A decimal division or average of Trino has fewer digits than DuckDB's double, so numbers are compared to the digits that they have.
"""

import os
import re
import subprocess
import sys
import zipfile
from importlib.resources import files
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
TEXTS = CACHE / "trino-texts.jar"
SCALE = float(os.environ.get("MOAT_TPCDS_SCALE", "0.05"))
sys.path[:0] = [str(HERE), str(ROOT / "tests/http"), str(ROOT / "tests/wire")]


def generator():
    """A DuckDB with the tables of TPC-DS, or None."""
    try:
        import duckdb
        found = sorted(Path(str(files("duckdb_extension_tpcds"))).rglob("tpcds.duckdb_extension*"))
    except ImportError:
        return None
    if not found:
        return None
    connection = duckdb.connect()
    connection.execute(f"LOAD '{found[0]}'")
    connection.execute("ATTACH ':memory:' AS tpcds; CREATE SCHEMA tpcds.tiny")
    connection.execute(f"CALL dsdgen(sf = {SCALE}, catalog = 'tpcds', schema = 'tiny')")
    return connection


def make_tables(server, data):
    folder = Path(server.folder)
    tables = [name for name, in data.execute("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'tpcds'").fetchall()]
    text = ["GRANT ROLE moat_admin TO amelia"]
    for table in tables:
        data.execute(f"COPY tpcds.tiny.{table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
        text.append(f"CREATE EXTERNAL TABLE raw_{table} LOCATION '{folder}/{table}.parquet'; GRANT SELECT ON raw_{table} TO USER amelia")
    server.sql("; ".join(text))
    with server.connect(user="amelia") as client:
        client.query(f"ATTACH '{folder}/tpcds.db' AS tpcds (TYPE iceberg_local, CREATE true)")
        client.query("CREATE SCHEMA tpcds.tiny")
        for table in tables:
            client.query(f"CREATE TABLE tpcds.tiny.{table} AS SELECT * FROM raw_{table}")


def number_of(value):
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def key(row):
    """Texts first, then numbers by their size: those of the two sides differ in their last digits."""
    return [str(value) for value in row if number_of(value) is None], [f"{number_of(value):020.1f}" for value in row if number_of(value) is not None]


def is_same(got, want):
    """Of a decimal as many digits as it has, half a unit of the last one more or less; of a double six."""
    a, b = number_of(got), number_of(want)
    if a is None or b is None:
        return str(got) == str(want)
    digits = len(got.partition(".")[2]) if isinstance(got, str) else 12
    return abs(a - b) <= 0.51 * 10 ** -digits + 1e-6 * abs(b)


def differing(got, want):
    """The first pair of rows that differ, or None."""
    if len(got) != len(want):
        return f"{len(got)} rows, DuckDB has {len(want)}"
    for a, b in zip(sorted(got, key=key), sorted(want, key=key)):
        if len(a) != len(b) or not all(map(is_same, a, b)):
            return f"{a} is {list(b)} with DuckDB"
    return None


# A quotient of decimals is rounded, as with Trino, and goes on into a rank, a product or a sum: DuckDB's double does not.
BY_ROUNDED = {"q36", "q61", "q66"}
# Divides by a count that is 0 in a small scale (at 1 it has a row): an error to Trino.
MAY_DIVIDE_BY_ZERO = {"q90"}


def main(moat, names):
    from client import Session
    from door import WebServer, basic
    from protocol import PASSWORD
    data = generator()
    if data is None or not TEXTS.exists():
        print("skipped: DuckDB's generator of TPC-DS or Trino's texts are not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    passed = failed = compared = filled = 0
    with WebServer(moat, "login.insecure_loopback=true") as server, zipfile.ZipFile(TEXTS) as texts:
        make_tables(server, data)
        session = Session(server.web_port, {"Authorization": basic("amelia", PASSWORD), "X-Trino-Time-Zone": "UTC"})
        for path in sorted(name for name in texts.namelist() if re.search(r"tpcds/q\d+\.sql$", name)):
            name = Path(path).stem
            if names and name not in names:
                continue
            text = texts.read(path).decode()
            wrong = None
            for number, part in enumerate(part for part in text.split(";") if part.strip()):
                part = part.replace("${database}", "tpcds").replace("${schema}", "tiny")
                answer = session.run(part)
                if "error" in answer and name in MAY_DIVIDE_BY_ZERO and answer["error"][0] == "DIVISION_BY_ZERO":
                    break
                if "error" in answer:
                    wrong = f"{answer['error'][0]}: {answer['message']}"
                    break
                filled += bool(answer["rows"])
                try:
                    want = data.execute(part).fetchall()
                except Exception:
                    continue  # no text for DuckDB
                compared += name not in BY_ROUNDED
                what = None if name in BY_ROUNDED else differing(answer["rows"], want)
                wrong = wrong or (f"part {number}: {what}" if what else None)
            passed, failed = passed + (wrong is None), failed + (wrong is not None)
            if wrong:
                print(f"FAILED  {name}: {wrong[:600]}", flush=True)
    print(f"{filled} have rows, {compared} were compared with DuckDB")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    if PYTHON.exists() and Path(sys.prefix).resolve() != (CACHE / "venv-interop").resolve():
        sys.exit(subprocess.run([PYTHON, __file__, *sys.argv[1:]]).returncode)
    sys.exit(main(sys.argv[1], sys.argv[2:]))
