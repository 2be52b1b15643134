#!/usr/bin/env python3
"""Whatever catalog, store and the way to them do: right rows or a clear error in time, nothing said to the wrong one, and then it works again.

    fault_test.py MOAT short|long [CASE ...]     SEED=n for what is by chance

Several catalogs are attached to one server, each by a way of its own (way.py) to the same real catalog and store, so that many faults
happen at once; bob reads by a calm way meanwhile, and must see nothing of it.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import csv
import os
import queue
import random
import shutil
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import needles
import doors
import stack
import way
import world
from protocol import Refused, run
from spark_tables import NAMESPACE
from way import FAULTS, Elsewhere, Way, Wire

MOAT, LONG = sys.argv[1], sys.argv[2] == "long"
SEED = int(os.environ.get("SEED", time.time_ns() % 1_000_000))
TABLE, OTHER = "v2_none_pos_partition", "v2_bucket_id_pos_eq"
LANES = 8
CATALOG_S, REQUEST_S, PATIENCE_S, PAUSE_S, LOAD_S = 3, 1.5, 3.5, 0.2, 30  # the last is what a busy machine adds
SETTINGS = (f"catalog.timeout={CATALOG_S}s", "catalog.connect_timeout=1s", f"catalog.pause={int(PAUSE_S * 1000)}ms", "catalog.config_age=0",
            "catalog.answer_bytes_max=4MiB", "storage.connect_timeout=1s", f"storage.request_timeout={int(REQUEST_S * 1000)}ms",
            f"storage.patience={int(PATIENCE_S * 1000)}ms", "storage.cache=false", "log.level=debug")
STATEMENTS = ["SELECT id, k, s, p FROM {table} ORDER BY ALL", 'SELECT record_count, file_size_in_bytes FROM {schema}."{name}$files" ORDER BY ALL',
              "SELECT count(*), min(s), max(k) FROM {table}", "SELECT id, s FROM {table} WHERE id % 7 = 3 ORDER BY ALL"]
MENDED = ("kill", "truncate", "reset", 502, 503, 504, "503, in a second", "bad chunk")  # if it happens once, nobody is told
# By whom else an answer cannot be told from a right one, with the reason.
HARMLESS = {("store", "unranged"): "a whole object where all of it was asked for"}
OF_STORE = ("etag", "no etag", "content-range", "shifted", "unranged")


class Lane:
    """A catalog of the server, by its own ways to the catalog and the store."""

    def __init__(self, name, exits, tls=None):
        self.name, self.is_tls = name, tls is not None
        self.catalog, self.store = (Way(target, SEED, tls) for target in (lake.gateway.url, lake.weed.s3))
        self.wires = {}
        for place, road in (("catalog", self.catalog), ("store", self.store)):
            exits.callback(road.close)
            road.elsewhere = elsewhere.url
            if tls:
                self.wires[place] = Wire(road.port)
                exits.callback(self.wires[place].close)
        ports = {place: self.wires[place].port if tls else getattr(self, place).port for place in ("catalog", "store")}
        self.url, store = (f"http{'s' if tls else ''}://127.0.0.1:{ports[place]}" for place in ("catalog", "store"))
        self.catalog.rewrite = [(lake.weed.s3.encode(), store.encode())]
        self.names = {"table": f"{name}.{NAMESPACE}.{TABLE}", "schema": f"{name}.{NAMESPACE}", "name": TABLE, "other": f"{name}.{NAMESPACE}.{OTHER}"}

    def attach(self, olga):
        olga.query(f"ATTACH '{self.url}' AS {self.name} ({lake.attach})")
        olga.query(f"GRANT SELECT ON {self.names['table']} TO ROLE reader")

    def calm(self):
        for road in (self.catalog, self.store, *self.wires.values()):
            road.strike(None)


# ---- one statement, and what came of it


class Outcome:
    def __init__(self, rows, error, took):
        self.rows, self.error, self.took = rows, error, took

    def text(self):
        return "" if self.error is None else self.error.fields["M"]

    def line(self):
        return self.text().strip().split("\n")[0][:150] if self.error else f"{len(self.rows)} rows"


def attempt(door, statement):
    begun = time.monotonic()
    try:
        return Outcome(door.run(statement), None, time.monotonic() - begun)
    except Refused as error:
        return Outcome(None, error, time.monotonic() - begun)


class Patient(doors.Psql):
    """A psql that says all it is told, and is ended if it waits for ever."""

    def __init__(self, server, person):
        super().__init__(server, person, lake.issuer.token_of(person), verbosity="verbose")

    def run(self, statement, times=1):
        watch = threading.Timer(120, self.process.kill)
        watch.start()
        try:
            return super().run(statement, times)
        finally:
            watch.cancel()


def judge(outcome, expected, lane, limit_s, must="either", unlikely="42P01", is_named=True):
    """Raises what is wrong with it."""
    text = outcome.text()
    said.append(text)
    assert outcome.took < limit_s + LOAD_S, f"it took {outcome.took:.1f} s: {outcome.line()}"
    if outcome.error is None:
        assert must != "error", f"no error, but {len(outcome.rows)} rows"
        assert outcome.rows == expected, f"WRONG ROWS: {len(outcome.rows)}, not {len(expected)}"
        return
    assert must != "rows", outcome.line()
    code = outcome.error.code
    assert code[:2] in ("08", "53", "54", "57", "58", "42", "XX", "28", "22", "0A") and code not in ("XX000", unlikely), f"{code}: {text}"
    named = (f'"{lane.name}"', f"{lane.name}.core", TABLE, ".parquet", ".avro")  # in the message, or where it points in the statement
    assert not is_named or any(name in text for name in named), f"it names nothing: {text}"
    assert "127.0.0.1" not in text and "http:" not in text, f"it tells an address: {text}"


def patiently(door, statement):
    """Where nothing is struck. The limits are short, so that what hangs costs little: a busy machine may need more than one try."""
    for _ in range(6):
        outcome = attempt(door, statement)
        if outcome.error is None or outcome.error.code not in ("08006", "58030"):
            break
        time.sleep(PAUSE_S)
    return outcome


def works_again(door, lane, statement, expected):
    """With the fault gone, and the breaker's pause over."""
    lane.calm()
    time.sleep(PAUSE_S + 0.1)
    after = patiently(door, statement)
    assert after.error is None, f"afterwards: {after.line()}"
    assert after.rows == expected, "afterwards: WRONG ROWS"


