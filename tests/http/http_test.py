#!/usr/bin/env python3
"""/live, /ready and /metrics from outside: what they say, and what a client may not do to them.

http_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed.
"""

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
from protocol import PASSWORD, Server, eventually, refused, run

MOAT = sys.argv[1]
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"
NAME = re.compile(r"^(moat|process)_[a-z_]+$")
UNITS = {"seconds", "bytes", "total", "records", "info", "limit", "fds", "sessions", "connections", "active", "hosts", "threads", "writable"}


class WatchedServer(Server):
    def start(self, *settings):
        super().start("server.http_port=0", *settings)
        self.http_port = int(re.search(r"port (\d+) of", self.process.stdout.readline()).group(1))

    def get(self, path, method="GET", **options):
        connection = http.client.HTTPConnection("127.0.0.1", self.http_port, timeout=120)
        connection.request(method, path, **options)
        answer = connection.getresponse()
        body = answer.read().decode()
        connection.close()
        return answer.status, body, answer

    def raw(self, data, wait=10):
        """What comes back for these bytes until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.http_port), wait) as client:
            client.sendall(data)
            client.settimeout(60)
            got = b""
            try:
                while part := client.recv(65536):
                    got += part
                    client.settimeout(wait)
            except (TimeoutError, ConnectionError):
                pass
            return got

    def metrics(self):
        text = self.get("/metrics")[1]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[:1] != "#"}


def health_and_readiness():
    with WatchedServer(MOAT) as server:
        status, body, answer = server.get("/live")
        assert (status, body) == (200, "live\n") and answer.getheader("Cache-Control") == "no-store"
        assert server.get("/ready")[:2] == (200, "ready\n")
        assert server.get("/ready?verbose")[0] == 200
        assert server.get("/nothing")[0] == 404 and server.get("/live/")[0] == 404
        assert server.get("/live", "POST")[0] == 405
        status, body, answer = server.get("/metrics", "HEAD")
        assert status == 200 and body == "" and int(answer.getheader("Content-Length")) > 1000


def curl_is_served():
    if shutil.which("curl") is None:
        print("skipped: curl is not here")
        return
    with WatchedServer(MOAT) as server:
        done = subprocess.run(["curl", "-sS", "-w", "%{http_code} %{num_connects}\n", f"http://127.0.0.1:{server.http_port}/live",
                               f"http://127.0.0.1:{server.http_port}/ready"], capture_output=True, text=True, check=True)
        assert done.stdout == "live\n200 1\nready\n200 0\n", done.stdout  # the second on the same connection


def metrics_are_what_prometheus_reads():
    with WatchedServer(MOAT, setup=f"CREATE USER eve PASSWORD '{PASSWORD}'; CREATE VIEW hidden AS SELECT 'a' AS x") as server:
        with server.connect() as client:
            for _ in range(10):
                client.query("SELECT i FROM range(100) t(i)")
            refused("42P01", client.query, "SELECT * FROM hidden")
            refused("42601", client.query, "SELECT 1 +")
            refused("28P01", lambda: server.connect(user="eve", password="wrong"))
            status, text, answer = server.get("/metrics")
            assert status == 200 and answer.getheader("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
            for secret in ("amelia", "eve", "hidden", "SELECT"):
                assert secret not in text, secret
            values = server.metrics()
            assert values['moat_queries_total{state="done",protocol="postgres"}'] == 10, values
            assert values['moat_queries_total{state="failed",protocol="postgres"}'] == 2
            assert values["moat_query_rows_total"] == 1000 and values["moat_query_result_bytes_total"] >= 8000
            assert values["moat_query_run_seconds_count"] == 10 and values['moat_query_run_seconds_bucket{le="+Inf"}'] == 10
            assert values['moat_logins_total{provider="password",result="accepted"}'] == 1
            assert sum(count for name, count in values.items() if "refused" in name and "logins" in name) == 1
            assert values["moat_sessions"] == 1 and values['moat_connections{protocol="postgres"}'] == 1
            assert values["moat_audit_records_total"] >= 22 and values["moat_audit_writable"] == 1
            assert values["moat_policy_denied_total"] == 1 and values['moat_query_errors_total{kind="syntax"}'] == 2
        check_conventions(text)


def the_dashboard_asks_for_what_there_is():
    with WatchedServer(MOAT) as server:
        there = {name.partition("{")[0] for name in server.metrics()}
        with open("share/grafana/moat.json") as file:
            asked = set(re.findall(r"\b(?:moat|process)_[a-z_]+", " ".join(
                target["expr"] for panel in json.load(file)["panels"] for target in panel["targets"])))
        assert asked and asked <= there, asked - there


def check_conventions(text):
    try:
        from prometheus_client.parser import text_string_to_metric_families
    except ImportError:
        print("skipped: prometheus_client is not here")
        return
    families = list(text_string_to_metric_families(text))
    assert len(families) > 30
    for family in families:
        assert NAME.match(family.name) and family.documentation and family.type in ("counter", "gauge", "histogram"), family
        assert family.name.rpartition("_")[2] in UNITS or family.type == "counter", family.name
        if family.type == "counter":
            assert all(sample.name == family.name + "_total" for sample in family.samples), family.name
        if family.type == "histogram":
            counts = [sample.value for sample in family.samples if sample.name.endswith("_bucket")]
            assert counts == sorted(counts) and family.name.endswith("_seconds")


def requests_that_are_none():
    cases = {
        b"\r\n\r\n": b"", b"SELECT 1;\r\n\r\n": b"400", b"GET / HTTP/1.1\r\n\r\n": b"400", b"GET /live HTTP/2.0\r\nHost: a\r\n\r\n": b"505",
        b"GET /live HTTP/1.1\nHost: a\n\n": b"400", b"\x16\x03\x01\x00\x05hello": b"", b"GET /live HTTP/1.1\r\nHost: a\r\nA: b\r\n c\r\n\r\n": b"400",
        b"POST /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n": b"501",
        b"POST /live HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n": b"413",
        b"POST /live HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n": b"413",
        b"GET /" + b"a" * 20000 + b" HTTP/1.1\r\nHost: a\r\n\r\n": b"431", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 3000: b"431",
    }
    with WatchedServer(MOAT) as server:
        for data, code in cases.items():
            got = server.raw(data, 2)
            assert got.startswith(b"HTTP/1.1 " + code) if code else not got.startswith(b"HTTP/1.1 2"), (data[:60], got[:80])
        assert server.get("/live")[0] == 200


def a_pipeline_is_answered_in_order():
    one = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"
    last = b"GET /live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with WatchedServer(MOAT) as server:
        got = server.raw(one % b"live" + one % b"nothing" + one % b"ready" + last)
        assert re.findall(rb"HTTP/1.1 (\d+)", got) == [b"200", b"404", b"200", b"200"] and got.count(b"Connection: close") == 1, got
        old = server.raw(b"GET /live HTTP/1.0\r\n\r\n")
        assert old.endswith(b"live\n") and b"Connection: close" in old


def slow_clients_hold_up_nobody():
    """A byte now and then: the request has 10 seconds, and those who hold connections leave room for others."""
    with WatchedServer(MOAT, "server.http_connections_max=20") as server:
        slow = [socket.create_connection(("127.0.0.1", server.http_port), 30) for _ in range(19)]
        started, closed = time.monotonic(), 0
        for client in slow:
            client.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n")
        assert server.get("/live")[0] == 200
        while time.monotonic() - started < 60 and closed < len(slow):
            for client in slow:
                try:
                    client.sendall(b"A: b\r\n")
                except OSError:
                    pass
            time.sleep(0.5)
            closed = sum(is_over(client) for client in slow)
        took = time.monotonic() - started
        assert closed == len(slow), f"{closed} of {len(slow)} were closed after {took:.0f} s"
        print(f"all closed after {took:.0f} s")
        for client in slow:
            client.close()
        kept = socket.create_connection(("127.0.0.1", server.http_port), 30)  # and one that has asked well before
        kept.sendall(b"GET /live HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in kept.recv(4096)
        started = time.monotonic()
        while time.monotonic() - started < 60 and not is_over(kept):
            try:
                kept.sendall(b"G" if time.monotonic() - started < 0.3 else b"A")
            except OSError:
                break
            time.sleep(0.5)
        assert time.monotonic() - started < 40


def is_over(client):
    client.setblocking(False)
    try:
        while client.recv(65536):
            pass
        return True
    except BlockingIOError:
        return False
    except OSError:
        return True
    finally:
        client.setblocking(True)


def draining_is_told():
    with WatchedServer(MOAT, "server.drain_timeout=10m") as server:
        client = server.connect()
        server.begin(client, LONG)
        server.process.terminate()
        eventually(lambda: server.get("/ready")[:2] == (503, "not ready: the server is being stopped\n"))
        assert server.get("/live")[0] == 200
        with socket.create_connection(("127.0.0.1", server.http_port)) as idle:
            client.socket.shutdown(socket.SHUT_RDWR)  # the query ends with its client
            assert server.process.wait(60) == 0
            idle.close()


def an_audit_trail_that_cannot_be_written_is_not_ready():
    """Method: a trail that somebody changed under the server."""
    with WatchedServer(MOAT) as server:
        with server.connect() as client:
            client.query("SELECT 1")
        folder = server.folder + "/warehouse/audit"
        trail = sorted(name for name in os.listdir(folder) if name.startswith("audit-"))[-1]
        assert server.get("/ready")[0] == 200
        with open(f"{folder}/{trail}", "a") as file:
            file.write('{"seq":1}\n')
        status, body, _ = server.get("/ready")
        assert status == 503 and "not ready: " in body and server.folder not in body, body
        assert server.metrics()["moat_audit_writable"] == 0
        assert server.get("/live")[0] == 200


def the_default_port_gives_way_and_a_wished_one_does_not():
    with WatchedServer(MOAT) as server:
        command = [MOAT, "--warehouse", server.folder + "/warehouse", "--set", "server.pg_port=0", "--set", f"server.http_port={server.http_port}", "serve"]
        done = subprocess.run(command, capture_output=True, text=True, env=server.environment, timeout=30)
        assert done.returncode != 0 and "cannot listen" in done.stderr, done
    with Server(MOAT, "server.http_port=-1") as server:
        assert server.connect().query("SELECT 1") == [["1"]]


CASES = [health_and_readiness, curl_is_served, metrics_are_what_prometheus_reads, the_dashboard_asks_for_what_there_is, requests_that_are_none, a_pipeline_is_answered_in_order,
         slow_clients_hold_up_nobody, draining_is_told, an_audit_trail_that_cannot_be_written_is_not_ready,
         the_default_port_gives_way_and_a_wished_one_does_not]
sys.exit(run(CASES, sys.argv[2:]))
