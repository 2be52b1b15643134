#!/usr/bin/env python3
"""Who is asked for what at the door, and who gets in: API keys, certificates, limits, and what may not be told.

door_test.py MOAT [CASE...]    ends with "N passed, N failed"; exits 1 if any failed. Wants openssl; psql where it is there.
Tokens of real issuers: tests/identity/door.py.
"""

import base64
import csv
import datetime
import os
import re
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import authority
from authority import tls_settings
from protocol import PASSWORD, Refused, Server, eventually, message, refused, run, startup, text

MOAT = sys.argv[1]
FOLDER = tempfile.mkdtemp(prefix="moat-door-")
WISH_TOKEN, WISH_OAUTH, WISH_SCRAM = ("-c moat.login=" + word for word in ("token", "oauth", "scram"))
SETUP = "CREATE USER etl; CREATE ROLE analyst; GRANT ROLE analyst TO etl;"
MANY = ("login.account_tries=10000", "login.address_tries=10000")


def tls(name="server"):
    pem = os.path.join(FOLDER, name + ".pem")
    return tls_settings(*((pem, pem[:-4] + ".key") if os.path.exists(pem) else authority.certificate(FOLDER, name)))


def new_key(server, user="etl", name="nightly"):
    """The owner's own program makes it, beside the server."""
    answer = server.sql(f"CREATE API KEY {name} FOR USER {user} EXPIRES IN 1 DAY")
    return re.search(r"moat_[0-9A-Za-z_]+_[0-9A-Za-z]+", answer).group(0)


def logins(server, columns='"user", state, sqlstate, provider, reason'):
    out = server.sql(f"SELECT {columns} FROM moat_system.audit WHERE kind = 'login' ORDER BY seq")
    return [row for row in csv.reader(out.splitlines())][1:]


def psql(server, user, password, statement="SELECT current_user", options="", **more):
    parts = " ".join(f"{name}={value}" for name, value in {"host": "127.0.0.1", "port": server.port, "user": user, "dbname": "moat",
                                                          "sslmode": "require", **more}.items())
    return subprocess.run(["psql", "-XAt", parts, "-c", statement], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "PGPASSWORD": password, "PGOPTIONS": options})


def first_question(server, user, tls="asked", **parameters):
    """The first message that the server has for somebody; in words."""
    client = server.connect(login=False, tls=tls)
    client.send(startup(user=user, database="moat", **parameters))
    kind, body = client.read()
    client.close()
    if kind == "E":
        return Refused({part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}).code
    return kind, body


# ---- what is asked for


def the_question_tells_nothing_of_the_person():
    with Server(MOAT, *tls(), *MANY, "login.ask=*@example.com => token; scram", setup=SETUP) as server:
        for form in ("{}", "{}@example.com"):
            for options in ("", WISH_TOKEN, WISH_OAUTH, WISH_SCRAM, "-c moat.login=nonsense"):
                asked = {str(first_question(server, form.format(name), options=options))
                         for name in ("amelia", "nopassword", "etl", "nobody", "NOBODY")}
                assert len(asked) == 1, (form, options, asked)
        assert first_question(server, "bob@example.com") == ("R", struct.pack("!I", 3))
        assert first_question(server, "bob")[1][:4] == struct.pack("!I", 10)
        assert first_question(server, "bob", options=WISH_TOKEN) == ("R", struct.pack("!I", 3))
        assert first_question(server, "bob", **{"moat.login": "token"}) == ("R", struct.pack("!I", 3))
        assert first_question(server, "bob", options=WISH_OAUTH) == "28000"  # no issuer here
        assert first_question(server, "bob", options="-c moat.login=nonsense") == "22023"


