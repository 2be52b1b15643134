#!/usr/bin/env python3
"""Random UPDATE, DELETE, MERGE and INSERT of Moat's Iceberg tables, against the same on a plain table of DuckDB.

    dml_test.py MOAT [--only NAME] [--seed N] [--rounds N]

After each statement Moat reads the rows that DuckDB has; after each sequence PyIceberg and DuckDB read them from
the files, `moat iceberg validate` is clean and no file is left that nothing names.
"""

import random
import signal
import subprocess
import sys
import time

import write_test
from write_test import ARGUMENTS, World, plain, read_by_all

MODES = "delete", "update", "merge"


class Pair:
    """A table of Moat and its twin in DuckDB."""

    def __init__(self, world, name, rng):
        import duckdb

        self.world, self.name, self.rng = world, name, rng
        self.version = rng.choice((1, 2, 2, 3, 3))
        self.is_delta = self.version > 1 and rng.random() < 0.6
        self.forms = rng.choice((["g"], ["bucket(3, id)"], ["truncate(4, id)", "g"], ["month(d)"], [], []))
        mode = "merge-on-read" if self.is_delta else "copy-on-write"
        options = "".join(f", \"write.{kind}.mode\" = '{mode}'" for kind in MODES)
        by = f" PARTITIONED BY ({', '.join(self.forms)})" if self.forms else ""
        shape = "id BIGINT NOT NULL, g INTEGER, s VARCHAR, p STRUCT(x INTEGER, y VARCHAR), d DATE, n DECIMAL(12,2)"
        world.sql(f"CREATE TABLE lake.s.{name} ({shape}){by} WITH (format_version = {self.version}{options})")
        self.twin = duckdb.connect(config={"threads": 1})
        self.twin.execute(f"CREATE TABLE t ({shape})")
        self.said = []
        self.following = 0

    def both(self, ours, theirs=None):
        """One statement, in which {t} is the table; DuckDB's words where they differ."""
        self.said.append(ours)
        self.world.sql(ours.format(t=f"lake.s.{self.name}"))
        for statement in [theirs or ours] if isinstance(theirs or ours, str) else theirs:
            self.twin.execute(statement.format(t="t"))
        left = plain(self.world.sql(f"SELECT * FROM lake.s.{self.name} ORDER BY ALL"))
        right = plain(self.twin.execute("SELECT * FROM t ORDER BY ALL").to_arrow_table().to_pylist())
        key = lambda row: [str(value) for value in row.values()]  # noqa: E731
        assert sorted(left, key=key) == sorted(right, key=key), ([row for row in left if row not in right][:3], [row for row in right if row not in left][:3], len(left), len(right), self.name, self.version, self.is_delta, self.forms, self.said)

    def new_rows(self, count, first):
        rng = self.rng
        return (
            f"SELECT i AS id, CASE WHEN i % 7 = 0 THEN NULL ELSE i % {rng.randint(2, 5)} END AS g, 's' || (i % {rng.randint(1, 9)}) AS s, "
            f"CASE WHEN i % 5 = 0 THEN NULL ELSE {{'x': CAST(i AS INTEGER), 'y': 'y' || i}} END AS p, DATE '2020-01-01' + CAST(i * {rng.randint(1, 9)} AS INTEGER) AS d, "
            f"CAST(i / 4 AS DECIMAL(12,2)) AS n FROM range({first}, {first + count}) r(i)"
        )

    def condition(self, row="t"):
        rng = self.rng
        return rng.choice((
            f"{row}.id % {rng.randint(2, 6)} = {rng.randint(0, 2)}", f"{row}.g = {rng.randint(0, 4)}", f"{row}.g IS NULL", f"{row}.p.x > {rng.randint(0, 60)}",
            f"{row}.id BETWEEN {rng.randint(0, 40)} AND {rng.randint(20, 80)}", f"{row}.s IS NOT DISTINCT FROM 's{rng.randint(0, 5)}'", "false",
            f"{row}.d < DATE '2020-03-{rng.randint(10, 28)}'", f"({row}.id = {rng.randint(0, 60)} OR {row}.n > {rng.randint(1, 30)})"))

    def insert(self):
        count = self.rng.choice((1, 5, 30, 80))
        first, self.following = self.following, self.following + count
        self.both("INSERT INTO {t} " + self.new_rows(count, first).replace("{", "{{").replace("}", "}}"))

    def delete(self):
        if self.rng.random() < 0.3:
            source = f"(SELECT id AS k FROM {{t}} WHERE id % {self.rng.randint(2, 9)} = 0)"
            self.both(f"DELETE FROM {{t}} AS t USING {source} u WHERE t.id = u.k AND {self.condition()}")
        else:
            self.both(f"DELETE FROM {{t}} AS t WHERE {self.condition()}")

    def update(self):
        rng = self.rng
        where = self.condition()
        what = rng.choice(("s = s || '!', n = n + 1", f"g = {rng.randint(0, 6)}", "d = d + 40, s = NULL", "g = NULL, n = DEFAULT", "id = id + 100000"))
        if rng.random() < 0.2:
            self.both(f"UPDATE {{t}} AS t SET p.x = id, p.y = upper(p.y) WHERE {where}",
                      f"UPDATE {{t}} AS t SET p = {{{{'x': id, 'y': upper(p.y)}}}} WHERE {where}")
        elif rng.random() < 0.3:
            self.both(f"UPDATE {{t}} AS t SET s = u.w, g = u.k FROM (SELECT i AS k, 'w' || i AS w FROM range({rng.randint(1, 90)}) r(i)) u WHERE t.id = u.k AND {where}")
        else:
            self.both(f"UPDATE {{t}} AS t SET {what} WHERE {where}")

    def merge(self):
        rng = self.rng
        first = max(0, self.following - rng.randint(0, 30))
        count = rng.choice((3, 20, 60))
        self.following = max(self.following, first + count)
        source = self.new_rows(count, first).replace("{", "{{").replace("}", "}}")
        clauses = []
        for _ in range(rng.randint(0, 2)):
            action = rng.choice(("DELETE", "UPDATE SET s = s.s || t.s, g = s.g", "UPDATE SET d = s.d, n = CASE WHEN t.n > 3 THEN s.n ELSE t.n END", "DO NOTHING"))
            clauses.append(f"WHEN MATCHED AND {self.condition(rng.choice('ts'))} THEN {action}")
        columns = "id, g, s, p, d, n"
        clauses += rng.sample([f"WHEN NOT MATCHED BY SOURCE AND {self.condition()} THEN DELETE",
                               f"WHEN NOT MATCHED AND {self.condition('s')} THEN INSERT (id, s, g) VALUES (s.id, 'new', s.g)",
                               f"WHEN NOT MATCHED BY SOURCE AND {self.condition()} THEN UPDATE SET s = 'alone', g = 1"], rng.randint(0, 3))
        clauses += rng.sample(["WHEN MATCHED THEN UPDATE SET *", "WHEN NOT MATCHED THEN INSERT *"], rng.randint(1, 2))
        text = f"MERGE INTO {{t}} AS t USING ({source}) AS s ON t.id = s.id {' '.join(clauses)}"
        stars = ", ".join(f"{column} = s.{column}" for column in columns.split(", "))
        twin = text.replace("UPDATE SET *", f"UPDATE SET {stars}").replace("INSERT *", f"INSERT ({columns}) VALUES ({', '.join('s.' + c for c in columns.split(', '))})")
        self.both(text, twin)

    def overwrite(self):
        if self.forms not in ([], ["g"]):
            return self.insert()
        count = self.rng.choice((1, 6))
        first, self.following = self.following, self.following + count
        rows = self.new_rows(count, first).replace("{", "{{").replace("}", "}}")
        gone = "DELETE FROM {t}" + (f" WHERE EXISTS (SELECT 1 FROM ({rows}) x WHERE x.g IS NOT DISTINCT FROM t.g)" if self.forms else "")
        return self.both(f"INSERT OVERWRITE {{t}} {rows}", [gone, f"INSERT INTO {{t}} {rows}"])

    def step(self):
        kinds = [self.insert] * 3 + [self.delete] * 4 + [self.update] * 5 + [self.merge] * 5 + [self.overwrite]
        self.rng.choice(kinds)()


