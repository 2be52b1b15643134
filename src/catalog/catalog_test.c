/* Goal: names, options and readers as the engine must see them; system tables show each person only
 * their own. Method: a real store and real files; the text is compared as a whole. */
#include "catalog/catalog.h"

#include <fcntl.h>

#include "base/io.h"
#include "base/json.h"
#include "base/sweep.h"
#include "base/test.h"
#include "catalog/catalog_int.h"

static struct relation_option option(const char *name, const char *value)
{
    return (struct relation_option){slice_of(name), slice_of(value)};
}

TEST(catalog, names_are_completed)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    struct sql_name out;
    struct sql_name written = {.name = SLICE("T")};
    CHECK_OK(catalog_qualify(&written, SLICE("sales"), arena, &out, NULL));
    CHECK_SLICE("moat", out.catalog);
    CHECK_SLICE("sales", out.schema);
    CHECK_SLICE("T", out.name);
    written.schema = SLICE("MOAT_System");
    written.catalog = SLICE("Moat");
    CHECK_OK(catalog_qualify(&written, SLICE(""), arena, &out, NULL));
    CHECK_SLICE("moat_system", out.schema);
    written.catalog = SLICE("lake");
    struct errinfo info;
    CHECK_ERR(ERR_NOT_FOUND, catalog_qualify(&written, SLICE(""), arena, &out, &info));
    CHECK_STR("3D000", info.sqlstate);
}

