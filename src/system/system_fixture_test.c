#include "system/system_fixture_int.h"

const struct relation_column fixture_columns[3] = {
    {1, {"id", 2}, {"id", 2}, {"BIGINT", 6}},
    {2, {"email", 5}, {"email", 5}, {"VARCHAR", 7}},
    {3, {"region", 6}, {"region", 6}, {"VARCHAR", 7}},
};

struct identity *fixture_login(struct fixture *f, const char *user)
{
    struct identity *who = NULL;
    CHECK_OK(system_login(f->system, slice_of(user), SLICE(""), SLICE("local"), SLICE("test"), &who,
                          &f->info));
    return who;
}

void fixture_open(struct fixture *f)
{
    *f = (struct fixture){.folder = test_folder()};
    f->arena = arena_new(NULL, "fixture", 0);
    CHECK(f->arena != NULL);
    CHECK_OK(system_open(f->folder, SLICE("olga"), true, &f->system, &f->info));
    f->owner = fixture_login(f, "olga");
}

void fixture_close(struct fixture *f)
{
    identity_unref(f->owner);
    system_close(f->system);
    arena_free(f->arena);
}

void fixture_user(struct fixture *f, const char *name)
{
    CHECK_OK(system_user_create(f->system, f->owner, slice_of(name), SLICE(""), false, &f->info));
}

void fixture_role(struct fixture *f, const char *name)
{
    CHECK_OK(system_role_create(f->system, f->owner, slice_of(name), false, &f->info));
}

void fixture_member(struct fixture *f, const char *role, const char *member)
{
    CHECK_OK(system_role_grant(f->system, f->owner, slice_of(role), slice_of(member), &f->info));
}

struct sql_name fixture_name(const char *name)
{
    return (struct sql_name){.schema = SLICE("main"), .name = slice_of(name)};
}

struct system_relation fixture_table_spec(const char *name)
{
    return (struct system_relation){.relation = {.kind = RELATION_TABLE,
                                                 .name = fixture_name(name),
                                                 .columns = fixture_columns,
                                                 .column_count = 3,
                                                 .format = FORMAT_PARQUET},
                                    .location = SLICE("data/*.parquet"),
                                    .comment = SLICE("a comment")};
}

struct system_relation fixture_load(struct fixture *f, const char *name)
{
    struct system_relation loaded = {0};
    struct sql_name sql_name = fixture_name(name);
    CHECK_OK(system_relation_load(f->system, f->owner, &sql_name, f->arena, &loaded, &f->info));
    return loaded;
}

struct slice fixture_table(struct fixture *f, const struct identity *who, const char *name)
{
    struct system_relation table = fixture_table_spec(name);
    bool created = false;
    CHECK_OK(system_relation_create(f->system, who, &table, SYSTEM_CREATE, &created, &f->info));
    CHECK(created);
    return fixture_load(f, name).relation.uuid;
}

uint64_t fixture_grant(struct fixture *f, struct slice uuid, const char *grantee, bool is_role,
                       const uint32_t *columns, size_t column_count)
{
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT,
                          .grantee_kind = is_role ? GRANTEE_ROLE : GRANTEE_USER,
                          .grantee = slice_of(grantee),
                          .object_uuid = uuid,
                          .all_columns = column_count == 0,
                          .column_ids = columns,
                          .column_count = column_count};
    uint64_t id = 0;
    CHECK_OK(system_grant_add(f->system, f->owner, &grant, &id, &f->info));
    return id;
}
