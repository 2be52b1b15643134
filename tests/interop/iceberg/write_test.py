#!/usr/bin/env python3
"""Tables that Moat writes, read by PyIceberg and DuckDB, and by Moat itself.

    write_test.py MOAT [--only NAME] [--seed N] [--rounds N]

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import argparse
import datetime as dt
import decimal
import json
import math
import os
import random
import re
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[3] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyarrow as pa
    import pyarrow.parquet
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.conversions import from_bytes
    from pyiceberg.table import StaticTable
    import fastavro
except ImportError:
    if PYTHON.exists() and not os.environ.get("MOAT_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "MOAT_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

PARSER = argparse.ArgumentParser()
PARSER.add_argument("moat")
PARSER.add_argument("--only", default="")
PARSER.add_argument("--seed", type=int, default=int(time.time()))
PARSER.add_argument("--rounds", type=int, default=12)
ARGUMENTS = PARSER.parse_args()
UTC = dt.timezone.utc


class World:
    """A warehouse of Moat and an iceberg_local catalog in one folder."""

    def __init__(self, folder):
        self.folder = Path(folder)
        subprocess.run([ARGUMENTS.moat, "init", str(self.folder / "moat")], check=True, stdout=subprocess.DEVNULL)
        self.sql(f"ATTACH '{folder}/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true); CREATE SCHEMA lake.s")

    def command(self, sql, settings=()):
        return [ARGUMENTS.moat, "--warehouse", str(self.folder / "moat"), "-q", "--format", "arrow", *[word for setting in settings for word in ("--set", setting)], "-c", sql]

    def sql(self, sql, error=None, settings=()):
        done = subprocess.run(self.command(sql, settings), capture_output=True, check=False)
        if error is not None:
            assert done.returncode != 0, f"no error: {sql}"
            assert error in done.stderr.decode(), done.stderr.decode()
            return []
        assert done.returncode == 0, f"{sql}\n{done.stderr.decode()}"
        return pa.ipc.open_stream(done.stdout).read_all().to_pylist() if done.stdout else []

    def catalog(self):
        return SqlCatalog("lake", uri=f"sqlite:///{self.folder}/cat.sqlite", warehouse=f"file://{self.folder}/warehouse")

    def table(self, name):
        return self.catalog().load_table(f"s.{name}")

    def validate(self, name):
        with sqlite3.connect(f"{self.folder}/cat.sqlite") as catalog:
            location, = catalog.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace = 's' AND table_name = ?", [name]).fetchone()
        location = location.removeprefix("file://")
        done = subprocess.run([ARGUMENTS.moat, "iceberg", "validate", location], capture_output=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(b"0 problems, 0 warnings"), done.stdout.decode() + done.stderr.decode()

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


def duckdb_rows(world, name, order):
    import duckdb
    from readers import load

    connection = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
    load(connection)
    connection.execute("SET TimeZone = 'UTC'")
    location = world.table(name).metadata_location.removeprefix("file://")
    return connection.execute(f"SELECT * FROM iceberg_scan('{location}') ORDER BY {order}").to_arrow_table().to_pylist()


def plain(value):
    """What readers say in different words: NaN, maps as lists, uuids."""
    if isinstance(value, float) and math.isnan(value):
        return "nan"
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(UTC)
    if isinstance(value, str) and re.fullmatch("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value):
        return value.replace("-", "")
    return value.hex if hasattr(value, "hex") and not isinstance(value, (bytes, float)) else value


def read_by_all(world, name, order, with_duckdb=True):
    """The rows, which all readers agree about."""
    world.validate(name)
    ours = plain(world.sql(f"SELECT * FROM lake.s.{name} ORDER BY {order}"))
    theirs = plain(world.table(name).scan().to_arrow().to_pylist())
    # Rows that are alike by `order` may come in any order of their own.
    key = lambda row: (tuple((row[column] is None, row[column]) for column in order.split(", ")), str(row))  # noqa: E731
    ours.sort(key=key)
    theirs.sort(key=key)
    assert ours == theirs, f"moat {ours[:3]} pyiceberg {theirs[:3]}"
    if with_duckdb:
        other = plain(duckdb_rows(world, name, order))
        other.sort(key=key)
        assert len(other) == len(ours), (len(other), len(ours))
        assert [str(row) for row in other] == [str(row) for row in ours], f"moat {ours[:3]} duckdb {other[:3]}"
    return ours


TYPES = {
    "b": ("BOOLEAN", ["true", "false", "NULL"]),
    "i": ("INTEGER", ["-2147483648", "2147483647", "0", "NULL"]),
    "l": ("BIGINT", ["-9223372036854775808", "9223372036854775807", "NULL"]),
    "f": ("FLOAT", ["'nan'", "-1.5", "'inf'", "0.1", "NULL"]),
    "d": ("DOUBLE", ["1e308", "'-0.0'", "0.0", "5e-324", "'-inf'", "NULL"]),
    "n9": ("DECIMAL(9,2)", ["1234567.89", "-0.01", "NULL"]),
    "n18": ("DECIMAL(18,0)", ["999999999999999999", "-1", "NULL"]),
    "n38": ("DECIMAL(38,10)", ["-1234567890123456789012345678.0123456789", "0.0000000001", "NULL"]),
    "day": ("DATE", ["DATE '1969-12-31'", "DATE '2024-02-29'", "NULL"]),
    "t": ("TIME", ["TIME '23:59:59.999999'", "TIME '00:00:00'", "NULL"]),
    "ts": ("TIMESTAMP", ["TIMESTAMP '1969-12-31 23:59:59.999999'", "TIMESTAMP '2024-02-29 12:00:00.5'", "NULL"]),
    "tz": ("TIMESTAMP WITH TIME ZONE", ["TIMESTAMPTZ '1969-12-31 23:59:59.999999+00'", "TIMESTAMPTZ '2024-02-29 12:00:00+02'", "NULL"]),
    "s": ("VARCHAR", ["''", "'a''b'", "'ünïcode 😀 and long enough to be cut somewhere'", f"'{'z' * 40}'", "NULL"]),
    "u": ("UUID", ["'f79c3e09-677c-4bbd-a479-3f349cb785e7'", "'00000000-0000-0000-0000-000000000001'", "NULL"]),
    "y": ("BLOB", ["'\\x00\\xFF'::BLOB", "''::BLOB", f"'{chr(92)}xFF'::BLOB", "NULL"]),
    "st": ("STRUCT(x INTEGER, z VARCHAR)", ["{'x': 1, 'z': 'q'}", "{'x': NULL, 'z': NULL}", "NULL"]),
    "li": ("INTEGER[]", ["[1, NULL, 3]", "[]", "NULL"]),
    "ma": ("MAP(VARCHAR, BIGINT)", ["MAP {'k': 1, 'l': NULL}", "NULL"]),
    "deep": ("STRUCT(a STRUCT(b INTEGER[])[])", ["{'a': [{'b': [1, 2]}, {'b': NULL}]}", "NULL"]),
}


def every_type_is_written_and_read_by_all(world):
    columns = ", ".join(f"{name} {kind}" for name, (kind, _) in TYPES.items())
    for version in (1, 2, 3):
        table = f"types{version}"
        world.sql(f"CREATE TABLE lake.s.{table} (id BIGINT NOT NULL, {columns}) WITH (format_version = {version})")
        values = []
        for i in range(6):
            values.append(f"({i}, " + ", ".join(f"CAST({texts[i % len(texts)]} AS {kind})" for kind, texts in TYPES.values()) + ")")
        world.sql(f"INSERT INTO lake.s.{table} VALUES {', '.join(values)}")
        rows = read_by_all(world, table, "id", with_duckdb=version < 3)
        assert len(rows) == 6
        assert world.table(table).metadata.format_version == version
        check_metrics(world.table(table))


def check_metrics(table):
    """Every bound is a bound, and exact where it is not cut."""
    for manifest in table.current_snapshot().manifests(table.io):
        for entry in manifest.fetch_manifest_entry(table.io):
            file = entry.data_file
            rows = pa.parquet.read_table(file.file_path.removeprefix("file://")).to_pylist()
            assert file.record_count == len(rows)
            assert file.file_size_in_bytes == Path(file.file_path.removeprefix("file://")).stat().st_size
            for field in table.schema().fields:
                values = [row[field.name] for row in rows]
                check_column(file, field, values)


def check_column(file, field, values):
    if not field.field_type.is_primitive:
        return
    present = [value for value in values if value is not None]
    nans = sum(1 for value in present if isinstance(value, float) and math.isnan(value))
    assert file.value_counts[field.field_id] == len(values)
    assert file.null_value_counts[field.field_id] == len(values) - len(present)
    if str(field.field_type) in ("float", "double") and present:
        assert file.nan_value_counts[field.field_id] == nans, (field, file.nan_value_counts)
    present = [value for value in present if not (isinstance(value, float) and math.isnan(value))]
    lower = (file.lower_bounds or {}).get(field.field_id)
    upper = (file.upper_bounds or {}).get(field.field_id)
    if not present:
        assert lower is None and upper is None
        return
    if str(field.field_type) == "uuid":
        present = [getattr(value, "bytes", value) for value in present]
    else:
        present = [internal(value, field.field_type) for value in present]  # what from_bytes gives
    if lower is not None:
        least = from_bytes(field.field_type, lower)
        assert least <= min(present), (field, least, min(present))
    if upper is not None:
        most = from_bytes(field.field_type, upper)
        assert most >= max(present), (field, most, max(present))
    if not isinstance(present[0], (str, bytes)) and str(field.field_type) not in ("uuid", "boolean"):
        assert lower is not None and least == min(present) and most == max(present), (field, least, most)


PARTITIONS = [
    ("id", "bucket(7, {})"), ("id", "truncate(10, {})"), ("id", "{}"), ("i", "bucket(3, {})"), ("i", "truncate(16, {})"),
    ("day", "{}"), ("day", "year({})"), ("day", "month({})"), ("day", "day({})"), ("day", "bucket(5, {})"),
    ("ts", "year({})"), ("ts", "month({})"), ("ts", "day({})"), ("ts", "hour({})"), ("ts", "bucket(5, {})"), ("ts", "{}"),
    ("tz", "year({})"), ("tz", "month({})"), ("tz", "day({})"), ("tz", "hour({})"), ("tz", "bucket(4, {})"), ("tz", "{}"),
    ("s", "{}"), ("s", "truncate(3, {})"), ("s", "bucket(6, {})"), ("u", "bucket(4, {})"), ("u", "{}"), ("y", "bucket(4, {})"),
    ("y", "truncate(1, {})"), ("y", "{}"), ("n9", "bucket(4, {})"), ("n9", "truncate(50, {})"), ("n9", "{}"), ("n38", "bucket(4, {})"),
    ("n38", "truncate(1000, {})"), ("t", "bucket(4, {})"), ("t", "{}"), ("b", "{}"), ("f", "{}"), ("d", "{}"), ("id", "void({})"),
]


def every_transform_is_pyicebergs(world):
    """Each file holds only rows whose partition is the file's, by PyIceberg's own transforms."""
    rng = random.Random(ARGUMENTS.seed)
    for number, (column, form) in enumerate(PARTITIONS):
        kinds = {"id": "BIGINT", **{name: kind for name, (kind, _) in TYPES.items()}}
        texts = [str(value) for value in (-11, -10, -1, 0, 1, 9, 10, 34, 2**40)] if column == "id" else list(TYPES[column][1])
        if column in ("ts", "tz"):
            texts += [f"{'TIMESTAMPTZ' if column == 'tz' else 'TIMESTAMP'} '{rng.randint(1900, 2100)}-0{rng.randint(1, 9)}-1{rng.randint(0, 9)} 0{rng.randint(0, 9)}:30:00'" for _ in range(6)]
        if column in ("i", "n9"):
            texts += [str(rng.randint(-(10**6), 10**6)) for _ in range(6)]
        if column == "i" and "truncate" in form:
            texts = [text for text in texts if text != "-2147483648"]  # there is no multiple of 16 that far below
        table = f"p{number}"
        world.sql(f"CREATE TABLE lake.s.{table} (k INTEGER, {column} {kinds[column]}) PARTITIONED BY ({form.format(column)})")
        values = ", ".join(f"({i}, CAST({text} AS {kinds[column]}))" for i, text in enumerate(texts + ["NULL"]))
        world.sql(f"INSERT INTO lake.s.{table} VALUES {values}")
        rows = read_by_all(world, table, "k", with_duckdb=False)
        assert len(rows) == len(texts) + 1
        check_partitions(world.table(table), column)


def check_partitions(table, column):
    field = table.spec().fields[0]
    source = table.schema().find_type(field.source_id)
    transform = field.transform.transform(source)
    if str(source) == "double":
        return check_doubles(table, column)
    for task in table.scan().plan_files():
        part = table.scan().filter("k is null or k >= 0")
        rows = pa.parquet.read_table(task.file.file_path.removeprefix("file://"))
        for value in rows.column(column).to_pylist():
            expected = transform(internal(value, source)) if value is not None else None
            got = task.file.partition[0]
            same = expected == got or (isinstance(expected, float) and math.isnan(expected) and math.isnan(got))
            assert same or str(field.transform) == "void", (str(field.transform), value, expected, got)
        del part


def check_doubles(table, column):
    """As written: PyIceberg reads doubles of partitions as floats, 1e308 as inf."""
    for manifest in table.current_snapshot().manifests(table.io):
        with open(manifest.manifest_path.removeprefix("file://"), "rb") as file:
            entries = list(fastavro.reader(file))
        for entry in entries:
            rows = pa.parquet.read_table(entry["data_file"]["file_path"].removeprefix("file://"))
            values = {repr(value) for value in rows.column(column).to_pylist()}
            assert values == {repr(entry["data_file"]["partition"][column])}, (values, entry["data_file"]["partition"])


def internal(value, kind):
    """As PyIceberg's transforms take it."""
    import uuid

    epoch = dt.datetime(1970, 1, 1)
    if isinstance(value, dt.datetime):
        plain_value = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return (plain_value - epoch) // dt.timedelta(microseconds=1)
    if isinstance(value, dt.date):
        return (value - epoch.date()).days
    if isinstance(value, dt.time):
        return ((value.hour * 60 + value.minute) * 60 + value.second) * 1000000 + value.microsecond
    if str(kind) == "uuid" and isinstance(value, bytes):
        return uuid.UUID(bytes=value)
    return value


