/* Validation: the frame, the metadata document, statistics files. */
#include "iceberg/inspect_int.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/hash.h"
#include "iceberg/deletes.h"

#define SKEW_MS 60000 /* of clocks of two writers, as the reference implementation allows */
#define PUFFIN_TAIL_BYTES (64u * 1024)

/* ---- sets of paths ---- */

static struct path_slot *probe(struct path_slot *slots, size_t capacity, struct slice path)
{
    size_t at = (size_t)hash_xx64(path, 0) & (capacity - 1);
    while (slots[at].path.ptr != NULL && !slice_equal(slots[at].path, path)) {
        at = (at + 1) & (capacity - 1);
    }
    return &slots[at];
}

static enum err grow(struct path_set *set, struct errinfo *info)
{
    size_t capacity = set->capacity == 0 ? 256 : set->capacity * 2;
    struct path_slot *slots = arena_calloc(set->arena, capacity, sizeof(*slots));
    if (slots == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < set->capacity; i++) {
        if (set->slots[i].path.ptr != NULL) {
            *probe(slots, capacity, set->slots[i].path) = set->slots[i];
        }
    }
    set->slots = slots;
    set->capacity = capacity;
    return ERR_OK;
}

enum err path_set_put(struct path_set *set, struct slice path, bool *ret_is_new,
                      struct path_slot **ret_slot, struct errinfo *info)
{
    if ((set->count + 1) * 2 > set->capacity) {
        TRY(grow(set, info));
    }
    struct path_slot *slot = probe(set->slots, set->capacity, path);
    bool is_new = slot->path.ptr == NULL;
    if (is_new) {
        struct slice copy;
        if (!arena_slice(set->arena, path, &copy)) {
            return errinfo_nomem(info);
        }
        *slot = (struct path_slot){.path = copy};
        set->count++;
    }
    *ret_is_new = is_new;
    *ret_slot = slot;
    return ERR_OK;
}

const struct path_slot *path_set_find(const struct path_set *set, struct slice path)
{
    const struct path_slot *slot =
        set->capacity == 0 ? NULL : probe(set->slots, set->capacity, path);
    return slot == NULL || slot->path.ptr == NULL ? NULL : slot;
}

/* ---- findings ---- */

