"""Why a driver's own test fails over Moat, when that is not Moat's mistake. The first rule that fits counts: by what the failure says, or,
where it only says that two values differ, by the test's name."""

import re

WRITES = "it writes: tables, types, functions or rows that Moat would have to keep itself"
TRANSACTION = "it makes or drops something inside a transaction"
LARGE_OBJECTS = "large objects"
NOTIFY = "LISTEN and NOTIFY"
PROCEDURAL = "procedural languages (DO)"
SLEEP = "pg_sleep is refused: it waits, and does nothing else"
RANGES = "range types"
NETWORK = "inet, cidr, macaddr are texts"
RECORDS = "records, composite types and domains are texts"
JSONB = "jsonb is json, in which numbers keep their form"
NESTED = "lists of lists are texts"
UNTYPED = "an array as a text without a cast takes no type from its surroundings"
BOUNDS = "arrays of several dimensions, or that do not begin at 1"
CONSTRAINTS = "a constraint that temporary tables have not: foreign keys, deferred ones, ON CONFLICT"
ROWS_NAME = "an alias of a table function names the row, not its column"
TIMETZ = "time with time zone is text"
NUMERIC = "numeric has at most 38 digits, and NaN is none"
MOMENTS = "the engine's own form of times: seconds are written, and what is below a microsecond is cut"
ISOLATION = "transactions are read committed"
ENCODING = "UTF-8 only"
FORWARD = "cursors go forward only"
SETTINGS = "a setting of PostgreSQL's that Moat has not, or not with that value"
SCALAR_FROM = "a scalar function in FROM"
FUNCTIONS = "a function of PostgreSQL's that Moat has not"
TYPES = "a type of PostgreSQL's that Moat has not"
LIMITS = "a limit of statements or results"
STANDBY = "it starts a PostgreSQL of its own, which needs what is not here"
LIBPQ = "the binary package of the driver brings another libpq than the test loads"
NUMBERS = "transactions have no numbers (txid_current)"
EXPLAIN = "EXPLAIN with options of PostgreSQL's"
EMPTY = "SELECT without columns"
PARAMETERS = "a parameter that only an operator or a function of several forms gives a type is text"
NAMED = "EXECUTE in SQL does not know statements that the protocol has prepared"
GRANTS = "GRANT WITH GRANT OPTION"
TLS = "TLS, which the server of this run has not been given"
DATABASES = "a database that is set up for each way of signing in"
NORMAL_FORM = "passwords are not brought to Unicode's normal form (NFKC)"
PERSON = "SET SESSION AUTHORIZATION: a session is the person's who signed in"
TWO_PHASES = "two-phase commit (PREPARE TRANSACTION)"
OPERATORS = "an operator of PostgreSQL's that Moat has not"
FORCE_QUOTE = "COPY TO quotes all columns or none"
CHARACTER = "\"char\" is text"
PADDED = "char(n) is text, without blanks at its end, and no element of an array"
PREPARED = "pg_prepared_statements lists none"
DIVISION = "division by zero is no error, and integers divide to a double"
IN_BETWEEN = "statement_timeout counts while a statement runs, not between messages"
COLUMN_NAMES = "a column without a name is named as its expression is written"
SERIES = "generate_series over integers gives bigint"
SEARCH_PATH = "search_path names schemas that are there"
PLANNED = "a statement is planned when it is described, not when it is parsed"
SECRET = "the key to cancel with is long in protocol 3.2, for which this test wants a server_version of 18"
DEBUG = "notices below NOTICE"
FIELDS = "an error names no schema, table, column or constraint in fields of their own"
ALTER_TEMP = "columns of a temporary table do not change (ALTER TABLE)"
CONTEXT = "errors of COPY are worded otherwise"
COPY_RULES = "COPY looks at the rules of a table (NOT NULL) when all of its rows are there"
GIVEN_UP = "asyncpg tells a later test of a connection that its client gave up while it was made"
ZONE = "times with a zone are shown and read in UTC, whatever TimeZone says"
BYTES = "it counts bytes, and PostgreSQL's are fewer: it says int4 where Moat says int8"
NO_BITS = "an empty string of bits"
TYPMODS = "columns of results have no length (varchar(n)) or precision of PostgreSQL's"
JSON_LISTS = "a parameter that is cast to an array of json is text"

