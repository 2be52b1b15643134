#include "catalog/iceberg_block.h"

#include <limits.h>
#include <sqlite3.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/io.h"
#include "base/sweep.h"
#include "base/test.h"
#include "identity/identity.h"

static const char table_text[] =
    "{\"format-version\":2,\"table-uuid\":\"1B82E7F7-5e1c-40cc-bbfc-c6c3fb3c1fe1\",\"location\":"
    "\"/w/t\",\"last-sequence-number\":0,\"last-updated-ms\":1,\"last-column-id\":1,"
    "\"current-schema-id\":0,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,\"fields\":[{\"id\":"
    "1,\"name\":\"id\",\"required\":false,\"type\":\"int\"}]}],\"default-spec-id\":0,"
    "\"partition-specs\":[{\"spec-id\":0,\"fields\":[]}],\"last-partition-id\":999,"
    "\"default-sort-order-id\":0,\"sort-orders\":[{\"order-id\":0,\"fields\":[]}]}";

static const char view_text[] =
    "{\"view-uuid\":\"fa6506c3-7681-40c8-86dc-e36561f83385\",\"format-version\":1,\"location\":"
    "\"/w/v\",\"current-version-id\":1,\"schemas\":[{\"type\":\"struct\",\"schema-id\":0,"
    "\"fields\":[]}],\"versions\":[{\"version-id\":1,\"schema-id\":0,\"timestamp-ms\":1,"
    "\"summary\":{},\"default-namespace\":[\"sales\"],\"representations\":[{\"type\":\"sql\","
    "\"dialect\":\"spark\",\"sql\":\"SELECT 1\"}]}],\"version-log\":[]}";

struct fixture {
    struct arena *arena;
    struct identity *owner;
    struct identity *guest;
    struct catalog_iceberg catalog;
    const char *folder;
    struct errinfo info;
};

static struct identity *person(bool is_owner)
{
    struct identity_spec spec = {.subject = is_owner ? SLICE("root") : SLICE("ana"),
                                 .provider = SLICE("local"),
                                 .client = SLICE("embedded"),
                                 .is_owner = is_owner};
    struct identity *who;
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

static void fixture_fini(struct fixture *f)
{
    identity_unref(f->owner);
    identity_unref(f->guest);
    arena_free(f->arena);
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.arena = arena_new(NULL, "test", 0),
                          .owner = person(true),
                          .guest = person(false),
                          .folder = test_folder()};
    f->catalog = (struct catalog_iceberg){.name = SLICE("lake"), .kind = CATALOG_ICEBERG_LOCAL};
    f->catalog.location = slice_of(io_join(f->arena, f->folder, "catalog.sqlite"));
    errinfo_init(&f->info);
}

static struct slice write_file(struct fixture *f, const char *name, const char *text)
{
    char *path = io_join(f->arena, f->folder, name);
    char *folder = arena_strdup(f->arena, path);
    *strrchr(folder, '/') = '\0';
    CHECK_OK(io_make_folders(folder, 0700, NULL));
    CHECK_OK(io_write_file_atomic(path, slice_of(text), 0600, NULL));
    return slice_of(path);
}

static void sql(struct fixture *f, const char *text)
{
    sqlite3 *db = NULL;
    CHECK(sqlite3_open(f->catalog.location.ptr, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, text, NULL, NULL, NULL) == SQLITE_OK);
    CHECK(sqlite3_close(db) == SQLITE_OK);
}

