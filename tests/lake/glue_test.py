#!/usr/bin/env python3
"""AWS Glue's data catalog behind SQL, as the person who asks.

    glue_test.py MOAT [light|neighbours] [CASE ...]

Amazon's service cannot be run here: glue/server.py is moto's Glue, S3, IAM and token service in one process, made strict, which compares the
signature of each request with one of its own (botocore's). Keys are lent for tokens of npm's oidc-provider, so each call is of a person.
Cases that name PyIceberg or Spark want those, which `make interop` has; without them they are skipped by name.

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
import way as ways
from way import Elsewhere
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


class Way(ways.Way):
    """Whose sessions have tokens of Amazon's, which say nothing."""

    def is_over(self, headers):
        return False


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
def people(*settings, setup="", origins="", **more):
    """A server with the account attached by anna, who administers it, and bob."""
    with world.serve(MOAT, folder, issuer, f"catalog.origins={account.url}{origins}", *settings, setup=SETUP + setup, **more) as server:
        with world.sign_in(server, issuer, "anna") as anna, world.sign_in(server, issuer, "bob") as bob:
            anna.query(attach_text())
            account.calls()
            try:
                yield server, anna, bob
            finally:
                account.deny()
                tidy()


@contextmanager
def orders(*settings, **more):
    """The same with a table, which bob may read."""
    with people(*settings, **more) as (server, anna, bob):
        anna.query("CREATE SCHEMA lake.sales")
        anna.query("CREATE TABLE lake.sales.orders AS SELECT i AS id, 'name-' || i AS name FROM range(100) t(i)")
        anna.query("GRANT SELECT ON lake.sales.orders TO ROLE reader")
        account.calls()
        yield server, anna, bob


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


def transactions_and_changes_of_shape():
    with orders() as (server, anna, bob):
        anna.query("BEGIN")
        anna.query("INSERT INTO lake.sales.orders VALUES (1000, 'in')")
        anna.query("ALTER TABLE lake.sales.orders ADD COLUMN day DATE")
        assert bob.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        anna.query("COMMIT")
        assert bob.query("SELECT count(*), count(day) FROM lake.sales.orders") == [["101", "0"]]
        anna.query("BEGIN")
        anna.query("CREATE TABLE lake.sales.made AS SELECT 1 AS a")
        anna.query("ROLLBACK")
        assert account.client("glue").get_tables(DatabaseName="sales")["TableList"][0]["Name"] == "orders"
        anna.query("CREATE TABLE lake.sales.third (id BIGINT, moment TIMESTAMPTZ) PARTITIONED BY (bucket(4, id)) "
                   "TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = 'merge-on-read', 'comment' = 'of version 3')")
        anna.query("INSERT INTO lake.sales.third SELECT i, TIMESTAMPTZ '2026-01-01 00:00:00+00' FROM range(40) t(i)")
        assert anna.tag("DELETE FROM lake.sales.third WHERE id < 30") == "DELETE 30"
        assert anna.query("SELECT count(*), sum(id) FROM lake.sales.third") == [["10", "345"]]
        table = account.client("glue").get_table(DatabaseName="sales", Name="third")["Table"]
        assert table["Description"] == "of version 3", table
        # What others say of a table in Glue stays, and so do comments of columns that have no words of their own.
        glue = account.client("glue")
        table["StorageDescriptor"]["Columns"][0]["Comment"] = "said in the console"
        given = {key: table[key] for key in ("Name", "TableType", "StorageDescriptor", "Parameters", "Description")}
        given["Parameters"]["classification"] = "ours"
        glue.update_table(DatabaseName="sales", TableInput={**given, "Owner": "somebody", "Retention": 7})
        anna.query("INSERT INTO lake.sales.third SELECT 100, NULL")
        table = glue.get_table(DatabaseName="sales", Name="third")["Table"]
        assert table["Owner"] == "somebody" and table["Retention"] == 7 and table["Parameters"]["classification"] == "ours", table
        assert table["StorageDescriptor"]["Columns"][0]["Comment"] == "said in the console", table
        location = table["Parameters"]["metadata_location"]
        anna.query("DROP TABLE lake.sales.third")
        anna.query(f"CREATE EXTERNAL TABLE lake.sales.back LOCATION '{location}' STORED AS ICEBERG")
        assert anna.query("SELECT count(*) FROM lake.sales.back") == [["11"]]


def pages_are_turned():
    """A page of the account has three rows at most."""
    with people() as (server, anna, bob):
        for i in range(5):
            anna.query(f"CREATE SCHEMA lake.n{i}")
        for i in range(7):
            anna.query(f"CREATE TABLE lake.n0.t{i} (a INT)")
        account.calls()
        assert anna.query("SELECT count(*) FROM information_schema.tables WHERE table_catalog = 'lake'") == [["7"]]
        asked = [action for _, service, action, *_ in account.calls() if service == "glue"]
        assert asked.count("GetDatabases") >= 2 and asked.count("GetTables") >= 3, asked
        assert {row[0] for row in anna.query("SHOW SCHEMAS FROM lake")} >= {f"n{i}" for i in range(5)}
        refused("2BP01", anna.query, "DROP SCHEMA lake.n0")


