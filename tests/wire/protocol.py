"""The protocol by hand, for what no driver would send; and a `moat serve` of one's own."""

import base64
import hashlib
import hmac
import linecache
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import tempfile
import time
import traceback

import processes

PASSWORD = "correct horse"


class Server:
    """A warehouse in a fresh folder, served on a free port of loopback."""

    def __init__(self, moat, *settings, setup="", environment=None, stderr=None):
        self.moat, self.folder = os.path.abspath(moat), tempfile.mkdtemp(prefix="moat-wire-")
        self.environment = {**os.environ, "HOME": self.folder, **(environment or {})}
        self.sql(f"CREATE USER amelia PASSWORD '{PASSWORD}'; CREATE USER nopassword; {setup}", init=True)
        self.stderr = stderr  # a file for the program's log
        self.start(*settings)

    def sql(self, text, init=False):
        base = [self.moat, "--warehouse", self.folder + "/warehouse"]
        if init:
            subprocess.run(base + ["-q", "init"], check=True, env=self.environment)
        return subprocess.run(base + ["--format", "csv", "-c", text], check=True, env=self.environment,
                              capture_output=True, text=True).stdout

    def start(self, *settings):
        self.settings = settings
        command = [self.moat, "--warehouse", self.folder + "/warehouse"]
        log = open(self.stderr, "ab") if self.stderr else None
        for setting in ("server.pg_port=0", "server.web_port=-1", "server.flight_port=-1", "log.level=error") + settings:
            command += ["--set", setting]
        self.process = subprocess.Popen(command + ["serve"], stdout=subprocess.PIPE, stderr=log, env=self.environment, text=True)
        line = self.process.stdout.readline()
        self.port = int(re.search(r":(\d+),", line).group(1))

    def stop(self, seconds=60):
        """Exit code after SIGTERM."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(seconds)

    def close(self):
        try:
            code = self.stop()
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = "it hangs"
        shutil.rmtree(self.folder, ignore_errors=True)
        assert code == 0, f"the server ended with {code}"

    def resident(self):
        """Bytes of memory that the process holds."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def work(self):
        """Processor time of the engine hosts, in ticks of the clock, also of those that ended."""
        return sum(processes.times(self.process.pid)[2:]) + sum(map(processes.processor_ticks, processes.children(self.process.pid)))

    def is_quiet(self):
        """Whether no thread of an engine host has anything to do, for a while."""
        before = self.work()
        for _ in range(10):
            if any(map(processes.is_runnable, processes.children(self.process.pid))):
                return False
            time.sleep(0.03)
        return self.work() - before < 3

    def begin(self, client, statement):
        """Sends what goes on for long, and waits until a host has been at it for a while."""
        before = self.work()
        client.send(message("Q", text(statement)))
        eventually(lambda: self.work() >= before + 20)

    def connect(self, **options):
        return Client(self.port, **options)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if exception[0] is None:
            self.close()
        else:
            self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)


class Refused(Exception):
    """An error that the server sent, by its SQLSTATE."""

    def __init__(self, fields):
        super().__init__(f"{fields.get('C')}: {fields.get('M')}")
        self.fields, self.code = fields, fields.get("C")


def startup(version=(3, 0), **parameters):
    body = struct.pack("!HH", *version)
    for name, value in parameters.items():
        body += name.encode() + b"\0" + value.encode() + b"\0"
    return struct.pack("!I", len(body) + 5) + body + b"\0"


def message(kind, body=b""):
    return kind.encode() + struct.pack("!I", len(body) + 4) + body


def text(*values):
    return b"".join(value.encode() + b"\0" for value in values)


def parse(name, statement, *types):
    return message("P", text(name, statement) + struct.pack(f"!H{len(types)}I", len(types), *types))


def bind(portal, statement, *values, binary=(), results=()):
    body = text(portal, statement) + struct.pack(f"!H{len(binary)}H", len(binary), *binary) + struct.pack("!H", len(values))
    for value in values:
        data = value if isinstance(value, bytes) else None if value is None else str(value).encode()
        body += struct.pack("!i", -1) if data is None else struct.pack("!i", len(data)) + data
    return message("B", body + struct.pack(f"!H{len(results)}H", len(results), *results))


def execute(portal="", rows=0):
    return message("E", text(portal) + struct.pack("!I", rows))


def describe(kind, name=""):
    return message("D", kind.encode() + text(name))


