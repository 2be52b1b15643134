"""Rows in one text form, whoever read them. The rules are in README.md, "The canonical form".

Arrow arrays go in together with the Iceberg type of the column, because readers map Iceberg's types to Arrow's differently (a uuid
is a string to Spark, 16 bytes to others) and the text must not depend on that.
"""

import datetime
import decimal
import json
import re
import uuid

import pyarrow as pa
import pyarrow.types as pat

EPOCH_YEAR_CYCLE = 146097  # days in 400 years of the proleptic Gregorian calendar


def date_text(days):
    """Proleptic Gregorian, any year: Python's own dates stop at year 1 and 9999."""
    days += 719468
    era, day_of_era = divmod(days, EPOCH_YEAR_CYCLE)
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36524 - day_of_era // 146096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = shifted_month + 3 if shifted_month < 10 else shifted_month - 9
    year = year_of_era + era * 400 + (month <= 2)
    sign = "-" if year < 0 else "+" if year > 9999 else ""
    return f"{sign}{abs(year):04d}-{month:02d}-{day:02d}"


def time_text(units, per_second):
    seconds, fraction = divmod(units, per_second)
    digits = len(str(per_second)) - 1
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}.{fraction:0{digits}d}"


def timestamp_text(units, per_second, is_utc):
    days, rest = divmod(units, 86400 * per_second)
    return f"{date_text(days)}T{time_text(rest, per_second)}{'Z' if is_utc else ''}"


def float_text(value, digits):
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return f"%.{digits}g" % value


def decimal_text(value, scale):
    with decimal.localcontext() as context:
        context.prec = 80
        return f"{value.quantize(decimal.Decimal(1).scaleb(-scale)):.{scale}f}"


def uuid_text(value):
    return str(value if isinstance(value, uuid.UUID) else uuid.UUID(bytes=value) if isinstance(value, bytes) else uuid.UUID(value))


UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
TIMESTAMPS = {"timestamp": (10**6, False), "timestamptz": (10**6, True), "timestamp_ns": (10**9, False), "timestamptz_ns": (10**9, True)}


def raw_integers(array):
    """The integers behind a date, time or timestamp array."""
    width = pa.int32() if array.type.bit_width == 32 else pa.int64()
    return array.view(width).to_pylist()


def rescale(value, from_unit, to_unit):
    if value is None:
        return None
    assert to_unit >= from_unit or value * to_unit % from_unit == 0, "finer than its Iceberg type"
    return value * to_unit // from_unit


def primitive(array, name):
    """Values of one primitive type as what json.dumps shall print."""
    if pat.is_null(array.type):
        return [None] * len(array)
    if name == "date":
        values = raw_integers(array if pat.is_date32(array.type) else array.cast(pa.date32()))
        return [None if v is None else date_text(v) for v in values]
    if name == "time":
        unit = UNITS[array.type.unit]
        return [None if v is None else time_text(rescale(v, unit, 10**6), 10**6) for v in raw_integers(array)]
    if name in TIMESTAMPS:
        per_second, is_utc = TIMESTAMPS[name]
        assert (array.type.tz is not None) == is_utc, f"{array.type} for {name}"
        unit = UNITS[array.type.unit]
        return [None if v is None else timestamp_text(rescale(v, unit, per_second), per_second, is_utc) for v in raw_integers(array)]

    values = array.to_pylist()
    if name in ("float", "double"):
        digits = 9 if name == "float" else 17
        return [None if v is None else float_text(v, digits) for v in values]
    if match := re.fullmatch(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)", name):
        return [None if v is None else decimal_text(v, int(match.group(2))) for v in values]
    if name == "uuid":
        return [None if v is None else uuid_text(v) for v in values]
    if name == "binary" or name.startswith(("fixed[", "geometry", "geography")):
        return [None if v is None else v.hex() for v in values]
    if name == "variant":
        return [None if v is None else json.loads(v) for v in values]
    if name not in ("boolean", "int", "long", "string", "unknown"):
        raise ValueError(f"no canonical form for the type {name}")
    kinds = {"boolean": bool, "int": int, "long": int, "string": str, "unknown": type(None)}
    for value in values:
        assert value is None or type(value) is kinds[name], f"{value!r} for {name}"
    return values


def values(array, type_):
    """Canonical values of an Arrow array whose Iceberg type is `type_` (a name, or the spec's JSON for a nested type)."""
    if isinstance(array, pa.ChunkedArray):
        array = array.combine_chunks()
        if isinstance(array, pa.ChunkedArray):
            array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if pat.is_dictionary(array.type):
        array = array.dictionary_decode()
    if isinstance(type_, str):
        return primitive(array, type_)

    present = array.is_valid().to_pylist()
    if type_["type"] == "struct":
        names = [field["name"] for field in type_["fields"]]
        assert [array.type.field(i).name for i in range(array.type.num_fields)] == names, f"fields {array.type} for {names}"
        if not type_["fields"]:  # no engine but Spark has a struct of nothing
            return [{} for _ in range(len(array))]
        children = [values(child, field["type"]) for child, field in zip(array.flatten(), type_["fields"])]
        return [dict(zip(names, row)) if there else None for there, row in zip(present, zip(*children))] if names else [{}] * len(array)
    if type_["type"] == "list":
        items, bounds = values(array.values, type_["element"]), array.offsets.to_pylist()
        return [items[a:b] if there else None for there, a, b in zip(present, bounds, bounds[1:])]
    assert type_["type"] == "map", type_
    keys, items, bounds = values(array.keys, type_["key"]), values(array.items, type_["value"]), array.offsets.to_pylist()
    pairs = [[key, item] for key, item in zip(keys, items)]
    return [sorted(pairs[a:b], key=lambda pair: text(pair[0])) if there else None for there, a, b in zip(present, bounds, bounds[1:])]


def text(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def lines(table, columns):
    """Sorted lines, one a row. `columns` is [{"name", "type"}] in order; the Arrow table must have exactly these."""
    names = [column["name"] for column in columns]
    if table.column_names != names:
        raise ValueError(f"columns {table.column_names}, expected {names}")
    arrays = [values(table.column(i), column["type"]) for i, column in enumerate(columns)]
    return sorted((text(dict(zip(names, row))) for row in zip(*arrays)), key=str.encode)