def random_changes_are_duckdbs(world):
    rng = random.Random(ARGUMENTS.seed)
    print(f"seed {ARGUMENTS.seed}")
    statements = 0
    for number in range(ARGUMENTS.rounds):
        pair = Pair(world, f"r{number}", rng)
        pair.insert()
        for _ in range(rng.randint(3, 9)):
            pair.step()
        statements += len(pair.said)
        read_by_all(world, pair.name, "id, g, s", with_duckdb=pair.version < 3)
        assert not world.orphans(pair.name), (pair.said, world.orphans(pair.name))
        check_lineage(world, pair)
    print(f"{statements} statements on {ARGUMENTS.rounds} tables")


def check_lineage(world, pair):
    if pair.version < 3:
        return
    ids = [row["_row_id"] for row in world.sql(f"SELECT _row_id FROM lake.s.{pair.name}")]
    assert None not in ids and len(set(ids)) == len(ids), (pair.said, ids)


def returned_rows_are_duckdbs(world):
    import duckdb

    twin = duckdb.connect()
    twin.execute("CREATE TABLE t (id INTEGER, s VARCHAR)")
    world.sql("CREATE TABLE lake.s.t (id INTEGER, s VARCHAR)")
    for statement in ("INSERT INTO {t} VALUES (1, 'a'), (2, 'b'), (3, NULL) RETURNING id * 2 AS twice, s", "UPDATE {t} SET s = 'x' || id WHERE id > 1 RETURNING *",
                      "DELETE FROM {t} WHERE id = 2 RETURNING s, id", "DELETE FROM {t} WHERE id = 9 RETURNING s"):
        ours = world.sql(statement.format(t="lake.s.t"))
        theirs = twin.execute(statement.format(t="t")).to_arrow_table().to_pylist()
        assert sorted(map(str, ours)) == sorted(map(str, theirs)), (statement, ours, theirs)
    before = world.table("t").metadata_location
    world.sql("UPDATE lake.s.t SET s = 'never' RETURNING CAST(s AS INTEGER)", error="22P02")
    world.sql("DELETE FROM lake.s.t RETURNING (SELECT 1 FROM lake.s.t)", error="0A000")
    assert world.table("t").metadata_location == before and not world.orphans("t")


