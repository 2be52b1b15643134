#!/usr/bin/env python3
"""A real REST catalog behind SQL, as the person who asks.

    rest_test.py MOAT [CASE ...]

Iceberg's own REST catalog over files, a gateway that checks each token against the issuer's keys and writes down whose it was,
npm's oidc-provider as the issuer, PyIceberg as the other engine on the same catalog.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyarrow as pa
    from pyiceberg.catalog import load_catalog
except ImportError:
    if PYTHON.exists() and not os.environ.get("LAKE_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "LAKE_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
os.environ.pop("LAKE_REEXECUTED", None)

import world
from world import identity
from protocol import Refused, refused, run

MOAT = sys.argv[1]
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; CREATE ROLE reader; GRANT ROLE reader TO bob"


def rows(first, last):
    return pa.table({"id": pa.array(range(first, last), pa.int64()), "region": ["EU" if i % 2 else "US" for i in range(first, last)],
                     "name": [f"name-{i:04}" for i in range(first, last)]})


def attach(client, name="lake", options=""):
    return client.query(f"ATTACH '{gateway.url}/' AS {name} (TYPE iceberg_rest{options})")


def a_person_reads_with_their_own_token():
    gateway.reset()
    with world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", f"catalog.local_folders={lake}", setup=SETUP) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            attach(anna)
            assert anna.query("SELECT count(*), sum(id) FROM lake.sales.orders") == [["100", "4950"]]
            assert refused("3D000", bob.query, "SELECT * FROM lake.sales.orders")
            assert not any(line["who"] == "bob" for line in gateway.log()), "nobody asks for who has no grant"
            anna.query("GRANT SELECT ON lake.sales.orders TO ROLE reader")
            gateway.log()
            assert bob.query("SELECT count(*) FROM lake.sales.orders WHERE region = 'EU'") == [["50"]]
            log = gateway.log()
            assert log and all(line["who"] == "bob" and line["id"] for line in log), log
            ids = {line["id"] for line in log}
            audited = server.sql("SELECT query_id FROM moat_system.audit WHERE \"user\" = 'bob' AND kind = 'query_start'")
            assert ids <= set(audited.split()), (ids, audited)


@contextmanager
def people(*settings, options="", grants=("sales.orders",), **more):
    """A server with the catalog attached by anna, who administers it, and bob, who may read `grants`."""
    gateway.reset()
    with world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", f"catalog.local_folders={lake}", *settings, setup=SETUP, **more) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            attach(anna, options=options)
            for table in grants:
                anna.query(f"GRANT SELECT ON lake.{table} TO ROLE reader")
            gateway.log()
            yield server, anna, bob


def without_a_token_nothing_is_asked():
    with people() as (server, anna, bob):
        server.sql("GRANT ROLE reader TO amelia")
        with server.connect(user="amelia") as amelia:
            fields = refused("28000", amelia.query, "SELECT * FROM lake.sales.orders")
            assert "no token" in fields["M"] and "lake" in fields["M"], fields
            assert amelia.query("SELECT 1") == [["1"]]
        assert gateway.log() == []


def the_catalog_decides_too():
    with people() as (server, anna, bob):
        read = "SELECT count(*) FROM lake.sales.orders"
        for _ in range(2):  # planned, then found
            assert bob.query(read) == [["100"]]
        for rule in ("deny", "hide"):
            gateway.tell(**{rule: {"bob": ["/tables/orders"]}})
            assert "does not exist" in refused("42P01", bob.query, read)["M"]
            assert anna.query(read) == [["100"]]
            gateway.tell(**{rule: {}})
            assert bob.query(read) == [["100"]]
        gateway.tell(deny={"anna": ["/tables/orders"]})
        fields = refused("42501", anna.query, read)  # who administers is told why
        assert "permission denied" in fields["M"] and "lake" in fields["M"], fields


def names_of_every_kind():
    with people(grants=("sales.orders", "\"sales.eu\".orders")) as (server, anna, bob):
        assert bob.query('SELECT count(*) FROM lake."sales.eu".orders') == [["10"]]
        assert bob.query("SELECT count(*) FROM LAKE.Sales.ORDERS") == [["100"]]
        assert bob.query("SELECT o.name FROM lake.sales.orders o JOIN lake.\"sales.eu\".orders e ON o.id = e.id WHERE o.id = 3") == [["name-0003"]]
        assert refused("42P01", bob.query, "SELECT * FROM lake.sales.nothing")
        assert refused("42P01", bob.query, 'SELECT * FROM lake."sales/../eu".orders')
        assert refused("42P01", bob.query, 'SELECT * FROM lake."..".orders')
        assert refused("42P01", bob.query, "SELECT * FROM lake.sales.secret")
        assert anna.query("SELECT count(*) FROM lake.sales.secret") == [["1"]]


def lists_are_of_who_asks():
    with people() as (server, anna, bob):
        tables = "SELECT table_schema, table_name FROM information_schema.tables WHERE table_catalog = 'lake' ORDER BY 1, 2"
        assert bob.query(tables) == [["sales", "orders"]]
        seen = anna.query(tables)
        assert seen == [["sales", "orders"], ["sales", "secret"], ["sales.eu", "orders"]], seen
        assert {line["who"] for line in gateway.log()} == {"anna", "bob"}
        gateway.tell(hide={"bob": ["/tables/orders"]})
        seen = bob.query(tables)
        assert seen == [], seen
        gateway.log()
        shown = bob.query("SHOW CATALOGS")
        assert ["lake"] in shown, shown
        assert gateway.log() == [], "a list of catalogs asks none"
        with server.connect(user="amelia") as amelia:
            assert amelia.query(tables) == [] and ["lake"] not in amelia.query("SHOW CATALOGS")
        assert gateway.log() == []


def versions_and_metadata_tables():
    table = pyiceberg.create_table("sales.versions", schema=rows(0, 1).schema)
    table.append(rows(0, 5))
    first = table.metadata.current_snapshot_id
    with people(grants=("sales.versions",)) as (server, anna, bob):
        count = "SELECT count(*) FROM lake.sales.versions"
        assert bob.query(count) == [["5"]]
        table.append(rows(5, 8))
        assert bob.query(count) == [["8"]]
        assert bob.query(f"{count} AT (VERSION => {first})") == [["5"]]
        assert len(bob.query('SELECT * FROM lake.sales."versions$snapshots"')) == 2
        assert bob.query("SELECT count(*) FROM lake.sales.\"versions$files\"") == [["2"]]
        with table.update_schema() as update:
            update.rename_column("name", "title")
        assert bob.query("SELECT title FROM lake.sales.versions WHERE id = 7") == [["name-0007"]]
        oracle = table.refresh().scan().to_arrow().sort_by("id").to_pylist()
        assert bob.query("SELECT * FROM lake.sales.versions ORDER BY id") == [[str(value) for value in row.values()] for row in oracle]
    pyiceberg.drop_table("sales.versions")


def what_the_catalog_restricts():
    restrictions = {"required-row-filter": {"type": "and", "left": {"type": "eq", "term": "region", "value": "EU"},
                                            "right": {"type": "lt", "left": {"type": "reference", "id": 1}, "right": {"type": "literal", "value": 10}}},
                    "required-column-projections": [{"field-id": 3, "action": "show-last-4"}]}
    with people() as (server, anna, bob):
        read = "SELECT * FROM lake.sales.orders ORDER BY id"
        assert len(bob.query(read)) == 100
        gateway.tell(restrict={"bob": {"orders": restrictions}, "anna": {"orders": {}}})
        shown = [[str(i), "EU", f"xxxx-{i:04}"] for i in range(1, 10, 2)]
        assert bob.query(read) == shown and bob.query(read) == shown
        assert bob.query("SELECT count(*) FROM lake.sales.orders WHERE name = 'name-0001'") == [["0"]]
        assert refused("42P01", bob.query, 'SELECT * FROM lake.sales."orders$files"')
        assert len(anna.query(read)) == 100
        # Both must allow: ours hides what theirs shows, and where both mask there is nothing left.
        anna.query("REVOKE SELECT ON lake.sales.orders FROM ROLE reader")
        anna.query("GRANT SELECT ON lake.sales.orders TO ROLE reader ROWS WHERE id > 4 MASKED WITH (name = 'mine')")
        assert bob.query(read) == [[str(i), "EU", None] for i in (5, 7, 9)]
        for unknown in ({"required-row-filter": {"type": "eq", "term": {"type": "transform", "transform": "bucket[4]", "term": "id"}, "value": 1}},
                        {"required-row-filter": "id < 3"}, {"required-row-filter": {"type": "later"}},
                        {"required-row-filter": {"type": "eq", "term": "nothing", "value": 1}},
                        {"required-row-filter": {"type": "eq", "term": "id", "value": "1; DROP"}},
                        {"required-column-projections": [{"field-id": 3, "action": "apply-expression", "expression": True}]},
                        {"required-column-projections": [{"field-id": 99, "action": "replace-with-null"}]},
                        {"required-column-projections": [{"field-id": 1, "action": "show-last-4"}]},
                        {"required-column-projections": [{"field-id": 3, "action": "sha-256-query-local"}]},
                        {"required-joins": []}, [], "none", 7):
            gateway.tell(restrict={"bob": {"orders": unknown}, "anna": {"orders": unknown}})
            assert "policy" in refused("42501", bob.query, read)["M"], unknown
            assert "catalog" in refused("42501", anna.query, read)["D"], unknown
        for action, cell in (("replace-with-null", None), ("mask-alphanum", "xxxx-nnnn"), ("show-first-4", "name-nnnn"),
                             ("sha-256-global", hashlib.sha256(b"name-0005").hexdigest())):
            gateway.tell(restrict={"anna": {"orders": {"required-column-projections": [{"field-id": 3, "action": action}]}}})
            assert anna.query("SELECT name FROM lake.sales.orders WHERE id = 5") == [[cell]], action


def tokens_are_exchanged():
    with people(options=", AUTH exchange, AUDIENCE 'catalog'") as (server, anna, bob):
        assert bob.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        assert {(line["who"], line["audience"]) for line in gateway.log()} == {("bob", "catalog")}
        gateway.tell(fault="401", times=1)  # one more exchange, once
        assert bob.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]


def views_of_the_catalog():
    schema = {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "n", "required": False, "type": "long"}]}
    view = {"name": "eu_count", "schema": schema, "properties": {}, "view-version": {
        "version-id": 1, "timestamp-ms": 1, "schema-id": 0, "summary": {}, "default-namespace": ["sales"], "representations": [
            {"type": "sql", "dialect": "duckdb", "sql": "SELECT count(*) AS n FROM orders WHERE region = 'EU'"}]}}
    identity.post(f"{catalog.url}/v1/namespaces/sales/views", body=json.dumps(view).encode())
    with people(grants=("sales.orders", "sales.eu_count")) as (server, anna, bob):
        for _ in range(2):
            assert bob.query("SELECT n FROM lake.sales.eu_count") == [["50"]]
        assert all(line["who"] == "bob" for line in gateway.log())
        gateway.tell(deny={"bob": ["/views/"]})
        assert refused("42P01", bob.query, "SELECT n FROM lake.sales.eu_count")


def files_of_this_machine_are_allowed_by_its_configuration():
    gateway.reset()
    with world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", setup=SETUP) as server, world.sign_in(server, issuer, "anna") as anna:
        attach(anna)
        fields = refused("42501", anna.query, "SELECT * FROM lake.sales.orders")
        assert "catalog.local_folders" in fields["H"], fields


def a_catalog_that_fails_is_named_and_left_alone():
    settings = ("catalog.timeout=1s", "catalog.connect_timeout=500ms", "catalog.pause=1s", "catalog.config_age=0")
    log = folder / "server.log"
    with people(*settings, stderr=str(log)) as (server, anna, bob):
        read = "SELECT count(*) FROM lake.sales.orders"
        for fault, code in (("garbage", "08P01"), ("html", "08P01"), ("truncate", "08006"), ("drop", "08006"), ("hang", "08006"), ("500", "08006"),
                            ("429", "53400"), ("401", "28000"), ("419", "28000")):
            gateway.tell(fault=fault)
            begun = time.monotonic()
            fields = refused(code, bob.query, read)
            assert '"lake"' in fields["M"] and time.monotonic() - begun < 3, (fault, fields)
            begun = time.monotonic()
            assert bob.query("SELECT 1") == [["1"]] and time.monotonic() - begun < 0.5
            gateway.tell(fault=None)
            eventually(lambda: bob.query(read) == [["100"]], 5)
        gateway.tell(fault="hang")
        for _ in range(4):
            begun = time.monotonic()
            fields = refused("08006", bob.query, read)
        assert time.monotonic() - begun < 0.2 and "again in" in fields["H"], (time.monotonic() - begun, fields)
        gateway.tell(fault=None)
        eventually(lambda: bob.query(read) == [["100"]], 5)


def eventually(condition, seconds):
    deadline = time.monotonic() + seconds
    while True:
        try:
            assert condition()
            return
        except (Refused, AssertionError):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def moats_own_token_is_for_development():
    secret = folder / "etl-secret"
    secret.write_text("etl-secret")
    secret.chmod(0o600)
    with identity.OPENER.open(f"{issuer.url}/.well-known/openid-configuration") as answer:
        endpoint = json.load(answer)["token_endpoint"]
    statement = (f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest, AUTH client, TOKEN_URI '{endpoint}', CLIENT_ID 'etl', "
                 f"CLIENT_SECRET_FILE '{secret}')")
    gateway.reset()
    allow = [word for setting in ("catalog.insecure_loopback=true", f"catalog.local_folders={lake}") for word in ("--set", setting)]
    with world.serve(MOAT, folder, issuer) as server:
        base = [server.moat, "--warehouse", server.folder + "/warehouse", *allow, "--format", "csv", "-c"]
        done = subprocess.run([*base, f"{statement}; SELECT count(*) FROM lake.sales.orders"], capture_output=True, text=True, env=server.environment)
        assert done.returncode == 0 and "100" in done.stdout, done.stderr
        assert {line["who"] for line in gateway.log()} == {"etl"}
        done = subprocess.run([*base[:3], "--set", "server.production=true", *base[3:], "SELECT count(*) FROM lake.sales.orders"], capture_output=True,
                              text=True, env=server.environment)
        assert done.returncode != 0 and "not for production" in done.stderr and "etl-secret" not in done.stderr, done.stderr
        assert gateway.log() == []


def no_token_is_written_down():
    token = issuer.token_of("bob")
    log = folder / "tokens.log"
    with people("log.level=debug", stderr=str(log)) as (server, anna, _):
        with world.sign_in(server, issuer, "bob", token) as bob:
            for fault in (None, "401", "500", "garbage"):
                gateway.tell(fault=fault)
                try:
                    bob.query("EXPLAIN ANALYZE SELECT * FROM lake.sales.orders")
                except Refused as error:
                    assert token[:40] not in str(error.fields)
        found = subprocess.run(["grep", "-rlF", token.split(".")[1][:60], server.folder, str(log)], capture_output=True, text=True).stdout
        assert found == "", found


def tables_are_written_over_files():
    """PyIceberg reads what was written and goes on writing; each change is asked for by who makes it."""
    with people(grants=()) as (server, anna, bob):
        server.sql("GRANT ROLE moat_admin TO bob")
        assert anna.tag("CREATE TABLE lake.sales.mine AS SELECT i AS id, 'name-' || i AS name FROM range(50) t(i)") == "SELECT 50"
        anna.query("GRANT SELECT ON lake.sales.mine TO ROLE reader")
        table = pyiceberg.load_table("sales.mine")
        assert table.scan().to_arrow().num_rows == 50 and table.metadata.format_version == 2
        gateway.log()
        with world.sign_in(server, issuer, "bob") as again:  # roles are of a sign-in
            assert again.tag("INSERT INTO lake.sales.mine VALUES (50, 'x'), (51, NULL)") == "INSERT 0 2"
            assert {line["who"] for line in gateway.log()} == {"bob"}
            assert again.tag("DELETE FROM lake.sales.mine WHERE id % 2 = 0") == "DELETE 26"
        table.refresh().append(pa.table({"id": pa.array([100], pa.int64()), "name": ["theirs"]}))
        expected = [[str(row["id"]), row["name"]] for row in table.refresh().scan().to_arrow().sort_by("id").to_pylist()]
        assert len(expected) == 27 and anna.query("SELECT * FROM lake.sales.mine ORDER BY id") == expected
        ids = server.sql("SELECT query_id FROM moat_system.audit WHERE \"user\" IN ('anna', 'bob') AND kind = 'query_start'").split()
        ours = [one.summary.additional_properties.get("moat.query-id") for one in table.metadata.snapshots]
        assert len(ours) == 4 and ours[3] is None and set(ours[:3]) <= set(ids), ours
        location = table.metadata_location
        anna.query("DROP TABLE lake.sales.mine")
        assert not pyiceberg.table_exists("sales.mine")
        anna.query(f"CREATE EXTERNAL TABLE lake.sales.back LOCATION '{location}' STORED AS ICEBERG")
        assert anna.query("SELECT count(*) FROM lake.sales.back") == [["27"]]
        anna.query("TRUNCATE lake.sales.back")
        assert pyiceberg.load_table("sales.back").scan().to_arrow().num_rows == 0
        anna.query('CREATE SCHEMA lake."sales.eu.north" WITH (owner = \'anna\')')
        assert pyiceberg.load_namespace_properties(("sales", "eu", "north"))["owner"] == "anna"
        anna.query('CREATE TABLE lake."sales.eu.north".deep (id BIGINT, at TIMESTAMP) PARTITIONED BY (bucket(4, id), day(at))')
        deep = pyiceberg.load_table(("sales", "eu", "north", "deep"))
        assert [str(field.transform) for field in deep.spec().fields] == ["bucket[4]", "day"]
        anna.query("INSERT INTO lake.\"sales.eu.north\".deep SELECT i, TIMESTAMP '2026-01-01' + INTERVAL (i) HOUR FROM range(100) t(i)")
        assert deep.refresh().scan().to_arrow().num_rows == 100
        anna.query('DROP TABLE lake."sales.eu.north".deep PURGE; ')
        anna.query('DROP SCHEMA lake."sales.eu.north"')
        anna.query("DROP TABLE lake.sales.back PURGE")


def reports(count=1, seconds=30):
    """Those that the catalog is sent, until there are so many."""
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end and len(found) < count:
        found += [{**line, "report": json.loads(line["report"])} for line in gateway.log() if line["path"].endswith("/metrics")]
        time.sleep(0.05)
    return found


def what_statements_did_is_reported():
    """Where it is wanted: as the person, with the query's id, in words that the catalog's own parser takes, and without a constant of theirs."""
    with people() as (_, _, bob):
        bob.query("SELECT id FROM lake.sales.orders")
        assert not (told := reports(seconds=1)), told
    with people("catalog.metrics_reports=true") as (server, anna, bob):
        assert bob.query("SELECT count(region) FROM lake.sales.orders WHERE id < 12345") == [["100"]]
        [line] = reports()
        read = line["report"]
        assert line["who"] == "bob" and line["status"] == 204, line
        assert read["report-type"] == "scan-report" and read["table-name"] == "lake.sales.orders" and read["filter"] is True, read
        assert sorted(read["projected-field-names"]) == ["id", "region"] and sorted(read["projected-field-ids"]) == [1, 2], read
        assert read["snapshot-id"] == pyiceberg.load_table("sales.orders").current_snapshot().snapshot_id
        assert read["metrics"]["result-data-files"] == {"unit": "count", "value": 1} and "12345" not in json.dumps(read), read
        assert line["id"] == read["metadata"]["moat.query-id"]
        assert line["id"] in server.sql("SELECT query_id FROM moat_system.audit WHERE \"user\" = 'bob' AND kind = 'query_start'").split()
        bob.query("SELECT id FROM lake.sales.orders")
        bob.query("SELECT id FROM lake.sales.orders")  # of a plan that is kept
        assert len(ids := {line["id"] for line in reports(2)}) == 2, ids
        anna.query("CREATE TABLE lake.sales.told AS SELECT i AS id FROM range(7) t(i)")
        made = next(line for line in reports(1) if line["report"]["report-type"] == "commit-report")
        assert made["who"] == "anna" and made["status"] == 204, made
        assert made["report"]["operation"] == "append" and made["report"]["metrics"]["added-records"]["value"] == 7, made
        assert made["report"]["snapshot-id"] == pyiceberg.load_table("sales.told").current_snapshot().snapshot_id
        anna.query("BEGIN")
        anna.query("INSERT INTO lake.sales.told VALUES (8)")
        anna.query("ROLLBACK")
        assert not (told := [line for line in reports(seconds=1) if line["report"]["report-type"] == "commit-report"]), told
        gateway.tell(deny={"bob": ["/metrics"]})
        bob.query("SELECT id FROM lake.sales.orders")
        refusals = reports()
        assert refusals and refusals[0]["status"] == 403, refusals
        bob.query("SELECT id FROM lake.sales.orders")  # nobody minds, and nobody asks again soon
        assert not (told := reports(seconds=1)), told
        gateway.tell(deny={})
        anna.query("DROP TABLE lake.sales.told PURGE")
    for said, setting, is_told in (("true", "false", True), ("false", "true", False)):  # the catalog's word counts before ours
        gateway.tell(overrides={"rest-metrics-reporting-enabled": said})
        with people(f"catalog.metrics_reports={setting}") as (_, _, bob):
            bob.query("SELECT id FROM lake.sales.orders")  # that the catalog wishes it may be heard only now
            bob.query("SELECT id FROM lake.sales.orders")
            told = reports(seconds=30 if is_told else 1)
            assert bool(told) == is_told and all(line["who"] == "bob" for line in told), (said, setting, told)
    gateway.tell(overrides={})


def a_block_that_is_one_call_too_many_is_told_so():
    """Also of a view that ALTER TABLE renames: it is there, and is not said to be missing."""
    with people(grants=()) as (server, anna, bob):
        anna.query("CREATE VIEW lake.sales.seen AS SELECT 1 AS a")
        anna.query("CREATE TABLE lake.sales.made AS SELECT 1 AS a")
        for name in ("seen", "made"):
            anna.query("BEGIN")
            anna.query("CREATE VIEW lake.sales.other AS SELECT 2 AS a")
            fields = refused("0A000", anna.query, f"ALTER TABLE lake.sales.{name} RENAME TO elsewhere")
            assert "lake.commit" in fields["H"], fields
            anna.query("ROLLBACK")
        assert refused("42P01", anna.query, "ALTER TABLE lake.sales.nothing RENAME TO elsewhere")
        anna.query("SET lake.commit = 'steps'")
        anna.query("BEGIN")
        anna.query("CREATE VIEW lake.sales.other AS SELECT 2 AS a")
        anna.query("ALTER TABLE lake.sales.seen RENAME TO elsewhere")
        anna.query("ALTER TABLE lake.sales.other RENAME TO seen")
        anna.query("COMMIT")
        assert [anna.query(f"SELECT a FROM lake.sales.{name}") for name in ("seen", "elsewhere")] == [[["2"]], [["1"]]]
        for statement in ("DROP VIEW lake.sales.seen", "DROP VIEW lake.sales.elsewhere", "DROP TABLE lake.sales.made"):
            anna.query(statement)


CASES = [tables_are_written_over_files, a_block_that_is_one_call_too_many_is_told_so, what_statements_did_is_reported, a_person_reads_with_their_own_token, without_a_token_nothing_is_asked, the_catalog_decides_too, names_of_every_kind, lists_are_of_who_asks,
         versions_and_metadata_tables, what_the_catalog_restricts, tokens_are_exchanged, views_of_the_catalog,
         files_of_this_machine_are_allowed_by_its_configuration, a_catalog_that_fails_is_named_and_left_alone, moats_own_token_is_for_development,
         no_token_is_written_down]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-lake-") as name:
        folder = Path(name)
        try:
            with world.issuer_of(folder) as issuer:
                catalog, lake = world.iceberg_servlet(folder)
                pyiceberg = load_catalog("rest", type="rest", uri=catalog.url)
                pyiceberg.create_namespace("sales")
                pyiceberg.create_namespace(("sales", "eu"))
                orders = pyiceberg.create_table("sales.orders", schema=rows(0, 1).schema)
                orders.append(rows(0, 100))
                pyiceberg.create_table("sales.secret", schema=rows(0, 1).schema).append(rows(0, 1))
                pyiceberg.create_table("sales.eu.orders", schema=rows(0, 1).schema).append(rows(0, 10))
                gateway = world.Gateway(folder, catalog.url, issuer.url)
                code = run(CASES, sys.argv[2:])
                gateway.close()
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
