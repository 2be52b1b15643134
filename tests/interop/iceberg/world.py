"""The writers' world: one Spark session with Iceberg's Java library behind it, for the whole run.

Spark and its jars come from a folder made by tools/deps (MOAT_SPARK), nothing is downloaded here. Everything is written under one
root with a fixed name of fixed length, so that tables in it can be moved by replacing equal-length bytes (README.md).
"""

import logging
import os
import sys
import uuid
from pathlib import Path

ROOT = Path(os.environ.get("MOAT_ICEBERG_ROOT", "/tmp/moat-iceberg-00000000"))
CATALOGS = ("hadoop", "jdbc")


class World:
    def __init__(self, root=ROOT, spark_home=None, is_relocatable=False):
        self.root = Path(root)
        self.is_relocatable = is_relocatable  # paths in delete files stay readable bytes
        self.warehouse = self.root / "warehouse"
        self.warehouse.mkdir(parents=True, exist_ok=True)
        self.spark = _spark(self, Path(spark_home or os.environ["MOAT_SPARK"]))
        self.jvm = self.spark._jvm
        self.ice = self.jvm.org.apache.iceberg
        self.gateway = self.spark.sparkContext._gateway

    def sql(self, text):
        return self.spark.sql(text)

    def rows(self, text):
        """The rows of a query as an Arrow table."""
        return self.spark.sql(text).toArrow()

    # ---- tables

    def create(self, table, columns, spec="", version=2, properties=()):
        """CREATE TABLE by SQL. `spec` is the text between the parentheses of PARTITIONED BY."""
        settings = {"format-version": str(version), "commit.retry.num-retries": "0", **dict(properties)}
        if self.is_relocatable:
            settings["write.delete.parquet.compression-codec"] = "uncompressed"
        listed = ", ".join(f"'{key}' = '{value}'" for key, value in settings.items())
        partitioned = f"PARTITIONED BY ({spec})" if spec else ""
        self.sql(f"CREATE TABLE {table} ({columns}) USING iceberg {partitioned} TBLPROPERTIES ({listed})")

    def create_json(self, table, schema, spec=None, version=3, properties=()):
        """Creates a table from the spec's own JSON forms, for what SQL cannot say."""
        java_schema = self.schema(schema)
        parser = self.ice.PartitionSpecParser
        java_spec = parser.fromJson(java_schema, _json(spec)) if spec else self.ice.PartitionSpec.unpartitioned()
        settings = self.jvm.java.util.HashMap()
        for key, value in {"format-version": str(version), **dict(properties)}.items():
            settings.put(key, value)
        catalog, identifier = self._identifier(table)
        return catalog.createTable(identifier, java_schema, java_spec, settings)

    def load(self, table):
        """Iceberg's Java object for a table, freshly loaded."""
        return self.jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergTable(self.spark._jsparkSession, table)

    def metadata_file(self, table):
        return self.load(table).operations().current().metadataFileLocation()

    def schema(self, schema):
        return self.ice.SchemaParser.fromJson(_json(schema))

    def type(self, text):
        return self.ice.types.Types.fromPrimitiveString(text)

    def _identifier(self, table):
        name, namespace, leaf = table.split(".")
        catalog = self.jvm.org.apache.iceberg.spark.Spark3Util.loadIcebergCatalog(self.spark._jsparkSession, name)
        names = self.jvm.org.apache.iceberg.catalog
        parts = self.gateway.new_array(self.jvm.String, 1)
        parts[0] = namespace
        return catalog, names.TableIdentifier.of(names.Namespace.of(parts), leaf)

    # ---- files that no SQL writes

    def literal(self, type_text, json_text):
        """A default value as Iceberg's Literal, from the single-value JSON form."""
        value = self.ice.SingleValueParser.fromJson(self.type(type_text), json_text)
        return self.ice.expressions.Expressions.lit(value)

    def internal_rows(self, query):
        """Rows of a query as Spark's InternalRow objects and their StructType, still inside the JVM: the Python side would lose
        int/long and float/double."""
        frame = self.sql(query)._jdf
        return frame.queryExecution().executedPlan().executeCollect(), frame.schema()

    def partitions(self, java_table):
        """Distinct (spec, partition) of the data files of the current snapshot."""
        found = {}
        tasks = java_table.newScan().planFiles()
        for task in each(tasks):
            file = task.file()
            key = (file.specId(), task.spec().partitionToPath(file.partition()))
            found.setdefault(key, (task.spec(), file.copy().partition()))
        tasks.close()
        return [found[key] for key in sorted(found)]

    def output_file(self, java_table, stem, suffix="parquet"):
        location = f"{java_table.location()}/data/{stem}-{uuid.uuid4()}.{suffix}"
        plain = java_table.io().newOutputFile(location)
        return self.ice.encryption.EncryptedFiles.plainAsEncryptedOutput(plain)

    def write_rows(self, table, rows, spec=None, partition=None):
        """Writes one Parquet data file without committing it. `rows` are JSON in the spec's single-value form, one object a row
        keyed by field id: every type, with nothing of Spark in between. Returns a DataFile."""
        java_table = self.load(table)
        schema, spec = java_table.schema(), spec or java_table.spec()
        output = self.output_file(java_table, "rows").encryptingOutputFile()
        appender = self.ice.InternalData.write(self.ice.FileFormat.PARQUET, output).schema(schema).named("table").build()
        for row in rows:
            appender.add(self._struct(schema, row))
        appender.close()
        built = self.ice.DataFiles.builder(spec).withPath(output.location()).withFormat("parquet")
        built = built.withFileSizeInBytes(appender.length()).withMetrics(appender.metrics()).withSplitOffsets(appender.splitOffsets())
        if spec.isPartitioned():
            built = built.withPartition(partition)
        return built.build()

    def append_rows(self, table, rows):
        """Appends rows as for write_rows, in one commit, a file for each partition."""
        java_table = self.load(table)
        schema, spec = java_table.schema(), java_table.spec()
        groups = {"": (None, [])} if not spec.isPartitioned() else {}
        for row in rows:
            path, key = "", None
            if spec.isPartitioned():
                key = self.ice.PartitionKey(spec, schema)
                key.partition(self._struct(schema, row))
                path = key.toPath()
            groups.setdefault(path, (key, []))[1].append(row)
        append = java_table.newAppend()
        for key, group in groups.values():
            append.appendFile(self.write_rows(table, group, spec, key))
        append.commit()

    def _struct(self, schema, row):
        return self.ice.SingleValueParser.fromJson(schema.asStruct(), _json(row))

    def data_files(self, table):
        """The data files of the current snapshot, by path."""
        tasks = self.load(table).newScan().planFiles()
        files = [task.file().copy() for task in each(tasks)]
        tasks.close()
        return sorted(files, key=lambda file: str(file.location()))

    def position_delete(self, table, pairs, spec=None, partition=None):
        """Writes one position delete file without committing it; `pairs` are (path, position). Returns a DeleteFile."""
        java_table = self.load(table)
        spec = spec or java_table.spec()
        builder = self.ice.formats.FormatModelRegistry.positionDeleteWriteBuilder(
            self.ice.FileFormat.PARQUET, self.output_file(java_table, "position-deletes")).setAll(java_table.properties()).spec(spec)
        if spec.isPartitioned():
            builder = builder.partition(partition)
        writer = builder.build()
        delete = self.ice.deletes.PositionDelete.create()
        for path, position in pairs:
            writer.write(delete.set(path, position))
        writer.close()
        return writer.toDeleteFile()

    def equality_delete(self, table, columns, query, partitions=None):
        """Commits what equality_files writes."""
        delta = self.load(table).newRowDelta()
        for file in self.equality_files(table, columns, query, partitions):
            delta.addDeletes(file)
        delta.commit()

    def equality_files(self, table, columns, query, partitions=None):
        """Writes equality delete files on top-level `columns` with the rows of `query` without committing them: one for each
        partition given as (spec, partition), or each partition that has data."""
        java_table = self.load(table)
        schema = java_table.schema()
        keys = schema.select(_java_list(self, columns))
        ids = self.jvm.java.util.ArrayList()
        for column in columns:
            ids.add(schema.findField(column).fieldId())
        ordered = ", ".join(field.name() for field in each(keys.columns()))
        rows, struct = self.internal_rows(f"SELECT {ordered} FROM ({query})")
        internal = self.jvm.java.lang.Class.forName("org.apache.spark.sql.catalyst.InternalRow")
        files = []
        for spec, partition in partitions if partitions is not None else self.partitions(java_table):
            builder = self.ice.formats.FormatModelRegistry.equalityDeleteWriteBuilder(
                self.ice.FileFormat.PARQUET, internal, self.output_file(java_table, "equality-deletes"))
            builder = builder.setAll(java_table.properties()).schema(keys).engineSchema(struct).equalityFieldIds(ids).spec(spec)
            if spec.isPartitioned():
                builder = builder.partition(partition)
            builder.metricsConfig(self.ice.MetricsConfig.getDefault())
            writer = builder.build()
            for row in rows:
                writer.write(row)
            writer.close()
            files.append(writer.toDeleteFile())
        return files


