/* Names to readable relations (resolve.c). */
#pragma once

#include "base/arena.h"
#include "catalog/catalog.h"
#include "policy/policy.h"

struct session;
struct lake_travel;

/* Tables that a question about names and columns can be about; empty texts: any. */
struct resolve_wanted {
    struct slice catalog;
    struct slice schema;
    struct slice name;
};

struct resolved {
    struct relation *relation;
    struct policy_effective effective;
};

/* The one place that turns a name into something readable: loads as `who`, asks policy, and says
 * "does not exist" for both absent and invisible. */
MUST_USE enum err resolve_relation(struct session *session, const struct identity *who,
                                   const struct sql_name *written, struct arena *arena,
                                   struct resolved *ret_resolved, struct errinfo *info);

/* The same at a version; `travel` NULL: now. */
MUST_USE enum err resolve_version(struct session *session, const struct identity *who,
                                  const struct sql_name *written, const struct lake_travel *travel,
                                  struct arena *arena, struct resolved *ret_resolved,
                                  struct errinfo *info);

/* The number of a name in a cast to regclass and its like (catalog_pg_number), while a statement is
 * planned. */
MUST_USE enum err resolve_number(struct session *session, const struct identity *who,
                                 const char *kind, struct slice text, uint32_t *ret_oid,
                                 struct errinfo *info);

/* A relation for administration (GRANT, SHOW GRANTS ...): visible to the person, or
 * theirs to administer. */
MUST_USE enum err resolve_for_admin(struct session *session, const struct sql_name *written,
                                    struct arena *arena, struct relation *ret_relation,
                                    struct errinfo *info);
/* All of a relation, raw: for what is of nobody else. */
MUST_USE enum err resolve_give_all(const struct relation *relation, struct arena *arena,
                                   struct policy_effective *ret_effective, struct errinfo *info);
bool resolve_may_administer(const struct identity *who, const struct relation *relation);
bool resolve_is_admin(const struct identity *who);
/* Which of PRIVILEGE_WRITE `who` has, being shown the relation: what grants give, and all to who
 * administers it; less what is denied. 0 for what takes no rows. */
unsigned resolve_writes(const struct identity *who, const struct relation *relation,
                        const struct policy_effective *effective);
/* The schemas that Moat itself fills: the same in every catalog. */
bool resolve_is_own_schema(struct slice schema);
/* Is a relation of pg_catalog called so? They are found behind the search path. */
bool resolve_is_pg(struct slice name);

/* What is said of a catalog that is not there, or of which `who` may know nothing. */
enum err(resolve_no_catalog)(struct session *session, const struct identity *who, struct slice name,
                             struct errinfo *info);
#define resolve_no_catalog(...) ((void)(resolve_no_catalog)(__VA_ARGS__), (enum err)ERR_NOT_FOUND)

/* Catalogs that `who` may know of, Moat's own first; none elsewhere is asked. */
MUST_USE enum err resolve_catalogs(struct session *session, const struct identity *who,
                                   struct arena *arena, struct slice **ret_names, size_t *ret_count,
                                   struct errinfo *info);
/* Namespaces of attached catalogs that `who` may know of: those of visible relations, and for who
 * administers all. */
MUST_USE enum err resolve_namespaces(struct session *session, const struct identity *who,
                                     const struct catalog_visible *visible, size_t visible_count,
                                     struct arena *arena, struct catalog_namespace **ret_namespaces,
                                     size_t *ret_count, struct errinfo *info);
/* For stored references: a registered relation whoever asks, or one of a lake that `who` may see.
 * Does not decide visibility. ERR_NOT_FOUND. */
MUST_USE enum err resolve_by_uuid(struct session *session, const struct identity *who,
                                  struct slice uuid, struct arena *arena,
                                  struct relation *ret_relation, struct errinfo *info);

/* Every relation that `who` may see, registered or of a lake, with its visible columns. */
MUST_USE enum err resolve_visible(struct session *session, const struct identity *who,
                                  struct arena *arena, struct catalog_visible **ret_visible,
                                  size_t *ret_count, struct errinfo *info);