BY_TEXT = [
    (r"lo_open|lo_creat|lo_import|lo_unlink|large object", LARGE_OBJECTS),
    (r"(LISTEN|NOTIFY) is not a statement", NOTIFY),
    (r"DO is not a statement", PROCEDURAL),
    (r'function \\?"pg_sleep(_for|_until)?\\?" is not allowed', SLEEP),
    (r"CREATE TABLE without EXTERNAL|this form of CREATE|(INSERT|UPDATE|DELETE|TRUNCATE|MERGE|CALL|COMMENT|REINDEX|VACUUM|LOCK|ANALYZE) is not a statement"
     r"|expected EXTERNAL TABLE|expected TABLE, VIEW, SCHEMA|cannot be written with COPY FROM|works on temporary tables only", WRITES),
    (r"cannot run inside a transaction block|cannot be followed by others in one message", TRANSACTION),
    (r'type "\w*(range|multirange)" does not exist|function "\w+range" does not exist', RANGES),
    (r'type "(cidr|inet|macaddr8?)(\[\])?" does not exist', NETWORK),
    (r'type "\w+(\[\])?" does not exist', TYPES),
    (r"invalid input syntax for type (timestamp|date|time)|invalid timestamp field format|invalid date field format|time field value out of range", MOMENTS),
    (r"Unimplemented type for cast \(.*\[\] -> ", NESTED),
    (r"and VARCHAR in IN/ANY/ALL clause", UNTYPED),
    (r"can't be cast to the destination type \w+\[\]", BOUNDS),
    (r'is no constraint that a temporary table has|at \\?"deferrable', CONSTRAINTS),
    (r"ALTER TABLE does not work on temporary tables", ALTER_TEMP),
    (r"Cannot cast empty string to BIT", NO_BITS),
    (r'has too many digits|invalid input syntax for type numeric: "NaN"', NUMERIC),
    (r"a list of bpchar", PADDED),
    (r'transactions are "read committed"|isolation', ISOLATION),
    (r'parameter "client_encoding"', ENCODING),
    (r"cursors go forward only|scroll destination out of bounds", FORWARD),
    (r'invalid value for parameter|unknown configuration key', SETTINGS),
    (r'function "\w+" cannot stand here', SCALAR_FROM),
    (r"takes \(STRUCT\(generate_series", ROWS_NAME),
    (r"the statement has \d+ bytes|more than 65536 elements|more than 20000 parameters", LIMITS),
    (r"near \"FORMAT\"", EXPLAIN),
    (r"SELECT clause without selection list", EMPTY),
    (r'function "\w+" does not exist', FUNCTIONS),
    (r"ClusterError: pg_ctl init", STANDBY),
    (r"ROWS WHERE or MASKED WITH", GRANTS),
    (r"Server refuses SSL", TLS),
    (r'database "pg8000_\w+" does not exist', DATABASES),
    (r"a session is the person's who signed in", PERSON),
    (r"UNNEST not supported here", UNTYPED),
    (r"arrays of more than one dimension cannot be parameters", BOUNDS),
    (r"COPY with FORCE_QUOTE of single columns", FORCE_QUOTE),
    (r"qchar_test\.go", CHARACTER),
    (r'takes \(INTEGER, VARCHAR\)|more than one form of \\?"\W\\?" takes|unable to encode \d+ into text format for text', PARAMETERS),
    (r"Cardinality can only operate on MAPs", FUNCTIONS),
    (r"Can't pack nothing into a struct", RECORDS),
    (r"Unimplemented type for cast \(STRUCT\(unnest", ROWS_NAME),
    (r"the statement is too complex", LIMITS),
    (r'schema "\w+" does not exist', SEARCH_PATH),
    (r"a timestamp is out of range|timestamp field value out of range", MOMENTS),
    (r"Malformed JSON at byte 1 of input: unexpected character\. Input: .\[\\*'\{", JSON_LISTS),
]