/* "a|a.b" of namespaces. */
static void check_namespaces(struct fixture *f, const char *expected)
{
    struct slice *found = NULL;
    size_t count = 0;
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(catalog_iceberg_namespaces(&f->catalog, f->owner, f->arena, &found, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s%.*s", i == 0 ? "" : "|", SLICE_ARGS(found[i]));
    }
    CHECK_STR(expected, buf_cstr(&text));
}

static void check_names(struct fixture *f, const char *ns, const char *expected)
{
    struct catalog_iceberg_name *found = NULL;
    size_t count = 0;
    struct buf text CLEANUP(buf_fini) = {0};
    CHECK_OK(
        catalog_iceberg_names(&f->catalog, f->owner, slice_of(ns), f->arena, &found, &count, NULL));
    for (size_t i = 0; i < count; i++) {
        buf_printf(&text, "%s%.*s.%.*s%s", i == 0 ? "" : "|", SLICE_ARGS(found[i].ns),
                   SLICE_ARGS(found[i].name), found[i].is_view ? "(view)" : "");
    }
    CHECK_STR(expected, buf_cstr(&text));
}

static enum err load(struct fixture *f, const char *ns, const char *name,
                     struct catalog_iceberg_table *ret_table)
{
    return catalog_iceberg_load(&f->catalog, f->owner, slice_of(ns), slice_of(name), f->arena,
                                ret_table, &f->info);
}

TEST(catalog_iceberg, local_keeps_namespaces_tables_and_views)
{
    /* Goal: the whole life of a local catalog. Method: create, register, list, load, drop. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct catalog_iceberg_table table;
    struct slice metadata = write_file(&f, "t/metadata/00000-x.metadata.json", table_text);
    struct slice view = write_file(&f, "v/metadata/00000-y.metadata.json", view_text);
    const struct catalog_iceberg *c = &f.catalog;

    CHECK_ERR(ERR_NOT_FOUND, catalog_iceberg_check(c, f.owner, &f.info));
    CHECK_OK(catalog_iceberg_create(c, f.owner, NULL));
    CHECK_ERR(ERR_EXISTS, catalog_iceberg_create(c, f.owner, NULL));
    CHECK_OK(catalog_iceberg_check(c, f.owner, NULL));
    check_namespaces(&f, "");
    CHECK_OK(catalog_iceberg_create_namespace(c, f.owner, SLICE("sales"), NULL, 0, NULL));
    CHECK_OK(catalog_iceberg_create_namespace(c, f.owner, SLICE("hr.eu.it"), NULL, 0, NULL));
    CHECK_ERR(ERR_EXISTS,
              catalog_iceberg_create_namespace(c, f.owner, SLICE("hr.eu"), NULL, 0, NULL));
    check_namespaces(&f, "hr|hr.eu|hr.eu.it|sales");

    CHECK_ERR(ERR_NOT_FOUND,
              catalog_iceberg_register(c, f.owner, SLICE("no"), SLICE("t"), false, metadata, NULL));
    CHECK_ERR(ERR_CORRUPT,
              catalog_iceberg_register(c, f.owner, SLICE("sales"), SLICE("t"), false, view, NULL));
    CHECK_OK(catalog_iceberg_register(c, f.owner, SLICE("sales"), SLICE("Orders"), false, metadata,
                                      NULL));
    CHECK_OK(catalog_iceberg_register(c, f.owner, SLICE("hr.eu"), SLICE("v"), true, view, NULL));
    CHECK_ERR(ERR_EXISTS, catalog_iceberg_register(c, f.owner, SLICE("sales"), SLICE("Orders"),
                                                   false, metadata, NULL));
    check_names(&f, "", "hr.eu.v(view)|sales.Orders");
    check_names(&f, "hr", "");
    CHECK_OK(load(&f, "SALES", "orders", &table));
    CHECK_SLICE("Orders", table.name.name);
    CHECK_SLICE("1b82e7f7-5e1c-40cc-bbfc-c6c3fb3c1fe1", table.metadata.uuid);
    CHECK_OK(load(&f, "hr.eu", "v", &table));
    CHECK_SLICE("SELECT 1", table.view.versions[0].representations[0].sql);
    CHECK_ERR(ERR_NOT_FOUND, load(&f, "sales", "none", &table));
    CHECK_STR("42P01", f.info.sqlstate);

    CHECK_ERR(ERR_INVALID, catalog_iceberg_drop_namespace(c, f.owner, SLICE("hr"), NULL));
    CHECK_ERR(ERR_INVALID, catalog_iceberg_drop_namespace(c, f.owner, SLICE("sales"), NULL));
    CHECK_ERR(ERR_NOT_FOUND,
              catalog_iceberg_unregister(c, f.owner, SLICE("sales"), SLICE("Orders"), true, NULL));
    CHECK_OK(catalog_iceberg_unregister(c, f.owner, SLICE("sales"), SLICE("Orders"), false, NULL));
    CHECK_OK(catalog_iceberg_drop_namespace(c, f.owner, SLICE("sales"), NULL));
    check_namespaces(&f, "hr|hr.eu|hr.eu.it");
}

TEST(catalog_iceberg, properties_of_a_namespace)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    const struct catalog_iceberg *c = &f.catalog;
    struct iceberg_property set[] = {{SLICE("owner"), SLICE("ana")}, {SLICE("x"), SLICE("")}};
    struct iceberg_property unset[] = {{SLICE("owner"), {NULL, 0}}, {SLICE("x"), {NULL, 0}}};
    struct iceberg_property *found = NULL;
    size_t count = 0;
    CHECK_OK(catalog_iceberg_create(c, f.owner, NULL));
    CHECK_OK(catalog_iceberg_create_namespace(c, f.owner, SLICE("a"), set, 2, NULL));
    CHECK_OK(catalog_iceberg_properties(c, f.owner, SLICE("a"), f.arena, &found, &count, NULL));
    CHECK(count == 2 && slice_equal(found[0].value, SLICE("ana")) && found[1].value.len == 0);
    CHECK_OK(catalog_iceberg_set_properties(c, f.owner, SLICE("a"), unset, 2, NULL));
    CHECK_OK(catalog_iceberg_properties(c, f.owner, SLICE("a"), f.arena, &found, &count, NULL));
    CHECK(count == 1 && slice_equal(found[0].key, SLICE("exists"))); /* it lives on */
    CHECK_ERR(ERR_NOT_FOUND, catalog_iceberg_set_properties(c, f.owner, SLICE("b"), set, 2, NULL));
}

TEST(catalog_iceberg, only_the_owner_writes_and_only_to_local)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    CHECK_ERR(ERR_DENIED, catalog_iceberg_create(&f.catalog, f.guest, NULL));
    CHECK_OK(catalog_iceberg_create(&f.catalog, f.owner, NULL));
    CHECK_ERR(ERR_DENIED,
              catalog_iceberg_create_namespace(&f.catalog, f.guest, SLICE("a"), NULL, 0, NULL));
    f.catalog.kind = CATALOG_ICEBERG_HADOOP;
    CHECK_ERR(ERR_UNSUPPORTED,
              catalog_iceberg_create_namespace(&f.catalog, f.owner, SLICE("a"), NULL, 0, &f.info));
    CHECK_STR("catalog \"lake\" is read-only", f.info.message);
}

