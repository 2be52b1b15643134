#!/usr/bin/env python3
"""Sign-in by a browser at a real issuer (npm's oidc-provider), by Trino's Python client and step by step, and what an attacker would try.

browser_test.py MOAT [CASE...]    ends with "N passed, N failed"; without the issuer or the client it says so and is skipped.
"""

import concurrent.futures
import re
import subprocess
import sys
import time
import urllib.parse

try:
    import requests
    import trino
    from trino.auth import OAuth2Authentication
except ImportError as why:
    print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
    sys.exit(0)
from browser import Skip, served
from protocol import PASSWORD, run

MOAT = sys.argv[1]


def the_python_client():
    """As it is: it gets its person's address, waits, and goes on; later connections have the token."""
    with served(MOAT) as world:
        opened = []

        def redirected(url):
            opened.append(url)
            assert url.startswith(world.url + "/oauth2/sign-in/")
            pages.submit(lambda: world.browser().sign_in(url, "bob"))

        with concurrent.futures.ThreadPoolExecutor() as pages:
            auth = OAuth2Authentication(redirect_auth_url_handler=redirected)
            for _ in range(2):
                connection = trino.dbapi.connect(host="127.0.0.1", port=world.server.web_port, user="bob", http_scheme="https", verify=world.certificate,
                                                 auth=auth, catalog="moat", schema="main")
                cursor = connection.cursor()
                cursor.execute("SELECT x, current_user FROM v")
                assert [list(row) for row in cursor.fetchall()] == [[1, "bob"]]
        assert len(opened) == 1, opened
        trail = world.server.sql("SELECT \"user\", client FROM moat_system.audit WHERE client LIKE '% browser %' OR client LIKE '% trino %'")
        assert "bob" in trail and " browser " in trail and " trino " in trail, trail


def step_by_step():
    with served(MOAT) as world:
        page, wait = world.challenge(**{"X-Trino-Source": "evil<script>\"&"})
        browser = world.browser()
        shown = browser.open(page)
        assert "127.0.0.1 evil?script???" in shown.text and "<script" not in shown.text, shown.text
        for name, value in (("X-Frame-Options", "DENY"), ("Cache-Control", "no-store"), ("Referrer-Policy", "same-origin")):
            assert shown.headers[name] == value
        assert "frame-ancestors 'none'" in shown.headers["Content-Security-Policy"]
        sent = browser.submit(shown, allow_redirects=False)
        assert sent.status_code == 303, sent.status_code
        query = dict(urllib.parse.parse_qsl(urllib.parse.urlparse(sent.headers["Location"]).query))
        assert sent.headers["Location"].startswith(world.issuer["issuer"] + "/auth?"), sent.headers["Location"]
        assert query["code_challenge_method"] == "S256" and len(query["code_challenge"]) == 43 and query["response_type"] == "code"
        assert query["redirect_uri"] == world.url + "/oauth2/callback" and query["scope"] == "openid read" and len(query["nonce"]) == 64
        cookie = sent.headers["Set-Cookie"]
        assert cookie.startswith("__Host-moat-browser-") and all(part in cookie for part in ("HttpOnly", "SameSite=Lax", "Secure", "Path=/")), cookie
        assert cookie.split("=")[1].split(";")[0] not in sent.headers["Location"] + page
        began = time.monotonic()
        pending = world.ask(wait)
        assert pending.json() == {"nextUri": wait} and 5 < time.monotonic() - began < 60, pending.text  # it waits: clients ask few times
        done = browser.at_issuer(browser.open(sent.headers["Location"]), "bob")
        assert done.status_code == 200 and "signed in" in done.text and "<b>bob</b>" in done.text, done.text
        given = world.ask(wait)
        assert given.headers["Cache-Control"] == "no-store" and given.headers["Connection"] == "close"
        token = given.json()["token"]
        assert token not in done.text and world.statement(token) == (200, [["bob"]])
        assert world.ask(wait).json() == {"error": "this sign-in is over"}  # once
        assert world.ask(wait, "DELETE").status_code == 204
        assert browser.open(page).status_code == 400  # nor begins it again
        log = world.log.read_text()
        assert token not in log and query["state"] not in log and wait.rsplit("/", 1)[1] not in log, log