TEST(catalog, options_are_a_closed_list)
{
    static const struct {
        enum relation_format format;
        const char *name;
        const char *value;
        enum err err;
    } cases[] = {
        {FORMAT_CSV, "delim", "','", ERR_OK},
        {FORMAT_CSV, "SEP", "'\\t'", ERR_OK},
        {FORMAT_CSV, "header", "TRUE", ERR_OK},
        {FORMAT_CSV, "quote", "''''", ERR_OK},
        {FORMAT_CSV, "quote", "'''", ERR_INVALID},
        {FORMAT_CSV, "quote", "'ab'", ERR_INVALID},
        {FORMAT_CSV, "nullstr", "'x', filename = true, quote = '", ERR_INVALID},
        {FORMAT_CSV, "nullstr", "x", ERR_INVALID},
        {FORMAT_CSV, "skip", "3", ERR_OK},
        {FORMAT_CSV, "skip", "3) --", ERR_INVALID},
        {FORMAT_CSV, "skip", "-1", ERR_INVALID},
        {FORMAT_CSV, "skip", "'3'", ERR_INVALID},
        {FORMAT_CSV, "encoding", "'UTF-16'", ERR_OK},
        {FORMAT_CSV, "encoding", "'ebcdic'", ERR_INVALID},
        {FORMAT_CSV, "store_rejects", "true", ERR_INVALID},
        {FORMAT_CSV, "rejects_table", "'t'", ERR_INVALID},
        {FORMAT_CSV, "filename", "true", ERR_INVALID},
        {FORMAT_CSV, "types", "{}", ERR_INVALID},
        {FORMAT_CSV, "hive_partitioning", "true", ERR_OK},
        {FORMAT_PARQUET, "hive_partitioning", "1", ERR_INVALID},
        {FORMAT_PARQUET, "hive_types", "true", ERR_UNSUPPORTED},
        {FORMAT_PARQUET, "union_by_name", "true", ERR_OK},
        {FORMAT_PARQUET, "union_by_name", "yes", ERR_INVALID},
        {FORMAT_PARQUET, "encryption_config", "{}", ERR_INVALID},
        {FORMAT_PARQUET, "file_row_number", "true", ERR_INVALID},
        {FORMAT_PARQUET, "delim", "','", ERR_INVALID},
        {FORMAT_JSON, "format", "'array'", ERR_OK},
        {FORMAT_JSON, "format", "'arra'", ERR_INVALID},
        {FORMAT_JSON, "maximum_object_size", "67108864", ERR_OK},
        {FORMAT_JSON, "maximum_object_size", "67108865", ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_COUNT(cases); i++) {
        struct relation_option one = option(cases[i].name, cases[i].value);
        struct errinfo info;
        CHECK_ERR(cases[i].err, catalog_check_options(cases[i].format, &one, 1, &info));
        CHECK(cases[i].err == ERR_OK || info.hint[0] != '\0');
    }
    struct errinfo info;
    struct relation_option typo = option("heder", "true");
    CHECK_ERR(ERR_INVALID, catalog_check_options(FORMAT_CSV, &typo, 1, &info));
    CHECK_STR("Did you mean \"header\"?", info.hint);
    struct relation_option twice[] = {option("sep", "','"), option("delim", "','")};
    CHECK_ERR(ERR_INVALID, catalog_check_options(FORMAT_CSV, twice, 2, &info));
    CHECK_STR("option \"delim\" is given twice", info.message);
}

static void print_uri(UNUSED void *context, size_t index, struct buf *out)
{
    buf_printf(out, "moat://g'/%zu", index);
}

TEST(catalog, readers_pin_types_by_name)
{
    struct relation_column columns[] = {
        {1, SLICE("shown"), SLICE("it's"), SLICE("BIGINT")},
        {2, SLICE("b"), SLICE("b"), SLICE("STRUCT(\"x y\" INTEGER)")}};
    struct relation_option options[] = {option("SEP", "';'"), option("compression", "'AUTO'"),
                                        option("header", "True")};
    struct relation_object objects[2] = {0};
    struct relation relation = {.format = FORMAT_CSV,
                                .columns = columns,
                                .column_count = 2,
                                .options = options,
                                .option_count = 3,
                                .objects = objects,
                                .object_count = 2};
    struct buf out CLEANUP(buf_fini) = {0};
    CHECK_OK(catalog_source_sql(&relation, print_uri, NULL, &out, NULL));
    CHECK_STR("read_csv(['moat://g''/0', 'moat://g''/1'], delim = ';', header = true, "
              "types = {'it''s': 'BIGINT', 'b': 'STRUCT(\"x y\" INTEGER)'})",
              buf_cstr(&out));
    buf_reset(&out);
    relation.format = FORMAT_JSON;
    relation.option_count = 0;
    relation.object_count = 1;
    CHECK_OK(catalog_source_sql(&relation, print_uri, NULL, &out, NULL));
    CHECK_STR("read_json(['moat://g''/0'], columns = {'it''s': 'BIGINT', 'b': "
              "'STRUCT(\"x y\" INTEGER)'})",
              buf_cstr(&out));
    buf_reset(&out);
    relation.format = FORMAT_PARQUET;
    CHECK_OK(catalog_source_sql(&relation, print_uri, NULL, &out, NULL));
    CHECK_STR("read_parquet(['moat://g''/0'])", buf_cstr(&out));
    relation.object_count = 0;
    CHECK_ERR(ERR_NOT_FOUND, catalog_source_sql(&relation, print_uri, NULL, &out, NULL));
}

static struct identity *person(const char *actor, const char *client, bool is_owner)
{
    struct identity_spec spec = {.subject = SLICE("root"),
                                 .provider = SLICE("local"),
                                 .actor = slice_of(actor),
                                 .client = slice_of(client),
                                 .is_owner = is_owner};
    struct identity *who;
    CHECK_OK(identity_new(&spec, &who, NULL));
    return who;
}

static char *write_file(struct arena *arena, const char *folder, const char *name, const char *text)
{
    char *path = io_join(arena, folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    CHECK(fd >= 0);
    CHECK_OK(io_write_all(fd, slice_of(text), NULL));
    io_close(fd);
    return path;
}

TEST(catalog, paths_are_for_the_owner_at_home)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    const char *folder = test_folder();
    char *path = write_file(arena, folder, "a.CSV.gz", "a\n1\n");
    struct relation relation;
    struct identity *owner CLEANUP(identity_cleanup) = person("", "embedded", true);
    struct identity *acting CLEANUP(identity_cleanup) = person("boss", "embedded", true);
    struct identity *remote CLEANUP(identity_cleanup) = person("", "10.0.0.1", true);
    struct identity *other CLEANUP(identity_cleanup) = person("", "embedded", false);
    struct identity *refused[] = {acting, remote, other};
    for (size_t i = 0; i < ARRAY_COUNT(refused); i++) {
        CHECK_ERR(ERR_DENIED, catalog_load_path(refused[i], slice_of(path), NULL, NULL, 0, arena,
                                                &relation, NULL));
    }
    CHECK_OK(catalog_load_path(owner, slice_of(path), NULL, NULL, 0, arena, &relation, NULL));
    CHECK(relation.format == FORMAT_CSV && relation.object_count == 1);
    CHECK(relation.objects[0].size_bytes == 4 && relation.column_count == 0);
    CHECK_ERR(ERR_INVALID, catalog_load_path(owner, SLICE("/etc/passwd"), NULL, NULL, 0, arena,
                                             &relation, NULL));
    struct relation_option bad = option("filename", "true");
    CHECK_ERR(ERR_INVALID,
              catalog_load_path(owner, slice_of(path), NULL, &bad, 1, arena, &relation, NULL));
}

TEST(catalog, system_shapes_are_complete_and_stable)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "test", 0);
    size_t count = 0;
    for (const struct sql_name *name; (name = catalog_system_at(count)) != NULL; count++) {
        struct relation relation;
        bool needs_grant;
        CHECK(catalog_system_find(name, &needs_grant));
        CHECK_OK(catalog_system_load(name, NULL, arena, &relation, NULL));
        CHECK(relation.uuid.len == 36 && relation.uuid.ptr[14] == '8');
        CHECK(relation.column_count > 0);
        CHECK(relation.object_count == 0);
        for (size_t i = 0; i < count; i++) {
            CHECK(strcmp(catalog__shapes[i].uuid, catalog__shapes[count].uuid) != 0);
        }
        for (size_t c = 0; c < relation.column_count; c++) {
            CHECK(relation.columns[c].id == c + 1);
        }
    }
    CHECK(count == catalog__shape_count);
    bool needs_grant;
    struct sql_name name = {.schema = SLICE("MOAT_SYSTEM"), .name = SLICE("Audit")};
    CHECK(catalog_system_find(&name, &needs_grant) && needs_grant);
    name.name = SLICE("settings");
    CHECK(catalog_system_find(&name, &needs_grant) && !needs_grant);
    name.name = SLICE("nothing");
    CHECK(!catalog_system_find(&name, &needs_grant));
}

