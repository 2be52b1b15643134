#!/usr/bin/env python3
"""Files whose requests the catalog signs, for the person who asks.

    signing_test.py MOAT [CASE ...]

SeaweedFS is catalog and store, and checks each signature; a signer of botocore's signs with the keys that the store has for the
person whose token it is shown, and writes down who that was; PyIceberg's own client of signers asks the same one.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import base64
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHON = CACHE / "venv-storage/bin/python"
try:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials
except ImportError:
    if PYTHON.exists() and not os.environ.get("SIGNING_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "SIGNING_REEXECUTED": "1"})
    print("skipped: botocore is not here; tools/deps storage installs it")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

from desk import Desk, vended, world
from protocol import run

TABLE = f"lake.{vended.NAMESPACE}.{vended.TABLES[0]}"


class Signer:
    """/v1/aws/s3/sign of the S3 signer's specification, and .../tables/{table}/sign of the REST specification."""

    def __init__(self):
        self.reset()
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def reset(self):
        self.log, self.deny, self.fault, self.cache_control, self.wrong_keys = [], set(), None, "private", False

    def person_of(self, header):
        """The gateway knows the issuer's keys: what it lets in is genuine."""
        request = urllib.request.Request(f"{gateway.url}/v1/config?warehouse=lake", headers={"Authorization": header})
        try:
            world.OPENER.open(request, timeout=20).read()
        except urllib.error.HTTPError:
            return None
        part = header.split(".")[1]
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["preferred_username"]

    def sign(self, who, asked):
        key, secret = vended.PEOPLE[who]
        request = AWSRequest(asked["method"], asked["uri"], headers={name: ", ".join(values) for name, values in asked["headers"].items()})
        request.context["payload_signing_enabled"] = False
        S3SigV4Auth(Credentials(key, "wrong" if self.wrong_keys else secret), "s3", asked["region"]).add_auth(request)
        return {"uri": request.url, "headers": {name: [value] for name, value in request.headers.items()}}

    def handler(signer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body, **headers):
                text = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **headers}.items():
                    self.send_header(name.replace("_", "-"), str(value))
                self.end_headers()
                self.wfile.write(text)

            def do_POST(self):
                asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                who = signer.person_of(self.headers.get("Authorization", ""))
                signer.log.append({"who": who, "path": self.path, "id": self.headers.get("X-Request-ID"), **asked})
                error = lambda code, kind: self.answer(code, {"error": {"code": code, "type": kind, "message": "no"}})
                if who is None:
                    return error(401, "NotAuthorizedException")
                if who in signer.deny:
                    return error(403, "ForbiddenException")
                answer = signer.sign(who, asked)
                if signer.fault == "503":
                    return error(503, "ServiceUnavailableException")
                if signer.fault == "garbage":
                    return self.answer(200, b"{[")
                if signer.fault == "hang":
                    return time.sleep(30)
                if callable(signer.fault):
                    answer = signer.fault(answer)
                self.answer(200, answer, Cache_Control=signer.cache_control)

            def log_message(self, *_):
                pass

        return Handler


def lends(people=("anna", "bob"), endpoint=None, uri=None, **more):
    """What loading a table says, for those people."""
    config = {"s3.remote-signing-enabled": "true", "s3.endpoint": weed.s3, "s3.path-style-access": "true", "client.region": "us-east-1",
              "s3.signer.uri": uri or signer.url, **({"s3.signer.endpoint": endpoint} if endpoint else {}), **more}
    gateway.tell(credentials={name: [{"prefix": "s3://lake/", "config": config}] for name in people})


def reset():
    signer.reset()
    gateway.reset()


def ask(name, statement, *settings, expect=0):
    return desk.ask(name, statement, *(word for setting in (f"catalog.origins={gateway.url},{signer.url}", *settings) for word in ("--set", setting)),
                    expect=expect)


def refused(name, text, statement=None, *settings):
    done = desk.moat("--token-file", desk.token_of(name), *(word for setting in (f"catalog.origins={gateway.url},{signer.url}", *settings)
                                                            for word in ("--set", setting)), "-c", statement or f"SELECT * FROM {TABLE}")
    assert done.returncode == 1 and text in done.stderr, (done.stdout, done.stderr)
    return done.stderr


