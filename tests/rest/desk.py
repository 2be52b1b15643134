"""A warehouse on one's own machine, whose people have tokens of an issuer and ask a catalog elsewhere."""

import base64
import json
import os
import subprocess
import sys
import tempfile
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lake"))
import vended_test as vended
import world
from world import identity

MOAT = os.path.abspath(sys.argv[1])


class Desk:
    def __init__(self, folder, issuer, gateway, *settings):
        self.folder, self.issuer = folder, issuer
        self.warehouse = tempfile.mkdtemp(dir=folder)
        secret = folder / "moat-secret"
        secret.write_text("moat-secret\n")
        secret.chmod(0o600)
        self.moat("-q", "init", expect=0)
        Path(self.warehouse, "moat.yaml").write_text(f"""
login:
  providers: oidc
  refusal_time: 10ms
  address_tries: 1000
  account_tries: 1000
oidc:
  insecure_loopback: true
  issuer: {issuer.url}
  audience: moat
  client_id: moat
  client_secret_file: {secret}
  scope: {issuer.scope}
  subject_claim: preferred_username
  account: linked
catalog:
  insecure_loopback: true
  origins: {gateway.url}
""")
        self.moat("-c", vended.SETUP + "; GRANT ROLE reader TO anna", expect=0)

    def environment(self):
        return {**os.environ, "HOME": str(self.folder)}

    def command(self, *words):
        return [MOAT, "--warehouse", self.warehouse, "--format", "csv", *words]

    def moat(self, *words, given="", expect=None):
        done = subprocess.run(self.command(*words), env=self.environment(), capture_output=True, text=True, input=given, timeout=120)
        assert expect is None or done.returncode == expect, (done.returncode, done.stdout, done.stderr)
        return done

    def refused(self, code, text, *words, **more):
        done = self.moat(*words, **more)
        assert done.returncode == code and text in done.stderr, (done.returncode, done.stdout, done.stderr)
        return done.stderr

    def write(self, text, mode=0o600):
        path = self.folder / f"token-{os.urandom(4).hex()}"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    def token_of(self, name):
        """A file with it."""
        return self.write(self.issuer.token_of(name) + "\n")

    def ask(self, name, statement, *words, expect=0):
        """As that person, with their token; lines of CSV without a header."""
        return self.moat("--token-file", self.token_of(name), "--no-header", *words, "-c", statement, expect=expect).stdout.splitlines()


def answer_of(issuer, name):
    """All that the issuer gives for a password: with a refresh token."""
    with identity.OPENER.open(f"{issuer.url}/.well-known/openid-configuration", timeout=30) as answer:
        endpoint = json.load(answer)["token_endpoint"]
    request = urllib.request.Request(endpoint, data=urllib.parse.urlencode({
        "scope": issuer.scope, "grant_type": "password", "username": name, "password": f"{name}-password"}).encode())
    request.add_header("Authorization", "Basic " + base64.b64encode(b"moat:moat-secret").decode())
    with identity.OPENER.open(request, timeout=30) as answer:
        return json.load(answer)