/* A warehouse with two people, a table and a view. */
struct fixture {
    struct system *system;
    struct identity *owner;
    struct identity *ana;
    struct arena *arena;
    const char *folder;
};

static void fixture_fini(struct fixture *f)
{
    identity_unref(f->owner);
    identity_unref(f->ana);
    system_close(f->system);
    arena_free(f->arena);
}

static void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.arena = arena_new(NULL, "test", 0), .folder = test_folder()};
    CHECK_OK(system_open(f->folder, SLICE("boss"), true, &f->system, NULL));
    CHECK_OK(system_login(f->system, SLICE("boss"), SLICE(""), SLICE("local"), SLICE("embedded"),
                          &f->owner, NULL));
    CHECK_OK(system_user_create(f->system, f->owner, SLICE("ana"), SLICE(""), false, NULL));
    CHECK_OK(system_role_create(f->system, f->owner, SLICE("reader"), false, NULL));
    CHECK_OK(system_role_grant(f->system, f->owner, SLICE("reader"), SLICE("ana"), NULL));
    struct slice eu = SLICE("EU");
    CHECK_OK(
        system_user_set_attribute(f->system, f->owner, SLICE("ana"), SLICE("region"), &eu, NULL));
    CHECK_OK(system_login(f->system, SLICE("ana"), SLICE(""), SLICE("local"), SLICE("embedded"),
                          &f->ana, NULL));
    struct relation_column columns[] = {{1, SLICE("id"), SLICE("id"), SLICE("BIGINT")},
                                        {2, SLICE("card"), SLICE("card"), SLICE("VARCHAR")}};
    struct system_relation table = {.relation = {.kind = RELATION_TABLE,
                                                 .name = {SLICE("moat"), SLICE("main"), SLICE("t")},
                                                 .format = FORMAT_CSV,
                                                 .columns = columns,
                                                 .column_count = 2},
                                    .location =
                                        slice_of(arena_printf(f->arena, "%s/*.csv", f->folder)),
                                    .comment = SLICE("the \"table\"")};
    bool created;
    CHECK_OK(system_relation_create(f->system, f->owner, &table, SYSTEM_CREATE, &created, NULL));
    struct system_relation view = {.relation = {.kind = RELATION_VIEW,
                                                .name = {SLICE("moat"), SLICE("main"), SLICE("v")},
                                                .view_sql = SLICE("SELECT 'secret'"),
                                                .columns = columns,
                                                .column_count = 1}};
    CHECK_OK(system_relation_create(f->system, f->owner, &view, SYSTEM_CREATE, &created, NULL));
}

