/* Commits: updates applied to a table's metadata, which becomes the table's at one stroke.
 *
 * iceberg_local: a new document, then one row of SQLite is turned to it, if it still names the
 * document that was changed. iceberg_hadoop: the document is the next vN itself, which is made only
 * if there is none; the hint follows, and may lag. iceberg_hive, iceberg_glue: a new document, to
 * which the metastore turns the table (catalog_iceberg_metastore.c). iceberg_rest: the catalog does
 * it (catalog_iceberg_rest_write.c). */
#include "catalog/catalog_iceberg_block_int.h"
#include "catalog/catalog_iceberg_commit_int.h"

#include "base/hash.h"
#include "identity/identity.h"
#include "storage/output.h"

enum err catalog_iceberg_check_writable(const struct catalog_iceberg *catalog, struct errinfo *info)
{
    switch (catalog->kind) {
    case CATALOG_ICEBERG_LOCAL:
    case CATALOG_ICEBERG_HADOOP:
    case CATALOG_ICEBERG_REST:
    case CATALOG_ICEBERG_HIVE:
    case CATALOG_ICEBERG_GLUE:
        return ERR_OK;
    case CATALOG_ICEBERG_STATIC:
        break;
    }
    (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                      "tables of catalog \"%.*s\" are only read: commits to catalogs of type %s "
                      "are not there",
                      SLICE_ARGS(catalog->name), catalog_iceberg_kind_name(catalog->kind));
    errinfo_hint(info,
                 "Catalogs of type iceberg_rest, iceberg_hive, iceberg_glue, iceberg_local and "
                 "iceberg_hadoop can be written.");
    return ERR_UNSUPPORTED;
}

enum err iceberg_commit__conflict(const struct iceberg_commit *c)
{
    return errinfo_set(c->info, ERR_BUSY, "40001",
                       "somebody else has changed table \"%.*s\" since it was read",
                       SLICE_ARGS(c->change->name));
}

/* ---- the document ---- */

enum err iceberg_commit__read_base(struct iceberg_commit *c)
{
    struct iceberg_io io;
    struct buf bytes CLEANUP(buf_fini) = {0};
    const struct catalog_iceberg_name name = {.ns = c->change->ns, .name = c->change->name};
    TRY(catalog_iceberg_io_of(c->catalog, c->who, &name, c->arena, &io, c->info));
    TRY(io.read_all(io.context, c->base, 0, 0, &bytes, c->info));
    return iceberg_document_text(buf_slice(&bytes), c->arena, &c->document, c->info);
}

enum err iceberg_commit__apply(struct iceberg_commit *c)
{
    struct iceberg_update update = {.document = c->document,
                                    .location = c->base,
                                    .requirements = c->change->requirements,
                                    .updates = c->change->updates,
                                    .now_ms = c->change->now_ms};
    if (c->base.len > 0) {
        TRY(iceberg_commit__read_base(c));
        update.document = c->document;
    }
    return iceberg_update_apply(&update, &c->text, c->info);
}

static struct slice last_of(struct slice path)
{
    size_t start = path.len;
    while (start > 0 && path.ptr[start - 1] != '/') {
        start--;
    }
    return (struct slice){path.ptr + start, path.len - start};
}

/* The digits at the start of a name, or -1. */
static int64_t leading_number(struct slice name)
{
    int64_t number;
    size_t digits = 0;
    while (digits < name.len && name.ptr[digits] >= '0' && name.ptr[digits] <= '9') {
        digits++;
    }
    return slice_to_i64((struct slice){name.ptr, digits}, &number) ? number : -1;
}

