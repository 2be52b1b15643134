#!/usr/bin/env python3
"""Copy Iceberg tables to another place, rewriting the absolute paths inside. Python's standard library is all it needs.

    relocate.py SOURCE FROM TO

SOURCE holds the files that were once under FROM; TO gets them, with every FROM inside replaced by TO. Both paths must be of one
length, because Parquet's position deletes and Puffin footers are patched in place (README.md, "Moving tables"). Manifests and
manifest lists are decoded and written again, as their blocks are compressed and lists tell the length of manifests.
A table with a manifest that cannot be decompressed here (zstandard) is left out, and named.
"""

import gzip
import io
import json
import shutil
import sys
import zlib
from pathlib import Path

MAGIC = b"Obj\x01"


class Unsupported(Exception):
    pass


# ---- Avro: just enough to read and write any record again

def read_long(stream):
    value, shift = 0, 0
    while True:
        byte = stream.read(1)[0]
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return (value >> 1) ^ -(value & 1)


def write_long(value):
    value = (value << 1) ^ (value >> 63)
    result = bytearray()
    while value & ~0x7F:
        result.append((value & 0x7F) | 0x80)
        value >>= 7
    result.append(value)
    return bytes(result)


def read_bytes(stream):
    return stream.read(read_long(stream))


def write_bytes(value):
    return write_long(len(value)) + value


def blocks(stream):
    """Item numbers of an array or a map."""
    while count := read_long(stream):
        if count < 0:
            read_long(stream)  # the block's length in bytes
            count = -count
        yield from range(count)


FIXED_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


def copy_value(schema, names, stream, change):
    """The bytes of one value, changed: change(field name, kind, value) is asked about each long, string and bytes."""
    return _copy(schema, names, stream, change, "")


def _copy(schema, names, stream, change, field):
    if isinstance(schema, list):
        branch = read_long(stream)
        return write_long(branch) + _copy(schema[branch], names, stream, change, field)
    kind = schema["type"] if isinstance(schema, dict) else schema
    if isinstance(kind, (dict, list)):
        return _copy(kind, names, stream, change, field)
    if kind in names:
        return _copy(names[kind], names, stream, change, field)
    if kind in FIXED_SIZES:
        return stream.read(FIXED_SIZES[kind])
    if kind in ("int", "long", "enum"):
        return write_long(change(field, "long", read_long(stream)))
    if kind in ("string", "bytes"):
        return write_bytes(change(field, kind, read_bytes(stream)))
    if kind == "fixed":
        names[schema["name"]] = schema
        return stream.read(schema["size"])
    if kind == "record":
        names[schema["name"]] = schema
        return b"".join(_copy(f["type"], names, stream, change, f["name"]) for f in schema["fields"])
    if kind == "array":
        items = [_copy(schema["items"], names, stream, change, field) for _ in blocks(stream)]
    else:
        items = [write_bytes(read_bytes(stream)) + _copy(schema["values"], names, stream, change, field) for _ in blocks(stream)]
    return (write_long(len(items)) + b"".join(items) if items else b"") + write_long(0)


def snappy(block):
    """Raw snappy, decompressed: a length, then literals and copies."""
    stream, result = io.BytesIO(block), bytearray()
    length = shift = 0
    while True:
        byte = stream.read(1)[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    while tag := stream.read(1):
        tag, kind = tag[0], tag[0] & 3
        if kind == 0:
            count = tag >> 2
            if count >= 60:
                count = int.from_bytes(stream.read(count - 59), "little")
            result += stream.read(count + 1)
            continue
        if kind == 1:
            count, offset = 4 + (tag >> 2 & 7), tag >> 5 << 8 | stream.read(1)[0]
        else:
            count, offset = 1 + (tag >> 2), int.from_bytes(stream.read(2 * kind - 2), "little")
        for _ in range(count):
            result.append(result[-offset])
    assert len(result) == length
    return bytes(result)


def rewrite_avro(data, change):
    stream = io.BytesIO(data)
    if stream.read(4) != MAGIC:
        raise ValueError("not an Avro file")
    header = {}
    for _ in blocks(stream):
        key = read_bytes(stream)
        header[key] = read_bytes(stream)
    sync = stream.read(16)
    codec = header.get(b"avro.codec", b"null")
    schema = json.loads(header[b"schema"] if b"schema" in header and b"avro.schema" not in header else header[b"avro.schema"])
    out = []
    while stream.tell() < len(data):
        count, block = read_long(stream), read_bytes(stream)
        assert stream.read(16) == sync
        if codec == b"deflate":
            block = zlib.decompress(block, -15)
        elif codec == b"snappy":
            block = snappy(block[:-4])
        elif codec != b"null":
            raise Unsupported(f"codec {codec.decode()}")
        records, names = io.BytesIO(block), {}
        block = b"".join(copy_value(schema, names, records, change) for _ in range(count))
        if codec == b"deflate":
            packer = zlib.compressobj(9, zlib.DEFLATED, -15)
            block = packer.compress(block) + packer.flush()
        out.append(write_long(count) + write_bytes(block) + sync)
    if codec == b"snappy":
        header[b"avro.codec"] = b"null"
    head = write_long(len(header)) + b"".join(write_bytes(k) + write_bytes(v) for k, v in header.items()) + write_long(0)
    return MAGIC + head + sync + b"".join(out)


# ---- files

class Mover:
    def __init__(self, source, before, after):
        self.source, self.before, self.after = Path(source), before.encode(), after.encode()
        if len(self.before) != len(self.after):
            raise SystemExit(f"relocate: {before} and {after} differ in length")
        self.lengths = {}  # new path of a manifest, as bytes: its new length

    def change(self, field, kind, value):
        if kind == "long":
            return self.pending.pop() if field == "manifest_length" and self.pending else value
        value = value.replace(self.before, self.after)
        if field == "manifest_path":
            self.pending = [self.lengths[value.split(b":", 1)[1].replace(b"///", b"/") if value.startswith(b"file:") else value]]
        return value

    def rewrite(self, path, data):
        """The new contents of one file."""
        if path.suffix == ".avro":
            self.pending = []
            return rewrite_avro(data, self.change)
        if data[:2] == b"\x1f\x8b":
            return gzip.compress(gzip.decompress(data).replace(self.before, self.after), mtime=0)
        return data.replace(self.before, self.after)

    def move(self):
        files = [path for path in sorted(self.source.rglob("*")) if path.is_file()]
        # Manifests before the lists that tell their lengths.
        files.sort(key=lambda path: path.name.startswith("snap-") and path.suffix == ".avro")
        left_out = set()
        for path in files:
            target = Path(self.after.decode()) / path.relative_to(self.source)
            if any(parent in left_out for parent in path.parents):
                continue
            try:
                data = self.rewrite(path, path.read_bytes())
            except Unsupported as problem:
                table = path.parent.parent
                left_out.add(table)
                shutil.rmtree(Path(self.after.decode()) / table.relative_to(self.source), ignore_errors=True)
                print(f"left out {table.relative_to(self.source)}: {problem}")
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            if path.suffix == ".avro":
                self.lengths[str(target).encode()] = len(data)
        self.forget(left_out)

    def forget(self, tables):
        """Takes the cases of tables that were left out from the index."""
        index = Path(self.after.decode()) / "index.jsonl"
        names = {".".join(table.parts[-2:]) for table in tables}
        if names and index.exists():
            kept = [line for line in index.read_text().splitlines(True) if json.loads(line)["table"] not in names]
            index.write_text("".join(kept))


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__.strip())
    Mover(*sys.argv[1:]).move()


if __name__ == "__main__":
    main()
