#!/usr/bin/env python3
"""Temporary tables that are written to: parameters, rules, UPDATE and DELETE, RETURNING; by hand and with drivers.

temp_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed. A driver that is not installed is skipped by
name. What is said here of SQL is asked of PostgreSQL too, where there is one.
"""

import asyncio
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres import Postgres, is_installed
from protocol import PASSWORD, SYNC, Refused, Server, bind, describe, execute, message, parse, refused, run, text

MOAT = sys.argv[1]


def rules(client):
    ask = client.query
    ask("CREATE TEMP TABLE t (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'x' || 'y', age INTEGER CHECK (age > 0 AND age < id * 100), code INTEGER UNIQUE, "
        "CONSTRAINT both_are_one UNIQUE (name, age), CHECK (name <> 'no'))")
    ask("INSERT INTO t (id) VALUES (1)")
    assert ask("SELECT * FROM t") == [["1", "xy", None, None]]
    ask("INSERT INTO t VALUES (2, DEFAULT, 5, 7), (3, 'b', 5, NULL), (4, DEFAULT, NULL, NULL)")
    assert client.tags == ["INSERT 0 3"]
    for statement, code in (("INSERT INTO t (id) VALUES (1)", "23505"), ("INSERT INTO t (id) VALUES (5), (5)", "23505"), ("INSERT INTO t (id) VALUES (NULL)", "23502"),
                            ("INSERT INTO t (name) VALUES ('q')", "23502"), ("INSERT INTO t VALUES (9, NULL)", "23502"), ("INSERT INTO t VALUES (9, 'no')", "23514"),
                            ("INSERT INTO t VALUES (9, 'c', 0)", "23514"), ("INSERT INTO t VALUES (9, 'c', 900)", "23514"), ("INSERT INTO t VALUES (9, 'c', 1, 7)", "23505"),
                            ("INSERT INTO t VALUES (9, 'b', 5)", "23505"), ("UPDATE t SET id = 1 WHERE id = 2", "23505"), ("UPDATE t SET id = 8", "23505"),
                            ("UPDATE t SET name = NULL WHERE id = 1", "23502"), ("UPDATE t SET age = -1 WHERE id = 1", "23514"), ("UPDATE t SET nope = 1", "42703"),
                            ("INSERT INTO t (id, nope) VALUES (1, 2)", "42703"), ("INSERT INTO t (id) VALUES (1, 2)", "42601"),
                            ("INSERT INTO t (id) VALUES (10) RETURNING nope", "42703"), ("DELETE FROM t WHERE nope = 1", "42703")):
        refused(code, client.query, statement)
        assert ask("SELECT count(*), min(id), max(id) FROM t") == [["4", "1", "4"]], statement
    ask("UPDATE t SET id = id + 10")
    ask("UPDATE t SET id = id - 9")
    assert client.tags == ["UPDATE 4"] and ask("SELECT id FROM t ORDER BY 1") == [["2"], ["3"], ["4"], ["5"]]
    ask("UPDATE t SET age = age + 1, name = upper(name) WHERE age = 5")
    assert client.tags == ["UPDATE 2"] and ask("SELECT name, age FROM t ORDER BY id") == [["xy", None], ["XY", "6"], ["B", "6"], ["xy", None]]
    assert ask("UPDATE t AS u SET name = 'z', age = NULL WHERE u.id = 3 RETURNING u.id, name AS n, id + 1") == [["3", "z", "4"]] and client.tags == ["UPDATE 1"]
    assert ask("INSERT INTO t (id, name) VALUES (7, 'r'), (8, 's') RETURNING id, name") == [["7", "r"], ["8", "s"]] and client.tags == ["INSERT 0 2"]
    assert sorted(ask("DELETE FROM t WHERE id >= 7 RETURNING *")) == [["7", "r", None, None], ["8", "s", None, None]] and client.tags == ["DELETE 2"]
    assert ask("DELETE FROM t WHERE id = 100 RETURNING id") == [] and client.tags == ["DELETE 0"]
    ask("DELETE FROM t WHERE age IS NULL")
    assert client.tags == ["DELETE 3"] and ask("SELECT id FROM t") == [["4"]]
    ask("DELETE FROM t")
    assert client.tags == ["DELETE 1"] and ask("SELECT count(*) FROM t") == [["0"]]
    for statement in ("CREATE TEMP TABLE u (a INTEGER, UNIQUE (b))", "CREATE TEMP TABLE u (a INTEGER CHECK (b > 1))"):
        refused("42703", client.query, statement)