class Bob:
    """Who reads by a calm way, all the time."""

    def __init__(self, server, lane, expected):
        self.door, self.statement, self.expected = Patient(server, "bob"), STATEMENTS[0].format(**lane.names), expected
        self.count, self.worst, self.problem, self.is_over = 0, 0.0, None, False
        self.thread = threading.Thread(target=self.work)
        self.thread.start()

    def work(self):
        while (not self.is_over or self.count < 2) and self.problem is None:  # a case of quick faults is soon over
            outcome = patiently(self.door, self.statement)
            self.count += 1
            self.worst = max(self.worst, outcome.took)
            if outcome.rows != self.expected:
                self.problem = outcome.line()
            time.sleep(0.1)

    def end(self):
        self.is_over = True
        self.thread.join()
        self.door.close()
        print(f"        bob meanwhile: {self.count} statements, the slowest {self.worst:.1f} s", flush=True)
        assert self.problem is None, f"bob: {self.problem}"
        assert self.worst < LOAD_S * 2, f"bob waited {self.worst:.1f} s"


def at_once(lanes, jobs, door_of=None):
    """Each job is a function of a lane and a door, with a name; problems of all. Each lane is one thread and one session of anna."""
    left, problems, rows = queue.SimpleQueue(), [], []
    for job in jobs:
        left.put(job)

    def work(lane):
        door = door_of(lane) if door_of else Patient(server, "anna")
        try:
            while True:
                try:
                    name, job = left.get_nowait()
                except queue.Empty:
                    return
                try:
                    rows.append((name, *job(lane, door)))
                except Exception as error:  # each by itself
                    problems.append(f"{name}: {type(error).__name__}: {error}")
                    if not isinstance(error, AssertionError):
                        raise
                finally:
                    lane.calm()
        finally:
            door.close()

    threads = [threading.Thread(target=work, args=(lane,)) for lane in lanes]
    bob = Bob(server, calm, oracle[STATEMENTS[0]])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if LONG or problems:
        print(stack.table_of([["        fault", "what was said", "s"], *(("        " + name, line, f"{took:.1f}") for name, line, took in sorted(rows))]), flush=True)
    while closing:
        closing.pop().close()
    try:
        bob.end()
    except AssertionError as error:
        problems.append(str(error))
    assert not problems, f"{len(problems)} of {len(jobs)}:\n          " + "\n          ".join(problem.strip() for problem in problems)