SYNC, FLUSH = message("S"), message("H")


def fields_of(body):
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


class Client:
    def __init__(self, port, user="amelia", password=PASSWORD, login=True, version=(3, 0), tls=None, alpn=None, **parameters):
        self.socket = socket.create_connection(("127.0.0.1", port), 120)  # for what never comes
        self.parameters, self.key, self.versions = {}, None, None
        if tls == "direct":
            self.encrypt(alpn)
        elif tls:
            self.socket.sendall(struct.pack("!II", 8, 80877103))
            assert self.socket.recv(1) == b"S"
            self.encrypt(alpn)
        if login:
            self.login(user, password, version, parameters)

    def encrypt(self, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        if alpn:
            context.set_alpn_protocols([alpn])
        self.socket = context.wrap_socket(self.socket)

    def exactly(self, count):
        data = b""
        while len(data) < count:
            part = self.socket.recv(count - len(data))
            if not part:
                raise ConnectionError("the server closed the connection")
            data += part
        return data

    def read(self):
        kind = self.exactly(1).decode()
        return kind, self.exactly(struct.unpack("!I", self.exactly(4))[0] - 4)

    def send(self, *messages):
        self.socket.sendall(b"".join(messages))

    def until(self, wanted):
        """Messages up to the first of that type."""
        seen = []
        while not seen or seen[-1][0] != wanted:
            seen.append(self.read())
            if wanted == "Z" and seen[-1][0] == "E" and seen[-1][1].startswith(b"SFATAL"):
                raise Refused(fields_of(seen[-1][1]))  # nothing comes after it
        return seen

    def challenge(self, user, version=(3, 0), parameters=None):
        """Starts a login; gives the server's first SCRAM message."""
        self.send(startup(version, user=user, **({"database": "moat"} | (parameters or {}))))
        kind, body = self.read()
        if kind == "v":
            self.versions = body
            kind, body = self.read()
        self.expect_auth(kind, body, 10)
        self.mechanisms = body[4:].strip(b"\0").split(b"\0")
        self.first = "n=,r=" + base64.b64encode(os.urandom(18)).decode()
        first = ("n,," + self.first).encode()
        self.send(message("p", b"SCRAM-SHA-256\0" + struct.pack("!I", len(first)) + first))
        kind, body = self.read()
        self.expect_auth(kind, body, 11)
        return body[4:].decode()

    def expect_auth(self, kind, body, code):
        if kind == "E":
            raise Refused(fields_of(body))
        assert kind == "R" and struct.unpack("!I", body[:4])[0] == code, (kind, body)

    def prove(self, challenge, password):
        """Sends the proof; gives what the server has to say to be believed."""
        nonce, salt, rounds = (part[2:] for part in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        final = f"c=biws,r={nonce}"
        signed = f"{self.first},{challenge},{final}".encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), signed, "sha256")
        proof = base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature))).decode()
        self.send(message("p", f"{final},p={proof}".encode()))
        server_key = hmac.digest(salted, b"Server Key", "sha256")
        return base64.b64encode(hmac.digest(server_key, signed, "sha256")).decode()

    def proved(self, wanted):
        kind, body = self.read()
        self.expect_auth(kind, body, 12)
        assert body[4:].decode() == "v=" + wanted, "the server does not know the password"
        self.welcomed()

    def login(self, user, password, version=(3, 0), parameters=None):
        self.proved(self.prove(self.challenge(user, version, parameters), password))

    def welcomed(self):
        """What the server tells a client that is in."""
        kind = None
        while kind != "Z":
            kind, body = self.read()
            if kind == "S":
                name, value = body.split(b"\0")[:2]
                self.parameters[name.decode()] = value.decode()
            elif kind == "K":
                self.key = body
            elif kind == "E":
                raise Refused(fields_of(body))

    def login_secret(self, user, secret, **parameters):
        """A password, token or key as it is; the server must ask for one."""
        self.send(startup(user=user, database="moat", **parameters))
        self.expect_auth(*self.read(), 3)
        self.send(message("p", secret.encode() + b"\0"))
        self.expect_auth(*self.read(), 0)
        self.welcomed()

    def login_oauth(self, user, token, authzid="", **parameters):
        """SASL OAUTHBEARER; gives what the server answers to a token that it will not have."""
        self.send(startup(user=user, database="moat", **parameters))
        kind, body = self.read()
        self.expect_auth(kind, body, 10)
        self.mechanisms = body[4:].strip(b"\0").split(b"\0")
        auth = f"auth=Bearer {token}" if token else "auth="
        first = f"n,{authzid},\x01{auth}\x01\x01".encode()
        self.send(message("p", b"OAUTHBEARER\0" + struct.pack("!I", len(first)) + first))
        kind, body = self.read()
        if kind == "R" and struct.unpack("!I", body[:4])[0] == 11:
            self.send(message("p", b"\x01"))
            kind, words = self.read()
            assert kind == "E", (kind, words)
            return body[4:].decode(), Refused(fields_of(words))
        self.expect_auth(kind, body, 0)
        self.welcomed()
        return None

    def query(self, statement):
        """Rows of the simple protocol, as lists of texts; raises the error if there is one."""
        self.send(message("Q", text(statement)))
        return self.rows(self.until("Z"))

    def tag(self, statement):
        """What the command is said to have done: "INSERT 0 3"."""
        self.query(statement)
        return self.tags[-1]

    def rows(self, messages):
        rows, self.tags, self.status = [], [], None
        failed = None
        for kind, body in messages:
            if kind == "D":
                rows.append(row_of(body))
            elif kind == "C":
                self.tags.append(body[:-1].decode())
            elif kind == "E":
                failed = Refused(fields_of(body))
            elif kind == "Z":
                self.status = body.decode()
        if failed:
            raise failed
        return rows

    def cancel(self, port, key=None):
        key = key or self.key
        with socket.create_connection(("127.0.0.1", port), 30) as other:
            other.sendall(struct.pack("!II", len(key) + 8, 80877102) + key)
            assert other.recv(1) == b""

    def is_closed(self, seconds=60):
        """True once the server has closed the connection, whatever it said before."""
        self.socket.settimeout(seconds)
        try:
            while self.socket.recv(65536):
                pass
            return True
        except ConnectionError:
            return True
        except TimeoutError:
            return False

    def last_words(self, seconds=60):
        """SQLSTATE of the error before the end."""
        self.socket.settimeout(seconds)
        kind, body = self.read()
        assert kind == "E", (kind, body)
        assert self.is_closed(seconds), "an error, but the connection stays"
        return fields_of(body)["C"]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


