/* The table that is changed, and commits of changes that write no rows. */
#include "query/ddl/ddl_int.h"

#include "base/clock.h"
#include "query/dml/commit_retry.h"
#include "query/dml/dml_int.h"
#include "query/plan/resolve_int.h"
#include "sql/scan.h"

enum err ddl_target(struct query *query, const struct sql_name *name,
                    const struct attached **ret_attached, struct errinfo *info)
{
    struct session *session = query->session;
    struct slice catalog =
        name->catalog.len > 0 ? name->catalog : slice_of(session->default_catalog);
    *ret_attached = NULL;
    return attached_find(session, session->who, catalog, query->arena, ret_attached, info);
}

/* ---- the table ---- */

static enum err load(struct ddl *ddl, struct arena *arena, struct errinfo *info)
{
    struct catalog_iceberg_table *table = arena_calloc(arena, 1, sizeof(*table));
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    TRY(catalog_iceberg_load(&ddl->catalog, ddl->query->session->who, ddl->ns, ddl->name, arena,
                             table, info));
    if (!slice_equal(table->metadata.uuid, ddl->uuid)) {
        return errinfo_set(info, ERR_BUSY, "40001",
                           "table \"%.*s\" was replaced by another one meanwhile",
                           SLICE_ARGS(ddl->name));
    }
    ddl->metadata = &table->metadata;
    ddl->location = table->name.metadata_location;
    return ERR_OK;
}

