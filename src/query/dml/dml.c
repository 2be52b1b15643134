/* Rows to files: a SELECT is planned, secured and audited like any other, as the person, and the
 * engine writes what it gives through a grant into new files of the table. Until a commit names
 * them nobody sees them. */
#include "query/dml/dml_int.h"

#include "base/mem.h"
#include "query/plan/plan_int.h"
#include "sql/scan.h"

#define SINKS_MAX 100000u /* files of one statement */

struct dml_file {
    struct slice location;
    struct catalog_iceberg_file *file; /* while it is written */
    bool is_there;                     /* in the store, or perhaps */
    bool is_whole;
    bool has_rows; /* the engine says so: it is the table's, once that is committed */
};

/* ---- the table ---- */

static enum err open_catalog(struct dml *dml, struct errinfo *info)
{
    struct session *session = dml->query->session;
    dml->catalog = dml->attached->catalog;
    if (dml->catalog.kind == CATALOG_ICEBERG_REST) {
        dml->catalog.remote.request_id = slice_of(dml->query->id);
    }
    TRY(catalog_iceberg_check_writable(&dml->catalog, info));
    TRY(session_lake_to_change(session, &dml->catalog, &dml->catalog.block, info));
    return catalog_iceberg_output(&dml->catalog, session->who, dml->query->arena, &dml->output,
                                  info);
}

static enum err may_not(const struct relation *relation, unsigned lacking, struct errinfo *info)
{
    struct buf rights CLEANUP(buf_fini) = {0};
    policy_print_privileges(lacking, &rights);
    (void)errinfo_set(info, ERR_DENIED, NULL, "permission denied to write table \"%.*s\": %s",
                      SLICE_ARGS(relation->name.name), buf_cstr(&rights));
    errinfo_hint(info,
                 "GRANT %s ON it gives the right; who attached its catalog, and "
                 "administrators, have it.",
                 buf_cstr(&rights));
    return ERR_DENIED;
}

/* A row that the person could not see must not go because of them, nor a masked value be written
 * back. */
static enum err refuse_partial(const struct relation *relation, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_DENIED, NULL,
                      "all of table \"%.*s\" cannot be replaced by somebody from whom some of it "
                      "is hidden",
                      SLICE_ARGS(relation->name.name));
    errinfo_hint(info, "INSERT and DELETE change the rows that you see.");
    return ERR_DENIED;
}

static bool is_partial(const struct resolved *resolved)
{
    return resolved->effective.is_bound ||
           resolved->effective.column_count != resolved->relation->column_count;
}

/* What "t$branch_x" names. */
static const struct iceberg_ref *ref_of(const struct lake_table *table)
{
    return iceberg_metadata_ref(&table->loaded.metadata, table->travel.ref);
}

static enum err find_table(struct session *session, const struct sql_name *name, unsigned needed,
                           struct arena *arena, struct resolved *ret_resolved, struct errinfo *info)
{
    TRY(resolve_relation(session, session->who, name, arena, ret_resolved, info));
    const struct relation *relation = ret_resolved->relation;
    if (relation->lake == NULL) {
        (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                          "\"%.*s\" cannot be written: it is no table of a lake and no temporary "
                          "table",
                          SLICE_ARGS(relation->name.name));
        errinfo_hint(info, "Registered files are changed by what wrote them; tables of attached "
                           "catalogs and CREATE TEMP TABLE take rows.");
        return ERR_UNSUPPORTED;
    }
    const struct lake_table *table = relation->lake;
    bool is_branch = table->travel.kind == TRAVEL_REF && ref_of(table) != NULL;
    bool is_table = relation->kind == RELATION_TABLE && !table->loaded.name.is_view;
    if (!is_table || (table->travel.kind != TRAVEL_NOW && !is_branch)) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" cannot be written: it is no table",
                           SLICE_ARGS(relation->name.name));
    }
    if (is_branch && ref_of(table)->is_tag) {
        return errinfo_set(info, ERR_INVALID, "42809",
                           "\"%.*s\" is a tag of table \"%.*s\", which is not written to",
                           SLICE_ARGS(table->travel.ref), SLICE_ARGS(table->loaded.name.name));
    }
    unsigned lacking = needed & ~resolve_writes(session->who, relation, &ret_resolved->effective);
    if (lacking != 0) {
        return may_not(relation, lacking, info);
    }
    return ERR_OK;
}

