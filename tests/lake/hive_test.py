#!/usr/bin/env python3
"""A real Hive metastore behind SQL, as the person who asks.

    hive_test.py MOAT [CASE ...]

Hive's metastore of Maven Central over Derby, in its transport mode "http" with authentication "JWT": it checks the tokens of npm's
oidc-provider itself, and its own audit log says who made each call. Tables lie in folders of this machine, or in MinIO, which gives
credentials for the same tokens and has an audit log too.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import sys
import tempfile
import time
import urllib.error
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyarrow as pa
    from hive_metastore.ttypes import FieldSchema, SerDeInfo, ShowLocksRequest, StorageDescriptor, Table, UnlockRequest
except ImportError:
    if PYTHON.exists() and not os.environ.get("LAKE_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "LAKE_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
os.environ.pop("LAKE_REEXECUTED", None)

import hive
import world
from protocol import Refused, refused, run
from stack import minio_of
from way import Way
from world import identity

MOAT = sys.argv[1]
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; CREATE ROLE reader; GRANT ROLE reader TO bob"


@contextmanager
def people(*settings, setup="", attach="", origins="", **more):
    """A server with the metastore attached by anna, who administers it, and bob."""
    with world.serve(MOAT, folder, issuer, f"catalog.origins={store.url}{origins}", f"catalog.local_folders={store.lake}", *settings, setup=SETUP + setup,
                     **more) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            anna.query(f"ATTACH '{store.url}' AS lake (TYPE iceberg_hive{attach})")
            store.calls()
            yield server, anna, bob


def tables_live():
    """Made, filled, changed, altered, renamed, dropped; each call is of who makes it."""
    with people() as (server, anna, bob):
        assert anna.tag("CREATE SCHEMA lake.sales WITH (comment = 'what is sold', region = 'EU')") == "CREATE SCHEMA"
        assert anna.tag("CREATE TABLE lake.sales.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)") == "SELECT 100"
        assert anna.tag("INSERT INTO lake.sales.orders VALUES (100, NULL), (101, 'x')") == "INSERT 0 2"
        assert anna.tag("DELETE FROM lake.sales.orders WHERE id % 2 = 0") == "DELETE 51"
        assert anna.tag("UPDATE lake.sales.orders SET name = upper(name) WHERE id < 10") == "UPDATE 5"
        assert anna.query("SELECT count(*), sum(id), min(name) FROM lake.sales.orders") == [["51", "2601", "NAME-1"]]
        calls = store.calls()
        assert {who for who, _ in calls} == {"anna"} and any(call.startswith("alter_table") for _, call in calls), calls
        anna.query("ALTER TABLE lake.sales.orders ADD COLUMN at TIMESTAMP")
        anna.query("ALTER TABLE lake.sales.orders DROP COLUMN name")
        anna.query("ALTER TABLE lake.sales.orders RENAME COLUMN id TO number")
        assert anna.query("SELECT * FROM lake.sales.orders ORDER BY number LIMIT 1") == [["1", None]]
        with store.pyiceberg(issuer.token_of("anna"))._client as client:
            columns = client.get_table("sales", "orders").sd.cols
        assert [(column.name, column.type) for column in columns] == [("number", "bigint"), ("at", "timestamp")]
        anna.query("ALTER TABLE lake.sales.orders RENAME TO sold")
        assert "does not exist" in refused("42P01", anna.query, "SELECT * FROM lake.sales.orders")["M"]
        assert anna.query("SELECT count(*) FROM lake.sales.sold") == [["51"]]
        refused("2BP01", anna.query, "DROP SCHEMA lake.sales")
        anna.query("DROP TABLE lake.sales.sold PURGE")
        assert not list((store.lake / "sales.db").rglob("*.parquet"))
        anna.query("DROP SCHEMA lake.sales")
        assert refused("3F000", anna.query, "CREATE TABLE lake.sales.orders (a INT)")


def tables_of_version_3():
    with people() as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.sales")
        anna.query("CREATE TABLE lake.sales.third (id BIGINT, v STRUCT(a INT, b DECIMAL(10, 2)[]), at TIMESTAMPTZ) PARTITIONED BY (bucket(4, id)) "
                   "TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = 'merge-on-read')")
        anna.query("INSERT INTO lake.sales.third SELECT i, {'a': i, 'b': [i / 4]}, TIMESTAMPTZ '2026-01-01 00:00:00+00' FROM range(40) t(i)")
        assert anna.tag("DELETE FROM lake.sales.third WHERE id < 30") == "DELETE 30"
        assert anna.query("SELECT count(*), sum(id), max(v.b[1]) FROM lake.sales.third") == [["10", "345", "9.75"]]
        made = store.pyiceberg(issuer.token_of("anna")).load_table("sales.third")
        assert made.metadata.format_version == 3 and made.metadata.current_snapshot().summary["added-dvs"] != "0", made.metadata
        with store.pyiceberg(issuer.token_of("anna"))._client as client:
            columns = client.get_table("sales", "third").sd.cols
        assert [column.type for column in columns] == ["bigint", "struct<a:int,b:array<decimal(10,2)>>", "timestamp with local time zone"], columns
        anna.query("DROP TABLE lake.sales.third PURGE")
        anna.query("DROP SCHEMA lake.sales")


@contextmanager
def orders(*settings, **more):
    """The same with a table, which bob may read."""
    with people(*settings, **more) as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.sales")
        anna.query("CREATE TABLE lake.sales.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)")
        anna.query("GRANT SELECT ON lake.sales.orders TO ROLE reader")
        store.calls()
        try:
            yield server, anna, bob
        finally:
            store.deny()
            for (table,) in anna.query("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'"):
                anna.query(f"DROP TABLE lake.sales.{table} PURGE")
            anna.query("DROP SCHEMA lake.sales")


def each_call_is_of_who_asks():
    with orders() as (server, anna, bob):
        for _ in range(2):  # planned, then found planned
            assert bob.query("SELECT count(*) FROM lake.sales.orders WHERE id < 50") == [["50"]]
            calls = store.calls()
            assert calls and {who for who, _ in calls} == {"bob"}, calls
        assert bob.query("SELECT record_count FROM lake.sales.\"orders$files\"") == [["100"]]
        assert {who for who, _ in store.calls()} == {"bob"}
        server.sql("GRANT ROLE reader TO amelia")
        with server.connect(user="amelia") as amelia:
            assert "no token" in refused("28000", amelia.query, "SELECT * FROM lake.sales.orders")["M"]
        assert refused("42501", bob.query, "INSERT INTO lake.sales.orders VALUES (1, 'x')")
        assert not [call for _, call in store.calls() if call.startswith(("alter", "create", "drop"))]
        shown = anna.query("SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'lake'")
        assert shown == [["sales", "orders"]], shown


def the_metastore_decides_too():
    with orders() as (server, anna, bob):
        read = "SELECT count(*) FROM lake.sales.orders"
        for _ in range(2):
            assert bob.query(read) == [["100"]]
        store.deny("bob sales.orders")  # while all that was read is kept
        assert "does not exist" in refused("42P01", bob.query, read)["M"]
        assert anna.query(read) == [["100"]]
        store.deny("anna sales.orders")
        assert bob.query(read) == [["100"]]
        fields = refused("42501", anna.query, "DELETE FROM lake.sales.orders")
        assert "permission denied" in fields["M"] and "lake" in fields["M"], fields
        assert refused("42501", anna.query, "DROP TABLE lake.sales.orders")
        store.deny()
        assert bob.query(read) == [["100"]] and anna.query(read) == [["100"]]


def tokens_are_looked_at():
    """By the metastore itself; what it says of one is told to whose it was."""
    for token in ("none", issuer.token_of("anna")[:-8] + "AAAAAAAA"):
        try:
            identity.post(store.url, token=token, body=b"x")
            raise AssertionError("it took it")
        except urllib.error.HTTPError as error:
            assert error.code == 401, error.code
    with orders() as (server, anna, bob):
        way = Way(store.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url}", f"catalog.local_folders={store.lake}", setup=SETUP) as other:
            with world.sign_in(other, issuer, "anna") as client:
                client.query(f"ATTACH '{way.url}/metastore' AS lake (TYPE iceberg_hive)")
                way.change = lambda headers: headers.replace_header("Authorization", headers["Authorization"][:-8] + "AAAAAAAA")
                fields = refused("28000", client.query, "SELECT * FROM lake.sales.orders")
                assert "lake" in fields["M"] and "sign-in" in fields["M"], fields
        way.close()


def others_write_too():
    """PyIceberg's HiveCatalog, which locks and has nothing compared, and this program."""
    with orders() as (server, anna, bob):
        theirs = store.pyiceberg(issuer.token_of("anna"))
        table = theirs.load_table("sales.orders")
        assert table.scan().to_arrow().num_rows == 100
        rows = pa.table({"id": pa.array([1000], pa.int64()), "name": ["theirs"]})
        table.append(rows)
        assert anna.query("SELECT count(*), max(id) FROM lake.sales.orders") == [["101", "1000"]]
        for _ in range(3):
            theirs.load_table("sales.orders").append(rows)
            anna.query("INSERT INTO lake.sales.orders VALUES (2000, 'ours')")
        counted = anna.query("SELECT count(*) FILTER (id = 2000), count(*) FILTER (id = 1000) FROM lake.sales.orders")
        assert counted == [["3", "4"]], counted
        stale = theirs.load_table("sales.orders")
        anna.query("DELETE FROM lake.sales.orders WHERE id = 2000")
        stale.append(rows)  # which sees that it must begin anew
        assert theirs.load_table("sales.orders").scan().to_arrow().num_rows == 105
        theirs.create_table("sales.made", schema=rows.schema).append(rows)
        assert anna.query("SELECT * FROM lake.sales.made") == [["1000", "theirs"]]
        assert anna.tag("UPDATE lake.sales.made SET name = 'ours'") == "UPDATE 1"
        assert theirs.load_table("sales.made").scan().to_arrow().to_pylist() == [{"id": 1000, "name": "ours"}]
        location = theirs.load_table("sales.made").metadata_location
        anna.query("DROP TABLE lake.sales.made")
        assert not theirs.table_exists("sales.made")
        anna.query(f"CREATE EXTERNAL TABLE lake.sales.back LOCATION '{location}' STORED AS ICEBERG")
        assert anna.query("SELECT * FROM lake.sales.back") == [["1000", "ours"]]
        anna.query("DROP TABLE lake.sales.back PURGE")


