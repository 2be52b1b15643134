import java.math.BigDecimal;
import java.sql.*;
import java.util.*;

/** Arrow's JDBC driver for Flight SQL as a tool uses it: FlightSql.java PORT PASSWORD CERTIFICATE; ends with "ok" if all holds. */
public class FlightSql {
    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("user", "amelia");
        properties.setProperty("password", arguments[1]);
        properties.setProperty("useEncryption", "true");
        properties.setProperty("disableCertificateVerification", "true");
        String url = "jdbc:arrow-flight-sql://127.0.0.1:" + arguments[0];
        try (Connection connection = DriverManager.getConnection(url, properties)) {
            values(connection);
            parameters(connection);
            metadata(connection);
            errors(connection);
        }
        properties.setProperty("password", "wrong");
        try (Connection connection = DriverManager.getConnection(url, properties)) {
            check(false, "a wrong password was taken");
        } catch (SQLException error) {
            check(error.getMessage() != null, "a message");
        }
        System.out.println("ok");
    }

    static void values(Connection connection) throws SQLException {
        String sql = "SELECT 1::TINYINT, 9007199254740993, 1.50::DECIMAL(3,2), 'é', DATE '2024-02-29', TIMESTAMP '2024-01-02 03:04:05.678', true, 1.5::DOUBLE, NULL::INTEGER, "
                + "'\\x00\\xFF'::BLOB, [1, 2]";
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
            check(rows.next(), "a row");
            check(rows.getByte(1) == 1 && rows.getLong(2) == 9007199254740993L, "integers");
            check(rows.getBigDecimal(3).equals(new BigDecimal("1.50")) && rows.getString(4).equals("é"), "decimal, text");
            check(rows.getDate(5).toString().equals("2024-02-29"), "date " + rows.getDate(5));
            check(rows.getTimestamp(6).toLocalDateTime().toString().equals("2024-01-02T03:04:05.678"), "timestamp " + rows.getTimestamp(6));
            check(rows.getBoolean(7) && rows.getDouble(8) == 1.5 && rows.getObject(9) == null && rows.wasNull(), "boolean, double, null");
            check(Arrays.equals(rows.getBytes(10), new byte[] {0, -1}), "bytes");
            check(Arrays.equals((Object[]) rows.getArray(11).getArray(), new Object[] {1, 2}), "array");
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
            statement.executeUpdate("CREATE TEMP TABLE t (a INTEGER)");
            check(statement.executeUpdate("INSERT INTO t VALUES (1), (2)") == 2, "rows changed");
        }
    }

    static void parameters(Connection connection) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("SELECT x + CAST(? AS INTEGER), y FROM v WHERE y = ?")) {
            for (int i = 0; i < 3; i++) {
                statement.setInt(1, 41 + i);
                statement.setString(2, "a");
                try (ResultSet rows = statement.executeQuery()) {
                    check(rows.next() && rows.getInt(1) == 42 + i && rows.getString(2).equals("a") && !rows.next(), "parameters");
                }
            }
            check(statement.getMetaData().getColumnCount() == 2, "described");
        }
    }

    static void metadata(Connection connection) throws SQLException {
        DatabaseMetaData metadata = connection.getMetaData();
        check(metadata.getDatabaseProductName().toLowerCase().contains("moat"), "product " + metadata.getDatabaseProductName());
        Set<String> found = new HashSet<>();
        try (ResultSet rows = metadata.getTables("moat", "main", "%", null)) {
            while (rows.next()) {
                found.add(rows.getString("TABLE_NAME") + " " + rows.getString("TABLE_TYPE"));
            }
        }
        check(found.contains("v VIEW"), "tables " + found);
        try (ResultSet rows = metadata.getColumns("moat", "main", "v", "%")) {
            check(rows.next() && rows.getString("COLUMN_NAME").equals("x") && rows.getInt("DATA_TYPE") == Types.INTEGER, "columns");
            check(rows.next() && rows.getString("COLUMN_NAME").equals("y") && !rows.next(), "columns");
        }
        try (ResultSet rows = metadata.getSchemas("moat", "main")) {
            check(rows.next() && rows.getString("TABLE_SCHEM").equals("main"), "schemas");
        }
        try (ResultSet rows = metadata.getTableTypes()) {
            check(rows.next(), "types of tables");
        }
    }

    static void errors(Connection connection) throws SQLException {
        for (String sql : new String[] {"SELECT nope FROM v", "SELEC 1", "SELECT * FROM hidden"}) {
            try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(sql)) {
                check(false, sql);
            } catch (SQLException error) {
                String word = sql.contains("nope") ? "nope" : sql.contains("hidden") ? "hidden" : "SELEC";
                check(error.getMessage().contains(word), sql + ": " + error.getMessage());
            }
        }
    }
}
