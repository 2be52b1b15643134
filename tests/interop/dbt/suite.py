#!/usr/bin/env python3
"""dbt-postgres and dbt-trino against `moat serve`: a small project built twice by somebody who is not
the owner and sees not all rows, its documentation, and what it cannot do.

suite.py MOAT [CASE...]    ends with "N passed, N failed"; without dbt it says so and counts as skipped.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "..", "wire"), os.path.join(HERE, "..", "..", "http")]
import authority
from door import WebServer
from protocol import PASSWORD, Server, refused, run

MOAT = sys.argv[1]
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would heed them more than what it is told
    os.environ.pop(name, None)
CACHE = os.environ.get("MOAT_CACHE") or os.path.join(HERE, "..", "..", "..", ".cache", "deps")
DBT = os.environ.get("MOAT_DBT", os.path.join(CACHE, "venv-dbt", "bin", "dbt"))

SETUP = """
CREATE EXTERNAL TABLE orders LOCATION '{folder}/orders.csv';
CREATE SCHEMA marts;
CREATE USER dana PASSWORD '{password}';
CREATE USER ned PASSWORD '{password}';
GRANT CREATE ON SCHEMA main TO dana;
GRANT CREATE ON SCHEMA marts TO dana;
GRANT SELECT ON orders TO dana ROWS WHERE region <> 'east';
"""
ORDERS = "id,region,amount,ordered_on\n1,north,10.5,2024-01-01\n2,south,20.5,2024-01-02\n3,east,30.5,2024-01-03\n4,north,40.5,2024-01-04\n"
PROFILE = """
shop:
  target: dev
  outputs:
    dev: {{host: 127.0.0.1, user: {user}, password: "{password}", schema: main, threads: {threads}, {more}}}
