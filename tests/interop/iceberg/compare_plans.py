#!/usr/bin/env python3
"""Which files a scan reads: Moat's planner beside PyIceberg's, for random predicates on the tables that generate.py wrote.

    compare_plans.py --bench build/release/bin/scan_probe [--only 'core.*'] [--predicates 20] [--seed 1]

A planner may keep a file that holds no matching row; it may not skip one that does. So every live data file that Moat skips is read with
DuckDB: a matching row in one is a failure. So is a live file that is in no plan, a position delete that PyIceberg applies and Moat does not,
and other deletion vectors than the manifests name. Files that one of the two keeps alone are counted: they cost time, not rows.
"""

import argparse
import fnmatch
import json
import math
import random
import subprocess
import sys
from collections import Counter
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import duckdb
import fastavro
import pyarrow.parquet as pq
from pyiceberg import expressions as ex
from pyiceberg import types as it
from pyiceberg.table import StaticTable

COMPARISONS = {"=": ex.EqualTo, "!=": ex.NotEqualTo, "<": ex.LessThan, "<=": ex.LessThanOrEqual, ">": ex.GreaterThan, ">=": ex.GreaterThanOrEqual}
SQL = {"!=": "<>"}


def tables(root):
    found = {}
    for line in (root / "index.jsonl").read_text().splitlines():
        case = json.loads(line)
        if case.get("case") == "all" or case["table"] not in found:
            found[case["table"]] = case["metadata_file"].removeprefix("file://")
    return found


def as_json(value, type_):
    """The spec's single-value JSON."""
    if isinstance(value, datetime):
        text = value.replace(tzinfo=None).isoformat(timespec="microseconds")
        return text + ("+00:00" if isinstance(type_, it.TimestamptzType) else "")
    if isinstance(value, time):
        return value.isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value.quantize(Decimal(1).scaleb(-type_.scale)))
    return value.hex() if isinstance(value, bytes) else value


def as_sql(value, type_):
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, bytes):
        return "'" + "".join(f"\\x{b:02x}" for b in value) + "'::BLOB"
    if isinstance(value, (int, Decimal)):
        return str(value)
    if isinstance(value, float):
        return f"'{value!r}'::DOUBLE" if not isinstance(type_, it.FloatType) else f"'{value!r}'::FLOAT"
    kind = {it.DateType: "DATE", it.TimeType: "TIME", it.TimestampType: "TIMESTAMP", it.TimestamptzType: "TIMESTAMPTZ"}.get(type(type_))
    text = str(as_json(value, type_)).replace("'", "''")
    return f"'{text}'" + (f"::{kind}" if kind else "")


def random_leaf(rng, columns, values):
    name = rng.choice(sorted(columns))
    type_, quoted = columns[name], '"' + name + '"'
    if rng.random() < 0.12 or not values[name]:
        is_null = rng.random() < 0.5
        return [("is-null" if is_null else "not-null"), name], (ex.IsNull if is_null else ex.NotNull)(name), \
            f"{quoted} IS {'' if is_null else 'NOT '}NULL"
    if isinstance(type_, (it.FloatType, it.DoubleType)) and rng.random() < 0.15:
        is_nan = rng.random() < 0.5
        return [("is-nan" if is_nan else "not-nan"), name], (ex.IsNaN if is_nan else ex.NotNaN)(name), \
            f"{'' if is_nan else 'NOT '}isnan({quoted})"
    value = rng.choice(values[name])
    if isinstance(type_, it.StringType) and rng.random() < 0.25:
        prefix = value[:rng.randint(1, 4)]
        if prefix:
            negated = rng.random() < 0.4
            return ["not-starts-with" if negated else "starts-with", name, prefix], \
                (ex.NotStartsWith if negated else ex.StartsWith)(name, prefix), \
                f"{'NOT ' if negated else ''}starts_with({quoted}, {as_sql(prefix, type_)})"
    if rng.random() < 0.25:
        chosen = [rng.choice(values[name]) for _ in range(rng.randint(2, 4))]
        negated = rng.random() < 0.3
        listed = ", ".join(as_sql(v, type_) for v in chosen)
        return ["not-in" if negated else "in", name, [as_json(v, type_) for v in chosen]], \
            (ex.NotIn if negated else ex.In)(name, {literal(v) for v in chosen}), f"{quoted} {'NOT ' if negated else ''}IN ({listed})"
    op = rng.choice(sorted(COMPARISONS))
    return [op, name, as_json(value, type_)], COMPARISONS[op](name, literal(value)), f"{quoted} {SQL.get(op, op)} {as_sql(value, type_)}"


