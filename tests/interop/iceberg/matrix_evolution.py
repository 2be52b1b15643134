"""Schema evolution: what readers that go by name or position get wrong. Each change in each format version, with and without deletes
of the kinds that version has."""

from base import COLUMNS_SQL
from matrix import COPY_ON_WRITE, MERGE_ON_READ, add, insert

ST = "named_struct('a', id, 'b', s, 'c', named_struct('x', f, 'y', d))"
ST_TYPE = "STRUCT<a: INT, b: STRING, c: STRUCT<x: FLOAT, y: DATE>>"
LI = "array(named_struct('a', id, 'b', s), CAST(NULL AS STRUCT<a: INT, b: STRING>), named_struct('a', CAST(NULL AS INT), 'b', 'é'))"
LI_TYPE = "ARRAY<STRUCT<a: INT, b: STRING>>"
MP = "map('one', named_struct('a', id, 'b', f), 'two', named_struct('a', -id, 'b', CAST(NULL AS FLOAT)), '', NULL)"
ONE_FIELD = "named_struct('a', id)"
TWO_FIELDS = "named_struct('a', id, 'd', d)"
MP_TYPE = "MAP<STRING, STRUCT<a: INT, b: FLOAT>>"


def sometimes(value, type_):
    """NULL, empty or full by id, so that the three are told apart."""
    empty = "array()" if type_.startswith("ARRAY") else "map()" if type_.startswith("MAP") else "NULL"
    return f"CASE id % 5 WHEN 0 THEN NULL WHEN 1 THEN CAST({empty} AS {type_}) ELSE CAST({value} AS {type_}) END"


class Change:
    """columns, the first rows' select list, the statements (SQL, or a callable), the next rows' select list."""

    def __init__(self, columns, first, changes, then, since=1, equality=None, filters=(), spec=""):
        self.columns, self.first, self.changes, self.then = columns, first, changes, then
        self.since, self.equality, self.filters, self.spec = since, equality, filters, spec


def default(column, type_, literal, required=False, parent=None):
    """ADD COLUMN with a default: only the Java API says it."""
    def change(w, t):
        update = w.load(t).updateSchema()
        value = w.literal(type_, literal)
        if parent:
            update.addColumn(parent, column, w.type(type_), None, value)
        elif required:
            update.addRequiredColumn(column, w.type(type_), None, value)
        else:
            update.addColumn(column, w.type(type_), None, value)
        update.commit()
    return change


def update_schema(*calls):
    """Calls on Iceberg's UpdateSchema: (method, argument...); {"type": text} stands for a type."""
    def change(w, t):
        update = w.load(t).updateSchema()
        for method, *arguments in calls:
            getattr(update, method)(*[w.type(a["type"]) if isinstance(a, dict) else a for a in arguments])
        update.commit()
    return change


def write_default(column, literal):
    def change(w, t):
        table = w.load(t)
        type_ = table.schema().findType(column).toString()
        table.updateSchema().updateColumnDefault(column, w.literal(type_, literal)).commit()
    return change


BASIC = "id INT, s STRING, f FLOAT"
BASIC_ROWS = "id, s, f"

