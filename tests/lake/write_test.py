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

MOAT = sys.argv[1]
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; GRANT ROLE moat_admin TO bob; CREATE USER carl; CREATE ROLE reader; GRANT ROLE reader TO bob; GRANT ROLE reader TO carl"
PEOPLE = {"anna": ("annakey", "annasecret"), "bob": ("bobkey", "bobsecret"), "carl": ("carlkey", "carlsecret")}
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


CASES = [a_table_is_made_filled_and_emptied, a_table_is_made_of_a_query_at_once]

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