def nothing_secret_is_asked_for_in_the_clear():
    with Server(MOAT, *tls(), "login.ask=token", setup=SETUP) as server:
        for options in ("", WISH_TOKEN):
            assert first_question(server, "etl", tls=None, options=options) == "28000"
        assert first_question(server, "etl", tls=None, options=WISH_SCRAM)[1][4:] == b"SCRAM-SHA-256\0\0"
    with Server(MOAT, "login.providers=apikey", setup=SETUP) as server:  # nothing that could be asked for
        assert first_question(server, "etl", tls=None) == "28000"
    with Server(MOAT, "login.providers=apikey", "login.insecure_loopback=true", setup=SETUP) as server:
        client = server.connect(login=False)
        client.login_secret("etl", new_key(server))
        assert client.query("SELECT current_user") == [["etl"]]
        client.close()


def passwords_only_means_so():
    with Server(MOAT, *tls(), "login.providers=password", setup=SETUP) as server:
        assert first_question(server, "amelia", options=WISH_TOKEN) == "28000"
        assert first_question(server, "amelia")[1][4:] == b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0"
    with Server(MOAT, *tls(), "login.providers=apikey", setup=SETUP) as server:
        assert first_question(server, "amelia", options=WISH_SCRAM) == "28000"
        assert first_question(server, "amelia") == ("R", struct.pack("!I", 3))


def answers_to_other_questions_are_refused():
    with Server(MOAT, *tls(), *MANY, setup=SETUP) as server:
        key = new_key(server)
        for wish, answers in ((WISH_TOKEN, (b"SCRAM-SHA-256\0" + struct.pack("!I", 4) + b"n,,n", b"", b"no end")),
                              (WISH_SCRAM, (key.encode() + b"\0", b"OAUTHBEARER\0\xff\xff\xff\xff", b"PLAIN\0\0\0\0\0"))):
            for answer in answers:
                client = server.connect(login=False, tls="asked")
                client.send(startup(user="etl", options=wish))
                client.read()
                client.send(message("p", answer))
                assert client.last_words() == "08P01", (wish, answer)
        for early in (message("p", key.encode() + b"\0"), message("Q", text("SELECT 1"))):  # unasked, with the start packet
            client = server.connect(login=False, tls="asked")
            client.send(startup(user="nobody", options=WISH_SCRAM) + early)
            client.read()
            assert client.last_words() == "08P01"
        for size in (33000, 40000, 50000, 2**31 - 1):  # tokens have a size
            client = server.connect(login=False, tls="asked")
            client.send(startup(user="etl", options=WISH_TOKEN))
            client.read()
            try:
                client.send(b"p" + struct.pack("!I", size) + b"x" * min(size - 5, 60000) + b"\0")
            except OSError:  # the server has said so, and gone, before all was sent
                continue
            assert client.last_words() in ("08P01", "28P01"), size


# ---- API keys


def api_keys_open():
    with Server(MOAT, *tls(), setup=SETUP) as server:
        key = new_key(server)
        with server.connect(login=False, tls="asked") as client:
            client.login_secret("etl", key, options=WISH_TOKEN)
            assert client.query("SELECT current_user, has_role('analyst')") == [["etl", "t"]]
            assert client.parameters["session_authorization"] == "etl"
            with server.connect(login=False, tls="asked") as other:  # by any case of the name, as the person
                other.login_secret("ETL", key, options=WISH_TOKEN)
                assert other.parameters["session_authorization"] == "etl"
            for user, secret in (("amelia", key), ("etl", key[:-1] + ("a" if key[-1] != "a" else "b")), ("nobody", key), ("etl", "")):
                words = refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret(user, secret, options=WISH_TOKEN))
                assert words["M"] == "authentication failed", words
            with server.connect(login=False, tls="asked") as other:  # who has a password may use a key too, and the other way round
                other.login_secret("amelia", new_key(server, "amelia", "mine"), options=WISH_TOKEN)
            with server.connect(login=False, tls="asked") as other:
                other.login_secret("amelia", PASSWORD, options=WISH_TOKEN)
            server.sql("REVOKE API KEY nightly FOR USER etl")
            words = ended(client, "SELECT 1")
            assert "taken back" in words["M"] and words["S"] == "FATAL" and "onnect" in words["H"], words
        rows = logins(server)
        assert ["etl", "DONE", "00000", "apikey", ""] in rows, rows
        assert any(row[0] == "amelia" and row[1] == "FAILED" and "another person's" in row[4] for row in rows), rows


