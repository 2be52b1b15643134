#!/usr/bin/env python3
"""VARIANT columns of Moat's tables, as Spark reads and writes them.

    variant_test.py MOAT [--seed N] [--values N]

Random JSON goes into a table of version 3 as variants; Spark reads each value as it was. The same values shredded
(write.parquet.shred-variants) are the same values to Moat, to Spark and to DuckDB, whatever names and types meet: names
that differ in case only, names twice, none, long ones, unlike types and decimals, NULL and what is not there; and the
files have the columns that they should. Fields of objects stand in order, where Spark looks for them. Spark writes its own, NULLs among them; what Moat then changes leaves the
others as Spark wrote them, and `moat iceberg validate` is clean. A NULL that Moat writes is the value null for Spark:
held here, so that it is noticed when the engine learns to tell the two.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[3] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import duckdb
    import pyarrow as pa
    import pyarrow.parquet as pq
except ImportError:
    if PYTHON.exists() and not os.environ.get("MOAT_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "MOAT_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
if not (CACHE / "spark/.complete").exists() or not shutil.which("java"):
    print("skipped: Spark or Java is not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

import world as spark_world

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


def typed_literal(rng):
    """A value of SQL that has no form in JSON."""
    def decimal():
        return f"{rng.randint(-(10**rng.choice((2, 6, 15, 30))), 10**rng.choice((2, 6, 15)))}e-{rng.choice((0, 1, 2, 5))}"

    number = decimal().split("e-")
    digits, scale = int(number[0]), int(number[1])
    width = rng.choice([w for w in (4, 9, 18, 38) if 10 ** (w - 1) > abs(digits)])
    text = f"{'-' if digits < 0 else ''}{abs(digits) // 10**scale}" + (f".{abs(digits) % 10**scale:0{scale}d}" if scale else "")
    return rng.choice((f"({text})::DECIMAL({width},{min(scale, width)})", f"({rng.randint(-128, 127)})::TINYINT", f"({rng.randint(-(2**31), 2**31 - 1)})::INTEGER", f"({rng.randint(-(2**63) + 1, 2**63 - 1)})::BIGINT",
                       f"{rng.random()}::FLOAT", f"DATE '2024-01-01' + {rng.randrange(20000)}", f"TIMESTAMP '2024-01-01 00:00:00' + INTERVAL {rng.randrange(10**9)} MICROSECOND",
                       f"TIMESTAMPTZ '2024-01-01 00:00:00+00' + INTERVAL {rng.randrange(10**9)} MICROSECOND", f"'\\x{rng.randrange(256):02X}'::BLOB", "TIME '10:11:12.123456'",
                       f"make_timestamp_ns({rng.randrange(10**18)})", f"'00000000-0000-0000-0000-{rng.randrange(2**40):012x}'::UUID", "true", "'x'", "[1, 2]", "NULL"))


def shredding_families(rng):
    """name: (id -> SQL of the value, the file has more columns than a whole VARIANT: True, False, or None where it is left to chance)"""
    def of_json(value):
        return lambda i: literal(value(i))

    names = ("a", "A", "b", "B", "", "value", "typed_value", "metadata", "list", "element", "k." + "long" * 60, "k" * 5000, "é", "É", 'q"u\'o', "c d")
    return {
        "random": (of_json(lambda i: random_value(rng)), None),
        "objects": (of_json(lambda i: {"a": i, "b": f"x{i}", "c": [i, None], "d": {"e": i / 2, "f": None}}), True),
        "mostly": (of_json(lambda i: {"a": i if i % 5 else "five", "b": i, f"rare{i}": 1} if i % 7 else [i]), False),
        "missing": (of_json(lambda i: {k: v for k, v in (("a", i), ("b", None), ("c", {}), ("d", {"e": 1})) if rng.random() < 0.6}), True),
        "names": (of_json(lambda i: {name: rng.choice((i, f"t{i}", None, {"A": i})) if rng.random() < 0.3 else i for name in rng.sample(names, rng.randrange(6))}), None),
        # After the rows that decide the layout, within the batch.
        "case": (of_json(lambda i: {"A" if i == OPTIONS.values - 1 else "a": i, "b": {"c": 1, "C": 2} if i == OPTIONS.values - 2 else {"c": 3}, "d": i}), True),
        "twice": (lambda i: f"""'{{"b": 1, "a": {i}, "b": {{"x": {i}}}, "a": "last{i}"}}'::JSON""", True),
        "arrays": (of_json(lambda i: [{"a": i, "b": [[i], []]} for _ in range(i % 4)]), True),
        "deep": (of_json(lambda i: json.loads('{"a":' * 40 + str(i) + "}" * 40)), True),
        "unordered": (of_json(lambda i: {f"f{(j * 37 + i) % 101}": j for j in range(80)}), True),
        "decimals": (lambda i: f"{{'same': {i}.25::DECIMAL(9,2), 'scales': {i}.{'5' if i % 2 else '55'}::DECIMAL(9,{1 + (i + 1) % 2})}}::VARIANT", True),
        "late_decimal": (lambda i: f"{{'d': {f'{i}.5::DECIMAL(9,1)' if i != OPTIONS.values - 1 else '9.505::DECIMAL(9,3)'}}}::VARIANT", False),
        "typed": (lambda i: typed_literal(rng) + "::VARIANT", None),
        "typed_fields": (lambda i: f"{{'a': {typed_literal(rng)}, 'b': {typed_literal(rng)}, 'l': [{i}::SMALLINT]}}::VARIANT", None),
        "typed_each": (lambda i: f"{{'i': {i}::INTEGER, 'l': {i}::BIGINT, 'f': {i}.5::FLOAT, 't': TIMESTAMP '2024-01-01' + INTERVAL {i} MICROSECOND, 'z': TIMESTAMPTZ '2024-01-01 00:00:00+00', "
                                 f"'n': make_timestamp_ns({i}), 'u': '00000000-0000-0000-0000-{i:012x}'::UUID, 'x': '\\x00\\xFF'::BLOB, 'd': DATE '2024-01-01' + {i}, 'c': TIME '10:11:12', 'o': {i % 2 == 0}, "
                                 f"'big': {i}.5::DECIMAL(38,1)}}::VARIANT", True),
    }


def shredded_columns(folder, table):
    """How many Parquet columns of the table's files are parts of a shredded VARIANT."""
    files = list(Path(f"{folder}/warehouse/s/{table}/data").rglob("*.parquet"))
    paths = [column.path for file in files for column in pq.ParquetFile(file).schema]
    return len([path for path in paths if path.startswith("v.typed_value.")]), files


