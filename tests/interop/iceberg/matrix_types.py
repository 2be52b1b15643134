"""Types that Spark cannot write or read (time, nanoseconds), or writes as another (uuid, fixed), written by Iceberg's own library from
JSON values and read by PyIceberg; and variant, written by Spark."""

import json

from matrix import MERGE_ON_READ, add

UUIDS = ["f79c3e09-677c-4bbd-a479-3f349cb785e7", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff", None]
TIMES = ["00:00:00", "23:59:59.999999", "22:31:08.000001", None, "12:00:00"]
NANOS = ["1970-01-01T00:00:00.000000000", "1969-12-31T23:59:59.999999999", "2017-11-16T22:31:08.000001001", None, "2020-02-29T12:00:00.5",
         "1677-09-21T00:12:43.145224193", "2262-04-11T23:47:16.854775807", "2017-11-16T22:00:00.000000001"]
FIXED = ["000000", "ffffff", "0102fe", None]
SMALL_DECIMALS = ["0", "-1", "9999", None, "-9999"]
WIDE_DECIMALS = ["0.0000000000", "-1.0000000001", "9999999999999999999999999999.9999999999", None, "-9999999999999999999999999999.9999999999"]
MIDDLE_DECIMALS = ["0.0000", "-0.0001", "99999999999999.9999", "14.2000", None]

# name: (type, values, least format version)
TYPES = {
    "boolean": ("boolean", [True, False, None], 1),
    "int": ("int", [0, -2147483648, 2147483647, None, 34], 1),
    "long": ("long", [0, -9223372036854775808, 9223372036854775807, None], 1),
    "float": ("float", [0.0, -2.25, 3.4028234663852886e38, None], 1),
    "double": ("double", [0.0, 0.1, 1.7976931348623157e308, None], 1),
    "decimal4": ("decimal(4, 0)", SMALL_DECIMALS, 1),
    "decimal18": ("decimal(18, 4)", MIDDLE_DECIMALS, 1),
    "decimal38": ("decimal(38, 10)", WIDE_DECIMALS, 1),
    "decimal30": ("decimal(30, 10)", ["0.0000000000", "-1.0000000001", "99999.9999999999", None, "-12345678901234567890.0987654321"], 1),
    "date": ("date", ["1970-01-01", "0001-01-01", "9999-12-31", None], 1),
    "time": ("time", TIMES, 1),
    "timestamp": ("timestamp", ["1970-01-01T00:00:00", "0001-01-01T00:00:00.000001", None, "2017-11-16T22:31:08.123456"], 1),
    "timestamptz": ("timestamptz", ["1970-01-01T00:00:00+00:00", "9999-12-31T23:59:59.999999+00:00", None], 1),
    "string": ("string", ["", "äöü€😀", "line\nbreak\ttab \"quote\" \\ \u0001", None, "x" * 300], 1),
    "uuid": ("uuid", UUIDS, 1),
    "fixed": ("fixed[3]", FIXED, 1),
    "binary": ("binary", ["", "00", "ff" * 40, None], 1),
    "timestamp_ns": ("timestamp_ns", NANOS, 3),
    "timestamptz_ns": ("timestamptz_ns", [v and v + "+00:00" for v in NANOS], 3),
}
PARTITIONS = {
    "time": ("identity", "bucket[4]"),
    "uuid": ("identity", "bucket[4]"),
    "fixed": ("identity", "bucket[4]"),
    "decimal38": ("identity", "bucket[4]"),
    "decimal30": ("truncate[100]",),
    "decimal4": ("identity", "bucket[4]"),
    "timestamp_ns": ("bucket[4]", "year", "month", "day", "hour", "identity"),
    "timestamptz_ns": ("bucket[4]", "year", "month", "day", "hour"),
}


def row(names, i):
    """Row i as single-value JSON by field id; a NULL is an absent member."""
    result = {"1": i}
    for number, name in enumerate(names, 2):
        values = TYPES[name][1]
        value = values[i % len(values)]
        if value is not None:
            result[str(number)] = value
    return result


def schema(names):
    fields = [{"id": 1, "name": "id", "type": "int", "required": True}]
    fields += [{"id": i, "name": f"c_{name}", "type": TYPES[name][0], "required": False} for i, name in enumerate(names, 2)]
    return {"type": "struct", "schema-id": 0, "fields": fields}


def typed(version, names, transform=None):
    def make(w, t):
        spec = transform and {"spec-id": 0, "fields": [{"name": "part", "transform": transform, "source-id": 2, "field-id": 1000}]}
        w.create_json(t, schema(names), spec, version, MERGE_ON_READ if version > 1 else {})
        w.append_rows(t, [row(names, i) for i in range(12)])
        w.append_rows(t, [row(names, i) for i in range(12, 17)])
    return make


def nested(version):
    """Each type as a struct's child, a list's element and a map's value."""
    def make(w, t):
        names = [name for name, (_, _, since) in TYPES.items() if since <= version]
        fields = [{"id": 1, "name": "id", "type": "int", "required": True}]
        for i, name in enumerate(names):
            type_, first = TYPES[name][0], 2 + 7 * i
            fields += [{"id": first, "name": f"s_{name}", "required": False,
                        "type": {"type": "struct", "fields": [{"id": first + 1, "name": "v", "required": False, "type": type_}]}},
                       {"id": first + 2, "name": f"l_{name}", "required": False,
                        "type": {"type": "list", "element-id": first + 3, "element-required": False, "element": type_}},
                       {"id": first + 4, "name": f"m_{name}", "required": False,
                        "type": {"type": "map", "key-id": first + 5, "key": "string", "value-id": first + 6, "value-required": False, "value": type_}}]
        w.create_json(t, {"type": "struct", "schema-id": 0, "fields": fields}, None, version)
        # Creation numbers the fields anew.
        given = {f["name"]: f for f in json.loads(w.ice.SchemaParser.toJson(w.load(t).schema()))["fields"]}
        rows = [{"1": i} for i in range(6)]
        for name in names:
            there = [v for v in TYPES[name][1] if v is not None] * 3
            struct, list_, map_ = (given[f"{kind}_{name}"] for kind in "slm")
            for i, one in enumerate(rows[1:], 1):
                one[str(struct["id"])] = {str(struct["type"]["fields"][0]["id"]): there[i]}
                one[str(list_["id"])] = there[:i % 3]
                one[str(map_["id"])] = {"keys": [f"k{j}" for j in range(i % 3)], "values": there[:i % 3]}
        w.append_rows(t, rows)
    return make


def variant(properties=()):
    return lambda w, t: variants(w, t, properties)


def variants(w, t, properties):
    w.create(t, "id INT, v VARIANT", "", 3, {**MERGE_ON_READ, **dict(properties)})
    texts = ['{"a":1,"b":[true,null,"x"],"c":{"d":1.5}}', "[]", "{}", "null", '"text"', "-9223372036854775808", "1e300", "12.34", "true", '{"ä":"€"}']
    listed = ", ".join(f"({i}, '{text}')" for i, text in enumerate(texts))
    w.sql(f"INSERT INTO {t} SELECT id, parse_json(v) FROM VALUES {listed} AS x(id, v)")
    w.sql(f"INSERT INTO {t} VALUES (100, NULL)")
    w.sql(f"DELETE FROM {t} WHERE id = 2")


def shredded(w, t):
    """Fields in columns of their own where their types agree, in the value itself where they do not; then rows that have none of them."""
    w.create(t, "id INT, v VARIANT", "", 3, {**MERGE_ON_READ, "write.parquet.shred-variants": "true",
                                            # Iceberg's vectorised reader of 1.12 cannot read what it wrote.
                                            "read.parquet.vectorization.enabled": "false"})
    rows = ", ".join(f"""({i}, '{{"a":{i},"b":"text {i}","c":{{"d":{i}.5,"e":[{i},null,"x"]}},"m":{i if i % 3 else '"other"'}}}')""" for i in range(40))
    w.sql(f"INSERT INTO {t} SELECT id, parse_json(v) FROM VALUES {rows} AS x(id, v)")
    w.sql(f"DELETE FROM {t} WHERE id = 7")
    variants_rows = ", ".join(f"({100 + i}, '{text}')" for i, text in enumerate(['{"a":"no number"}', '{"b":"only","z":true}', "{}"]))
    w.sql(f"INSERT INTO {t} SELECT id, parse_json(v) FROM VALUES {variants_rows} AS x(id, v)")
    w.sql(f"INSERT INTO {t} VALUES (200, NULL)")


def geo(w, t):
    fields = [{"id": 1, "name": "id", "type": "int", "required": False}, {"id": 2, "name": "g", "type": "geometry", "required": False},
              {"id": 3, "name": "h", "type": "geography(OGC:CRS84, spherical)", "required": False}]
    w.create_json(t, {"type": "struct", "schema-id": 0, "fields": fields}, None, 3)


def promoted(w, t):
    """date to timestamp (v3): the library refuses to commit it, so the schema is put in by hand; the rows must be midnights."""
    w.create(t, "id INT, d DATE", "", 3)
    w.sql(f"INSERT INTO {t} SELECT id, d FROM base WHERE id < 10")
    operations = w.load(t).operations()
    before = operations.current()
    changed = {"type": "struct", "schema-id": 1, "fields": [{"id": 1, "name": "id", "type": "int", "required": False}, {"id": 2, "name": "d", "type": "timestamp", "required": False}]}
    operations.commit(before, before.updateSchema(w.schema(changed)))
    w.sql(f"INSERT INTO {t} SELECT id, tn FROM base WHERE id >= 10 AND id < 15")


def revealed(w, t):
    """unknown to int (v3), likewise by hand."""
    fields = [{"id": 1, "name": "id", "type": "int", "required": False}, {"id": 2, "name": "u", "type": "unknown", "required": False}]
    w.create_json(t, {"type": "struct", "schema-id": 0, "fields": fields}, None, 3)
    w.sql(f"INSERT INTO {t} SELECT id, NULL FROM base WHERE id < 5")
    operations = w.load(t).operations()
    before = operations.current()
    fields[1]["type"] = "int"
    operations.commit(before, before.updateSchema(w.schema({"type": "struct", "schema-id": 1, "fields": fields})))
    w.sql(f"INSERT INTO {t} SELECT id, id * 2 FROM base WHERE id >= 5 AND id < 9")


def register():
    for version in (1, 2, 3):
        v = f"v{version}"
        names = [name for name, (_, _, since) in TYPES.items() if since <= version]
        add(f"types.{v}_all", typed(version, names), version=version, features=(v, "types:all"), reader="pyiceberg")
        add(f"types.{v}_nested", nested(version), version=version, features=(v, "types:nested"), reader="pyiceberg")
        for name, transforms in PARTITIONS.items():
            if TYPES[name][2] > version or (version == 1 and name not in ("time", "uuid")):
                continue
            for transform in transforms:
                add(f"types.{v}_{name}_{transform.split('[')[0]}", typed(version, [name], transform), version=version,
                    features=(v, f"types:{name}", f"spec:{transform}"),
                    # PyIceberg 0.12 cannot read manifests with a partition value of these two.
                    reader="spark" if (name, transform) == ("fixed", "identity") else "pyiceberg",
                    twin="types.v3_timestamp_ns_month" if (name, transform) == ("timestamp_ns", "identity") else "")
    add("types.v3_variant", variant(), version=3, features=("v3", "types:variant"), columns="id, to_json(v) AS v")
    add("types.v3_variant_shredded", shredded, version=3, features=("v3", "types:variant_shredded"), columns="id, to_json(v) AS v")
    add("types.v3_geo", geo, version=3, features=("v3", "types:geo"), oracle=(("current", "SELECT 1 AS id, NULL AS g, NULL AS h WHERE false", "by hand"),))
    add("types.v3_date_to_timestamp", promoted, version=3, features=("v3", "evolution:date_to_timestamp"),
        oracle=(("current", "SELECT id, CAST(d AS TIMESTAMP_NTZ) AS d FROM base WHERE id < 10 UNION ALL SELECT id, tn FROM base WHERE id >= 10 AND id < 15", "by hand"),))
    add("types.v3_unknown_to_int", revealed, version=3, features=("v3", "evolution:unknown_to_int"),
        oracle=(("current", "SELECT id, CAST(NULL AS INT) AS u FROM base WHERE id < 5 UNION ALL SELECT id, id * 2 FROM base WHERE id >= 5 AND id < 9", "by hand"),))


register()
