/* Validation: manifest lists, manifests, the files that they name. */
#include "iceberg/inspect_int.h"

#include "iceberg/deletes.h"

static long long number(int64_t value)
{
    return (long long)value;
}

/* ---- one entry ---- */

/* Older writers order UUIDs as two signed numbers (Java's UUID.compareTo). */
static int compare_signed_uuids(struct slice a, struct slice b)
{
    unsigned char left[16];
    unsigned char right[16];
    memcpy(left, a.ptr, sizeof(left));
    memcpy(right, b.ptr, sizeof(right));
    left[0] ^= 0x80;
    right[0] ^= 0x80;
    left[8] ^= 0x80;
    right[8] ^= 0x80;
    return memcmp(left, right, sizeof(left));
}

static bool is_ordered(const struct iceberg_value *lower, const struct iceberg_value *upper)
{
    return iceberg_value_compare(lower, upper) <= 0 ||
           (lower->type == ICEBERG_UUID && compare_signed_uuids(lower->bytes, upper->bytes) <= 0);
}

static bool read_bounds(const struct iceberg_metrics *metrics, const struct iceberg_type *type,
                        struct iceberg_value *lower, struct iceberg_value *upper,
                        struct errinfo *info)
{
    return (metrics->lower.ptr == NULL ||
            iceberg_value_decode(type, metrics->lower, lower, info) == ERR_OK) &&
           (metrics->upper.ptr == NULL ||
            iceberg_value_decode(type, metrics->upper, upper, info) == ERR_OK);
}

/* A file is of the schema it was written with, which a replaced table no longer resembles: any of
 * the table's schemas may explain the bounds. */
static void check_bounds(struct validation *v, const struct iceberg_file *file,
                         const struct iceberg_metrics *metrics)
{
    const struct iceberg_metadata *m = v->metadata;
    struct iceberg_value lower;
    struct iceberg_value upper;
    struct errinfo inner;
    bool is_read = false;
    errinfo_init(&inner);
    for (size_t i = m->schema_count; i > 0 && !is_read; i--) {
        const struct iceberg_field *field =
            iceberg_schema_find_id(&m->schemas[i - 1], metrics->field_id, NULL);
        if (field == NULL) {
            continue;
        }
        if (field->type.id >= ICEBERG_VARIANT || field->type.id == ICEBERG_UNKNOWN) {
            return; /* bounds of forms of their own, which this program does not use */
        }
        is_read = read_bounds(metrics, &field->type, &lower, &upper, &inner);
    }
    EXPECT(v, is_read, ICEBERG_PROBLEM, "bounds", file->path, "bounds of field %d: %s",
           metrics->field_id, inner.message);
    if (is_read && metrics->lower.ptr != NULL && metrics->upper.ptr != NULL) {
        EXPECT(v, is_ordered(&lower, &upper), ICEBERG_PROBLEM, "bounds", file->path,
               "the lower bound of field %d is above the upper", metrics->field_id);
    }
}

static void check_metrics(struct validation *v, const struct iceberg_file *file)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        const struct iceberg_metrics *metrics = &file->metrics[i];
        const struct iceberg_field *field = iceberg_metadata_field(v->metadata, metrics->field_id);
        const struct iceberg_field *parent = NULL;
        const struct iceberg_schema *current = iceberg_metadata_current_schema(v->metadata);
        bool is_counted =
            metrics->value_count != ICEBERG_NO_ID && metrics->null_count != ICEBERG_NO_ID;
        if (is_counted) {
            EXPECT(v, metrics->null_count >= 0 && metrics->null_count <= metrics->value_count,
                   ICEBERG_PROBLEM, "counts", file->path,
                   "field %d has %lld nulls among %lld values", metrics->field_id,
                   number(metrics->null_count), number(metrics->value_count));
        }
        if (field == NULL) {
            continue; /* metadata columns of delete files */
        }
        (void)iceberg_schema_find_id(current, metrics->field_id, &parent);
        bool is_top =
            parent == NULL && iceberg_schema_find_id(current, metrics->field_id, NULL) != NULL;
        if (is_top && field->type.id < ICEBERG_STRUCT && metrics->value_count != ICEBERG_NO_ID) {
            EXPECT(v, metrics->value_count == file->record_count, ICEBERG_PROBLEM, "counts",
                   file->path, "field %d has %lld values in %lld rows", metrics->field_id,
                   number(metrics->value_count), number(file->record_count));
        }
        check_bounds(v, file, metrics);
    }
}

