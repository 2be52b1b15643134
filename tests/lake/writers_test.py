#!/usr/bin/env python3
"""Many writers on one table, some of them killed: every acknowledged row is there exactly once, none twice, none that nobody wrote.

    writers_test.py MOAT local|rest WRITERS [--seconds N] [--commits N] [--spark] [--seed N]

`local`: an iceberg_local catalog, each writer with a warehouse of its own. `rest`: Iceberg's own REST catalog behind the gateway,
which loses answers now and then. PyIceberg writes along where it is installed, with --spark Spark too (inserts and deletes), and they
read at the end. A writer is the program itself, started for each statement; one in six is killed (SIGKILL) after a random time, and
what it did is not known then. A caretaker, killed as often, compacts files and manifests and expires snapshots. It ends after
--seconds, or with --commits once the table's last sequence number says that so many were made.

Each row is there once, by what its writer was told; of an insert that nobody knows the outcome of, all rows or none.
Says what was counted; ends with `N passed, N failed`; exits 1 if any failed.
"""

import argparse
import datetime
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

HERE = Path(__file__).resolve().parent
CACHE = Path(os.environ.get("MOAT_CACHE", HERE.parents[1] / ".cache/deps"))
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

PARSER = argparse.ArgumentParser()
PARSER.add_argument("moat", type=os.path.abspath)
PARSER.add_argument("kind", choices=("local", "rest"))
PARSER.add_argument("writers", type=int)
PARSER.add_argument("--seconds", type=float, default=1e9)
PARSER.add_argument("--commits", type=int, default=0)
PARSER.add_argument("--spark", action="store_true")
PARSER.add_argument("--seed", type=int, default=random.randrange(1 << 30))
OPTIONS = PARSER.parse_args()
if OPTIONS.seconds > 1e8 and not OPTIONS.commits:
    PARSER.error("how long: --seconds or --commits")
MOAT, KIND, WRITERS, SEED = OPTIONS.moat, OPTIONS.kind, OPTIONS.writers, OPTIONS.seed
TABLE = "lake.race.rows"
PYICEBERG, SPARK = 1000, 1001  # their numbers as writers
# Others give up after four tries otherwise; nothing that somebody still reads is expired.
PROPERTIES = {"commit.retry.num-retries": 30, "commit.retry.min-wait-ms": 20, "commit.retry.max-wait-ms": 2000,
              "write.metadata.delete-after-commit.enabled": "true", "write.metadata.previous-versions-max": 100}
EXPIRY_S = 300
OVER = threading.Event()


class Book:
    """What each row should be at the end: in `surely` it is there, in `maybe` it may be, those of one insert together; nothing else is."""

    def __init__(self):
        self.lock, self.surely, self.maybe, self.counts = threading.Lock(), set(), set(), Counter()
        self.strange, self.inserts = [], []

    def note(self, what, add=(), drop=(), maybe=()):
        with self.lock:
            self.counts[what] += 1
            self.surely |= set(add)
            self.surely -= {*drop, *maybe}
            self.maybe |= set(maybe)
            self.maybe -= {*drop, *add}

    def note_lost_insert(self, what, rows):
        self.note(what, maybe=rows)
        self.inserts.append(frozenset(rows))


class Writer(threading.Thread):
    """One after the other: inserts of one to three rows, and deletes of rows of its own."""

    def __init__(self, number, command, environment, book):
        super().__init__()
        self.number, self.command, self.environment, self.book = number, command, environment, book
        self.random, self.next, self.mine = random.Random(SEED * 7919 + number), 0, []

    def run(self):
        while not OVER.is_set():
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
            self.book.note_lost_insert("inserts with unknown outcome", rows)
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


