#!/usr/bin/env python3
"""Hostile bytes over real sockets to a real server: random, mutated, truncated, huge, slow and out of order.

hostile_test.py MOAT [MESSAGES]     MESSAGES defaults to 2,000; under sanitizers the program itself finds what is misused or leaked

The server must answer with whole messages and known SQLSTATEs, end what is no protocol, go on serving others, take no memory for it, and
end well. MOAT_SEED repeats a run.
"""

import os
import random
import socket
import struct
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from protocol import (FLUSH, SYNC, Refused, Server, bind, describe, eventually, execute, fields_of, message, parse, run, startup, text)

MOAT = sys.argv[1]
MESSAGES = int(sys.argv[2]) if len(sys.argv) > 2 else 2000
SEED = int(os.environ.get("MOAT_SEED", random.randrange(2**32)))
THREADS = 4
SETTINGS = ("server.message_bytes_max=256KiB", "server.message_timeout=5s", "server.login_timeout=5s", "server.logins_max=64",
            "server.connections_max=200", "login.account_tries=100000", "login.address_tries=100000", "log.level=off")
GOOD = [parse("s", "SELECT $1"), parse("", "SELECT $1::INTEGER + 1", 23), bind("", "s", "x"), bind("p", "s", None, results=(1,)),
        bind("", "", struct.pack("!i", 5), binary=(1,)), describe("S", "s"), describe("P"), execute("", 1), execute("p", 0), SYNC, FLUSH,
        message("Q", text("SELECT 1")), message("Q", text("SELECT 1; SELECT 'two'; SELECT nope")), message("Q", text("BEGIN")),
        message("Q", text("DECLARE c CURSOR FOR SELECT * FROM range(100)")), message("Q", text("FETCH 3 FROM c")), message("Q", text("ROLLBACK")),
        message("Q", text("COPY (SELECT range FROM range(10)) TO STDOUT (FORMAT binary)")), message("Q", text("COPY t FROM STDIN")),
        message("Q", text("CREATE TEMP TABLE t (a INTEGER, b VARCHAR)")), message("Q", text("COPY t FROM STDIN CSV; SELECT 1")), message("d", b'1,"x\n'),
        parse("", "COPY t FROM STDIN (FORMAT binary)"), message("d", b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0\0\2"),
        message("Q", text("SET application_name = 'x'")), message("C", b"Ss\0"), message("C", b"Pp\0"), message("d", b"x"), message("c"),
        message("f", b"why\0"), message("H"), message("F", b"\0" * 12), message("p", b"SCRAM-SHA-256\0"), message("X")]
STARTS = [startup(user="amelia", database="moat"), startup((3, 2), user="amelia"), startup((3, 9), user="amelia", **{"_pq_.x": "y"}),
          struct.pack("!II", 8, 80877103), struct.pack("!II", 8, 80877104), struct.pack("!IIII", 16, 80877102, 1, 2)]
LENGTHS = [0, 1, 3, 4, 5, 2**16, 2**18 + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1]
# What a message of a client may lead to; never XX000, which says that Moat is wrong.
CLASSES = ("08", "0A", "0L", "22", "23", "25", "26", "28", "34", "3B", "3D", "42", "53", "54", "55", "57")


def mutate(dice, data):
    data = bytearray(data)
    for _ in range(dice.randrange(1, 4)):
        what = dice.randrange(7)
        at = dice.randrange(len(data)) if data else 0
        if what == 0 and data:
            data[at] ^= 1 << dice.randrange(8)
        elif what == 1 and data:
            data[at] = dice.randrange(256)
        elif what == 2:
            data[at:at] = dice.randbytes(dice.randrange(1, 40))
        elif what == 3:
            del data[at:at + dice.randrange(1, 10)]
        elif what == 4 and len(data) >= 5:
            data[1:5] = struct.pack("!I", dice.choice(LENGTHS))
        elif what == 5:
            data = data[:at]
        else:
            data += data[:at]
    return bytes(data)


def noise(dice):
    """One hostile message."""
    kind = dice.randrange(10)
    if kind < 4:
        return dice.choice(GOOD)
    if kind < 8:
        return mutate(dice, dice.choice(GOOD))
    if kind == 8:
        return message(chr(dice.randrange(128)), dice.randbytes(dice.randrange(60)))
    return dice.randbytes(dice.randrange(1, 60))


def check_answer(data):
    """Whole messages but for the last, which may be cut where we stopped to read; the SQLSTATEs of errors."""
    codes = []
    while len(data) >= 5:
        kind, size = data[:1], struct.unpack("!I", data[1:5])[0]
        assert kind in b"RSKZEN123tTDdHGCIcnsvA" and 4 <= size < 1 << 24, f"no message: {data[:40]!r}"
        if len(data) < size + 1:
            break
        if kind == b"E":
            codes.append(fields_of(data[5:size + 1])["C"])
            assert codes[-1][:2] in CLASSES, fields_of(data[5:size + 1])
        data = data[size + 1:]
    return codes


def listen(client, seconds):
    """What comes until it is quiet, or closed."""
    data = b""
    client.settimeout(seconds)
    try:
        while part := client.recv(65536):
            data += part
    except OSError:
        pass
    return data


class Attacker(threading.Thread):
    def __init__(self, server, seed, count):
        super().__init__()
        self.server, self.dice, self.left, self.failure = server, random.Random(seed), count, None

    def run(self):
        try:
            while self.left > 0:
                self.left -= self.one()
        except Exception as error:  # told by who waits for us
            self.failure = error

    def one(self):
        """A connection; gives the number of messages sent."""
        dice = self.dice
        if dice.randrange(3) == 0:
            return self.stranger()
        try:
            client = self.server.connect()
        except (Refused, ConnectionError, TimeoutError):
            return 0
        count = dice.randrange(1, 60)
        data = b"".join(noise(dice) for _ in range(count))
        self.talk(client.socket, data, b"")
        return count

    def stranger(self):
        """Before the login."""
        dice = self.dice
        count = dice.randrange(1, 5)
        data = dice.choice(STARTS) if dice.randrange(2) else mutate(dice, dice.choice(STARTS))
        for _ in range(count - 1):
            data += noise(dice) if dice.randrange(2) else dice.choice(STARTS)
        try:
            client = socket.create_connection(("127.0.0.1", self.server.port), 10)
        except OSError:
            return 0
        self.talk(client, data, b"SNv")
        return count

    def talk(self, client, data, single):
        dice = self.dice
        try:
            if dice.randrange(4) == 0:  # in pieces
                for at in range(0, len(data), 1 + len(data) // 8):
                    client.sendall(data[at:at + 1 + len(data) // 8])
                    time.sleep(0.001)
            else:
                client.sendall(data)
        except OSError:
            pass
        if dice.randrange(3):
            answer = listen(client, 0.05)
            while answer[:1] and answer[:1] in single and answer[1:2] != b"\0":  # answers to requests for encryption are one byte
                answer = answer[1:]
            check_answer(answer)
        client.close()


def is_well(server):
    with server.connect() as client:
        return client.query("SELECT 1") == [["1"]] and client.query("SELECT count(*) FROM range(10)") == [["10"]]


def random_messages_do_no_harm():
    print(f"seed {SEED}, {MESSAGES} messages")
    with Server(MOAT, *SETTINGS) as server:
        assert is_well(server)
        before = server.resident()
        attackers = [Attacker(server, SEED + i, MESSAGES // THREADS) for i in range(THREADS)]
        for attacker in attackers:
            attacker.start()
        while any(attacker.is_alive() for attacker in attackers):
            assert server.process.poll() is None, "the server is gone"
            eventually(lambda: is_well(server), 60)  # others are served meanwhile
            time.sleep(0.5)
        for attacker in attackers:
            if attacker.failure:
                raise attacker.failure
        eventually(lambda: is_well(server), 60)
        grown = server.resident() - before
        print(f"grown by {grown >> 20} MiB")
        assert "san" in os.path.abspath(MOAT) or grown < 100 << 20


def slow_and_silent_ones_are_ended():
    """Bytes that trickle, messages that never end, and none at all: each has its time, and no thread."""
    settings = ("server.login_timeout=5s", "server.message_timeout=2s", "server.idle_timeout=3s", "log.level=off")
    with Server(MOAT, *settings) as server:
        begun, half = time.monotonic(), []
        for i in range(30):
            half.append(server.connect())
            half[-1].send((message("Q", text("SELECT 1"))[:-4], parse("s", "SELECT 1")[:7], b"Q\0\0")[i % 3])
        silent = [server.connect() for _ in range(30)]
        strangers = [socket.create_connection(("127.0.0.1", server.port), 60) for _ in range(30)]
        for at in range(8):
            for client in strangers:
                try:
                    client.sendall(STARTS[0][at:at + 1])
                except OSError:
                    pass
            assert is_well(server)
            time.sleep(0.2)
        for client in half:
            assert client.last_words() in ("08P01", "57P05")
        for client in silent:
            assert client.last_words() == "57P05"
        for client in strangers:
            assert check_answer(listen(client, 60)) in (["57014"], [])
        assert time.monotonic() - begun < 200
        assert is_well(server)


def lengths_that_lie():
    with Server(MOAT, *SETTINGS) as server:
        before = server.resident()
        for length in LENGTHS:
            for kind in "QPBDECdX":
                client = server.connect()
                client.send(kind.encode() + struct.pack("!I", length) + b"\0" * 64)
                check_answer(listen(client.socket, 0.05))
                client.close()
        assert is_well(server) and server.resident() - before < 100 << 20


if __name__ == "__main__":
    sys.exit(run([lengths_that_lie, slow_and_silent_ones_are_ended, random_messages_do_no_harm], sys.argv[3:]))
