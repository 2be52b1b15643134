"""Snapshots, branches, tags, and what rewrites history: each ref and each snapshot is read."""

from matrix import COPY_ON_WRITE, MERGE_ON_READ, add, insert, modes

SMALL = "id INT, s STRING, d DATE"
ROWS = "id, s, d"


def start(w, t, version, properties=(), spec=""):
    w.create(t, SMALL, spec, version, {**modes(version), **dict(properties)})
    insert(w, t, "id < 5", ROWS)
    insert(w, t, "id >= 5 AND id < 10", ROWS)


def call(w, t, procedure, arguments):
    catalog, name = t.split(".", 1)
    return w.sql(f"CALL {catalog}.system.{procedure}(table => '{name}', {arguments})").collect()


def snapshot_ids(w, t):
    return [row[0] for row in w.sql(f"SELECT snapshot_id FROM {t}.snapshots ORDER BY committed_at").collect()]


def branches(w, t, version):
    start(w, t, version)
    w.sql(f"ALTER TABLE {t} CREATE BRANCH dev")
    w.sql(f"INSERT INTO {t}.branch_dev SELECT {ROWS} FROM base WHERE id IN (20, 21)")
    w.sql(f"ALTER TABLE {t} CREATE TAG `v1.0`")
    w.sql(f"DELETE FROM {t} WHERE id IN (1, 6)")
    w.sql(f"DELETE FROM {t}.branch_dev WHERE id IN (2, 20)")
    w.sql(f"ALTER TABLE {t} CREATE TAG after_delete RETAIN 7 DAYS")
    w.sql(f"ALTER TABLE {t} CREATE BRANCH keep RETAIN 7 DAYS WITH SNAPSHOT RETENTION 2 SNAPSHOTS 3 DAYS")


def branch_schema(w, t, version):
    """A tag keeps its schema, a branch has the table's."""
    start(w, t, version)
    w.sql(f"ALTER TABLE {t} CREATE TAG before")
    w.sql(f"ALTER TABLE {t} CREATE BRANCH side")
    w.sql(f"ALTER TABLE {t} RENAME COLUMN s TO title")
    w.sql(f"ALTER TABLE {t} ADD COLUMN extra BIGINT")
    w.sql(f"ALTER TABLE {t} DROP COLUMN d")
    insert(w, t, "id >= 10 AND id < 13", "id, s, k")
    w.sql(f"INSERT INTO {t}.branch_side SELECT id, s, k FROM base WHERE id IN (30, 31)")
    w.sql(f"ALTER TABLE {t} CREATE TAG after")


def rollback(w, t, version):
    start(w, t, version)
    insert(w, t, "id >= 10 AND id < 12", ROWS)
    call(w, t, "rollback_to_snapshot", f"snapshot_id => {snapshot_ids(w, t)[0]}")
    insert(w, t, "id >= 20 AND id < 22", ROWS)


def set_current(w, t, version):
    start(w, t, version)
    call(w, t, "set_current_snapshot", f"snapshot_id => {snapshot_ids(w, t)[0]}")


def fast_forward(w, t, version):
    start(w, t, version)
    w.sql(f"ALTER TABLE {t} CREATE BRANCH audit")
    w.sql(f"INSERT INTO {t}.branch_audit SELECT {ROWS} FROM base WHERE id IN (40, 41)")
    call(w, t, "fast_forward", "branch => 'main', to => 'audit'")


def cherry_pick(w, t, version):
    start(w, t, version, {"write.wap.enabled": "true"})
    w.spark.conf.set("spark.wap.id", "staged-1")
    try:
        insert(w, t, "id IN (50, 51)", ROWS)
    finally:
        w.spark.conf.unset("spark.wap.id")
    staged = snapshot_ids(w, t)[-1]
    insert(w, t, "id IN (52)", ROWS)
    call(w, t, "cherrypick_snapshot", f"snapshot_id => {staged}")


def expired(w, t, version):
    start(w, t, version)
    w.sql(f"DELETE FROM {t} WHERE id = 3")
    w.sql(f"ALTER TABLE {t} CREATE TAG kept")
    insert(w, t, "id >= 10 AND id < 12", ROWS)
    insert(w, t, "id >= 12 AND id < 14", ROWS)
    call(w, t, "expire_snapshots", "older_than => TIMESTAMP '2100-01-01 00:00:00', retain_last => 1")


