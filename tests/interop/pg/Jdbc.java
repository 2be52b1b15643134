import java.io.StringReader;
import java.sql.*;
import java.time.*;
import java.util.*;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;

/** pgjdbc as it comes: metadata, prepared statements by name and as binary, fetch size, batches of reads, errors, transactions. */
public class Jdbc {
    static void same(Object wanted, Object got) {
        if (!Objects.equals(wanted, got)) {
            throw new AssertionError("wanted " + wanted + ", got " + got);
        }
    }

    static List<String> names(ResultSet rows, String column) throws SQLException {
        List<String> found = new ArrayList<>();
        while (rows.next()) {
            found.add(rows.getString(column));
        }
        return found;
    }

    static void metadata(Connection c) throws SQLException {
        DatabaseMetaData m = c.getMetaData();
        same("PostgreSQL", m.getDatabaseProductName());
        same(true, names(m.getSchemas(), "TABLE_SCHEM").contains("main"));
        same(List.of("flights"), names(m.getTables(null, "main", "flights", null), "TABLE_NAME"));
        same(List.of("id", "origin", "delay", "day"), names(m.getColumns(null, "main", "flights", "%"), "COLUMN_NAME"));
        try (ResultSet columns = m.getColumns(null, "main", "flights", "day")) {
            columns.next();
            same(Types.DATE, columns.getInt("DATA_TYPE"));
        }
        same(List.of(), names(m.getPrimaryKeys(null, "main", "flights"), "COLUMN_NAME"));
        same(List.of(), names(m.getImportedKeys(null, "main", "flights"), "FKCOLUMN_NAME"));
        same(List.of(), names(m.getIndexInfo(null, "main", "flights", false, true), "INDEX_NAME"));
        same(true, names(m.getTypeInfo(), "TYPE_NAME").contains("int8"));
        same(true, names(m.getTableTypes(), "TABLE_TYPE").contains("TABLE"));
        names(m.getProcedures(null, null, "%"), "PROCEDURE_NAME");
        names(m.getFunctions(null, null, "abs"), "FUNCTION_NAME");
        names(m.getTablePrivileges(null, "main", "flights"), "PRIVILEGE");
        same(List.of("moat"), names(m.getCatalogs(), "TABLE_CAT").stream().filter("moat"::equals).toList());
    }