TEST(catalog_iceberg, refuses_names_that_leave_the_warehouse)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    static const char *const bad[] = {"",     ".",  "..", "a..b", "a/b",
                                      "../x", "a.", ".a", "a\nb", "a.\xFF"};
    struct catalog_iceberg_table table;
    CHECK_OK(catalog_iceberg_create(&f.catalog, f.owner, NULL));
    for (size_t i = 0; i < ARRAY_COUNT(bad); i++) {
        CHECK_ERR(ERR_INVALID, catalog_iceberg_create_namespace(&f.catalog, f.owner,
                                                                slice_of(bad[i]), NULL, 0, NULL));
    }
    f.catalog.kind = CATALOG_ICEBERG_HADOOP;
    f.catalog.location = slice_of(f.folder);
    (void)write_file(&f, "secret/metadata/v1.metadata.json", table_text);
    CHECK_ERR(ERR_NOT_FOUND, load(&f, "a", "..", &table));
    CHECK_ERR(ERR_NOT_FOUND, load(&f, "a...secret", "x", &table));
    CHECK_ERR(ERR_NOT_FOUND, load(&f, "", "a/../secret", &table));
}

TEST(catalog_iceberg, reads_the_layout_of_others)
{
    /* Goal: files by PyIceberg and JdbcCatalog, both layout versions, several catalogs in one. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct slice metadata = write_file(&f, "t/metadata/00000-x.metadata.json", table_text);
    struct slice view = write_file(&f, "v/metadata/00000-y.metadata.json", view_text);
    struct catalog_iceberg_table table;
    sql(&f, "CREATE TABLE iceberg_tables(catalog_name VARCHAR(255) NOT NULL,table_namespace "
            "VARCHAR(255) NOT NULL,table_name VARCHAR(255) NOT NULL,metadata_location "
            "VARCHAR(1000),previous_metadata_location VARCHAR(1000),PRIMARY KEY (catalog_name, "
            "table_namespace, table_name));"
            "CREATE TABLE iceberg_namespace_properties(catalog_name VARCHAR(255) NOT NULL,"
            "namespace VARCHAR(255) NOT NULL,property_key VARCHAR(255),property_value "
            "VARCHAR(1000),PRIMARY KEY (catalog_name, namespace, property_key))");
    sql(&f, arena_printf(f.arena,
                         "INSERT INTO iceberg_tables VALUES ('prod','a.b','t','file://%s',NULL)",
                         metadata.ptr));
    check_namespaces(&f, "a|a.b");
    check_names(&f, "", "a.b.t");
    CHECK_OK(load(&f, "a.b", "t", &table));
    CHECK_ERR(ERR_UNSUPPORTED, catalog_iceberg_register(&f.catalog, f.owner, SLICE("a.b"),
                                                        SLICE("v"), true, view, NULL));
    CHECK_OK(catalog_iceberg_register(&f.catalog, f.owner, SLICE("a.b"), SLICE("t2"), false,
                                      metadata, NULL));
    sql(&f, "ALTER TABLE iceberg_tables ADD COLUMN iceberg_type VARCHAR(5)");
    CHECK_OK(
        catalog_iceberg_register(&f.catalog, f.owner, SLICE("a.b"), SLICE("v"), true, view, NULL));
    check_names(&f, "a.b", "a.b.t|a.b.t2|a.b.v(view)");
    sql(&f, "INSERT INTO iceberg_tables VALUES ('test','x','t','file:///none',NULL,'TABLE')");
    CHECK_ERR(ERR_INVALID, catalog_iceberg_check(&f.catalog, f.owner, &f.info));
    CHECK(strstr(f.info.message, "holds 2 catalogs: ") != NULL);
    CHECK(strstr(f.info.message, "\"test\"") != NULL);
    CHECK(strstr(f.info.hint, "CATALOG_NAME") != NULL);
    f.catalog.catalog_name = SLICE("tset");
    CHECK_ERR(ERR_NOT_FOUND, catalog_iceberg_check(&f.catalog, f.owner, &f.info));
    CHECK(strstr(f.info.hint, "\"test\"") != NULL);
    f.catalog.catalog_name = SLICE("test");
    check_names(&f, "", "x.t");
    CHECK_ERR(ERR_INVALID, load(&f, "x", "t", &table)); /* its metadata is gone */
    CHECK_STR("58P01", f.info.sqlstate);
}