# ---- cases


def of_another_table(lane):
    """The catalog's answer for another table, the store's other object: what gives them."""
    def catalog(client):
        client.path = client.path.replace(f"/tables/{TABLE}", f"/tables/{OTHER}")
        return lane.catalog.ask(client, b"")

    def store(client):
        other = next(path for path in sorted(objects) if path.endswith(client.path[-5:]) and not client.path.endswith(path))
        data, span = objects[other], client.headers.get("Range")
        headers = [("ETag", f'"{hash(other):x}"'), ("Content-Length", len(data))]
        if span:
            first, last = map(int, span.removeprefix("bytes=").split("-"))
            last = min(last, len(data) - 1)
            headers = [headers[0], ("Content-Range", f"bytes {first}-{last}/{len(data)}")]
            return 206, headers, data[first:last + 1]
        return 200, headers, data

    lane.catalog.other, lane.store.other = catalog, store


def for_good(place, fault, where="", method=""):
    def job(lane, door):
        if where == "/metadata/":  # what was read of it is kept for a sign-in
            door = Patient(server, "anna")
            closing.append(door)
        road, statement = getattr(lane, place), STATEMENTS[0].format(**lane.names)
        of_another_table(lane)
        road.strike(fault, where, method)
        memory = server.resident()
        outcome = attempt(door, statement)
        assert road.struck > 0, f"nothing was struck, of {road.asked}"
        must = "either" if (place, fault) in HARMLESS else "error"
        # Nothing is granted on the other table, whatever it is said to be called.
        unlikely = "42P01" if (place, fault) != ("catalog", "of another") else ""
        judge(outcome, oracle[STATEMENTS[0]], lane, CATALOG_S * 2 if place == "catalog" else PATIENCE_S * 2, must, unlikely)
        assert server.resident() - memory < 150 << 20, f"{(server.resident() - memory) >> 20} MiB more"
        works_again(door, lane, statement, oracle[STATEMENTS[0]])
        return outcome.line(), outcome.took
    return f"{place}, {fault}{', ' + where if where else ''}{', ' + method if method else ''}", job


def once(place, fault, skip):
    def job(lane, door):
        road, statement = getattr(lane, place), STATEMENTS[0].format(**lane.names)
        for _ in range(6):  # a busy machine may want more than the limits allow
            road.strike(fault, skip=skip, times=1)
            outcome = attempt(door, statement)
            if outcome.error is None:
                break
            time.sleep(PAUSE_S)
        assert road.struck == 1, f"it was struck {road.struck} times of {road.asked}"
        judge(outcome, oracle[STATEMENTS[0]], lane, CATALOG_S * 2 + PATIENCE_S, "rows")
        works_again(door, lane, statement, oracle[STATEMENTS[0]])
        return outcome.line(), outcome.took
    return f"{place}, {fault}, request {skip + 1} only", job


def some(jobs, count):
    """All of them, or in the short form some, by chance."""
    return jobs if LONG else random.Random(SEED).sample(jobs, count)


def faults_of(place):
    return [fault for fault in (500, 502, 503, 504, 429, *FAULTS) if fault != "flip" and (place == "store" or fault not in OF_STORE)]


def what_goes_on_is_told():
    jobs = [for_good(place, fault) for place in ("catalog", "store") for fault in faults_of(place)]
    jobs += [for_good("store", fault, where, "GET") for fault in ("kill", "hang half", "etag", "nothing", "of another") for where in ("/metadata/", "/data/")]
    at_once(lanes, some(jobs, 36))
    assert not elsewhere.heard, f"somebody followed a redirection: {elsewhere.heard[:1]}"


def what_happens_once_is_mended():
    jobs = [once(place, fault, skip) for place in ("catalog", "store") for fault in MENDED for skip in (0, 1)] + [once("store", 500, 1)]
    at_once(lanes, some(jobs, 9))


def the_program_is_told_too():
    at_once(lanes, some([for_good(place, fault) for place in ("catalog", "store") for fault in faults_of(place)], 8),
            lambda _: doors.Program(server, "anna", lake.issuer.token_of("anna")))
    assert not elsewhere.heard, f"somebody followed a redirection: {elsewhere.heard[:1]}"


