/* Tables and views of attached catalogs as relations.
 *
 * A column's id is its field id, a relation's uuid the table's: what GRANT keeps. A table whose
 * metadata has no UUID can be read by the owner only, since nothing could be granted on it that a
 * rename would not change. */
#include "base/hash.h"
#include "identity/provider.h"
#include "query/lake/lake_int.h"
#include "sql/scan.h"

enum err lake_type_text(const struct iceberg_type *type, struct slice column, struct arena *arena,
                        struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(lake_type_print(type, column, &text, info));
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err lake_type_name(const struct iceberg_type *type, struct arena *arena,
                        struct slice *ret_text, struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    if (lake_type_is_readable(type)) {
        return lake_type_text(type, SLICE(""), arena, ret_text, info);
    }
    iceberg_type_print(type, &text);
    return !buf_failed(&text) && arena_slice(arena, buf_slice(&text), ret_text)
               ? ERR_OK
               : errinfo_nomem(info);
}

/* ---- relations ---- */

static enum err fill_columns(const struct iceberg_schema *schema, struct arena *arena,
                             struct relation *relation, struct errinfo *info)
{
    size_t count = schema->root.field_count;
    struct relation_column *columns = arena_calloc(arena, count + 1, sizeof(*columns));
    struct slice *comments = arena_calloc(arena, count + 1, sizeof(*comments));
    if (columns == NULL || comments == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        const struct iceberg_field *field = &schema->root.fields[i];
        for (size_t k = 0; k < i; k++) {
            if (slice_equal_fold(columns[k].name, field->name)) {
                return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                                   "the columns \"%.*s\" and \"%.*s\" differ in case only",
                                   SLICE_ARGS(columns[k].name), SLICE_ARGS(field->name));
            }
        }
        columns[i] = (struct relation_column){
            .id = (uint32_t)field->id,
            .name = field->name,
            .source = lake_type_is_readable(&field->type) ? field->name : SLICE("")};
        comments[i] = field->doc;
        TRY(lake_type_name(&field->type, arena, &columns[i].type, info));
    }
    relation->columns = columns;
    relation->column_count = count;
    relation->column_comments = comments;
    return ERR_OK;
}

static bool has_field(const struct iceberg_schema *schema, int32_t id)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        if (schema->root.fields[i].id == id) {
            return true;
        }
    }
    return false;
}

/* A policy that names a column which an older version lacks is no dangling one, unless the older
 * version has columns that are gone today: one of them may be the same data under another id. */
static enum err fill_others(const struct iceberg_metadata *metadata,
                            const struct iceberg_schema *schema, struct arena *arena,
                            struct relation *relation, struct errinfo *info)
{
    const struct iceberg_schema *now = iceberg_metadata_current_schema(metadata);
    for (size_t i = 0; i < schema->root.field_count; i++) {
        if (!has_field(now, schema->root.fields[i].id)) {
            return ERR_OK;
        }
    }
    uint32_t *ids = arena_calloc(arena, now->root.field_count + 1, sizeof(*ids));
    if (ids == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < now->root.field_count; i++) {
        if (!has_field(schema, now->root.fields[i].id)) {
            ids[relation->other_id_count++] = (uint32_t)now->root.fields[i].id;
        }
    }
    relation->other_ids = ids;
    return ERR_OK;
}

static bool is_uuid(struct slice text)
{
    bool is_uuid = text.len == 36;
    for (size_t i = 0; is_uuid && i < text.len; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        is_uuid =
            is_dash ? text.ptr[i] == '-' : memchr("0123456789abcdef", text.ptr[i], 16) != NULL;
    }
    return is_uuid;
}

/* The relations that Moat makes have well-known identities: what is granted on one of them must
 * not be granted on a table that says it is it. */
static bool is_made_by_moat(struct slice uuid)
{
    return slice_starts_with(uuid, SLICE("6d6f6174-0000-8000-8000-"));
}

