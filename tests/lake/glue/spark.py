"""Spark over one catalog of Iceberg's GlueCatalog: a statement a line in, as JSON; its rows a line out, or {"error": ...}.

    spark.py HOME JARS FOLDER URL REGION      with the keys of a session in AWS's variables of the environment
"""

import json
import os
import sys
from pathlib import Path

HOME, JARS, FOLDER, URL, REGION = sys.argv[1:]
sys.path[:0] = [HOME, *map(str, sorted(Path(HOME, "lib").glob("py4j-*-src.zip")))]
os.environ |= {"SPARK_HOME": f"{HOME}/deps", "SPARK_LOCAL_IP": "127.0.0.1", "PYSPARK_PYTHON": sys.executable}
from pyspark.sql import SparkSession

SETTINGS = {
    "spark.driver.extraClassPath": JARS, "spark.driver.memory": "1g", "spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1",
    "spark.ui.enabled": "false", "spark.local.dir": f"{FOLDER}/spark-local", "spark.sql.warehouse.dir": f"{FOLDER}/spark-warehouse",
    "spark.sql.shuffle.partitions": "1", "spark.sql.session.timeZone": "UTC", "spark.ui.showConsoleProgress": "false",
    "spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions", "spark.sql.catalog.lake": "org.apache.iceberg.spark.SparkCatalog",
    "spark.sql.catalog.lake.catalog-impl": "org.apache.iceberg.aws.glue.GlueCatalog", "spark.sql.catalog.lake.io-impl": "org.apache.iceberg.aws.s3.S3FileIO",
    "spark.sql.catalog.lake.warehouse": "s3://lake/warehouse", "spark.sql.catalog.lake.cache-enabled": "false", "spark.sql.catalog.lake.glue.endpoint": URL,
    "spark.sql.catalog.lake.s3.endpoint": URL, "spark.sql.catalog.lake.s3.path-style-access": "true", "spark.sql.catalog.lake.client.region": REGION}
builder = SparkSession.builder.master("local[2]").appName("glue")
for name, value in SETTINGS.items():
    builder = builder.config(name, value)
session = builder.getOrCreate()
session.sparkContext.setLogLevel("OFF")
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    try:
        rows = [[None if value is None else str(value) for value in row] for row in session.sql(json.loads(line)).collect()]
        print(json.dumps(rows), flush=True)
    except Exception as error:
        print(json.dumps({"error": str(error)[:2000]}), flush=True)
session.stop()
