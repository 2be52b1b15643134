"""Format version x partition spec x kind of delete, over the base rows."""

import json

from base import COLUMNS_SQL
from matrix import COPY_ON_WRITE, MERGE_ON_READ, add, insert

# name: PARTITIONED BY, or a list of ALTER TABLE statements between the inserts
SPECS = {
    "none": "",
    "id": "id",
    "k": "k",
    "s": "s",
    "d": "d",
    "ts": "ts",
    "tn": "tn",
    "f": "f",
    "g": "g",
    "p": "p",
    "b": "b",
    "flag": "flag",
    "bucket_id": "bucket(4, id)",
    "bucket_k": "bucket(16, k)",
    "bucket_s": "bucket(5, s)",
    "bucket_d": "bucket(4, d)",
    "bucket_ts": "bucket(4, ts)",
    "bucket_tn": "bucket(4, tn)",
    "bucket_p": "bucket(4, p)",
    "bucket_b": "bucket(4, b)",
    "truncate_id": "truncate(10, id)",
    "truncate_k": "truncate(1000, k)",
    "truncate_s": "truncate(2, s)",
    "truncate_p": "truncate(50, p)",
    "truncate_b": "truncate(1, b)",
    "year_d": "years(d)",
    "month_d": "months(d)",
    "day_d": "days(d)",
    "year_ts": "years(ts)",
    "month_ts": "months(ts)",
    "day_ts": "days(ts)",
    "hour_ts": "hours(ts)",
    "year_tn": "years(tn)",
    "hour_tn": "hours(tn)",
    "multi": "bucket(4, id), days(ts)",
    "multi3": "flag, truncate(1, s), months(d)",
    "evolved_add": ["ALTER TABLE {t} ADD PARTITION FIELD bucket(4, id)"],
    "evolved_replace": ["ALTER TABLE {t} ADD PARTITION FIELD years(d)", "ALTER TABLE {t} REPLACE PARTITION FIELD years(d) WITH months(d)"],
    "evolved_drop": ["ALTER TABLE {t} ADD PARTITION FIELD flag", "ALTER TABLE {t} DROP PARTITION FIELD flag"],
    "void": [],  # by JSON: transform void
}

FILTERS = (
    "id >= 17 AND id < 23",
    "k IS NULL OR k > 1000",
    "s = 'iceberg' OR s LIKE 'a%'",
    "d >= DATE '2017-01-01' AND d < DATE '2020-03-01'",
    "ts < TIMESTAMPTZ '2000-01-01 00:00:00+00:00'",
    "tn >= TIMESTAMP '2017-11-16 22:31:08.000001'",
    "f > 1.0",
    "g <= 0.1",
    "p = CAST('14.20' AS DECIMAL(9,2)) OR p IS NULL",
    "flag IS NULL OR NOT flag",
    "id IN (3, 5, 50) AND s IS NOT NULL",
)
# The three conditions asked of a table: those on its partition source first.
BY_COLUMN = {"id": (0, 10), "k": (1,), "s": (2, 10), "d": (3,), "ts": (4,), "tn": (5,), "f": (6,), "g": (7,), "p": (8,), "flag": (9,)}

EIGHT = ("none", "s", "bucket_id", "truncate_s", "day_ts", "multi", "evolved_add", "evolved_replace")

DELETES = {
    1: ("none", "cow"),
    2: ("none", "cow", "pos_file", "pos_partition", "eq", "pos_eq"),
    3: ("none", "cow", "dv", "eq", "dv_eq", "pos_to_dv", "dv_twice"),
}
ROTATION = {1: ("cow", "none"), 2: ("pos_file", "pos_partition", "eq", "pos_eq"), 3: ("dv", "dv_eq", "pos_to_dv", "eq", "dv_twice")}


def filters_of(spec_name):
    chosen = []
    for part in spec_name.split("_"):
        chosen += BY_COLUMN.get(part, ())
    for extra in (0, 2, 4):
        if len(chosen) < 3 and extra not in chosen:
            chosen.append(extra)
    return tuple(FILTERS[i] for i in chosen[:3])