TEST(catalog, a_table_is_loaded_with_its_files)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct sql_name name = {SLICE("moat"), SLICE("main"), SLICE("T")};
    struct relation relation;
    struct errinfo info;
    CHECK_OK(catalog_load(f.system, f.ana, &name, false, f.arena, &relation, NULL));
    CHECK(relation.object_count == 0 && relation.column_count == 2);
    CHECK_ERR(ERR_INVALID, catalog_load(f.system, f.ana, &name, true, f.arena, &relation, &info));
    CHECK_STR("58P01", info.sqlstate); /* not the words of a table that does not exist */
    (void)write_file(f.arena, f.folder, "b.csv", "id,card\n1,2\n");
    (void)write_file(f.arena, f.folder, "a.csv", "id,card\n");
    CHECK_OK(catalog_load(f.system, f.ana, &name, true, f.arena, &relation, NULL));
    CHECK(relation.object_count == 2 && relation.objects[0].size_bytes == 8);
    name.name = SLICE("missing");
    CHECK_ERR(ERR_NOT_FOUND, catalog_load(f.system, f.ana, &name, true, f.arena, &relation, &info));
}

/* Rows of moat_system.<table> or information_schema.<table> as JSON lines. */
static struct slice rows_of(struct fixture *f, const struct identity *who, const char *schema,
                            const char *table, size_t visible_columns)
{
    struct system_relation *relations;
    size_t count;
    CHECK_OK(system_relations(f->system, who, f->arena, &relations, &count, NULL));
    struct catalog_visible *visible = arena_calloc(f->arena, count, sizeof(*visible));
    for (size_t i = 0; i < count; i++) {
        const struct relation_column **columns = arena_calloc(f->arena, 2, sizeof(*columns));
        for (size_t c = 0; c < relations[i].relation.column_count; c++) {
            columns[c] = &relations[i].relation.columns[c];
        }
        size_t column_count = relations[i].relation.column_count;
        visible[i] = (struct catalog_visible){
            &relations[i].relation, columns,
            column_count < visible_columns ? column_count : visible_columns, true, 0};
    }
    struct catalog_system_input input = {.system = f->system,
                                         .who = who,
                                         .visible = visible,
                                         .visible_count = visible_columns == 0 ? 0 : count};
    struct sql_name name = {SLICE("moat"), slice_of(schema), slice_of(table)};
    struct relation relation;
    CHECK_OK(catalog_system_load(&name, &input, f->arena, &relation, NULL));
    CHECK(relation.kind == RELATION_SYSTEM && relation.object_count == 1);
    struct slice rest = relation.objects[0].bytes;
    while (rest.len > 0) { /* every line is one document */
        size_t len = slice_find(rest, SLICE("\n"));
        struct json *row;
        CHECK_OK(json_parse(f->arena, (struct slice){rest.ptr, len}, NULL, &row, NULL));
        rest = (struct slice){rest.ptr + len + 1, rest.len - len - 1};
    }
    return relation.objects[0].bytes;
}

