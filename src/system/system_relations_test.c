#include "system/system_fixture_int.h"

static enum err create(struct fixture *f, const struct identity *who,
                       const struct system_relation *relation, enum system_create_mode mode)
{
    bool created;
    return system_relation_create(f->system, who, relation, mode, &created, &f->info);
}

static enum err drop(struct fixture *f, const struct identity *who, const char *name)
{
    struct sql_name sql_name = fixture_name(name);
    return system_relation_drop(f->system, who, &sql_name, RELATION_TABLE, false, false, &f->info);
}

static enum err rename_table(struct fixture *f, const struct identity *who, const char *name,
                             const char *new_name)
{
    struct sql_name sql_name = fixture_name(name);
    return system_relation_rename(f->system, who, &sql_name, slice_of(new_name), &f->info);
}

static enum err rename_column(struct fixture *f, const struct identity *who, const char *name,
                              const char *column, const char *new_name)
{
    struct sql_name sql_name = fixture_name(name);
    return system_column_rename(f->system, who, &sql_name, slice_of(column), slice_of(new_name),
                                &f->info);
}

static enum err refresh(struct fixture *f, const char *name, const struct relation_column *columns,
                        size_t count)
{
    struct sql_name sql_name = fixture_name(name);
    return system_relation_refresh(f->system, f->owner, &sql_name, columns, count, &f->info);
}

/* "1:id 2:email" of the columns in order. */
static const char *shape(struct fixture *f, const char *name)
{
    struct system_relation loaded = fixture_load(f, name);
    const char *text = "";
    for (size_t i = 0; i < loaded.relation.column_count; i++) {
        const struct relation_column *column = &loaded.relation.columns[i];
        text = arena_printf(f->arena, "%s%s%u:%.*s", text, i == 0 ? "" : " ", column->id,
                            SLICE_ARGS(column->name));
        CHECK(text != NULL);
    }
    return text;
}

static struct relation_column column(const char *source)
{
    return (struct relation_column){0, slice_of(source), slice_of(source), SLICE("VARCHAR")};
}

static struct system_relation view_spec(const char *name, bool is_definer)
{
    struct system_relation view = {.relation = {.kind = RELATION_VIEW,
                                                .name = fixture_name(name),
                                                .columns = fixture_columns,
                                                .column_count = 3,
                                                .view_sql = SLICE("SELECT * FROM t"),
                                                .is_definer = is_definer}};
    return view;
}

TEST(system_relations, keep_all_they_are_given)
{
    struct fixture f;
    fixture_open(&f);
    const struct relation_option options[] = {{SLICE("delim"), SLICE("'|'")},
                                              {SLICE("header"), SLICE("true")}};
    struct system_relation table = fixture_table_spec("Orders");
    table.relation.format = FORMAT_CSV;
    table.relation.options = options;
    table.relation.option_count = 2;
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE));
    struct system_relation view = view_spec("v", true);
    CHECK_OK(create(&f, f.owner, &view, SYSTEM_CREATE));
    struct system_relation loaded = fixture_load(&f, "ORDERS");
    const struct relation *relation = &loaded.relation;
    CHECK_SLICE("moat", relation->name.catalog);
    CHECK_SLICE("main", relation->name.schema);
    CHECK_SLICE("Orders", relation->name.name);
    CHECK_SLICE("olga", relation->owner);
    CHECK_SLICE("data/*.parquet", loaded.location);
    CHECK_SLICE("a comment", loaded.comment);
    CHECK(relation->kind == RELATION_TABLE && relation->format == FORMAT_CSV);
    assert_int_equal(relation->uuid.len, 36);
    CHECK_STR("1:id 2:email 3:region", shape(&f, "Orders"));
    CHECK_SLICE("email", relation->columns[1].source);
    CHECK_SLICE("VARCHAR", relation->columns[1].type);
    assert_int_equal(relation->option_count, 2);
    CHECK_SLICE("header", relation->options[1].name);
    CHECK_SLICE("true", relation->options[1].value);
    assert_int_equal(relation->object_count, 0);
    struct system_relation *all;
    size_t count;
    CHECK_OK(system_relations(f.system, f.owner, f.arena, &all, &count, &f.info));
    assert_int_equal(count, 2);
    CHECK(all[1].relation.kind == RELATION_VIEW && all[1].relation.is_definer);
    CHECK_SLICE("SELECT * FROM t", all[1].relation.view_sql);
    CHECK(!slice_equal(all[0].relation.uuid, all[1].relation.uuid));
    fixture_close(&f);
}