CHANGES = {
    "add": Change(BASIC, BASIC_ROWS, ["ADD COLUMN z STRING"], "id, s, f, concat('z', id)", equality=["z"], filters=("z IS NULL", "z = 'z21'")),
    "add_first": Change(BASIC, BASIC_ROWS, ["ADD COLUMN z INT FIRST", "ADD COLUMN y DATE AFTER id"], "id * 2, id, d, s, f",
                        filters=("z = 44", "y IS NOT NULL")),
    "add_many": Change(BASIC, BASIC_ROWS, [f"ADD COLUMNS (c{i} BIGINT, n{i} STRUCT<a: INT, b: STRING>)" for i in range(3)],
                       BASIC_ROWS + "".join(f", k, named_struct('a', {i}, 'b', s)" for i in range(3)), filters=("c1 > 0",)),
    "drop": Change(BASIC, BASIC_ROWS, ["DROP COLUMN s"], "id, f", filters=("f > 1",)),
    "drop_readd": Change(BASIC, BASIC_ROWS, ["DROP COLUMN s", "ADD COLUMN s STRING"], "id, f, 'new'", equality=["s"],
                         filters=("s IS NULL", "s = 'new'")),
    "drop_readd_type": Change(BASIC, BASIC_ROWS, ["DROP COLUMN s", "ADD COLUMN s DATE"], "id, f, d", filters=("s IS NULL",)),
    "rename": Change(BASIC, BASIC_ROWS, ["RENAME COLUMN s TO title"], "id, s, f", equality=["title"],
                     filters=("title = 'iceberg'", "title IS NULL")),
    "rename_swap": Change("id INT, a STRING, b STRING", "id, s, concat('b', id)",
                          ["RENAME COLUMN a TO c", "RENAME COLUMN b TO a", "RENAME COLUMN c TO b"], "id, s, concat('a', id)",
                          filters=("a = 'b7'", "b IS NULL")),
    "rename_reuse": Change(BASIC, BASIC_ROWS, ["RENAME COLUMN s TO old_s", "ADD COLUMN s STRING"], "id, s, f, 'fresh'",
                           filters=("s IS NULL", "old_s = 'abc'")),
    "rename_chain": Change(BASIC, BASIC_ROWS, ["RENAME COLUMN s TO x1", "RENAME COLUMN x1 TO x2", "RENAME COLUMN x2 TO S"],
                           BASIC_ROWS, filters=("\"S\" = 'abc'",)),
    "reorder": Change(BASIC, BASIC_ROWS, ["ALTER COLUMN f FIRST", "ALTER COLUMN id AFTER s"], "f, s, id", filters=("id = 21",)),
    "widen_int": Change("id INT, n INT", "id, id * 1000", ["ALTER COLUMN n TYPE BIGINT"], "id, id * 10000000000", equality=["n"],
                        filters=("n = 7000", "n > 5000000000", "n < 100000")),
    "widen_float": Change("id INT, n FLOAT", "id, f", ["ALTER COLUMN n TYPE DOUBLE"], "id, g", equality=["n"],
                          filters=("n > 1", "n IS NULL", "n < 0.1")),
    "widen_decimal": Change("id INT, n DECIMAL(9, 2)", "id, p", ["ALTER COLUMN n TYPE DECIMAL(18, 2)", "ALTER COLUMN n TYPE DECIMAL(38, 2)"],
                            "id, CAST(p AS DECIMAL(38, 2)) * 1000000000000", equality=["n"],
                            filters=("n = CAST(14.20 AS DECIMAL(38,2))", "n < 0")),
    "widen_all": Change("id INT, i INT, f FLOAT, p DECIMAL(4, 1)", "id, id, f, CAST(id AS DECIMAL(4, 1)) / 8",
                        ["ALTER COLUMN i TYPE BIGINT", "ALTER COLUMN f TYPE DOUBLE", "ALTER COLUMN p TYPE DECIMAL(10, 1)"],
                        "id, k, g, CAST(id AS DECIMAL(10, 1)) * 1000000", filters=("i > 10", "f = 'NaN'", "p > 5")),
    "optional": Change("id INT NOT NULL, s STRING NOT NULL", "id, coalesce(s, 'x')", ["ALTER COLUMN s DROP NOT NULL"], "id, s",
                       filters=("s IS NULL",)),
    "struct_add": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", ["ADD COLUMN st.z BIGINT", "ADD COLUMN st.c.w STRING"],
                         "id, named_struct('a', id, 'b', s, 'c', named_struct('x', f, 'y', d, 'w', s), 'z', k)", filters=("st.z = 42", "st.a = 3")),
    "struct_drop": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", ["DROP COLUMN st.a", "DROP COLUMN st.c.y"],
                          "id, named_struct('b', s, 'c', named_struct('x', f))", filters=("st.b = 'abc'",)),
    "struct_rename": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", ["RENAME COLUMN st.a TO aa", "RENAME COLUMN st.c TO cc",
                            "RENAME COLUMN st.cc.y TO yy"], f"id, {ST}", filters=("st.aa = 8", "st.cc.yy IS NULL")),
    "struct_swap": Change("id INT, st STRUCT<a: STRING, b: STRING>", "id, named_struct('a', s, 'b', concat('b', id))",
                          ["RENAME COLUMN st.a TO c", "RENAME COLUMN st.b TO a", "RENAME COLUMN st.c TO b"],
                          "id, named_struct('x', s, 'y', concat('a', id))", filters=("st.a = 'b7'",)),
    "struct_readd": Change("id INT, st STRUCT<a: STRING, b: STRING>", "id, named_struct('a', s, 'b', concat('b', id))",
                           ["DROP COLUMN st.a", "ADD COLUMN st.a STRING FIRST"], "id, named_struct('a', 'new', 'b', s)",
                           filters=("st.a IS NULL", "st.a = 'new'")),
    "struct_reorder": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", ["ALTER COLUMN st.c FIRST", "ALTER COLUMN st.c.y FIRST"],
                             "id, named_struct('c', named_struct('y', d, 'x', f), 'a', id, 'b', s)", filters=("st.a = 22",)),
    "struct_widen": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", ["ALTER COLUMN st.a TYPE BIGINT", "ALTER COLUMN st.c.x TYPE DOUBLE"],
                           "id, named_struct('a', k, 'b', s, 'c', named_struct('x', g, 'y', d))", filters=("st.a > 10",)),
    "struct_of_new_only": Change("id INT, st STRUCT<a: INT>", f"id, {sometimes(ONE_FIELD, 'STRUCT<a: INT>')}",
                                 ["ADD COLUMN st.b INT", "DROP COLUMN st.a"], "id, named_struct('b', id)", filters=("st IS NULL", "st.b = 30")),
    "list_add": Change(f"id INT, li {LI_TYPE}", f"id, {sometimes(LI, LI_TYPE)}", ["ADD COLUMN li.element.z DOUBLE"],
                       "id, array(named_struct('a', id, 'b', s, 'z', g))"),
    "list_rename": Change(f"id INT, li {LI_TYPE}", f"id, {sometimes(LI, LI_TYPE)}", ["RENAME COLUMN li.element.a TO b2", "RENAME COLUMN li.element.b TO a"],
                          f"id, {LI}"),
    "list_drop": Change(f"id INT, li {LI_TYPE}", f"id, {sometimes(LI, LI_TYPE)}", ["DROP COLUMN li.element.a"], "id, array(named_struct('b', s))"),
    "list_widen": Change("id INT, li ARRAY<INT>, lf ARRAY<FLOAT>", f"id, {sometimes('array(id, NULL, -id)', 'ARRAY<INT>')}, array(f, NULL)",
                         ["ALTER COLUMN li.element TYPE BIGINT", "ALTER COLUMN lf.element TYPE DOUBLE"], "id, array(k), array(g)"),
    "map_add": Change(f"id INT, mp {MP_TYPE}", f"id, {sometimes(MP, MP_TYPE)}", ["ADD COLUMN mp.value.z DATE"],
                      "id, map('k', named_struct('a', id, 'b', f, 'z', d))"),
    "map_rename": Change(f"id INT, mp {MP_TYPE}", f"id, {sometimes(MP, MP_TYPE)}", ["RENAME COLUMN mp.value.a TO zz", "RENAME COLUMN mp.value.b TO a"], f"id, {MP}"),
    "map_widen": Change("id INT, mp MAP<INT, FLOAT>", f"id, {sometimes('map(id, f)', 'MAP<INT, FLOAT>')}",
                        ["ALTER COLUMN mp.value TYPE DOUBLE"], "id, map(id, g)"),
    "map_struct_key": Change("id INT, mp MAP<STRUCT<a: INT, b: STRING>, ARRAY<INT>>", "id, map(named_struct('a', id, 'b', s), array(id, NULL))",
                             ["RENAME COLUMN mp TO renamed"], "id, map(named_struct('a', -id, 'b', s), CAST(NULL AS ARRAY<INT>))"),
    "deep": Change("id INT, x ARRAY<MAP<STRING, STRUCT<a: ARRAY<STRUCT<b: INT, c: FLOAT>>>>>",
                   "id, array(map('k', named_struct('a', array(named_struct('b', id, 'c', f), NULL)), 'n', NULL), NULL, CAST(map() AS MAP<STRING, STRUCT<a: ARRAY<STRUCT<b: INT, c: FLOAT>>>>))",
                   ["RENAME COLUMN x.element.value.a TO aa", "RENAME COLUMN x.element.value.aa.element.b TO bb",
                    "ADD COLUMN x.element.value.aa.element.z STRING", "ALTER COLUMN x.element.value.aa.element.c TYPE DOUBLE",
                    "RENAME COLUMN x TO xx"],
                   "id, array(map('k', named_struct('aa', array(named_struct('bb', id, 'c', g, 'z', s)))))"),
    "partition_source_renamed": Change(BASIC, BASIC_ROWS, ["RENAME COLUMN s TO title"], BASIC_ROWS, spec="truncate(2, s), bucket(4, id)", equality=["id"],
                                       filters=("title LIKE 'ice%'", "id = 3")),
    "partition_source_widened": Change("id INT, n INT", "id, id * 3", ["ALTER COLUMN n TYPE BIGINT"], "id, k", spec="n", filters=("n = 9", "n IS NULL", "n > 100000")),
    "partition_bucket_widened": Change("id INT, n INT", "id, id * 3", ["ALTER COLUMN n TYPE BIGINT"], "id, k", spec="bucket(4, n)", filters=("n = 9", "n IS NULL", "n = 42")),
    "partition_truncate_widened": Change("id INT, p DECIMAL(9, 2)", "id, nullif(p, -9999999.99)", ["ALTER COLUMN p TYPE DECIMAL(20, 2)"], "id, p", spec="truncate(100, p)",
                                         filters=("p = CAST('14.20' AS DECIMAL(20,2))", "p < 0")),
    "partition_source_dropped": Change("id INT, s STRING, flag BOOLEAN", "id, s, flag", ["DROP PARTITION FIELD flag", "DROP COLUMN flag"], "id, s", spec="flag",
                                       since=2, filters=("s = 'abc'",)),
    "nested_partition": Change("id INT, st STRUCT<a: INT, d: DATE>", f"id, {sometimes(TWO_FIELDS, 'STRUCT<a: INT, d: DATE>')}",
                               ["RENAME COLUMN st.a TO aa"], "id, named_struct('aa', id, 'd', d)", spec="bucket(4, st.a), years(st.d)", filters=("st.aa = 7", "st.d < DATE '2000-01-01'")),
    "odd_names": Change("`id` INT, `a b` STRING, `filename` STRING, `file_row_number` INT, `Ünï` INT, `select` INT, `x.y` INT, `quote\"d` INT, `_c` INT",
                        "id, s, 'mine', id, id, id, id, id, id", [update_schema(("renameColumn", "a b", "A B")), "ADD COLUMN `dash-ed` INT"],
                        "id, s, 'mine too', id, id, id, id, id, id, 1", filters=("\"A B\" = 'abc'", "filename = 'mine'", "file_row_number = 30")),
    "default_int": Change(BASIC, BASIC_ROWS, [default("z", "int", "34")], "id, s, f, IF(id % 2 = 0, NULL, id)", since=3, equality=["z"],
                          filters=("z = 34", "z IS NULL", "z > 34")),
    "default_many": Change("id INT", "id", [default("a", "long", "9223372036854775807"), default("b", "string", '"déf"'), default("c", "date", '"1969-12-31"'),
                           default("d", "timestamptz", '"2020-01-01T00:00:00.000001+00:00"'), default("e", "timestamp", '"1969-12-31T00:00:00.000001"'),
                           default("f", "float", "1.5"), default("g", "double", "-2.25"), default("h", "decimal(9, 2)", '"-14.20"'),
                           default("i", "binary", '"00ff"'), default("j", "boolean", "true"), default("k", "uuid", '"f79c3e09-677c-4bbd-a479-3f349cb785e7"'),
                           default("l", "fixed[3]", '"010203"')],
                           "id, k, s, d, ts, tn, f, g, p, b, flag, 'f79c3e09-677c-4bbd-a479-3f349cb785e8', X'0a0b0c'", since=3,
                           filters=("b = 'déf'", "c < DATE '1970-01-01'", "h = CAST('-14.20' AS DECIMAL(9,2))", "j")),
    "default_required": Change(BASIC, BASIC_ROWS, [default("z", "string", '"must"', required=True)], "id, s, f, 'given'", since=3, filters=("z = 'must'",)),
    "default_nested": Change(f"id INT, st {ST_TYPE}", f"id, {sometimes(ST, ST_TYPE)}", [default("z", "int", "7", parent="st"), default("w", "string", '"w"', parent="st.c")],
                             "id, named_struct('a', id, 'b', s, 'c', named_struct('x', f, 'y', d, 'w', s), 'z', id)", since=3, filters=("st.z = 7",)),
    "default_in_list": Change(f"id INT, li {LI_TYPE}", f"id, {sometimes(LI, LI_TYPE)}", [default("z", "long", "5", parent="li")],
                              "id, array(named_struct('a', id, 'b', s, 'z', k))", since=3),
    "default_in_map": Change(f"id INT, mp {MP_TYPE}", f"id, {sometimes(MP, MP_TYPE)}", [default("z", "double", "0.5", parent="mp")],
                             "id, map('k', named_struct('a', id, 'b', f, 'z', g))", since=3),
    "default_renamed": Change(BASIC, BASIC_ROWS, [default("z", "int", "34"), "RENAME COLUMN z TO zz"], "id, s, f, id", since=3, filters=("zz = 34",)),
    "default_changed": Change(BASIC, BASIC_ROWS, [default("z", "int", "34"), write_default("z", "35")], "id, s, f, id", since=3, filters=("z = 34",)),
    "default_widened": Change(BASIC, BASIC_ROWS, [default("z", "int", "34"), "ALTER COLUMN z TYPE BIGINT"], "id, s, f, k", since=3, filters=("z = 34",)),
    "unknown_add": Change(BASIC, BASIC_ROWS, [update_schema(("addColumn", "u", {"type": "unknown"}))], "id, s, f, NULL", since=3, filters=("u IS NULL",)),
}