static bool has(struct slice text, const char *part)
{
    return slice_find(text, slice_of(part)) != SIZE_MAX;
}

TEST(catalog, system_tables_show_each_person_their_own)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    /* ana sees nothing registered, then one column. */
    struct slice rows = rows_of(&f, f.ana, "information_schema", "tables", 0);
    CHECK(!has(rows, "\"t\"") && has(rows, "\"settings\"") && !has(rows, "\"audit\""));
    CHECK(has(rows_of(&f, f.owner, "information_schema", "tables", 0), "\"audit\""));
    rows = rows_of(&f, f.ana, "information_schema", "columns", 1);
    CHECK(has(rows, "\"column_name\":\"id\"") && !has(rows, "\"card\""));
    CHECK(!has(rows_of(&f, f.ana, "moat_system", "columns", 1), "card"));
    CHECK(has(rows_of(&f, f.owner, "moat_system", "columns", 2), "card"));
    rows = rows_of(&f, f.ana, "information_schema", "views", 2);
    CHECK(has(rows, "\"v\"") && !has(rows, "secret"));
    CHECK(has(rows_of(&f, f.owner, "information_schema", "views", 2), "secret"));
    CHECK(has(rows_of(&f, f.ana, "moat_system", "tables", 2), "the \\\"table\\\""));
    CHECK(has(rows_of(&f, f.ana, "moat_system", "roles", 0), "\"reader\""));
    CHECK(has(rows_of(&f, f.ana, "information_schema", "enabled_roles", 0), "\"public\""));
    CHECK(has(rows_of(&f, f.ana, "moat_system", "attributes", 0), "\"value\":\"EU\""));
    for (size_t i = 0; i < catalog__shape_count; i++) { /* each is well-formed for each person */
        if (catalog__shapes[i].rows != NULL) {
            (void)rows_of(&f, f.owner, catalog__shapes[i].schema, catalog__shapes[i].name, 2);
            (void)rows_of(&f, f.ana, catalog__shapes[i].schema, catalog__shapes[i].name, 1);
        }
    }
    CHECK(has(rows_of(&f, f.ana, "moat_system", "functions", 0), "\"name\":\"lower\""));
    CHECK(!has(rows_of(&f, f.ana, "moat_system", "functions", 0), "\"read_text\""));
    /* Granted relations: all rows for whoever got here. */
    CHECK(has(rows_of(&f, f.ana, "moat_system", "users", 0), "\"boss\""));
    CHECK(has(rows_of(&f, f.ana, "moat_system", "members", 0), "\"reader\""));
}

TEST(catalog, schemas_of_others_are_not_named)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    CHECK_OK(system_schema_create(f.system, f.owner, SLICE("hidden"), false, NULL));
    CHECK(!has(rows_of(&f, f.ana, "information_schema", "schemata", 1), "hidden"));
    CHECK(has(rows_of(&f, f.owner, "information_schema", "schemata", 1), "hidden"));
    CHECK(has(rows_of(&f, f.ana, "moat_system", "schemas", 0), "\"main\""));
}