def every_type_survives_a_change(world):
    """Rows that are changed go through a file of the session: each value comes out as it went in."""
    kinds = {**{name: kind for name, (kind, _) in write_test.TYPES.items()}, "ns": "TIMESTAMP_NS", "lns": "TIMESTAMP_NS[]",
             "zns": "TIMESTAMPTZ_NS", "lzns": "TIMESTAMPTZ_NS[]"}
    texts = {**{name: values for name, (_, values) in write_test.TYPES.items()},
             "ns": ["TIMESTAMP_NS '1969-12-31 23:59:59.999999999'", "NULL"], "lns": ["[TIMESTAMP_NS '2024-02-29 12:00:00.000000001', NULL]", "NULL"],
             "zns": ["'1969-12-31 23:59:59.999999999+02'", "NULL"], "lzns": ["['2024-02-29 12:00:00.000000001+02', NULL]", "NULL"]}
    for version in (1, 2, 3):
        names = [name for name in kinds if version == 3 or "ns" not in name]
        table = f"types{version}"
        columns = ", ".join(f"{name} {kinds[name]}" for name in names)
        world.sql(f"CREATE TABLE lake.s.{table} (id BIGINT NOT NULL, {columns}) WITH (format_version = {version}, \"write.merge.mode\" = 'merge-on-read')")
        rows = ", ".join(f"({i}, " + ", ".join(f"CAST({texts[name][i % len(texts[name])]} AS {kinds[name]})" for name in names) + ")" for i in range(6))
        world.sql(f"INSERT INTO lake.s.{table} VALUES {rows}")
        exact = ", epoch_ns(ns) AS exact, list_transform(lns, x -> epoch_ns(x)) AS exacts, epoch_ns(zns) AS z, list_transform(lzns, x -> epoch_ns(x)) AS zs, CAST(lzns AS VARCHAR) AS zt" if version == 3 else ""
        shown = ", ".join(name for name in names if "ns" not in name) + exact
        read = f"SELECT {shown} FROM lake.s.{table} ORDER BY id"
        before = str(plain(world.sql(read)))
        world.sql(f"UPDATE lake.s.{table} SET id = id + 100")
        assert str(plain(world.sql(read))) == before
        world.sql(f"MERGE INTO lake.s.{table} AS t USING (SELECT * FROM lake.s.{table}) AS s ON t.id = s.id WHEN MATCHED THEN UPDATE SET *")
        assert str(plain(world.sql(read))) == before
        given = str(plain(world.sql(f"DELETE FROM lake.s.{table} WHERE id >= 0 RETURNING {shown}")))
        assert sorted(given) == sorted(before), (given, before)
        world.validate(table)


