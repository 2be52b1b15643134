/* The skeleton parser: what Moat itself runs (DDL, grants, SHOW, SET ...), and the frame around
 * what the engine runs. Embedded queries and expressions stay slices of the text and go through
 * the engine's own parser (sql/ast.h), so no second grammar can disagree with what runs. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "sql/alter.h"
#include "sql/relation.h"

enum statement_kind {
    STATEMENT_QUERY,    /* SELECT, WITH, VALUES, FROM, TABLE, PIVOT, (, SUMMARIZE: for the engine */
    STATEMENT_EXPLAIN,  /* EXPLAIN [ANALYZE] [(PHYSICAL)] query */
    STATEMENT_DESCRIBE, /* DESCRIBE name | DESCRIBE query */
    STATEMENT_CREATE_TABLE,   /* CREATE [OR REPLACE] EXTERNAL TABLE [IF NOT EXISTS] ... */
    STATEMENT_CREATE_MANAGED, /* CREATE TABLE t (a INTEGER, ...) | AS query: in a lake */
    STATEMENT_CREATE_VIEW,
    STATEMENT_CREATE_SCHEMA, /* ... [WITH (property = value, ...)] */
    STATEMENT_ALTER_SCHEMA,  /* SET (property = value, ...) | UNSET (property, ...) */
    STATEMENT_ATTACH, /* ATTACH [OR REPLACE] [IF NOT EXISTS] 'location' AS name (TYPE t, ...) */
    STATEMENT_DETACH,
    STATEMENT_DROP,        /* TABLE | VIEW | SCHEMA | USER | ROLE */
    STATEMENT_ALTER_TABLE, /* RENAME TO | SET SCHEMA | REFRESH | what sql/alter.h lists */
    STATEMENT_CREATE_TEMP, /* CREATE TEMP TABLE t (a INTEGER, ...) | [(a, ...)] AS query */
    STATEMENT_INSERT,      /* INSERT INTO t [(a, ...)] query | DEFAULT VALUES [RETURNING ...] */
    STATEMENT_UPDATE, /* UPDATE t SET a = expression, ... [FROM ...] [WHERE ...] [RETURNING ...] */
    STATEMENT_DELETE, /* DELETE FROM t [a] [USING ...] [WHERE ...] [RETURNING ...] */
    STATEMENT_MERGE,  /* MERGE INTO t [a] USING s ON ... WHEN ... [RETURNING ...] */
    STATEMENT_TRUNCATE,
    STATEMENT_COMMENT,          /* COMMENT ON TABLE | VIEW | COLUMN ... IS 'text' | NULL */
    STATEMENT_CREATE_PRINCIPAL, /* USER | ROLE */
    STATEMENT_ALTER_USER,
    STATEMENT_ALTER_LIMITS,   /* ALTER USER | ROLE name SET (limit = value, ...) | UNSET (...) */
    STATEMENT_CREATE_API_KEY, /* CREATE API KEY name [FOR USER u] [EXPIRES ...] */
    STATEMENT_REVOKE_API_KEY,
    STATEMENT_GRANT, /* GRANT and DENY */
    STATEMENT_REVOKE,
    STATEMENT_GRANT_ROLE, /* GRANT ROLE r TO m, REVOKE ROLE r FROM m */
    STATEMENT_SHOW,
    STATEMENT_CHECK_ACCESS,
    STATEMENT_SET, /* SET name = value, RESET name | ALL, SHOW name is STATEMENT_SHOW */
    STATEMENT_USE,
    STATEMENT_PREPARE,
    STATEMENT_EXECUTE,
    STATEMENT_DEALLOCATE,
    STATEMENT_COPY,        /* COPY (query) TO 'file' (FORMAT f) */
    STATEMENT_COPY_IN,     /* COPY t [(a, ...)] FROM STDIN ... */
    STATEMENT_CALL,        /* CALL moat.procedure(name => value, ...) */
    STATEMENT_TRANSACTION, /* BEGIN, COMMIT, ROLLBACK, SAVEPOINT ... */
    STATEMENT_REFUSED, /* a statement of the engine that this program never runs (INSTALL, PRAGMA,
                           CALL, LOAD, EXPORT, INSERT ...): `refused_word` names it */
};

enum transaction_kind {
    TRANSACTION_BEGIN,
    TRANSACTION_COMMIT,
    TRANSACTION_ROLLBACK,
    TRANSACTION_SAVEPOINT,
    TRANSACTION_RELEASE,
    TRANSACTION_ROLLBACK_TO,
};

enum object_kind {
    OBJECT_TABLE,
    OBJECT_VIEW,
    OBJECT_SCHEMA,
    OBJECT_USER,
    OBJECT_ROLE
};

