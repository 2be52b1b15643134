/* Tables of a metastore, Hive's or AWS Glue's: this program writes the document, the metastore
 * turns the table to it if it still is at the one before. */
#include "base/json.h"
#include "catalog/catalog_iceberg_commit_int.h"
#include "catalog/rest/metastore.h"
#include "catalog/rest/write.h"
#include "storage/remote.h"

/* ---- columns, as Hive names their types ---- */

#define DEPTH_MAX 32

/* Simple ones; what Hive has no type for is what its own reader makes of it. NULL: none of them. */
static const char *simple_name(enum catalog_iceberg_kind kind, enum iceberg_type_id id)
{
    switch (id) {
    case ICEBERG_BOOLEAN:
        return "boolean";
    case ICEBERG_INT:
        return "int";
    case ICEBERG_LONG:
        return "bigint";
    case ICEBERG_FLOAT:
        return "float";
    case ICEBERG_DOUBLE:
        return "double";
    case ICEBERG_DATE:
        return "date";
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMP_NS:
        return "timestamp";
    case ICEBERG_TIMESTAMPTZ:
    case ICEBERG_TIMESTAMPTZ_NS:
        return kind == CATALOG_ICEBERG_GLUE ? "timestamp" : "timestamp with local time zone";
    case ICEBERG_TIME:
    case ICEBERG_STRING:
    case ICEBERG_UUID:
    case ICEBERG_UNKNOWN:
        return "string";
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
        return "binary";
    case ICEBERG_DECIMAL:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    return NULL;
}

static void print_type(enum catalog_iceberg_kind kind, const struct iceberg_type *type,
                       unsigned depth, struct buf *out)
{
    const char *simple = depth > DEPTH_MAX ? "string" : simple_name(kind, type->id);
    if (simple != NULL) {
        buf_append_str(out, simple);
        return;
    }
    if (type->id == ICEBERG_DECIMAL) {
        buf_printf(out, "decimal(%u,%u)", type->precision, type->scale);
        return;
    }
    buf_append_str(out, type->id == ICEBERG_STRUCT ? "struct<"
                        : type->id == ICEBERG_LIST ? "array<"
                                                   : "map<");
    for (size_t i = 0; i < type->field_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        if (type->id == ICEBERG_STRUCT) {
            buf_append_slice(out, type->fields[i].name);
            buf_append_char(out, ':');
        }
        print_type(kind, &type->fields[i].type, depth + 1, out);
    }
    buf_append_char(out, '>');
}

static bool has_column(const struct metastore_table *table, struct slice name)
{
    for (size_t i = 0; i < table->column_count; i++) {
        if (slice_equal(table->columns[i].name, name)) {
            return true;
        }
    }
    return false;
}

static enum err add_columns(enum catalog_iceberg_kind kind, const struct iceberg_schema *schema,
                            bool is_past, struct arena *arena, struct metastore_column *columns,
                            struct metastore_table *table, struct errinfo *info)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        const struct iceberg_field *field = &schema->root.fields[i];
        struct buf type CLEANUP(buf_fini) = {0};
        if (is_past && has_column(table, field->name)) {
            continue;
        }
        struct metastore_column *column = &columns[table->column_count];
        *column = (struct metastore_column){.name = field->name,
                                            .doc = field->doc,
                                            .field_id = field->id,
                                            .is_optional = !field->is_required,
                                            .is_past = is_past};
        print_type(kind, &field->type, 0, &type);
        if (buf_failed(&type) || !arena_slice(arena, buf_slice(&type), &column->type)) {
            return errinfo_nomem(info);
        }
        table->column_count++;
    }
    return ERR_OK;
}