TEST(system_relations, create_modes_do_what_they_say)
{
    struct fixture f;
    bool created = true;
    fixture_open(&f);
    struct slice uuid = fixture_table(&f, f.owner, "t");
    uint64_t version = fixture_load(&f, "t").relation.version;
    struct system_relation table = fixture_table_spec("T");
    table.location = SLICE("elsewhere/*.parquet");
    CHECK_ERR(ERR_EXISTS, create(&f, f.owner, &table, SYSTEM_CREATE));
    CHECK_STR("42P07", f.info.sqlstate);
    CHECK_OK(system_relation_create(f.system, f.owner, &table, SYSTEM_CREATE_IF_NOT_EXISTS,
                                    &created, &f.info));
    CHECK(!created);
    CHECK_SLICE("data/*.parquet", fixture_load(&f, "t").location);
    assert_int_equal(fixture_load(&f, "t").relation.version, version);
    (void)fixture_grant(&f, uuid, "public", true, NULL, 0);
    CHECK_OK(system_relation_create(f.system, f.owner, &table, SYSTEM_CREATE_OR_REPLACE, &created,
                                    &f.info));
    CHECK(created);
    struct system_relation loaded = fixture_load(&f, "t");
    CHECK(slice_equal(uuid, loaded.relation.uuid));
    CHECK_SLICE("elsewhere/*.parquet", loaded.location);
    CHECK(loaded.relation.version != version);
    struct grant *grants;
    size_t count;
    CHECK_OK(system_grants(f.system, f.owner, uuid, f.arena, &grants, &count, &f.info));
    assert_int_equal(count, 1);
    struct system_relation view = view_spec("t", false);
    CHECK_ERR(ERR_INVALID, create(&f, f.owner, &view, SYSTEM_CREATE_OR_REPLACE));
    fixture_close(&f);
}

TEST(system_relations, columns_keep_their_identity_by_source)
{
    /* Goal: what policy is bound to follows the data, whatever the names are. */
    struct fixture f;
    fixture_open(&f);
    (void)fixture_table(&f, f.owner, "t");
    CHECK_OK(rename_column(&f, f.owner, "t", "EMAIL", "contact"));
    CHECK_STR("1:id 2:contact 3:region", shape(&f, "t"));
    CHECK_SLICE("email", fixture_load(&f, "t").relation.columns[1].source);
    /* Re-read: other order, one gone, one new. */
    const struct relation_column after[] = {column("email"), column("new"), column("id")};
    CHECK_OK(refresh(&f, "t", after, 3));
    CHECK_STR("2:contact 4:new 1:id", shape(&f, "t"));
    CHECK_OK(refresh(&f, "t", fixture_columns, 3));
    CHECK_STR("1:id 2:contact 5:region", shape(&f, "t"));
    /* Replaced: the source decides, so the renamed column cannot come back under a new id. */
    struct system_relation table = fixture_table_spec("t");
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE_OR_REPLACE));
    CHECK_STR("1:id 2:email 5:region", shape(&f, "t"));
    /* Names swapped over the same sources. */
    struct relation_column swapped[] = {column("id"), column("email"), column("region")};
    swapped[1].name = SLICE("region");
    swapped[2].name = SLICE("email");
    table.relation.columns = swapped;
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE_OR_REPLACE));
    CHECK_STR("1:id 2:region 5:email", shape(&f, "t"));
    /* Only where no source fits, the name of an old column that nobody claims. */
    struct relation_column moved[] = {column("ID"), column("mail_2"), column("region")};
    moved[1].name = SLICE("region");
    moved[2].name = SLICE("x");
    table.relation.columns = moved;
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE_OR_REPLACE));
    CHECK_STR("1:ID 2:region 5:x", shape(&f, "t"));
    fixture_close(&f);
}

