/* Shared by the files of this module and its tests. Functions with two underscores want the
 * mutex held and a transaction open, unless they say otherwise. */
#pragma once

#include <pthread.h>
#include <sqlite3.h>

#include "system/system.h"
#include "system/transaction.h"

#define SYSTEM_FILE "system.db"
#define SYSTEM_APPLICATION_ID 0x4D6F6174 /* "Moat", in the file's header */
#define SYSTEM_LAYOUT 7                  /* user_version of the file's header */
#define SYSTEM_MASK_KEY_BYTES 32
#define SYSTEM_BUSY_TIMEOUT_MS 5000

/* A power loss takes an anchor back by no more than this. */
#define SYSTEM_ANCHOR_SYNC_RECORDS 256u
/* Of the write-ahead log, before it is put into the file: each anchor adds one page. */
#define SYSTEM_LOG_PAGES_MAX 128

/* Principals that every store has, by fixed id. */
#define SYSTEM_PUBLIC "public"
#define SYSTEM_PUBLIC_ID 1
#define SYSTEM_ADMIN_ID 2

#define SYSTEM_STATEMENTS_MAX 512u /* slots; a power of two, twice what is used */

struct system_statement {
    const char *sql; /* the literal at its place of use: its address is the key */
    sqlite3_stmt *stmt;
};

/* Of the WAL-index: the header, twice (https://www.sqlite.org/walformat.html). */
#define SYSTEM_LOG_HEADER_BYTES 96u

struct change_log;

struct system {
    struct system *store;   /* of an overlay: what it lies over; else NULL */
    struct change_log *log; /* of an overlay */
    pthread_mutex_t mutex;
    sqlite3 *db;
    struct arena *arena; /* uuid and owner */
    struct system_statement statements[SYSTEM_STATEMENTS_MAX];
    struct slice uuid;
    struct slice owner;
    int64_t owner_id;
    uint8_t mask_key[SYSTEM_MASK_KEY_BYTES];
    bool is_version_known;
    const void *log_header; /* of the WAL's index, as SQLite has it mapped; NULL: not known yet */
    char log_mark[SYSTEM_LOG_HEADER_BYTES]; /* it, before `data_version` was read */
    uint64_t version;      /* the counter when `data_version` was read, or of our last commit */
    int64_t data_version;  /* SQLite's: differs after a commit of another connection */
    uint64_t next_version; /* in a write: what the counter will be */
    int64_t changes_before;
    bool is_unsynced; /* commits do not wait for the disk: the anchor's, mostly */
    bool is_written;  /* more than the anchor, so that the close empties the write-ahead log */
};

/* ---- statements (system_db.c) ---- */

enum value_kind {
    VALUE_NULL,
    VALUE_INT,
    VALUE_TEXT,
    VALUE_BLOB
};

struct value {
    enum value_kind kind;
    int64_t integer;
    struct slice bytes; /* must outlive the cursor */
};

#define INT(number) ((struct value){.kind = VALUE_INT, .integer = (int64_t)(number)})
#define TEXT(slice_) ((struct value){.kind = VALUE_TEXT, .bytes = (slice_)})
#define BLOB(slice_) ((struct value){.kind = VALUE_BLOB, .bytes = (slice_)})
#define VALUES(...)                                                                                \
    ((const struct value[]){__VA_ARGS__}),                                                         \
        (sizeof((const struct value[]){__VA_ARGS__}) / sizeof(struct value))
#define NO_VALUES NULL, 0

struct cursor {
    struct system *system;
    sqlite3_stmt *stmt; /* NULL = closed */
};

/* Fills `info` from a result code of SQLite; `verb` completes "cannot ... the store". */
enum err system__error(int code, const char *verb, struct errinfo *info);

/* `sql` must be a literal (it is cached by address) and data come as `values`. Close always. */
MUST_USE enum err system__open_cursor(struct system *system, const char *sql,
                                      const struct value *values, size_t value_count,
                                      struct cursor *ret_cursor, struct errinfo *info);
MUST_USE enum err system__next(struct cursor *cursor, bool *ret_has_row, struct errinfo *info);
void system__close_cursor(struct cursor *cursor); /* accepts a zeroed struct */

/* Runs a statement that gives no rows. */
MUST_USE enum err system__run(struct system *system, const char *sql, const struct value *values,
                              size_t value_count, struct errinfo *info);

/* First column of the first row as a number; `ret_found` false without a row. */
MUST_USE enum err system__number(struct system *system, const char *sql, const struct value *values,
                                 size_t value_count, bool *ret_found, int64_t *ret_number,
                                 struct errinfo *info);

