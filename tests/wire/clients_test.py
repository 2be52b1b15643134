#!/usr/bin/env python3
"""Real clients, as they come: psql, pgbench, psycopg 3 and 2, asyncpg, pg8000, SQLAlchemy, node-postgres.

clients_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed. A client that is not installed is
skipped by name: `tools/deps check` installs them. Run with the Python of the cache (.cache/deps/venv) to have the drivers.
"""

import asyncio
import datetime
import decimal
import io
import os
import shutil
import subprocess
import sys
import threading
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from protocol import PASSWORD, Server, run

MOAT = sys.argv[1]
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
NODE_MODULES = os.environ.get("MOAT_NODE_MODULES", os.path.join(os.getcwd(), ".cache/deps/node/node_modules"))
UTC = datetime.timezone.utc

# One value of each type: as SQL, and as Python has it.
VALUES = [
    ("true", True), ("1::SMALLINT", 1), ("-2::INTEGER", -2), ("1099511627776::BIGINT", 2**40), ("1.25::FLOAT", 1.25),
    ("0.1::DOUBLE", 0.1), ("12.50::DECIMAL(9,2)", decimal.Decimal("12.50")), ("-0.00001::DECIMAL(20,10)", decimal.Decimal("-0.0000100000")),
    ("170141183460469231731687303715884105727::HUGEINT", decimal.Decimal(2**127 - 1)), ("'naïve'", "naïve"),
    ("'\\x00\\xFF'::BLOB", b"\0\xff"), ("DATE '2020-02-29'", datetime.date(2020, 2, 29)),
    ("TIME '01:02:03.000004'", datetime.time(1, 2, 3, 4)), ("TIMESTAMP '1999-12-31 23:59:59.999999'", datetime.datetime(1999, 12, 31, 23, 59, 59, 999999)),
    ("TIMESTAMPTZ '2020-01-01 00:00:00+01'", datetime.datetime(2019, 12, 31, 23, tzinfo=UTC)),
    ("INTERVAL '1 day 2 hours'", datetime.timedelta(days=1, hours=2)), ("UUID '11111111-2222-3333-4444-555555555555'", uuid.UUID("11111111-2222-3333-4444-555555555555")),
    ("NULL", None),
]
LISTS = [("[1, 2, NULL]", [1, 2, None]), ("['a', 'b c', '\"', '']", ["a", "b c", '"', ""]), ("[DATE '2020-01-01']", [datetime.date(2020, 1, 1)])]
# What a driver may send as a parameter and must get back, with the cast that gives it a type for all drivers.
PARAMETERS = [(5, "INTEGER"), (2**40, "BIGINT"), (1.5, "DOUBLE"), (True, "BOOLEAN"), ("x'\"\\", "VARCHAR"), (decimal.Decimal("-1.50"), "DECIMAL(9,2)"),
              (datetime.date(2020, 1, 2), "DATE"), (datetime.time(1, 2, 3), "TIME"), (datetime.datetime(2020, 1, 2, 3, 4, 5, 6), "TIMESTAMP"),
              (datetime.datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC), "TIMESTAMPTZ"), (datetime.timedelta(days=1, seconds=2), "INTERVAL"),
              (uuid.UUID(int=5), "UUID"), (b"\0\xff", "BLOB"), (None, "INTEGER")]
SELECT_ALL = "SELECT " + ", ".join(sql for sql, _ in VALUES)
WANTED = tuple(value for _, value in VALUES)


def dsn(server):
    return f"host=127.0.0.1 port={server.port} user=amelia password='{PASSWORD}' dbname=moat"


def program(*words, data=None):
    return subprocess.run(words, capture_output=True, text=True, timeout=120, input=data, env={**os.environ, "PGPASSWORD": PASSWORD})