def random_writes_keep_the_rows(world):
    """Tables of random shape, random inserts and truncates: the rows are those of the same statements in a temporary table."""
    rng = random.Random(ARGUMENTS.seed)
    print(f"seed {ARGUMENTS.seed}")
    for round_number in range(ARGUMENTS.rounds):
        forms = rng.sample(["bucket(3, id)", "truncate(2, s)", "day(ts)", "month(d)", "id", "bucket(2, s)"], rng.randint(0, 3))
        by = f"PARTITIONED BY ({', '.join(forms)})" if forms else ""
        version = rng.choice((1, 2, 3))
        table = f"r{round_number}"
        statements = [f"CREATE TABLE lake.s.{table} (id BIGINT, s VARCHAR, ts TIMESTAMP, d DATE) {by} WITH (format_version = {version}, \"write.target-file-size-bytes\" = 65536)"]
        mirror = ["CREATE TEMP TABLE mirror (id BIGINT, s VARCHAR, ts TIMESTAMP, d DATE)"]
        for _ in range(rng.randint(1, 5)):
            kind = rng.random()
            if kind < 0.15:
                statements.append(f"TRUNCATE lake.s.{table}")
                mirror.append("TRUNCATE mirror")
                continue
            count = rng.choice((0, 1, 7, 40))
            select = (
                f"SELECT CASE WHEN i % 5 = 0 THEN NULL ELSE i * {rng.randint(1, 9)} END, 's' || (i % {rng.randint(1, 9)}), "
                f"TIMESTAMP '2020-01-01' + to_hours(CAST(i * {rng.randint(1, 30)} AS INTEGER)), DATE '1969-11-01' + CAST(i * {rng.randint(0, 40)} AS INTEGER) FROM range({count}) r(i)"
            )
            statements.append(f"INSERT INTO lake.s.{table} {select}")
            mirror.append(f"INSERT INTO mirror {select}")
        left = f"(SELECT * FROM lake.s.{table})"
        compare = f"SELECT (SELECT count(*) FROM {left} x) - (SELECT count(*) FROM mirror) AS n, (SELECT count(*) FROM ({left} EXCEPT ALL SELECT * FROM mirror)) AS more"
        for statement in statements:
            world.sql(statement)
        assert world.sql("; ".join(mirror + [compare])) == [{"n": 0, "more": 0}], statements
        read_by_all(world, table, "id, s, ts", with_duckdb=False)
        assert not world.orphans(table), world.orphans(table)


def refusals_leave_nothing(world):
    world.sql("CREATE TABLE lake.s.t (id BIGINT NOT NULL, x INTEGER)")
    world.sql("INSERT INTO lake.s.t VALUES (1, 2)")
    before = world.table("t").metadata_location
    world.sql("INSERT INTO lake.s.t VALUES (NULL, 1)", error="23502")
    world.sql("INSERT INTO lake.s.t SELECT 1, 'no number'", error="22P02")
    world.sql("INSERT INTO lake.s.t SELECT i, CASE WHEN i < 500000 THEN 1 ELSE error('late') END FROM range(1000000) r(i)", error="late")
    world.sql("INSERT INTO lake.s.t VALUES (1, 2, 3)", error="3 values for 2 columns")
    world.sql("INSERT INTO lake.s.t (id, nothing) VALUES (1, 2)", error="42703")
    world.sql("BEGIN; INSERT INTO lake.s.t VALUES (1, 2); CALL moat.rewrite_manifests('lake.s.t'); COMMIT", error="25001")
    world.sql("CREATE TABLE lake.s.t (a INTEGER)", error="42P07")
    world.sql("CREATE TABLE lake.none.t (a INTEGER)", error="3F000")
    world.sql("CREATE TABLE lake.s.u (a INTEGER DEFAULT 5)", error="format_version = 3")
    world.sql("CREATE TABLE lake.s.u (a VARCHAR) PARTITIONED BY (year(a))", error="does not take values of type string")
    world.sql("CREATE USER bob; GRANT SELECT ON lake.s.t TO USER bob")
    done = subprocess.run(world.command("INSERT INTO lake.s.t VALUES (7, 7)")[:3] + ["--as", "bob", "-c", "INSERT INTO lake.s.t VALUES (7, 7)"], capture_output=True, check=False)
    assert done.returncode != 0 and b"42501" in done.stderr, done.stderr
    assert world.table("t").metadata_location == before
    assert not world.orphans("t"), world.orphans("t")


def defaults_are_written(world):
    world.sql("CREATE TABLE lake.s.t (id BIGINT, n INTEGER DEFAULT 7, s VARCHAR DEFAULT 'none') WITH (format_version = 3)")
    world.sql("INSERT INTO lake.s.t (id) VALUES (1)")
    world.sql("INSERT INTO lake.s.t (s, id) VALUES ('x', 2)")
    assert world.sql("SELECT * FROM lake.s.t ORDER BY id") == [{"id": 1, "n": 7, "s": "none"}, {"id": 2, "n": 7, "s": "x"}]


def both_write_one_table(world):
    """PyIceberg and Moat append in turn; members of the metadata that neither knows stay."""
    table = world.catalog().create_table("s.t", schema=pa.schema([("id", pa.int64()), ("s", pa.string())]), properties={"odd.key": "ödd"})
    world.sql("INSERT INTO lake.s.t VALUES (1, 'moat')")
    table.refresh()
    table.append(pa.table({"id": pa.array([2], pa.int64()), "s": ["pyiceberg"]}))
    path = Path(table.metadata_location.removeprefix("file://"))
    document = json.loads(path.read_text())
    document["x-of-another"] = {"deep": [1, 1.50, "é"], "big": 123456789012345678901234567890}
    path.write_text(json.dumps(document))
    world.sql("INSERT INTO lake.s.t VALUES (3, 'moat')")
    rows = read_by_all(world, "t", "id")
    assert [row["s"] for row in rows] == ["moat", "pyiceberg", "moat"]
    now = json.loads(Path(world.table("t").metadata_location.removeprefix("file://")).read_text())
    assert now["x-of-another"] == document["x-of-another"] and now["properties"] == {"odd.key": "ödd"}
    assert [entry["metadata-file"] for entry in now["metadata-log"]][-1] == table.metadata_location
    assert now["snapshots"][0] == document["snapshots"][0]
    ours = world.table("t").snapshots()[-1].summary
    assert ours["total-records"] == "3" and ours["moat.query-id"], ours


def hadoop_tables_are_versioned(world):
    folder = world.folder / "hadoop"
    (folder / "a/first/metadata").mkdir(parents=True)
    first = {"format-version": 1, "table-uuid": "11111111-2222-4333-8444-555555555555", "location": f"{folder}/a/first", "last-updated-ms": 1, "last-column-id": 1,
             "schema": {"type": "struct", "fields": [{"id": 1, "name": "id", "required": False, "type": "long"}]}, "partition-spec": []}
    (folder / "a/first/metadata/v1.metadata.json").write_text(json.dumps(first))
    world.sql(f"ATTACH '{folder}' AS h (TYPE iceberg_hadoop)")
    world.sql("CREATE TABLE h.a.t PARTITIONED BY (bucket(2, id)) AS SELECT i AS id FROM range(5) r(i)")
    world.sql("INSERT INTO h.a.t VALUES (5)")
    world.sql("INSERT INTO h.a.first VALUES (1), (2)")  # an old table, which has neither refs nor lists of schemas and specs
    old = StaticTable.from_metadata(str(folder / "a/first/metadata/v2.metadata.json"))
    assert sorted(old.scan().to_arrow().column("id").to_pylist()) == [1, 2]
    assert (folder / "a/t/metadata/version-hint.text").read_text() == "2"
    (folder / "a/t/metadata/version-hint.text").unlink()
    world.sql("INSERT INTO h.a.t VALUES (6)")
    static = StaticTable.from_metadata(str(folder / "a/t/metadata/v3.metadata.json"))
    assert sorted(static.scan().to_arrow().column("id").to_pylist()) == list(range(7))
    assert world.sql("SELECT sum(id) AS n FROM h.a.t") == [{"n": 21}]


class WellKnownBinary(pa.ExtensionType):
    """By its name pyarrow gives a column Parquet's type GEOMETRY, or GEOGRAPHY where it has edges."""

    def __init__(self, said):
        self.said = said
        super().__init__(pa.binary(), "geoarrow.wkb")

    def __arrow_ext_serialize__(self):
        return self.said.encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, _, said):
        return cls(said.decode())


def random_shape(rng):
    dimension = rng.choice(("", " Z", " M", " ZM"))

    def point():
        return " ".join(str(rng.choice((rng.randint(-180, 180), rng.uniform(-90, 90)))) for _ in range(1 + len(dimension.strip()) + 1))

    def points(least=2):
        return f"({', '.join(point() for _ in range(rng.randint(least, 4)))})"

    first = point()
    return rng.choice((f"POINT{dimension} ({point()})", f"LINESTRING{dimension} {points()}", f"POLYGON{dimension} (({first}, {point()}, {point()}, {first}))", f"MULTIPOINT{dimension} {points(1)}",
                       f"MULTILINESTRING{dimension} ({points()}, {points()})", f"GEOMETRYCOLLECTION{dimension} (POINT{dimension} ({point()}), LINESTRING{dimension} {points()})", "POINT EMPTY", "POLYGON EMPTY", None))


