#!/usr/bin/env python3
"""TPC-H as Iceberg: plain, with 1 % position deletes on lineitem (v2), with the same as deletion vectors (v3).

    big_tpch.py make SOURCE DIR            SOURCE has the *.parquet of tpchgen-cli; writes DIR/warehouse and DIR/tables.json
    big_tpch.py deletes DIR                adds lineitem_pos and lineitem_dv (needs Spark: MOAT_SPARK)
    big_tpch.py positions DIR              adds lineitem_pos alone, by hand: one row in a hundred by a fixed seed, a delete file for each data
                                           file; and a namespace tpch_pos in DIR/catalog.sqlite with it as lineitem, beside the other tables
    big_tpch.py time DIR [--rounds 3]      DuckDB: the same files as bare Parquet, by iceberg_scan, and with each kind of delete

PyIceberg writes the tables, so that the bare files are the table's own data files, with field ids. tables.json maps each name to its
metadata file. `time` prints one JSON line a query and kind, and totals; the rows of the first two kinds must be the same.
"""

import argparse
import json
import random
import statistics
import time
import uuid
from pathlib import Path

TABLES = ("region", "nation", "supplier", "customer", "part", "partsupp", "orders", "lineitem")
QUERIES = Path(__file__).resolve().parents[2] / "data" / "ast" / "tpch.sql"
DELETED = "pmod(hash(l_orderkey, l_linenumber), 100) = 0"


def load_tables(folder):
    return json.loads((folder / "tables.json").read_text())


def save_tables(folder, tables):
    (folder / "tables.json").write_text(json.dumps(tables, indent=1) + "\n")


