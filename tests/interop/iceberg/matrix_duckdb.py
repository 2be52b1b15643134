"""Tables that DuckDB's Iceberg extension writes through a REST catalog; registered in Spark's JDBC catalog so that Spark reads them."""

import os
import sqlite3

from matrix import add
from readers import load
from rest_catalog import RestCatalog

_connection = None


def connection_of(w):
    import duckdb

    global _connection
    if _connection is None:
        (w.warehouse / "duckdb").mkdir(parents=True, exist_ok=True)
        server = RestCatalog(os.environ["MOAT_SPARK"], w.root / "duckdb.sqlite", w.warehouse / "duckdb")
        _connection = duckdb.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
        load(_connection)
        _connection.execute("SET TimeZone = 'UTC'")
        _connection.execute(f"ATTACH 'duckdb' AS rest (TYPE iceberg, ENDPOINT '{server.url}', AUTHORIZATION_TYPE 'none', "
                            "ACCESS_DELEGATION_MODE 'none')")
        _connection.execute("CREATE SCHEMA IF NOT EXISTS rest.duckdb")
    return _connection


def metadata_of(w, name):
    with sqlite3.connect(w.root / "duckdb.sqlite") as database:
        return database.execute("SELECT metadata_location FROM iceberg_tables WHERE table_namespace || '.' || table_name = ?", [name]).fetchone()[0]


COLUMNS = ("id INTEGER, k BIGINT, s VARCHAR, d DATE, ts TIMESTAMP, tz TIMESTAMPTZ, f FLOAT, g DOUBLE, p DECIMAL(9,2), b BLOB, flag BOOLEAN, "
           "u UUID, st STRUCT(a BIGINT, b VARCHAR[]), m MAP(VARCHAR, INTEGER), l INTEGER[]")


def pick(values):
    return f"(list_value({', '.join(values)}))[1 + i % {len(values)}]"


def rows(first, last):
    """Rows with nulls, NaN, both zeros, dates before 1970, empty and missing lists."""
    columns = (
        "i::INTEGER AS id",
        pick(["0::BIGINT", "-1", "9223372036854775807", "NULL", "-9223372036854775808"]) + " AS k",
        pick(["''", "'abc'", "'äöü€'", "NULL", "'a b/c=d'", "'iceberg'"]) + " AS s",
        pick(["DATE '1970-01-01'", "DATE '1969-12-31'", "NULL", "DATE '2020-02-29'"]) + " AS d",
        pick(["TIMESTAMP '2020-02-29 12:00:00'", "TIMESTAMP '1969-12-31 23:59:59.999999'", "NULL"]) + " AS ts",
        pick(["TIMESTAMPTZ '2020-02-29 12:00:00+00'", "NULL", "TIMESTAMPTZ '1969-12-31 23:59:59.999999+00'"]) + " AS tz",
        pick(["'0.0'::FLOAT", "'-0.0'::FLOAT", "'NaN'::FLOAT", "NULL", "1.5::FLOAT", "'-Infinity'::FLOAT"]) + " AS f",
        pick(["0.1::DOUBLE", "'NaN'::DOUBLE", "NULL", "'-0.0'::DOUBLE", "1e300"]) + " AS g",
        pick(["NULL", "0::DECIMAL(9,2)", "-14.20", "9999999.99"]) + " AS p",
        pick(["''::BLOB", "'\\xFF\\x00'::BLOB", "NULL"]) + " AS b",
        pick(["true", "NULL", "false"]) + " AS flag",
        pick(["'00000000-0000-0000-0000-000000000000'::UUID", "NULL", "'f79c3e09-677c-4bbd-a479-3f349cb785e7'::UUID"]) + " AS u",
        pick(["{'a': 1::BIGINT, 'b': ['x', NULL]}", "NULL", "{'a': NULL, 'b': []}", "{'a': 3, 'b': NULL}"]) + " AS st",
        pick(["MAP {'k': 1}", "NULL", "MAP {}"]) + " AS m",
        pick(["[1, 2]", "[]", "NULL", "[NULL]"]) + " AS l",
    )
    return f"SELECT {', '.join(columns)} FROM range({first}, {last}) t(i)"


