// Hive's metastore over Derby in memory. It makes its own tables as it needs them, but for those of its locks, which a release makes by
// scripts that no jar carries: those are made here, as TxnHandler asks for them. Who may do what it asks a listener, as it asks those of
// Ranger and of Hive itself.
//
//   java -cp CONF:JARS Metastore    (compiled by javac)
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.Statement;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.hive.metastore.HiveMetaStore;
import org.apache.hadoop.hive.metastore.MetaStorePreEventListener;
import org.apache.hadoop.hive.metastore.api.MetaException;
import org.apache.hadoop.hive.metastore.api.Table;
import org.apache.hadoop.hive.metastore.conf.MetastoreConf;
import org.apache.hadoop.hive.metastore.events.PreAlterTableEvent;
import org.apache.hadoop.hive.metastore.events.PreDropTableEvent;
import org.apache.hadoop.hive.metastore.events.PreEventContext;
import org.apache.hadoop.hive.metastore.events.PreReadTableEvent;
import org.apache.hadoop.security.UserGroupInformation;

public class Metastore {
    private static final String[] LOCKS = {
        "CREATE TABLE NEXT_LOCK_ID (NL_NEXT BIGINT NOT NULL)",
        "INSERT INTO NEXT_LOCK_ID VALUES (1)",
        "CREATE TABLE HIVE_LOCKS (HL_LOCK_EXT_ID BIGINT NOT NULL, HL_LOCK_INT_ID BIGINT NOT NULL, HL_TXNID BIGINT NOT NULL, "
            + "HL_DB VARCHAR(128) NOT NULL, HL_TABLE VARCHAR(256), HL_PARTITION VARCHAR(767), HL_LOCK_STATE CHAR(1) NOT NULL, "
            + "HL_LOCK_TYPE CHAR(1) NOT NULL, HL_LAST_HEARTBEAT BIGINT NOT NULL, HL_ACQUIRED_AT BIGINT, HL_USER VARCHAR(128) NOT NULL, "
            + "HL_HOST VARCHAR(128) NOT NULL, HL_HEARTBEAT_COUNT INTEGER, HL_AGENT_INFO VARCHAR(128), HL_BLOCKEDBY_EXT_ID BIGINT, "
            + "HL_BLOCKEDBY_INT_ID BIGINT, HL_CATALOG VARCHAR(128) DEFAULT 'hive', PRIMARY KEY (HL_LOCK_EXT_ID, HL_LOCK_INT_ID))",
        "CREATE TABLE AUX_TABLE (MT_KEY1 VARCHAR(128) NOT NULL, MT_KEY2 BIGINT NOT NULL, MT_COMMENT VARCHAR(255), "
            + "PRIMARY KEY (MT_KEY1, MT_KEY2))",
        "CREATE TABLE TXNS (TXN_ID BIGINT PRIMARY KEY, TXN_STATE CHAR(1) NOT NULL, TXN_STARTED BIGINT NOT NULL, "
            + "TXN_LAST_HEARTBEAT BIGINT NOT NULL, TXN_USER VARCHAR(128) NOT NULL, TXN_HOST VARCHAR(128) NOT NULL, "
            + "TXN_AGENT_INFO VARCHAR(128), TXN_META_INFO VARCHAR(128), TXN_HEARTBEAT_COUNT INTEGER, TXN_TYPE INTEGER)",
    };

    /** Lines "WHO DATABASE.TABLE" of a file: who may not touch what. */
    public static class Rules extends MetaStorePreEventListener {
        public Rules(Configuration configuration) {
            super(configuration);
        }

        @Override
        public void onEvent(PreEventContext event) throws MetaException {
            if (event instanceof PreReadTableEvent read) {
                check(read.getTable());
            } else if (event instanceof PreAlterTableEvent alter) {
                check(alter.getOldTable());
            } else if (event instanceof PreDropTableEvent drop) {
                check(drop.getTable());
            }
        }

        private void check(Table table) throws MetaException {
            try {
                String who = UserGroupInformation.getCurrentUser().getShortUserName();
                String name = table.getDbName() + "." + table.getTableName();
                if (Files.readAllLines(Path.of(getConf().get("suite.rules"))).contains(who + " " + name)) {
                    throw new MetaException("Permission denied: user [" + who + "] may not touch [" + name + "]");
                }
            } catch (IOException error) {
                throw new MetaException(error.toString());
            }
        }
    }

    public static void main(String[] arguments) throws Throwable {
        String url = MetastoreConf.getVar(MetastoreConf.newMetastoreConf(), MetastoreConf.ConfVars.CONNECT_URL_KEY);
        try (Connection connection = DriverManager.getConnection(url); Statement statement = connection.createStatement()) {
            for (String text : LOCKS) {
                statement.execute(text);
            }
        }
        HiveMetaStore.main(arguments);
    }
}
