#!/usr/bin/env python3
"""Policies whose subqueries read tables of an attached Iceberg catalog: as the granter, by UUID, whatever the tables are called.

iceberg_policy_test.py MOAT    ends with "N passed, N failed"; exits 1 if any failed.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import traceback
from pathlib import Path

MOAT = os.path.abspath(sys.argv[1])
SAMPLE = Path("tests/data/iceberg")

# Real tables, written by Spark, that the catalog of the sample is made to know besides its own.
TABLES = {"people": "core/v2_bucket_id_pos_eq", "vectors": "core/v3_none_dv", "other": "core/v1_none_none"}


class House:
    """A warehouse, an attached catalog, and files to protect."""

    def __init__(self, root):
        self.root = root
        self.warehouse = root / "moat"
        self.catalog = root / "catalog.sqlite"
        subprocess.run([MOAT, "init", self.warehouse], check=True, stdout=subprocess.DEVNULL)
        for name, path in TABLES.items():
            newest = max((root / "warehouse/hadoop" / path / "metadata").glob("v*.metadata.json"),
                         key=lambda file: int(file.name[1:].split(".")[0]))
            self.catalog_sql("INSERT INTO iceberg_tables VALUES ('jdbc', 'lake', ?, ?, NULL, 'TABLE')", name, f"file:{newest}")
        (root / "orders.csv").write_text("id,what\n" + "".join(f"{i},order {i}\n" for i in range(60)))
        self.ok(f"ATTACH '{self.catalog}' AS ice (TYPE iceberg_local, WAREHOUSE '{root}/warehouse')",
                f"CREATE EXTERNAL TABLE orders LOCATION '{root}/orders.csv'",
                "CREATE USER ann", "CREATE USER gus", "GRANT ROLE moat_admin TO gus")

    def catalog_sql(self, sql, *values):
        with sqlite3.connect(self.catalog) as connection:
            connection.execute(sql, values)
        connection.close()

    def run(self, statement, person=None):
        command = [MOAT, "--warehouse", str(self.warehouse), "--format", "jsonl", "-q"]
        command += ["--as", person] if person else []
        done = subprocess.run([*command, "-c", statement], capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    def ok(self, *statements, person=None):
        for statement in statements:
            code, _, err = self.run(statement, person)
            assert code == 0, (statement, err)

    def rows(self, statement, person=None):
        code, out, err = self.run(statement, person)
        assert code == 0, (statement, err)
        return [json.loads(line) for line in out.splitlines()]

    def ids(self, table, person=None):
        return sorted(row["id"] for row in self.rows(f"SELECT id FROM {table}", person))

    def fails(self, statement, person, *never):
        code, out, err = self.run(statement, person)
        assert code == 1 and out == "", (statement, out, err)
        for word in never:
            assert word not in err, (word, err)
        return err

    def rename(self, old, new):
        self.catalog_sql("UPDATE iceberg_tables SET table_name = ? WHERE table_name = ?", new, old)


def expected_ids(table, keep):
    rows = (SAMPLE / "expected" / table.replace("/", ".") / "current.jsonl").read_text().splitlines()
    return sorted(row["id"] for row in map(json.loads, rows) if keep(row))


def files_by_an_iceberg_table(house):
    """Rows of a file are those that an Iceberg table with deletes lists; the table itself stays hidden, and is audited."""
    house.ok("GRANT SELECT ON orders TO ann ROWS WHERE id IN (SELECT id FROM ice.lake.people WHERE flag)")
    want = expected_ids(TABLES["people"], lambda row: row["flag"])
    assert 0 < len(want) < 34 and house.ids("orders", "ann") == want
    for hidden in ("ice.lake.people", "ice.lake.nothing"):
        assert 'catalog "ice" does not exist' in house.fails(f"SELECT * FROM {hidden}", "ann")
    plan = house.rows("EXPLAIN SELECT id FROM orders", "ann")
    assert "people" not in str(plan) and "ice" not in str(plan).replace("policy applies", ""), plan
    read = house.rows("SELECT t.name, t.via_policy, t.as_definer FROM moat_system.audit, unnest(tables) AS x(t)"
                      " WHERE \"user\" = 'ann' AND kind = 'query_end' AND t.via_policy IS NOT NULL")
    assert read and all(row["name"] == "ice.lake.people" and row["as_definer"] for row in read), read
    house.ok("REVOKE SELECT ON orders FROM ann")


def iceberg_by_iceberg(house):
    """A table of the catalog filtered by another of it, with deletion vectors; a mask that looks into a third."""
    house.ok("GRANT SELECT (id, s) ON ice.lake.people TO ann ROWS WHERE id IN (SELECT id FROM ice.lake.vectors)"
             " MASKED WITH (s = (SELECT max(o.s) FROM ice.lake.other AS o WHERE o.id = 1))")
    listed = set(expected_ids(TABLES["vectors"], lambda row: True))
    want = expected_ids(TABLES["people"], lambda row: row["id"] in listed)
    assert 0 < len(want) < 34 and house.ids("ice.lake.people", "ann") == want
    masks = {row["s"] for row in house.rows("SELECT s FROM ice.lake.people", "ann")}
    assert len(masks) == 1, masks
    house.fails("SELECT * FROM ice.lake.vectors", "ann")
    house.fails("SELECT k FROM ice.lake.people", "ann", "vectors", "other")
    house.ok("REVOKE SELECT ON ice.lake.people FROM ann")


def as_the_granter(house):
    """The subquery sees what its granter may see, now: no more than they, and nothing once they may not."""
    house.ok("GRANT SELECT ON ice.lake.people TO gus ROWS WHERE id < 10")
    house.ok("GRANT SELECT ON orders TO ann ROWS WHERE id IN (SELECT id FROM ice.lake.people)", person="gus")
    assert house.ids("orders", "ann") == expected_ids(TABLES["people"], lambda row: row["id"] < 10)
    house.ok("REVOKE SELECT ON ice.lake.people FROM gus")
    house.ok("REVOKE ROLE moat_admin FROM gus")
    err = house.fails("SELECT id FROM orders", "ann", "people", "ice", "gus")
    assert "policy" in err and '"orders"' in err, err
    house.ok("GRANT SELECT ON ice.lake.people TO gus ROWS WHERE id >= 10")
    assert house.ids("orders", "ann") == expected_ids(TABLES["people"], lambda row: row["id"] >= 10)
    code, _, err = house.run("DROP USER gus")  # another gus would lend his rights to it
    assert code == 1 and "2BP01" in err, err
    house.ok("REVOKE SELECT ON orders FROM ann", "DROP USER gus")


def renamed_by_another_engine(house):
    """By UUID: a rename, within the namespace or out of it, changes nothing; another table under the old name is not read."""
    house.ok("GRANT SELECT ON orders TO ann ROWS WHERE id IN (SELECT id FROM ice.lake.people WHERE flag)")
    want = expected_ids(TABLES["people"], lambda row: row["flag"])
    assert house.ids("orders", "ann") == want
    house.rename("people", "humans")
    assert house.ids("orders", "ann") == want
    house.rename("other", "people")  # has other ids, and a column "flag" too
    assert house.ids("orders", "ann") == want
    house.catalog_sql("UPDATE iceberg_tables SET table_namespace = 'elsewhere' WHERE table_name = 'humans'")
    assert house.ids("orders", "ann") == want
    shown = str(house.rows("SHOW GRANTS ON orders"))
    assert "elsewhere" in shown and "humans" in shown, shown
    # Gone, or the catalog detached: closed.
    house.catalog_sql("DELETE FROM iceberg_tables WHERE table_name = 'humans'")
    err = house.fails("SELECT id FROM orders", "ann", "humans", "people", "elsewhere")
    assert "policy" in err, err
    house.ok("DETACH ice")
    house.fails("SELECT id FROM orders", "ann", "humans", "people", "elsewhere")
    assert len(house.ids("orders")) == 60  # the owner is bound by nothing


def main():
    prefix = (SAMPLE / "prefix").read_text().strip()
    passed, failed = 0, 0
    for number, case in enumerate((files_by_an_iceberg_table, iceberg_by_iceberg, as_the_granter, renamed_by_another_engine)):
        root = Path(f"{prefix[:-8]}{(os.getpid() * 10 + number) % 100000000:08d}")
        try:
            subprocess.run([sys.executable, "tests/interop/iceberg/relocate.py", SAMPLE, prefix, root], check=True,
                           stdout=subprocess.DEVNULL)
            case(House(root))
            passed += 1
        except Exception:  # pylint: disable=broad-except
            failed += 1
            print(f"FAILED {case.__name__}: {case.__doc__}")
            traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
