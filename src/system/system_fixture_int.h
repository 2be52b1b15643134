/* A warehouse for tests: owner "olga", and short ways to do usual things. */
#pragma once

#include "base/test.h"
#include "system/system_int.h"

struct fixture {
    const char *folder;
    struct system *system;
    struct arena *arena;
    struct identity *owner;
    struct errinfo info;
};

void fixture_open(struct fixture *f);
void fixture_close(struct fixture *f);
struct identity *fixture_login(struct fixture *f, const char *user);

/* Make and connect; each checks that it works, as the owner. */
void fixture_user(struct fixture *f, const char *name);
void fixture_role(struct fixture *f, const char *name);
void fixture_member(struct fixture *f, const char *role, const char *member);

/* A table "main".<name> with the columns id, email, region; its uuid, in the fixture's arena. */
struct slice fixture_table(struct fixture *f, const struct identity *who, const char *name);
extern const struct relation_column fixture_columns[3];
struct system_relation fixture_table_spec(const char *name);
struct system_relation fixture_load(struct fixture *f, const char *name);
struct sql_name fixture_name(const char *name);

/* Adds a grant of all columns to a role (or user), optionally only of some. */
uint64_t fixture_grant(struct fixture *f, struct slice uuid, const char *grantee, bool is_role,
                       const uint32_t *columns, size_t column_count);
