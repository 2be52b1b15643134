#!/usr/bin/env python3
"""Read every case with Moat and compare it with what Spark or PyIceberg read.

    compare.py [--root DIR] [--moat PROGRAM] [--only GLOB]... [--static | --attach TEMPLATE --table TEMPLATE] [--jobs N]

The program is run once a case, in a warehouse of its own, and must print one Arrow stream. Templates are SQL in which {root},
{location}, {metadata}, {namespace}, {table} are replaced. A table passes when all its cases do. A case marked `unsupported` passes when the program fails with a message that names what is missing, and
fails when it gives rows. DIFFERENCES are the places where Moat means to differ, each checked for exactly that difference. Ends with `N passed, N failed, N skipped` (tables) and exits 1 if
any failed.
"""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa

import canonical
import readers

ROOT = Path(os.environ.get("MOAT_ICEBERG_ROOT", "/tmp/moat-iceberg-00000000"))
TIMEOUT_S = 60
DIFFERENCES_SHOWN = 3

# One of the three for each catalog that wrote the table; `static` opens the metadata file itself.
ATTACH = {
    "hadoop": "ATTACH '{root}/warehouse/hadoop' AS lake (TYPE iceberg_hadoop, ALLOW '{root}/plain,{root}/elsewhere')",
    "jdbc": "ATTACH '{root}/catalog.sqlite' AS lake (TYPE iceberg_local, catalog_name 'jdbc')",
    "static": "ATTACH '{metadata}' AS lake (TYPE iceberg_static, ALLOW '{root}/plain,{root}/elsewhere')",
}
TABLE = {"hadoop": 'lake.{namespace}."{table}"', "jdbc": 'lake.{namespace}."{table}"', "static": "lake"}


def quoted(text):
    return text.replace("'", "''")


def statement(case, template):
    """The SQL of one case."""
    namespace, table = case["table"].split(".", 1)
    name = template.format(namespace=namespace, table=table)
    at = case.get("at", {})
    if "metadata_table" in case:
        head, _, last = name.rpartition('"' + table + '"')
        name = f'{head}"{table}${case["metadata_table"]}"{last}' if head else f'{name}."{case["metadata_table"]}"'
    elif "snapshot_id" in at:
        name += f" AT (VERSION => {at['snapshot_id']})"
    elif "timestamp_ms" in at:
        stamp = canonical.timestamp_text(at["timestamp_ms"], 1000, False).replace("T", " ")
        name += f" AT (TIMESTAMP => TIMESTAMPTZ '{stamp}+00:00')"
    elif "ref" in at:
        name += f" AT (VERSION => '{quoted(at['ref'])}')"
    where = f" WHERE {case['filter']}" if "filter" in case else ""
    return f"SELECT {case.get('select', '*')} FROM {name}{where}"


def read(program, template, attach, sql):
    """(Arrow table, None) or (None, what the program said). Each case has a copy of an empty warehouse to itself."""
    with tempfile.TemporaryDirectory() as folder:
        warehouse = shutil.copytree(template, Path(folder, "warehouse"))
        command = [*shlex.split(program), "--warehouse", str(warehouse), "--format", "arrow", "-c", f"{attach}; {sql}"]
        try:
            done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_S, check=False)
        except subprocess.TimeoutExpired:
            return None, f"no answer in {TIMEOUT_S} s"
    if done.returncode != 0:
        return None, f"exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}"
    try:
        return pa.ipc.open_stream(done.stdout).read_all(), None
    except pa.ArrowInvalid as error:
        return None, f"no Arrow stream: {error}"


def nan_is_greatest(case, by_case, root, wanted):
    """Spark says that NaN is greater than any other value, and where nothing is skipped it gives such rows: `f + 0 > 1.0` does, on these
    tables too. `f > 1.0` does not, because Iceberg's Java library leaves out files and partitions of nothing but NaN: one condition, two
    answers by where the rows lie (docs/compatibility.md). Moat's answer is always the first."""
    if not fnmatch.fnmatch(case["table"], "core.*_f_*") or not re.fullmatch(r"f >=? [-0-9.]+", case.get("filter", "")):
        return None
    present = lines_of(by_case["current"], root)
    return sorted(wanted + [line for line in present if json.loads(line)["f"] == "NaN" and line not in wanted], key=str.encode)


DIFFERENCES = {"nan_is_greatest": nan_is_greatest}


def lines_of(case, root):
    return (root / case["rows_file"]).read_text(encoding="utf-8").split("\n")[:-1]


def compare(case, root, table):
    """What is wrong, as lines; none when all is right."""
    return compare_rows(lines_of(case, root), case["columns"], table)


