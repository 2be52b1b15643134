/* The warehouse's own store: users, roles, grants, registered tables and views, keys (SQLite).
 *
 * Every call says for whom (`who`): reads need an identity so that nothing is read without saying
 * for whom, writes check that this identity may make them (the warehouse's owner, a member of the
 * role "moat_admin", or where said the owner of the object) and give ERR_DENIED otherwise.
 * Bootstrapping (system_open, system_login) is the only exception.
 * Each write is one transaction and raises `system_version`. All results live in the caller's
 * arena. One `struct system` may be used from several threads (calls are serialised).
 * A crash at any point leaves the state before or after a whole write. */
#pragma once

#include "base/arena.h"
#include "base/base.h"
#include "base/err.h"
#include "identity/identity.h"
#include "sql/relation.h"

#define SYSTEM_ROLE_ADMIN "moat_admin"

struct system;

/* Opens `folder`/system.db. With `create`, makes it (0600) owned by `os_user` with a new warehouse
 * UUID and mask key, schema "main", users: `os_user`. ERR_NOT_FOUND when absent and not `create`,
 * ERR_UNSUPPORTED when made by a newer Moat, ERR_CORRUPT when not a store. Older layouts are
 * migrated in one transaction. */
MUST_USE enum err system_open(const char *folder, struct slice os_user, bool create,
                              struct system **ret_system, struct errinfo *info);
void system_close(struct system *system);
DEFINE_CLEANUP(struct system, system_cleanup, system_close)

/* Changes with every committed write, also those of other processes. Cheap (one pragma). */
MUST_USE enum err system_version(struct system *system, uint64_t *ret_version,
                                 struct errinfo *info);
struct slice system_warehouse_uuid(const struct system *system);
struct slice system_owner(const struct system *system);

/* 32 random bytes that key the masks of this warehouse. Owned by the system; wiped on close. */
struct slice system_mask_key(const struct system *system);

/* ---- the audit trail's anchor: how far the trail is known to have come. Of no person, and read
 *      before anybody is logged in. ---- */

#define SYSTEM_ANCHOR_TEXT_BYTES 65

struct system_anchor {
    char
        trail[SYSTEM_ANCHOR_TEXT_BYTES]; /* which trail; empty when its first record is not known */
    uint64_t seq;                        /* of the record; 0 = nothing is anchored yet */
    char hash[SYSTEM_ANCHOR_TEXT_BYTES];
    int64_t wall_us; /* when it was anchored; set by the store */
};

MUST_USE enum err system_anchor(struct system *, struct system_anchor *ret_anchor,
                                struct errinfo *info);
/* Moves it forward; the record must be on disk. Older than what is there: nothing happens. Does not
 * raise the version, nor wait for another writer (ERR_BUSY), and is not always synced.
 * ERR_CORRUPT when the store knows another trail. */
MUST_USE enum err system_anchor_advance(struct system *, const struct system_anchor *anchor,
                                        struct errinfo *info);
/* Sets it to whatever is given, for the owner who accepts that records are lost. */
MUST_USE enum err system_anchor_replace(struct system *, const struct identity *who,
                                        const struct system_anchor *anchor, struct errinfo *info);

/* Builds the identity of `user` with all roles (nested, "public" always included) and attributes.
 * `actor` empty: the person themself. An actor must be the owner of the warehouse.
 * ERR_NOT_FOUND when there is no such user. */
MUST_USE enum err system_login(struct system *system, struct slice user, struct slice actor,
                               struct slice provider, struct slice client,
                               struct identity **ret_identity, struct errinfo *info);

/* The password verifier of `user`, in `arena`; empty if there is no such user, or none of a
 * password. For logins: nobody is signed in yet. */
MUST_USE enum err system_password_verifier(struct system *system, struct slice user,
                                           struct arena *arena, struct slice *ret_verifier,
                                           struct errinfo *info);

/* `who` as they are now, in the same session: roles, attributes. ERR_DENIED (28000) when the user
 * is gone, or gone and made anew under the same name, or may not be acted for any more. An identity
 * that the store did not make is handed back as it is. */
MUST_USE enum err system_renew(struct system *system, struct identity *who,
                               struct identity **ret_identity, struct errinfo *info);

/* ---- users and roles (writers: owner or moat_admin; nobody else may change the owner's user; only
 *      the owner may change who holds moat_admin, and the users and roles that do) ---- */

struct system_user {
    struct slice name;
    bool is_owner;
    struct slice verifier; /* empty = no password; only the owner and admins get it, else empty */
    const struct identity_attribute *attributes;
    size_t attribute_count;
};

struct system_member {
    struct slice role;
    struct slice member;
    bool member_is_role;
};

MUST_USE enum err system_user_create(struct system *, const struct identity *who, struct slice name,
                                     struct slice verifier, bool if_not_exists,
                                     struct errinfo *info);