def many_deleted_rows_are_read_by_all(world):
    """More than one page of positions, also with other delete files of the same data file."""
    for version in (2, 3):
        table = f"many{version}"
        world.sql(f"CREATE TABLE lake.s.{table} WITH (format_version = {version}, \"write.delete.mode\" = 'merge-on-read') AS SELECT i AS id FROM range(400000) r(i)")
        world.sql(f"DELETE FROM lake.s.{table} WHERE id % 400 <> 0 AND id > 1000")
        world.sql(f"DELETE FROM lake.s.{table} WHERE id % 3 = 0")
        rows = read_by_all(world, table, "id", with_duckdb=version < 3)
        assert [row["id"] for row in rows] == [i for i in range(400000) if (i % 400 == 0 or i <= 1000) and i % 3 != 0]


def changes_at_once_lose_nothing(world):
    """Processes that count a row up, and kills: the row says how many were acknowledged, or also some of those killed."""
    rng = random.Random(ARGUMENTS.seed)
    for mode, version in (("copy-on-write", 2), ("merge-on-read", 2), ("merge-on-read", 3)):
        table = f"c{version}{mode[0]}"
        world.sql(f"CREATE TABLE lake.s.{table} (id BIGINT, n BIGINT) WITH (format_version = {version}, \"write.update.mode\" = '{mode}', \"write.merge.mode\" = '{mode}')")
        world.sql(f"INSERT INTO lake.s.{table} VALUES (1, 0), (2, 0), (3, 0)")
        change = rng.choice((f"UPDATE lake.s.{table} SET n = n + 1 WHERE id = 2",
                             f"MERGE INTO lake.s.{table} AS t USING (VALUES (2)) AS s (id) ON t.id = s.id WHEN MATCHED THEN UPDATE SET n = n + 1"))
        done, killed = 0, 0
        for _ in range(ARGUMENTS.rounds):
            running = [subprocess.Popen(world.command(change), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(3)]
            if rng.random() < 0.5:
                time.sleep(rng.random() * 0.3)
                running[0].send_signal(signal.SIGKILL)
            for process in running:
                said = process.communicate()[1].decode()
                assert process.returncode in (0, -signal.SIGKILL) or "40001" in said or "55P03" in said, said
                done += process.returncode == 0
                killed += process.returncode == -signal.SIGKILL
        rows = read_by_all(world, table, "id", with_duckdb=version < 3)
        assert [row["id"] for row in rows] == [1, 2, 3] and rows[0]["n"] == rows[2]["n"] == 0, rows
        assert 0 < done <= rows[1]["n"] <= done + killed, (done, killed, rows)


write_test.TESTS = (changes_at_once_lose_nothing, random_changes_are_duckdbs, returned_rows_are_duckdbs, every_type_survives_a_change, many_deleted_rows_are_read_by_all)

if __name__ == "__main__":
    sys.exit(write_test.main())
