#!/usr/bin/env python3
"""TLS: asked for, direct, required, with client certificates, with channel binding, renewed while serving.

tls_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed. Wants openssl; psql where it is there.
"""

import hashlib
import os
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import authority
from authority import tls_settings
from protocol import PASSWORD, Server, eventually, message, refused, run, startup, text

MOAT = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="moat-tls-")


def certificate(name, kind="ec", issuer=None):
    return authority.certificate(FOLDER, name, kind, issuer)


def psql(server, *options, environment=None):
    parts = " ".join((f"host=127.0.0.1 port={server.port} user=amelia dbname=moat",) + options)
    return subprocess.run(["psql", "-XAt", parts, "-c", "SELECT 42"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PGPASSWORD": PASSWORD, **(environment or {})})


def fingerprint(server):
    with socket.create_connection(("127.0.0.1", server.port), 10) as plain:
        plain.sendall(struct.pack("!II", 8, 80877103))
        assert plain.recv(1) == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as wrapped:
            return hashlib.sha256(wrapped.getpeercert(True)).hexdigest()


def tls_asked_and_direct():
    with Server(MOAT, *tls_settings(*certificate("server"))) as server:
        with server.connect(tls="asked") as client:
            assert client.query("SELECT 1") == [["1"]]
            assert client.mechanisms == [b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256"]
            rows = client.query("SELECT repeat('x', 1000) FROM range(20000)")
            assert len(rows) == 20000 and all(len(row[0]) == 1000 for row in rows)
        with server.connect(tls="direct", alpn="postgresql") as client:
            assert client.query("SELECT 1") == [["1"]]
            assert client.socket.selected_alpn_protocol() == "postgresql"
        for alpn in (None, "http/1.1"):  # a browser that somebody talks into it
            try:
                server.connect(tls="direct", alpn=alpn)
                raise AssertionError(f"direct TLS with ALPN {alpn} was taken")
            except (ssl.SSLError, ConnectionError):
                pass
        with server.connect() as client:  # loopback: not required
            assert client.query("SELECT 1") == [["1"]] and client.mechanisms == [b"SCRAM-SHA-256"]


def nothing_is_smuggled_in_before_tls():
    with Server(MOAT, *tls_settings(*certificate("smuggle"))) as server:
        client = server.connect(login=False)
        client.send(struct.pack("!II", 8, 80877103) + startup(user="amelia"))
        assert client.last_words() == "08P01"


def tls_can_be_required():
    with Server(MOAT, "server.tls=required", *tls_settings(*certificate("required"))) as server:
        refused("28000", server.connect)
        with server.connect(tls="asked") as client:
            assert client.query("SELECT 1") == [["1"]]
    warehouse = [MOAT, "--warehouse", FOLDER + "/plain"]
    subprocess.run(warehouse + ["-q", "init"], check=True)
    outcome = subprocess.run(warehouse + ["--set", "server.address=0.0.0.0", "serve"], capture_output=True, text=True)
    assert outcome.returncode != 0 and "certificate" in outcome.stderr, outcome


def channels_are_bound():
    for kind in ("ec", "rsa"):
        with Server(MOAT, *tls_settings(*certificate("bound-" + kind, kind))) as server:
            outcome = psql(server, "sslmode=require", "channel_binding=require")
            assert outcome.stdout.strip() == "42", outcome.stderr
            client = server.connect(login=False, tls="asked")
            client.send(startup(user="amelia"))
            client.read()
            first = b"y,,n=,r=abcdefghijkl"  # "I could, but you cannot": somebody has cut the offer
            client.send(message("p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first))
            assert client.last_words() == "28000"


def clients_show_certificates():
    signer = certificate("authority")
    mine, others = certificate("client", issuer=signer), certificate("stranger")
    settings = tls_settings(*certificate("mutual")) + (f"server.tls_client_ca={signer[0]}",)
    with Server(MOAT, *settings) as server:
        good = psql(server, "sslmode=require", f"sslcert={mine[0]}", f"sslkey={mine[1]}")
        assert good.stdout.strip() == "42", good.stderr
        for bad in (psql(server, "sslmode=require", f"sslcert={others[0]}", f"sslkey={others[1]}"),
                    psql(server, "sslmode=require", "sslcert=/none", "sslkey=/none"), psql(server, "sslmode=disable")):
            assert bad.returncode != 0, bad


def certificates_are_renewed():
    pem, key = certificate("renewed")
    with Server(MOAT, *tls_settings(pem, key)) as server:
        with server.connect(tls="asked") as client:
            before = fingerprint(server)
            certificate("renewed")
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: fingerprint(server) != before)
            after = fingerprint(server)
            with open(pem, "w") as file:
                file.write("no certificate")
            server.process.send_signal(signal.SIGHUP)
            assert client.query("SELECT 1") == [["1"]] and fingerprint(server) == after


CASES = [tls_asked_and_direct, nothing_is_smuggled_in_before_tls, tls_can_be_required, certificates_are_renewed]
if shutil.which("psql"):
    CASES += [channels_are_bound, clients_show_certificates]

if __name__ == "__main__":
    try:
        sys.exit(run(CASES, sys.argv[2:]))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
