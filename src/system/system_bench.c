/* What every query pays: the version, login, a relation and its grants; and what a write costs.
 * A store of 200 users, 50 roles (ten nested five deep), 500 tables of 20 columns, 3 grants each.
 * First argument: an empty folder on the disk to measure, instead of one made and removed. */
#include "base/bench.h"
#include "base/clock.h"
#include "base/io.h"
#include "system/system_int.h"

#define USERS 200
#define ROLES 50
#define TABLES 500
#define COLUMNS 20

struct bench {
    struct system *system;
    struct identity *owner;
    struct arena *arena;
    struct slice uuid; /* of one table in the middle */
};

static struct slice name_of(struct bench *bench, const char *format, int number)
{
    char text[64];
    struct slice name;
    (void)snprintf(text, sizeof(text), "%s_%d", format, number);
    ASSERT(arena_slice(bench->arena, slice_of(text), &name));
    return name;
}

static void must(enum err err, const struct errinfo *info)
{
    if (err != ERR_OK) {
        (void)fprintf(stderr, "%s\n", info->message);
        ASSERT(false);
    }
}

static void fill_people(struct bench *bench)
{
    struct errinfo info;
    struct slice value = SLICE("EU");
    for (int i = 0; i < ROLES; i++) {
        must(
            system_role_create(bench->system, bench->owner, name_of(bench, "role", i), true, &info),
            &info);
        if (i % 5 != 0) {
            must(system_role_grant(bench->system, bench->owner, name_of(bench, "role", i - 1),
                                   name_of(bench, "role", i), &info),
                 &info);
        }
    }
    for (int i = 0; i < USERS; i++) {
        struct slice user = name_of(bench, "user", i);
        must(system_user_create(bench->system, bench->owner, user, SLICE(""), true, &info), &info);
        must(system_role_grant(bench->system, bench->owner, name_of(bench, "role", i % 10 * 5 + 4),
                               user, &info),
             &info);
        must(system_user_set_attribute(bench->system, bench->owner, user, SLICE("region"), &value,
                                       &info),
             &info);
    }
}

static void grant_table(struct bench *bench, struct slice uuid, int table)
{
    struct errinfo info;
    const uint32_t columns[] = {1, 2, 3, 4, 5};
    const struct grant_mask masks[] = {{2, SLICE("NULL")}, {3, SLICE("sha256(__moat_c3)")}};
    for (int i = 0; i < 3; i++) {
        struct grant grant = {.effect = GRANT_ALLOW,
                              .privileges = PRIVILEGE_SELECT,
                              .grantee_kind = GRANTEE_ROLE,
                              .grantee = name_of(bench, "role", (table + i) % ROLES),
                              .object_uuid = uuid,
                              .column_ids = columns,
                              .column_count = ARRAY_COUNT(columns),
                              .rows = SLICE("__moat_c4 = claim('region')"),
                              .masks = masks,
                              .mask_count = ARRAY_COUNT(masks)};
        uint64_t id;
        must(system_grant_add(bench->system, bench->owner, &grant, &id, &info), &info);
    }
}

static void fill_tables(struct bench *bench)
{
    struct errinfo info;
    struct relation_column columns[COLUMNS];
    for (int c = 0; c < COLUMNS; c++) {
        struct slice name = name_of(bench, "column", c);
        columns[c] = (struct relation_column){0, name, name, SLICE("VARCHAR")};
    }
    for (int i = 0; i < TABLES; i++) {
        struct system_relation table = {
            .relation = {.kind = RELATION_TABLE,
                         .columns = columns,
                         .column_count = COLUMNS,
                         .name = {.schema = SLICE("main"), .name = name_of(bench, "table", i)}},
            .location = SLICE("data/*.parquet")};
        struct system_relation made;
        bool created;
        must(system_relation_create(bench->system, bench->owner, &table, SYSTEM_CREATE, &created,
                                    &info),
             &info);
        must(system_relation_load(bench->system, bench->owner, &table.relation.name, bench->arena,
                                  &made, &info),
             &info);
        grant_table(bench, made.relation.uuid, i);
        bench->uuid = i == TABLES / 2 ? made.relation.uuid : bench->uuid;
    }
}

/* ---- what is measured ---- */

static void do_version(struct bench *bench, UNUSED struct arena *arena)
{
    uint64_t version;
    must(system_version(bench->system, &version, NULL), NULL);
}

static void do_login(struct bench *bench, UNUSED struct arena *arena)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    must(system_login(bench->system, SLICE("user_77"), SLICE(""), SLICE("local"), SLICE("bench"),
                      &who, NULL),
         NULL);
    ASSERT(identity_role_count(who) == 6);
}