def psql():
    with Server(MOAT) as server:
        base = ("psql", "-XAt", "-h", "127.0.0.1", "-p", str(server.port), "-U", "amelia", "moat")
        script = ("SELECT 1, 'two';\nBEGIN;\nDECLARE c CURSOR FOR SELECT * FROM range(5);\nFETCH 2 FROM c;\nCOMMIT;\n"
                  "\\copy (SELECT range, 'x' FROM range(2)) TO STDOUT CSV HEADER\n\\bind 7\nSELECT $1::INTEGER + 1 \\g\n\\conninfo\n")
        script = script.replace("\\bind 7\nSELECT $1::INTEGER + 1 \\g\n", "")  # of version 16 and on
        outcome = program(*base, data=script)
        assert outcome.stdout.splitlines()[:8] == ["1|two", "BEGIN", "DECLARE CURSOR", "0", "1", "COMMIT", "range,'x'", "0,x"], outcome
        outcome = program(*base, "-c", "SELECT 'é', nope")
        assert "LINE 1: SELECT 'é', nope\n                    ^" in outcome.stderr, outcome.stderr
        outcome = program(*base, "-v", "FETCH_COUNT=10", "-c", "SELECT count(*) FROM range(100)")
        assert outcome.stdout.strip() == "100", outcome
        assert "password authentication failed" in subprocess.run(base, capture_output=True, text=True, env={**os.environ, "PGPASSWORD": "x"}).stderr


def pgbench():
    with Server(MOAT) as server:
        script = os.path.join(server.folder, "select.sql")
        with open(script, "w") as file:
            file.write("\\set n random(1, 1000)\nSELECT :n::INTEGER + 1;\n")
        for mode in ("simple", "extended", "prepared"):
            outcome = program("pgbench", "-n", "-M", mode, "-c", "4", "-j", "2", "-t", "50", "-f", script, "-h", "127.0.0.1", "-p", str(server.port), "-U", "amelia", "moat")
            assert "number of transactions actually processed: 200/200" in outcome.stdout and "failed transactions: 0 " in outcome.stdout, (mode, outcome)


def psycopg_3():
    import psycopg
    with Server(MOAT) as server:
        with psycopg.connect(dsn(server), autocommit=True) as connection:
            for binary in (False, True):
                with connection.cursor(binary=binary) as cursor:
                    assert cursor.execute(SELECT_ALL).fetchone() == WANTED
                    for sql, value in LISTS:
                        assert cursor.execute("SELECT " + sql).fetchone()[0] == value, sql
            for value, cast in PARAMETERS:
                for form in ("%s", "%b", "%t"):
                    assert connection.execute(f"SELECT {form}::{cast}", [value]).fetchone()[0] == value, (form, value)
            for value in (5, 2**40, 1.5, True, "x", datetime.date(2020, 1, 2), uuid.UUID(int=5), b"\0\xff", [1, 2, 3]):  # no cast
                assert connection.execute("SELECT %b", [value]).fetchone()[0] == value, value
            assert connection.execute("SELECT i FROM range(9) t(i) WHERE i = ANY(%s)", [[1, 5]]).fetchall() == [(1,), (5,)]
            for i in range(10):
                assert connection.execute("SELECT %s::INTEGER + 1", [i], prepare=True).fetchone() == (i + 1,)
            with connection.pipeline():
                first, second = connection.execute("SELECT 1"), connection.execute("SELECT %s", [2])
                assert (first.fetchone(), second.fetchone()) == ((1,), (2,))
            for form, types in (("", None), (" (FORMAT binary)", ["int8", "text"])):
                with connection.cursor().copy(f"COPY (SELECT range, 'r' || range FROM range(2)) TO STDOUT{form}") as copy:
                    copy.set_types(types or ["int8", "text"])
                    assert list(copy.rows()) == [(0, "r0"), (1, "r1")]
            try:
                connection.execute("SELECT * FROM nope")
                raise AssertionError
            except psycopg.errors.UndefinedTable:
                pass
        with psycopg.connect(dsn(server)) as connection:
            with connection.cursor(name="rows") as cursor:
                cursor.itersize = 3
                assert [row[0] for row in cursor.execute("SELECT * FROM range(10)")] == list(range(10))
            with connection.transaction():
                try:
                    with connection.transaction():
                        connection.execute("SELECT nope")
                except psycopg.Error:
                    pass
                assert connection.execute("SELECT 6").fetchone() == (6,)
            timer = threading.Timer(0.5, connection.cancel)
            timer.start()
            try:
                connection.execute(LONG)
                raise AssertionError
            except psycopg.errors.QueryCanceled:
                connection.rollback()