enum err ddl_reload(struct ddl *ddl, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(ddl->query->arena, "table", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(load(ddl, arena, info));
    arena_free(ddl->loaded);
    ddl->loaded = TAKE(arena);
    return ERR_OK;
}

static enum err name_for_audit(struct ddl *ddl, struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    buf_printf(&name, "%.*s.%.*s.%.*s", SLICE_ARGS(ddl->catalog.name), SLICE_ARGS(ddl->ns),
               SLICE_ARGS(ddl->name));
    ddl->audit = (struct audit_write){.uuid = ddl->uuid,
                                      .snapshot_before = ddl->metadata->current_snapshot_id,
                                      .snapshot_after = ICEBERG_NO_ID};
    return !buf_failed(&name) &&
                   arena_slice(ddl->query->arena, buf_slice(&name), &ddl->audit.name) &&
                   arena_slice(ddl->query->arena, ddl->location, &ddl->audit.metadata_before)
               ? ERR_OK
               : errinfo_nomem(info);
}

enum err ddl_open(struct query *query, const struct sql_name *name, struct ddl *ddl,
                  struct errinfo *info)
{
    struct session *session = query->session;
    struct resolved resolved;
    *ddl = (struct ddl){.query = query};
    TRY(dml_find(session, name, query->arena, &resolved, info));
    const struct lake_table *table = resolved.relation->lake;
    if (table->travel.kind != TRAVEL_NOW) {
        return errinfo_set(info, ERR_INVALID, "42809",
                           "a branch of \"%.*s\" has no shape of its own: only its rows change",
                           SLICE_ARGS(table->loaded.name.name));
    }
    ddl->attached = table->attached;
    ddl->catalog = table->attached->catalog;
    ddl->catalog.wants_history = true;
    if (catalog_iceberg_is_remote(&ddl->catalog)) {
        ddl->catalog.remote.request_id = slice_of(query->id);
    }
    ddl->ns = table->loaded.name.ns;
    ddl->name = table->loaded.name.name;
    ddl->uuid = table->loaded.metadata.uuid;
    ddl->io = table->io;
    TRY(session_lake_to_change(session, &ddl->catalog, &ddl->catalog.block, info));
    TRY(catalog_iceberg_check_writable(&ddl->catalog, info));
    TRY(catalog_iceberg_output(&ddl->catalog, session->who, query->arena, &ddl->output, info));
    TRY(ddl_reload(ddl, info));
    TRY(name_for_audit(ddl, info));
    struct audit_write *write = arena_calloc(query->arena, 1, sizeof(*write));
    if (write == NULL) {
        return errinfo_nomem(info);
    }
    *write = ddl->audit;
    query->write = write;
    return ERR_OK;
}

void ddl_close(struct ddl *ddl)
{
    catalog_iceberg_return(&ddl->catalog);
    arena_free(TAKE(ddl->loaded));
}

/* ---- commits ---- */

struct searched {
    struct ddl *ddl;
    struct slice updates;
    struct arena *arena;
};

/* What was said of the failure stays said otherwise. */
static bool is_done(void *context)
{
    const struct searched *searched = context;
    struct errinfo ignored;
    return ddl_reload(searched->ddl, &ignored) == ERR_OK &&
           iceberg_update_is_done(searched->ddl->metadata, searched->updates, searched->arena);
}

static enum err note_audit(struct ddl *ddl, const char *operation, struct slice location,
                           struct errinfo *info)
{
    struct query *query = ddl->query;
    struct audit_write *write = arena_calloc(query->arena, 1, sizeof(*write));
    if (write == NULL || !arena_slice(query->arena, location, &ddl->audit.metadata_after)) {
        return errinfo_nomem(info);
    }
    ddl->audit.operation = slice_of(operation);
    if (ddl->audit.snapshot_after == ICEBERG_NO_ID) { /* it did not move the table */
        ddl->audit.snapshot_after = ddl->audit.snapshot_before;
    }
    *write = ddl->audit;
    query->write = write;
    return ERR_OK;
}

/* `ret_updates` empty: nothing was to be done. */
static enum err attempt(struct ddl *ddl, const struct ddl_change *change, bool *ret_is_changed,
                        struct errinfo *info)
{
    struct slice requirements = {0};
    struct slice updates = {0};
    struct slice location = {0};
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(ddl->query->arena, "commit", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(change->build(change->context, ddl, arena, &requirements, &updates, info));
    *ret_is_changed = updates.len > 0;
    if (updates.len == 0) {
        return ERR_OK;
    }
    int64_t now_ms = clock_wall_us() / 1000;
    int64_t last_ms = ddl->metadata->last_updated_ms;
    struct catalog_iceberg_change commit = {.ns = ddl->ns,
                                            .name = ddl->name,
                                            .requirements = requirements,
                                            .updates = updates,
                                            .now_ms = now_ms > last_ms ? now_ms : last_ms};
    enum err err = catalog_iceberg_commit(&ddl->catalog, ddl->query->session->who, &commit, arena,
                                          &location, &ddl->is_unknown, info);
    if (err != ERR_OK && ddl->is_unknown) {
        struct searched searched = {ddl, updates, arena};
        if (!commit_was_made(ddl->query, is_done, &searched)) {
            return commit_is_unknown(ddl->name,
                                     "Look at the table (SHOW CREATE TABLE, its \"$refs\" and "
                                     "\"$snapshots\") before it is tried again. No file was "
                                     "removed.",
                                     info);
        }
        ddl->is_unknown = false;
        location = ddl->location;
        err = ERR_OK;
    }
    if (err != ERR_OK) {
        if (change->undo != NULL) {
            change->undo(change->context, ddl);
        }
        return err;
    }
    return note_audit(ddl, change->operation, location, info);
}

enum err ddl_commit(struct ddl *ddl, const struct ddl_change *change, bool *ret_is_changed,
                    struct errinfo *info)
{
    int retries = commit_retries(ddl->metadata);
    for (int retry = 0;; retry++) {
        TRY(query_check_cancelled(ddl->query, info));
        enum err err = attempt(ddl, change, ret_is_changed, info);
        if (err != ERR_BUSY || ddl->is_unknown || retry >= retries) {
            return err;
        }
        TRY(commit_wait(ddl->query, retry, info));
        TRY(ddl_reload(ddl, info));
    }
}

/* ---- words ---- */

/* The words of Spark, Trino and the specification. */
enum err ddl_transform(const struct statement_transform *item, struct arena *arena,
                       struct slice *ret_text, struct errinfo *info)
{
    static const struct {
        const char *word;
        const char *transform;
        bool has_width;
    } words[] = {
        {"", "identity", false},        {"identity", "identity", false}, {"bucket", "bucket", true},
        {"truncate", "truncate", true}, {"year", "year", false},         {"years", "year", false},
        {"month", "month", false},      {"months", "month", false},      {"day", "day", false},
        {"days", "day", false},         {"date", "day", false},          {"hour", "hour", false},
        {"hours", "hour", false},       {"void", "void", false},
    };
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (slice_equal_fold(item->function, slice_of(words[i].word)) &&
            words[i].has_width == (item->width > 0)) {
            char *text = item->width > 0
                             ? arena_printf(arena, "%s[%u]", words[i].transform, item->width)
                             : arena_strdup(arena, words[i].transform);
            *ret_text = slice_of(text == NULL ? "" : text);
            return text == NULL ? errinfo_nomem(info) : ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_INVALID, "22023", "\"%.*s\" is no partition transform",
                      SLICE_ARGS(item->function));
    errinfo_hint(info, "There are bucket(n, column), truncate(n, column), year(column), "
                       "month(column), day(column), hour(column), void(column), and the column "
                       "itself.");
    return ERR_INVALID;
}

enum err ddl_path(const struct iceberg_schema *schema, struct slice dotted, struct arena *arena,
                  struct iceberg_path *ret_path, struct errinfo *info)
{
    struct slice *parts = arena_calloc(arena, dotted.len + 1, sizeof(*parts));
    size_t count = 0;
    size_t start = 0;
    if (parts == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < schema->root.field_count; i++) {
        if (slice_equal_fold(schema->root.fields[i].name, dotted)) {
            parts[0] = dotted;
            *ret_path = (struct iceberg_path){parts, 1};
            return ERR_OK;
        }
    }
    for (size_t i = 0; i <= dotted.len; i++) {
        if (i == dotted.len || dotted.ptr[i] == '.') {
            parts[count++] = (struct slice){dotted.ptr + start, i - start};
            start = i + 1;
        }
    }
    *ret_path = (struct iceberg_path){parts, count};
    return ERR_OK;
}

enum err ddl_literal(struct slice literal, struct arena *arena, struct slice *ret_text,
                     struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, literal);
    TRY(scanner_next(&scanner, &token, info));
    if (token.kind == TOKEN_STRING) {
        return token_string(&token, arena, ret_text, info);
    }
    *ret_text = literal; /* a number, true or false: as written */
    return ERR_OK;
}

enum err ddl_sorts(const struct iceberg_schema *schema, const struct statement_sort *sorts,
                   size_t count, struct arena *arena, struct iceberg_sort_want **ret_wants,
                   struct errinfo *info)
{
    struct iceberg_sort_want *wants = arena_calloc(arena, count + 1, sizeof(*wants));
    if (wants == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        TRY(ddl_path(schema, sorts[i].by.column, arena, &wants[i].path, info));
        TRY(ddl_transform(&sorts[i].by, arena, &wants[i].transform, info));
        wants[i].is_descending = sorts[i].is_descending;
        wants[i].is_nulls_last = sorts[i].is_nulls_last;
    }
    *ret_wants = wants;
    return ERR_OK;
}