def keys_end_in_mid_session():
    with Server(MOAT, *tls(), "apikey.lifetime=5m", setup=SETUP) as server:
        for life_s in (5, 20, 80):  # a slow machine signs in slowly
            until = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=life_s)).replace(microsecond=0)
            answer = server.sql(f"CREATE API KEY short{life_s} FOR USER etl EXPIRES AT '{until:%Y-%m-%dT%H:%M:%SZ}'")
            key = re.search(r"moat_[0-9A-Za-z_]+_[0-9A-Za-z]+", answer).group(0)
            clients = []
            try:
                for _ in range(2):
                    clients.append(server.connect(login=False, tls="asked"))
                    clients[-1].login_secret("etl", key, options=WISH_TOKEN)
                    assert clients[-1].query("SELECT 1") == [["1"]]
                clients[1].query("BEGIN")
            except (Refused, ConnectionError):
                if datetime.datetime.now(datetime.timezone.utc) < until:
                    raise
            else:
                break
        time.sleep(max(0, (until - datetime.datetime.now(datetime.timezone.utc)).total_seconds()) + 0.5)
        for client, statement in zip(clients, ("SELECT 1", "COMMIT")):
            words = ended(client, statement)
            assert words["C"] == "28000" and "expired" in words["M"], words
        refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret("etl", key, options=WISH_TOKEN))


def ended(client, statement):
    """The last words of the server to a statement, which must end the connection."""
    client.send(message("Q", text(statement)))
    kind, body = client.until("E")[-1]
    assert client.is_closed(), "the connection stays"
    return {part[:1].decode(): part[1:].decode() for part in body.split(b"\0") if part}


def clients_of_all_kinds_send_keys():
    with Server(MOAT, *tls(), setup=SETUP) as server:
        key = new_key(server)
        outcome = psql(server, "etl", key, options=WISH_TOKEN)
        assert outcome.stdout.strip() == "etl", outcome
        outcome = psql(server, "etl", key)  # it has not said what it holds
        assert outcome.returncode != 0 and "password authentication failed" in outcome.stderr and "moat.login=token" in outcome.stderr, outcome
        outcome = psql(server, "etl", key, options=WISH_TOKEN, sslmode="disable")
        assert outcome.returncode != 0 and "over TLS only" in outcome.stderr, outcome
        outcome = psql(server, "amelia", PASSWORD, channel_binding="require")
        assert outcome.stdout.strip() == "amelia", outcome
        try:
            import psycopg
            import psycopg2
        except ImportError:
            return
        for driver in (psycopg, psycopg2):
            with driver.connect(host="127.0.0.1", port=server.port, user="etl", password=key, dbname="moat", sslmode="require",
                                options=WISH_TOKEN) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT current_user")
                assert cursor.fetchone() == ("etl",)


# ---- certificates


