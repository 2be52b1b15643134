/* Random schemas that change between files, against an oracle that reads no file: what each row of
 * each file is in the schema of the end is written out as an expression over range(). */
#include "engine/duckdb/scan_fixture.h"

enum {
    ROUNDS = 12,
    QUERIES = 8,
    FILES = 5,
    STEPS = 4, /* of change between two files */
    NODES = 400,
    FIELDS = 6,
    ROWS = 300,
    DELETED_MODULUS = 11,
};

enum kind {
    INT,
    LONG,
    FLOAT,
    DOUBLE,
    DECIMAL, /* of `precision` */
    DATE,
    TIMESTAMP,
    TEXT,
    LEAVES,
    STRUCT = LEAVES,
    LIST,
    MAP,
    KINDS
};

/* A column, a struct's field, a list's element, a map's key and value. */
struct node {
    int32_t id;
    enum kind kind;
    unsigned precision;
    bool has_value;
    char name[8];
    size_t count;
    struct node *children[FIELDS];
};

struct world {
    uint64_t seed;
    int32_t next_id;
    struct node nodes[NODES];
    size_t node_count;
    struct engine_scan_column columns[NODES];
    size_t column_count;
    struct buf texts; /* of types and values, ended by '\0' */
};

static bool one_in(struct world *world, uint64_t bound)
{
    return test_random_below(&world->seed, bound) == 0;
}

static struct node *node_new(struct world *world)
{
    ASSERT(world->node_count < NODES);
    struct node *node = &world->nodes[world->node_count++];
    memset(node, 0, sizeof(*node));
    return node;
}

/* A name that no field of `parent` has; few, so that dropped ones come back. */
static void name_field(struct world *world, const struct node *parent, struct node *node)
{
    bool is_taken = true;
    while (is_taken) {
        static const char names[] = "abcdefgh";
        (void)snprintf(node->name, sizeof(node->name), "%c",
                       names[test_random_below(&world->seed, sizeof(names) - 1)]);
        is_taken = false;
        for (size_t i = 0; i < parent->count; i++) {
            is_taken = is_taken || (parent->children[i] != node &&
                                    strcmp(parent->children[i]->name, node->name) == 0);
        }
    }
}

static struct node *node_random(struct world *world, unsigned depth)
{
    struct node *node = node_new(world);
    node->id = world->next_id++;
    node->kind = (enum kind)test_random_below(&world->seed, depth >= 3 ? LEAVES : KINDS);
    node->precision = 6;
    if (node->kind == STRUCT) {
        size_t count = 1 + test_random_below(&world->seed, 3);
        while (node->count < count) {
            struct node *field = node_random(world, depth + 1);
            name_field(world, node, field);
            node->children[node->count++] = field;
        }
    } else if (node->kind >= LIST) {
        node->count = node->kind == LIST ? 1 : 2;
        for (size_t i = 0; i < node->count; i++) {
            node->children[i] = node_random(world, i == 0 && node->kind == MAP ? 3 : depth + 1);
        }
    }
    return node;
}

static struct node *node_copy(struct world *world, const struct node *from)
{
    struct node *node = node_new(world);
    *node = *from;
    for (size_t i = 0; i < from->count; i++) {
        node->children[i] = node_copy(world, from->children[i]);
    }
    return node;
}

/* ---- change ---- */

static void widen(struct node *node)
{
    if (node->kind == INT || node->kind == FLOAT || node->kind == DATE) {
        node->kind++;
    } else if (node->kind == DECIMAL && node->precision < 30) {
        node->precision += 6;
    }
}

static void change_fields(struct world *world, struct node *parent)
{
    size_t at = test_random_below(&world->seed, parent->count);
    struct node *field = parent->children[at];
    switch (test_random_below(&world->seed, 4)) {
    case 0:
        name_field(world, parent, field);
        break;
    case 1: { /* to another place */
        size_t other = test_random_below(&world->seed, parent->count);
        parent->children[at] = parent->children[other];
        parent->children[other] = field;
        break;
    }
    case 2:
        if (parent->count > 1) {
            memmove(&parent->children[at], &parent->children[at + 1],
                    (parent->count - at - 1) * sizeof(parent->children[0]));
            parent->count--;
        }
        break;
    default:
        if (parent->count < FIELDS) {
            struct node *added = node_random(world, 2);
            added->has_value = added->kind < LEAVES && one_in(world, 2);
            name_field(world, parent, added);
            parent->children[parent->count++] = added;
        }
        break;
    }
}

