/* What ALTER TABLE does to a table of a lake, and CALL to any: parts of struct statement. */
#pragma once

#include "base/base.h"

/* bucket(16, a.b), day(ts), a: of PARTITIONED BY and SORTED BY. */
struct statement_transform {
    struct slice function; /* empty = the column itself */
    struct slice column;   /* dotted */
    uint32_t width;        /* 0 = none */
};

struct statement_sort {
    struct statement_transform by;
    bool is_descending;
    bool is_nulls_last;
};

/* What of a name and a text; an empty name: by its place in the list. */
struct statement_argument {
    struct slice name;
    struct slice value; /* decoded; ptr NULL: null, or nothing said */
    size_t offset;      /* in the statement */
};

enum alter_kind {
    ALTER_ADD_COLUMN,
    ALTER_DROP_COLUMN,
    ALTER_NAME_COLUMN,
    ALTER_TYPE,
    ALTER_SET_REQUIRED,
    ALTER_DROP_REQUIRED,
    ALTER_SET_DEFAULT,
    ALTER_DROP_DEFAULT,
    ALTER_COLUMN_COMMENT,
    ALTER_MOVE,
    ALTER_ADD_PARTITION,
    ALTER_DROP_PARTITION,
    ALTER_REPLACE_PARTITION,
    ALTER_SORT, /* no fields: unordered */
    ALTER_SET_PROPERTIES,
    ALTER_UNSET_PROPERTIES,
    ALTER_IDENTIFY,
    ALTER_UNIDENTIFY, /* these of the identifier's fields */
    ALTER_SET_REF,
    ALTER_DROP_REF,
};

/* CREATE BRANCH | TAG */
struct statement_ref {
    struct slice name;
    bool is_tag;
    bool may_create; /* REPLACE alone: it must be there */
    bool may_replace;
    bool has_version;
    int64_t version;   /* snapshot id; else the table's current one */
    int64_t retain_ms; /* -1 = not said, as below */
    int64_t keep_snapshots;
    int64_t keep_ms;
};

struct statement_alter {
    enum alter_kind kind;
    bool if_exists, if_not_exists;
    const struct slice *path; /* the column */
    size_t path_count;
    struct slice type;          /* ADD, TYPE */
    struct slice new_name;      /* of the column */
    bool is_required;           /* ADD */
    struct slice default_value; /* a literal ready to print */
    struct slice comment;
    enum {
        ALTER_AT_END,
        ALTER_FIRST,
        ALTER_AFTER
    } at;
    struct slice after;
    struct statement_transform transform, with; /* partition fields; a name alone is a column */
    struct slice field_name;                    /* AS */
    const struct statement_sort *sorts;
    size_t sort_count;
    const struct statement_argument *properties;
    size_t property_count;
    const struct slice *const *fields; /* IDENTIFY: paths */
    const size_t *field_lens;
    size_t field_count;
    struct statement_ref ref;
};