/* "<metadata folder>/00012-<uuid>.metadata.json", as PyIceberg and Java count. */
enum err iceberg_commit__choose_location(struct iceberg_commit *c)
{
    char uuid[UUID_TEXT_BYTES];
    struct iceberg_metadata metadata;
    struct slice folder;
    int64_t version = c->base.len == 0 ? -1 : leading_number(last_of(c->base));
    if (uuid_new(uuid) != ERR_OK) {
        return errinfo_set(c->info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    TRY(iceberg_metadata_parse(buf_slice(&c->text), c->arena, &metadata, c->info));
    TRY(iceberg_metadata_folder(&metadata, c->arena, &folder, c->info));
    char *path = arena_printf(c->arena, "%.*s/%05lld-%s.metadata.json", (int)folder.len, folder.ptr,
                              (long long)(version + 1), uuid);
    if (path == NULL) {
        return errinfo_nomem(c->info);
    }
    c->location = slice_of(path);
    return ERR_OK;
}

/* ---- iceberg_local ---- */

static enum err find_row(struct iceberg_commit *c, struct iceberg_db *db)
{
    sqlite3_stmt *stmt CLEANUP(iceberg_db__finalize) = NULL;
    struct slice texts[] = {db->catalog_name, c->change->ns, c->change->name};
    TRY(iceberg_db__prepare(c->catalog, db,
                            "SELECT metadata_location FROM iceberg_tables WHERE catalog_name = ?1 "
                            "AND table_namespace = ?2 AND table_name = ?3",
                            texts, ARRAY_COUNT(texts), &stmt, c->info));
    int code = sqlite3_step(stmt);
    if (code == SQLITE_DONE) {
        return ERR_OK;
    }
    if (code != SQLITE_ROW) {
        return iceberg_db__error(c->catalog, code, "read", c->info);
    }
    const char *text = (const char *)sqlite3_column_text(stmt, 0);
    return text == NULL || arena_slice(c->arena, slice_of(text), &c->base) ? ERR_OK
                                                                           : errinfo_nomem(c->info);
}

static enum err find_base_local(struct iceberg_commit *c)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    TRY(iceberg_db__open(c->catalog, false, &db, c->info));
    TRY(find_row(c, &db));
    bool is_there = c->base.len > 0;
    if (c->change->creates && is_there) {
        return errinfo_set(c->info, ERR_EXISTS, "42P07",
                           "\"%.*s\" exists already in namespace \"%.*s\"",
                           SLICE_ARGS(c->change->name), SLICE_ARGS(c->change->ns));
    }
    return is_there || c->change->creates
               ? ERR_OK
               : errinfo_set(c->info, ERR_NOT_FOUND, "42P01", "table \"%.*s\" does not exist",
                             SLICE_ARGS(c->change->name));
}

static enum err turn_row(struct iceberg_commit *c, struct iceberg_db *db)
{
    struct slice texts[] = {db->catalog_name, c->change->ns, c->change->name, c->location, c->base};
    struct catalog_iceberg_name row = {
        .ns = c->change->ns, .name = c->change->name, .metadata_location = c->location};
    if (c->change->creates) {
        return iceberg_local__insert(c->catalog, db, &row, c->info);
    }
    TRY(iceberg_db__run(c->catalog, db,
                        "UPDATE iceberg_tables SET metadata_location = ?4, "
                        "previous_metadata_location = ?5 WHERE catalog_name = ?1 AND "
                        "table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?5",
                        texts, ARRAY_COUNT(texts), c->info));
    return sqlite3_changes(db->db) == 1 ? ERR_OK : iceberg_commit__conflict(c);
}

static enum err commit_local(struct iceberg_commit *c, bool *ret_is_unknown)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    TRY(find_base_local(c));
    TRY(iceberg_commit__apply(c));
    TRY(iceberg_commit__choose_location(c));
    enum err err = c->output.create(c->output.context, c->location, buf_slice(&c->text), c->info);
    if (err == ERR_OK) {
        err = iceberg_db__open(c->catalog, true, &db, c->info);
    }
    if (err == ERR_OK) {
        err = turn_row(c, &db);
    }
    if (err == ERR_OK) {
        err = iceberg_db__run(c->catalog, &db, "COMMIT", NULL, 0, c->info);
        *ret_is_unknown = *ret_is_unknown || err != ERR_OK;
        return err;
    }
    struct errinfo ignored;
    (void)c->output.remove(c->output.context, c->location, &ignored);
    return err;
}

