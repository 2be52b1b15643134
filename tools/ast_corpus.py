#!/usr/bin/env python3
"""Syntax trees as the engine writes them, for the tests of src/sql (which link no engine).

    DUCKDB_ROOT=<folder with libduckdb.so> tools/ast_corpus.py

reads tests/data/ast/*.sql (one statement a line) and writes beside each a .jsonl: the engine's
json_serialize_sql of the same line. Run it again when the engine's version or a statement changes. The corpus of
the fuzz target, tests/corpus/ast, is every fifth tree of statements.jsonl.
"""
import ctypes
import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORPUS_EVERY = 5


class Engine:
    def __init__(self, library):
        self.lib = ctypes.CDLL(str(library))
        self.lib.duckdb_value_varchar.restype = ctypes.c_void_p
        self.lib.duckdb_value_varchar.argtypes = [ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64]
        self.database = ctypes.c_void_p()
        self.connection = ctypes.c_void_p()
        self.lib.duckdb_open(None, ctypes.byref(self.database))
        self.lib.duckdb_connect(self.database, ctypes.byref(self.connection))

    def tree(self, statement):
        result = (ctypes.c_char * 256)()  # larger than duckdb_result
        quoted = statement.replace("'", "''")
        if self.lib.duckdb_query(self.connection, f"SELECT json_serialize_sql('{quoted}')".encode(), result) != 0:
            raise SystemExit(f"the engine refused: {statement}")
        pointer = self.lib.duckdb_value_varchar(result, 0, 0)
        text = ctypes.cast(pointer, ctypes.c_char_p).value.decode()
        self.lib.duckdb_destroy_result(result)
        return text


def main():
    root = os.environ.get("DUCKDB_ROOT")
    found = list(pathlib.Path(root).rglob("libduckdb.so")) if root else []
    if not found:
        sys.exit("set DUCKDB_ROOT to a folder that holds libduckdb.so")
    engine = Engine(found[0])
    data = ROOT / "tests/data/ast"
    for source in sorted(data.glob("*.sql")):
        trees = [engine.tree(line) for line in source.read_text().splitlines()]
        source.with_suffix(".jsonl").write_text("".join(tree + "\n" for tree in trees))
        if source.stem == "statements":
            corpus = ROOT / "tests/corpus/ast"
            corpus.mkdir(parents=True, exist_ok=True)
            for i in range(0, len(trees), CORPUS_EVERY):
                (corpus / f"{i:03}.json").write_text(trees[i])


main()
