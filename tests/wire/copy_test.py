#!/usr/bin/env python3
"""COPY ... FROM STDIN into temporary tables: the three formats byte by byte, errors and where they are, and real clients.

copy_test.py MOAT [CASE...] [--seed N]    ends with "N passed, N failed"; exits 1 if any failed. A client that is not installed
is skipped by name.
"""

import asyncio
import datetime
import decimal
import io
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import uuid

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import processes
from protocol import PASSWORD, Refused, Server, bind, describe, execute, fields_of, message, parse, refused, run

MOAT = sys.argv[1]
SEED = int(sys.argv[sys.argv.index("--seed") + 1]) if "--seed" in sys.argv else random.randrange(1 << 32)
HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack("!ii", 0, 0)


def error_of(messages):
    return next((fields_of(body) for kind, body in messages if kind == "E"), None)


def begin(client, statement):
    """Sends it and gives the CopyInResponse; an error is raised."""
    client.send(message("Q", statement.encode() + b"\0"))
    kind, body = client.read()
    while kind not in "GE":
        kind, body = client.read()
    if kind == "E":
        client.until("Z")
        raise Refused(fields_of(body))
    return body


def copy(client, statement, data, sizes=None, end=message("c")):
    """The command tag, after all of `data` in pieces; an error is raised."""
    begin(client, statement)
    at = 0
    while at < len(data):
        size = sizes() if sizes else len(data)
        client.send(message("d", data[at:at + size]))
        at += size
    client.send(end)
    messages = client.until("Z")
    error = error_of(messages)
    if error:
        error["M"] += f" [{error.get('W')}]" if os.environ.get("SHOW") else ""
        raise Refused(error)
    return next(body[:-1].decode() for kind, body in messages if kind == "C")


def fails(code, client, statement, data, where=None, says=None, **more):
    try:
        copy(client, statement, data, **more)
    except Refused as error:
        fields = error.fields
        assert fields["C"] == code, fields
        assert where is None or fields.get("W") == where, fields
        assert says is None or says in fields["M"], fields
        return fields
    raise AssertionError(f"{statement} was not refused")


def rows(client, table="t"):
    return client.query(f"SELECT * FROM {table}")