TEST(catalog, grants_are_listed_by_name)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct sql_name name = {SLICE("moat"), SLICE("main"), SLICE("t")};
    struct relation relation;
    CHECK_OK(catalog_load(f.system, f.owner, &name, false, f.arena, &relation, NULL));
    uint32_t ids[] = {relation.columns[1].id};
    struct grant grant = {.effect = GRANT_ALLOW,
                          .privileges = PRIVILEGE_SELECT,
                          .grantee_kind = GRANTEE_ROLE,
                          .grantee = SLICE("reader"),
                          .object_uuid = relation.uuid,
                          .column_ids = ids,
                          .column_count = 1,
                          .rows = SLICE("__moat_c1 = 'private filter'")};
    uint64_t id;
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &id, NULL));
    struct slice rows = rows_of(&f, f.owner, "moat_system", "grants", 0);
    CHECK(has(rows, "\"object\":\"main.t\"") && has(rows, "\"columns\":[\"card\"]"));
    CHECK(has(rows, "\"has_rows\":true") && !has(rows, "private filter"));
    rows = rows_of(&f, f.ana, "information_schema", "table_privileges", 2);
    CHECK(has(rows, "\"grantee\":\"reader\""));
    /* A grant on a system relation makes it known to its grantee. */
    name = (struct sql_name){SLICE("moat"), SLICE("moat_system"), SLICE("audit")};
    CHECK_OK(catalog_system_load(&name, NULL, f.arena, &relation, NULL));
    grant = (struct grant){.privileges = PRIVILEGE_SELECT,
                           .grantee_kind = GRANTEE_USER,
                           .grantee = SLICE("ana"),
                           .object_uuid = relation.uuid,
                           .all_columns = true};
    CHECK_OK(system_grant_add(f.system, f.owner, &grant, &id, NULL));
    CHECK(has(rows_of(&f, f.ana, "information_schema", "tables", 0), "\"audit\""));
    CHECK(has(rows_of(&f, f.owner, "moat_system", "grants", 0), "moat_system.audit"));
}

TEST(catalog, audit_reads_whole_lines_of_the_trail)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    struct slice paths[] = {
        slice_of(write_file(f.arena, f.folder, "1.jsonl", "{\"seq\":1}\n")),
        slice_of(write_file(f.arena, f.folder, "2.jsonl", "{\"seq\":2}\n{\"seq\":3}\n{\"se"))};
    struct catalog_system_input input = {
        .system = f.system, .who = f.owner, .audit_paths = paths, .audit_path_count = 2};
    struct sql_name name = {SLICE("moat"), SLICE("moat_system"), SLICE("audit")};
    struct relation relation;
    CHECK_OK(catalog_system_load(&name, &input, f.arena, &relation, NULL));
    CHECK(relation.kind == RELATION_SYSTEM && relation.object_count == 2);
    CHECK(relation.objects[0].size_bytes == 10 && relation.objects[0].etag.len > 0);
    CHECK(relation.objects[1].size_bytes == 20 && relation.objects[1].etag.len == 0);
    (void)write_file(f.arena, f.folder, "2.jsonl", "{\"se");
    CHECK_OK(catalog_system_load(&name, &input, f.arena, &relation, NULL));
    CHECK(relation.object_count == 1);
    input.audit_path_count = 0;
    CHECK_OK(catalog_system_load(&name, &input, f.arena, &relation, NULL));
    CHECK(relation.object_count == 1 && relation.objects[0].is_bytes);
    name.name = SLICE("queries");
    CHECK_OK(catalog_system_load(&name, &input, f.arena, &relation, NULL));
    CHECK(relation.kind == RELATION_VIEW && relation.is_definer);
    CHECK_SLICE("boss", relation.owner);
}

TEST(catalog, running_out_of_memory_is_clean)
{
    struct fixture f CLEANUP(fixture_fini);
    fixture_init(&f);
    (void)write_file(f.arena, f.folder, "a.csv", "id,card\n");
    struct sql_name name = {SLICE("moat"), SLICE("main"), SLICE("t")};
    struct sql_name system_name = {SLICE("moat"), SLICE("information_schema"), SLICE("columns")};
    struct catalog_system_input input = {.system = f.system, .who = f.owner};
    SWEEP_ALLOC(fault)
    {
        struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "sweep", 0);
        struct buf out CLEANUP(buf_fini) = {0};
        struct relation relation;
        struct errinfo info;
        enum err err = arena == NULL
                           ? ERR_NOMEM
                           : catalog_load(f.system, f.owner, &name, true, arena, &relation, &info);
        if (err == ERR_OK) {
            err = catalog_source_sql(&relation, print_uri, NULL, &out, &info);
            CHECK(err != ERR_OK || has(buf_slice(&out), "types = {'id': 'BIGINT'"));
        }
        if (err == ERR_OK) {
            err = catalog_system_load(&system_name, &input, arena, &relation, &info);
        }
        CHECK(err == ERR_OK ? !fault.fired : err == ERR_NOMEM && fault.fired);
    }
}
