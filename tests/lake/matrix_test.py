#!/usr/bin/env python3
"""Whoever asks, by whichever door, whatever is read: the catalog's log and the store's log show that person, and nobody else.

    matrix_test.py MOAT weed|nessie [PERSON ...]    over SeaweedFS, or Keycloak, Nessie and MinIO

For each door, cell and person the statement is run and both logs are read: each request made meanwhile is that person's, none is
anonymous or Moat's own, and the query ids of all three logs join. Then everything that the statement needs is taken away in turn,
while metadata and blocks are cached: it fails, with the right SQLSTATE, no row comes, and nothing is read. A later door is a class
more in doors.DOORS, a later kind of reading a line more in CELLS.

Prints the matrix; ends with `N passed, N failed, N skipped`; a cell is a case. Exits 1 if any failed.
"""

import csv
import itertools
import os
import shutil
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import doors
import stack
import world
from protocol import Refused
from spark_tables import NAMESPACE
from world import identity

MOAT, WORLD, CHOSEN = sys.argv[1], sys.argv[2], sys.argv[3:]
TABLE, OTHER = "v2_none_pos_partition", "v2_bucket_id_pos_eq"
LIVES_S = (12, 40, 120)  # of the tokens that are to end: time for a statement by each door

# name, statement, how often, whether the store is asked. {old} is the oldest snapshot.
CELLS = [
    ("read", "SELECT id, k, s FROM {table} ORDER BY ALL", 1, True),
    ("metadata table", 'SELECT record_count, file_size_in_bytes FROM {schema}."{name}$files" ORDER BY ALL', 1, True),
    ("time travel", "SELECT id, k, s FROM {table} AT (VERSION => {old}) ORDER BY ALL", 1, True),
    ("cache hit", "SELECT id, k, s FROM {table} ORDER BY ALL", 3, True),
    ("view", "SELECT n, m FROM totals", 1, True),
    ("failed access", "SELECT id FROM {schema}.{other}", 1, False),
]
# What is changed: its first words, and whether files of the table are read. {made} is a table of that door, person and attempt.
CHANGES = [
    ("INSERT", "INSERT INTO {w} VALUES ({n})"),
    ("CREATE AS", "CREATE TABLE {made} AS SELECT {n} AS id"),
    ("DELETE", "DELETE FROM {w} WHERE id >= {n}"),
    ("TRUNCATE", "TRUNCATE {w}"),
]
ELSEWHERE = [{"prefix": "s3://elsewhere/", "config": {"s3.access-key-id": "x", "s3.secret-access-key": "y"}}]


def ways(person):
    """What is taken away, how, and what the statement then fails with."""
    wrong = [{"prefix": f"s3://lake/{NAMESPACE}", "config": lake.wrong_keys(person)}]
    return [("the right to the table", {"deny": {person: ["/tables/"]}}, "42P01"), ("the token", {"fault": "401"}, "28000"),
            ("what is lent", {"credentials": {person: []}}, "42501"), ("what is lent for this place", {"credentials": {person: ELSEWHERE}}, "42501"),
            ("the store's trust", {"credentials": {person: wrong}}, "42501")]