void validation_report(struct validation *v, enum iceberg_severity severity, const char *check,
                       struct slice where, const char *format, ...)
{
    char message[ERRINFO_MESSAGE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    v->counts.problems += severity == ICEBERG_PROBLEM ? 1 : 0;
    v->counts.warnings += severity == ICEBERG_WARNING ? 1 : 0;
    const struct iceberg_finding finding = {severity, check, where, message};
    v->options->report(v->options->context, &finding);
}

bool validation_is_fatal(enum err err)
{
    return err == ERR_NOMEM || err == ERR_DENIED || err == ERR_CANCELLED;
}

enum err validation_file(struct validation *v, struct slice path, int64_t size_bytes,
                         bool *ret_exists)
{
    struct path_slot *slot = NULL;
    bool is_new = false;
    uint64_t size = 0;
    TRY(path_set_put(&v->files, path, &is_new, &slot, v->info));
    if (!is_new) {
        *ret_exists = slot->value != 0;
        return ERR_OK;
    }
    struct errinfo inner;
    errinfo_init(&inner);
    enum err err = v->io->size(v->io->context, path, &size, &inner);
    if (validation_is_fatal(err)) {
        *v->info = inner;
        return err;
    }
    slot->value = err == ERR_OK ? 1 : 0;
    v->counts.files++;
    EXPECT(v, err == ERR_OK, ICEBERG_PROBLEM, "file-missing", path, "%s", inner.message);
    if (err == ERR_OK && size_bytes != ICEBERG_NO_ID) {
        EXPECT(v, size == (uint64_t)size_bytes, ICEBERG_PROBLEM, "file-size", path,
               "has %llu bytes, not %lld as metadata says", (unsigned long long)size,
               (long long)size_bytes);
    }
    *ret_exists = err == ERR_OK;
    return ERR_OK;
}

/* ---- the metadata document ---- */

static void check_schemas(struct validation *v)
{
    const struct iceberg_metadata *m = v->metadata;
    for (size_t i = 0; i < m->schema_count; i++) {
        int32_t most = iceberg_schema_id_max(&m->schemas[i]);
        EXPECT(v, most <= m->last_column_id, ICEBERG_PROBLEM, "column-ids",
               SLICE("$.last-column-id"), "is %d, but schema %d has a field with id %d",
               m->last_column_id, m->schemas[i].id, most);
    }
}

/* A field id keeps its meaning: every older form promotes to the newer. Replacing a table breaks
 * this on purpose; then only time travel reads the older files, with their own schema. */
static void check_evolution(struct validation *v, const struct iceberg_type *type,
                            const struct iceberg_schema *newer)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        const struct iceberg_field *later = iceberg_schema_find_id(newer, field->id, NULL);
        if (later != NULL) {
            struct buf from CLEANUP(buf_fini) = {0};
            struct buf to CLEANUP(buf_fini) = {0};
            iceberg_type_print(&field->type, &from);
            iceberg_type_print(&later->type, &to);
            EXPECT(
                v,
                iceberg_type_can_promote(&field->type, &later->type, v->metadata->format_version),
                ICEBERG_WARNING, "evolution", SLICE("$.schemas"),
                "field %d was %.100s and became %.100s in schema %d", field->id, buf_cstr(&from),
                buf_cstr(&to), newer->id);
        }
        check_evolution(v, &field->type, newer);
    }
}

static void check_source(struct validation *v, const struct iceberg_spec *spec,
                         const struct iceberg_partition_field *field, int32_t id)
{
    const struct iceberg_metadata *m = v->metadata;
    const struct iceberg_schema *current = iceberg_metadata_current_schema(m);
    const struct iceberg_field *source = iceberg_metadata_field(m, id);
    struct iceberg_type result;
    struct errinfo inner;
    errinfo_init(&inner);
    EXPECT(v, source != NULL || field->transform.kind == TRANSFORM_VOID, ICEBERG_PROBLEM,
           "partition-source", SLICE("$.partition-specs"),
           "spec %d is of field %d, which no schema has", spec->id, id);
    if (source != NULL) {
        EXPECT(v,
               iceberg_transform_result(&field->transform, &source->type, &result, &inner) ==
                   ERR_OK,
               ICEBERG_PROBLEM, "transform", SLICE("$.partition-specs"), "spec %d: %s", spec->id,
               inner.message);
    }
    bool is_dropped = source != NULL && field->transform.kind != TRANSFORM_VOID &&
                      iceberg_schema_find_id(current, source->id, NULL) == NULL;
    EXPECT(v, !is_dropped || spec->id != m->default_spec_id, ICEBERG_WARNING, "partition-source",
           SLICE("$.partition-specs"),
           "the default spec %d is of field %d, which the current schema has not", spec->id, id);
}

static bool has_same_sources(const struct iceberg_partition_field *a,
                             const struct iceberg_partition_field *b)
{
    bool is_same = a->source_count == b->source_count;
    for (size_t i = 0; is_same && i < a->source_count; i++) {
        is_same = a->source_ids[i] == b->source_ids[i];
    }
    return is_same;
}

static void check_spec(struct validation *v, const struct iceberg_spec *spec)
{
    const struct iceberg_metadata *m = v->metadata;
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_partition_field *field = &spec->fields[i];
        EXPECT(v, field->field_id <= m->last_partition_id, ICEBERG_PROBLEM, "partition-ids",
               SLICE("$.last-partition-id"), "is %d, but spec %d has a field with id %d",
               m->last_partition_id, spec->id, field->field_id);
        if (field->transform.kind == TRANSFORM_OTHER) {
            validation_report(v, ICEBERG_WARNING, "transform", SLICE("$.partition-specs"),
                              "spec %d has transform \"%.*s\", which is not known", spec->id,
                              SLICE_ARGS(field->transform.text));
        }
        for (size_t s = 0; s < field->source_count; s++) {
            check_source(v, spec, field, field->source_ids[s]);
        }
    }
}

