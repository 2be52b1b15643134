/* remove_orphan_files: what lies in a table's folder and nothing refers to. Files are listed first
 * and references read after, so that a commit in between is seen; and none goes that is younger
 * than a writer may take from its first file to its commit. */
#include "query/maintain/maintain_int.h"

#include "base/clock.h"
#include "iceberg/reach.h"
#include "storage/storage.h"

#define AGE_MS_DEFAULT (INT64_C(3) * 24 * 3600 * 1000)
#define FILES_MAX 10000000u

enum {
    TABLE,
    OLDER_THAN
};

struct orphans {
    struct maintain *call;
    int64_t older_than_ms;
    struct slice folder; /* as storage lists it */
    struct storage_entry *entries;
    size_t entry_count;
    struct iceberg_names *names;
    struct errinfo *info;
};

static enum err read_age(struct orphans *o)
{
    int64_t now_ms = clock_wall_us() / 1000;
    const struct config *config = o->call->query->session->config;
    int64_t least_ms = config_duration_ms(config, CONFIG_CATALOG_ORPHAN_AGE);
    int64_t default_ms = least_ms > AGE_MS_DEFAULT ? least_ms : AGE_MS_DEFAULT;
    const struct maintain_value *given = &o->call->values[OLDER_THAN];
    o->older_than_ms = given->is_given ? given->number : now_ms - default_ms;
    if (o->older_than_ms <= now_ms - least_ms) {
        return ERR_OK;
    }
    (void)errinfo_set(o->info, ERR_INVALID, "22023",
                      "\"older_than\" is too late: a file may belong to somebody who is still "
                      "writing");
    errinfo_hint(o->info, "Files stay for %lld hours at least (catalog.orphan_age).",
                 (long long)(least_ms / 3600000));
    return ERR_INVALID;
}

static enum err check_folder(struct orphans *o)
{
    const struct catalog_iceberg *catalog = &o->call->ddl.catalog;
    struct slice location = o->call->ddl.metadata->location;
    TRY(catalog_iceberg_path(location, &o->folder, o->info));
    o->folder = maintain_without_slash(o->folder);
    if (!arena_slice(o->call->query->arena, o->folder, &o->folder)) { /* outlives a reload */
        return errinfo_nomem(o->info);
    }
    bool is_inside = catalog->folder_count == 0;
    for (size_t i = 0; i < catalog->folder_count; i++) {
        is_inside = is_inside || maintain_is_inside(o->folder, catalog->folders[i]);
    }
    if (!is_inside) {
        return errinfo_set(o->info, ERR_DENIED, NULL,
                           "the folder of table \"%.*s\" is not in the folders of its catalog",
                           SLICE_ARGS(o->call->ddl.name));
    }
    for (size_t i = 0; i < o->folder.len; i++) {
        if (strchr("*?[", o->folder.ptr[i]) != NULL || o->folder.ptr[i] == '\0') {
            return errinfo_set(o->info, ERR_UNSUPPORTED, NULL,
                               "the folder of table \"%.*s\" has a wildcard in its name",
                               SLICE_ARGS(o->call->ddl.name));
        }
    }
    return ERR_OK;
}

static enum err list_files(struct orphans *o)
{
    struct query *query = o->call->query;
    char *pattern = arena_printf(query->arena, "%.*s/**/*", SLICE_ARGS(o->folder));
    if (pattern == NULL) {
        return errinfo_nomem(o->info);
    }
    enum err err = storage_list(query->session->who, slice_of(pattern), FILES_MAX, query->arena,
                                &o->entries, &o->entry_count, o->info);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static enum err add_references(struct orphans *o)
{
    struct ddl *ddl = &o->call->ddl;
    TRY(ddl_reload(ddl, o->info));
    TRY(iceberg_names_add(o->names, ddl->location, o->info));
    TRY(iceberg_names_add(o->names, SLICE("version-hint.text"), o->info));
    TRY(iceberg_names_add_table(o->names, &ddl->io, ddl->metadata, o->info));
    return maintain_add_others(ddl, o->folder, o->names, o->info);
}

/* ---- removal ---- */

static bool ends_with(struct slice text, struct slice end)
{
    return text.len >= end.len && memcmp(text.ptr + text.len - end.len, end.ptr, end.len) == 0;
}

/* A folder of tables finds its newest document by counting up: no link of that chain goes. */
static bool is_kept(const struct orphans *o, struct slice location)
{
    return iceberg_names_have(o->names, location) ||
           (o->call->ddl.catalog.kind == CATALOG_ICEBERG_HADOOP &&
            (ends_with(location, SLICE(".metadata.json")) ||
             ends_with(location, SLICE(".metadata.json.gz")) ||
             ends_with(location, SLICE(".gz.metadata.json"))));
}

static enum err is_old(struct orphans *o, const struct storage_entry *entry, bool *ret_is_old)
{
    struct storage_object *object CLEANUP(storage_cleanup) = NULL;
    struct errinfo ignored;
    *ret_is_old = false;
    enum err err = storage_open(o->call->query->session->who, entry, &object, &ignored);
    if (err != ERR_OK) { /* it is being written, or gone */
        return err == ERR_NOMEM ? errinfo_nomem(o->info) : ERR_OK;
    }
    *ret_is_old = storage_modified_us(object) / 1000 < o->older_than_ms;
    return ERR_OK;
}

static enum err remove_one(struct orphans *o, const struct storage_entry *entry)
{
    const struct iceberg_output *output = &o->call->ddl.output;
    bool is_due = false;
    struct errinfo ignored;
    if (is_kept(o, entry->location) || !maintain_is_inside(entry->location, o->folder)) {
        return ERR_OK;
    }
    TRY(is_old(o, entry, &is_due));
    TRY(query_check_cancelled(o->call->query, o->info));
    if (!is_due || (!o->call->is_dry_run &&
                    output->remove(output->context, entry->location, &ignored) != ERR_OK)) {
        return ERR_OK;
    }
    o->call->ddl.audit.files++;
    maintain_text(o->call, "orphan_file_location", entry->location);
    maintain_end_line(o->call);
    return ERR_OK;
}

static enum err remove_orphans(struct orphans *o)
{
    TRY(read_age(o));
    TRY(check_folder(o));
    TRY(list_files(o));
    TRY(add_references(o));
    for (size_t i = 0; i < o->entry_count; i++) {
        query_note_step(o->call->query, i, o->entry_count);
        TRY(remove_one(o, &o->entries[i]));
    }
    return ERR_OK;
}

enum err maintain_remove_orphan_files(struct maintain *call, struct errinfo *info)
{
    struct orphans o = {.call = call, .info = info};
    if (slice_equal_fold(iceberg_metadata_property(call->ddl.metadata, "gc.enabled"),
                         SLICE("false"))) {
        return errinfo_set(info, ERR_INVALID, "55000",
                           "files of table \"%.*s\" are not removed: its property gc.enabled is "
                           "false",
                           SLICE_ARGS(call->ddl.name));
    }
    TRY(iceberg_names_open(&o.names, info));
    enum err err = remove_orphans(&o);
    iceberg_names_close(o.names);
    return err;
}
