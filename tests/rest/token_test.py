#!/usr/bin/env python3
"""The program on one's own machine, asking catalogs with one's own token. Python's standard library is all it needs.

    token_test.py MOAT [CASE ...]

SeaweedFS is catalog and store; the gateway before it writes down who asked; npm's oidc-provider is the issuer.

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import json
import os
import pty
import pwd
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from desk import MOAT, Desk, answer_of, vended, world
from protocol import run

TABLE = f"lake.{vended.NAMESPACE}.{vended.TABLES[0]}"
LIFE_S = 10  # of which a slow machine makes some use


def a_program_asks_as_whose_token_it_holds():
    done = desk.moat("--token-file", desk.token_of("anna"), "-c", f"ATTACH '{gateway.url}' AS lake (TYPE iceberg_rest, WAREHOUSE 'lake'); "
                f"GRANT SELECT ON {TABLE} TO ROLE reader")
    assert done.returncode == 0, done.stderr
    gateway.log()
    done = desk.moat("--token-file", desk.token_of("bob"), "--no-header", "-c", f"SELECT current_user, count(*) FROM {TABLE}")
    who, rows = done.stdout.strip().split(",")
    assert who == "bob" and int(rows) > 10, (done.stdout, done.stderr)
    log = gateway.log()
    assert log and all(line["who"] == "bob" for line in log), log
    assert any("vended-credentials" in (line["delegation"] or "") for line in log)
    user = pwd.getpwuid(os.geteuid()).pw_name
    done = desk.moat("--no-header", "-c", "SELECT DISTINCT kind, provider, client FROM moat_system.audit WHERE \"user\" = 'bob' AND kind IN ('login', 'query_start')")
    lines = done.stdout.splitlines()
    assert len(lines) == 2 and all("oidc" in line and f'run by ""{user}""' in line for line in lines), done.stdout
    desk.refused(1, "no token for catalog", "-c", f"SELECT * FROM {TABLE}")
    assert gateway.log() == [], "nobody else is asked for"


def each_holds_their_own():
    for name in ("bob", "anna"):
        assert desk.moat("--token-file", desk.token_of(name), "-c", f"SELECT count(*) FROM {TABLE}").returncode == 0
    gateway.tell(deny={"bob": ["/tables/"]})
    desk.refused(1, "does not exist", "--token-file", desk.token_of("bob"), "-c", f"SELECT count(*) FROM {TABLE}")
    assert desk.moat("--token-file", desk.token_of("anna"), "-c", f"SELECT count(*) FROM {TABLE}").returncode == 0
    gateway.tell(deny={})


def a_token_comes_from_where_nobody_else_reads():
    token = issuer.token_of("bob")
    for mode in (0o640, 0o604, 0o660, 0o644):
        assert token[:20] not in desk.refused(3, "chmod 600", "--token-file", desk.write(token, mode), "-c", "SELECT 1")
    for path in (str(folder), str(folder / "nothing"), "/dev/zero", "/dev/null"):
        desk.refused(3, "cannot be used", "--token-file", path, "-c", "SELECT 1")
    desk.refused(3, "cannot be used", "--token-file", desk.write("x" * 70000), "-c", "SELECT 1")
    for text in ("", "two words", "{", '{"refresh_token": "x"}', '{"access_token": 7}', '{"access_token": "\\u0065y"}', "é", "x\ny"):
        desk.refused(3, "is no token", "--token-file", desk.write(text), "-c", "SELECT 1")
    for text in ("x", "e30.e30.e30", token[:-2] + ("AA" if token[-2:] != "AA" else "BB")):
        desk.refused(3, "authentication failed", "--token-file", desk.write(text), "-c", "SELECT 1")
    desk.refused(2, "does not go with --as", "--as", "anna", "--token-file", desk.write(token), "-c", "SELECT 1")
    for command in (["serve"], ["init"], ["audit", "verify"], ["config", "--explain"]):
        desk.refused(2, "nobody signs in", "--token-file", desk.write(token), *command)
    desk.refused(3, "knows nobody by a token", "--set", "login.providers=password", "--token-file", desk.write(token), "-c", "SELECT 1")


def standard_input_holds_one():
    token = issuer.token_of("bob")
    assert desk.moat("--token-file", "-", "--no-header", "-c", "SELECT current_user", given=token).stdout.strip() == "bob"
    # What follows the line is what the program was to read anyway.
    assert desk.moat("--token-file", "-", "--no-header", given=token + "\nSELECT current_user || '!'").stdout.strip() == "bob!"
    assert desk.moat("--token-file", "-", "--no-header", "-c", "SELECT current_user", given=json.dumps(answer_of(issuer, "anna"))).stdout.strip() == "anna"


def a_terminal_does_not_show_it():
    token = issuer.token_of("bob")
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(MOAT, desk.command("--token-file", "-", "--no-header", "-c", "SELECT current_user || '!'"), desk.environment())
    screen = b""
    try:
        while b"Token: " not in screen:
            screen += os.read(terminal, 4096)
        time.sleep(0.2)
        os.write(terminal, token.encode() + b"\n")
        while True:
            screen += os.read(terminal, 4096)
    except OSError:
        pass
    assert os.waitpid(pid, 0)[1] == 0 and b"bob!" in screen and token[:20].encode() not in screen, screen


def a_sign_in_is_renewed():
    whole = answer_of(issuer, "bob")
    statements = f"SELECT 1; SELECT count(*) FROM {TABLE}; SELECT current_user;"
    path = desk.write(json.dumps(whole))
    time.sleep(LIFE_S + 2)  # the token in the file is over
    desk.refused(3, "expired", "--set", "oidc.skew=0", "--token-file", desk.write(whole["access_token"]), "-c", "SELECT 1")
    done = desk.moat("--set", "oidc.skew=0", "--token-file", path, "--no-header", "-c", statements)
    assert done.returncode == 0 and done.stdout.split()[-1] == "bob", (done.stdout, done.stderr)
    # One session for longer than any of its tokens lives.
    scripts = [folder / f"script-{i}" for i in range(3)]
    words = []
    for script in scripts:
        os.mkfifo(script)
        words += ["-f", str(script)]
    process = subprocess.Popen(desk.command("--set", "oidc.skew=0", "--set", "oidc.refresh_before=2s", "--token-file",
                                            desk.write(json.dumps(answer_of(issuer, "bob"))), "--no-header", *words),
                               env=desk.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for script in scripts:
        script.write_text(f"SELECT count(*) FROM {TABLE}")
        time.sleep(LIFE_S + 1)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and len(set(out.split())) == 1 and len(out.split()) == 3, (out, err)


def it_is_not_written_down():
    token = issuer.token_of("bob")
    done = desk.moat("--set", "log.level=debug", "--token-file", desk.write(token), "-c", f"EXPLAIN ANALYZE SELECT * FROM {TABLE}; SELECT * FROM {TABLE}; SELECT x")
    part = token.split(".")[1][:60]
    assert part not in done.stdout + done.stderr
    found = subprocess.run(["grep", "-rlF", part, desk.warehouse], capture_output=True, text=True).stdout
    assert found == "", found


CASES = [a_program_asks_as_whose_token_it_holds, each_holds_their_own, a_token_comes_from_where_nobody_else_reads, standard_input_holds_one,
         a_terminal_does_not_show_it, a_sign_in_is_renewed, it_is_not_written_down]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-token-") as name:
        folder, weed, gateway = Path(name), None, None
        try:
            with world.issuer_of(folder, LIFE_S) as issuer:
                weed = world.SeaweedFS(folder, vended.PEOPLE)
                vended.SparkTables(weed, vended.PEOPLE["anna"]).move(vended.TABLES[0])
                gateway = world.Gateway(folder, weed.url, issuer.url, people=vended.PEOPLE)
                desk = Desk(folder, issuer, gateway)
                code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
        finally:
            for part in (gateway, weed):
                if part is not None:
                    part.close()
    sys.exit(code)