/* From version 2 an id of a partition field means one source and transform in all specs. */
static void check_partition_ids(struct validation *v, const struct iceberg_spec *a,
                                const struct iceberg_spec *b)
{
    for (size_t i = 0; i < a->field_count; i++) {
        for (size_t k = 0; k < b->field_count; k++) {
            const struct iceberg_partition_field *left = &a->fields[i];
            const struct iceberg_partition_field *right = &b->fields[k];
            if (left->field_id != right->field_id || left->transform.kind == TRANSFORM_VOID ||
                right->transform.kind == TRANSFORM_VOID) {
                continue;
            }
            EXPECT(v,
                   has_same_sources(left, right) &&
                       slice_equal_fold(left->transform.text, right->transform.text),
                   ICEBERG_WARNING, "partition-ids", SLICE("$.partition-specs"),
                   "partition field %d is one thing in spec %d and another in spec %d",
                   left->field_id, a->id, b->id);
        }
    }
}

static void check_specs(struct validation *v)
{
    const struct iceberg_metadata *m = v->metadata;
    for (size_t i = 0; i < m->spec_count; i++) {
        check_spec(v, &m->specs[i]);
        for (size_t k = i + 1; k < m->spec_count && m->format_version > 1; k++) {
            check_partition_ids(v, &m->specs[i], &m->specs[k]);
        }
    }
    bool has_order = false;
    for (size_t i = 0; i < m->sort_order_count; i++) {
        has_order = has_order || m->sort_orders[i].id == m->default_sort_order_id;
    }
    EXPECT(v, has_order, ICEBERG_WARNING, "sort-order", SLICE("$.default-sort-order-id"),
           "is %d, but no sort order has that id", m->default_sort_order_id);
}

static void check_snapshot(struct validation *v, const struct iceberg_snapshot *s)
{
    const struct iceberg_metadata *m = v->metadata;
    const struct iceberg_snapshot *parent =
        s->parent_id == ICEBERG_NO_ID ? NULL : iceberg_metadata_snapshot(m, s->parent_id);
    long long id = (long long)s->id;
    struct slice where = SLICE("$.snapshots");
    EXPECT(v, s->schema_id == ICEBERG_NO_ID || iceberg_metadata_schema(m, s->schema_id) != NULL,
           ICEBERG_PROBLEM, "schema-id", where, "snapshot %lld is of schema %d, which is missing",
           id, s->schema_id);
    if (parent != NULL && m->format_version > 1) {
        EXPECT(v, parent->sequence_number <= s->sequence_number, ICEBERG_PROBLEM, "sequence", where,
               "snapshot %lld has sequence number %lld, its parent %lld", id,
               (long long)s->sequence_number, (long long)parent->sequence_number);
    }
    EXPECT(v, s->timestamp_ms - SKEW_MS <= m->last_updated_ms, ICEBERG_WARNING, "time", where,
           "snapshot %lld is younger than the table's last change", id);
    EXPECT(v, s->summary_count == 0 || s->operation.len > 0, ICEBERG_WARNING, "summary", where,
           "the summary of snapshot %lld names no operation", id);
    if (m->format_version > 2 && s->first_row_id != ICEBERG_NO_ID &&
        s->added_rows != ICEBERG_NO_ID) {
        EXPECT(v,
               s->first_row_id <= m->next_row_id &&
                   s->added_rows <= m->next_row_id - s->first_row_id,
               ICEBERG_PROBLEM, "row-ids", where,
               "snapshot %lld assigns row ids from %lld, %lld of them, past next-row-id %lld", id,
               (long long)s->first_row_id, (long long)s->added_rows, (long long)m->next_row_id);
    }
}

