import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/** Trino's JDBC driver as a tool uses it: Trino.java PORT PASSWORD CERTIFICATE; ends with 0 if all holds. */
public class Trino {
    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    static String first(Connection connection, String sql) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            return rows.next() ? rows.getString(1) : null;
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", "amelia");
        properties.setProperty("password", arguments[1]);
        properties.setProperty("SSL", "true");
        properties.setProperty("SSLTrustStorePath", arguments[2]);
        String url = "jdbc:trino://127.0.0.1:" + arguments[0] + "/moat/main";
        for (String[] way : new String[][] {{"true", "none"}, {"false", "json+zstd"}, {"true", "json+lz4"}, {"false", "json"}}) {
            properties.setProperty("explicitPrepare", way[0]);
            properties.remove("encoding");
            if (!way[1].equals("none")) {
                properties.setProperty("encoding", way[1]);
            }
            try (Connection connection = DriverManager.getConnection(url, properties)) {
                values(connection);
                parameters(connection);
                metadata(connection);
                errors(connection);
                cancels(connection);
            }
        }
        System.out.println("ok");
    }

    static void values(Connection connection) throws SQLException {
        String sql = "SELECT CAST(1 AS tinyint), BIGINT '9007199254740993', DECIMAL '1.50', 'é', DATE '2024-02-29', "
                + "TIMESTAMP '2024-01-02 03:04:05.678901', true, 1.5e0, NULL, X'00ff', ARRAY[1, 2], MAP(ARRAY['a'], ARRAY[1]), "
                + "TIMESTAMP '2024-01-02 03:04:05 +02:00', ROW(1, 'a'), TIME '01:02:03', UUID '7d444840-9dc0-11d1-b245-5ffdce74fad2'";
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            check(rows.next(), "a row");
            check(rows.getByte(1) == 1 && rows.getLong(2) == 9007199254740993L, "integers");
            check(rows.getBigDecimal(3).equals(new BigDecimal("1.50")) && rows.getString(4).equals("é"), "decimal, text");
            check(rows.getDate(5).toString().equals("2024-02-29"), "date");
            check(rows.getTimestamp(6).equals(Timestamp.valueOf("2024-01-02 03:04:05.678901")), "timestamp");
            check(rows.getBoolean(7) && rows.getDouble(8) == 1.5 && rows.getObject(9) == null, "boolean, double, null");
            check(Arrays.equals(rows.getBytes(10), new byte[] {0, -1}), "bytes");
            check(Arrays.equals((Object[]) rows.getArray(11).getArray(), new Object[] {1, 2}), "array");
            check(rows.getObject(12).equals(Map.of("a", 1)), "map");
            check(rows.getTimestamp(13).toInstant().toString().equals("2024-01-02T01:04:05Z"), "instant");
            check(rows.getObject(14).toString().contains("a"), "row");
            check(rows.getTime(15).toString().equals("01:02:03") && rows.getString(16).startsWith("7d444840"), "time, uuid");
            check(rows.getMetaData().getColumnTypeName(3).equals("decimal(3,2)"), "type name");
            check(!rows.next(), "one row");
        }
        long sum = 0;
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery("SELECT i FROM range(300000) t(i)")) {
            while (rows.next()) {
                sum += rows.getLong(1);
            }
        }
        check(sum == 300000L * 299999 / 2, "all rows");
        try (Statement statement = connection.createStatement()) {
            check(!statement.execute("SET SESSION query_max_run_time = '10m'"), "no rows");
            check(!statement.execute("CREATE TEMP TABLE t (a INTEGER)"), "no rows");
            statement.execute("USE moat.moat_system");
            check(first(connection, "SELECT current_schema").equals("moat_system"), "USE");
            statement.execute("USE moat.main");
        }
    }

    static void parameters(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT ? + x, ?, ?, ? FROM v WHERE y = ?")) {
            statement.setInt(1, 41);
            statement.setString(2, "it's");
            statement.setBigDecimal(3, new BigDecimal("1.50"));
            statement.setNull(4, Types.VARCHAR);
            statement.setString(5, "a");
            try (ResultSet rows = statement.executeQuery()) {
                check(rows.next() && rows.getInt(1) == 42 && rows.getString(2).equals("it's"), "parameters");
                check(rows.getBigDecimal(3).equals(new BigDecimal("1.50")) && rows.getString(4) == null, "parameters");
            }
        }
        try (PreparedStatement statement = connection.prepareStatement("SELECT x, y FROM v WHERE x = ?")) {
            check(statement.getMetaData().getColumnCount() == 2 && statement.getParameterMetaData().getParameterCount() == 1, "described");
        }
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        check(metadata.getDatabaseProductVersion().contains("moat"), "version " + metadata.getDatabaseProductVersion());
        try (ResultSet rows = metadata.getCatalogs()) {
            check(rows.next() && rows.getString("TABLE_CAT").equals("moat"), "catalogs");
        }
        try (ResultSet rows = metadata.getTables("moat", "main", "%", null)) {
            check(rows.next() && rows.getString("TABLE_NAME").equals("v") && rows.getString("TABLE_TYPE").equals("VIEW") && !rows.next(), "tables");
        }
        try (ResultSet rows = metadata.getColumns("moat", "main", "v", "%")) {
            check(rows.next() && rows.getString("COLUMN_NAME").equals("x") && rows.getInt("DATA_TYPE") == Types.INTEGER, "columns");
            check(rows.next() && rows.getString("TYPE_NAME").equals("varchar") && !rows.next(), "columns");
        }
        try (ResultSet rows = metadata.getSchemas("moat", "ma%")) {
            check(rows.next() && rows.getString("TABLE_SCHEM").equals("main"), "schemas");
        }
        for (ResultSet rows : List.of(metadata.getTableTypes(), metadata.getTypeInfo(), metadata.getProcedures(null, null, "%"),
                metadata.getUDTs(null, null, "%", null), metadata.getSuperTables(null, null, "%"), metadata.getPseudoColumns(null, null, "%", "%"))) {
            while (rows.next()) {
                check(rows.getMetaData().getColumnCount() > 0, "columns");
            }
            rows.close();
        }
    }

    static void errors(Connection connection) throws SQLException {
        Map<String, Integer> wrong = Map.of("SELECT nope FROM v", 47, "SELECT * FROM nope", 46, "SELEC 1", 1, "CREATE USER eve", 4);
        for (Map.Entry<String, Integer> one : wrong.entrySet()) {
            try {
                first(connection, one.getKey());
                check(false, one.getKey());
            } catch (SQLException error) {
                check(error.getErrorCode() == one.getValue(), one.getKey() + ": " + error.getErrorCode() + " " + error.getMessage());
            }
        }
    }

    static void cancels(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            Thread stopper = new Thread(() -> {
                try {
                    Thread.sleep(1500);
                    statement.cancel();
                } catch (Exception error) {
                    error.printStackTrace();
                }
            });
            stopper.start();
            try (ResultSet rows = statement.executeQuery("SELECT count(*) FROM range(100000000000) a, range(100000000000) b")) {
                rows.next();
                check(false, "it ended");
            } catch (SQLException error) {
                stopper.join();
            }
        }
        check(first(connection, "SELECT count(*) FROM moat.moat_system.running_queries").equals("1"), "nothing runs");
    }
}