enum temp_rule_kind {
    RULE_NOT_NULL,
    RULE_DEFAULT,
    RULE_SERIAL, /* numbers itself: serial, GENERATED ... AS IDENTITY */
    RULE_CHECK,
    RULE_LENGTH, /* of char(n), varchar(n), bit(n), varbit(n), which are types without n here */
    RULE_UNIQUE,
    RULE_PRIMARY_KEY,
};

/* A constraint or default of a temporary table. */
struct temp_rule {
    enum temp_rule_kind kind;
    struct slice name;           /* CONSTRAINT name; empty: by what it is about */
    const struct slice *columns; /* all but CHECK, which has at most the one that it stands at */
    size_t column_count;
    struct slice
        expression;  /* DEFAULT, CHECK: of the text; LENGTH: PostgreSQL's name of the type */
    uint64_t length; /* LENGTH: n, the largest or, of bit(n), the only one */
    int64_t next;    /* SERIAL: the number of the next row */
};

struct statement_mask {
    struct slice column;
    struct slice expression; /* a slice of the text, at `expression.ptr - text.ptr` */
};

struct statement_grant {
    bool is_deny;
    unsigned privileges; /* enum privilege bits of system.h; all of them: ALL */
    const struct slice *columns;
    size_t column_count;          /* 0: all */
    enum object_kind object_kind; /* OBJECT_TABLE (also views) or OBJECT_SCHEMA */
    struct sql_name object;
    bool grantee_kind_given; /* TO ROLE x / TO USER x; otherwise looked up */
    bool grantee_is_role;
    struct slice grantee;
    struct slice rows; /* expression text of ROWS WHERE; empty = none */
    const struct statement_mask *masks;
    size_t mask_count;
};

/* What a column of CREATE TABLE says beside its name and type. */
struct statement_column {
    bool is_required;
    struct slice default_value; /* a literal ready to print; empty = none */
    struct slice comment;
};

/* SET a = 1, b.c = 2, of UPDATE and MERGE; (a, b) VALUES (1, 2). */
struct statement_assignments {
    const struct slice *columns;
    const struct slice *paths; /* behind each: ".x.y" as it is written; empty: the column itself */
    size_t count;
    const struct slice *values; /* of INSERT without columns: more than those */
    size_t value_count;
};

/* One WHEN of MERGE. */
struct statement_merge {
    enum {
        MERGE_MATCHED,
        MERGE_NOT_MATCHED, /* BY TARGET: a row of the source alone */
        MERGE_NOT_MATCHED_BY_SOURCE,
    } when;
    struct slice condition; /* empty: none */
    enum {
        MERGE_UPDATE,
        MERGE_DELETE,
        MERGE_INSERT,
        MERGE_NOTHING,
    } action;
    bool is_star; /* UPDATE SET *, INSERT * */
    bool has_default_values;
    struct statement_assignments set; /* UPDATE, INSERT */
};

enum show_kind {
    SHOW_TABLES,
    SHOW_SCHEMAS,
    SHOW_CATALOGS,
    SHOW_COLUMNS,
    SHOW_VIEWS,
    SHOW_USERS,
    SHOW_ROLES,
    SHOW_GRANTS,
    SHOW_API_KEYS,
    SHOW_LIMITS,
    SHOW_EFFECTIVE_POLICY,
    SHOW_FUNCTIONS,
    SHOW_SETTING,
    SHOW_ALL_SETTINGS,
    SHOW_CREATE,
    SHOW_CREATE_SCHEMA,
};

struct statement {
    enum statement_kind kind;
    struct slice text; /* the whole statement */
    const char *tag;   /* command tag: "CREATE TABLE", "GRANT", "SELECT" ... */

    /* QUERY, EXPLAIN, DESCRIBE, CREATE_VIEW, PREPARE, COPY, CREATE_TEMP, INSERT: of text */
    struct slice query;
    bool is_analyze, is_physical; /* EXPLAIN */
    struct sql_name name;         /* the object */
    enum object_kind object_kind; /* DROP, CREATE_PRINCIPAL */
    bool or_replace, if_not_exists, if_exists, cascade, is_definer;

    const struct statement_column *details; /* CREATE_MANAGED: of each of `columns` */
    struct slice constraint; /* CREATE_MANAGED: the first that columns do not take; empty = none */
    const struct statement_transform *partitions;
    size_t partition_count;
    const struct statement_sort *sorts; /* CREATE_MANAGED */
    size_t sort_count;
    struct sql_name source; /* CREATE TABLE ... LIKE */
    bool has_source;

    struct slice location;                 /* CREATE_TABLE, ATTACH */
    bool format_given;                     /* CREATE_TABLE: `format` is meant */
    bool is_iceberg;                       /* CREATE_TABLE: STORED AS ICEBERG */
    enum relation_format format;           /* CREATE_TABLE */
    const struct relation_option *options; /* CREATE_TABLE, ATTACH, COPY, schemas, limits: an
                                              option whose value is empty is UNSET */
    size_t option_count;