/* ---- a transaction of iceberg_local ---- */

/* What an effect needs to have before the file is locked: the document as it is, and its next. */
static enum err prepare(struct iceberg_commit *c, const struct iceberg_effect *effect)
{
    struct iceberg_metadata metadata;
    struct iceberg_view view;
    if (effect->born == 0) {
        TRY(find_base_local(c));
        TRY(iceberg_commit__read_base(c));
    }
    if (effect->born == 0 && effect->uuid.len > 0) {
        TRY(effect->is_view ? iceberg_view_parse(c->document, c->arena, &view, c->info)
                            : iceberg_metadata_parse(c->document, c->arena, &metadata, c->info));
        if (!slice_equal(effect->is_view ? view.uuid : metadata.uuid, effect->uuid)) {
            return iceberg_commit__conflict(c);
        }
    }
    if (effect->is_dropped || !effect->is_changed) {
        return ERR_OK;
    }
    if (effect->is_view) {
        char uuid[UUID_TEXT_BYTES];
        TRY(iceberg_view_parse(effect->document, c->arena, &view, c->info));
        char *path = uuid_new(uuid) != ERR_OK
                         ? NULL
                         : arena_printf(c->arena, "%.*s/metadata/%05d-%s.metadata.json",
                                        (int)view.location.len, view.location.ptr,
                                        view.current_version_id, uuid);
        buf_append_slice(&c->text, effect->document);
        c->location = slice_of(path == NULL ? "" : path);
        TRY(path == NULL || buf_failed(&c->text) ? errinfo_nomem(c->info) : ERR_OK);
    } else {
        TRY(iceberg_commit__apply(c));
        TRY(iceberg_commit__choose_location(c));
    }
    struct slice location = c->location;
    c->location = (struct slice){0};
    TRY(c->output.create(c->output.context, location, buf_slice(&c->text), c->info));
    c->location = location; /* to be removed if it comes to nothing */
    return ERR_OK;
}

/* `sql` about the row of ?3 as it was found: ?4 its document, ?5 a text. */
static enum err change_row(struct iceberg_commit *c, struct iceberg_db *db, const char *sql,
                           struct slice name, struct slice text)
{
    struct slice texts[] = {db->catalog_name, c->change->ns, name, c->base, text};
    TRY(iceberg_db__run(c->catalog, db, sql, texts, ARRAY_COUNT(texts), c->info));
    return sqlite3_changes(db->db) == 1 ? ERR_OK : iceberg_commit__conflict(c);
}

#define OF_ROW                                                                                     \
    " WHERE catalog_name = ?1 AND table_namespace = ?2 AND table_name = ?3 AND "                   \
    "metadata_location = ?4"

/* Old names first: what is dropped goes, what moves stands aside. */
static enum err leave_name(struct iceberg_commit *c, struct iceberg_db *db,
                           const struct iceberg_effect *effect, struct slice aside)
{
    if (effect->born > 0) {
        return ERR_OK;
    }
    if (effect->is_dropped) {
        return change_row(c, db, "DELETE FROM iceberg_tables" OF_ROW " AND ?5 IS NULL",
                          effect->name, (struct slice){0});
    }
    return change_row(c, db, "UPDATE iceberg_tables SET table_name = ?5" OF_ROW, effect->name,
                      slice_equal(effect->final, effect->name) ? effect->name : aside);
}

