#!/usr/bin/env python3
"""Clients with mixed heavy queries against one server: nobody gets a wrong answer, only queues refuse, memory stays in its limit.

    load.py MOAT [--clients N] [--people N] [--seconds N] [--scale F] [--memory MIB] [--json FILE]

TPC-H (the 22 queries of tests/data/ast/tpch.sql over files of tpchgen-cli) and queries as ClickBench has them over 3 million
flights (the demo's data), in random order, each answer compared with the first one to the same query. Ends with "N passed, N
failed"; exits 1 if an answer differed, an error was not a full queue's, or the engines of the server took more than it was allowed.
"""

import argparse
import asyncio
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests/wire"))
import processes
from protocol import PASSWORD, Server

CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
FLIGHTS = CACHE / "demo-data/flights-3m.parquet"
TABLES = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"]
MAY_REFUSE = {"53300", "53400"}

OVER_FLIGHTS = [
    "SELECT count(*) FROM flights WHERE delay <> 0",
    "SELECT count(DISTINCT origin), count(DISTINCT destination), max(distance) FROM flights",
    "SELECT origin, count(*) AS n FROM flights GROUP BY 1 ORDER BY n DESC, 1 LIMIT 10",
    "SELECT origin, destination, count(*) AS n, min(delay), max(distance) FROM flights GROUP BY 1, 2 ORDER BY n DESC, 1, 2 LIMIT 10",
    "SELECT extract(hour FROM date) AS h, count(*), sum(delay) FROM flights GROUP BY 1 ORDER BY 1",
    "SELECT date_trunc('day', date) AS d, count(DISTINCT origin) FROM flights WHERE delay > 60 GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 20",
    "SELECT distance, count(*) FROM flights WHERE destination LIKE 'S%' GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10",
    "SELECT date, origin, destination FROM flights ORDER BY delay DESC, date, origin, destination LIMIT 100",
    "SELECT origin, delay, rank() OVER (PARTITION BY origin ORDER BY delay DESC) AS r FROM flights WHERE delay > 300 "
    "ORDER BY 1, 3, 2 LIMIT 50",
]


def make_tpch(scale, folder):
    """The files of this scale; the benchmarks' where they are there."""
    shared = CACHE / f"tpch-sf{scale:g}"
    if (shared / ".complete").exists():
        return shared
    generator = Path(sys.executable).parent / "tpchgen-cli"
    if not generator.exists():
        return None
    subprocess.run([generator, "parquet", "-s", f"{scale:g}", "-o", folder], check=True, stdout=subprocess.DEVNULL)
    return folder


