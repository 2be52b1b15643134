#!/usr/bin/env python3
"""The matrix of tables, written by Moat: read row for row by PyIceberg, DuckDB and Spark, changed by Spark, read by Moat.

    matrix_write_test.py MOAT [--tables N] [--sequences N] [--first N] [--seed N] [--spark] [--jobs N]

Table number i is of format version x partition transforms x mode x types x codec x order x what evolves (matrix_write.py); --first
and --tables say which part of it. Each table has --sequences random sequences of statements; the same statements on a plain
table of DuckDB say what the rows are. After each sequence Moat and another reader compare, after the last one all do,
`moat iceberg validate` is clean and no file is left that nothing names. With --spark, Spark (of tools/deps interop) reads
each table too, then inserts, updates, deletes and merges, and all read again. --jobs tables at a time, each job with a warehouse
and a catalog of its own; what a table goes through depends on the seed and its number alone.

Where PyIceberg is not installed, Moat alone reads. Ends with `N passed, N failed`; exits 1 if any failed.
"""

import argparse
import collections
import itertools
import datetime as dt
import math
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[3] / ".cache/deps"))
try:
    import duckdb
    import pyarrow as pa
except ImportError:
    for folder in ("venv-interop", "venv"):
        python = CACHE / folder / "bin/python"
        if python.exists() and os.environ.get("MOAT_REEXECUTED") != folder:
            os.execve(python, [str(python), *sys.argv], {**os.environ, "MOAT_REEXECUTED": folder})
    print("skipped: the Python packages of the group check are not here; tools/deps check installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
try:
    from pyiceberg.catalog.sql import SqlCatalog
except ImportError:
    SqlCatalog = None

from matrix_write import Twin, shapes

PARSER = argparse.ArgumentParser()
PARSER.add_argument("moat")
PARSER.add_argument("--tables", type=int, default=12)
PARSER.add_argument("--sequences", type=int, default=2)
PARSER.add_argument("--first", type=int, default=0)
PARSER.add_argument("--seed", type=int, default=int(time.time()))
PARSER.add_argument("--spark", action="store_true")
PARSER.add_argument("--jobs", type=int, default=os.cpu_count())
PARSER.add_argument("--minutes", type=float, default=1e9, help="no new table after that long")
OPTIONS = PARSER.parse_args()


class Counts:
    """What was done, by all jobs."""

    def __init__(self):
        self.lock, self.counts = threading.Lock(), collections.Counter()

    def add(self, what, number=1):
        with self.lock:
            self.counts[what] += number

    def __str__(self):
        with self.lock:
            return ", ".join(f"{count} {what}" for what, count in sorted(self.counts.items()))


COUNTS = Counts()


def plain(value):
    """What readers say in different words."""
    if isinstance(value, float):  # files keep one sign of zero where the engine's dictionary meets both: docs/iceberg.md
        return "nan" if math.isnan(value) else repr(value + 0.0)
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return str(value.astimezone(dt.timezone.utc))
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        return value.replace("-", "")
    if isinstance(value, (bytes, bytearray)):
        return bytes(value).hex()
    return value.hex if hasattr(value, "hex") else str(value)


def lines(rows, columns):
    return sorted(str([plain(row[name]) for name in columns]) for row in rows)


def same(reader, twin, rows, wanted):
    got = lines(rows, list(twin.columns))
    COUNTS.add(f"readings by {reader}")
    missing = list((collections.Counter(wanted) - collections.Counter(got)).elements())
    more = list((collections.Counter(got) - collections.Counter(wanted)).elements())
    assert got == wanted, f"{reader}: {len(got)} rows, not {len(wanted)}; missing {missing[:3]}, more {more[:3]}"


class World:
    """A job's warehouse of Moat, its iceberg_local catalog, and who reads it."""

    def __init__(self, folder, spark):
        self.folder = Path(folder)
        self.folder.mkdir()
        subprocess.run([OPTIONS.moat, "init", str(self.folder / "moat")], check=True, stdout=subprocess.DEVNULL)
        self.sql(f"ATTACH '{folder}/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true, CATALOG_NAME '{self.folder.name}'); CREATE SCHEMA lake.s")
        self.readers = ["moat"]
        if SqlCatalog is not None:
            from readers import load

            self.duckdb = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
            load(self.duckdb)
            self.duckdb.execute("SET TimeZone = 'UTC'")
            self.readers += ["pyiceberg", "duckdb"]
        self.spark = spark
        if spark is not None:
            for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "jdbc", ".uri": f"jdbc:sqlite:file:{folder}/cat.sqlite",
                               ".jdbc.schema-version": "V1", ".warehouse": f"file:{folder}", ".cache-enabled": "false"}.items():
                spark.conf.set(f"spark.sql.catalog.{self.folder.name}{key}", value)

    def run(self, text, form):
        command = [OPTIONS.moat, "--warehouse", str(self.folder / "moat"), "-q", "--format", form, "-c", text]
        done = subprocess.run(command, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def sql(self, text):
        """The rows, of one statement that gives any."""
        answer = self.run(text, "arrow")
        return pa.ipc.open_stream(answer).read_all().to_pylist() if answer else []

    def table(self, name):
        catalog = SqlCatalog(self.folder.name, uri=f"sqlite:///{self.folder}/cat.sqlite", warehouse=f"file://{self.folder}/warehouse")
        return catalog.load_table(f"s.{name}")

    def read(self, reader, twin):
        listed = ", ".join(twin.columns)
        if reader == "moat":
            return self.sql(f"SELECT {listed} FROM lake.s.{twin.name}")
        if reader == "pyiceberg":
            return self.table(twin.name).scan().to_arrow().to_pylist()
        if reader == "duckdb":
            location = self.table(twin.name).metadata_location.removeprefix("file://").removeprefix("file:")
            return self.duckdb.execute(f"SELECT {listed} FROM iceberg_scan('{location}')").to_arrow_table().to_pylist()
        return self.spark.sql(f"SELECT {listed} FROM {self.folder.name}.s.{twin.name}").toArrow().to_pylist()

    def is_of_an_older_version(self, name):
        """The table was upgraded from version 1, and the snapshot has no sequence number, or a manifest whose entries have none but are kept."""
        snapshot = (table := self.table(name)).current_snapshot()
        if table.format_version == 1 or snapshot is None:
            return False
        return not snapshot.sequence_number or any(not m.sequence_number and m.existing_files_count for m in snapshot.manifests(table.io))

    def validate(self, name):
        folder = self.folder / "warehouse" / "s" / name
        location = str(folder) if SqlCatalog is None else self.table(name).metadata_location.removeprefix("file://").removeprefix("file:")
        done = subprocess.run([OPTIONS.moat, "iceberg", "validate", location], capture_output=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(b"0 problems, 0 warnings"), done.stdout.decode() + done.stderr.decode()
        COUNTS.add("validations")

    def orphans(self, name):
        """Files of the table's folders that nothing names."""
        table = self.table(name)
        named = {entry.metadata_file for entry in table.metadata.metadata_log} | {table.metadata_location}
        for snapshot in table.metadata.snapshots:
            named.add(snapshot.manifest_list)
            for manifest in snapshot.manifests(table.io):
                named.add(manifest.manifest_path)
                named |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)}
        named = {path.removeprefix("file://") for path in named}
        folder = Path(table.location().removeprefix("file://"))
        return {str(path) for path in folder.rglob("*") if path.is_file()} - named


