import java.sql.*;
import java.util.*;

/** Trino's JDBC driver whose person signs in by a browser: External.java PORT CERTIFICATE; prints the address to open, then who they are, twice. */
public class External {
    public static void main(String[] arguments) throws Exception {
        Properties properties = new Properties();
        properties.setProperty("SSL", "true");
        properties.setProperty("SSLTrustStorePath", arguments[1]);
        properties.setProperty("externalAuthentication", "true");
        properties.setProperty("externalAuthenticationRedirectHandlers", "PRINT");
        properties.setProperty("externalAuthenticationTokenCache", "MEMORY");
        for (int i = 0; i < 2; i++) {
            try (Connection connection = DriverManager.getConnection("jdbc:trino://127.0.0.1:" + arguments[0] + "/moat/main?user=bob", properties);
                 Statement statement = connection.createStatement();
                 ResultSet rows = statement.executeQuery("SELECT current_user, x FROM v")) {
                rows.next();
                System.out.println("I am " + rows.getString(1) + " " + rows.getInt(2));
            }
        }
    }
}