def lengths(client):
    """What is too long for its column is no value of it."""
    ask = client.query
    ask("CREATE TEMP TABLE l (a VARCHAR(2), b CHAR(3), c BIT(3), d VARBIT(3), e CHARACTER VARYING(1) DEFAULT 'x', f VARCHAR)")
    ask("INSERT INTO l VALUES ('ab', 'abc', '101', '1', 'y', 'as long as you like')")
    for statement, code in (("INSERT INTO l (a) VALUES ('abc')", "22001"), ("INSERT INTO l (b) VALUES ('abcd')", "22001"), ("INSERT INTO l (c) VALUES ('10')", "22026"),
                            ("INSERT INTO l (c) VALUES ('1010')", "22026"), ("INSERT INTO l (d) VALUES ('1010')", "22001"), ("INSERT INTO l (e) VALUES ('xy')", "22001"),
                            ("UPDATE l SET a = a || 'c'", "22001")):
        refused(code, client.query, statement)
    ask("INSERT INTO l (a) VALUES ('\u00e9\u00e9')")
    client.send(message("Q", text("COPY l (a) FROM STDIN")))
    client.until("G")
    client.send(message("d", b"abc\n") + message("c"))
    refused("22001", lambda: client.rows(client.until("Z")))
    assert ask("SELECT a, b, c, d, e, f FROM l ORDER BY a") == [["ab", "abc", "101", "1", "y", "as long as you like"], ["\u00e9\u00e9", None, None, None, "x", None]]


def numbers(client):
    ask = client.query
    ask("CREATE TEMP TABLE s (id SERIAL PRIMARY KEY, v TEXT)")
    assert ask("INSERT INTO s (v) VALUES ('a'), ('b') RETURNING id") == [["1"], ["2"]]
    assert ask("INSERT INTO s VALUES (DEFAULT, 'c') RETURNING *") == [["3", "c"]]
    assert ask("INSERT INTO s DEFAULT VALUES RETURNING id") == [["4"]]
    refused("23505", client.query, "INSERT INTO s VALUES (2, 'x')")
    refused("23502", client.query, "INSERT INTO s VALUES (NULL, 'x')")
    ask("CREATE TEMP TABLE i (id BIGINT GENERATED BY DEFAULT AS IDENTITY, v INTEGER)")
    ask("INSERT INTO i (v) SELECT * FROM generate_series(1, 3)")
    assert ask("SELECT id FROM i ORDER BY id") == [["1"], ["2"], ["3"]]


def transactions(client):
    ask = client.query
    ask("CREATE TEMP TABLE t (id INTEGER PRIMARY KEY)")
    ask("BEGIN")
    ask("INSERT INTO t VALUES (1)")
    ask("SAVEPOINT s")
    refused("23505", client.query, "INSERT INTO t VALUES (1)")
    ask("ROLLBACK TO s")
    ask("UPDATE t SET id = 2")
    assert ask("SELECT id FROM t") == [["2"]]
    ask("ROLLBACK")
    assert ask("SELECT count(*) FROM t") == [["0"]]
    ask("BEGIN")
    ask("CREATE TEMP TABLE d (a INTEGER) ON COMMIT DROP")
    ask("INSERT INTO d VALUES (1)")
    assert ask("SELECT a FROM d") == [["1"]]
    ask("COMMIT")
    refused("42P01", client.query, "SELECT a FROM d")


def copied(client):
    """COPY keeps the rules, and fills in defaults."""
    client.query("CREATE TEMP TABLE c (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'd', w INTEGER CHECK (w > 0))")
    for data, code in ((b"1\t1\n2\t2\n", None), (b"1\t1\n", "23505"), (b"\\N\t1\n", "23502"), (b"5\t0\n", "23514"), (b"6\t1\n6\t1\n", "23505"), (b"3\t\\N\n", None)):
        client.send(message("Q", text("COPY c (id, w) FROM STDIN")))
        client.until("G")
        client.send(message("d", data) + message("c"))
        try:
            client.rows(client.until("Z"))
            assert code is None, data
        except Refused as error:
            assert error.code == code, (data, str(error))
    assert client.query("SELECT * FROM c ORDER BY id") == [["1", "d", "1"], ["2", "d", "2"], ["3", "d", None]]