static bool in_summary(const struct iceberg_partition_summary *summary,
                       const struct iceberg_value *value, const struct iceberg_type *type)
{
    struct iceberg_value bound;
    bool is_real = value->type == ICEBERG_FLOAT || value->type == ICEBERG_DOUBLE;
    if (value->is_null) {
        return summary->contains_null;
    }
    if (is_real && value->real != value->real) {
        return !summary->has_nan_flag || summary->contains_nan;
    }
    if (summary->lower.ptr != NULL &&
        (iceberg_value_decode(type, summary->lower, &bound, NULL) != ERR_OK ||
         !is_ordered(&bound, value))) {
        return false;
    }
    return summary->upper.ptr == NULL ||
           (iceberg_value_decode(type, summary->upper, &bound, NULL) == ERR_OK &&
            is_ordered(value, &bound));
}

/* The list's summary of a manifest must cover each partition in it, or readers skip live files. */
static void check_partition(struct validation *v, const struct iceberg_manifest *manifest,
                            const struct iceberg_file *file)
{
    const struct iceberg_spec *spec = iceberg_metadata_spec(v->metadata, file->spec_id);
    if (spec == NULL || manifest->partition_count != spec->field_count ||
        file->partition_count != spec->field_count) {
        return;
    }
    for (size_t i = 0; i < spec->field_count; i++) {
        const struct iceberg_value *value = &file->partition[i];
        struct iceberg_type type = {.id = value->type,
                                    .precision = value->precision,
                                    .scale = value->scale,
                                    .length = UINT32_MAX};
        /* A decimal's bound may be of any scale of bytes, not of digits. */
        type.precision = value->type == ICEBERG_DECIMAL ? 38 : 0;
        EXPECT(v, in_summary(&manifest->partitions[i], value, &type), ICEBERG_PROBLEM,
               "partition-summary", file->path,
               "its value of partition field \"%.*s\" is outside of its manifest's summary",
               SLICE_ARGS(spec->fields[i].name));
    }
}

static void check_deletes(struct validation *v, const struct iceberg_file *file)
{
    const struct iceberg_metadata *m = v->metadata;
    bool is_vector = file->format == ICEBERG_PUFFIN;
    if (file->content == ICEBERG_DATA) {
        EXPECT(v, !is_vector, ICEBERG_PROBLEM, "content", file->path, "is a data file in Puffin");
        return;
    }
    EXPECT(v, m->format_version > 1, ICEBERG_PROBLEM, "content", file->path,
           "is a delete file in a table of format version 1");
    if (file->content == ICEBERG_EQUALITY_DELETES) {
        EXPECT(v, file->equality_id_count > 0, ICEBERG_PROBLEM, "equality-ids", file->path,
               "is an equality delete file without field ids");
        for (size_t i = 0; i < file->equality_id_count; i++) {
            EXPECT(v, iceberg_metadata_field(m, file->equality_ids[i]) != NULL, ICEBERG_PROBLEM,
                   "equality-ids", file->path, "deletes by field %d, which no schema has",
                   file->equality_ids[i]);
        }
        return;
    }
    if (is_vector) {
        EXPECT(v, m->format_version > 2, ICEBERG_PROBLEM, "content", file->path,
               "is a deletion vector in a table of format version %u", m->format_version);
        EXPECT(v,
               file->referenced_data_file.ptr != NULL && file->content_offset >= 0 &&
                   file->content_size_bytes >= 0,
               ICEBERG_PROBLEM, "vector", file->path,
               "is a deletion vector without data file, offset or size");
    }
}

/* Reads a deletion vector: length, magic, CRC-32 and cardinality are checked by the reader. */
static enum err check_vector(struct validation *v, const struct iceberg_file *file)
{
    struct iceberg_positions *positions CLEANUP(iceberg_positions_cleanup) = NULL;
    struct buf blob CLEANUP(buf_fini) = {0};
    struct errinfo inner;
    errinfo_init(&inner);
    if (file->content_offset < 0 || file->content_size_bytes < 0 ||
        file->content_size_bytes > (INT64_C(1) << 31)) {
        return ERR_OK; /* reported already, or nothing to hold in memory */
    }
    size_t len = (size_t)file->content_size_bytes;
    char *room = buf_reserve(&blob, len + 1);
    if (room == NULL) {
        return errinfo_nomem(v->info);
    }
    TRY(iceberg_positions_open(&positions, v->info));
    enum err err = v->io->read_range(v->io->context, file->path, (uint64_t)file->content_offset,
                                     len, room, &inner);
    blob.len = len;
    if (err == ERR_OK) {
        err = iceberg_positions_add_vector(positions, buf_slice(&blob), file->record_count, &inner);
    }
    if (validation_is_fatal(err)) {
        *v->info = inner;
        return err;
    }
    v->counts.vectors++;
    EXPECT(v, err == ERR_OK, ICEBERG_PROBLEM, "vector", file->path, "at byte %lld: %s",
           number(file->content_offset), inner.message);
    return ERR_OK;
}