static void fill_identity(const struct attached *attached, const struct catalog_iceberg_name *name,
                          struct slice uuid, struct relation *relation)
{
    relation->name = (struct sql_name){attached->catalog.name, name->ns, name->name};
    relation->uuid = is_uuid(uuid) && !is_made_by_moat(uuid) ? uuid : SLICE(LAKE_NO_IDENTITY);
    relation->owner = attached->owner;
}

static struct slice comment_in(const struct iceberg_property *properties, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(properties[i].key, SLICE("comment"))) {
            return properties[i].value;
        }
    }
    return (struct slice){0};
}

enum err lake_choose_version(struct lake_table *table, const struct lake_travel *travel,
                             struct errinfo *info)
{
    const struct iceberg_metadata *metadata = &table->loaded.metadata;
    table->travel = *travel;
    table->schema = iceberg_metadata_current_schema(metadata);
    switch (travel->kind) {
    case TRAVEL_NOW:
        if (metadata->current_snapshot_id != ICEBERG_NO_ID) {
            table->snapshot = iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id);
        }
        return ERR_OK;
    case TRAVEL_SNAPSHOT:
        TRY(iceberg_travel_to_id(metadata, travel->value, &table->snapshot, info));
        break;
    case TRAVEL_TIME:
        TRY(iceberg_travel_to_time(metadata, travel->value, &table->snapshot, info));
        break;
    case TRAVEL_REF:
        TRY(iceberg_travel_to_ref(metadata, travel->ref, &table->snapshot, info));
        table->schema = iceberg_ref_schema(metadata, iceberg_metadata_ref(metadata, travel->ref));
        return ERR_OK;
    }
    table->schema = iceberg_snapshot_schema(metadata, table->snapshot);
    return ERR_OK;
}

static enum err make_table(struct lake_table *table, const struct lake_travel *travel,
                           struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    const struct catalog_iceberg_name *name = &table->loaded.name;
    TRY(lake_choose_version(table, travel, info));
    struct relation relation = {.kind = RELATION_TABLE, .format = FORMAT_PARQUET, .lake = table};
    fill_identity(table->attached, name, table->loaded.metadata.uuid, &relation);
    TRY(fill_columns(table->schema, arena, &relation, info));
    TRY(fill_others(&table->loaded.metadata, table->schema, arena, &relation, info));
    uint64_t snapshot = table->snapshot == NULL ? 0 : (uint64_t)table->snapshot->id;
    relation.comment = iceberg_metadata_property(&table->loaded.metadata, "comment");
    relation.version = hash_xx64(name->metadata_location,
                                 snapshot ^ ((uint64_t)(uint32_t)table->schema->id << 32));
    *ret_relation = relation;
    return ERR_OK;
}

/* With the columns of all schemas that the table ever had. */
static enum err widen(const struct iceberg_metadata *metadata, struct arena *arena,
                      struct relation *relation, struct errinfo *info)
{
    size_t capacity = 1;
    for (size_t i = 0; i < metadata->schema_count; i++) {
        capacity += metadata->schemas[i].root.field_count;
    }
    struct relation_column *columns = arena_calloc(arena, capacity, sizeof(*columns));
    size_t count = relation->column_count;
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(columns, relation->columns, count * sizeof(*columns));
    for (size_t s = 0; s < metadata->schema_count; s++) {
        struct relation older = {0};
        TRY(fill_columns(&metadata->schemas[s], arena, &older, info));
        for (size_t i = 0; i < older.column_count; i++) {
            bool is_known = false;
            for (size_t k = 0; k < count; k++) {
                is_known = is_known || columns[k].id == older.columns[i].id;
            }
            if (!is_known) {
                columns[count++] = older.columns[i];
            }
        }
    }
    relation->columns = columns;
    relation->column_comments = NULL; /* no metadata table is commented */
    relation->column_count = count;
    return ERR_OK;
}

/* The body in the dialect that is nearest to ours. */
static struct slice choose_sql(const struct iceberg_view_version *version)
{
    static const char *const preferred[] = {"moat", "duckdb"};
    for (size_t p = 0; p < ARRAY_COUNT(preferred); p++) {
        for (size_t i = 0; i < version->representation_count; i++) {
            const struct iceberg_view_sql *sql = &version->representations[i];
            if (slice_equal_fold(sql->dialect, slice_of(preferred[p]))) {
                return sql->sql;
            }
        }
    }
    return version->representation_count == 0 ? (struct slice){0} : version->representations[0].sql;
}

