/* Goal: pg_catalog is what PostgreSQL's clients expect, and no more than the person may see.
 * Method: the tables that it is made from, and rows over a real store; what SQL makes of it is in
 * tests/sql. */
#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/pg_int.h"

static bool has_column(const struct pg_relation *relation, const char *name, size_t len)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        const char *own = catalog__pg_column_of(relation, i)->name;
        if (strlen(own) == len && memcmp(own, name, len) == 0) {
            return true;
        }
    }
    return false;
}

static void check_source(const struct pg_source *source)
{
    struct sql_name name = {{0}, slice_of(source->schema), slice_of(source->name)};
    const struct pg_relation *relation = catalog__pg_relation_find(&name);
    CHECK(relation != NULL);
    for (const char *at = source->columns; *at != '\0';) {
        size_t len = strcspn(at, " ");
        if (!has_column(relation, at, len) || at[len] != ' ') {
            fail_msg("%s has no column %s", source->name, at);
        }
        at += len + 1;
    }
    for (const char *const *pair = source->constants; pair != NULL && *pair != NULL; pair += 2) {
        if (!has_column(relation, pair[0], strlen(pair[0]))) {
            fail_msg("%s has no column %s", source->name, pair[0]);
        }
    }
}

TEST(pg, every_source_fills_columns_that_there_are)
{
    for (size_t i = 0; i < catalog__pg_source_count; i++) {
        check_source(&catalog__pg_sources[i]);
    }
    for (size_t i = 0; i < catalog__pg_information_source_count; i++) {
        check_source(&catalog__pg_information_sources[i]);
    }
    for (size_t i = 0; i < catalog__pg_helper_source_count; i++) {
        check_source(&catalog__pg_helper_sources[i]);
    }
}

TEST(pg, shapes_and_types_are_whole)
{
    const struct pg_relation *relation;
    const struct pg_type *type;
    size_t count = 0;
    for (; (relation = catalog__pg_relation_at(count)) != NULL; count++) {
        struct sql_name name = {{0}, slice_of(relation->schema), slice_of(relation->name)};
        CHECK(relation->column_count > 0 && catalog__pg_relation_find(&name) == relation);
        CHECK(strlen(relation->uuid) == 36 && relation->uuid[14] == '8');
    }
    CHECK(count > 200);
    uint32_t last = 0;
    for (size_t i = 0; (type = catalog__pg_type_at(i)) != NULL; i++) {
        CHECK(type->oid > last && catalog__pg_type_find(type->oid) == type);
        CHECK(type->element == 0 || catalog__pg_type_find(type->element) != NULL);
        CHECK(type->array == 0 || catalog__pg_type_find(type->array)->element == type->oid);
        last = type->oid;
    }
    CHECK(catalog__pg_type_find(1) == NULL && catalog__pg_type_named("no") == NULL);
}

TEST(pg, types_of_the_engine_have_a_type_there)
{
    static const struct {
        const char *engine;
        const char *name;
        int32_t modifier;
        uint32_t dimensions;
    } cases[] = {{"BIGINT", "int8", -1, 0},
                 {"DECIMAL(15,2)", "numeric", (15 << 16 | 2) + 4, 0},
                 {"UBIGINT", "numeric", -1, 0},
                 {"VARCHAR", "text", -1, 0},
                 {"TIMESTAMP WITH TIME ZONE", "timestamptz", -1, 0},
                 {"INTEGER[]", "_int4", -1, 1},
                 {"INTEGER[3]", "_int4", -1, 1},
                 {"VARCHAR[][]", "text", -1, 0},
                 {"DECIMAL(4,1)[]", "_numeric", (4 << 16 | 1) + 4, 1},
                 {"STRUCT(a INTEGER)", "text", -1, 0},
                 {"STRUCT(a INTEGER)[]", "text", -1, 0},
                 {"MAP(VARCHAR, BIGINT)", "text", -1, 0},
                 {"ENUM('BIGINT')", "text", -1, 0},
                 {"", "text", -1, 0},
                 {"]", "text", -1, 0}};
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct pg_typed typed = catalog__pg_type_of(slice_of(cases[i].engine));
        CHECK_STR(cases[i].name, typed.type->name);
        CHECK(typed.modifier == cases[i].modifier && typed.dimensions == cases[i].dimensions);
    }
}

struct fixture {
    struct arena *arena;
    struct system *system;
    struct identity *owner;
    struct identity *ana;
};

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.arena = arena_new(NULL, "test", 0)};
    CHECK_OK(system_open(test_folder(), SLICE("boss"), true, &f->system, NULL));
    CHECK_OK(system_login(f->system, SLICE("boss"), SLICE(""), SLICE("local"), SLICE("embedded"),
                          &f->owner, NULL));
    CHECK_OK(system_user_create(f->system, f->owner, SLICE("ana"), SLICE(""), false, NULL));
    CHECK_OK(system_user_create(f->system, f->owner, SLICE("zoe"), SLICE(""), false, NULL));
    CHECK_OK(system_role_create(f->system, f->owner, SLICE("reader"), false, NULL));
    CHECK_OK(system_role_grant(f->system, f->owner, SLICE("reader"), SLICE("ana"), NULL));
    CHECK_OK(system_login(f->system, SLICE("ana"), SLICE(""), SLICE("local"), SLICE("embedded"),
                          &f->ana, NULL));
}

static void fixture_fini(struct fixture *f)
{
    identity_unref(f->owner);
    identity_unref(f->ana);
    system_close(f->system);
    arena_free(f->arena);
}

static const struct relation_column id = {1, {"id", 2}, {"id", 2}, {"BIGINT", 6}};
static const struct relation_column *const columns[] = {&id};
static struct relation table = {.kind = RELATION_TABLE,
                                .name = {{"moat", 4}, {"main", 4}, {"T", 1}},
                                .uuid = {"018f0000-0000-7000-8000-000000000001", 36},
                                .owner = {"boss", 4}};
