#!/usr/bin/env python3
"""Runs the flows of sign-in against a real issuer, which it starts itself and stops again.

    tests/identity/suite.py PROGRAM MOAT oidc-provider    npm's oidc-provider                       (make check)
    tests/identity/suite.py PROGRAM MOAT keycloak         Keycloak's distribution of Maven Central  (make interop)

What is not there is skipped by name. PROGRAM is flows.c, built; MOAT is served to clients by door.py.
"""

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "wire"))
from ports import free_port

CACHE = Path(os.environ.get("MOAT_CACHE", HERE.parent.parent / ".cache/deps"))
LIFE_S = 12  # of an access token
START_TIMEOUT_S = 600  # Keycloak builds itself first; 40 s on a machine with nothing else to do
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # the loopback only, whatever the environment says


class Skip(Exception):
    pass


def post(url, form=None, token=None, body=None, method="POST"):
    data = body if body is not None else urllib.parse.urlencode(form or {}).encode()
    request = urllib.request.Request(url, data=data, method=method)
    if body is not None:
        request.add_header("Content-Type", "application/json")
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    with OPENER.open(request, timeout=30) as answer:
        return answer.read()


# ---- npm's oidc-provider


@contextmanager
def oidc_provider(folder):
    modules = CACHE / "oidc-provider"
    if not (modules / ".complete").exists() or shutil.which("node") is None:
        raise Skip("oidc-provider of npm is not here")
    # Modules are looked for beside the program that wants them.
    shutil.copy(HERE / "provider.mjs", folder)
    (folder / "node_modules").symlink_to(modules / "node_modules")
    with subprocess.Popen(["node", "provider.mjs", str(LIFE_S), str(free_port())], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, encoding="utf-8") as node:
        try:
            issuer = f"http://127.0.0.1:{int(node.stdout.readline())}"
            yield {"issuer": issuer, "pid": node.pid, "scope": "read", "attributes": "region=org.region", "rotation": "replace",
                   "rotate": lambda: post(f"{issuer}/rotate"), "live": lambda seconds: post(f"{issuer}/life/{seconds}")}
        finally:
            node.stdin.close()
            node.wait(timeout=20)


# ---- Keycloak


def mapper(name, kind, **config):
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind, "config": {"access.token.claim": "true", **config}}


def keycloak_realm():
    audiences = [mapper(f"for {name}", "oidc-audience-mapper", **{"included.custom.audience": name}) for name in ("moat",)]
    audiences.append(mapper("for catalog", "oidc-audience-mapper", **{"included.client.audience": "catalog"}))
    region = mapper("region", "oidc-hardcoded-claim-mapper",
                    **{"claim.name": "org.region", "claim.value": "EU", "jsonType.label": "String"})
    confidential = {"publicClient": False, "serviceAccountsEnabled": True, "standardFlowEnabled": False,
                    "directAccessGrantsEnabled": True, "protocolMappers": audiences + [region],
                    "attributes": {"standard.token.exchange.enabled": "true"}}
    person = lambda name, *roles: {
        "username": name, "enabled": True, "email": f"{name}@example.com", "emailVerified": True, "firstName": name,
        "lastName": "Example", "realmRoles": [*roles, "moat-moat_admin"],
        "credentials": [{"type": "password", "value": f"{name}-password", "temporary": False}]}
    return {
        "realm": "moat", "enabled": True, "sslRequired": "none", "accessTokenLifespan": LIFE_S,
        "roles": {"realm": [{"name": name} for name in ("moat-analyst", "moat-steward", "moat-moat_admin")]},
        "clients": [{"clientId": "moat", "secret": "moat-secret", **confidential},
                    {"clientId": "etl", "secret": "etl-secret", **confidential},
                    {"clientId": "catalog", "secret": "catalog-secret", "publicClient": False}],
        "users": [person("bob", "moat-analyst"), person("anna", "moat-steward"), person("olga")],
    }


def keeper_of_keycloak(base):
    form = {"grant_type": "password", "client_id": "admin-cli", "username": "admin", "password": "admin"}
    return json.loads(post(f"{base}/realms/master/protocol/openid-connect/token", form))["access_token"]


def rotate_keycloak(base):
    """A new key with a higher priority: tokens from now on are signed with it, the old one still verifies."""
    token = keeper_of_keycloak(base)
    key = {"name": "next", "providerId": "rsa-generated", "providerType": "org.keycloak.keys.KeyProvider",
           "config": {"priority": ["900"], "enabled": ["true"], "active": ["true"], "algorithm": ["RS256"]}}
    post(f"{base}/admin/realms/moat/components", token=token, body=json.dumps(key).encode())