def build(version, spec_name, deletes):
    def make(w, t):
        spec = SPECS[spec_name]
        properties = COPY_ON_WRITE if deletes == "cow" else MERGE_ON_READ
        properties = {**properties, "write.delete.granularity": "partition" if deletes == "pos_partition" else "file",
                      # NaN and zeros as partition values make many small writers; this does without sorting.
                      "write.spark.fanout.enabled": "true", "write.distribution-mode": "none"}
        starts_at = 2 if deletes == "pos_to_dv" else version
        changes = []
        if spec_name == "void":
            create_void(w, t, starts_at, properties)
        elif isinstance(spec, list):
            changes = spec
            w.create(t, COLUMNS_SQL, "", starts_at, properties)
        else:
            w.create(t, COLUMNS_SQL, spec, starts_at, properties)
        # Truncating the least decimal(9,2) downwards has ten digits, which the writer refuses.
        also = " AND (p > -9999999 OR p IS NULL)" if spec_name == "truncate_p" else ""
        insert(w, t, "id < 20" + also)
        if changes:
            w.sql(changes[0].format(t=t))
        insert(w, t, "id >= 20 AND id < 40" + also)
        delete(w, t, deletes)
        if len(changes) > 1:
            w.sql(changes[1].format(t=t))
        insert(w, t, "id >= 40 AND id < 45" if spec_name == "none" else "id >= 40 AND id < 50" + also)
        if deletes == "dv_twice":
            w.sql(f"DELETE FROM {t} WHERE id IN (5, 13, 41)")
    return make


def create_void(w, t, version, properties):
    w.create(t, COLUMNS_SQL, "", version, properties)
    table = w.load(t)
    expressions = w.ice.expressions.Expressions
    table.updateSpec().addField(expressions.bucket("id", 2)).addField(expressions.ref("s")).commit()
    if version > 1:
        # From version 2 a removed field leaves the spec; only an explicit transform stays, so make the spec by hand.
        spec = {"spec-id": 2, "fields": [{"name": "id_bucket", "transform": "bucket[2]", "source-id": 1, "field-id": 1000},
                                         {"name": "s", "transform": "void", "source-id": 3, "field-id": 1001}]}
        operations = w.load(t).operations()
        base = operations.current()
        java_spec = w.ice.PartitionSpecParser.fromJson(base.schema(), json.dumps(spec))
        operations.commit(base, base.updatePartitionSpec(java_spec))
    else:
        w.load(t).updateSpec().removeField("s").commit()


def delete(w, t, kind):
    if kind in ("cow", "dv", "pos_file", "pos_partition", "dv_twice"):
        w.sql(f"DELETE FROM {t} WHERE id % 4 = 1")
    elif kind == "eq":
        w.equality_delete(t, ["s"], "SELECT 'iceberg' AS s UNION ALL SELECT NULL")
        w.equality_delete(t, ["id", "k"], "SELECT CAST(id AS INT) AS id, k FROM base WHERE id IN (3, 7, 9, 22, 33)")
    elif kind in ("pos_eq", "dv_eq"):
        w.sql(f"DELETE FROM {t} WHERE id % 5 = 2")
        w.equality_delete(t, ["d"], "SELECT DATE '2020-02-29' AS d UNION ALL SELECT NULL")
    elif kind == "pos_to_dv":
        w.sql(f"DELETE FROM {t} WHERE id % 6 = 1")
        w.sql(f"ALTER TABLE {t} SET TBLPROPERTIES ('format-version' = '3')")
        w.sql(f"DELETE FROM {t} WHERE id % 6 = 1 OR id % 7 = 3")


def register():
    for version, kinds in DELETES.items():
        for position, spec_name in enumerate(SPECS):
            rotation = ROTATION[version]
            wanted = kinds if spec_name in EIGHT else (rotation[position % len(rotation)],)
            if spec_name == "void" and version > 1:
                wanted = (kinds[2],)
            for deletes in wanted:
                add(f"core.v{version}_{spec_name}_{deletes}", build(version, spec_name, deletes), version=version,
                    features=(f"v{version}", f"spec:{spec_name}", f"delete:{deletes}"), filters=filters_of(spec_name),
                    travel=spec_name in ("none", "bucket_id", "evolved_replace"))


register()