def row_of(body):
    count, at, row = struct.unpack("!H", body[:2])[0], 2, []
    for _ in range(count):
        size = struct.unpack("!i", body[at:at + 4])[0]
        at += 4
        row.append(None if size < 0 else body[at:at + size].decode(errors="replace"))
        at += max(size, 0)
    return row


def refused(code, function, *arguments):
    try:
        function(*arguments)
    except Refused as error:
        assert error.code == code, f"expected {code}, got {error}"
        return error.fields
    raise AssertionError(f"expected {code}, nothing was refused")


def eventually(condition, seconds=60):
    """Waits until it is so. The limit is for what never comes: that a machine is busy is no fault."""
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, f"it did not come true in {seconds} s"
        time.sleep(0.05)


def why(error):
    """What is needed to understand it from a log alone: the lines of tests/ that it came through, and what the names of the last one stood for."""
    lines, last = [f"{type(error).__name__}: {error}"], None
    for frame, number in traceback.walk_tb(error.__traceback__):
        path = frame.f_code.co_filename
        if "/tests/" in path and frame.f_code not in (run.__code__, eventually.__code__):
            last = frame, linecache.getline(path, number).strip()
            lines.append(f"    {path.rpartition('/tests/')[2]}:{number}: {last[1]}")
    if last:
        names = dict.fromkeys(re.findall(r"[A-Za-z_]\w*", last[1]))
        values = [(name, repr(last[0].f_locals[name])) for name in names if name in last[0].f_locals]
        lines += [f"        {name} = {value[:300]}" for name, value in values if " at 0x" not in value]
    return "\n".join(lines)


def run(cases, names, skipped=0):
    """Runs functions by name, each with what it prints; ends with "N passed, N failed", and how many more are skipped, which the caller has named."""
    failed = 0
    for case in cases:
        if names and case.__name__ not in names:
            continue
        try:
            case()
            print(f"ok      {case.__name__}", flush=True)
        except Exception as error:  # each case by itself
            failed += 1
            print(f"FAILED  {case.__name__}: {why(error)}", flush=True)
    count = len([case for case in cases if not names or case.__name__ in names])
    print(f"{count - failed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0
