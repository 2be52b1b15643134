"""How somebody comes in to a server with a lake behind it, as the person of a token. Each door gives run(statement, times=1): the rows of
one time, as texts, or Refused with the SQLSTATE; and says what it misses."""

import csv
import http.client
import importlib.util
import json
import os
import re
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.parse
from pathlib import Path

import world
from protocol import Refused


IDLE_S = 10  # that a connection of HTTP may be silent
SETTINGS = ("server.http_port=-1", "server.web_port=0", "server.flight_port=0")


def find(server):
    """The ports of a server that was started with these settings, and has said nothing yet but where PostgreSQL's is."""
    server.web_port, server.flight_port = (int(re.search(r"port (\d+) of", server.process.stdout.readline()).group(1)) for _ in range(2))


def texts(rows):
    """As psql and CSV write them."""
    return [["" if cell is None else "ft"[cell] if isinstance(cell, bool) else str(cell) for cell in row] for row in rows]


class Psql:
    """One psql, kept open."""

    name = "psql"

    @staticmethod
    def missing(_moat):
        return None if shutil.which("psql") else "psql is not here"

    def __init__(self, server, person, token, verbosity="sqlstate"):
        parts = f"host=127.0.0.1 port={server.port} user={person} dbname=moat sslmode=require"
        environment = {**os.environ, "PGPASSWORD": token, "PGOPTIONS": world.WISH_TOKEN}
        command = ["psql", "-XAtq", "-F", "\t", "-v", f"VERBOSITY={verbosity}", parts]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)
        try:
            self.run("SELECT 1")
        except Refused as error:
            self.close()
            if "FATAL" in error.fields["M"] or "no answer" in error.fields["M"]:
                raise Refused({"C": "28000", "M": error.fields["M"]}) from None
            raise

    def run(self, statement, times=1):
        for _ in range(times - 1):
            self.run(statement)
        try:
            self.process.stdin.write(f"{statement};\n\\echo -- :LAST_ERROR_SQLSTATE :ERROR\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        lines = []
        while line := self.process.stdout.readline():
            if line.startswith("-- "):
                state, failed = line.split()[1:]
                if failed == "true":
                    raise Refused({"C": state, "M": "".join(lines)})
                return [row.split("\t") for row in "".join(lines).splitlines()]
            lines.append(line)
        text = "".join(lines)  # the connection has ended
        state = next((word for word in text.replace(":", " ").split() if len(word) == 5 and word[:2].isdigit()), "08006")
        raise Refused({"C": state, "M": text or "no answer"})

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended with the session
        self.process.wait(timeout=20)
        self.process.stdout.close()


class Program:
    """The program itself, which holds a token and runs the engine in its own process."""

    name = "moat"

    @staticmethod
    def missing(moat):
        told = subprocess.run([moat, "--help"], capture_output=True, text=True, check=False).stdout
        return None if "--token-file" in told else "the program takes no token yet"

    def __init__(self, server, person, token):
        self.server, self.person = server, person
        descriptor, self.token = tempfile.mkstemp(prefix=f"token-{person}-", dir=server.folder)  # closed to all others
        with open(descriptor, "w") as file:
            file.write(token)

    def run(self, statement, times=1):
        command = [self.server.moat, "--warehouse", self.server.folder + "/warehouse", "--token-file", self.token, "--format", "csv", "--no-header"]
        for setting in self.server.settings:
            command += ["--set", setting]
        done = subprocess.run([*command, *["-c", statement] * times], capture_output=True, text=True, env=self.server.environment, check=False)
        if done.returncode != 0:
            state = re.search(r"ERROR ([0-9A-Z]{5})", done.stderr)
            raise Refused({"C": state.group(1) if state else "?", "M": done.stderr + done.stdout})
        rows = list(csv.reader(done.stdout.splitlines()))
        return rows[-(len(rows) // times):]

    def close(self):
        os.unlink(self.token)


class Web:
    """One connection to the door for HTTP, and the token with each request."""

    @staticmethod
    def missing(_moat):
        return None

    def __init__(self, server, _person, token):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection("127.0.0.1", server.web_port, timeout=120, context=context)
        self.authorization = {"Authorization": f"Bearer {token}"}
        self.asked = time.monotonic()
        self.run("SELECT 1")

    def ask(self, method, path, body=None, **headers):
        if time.monotonic() - self.asked > IDLE_S:
            self.connection.close()  # the next request opens another: the server may have ended it, with its token
        self.asked = time.monotonic()
        self.connection.request(method, path, body, {**self.authorization, **headers})
        answer = self.connection.getresponse()
        data = answer.read()
        document = json.loads(data) if data else {}
        if answer.status >= 400:
            error = document.get("error") or {}
            raise Refused({"C": error.get("sqlstate") or error.get("sqlState") or "?", "M": f"{answer.status} {data.decode(errors='replace')}"})
        return document

    def run(self, statement, times=1):
        for _ in range(times - 1):
            self.once(statement)
        return texts(self.once(statement))

    def close(self):
        self.connection.close()


class Http(Web):
    """Moat's own documents."""

    name = "http"

    def once(self, statement):
        return self.ask("POST", "/v1/sql", json.dumps({"sql": statement}), **{"Content-Type": "application/json"}).get("rows") or []


class Trino(Web):
    """Trino's protocol, page by page."""

    name = "trino"

    def once(self, statement):
        document, rows = self.ask("POST", "/v1/statement", statement.encode(), **{"X-Trino-Catalog": "moat", "X-Trino-Schema": "main"}), []
        while True:
            rows += document.get("data") or []
            if "error" in document:
                raise Refused({"C": document["error"]["sqlState"], "M": document["error"]["message"]})
            if "nextUri" not in document:
                return rows
            document = self.ask("GET", urllib.parse.urlparse(document["nextUri"]).path)


class Flight:
    """pyarrow's Flight, the token with each call."""

    name = "flight"

    @staticmethod
    def missing(_moat):
        return None if importlib.util.find_spec("pyarrow") else "pyarrow is not here"

    def __init__(self, server, _person, token):
        spec = importlib.util.spec_from_file_location("flight_door", Path(__file__).parent.parent / "flight/door.py")
        client = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(client)
        self.errors = (client.flight.FlightError, client.pyarrow.ArrowException, OSError)
        self.door = client.Door(server.flight_port, options=client.bearer(token), tls=True)
        self.run("SELECT 1")

    def run(self, statement, times=1):
        try:
            for _ in range(times):
                is_query = statement.startswith("SELECT")
                rows = self.door.rows(statement) if is_query else [] if self.door.update(statement) is not None else None
        except self.errors as error:
            state = re.search(r"\[([0-9A-Z]{5})\]", str(error))
            raise Refused({"C": state.group(1) if state else "?", "M": str(error)}) from None
        return texts(rows)

    def close(self):
        self.door.close()


DOORS = [Psql, Program, Http, Trino, Flight]
