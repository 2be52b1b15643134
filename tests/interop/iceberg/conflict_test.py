#!/usr/bin/env python3
"""Two statements at once on one Iceberg table: which go together, and which give 40001.

    conflict_test.py MOAT

The first statement reads for about a second; the second commits meanwhile. What the table's isolation level allows goes
through, and the rows are those of one after the other; all else is refused, and the rows are those of the second alone.
"""

import json
import subprocess
import sys
import tempfile
import time

MOAT = sys.argv[1]
KINDS = "delete", "update", "merge"
# Long enough for the other statement, and nothing that could be known before it is run.
SLOWLY = "(SELECT count(*) FROM range({count}) r(i) WHERE hash(i) % 7 = 8) = 0"
ROWS = "SELECT p * 10 + i AS id, p, i AS v FROM range(4) a(p), range(10) b(i)"

# level, slow statement ({slow} is its delay), the other one, whether both go through
CASES = {
    "another partition gets rows": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "INSERT INTO {t} VALUES (200, 2, 1)", True),
    "the same partition gets rows": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "INSERT INTO {t} VALUES (200, 1, 1)", False),
    "rows outside of the condition, by bounds": ("serializable", "DELETE FROM {t} WHERE v < 5 AND id < 40 AND {slow}", "INSERT INTO {t} VALUES (200, 1, 1)", True),
    "others are deleted": ("serializable", "UPDATE {t} SET v = v + 100 WHERE p = 1 AND {slow}", "DELETE FROM {t} WHERE p = 2 AND v = 3", True),
    "others are changed": ("serializable", "UPDATE {t} SET v = v + 100 WHERE p = 1 AND {slow}", "UPDATE {t} SET v = 0 WHERE p = 0 AND v = 3", True),
    "one file, two rows": ("serializable", "UPDATE {t} SET v = v + 100 WHERE id = 11 AND {slow}", "UPDATE {t} SET v = v + 1 WHERE id = 12", False),
    "one row": ("serializable", "UPDATE {t} SET v = v + 100 WHERE id = 11 AND {slow}", "UPDATE {t} SET v = v + 1 WHERE id = 11", False),
    "one row goes": ("serializable", "UPDATE {t} SET v = v + 100 WHERE id = 11 AND {slow}", "DELETE FROM {t} WHERE id = 11", False),
    "a subquery of the same table": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < (SELECT avg(v) FROM {t}) AND {slow}", "INSERT INTO {t} VALUES (200, 3, 1000)", False),
    "a subquery of the same table, rows go": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < (SELECT avg(v) FROM {t}) AND {slow}", "DELETE FROM {t} WHERE id = 39", False),
    "a largest value": ("serializable", "UPDATE {t} SET v = (SELECT max(id) FROM {t}) WHERE p = 1 AND {slow}", "INSERT INTO {t} VALUES (200, 3, 1)", False),
    "both would add a key": ("serializable", "MERGE INTO {t} AS t USING (SELECT 500 AS id, 1 AS p WHERE {slow}) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT VALUES (s.id, s.p, 0)", "INSERT INTO {t} VALUES (500, 1, 1)", False),
    "merged, beside": ("serializable", "MERGE INTO {t} AS t USING (SELECT 11 AS id, 1 AS p WHERE {slow}) AS s ON t.id = s.id AND t.p = 1 WHEN MATCHED THEN UPDATE SET v = 77", "INSERT INTO {t} VALUES (200, 2, 1)", True),
    "files are packed elsewhere": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "CALL moat.rewrite_data_files('{t}', rewrite_all => true, where => 'p = 2')", True),
    "its file is packed": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "CALL moat.rewrite_data_files('{t}', rewrite_all => true, where => 'p = 1')", False),
    "returned rows": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow} RETURNING id", "INSERT INTO {t} VALUES (200, 1, 1)", False),
    "returned rows, beside": ("serializable", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow} RETURNING id", "INSERT INTO {t} VALUES (200, 2, 1)", True),
    "snapshot: the same partition gets rows": ("snapshot", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "INSERT INTO {t} VALUES (200, 1, 11)", True),
    "snapshot: others are changed": ("snapshot", "UPDATE {t} SET v = v + 100 WHERE p = 1 AND {slow}", "UPDATE {t} SET v = 0 WHERE p = 0 AND v = 3", True),
    "snapshot: one file, two rows": ("snapshot", "UPDATE {t} SET v = v + 100 WHERE id = 11 AND {slow}", "UPDATE {t} SET v = v + 1 WHERE id = 12", False),
    "snapshot: one row goes": ("snapshot", "UPDATE {t} SET v = v + 100 WHERE id = 11 AND {slow}", "DELETE FROM {t} WHERE id = 11", False),
    "the level of another kind": ("snapshot update", "DELETE FROM {t} WHERE p = 1 AND v < 5 AND {slow}", "INSERT INTO {t} VALUES (200, 1, 1)", False),
    "on a branch, one row": ("serializable", "UPDATE {b} SET v = v + 100 WHERE id = 11 AND {slow}", "UPDATE {b} SET v = v + 1 WHERE id = 11", False),
    "on a branch, beside": ("serializable", "UPDATE {b} SET v = v + 100 WHERE p = 1 AND {slow}", "INSERT INTO {b} VALUES (200, 2, 1)", True),
    "a branch, and main": ("serializable", "UPDATE {b} SET v = v + 100 WHERE id = 11 AND {slow}", "DELETE FROM {t} WHERE id = 11", True),
}