@contextmanager
def keycloak(folder):
    home = CACHE / "keycloak"
    if not (home / ".complete").exists() or shutil.which("java") is None:
        raise Skip("Keycloak, or a Java for it, is not here")
    # Its own copy: it writes what it was built with, and its database, beside itself.
    here = folder / "keycloak"
    shutil.copytree(home, here)
    (here / "data/import").mkdir(parents=True)
    (here / "data/import/moat.json").write_text(json.dumps(keycloak_realm()))
    port, management = free_port(), free_port()
    base = f"http://127.0.0.1:{port}"
    environment = {**os.environ, "KC_BOOTSTRAP_ADMIN_USERNAME": "admin", "KC_BOOTSTRAP_ADMIN_PASSWORD": "admin",
                   "JAVA_OPTS_APPEND": "-Xmx768m"}
    command = ["bash", "bin/kc.sh", "start-dev", "--import-realm", "--http-host=127.0.0.1", f"--http-port={port}",
               f"--http-management-port={management}", "--cache=local"]
    log = open(folder / "keycloak.log", "wb")
    process = subprocess.Popen(command, cwd=here, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_TIMEOUT_S
        issuer = f"{base}/realms/moat"
        while True:
            try:
                OPENER.open(f"{issuer}/.well-known/openid-configuration", timeout=5).read()
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    sys.stdout.write((folder / "keycloak.log").read_text(errors="replace")[-4000:])
                    raise RuntimeError("Keycloak did not start")
                time.sleep(1)
        yield {"issuer": issuer, "scope": "openid", "attributes": "region=org.region", "rotation": "add",
               "rotate": lambda: rotate_keycloak(base),
               "live": lambda seconds: post(f"{base}/admin/realms/moat", token=keeper_of_keycloak(base), method="PUT",
                                            body=json.dumps({"accessTokenLifespan": seconds}).encode())}
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


# ---- the flows


def serve_rotations(ask, answer, rotate):
    with os.fdopen(ask) as lines:
        for _ in lines:
            rotate()
            os.write(answer, b"rotated\n")


def run(program, door, world, folder):
    secret = folder / "secret"
    secret.write_text("moat-secret\n")
    secret.chmod(0o600)
    ask_read, ask_write = os.pipe()
    answer_read, answer_write = os.pipe()
    threading.Thread(target=serve_rotations, args=(ask_read, answer_write, world["rotate"]), daemon=True).start()
    environment = {**os.environ, "MOAT_OIDC_ISSUER": world["issuer"], "MOAT_OIDC_SCOPE": world["scope"],
                   "MOAT_OIDC_ATTRIBUTES": world["attributes"], "MOAT_OIDC_ROTATION": world["rotation"],
                   "MOAT_OIDC_SECRET_FILE": str(secret), "MOAT_OIDC_ASK_FD": str(ask_write),
                   "MOAT_OIDC_ANSWER_FD": str(answer_read), "MOAT_OIDC_LIFE": str(LIFE_S)}
    flows = subprocess.run([program], env=environment, pass_fds=(ask_write, answer_read), check=False, capture_output=True, text=True)
    print("".join(f"    {line}\n" for line in (flows.stdout + flows.stderr).splitlines()), end="", flush=True)
    clients = subprocess.run(door, env=environment, pass_fds=(ask_write, answer_read), check=False, stdout=subprocess.PIPE, text=True)
    print(clients.stdout, end="")
    # Both together, in the one line that is counted.
    passed, failed = (int(word) for word in re.findall(r"(\d+) (?:passed|failed)", clients.stdout.splitlines()[-1])[:2])
    begun, ended = flows.stdout.count("[ RUN "), flows.stdout.count("[       OK ]")
    print(f"{passed + ended} passed, {failed + begun - ended} failed")
    return max(abs(flows.returncode), abs(clients.returncode))


def main():
    program, moat, name = sys.argv[1:]
    # The drivers are in the Python environment that tools/deps makes.
    drivers = CACHE / "venv/bin/python"
    door = [str(drivers) if drivers.exists() else sys.executable, str(HERE / "door.py"), moat]
    worlds = {"oidc-provider": oidc_provider, "keycloak": keycloak}
    with tempfile.TemporaryDirectory() as folder:
        try:
            with worlds[name](Path(folder)) as world:
                return run(program, door, world, Path(folder))
        except Skip as why:
            print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
            return 0


if __name__ == "__main__":
    sys.exit(main())
