#!/usr/bin/env python3
"""Transactions and temporary tables over the protocol: what others see, what a message with several statements is, how they end.

transaction_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import os
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from protocol import Server, refused, run

MOAT = sys.argv[1]
SETUP = "GRANT ROLE moat_admin TO amelia;"


def serve(*settings):
    return Server(MOAT, *settings, setup=SETUP)


def views(client):
    return [name for name, in client.query("SELECT viewname FROM pg_views WHERE schemaname = 'main' ORDER BY 1")]


def nobody_sees_it_before_its_commit():
    with serve() as server, server.connect() as one, server.connect() as two:
        one.query("BEGIN")
        one.query("CREATE VIEW v AS SELECT 1 AS a")
        assert views(one) == ["v"] and views(two) == []
        assert one.query("SELECT a FROM v") == [["1"]]
        refused("42P01", two.query, "SELECT a FROM v")
        one.query("COMMIT")
        assert two.query("SELECT a FROM v") == [["1"]]
        two.query("BEGIN; DROP VIEW v; SAVEPOINT s; CREATE VIEW w AS SELECT 2 AS a; ROLLBACK TO s")
        assert views(two) == [] and views(one) == ["v"]
        two.query("ROLLBACK")
        assert views(two) == ["v"]


def a_message_is_one_transaction():
    with serve() as server, server.connect() as client:
        refused("22P02", client.query, "CREATE VIEW a AS SELECT 1 AS x; CREATE VIEW b AS SELECT 2 AS x; SELECT 'x'::INTEGER")
        assert views(client) == []
        client.query("CREATE VIEW a AS SELECT 1 AS x; ALTER VIEW a RENAME TO b; COMMENT ON VIEW b IS 'two statements'; SELECT x FROM b")
        assert views(client) == ["b"]
        refused("25001", client.query, "CREATE VIEW c AS SELECT 1 AS x; CREATE USER eve")
        assert views(client) == ["b"]
        client.query("BEGIN; CREATE VIEW c AS SELECT 1 AS x; COMMIT; SELECT 1")
        assert views(client) == ["b", "c"]


def a_failed_one_commits_nothing():
    with serve() as server, server.connect() as client:
        client.query("BEGIN")
        client.query("CREATE VIEW a AS SELECT 1 AS x")
        refused("42P01", client.query, "SELECT * FROM nowhere")
        refused("25P02", client.query, "SELECT 1")
        client.query("COMMIT")
        assert views(client) == [] and client.query("SELECT 1") == [["1"]]


def the_second_to_commit_is_told():
    with serve() as server, server.connect() as one, server.connect() as two:
        one.query("CREATE VIEW v AS SELECT 1 AS a")
        one.query("BEGIN; ALTER VIEW v RENAME TO a")
        two.query("BEGIN; ALTER VIEW v RENAME TO b")
        one.query("COMMIT")
        refused("40001", two.query, "COMMIT")
        assert views(two) == ["a"] and two.query("SELECT 1") == [["1"]]


def it_ends_with_the_connection():
    with serve() as server:
        with server.connect() as client:
            client.query("BEGIN; CREATE VIEW v AS SELECT 1 AS a")
        with server.connect() as client:
            assert views(client) == []
            client.query("CREATE TEMP TABLE t AS SELECT 1 AS a")
            client.query("BEGIN; CREATE VIEW w AS SELECT 1 AS a")
            server.process.kill()
            server.process.wait()
        server.start()
        with server.connect() as client:
            assert views(client) == []
        folders = os.listdir(server.folder + "/warehouse/tmp")
        assert len(folders) == 1, f"folders of others are left beside the server's own: {folders}"
        assert os.listdir(f"{server.folder}/warehouse/tmp/{folders[0]}") == [], "files are left"


def temporary_tables_are_the_connections():
    with serve() as server, server.connect() as one, server.connect() as two:
        one.query("CREATE TEMP TABLE t (a INTEGER, b TEXT)")
        assert one.query("INSERT INTO t VALUES (1, 'x'), (2, NULL)") == []
        refused("42P01", two.query, "SELECT * FROM t")
        assert one.query("SELECT * FROM t ORDER BY a") == [["1", "x"], ["2", None]]
        one.query("BEGIN")
        one.query("DECLARE c CURSOR FOR SELECT a FROM t ORDER BY a")
        assert one.query("FETCH 1 FROM c") == [["1"]]
        one.query("TRUNCATE t")
        assert one.query("SELECT count(*) FROM t") == [["0"]]
        assert one.query("FETCH 1 FROM c") == [["2"]]  # what it was opened over
        one.query("ROLLBACK")
        assert one.query("SELECT count(*) FROM t") == [["2"]]
        one.query("DISCARD TEMP")
        refused("42P01", one.query, "SELECT * FROM t")
        one.query("CREATE TEMP TABLE t AS SELECT 1 AS a")
        one.query("DISCARD ALL")
        refused("42P01", one.query, "SELECT * FROM t")


def functions_say_what_show_says():
    """current_setting and pg_settings have the session's own values, in and out of a transaction."""
    with serve() as server, server.connect() as client:
        def says(name):
            shown = client.query(f"SHOW {name}")
            assert client.query(f"SELECT current_setting('{name}')") == shown, name
            assert client.query(f"SELECT setting FROM pg_settings WHERE lower(name) = lower('{name}')") == shown, name
            return shown[0][0]
        assert says("transaction_read_only") == "off"
        client.query("BEGIN READ ONLY")
        assert says("transaction_read_only") == "on"
        client.query("ROLLBACK")
        assert says("transaction_read_only") == "off"
        for name, value in (("default_transaction_read_only", "on"), ("application_name", "me"), ("statement_timeout", None),
                            ("extra_float_digits", "3"), ("transaction_isolation", "read committed"), ("search_path", "main"), ("server_version", None), ("DateStyle", None), ("TimeZone", None)):
            if value:
                client.query(f"SET {name} = '{value}'")
            assert says(name) == value or value is None, name
        assert says("transaction_read_only") == "on"
        client.query("RESET ALL")
        assert says("application_name") == "" and says("transaction_read_only") == "off"


def many_at_once():
    """Eight connections make, rename and drop views of their own in transactions: none is in another's way."""
    with serve() as server:
        failures = []

        def work(number):
            try:
                with server.connect() as client:
                    for turn in range(10):
                        client.query("BEGIN")
                        client.query(f"CREATE VIEW v{number}__tmp AS SELECT {turn} AS turn")
                        if turn > 0:
                            client.query(f"ALTER VIEW v{number} RENAME TO v{number}__old")
                        client.query(f"ALTER VIEW v{number}__tmp RENAME TO v{number}")
                        client.query("COMMIT")
                        client.query(f"DROP VIEW IF EXISTS v{number}__old CASCADE")
                        assert client.query(f"SELECT turn FROM v{number}") == [[str(turn)]]
            except Exception as error:  # noqa: BLE001 - shown below
                failures.append((number, repr(error)))

        workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        assert not failures, failures
        with server.connect() as client:
            assert views(client) == [f"v{number}" for number in range(8)]


run([nobody_sees_it_before_its_commit, a_message_is_one_transaction, a_failed_one_commits_nothing, the_second_to_commit_is_told,
     it_ends_with_the_connection, temporary_tables_are_the_connections, functions_say_what_show_says, many_at_once], sys.argv[2:])
