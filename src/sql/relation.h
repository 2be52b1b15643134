/* Shapes of names and relations that catalog, policy and the planner share. Data only. */
#pragma once

#include "base/base.h"

struct temp_file;
struct lake_table; /* an Iceberg table and the snapshot of it to read: query/lake/lake_int.h */

/* A possibly qualified name as written; parts not given are empty. Quotes are removed, the case
 * is as written (names compare folding ASCII case). */
struct sql_name {
    struct slice catalog;
    struct slice schema;
    struct slice name;
};

/* The catalog of registered files, its first schema, and the schemas Moat itself fills. */
#define SQL_CATALOG_DEFAULT "moat"
#define SQL_SCHEMA_DEFAULT "main"
#define SQL_SCHEMA_SYSTEM "moat_system"
#define SQL_SCHEMA_INFORMATION "information_schema"
#define SQL_SCHEMA_PG "pg_catalog"

enum relation_kind {
    RELATION_TABLE,  /* files registered by CREATE EXTERNAL TABLE, or a table of a lake */
    RELATION_VIEW,   /* a stored SELECT */
    RELATION_SYSTEM, /* rows that Moat makes: moat_system, information_schema */
    RELATION_TEMP,   /* a temporary table of the session that asks */
    RELATION_PATH,   /* a file named directly in FROM, by the owner in embedded mode */
};

enum relation_format {
    FORMAT_PARQUET,
    FORMAT_CSV,
    FORMAT_JSON
};

/* `id` is the column's identity for its whole life: policy refers to nothing else. */
struct relation_column {
    uint32_t id;       /* from 1 within its relation, never reused */
    struct slice name; /* as SQL shows it */
    /* Name inside the files; empty: the engine has no such type. Of RELATION_SYSTEM also "=" and a
     * constant. */
    struct slice source;
    struct slice type; /* the engine's type text: "BIGINT", "DECIMAL(15,2)", "STRUCT(a INTEGER)" */
};

/* Not so where nobody said what the source is. */
static inline bool relation_column_is_unreadable(const struct relation_column *column)
{
    return column->source.ptr != NULL && column->source.len == 0;
}

/* The type as SQL is written with it: a column that cannot be read has an error for each value,
 * which is a text. */
static inline struct slice relation_column_sql_type(const struct relation_column *column)
{
    return relation_column_is_unreadable(column) ? SLICE("VARCHAR") : column->type;
}

struct relation_option {
    struct slice name;
    struct slice value; /* a SQL literal, ready to print: 'x', 1, true */
};

/* One object to read. Either `location` (through storage) or `bytes` (made by Moat). */
struct relation_object {
    struct slice location;
    uint64_t size_bytes;
    struct slice etag;
    /* Behind its number in the address that the engine gets, which looks at it: folders of
     * partitions and the ending of a compression. "", ".gz", "/year=2024/f.gz". */
    struct slice suffix;
    struct slice bytes;
    bool is_bytes;
    const struct temp_file
        *temp; /* of a temporary table: instead of a location; query/temp/temp_int.h */
};

/* What the text of a view reads: what a name in it meant when the view was made. `name` is
 * complete; `columns` are those that its author could see, by id and the names that it uses. */
struct relation_source {
    struct sql_name name;
    struct slice uuid;
    const struct relation_column *columns;
    size_t column_count;
};

/* A loaded relation: all slices and arrays live in the arena it was loaded into. */
struct relation {
    enum relation_kind kind;
    struct sql_name name; /* fully qualified, canonical case */
    struct slice uuid;    /* identity for its whole life; system relations have fixed ones */
    struct slice owner;   /* subject of who made it */
    uint64_t version;     /* changes with every change of schema, location or definition */
    const struct relation_column *columns;
    size_t column_count;

    /* tables, system relations and paths */
    enum relation_format format;
    const struct relation_option *options;
    size_t option_count;
    const struct relation_object *objects;
    size_t object_count;

    /* views */
    struct slice view_sql;
    bool is_definer; /* the body runs with the owner's rights, and the audit says so */
    /* Where names of the body without a catalog or schema are; empty: where the view is. */
    struct slice view_catalog;
    struct slice view_schema;
    /* Of views in Moat's own catalog; none of one that was made before they were kept. */
    const struct relation_source *sources;
    size_t source_count;

    /* tables of an attached catalog; NULL for others */
    const struct lake_table *lake;
    struct slice comment;                /* of such a table or view: what its catalog says, */
    const struct slice *column_comments; /* also of its columns; NULL: nothing */
    /* Columns that this version lacks and another has: a policy that names them dangles not. */
    const uint32_t *other_ids;
    size_t other_id_count;
};
