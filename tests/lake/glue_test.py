#!/usr/bin/env python3
"""AWS Glue's data catalog behind SQL, as the person who asks.

    glue_test.py MOAT [CASE ...]

Amazon's service cannot be run here: glue/server.py is moto's Glue, S3, IAM and token service in one process, made strict, which compares the
signature of each request with one of its own (botocore's). Keys are lent for tokens of npm's oidc-provider, so each call is of a person.
Cases with PyIceberg in their names want PyIceberg, which `make interop` has; without it they are skipped by name.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHONS = [CACHE / "venv-interop/bin/python", CACHE / "venv-storage/bin/python"]
MOTO = CACHE / "venv-storage/bin/python"


def has(python):
    return python.exists() and subprocess.run([python, "-c", "import boto3"], capture_output=True, check=False).returncode == 0


if not os.environ.get("LAKE_REEXECUTED"):
    for python in PYTHONS:
        if has(python) and has(MOTO):
            os.execve(python, [str(python), *sys.argv], {**os.environ, "LAKE_REEXECUTED": "1"})
    print("skipped: moto is not here; tools/deps check installs it")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
os.environ.pop("LAKE_REEXECUTED", None)

import boto3
import botocore.exceptions

import world
from protocol import Refused, refused, run
from stack import end, wait_for
from way import Elsewhere, Way
from world import identity

try:
    import pyarrow as pa
    from pyiceberg.catalog.glue import GlueCatalog
except ImportError:
    pa = GlueCatalog = None

MOAT = sys.argv[1]
REGION = "eu-west-1"
SETUP = "CREATE USER anna; GRANT ROLE moat_admin TO anna; CREATE USER bob; CREATE ROLE reader; GRANT ROLE reader TO bob"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"


class Account:
    """`url` is where Glue, S3 and the token service answer."""

    def __init__(self, folder, stack, issuer):
        self.folder, self.issuer, self.seen = folder / "account", issuer, 0
        self.folder.mkdir()
        self.deny()
        self.end_sessions(0)
        with world.OPENER.open(f"{issuer.url}/.well-known/openid-configuration", timeout=30) as answer:
            keys = json.load(answer)["jwks_uri"]
        port = identity.free_port()
        log = stack.enter_context(open(folder / "moto.log", "wb"))
        process = subprocess.Popen([MOTO, Path(__file__).resolve().parent / "glue/server.py", str(port), keys, self.folder],
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(end, process)
        self.url = f"http://127.0.0.1:{port}"
        wait_for(process, self.url + "/moto-api/", folder / "moto.log", 120)

    def deny(self, *rules):
        """Texts "WHO DATABASE": who may not touch what of Glue, from now on."""
        (self.folder / "rules").write_text("\n".join(rules))

    def end_sessions(self, when=None):
        (self.folder / "ended").write_text(str(time.time() if when is None else when))

    def calls(self):
        """(who, service, action, status, target) of each since the last time."""
        path = self.folder / "calls"
        lines = path.read_text().splitlines() if path.exists() else []
        found = [tuple(line.split(" ")) for line in lines[self.seen:]]
        self.seen = len(lines)
        return [(who, service, action, int(status), target) for who, service, action, status, target in found]

    def keys_of(self, who):
        sts = boto3.client("sts", REGION, endpoint_url=self.url, aws_access_key_id="none", aws_secret_access_key="none",
                           config=boto3.session.Config(signature_version=boto3.session.botocore.UNSIGNED))
        lent = sts.assume_role_with_web_identity(RoleArn="arn:aws:iam::123456789012:role/any", RoleSessionName=who,
                                                 WebIdentityToken=self.issuer.token_of(who))["Credentials"]
        return lent["AccessKeyId"], lent["SecretAccessKey"], lent["SessionToken"]

    def client(self, service, who="anna"):
        key, secret, token = self.keys_of(who)
        return boto3.client(service, REGION, endpoint_url=self.url, aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token=token)

    def pyiceberg(self, who="anna"):
        key, secret, token = self.keys_of(who)
        keys = {"access-key-id": key, "secret-access-key": secret, "session-token": token, "endpoint": self.url, "region": REGION}
        return GlueCatalog("glue", warehouse="s3://lake/warehouse", **{f"{service}.{name}": value for service in ("glue", "s3") for name, value in keys.items()})


def attach_text(url=None, name="lake", **options):
    options = {"STS": account.url, "STORE": account.url, "REGION": REGION, "WAREHOUSE": "s3://lake/warehouse", **options}
    return f"ATTACH OR REPLACE '{url or account.url}' AS {name} (TYPE iceberg_glue, " + ", ".join(f"{key} '{value}'" for key, value in options.items() if value) + ")"


@contextmanager
def people(*settings, setup="", attach=None, origins="", **more):
    """A server with the account attached by anna, who administers it, and bob."""
    with world.serve(MOAT, folder, issuer, f"catalog.origins={account.url}{origins}", *settings, setup=SETUP + setup, **more) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            anna.query(attach or attach_text())
            account.calls()
            yield server, anna, bob


@contextmanager
def orders(*settings, **more):
    """The same with a table, which bob may read."""
    with people(*settings, **more) as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.sales")
        anna.query("CREATE TABLE lake.sales.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)")
        anna.query("GRANT SELECT ON lake.sales.orders TO ROLE reader")
        account.calls()
        try:
            yield server, anna, bob
        finally:
            account.deny()
            tidy()


def tidy():
    glue = account.client("glue")
    for page in glue.get_paginator("get_databases").paginate():
        for database in page["DatabaseList"]:
            glue.delete_database(Name=database["Name"])


def tables_live():
    """Made, filled, changed, merged, altered, renamed, dropped; each call is of who makes it, and what Glue then has is what others expect."""
    with people() as (server, anna, bob):
        glue = account.client("glue")
        account.calls()
        assert anna.tag("CREATE SCHEMA lake.sales WITH (comment = 'what is sold', region = 'EU')") == "CREATE SCHEMA"
        assert anna.tag("CREATE TABLE lake.sales.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)") == "SELECT 100"
        assert anna.tag("INSERT INTO lake.sales.orders VALUES (100, NULL), (101, 'x')") == "INSERT 0 2"
        assert anna.tag("DELETE FROM lake.sales.orders WHERE id % 2 = 0") == "DELETE 51"
        assert anna.tag("UPDATE lake.sales.orders SET name = upper(name) WHERE id < 10") == "UPDATE 5"
        assert anna.tag("MERGE INTO lake.sales.orders o USING (VALUES (1, 'one'), (2, 'two')) AS v(id, name) ON o.id = v.id "
                        "WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)") == "MERGE 2"
        assert anna.query("SELECT count(*), sum(id), min(name) FROM lake.sales.orders") == [["52", "2603", "NAME-3"]]
        calls = account.calls()
        assert {who for who, *_ in calls} == {"anna"} and {"sts", "glue", "s3"} == {service for _, service, *_ in calls}, calls
        assert len([call for call in calls if call[2] == "UpdateTable"]) == 4, calls
        database = glue.get_database(Name="sales")["Database"]
        assert database["Description"] == "what is sold" and database["Parameters"] == {"region": "EU"}, database
        anna.query("ALTER TABLE lake.sales.orders ADD COLUMN at TIMESTAMPTZ")
        anna.query("ALTER TABLE lake.sales.orders ADD COLUMN more STRUCT(a INT, b DECIMAL(10, 2)[])")
        anna.query("ALTER TABLE lake.sales.orders DROP COLUMN name")
        anna.query("ALTER TABLE lake.sales.orders RENAME COLUMN id TO number")
        assert anna.query("SELECT * FROM lake.sales.orders ORDER BY number LIMIT 1") == [["1", None, None]]
        table = glue.get_table(DatabaseName="sales", Name="orders")["Table"]
        assert table["TableType"] == "EXTERNAL_TABLE" and table["Parameters"]["table_type"] == "ICEBERG", table
        assert table["StorageDescriptor"]["Location"] == "s3://lake/warehouse/sales.db/orders", table
        previous = table["Parameters"]["previous_metadata_location"]
        assert table["Parameters"]["metadata_location"] != previous and previous.startswith("s3://lake/warehouse/sales.db/orders/metadata/"), table
        columns = [(column["Name"], column["Type"], column["Parameters"]) for column in table["StorageDescriptor"]["Columns"]]
        mark = lambda number, current: {"iceberg.field.id": number, "iceberg.field.optional": "true", "iceberg.field.current": current}
        assert columns[:3] == [("number", "bigint", mark("1", "true")), ("at", "timestamp", mark("3", "true")),
                               ("more", "struct<a:int,b:array<decimal(10,2)>>", mark("4", "true"))], columns
        assert {(name, marks["iceberg.field.current"]) for name, _, marks in columns[3:]} == {("id", "false"), ("name", "false")}, columns
        anna.query("ALTER TABLE lake.sales.orders RENAME TO sold")
        assert "does not exist" in refused("42P01", anna.query, "SELECT * FROM lake.sales.orders")["M"]
        assert anna.query("SELECT count(*) FROM lake.sales.sold") == [["52"]]
        assert [table["Name"] for table in glue.get_tables(DatabaseName="sales")["TableList"]] == ["sold"]
        anna.query("ALTER SCHEMA lake.sales SET (region = 'US', owner = 'anna')")
        anna.query("ALTER SCHEMA lake.sales UNSET (comment)")
        database = glue.get_database(Name="sales")["Database"]
        assert "Description" not in database and database["Parameters"] == {"region": "US", "owner": "anna"}, database
        refused("2BP01", anna.query, "DROP SCHEMA lake.sales")
        anna.query("DROP TABLE lake.sales.sold")
        anna.query("DROP SCHEMA lake.sales")
        refused("3F000", anna.query, "CREATE TABLE lake.sales.orders (a INT)")
        assert glue.get_databases()["DatabaseList"] == []


CASES = [tables_live]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-glue-") as name, ExitStack() as exits:
        folder = Path(name)
        try:
            issuer = exits.enter_context(world.issuer_of(folder, 7200))
            account = Account(folder, exits, issuer)
            wanted = [case for case in CASES if GlueCatalog is not None or "pyiceberg" not in case.__name__]
            for case in CASES:
                if case not in wanted:
                    print(f"skipped {case.__name__}: PyIceberg is not here; tools/deps interop installs it")
            code = run(wanted, sys.argv[2:], len(CASES) - len(wanted))
            if code:
                print((folder / "moto.log").read_text(errors="replace")[-3000:], (folder / "account/calls").read_text()[-2000:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