def each(iterable):
    """Over a java.lang.Iterable."""
    iterator = iterable.iterator()
    while iterator.hasNext():
        yield iterator.next()


def _java_list(world, items):
    result = world.jvm.java.util.ArrayList()
    for item in items:
        result.add(item)
    return result


def _json(value):
    import json
    return value if isinstance(value, str) else json.dumps(value)


def _spark(world, home):
    sys.path[:0] = [str(home), *map(str, sorted((home / "lib").glob("py4j-*-src.zip")))]
    os.environ["SPARK_HOME"] = str(home / "deps")
    os.environ["SPARK_LOCAL_IP"] = "127.0.0.1"
    os.environ["PYSPARK_PYTHON"] = sys.executable
    logging.getLogger("SQLQueryContextLogger").disabled = True
    from pyspark.sql import SparkSession

    jars = sorted(map(str, (home / "extra-jars").glob("*.jar")))
    settings = {
        "spark.driver.extraClassPath": ":".join(jars),
        "spark.driver.memory": "3g",
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.ui.enabled": "false",
        "spark.local.dir": str(world.root / "spark-local"),
        "spark.sql.warehouse.dir": str(world.root / "spark-warehouse"),
        "spark.sql.shuffle.partitions": "1",
        "spark.sql.session.timeZone": "UTC",
        # Tables of a few rows: compiling a plan costs more than running it.
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
        "spark.sql.adaptive.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        "spark.sql.catalog.hadoop": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.hadoop.type": "hadoop",
        "spark.sql.catalog.hadoop.warehouse": str(world.warehouse / "hadoop"),
        "spark.sql.catalog.hadoop.cache-enabled": "false",
        # The layout that PyIceberg's SQL catalog opens, and locations with a scheme.
        "spark.sql.catalog.jdbc": "org.apache.iceberg.spark.SparkCatalog",
        "spark.sql.catalog.jdbc.type": "jdbc",
        "spark.sql.catalog.jdbc.uri": f"jdbc:sqlite:file:{world.root}/catalog.sqlite",
        "spark.sql.catalog.jdbc.jdbc.schema-version": "V1",
        "spark.sql.catalog.jdbc.warehouse": f"file:{world.warehouse}/jdbc",
        "spark.sql.catalog.jdbc.cache-enabled": "false",
    }
    builder = SparkSession.builder.master("local[2]").appName("moat interop")
    for key, value in settings.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    session.sparkContext.setLogLevel("OFF")
    return session
