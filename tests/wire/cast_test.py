#!/usr/bin/env python3
"""What texts become: of literals, parameters and COPY, byte by byte, beside PostgreSQL where there is one.

cast_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.

A text that is no value of a type is an error by every way. None may become another value in silence.
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from postgres import Postgres, is_installed
from protocol import SYNC, Refused, Server, bind, describe, execute, message, parse, run, text

MOAT = sys.argv[1]
SYNTAX, RANGE, INVALID, NUMBER = "22007", "22008", "22P02", "22003"

# type: text: what it is as text, or the SQLSTATE
TEXTS = {
    "date": {
        "2020-01-01": "2020-01-01", " 2020-1-1 ": "2020-01-01", "2020/02/29": "2020-02-29", "20200101": "2020-01-01", "2020-01-01 10:00:00": "2020-01-01",
        "2020-01-01T10:00:00Z": "2020-01-01", "2020-01-01+02": "2020-01-01", "0044-03-15 BC": "0044-03-15 BC", "0001-02-29 BC": "0001-02-29 BC",
        "2020-01-01 AD": "2020-01-01", "infinity": "infinity", "-infinity": "-infinity", "epoch": "1970-01-01", "99999-01-01": "99999-01-01",
        "2020-01-01 rubbish": SYNTAX, "2020-01-01x": SYNTAX, "2020-01-01 BC BC": SYNTAX, "2020-01-01 BCE": SYNTAX, "": SYNTAX, "rubbish": SYNTAX, "2020-01": SYNTAX,
        "2020-13-01": RANGE, "2020-02-30": RANGE, "2021-02-29": RANGE, "2020-01-01 25:00": RANGE, "2020-01-01 10:61:00": RANGE},
    "timestamp": {
        "2020-01-01": "2020-01-01 00:00:00", "2020-01-01 10:00": "2020-01-01 10:00:00", "2020-01-01T10:00:00.5Z": "2020-01-01 10:00:00.5",
        "2020-01-01 10:00:00+02": "2020-01-01 10:00:00", "0044-03-15 12:00:00 BC": "0044-03-15 12:00:00 BC", "2020-01-01 24:00:00": "2020-01-02 00:00:00",
        "2020-01-01 10:00:00.1234567": "2020-01-01 10:00:00.123457", "2020-01-01 23:59:59.9999999": "2020-01-02 00:00:00", "infinity": "infinity",
        "2020-01-01 rubbish": SYNTAX, "2020-01-01 10:00:00 rubbish": SYNTAX, "2020-01-01 10:00:00x": SYNTAX, "2020-01-01 10": SYNTAX,
        "2020-01-01 25:00:00": RANGE, "2020-01-01 10:61:00": RANGE, "2020-13-01 00:00:00": RANGE},
    "time": {
        "10:00": "10:00:00", "1:2:3": "01:02:03", "24:00:00": "24:00:00", "10:00:00.1234567": "10:00:00.123457", "2020-01-01 10:00:00": "10:00:00",
        "10:00:00+02": "10:00:00", "10:00:00x": SYNTAX, "10:00 rubbish": SYNTAX, "": SYNTAX, "10": SYNTAX, "25:00": RANGE, "10:61": RANGE},
    "interval": {"1 day 2 hours": "1 day 02:00:00", "-1:30": "-01:30:00", "1 day rubbish": SYNTAX, "1 dayx": SYNTAX, "rubbish": SYNTAX, "": SYNTAX},
    "int": {" 7 ": "7", "-2147483648": "-2147483648", "+5": "5", "1.5": INVALID, "1.0": INVALID, "1e3": INVALID, "1x": INVALID, "": INVALID, "1_": INVALID, "_1": INVALID, "1__0": INVALID,
            "0x": INVALID, "0xg": INVALID, "- 1": INVALID, "2147483648": NUMBER},
    "bigint": {"9223372036854775807": "9223372036854775807", "9223372036854775808": NUMBER, "1.9": INVALID},
    "smallint": {"32768": NUMBER, "1.5": INVALID},
    "double precision": {"1.5": "1.5", " 1e3 ": "1000", "-inf": "-Infinity", "nan": "NaN", "0e5": "0", "1e400": NUMBER, "1e-400": NUMBER, "1_0": INVALID, "1.5x": INVALID, "": INVALID, "infx": INVALID},
    "real": {"1.5": "1.5", "1e39": NUMBER, "1e-46": NUMBER},
    "bool": {"on": "t", "of": "f", " TRUE ": "t", "y": "t", "tr": "t", "0": "f", "o": INVALID, "2": INVALID, "10": INVALID, "": INVALID, "truex": INVALID},
    "numeric(5,2)": {" 1.5 ": "1.50", "1.005": "1.01", "1000": NUMBER, "1.5x": INVALID, "": INVALID, "1 5": INVALID},
    "uuid": {"{11111111-2222-3333-4444-555555555555}": "11111111-2222-3333-4444-555555555555", "11111111-2222-3333-4444-55555555555": INVALID,
             "11111111-2222-3333-4444-555555555555x": INVALID, "": INVALID},
    "varbit": {"101": "101", "1011011101": "1011011101", "102": INVALID},
    "bytea": {"\\xdead": "\\xdead", "\\xde AD": "\\xdead", "a\\001\\\\": "\\x61015c", "\\x": "\\x", "\\9": INVALID},
}
# What Moat has of PostgreSQL 16, and what 15 says otherwise.
OWN = {"int": {"1_000": "1000", "0x1F": "31", "0b11": "3"}, "bytea": {"\\xdea": INVALID, "\\xzz": INVALID, "\\xDE\\xAD": INVALID}}


def ask(client, *messages):
    client.send(b"".join(messages))
    try:
        rows = client.rows(client.until("Z"))
        return rows[0][0] if rows else None
    except Refused as error:
        return error.code


def by_literal(client, kind, value):
    return ask(client, message("Q", text("SELECT '" + value.replace("'", "''") + f"'::{kind}")))


def by_cast(client, kind, value):
    return ask(client, message("Q", text("SELECT CAST('" + value.replace("'", "''") + f"' AS {kind})")))


def by_parameter(client, kind, value):
    return ask(client, parse("", f"SELECT $1::{kind}"), bind("", "", value), execute(), SYNC)


def by_described_parameter(client, kind, value):
    return ask(client, parse("", f"SELECT $1::{kind}"), describe("S"), bind("", "", value), execute(), SYNC)


def by_declared_parameter(client, kind, value):
    oid = {"date": 1082, "timestamp": 1114, "time": 1083, "interval": 1186, "int": 23, "bigint": 20, "smallint": 21, "double precision": 701, "real": 700, "bool": 16,
           "uuid": 2950, "bytea": 17}.get(kind)
    return ask(client, parse("", "SELECT $1" + ("" if oid else f"::{kind}"), *([oid] if oid else [])), bind("", "", value), execute(), SYNC)


def by_copy(client, kind, value):
    cell = value.replace("\\", "\\\\")
    client.send(message("Q", text(f"CREATE TEMP TABLE c (a {kind}); COPY c FROM STDIN")))
    client.until("G")
    code = ask(client, message("d", cell.encode() + b"\n"), message("c"))
    result = code or client.query("SELECT * FROM c")[0][0]
    client.query("DROP TABLE IF EXISTS c")
    return result


def compare(client, way):
    wrong = []
    for kind, cases in TEXTS.items():
        for value, wanted in {**cases, **OWN.get(kind, {})}.items():
            got = way(client, kind, value)
            if got != wanted and not (way is by_copy and wanted in (SYNTAX, RANGE, INVALID, NUMBER) and got in (SYNTAX, RANGE, INVALID, NUMBER)):
                wrong.append((kind, value, got, wanted))
    assert not wrong, wrong


def every_way(way):
    def case():
        with Server(MOAT) as server, server.connect() as client:
            compare(client, way)
    case.__name__ = way.__name__
    return case


def postgres_says_so():
    """The table above is PostgreSQL's own."""
    if not is_installed():
        print("skipped postgres_says_so: there is none")
        return
    with Postgres() as postgres, postgres.connect() as client:
        wrong = [(kind, value, by_literal(client, kind, value), wanted) for kind, cases in TEXTS.items() for value, wanted in cases.items()
                 if by_literal(client, kind, value) != wanted]
        assert not wrong, wrong