def prepared(client):
    """Parameters have the types of their columns, and values go in as text and binary."""
    client.query("CREATE TEMP TABLE p (a INTEGER, b TEXT, c DATE, d DOUBLE PRECISION, e BOOLEAN)")

    def ask(statement, *values, binary=(), declared=(), is_described=True):
        client.send(parse("", statement, *declared) + (describe("S") if is_described else b"") + bind("", "", *values, binary=binary) + execute() + SYNC)
        messages = client.until("Z")
        types = [struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:]) for kind, body in messages if kind == "t"]
        return types[0] if types else None, client.rows(messages)

    for statement in ("CREATE TEMP TABLE prepared (a INTEGER)", "CREATE TEMP TABLE filled AS SELECT 1 AS a", "TRUNCATE filled", "DROP TABLE filled"):
        assert ask(statement) == ((), []), statement
    assert ask("INSERT INTO p VALUES ($1, $2, $3, $4, $5)", "1", "it's", "2020-01-01", "1.5", "t") == ((23, 25, 1082, 701, 16), [])
    assert ask("INSERT INTO p VALUES ($1, $2, $3, $4, $5)", "-2", None, None, "-inf", "off", is_described=False) == (None, [])
    assert ask("INSERT INTO p (b, a) VALUES ($2, $1), ('x', 4) RETURNING a, b", struct.pack("!i", 3), b"\\d", binary=(1, 0)) == ((23, 25), [["3", "\\d"], ["4", "x"]])
    assert ask("UPDATE p SET b = $1 WHERE a = $2 RETURNING b", "$2", "4") == ((25, 23), [["$2"]])
    assert ask("DELETE FROM p WHERE a = $1", "4")[0] == (23,) and client.tags == ["DELETE 1"]
    assert client.query("SELECT * FROM p ORDER BY a") == [["-2", None, None, "-Infinity", "f"], ["1", "it's", "2020-01-01", "1.5", "t"], ["3", "\\d", None, None, None]]
    for values, code in ((("x",), "22P02"), (("1.5",), "22P02"), (("99999999999",), "22003")):
        for is_described in (True, False):
            refused(code, lambda: ask("INSERT INTO p (a) VALUES ($1)", *values, is_described=is_described))
    refused("22007", ask, "INSERT INTO p (c) VALUES ($1)", "2020-01-01 x")
    for i in range(150):  # in one message, to be merged
        client.send(parse("", "INSERT INTO p (a) VALUES ($1)") + bind("", "", str(i + 100)) + execute())
    client.send(SYNC)
    client.rows(client.until("Z"))
    assert client.tags == ["INSERT 0 1"] * 150 and client.query("SELECT count(*), count(DISTINCT a) FROM p WHERE a >= 100") == [["150", "150"]]


def failed(client):
    """A statement that fails, and be it in what it gives back, has changed nothing; chance neither loses a row nor doubles one."""
    ask = client.query
    ask("CREATE TEMP TABLE t (a INTEGER, b TEXT)")
    for statement in ("INSERT INTO t VALUES (1, 'x') RETURNING CAST(b AS INTEGER)", "UPDATE t SET a = 9 RETURNING CAST(b AS INTEGER)",
                      "DELETE FROM t WHERE a = 1 RETURNING CAST(b AS INTEGER)"):
        refused("22P02", client.query, statement)
        assert ask("SELECT count(*) FROM t WHERE a = 9") == [["0"]], statement
        if statement.startswith("INSERT"):
            assert ask("SELECT count(*) FROM t") == [["0"]]
            ask("INSERT INTO t VALUES (1, 'x'), (2, 'y')")
    assert ask("SELECT * FROM t ORDER BY a") == [["1", "x"], ["2", "y"]]
    ask("INSERT INTO t SELECT i, 'z' FROM generate_series(3, 2000) AS g(i)")
    for _ in range(3):
        ask("UPDATE t SET b = b || '+' WHERE random() < 0.5")
        assert ask("SELECT count(*), count(DISTINCT a) FROM t") == [["2000", "2000"]]
    ask("DELETE FROM t WHERE random() < 0.5")
    gone = int(client.tags[-1].split()[1])
    assert ask("SELECT count(*), count(DISTINCT a) FROM t") == [[str(2000 - gone)] * 2]
    for statement in ("UPDATE t SET a = max(a)", "UPDATE t SET a = max(a) WHERE a = -1"):
        refused("42803", client.query, statement)
    for statement in ("CREATE TEMP TABLE d (a INTEGER DEFAULT (SELECT max(a) FROM t))", "CREATE TEMP TABLE d (a INTEGER CHECK (a < (SELECT max(a) FROM t)))"):
        refused("0A000", client.query, statement)


