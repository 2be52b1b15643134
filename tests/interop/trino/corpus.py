#!/usr/bin/env python3
"""Statements of Trino's dialect, answered by Moat as a real Trino has answered them: names of columns, types, cells, names and numbers of errors.

corpus.py MOAT [FILE...]           against the answers that are kept beside the statements (corpus/*.answers, of the Trino that corpus/VERSION names)
corpus.py MOAT --trino [FILE...]   the same, and the kept answers against a Trino that is run for it (tools/deps interop)
corpus.py --measure [FILE...]      asks a Trino and writes the answers

Where Moat answers otherwise, the statement stands in corpus/differences.txt under the reason. One that is not listed and differs fails, and so does
one that is listed and does not. A statement is a line; a file is one session. Lengths of varchar are not compared: Moat has none.
Doubles may differ in the last digits (1 in 10^12); rows without ORDER BY are compared as a set.
"""

import json
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent.parent
sys.path[:0] = [str(HERE), str(ROOT / "tests/http"), str(ROOT / "tests/wire")]
from client import Session
from door import WebServer, basic
from protocol import PASSWORD

CORPUS = HERE / "corpus"
CACHE = Path(os.environ.get("MOAT_CACHE", ROOT / ".cache/deps"))
ZONE = {"X-Trino-Time-Zone": "UTC"}


def statements(name):
    return [line for line in (CORPUS / f"{name}.sql").read_text().splitlines() if line and not line.startswith("--")]


def ask_all(name, session):
    return [session.run(sql) for sql in statements(name)]


# ---- the answers of Trino

def measure(names, trino):
    return {name: ask_all(name, Session(trino.port, ZONE)) for name in names}


def write(name, answers):
    with open(CORPUS / f"{name}.answers", "w") as file:
        for sql, answer in zip(statements(name), answers):
            file.write(json.dumps({"sql": sql, **answer}, ensure_ascii=False) + "\n")


def kept(name):
    lines = [json.loads(line) for line in (CORPUS / f"{name}.answers").read_text().splitlines()]
    assert [line["sql"] for line in lines] == statements(name), f"{name}.answers is of other statements: measure it again"
    return lines


# ---- what is the same

def plain_type(text):
    return re.sub(r"\bvarchar\(\d+\)", "varchar", text)


