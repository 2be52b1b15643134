"""A lake for suites: issuer, catalog, store and a Moat server in front, with what each of them wrote down about whom."""

import csv
import os
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager

import world
from protocol import Refused
from spark_tables import NAMESPACE, SparkTables

PEOPLE = ("anna", "bob")
SETUP = ("CREATE USER olga; GRANT ROLE moat_admin TO olga; CREATE USER anna; CREATE USER bob; CREATE ROLE reader; "
         "GRANT ROLE reader TO anna; GRANT ROLE reader TO bob")


class Weed:
    """npm's oidc-provider, SeaweedFS as catalog and store, and the gateway that knows the one's tokens and the other's people."""

    attach = "TYPE iceberg_rest, WAREHOUSE 'lake'"

    def __init__(self, folder, stack, life_s=3600, proxy=None):
        keys = {name: (f"{name}key", f"{name}secret") for name in (*PEOPLE, "olga")}
        self.issuer = stack.enter_context(world.issuer_of(folder, life_s))
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

    def catalog_log(self):
        """(who, query id, status, path) of each request."""
        lines = self.gateway.log()
        for line in lines:
            self.lent.update((session, (line["who"], line["id"])) for session in line.get("lent", []))
        return [(line["who"], line["id"], line.get("status"), line["path"]) for line in lines]

    def store_log(self):
        """(who, query id, status, operation) of each request, after catalog_log of the same time.

        Who is what the store itself calls them, by the name that the catalog gave the session: iceberg-PERSON-TABLE."""
        lines = []
        for line in self.weed.requests.take():
            name = line["requester_arn"].rsplit("/", 1)[-1].split("-")
            who = name[1] if name[0] == "iceberg" else line["requester"] or None
            lender, query = self.lent.get(line["requester"], (None, None))
            assert lender in (None, who), (lender, line)
            lines.append((who, query, line["status"], line["operation"].split(".")[1]))
        return lines


@contextmanager
def served(moat, folder, world_of, *settings, tables=(), grants="SELECT", **more):
    """A Moat server with the catalog attached by olga, who administers it, and tables granted to the role reader."""
    world_of.gateway.reset()
    origins = f"catalog.origins={world_of.gateway.url},{world_of.issuer.url}"
    with world.serve(moat, folder, world_of.issuer, origins, *settings, setup=SETUP, **more) as server:
        with world.sign_in(server, world_of.issuer, "olga") as olga:
            olga.query(f"ATTACH '{world_of.gateway.url}' AS lake ({world_of.attach})")
            for table in tables:
                olga.query(f"GRANT {grants} ON {table} TO ROLE reader")
            world_of.catalog_log()
            world_of.store_log()
            yield server, olga


# ---- doors: how somebody comes in. Each gives run(statement): rows of texts, or Refused


class Psql:
    """One psql, kept open."""

    name = "psql"

    @staticmethod
    def missing(_moat):
        return None if shutil.which("psql") else "psql is not here"

    def __init__(self, server, person, token):
        parts = f"host=127.0.0.1 port={server.port} user={person} dbname=moat sslmode=require"
        environment = {**os.environ, "PGPASSWORD": token, "PGOPTIONS": world.WISH_TOKEN}
        command = ["psql", "-XAtq", "-F", "\t", "-v", "VERBOSITY=sqlstate", parts]
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
        self.process.stdin.close()
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


DOORS = [Psql, Program]


def table_of(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows)