MUST_USE enum err system_user_drop(struct system *, const struct identity *who, struct slice name,
                                   bool if_exists, struct errinfo *info);
MUST_USE enum err system_user_set_verifier(struct system *, const struct identity *who,
                                           struct slice name, struct slice verifier,
                                           struct errinfo *info); /* also the user themself */
/* `value` NULL removes the attribute. */
MUST_USE enum err system_user_set_attribute(struct system *, const struct identity *who,
                                            struct slice name, struct slice attribute,
                                            const struct slice *value, struct errinfo *info);
/* Everybody for owner and admins; only themself for others. */
MUST_USE enum err system_users(struct system *, const struct identity *who, struct arena *arena,
                               struct system_user **ret_users, size_t *ret_count,
                               struct errinfo *info);

MUST_USE enum err system_role_create(struct system *, const struct identity *who, struct slice name,
                                     bool if_not_exists, struct errinfo *info);
MUST_USE enum err system_role_drop(struct system *, const struct identity *who, struct slice name,
                                   bool if_exists, struct errinfo *info);
/* Member is a user or a role; a cycle of roles is refused. */
MUST_USE enum err system_role_grant(struct system *, const struct identity *who, struct slice role,
                                    struct slice member, struct errinfo *info);
MUST_USE enum err system_role_revoke(struct system *, const struct identity *who, struct slice role,
                                     struct slice member, struct errinfo *info);
/* All roles for owner and admins; only one's own for others. */
MUST_USE enum err system_roles(struct system *, const struct identity *who, struct arena *arena,
                               struct slice **ret_roles, size_t *ret_count, struct errinfo *info);
MUST_USE enum err system_members(struct system *, const struct identity *who, struct arena *arena,
                                 struct system_member **ret_members, size_t *ret_count,
                                 struct errinfo *info);

/* ---- schemas, tables, views (writers: owner, moat_admin, or the object's owner; creating needs
 *      owner, moat_admin or the privilege CREATE on the schema) ---- */

struct system_schema {
    struct slice name;
    struct slice owner;
};

/* A registration: `relation.objects` is empty here, `location` is the pattern to list. */
struct system_relation {
    struct relation relation;
    struct slice location; /* tables */
    struct slice comment;
};

MUST_USE enum err system_schema_create(struct system *, const struct identity *who,
                                       struct slice name, bool if_not_exists, struct errinfo *info);
/* Refused while it holds relations unless `cascade`. */
MUST_USE enum err system_schema_drop(struct system *, const struct identity *who, struct slice name,
                                     bool if_exists, bool cascade, struct errinfo *info);
/* Everything for owner and admins; for others what concerns them: "main", their own, and those in
 * which they may create or some relation is granted to them. */
MUST_USE enum err system_schemas(struct system *, const struct identity *who, struct arena *arena,
                                 struct system_schema **ret_schemas, size_t *ret_count,
                                 struct errinfo *info);

enum system_create_mode {
    SYSTEM_CREATE,
    SYSTEM_CREATE_IF_NOT_EXISTS,
    SYSTEM_CREATE_OR_REPLACE
};

/* Registers a table or view. uuid, owner, version and column ids are filled by the store (a
 * replaced relation keeps its uuid, and columns of the same name keep their ids: grants stay
 * bound to identity). `ret_created` false when IF NOT EXISTS found one. */
MUST_USE enum err system_relation_create(struct system *, const struct identity *who,
                                         const struct system_relation *relation,
                                         enum system_create_mode mode, bool *ret_created,
                                         struct errinfo *info);
/* Drops the relation and all grants on it. Views that read it refuse that (2BP01), or with
 * `cascade` go too, if all of them are the person's to drop. */
MUST_USE enum err system_relation_drop(struct system *, const struct identity *who,
                                       const struct sql_name *name, enum relation_kind kind,
                                       bool if_exists, bool cascade, struct errinfo *info);
MUST_USE enum err system_relation_rename(struct system *, const struct identity *who,
                                         const struct sql_name *name, struct slice new_name,
                                         struct errinfo *info);
MUST_USE enum err system_column_rename(struct system *, const struct identity *who,
                                       const struct sql_name *name, struct slice column,
                                       struct slice new_name, struct errinfo *info);
/* Columns after a re-read of the files: columns keep ids by source name, new ones get new ids,
 * missing ones are dropped (their ids are never reused). */
MUST_USE enum err system_relation_refresh(struct system *, const struct identity *who,
                                          const struct sql_name *name,
                                          const struct relation_column *columns,
                                          size_t column_count, struct errinfo *info);
/* By name (schema and name set). ERR_NOT_FOUND (42P01). Does not look at grants: visibility is
 * the planner's question, asked through policy. */
MUST_USE enum err system_relation_load(struct system *, const struct identity *who,
                                       const struct sql_name *name, struct arena *arena,
                                       struct system_relation *ret_relation, struct errinfo *info);
