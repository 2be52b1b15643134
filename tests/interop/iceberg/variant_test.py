#!/usr/bin/env python3
"""VARIANT columns of Moat's tables, as Spark reads and writes them.

    variant_test.py MOAT [--seed N] [--values N]

Random JSON goes into a table of version 3 as variants; Spark and DuckDB read each value as it was, plain or shredded
into columns of its own (the engine chooses). Spark writes its own, NULLs among them; what Moat then changes leaves the
others as Spark wrote them, and `moat iceberg validate` is clean. A NULL that Moat writes is the value null for Spark:
held here, so that it is noticed when the engine learns to tell the two.
"""

import argparse
import json
import random
import subprocess
import sys
import tempfile
from pathlib import Path

import pyarrow as pa

import world as spark_world

CACHE = Path(__file__).resolve().parents[3] / ".cache/deps"
PARSER = argparse.ArgumentParser()
PARSER.add_argument("moat")
PARSER.add_argument("--seed", type=int, default=random.randrange(1 << 32))
PARSER.add_argument("--values", type=int, default=400)
OPTIONS = PARSER.parse_args()
# Iceberg's vectorised reader of 1.12 reads no shredded variants, its own neither.
SHAPE = "(id INTEGER, v VARIANT) WITH (format_version = 3, 'read.parquet.vectorization.enabled' = 'false'{more})"


class Moat:
    def __init__(self, folder):
        self.folder = folder
        subprocess.run([OPTIONS.moat, "init", f"{folder}/moat"], check=True, stdout=subprocess.DEVNULL)
        self.sql(f"ATTACH '{folder}/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true, CATALOG_NAME 'lake'); CREATE SCHEMA lake.s")

    def sql(self, text):
        """The rows of one statement that gives any."""
        command = [OPTIONS.moat, "--warehouse", f"{self.folder}/moat", "-q", "--format", "arrow", "-f", "-"]
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return pa.ipc.open_stream(done.stdout).read_all().to_pylist() if done.stdout else []

    def values(self, table):
        return {row["id"]: None if row["v"] is None else json.loads(row["v"]) for row in self.sql(f"SELECT id, v FROM lake.s.{table}")}

    def validate(self, table):
        done = subprocess.run([OPTIONS.moat, "iceberg", "validate", f"{self.folder}/warehouse/s/{table}"], capture_output=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(b"0 problems, 0 warnings"), done.stdout.decode() + done.stderr.decode()


class Spark:
    def __init__(self, folder):
        self.spark = spark_world.World(Path(folder) / "spark", CACHE / "spark").spark
        for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "jdbc", ".uri": f"jdbc:sqlite:file:{folder}/cat.sqlite",
                           ".jdbc.schema-version": "V1", ".warehouse": f"file:{folder}", ".cache-enabled": "false"}.items():
            self.spark.conf.set(f"spark.sql.catalog.lake{key}", value)

    def sql(self, text):
        return self.spark.sql(text).toArrow().to_pylist()

    def values(self, table):
        """id: (is NULL, value)"""
        rows = self.sql(f"SELECT id, v IS NULL AS n, to_json(v) AS v FROM lake.s.{table}")
        return {row["id"]: (row["n"], None if row["n"] else json.loads(row["v"])) for row in rows}


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 4 else 6)
    if kind < 3:
        return rng.choice((rng.randint(-5, 5), rng.randint(-(2**63), 2**63 - 1), 1 << rng.randrange(62)))
    if kind == 3:
        return rng.choice((0.5, -1e300, 1.25e-7, rng.random()))
    if kind == 4:
        return "".join(rng.choice("aé€𝄞\"\\\n' ") for _ in range(rng.choice((0, 3, 70))))
    if kind == 5:
        return rng.choice((True, False, None))
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randrange(4))]
    return {rng.choice(("a", "b", "c", "é", "A", f"k{rng.randrange(300)}")): random_value(rng, depth + 1) for _ in range(rng.randrange(5))}


def literal(value):
    return "NULL" if value is None else "'" + json.dumps(value, ensure_ascii=False).replace("'", "''") + "'::JSON"


def insert(moat, table, values):
    rows = ", ".join(f"({id_}, {literal(value)})" for id_, value in values.items())
    moat.sql(f"INSERT INTO lake.s.{table} SELECT id, v::VARIANT FROM (VALUES {rows}) AS x(id, v)")


