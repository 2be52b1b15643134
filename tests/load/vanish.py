#!/usr/bin/env python3
"""Clients that cancel, or are gone, at every door: how long until nothing of theirs is left.

    vanish.py MOAT [--clients N] [--bound SECONDS] [--doors NAME,...]

Each wave begins N statements that would run for hours, most of which wait for a place, then ends them all at once; it is over when no
statement runs or waits, no engine host is busy and no memory is granted, as /metrics says. Ends with "N passed, N failed"; a wave
fails when it takes longer than the bound, which is for a machine that does much else: on a quiet one it is 0.2 s.
"""

import argparse
import functools
import hashlib
import json
import os
import re
import socket
import struct
import sys
import time
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "../wire"), os.path.join(HERE, "../http")]
from door import basic
from protocol import PASSWORD, Client, Server, message, text
from websocket import WebSocket, frame

hashlib.pbkdf2_hmac = functools.lru_cache(hashlib.pbkdf2_hmac)  # of one password and salt, once
LONG = "SELECT count(*) FROM range(100000000000) a, range(100000000000) b"


class Doors(Server):
    def start(self, *settings):
        super().start("server.web_port=0", "server.http_port=0", *settings)
        lines = [self.process.stdout.readline() for _ in range(2)]
        ports = {word: int(re.search(r"port (\d+)|:(\d+)", line).group(0).split("port ")[-1].lstrip(":")) for line in lines
                 for word in ("metrics", "SQL over HTTP") if word in line}
        self.metrics_port, self.web_port, self.is_tls = ports["metrics"], ports["SQL over HTTP"], False

    def gauges(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            lines = answer.read().decode().splitlines()
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines if not line.startswith("#")}

    def active(self):
        found = self.gauges()
        return [int(found[name]) for name in ('moat_queries_active{state="running"}', 'moat_queries_active{state="queued"}',
                                              'moat_engine_hosts{state="busy"}', "moat_admission_memory_bytes")]


def http_request(server, path, body, kind="application/json", **more):
    client = socket.create_connection(("127.0.0.1", server.web_port), 60)
    head = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: {basic('amelia', PASSWORD)}", f"Content-Type: {kind}",
            f"Content-Length: {len(body)}"] + [f"{name}: {value}" for name, value in more.items()]
    client.sendall(("\r\n".join(head) + "\r\n\r\n").encode() + body)
    return client


def start_pg(server):
    client = Client(server.port)
    client.send(message("Q", text(LONG)))
    return client.socket


def start_http(server):
    return http_request(server, "/v1/sql", json.dumps({"sql": LONG}).encode())


def start_websocket(server):
    client = WebSocket(server)
    client.send(type="run", id=1, sql=LONG)
    return client.socket


def vanish(client):
    """As a program that is killed: what it has not read makes its end a reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def leave(client):
    client.close()


def cancel_websocket(client):
    client.sendall(frame(1, json.dumps({"type": "cancel", "id": 1}).encode()))


class Kept:
    """A query that outlives its request: of POST /v1/sql, or Trino's; gone only by being said so."""

    def __init__(self, server, is_trino):
        path, body = ("/v1/statement", LONG.encode()) if is_trino else ("/v1/sql", json.dumps({"sql": LONG, "async": True}).encode())
        self.client = http_request(server, path, body, **({"X-Trino-User": "amelia"} if is_trino else {}))
        got = b""
        while b"}" not in got.partition(b"\r\n\r\n")[2]:
            got += self.client.recv(65536)
        found = re.search(rb'"nextUri":"https?://[^/]*([^"]*)"' if is_trino else rb'"id":"([^"]*)"', got).group(1).decode()
        self.path = found if is_trino else "/v1/queries/" + found

    def stop(self):
        self.client.sendall(f"DELETE {self.path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: {basic('amelia', PASSWORD)}\r\n\r\n".encode())


WAVES = {
    "postgres, killed": (start_pg, vanish),
    "postgres, closed": (start_pg, leave),
    "http, killed": (start_http, vanish),
    "http, closed": (start_http, leave),
    "http, DELETE": (lambda server: Kept(server, False), Kept.stop),
    "trino, DELETE": (lambda server: Kept(server, True), Kept.stop),
    "websocket, killed": (start_websocket, vanish),
    "websocket, cancel": (start_websocket, cancel_websocket),
}


def wait(condition, seconds):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def wave(server, count, bound, start, end):
    """Seconds until nothing was left, or None."""
    clients = [start(server) for _ in range(count)]
    if not wait(lambda: sum(server.active()[:2]) == count, 120):
        raise AssertionError(f"only {server.active()} of {count} began")
    begun = time.monotonic()
    for client in clients:
        end(client)
    said = time.monotonic()
    is_over = wait(lambda: not any(server.active()), bound + 30)
    return said - begun, (time.monotonic() - begun) if is_over else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("moat")
    parser.add_argument("--clients", type=int, default=24)
    parser.add_argument("--bound", type=float, default=5)
    parser.add_argument("--doors", default="")
    options = parser.parse_args()
    failed = 0
    names = [name for name in WAVES if not options.doors or name.split(",")[0] in options.doors.split(",")]
    settings = ["login.insecure_loopback=true", "query.concurrent_max=8", "query.person_concurrent_max=8", "query.queued_max=2000", "query.person_queued_max=2000",
                "query.queue_timeout=10m", "server.threads_max=2000", "server.connections_max=2000", "server.logins_max=2000", "engine.threads=1"]
    for name in names:
        count = min(options.clients, 190) if "DELETE" in name else options.clients  # 200 may be kept for a person
        with Doors(options.moat, *settings) as server:
            try:
                said, took = wave(server, count, options.bound, *WAVES[name])
            except Exception as error:
                said, took, reason = 0, None, f"{type(error).__name__}: {error}"
            else:
                reason = str(server.active())
        is_right = took is not None and took < options.bound
        failed += not is_right
        print(f"{'ok    ' if is_right else 'FAILED'}  {name}, {count} clients: " +
              (f"{took * 1000:.0f} ms, of which {said * 1000:.0f} ms to say so" if took is not None else f"not over: {reason}"), flush=True)
    print(f"{len(names) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