/* Changes something somewhere; keys of maps only widen, as the spec says. */
static void change(struct world *world, struct node *node, bool is_key)
{
    if (node->kind < LEAVES) {
        widen(node);
    } else if (node->kind == STRUCT && !is_key && one_in(world, 2)) {
        change_fields(world, node);
    } else {
        size_t at = test_random_below(&world->seed, node->count);
        change(world, node->children[at], is_key || (node->kind == MAP && at == 0));
    }
}

/* ---- text ---- */

static void print_type(const struct node *node, struct buf *out)
{
    static const char *const names[] = {"INTEGER", "BIGINT", "FLOAT",     "DOUBLE",
                                        "",        "DATE",   "TIMESTAMP", "VARCHAR"};
    switch (node->kind) {
    case DECIMAL:
        buf_printf(out, "DECIMAL(%u,2)", node->precision);
        break;
    case STRUCT:
        for (size_t i = 0; i < node->count; i++) {
            buf_printf(out, "%s%s ", i == 0 ? "STRUCT(" : ", ", node->children[i]->name);
            print_type(node->children[i], out);
        }
        buf_append_str(out, ")");
        break;
    case LIST:
        print_type(node->children[0], out);
        buf_append_str(out, "[]");
        break;
    case MAP:
        buf_append_str(out, "MAP(");
        print_type(node->children[0], out);
        buf_append_str(out, ", ");
        print_type(node->children[1], out);
        buf_append_str(out, ")");
        break;
    default:
        buf_append_str(out, names[node->kind]);
        break;
    }
}

/* What a leaf holds in row i, by kind and salt: no two files or columns alike. */
static void print_leaf(const struct node *node, unsigned salt, bool is_key, struct buf *out)
{
    if (!is_key) {
        buf_printf(out, "CASE WHEN hash(i + %u) %% 6 = 0 THEN NULL ELSE ", salt);
    }
    switch (node->kind) {
    case INT:
    case LONG:
        buf_printf(out, "CAST((i * 7 + %u) %% 40 AS ", salt);
        break;
    case FLOAT:
    case DOUBLE:
        buf_printf(out, "CAST(((i + %u) %% 40) / 10 AS ", salt);
        break;
    case DECIMAL:
        buf_printf(out, "CAST(((i + %u) %% 40) / 100 AS ", salt);
        break;
    case DATE:
    case TIMESTAMP:
        buf_printf(out, "CAST(DATE '2024-01-01' + CAST((i + %u) %% 40 AS INTEGER) AS ", salt);
        break;
    default:
        buf_printf(out, "CAST('t' || ((i + %u) %% 40) AS ", salt);
        break;
    }
    print_type(node, out);
    buf_append_str(out, is_key ? ")" : ") END");
}

static const struct node *find_id(const struct node *parent, int32_t id)
{
    for (size_t i = 0; i < parent->count; i++) {
        if (parent->children[i]->id == id) {
            return parent->children[i];
        }
    }
    return NULL;
}

static void print_value(const struct node *node, struct buf *out)
{
    static const char *const values[] = {"17",
                                         "17",
                                         "1.5",
                                         "1.5",
                                         "0.17",
                                         "DATE '2024-01-09'",
                                         "TIMESTAMP '2024-01-09 00:00:00'",
                                         "'added'"};
    buf_append_str(out, "CAST(");
    buf_append_str(out, node->has_value ? values[node->kind] : "NULL");
    buf_append_str(out, " AS ");
    print_type(node, out);
    buf_append_str(out, ")");
}

/* The value of row i as `shown` shows what was written as `stored`; the same node: as written. */
static void print_expression(const struct node *shown, const struct node *stored, unsigned salt,
                             bool is_key, struct buf *out)
{
    if (stored == NULL) {
        print_value(shown, out);
        return;
    }
    buf_append_str(out, "CAST(");
    if (stored->kind < LEAVES) {
        print_leaf(stored, salt, is_key, out);
    } else {
        buf_printf(out, "CASE WHEN hash(i + %u) %% 6 = 1 THEN NULL ELSE ", salt);
        if (stored->kind == STRUCT) {
            for (size_t i = 0; i < shown->count; i++) {
                const struct node *field = shown->children[i];
                buf_printf(out, "%s'%s': ", i == 0 ? "{" : ", ", field->name);
                print_expression(field, find_id(stored, field->id), salt * 7 + (unsigned)field->id,
                                 false, out);
            }
            buf_append_str(out, "}");
        } else if (stored->kind == LIST) {
            buf_append_str(out, "list_resize([");
            for (unsigned i = 0; i < 3; i++) {
                buf_append_str(out, i == 0 ? "" : ", ");
                print_expression(shown->children[0], stored->children[0], salt * 3 + i, false, out);
            }
            buf_printf(out, "], (i + %u) %% 4)", salt);
        } else {
            buf_append_str(out, "MAP {");
            print_expression(shown->children[0], stored->children[0], salt * 5, true, out);
            buf_append_str(out, ": ");
            print_expression(shown->children[1], stored->children[1], salt * 5 + 1, false, out);
            buf_append_str(out, "}");
        }
        buf_append_str(out, " END");
    }
    buf_append_str(out, " AS ");
    print_type(shown, out);
    buf_append_str(out, ")");
}

