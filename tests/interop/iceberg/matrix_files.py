"""What files look like: codecs, compressed metadata, files without ids, empty ones, large ones, odd places, deletes laid out by hand."""

import pyarrow as pa
import pyarrow.parquet as pq

from matrix import COPY_ON_WRITE, MERGE_ON_READ, add, insert, modes
from matrix_refs import ROWS, SMALL, call

PLAIN = "id INT, s STRING, f FLOAT, st STRUCT<a: INT, b: STRING>, li ARRAY<INT>, mp MAP<STRING, INT>"
PLAIN_ROWS = "id, s, f, named_struct('a', id, 'b', s) AS st, IF(id % 3 = 0, NULL, array(id, NULL)) AS li, map('k', id) AS mp"


def simple(version, properties, spec="bucket(2, id)"):
    def make(w, t):
        w.create(t, SMALL, spec, version, {**modes(version), **properties})
        insert(w, t, "id < 12", ROWS)
        insert(w, t, "id >= 12 AND id < 20", ROWS)
        w.sql(f"DELETE FROM {t} WHERE id % 5 = 1")
    return make


def elsewhere(version):
    """Data outside the table's location, in version 2."""
    return lambda w, t: simple(version, {"write.data.path": f"file:{w.root}/elsewhere"} if version == 2 else {})(w, t)


# ---- files that know no field ids

def plain_files(w, t, partition=""):
    folder = w.root / "plain" / t
    frame = w.sql(f"SELECT {PLAIN_ROWS}, flag FROM base WHERE id < 12" if partition else f"SELECT {PLAIN_ROWS} FROM base WHERE id < 12")
    writer = frame.write.mode("overwrite")
    (writer.partitionBy("flag") if partition else writer).parquet(str(folder))
    return folder


def add_files(version, partition="", changes=(), then=None, drop_mapping=False):
    def make(w, t):
        folder = plain_files(w, t, partition)
        columns = PLAIN + (", flag BOOLEAN" if partition else "")
        w.create(t, columns, partition, version, modes(version))
        catalog, name = t.split(".", 1)
        w.sql(f"CALL {catalog}.system.add_files(table => '{name}', source_table => '`parquet`.`{folder}`')").collect()
        for change in changes:
            w.sql(f"ALTER TABLE {t} {change}")
        if drop_mapping:
            w.sql(f"ALTER TABLE {t} UNSET TBLPROPERTIES ('schema.name-mapping.default')")
        if then:
            w.sql(f"INSERT INTO {t} SELECT {then}{', flag' if partition else ''} FROM base WHERE id >= 12 AND id < 18")
        w.sql(f"DELETE FROM {t} WHERE id IN (4, 13)")
    return make


def several_names(w, t):
    """A mapping by hand: several names for one field, and a column of the files that no name reaches."""
    folder = plain_files(w, t)
    w.create(t, "ident INT, title STRING, other FLOAT", "", 2, {})
    mapping = ('[{"field-id": 1, "names": ["ident", "id", "never"]}, {"field-id": 2, "names": ["s", "title"]}, {"field-id": 3, "names": ["absent"]}]')
    w.sql(f"ALTER TABLE {t} SET TBLPROPERTIES ('schema.name-mapping.default' = '{mapping}')")
    append_foreign(w, t, folder)


def append_foreign(w, t, folder):
    append = w.load(t).newAppend()
    for path in sorted(folder.glob("*.parquet")):
        rows = w.spark.read.parquet(str(path)).count()
        append.appendFile(w.ice.DataFiles.builder(w.load(t).spec()).withPath(str(path)).withFormat("parquet")
                          .withFileSizeInBytes(path.stat().st_size).withRecordCount(rows).build())
    append.commit()


# ---- nothing to read

def empty_table(version):
    return lambda w, t: w.create(t, SMALL, "days(d)", version)


def empty_append(version):
    def make(w, t):
        w.create(t, SMALL, "", version)
        w.load(t).newAppend().commit()
    return make


def empty_file(version):
    def make(w, t):
        w.create(t, SMALL, "", version)
        append_nothing(w, t)
        insert(w, t, "id < 3", ROWS)
        append_nothing(w, t)
    return make


def append_nothing(w, t):
    """Appends a Parquet file of no rows: Iceberg's own writers would not leave one."""
    folder = w.root / "plain" / t / str(len(w.data_files(t)))
    folder.mkdir(parents=True)
    fields = [pa.field(name, type_, metadata={"PARQUET:field_id": str(i)}) for i, (name, type_) in
              enumerate((("id", pa.int32()), ("s", pa.string()), ("d", pa.date32())), 1)]
    pq.write_table(pa.schema(fields).empty_table(), folder / "empty.parquet")
    append_foreign(w, t, folder)