def values_are_read_as_they_were(moat, spark, rng):
    """Unlike values, and those of one shape: what the engine shreds, whole or in part."""
    families = {"random": lambda i: random_value(rng), "numbers": lambda i: i * 7, "texts": lambda i: f"t{i}", "null": lambda i: None,
                "objects": lambda i: {"a": i, "b": f"x{i}", "c": [i, None], "d": {"e": i / 2}},
                "arrays": lambda i: [i, i + 1], "nearly": lambda i: i if i % 9 else "nine", "fields": lambda i: {"a": i if i % 5 else "five"}}
    for name, value in families.items():
        moat.sql(f"CREATE TABLE lake.s.{name} {SHAPE.format(more='')}")
        wanted = {i: value(i) for i in range(OPTIONS.values)}
        insert(moat, name, wanted)
        read = moat.values(name)
        assert read == wanted, f"{name}: moat reads others: {[(wanted[i], read[i]) for i in wanted if wanted[i] != read[i]][:4]}"
        read = spark.values(name)
        assert {id_: value for id_, (_, value) in read.items()} == wanted, f"{name}: spark reads others: {[(wanted[i], read[i]) for i in wanted if wanted[i] != read[i][1]][:4]}"
        assert not any(is_null for is_null, _ in read.values()), f"{name}: the engine writes NULL as NULL now: docs/iceberg.md"
        moat.validate(name)
    return len(families) * OPTIONS.values


def types_are_kept(moat, spark):
    """Spark's names of what SQL put in."""
    typed = {"5::TINYINT": "BIGINT", "5::BIGINT": "BIGINT", "1.50::DECIMAL(9,2)": "DECIMAL(2,1)", "1.5::FLOAT": "FLOAT", "1.5::DOUBLE": "DOUBLE",
             "true": "BOOLEAN", "'x'": "STRING", "DATE '2024-02-29'": "DATE", "TIMESTAMP '2024-01-01 00:00:00.123456'": "TIMESTAMP_NTZ",
             "TIMESTAMPTZ '2024-01-01 00:00:00+00'": "TIMESTAMP", "'\\x00\\xFF'::BLOB": "BINARY", "[1]": "ARRAY<BIGINT>", "{'a': 'x'}": "OBJECT<a: STRING>"}
    moat.sql(f"CREATE TABLE lake.s.typed {SHAPE.format(more='')}")
    for id_, text in enumerate(typed):
        moat.sql(f"INSERT INTO lake.s.typed SELECT {id_}, {text}")
    found = {row["id"]: row["t"] for row in spark.sql("SELECT id, schema_of_variant(v) AS t FROM lake.s.typed")}
    assert found == dict(enumerate(typed.values())), [(a, b) for a, b in zip(found.items(), typed.values()) if a[1] != b]
    return len(typed)


def sparks_nulls_stay(moat, spark, mode):
    """Whatever Moat changes, the rows that it does not are as Spark wrote them: NULL and the value null are two things there."""
    table = "mixed_" + mode.split("-")[0]
    more = "".join(f", 'write.{kind}.mode' = '{mode}'" for kind in ("delete", "update", "merge"))
    moat.sql(f"CREATE TABLE lake.s.{table} {SHAPE.format(more=more)}")
    spark.sql(f"INSERT INTO lake.s.{table} SELECT id, parse_json(v) FROM VALUES (1, '1'), (2, NULL), (3, 'null'), (4, '{{\"a\":1}}'), (5, NULL), (6, '[]') AS x(id, v)")
    spark.sql(f"INSERT INTO lake.s.{table} SELECT id, parse_json(v) FROM VALUES (11, '1'), (12, 'null'), (13, '{{\"a\":2}}') AS x(id, v)")
    wanted = {1: (False, 1), 2: (True, None), 3: (False, None), 4: (False, {"a": 1}), 5: (True, None), 6: (False, []), 11: (False, 1), 12: (False, None), 13: (False, {"a": 2})}
    assert spark.values(table) == wanted

    def check():
        assert spark.values(table) == wanted, (mode, spark.values(table), wanted)
        assert moat.values(table) == {id_: value for id_, (_, value) in wanted.items()}
        moat.validate(table)

    moat.sql(f"DELETE FROM lake.s.{table} WHERE id = 1")
    del wanted[1]
    check()
    moat.sql(f"UPDATE lake.s.{table} SET v = 'changed'::VARIANT WHERE id IN (6, 11)")
    wanted[6] = wanted[11] = False, "changed"
    check()
    moat.sql(f"MERGE INTO lake.s.{table} AS t USING (SELECT 4 AS id) AS s ON t.id = s.id WHEN MATCHED THEN DELETE")
    del wanted[4]
    check()
    moat.sql(f"CALL moat.rewrite_data_files('lake.s.{table}', rewrite_all => true)")
    check()
    spark.sql(f"UPDATE lake.s.{table} SET v = parse_json('[2]') WHERE id = 6")
    wanted[6] = False, [2]
    check()
    spark.sql(f"DELETE FROM lake.s.{table} WHERE id = 13")
    del wanted[13]
    check()
    return 6


def main():
    print(f"seed {OPTIONS.seed}", flush=True)
    rng = random.Random(OPTIONS.seed)
    with tempfile.TemporaryDirectory() as folder:
        moat, spark = Moat(folder), Spark(folder)
        print(f"{values_are_read_as_they_were(moat, spark, rng)} values read as they were", flush=True)
        print(f"{types_are_kept(moat, spark)} types kept", flush=True)
        for mode in ("copy-on-write", "merge-on-read"):
            print(f"{sparks_nulls_stay(moat, spark, mode)} changes beside Spark's NULLs, {mode}", flush=True)
    print("passed")


if __name__ == "__main__":
    sys.exit(main())
