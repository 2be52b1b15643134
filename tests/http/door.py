"""A `moat serve` with its door for SQL over HTTP, and a client of it that is nobody's library."""

import base64
import http.client
import json
import os
import re
import socket
import ssl
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../wire"))
from protocol import PASSWORD, Server


def basic(user, password):
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


class WebServer(Server):
    def start(self, *settings):
        super().start("server.http_port=-1", "server.web_port=0", *settings)
        self.web_port = int(re.search(r"port (\d+) of", self.process.stdout.readline()).group(1))
        self.is_tls = any(setting.startswith("server.tls_certificate") for setting in settings)

    def open(self, timeout=60):
        if not self.is_tls:
            return http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=timeout)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.web_port, timeout=timeout, context=context)

    def ask(self, method, path, body=None, user="amelia", password=PASSWORD, connection=None, headers=None):
        """Status, body (parsed if it is JSON), answer."""
        fields = {"Authorization": basic(user, password)} if user else {}
        if isinstance(body, dict):
            body, fields["Content-Type"] = json.dumps(body), "application/json"
        fields.update(headers or {})
        own = connection or self.open()
        own.request(method, path, body, fields)
        answer = own.getresponse()
        data = answer.read()
        if connection is None:
            own.close()
        is_json = (answer.getheader("Content-Type") or "").startswith("application/json") and not answer.getheader("Content-Encoding")
        return answer.status, json.loads(data) if is_json and data else data, answer

    def sql_over(self, text, *parameters, status=200, **options):
        """The answer to a statement, which must have this status."""
        body = {"sql": text, "parameters": list(parameters), **options.pop("body", {})}
        got, document, _ = self.ask("POST", "/v1/sql", body, **options)
        assert got == status, (got, document)
        return document

    def raw(self, data, wait=10):
        """What comes back for these bytes until the server closes or is silent."""
        with socket.create_connection(("127.0.0.1", self.web_port), wait) as client:
            client.sendall(data)
            client.settimeout(60)
            got = b""
            try:
                while part := client.recv(65536):
                    got += part
                    client.settimeout(wait)
            except (TimeoutError, ConnectionError):
                pass
            return got