def all_deleted(version, how):
    def make(w, t):
        w.create(t, SMALL, "bucket(2, id)" if how == "partitions" else "", version, MERGE_ON_READ if how == "rows" else COPY_ON_WRITE)
        insert(w, t, "id < 9", ROWS)
        if how == "equality":
            w.equality_delete(t, ["id"], "SELECT id FROM base")
        elif how == "truncate":
            w.sql(f"TRUNCATE TABLE {t}")
        elif how == "rows":
            for third in range(3):
                w.sql(f"DELETE FROM {t} WHERE id % 3 = {third}")
        else:
            w.sql(f"DELETE FROM {t}")
    return make


# ---- many rows

def many_rows(version, delete):
    def make(w, t):
        w.create(t, "id BIGINT, s STRING", "", version, {**MERGE_ON_READ, "write.parquet.row-group-size-bytes": "65536", "write.parquet.page-row-limit": "1000"})
        w.sql(f"INSERT INTO {t} SELECT id, concat('row ', id % 97) FROM range(0, 30000, 1, 1)")
        w.sql(f"INSERT INTO {t} SELECT id, concat('row ', id % 89) FROM range(30000, 40000, 1, 1)")
        if delete == "equality":
            w.equality_delete(t, ["s"], "SELECT 'row 13' AS s UNION ALL SELECT 'row 88'")
        else:
            w.sql(f"DELETE FROM {t} WHERE id % 10 = 3 OR (id >= 12000 AND id < 19000)")
            w.sql(f"DELETE FROM {t} WHERE id >= 29990 AND id < 30010")
    return make


def long_vectors(w, t):
    """Past 65,536 positions, so several containers: runs, dense bitmaps, sparse arrays."""
    w.create(t, "id INT", "", 3, MERGE_ON_READ)
    w.sql(f"INSERT INTO {t} SELECT CAST(id AS INT) FROM range(0, 270000, 1, 1)")
    w.sql(f"DELETE FROM {t} WHERE id < 60000 OR (id >= 65536 AND id < 131072 AND id % 2 = 0) OR (id >= 131072 AND id % 1000 = 7) OR id BETWEEN 196600 AND 262200")


# ---- deletes by hand

def delete_then_insert(version):
    """A key deleted and inserted again lives: its sequence number is higher."""
    def make(w, t):
        w.create(t, SMALL, "", version, MERGE_ON_READ)
        insert(w, t, "id < 6", ROWS)
        w.equality_delete(t, ["id"], "SELECT id FROM base WHERE id IN (1, 2, 3)")
        w.sql(f"INSERT INTO {t} SELECT id, 'again', d FROM base WHERE id IN (2, 3)")
        w.equality_delete(t, ["id"], "SELECT 3 AS id")
        w.sql(f"INSERT INTO {t} SELECT id, 'thrice', d FROM base WHERE id = 3")
    return make


def same_commit(version):
    """Equality deletes do not reach data files of their own commit; position deletes do."""
    def make(w, t):
        w.create(t, SMALL, "", version, MERGE_ON_READ)
        insert(w, t, "id < 4", ROWS)
        data = w.write_rows(t, [{"1": i, "2": f"row {i}"} for i in (2, 3, 40, 41)])
        table = w.load(t)
        delta = table.newRowDelta().addRows(data)
        for file in w.equality_files(t, ["id"], "SELECT 2 AS id UNION ALL SELECT 40"):
            delta.addDeletes(file)
        if version == 2:
            delta.addDeletes(w.position_delete(t, [(data.location(), 3)]))
        delta.commit()
    return make


def position_shared(w, t):
    """One delete file for three data files, one for a file that is gone, two that overlap."""
    w.create(t, SMALL, "", 2, {**MERGE_ON_READ, "commit.manifest.min-count-to-merge": "2"})
    for i in range(4):
        insert(w, t, f"id >= {i * 5} AND id < {i * 5 + 5}", ROWS)
    paths = [str(f.location()) for f in w.data_files(t)]
    delta = w.load(t).newRowDelta()
    delta.addDeletes(w.position_delete(t, [(path, row) for path in paths[:3] for row in (0, 2)]))
    delta.addDeletes(w.position_delete(t, [(paths[0], 0), (paths[0], 1), (paths[3], 4)]))
    delta.commit()
    w.sql(f"DELETE FROM {t} WHERE id IN (2)")
    call(w, t, "rewrite_data_files", "where => 'id < 5', options => map('rewrite-all', 'true', 'use-starting-sequence-number', 'false')")