TEST(catalog_iceberg, refuses_files_that_are_no_catalog)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    f.catalog.location = write_file(&f, "notes.txt", "This is a text of some length, no database.");
    CHECK_ERR(ERR_CORRUPT, catalog_iceberg_check(&f.catalog, f.owner, &f.info));
    f.catalog.location = slice_of(io_join(f.arena, f.folder, "other.sqlite"));
    sql(&f, "CREATE TABLE iceberg_tables (x)");
    CHECK_ERR(ERR_CORRUPT, catalog_iceberg_check(&f.catalog, f.owner, &f.info));
    CHECK_STR("\"other.sqlite\" is not an Iceberg catalog: it lacks the table "
              "\"iceberg_namespace_properties\"",
              f.info.message);
}

static void copy_file(struct fixture *f, const char *from, const char *to)
{
    struct slice bytes;
    CHECK_OK(io_read_file(f->arena, io_join(f->arena, f->folder, from), 64 << 20, &bytes, NULL));
    CHECK_OK(io_write_file_atomic(io_join(f->arena, f->folder, to), bytes, 0600, NULL));
}

TEST(catalog_iceberg, reads_behind_a_writer_that_died)
{
    /* Goal: what a dead writer's journal undoes is undone before anything is read, once and for
     * all. Method: the file and the journal of a transaction that has spilled, copied as they lie,
     * since nobody holds locks of a copy. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    sqlite3 *db = NULL;
    CHECK_OK(catalog_iceberg_create(&f.catalog, f.owner, NULL));
    CHECK_OK(catalog_iceberg_create_namespace(&f.catalog, f.owner, SLICE("sales"), NULL, 0, NULL));
    CHECK(sqlite3_open(f.catalog.location.ptr, &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db,
                       "PRAGMA cache_size = 2; BEGIN; DELETE FROM iceberg_namespace_properties; "
                       "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) "
                       "INSERT INTO iceberg_namespace_properties SELECT 'lake', 'lost' || i, 'k', "
                       "hex(zeroblob(50)) FROM n",
                       NULL, NULL, NULL) == SQLITE_OK);
    copy_file(&f, "catalog.sqlite", "copy.sqlite");
    copy_file(&f, "catalog.sqlite-journal", "copy.sqlite-journal");
    CHECK(sqlite3_close(db) == SQLITE_OK);
    f.catalog.location = slice_of(io_join(f.arena, f.folder, "copy.sqlite"));
    check_namespaces(&f, "sales");
    check_namespaces(&f, "sales");
    CHECK_OK(catalog_iceberg_create_namespace(&f.catalog, f.owner, SLICE("more"), NULL, 0, NULL));
    check_namespaces(&f, "more|sales");
}

TEST(catalog_iceberg, hadoop_follows_the_hint_and_goes_on)
{
    /* Goal: the version that the reference implementation would read. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct catalog_iceberg_table table;
    f.catalog.kind = CATALOG_ICEBERG_HADOOP;
    f.catalog.location = slice_of(f.folder);
    for (int i = 1; i <= 12; i++) {
        (void)write_file(&f, arena_printf(f.arena, "ns/in/t/metadata/v%d.metadata.json", i),
                         table_text);
    }
    CHECK_OK(load(&f, "ns.in", "t", &table));
    CHECK(slice_ends_with(table.name.metadata_location, SLICE("/v12.metadata.json")));
    (void)write_file(&f, "ns/in/t/metadata/version-hint.text", "9\n");
    (void)write_file(&f, "ns/in/t/metadata/v14.metadata.json", "{}"); /* a gap: no commit of this */
    CHECK_OK(load(&f, "ns.in", "t", &table));
    CHECK(slice_ends_with(table.name.metadata_location, SLICE("/v12.metadata.json")));
    (void)write_file(&f, "ns/u/metadata/00001-aa.metadata.json", table_text);
    (void)write_file(&f, "ns/u/metadata/00002-bb.gz.metadata.json", table_text);
    CHECK_OK(load(&f, "NS", "U", &table));
    CHECK_SLICE("u", table.name.name);
    CHECK(slice_ends_with(table.name.metadata_location, SLICE("/00002-bb.gz.metadata.json")));
    (void)write_file(&f, "ns/u/metadata/00002-cc.metadata.json", table_text);
    CHECK_ERR(ERR_INVALID, load(&f, "ns", "u", &table)); /* nobody here knows which one won */
    check_namespaces(&f, "ns|ns.in");
    check_names(&f, "", "ns.u|ns.in.t");
    check_names(&f, "ns.in", "ns.in.t");
    CHECK_ERR(ERR_NOT_FOUND, load(&f, "ns", "none", &table));
}