class Matrix:
    def __init__(self, server, oracle, names):
        self.server, self.oracle, self.names = server, oracle, names
        self.told, self.failures, self.ids = {}, [], []
        self.keeper, self.changed = None, 0

    def allow(self):
        lake.gateway.tell(deny=lake.forbidden(OTHER), credentials={}, fault=None)

    def logs(self):
        return lake.catalog_log(), lake.store_log()

    def attempt(self, door, statement, times):
        try:
            return door.run(statement, times), None
        except Refused as error:
            return None, error

    def cell(self, door, person, cell):
        """Raises what is wrong; gives what to print."""
        name, text, times, asks_store = cell
        statement = text.format(**self.names)
        self.allow()
        self.logs()
        rows, error = self.attempt(door, statement, times)
        catalog, store = self.logs()
        if name == "failed access":
            assert error is not None and error.code == "42P01", f"{error or rows}"
            assert not store and any(line[2] in (403, 500) for line in catalog), (catalog, store)
        else:
            assert error is None, f"{error}"
            assert rows == self.oracle[name], f"{len(rows)} rows, not the {len(self.oracle[name])} that there are"
        assert catalog and all(line[0] == person for line in catalog), f"the catalog saw {set(line[0] for line in catalog)}"
        assert all(line[0] == person for line in store), f"the store saw {set(line[0] for line in store)}"
        assert asks_store == bool(store), store
        asked = {line[1] for line in catalog}
        assert None not in asked and {line[1] for line in store} <= asked, (asked, store)
        self.ids += [(person, one) for one in asked]
        got = sum(line[3] == "GET" for line in store)
        if name == "cache hit":
            heads = [line for line in store if line[3] == "HEAD"]
            assert len({line[1] for line in heads}) == 3 and len({line[1] for line in store if line[3] == "GET"}) <= 1, store
        return f"{len(catalog)} + {len(store)} ({got} read)" + self.shut(door, person, statement, times, name)

    def shut(self, door, person, statement, times, name):
        """The same without each thing it needs."""
        count = 0
        for what, rules, code in ways(person):
            self.allow()
            lake.gateway.tell(**rules)
            if name == "failed access":
                code = "28000" if code == "28000" else "42P01"
            rows, error = self.attempt(door, statement, times)
            catalog, store = self.logs()
            assert error is not None, f"without {what} there are {len(rows)} rows"
            assert error.code == code, f"without {what}: {error}, not {code}"
            assert "wrong" not in str(error.fields) and f"{person}key" not in str(error.fields), f"without {what} it tells: {error}"
            assert catalog and all(line[0] == person for line in catalog), f"without {what} the catalog saw {catalog}"
            assert not any(line[2] < 300 for line in store), f"without {what} the store gave {store}"
            count += 1
        self.allow()
        assert self.attempt(door, statement, times)[1] is None or name == "failed access", "it did not come back"
        return f", {count} shut"

    def change(self, door, person, cell):
        """A change, by who makes it; then without each thing it needs, when nothing is changed."""
        name, text = cell
        self.changed += 1
        names = {"w": self.names["written"], "n": 100 + self.changed, "made": f"{self.names['schema']}.made_{self.changed}"}
        counted = names["made"] if name == "CREATE AS" else names["w"]
        self.allow()
        if name in ("DELETE", "TRUNCATE"):  # there is something to take away
            assert self.attempt(door, CHANGES[0][1].format(**names), 1)[1] is None
        else:
            self.attempt(door, "SELECT 1", 1)
        self.logs()
        count = 0
        for what, rules, code in ways(person):
            self.allow()
            lake.gateway.tell(**rules)
            code = "42501" if code == "42P01" and not name.startswith("CREATE") else code
            rows, error = self.attempt(door, text.format(**names), 1)
            catalog, store = self.logs()
            assert error is not None, f"without {what} it is done"
            assert error.code in (code, "42501"), f"without {what}: {error}, not {code}"
            assert catalog and all(line[0] == person for line in catalog), f"without {what} the catalog saw {catalog}"
            assert all(line[0] == person or line[2] == 403 for line in store), f"without {what} the store saw {store}"
            count += 1
        self.allow()
        self.logs()
        rows, error = self.attempt(door, text.format(**names), 1)
        catalog, store = self.logs()
        assert error is None, f"{error}"
        assert catalog and all(line[0] == person for line in catalog), f"the catalog saw {set(line[0] for line in catalog)}"
        assert store and all(line[0] == person for line in store), f"the store saw {set(line[0] for line in store)}"
        asked = {line[1] for line in catalog}
        assert None not in asked and {line[1] for line in store} <= asked, (asked, store)
        assert any(line[3] == "PUT" for line in store), store
        self.ids += [(person, one) for one in asked]
        there = self.keeper.query(f"SELECT count(*) FROM {counted} WHERE id >= {names['n']}") if name != "CREATE AS" else None
        assert there is None or int(there[0][0]) == (1 if name == "INSERT" else 0), there
        return f"{len(catalog)} + {len(store)} ({sum(line[3] == 'PUT' for line in store)} written), {count} shut"

    def run(self, door_of, person, cells=None):
        door = door_of(self.server, person, lake.issuer.token_of(person))
        try:
            for cell in cells or CELLS:
                try:
                    self.told[door_of.name, person, cell[0]] = (self.change if cells else self.cell)(door, person, cell)
                except Exception as error:  # each cell by itself
                    self.fail(door_of.name, person, cell[0], error)
        finally:
            door.close()

    def fail(self, door, person, name, error):
        self.told[door, person, name] = "FAILED"
        self.failures.append(f"{door}, {person}, {name}: {type(error).__name__}: {error}")

    def lend_time(self, doors_of, people):
        """Signs in with tokens that soon end, and asks while they are good; for expired(), later. Where they end too soon for this machine they live longer."""
        self.allow()
        for life_s in LIVES_S:
            lake.issuer.live(life_s)
            tokens = {person: lake.issuer.token_of(person) for person in people}
            lake.issuer.live(stack.LIFE_S)
            self.over = time.monotonic() + life_s + 1
            self.short = []
            try:
                for door_of, person, cell in itertools.product(doors_of, people, CELLS):
                    self.short.append((door_of(self.server, person, tokens[person]), person, cell))
                errors = [self.attempt(door, cell[1].format(**self.names), 1)[1] for door, _, cell in self.short]
                is_in_time = all(error is None or error.code not in ("28000", "53300") for error in errors)
            except Refused as error:
                assert error.code in ("28000", "53300"), f"while its token was good: {error}"
                is_in_time = False
            self.logs()
            if is_in_time:
                return
            for door, _, _ in self.short:
                door.close()
            time.sleep(10)  # tokens that were over count as wrong tries, of which few are allowed at a time (53300)
        raise AssertionError(f"tokens of {LIVES_S[-1]} s ended before each door was used once")

    def expired(self):
        """Sessions that were good, then outlived their token: nothing, and nobody is asked."""
        time.sleep(max(0, self.over - time.monotonic()))
        self.allow()
        self.logs()
        for door, person, cell in self.short:
            try:
                rows, error = self.attempt(door, cell[1].format(**self.names), 1)
                while error is not None and error.code == "53300":  # too many that were refused
                    time.sleep(2)
                    rows, error = self.attempt(door, cell[1].format(**self.names), 1)
                assert error is not None, f"with an expired token there are {len(rows)} rows"
                assert error.code == "28000", f"with an expired token: {error}"
                if self.told[door.name, person, cell[0]] != "FAILED":
                    self.told[door.name, person, cell[0]] += ", expired"
            except Exception as problem:  # each cell by itself
                self.fail(door.name, person, cell[0], problem)
            door.close()
        if any(self.logs()):
            self.failures.append("with an expired token somebody was asked")

    def joined(self):
        """Every id that the catalog has seen is a query of that person in the audit trail."""
        audited = set(map(tuple, csv.reader(self.server.sql("SELECT \"user\", query_id FROM moat_system.audit").splitlines())))
        for person, one in self.ids:
            if (person, one) not in audited:
                self.failures.append(f"audit, {person}: query {one}, which the catalog has seen, is not there")

    def show(self, missing, cells=CELLS):
        rows = [["door", "person", *(cell[0] for cell in cells)]]
        for door in doors.DOORS:
            for person in stack.PEOPLE:
                rows.append([door.name, person, *(self.told.get((door.name, person, cell[0]), "-") for cell in cells)])
        print("requests to the catalog + to the store (that gave or took data); in how many ways it was shut\n")
        print(stack.table_of(rows))
        for door, why in missing.items():
            print(f"missing: {door}: {why}")
        for failure in self.failures:
            print(f"FAILED  {failure}")