def a_lock_is_waited_for():
    """Whoever holds it may look and turn in peace."""
    with orders() as (server, anna, bob):
        theirs = store.pyiceberg(issuer.token_of("bob"))
        begun = time.monotonic()
        with theirs._client as client:
            held = client.lock(theirs._create_lock_request("sales", "orders"))
        with ThreadPoolExecutor() as pool:
            insert = pool.submit(anna.tag, "INSERT INTO lake.sales.orders VALUES (1, 'x')")
            time.sleep(2)
            assert not insert.done()
            with theirs._client as client:
                client.unlock(UnlockRequest(lockid=held.lockid))
            assert insert.result(timeout=60) == "INSERT 0 1" and time.monotonic() - begun > 2
        with theirs._client as client:
            assert client.show_locks(ShowLocksRequest()).locks == [], "it keeps its own"


def writers_at_once_lose_nothing():
    """By what the metastore compares alone: Derby does not bear many locks."""
    with orders() as (server, anna, bob):
        anna.query("ALTER TABLE lake.sales.orders SET TBLPROPERTIES ('engine.hive.lock-enabled' = 'false', 'commit.retry.num-retries' = '50')")
        done, refusals = [], []

        def insert(who):
            with world.sign_in(server, issuer, "anna") as client:
                for i in range(10):
                    try:
                        client.query(f"INSERT INTO lake.sales.orders VALUES ({1000 + who}, '{i}')")
                        done.append((who, i))
                    except Refused as error:
                        refusals.append((who, i, error.code))

        with ThreadPoolExecutor() as pool:
            for result in [pool.submit(insert, who) for who in range(4)]:
                result.result(timeout=200)
        found = {(int(who) - 1000, int(i)) for who, i in anna.query("SELECT id, name FROM lake.sales.orders WHERE id >= 1000")}
        counted = int(anna.query("SELECT count(*) FROM lake.sales.orders WHERE id >= 1000")[0][0])
        unknown = {(who, i) for who, i, code in refusals if code == "40003"}
        assert counted == len(found) and set(done) <= found <= set(done) | unknown, (counted, len(done), refusals)
        assert len(done) > 20, refusals