"""


class Project:
    """A copy of the project beside a server with its data, for one adapter or the other."""

    def __init__(self, threads=1, is_trino=False):
        self.folder = tempfile.mkdtemp(prefix="moat_dbt_")
        self.threads = threads
        shutil.copytree(os.path.join(HERE, "project"), os.path.join(self.folder, "project"))
        with open(os.path.join(self.folder, "orders.csv"), "w") as file:
            file.write(ORDERS)
        setup = SETUP.format(folder=self.folder, password=PASSWORD)
        self.certificate = authority.certificate(self.folder, "server") if is_trino else None
        self.server = WebServer(MOAT, *authority.tls_settings(*self.certificate), setup=setup) if is_trino else Server(MOAT, setup=setup)

    def profile(self, user):
        more = (f"type: trino, method: ldap, database: moat, port: {self.server.web_port}, cert: '{self.certificate[0]}'" if self.certificate else
                f"type: postgres, dbname: moat, port: {self.server.port}")
        return PROFILE.format(user=user, password=PASSWORD, threads=self.threads, more=more)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *exception):
        self.server.__exit__(*exception)
        shutil.rmtree(self.folder)

    def dbt(self, *arguments, user="dana", succeeds=True):
        project = os.path.join(self.folder, "project")
        with open(os.path.join(project, "profiles.yml"), "w") as file:
            file.write(self.profile(user))
        done = subprocess.run([DBT, "--no-use-colors", *arguments, "--profiles-dir", project, "--project-dir", project],
                              capture_output=True, text=True, timeout=300,
                              env={**os.environ, "DO_NOT_TRACK": "1", "DBT_SEND_ANONYMOUS_USAGE_STATS": "0"})
        assert (done.returncode == 0) == succeeds, done.stdout + done.stderr
        return done.stdout

    def add(self, path, text):
        with open(os.path.join(self.folder, "project", path), "w") as file:
            file.write(text)

    def query(self, sql, user="dana"):
        with self.server.connect(user=user) as client:
            return client.query(sql)


def builds_and_tests_and_builds_again():
    with Project() as project:
        first = project.dbt("build")
        assert "ERROR=0" in first and "SKIP=0" in first, first
        totals = [["north", "2", "51"], ["south", "1", "20.5"]]  # east is not dana's to see
        assert project.query("SELECT * FROM region_totals ORDER BY region") == totals
        # Each view is replaced by another under its name; those above it go with it and come again.
        again = project.dbt("build")
        assert "ERROR=0" in again and "SKIP=0" in again, again
        assert project.query("SELECT * FROM region_totals ORDER BY region") == totals
        names = project.query("SELECT table_name FROM information_schema.tables WHERE table_schema = 'main' ORDER BY 1")
        assert [n for n, in names] == ["big_by_region", "orders", "region_totals", "stg_orders"], names


def one_model_again_takes_what_is_above_it_along():
    """As in PostgreSQL: DROP ... CASCADE of the old view drops the views over it."""
    with Project() as project:
        project.dbt("build")
        project.dbt("run", "--select", "stg_orders")
        names = project.query("SELECT viewname FROM pg_views WHERE schemaname = 'main' ORDER BY 1")
        assert [n for n, in names] == ["stg_orders"], names
        project.dbt("run", "--select", "stg_orders+")
        assert len(project.query("SELECT viewname FROM pg_views WHERE schemaname = 'main'")) == 3


def four_threads_at_once():
    with Project(threads=4) as project:
        for number in range(12):
            project.add(f"models/wide_{number}.sql", "select region, count(*) as n from {{ ref('stg_orders') }} group by 1")
        for _ in range(2):
            said = project.dbt("run")
            assert "ERROR=0" in said, said


def documentation():
    with Project() as project:
        project.dbt("build")
        project.dbt("docs", "generate")
        with open(os.path.join(project.folder, "project", "target", "catalog.json")) as file:
            catalog = json.load(file)
        assert catalog["errors"] is None, catalog["errors"]
        staged = catalog["nodes"]["model.shop.stg_orders"]
        assert staged["metadata"]["type"] == "VIEW" and staged["metadata"]["owner"] == "dana", staged
        assert staged["metadata"]["comment"] == "Orders as they came, renamed.", staged
        assert staged["columns"]["order_id"]["comment"] == "Number of the order.", staged
        assert staged["columns"]["order_id"]["type"] == "bigint", staged
        assert "source.shop.lake.orders" in catalog["sources"], catalog["sources"].keys()


def what_nobody_gave_does_not_exist():
    with Project() as project:
        project.dbt("build")
        assert project.query("SELECT viewname FROM pg_views WHERE schemaname = 'main'", user="ned") == []
        refused("42P01", lambda: project.query("SELECT * FROM region_totals", user="ned"))
        said = project.dbt("run", user="ned", succeeds=False)
        assert "dana" not in said, said


def a_failing_model_leaves_nothing_half():
    with Project() as project:
        project.dbt("build")
        project.add("models/stg_orders.sql", "select id as order_id, region, amount, nonsense from {{ source('lake', 'orders') }}")
        project.dbt("run", succeeds=False)
        assert project.query("SELECT count(*) FROM stg_orders") == [["3"]]
        assert project.query("SELECT count(*) FROM pg_views WHERE viewname LIKE '%__dbt_%'") == [["0"]]


def tables_are_refused_in_words_that_help():
    with Project() as project:
        project.add("models/as_table.sql", "{{ config(materialized='table') }} select * from {{ ref('stg_orders') }}")
        said = project.dbt("run", "--select", "as_table", succeeds=False)
        assert "materialized: view" in said, said


def by_trinos_adapter():
    """Views there have their owner's rights, and so do these: who is granted one sees what dana sees through it. A view is replaced where it is."""
    with Project(is_trino=True) as project:
        totals = [["north", "2", "51"], ["south", "1", "20.5"]]
        for _ in range(2):
            said = project.dbt("build")
            assert "ERROR=0" in said and "SKIP=0" in said, said
            assert project.query("SELECT * FROM region_totals ORDER BY region") == totals
        refused("42P01", lambda: project.query("SELECT * FROM region_totals", user="ned"))
        project.query("GRANT SELECT ON region_totals TO ned")
        assert project.query("SELECT * FROM region_totals ORDER BY region", user="ned") == totals
        refused("42P01", lambda: project.query("SELECT * FROM orders", user="ned"))
        project.dbt("docs", "generate")
        with open(os.path.join(project.folder, "project", "target", "catalog.json")) as file:
            staged = json.load(file)["nodes"]["model.shop.stg_orders"]
        assert staged["metadata"]["comment"] == "Orders as they came, renamed." and staged["columns"]["order_id"]["comment"] == "Number of the order.", staged


if shutil.which(DBT) is None:
    print("skipped: there is no dbt (tools/deps interop)\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
sys.exit(run([builds_and_tests_and_builds_again, one_model_again_takes_what_is_above_it_along, four_threads_at_once, documentation,
     by_trinos_adapter, what_nobody_gave_does_not_exist, a_failing_model_leaves_nothing_half, tables_are_refused_in_words_that_help], sys.argv[2:]))