def psycopg_2():
    import psycopg2
    with Server(MOAT) as server:
        connection = psycopg2.connect(dsn(server))
        cursor = connection.cursor()
        cursor.execute(SELECT_ALL)
        row = tuple(bytes(value) if isinstance(value, memoryview) else value for value in cursor.fetchone())
        assert row[:15] + row[16:] == WANTED[:15] + tuple(str(v) if isinstance(v, uuid.UUID) else v for v in WANTED[16:]), row
        cursor.execute("SELECT %s, %s, %s, %s", (1, "it's", datetime.date(2020, 1, 1), None))
        assert cursor.fetchall() == [(1, "it's", datetime.date(2020, 1, 1), None)]
        named = connection.cursor(name="n")
        named.itersize = 10
        named.execute("SELECT * FROM range(25)")
        assert len(list(named)) == 25
        out = io.StringIO()
        cursor.copy_expert("COPY (SELECT * FROM range(2)) TO STDOUT WITH CSV HEADER", out)
        assert out.getvalue() == "range\n0\n1\n"
        codes = []
        for statement in ("SELECT * FROM nope", "SELECT 1"):
            try:
                cursor.execute(statement)
            except psycopg2.Error as error:
                codes.append(error.pgcode)
        assert codes == ["42P01", "25P02"]
        connection.rollback()
        connection.autocommit = True
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
        connection.close()


def asyncpg_():
    import asyncpg

    async def talk(server):
        where = {"host": "127.0.0.1", "port": server.port, "user": "amelia", "password": PASSWORD, "database": "moat"}
        connection = await asyncpg.connect(**where)
        assert tuple(await connection.fetchrow(SELECT_ALL)) == WANTED
        for value, cast in PARAMETERS:
            assert await connection.fetchval(f"SELECT $1::{cast}", value) == value, cast
        async with connection.transaction():
            rows = [row[0] async for row in connection.cursor("SELECT * FROM range(1000)", prefetch=100)]
            assert rows == list(range(1000)) and await connection.fetchval("SELECT 3") == 3
        statement = await connection.prepare("SELECT $1::INTEGER AS a, $2::VARCHAR AS b")
        assert [p.name for p in statement.get_parameters()] == ["int4", "text"]
        assert [tuple(row) for row in await statement.fetch(1, "x")] == [(1, "x")]
        for sql, value in LISTS:  # for these it asks pg_catalog what the type is
            assert await connection.fetchval("SELECT " + sql) == value, sql
        assert await connection.fetchval("SELECT $1::INTEGER[]", [1, None]) == [1, None]
        out = io.BytesIO()
        await connection.copy_from_query("SELECT * FROM range(2)", output=out, format="csv")
        assert out.getvalue() == b"0\n1\n"
        await connection.reset()
        try:
            await asyncio.wait_for(connection.fetch(LONG), 0.5)
            raise AssertionError
        except asyncio.TimeoutError:
            assert await connection.fetchval("SELECT 1") == 1
        await connection.close()
        async with asyncpg.create_pool(**where, min_size=2, max_size=4) as pool:
            assert await asyncio.gather(*[pool.fetchval("SELECT $1::INTEGER", i) for i in range(20)]) == list(range(20))

    with Server(MOAT) as server:
        asyncio.run(talk(server))