def tables_of_hive_itself_are_left_alone():
    with orders() as (server, anna, bob):
        plain = Table(tableName="plain", dbName="sales", owner="anna", tableType="EXTERNAL_TABLE", parameters={"EXTERNAL": "TRUE"}, partitionKeys=[],
                      sd=StorageDescriptor(cols=[FieldSchema("a", "int", None)], location=f"{store.lake}/plain", serdeInfo=SerDeInfo(parameters={})))
        with store.pyiceberg(issuer.token_of("anna"))._client as client:
            client.create_table(plain)
            try:
                for statement in ("SELECT * FROM lake.sales.plain", "DROP TABLE lake.sales.plain", "INSERT INTO lake.sales.plain VALUES (1)",
                                  "ALTER TABLE lake.sales.plain RENAME TO other"):
                    fields = refused("0A000", anna.query, statement)
                    assert "no Iceberg table" in fields["M"], fields
                assert refused("42P07", anna.query, "CREATE TABLE lake.sales.plain (a INT)")
                assert refused("42P07", anna.query, "ALTER TABLE lake.sales.orders RENAME TO plain")
                assert "plain" not in str(anna.query("SHOW TABLES FROM lake.sales"))
            finally:
                client.drop_table("sales", "plain", False)


def names_are_small():
    with orders() as (server, anna, bob):
        assert anna.query('SELECT count(*) FROM lake."Sales"."ORDERS"') == [["100"]]
        assert refused("42602", anna.query, 'CREATE TABLE lake.sales."Big" (a INT)')
        assert refused("42602", anna.query, 'CREATE SCHEMA lake."sales.eu"')
        assert refused("42602", anna.query, 'ALTER TABLE lake.sales.orders RENAME TO "Big"')
        assert refused("42P01", anna.query, "SELECT * FROM lake.sales.nothing")
        assert refused("3F000", anna.query, "CREATE TABLE lake.nothing.t (a INT)")
        assert refused("42P06", anna.query, "CREATE SCHEMA lake.sales")
        assert refused("42P07", anna.query, "CREATE TABLE lake.sales.orders (a INT)")
        assert refused("0A000", anna.query, "CREATE VIEW lake.sales.seen AS SELECT 1 AS a")


