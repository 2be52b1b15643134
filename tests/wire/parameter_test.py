#!/usr/bin/env python3
"""Parameters that the client gives no type, described and not, as text; and numbers of other types than the statement has.

parameter_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres import Postgres, is_installed
from protocol import SYNC, Refused, Server, bind, describe, execute, parse, run

MOAT = sys.argv[1]

# statement, values as text, OIDs declared: types of the parameters, rows. None: PostgreSQL has other types of numbers.
UNDECLARED = [
    ("SELECT * FROM generate_series(1,$1) n", ["3"], (), (23,), [["1"], ["2"], ["3"]]),
    ("SELECT generate_series(1,$1)", ["2"], (), (23,), [["1"], ["2"]]),
    ("SELECT $1 + 1", ["3"], (), (23,), [["4"]]),
    ("SELECT 10 - $1 + 2 * $2", ["3", "2"], (), (23, 23), [["11"]]),
    ("SELECT $1", ["3"], (), (25,), [["3"]]),
    ("SELECT length($1)", ["abc"], (), (25,), [["3"]]),
    ("SELECT $1 || 'x'", ["a"], (), (25,), [["ax"]]),
    ("SELECT * FROM (VALUES ($1,$2)) t(a,b)", ["1", "x"], (), (25, 25), [["1", "x"]]),
    ("SELECT CASE WHEN true THEN $1 ELSE 5 END", ["3"], (), (23,), [["3"]]),
    ("SELECT coalesce($1, 5)", ["3"], (), (23,), [["3"]]),
    ("SELECT ARRAY[1,2,$1]", ["3"], (), (23,), [["{1,2,3}"]]),
    ("SELECT $1 IN (1,2)", ["2"], (), (23,), [["t"]]),
    ("SELECT 1 WHERE true = $1", ["on"], (), (16,), [["1"]]),
    ("SELECT DATE '2020-01-01' = $1", ["2020-01-01"], (), (1082,), [["t"]]),
    ("SELECT coalesce($1, 5)", ["3"], (20,), (20,), [["3"]]),
    ("SELECT coalesce($1, 5)", ["1.5"], (701,), (701,), [["1.5"]]),
    ("SELECT CASE WHEN true THEN $1 ELSE 5 END", ["3"], (20,), (20,), [["3"]]),
    ("SELECT ARRAY[1,2,$1]", ["3"], (20,), (20,), [["{1,2,3}"]]),
    ("SELECT * FROM generate_series(1,$1) n", ["2"], (20,), (20,), [["1"], ["2"]]),
    ("SELECT $1", ["1.2345678901"], (1700,), (1700,), [["1.2345678901"]]),
    ("SELECT $1", [None], (1700,), (1700,), [[None]]),
    ("SELECT $1", ["10.0.0.1"], (869,), (869,), [["10.0.0.1"]]),
    ("SELECT $1 * 2.5", ["1.5"], (1700,), (1700,), [["3.75"]]),
    ("SELECT round($1, 1)", ["1.57"], (1700,), (1700,), [["1.6"]]),
    ("SELECT coalesce($1, 0)", ["1.57"], (1700,), (1700,), [["1.57"]]),
    ("SELECT x FROM (VALUES (1), (2)) t(x) WHERE x > $1", ["1.5"], (1700,), (1700,), [["2"]]),
    ("SELECT x FROM (VALUES (1), (2)) t(x) LIMIT $1", ["1"], (1700,), (1700,), [["1"]]),
]
REFUSED = [("SELECT $1 + 1", ["x"], "22P02"), ("SELECT $1 + 1", ["1.5"], "22P02"), ("SELECT coalesce($1, 5)", ["x"], "22P02"), ("SELECT * FROM no_such_function(1,$1)", ["1"], "42883"),
           ("SELECT 1 WHERE DATE '2020-01-01' = $1", ["2020-01-01 x"], "22007")]


def ask(client, statement, values, declared=(), is_described=True, is_binary=False):
    """Types of the parameters, types of the columns, rows."""
    client.send(parse("", statement, *declared) + (describe("S") if is_described else b"") + bind("", "", *values, results=[1] if is_binary else ())
                + describe("P") + execute() + SYNC)
    messages = client.until("Z")
    types = [struct.unpack(f"!{(len(body) - 2) // 4}I", body[2:]) for kind, body in messages if kind == "t"]
    columns = [body[-18 + 6:-18 + 10] for kind, body in messages if kind == "T"]
    return types[0] if types else None, columns, client.rows(messages)


def rows_and_types(client):
    for statement, values, declared, types, rows in UNDECLARED:
        try:
            got = ask(client, statement, values, declared)
            assert (got[0], got[2]) == (types, rows), (statement, got)
            assert len(set(got[1])) == 1, (statement, got)  # what was told of the statement is true of the portal
            got = ask(client, statement, values, declared, is_described=False)
            assert got[2] == rows, (statement, got)
        except Refused as error:
            raise AssertionError(f"{statement}: {error}") from error


def untyped():
    with Server(MOAT) as server, server.connect() as client:
        rows_and_types(client)
        for statement, values, code in REFUSED:
            for is_described in (True, False):
                try:
                    got = ask(client, statement, values, is_described=is_described)
                    raise AssertionError(f"{statement}: {got}")
                except Refused as error:
                    assert error.code == code, (statement, is_described, str(error))


def postgres_says_so():
    if not is_installed():
        print("skipped postgres_says_so: there is none")
        return
    with Postgres() as postgres, postgres.connect() as client:
        rows_and_types(client)


def in_a_transaction():
    """A guess that fails does not end the transaction."""
    with Server(MOAT) as server, server.connect() as client:
        client.query("BEGIN")
        assert ask(client, "SELECT * FROM generate_series(1,$1) n", ["2"])[2] == [["1"], ["2"]]
        assert ask(client, "SELECT $1 + 1", ["2"], is_described=False)[2] == [["3"]]
        assert client.query("SELECT 7") == [["7"]] and client.status == "T"
        client.query("COMMIT")


if __name__ == "__main__":
    sys.exit(run([untyped, postgres_says_so, in_a_transaction], sys.argv[2:]))
