#!/usr/bin/env python3
"""Lists of sessions and of running queries; who may see them, and who may stop whom.

sessions_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import csv
import os
import socket
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from protocol import Refused, Server, PASSWORD, eventually, fields_of, message, refused, run, text

MOAT = sys.argv[1]
LONG = "SELECT count(*), 'secret-4711' FROM range(100000000000) a, range(100000000000) b"
PEOPLE = "".join(
    f"CREATE USER {name} PASSWORD '{PASSWORD}';" for name in ("bob", "ada", "op")) + (
    "GRANT ROLE moat_admin TO ada; CREATE ROLE moat_operator; GRANT ROLE moat_operator TO op;")


def owner_of(server):
    return server.sql("SELECT current_user").split()[-1]


def serve(*settings):
    server = Server(MOAT, *settings, setup=PEOPLE)
    return server


def pid_of(client):
    return int.from_bytes(client.key[:4], "big")


class Running:
    """A statement that runs on a connection of its own until somebody ends it."""

    def __init__(self, server, user="amelia", statement=LONG):
        self.client, self.error = server.connect(user=user), None
        self.pid = pid_of(self.client)
        self.thread = threading.Thread(target=self.work, args=(statement,), daemon=True)
        self.thread.start()
        with server.connect(user=user) as same:
            eventually(lambda: same.query(f"SELECT state FROM moat_system.running_queries WHERE pid = {self.pid}") in ([["RUNNING"]], [["STREAMING"]]))

    def work(self, statement):
        try:
            self.client.query(statement)
        except (Refused, OSError) as error:
            self.error = error

    def ended(self):
        self.thread.join(120)
        assert not self.thread.is_alive(), "it still runs"
        return getattr(self.error, "code", None) or self.error


def everybody_sees_their_own():
    with serve() as server:
        owner = owner_of(server)
        server.sql(f"ALTER USER {owner} PASSWORD '{PASSWORD}'")
        long = Running(server)
        clients = {name: server.connect(user=name, application_name=f"tool of {name}") for name in ("amelia", "bob", "ada", "op", owner)}
        for name, sees in (("amelia", {"amelia"}), ("bob", {"bob"}), ("ada", None), ("op", None), (owner, None)):
            sessions = clients[name].query('SELECT "user", pid, is_self, statement FROM moat_system.sessions')
            people = {row[0] for row in sessions}
            assert people == (sees or {"amelia", "bob", "ada", "op", owner}), (name, people)
            assert [row[1] for row in sessions if row[2] == "t"] == [str(pid_of(clients[name]))], sessions
            activity = clients[name].query("SELECT usename, pid, state, query, client_addr, application_name FROM pg_stat_activity")
            assert {row[0] for row in activity} == people and all(row[4] == "127.0.0.1" for row in activity)
            assert [name, str(pid_of(clients[name])), "active"] in [row[:3] for row in activity]
            queries = clients[name].query("SELECT statement, rows_out, state FROM moat_system.running_queries WHERE \"user\" = 'amelia' AND statement LIKE '%range%range%'")
            texts = [row[0] for row in queries] + [row[3] or "" for row in sessions + activity]
            tells = any("4711" in words for words in texts)
            assert tells == (name in ("amelia", "ada", owner)), (name, texts)
            if name == "op":
                assert queries[0][0].startswith("SELECT count ( * ) , ? FROM range ( ?"), queries
        assert clients["bob"].query(f"SELECT count(*) FROM moat_system.sessions WHERE pid = {long.pid}") == [["0"]]
        clients["amelia"].query(f"SELECT pg_terminate_backend({long.pid})")
        long.ended()
        for client in clients.values():
            client.close()


def states_and_names_are_told():
    with serve() as server, server.connect() as client, server.connect() as other:
        def seen(what):
            return other.query(f"SELECT {what} FROM moat_system.sessions WHERE pid = {pid_of(client)}")[0][0]

        assert seen("state") == "idle" and seen("protocol") == "postgresql" and seen("provider") == "password"
        client.query("BEGIN")
        eventually(lambda: seen("state") == "idle in transaction")
        refused("42P01", client.query, "SELECT * FROM nope")
        eventually(lambda: seen("state") == "idle in transaction (aborted)")
        client.query("ROLLBACK; SET application_name = 'Büro'")
        assert seen("application_name") == "B??ro"  # as PostgreSQL: printable ASCII
        client.query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM range(100000)")
        client.query("FETCH 5 FROM c")
        rows = other.query(f"SELECT statement, command FROM moat_system.running_queries WHERE pid = {pid_of(client)}")
        assert rows == [["SELECT * FROM range(100000)", "SELECT"]], rows
        client.query("COMMIT")
        assert other.query(f"SELECT * FROM moat_system.running_queries WHERE pid = {pid_of(client)}") == []
        client.close()
        eventually(lambda: other.query("SELECT count(*) FROM moat_system.sessions") == [["1"]])


def own_statements_and_sessions_are_stopped():
    with serve() as server, server.connect() as client:
        assert client.query("SELECT pg_backend_pid()") == [[str(pid_of(client))]]
        assert client.query("SELECT pg_backend_pid() + 0, (SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid())") == [[str(pid_of(client)), "1"]]
        long = Running(server)
        assert client.query(f"SELECT pg_cancel_backend({long.pid})") == [["t"]]
        assert long.ended() == "57014"
        assert long.client.query("SELECT 1") == [["1"]]  # the session goes on
        assert client.query(f"SELECT pg_catalog.pg_terminate_backend({long.pid}) AS gone") == [["t"]]
        assert long.client.last_words() == "57P01"
        many = [Running(server) for _ in range(3)]
        idle = server.connect()
        rows = client.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = current_user AND pid <> pg_backend_pid()")
        assert rows == [["t"]] * 4, rows
        assert all(one.ended() in ("57014", "57P01") for one in many) and idle.last_words() == "57P01"
        assert client.query("SELECT pg_cancel_backend(2000000000)") == [["f"]]
        assert client.query("SELECT pg_cancel_backend(NULL)") == [[None]]
        client.send(message("Q", text("SELECT pg_terminate_backend(pg_backend_pid())")))
        kind, body = client.read()  # as in PostgreSQL: that, and nothing after it
        assert kind == "E" and fields_of(body)["C"] == "57P01" and body.startswith(b"SFATAL"), (kind, body)
        assert client.is_closed()


def others_are_not():
    with serve() as server:
        owner = owner_of(server)
        server.sql(f"ALTER USER {owner} PASSWORD '{PASSWORD}'")
        clients = {name: server.connect(user=name) for name in ("amelia", "bob", "ada", "op", owner)}
        may = {"amelia": {"amelia"}, "bob": {"bob"}, "op": {"amelia", "bob", "op"}, "ada": {"amelia", "bob", "op", "ada"},
               owner: {"amelia", "bob", "op", "ada", owner}}
        for name, stopped in may.items():
            for other in clients:
                if other != name:  # what a cancel finds is idle: nothing happens
                    assert clients[name].query(f"SELECT pg_cancel_backend({pid_of(clients[other])})") == [["t" if other in stopped else "f"]], (name, other)
        long = Running(server)
        assert clients["bob"].query(f"SELECT pg_terminate_backend({long.pid})") == [["f"]]
        assert clients["bob"].query("SELECT pg_terminate_backend(pid) FROM (VALUES " + ", ".join(f"({n})" for n in range(1, 50) if n != pid_of(clients["bob"])) + ") v(pid)") == [["f"]] * 48
        assert clients["op"].query(f"SELECT pg_cancel_backend({long.pid})") == [["t"]]
        assert long.ended() == "57014"
        for client in clients.values():
            assert client.query("SELECT 1") == [["1"]]
        assert clients["ada"].query(f"SELECT pg_terminate_backend({pid_of(clients['bob'])})") == [["t"]]
        assert clients["bob"].last_words() == "57P01"
        trail = server.sql("SELECT \"user\", command, statement FROM moat_system.audit WHERE command IN ('CANCEL', 'TERMINATE')")
        assert any(row[:2] == ["ada", "TERMINATE"] and '"bob"' in row[2] for row in csv.reader(trail.splitlines())), trail
        long.client.close()


def cancel_keys_of_others_do_nothing():
    with serve() as server:
        long = Running(server)
        secret = long.client.key[4:]
        for key in (long.client.key[:4] + bytes(4), long.client.key[:4] + secret[:-1] + bytes([secret[-1] ^ 1]), long.client.key[:4], long.client.key + b"x",
                    long.client.key[:4] + bytes(300)):
            long.client.cancel(server.port, key)
        with server.connect(user="bob") as bob:
            bob.cancel(server.port, long.client.key[:4] + bob.key[4:])
        time.sleep(0.5)
        assert long.thread.is_alive()
        long.client.cancel(server.port)
        assert long.ended() == "57014"


def it_is_the_one_column_or_nothing():
    with serve() as server, server.connect() as client:
        for statement in ("SELECT pg_cancel_backend(1), 2", "SELECT 1, pg_cancel_backend(1)", "SELECT NOT pg_cancel_backend(1)", "SELECT pg_terminate_backend(1, 1000)",
                          "SELECT pg_cancel_backend()", "SELECT pg_cancel_backend(1) = true", "SELECT * FROM pg_cancel_backend(1)",
                          "SELECT (pg_cancel_backend(1))", "SELECT 1 WHERE pg_cancel_backend(1)", "EXPLAIN SELECT pg_cancel_backend(1)"):
            try:
                client.query(statement)
                raise AssertionError(f"{statement} ran")
            except Refused as error:
                assert error.code in ("0A000", "42501", "42883", "42601"), (statement, error)
        refused("0A000", client.query, "SELECT pg_cancel_backend(1")
        assert client.query("SELECT pg_cancel_backend(pid) AS \"a b\" FROM pg_stat_activity WHERE pid = -1") == []
        try:
            import psycopg
        except ImportError:
            return
        with psycopg.connect(host="127.0.0.1", port=server.port, user="amelia", password=PASSWORD, dbname="moat") as connection:
            for _ in range(8):  # prepared after some
                cursor = connection.execute("SELECT pg_cancel_backend(%s)", (2000000000,))
                assert cursor.fetchone() == (False,) and cursor.description[0].name == "pg_cancel_backend" and cursor.description[0].type_code == 16


def who_does_not_read_is_ended_too():
    with serve() as server, server.connect() as client:
        deaf = server.connect()
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.send(message("Q", text("SELECT repeat('x', 1000) FROM range(10000000)")))
        eventually(lambda: client.query(f"SELECT state FROM moat_system.running_queries WHERE pid = {pid_of(deaf)}") == [["STREAMING"]])
        assert client.query(f"SELECT pg_terminate_backend({pid_of(deaf)})") == [["t"]]
        eventually(lambda: client.query(f"SELECT count(*) FROM moat_system.sessions WHERE pid = {pid_of(deaf)}") == [["0"]])


def nobody_becomes_another():
    with serve() as server, server.connect() as client:
        for statement in ("SET SESSION AUTHORIZATION bob", "SET ROLE bob", "SET ROLE moat_admin", "SET session_authorization = 'bob'", "SET role = 'bob'",
                          "SET LOCAL SESSION AUTHORIZATION bob", "SET LOCAL ROLE bob"):
            try:
                client.query(statement)
                raise AssertionError(f"{statement} was taken")
            except Refused as error:
                assert error.code in ("42501", "0A000", "55P02", "22023"), (statement, error)
                assert error.fields.get("H"), (statement, error.fields)
        for statement in ("RESET ROLE", "SET ROLE NONE", "RESET SESSION AUTHORIZATION", "SET SESSION AUTHORIZATION DEFAULT"):
            client.query(statement)  # what pools send
        assert client.query("SELECT current_user, session_user") == [["amelia", "amelia"]]


CASES = [everybody_sees_their_own, states_and_names_are_told, own_statements_and_sessions_are_stopped, others_are_not,
         cancel_keys_of_others_do_nothing, it_is_the_one_column_or_nothing, who_does_not_read_is_ended_too, nobody_becomes_another]

if __name__ == "__main__":
    sys.exit(run(CASES, sys.argv[2:]))