class Caretaker(Writer):
    """Who does what may change no row."""

    CALLS = (f"rewrite_data_files('{TABLE}', min_input_files => 20)", f"rewrite_manifests('{TABLE}')",
             f"expire_snapshots('{TABLE}', older_than => '{{before}}', retain_last => 20)")

    def run(self):
        while not OVER.wait(2 + 6 * self.random.random()):
            before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=EXPIRY_S)
            call = self.random.choice(self.CALLS).format(before=before.strftime("%Y-%m-%d %H:%M:%S"))
            self.book.note(f"{call.partition('(')[0]}: {self.execute(f'CALL moat.{call}')}")


def pyiceberg_writes(catalog, book):
    """As any other engine on the table would; it loads again after a conflict by itself."""
    number = 0
    while not OVER.is_set():
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


def spark_writes(session, book):
    rng, mine, number = random.Random(SEED), [], 0
    while not OVER.is_set():
        is_delete = mine and rng.random() < 0.3
        what = "deletes" if is_delete else "inserts"
        if is_delete:
            rows = [mine.pop(rng.randrange(len(mine)))]
            statement = f"DELETE FROM {TABLE} WHERE writer = {SPARK} AND n = {rows[0][1]}"
        else:
            rows = [(SPARK, number + i) for i in range(rng.randint(1, 3))]
            number += len(rows)
            statement = f"INSERT INTO {TABLE} VALUES {', '.join(map(str, rows))}"
        try:
            session.sql(statement)
            book.note(f"Spark's {what} acknowledged", **{"drop" if is_delete else "add": rows})
            mine += [] if is_delete else rows
        except Exception as error:
            text = str(error)
            if "CommitStateUnknown" not in text and any(name in text for name in ("CommitFailedException", "ValidationException")):
                book.note(f"Spark's {what} refused")
                mine += rows if is_delete else []
            elif is_delete:
                book.note(f"Spark's deletes that failed ({text.split(':')[0][:80]})", maybe=rows)
            else:
                book.note_lost_insert(f"Spark's inserts that failed ({text.split(':')[0][:80]})", rows)


def check(rows, book):
    counts = Counter(rows)
    twice = [row for row, count in counts.items() if count > 1]
    lost = book.surely - set(rows)
    phantom = set(rows) - book.surely - book.maybe
    for what, count in sorted(book.counts.items()):
        print(f"    {count:6} {what}")
    print(f"    {len(rows):6} rows at the end, {len(book.surely)} of them acknowledged; {len(book.maybe)} rows that nobody knows of")
    there = set(rows)
    halves = [sorted(insert) for insert in book.inserts if 0 < len(insert & there) < len(insert)]
    assert not halves, f"seed {SEED}: inserted in part: {halves[:5]}"
    assert not twice and not lost and not phantom, f"seed {SEED}: twice {twice[:5]}, lost {sorted(lost)[:5]}, phantom {sorted(phantom)[:5]}"
    assert not book.strange, book.strange[:3]
    assert book.counts["inserts acknowledged"] > WRITERS, "hardly anything was written"


def sequence_number(catalog):
    return catalog.load_table("race.rows").metadata.last_sequence_number


