/* advise: which table needs which procedure, and why, by figures of its metadata. No data file is
 * read, and nothing is changed. */
#include "query/maintain/maintain_int.h"

#include <stdarg.h>

#include "base/clock.h"
#include "iceberg/inspect.h"
#include "query/dml/dml_int.h"
#include "sql/scan.h"

#define SMALL_FILES 5u                  /* as many are worth a rewriting (min_input_files) */
#define SMALL_SHARE 4u                  /* if they are a quarter of all */
#define DEAD_SHARE 10u                  /* rows that are gone but still read: a tenth */
#define MANIFESTS 20u                   /* as many are worth being merged */
#define MANIFEST_SHARE 8u               /* if they are an eighth of what they should be */
#define MANIFEST_BYTES INT64_C(8388608) /* commit.manifest.target-size-bytes */
#define OLD_SNAPSHOTS 10u
#define AGE_MS (INT64_C(5) * 24 * 3600 * 1000) /* history.expire.max-snapshot-age-ms */
#define ROWS_COUNTED 100000u /* from so many on sketches are worth their reading */

enum {
    TABLE,
    CATALOG
};

struct adviser {
    struct maintain *call;
    struct ddl *ddl;
    struct buf name; /* as CALL takes it */
    struct iceberg_totals totals;
    struct errinfo *info;
};

static int64_t property(const struct iceberg_metadata *metadata, const char *key, int64_t otherwise)
{
    int64_t value;
    return slice_to_i64(iceberg_metadata_property(metadata, key), &value) && value > 0 ? value
                                                                                       : otherwise;
}

/* CALL moat.<procedure>('<table>'<more>) because of what the rest says. */
PRINTF_LIKE(4, 5)
static enum err advise(struct adviser *a, const char *procedure, const char *more,
                       const char *format, ...)
{
    struct buf text CLEANUP(buf_fini) = {0};
    char reason[256];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(reason, sizeof(reason), format, arguments);
    va_end(arguments);
    buf_printf(&text, "CALL moat.%s(", procedure);
    sql_quote_string(&text, buf_slice(&a->name));
    buf_printf(&text, "%s)", more);
    maintain_text(a->call, "table_name", buf_slice(&a->name));
    maintain_text(a->call, "procedure", slice_of(procedure));
    maintain_text(a->call, "reason", slice_of(reason));
    maintain_text(a->call, "statement", buf_slice(&text));
    maintain_end_line(a->call);
    return buf_failed(&text) ? errinfo_nomem(a->info) : ERR_OK;
}

/* ---- files ---- */

static enum err look_at_data(struct adviser *a)
{
    const struct iceberg_totals *t = &a->totals;
    uint64_t gone = t->position_rows + t->vector_rows;
    if (t->equality_files > 0) {
        return advise(a, "rewrite_data_files", ", rewrite_all => true",
                      "%llu files of deletes by equality, which each scan joins with",
                      (unsigned long long)t->equality_files);
    }
    if (gone > 0 && gone >= t->data_rows / DEAD_SHARE) {
        return advise(a, "rewrite_data_files", ", delete_file_threshold => 1",
                      "%llu of %llu rows are deleted and still read", (unsigned long long)gone,
                      (unsigned long long)t->data_rows);
    }
    if (t->small_files >= SMALL_FILES && t->small_files >= t->data_files / SMALL_SHARE) {
        return advise(a, "rewrite_data_files", "",
                      "%llu of %llu data files are below %llu MiB; they have %llu KiB on average",
                      (unsigned long long)t->small_files, (unsigned long long)t->data_files,
                      (unsigned long long)(t->small_bytes >> 20),
                      (unsigned long long)(t->data_bytes / t->data_files >> 10));
    }
    return ERR_OK;
}

static enum err look_at_deletes(struct adviser *a)
{
    const struct iceberg_totals *t = &a->totals;
    if (t->position_files > 0 && a->ddl->metadata->format_version > 2) {
        return advise(a, "rewrite_position_delete_files", "",
                      "%llu files of deletes by position, which version 3 has as vectors",
                      (unsigned long long)t->position_files);
    }
    if (t->position_files > t->data_files) {
        return advise(a, "rewrite_position_delete_files", "",
                      "%llu files of deletes by position for %llu data files",
                      (unsigned long long)t->position_files, (unsigned long long)t->data_files);
    }
    return ERR_OK;
}

static enum err look_at_manifests(struct adviser *a)
{
    const struct iceberg_totals *t = &a->totals;
    int64_t target =
        property(a->ddl->metadata, "commit.manifest.target-size-bytes", MANIFEST_BYTES);
    bool are_small = t->manifests >= MANIFESTS &&
                     t->manifest_bytes / t->manifests < (uint64_t)target / MANIFEST_SHARE;
    return !are_small ? ERR_OK
                      : advise(a, "rewrite_manifests", "", "%llu manifests of %llu KiB on average",
                               (unsigned long long)t->manifests,
                               (unsigned long long)(t->manifest_bytes / t->manifests >> 10));
}

/* ---- the rest ---- */

static bool is_referenced(const struct iceberg_metadata *metadata, int64_t id)
{
    for (size_t i = 0; i < metadata->ref_count; i++) {
        if (metadata->refs[i].snapshot_id == id) {
            return true;
        }
    }
    return id == metadata->current_snapshot_id;
}