enum err dml_find(struct session *session, const struct sql_name *name, struct arena *arena,
                  struct resolved *ret_resolved, struct errinfo *info)
{
    TRY(find_table(session, name, 0, arena, ret_resolved, info));
    const struct relation *relation = ret_resolved->relation;
    if (!resolve_may_administer(session->who, relation)) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "permission denied to change table \"%.*s\"",
                          SLICE_ARGS(relation->name.name));
        errinfo_hint(info, "Who attached its catalog, and administrators, may.");
        return ERR_DENIED;
    }
    if (is_partial(ret_resolved)) {
        (void)errinfo_set(info, ERR_DENIED, NULL,
                          "table \"%.*s\" cannot be changed by somebody from whom some of it is "
                          "hidden",
                          SLICE_ARGS(relation->name.name));
        errinfo_hint(info, "Who changes it has SELECT on all rows and columns, and no masks.");
        return ERR_DENIED;
    }
    return ERR_OK;
}

enum err dml_columns(struct session *session, const struct sql_name *name, unsigned needed,
                     struct arena *arena, const struct relation_column **ret_columns,
                     size_t *ret_count, struct errinfo *info)
{
    struct resolved resolved;
    TRY(find_table(session, name, needed, arena, &resolved, info));
    struct relation_column *columns =
        arena_calloc(arena, resolved.effective.column_count + 1, sizeof(*columns));
    if (columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < resolved.effective.column_count; i++) {
        columns[i] = *resolved.effective.columns[i].column;
    }
    *ret_columns = columns;
    *ret_count = resolved.effective.column_count;
    return ERR_OK;
}

static unsigned right_of(const struct statement_merge *clause)
{
    switch (clause->action) {
    case MERGE_INSERT:
        return PRIVILEGE_INSERT;
    case MERGE_UPDATE:
        return PRIVILEGE_UPDATE;
    case MERGE_DELETE:
        return PRIVILEGE_DELETE;
    case MERGE_NOTHING:
        break;
    }
    return 0;
}

unsigned dml_rights(const struct statement *statement)
{
    unsigned rights = 0;
    if (statement->kind == STATEMENT_INSERT) {
        return statement->is_overwrite ? PRIVILEGE_INSERT | PRIVILEGE_DELETE : PRIVILEGE_INSERT;
    }
    if (statement->kind != STATEMENT_MERGE) { /* else DELETE or TRUNCATE */
        return statement->kind == STATEMENT_UPDATE ? PRIVILEGE_UPDATE : PRIVILEGE_DELETE;
    }
    for (size_t i = 0; i < statement->merge_count; i++) {
        rights |= right_of(&statement->merges[i]);
    }
    return rights;
}

enum err dml_open(struct query *query, const struct sql_name *name, unsigned needed,
                  bool replaces_all, struct dml *dml, struct errinfo *info)
{
    struct resolved resolved;
    *dml = (struct dml){.query = query, .info = info};
    pthread_mutex_init(&dml->lock, NULL);
    pthread_mutex_init(&dml->finishing, NULL);
    TRY(find_table(query->session, name, needed, query->arena, &resolved, info));
    const struct relation *relation = resolved.relation;
    dml->is_partial = is_partial(&resolved);
    dml->effective = resolved.effective;
    if (dml->is_partial && replaces_all) {
        return refuse_partial(relation, info);
    }
    const struct lake_table *table = relation->lake;
    dml->relation = relation;
    dml->attached = table->attached;
    dml->ns = table->loaded.name.ns;
    dml->name = table->loaded.name.name;
    dml->uuid = table->loaded.metadata.uuid;
    dml->io = table->io;
    TRY(open_catalog(dml, info));
    TRY(catalog_iceberg_borrow(&dml->catalog, query->session->who, dml->ns, dml->name, info));
    TRY(dml_use(dml, &table->loaded.metadata, info));
    if (table->travel.kind == TRAVEL_REF) {
        dml->branch = table->travel.ref;
        dml->head_id = table->snapshot == NULL ? ICEBERG_NO_ID : table->snapshot->id;
        dml->audit.snapshot_before = dml->head_id;
    }
    return ERR_OK;
}