    enum {
        ALTER_RENAME,
        ALTER_RENAME_COLUMN,
        ALTER_SET_SCHEMA,
        ALTER_REFRESH,
        ALTER_LAKE
    } alter;
    const struct statement_alter *alters; /* ALTER_TABLE: also of ALTER_RENAME_COLUMN */
    size_t alter_count;
    const struct statement_argument *call_arguments; /* CALL: of `name.name` */
    size_t call_argument_count;
    bool is_purge;                 /* DROP TABLE ... PURGE */
    struct slice column, new_name; /* ALTER_TABLE; RENAME TO new_name, SET SCHEMA new_name */
    struct slice comment;          /* COMMENT; of `column` if given; empty: none */
    const struct slice *columns;   /* CREATE_VIEW v (a, b), CREATE_TEMP, INSERT, COPY_IN */
    const struct slice *types;     /* CREATE_TEMP, CREATE_MANAGED: of each column, empty where none
                                      is given; UPDATE: the expression of each */
    const struct slice *paths;     /* UPDATE: statement_assignments.paths */
    size_t column_count;
    const struct temp_rule *rules; /* CREATE_TEMP */
    size_t rule_count;
    bool is_dropped_on_commit;     /* CREATE_TEMP */
    struct slice alias;            /* UPDATE, DELETE: of the table; empty: its name */
    struct slice using_list;       /* DELETE; UPDATE: FROM; MERGE: the source; empty: none */
    struct slice source_alias;     /* MERGE: how the source is called; empty: not at all */
    struct slice where, returning; /* INSERT, UPDATE, DELETE, MERGE (ON); empty: none */
    bool has_default_values;       /* INSERT: `query` is empty */
    bool is_overwrite, is_by_name; /* INSERT OVERWRITE; INSERT ... BY NAME */
    const struct statement_merge *merges;
    size_t merge_count;
    enum transaction_kind transaction;
    struct slice savepoint;

    bool password_given, set_attribute; /* CREATE/ALTER USER */
    struct slice password;
    struct slice attribute; /* SET/UNSET ATTRIBUTE */
    struct slice attribute_value;

    struct statement_grant grant; /* GRANT, REVOKE; GRANT_ROLE uses role/grantee */
    struct slice role;            /* GRANT_ROLE */
    bool is_revoke;               /* GRANT_ROLE */

    enum show_kind show; /* SHOW; `name` = IN/ON/FROM object if given */
    bool has_name;
    struct slice like; /* LIKE pattern, decoded */
    bool has_like;
    struct slice for_user; /* SHOW EFFECTIVE POLICY / CHECK ACCESS / API KEY(S) FOR USER */

    enum {
        KEY_EXPIRES_BY_DEFAULT,
        KEY_EXPIRES_IN,
        KEY_EXPIRES_AT,
        KEY_EXPIRES_NEVER
    } expiry; /* CREATE_API_KEY */
    int64_t expires_in_s;
    struct slice expires_at;

    struct slice setting, value; /* SET/RESET/SHOW x; value as literal text, decoded */
    bool is_reset;

    struct slice prepared;         /* PREPARE/EXECUTE/DEALLOCATE name; empty = ALL */
    const struct slice *arguments; /* EXECUTE: literal texts */
    size_t argument_count;

    struct slice copy_target; /* COPY ... TO 'file' */
    const char *refused_word;
    const char *refused_hint; /* NULL: the usual one */
};

/* Parses one statement (as cut by sql_split). Results are views of `text` or live in `arena`.
 * ERR_SYNTAX (42601) with position, what was expected, and "did you mean" for a misspelt first
 * word. Never looks inside embedded queries and expressions beyond token boundaries and
 * parentheses. Recursion-free; bounded by the length of the text. */
/* The word of SHOW that is nearest to `word`, or NULL. */
const char *statement_suggest_show(struct slice word);

MUST_USE enum err statement_parse(struct slice text, struct arena *arena,
                                  struct statement *ret_statement, struct errinfo *info);

/* Statement text without passwords and literals of CREATE/ALTER USER ... PASSWORD: for audit and
 * history. Other statements are returned as they are. */
MUST_USE enum err statement_redact(struct slice text, struct arena *arena, struct slice *ret_text,
                                   struct errinfo *info);

/* Fingerprint: hash over tokens with literals replaced by "?", folding case of words: the same
 * for statements that differ in constants only. */
MUST_USE enum err statement_fingerprint(struct slice text, uint64_t *ret_fingerprint,
                                        struct errinfo *info);
