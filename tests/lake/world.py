"""What the suites of this folder run against: an issuer, a real catalog, a gateway that knows the issuer's tokens, a Moat server."""

import base64
import datetime
import hashlib
import hmac
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "identity"), str(HERE.parent / "wire"), str(HERE.parent / "interop/iceberg")]
import authority
import suite as identity
from protocol import Server

CACHE, Skip, OPENER = identity.CACHE, identity.Skip, identity.OPENER
WISH_TOKEN = "-c moat.login=token"


class Issuer:
    def __init__(self, world):
        self.url, self.scope, self.pid = world["issuer"], world["scope"], world.get("pid")
        self.live = world.get("live")  # how many seconds tokens live from now on
        self.issued = []

    def ask(self, **form):
        with OPENER.open(f"{self.url}/.well-known/openid-configuration", timeout=30) as answer:
            endpoint = json.load(answer)["token_endpoint"]
        request = urllib.request.Request(endpoint, data=urllib.parse.urlencode({"scope": self.scope, **form}).encode())
        request.add_header("Authorization", "Basic " + base64.b64encode(b"moat:moat-secret").decode())
        with OPENER.open(request, timeout=30) as answer:
            self.issued.append(json.load(answer)["access_token"])
        return self.issued[-1]

    def token_of(self, name):
        return self.ask(grant_type="password", username=name, password=f"{name}-password")


class Gateway:
    """gateway.mjs over a catalog."""

    def __init__(self, folder, catalog, issuer, audience="moat,catalog", people=None):
        modules = CACHE / "oidc-provider/node_modules"
        if not modules.exists() or shutil.which("node") is None:
            raise Skip("oidc-provider of npm is not here")
        shutil.copy(HERE / "gateway.mjs", folder)
        if not (folder / "node_modules").exists():
            (folder / "node_modules").symlink_to(modules)
        more = [json.dumps(people), str(identity.free_port())]
        self.process = subprocess.Popen(["node", "gateway.mjs", catalog, issuer, audience, *more], cwd=folder, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        self.url = f"http://127.0.0.1:{int(self.process.stdout.readline())}"

    def tell(self, **command):
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def log(self):
        return self.tell(log=True)

    def reset(self):
        self.tell(deny={}, hide={}, restrict={}, credentials={}, lend={}, endpoint=None, endpoints=None, fault=None, delay=0, log=True)

    def close(self):
        self.process.stdin.close()
        self.process.wait(timeout=20)


@contextmanager
def issuer_of(folder, life_s=600, kind=identity.oidc_provider):
    identity.LIFE_S = life_s
    with kind(folder) as world:
        yield Issuer(world)


def spark_home():
    """Spark with Iceberg's jars."""
    home = CACHE / "spark"
    if not (home / ".complete").exists() or shutil.which("java") is None:
        raise Skip("Spark with Iceberg is not here; tools/deps interop fetches it")
    return home


def iceberg_servlet(folder):
    """The REST catalog of Iceberg's own tests, in a JVM, over SQLite and files."""
    from rest_catalog import RestCatalog

    spark = spark_home()
    lake = folder / "lake"
    lake.mkdir()
    return RestCatalog(spark, folder / "catalog.sqlite", lake), lake


def serve(moat, folder, issuer, *settings, setup="", **options):
    secret = folder / "secret"
    secret.write_text("moat-secret\n")
    secret.chmod(0o600)
    pem = folder / "server.pem"
    pair = (str(pem), str(pem)[:-4] + ".key") if pem.exists() else authority.certificate(str(folder), "server")
    return Server(moat, *authority.tls_settings(*pair), "login.providers=password, oidc", "login.refusal_time=10ms",
                  "oidc.insecure_loopback=true", "oidc.skew=0", f"oidc.issuer={issuer.url}", "oidc.audience=moat", "oidc.client_id=moat",
                  f"oidc.scope={issuer.scope}", f"oidc.client_secret_file={secret}", "oidc.subject_claim=preferred_username",
                  "oidc.roles_claim=realm_access.roles", "oidc.role_prefix=moat-", "oidc.account=linked",
                  "catalog.insecure_loopback=true", *settings, setup=setup, **options)


def sign_in(server, issuer, name, token=None):
    client = server.connect(login=False, tls="asked")
    client.login_secret(name, token or issuer.token_of(name), options=WISH_TOKEN)
    return client


class AccessLog:
    """What SeaweedFS's store writes down of each request (fluentd's protocol, as JSON), told by the name in its configuration."""

    def __init__(self, path=None):
        self.lines, self.path = [], path
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.read, args=(client,), daemon=True).start()

    def read(self, client):
        decoder, text = json.JSONDecoder(), ""
        with client:
            while data := client.recv(65536):
                text += data.decode()
                while text:
                    try:
                        line, end = decoder.raw_decode(text)
                    except ValueError:
                        break
                    text = text[end:].lstrip()
                    self.lines.append(line[2])
                    if self.path:
                        with open(self.path, "a") as file:
                            file.write(json.dumps(line[2]) + "\n")

    def take(self, ask):
        """All since the last time. `ask` makes a request that names what it is given: lines come in the order of requests, so that when
        its own is here all others are."""
        mark = f"mark-{os.urandom(8).hex()}"
        ask(mark)
        deadline = time.monotonic() + 60
        while not (seen := next((i + 1 for i, line in enumerate(self.lines) if mark in str(line)), 0)):
            assert time.monotonic() < deadline, f"the store does not tell of {mark}, but {self.lines[-3:]}"
            time.sleep(0.02)
        lines, self.lines[:seen] = self.lines[:seen], []
        return [line for line in lines if mark not in str(line)]

    def close(self):
        self.listener.close()