class Watch(threading.Thread):
    """Memory of the server and its hosts: each page counted once (PSS), the most at once."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.most, self.most_broker, self.most_hosts, self.host_count = pid, 0, 0, 0, 0
        self.is_done = threading.Event()
        self.start()

    @staticmethod
    def pss(pid):
        try:
            with open(f"/proc/{pid}/smaps_rollup") as file:
                return next(int(line.split()[1]) << 10 for line in file if line.startswith("Pss:"))
        except (OSError, StopIteration):
            return 0  # it ended

    def run(self):
        while not self.is_done.wait(0.25):
            hosts = processes.children(self.pid)
            broker = self.pss(self.pid)
            engines = sum(self.pss(pid) for pid in hosts)
            self.most = max(self.most, broker + engines)
            self.most_broker, self.most_hosts = max(self.most_broker, broker), max(self.most_hosts, engines)
            self.host_count = max(self.host_count, len(hosts))

    def stop(self):
        self.is_done.set()
        self.join()


def quantile(values, share):
    values = sorted(values)
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0


class Load:
    def __init__(self, server, arguments, queries):
        self.server, self.arguments, self.queries = server, arguments, queries
        self.answers, self.times, self.refused, self.wrong, self.errors = {}, [], 0, 0, []
        self.until = 0

    async def client(self, number):
        import asyncpg
        pick = random.Random(self.arguments.seed * 1000 + number)
        user = f"person{number % self.arguments.people}"
        async with self.doors:  # a try counts as wrong until it is right (login.account_tries)
            connection = await asyncpg.connect(host="127.0.0.1", port=self.server.port, user=user, password=PASSWORD,
                                               database="moat", timeout=120, statement_cache_size=0)
        while time.monotonic() < self.until:
            which = pick.randrange(len(self.queries))
            started = time.monotonic()
            try:
                rows = [tuple(row) for row in await connection.fetch(self.queries[which], timeout=600)]
            except asyncpg.PostgresError as error:
                if error.sqlstate in MAY_REFUSE:
                    self.refused += 1
                    await asyncio.sleep(pick.uniform(0.2, 1))
                    continue
                self.errors.append(f"{error.sqlstate}: {error}")
                continue
            except Exception as error:  # a connection that is gone counts as much
                self.errors.append(f"{type(error).__name__}: {error}")
                break
            self.times.append((which, time.monotonic() - started))
            self.wrong += not same(rows, self.answers.setdefault(which, rows))
        await connection.close()

    async def run(self):
        self.doors = asyncio.Semaphore(4)
        self.until = time.monotonic() + self.arguments.seconds
        await asyncio.gather(*(self.client(i) for i in range(self.arguments.clients)))


def same(rows, others):
    """Sums of floating point numbers depend on which thread was first, in the last digits; so does the order of equal rows."""
    rows, others = (sorted(r, key=lambda row: [f"{v:.6g}" if isinstance(v, float) else str(v) for v in row]) for r in (rows, others))
    if len(rows) != len(others):
        return False
    for row, other in zip(rows, others):
        for a, b in zip(row, other):
            if isinstance(a, float) and isinstance(b, float):
                if abs(a - b) > 1e-9 * max(abs(a), abs(b), 1):
                    return False
            elif a != b:
                return False
    return True


def metrics(port):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in text.splitlines() if line[:1] != "#"}


def bucket_quantile(values, name, share):
    """Upper bound of the bucket in which the share is reached, in seconds."""
    total = values[f"{name}_count"]
    for key, count in values.items():
        if key.startswith(name + "_bucket") and total > 0 and count >= share * total:
            return float(re.search(r'le="([^"]+)"', key).group(1))
    return 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("moat")
    parser.add_argument("--clients", type=int, default=10)
    parser.add_argument("--people", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--memory", type=int, default=2048, help="engine.memory in MiB")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--json")
    arguments = parser.parse_args()
    try:
        import asyncpg  # noqa: F401
    except ImportError:
        print("skipped: asyncpg is not here (tools/deps check)\n1 passed, 0 failed, 1 skipped")
        return 0

    print(f"seed {arguments.seed}", flush=True)
    people = [f"person{i}" for i in range(arguments.people)]
    setup = "CREATE ROLE staff;" + "".join(f"CREATE USER {p} PASSWORD '{PASSWORD}'; GRANT ROLE staff TO {p};" for p in people)
    settings = (f"engine.memory={arguments.memory}MiB", "server.http_port=0", *arguments.settings)
    with Server(arguments.moat, *settings, setup=setup) as server:
        http_port = int(re.search(r"port (\d+) of", server.process.stdout.readline()).group(1))
        queries = []
        tpch = make_tpch(arguments.scale, server.folder + "/tpch")
        if FLIGHTS.exists():
            server.sql(f"CREATE EXTERNAL TABLE flights LOCATION '{FLIGHTS}'; GRANT SELECT ON flights TO ROLE staff")
            queries += OVER_FLIGHTS
        else:
            print("skipped: flights (tools/deps demo)")
        if tpch is not None:
            for table in TABLES:
                server.sql(f"CREATE EXTERNAL TABLE {table} LOCATION '{tpch}/{table}.parquet'; GRANT SELECT ON {table} TO ROLE staff")
            text = (ROOT / "tests/data/ast/tpch.sql").read_text()
            queries += text.splitlines()
        else:
            print("skipped: TPC-H (tools/deps check)")
        if not queries:
            print("1 passed, 0 failed, 1 skipped")
            return 0
        return measure(arguments, server, http_port, queries)


def measure(arguments, server, http_port, queries):
    load, watch = Load(server, arguments, queries), Watch(server.process.pid)
    started = time.monotonic()
    asyncio.run(load.run())
    took = time.monotonic() - started
    watch.stop()
    after = metrics(http_port)
    times = [seconds for _, seconds in load.times]
    limit = arguments.memory << 20
    name = "moat_query_queue_seconds"
    result = {
        "clients": arguments.clients, "people": arguments.people, "seconds": round(took, 1), "scale": arguments.scale,
        "queries": len(times), "queries_per_second": round(len(times) / took, 2),
        "p50_s": round(quantile(times, 0.5), 3), "p95_s": round(quantile(times, 0.95), 3), "p99_s": round(quantile(times, 0.99), 3),
        "queue_mean_s": round(after[name + "_sum"] / max(1, after[name + "_count"]), 3),
        "queue_p95_below_s": bucket_quantile(after, name, 0.95),
        "refused": load.refused, "errors": len(load.errors), "wrong_answers": load.wrong,
        "engine_memory_mib": arguments.memory, "peak_mib": watch.most >> 20, "peak_server_mib": watch.most_broker >> 20,
        "peak_hosts_mib": watch.most_hosts >> 20, "hosts_at_once": watch.host_count,
        "hosts_started": int(after["moat_engine_hosts_started_total"]),
        "hosts_crashed": int(after['moat_engine_hosts_ended_total{reason="crashed"}']),
        "hosts_over_memory": int(after['moat_engine_hosts_ended_total{reason="memory"}']),
    }
    width = max(len(key) for key in result)
    for key, value in result.items():
        print(f"  {key:<{width}}  {value}")
    for error in sorted(set(load.errors))[:10]:
        print(f"  error: {load.errors.count(error)} x {error}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(result, indent=1) + "\n")
    checks = {
        "no error but of a full queue": not load.errors,
        "every answer is the same each time": load.wrong == 0 and len(times) > 0,
        "every client got answers": len(times) >= arguments.clients,
        "memory stays within engine.memory": is_sanitized(arguments.moat) or watch.most <= limit,
        "the server counts what its clients do": after['moat_queries_total{state="done",protocol="postgres"}'] >= len(times),
    }
    for sentence, is_good in checks.items():
        print(f"[{'ok' if is_good else 'FAILED'}] {sentence}")
    failed = sum(not good for good in checks.values())
    print(f"{len(checks) - failed} passed, {failed} failed")
    return 1 if failed else 0


def is_sanitized(moat):
    """Whose shadow memory knows no limit."""
    return b"__asan_init" in Path(moat).read_bytes() or b"__tsan_init" in Path(moat).read_bytes()


if __name__ == "__main__":
    sys.exit(main())