/* What the body calls the view's columns, in their order. Spark says, since it lets a view rename
 * them (CREATE VIEW v (a, b) AS ...); elsewhere they are called as the view's are. */
static bool next_body_name(const struct iceberg_schema *schema, size_t index, struct slice *names,
                           struct slice *ret_name)
{
    if (names->ptr == NULL) {
        *ret_name = schema->root.fields[index].name;
        return true;
    }
    size_t comma = slice_find(*names, SLICE(","));
    bool is_last = index + 1 == schema->root.field_count;
    if (is_last != (comma == SIZE_MAX)) {
        return false; /* a name with a comma in it, or a list of something else */
    }
    *ret_name = (struct slice){names->ptr, is_last ? names->len : comma};
    names->ptr += is_last ? names->len : comma + 1;
    names->len -= is_last ? names->len : comma + 1;
    return true;
}

/* SELECT v."id" AS "number" ... FROM (<body>) AS v: found by name, as Spark does, never by place. A
 * table that had its columns put in another order since must not swap them under `SELECT *`. */
static enum err name_columns(const struct iceberg_view *view, const struct iceberg_schema *schema,
                             struct slice body, struct arena *arena, struct slice *ret_sql,
                             struct errinfo *info)
{
    struct buf sql CLEANUP(buf_fini) = {0};
    struct slice names = {0};
    for (size_t i = 0; i < view->property_count; i++) {
        if (slice_equal(view->properties[i].key, SLICE("spark.query-column-names"))) {
            names = view->properties[i].value;
        }
    }
    while (body.len > 0 && strchr("; \t\r\n", body.ptr[body.len - 1]) != NULL) {
        body.len--;
    }
    for (size_t i = 0; i < schema->root.field_count; i++) {
        struct slice name;
        if (!next_body_name(schema, i, &names, &name)) {
            return errinfo_set(info, ERR_UNSUPPORTED, NULL,
                               "the view's property \"spark.query-column-names\" does not name its "
                               "columns");
        }
        buf_append_str(&sql, i == 0 ? "SELECT v." : ", v.");
        sql_quote_name(&sql, name);
        buf_append_str(&sql, " AS ");
        sql_quote_name(&sql, schema->root.fields[i].name);
    }
    buf_append_str(&sql, " FROM (");
    buf_append_slice(&sql, body);
    buf_append_str(&sql, "\n) AS v"); /* the body may end in a comment */
    return !buf_failed(&sql) && arena_slice(arena, buf_slice(&sql), ret_sql) ? ERR_OK
                                                                             : errinfo_nomem(info);
}

static enum err make_view(struct lake_table *table, struct arena *arena,
                          struct relation *ret_relation, struct errinfo *info)
{
    const struct iceberg_view *view = &table->loaded.view;
    const struct iceberg_view_version *version = iceberg_view_current(view);
    struct relation relation = {.kind = RELATION_VIEW, .view_sql = choose_sql(version)};
    fill_identity(table->attached, &table->loaded.name, view->uuid, &relation);
    relation.comment = comment_in(view->properties, view->property_count);
    if (relation.view_sql.len == 0) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "the view \"%.*s\" has no SQL text",
                           SLICE_ARGS(relation.name.name));
    }
    const struct iceberg_schema *schema = iceberg_view_schema(view, version->schema_id);
    TRY(fill_columns(schema, arena, &relation, info));
    if (schema->root.field_count > 0) {
        TRY(name_columns(view, schema, relation.view_sql, arena, &relation.view_sql, info));
    }
    struct buf ns CLEANUP(buf_fini) = {0};
    for (size_t i = 0; i < version->default_namespace_count; i++) {
        buf_append_str(&ns, i == 0 ? "" : ".");
        buf_append_slice(&ns, version->default_namespace[i]);
    }
    if (buf_failed(&ns) || !arena_slice(arena, buf_slice(&ns), &relation.view_schema)) {
        return errinfo_nomem(info);
    }
    /* The catalog's name in other engines need not be its name here: a view knows its own. */
    relation.version = hash_xx64(table->loaded.name.metadata_location, 0);
    *ret_relation = relation;
    return ERR_OK;
}