def global_equality(version):
    """Equality deletes of the unpartitioned spec reach every partition of later specs; those of a partition only their own."""
    def make(w, t):
        w.create(t, SMALL, "", version, MERGE_ON_READ)
        insert(w, t, "id < 6", ROWS)
        unpartitioned = w.load(t).spec()
        w.sql(f"ALTER TABLE {t} ADD PARTITION FIELD bucket(3, id)")
        insert(w, t, "id >= 6 AND id < 20", ROWS)
        w.equality_delete(t, ["s"], "SELECT 'iceberg' AS s", partitions=[(unpartitioned, None)])
        one = [(spec, partition) for spec, partition in w.partitions(w.load(t)) if spec.isPartitioned()][:1]
        w.equality_delete(t, ["s"], "SELECT CAST(NULL AS STRING) AS s UNION ALL SELECT 'abc'", partitions=one)
        insert(w, t, "id >= 20 AND id < 26", ROWS)
    return make


KEYS = {"boolean": ("flag", "true"), "int": ("id", "3"), "long": ("k", "CAST(-9223372036854775808 AS BIGINT)"), "float": ("f", "CAST('NaN' AS FLOAT)"),
        # Java compares zeros by their sign and all NaNs as one; so do equality deletes.
        "float_zero": ("f", "CAST('-0.0' AS FLOAT)"), "float_plus_zero": ("f", "CAST('0.0' AS FLOAT)"), "double_zero": ("g", "CAST('-0.0' AS DOUBLE)"),
        "double_plus_zero": ("g", "CAST('0.0' AS DOUBLE)"), "double": ("g", "CAST('NaN' AS DOUBLE)"), "double_inf": ("g", "CAST('-Infinity' AS DOUBLE)"),
        "decimal": ("p", "CAST('-14.20' AS DECIMAL(9,2))"), "string": ("s", "'äöü€'"), "binary": ("b", "X''"), "date": ("d", "DATE '0001-01-01'"),
        "timestamptz": ("ts", "TIMESTAMP '1969-12-31 23:59:59.999999'"), "timestamp": ("tn", "TIMESTAMP_NTZ '9999-12-31 23:59:59.999999'")}


def equality_of_type(column, value, version):
    def make(w, t):
        w.create(t, f"id INT, s STRING, f FLOAT, g DOUBLE, k BIGINT, p DECIMAL(9, 2), b BINARY, d DATE, ts TIMESTAMP, tn TIMESTAMP_NTZ, flag BOOLEAN", "", version)
        insert(w, t, "id < 25", "id, s, f, g, k, p, b, d, ts, tn, flag")
        w.equality_delete(t, [column], f"SELECT {value} AS {column}")
        if column != "id":
            w.equality_delete(t, [column, "id"], f"SELECT CAST(NULL AS {dict(k='BIGINT', f='FLOAT', g='DOUBLE', p='DECIMAL(9,2)', s='STRING', b='BINARY', d='DATE', ts='TIMESTAMP', tn='TIMESTAMP_NTZ', flag='BOOLEAN')[column]}) AS {column}, id FROM base WHERE id < 8")
    return make


def equality_zeros(version, change=None, spec=""):
    """Both zeros, NaN and NULL among the keys of one file, and keys of two columns; rows written again live."""
    def make(w, t):
        w.create(t, "id INT, f FLOAT, g DOUBLE", spec, version, MERGE_ON_READ)
        insert(w, t, "id < 30", "id, f, g")
        if change:
            w.sql(f"ALTER TABLE {t} {change}")
        type_ = "DOUBLE" if change else "FLOAT"
        w.equality_delete(t, ["f", "g"], f"SELECT CAST(f AS {type_}) AS f, -g AS g FROM base WHERE id < 30")
        insert(w, t, "id < 3", "id, f, g")
        w.equality_delete(t, ["f"], f"SELECT CAST(x AS {type_}) AS f FROM VALUES ('-0.0'), ('NaN'), (NULL) AS v(x)")
        insert(w, t, "id < 8", "id, f, g")
    return make