def certificates_open():
    signer = authority.certificate(FOLDER, "people")
    rules = "certificate.rules=email:*@example.com => {1}; uri:spiffe://corp/sa/* => {1}; cn:robot => etl"
    mine = {name: authority.certificate(FOLDER, "client-" + name, issuer=signer, subject=subject, names=names) for name, subject, names in
            (("amelia", "/CN=Amelia", "email:amelia@example.com"), ("uri", "/CN=x", "URI:spiffe://corp/sa/etl"),
             ("cn", "/CN=robot", ""), ("unknown", "/CN=somebody", "email:amelia@example.org"), ("ghost", "/CN=g", "email:ghost@example.com"))}
    foreign = authority.certificate(FOLDER, "foreign", issuer=authority.certificate(FOLDER, "others"), subject="/CN=robot")
    settings = tls() + (f"server.tls_client_ca={signer[0]}", "server.tls_client=optional", rules, "login.providers=certificate, password, apikey")

    def show(server, who, user, **more):
        pem, key = mine[who] if who in mine else foreign
        return psql(server, user, more.pop("password", ""), sslcert=pem, sslkey=key, **more)

    with Server(MOAT, *settings, *MANY, setup=SETUP) as server:
        for who, user in (("amelia", "amelia"), ("uri", "etl"), ("cn", "etl")):
            outcome = show(server, who, user)
            assert outcome.stdout.strip() == user, outcome
        for who, user in (("amelia", "etl"), ("cn", "amelia"), ("unknown", "amelia"), ("unknown", "somebody"), ("ghost", "ghost"), ("cn", "nobody")):
            outcome = show(server, who, user)
            assert outcome.returncode != 0 and "authentication failed" in outcome.stderr, (who, user, outcome)
        assert show(server, "foreign", "etl").returncode != 0
        assert psql(server, "amelia", PASSWORD, sslcert="/none", sslkey="/none").stdout.strip() == "amelia"  # none shown: a password
        outcome = show(server, "cn", "amelia", password=PASSWORD, options=WISH_SCRAM)  # it says that it holds a password
        assert outcome.stdout.strip() == "amelia", outcome
        rows = logins(server)
        assert ["etl", "DONE", "00000", "certificate", ""] in rows
        reasons = {row[4] for row in rows if row[1] == "FAILED"}
        assert "no rule is for the certificate" in reasons and "the credential is another person's" in reasons, reasons
        with server.connect(login=False) as client:  # optional: loopback needs no TLS, and then nobody has a certificate
            client.login("amelia", PASSWORD)
    with Server(MOAT, *settings[:2], f"server.tls_client_ca={signer[0]}", rules, "login.providers=certificate", setup=SETUP) as server:
        assert show(server, "amelia", "amelia").stdout.strip() == "amelia"
        assert psql(server, "amelia", PASSWORD, sslcert="/none", sslkey="/none").returncode != 0
        assert first_question_fails(server)


def settings_do_not_tell_of_others():
    with Server(MOAT, *tls(), "certificate.rules=cn:robot => etl", setup=SETUP + "CREATE USER ada PASSWORD 'ada'; GRANT ROLE moat_admin TO ada") as server:
        for user, password, sees in (("amelia", PASSWORD, False), ("ada", "ada", True)):
            with server.connect(user=user, password=password, tls="asked") as client:
                for statement in ("SELECT name, value FROM moat_system.settings", "SELECT name, setting FROM pg_settings", "SHOW ALL"):
                    words = str(client.query(statement))
                    assert ("robot" in words) == sees and ((FOLDER in words) == sees), (user, statement)


def first_question_fails(server):
    """Without a certificate the handshake is not even over."""
    try:
        first_question(server, "amelia")
        return False
    except OSError:
        return True


# ---- what is not told


def tries_are_limited_whatever_they_are():
    with Server(MOAT, *tls(), "login.account_tries=4", "login.window=1h", setup=SETUP) as server:
        key = new_key(server)
        for user in ("etl", "nobody"):
            for _ in range(2):
                refused("28P01", lambda: server.connect(user=user, password="wrong", tls="asked"))
                refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret(user, "moat_wrong", options=WISH_TOKEN))
            refused("53300", lambda: server.connect(user=user, password="wrong", tls="asked"))
            refused("53300", lambda: server.connect(login=False, tls="asked").login_secret(user, key, options=WISH_TOKEN))
        with server.connect(tls="asked") as client:  # others are not hit
            assert client.query("SELECT 1") == [["1"]]
        for _ in range(200):
            refused("53300", lambda: server.connect(user="etl", password="wrong", tls="asked"))
        flood = [row for row in logins(server) if row[2] == "53300" and row[0] == "etl"]
        assert 1 <= len(flood) < 20, len(flood)
        asked = [first_question(server, "bob", options=WISH_OAUTH) for _ in range(60)]  # nor can others fill the trail
        assert asked[0] == "28000" and asked[-1] == "53300", asked
        assert len([row for row in logins(server) if row[0] == "bob"]) < 20


