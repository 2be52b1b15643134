"""The matrix of tables that Moat writes, and random statements on them with what DuckDB calls them on a plain table."""

import itertools
import random

# name: Moat's type, Spark's word for it or None, values
TYPES = {
    "b": ("BOOLEAN", True, ["true", "false", "NULL"]),
    "i": ("INTEGER", True, ["-2147483640", "2147483647", "0", "17", "NULL"]),
    "l": ("BIGINT", True, ["-9223372036854775800", "9223372036854775807", "4", "NULL"]),
    "f": ("FLOAT", True, ["'nan'", "-1.5", "'inf'", "0.1", "'-0.0'", "NULL"]),
    "w": ("DOUBLE", True, ["1e308", "'-0.0'", "0.0", "5e-324", "'-inf'", "'nan'", "NULL"]),
    "n9": ("DECIMAL(9,2)", True, ["1234567.89", "-0.01", "12.00", "NULL"]),
    "n18": ("DECIMAL(18,0)", True, ["999999999999999999", "-1", "NULL"]),
    "n38": ("DECIMAL(38,10)", True, ["-1234567890123456789012345678.0123456789", "0.0000000001", "NULL"]),
    "t": ("TIME", False, ["TIME '23:59:59.999999'", "TIME '00:00:00'", "NULL"]),
    "tz": ("TIMESTAMP WITH TIME ZONE", True, ["TIMESTAMPTZ '1969-12-31 23:59:59.999999+00'", "TIMESTAMPTZ '2024-02-29 12:00:00+02'", "NULL"]),
    "v": ("VARCHAR", True, ["''", "'a''b'", "'ünïcode 😀 and long enough to be cut somewhere'", f"'{'z' * 40}'", "NULL"]),
    "u": ("UUID", True, ["'f79c3e09-677c-4bbd-a479-3f349cb785e7'", "'00000000-0000-0000-0000-000000000001'", "NULL"]),
    "y": ("BLOB", True, ["'\\x00\\xFF'::BLOB", "''::BLOB", "'abc'::BLOB", "NULL"]),
    "st": ("STRUCT(x INTEGER, z VARCHAR)", True, ["{'x': 1, 'z': 'q'}", "{'x': NULL, 'z': NULL}", "NULL"]),
    "li": ("INTEGER[]", True, ["[1, NULL, 3]", "[]", "NULL"]),
    "ma": ("MAP(VARCHAR, BIGINT)", True, ["MAP {'k': 1, 'l': NULL}", "NULL"]),
    "deep": ("STRUCT(a STRUCT(b INTEGER[])[])", True, ["{'a': [{'b': [1, 2]}, {'b': NULL}]}", "NULL"]),
}
FAMILIES = (("f", "w"), ("n9", "n38"), ("v", "y"), ("tz", "b"), ("st", "li"), ("u", "l"), ("ma", "deep"), ("t", "n18"), ("i",), ())
SPECS = (
    [], ["g"], ["s"], ["d"], ["bucket(4, id)"], ["bucket(3, s)"], ["bucket(5, d)"], ["bucket(3, ts)"], ["truncate(10, id)"], ["truncate(2, s)"],
    ["truncate(3, g)"], ["year(d)"], ["month(d)"], ["day(d)"], ["year(ts)"], ["month(ts)"], ["day(ts)"], ["hour(ts)"], ["g", "bucket(2, id)"],
    ["month(d)", "truncate(1, s)"], ["void(g)", "g"], ["p.x"], ["bucket(2, p.y)"], ["{x}"], ["bucket(4, {x})"], [],
)
MODES = ((1, "copy-on-write"), (2, "copy-on-write"), (2, "merge-on-read"), (3, "copy-on-write"), (3, "merge-on-read"))
CODECS = "zstd", "snappy", "gzip", "lz4_raw", "uncompressed"
ORDERS = "", "id", "s DESC NULLS LAST, id", "bucket(4, id), g NULLS FIRST", "d, ts DESC"
IDENTITY = {"b", "i", "l", "f", "w", "n9", "n38", "n18", "tz", "v", "u", "y", "t"}
BUCKETS = IDENTITY - {"b", "f", "w"}
CORE = {"id": "BIGINT", "g": "INTEGER", "s": "VARCHAR", "p": "STRUCT(x INTEGER, y VARCHAR)", "d": "DATE", "ts": "TIMESTAMP"}
KINDS = "delete", "update", "merge"