def rows_are_read_by_signatures():
    reset()
    expected = ask("bob", f"SELECT * FROM {TABLE} ORDER BY ALL")
    lends()
    assert ask("bob", f"SELECT * FROM {TABLE} ORDER BY ALL") == expected and len(expected) > 10
    assert signer.log and all(line["who"] == "bob" and line["id"] for line in signer.log)
    assert {line["method"] for line in signer.log} == {"HEAD", "GET"}
    for line in signer.log:
        names = {name.lower() for name in line["headers"]}
        assert names == {"host", "x-amz-content-sha256"} and "provider" not in line and line["path"] == "/v1/aws/s3/sign", line
    assert any("remote-signing" in (line["delegation"] or "") for line in gateway.log())


def a_signature_is_kept_where_it_may():
    reset()
    lends()
    once = f"SELECT sum(id) FROM {TABLE} WHERE id > 3"
    ask("bob", once, "storage.cache=false")
    kept = len(signer.log)
    assert kept == len({(line["method"], line["uri"]) for line in signer.log}), "each request is signed once"
    for header in ("no-cache", "no-store, private", "private, max-age=0", "public"):
        signer.reset()
        signer.cache_control = header
        ask("bob", once, "storage.cache=false")
        assert len(signer.log) > kept, (header, kept, len(signer.log))


def it_is_theirs_alone():
    reset()
    lends()
    both = f"SELECT count(*) FROM {TABLE}"
    assert ask("bob", both) == ask("anna", both)
    assert {line["who"] for line in signer.log} == {"anna", "bob"}
    signer.deny = {"bob"}
    assert "permission denied" in refused("bob", "42501")
    assert ask("anna", both)
    signer.deny = set()
    signer.wrong_keys = True
    refused("bob", "the storage refuses access")


def the_specifications_own_endpoint():
    reset()
    path = f"v1/lake/namespaces/{vended.NAMESPACE}/tables/{vended.TABLES[0]}/sign"
    lends(endpoint=path)
    ask("bob", f"SELECT count(*) FROM {TABLE}")
    assert {(line["path"], line.get("provider")) for line in signer.log} == {("/" + path, "s3")}
    lends(**{"signer.uri": f"{signer.url}/", "signer.endpoint": "/v1/aws/s3/sign"}, uri="https://old.example.com")  # the newer names win
    assert ask("bob", f"SELECT count(*) FROM {TABLE}")
    lends(endpoint=f"{signer.url}/somewhere")
    signer.reset()
    ask("bob", f"SELECT count(*) FROM {TABLE}")
    assert {line["path"] for line in signer.log} == {"/somewhere"}


def tokens_go_to_known_signers_only():
    reset()
    for uri, endpoint in ((signer.url, None), ("https://signer.example.com", None), (None, "https://signer.example.com/sign"), (gateway.url + ".evil.example", None),
                          (f"http://user@{signer.url[7:]}", None)):
        lends(uri=uri, endpoint=endpoint)
        done = desk.moat("--token-file", desk.token_of("bob"), "-c", f"SELECT * FROM {TABLE}")
        assert done.returncode == 1 and "signer at another address" in done.stderr and "catalog.origins" in done.stderr, (uri, endpoint, done.stderr)
    assert signer.log == []