MUST_USE enum err system_relations(struct system *, const struct identity *who, struct arena *arena,
                                   struct system_relation **ret_relations, size_t *ret_count,
                                   struct errinfo *info);

/* ---- attached catalogs (writers: owner or moat_admin) ---- */

struct system_catalog {
    struct slice name;
    struct slice type;     /* "iceberg_local", "hadoop", "static" */
    struct slice location; /* absolute, as the type understands it */
    const struct relation_option *options;
    size_t option_count;
    struct slice owner;
};

/* `owner` is filled by the store. Names of Moat's own are refused (42939). */
MUST_USE enum err system_catalog_attach(struct system *, const struct identity *who,
                                        const struct system_catalog *catalog,
                                        enum system_create_mode mode, struct errinfo *info);
/* Grants on the catalog's tables stay: they are keyed by the tables' own identity. */
MUST_USE enum err system_catalog_detach(struct system *, const struct identity *who,
                                        struct slice name, bool if_exists, struct errinfo *info);
/* All, by name. Does not look at grants: what of a catalog a person may know of is the planner's
 * question. */
MUST_USE enum err system_catalogs(struct system *, const struct identity *who, struct arena *arena,
                                  struct system_catalog **ret_catalogs, size_t *ret_count,
                                  struct errinfo *info);

/* ---- grants ---- */

enum grant_effect {
    GRANT_ALLOW,
    GRANT_DENY
};

enum grantee_kind {
    GRANTEE_USER,
    GRANTEE_ROLE
};

/* Privileges as bits. Only SELECT has columns, rows and masks. CREATE is on a schema; INSERT,
 * UPDATE and DELETE are on tables of attached catalogs. ALL is what the object has. */
enum privilege {
    PRIVILEGE_SELECT = 1,
    PRIVILEGE_CREATE = 2,
    PRIVILEGE_INSERT = 4,
    PRIVILEGE_UPDATE = 8,
    PRIVILEGE_DELETE = 16,
    PRIVILEGE_WRITE = 28, /* the last three: MODIFY */
    PRIVILEGE_ALL = 31
};

struct grant_mask {
    uint32_t column_id;
    struct slice expression; /* stored form, see below */
};

/* One grant or deny. Expressions are kept in *stored form*: SQL text printed by the engine in
 * which every column of the relation is named `__moat_c<id>`, so that no rename changes meaning. */
struct grant {
    uint64_t id; /* never reused; audit refers to it; "grant order" is by id */
    enum grant_effect effect;
    unsigned privileges; /* stored: SELECT alone, CREATE alone, or some of WRITE */
    enum grantee_kind grantee_kind;
    struct slice grantee;
    struct slice object_uuid; /* relation, or schema for CREATE */
    bool all_columns;         /* false: only column_ids */
    const uint32_t *column_ids;
    size_t column_count;
    struct slice rows; /* stored form; empty = all rows */
    const struct grant_mask *masks;
    size_t mask_count;
    struct slice grantor;
    int64_t created_wall_us;
};

/* Adds one; `id`, `grantor` and `created_wall_us` are filled. Writers: owner, moat_admin, the
 * object's owner. The grantee must exist (ERR_NOT_FOUND, 42704). Of SELECT and rights to write
 * together two are made, columns, rows and masks being the first one's: `ret_id`. */
MUST_USE enum err system_grant_add(struct system *, const struct identity *who,
                                   const struct grant *grant, uint64_t *ret_id,
                                   struct errinfo *info);
/* Removes every grant (or deny) of this grantee on the object whose columns are all among
 * `column_ids` (`all_columns`: any); columns of wider grants are taken out of them (a grant of all
 * columns then names those that are left). A DENY of all columns is not narrowed: ERR_INVALID.
 * Rights to write are taken out of the grants that have them, beside others. `ret_count` = how many
 * grants changed or went. */
MUST_USE enum err system_grant_revoke(struct system *, const struct identity *who,
                                      enum grant_effect effect, unsigned privileges,
                                      enum grantee_kind grantee_kind, struct slice grantee,
                                      struct slice object_uuid, bool all_columns,
                                      const uint32_t *column_ids, size_t column_count,
                                      size_t *ret_count, struct errinfo *info);
MUST_USE enum err system_grant_drop(struct system *, const struct identity *who, uint64_t id,
                                    struct errinfo *info);
/* In grant order; of one object, or of all with an empty uuid. No filtering by `who`: policy needs
 * all that apply; what people see of it is decided above. */
MUST_USE enum err system_grants(struct system *, const struct identity *who,
                                struct slice object_uuid, struct arena *arena,
                                struct grant **ret_grants, size_t *ret_count, struct errinfo *info);

/* Replaces all grants by `grants` in one transaction: what `moat policy apply` does. Nothing
 * changes, ids and version included, if they say what is stored already. */
MUST_USE enum err system_grants_replace(struct system *, const struct identity *who,
                                        const struct grant *grants, size_t count,
                                        struct errinfo *info);
