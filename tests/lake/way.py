"""The way to a catalog or a store: an HTTP proxy that passes everything on as it is, and does to it what a test says."""

import base64
import http.client
import json
import random
import socket
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EXPIRED = b'<?xml version="1.0"?><Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>'


class Way:
    """`url` is where clients go. What it does is set by attributes, at any time:

    fault     None, or what happens to answers: kill (no answer), hang, slow (a byte a moment), 5xx, truncate, corrupt, garbage
    share     of all answers that it happens to, 0 to 1
    delay_s   before each answer to a GET
    life_s    how long a session token of the store is good from when it was made; 0 is for ever
    """

    def __init__(self, target, seed=0):
        self.fault, self.share, self.delay_s, self.life_s = None, 1.0, 0, 0
        self.expired, self.asked, self.struck, self.sessions = 0, 0, 0, set()
        self.random, self.lock = random.Random(seed), threading.Lock()
        self.target = urllib.parse.urlsplit(target).netloc
        way = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self):
                try:
                    super().handle_one_request()
                except (ConnectionError, http.client.HTTPException, TimeoutError):
                    self.close_connection = True

            def pass_on(self):
                way.pass_on(self)

            do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = pass_on

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads, request_queue_size = True, 128

            def handle_error(self, *_):
                pass  # a client that went away

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def is_over(self, headers):
        token = headers.get("x-amz-security-token")
        if token is None:
            return False
        claims = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
        self.sessions.add(claims["sub"])
        return self.life_s > 0 and time.time() > claims["iat"] + self.life_s

    def strikes(self):
        with self.lock:
            self.asked += 1
            hit = self.fault is not None and self.random.random() < self.share
            self.struck += hit
            return self.fault if hit else None

    def pass_on(self, client):
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        if self.is_over(client.headers):
            self.expired += 1
            return self.answer(client, 400, [("Content-Type", "application/xml")], EXPIRED)
        fault = self.strikes()
        if fault == "kill":
            client.connection.shutdown(socket.SHUT_RDWR)
            client.close_connection = True
            return None
        if fault == "hang":
            time.sleep(30)
            client.close_connection = True
            return None
        if fault == "5xx":
            return self.answer(client, self.random.choice([500, 502, 503, 504]), [], b"")
        if fault == "garbage":
            return self.answer(client, 200, [("Content-Type", "application/json")], bytes(self.random.randrange(256) for _ in range(300)))
        if client.command == "GET" and self.delay_s:
            time.sleep(self.delay_s)
        inner = http.client.HTTPConnection(self.target, timeout=120)
        try:
            inner.putrequest(client.command, client.path, skip_host=True, skip_accept_encoding=True)
            for name, value in client.headers.items():
                if name.lower() not in ("connection", "keep-alive"):
                    inner.putheader(name, value)
            inner.endheaders(body or None)
            answer = inner.getresponse()
            data = answer.read()
        finally:
            inner.close()
        headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in ("connection", "transfer-encoding", "content-length", "date", "server")]
        length = answer.getheader("Content-Length") if client.command == "HEAD" else None
        return self.answer(client, answer.status, headers, data, fault, length)

    def answer(self, client, status, headers, data, fault=None, length=None):
        client.send_response_only(status)
        for name, value in headers:
            client.send_header(name, value)
        client.send_header("Content-Length", length or len(data))
        client.end_headers()
        if client.command == "HEAD" or not data:
            return
        if fault == "truncate":
            client.wfile.write(data[:len(data) // 2])
            client.connection.shutdown(socket.SHUT_RDWR)
            client.close_connection = True
        elif fault == "corrupt":
            spot = self.random.randrange(len(data))
            client.wfile.write(data[:spot] + bytes([data[spot] ^ 0x40]) + data[spot + 1:])
        elif fault == "slow":
            for byte in data:
                client.wfile.write(bytes([byte]))
                time.sleep(0.25)
        else:
            client.wfile.write(data)
