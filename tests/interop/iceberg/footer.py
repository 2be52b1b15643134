"""The footer of a Parquet file by Thrift's compact protocol, read here alone: what a library makes of it is another matter. Structs are
dicts of field numbers of parquet.thrift; nothing is passed over, and the bytes must end where the struct does."""

import struct
from pathlib import Path

STOP, TRUE, FALSE, I8, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(13)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        assert self.at + count <= len(self.data), "the footer ends too soon"
        self.at += count
        return self.data[self.at - count:self.at]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
            shift += 7

    def number(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def value(self, kind, is_element=False):
        if kind in (TRUE, FALSE):
            return self.take(1)[0] == TRUE if is_element else kind == TRUE
        if kind == I8:
            return self.take(1)[0]
        if kind in (I16, I32, I64):
            return self.number()
        if kind == DOUBLE:
            return struct.unpack("<d", self.take(8))[0]
        if kind == BINARY:
            return self.take(self.varint())
        if kind in (LIST, SET):
            head = self.take(1)[0]
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15, True) for _ in range(count)]
        assert kind == STRUCT, f"a field of kind {kind}"
        return self.struct()

    def struct(self):
        fields, last = {}, 0
        while True:
            head = self.take(1)[0]
            if head == STOP:
                return fields
            last = last + (head >> 4) if head >> 4 else self.number()
            assert last not in fields, f"field {last} is there twice"
            fields[last] = self.value(head & 15)


ALGORITHMS = ("spherical", "vincenty", "thomas", "andoyer", "karney")


def logical_type(element):
    """(name, crs, algorithm) of a geospatial column; None of another."""
    for number, fields in element.get(10, {}).items():
        if number == 17:
            assert set(fields) <= {1}
            return "geometry", fields.get(1, b"OGC:CRS84").decode(), None
        if number == 18:
            assert set(fields) <= {1, 2}
            return "geography", fields.get(1, b"OGC:CRS84").decode(), ALGORITHMS[fields.get(2, 0)]
    return None


def read(file):
    """FileMetaData, and its leaves: [(SchemaElement, [ColumnMetaData of each row group])]."""
    data = Path(file).read_bytes()
    assert data[:4] == data[-4:] == b"PAR1", file
    length = int.from_bytes(data[-8:-4], "little")
    reader = Reader(data[len(data) - 8 - length:-8])
    metadata = reader.struct()
    assert reader.at == length, "there are bytes behind the footer's end"
    leaves = [element for element in metadata[2] if not element.get(5)]
    groups = [[chunk[3] for chunk in group[1]] for group in metadata.get(4, [])]
    assert all(len(group) == len(leaves) for group in groups), "a row group has other columns than the schema"
    assert sum(group[3] for group in metadata.get(4, [])) == metadata[3], "rows of the groups are not those of the file"
    return metadata, [(leaf, [group[i] for group in groups]) for i, leaf in enumerate(leaves)]