    /** Batches into a table of the session: 300 rows, keys that come back, and one that breaks a rule. */
    static void batches(Connection c) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute("CREATE TEMP TABLE batched (id SERIAL PRIMARY KEY, a INTEGER UNIQUE, b VARCHAR(20), d DATE, n DECIMAL(9,2))");
        }
        String sql = "INSERT INTO batched (a, b, d, n) VALUES (?, ?, ?, ?)";
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < 300; i++) {
                s.setInt(1, i);
                s.setString(2, i % 3 == 0 ? null : "it's " + i);
                s.setObject(3, LocalDate.of(2020, 2, 29));
                s.setBigDecimal(4, new java.math.BigDecimal("1.25"));
                s.addBatch();
            }
            int[] counts = s.executeBatch();
            same(300, counts.length);
            same(300, Arrays.stream(counts).sum());
        }
        try (PreparedStatement s = c.prepareStatement(sql, new String[] {"id"})) {
            s.setInt(1, 1000);
            s.setString(2, "key");
            s.setNull(3, Types.DATE);
            s.setNull(4, Types.NUMERIC);
            same(1, s.executeUpdate());
            try (ResultSet keys = s.getGeneratedKeys()) {
                same(true, keys.next());
                same(301, keys.getInt(1));
            }
        }
        try (PreparedStatement s = c.prepareStatement("UPDATE batched SET b = ? WHERE a = ?")) {
            for (int i = 0; i < 10; i++) {
                s.setString(1, "new");
                s.setInt(2, i);
                s.addBatch();
            }
            same(10, Arrays.stream(s.executeBatch()).sum());
        }
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int a : new int[] {5000, 5000}) {
                s.setInt(1, a);
                s.setString(2, "twice");
                s.setNull(3, Types.DATE);
                s.setNull(4, Types.NUMERIC);
                s.addBatch();
            }
            s.executeBatch();
            throw new AssertionError("a key came twice");
        } catch (BatchUpdateException e) {
            same("23505", e.getSQLState());
        }
        try (Statement s = c.createStatement(); ResultSet r = s.executeQuery("SELECT count(*), count(b), sum(n), count(*) FILTER (b = 'new') FROM batched WHERE a < 5000")) {
            r.next();
            same(301, r.getInt(1));
            same(205, r.getInt(2));
            same("375.00", r.getString(3));
            same(10, r.getInt(4));
        }
    }

    static void values(Connection c) throws SQLException {
        String sql = "SELECT ?::INTEGER, ?::BIGINT, ?::DOUBLE, ?::DECIMAL(9,2), ?::VARCHAR, ?::DATE, ?::TIMESTAMP, ?::BOOLEAN, ?::BYTEA, ?::INTEGER, ?::UUID";
        UUID uuid = UUID.fromString("11111111-2222-3333-4444-555555555555");
        try (PreparedStatement s = c.prepareStatement(sql)) {
            for (int i = 0; i < 10; i++) { // from the fifth on by name, and as binary
                s.setInt(1, i);
                s.setLong(2, 1L << 40);
                s.setDouble(3, 0.1);
                s.setBigDecimal(4, new java.math.BigDecimal("-1.50"));
                s.setString(5, "naïve'\\");
                s.setObject(6, LocalDate.of(2020, 2, 29));
                s.setObject(7, LocalDateTime.of(1999, 12, 31, 23, 59, 59, 999999000));
                s.setBoolean(8, true);
                s.setBytes(9, new byte[] {0, (byte) 255});
                s.setNull(10, Types.INTEGER);
                s.setObject(11, uuid);
                try (ResultSet r = s.executeQuery()) {
                    r.next();
                    same(i, r.getInt(1));
                    same(1L << 40, r.getLong(2));
                    same(0.1, r.getDouble(3));
                    same(new java.math.BigDecimal("-1.50"), r.getBigDecimal(4));
                    same("naïve'\\", r.getString(5));
                    same(LocalDate.of(2020, 2, 29), r.getObject(6, LocalDate.class));
                    same(LocalDateTime.of(1999, 12, 31, 23, 59, 59, 999999000), r.getObject(7, LocalDateTime.class));
                    same(true, r.getBoolean(8));
                    same(-1, (int) r.getBytes(9)[1]);
                    same(0, r.getInt(10));
                    same(true, r.wasNull());
                    same(uuid, r.getObject(11));
                }
            }
        }
        try (PreparedStatement s = c.prepareStatement("SELECT i FROM range(9) t(i) WHERE i = ANY(?) ORDER BY i")) {
            s.setArray(1, c.createArrayOf("int8", new Long[] {1L, 5L}));
            same(List.of("1", "5"), names(s.executeQuery(), "i"));
        }
        try (ResultSet r = c.createStatement().executeQuery("SELECT [1, 2, NULL]")) {
            r.next();
            same(Arrays.asList(1, 2, null), Arrays.asList((Object[]) r.getArray(1).getArray()));
        }
        try (PreparedStatement s = c.prepareStatement("SELECT id, delay FROM flights WHERE origin = ?")) {
            same(1, s.getParameterMetaData().getParameterCount());
            same("delay", s.getMetaData().getColumnName(2));
            same(Types.DOUBLE, s.getMetaData().getColumnType(2));
        }
    }

    static void cursors(Connection c) throws SQLException {
        c.setAutoCommit(false);
        try (Statement s = c.createStatement()) {
            s.setFetchSize(100);
            try (ResultSet r = s.executeQuery("SELECT * FROM range(1000)")) {
                long sum = 0;
                while (r.next()) {
                    sum += r.getLong(1);
                }
                same(499500L, sum);
            }
            Savepoint point = c.setSavepoint("a");
            try {
                s.executeQuery("SELECT * FROM nope");
                throw new AssertionError("no error");
            } catch (SQLException e) {
                same("42P01", e.getSQLState());
            }
            c.rollback(point);
            same(true, s.execute("SELECT 1"));
        }
        c.commit();
        c.setReadOnly(true);
        same(true, c.isReadOnly());
        c.setReadOnly(false);
        c.setAutoCommit(true);
        try (Statement s = c.createStatement()) {
            s.setQueryTimeout(1);
            s.executeQuery("SELECT count(*) FROM range(100000000000) a, range(100000000000) b");
            throw new AssertionError("no timeout");
        } catch (SQLException e) {
            same("57014", e.getSQLState());
        }
        same(true, c.isValid(5));
    }

    static void copies(Connection c) throws Exception {
        c.createStatement().execute("CREATE TEMP TABLE copied (a INTEGER, b VARCHAR)");
        CopyManager copies = c.unwrap(PGConnection.class).getCopyAPI();
        same(2L, copies.copyIn("COPY copied FROM STDIN WITH (FORMAT csv)", new StringReader("1,x\n2,\n")));
        CopyIn in = copies.copyIn("COPY copied FROM STDIN");
        byte[] line = "3\tdrei\n".getBytes();
        in.writeToCopy(line, 0, 3);
        in.writeToCopy(line, 3, line.length - 3);
        same(1L, in.endCopy());
        in = copies.copyIn("COPY copied FROM STDIN");
        in.writeToCopy(line, 0, line.length);
        in.cancelCopy();
        try {
            copies.copyIn("COPY copied FROM STDIN", new StringReader("x\ty\n"));
            throw new AssertionError("no error");
        } catch (SQLException e) {
            same("22P02", e.getSQLState());
        }
        try (ResultSet rows = c.createStatement().executeQuery("SELECT b FROM copied ORDER BY a")) {
            same(Arrays.asList("x", null, "drei"), names(rows, "b"));
        }
    }

    public static void main(String[] words) throws Exception {
        for (String extra : new String[] {"", "&binaryTransfer=true&prepareThreshold=-1", "&preferQueryMode=simple"}) {
            String url = "jdbc:postgresql://127.0.0.1:" + words[0] + "/moat?user=amelia&password=" + words[1].replace(" ", "%20") + extra;
            try (Connection c = DriverManager.getConnection(url)) {
                if (extra.isEmpty()) {
                    metadata(c);
                    cursors(c);
                    copies(c);
                }
                if (!extra.contains("simple")) {
                    values(c);
                    batches(c);
                }
                same(true, c.createStatement().execute("SELECT 1"));
            }
        }
    }
}
