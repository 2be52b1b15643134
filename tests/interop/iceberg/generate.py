#!/usr/bin/env python3
"""Write the matrix of Iceberg tables, and what Spark reads in each.

    generate.py [--root DIR] [--only GLOB]... [--list] [--keep]
    generate.py --sample DIR       only the tables of sample.txt, copied to DIR (tests/data/iceberg)

    MOAT_SPARK          the folder with Spark and Iceberg's jars that tools/deps makes
    MOAT_ICEBERG_ROOT   default /tmp/moat-iceberg-00000000

Prints one line a table that failed, and at the end `N passed, N failed, N skipped`: tables written and read back.
"""

import argparse
import fnmatch
import importlib
import json
import shutil
import sys
import time
import traceback
from pathlib import Path

import arrow_types
import base
import expected
import matrix
import sample
import world as world_module

FAMILIES = ("matrix_core", "matrix_evolution", "matrix_refs", "matrix_files", "matrix_types", "matrix_pyiceberg", "matrix_duckdb")
METADATA_TABLES = ("snapshots", "history", "refs", "files", "data_files", "delete_files", "entries", "manifests", "partitions", "metadata_log_entries",
                   "all_files", "all_data_files", "all_delete_files", "all_manifests", "all_entries")
SNAPSHOTS_READ_MAX = 8


def spoken(condition):
    """A condition in Spark's words: it has no TIMESTAMPTZ; its TIMESTAMP is one, and its TIMESTAMP_NTZ is what SQL calls TIMESTAMP."""
    return condition.replace("TIMESTAMP '", "TIMESTAMP_NTZ '").replace("TIMESTAMPTZ '", "TIMESTAMP '").replace('"', "`")


def cases_of(world, table):
    """(case, query, java schema or None, facts) for everything that Spark reads from one table."""
    t = table.identifier
    java = world.load(t)
    yield "current", f"SELECT {table.columns} FROM {t}", java.schema(), {}
    for number, condition in enumerate(table.filters, 1):
        yield f"filter-{number}", f"SELECT * FROM {t} WHERE {spoken(condition)}", java.schema(), {"filter": condition}
    util = world.ice.util.SnapshotUtil
    snapshots = list(world_module.each(java.snapshots()))
    if table.travel:
        for number, snapshot in enumerate(snapshots[:SNAPSHOTS_READ_MAX], 1):
            yield (f"snapshot-{number}", f"SELECT * FROM {t} VERSION AS OF {snapshot.snapshotId()}",
                   util.schemaFor(java, snapshot.snapshotId()), {"at": {"snapshot_id": snapshot.snapshotId()}})
    if table.times:
        for number, entry in enumerate(list(world_module.each(java.history()))[:SNAPSHOTS_READ_MAX], 1):
            # Spark's own reading of TIMESTAMP AS OF decides which snapshot that is; only the schema is taken from here.
            millis = entry.timestampMillis()
            found = util.snapshotIdAsOfTime(java, millis)
            yield (f"time-{number}", f"SELECT * FROM {t} TIMESTAMP AS OF timestamp_millis({millis})", util.schemaFor(java, found),
                   {"at": {"timestamp_ms": millis}})
    for ref in sorted(java.refs()):
        if ref != "main":
            yield f"ref-{ref}", f"SELECT * FROM {t} VERSION AS OF '{ref}'", util.schemaFor(java, ref), {"at": {"ref": ref}}
    if table.lineage:
        yield "lineage", f"SELECT _row_id, _last_updated_sequence_number, * FROM {t}", None, {"select": "_row_id, _last_updated_sequence_number, *"}
    if table.metadata:
        yield "columns", f"SELECT _file, _pos, _spec_id, _partition, * FROM {t}", None, {"select": "_file, _pos, _spec_id, _partition, *"}
        for name in METADATA_TABLES:
            yield f"table-{name}", f"SELECT * FROM {t}.{name}", None, {"metadata_table": name}


