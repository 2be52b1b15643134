#!/usr/bin/env python3
"""Geometries and geographies of Moat's tables, as others read and write them.

    geo_test.py MOAT [--seed N] [--rows N]

Random shapes go into tables of version 3, as columns and inside of structs, lists and maps, of every algorithm of edges and several
reference systems, whole, partitioned and sorted, through every kind of change in both modes and through maintenance. Of each file, the
footer as it lies there (footer.py) says of each column what the table says, has no bounds of bytes, and boxes that are those of the
shapes (their coordinates taken apart here), of geographies none; bounds in manifests are the same. pyarrow, parquet-mr (of Spark), DuckDB and PyIceberg are asked for the
same types and values, and Spark for those of the tables that it can have; what one of them cannot is counted, by name and reason. Then
Spark writes a table and changes one of Moat's, and Moat one of Spark's.
"""

import argparse
import json
import math
import os
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

CACHE = Path(os.environ.get("MOAT_CACHE", Path(__file__).resolve().parents[3] / ".cache/deps"))
PYTHON = CACHE / "venv-interop/bin/python"
try:
    import duckdb
    import fastavro
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import ResolveError, ValidationError
except ImportError:
    if PYTHON.exists() and not os.environ.get("MOAT_REEXECUTED"):
        os.execve(PYTHON, [str(PYTHON), *sys.argv], {**os.environ, "MOAT_REEXECUTED": "1"})
    print("skipped: the Python packages of the group interop are not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)
if not (CACHE / "spark/.complete").exists() or not shutil.which("java"):
    print("skipped: Spark or Java is not here; tools/deps interop installs them")
    print("0 passed, 0 failed, 1 skipped")
    sys.exit(0)

import footer
import world as spark_world

PARSER = argparse.ArgumentParser()
PARSER.add_argument("moat")
PARSER.add_argument("--seed", type=int, default=random.randrange(1 << 32))
PARSER.add_argument("--rows", type=int, default=60)
OPTIONS = PARSER.parse_args()
SKIPPED = Counter()
CHECKED = Counter()


class Moat:
    def __init__(self, folder):
        self.folder = folder
        subprocess.run([OPTIONS.moat, "init", f"{folder}/moat"], check=True, stdout=subprocess.DEVNULL)
        self.sql(f"ATTACH '{folder}/cat.sqlite' AS lake (TYPE iceberg_local, CREATE true, CATALOG_NAME 'lake'); CREATE SCHEMA lake.s")

    def sql(self, text, error=None):
        command = [OPTIONS.moat, "--warehouse", f"{self.folder}/moat", "-q", "--format", "arrow", "-f", "-"]
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)
        if error is not None:
            assert done.returncode != 0 and error in done.stderr.decode(), (text[:400], done.stderr.decode()[:1000])
            return []
        assert done.returncode == 0, f"{text[:400]}\n{done.stderr.decode()}"
        return pa.ipc.open_stream(done.stdout).read_all().to_pylist() if done.stdout else []

    def files(self, table):
        """[(path, bytes)]"""
        return [(row["file_path"].removeprefix("file://").removeprefix("file:"), row["file_size_in_bytes"]) for row in self.sql(f'SELECT file_path, file_size_in_bytes FROM lake.s."{table}$data_files"')]

    def validate(self, table):
        location = self.sql(f"SELECT file FROM lake.s.\"{table}$metadata_log_entries\" ORDER BY timestamp DESC LIMIT 1")[0]["file"].removeprefix("file://").removeprefix("file:")
        done = subprocess.run([OPTIONS.moat, "iceberg", "validate", location], capture_output=True, check=False)
        assert done.returncode == 0 and done.stdout.startswith(b"0 problems, 0 warnings"), done.stdout.decode() + done.stderr.decode()


class Spark:
    def __init__(self, folder):
        self.spark = spark_world.World(Path(folder) / "spark", CACHE / "spark").spark
        self.spark.conf.set("spark.sql.geospatial.enabled", "true")
        for key, value in {"": "org.apache.iceberg.spark.SparkCatalog", ".type": "jdbc", ".uri": f"jdbc:sqlite:file:{folder}/cat.sqlite",
                           ".jdbc.schema-version": "V1", ".warehouse": f"file:{folder}", ".cache-enabled": "false"}.items():
            self.spark.conf.set(f"spark.sql.catalog.lake{key}", value)

    def sql(self, text):
        return [row.asDict() for row in self.spark.sql(text).collect()]

    def parquet_types(self, file):
        """{field id: logical type} by parquet-mr's own reader."""
        jvm = self.spark._jvm
        path = jvm.org.apache.hadoop.fs.Path(file)
        reader = jvm.org.apache.parquet.hadoop.ParquetFileReader.open(jvm.org.apache.parquet.hadoop.util.HadoopInputFile.fromPath(path, jvm.org.apache.hadoop.conf.Configuration()))
        try:
            text = reader.getFooter().getFileMetaData().getSchema().toString()
        finally:
            reader.close()
        return {int(number): (said, parameters) for said, parameters, number in re.findall(r"binary \S+ \((GEO\w+)(?:\(([^()]*)\))?\) = (\d+)", text)}