def pg8000_():
    import pg8000.dbapi
    import pg8000.native
    with Server(MOAT) as server:
        where = {"user": "amelia", "password": PASSWORD, "host": "127.0.0.1", "port": server.port, "database": "moat"}
        connection = pg8000.dbapi.connect(**where)
        cursor = connection.cursor()
        cursor.execute("SELECT 1::INTEGER, 'x', 1.50::DECIMAL(9,2), DATE '2020-02-29', NULL, true, [1, 2], '\\x00ff'::bytea")
        assert list(cursor.fetchone()) == [1, "x", decimal.Decimal("1.50"), datetime.date(2020, 2, 29), None, True, [1, 2], b"\0\xff"]
        cursor.execute("SELECT %s::INTEGER + 1, %s::VARCHAR", (41, "y"))
        assert list(cursor.fetchone()) == [42, "y"]
        cursor.executemany("SELECT %s::INTEGER", [(1,), (2,)])
        try:
            cursor.execute("SELECT * FROM nope")
            raise AssertionError
        except pg8000.dbapi.DatabaseError as error:
            assert error.args[0]["C"] == "42P01"
        connection.rollback()
        out = io.BytesIO()
        cursor.execute("COPY (SELECT * FROM range(2)) TO STDOUT WITH CSV HEADER", stream=out)
        assert out.getvalue() == b"range\n0\n1\n"
        connection.close()
        with pg8000.native.Connection(**where) as native:
            assert native.run("SELECT :a::INTEGER AS n", a=7) == [[7]] and [column["name"] for column in native.columns] == ["n"]
            statement = native.prepare("SELECT :a::INTEGER * 2")
            assert [statement.run(a=i)[0][0] for i in range(3)] == [0, 2, 4]


def sqlalchemy_():
    """Reflection, Core and ORM queries, over each driver that is there."""
    import sqlalchemy as sa
    from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column
    with Server(MOAT) as server:
        path = os.path.join(server.folder, "flights.csv")
        with open(path, "w") as file:
            file.write("id,origin,delay,day\n1,JFK,1.5,2020-01-01\n2,LAX,,2020-01-02\n3,JFK,7,2020-01-03\n")
        server.sql(f"CREATE EXTERNAL TABLE flights LOCATION '{path}'; CREATE SCHEMA air; CREATE VIEW air.late AS SELECT id, delay FROM main.flights WHERE delay > 5;"
                   "GRANT SELECT ON flights TO USER amelia; GRANT SELECT ON air.late TO USER amelia")

        class Base(DeclarativeBase):
            pass

        class Flight(Base):
            __tablename__ = "flights"
            id: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True)
            origin: Mapped[str]
            delay: Mapped[float | None] = mapped_column(sa.Double)
            day: Mapped[datetime.date]

        for driver in ("psycopg", "psycopg2", "pg8000"):
            engine = sa.create_engine(sa.URL.create("postgresql+" + driver, "amelia", PASSWORD, "127.0.0.1", server.port, "moat"))
            inspector = sa.inspect(engine)
            assert "flights" in inspector.get_table_names() and inspector.get_view_names(schema="air") == ["late"], driver
            assert [column["name"] for column in inspector.get_columns("flights")] == ["id", "origin", "delay", "day"]
            table = sa.Table("flights", sa.MetaData(), autoload_with=engine)
            assert isinstance(table.c.day.type, sa.Date) and isinstance(table.c.origin.type, sa.String), driver
            with engine.connect() as connection:
                query = sa.select(table.c.origin, sa.func.count().label("n")).where(table.c.day >= datetime.date(2020, 1, 1)).group_by(table.c.origin).order_by("n")
                assert connection.execute(query).all() == [("LAX", 1), ("JFK", 2)], driver
                assert connection.execute(sa.select(table.c.id).where(table.c.id.in_([1, 3])).order_by(table.c.id).limit(1).offset(1)).scalar() == 3
                assert connection.scalar(sa.text("SELECT CAST(:n AS INTEGER) + 1"), {"n": 41}) == 42
            with Session(engine) as session:
                late = session.scalars(sa.select(Flight).where(Flight.delay > 5)).all()
                assert [(flight.id, flight.origin, flight.day) for flight in late] == [(3, "JFK", datetime.date(2020, 1, 3))], driver
                assert session.get(Flight, 2).delay is None
            engine.dispose()