def shredded_is_as_whole(moat, spark, rng, folder):
    """The same rows in two tables, and then changed in both: no reader sees a difference."""
    other = duckdb.connect()
    # Spark marks what it deletes: a file that it writes anew has other decimals, 1.50 for 1.5.
    shred = ", 'write.parquet.shred-variants' = 'true', 'write.delete.mode' = 'merge-on-read'"
    families = shredding_families(rng)
    for name, (value, is_shredded) in families.items():
        moat.sql(f"CREATE TABLE lake.s.source_{name} {SHAPE.format(more='')}")
        texts = [value(i) for i in range(OPTIONS.values)]
        if all(text == "NULL" or text.endswith("::JSON") for text in texts):  # values of one type; the engine folds none of them
            moat.sql(f"INSERT INTO lake.s.source_{name} SELECT id, v::VARIANT FROM (VALUES {', '.join(f'({i}, {text})' for i, text in enumerate(texts))}) AS x(id, v)")
        else:
            for begin in range(0, len(texts), 50):
                moat.sql(f"INSERT INTO lake.s.source_{name} " + " UNION ALL ".join(f"SELECT {i}, {text}" for i, text in list(enumerate(texts))[begin:begin + 50]))
        for kind, more in (("whole", ""), ("shred", shred + (", 'write.parquet.variant-inference-buffer-size' = '50'" if name in ("random", "case", "late_decimal") else ""))):
            moat.sql(f"CREATE TABLE lake.s.{kind}_{name} {SHAPE.format(more=more)}")
            moat.sql(f"INSERT INTO lake.s.{kind}_{name} SELECT * FROM lake.s.source_{name} ORDER BY id")
        compare(moat, spark, other, folder, name)
        count, _ = shredded_columns(folder, f"shred_{name}")
        assert is_shredded is None or (count > 0) == is_shredded, f"{name}: {count} shredded columns"
        for kind in ("whole", "shred"):
            moat.sql(f"UPDATE lake.s.{kind}_{name} SET v = CASE WHEN id % 2 = 0 THEN {{'a': id}}::VARIANT ELSE {{'A': v}}::VARIANT END WHERE id % 11 = 0")
            moat.sql(f"DELETE FROM lake.s.{kind}_{name} WHERE id % 13 = 0")
        compare(moat, spark, other, folder, name)
        spark.sql(f"DELETE FROM lake.s.shred_{name} WHERE id % 17 = 0")
        moat.sql(f"DELETE FROM lake.s.whole_{name} WHERE id % 17 = 0")
        moat.sql(f"CALL moat.rewrite_data_files('lake.s.shred_{name}', rewrite_all => true)")
        compare(moat, spark, other, folder, name)
    return len(families) * OPTIONS.values