static enum err check_file(struct validation *v, const struct iceberg_manifest *manifest,
                           const struct iceberg_file *file)
{
    bool exists = false;
    EXPECT(v, file->path.len > 0, ICEBERG_PROBLEM, "path", manifest->path,
           "has an entry without a path");
    EXPECT(v, file->record_count >= 0 && file->size_bytes >= 0, ICEBERG_PROBLEM, "counts",
           file->path, "has a negative row count or size");
    EXPECT(v, file->sequence_number <= manifest->sequence_number, ICEBERG_PROBLEM, "sequence",
           file->path, "has sequence number %lld, above its manifest's, %lld",
           number(file->sequence_number), number(manifest->sequence_number));
    EXPECT(v, (file->content != ICEBERG_DATA) == manifest->is_deletes, ICEBERG_PROBLEM, "content",
           file->path, "is %s in a manifest of %s",
           file->content == ICEBERG_DATA ? "a data file" : "a delete file",
           manifest->is_deletes ? "deletes" : "data");
    check_deletes(v, file);
    if (file->status == ICEBERG_DELETED) {
        return ERR_OK; /* its file may be gone */
    }
    EXPECT(v,
           manifest->min_sequence_number == ICEBERG_NO_ID ||
               file->sequence_number >= manifest->min_sequence_number,
           ICEBERG_PROBLEM, "sequence", file->path,
           "has sequence number %lld, below its manifest's least, %lld",
           number(file->sequence_number), number(manifest->min_sequence_number));
    check_partition(v, manifest, file);
    check_metrics(v, file);
    if (v->options->without_files || file->is_encrypted) {
        return ERR_OK;
    }
    TRY(validation_file(v, file->path, file->size_bytes, &exists));
    return exists && file->format == ICEBERG_PUFFIN ? check_vector(v, file) : ERR_OK;
}

/* ---- one manifest ---- */

struct entry_counts {
    int64_t files[3]; /* by status */
    int64_t rows[3];
};

static void check_counts(struct validation *v, const struct iceberg_manifest *manifest,
                         const struct entry_counts *counts)
{
    const struct {
        const char *name;
        int64_t said;
        int64_t found;
    } pairs[] = {
        {"added files", manifest->added_files, counts->files[ICEBERG_ADDED]},
        {"existing files", manifest->existing_files, counts->files[ICEBERG_EXISTING]},
        {"deleted files", manifest->deleted_files, counts->files[ICEBERG_DELETED]},
        {"added rows", manifest->added_rows, counts->rows[ICEBERG_ADDED]},
        {"existing rows", manifest->existing_rows, counts->rows[ICEBERG_EXISTING]},
        {"deleted rows", manifest->deleted_rows, counts->rows[ICEBERG_DELETED]},
    };
    for (size_t i = 0; i < ARRAY_COUNT(pairs); i++) {
        if (pairs[i].said != ICEBERG_NO_ID) {
            EXPECT(v, pairs[i].said == pairs[i].found, ICEBERG_PROBLEM, "counts", manifest->path,
                   "has %lld %s, not %lld as its list says", number(pairs[i].found), pairs[i].name,
                   number(pairs[i].said));
        }
    }
}

static enum err read_entries(struct validation *v, const struct iceberg_manifest *manifest,
                             struct iceberg_manifest_reader *reader, struct validated_manifest *out,
                             struct errinfo *inner)
{
    struct entry_counts counts = {0};
    const struct iceberg_file *file = NULL;
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, inner));
        if (file == NULL) {
            break;
        }
        counts.files[file->status]++;
        counts.rows[file->status] += file->record_count;
        iceberg__totals_add_file(file, &out->totals);
        enum err err = check_file(v, manifest, file);
        if (err != ERR_OK) {
            *inner = *v->info;
            return err;
        }
    }
    check_counts(v, manifest, &counts);
    return ERR_OK;
}