DELETES = {1: ("none", "cow"), 2: ("pos", "eq"), 3: ("dv", "eq")}


def build(change, version, deletes):
    def make(w, t):
        properties = COPY_ON_WRITE if deletes == "cow" else MERGE_ON_READ
        w.create(t, change.columns, change.spec, version, {**properties, "write.spark.fanout.enabled": "true", "write.distribution-mode": "none"})
        insert(w, t, "id < 15", change.first)
        if deletes in ("pos", "dv", "eq"):
            w.sql(f"DELETE FROM {t} WHERE id IN (4, 8)") if deletes != "eq" else w.equality_delete(t, ["id"], "SELECT 4 AS id UNION ALL SELECT 8")
        for step in change.changes:
            step(w, t) if callable(step) else w.sql(f"ALTER TABLE {t} {step}")
        insert(w, t, "id >= 15 AND id < 30", change.then)
        if deletes in ("pos", "dv", "cow"):
            w.sql(f"DELETE FROM {t} WHERE id IN (2, 3, 17, 26)")
        elif deletes == "eq":
            w.equality_delete(t, ["id"], "SELECT 2 AS id UNION ALL SELECT 17")
            if change.equality:
                keys = ", ".join(change.equality)
                w.equality_delete(t, change.equality, f"SELECT DISTINCT {keys} FROM {t} WHERE id IN (5, 6, 7, 20, 23)")
        insert(w, t, "id >= 30 AND id < 33", change.then)
    return make