def signers_that_fail_or_lie():
    reset()
    lends()
    quick = ("catalog.timeout=3s", "storage.patience=5s")
    for fault, text in (("503", "08006"), ("garbage", "08P01"), ("hang", "08006")):
        signer.fault = fault
        begun = time.monotonic()
        error = refused("bob", text, None, *quick)
        assert '"lake"' in error and time.monotonic() - begun < 60, (fault, error)
    lies = {"another object": lambda answer: {**answer, "uri": answer["uri"] + "x"},
            "another folder": lambda answer: {**answer, "uri": answer["uri"].replace("/lake/", "/lake/../lake/")},
            "another host": lambda answer: {**answer, "uri": answer["uri"].replace(weed.s3, gateway.url)},
            "no address": lambda answer: {"headers": answer["headers"]},
            "no headers": lambda answer: {"uri": answer["uri"]},
            "a header that is none": lambda answer: {**answer, "headers": {**answer["headers"], "a b": ["c"]}},
            "a header of two lines": lambda answer: {**answer, "headers": {**answer["headers"], "x-a": ["b\r\nx-c: d"]}},
            "headers that are no lists": lambda answer: {**answer, "headers": {name: value[0] for name, value in answer["headers"].items()}},
            "too many": lambda answer: {**answer, "headers": {**answer["headers"], **{f"x-{i}": ["1"] for i in range(40)}}}}
    for what, lie in lies.items():
        signer.fault = lie
        done = desk.moat("--token-file", desk.token_of("bob"), "--set", f"catalog.origins={signer.url}", "-c", f"SELECT * FROM {TABLE}")
        assert done.returncode == 1 and done.stdout == "", (what, done.stdout, done.stderr)
        assert any(text in done.stderr for text in ("08P01", "header")), (what, done.stderr)
    # What a signer may do: write characters otherwise, add parameters and headers of its own.
    signer.fault = lambda answer: {**answer, "uri": answer["uri"].replace("_", "%5F"), "headers": {**answer["headers"], "X-Note": ["one", "two"]}}
    assert ask("bob", f"SELECT count(*) FROM {TABLE}")


def pyiceberg_asks_the_same():
    """Its S3V4RestSigner, on a request for the metadata of the same table; what the store gives must be what it gives to us."""
    reset()
    python = CACHE / "venv-interop/bin/python"
    if not python.exists():
        print("skipped: PyIceberg is not here")
        return
    lends()
    ask("bob", f"SELECT count(*) FROM {TABLE}")
    uri = next(line["uri"] for line in signer.log if line["method"] == "GET" and line["uri"].endswith(".parquet"))
    ours = len(signer.log)
    program = """
import json, sys, urllib.request
from types import SimpleNamespace
from pyiceberg.io.fsspec import S3V4RestSigner
from botocore.awsrequest import AWSRequest
given = json.load(sys.stdin)
request = AWSRequest("GET", given["uri"], headers={"Range": "bytes=0-3"})
request.context["client_region"] = "us-east-1"
S3V4RestSigner({"s3.signer.uri": given["signer"], "uri": given["signer"], "token": given["token"]})(request)
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
headers = {name: value for name, value in request.headers.items()}
print(opener.open(urllib.request.Request(request.url, headers=headers), timeout=20).read().decode())
"""
    done = subprocess.run([python, "-c", program], input=json.dumps({"uri": uri, "signer": signer.url, "token": issuer.token_of("bob")}), text=True,
                          capture_output=True, env={**os.environ, "PYTHONPATH": str(next((CACHE / "venv-storage/lib").glob("python*")) / "site-packages")})
    assert done.stdout.strip() == "PAR1", (done.stdout, done.stderr[-2000:])
    assert [line["who"] for line in signer.log[ours:]] == ["bob"]
    theirs, mine = signer.log[-1], next(line for line in signer.log if line["uri"] == uri and line["method"] == "GET")
    assert set(theirs) - {"who", "path", "id"} <= set(mine) and theirs["path"] == mine["path"], (theirs, mine)


CASES = [rows_are_read_by_signatures, a_signature_is_kept_where_it_may, it_is_theirs_alone, the_specifications_own_endpoint,
         tokens_go_to_known_signers_only, signers_that_fail_or_lie, pyiceberg_asks_the_same]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-signing-") as name:
        folder, weed, gateway = Path(name), None, None
        try:
            with world.issuer_of(folder) as issuer:
                weed = world.SeaweedFS(folder, vended.PEOPLE)
                vended.SparkTables(weed, vended.PEOPLE["anna"]).move(vended.TABLES[0])
                gateway = world.Gateway(folder, weed.url, issuer.url, people=vended.PEOPLE)
                signer = Signer()
                desk = Desk(folder, issuer, gateway)
                desk.ask("anna", f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest, WAREHOUSE 'lake'); GRANT SELECT ON {TABLE} TO ROLE reader")
                code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
        finally:
            for part in (gateway, weed):
                if part is not None:
                    part.close()
    sys.exit(code)
