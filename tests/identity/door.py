#!/usr/bin/env python3
"""The same issuer at the PostgreSQL door: `moat serve`, and clients that hold its tokens.

door.py MOAT    run by suite.py, which says in the environment where the issuer is. Ends with "N passed, N failed, N skipped".
"""

import base64
import csv
import ctypes
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../wire"))
import authority
from protocol import Refused, Server, fields_of, message, refused, run, startup, text

MOAT = sys.argv[1]
# Out of the environment: the program refuses variables of its own that it does not know.
WORLD = {name.removeprefix("MOAT_OIDC_"): os.environ.pop(name) for name in list(os.environ) if name.startswith("MOAT_OIDC_")}
ISSUER, SCOPE, LIFE_S = WORLD["ISSUER"], WORLD["SCOPE"], int(WORLD["LIFE"])
FOLDER = tempfile.mkdtemp(prefix="moat-door-")
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
WISH_TOKEN, WISH_OAUTH = "-c moat.login=token", "-c moat.login=oauth"
SETTINGS = (
    "login.providers=password, apikey, oidc", "login.refusal_time=10ms", "login.account_tries=1000", "login.address_tries=1000",
    "oidc.insecure_loopback=true", f"oidc.issuer={ISSUER}", "oidc.audience=moat", "oidc.client_id=moat", f"oidc.scope={SCOPE}",
    f"oidc.client_secret_file={WORLD['SECRET_FILE']}", "oidc.subject_claim=preferred_username",
    "oidc.roles_claim=realm_access.roles", "oidc.role_prefix=moat-", "oidc.skew=0", "oidc.keys_pause=1s", "oidc.refresh_before=2s")


def serve(*settings, setup=""):
    pem = os.path.join(FOLDER, "server.pem")
    pair = (pem, pem[:-4] + ".key") if os.path.exists(pem) else authority.certificate(FOLDER, "server")
    return Server(MOAT, *authority.tls_settings(*pair), *SETTINGS, *settings, setup=setup)


def ask_issuer(**form):
    with OPENER.open(f"{ISSUER}/.well-known/openid-configuration", timeout=30) as answer:
        endpoint = json.load(answer)["token_endpoint"]
    request = urllib.request.Request(endpoint, data=urllib.parse.urlencode({"scope": SCOPE, **form}).encode())
    request.add_header("Authorization", "Basic " + base64.b64encode(b"moat:moat-secret").decode())
    with OPENER.open(request, timeout=30) as answer:
        return json.load(answer)["access_token"]


def token_of(name):
    return ask_issuer(grant_type="password", username=name, password=f"{name}-password")


def exchanged(token, audience):
    kind = "urn:ietf:params:oauth:token-type:access_token"
    return ask_issuer(grant_type="urn:ietf:params:oauth:grant-type:token-exchange", subject_token=token, subject_token_type=kind,
                      requested_token_type=kind, audience=audience)


def with_secret(server, user, secret, **parameters):
    client = server.connect(login=False, tls="asked")
    client.login_secret(user, secret, **({"options": WISH_TOKEN} | parameters))
    return client


def last_words(client, statement):
    client.send(message("Q", text(statement)))
    fields = fields_of(client.until("E")[-1][1])
    assert client.is_closed(), "the connection stays"
    return fields


def reasons(server):
    out = server.sql("SELECT reason FROM moat_system.audit WHERE kind = 'login' AND state = 'FAILED'")
    return [row[0] for row in csv.reader(out.splitlines())][1:]


def tokens_are_passwords():
    with serve() as server:
        token = token_of("bob")
        with with_secret(server, "bob", token) as client:
            assert client.query("SELECT current_user, has_role('analyst'), has_role('moat_admin')") == [["bob", "t", "f"]]
            assert client.parameters["session_authorization"] == "bob"
        for user, secret in (("anna", token), ("amelia", token), ("bob", token[:-8] + "AAAAAAAA"), ("bob", exchanged(token, "catalog")),
                             ("bob", "bob-password"), ("bob", token + "A" * 20000)):
            assert refused("28P01", with_secret, server, user, secret)["M"] == "authentication failed"
        client = server.connect(login=False)  # in the clear nobody asks for it
        client.send(startup(user="bob", options=WISH_TOKEN))
        assert client.last_words() == "28000"
        why = reasons(server)
        assert any("another person's" in reason for reason in why) and any("audience" in reason or "\"aud\"" in reason for reason in why), why
        assert not any(token[:40] in reason for reason in why)


