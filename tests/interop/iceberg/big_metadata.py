#!/usr/bin/env python3
"""A table of many files that exist only in metadata, and how long PyIceberg takes to plan a scan of it.

    big_metadata.py make DIR [--files 100000] [--manifests 50]     writes DIR/metadata/...
    big_metadata.py time DIR [--repeat 3] [--only FILTER]          prints one JSON line a filter

The manifests are written with fastavro to the letter of the spec (v2), by a fixed seed. Columns id, ts, region, amount, note; partitioned by
day(ts) and identity(region); bounds and counts for all columns. Files of one manifest cover neighbouring days, as appends leave them, so
that a filter on ts is selective for manifests, one on id only for files (ids ascend with time), one on region for the files of each.
"""

import argparse
import json
import random
import struct
import time
import uuid
from pathlib import Path

import fastavro

SEED = 20260101
DAY_US = 86400 * 10**6
FIRST_DAY = 17897  # 2019-01-01
REGIONS = ["africa", "america", "asia", "europe", "oceania"]
ROWS_IN_FILE = 100_000
FILTERS = {"one_day": "ts >= '2020-05-17T00:00:00+00:00' and ts < '2020-05-18T00:00:00+00:00' and region = 'europe'",
           "by_id": "id >= 5000000000 and id < 5000300000",
           "region": "region = 'asia'",
           "nothing": "amount > 1000000000000.0",
           "all": None}

SCHEMA = {"type": "struct", "schema-id": 0, "fields": [
    {"id": 1, "name": "id", "required": True, "type": "long"},
    {"id": 2, "name": "ts", "required": True, "type": "timestamptz"},
    {"id": 3, "name": "region", "required": False, "type": "string"},
    {"id": 4, "name": "amount", "required": False, "type": "double"},
    {"id": 5, "name": "note", "required": False, "type": "string"}]}
SPEC = [{"name": "ts_day", "transform": "day", "source-id": 2, "field-id": 1000},
        {"name": "region", "transform": "identity", "source-id": 3, "field-id": 1001}]


def id_map(name, key, value, type_):
    record = {"type": "record", "name": f"k{key}_v{value}", "fields": [
        {"name": "key", "type": "int", "field-id": key}, {"name": "value", "type": type_, "field-id": value}]}
    return ["null", {"type": "array", "items": record, "logicalType": "map"}], name


DAY_AND_REGION = [{"name": "ts_day", "type": ["null", {"type": "int", "logicalType": "date"}], "default": None, "field-id": 1000},
                  {"name": "region", "type": ["null", "string"], "default": None, "field-id": 1001}]


def entry_schema(partition_fields):
    def field(name, id_, type_):
        return {"name": name, "type": type_, "field-id": id_} | ({"default": None} if isinstance(type_, list) else {})

    def mapped(name, id_, key, value, type_):
        return field(name, id_, id_map(name, key, value, type_)[0])
    partition = {"type": "record", "name": "r102", "fields": partition_fields}
    data_file = {"type": "record", "name": "r2", "fields": [
        field("content", 134, "int"), field("file_path", 100, "string"), field("file_format", 101, "string"),
        field("partition", 102, partition), field("record_count", 103, "long"), field("file_size_in_bytes", 104, "long"),
        mapped("column_sizes", 108, 117, 118, "long"), mapped("value_counts", 109, 119, 120, "long"),
        mapped("null_value_counts", 110, 121, 122, "long"), mapped("nan_value_counts", 137, 138, 139, "long"),
        mapped("lower_bounds", 125, 126, 127, "bytes"), mapped("upper_bounds", 128, 129, 130, "bytes"),
        field("key_metadata", 131, ["null", "bytes"]),
        field("split_offsets", 132, ["null", {"type": "array", "items": "long", "element-id": 133}]),
        field("equality_ids", 135, ["null", {"type": "array", "items": "int", "element-id": 136}]),
        field("sort_order_id", 140, ["null", "int"])]}
    return fastavro.parse_schema({"type": "record", "name": "manifest_entry", "fields": [
        field("status", 0, "int"), field("snapshot_id", 1, ["null", "long"]), field("sequence_number", 3, ["null", "long"]),
        field("file_sequence_number", 4, ["null", "long"]), field("data_file", 2, data_file)]})