def geometries_are_read_by_all(world):
    """Columns of type geometry: the values by DuckDB, Parquet's type and reference system by pyarrow, through changes of rows. And files of
    others, whatever they call such a column, as a geometry and as a geography. (All that is written, and by Spark too: geo_test.py.)"""
    import duckdb

    rng = random.Random(ARGUMENTS.seed)
    world.sql("CREATE TABLE lake.s.t (id INTEGER, g GEOMETRY, far GEOMETRY('srid:3857')) WITH (format_version = 3, 'write.delete.mode' = 'merge-on-read')")
    world.sql("CREATE TABLE lake.s.parted (id INTEGER, g GEOMETRY('EPSG:25832') NOT NULL) PARTITIONED BY (bucket(3, id)) SORTED BY (id) WITH (format_version = 3)")
    wanted = {i: (random_shape(rng), random_shape(rng)) for i in range(60)}

    def value(text):
        return "NULL" if text is None else f"ST_GeomFromText('{text}')"

    world.sql("INSERT INTO lake.s.t VALUES " + ", ".join(f"({i}, {value(a)}, {value(b)})" for i, (a, b) in wanted.items()))
    world.sql("UPDATE lake.s.t SET g = far, far = g WHERE id % 5 = 0")
    world.sql("DELETE FROM lake.s.t WHERE id % 7 = 0")
    wanted = {i: (b, a) if i % 5 == 0 else (a, b) for i, (a, b) in wanted.items() if i % 7}
    world.sql("INSERT INTO lake.s.parted SELECT id, g FROM lake.s.t WHERE g IS NOT NULL")
    own = {row["id"]: (row["g"], row["far"]) for row in world.sql("SELECT id, ST_AsText(g) AS g, ST_AsText(far) AS far FROM lake.s.t")}
    for call in (None, "CALL moat.rewrite_data_files('lake.s.t', rewrite_all => true)"):
        world.sql(call or "SELECT 1")
        for name, systems in (("t", {"g": "", "far": "srid:3857"}), ("parted", {"g": "EPSG:25832"})):
            files = [row["file_path"] for row in world.sql(f'SELECT file_path FROM lake.s."{name}$data_files"')]
            for file in files:
                schema = pa.parquet.ParquetFile(file).schema
                assert {column.name: str(column.logical_type) for column in schema if column.name in systems} == {key: f"Geometry(crs={system})" for key, system in systems.items()}, schema
            columns = ", ".join(f"ST_AsText({key})" for key in systems)
            rows = {row[0]: row[1:] for row in duckdb.execute(f"SELECT id, {columns} FROM read_parquet(?)", [files]).fetchall()}
            assert all(rows[i] == own[i][:len(systems)] for i in own if i in rows) and len(set(rows) & set(own)) >= 40, name
            world.validate(name)
    given = duckdb.execute("SELECT i, ST_AsText(a::GEOMETRY), ST_AsText(b::GEOMETRY) FROM (SELECT unnest(?) AS i, unnest(?) AS a, unnest(?) AS b)", [list(wanted), [a for a, _ in wanted.values()], [b for _, b in wanted.values()]]).fetchall()
    assert own == {row[0]: row[1:] for row in given}
    assert {row["id"] for row in world.sql("SELECT id FROM lake.s.t WHERE g = ST_GeomFromText('POINT EMPTY')")} == {i for i, (a, _) in wanted.items() if a == "POINT EMPTY"}
    assert world.sql("SELECT count(*) AS n FROM lake.s.t WHERE g IS NULL")[0]["n"] == sum(a is None for a, _ in wanted.values())
    files_of_others_hold_geometries(world)


def files_of_others_hold_geometries(world):
    import duckdb

    shapes = ["POINT (1 2)", None, "LINESTRING Z (0 0 1, 500 -7 2)"]  # of which a geography has no longitude
    bytes_ = [row[0] for row in duckdb.execute("SELECT ST_AsWKB(t::GEOMETRY) FROM (SELECT unnest(?) AS t)", [shapes]).fetchall()]
    big_endian = b"\x00\x00\x00\x00\x01" + struct.pack(">dd", 1, 2)
    ids = [pa.field("id", pa.int32(), metadata={"PARQUET:field_id": "1"})]
    for number, (type_, said) in enumerate((("geography", '{"edges":"spherical"}'), ("geography(OGC:CRS84, karney)", None), ("geometry(srid:3857)", '{"crs":"srid:3857"}'), ("geometry", "geoparquet"))):
        name = f"foreign{number}"
        world.sql(f"CREATE TABLE lake.s.{name} (id INTEGER, g GEOMETRY) WITH (format_version = 3)")
        long = ", ".join(f"{random.random()} {random.random()}" for _ in range(200))
        world.sql(f"INSERT INTO lake.s.{name} VALUES (1, ST_GeomFromText('LINESTRING ({long})')), (2, NULL), (3, NULL)")
        file = world.sql(f'SELECT file_path FROM lake.s."{name}$data_files"')[0]["file_path"]
        values = [big_endian if said == '{"crs":"srid:3857"}' else bytes_[0], *bytes_[1:]]
        size, pad, written = os.path.getsize(file), 1000, 0
        while written != size:  # the manifest knows it
            pad += size - written if written else 0
            if said == "geoparquet":
                rows = pa.table({"id": [1, 2, 3], "w": pa.array(values, pa.binary())})
                duckdb.from_arrow(rows).query("rows", f"COPY (SELECT id::INTEGER AS id, ST_GeomFromWKB(w) AS g FROM rows) TO '{file}' (FORMAT parquet, FIELD_IDS {{id: 1, g: 2}}, KV_METADATA {{pad: '{'x' * pad}'}})")
            else:
                stored = pa.array(values, pa.binary())
                column = stored if said is None else pa.ExtensionArray.from_storage(WellKnownBinary(said), stored)
                schema = pa.schema([*ids, pa.field("g", column.type, metadata={"PARQUET:field_id": "2"})])
                with pa.parquet.ParquetWriter(file, schema, store_schema=False) as writer:
                    writer.write_table(pa.Table.from_arrays([pa.array([1, 2, 3], pa.int32()), column], schema=schema))
                    writer.add_key_value_metadata({"pad": "x" * pad})
            written = os.path.getsize(file)
        with sqlite3.connect(world.folder / "cat.sqlite") as catalog:
            location, = catalog.execute("SELECT metadata_location FROM iceberg_tables WHERE table_name = ?", [name]).fetchone()
        path = Path(location.removeprefix("file://"))
        path.write_text(path.read_text().replace('"geometry"', json.dumps(type_)))
        found = world.sql(f"SELECT id, g, ST_AsText(g) AS t FROM lake.s.{name} ORDER BY id")
        assert [row["t"] for row in found] == shapes, (type_, said, found)
        assert [row["g"] for row in found] == bytes_ or said is None, (type_, said, found)
        world.sql(f"INSERT INTO lake.s.{name} VALUES (4, ST_GeomFromText('POINT (7 8)'))")
        compact = f"CALL moat.rewrite_data_files('lake.s.{name}', rewrite_all => true)"
        kept = shapes
        if type_.startswith("geography"):
            beyond = "no longitude of -180 to 180"
            world.sql(compact, error=beyond)
            world.sql(f"UPDATE lake.s.{name} SET g = NULL WHERE id = 1", error=beyond)
            world.sql(f"ALTER TABLE lake.s.{name} SET ('write.update.mode' = 'merge-on-read')")
            world.sql(f"UPDATE lake.s.{name} SET g = NULL WHERE id = 1")
            world.sql(f"UPDATE lake.s.{name} SET g = ST_GeomFromText('POINT (5 6)') WHERE id = 3")
            kept = [None, None, "POINT (5 6)"]
        world.sql(compact)
        found = world.sql(f"SELECT id, g, ST_AsText(g) AS t FROM lake.s.{name} ORDER BY id")
        assert [row["t"] for row in found] == [*kept, "POINT (7 8)"], (type_, said, found)
        file, = [row["file_path"] for row in world.sql(f'SELECT file_path FROM lake.s."{name}$data_files"')]
        kind, _, rest = type_.rstrip(")").partition("(")
        crs, _, edges = rest.partition(", ")
        wanted = f"Geography(crs={crs.replace('OGC:CRS84', '')}, algorithm={edges or 'spherical'})" if kind == "geography" else f"Geometry(crs={crs})"
        assert str(pa.parquet.ParquetFile(file).schema.column(1).logical_type) == wanted, (file, wanted)


