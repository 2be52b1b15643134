"""A server of HTTP/2 by hand that answers calls of Flight SQL with whatever bytes a test wants."""

import socket
import struct
import threading

HEAD = (("content-type", "application/grpc"),)
DATA, HEADERS, RST, SETTINGS, PING, GOAWAY, WINDOW, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
ENDS, WHOLE = 1, 4


def frame(kind, flags, stream, body=b""):
    return struct.pack("!I", len(body))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + body


def fields(*pairs):
    """HPACK: literals without indexing."""
    out = b""
    for name, value in pairs:
        for text in (name, value):
            length = len(text.encode())
            prefix = bytes([length]) if length < 127 else b"\x7f" + varint(length - 127)
            out += (b"\x00" if text is name else b"") + prefix + text.encode()
    return out


def head(*pairs, status="200", flags=WHOLE):
    return frame(HEADERS, flags, 1, fields((":status", status), *(pairs or HEAD)))


def trailers(*pairs):
    return frame(HEADERS, WHOLE | ENDS, 1, fields(*pairs))


def data(body, flags=0):
    return b"".join(frame(DATA, flags if at + 16384 >= len(body) else 0, 1, body[at:at + 16384]) for at in range(0, max(len(body), 1), 16384))


def varint(value):
    out = b""
    while value >= 0x80:
        out, value = out + bytes([value & 0x7F | 0x80]), value >> 7
    return out + bytes([value])


def field(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def message(body):
    return b"\0" + struct.pack("!I", len(body)) + body


def answer(*messages, status="0", more=()):
    """A whole answer: its head, messages and status."""
    return head() + b"".join(data(message(one)) for one in messages) + trailers(("grpc-status", status), *more)


def info(ticket=b"t", *locations):
    return field(3, field(1, field(1, ticket)) + b"".join(field(2, field(1, place)) for place in locations))


class Hostile:
    """`answers` by the method's name: bytes, a list of them (None: silence, b"": a close), or what gives one each time. "": any other."""

    def __init__(self, answers):
        self.answers, self.asked = answers, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def exactly(self, client, count):
        got = b""
        while len(got) < count:
            part = client.recv(count - len(got))
            if not part:
                raise ConnectionError
            got += part
        return got

    def serve(self, client):
        try:
            client.settimeout(60)
            self.exactly(client, 24)
            client.sendall(frame(SETTINGS, 0, 0))
            path = b""
            while True:
                size, kind, flags, _ = struct.unpack("!IBBI", b"\0" + self.exactly(client, 9))
                body = self.exactly(client, size)
                if kind == SETTINGS and not flags & 1:
                    client.sendall(frame(SETTINGS, 1, 0))
                path = body if kind == HEADERS else path
                if kind in (HEADERS, DATA) and flags & ENDS:
                    self.reply(client, path)
        except OSError:
            client.close()

    def reply(self, client, path):
        # Paths may be compressed by HPACK's Huffman code: methods are told apart by how long theirs is.
        name = next((name for name in self.answers if name and self.is_path(path, name)), "")
        self.asked.append(name)
        parts = self.answers[name]() if callable(self.answers[name]) else self.answers[name]
        for part in [parts] if isinstance(parts, bytes) else parts:
            if part is None:
                return
            if part:
                client.sendall(part)
            else:
                client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def is_path(block, name):
        text = "/arrow.flight.protocol.FlightService/" + name
        return text.encode() in block or huffman(text) in block

    def close(self):
        self.listener.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


# RFC 7541, appendix B, of what paths are made of.
CODES = {"/": (0x18, 6), ".": (0x17, 6), "A": (0x21, 6), "D": (0x5f, 7), "F": (0x61, 7), "G": (0x62, 7), "H": (0x63, 7), "I": (0x64, 7), "P": (0x6b, 7),
         "S": (0x6e, 7), "a": (0x3, 5), "c": (0x4, 5), "e": (0x5, 5), "f": (0x25, 6), "g": (0x26, 6), "h": (0x27, 6), "i": (0x6, 5), "k": (0x75, 7),
         "l": (0x28, 6), "n": (0x2a, 6), "o": (0x7, 5), "p": (0x2b, 6), "r": (0x2c, 6), "s": (0x8, 5), "t": (0x9, 5), "u": (0x2d, 6), "v": (0x77, 7),
         "w": (0x78, 7), "d": (0x24, 6)}


def huffman(text):
    bits = "".join(format(code, f"0{length}b") for code, length in (CODES[letter] for letter in text))
    bits += "1" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")