/* Those of the current schema; where Glue keeps them, behind these what older ones had. */
static enum err list_columns(enum catalog_iceberg_kind kind,
                             const struct iceberg_metadata *metadata, struct arena *arena,
                             struct metastore_table *table, struct errinfo *info)
{
    bool has_past = kind == CATALOG_ICEBERG_GLUE;
    const struct iceberg_schema *current = iceberg_metadata_current_schema(metadata);
    size_t capacity = current->root.field_count + 1;
    for (size_t i = 0; has_past && i < metadata->schema_count; i++) {
        capacity += metadata->schemas[i].root.field_count;
    }
    struct metastore_column *columns = arena_calloc(arena, capacity, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    table->columns = columns;
    TRY(add_columns(kind, current, false, arena, columns, table, info));
    for (size_t i = 0; has_past && i < metadata->schema_count; i++) {
        TRY(add_columns(kind, &metadata->schemas[i], true, arena, columns, table, info));
    }
    return ERR_OK;
}

static enum err describe(enum catalog_iceberg_kind kind, struct slice document,
                         struct slice location, struct arena *arena,
                         struct metastore_table *ret_table, struct errinfo *info)
{
    struct iceberg_metadata metadata;
    TRY(iceberg_metadata_parse(document, arena, &metadata, info));
    *ret_table = (struct metastore_table){
        .location = metadata.location,
        .metadata_location = location,
        .uuid = metadata.uuid,
        .comment = iceberg_metadata_property(&metadata, "comment"),
        .is_unlocked = slice_equal_fold(
            iceberg_metadata_property(&metadata, "engine.hive.lock-enabled"), SLICE("false"))};
    return list_columns(kind, &metadata, arena, ret_table, info);
}

/* ---- commits ---- */

static enum err split(const struct catalog_iceberg *catalog, struct slice ns, struct slice *levels,
                      struct rest_namespace *ret_ns, struct errinfo *info)
{
    return iceberg_rest__split(ns, levels, ret_ns)
               ? ERR_OK
               : iceberg_catalog__no_namespace(catalog, ns, info);
}

static enum err find_base(struct iceberg_commit *c, const struct rest_namespace *ns)
{
    struct rest_loaded loaded;
    struct errinfo told = {0};
    enum err err = rest_load(c->catalog->rest, &c->catalog->remote, c->who, ns, c->change->name,
                             false, c->arena, &loaded, &told);
    if (c->change->creates && err == ERR_NOT_FOUND) {
        return ERR_OK;
    }
    if (c->change->creates && (err == ERR_OK || err == ERR_UNSUPPORTED)) {
        return errinfo_set(c->info, ERR_EXISTS, "42P07",
                           "\"%.*s\" exists already in namespace \"%.*s\"",
                           SLICE_ARGS(c->change->name), SLICE_ARGS(c->change->ns));
    }
    if (err == ERR_OK) {
        c->base = loaded.metadata_location;
    } else if (c->info != NULL) {
        *c->info = told;
    }
    return err;
}

static enum err turn(struct iceberg_commit *c, const struct rest_namespace *ns,
                     struct errinfo *told)
{
    const struct catalog_iceberg *catalog = c->catalog;
    struct metastore_table table;
    TRY(describe(catalog->kind, buf_slice(&c->text), c->location, c->arena, &table, told));
    return c->change->creates ? metastore_create_table(catalog->rest, &catalog->remote, c->who, ns,
                                                       c->change->name, &table, told)
                              : metastore_swap_table(catalog->rest, &catalog->remote, c->who, ns,
                                                     c->change->name, &table, c->base, told);
}

enum err iceberg_metastore__commit(struct iceberg_commit *c, bool *ret_is_unknown)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    struct errinfo told = {0};
    TRY(split(c->catalog, c->change->ns, levels, &ns, c->info));
    TRY(find_base(c, &ns));
    TRY(iceberg_commit__apply(c));
    TRY(iceberg_commit__choose_location(c));
    TRY(c->output.create(c->output.context, c->location, buf_slice(&c->text), c->info));
    enum err err = turn(c, &ns, &told);
    if (err == ERR_OK) {
        return ERR_OK;
    }
    if (rest_is_unknown(&told)) { /* the table may be at the new document */
        *ret_is_unknown = true;
    } else {
        struct errinfo ignored;
        (void)c->output.remove(c->output.context, c->location, &ignored);
    }
    if (c->info != NULL) {
        *c->info = told;
    }
    return err;
}

/* ---- a table that is to be made ---- */