def read(world, table, writer):
    metadata = world.metadata_file(table.identifier)
    shared = {"metadata_file": metadata, "catalog": table.catalog, "features": table.features}
    if table.unsupported:
        shared["unsupported"] = table.unsupported
    for case, query, reader in table.oracle:
        schema = json.loads(world.ice.SchemaParser.toJson(world.load(table.identifier).schema()))
        writer.add(table.name, case, world.rows(query), expected.columns_of(schema), reader, **shared)
    if table.oracle:
        return
    if table.reader == "pyiceberg":
        read_pyiceberg(world, table, writer, shared)
        return
    for case, query, java_schema, facts in cases_of(world, table):
        rows = world.rows(query)
        columns = arrow_types.columns_of(rows) if java_schema is None else expected.columns_of(json.loads(world.ice.SchemaParser.toJson(java_schema)))
        writer.add(table.name, case, rows, columns, "spark", **shared, **facts)


def read_pyiceberg(world, table, writer, shared):
    from pyiceberg.table import StaticTable

    location = world.metadata_file(f"{table.catalog}.{table.twin}") if table.twin else shared["metadata_file"]
    opened = StaticTable.from_metadata(location)
    wanted = [("current", opened.scan(), opened.schema(), {})]
    wanted += [(f"snapshot-{i}", opened.scan(snapshot_id=s.snapshot_id), opened.schemas()[s.schema_id], {"at": {"snapshot_id": s.snapshot_id}})
               for i, s in enumerate(opened.metadata.snapshots, 1) if not table.twin]
    for case, scan, schema, facts in wanted:
        columns = expected.columns_of(json.loads(schema.model_dump_json(by_alias=True)))
        writer.add(table.name, case, scan.to_arrow(), columns, "pyiceberg", **shared, **facts)


def generate(world, tables, root):
    base.define(world)
    writer = expected.Writer(root)
    failed = []
    for number, table in enumerate(tables, 1):
        started = time.monotonic()
        try:
            namespace = table.name.split(".")[0]
            world.sql(f"CREATE NAMESPACE IF NOT EXISTS {table.catalog}.{namespace}")
            # A table that another program wrote is only registered here: its files are not this catalog's to remove.
            world.sql(f"DROP TABLE IF EXISTS {table.identifier}{' PURGE' if table.writer == 'spark' else ''}")
            table.build(world, table.identifier)
            read(world, table, writer)
        except Exception as error:  # one bad table must not hide the others
            failed.append(table.name)
            first = str(error).strip().splitlines()
            print(f"FAILED {table.name}: {type(error).__name__}: {first[0] if first else ''}", flush=True)
            (root / "failed").mkdir(exist_ok=True)
            (root / "failed" / table.name).write_text(traceback.format_exc())
        if number % 20 == 0 or number == len(tables):
            print(f"{number} of {len(tables)} tables, {writer.count} cases, last took {time.monotonic() - started:.1f} s", flush=True)
    for path in (*root.rglob(".*.crc"), *root.rglob("_SUCCESS")):
        path.unlink()
    return failed


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=world_module.ROOT)
    parser.add_argument("--only", action="append", help="only tables whose name matches; several add up")
    parser.add_argument("--list", action="store_true", help="print the tables' names and features and stop")
    parser.add_argument("--sample", type=Path, help="write the tables of sample.txt and copy them here")
    parser.add_argument("--keep", action="store_true", help="add to what is there instead of starting anew")
    arguments = parser.parse_args()

    for family in FAMILIES:
        importlib.import_module(family)
    if arguments.sample:
        arguments.root = sample.ROOT
        arguments.only = sample.globs()
    tables = [t for t in matrix.TABLES.values() if not arguments.only or any(fnmatch.fnmatch(t.name, g) for g in arguments.only)]
    if arguments.list:
        for table in tables:
            print(table.name, *table.features)
        print(f"{len(tables)} tables")
        return 0
    if arguments.root.exists() and not arguments.keep:
        shutil.rmtree(arguments.root)
    arguments.root.mkdir(parents=True, exist_ok=True)

    world = world_module.World(arguments.root, is_relocatable=bool(arguments.sample))
    failed = generate(world, tables, arguments.root)
    world.spark.stop()
    if arguments.sample and not failed:
        sample.keep(arguments.root, arguments.sample)
    print(f"{len(tables) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