def instants_are_read_by_all(world):
    """Columns of timestamptz_ns: rows, bounds and partitions by PyIceberg, Parquet's type by pyarrow, through changes of rows; conditions of
    any kind find the rows that the numbers say. (DuckDB's iceberg has no such type, nor Spark 4.0. PyIceberg cannot read manifests that are
    partitioned by the value itself.)"""
    import duckdb

    rng = random.Random(ARGUMENTS.seed)
    second, day = 10**9, 86400 * 10**9
    edges = [-1, 0, 1, 999, 1000, -1000, -1001, day, day - 1, -day, 1510871468000001001, -(2**63) + day, 2**63 - 2]
    values = {i: number for i, number in enumerate(edges + [rng.randint(-(2**62), 2**62) for _ in range(20)] + [rng.randint(0, 4) * day + rng.randint(-2, 2) for _ in range(20)] + [None])}

    def literal(number):
        return "NULL" if number is None else f"CAST(TIMESTAMP '1970-01-01 00:00:00' + INTERVAL ({number // 1000}) MICROSECONDS AS TIMESTAMPTZ_NS)" if number % 1000 == 0 else f"'{text(number)}'::TIMESTAMPTZ_NS"

    def text(number):
        moment = dt.datetime(1970, 1, 1) + dt.timedelta(seconds=number // second)
        return f"{moment:%Y-%m-%d %H:%M:%S}.{number % second:09d}+00"

    forms = {"plain": "", "years": "year(c)", "months": "month(c)", "days": "day(c)", "hours": "hour(c)", "buckets": "bucket(7, c)", "moments": "c"}
    for name, form in forms.items():
        by = f" PARTITIONED BY ({form}) SORTED BY (c)" if form else ""
        world.sql(f"CREATE TABLE lake.s.{name} (id INTEGER, c TIMESTAMPTZ_NS, s STRUCT(a TIMESTAMPTZ_NS), l TIMESTAMPTZ_NS[], m MAP(INTEGER, TIMESTAMPTZ_NS)){by} WITH (format_version = 3)")
        rows = ", ".join(f"({i}, {literal(number)}, {{'a': {literal(number)}}}, [{literal(number)}], MAP {{1: {literal(number)}}})" for i, number in values.items())
        world.sql(f"INSERT INTO lake.s.{name} VALUES {rows}")
        world.sql(f"DELETE FROM lake.s.{name} WHERE id % 10 = 9; UPDATE lake.s.{name} SET c = c + INTERVAL 1 DAY WHERE id % 10 = 8 AND c < '2200-01-01'")
        wanted = {i: number if i % 10 != 8 or number is None or number >= 7258118400 * second else number + day for i, number in values.items() if i % 10 != 9}
        own = {row["id"]: (row["c"], row["a"], row["e"], row["v"]) for row in world.sql(f"SELECT id, epoch_ns(c) AS c, epoch_ns(s.a) AS a, epoch_ns(l[1]) AS e, epoch_ns(m[1]) AS v FROM lake.s.{name}")}
        assert own == {i: (number, values[i], values[i], values[i]) for i, number in wanted.items()}, name
        world.validate(name)
        check_instants(world, name, wanted)
        if name != "moments":
            theirs = world.table(name).scan().to_arrow()
            assert str(theirs.schema.field("c").type) == "timestamp[ns, tz=UTC]" and str(theirs.schema.field("s").type) == "struct<a: timestamp[ns, tz=UTC]>"
            columns = [theirs.column("c"), pa.compute.struct_field(theirs.column("s"), "a"), pa.compute.list_element(theirs.column("l"), 0)]
            got = dict(zip(theirs.column("id").to_pylist(), zip(*(column.cast(pa.int64()).to_pylist() for column in columns))))
            assert got == {i: found[:3] for i, found in own.items()}, name
        for _ in range(6):
            number = rng.choice([n for n in wanted.values() if n is not None]) + rng.randint(-1, 1)
            number = max(-(2**63) + day, min(2**63 - 2, number))
            micros = number // 1000
            given = {literal(number): number, f"'{text(number)}'": number, f"TIMESTAMPTZ '{text(micros * 1000)[:26]}+00'": micros * 1000, f"TIMESTAMP '{text(micros * 1000)[:26]}'": micros * 1000}
            constant, point = rng.choice(list(given.items()))
            sign, holds = rng.choice([("<", lambda a, b: a < b), ("<=", lambda a, b: a <= b), ("=", lambda a, b: a == b), (">=", lambda a, b: a >= b), (">", lambda a, b: a > b), ("<>", lambda a, b: a != b)])
            for column in ("c", "s.a"):
                found = sorted(row["id"] for row in world.sql(f"SELECT id FROM lake.s.{name} WHERE {column} {sign} {constant}"))
                there = wanted if column == "c" else {i: values[i] for i in wanted}
                assert found == sorted(i for i, n in there.items() if n is not None and holds(n, point)), (name, column, sign, constant)
    world.sql("SELECT 1 FROM lake.s.plain WHERE c < TIMESTAMPTZ '9999-12-31' AND c > DATE '0001-01-01'")
    try:
        duckdb_rows(world, "plain", "id")
    except duckdb.Error as error:
        assert "timestamptz_ns" in str(error), error
    else:
        raise AssertionError("DuckDB's iceberg reads timestamptz_ns now: compare its rows")


def check_instants(world, name, wanted):
    """Bounds and partitions of each file are those of its own rows; Parquet says that they are of UTC."""
    table = world.table(name)
    for row in world.sql(f'SELECT file_path FROM lake.s."{name}$data_files"'):
        schema = pa.parquet.read_schema(row["file_path"].removeprefix("file://"))
        assert str(schema.field("c").type) == "timestamp[ns, tz=UTC]" and str(schema.field("l").type.value_type) == "timestamp[ns, tz=UTC]", schema
    if name == "moments":
        return
    source = table.schema().find_field("c")
    field = table.spec().fields[0] if table.spec().fields else None
    for task in table.scan().plan_files():
        numbers = [n for n in pa.parquet.read_table(task.file.file_path.removeprefix("file://")).column("c").cast(pa.int64()).to_pylist() if n is not None]
        lower, upper = (bounds.get(source.field_id) for bounds in (task.file.lower_bounds, task.file.upper_bounds))
        got = [bytes_ and from_bytes(source.field_type, bytes_) for bytes_ in (lower, upper)]
        assert got == ([min(numbers), max(numbers)] if numbers else [None, None]), (name, got)
        assert field is None or {field.transform.transform(source.field_type)(n) for n in numbers} <= {task.file.partition[0]}, (name, str(field), task.file.partition)


def transforms_of_several_columns_are_kept(world):
    """Version 3 has fields of several columns (source-ids), and no transform that takes them: read without pruning by them, kept as they
    are in whatever metadata is written, and nothing is written by them. By hand, since no writer makes one: rows lie by a bucket of `other`,
    and the spec says that it is one of both, so who took it for a bucket of `id`, the first, would pass over rows."""
    world.sql("CREATE TABLE lake.s.t (id BIGINT, other BIGINT, t VARCHAR) PARTITIONED BY (bucket(4, other)) SORTED BY (other) WITH (format_version = 3)")
    world.sql("INSERT INTO lake.s.t SELECT i, 1000 - i * 7, 'x' FROM range(40) r(i)")
    folder = world.folder / "warehouse/s/t"
    several = {"spec-id": 0, "fields": [{"name": "both", "transform": "bucket[4]", "source-ids": [1, 2], "field-id": 1000}]}
    order = {"order-id": 1, "fields": [{"transform": "zorder", "source-ids": [1, 2], "direction": "asc", "null-order": "nulls-first"}]}

    def current():
        with sqlite3.connect(world.folder / "cat.sqlite") as catalog:
            return Path(catalog.execute("SELECT metadata_location FROM iceberg_tables").fetchone()[0].removeprefix("file://"))

    document = json.loads(current().read_text())
    document["partition-specs"], document["sort-orders"], document["default-sort-order-id"] = [several], [order], 1
    current().write_text(json.dumps(document))

    def kept():
        document = json.loads(current().read_text())
        assert several in document["partition-specs"] and order in document["sort-orders"], document
        checked = subprocess.run([ARGUMENTS.moat, "iceberg", "validate", str(current())], capture_output=True, text=True, check=False)
        assert checked.returncode == 0 and "0 problems" in checked.stdout and "not known" in checked.stdout, checked.stdout

    def rows(condition="true"):
        return [row["id"] for row in world.sql(f"SELECT id FROM lake.s.t WHERE {condition} ORDER BY id")]

    assert rows() == list(range(40)) and all(rows(f"id = {i}") == [i] and rows(f"other = {1000 - i * 7}") == [i] for i in range(40))
    assert {row["p"] for row in world.sql('SELECT partition."both"::VARCHAR AS p FROM lake.s."t$data_files"')} == {"0", "1", "2", "3"}
    assert len(world.sql('SELECT * FROM lake.s."t$partitions"')) == 4
    subprocess.run([ARGUMENTS.moat, "iceberg", "inspect", str(current())], check=True, stdout=subprocess.DEVNULL)
    shown = list(world.sql("SHOW CREATE TABLE lake.s.t")[0].values())[0]
    assert 'PARTITIONED BY ("bucket[4]"("id", "other"))' in shown and 'SORTED BY ("zorder"("id", "other") ASC' in shown, shown
    kept()
    before = current()
    for text in ("INSERT INTO lake.s.t VALUES (1, 1, 'y')", "DELETE FROM lake.s.t WHERE id = 3", "UPDATE lake.s.t SET t = 'z'", "CALL moat.rewrite_data_files('lake.s.t', rewrite_all => true)",
                 "MERGE INTO lake.s.t USING (SELECT 1 AS i) AS s ON id = i WHEN MATCHED THEN DELETE"):
        world.sql(text, error="bucket[4]")
    world.sql("ALTER TABLE lake.s.t DROP COLUMN other", error="partitioned by it")
    world.sql("CREATE TABLE lake.s.u LIKE lake.s.t", error="bucket[4]")
    assert current() == before and len(list((folder / "data").rglob("*.parquet"))) == 4
    world.sql("ALTER TABLE lake.s.t SET ('owner' = 'ann')")
    world.sql("ALTER TABLE lake.s.t ADD COLUMN added INTEGER, RENAME COLUMN other TO another")
    kept()
    world.sql("ALTER TABLE lake.s.t DROP PARTITION FIELD \"both\"")
    kept()
    world.sql("INSERT INTO lake.s.t VALUES (100, 100, 'new', 1)")  # in no order: none can be computed
    world.sql("ALTER TABLE lake.s.t SET UNORDERED")
    kept()
    assert rows() == [*range(40), 100] and rows("another >= 979") == [0, 1, 2, 3]


def many_writers_lose_nothing(world):
    """Processes of Moat, one of PyIceberg's commits between, and kills: what was acknowledged is there once, what was not at most once."""
    rng = random.Random(ARGUMENTS.seed)
    world.sql("CREATE TABLE lake.s.t (id BIGINT)")
    acknowledged, unsure, running = set(), set(), {}
    following = 0
    for step in range(ARGUMENTS.rounds * 2):
        while len(running) < 4:
            process = subprocess.Popen(world.command(f"INSERT INTO lake.s.t VALUES ({following})"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            running[following] = process
            following += 1
        if step % 6 == 5:
            table = world.table("t")
            try:
                table.append(pa.table({"id": pa.array([-step], pa.int64())}))
                acknowledged.add(-step)
            except Exception as failure:  # it may lose a race, and says so
                assert "commit" in str(failure).lower() or "changed" in str(failure).lower() or "updated" in str(failure).lower(), failure
                unsure.add(-step)
        number = rng.choice(sorted(running))
        process = running.pop(number)
        if rng.random() < 0.4:
            time.sleep(rng.random() * 0.15)
            process.send_signal(signal.SIGKILL)
        process.wait()
        if process.returncode == 0:
            acknowledged.add(number)
        else:
            said = process.stderr.read().decode()
            assert process.returncode == -signal.SIGKILL or "40001" in said or "55P03" in said, said
            unsure.add(number)
    for number, process in running.items():
        process.wait()
        (acknowledged if process.returncode == 0 else unsure).add(number)
    rows = [row["id"] for row in read_by_all(world, "t", "id")]
    assert len(rows) == len(set(rows)), "doubled"
    assert acknowledged <= set(rows), acknowledged - set(rows)
    assert set(rows) <= acknowledged | unsure, set(rows) - acknowledged - unsure


def altered_tables_are_read_by_all(world):
    """Every form of ALTER, with rows before and after it; ids never come back."""
    for version in (1, 2, 3):
        name = f"v{version}"
        table = f"lake.s.{name}"
        world.sql(f"CREATE TABLE {table} (id INTEGER NOT NULL, s VARCHAR, f FLOAT, n DECIMAL(9,2), p STRUCT(x INTEGER), l STRUCT(k INTEGER)[]) "
                  f"PARTITIONED BY (bucket(2, id)) WITH (format_version = {version})")
        steps = [
            "ADD COLUMN d DATE COMMENT 'day' FIRST, ADD COLUMN p.y VARCHAR FIRST, ADD COLUMN l.m BIGINT",
            "RENAME COLUMN s TO text, RENAME COLUMN p.x TO ex",
            "ALTER COLUMN id TYPE BIGINT, ALTER COLUMN f TYPE DOUBLE, ALTER COLUMN n TYPE DECIMAL(20,2)",
            "DROP COLUMN text, ALTER COLUMN n FIRST, ALTER COLUMN id DROP NOT NULL",
            "ADD COLUMN text VARCHAR AFTER id",
            "ADD PARTITION FIELD month(d), DROP PARTITION FIELD bucket(2, id)",
            "REPLACE PARTITION FIELD month(d) WITH day(d) AS by_day, SET SORTED BY (id DESC, d)",
            "ALTER COLUMN id SET NOT NULL, SET IDENTIFIER FIELDS id",
            "SET ('write.format.default' = 'parquet', 'odd' = 'x'), UNSET ('odd')",
        ]
        used = set()
        for number, step in enumerate(steps):
            world.sql(f"INSERT INTO {table} (id, n, f, p, l) VALUES ({number}, {number}.25, {number}.5, NULL, []), ({number + 100}, NULL, NULL, NULL, [])")
            world.sql(f"ALTER TABLE {table} {step}")
            schema = world.table(name).schema()
            used |= {field.field_id for field in schema.fields}
            assert world.table(name).metadata.last_column_id >= max(used)
            rows = read_by_all(world, name, "id", with_duckdb=False)
            assert len(rows) == 2 * number + 2, len(rows)
        document = json.loads(Path(world.table(name).metadata_location.removeprefix("file://")).read_text())
        ids = {}
        for schema in document["schemas"]:
            for field in schema["fields"]:
                ids.setdefault(field["name"], set()).add(field["id"])
        assert len(ids["text"]) == 2 and ids["id"] == {1}, ids
        if version == 3:
            world.sql(f"ALTER TABLE {table} ADD COLUMN state VARCHAR NOT NULL DEFAULT 'old'")
            assert {row["state"] for row in world.sql(f"SELECT state FROM {table}")} == {"old"}
        text = world.sql(f"SHOW CREATE TABLE {table}")[0]["name"]
        world.sql(text.replace(f'"{name}"', f'"again{version}"').replace(f"s.{name} ", f"s.again{version} "))
        again = world.sql(f"SHOW CREATE TABLE lake.s.again{version}")[0]["name"]
        assert again.replace(f"again{version}", name) == text, (again, text)


def maintenance_keeps_all_that_lives(world):
    """Branches, tags, expiry, manifests and orphans, against what PyIceberg says is live."""
    world.sql("CREATE TABLE lake.s.t PARTITIONED BY (bucket(2, id)) AS SELECT i AS id FROM range(20) r(i)")
    first = world.table("t").current_snapshot().snapshot_id
    world.sql("ALTER TABLE lake.s.t CREATE TAG first; ALTER TABLE lake.s.t CREATE BRANCH b")
    for number in range(20, 26):
        world.sql(f"INSERT INTO lake.s.t VALUES ({number}); DELETE FROM lake.s.t WHERE id = {number - 20}")
    world.sql("ALTER TABLE lake.s.t CREATE TAG last")
    assert not world.orphans("t")
    world.sql("CALL moat.rewrite_manifests('lake.s.t')")
    assert not world.orphans("t")
    result = world.sql("CALL moat.expire_snapshots('lake.s.t', older_than => '2999-01-01')")[0]
    assert result["expired_snapshots"] == 11 and result["not_deleted_files"] == 0, result
    assert not world.orphans("t")
    assert len(read_by_all(world, "t", "id")) == 20
    assert sorted(world.table("t").scan(snapshot_id=first).to_arrow().column("id").to_pylist()) == list(range(20))
    folder = Path(world.table("t").location().removeprefix("file://"))
    old, young, other = folder / "data/old.parquet", folder / "data/young.parquet", folder / "metadata/old-m0.avro"
    for path in (old, young, other):
        path.write_bytes(b"x")
    long_ago = time.time() - 10 * 24 * 3600
    for path in folder.rglob("*"):
        if path.is_file() and path != young:
            os.utime(path, (long_ago, long_ago))
    world.sql("CREATE SCHEMA lake.n; CREATE TABLE lake.n.inner (a INTEGER) WITH (location = '%s/data/inner'); INSERT INTO lake.n.inner VALUES (1)" % folder)
    for path in (folder / "data/inner").rglob("*"):
        os.utime(path, (long_ago, long_ago))
    found = {Path(row["orphan_file_location"]) for row in world.sql("CALL moat.remove_orphan_files('lake.s.t', dry_run => true)")}
    assert found == {old, other} and old.exists(), found
    world.sql("CALL moat.remove_orphan_files('lake.s.t')")
    assert not old.exists() and not other.exists() and young.exists()
    assert len(read_by_all(world, "t", "id")) == 20
    assert world.sql("SELECT * FROM lake.n.inner") == [{"a": 1}]
    location = world.table("t").metadata_location
    world.sql(f"CALL moat.register_table('lake.n.copy', '{location}')")
    assert len(world.sql("SELECT * FROM lake.n.copy")) == 20
    world.sql("DROP TABLE lake.s.t PURGE")
    assert len(world.sql("SELECT * FROM lake.n.copy")) == 20  # which shares all of its files
    # small files as one, rows and their ids as they were
    world.sql("CREATE TABLE lake.s.v3 PARTITIONED BY (bucket(2, id)) WITH (format_version = 3) AS SELECT i AS id FROM range(10) r(i)")
    for number in range(10, 16):
        world.sql(f"INSERT INTO lake.s.v3 VALUES ({number}); DELETE FROM lake.s.v3 WHERE id = {number - 10}")
    lineage = world.sql("SELECT id, _row_id, _last_updated_sequence_number AS n FROM lake.s.v3 ORDER BY id")
    world.sql("CALL moat.rewrite_data_files('lake.s.v3', min_input_files => 2)")
    assert world.sql("SELECT id, _row_id, _last_updated_sequence_number AS n FROM lake.s.v3 ORDER BY id") == lineage
    assert world.sql('SELECT count(*) AS n FROM lake.s."v3$files"') == [{"n": 2}]
    world.validate("v3")
    # what was written ahead of its audit is picked
    world.sql("CREATE TABLE lake.s.w AS SELECT 1 AS id")
    base = world.table("w").current_snapshot().snapshot_id
    world.sql("INSERT INTO lake.s.w VALUES (2)")
    picked = world.table("w").current_snapshot().snapshot_id
    world.sql(f"CALL moat.rollback_to_snapshot('lake.s.w', {base}); INSERT INTO lake.s.w VALUES (3)")
    world.sql(f"CALL moat.cherrypick_snapshot('lake.s.w', {picked})")
    assert [row["id"] for row in read_by_all(world, "w", "id")] == [1, 2, 3]
    world.sql(f"CALL moat.cherrypick_snapshot('lake.s.w', {picked})", error="already")
    world.sql(f"CALL moat.rollback_to_snapshot('lake.s.w', {picked})", error="no ancestor")


def many_alter_one_table(world):
    """Columns that several add at once are all there, with ids of their own."""
    world.sql("CREATE TABLE lake.s.t (id BIGINT)")
    running = [subprocess.Popen(world.command(f"ALTER TABLE lake.s.t ADD COLUMN c{number} INTEGER; INSERT INTO lake.s.t (id) VALUES ({number})"),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for number in range(6)]
    for process in running:
        _, error = process.communicate()
        assert process.returncode == 0, error.decode()
    fields = world.table("t").schema().fields
    assert {field.name for field in fields} == {"id"} | {f"c{number}" for number in range(6)}
    assert len({field.field_id for field in fields}) == 7
    assert len(read_by_all(world, "t", "id")) == 6


def sorted_tables_are_sorted(world):
    """Rows of each file are in the table's order, and files say so where it is exact."""
    rows = "SELECT CASE WHEN i % 50 = 0 THEN NULL ELSE CAST(hash(i) % 1000 AS BIGINT) END AS a, 's' || (i % 700) AS b FROM range(300000) r(i)"
    world.sql("CREATE TABLE lake.s.t (a BIGINT, b VARCHAR) SORTED BY (a DESC NULLS LAST, b) WITH (\"write.target-file-size-bytes\" = 65536, \"write.parquet.row-group-limit\" = 20480)")
    world.sql(f"INSERT INTO lake.s.t {rows}; DELETE FROM lake.s.t WHERE a = 7")
    world.sql(f"CREATE TABLE lake.s.p PARTITIONED BY (truncate(2, b)) SORTED BY (a, b) AS {rows}")
    world.sql(f"CREATE TABLE lake.s.c SORTED BY (bucket(4, a)) AS {rows}")
    def upwards(row):
        return (row["a"] is not None, row["a"] or 0, row["b"])

    def downwards(row):
        return (row["a"] is None, -(row["a"] or 0), row["b"])

    for name, key in (("t", downwards), ("p", upwards), ("c", None)):
        for file in data_files(world, name):
            assert file.sort_order_id == 1, (name, file.sort_order_id)
            found = pa.parquet.read_table(file.file_path.removeprefix("file://")).to_pylist()
            assert key is None or found == sorted(found, key=key), name
        world.validate(name)
    assert len({row["_file"] for row in world.sql("SELECT DISTINCT _file FROM lake.s.t")}) > 1


def rows_in_order_stay_so_however_they_come(world):
    """Partitions of every size, rows of one thread and of two, of plans that end in whatever: each file is sorted, of one partition, and not
    much larger than it should be; all rows are there, once."""
    rng = random.Random(ARGUMENTS.seed)
    sources = ("range(0)", "range(1)", "range(2048)", "range(2049)", "range(5000)", "range(150000)", "(SELECT * FROM range(150000) ORDER BY range DESC LIMIT 130000)",
               "(SELECT DISTINCT range // 2 AS range FROM range(9000))", "(SELECT 7 AS range UNION ALL SELECT range FROM range(3000))")
    kinds = {"one": "CAST(NULL AS VARCHAR)", "few": "CASE i % 3 WHEN 0 THEN NULL WHEN 1 THEN 'b' ELSE '' END", "many": "'p' || hash(i) % 1500", "each": "'p' || i % 4000"}
    for turn in range(ARGUMENTS.rounds):
        source, kind, is_down, threads = rng.choice(sources), rng.choice(list(kinds)), rng.random() < 0.5, rng.choice((1, 2, 3))
        bytes_, by = rng.choice((65536, 1 << 20, 1 << 29)), rng.choice(("PARTITIONED BY (p)", "PARTITIONED BY (p, bucket(3, k))", "PARTITIONED BY (bucket(5, p))", ""))
        what = f"seed {ARGUMENTS.seed}, turn {turn}: {source}, {kind}, {by}, {threads} threads, {bytes_}"
        world.sql(f"DROP TABLE IF EXISTS lake.s.o PURGE; CREATE TABLE lake.s.o (p VARCHAR, k BIGINT, v VARIANT, t VARCHAR) {by} SORTED BY (k {'DESC' if is_down else 'ASC'} NULLS LAST) "
                  f"WITH (format_version = 3, \"write.target-file-size-bytes\" = {bytes_})")
        rows = f"SELECT {kinds[kind]} AS p, CASE WHEN i % 11 = 0 THEN NULL ELSE CAST(hash(i) % 1000 AS BIGINT) END AS k, (CASE WHEN i % 3 = 0 THEN '{{\"a\": ' || i || ', \"b\": true}}' ELSE '\"x' || i || '\"' END)::JSON::VARIANT AS v, 't' || i AS t FROM (SELECT range AS i FROM {source}) r"
        world.sql(f"INSERT INTO lake.s.o {rows}", settings=(f"engine.threads={threads}",))
        same = world.sql(f"SELECT (SELECT count(*) FROM lake.s.o) - (SELECT count(*) FROM ({rows})) AS more, (SELECT count(*) FROM "
                         f"(SELECT p, k, v::VARCHAR, t FROM ({rows}) EXCEPT ALL SELECT p, k, v::VARCHAR, t FROM lake.s.o)) AS missing")
        assert same == [{"more": 0, "missing": 0}], (what, same)
        files = world.sql('SELECT file_path, record_count, file_size_in_bytes, sort_order_id FROM lake.s."o$files"')
        for file in files:
            found = pa.parquet.read_table(file["file_path"].removeprefix("file://"), columns=["p", "k"]).to_pylist()
            assert file["sort_order_id"] == 1 and len(found) == file["record_count"] > 0, what
            keys = [(row["k"] is None, -(row["k"] or 0) if is_down else row["k"] or 0) for row in found]
            assert keys == sorted(keys), what
            assert "PARTITIONED BY (p" not in by or len({row["p"] for row in found}) == 1, what
            assert file["file_size_in_bytes"] < 3 * max(bytes_, 200000), (what, file)
        assert len(files) <= 1 or by or bytes_ < 1 << 29, what
        world.validate("o")


def branches_are_written(world):
    """Every statement on a branch leaves main alone; fast-forward publishes it."""
    for version, mode in ((1, "copy-on-write"), (2, "merge-on-read"), (3, "merge-on-read")):
        name = f"b{version}"
        options = "".join(f", \"write.{kind}.mode\" = '{mode}'" for kind in ("delete", "update", "merge"))
        world.sql(f"CREATE TABLE lake.s.{name} (id BIGINT, g INTEGER) PARTITIONED BY (g) WITH (format_version = {version}{options})")
        branch = f'lake.s."{name}$branch_w"'
        world.sql(f"INSERT INTO {branch} VALUES (1, 1)", error="w")  # there is none
        world.sql(f"INSERT INTO lake.s.{name} SELECT i, i % 3 FROM range(12) r(i); ALTER TABLE lake.s.{name} CREATE BRANCH w; ALTER TABLE lake.s.{name} CREATE TAG old")
        world.sql(f"INSERT INTO {branch} VALUES (100, 1); UPDATE {branch} SET id = id + 200 WHERE id = 4; DELETE FROM {branch} WHERE id = 5")
        world.sql(f"MERGE INTO {branch} AS t USING (VALUES (6), (7), (50)) AS s (k) ON t.id = s.k WHEN MATCHED AND t.id = 6 THEN DELETE "
                  "WHEN MATCHED THEN UPDATE SET g = 9 WHEN NOT MATCHED THEN INSERT VALUES (s.k, NULL)")
        assert world.sql(f"DELETE FROM {branch} WHERE id = 8 RETURNING id") == [{"id": 8}]
        assert [row["id"] for row in read_by_all(world, name, "id", with_duckdb=version < 3)] == list(range(12))
        wanted = [(0, 0), (1, 1), (2, 2), (3, 0), (7, 9), (9, 0), (10, 1), (11, 2), (50, None), (100, 1), (204, 1)]
        found = world.sql(f"SELECT id, g FROM lake.s.{name}@w ORDER BY id")
        assert [(row["id"], row["g"]) for row in found] == wanted, found
        theirs = world.table(name).scan(snapshot_id=world.table(name).metadata.refs["w"].snapshot_id).to_arrow().to_pylist()
        assert sorted((row["id"], row["g"]) for row in theirs if row["g"] is not None) == [pair for pair in wanted if pair[1] is not None]
        world.sql(f'DELETE FROM lake.s."{name}$tag_old"', error="tag")
        world.sql(f"CALL moat.fast_forward('lake.s.{name}', 'main', 'w')")
        assert len(read_by_all(world, name, "id", with_duckdb=version < 3)) == len(wanted)
        world.sql(f"INSERT OVERWRITE {branch} VALUES (0, 0); TRUNCATE lake.s.\"{name}$branch_main\"")
        assert len(world.sql(f"SELECT id FROM {branch}")) == 9 and world.sql(f"SELECT id FROM lake.s.{name}") == []
        assert not world.orphans(name)


def rows_for_an_altered_table_are_checked(world):
    """While a row is being written its column becomes NOT NULL: it is not committed. Another change of columns does no harm."""
    world.sql("CREATE TABLE lake.s.t (id BIGINT, n INTEGER)")
    slow = "SELECT id, CASE WHEN sum(hash(i)) > 0 THEN {} END FROM range(30000000) r(i), (VALUES (1)) v (id) GROUP BY id"
    for change, value, fails in (("ADD COLUMN x VARCHAR", "NULL", False), ("ALTER n TYPE BIGINT", "5", False),
                                 ("DROP COLUMN x, ADD COLUMN y INTEGER, ALTER n SET NOT NULL", "NULL", True)):
        if fails:
            world.sql("TRUNCATE lake.s.t; CALL moat.expire_snapshots('lake.s.t', older_than => '2999-01-01')")
        process = subprocess.Popen(world.command(f"INSERT INTO lake.s.t (id, n) {slow.format(value)}"), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        time.sleep(0.25)
        world.sql(f"ALTER TABLE lake.s.t {change}")
        is_late = process.poll() is None  # it was still running
        said = process.communicate()[1].decode()
        assert not is_late or (process.returncode != 0) == fails, (change, said)
        assert process.returncode == 0 or "40001" in said or "23502" in said, said
        read_by_all(world, "t", "id", with_duckdb=False)
    assert not world.orphans("t")


def forgotten_metadata_goes(world):
    """With delete-after-commit, as many metadata files are there as the log names, and never fewer."""
    for name, option, count in (("a", "", 9), ("b", ", \"write.metadata.delete-after-commit.enabled\" = 'true'", 4),
                                ("c", ", \"write.metadata.delete-after-commit.enabled\" = 'true', \"gc.enabled\" = 'false'", 9)):
        world.sql(f"CREATE TABLE lake.s.{name} (id BIGINT) WITH (\"write.metadata.previous-versions-max\" = 3{option})")
        world.sql("; ".join(f"INSERT INTO lake.s.{name} VALUES ({i})" for i in range(8)))
        table = world.table(name)
        files = list((Path(table.location().removeprefix("file://")) / "metadata").glob("*.metadata.json"))
        assert len(files) == count, (name, len(files))
        logged = {Path(entry.metadata_file).name for entry in table.metadata.metadata_log} | {Path(table.metadata_location).name}
        assert logged <= {path.name for path in files} and len(logged) == 4
        assert len(read_by_all(world, name, "id")) == 8


def data_files(world, name):
    table = world.table(name)
    return [entry.data_file for manifest in table.current_snapshot().manifests(table.io) for entry in manifest.fetch_manifest_entry(table.io)]


def footer(world, name):
    """A row for each column of each row group: what the engine's own reader finds."""
    import duckdb

    paths = [file.file_path.removeprefix("file://") for file in data_files(world, name)]
    said = duckdb.connect().execute("SELECT path_in_schema AS name, row_group_num_rows AS n, bloom_filter_offset AS bloom, bloom_filter_length AS bytes FROM parquet_metadata(?)", [paths])
    return said.to_arrow_table().to_pylist()


def properties_shape_files(world):
    """Bloom filters, their size and ratio, levels, row groups, files of partitions: each as its property says, and nothing lost."""
    rows = "SELECT i AS id, 'text ' || hash(i) AS s, i % 3 AS g FROM range(60000) r(i)"

    def make(name, properties, by=""):
        text = ", ".join(f"\"{key}\" = '{value}'" for key, value in properties.items())
        world.sql(f"CREATE TABLE lake.s.{name} (id BIGINT, s VARCHAR, g BIGINT) {by} WITH (\"odd\" = 'x'{', ' if text else ''}{text}); INSERT INTO lake.s.{name} {rows}")
        assert world.sql(f"SELECT count(*) AS n, sum(id) AS m, count(DISTINCT s) AS d FROM lake.s.{name}") == [{"n": 60000, "m": 1799970000, "d": 60000}]
        return footer(world, name)

    column, ratio = "write.parquet.bloom-filter-enabled.column.", "write.parquet.bloom-filter-fpp.column."
    plain_ = {part["name"]: part["bloom"] for part in make("plain", {})}
    assert plain_["g"] is not None and plain_["s"] is None, plain_  # the engine's own choice: with dictionaries
    assert all(part["bloom"] is None for part in make("off", {column + "g": "false"}))
    on = {part["name"]: part for part in make("on", {column + "s": "true"})}
    assert on["s"]["bloom"] is not None and 60000 <= on["s"]["bytes"] < 140000, on
    finer = {part["name"]: part for part in make("finer", {column + "s": "true", ratio + "s": "0.0001"})}
    assert finer["s"]["bytes"] > on["s"]["bytes"], finer
    small = {part["name"]: part for part in make("small", {column + "s": "true", "write.parquet.bloom-filter-max-bytes": "32768"})}
    assert small["s"]["bloom"] is None and small["g"]["bloom"] is not None, small  # it would be larger
    assert {part["n"] for part in make("groups", {"write.parquet.row-group-size-bytes": "491520"})} == {10240, 60000 % 10240}  # 48 bytes a row
    sizes = [sum(file.file_size_in_bytes for file in data_files(world, name)) for name in ("plain", "level") if name == "plain" or make("level", {"write.parquet.compression-level": "19"})]
    assert sizes[1] < sizes[0] * 0.98, sizes
    make("wrong", {"write.parquet.compression-level": "many", column + "s": "perhaps", ratio + "s": "2", "write.parquet.row-group-size-bytes": "-1"})
    make("gzip", {"write.parquet.compression-level": "9", "write.parquet.compression-codec": "gzip"})
    # files of partitions end too, where rows come partition by partition
    for name, by, more in (("sorted", "PARTITIONED BY (g) SORTED BY (s)", {}), ("hash", "PARTITIONED BY (g)", {"write.distribution-mode": "hash"})):
        make(name, {"write.target-file-size-bytes": "65536", **more}, by)
        files = data_files(world, name)
        world.sql(f"INSERT INTO lake.s.{name} {rows}")
        assert len(files) > 9 and len(data_files(world, name)) > 18, len(files)
        most = max(file.file_size_in_bytes for file in data_files(world, name))
        assert most < 3 * 65536, most
        world.validate(name)
        assert len(world.table(name).scan().to_arrow()) == 120000
    make("none", {"write.target-file-size-bytes": "65536"}, "PARTITIONED BY (g)")
    assert len(data_files(world, "none")) == 3


def sketches_are_those_of_the_library(world):
    """Distinct values by CALL: read by PyIceberg's Puffin, and by the library whose format it is, hash by hash."""
    import datasketches
    from pyiceberg.table.puffin import PuffinFile

    world.sql("CREATE TABLE lake.s.t (id BIGINT, s VARCHAR, n DECIMAL(12,2), u UUID, b BOOLEAN, p STRUCT(x BIGINT), l INTEGER[], e VARCHAR) PARTITIONED BY (bucket(4, id)) WITH (format_version = 2)")
    world.sql("INSERT INTO lake.s.t SELECT i, 'k' || (i % 50000), i % 700, CAST(md5((i % 9)::VARCHAR) AS UUID), i % 2 = 0, {'x': i % 3000}, [], NULL FROM range(120000) r(i); DELETE FROM lake.s.t WHERE id >= 100000")
    world.sql("CALL moat.compute_statistics('lake.s.t', column => 'id')", error='Did you mean "columns"?')
    world.sql("CALL moat.compute_statistic('lake.s.t')", error="Did you mean moat.compute_statistics?")
    world.sql("CALL moat.compute_statistics('lake.s.t', columns => 'id, l')", error='no column "l"')
    dry = world.sql("CALL moat.compute_statistics('lake.s.t', columns => 's, p.x', dry_run => true)")
    assert [row["column_name"] for row in dry] == ["s", "p.x"] and not world.table("t").metadata.statistics
    assert not Path(dry[0]["statistics_file"]).exists() and not world.orphans("t")
    said = {row["column_name"]: row["distinct_values"] for row in world.sql("CALL moat.compute_statistics('lake.s.t')")}
    exact = {"n": 700, "u": 9, "b": 2, "p.x": 3000, "e": 0}
    assert {name: said[name] for name in exact} == exact and abs(said["id"] - 100000) < 5000 and abs(said["s"] - 50000) < 2500, said
    table = world.table("t")
    statistics = table.metadata.statistics[0]
    assert statistics.snapshot_id == table.current_snapshot().snapshot_id and len(table.metadata.statistics) == 1
    bytes_ = Path(statistics.statistics_path.removeprefix("file://")).read_bytes()
    assert len(bytes_) == statistics.file_size_in_bytes and bytes_[-statistics.file_footer_size_in_bytes:][:4] == b"PFA1"
    footer = PuffinFile(bytes_).footer
    assert [blob.type for blob in footer.blobs] == ["apache-datasketches-theta-v1"] * 7
    columns = {field.field_id: field.name for field in table.schema().fields}
    for blob, entry in zip(footer.blobs, statistics.blob_metadata):
        assert blob.fields == entry.fields and blob.properties == entry.properties, entry
        sketch = datasketches.compact_theta_sketch.deserialize(bytes_[blob.offset:blob.offset + blob.length])
        assert round(sketch.get_estimate()) == int(entry.properties["ndv"]), (sketch.get_estimate(), entry)
        name = columns.get(blob.fields[0])
        if name in ("id", "s", "e"):
            theirs = datasketches.update_theta_sketch(12)
            for i in range(100000 if name != "e" else 0):
                theirs.update(i if name == "id" else f"k{i % 50000}")
            theta = min(sketch.theta64, theirs.theta64)
            left, right = ({hash_ for hash_ in one if hash_ < theta} for one in (sketch, theirs))
            assert left == right and (left or name == "e"), (name, len(left), len(right))
            if name != "e":
                assert sketch.get_lower_bound(3) <= len({f"k{i % 50000}" if name == "s" else i for i in range(100000)}) <= sketch.get_upper_bound(3)
    world.validate("t")
    # another time takes its place; the old file goes with its snapshot
    old = Path(statistics.statistics_path.removeprefix("file://"))
    world.sql("CALL moat.compute_statistics('lake.s.t', columns => 'id'); INSERT INTO lake.s.t (id) VALUES (-1)")
    assert len(world.table("t").metadata.statistics[0].blob_metadata) == 1
    world.sql("CALL moat.expire_snapshots('lake.s.t', older_than => '2999-01-01')")
    assert not world.table("t").metadata.statistics
    assert world.orphans("t") <= {str(old)}, world.orphans("t")


def rewritten_files_are_those_that_were_meant(world):
    """rewrite_data_files by condition, by deletes, sorted and along a curve: the same rows, and no other file touched."""
    def paths(name):
        return {file.file_path for file in data_files(world, name)}

    world.sql("CREATE TABLE lake.s.t (id BIGINT, d DATE, at TIMESTAMP, f DOUBLE) PARTITIONED BY (month(d)) WITH (format_version = 3, \"write.delete.mode\" = 'merge-on-read')")
    for number in range(3):
        world.sql(f"INSERT INTO lake.s.t SELECT i, DATE '2024-01-01' + CAST(i % 120 AS INTEGER), TIMESTAMP '2024-01-01' + to_days(CAST(i % 120 AS INTEGER)), i / 4 FROM range({number * 240}, {number * 240 + 240}) r(i)")
    content = "SELECT *, _row_id, _last_updated_sequence_number AS n FROM lake.s.t ORDER BY id"
    rows, before = world.sql(content), paths("t")
    assert len(before) == 12
    for wrong, error in (("where => 'id + 1 = 2'", "no comparison"), ("where => 'nothing = 2'", "no comparison"), ("where => 'id = 1 OR id = 2'", "no comparison"), ("strategy => 'best'", "binpack"),
                         ("strategy => 'sort'", "has no order"), ("sort_order => 'nothing'", "42703"), ("sort_order => 'id; DROP TABLE x'", "no order of rows"), ("sort_order => 'id), SET (\"a\" = 1'", "no order of rows"),
                         ("sort_order => 'zorder(id)'", "2 to 8"), ("sort_order => 'zorder(id, nothing)'", "42703"), ("strategy => 'binpack', sort_order => 'id'", "for the strategy sort"), ("delete_file_threshold => 0", "1 or more")):
        world.sql(f"CALL moat.rewrite_data_files('lake.s.t', {wrong})", error=error)
    assert paths("t") == before and not world.orphans("t")
    said = world.sql("CALL moat.rewrite_data_files('lake.s.t', min_input_files => 2, where => 'd BETWEEN ''2024-02-01'' AND ''2024-02-29''', dry_run => true)")
    assert said[0]["rewritten_data_files"] == 3 and paths("t") == before and not world.orphans("t")
    world.sql("CALL moat.rewrite_data_files('lake.s.t', min_input_files => 2, where => 'd >= ''2024-02-01'' AND d < DATE ''2024-03-01''')")
    assert len(paths("t") & before) == 9 and len(paths("t")) == 10 and world.sql(content) == rows
    world.sql("CALL moat.rewrite_data_files('lake.s.t', rewrite_all => true, where => 'at >= TIMESTAMP ''2024-04-01 00:00:00''')")
    assert len(paths("t") & before) == 6 and len(paths("t")) == 8 and world.sql(content) == rows
    world.sql("DELETE FROM lake.s.t WHERE id = 7; DELETE FROM lake.s.t WHERE id = 700")
    rows, now = world.sql(content), paths("t")
    said = world.sql("CALL moat.rewrite_data_files('lake.s.t', delete_file_threshold => 1)")
    assert said[0]["rewritten_data_files"] == 2 and len(paths("t") & now) == 6 and world.sql(content) == rows
    assert len(rows) == 718 and not list(world.table("t").inspect.delete_files().to_pylist())
    world.sql("CALL moat.rewrite_data_files('lake.s.t', rewrite_all => true, strategy => 'sort', sort_order => 'f DESC')")
    assert world.sql(content) == rows
    for path in paths("t"):
        found = pa.parquet.read_table(path.removeprefix("file://")).column("f").to_pylist()
        assert found == sorted(found, reverse=True)
    world.validate("t")
    # a curve: each file is of a part of both columns
    world.sql("CREATE TABLE lake.s.z (a BIGINT, b VARCHAR, s STRUCT(c INTEGER)) WITH (\"write.target-file-size-bytes\" = 65536, \"write.parquet.row-group-limit\" = 2048)")
    world.sql("INSERT INTO lake.s.z SELECT hash(i) % 1000000, CASE WHEN i % 97 > 0 THEN 'k' || (hash(i + 7) % 100000) END, {'c': CAST(i % 5 AS INTEGER)} FROM range(240000) r(i)")
    content = "SELECT count(*) AS n, sum(a) AS a, count(b) AS b, sum(s.c) AS c, sum(hash(a, b, s)) AS h FROM lake.s.z"

    def shares():
        """How many of the files a range of a tenth of the values needs, on average, by either column."""
        import duckdb

        files = [file.file_path.removeprefix("file://") for file in data_files(world, "z")]
        spans = [duckdb.connect().execute("SELECT min(a), max(a), min(b), max(b) FROM read_parquet(?)", [path]).fetchone() for path in files]
        total = duckdb.connect().execute("SELECT min(a), max(a) FROM read_parquet(?)", [files]).fetchone()
        width = (total[1] - total[0]) / 10
        by_a = sum(sum(1 for span in spans if span[0] <= total[0] + (i + 1) * width and span[1] >= total[0] + i * width) for i in range(10)) / 10
        by_b = sum(sum(1 for span in spans if span[2] <= f"k{i}9" and span[3] >= f"k{i}") for i in range(10)) / 10
        return len(files), by_a / len(files), by_b / len(files)

    checked = world.sql(content)
    assert min(shares()[1:]) > 0.85, shares()
    world.sql("CALL moat.rewrite_data_files('lake.s.z', rewrite_all => true, sort_order => 'zorder(a, b)')")
    assert world.sql(content) == checked
    count, by_a, by_b = shares()
    assert count > 8 and by_a < 0.6 and by_b < 0.6, shares()
    world.sql("CALL moat.rewrite_data_files('lake.s.z', rewrite_all => true, sort_order => 'zorder(s.c, a, b)')")
    assert world.sql(content) == checked
    world.validate("z")


def delete_files(table):
    return [entry.data_file for manifest in table.current_snapshot().manifests(table.io) if manifest.content == 1 for entry in manifest.fetch_manifest_entry(table.io)]


def position_deletes_are_rewritten(world):
    """Several delete files of a data file as one, those of many data files as one each, of version 3 as vectors; dangling ones go. Rows stay."""
    world.sql("CREATE TABLE lake.s.t (id BIGINT, g INTEGER) PARTITIONED BY (g) WITH (format_version = 2, \"write.delete.mode\" = 'merge-on-read')")
    world.sql("INSERT INTO lake.s.t SELECT i, i % 3 FROM range(300) r(i)")
    for number in range(4):
        world.sql(f"DELETE FROM lake.s.t WHERE id % 50 = {number * 7} AND g <> 2")
    rows = read_by_all(world, "t", "id")
    before = delete_files(world.table("t"))
    assert len(before) == 8
    said = world.sql("CALL moat.rewrite_position_delete_files('lake.s.t', dry_run => true)")
    assert said[0]["rewritten_delete_files"] == 8 and {file.file_path for file in delete_files(world.table("t"))} == {file.file_path for file in before} and not world.orphans("t")
    said = world.sql("CALL moat.rewrite_position_delete_files('lake.s.t')")[0]
    after = delete_files(world.table("t"))
    assert said["rewritten_delete_files"] == 8 and said["added_delete_files"] == 2 and len(after) == 2, said
    assert sum(file.record_count for file in after) == sum(file.record_count for file in before) and read_by_all(world, "t", "id") == rows
    summary = world.table("t").current_snapshot().summary
    assert summary["total-delete-files"] == "2" and summary["removed-delete-files"] == "8" and summary.operation.value == "replace", summary
    assert world.sql("CALL moat.rewrite_position_delete_files('lake.s.t')")[0]["rewritten_delete_files"] == 0
    assert world.sql("CALL moat.rewrite_position_delete_files('lake.s.t', rewrite_all => true)")[0]["rewritten_delete_files"] == 2 and not world.orphans("t")
    world.sql("ALTER TABLE lake.s.t SET ('format-version' = '3')")
    assert world.sql("CALL moat.rewrite_position_delete_files('lake.s.t')")[0]["added_delete_files"] == 2
    assert {file.file_format.value for file in delete_files(world.table("t"))} == {"PUFFIN"} and read_by_all(world, "t", "id", with_duckdb=False) == rows
    world.sql("DELETE FROM lake.s.t WHERE id = 299; DELETE FROM lake.s.t WHERE id = 298")
    assert world.sql("CALL moat.rewrite_position_delete_files('lake.s.t')")[0]["rewritten_delete_files"] == 0
    assert len(read_by_all(world, "t", "id", with_duckdb=False)) == len(rows) - 2
    # tables of another engine, whose delete files are of whole partitions
    data = Path(__file__).resolve().parents[2] / "data/iceberg"
    prefix = (data / "prefix").read_text().strip()
    place = Path("/tmp") / ("moat" + "".join(random.Random(os.getpid()).choices("abcdefghij", k=len(prefix) - 9)))
    assert len(str(place)) == len(prefix)
    try:
        subprocess.run([sys.executable, str(Path(__file__).with_name("relocate.py")), str(data), prefix, str(place)], check=True)
        world.sql(f"ATTACH '{place}/warehouse/hadoop' AS h (TYPE hadoop)")
        for name in ("core.v2_none_pos_partition", "core.v2_bucket_id_pos_file", "core.v2_day_ts_pos_partition", "core.v3_none_pos_to_dv", "core.v3_none_dv", "evolution.v2_list_rename_pos", "files.v2_position_shared", "core.v2_bucket_id_pos_eq"):
            rows = plain(world.sql(f"SELECT * FROM h.{name} ORDER BY ALL"))
            said = world.sql(f"CALL moat.rewrite_position_delete_files('h.{name}', rewrite_all => true)")[0]
            assert said["rewritten_delete_files"] > 0 or "_dv" in name, (name, said)
            folder = place / "warehouse/hadoop" / name.replace(".", "/")
            assert plain(world.sql(f"SELECT * FROM h.{name} ORDER BY ALL")) == rows, name
            done = subprocess.run([ARGUMENTS.moat, "iceberg", "validate", str(folder)], capture_output=True, check=False)
            assert done.returncode == 0, (name, done.stdout.decode())
            kinds = world.sql(f"SELECT content, file_format, count(*) AS n, count(referenced_data_file) AS m, sum(record_count) AS r FROM h.{name.split('.')[0]}.\"{name.split('.')[1]}$delete_files\" GROUP BY ALL")
            for kind in kinds:
                assert kind["content"] == 2 or (kind["n"] == kind["m"] and ("v3" not in name or kind["file_format"].lower() == "puffin")), (name, kinds)
            # whole data files go: what is of them alone is not left, and of others nothing comes back
            path = world.sql(f"SELECT min(_file) AS f FROM h.{name}")[0]["f"]
            world.sql(f"DELETE FROM h.{name} WHERE _file = '{path}'")
            left = plain(world.sql(f"SELECT * FROM h.{name} ORDER BY ALL"))
            world.sql(f"CALL moat.rewrite_position_delete_files('h.{name}')")
            assert plain(world.sql(f"SELECT * FROM h.{name} ORDER BY ALL")) == left and len(left) < len(rows), name
        # of files that are all gone
        shutil.rmtree(place)
        subprocess.run([sys.executable, str(Path(__file__).with_name("relocate.py")), str(data), prefix, str(place)], check=True, stdout=subprocess.DEVNULL)
        name = "h.files.v2_position_shared"
        rows = world.sql(f"SELECT id FROM {name} ORDER BY id")
        world.sql(f"CALL moat.rewrite_data_files('{name}', rewrite_all => true, where => 'id >= 0')")
        counted = 'SELECT count(*) AS n FROM h.files."v2_position_shared$delete_files"'
        left = world.sql(counted)[0]["n"]
        said = world.sql(f"CALL moat.rewrite_position_delete_files('{name}')")[0]
        assert left > 0 and said["rewritten_delete_files"] == left and said["added_delete_files"] == 0 and world.sql(counted) == [{"n": 0}], (left, said)
        assert world.sql(f"SELECT id FROM {name} ORDER BY id") == rows
    finally:
        shutil.rmtree(place, ignore_errors=True)


def what_is_staged_is_published_once(world):
    """Write, audit, publish: by write.wap.enabled and lake.wap_id, for every statement; nobody sees it until it is published, and that once."""
    def ids(text="lake.s.t"):
        return [row["id"] for row in world.sql(f"SELECT id FROM {text} ORDER BY id")]

    stage = "SET lake.wap_id = '{}'; "
    world.sql("CREATE TABLE lake.s.t (id BIGINT) WITH (format_version = 3, \"write.wap.enabled\" = 'true'); INSERT INTO lake.s.t VALUES (1), (2)")
    world.sql("CREATE TABLE lake.s.plain (id BIGINT); " + stage.format("a") + "INSERT INTO lake.s.plain VALUES (1)")
    assert ids("lake.s.plain") == [1]  # which does not take part
    world.sql(stage.format("first") + "INSERT INTO lake.s.t VALUES (3)")
    world.sql(stage.format("second") + "INSERT INTO lake.s.t VALUES (4)")
    world.sql(stage.format("gone") + "DELETE FROM lake.s.t WHERE id = 1")
    world.sql(stage.format("first") + "INSERT INTO lake.s.t VALUES (9)", error="staged as \"first\"")
    assert ids() == [1, 2] and len(world.table("t").snapshots()) == 4
    world.validate("t")
    by_name = {snapshot.summary["wap.id"]: snapshot for snapshot in world.table("t").snapshots() if "wap.id" in snapshot.summary.additional_properties}
    assert set(by_name) == {"first", "second", "gone"} and ids(f"lake.s.t AT (VERSION => {by_name['first'].snapshot_id})") == [1, 2, 3]  # the audit
    world.sql("CALL moat.publish_changes('lake.s.t', 'third')", error="nothing is staged as \"third\"")
    world.sql("CALL moat.publish_changes('lake.s.t', 'first', dry_run => true)")
    assert ids() == [1, 2]
    said = world.sql("CALL moat.publish_changes('lake.s.t', 'first')")[0]  # made of the current snapshot: it becomes current itself
    assert said["source_snapshot_id"] == said["current_snapshot_id"] == by_name["first"].snapshot_id and ids() == [1, 2, 3]
    said = world.sql("CALL moat.publish_changes('lake.s.t', wap_id => 'second')")[0]
    assert said["source_snapshot_id"] == by_name["second"].snapshot_id != said["current_snapshot_id"] and ids() == [1, 2, 3, 4]
    published = world.table("t").current_snapshot().summary
    assert published["published-wap-id"] == "second" and published["source-snapshot-id"] == str(by_name["second"].snapshot_id), published
    for name in ("first", "second"):
        world.sql(f"CALL moat.publish_changes('lake.s.t', '{name}')", error="is in table \"t\" already")
    world.sql("CALL moat.publish_changes('lake.s.t', 'gone')", error="did more than append")
    assert ids() == [1, 2, 3, 4] and read_by_all(world, "t", "id", with_duckdb=False)
    # each kind of statement, published by being made of the current snapshot
    for number, statement in enumerate(("DELETE FROM lake.s.t WHERE id = 4", "UPDATE lake.s.t SET id = 30 WHERE id = 3", "INSERT OVERWRITE lake.s.t VALUES (7)", "MERGE INTO lake.s.t USING (VALUES (7), (8)) AS s (k) ON id = k WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (k)", "TRUNCATE lake.s.t")):
        before = ids()
        world.sql(stage.format(f"s{number}") + statement)
        assert ids() == before
        world.sql(f"CALL moat.publish_changes('lake.s.t', 's{number}')")
        assert ids() == ([1, 2, 3], [1, 2, 30], [7], [8], [])[number], (statement, ids())
    world.sql("ALTER TABLE lake.s.t CREATE BRANCH b; " + stage.format("x") + "INSERT INTO lake.s.\"t$branch_b\" VALUES (5)")
    assert ids("lake.s.t@b") == [5]  # a branch is a stage of its own
    world.sql("ALTER TABLE lake.s.t UNSET ('write.wap.enabled'); " + stage.format("x") + "INSERT INTO lake.s.t VALUES (6)")
    assert ids() == [6]
    world.validate("t")


def advice_is_what_helps(world):
    """A table for each thing that is wrong, and one for none: what is advised ends with no advice."""
    def advice(text):
        return [(row["table_name"].split('"')[-2] if '"' in row["table_name"] else row["table_name"].split(".")[-1], row["procedure"]) for row in world.sql(f"CALL moat.advise({text})")]

    delta = "\"write.delete.mode\" = 'merge-on-read'"
    world.sql("CREATE TABLE lake.s.good AS SELECT i AS id FROM range(1000) r(i); CREATE TABLE lake.s.empty (id BIGINT)")
    world.sql("CREATE TABLE lake.s.old (id BIGINT) WITH (format_version = 1)")
    world.sql("CREATE TABLE lake.s.small (id BIGINT); " + "; ".join(f"INSERT INTO lake.s.small VALUES ({i})" for i in range(22)))
    world.sql(f"CREATE TABLE lake.s.dead WITH ({delta}) AS SELECT i AS id FROM range(1000) r(i); DELETE FROM lake.s.dead WHERE id % 3 = 0")
    world.sql(f"CREATE TABLE lake.s.marks WITH (format_version = 2, {delta}) AS SELECT i AS id FROM range(1000) r(i); DELETE FROM lake.s.marks WHERE id % 90 = 1; DELETE FROM lake.s.marks WHERE id % 90 = 2")
    world.sql(f"CREATE TABLE lake.s.form WITH (format_version = 2, {delta}) AS SELECT i AS id FROM range(1000) r(i); DELETE FROM lake.s.form WHERE id % 90 = 1; ALTER TABLE lake.s.form SET ('format-version' = '3')")
    world.sql("CREATE TABLE lake.s.many WITH (\"history.expire.max-snapshot-age-ms\" = 1) AS SELECT i AS id FROM range(200000) r(i); " + "; ".join(f"DELETE FROM lake.s.many WHERE id = {i}" for i in range(12)))
    found = advice("catalog => 'lake'")
    assert found == [("dead", "rewrite_data_files"), ("form", "rewrite_position_delete_files"), ("many", "expire_snapshots"), ("many", "compute_statistics"), ("marks", "rewrite_position_delete_files"), ("old", "migrate_format"),
                     ("small", "rewrite_data_files"), ("small", "rewrite_manifests")], found
    assert advice("'lake.s.good'") == [] and advice("'lake.s.empty'") == []
    world.sql("CALL moat.advise('lake.s.none')", error="42P01")
    world.sql("CALL moat.advise()", error="attached catalog")
    row = world.sql("CALL moat.advise('lake.s.small')")[0]
    assert "22 of 22 data files" in row["reason"], row
    # what is advised, done
    for row in world.sql("CALL moat.advise(catalog => 'lake')"):
        before = world.sql(f"SELECT count(*) AS n, sum(id) AS m FROM {row['table_name']}")
        world.sql(row["statement"])
        assert world.sql(f"SELECT count(*) AS n, sum(id) AS m FROM {row['table_name']}") == before
    assert advice("catalog => 'lake'") == [], advice("catalog => 'lake'")
    done = subprocess.run([ARGUMENTS.moat, "--warehouse", str(world.folder / "moat"), "-q", "-c", "CREATE USER bob; GRANT SELECT ON lake.s.good TO USER bob"], check=True)
    done = subprocess.run([ARGUMENTS.moat, "--warehouse", str(world.folder / "moat"), "-q", "--as", "bob", "-c", "CALL moat.advise('lake.s.good')"], capture_output=True, check=False)
    assert done.returncode != 0 and b"42501" in done.stderr, done.stderr
    # the version, with what the table has
    world.sql(f"CREATE TABLE lake.s.m WITH (format_version = 2, {delta}) AS SELECT i AS id FROM range(1000) r(i); DELETE FROM lake.s.m WHERE id % 2 = 0; DELETE FROM lake.s.m WHERE id % 5 = 0")
    rows = read_by_all(world, "m", "id")
    said = world.sql("CALL moat.migrate_format('lake.s.m', dry_run => true)")[0]
    assert said == {"previous_version": 2, "format_version": 3, "rewritten_delete_files": 2, "added_delete_files": 0} and world.table("m").metadata.format_version == 2, said
    said = world.sql("CALL moat.migrate_format('lake.s.m')")[0]
    assert said["rewritten_delete_files"] == 2 and said["added_delete_files"] == 1 and world.table("m").metadata.format_version == 3, said
    assert {file.file_format.value for file in delete_files(world.table("m"))} == {"PUFFIN"} and read_by_all(world, "m", "id", with_duckdb=False) == rows
    world.sql("CALL moat.migrate_format('lake.s.m', 2)", error="version")
    world.sql("CALL moat.migrate_format('lake.s.m', 4)", error="format version 4")
    assert world.sql("CALL moat.migrate_format('lake.s.old', 2)")[0]["previous_version"] == 2


def nans_are_counted_and_no_bounds(world):
    """Columns with NaN, at any depth, in many files: how many, and bounds of the rest; in no mode that asks for neither."""
    world.sql("CREATE TABLE lake.s.t (g INTEGER, f FLOAT, d DOUBLE, p STRUCT(x DOUBLE, y STRUCT(z FLOAT)), l DOUBLE[], c DOUBLE, n DOUBLE) PARTITIONED BY (g) "
              "WITH (\"write.metadata.metrics.column.c\" = 'counts', \"write.metadata.metrics.column.n\" = 'none')")
    world.sql("INSERT INTO lake.s.t SELECT i % 40, CASE WHEN i % 3 = 0 THEN 'nan'::FLOAT ELSE i END, CASE WHEN i % 40 = 7 THEN 'nan'::DOUBLE WHEN i = 0 THEN '-inf'::DOUBLE ELSE -i END, "
              "{'x': CASE WHEN i % 40 < 5 AND i > 100 THEN 'nan'::DOUBLE ELSE i / 8 END, 'y': {'z': CASE WHEN i % 2 = 0 THEN NULL WHEN i = 399 THEN 'nan'::FLOAT ELSE -0.0 END}}, ['nan'::DOUBLE, 1], 'nan', 'nan' FROM range(400) r(i)")
    files = data_files(world, "t")
    assert len(files) == 40
    names = {"f": lambda row: row["f"], "d": lambda row: row["d"], "p.x": lambda row: row["p"]["x"], "p.y.z": lambda row: row["p"]["y"]["z"]}
    schema = world.table("t").schema()
    for file in files:
        rows = pa.parquet.read_table(file.file_path.removeprefix("file://")).to_pylist()
        for name, get in names.items():
            field = schema.find_field(name)
            values = [get(row) for row in rows if get(row) is not None]
            left = [value for value in values if not math.isnan(value)]
            if values:
                assert file.nan_value_counts[field.field_id] == len(values) - len(left), (name, file.nan_value_counts)
            for bounds, pick in ((file.lower_bounds, min), (file.upper_bounds, max)):
                found = from_bytes(field.field_type, bounds[field.field_id]) if field.field_id in bounds else None
                assert found == (pick(left) if left else None), (name, found, left)
        c, n, e = (schema.find_field(name).field_id for name in ("c", "n", "l.element"))
        assert file.nan_value_counts[c] == len(rows) and c not in file.lower_bounds and n not in file.nan_value_counts and e not in file.nan_value_counts
    world.validate("t")
    assert world.sql("SELECT count(*) AS n FROM lake.s.t WHERE f > 390") == world.sql("SELECT count(*) AS n FROM (SELECT * FROM lake.s.t OFFSET 0) WHERE f > 390")
    assert world.sql("SELECT count(*) AS n FROM lake.s.t WHERE isnan(d)") == [{"n": 10}]
    theirs = world.table("t").scan(row_filter="d < -390").to_arrow()
    assert len(theirs) == 10
    world.sql("CREATE TABLE lake.s.u AS SELECT 'nan'::DOUBLE AS x UNION ALL SELECT 2.5")
    assert data_files(world, "u")[0].nan_value_counts == {1: 1} and from_bytes(world.table("u").schema().find_type("x"), data_files(world, "u")[0].upper_bounds[1]) == 2.5
    world.sql("BEGIN; INSERT INTO lake.s.u VALUES ('nan'); COMMIT")
    assert sorted((file.nan_value_counts[1], len(file.lower_bounds or {})) for file in data_files(world, "u")) == [(1, 0), (1, 1)]


def manifests_are_merged_as_they_grow(world):
    """A table of many appends has few manifests, in each version; rows, lineage and files stay; unless it says that it wants none merged."""
    for version, more in ((1, ""), (2, ""), (3, ""), (2, ", \"commit.manifest-merge.enabled\" = 'false'")):
        name = f"m{version}{len(more)}"
        world.sql(f"CREATE TABLE lake.s.{name} (id BIGINT, g INTEGER) PARTITIONED BY (g) WITH (format_version = {version}, \"commit.manifest.min-count-to-merge\" = 5{more})")
        lineage, said = "SELECT id, _row_id, _last_updated_sequence_number AS n FROM lake.s." + name + " ORDER BY id", []
        for number in range(14):
            world.sql(f"INSERT INTO lake.s.{name} VALUES ({number}, {number % 2})")
            if version == 3:
                now = world.sql(lineage)
                assert now[:-1] == said, (said, now)
                said = now
            if number == 6:
                world.sql(f"DELETE FROM lake.s.{name} WHERE id = 2")
                said = [row for row in said if row["id"] != 2]
        manifests = world.table(name).current_snapshot().manifests(world.table(name).io)
        assert len(manifests) < 6 if not more else len(manifests) > 12, len(manifests)
        assert len(read_by_all(world, name, "id", with_duckdb=version < 3)) == 13 and not world.orphans(name)
        assert len(data_files(world, name)) == 13


TESTS = (
    manifests_are_merged_as_they_grow,
    nans_are_counted_and_no_bounds,
    advice_is_what_helps,
    what_is_staged_is_published_once,
    position_deletes_are_rewritten,
    rewritten_files_are_those_that_were_meant,
    sketches_are_those_of_the_library,
    properties_shape_files,
    forgotten_metadata_goes,
    sorted_tables_are_sorted,
    rows_in_order_stay_so_however_they_come,
    branches_are_written,
    rows_for_an_altered_table_are_checked,
    every_type_is_written_and_read_by_all,
    every_transform_is_pyicebergs,
    random_writes_keep_the_rows,
    refusals_leave_nothing,
    defaults_are_written,
    both_write_one_table,
    hadoop_tables_are_versioned,
    transforms_of_several_columns_are_kept,
    geometries_are_read_by_all,
    instants_are_read_by_all,
    many_writers_lose_nothing,
    altered_tables_are_read_by_all,
    maintenance_keeps_all_that_lives,
    many_alter_one_table,
)


def main():
    failed = 0
    passed = 0
    decimal.getcontext().prec = 50
    for test in TESTS:
        if ARGUMENTS.only not in test.__name__:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                test(World(folder))
                passed += 1
            except Exception:
                failed += 1
                print(f"{test.__name__}: FAILED (seed {ARGUMENTS.seed})")
                traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
