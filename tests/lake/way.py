"""The way to a catalog or a store: an HTTP proxy that passes everything on as it is, and does to it what a test says."""

import base64
import functools
import gzip
import http.client
import json
import random
import socket
import ssl
import struct
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EXPIRED = b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>'
ENOUGH_S = 40  # nothing that is endless goes on for longer
BOMB_BYTES = 64 << 20


class Server(ThreadingHTTPServer):
    daemon_threads, request_queue_size = True, 128

    def handle_error(self, *_):
        pass  # a client that went away


class Way:
    """`url` is where clients go. What it does is set by strike(), and by attributes, at any time:

    delay_s   before each answer to a GET
    life_s    how long a session token of the store is good from when it was made; 0 is for ever
    rewrite   pairs of bytes, the one of which stands in bodies for the other
    other     what gives the answer of something else: of the handler, (status, headers, data)
    elsewhere where redirections point
    change    of the headers of a request, before it is passed on
    """

    def __init__(self, target, seed=0, tls=None):
        self.delay_s, self.life_s, self.rewrite, self.other, self.elsewhere, self.change = 0, 0, [], None, None, None
        self.expired, self.sessions = 0, set()
        self.random, self.lock, self.over = random.Random(seed), threading.Lock(), threading.Event()
        self.strike(None)
        self.target = urllib.parse.urlsplit(target).netloc
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (OSError, http.client.HTTPException):
                    self.close_connection = True

            def pass_on(self):
                way.pass_on(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server.server_port
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.over.set()
        self.server.shutdown()
        self.server.server_close()

    def strike(self, fault, where="", method="", skip=0, times=1 << 30, share=1.0, spot=None):
        """From now on `fault`, one of FAULTS or a status, happens to requests with a text in their path and of a method (of some share
        of these, after the first few, so often); `spot` is the byte of a body that it happens to. None is that nothing happens."""
        self.over.set()  # whoever hangs goes
        with self.lock:
            self.fault, self.where, self.method, self.skip, self.times, self.share, self.spot = fault, where, method, skip, times, share, spot
            self.asked, self.struck, self.poured, self.flipped, self.over = 0, 0, 0, 0, threading.Event()

    def strikes(self, client):
        with self.lock:
            if self.fault is None or self.where not in urllib.parse.unquote(client.path) or self.method not in ("", client.command):
                return None
            self.asked += 1
            hit = self.asked > self.skip and self.struck < self.times and self.random.random() < self.share
            self.struck += hit
            return self.fault if hit else None

    def is_over(self, headers):
        token = headers.get("x-amz-security-token")
        if token is None:
            return False
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.sessions.add(claims["sub"])
        return self.life_s > 0 and time.time() > claims["iat"] + self.life_s

    def pass_on(self, client):
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        if self.is_over(client.headers):
            self.expired += 1
            return answer(client, 400, [("Content-Type", "application/xml")], EXPIRED)
        fault, over = self.strikes(client), self.over
        if isinstance(fault, int):
            return answer(client, fault, [], b"")
        if fault is not None:
            return FAULTS[fault](self, client, lambda: self.ask(client, body), over)
        return answer(client, *self.ask(client, body))

    def ask(self, client, body):
        """What the other side says: status, headers, body."""
        if client.command == "GET" and self.delay_s:
            time.sleep(self.delay_s)
        inner = http.client.HTTPConnection(self.target, timeout=120)
        if self.change:
            self.change(client.headers)
        try:
            inner.putrequest(client.command, client.path, skip_host=True, skip_accept_encoding=True)
            for name, value in client.headers.items():
                if name.lower() not in ("connection", "keep-alive"):
                    inner.putheader(name, value)
            inner.endheaders(body or None)
            got = inner.getresponse()
            data = got.read()
        finally:
            inner.close()
        for old, new in self.rewrite:
            data = data.replace(old, new)
        headers = [(name, value) for name, value in got.getheaders() if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")]
        if client.command == "HEAD" and got.getheader("Content-Length"):
            headers.append(("Content-Length", got.getheader("Content-Length")))
        return got.status, headers, data


def begin(client, status, headers, length=None):
    client.send_response_only(status)
    for name, value in headers:
        client.send_header(name, value)
    if length is not None and not any(name == "Content-Length" for name, _ in headers):
        client.send_header("Content-Length", length)
    client.end_headers()


def answer(client, status, headers, data, length=None):
    """`length` is what is said, if that is not so."""
    begin(client, status, headers, len(data) if length is None else length)
    if client.command != "HEAD":
        client.wfile.write(data)


def end(client):
    client.close_connection = True
    try:
        client.wfile.flush()
        client.connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def with_header(headers, wanted, value):
    return [(name, old) for name, old in headers if name.lower() != wanted.lower()] + [(wanted, value)]


def header_of(headers, wanted):
    return next((value for name, value in headers if name.lower() == wanted.lower()), None)


# ---- faults: of the way, the handler, what asks the other side, and what is set when it is over


def kill(_way, client, _ask, _over):
    end(client)


def hang(_way, client, _ask, over):
    over.wait(ENOUGH_S)
    end(client)


def half(client, ask):
    status, headers, data = ask()
    begin(client, status, headers, max(len(data), 2))
    if client.command != "HEAD":
        client.wfile.write(data[:len(data) // 2])


def truncate(_way, client, ask, _over):
    half(client, ask)
    end(client)


def reset(_way, client, ask, _over):
    """As truncate, but the machine says so with RST."""
    half(client, ask)
    client.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close_connection = True


def hang_half(_way, client, ask, over):
    half(client, ask)
    over.wait(ENOUGH_S)
    end(client)


def slow(_way, client, ask, over):
    """A byte a moment, the head of the answer too."""
    status, headers, data = ask()
    lines = [f"{name}: {value}" for name, value in headers + ([] if header_of(headers, "Content-Length") else [("Content-Length", len(data))])]
    whole = "\r\n".join([f"HTTP/1.1 {status} OK", *lines, "", ""]).encode() + (b"" if client.command == "HEAD" else data)
    for byte in whole:
        client.wfile.write(bytes([byte]))
        if over.wait(0.25):
            break
    end(client)


def later(seconds):
    def fault(_way, client, _ask, _over):
        answer(client, 503, [("Retry-After", str(seconds))], b"")
    return fault


def garbage(way, client, _ask, _over):
    answer(client, 200, [("Content-Type", "application/json")], bytes(way.random.randrange(256) for _ in range(300)))


def sign_in_page(_way, client, _ask, _over):
    answer(client, 200, [("Content-Type", "text/html")], b"<html><title>Sign in</title></html>")


def no_http(_way, client, _ask, _over):
    client.wfile.write(b"220 mail.example.com ESMTP\r\n" * 20)
    end(client)


def longer(_way, client, ask, _over):
    """More is said to come than comes."""
    status, headers, data = ask()
    size = int(header_of(headers, "Content-Length") or len(data)) + 7
    answer(client, status, with_header(headers, "Content-Length", str(size)), data)
    end(client)


def shorter(_way, client, ask, _over):
    """Less is said to come: the rest stands where the next answer is looked for."""
    status, headers, data = ask()
    size = int(header_of(headers, "Content-Length") or len(data))
    answer(client, status, with_header(headers, "Content-Length", str(max(size - 7, 0))), data)


def nothing(_way, client, ask, _over):
    status, headers, _ = ask()
    answer(client, status, with_header(headers, "Content-Length", "0"), b"")


def bad_chunk(_way, client, ask, _over):
    status, headers, data = ask()
    begin(client, status, [(name, value) for name, value in headers if name != "Content-Length"] + [("Transfer-Encoding", "chunked")])
    client.wfile.write(b"%x\r\n%s\r\nzz\r\n" % (max(len(data) // 2, 1), data[:max(len(data) // 2, 1)] or b"x"))
    end(client)


def flip(way, client, ask, _over):
    """One bit of the byte `spot` of the object, if the answer has it; of any byte, if none is set."""
    status, headers, data = ask()
    span = header_of(headers, "Content-Range") or "bytes 0-"
    spot = way.random.randrange(len(data) or 1) if way.spot is None else way.spot - int(span.removeprefix("bytes ").split("-")[0])
    if 0 <= spot < len(data):
        data = data[:spot] + bytes([data[spot] ^ 1 << way.random.randrange(8)]) + data[spot + 1:]
        way.flipped += 1
    answer(client, status, headers, data)


def etag(_way, client, ask, _over):
    status, headers, data = ask()
    answer(client, status, with_header(headers, "ETag", '"0123456789abcdef0123456789abcdef"'), data)


def no_etag(_way, client, ask, _over):
    status, headers, data = ask()
    answer(client, status, [(name, value) for name, value in headers if name.lower() != "etag"], data)


def content_range(_way, client, ask, _over):
    """All of it, but said to be of another place."""
    status, headers, data = ask()
    told = header_of(headers, "Content-Range")
    if told:
        span, total = told.removeprefix("bytes ").split("/")
        first, last = map(int, span.split("-"))
        headers = with_header(headers, "Content-Range", f"bytes {first + 1}-{last + 1}/{total}")
    answer(client, status, headers, data)


def shifted(way, client, ask, over):
    """Other bytes of the object than were asked for, and said to be."""
    span = client.headers.get("Range")
    if span:
        first, last = map(int, span.removeprefix("bytes=").split("-"))
        client.headers.replace_header("Range", f"bytes={max(first - 1, 0)}-{max(last - 1, 0)}")
    answer(client, *ask())


def unranged(_way, client, ask, _over):
    """A store that does not know ranges, and says 200 for a part."""
    status, headers, data = ask()
    answer(client, 200 if status == 206 else status, [(name, value) for name, value in headers if name.lower() != "content-range"], data)


def redirect(status):
    def fault(way, client, _ask, _over):
        answer(client, status, [("Location", way.elsewhere + client.path)], b"")
    return fault


def of_another(way, client, _ask, _over):
    status, headers, data = way.other(client)
    answer(client, status, headers, data)


def endless(way, client, ask, over):
    """A body without end."""
    status, headers, data = ask()
    begin(client, status, [(name, value) for name, value in headers if name != "Content-Length"] + [("Transfer-Encoding", "chunked")])
    deadline, part = time.monotonic() + ENOUGH_S, b"x" * 65536
    client.wfile.write(b"%x\r\n%s\r\n" % (max(len(data), 1), data or b"x"))
    while time.monotonic() < deadline and not over.is_set():
        client.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
        way.poured += len(part)
    end(client)


def endless_head(way, client, _ask, over):
    client.send_response_only(200)
    client.flush_headers()
    deadline = time.monotonic() + ENOUGH_S
    while time.monotonic() < deadline and not over.is_set():
        client.wfile.write(b"X-More: " + b"x" * 8000 + b"\r\n")
        way.poured += 8000
    end(client)


def many_interims(way, client, _ask, over):
    deadline = time.monotonic() + ENOUGH_S
    while time.monotonic() < deadline and not over.is_set():
        client.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 100)
        way.poured += 100
    end(client)


@functools.cache
def the_bomb():
    return gzip.compress(b'{"x":"' + b" " * BOMB_BYTES, compresslevel=1)


def bomb(_way, client, _ask, _over):
    """A thousand times what it seems."""
    answer(client, 200, [("Content-Type", "application/json"), ("Content-Encoding", "gzip"), ("ETag", '"0"')], the_bomb())


FAULTS = {
    "kill": kill, "hang": hang, "truncate": truncate, "reset": reset, "hang half": hang_half, "slow": slow, "503, in a second": later(1),
    "503, in a day": later(86400), "garbage": garbage, "a page": sign_in_page, "no HTTP": no_http, "longer": longer, "shorter": shorter,
    "nothing": nothing, "bad chunk": bad_chunk, "flip": flip, "etag": etag, "no etag": no_etag, "content-range": content_range,
    "shifted": shifted, "unranged": unranged, "301": redirect(301), "302": redirect(302), "307": redirect(307), "308": redirect(308),
    "of another": of_another, "endless": endless, "endless head": endless_head, "many interims": many_interims, "bomb": bomb,
}


class Wire:
    """Passes bytes on, below TLS. `fault` is for what the server says: hang, drip (a byte a moment), flip or reset after some bytes."""

    def __init__(self, target):
        self.target = target
        self.strike(None)
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def strike(self, fault, after=0, times=1 << 30):
        self.fault, self.after, self.times, self.struck = fault, after, times, 0

    def close(self):
        self.listener.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self.target))
            threading.Thread(target=self.pump, args=(client, server, False), daemon=True).start()
            threading.Thread(target=self.pump, args=(server, client, True), daemon=True).start()

    def hits(self, data):
        if self.fault is None or self.struck >= self.times:
            return None
        if self.after >= len(data):
            self.after -= len(data)
            return None
        self.struck += 1
        return self.fault

    def pump(self, source, sink, is_server):
        try:
            while data := source.recv(65536):
                fault = self.hits(data) if is_server else None
                if fault == "hang":
                    deadline = time.monotonic() + ENOUGH_S
                    while self.fault == "hang" and time.monotonic() < deadline:
                        time.sleep(0.05)
                    break
                if fault == "reset":
                    sink.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    break
                if fault == "flip":
                    data = data[:self.after] + bytes([data[self.after] ^ 0x40]) + data[self.after + 1:]
                if fault == "drip":
                    for i in range(len(data)):
                        sink.sendall(data[i:i + 1])
                        if self.fault == "drip":
                            time.sleep(0.1)
                else:
                    sink.sendall(data)
        except OSError:
            pass
        for side in (source, sink):
            try:
                side.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        if is_server:
            sink.close()  # with what SO_LINGER says


class Elsewhere:
    """Where nobody should come: what is said to it is kept."""

    def __init__(self):
        self.heard = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client:
                client.settimeout(2)
                try:
                    self.heard.append(client.recv(65536))
                    client.sendall(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                except OSError:
                    self.heard.append(b"")

    def close(self):
        self.listener.close()