def each_call_is_of_who_asks():
    with orders() as (server, anna, bob):
        for _ in range(2):  # planned, then found planned
            assert bob.query("SELECT count(*) FROM lake.sales.orders WHERE id < 50") == [["50"]]
            calls = account.calls()
            assert {who for who, *_ in calls} == {"bob"} and "GetTable" in {action for _, _, action, *_ in calls}, calls
        server.sql("GRANT ROLE reader TO amelia")
        with server.connect(user="amelia") as amelia:
            assert "no token" in refused("28000", amelia.query, "SELECT * FROM lake.sales.orders")["M"]
        assert account.calls() == []
        assert refused("42501", bob.query, "INSERT INTO lake.sales.orders VALUES (1, 'x')")  # Moat's own policy
        server.sql("GRANT ROLE moat_admin TO bob")
        with world.sign_in(server, issuer, "bob") as admin:  # and Amazon's: bob's role only reads
            assert refused("42501", admin.query, "INSERT INTO lake.sales.orders VALUES (1, 'x')")
            assert refused("42501", admin.query, "CREATE TABLE lake.sales.mine (a INT)")
            assert refused("42501", admin.query, "DROP TABLE lake.sales.orders")
            assert refused("42501", admin.query, "CREATE SCHEMA lake.mine")
            assert admin.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        assert anna.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]


def the_account_decides_too():
    """Whose right is taken away sees nothing from then on, whatever is kept; the others see it all."""
    with orders() as (server, anna, bob):
        read = "SELECT count(*) FROM lake.sales.orders"
        for _ in range(2):
            assert bob.query(read) == [["100"]] and anna.query(read) == [["100"]]
        account.deny("bob sales")
        account.calls()
        assert "does not exist" in refused("42P01", bob.query, read)["M"]
        assert not [call for call in account.calls() if call[1] == "s3"], "files were opened with what is kept"
        assert "does not exist" in refused("42P01", bob.query, 'SELECT * FROM lake.sales."orders$files"')["M"]
        assert bob.query("SELECT * FROM information_schema.tables WHERE table_catalog = 'lake'") == []
        assert anna.query(read) == [["100"]]
        account.deny("anna sales")
        assert bob.query(read) == [["100"]]
        fields = refused("42501", anna.query, "DELETE FROM lake.sales.orders")
        assert "permission denied" in fields["M"] and "lake" in fields["M"], fields
        assert refused("42501", anna.query, "DROP TABLE lake.sales.orders")
        account.deny()
        assert bob.query(read) == [["100"]] and anna.query(read) == [["100"]]


def keys_that_ended_are_asked_for_anew():
    with orders() as (server, anna, bob):
        assert anna.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        account.calls()
        account.end_sessions()
        assert anna.tag("INSERT INTO lake.sales.orders VALUES (100, 'x')") == "INSERT 0 1"
        calls = account.calls()
        assert [status for _, service, _, status, _ in calls if service == "glue"][0] == 403 and "AssumeRoleWithWebIdentity" in [call[2] for call in calls], calls
        assert bob.query("SELECT count(*) FROM lake.sales.orders") == [["101"]]


def a_session_that_is_over_signs_nothing():
    """Though its keys would be good for an hour."""
    with orders() as (server, anna, bob):
        issuer.live(4)
        try:
            with world.sign_in(server, issuer, "bob") as short:
                assert short.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
                time.sleep(5)
                account.calls()
                try:
                    raise AssertionError(short.query("SELECT count(*) FROM lake.sales.orders"))
                except Refused as error:
                    assert error.code in ("28000", "57P01"), error.fields
                assert account.calls() == []
        finally:
            issuer.live(7200)
        assert bob.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]


def keys_are_of_one_person_and_one_task():
    """What signs requests to Glue opens no file, and what opens the files of one table signs nothing; both are the person's."""
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url}", setup=SETUP) as other:
            seen = []
            way.change = lambda headers: seen.append(dict(headers.items()))
            with world.sign_in(other, issuer, "anna") as first, world.sign_in(other, issuer, "bob") as second:
                first.query(attach_text(way.url, STS=way.url, STORE=way.url))
                first.query("GRANT SELECT ON lake.sales.orders TO ROLE reader")
                for client in (first, second, first, second):
                    assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
            key_of = lambda headers: headers["Authorization"].split("Credential=")[1].split("/")[0]
            glue = [headers for headers in seen if "X-Amz-Target" in headers]
            s3 = [headers for headers in seen if "Authorization" in headers and "/s3/" in headers["Authorization"]]
            assert len({key_of(headers) for headers in glue}) == 2, "one of each person"
            assert s3 and not {key_of(headers) for headers in glue} & {key_of(headers) for headers in s3}
            names = {headers["Authorization"].split("SignedHeaders=")[1].split(",")[0] for headers in glue}
            assert names == {"content-type;host;x-amz-date;x-amz-security-token;x-amz-target"}, names
            keys = next(headers for headers in glue)
            assert "eyJ" not in str(glue), "people's tokens go to the token service alone"
            assert keys["X-Amz-Security-Token"]
        way.close()