def list_schema():
    def field(name, id_, type_):
        return {"name": name, "type": type_, "field-id": id_}
    summary = {"type": "record", "name": "r508", "fields": [
        field("contains_null", 509, "boolean"), field("contains_nan", 518, ["null", "boolean"]),
        field("lower_bound", 510, ["null", "bytes"]), field("upper_bound", 511, ["null", "bytes"])]}
    return fastavro.parse_schema({"type": "record", "name": "manifest_file", "fields": [
        field("manifest_path", 500, "string"), field("manifest_length", 501, "long"), field("partition_spec_id", 502, "int"),
        field("content", 517, "int"), field("sequence_number", 515, "long"), field("min_sequence_number", 516, "long"),
        field("added_snapshot_id", 503, "long"), field("added_files_count", 504, "int"), field("existing_files_count", 505, "int"),
        field("deleted_files_count", 506, "int"), field("added_rows_count", 512, "long"), field("existing_rows_count", 513, "long"),
        field("deleted_rows_count", 514, "long"),
        field("partitions", 507, ["null", {"type": "array", "items": summary, "element-id": 508}]),
        field("key_metadata", 519, ["null", "bytes"])]})


def entry(number, files_a_day, location, snapshot, rng):
    """File `number`: its day follows from its number, its ids ascend."""
    day = FIRST_DAY + number // files_a_day
    region = REGIONS[number % len(REGIONS)]
    first_id = number * ROWS_IN_FILE
    start = day * DAY_US + rng.randrange(DAY_US // 2)
    low, high = sorted(round(rng.uniform(-100, 10000), 2) for _ in range(2))
    notes = sorted(f"{rng.choice(('order', 'return', 'transfer'))} {rng.randrange(10**6):06d}" for _ in range(2))
    lower = [struct.pack("<q", first_id), struct.pack("<q", start), region.encode(), struct.pack("<d", low), notes[0].encode()]
    upper = [struct.pack("<q", first_id + ROWS_IN_FILE - 1), struct.pack("<q", start + DAY_US // 2 - 1), region.encode(),
             struct.pack("<d", high), notes[1].encode()]

    def per_column(values):
        return [{"key": i, "value": value} for i, value in enumerate(values, 1)]
    name = f"{uuid.UUID(int=rng.getrandbits(128), version=4)}"
    return {"status": 1, "snapshot_id": snapshot, "sequence_number": None, "file_sequence_number": None, "data_file": {
        "content": 0, "file_path": f"{location}/data/ts_day={day}/region={region}/00000-{number}-{name}-00001.parquet",
        "file_format": "PARQUET", "partition": {"ts_day": day, "region": region}, "record_count": ROWS_IN_FILE,
        "file_size_in_bytes": 2_000_000 + rng.randrange(10**6), "column_sizes": per_column(rng.randrange(10**5, 10**6) for _ in range(5)),
        "value_counts": per_column([ROWS_IN_FILE] * 5), "null_value_counts": per_column([0, 0, 0, rng.randrange(100), 0]),
        "nan_value_counts": [{"key": 4, "value": 0}], "lower_bounds": per_column(lower), "upper_bounds": per_column(upper),
        "key_metadata": None, "split_offsets": [4], "equality_ids": None, "sort_order_id": 0}}


def make(folder, files, manifests):
    location = str(folder.resolve())
    metadata = folder / "metadata"
    metadata.mkdir(parents=True, exist_ok=True)
    rng, snapshot = random.Random(SEED), 3776207205136740581
    files_a_day = max(1, files // (365 * 5))
    header = {"schema": json.dumps(SCHEMA), "schema-id": "0", "partition-spec": json.dumps(SPEC), "partition-spec-id": "0",
              "format-version": "2", "content": "data"}
    schema, listed, written = entry_schema(DAY_AND_REGION), [], 0
    for number in range(manifests):
        count = files * (number + 1) // manifests - written
        entries = [entry(written + i, files_a_day, location, snapshot, rng) for i in range(count)]
        written += count
        path = metadata / f"{number:05d}-m0.avro"
        with open(path, "wb") as out:
            fastavro.writer(out, schema, entries, codec="deflate", metadata=header, sync_interval=64000)
        days = [e["data_file"]["partition"]["ts_day"] for e in entries]
        regions = sorted(e["data_file"]["partition"]["region"] for e in entries)
        listed.append({
            "manifest_path": str(path.resolve()), "manifest_length": path.stat().st_size, "partition_spec_id": 0, "content": 0,
            "sequence_number": 1, "min_sequence_number": 1, "added_snapshot_id": snapshot, "added_files_count": count,
            "existing_files_count": 0, "deleted_files_count": 0, "added_rows_count": count * ROWS_IN_FILE, "existing_rows_count": 0,
            "deleted_rows_count": 0, "key_metadata": None, "partitions": [
                {"contains_null": False, "contains_nan": None, "lower_bound": struct.pack("<i", min(days)), "upper_bound": struct.pack("<i", max(days))},
                {"contains_null": False, "contains_nan": None, "lower_bound": regions[0].encode(), "upper_bound": regions[-1].encode()}]})
    list_path = metadata / f"snap-{snapshot}-1.avro"
    with open(list_path, "wb") as out:
        fastavro.writer(out, list_schema(), listed, codec="deflate", metadata={
            "snapshot-id": str(snapshot), "parent-snapshot-id": "null", "sequence-number": "1", "format-version": "2"})
    document = {
        "format-version": 2, "table-uuid": str(uuid.UUID(int=SEED, version=4)), "location": location, "last-sequence-number": 1,
        "last-updated-ms": 1767225600000, "last-column-id": 5, "schemas": [SCHEMA], "current-schema-id": 0,
        "partition-specs": [{"spec-id": 0, "fields": SPEC}], "default-spec-id": 0, "last-partition-id": 1001,
        "sort-orders": [{"order-id": 0, "fields": []}], "default-sort-order-id": 0, "properties": {}, "current-snapshot-id": snapshot,
        "refs": {"main": {"snapshot-id": snapshot, "type": "branch"}}, "snapshots": [{
            "snapshot-id": snapshot, "sequence-number": 1, "timestamp-ms": 1767225600000, "schema-id": 0, "manifest-list": str(list_path.resolve()),
            "summary": {"operation": "append", "total-data-files": str(files), "total-records": str(files * ROWS_IN_FILE)}}],
        "snapshot-log": [{"snapshot-id": snapshot, "timestamp-ms": 1767225600000}], "metadata-log": []}
    (metadata / "v1.metadata.json").write_text(json.dumps(document))
    (metadata / "version-hint.text").write_text("1")


def measure(folder, repeat, only):
    from pyiceberg.table import StaticTable

    for name, condition in FILTERS.items():
        if only not in (None, name):
            continue
        best, count = None, 0
        for _ in range(repeat):
            # Opened anew each time: nothing of the last plan is kept.
            started = time.perf_counter()
            table = StaticTable.from_metadata(str(folder.resolve() / "metadata" / "v1.metadata.json"))
            scan = table.scan(row_filter=condition) if condition else table.scan()
            count = sum(1 for _ in scan.plan_files())
            took = time.perf_counter() - started
            best = took if best is None else min(best, took)
        print(json.dumps({"planner": "pyiceberg", "filter": name, "files": count, "seconds": round(best, 4)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("make", "time"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--files", type=int, default=100_000)
    parser.add_argument("--manifests", type=int, default=50)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--only", choices=FILTERS)
    arguments = parser.parse_args()
    if arguments.verb == "make":
        make(arguments.folder, arguments.files, arguments.manifests)
    else:
        measure(arguments.folder, arguments.repeat, arguments.only)


if __name__ == "__main__":
    main()
