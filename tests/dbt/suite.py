#!/usr/bin/env python3
"""dbt on tables of a lake, by dbt-postgres and by dbt-trino: a project of seeds, views, tables, three kinds of incremental models, both kinds of snapshots, tests,
hooks and documentation, built twice, then over other sources. On a catalog that is a file; and on a real REST catalog, Iceberg's own, as a person whose token goes to it.

suite.py MOAT [CASE...]    ends with "N passed, N failed"; without dbt it says so and counts as skipped.
"""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "wire"), os.path.join(HERE, "..", "http"), os.path.join(HERE, "..", "lake")]
from door import WebServer  # before `world`, which looks for one of another kind
import authority
import world
from protocol import PASSWORD, Server, run

MOAT = sys.argv[1]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would heed them more than what it is told
    os.environ.pop(name, None)
CACHE = os.environ.get("MOAT_CACHE") or os.path.join(HERE, "..", "..", ".cache", "deps")
DBT = os.environ.get("MOAT_DBT", os.path.join(CACHE, "venv-dbt", "bin", "dbt"))
SETUP = f"CREATE USER dana PASSWORD '{PASSWORD}'; GRANT ROLE moat_admin TO dana"
SOURCES = (
    "CREATE SCHEMA lake.raw", "CREATE SCHEMA lake.marts",
    "CREATE TABLE lake.raw.orders (id BIGINT, customer_id BIGINT, country VARCHAR, amount DECIMAL(12,2), status VARCHAR, updated_at TIMESTAMP)",
    "CREATE TABLE lake.raw.customers (id BIGINT, name VARCHAR, city VARCHAR)",
    "INSERT INTO lake.raw.orders VALUES (1, 1, 'DE', 10.5, 'open', '2024-01-01 10:00'), (2, 1, 'FR', 20, 'paid', '2024-01-02 10:00'), "
    "(3, 2, 'DE', 5, 'sent', '2024-01-03 10:00')",
    "INSERT INTO lake.raw.customers VALUES (1, 'Ann', 'Oslo'), (2, 'Bo', 'Kiel'), (3, 'Cy', 'Nice')",
)
CHANGES = (  # one order changes, one is new; one customer moves, one goes
    "UPDATE lake.raw.orders SET status = 'paid', amount = 11.5, updated_at = TIMESTAMP '2024-02-01 10:00' WHERE id = 1",
    "INSERT INTO lake.raw.orders VALUES (4, 3, 'SE', 7.25, 'open', '2024-02-02 10:00')",
    "UPDATE lake.raw.customers SET city = 'Bonn' WHERE id = 2",
    "DELETE FROM lake.raw.customers WHERE id = 3",
)
TABLES = {  # what is compared from run to run, in an order of its own
    "countries": "SELECT * FROM lake.marts.countries ORDER BY 1", "stg_orders": "SELECT * FROM lake.marts.stg_orders ORDER BY 1",
    "country_totals": "SELECT * FROM lake.marts.country_totals ORDER BY 1", "order_log": "SELECT * FROM lake.marts.order_log ORDER BY 1, 3",
    "orders_replaced": "SELECT * FROM lake.marts.orders_replaced ORDER BY 1", "orders_merged": "SELECT * FROM lake.marts.orders_merged ORDER BY 1",
    "orders_by_time": "SELECT id, status, dbt_valid_from, dbt_valid_to FROM lake.marts.orders_by_time ORDER BY 1, 3",
    "customers_by_value": "SELECT id, city, (dbt_valid_to IS NULL)::VARCHAR FROM lake.marts.customers_by_value ORDER BY 1, 2",
}