def what_does_not_answer_is_named():
    with orders() as (server, anna, bob):
        way = Way(store.url, seed=1)
        try:
            for fault, state in (("kill", "08006"), ("garbage", "08P01"), (503, "08006"), ("nothing", "08P01"), ("truncate", "08006")):
                with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url}", f"catalog.local_folders={store.lake}",
                                 setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
                    client.query(f"ATTACH '{way.url}/metastore' AS lake (TYPE iceberg_hive)")
                    assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
                    way.strike(fault)
                    fields = refused(state, client.query, "SELECT count(*) FROM lake.sales.orders")
                    assert "lake" in fields["M"], (fault, fields)
                    way.strike(None)
                    deadline = time.monotonic() + 30
                    while True:  # it may have been left alone for a while
                        try:
                            assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]], fault
                            break
                        except Refused:
                            assert time.monotonic() < deadline, fault
                        time.sleep(0.2)
        finally:
            way.close()


def an_answer_that_is_lost_is_looked_for():
    """The change is made, and its answer kept back: the statement finds that it was, or says that nobody knows; never twice."""
    with orders() as (server, anna, bob):
        way = Way(store.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url}", f"catalog.local_folders={store.lake}", setup=SETUP) as other:
            with world.sign_in(other, issuer, "anna") as client:
                client.query(f"ATTACH '{way.url}/metastore' AS lake (TYPE iceberg_hive)")
                for skip in range(10):
                    before = int(anna.query("SELECT count(*) FROM lake.sales.orders")[0][0])
                    way.strike("truncate", skip=skip, times=1)
                    try:
                        client.query("INSERT INTO lake.sales.orders VALUES (1, 'lost')")
                        is_done = True
                    except Refused:
                        is_done = False
                    way.strike(None)
                    after = int(anna.query("SELECT count(*) FROM lake.sales.orders")[0][0])
                    assert after == before + 1 if is_done else after in (before, before + 1), (skip, is_done, before, after)
        way.close()