def a_callback_is_good_once_and_in_its_browser_only():
    with served(MOAT) as world:
        page, wait = world.challenge()
        browser = world.browser()
        callback = last_redirect(world, browser, page, "bob")
        stranger = world.browser().open(callback)  # login CSRF: somebody else's code and state, brought to this browser
        assert stranger.status_code == 400 and "another browser" in stranger.text
        done = browser.open(callback)
        assert done.status_code == 200 and "<b>bob</b>" in done.text
        assert browser.open(callback).status_code == 400  # played again: the cookie is gone
        for name, value in callback_cookies:
            browser.session.cookies.set(name, value, domain="127.0.0.1", secure=True)
        again = browser.open(callback)
        assert again.status_code == 400, again.text  # and with it
        assert "token" in world.ask(wait).json()


callback_cookies = []


def last_redirect(world, browser, page, name):
    """Where the issuer sends the browser with its code, which has not gone there."""
    answer = browser.to_issuer(page)
    callback_cookies[:] = [(cookie.name, cookie.value) for cookie in browser.session.cookies if cookie.name.startswith("__Host-moat")]
    for _ in range(20):
        if answer.is_redirect:
            to = urllib.parse.urljoin(answer.url, answer.headers["Location"])
            if to.startswith(world.url):
                return to
            answer = browser.open(to, allow_redirects=False)
        else:
            answer = browser.submit(answer, {"login": name, "password": "x"} if 'name="login"' in answer.text else {}, allow_redirects=False)
    raise AssertionError("the issuer did not send it back")


def a_code_of_another_sign_in_is_refused():
    """Code injection: eve's own code in bob's callback, and the other way round. The issuer sees another verifier."""
    with served(MOAT) as world:
        ways = []
        for name in ("anna", "bob"):
            page, wait = world.challenge()
            browser = world.browser()
            ways.append((browser, wait, urllib.parse.urlparse(last_redirect(world, browser, page, name))))
        (_, _, hers), (browser, wait, his) = ways
        query = dict(urllib.parse.parse_qsl(his.query))
        query["code"] = dict(urllib.parse.parse_qsl(hers.query))["code"]
        answer = browser.open(his._replace(query=urllib.parse.urlencode(query)).geturl())
        assert answer.status_code == 403 and "Nobody has signed in" in answer.text, answer.text
        assert world.ask(wait).json() == {"error": "the sign-in was refused"}
        assert "invalid_grant" in world.log.read_text()


def answers_of_other_issuers_are_refused():
    """Mix-up: the answer says that it is another issuer's, or does not say it (oidc-provider announces that it does)."""
    with served(MOAT) as world:
        for change in ({"iss": "https://evil.example.com"}, {"iss": None}):
            page, wait = world.challenge()
            browser = world.browser()
            back = urllib.parse.urlparse(last_redirect(world, browser, page, "bob"))
            query = {**dict(urllib.parse.parse_qsl(back.query)), **change}
            query = {name: value for name, value in query.items() if value is not None}
            assert browser.open(back._replace(query=urllib.parse.urlencode(query)).geturl()).status_code == 403
            assert "error" in world.ask(wait).json()


def a_page_that_somebody_sends_asks_first():
    """Somebody's own sign-in, sent to bob, who is signed in at the issuer: nothing happens without his click on the page, which no other page can do for him."""
    with served(MOAT) as world:
        bob = world.browser()
        bob.sign_in(world.challenge()[0], "bob")  # the issuer knows him from now on
        page, wait = world.challenge(**{"X-Trino-Source": "trino-cli"})
        shown = bob.open(page)
        assert "127.0.0.1 trino-cli" in shown.text and "close this page" in shown.text and "location" not in shown.text
        for headers in ({}, {"Origin": "https://evil.example.com"}, {"Origin": "null"}, {"Origin": world.url, "Sec-Fetch-Site": "cross-site"}):
            sent = bob.submit(shown, headers=headers, allow_redirects=False)
            assert sent.status_code == 403 and "Set-Cookie" not in sent.headers and "Location" not in sent.headers, (headers, sent.status_code)
        assert world.ask(wait).json() == {"nextUri": wait}
        assert "signed in" in bob.at_issuer(bob.submit(shown), "bob").text  # with the click it goes without a password