def expired_tokens_are_told_so():
    with serve() as server:
        token = token_of("bob")
        with with_secret(server, "bob", token) as client, with_secret(server, "bob", token) as idle, \
                with_secret(server, "bob", token) as reader:
            reader.query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM range(100000)")
            assert len(reader.query("FETCH 2 FROM c")) == 2
            assert client.query("SELECT 1") == [["1"]]
            time.sleep(LIFE_S + 1)
            for one, statement in ((client, "SELECT 1"), (idle, "SHOW search_path"), (reader, "FETCH 2 FROM c")):
                words = last_words(one, statement)
                assert words["C"] == "28000" and words["S"] == "FATAL" and "expired" in words["M"] and "onnect anew" in words["H"], words
        assert "expired" in refused("28000", with_secret, server, "bob", token)["M"]


def sasl_oauthbearer():
    with serve() as server:
        token = token_of("bob")
        with server.connect(login=False, tls="asked") as client:
            assert client.login_oauth("bob", token) is None
            assert client.mechanisms == [b"SCRAM-SHA-256-PLUS", b"SCRAM-SHA-256", b"OAUTHBEARER"]
            assert client.query("SELECT current_user, has_role('analyst')") == [["bob", "t"]]
        with server.connect(login=False, tls="asked") as client:
            assert client.login_oauth("bob", token, authzid="a=bob", options=WISH_OAUTH) is None
            assert client.mechanisms == [b"OAUTHBEARER"]
        for user, secret, authzid in (("anna", token, ""), ("bob", token[:-8] + "AAAAAAAA", ""), ("bob", exchanged(token, "catalog"), ""),
                                      ("bob", "", ""), ("anna", token, "a=bob"), ("bob", token, "a=anna")):
            with server.connect(login=False, tls="asked") as client:
                answer, error = client.login_oauth(user, secret, authzid=authzid)
                answer = json.loads(answer)
                assert answer["status"] == "invalid_token" and answer["openid-configuration"].startswith(ISSUER), answer
                assert error.code == "28000", error
        with server.connect(login=False, tls="asked") as client:  # the first message comes by itself
            client.send(startup(user="bob", options=WISH_OAUTH))
            client.read()
            client.send(message("p", b"OAUTHBEARER\0\xff\xff\xff\xff"))
            assert client.read() == ("R", b"\0\0\0\x0b")
            client.send(message("p", f"n,,\x01auth=Bearer {token}\x01\x01".encode()))
            client.expect_auth(*client.read(), 0)
        with server.connect(login=False, tls="asked") as client:
            client.send(startup(user="bob", options=WISH_OAUTH))
            client.read()
            client.send(message("p", b"OAUTHBEARER\0" + b"\0\0\0\x04junk"))
            assert client.last_words() == "08P01"
        client = server.connect(login=False)  # not offered in the clear
        client.send(startup(user="bob"))
        assert b"OAUTHBEARER" not in client.read()[1]


def passwords_go_to_the_issuer_if_so_configured():
    with serve("oidc.password_grant=true") as server:
        with with_secret(server, "bob", "bob-password") as client:
            until = time.monotonic() + LIFE_S + 2
            while time.monotonic() < until:  # longer than a token lives: it is renewed
                assert client.query("SELECT current_user, has_role('analyst')") == [["bob", "t"]]
                time.sleep(0.3)
        refused("28P01", with_secret, server, "bob", "wrong")
        refused("28P01", with_secret, server, "nobody", "wrong")
        with server.connect(tls="asked") as client:  # the warehouse's own
            assert client.query("SELECT current_user") == [["amelia"]]


def only_the_issuer_knows():
    with serve("login.providers=oidc") as server:
        with with_secret(server, "bob", token_of("bob"), options="") as client:  # no need to say what it holds
            assert client.query("SELECT current_user") == [["bob"]]
        refused("28P01", lambda: with_secret(server, "amelia", "correct horse", options=""))