BY_NAME = {
    "psycopg2": [
        (r"JsonbTestCase", JSONB),
        (r"test_notices", DEBUG),
        (r"test_9_3_diagnostics", FIELDS),
        (r"test_copy_(from|to)_segfault", WRITES),
        (r"test_copy_from_insane_size", LIMITS),
        (r"(INET|inet|Networking)", NETWORK),
        (r"AdaptTypeTestCase|CompositeTestCase", RECORDS),
        (r"testArray|ArrayTests", NESTED),
        (r"timetz", TIMETZ),
        (r"test_micros_rounding", MOMENTS),
        (r"test_set_isolation_level|test_mixing_session_attribs|test_idempotence_check|test_set_default|TransactionControlTests", ISOLATION),
        (r"test_pgconn_ptr", LIBPQ),
    ],
    "asyncpg": [
        (r"test_timetz", TIMETZ),
        (r"test_relacl_array_type", WRITES),
        (r"test_pool_(config_persistence|max_inactive_time)", GIVEN_UP),
        (r"test_numeric", NUMERIC),
        (r"test_pool_release_in_xact", NUMBERS),
        (r"test_prepare_19|TestCloseTimeoutPendingCancel", SLEEP),
        (r"test_prepare_21|test_copy_from_query_(to|with)_|test_pool_connection_methods", PARAMETERS),
        (r"test_prepare_explicitly_named", NAMED),
    ],
    "pg8000": [
        (r"test_tpc_prepare", TWO_PHASES),
        (r"test_copy_from_with_error", CONTEXT),
        (r"test_timestamp_mismatch", ZONE),
        (r"test_max_parameters", LIMITS),
        (r"test_xml_roundtrip", FUNCTIONS),
        (r"test_jsonb_access_path", OPERATORS),
        (r"test_bytes_password", NORMAL_FORM),
        (r"test_close_prepared_statement", PREPARED),
        (r"test_decimal_roundtrip|test_numeric_out", NUMERIC),
        (r"test_char_out|test_in\['hello'::char", PADDED),
        (r"test_in\[\(1,2\)", RECORDS),
        (r"inet", NETWORK),
        (r"test_roundtrip_oid\[.*-3802\]", JSONB),
        (r"test_roundtrip_oid", TYPES),
    ],
    "pgx": [
        (r"TestConnCopyFromFailServerSideMidwayAbortsWithoutWaiting", COPY_RULES),
        (r"MultiplePrepareAndDeallocate", PREPARED),
        (r"DeferredError|TestConnQueryRowConstraintErrors", CONSTRAINTS),
        (r"TestForEachRowScanError|TestConnQueryReadWrongTypeError", COLUMN_NAMES),
        (r"NetworkUsage", BYTES),
        (r"TestRowsColumnType", TYPMODS),
        (r"TestConnBeginTxIsolation", ISOLATION),
        (r"Example_childRecords", RECORDS),
        (r"TimeoutBetweenParseAndDescribe", IN_BETWEEN),
        (r"TestConnSendBatchBeginTxOptions", ISOLATION),
        (r"AbortedTransaction|TestQuery(Row)?ContextErrorWhile|ErrorWhileReturningRows|ErrorWhileReadingResults|SendBatch(BeginTx)?QueryError", DIVISION),
        (r"TestConnOnPgError|TestPipelineFlushWithError|TestPipelineQueryErrorBetweenSyncs|TestConnExecBatchImplicitTransaction|MultipleQueriesError", DIVISION),
        (r"TestTx(BeginFunc)?Nested|TestTxCommitWhen|TestTransactionSuccessful|TestBeginFunc", CONSTRAINTS),
        (r"LoadsArrayDelimiter", TYPES),
        (r"TestArrayCodecTypedNilElementWithValuer", JSON_LISTS),
        (r"TestPrepareFailedParseSchedulesNoCleanup", PLANNED),
        (r"TestConnectProtocolVersion32", SECRET),
        (r"TestConnQueryDatabaseSQLNullFloat64NegativeZeroPointZero", NUMERIC),
        (r"TestDomainType|TestRecordCodec|TestConnQueryValuesWhenUnableToDecode", RECORDS),
        (r"CursorFetch|TestTrace$", SERIES),
        (r"Inet", NETWORK),
        (r"JSONCodecUnmarshalSQLNull|JSONBCodecUnmarshalSQLNull|TestJSONAndJSONBTranscodeExtendedOnly", COLUMN_NAMES),
        (r"TestJSONBCodec", JSONB),
        (r"TestNumeric", NUMERIC),
        (r"TestTextCodecBPChar", PADDED),
        (r"TestConnCancelRequest|Canceled|ContextWatcher|TestTxRollbackOnClosedConn", SLEEP),
    ],
}


def of(suite, name, text):
    for pattern, reason in BY_TEXT:
        if re.search(pattern, text):
            return reason
    for pattern, reason in BY_NAME[suite]:
        if re.search(pattern, name):
            return reason
    return None