def keys_are_written_nowhere():
    log = folder / "keys.log"
    with orders("log.level=debug", stderr=str(log)) as (server, anna, bob):
        anna.query("INSERT INTO lake.sales.orders VALUES (1, 'x')")
        told = [refused("42P01", bob.query, "SELECT * FROM lake.sales.nothing"), refused("42P07", anna.query, "CREATE TABLE lake.sales.orders (a INT)")]
        account.end_sessions()
        account.deny("anna sales")
        told.append(refused("42501", anna.query, "SELECT * FROM lake.sales.orders"))
        account.deny()
        secrets = [line.encode() for line in (account.folder / "lent").read_text().split()] + [token.encode() for token in issuer.issued]
        assert len(secrets) > 10
        files = [path for path in [log, *Path(server.folder).rglob("*")] if path.is_file()]
        assert log in files and any("audit" in str(path) for path in files), files
        for data in [str(told).encode(), *(path.read_bytes() for path in files)]:
            assert not [secret for secret in secrets if secret in data]


def wrong_signatures_are_refused():
    """By moto, with botocore's arithmetic; and told as what they are."""
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
            client.query(attach_text(way.url))
            for name, value in (("Authorization", lambda text: text[:-4] + "0000"), ("X-Amz-Target", lambda text: "AWSGlue.GetTables"),
                                ("X-Amz-Date", lambda text: "20200101T000000Z"), ("X-Amz-Security-Token", lambda text: text[:-1] + "x")):
                way.change = lambda headers: name in headers and headers.replace_header(name, value(headers[name]))
                fields = refused("28000", client.query, "SELECT * FROM lake.sales.orders")
                assert "sign-in" in fields["M"], fields
                way.change = None
                assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
            other_region = attach_text(way.url, name="elsewhere", REGION="eu-north-1")
            client.query(other_region)  # another region has another catalog
            refused("42P01", client.query, "SELECT * FROM elsewhere.sales.orders")
        way.close()


def others_tables_are_left_alone():
    with orders() as (server, anna, bob):
        glue = account.client("glue")
        columns = [{"Name": "a", "Type": "int"}]
        glue.create_table(DatabaseName="sales", TableInput={"Name": "plain", "TableType": "EXTERNAL_TABLE", "Parameters": {"classification": "parquet"},
                                                            "StorageDescriptor": {"Columns": columns, "Location": "s3://lake/plain"}})
        glue.create_table(DatabaseName="sales", TableInput={"Name": "bare"})  # a link to elsewhere has neither parameters nor a place
        for name in ("plain", "bare"):
            for statement in (f"SELECT * FROM lake.sales.{name}", f"DROP TABLE lake.sales.{name}", f"INSERT INTO lake.sales.{name} VALUES (1)",
                              f"ALTER TABLE lake.sales.{name} RENAME TO other"):
                fields = refused("0A000", anna.query, statement)
                assert "no Iceberg table" in fields["M"], fields
            assert refused("42P07", anna.query, f"CREATE TABLE lake.sales.{name} (a INT)")
            assert refused("42P07", anna.query, f"ALTER TABLE lake.sales.orders RENAME TO {name}")
            assert name not in str(anna.query("SHOW TABLES FROM lake.sales"))
        refused("2BP01", anna.query, "DROP SCHEMA lake.sales")
        glue.delete_table(DatabaseName="sales", Name="plain")
        glue.delete_table(DatabaseName="sales", Name="bare")
        assert anna.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        anna.query("DROP TABLE lake.sales.orders")
        glue.create_table(DatabaseName="sales", TableInput={"Name": "plain"})
        refused("2BP01", anna.query, "DROP SCHEMA lake.sales")  # Glue would delete the table with it