def text_format():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        assert copy(client, "COPY t FROM STDIN", b"1\tone\n2\t\\N\n-3\t\n") == "COPY 3"
        assert rows(client) == [["1", "one"], ["2", None], ["-3", ""]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t (b) FROM STDIN", b"a\\tb\\\\c\\x41\\101\\n\\q\n") == "COPY 1"
        assert rows(client) == [[None, "a\tb\\cAA\nq"]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t FROM STDIN", b"1\ta\\\nb\n\\.\nthis is nobody's\n") == "COPY 1"
        assert rows(client) == [["1", "a\nb"]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t (b, a) FROM STDIN WITH DELIMITER '|' NULL AS 'nil'", b"x|7\r\nnil|nil\r\n") == "COPY 2"
        assert rows(client) == [["7", "x"], [None, None]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t FROM STDIN (DELIMITER E'\\t', ENCODING 'utf8', HEADER)", b"whatever\n8\tz") == "COPY 1", "no end of line at the end"
        assert rows(client) == [["8", "z"]]
        assert copy(client, "COPY t FROM STDIN", b"") == "COPY 0"
        assert copy(client, "COPY pg_temp.t FROM STDIN", b"9\told mac\r10\tends\r") == "COPY 2"


def csv_format():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        assert copy(client, "COPY t FROM STDIN WITH CSV HEADER", b'a,b\n1,"x, ""y""\nz"\n2,\n3,""\n4,p"q"r\n') == "COPY 4"
        assert rows(client) == [["1", 'x, "y"\nz'], ["2", None], ["3", ""], ["4", "pqr"]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t FROM STDIN (FORMAT csv, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil', HEADER match)",
                    b"a;b\n1;'it\\'s;'\n2;nil\n3;'nil'\n") == "COPY 3"
        assert rows(client) == [["1", "it's;"], ["2", None], ["3", "nil"]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t FROM STDIN (FORMAT csv, FORCE_NULL (b))", b'1,""\n') == "COPY 1"
        assert copy(client, "COPY t FROM STDIN WITH CSV FORCE NOT NULL b", b"2,\n") == "COPY 1"
        assert rows(client) == [["1", None], ["2", ""]]
        client.query("TRUNCATE t")
        assert copy(client, "COPY t (b) FROM STDIN CSV", b"a\\.b\n\\.x\n\"\\.\"\n\\.\nnobody's") == "COPY 3"
        assert rows(client) == [[None, "a\\.b"], [None, "\\.x"], [None, "\\."]]
        fails("22P04", client, "COPY t FROM STDIN (FORMAT csv, HEADER match)", b"a,c\n", "COPY t, line 1: \"a,c\"", "field 2")
        fails("22P04", client, "COPY t FROM STDIN CSV", b'1,"x\n2,y\n', "COPY t, line 1: \"1,\"x\n2,y\n\"", "unterminated")
        fails("22P04", client, "COPY t FROM STDIN CSV", b"1,x\r\n2,y\n", "COPY t, line 2", "newline")


def binary_format():
    def cell(value):
        return struct.pack("!i", -1) if value is None else struct.pack("!i", len(value)) + value

    def row(*cells):
        return struct.pack("!h", len(cells)) + b"".join(cell(value) for value in cells)

    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        good = HEADER + row(struct.pack("!i", 7), "é".encode()) + row(None, None)
        assert begin(client, "COPY t FROM STDIN (FORMAT binary)") == b"\1\0\2\0\1\0\1"
        client.send(message("d", good + b"\xff\xff"), message("c"))
        client.until("Z")
        assert copy(client, "COPY t FROM STDIN BINARY", good) == "COPY 2", "the trailer may be missing"
        assert rows(client) == [["7", "é"], [None, None]] * 2
        client.query("TRUNCATE t")
        fails("22P04", client, "COPY t FROM STDIN BINARY", b"PGCOPX" + good[6:], says="signature")
        fails("22P04", client, "COPY t FROM STDIN BINARY", b"", says="signature")
        fails("22P04", client, "COPY t FROM STDIN BINARY", HEADER[:11] + struct.pack("!ii", 1 << 16, 0), says="OIDS")
        fails("22P04", client, "COPY t FROM STDIN BINARY", good + row(b"x"), "COPY t, line 3", "row field count is 1, expected 2")
        fails("22P03", client, "COPY t FROM STDIN BINARY", good + row(b"abc", None), "COPY t, line 3, column a")
        fails("22021", client, "COPY t FROM STDIN BINARY", good + row(None, b"\xff"), "COPY t, line 3, column b")
        fails("22P04", client, "COPY t FROM STDIN BINARY", good + row(None, b"x")[:-1], "COPY t, line 3", "unexpected EOF")
        fails("22P04", client, "COPY t FROM STDIN BINARY", good + struct.pack("!hi", 2, -5), "COPY t, line 3, column a", "invalid field size")
        fails("22P04", client, "COPY t FROM STDIN BINARY", good + b"\xff\xffx", says="after EOF marker")
        assert rows(client) == []
        assert copy(client, "COPY t FROM STDIN BINARY", HEADER[:15] + struct.pack("!i", 3) + b"ext" + good[19:]) == "COPY 2"


def cut_anywhere():
    """Each piece of a random length, down to one byte: the same rows, and errors at the same place."""
    rng = random.Random(SEED)
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        for options, data in (("", b"1\ta\\\\\\\nb\r\n2\t\\N\r\n\\.\r\nx"), ("CSV", b'1,"a\r\n""b"\n\n2,c\n'[:-0 or None].replace(b"\n\n", b"\n")),
                              ("CSV", b'\\.x,y\n'.replace(b"\\.x", b"5")),
                              ("BINARY", HEADER + b"\0\2\0\0\0\4\0\0\0\1\0\0\0\3abc" + b"\0\2\xff\xff\xff\xff\0\0\0\0\xff\xff")):
            wanted = None
            for limit in (1, 1, 2, 3, 7, 1000):
                client.query("TRUNCATE t")
                tag = copy(client, f"COPY t FROM STDIN {options}", data, lambda: rng.randint(1, limit))
                got = (tag, rows(client))
                wanted = wanted or got
                assert got == wanted, (options, limit, got, wanted, SEED)
            assert int(wanted[0].split()[1]) == len(wanted[1]) > 0, wanted
        for limit in (1, 5, 1000):
            fails("22P04", client, "COPY t FROM STDIN", b"1\ta\n2\n3\tc\n", 'COPY t, line 2: "2"', 'missing data for column "b"', sizes=lambda: rng.randint(1, limit))


def errors_say_where():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR, d DATE, n DECIMAL(5,2), l INTEGER[], f DOUBLE, o BOOLEAN, y BLOB, u UUID, s SMALLINT)")
        one = "COPY t ({}) FROM STDIN"
        for column, value, code, says in (
                ("a", "abc", "22P02", 'invalid input syntax for type integer: "abc"'), ("a", "1.5", "22P02", "type integer"), ("a", "", "22P02", "type integer"),
                ("a", "2147483648", "22003", 'value "2147483648" is out of range for type integer'), ("s", "-32769", "22003", "type smallint"),
                ("a", "99999999999999999999999", "22003", "integer"), ("d", "2024-13-01", "22007", 'type date: "2024-13-01"'), ("d", "2024-01-01 x", "22007", "type date"), ("n", "1234.5", "22003", "numeric field overflow"),
                ("n", "x", "22P02", "type numeric"), ("l", "{1,x}", "22P02", 'invalid input syntax for type integer: "x"'), ("l", "1", "22P02", "malformed array"),
                ("f", "1e999", "22003", "double precision"), ("f", "0x1", "22P02", "double precision"), ("o", "maybe", "22P02", "type boolean"),
                ("y", "\\\\x4", "22P02", "type bytea"), ("u", "zzz", "22P02", "type uuid")):
            data = f"\\N\n{value}\n\\N\n".encode()
            shown = value.replace("\\\\", "\\")
            fields = fails(code, client, one.format(column), data, f'COPY t, line 2, column {column}: "{shown}"', says)
            assert "P" not in fields, fields
        fails("22P04", client, one.format("a, b"), b"1\tx\ty\n", 'COPY t, line 1: "1\tx\ty"', "extra data after last expected column")
        fails("22P04", client, one.format("a, b"), b"1\tx\n2\n", 'COPY t, line 2: "2"', 'missing data for column "b"')
        fails("22021", client, one.format("b"), b"ok\n\xff\n", "COPY t, line 2", "0xff")
        fails("22021", client, one.format("b"), b"ok\n\\xff\n", None, "0xff")
        fails("22P04", client, one.format("b"), b"a\nb\r\nc\n", "COPY t, line 2", "literal carriage return found in data")
        fails("22P04", client, one.format("b"), b"a\\.\n", "COPY t, line 1", "end-of-copy marker")
        fails("22P02", client, one.format("a"), b"x" * 150 + b"\n", 'COPY t, line 1, column a: "' + "x" * 100 + '..."')
        fails("42703", client, one.format("nope"), b"")
        fails("42701", client, one.format("a, a"), b"")
        assert rows(client) == []
        # An error of what the engine converts, behind many good rows.
        fields = fails("22007", client, one.format("d"), b"2024-01-01\n" * 300000 + b"2024-02-30\n" + b"2024-01-01\n" * 10, 'COPY t, line 300001, column d: "2024-02-30"')
        assert rows(client) == []


def options_are_checked():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        for options, code in (("(FORMAT xml)", "22023"), ("(DELIMITER 'ab')", "22023"), ("(DELIMITER 'a')", "22023"), ("(QUOTE '!')", "0A000"), ("CSV DELIMITER '\"'", "22023"),
                              ("(NULL E'a\\n')", "22023"), ("BINARY DELIMITER ','", "42601"), ("(FORMAT csv, FORMAT text)", "42601"), ("(ENCODING 'latin1')", "0A000"),
                              ("(ON_ERROR ignore)", "0A000"), ("(FREEZE)", "0A000"), ("(FORMAT csv, FORCE_QUOTE *)", "0A000"), ("(FORMAT csv, FORCE_NULL (c))", "42703"),
                              ("(nonsense 1)", "42601"), ("WHERE a > 1", "0A000"), ("(FORMAT csv", "42601"), ("(HEADER maybe)", "42601")):
            fails(code, client, f"COPY t FROM STDIN {options}", b"")
        assert "ON_ERROR" in fails("0A000", client, "COPY t FROM STDIN (ON_ERROR ignore)", b"")["M"]
        copy(client, "COPY t FROM STDIN (ON_ERROR stop)", b"1\tx\n")
        for statement, code in (("COPY nope FROM STDIN", "0A000"), ("COPY t FROM '/etc/passwd'", "42501"), ("COPY t FROM PROGRAM 'id'", "42501"),
                                ("COPY (SELECT 1) FROM STDIN", "42601"), ("COPY t (a FROM STDIN", "42601")):
            fails(code, client, statement, b"")
        assert '"nope" cannot be written' in fails("0A000", client, "COPY nope FROM STDIN", b"")["M"]
        assert client.query("SELECT 1") == [["1"]]


def all_or_nothing():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        copy(client, "COPY t FROM STDIN", b"1\tx\n")
        client.query("BEGIN")
        copy(client, "COPY t FROM STDIN", b"2\ty\n")
        assert len(rows(client)) == 2
        fails("22P02", client, "COPY t FROM STDIN", b"3\tz\nx\ty\n")
        refused("25P02", client.query, "SELECT 1")
        client.query("ROLLBACK")
        assert rows(client) == [["1", "x"]]
        client.query("BEGIN; SAVEPOINT s")
        fails("22P02", client, "COPY t FROM STDIN", b"x\ty\n")
        client.query("ROLLBACK TO s")
        copy(client, "COPY t FROM STDIN", b"2\ty\n")
        client.query("COMMIT")
        assert rows(client) == [["1", "x"], ["2", "y"]]
        # One message is one transaction, also with data in its middle.
        begin(client, "COPY t FROM STDIN; SELECT count(*) FROM t; COPY t (b) FROM STDIN; SELECT 7")
        client.send(message("d", b"3\tz\n"), message("c"))
        messages = client.until("G")
        assert [kind for kind, _ in messages] == ["C", "T", "D", "C", "G"], messages
        client.send(message("d", b"last\n"), message("c"))
        assert [kind for kind, _ in client.until("Z")] == ["C", "T", "D", "C", "Z"]
        assert len(rows(client)) == 4
        begin(client, "COPY t FROM STDIN; SELECT 'x'::INTEGER")
        client.send(message("d", b"5\tz\n"), message("c"))
        assert error_of(client.until("Z"))["C"] == "22P02" and len(rows(client)) == 4


def ends_in_the_middle():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        fields = fails("57014", client, "COPY t FROM STDIN", b"1\tx\n", says="COPY from stdin failed: the disk is gone", end=message("f", b"the disk is gone\0"))
        assert "W" not in fields
        fails("08P01", client, "COPY t FROM STDIN", b"1\tx\n", says="unexpected message type 0x51", end=message("Q", b"SELECT 1\0"))
        begin(client, "COPY t FROM STDIN")  # an error comes at once, and what follows it is passed over
        client.send(message("d", b"x\ty\n"))
        assert error_of(client.until("Z"))["C"] == "22P02"
        client.send(message("d", b"1\ty\n"), message("c"), message("Q", b"SELECT 1\0"))
        assert [kind for kind, _ in client.until("Z")] == ["T", "D", "C", "Z"]
        begin(client, "COPY t FROM STDIN")  # Flush and Sync say nothing here
        client.send(message("H"), message("S"), message("d", b"1\ty\n"), message("S"), message("c"))
        assert [kind for kind, _ in client.until("Z")] == ["C", "Z"] and rows(client) == [["1", "y"]]
        client.query("TRUNCATE t")
        begin(client, "COPY t FROM STDIN")  # a cancel, with nothing under way
        client.send(message("d", b"1\ty\n"))
        time.sleep(0.2)
        client.cancel(server.port)
        time.sleep(0.5)
        client.send(message("d", b"2\ty\n"))
        assert error_of(client.until("Z"))["C"] == "57014" and rows(client) == []
        client.query("SET query.timeout = '1s'")
        begin(client, "COPY t FROM STDIN")
        time.sleep(1.5)
        client.send(message("c"))
        assert error_of(client.until("Z"))["C"] == "57014"
        client.query("RESET query.timeout")
        assert rows(client) == []


def a_client_that_goes_leaves_nothing():
    with Server(MOAT, setup="GRANT ROLE moat_admin TO amelia;") as server, server.connect() as watcher:
        for i in range(8):
            client = server.connect()
            client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
            begin(client, "COPY t FROM STDIN")
            client.send(message("d", b"1\tx\n" * (i * 100000 + 1)))
            if i % 2:
                client.send(message("X"))
            client.socket.shutdown(socket.SHUT_RDWR)
            client.socket.close()
        deadline = time.monotonic() + 120
        while (left := watcher.query("SELECT count(*) FROM pg_stat_activity")[0][0]) != "1":
            assert time.monotonic() < deadline, left
            time.sleep(0.1)
        assert watcher.query("SELECT 1") == [["1"]]


def a_host_that_dies_is_told():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        begin(client, "COPY t FROM STDIN")
        client.send(message("d", b"1\tx\n" * 200000))
        time.sleep(0.5)
        for pid in processes.children(server.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:  # it ended by itself
                pass
        time.sleep(0.5)
        client.send(message("d", b"1\tx\n"), message("c"))
        assert error_of(client.until("Z"))["C"] == "XX000"
        assert rows(client) == [] and copy(client, "COPY t FROM STDIN", b"1\tx\n") == "COPY 1"


def a_server_that_stops_waits_for_no_data():
    with Server(MOAT, "server.drain_timeout=1s") as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        begin(client, "COPY t FROM STDIN")
        client.send(message("d", b"1\tx\n" * 200000))
        time.sleep(0.3)
        before = time.monotonic()
        assert server.stop() == 0 and time.monotonic() - before < 30


def extended_protocol():
    with Server(MOAT) as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        client.send(parse("", "COPY t FROM STDIN"), describe("S"), bind("", ""), describe("P"), execute(), message("S"))
        assert [kind for kind, _ in client.until("G")] == ["1", "t", "n", "2", "n", "G"]
        client.send(message("d", b"1\tx\n"), message("c"), message("S"))
        messages = client.until("Z")
        assert [kind for kind, _ in messages] == ["C", "Z"] and messages[0][1] == b"COPY 1\0"
        client.send(parse("c", "COPY t FROM STDIN"), bind("", "c"), execute(), message("S"))
        client.until("G")
        client.send(message("d", b"x\tx\n"), message("d", b"1\tx\n"), message("c"), parse("", "SELECT 1"), message("S"))
        messages = client.until("Z")
        assert [kind for kind, _ in messages] == ["E", "Z"] and error_of(messages)["W"] == 'COPY t, line 1, column a: "x"', messages
        client.send(bind("p", "c"), execute("p"))
        client.until("G")
        client.send(message("d", b"2\ty\n"), message("c"), execute("p"), message("S"))
        messages = client.until("Z")
        assert [kind for kind, _ in messages] == ["C", "E", "Z"] and error_of(messages)["C"] == "55000", messages
        client.send(bind("", "c"), execute(), message("S"))
        client.until("G")
        client.send(message("f", b"no\0"), message("S"))
        assert error_of(client.until("Z"))["C"] == "57014"
        assert rows(client) == [["1", "x"], ["2", "y"]]


def long_lines_and_much_data():
    with Server(MOAT, "server.message_bytes_max=1MiB") as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a BIGINT, b VARCHAR)")
        line = b"1\t" + b"x" * 1_000_000 + b"\n"
        assert copy(client, "COPY t FROM STDIN", line * 5, lambda: 65536) == "COPY 5"
        assert client.query("SELECT count(*), min(length(b)) FROM t") == [["5", "1000000"]]
        fields = fails("54000", client, "COPY t FROM STDIN", b"1\t" + b"x" * 3_000_000, "COPY t, line 1", sizes=lambda: 65536)
        assert "message_bytes_max" in fields["H"]
        fails("54000", client, "COPY t FROM STDIN CSV", b'1,"' + b"x\n" * 1_500_000, "COPY t, line 1", sizes=lambda: 65536)
        client.query("TRUNCATE t")
        before = server.resident()
        block = b"".join(b"%d\t%d and some words to make it longer\n" % (i, i) for i in range(20000))
        begin(client, "COPY t FROM STDIN")
        for _ in range(100):
            for at in range(0, len(block), 60000):
                client.send(message("d", block[at:at + 60000]))
        client.send(message("c"))
        messages = client.until("Z")
        assert messages[0] == ("C", b"COPY 2000000\0"), messages
        grown = server.resident() - before
        assert grown < 64 << 20, f"{grown >> 20} MiB for {100 * len(block) >> 20} MiB"
        assert client.query("SELECT count(*), sum(a) FROM t") == [["2000000", str(100 * sum(range(20000)))]]
        # In the order in which they came.
        assert client.query("SELECT count(*) FROM (SELECT a, lag(a, 1, -1) OVER () AS p FROM t) WHERE a <> (p + 1) % 20000") == [["0"]]


def disk_limit_and_audit():
    with Server(MOAT, "session.temp_disk=1MiB") as server, server.connect() as client:
        client.query("CREATE TEMP TABLE t (a BIGINT, b VARCHAR)")
        data = b"".join(b"%d\t%s\n" % (i, os.urandom(30).hex().encode()) for i in range(200000))
        fails("53400", client, "COPY t FROM STDIN", data, sizes=lambda: 60000)
        assert rows(client) == []
        copy(client, "COPY t FROM STDIN", b"1\tx\n")
        fails("22P02", client, "COPY t FROM STDIN", b"x\tx\n")
        client.close()
        server.stop()  # with all records
        trail = "".join(open(os.path.join(folder, name)).read() for folder, _, names in os.walk(server.folder) for name in names if "audit" in os.path.join(folder, name) and name.endswith((".jsonl", ".log", ".ndjson")))
        assert trail.count("COPY t FROM STDIN") >= 4 and '"53400"' in trail and '"22P02"' in trail, "start and end of each"


TYPES = {
    "BOOLEAN": lambda r: r.choice(["true", "false"]), "TINYINT": lambda r: r.randint(-128, 127), "SMALLINT": lambda r: r.randint(-2**15, 2**15 - 1),
    "INTEGER": lambda r: r.choice([-2**31, 2**31 - 1, r.randint(-99, 99)]), "BIGINT": lambda r: r.choice([-2**63, 2**63 - 1, r.randint(-10**12, 10**12)]),
    "UTINYINT": lambda r: r.randint(0, 255), "USMALLINT": lambda r: r.randint(0, 65535), "UINTEGER": lambda r: r.randint(0, 2**32 - 1),
    "UBIGINT": lambda r: r.choice([2**64 - 1, r.randint(0, 2**64 - 1)]), "HUGEINT": lambda r: r.randint(-2**120, 2**120),
    "FLOAT": lambda r: r.choice(["'nan'", "'inf'", "'-inf'", "1e-40", str(r.uniform(-1e30, 1e30))]), "DOUBLE": lambda r: r.choice(["'nan'", "'-inf'", "1e-300", repr(r.uniform(-1e300, 1e300))]),
    "DECIMAL(9,2)": lambda r: r.randint(-10**9 + 1, 10**9 - 1) / 100, "DECIMAL(38,10)": lambda r: f"'{r.randint(-10**27, 10**27)}.{r.randint(0, 10**10 - 1):010}'",
    "VARCHAR": lambda r: "'" + "".join(r.choice(["a", "é", "\\", "\t", "\n", "\r", '"', "''", ",", "\\N", "\\.", "😀", " ", ""]) for _ in range(r.randint(0, 8))) + "'",
    "BLOB": lambda r: "'" + "".join(f"\\x{r.randint(0, 255):02X}" for _ in range(r.randint(0, 6))) + "'",
    "DATE": lambda r: "'" + r.choice(["infinity", "-infinity", "2000-01-01", "1999-12-31", "0001-01-01", "0044-03-15 (BC)", "9999-12-31"]) + "'",
    "TIME": lambda r: f"'{r.randint(0, 23):02}:{r.randint(0, 59):02}:{r.randint(0, 59):02}.{r.randint(0, 999999):06}'",
    "TIMESTAMP": lambda r: r.choice(["'infinity'", "'-infinity'", "'1969-12-31 23:59:59.999999'", "'2024-02-29 12:00:00.5'", "'0001-01-01 00:00:00'"]),
    "TIMESTAMP WITH TIME ZONE": lambda r: r.choice(["'infinity'", "'1969-12-31 23:59:59.999999+00'", "'2024-02-29 12:00:00+05:30'"]),
    "UUID": lambda r: f"'{uuid.UUID(int=r.getrandbits(128))}'", "INTERVAL": lambda r: f"'{r.randint(-20, 20)} months {r.randint(-40, 40)} days {r.randint(-10**6, 10**6)} seconds'",
    "TIMESTAMP_S": lambda r: "'2024-02-29 12:00:01'", "TIMESTAMP_NS": lambda r: "'2024-02-29 12:00:01.000001'",
    "TIMESTAMPTZ_NS": lambda r: r.choice(["'2024-02-29 12:00:01.000001+02'", "'1969-12-31 23:59:59.999999+00'"]),
    "INTEGER[]": lambda r: str([r.randint(-9, 9) for _ in range(r.randint(0, 4))] + [None] * r.randint(0, 1)).replace("None", "NULL"),
    "VARCHAR[]": lambda r: "[" + ", ".join(r.choice(["'a'", "''", "NULL", "'NULL'", "'b,\"c\"'", "'d\\e'", "'{f}'", "'it''s'"]) for _ in range(r.randint(0, 4))) + "]",
    "DOUBLE[]": lambda r: f"[{r.uniform(-1, 1)!r}, NULL]", "DATE[]": lambda r: "[DATE '2020-01-01', NULL]", "BIGINT[][]": lambda r: "[[1, 2], NULL, []]",
}


def round_trip():
    """Random rows of all types: COPY TO of one table is COPY FROM of another, in each format, and both are then equal."""
    rng = random.Random(SEED)
    skipped = {"binary": ["UTINYINT"] and []}
    with Server(MOAT) as server, server.connect() as client:
        for turn in range(3):
            types = list(TYPES) if turn == 0 else rng.sample(list(TYPES), 6)
            columns = ", ".join(f"c{i} {kind}" for i, kind in enumerate(types))
            client.query(f"CREATE TEMP TABLE a{turn} ({columns})")
            lines = ["(" + ", ".join("NULL" if rng.random() < 0.15 else f"({TYPES[kind](rng)})::{kind}" for kind in types) + ")" for _ in range(40)]
            client.query(f"INSERT INTO a{turn} VALUES {', '.join(lines)}")
            for form in ("text", "csv", "csv, HEADER, DELIMITER ';', QUOTE '''', ESCAPE '\\', NULL 'nil'", "text, DELIMITER '|', NULL ''", "binary"):
                kinds = [i for i, kind in enumerate(types) if kind not in skipped.get(form, [])]
                names = ", ".join(f"c{i}" for i in kinds)
                client.send(message("Q", f"COPY a{turn} ({names}) TO STDOUT (FORMAT {form})".encode() + b"\0"))
                messages = client.until("Z")
                assert not error_of(messages), (form, error_of(messages), SEED)
                data = b"".join(body for kind, body in messages if kind == "d")
                client.query(f"CREATE TEMP TABLE b{turn} ({columns})")
                assert copy(client, f"COPY b{turn} ({names}) FROM STDIN (FORMAT {form})", data, lambda: rng.randint(1, 5000)) == "COPY 40", SEED
                for one, other in (("a", "b"), ("b", "a")):
                    apart = client.query(f"SELECT count(*) FROM (SELECT {names} FROM {one}{turn} EXCEPT ALL SELECT {names} FROM {other}{turn})")
                    if form.startswith("text, ") or "NULL 'nil'" in form:
                        continue  # an empty text, or nil, is NULL there
                    if apart != [["0"]]:
                        bad = [types[i] for i in kinds if client.query(f"SELECT count(*) FROM (SELECT c{i} FROM {one}{turn} EXCEPT ALL SELECT c{i} FROM {other}{turn})") != [["0"]]]
                        raise AssertionError((form, bad, SEED))
                client.query(f"DROP TABLE b{turn}")


# ---- real clients ----

RECORDS = [(1, "one", decimal.Decimal("1.50"), datetime.date(2020, 2, 29), datetime.datetime(2020, 1, 1, 2, 3, 4, 5), True, b"\0\xff", uuid.UUID(int=7), 1.25, [1, 2]),
           (2, None, None, None, None, None, None, None, None, None), (3, 'tab\t"quote" \\ é', decimal.Decimal("-99.99"), datetime.date(1, 1, 1), datetime.datetime(1969, 12, 31), False, b"", uuid.UUID(int=2**128 - 1), -0.0, [])]
TABLE = "CREATE TEMP TABLE t (a INTEGER, b VARCHAR, n DECIMAL(9,2), d DATE, s TIMESTAMP, o BOOLEAN, y BLOB, u UUID, f DOUBLE, l INTEGER[])"
OIDS = ["int4", "text", "numeric", "date", "timestamp", "bool", "bytea", "uuid", "float8", "int4[]"]


def dsn(server):
    return f"host=127.0.0.1 port={server.port} user=amelia password='{PASSWORD}' dbname=moat"


def psql():
    with Server(MOAT) as server:
        path = os.path.join(server.folder, "data.csv")
        with open(path, "w") as file:
            file.write('a,b\n1,"x\ny"\n2,\n')
        script = (f"CREATE TEMP TABLE t (a INTEGER, b VARCHAR);\n\\copy t from '{path}' csv header\n\\copy t (a) from stdin\n5\n6\n\\.\n"
                  "COPY t FROM STDIN;\n7\tseven\n\\.\nSELECT count(*), sum(a) FROM t;\n\\copy t from stdin\nx\ty\n\\.\nSELECT 'still here';\n")
        outcome = subprocess.run(["psql", "-XAt", "-h", "127.0.0.1", "-p", str(server.port), "-U", "amelia", "moat"], capture_output=True, text=True, timeout=120, input=script,
                                 env={**os.environ, "PGPASSWORD": PASSWORD})
        assert outcome.stdout.splitlines() == ["CREATE TABLE", "COPY 2", "COPY 2", "COPY 1", "5|21", "still here"], outcome
        assert 'ERROR:  invalid input syntax for type integer: "x"\nCONTEXT:  COPY t, line 1, column a: "x"' in outcome.stderr, outcome.stderr


def psycopg_3():
    import psycopg
    with Server(MOAT) as server, psycopg.connect(dsn(server)) as connection:
        for form in ("(FORMAT BINARY)", "(FORMAT TEXT)"):
            with connection.transaction():
                connection.execute(TABLE)
                with connection.cursor() as cursor:
                    with cursor.copy(f"COPY t FROM STDIN {form}") as into:
                        into.set_types(OIDS)
                        for record in RECORDS:
                            into.write_row(record)
                    assert cursor.rowcount == 3
                assert connection.execute("SELECT * FROM t ORDER BY a").fetchall() == RECORDS
                connection.execute("DROP TABLE t")
        connection.execute(TABLE)
        connection.commit()
        try:
            with connection.cursor().copy("COPY t (a) FROM STDIN") as into:
                into.write("1\n")
                raise ValueError("ours")
        except ValueError:
            connection.rollback()
        try:
            with connection.cursor().copy("COPY t (a) FROM STDIN") as into:
                into.write("1\nx\n")
            raise AssertionError
        except psycopg.errors.InvalidTextRepresentation as error:
            assert error.diag.context == 'COPY t, line 2, column a: "x"', error.diag.context
            connection.rollback()
        try:
            with connection.cursor().copy("COPY t (a) FROM STDIN") as into:
                timer = threading.Timer(0.5, connection.cancel)
                timer.start()
                while timer.is_alive():  # libpq looks for an error only at the end
                    into.write("1\n" * 1000)
                    time.sleep(0.01)
                into.write("1\n" * 1000)
            raise AssertionError
        except psycopg.errors.QueryCanceled:
            connection.rollback()
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (0,)


def psycopg_2():
    import psycopg2
    with Server(MOAT) as server:
        connection = psycopg2.connect(dsn(server))
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        cursor.copy_from(io.StringIO("1\tx\n2\t\\N\n"), "t")
        cursor.copy_expert("COPY t FROM STDIN CSV", io.StringIO("3,y\n"))
        assert cursor.rowcount == 1
        cursor.execute("SELECT * FROM t ORDER BY a")
        assert cursor.fetchall() == [(1, "x"), (2, None), (3, "y")]
        connection.close()


def asyncpg_():
    import asyncpg

    async def talk(server):
        connection = await asyncpg.connect(host="127.0.0.1", port=server.port, user="amelia", password=PASSWORD, database="moat")
        await connection.execute(TABLE)
        assert await connection.copy_records_to_table("t", records=RECORDS, schema_name="pg_temp") == "COPY 3"
        assert [tuple(row) for row in await connection.fetch("SELECT * FROM t ORDER BY a")] == RECORDS
        assert await connection.copy_to_table("t", source=io.BytesIO(b"4,four\n"), columns=["a", "b"], format="csv") == "COPY 1"
        try:
            await connection.copy_to_table("t", source=io.BytesIO(b"x\n"), columns=["a"])
            raise AssertionError
        except asyncpg.InvalidTextRepresentationError as error:
            assert error.context == 'COPY t, line 1, column a: "x"', error.context
        assert await connection.fetchval("SELECT count(*) FROM t") == 4
        await connection.close()

    with Server(MOAT) as server:
        asyncio.run(talk(server))


def pg8000_():
    import pg8000.dbapi
    with Server(MOAT) as server:
        connection = pg8000.dbapi.connect(user="amelia", password=PASSWORD, host="127.0.0.1", port=server.port, database="moat")
        cursor = connection.cursor()
        cursor.execute("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")
        cursor.execute("COPY t FROM STDIN WITH (FORMAT csv)", stream=io.BytesIO(b"1,x\n2,\n"))
        cursor.execute("SELECT * FROM t ORDER BY a")
        assert [list(row) for row in cursor.fetchall()] == [[1, "x"], [2, None]]
        connection.close()


CASES = [text_format, csv_format, binary_format, cut_anywhere, errors_say_where, options_are_checked, all_or_nothing, ends_in_the_middle,
         a_client_that_goes_leaves_nothing, a_host_that_dies_is_told, a_server_that_stops_waits_for_no_data, extended_protocol, long_lines_and_much_data, disk_limit_and_audit, round_trip, psql, psycopg_3, psycopg_2, asyncpg_, pg8000_]

if __name__ == "__main__":
    words = [word for word in sys.argv[2:] if word != "--seed" and word != str(SEED)]
    print(f"seed {SEED}")
    run(CASES, words)