TEST(catalog_iceberg, static_is_one_table)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct catalog_iceberg_table table;
    f.catalog.kind = CATALOG_ICEBERG_STATIC;
    f.catalog.location = write_file(&f, "orders/metadata/v3.metadata.json", table_text);
    check_names(&f, "", "main.orders");
    CHECK_OK(load(&f, "main", "orders", &table));
    CHECK_OK(load(&f, "main", "lake", &table)); /* by the name it was attached as */
    f.catalog.location = slice_of(io_join(f.arena, f.folder, "orders"));
    CHECK_OK(load(&f, "main", "orders", &table));
    CHECK(slice_ends_with(table.name.metadata_location, SLICE("/v3.metadata.json")));
}

TEST(catalog_iceberg, locations_as_people_write_them)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    static const struct {
        const char *written;
        const char *expected;
    } cases[] = {
        {"/a/b.db", "/a/b.db"},
        {"file:/a/b.db", "/a/b.db"},
        {"file:///a/b.db", "/a/b.db"},
        {"sqlite:////a/b.db", "/a/b.db"},
        {"jdbc:sqlite:/a/b.db?x=1", "/a/b.db"},
        {"jdbc:sqlite:file:/a/b.db", "/a/b.db"},
        {" /a/ ", "/a"},
    };
    struct slice location;
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        CHECK_OK(
            catalog_iceberg_locate(f.owner, slice_of(cases[i].written), f.arena, &location, NULL));
        CHECK_SLICE(cases[i].expected, location);
    }
    CHECK_ERR(ERR_INVALID,
              catalog_iceberg_locate(f.owner, SLICE("/a/*.db"), f.arena, &location, NULL));
    CHECK_ERR(ERR_DENIED,
              catalog_iceberg_locate(f.owner, SLICE("s3://b/c"), f.arena, &location, NULL));
    CHECK_ERR(ERR_UNSUPPORTED, catalog_iceberg_path(SLICE("s3://b/c"), &location, NULL));
    CHECK_OK(catalog_iceberg_path(SLICE("file:///a/s=x%2Fy/f"), &location, NULL));
    CHECK_SLICE("/a/s=x%2Fy/f", location); /* as written: it is the folder's name */
}

