#!/usr/bin/env python3
"""Prints docs/functions.md from src/sql/functions.def: what a statement may call, and what it may not and why."""

import re
import textwrap
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
ENTRY = re.compile(r'^([A-Z_]+)\("((?:[^"\\]|\\.)*)"(?:, *(.*))?\)$')

HEAD = """\
# Functions

Generated from `src/sql/functions.def` by `tools/functions_doc.py`; do not edit.

A statement may call what stands here and nothing else. A name that the list does not know does not exist, also if the engine has it.
What each function does is told in the engine's own documentation (DuckDB 1.5); what Moat changes is told here.

**Harmless** functions can neither fail on a value nor show one on a side channel. A query over a table that a policy
binds, all of whose functions and operators are harmless (or flagged by the engine where they can fail), needs no
barrier between the policy and the query; see [policy.md](policy.md). The others work as well: the policy is then
applied first, which may cost time. They are marked `°`.
"""

SECTIONS = (
    ("Who asks", ("CONTEXT",), "Constants of the person, put in before anything is planned. `user` is a column if a table in scope has one."),
    ("Functions of PostgreSQL's catalogs", ("CATALOG",), "Rewritten to queries over `pg_catalog`, which holds what you may see; see [sql.md](sql.md)."),
    ("Operators", (), "As functions; most are written between their operands."),
    ("Scalar functions", ("SCALAR", "PATTERN"), "`regexp_*`, `date_trunc` and `datetrunc` are harmless with a constant pattern or unit. "
     "Patterns of `format` and `printf` must be constants."),
    ("Functions that make something large", ("GROWS_TEXT", "GROWS_LIST"), "Their size is capped: beyond it the statement fails with 54000."),
    ("Aggregates", ("AGGREGATE",), "Also with `OVER`, `FILTER` and `ORDER BY`. They run above the policy, over visible rows only."),
    ("Window functions", ("WINDOW",), "Only with `OVER`."),
    ("Functions in FROM", ("ROWS", "SERIES"), "Rows from their arguments."),
    ("Readers", ("READER",), "For the owner of the warehouse only, with a constant path: `FROM read_csv('x.csv')` or `FROM 'x.parquet'`."),
)


def read_entries():
    for line in (ROOT / "src/sql/functions.def").read_text().splitlines():
        if match := ENTRY.match(line):
            yield match[1], match[2].replace('\\"', '"').replace("\\\\", "\\"), match[3] or ""


def paragraph(names):
    return textwrap.fill(" ".join(names), 130, break_long_words=False, break_on_hyphens=False)


def show(name, rest):
    return f"`{name}`" + ("°" if "LEAK_UNSAFE" in rest else "")


def main():
    entries = [entry for entry in read_entries() if not entry[1].startswith("__")]
    is_operator = {name for _, name, _ in entries if not re.fullmatch(r"[a-z_0-9]+", name)}
    print(HEAD)
    for title, classes, text in SECTIONS:
        print(f"## {title}\n{text}\n")
        print(paragraph(show(name, rest) for kind, name, rest in entries
                        if (kind in classes and name not in is_operator)
                        or (not classes and name in is_operator and kind != "REFUSED")))
        print()
    reasons = defaultdict(list)
    for kind, name, rest in entries:
        if kind == "REFUSED":
            reasons[rest.strip('"')].append(name)
    print("## Refused\nFunctions of the engine that no statement may call, also the owner's.\n")
    for reason, names in sorted(reasons.items(), key=lambda item: (-len(item[1]), item[0])):
        print(f"**{reason[0].upper() + reason[1:]}:**\n{paragraph(f'`{name}`' for name in names)}\n")


if __name__ == "__main__":
    main()