def tries_side_by_side_count_like_tries_in_a_row():
    def all_at_once(server, password):
        clients = [server.connect(login=False, tls="asked") for _ in range(150)]
        challenges = [client.challenge("amelia") for client in clients]
        wanted = [client.prove(challenge, password) for client, challenge in zip(clients, challenges)]
        answers = []
        for client, word in zip(clients, wanted):
            try:
                client.proved(word)
                answers.append("in")
            except Refused as error:
                answers.append(error.code)
            client.close()
        return {answer: answers.count(answer) for answer in answers}

    limits = ("login.account_tries=5", "login.address_tries=20", "login.window=1h")
    with Server(MOAT, *tls(), *limits) as server:
        assert all_at_once(server, PASSWORD) == {"in": 150}
        assert all_at_once(server, "wrong") == {"28P01": 5, "53300": 145}


def refusals_take_one_time():
    """Pairs of refusals, side by side, of a user who is and one who is not: their difference has a median near zero. Only what
    the server does with the answer is timed."""
    with Server(MOAT, *tls(), *MANY, setup=SETUP) as server:
        def scram(user):
            client = server.connect(login=False)
            begun = time.perf_counter()
            nonce = client.challenge(user).split(",")[0][2:]
            proof = base64.b64encode(os.urandom(32)).decode()
            client.send(message("p", f"c=biws,r={nonce},p={proof}".encode()))
            assert client.read()[0] == "E"
            return time.perf_counter() - begun

        def secret(user):
            client = server.connect(login=False, tls="asked")
            client.send(startup(user=user, database="moat", options=WISH_TOKEN))
            client.expect_auth(*client.read(), 3)
            begun = time.perf_counter()
            client.send(message("p", b"wrong\0"))
            assert client.read()[0] == "E"
            return time.perf_counter() - begun

        for function in (scram, secret):
            for other in ("nopassword", "nobody"):
                for name in ("amelia", other):
                    function(name)
                pairs = []
                for count in (120, 240, 480, 960):  # the more others do on the machine, the more pairs a median takes
                    for turn in range(len(pairs), count):
                        order = ("amelia", other) if turn % 2 else (other, "amelia")
                        times = {name: function(name) for name in order}
                        pairs.append((times["amelia"], times[other]))
                    apart = abs(statistics.median(a - b for a, b in pairs))
                    typical = statistics.median(a for a, _ in pairs)
                    if apart < 0.25 * typical:
                        break
                # Hashing is most of it: without it a try takes a third of the time.
                assert apart < 0.25 * typical, f"{function.__name__} {other}: {apart * 1e6:.0f} us apart of {typical * 1e6:.0f}, in {count} pairs"
                if os.environ.get("DOOR_TIMES"):
                    print(f"        {function.__name__} {other}: {apart * 1e6:.0f} us apart of {typical * 1e6:.0f}")


def secrets_are_nowhere_else():
    log = os.path.join(FOLDER, "log")
    with Server(MOAT, *tls(), "log.level=debug", setup=SETUP, stderr=log) as server:
        key = new_key(server)
        with server.connect(login=False, tls="asked") as client:
            client.login_secret("etl", key, options=WISH_TOKEN)
            client.query("SELECT 1")
            refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret("amelia", key, options=WISH_TOKEN))
            refused("28P01", lambda: server.connect(login=False, tls="asked").login_secret("etl", "s3cr3t" * 5, options=WISH_TOKEN))
        server.stop()
        for root, _, files in os.walk(server.folder):
            for name in files:
                with open(os.path.join(root, name), "rb") as file:
                    data = file.read()
                assert key.encode() not in data and b"s3cr3ts3cr3t" not in data, name
        with open(log, "rb") as file:
            data = file.read()
        assert key.encode() not in data and b"s3cr3ts3cr3t" not in data