TEST(catalog_iceberg, every_allocation_may_fail)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct slice metadata = write_file(&f, "t/metadata/00000-x.metadata.json", table_text);
    CHECK_OK(catalog_iceberg_create(&f.catalog, f.owner, NULL));
    CHECK_OK(catalog_iceberg_create_namespace(&f.catalog, f.owner, SLICE("a"), NULL, 0, NULL));
    CHECK_OK(catalog_iceberg_register(&f.catalog, f.owner, SLICE("a"), SLICE("t"), false, metadata,
                                      NULL));
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        struct catalog_iceberg_table table;
        enum err err = arena == NULL ? ERR_NOMEM
                                     : catalog_iceberg_load(&f.catalog, f.owner, SLICE("a"),
                                                            SLICE("t"), arena, &table, NULL);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
        CHECK(fault.fired || err == ERR_OK);
    }
    SWEEP_ALLOC(fault)
    {
        enum err err = catalog_iceberg_register(&f.catalog, f.owner, SLICE("a"), SLICE("u"), false,
                                                metadata, NULL);
        CHECK(err == ERR_OK || err == ERR_NOMEM);
    }
    check_names(&f, "", "a.t|a.u");
}

/* ---- transactions ---- */

static enum err set_note(struct fixture *f, const struct catalog_iceberg *catalog, const char *note)
{
    struct slice location;
    bool is_unknown = false;
    char *updates = arena_printf(
        f->arena, "[{\"action\":\"set-properties\",\"updates\":{\"note\":\"%s\"}}]", note);
    const struct catalog_iceberg_change change = {
        .ns = SLICE("sales"),
        .name = SLICE("t"),
        .requirements = SLICE("[{\"type\":\"assert-table-uuid\",\"uuid\":"
                              "\"1B82E7F7-5e1c-40cc-bbfc-c6c3fb3c1fe1\"}]"),
        .updates = slice_of(updates),
        .now_ms = 100};
    return catalog_iceberg_commit(catalog, f->owner, &change, f->arena, &location, &is_unknown,
                                  &f->info);
}

static void check_note(struct fixture *f, const struct catalog_iceberg *catalog,
                       const char *expected)
{
    struct catalog_iceberg_table table;
    CHECK_OK(catalog_iceberg_load(catalog, f->owner, SLICE("sales"), SLICE("t"), f->arena, &table,
                                  &f->info));
    struct slice note = iceberg_metadata_property(&table.metadata, "note");
    CHECK(slice_equal(note, slice_of(expected)));
}

/* A catalog with one table, whose location is in the test's folder. */
static void open_shop(struct fixture *f)
{
    struct buf text CLEANUP(buf_fini) = {0};
    struct slice rest = slice_of(table_text);
    size_t at = slice_find(rest, SLICE("/w/t"));
    buf_append(&text, rest.ptr, at);
    buf_printf(&text, "%s/t", f->folder);
    buf_append_str(&text, rest.ptr + at + 4);
    struct slice metadata = write_file(f, "t/metadata/00000-x.metadata.json", buf_cstr(&text));
    CHECK_OK(catalog_iceberg_create(&f->catalog, f->owner, NULL));
    CHECK_OK(
        catalog_iceberg_create_namespace(&f->catalog, f->owner, SLICE("sales"), NULL, 0, NULL));
    CHECK_OK(catalog_iceberg_register(&f->catalog, f->owner, SLICE("sales"), SLICE("t"), false,
                                      metadata, NULL));
}

