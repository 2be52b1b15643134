"""What a table must give: cases, each one query's rows in canonical form with the columns' types, kept as files."""

import hashlib
import json

import canonical

NAME_KEYS = ("id", "name", "type", "element", "key", "value", "fields", "element-id", "key-id", "value-id", "required")


def plain_type(type_):
    """A type from schema JSON without ids and flags: names only."""
    if isinstance(type_, str):
        return type_
    kind = type_["type"]
    if kind == "struct":
        return {"type": kind, "fields": [{"name": f["name"], "type": plain_type(f["type"])} for f in type_["fields"]]}
    if kind == "list":
        return {"type": kind, "element": plain_type(type_["element"])}
    return {"type": kind, "key": plain_type(type_["key"]), "value": plain_type(type_["value"])}


def columns_of(schema):
    return [{"name": field["name"], "type": plain_type(field["type"])} for field in schema["fields"]]


class Writer:
    """Writes cases below root/expected and one line a case into root/index.jsonl."""

    def __init__(self, root):
        self.folder = root / "expected"
        self.index = open(root / "index.jsonl", "a", encoding="utf-8")
        self.count = 0

    def add(self, table, case, arrow, columns, reader, **facts):
        rows = canonical.lines(arrow, columns)
        body = "".join(f"{row}\n" for row in rows).encode()
        folder = self.folder / table
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{case}.jsonl").write_bytes(body)
        head = {"table": table, "case": case, "reader": reader, **facts, "columns": columns, "row_count": len(rows),
                "sha256": hashlib.sha256(body).hexdigest()}
        (folder / f"{case}.json").write_text(json.dumps(head, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self.index.write(json.dumps({**head, "rows_file": f"expected/{table}/{case}.jsonl"}, ensure_ascii=False) + "\n")
        self.index.flush()
        self.count += 1