enum err iceberg_metastore__stage(struct catalog_iceberg *catalog, const struct identity *who,
                                  struct slice ns, struct slice name, struct slice updates,
                                  struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_lent lent = {0};
    struct slice location = {0};
    struct json *root;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "stage", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(split(catalog, ns, levels, &asked, info));
    TRY(json_parse(arena, updates, NULL, &root, info));
    for (const struct json *update = root->first; update != NULL; update = update->next) {
        if (slice_equal(json_get_text(update, "action"), SLICE("set-location"))) {
            location = json_get_text(update, "location");
        }
    }
    TRY(metastore_lend(catalog->rest, &catalog->remote, who, &asked, name, location, &lent, info));
    iceberg_rest__take(catalog, &lent);
    return ERR_OK;
}

/* "<folder of a table>/metadata/<document>" */
static struct slice folder_of(struct slice location)
{
    for (unsigned up = 0; up < 2; up++) {
        while (location.len > 0 && location.ptr[location.len - 1] != '/') {
            location.len--;
        }
        location.len -= location.len > 0 ? 1 : 0;
    }
    return location;
}

/* A document that is no table's yet, with what is lent for the folder that it is in. */
static enum err read_document(const struct catalog_iceberg *catalog, const struct identity *who,
                              const struct rest_namespace *ns, struct slice name,
                              struct slice location, struct arena *arena,
                              struct slice *ret_document, struct errinfo *info)
{
    struct rest_lent lent = {0};
    struct catalog_iceberg own = *catalog;
    struct iceberg_io io;
    struct buf bytes CLEANUP(buf_fini) = {0};
    own.lent = NULL;
    if (storage_is_remote(location)) {
        TRY(metastore_lend(catalog->rest, &catalog->remote, who, ns, name, folder_of(location),
                           &lent, info));
        iceberg_rest__take(&own, &lent);
    }
    enum err err = own.lent == NULL
                       ? catalog_iceberg_io_of(catalog, who, NULL, arena, &io, info)
                       : catalog_iceberg_io_lent(own.lent, own.lent_to, arena, &io, info);
    if (err == ERR_OK) {
        err = io.read_all(io.context, location, 0, 0, &bytes, info);
    }
    catalog_iceberg_return(&own);
    TRY(err);
    return iceberg_document_text(buf_slice(&bytes), arena, ret_document, info);
}

enum err iceberg_metastore__register(const struct catalog_iceberg *catalog,
                                     const struct identity *who, struct slice ns, struct slice name,
                                     struct slice location, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct metastore_table table;
    struct slice document;
    TRY(split(catalog, ns, levels, &asked, info));
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "register", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(read_document(catalog, who, &asked, name, location, arena, &document, info));
    TRY(describe(catalog->kind, document, location, arena, &table, info));
    return metastore_create_table(catalog->rest, &catalog->remote, who, &asked, name, &table, info);
}

enum err iceberg_metastore__location(const struct catalog_iceberg *catalog, struct slice ns,
                                     struct slice name, struct arena *arena,
                                     struct slice *ret_location, struct errinfo *info)
{
    struct slice warehouse = catalog->warehouse;
    while (warehouse.len > 0 && warehouse.ptr[warehouse.len - 1] == '/') {
        warehouse.len--;
    }
    if (catalog->kind == CATALOG_ICEBERG_HIVE) { /* a database always has one */
        return errinfo_set(info, ERR_CORRUPT, "08P01",
                           "namespace \"%.*s\" of catalog \"%.*s\" lies nowhere", SLICE_ARGS(ns),
                           SLICE_ARGS(catalog->name));
    }
    if (warehouse.len == 0) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "namespace \"%.*s\" of catalog \"%.*s\" lies nowhere", SLICE_ARGS(ns),
                          SLICE_ARGS(catalog->name));
        errinfo_hint(info, "Say where its tables are to lie (ALTER SCHEMA ... SET (location = "
                           "'s3://...')), or ATTACH OR REPLACE the catalog with a WAREHOUSE.");
        return ERR_INVALID;
    }
    char *path = arena_printf(arena, "%.*s/%.*s.db/%.*s", SLICE_ARGS(warehouse), SLICE_ARGS(ns),
                              SLICE_ARGS(name));
    *ret_location = slice_of(path == NULL ? "" : path);
    return path == NULL ? errinfo_nomem(info) : ERR_OK;
}