int64_t system__int(const struct cursor *cursor, int column);
struct slice system__view(const struct cursor *cursor, int column); /* until the next row */
MUST_USE enum err system__text(const struct cursor *cursor, int column, struct arena *arena,
                               struct slice *ret_text, struct errinfo *info);

/* Room for one more item in an array in `arena`: the array, perhaps moved, or NULL. */
MUST_USE void *system__push(struct arena *arena, void *items, size_t count, size_t *capacity,
                            size_t item_bytes);
/* Rows as they are read; the array is in an arena. */
struct row_list {
    void *items;
    size_t item_bytes, count, capacity;
};

/* Steps to the next row and adds a zeroed item for it, which stays there until the next is added;
 * NULL: there are no more rows. */
MUST_USE enum err system__next_item(struct cursor *cursor, struct arena *arena,
                                    struct row_list *list, void **ret_item, struct errinfo *info);
/* The (name, value) rows of a statement over ?1. */
MUST_USE enum err system__load_options(struct system *system, const char *sql, int64_t id,
                                       struct arena *arena,
                                       const struct relation_option **ret_options,
                                       size_t *ret_count, struct errinfo *info);

/* The first column of all rows that are left. */
MUST_USE enum err system__texts(struct cursor *cursor, struct arena *arena,
                                struct slice **ret_texts, size_t *ret_count, struct errinfo *info);

/* ---- transactions (system_db.c): these take and release the mutex ---- */

/* The person in a transaction, looked up afresh: a session that outlived its rights has none. */
struct actor {
    const struct identity *who;
    int64_t id; /* 0: no user of this warehouse */
    bool is_owner;
    bool is_admin; /* or owner */
};

MUST_USE enum err system__write_begin(struct system *system, const struct identity *who,
                                      struct actor *ret_actor, struct errinfo *info);
/* Commits if `err` is ERR_OK, else rolls back and gives `err`. */
MUST_USE enum err system__write_end(struct system *system, enum err err, struct errinfo *info);
MUST_USE enum err system__read_begin(struct system *system, struct errinfo *info);
void system__read_end(struct system *system);
void system__rollback(struct system *system);
/* Whether commits wait for the disk. Outside of a transaction. */
MUST_USE enum err system__set_synced(struct system *system, bool is_synced, struct errinfo *info);

/* ---- layout (system_layout.c) ---- */

/* Checks that the file is a store, makes it one (with `create`) and brings it up to date. */
MUST_USE enum err system__prepare(struct system *system, struct slice os_user, bool create,
                                  struct errinfo *info);

/* ---- opening (system.c) ---- */

/* Of a connection that exists: trusts nothing in the file but data. */
MUST_USE enum err system__configure(struct system *system, struct errinfo *info);
/* Without a connection yet; for system_close. */
MUST_USE enum err system__new(struct system **ret_system, struct errinfo *info);
void system__disconnect(struct system *system);
MUST_USE enum err system__warm(struct system *system, struct errinfo *info);
MUST_USE enum err system__load_warehouse(struct system *system, struct errinfo *info);

/* ---- who may what (system_actor.c) ---- */

MUST_USE enum err system__actor(struct system *system, const struct identity *who,
                                struct actor *ret_actor, struct errinfo *info);
/* ERR_DENIED unless owner or admin; `verb` completes "only ... may". */
MUST_USE enum err system__need_admin(const struct actor *actor, const char *verb,
                                     struct errinfo *info);

/* A user or role by name. */
struct principal {
    int64_t id;
    bool is_role;
    struct slice name; /* canonical, in the given arena */
};

MUST_USE enum err system__find_principal(struct system *system, struct slice name,
                                         struct arena *arena, bool *ret_found,
                                         struct principal *ret_principal, struct errinfo *info);
/* ERR_NOT_FOUND (42704) with the nearest name that the actor may see; of either kind, or one. */
enum principal_want {
    WANT_USER,
    WANT_ROLE,
    WANT_ANY
};
MUST_USE enum err system__need_principal(struct system *system, const struct actor *actor,
                                         struct slice name, enum principal_want want,
                                         struct arena *arena, struct principal *ret_principal,
                                         struct errinfo *info);
/* True if holding `id` makes one an admin. */
MUST_USE enum err system__conveys_admin(struct system *system, int64_t id, bool *ret_conveys,
                                        struct errinfo *info);

/* The user to change; nobody but themself changes the owner, nobody but the owner (or, where
 * `also_themself`, themself) an admin: else one admin could become another. */
