#!/usr/bin/env python3
"""Two people, one table, the same cached blocks, different rights: no row or value of the one is ever the other's.

    isolation_test.py MOAT [COUNT]

COUNT statements (400), of both people in a random order over several connections at once, with rights from Moat (rows, columns,
masks) and from the catalog (read-restrictions); each answer is compared with what this person's must be, value by value. Then
rights are withdrawn, in Moat and at the catalog: the very next statement fails, though metadata and blocks are cached.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import stack
import world
from protocol import Refused, refused, run

MOAT, COUNT = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 400
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
TABLE = "v2_bucket_id_pos_eq"
CONNECTIONS = 2  # of each person
PATIENT = ("catalog.timeout=10m", "storage.request_timeout=1h", "storage.patience=1h")  # whose rows they are is the question, not when
# What each may see of (id, k, s, p), given all of it.
MOATS = {"anna": ("GRANT SELECT (id, k, s) ON {table} TO USER anna ROWS WHERE id % 2 = 0", lambda r: r[:3] if int(r[0]) % 2 == 0 else None),
         "bob": ("GRANT SELECT (id, s, p) ON {table} TO USER bob ROWS WHERE id % 2 = 1 MASKED WITH (s = show_first(s, 1))",
                 lambda r: [r[0], r[2] and (r[2][0] + "*" * (len(r[2]) - 1) if len(r[2]) > 1 else "*"), r[3]] if int(r[0]) % 2 == 1 else None)}
COLUMNS = {"anna": "id, k, s", "bob": "id, s, p"}
OTHERS = {"anna": "p", "bob": "k"}


def sign_in(server, person):
    """Without a limit of time: many statements on a busy machine, or one that stands still for a while, are no fault."""
    client = world.sign_in(server, lake.issuer, person)
    client.socket.settimeout(None)
    return client


def question(person, rows, rng):
    """A statement, and what this person's answer is."""
    kind = rng.randrange(5)
    pick = str(rng.choice(everything)[0])
    if kind == 0:
        return f"SELECT {COLUMNS[person]} FROM {table} ORDER BY ALL", rows
    if kind == 1:
        return f"SELECT * FROM {table} WHERE id = {pick} ORDER BY ALL", [row for row in rows if row[0] == pick]
    if kind == 2:
        return f"SELECT count(*), min(id), max(id) FROM {table}", [[str(len(rows)), *(str(f(int(row[0]) for row in rows)) for f in (min, max))]]
    if kind == 3:
        return f"SELECT DISTINCT id % 2 FROM {table}", [["0" if person == "anna" else "1"]]
    return f"SELECT {OTHERS[person]} FROM {table}", None


def ordered(rows):
    return sorted(rows, key=lambda row: [(value is None, int(value) if i == 0 else value or "") for i, value in enumerate(row)])


def ask(client, person, statement, expected):
    if expected is None:  # the other's column: there is none
        fields = refused("42703", client.query, statement)
        assert f'"{OTHERS[person]}"' in fields["M"], fields
        return
    got = client.query(statement)
    assert ordered(got) == ordered(expected), f"{person}: {statement}: {[row for row in got if row not in expected][:3]} not {len(expected)} rows"