class Project:
    """A copy of the project beside a server. `connect` gives a client of who builds it; `profile` says how dbt comes in, `environment` what it is told beside."""

    def __init__(self, connect, folder, profile, environment=None):
        self.connect, self.environment, self.folder = connect, environment or {}, os.path.join(folder, "project")
        shutil.copytree(os.path.join(HERE, "project"), self.folder)
        with open(os.path.join(self.folder, "profiles.yml"), "w") as file:
            file.write(f"shop:\n  target: dev\n  outputs:\n    dev: {{host: 127.0.0.1, schema: marts, {profile}}}\n")

    def configure(self, section, line):
        """One line more in a section of the project's own settings."""
        path = os.path.join(self.folder, "dbt_project.yml")
        with open(path) as file:
            text = file.read()
        assert f"\n{section}:\n" in text, section
        with open(path, "w") as file:
            file.write(text.replace(f"\n{section}:\n", f"\n{section}:\n  {line}\n"))

    def add(self, path, text):
        with open(os.path.join(self.folder, path), "w") as file:
            file.write(text)

    def skip_transactions(self):
        """The flag that takes `autocommit` of the profile at its word."""
        self.configure("flags", "postgres_skip_autocommit_transaction_statements: true")

    def dbt(self, *arguments, succeeds=True):
        done = subprocess.run([DBT, "--no-use-colors", *arguments, "--profiles-dir", self.folder, "--project-dir", self.folder],
                              capture_output=True, text=True, timeout=600,
                              env={**os.environ, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "0", **self.environment})
        assert (done.returncode == 0) == succeeds, done.stdout[-6000:] + done.stderr
        return done.stdout

    def query(self, sql):
        with self.connect() as client:
            return client.query(sql)

    def rows(self):
        return {name: self.query(sql) for name, sql in TABLES.items()}


POSTGRES = "type: postgres, dbname: lake, connect_timeout: 60"


def make_sources(client, folder):
    client.query(f"ATTACH '{folder}/lake.db' AS lake (TYPE iceberg_local, CREATE true)")
    for statement in SOURCES:
        client.query(statement)


@contextmanager
def on_files(options="", threads=2):
    """A lake whose catalog is a file."""
    with tempfile.TemporaryDirectory(prefix="moat-dbt-") as folder, Server(MOAT, setup=SETUP) as server:
        with server.connect(user="dana") as client:
            make_sources(client, server.folder)
        yield Project(lambda: server.connect(user="dana"), folder, f"{POSTGRES}, port: {server.port}, user: dana, password: '{PASSWORD}', threads: {threads}{options}")


@contextmanager
def by_trino(threads=2):
    """The same through the door for Trino's clients, with a password over TLS. What is not of Trino, as attaching, goes through the other door."""
    with tempfile.TemporaryDirectory(prefix="moat-dbt-") as folder:
        certificate = authority.certificate(folder, "server")
        with WebServer(MOAT, *authority.tls_settings(*certificate), setup=SETUP) as server:
            with server.connect(user="dana") as client:
                make_sources(client, server.folder)
            project = Project(lambda: server.connect(user="dana"), folder, f"type: trino, method: ldap, port: {server.web_port}, user: dana, password: '{PASSWORD}', "
                              f"cert: '{certificate[0]}', database: lake, threads: {threads}")
            project.configure("models", "+view_security: invoker")
            yield project


@contextmanager
def on_rest(options="", libpq="", threads=2):
    """A lake whose catalog is Iceberg's own REST catalog, behind a gateway that knows who asks; anna comes in with her token."""
    with tempfile.TemporaryDirectory(prefix="moat-dbt-") as name, ExitStack() as exits:
        folder = Path(name)
        issuer = exits.enter_context(world.issuer_of(folder, 7200))
        inner, files = world.iceberg_servlet(folder)
        gateway = world.Gateway(folder, inner.url, issuer.url)
        exits.callback(gateway.close)
        server = exits.enter_context(world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", f"catalog.local_folders={files}", "catalog.timeout=60s",
                                                 setup="CREATE USER anna; GRANT ROLE moat_admin TO anna"))
        token = issuer.token_of("anna")
        with world.sign_in(server, issuer, "anna", token) as anna:
            anna.query(f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest)")
            for statement in SOURCES:
                anna.query(statement)
        yield Project(lambda: world.sign_in(server, issuer, "anna", token), name,
                      f"{POSTGRES}, port: {server.port}, user: anna, password: '{token}', sslmode: require, threads: {threads}{options}",
                      {"PGOPTIONS": f"{world.WISH_TOKEN} {libpq}"})
        who = {line["who"] for line in gateway.log()}
        assert who == {"anna"}, who


