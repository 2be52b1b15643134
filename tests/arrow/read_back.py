#!/usr/bin/env python3
"""Compare what pyarrow reads from a stream with the sample of src/arrow/sample.h, built here by pyarrow alone.

read_back.py FILE    exits 0 if schema and every value agree; prints each difference.
"""

import decimal
import sys

import pyarrow as pa

INT = [("i8", pa.int8(), -(2**7), 2**7 - 1), ("u8", pa.uint8(), 0, 2**8 - 1),
       ("i16", pa.int16(), -(2**15), 2**15 - 1), ("u16", pa.uint16(), 0, 2**16 - 1),
       ("i32", pa.int32(), -(2**31), 2**31 - 1), ("u32", pa.uint32(), 0, 2**32 - 1),
       ("i64", pa.int64(), -(2**63), 2**63 - 1), ("u64", pa.uint64(), 0, 2**64 - 1)]
BYTES = b'\xc3\xa9, "b"\x01'
TEXT = BYTES.decode()
SECOND = 1704067199


def stamps(unit, zone=None):
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    last = SECOND * factor + (0 if unit == "s" else factor // 2) + (1 if unit == "ns" else 0)
    return pa.array([0, -1, None, last], pa.int64()).cast(pa.timestamp(unit, zone))


def expected():
    yield "bool", pa.array([True, False, None, True])
    for name, kind, low, high in INT:
        yield name, pa.array([1, low, None, high], kind)
    yield "f32", pa.array([0.1, -16777216.0, None, 3.4028235e38], pa.float32())
    yield "f64", pa.array([0.1, -1.0, None, 1e300])
    yield "d128", pa.array([decimal.Decimal("1.50"), decimal.Decimal("-0.05"), None, decimal.Decimal("9" * 36 + ".99")], pa.decimal128(38, 2))
    yield "huge", pa.array([decimal.Decimal(1), decimal.Decimal(-5), None, decimal.Decimal("9" * 38)], pa.decimal128(38, 0))
    yield "utf8", pa.array(["a", "", None, TEXT])
    yield "large_utf8", pa.array(["a", "", None, TEXT], pa.large_string())
    yield "binary", pa.array([b"a", b"", None, BYTES], pa.binary())
    yield "fixed_binary", pa.array([b"a\xc3", b"\xa9,", None, b'b"'], pa.binary(2))
    yield "date32", pa.array([0, -719162, None, 19723], pa.int32()).cast(pa.date32())
    yield "time", pa.array([0, 3723000001, None, 86399999999], pa.int64()).cast(pa.time64("us"))
    for unit in ("s", "ms", "us", "ns"):
        yield "ts_" + unit, stamps(unit)
    yield "ts_tz", stamps("us", "UTC")
    yield "ts_offset", stamps("us", "+05:30")
    month_day_nano = [(0, 0, 0), (-14, 3, -3600 * 10**9), None, (1, -1, 1500 * 10**6)]
    yield "interval", pa.array(month_day_nano, pa.month_day_nano_interval())
    lists = [[1, 2], [], None, [None, 4]]
    yield "list", pa.array(lists, pa.list_(pa.int32()))
    yield "large", pa.array(lists, pa.large_list(pa.int32()))
    yield "fixed", pa.array([[1, 2], [None, 4], None, [7, 8]], pa.list_(pa.int32(), 2))
    struct = pa.struct([pa.field("key", pa.string(), nullable=False), pa.field("item", pa.int32())])
    yield "struct", pa.array([{"key": "x", "item": 1}, {"key": "y ", "item": 2}, None, {"key": "zNU", "item": 4}], struct)
    yield "map", pa.array([[("x", 1), ("y ", 2)], [], None, [("", None), ("zNU", 4)]], pa.map_(pa.string(), pa.int32()))
    yield "enum", pa.DictionaryArray.from_arrays(pa.array([1, 0, None, 3], pa.uint8()), ["x", "y ", "", "zNU"])
    yield "null", pa.nulls(4)


def main():
    with pa.ipc.open_stream(sys.argv[1]) as reader:
        batches = list(reader)
    whole, tail, empty = batches
    problems = [] if (whole.num_rows, tail.num_rows, empty.num_rows) == (4, 3, 0) else ["row counts"]
    for batch in batches:
        batch.validate(full=False)
    names = []
    for index, (name, array) in enumerate(expected()):
        names.append(name)
        column = whole.column(index)
        if column.type != array.type:
            problems.append(f"{name}: type {column.type}, expected {array.type}")
        elif not column.equals(array):
            problems.append(f"{name}: {column}, expected {array}")
        elif not tail.column(index).equals(array.slice(1)):
            problems.append(f"{name}, from row 1: {tail.column(index)}, expected {array.slice(1)}")
    if names != whole.schema.names:
        problems.append(f"names {whole.schema.names}")
    print("\n".join(problems) or f"pyarrow {pa.__version__}: {len(names)} columns agree")
    return 1 if problems else 0


sys.exit(main())