def names_and_options():
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
        assert refused("0A000", anna.query, "DROP TABLE lake.sales.orders PURGE")
        for options in ({"STS": None}, {"REGION": None}, {"REGION": "eu west"}, {"ALLOW": "/tmp"}, {"ETAG": "true"}, {"PLANNING": "server"}):
            refused("22023", anna.query, attach_text(name="wrong", **options))
        fields = refused("22023", anna.query, attach_text(name="wrong", STS=None, ROLE=None, STORE=None, REGION=None))
        assert "STS" in fields["M"] and "REGION" in fields["H"], fields
        assert "no path" in refused("22023", anna.query, attach_text(account.url + "/glue", name="wrong"))["M"]
        for options in ({"STS": "https://sts.example.com"},):
            assert refused("42501", anna.query, attach_text(name="wrong", **options))
        assert refused("42501", anna.query, attach_text("https://glue.example.com", name="wrong"))
        anna.query(attach_text(name="bare", WAREHOUSE=None))
        anna.query("CREATE SCHEMA bare.placed WITH (location = 's3://lake/placed')")
        anna.query("CREATE TABLE bare.placed.t AS SELECT 1 AS a")
        glue = account.client("glue")
        assert glue.get_table(DatabaseName="placed", Name="t")["Table"]["StorageDescriptor"]["Location"] == "s3://lake/placed/t"
        anna.query("CREATE SCHEMA bare.nowhere")
        fields = refused("22023", anna.query, "CREATE TABLE bare.nowhere.t AS SELECT 1 AS a")
        assert "lies nowhere" in fields["M"] and "WAREHOUSE" in fields["H"], fields
        anna.query(attach_text(name="numbered", CATALOG_NAME="123456789012"))
        assert anna.query("SELECT count(*) FROM numbered.sales.orders") == [["100"]]


def a_table_made_anew_elsewhere_is_another():
    """What was lent for the folder of the one before opens nothing, and is not tried."""
    with orders() as (server, anna, bob):
        anna.query("ALTER SCHEMA lake.sales SET (location = 's3://lake/elsewhere')")
        anna.query("CREATE TABLE lake.sales.other AS SELECT 2 AS a")
        for client in (anna, bob):
            assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        glue = account.client("glue")
        table = glue.get_table(DatabaseName="sales", Name="other")["Table"]
        glue.delete_table(DatabaseName="sales", Name="orders")
        glue.create_table(DatabaseName="sales", TableInput={"Name": "orders", **{key: table[key] for key in ("TableType", "StorageDescriptor", "Parameters")}})
        assert anna.query("SELECT * FROM lake.sales.orders") == [["2"]]
        assert "does not exist" in refused("42P01", bob.query, "SELECT * FROM lake.sales.orders")["M"]  # whose grant is of the other


def a_rename_loses_nothing():
    """Somebody commits by the old name while the table is renamed: nothing is lost."""
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
            client.query(attach_text(way.url))
            done = []

            def commit_between(headers):
                if headers.get("X-Amz-Target") == "AWSGlue.UpdateTable" and not done:
                    done.append(anna.tag("INSERT INTO lake.sales.orders VALUES (1000, 'between')"))
            way.change = commit_between
            fields = refused("40001", client.query, "ALTER TABLE lake.sales.orders RENAME TO sold")
            assert done == ["INSERT 0 1"], fields
            assert anna.query("SELECT count(*) FROM lake.sales.orders") == [["101"]]
            refused("42P01", anna.query, "SELECT * FROM lake.sales.sold")
            client.query("ALTER TABLE lake.sales.orders RENAME TO sold")
            assert anna.query("SELECT count(*) FROM lake.sales.sold") == [["101"]]
        way.close()


def writers_at_once_lose_nothing():
    with orders() as (server, anna, bob):
        anna.query("ALTER TABLE lake.sales.orders SET TBLPROPERTIES ('commit.retry.num-retries' = '50')")
        done, refusals = write_at_once(server, 8, 6, lambda: None)
        check_written(anna, done, refusals, 48)


def write_at_once(server, writers, times, beside):
    done, refusals = [], []

    def insert(who):
        with world.sign_in(server, issuer, "anna") as client:
            for i in range(times):
                try:
                    client.query(f"INSERT INTO lake.sales.orders VALUES ({1000 + who}, '{i}')")
                    done.append((who, i))
                except Refused as error:
                    refusals.append((who, i, error.code))

    with ThreadPoolExecutor(writers + 1) as pool:
        others = pool.submit(beside)
        for result in [pool.submit(insert, who) for who in range(writers)]:
            result.result(timeout=400)
        done += others.result(timeout=400) or []
    return done, refusals


def check_written(anna, done, refusals, least):
    found = [(int(who) - 1000, int(i)) for who, i in anna.query("SELECT id, name FROM lake.sales.orders WHERE id >= 1000")]
    unknown = {(who, i) for who, i, code in refusals if code == "40003"}
    assert len(found) == len(set(found)) and set(done) <= set(found) <= set(done) | unknown, (len(found), len(done), refusals)
    assert len(done) >= least * 3 // 4, refusals
    assert anna.query("SELECT count(*) FROM lake.sales.orders WHERE id < 1000") == [["100"]]
    print(f"        {len(done)} commits, {len(refusals)} refused")


