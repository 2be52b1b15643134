/* For the module's own files and tests. */
#pragma once

#include "base/buf.h"
#include "catalog/catalog.h"

/* Most files of one table, whatever the configuration says: a bound on what one listing may take.
 * */
#define CATALOG_FILES_MAX 1000000

/* ---- options (catalog_options.c) ---- */

enum option_kind {
    OPTION_BOOL,
    OPTION_INTEGER, /* minimum..maximum */
    OPTION_TEXT,    /* minimum..maximum bytes */
    OPTION_CHOICE,  /* one of `choices`, folding case */
};

struct option_rule {
    unsigned formats;      /* bits: 1 << enum relation_format */
    const char *name;      /* as written in OPTIONS */
    const char *canonical; /* the engine's name for it */
    enum option_kind kind;
    uint64_t minimum;
    uint64_t maximum;
    const char *choices; /* "a|b" */
};

/* NULL if the format has no such option. */
const struct option_rule *catalog__option_find(enum relation_format format, struct slice name);

/* Appends ", name = value", built from what the value means and not from how it was written, so
 * that nothing unread reaches the engine. Nothing for a value that is the engine's default by
 * another name. ERR_INVALID (22023). */
MUST_USE enum err catalog__option_print(const struct option_rule *rule, struct slice value,
                                        struct buf *out, struct errinfo *info);

/* ---- partitions (catalog_partition.c) ---- */

/* Is OPTIONS (hive_partitioning = true) given? */
bool catalog__is_partitioned(const struct relation_option *options, size_t count);
/* What the address of an object ends with (struct relation_object). */
MUST_USE enum err catalog__suffix(struct slice location, bool is_partitioned, struct arena *arena,
                                  struct slice *ret_suffix, struct errinfo *info);
/* ERR_INVALID (22023) unless all objects have the same keys, at least one. */
MUST_USE enum err catalog__check_partitions(const struct relation *relation, struct errinfo *info);
bool catalog__is_partition(const struct relation *relation, const struct relation_column *column);
/* Appends ", hive_types = {...}" with the types of the columns from folders. */
void catalog__print_partitions(const struct relation *relation, struct buf *out);

/* ---- system tables ---- */

struct system_column {
    const char *name;
    const char *type;
};

/* Appends the rows as JSON lines. */
typedef enum err (*system_rows_fn)(const struct catalog_system_input *input, struct arena *arena,
                                   struct buf *out, struct errinfo *info);

struct system_shape {
    const char *schema;
    const char *name;
    const char *uuid; /* for its whole life: grants refer to it */
    bool needs_grant;
    const struct system_column *columns; /* ids are positions: append only */
    size_t column_count;
    system_rows_fn rows;  /* NULL: audit (files) or a view */
    const char *view_sql; /* NULL: no view */
};

extern const struct system_shape catalog__shapes[];
extern const size_t catalog__shape_count;

/* True for the owner of the warehouse and members of moat_admin. */
bool catalog__is_admin(const struct identity *who);
/* The word of one bit of enum privilege. */
const char *catalog__privilege(unsigned bit);
bool catalog__may_administer(const struct identity *who, const struct relation *relation);
bool catalog__is_grantee(const struct identity *who, const struct grant *grant);
/* Listed for those who have any grant on it; whether they may read is decided by policy. */
MUST_USE enum err catalog__knows_system(const struct catalog_system_input *input,
                                        const struct system_shape *shape, struct arena *arena,
                                        bool *ret_knows, struct errinfo *info);
/* The schemas that a person knows of, those that Moat fills and those of other catalogs too. */
MUST_USE enum err catalog__known_schemas(const struct catalog_system_input *input,
                                         struct arena *arena,
                                         struct catalog_namespace **ret_schemas, size_t *ret_count,
                                         struct errinfo *info);

/* One row as a line of JSON; members left out are NULL. */
void catalog__row_begin(struct buf *out);
void catalog__row_end(struct buf *out);
void catalog__row_key(struct buf *out, const char *name);
void catalog__row_text(struct buf *out, const char *name, struct slice text);
void catalog__row_text_or_null(struct buf *out, const char *name, struct slice text);
void catalog__row_bool(struct buf *out, const char *name, bool value);
void catalog__row_number(struct buf *out, const char *name, uint64_t value);
void catalog__row_integer(struct buf *out, const char *name, int64_t value);
void catalog__row_percent(struct buf *out, const char *name, double value); /* below 0: nothing */

/* What the relation itself says of a column, or nothing. */
struct slice catalog__column_comment(const struct relation *relation, uint32_t id);

enum err catalog__rows_tables(const struct catalog_system_input *, struct arena *, struct buf *,
                              struct errinfo *);
enum err catalog__rows_columns(const struct catalog_system_input *, struct arena *, struct buf *,
                               struct errinfo *);
enum err catalog__rows_schemas(const struct catalog_system_input *, struct arena *, struct buf *,
                               struct errinfo *);
enum err catalog__rows_catalogs(const struct catalog_system_input *, struct arena *, struct buf *,
                                struct errinfo *);
enum err catalog__rows_sessions(const struct catalog_system_input *, struct arena *, struct buf *,
                                struct errinfo *);
enum err catalog__rows_running(const struct catalog_system_input *, struct arena *, struct buf *,
                               struct errinfo *);
enum err catalog__rows_settings(const struct catalog_system_input *, struct arena *, struct buf *,
                                struct errinfo *);
enum err catalog__rows_functions(const struct catalog_system_input *, struct arena *, struct buf *,
                                 struct errinfo *);
enum err catalog__rows_roles(const struct catalog_system_input *, struct arena *, struct buf *,
                             struct errinfo *);
enum err catalog__rows_attributes(const struct catalog_system_input *, struct arena *, struct buf *,
                                  struct errinfo *);
enum err catalog__rows_users(const struct catalog_system_input *, struct arena *, struct buf *,
                             struct errinfo *);
enum err catalog__rows_members(const struct catalog_system_input *, struct arena *, struct buf *,
                               struct errinfo *);
enum err catalog__rows_grants(const struct catalog_system_input *, struct arena *, struct buf *,
                              struct errinfo *);