def keys_are_rotated():
    with serve() as server:
        old = token_of("bob")
        with with_secret(server, "bob", old) as client:
            time.sleep(1.2)  # oidc.keys_pause
            with open(int(WORLD["ASK_FD"]), "wb", closefd=False) as ask:
                ask.write(b"rotate\n")
            assert os.read(int(WORLD["ANSWER_FD"]), 16) == b"rotated\n"
            fresh = token_of("bob")
            with with_secret(server, "bob", fresh) as other:
                assert other.query("SELECT 1") == [["1"]]
            if WORLD["ROTATION"] == "replace":
                refused("28P01", with_secret, server, "bob", old)
            assert client.query("SELECT 1") == [["1"]]  # it had been let in


def psql_and_psycopg():
    with serve() as server:
        parts = f"host=127.0.0.1 port={server.port} user=bob dbname=moat sslmode=require"
        if shutil.which("psql"):
            environment = {**os.environ, "PGPASSWORD": token_of("bob"), "PGOPTIONS": WISH_TOKEN}
            outcome = subprocess.run(["psql", "-XAt", parts, "-c", "SELECT current_user"], capture_output=True, text=True, env=environment)
            assert outcome.stdout.strip() == "bob", outcome
        try:
            import psycopg
        except ImportError:
            return
        with psycopg.connect(parts, password=token_of("bob"), options=WISH_TOKEN) as connection:
            assert connection.execute("SELECT current_user").fetchone() == ("bob",)


class BearerRequest(ctypes.Structure):
    """PGoauthBearerRequest of libpq-fe.h."""
    _fields_ = [("configuration", ctypes.c_char_p), ("scope", ctypes.c_char_p), ("run", ctypes.c_void_p), ("cleanup", ctypes.c_void_p),
                ("token", ctypes.c_char_p), ("user", ctypes.c_void_p)]


def libpq_brings_tokens():
    """libpq of PostgreSQL 18: asks the server where tokens come from, gets one of us, connects anew with it."""
    import psycopg
    library = ctypes.CDLL(glob.glob(os.path.join(os.path.dirname(psycopg.__file__), "../psycopg_binary.libs/libpq-*"))[0])
    seen = []

    def bring(kind, _connection, data):
        if kind != 1:  # PQAUTHDATA_OAUTH_BEARER_TOKEN
            return 0
        request = ctypes.cast(data, ctypes.POINTER(BearerRequest)).contents
        seen.append((request.configuration.decode(), (request.scope or b"").decode(), token))
        request.token = ctypes.c_char_p(token)
        return 1

    hook = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(bring)
    library.PQsetAuthDataHook(hook)
    os.environ["PGOAUTHDEBUG"] = "UNSAFE"  # an issuer without TLS
    try:
        with serve() as server:
            parts = f"host=127.0.0.1 port={server.port} user=bob dbname=moat sslmode=require oauth_issuer={ISSUER} oauth_client_id=moat require_auth=oauth"
            token = token_of("bob").encode()
            with psycopg.connect(parts, options=WISH_OAUTH) as connection:
                assert connection.execute("SELECT current_user").fetchone() == ("bob",)
            try:
                psycopg.connect(parts)
                raise AssertionError("SCRAM was offered, and libpq did not take it")
            except psycopg.OperationalError as error:  # why the wish is needed (docs/decisions/007)
                assert "SCRAM" in str(error), error
            assert seen[0][0].startswith(ISSUER) and seen[0][1] == SCOPE, seen
            token = token_of("anna").encode()
            try:
                psycopg.connect(parts, options=WISH_OAUTH)
                raise AssertionError("anna's token opened bob's door")
            except psycopg.OperationalError as error:
                assert "authentication failed" in str(error), error
            assert len([reason for reason in reasons(server) if reason]) == 1, "asking for the issuer is no try"
    finally:
        library.PQsetAuthDataHook(None)
        del os.environ["PGOAUTHDEBUG"]


CASES = [tokens_are_passwords, expired_tokens_are_told_so, sasl_oauthbearer, passwords_go_to_the_issuer_if_so_configured,
         only_the_issuer_knows, psql_and_psycopg, keys_are_rotated]
try:
    import psycopg
    if psycopg.pq.version() >= 180000:
        CASES.insert(0, libpq_brings_tokens)
except ImportError:
    pass

if __name__ == "__main__":
    try:
        sys.exit(run(CASES, sys.argv[2:]))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