class World:
    def __init__(self, folder):
        self.folder, self.count = folder, 20_000_000
        subprocess.run([MOAT, "init", f"{folder}/moat"], check=True, stdout=subprocess.DEVNULL)
        self.sql(f"ATTACH '{folder}/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true); CREATE SCHEMA lake.s")
        self.delay = self.measure()

    def command(self, text):
        return [MOAT, "--warehouse", f"{self.folder}/moat", "-q", "--format", "jsonl", "-c", text]

    def sql(self, text):
        done = subprocess.run(self.command(text), capture_output=True, text=True, check=False)
        assert done.returncode == 0, (text, done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def timed(self, text):
        begun = time.monotonic()
        self.sql(text)
        return time.monotonic() - begun

    def slow(self):
        return SLOWLY.format(count=self.count)

    def measure(self):
        """Until the slow part takes as long as six small statements do here."""
        small = self.timed("SELECT 1")
        while (took := self.timed(f"SELECT {self.slow()}")) < max(1.0, 6 * small):
            self.count *= 2
        return took

    def make(self, table, level, mode, version):
        kind = level.split()[-1] if " " in level else None
        levels = "".join(f", 'write.{k}.isolation-level' = '{level.split()[0] if kind in (None, k) else 'serializable'}'" for k in KINDS)
        modes = "".join(f", 'write.{k}.mode' = '{mode}'" for k in KINDS)
        self.sql(f"CREATE TABLE lake.s.{table} (id INTEGER, p INTEGER, v INTEGER) PARTITIONED BY (p) WITH (format_version = {version}{levels}{modes});"
                 f"INSERT INTO lake.s.{table} {ROWS}; ALTER TABLE lake.s.{table} CREATE BRANCH b")

    def rows(self, table):
        return sorted(str(row) for name in (f"lake.s.{table}", f'lake.s."{table}$branch_b"') for row in self.sql(f"SELECT id, p, v FROM {name}"))


class TooFast(Exception):
    """The slow statement ended before the other one."""


def run_case(world, number, case, mode, version):
    level, first, second, is_both = case
    names = {name: {"t": f"lake.s.{name}", "b": f'lake.s."{name}$branch_b"', "slow": world.slow()} for name in (f"t{number}", f"u{number}")}
    table, twin = names
    for name in names:
        world.sql(f"DROP TABLE IF EXISTS lake.s.{name} PURGE")
        world.make(name, level, mode, version)
    running = subprocess.Popen(world.command(first.format(**names[table])), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    time.sleep(world.delay * 0.4)
    world.sql(second.format(**names[table]))
    if running.poll() is not None:
        raise TooFast
    said = running.communicate()[1]
    assert (running.returncode == 0) == is_both, (running.returncode, said)
    assert is_both or "40001" in said, said
    world.sql(second.format(**names[twin]))
    if is_both:
        world.sql(first.format(**{**names[twin], "slow": "true"}))
    ours, theirs = world.rows(table), world.rows(twin)
    assert ours == theirs, ([row for row in ours if row not in theirs], [row for row in theirs if row not in ours])
    done = subprocess.run([MOAT, "iceberg", "validate", f"{world.folder}/warehouse/s/{table}"], capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout.startswith("0 problems, 0 warnings"), done.stdout + done.stderr


def main():
    passed = failed = 0
    with tempfile.TemporaryDirectory() as folder:
        world = World(folder)
        for number, (name, case) in enumerate(CASES.items()):
            mode, version = (("copy-on-write", 2), ("merge-on-read", 2), ("merge-on-read", 3))[number % 3]
            try:
                for left in reversed(range(6)):
                    try:
                        run_case(world, number, case, mode, version)
                        break
                    except (TooFast, AssertionError) as problem:
                        if left == 0:
                            raise AssertionError(problem or "no statement is slow enough") from None
                        world.delay = world.measure()  # this machine has something else to do: the second may have come before the first began
                        if isinstance(problem, TooFast):
                            world.count *= 2
                passed += 1
            except AssertionError as error:
                failed += 1
                print(f"{name} ({mode}, {version}): FAILED: {error}", flush=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