def register():
    for version in (1, 2, 3):
        v = f"v{version}"

        def one(name, build, metadata=False, **facts):
            add(f"files.{v}_{name}", build, version=version, features=(v, f"files:{name}"), metadata=metadata, **facts)

        for codec in ("uncompressed", "gzip", "snappy", "zstd"):
            one(f"manifest_{codec}", simple(version, {"write.manifest.compression-codec": codec}), filters=("id < 5", "d IS NULL"))
        one("metadata_gzip", simple(version, {"write.metadata.compression-codec": "gzip"}), travel=True)
        for mode in ("none", "counts", "truncate(3)", "full"):
            one(f"metrics_{mode.split('(')[0]}", simple(version, {"write.metadata.metrics.default": mode}), filters=("s = 'iceberg'", "id > 10", "s > 'iceberh'"))
        one("unmerged_manifests", simple(version, {"commit.manifest-merge.enabled": "false"}), travel=True)
        one("merged_manifests", simple(version, {"commit.manifest.min-count-to-merge": "1"}), travel=True)
        one("object_layout", simple(version, {"write.object-storage.enabled": "true"}))
        one("add_files", add_files(version, then=PLAIN_ROWS), filters=("id < 3",))
        one("add_files_partitioned", add_files(version, "flag", then=PLAIN_ROWS), filters=("flag", "flag IS NULL"))
        one("add_files_renamed", add_files(version, changes=("RENAME COLUMN s TO title", "RENAME COLUMN st.a TO aa", "ADD COLUMN s STRING"), then=PLAIN_ROWS + ", 'new'"))
        one("add_files_dropped", add_files(version, changes=("DROP COLUMN f", "ALTER COLUMN id TYPE BIGINT", "DROP COLUMN st.b", "ADD COLUMN st.b STRING")))
        # Iceberg's Java library takes the columns by their position then, which is a guess; PyIceberg refuses, and so does Moat.
        one("add_files_unmapped", add_files(version, drop_mapping=True), unsupported="no field ids")
        one("empty_table", empty_table(version), metadata=True)
        one("empty_append", empty_append(version), metadata=True)
        one("empty_file", empty_file(version), travel=True)
        for how in ("partitions", "truncate", "rows", "equality"):
            if version > 1 or how in ("partitions", "truncate"):
                one(f"all_deleted_{how}", all_deleted(version, how), metadata=how == "rows")
        if version == 1:
            continue
        one("many_rows_positions", many_rows(version, "positions"), filters=("id >= 18990 AND id < 19010", "s = 'row 5' AND id > 39000"))
        one("many_rows_equality", many_rows(version, "equality"), filters=("id < 30",))
        one("delete_then_insert", delete_then_insert(version), travel=True, metadata=True)
        one("same_commit", same_commit(version))
        one("global_equality", global_equality(version), travel=True)
        one("equality_zeros", equality_zeros(version), travel=True)
        one("equality_widened_zeros", equality_zeros(version, "ALTER COLUMN f TYPE DOUBLE"), travel=True)
        one("equality_zeros_partitioned", equality_zeros(version, spec="f"), travel=True)
        for kind, (column, value) in KEYS.items():
            one(f"equality_{kind}", equality_of_type(column, value, version))
    add("files.v2_several_names", several_names, features=("v2", "files:several_names"))
    add("files.v2_position_shared", position_shared, features=("v2", "files:position_shared"), travel=True, metadata=True)
    add("files.v3_long_vectors", long_vectors, version=3, features=("v3", "files:long_vectors"), filters=("id BETWEEN 65530 AND 65600",))
    for codec in ("uncompressed", "snappy", "gzip", "lz4", "zstd"):
        add(f"files.v2_parquet_{codec}", simple(2, {"write.parquet.compression-codec": codec, "write.delete.parquet.compression-codec": codec}),
            features=("v2", f"files:parquet_{codec}"), unsupported="lz4" if codec == "lz4" else "")
    for form in ("avro", "orc"):
        add(f"files.v2_data_{form}", simple(2, {"write.format.default": form, "write.delete.format.default": "parquet"}), features=("v2", f"files:data_{form}"), unsupported=form)
        add(f"files.v2_deletes_{form}", simple(2, {"write.delete.format.default": form}), features=("v2", f"files:deletes_{form}"), unsupported=form)
    for version in (1, 2, 3):
        add(f"files.v{version}_jdbc", elsewhere(version), catalog="jdbc",
            version=version, features=(f"v{version}", "files:jdbc"), travel=True)
    add("files.v2_statistics", statistics, features=("v2", "files:statistics"), metadata=True)
    add("files.v3_statistics", statistics, version=3, features=("v3", "files:statistics"), metadata=True)
    add("files.v2_sorted", sorted_table, features=("v2", "files:sorted"), filters=("id > 10",))
    add("files.v3_bloom", simple(3, {"write.parquet.bloom-filter-enabled.column.s": "true"}), version=3, features=("v3", "files:bloom"), filters=("s = 'iceberg'",))


def statistics(w, t):
    version = 3 if "v3" in t else 2
    simple(version, {})(w, t)
    call(w, t, "compute_table_stats", "columns => array('id', 's')")
    call(w, t, "compute_partition_stats", f"snapshot_id => {w.load(t).currentSnapshot().snapshotId()}")


def sorted_table(w, t):
    w.create(t, SMALL, "", 2, MERGE_ON_READ)
    w.sql(f"ALTER TABLE {t} WRITE ORDERED BY s DESC NULLS LAST, bucket(4, id)")
    insert(w, t, "id < 12", ROWS)
    w.sql(f"ALTER TABLE {t} WRITE UNORDERED")
    insert(w, t, "id >= 12 AND id < 20", ROWS)


register()