def literal(value):
    """PyIceberg takes dates and times as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    return value.isoformat() if isinstance(value, (date, time)) else value


def random_filter(rng, columns, values, depth):
    if depth == 0 or rng.random() < 0.4:
        return random_leaf(rng, columns, values)
    a = random_filter(rng, columns, values, depth - 1)
    b = random_filter(rng, columns, values, depth - 1)
    if rng.random() < 0.65:
        return ["and", a[0], b[0]], ex.And(a[1], b[1]), f"({a[2]} AND {b[2]})"
    return ["or", a[0], b[0]], ex.Or(a[1], b[1]), f"({a[2]} OR {b[2]})"


class Planner:
    def __init__(self, program):
        self.process = subprocess.Popen([program, "--list"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def plan(self, metadata, condition):
        self.process.stdin.write(json.dumps({"metadata": metadata, "filter": condition}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def local(path):
    return path.removeprefix("file://").removeprefix("file:")


def physical_names(path, ids):
    """Name of each column in one file, by field id; by name in a file that has no ids. None: not in the file."""
    fields = pq.read_schema(path)
    found = {int((f.metadata or {}).get(b"PARQUET:field_id", -1)): f.name for f in fields}
    if found.keys() == {-1}:
        return {name: name if name in fields.names else None for name in ids}
    return {name: found.get(id_) for name, id_ in ids.items()}


def sample_values(paths, columns, ids):
    """Values that are in the data files, by column, NaN left out (PyIceberg refuses it as a literal)."""
    values = {name: [] for name in columns}
    for path in sorted(paths):
        data = pq.ParquetFile(path).read()
        for name, physical in physical_names(path, ids).items():
            if physical is not None and name in columns:
                values[name] += [v for v in data.column(physical).to_pylist()
                                 if v is not None and not (isinstance(v, float) and (math.isnan(v) or math.isinf(v)))]
    return values


def matching_rows(connection, path, condition, ids):
    listed = ", ".join((f'"{physical}"' if physical is not None else "NULL") + f' AS "{name}"' for name, physical in physical_names(path, ids).items())
    try:
        return connection.execute(f"SELECT count(*) FROM (SELECT {listed} FROM read_parquet('{path}', hive_partitioning = false)) "
                                  f"WHERE {condition}").fetchone()[0]
    except duckdb.Error as error:  # a predicate that does not go with the type that the file has
        return str(error).splitlines()[0]


def live_files(table):
    if table.current_snapshot() is None:
        return set()
    files = table.inspect.data_files()
    return {local(path) for path, rows in zip(files.column("file_path").to_pylist(), files.column("record_count").to_pylist()) if rows > 0}


def vectors(table):
    """Deletion vectors by data file, read from the manifests."""
    found = {}
    for manifest in table.current_snapshot().manifests(table.io) if table.current_snapshot() else []:
        if manifest.content == 1:
            with open(local(manifest.manifest_path), "rb") as file:
                for entry in fastavro.reader(file):
                    if entry["status"] != 2 and entry["data_file"]["file_format"].upper() == "PUFFIN":
                        found.setdefault(local(entry["data_file"]["referenced_data_file"]), set()).add(local(entry["data_file"]["file_path"]))
    return found


def compare_one(planner, connection, name, metadata, table, live, ids, made, counts):
    ours_filter, theirs_filter, sql = made
    ours = planner.plan(metadata, ours_filter)
    if "error" in ours:
        counts["refused by Moat"] += 1
        print(f"{name}: {sql}: {ours['error']}")
        return
    kept = {local(f[0]): {local(d) for d in f[1:]} for f in ours["files"]}
    counts["plans"] += 1
    counts["FAILED"] += len(kept.keys() - live)
    for path in live - kept.keys():
        rows = matching_rows(connection, path, sql, ids)
        counts["files skipped, read and empty" if rows == 0 else "files skipped, not readable"] += 1
        if rows != 0:
            counts["FAILED"] += isinstance(rows, int)
            print(f"{name}: {sql}: {path} skipped: {rows}")
    try:
        # It gives a vector to every file of the partition and tells them apart when it reads.
        theirs = {local(t.file.file_path): {local(d.file_path) for d in t.delete_files if not d.file_path.endswith(".puffin")}
                  for t in table.scan(row_filter=theirs_filter).plan_files() if t.file.record_count > 0}
    except Exception as error:  # what it cannot plan is its own affair
        counts[f"refused by PyIceberg: {type(error).__name__}"] += 1
        return
    counts["same files as PyIceberg"] += kept.keys() == theirs.keys()
    counts["files kept by Moat alone"] += len(kept.keys() - theirs.keys())
    counts["files kept by PyIceberg alone"] += len(theirs.keys() - kept.keys())
    for path in kept.keys() & theirs.keys():
        counts["deletes applied by both"] += len(theirs[path] & kept[path])
        if theirs[path] - kept[path]:
            counts["deletes applied by PyIceberg alone"] += len(theirs[path] - kept[path])
            counts["FAILED"] += not kept[path]  # a vector replaces position deletes
            print(f"{name}: {sql}: {path}: lost {sorted(theirs[path] - kept[path])}")


def compare(planner, connection, name, metadata, rng, predicates, counts):
    table = StaticTable.from_metadata(metadata)
    columns = {f.name: f.field_type for f in table.schema().fields
               if f.field_type.is_primitive and not isinstance(f.field_type, (it.UUIDType, it.FixedType, it.UnknownType, it.TimestampNanoType))}
    live, vectors_of = live_files(table), vectors(table)
    everything = planner.plan(metadata, True)
    if "error" in everything:
        raise ValueError(everything["error"])
    if {local(f[0]) for f in everything["files"]} != live:
        counts["FAILED"] += 1
        print(f"{name}: other live files than PyIceberg")
    for file in everything["files"]:
        found = {local(d) for d in file[1:] if d.endswith(".puffin")}
        counts["vectors"] += len(found)
        if found != vectors_of.get(local(file[0]), set()):
            counts["FAILED"] += 1
            print(f"{name}: {file[0]}: vectors {found}")
    ids = {f.name: f.field_id for f in table.schema().fields}
    values = sample_values(live, columns, ids)
    for _ in range(predicates):
        compare_one(planner, connection, name, metadata, table, live, ids, random_filter(rng, columns, values, rng.randint(0, 2)), counts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", required=True)
    parser.add_argument("--root", type=Path, default=Path("/tmp/moat-iceberg-00000000"))
    parser.add_argument("--only", default="*")
    parser.add_argument("--predicates", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    planner, connection, counts = Planner(arguments.bench), duckdb.connect(), Counter()
    connection.execute("SET TimeZone = 'UTC'")
    for name, metadata in sorted(tables(arguments.root).items()):
        if fnmatch.fnmatch(name, arguments.only):
            try:
                compare(planner, connection, name, metadata, random.Random(f"{arguments.seed}:{name}"), arguments.predicates, counts)
                counts["tables"] += 1
            except Exception as error:
                counts[f"tables not compared: {type(error).__name__}"] += 1
                print(f"{name}: {type(error).__name__}: {str(error)[:200]}")
    print(json.dumps(counts, indent=1))
    return 1 if counts["FAILED"] else 0


if __name__ == "__main__":
    sys.exit(main())
