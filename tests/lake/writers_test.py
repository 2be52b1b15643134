#!/usr/bin/env python3
"""Many writers on one table, some of them killed: every acknowledged row is there exactly once, none twice, none that nobody wrote.

    writers_test.py MOAT local|rest WRITERS SECONDS [SEED]

`local`: an iceberg_local catalog, each writer with a warehouse of its own. `rest`: Iceberg's own REST catalog behind the gateway,
which loses answers now and then. PyIceberg writes along where it is installed, and reads at the end. A writer is the program itself,
started for each statement; one in six is killed (SIGKILL) after a random time, and what it did is not known then.

Says what was counted; ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[2] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import pyarrow as pa
    from pyiceberg.catalog import load_catalog
    from pyiceberg.exceptions import CommitFailedException, CommitStateUnknownException
except ImportError:
    if PYTHON.exists() and not os.environ.get("WRITERS_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "WRITERS_REEXECUTED": "1"})
    load_catalog = None

import world
from protocol import run

MOAT, KIND, WRITERS, SECONDS = os.path.abspath(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
SEED = int(sys.argv[5]) if len(sys.argv) > 5 else random.randrange(1 << 30)
TABLE = "lake.race.rows"
PYICEBERG = 1000  # its number as a writer


class Book:
    """What each row should be at the end: in `surely` it is there, in `maybe` it may be; nothing else is."""

    def __init__(self):
        self.lock, self.surely, self.maybe, self.counts = threading.Lock(), set(), set(), Counter()
        self.strange = []

    def note(self, what, add=(), drop=(), maybe=()):
        with self.lock:
            self.counts[what] += 1
            self.surely |= set(add)
            self.surely -= {*drop, *maybe}
            self.maybe |= set(maybe)
            self.maybe -= {*drop, *add}


class Writer(threading.Thread):
    """One after the other: inserts of one to three rows, and deletes of rows of its own."""

    def __init__(self, number, command, environment, book):
        super().__init__()
        self.number, self.command, self.environment, self.book = number, command, environment, book
        self.random, self.next, self.mine = random.Random(SEED * 7919 + number), 0, []

    def run(self):
        while time.monotonic() < DEADLINE:
            if self.mine and self.random.random() < 0.2:
                self.delete()
            else:
                self.insert()

    def insert(self):
        rows = [(self.number, self.next + i) for i in range(self.random.randint(1, 3))]
        self.next += len(rows)
        outcome = self.execute(f"INSERT INTO {TABLE} VALUES " + ", ".join(map(str, rows)))
        if outcome == "done":
            self.book.note("inserts acknowledged", add=rows)
            self.mine += rows
        elif outcome == "unknown":
            self.book.note("inserts with unknown outcome", maybe=rows)
        else:
            self.book.note(f"inserts refused ({outcome})")

    def delete(self):
        row = self.mine.pop(self.random.randrange(len(self.mine)))
        outcome = self.execute(f"DELETE FROM {TABLE} WHERE writer = {row[0]} AND n = {row[1]}")
        if outcome == "done":
            self.book.note("deletes acknowledged", drop=[row])
        elif outcome == "unknown":
            self.book.note("deletes with unknown outcome", maybe=[row])
        else:
            self.book.note(f"deletes refused ({outcome})")
            self.mine.append(row)

    def execute(self, statement):
        process = subprocess.Popen([*self.command, "-c", statement], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, env=self.environment)
        if self.random.random() < 1 / 6:
            try:
                process.wait(timeout=self.random.random() * LIFE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()
                return "unknown"
        told = process.communicate()[1]
        if process.returncode == 0:
            return "done"
        code = told.partition("ERROR ")[2][:5]
        if code not in ("40001", "40003"):
            self.book.strange.append(f"writer {self.number}: {statement[:60]}: {told[:400]}")
        return "unknown" if code == "40003" or not code else code


def pyiceberg_writes(catalog, book):
    """As any other engine on the table would; it loads again after a conflict by itself."""
    number = 0
    while time.monotonic() < DEADLINE:
        row, number = (PYICEBERG, number), number + 1
        try:
            catalog.load_table("race.rows").append(pa.table({"writer": pa.array([row[0]], pa.int64()), "n": pa.array([row[1]], pa.int64())}))
            book.note("PyIceberg's appends acknowledged", add=[row])
        except CommitFailedException:
            book.note("PyIceberg's appends refused")
        except CommitStateUnknownException:
            book.note("PyIceberg's appends with unknown outcome", maybe=[row])
        except Exception as error:  # SQLite: the database is locked
            book.note(f"PyIceberg's appends that failed ({type(error).__name__})", maybe=[row])


def check(rows, book):
    counts = Counter(rows)
    twice = [row for row, count in counts.items() if count > 1]
    lost = book.surely - set(rows)
    phantom = set(rows) - book.surely - book.maybe
    for what, count in sorted(book.counts.items()):
        print(f"    {count:6} {what}")
    print(f"    {len(rows):6} rows at the end, {len(book.surely)} of them acknowledged; {len(book.maybe)} rows that nobody knows of")
    assert not twice and not lost and not phantom, f"seed {SEED}: twice {twice[:5]}, lost {sorted(lost)[:5]}, phantom {sorted(phantom)[:5]}"
    assert not book.strange, book.strange[:3]
    assert book.counts["inserts acknowledged"] > WRITERS, "hardly anything was written"


def race(start, commands, environment, catalog, read, fault=None):
    global DEADLINE, LIFE_S
    book = Book()
    begun = time.monotonic()
    start()
    LIFE_S = (time.monotonic() - begun) * 1.5 * max(1, WRITERS / 4)
    DEADLINE = time.monotonic() + SECONDS
    threads = [Writer(i, command, environment, book) for i, command in enumerate(commands)]
    if catalog is not None:
        threads.append(threading.Thread(target=pyiceberg_writes, args=(catalog, book)))
    for thread in threads:
        thread.start()
    while fault is not None and time.monotonic() < DEADLINE:
        time.sleep(0.7)
        fault()
    for thread in threads:
        thread.join()
    check(read(), book)
    if catalog is not None:
        table = catalog.load_table("race.rows").scan().to_arrow().to_pylist()
        assert sorted((row["writer"], row["n"]) for row in table) == sorted(read()), "PyIceberg reads other rows"
    elif KIND == "rest":
        raise AssertionError("PyIceberg is not here")


def rows_of(text):
    return [tuple(map(int, line.split(","))) for line in text.splitlines()[1:]]


def over_a_local_catalog():
    with tempfile.TemporaryDirectory(prefix="moat-writers-") as name:
        commands = []
        environment = {**os.environ, "HOME": name}
        for number in range(WRITERS):
            base = [MOAT, "--warehouse", f"{name}/w{number}"]
            subprocess.run([*base, "-q", "init"], check=True, env=environment)
            create = ", CREATE true" if number == 0 else ""
            subprocess.run([*base, "-q", "-c", f"ATTACH '{name}/lake.sqlite' AS lake (TYPE iceberg_local{create})"], check=True, env=environment)
            if number == 0:
                subprocess.run([*base, "-q", "-c", f"CREATE SCHEMA lake.race; CREATE TABLE {TABLE} (writer BIGINT, n BIGINT)"], check=True, env=environment)
            commands.append(base)

        def ask(statement):
            return subprocess.run([*commands[0], "--format", "csv", "-c", statement], check=True, capture_output=True, text=True, env=environment).stdout

        catalog = None
        if load_catalog is not None:
            catalog = load_catalog("lake", type="sql", uri=f"sqlite:///{name}/lake.sqlite?timeout=30", warehouse=f"file://{name}/warehouse")
        race(lambda: ask("SELECT 1"), commands, environment, catalog, lambda: rows_of(ask(f"SELECT writer, n FROM {TABLE}")))


def over_a_rest_catalog():
    with tempfile.TemporaryDirectory(prefix="moat-writers-") as name, ExitStack() as exits:
        folder = Path(name)
        issuer = exits.enter_context(world.issuer_of(folder, 7200))
        inner, lake = world.iceberg_servlet(folder)
        catalog = load_catalog("rest", type="rest", uri=inner.url)
        gateway = world.Gateway(folder, inner.url, issuer.url)
        exits.callback(gateway.close)
        server = exits.enter_context(world.serve(MOAT, folder, issuer, f"catalog.origins={gateway.url},{issuer.url}", f"catalog.local_folders={lake}",
                                                 "catalog.timeout=20s", setup="CREATE USER anna; GRANT ROLE moat_admin TO anna"))
        token = folder / "token"
        token.touch(0o600)
        token.write_text(issuer.token_of("anna"))
        with world.sign_in(server, issuer, "anna") as anna:
            anna.query(f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest)")
            anna.query("CREATE SCHEMA lake.race")
            anna.query(f"CREATE TABLE {TABLE} (writer BIGINT, n BIGINT)")
            base = [server.moat, "--warehouse", server.folder + "/warehouse", "--token-file", str(token)]
            for setting in server.settings:
                base += ["--set", setting]

            def read():
                return [tuple(map(int, row)) for row in anna.query(f"SELECT writer, n FROM {TABLE}")]

            race(lambda: subprocess.run([*base, "-c", f"SELECT count(*) FROM {TABLE}"], check=True, capture_output=True, env=server.environment),
                 [base] * WRITERS, server.environment, catalog, read,
                 lambda: gateway.tell(fault=random.choice(["lose", "lose500"]), times=1, on="^POST .*/tables/rows"))


CASES = {"local": [over_a_local_catalog], "rest": [over_a_rest_catalog]}

if __name__ == "__main__":
    print(f"seed {SEED}")
    try:
        sys.exit(run(CASES[KIND], []))
    except world.Skip as why:
        print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