static enum err look_at_snapshots(struct adviser *a)
{
    const struct iceberg_metadata *metadata = a->ddl->metadata;
    int64_t now_ms = clock_wall_us() / 1000;
    int64_t age_ms = property(metadata, "history.expire.max-snapshot-age-ms", AGE_MS);
    int64_t kept = property(metadata, "history.expire.min-snapshots-to-keep", 1);
    int64_t oldest_ms = now_ms;
    size_t old = 0;
    for (size_t i = 0; i < metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = &metadata->snapshots[i];
        bool is_old = snapshot->timestamp_ms < now_ms - age_ms;
        old += is_old && !is_referenced(metadata, snapshot->id);
        oldest_ms = snapshot->timestamp_ms < oldest_ms ? snapshot->timestamp_ms : oldest_ms;
    }
    if (old < OLD_SNAPSHOTS || (int64_t)metadata->snapshot_count <= kept) {
        return ERR_OK;
    }
    return advise(a, "expire_snapshots", "",
                  "%zu of %zu snapshots are older than %lld hours, the first %lld days", old,
                  metadata->snapshot_count, (long long)(age_ms / 3600000),
                  (long long)((now_ms - oldest_ms) / 86400000));
}

static enum err look_at_statistics(struct adviser *a)
{
    const struct iceberg_metadata *metadata = a->ddl->metadata;
    if (a->totals.data_rows < ROWS_COUNTED || metadata->statistics_count > 0) {
        return ERR_OK;
    }
    return advise(a, "compute_statistics", "",
                  "%llu rows, and nobody counted the distinct values of their columns",
                  (unsigned long long)a->totals.data_rows);
}

static enum err look_at_version(struct adviser *a)
{
    return a->ddl->metadata->format_version > 1
               ? ERR_OK
               : advise(a, "migrate_format", ", format_version => 2",
                        "format version 1: each change of rows writes whole files anew");
}

static enum err look_at_table(struct adviser *a)
{
    const struct iceberg_metadata *metadata = a->ddl->metadata;
    const struct iceberg_snapshot *snapshot =
        iceberg_metadata_snapshot(metadata, metadata->current_snapshot_id);
    TRY(look_at_version(a));
    if (snapshot == NULL) {
        return ERR_OK;
    }
    TRY(iceberg_inspect(&a->ddl->io, metadata, snapshot, &a->totals, a->info));
    TRY(a->totals.data_files > 0 ? look_at_data(a) : ERR_OK);
    TRY(look_at_deletes(a));
    TRY(a->totals.manifests > 0 ? look_at_manifests(a) : ERR_OK);
    TRY(look_at_snapshots(a));
    return look_at_statistics(a);
}

/* ---- which tables ---- */

static enum err look_at(struct adviser *a, const struct sql_name *name)
{
    struct ddl ddl;
    a->ddl = &ddl;
    enum err err = ddl_open(a->call->query, name, &ddl, a->info);
    if (err == ERR_OK) {
        const struct sql_name found = {ddl.catalog.name, ddl.ns, ddl.name};
        buf_reset(&a->name);
        sql_print_name(&a->name, &found);
        err = buf_failed(&a->name) ? errinfo_nomem(a->info) : look_at_table(a);
    }
    ddl_close(&ddl);
    a->call->query->write = NULL; /* nothing is */
    return err;
}

/* Tables that are not theirs to change are no table that they are told of. */
static bool may_go_on(enum err err)
{
    return err != ERR_NOMEM && err != ERR_CANCELLED && err != ERR_TIMEOUT;
}

static enum err look_at_all(struct adviser *a, struct slice catalog_name)
{
    struct query *query = a->call->query;
    const struct sql_name wanted = {.catalog = catalog_name};
    const struct attached *attached;
    struct catalog_iceberg_name *names = NULL;
    size_t count = 0;
    TRY(ddl_target(query, &wanted, &attached, a->info));
    if (attached == NULL) {
        (void)errinfo_set(a->info, ERR_INVALID, "22023",
                          "moat.advise needs a table or an attached catalog");
        errinfo_hint(a->info, "CALL moat.advise('catalog.schema.table'), or CALL "
                              "moat.advise(catalog => 'name').");
        return ERR_INVALID;
    }
    struct catalog_iceberg catalog = attached->catalog;
    TRY(catalog_iceberg_names(&catalog, query->session->who, (struct slice){"", 0}, query->arena,
                              &names, &count, a->info));
    for (size_t i = 0; i < count; i++) {
        const struct sql_name name = {catalog.name, names[i].ns, names[i].name};
        enum err err = look_at(a, &name);
        if (err != ERR_OK && !may_go_on(err)) {
            return err;
        }
        TRY(query_check_cancelled(query, a->info));
    }
    return ERR_OK;
}

enum err maintain_advise(struct maintain *call, struct errinfo *info)
{
    struct adviser a = {.call = call, .info = info};
    const struct maintain_value *values = call->values;
    struct sql_name name;
    TRY(session_refuse_in_block(call->query->session, info));
    enum err err =
        values[TABLE].is_given ? maintain_name(call, values[TABLE].text, &name, info) : ERR_OK;
    if (err == ERR_OK) {
        err = values[TABLE].is_given
                  ? look_at(&a, &name)
                  : look_at_all(&a, values[CATALOG].is_given ? values[CATALOG].text
                                                             : (struct slice){"", 0});
    }
    buf_fini(&a.name);
    return err;
}
