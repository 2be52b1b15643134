"""Tables that PyIceberg writes in its own SQL catalog; registered in Spark's JDBC catalog so that Spark reads them."""

import datetime
from decimal import Decimal

from matrix import add


def catalog_of(w):
    from pyiceberg.catalog.sql import SqlCatalog

    catalog = SqlCatalog("pyiceberg", uri=f"sqlite:///{w.root}/pyiceberg.sqlite", warehouse=f"file://{w.warehouse}/pyiceberg")
    catalog.create_namespace_if_not_exists("pyiceberg")
    return catalog


def batch(first, last):
    """Rows as Arrow: nulls, NaN, both zeros, dates before 1970."""
    import pyarrow as pa

    ids = list(range(first, last))

    def pick(values):
        return [values[i % len(values)] for i in ids]
    utc = datetime.timezone.utc
    return pa.table({
        "id": pa.array(ids, pa.int32()),
        "k": pa.array(pick([0, -1, 2**63 - 1, None, -(2**63)]), pa.int64()),
        "s": pa.array(pick(["", "abc", "äöü€", None, "a b/c=d", "iceberg"]), pa.string()),
        "d": pa.array(pick([datetime.date(1970, 1, 1), datetime.date(1969, 12, 31), None, datetime.date(2020, 2, 29)]), pa.date32()),
        "ts": pa.array(pick([datetime.datetime(2020, 2, 29, 12, tzinfo=utc), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, utc), None]), pa.timestamp("us", "UTC")),
        "f": pa.array(pick([0.0, -0.0, float("nan"), None, 1.5, float("-inf")]), pa.float32()),
        "g": pa.array(pick([0.1, float("nan"), None, -0.0, 1e300]), pa.float64()),
        "p": pa.array(pick([None, *map(Decimal, ("0.00", "-14.20", "9999999.99"))]), pa.decimal128(9, 2)),
        "b": pa.array(pick([b"", b"\xff\x00", None]), pa.large_binary()),
        "flag": pa.array(pick([True, None, False]), pa.bool_()),
        "st": pa.array(pick([{"a": 1, "b": ["x", None]}, {"a": None, "b": []}, {"a": 3, "b": None}]), pa.struct([("a", pa.int64()), ("b", pa.list_(pa.string()))])),
    })


def story(version, transform=None, steps=(), properties=()):
    """transform: (column, PyIceberg's transform text)."""
    def make(w, t):
        from pyiceberg.transforms import parse_transform

        catalog, name = catalog_of(w), t.split(".", 1)[1]
        if catalog.table_exists(name):
            catalog.drop_table(name)
        table = catalog.create_table(name, batch(0, 0).schema, properties={"format-version": str(version), **dict(properties)})
        if transform:
            with table.update_spec() as update:
                update.add_field(transform[0], parse_transform(transform[1]), "part")
        table.append(batch(0, 12))
        for step in steps:
            step(table)
        table.append(arranged(table, batch(12, 20)))
        w.sql(f"CALL jdbc.system.register_table(table => '{name}', metadata_file => '{catalog.load_table(name).metadata_location}')").collect()
    return make


def arranged(table, rows):
    """The columns that the table still has, under its names."""
    by_id = {field.field_id: field.name for field in table.schema().fields}
    first = {field.name: field.field_id for field in table.schemas()[0].fields}
    names = [name for name in rows.column_names if first[name] in by_id]
    return rows.select(names).rename_columns([by_id[first[name]] for name in names])


def rename(table):
    with table.update_schema() as update:
        update.rename_column("s", "title")


def evolve(table):
    from pyiceberg.types import LongType, StringType

    with table.update_schema() as update:
        update.add_column("extra", StringType())
        update.delete_column("b")
        update.update_column("id", LongType())
        update.move_first("flag")


def delete(table):
    table.delete("id > 3 and id < 7")


def overwrite(table):
    table.overwrite(batch(3, 5), overwrite_filter="id < 6")


def dynamic(table):
    table.dynamic_partition_overwrite(batch(2, 4))


def upsert(table):
    table.upsert(batch(10, 14).set_column(2, "s", [["upserted"] * 4]), join_cols=["id"])


def tag(table):
    with table.manage_snapshots() as snapshots:
        snapshots.create_tag(table.current_snapshot().snapshot_id, "first")
        snapshots.create_branch(table.current_snapshot().snapshot_id, "side")


def register():
    transforms = {"identity_s": ("s", "identity"), "bucket_id": ("id", "bucket[4]"), "truncate_s": ("s", "truncate[2]"), "day_ts": ("ts", "day"),
                  "year_d": ("d", "year"), "month_d": ("d", "month"), "hour_ts": ("ts", "hour"), "bucket_p": ("p", "bucket[4]")}
    steps = {"plain": (), "delete": (delete,), "overwrite": (overwrite,), "rename": (rename,), "evolve": (evolve,), "upsert": (upsert,), "refs": (tag, delete)}

    def one(name, build, version):
        add(f"pyiceberg.{name}", build, catalog="jdbc", version=version, writer="pyiceberg", features=(f"v{version}", f"pyiceberg:{name}"),
            travel=True, filters=("id < 5", "id = 13"))

    for version in (1, 2):
        for name, how in steps.items():
            one(f"v{version}_{name}", story(version, None, how), version)
        one(f"v{version}_partitioned_delete", story(version, ("s", "identity"), (delete,)), version)
        one(f"v{version}_dynamic", story(version, ("flag", "identity"), (dynamic,)), version)
    for name, transform in transforms.items():
        one(f"v2_{name}", story(2, transform), 2)
    one("v2_gzip", story(2, None, (), {"write.metadata.compression-codec": "gzip"}), 2)


register()