static enum err take_name(struct iceberg_commit *c, struct iceberg_db *db,
                          const struct iceberg_effect *effect, struct slice aside)
{
    struct catalog_iceberg_name row = {.ns = effect->ns,
                                       .name = effect->final,
                                       .is_view = effect->is_view,
                                       .metadata_location = c->location};
    bool exists = false;
    struct slice texts[] = {db->catalog_name, effect->ns, effect->final};
    if (effect->is_dropped) {
        return ERR_OK;
    }
    if (effect->born > 0) {
        return iceberg_local__insert(c->catalog, db, &row, c->info);
    }
    if (!slice_equal(effect->final, effect->name)) {
        TRY(iceberg_db__has(c->catalog, db,
                            "SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 AND "
                            "table_namespace = ?2 AND table_name = ?3",
                            texts, ARRAY_COUNT(texts), &exists, c->info));
        TRY(exists ? iceberg_commit__conflict(c) : ERR_OK);
        TRY(change_row(c, db, "UPDATE iceberg_tables SET table_name = ?5" OF_ROW, aside,
                       effect->final));
    }
    return !effect->is_changed ? ERR_OK
                               : change_row(c, db,
                                            "UPDATE iceberg_tables SET metadata_location = ?5, "
                                            "previous_metadata_location = ?4" OF_ROW,
                                            effect->final, c->location);
}

static enum err turn_rows(struct iceberg_commit *commits, struct iceberg_db *db,
                          const struct iceberg_effect *effects, size_t count)
{
    for (int phase = 0; phase < 2; phase++) {
        for (size_t i = 0; i < count; i++) {
            /* No table is called so: names have no control characters. */
            char *aside = arena_printf(commits[i].arena, "\x01%zu", i);
            if (aside == NULL) {
                return errinfo_nomem(commits[i].info);
            }
            TRY(phase == 0 ? leave_name(&commits[i], db, &effects[i], slice_of(aside))
                           : take_name(&commits[i], db, &effects[i], slice_of(aside)));
        }
    }
    return ERR_OK;
}

static enum err commit_rows(struct iceberg_commit *commits, const struct iceberg_effect *effects,
                            size_t count, bool *ret_is_unknown)
{
    struct iceberg_db db CLEANUP(iceberg_db__close) = {0};
    for (size_t i = 0; i < count; i++) {
        TRY(prepare(&commits[i], &effects[i]));
    }
    TRY(iceberg_db__open(commits[0].catalog, true, &db, commits[0].info));
    TRY(turn_rows(commits, &db, effects, count));
    enum err err = iceberg_db__run(commits[0].catalog, &db, "COMMIT", NULL, 0, commits[0].info);
    *ret_is_unknown = *ret_is_unknown || err != ERR_OK;
    return err;
}

enum err iceberg_local__commit_all(const struct catalog_iceberg *catalog,
                                   const struct identity *who, const struct iceberg_effect *effects,
                                   size_t count, bool *ret_is_unknown, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "lake rows", 0);
    struct iceberg_commit *commits =
        arena == NULL ? NULL : arena_calloc(arena, count, sizeof(*commits));
    struct catalog_iceberg_change *changes =
        arena == NULL ? NULL : arena_calloc(arena, count, sizeof(*changes));
    struct iceberg_output output;
    bool is_unknown = false;
    if (commits == NULL || changes == NULL) {
        return errinfo_nomem(info);
    }
    TRY(catalog_iceberg_output(catalog, who, arena, &output, info));
    for (size_t i = 0; i < count; i++) {
        changes[i] = (struct catalog_iceberg_change){.ns = effects[i].ns,
                                                     .name = effects[i].name,
                                                     .requirements = effects[i].requirements,
                                                     .updates = effects[i].updates,
                                                     .creates = effects[i].born > 0,
                                                     .now_ms = effects[i].now_ms};
        commits[i] = (struct iceberg_commit){.catalog = catalog,
                                             .who = who,
                                             .change = &changes[i],
                                             .arena = arena,
                                             .output = output,
                                             .info = info};
    }
    enum err err = commit_rows(commits, effects, count, &is_unknown);
    for (size_t i = 0; i < count; i++) {
        struct errinfo ignored;
        bool is_left = err != ERR_OK && !is_unknown && commits[i].location.len > 0;
        if (is_left) {
            (void)output.remove(output.context, commits[i].location, &ignored);
        }
        buf_fini(&commits[i].text);
    }
    *ret_is_unknown = *ret_is_unknown || is_unknown;
    return err;
}

