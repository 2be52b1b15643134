/* What the files of pg_catalog and information_schema share. */
#pragma once

#include "catalog/catalog_int.h"

/* ---- types (pg_type.c) ---- */

struct pg_type {
    uint32_t oid;
    const char *name;
    const char *format; /* as format_type says it */
    int16_t len;
    bool is_by_value;
    const char *kind;     /* typtype */
    const char *category; /* typcategory */
    bool is_preferred;
    const char *delimiter;
    uint32_t element; /* of an array */
    uint32_t array;   /* of this */
    uint32_t input, output, receive, send, modifier_in, modifier_out, subscript;
    const char *align;
    const char *storage;
    uint32_t collation;
};

enum {
    PG_TYPE_TEXT = 25,
    PG_TYPE_NUMERIC = 1700
};

/* NULL if there is none. */
const struct pg_type *catalog__pg_type_find(uint32_t oid);
const struct pg_type *catalog__pg_type_named(const char *name);
const struct pg_type *catalog__pg_type_at(size_t index); /* NULL past the end */

/* What a column of the engine's type is in PostgreSQL: "DECIMAL(15,2)", "INTEGER[]". */
struct pg_typed {
    const struct pg_type *type;
    int32_t modifier;    /* atttypmod; -1 = none */
    uint32_t dimensions; /* of an array */
};
struct pg_typed catalog__pg_type_of(struct slice engine_type);

/* ---- relations of pg_catalog and information_schema (pg_shape.c) ---- */

struct pg_column {
    const char *name;
    const char *type;
    bool is_required;
};

struct pg_relation {
    const char *schema;
    const char *name;
    const char *uuid;
    uint32_t oid;
    char kind; /* 'r' or 'v' */
    size_t column_first;
    size_t column_count;
};

const struct pg_relation *catalog__pg_relation_at(size_t index); /* NULL past the end */
const struct pg_column *catalog__pg_column_of(const struct pg_relation *relation, size_t index);
/* NULL if there is none; folds case. Helpers of functions (`__moat_...`) too. */
const struct pg_relation *catalog__pg_relation_find(const struct sql_name *name);

/* Where the rows of one come from. The others have none. */
struct pg_source {
    const char *schema;
    const char *name;
    const char *columns;          /* that the rows have, each with a space behind it */
    const char *const *constants; /* pairs of a column and SQL, ended by NULL; or NULL */
    system_rows_fn rows;
};
extern const struct pg_source catalog__pg_sources[];
extern const size_t catalog__pg_source_count;
extern const struct pg_source catalog__pg_information_sources[];
extern const size_t catalog__pg_information_source_count;
extern const struct pg_source catalog__pg_helper_sources[];
extern const size_t catalog__pg_helper_source_count;

MUST_USE enum err catalog__pg_rows_cursors(const struct catalog_system_input *input,
                                           struct arena *arena, struct buf *out,
                                           struct errinfo *info);
MUST_USE enum err catalog__pg_rows_activity(const struct catalog_system_input *input,
                                            struct arena *arena, struct buf *out,
                                            struct errinfo *info);
MUST_USE enum err catalog__pg_rows_self(const struct catalog_system_input *input,
                                        struct arena *arena, struct buf *out, struct errinfo *info);
MUST_USE enum err catalog__pg_rows_settings(const struct catalog_system_input *input,
                                            struct arena *arena, struct buf *out,
                                            struct errinfo *info);

MUST_USE enum err catalog__pg_relation_load(const struct pg_relation *shape,
                                            const struct catalog_system_input *input,
                                            struct arena *arena, struct relation *ret_relation,
                                            struct errinfo *info);

/* ---- what one person may know of, with numbers (pg_model.c) ---- */

struct pg_schema {
    uint32_t oid;
    struct sql_name name; /* catalog and schema */
    struct slice shown;   /* nspname */
    struct slice owner;
    bool is_on_path;
    uint32_t catalog_oid;
    bool is_first; /* of its catalog */
};

struct pg_person {
    uint32_t oid;
    struct slice name;
    bool is_user;
    bool is_owner; /* of the warehouse */
    bool is_admin;
    bool is_own; /* who asks, or a role of theirs */
};

struct pg_membership {
    uint32_t role;
    uint32_t member;
};

/* One that is listed: a relation that the person may see, or one that Moat makes. */
struct pg_listed {
    uint32_t oid;
    const struct pg_schema *schema;
    struct slice name;
    uint32_t owner;
    struct slice owner_name;
    struct slice comment;
    const struct system_comment *comments; /* of its columns */
    size_t comment_count;
    uint32_t rule;                         /* of a view: what PostgreSQL calls its text */
    const struct catalog_visible *visible; /* NULL for what Moat makes */
    const struct system_shape *shape;      /* of moat_system */
    const struct pg_relation *relation;    /* of pg_catalog and information_schema */
    bool is_view;
    size_t column_count;
};

struct pg_model {
    const struct catalog_system_input *input;
    struct pg_schema *schemas;
    size_t schema_count;
    struct pg_person *people;
    size_t person_count;
    struct pg_membership *members;
    size_t member_count;
    struct pg_listed *relations;
    size_t relation_count;
    uint32_t owner; /* of the warehouse */
};

MUST_USE enum err catalog__pg_model_get(const struct catalog_system_input *input,
                                        struct arena *arena, const struct pg_model **ret_model,
                                        struct errinfo *info);

/* A temporary table of the session that asks. */
static inline bool catalog__pg_is_temp(const struct pg_listed *listed)
{
    return listed->visible != NULL && listed->visible->relation->kind == RELATION_TEMP;
}

/* A column of what is listed, from 0. */
struct pg_field {
    struct slice name;
    struct pg_typed typed;
    bool is_required;
    struct slice engine_type; /* empty for what PostgreSQL has too */
};
struct pg_field catalog__pg_field_of(const struct pg_listed *listed, size_t index);

/* The relation that the person may see, NULL if there is none such. */
const struct pg_listed *catalog__pg_listed_find(const struct pg_model *model, struct slice uuid);

/* The person who owns an object; 0 if nothing is known of them. */
uint32_t catalog__pg_person_find(const struct pg_model *model, struct slice name, bool is_user);

/* "schema.name", quoted where PostgreSQL would; without the schema where the name is enough. */
void catalog__pg_print_name(struct buf *out, const struct pg_listed *listed, bool is_full);
void catalog__pg_print_word(struct buf *out, struct slice word);
/* One of the forms in which a text may name a relation, in lower case and without quotes; false
 * where there are no more. Replaces what `out` holds. */
bool catalog__pg_print_key(const struct pg_listed *listed, unsigned form, struct buf *out);

MUST_USE static inline enum err catalog__pg_rows_finish(const struct buf *out, struct errinfo *info)
{
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