DELETE = ("DELETE FROM {t} WHERE id > 3 AND id < 7",)
UPDATE = ("UPDATE {t} SET s = 'updated', f = 2.5 WHERE id % 5 = 0",)
MERGE = ("MERGE INTO {t} USING (SELECT 2 AS id, 'merged' AS s UNION ALL SELECT 99, 'new') x ON x.id = {t}.id "
         "WHEN MATCHED THEN UPDATE SET s = x.s WHEN NOT MATCHED THEN INSERT (id, s) VALUES (x.id, x.s)",)
EVOLVE = ("ALTER TABLE {t} ADD COLUMN extra VARCHAR", "ALTER TABLE {t} RENAME COLUMN s TO title", "ALTER TABLE {t} DROP COLUMN b",
          "ALTER TABLE {t} ALTER COLUMN id TYPE BIGINT", "INSERT INTO {t} (id, title, extra) VALUES (4294967296, 'late', 'more')")
TRANSACTION = ("BEGIN", "INSERT INTO {t} " + rows(30, 34), "DELETE FROM {t} WHERE id < 2", "COMMIT")


def story(version, partition="", steps=()):
    def make(w, t):
        connection = connection_of(w)
        name = t.split(".", 1)[1]
        written = f"rest.{name}"
        connection.execute(f"DROP TABLE IF EXISTS {written}")
        by = f"PARTITIONED BY ({partition})" if partition else ""
        connection.execute(f"CREATE TABLE {written} ({COLUMNS}) {by} WITH ('format-version' = {version})")
        connection.execute(f"INSERT INTO {written} {rows(0, 12)}")
        for step in steps:
            connection.execute(step.replace("{t}", written))
        if EVOLVE[0] not in steps:
            connection.execute(f"INSERT INTO {written} {rows(12, 20)}")
        w.sql(f"CALL jdbc.system.register_table(table => '{name}', metadata_file => '{metadata_of(w, name)}')").collect()
    return make


def variant(w, t):
    connection = connection_of(w)
    name = t.split(".", 1)[1]
    connection.execute(f"DROP TABLE IF EXISTS rest.{name}")
    connection.execute(f"CREATE TABLE rest.{name} (id INTEGER, v VARIANT) WITH ('format-version' = 3)")
    connection.execute(f"INSERT INTO rest.{name} VALUES (1, 5::VARIANT), (2, 'x'::VARIANT), (3, NULL), (4, {{'a': 1, 'b': [true, NULL]}}::VARIANT)")
    w.sql(f"CALL jdbc.system.register_table(table => '{name}', metadata_file => '{metadata_of(w, name)}')").collect()


def register():
    steps = {"plain": (), "delete": DELETE, "update": UPDATE, "merge": MERGE, "evolve": EVOLVE, "delete_evolve": DELETE + EVOLVE,
             "delete_twice": DELETE + ("DELETE FROM {t} WHERE id > 7",), "transaction": TRANSACTION, "emptied": ("DELETE FROM {t}",)}
    transforms = {"identity_s": "s", "identity_d": "d", "bucket_id": "bucket(4, id)", "bucket_s": "bucket(3, s)", "truncate_s": "truncate(2, s)",
                  "day_ts": "day(ts)", "year_d": "year(d)", "month_tz": "month(tz)", "hour_ts": "hour(ts)", "two": "flag, bucket(2, k)"}

    def one(name, build, version, **facts):
        add(f"duckdb.{name}", build, catalog="jdbc", version=version, writer="duckdb", features=(f"v{version}", f"duckdb:{name}"), **facts)

    for version in (2, 3):
        for name, how in steps.items():
            one(f"v{version}_{name}", story(version, "", how), version, travel=True, filters=("id < 5", "id = 13"), lineage=version == 3)
        for name, partition in transforms.items():
            one(f"v{version}_{name}", story(version, partition, DELETE + UPDATE), version, travel=True, filters=("id < 5", "s = 'abc'", "d IS NULL"))
    # Spark reads no variant whose typed_value is shredded into a primitive; the rows follow from what was inserted.
    rows_ = """SELECT * FROM VALUES (1, '5'), (2, '"x"'), (3, NULL), (4, '{"a":1,"b":[true,null]}') AS t(id, v)"""
    one("v3_variant", variant, 3, oracle=(("current", rows_, "by hand"),))


register()