def what_does_not_answer_is_named():
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        try:
            for fault, state in (("kill", "08006"), ("garbage", "08P01"), (503, "08006"), ("nothing", "08P01"), ("truncate", "08006"), ("a page", "08P01"),
                                 ("bomb", "08P01"), (429, "53400"), (400, "22023"), (403, "42501"), ("307", "08P01")):
                way.elsewhere = account.url
                with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", "catalog.timeout=5s", setup=SETUP) as other, \
                        world.sign_in(other, issuer, "anna") as client:
                    client.query(attach_text(way.url))
                    assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
                    way.strike(fault)
                    fields = refused(state, client.query, "SELECT count(*) FROM lake.sales.orders")
                    assert "lake" in fields["M"], (fault, fields)
                    way.strike(None)
        finally:
            way.close()


def answers_that_lie_are_refused():
    """Of a catalog that answers well formed what cannot be."""
    with orders() as (server, anna, bob):
        way, elsewhere = Way(account.url, seed=1), Elsewhere()
        json_of = lambda body: lambda _client: (200, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(body).encode())
        table = lambda **parameters: {"Table": {"Name": "orders", "DatabaseName": "sales", "VersionId": "1", "StorageDescriptor": {"Location": "s3://lake/x"},
                                                "Parameters": {"table_type": "ICEBERG", **parameters}}}
        try:
            with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
                client.query(attach_text(way.url))
                for body, states in (({}, {"08P01"}), ({"Table": []}, {"08P01"}), ({"Table": {"Name": ""}}, {"08P01"}), (table(), {"08P01"}),
                                     (table(metadata_location="/etc/passwd"), {"42501"}), (table(metadata_location="file:///etc/passwd"), {"42501"}),
                                     (table(metadata_location="s3://other/secret.json"), {"42501"}), (table(metadata_location=elsewhere.url + "/x"), {"42501", "0A000"}),
                                     (table(metadata_location="s3://lake/x/../../warehouse/sales.db/orders/x"), {"42501", "58P01", "22023"})):
                    way.other = json_of(body)
                    way.strike("of another")
                    try:
                        raise AssertionError((body, client.query("SELECT * FROM lake.sales.orders")))
                    except Refused as error:
                        assert error.code in states, (body, error.fields)
                    way.strike(None)
                assert elsewhere.heard == []
                way.other = json_of({"TableList": [], "NextToken": "again"})
                way.strike("of another")
                assert "same page" in refused("08P01", client.query, "DROP SCHEMA lake.sales")["M"]
                way.strike(None)
                assert client.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        finally:
            way.close()
            elsewhere.close()


def an_answer_that_is_lost_is_looked_for():
    """The change is made, and its answer kept back: the statement finds that it was, or says that nobody knows; never twice."""
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        found = 0
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
            client.query(attach_text(way.url))
            for fault in ("truncate", "kill", "nothing"):
                for skip in range(6):
                    before = int(anna.query("SELECT count(*) FROM lake.sales.orders")[0][0])
                    way.strike(fault, skip=skip, times=1)
                    try:
                        client.query("INSERT INTO lake.sales.orders VALUES (1, 'lost')")
                        is_done = True
                    except Refused:
                        is_done = False
                    struck = way.struck
                    way.strike(None)
                    after = int(anna.query("SELECT count(*) FROM lake.sales.orders")[0][0])
                    assert after == before + 1 if is_done else after in (before, before + 1), (fault, skip, is_done, before, after)
                    found += is_done and struck
            # The very answer of UpdateTable, which is done.
            for status in ("truncate", 500):
                way.change = lambda headers: headers.get("X-Amz-Target") == "AWSGlue.UpdateTable" and way.strike(status, times=1)
                before = int(anna.query("SELECT count(*) FROM lake.sales.orders")[0][0])
                struck = strike_update(way)
                assert client.tag("INSERT INTO lake.sales.orders VALUES (1, 'found')") == "INSERT 0 1", struck
                assert struck and anna.query("SELECT count(*) FROM lake.sales.orders") == [[str(before + 1)]]
        assert found > 0
        way.close()


def a_rename_whose_answer_is_lost_loses_nothing():
    """It is known under one of the names, or said that nobody knows; what is under both is the same, and what is left over is no Iceberg table."""
    with orders() as (server, anna, bob):
        way, names = Way(account.url, seed=1), ["orders", "sold"]
        glue = account.client("glue")
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other, world.sign_in(other, issuer, "anna") as client:
            client.query(attach_text(way.url))
            seen = set()
            for fault in ("truncate", 500, 403):
                for skip in range(9):
                    way.strike(fault, method="POST", skip=skip, times=1)
                    try:
                        client.query(f"ALTER TABLE lake.sales.{names[0]} RENAME TO {names[1]}")
                        code = None
                    except Refused as error:
                        code = error.code
                    is_struck = way.struck
                    way.strike(None)
                    tables = {table["Name"]: table["Parameters"] for table in glue.get_tables(DatabaseName="sales")["TableList"]}
                    good = [name for name, marks in tables.items() if marks.get("table_type") == "ICEBERG"]
                    assert good and set(good) <= set(names) and len({tables[name]["metadata_location"] for name in good}) == 1, (fault, skip, code, tables)
                    assert code is not None or good == [names[1]], (fault, skip, tables)
                    assert fault != 403 or not is_struck or code is None or good == [names[0]], (skip, code, tables)  # said before anything was done, or taken back
                    for name in good:
                        assert anna.query(f"SELECT count(*) FROM lake.sales.{name}") == [["100"]], (fault, skip, code)
                    seen.add((fault, code, tuple(sorted(good)) == tuple(sorted(names))))
                    kept = names[1] if names[1] in good else names[0]
                    for name in tables:
                        if name != kept:
                            glue.delete_table(DatabaseName="sales", Name=name)
                    names = [kept, names[0] if kept == names[1] else names[1]]
            print(f"        {sorted(map(str, seen))}")
        way.close()


