#!/usr/bin/env python3
"""Prints src/catalog/pg_*.def from a PostgreSQL 15 server: what its catalogs are made of.

    tools/pg_shapes.py 'host=127.0.0.1 port=5432 user=postgres' src/catalog

Only names, types and numbers that PostgreSQL documents are taken. Run once for a version of PostgreSQL; psql must be there.
"""

import subprocess
import sys
from pathlib import Path

HEAD = "/* Printed by tools/pg_shapes.py from PostgreSQL 15; do not edit. */\n/* clang-format off */\n"

# Types that a result can have, and what catalogs are made of.
TYPES = ("bool bytea char name int8 int2 int2vector int4 regproc text oid tid xid cid oidvector json xml pg_node_tree float4 float8 "
         "money inet cidr macaddr unknown aclitem bpchar varchar date time timestamp timestamptz interval timetz bit varbit numeric "
         "regprocedure regoper regoperator regclass regtype regrole regnamespace regcollation uuid pg_lsn jsonb int4range numrange "
         "tsrange tstzrange daterange int8range record cstring any anyarray void trigger jsonpath xid8 refcursor anyelement "
         "pg_ndistinct pg_dependencies pg_mcv_list").split()
SCHEMAS = "('pg_catalog', 'information_schema')"
LISTED = ", ".join(f"'{name}'" for name in TYPES)


def ask(where, sql):
    command = ["psql", "-X", "-qAt", "-F", "\x1f", "-R", "\x1e", "-d", where, "-c", sql]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [row.split("\x1f") for row in text.rstrip("\n").split("\x1e") if row]


def text(value):
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def relations(where):
    found = ask(where, f"""
        SELECT n.nspname, c.relname, c.oid, c.relkind, a.attname,
               CASE WHEN t.typtype = 'd' THEN b.typname ELSE t.typname END, a.attnotnull::int, c.reltype
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 JOIN pg_type t ON t.oid = a.atttypid
        LEFT JOIN pg_type b ON b.oid = t.typbasetype
        WHERE n.nspname IN {SCHEMAS} AND c.relkind IN ('r', 'v') ORDER BY 1 DESC, 2, a.attnum""")
    tables, columns = [], []
    for schema, name, oid, kind, column, kind_of, not_null, row_type in found:
        if not tables or tables[-1][:2] != [schema, name]:
            tables.append([schema, name, oid, kind, len(columns), 0])
        columns.append(f"PG_COLUMN({text(column)}, {text(kind_of)}, {not_null})")
        tables[-1][5] += 1
    lines = []
    for schema, name, oid, kind, first, count in tables:
        uuid = f"6d6f6174-0001-8000-8000-{int(oid):012d}"
        lines.append(f"PG_RELATION({text(schema)}, {text(name)}, {text(uuid)}, {oid}, '{kind}', {first}, {count})")
    return lines, columns


def rows(where, macro, sql):
    lines = []
    for row in ask(where, sql):
        cells = [cell if cell.lstrip("-").isdigit() else text(cell) for cell in row]
        lines.append(f"{macro}({', '.join(cells)})")
    return lines


def main():
    where, folder = sys.argv[1], Path(sys.argv[2])
    tables, columns = relations(where)
    wanted = f"(typname IN ({LISTED}) OR typelem IN (SELECT oid FROM pg_type WHERE typname IN ({LISTED})) AND (typcategory = 'A' OR typname = '_record'))"
    files = {
        "pg_relations.def": tables,
        "pg_columns.def": columns,
        "pg_types.def": rows(where, "PG_TYPE", f"""
            SELECT oid, typname, format_type(oid, NULL), typlen, typbyval::int, typtype::text || '', typcategory::text || '',
                   typispreferred::int, typdelim::text || '', typelem, typarray, typinput::oid, typoutput::oid, typreceive::oid,
                   typsend::oid, typmodin::oid, typmodout::oid, typsubscript::oid, typalign::text || '', typstorage::text || '',
                   typcollation
            FROM pg_type WHERE typnamespace = 11 AND typrelid = 0 AND {wanted} ORDER BY oid"""),
        "pg_procs.def": rows(where, "PG_PROC", f"""
            SELECT DISTINCT p.oid, p.proname, p.pronargs, p.prorettype FROM pg_proc p JOIN pg_type t
            ON p.oid IN (typinput, typoutput, typreceive, typsend, typmodin, typmodout, typsubscript)
            WHERE typnamespace = 11 AND typrelid = 0 AND {wanted} ORDER BY p.oid"""),
    }
    for name, lines in files.items():
        (folder / name).write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