def interleave(server, rows):
    """Each connection is one thread; who is next is chance."""
    problems, left, lock = [], [COUNT], threading.Lock()
    clients = [(person, sign_in(server, person)) for person in stack.PEOPLE for _ in range(CONNECTIONS)]

    def work(person, client, rng):
        while not problems:
            with lock:
                if left[0] <= 0:
                    return
                left[0] -= 1
            try:
                ask(client, person, *question(person, rows[person], rng))
            except (AssertionError, Refused, OSError) as error:
                problems.append(f"{type(error).__name__}: {error}")

    threads = [threading.Thread(target=work, args=(person, client, random.Random(SEED + number))) for number, (person, client) in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for _, client in clients:
        client.close()
    assert not problems, problems[0]


def all_is_cached(person, client):
    """Reads twice; the second time nothing but heads is asked of the store."""
    for _ in range(2):
        lake.catalog_log()
        lake.store_log()
        client.query(f"SELECT {COLUMNS[person]} FROM {table}")
    lake.catalog_log()
    kinds = [line[3] for line in lake.store_log()]
    assert kinds and set(kinds) == {"HEAD"}, kinds


def withdrawn(server, olga, rows):
    """At the catalog, at the store's lender, in Moat: the next statement fails, of this person alone."""
    clients = {person: sign_in(server, person) for person in stack.PEOPLE}
    for person, client in clients.items():
        other = next(name for name in stack.PEOPLE if name != person)
        statements = [f"SELECT {COLUMNS[person]} FROM {table} ORDER BY ALL", f"SELECT count(*) FROM {table}",
                      f"SELECT {COLUMNS[person]} FROM {table} ORDER BY ALL"]
        for rule, code in (({"deny": {person: [f"/tables/{TABLE}"]}}, "42P01"), ({"hide": {person: [f"/tables/{TABLE}"]}}, "42P01"),
                           ({"credentials": {person: []}}, "42501")):
            all_is_cached(person, client)
            lake.gateway.tell(**rule)
            for statement in statements:
                refused(code, client.query, statement)
            ask(clients[other], other, f"SELECT {COLUMNS[other]} FROM {table}", rows[other])
            lake.gateway.tell(deny={}, hide={}, credentials={})
            ask(client, person, statements[0], rows[person])
        all_is_cached(person, client)
        olga.query(f"REVOKE SELECT ON {table} FROM USER {person}")
        for statement in statements:
            assert refused("3D000", client.query, statement)  # no grant in it: the catalog does not exist
        ask(clients[other], other, f"SELECT {COLUMNS[other]} FROM {table}", rows[other])
        olga.query(MOATS[person][0].format(table=table))
        ask(client, person, statements[0], rows[person])
    for client in clients.values():
        client.close()


def by_grants_of_moat():
    with stack.served(MOAT, folder, lake, *PATIENT) as (server, olga):
        for grant, _ in MOATS.values():
            olga.query(grant.format(table=table))
        rows = {person: [row for row in map(MOATS[person][1], everything) if row] for person in stack.PEOPLE}
        assert all(len(rows[person]) > 10 for person in rows), rows
        interleave(server, rows)
        withdrawn(server, olga, rows)


def by_restrictions_of_the_catalog():
    with stack.served(MOAT, folder, lake, *PATIENT, tables=[table]) as (server, _):
        rows = {person: [row[:4] for row in everything if row[4] == flag] for person, flag in (("anna", "t"), ("bob", "f"))}
        assert all(len(rows[person]) > 5 for person in rows), {person: len(rows[person]) for person in rows}
        only = lambda value: {TABLE: {"required-row-filter": {"type": "eq", "term": "flag", "value": value}}}
        lake.gateway.tell(restrict={"anna": only(True), "bob": only(False)})
        problems, clients = [], {person: sign_in(server, person) for person in stack.PEOPLE}

        def work(person):
            try:
                for _ in range(max(COUNT // 8, 10)):
                    got = clients[person].query(f"SELECT id, k, s, p FROM {table} ORDER BY ALL")
                    assert ordered(got) == ordered(rows[person]), f"{person} got {len(got)} rows, not {len(rows[person])}"
            except (AssertionError, Refused, OSError) as error:
                problems.append(f"{type(error).__name__}: {error}")

        threads = [threading.Thread(target=work, args=(person,)) for person in rows]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not problems, problems[0]
        # The filter changes: the next statement has the new one.
        lake.gateway.tell(restrict={"anna": only(False)})
        assert ordered(clients["anna"].query(f"SELECT id, k, s, p FROM {table}")) == ordered(rows["bob"])
        lake.gateway.tell(restrict={"anna": {TABLE: {"required-row-filter": {"type": "no-such-thing"}}}})
        refused("42501", clients["anna"].query, f"SELECT id, k, s, p FROM {table}")


CASES = [by_grants_of_moat, by_restrictions_of_the_catalog]

if __name__ == "__main__":
    local = f"/tmp/moat-iceberg-{os.urandom(4).hex()}"  # as long as what is written in the files
    with tempfile.TemporaryDirectory(prefix="moat-isolation-") as name, ExitStack() as exits:
        folder = Path(name)
        exits.callback(shutil.rmtree, local, ignore_errors=True)
        try:
            lake = stack.Weed(folder, exits)
            table, _ = lake.table(TABLE)
            lake.tables.here(TABLE, local)
            with world.serve(MOAT, folder, lake.issuer, setup=stack.SETUP) as server:
                server.sql(f"ATTACH '{local}/warehouse/hadoop' AS disk (TYPE hadoop); GRANT SELECT ON disk.core.{TABLE} TO USER amelia")
                with server.connect(tls="asked") as amelia:
                    everything = amelia.query(f"SELECT id, k, s, p, flag FROM disk.core.{TABLE} ORDER BY ALL")
            print(f"{COUNT} statements, seed {SEED}")
            code = run(CASES, sys.argv[3:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