def compare(moat, spark, other, folder, name):
    typed = "regexp_replace(variant_typeof(v), 'DECIMAL\\(\\d+', 'DECIMAL(', 'g')"  # digits are not part of a value
    zero = "regexp_replace(v::JSON::VARCHAR, '([^0-9])([.][0-9])', '\\10\\2', 'g')"  # the engine leaves it out where there are as many digits as behind the point
    questions = [f"SELECT id, {zero} AS v, {typed} AS t FROM {{}}", "SELECT id, v.a::JSON::VARCHAR AS v, v.b.c::JSON::VARCHAR AS t FROM {}",
                 "SELECT id, v.A::JSON::VARCHAR AS v FROM {} WHERE v.a IS NULL", "SELECT id FROM {} WHERE CASE WHEN variant_typeof(v.a) = 'INT64' THEN v.a::BIGINT END > 30", "SELECT id FROM {} WHERE CASE WHEN variant_typeof(v) = 'VARCHAR' THEN v::VARCHAR END >= 't2'"]
    for question in questions:
        whole, shred = (sorted(moat.sql(question.format(f"lake.s.{kind}_{name}")), key=lambda row: row["id"]) for kind in ("whole", "shred"))
        assert whole == shred, f"{name}: {question}: {[(a, b) for a, b in zip(whole, shred) if a != b][:3]}"
    if not name.startswith("typed"):  # Spark 4 knows no TIME, UUID and nanoseconds in a VARIANT
        whole, shred = spark.values(f"whole_{name}"), spark.values(f"shred_{name}")
        assert whole == shred, f"{name}: spark reads others: {[(whole[i], shred.get(i)) for i in whole if whole[i] != shred.get(i)][:3]}"
        assert whole, name
    if name == "unordered":  # found where a reader looks for it, by halves
        rows = spark.sql(f"SELECT count(*) AS n FROM lake.s.shred_{name} WHERE variant_get(v, '$.f50', 'int') IS NOT NULL")
        also = spark.sql(f"SELECT count(*) AS n FROM lake.s.shred_{name} WHERE get_json_object(to_json(v), '$.f50') IS NOT NULL")
        assert rows == also and rows[0]["n"] > 0, (rows, also)
    # DuckDB reads the files; rows that are marked as deleted it does not know.
    alive = {row["id"] for row in moat.sql(f"SELECT id FROM lake.s.shred_{name}")}
    paths = {kind: [row["file_path"] for row in moat.sql(f'SELECT file_path FROM lake.s."{kind}_{name}$data_files"')] for kind in ("whole", "shred")}
    found = {kind: {row for row in other.execute(f"SELECT id, {zero}, {typed} FROM read_parquet(?)", [files]).fetchall() if row[0] in alive} for kind, files in paths.items()}
    assert found["whole"] == found["shred"], f"{name}: duckdb reads others: {list(found['whole'] ^ found['shred'])[:4]}"
    moat.validate(f"shred_{name}")


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
        print(f"{shredded_is_as_whole(moat, spark, rng, folder)} values shredded and whole are the same", flush=True)
        for mode in ("copy-on-write", "merge-on-read"):
            print(f"{sparks_nulls_stay(moat, spark, mode)} changes beside Spark's NULLs, {mode}", flush=True)
    print("passed")


if __name__ == "__main__":
    sys.exit(main())