def overwrite(w, t, version):
    start(w, t, version, spec="bucket(2, id)")
    w.sql(f"INSERT OVERWRITE {t} SELECT {ROWS} FROM base WHERE id IN (1, 30)")
    w.spark.conf.set("spark.sql.sources.partitionOverwriteMode", "dynamic")
    try:
        w.sql(f"INSERT OVERWRITE {t} SELECT {ROWS} FROM base WHERE id IN (1, 31)")
    finally:
        w.spark.conf.unset("spark.sql.sources.partitionOverwriteMode")
    w.sql(f"INSERT INTO {t} SELECT {ROWS} FROM base WHERE id IN (40, 41)")


def replaced(w, t, version):
    """CREATE OR REPLACE keeps the history under another schema and spec."""
    start(w, t, version, spec="bucket(2, id)")
    w.sql(f"CREATE OR REPLACE TABLE {t} (s BIGINT, id STRING) USING iceberg PARTITIONED BY (truncate(1, id)) "
          f"TBLPROPERTIES ('format-version' = '{version}')")
    w.sql(f"INSERT INTO {t} SELECT k, s FROM base WHERE id < 6")


def compacted(w, t, version):
    start(w, t, version, spec="bucket(2, id)")
    for i in range(10, 16):
        insert(w, t, f"id = {i}", ROWS)
    w.sql(f"DELETE FROM {t} WHERE id % 3 = 0")
    call(w, t, "rewrite_manifests", "use_caching => false")
    call(w, t, "rewrite_data_files", "options => map('rewrite-all', 'true')")
    w.sql(f"DELETE FROM {t} WHERE id = 7")
    if version == 2:
        w.sql(f"DELETE FROM {t} WHERE id = 8")
        call(w, t, "rewrite_position_delete_files", "options => map('rewrite-all', 'true')")


def updates(w, t, version, properties):
    start(w, t, version, properties)
    w.sql(f"UPDATE {t} SET s = concat('u', id) WHERE id IN (2, 7)")
    w.sql(f"MERGE INTO {t} USING (SELECT {ROWS} FROM base WHERE id IN (3, 8, 20)) n ON n.id = {t}.id "
          "WHEN MATCHED AND n.id = 3 THEN DELETE WHEN MATCHED THEN UPDATE SET d = DATE '2000-01-01' WHEN NOT MATCHED THEN INSERT *")
    w.sql(f"UPDATE {t} SET d = NULL WHERE id = 7")


def upgraded(w, t):
    """One table through all three versions, with deletes of each."""
    w.create(t, SMALL, "bucket(2, id)", 1, COPY_ON_WRITE)
    insert(w, t, "id < 8", ROWS)
    w.sql(f"DELETE FROM {t} WHERE id = 2")
    for version in (2, 3):
        w.sql(f"ALTER TABLE {t} SET TBLPROPERTIES ('format-version' = '{version}', 'write.delete.mode' = 'merge-on-read')")
        insert(w, t, f"id >= {version * 8} AND id < {version * 8 + 8}", ROWS)
        w.sql(f"DELETE FROM {t} WHERE id IN ({version + 2}, {version * 8 + 1})")
    w.equality_delete(t, ["s"], "SELECT 'abc' AS s")


STORIES = {f.__name__: f for f in (branches, branch_schema, rollback, set_current, fast_forward, cherry_pick, expired, overwrite, replaced, compacted)}


def register():
    for version in (1, 2, 3):
        for name, story in STORIES.items():
            add(f"refs.v{version}_{name}", lambda w, t, story=story, version=version: story(w, t, version), version=version,
                features=(f"v{version}", f"refs:{name}"), travel=True, times=True, metadata=name in ("branches", "rollback", "compacted", "expired"))
        for kind, properties in (("cow", COPY_ON_WRITE), ("mor", MERGE_ON_READ)):
            if version > 1 or kind == "cow":
                add(f"refs.v{version}_updates_{kind}", lambda w, t, v=version, p=properties: updates(w, t, v, p), version=version,
                    features=(f"v{version}", f"refs:updates_{kind}"), travel=True, metadata=True, lineage=version == 3)
    add("refs.v3_upgraded", upgraded, version=3, features=("v3", "refs:upgraded"), travel=True, metadata=True, lineage=True)


register()