enum err validation_manifest(struct validation *v, const struct iceberg_manifest *manifest,
                             struct validated_manifest *out)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_manifest_want want = {.all_metrics = true, .deleted_entries = true};
    struct errinfo inner;
    errinfo_init(&inner);
    enum err err = v->io->read_all(v->io->context, manifest->path, 0, 0, &bytes, &inner);
    if (err == ERR_OK && manifest->length_bytes > 0) {
        EXPECT(v, bytes.len == (size_t)manifest->length_bytes, ICEBERG_PROBLEM, "file-size",
               manifest->path, "has %zu bytes, not %lld as its list says", bytes.len,
               number(manifest->length_bytes));
    }
    if (err == ERR_OK) {
        err =
            iceberg_manifest_open(buf_slice(&bytes), manifest, v->metadata, &want, &reader, &inner);
    }
    if (err == ERR_OK) {
        err = read_entries(v, manifest, reader, out, &inner);
    }
    if (validation_is_fatal(err)) {
        *v->info = inner;
        return err;
    }
    v->counts.manifests++;
    out->is_readable = err == ERR_OK;
    EXPECT(v, err == ERR_OK, err == ERR_UNSUPPORTED ? ICEBERG_WARNING : ICEBERG_PROBLEM, "manifest",
           manifest->path, "%s", inner.message);
    return ERR_OK;
}

/* ---- one snapshot ---- */

static void check_listed(struct validation *v, const struct iceberg_snapshot *snapshot,
                         const struct iceberg_manifest *manifest)
{
    const struct iceberg_metadata *m = v->metadata;
    EXPECT(v, iceberg_metadata_spec(m, manifest->spec_id) != NULL, ICEBERG_PROBLEM, "spec-id",
           manifest->path, "is of partition spec %d, which is missing", manifest->spec_id);
    EXPECT(v, manifest->sequence_number <= snapshot->sequence_number, ICEBERG_PROBLEM, "sequence",
           manifest->path, "has sequence number %lld, above its snapshot's, %lld",
           number(manifest->sequence_number), number(snapshot->sequence_number));
    EXPECT(v, manifest->min_sequence_number <= manifest->sequence_number, ICEBERG_PROBLEM,
           "sequence", manifest->path, "has least sequence number %lld, above its own, %lld",
           number(manifest->min_sequence_number), number(manifest->sequence_number));
    EXPECT(v, !manifest->is_deletes || m->format_version > 1, ICEBERG_PROBLEM, "content",
           manifest->path, "holds deletes in a table of format version 1");
    EXPECT(v,
           snapshot->first_row_id == ICEBERG_NO_ID || manifest->is_deletes ||
               (manifest->first_row_id >= 0 && manifest->first_row_id <= m->next_row_id),
           ICEBERG_PROBLEM, "row-ids", manifest->path, "has first row id %lld in snapshot %lld",
           number(manifest->first_row_id), number(snapshot->id));
}

static enum err read_once(struct validation *v, const struct iceberg_manifest *manifest,
                          const struct validated_manifest **ret_validated)
{
    struct path_slot *slot = NULL;
    bool is_new = false;
    TRY(path_set_put(&v->manifests, manifest->path, &is_new, &slot, v->info));
    if (!is_new) {
        *ret_validated = &v->validated[slot->value];
        return ERR_OK;
    }
    size_t at = v->manifests.count - 1;
    if (at == v->validated_capacity) {
        size_t capacity = v->validated_capacity == 0 ? 64 : v->validated_capacity * 2;
        struct validated_manifest *grown = arena_calloc(v->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(v->info);
        }
        if (at > 0) {
            memcpy(grown, v->validated, at * sizeof(*grown));
        }
        v->validated = grown;
        v->validated_capacity = capacity;
    }
    slot->value = at;
    TRY(validation_manifest(v, manifest, &v->validated[at]));
    *ret_validated = &v->validated[at];
    return ERR_OK;
}

static void add_totals(struct iceberg_totals *sum, const struct iceberg_totals *part)
{
    sum->data_files += part->data_files;
    sum->data_rows += part->data_rows;
    sum->data_bytes += part->data_bytes;
    sum->position_files += part->position_files;
    sum->position_rows += part->position_rows;
    sum->vectors += part->vectors;
    sum->vector_rows += part->vector_rows;
    sum->equality_files += part->equality_files;
    sum->equality_rows += part->equality_rows;
}

static void check_total(struct validation *v, const struct iceberg_snapshot *snapshot,
                        const char *key, uint64_t found)
{
    uint64_t said;
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, slice_of(key)) &&
            slice_to_u64(snapshot->summary[i].value, &said)) {
            EXPECT(v, said == found, ICEBERG_WARNING, "summary", SLICE("$.snapshots"),
                   "snapshot %lld says %s = %llu; its manifests hold %llu", number(snapshot->id),
                   key, (unsigned long long)said, (unsigned long long)found);
        }
    }
}