TEST(system_relations, a_refresh_that_would_confuse_names_is_refused)
{
    struct fixture f;
    fixture_open(&f);
    (void)fixture_table(&f, f.owner, "t");
    CHECK_OK(rename_column(&f, f.owner, "t", "email", "phone"));
    const struct relation_column after[] = {column("id"), column("email"), column("Phone")};
    CHECK_ERR(ERR_INVALID, refresh(&f, "t", after, 3));
    CHECK(strstr(f.info.hint, "rename") != NULL);
    CHECK_STR("1:id 2:phone 3:region", shape(&f, "t"));
    fixture_close(&f);
}

TEST(system_relations, renames_keep_uuid_and_refuse_collisions)
{
    struct fixture f;
    fixture_open(&f);
    struct slice uuid = fixture_table(&f, f.owner, "t");
    (void)fixture_table(&f, f.owner, "u");
    uint64_t version = fixture_load(&f, "t").relation.version;
    CHECK_ERR(ERR_EXISTS, rename_table(&f, f.owner, "t", "U"));
    CHECK_OK(rename_table(&f, f.owner, "t", "T"));
    CHECK_OK(rename_table(&f, f.owner, "t", "w"));
    CHECK(slice_equal(uuid, fixture_load(&f, "w").relation.uuid));
    CHECK(fixture_load(&f, "w").relation.version != version);
    CHECK_ERR(ERR_NOT_FOUND, rename_table(&f, f.owner, "t", "x"));
    CHECK_ERR(ERR_EXISTS, rename_column(&f, f.owner, "w", "id", "REGION"));
    CHECK_OK(rename_column(&f, f.owner, "w", "id", "ID"));
    CHECK_ERR(ERR_NOT_FOUND, rename_column(&f, f.owner, "w", "emial", "x"));
    CHECK_STR("42703", f.info.sqlstate);
    CHECK_STR("Did you mean \"email\"?", f.info.hint);
    CHECK_ERR(ERR_INVALID, rename_column(&f, f.owner, "w", "id", ""));
    CHECK_ERR(ERR_INVALID, rename_table(&f, f.owner, "w", "a\nb"));
    fixture_close(&f);
}

TEST(system_relations, definitions_are_checked)
{
    struct fixture f;
    fixture_open(&f);
    struct system_relation table = fixture_table_spec("t");
    struct relation_column twice[] = {column("a"), column("b"), column("A")};
    table.relation.columns = twice;
    CHECK_ERR(ERR_INVALID, create(&f, f.owner, &table, SYSTEM_CREATE));
    CHECK_STR("42701", f.info.sqlstate);
    table.relation.column_count = 0;
    CHECK_ERR(ERR_INVALID, create(&f, f.owner, &table, SYSTEM_CREATE));
    table = fixture_table_spec("t");
    table.location = SLICE("");
    CHECK_ERR(ERR_INVALID, create(&f, f.owner, &table, SYSTEM_CREATE));
    table = fixture_table_spec("");
    CHECK_ERR(ERR_INVALID, create(&f, f.owner, &table, SYSTEM_CREATE));
    table = fixture_table_spec("t");
    table.relation.name.schema = SLICE("mian");
    CHECK_ERR(ERR_NOT_FOUND, create(&f, f.owner, &table, SYSTEM_CREATE));
    CHECK_STR("Did you mean \"main\"?", f.info.hint);
    table.relation.name.schema = SLICE("main");
    table.relation.name.catalog = SLICE("lake");
    CHECK_ERR(ERR_NOT_FOUND, create(&f, f.owner, &table, SYSTEM_CREATE));
    CHECK_STR("3D000", f.info.sqlstate);
    fixture_close(&f);
}