# ---- an object store


@contextmanager
def in_a_store(options="", at=None):
    """A namespace that lies in MinIO, which gives credentials for the tokens of people: anna's write, bob's read."""
    at = at or minio
    with people(attach=f", STS '{at}', STORE '{minio}'{options}", origins=f",{at}") as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.away WITH (location = 's3://lake/away')")
        try:
            yield server, anna, bob
        finally:
            for (table,) in anna.query("SELECT table_name FROM information_schema.tables WHERE table_catalog = 'lake'"):
                anna.query(f"DROP TABLE lake.away.{table}")
            anna.query("DROP SCHEMA lake.away")


def asked():
    """(who, operation, status) of each request to the store that this program made; who gave a token is told by its claims."""
    seen = -1
    while seen != len(requests):
        seen = len(requests)
        time.sleep(0.3)
    lines, requests[:] = requests[:], []
    return [((line.get("requestClaims") or {}).get("preferred_username"), line["api"]["name"], line["api"]["statusCode"]) for line in lines
            if "moat" in line.get("userAgent", "")]


def tables_in_a_store_are_each_persons():
    with in_a_store() as (server, anna, bob):
        asked()
        assert anna.tag("CREATE TABLE lake.away.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)") == "SELECT 100"
        assert anna.tag("INSERT INTO lake.away.orders VALUES (100, NULL)") == "INSERT 0 1"
        assert anna.tag("DELETE FROM lake.away.orders WHERE id < 50") == "DELETE 50"
        lines = [line for line in asked() if line[1] != "AssumeRoleWithWebIdentity"]
        assert lines and {who for who, _, _ in lines} == {"anna"} and any(name.startswith("Put") for _, name, _ in lines), lines
        assert anna.query("SELECT count(*), sum(id) FROM lake.away.orders") == [["51", "3825"]]
        for statement in ("ALTER TABLE lake.away.orders ADD COLUMN at DATE", "BEGIN", "CREATE TABLE lake.away.made AS SELECT 1 AS a", "COMMIT",
                          "BEGIN", "INSERT INTO lake.away.made VALUES (2)", "COMMIT", "ALTER TABLE lake.away.orders DROP COLUMN at"):
            anna.query(statement)  # which borrow nothing for files
        assert anna.query("SELECT count(*), sum(a) FROM lake.away.made") == [["2", "3"]]
        anna.query("GRANT SELECT, INSERT ON lake.away.orders TO ROLE reader")
        asked()
        for _ in range(2):
            assert bob.query("SELECT count(*), sum(id) FROM lake.away.orders") == [["51", "3825"]]
            lines = [line for line in asked() if line[1] != "AssumeRoleWithWebIdentity"]
            assert lines and {who for who, _, _ in lines} == {"bob"} and not any(name.startswith("Put") for _, name, _ in lines), lines
        assert refused("42501", bob.query, "INSERT INTO lake.away.orders VALUES (1, 'x')")  # MinIO gives bob no right to write
        assert anna.query("SELECT count(*) FROM lake.away.orders") == [["51"]]
        store.deny("bob away.orders")
        asked()
        assert refused("42P01", bob.query, "SELECT * FROM lake.away.orders")
        assert not [line for line in asked() if line[0] == "bob"]
        store.deny()


