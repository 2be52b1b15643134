"""The rows that most tables are made of: 60 of them, with the edges of each type, NULLs, NaN, both zeros, dates before 1970."""

COLUMNS = ("id INT", "k BIGINT", "s STRING", "d DATE", "ts TIMESTAMP", "tn TIMESTAMP_NTZ", "f FLOAT", "g DOUBLE",
           "p DECIMAL(9,2)", "b BINARY", "flag BOOLEAN")
COLUMNS_SQL = ", ".join(COLUMNS)
NAMES = [column.split()[0] for column in COLUMNS]

K = ["0", "1", "-1", "42", "9223372036854775807", "-9223372036854775808", "1000003", None, "34", "-100"]
S = ["''", "'a'", "'abc'", "'äöü€'", "'iceberg'", "'😀 smile'", None, "'Zebra'", "'a b/c=d%e'", "'iceberg table format'", "'null'"]
D = ["1970-01-01", "1969-12-31", "2017-11-16", "2020-02-29", "0001-01-01", "9999-12-31", None, "2020-03-01", "1582-10-15"]
T = ["1970-01-01 00:00:00", "1969-12-31 23:59:59.999999", "2017-11-16 22:31:08.000001", "2020-02-29 12:00:00", None,
     "2020-02-29 13:59:59.5", "1999-12-31 23:00:00", "2038-01-19 03:14:08", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"]
F = ["0.0", "-0.0", "1.5", "NaN", "Infinity", "-Infinity", None, "3.4028235e38", "1.4e-45", "-2.25", "0.1"]
G = ["0.0", "1.5", "-0.0", None, "NaN", "1.7976931348623157e308", "-Infinity", "4.9e-324", "Infinity", "0.1", "-1e10", "2.5"]
P = ["0.00", "14.20", "-14.20", None, "9999999.99", "-9999999.99", "0.01", "10.65", "-0.01"]
B = ["00", "", "ff00", None, "0102030405060708090a0b0c0d0e0f10111213", "616263", "80"]
FLAG = ["true", "false", None, "true", "false"]


def row(i):
    def pick(values, form):
        value = values[i % len(values)]
        return "NULL" if value is None else form.format(value)
    return ", ".join((str(i), pick(K, "CAST('{}' AS BIGINT)"), pick(S, "{}"), pick(D, "DATE '{}'"), pick(T, "TIMESTAMP '{} UTC'"),
                      pick(T[::-1], "TIMESTAMP_NTZ '{}'"), pick(F, "CAST('{}' AS FLOAT)"), pick(G, "CAST('{}' AS DOUBLE)"),
                      pick(P, "CAST('{}' AS DECIMAL(9,2))"), pick(B, "X'{}'"), pick(FLAG, "{}")))


def define(world):
    """The temporary view `base`."""
    rows = ", ".join(f"({row(i)})" for i in range(60))
    world.sql(f"CREATE OR REPLACE TEMPORARY VIEW base AS SELECT * FROM VALUES {rows} AS t({', '.join(NAMES)})")