def is_close(a, b):
    if isinstance(a, float) and isinstance(b, (int, float)) or isinstance(b, float) and isinstance(a, (int, float)):
        return not isinstance(a, bool) and not isinstance(b, bool) and math.isclose(a, b, rel_tol=1e-12)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(is_close(x, y) for x, y in zip(a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(is_close(a[key], b[key]) for key in a)
    return type(a) is type(b) and a == b


def is_ordered(sql):
    """ORDER BY outside of all parentheses."""
    depth, plain = 0, ""
    for c in re.sub(r"'[^']*'", "''", sql):
        depth += (c == "(") - (c == ")")
        plain += c if depth == 0 else " "
    return "ORDER BY" in plain


def key(row):
    return json.dumps([round(cell, 9) if isinstance(cell, float) else cell for cell in row], sort_keys=True)


def difference(sql, want, got):
    """What is not the same, in words, or None."""
    if "error" in want or "error" in got:
        a, b = want.get("error"), got.get("error")
        return None if a == b else f"error {a} is {b}" + (f": {got['message']}" if b else "")
    if len(want["columns"]) != len(got["columns"]):
        return f"{len(want['columns'])} columns are {len(got['columns'])}: {got['columns']}"
    parts = []
    names = [column[0] for column in want["columns"]], [column[0] for column in got["columns"]]
    types = [plain_type(column[1]) for column in want["columns"]], [plain_type(column[1]) for column in got["columns"]]
    rows = (want["rows"], got["rows"]) if is_ordered(sql) else (sorted(want["rows"], key=key), sorted(got["rows"], key=key))
    parts += [f"names {names[0]} are {names[1]}"] if names[0] != names[1] else []
    parts += [f"types {types[0]} are {types[1]}"] if types[0] != types[1] else []
    parts += [f"rows {str(rows[0])[:300]} are {str(rows[1])[:300]}"] if not is_close(*rows) else []
    for part in ("updateType", "updateCount"):
        parts += [f"{part} {want.get(part)} is {got.get(part)}"] if want.get(part) != got.get(part) else []
    return "; ".join(parts) or None


def listed():
    """{statement: reason}"""
    found, reason = {}, None
    for line in (CORPUS / "differences.txt").read_text().splitlines():
        if line.startswith("== "):
            reason = line[3:]
        elif line and not line.startswith("--"):
            assert reason and line not in found, f"listed twice, or without a reason: {line}"
            found[line] = reason
    return found


# ---- Moat with the same tables

MONEY = {"customer": ["c_acctbal"], "lineitem": ["l_quantity", "l_extendedprice", "l_discount", "l_tax"], "nation": [], "orders": ["o_totalprice"],
         "part": ["p_retailprice"], "partsupp": ["ps_supplycost"], "region": [], "supplier": ["s_acctbal"]}


def make_tables(server):
    """TPC-H at scale 0.01 with the types that Trino's own tables have, and a catalog to write in."""
    folder = Path(server.folder)
    generator = shutil.which("tpchgen-cli", path=os.path.dirname(sys.executable) + os.pathsep + str(CACHE / "venv/bin"))
    subprocess.run([generator, "parquet", "-s", "0.01", "-o", folder / "tpch"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    text = [f"CREATE EXTERNAL TABLE raw_{table} LOCATION '{folder}/tpch/{table}.parquet'; GRANT SELECT ON raw_{table} TO USER amelia" for table in MONEY]
    server.sql("; ".join(text + ["GRANT ROLE moat_admin TO amelia"]))
    with server.connect(user="amelia") as client:
        for name in ("tpch", "memory"):
            client.query(f"ATTACH '{folder}/{name}.db' AS {name} (TYPE iceberg_local, CREATE true)")
        client.query("CREATE SCHEMA tpch.tiny")
        for table, columns in MONEY.items():
            casts = ", ".join(f"CAST({column} AS DECIMAL(12,2)) AS {column}" for column in columns)
            client.query(f"CREATE TABLE tpch.tiny.{table} AS SELECT *{f' REPLACE ({casts})' if casts else ''} FROM raw_{table}")


# ---- the two side by side

def compare(name, session, want, reasons, differs, shows_all):
    """How many differ as listed; what differs otherwise, in words. `differs` gets all of them."""
    wrong, seen = [], 0
    for sql, answer, got in zip(statements(name), want, ask_all(name, session)):
        what = difference(sql, answer, got)
        if what and shows_all:
            print(f"{sql}\n    {what}\n", flush=True)
        if what:
            differs.add(sql)
            seen += sql in reasons
        if what and sql not in reasons:
            wrong.append(f"{sql}\n        {what}")
    return seen, list(dict.fromkeys(wrong))


def main(arguments):
    flags = [argument for argument in arguments if argument.startswith("--")]
    rest = [argument for argument in arguments if not argument.startswith("--")]
    moat = None if "--measure" in flags else rest.pop(0)
    names = rest or sorted(path.stem for path in CORPUS.glob("*.sql"))
    passed = failed = count = differences = 0
    if "--measure" in flags or "--trino" in flags:
        from server import Trino, is_installed
        if not is_installed():
            print("skipped: Trino is not installed (tools/deps interop)\n0 passed, 0 failed, 1 skipped")
            return 0
        with Trino() as trino:
            measured, version = measure(names, trino), trino.version()
        if "--measure" in flags:
            for name in names:
                write(name, measured[name])
            (CORPUS / "VERSION").write_text(version + "\n")
            return 0
        assert version == (CORPUS / "VERSION").read_text().strip(), f"the answers are of another version than {version}"
        for name in names:
            drift = [f"{sql}\n        {what}" for sql, a, b in zip(statements(name), kept(name), measured[name]) if (what := difference(sql, a, b))]
            print(f"{'FAILED' if drift else 'ok'}  kept answers of {name}" + "".join(f"\n    {line}" for line in drift), flush=True)
            passed, failed = passed + (not drift), failed + bool(drift)
    reasons, differs = listed(), set()
    asked = {sql for name in names for sql in statements(name)}
    unknown = [sql for sql in reasons if sql not in asked and not any(sql in statements(path.stem) for path in CORPUS.glob("*.sql"))]
    with WebServer(moat, "login.insecure_loopback=true") as server:
        make_tables(server)
        for name in names:
            seen, wrong = compare(name, Session(server.web_port, {"Authorization": basic("amelia", PASSWORD), **ZONE}), kept(name), reasons, differs, "--all" in flags)
            print(f"{'FAILED' if wrong else 'ok'}  {name}: {len(statements(name))} statements, {seen} differ as listed" + "".join(f"\n    {line}" for line in wrong), flush=True)
            passed, failed, count, differences = passed + (not wrong), failed + bool(wrong), count + len(statements(name)), differences + seen
    stale = unknown + [sql for sql in reasons if sql in asked and sql not in differs]
    print("FAILED  listed as different and not so, or in no file:\n    " + "\n    ".join(stale) if stale else "ok  what is listed differs", flush=True)
    passed, failed = passed + (not stale), failed + bool(stale)
    print(f"{count} statements, {differences} differ as listed for {len(set(reasons.values()))} reasons")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