def nothing_is_read_without_a_service_that_lends():
    with in_a_store() as (server, anna, bob):
        anna.query("CREATE TABLE lake.away.orders AS SELECT 1 AS id")
        anna.query(f"ATTACH '{store.url}' AS bare (TYPE iceberg_hive)")
        fields = refused("42501", anna.query, "SELECT * FROM bare.away.orders")
        assert "credentials" in fields["M"] and "STS" in fields["H"], fields
        assert refused("42501", anna.query, "CREATE TABLE bare.away.other AS SELECT 1 AS id")
        for options in ("ROLE 'arn:aws:iam::1:role/x'", "STORE 'https://s3.example.com'", "STS 'https://sts.example.com', ROLE 'a\"b'",
                        "STS 'ftp://x'", "WAREHOUSE 'w'", "ALLOW '/tmp'"):
            assert refused("22023", anna.query, f"ATTACH '{store.url}' AS wrong (TYPE iceberg_hive, {options})")
        assert refused("42501", anna.query, f"ATTACH '{store.url}' AS wrong (TYPE iceberg_hive, STS 'https://elsewhere.example.com')")


def a_service_that_lends_nothing_is_told():
    way = Way(minio, seed=1)
    with in_a_store(at=way.url) as (server, anna, bob):
        anna.query("CREATE TABLE lake.away.orders AS SELECT 1 AS id")
        anna.query("GRANT SELECT ON lake.away.orders TO ROLE reader")
        for fault, state in ((403, "42501"), (400, "42501"), (503, "08006"), ("kill", "08006"), ("garbage", "08P01"), ("nothing", "08P01")):
            way.strike(fault)
            with world.sign_in(server, issuer, "anna") as again:
                fields = refused(state, again.query, "SELECT * FROM lake.away.orders")
            assert "eyJ" not in str(fields), fields
            assert refused("42P01" if state == "42501" else state, bob.query, "SELECT * FROM lake.away.orders")  # as with all that one may not see
        way.strike(None)
        assert bob.query("SELECT * FROM lake.away.orders") == [["1"]]
        way.strike("kill")  # what was lent is good for a while yet
        assert bob.query("SELECT * FROM lake.away.orders") == [["1"]]
        way.strike(None)
    way.close()


CASES = [tables_live, tables_of_version_3, each_call_is_of_who_asks, the_metastore_decides_too, others_write_too, a_lock_is_waited_for, writers_at_once_lose_nothing, tables_of_hive_itself_are_left_alone, names_are_small,
         what_does_not_answer_is_named, an_answer_that_is_lost_is_looked_for, tokens_are_looked_at, tables_in_a_store_are_each_persons, nothing_is_read_without_a_service_that_lends,
         a_service_that_lends_nothing_is_told]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-hive-") as name, ExitStack() as exits:
        folder = Path(name)
        try:
            issuer = exits.enter_context(world.issuer_of(folder, 7200))
            program, keeper = CACHE / "minio/minio", ("keeper", "keeper-of-the-test")
            if not program.exists():
                raise world.Skip("MinIO is not here; tools/deps interop fetches it")
            minio, requests = minio_of(folder, exits, program, keeper, MINIO_IDENTITY_OPENID_CLIENT_ID="moat",
                                       MINIO_IDENTITY_OPENID_CONFIG_URL=f"{issuer.url}/.well-known/openid-configuration")
            store = hive.Metastore(folder, exits, issuer, fs__s3__impl="org.apache.hadoop.fs.s3a.S3AFileSystem", fs__s3a__endpoint=minio,
                                   fs__s3a__access__key=keeper[0], fs__s3a__secret__key=keeper[1], fs__s3a__path__style__access="true",
                                   fs__s3a__connection__ssl__enabled="false")
            code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