TEST(system_relations, only_those_who_may_create_do)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    fixture_role(&f, "maker");
    fixture_member(&f, "maker", "bob");
    CHECK_OK(system_schema_create(f.system, f.owner, SLICE("s"), false, &f.info));
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct system_relation table = fixture_table_spec("t");
    CHECK_ERR(ERR_DENIED, create(&f, bob, &table, SYSTEM_CREATE));
    table.relation.name.schema = SLICE("s"); /* which does not concern him: it is not there */
    CHECK_ERR(ERR_NOT_FOUND, create(&f, bob, &table, SYSTEM_CREATE));
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_CREATE,
                          .grantee_kind = GRANTEE_ROLE,
                          .grantee = SLICE("maker"),
                          .object_uuid = SLICE("S"),
                          .all_columns = true};
    uint64_t id;
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &id, &f.info));
    CHECK_OK(create(&f, bob, &table, SYSTEM_CREATE));
    grant.effect = GRANT_DENY;
    grant.grantee = SLICE("public");
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &id, &f.info));
    table.relation.name.name = SLICE("t2");
    CHECK_ERR(ERR_DENIED, create(&f, bob, &table, SYSTEM_CREATE));
    /* What he made is his. */
    struct sql_name name = {.schema = SLICE("s"), .name = SLICE("t")};
    CHECK_OK(system_relation_rename(f.system, bob, &name, SLICE("mine"), &f.info));
    name.name = SLICE("mine");
    CHECK_OK(system_relation_drop(f.system, bob, &name, RELATION_TABLE, false, false, &f.info));
    fixture_close(&f);
}

TEST(system_relations, what_one_may_not_know_of_does_not_exist)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    struct slice uuid = fixture_table(&f, f.owner, "hidden");
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    char missing[sizeof(f.info.message)];
    CHECK_ERR(ERR_NOT_FOUND, drop(&f, bob, "hidde"));
    assert_int_equal(f.info.hint[0], '\0');
    (void)snprintf(missing, sizeof(missing), "%s", f.info.message);
    CHECK_ERR(ERR_NOT_FOUND, drop(&f, bob, "hidden"));
    assert_int_equal(strlen(f.info.message), strlen(missing) + 1); /* the same words */
    assert_int_equal(f.info.hint[0], '\0');
    CHECK_ERR(ERR_NOT_FOUND, rename_table(&f, bob, "hidden", "x"));
    CHECK_ERR(ERR_NOT_FOUND, rename_column(&f, bob, "hidden", "id", "x"));
    (void)fixture_grant(&f, uuid, "public", true, NULL, 0);
    CHECK_ERR(ERR_DENIED, drop(&f, bob, "hidden"));
    CHECK_ERR(ERR_DENIED, rename_column(&f, bob, "hidden", "id", "x"));
    struct grant deny = {.effect = GRANT_DENY,
                         .privileges = PRIVILEGE_SELECT,
                         .grantee_kind = GRANTEE_USER,
                         .grantee = SLICE("bob"),
                         .object_uuid = uuid,
                         .all_columns = true};
    uint64_t id;
    CHECK_OK(system_grant_add(f.system, f.owner, &deny, &id, &f.info));
    CHECK_ERR(ERR_NOT_FOUND, drop(&f, bob, "hidden"));
    CHECK_ERR(ERR_NOT_FOUND, drop(&f, f.owner, "hidde"));
    CHECK_STR("Did you mean \"hidden\"?", f.info.hint);
    fixture_close(&f);
}

TEST(system_relations, nobody_borrows_the_rights_of_a_views_owner)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "adam");
    fixture_member(&f, SYSTEM_ROLE_ADMIN, "adam");
    struct identity *adam CLEANUP(identity_cleanup) = fixture_login(&f, "adam");
    struct system_relation definer = view_spec("d", true);
    struct system_relation invoker = view_spec("i", false);
    CHECK_OK(create(&f, f.owner, &definer, SYSTEM_CREATE));
    CHECK_OK(create(&f, f.owner, &invoker, SYSTEM_CREATE));
    CHECK_ERR(ERR_DENIED, create(&f, adam, &definer, SYSTEM_CREATE_OR_REPLACE));
    definer.relation.is_definer = false;
    CHECK_ERR(ERR_DENIED, create(&f, adam, &definer, SYSTEM_CREATE_OR_REPLACE));
    invoker.relation.is_definer = true;
    CHECK_ERR(ERR_DENIED, create(&f, adam, &invoker, SYSTEM_CREATE_OR_REPLACE));
    invoker.relation.is_definer = false;
    CHECK_OK(create(&f, adam, &invoker, SYSTEM_CREATE_OR_REPLACE));
    CHECK_SLICE("olga", fixture_load(&f, "i").relation.owner);
    CHECK_OK(create(&f, f.owner, &definer, SYSTEM_CREATE_OR_REPLACE));
    fixture_close(&f);
}

