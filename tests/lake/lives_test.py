#!/usr/bin/env python3
"""What is lent lives shorter than a query, and a sign-in that ends takes its sessions and their scans with it.

    lives_test.py MOAT short|long    credentials of 4 s carry a scan of 15 s, or of 60 s one of 5 minutes, in real time

The store is slow, and a proxy before it refuses session tokens that are older than they may be, as a store would.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import stack
import world
from protocol import Refused, refused, run
from way import Way
from world import identity

MOAT, LONG = sys.argv[1], sys.argv[2] == "long"
TABLE = "v2_day_ts_pos_partition"  # of 31 files
LIFE_S, SCAN_S, DELAY_S = (60, 300, 25) if LONG else (4, 15, 1.5)  # files are fetched ahead, four at a time
PATIENT = ("storage.request_timeout=90s", "storage.patience=10m", "engine.threads=1")


def slow(pace=1):
    way.life_s, way.delay_s = LIFE_S * pace, DELAY_S * pace
    lake.gateway.tell(lend={name: {"seconds": LIFE_S * pace} for name in stack.PEOPLE}, endpoint=way.url)
    way.expired = 0
    way.sessions.clear()


def fast():
    way.life_s, way.delay_s = 0, 0


def a_scan_outlives_its_credentials():
    for pace in (1, 2, 4):  # what is busy may hold up a request until what it came with is over: then all is slower
        took, lent = scan(pace)
        if way.expired <= 1:
            break
    assert took > SCAN_S, f"it took {took:.0f} s only"
    assert lent >= took / (LIFE_S * pace), lent
    assert way.expired <= 1, f"{way.expired} requests came with credentials that were over"


def scan(pace):
    """Seconds, and how often something was lent."""
    with stack.served(MOAT, folder, lake, *PATIENT, tables=[table]) as (server, olga), world.sign_in(server, lake.issuer, "bob") as bob:
        lake.gateway.tell(endpoint=way.url)
        statement = f"SELECT id, k, s, d FROM {table} ORDER BY ALL"
        expected = olga_reads(server, olga, statement)
        slow(pace)
        bob.socket.settimeout(None)
        begun = time.monotonic()
        rows = bob.query(statement)
        took = time.monotonic() - begun
        fast()
        assert rows == expected, (len(rows), len(expected))
        catalog, store = lake.catalog_log(), lake.store_log()
        lent = len(way.sessions)
        print(f"        {took:.0f} s, {len(store)} requests to the store with {lent} sessions of {LIFE_S * pace} s, {way.expired} refused as expired", flush=True)
        assert all(line[0] == "bob" for line in catalog + store), (catalog, store)
        assert len({line[1] for line in catalog}) == 1, catalog  # renewals are of this query too
        return took, lent


def olga_reads(server, olga, statement):
    """What the rows are, while nothing is slow; in a server of its own, so that nothing is cached in this one."""
    fast()
    with stack.served(MOAT, folder, lake, tables=[table]) as (other, _):
        lake.gateway.tell(endpoint=way.url)
        with world.sign_in(other, lake.issuer, "anna") as anna:
            rows = anna.query(statement)
    lake.catalog_log()
    lake.store_log()
    return rows


def a_scan_ends_when_nothing_is_lent_any_more():
    """The catalog knows the person no longer while a scan runs: it ends within the life of what was lent, without a row."""
    with stack.served(MOAT, folder, lake, *PATIENT, tables=[table]) as (server, olga), world.sign_in(server, lake.issuer, "bob") as bob:
        for rule in ({"fault": "401"}, {"deny": {"bob": ["/tables/"]}}, {"credentials": {"bob": []}}):
            slow()
            way.delay_s = LIFE_S / 3  # what was fetched for the rule before is cached, and yet the rest takes longer than a life
            bob.socket.settimeout(SCAN_S * 4 + 120)
            bob.send(b"Q" + (len(text := f"SELECT id, k, s, d FROM {table} ORDER BY ALL".encode() + b"\0") + 4).to_bytes(4, "big") + text)
            time.sleep(LIFE_S / 4)
            begun = time.monotonic()
            lake.gateway.tell(**rule)
            try:
                rows = bob.rows(bob.until("Z"))
                raise AssertionError(f"{rule}: {len(rows)} rows")
            except Refused as error:
                took = time.monotonic() - begun
                print(f"        {list(rule)[0]}: {error} after {took:.1f} s", flush=True)
                assert error.code in ("42501", "28000"), error
                assert took < LIFE_S + 60, took
            lake.gateway.tell(fault=None, deny={}, credentials={})
        fast()
        assert bob.query(f"SELECT count(*) FROM {table}")


def a_person_who_is_banished_is_out_within_a_refresh():
    life, before = (60, 15) if LONG else (6, 2)
    settings = ("oidc.password_grant=true", f"oidc.refresh_before={before}s")
    with stack.served(MOAT, folder, lake, *settings, tables=[table]) as (server, _):
        fast()
        lake.issuer.live(life)
        with server.connect(login=False, tls="asked") as bob, server.connect(login=False, tls="asked") as anna:
            bob.login_secret("bob", "bob-password", options=world.WISH_TOKEN)
            anna.login_secret("anna", "anna-password", options=world.WISH_TOKEN)
            until = time.monotonic() + life * 1.5  # past its first token: it is renewed
            while time.monotonic() < until:
                assert bob.query(f"SELECT count(*) FROM {table}") and anna.query("SELECT 1") == [["1"]]
                time.sleep(life / 20)
            identity.post(f"{lake.issuer.url}/banish/bob")
            begun, last, words = time.monotonic(), 0.0, None
            while words is None and time.monotonic() < begun + life * 2 + 60:
                try:
                    asked = time.monotonic() - begun
                    bob.query(f"SELECT count(*) FROM {table}")
                    last = asked
                    time.sleep(life / 20)
                except Refused as error:
                    words = error
            print(f"        tokens of {life} s: the last statement {last:.1f} s after it, then {words}", flush=True)
            assert words is not None and words.code == "28000" and last <= life + 0.5, (words, last)
            assert bob.is_closed()
            assert anna.query("SELECT 1") == [["1"]]
            refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret("bob", "bob-password", options=world.WISH_TOKEN))
        lake.issuer.live(stack.LIFE_S)
        identity.post(f"{lake.issuer.url}/banish/")


CASES = [a_scan_outlives_its_credentials, a_scan_ends_when_nothing_is_lent_any_more, a_person_who_is_banished_is_out_within_a_refresh]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-lives-") as name, ExitStack() as exits:
        folder = Path(name)
        try:
            lake = stack.Weed(folder, exits)
            way = Way(lake.weed.s3)
            exits.callback(way.close)
            table, _ = lake.table(TABLE)
            code = run(CASES, sys.argv[3:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
    sys.exit(code)