def main():
    missing = {door.name: why for door in doors.DOORS if (why := door.missing(MOAT))}
    table, snapshots = lake.table(TABLE)
    lake.table(OTHER)
    lake.tables.here(TABLE, local)
    names = {"table": table, "schema": f"lake.{NAMESPACE}", "name": TABLE, "other": OTHER, "old": snapshots[1]}
    people = CHOSEN or stack.PEOPLE
    with stack.served(MOAT, folder, lake, *doors.SETTINGS, tables=[table, f"lake.{NAMESPACE}.{OTHER}"]) as (server, olga):
        doors.find(server)
        olga.query(f"CREATE VIEW totals AS SELECT count(*) AS n, min(s) AS m FROM {table}; GRANT SELECT ON totals TO ROLE reader")
        server.sql(f"ATTACH '{local}/warehouse/hadoop' AS disk (TYPE hadoop); CREATE VIEW disk_totals AS SELECT count(*) AS n, min(s) AS m FROM disk.core.{TABLE}")
        here = names | {"table": f"disk.core.{TABLE}", "schema": "disk.core"}
        oracle = {cell[0]: list(csv.reader(server.sql(cell[1].format(**here).replace("totals", "disk_totals")).splitlines()))[1:] for cell in CELLS[:-1]}
        matrix = Matrix(server, oracle, names)
        used = [door for door in doors.DOORS if door.name not in missing]
        matrix.lend_time(used, people)
        for door in used:
            for person in people:
                matrix.run(door, person)
        matrix.expired()
        matrix.joined()
        matrix.show(missing)
    changes = change_things(names, used, people, missing)
    told, failures = len(matrix.told) + len(changes.told), matrix.failures + changes.failures
    cells = (len(CELLS) + len(CHANGES)) * len(people)
    failed = min(len(failures), told) or len(failures)
    print(f"{told - failed} passed, {failed} failed" + (f", {cells * len(missing)} skipped" if missing else ""))
    return 1 if failures else 0


def change_things(names, used, people, missing):
    """The same two as people who may write."""
    setup = "; GRANT ROLE moat_admin TO anna; GRANT ROLE moat_admin TO bob"
    with stack.served(MOAT, folder, lake, *doors.SETTINGS, setup=setup) as (server, olga):
        doors.find(server)
        names = names | {"written": f"lake.{NAMESPACE}.written"}
        olga.query(f"CREATE TABLE {names['written']} (id BIGINT)")
        olga.query(f"GRANT SELECT ON {names['written']} TO ROLE reader")
        matrix = Matrix(server, None, names)
        matrix.keeper = olga
        for door in used:
            for person in people:
                olga.query(f"TRUNCATE {names['written']}")
                matrix.run(door, person, CHANGES)
        matrix.joined()
        print()
        matrix.show(missing, CHANGES)
    return matrix


if __name__ == "__main__":
    local = f"/tmp/moat-iceberg-{os.urandom(4).hex()}"  # as long as what is written in the files
    with tempfile.TemporaryDirectory(prefix="moat-matrix-") as name, ExitStack() as exits:
        folder = Path(name)
        exits.callback(shutil.rmtree, local, ignore_errors=True)
        try:
            lake = stack.WORLDS[WORLD](folder, exits)
            code = main()
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