NODE = """
const assert = require('assert'); const { Client, Pool } = require('pg');
(async () => {
  const where = { host: '127.0.0.1', port: +process.argv[2], user: 'amelia', password: process.argv[3], database: 'moat' };
  const client = new Client(where); await client.connect();
  const one = async (text, values) => (await client.query(text, values)).rows;
  assert.deepStrictEqual(await one('SELECT $1::INTEGER a, $2::VARCHAR b, $3::BOOLEAN c, $4 d', [1, 'x', true, 'u']), [{ a: 1, b: 'x', c: true, d: 'u' }]);
  const row = (await one(`SELECT 1::BIGINT a, 1.5::DOUBLE b, 1.5::DECIMAL(9,2) c, TIMESTAMPTZ '2020-01-01 00:00:00Z' e, [1, 2] f, ['a', 'b'] g,
    '{"k":1}'::JSON h, 'x'::BLOB i, NULL j`))[0];
  assert.deepStrictEqual({ ...row, i: row.i.toString() }, { a: '1', b: 1.5, c: '1.50', e: new Date('2020-01-01T00:00:00Z'), f: [1, 2], g: ['a', 'b'], h: { k: 1 }, i: 'x', j: null });
  assert.deepStrictEqual(await one('SELECT i FROM range(9) t(i) WHERE i = ANY($1::INTEGER[])', [[1, 2]]), [{ i: '1' }, { i: '2' }]);
  for (const n of [1, 2]) assert.deepStrictEqual((await client.query({ name: 'p', text: 'SELECT $1::INTEGER + 1 AS x', values: [n] })).rows, [{ x: n + 1 }]);
  await assert.rejects(client.query('SELECT nope'), { code: '42703', position: '8' });
  assert.deepStrictEqual((await client.query('SELECT 1 AS a; SELECT 2 AS b')).map(r => r.rows), [[{ a: 1 }], [{ b: 2 }]]);
  await client.end();
  const pool = new Pool({ ...where, max: 4 });
  const all = await Promise.all([...Array(20).keys()].map(i => pool.query('SELECT $1::INTEGER AS i', [i])));
  assert.deepStrictEqual(all.map(r => r.rows[0].i), [...Array(20).keys()]);
  await pool.end();
})().catch(error => { console.error(error); process.exit(1); });
"""


def node_postgres():
    with Server(MOAT) as server:
        path = os.path.join(server.folder, "client.js")
        with open(path, "w") as file:
            file.write(NODE)
        outcome = subprocess.run(["node", path, str(server.port), PASSWORD], capture_output=True, text=True, timeout=120,
                                 env={**os.environ, "NODE_PATH": NODE_MODULES})
        assert outcome.returncode == 0, outcome.stderr


def has_module(name):
    import importlib.util
    return importlib.util.find_spec(name) is not None


CLIENTS = [(psql, bool(shutil.which("psql"))), (pgbench, bool(shutil.which("pgbench"))), (psycopg_3, has_module("psycopg")),
           (psycopg_2, has_module("psycopg2")), (asyncpg_, has_module("asyncpg")), (pg8000_, has_module("pg8000")),
           (sqlalchemy_, all(map(has_module, ("sqlalchemy", "psycopg", "psycopg2", "pg8000")))),
           (node_postgres, bool(shutil.which("node")) and os.path.isdir(os.path.join(NODE_MODULES, "pg")))]

if __name__ == "__main__":
    for client, is_there in CLIENTS:
        if not is_there:
            print(f"skipped {client.__name__}: not installed")
    sys.exit(run([client for client, is_there in CLIENTS if is_there], sys.argv[2:]))