enum err dml_open_new(struct query *query, const struct attached *attached,
                      const struct sql_name *name, struct dml *dml, struct errinfo *info)
{
    struct session *session = query->session;
    *dml = (struct dml){.query = query, .attached = attached, .name = name->name, .info = info};
    pthread_mutex_init(&dml->lock, NULL);
    pthread_mutex_init(&dml->finishing, NULL);
    dml->ns = name->schema.len > 0 ? name->schema : slice_of(session->default_schema);
    TRY(open_catalog(dml, info));
    return catalog_iceberg_io_of(&dml->catalog, session->who, NULL, query->arena, &dml->io, info);
}

enum err dml_use(struct dml *dml, const struct iceberg_metadata *metadata, struct errinfo *info)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(metadata, metadata->default_spec_id);
    dml->metadata = metadata;
    dml->head_id = metadata->current_snapshot_id;
    dml->write = (struct lake_write){.metadata = metadata,
                                     .schema = iceberg_metadata_current_schema(metadata),
                                     .spec = spec,
                                     .name = dml->name};
    TRY(lake_write_check(&dml->write, info));
    struct buf name CLEANUP(buf_fini) = {0};
    buf_append_slice(&name, dml->catalog.name);
    buf_append_char(&name, '.');
    buf_append_slice(&name, dml->ns);
    buf_append_char(&name, '.');
    buf_append_slice(&name, dml->name);
    dml->audit = (struct audit_write){.uuid = metadata->uuid,
                                      .snapshot_before = metadata->current_snapshot_id,
                                      .snapshot_after = ICEBERG_NO_ID};
    if (buf_failed(&name) || !arena_slice(dml->query->arena, buf_slice(&name), &dml->audit.name)) {
        return errinfo_nomem(info);
    }
    dml->query->write = &dml->audit;
    return iceberg_data_folder(metadata, dml->query->arena, &dml->data_folder, info);
}

/* ---- sinks ---- */

static enum err open_file(struct dml *dml, size_t index, struct dml_file **ret_file,
                          struct errinfo *info)
{
    struct query *query = dml->query;
    if (index >= dml->file_count) {
        size_t count = dml->file_count == 0 ? 16 : dml->file_count * 2;
        count = count > index ? count : index + 1;
        struct dml_file **grown = mem_realloc(dml->files, count * sizeof(struct dml_file *));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        memset(grown + dml->file_count, 0, (count - dml->file_count) * sizeof(struct dml_file *));
        dml->files = grown;
        dml->file_count = count;
    }
    struct dml_file *file = dml->files[index];
    if (file == NULL) {
        file = arena_calloc(query->arena, 1, sizeof(*file));
        char *path = arena_printf(query->arena, "%.*s/%05zu-%s.parquet", (int)dml->data_folder.len,
                                  dml->data_folder.ptr, index, query->id);
        if (file == NULL || path == NULL) {
            return errinfo_nomem(info);
        }
        file->location = slice_of(path);
        dml->files[index] = file;
        TRY(catalog_iceberg_file_open(&dml->catalog, query->session->who, file->location,
                                      &file->file, info));
    }
    *ret_file = file;
    return ERR_OK;
}

/* As soon as it is whole, so that a statement may write more files than can be open. One at a time:
 * the transaction's list of them has no lock. */
static enum err finish_file(struct dml *dml, struct dml_file *file, struct errinfo *info)
{
    pthread_mutex_lock(&dml->finishing);
    file->is_there = true; /* perhaps, after an error */
    enum err err = catalog_iceberg_file_finish(file->file, info);
    pthread_mutex_unlock(&dml->finishing);
    catalog_iceberg_file_close(TAKE(file->file));
    file->is_whole = err == ERR_OK;
    return err;
}

static enum err write_sink(void *context, size_t index, const void *bytes, size_t len,
                           struct errinfo *info)
{
    struct dml *dml = context;
    struct dml_file *file = NULL;
    pthread_mutex_lock(&dml->lock);
    enum err err = open_file(dml, index, &file, info);
    pthread_mutex_unlock(&dml->lock);
    TRY(err);
    if (file->file == NULL) { /* it failed before, or was whole */
        return errinfo_set(info, ERR_IO, NULL, "a data file could not be opened");
    }
    return len > 0 ? catalog_iceberg_file_append(file->file, (struct slice){bytes, len}, info)
                   : finish_file(dml, file, info);
}