def strangers_wait_for_nothing():
    with served(MOAT) as world:
        page, wait = world.challenge()
        head, ticket = wait.rsplit("/", 1)
        flow = page.rsplit("/", 1)[1]
        wrong = ["", "x", "0" * len(ticket), ticket[:-1] + ("0" if ticket[-1] != "0" else "1"), ticket[2:], ticket + "00", flow, ticket[:64] + flow[64:128],
                 "%00" * 10, "g" * 128, ticket.replace(ticket[20], "%s") + "/x"]
        for text in wrong:
            assert world.ask(f"{head}/{text}").status_code == 404, text
        for text in (ticket, flow[:-2], "0" * len(flow), flow + "00", "ff" * 4000):
            assert world.ask(f"/oauth2/sign-in/{text}").status_code == 400, text
        state = "0" * 144
        for query in ("", "code=1", f"state={state}", f"state={state}&code=1", f"state={state}&code=1&code=2", f"state={state}&code=1&error=2",
                      f"state={state}&code=%zz", "state=%00&code=1", "state=" + "ab" * 10000 + "&code=1", "&&&=&=="):
            assert world.ask(f"/oauth2/callback?{query}").status_code == 400, query


def the_host_that_somebody_sends_is_nothing():
    """Addresses are of the configuration: the token goes nowhere else, and the issuer is told no other redirect."""
    with served(MOAT) as world:
        answer = requests.post(f"{world.url}/v1/statement", "SELECT 1", headers={"Host": "evil.example.com", "X-Forwarded-Host": "evil.example.com",
                                                                                 "X-Forwarded-Proto": "http"}, verify=world.certificate, timeout=120)
        assert "evil" not in answer.headers["WWW-Authenticate"] and answer.headers["WWW-Authenticate"].count(world.url) == 2, answer.headers
        page = answer.headers["WWW-Authenticate"].split('"')[1]
        browser = world.browser()
        sent = browser.session.post(page, headers={"Origin": world.url, "Host": "evil.example.com"}, allow_redirects=False, timeout=120)
        assert sent.status_code == 303 and "evil" not in sent.headers["Location"], sent.headers


def who_is_refused_hears_so():
    """Somebody whom the issuer knows and this server does not take; and somebody who says no there."""
    with served(MOAT, "oidc.account=required") as world:
        page, wait = world.challenge()
        answer = world.browser().sign_in(page, "olga")  # there is no such user here
        assert answer.status_code == 403 and "Nobody has signed in" in answer.text and "required" not in answer.text, answer.text
        assert world.ask(wait).json() == {"error": "the sign-in was refused"}
        page, wait = world.challenge()
        browser = world.browser()
        callback = urllib.parse.urlparse(last_redirect(world, browser, page, "bob"))
        query = dict(urllib.parse.parse_qsl(callback.query))
        no = urllib.parse.urlencode({"state": query["state"], "error": "access_denied", "error_description": "<script>alert(1)</script>"})
        answer = browser.open(callback._replace(query=no).geturl())
        assert answer.status_code == 403 and "script" not in answer.text
        assert world.ask(wait).json() == {"error": "the sign-in was refused"}