def start_spark(folder):
    import world as spark_world

    home = CACHE / "spark"
    return spark_world.World(folder / "spark", home).spark


def check(world, twin, readers):
    wanted = lines(twin.rows(), list(twin.columns))
    for reader in readers:
        if reader == "duckdb" and twin.version > 2 and twin.mode == "merge-on-read":
            COUNTS.add("readings left out of vectors by duckdb")  # README.md
            continue
        if reader == "duckdb" and world.is_of_an_older_version(twin.name):
            COUNTS.add("readings left out of upgraded snapshots by duckdb")  # README.md
            continue
        same(reader, twin, world.read(reader, twin), wanted)


def run_sequence(world, twin, number):
    name = f"lake.s.{twin.name}"
    statements = [text.format(t=name, b=f'lake.s."{twin.name}$branch_w"') for text in twin.sequence()]
    world.run("; ".join(statements), "jsonl")
    COUNTS.add("sequences")
    COUNTS.add("statements", len(statements))
    check(world, twin, ["moat", world.readers[1 + number % 2]] if len(world.readers) > 1 else ["moat"])
    for tag, ids in twin.tags.items():
        found = [row["id"] for row in world.sql(f"SELECT id FROM {name} AT (VERSION => '{tag}') ORDER BY 1")]
        assert found == ids, f"tag {tag}: {found} not {ids}"


