import java.sql.*;
import java.time.*;
import java.util.*;

/**
 * What Metabase's driver for Trino does with Trino's JDBC driver, written down from its source (starburstdata/metabase-driver 6.1.0), since no registry carries Metabase:
 * Metabase.java PORT PASSWORD CERTIFICATE; ends with 0 if all holds. It connects in both of its ways, reads catalogs by SHOW and DESCRIBE, asks for samples and fingerprints
 * of columns, and for answers by every unit of time, in a report's time zone, with and without prepared parameters.
 */
public class Metabase {
    static final String T = "\"sales\".\"orders\"", AT = T + ".\"at\"";

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** Each statement as it makes them: read forward only, at most so many rows. */
    static List<List<Object>> rows(Connection connection, String sql, Object... parameters) throws SQLException {
        List<List<Object>> found = new ArrayList<>();
        try (PreparedStatement prepared = parameters.length == 0 ? null : connection.prepareStatement(sql, ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY);
                Statement plain = parameters.length > 0 ? null : connection.createStatement(ResultSet.TYPE_FORWARD_ONLY, ResultSet.CONCUR_READ_ONLY)) {
            Statement statement = prepared != null ? prepared : plain;
            statement.setFetchDirection(ResultSet.FETCH_FORWARD);
            statement.setMaxRows(2000);
            for (int i = 0; i < parameters.length; i++) {
                prepared.setObject(i + 1, parameters[i]);
            }
            check(prepared != null ? prepared.execute() : plain.execute(sql), "rows of " + sql);
            try (ResultSet result = statement.getResultSet()) {
                while (result.next()) {
                    List<Object> row = new ArrayList<>();
                    for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
                        row.add(result.getObject(i));
                    }
                    found.add(row);
                }
            }
        }
        return found;
    }

    static String one(Connection connection, String sql, Object... parameters) throws SQLException {
        List<List<Object>> found = rows(connection, sql, parameters);
        check(found.size() == 1 && found.get(0).size() == 1, sql + ": " + found);
        return String.valueOf(found.get(0).get(0));
    }

    static void same(Object found, Object wanted, String what) {
        check(Objects.equals(found, wanted), what + ": " + found + " is not " + wanted);
    }

    public static void main(String[] arguments) throws Exception {
        for (boolean isOptimized : new boolean[] {false, true}) {
            Properties properties = new Properties();
            properties.setProperty("user", "amelia");
            properties.setProperty("password", arguments[1]);
            properties.setProperty("SSL", "true");
            properties.setProperty("SSLTrustStorePath", arguments[2]);
            properties.setProperty("source", "Starburst Metabase 6.1.0");
            if (isOptimized) {
                properties.setProperty("explicitPrepare", "false");
            }
            try (Connection connection = DriverManager.getConnection("jdbc:trino://127.0.0.1:" + arguments[0] + "/lake", properties)) {
                for (int level : new int[] {Connection.TRANSACTION_READ_UNCOMMITTED, Connection.TRANSACTION_READ_COMMITTED}) {
                    if (connection.getMetaData().supportsTransactionIsolationLevel(level)) {
                        connection.setTransactionIsolation(level);
                        break;
                    }
                }
                connection.setReadOnly(true);
                connects(connection);
                reads_what_there_is(connection);
                samples(connection);
                units_of_time(connection);
                parameters(connection);
                errors(connection);
            }
        }
        System.out.println("ok");
    }

    static void connects(Connection connection) throws SQLException {
        same(one(connection, "SELECT 1"), "1", "SELECT 1");
        check(!connection.getMetaData().getDatabaseProductName().isEmpty() && !connection.getMetaData().getDatabaseProductVersion().isEmpty(), "product");
        same(one(connection, "SELECT current_timezone() as \"time-zone\""), "UTC", "the time zone");
    }

    static void reads_what_there_is(Connection connection) throws SQLException {
        same(rows(connection, "SHOW SCHEMAS FROM \"lake\"").toString(), "[[sales]]", "schemas");
        same(rows(connection, "SHOW TABLES FROM \"lake\".\"sales\"").toString(), "[[odd \"n\"ame], [orders]]", "tables");
        same(one(connection, "SHOW TABLES FROM \"sales\" LIKE 'orders'"), "orders", "one that may be read");
        same(rows(connection, "SHOW TABLES FROM \"sales\" LIKE 'hidden'").size(), 0, "one that is not there");
        List<String> columns = new ArrayList<>();
        try (Statement statement = connection.createStatement(); ResultSet found = statement.executeQuery("DESCRIBE \"lake\".\"sales\".\"orders\"")) {
            while (found.next()) {
                columns.add(found.getString("column") + " " + found.getString("type"));
            }
        }
        same(columns.toString(), "[id bigint, region varchar, amount decimal(12,2), ordered_on date, at timestamp(6), seen timestamp(6) with time zone, ok boolean, f double]", "columns");
        same(rows(connection, "DESCRIBE \"lake\".\"sales\".\"odd \"\"n\"\"ame\"").toString(), "[[ö \"ü\", integer, , ]]", "columns of an odd name");
    }

    static void samples(Connection connection) throws SQLException {
        List<List<Object>> found = rows(connection, "SELECT " + T + ".\"id\" AS \"id\", substring(" + T + ".\"region\", 1, 1234) AS \"substring1\", " + AT + " AS \"at\" FROM " + T + " LIMIT 10000");
        same(found.size(), 1000, "a sample");
        same(rows(connection, "SELECT " + T + ".\"region\" AS \"region\" FROM " + T + " GROUP BY " + T + ".\"region\" ORDER BY " + T + ".\"region\" ASC LIMIT 1000").toString(),
                "[[east], [north], [south]]", "values of a field");
        same(rows(connection, "SELECT \"source\".\"region\" AS \"region\", SUM(\"source\".\"amount\") AS \"sum\", COUNT(*) AS \"count\", COUNT(DISTINCT \"source\".\"id\") AS \"count_2\", "
                + "AVG(\"source\".\"f\") AS \"avg\", STDDEV_SAMP(\"source\".\"f\") AS \"stddev\", approx_percentile(\"source\".\"f\", 0.5) AS \"median\" FROM (SELECT " + T + ".\"id\" AS \"id\", "
                + T + ".\"region\" AS \"region\", " + T + ".\"amount\" AS \"amount\", " + T + ".\"f\" AS \"f\" FROM " + T + " WHERE (lower(" + T + ".\"region\") LIKE '%o%') AND " + T
                + ".\"ok\" = TRUE) \"source\" GROUP BY \"source\".\"region\" ORDER BY \"sum\" DESC, \"source\".\"region\" ASC").size(), 2, "a summary");
        same(one(connection, "SELECT SUM(CASE WHEN " + T + ".\"id\" > 10 THEN 1.00 ELSE 0.0 END) AS \"count-where\" FROM " + T), "989.00", "count where");
        same(one(connection, "SELECT FLOOR(((" + T + ".\"f\" - 0.0) / 250.0)) * 250.0 + 0.0 AS \"bin\" FROM " + T + " WHERE " + T + ".\"id\" = 999"), "750.0", "a bin");
        same(rows(connection, "SELECT \"id\" FROM (SELECT " + T + ".\"id\" AS \"id\", row_number() OVER (ORDER BY " + T + ".\"id\" ASC) AS \"__rownum__\" FROM " + T
                + ") WHERE \"__rownum__\" > 5 LIMIT 2").toString(), "[[5], [6]]", "a page");
        same(one(connection, "SELECT regexp_extract(" + T + ".\"region\", '^.o') FROM " + T + " WHERE \"id\" = 0"), "no", "a pattern");
        same(one(connection, "SELECT log10(CAST(100 AS double))"), "2.0", "a logarithm");
        same(one(connection, "SELECT from_utf8(from_hex('C3A9'))"), "é", "a text that was taken apart");
        same(one(connection, "SELECT date_parse('20240102030405', '%Y%m%d%H%i%s')").substring(0, 19), "2024-01-02 03:04:05", "a text as a time");
    }

    static void units_of_time(Connection connection) throws SQLException {
        String[][] units = {{"date_trunc('minute', %s)", "2024-01-01 10:00:00.0"}, {"date_trunc('hour', %s)", "2024-01-01 10:00:00.0"}, {"date(%s)", "2024-01-01"},
            {"date_trunc('week', %s)", "2024-01-01 00:00:00.0"}, {"date_add('day', -1, date_trunc('week', date_add('day', 1, %s)))", "2023-12-31 00:00:00.0"},
            {"date_trunc('month', %s)", "2024-01-01 00:00:00.0"}, {"date_trunc('quarter', %s)", "2024-01-01 00:00:00.0"}, {"date_trunc('year', %s)", "2024-01-01 00:00:00.0"},
            {"second(%s)", "0"}, {"minute(%s)", "0"}, {"hour(%s)", "10"}, {"day_of_week(%s)", "1"}, {"mod((day_of_week(%s) + 1), 7)", "2"}, {"day(%s)", "1"}, {"day_of_year(%s)", "1"},
            {"week(%s)", "1"}, {"month(%s)", "1"}, {"quarter(%s)", "1"}, {"year(%s)", "2024"},
            {"date_diff('month', date(at_timezone(CAST(%s AS timestamp with time zone), 'UTC')), date(at_timezone(CAST(TIMESTAMP '2024-03-05 00:00:00' AS timestamp with time zone), 'UTC')))", "2"},
            {"date_diff('hour', CAST(%s AS timestamp with time zone), CAST('2024-01-02 10:00:00.000Z' AS timestamp with time zone))", "24"}};
        for (String[] unit : units) {
            String sql = "SELECT " + String.format(unit[0], AT) + " AS \"unit\", COUNT(*) AS \"count\" FROM " + T + " WHERE " + AT + " < TIMESTAMP '2024-01-01 11:00:00' GROUP BY "
                    + String.format(unit[0], AT) + " ORDER BY " + String.format(unit[0], AT) + " ASC";
            same(String.valueOf(rows(connection, sql).get(0).get(0)), unit[1], unit[0]);
        }
        same(one(connection, "SELECT date(\"seen\" AT TIME ZONE 'Asia/Hong_Kong') FROM " + T + " WHERE \"id\" = 8"), "2024-01-02", "a report's time zone");
        same(one(connection, "SELECT COUNT(*) FROM " + T + " WHERE \"at\" >= date_add('day', -30, date_trunc('day', now())) AND \"at\" < date_trunc('day', now())"), "0", "the last 30 days");
        same(one(connection, "SELECT CAST(at_timezone(with_timezone(TIMESTAMP '2024-01-01 00:00:00', 'UTC'), 'Europe/Berlin') AS timestamp)").substring(0, 16), "2024-01-01 01:00", "a zone to a zone");
        same(one(connection, "SELECT CAST(from_unixtime(0, 'UTC') AS timestamp)").substring(0, 10), "1970-01-01", "a number as a time");
    }

    static void parameters(Connection connection) throws SQLException {
        same(one(connection, "SELECT COUNT(*) AS \"count\" FROM " + T + " WHERE " + T + ".\"region\" = ?", "north"), "334", "a text");
        same(one(connection, "SELECT COUNT(*) FROM " + T + " WHERE \"region\" = ? AND \"id\" BETWEEN ? AND ? AND \"ok\" = ?", "it's; -- \"", 1L, 5, true), "0", "a hostile text");
        same(one(connection, "SELECT COUNT(*) FROM " + T + " WHERE \"at\" >= from_iso8601_timestamp(?) AND \"at\" < from_iso8601_timestamp(?)", "2024-01-01T10:00:00", "2024-01-01T12:00:00Z"), "2", "times");
        same(one(connection, "SELECT COUNT(*) FROM " + T + " WHERE \"ordered_on\" = ?", java.sql.Date.valueOf("2024-01-02")), "17", "a date");
        same(one(connection, "SELECT CAST(? AS date)", "2014-08-02"), "2014-08-02", "a text as a date");
        same(one(connection, "SELECT COUNT(*) FROM " + T + " WHERE \"f\" > ? AND \"amount\" < ?", 10.5, new java.math.BigDecimal("100.25")), "56", "numbers");
        same(one(connection, "SELECT ? IS NULL", (Object) null), "true", "NULL");
    }

    static void errors(Connection connection) throws SQLException {
        try {
            rows(connection, "SELECT nope FROM " + T);
            check(false, "an error");
        } catch (SQLException e) {
            check(e.getMessage().contains("nope"), e.getMessage());
        }
        try {
            rows(connection, "SELECT * FROM \"sales\".\"nope\" WHERE \"id\" = ?", 1);
            check(false, "an error");
        } catch (SQLException e) {
            check(e.getMessage().contains("sales.nope"), e.getMessage());
        }
    }
}