/* ---- running ---- */

static enum err pull_results(struct dml *dml, struct errinfo *info)
{
    struct query *query = dml->query;
    struct ArrowSchema schema = {0};
    TRY(engine_query_schema(query->engine, &schema, info));
    enum err err = ERR_OK;
    for (bool is_done = false; err == ERR_OK && !is_done;) {
        struct ArrowArray batch = {0};
        err = query_check_cancelled(query, info);
        if (err == ERR_OK) {
            err = engine_query_next(query->engine, &batch, info);
        }
        is_done = batch.release == NULL;
        if (err == ERR_OK && !is_done) {
            err = lake_write_read(&dml->write, &schema, &batch, query->arena, &dml->written, info);
        }
        if (batch.release != NULL) {
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return err;
}

/* That a column which is hidden from the person lacks a value is nothing that they may be told. */
static void hide_column(const struct dml *dml, struct errinfo *info)
{
    const struct iceberg_type *root = &dml->write.schema->root;
    for (size_t i = 0; info != NULL && dml->is_partial && i < root->field_count; i++) {
        if (strcmp(info->sqlstate, "23502") == 0 && dml_is_hidden(dml, i)) {
            (void)errinfo_set(info, info->code, "23502",
                              "a row of table \"%.*s\" would lack a value", SLICE_ARGS(dml->name));
            return;
        }
    }
}

/* The COPY of a plan's rows into the sinks of an access. */
static enum err copy_rows(struct dml *dml, const struct access *access, const struct plan *plan,
                          struct errinfo *info)
{
    struct buf bound CLEANUP(buf_fini) = {0};
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    access_folder_uri(access, &uri);
    if (access_bind(access, plan->physical_sql, &bound) != ERR_OK || buf_failed(&uri)) {
        return errinfo_nomem(info);
    }
    TRY(lake_write_sql(&dml->write, buf_slice(&bound), buf_slice(&uri), &sql, info));
    TRY(query_engine_open(dml->query, buf_slice(&sql), info));
    enum err err = pull_results(dml, info);
    query_engine_close(dml->query);
    if (err != ERR_OK) {
        query_clean_error(dml->query, false, info);
        hide_column(dml, info);
    }
    return err;
}

static enum err run_plan(struct dml *dml, struct plan *plan, struct errinfo *info)
{
    struct query *query = dml->query;
    struct session *session = query->session;
    struct access_sinks sinks = {write_sink, SINKS_MAX, dml, NULL};
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(access_open_sinks(session->warehouse, session->who, plan, &sinks, &query->access, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    return copy_rows(dml, query->access, plan, info);
}

static enum err count_nans(struct dml *dml, struct errinfo *info)
{
    const struct session *session = dml->query->session;
    struct errinfo own;
    enum err err = lake_write_count_nans(&dml->write, session->warehouse->engine, session->who,
                                         &dml->io, &dml->written, dml->query->arena, &own);
    if (err != ERR_OK && info != NULL) {
        *info = own;
    }
    return err;
}

/* The files that have rows stay; an empty one is none. */
static enum err finish_files(struct dml *dml, struct errinfo *info)
{
    dml->added = arena_calloc(dml->query->arena, dml->written.count + 1, sizeof(*dml->added));
    if (dml->added == NULL) {
        return errinfo_nomem(info);
    }
    lake_write_note_order(&dml->write, &dml->written);
    for (size_t i = 0; i < dml->written.count; i++) {
        struct lake_written *written = &dml->written.files[i];
        struct dml_file *file = written->sink < dml->file_count ? dml->files[written->sink] : NULL;
        if (file == NULL || !file->is_whole) {
            return errinfo_set(info, ERR_INTERNAL, NULL,
                               "the engine says that it wrote a file which it did not");
        }
        file->has_rows = true;
        written->file.path = file->location;
        dml->rows += (uint64_t)written->file.record_count;
    }
    TRY(count_nans(dml, info));
    for (size_t i = 0; i < dml->written.count; i++) {
        dml->added[dml->added_count++] = dml->written.files[i].file;
    }
    return ERR_OK;
}

enum err dml_write(struct dml *dml, struct slice select, struct errinfo *info)
{
    struct query *query = dml->query;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    enum err err = plan_build(query->session, query, select, &plan, info);
    if (err != ERR_OK && info != NULL) {
        info->position = 0; /* the query alone was planned before: this is about the whole */
    }
    TRY(err);
    TRY(run_plan(dml, plan, info));
    return finish_files(dml, info);
}

enum err dml_check_plan(const struct dml *dml, const struct plan *plan, struct errinfo *info)
{
    bool is_as_read = false;
    for (size_t i = 0; i < plan->lake_count; i++) {
        const struct lake_origin *from = &plan->lakes[i].source->from;
        int64_t id = from->snapshot == NULL ? ICEBERG_NO_ID : from->snapshot->id;
        is_as_read =
            is_as_read || (slice_equal(from->metadata->uuid, dml->uuid) && id == dml->head_id);
    }
    return is_as_read ? ERR_OK
                      : errinfo_set(info, ERR_BUSY, "40001",
                                    "somebody else has changed table \"%.*s\" since it was read",
                                    SLICE_ARGS(dml->name));
}

static const struct lake_origin *read_from(const struct dml *dml, const struct plan *plan)
{
    for (size_t i = 0; i < plan->lake_count; i++) {
        const struct lake_origin *from = &plan->lakes[i].source->from;
        if (slice_equal(from->metadata->uuid, dml->uuid)) {
            return from;
        }
    }
    return NULL;
}

/* The table may have gone on since the statement read it, as long as that is no matter to it. */
static enum err check_rewritten(const struct dml *dml, const struct plan *plan,
                                struct errinfo *info)
{
    const struct lake_origin *from = read_from(dml, plan);
    if (from == NULL || from->snapshot == NULL || dml->reads_rows == NULL ||
        from->schema->id != dml->write.schema->id) {
        return dml_check_plan(dml, plan, info);
    }
    return dml_check_reads(dml, from->metadata, from->snapshot->id, false, info);
}

enum err dml_rewrite(struct dml *dml, struct slice select, struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct session *session = dml->query->session;
    session->raw_uuid = dml->uuid; /* whatever is granted or denied meanwhile: no row is lost */
    enum err err = plan_build_new(session, NULL, select, &plan, info);
    session->raw_uuid = (struct slice){"", 0};
    if (err != ERR_OK && info != NULL) {
        info->position = 0;
    }
    TRY(err);
    return dml_rewrite_plan(dml, plan, info);
}

enum err dml_rewrite_plan(struct dml *dml, const struct plan *plan, struct errinfo *info)
{
    struct session *session = dml->query->session;
    struct access_sinks sinks = {write_sink, SINKS_MAX, dml, dml->subset};
    TRY(dml->subset == NULL ? ERR_OK : check_rewritten(dml, plan, info));
    TRY(access_open_sinks(session->warehouse, session->who, plan, &sinks, &dml->rewriting, info));
    TRY(copy_rows(dml, dml->rewriting, plan, info));
    access_close(TAKE(dml->rewriting));
    return finish_files(dml, info);
}

static void close_file(struct dml *dml, struct dml_file *file)
{
    if (file == NULL) {
        return;
    }
    catalog_iceberg_file_close(file->file);
    bool is_needed = file->has_rows && (dml->is_committed || dml->is_unknown);
    if (file->is_there && !is_needed) {
        dml_discard(dml, file->location);
    }
}

void dml_close(struct dml *dml)
{
    /* The engine may still write: it is stopped before its sinks go. What was read is in `access`,
     * for the record of the end. */
    query_engine_close(dml->query);
    access_close(TAKE(dml->rewriting));
    for (size_t i = 0; i < dml->file_count; i++) {
        close_file(dml, dml->files[i]);
    }
    for (size_t i = 0; i < dml->delete_location_count && !dml->is_committed && !dml->is_unknown;
         i++) {
        dml_discard(dml, dml->delete_locations[i]);
    }
    dml_tell_orphans(dml);
    catalog_iceberg_return(&dml->catalog);
    mem_free(dml->files);
    pthread_mutex_destroy(&dml->lock);
    pthread_mutex_destroy(&dml->finishing);
}
