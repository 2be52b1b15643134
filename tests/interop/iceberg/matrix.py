"""The matrix: each entry makes one table. Families live in matrix_*.py; this holds what they share."""

from dataclasses import dataclass, field
from typing import Callable

TABLES = {}


@dataclass
class Table:
    name: str                     # namespace.leaf
    build: Callable               # build(world, identifier)
    catalog: str = "hadoop"
    version: int = 2
    features: tuple = ()
    filters: tuple = ()           # SQL conditions that Spark and Moat both understand
    travel: bool = False          # also read each old snapshot
    columns: str = "*"            # what to select, where Spark cannot hand over a column as it is
    reader: str = "spark"         # or pyiceberg: for types that Spark has not
    twin: str = ""                # another table with the same rows, where no reader can do this one
    oracle: tuple = ()            # (case, query that does not touch the table): what its rows must be where Spark cannot read it
    times: bool = False           # also read by timestamp
    lineage: bool = False         # also _row_id and _last_updated_sequence_number
    metadata: bool = False        # also the metadata tables
    unsupported: str = ""         # what a reader of Parquet alone must refuse by name
    writer: str = "spark"
    order: int = field(default=0)

    @property
    def identifier(self):
        return f"{self.catalog}.{self.name}"


def add(name, build, **facts):
    assert name not in TABLES, name
    TABLES[name] = Table(name, build, order=len(TABLES), **facts)


MERGE_ON_READ = {f"write.{kind}.mode": "merge-on-read" for kind in ("delete", "update", "merge")}
COPY_ON_WRITE = {f"write.{kind}.mode": "copy-on-write" for kind in ("delete", "update", "merge")}


def modes(version):
    """Version 1 has no delete files."""
    return MERGE_ON_READ if version > 1 else COPY_ON_WRITE


def insert(w, t, where, columns="*", source="base"):
    w.sql(f"INSERT INTO {t} SELECT {columns} FROM {source} WHERE {where} ORDER BY id")