TEST(system_schemas, hold_relations_and_are_dropped_with_them_on_request)
{
    struct fixture f;
    fixture_open(&f);
    CHECK_OK(system_schema_create(f.system, f.owner, SLICE("Sales"), false, &f.info));
    CHECK_ERR(ERR_EXISTS, system_schema_create(f.system, f.owner, SLICE("SALES"), false, &f.info));
    CHECK_STR("42P06", f.info.sqlstate);
    CHECK_OK(system_schema_create(f.system, f.owner, SLICE("sales"), true, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_schema_create(f.system, f.owner, SLICE("Moat_System"), false, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_schema_create(f.system, f.owner, SLICE("information_schema"), true, &f.info));
    struct system_relation table = fixture_table_spec("t");
    table.relation.name.schema = SLICE("sales");
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE));
    struct system_relation *all;
    size_t count;
    CHECK_OK(system_relations(f.system, f.owner, f.arena, &all, &count, &f.info));
    CHECK_SLICE("Sales", all[0].relation.name.schema);
    (void)fixture_grant(&f, all[0].relation.uuid, "public", true, NULL, 0);
    CHECK_ERR(ERR_INVALID,
              system_schema_drop(f.system, f.owner, SLICE("sales"), false, false, &f.info));
    CHECK_STR("2BP01", f.info.sqlstate);
    CHECK(strstr(f.info.hint, "CASCADE") != NULL);
    CHECK_OK(system_schema_drop(f.system, f.owner, SLICE("sales"), false, true, &f.info));
    CHECK_OK(system_relations(f.system, f.owner, f.arena, &all, &count, &f.info));
    assert_int_equal(count, 0);
    struct grant *grants;
    CHECK_OK(system_grants(f.system, f.owner, SLICE(""), f.arena, &grants, &count, &f.info));
    assert_int_equal(count, 0);
    CHECK_ERR(ERR_NOT_FOUND,
              system_schema_drop(f.system, f.owner, SLICE("sales"), false, true, &f.info));
    CHECK_OK(system_schema_drop(f.system, f.owner, SLICE("sales"), true, true, &f.info));
    CHECK_ERR(ERR_INVALID,
              system_schema_drop(f.system, f.owner, SLICE("main"), false, true, &f.info));
    fixture_close(&f);
}

TEST(system_schemas, are_seen_by_those_they_concern)
{
    struct fixture f;
    fixture_open(&f);
    fixture_user(&f, "bob");
    CHECK_OK(system_schema_create(f.system, f.owner, SLICE("s"), false, &f.info));
    struct system_relation table = fixture_table_spec("t");
    table.relation.name.schema = SLICE("s");
    CHECK_OK(create(&f, f.owner, &table, SYSTEM_CREATE));
    struct identity *bob CLEANUP(identity_cleanup) = fixture_login(&f, "bob");
    struct system_schema *schemas;
    size_t count;
    CHECK_OK(system_schemas(f.system, bob, f.arena, &schemas, &count, &f.info));
    assert_int_equal(count, 1);
    CHECK_ERR(ERR_NOT_FOUND, system_schema_drop(f.system, bob, SLICE("s"), false, true, &f.info));
    struct system_relation *all;
    CHECK_OK(system_relations(f.system, f.owner, f.arena, &all, &count, &f.info));
    (void)fixture_grant(&f, all[0].relation.uuid, "bob", false, NULL, 0);
    CHECK_OK(system_schemas(f.system, bob, f.arena, &schemas, &count, &f.info));
    assert_int_equal(count, 2);
    CHECK_ERR(ERR_DENIED, system_schema_drop(f.system, bob, SLICE("s"), false, true, &f.info));
    fixture_close(&f);
}