static void check_logs(struct validation *v)
{
    const struct iceberg_metadata *m = v->metadata;
    const struct {
        const struct iceberg_log_entry *entries;
        size_t count;
        const char *name;
    } logs[] = {{m->snapshot_log, m->snapshot_log_count, "$.snapshot-log"},
                {m->metadata_log, m->metadata_log_count, "$.metadata-log"}};
    for (size_t log = 0; log < ARRAY_COUNT(logs); log++) {
        for (size_t i = 1; i < logs[log].count; i++) {
            EXPECT(v,
                   logs[log].entries[i].timestamp_ms >=
                       logs[log].entries[i - 1].timestamp_ms - SKEW_MS,
                   ICEBERG_PROBLEM, "log-order", slice_of(logs[log].name),
                   "entry %zu is older than the one before it", i);
        }
    }
    if (m->snapshot_log_count > 0) {
        int64_t last = m->snapshot_log[m->snapshot_log_count - 1].snapshot_id;
        EXPECT(v, last == m->current_snapshot_id, ICEBERG_WARNING, "log-end",
               SLICE("$.snapshot-log"), "ends with snapshot %lld, but the current one is %lld",
               (long long)last, (long long)m->current_snapshot_id);
    }
}

static void check_mapping(struct validation *v)
{
    struct slice text = iceberg_metadata_property(v->metadata, "schema.name-mapping.default");
    struct iceberg_name_mapping mapping;
    struct errinfo inner;
    errinfo_init(&inner);
    if (text.len > 0) {
        EXPECT(v, iceberg_name_mapping_parse(text, v->arena, &mapping, &inner) == ERR_OK,
               ICEBERG_PROBLEM, "name-mapping", SLICE("$.properties"), "%s", inner.message);
    }
}

void validation_metadata(struct validation *v)
{
    const struct iceberg_metadata *m = v->metadata;
    check_schemas(v);
    for (size_t i = 1; i < m->schema_count; i++) {
        if (m->schemas[i - 1].id < m->schemas[i].id) {
            check_evolution(v, &m->schemas[i - 1].root, &m->schemas[i]);
        }
    }
    check_specs(v);
    for (size_t i = 0; i < m->snapshot_count; i++) {
        check_snapshot(v, &m->snapshots[i]);
    }
    check_logs(v);
    check_mapping(v);
    if (m->has_encryption_keys) {
        validation_report(v, ICEBERG_WARNING, "encryption", SLICE("$.encryption-keys"),
                          "encrypted files are not read, so they are not checked");
    }
}

/* ---- statistics files ---- */

static bool same_blob(const struct puffin_blob *blob, const struct iceberg_statistics_blob *listed)
{
    return slice_equal(blob->type, listed->type) && blob->snapshot_id == listed->snapshot_id &&
           blob->field_count == listed->field_count &&
           (blob->field_count == 0 ||
            memcmp(blob->field_ids, listed->field_ids, blob->field_count * sizeof(int32_t)) == 0);
}

static void check_blobs(struct validation *v, const struct iceberg_statistics *file,
                        const struct puffin_footer *footer)
{
    for (size_t i = 0; i < file->blob_count; i++) {
        bool found = false;
        for (size_t k = 0; k < footer->blob_count && !found; k++) {
            found = same_blob(&footer->blobs[k], &file->blobs[i]);
        }
        EXPECT(v, found, ICEBERG_WARNING, "statistics", file->path,
               "has no blob of type \"%.*s\" for snapshot %lld, as metadata says",
               SLICE_ARGS(file->blobs[i].type), (long long)file->blobs[i].snapshot_id);
    }
    for (size_t k = 0; k < footer->blob_count; k++) {
        EXPECT(v,
               footer->blobs[k].offset <= (uint64_t)file->size_bytes &&
                   footer->blobs[k].length_bytes <=
                       (uint64_t)file->size_bytes - footer->blobs[k].offset,
               ICEBERG_PROBLEM, "statistics", file->path, "blob %zu leaves the file", k);
    }
}