def strike_update(way):
    """The next UpdateTable is done, and its answer lost; returns what says so then."""
    struck, ask = [], way.ask

    def lose(client, body):
        answer = ask(client, body)
        if client.headers.get("X-Amz-Target") == "AWSGlue.UpdateTable" and not struck:
            struck.append(answer[0])
            raise OSError("lost")
        return answer
    way.change, way.ask = None, lose
    return struck



def a_service_that_lends_nothing_is_told():
    with orders() as (server, anna, bob):
        way = Way(account.url, seed=1)
        with world.serve(MOAT, folder, issuer, f"catalog.origins={way.url},{account.url}", setup=SETUP) as other:
            with world.sign_in(other, issuer, "anna") as client:
                client.query(attach_text(STS=way.url))
            for fault, state in ((403, "42501"), (400, "42501"), (503, "08006"), ("kill", "08006"), ("garbage", "08P01"), ("nothing", "08P01")):
                way.strike(fault)
                with world.sign_in(other, issuer, "anna") as again:
                    fields = refused(state, again.query, "SELECT * FROM lake.sales.orders")
                assert "eyJ" not in str(fields), fields
                way.strike(None)
            with world.sign_in(other, issuer, "anna") as again:
                assert again.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
                way.strike("kill")  # what was lent is good for a while yet
                assert again.query("SELECT count(*) FROM lake.sales.orders") == [["100"]]
        way.close()


# ---- PyIceberg's GlueCatalog, as anna


def pyiceberg_writes_what_is_read():
    """Tables of versions 1 and 2, row for row; version 3 is Spark's to write, as PyIceberg 0.12 only reads it."""
    with people() as (server, anna, bob):
        theirs = account.pyiceberg()
        theirs.create_namespace("sales")
        for version in ("1", "2"):
            rows = pa.table({"id": pa.array(range(50), pa.int64()), "name": [f"n{i}" if i % 7 else None for i in range(50)],
                             "price": pa.array([i / 4 for i in range(50)], pa.float64()), "moment": pa.array([i * 1000000 for i in range(50)], pa.timestamp("us", "UTC")),
                             "tags": pa.array([[f"t{j}" for j in range(i % 3)] for i in range(50)], pa.list_(pa.string())),
                             "where": pa.array([{"x": i, "y": -i} for i in range(50)], pa.struct([("x", pa.int32()), ("y", pa.int32())]))})
            table = theirs.create_table(f"sales.v{version}", schema=rows.schema, properties={"format-version": version})
            table.append(rows.slice(0, 30))
            table.append(rows.slice(30))
            read = anna.query(f'SELECT id, name, price, epoch(moment), len(tags), "where".y FROM lake.sales.v{version} ORDER BY id')
            assert read == [[str(i), f"n{i}" if i % 7 else None, read[i][2], read[i][3], str(i % 3), str(-i)] for i in range(50)], read
            assert [float(row[2]) for row in read] == [i / 4 for i in range(50)] and [float(row[3]) for row in read] == list(range(50))
            table.delete("id < 10")
            assert anna.query(f"SELECT count(*), min(id) FROM lake.sales.v{version}") == [["40", "10"]]
            with table.update_schema() as update:
                update.rename_column("name", "title")
            assert anna.query(f"SELECT title FROM lake.sales.v{version} WHERE id = 10") == [["n10"]]