def run_spark(world, twin):
    if not twin.is_for_spark:
        COUNTS.add("tables with a type that Spark has not")
        return
    check(world, twin, ["spark"])
    for statement in twin.spark_statements():
        twin.said = [statement]
        world.spark.sql(statement.format(t=f"{world.folder.name}.s.{twin.name}"))
        twin.db.execute(statement.format(t="t"))
        COUNTS.add("statements by Spark")
        check(world, twin, ["moat"])
    check(world, twin, ["spark", *world.readers])
    world.validate(twin.name)
    run_sequence(world, twin, 0)  # and by Moat again
    check(world, twin, ["spark"])


def run_table(world, shape):
    rng = random.Random(f"{OPTIONS.seed} {shape['name']}")
    twin = Twin(shape, rng, duckdb)
    try:
        world.sql(twin.create().format(t=f"lake.s.{twin.name}"))
        for number in range(OPTIONS.sequences):
            run_sequence(world, twin, number)
        check(world, twin, world.readers)
        world.validate(twin.name)
        if twin.version > 2:
            ids = [row["_row_id"] for row in world.sql(f"SELECT _row_id FROM lake.s.{twin.name}")]
            ids = [number for number in ids if number is not None or shape["version"] > 2]  # none until the first snapshot after an upgrade
            assert None not in ids and len(set(ids)) == len(ids), f"row ids {ids}"
        if SqlCatalog is not None:
            left = world.orphans(twin.name)
            assert not left, f"orphans {left}"
        if world.spark is not None:
            run_spark(world, twin)
        world.validate(twin.name)
    except Exception:
        print(f"{twin.name}: FAILED (--seed {OPTIONS.seed} --first {shape['name'][1:]} --tables 1)", shape, *twin.said, sep="\n    ")
        traceback.print_exc(limit=3, file=sys.stdout)
        sys.stdout.flush()
        return False
    finally:
        twin.db.close()
    return True


def main():
    results = collections.Counter()
    print(f"seed {OPTIONS.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(OPTIONS.jobs) as pool:
        spark = start_spark(Path(folder)) if OPTIONS.spark else None
        end = time.time() + 60 * OPTIONS.minutes
        lock = threading.Lock()
        every = ({**shape, "name": f"m{number}"} for number, shape in enumerate(itertools.cycle(shapes())))
        todo = itertools.islice(every, OPTIONS.first, OPTIONS.first + OPTIONS.tables)

        def next_shape():
            with lock:
                return next(todo, None) if time.time() < end else None

        def work(number):
            world = World(f"{folder}/job{number}", spark)
            while (shape := next_shape()) is not None:
                passed = run_table(world, shape)
                with lock:
                    results[passed] += 1
                    if sum(results.values()) % 10 == 0:
                        print(f"{results[True]} passed, {results[False]} failed so far; {COUNTS}", flush=True)

        list(pool.map(work, range(OPTIONS.jobs)))
    print(COUNTS)
    print(f"{results[True]} passed, {results[False]} failed")
    return 1 if results[False] else 0


if __name__ == "__main__":
    sys.exit(main())
