#!/usr/bin/env python3
"""Tables in an object store, written with what their catalog vends to the person who asks. Python's standard library is all it needs.

    write_test.py MOAT [CASE ...]

SeaweedFS is catalog, store and STS; before it a gateway that knows the tokens of npm's oidc-provider, and can fail at a commit.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import world
from protocol import Refused, refused, run
from way import Way

MOAT = sys.argv[1]
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; GRANT ROLE moat_admin TO bob; CREATE USER olga; CREATE ROLE reader; GRANT ROLE reader TO bob; GRANT ROLE reader TO olga"
PEOPLE = {"anna": ("annakey", "annasecret"), "bob": ("bobkey", "bobsecret"), "olga": ("olgakey", "olgasecret")}
COMMIT = "^POST .*/tables/"


@contextmanager
def people(*settings, **more):
    gateway.reset()
    with world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", *settings, setup=SETUP, **more) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            anna.query(f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest, WAREHOUSE 'lake')")
            gateway.log()
            yield server, anna, bob


def a_table_is_made_filled_and_emptied():
    with people() as (server, anna, bob):
        anna.query("CREATE TABLE lake.w.made (id BIGINT NOT NULL, name VARCHAR, at DATE) PARTITIONED BY (month(at)) WITH (\"write.target-file-size-bytes\" = '1000000')")
        anna.query("GRANT SELECT ON lake.w.made TO ROLE reader")
        assert anna.query("SELECT count(*) FROM lake.w.made") == [["0"]]
        assert anna.tag("INSERT INTO lake.w.made SELECT i, 'n' || i, DATE '2026-01-01' + i::INTEGER FROM range(100) t(i)") == "INSERT 0 100"
        assert bob.tag("INSERT INTO lake.w.made (id) VALUES (1000), (1001)") == "INSERT 0 2"
        assert bob.query("SELECT count(*), sum(id), count(name) FROM lake.w.made") == [["102", "6951", "100"]]
        assert anna.tag("DELETE FROM lake.w.made WHERE id < 50 OR name IS NULL") == "DELETE 52"
        assert bob.query("SELECT count(*), min(id) FROM lake.w.made") == [["50", "50"]]
        assert bob.query('SELECT operation FROM lake.w."made$snapshots" ORDER BY committed_at') == [["append"], ["append"], ["overwrite"]]
        bob.query("TRUNCATE lake.w.made")
        assert anna.query("SELECT count(*) FROM lake.w.made") == [["0"]]


def a_table_is_made_of_a_query_at_once():
    with people() as (server, anna, bob):
        assert anna.tag("CREATE TABLE lake.w.ctas AS SELECT i AS id, i % 7 AS kind FROM range(1000) t(i)") == "SELECT 1000"
        anna.query("GRANT SELECT ON lake.w.ctas TO ROLE reader")
        log = [(line["method"], line["path"].rsplit("/", 1)[-1]) for line in gateway.log() if line["method"] == "POST"]
        assert log == [("POST", "tables"), ("POST", "ctas")], log
        assert bob.query("SELECT count(*), count(DISTINCT kind) FROM lake.w.ctas") == [["1000", "7"]]
        assert refused("42P07", bob.query, "CREATE TABLE lake.w.ctas AS SELECT 1 AS id")
        bob.query("CREATE TABLE IF NOT EXISTS lake.w.ctas AS SELECT 1 AS id")
        assert refused("3F000", anna.query, "CREATE TABLE lake.nowhere.t AS SELECT 1 AS id")


def names_are_changed():
    with people() as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.extra WITH (owner = 'anna')")
        assert refused("42P06", anna.query, "CREATE SCHEMA lake.extra")
        anna.query("ALTER SCHEMA lake.extra SET (colour = 'red')")
        assert "colour" in anna.query("SHOW CREATE SCHEMA lake.extra")[0][0]
        anna.query("ALTER SCHEMA lake.extra UNSET (colour)")
        assert "colour" not in anna.query("SHOW CREATE SCHEMA lake.extra")[0][0]
        anna.query("CREATE TABLE lake.extra.one AS SELECT 1 AS id")
        assert refused("2BP01", anna.query, "DROP SCHEMA lake.extra")
        anna.query("ALTER TABLE lake.extra.one RENAME TO two")
        assert refused("42P01", anna.query, "SELECT * FROM lake.extra.one")
        assert anna.query("SELECT * FROM lake.extra.two") == [["1"]]
        assert refused("42P01", anna.query, "DROP TABLE lake.extra.one")
        anna.query("DROP TABLE lake.extra.two PURGE")
        assert refused("42P01", anna.query, "SELECT * FROM lake.extra.two")
        anna.query("DROP SCHEMA lake.extra")
        assert refused("3F000", anna.query, "DROP SCHEMA lake.extra")
        olga = world.sign_in(server, issuer, "olga")
        gateway.log()
        for statement in ("CREATE SCHEMA lake.other", "DROP TABLE lake.w.made", "CREATE TABLE lake.w.mine (id BIGINT)", "INSERT INTO lake.w.made VALUES (1)"):
            try:
                olga.query(statement)
                raise AssertionError(statement)
            except Refused:
                pass
        assert not any(line["method"] != "GET" for line in gateway.log()), "who does not administer changes nothing"
        olga.close()


@contextmanager
def a_table(name, *settings):
    with people(*settings) as (server, anna, bob):
        anna.query(f"CREATE TABLE lake.w.{name} AS SELECT i AS id FROM range(10) t(i)")
        anna.query(f"GRANT SELECT ON lake.w.{name} TO ROLE reader")
        gateway.log()
        yield server, anna, bob, f"lake.w.{name}"


def patiently(function, *arguments):
    """Where limits are short, so that what hangs costs little, a busy machine may need more than one try of what nothing stands in the way of."""
    for left in reversed(range(10)):
        try:
            return function(*arguments)
        except Refused as error:
            if left == 0 or error.code not in ("08006", "58030"):
                raise


def ids(client, table):
    return [int(row[0]) for row in patiently(client.query, f"SELECT id FROM {table} ORDER BY id")]


def files_of(table):
    """Names of all objects of a table in the store."""
    return set(world.list_objects(weed.s3, *PEOPLE["anna"], "lake", table.removeprefix("lake.").replace(".", "/") + "/"))


def commits():
    return [line for line in gateway.log() if line["method"] == "POST" and "/tables/" in line["path"]]


def who_loses_a_race_tries_again():
    with a_table("race") as (server, anna, bob, table):
        gateway.tell(fault="409", times=3, on=COMMIT)
        anna.query(f"INSERT INTO {table} VALUES (10)")
        assert [line["status"] for line in commits()] == [409, 409, 409, 200]
        assert ids(anna, table) == list(range(11))
        # Rows that were read to be changed: somebody else was first, so nothing is done.
        before = files_of(table)
        gateway.tell(fault="409", times=1, on=COMMIT)
        anna.query(f"DELETE FROM {table} WHERE id = 10")  # nobody really was: it is still right
        assert ids(anna, table) == list(range(10)) and len(files_of(table)) > len(before)
        gateway.tell(fault="409", on=COMMIT)
        before = files_of(table)
        anna.query("SET statement_timeout = '2s'")
        assert refused("57014", anna.query, f"INSERT INTO {table} VALUES (11)")
        gateway.tell(fault=None)
        assert files_of(table) == before, "nothing is left behind"
        assert ids(bob, table) == list(range(10))


def what_nobody_answered_is_looked_for():
    with a_table("lost", "catalog.timeout=5s", "catalog.pause=100ms") as (server, anna, bob, table):
        rows = 10
        for fault in ("lose", "lose500"):  # it was done, and nobody said so
            gateway.tell(fault=fault, times=1, on=COMMIT)
            gateway.log()
            assert anna.tag(f"INSERT INTO {table} VALUES ({rows})") == "INSERT 0 1", fault
            rows += 1
            assert len(commits()) == 1, "never tried again blindly"
            assert ids(bob, table) == list(range(rows)), fault
        for fault in ("drop", "hang", "500", "503", "truncate", "garbage", "html"):  # it was not done
            before = files_of(table)
            gateway.tell(fault=fault, times=1, on=COMMIT)
            gateway.log()
            fields = refused("40003", anna.query, f"INSERT INTO {table} VALUES (99)")
            assert "not known" in fields["M"] and len(commits()) == 1, (fault, fields)
            assert ids(bob, table) == list(range(rows)), fault
            assert before <= files_of(table), "it may still come: nothing is removed"
            time.sleep(0.2)
        # Another one committed on top before we looked.
        gateway.tell(fault="lose", times=1, on=COMMIT, delay_lost=1500)
        import threading
        other = threading.Thread(target=lambda: (time.sleep(0.7), bob.query(f"INSERT INTO {table} VALUES (1000)")))
        other.start()
        anna.query(f"INSERT INTO {table} VALUES ({rows})")
        other.join()
        assert ids(bob, table) == [*range(rows + 1), 1000]


def what_nobody_answered_of_ddl_is_looked_for():
    """Each kind of update that ALTER and CALL send: done without an answer it is done, not done it is told."""
    with a_table("altered", "catalog.timeout=5s", "catalog.pause=100ms") as (server, anna, bob, table):
        steps = ["ADD COLUMN extra VARCHAR", "RENAME COLUMN extra TO more, ADD PARTITION FIELD bucket(4, id)", "SET SORTED BY (id DESC)", "SET ('odd' = 'x', 'even' = 'y')", "UNSET ('odd')",
                 "CREATE BRANCH side", "DROP BRANCH side", "DROP PARTITION FIELD bucket(4, id)", "SET UNORDERED"]
        for number, step in enumerate(steps):
            gateway.tell(fault="lose" if number % 2 else "lose500", times=1, on=COMMIT)
            gateway.log()
            anna.query(f"ALTER TABLE {table} {step}")
            assert len(commits()) == 1, (step, "never tried again blindly")
        assert anna.query(f"SELECT more FROM {table} LIMIT 1") == [[None]]
        for call in ("compute_statistics('{}')", "rewrite_manifests('{}')", "rewrite_data_files('{}', rewrite_all => true)", "expire_snapshots('{}', older_than => '2999-01-01')"):
            gateway.tell(fault="lose", times=1, on=COMMIT)
            gateway.log()
            anna.query(f"CALL moat.{call.format(table)}")
            assert len(commits()) <= 1, call
            assert ids(bob, table) == list(range(10)), call
            gateway.tell(fault=None)
        for fault in ("500", "drop"):  # it was not done
            gateway.tell(fault=fault, times=1, on=COMMIT)
            fields = refused("40003", anna.query, f"ALTER TABLE {table} ADD COLUMN lost INTEGER")
            assert "not known" in fields["M"], fields
            assert refused("42703", bob.query, f"SELECT lost FROM {table}")
            time.sleep(0.2)


def rows_are_changed():
    """UPDATE, MERGE and DELETE through the store, in both modes and both versions, against the same on a table in memory; a conflict, a lost answer."""
    with people("catalog.timeout=5s", "catalog.pause=100ms") as (server, anna, bob):
        # SeaweedFS lets no Puffin file be written where Iceberg has its vectors (it knows the names of files that tables may have).
        for version, mode in ((2, "copy-on-write"), (2, "merge-on-read"), (3, "copy-on-write")):
            table = f"lake.w.changed{version}{mode[0]}"
            options = ", ".join(f"\"write.{kind}.mode\" = '{mode}'" for kind in ("delete", "update", "merge"))
            anna.query(f"CREATE TABLE {table} PARTITIONED BY (bucket(2, id)) WITH (format_version = {version}, {options}) AS SELECT i AS id, 'n' || i AS name FROM range(60) t(i)")
            anna.query(f"GRANT SELECT ON {table} TO ROLE reader")
            anna.query("CREATE TEMP TABLE twin AS SELECT i AS id, 'n' || i AS name FROM range(60) t(i)")
            source = "(SELECT i * 7 AS k FROM range(20) t(i))"
            for number, (statement, theirs) in enumerate((
                    ("UPDATE {t} SET name = 'x' || id WHERE id % 5 = 0", None),
                    ("UPDATE {t} AS t SET name = s.name FROM (VALUES (3, 'three'), (4, 'four')) AS s (id, name) WHERE t.id = s.id",
                     ("UPDATE twin SET name = CASE id WHEN 3 THEN 'three' ELSE 'four' END WHERE id IN (3, 4)",)),
                    (f"MERGE INTO {{t}} AS t USING {source} AS s ON t.id = s.k WHEN MATCHED AND t.id % 2 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET name = 'odd' WHEN NOT MATCHED THEN INSERT VALUES (s.k, 'new')",
                     (f"DELETE FROM twin WHERE id % 2 = 0 AND id IN (SELECT k FROM {source} s)", f"UPDATE twin SET name = 'odd' WHERE id IN (SELECT k FROM {source} s)",
                      f"INSERT INTO twin SELECT k, 'new' FROM {source} s WHERE k >= 60")),
                    ("DELETE FROM {t} WHERE id > 100 OR name IS NULL", None))):
                gateway.tell(fault=("409", "lose", None, "lose500")[number], times=1, on=COMMIT)
                gateway.log()
                anna.query(statement.format(t=table))
                assert len(commits()) == (2 if number == 0 else 1), (statement, "one commit, and one more after a conflict")
                for other in theirs or (statement,):
                    anna.query(other.format(t="twin"))
                wanted = anna.query("SELECT id, name FROM twin ORDER BY id")
                assert anna.query(f"SELECT id, name FROM {table} ORDER BY id") == wanted, (version, mode, statement)
                assert bob.query(f"SELECT id, name FROM {table} ORDER BY id") == wanted
            assert anna.query(f"UPDATE {table} SET name = 'r' WHERE id = 1 RETURNING id, name") == [["1", "r"]]
            if mode == "merge-on-read":
                assert int(anna.query(f"SELECT count(*) FROM lake.w.\"{table.rsplit('.', 1)[1]}$delete_files\"")[0][0]) > 0
                anna.query(f"CALL moat.rewrite_position_delete_files('{table}', rewrite_all => true)")
                assert bob.query(f"SELECT count(*) FROM {table}") == [[str(len(wanted))]]
            anna.query("DROP TABLE twin")


def what_is_refused_leaves_nothing():
    with a_table("refused") as (server, anna, bob, table):
        before = files_of(table)
        for fault, code in (("401", "28000"), ("403", "42501"), ("400", "22023"), ("404", "42P01"), ("429", "53400")):
            gateway.tell(fault=fault, times=9, on=COMMIT)
            refused(code, anna.query, f"INSERT INTO {table} VALUES (99)")
            gateway.tell(fault=None)
            assert files_of(table) == before, (fault, files_of(table) - before)
            assert ids(bob, table) == list(range(10))
        gateway.tell(fault="403", times=9, on="^POST .*/tables/gone")
        assert refused("42501", anna.query, "CREATE TABLE lake.w.gone AS SELECT 1 AS id")
        assert not files_of("lake.w.gone") and refused("42P01", anna.query, "SELECT * FROM lake.w.gone")
        # Without credentials there is no writing; what was vended for another place does not do.
        gateway.tell(fault=None)
        for wrong in ([], [{"prefix": "s3://elsewhere/", "config": {"s3.access-key-id": "x", "s3.secret-access-key": "y"}}]):
            gateway.tell(credentials={"anna": wrong})
            assert refused("42501", anna.query, f"INSERT INTO {table} VALUES (99)")
        gateway.tell(credentials={})
        assert files_of(table) == before and ids(bob, table) == list(range(10))


def credentials_are_renewed_while_it_writes():
    with a_table("long") as (server, anna, bob, table):
        gateway.tell(lend={"anna": {"seconds": 1}})
        gateway.log()
        anna.query(f"INSERT INTO {table} SELECT 100 + i FROM range(120000000) t(i) WHERE hash(i) % 10 < 2")
        log = gateway.log()
        assert sum(line["method"] == "GET" and "/tables/long" in line["path"] for line in log) > 1, log
        assert int(anna.query(f"SELECT count(*) FROM {table}")[0][0]) > 6000000
        # Of a table that is not there yet.
        gateway.log()
        anna.query("CREATE TABLE lake.w.longer AS SELECT 100 + i AS id FROM range(120000000) t(i) WHERE hash(i) % 10 < 2")
        staged = [line for line in gateway.log() if line["method"] == "POST" and line["path"].endswith("/tables")]
        assert len(staged) > 1, staged
        assert int(anna.query("SELECT count(*) FROM lake.w.longer")[0][0]) > 6000000


def the_way_to_the_store_fails():
    """At each kind of object, in each way: written once and right, or an error and nothing left."""
    with a_table("store", "storage.request_timeout=2s", "storage.patience=4s", "storage.connect_timeout=2s") as (server, anna, bob, table):
        road = Way(weed.s3, 1)
        gateway.tell(endpoint=road.url)
        try:
            rows, done = 10, 0
            for where in (".parquet", "-m", "snap-"):
                for fault in ("kill", "truncate", "reset", "hang", 500, 503, 403, "garbage"):
                    for times in (1, 1 << 30):
                        before = files_of(table)
                        road.strike(fault, where=where, method="PUT", times=times)
                        try:
                            anna.query(f"INSERT INTO {table} VALUES ({rows})")
                            rows, done = rows + 1, done + 1
                        except Refused as error:
                            assert error.code[:2] in ("08", "42", "53", "58"), (fault, where, times, error)
                            road.strike(None)
                            left = files_of(table) - before
                            assert not left or "could not be removed" in error.fields.get("D", ""), (fault, where, times, left, error.fields)
                        road.strike(None)
                        assert ids(bob, table) == list(range(rows)), (fault, where, times)
            assert done >= 9, done
            # What cannot be removed either is told by name.
            road.strike(403, where="snap-", method="PUT")
            original = road.strikes
            road.strikes = lambda client: 403 if client.command == "DELETE" else original(client)
            fields = refused("42501", anna.query, f"INSERT INTO {table} VALUES (99)")
            road.strikes = original
            assert "could not be removed" in fields["D"] and ".parquet" in fields["D"], fields
            # In parts.
            big = f"INSERT INTO {table} SELECT 1000000 + (hash(i) % 1000000000)::BIGINT FROM range(4000000) t(i)"
            counted = f"SELECT count(*) FROM {table}"
            count = int(patiently(anna.query, counted)[0][0])

            def with_one_killed():
                road.strike("kill", where="", method="POST", times=1)
                anna.query(big)

            patiently(with_one_killed)
            assert int(patiently(bob.query, counted)[0][0]) == count + 4000000
            road.strike(503, where="", method="POST")
            refused("58030", anna.query, big)
            road.strike(None)
            assert int(patiently(bob.query, counted)[0][0]) == count + 4000000
        finally:
            gateway.tell(endpoint=None)
            road.close()


def a_transaction_is_one_commit():
    with a_table("tx") as (server, anna, bob, table):
        before = files_of(table)
        anna.query("BEGIN")
        anna.query(f"INSERT INTO {table} VALUES (10), (11)")
        assert ids(anna, table) == list(range(12)) and ids(bob, table) == list(range(10)), "read your own, and only yours"
        assert anna.tag(f"DELETE FROM {table} WHERE id IN (1, 10)") == "DELETE 2"
        anna.query("SAVEPOINT s")
        anna.query(f"TRUNCATE {table}")
        assert ids(anna, table) == []
        anna.query("ROLLBACK TO s")
        anna.query(f"INSERT INTO {table} SELECT 12")
        assert ids(anna, table) == [0, *range(2, 10), 11, 12] and ids(bob, table) == list(range(10))
        assert not commits()
        anna.query("COMMIT")
        assert len(commits()) == 1
        assert ids(bob, table) == ids(anna, table) == [0, *range(2, 10), 11, 12]
        assert bob.query(f'SELECT count(*) FROM lake.w."tx$snapshots"') == [["4"]]
        # What is rolled back leaves nothing, whether by a word or by an error.
        for end in ("ROLLBACK", "COMMIT"):
            before, rows = files_of(table), ids(bob, table)
            anna.query("BEGIN")
            anna.query(f"INSERT INTO {table} VALUES (99)")
            if end == "COMMIT":
                assert refused("42703", anna.query, f"INSERT INTO {table} SELECT nothing")
            anna.query(end)
            assert files_of(table) == before and ids(bob, table) == rows and ids(anna, table) == rows
        # Somebody else was first.
        before = files_of(table)
        anna.query("BEGIN")
        anna.query(f"INSERT INTO {table} VALUES (99)")
        bob.query(f"INSERT INTO {table} VALUES (100)")
        assert refused("40001", anna.query, "COMMIT")
        assert 99 not in ids(bob, table) and 100 in ids(anna, table)
        # Nobody says what became of it.
        gateway.tell(fault="lose", times=1, on="^POST .*(/tables/|transactions)")
        anna.query("BEGIN")
        anna.query(f"INSERT INTO {table} VALUES (101)")
        anna.query(f"INSERT INTO {table} VALUES (102)")
        anna.query("COMMIT")
        assert {101, 102} <= set(ids(bob, table))
        gateway.tell(fault="drop", times=1, on="^POST .*(/tables/|transactions)")
        anna.query("BEGIN")
        anna.query(f"INSERT INTO {table} VALUES (103)")
        assert refused("40003", anna.query, "COMMIT")
        assert 103 not in ids(bob, table)
        # A second table, where the catalog commits one at a time; what Moat keeps; a new table.
        time.sleep(1.5)
        anna.query("CREATE TABLE lake.w.tx2 (id BIGINT)")
        for second, code in ((f"INSERT INTO lake.w.tx2 VALUES (1)", "0A000"), (f"GRANT SELECT ON lake.w.tx2 TO ROLE reader", "0A000"),
                             ("CREATE TABLE lake.w.tx3 (id BIGINT)", "0A000")):
            anna.query("BEGIN")
            anna.query(f"INSERT INTO {table} VALUES (104)")
            refused(code, anna.query, second)
            anna.query("ROLLBACK")
        assert 104 not in ids(bob, table)
        # Several statements in one message are a transaction too.
        gateway.log()
        anna.query(f"INSERT INTO {table} VALUES (201); INSERT INTO {table} VALUES (202)")
        assert len(commits()) == 1 and {201, 202} <= set(ids(bob, table))


def several_tables_are_one_commit():
    with people() as (server, anna, bob):
        gateway.tell(endpoints=["POST /v1/{prefix}/transactions/commit"])
        with world.sign_in(server, issuer, "anna") as anna:  # asks the catalog anew what it can
            for name in ("m1", "m2"):
                anna.query(f"CREATE TABLE lake.w.{name} (id BIGINT)")
                anna.query(f"GRANT SELECT ON lake.w.{name} TO ROLE reader")
            gateway.log()
            anna.query("BEGIN")
            anna.query("INSERT INTO lake.w.m1 VALUES (1), (2)")
            anna.query("INSERT INTO lake.w.m2 SELECT id + 10 FROM lake.w.m1")
            anna.query("DELETE FROM lake.w.m1 WHERE id = 1")
            assert ids(bob, "lake.w.m1") == ids(bob, "lake.w.m2") == []
            anna.query("COMMIT")
            asked = [line["path"] for line in gateway.log() if line["method"] == "POST"]
            assert asked == ["/v1/lake/transactions/commit"], asked
            assert ids(bob, "lake.w.m1") == [2] and ids(bob, "lake.w.m2") == [11, 12]
            anna.query("BEGIN")
            anna.query("INSERT INTO lake.w.m1 VALUES (3)")
            anna.query("INSERT INTO lake.w.m2 VALUES (13)")
            bob.query("INSERT INTO lake.w.m2 VALUES (14)")
            assert refused("40001", anna.query, "COMMIT")
            assert ids(bob, "lake.w.m1") == [2] and ids(bob, "lake.w.m2") == [11, 12, 14]
            gateway.tell(fault="lose500", times=1, on="^POST .*transactions")
            anna.query("BEGIN")
            anna.query("INSERT INTO lake.w.m1 VALUES (4)")
            anna.query("INSERT INTO lake.w.m2 VALUES (15)")
            anna.query("COMMIT")
            assert ids(bob, "lake.w.m1") == [2, 4] and ids(bob, "lake.w.m2") == [11, 12, 14, 15]


CASES = [a_table_is_made_filled_and_emptied, a_table_is_made_of_a_query_at_once, names_are_changed, who_loses_a_race_tries_again,
         what_nobody_answered_is_looked_for, what_nobody_answered_of_ddl_is_looked_for, rows_are_changed, what_is_refused_leaves_nothing, the_way_to_the_store_fails,
         credentials_are_renewed_while_it_writes, a_transaction_is_one_commit, several_tables_are_one_commit]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-write-") as name:
        folder, weed, gateway = Path(name), None, None
        try:
            with world.issuer_of(folder) as issuer:
                weed = world.SeaweedFS(folder, PEOPLE)
                world.make_namespace(weed, PEOPLE["anna"], "w")
                gateway = world.Gateway(folder, weed.url, issuer.url, people=PEOPLE)
                code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
        finally:
            for part in (gateway, weed):
                if part is not None:
                    part.close()
    sys.exit(code)