def a_statement_has_its_own_deadline():
    def job(place, where, codes):
        def work(lane, door):
            statement = STATEMENTS[0].format(**lane.names)
            door.run("SET query.timeout = '600ms'")
            getattr(lane, place).strike("hang", where)
            outcome = attempt(door, statement)
            said.append(outcome.text())
            assert outcome.error is not None and outcome.error.code in codes, outcome.line()
            assert outcome.took < PATIENCE_S + LOAD_S, outcome.took
            door.run("RESET query.timeout")
            works_again(door, lane, statement, oracle[STATEMENTS[0]])
            return outcome.line(), outcome.took
        return f"{place} hangs, 600 ms", work
    at_once(lanes, [job("catalog", "", ["57014"]), job("store", "/data/", ["57014"]), job("store", "/metadata/", ["57014"])])


def below_tls():
    """Flipped, cut, slow and silent where nobody has read anything yet."""
    lane, rng = secure, random.Random(SEED)

    def job(place, fault, after, times):
        def work(lane, door):
            statement = STATEMENTS[0].format(**lane.names)
            lane.wires[place].strike(fault, after, times)
            outcome = attempt(door, statement)
            judge(outcome, oracle[STATEMENTS[0]], lane, CATALOG_S * 2 + PATIENCE_S * 2, "error" if times > 1 and after == 0 and lane.wires[place].struck else "either")
            works_again(door, lane, statement, oracle[STATEMENTS[0]])
            return outcome.line() + f" (struck {lane.wires[place].struck})", outcome.took
        return f"{place}, {fault} after {after}, {'once' if times == 1 else 'for good'}", work

    jobs = [job(place, fault, 0, 1 << 30) for place in ("catalog", "store") for fault in ("hang", "drip", "reset", "flip")]
    jobs += [job(place, fault, rng.randrange(1, 12_000), 1) for place in ("catalog", "store") for fault in ("flip", "reset") for _ in range(25)]
    at_once([lane], some(jobs, 8))


def by_chance():
    """Any fault, at any request, of any statement."""
    def job(number):
        rng = random.Random(f"{SEED}.{number}")
        place = rng.choice(["catalog", "store"])
        fault, skip, times, which = rng.choice(faults_of(place)), rng.randrange(6), rng.choice([1, 2, 1 << 30]), rng.choice(STATEMENTS)

        def work(lane, door):
            road, statement = getattr(lane, place), which.format(**lane.names)
            of_another_table(lane)
            road.strike(fault, skip=skip, times=times)
            outcome = attempt(door, statement)
            judge(outcome, oracle[which], lane, CATALOG_S * 2 + PATIENCE_S * 2, unlikely="" if fault == "of another" else "42P01")
            works_again(door, lane, statement, oracle[which])
            return outcome.line(), outcome.took
        return f"{number}: {place}, {fault} after {skip}, {'for good' if times > 2 else times}", work
    print(f"        seed {SEED}", flush=True)
    at_once(lanes, [job(number) for number in range(400 if LONG else 16)])


def flips():
    """(what, place, its path, a byte of it)"""
    rng = random.Random(SEED)
    files = {path: data for path, data in objects.items() if f"/{TABLE}/" in path}
    kinds = {"catalog's answer": [], "manifest list": [], "manifest": [], "Parquet footer": [], "Parquet pages": []}
    for path, data in files.items():
        if path.endswith(".parquet"):
            foot = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
            kinds["Parquet footer"] += [(path, at) for at in range(foot, len(data))]
            kinds["Parquet pages"] += [(path, at) for at in range(foot)]
        elif path.endswith(".avro"):
            if "/snap-" not in path or f"/snap-{current}-" in path:
                kinds["manifest list" if "/snap-" in path else "manifest"] += [(path, at) for at in range(len(data))]
    kinds["catalog's answer"] = [(f"/tables/{TABLE}", at) for at in range(answer_bytes)]
    count = 100 if LONG else 2
    return [(kind, "catalog" if kind.startswith("catalog") else "store", *spot) for kind, spots in kinds.items() for spot in rng.sample(spots, count)]