static enum err check_puffin(struct validation *v, const struct iceberg_statistics *file)
{
    uint64_t size = (uint64_t)file->size_bytes;
    uint64_t needed = size < PUFFIN_TAIL_BYTES ? size : PUFFIN_TAIL_BYTES;
    struct puffin_footer footer = {0};
    struct errinfo inner;
    enum err err = ERR_OK;
    struct buf tail CLEANUP(buf_fini) = {0};
    for (int attempt = 0; attempt < 2; attempt++) {
        errinfo_init(&inner);
        buf_reset(&tail);
        char *room = buf_reserve(&tail, (size_t)needed);
        if (room == NULL) {
            return errinfo_nomem(v->info);
        }
        err = v->io->read_range(v->io->context, file->path, size - needed, (size_t)needed, room,
                                &inner);
        tail.len = err == ERR_OK ? (size_t)needed : 0;
        if (err == ERR_OK) {
            err = puffin_footer_parse(buf_slice(&tail), size, v->arena, &footer, &needed, &inner);
        }
        if (err != ERR_LIMIT || needed > size) {
            break;
        }
    }
    if (validation_is_fatal(err)) {
        *v->info = inner;
        return err;
    }
    EXPECT(v, err == ERR_OK, ICEBERG_PROBLEM, "statistics", file->path, "%s", inner.message);
    if (err == ERR_OK) {
        check_blobs(v, file, &footer);
    }
    return ERR_OK;
}

enum err validation_statistics(struct validation *v)
{
    const struct iceberg_metadata *m = v->metadata;
    for (size_t i = 0; i < m->statistics_count + m->partition_statistics_count; i++) {
        bool is_partition = i >= m->statistics_count;
        const struct iceberg_statistics *file =
            is_partition ? &m->partition_statistics[i - m->statistics_count] : &m->statistics[i];
        bool exists = false;
        EXPECT(v, iceberg_metadata_snapshot(m, file->snapshot_id) != NULL, ICEBERG_WARNING,
               "statistics", file->path, "is of snapshot %lld, which does not exist",
               (long long)file->snapshot_id);
        TRY(validation_file(v, file->path, file->size_bytes, &exists));
        if (exists && !is_partition && file->key_metadata.len == 0) {
            TRY(check_puffin(v, file));
        }
    }
    return ERR_OK;
}

/* ---- all ---- */

static bool is_referenced(const struct iceberg_metadata *m, const struct iceberg_snapshot *snapshot)
{
    for (size_t i = 0; i < m->ref_count; i++) {
        if (m->refs[i].snapshot_id == snapshot->id) {
            return true;
        }
    }
    return false;
}

static enum err validate(struct validation *v)
{
    validation_metadata(v);
    for (size_t i = 0; i < v->metadata->snapshot_count; i++) {
        const struct iceberg_snapshot *snapshot = &v->metadata->snapshots[i];
        v->counts.snapshots++;
        TRY(validation_snapshot(v, snapshot));
        if (is_referenced(v->metadata, snapshot)) {
            TRY(validation_live_files(v, snapshot));
        }
    }
    return validation_statistics(v);
}

enum err iceberg_validate(const struct iceberg_validate_options *options,
                          struct iceberg_validate_counts *ret_counts, struct errinfo *info)
{
    struct errinfo unread;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "validate", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    struct validation v = {
        .options = options,
        .io = options->io,
        .metadata = options->metadata,
        .arena = arena,
        .manifests = {.arena = arena},
        .files = {.arena = arena},
        .info = info == NULL ? &unread : info,
    };
    TRY(validate(&v));
    *ret_counts = v.counts;
    return ERR_OK;
}