def listed(client):
    """In the catalog's views as long as it is there, for those whose it is."""
    ask = client.query
    seen = "SELECT relkind, relpersistence, relnatts, pg_table_is_visible(oid) FROM pg_class WHERE relname = 'seen'"
    ask("CREATE TEMP TABLE seen (a INTEGER, b VARCHAR(5))")
    assert ask(seen) == [["r", "t", "2", "t"]]
    assert ask("SELECT attname, attnum, atttypid = 23 FROM pg_attribute WHERE attrelid = 'seen'::regclass AND attnum > 0 ORDER BY attnum") == [
        ["a", "1", "t"], ["b", "2", "f"]]
    assert ask("SELECT table_type FROM information_schema.tables WHERE table_name = 'seen'") == [["LOCAL TEMPORARY"]]
    assert ask("SELECT column_name FROM information_schema.columns WHERE table_name = 'seen' ORDER BY ordinal_position") == [["a"], ["b"]]
    assert ask("SELECT has_table_privilege('seen', 'INSERT'), to_regclass('pg_temp.seen') IS NOT NULL") == [["t", "t"]]
    ask("BEGIN")
    ask("DROP TABLE seen")
    ask("CREATE TEMP TABLE later (a INTEGER)")
    assert ask(seen) == [] and ask(seen.replace("seen", "later")) == [["r", "t", "1", "t"]]
    ask("ROLLBACK")
    assert ask(seen) == [["r", "t", "2", "t"]] and ask(seen.replace("seen", "later")) == []
    ask("DROP TABLE seen")
    assert ask(seen) == [] and ask("SELECT to_regclass('seen') IS NULL") == [["t"]]


def listed_to_nobody_else():
    with Server(MOAT) as server, server.connect() as client, server.connect() as other:
        client.query("CREATE TEMP TABLE mine (secret_name INTEGER)")
        for statement in ("SELECT oid FROM pg_class WHERE relname = 'mine'", "SELECT attnum FROM pg_attribute WHERE attname = 'secret_name'",
                          "SELECT 1 FROM information_schema.tables WHERE table_name = 'mine'", "SELECT oid FROM pg_namespace WHERE nspname LIKE 'pg_temp%'",
                          "SELECT 1 FROM information_schema.columns WHERE column_name = 'secret_name'", "SELECT relid FROM pg_stat_user_tables WHERE relname = 'mine'"):
            assert len(client.query(statement)) == 1 and other.query(statement) == [], statement
        refused("42P01", other.query, "SELECT 'mine'::regclass")


def limits():
    """What is only held by a savepoint or a cursor counts as well; a small statement makes no large text."""
    with Server(MOAT, "session.temp_disk=2MiB") as server, server.connect() as client:
        ask, rows = client.query, "SELECT gen_random_uuid() AS u FROM generate_series(1, 20000)"  # 320 KB at least
        ask("BEGIN")
        made = 0
        try:
            for made in range(20):
                ask(f"SAVEPOINT s{made}")
                ask("DROP TABLE IF EXISTS t")
                ask(f"CREATE TEMP TABLE t AS {rows}")
        except Refused as error:
            assert error.code == "53400", str(error)
        assert 3 <= made <= 6, made
        ask("ROLLBACK")
        ask(f"CREATE TEMP TABLE t AS {rows}")  # all is given back
        ask("DROP TABLE t")
        ask("BEGIN")
        try:
            for made in range(20):
                ask(f"CREATE TEMP TABLE t AS {rows}")
                ask(f"DECLARE c{made} CURSOR FOR SELECT * FROM t")
                ask(f"FETCH 1 FROM c{made}")
                ask("DROP TABLE t")
        except Refused as error:
            assert error.code in ("53400", "54000"), str(error)
        assert 3 <= made <= 6, made
        ask("ROLLBACK")
        ask(f"CREATE TEMP TABLE t AS {rows}")
        ask("DROP TABLE t")
        long = "x" * 900_000
        ask(f"CREATE TEMP TABLE l (a TEXT DEFAULT '{long}')")
        refused("54000", client.query, "INSERT INTO l VALUES " + ", ".join(["(DEFAULT)"] * 50_000))
        before = server.resident()
        client.send(parse("", "INSERT INTO l VALUES " + ", ".join(["($1)"] * 100_000)) + bind("", "", long) + execute() + SYNC)
        refused("54000", lambda: client.rows(client.until("Z")))
        assert server.resident() - before < 100 << 20
        try:
            for made in range(200):
                ask(f"CREATE TEMP TABLE l{made} (a TEXT DEFAULT '{long}')")
        except Refused as error:
            assert error.code == "53400", str(error)
        assert 20 < made < 40, made
        ask("DROP TABLE l1")
        ask("CREATE TEMP TABLE small (a INTEGER)")