def what_no_checksum_shows():
    """One bit of what was read is another. Without TLS nothing but the content can show it; what does not is counted."""
    counts = {}

    def job(kind, place, path, at):
        def work(lane, door):
            road, statement = getattr(lane, place), STATEMENTS[0].format(**lane.names)
            if kind.startswith("manifest"):
                door = Patient(server, "anna")
                closing.append(door)
            road.strike("flip", path, "GET", spot=at)
            outcome = attempt(door, statement)
            if not road.flipped:
                found = "not read"
            elif outcome.error is None:
                found = "right rows" if outcome.rows == oracle[STATEMENTS[0]] else "wrong rows"
            else:
                found = "an error"
                judge(outcome, None, lane, CATALOG_S * 2 + PATIENCE_S * 2, unlikely="", is_named=False)
            counts.setdefault(kind, {}).setdefault(found, []).append(at)
            if kind.startswith("manifest"):  # what was read of it, wrong as it is, is kept for the sign-in
                door = Patient(server, "anna")
                closing.append(door)
            works_again(door, lane, statement, oracle[STATEMENTS[0]])
            return f"{found}: {outcome.line()}", outcome.took
        return f"{kind} {path[-40:]} {at}", work
    at_once(lanes, [job(*flip) for flip in flips()])
    outcomes = ["an error", "right rows", "wrong rows", "not read"]
    print(stack.table_of([["        one bit of", *outcomes], *(["        " + kind, *(str(len(found.get(one, []))) for one in outcomes)] for kind, found in counts.items())]), flush=True)


def nothing_was_told():
    """No secret in what was said, in EXPLAIN while it fails, in the log."""
    lane, door = lanes[0], Patient(server, "anna")
    for place, fault in (("catalog", "hang"), ("catalog", 503), ("store", "garbage"), ("store", "kill")):
        for words in ("EXPLAIN", "EXPLAIN ANALYZE", "EXPLAIN (PHYSICAL)"):
            getattr(lane, place).strike(fault)
            outcome = attempt(door, f"{words} {STATEMENTS[0].format(**lane.names)}")
            said.append(outcome.text() or str(outcome.rows))
            lane.calm()
    door.close()
    hidden = needles.of(lake)
    assert len(said) > 20
    for what, data in (("what was said", "\n".join(said).encode()), ("the log", log.read_bytes())):
        at = needles.find(folder, hidden, data)
        assert at < 0, f"{what} holds a secret: ...{data[max(0, at - 80):at]!r}"
    assert log.exists()


CASES = [what_goes_on_is_told, what_happens_once_is_mended, the_program_is_told_too, a_statement_has_its_own_deadline, below_tls, by_chance,
         what_no_checksum_shows, nothing_was_told]


def prepare():
    """The tables, as objects and as rows; the snapshot that there is now."""
    for name in (OTHER, TABLE):
        snapshots = lake.table(name)[1]
        lake.tables.here(name, local)
    with world.serve(MOAT, folder, lake.issuer, setup=stack.SETUP) as here:
        here.sql(f"ATTACH '{local}/warehouse/hadoop' AS disk (TYPE hadoop)")
        names = {"table": f"disk.core.{TABLE}", "schema": "disk.core", "name": TABLE}
        for statement in STATEMENTS:
            oracle[statement] = list(csv.reader(here.sql(statement.format(**names)).splitlines()))[1:]
    assert all(oracle.values()) and len(oracle[STATEMENTS[0]]) > 10
    return snapshots[-1]


if __name__ == "__main__":
    local = f"/tmp/moat-iceberg-{os.urandom(4).hex()}"  # as long as what is written in the files
    said, closing, oracle, objects, answer_bytes = [], [], {}, {}, 0
    with tempfile.TemporaryDirectory(prefix="moat-fault-") as name, ExitStack() as exits:
        folder, log = Path(name), Path(name) / "server.log"
        exits.callback(shutil.rmtree, local, ignore_errors=True)
        try:
            lake = stack.Weed(folder, exits)
            current = prepare()
            threading.Thread(target=way.the_bomb).start()
            elsewhere = Elsewhere()
            exits.callback(elsewhere.close)
            pair = world.authority.certificate(name, "way")
            lanes = [Lane(f"lane{number}", exits) for number in range(LANES)]
            calm, secure = Lane("calm", exits), Lane("secure", exits, pair)
            settings = (*SETTINGS, f"catalog.ca_file={pair[0]}", f"storage.ca_file={pair[0]}")
            everyone = [*lanes, calm, secure]
            with stack.served(MOAT, folder, lake, *settings, origins=[lane.url for lane in everyone], stderr=str(log)) as (server, olga):
                for lane in everyone:
                    lane.attach(olga)
                objects.update(lake.tables.objects)
                path = f"/v1/lake/namespaces/{NAMESPACE}/tables/{TABLE}"
                answer_bytes = len(world.identity.post(lake.gateway.url + path, token=lake.issuer.token_of("olga"), method="GET"))
                code = run(CASES, sys.argv[3:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
