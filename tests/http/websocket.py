"""A client of RFC 6455 by hand, for what no library would send."""

import base64
import hashlib
import json
import os
import socket
import ssl
import struct

from door import basic
from protocol import PASSWORD

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def frame(opcode, payload=b"", final=True, mask=b"abcd", bits=0):
    head = bytes([(0x80 if final else 0) | bits | opcode])
    masked = 0x80 if mask else 0
    if len(payload) < 126:
        head += bytes([masked | len(payload)])
    elif len(payload) < 65536:
        head += bytes([masked | 126]) + struct.pack(">H", len(payload))
    else:
        head += bytes([masked | 127]) + struct.pack(">Q", len(payload))
    if not mask:
        return head + payload
    repeated = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return head + mask + (int.from_bytes(payload, "big") ^ int.from_bytes(repeated, "big")).to_bytes(len(payload), "big")


class Refused(Exception):
    def __init__(self, status, text):
        super().__init__(f"{status}: {text[:500]}")
        self.status = status


class WebSocket:
    def __init__(self, server, user="amelia", path="/v1/ws", password=PASSWORD, timeout=120, leave_out=(), **headers):
        self.socket = socket.create_connection(("127.0.0.1", server.web_port), timeout)
        if server.is_tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        key = base64.b64encode(os.urandom(16))
        fields = {"Host": f"127.0.0.1:{server.web_port}", "Upgrade": "websocket", "Connection": "keep-alive, Upgrade", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": key.decode(), **({"Authorization": basic(user, password)} if user else {}),
                  **{name.replace("_", "-"): value for name, value in headers.items()}}
        lines = [f"GET {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in fields.items() if name not in leave_out]
        self.socket.sendall("\r\n".join(lines).encode() + b"\r\n\r\n")
        self.bytes = b""
        while b"\r\n\r\n" not in self.bytes:
            self.more()
        head, self.bytes = self.bytes.split(b"\r\n\r\n", 1)
        status = int(head.split()[1])
        if status != 101:
            self.close()
            raise Refused(status, (head + self.bytes).decode())
        answer = base64.b64encode(hashlib.sha1(key + MAGIC).digest())
        assert b"Sec-WebSocket-Accept: " + answer in head, head
        self.head = head.decode()

    def more(self):
        part = self.socket.recv(65536)
        if not part:
            raise ConnectionError("closed")
        self.bytes += part

    def exactly(self, count):
        while len(self.bytes) < count:
            self.more()
        part, self.bytes = self.bytes[:count], self.bytes[count:]
        return part

    def read(self):
        """The next frame: opcode, payload."""
        first, second = self.exactly(2)
        assert first & 0x70 == 0 and second & 0x80 == 0, "a server's frame is not masked"
        length = second & 0x7F
        if length > 125:
            length = int.from_bytes(self.exactly(2 if length == 126 else 8), "big")
        return first & 15, self.exactly(length)

    def message(self):
        while True:
            opcode, payload = self.read()
            if opcode == 1:
                return json.loads(payload)
            if opcode == 8:
                raise ConnectionError(f"closed: {payload!r}")

    def send(self, **message):
        self.socket.sendall(frame(1, json.dumps(message).encode()))

    def answer(self, identifier):
        """Columns, rows and the end of one query, others left aside."""
        columns, rows = None, []
        while True:
            got = self.message()
            if got["id"] != identifier:
                continue
            if got["type"] == "started":
                columns = got.get("columns")
            elif got["type"] == "rows":
                rows += got["rows"]
            else:
                return columns, rows, got

    def run(self, identifier, sql, *parameters, **options):
        self.send(type="run", id=identifier, sql=sql, parameters=list(parameters), **options)
        return self.answer(identifier)

    def last_code(self):
        """The code of the close that comes."""
        while True:
            opcode, payload = self.read()
            if opcode == 8:
                self.socket.settimeout(60)
                assert self.bytes == b"" and self.socket.recv(10) == b"", "something came behind the close"
                return struct.unpack(">H", payload[:2])[0] if payload else None

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()
