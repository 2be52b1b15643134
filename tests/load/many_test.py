#!/usr/bin/env python3
"""Many at once: limits that hold for each, hosts that die under one, connections that only stay.

many_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import functools
import hashlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
import processes
from load import metrics
from processes import processor_ticks
from protocol import PASSWORD, Refused, Server, eventually, message, refused, run, text

MOAT = sys.argv[1]
IS_SANITIZED = any(name in open(MOAT, "rb").read() for name in (b"__asan_init", b"__tsan_init"))
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
hashlib.pbkdf2_hmac = functools.lru_cache(hashlib.pbkdf2_hmac)  # of one password and salt, once


def hosts(server):
    """Process ids of the engine hosts."""
    return processes.children(server.process.pid)


def in_thread(function, *arguments):
    """Runs it; the result or the error is in the list that is returned beside the thread."""
    got = []

    def call():
        try:
            got.append(function(*arguments))
        except Exception as error:
            got.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, got


# ---- queries whose clients take no rows

BIG = "SELECT i, repeat('x', 500) FROM range(100000000) t(i)"


def idle_queries_starve_nobody():
    """All places are held by clients that take no rows: a cursor, a suspended portal, a full socket. Whoever comes gets a place, and loses
    nobody more than it takes; who goes on asking keeps theirs."""
    setup = f"CREATE USER bob PASSWORD '{PASSWORD}';"
    with Server(MOAT, "query.concurrent_max=3", "query.idle_timeout=3s", "query.queue_timeout=2m", setup=setup) as server:
        idle, busy, deaf = [server.connect() for _ in range(3)]
        deaf.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.query("BEGIN")
        idle.query(f"DECLARE c CURSOR FOR {BIG}")
        busy.query("BEGIN")
        busy.query(f"DECLARE c CURSOR FOR {BIG}")
        deaf.send(message("Q", text(BIG)))
        stop = threading.Event()

        def go_on():
            while not stop.wait(0.2):
                assert len(busy.query("FETCH 1 FROM c")) == 1
            return "kept"

        thread, kept = in_thread(go_on)
        time.sleep(4)
        assert len(idle.query("FETCH 1 FROM c")) == 1  # nobody waits: all may be as idle as they like
        time.sleep(4)
        with server.connect(user="bob") as bob:
            started = time.monotonic()
            bob.query("BEGIN")
            bob.query(f"DECLARE c CURSOR FOR {BIG}")
            assert time.monotonic() - started < 60
            with server.connect(user="bob") as other:
                assert other.query("SELECT count(*) FROM range(10)") == [["10"]]
            assert len(bob.query("FETCH 1 FROM c")) == 1
        assert idle.last_words() == "25P03"
        stop.set()
        thread.join()
        assert kept == ["kept"], kept
        for client in (busy, deaf):
            client.close()


def the_longest_idle_gives_way():
    """Of three that take no rows the one goes that has taken none for longest: neither who came first nor who came last."""
    setup = f"CREATE USER bob PASSWORD '{PASSWORD}';"
    with Server(MOAT, "query.concurrent_max=3", "query.idle_timeout=1s", "query.queue_timeout=2m", setup=setup) as server:
        clients = [server.connect() for _ in range(3)]
        for client in clients:
            client.query("BEGIN")
            client.query(f"DECLARE c CURSOR FOR {BIG}")
        for i in (0, 2):
            time.sleep(0.5)
            assert len(clients[i].query("FETCH 1 FROM c")) == 1
        time.sleep(1.5)
        with server.connect(user="bob") as bob:
            assert bob.query("SELECT count(*) FROM range(10)") == [["10"]]
        assert clients[1].last_words() == "25P03"
        for i in (0, 2):
            assert len(clients[i].query("FETCH 1 FROM c")) == 1
            clients[i].close()


def an_idle_query_of_another_is_not_to_blame():
    setup = f"CREATE USER bob PASSWORD '{PASSWORD}';"
    with Server(MOAT, "query.person_concurrent_max=1", "query.idle_timeout=200ms", "query.queue_timeout=3s", setup=setup) as server:
        cursor, first, second = server.connect(), server.connect(user="bob"), server.connect(user="bob")
        cursor.query("BEGIN")
        cursor.query(f"DECLARE c CURSOR FOR {BIG}")
        eventually(server.is_quiet)  # what the cursor has ahead is there
        server.begin(first, LONG)
        refused("53400", second.query, "SELECT count(*) FROM range(10)")  # it is their own that runs
        assert len(cursor.query("FETCH 3 FROM c")) == 3
        first.cancel(server.port)
        first.until("Z")
        for client in (cursor, first, second):
            client.close()


# ---- queries that never end by themselves

ENDLESS = "WITH RECURSIVE t AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM t) SELECT {} FROM t"
KINDS = ("*", "count(*)", "max(n)")  # rows that are sent, rows that are gathered


def running(server, client):
    return client.query("SELECT count(*) FROM moat_system.running_queries WHERE statement LIKE 'WITH RECURSIVE%'") == [["1"]]


def endless_recursion_ends_in_time():
    with Server(MOAT) as server, server.connect() as client:
        client.query("SET statement_timeout = '1s'")
        for what in KINDS:
            started = time.monotonic()
            refused("57014", client.query, ENDLESS.format(what))
            assert time.monotonic() - started < 60, what
        assert client.query("SELECT 1") == [["1"]]


def endless_recursion_ends_with_its_client():
    with Server(MOAT) as server, server.connect() as watcher:
        for what in KINDS:
            client = server.connect()
            client.send(message("Q", text(ENDLESS.format(what))))
            eventually(lambda: running(server, watcher))
            client.close()
            eventually(lambda: not running(server, watcher))


def endless_recursion_ends_with_its_memory():
    """It doubles, so that it is not time that ends it; what a query has, and what it may spill, is little."""
    grow = "WITH RECURSIVE t AS (SELECT range(1000) AS n UNION ALL SELECT n FROM t, range(2)) SELECT count(*) FROM t"
    with Server(MOAT, "engine.memory=256MiB", "engine.temp_disk=64MiB", "query.timeout=15m") as server, server.connect() as client:
        client.socket.settimeout(800)
        try:
            client.query(grow)
            raise AssertionError("it ended by itself")
        except Refused as error:
            assert error.code in ("53200", "53100", "53400"), error
        assert client.query("SELECT 1") == [["1"]]


# ---- hosts that die


def a_host_dies_and_one_query_with_it():
    """50 sessions of 5 people at work; the host of one query is killed, by both signals. That query ends with XX000, no other
    session notices, and a new host is up at once."""
    people = [f"p{i}" for i in range(5)]
    setup = "".join(f"CREATE USER {p} PASSWORD '{PASSWORD}';" for p in people) + f"CREATE USER victim PASSWORD '{PASSWORD}'"
    with Server(MOAT, "query.concurrent_max=4", "query.queue_timeout=5m", setup=setup) as server:
        victim = server.connect(user="victim")
        victim.socket.settimeout(600)
        for number in (signal.SIGSEGV, signal.SIGKILL):
            stop, go, troubles, counts = threading.Event(), threading.Event(), [], [0] * 50

            def work(index):
                try:
                    with server.connect(user=people[index % 5]) as client:
                        while go.wait() and not stop.is_set():
                            rows = client.query("SELECT sum(i) FROM range(100000) t(i)")
                            assert rows == [["4999950000"]], rows
                            counts[index] += 1
                except Exception as error:
                    troubles.append(error)

            victim.query("SELECT 1")
            go.set()
            threads = [threading.Thread(target=work, args=(i,)) for i in range(50)]
            for thread in threads:
                thread.start()
            eventually(lambda: all(counts), 300)
            go.clear()  # nobody else is at it, so that it is seen which host has the victim's statement
            eventually(server.is_quiet)
            ticks = {pid: processor_ticks(pid) for pid in hosts(server)}
            thread, got = in_thread(victim.query, LONG)
            worked = lambda: max((processor_ticks(pid) - ticks.get(pid, 0), pid) for pid in hosts(server))
            eventually(lambda: worked()[0] >= 50)
            pid, before = worked()[1], list(counts)
            go.set()
            eventually(lambda: all(now > then for now, then in zip(counts, before)), 300)
            before = list(counts)
            os.kill(pid, number)
            killed_at = time.monotonic()
            thread.join(300)
            assert got and isinstance(got[0], Refused), (number, got, troubles[:3])
            told_ms = (time.monotonic() - killed_at) * 1000
            assert got[0].code == "XX000" and f"signal {int(number)}" in got[0].fields["M"], got[0]
            assert victim.query("SELECT 2") == [["2"]]
            again_ms = (time.monotonic() - killed_at) * 1000
            eventually(lambda: all(now > then for now, then in zip(counts, before)), 300)
            stop.set()
            for thread in threads:
                thread.join(300)
            assert not troubles, troubles[:3]
            print(f"{number.name}: told after {told_ms:.0f} ms, the same session's next answer after {again_ms:.0f} ms, "
                  f"50 other sessions went on ({sum(counts)} queries)")
        victim.close()


def a_new_host_is_up_at_once():
    """On a server with nothing else to do: from the kill to the next answer, which needs a host of its own. The best of five, beside the best
    of as many starts of a program that does nothing, which tell how fast and how busy the machine is: 8 ms where it is neither."""
    with Server(MOAT) as server, server.connect() as client:
        took, starts = [], []
        for _ in range(5):
            client.query("SELECT 1")
            before = hosts(server)
            thread, got = in_thread(client.query, LONG)
            eventually(lambda: any(processor_ticks(pid) > 20 for pid in hosts(server)))
            victim = max(hosts(server), key=processor_ticks)
            eventually(lambda: len(hosts(server)) >= len(before))
            os.kill(victim, signal.SIGSEGV)
            started = time.monotonic()
            thread.join(120)
            assert isinstance(got[0], Refused) and got[0].code == "XX000", got
            assert client.query("SELECT 1") == [["1"]]
            took.append((time.monotonic() - started) * 1000)
            started = time.monotonic()
            subprocess.run([MOAT, "--version"], check=True, stdout=subprocess.DEVNULL)
            starts.append((time.monotonic() - started) * 1000)
        print(f"from the kill to the next answer: {min(took):.0f} to {max(took):.0f} ms; to start a program: {min(starts):.0f} to {max(starts):.0f} ms")
        assert IS_SANITIZED or min(took) < max(100, 12 * min(starts)), (took, starts)


# ---- limits


def a_full_queue_refuses_and_says_how_long_it_is():
    with Server(MOAT, "query.person_concurrent_max=1", "query.person_queued_max=1", "server.http_port=0", setup=f"CREATE USER other PASSWORD '{PASSWORD}'") as server:
        port = int(re.search(r"port (\d+) of", server.process.stdout.readline()).group(1))
        running, waiting, third, other = (server.connect(user=u) for u in ("amelia", "amelia", "amelia", "other"))
        server.begin(running, LONG)
        second, got = in_thread(waiting.query, "SELECT 'mine'")
        eventually(lambda: metrics(port)['moat_queries_active{state="queued"}'] == 1)
        words = refused("53300", third.query, "SELECT 1")
        assert "1 queries waiting" in words["M"] and "waited about" in words["H"], words
        assert other.query("SELECT 1") == [["1"]], "what amelia has waiting is hers"
        waiting.cancel(server.port)  # one that waits can be cancelled
        second.join(120)
        assert got[0].code == "57014", got
        running.cancel(server.port)
        running.until("Z")
        assert third.query("SELECT 1") == [["1"]]


def who_waits_too_long_is_told():
    with Server(MOAT, "query.concurrent_max=1", "query.queue_timeout=1s") as server:
        with server.connect() as running, server.connect() as waiting:
            server.begin(running, LONG)
            words = refused("53400", waiting.query, "SELECT 1")
            assert "waited 1000 ms" in words["M"], words
            running.cancel(server.port)
            running.until("Z")


def roles_and_people_have_limits_in_sql():
    setup = (f"CREATE ROLE analyst; CREATE USER ben PASSWORD '{PASSWORD}'; GRANT ROLE analyst TO amelia; GRANT ROLE analyst TO ben;"
             "ALTER ROLE analyst SET (concurrent_max = 1, queued_max = 0, person_rate = 6, person_burst = 1000)")
    with Server(MOAT, setup=setup) as server:
        with server.connect() as amelia, server.connect(user="ben") as ben:
            server.begin(amelia, LONG)
            words = refused("53300", ben.query, "SELECT 1")
            assert 'role "analyst"' in words["M"], words
            refused("42501", ben.query, "ALTER ROLE analyst UNSET (concurrent_max)")
            server.sql("ALTER ROLE analyst UNSET (concurrent_max, queued_max)")  # holds at their next statement
            assert ben.query("SELECT 1") == [["1"]]
            shown = {(row[0], row[2]): row[3] for row in ben.query("SHOW LIMITS")}
            assert shown[("user", "rate")] == "6" and shown[("role", "person_rate")] == "6", shown
            assert all(row[0] != "user" or row[1] == "ben" for row in ben.query("SHOW LIMITS")), "others' limits are not his to see"
            amelia.cancel(server.port)
            amelia.until("Z")
            server.sql("ALTER USER ben SET (burst = 3)")
            for _ in range(20):
                try:
                    ben.query("SELECT 1")
                except Refused as error:
                    assert error.code == "53400" and "may run 6 statements a minute" in error.fields["M"], error
                    assert "may be run in" in error.fields["H"]
                    break
            else:
                raise AssertionError("nobody stopped ben")
            assert amelia.query("SELECT 1") == [["1"]]
            for _ in range(5):
                refused("53400", ben.query, "SELECT 1")
        server.stop()
        audit = server.sql("SELECT count(*) FROM moat_system.audit WHERE user = 'ben' AND sqlstate = '53400'")
        assert audit.split()[1] == "1", f"a row of refusals is one record: {audit}"
        assert "ALTER ROLE" in server.sql("SELECT command FROM moat_system.audit WHERE kind = 'admin'")


def memory_is_granted_and_no_more():
    settings = ("engine.memory=1GiB", "query.concurrent_max=4", "engine.temp_disk=0")
    big = "SELECT count(*) FROM (SELECT DISTINCT i, md5(i::VARCHAR) FROM range(4000000) t(i))"
    small = "SELECT count(*) FROM range(3)"  # which the engine is asked for each time
    with Server(MOAT, *settings, setup="ALTER USER amelia SET (memory = '128MiB')") as server:
        with server.connect() as client:
            refused("53200", client.query, big)  # 128 MiB of the server's 1 GiB
            client.query("SET query.memory = '200MiB'")
            words = refused("53400", client.query, small)
            assert "128 MiB" in words["M"], words
            client.query("SET query.memory = 0")
            server.sql("ALTER USER amelia UNSET (memory)")
            client.query("SET query.memory = '256MiB'")
            client.query(small)
            refused("53400", client.query, "SET query.memory = '400MiB'; " + small)


# ---- connections that only stay


def ten_thousand_idle_connections():
    """Signed in, then with a statement behind them: the server's memory for all of them."""
    count = 1000 if IS_SANITIZED else 10000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 500:
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (count + 500, count + 500))
        except (ValueError, OSError):
            print(f"skipped: only {hard} files may be open")
            return
    else:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    with Server(MOAT, f"server.connections_max={count + 100}", "engine.hosts=4") as server:
        clients = [server.connect() for _ in range(count)]
        signed_in = server.resident()
        for client in clients:
            assert client.query("SELECT 1") == [["1"]]
        worked = server.resident()
        print(f"{count} idle connections: {signed_in >> 20} MiB resident; {worked >> 20} MiB when each has run a statement")
        for client in clients:
            client.close()
        assert IS_SANITIZED or signed_in < 256 << 20, f"{signed_in >> 20} MiB"
        assert IS_SANITIZED or worked < 256 << 20, f"{worked >> 20} MiB"


CASES = [idle_queries_starve_nobody, the_longest_idle_gives_way, an_idle_query_of_another_is_not_to_blame, endless_recursion_ends_in_time,
         endless_recursion_ends_with_its_client, endless_recursion_ends_with_its_memory, a_host_dies_and_one_query_with_it,
         a_new_host_is_up_at_once, a_full_queue_refuses_and_says_how_long_it_is,
         who_waits_too_long_is_told, roles_and_people_have_limits_in_sql, memory_is_granted_and_no_more, ten_thousand_idle_connections]
sys.exit(run(CASES, sys.argv[2:]))
