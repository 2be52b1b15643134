#!/usr/bin/env python3
"""SQL over a WebSocket from outside: several statements at once, cancel, who does not read, who goes away, and frames that are none.

socket_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import json
import os
import random
import shutil
import socket
import struct
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from door import WebServer
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import authority
from protocol import PASSWORD, eventually, run
from websocket import Refused, WebSocket, frame

MOAT = sys.argv[1]
CLEAR = "login.insecure_loopback=true"
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
RUNNING = "SELECT count(*) FROM moat_system.running_queries WHERE statement LIKE '%range(1000%' AND statement NOT LIKE '%running_queries%'"


def served(*settings, **options):
    return WebServer(MOAT, CLEAR, *settings, **options)


def running(server, count):
    eventually(lambda: server.sql_over(RUNNING)["rows"] == [[count]])


def refused(status, *arguments, **options):
    try:
        WebSocket(*arguments, **options).close()
    except Refused as refusal:
        assert refusal.status == status, refusal
    else:
        raise AssertionError("it was let in")


def statements():
    with served() as server, WebSocket(server, Sec_WebSocket_Protocol="other, moat.v1") as client:
        assert "Sec-WebSocket-Protocol: moat.v1" in client.head
        columns, rows, end = client.run(1, "SELECT $1 AS t, $2::BIGINT AS i, NULL AS n", "é'\"", 41)
        assert [c["name"] for c in columns] == ["t", "i", "n"] and rows == [["é'\"", 41, None]], rows
        assert end == {"type": "done", "id": 1, "tag": "SELECT", "row_count": 1}, end
        assert client.run(1, "SELECT 9007199254740993", numbers="text")[1] == [["9007199254740993"]]
        columns, rows, end = client.run(2, "CREATE TEMP TABLE t AS SELECT 1 AS x")
        assert columns is None and end["type"] == "done" and end["tag"].startswith(("CREATE", "SELECT")), end
        assert client.run(3, "SELECT * FROM t")[2]["error"]["sqlstate"] == "42P01"  # each with a session of its own
        settings = {"catalog": "moat", "schema": "moat_system", "settings": {"query.rows_max": 5}}
        assert client.run(4, "SELECT current_schema", session=settings)[1] == [["moat_system"]]
        error = client.run(5, "SELECT 'é', nope FROM range(3) r(i)")[2]
        assert error["type"] == "error" and error["error"]["sqlstate"] == "42703" and error["error"]["position"] == 13, error
        for wrong in ({"sql": ""}, {"sql": "SELECT 1; SELECT 2"}, {"sql": "SELECT 1", "format": "csv"}, {"sql": "SELECT 1", "async": True},
                      {"sql": "SELECT 1", "nope": 1}, {"sql": "SELECT $1", "parameters": [[1]]}, {}):
            client.send(type="run", id=6, **wrong)
            assert client.answer(6)[2]["type"] == "error", wrong
        assert client.run(7, "SELECT i, repeat('x', 100) FROM range(20000) r(i)")[2]["row_count"] == 20000
        assert client.run(2**53, "SELECT 1")[1] == [[1]]


def several_at_once():
    with served() as server, WebSocket(server) as client:
        client.send(type="run", id=1, sql=LONG)
        running(server, 1)
        for number in range(2, 8):
            client.send(type="run", id=number, sql=f"SELECT i, {number} FROM range(5000) r(i)")
        ends, rows = {}, {}
        while len(ends) < 6:
            got = client.message()
            if got["type"] == "rows":
                rows[got["id"]] = rows.get(got["id"], []) + got["rows"]
            elif got["type"] in ("done", "error"):
                ends[got["id"]] = got
        for number in range(2, 8):
            assert ends[number]["type"] == "done" and rows[number] == [[i, number] for i in range(5000)], ends[number]
        client.send(type="cancel", id=1)
        client.send(type="cancel", id=99)
        assert client.answer(1)[2]["error"]["sqlstate"] == "57014"
        running(server, 0)


def a_cancel_at_any_time():
    with served() as server, WebSocket(server) as client:
        for number in range(60):
            client.send(type="run", id=number, sql=LONG)
            time.sleep(random.random() * 0.03)
            client.send(type="cancel", id=number)
            assert client.answer(number)[2]["error"]["sqlstate"] == "57014"
        running(server, 0)


def a_window_holds_up_one():
    with served() as server, WebSocket(server) as client:
        client.send(type="run", id=1, sql="SELECT i, repeat('x', 1000) FROM range(100000) r(i)", window=2)
        got = [client.message() for _ in range(3)]
        assert [m["type"] for m in got] == ["started", "rows", "rows"], [m["type"] for m in got]
        assert client.run(2, "SELECT 1")[1] == [[1]]  # the other goes on
        client.send(type="more", id=1, count=1)
        assert client.message()["type"] == "rows"
        client.socket.settimeout(0.5)
        try:
            raise AssertionError(client.message())
        except TimeoutError:
            pass
        client.socket.settimeout(120)
        client.send(type="cancel", id=1)
        assert client.answer(1)[2]["error"]["sqlstate"] == "57014"
        client.send(type="run", id=3, sql="SELECT 1", window=0)
        assert client.message()["type"] == "started"
        pid = server.sql_over("SELECT pid FROM moat_system.running_queries WHERE statement = 'SELECT 1'")["rows"][0][0]
        assert server.sql_over(f"SELECT pg_terminate_backend({pid})")["rows"] == [[True]]
        assert client.answer(3)[2]["error"]["sqlstate"] == "57P01"


def who_does_not_read_holds_up_only_the_scan():
    with served() as server, WebSocket(server) as client:
        server.sql_over("SELECT 1")
        before = server.resident()
        client.send(type="run", id=1, sql="SELECT i, repeat('x', 1000) FROM range(100000000) r(i)")
        eventually(lambda: server.work() > 5)
        eventually(server.is_quiet)
        grown = server.resident() - before
        time.sleep(2)
        more = server.resident() - before - grown
        assert grown < 128 << 20 and more < 8 << 20, f"{grown >> 20} MiB, then {more >> 20} more"
        client.socket.sendall(frame(9, b"still here?"))  # a pong cannot be sent now, and nothing waits for it
        client.send(type="cancel", id=1)
        eventually(lambda: server.sql_over("SELECT count(*) FROM moat_system.running_queries WHERE statement LIKE 'SELECT i, repeat%'")["rows"] == [[0]])
        pongs, end = [], None
        while end is None:
            opcode, payload = client.read()
            if opcode == 10:
                pongs.append(payload)
            elif opcode == 1 and b'"type":"error"' in payload[:40]:
                end = json.loads(payload)
        assert end["error"]["sqlstate"] == "57014"
        if not pongs:
            assert client.read() == (10, b"still here?")


def who_goes_away_frees_the_engine():
    with served() as server:
        for how in ("close", "reset", "frame"):
            client = WebSocket(server)
            for number in range(3):
                client.send(type="run", id=number, sql=LONG)
            running(server, 3)
            if how == "reset":
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            if how == "frame":
                client.socket.sendall(frame(8, struct.pack(">H", 1000)))
                assert client.last_code() == 1000
            client.close()
            running(server, 0)


def who_asks():
    with served("login.account_tries=20", setup=f"CREATE USER eve PASSWORD '{PASSWORD}'") as server:
        with WebSocket(server) as one, WebSocket(server, user="eve") as other:
            assert one.run(1, "SELECT current_user")[1] == [["amelia"]] and other.run(1, "SELECT current_user")[1] == [["eve"]]
            server.sql("DROP USER eve")
            assert other.run(2, "SELECT current_user")[2]["error"]["sqlstate"].startswith("28")
            assert one.run(2, "SELECT current_user")[1] == [["amelia"]]
        refused(401, server, user=None)
        refused(401, server, password="wrong")
        host = f"127.0.0.1:{server.web_port}"
        WebSocket(server, Origin="http://" + host).close()
        for origin in ("http://evil.example", "null", "http://" + host + ".evil.example"):
            refused(403, server, Origin=origin)
        refused(400, server, path="/v1/ws?token=x")
        # A cookie is enough for this page only, which a browser names; it cannot send the header.
        status, session, answer = server.ask("POST", "/v1/session", {"user": "amelia", "password": PASSWORD}, user=None, headers={"X-Moat-CSRF": "x"})
        cookie = answer.getheader("Set-Cookie").split(";")[0]
        refused(401, server, user=None, Cookie=cookie)
        refused(403, server, user=None, Cookie=cookie, Origin="http://evil.example")
        with WebSocket(server, user=None, Cookie=cookie, Origin="http://" + host) as page:
            assert page.run(1, "SELECT current_user")[1] == [["amelia"]]
            page.send(type="run", id=2, sql=LONG)
            running(server, 1)
            assert server.ask("DELETE", "/v1/session", user=None, headers={"Cookie": cookie, "X-Moat-CSRF": session["csrf"]})[0] == 204
            assert page.last_code() == 1001  # signing out ends it
        running(server, 0)
        refused(401, server, user=None, Cookie=cookie, Origin="http://" + host)


def handshakes_that_are_none():
    with served() as server:
        refused(426, server, leave_out=("Upgrade",))
        refused(426, server, leave_out=("Connection",))
        refused(426, server, leave_out=("Sec-WebSocket-Version",))
        refused(426, server, Sec_WebSocket_Version="8")
        for key in ("", "x", "A" * 24, "!" * 22 + "=="):
            refused(400, server, **{"Sec_WebSocket_Key": key})
        assert server.ask("GET", "/v1/ws")[0] == 426 and server.ask("POST", "/v1/ws")[0] == 405


def frames_that_are_none():
    run_1 = json.dumps({"type": "run", "id": 1, "sql": "SELECT 1"}).encode()
    cases = [
        (1002, frame(1, run_1, mask=None)), (1002, frame(1, run_1, bits=0x40)), (1002, frame(3, b"x")), (1002, frame(11, b"x")),
        (1002, frame(9, b"x", final=False)), (1002, b"\x89\xfe\x00\x7e" + b"abcd" + b"x" * 126), (1002, frame(0, b"x")),
        (1002, frame(1, b"{", final=False) + frame(1, b"}")), (1002, b"\x81\xfe\x00\x05abcdxxxxx"), (1002, b"\x81\xff" + b"\0" * 7 + b"\x05abcdxxxxx"),
        (1002, b"\x81\xff\x80" + b"\0" * 7 + b"abcd"), (1003, frame(2, b"x")), (1007, frame(1, b"\xff\xfe")), (1009, b"\x81\xff\0\0\0\0\x40\0\0\0abcd"),
        (1008, frame(1, b"nonsense")), (1008, frame(1, b"[1]")), (1008, frame(1, b'{"type": "run"}')), (1008, frame(1, b'{"type": "x", "id": 1}')),
        (1008, frame(1, b'{"type": "run", "id": -1}')), (1008, frame(1, b'{"type":"more","id":1}')), (1008, frame(1, b'{"type":"run","id":1,"sql":"SELECT 1","window":"x"}')),
        (1002, frame(8, b"x")), (1002, frame(8, struct.pack(">H", 1005))), (1002, frame(8, struct.pack(">H", 999))), (1002, frame(8, b"\x03\xe8\xff")),
        (1000, frame(8)), (1000, frame(8, struct.pack(">H", 1000) + b"bye")), (4000, frame(8, struct.pack(">H", 4000))),
    ]
    with served() as server:
        for code, data in cases:
            with WebSocket(server) as client:
                client.socket.sendall(data)
                got = client.last_code()
                assert got == code, (code, got, data[:40])
        # What comes in pieces, with pings between, is one message.
        with WebSocket(server) as client:
            data = frame(1, run_1[:9], final=False) + frame(9, b"1") + frame(0, b"", final=False) + frame(0, run_1[9:]) + frame(10, b"unasked")
            for byte in data:
                client.socket.sendall(bytes([byte]))
            assert client.read() == (10, b"1") and client.answer(1)[1] == [[1]]
            big = "SELECT length($1)"
            assert client.run(2, big, "x" * 3000000)[1] == [[3000000]]
        with WebSocket(server) as client:
            client.send(type="run", id=1, sql=LONG)
            client.send(type="run", id=1, sql=LONG)
            assert client.last_code() == 1008
        with WebSocket(server) as client:
            for number in range(17):
                client.send(type="run", id=number, sql=LONG, window=0)
            assert client.last_code() == 1008
        running(server, 0)
        # Anything at all leaves the server as it was.
        for seed in range(100):
            source = random.Random(seed)
            with WebSocket(server) as client:
                client.socket.settimeout(2)
                try:
                    client.socket.sendall(bytes(source.choice((0x81, 0x01, 0x80, 0x88, 0x89, 0x84, 0xFE, source.randrange(256))) for _ in range(source.randrange(1, 200))))
                    client.socket.shutdown(socket.SHUT_WR)
                    while client.socket.recv(65536):
                        pass
                except OSError:
                    pass
        assert server.sql_over("SELECT 42")["rows"] == [[42]]


def over_tls():
    folder = tempfile.mkdtemp(prefix="moat-web-")
    pem, key = authority.certificate(folder, "server")
    with WebServer(MOAT, *authority.tls_settings(pem, key), "server.tls=required") as server, WebSocket(server) as client:
        assert client.run(1, "SELECT i FROM range(100000) r(i)")[2]["row_count"] == 100000
    shutil.rmtree(folder)
    with WebServer(MOAT) as server:
        refused(401, server)  # in the clear


def a_stop_ends_what_runs():
    server = served("server.drain_timeout=1s")
    client = WebSocket(server)
    client.send(type="run", id=1, sql=LONG)
    running(server, 1)
    begun = time.monotonic()
    server.close()
    assert time.monotonic() - begun < 30
    assert client.answer(1)[2]["error"]["sqlstate"] in ("57014", "57P01")
    assert client.last_code() == 1001


def sockets_that_do_nothing_end():
    with served("server.idle_timeout=2s") as server:
        with WebSocket(server) as client:
            assert client.last_code() == 1001
        with WebSocket(server) as client:
            client.send(type="run", id=1, sql=LONG)
            time.sleep(5)
            client.send(type="cancel", id=1)
            assert client.answer(1)[2]["error"]["sqlstate"] == "57014"


if __name__ == "__main__":
    sys.exit(run([statements, several_at_once, a_cancel_at_any_time, a_window_holds_up_one, who_does_not_read_holds_up_only_the_scan,
                  who_goes_away_frees_the_engine, who_asks, handshakes_that_are_none, frames_that_are_none, over_tls, a_stop_ends_what_runs,
                  sockets_that_do_nothing_end], sys.argv[2:]))