# ---- shapes, taken apart here

def coordinates(data):
    """The points of well-known binary in either byte order: [(dimensions, point)]; empty points are none."""
    at, found = 0, []

    def number(kind, order):
        nonlocal at
        size = struct.calcsize(kind)
        at += size
        return struct.unpack(order + kind, data[at - size:at])[0]

    def points(count, dims, order):
        for _ in range(count):
            found.append((dims, [number("d", order) for _ in dims]))

    def shape():
        order = "<" if number("B", "<") else ">"
        code = number("I", order)
        dims = ("xy", "xyz", "xym", "xyzm")[code // 1000]
        kind = code % 1000
        if kind == 1:
            points(1, dims, order)
            if all(map(math.isnan, found[-1][1])):
                found.pop()
        elif kind == 2:
            points(number("I", order), dims, order)
        elif kind == 3:
            for _ in range(number("I", order)):
                points(number("I", order), dims, order)
        else:
            for _ in range(number("I", order)):
                shape()
        return code

    code = shape()
    assert at == len(data)
    return code, found


def box_of(values):
    """The bounding box by the specification, NaN passed over; None without X or Y."""
    seen = {}
    for value in values:
        for dims, point in coordinates(value)[1]:
            for dim, number in zip(dims, point):
                if not math.isnan(number):
                    low, high = seen.get(dim, (number, number))
                    seen[dim] = min(low, number), max(high, number)
    if not {"x", "y"} <= set(seen):
        return None
    return {number: value for i, dim in enumerate("xyzm") if dim in seen for number, value in zip((2 * i + 1, 2 * i + 2), seen[dim])}


def random_shape(rng, depth=0):
    dims = rng.choice(("", " Z", " M", " ZM"))

    def point(other=None):
        more = len((other if other is not None else dims).strip())
        return " ".join(str(number) for number in (rng.choice((-180, 180, 0, rng.uniform(-180, 180))), rng.choice((-90, 90, rng.uniform(-90, 90))), *(rng.uniform(-9, 9) for _ in range(more))))

    def points(least=2):
        return f"({', '.join(point() for _ in range(rng.randint(least, 5)))})"

    first = point()
    kinds = [f"POINT{dims} ({point()})", f"LINESTRING{dims} {points()}", f"POLYGON{dims} (({first}, {point()}, {point()}, {first}))", f"MULTIPOINT{dims} {points(1)}", f"MULTILINESTRING{dims} ({points()}, {points()})",
             f"MULTIPOLYGON{dims} ((({first}, {point()}, {point()}, {first})))", f"GEOMETRYCOLLECTION{dims} (POINT{dims} ({point()}), LINESTRING{dims} {points()})", "POINT EMPTY", "POLYGON EMPTY", "GEOMETRYCOLLECTION EMPTY", f"POINT{dims} ({point()})", None]
    return rng.choice(kinds)


def literal(text):
    return "NULL" if text is None else f"ST_GeomFromText('{text}')"


# ---- what a file says

ARROW = {"geometry": lambda crs, _: f"Geometry(crs={'' if crs == 'OGC:CRS84' else crs})", "geography": lambda crs, algorithm: f"Geography(crs={'' if crs == 'OGC:CRS84' else crs}, algorithm={algorithm})"}


DEFAULTS = ("", "OGC:CRS84", "SPHERICAL")


def leaves_of(schema):
    """{field id: (geometry | geography, crs, algorithm)} of a schema in Iceberg's JSON."""
    found = {}

    def look(number, kind):
        if isinstance(kind, str):
            match = re.fullmatch(r"(geometry|geography)(?:\(([^,)]*)(?:, *(\w+))?\))?", kind)
            if match:
                found[number] = match[1], match[2] or "OGC:CRS84", (match[3] or "spherical") if match[1] == "geography" else None
        elif kind["type"] == "struct":
            for field in kind["fields"]:
                look(field["id"], field["type"])
        elif kind["type"] == "list":
            look(kind["element-id"], kind["element"])
        else:
            look(kind["key-id"], kind["key"])
            look(kind["value-id"], kind["value"])

    look(0, schema)
    return found


def table_schema(moat, table):

    metadata = json.loads(Path(moat.sql(f"SELECT file FROM lake.s.\"{table}$metadata_log_entries\" ORDER BY timestamp DESC LIMIT 1")[0]["file"].removeprefix("file://").removeprefix("file:")).read_text())
    return next(schema for schema in metadata["schemas"] if schema["schema-id"] == metadata["current-schema-id"])


def values_at(value, path):
    """The bytes at a leaf's path (of Parquet) in a value of pyarrow."""
    if value is None:
        return
    if not path:
        yield value
    elif path[0] in ("list", "key_value"):
        for element in value:
            if path[0] == "list":
                yield from values_at(element, path[2:])
            else:
                yield from values_at(element[0 if path[1] == "key" else 1], path[2:])
    else:
        yield from values_at(value[path[0]], path[1:])


def bounds_of(moat, table):
    """{file: ({field id: lower bound}, {field id: upper bound})}"""
    found = {}
    for row in moat.sql(f'SELECT path FROM lake.s."{table}$manifests"'):
        with open(row["path"].removeprefix("file://").removeprefix("file:"), "rb") as manifest:
            for entry in fastavro.reader(manifest):
                file = entry["data_file"]
                if entry["status"] != 2:
                    found[file["file_path"].removeprefix("file://").removeprefix("file:")] = tuple({pair["key"]: pair["value"] for pair in file[side] or ()} for side in ("lower_bounds", "upper_bounds"))
    return found


def point_of(box, is_upper):
    """A bound as the specification has it: x:y, x:y:z, x:y:NaN:m, x:y:z:m."""
    if box is None:
        return None
    numbers = [box.get(2 * axis + 1 + is_upper, math.nan) for axis in range(4)]
    while math.isnan(numbers[-1]):
        numbers.pop()
    return struct.pack(f"<{len(numbers)}d", *numbers)


def check_file(file, size, wanted, spark, bounds, is_box_exact=True):
    """What another has written is passed over."""
    assert Path(file).stat().st_size == size, f"{file}: {Path(file).stat().st_size} bytes, the manifest says {size}"
    metadata, leaves = footer.read(file)
    if b"parquet-mr" in metadata[6]:
        return
    said = {element[9]: footer.logical_type(element) for element, _ in leaves if footer.logical_type(element)}
    assert said == {number: kind for number, kind in wanted.items() if number in {element.get(9) for element, _ in leaves}}, (file, said, wanted)
    reader = pq.ParquetFile(file)
    arrow = {str(reader.schema.column(i).path): str(reader.schema.column(i).logical_type) for i in range(len(reader.schema))}
    for element, chunks in leaves:
        kind = said.get(element.get(9))
        if kind is None:
            continue
        number, everything = element[9], []
        for group, meta in enumerate(chunks):
            path = [part.decode() for part in meta[3]]
            assert not {1, 2, 5, 6} & set(meta.get(12, {})), (file, path, "bounds of bytes", meta[12])
            rows = reader.read_row_group(group, columns=[path[0]]).column(0).to_pylist()
            values = [value for row in rows for value in values_at(row, path[1:])]
            everything += values
            box = meta.get(17, {}).get(1)
            if kind[0] == "geography":
                assert box is None, (file, path, box)
            elif is_box_exact:
                assert box == box_of(values), (file, path, box, box_of(values))
            if values:
                assert set(meta[17][2]) == {coordinates(value)[0] for value in values}, (file, path)
            CHECKED["column chunks by our own reading"] += 1
        for side, said_bounds in enumerate(bounds):
            has_none = kind[0] == "geography" or "list" in path or "key_value" in path
            expected = None if has_none else point_of(box_of(everything), side)
            assert said_bounds.get(number) in (expected, expected if is_box_exact else None), (file, path, said_bounds.get(number), expected)
            CHECKED["bounds of geometries in manifests"] += expected is not None
        assert arrow[".".join(path)] == ARROW[kind[0]](kind[1], kind[2]), (file, path, arrow[".".join(path)], kind)
        CHECKED["columns by pyarrow"] += 1
    java = spark.parquet_types(file)
    for number, kind in said.items():
        told = [word for word in (kind[1], (kind[2] or "").upper()) if word not in DEFAULTS]
        name, parameters = java[number]
        assert (name, [word for word in parameters.split(",") if word not in DEFAULTS]) == (kind[0].upper(), told), (file, java[number], told)
        CHECKED["columns by parquet-mr"] += 1


def shaped(value):
    """Bytes as hex at any depth, maps as lists of pairs."""
    if isinstance(value, dict) and list(value) == ["k", "v"]:
        return [shaped(value["k"]), shaped(value["v"])]
    if isinstance(value, (bytes, bytearray, memoryview)):
        return bytes(value).hex()
    if isinstance(value, dict):
        return {key: shaped(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [shaped(inner) for inner in value]
    return value


# ---- tables

TABLES = {
    # name: (columns, how it is laid out, what Spark cannot have of it)
    "plain": ("id INTEGER, a GEOMETRY, b GEOGRAPHY", "", None),
    "systems": ("id INTEGER, a GEOMETRY('srid:3857'), b GEOGRAPHY('EPSG:4326', 'karney')", "", "algorithm karney"),
    "edges": ("id INTEGER, a GEOGRAPHY('OGC:CRS84', 'vincenty'), b GEOGRAPHY('srid:4326', 'thomas'), c GEOGRAPHY('IGNF:x', 'andoyer'), d GEOGRAPHY('OGC:CRS84', 'karney'), e GEOGRAPHY('OGC:CRS84', 'spherical')", "", "algorithms but spherical"),
    "parted": ("id INTEGER, a GEOGRAPHY NOT NULL, b GEOMETRY", "PARTITIONED BY (bucket(3, id))", None),
    "sorted": ("id INTEGER, a GEOGRAPHY, b GEOGRAPHY('OGC:CRS84', 'thomas')", "PARTITIONED BY (truncate(20, id)) SORTED BY (id DESC)", "algorithm thomas"),
    "nested": ("id INTEGER, a STRUCT(x INTEGER, geometry GEOGRAPHY, deep STRUCT(b BLOB, l GEOGRAPHY('EPSG:4326', 'andoyer')[], g GEOMETRY)), b MAP(VARCHAR, GEOGRAPHY), c GEOMETRY('EPSG:25832')[][]", "", "algorithm andoyer"),
    "inside": ("id INTEGER, a STRUCT(x INTEGER, g GEOGRAPHY), b GEOMETRY[], c MAP(VARCHAR, GEOGRAPHY)", "", None),
}


def random_value(rng, kind, is_required):
    """SQL of a random value of a declared type."""
    kind = kind.strip()
    if kind.endswith("[]"):
        inner = kind[:-2]
        return rng.choice(("NULL", "[]", "[" + ", ".join(random_value(rng, inner, False) for _ in range(rng.randint(1, 3))) + "]"))
    if kind.startswith("STRUCT("):
        fields = [field.split(" ", 1) for field in split(kind[len("STRUCT("):-1])]
        return rng.choice(("NULL",) + 3 * ("{" + ", ".join(f"'{name}': {random_value(rng, inner, False)}" for name, inner in fields) + "}",))
    if kind.startswith("MAP("):
        return rng.choice(("NULL", "MAP {}", "MAP {'k': " + random_value(rng, split(kind[4:-1])[1], False) + ", 'l': " + random_value(rng, split(kind[4:-1])[1], False) + "}"))
    if kind.startswith("GEO"):
        shape = random_shape(rng)
        while shape is None and is_required:
            shape = random_shape(rng)
        return literal(shape)
    return {"INTEGER": str(rng.randint(0, 99)), "BLOB": f"'\\x{rng.randrange(256):02X}'::BLOB"}[kind]


def split(text):
    """At commas that are in no parentheses."""
    parts, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return [part.strip() for part in parts]


def columns_of(shape):
    found = []
    for column in split(shape):
        name, kind = column.split(" ", 1)
        is_required = kind.endswith(" NOT NULL")
        found.append((name, kind.removesuffix(" NOT NULL"), is_required))
    return found


def check_table(moat, spark, catalog, name, spark_cannot):
    wanted = leaves_of(table_schema(moat, name))
    bounds = bounds_of(moat, name)
    for file, size in moat.files(name):
        check_file(file, size, wanted, spark, bounds[file])
    own = shaped(moat.sql(f"SELECT * FROM lake.s.{name} ORDER BY id"))
    moat.validate(name)
    # DuckDB, of files: what lives is known by id
    files = [file for file, _ in moat.files(name)]
    if files:
        columns = duckdb.execute("DESCRIBE SELECT * FROM read_parquet(?)", [files]).fetchall()
        rows = {}
        for file in files:
            cursor = duckdb.execute(f"SELECT {', '.join(duckdb_bytes(column, kind) for column, kind, *_ in columns)} FROM read_parquet(?)", [file])
            names = [column[0] for column in cursor.description]
            for row in cursor.fetchall():
                rows.setdefault(row[names.index("id")], []).append(shaped(dict(zip(names, row))))
        for row in own:
            assert any(all(row[key] == other[key] for key in row) for other in rows[row["id"]]), (name, row, rows[row["id"]])
            CHECKED["rows by DuckDB"] += 1
    try:
        theirs = sorted(shaped(catalog.load_table(f"s.{name}").scan().to_arrow().to_pylist()), key=lambda row: row["id"])
    except (ResolveError, ValidationError) as error:  # it knows the types, but not in files, nor as the specification writes them
        assert re.search("Cannot promote an? binary to geo|Could not parse geo", str(error)), error
        SKIPPED[f"PyIceberg: {type(error).__name__}: {str(error).splitlines()[0][:90]}"] += 1
    else:
        theirs = [{key: [list(pair) for pair in value] if key in row and isinstance(value, list) and value and isinstance(value[0], tuple) else value for key, value in row.items()} for row in theirs]
        assert theirs == own, (name, theirs[:2], own[:2])
        CHECKED["rows by PyIceberg"] += len(own)
    if spark_cannot is not None:
        SKIPPED[f"Spark: {spark_cannot}"] += 1
        return own
    assert spark_rows(spark, name) == own, (name, spark_rows(spark, name)[:2], own[:2])
    CHECKED["rows by Spark"] += len(own)
    return own


def duckdb_bytes(name, kind):
    """DuckDB's GEOMETRY as bytes; inside of others by its cast, which keeps them."""
    quoted = f'"{name}"'
    if "GEOMETRY" not in kind:
        return quoted
    return f"{bytes_of(quoted, kind)} AS {quoted}"


def bytes_of(expression, kind, depth=0):
    kind = kind.strip()
    if "GEOMETRY" not in kind:
        return expression
    variable = f"v{depth}"
    if kind.endswith("[]"):
        return f"list_transform({expression}, lambda {variable}: {bytes_of(variable, kind[:-2], depth + 1)})"
    if kind.startswith("STRUCT("):
        fields = [field.split(" ", 1) for field in split(kind[7:-1])]
        inner = ", ".join("'{}': {}".format(name.strip('"'), bytes_of(f"struct_extract({expression}, '{name.strip(chr(34))}')", inner, depth + 1)) for name, inner in fields)
        return f"CASE WHEN {expression} IS NOT NULL THEN {{{inner}}} END"
    if kind.startswith("MAP("):
        inner = split(kind[4:-1])[1]
        return f"list_transform(map_entries({expression}), lambda {variable}: {{'k': {variable}.key, 'v': {bytes_of(variable + '.value', inner, depth + 1)}}})"
    return f"ST_AsWKB({expression})"


def spark_rows(spark, name):
    """Shapes by st_asbinary, at the depths that are here."""
    kinds = dict(spark.spark.table(f"lake.s.{name}").dtypes)

    def binary(expression, kind, depth=0):
        if not re.search("geometry|geography", kind):
            return expression
        if kind.startswith("array<"):
            return f"transform({expression}, v{depth} -> {binary(f'v{depth}', kind[6:-1], depth + 1)})"
        if kind.startswith("map<"):
            inner = kind[4:-1].split(",", 1)[1]
            return f"transform(map_entries({expression}), v{depth} -> struct(v{depth}.key AS k, {binary(f'v{depth}.value', inner, depth + 1)} AS v))"
        if kind.startswith("struct<"):
            fields = [field.split(":", 1) for field in kind[7:-1].split(",")]
            listed = ", ".join(f"{binary(expression + '.' + key, inner, depth + 1)} AS {key}" for key, inner in fields)
            return f"CASE WHEN {expression} IS NOT NULL THEN struct({listed}) END"
        return f"st_asbinary({expression})"

    rows = spark.spark.sql(f"SELECT {', '.join(f'{binary(key, kind)} AS {key}' for key, kind in kinds.items())} FROM lake.s.{name} ORDER BY id").collect()

    def plain(value):
        if hasattr(value, "asDict"):
            fields = value.asDict()
            return {key: plain(inner) for key, inner in fields.items()}
        return [plain(inner) for inner in value] if isinstance(value, list) else value

    return [shaped({key: plain(value) for key, value in row.asDict().items()}) for row in rows]


def tables_through_changes(moat, spark, rng, catalog):
    for name, (shape, layout, spark_cannot) in TABLES.items():
        columns = columns_of(shape)
        for mode in ("copy-on-write", "merge-on-read"):
            table = f"{name}_{mode[0]}"
            modes = ", ".join(f"'write.{kind}.mode' = '{mode}'" for kind in ("delete", "update", "merge"))
            moat.sql(f"CREATE TABLE lake.s.{table} ({shape}) {layout} WITH (format_version = 3, {modes})")

            def row(i):
                return ", ".join(str(i) if key == "id" else random_value(rng, kind, is_required) for key, kind, is_required in columns)

            moat.sql(f"INSERT INTO lake.s.{table} VALUES " + ", ".join(f"({row(i)})" for i in range(OPTIONS.rows)))
            before = check_table(moat, spark, catalog, table, spark_cannot)
            kind, is_required = columns[1][1:]
            moat.sql(f"DELETE FROM lake.s.{table} WHERE id % 7 = 0; UPDATE lake.s.{table} SET a = {random_value(rng, kind, is_required)} WHERE id % 5 = 0")
            others = ", ".join("s." + key for key, *_ in columns)
            moat.sql(f"MERGE INTO lake.s.{table} AS t USING (SELECT id + 1000 AS new, * FROM lake.s.{table} WHERE id % 4 = 1) AS s ON t.id = s.id WHEN MATCHED AND t.id % 3 = 0 THEN DELETE WHEN MATCHED THEN UPDATE SET a = s.a")
            moat.sql(f"INSERT INTO lake.s.{table} SELECT id + 1000, {others.replace('s.id, ', '').replace('s.', '')} FROM lake.s.{table} WHERE id % 2 = 0")
            after = check_table(moat, spark, catalog, table, spark_cannot)
            same = [row for row in before if row["id"] % 7 and row["id"] % 5 and not (row["id"] % 4 == 1 and row["id"] % 3 == 0)]
            assert [row for row in after if row["id"] in {row["id"] for row in same}] == same, table
            moat.sql(f"CALL moat.rewrite_data_files('lake.s.{table}', rewrite_all => true)")
            assert check_table(moat, spark, catalog, table, spark_cannot) == after, table
            shown = moat.sql(f"SHOW CREATE TABLE lake.s.{table}")[0]
            moat.sql(next(iter(shown.values())).replace(f"lake.s.{table} ", f"lake.s.{table}_like "))
            kinds = lambda of: list(leaves_of(table_schema(moat, of)).values())  # noqa: E731: numbers may be others
            assert kinds(table) == kinds(f"{table}_like")
            if name != "nested":
                named = ", ".join(key if not kind.startswith("GEO") else f"{key} {kind}" for key, kind, _ in columns)
                if all(kind.startswith("GEO") or kind == "INTEGER" for _, kind, _ in columns):
                    moat.sql(f"CREATE TABLE lake.s.{table}_as ({named}) WITH (format_version = 3) AS SELECT * FROM lake.s.{table}")
                    assert check_table(moat, spark, catalog, f"{table}_as", spark_cannot) == after
                    assert kinds(table) == kinds(f"{table}_as")


def wkb(code, *numbers, order="<"):
    return struct.pack(order + "BI", order == "<", code) + b"".join(struct.pack(order + ("d" if isinstance(number, float) else "I"), number) for number in numbers)


def nested_collections(depth):
    return b"".join(wkb(7, 1) for _ in range(depth)) + wkb(1, 1.0, 2.0)


def bad_values_are_refused(moat):
    moat.sql("CREATE TABLE lake.s.bad (id INTEGER, a GEOMETRY, b GEOGRAPHY, c STRUCT(l GEOGRAPHY[])) WITH (format_version = 3)")
    nan, inf = float("nan"), float("inf")
    line = wkb(2, 2, 0.0, 1.0, 2.0, 3.0)
    for why, value in {"no bytes": b"", "cut": line[:-1], "cut head": line[:3], "byte order": b"\x02" + line[1:], "more": line + b"\0", "twice": wkb(1, 1.0, 2.0) * 2, "type 0": wkb(0, 1.0, 2.0), "type 8": wkb(8, 0), "type 4001": wkb(4001, 1.0, 2.0),
                       "far count": wkb(2, 0xFFFFFFFF, 1.0, 2.0), "lines in points": wkb(4, 1) + line, "a count of more": wkb(7, 2) + wkb(1, 1.0, 2.0), "a count of less": wkb(7, 0) + wkb(1, 1.0, 2.0),
                       "other dimensions": wkb(7, 1) + wkb(1001, 1.0, 2.0, 3.0), "too deep": nested_collections(16), "much too deep": nested_collections(50000), "rings": wkb(3, 0xFFFFFFFF)}.items():
        for column in ("a", "b"):
            moat.sql(f"INSERT INTO lake.s.bad (id, {column}) SELECT 1, unhex('{value.hex()}')", error=f'column "{column}" of type {"geometry" if column == "a" else "geography"} was given a value that is no well-known binary')
        moat.sql(f"INSERT INTO lake.s.bad (id, c) SELECT 1, {{'l': [unhex('{value.hex()}')]}}", error='column "c.l.element" of type geography')
        CHECKED["values refused"] += 3
    for x, y in ((180.5, 0.0), (-181.0, 0.0), (0.0, 90.25), (0.0, -inf), (inf, 0.0), (nan, 0.0), (0.0, nan), (1e308, 1e308)):
        value = wkb(1, x, y)
        moat.sql(f"INSERT INTO lake.s.bad (id, b) SELECT 1, unhex('{value.hex()}')", error="no longitude of -180 to 180")
        moat.sql(f"INSERT INTO lake.s.bad (id, c) SELECT 1, {{'l': [NULL, unhex('{(wkb(7, 1) + value).hex()}')]}}", error="no longitude of -180 to 180")
        CHECKED["values refused"] += 2
    assert moat.sql("SELECT count(*) AS n FROM lake.s.bad") == [{"n": 0}]
    # What is right, or a geometry's: big-endian, PostGIS's flags, NaN and infinity, as deep as it may be, empty points.
    right = {1: wkb(1, 1.0, 2.0, order=">"), 2: struct.pack("<BIIddd", 1, 0xA0000001, 4326, 1, 2, 3), 3: wkb(2, 3, 0.0, 1.0, nan, 5.0, 2.0, nan), 4: wkb(1, nan, 7.0), 5: nested_collections(15), 6: wkb(1, nan, nan),
             7: wkb(1001, nan, nan, nan), 8: wkb(4, 2) + wkb(1, nan, nan) + wkb(1, 3.0, 4.0), 9: wkb(7, 0)}
    stored = {**right, 1: wkb(1, 1.0, 2.0), 2: wkb(1001, 1.0, 2.0, 3.0)}
    moat.sql("INSERT INTO lake.s.bad (id, a) SELECT i, unhex(w) FROM (VALUES " + ", ".join(f"({i}, '{value.hex()}')" for i, value in right.items()) + ") AS x(i, w)")
    own = {row["id"]: row["a"] for row in moat.sql("SELECT id, a FROM lake.s.bad")}
    assert own == stored, [(i, own[i].hex(), stored[i].hex()) for i in stored if own[i] != stored[i]]
    return stored


def boxes_without_nan(moat, spark, stored):
    """A NaN among other coordinates: the engine's writer forgets what came before it."""
    wanted = leaves_of(table_schema(moat, "bad"))
    bounds = bounds_of(moat, "bad")
    for file, size in moat.files("bad"):
        check_file(file, size, wanted, spark, bounds[file], is_box_exact=False)
        _, leaves = footer.read(file)
        element, chunks = next((element, chunks) for element, chunks in leaves if element.get(9) == 2)
        box = chunks[0][17].get(1)
        assert box in (None, box_of(stored.values())), (box, box_of(stored.values()))


def groups_have_their_own_boxes(moat, spark):
    """Row groups of several threads in several files: only those with a NaN are without a box, and their file without bounds."""
    nan = wkb(2, 2, float("nan"), 1.0, 2.0, 3.0)
    moat.sql("CREATE TABLE lake.s.groups (id INTEGER, a GEOMETRY, b GEOGRAPHY) PARTITIONED BY (truncate(30000, id)) SORTED BY (id) WITH (format_version = 3, 'write.parquet.row-group-limit' = '4096')")
    moat.sql(f"INSERT INTO lake.s.groups SELECT i, CASE WHEN i = 20000 THEN unhex('{nan.hex()}') ELSE ST_GeomFromText('POINT (' || i || ' ' || -i || ')') END, ST_GeomFromText('POINT (1 2)') FROM range(90000) AS x(i)")
    wanted = leaves_of(table_schema(moat, "groups"))
    bounds = bounds_of(moat, "groups")
    without = 0
    for file, size in moat.files("groups"):
        check_file(file, size, wanted, spark, bounds[file], is_box_exact=False)
        reader = pq.ParquetFile(file)
        assert reader.num_row_groups >= 7
        _, leaves = footer.read(file)
        chunks = next(chunks for element, chunks in leaves if element.get(9) == 2)
        has_nan = False
        for group, meta in enumerate(chunks):
            values = reader.read_row_group(group, columns=["a"]).column(0).to_pylist()
            assert meta[17].get(1) == (None if nan in values else box_of(values)), (file, group)
            has_nan |= nan in values
            without += nan in values
        everything = reader.read(columns=["a"]).column(0).to_pylist()
        assert [side.get(2) for side in bounds[file]] == [None if has_nan else point_of(box_of(everything), side) for side in (0, 1)]
        CHECKED["row groups with boxes of their own"] += reader.num_row_groups
    assert without == 1
    moat.validate("groups")


def spark_and_moat_change_tables(moat, spark, catalog):
    """Spark's own table, changed by Moat, and the other way around."""
    shape = "id BIGINT, a GEOMETRY(4326), b GEOGRAPHY(4326)"
    point = wkb(1, 5.0, 6.0).hex()

    def value(kind, data):
        return f"st_setsrid(st_{kind}fromwkb(X'{data}'), 4326)"

    for mode in ("copy-on-write", "merge-on-read"):
        name = f"theirs_{mode[0]}"
        spark.sql(f"CREATE TABLE lake.s.{name} ({shape}) USING iceberg TBLPROPERTIES ('format-version' = '3', 'write.delete.mode' = '{mode}', 'write.update.mode' = '{mode}', 'write.merge.mode' = '{mode}')")
        spark.sql(f"INSERT INTO lake.s.{name} SELECT /*+ COALESCE(1) */ i, {value('geom', point)}, CASE WHEN i % 3 > 0 THEN {value('geog', point)} END FROM VALUES 1L, 2L, 3L, 4L, 5L, 6L AS v(i)")
        moat.sql(f"DELETE FROM lake.s.{name} WHERE id = 2; UPDATE lake.s.{name} SET b = ST_GeomFromText('POINT (-180 90)') WHERE id = 3; INSERT INTO lake.s.{name} VALUES (7, ST_GeomFromText('LINESTRING (500 1, 2 3)'), NULL)")
        check_rows = check_table(moat, spark, catalog, name, None)
        assert [row["id"] for row in check_rows] == [1, 3, 4, 5, 6, 7]
        spark.sql(f"UPDATE lake.s.{name} SET a = {value('geom', point)} WHERE id = 7")
        spark.sql(f"DELETE FROM lake.s.{name} WHERE id = 4")
        moat.sql(f"CALL moat.rewrite_data_files('lake.s.{name}', rewrite_all => true)")
        rows = check_table(moat, spark, catalog, name, None)
        assert {row["id"]: row["b"] for row in rows}[3] == wkb(1, -180.0, 90.0).hex() and [row["id"] for row in rows] == [1, 3, 5, 6, 7]
        assert {row["a"] for row in rows} == {point}
        spark.sql(f"UPDATE lake.s.plain_{mode[0]} SET b = {value('geog', point)} WHERE id = 1")
        spark.sql(f"DELETE FROM lake.s.plain_{mode[0]} WHERE id = 3")
        rows = {row["id"]: row["b"] for row in shaped(moat.sql(f"SELECT id, b FROM lake.s.plain_{mode[0]}"))}
        assert rows[1] == point and 3 not in rows
        CHECKED["changes beside Spark"] += 8


def main():
    print(f"seed {OPTIONS.seed}", flush=True)
    rng = random.Random(OPTIONS.seed)
    with tempfile.TemporaryDirectory() as folder:
        moat, spark = Moat(folder), Spark(folder)
        catalog = SqlCatalog("lake", uri=f"sqlite:///{folder}/cat.sqlite", warehouse=f"file://{folder}/warehouse")
        boxes_without_nan(moat, spark, bad_values_are_refused(moat))
        groups_have_their_own_boxes(moat, spark)
        tables_through_changes(moat, spark, rng, catalog)
        spark_and_moat_change_tables(moat, spark, catalog)
    for what, count in sorted(CHECKED.items()):
        print(f"{count} {what}")
    for why, count in sorted(SKIPPED.items()):
        print(f"skipped {count}: {why}")
    print(f"1 passed, 0 failed, {sum(SKIPPED.values())} skipped")


if __name__ == "__main__":
    sys.exit(main())