/* ---- iceberg_hadoop ---- */

/* The next version of "v12.metadata.json"; 1 for a new table. */
static enum err next_version(struct iceberg_commit *c, int64_t *ret_version)
{
    struct slice name = last_of(c->base);
    *ret_version = 1;
    if (c->base.len == 0) {
        return ERR_OK;
    }
    int64_t version = name.len > 0 && name.ptr[0] == 'v'
                          ? leading_number((struct slice){name.ptr + 1, name.len - 1})
                          : -1;
    if (version < 0) {
        (void)errinfo_set(c->info, ERR_UNSUPPORTED, NULL,
                          "table \"%.*s\" belongs to another catalog, which alone can commit to it",
                          SLICE_ARGS(c->change->name));
        errinfo_hint(c->info, "Attach that catalog. A warehouse folder's own tables have files "
                              "called vN.metadata.json.");
        return ERR_UNSUPPORTED;
    }
    *ret_version = version + 1;
    return ERR_OK;
}

static enum err write_hint(struct iceberg_commit *c, struct slice folder, int64_t version,
                           struct errinfo *info)
{
    struct storage_output *output CLEANUP(storage_output_cleanup) = NULL;
    bool is_outside = false;
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld", (long long)version);
    char *path =
        arena_printf(c->arena, "%.*s/metadata/version-hint.text", (int)folder.len, folder.ptr);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    TRY(storage_output_open(c->who, slice_of(path), c->catalog->folders, c->catalog->folder_count,
                            &output, &is_outside, info));
    TRY(storage_output_append(output, (struct slice){text, (size_t)len}, info));
    return storage_output_finish(output, true, info);
}

static enum err find_base_hadoop(struct iceberg_commit *c, struct slice folder)
{
    enum err err = iceberg_hadoop__current(c->who, folder, c->arena, &c->base, c->info);
    if (err == ERR_NOT_FOUND && c->change->creates) {
        c->base = (struct slice){NULL, 0};
        return ERR_OK;
    }
    if (err == ERR_OK && c->change->creates) {
        return errinfo_set(c->info, ERR_EXISTS, "42P07", "table \"%.*s\" exists already",
                           SLICE_ARGS(c->change->name));
    }
    return err;
}

static enum err commit_hadoop(struct iceberg_commit *c, bool *ret_is_unknown)
{
    struct slice folder;
    int64_t version = 0;
    TRY(iceberg_hadoop__folder(c->catalog, c->change->ns, c->change->name, c->arena, &folder,
                               c->info));
    TRY(find_base_hadoop(c, folder));
    TRY(iceberg_commit__apply(c));
    TRY(next_version(c, &version));
    char *path = arena_printf(c->arena, "%.*s/metadata/v%lld.metadata.json", (int)folder.len,
                              folder.ptr, (long long)version);
    if (path == NULL) {
        return errinfo_nomem(c->info);
    }
    c->location = slice_of(path);
    enum err err = c->output.create(c->output.context, c->location, buf_slice(&c->text), c->info);
    if (err == ERR_EXISTS) {
        return iceberg_commit__conflict(c);
    }
    *ret_is_unknown = *ret_is_unknown || err == ERR_IO;
    TRY(err);
    /* Whoever reads looks for later versions too: a hint that lags does no harm. */
    struct errinfo ignored;
    enum err hint = write_hint(c, folder, version, &ignored);
    (void)hint;
    return ERR_OK;
}

/* ---- documents that the log forgets ---- */

static bool is_wanted(const struct iceberg_metadata *metadata, const char *property, bool otherwise)
{
    struct slice text = iceberg_metadata_property(metadata, property);
    return text.len == 0 ? otherwise : slice_equal_fold(text, SLICE("true"));
}