def build_twice_then_after_changes(project):
    project.dbt("build")
    first = project.rows()
    assert [row[:2] for row in first["countries"]] == [["DE", "Germany"], ["FR", "France"], ["NO", "Norway, the Kingdom of"], ["SE", "Sweden"],
                                                       ["XX", "it's"]], first["countries"]
    assert [row[0::2] for row in first["country_totals"] if row[2] != "0"] == [["DE", "2"], ["FR", "1"]], first["country_totals"]
    assert len(first["orders_merged"]) == len(first["orders_by_time"]) == 3
    project.dbt("build")
    assert project.rows() == first, (first, project.rows())
    for statement in CHANGES:
        project.query(statement)
    project.dbt("build")
    now = project.rows()
    assert [row[0] for row in now["orders_merged"]] == ["1", "2", "3", "4"] and now["orders_merged"][0][3:5] == ["11.50", "paid"], now["orders_merged"]
    assert [row[:5] for row in now["orders_replaced"]] == [row[:5] for row in now["orders_merged"]]
    assert [row[0] for row in now["order_log"]] == ["1", "1", "2", "3", "4"], now["order_log"]  # 1 twice: it only adds
    times = now["orders_by_time"]
    assert [row[0] for row in times] == ["1", "1", "2", "3", "4"], times
    assert times[0][1:] == ["open", "2024-01-01 10:00:00", "2024-02-01 10:00:00"] and times[1][3] is None, times
    assert now["customers_by_value"] == [["1", "Oslo", "true"], ["2", "Bonn", "true"], ["2", "Kiel", "false"], ["3", "Nice", "false"]], now["customers_by_value"]
    names = {row[0] for row in project.query("SELECT tablename FROM pg_tables UNION ALL SELECT viewname FROM pg_views")}
    assert not [name for name in names if "__dbt_" in name], names


def in_transactions():
    with on_files() as project:
        build_twice_then_after_changes(project)


def each_statement_by_itself():
    """dbt-postgres without BEGIN and COMMIT: `autocommit` of its profile, and its flag that takes it at its word."""
    with on_files(", autocommit: true") as project:
        project.skip_transactions()
        build_twice_then_after_changes(project)


def on_a_rest_catalog_each_statement_by_itself():
    with on_rest(", autocommit: true") as project:
        project.skip_transactions()
        build_twice_then_after_changes(project)
        check_documentation(project)


def on_a_rest_catalog_in_steps():
    """Each COMMIT may take several calls."""
    with on_rest(libpq="-c lake.commit=steps") as project:
        build_twice_then_after_changes(project)


def what_a_rest_catalog_cannot_is_said():
    """Neither of the two ways was chosen: a table is made, since that is one call, and not replaced; the catalog is as it was."""
    with on_rest() as project:
        project.dbt("build", "--select", "countries", "stg_orders", "country_totals")
        totals = project.query(TABLES["country_totals"])
        said = project.dbt("run", "--select", "country_totals", succeeds=False)
        assert "lake.commit" in said, said
        assert project.query(TABLES["country_totals"]) == totals
        names = project.query("SELECT tablename FROM pg_tables UNION ALL SELECT viewname FROM pg_views")
        assert not [name for name, in names if "__dbt_" in name], names


def by_trinos_adapter():
    with by_trino() as project:
        build_twice_then_after_changes(project)
        check_documentation(project)


