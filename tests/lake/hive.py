"""Hive's metastore of Maven Central, started for a suite: Thrift over HTTP, each call with a token of the issuer's."""

import json
import os
import re
import shutil
import subprocess
import time
import urllib.error
from pathlib import Path

import world
from stack import end, wait_for
from world import identity

HERE = Path(__file__).resolve().parent
HOME = world.CACHE / "hive-metastore"
# Calls at once stand in each other's way in Derby, which the metastore then tries again: that must not take a minute.
WAITS = ("-Dderby.locks.waitTimeout=2", "-Dderby.locks.deadlockTimeout=1")
LOG = """
appenders = out, audit
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c{1} %m%n
appender.audit.type = File
appender.audit.name = audit
appender.audit.fileName = AUDIT
appender.audit.layout.type = PatternLayout
appender.audit.layout.pattern = %m%n
loggers = audit
logger.audit.name = org.apache.hadoop.hive.metastore.HiveMetaStore.audit
logger.audit.level = info
logger.audit.additivity = false
logger.audit.appenderRef.audit.ref = audit
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""


class Metastore:
    """`url` is where calls go, `lake` where its databases lie."""

    def __init__(self, folder, stack, issuer, **settings):
        if not (HOME / ".complete").exists() or shutil.which("javac") is None:
            raise world.Skip("Hive's metastore, or a Java for it, is not here; tools/deps interop fetches it")
        self.lake, self.rules, self.audit, self.seen = folder / "lake", folder / "rules", folder / "audit.log", 0
        self.lake.mkdir()
        self.deny()
        with world.OPENER.open(f"{issuer.url}/.well-known/openid-configuration", timeout=30) as answer:
            keys = json.load(answer)["jwks_uri"]
        port = identity.free_port()
        self.configure(folder / "hive", {
            "javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
            "javax.jdo.option.ConnectionDriverName": "org.apache.derby.jdbc.EmbeddedDriver",
            "datanucleus.schema.autoCreateAll": "true", "hive.metastore.schema.verification": "false",
            "metastore.warehouse.dir": folder / "managed", "metastore.warehouse.external.dir": self.lake,
            "metastore.server.thrift.transport.mode": "http", "metastore.server.thrift.http.path": "metastore",
            "metastore.thrift.bind.host": "127.0.0.1", "metastore.thrift.port": port,
            "metastore.authentication": "JWT", "metastore.authentication.jwt.jwks.url": keys,
            "metastore.pre.event.listeners": "Metastore$Rules", "suite.rules": self.rules,
            "metastore.housekeeping.threads.on": "false", **{name.replace("__", "."): value for name, value in settings.items()}})
        log = stack.enter_context(open(folder / "hive.log", "wb"))
        classes = f"{folder / 'hive'}:{HOME / 'jars'}/*"
        subprocess.run(["javac", "-nowarn", "-proc:none", "-cp", classes, "-d", folder / "hive", HERE / "hive/Metastore.java"], check=True)
        process = subprocess.Popen(["java", "-Xmx512m", *WAITS, "-cp", classes, "Metastore"], cwd=folder / "hive", stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        stack.callback(end, process)
        self.url = f"http://127.0.0.1:{port}/metastore"
        wait_for(process, self.url, folder / "hive.log", 120)

    def configure(self, folder, settings):
        folder.mkdir()
        lines = "".join(f"<property><name>{name}</name><value>{value}</value></property>\n" for name, value in settings.items())
        for name in ("metastore-site.xml", "hive-site.xml"):
            (folder / name).write_text(f"<configuration>\n{lines}</configuration>\n")
        (folder / "log4j2.properties").write_text(LOG.replace("AUDIT", str(self.audit)))

    def calls(self):
        """(who, call) of each since the last time, as its audit log has them."""
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        found = [re.match(r"ugi=(\S+)\s+ip=\S*\s+cmd=(?:source:\S+\s+)?(.*)", line) for line in lines[self.seen:]]
        self.seen = len(lines)
        told = [(match.group(1), match.group(2).strip()) for match in found if match]
        return [(who, call) for who, call in told if "thread local RawStore" not in call]  # the server tidying up after itself

    def pyiceberg(self, token):
        """PyIceberg's HiveCatalog as somebody: with the transport that it has not itself, and a call that this metastore has no more."""
        from hive_metastore import ThriftHiveMetastore
        from hive_metastore.ttypes import GetTableRequest
        from pyiceberg.catalog import hive
        from thrift.protocol import TBinaryProtocol
        from thrift.transport import THttpClient

        class Calls(ThriftHiveMetastore.Client):
            def get_table(self, dbname, tbl_name):
                return self.get_table_req(GetTableRequest(dbName=dbname, tblName=tbl_name)).table

        class Client(hive._HiveClient):
            def _init_thrift_transport(self):
                transport = THttpClient.THttpClient(self._uri)
                transport.setCustomHeaders({"Authorization": f"Bearer {token}"})
                return transport

            def _client(self):
                return Calls(TBinaryProtocol.TBinaryProtocol(self._transport))

        class Catalog(hive.HiveCatalog):
            @staticmethod
            def _create_hive_client(properties):
                return Client(properties["uri"])

        return Catalog("hive", uri=self.url)

    def deny(self, *rules):
        """Texts "WHO DATABASE.TABLE": who may not touch what, from now on."""
        self.rules.write_text("\n".join(rules))
