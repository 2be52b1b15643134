"""Trino's protocol by hand, for a Trino and for Moat alike: what a session keeps, and an answer as the server gave it."""

import http.client
import json
import urllib.parse

CAPABILITIES = "PARAMETRIC_DATETIME,PATH,SESSION_AUTHORIZATION"


class Session:
    """A client of one server. What the server has it keep (catalog, schema, prepared statements ...) goes out with each statement."""

    def __init__(self, port, fields=None, catalog=None, schema=None):
        self.port, self.fields = port, {"X-Trino-User": "amelia", **(fields or {})}
        self.catalog, self.schema, self.path, self.transaction, self.role = catalog, schema, None, None, None
        self.prepared, self.properties = {}, {}
        self.connection = None

    def headers(self):
        fields = {**self.fields, "X-Trino-Client-Capabilities": CAPABILITIES, "X-Trino-Transaction-Id": self.transaction or "NONE"}
        for name, value in (("Catalog", self.catalog), ("Schema", self.schema), ("Path", self.path), ("Role", self.role)):
            if value:
                fields["X-Trino-" + name] = value
        for name, pairs in (("Prepared-Statement", self.prepared), ("Session", self.properties)):
            if pairs:
                fields["X-Trino-" + name] = ",".join(f"{key}={value}" for key, value in pairs.items())
        return fields

    def ask(self, method, path, body=None):
        for is_last in (False, True):
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
            try:
                self.connection.request(method, path, body, self.headers())
                answer = self.connection.getresponse()
                data = answer.read()
                break
            except (ConnectionError, http.client.HTTPException):
                self.connection = None  # one that the server has closed meanwhile
                if is_last:
                    raise
        assert answer.status == 200, (answer.status, path, data[:500])
        self.keep(answer)
        return json.loads(data)

    def keep(self, answer):
        def field(name):
            return answer.getheader("X-Trino-" + name)
        self.catalog, self.schema = field("Set-Catalog") or self.catalog, field("Set-Schema") or self.schema
        self.path, self.role = field("Set-Path") or self.path, field("Set-Role") or self.role
        if field("Started-Transaction-Id"):
            self.transaction = field("Started-Transaction-Id")
        if field("Clear-Transaction-Id"):
            self.transaction = None
        for name, pairs in (("Added-Prepare", self.prepared), ("Set-Session", self.properties)):
            if field(name):
                key, value = field(name).split("=", 1)
                pairs[key] = value
        for name, pairs in (("Deallocated-Prepare", self.prepared), ("Clear-Session", self.properties)):
            if field(name):
                pairs.pop(field(name), None)

    def run(self, sql):
        """{"columns": [[name, type] ...], "rows": [...]} or {"error": [name, code], "message": text}."""
        document = self.ask("POST", "/v1/statement", sql.encode())
        columns, rows = None, []
        while True:
            columns = document.get("columns") or columns
            rows += document.get("data") or []
            if "error" in document:
                error = document["error"]
                return {"error": [error["errorName"], error["errorCode"]], "message": f"{error.get('sqlState', '')} {error.get('message')}".strip()}
            if "nextUri" not in document:
                break
            document = self.ask("GET", urllib.parse.urlparse(document["nextUri"]).path)
        result = {"columns": [[column["name"], column["type"]] for column in columns or []], "rows": rows}
        for name in ("updateType", "updateCount"):
            if document.get(name) is not None:
                result[name] = document[name]
        return result