def race(start, commands, environment, catalog, read, session=None, fault=None):
    global LIFE_S
    book = Book()
    begun = time.monotonic()
    start()
    LIFE_S = (time.monotonic() - begun) * 1.5 * max(1, WRITERS / 4)
    threads = [Writer(i, command, environment, book) for i, command in enumerate(commands)]
    threads.append(Caretaker(len(commands), commands[0], environment, book))
    if catalog is not None:
        threads.append(threading.Thread(target=pyiceberg_writes, args=(catalog, book)))
    if session is not None:
        threads.append(threading.Thread(target=spark_writes, args=(session, book)))
    begun = looked = time.monotonic()
    for thread in threads:
        thread.start()
    while not OVER.wait(0.7):
        if fault is not None:
            fault()
        if time.monotonic() - begun >= OPTIONS.seconds and (book.counts["inserts acknowledged"] > 2 * WRITERS or time.monotonic() - begun > OPTIONS.seconds + 300):
            OVER.set()  # a slow machine has longer
        elif OPTIONS.commits and time.monotonic() - looked > 10:
            looked = time.monotonic()
            count = sequence_number(catalog)
            print(f"    {count} commits after {looked - begun:.0f} s", flush=True)
            if count >= OPTIONS.commits:
                OVER.set()
    for thread in threads:
        thread.join()
    if catalog is not None:
        print(f"    {sequence_number(catalog):6} commits in {time.monotonic() - begun:.0f} s")
    rows = read()
    check(rows, book)
    if catalog is not None:
        table = catalog.load_table("race.rows")
        assert sorted((row["writer"], row["n"]) for row in table.scan().to_arrow().to_pylist()) == sorted(rows), "PyIceberg reads other rows"
        location = table.metadata_location.removeprefix("file://").removeprefix("file:")
        done = subprocess.run([MOAT, "iceberg", "validate", location], capture_output=True, text=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith("0 problems"), done.stdout[-2000:] + done.stderr
    elif KIND == "rest" or OPTIONS.commits:
        raise AssertionError("PyIceberg is not here")
    if session is not None:
        found = session.sql(f"SELECT writer, n FROM {TABLE}").toArrow().to_pylist()
        assert sorted((row["writer"], row["n"]) for row in found) == sorted(rows), "Spark reads other rows"


def spark_session(folder, **settings):
    """Spark with the same catalog as `lake`, where it was asked for."""
    if not OPTIONS.spark:
        return None
    from world import spark_home
    import importlib.util

    spec = importlib.util.spec_from_file_location("spark_world", HERE.parent / "interop/iceberg/world.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    session = module.World(folder / "spark", spark_home()).spark
    for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".cache-enabled": "false", **settings}.items():
        session.conf.set(f"spark.sql.catalog.lake{key}", value)
    return session


def creation():
    listed = ", ".join(f"\"{key}\" = '{value}'" for key, value in PROPERTIES.items())
    return f"CREATE TABLE {TABLE} (writer BIGINT, n BIGINT) WITH ({listed})"


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
                subprocess.run([*base, "-q", "-c", f"CREATE SCHEMA lake.race; {creation()}"], check=True, env=environment)
            commands.append(base)

        def ask(statement):
            return subprocess.run([*commands[0], "--format", "csv", "-c", statement], check=True, capture_output=True, text=True, env=environment).stdout

        catalog = None
        if load_catalog is not None:
            catalog = load_catalog("lake", type="sql", uri=f"sqlite:///{name}/lake.sqlite?timeout=30", warehouse=f"file://{name}/warehouse")
        session = spark_session(Path(name), **{".type": "jdbc", ".uri": f"jdbc:sqlite:file:{name}/lake.sqlite?busy_timeout=30000",
                                               ".jdbc.schema-version": "V1", ".warehouse": f"file:{name}"})
        race(lambda: ask("SELECT 1"), commands, environment, catalog, lambda: rows_of(ask(f"SELECT writer, n FROM {TABLE}")), session)


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
            anna.query(creation())
            base = [server.moat, "--warehouse", server.folder + "/warehouse", "--token-file", str(token)]
            for setting in server.settings:
                base += ["--set", setting]

            def read():
                return [tuple(map(int, row)) for row in anna.query(f"SELECT writer, n FROM {TABLE}")]

            race(lambda: subprocess.run([*base, "-c", f"SELECT count(*) FROM {TABLE}"], check=True, capture_output=True, env=server.environment),
                 [base] * WRITERS, server.environment, catalog, read, spark_session(folder, **{".type": "rest", ".uri": inner.url}),
                 lambda: gateway.tell(fault=random.choice(["lose", "lose500"]), times=1, on="^POST .*/tables/rows"))


CASES = {"local": [over_a_local_catalog], "rest": [over_a_rest_catalog]}

if __name__ == "__main__":
    print(f"seed {SEED}")
    try:
        sys.exit(run(CASES[KIND], []))
    except world.Skip as why:
        print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