class SeaweedFS:
    """An object store with a REST catalog over it that vends session credentials by its own STS: one program, from PyPI."""

    def __init__(self, folder, people, life_s=3600, log=None, before=None):
        weed = CACHE / "venv/bin/weed"
        if not weed.exists():
            raise Skip("SeaweedFS of PyPI is not here; tools/deps check installs it")
        home = folder / "weed"
        home.mkdir()
        everything = ["Admin", "Read", "Write", "List", "Tagging"]
        (home / "s3.json").write_text(json.dumps({"identities": [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": everything}
            for name, (key, secret) in people.items()]}))
        allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
        trust = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Federated": "iceberg-catalog"},
                                                         "Action": ["sts:AssumeRoleWithCredentials"]}]}
        role = "arn:aws:iam::role/Vend"
        (home / "iam.json").write_text(json.dumps({
            "sts": {"tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "weed",
                    "signingKey": base64.b64encode(os.urandom(32)).decode()},
            "policy": {"defaultEffect": "Deny", "storeType": "memory"}, "policies": [{"name": "Vend", "document": allow}],
            "roles": [{"roleName": "Vend", "roleArn": role, "trustPolicy": trust, "attachedPolicies": ["Vend"]}]}))
        names = ("master", "volume", "filer", "s3", "iceberg", "lance", "admin")
        ports = dict(zip(names, (identity.free_port() for _ in names)))
        options = {f"{name}.port": ports[name] for name in ("master", "volume", "filer", "s3", "admin")}
        options |= {f"{name}.port.grpc": identity.free_port() for name in ("master", "volume", "filer", "s3", "admin")}
        self.requests = AccessLog(log)
        (home / "audit.json").write_text(json.dumps({"fluent_host": "127.0.0.1", "fluent_port": self.requests.port, "marshal_as_json": True}))
        options |= {"s3.auditLogConfig": home / "audit.json"}
        options |= {"s3.port.iceberg": ports["iceberg"], "s3.port.lance": 0, "s3.config": home / "s3.json", "s3.iam.config": home / "iam.json",
                    "s3.iceberg.credentialRole": role, "s3.iceberg.credentialDurationSeconds": life_s, "tableBucket": "lake",
                    "webdav": "false", "admin.ui": "false", "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "dir": home, "metricsPort": 0}
        self.log = open(folder / "weed.log", "wb")
        self.process = subprocess.Popen([weed, f"-logdir={home}", "mini", *(f"-{name}={value}" for name, value in options.items())], cwd=home,
                                        stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, preexec_fn=before)
        self.url, self.s3 = f"http://127.0.0.1:{ports['iceberg']}", f"http://127.0.0.1:{ports['s3']}"
        deadline = time.monotonic() + 60
        while True:
            try:
                if b"lake" in OPENER.open(f"{self.url}/v1/config?warehouse=lake", timeout=5).read():
                    break
            except OSError:
                pass
            if self.process.poll() is not None or time.monotonic() > deadline:
                sys.stdout.write((folder / "weed.log").read_text(errors="replace")[-3000:])
                raise RuntimeError("SeaweedFS did not start")
            time.sleep(0.2)

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        self.requests.close()


def make_namespace(weed, keeper, name):
    """In SeaweedFS's catalog, as one of its people."""
    key, secret = keeper
    form = {"grant_type": "client_credentials", "client_id": key, "client_secret": secret}
    token = json.loads(identity.post(f"{weed.url}/v1/oauth/tokens", form))["access_token"]
    for attempt in range(100):  # the bucket comes a little after the server
        try:
            return identity.post(f"{weed.url}/v1/lake/namespaces", token=token, body=json.dumps({"namespace": [name]}).encode())
        except urllib.error.HTTPError as error:
            if attempt == 99:
                raise RuntimeError(error.read().decode()) from None
        time.sleep(0.2)


def s3_request(store, key, secret, method, path, body=b"", query="", region="us-east-1"):
    """With a signature of version 4; `query` is sorted and encoded."""
    host = urllib.parse.urlsplit(store).netloc
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    path = urllib.parse.quote(path)
    canonical = (f"{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{digest}\nx-amz-date:{now}\n\n"
                 f"host;x-amz-content-sha256;x-amz-date\n{digest}")
    scope = f"{now[:8]}/{region}/s3/aws4_request"
    signed = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    signing = ("AWS4" + secret).encode()
    for part in (now[:8], region, "s3", "aws4_request"):
        signing = hmac.new(signing, part.encode(), "sha256").digest()
    signature = hmac.new(signing, signed.encode(), "sha256").hexdigest()
    request = urllib.request.Request(store + path + (f"?{query}" if query else ""), data=body or None, method=method, headers={
        "x-amz-date": now, "x-amz-content-sha256": digest,
        "Authorization": f"AWS4-HMAC-SHA256 Credential={key}/{scope}, SignedHeaders=host;x-amz-content-sha256;x-amz-date, Signature={signature}"})
    try:
        return OPENER.open(request, timeout=30).read()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{path}: {error.read().decode()}") from None


def put_object(store, key, secret, path, body):
    s3_request(store, key, secret, "PUT", path, body)


def list_objects(store, key, secret, bucket, prefix):
    """Keys below a prefix; a thousand at most."""
    prefix = urllib.parse.quote(prefix, safe="")
    answer = s3_request(store, key, secret, "GET", f"/{bucket}", query=f"list-type=2&prefix={prefix}").decode()
    return re.findall(r"<Key>(.*?)</Key>", answer)
