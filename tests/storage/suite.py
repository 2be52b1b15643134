#!/usr/bin/env python3
"""Runs storage against a real S3 server, which it starts itself and stops again, and through a proxy that breaks things.

    tests/storage/suite.py PROGRAM moto     moto's server: a mock, which checks no signature   (make check)
    tests/storage/suite.py PROGRAM minio    MinIO, built from its Go module: TLS, STS, an access log   (make interop)

What is not there is skipped by name. PROGRAM is drive.c, built.
"""

import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))
from ports import free_port

CACHE = Path(os.environ.get("MOAT_CACHE", HERE.parent.parent / ".cache/deps"))
BIG = 40_000_000


class Skip(Exception):
    pass


def wait_for_port(port, process, seconds=60):
    for _ in range(seconds * 10):
        if process.poll() is not None:
            raise RuntimeError(f"the server ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server does not listen")


# ---- moto


@contextmanager
def moto(_):
    python = CACHE / "venv-storage/bin/python"
    program = CACHE / "venv-storage/bin/moto_server"
    if not program.exists():
        raise Skip("moto is not here")
    port = free_port()
    command = [python, program, "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_port(port, server)
            make = urllib.request.Request(f"http://127.0.0.1:{port}/lake", method="PUT", data=b"")
            make.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=x/20261121/us-east-1/s3/aws4_request, Signature=x")
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(make, timeout=30).close()
            keys = {"access": "AKIDMOTO", "secret": "secret-of-moto", "token": "token"}
            yield {"scheme": "http", "port": port, "ca": "", "people": [keys, keys], "is_mock": True}
        finally:
            server.terminate()


# ---- MinIO


class Log(BaseHTTPRequestHandler):
    """MinIO's audit log arrives here."""
    lines = []

    def do_POST(self):
        Log.lines.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


@contextmanager
def minio(folder):
    program, python = CACHE / "minio/minio", CACHE / "venv-storage/bin/python"
    if not program.exists() or not python.exists():
        raise Skip("MinIO or its Python package is not here")
    certs = folder / "certs"
    certs.mkdir()
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", certs / "private.key",
                    "-out", certs / "public.crt"], check=True, capture_output=True)
    log = ThreadingHTTPServer(("127.0.0.1", 0), Log)
    threading.Thread(target=log.serve_forever, daemon=True).start()
    port = free_port()
    environment = {**os.environ, "MINIO_ROOT_USER": "keeper", "MINIO_ROOT_PASSWORD": "keeper-of-the-test", "MINIO_BROWSER": "off",
                   "MINIO_AUDIT_WEBHOOK_ENABLE_SUITE": "on", "MINIO_UPDATE": "off",
                   "MINIO_AUDIT_WEBHOOK_ENDPOINT_SUITE": f"http://127.0.0.1:{log.server_port}/"}
    command = [program, "server", "--quiet", "--certs-dir", certs, "--address", f"127.0.0.1:{port}", folder / "data"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for_port(port, server)

            def people(*words):
                answer = subprocess.run([python, HERE / "minio_people.py", str(port), certs / "public.crt", *words], check=True,
                                        stdout=subprocess.PIPE, text=True)
                return json.loads(answer.stdout or "null")

            yield {"scheme": "https", "port": port, "ca": str(certs / "public.crt"), "people": people("begin"),
                   "again": lambda: people("again"), "withdraw": lambda: people("withdraw"), "log": Log.lines}
        finally:
            server.terminate()
            log.shutdown()


# ---- a proxy that breaks things


class Proxy:
    """Passes bytes on. `fault` is for what the server says: kill, hang, slow, truncate or corrupt after some bytes."""

    def __init__(self, target):
        self.target, self.fault, self.after, self.times = target, None, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def set(self, fault, after=0, times=1):
        self.fault, self.after, self.times = fault, after, times

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def strike(self, data):
        """What becomes of some bytes of the server; None ends the connection."""
        if self.fault is None or self.times <= 0:
            return data
        if self.after > 0:
            self.after -= len(data)
            return data
        if self.fault == "slow":
            time.sleep(0.2)
            return data
        self.times -= 1
        if self.fault == "hang":
            time.sleep(8)
            return None
        if self.fault == "corrupt":
            spot = len(data) // 2
            return data[:spot] + bytes([data[spot] ^ 0x40]) + data[spot + 1:]
        return data[:len(data) // 2] if self.fault == "truncate" else b""

    def pump(self, source, sink, is_server):
        try:
            while data := source.recv(65536):
                passed = self.strike(data) if is_server else data
                if passed:
                    sink.sendall(passed)
                if passed is None or (is_server and len(passed) < len(data)):
                    break
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass


# ---- the program


class Drive:
    def __init__(self, program, ca="", cache=0, disk=0, folder="", patience_ms=300000, timeout_ms=60000, block=0):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8")
        self.renew = None
        self.renewals = 0
        self.ok("remote", ca, 0, cache, disk, folder, patience_ms, timeout_ms, block)

    def send(self, *fields):
        self.process.stdin.write("\t".join(str(field) for field in fields) + "\n")
        self.process.stdin.flush()

    def ask(self, *fields):
        self.send(*fields)
        while (answer := self.process.stdout.readline().rstrip("\n").split("\t"))[0] == "renew":
            self.renewals += 1
            self.send(*(self.renew() if self.renew else ["no"]))
        return answer

    def ok(self, *fields):
        answer = self.ask(*fields)
        assert answer[0] == "ok", (fields[0], answer)
        return answer[1:]

    def err(self, name, *fields):
        answer = self.ask(*fields)
        assert answer[:2] == ["err", name], (fields[0], answer)
        return " ".join(answer[2:])

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(30) == 0


def credential(world, keys, port=None, prefix="s3://lake/", expires_ms=0, secret=None):
    return [prefix, keys["access"], secret or keys["secret"], keys["token"], expires_ms, "us-east-1",
            f"{world['scheme']}://127.0.0.1:{port or world['port']}", 1]


def opened(world, program, port=None, **options):
    drive = Drive(program, ca=world["ca"], **options)
    for number, keys in enumerate(world["people"]):
        drive.ok("grant", number, number, 0, *credential(world, keys, port))
    return drive


def pattern(start, length):
    base = bytes(range(251))
    shift = start % 251
    return hashlib.sha256((base[shift:] + base * (length // 251 + 2))[:length]).hexdigest()


# ---- cases


def writes_in_parts_and_reads_ranges(world, program):
    drive = opened(world, program)
    assert drive.ok("upload", 0, 0, "s3://lake/t/big", BIG, 1)[1] == str(BIG)
    assert drive.ok("open", 0, 0, "s3a://lake/t/big") == [str(BIG)]
    for start, length in [(0, 1), (0, BIG), (17, 20_000_000), (BIG - 1, 1), (8_388_607, 2)]:
        assert drive.ok("read", 0, start, length) == [pattern(start, length)]
    drive.ok("upload", 0, 0, "s3://lake/t/small", 10, 1)
    drive.ok("open", 0, 0, "s3://lake/t/small")
    assert drive.ok("read", 0, 0, 10) == [pattern(0, 10)]
    drive.ok("upload", 0, 0, "s3://lake/t/left", BIG, 0)
    assert "\"left\" does not exist" in drive.err("not_found", "open", 0, 0, "s3://lake/t/left")
    drive.close()


def lists_all_names(world, program):
    drive = opened(world, program)
    names = ["a b", "a+b", "a%2Fb", "a&b<c>", "é\u20ac", "d/e/f", "q?x=1#y", "'\"", "~-_.!*()"]
    for name in names:
        drive.ok("put", 0, 0, f"s3://lake/names/{name}", name, 0)
    listed = drive.ok("list", 0, 0, "s3://lake/names/", 100)[1:]
    expected = sorted((f"s3://lake/names/{name}={len(name.encode())}" for name in names), key=lambda text: text.encode())
    assert sorted(listed, key=lambda text: text.encode()) == expected, (listed, expected)
    for name in names:
        drive.ok("open", 0, 0, f"s3://lake/names/{name}")
        assert drive.ok("read", 0, 0, len(name.encode())) == [hashlib.sha256(name.encode()).hexdigest()]
        drive.ok("delete", 0, 0, f"s3://lake/names/{name}")
    assert drive.ok("list", 0, 0, "s3://lake/names/", 100) == ["0"]
    drive.ok("delete", 0, 0, "s3://lake/names/never-was")
    drive.close()


def lists_more_than_a_page(world, program):
    drive = opened(world, program)
    for number in range(1100):
        drive.ok("put", 0, 0, f"s3://lake/pages/{number:04}", "x", 0)
    assert drive.ok("list", 0, 0, "s3://lake/pages/", 2000)[0] == "1100"
    drive.err("limit", "list", 0, 0, "s3://lake/pages/", 1099)
    drive.close()


def reads_one_version_only(world, program):
    drive = opened(world, program, cache=16 << 20)
    drive.ok("put", 0, 0, "s3://lake/t/version", "one", 0)
    drive.ok("open", 0, 0, "s3://lake/t/version")
    drive.ok("put", 0, 0, "s3://lake/t/version", "two", 0)
    assert "changed" in drive.err("corrupt", "read", 0, 0, 3)
    drive.ok("open", 0, 0, "s3://lake/t/version")
    assert drive.ok("read", 0, 0, 3) == [hashlib.sha256(b"two").hexdigest()]
    drive.close()


def creates_only_once(world, program):
    drive = opened(world, program)
    drive.ok("put", 0, 0, "s3://lake/t/once", "one", 1)
    drive.err("exists", "put", 0, 0, "s3://lake/t/once", "two", 1)
    drive.close()


def refuses_a_wrong_secret(world, program):
    if "is_mock" in world:
        return "a mock, which lets everybody in"
    drive = opened(world, program)
    drive.ok("put", 0, 0, "s3://lake/t/locked", "x", 0)
    wrong = "not-the-secret-of-the-test"
    drive.ok("grant", 2, 0, 0, *credential(world, world["people"][0], secret=wrong))
    for fields in [("open", 2, 0, "s3://lake/t/locked"), ("list", 2, 0, "s3://lake/t/", 10), ("put", 2, 0, "s3://lake/t/x", "x", 0)]:
        text = drive.err("denied", *fields)
        assert wrong not in text and "127.0.0.1" not in text, text
    drive.close()
    return None


def survives_what_the_way_does(world, program):
    proxy = Proxy(world["port"])
    drive = opened(world, program, proxy.port, patience_ms=60000, timeout_ms=4000)
    drive.ok("upload", 0, 0, "s3://lake/t/way", 5_000_000, 1)
    drive.ok("open", 0, 0, "s3://lake/t/way")
    faults = ["kill", "truncate", "hang"] + (["corrupt"] if world["scheme"] == "https" else [])
    for fault in faults:
        for after in [0, 300_000]:
            proxy.set(fault, after, 1)
            assert drive.ok("read", 0, 100, 4_000_000) == [pattern(100, 4_000_000)], fault
            assert proxy.times == 0, fault
    proxy.set("kill", 0, 1)  # a part of an upload may be sent again
    drive.ok("upload", 0, 0, "s3://lake/t/way2", 20_000_000, 1)
    drive.ok("open", 0, 0, "s3://lake/t/way2")
    assert drive.ok("read", 0, 0, 20_000_000) == [pattern(0, 20_000_000)]
    drive.close()


def ends_when_the_way_stays_broken(world, program):
    proxy = Proxy(world["port"])
    drive = opened(world, program, proxy.port, patience_ms=6000, timeout_ms=3000)
    drive.ok("upload", 0, 0, "s3://lake/t/way", 5_000_000, 1)
    drive.ok("open", 0, 0, "s3://lake/t/way")
    faults = ["kill", "hang", "truncate", "slow"] + (["corrupt"] if world["scheme"] == "https" else [])
    for fault in faults:
        proxy.set(fault, 0, 10_000)
        started = time.monotonic()
        text = drive.err("io", "read", 0, 100, 4_000_000)
        took = time.monotonic() - started  # 6 s, on a machine that has time for us
        assert "\"way\"" in text and took < 60, (fault, text, took)
        proxy.set(None)
        assert drive.ok("read", 0, 100, 10) == [pattern(100, 10)], fault
    drive.close()


def trusts_only_what_it_was_told_to(world, program):
    if world["scheme"] == "http":
        return "no TLS"
    drive = Drive(program, ca="")
    drive.ok("grant", 0, 0, 0, *credential(world, world["people"][0]))
    started = time.monotonic()
    assert "not trusted" in drive.err("denied", "open", 0, 0, "s3://lake/t/big")
    assert time.monotonic() - started < 30
    plain = credential(world, world["people"][0])
    plain[6] = "http://192.0.2.1:9000"
    assert "without TLS" in drive.err("denied", "grant", 1, 0, 0, *plain)
    drive.close()
    return None


def renews_in_a_running_read(world, program):
    if "again" not in world:
        return "no STS"
    drive = Drive(program, ca=world["ca"])
    fresh = world["again"]()
    tokens = [world["people"][0], fresh[0]]

    def renew():
        keys = tokens[drive.renewals % 2]
        return credential(world, keys, expires_ms=int(time.time() * 1000) + 2000)

    drive.renew = renew
    drive.ok("grant", 0, 0, 1, *credential(world, tokens[0], expires_ms=int(time.time() * 1000) + 2000))
    drive.ok("open", 0, 0, "s3://lake/t/big")
    ended = time.monotonic() + 7
    while time.monotonic() < ended:
        assert drive.ok("read", 0, 5, 100_000) == [pattern(5, 100_000)]
    assert 3 <= drive.renewals <= 6, drive.renewals
    used = {line.get("accessKey") for line in world["log"] if line["api"]["name"] == "GetObject"}
    assert {tokens[0]["access"], tokens[1]["access"]} <= used
    drive.renew = None
    time.sleep(2.1)
    drive.err("denied", "read", 0, 5, 100)
    drive.close()
    return None


def people_are_known_to_the_store(world, program):
    if "withdraw" not in world:
        return "no access log, no people"
    drive = opened(world, program, cache=64 << 20, disk=64 << 20, folder=tempfile.gettempdir())
    del world["log"][:]
    for who in (0, 1):
        drive.ok("open", who, who, "s3://lake/t/big")
        assert drive.ok("read", who, 0, 3_000_000) == [pattern(0, 3_000_000)]
    assert drive.ok("counts")[3:] == ["3", "3"]  # the second one's are hits
    drive.err("denied", "open", 0, 1, "s3://lake/t/big")  # with the other's grant
    drive.err("denied", "put", 1, 1, "s3://lake/t/bobs", "x", 0)  # the store's own rules: may only read t/
    drive.err("denied", "open", 1, 1, "s3://lake/pages/0000")
    time.sleep(1)
    alice, bob = (keys["access"] for keys in world["people"])
    seen = {(line["api"]["name"], line.get("accessKey")) for line in world["log"] if line["api"].get("object") == "t/big"}
    assert {("HeadObject", alice), ("GetObject", alice), ("HeadObject", bob)} == seen, seen
    assert all(line.get("accessKey") in (alice, bob) for line in world["log"] if line["api"].get("bucket") == "lake")
    world["withdraw"]()
    drive.err("denied", "open", 1, 1, "s3://lake/t/big")  # though every block is here
    drive.ok("open", 0, 0, "s3://lake/t/big")
    drive.close()
    return None


CASES = [writes_in_parts_and_reads_ranges, lists_all_names, lists_more_than_a_page, reads_one_version_only, creates_only_once,
         refuses_a_wrong_secret, survives_what_the_way_does, ends_when_the_way_stays_broken, trusts_only_what_it_was_told_to,
         renews_in_a_running_read, people_are_known_to_the_store]


def main():
    program, name = sys.argv[1:3]
    chosen = sys.argv[3:]
    passed = failed = skipped = 0
    with tempfile.TemporaryDirectory() as folder:
        try:
            with {"moto": moto, "minio": minio}[name](Path(folder)) as world:
                for case in CASES:
                    if chosen and case.__name__ not in chosen:
                        continue
                    started = time.monotonic()
                    try:
                        why = case(world, program)
                    except AssertionError as error:
                        print(f"FAIL {case.__name__}: {error}", flush=True)
                        failed += 1
                        continue
                    skipped += why is not None
                    passed += why is None
                    print(f"{'ok' if why is None else 'skipped'} {case.__name__}{': ' + why if why else ''} "
                          f"({time.monotonic() - started:.1f} s)", flush=True)
        except Skip as why:
            print(f"skipped: {why}")
            skipped += 1
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
