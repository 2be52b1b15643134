#!/usr/bin/env python3
"""Superset itself over Moat's door for Trino's clients, asked over its own API: superset_test.py MOAT [CASE...]. Counted as skipped where it is not there (tools/deps interop).

It connects by Trino's dialect for SQLAlchemy, with a password over TLS, and browses, runs statements in SQL Lab, makes datasets and asks for charts of every grain of time.
"""

import datetime
import json
import logging
import os
import subprocess
import sys
import tempfile
import urllib.parse
import uuid
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
PYTHON = CACHE / "venv-superset/bin/python"
FOLDER = tempfile.mkdtemp(prefix="moat-superset-")
for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would heed them more than what it is told
    os.environ.pop(name, None)
if Path(sys.prefix).resolve() != (CACHE / "venv-superset").resolve():
    if PYTHON.exists():
        os.rmdir(FOLDER)
        os.execv(PYTHON, [str(PYTHON), *sys.argv])
    print("skipped: Superset is not installed\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)

sys.path += [str(ROOT / "tests/http"), str(ROOT / "tests/wire")]  # behind: Superset has a websocket of its own
import authority
from door import WebServer
from protocol import PASSWORD, run

ROWS = 1000
SETUP = f"GRANT ROLE moat_admin TO amelia; CREATE USER bob PASSWORD '{PASSWORD}'"
DATA = (
    "CREATE SCHEMA lake.sales",
    "CREATE TABLE lake.sales.orders (id BIGINT, region VARCHAR, amount DECIMAL(12,2), ordered_on DATE, at TIMESTAMP, ok BOOLEAN, tags VARCHAR[], "
    "who STRUCT(name VARCHAR, age INTEGER)) PARTITIONED BY (ordered_on)",
    "INSERT INTO lake.sales.orders SELECT i, ['north', 'south', 'east'][1 + i % 3], i * 1.5, DATE '2024-01-01' + (i % 60)::INT, TIMESTAMP '2024-01-01 10:00:00' + to_hours(i), "
    f"i % 2 = 0, ['a', 'b'], {{'name': 'n' || i, 'age': i}} FROM range({ROWS}) t(i)",
    "CREATE TABLE lake.sales.plain AS SELECT 1 AS \"Groß, €\", 'x' AS \"desc\"",
    "CREATE VIEW lake.sales.big AS SELECT * FROM lake.sales.orders WHERE amount > 1000",
    "CREATE TABLE lake.sales.hidden AS SELECT 1 AS x",
    "GRANT SELECT ON lake.sales.orders TO USER bob ROWS WHERE region = 'east'",
)


class Superset:
    """The application with a store of its own, and a client of its API who is its administrator."""

    def __init__(self):
        Path(FOLDER, "superset_config.py").write_text(
            f"SECRET_KEY = {os.urandom(32).hex()!r}\nSQLALCHEMY_DATABASE_URI = 'sqlite:///{FOLDER}/superset.db'\nWTF_CSRF_ENABLED = False\nTALISMAN_ENABLED = False\n"
            "FEATURE_FLAGS = {'ENABLE_TEMPLATE_PROCESSING': True}\n")
        os.environ.update(SUPERSET_CONFIG_PATH=f"{FOLDER}/superset_config.py", SUPERSET_HOME=FOLDER)
        for words in (["db", "upgrade"], ["fab", "create-admin", "--username", "admin", "--firstname", "a", "--lastname", "b", "--email", "a@example.com", "--password", "pw"],
                      ["init"]):
            done = subprocess.run([PYTHON.parent / "superset", *words], capture_output=True, text=True, timeout=600, check=False)
            assert done.returncode == 0, (words, done.stdout[-2000:], done.stderr[-2000:])
        from superset.app import create_app
        self.app = create_app()
        logging.disable(logging.ERROR)
        self.client = self.app.test_client()
        answer = self.client.post("/api/v1/security/login", json={"username": "admin", "password": "pw", "provider": "db"})
        self.fields = {"Authorization": "Bearer " + answer.json["access_token"]}

    def ask(self, method, path, status=200, query=None, **options):
        if query is not None:
            import prison
            path += "?q=" + urllib.parse.quote(prison.dumps(query))
        answer = self.client.open(path, method=method, headers=self.fields, **options)
        assert answer.status_code == status, (method, path, answer.status_code, answer.get_data(as_text=True)[:2000])
        return answer.json

    def connect(self, server, user, certificate):
        uri = f"trino://{user}:{urllib.parse.quote(PASSWORD)}@127.0.0.1:{server.web_port}/lake"
        extra = {"engine_params": {"connect_args": {"http_scheme": "https", "verify": certificate}}, "cost_estimate_enabled": True, "allow_multi_catalog": True}
        body = {"sqlalchemy_uri": uri, "extra": json.dumps(extra), "database_name": f"lake of {user}"}
        assert self.ask("POST", "/api/v1/database/test_connection/", json=body) == {"message": "OK"}
        made = self.ask("POST", "/api/v1/database/", 201, json={**body, "expose_in_sqllab": True, "allow_dml": True, "allow_ctas": True})
        return Database(self, made["id"])


class Database:
    def __init__(self, superset, number):
        self.superset, self.number = superset, number

    def get(self, path, query=None):
        return self.superset.ask("GET", f"/api/v1/database/{self.number}/{path}", query=query)

    def lab(self, sql, status=200, **options):
        body = {"client_id": uuid.uuid4().hex[:10], "database_id": self.number, "sql": sql, "schema": "sales", "catalog": "lake", "runAsync": False, "queryLimit": 5000, **options}
        answer = self.superset.ask("POST", "/api/v1/sqllab/execute/", status, json=body)
        return answer["data"] if status == 200 else answer["errors"][0]["message"]

    def dataset(self, name, **options):
        return self.superset.ask("POST", "/api/v1/dataset/", 201, json={"database": self.number, "schema": "sales", "catalog": "lake", "table_name": name, **options})["id"]

    def chart(self, dataset, **query):
        body = {"datasource": {"id": dataset, "type": "table"}, "force": True, "queries": [{"row_limit": 5000, **query}], "result_format": "json", "result_type": "full"}
        return self.superset.ask("POST", "/api/v1/chart/data", json=body)["result"][0]["data"]


def browsing():
    assert set(LAKE.get("catalogs/", {"force": True})["result"]) == {"moat", "lake"}
    assert LAKE.get("schemas/", {"force": True})["result"] == ["sales"]
    assert "main" in LAKE.get("schemas/", {"force": True, "catalog": "moat"})["result"]
    tables = LAKE.get("tables/", {"force": True, "schema_name": "sales", "catalog_name": "lake"})["result"]
    assert {(table["value"], table["type"]) for table in tables} == {("orders", "table"), ("plain", "table"), ("hidden", "table"), ("big", "view")}, tables
    for table in ("orders", "big"):
        of_table = LAKE.get(f"table_metadata/?name={table}&schema=sales&catalog=lake")
        types = {column["name"]: column["longType"] for column in of_table["columns"]}
        assert types == {"id": "BIGINT", "region": "VARCHAR", "amount": "DECIMAL(12, 2)", "ordered_on": "DATE", "at": "TIMESTAMP", "ok": "BOOLEAN", "tags": "ARRAY", "who": "ROW"}, types
        assert "lake.sales." + table in of_table["selectStar"] and of_table["indexes"] == [], of_table
    assert LAKE.get("table_metadata/extra/?name=orders&schema=sales&catalog=lake") == {}
    assert "amount > 1000" in LAKE.get("table_metadata/extra/?name=big&schema=sales&catalog=lake")["view"]
    plain = LAKE.get("table_metadata/?name=plain&schema=sales&catalog=lake")
    assert [column["name"] for column in plain["columns"]] == ["Groß, €", "desc"], plain
    assert LAKE.lab(plain["selectStar"]) == [{"Groß, €": 1, "desc": "x"}]
    functions = LAKE.get("function_names/")["function_names"]
    assert "approx_distinct" in functions or "array_agg" in functions
    assert not [name for name in functions if "__" in name]


def sql_lab():
    rows = LAKE.lab("SELECT * FROM orders ORDER BY id")
    assert len(rows) == ROWS and rows[1]["region"] == "south" and rows[1]["amount"] == 1.5 and rows[1]["ok"] is False and rows[1]["at"].startswith("2024-01-01T11:00"), rows[1]
    assert len(LAKE.lab("SELECT * FROM orders", queryLimit=10)) == 10
    assert LAKE.lab("SELECT id FROM orders WHERE id < 0") == []
    assert LAKE.lab("SELECT 1 AS a; SELECT count(*) AS n FROM orders") == [{"n": ROWS}]
    assert LAKE.lab("SHOW SCHEMAS") == [{"Schema": "sales"}]
    assert "CREATE TABLE" in str(LAKE.lab("SHOW CREATE TABLE orders")) and "orders" in str(LAKE.lab("EXPLAIN SELECT * FROM orders"))
    said = LAKE.lab("SELECT regin FROM orders", 500)
    assert "COLUMN_NOT_FOUND" in said and 'Did you mean "region"?' in said, said
    LAKE.lab("CREATE TABLE counted AS SELECT region, count(*) AS n FROM orders GROUP BY 1")
    assert {(row["region"], row["n"]) for row in LAKE.lab("SELECT * FROM counted")} == {("north", 334), ("south", 333), ("east", 333)}
    LAKE.lab("INSERT INTO counted VALUES ('west', 1)")
    LAKE.lab("DELETE FROM counted WHERE region <> 'west'")
    assert LAKE.lab("SELECT * FROM counted") == [{"region": "west", "n": 1}]
    LAKE.lab("DROP TABLE counted")
    refused = SUPERSET.ask("POST", "/api/v1/sqllab/estimate/", 500, json={"database_id": LAKE.number, "sql": "SELECT * FROM orders", "schema": "sales", "catalog": "lake"})
    assert "EXPLAIN (TYPE IO)" in str(refused), refused


GRAINS = ["PT1S", "PT5S", "PT30S", "PT1M", "PT5M", "PT10M", "PT15M", "PT1H", "PT6H", "P1D", "P1W", "P1M", "P3M", "P1Y", "1969-12-28T00:00:00Z/P1W",
          "1969-12-29T00:00:00Z/P1W", "P1W/1970-01-03T00:00:00Z", "P1W/1970-01-04T00:00:00Z"]


def first_of(grain):
    """Where a grain puts 2024-01-01 10:00, a Monday."""
    ends = {"P1W/1970-01-03T00:00:00Z": (6, 0), "P1W/1970-01-04T00:00:00Z": (7, 0), "PT6H": (1, 6)}
    if grain == "1969-12-28T00:00:00Z/P1W":
        return datetime.datetime(2023, 12, 31)
    if grain in ends:
        return datetime.datetime(2024, 1, *ends[grain])
    return datetime.datetime(2024, 1, 1, 10 if grain.startswith("PT") else 0)


def charts():
    dataset = LAKE.dataset("orders")
    columns = {column["column_name"]: (column["type"], column["is_dttm"]) for column in SUPERSET.ask("GET", f"/api/v1/dataset/{dataset}")["result"]["columns"]}
    assert columns["amount"] == ("DECIMAL(12, 2)", False) and columns["ordered_on"] == ("DATE", True) and columns["at"][1] and columns["tags"][0] == "ARRAY(VARCHAR)", columns
    assert set(SUPERSET.ask("GET", f"/api/v1/datasource/table/{dataset}/column/region/values/")["result"]) == {"north", "south", "east"}
    total = {"expressionType": "SIMPLE", "column": {"column_name": "amount"}, "aggregate": "SUM", "label": "s"}
    for grain in GRAINS:
        rows = LAKE.chart(dataset, columns=[{"timeGrain": grain, "columnType": "BASE_AXIS", "sqlExpression": "at", "label": "at", "expressionType": "SQL"}], metrics=[total],
                          extras={"time_grain_sqla": grain}, granularity="at", filters=[{"col": "at", "op": "TEMPORAL_RANGE", "val": "2024-01-01 : 2024-01-05"}], orderby=[["at", True]])
        first = first_of(grain).replace(tzinfo=datetime.timezone.utc).timestamp() * 1000
        assert rows[0]["at"] == first and sum(row["s"] for row in rows) == sum(1.5 * i for i in range(86)), (grain, rows[:3])
    distinct = {"expressionType": "SIMPLE", "column": {"column_name": "id"}, "aggregate": "COUNT_DISTINCT", "label": "d"}
    filters = [("region", "IN", ["north", "south"]), ("amount", ">", 3), ("region", "ILIKE", "%O%"), ("region", "IS NOT NULL", None), ("ok", "IS TRUE", None),
               ("ordered_on", "TEMPORAL_RANGE", "2024-01-01 : 2024-02-01")]
    rows = LAKE.chart(dataset, columns=["region"], metrics=["count", total, distinct], filters=[{"col": c, "op": o, "val": v} for c, o, v in filters], orderby=[["count", False]],
                      extras={"having": "SUM(amount) > 1", "where": "id > 3"})
    kept = [i for i in range(ROWS) if i % 3 < 2 and i > 3 and i % 2 == 0 and i % 60 < 31]
    want = {("north", "south")[r]: [i for i in kept if i % 3 == r] for r in (0, 1)}
    assert {row["region"]: (row["count"], row["s"], row["d"]) for row in rows} == {r: (len(i), 1.5 * sum(i), len(i)) for r, i in want.items()}, rows
    rows = LAKE.chart(dataset, columns=["region"], metrics=["count"], series_columns=["region"], series_limit=2, series_limit_metric=total)
    assert {row["region"] for row in rows} == {"north", "east"}, rows
    rows = LAKE.chart(dataset, columns=["id", "tags", "who", "at"], orderby=[["id", True]], row_limit=3)
    assert [row["id"] for row in rows] == [0, 1, 2] and json.loads(rows[2]["tags"]) == ["a", "b"], rows
    assert LAKE.chart(dataset, columns=["region"], metrics=["count"], is_rowcount=True) == [{"rowcount": 3}]
    assert LAKE.lab("SELECT count(*) AS n FROM orders WHERE ordered_on = DATE '2024-01-01' AND id IN (" + ", ".join(str(i) for i in range(3000)) + ")") == [{"n": 17}]


def another_person_sees_what_they_may():
    tables = BOBS.get("tables/", {"force": True, "schema_name": "sales", "catalog_name": "lake"})["result"]
    assert [table["value"] for table in tables] == ["orders"], tables
    assert BOBS.lab("SELECT count(*) AS n, min(region) AS a, max(region) AS b FROM orders") == [{"n": 333, "a": "east", "b": "east"}]
    assert "TABLE_NOT_FOUND" in BOBS.lab("SELECT * FROM hidden", 500)
    dataset = BOBS.dataset("of bob", sql="SELECT * FROM orders")
    assert SUPERSET.ask("GET", f"/api/v1/datasource/table/{dataset}/column/region/values/")["result"] == ["east"]
    assert BOBS.chart(dataset, columns=["region"], metrics=["count"]) == [{"region": "east", "count": 333}]


CERTIFICATE = authority.certificate(FOLDER, "server")
with WebServer(sys.argv[1], *authority.tls_settings(*CERTIFICATE), setup=SETUP) as server:
    with server.connect(user="amelia") as client:
        client.query(f"ATTACH '{FOLDER}/lake.db' AS lake (TYPE iceberg_local, CREATE true)")
        for statement in DATA:
            client.query(statement)
    SUPERSET = Superset()
    LAKE, BOBS = (SUPERSET.connect(server, user, CERTIFICATE[0]) for user in ("amelia", "bob"))
    sys.exit(run([browsing, sql_lab, charts, another_person_sees_what_they_may], sys.argv[2:]))
