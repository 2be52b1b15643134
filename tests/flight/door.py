"""A `moat serve` with its door for Arrow Flight SQL, and clients of it: pyarrow's Flight with commands put together by hand, and ADBC."""

import base64
import os
import re
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
from protocol import PASSWORD, Server

import pyarrow
from pyarrow import flight

SQL = "type.googleapis.com/arrow.flight.protocol.sql."


def varint(value):
    value &= (1 << 64) - 1
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number, value):
    """One field of a message: bytes or text, or a whole number."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def fields(message):
    """All fields of a message: a list of values for each number."""
    found, at = {}, 0

    def number():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
    while at < len(message):
        tag = number()
        if tag & 7 == 0:
            value = number()
        elif tag & 7 == 1:
            value, at = struct.unpack_from("<q", message, at)[0], at + 8
        else:
            length = number()
            value, at = message[at:at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


def command(name, body=b""):
    return field(1, SQL + name) + field(2, body)


def bearer(token):
    return flight.FlightCallOptions(headers=[(b"authorization", b"Bearer " + token.encode())])


def basic(user, password):
    return flight.FlightCallOptions(headers=[(b"authorization", b"Basic " + base64.b64encode(f"{user}:{password}".encode()))])


class Door:
    """A client that has signed in."""

    def __init__(self, port, user="amelia", password=PASSWORD, options=None, tls=None, **more):
        scheme = "grpc+tls" if tls else "grpc"
        if tls:
            more["disable_server_verification"] = True
        self.client = flight.FlightClient(f"{scheme}://127.0.0.1:{port}", **more)
        if options is None:
            pair = self.client.authenticate_basic_token(user, password)
            options = flight.FlightCallOptions(headers=[pair])
            self.token = pair[1].decode().removeprefix("Bearer ")
        self.options = options

    def info(self, name, body=b"", options=None):
        return self.client.get_flight_info(flight.FlightDescriptor.for_command(command(name, body)), options or self.options)

    def schema(self, name, body=b""):
        return self.client.get_schema(flight.FlightDescriptor.for_command(command(name, body)), self.options).schema

    def get(self, info, options=None):
        return self.client.do_get(info.endpoints[0].ticket, options or self.options)

    def table(self, name, body=b""):
        return self.get(self.info(name, body)).read_all()

    def query(self, text, transaction=b""):
        return self.table("CommandStatementQuery", field(1, text) + (field(2, transaction) if transaction else b""))

    def rows(self, text, transaction=b""):
        return [tuple(row.values()) for row in self.query(text, transaction).to_pylist()]

    def action(self, name, body=b"", raw=False):
        """Fields of the result, or None."""
        whole = body if raw else command("Action" + name + "Request", body)
        results = list(self.client.do_action(flight.Action(name, whole), self.options))
        if not results:
            return None
        answer = results[0].body.to_pybytes()
        return fields(answer if raw else fields(answer)[2][0])

    def put(self, name, body=b"", table=None):
        """Rows changed, as the server says."""
        descriptor = flight.FlightDescriptor.for_command(command(name, body))
        schema = table.schema if table is not None else pyarrow.schema([])
        writer, reader = self.client.do_put(descriptor, schema, self.options)
        if table is not None:
            writer.write_table(table)
        writer.done_writing()
        answer = reader.read()
        writer.close()
        return None if answer is None else fields(answer.to_pybytes())

    def update(self, text, transaction=b""):
        got = self.put("CommandStatementUpdate", field(1, text) + (field(2, transaction) if transaction else b""))
        value = got.get(1, [0])[0]
        return value - (1 << 64) if value >> 63 else value

    def close(self):
        self.client.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class FlightServer(Server):
    def start(self, *settings):
        super().start("server.http_port=-1", "server.flight_port=0", *settings)
        self.flight_port = int(re.search(r"port (\d+) of", self.process.stdout.readline()).group(1))

    def door(self, *arguments, **options):
        return Door(self.flight_port, *arguments, **options)

    def adbc(self, user="amelia", password=PASSWORD, **options):
        import adbc_driver_flightsql.dbapi
        return adbc_driver_flightsql.dbapi.connect(f"grpc://127.0.0.1:{self.flight_port}", db_kwargs={"username": user, "password": password}, **options)