MUST_USE enum err system__find_to_change(struct system *system, const struct actor *actor,
                                         struct slice name, bool also_themself, struct arena *arena,
                                         struct principal *ret_user, struct errinfo *info);
/* Fills subject, ownership, roles and attributes of a user. ERR_NOT_FOUND (28000). */
MUST_USE enum err system__load_person(struct system *system, struct slice user, struct arena *arena,
                                      struct identity_spec *spec, struct errinfo *info);
/* ERR_DENIED (28000) where what `who` signed in with is good no more. */
MUST_USE enum err system__check_sign_in(struct system *system, const struct identity *who,
                                        struct errinfo *info);

/* Of a schema, table or view: as those of people (identity_name_is_valid). */
MUST_USE enum err system__check_name(struct slice name, const char *what, struct errinfo *info);

/* Hint "did you mean" from a statement that lists names (one column). Never fails. */
void system__suggest(struct system *system, const char *sql, const struct value *values,
                     size_t value_count, struct slice wanted, struct errinfo *info);

/* ---- objects ---- */

struct schema_row {
    int64_t id;
    int64_t owner_id;
    struct slice name;
};

/* ERR_NOT_FOUND (3F000) also for a schema in which nothing concerns the actor. */
MUST_USE enum err system__need_schema(struct system *system, const struct actor *actor,
                                      struct slice name, struct arena *arena,
                                      struct schema_row *ret_schema, struct errinfo *info);

struct relation_row {
    int64_t id;
    int64_t owner_id;
    struct slice uuid;
    struct slice name;
    bool is_view;
    bool is_definer;
    uint32_t next_column_id;
};

MUST_USE enum err system__find_relation(struct system *system, struct slice schema,
                                        struct slice name, struct arena *arena, bool *ret_found,
                                        struct relation_row *ret_relation, struct errinfo *info);
MUST_USE enum err system__find_relation_uuid(struct system *system, struct slice uuid,
                                             struct arena *arena, bool *ret_found,
                                             struct relation_row *ret_relation,
                                             struct errinfo *info);
/* A relation that the actor may change; ERR_DENIED if they only know of it, else ERR_NOT_FOUND. */
MUST_USE enum err system__need_own_relation(struct system *system, const struct actor *actor,
                                            const struct sql_name *name, struct arena *arena,
                                            struct relation_row *ret_relation,
                                            struct errinfo *info);
/* True if some grant shows the object to the actor and no DENY hides all of it. */
MUST_USE enum err system__knows(struct system *system, const struct actor *actor, struct slice uuid,
                                bool *ret_knows, struct errinfo *info);
/* The one wording for "absent or not yours". */
enum err system__no_relation(struct system *system, const struct actor *actor,
                             const struct sql_name *name, struct errinfo *info);

/* ---- columns (system_columns.c) ---- */

MUST_USE enum err system__load_columns(struct system *system, int64_t relation_id,
                                       struct arena *arena, struct relation_column **ret_columns,
                                       size_t *ret_count, struct errinfo *info);
MUST_USE enum err system__check_columns(const struct relation_column *columns, size_t count,
                                        struct errinfo *info);
/* Replaces all columns. With `keep_names`, those that keep their id keep their name too. */
MUST_USE enum err system__store_columns(struct system *system, const struct relation_row *relation,
                                        const struct relation_column *columns, size_t count,
                                        bool keep_names, struct arena *arena, struct errinfo *info);

/* ---- grants (system_grants.c, system_revoke.c) ---- */

/* What a grant is on. */
struct grant_object {
    struct slice uuid;   /* canonical: uuid of a relation, name of a schema */
    unsigned privileges; /* those asked for; of ALL those that this object has */
    bool is_registered;  /* false: a relation that Moat makes, whose columns are not here */
    struct relation_row relation; /* of a registered relation */
};

/* Finds the object and checks that the actor may change grants on it: ERR_DENIED if they only know
 * of it, else ERR_NOT_FOUND; ERR_INVALID for a privilege that it does not have. */
MUST_USE enum err system__grant_object(struct system *system, const struct actor *actor,
                                       struct slice object_uuid, unsigned privileges,
                                       struct arena *arena, struct grant_object *ret_object,
                                       struct errinfo *info);
MUST_USE enum err system__grantee(struct system *system, const struct actor *actor,
                                  enum grantee_kind kind, struct slice name, struct arena *arena,
                                  struct principal *ret_grantee, struct errinfo *info);
/* The word for an effect in the file. */
struct slice system__effect_text(enum grant_effect effect);
