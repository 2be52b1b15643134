#!/usr/bin/env python3
"""Write the sample of views: views.py DIR (tests/data/iceberg_views). Needs MOAT_SPARK, as generate.py does.

Spark writes a table and views over it into a JDBC catalog; then views as other engines write them, in several dialects, are laid beside them
by hand, as the specification of views has it, since no engine here writes them. Names are looked up in each view's own namespace.
"""

import json
import shutil
import sqlite3
import sys
from pathlib import Path

import world as world_module

ROOT = Path("/tmp/moat-iceberg-11111111/views")
UUID = "6a0f8a57-0000-4000-8000-00000000000"

# Name: (dialects with their texts, default namespace).
BY_HAND = {
    "preferred": ([("spark", "SELECT id, s FROM VALUES (1, 'spark') AS v(id, s)"), ("trino", "SELECT 2 AS id, 'trino' AS s"),
                   ("duckdb", "SELECT id, s FROM orders WHERE id = 3")], ["shop"]),
    "own": ([("DuckDB", "SELECT 1 AS id, 'duckdb' AS s"), ("moat", "SELECT id, upper(s) AS s FROM orders WHERE id < 3")], ["shop"]),
    "trino_only": ([("trino", "SELECT id, s FROM orders WHERE id >= 4")], ["shop"]),
    "unreadable": ([("spark", "SELECT id, s FROM orders LATERAL VIEW explode(array(1, 2)) x AS y")], ["shop"]),
    "elsewhere": ([("spark", "SELECT id, s FROM codes")], ["hr"]),
    "stacked": ([("spark", "SELECT id, s FROM preferred UNION ALL SELECT id, s FROM trino_only")], ["shop"]),
    "endless": ([("spark", "SELECT id, s FROM endless")], ["shop"]),
    "writes": ([("spark", "DELETE FROM orders")], ["shop"]),
    "reads_files": ([("duckdb", "SELECT 1 AS id, content AS s FROM read_text('/etc/passwd')")], ["shop"]),
}


def by_hand(name, dialects, namespace, number):
    location = ROOT / "warehouse/jdbc/shop" / name
    metadata = {
        "view-uuid": f"{UUID}{number}", "format-version": 1, "location": f"file:{location}",
        "schemas": [{"schema-id": 0, "type": "struct", "fields": [{"id": 1, "name": "id", "required": False, "type": "int"},
                                                                     {"id": 2, "name": "s", "required": False, "type": "string"}]}],
        "current-version-id": 1, "properties": {},
        "versions": [{"version-id": 1, "timestamp-ms": 1700000000000, "schema-id": 0, "summary": {"engine-name": "by hand"}, "default-catalog": "jdbc",
                      "default-namespace": namespace, "representations": [{"type": "sql", "sql": sql, "dialect": dialect} for dialect, sql in dialects]}],
        "version-log": [{"timestamp-ms": 1700000000000, "version-id": 1}],
    }
    path = location / "metadata/00000-by-hand.metadata.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metadata, indent=1, ensure_ascii=False) + "\n")
    return f"file:{path}"


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__.strip())
    shutil.rmtree(ROOT, ignore_errors=True)
    ROOT.mkdir(parents=True)
    world = world_module.World(ROOT, is_relocatable=True)
    for namespace in ("shop", "hr"):
        world.sql(f"CREATE NAMESPACE jdbc.{namespace}")
    world.create("jdbc.shop.orders", "id INT, s STRING, secret STRING")
    world.sql("INSERT INTO jdbc.shop.orders VALUES (1, 'one', 'x'), (2, 'two', 'y'), (3, 'three', 'z'), (4, 'four', NULL), (5, NULL, 'w')")
    world.create("jdbc.hr.codes", "id INT, s STRING")
    world.sql("INSERT INTO jdbc.hr.codes VALUES (10, 'ten')")
    world.sql("USE jdbc.shop")
    world.sql("CREATE VIEW small AS SELECT id, s FROM orders WHERE id < 4")
    world.sql("CREATE VIEW aliased (number COMMENT 'which', text) AS SELECT id, s FROM orders WHERE id > 2")
    world.sql("CREATE VIEW counted AS SELECT s IS NULL AS missing, count(*) AS n FROM orders GROUP BY 1")
    world.sql("CREATE VIEW qualified AS SELECT o.id, c.id AS code FROM jdbc.shop.orders o CROSS JOIN jdbc.hr.codes c WHERE o.id = 1")
    world.sql("CREATE VIEW of_view AS SELECT number FROM aliased")
    world.sql("CREATE OR REPLACE VIEW small AS SELECT id, s FROM orders WHERE id < 3")
    world.spark.stop()
    catalog = sqlite3.connect(ROOT / "catalog.sqlite")
    for number, (name, (dialects, namespace)) in enumerate(BY_HAND.items()):
        catalog.execute("INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, metadata_location, previous_metadata_location, iceberg_type) "
                        "VALUES ('jdbc', 'shop', ?, ?, NULL, 'VIEW')", (name, by_hand(name, dialects, namespace, number)))
    # A second catalog in the same file.
    catalog.execute("INSERT INTO iceberg_namespace_properties (catalog_name, namespace, property_key, property_value) VALUES ('other', 'empty', 'exists', 'true')")
    catalog.commit()
    catalog.execute("VACUUM")
    catalog.close()
    for path in (*ROOT.rglob(".*.crc"), *ROOT.rglob("_SUCCESS")):
        path.unlink()
    shutil.rmtree(ROOT / "spark-local", ignore_errors=True)
    current = {row[0] for row in sqlite3.connect(ROOT / "catalog.sqlite").execute("SELECT metadata_location FROM iceberg_tables")}
    for path in ROOT.rglob("*.metadata.json"):
        if f"file:{path}" not in current:
            path.unlink()
    target = Path(sys.argv[1])
    for name in ("warehouse", "catalog.sqlite"):
        shutil.rmtree(target / name) if (target / name).is_dir() else (target / name).unlink(missing_ok=True)
    shutil.copytree(ROOT, target, dirs_exist_ok=True)


if __name__ == "__main__":
    main()