static void print_select(const struct node *shown, const struct node *stored, unsigned file,
                         struct buf *out)
{
    buf_append_str(out, "SELECT ");
    for (size_t i = 0; i < shown->count; i++) {
        const struct node *column = shown->children[i];
        const struct node *from = stored == shown ? column : find_id(stored, column->id);
        buf_append_str(out, i == 0 ? "" : ", ");
        print_expression(column, from, file * 1000 + (unsigned)column->id * 13, false, out);
        buf_printf(out, " AS %s", column->name);
    }
}

static void print_ids(const struct node *node, struct buf *out)
{
    static const char *const inner[] = {"key", "value"};
    for (size_t i = 0; i < node->count; i++) {
        const struct node *child = node->children[i];
        const char *name = node->kind == STRUCT ? child->name
                           : node->kind == LIST ? "element"
                                                : inner[i];
        buf_printf(out, "%s%s: ", i == 0 ? "" : ", ", name);
        if (child->count == 0) {
            buf_printf(out, "%d", child->id);
        } else {
            buf_printf(out, "{__duckdb_field_id: %d, ", child->id);
            print_ids(child, out);
            buf_append_str(out, "}");
        }
    }
}

/* ---- the description of a scan ---- */

static struct slice keep(struct world *world, const struct node *node,
                         void (*print)(const struct node *, struct buf *))
{
    size_t start = world->texts.len;
    print(node, &world->texts);
    ASSERT(!buf_failed(&world->texts));
    return (struct slice){world->texts.ptr + start, world->texts.len - start};
}

static const struct engine_scan_column *describe(struct world *world, const struct node *parent)
{
    struct engine_scan_column *columns = &world->columns[world->column_count];
    world->column_count += parent->count;
    ASSERT(world->column_count <= NODES);
    for (size_t i = 0; i < parent->count; i++) {
        const struct node *node = parent->children[i];
        columns[i] = (struct engine_scan_column){
            .field_id = node->id,
            .name = slice_of(node->name),
            .type = keep(world, node, print_type),
            .value = node->has_value ? keep(world, node, print_value) : (struct slice){0},
            .child_count = node->count,
        };
        columns[i].children = describe(world, node);
    }
    return columns;
}

/* ---- rounds ---- */

static void add_file(struct fixture *fixture, struct table *table, const struct node *schema,
                     unsigned file)
{
    struct buf select CLEANUP(buf_fini) = {0};
    struct buf options CLEANUP(buf_fini) = {0};
    print_select(schema, schema, file, &select);
    buf_printf(&select, " FROM range(%d) t(i)", ROWS);
    buf_append_str(&options, "ROW_GROUP_SIZE 128, FIELD_IDS {");
    print_ids(schema, &options);
    buf_append_str(&options, "}");
    struct engine_scan_file *added =
        table_add(fixture, table, buf_cstr(&select), buf_cstr(&options));
    added->record_count = ROWS;
    added->has_deletes = file % 2 == 1;
}

static void print_oracle(const struct node *shown, struct node *const *stored, struct buf *out)
{
    for (unsigned file = 0; file < FILES; file++) {
        buf_append_str(out, file == 0 ? "(" : " UNION ALL ");
        print_select(shown, stored[file], file, out);
        buf_printf(out, ", i AS _pos FROM range(%d) t(i)", ROWS);
        if (file % 2 == 1) {
            buf_printf(out, " WHERE i %% %d <> 0", DELETED_MODULUS);
        }
    }
    buf_append_str(out, ")");
}

