"""Sign-in by a browser: a server that offers it beside an issuer, and a browser that is driven: it keeps cookies, follows redirects and sends forms."""

import html
import importlib.util
import os
import re
import sys
import tempfile
import urllib.parse
from contextlib import contextmanager
from pathlib import Path

import requests

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "http"), str(HERE.parent / "wire")]
import authority
from door import WebServer

for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # requests would heed them more than what it is told
    os.environ.pop(name, None)
_spec = importlib.util.spec_from_file_location("identity_suite", HERE.parent / "identity/suite.py")
identity = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(identity)
Skip = identity.Skip


class Browser:
    """`is_lax` is what a browser does by itself: a form says where it comes from."""

    def __init__(self, certificate):
        self.session = requests.Session()
        self.session.trust_env, self.session.verify = False, certificate

    def open(self, url, **options):
        return self.session.get(url, timeout=120, **options)

    def submit(self, page, fields=None, headers=None, **options):
        action = re.search(r'<form[^>]*action="([^"]*)"', page.text)
        url = urllib.parse.urljoin(page.url, html.unescape(action.group(1))) if action else page.url
        hidden = dict(re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)"', page.text))
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlparse(page.url))
        if headers is None:
            headers = {"Origin": origin, "Sec-Fetch-Site": "same-origin"}
        return self.session.post(url, data={**hidden, **(fields or {})}, headers=headers, timeout=120, **options)

    def to_issuer(self, url):
        """The issuer's first page, or wherever one is that it knows already."""
        page = self.open(url)
        assert page.status_code == 200 and "<button>Sign in" in page.text, page.text
        return self.submit(page)

    def at_issuer(self, page, name, **options):
        """Signs in there; the last page is whatever the way back ends at."""
        while "/interaction/" in page.url:
            page = self.submit(page, {"login": name, "password": "whatever"} if 'name="login"' in page.text else {}, **options)
        return page

    def sign_in(self, url, name):
        return self.at_issuer(self.to_issuer(url), name)


class World:
    def __init__(self, server, issuer, certificate, url, log):
        self.server, self.issuer, self.certificate, self.url, self.log = server, issuer, certificate, url, log

    def browser(self):
        return Browser(self.certificate)

    def challenge(self, **headers):
        """What a program is told: (where its person goes, where it waits)."""
        answer = requests.post(f"{self.url}/v1/statement", "SELECT 1", headers=headers, verify=self.certificate, timeout=120)
        assert answer.status_code == 401, answer.text
        fields = dict(re.findall(r'(x_\w+)="([^"]*)"', answer.headers["WWW-Authenticate"]))
        return fields["x_redirect_server"], fields["x_token_server"]

    def ask(self, path, method="GET", **options):
        url = path if path.startswith("http") else self.url + path
        return requests.request(method, url, verify=self.certificate, timeout=120, allow_redirects=False, **options)

    def statement(self, token, sql="SELECT current_user"):
        answer = requests.post(f"{self.url}/v1/statement", sql, headers={"Authorization": f"Bearer {token}", "User-Agent": "StatementClientV1/476"},
                               verify=self.certificate, timeout=120)
        return answer.status_code, answer.json().get("data") if answer.status_code == 200 else answer.text


@contextmanager
def served(moat, *settings, life_s=600):
    """With people bob and anna of the issuer, over TLS."""
    folder = Path(tempfile.mkdtemp(prefix="moat-browser-"))
    identity.LIFE_S = life_s
    port = identity.free_port()
    url = f"https://127.0.0.1:{port}"
    certificate = authority.certificate(str(folder), "server")
    secret = folder / "secret"
    secret.write_text("moat-secret\n")
    secret.chmod(0o600)
    with identity.oidc_provider(folder) as issuer:
        identity.post(issuer["issuer"] + "/browser", body=f"{url}/oauth2/callback".encode())
        log = folder / "log"
        with WebServer(moat, *authority.tls_settings(*certificate), f"server.web_port={port}", f"login.browser_url={url}", "login.providers=password, oidc",
                       "oidc.insecure_loopback=true", f"oidc.issuer={issuer['issuer']}", "oidc.audience=moat", "oidc.client_id=moat", "oidc.scope=read",
                       f"oidc.client_secret_file={secret}", "oidc.subject_claim=preferred_username", "oidc.roles_claim=realm_access.roles",
                       "oidc.role_prefix=moat-", "oidc.account=linked", "log.level=warn", *settings,
                       setup="CREATE USER bob; CREATE USER anna; CREATE VIEW v AS SELECT 1 AS x; GRANT SELECT ON v TO USER bob", stderr=str(log)) as server:
            yield World(server, issuer, certificate[0], url, log)