/* What a plan keeps lives on when the statement that loaded it is over. */
static const struct attached *kept_of(const struct attached *attached, struct arena *arena)
{
    if (!catalog_iceberg_is_remote(&attached->catalog) && attached->catalog.block == NULL) {
        return attached;
    }
    struct attached *kept = arena_alloc(arena, sizeof(*kept));
    if (kept != NULL) {
        *kept = *attached;
        kept->catalog.remote.is_cancelled = NULL;
        kept->catalog.remote.cancel_context = NULL;
        kept->catalog.remote.ahead = NULL;
        kept->catalog.block = NULL;
    }
    return kept;
}

static enum err load_exact(const struct attached *attached, const struct identity *who,
                           struct slice ns, struct slice name, bool wants_history,
                           struct arena *arena, struct lake_table *ret_table, struct errinfo *info)
{
    struct catalog_iceberg catalog = attached->catalog;
    struct lake_table table = {.attached = kept_of(attached, arena), .who = who};
    if (table.attached == NULL) {
        return errinfo_nomem(info);
    }
    catalog.wants_history = wants_history;
    TRY(catalog_iceberg_load(&catalog, who, ns, name, arena, &table.loaded, info));
    table.wants_history = wants_history;
    struct catalog_iceberg_name *own = arena_alloc(arena, sizeof(*own));
    if (own == NULL) {
        return errinfo_nomem(info);
    }
    *own = table.loaded.name;
    TRY(catalog_iceberg_io_of(&table.attached->catalog, who, own, arena, &table.io, info));
    *ret_table = table;
    return ERR_OK;
}

/* "t$branch_x", "t$tag_x". */
static bool split_ref(struct slice suffix, struct lake_travel *travel)
{
    static const struct slice prefixes[] = {{"branch_", 7}, {"tag_", 4}};
    for (size_t i = 0; i < ARRAY_COUNT(prefixes); i++) {
        size_t len = prefixes[i].len;
        if (slice_starts_with_fold(suffix, prefixes[i]) && suffix.len > len) {
            *travel = (struct lake_travel){.kind = TRAVEL_REF,
                                           .ref = {suffix.ptr + len, suffix.len - len}};
            return true;
        }
    }
    return false;
}

static enum err no_table(struct slice name, struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "42P01", "table \"%.*s\" does not exist",
                       SLICE_ARGS(name));
}

/* A snapshot that no branch or tag names is left out of what a REST catalog says at first. */
static bool needs_history(const struct lake_travel *travel)
{
    return travel->kind == TRAVEL_SNAPSHOT || travel->kind == TRAVEL_TIME;
}

/* What stands behind the last "$" of a name that no table has. */
static enum err open_suffixed(const struct attached *attached, const struct identity *who,
                              struct slice ns, struct slice name, struct arena *arena,
                              struct lake_open *open, struct errinfo *info)
{
    size_t dollar = name.len;
    while (dollar > 0 && name.ptr[dollar - 1] != '$') {
        dollar--;
    }
    if (dollar < 2) {
        return no_table(name, info);
    }
    struct slice base = {name.ptr, dollar - 1};
    struct slice suffix = {name.ptr + dollar, name.len - dollar};
    struct lake_travel to;
    if (lake_metadata_find(suffix, &open->metadata)) {
        open->is_metadata = true;
    } else if (split_ref(suffix, &to)) {
        if (open->travel.kind != TRAVEL_NOW) {
            return errinfo_set(info, ERR_INVALID, NULL, "\"%.*s\" names a version already",
                               SLICE_ARGS(name));
        }
        open->travel = to;
    } else {
        return no_table(name, info);
    }
    TRY(load_exact(attached, who, ns, base, open->is_metadata || needs_history(&open->travel),
                   arena, &open->table, info));
    return open->table.loaded.name.is_view ? no_table(name, info) : ERR_OK;
}

