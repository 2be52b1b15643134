"""Other readers for compare.py: what they get wrong shows which tables are hard, and what they get right that the oracle is."""


class Skipped(Exception):
    pass


def pyiceberg(case):
    from pyiceberg.table import StaticTable

    if case.keys() & {"filter", "select", "metadata_table", "unsupported"} or "timestamp_ms" in case.get("at", {}):
        raise Skipped
    table = StaticTable.from_metadata(case["metadata_file"])
    at = case.get("at", {})
    snapshot = at.get("snapshot_id")
    if "ref" in at:
        snapshot = table.metadata.refs[at["ref"]].snapshot_id
    return table.scan(snapshot_id=snapshot).to_arrow()


_connection = None


def duckdb(case):
    import duckdb as engine
    import duckdb_extension_iceberg  # noqa: F401  (brings the extension's file)

    global _connection
    if _connection is None:
        _connection = engine.connect(config={"threads": 2, "allow_unsigned_extensions": "true"})
        load(_connection)
        _connection.execute("SET TimeZone = 'UTC'")
    if case.keys() & {"select", "metadata_table", "unsupported"} or "ref" in case.get("at", {}):
        raise Skipped
    at = case.get("at", {})
    options = f", snapshot_from_id = {at['snapshot_id']}" if "snapshot_id" in at else ""
    if "timestamp_ms" in at:
        options = f", snapshot_from_timestamp = epoch_ms({at['timestamp_ms']})"
    where = f" WHERE {case['filter']}" if "filter" in case else ""
    try:
        return scan(case, options, where)
    except engine.FatalException:
        _connection = None  # it refuses everything from now on
        raise


def scan(case, options, where):
    return _connection.execute(f"SELECT * FROM iceberg_scan('{case['metadata_file']}'{options}){where}").to_arrow_table()


def load(connection):
    """Iceberg's extension from the package's own folder: nothing is downloaded."""
    from importlib.resources import files
    from pathlib import Path

    for name in ("httpfs", "avro", "iceberg"):
        try:
            package = files(f"duckdb_extension_{name}")
        except ModuleNotFoundError:
            continue
        found = sorted(Path(str(package)).rglob(f"{name}.duckdb_extension*"))
        connection.execute(f"LOAD '{found[0]}'")


READERS = {"pyiceberg": pyiceberg, "duckdb": duckdb}
__all__ = ["READERS", "Skipped", "load"]
