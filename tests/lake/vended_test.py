#!/usr/bin/env python3
"""Tables in an object store, read with what their catalog vends to the person who asks. Python's standard library is all it needs.

    vended_test.py MOAT [CASE ...]

SeaweedFS is catalog, store and STS; before it a gateway that knows the tokens of npm's oidc-provider, and whom of the catalog's people
they stand for. The tables are those that Spark wrote (tests/data/iceberg), moved there; what the same files on a disk say is the oracle.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import shutil
import sys
import tempfile
from pathlib import Path

import world
from protocol import refused, run
from spark_tables import NAMESPACE, SparkTables

MOAT = sys.argv[1]
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; CREATE ROLE reader; GRANT ROLE reader TO bob"
PEOPLE = {"anna": ("annakey", "annasecret"), "bob": ("bobkey", "bobsecret")}
TABLES = ("v2_none_pos_partition", "v2_bucket_id_pos_eq")


def serve(*settings, **more):
    gateway.reset()
    return world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", *settings, setup=SETUP, **more)


def attach(client):
    client.query(f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest, WAREHOUSE 'lake')")


def rows_are_those_of_the_files():
    with serve() as server, world.sign_in(server, issuer, "anna") as anna:
        attach(anna)
        server.sql(f"ATTACH '{local}/warehouse/hadoop' AS disk (TYPE hadoop); GRANT ROLE reader TO anna")
        for table in TABLES:
            server.sql(f"GRANT SELECT ON disk.core.{table} TO ROLE reader")
            there = anna.query(f"SELECT * FROM lake.{NAMESPACE}.{table} ORDER BY ALL")
            here = anna.query(f"SELECT * FROM disk.core.{table} ORDER BY ALL")
            assert there == here and len(there) > 10, (table, len(there), len(here))


def each_reads_with_what_was_vended_to_them():
    table = f"lake.{NAMESPACE}.{TABLES[0]}"
    with serve() as server, world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
        attach(anna)
        anna.query(f"GRANT SELECT ON {table} TO ROLE reader")
        expected = anna.query(f"SELECT * FROM {table} ORDER BY ALL")
        gateway.log()
        for _ in range(3):  # its blocks are in the cache by then
            assert bob.query(f"SELECT * FROM {table} ORDER BY ALL") == expected
        log = gateway.log()
        assert log and all(line["who"] == "bob" for line in log)
        assert any("vended-credentials" in (line["delegation"] or "") for line in log)
        gateway.tell(deny={"bob": ["/tables/"]})
        assert refused("42P01", bob.query, f"SELECT * FROM {table}")
        gateway.tell(deny={})
        # What is vended for another table, or is none, reads nothing, though every block is in the cache.
        for wrong in ([], [{"prefix": "s3://elsewhere/", "config": {"s3.access-key-id": "x", "s3.secret-access-key": "y"}}]):
            gateway.tell(credentials={"bob": wrong})
            fields = refused("42501", bob.query, f"SELECT * FROM {table}")
            assert "credentials" in fields["M"], fields
        gateway.tell(credentials={"bob": [{"prefix": f"s3://lake/{NAMESPACE}", "config": {
            "s3.access-key-id": "bobkey", "s3.secret-access-key": "wrong", "s3.endpoint": weed.s3, "s3.path-style-access": "true",
            "client.region": "us-east-1"}}]})
        fields = refused("42501", bob.query, f"SELECT * FROM {table}")
        assert "wrong" not in str(fields) and "bobkey" not in str(fields), fields
        assert anna.query(f"SELECT * FROM {table} ORDER BY ALL") == expected


def tables_of_a_statement_are_asked_for_at_once():
    """And one that is named twice is asked for once: both mentions are of one version."""
    first, second = (f"lake.{NAMESPACE}.{table}" for table in TABLES)
    statement = f"SELECT (SELECT count(*) FROM {first}), (SELECT count(*) FROM {second}), (SELECT min(id) FROM {first})"
    with serve() as server, world.sign_in(server, issuer, "anna") as anna:
        attach(anna)
        expected = [[anna.query(f"SELECT {what} FROM {table}")[0][0] for what, table in (("count(*)", first), ("count(*)", second), ("min(id)", first))]]
        gateway.tell(delay=2000)
        for _ in range(2):  # planned, then found planned
            gateway.log()
            assert anna.query(statement) == expected
            asked = [(line["path"].rsplit("/", 1)[1], line["at"]) for line in gateway.log() if "/tables/" in line["path"]]
            assert sorted(name for name, _ in asked) == sorted(TABLES), asked
            apart_ms = abs(asked[0][1] - asked[1][1])
            assert apart_ms < 2000, f"the second was asked {apart_ms} ms after the first, whose answer takes 2000"
        # What goes wrong with one is told as ever, and the others are not waited for.
        gateway.tell(deny={"anna": [f"/tables/{TABLES[1]}"]})
        assert refused("42501", anna.query, statement)  # who administers is told so
        gateway.tell(deny={}, delay=0)
        assert anna.query(statement) == expected


CASES = [rows_are_those_of_the_files, each_reads_with_what_was_vended_to_them, tables_of_a_statement_are_asked_for_at_once]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-vended-") as name:
        folder, weed, gateway = Path(name), None, None
        local = f"/tmp/moat-iceberg-{os.urandom(4).hex()}"  # as long as what is written in the files
        try:
            with world.issuer_of(folder) as issuer:
                weed = world.SeaweedFS(folder, PEOPLE)
                tables = SparkTables(weed, PEOPLE["anna"])
                for table in TABLES:
                    tables.move(table)
                    tables.here(table, local)
                gateway = world.Gateway(folder, weed.url, issuer.url, people=PEOPLE)
                code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
        finally:
            shutil.rmtree(local, ignore_errors=True)
            for part in (gateway, weed):
                if part is not None:
                    part.close()
    sys.exit(code)