def pyiceberg_reads_what_is_written():
    with orders() as (server, anna, bob):
        anna.query("MERGE INTO lake.sales.orders o USING (VALUES (1, 'one'), (200, 'new')) AS v(id, name) ON o.id = v.id "
                   "WHEN MATCHED THEN UPDATE SET name = v.name WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name)")
        anna.query("DELETE FROM lake.sales.orders WHERE id BETWEEN 50 AND 59")
        anna.query("ALTER TABLE lake.sales.orders ADD COLUMN day DATE")
        theirs = account.pyiceberg()
        table = theirs.load_table("sales.orders")
        read = sorted(table.scan().to_arrow().to_pylist(), key=lambda row: row["id"])
        expected = [{"id": i, "name": {1: "one", 200: "new"}.get(i, f"name-{i}"), "day": None} for i in [*range(50), *range(60, 100), 200]]
        assert read == expected, read[:3]
        table.append(pa.table({"id": pa.array([1000], pa.int64()), "name": ["theirs"], "day": pa.array([None], pa.date32())}))
        assert anna.query("SELECT count(*), max(id) FROM lake.sales.orders") == [["92", "1000"]]
        stale = theirs.load_table("sales.orders")
        anna.query("DELETE FROM lake.sales.orders WHERE id = 1000")
        stale.append(pa.table({"id": pa.array([2000], pa.int64()), "name": ["after"], "day": pa.array([None], pa.date32())}))  # begins anew
        assert theirs.load_table("sales.orders").scan().to_arrow().num_rows == 92
        theirs.rename_table("sales.orders", "sales.sold")
        assert anna.query("SELECT count(*) FROM lake.sales.sold") == [["92"]]
        anna.query("ALTER TABLE lake.sales.sold RENAME TO orders")
        assert theirs.load_table("sales.orders").scan().to_arrow().num_rows == 92 and theirs.list_tables("sales") == [("sales", "orders")]
        anna.query("CREATE TABLE lake.sales.third (id BIGINT, name VARCHAR) TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = 'merge-on-read')")
        anna.query("INSERT INTO lake.sales.third SELECT i, 'n' || i FROM range(20) t(i)")
        anna.query("DELETE FROM lake.sales.third WHERE id % 2 = 1")
        third = theirs.load_table("sales.third")
        assert third.metadata.format_version == 3 and third.metadata.current_snapshot().summary["added-dvs"] == "1", third.metadata.current_snapshot()
        assert sorted(row["id"] for row in third.scan().to_arrow().to_pylist()) == list(range(0, 20, 2))
        anna.query("DROP TABLE lake.sales.third")
        assert not theirs.table_exists("sales.third")


def writers_and_pyiceberg_at_once_lose_nothing():
    with orders() as (server, anna, bob):
        anna.query("ALTER TABLE lake.sales.orders SET TBLPROPERTIES ('commit.retry.num-retries' = '50', 'commit.retry.min-wait-ms' = '50')")

        def append():
            theirs, done = account.pyiceberg(), []
            for i in range(10):
                for _ in range(20):
                    try:
                        theirs.load_table("sales.orders").append(pa.table({"id": pa.array([1100], pa.int64()), "name": [str(i)]}))
                        done.append((100, i))
                        break
                    except Exception as error:
                        if "Commit" not in type(error).__name__:
                            raise
            return done
        done, refusals = write_at_once(server, 8, 6, append)
        check_written(anna, done, refusals, 58)
        assert len([who for who, _ in done if who == 100]) >= 5, done
        assert account.pyiceberg().load_table("sales.orders").scan().to_arrow().num_rows == 100 + len(done)


# ---- Spark's GlueCatalog, as anna