def wide(w, t):
    """One table that goes through everything, read at each of its snapshots."""
    w.create(t, COLUMNS_SQL, "bucket(4, id)", 2, MERGE_ON_READ)
    insert(w, t, "id < 10")
    for number, step in enumerate(("RENAME COLUMN s TO s1", "ADD COLUMN n INT FIRST", "ALTER COLUMN f TYPE DOUBLE", "DROP COLUMN b", "RENAME COLUMN k TO s",
                                   "ADD COLUMN b STRUCT<x: INT>", "DROP COLUMN d")):
        w.sql(f"ALTER TABLE {t} {step}")
        names = w.sql(f"SELECT * FROM {t} LIMIT 0").columns
        values = {"n": "id", "s1": "s", "s": "k", "b": "b" if number < 3 else "named_struct('x', id)"}
        listed = ", ".join(values.get(name, name) for name in names)
        insert(w, t, f"id >= {10 + 2 * number} AND id < {12 + 2 * number}", listed)
    w.sql(f"DELETE FROM {t} WHERE id % 3 = 0")


def register():
    for name, change in CHANGES.items():
        for version in range(change.since, 4):
            kinds = DELETES[version]
            # Beyond the first kind, only where an evolved column is itself a key of the deletes, or a rotation says so.
            for deletes in kinds if change.equality else kinds[:1] if len(name) % 2 else kinds[1:]:
                add(f"evolution.v{version}_{name}_{deletes}", build(change, version, deletes), version=version,
                    features=(f"v{version}", f"evolution:{name}", f"delete:{deletes}"), filters=change.filters,
                    travel=version == 2 or name in ("add", "rename", "drop", "reorder"))
    add("evolution.v2_everything", wide, features=("v2", "evolution:everything"), travel=True, filters=("s = 42", "s1 = 'abc'"))


register()