static void print_condition(struct world *world, const struct node *schema, struct buf *out)
{
    static const char *const operators[] = {"=", ">", "<=", "<>"};
    static const char *const values[][2] = {
        {"17", "5000000000"},
        {"17", "5000000000"},
        {"1.5", "0.1"},
        {"1.5", "0.1"},
        {"0.17", "0.3"},
        {"'2024-01-09'", "'2024-01-20'"},
        {"'2024-01-09'", "'2024-01-20 00:00:01'"},
        {"'added'", "'t3'"},
    };
    const struct node *column = schema->children[test_random_below(&world->seed, schema->count)];
    char path[64];
    (void)snprintf(path, sizeof(path), "%s", column->name);
    while (column->kind == STRUCT) {
        column = column->children[test_random_below(&world->seed, column->count)];
        size_t len = strlen(path);
        (void)snprintf(path + len, sizeof(path) - len, ".%s", column->name);
    }
    if (column->kind >= LEAVES || one_in(world, 4)) {
        buf_printf(out, "%s IS %sNULL", path, one_in(world, 2) ? "NOT " : "");
        return;
    }
    const char *value = values[column->kind][one_in(world, 2)];
    size_t form = test_random_below(&world->seed, ARRAY_COUNT(operators) + 1);
    if (form == ARRAY_COUNT(operators)) {
        buf_printf(out, "%s IN (%s, NULL)", path, value);
    } else {
        buf_printf(out, "%s %s %s", path, operators[form], value);
    }
}

/* Rows that only one of the two has, counted. */
static void compare(struct fixture *fixture, struct table *table, const char *oracle,
                    const char *condition)
{
    struct engine_grant *grant = table_grant(fixture, table);
    char *scan = scan_sql(grant, "(SELECT *, _pos FROM %s)");
    struct buf sql CLEANUP(buf_fini) = {0};
    buf_printf(
        &sql,
        "WITH a AS NOT MATERIALIZED (SELECT * FROM %s WHERE %s), b AS MATERIALIZED (SELECT * "
        "FROM %s WHERE %s) SELECT (SELECT count(*) FROM (FROM a EXCEPT ALL FROM b)) || ' ' "
        "|| (SELECT count(*) FROM (FROM b EXCEPT ALL FROM a)) || ' ' || ((SELECT count(*) "
        "FROM a) - (SELECT count(*) FROM b))",
        scan, condition, oracle, condition);
    struct buf text CLEANUP(buf_fini) = {0};
    struct errinfo info;
    errinfo_init(&info);
    enum err err = fixture_run(fixture, buf_cstr(&sql), &text, &info);
    if (err != ERR_OK || strcmp(buf_cstr(&text), "0 0 0") != 0) {
        fail_msg("%s %s: %s", err == ERR_OK ? buf_cstr(&text) : info.message, condition,
                 buf_cstr(&sql));
    }
    mem_free(scan);
    engine_grant_close(grant);
}

TEST(engine_scan, random_schemas_that_change_give_what_the_oracle_says)
{
    struct fixture fixture = fixture_open(NULL);
    struct world *world = mem_calloc(1, sizeof(*world));
    CHECK(world != NULL);
    world->seed = test_seed();
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct table table = {.deleted_modulus = DELETED_MODULUS};
        world->node_count = world->column_count = 0;
        world->next_id = 1;
        buf_reset(&world->texts);
        CHECK(buf_reserve(&world->texts, 1 << 20) != NULL); /* texts stay where they are */
        struct node *schema = node_new(world);
        schema->kind = STRUCT;
        while (schema->count < 4) {
            struct node *column = node_random(world, 0);
            name_field(world, schema, column);
            schema->children[schema->count++] = column;
        }
        struct node *stored[FILES];
        for (unsigned file = 0; file < FILES; file++) {
            stored[file] = node_copy(world, schema);
            add_file(&fixture, &table, stored[file], file);
            for (unsigned i = 0; i < STEPS; i++) {
                change(world, schema, false);
            }
        }
        table.spec.columns = describe(world, schema);
        table.spec.column_count = schema->count;
        struct buf oracle CLEANUP(buf_fini) = {0};
        print_oracle(schema, stored, &oracle);
        compare(&fixture, &table, buf_cstr(&oracle), "true");
        for (unsigned i = 0; i < QUERIES; i++) {
            struct buf condition CLEANUP(buf_fini) = {0};
            print_condition(world, schema, &condition);
            compare(&fixture, &table, buf_cstr(&oracle), buf_cstr(&condition));
        }
        table_fini(&table);
    }
    buf_fini(&world->texts);
    mem_free(world);
    fixture_close(&fixture);
}