def make(source, folder):
    import pyarrow.parquet as pq
    from pyiceberg.catalog.sql import SqlCatalog

    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "catalog.sqlite").unlink(missing_ok=True)
    catalog = SqlCatalog("tpch", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace("tpch")
    tables = {}
    for name in TABLES:
        rows = pq.read_table(source / f"{name}.parquet")
        table = catalog.create_table(f"tpch.{name}", rows.schema, properties={
            "write.parquet.row-group-limit": "122880", "write.parquet.compression-codec": "snappy", "write.target-file-size-bytes": "268435456"})
        table.append(rows)
        tables[name] = table.metadata_location.removeprefix("file://")
        print(f"{name}: {len(rows)} rows, {len(table.inspect.files())} files", flush=True)
    save_tables(folder, tables)


def add_deletes(folder):
    from world import World

    folder = folder.resolve()
    world = World(folder / "spark")
    tables = load_tables(folder)
    world.sql("CREATE NAMESPACE IF NOT EXISTS jdbc.tpch")
    for name, version in (("lineitem_pos", 2), ("lineitem_dv", 3)):
        world.sql(f"DROP TABLE IF EXISTS jdbc.tpch.{name}")
        world.sql(f"CALL jdbc.system.register_table(table => 'tpch.{name}', metadata_file => '{tables['lineitem']}')").collect()
        world.sql(f"ALTER TABLE jdbc.tpch.{name} SET TBLPROPERTIES ('format-version' = '{version}', 'write.delete.mode' = 'merge-on-read', "
                  "'commit.retry.num-retries' = '0')")
        world.sql(f"DELETE FROM jdbc.tpch.{name} WHERE {DELETED}")
        tables[name] = world.metadata_file(f"jdbc.tpch.{name}").removeprefix("file://").removeprefix("file:")
        count = world.rows(f"SELECT count(*) AS n FROM jdbc.tpch.{name}").to_pylist()[0]["n"]
        print(f"{name}: {count} rows left, {tables[name]}", flush=True)
    save_tables(folder, tables)
    world.spark.stop()


def write_delete_file(metadata, data_file, seed):
    """A position delete file of one data file, and its manifest entry."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = data_file.record_count
    dead = sorted(random.Random(seed).sample(range(rows), rows // 100))
    path = metadata.parent / "data" / f"{Path(data_file.file_path).stem}-deletes.parquet"
    ids = [{b"PARQUET:field_id": number} for number in (b"2147483546", b"2147483545")]
    schema = pa.schema([pa.field("file_path", pa.string(), False, ids[0]), pa.field("pos", pa.int64(), False, ids[1])])
    pq.write_table(pa.table([pa.array([data_file.file_path] * len(dead)), pa.array(dead, pa.int64())], schema), path)
    bounds = [{"key": 2147483546, "value": data_file.file_path.encode()}]
    return {"status": 1, "snapshot_id": DELETE_SNAPSHOT, "sequence_number": None, "file_sequence_number": None, "data_file": {
        "content": 1, "file_path": f"file://{path}", "file_format": "PARQUET", "partition": {}, "record_count": len(dead),
        "file_size_in_bytes": path.stat().st_size, "lower_bounds": bounds, "upper_bounds": bounds}}


DELETE_SNAPSHOT = 4711471147114711


def write_deletes(location):
    """Another snapshot of the table, with deletes; the new metadata file."""
    import fastavro
    from big_metadata import entry_schema, list_schema
    from pyiceberg.table import StaticTable

    folder = Path(location).parent
    document = json.loads(Path(location).read_text())
    tasks = StaticTable.from_metadata(location).scan().plan_files()
    entries = [write_delete_file(folder, task.file, seed) for seed, task in enumerate(sorted(tasks, key=lambda task: task.file.file_path))]
    manifest, listed = folder / f"{uuid.uuid4()}-m0.avro", folder / f"snap-{DELETE_SNAPSHOT}-{uuid.uuid4()}.avro"
    with open(manifest, "wb") as out:
        fastavro.writer(out, entry_schema([]), entries, codec="deflate", metadata={
            "schema": json.dumps(document["schemas"][0]), "schema-id": "0", "partition-spec": "[]", "partition-spec-id": "0",
            "format-version": "2", "content": "deletes"})
    before = document["snapshots"][-1]
    with open(before["manifest-list"].removeprefix("file://"), "rb") as source:
        manifests = list(fastavro.reader(source))
    count = sum(entry["data_file"]["record_count"] for entry in entries)
    manifests.append({
        "manifest_path": f"file://{manifest}", "manifest_length": manifest.stat().st_size, "partition_spec_id": 0, "content": 1, "sequence_number": 2,
        "min_sequence_number": 2, "added_snapshot_id": DELETE_SNAPSHOT, "added_files_count": len(entries), "existing_files_count": 0,
        "deleted_files_count": 0, "added_rows_count": count, "existing_rows_count": 0, "deleted_rows_count": 0, "partitions": [], "key_metadata": None})
    with open(listed, "wb") as out:
        fastavro.writer(out, list_schema(), manifests, codec="deflate", metadata={
            "snapshot-id": str(DELETE_SNAPSHOT), "parent-snapshot-id": str(before["snapshot-id"]), "sequence-number": "2", "format-version": "2"})
    document["last-sequence-number"] = 2
    document["current-snapshot-id"] = DELETE_SNAPSHOT
    document["refs"] = {"main": {"snapshot-id": DELETE_SNAPSHOT, "type": "branch"}}
    document["snapshots"].append({
        "snapshot-id": DELETE_SNAPSHOT, "parent-snapshot-id": before["snapshot-id"], "sequence-number": 2, "timestamp-ms": before["timestamp-ms"] + 1000,
        "schema-id": before["schema-id"], "manifest-list": f"file://{listed}", "summary": {
            "operation": "delete", "total-records": before["summary"]["total-records"], "total-position-deletes": str(count)}})
    document["snapshot-log"].append({"snapshot-id": DELETE_SNAPSHOT, "timestamp-ms": before["timestamp-ms"] + 1000})
    document["last-updated-ms"] = before["timestamp-ms"] + 1000
    path = folder / f"00002-{uuid.uuid4()}.metadata.json"
    path.write_text(json.dumps(document))
    return path, count


def add_positions(folder):
    from pyiceberg.catalog.sql import SqlCatalog

    folder = folder.resolve()
    tables = load_tables(folder)
    path, count = write_deletes(tables["lineitem"])
    tables["lineitem_pos"] = str(path)
    catalog = SqlCatalog("tpch", uri=f"sqlite:///{folder}/catalog.sqlite", warehouse=f"file://{folder}/warehouse")
    catalog.create_namespace("tpch_pos")
    for name in TABLES:
        catalog.register_table(f"tpch_pos.{name}", f"file://{tables['lineitem_pos' if name == 'lineitem' else name]}")
    print(f"lineitem_pos: {count} rows deleted, {path}", flush=True)
    save_tables(folder, tables)


def sources(tables, kind):
    """What each table name stands for, in DuckDB's SQL."""
    from pyiceberg.table import StaticTable

    for name in TABLES:
        location = tables[name]
        if kind == "parquet":
            files = [task.file.file_path.removeprefix("file://") for task in StaticTable.from_metadata(location).scan().plan_files()]
            yield name, f"read_parquet({files!r})"
        else:
            if name == "lineitem" and kind != "iceberg":
                location = tables[f"lineitem_{kind}"]
            yield name, f"iceberg_scan('{location}')"


def queries():
    """The 22, one a line."""
    return [line for line in QUERIES.read_text().splitlines() if line]


def measure(folder, rounds):
    import duckdb

    import readers

    tables, rows = load_tables(folder), {}
    totals = {}
    for kind in ("parquet", "iceberg", "pos", "dv"):
        if kind in ("pos", "dv") and f"lineitem_{kind}" not in tables:
            continue
        connection = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
        readers.load(connection)
        for name, source in sources(tables, kind):
            connection.execute(f"CREATE VIEW {name} AS SELECT * FROM {source}")
        total = 0.0
        for number, query in enumerate(queries(), 1):
            took = []
            for _ in range(rounds):
                started = time.perf_counter()
                result = connection.execute(query).fetchall()
                took.append(time.perf_counter() - started)
            if kind in ("parquet", "iceberg") and rows.setdefault(number, result) != result:
                print(json.dumps({"kind": kind, "query": number, "problem": "other rows than from bare Parquet"}))
            total += statistics.median(took)
            print(json.dumps({"engine": f"duckdb {duckdb.__version__}", "kind": kind, "query": number, "seconds": round(statistics.median(took), 4)}), flush=True)
        totals[kind] = round(total, 3)
    print(json.dumps({"engine": f"duckdb {duckdb.__version__}", "total_seconds": totals}))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("make", "deletes", "positions", "time"))
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.verb == "make":
        make(*arguments.folders)
    elif arguments.verb == "deletes":
        add_deletes(*arguments.folders)
    elif arguments.verb == "positions":
        add_positions(*arguments.folders)
    else:
        measure(*arguments.folders, arguments.rounds)


if __name__ == "__main__":
    main()