static bool has_in_log(const struct iceberg_metadata *metadata, struct slice file)
{
    bool is_found = false;
    for (size_t i = 0; i < metadata->metadata_log_count && !is_found; i++) {
        is_found = slice_equal(metadata->metadata_log[i].file, file);
    }
    return is_found;
}

/* After the commit: whoever still reads by such a document has opened it. What cannot be removed
 * is an orphan. */
static void remove_forgotten(struct iceberg_commit *c)
{
    struct iceberg_metadata now;
    struct iceberg_metadata before;
    struct errinfo ignored;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(c->arena, "metadata log", 0);
    struct slice property = SLICE("write.metadata.delete-after-commit.enabled");
    if (arena == NULL || c->document.len == 0 ||
        slice_find(buf_slice(&c->text), property) == SIZE_MAX ||
        iceberg_metadata_parse(buf_slice(&c->text), arena, &now, &ignored) != ERR_OK ||
        !is_wanted(&now, "write.metadata.delete-after-commit.enabled", false) ||
        !is_wanted(&now, "gc.enabled", true) ||
        iceberg_metadata_parse(c->document, arena, &before, &ignored) != ERR_OK) {
        return;
    }
    for (size_t i = 0; i < before.metadata_log_count; i++) {
        struct slice file = before.metadata_log[i].file;
        if (!has_in_log(&now, file) && !slice_equal(file, c->location)) {
            enum err err = c->output.remove(c->output.context, file, &ignored);
            (void)err;
        }
    }
}

/* ---- all ---- */

/* What is not written with what the statement has borrowed (ALTER, a transaction's end) still needs
 * something to write the document with, where it lies elsewhere. */
static enum err lend(const struct iceberg_commit *c, struct catalog_iceberg *own)
{
    const struct catalog_iceberg_change *change = c->change;
    bool is_lent = own->lent != NULL || own->remote.sts_uri.len == 0;
    if (!catalog_iceberg_is_metastore(own) || is_lent) {
        return ERR_OK;
    }
    return change->creates ? iceberg_metastore__stage(own, c->who, change->ns, change->name,
                                                      change->updates, c->info)
                           : catalog_iceberg_borrow(own, c->who, change->ns, change->name, c->info);
}

static enum err put_document(struct iceberg_commit *c, bool *ret_is_unknown)
{
    TRY(catalog_iceberg_output(c->catalog, c->who, c->arena, &c->output, c->info));
    return c->catalog->kind == CATALOG_ICEBERG_LOCAL  ? commit_local(c, ret_is_unknown)
           : catalog_iceberg_is_metastore(c->catalog) ? iceberg_metastore__commit(c, ret_is_unknown)
                                                      : commit_hadoop(c, ret_is_unknown);
}

static enum err commit_document(struct iceberg_commit *c, struct slice *ret_metadata_location,
                                bool *ret_is_unknown)
{
    struct catalog_iceberg own = *c->catalog;
    bool is_borrowed = own.lent == NULL;
    TRY(lend(c, &own));
    c->catalog = &own;
    enum err err = put_document(c, ret_is_unknown);
    if (err == ERR_OK) {
        remove_forgotten(c);
        *ret_metadata_location = c->location;
    }
    if (is_borrowed) {
        catalog_iceberg_return(&own);
    }
    buf_fini(&c->text);
    return err;
}

enum err catalog_iceberg_commit(const struct catalog_iceberg *catalog, const struct identity *who,
                                const struct catalog_iceberg_change *change, struct arena *arena,
                                struct slice *ret_metadata_location, bool *ret_is_unknown,
                                struct errinfo *info)
{
    struct iceberg_commit c = {
        .catalog = catalog, .who = who, .change = change, .arena = arena, .info = info};
    TRY(catalog_iceberg_check_writable(catalog, info));
    TRY(iceberg_catalog__check_name(change->name, false, info));
    if (catalog->block != NULL) {
        return iceberg_block__add(catalog, who, change, arena, ret_metadata_location, info);
    }
    if (catalog->kind == CATALOG_ICEBERG_REST) {
        return iceberg_rest__commit(catalog, who, change, arena, ret_metadata_location,
                                    ret_is_unknown, info);
    }
    return commit_document(&c, ret_metadata_location, ret_is_unknown);
}