def compare_rows(wanted, columns, table):
    try:
        got = canonical.lines(table, columns)
    except (ValueError, AssertionError, KeyError, TypeError, pa.ArrowInvalid) as error:
        return [f"{type(error).__name__}: {error}"]
    if got == wanted:
        return []
    missing, extra = sorted(set(wanted) - set(got)), sorted(set(got) - set(wanted))
    shown = [f"{len(got)} rows, expected {len(wanted)}"]
    shown += [f"  missing {line}" for line in missing[:DIFFERENCES_SHOWN]] + [f"  extra   {line}" for line in extra[:DIFFERENCES_SHOWN]]
    return shown


def check(case, by_case, arguments):
    if arguments.reader != "moat":
        try:
            table = readers.READERS[arguments.reader](case)
        except readers.Skipped:
            return None
        except Exception as error:  # whatever another program throws is its answer
            return [f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"]
        return compare(case, arguments.root, table)
    style = "static" if arguments.static else case["catalog"]
    namespace, name = case["table"].split(".", 1)
    values = {"root": arguments.root, "metadata": case["metadata_file"], "location": case["metadata_file"].rsplit("/metadata/", 1)[0],
              "namespace": namespace, "table": name}
    attach = (arguments.attach or ATTACH[style]).format(**values)
    sql = statement(case, arguments.table or TABLE[style])
    table, problem = read(arguments.moat, arguments.warehouse, attach, sql)
    if "unsupported" in case:
        if problem and case["unsupported"] in problem.lower():
            return []
        return [problem or f"gave {table.num_rows} rows, expected an error that names {case['unsupported']}"]
    found = [problem] if problem else compare(case, arguments.root, table)
    for name, differ in DIFFERENCES.items() if found and not problem else ():
        wanted = differ(case, by_case, arguments.root, lines_of(case, arguments.root))
        if wanted and not compare_rows(wanted, case["columns"], table):
            return Differs(name)
    return [f"{sql}", *found] if found else []


class Differs(list):
    """Nothing is wrong, and something is not as the oracle has it: the name says why."""

    def __init__(self, name):
        super().__init__()
        self.name = name


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT)
    parser.add_argument("--moat", default="build/release/moat")
    parser.add_argument("--reader", default="moat", choices=("moat", *readers.READERS), help="who reads; others than Moat to judge the oracle")
    parser.add_argument("--only", action="append", help="only tables whose name matches; several add up")
    parser.add_argument("--case", default="*", help="only cases whose name matches")
    parser.add_argument("--static", action="store_true", help="open metadata files instead of catalogs")
    parser.add_argument("--attach", help="SQL template in place of the usual ATTACH")
    parser.add_argument("--table", help="template of a table's name in place of the usual one")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--list-failed", type=Path)
    arguments = parser.parse_args()

    scratch = tempfile.TemporaryDirectory()
    arguments.warehouse = Path(scratch.name, "warehouse")
    if arguments.reader == "moat":
        subprocess.run([*shlex.split(arguments.moat), "init", arguments.warehouse], check=True, stdout=subprocess.DEVNULL)

    by_table = {}
    with open(arguments.root / "index.jsonl", encoding="utf-8") as index:
        for line in index:
            case = json.loads(line)
            if (not arguments.only or any(fnmatch.fnmatch(case["table"], g) for g in arguments.only)) and fnmatch.fnmatch(case["case"], arguments.case):
                by_table.setdefault(case["table"], {})[case["case"]] = case  # a later line replaces an earlier one

    failed, cases, skipped, differing = [], 0, 0, []
    with ThreadPoolExecutor(arguments.jobs if arguments.reader == "moat" else 1) as pool:
        for name, of_table in by_table.items():
            results = list(pool.map(lambda case: check(case, of_table, arguments), of_table.values()))
            differing += [f"{name} {case}: {result.name}" for case, result in zip(of_table, results) if isinstance(result, Differs)]
            done = [result for result in results if result is not None]
            skipped += not done
            cases += len(done)
            if any(results):
                failed.append(name)
                print(f"FAIL {name}: {sum(map(bool, results))} of {len(done)} cases", flush=True)
                for case, found in zip(of_table, results):
                    for line in found or ():
                        print(f"    {case}: {line}")
    if arguments.list_failed:
        arguments.list_failed.write_text("".join(f"{name}\n" for name in failed))
    for line in differing:
        print(f"differs as documented: {line}")
    print(f"{cases} cases of {len(by_table)} tables, {len(differing)} differ as documented")
    print(f"{len(by_table) - len(failed) - skipped} passed, {len(failed)} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not by_table else 0


if __name__ == "__main__":
    sys.exit(main())