def columns_and_comparisons():
    """Not of constants alone: texts of rows, texts beside a date, and TRY_CAST."""
    with Server(MOAT) as server, server.connect() as client:
        assert client.query("SELECT t::date FROM (VALUES ('2020-01-01'), (NULL), ('0044-03-15 BC')) v(t)") == [["2020-01-01"], [None], ["0044-03-15 BC"]]
        assert client.query("SELECT count(*) FROM (SELECT DATE '2020-01-01' AS d) WHERE d = '2020-01-01'") == [["1"]]
        assert client.query("SELECT TRY_CAST(t AS int) FROM (VALUES ('1'), ('1.5'), ('x')) v(t)") == [["1"], [None], [None]]
        assert client.query("SELECT '{2020-01-01,NULL}'::date[]") == [["{2020-01-01,NULL}"]]
        for statement, code in (("SELECT t::date FROM (VALUES ('2020-01-01'), ('2020-01-01 x')) v(t)", SYNTAX), ("SELECT 1 WHERE DATE '2020-01-01' = '2020-01-01 x'", SYNTAX),
                                ("SELECT '{1,2.5}'::int[]", INVALID), ("SELECT (t || '.5')::int FROM (VALUES ('1')) v(t)", INVALID)):
            assert ask(client, message("Q", text(statement))) == code, statement