static enum err load_manifests(struct validation *v, const struct iceberg_snapshot *snapshot,
                               struct arena *arena, struct iceberg_manifest **ret_manifests,
                               size_t *ret_count, bool *ret_readable)
{
    struct errinfo inner;
    errinfo_init(&inner);
    enum err err = iceberg_manifests_load(v->io, v->metadata, snapshot, arena, ret_manifests,
                                          ret_count, &inner);
    if (validation_is_fatal(err)) {
        *v->info = inner;
        return err;
    }
    EXPECT(v, err == ERR_OK, err == ERR_UNSUPPORTED ? ICEBERG_WARNING : ICEBERG_PROBLEM,
           "manifest-list", snapshot->manifest_list, "%s", inner.message);
    *ret_readable = err == ERR_OK;
    return ERR_OK;
}

enum err validation_snapshot(struct validation *v, const struct iceberg_snapshot *snapshot)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "validate snapshot", 0);
    struct iceberg_manifest *manifests = NULL;
    struct iceberg_totals sum = {0};
    size_t count = 0;
    bool is_readable = false;
    if (arena == NULL) {
        return errinfo_nomem(v->info);
    }
    struct path_set seen = {.arena = arena};
    TRY(load_manifests(v, snapshot, arena, &manifests, &count, &is_readable));
    for (size_t i = 0; is_readable && i < count; i++) {
        const struct validated_manifest *validated = NULL;
        struct path_slot *slot = NULL;
        bool is_new = false;
        TRY(path_set_put(&seen, manifests[i].path, &is_new, &slot, v->info));
        EXPECT(v, is_new, ICEBERG_PROBLEM, "manifest-list", manifests[i].path,
               "is listed twice in snapshot %lld", number(snapshot->id));
        check_listed(v, snapshot, &manifests[i]);
        TRY(read_once(v, &manifests[i], &validated));
        add_totals(&sum, &validated->totals);
        is_readable = validated->is_readable;
    }
    if (is_readable) {
        check_total(v, snapshot, "total-data-files", sum.data_files);
        check_total(v, snapshot, "total-records", sum.data_rows);
        check_total(v, snapshot, "total-delete-files",
                    sum.position_files + sum.vectors + sum.equality_files);
        check_total(v, snapshot, "total-position-deletes", sum.position_rows + sum.vector_rows);
        check_total(v, snapshot, "total-equality-deletes", sum.equality_rows);
    }
    return ERR_OK;
}

/* ---- across manifests ---- */

/* `pass` 0: data files, once each. 1: vectors, one for each data file, which is live. */
static enum err check_live(struct validation *v, const struct iceberg_manifest *manifest, int pass,
                           struct path_set *data, struct path_set *vectors)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_manifest_want want = {0};
    const struct iceberg_file *file = NULL;
    struct path_slot *slot = NULL;
    bool is_new = false;
    TRY(v->io->read_all(v->io->context, manifest->path, 0, 0, &bytes, v->info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, v->metadata, &want, &reader, v->info));
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, v->info));
        if (file == NULL) {
            return ERR_OK;
        }
        if (pass == 0 && file->content == ICEBERG_DATA) {
            TRY(path_set_put(data, file->path, &is_new, &slot, v->info));
            EXPECT(v, is_new, ICEBERG_PROBLEM, "live-files", file->path,
                   "is live twice: its rows would be read twice");
        }
        if (pass == 1 && file->format == ICEBERG_PUFFIN && file->referenced_data_file.ptr != NULL) {
            TRY(path_set_put(vectors, file->referenced_data_file, &is_new, &slot, v->info));
            EXPECT(v, is_new, ICEBERG_PROBLEM, "vector", file->referenced_data_file,
                   "has two deletion vectors");
            EXPECT(v, path_set_find(data, file->referenced_data_file) != NULL, ICEBERG_WARNING,
                   "vector", file->referenced_data_file,
                   "has a deletion vector but is not a live data file");
        }
    }
}

enum err validation_live_files(struct validation *v, const struct iceberg_snapshot *snapshot)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "validate live", 0);
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    struct errinfo inner;
    if (arena == NULL) {
        return errinfo_nomem(v->info);
    }
    struct path_set data = {.arena = arena};
    struct path_set vectors = {.arena = arena};
    if (iceberg_manifests_load(v->io, v->metadata, snapshot, arena, &manifests, &count, &inner) !=
        ERR_OK) {
        return ERR_OK; /* reported before */
    }
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < count; i++) {
            const struct path_slot *slot = path_set_find(&v->manifests, manifests[i].path);
            bool is_wanted = manifests[i].is_deletes == (pass == 1);
            if (is_wanted && slot != NULL && v->validated[slot->value].is_readable) {
                TRY(check_live(v, &manifests[i], pass, &data, &vectors));
            }
        }
    }
    return ERR_OK;
}