class Spark:
    def __init__(self, stack):
        home, bundle = world.spark_home(), CACHE / "iceberg-aws-bundle.jar"
        if not bundle.exists():
            raise world.Skip("Iceberg's parts for AWS are not here; tools/deps interop fetches them")
        key, secret, token = account.keys_of("anna")
        environment = {**os.environ, "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_SESSION_TOKEN": token, "AWS_REGION": REGION}
        jars = ":".join(map(str, [*sorted((home / "extra-jars").glob("iceberg-*.jar")), bundle]))
        log = stack.enter_context(open(folder / "spark.log", "wb"))
        self.process = subprocess.Popen([sys.executable, Path(__file__).resolve().parent / "glue/spark.py", home, jars, folder, account.url, REGION],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
        stack.callback(self.close)
        if self.process.stdout.readline().strip() != '"ready"':
            raise RuntimeError((folder / "spark.log").read_text(errors="replace")[-3000:])

    def sql(self, text):
        self.process.stdin.write(json.dumps(text) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        if isinstance(answer, dict):
            raise RuntimeError(answer["error"])
        return answer

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=60)
        self.process.stdout.close()


def spark_and_moat_write_the_same_tables():
    """Of versions 2 and 3: each reads what the other wrote, row for row, and writes on."""
    with ExitStack() as stack, people() as (server, anna, bob):
        spark = Spark(stack)
        anna.query("CREATE SCHEMA lake.sales")
        expected = lambda numbers: [[str(i), f"n{i}", f"{i}.50"] for i in numbers]
        read = "SELECT id, name, price FROM lake.sales.{} ORDER BY id"
        for version in ("2", "3"):
            ours, theirs = f"ours{version}", f"theirs{version}"
            merge = f"'format-version' = '{version}', 'write.delete.mode' = 'merge-on-read'"
            spark.sql(f"CREATE TABLE lake.sales.{theirs} (id BIGINT, name STRING, price DECIMAL(10, 2)) USING iceberg PARTITIONED BY (bucket(2, id)) TBLPROPERTIES ({merge})")
            spark.sql(f"INSERT INTO lake.sales.{theirs} SELECT id, concat('n', id), id + 0.5 FROM range(30)")
            spark.sql(f"DELETE FROM lake.sales.{theirs} WHERE id % 3 = 0")
            anna.query(f"CREATE TABLE lake.sales.{ours} (id BIGINT, name VARCHAR, price DECIMAL(10, 2)) PARTITIONED BY (bucket(2, id)) TBLPROPERTIES ({merge})")
            anna.query(f"INSERT INTO lake.sales.{ours} SELECT i, 'n' || i, i + 0.5 FROM range(30) t(i)")
            anna.query(f"DELETE FROM lake.sales.{ours} WHERE id % 3 = 0")
            for table in (ours, theirs):
                numbers = [i for i in range(30) if i % 3]
                assert anna.query(read.format(table)) == spark.sql(read.format(table)) == expected(numbers), table
                spark.sql(f"INSERT INTO lake.sales.{table} VALUES (100, 'n100', 100.5)")
                anna.query(f"INSERT INTO lake.sales.{table} VALUES (101, 'n101', 101.5)")
                spark.sql(f"DELETE FROM lake.sales.{table} WHERE id < 5")
                anna.query(f"DELETE FROM lake.sales.{table} WHERE id BETWEEN 10 AND 14")
                numbers = [i for i in numbers if i >= 5 and not 10 <= i <= 14] + [100, 101]
                assert anna.query(read.format(table)) == spark.sql(read.format(table)) == expected(numbers), table
                anna.query(f"MERGE INTO lake.sales.{table} o USING (VALUES (100, 'x'), (102, 'n102')) AS v(id, name) ON o.id = v.id "
                           "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT VALUES (v.id, v.name, 102.5)")
                spark.sql(f"UPDATE lake.sales.{table} SET name = 'n7' WHERE id = 7")
                spark.sql(f"ALTER TABLE lake.sales.{table} ADD COLUMN more INT")
                anna.query(f"ALTER TABLE lake.sales.{table} RENAME COLUMN more TO less")
                assert spark.sql(f"SELECT count(less) FROM lake.sales.{table}") == [["0"]]
                numbers = [i for i in numbers if i != 100] + [102]
                assert anna.query(read.format(table)) == spark.sql(read.format(table)) == expected(numbers), table
                spark.sql(f"ALTER TABLE lake.sales.{table} RENAME TO sales.{table}_x")
                anna.query(f"ALTER TABLE lake.sales.{table}_x RENAME TO {table}")
                assert spark.sql(f"SELECT count(*) FROM lake.sales.{table}") == [[str(len(numbers))]]
        assert sorted(row[1] for row in spark.sql("SHOW TABLES IN lake.sales")) == ["ours2", "ours3", "theirs2", "theirs3"]


CASES = [tables_live, transactions_and_changes_of_shape, pages_are_turned, each_call_is_of_who_asks, the_account_decides_too,
         keys_that_ended_are_asked_for_anew, a_session_that_is_over_signs_nothing, keys_are_of_one_person_and_one_task,
         keys_are_written_nowhere, wrong_signatures_are_refused, others_tables_are_left_alone,
         names_and_options, a_table_made_anew_elsewhere_is_another,
         a_rename_loses_nothing, writers_at_once_lose_nothing, what_does_not_answer_is_named, answers_that_lie_are_refused,
         an_answer_that_is_lost_is_looked_for, a_rename_whose_answer_is_lost_loses_nothing, a_service_that_lends_nothing_is_told, pyiceberg_writes_what_is_read, pyiceberg_reads_what_is_written,
         writers_and_pyiceberg_at_once_lose_nothing, spark_and_moat_write_the_same_tables]

def missing(case):
    """What a case wants and is not here."""
    if "pyiceberg" in case.__name__ and GlueCatalog is None:
        return "PyIceberg is not here; tools/deps interop installs it"
    if "spark" in case.__name__ and not (CACHE / "iceberg-aws-bundle.jar").exists():
        return "Spark and Iceberg's parts for AWS are not here; tools/deps interop fetches them"
    return None


def run_all(names):
    """`light`: those that `make check` runs; `neighbours`: the others."""
    heavy = [case for case in CASES if "pyiceberg" in case.__name__ or "spark" in case.__name__]
    cases = {"light": [case for case in CASES if case not in heavy], "neighbours": heavy}.get(names[0] if names else "", CASES)
    skipped = [case for case in cases if missing(case)]
    for case in skipped:
        print(f"skipped {case.__name__}: {missing(case)}")
    return run([case for case in cases if case not in skipped], [name for name in names if name not in ("light", "neighbours")], len(skipped))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-glue-") as name, ExitStack() as exits:
        folder = Path(name)
        try:
            issuer = exits.enter_context(world.issuer_of(folder, 7200))
            account = Account(folder, exits, issuer)
            code = run_all(sys.argv[2:])
            if code:
                print((folder / "moto.log").read_text(errors="replace")[-3000:], (folder / "account/calls").read_text()[-2000:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
