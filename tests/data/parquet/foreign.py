"""Writes foreign.parquet, which the engine itself would not write: bounds of floats that leave NaN out, UUIDs and texts that
the file calls bytes. Made with pyarrow 26.0.1: python3 foreign.py foreign.parquet"""
import sys

import pyarrow as pa
import pyarrow.parquet as pq


def field(name, kind, field_id):
    return pa.field(name, kind, metadata={b"PARQUET:field_id": str(field_id).encode()})


schema = pa.schema([field("d", pa.float64(), 1), field("u", pa.binary(16), 2), field("b", pa.binary(), 3)])
table = pa.table([pa.array([1.0, float("nan"), 2.0]),
                  pa.array([bytes(range(16)), b"\x80" + b"\0" * 15, None], pa.binary(16)),
                  pa.array([b"abc", "\u00fc".encode(), b"\xff"])], schema=schema)
pq.write_table(table, sys.argv[1], compression="none", use_dictionary=False, store_schema=False)