TEST(catalog_iceberg, a_transaction_is_seen_by_itself_until_it_commits)
{
    /* Goal: changes of a block are in its catalog's tables only, can be undone in part, and become
     * one commit; objects of what is undone are gone. Method: a property, changed twice. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    open_shop(&f);
    struct catalog_iceberg inside = f.catalog;
    struct iceberg_output output;
    char *object = io_join(f.arena, f.folder, "t/data/one.parquet");
    char notice[80] = "";
    CHECK_OK(catalog_iceberg_block_new(&f.catalog, f.owner, false, &inside.block, &f.info));
    CHECK(!catalog_iceberg_block_has_changes(inside.block));
    CHECK_OK(set_note(&f, &inside, "first"));
    check_note(&f, &inside, "first");
    check_note(&f, &f.catalog, "");
    size_t mark = catalog_iceberg_block_mark(inside.block);
    CHECK_OK(catalog_iceberg_output(&inside, f.owner, f.arena, &output, &f.info));
    CHECK_OK(output.create(output.context, slice_of(object), SLICE("x"), &f.info));
    CHECK_OK(set_note(&f, &inside, "second"));
    check_note(&f, &inside, "second");
    CHECK(io_exists(object));
    CHECK(catalog_iceberg_block_rollback(inside.block, mark) == 0);
    CHECK(!io_exists(object));
    check_note(&f, &inside, "first");
    CHECK_OK(set_note(&f, &inside, "third"));
    CHECK_OK(catalog_iceberg_borrow(&inside, f.owner, SLICE("sales"), SLICE("other"), &f.info));
    CHECK_OK(
        catalog_iceberg_block_commit(inside.block, SLICE(""), notice, sizeof(notice), &f.info));
    check_note(&f, &f.catalog, "third");
    CHECK(!catalog_iceberg_block_has_changes(inside.block));
    catalog_iceberg_block_free(inside.block);
}

TEST(catalog_iceberg, a_transaction_survives_want_of_memory)
{
    /* Goal: whatever allocation fails, nothing is half done: the change is in the block or not. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    open_shop(&f);
    SWEEP_ALLOC(fault)
    {
        struct catalog_iceberg inside = f.catalog;
        char notice[80] = "";
        enum err err =
            catalog_iceberg_block_new(&f.catalog, f.owner, false, &inside.block, &f.info);
        if (err == ERR_OK) {
            err = set_note(&f, &inside, "swept");
            CHECK(catalog_iceberg_block_has_changes(inside.block) == (err == ERR_OK));
        }
        if (err == ERR_OK) {
            err = catalog_iceberg_block_commit(inside.block, SLICE(""), notice, sizeof(notice),
                                               &f.info);
        }
        CHECK(err == ERR_OK || fault.fired);
        catalog_iceberg_block_free(inside.block);
    }
    check_note(&f, &f.catalog, "swept");
}

TEST(catalog_iceberg, opens_what_jdbc_catalog_wrote)
{
    /* Goal: a file of the real thing, not of our idea of it. */
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    char path[PATH_MAX];
    struct iceberg_property *found = NULL;
    size_t count = 0;
    struct catalog_iceberg_table table;
    CHECK(realpath("tests/data/iceberg/catalog.sqlite", path) != NULL);
    f.catalog.location = slice_of(path);
    check_namespaces(&f, "files");
    check_names(&f, "files", "files.v2_jdbc");
    CHECK_OK(catalog_iceberg_properties(&f.catalog, f.owner, SLICE("files"), f.arena, &found,
                                        &count, NULL));
    CHECK(count == 2);
    CHECK_SLICE("owner", found[1].key);
    CHECK_SLICE("root", found[1].value);
    CHECK_ERR(ERR_INVALID,
              load(&f, "files", "v2_jdbc", &table)); /* its paths are another machine's */
    CHECK_STR("58P01", f.info.sqlstate);
}