def shapes():
    """All tables, in an order in which any first few are of many kinds."""
    whole = list(itertools.product(range(len(SPECS)), range(len(MODES)), range(3)))
    random.Random(1).shuffle(whole)
    for number, (spec, mode, again) in enumerate(whole):
        family = FAMILIES[(spec * 3 + mode + again * 7) % len(FAMILIES)]
        forms = SPECS[spec]
        if forms and "{x}" in forms[0]:
            fit = [kind for kind in TYPES if kind in (BUCKETS if "bucket" in forms[0] else IDENTITY)]
            family = (fit[(mode * 3 + again) % len(fit)], "st")
            forms = [forms[0].format(x=f"x0_{family[0]}")]
        version, way = MODES[mode]
        yield {"name": f"m{number}", "version": version, "mode": way, "forms": list(forms), "family": family,
               "codec": CODECS[number % len(CODECS)], "order": ORDERS[(spec + mode + again) % len(ORDERS)], "evolves": again}


def cased(kind, salt):
    values = TYPES[kind][2]
    whens = " ".join(f"WHEN {i} THEN CAST({value} AS {TYPES[kind][0]})" for i, value in enumerate(values))
    return f"CASE (i + {salt}) % {len(values) + 1} {whens} ELSE NULL END"


class Twin:
    """A table of the matrix, and its twin."""

    def __init__(self, shape, rng, duckdb):
        self.__dict__.update(shape)
        self.rng = rng
        self.columns = dict(CORE)
        self.kinds = {}
        for i, kind in enumerate(self.family):
            self.columns[f"x{i}_{kind}"] = TYPES[kind][0]
            self.kinds[f"x{i}_{kind}"] = kind
        self.fixed = set(CORE) | {form for form in self.columns if any(form in text for text in self.forms)}
        self.following = 0
        self.added = len(self.family)
        self.is_spec_first = True
        self.said = []  # of the sequence
        self.tags = {}
        self.is_for_spark = all(TYPES[kind][1] for kind in self.family)
        self.is_on_branch = False
        self.db = duckdb.connect(config={"threads": 1})
        self.db.execute("SET TimeZone = 'UTC'")
        self.db.execute(f"CREATE TABLE t ({self.shape()})")

    def shape(self):
        return ", ".join(f"{name} {kind}{' NOT NULL' if name == 'id' else ''}" for name, kind in self.columns.items())

    def create(self):
        options = "".join(f", \"write.{kind}.mode\" = '{self.mode}'" for kind in KINDS)
        by = f" PARTITIONED BY ({', '.join(self.forms)})" if self.forms else ""
        order = f" SORTED BY ({self.order})" if self.order else ""
        return (f"CREATE TABLE {{t}} ({self.shape()}){by}{order} WITH (format_version = {self.version}, "
                f"\"write.parquet.compression-codec\" = '{self.codec}'{options})")

    # ---- statements, in which {t} is the table

    def both(self, ours, theirs=None):
        self.alone(ours.replace("{t}", "{b}") if self.is_on_branch else ours)
        for statement in [ours] if theirs is None else theirs:
            self.db.execute(statement.replace("{{", "{").replace("}}", "}").replace("{t}", "t"))

    def alone(self, ours):
        self.said.append(ours.replace("{", "{{").replace("}", "}}").replace("{{t}}", "{t}").replace("{{b}}", "{b}"))

    def new_rows(self, count, first):
        rng = self.rng
        forms = {
            "id": "i", "g": f"CASE WHEN i % 7 = 0 THEN NULL ELSE i % {rng.randint(2, 5)} END", "s": f"CASE WHEN i % 11 = 0 THEN NULL ELSE 's' || (i % {rng.randint(1, 9)}) END",
            "p": "CASE WHEN i % 5 = 0 THEN NULL ELSE {'x': CAST(i % 4 AS INTEGER), 'y': 'y' || (i % 3)} END",
            "d": f"CASE WHEN i % 13 = 0 THEN NULL ELSE DATE '2019-12-28' + CAST(i % 50 * {rng.randint(1, 9)} AS INTEGER) END",
            "ts": f"TIMESTAMP '1969-12-31 20:15:00.5' + to_minutes(CAST(i % 40 * {rng.randint(1, 400)} AS INTEGER))",
        }
        listed = ", ".join(f"{forms.get(name) or cased(self.kinds[name], rng.randint(0, 5))} AS {name}" for name in self.columns)
        return f"SELECT {listed} FROM range({first}, {first + count}) r(i)"

    def condition(self, row="t"):
        rng = self.rng
        return rng.choice((
            f"{row}.id % {rng.randint(2, 6)} = {rng.randint(0, 2)}", f"{row}.g = {rng.randint(0, 4)}", f"{row}.g IS NULL", f"{row}.p.x > {rng.randint(0, 4)}",
            f"{row}.id BETWEEN {rng.randint(0, 40)} AND {rng.randint(20, 80)}", f"{row}.s IS NOT DISTINCT FROM 's{rng.randint(0, 5)}'", "false",
            f"{row}.d < DATE '2020-03-{rng.randint(10, 28)}'", f"{row}.d IS NULL", f"{row}.ts >= TIMESTAMP '1970-01-02 03:04:05'",
            f"({row}.id = {rng.randint(0, 60)} OR {row}.g > {rng.randint(1, 3)})"))

    def insert(self):
        count = self.rng.choice((1, 5, 30, 80))
        first, self.following = self.following, self.following + count
        names = ", ".join(self.columns)
        self.both(f"INSERT INTO {{t}} ({names}) {self.new_rows(count, first)}")

    def delete(self):
        if self.rng.random() < 0.3:
            source = f"(SELECT id AS k FROM {{t}} WHERE id % {self.rng.randint(2, 9)} = 0)"
            self.both(f"DELETE FROM {{t}} AS t USING {source} u WHERE t.id = u.k AND {self.condition()}")
        else:
            self.both(f"DELETE FROM {{t}} AS t WHERE {self.condition()}")

    def update(self):
        rng = self.rng
        where = self.condition()
        what = ["s = s || '!'", f"g = {rng.randint(0, 6)}", "d = d + 40, s = NULL", "g = NULL", "id = id + 100000", "ts = ts + to_hours(5)", "p = {'x': 9, 'y': NULL}"]
        what += [f"{name} = CAST({rng.choice(TYPES[kind][2])} AS {self.columns[name]})" for name, kind in self.kinds.items()]
        if rng.random() < 0.3:
            self.both(f"UPDATE {{t}} AS t SET s = u.w, g = u.k FROM (SELECT i AS k, 'w' || i AS w FROM range({rng.randint(1, 90)}) r(i)) u WHERE t.id = u.k AND {where}")
        else:
            self.both(f"UPDATE {{t}} AS t SET {rng.choice(what)} WHERE {where}")

    def merge(self):
        rng = self.rng
        first = max(0, self.following - rng.randint(0, 30))
        count = rng.choice((3, 20, 60))
        self.following = max(self.following, first + count)
        clauses = []
        for _ in range(rng.randint(0, 2)):
            action = rng.choice(("DELETE", "UPDATE SET s = s.s || t.s, g = s.g", "UPDATE SET d = s.d, g = CASE WHEN t.g > 2 THEN s.g ELSE t.g END", "DO NOTHING"))
            clauses.append(f"WHEN MATCHED AND {self.condition(rng.choice('ts'))} THEN {action}")
        clauses += rng.sample([f"WHEN NOT MATCHED BY SOURCE AND {self.condition()} THEN DELETE",
                               f"WHEN NOT MATCHED AND {self.condition('s')} THEN INSERT (id, s, g) VALUES (s.id, 'new', s.g)",
                               f"WHEN NOT MATCHED BY SOURCE AND {self.condition()} THEN UPDATE SET s = 'alone', g = 1"], rng.randint(0, 3))
        clauses += rng.sample(["WHEN MATCHED THEN UPDATE SET *", "WHEN NOT MATCHED THEN INSERT *"], rng.randint(1, 2))
        text = f"MERGE INTO {{t}} AS t USING ({self.new_rows(count, first)}) AS s ON t.id = s.id {' '.join(clauses)}"
        stars = ", ".join(f"{name} = s.{name}" for name in self.columns)
        inserted = f"INSERT ({', '.join(self.columns)}) VALUES ({', '.join('s.' + name for name in self.columns)})"
        self.both(text, [text.replace("UPDATE SET *", f"UPDATE SET {stars}").replace("INSERT *", inserted)])

    def overwrite(self):
        if self.forms not in ([], ["g"]) or not self.is_spec_first:
            return self.insert()
        count = self.rng.choice((1, 6))
        first, self.following = self.following, self.following + count
        rows, names = self.new_rows(count, first), ", ".join(self.columns)
        gone = "DELETE FROM {t}" + (f" WHERE EXISTS (SELECT 1 FROM ({rows}) x WHERE x.g IS NOT DISTINCT FROM t.g)" if self.forms else "")
        return self.both(f"INSERT OVERWRITE {{t}} BY NAME {rows}", [gone, f"INSERT INTO {{t}} ({names}) {rows}"])

    def truncate(self):
        self.both("TRUNCATE {t}", ["DELETE FROM t"])

    def alter(self):
        if self.evolves == 0:
            return self.insert()
        kinds = [self.add_column, self.drop_column, self.rename_column, self.widen, self.move, self.set_property]
        if self.evolves == 2:
            kinds += [self.partition] * 3 + [self.reorder] + ([self.upgrade] if self.version < 3 else [])
        return self.rng.choice(kinds)()

    def add_column(self):
        kind = self.rng.choice([kind for kind in TYPES if TYPES[kind][1]])
        name = f"x{self.added}_{kind}"
        self.added += 1
        place = self.rng.choice(("", "", " FIRST", " AFTER s"))
        self.columns[name] = TYPES[kind][0]
        self.kinds[name] = kind
        self.both(f"ALTER TABLE {{t}} ADD COLUMN {name} {TYPES[kind][0]}{place}", [f"ALTER TABLE t ADD COLUMN {name} {TYPES[kind][0]}"])

    def free(self):
        return sorted(set(self.kinds) - self.fixed)

    def drop_column(self):
        if not self.free():
            return self.add_column()
        name = self.rng.choice(self.free())
        del self.columns[name], self.kinds[name]
        return self.both(f"ALTER TABLE {{t}} DROP COLUMN {name}")

    def rename_column(self):
        if not self.free():
            return self.add_column()
        name = self.rng.choice(self.free())
        new = f"x{self.added}_{self.kinds[name]}"
        self.added += 1
        self.columns[new], self.kinds[new] = self.columns.pop(name), self.kinds.pop(name)
        return self.both(f"ALTER TABLE {{t}} RENAME COLUMN {name} TO {new}")

    def widen(self):
        wider = {"INTEGER": "BIGINT", "FLOAT": "DOUBLE", "DECIMAL(9,2)": "DECIMAL(20,2)", "DECIMAL(18,0)": "DECIMAL(38,0)"}
        found = [name for name, kind in self.columns.items() if kind in wider and name not in self.fixed - {"g"}]
        if not found or (found == ["g"] and any("g" in form for form in self.forms)):
            return self.add_column()
        name = self.rng.choice(found)
        self.columns[name] = wider[self.columns[name]]
        return self.both(f"ALTER TABLE {{t}} ALTER COLUMN {name} TYPE {self.columns[name]}")

    def move(self):
        self.alone(f"ALTER TABLE {{t}} ALTER COLUMN {self.rng.choice(list(self.columns))} {self.rng.choice(('FIRST', 'AFTER id'))}".replace("id AFTER id", "id FIRST"))

    def set_property(self):
        self.alone(self.rng.choice((
            f"ALTER TABLE {{t}} SET ('write.parquet.compression-codec' = '{self.rng.choice(CODECS)}')",
            "ALTER TABLE {t} SET ('write.metadata.metrics.default' = 'counts')",
            "ALTER TABLE {t} SET ('write.metadata.metrics.column.s' = 'truncate(2)')",
            "ALTER TABLE {t} SET ('write.target-file-size-bytes' = '65536')")))

    def partition(self):
        choices = [form for form in ("bucket(2, id)", "month(d)", "g", "truncate(1, s)", "day(ts)") if form not in self.forms]
        if self.forms and self.rng.random() < 0.5:
            gone = self.rng.choice(self.forms)
            if gone.startswith("void"):
                return self.insert()
            self.forms.remove(gone)
            self.alone(f"ALTER TABLE {{t}} DROP PARTITION FIELD {gone}")
        else:
            form = self.rng.choice(choices)
            if any(form.split("(")[-1] == other.split("(")[-1] for other in self.forms):
                return self.insert()
            self.forms.append(form)
            self.alone(f"ALTER TABLE {{t}} ADD PARTITION FIELD {form}")
        self.is_spec_first = False
        return None

    def reorder(self):
        self.alone(self.rng.choice(("ALTER TABLE {t} SET SORTED BY (id DESC, s)", "ALTER TABLE {t} SET UNORDERED")))

    def upgrade(self):
        self.version += 1
        self.alone(f"ALTER TABLE {{t}} SET ('format-version' = '{self.version}')")

    def call(self):
        self.alone(self.rng.choice((
            "CALL moat.rewrite_data_files('{t}', min_input_files => 2)", "CALL moat.rewrite_data_files('{t}', rewrite_all => true)",
            "CALL moat.rewrite_manifests('{t}')", "CALL moat.expire_snapshots('{t}', older_than => '2999-01-01')")))

    def branch(self):
        """Write, audit, publish."""
        if self.following == 0 or self.is_on_branch:
            return self.insert()
        self.alone("ALTER TABLE {t} CREATE OR REPLACE BRANCH w")
        self.is_on_branch = True
        for _ in range(self.rng.randint(1, 3)):
            self.rng.choice([self.insert, self.delete, self.update, self.merge, self.overwrite, self.truncate])()
        self.is_on_branch = False
        self.alone("CALL moat.fast_forward('{t}', 'main', 'w')")
        return self.alone("ALTER TABLE {t} DROP BRANCH w")

    def tag(self):
        if self.following == 0:
            return self.insert()
        name = f"tag{len(self.tags)}"
        self.tags[name] = self.ids()
        return self.alone(f"ALTER TABLE {{t}} CREATE TAG {name}")

    def ids(self):
        return [row[0] for row in self.db.execute("SELECT id FROM t ORDER BY 1").fetchall()]

    def sequence(self):
        kinds = ([self.insert] * 3 + [self.delete] * 3 + [self.update] * 4 + [self.merge] * 4 + [self.overwrite] + [self.truncate]
                 + [self.alter] * 4 + [self.call] * 2 + [self.tag] + [self.branch] * 2)
        self.said = []
        if self.following == 0:
            self.insert()
        for _ in range(self.rng.randint(2, 5)):
            self.rng.choice(kinds)()
        return self.said

    def rows(self):
        return self.db.execute(f"SELECT {', '.join(self.columns)} FROM t").to_arrow_table().to_pylist()

    # ---- by Spark, whose words are both's

    def spark_statements(self):
        names = ", ".join(self.columns)
        values = ", ".join("id + 500000" if name == "id" else name for name in self.columns)
        insert = f"INSERT INTO {{t}} ({names}) SELECT {values} FROM {{t}} WHERE id % 3 = 0"
        update = "UPDATE {t} SET s = s || '?', g = 7 WHERE id % 4 = 1"
        delete = "DELETE FROM {t} WHERE id % 5 = 2 OR g IS NULL"
        given = {"id": "u.k", "g": "3", "s": "'sp'"}
        merge = ("MERGE INTO {t} AS t USING (SELECT DISTINCT id + 1 AS k FROM {t} WHERE id % 7 < 3) AS u ON t.id = u.k WHEN MATCHED AND t.id % 2 = 0 THEN DELETE "
                 f"WHEN MATCHED THEN UPDATE SET g = 8, d = DATE '2020-02-02' WHEN NOT MATCHED THEN INSERT ({names}) VALUES "
                 f"({', '.join(given.get(name, 'NULL') for name in self.columns)})")
        return self.rng.sample([insert, update, delete, merge], 2)
