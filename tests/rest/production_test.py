#!/usr/bin/env python3
"""What a server of production does not start with, and that it starts when all of it is mended.

    production_test.py MOAT [CASE ...]

Ends with `N passed, N failed`; exits 1 if any failed.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from desk import MOAT, Desk, vended, world
from protocol import run

GOOD = ("server.production=true", "server.pg_port=0", "server.http_port=0", "log.level=error")


def words_of(settings):
    return [word for setting in settings for word in ("--set", setting)]


def moat(warehouse, *words):
    return subprocess.run([MOAT, "--warehouse", str(warehouse), *words], env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, timeout=60)


def fresh(*statements):
    warehouse = Path(tempfile.mkdtemp(dir=folder))
    for words in (["-q", "init"], *(["-c", statement] for statement in statements)):
        done = moat(warehouse, *words)
        assert done.returncode == 0, done.stderr
    return warehouse


def is_refused(warehouse, *settings, because):
    """Each text of `because` is a reason, with a mend below it, and there are no others."""
    done = moat(warehouse, *words_of((*GOOD, *settings)), "serve")
    reasons = re.findall(r"^not for production: (.*)\n    (\S.*)$", done.stderr, re.MULTILINE)
    assert done.returncode == 3 and len(reasons) == len(because), (done.returncode, done.stderr)
    for text in because:
        assert any(text in what for what, mend in reasons), (text, reasons)
    assert f"for {len(because)} reason" in done.stderr and "server.production" in done.stderr, done.stderr


def starts(warehouse, *settings):
    process = subprocess.Popen([MOAT, "--warehouse", str(warehouse), *words_of((*GOOD, *settings)), "serve"], env={**os.environ, "HOME": str(folder)},
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)
    assert "Serving PostgreSQL" in line and process.returncode == 0, (line, err)


CONFIGURED = [
    ("server.address=0.0.0.0 server.tls=off", "is served without TLS"),
    ("server.address=0.0.0.0", "is served without TLS"),
    ("server.http_address=0.0.0.0", "/metrics is served without TLS"),
    ("storage.allow_plain_http=true", "object stores may be asked without TLS"),
    ("login.providers=password,oidc oidc.issuer=https://id.example.com", "no oidc.audience"),
    ("apikey.lifetime_max=0", "may live for ever"),
    ("engine.isolation=none", "process that holds people's tokens"),
    ("engine.host_confinement=false", "unconfined"),
    ("catalog.local_folders=/tmp", "this program's own rights"),
]


def each_setting_is_a_reason():
    warehouse = fresh()
    for settings, reason in CONFIGURED:
        is_refused(warehouse, *settings.split(), because=[reason])
    done = moat(warehouse, *words_of(("server.pg_port=0", "server.address=0.0.0.0")), "serve")  # as ever, without production
    assert done.returncode == 3 and "not for production" not in done.stderr and "without a certificate" in done.stderr, done.stderr


def neither_policy_nor_the_trail_can_be_turned_off():
    warehouse = fresh()
    for setting in ("policy.enabled=false", "audit.enabled=false", "policy.mode=off", "audit.mode=off"):
        done = moat(warehouse, *words_of((*GOOD, setting)), "serve")
        assert done.returncode == 4 and setting.split("=")[0] in done.stderr, done.stderr


def a_key_without_an_end_is_a_reason():
    warehouse = fresh("CREATE USER etl")
    done = moat(warehouse, *words_of(["apikey.lifetime_max=0"]), "-c", "CREATE API KEY nightly FOR USER etl EXPIRES NEVER; CREATE API KEY daily FOR USER etl")
    assert done.returncode == 0, done.stderr
    is_refused(warehouse, because=['API key "nightly" of user "etl"'])
    assert moat(warehouse, "-c", "REVOKE API KEY nightly FOR USER etl").returncode == 0
    starts(warehouse)


def catalogs_are_reasons():
    gateway.reset()
    secret = folder / "client-secret"
    secret.write_text("etl-secret")
    secret.chmod(0o600)
    desk = Desk(folder, issuer, gateway)
    attach = f"ATTACH OR REPLACE '{gateway.url}' AS %s (TYPE iceberg_rest, WAREHOUSE 'lake'%s)"
    production = ("--set", "server.production=true")

    def tell(statement, *words, expect=0):
        return desk.moat("--token-file", desk.token_of("anna"), *words, "-c", statement, expect=expect).stderr

    assert "no token" in desk.moat("-c", attach % ("unasked", ""), expect=0).stderr
    tell(attach % ("lake", ""), *production)
    starts(desk.warehouse)
    gateway.tell(credentials={"anna": []})
    assert "lends no credentials" in tell(attach % ("bare", ""))
    assert "lends no credentials" in tell(attach % ("bare", ""), *production, expect=1)
    assert 'no option "LENDS"' in tell(attach % ("liar", ", LENDS true"), expect=1)
    is_refused(desk.warehouse, because=['catalog "bare" lends no credentials'])
    own = attach % ("own", f", AUTH client, CLIENT_ID 'annakey', CLIENT_SECRET_FILE '{secret}'")
    assert "not for production" in desk.moat("-c", own, *production, expect=1).stderr
    secret.write_text("annasecret")
    desk.moat("-c", own.replace(gateway.url, weed.url), expect=0)
    is_refused(desk.warehouse, because=['catalog "bare" lends no credentials', 'catalog "own" is asked as this program'])
    # All at once, and all mended.
    wrong = " ".join(settings for settings, _ in CONFIGURED[1:]).split()
    wrong = [setting for setting in wrong if not setting.startswith(("oidc", "login"))]
    is_refused(desk.warehouse, *wrong, because=['catalog "bare"', 'catalog "own"'] + [reason for settings, reason in CONFIGURED[1:] if "oidc" not in settings])
    gateway.tell(credentials={})
    tell(attach % ("bare", ""))
    desk.moat("-c", "DETACH own", expect=0)
    starts(desk.warehouse)


CASES = [each_setting_is_a_reason, neither_policy_nor_the_trail_can_be_turned_off, a_key_without_an_end_is_a_reason, catalogs_are_reasons]

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="moat-production-") as name:
        folder, weed, gateway = Path(name), None, None
        try:
            with world.issuer_of(folder) as issuer:
                weed = world.SeaweedFS(folder, vended.PEOPLE)
                vended.SparkTables(weed, vended.PEOPLE["anna"]).move(vended.TABLES[0])
                gateway = world.Gateway(folder, weed.url, issuer.url, people=vended.PEOPLE)
                code = run(CASES, sys.argv[2:])
        except world.Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            code = 0
        finally:
            for part in (gateway, weed):
                if part is not None:
                    part.close()
    sys.exit(code)