# Explicit casts cut texts, and numeric without digits has those of its text: as select expressions, beside PostgreSQL's answers.
CUTS = {"'abcdef'::varchar(3)": "abc", "cast('abcdef' as character varying(2))": "ab", "cast('abcdef' as char(4))": "abcd", "'abcdef'::char": "a", "varchar(2) 'xyz'": "xy",
        "'añb'::varchar(2)": "añ", "cast(cast('12345' as varchar(3)) as int)": "123", "('abc' || 'def')::varchar(4) || 'x'": "abcdx", "'abc'::varchar(10)": "abc", "'abc'::varchar": "abc",
        "(select 'abcdef'::varchar(2) as a)": "ab", "upper('abc'::  varchar ( 1 ))": "A", "'abcdef'::bpchar(2)": "ab", "length('abcdef'::character(3))": "3",
        "case when true then 'abc'::varchar(1) end": "a", "'abc'::varchar(0)": "22023", "'abc'::varchar(10485761)": "22023",
        "'1.23456'::numeric": "1.23456", "numeric '1.50'": "1.50", "cast('12345.678901' as numeric)": "12345.678901", "'1.5e3'::numeric": "1500", "'1e-5'::numeric": "0.00001",
        "'-.5'::decimal": "-0.5", "'+7.'::numeric": "7", "' 7 '::dec": "7", "12::numeric": "12", "1.25::numeric": "1.25", "'99999999999999999999999999999999999999'::numeric": "9" * 38,
        "round(2.675::float8::numeric, 2)": "2.68", "round(1234567.895::float8::numeric, 2)": "1234567.90", "null::numeric": None, "'x'::numeric": INVALID, "'1e'::numeric": INVALID,
        "'.'::numeric": INVALID, "''::numeric": INVALID, "'1.23456'::numeric(10, 2)": "1.23", "'1.23456'::numeric(4)": "1"}
# PostgreSQL's numbers have more digits than the engine's.
BOUNDS = {"'1e38'::numeric": NUMBER, "1e30::float8::numeric": NUMBER, "(select t::numeric from (values ('1.1234567891')) v(t))": NUMBER,
          "(select t::numeric from (values ('1.123456789000')) v(t))": "1.123456789", "'{ab}'::varchar(1)[]": "0A000", "typeof(null::numeric)": "DECIMAL(38,9)"}


def casts_cut_as_they_say():
    def wrong_of(client, cases):
        found = {expression: ask(client, message("Q", text("SELECT " + expression))) for expression in cases}
        return [(expression, found[expression], wanted) for expression, wanted in cases.items() if found[expression] != wanted]
    with Server(MOAT) as server, server.connect() as client:
        wrong = wrong_of(client, {**CUTS, **BOUNDS})
        assert not wrong, wrong
        for kind, value, wanted in (("numeric", "1.23456789", "1.23456789"), ("varchar(2)", "abc", "ab"), ("char(1)", "xyz", "x")):
            for way in (by_parameter, by_described_parameter):
                assert way(client, kind, value) == wanted, (kind, way.__name__, way(client, kind, value))
        client.query("CREATE TEMP TABLE n (a numeric, b numeric(6, 2))")
        client.query("INSERT INTO n VALUES (1.23456789, 1.236), (2, 2)")
        assert client.query("SELECT * FROM n ORDER BY a") == [["1.234567890", "1.24"], ["2.000000000", "2.00"]]
        assert client.query("SELECT a::varchar(3), count(*) FROM n GROUP BY a::varchar(3) ORDER BY a::varchar(3)") == [["1.2", "1"], ["2.0", "1"]]
    if is_installed():
        with Postgres() as postgres, postgres.connect() as client:
            wrong = wrong_of(client, CUTS)
            assert not wrong, wrong


CASES = [every_way(way) for way in (by_literal, by_cast, by_parameter, by_described_parameter, by_declared_parameter, by_copy)]
CASES += [postgres_says_so, columns_and_comparisons, casts_cut_as_they_say]

if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[2:]))