SHAPED = """
{{ config(materialized='table', on_table_exists='replace', properties={'format': "'PARQUET'", 'compression_codec': "'GZIP'",
          'partitioning': "ARRAY['country', 'bucket(order_id, 4)']", 'sorted_by': "ARRAY['order_id DESC']"}) }}
select order_id, country, amount / 2 as half from {{ ref('stg_orders') }}
"""
AGREED = """
version: 2
models:
  - name: agreed
    description: It's as agreed.
    config: {contract: {enforced: true}, materialized: table}
    columns:
      - {name: order_id, data_type: bigint, constraints: [{type: not_null}]}
      - {name: half, data_type: "decimal(13,2)"}
"""


def what_trinos_adapter_alone_has():
    """Properties of Trino's connector for Iceberg, tables that are replaced where they are, and contracts."""
    with by_trino() as project:
        project.add("models/marts/shaped.sql", SHAPED)
        project.add("models/marts/agreed.sql", "select order_id, half from {{ ref('shaped') }}")
        project.add("models/marts/agreed.yml", AGREED)
        for _ in range(2):
            said = project.dbt("run", "--select", "+agreed")
            assert "ERROR=0" in said, said
            assert project.query("SELECT * FROM lake.marts.agreed ORDER BY 1") == [["1", "5.25"], ["2", "10.00"], ["3", "2.50"]]
        made = project.query("SHOW CREATE TABLE lake.marts.shaped")[0][-1]
        for part in ("PARTITIONED BY (country, bucket(4, order_id))", "SORTED BY (order_id DESC", "gzip"):
            assert part.replace(" ", "") in made.replace(" ", "").replace('"', ""), (part, made)
        agreed = project.query("SHOW CREATE TABLE lake.marts.agreed")[0][-1]
        assert "NOT NULL" in agreed and "It''s as agreed." in agreed, agreed
        project.add("models/marts/agreed.sql", "select order_id, 'x' as half from {{ ref('shaped') }}")
        said = project.dbt("run", "--select", "agreed", succeeds=False)
        assert "data type mismatch" in said.lower(), said


def documentation():
    with on_files() as project:
        project.dbt("build")
        check_documentation(project)


def check_documentation(project):
    project.dbt("docs", "generate")
    with open(os.path.join(project.folder, "target", "catalog.json")) as file:
        catalog = json.load(file)
    assert catalog["errors"] is None, catalog["errors"]
    staged, totals = catalog["nodes"]["model.shop.stg_orders"], catalog["nodes"]["model.shop.country_totals"]
    assert staged["metadata"]["type"] == "VIEW" and staged["metadata"]["comment"] == "Orders, renamed.", staged
    assert staged["columns"]["order_id"]["comment"] == "Number of the order.", staged
    assert totals["metadata"]["type"] == "BASE TABLE" and totals["metadata"]["comment"] == "What each country's orders come to.", totals
    assert totals["columns"]["code"]["comment"] == "Of ISO 3166.", totals
    assert "source.shop.raw.orders" in catalog["sources"], catalog["sources"].keys()


def a_model_that_fails_changes_nothing():
    with on_files() as project:
        project.dbt("build")
        first = project.rows()
        project.add("models/marts/country_totals.sql", "{{ config(post_hook='select nonsense') }} select 'ZZ' as code, 'none' as name, 1 as orders, 1 as total")
        project.dbt("run", "--select", "country_totals", succeeds=False)
        assert project.rows() == first


if shutil.which(DBT) is None:
    print("skipped: there is no dbt (tools/deps interop)\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
CASES = [by_trinos_adapter, what_trinos_adapter_alone_has, in_transactions, each_statement_by_itself, documentation, a_model_that_fails_changes_nothing]
REST = [on_a_rest_catalog_each_statement_by_itself, on_a_rest_catalog_in_steps, what_a_rest_catalog_cannot_is_said]
try:
    world.spark_home()
    CASES += REST
    skipped = 0
except world.Skip as why:
    print(f"skipped: {why}")
    skipped = len(REST)
sys.exit(run(CASES, sys.argv[2:], skipped))