def thousands_of_asks_keep_nothing():
    """An address to go to costs no memory; waiting costs threads, of which few may; who does not wait is answered at once."""
    with served(MOAT) as world:
        session = requests.Session()
        session.verify = world.certificate
        for _ in range(200):
            world_asks(session, world)
        before = world.server.resident()
        for _ in range(2000):
            world_asks(session, world)
        assert world.server.resident() - before < 4 << 20, (before, world.server.resident())
        with concurrent.futures.ThreadPoolExecutor(40) as pool:
            began = time.monotonic()
            list(pool.map(lambda _: world.ask("/v1/info"), range(40)))
            asked_s = time.monotonic() - began  # by these 40 threads, of what keeps nobody waiting
            waits = [world.challenge()[1] for _ in range(40)]
            began = time.monotonic()
            times = list(pool.map(lambda wait: (world.ask(wait).json() == {"nextUri": wait}, time.monotonic() - began), waits))
            assert all(is_pending for is_pending, _ in times)
            assert sum(took < 8 + 2 * asked_s for _, took in times) >= 20, (asked_s, times)
            status, _, _ = world.server.ask("POST", "/v1/sql", {"sql": "SELECT 1"})
            assert status == 200
        page, wait = world.challenge()
        assert "signed in" in world.browser().sign_in(page, "bob").text and "token" in world.ask(wait).json()


def world_asks(session, world):
    answer = session.post(f"{world.url}/v1/statement", "SELECT 1", timeout=120)
    assert answer.status_code == 401 and "x_token_server" in answer.headers["WWW-Authenticate"]


def what_is_not_configured_is_not_there():
    with served(MOAT, "login.browser_url=") as world:
        answer = world.ask("/v1/statement", "POST", data="SELECT 1")
        assert answer.status_code == 401 and "x_redirect_server" not in answer.headers["WWW-Authenticate"]
        for path in ("/oauth2/callback?state=1&code=1", "/oauth2/token/1", "/oauth2/sign-in/1"):
            assert world.ask(path).status_code == 404
    with served(MOAT) as world:  # a wrong password is no reason to send anybody to a browser; SQL over HTTP has none
        answer = world.ask("/v1/statement", "POST", data="SELECT 1", auth=("amelia", "wrong"))
        assert answer.status_code == 401 and "x_redirect_server" not in answer.headers["WWW-Authenticate"]
        answer = world.ask("/v1/sql", "POST", json={"sql": "SELECT 1"})
        assert answer.status_code == 401 and "x_redirect_server" not in answer.headers["WWW-Authenticate"]
        answer = world.ask("/v1/statement", "POST", data="SELECT 1", auth=("amelia", PASSWORD))
        assert answer.status_code == 200


def a_server_that_could_not_do_it_does_not_start():
    with served(MOAT) as world:
        base = [world.server.moat, "--warehouse", world.server.folder + "/other", "--set", "server.pg_port=0", "--set", "server.web_port=-1",
                "--set", "server.flight_port=-1", "--set", "server.http_port=-1"]
        subprocess.run([*base[:3], "-q", "init"], check=True)
        oidc = ["login.providers=oidc", f"oidc.issuer={world.issuer['issuer']}", "oidc.insecure_loopback=true", "oidc.audience=moat"]
        wrong = [(["login.browser_url=https://moat.example.com"], "oidc.issuer"),
                 ([*oidc, "login.browser_url=https://moat.example.com"], "oidc.client_id")]
        wrong += [([*oidc, "oidc.client_id=moat", f"login.browser_url={url}"], "https://host:port")
                  for url in ("http://moat.example.com", "https://moat.example.com/", "https://moat.example.com/path", "https://", "moat.example.com",
                              "https://a@moat.example.com", "https://moat.example.com?x", "https://moat\"x", "javascript:alert(1)", "https://" + "a" * 400)]
        for settings, said in wrong:
            command = [*base, *(word for setting in settings for word in ("--set", setting)), "serve"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert done.returncode != 0 and said in done.stderr, (settings, done.returncode, done.stderr)


CASES = [the_python_client, step_by_step, a_callback_is_good_once_and_in_its_browser_only, a_code_of_another_sign_in_is_refused,
         answers_of_other_issuers_are_refused, a_page_that_somebody_sends_asks_first, strangers_wait_for_nothing, the_host_that_somebody_sends_is_nothing,
         who_is_refused_hears_so, thousands_of_asks_keep_nothing, what_is_not_configured_is_not_there, a_server_that_could_not_do_it_does_not_start]
try:
    sys.exit(run(CASES, sys.argv[2:]))
except Skip as why:
    print(f"skipped: {why}\n0 passed, 0 failed, 1 skipped")