def on_both(case):
    def both():
        with Server(MOAT) as server, server.connect() as client:
            case(client)
        if is_installed():
            with Postgres() as postgres, postgres.connect() as client:
                case(client)
    both.__name__ = case.__name__
    return both


def dsn(server):
    return f"host=127.0.0.1 port={server.port} user=amelia password='{PASSWORD}' dbname=moat"


def psycopg_3():
    import psycopg
    with Server(MOAT) as server, psycopg.connect(dsn(server)) as connection:
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (id SERIAL PRIMARY KEY, a INTEGER, b TEXT NOT NULL)")
        cursor.executemany("INSERT INTO t (a, b) VALUES (%s, %s)", [(i, f"r{i}") for i in range(70)])
        assert cursor.rowcount == 70
        cursor.executemany("INSERT INTO t (a, b) VALUES (%s, %s) RETURNING id", [(70, "x"), (71, "y")], returning=True)
        assert cursor.fetchone() == (71,)
        for binary in (False, True):
            assert connection.execute("INSERT INTO t (a, b) VALUES (%s, %s) RETURNING a, b", [5, "z"], binary=binary).fetchone() == (5, "z")
        try:
            with connection.transaction():
                connection.execute("INSERT INTO t (a) VALUES (%s)", [1])
            raise AssertionError
        except psycopg.errors.NotNullViolation:
            pass
        assert connection.execute("SELECT count(*), sum(a) FROM t").fetchone() == (74, sum(range(70)) + 70 + 71 + 10)


def psycopg_2():
    import psycopg2
    import psycopg2.extras
    with Server(MOAT) as server:
        connection = psycopg2.connect(dsn(server))
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a INTEGER UNIQUE, b TEXT)")
        cursor.executemany("INSERT INTO t VALUES (%s, %s)", [(i, "it's") for i in range(20)])
        psycopg2.extras.execute_values(cursor, "INSERT INTO t VALUES %s", [(i, None) for i in range(20, 40)])
        cursor.execute("SELECT count(*), count(b) FROM t")
        assert cursor.fetchone() == (40, 20)
        try:
            cursor.execute("INSERT INTO t VALUES (%s, %s)", (1, "x"))
            raise AssertionError
        except psycopg2.errors.UniqueViolation:
            pass
        connection.close()


def asyncpg_():
    import asyncpg

    async def talk(server):
        connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="amelia", password=PASSWORD, database="moat")
        await connection.execute("CREATE TEMP TABLE t (a INTEGER PRIMARY KEY, b TEXT, c TIMESTAMP, d INTEGER[])")
        await connection.executemany("INSERT INTO t VALUES ($1, $2, $3, $4)", [(i, f"r{i}", None, [i, 1]) for i in range(30)])
        assert await connection.fetchval("INSERT INTO t (a) VALUES ($1) RETURNING a", 100) == 100
        assert await connection.execute("UPDATE t SET b = $1 WHERE a < $2", "u", 10) == "UPDATE 10"
        assert await connection.fetchval("SELECT count(*) FROM t WHERE b = 'u'") == 10
        assert await connection.fetchval("SELECT d FROM t WHERE a = 29") == [29, 1]
        try:
            await connection.execute("INSERT INTO t (a) VALUES ($1)", 1)
            raise AssertionError
        except asyncpg.UniqueViolationError:
            pass
        await connection.close()

    with Server(MOAT) as server:
        asyncio.run(talk(server))


def if_there(case, module):
    def maybe():
        try:
            __import__(module)
        except ImportError:
            print(f"skipped {case.__name__}: there is no {module}")
            return
        case()
    maybe.__name__ = case.__name__
    return maybe


CASES = [on_both(case) for case in (rules, lengths, numbers, transactions, copied, prepared, failed, listed)]
CASES += [listed_to_nobody_else, limits]
CASES += [if_there(psycopg_3, "psycopg"), if_there(psycopg_2, "psycopg2"), if_there(asyncpg_, "asyncpg")]

if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[2:]))