enum err iceberg_catalog__document(const struct catalog_iceberg *catalog,
                                   const struct identity *who, struct slice ns, struct slice name,
                                   struct arena *arena, struct slice *ret_location,
                                   struct slice *ret_document, struct errinfo *info)
{
    const struct catalog_iceberg_change none = {.ns = ns, .name = name};
    struct iceberg_commit c = {
        .catalog = catalog, .who = who, .change = &none, .arena = arena, .info = info};
    struct slice folder;
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__document(catalog, who, ns, name, arena, ret_location, ret_document,
                                      info);
    }
    if (catalog->kind == CATALOG_ICEBERG_LOCAL) {
        TRY(find_base_local(&c));
    } else {
        TRY(iceberg_hadoop__folder(catalog, ns, name, arena, &folder, info));
        TRY(find_base_hadoop(&c, folder));
    }
    TRY(iceberg_commit__read_base(&c));
    *ret_location = c.base;
    *ret_document = c.document;
    return ERR_OK;
}

static enum err find_warehouse(const struct catalog_iceberg *catalog, struct arena *arena,
                               struct slice *ret_folder, struct errinfo *info)
{
    if (catalog->warehouse.len > 0) {
        *ret_folder = catalog->warehouse;
        return ERR_OK;
    }
    size_t len = catalog->location.len - last_of(catalog->location).len;
    char *path = arena_printf(arena, "%.*swarehouse", (int)len, catalog->location.ptr);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    *ret_folder = slice_of(path);
    return ERR_OK;
}

/* "<namespace's location>/<table>", else "<warehouse>/<a>/<b>/<table>". */
static enum err local_location(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct slice name, struct arena *arena,
                               struct slice *ret_location, struct errinfo *info)
{
    struct iceberg_property *properties = NULL;
    size_t count = 0;
    struct slice folder;
    TRY(catalog_iceberg_properties(catalog, who, ns, arena, &properties, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(properties[i].key, SLICE("location")) && properties[i].value.len > 0) {
            char *path = arena_printf(arena, "%.*s/%.*s", (int)properties[i].value.len,
                                      properties[i].value.ptr, (int)name.len, name.ptr);
            *ret_location = slice_of(path == NULL ? "" : path);
            return path == NULL ? errinfo_nomem(info) : ERR_OK;
        }
    }
    if (catalog_iceberg_is_metastore(catalog)) {
        return iceberg_metastore__location(catalog, ns, name, arena, ret_location, info);
    }
    TRY(find_warehouse(catalog, arena, &folder, info));
    struct catalog_iceberg below = *catalog;
    below.location = folder;
    return iceberg_hadoop__folder(&below, ns, name, arena, ret_location, info);
}

enum err catalog_iceberg_new_location(const struct catalog_iceberg *catalog,
                                      const struct identity *who, struct slice ns,
                                      struct slice name, struct arena *arena,
                                      struct slice *ret_location, struct errinfo *info)
{
    TRY(catalog_iceberg_check_writable(catalog, info));
    TRY(iceberg_catalog__check_name(name, false, info));
    if (catalog->kind == CATALOG_ICEBERG_REST) {
        *ret_location = (struct slice){0};
        return ERR_OK;
    }
    return catalog->kind != CATALOG_ICEBERG_HADOOP
               ? local_location(catalog, who, ns, name, arena, ret_location, info)
               : iceberg_hadoop__folder(catalog, ns, name, arena, ret_location, info);
}
