"""Iceberg's own REST catalog (the servlet of its test suite) over a JDBC catalog in SQLite, on loopback, in a JVM of its own that
ends with this process. For writers that know no other catalog."""

import atexit
import sys
from pathlib import Path

# Of Spark's own jars; the rest is in rest-jars, unshaded as the servlet wants it.
SPARK_JARS = ("jackson-annotations-*", "jackson-core-2*", "jackson-databind-*", "slf4j-api-*", "avro-1*", "hadoop-client-api-*",
              "hadoop-client-runtime-*", "commons-logging-*")


class RestCatalog:
    def __init__(self, home, database, warehouse):
        """`home`: the folder with Spark that tools/deps makes. `database`: a new SQLite file. `warehouse`: a folder."""
        home = Path(home)
        sys.path[:0] = map(str, (home / "lib").glob("py4j-*-src.zip"))
        from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway

        spark = home / "deps/jars"
        jars = [*(home / "rest-jars").glob("*.jar"), home / "extra-jars/sqlite-jdbc.jar", *(jar for glob in SPARK_JARS for jar in spark.glob(glob))]
        port = launch_gateway(jarpath=str(next(spark.glob("py4j-*.jar"))), classpath=":".join(map(str, jars)), die_on_exit=True)
        gateway = JavaGateway(gateway_parameters=GatewayParameters(port=port, auto_convert=True))
        atexit.register(gateway.shutdown)
        jvm = gateway.jvm
        settings = jvm.java.util.HashMap()
        for key, value in {"catalog-impl": "org.apache.iceberg.jdbc.JdbcCatalog", "uri": f"jdbc:sqlite:file:{database}",
                           "warehouse": f"file://{warehouse}", "jdbc.schema-version": "V1",
                           "io-impl": "org.apache.iceberg.hadoop.HadoopFileIO"}.items():
            settings.put(key, value)
        catalog = jvm.org.apache.iceberg.CatalogUtil.buildIcebergCatalog("rest", settings, jvm.org.apache.hadoop.conf.Configuration())
        self.gateway, self.adapter = gateway, jvm.org.apache.iceberg.rest.RESTCatalogAdapter(catalog)
        servlet = jvm.org.apache.iceberg.rest.RESTCatalogServlet(self.adapter)
        handler = jvm.org.eclipse.jetty.ee10.servlet.ServletContextHandler()
        handler.addServlet(jvm.org.eclipse.jetty.ee10.servlet.ServletHolder(servlet), "/*")
        server = jvm.org.eclipse.jetty.server.Server()
        connector = jvm.org.eclipse.jetty.server.ServerConnector(server)
        connector.setHost("127.0.0.1")
        connector.setPort(0)
        server.addConnector(connector)
        server.setHandler(handler)
        server.start()
        self.url = f"http://127.0.0.1:{connector.getLocalPort()}"