void lake_open_ahead(const struct attached *attached, const struct identity *who, struct slice ns,
                     struct slice name, const struct lake_travel *travel)
{
    struct catalog_iceberg catalog = attached->catalog;
    catalog.wants_history = needs_history(travel);
    catalog_iceberg_load_ahead(&catalog, who, ns, name);
}

enum err lake_open(const struct attached *attached, const struct identity *who, struct slice ns,
                   struct slice name, const struct lake_travel *travel, struct arena *arena,
                   struct lake_open *ret_open, struct errinfo *info)
{
    struct lake_open open = {0};
    if (travel != NULL) {
        open.travel = *travel;
    }
    enum err err =
        load_exact(attached, who, ns, name, needs_history(&open.travel), arena, &open.table, info);
    if (err == ERR_NOT_FOUND) {
        err = open_suffixed(attached, who, ns, name, arena, &open, info);
    }
    TRY(err);
    *ret_open = open;
    return ERR_OK;
}

static enum err make(const struct lake_open *open, const struct lake_travel *travel,
                     struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    struct lake_table *table = arena_alloc(arena, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    *table = open->table;
    return table->loaded.name.is_view ? make_view(table, arena, ret_relation, info)
                                      : make_table(table, travel, arena, ret_relation, info);
}

enum err lake_now(const struct lake_open *open, struct arena *arena, struct relation *ret_relation,
                  struct errinfo *info)
{
    static const struct lake_travel now = {.kind = TRAVEL_NOW};
    TRY(make(open, &now, arena, ret_relation, info));
    return open->is_metadata ? widen(&open->table.loaded.metadata, arena, ret_relation, info)
                             : ERR_OK;
}

enum err lake_version(const struct lake_open *open, struct arena *arena,
                      struct relation *ret_relation, struct errinfo *info)
{
    ASSERT(!open->is_metadata);
    if (open->table.loaded.name.is_view && open->travel.kind != TRAVEL_NOW) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "a view has no versions: \"%.*s\"",
                           SLICE_ARGS(open->table.loaded.name.name));
    }
    return make(open, &open->travel, arena, ret_relation, info);
}

/* A REST catalog is asked in the name of the statement that runs now. */
static struct catalog_iceberg catalog_now(struct session *session, const struct lake_table *table)
{
    struct catalog_iceberg catalog = table->attached->catalog;
    catalog.wants_history = table->wants_history;
    catalog.block = session == NULL ? NULL : session_lake(session);
    if (catalog_iceberg_is_remote(&catalog) && session->query != NULL) {
        catalog.remote.request_id = slice_of(session->query->id);
        catalog.remote.ahead = session->ahead;
    }
    return catalog;
}

void lake_check_ahead(struct session *session, const struct relation *relation)
{
    const struct lake_table *table = relation->lake;
    if (catalog_iceberg_is_remote(&table->attached->catalog) && session->query != NULL &&
        identity_credential_number(table->who) == identity_credential_number(session->who)) {
        struct catalog_iceberg catalog = catalog_now(session, table);
        catalog_iceberg_load_ahead(&catalog, table->who, table->loaded.name.ns,
                                   table->loaded.name.name);
    }
}

bool lake_is_current(struct session *session, const struct relation *relation)
{
    const struct lake_table *table = relation->lake;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake check", 0);
    struct catalog_iceberg catalog = catalog_now(session, table);
    struct catalog_iceberg_table now;
    struct errinfo ignored;
    /* A plan of another sign-in would ask with its token. */
    bool is_same_sign_in =
        !catalog_iceberg_is_remote(&catalog) ||
        identity_credential_number(table->who) == identity_credential_number(session->who);
    return is_same_sign_in && arena != NULL &&
           catalog_iceberg_load(&catalog, table->who, table->loaded.name.ns,
                                table->loaded.name.name, arena, &now, &ignored) == ERR_OK &&
           slice_equal(now.restrictions, table->loaded.restrictions) &&
           slice_equal(now.name.metadata_location, table->loaded.name.metadata_location);
}