# ---- sessions and who they are


def people_who_go_are_gone():
    with Server(MOAT, *tls(), setup=SETUP + "CREATE ROLE r; GRANT ROLE r TO amelia") as server:
        client, cursor, idle = (server.connect(tls="asked") for _ in range(3))
        assert client.query("SELECT has_role('r')") == [["t"]]
        server.sql("REVOKE ROLE r FROM amelia")
        assert client.query("SELECT has_role('r')") == [["f"]]
        cursor.query("BEGIN; DECLARE c CURSOR FOR SELECT * FROM range(100000)")
        assert len(cursor.query("FETCH 5 FROM c")) == 5
        idle.query("SELECT 1")
        server.sql("DROP USER amelia")
        for one, statement in ((client, "SELECT 1"), (cursor, "FETCH 5 FROM c"), (idle, "BEGIN")):
            words = ended(one, statement)
            assert words["C"] == "28000" and words["S"] == "FATAL" and "onnect" in words["H"], words


def the_configuration_is_loaded_again():
    policies = os.path.join(FOLDER, "policies.yaml")

    def write(path, words):
        with open(path, "w") as file:
            file.write(words)

    data = os.path.join(FOLDER, "t.csv")
    write(data, "a,b\n1,2\n")
    grant = "version: 1\ngrants:\n  - on: main.t\n    to_user: {}\n"
    write(policies, grant.format("amelia"))
    setup = SETUP + f"CREATE EXTERNAL TABLE t LOCATION '{data}'; "
    with Server(MOAT, *tls(), setup=setup) as server:
        server.stop()
        own = os.path.join(server.folder, "warehouse/moat.yaml")
        write(own, f"policy:\n  file: {policies}\n")
        server.start(*tls())
        with server.connect(tls="asked") as client:
            assert client.query("SELECT a FROM t") == [["1"]]
            assert first_question(server, "etl", options=WISH_TOKEN) == ("R", struct.pack("!I", 3))
            write(own, f"login:\n  providers: password\npolicy:\n  file: {policies}\n")
            write(policies, grant.format("etl"))
            server.process.send_signal(signal.SIGHUP)
            eventually(lambda: first_question(server, "etl", options=WISH_TOKEN) == "28000")
            eventually(lambda: is_refused(client, "SELECT a FROM t"))
            for broken in ("login:\n  providers: nobody\n", "login: [", f"policy:\n  file: {policies}.not\n"):
                write(own, broken)  # the old ones stand
                server.process.send_signal(signal.SIGHUP)
                time.sleep(0.5)
                assert first_question(server, "etl")[0] == "R" and client.query("SELECT 1") == [["1"]]
        server.stop()


def is_refused(client, statement):
    try:
        client.query(statement)
        return False
    except Refused as error:
        return error.code == "42P01"


CASES = [the_configuration_is_loaded_again, the_question_tells_nothing_of_the_person, nothing_secret_is_asked_for_in_the_clear, passwords_only_means_so,
         answers_to_other_questions_are_refused, api_keys_open, keys_end_in_mid_session, tries_are_limited_whatever_they_are,
         tries_side_by_side_count_like_tries_in_a_row, refusals_take_one_time,
         secrets_are_nowhere_else, settings_do_not_tell_of_others, people_who_go_are_gone]
if shutil.which("psql"):
    CASES += [clients_of_all_kinds_send_keys, certificates_open]

if __name__ == "__main__":
    try:
        sys.exit(run(CASES, sys.argv[2:]))
    finally:
        shutil.rmtree(FOLDER, ignore_errors=True)