static const struct catalog_visible visible[] = {{&table, columns, 1, false, 0}};

static struct catalog_system_input input_of(const struct fixture *f, const struct identity *who)
{
    return (struct catalog_system_input){.system = f->system,
                                         .who = who,
                                         .visible = visible,
                                         .visible_count = 1,
                                         .default_catalog = SLICE("moat"),
                                         .default_schema = SLICE("main")};
}

static struct slice rows_of(const struct catalog_system_input *input, const char *name,
                            struct arena *arena)
{
    struct relation relation;
    struct sql_name full = {{0}, SLICE(SQL_SCHEMA_PG), slice_of(name)};
    CHECK_OK(catalog_system_load(&full, input, arena, &relation, NULL));
    return relation.object_count == 0 ? SLICE("") : relation.objects[0].bytes;
}

TEST(pg, each_person_sees_their_own)
{
    struct fixture f;
    fixture_init(&f);
    struct catalog_system_input own = input_of(&f, f.owner);
    struct catalog_system_input others = input_of(&f, f.ana);
    CHECK(slice_find(rows_of(&own, "pg_roles", f.arena), SLICE("zoe")) != SIZE_MAX);
    CHECK(slice_find(rows_of(&others, "pg_roles", f.arena), SLICE("zoe")) == SIZE_MAX);
    CHECK(slice_find(rows_of(&others, "pg_roles", f.arena), SLICE("reader")) != SIZE_MAX);
    CHECK(slice_find(rows_of(&others, "pg_authid", f.arena), SLICE("SCRAM")) == SIZE_MAX);
    CHECK(slice_find(rows_of(&others, "pg_class", f.arena), SLICE("\"relname\":\"T\"")) !=
          SIZE_MAX);
    CHECK(slice_find(rows_of(&others, "pg_class", f.arena), SLICE("\"audit\"")) == SIZE_MAX);
    others.visible_count = 0;
    CHECK(slice_find(rows_of(&others, "pg_class", f.arena), SLICE("\"relname\":\"T\"")) ==
          SIZE_MAX);
    fixture_fini(&f);
}

TEST(pg, names_become_numbers_in_every_form)
{
    struct fixture f;
    fixture_init(&f);
    struct catalog_system_input input = input_of(&f, f.ana);
    static const char *const forms[] = {"T", "t", "\"T\"", "main.t", "moat.main.T"};
    uint32_t first;
    uint32_t oid;
    struct errinfo info;
    CHECK_OK(catalog_pg_number("regclass", SLICE("t"), &input, f.arena, &first, &info));
    CHECK(first >= 16384);
    for (size_t i = 0; i < ARRAY_COUNT(forms); i++) {
        CHECK_OK(catalog_pg_number("regclass", slice_of(forms[i]), &input, f.arena, &oid, &info));
        CHECK(oid == first);
    }
    CHECK_ERR(ERR_NOT_FOUND,
              catalog_pg_number("regclass", SLICE("s.t"), &input, f.arena, &oid, &info));
    CHECK_STR("42P01", info.sqlstate);
    CHECK_OK(
        catalog_pg_number("regclass", SLICE("pg_catalog.pg_class"), NULL, f.arena, &oid, &info));
    CHECK(oid == 1259);
    CHECK_OK(catalog_pg_number("regtype", SLICE("int4"), NULL, f.arena, &oid, &info));
    CHECK(oid == 23);
    CHECK_OK(catalog_pg_number("regtype", SLICE("double precision"), NULL, f.arena, &oid, &info));
    CHECK(oid == 701);
    CHECK_OK(catalog_pg_number("regclass", SLICE("4294967295"), NULL, f.arena, &oid, &info));
    CHECK(oid == UINT32_MAX);
    CHECK_ERR(ERR_NOT_FOUND,
              catalog_pg_number("regrole", SLICE("zoe"), &input, f.arena, &oid, &info));
    CHECK_OK(catalog_pg_number("regrole", SLICE("ana"), &input, f.arena, &oid, &info));
    CHECK_OK(catalog_pg_number("regnamespace", SLICE("main"), &input, f.arena, &oid, &info));
    fixture_fini(&f);
}

TEST(pg, the_number_of_a_table_is_of_its_identity)
{
    struct fixture f;
    fixture_init(&f);
    struct catalog_system_input input = input_of(&f, f.owner);
    uint32_t before;
    uint32_t after;
    CHECK_OK(catalog_pg_number("regclass", SLICE("t"), &input, f.arena, &before, NULL));
    table.name.name = SLICE("renamed");
    CHECK_OK(catalog_pg_number("regclass", SLICE("renamed"), &input, f.arena, &after, NULL));
    table.name.name = SLICE("T");
    CHECK(before == after);
    fixture_fini(&f);
}

TEST(pg, every_allocation_may_fail)
{
    struct fixture f;
    fixture_init(&f);
    static const char *const names[] = {"pg_class", "pg_attribute", "pg_roles", "pg_settings",
                                        "__moat_relation_key"};
    for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
        struct sql_name full = {{0}, SLICE(SQL_SCHEMA_PG), slice_of(names[i])};
        SWEEP_ALLOC(fault)
        {
            struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
            struct catalog_system_input input = input_of(&f, f.owner);
            struct relation relation = {.column_count = 7};
            enum err err = arena == NULL
                               ? ERR_NOMEM
                               : catalog_system_load(&full, &input, arena, &relation, NULL);
            CHECK(err == ERR_OK ? relation.object_count == 1
                                : err == ERR_NOMEM && relation.column_count == 7);
        }
    }
    fixture_fini(&f);
}