static void do_grants(struct bench *bench, struct arena *arena)
{
    struct grant *grants;
    size_t count;
    must(system_grants(bench->system, bench->owner, bench->uuid, arena, &grants, &count, NULL),
         NULL);
    ASSERT(count == 3 && grants[2].column_count == 5 && grants[2].mask_count == 2);
}

static void do_load(struct bench *bench, struct arena *arena)
{
    struct system_relation relation;
    struct sql_name name = {.schema = SLICE("main"), .name = SLICE("table_250")};
    must(system_relation_load(bench->system, bench->owner, &name, arena, &relation, NULL), NULL);
    ASSERT(relation.relation.column_count == COLUMNS);
}

static void do_list(struct bench *bench, struct arena *arena)
{
    struct system_relation *relations;
    size_t count;
    must(system_relations(bench->system, bench->owner, arena, &relations, &count, NULL), NULL);
    ASSERT(count == TABLES);
}

static void do_write(struct bench *bench, UNUSED struct arena *arena)
{
    static unsigned round;
    struct slice value = round++ % 2 ? SLICE("EU") : SLICE("US");
    must(system_user_set_attribute(bench->system, bench->owner, SLICE("user_1"), SLICE("region"),
                                   &value, NULL),
         NULL);
}

/* Two renames, so that the store is in the end as it was. */
static void do_transaction(struct bench *bench, UNUSED struct arena *arena)
{
    struct system *overlay CLEANUP(system_cleanup) = NULL;
    struct sql_name name = {.schema = SLICE("main"), .name = SLICE("table_7")};
    struct sql_name other = {.schema = SLICE("main"), .name = SLICE("table_7_old")};
    must(system_overlay_open(bench->system, &overlay, NULL), NULL);
    must(system_relation_rename(overlay, bench->owner, &name, other.name, NULL), NULL);
    must(system_relation_rename(overlay, bench->owner, &other, name.name, NULL), NULL);
    must(system_overlay_commit(overlay, bench->owner, NULL), NULL);
}

static void do_overlay(struct bench *bench, UNUSED struct arena *arena)
{
    struct system *overlay CLEANUP(system_cleanup) = NULL;
    must(system_overlay_open(bench->system, &overlay, NULL), NULL);
}

static void measure(struct bench *bench, const char *name,
                    void (*run)(struct bench *, struct arena *), int rounds)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "round", 0);
    run(bench, arena);
    int64_t start_us = clock_mono_us();
    for (int i = 0; i < rounds; i++) {
        arena_reset(arena);
        run(bench, arena);
    }
    bench_print(name, (double)(clock_mono_us() - start_us) / rounds, "us");
}

static void measure_open(const char *folder, int rounds)
{
    int64_t start_us = clock_mono_us();
    for (int i = 0; i < rounds; i++) {
        struct system *system CLEANUP(system_cleanup) = NULL;
        struct identity *who CLEANUP(identity_cleanup) = NULL;
        must(system_open(folder, SLICE("bench"), false, &system, NULL), NULL);
        must(system_login(system, SLICE("bench"), SLICE(""), SLICE("local"), SLICE("bench"), &who,
                          NULL),
             NULL);
    }
    bench_print("store: open, log in, close", (double)(clock_mono_us() - start_us) / rounds, "us");
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    struct errinfo info;
    const char *folder = argc > 1 ? argv[1] : bench_folder();
    if (folder == NULL) {
        return 1;
    }
    bench.arena = arena_new(NULL, "bench", 0);
    ASSERT(bench.arena != NULL);
    must(system_open(folder, SLICE("bench"), true, &bench.system, &info), &info);
    must(system_login(bench.system, SLICE("bench"), SLICE(""), SLICE("local"), SLICE("bench"),
                      &bench.owner, &info),
         &info);
    fill_people(&bench);
    fill_tables(&bench);
    measure(&bench, "store: is it still the same version", do_version, 20000);
    measure(&bench, "store: log in", do_login, 5000);
    measure(&bench, "store: grants on a table", do_grants, 5000);
    measure(&bench, "store: load a table", do_load, 5000);
    measure(&bench, "store: list 500 tables", do_list, 20);
    measure(&bench, "store: change an attribute", do_write, 200);
    measure(&bench, "store: copy for a transaction", do_overlay, 50);
    measure(&bench, "store: a transaction of two changes", do_transaction, 50);
    identity_unref(bench.owner);
    system_close(bench.system);
    arena_free(bench.arena);
    measure_open(folder, 200);
    return 0;
}
