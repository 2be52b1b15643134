#!/usr/bin/env python3
"""Tables in an object store, read with what their catalog vends to the person who asks. Python's standard library is all it needs.

    vended_test.py MOAT [CASE ...]

SeaweedFS is catalog, store and STS; before it a gateway that knows the tokens of npm's oidc-provider, and whom of the catalog's people
they stand for. The tables are those that Spark wrote (tests/data/iceberg), moved there; what the same files on a disk say is the oracle.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import json
import os
import shutil
import sys
import tempfile
import time
import urllib.error
from pathlib import Path

import world
from world import identity
from protocol import refused, run
from relocate import Mover

MOAT = sys.argv[1]
DATA = Path(__file__).resolve().parents[1] / "data/iceberg"
HOME = (DATA / "prefix").read_text().strip() + "/warehouse/hadoop/core/"
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; CREATE ROLE reader; GRANT ROLE reader TO bob"
PEOPLE = {"anna": ("annakey", "annasecret"), "bob": ("bobkey", "bobsecret")}
TABLES = ("v2_none_pos_partition", "v2_bucket_id_pos_eq")
# Paths inside Parquet files can only be replaced by others of their length: the namespace makes up for it.
NAMESPACE = "core_".ljust(len(HOME) - len("s3://lake/") - 1, "x")


def as_anna(path, body):
    token = json.loads(identity.post(f"{weed.url}/v1/oauth/tokens", {"grant_type": "client_credentials", "client_id": "annakey",
                                                                     "client_secret": "annasecret"}))["access_token"]
    try:
        return identity.post(f"{weed.url}{path}", token=token, body=json.dumps(body).encode())
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{path}: {error.read().decode()}") from None


def make_namespace():
    """The bucket comes a little after the server."""
    for attempt in range(100):
        try:
            as_anna("/v1/lake/namespaces", {"namespace": [NAMESPACE]})
            return
        except RuntimeError:
            if attempt == 99:
                raise
            time.sleep(0.2)


def move(table):
    mover = Mover(DATA / "warehouse/hadoop/core" / table, HOME + table, f"s3://lake/{NAMESPACE}/{table}")
    files = [path for path in sorted(mover.source.rglob("*")) if path.is_file()]
    files.sort(key=lambda path: path.name.startswith("snap-") and path.suffix == ".avro")
    for path in files:
        name = f"{NAMESPACE}/{table}/{path.relative_to(mover.source)}"
        data = mover.rewrite(path, path.read_bytes())
        mover.lengths[f"s3://lake/{name}".encode()] = len(data)
        if path.suffix in (".avro", ".json", ".parquet"):
            world.put_object(weed.s3, *PEOPLE["anna"], f"/lake/{name}", data)
    newest = max(mover.source.glob("metadata/v*.metadata.json"), key=lambda path: int(path.name[1:].split(".")[0]))
    commit(table, json.loads(mover.rewrite(newest, newest.read_bytes())))


def commit(table, metadata):
    """Makes the table in the catalog what it was. (Its way to register a metadata file forgets the schema.)"""
    def current(many, which, name):
        return next(one for one in metadata[many] if one[name] == metadata[which])

    made = json.loads(as_anna(f"/v1/lake/namespaces/{NAMESPACE}/tables", {
        "name": table, "location": metadata["location"], "schema": current("schemas", "current-schema-id", "schema-id"),
        "partition-spec": current("partition-specs", "default-spec-id", "spec-id"), "properties": metadata.get("properties", {})}))
    ids = [[(field["id"], field["name"]) for field in one["schemas"][-1]["fields"]] for one in (made["metadata"], metadata)]
    assert ids[0] == ids[1], ids
    snapshot = current("snapshots", "current-snapshot-id", "snapshot-id")
    snapshot = {key: value for key, value in snapshot.items() if key not in ("parent-snapshot-id", "schema-id")}
    snapshot["timestamp-ms"] = int(time.time() * 1000) + 1000
    as_anna(f"/v1/lake/namespaces/{NAMESPACE}/tables/{table}", {"requirements": [], "updates": [
        {"action": "add-snapshot", "snapshot": snapshot},
        {"action": "set-snapshot-ref", "ref-name": "main", "type": "branch", "snapshot-id": snapshot["snapshot-id"]}]})


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


CASES = [rows_are_those_of_the_files, each_reads_with_what_was_vended_to_them]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-vended-") as name:
        folder, weed, gateway = Path(name), None, None
        local = f"/tmp/moat-iceberg-{os.urandom(4).hex()}"  # as long as what is written in the files
        try:
            for table in TABLES:
                Mover(DATA / "warehouse/hadoop/core" / table, HOME + table, f"{local}/warehouse/hadoop/core/{table}").move()
            with world.issuer_of(folder) as issuer:
                weed = world.SeaweedFS(folder, PEOPLE)
                make_namespace()
                for table in TABLES:
                    move(table)
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
