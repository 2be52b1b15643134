/* A new snapshot: which manifests it has, what its summary says, and the updates that make it the
 * head of its branch.
 *
 * Added files go into new manifests, one for each content and spec; manifests that name a removed
 * file are written again, with it as DELETED; all others are taken as they are. Numbers of the
 * snapshot are inherited, so nothing but the list would change if it had to be done again. */
#include "iceberg/write_int.h"

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "iceberg/tally_int.h"

#define LOCATIONS_FIRST 8

struct producer {
    const struct iceberg_snapshot_change *change;
    const struct iceberg_metadata *metadata;
    const struct iceberg_snapshot *parent; /* NULL: the branch is new */
    struct slice branch;
    struct slice folder;
    struct arena *arena;
    char uuid[UUID_TEXT_BYTES];
    int64_t sequence_number;
    int64_t first_row_id, next_row_id;  /* v3 */
    struct iceberg_manifest *manifests; /* of the new list */
    size_t manifest_count, manifest_capacity;
    struct slice *locations;
    size_t location_count, location_capacity;
    struct write_paths removed; /* and which of them were found */
    struct write_paths replaced;
    struct write_paths removed_deletes;
    struct write_tally tally;
    size_t merged_count;
    enum avro_output_codec codec;
    struct errinfo *info;
};

/* ---- objects ---- */

static enum err note_location(struct producer *p, struct slice location)
{
    if (p->location_count == p->location_capacity) {
        size_t capacity = p->location_capacity == 0 ? LOCATIONS_FIRST : p->location_capacity * 2;
        struct slice *grown = arena_calloc(p->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(p->info);
        }
        if (p->location_count > 0) {
            memcpy(grown, p->locations, p->location_count * sizeof(*grown));
        }
        p->locations = grown;
        p->location_capacity = capacity;
    }
    p->locations[p->location_count++] = location;
    return ERR_OK;
}

/* Noted before it is made: what may be there must be removed. */
static enum err create(struct producer *p, const char *location, struct slice bytes)
{
    TRY(note_location(p, slice_of(location)));
    return p->change->output->create(p->change->output->context, slice_of(location), bytes,
                                     p->info);
}

static enum err add_manifest(struct producer *p, const struct iceberg_manifest *manifest)
{
    if (p->manifest_count == p->manifest_capacity) {
        size_t capacity = p->manifest_capacity == 0 ? 16 : p->manifest_capacity * 2;
        struct iceberg_manifest *grown = arena_calloc(p->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(p->info);
        }
        if (p->manifest_count > 0) {
            memcpy(grown, p->manifests, p->manifest_count * sizeof(*grown));
        }
        p->manifests = grown;
        p->manifest_capacity = capacity;
    }
    struct iceberg_manifest *own = &p->manifests[p->manifest_count++];
    *own = *manifest;
    if (p->metadata->format_version > 2 && !own->is_deletes && own->first_row_id == ICEBERG_NO_ID) {
        int64_t rows = (own->added_rows > 0 ? own->added_rows : 0) +
                       (own->existing_rows > 0 ? own->existing_rows : 0);
        own->first_row_id = p->next_row_id;
        p->next_row_id += rows;
    }
    return ERR_OK;
}

static enum err write_manifest(struct producer *p, const struct iceberg_spec *spec, bool is_deletes,
                               const struct iceberg_file *files, size_t count)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest manifest;
    struct iceberg_manifest_write write = {
        .metadata = p->metadata,
        .schema = iceberg_metadata_current_schema(p->metadata),
        .spec = spec,
        .is_deletes = is_deletes,
        .snapshot_id = p->change->snapshot_id,
        .sequence_number = p->sequence_number,
        .codec = p->codec,
    };
    TRY(iceberg_manifest_write(&write, files, count, p->arena, &bytes, &manifest, p->info));
    char *path = arena_printf(p->arena, "%.*s/%s-m%zu.avro", (int)p->folder.len, p->folder.ptr,
                              p->uuid, p->location_count);
    if (path == NULL) {
        return errinfo_nomem(p->info);
    }
    manifest.path = slice_of(path);
    TRY(create(p, path, buf_slice(&bytes)));
    return add_manifest(p, &manifest);
}

/* ---- added files ---- */

static bool is_of(const struct iceberg_file *file, int32_t spec_id, bool is_deletes)
{
    return file->spec_id == spec_id && (file->content != ICEBERG_DATA) == is_deletes;
}

static enum err add_files_of(struct producer *p, const struct iceberg_spec *spec, bool is_deletes)
{
    const struct iceberg_snapshot_change *change = p->change;
    struct iceberg_file *files CLEANUP(mem_free_cleanup) =
        mem_calloc(change->added_count + 1, sizeof(*files));
    size_t count = 0;
    if (files == NULL) {
        return errinfo_nomem(p->info);
    }
    for (size_t i = 0; i < change->added_count; i++) {
        if (is_of(&change->added[i], spec->id, is_deletes)) {
            struct iceberg_file *file = &files[count++];
            *file = change->added[i];
            file->status = ICEBERG_ADDED;
            file->snapshot_id = change->snapshot_id;
            file->sequence_number = ICEBERG_NO_ID;
            file->file_sequence_number = ICEBERG_NO_ID;
            TRY(write__tally(&p->tally, file, true, p->info));
        }
    }
    return count == 0 ? ERR_OK : write_manifest(p, spec, is_deletes, files, count);
}

static enum err add_files(struct producer *p)
{
    for (size_t i = 0; i < p->metadata->spec_count; i++) {
        TRY(add_files_of(p, &p->metadata->specs[i], false));
        TRY(add_files_of(p, &p->metadata->specs[i], true));
    }
    return ERR_OK;
}

/* ---- manifests of the parent ---- */

struct entries {
    struct iceberg_file *files;
    size_t count, capacity;
    bool has_removed;
};

/* What only tells of a data file goes with it, or with what is written in its place. */
static bool goes(struct producer *p, const struct iceberg_file *file)
{
    if (file->content == ICEBERG_DATA) {
        return write__paths_find(&p->removed, file->path, true);
    }
    if (file->content == ICEBERG_POSITION_DELETES && file->format != ICEBERG_PUFFIN &&
        write__paths_find(&p->removed_deletes, file->path, true)) {
        return true;
    }
    return file->content == ICEBERG_POSITION_DELETES && file->referenced_data_file.ptr != NULL &&
           (write__paths_find(&p->removed, file->referenced_data_file, false) ||
            write__paths_find(&p->replaced, file->referenced_data_file, false));
}

static enum err keep_entry(struct producer *p, struct entries *entries, struct arena *arena,
                           const struct iceberg_file *file)
{
    bool is_removed = p->change->removes_all;
    is_removed = is_removed || goes(p, file);
    if (entries->count == entries->capacity) {
        size_t capacity = entries->capacity == 0 ? 64 : entries->capacity * 2;
        struct iceberg_file *grown = arena_calloc(arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(p->info);
        }
        if (entries->count > 0) {
            memcpy(grown, entries->files, entries->count * sizeof(*grown));
        }
        entries->files = grown;
        entries->capacity = capacity;
    }
    struct iceberg_file *own = &entries->files[entries->count++];
    if (!iceberg_file_copy(file, arena, own)) {
        return errinfo_nomem(p->info);
    }
    own->status = is_removed ? ICEBERG_DELETED : ICEBERG_EXISTING;
    if (is_removed) {
        own->snapshot_id = p->change->snapshot_id;
        entries->has_removed = true;
        TRY(write__tally(&p->tally, own, false, p->info));
    }
    return ERR_OK;
}

static enum err read_entries(struct producer *p, const struct iceberg_manifest *manifest,
                             struct entries *entries, struct arena *arena)
{
    static const struct iceberg_manifest_want all = {.all_metrics = true};
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_manifest_reader *reader CLEANUP(iceberg_manifest_cleanup) = NULL;
    const struct iceberg_io *io = p->change->io;
    const struct iceberg_file *file;
    TRY(io->read_all(io->context, manifest->path, (uint64_t)manifest->length_bytes, 0, &bytes,
                     p->info));
    TRY(iceberg_manifest_open(buf_slice(&bytes), manifest, p->metadata, &all, &reader, p->info));
    for (;;) {
        TRY(iceberg_manifest_next(reader, &file, p->info));
        if (file == NULL) {
            return ERR_OK;
        }
        TRY(keep_entry(p, entries, arena, file));
    }
}

static enum err rewrite_manifest(struct producer *p, const struct iceberg_manifest *manifest)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(p->arena, "manifest", 0);
    struct entries entries = {0};
    const struct iceberg_spec *spec = iceberg_metadata_spec(p->metadata, manifest->spec_id);
    if (arena == NULL) {
        return errinfo_nomem(p->info);
    }
    if (spec == NULL) {
        return errinfo_set(p->info, ERR_CORRUPT, NULL, "a manifest is of spec %d, which is not one",
                           manifest->spec_id);
    }
    TRY(read_entries(p, manifest, &entries, arena));
    if (!entries.has_removed) {
        return add_manifest(p, manifest);
    }
    return write_manifest(p, spec, manifest->is_deletes, entries.files, entries.count);
}

static bool may_hold_removed(const struct producer *p, const struct iceberg_manifest *manifest)
{
    bool has_live = manifest->added_files != 0 || manifest->existing_files != 0;
    bool is_asked = p->change->removes_all || p->change->removed_count > 0 ||
                    ((p->change->replaced_count > 0 || p->change->removed_delete_count > 0) &&
                     manifest->is_deletes);
    return has_live && is_asked;
}

/* ---- merging ---- */

static bool is_of_group(const struct iceberg_manifest *manifest, int32_t spec_id, bool is_deletes)
{
    bool has_live = manifest->added_files != 0 || manifest->existing_files != 0;
    return has_live && manifest->spec_id == spec_id && manifest->is_deletes == is_deletes;
}

/* The manifests from `first` on whose bytes together are about what is wanted, as one; at least one
 * of them. `ret_next`: the first that is not taken. */
static enum err merge_some(struct producer *p, const struct iceberg_spec *spec, bool is_deletes,
                           const struct iceberg_manifest *manifests, size_t count, size_t first,
                           size_t *ret_next)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(p->arena, "manifests", 0);
    struct entries entries = {0};
    int64_t bytes = 0;
    size_t taken = 0;
    size_t end = first;
    if (arena == NULL) {
        return errinfo_nomem(p->info);
    }
    while (end < count) {
        bool is_one = is_of_group(&manifests[end], spec->id, is_deletes);
        if (is_one && taken > 0 && bytes + manifests[end].length_bytes > p->change->merged_bytes) {
            break;
        }
        bytes += is_one ? manifests[end].length_bytes : 0;
        taken += is_one;
        end++;
    }
    *ret_next = end;
    if (taken < 2) {
        for (size_t i = first; i < end; i++) {
            bool is_one = is_of_group(&manifests[i], spec->id, is_deletes);
            TRY(is_one ? add_manifest(p, &manifests[i]) : ERR_OK);
        }
        return ERR_OK;
    }
    for (size_t i = first; i < end; i++) {
        bool is_one = is_of_group(&manifests[i], spec->id, is_deletes);
        TRY(is_one ? read_entries(p, &manifests[i], &entries, arena) : ERR_OK);
    }
    p->merged_count += taken;
    return entries.count == 0 ? ERR_OK
                              : write_manifest(p, spec, is_deletes, entries.files, entries.count);
}

static enum err merge_parent(struct producer *p, const struct iceberg_manifest *manifests,
                             size_t count)
{
    for (size_t i = 0; i < count; i++) { /* those without a live file go */
        p->merged_count += manifests[i].added_files == 0 && manifests[i].existing_files == 0;
    }
    for (size_t i = 0; i < p->metadata->spec_count * 2; i++) {
        size_t next = 0;
        while (next < count) {
            TRY(merge_some(p, &p->metadata->specs[i / 2], i % 2 == 1, manifests, count, next,
                           &next));
        }
    }
    return ERR_OK;
}

static enum err take_parent(struct producer *p)
{
    struct iceberg_manifest *manifests = NULL;
    size_t count = 0;
    if (p->parent == NULL) {
        return ERR_OK;
    }
    TRY(iceberg_manifests_load(p->change->io, p->metadata, p->parent, p->arena, &manifests, &count,
                               p->info));
    for (size_t i = 0; i < count; i++) {
        if (manifests[i].is_encrypted) {
            return errinfo_set(p->info, ERR_UNSUPPORTED, NULL,
                               "the table has encrypted manifests, which cannot be written");
        }
    }
    if (p->change->merged_bytes > 0 && count >= p->change->merged_least) {
        return merge_parent(p, manifests, count);
    }
    for (size_t i = 0; i < count; i++) {
        /* What has no live entry any more told of the snapshot before. */
        if (manifests[i].added_files == 0 && manifests[i].existing_files == 0) {
            continue;
        }
        TRY(may_hold_removed(p, &manifests[i]) ? rewrite_manifest(p, &manifests[i])
                                               : add_manifest(p, &manifests[i]));
    }
    return ERR_OK;
}

static enum err check_removed(struct producer *p)
{
    return write__paths_all_found(&p->removed) && write__paths_all_found(&p->removed_deletes)
               ? ERR_OK
               : errinfo_set(p->info, ERR_BUSY, "40001",
                             "a file that the statement read is no file of the table any more");
}

/* ---- the snapshot ---- */

static const char *write_list(struct producer *p, enum err *ret_err)
{
    struct buf bytes CLEANUP(buf_fini) = {0};
    struct iceberg_list_write write = {
        .format_version = p->metadata->format_version,
        .snapshot_id = p->change->snapshot_id,
        .parent_id = p->parent == NULL ? ICEBERG_NO_ID : p->parent->id,
        .sequence_number = p->sequence_number,
        .first_row_id = p->metadata->format_version > 2 ? p->first_row_id : ICEBERG_NO_ID,
        .codec = p->codec,
    };
    char *path = arena_printf(p->arena, "%.*s/snap-%lld-1-%s.avro", (int)p->folder.len,
                              p->folder.ptr, (long long)p->change->snapshot_id, p->uuid);
    if (path == NULL) {
        *ret_err = errinfo_nomem(p->info);
        return NULL;
    }
    *ret_err =
        iceberg_manifest_list_write(&write, p->manifests, p->manifest_count, &bytes, p->info);
    if (*ret_err == ERR_OK) {
        *ret_err = create(p, path, buf_slice(&bytes));
    }
    return path;
}

static void write_summary(struct producer *p, struct buf *out)
{
    const struct iceberg_snapshot_change *change = p->change;
    buf_append_str(out, ",\"summary\":{\"operation\":");
    json_write_string(out, slice_of(change->operation));
    for (size_t i = 0; i < change->summary_count; i++) {
        buf_append_char(out, ',');
        json_write_string(out, change->summary[i].key);
        buf_append_char(out, ':');
        json_write_string(out, change->summary[i].value);
    }
    write__tally_print(&p->tally, p->parent, change->removes_all, out);
    buf_append_char(out, '}');
}

static void write_snapshot(struct producer *p, const char *list, struct buf *out)
{
    buf_printf(out, "{\"snapshot-id\":%lld", (long long)p->change->snapshot_id);
    if (p->parent != NULL) {
        buf_printf(out, ",\"parent-snapshot-id\":%lld", (long long)p->parent->id);
    }
    if (p->metadata->format_version > 1) {
        buf_printf(out, ",\"sequence-number\":%lld", (long long)p->sequence_number);
    }
    buf_printf(out, ",\"timestamp-ms\":%lld,\"manifest-list\":", (long long)p->change->now_ms);
    json_write_string(out, slice_of(list));
    write_summary(p, out);
    buf_printf(out, ",\"schema-id\":%d", p->metadata->current_schema_id);
    if (p->metadata->format_version > 2) {
        buf_printf(out, ",\"first-row-id\":%lld,\"added-rows\":%lld", (long long)p->first_row_id,
                   (long long)(p->next_row_id - p->first_row_id));
    }
    buf_append_char(out, '}');
}

static void write_ref(struct producer *p, struct buf *out)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(p->metadata, p->branch);
    buf_append_str(out, "{\"action\":\"set-snapshot-ref\",\"ref-name\":");
    json_write_string(out, p->branch);
    buf_printf(out, ",\"type\":\"branch\",\"snapshot-id\":%lld", (long long)p->change->snapshot_id);
    if (ref != NULL && ref->min_snapshots_to_keep != ICEBERG_NO_ID) {
        buf_printf(out, ",\"min-snapshots-to-keep\":%lld", (long long)ref->min_snapshots_to_keep);
    }
    if (ref != NULL && ref->max_snapshot_age_ms != ICEBERG_NO_ID) {
        buf_printf(out, ",\"max-snapshot-age-ms\":%lld", (long long)ref->max_snapshot_age_ms);
    }
    if (ref != NULL && ref->max_ref_age_ms != ICEBERG_NO_ID) {
        buf_printf(out, ",\"max-ref-age-ms\":%lld", (long long)ref->max_ref_age_ms);
    }
    buf_append_char(out, '}');
}

static void write_requirements(struct producer *p, struct buf *out)
{
    buf_append_char(out, '[');
    if (p->metadata->uuid.len > 0) {
        buf_append_str(out, "{\"type\":\"assert-table-uuid\",\"uuid\":");
        json_write_string(out, p->metadata->uuid);
        buf_append_str(out, "},");
    }
    buf_append_str(out, "{\"type\":\"assert-ref-snapshot-id\",\"ref\":");
    json_write_string(out, p->branch);
    buf_append_str(out, ",\"snapshot-id\":");
    if (p->parent == NULL) {
        buf_append_str(out, "null}");
    } else {
        buf_printf(out, "%lld}", (long long)p->parent->id);
    }
    /* Rows were checked against this schema: a column may be NOT NULL in the next. */
    buf_printf(out, ",{\"type\":\"assert-current-schema-id\",\"current-schema-id\":%d}]",
               p->metadata->current_schema_id);
}

static enum err write_change(struct producer *p, const char *list,
                             struct iceberg_snapshot_written *out)
{
    struct buf updates CLEANUP(buf_fini) = {0};
    struct buf requirements CLEANUP(buf_fini) = {0};
    buf_append_str(&updates, "[{\"action\":\"add-snapshot\",\"snapshot\":");
    write_snapshot(p, list, &updates);
    buf_append_char(&updates, '}');
    if (!p->change->is_staged) {
        buf_append_char(&updates, ',');
        write_ref(p, &updates);
    }
    buf_append_char(&updates, ']');
    write_requirements(p, &requirements);
    return !buf_failed(&updates) && !buf_failed(&requirements) &&
                   arena_slice(p->arena, buf_slice(&updates), &out->updates) &&
                   arena_slice(p->arena, buf_slice(&requirements), &out->requirements)
               ? ERR_OK
               : errinfo_nomem(p->info);
}

static enum err produce(struct producer *p, struct iceberg_snapshot_written *out)
{
    enum err err = ERR_OK;
    TRY(add_files(p));
    TRY(take_parent(p));
    TRY(check_removed(p));
    const char *list = write_list(p, &err);
    TRY(err);
    return write_change(p, list, out);
}

static enum err find_parent(struct producer *p)
{
    const struct iceberg_ref *ref = iceberg_metadata_ref(p->metadata, p->branch);
    if (ref != NULL && ref->is_tag) {
        return errinfo_set(p->info, ERR_INVALID, NULL, "\"%.*s\" is a tag, which is not written to",
                           SLICE_ARGS(p->branch));
    }
    bool is_main = slice_equal(p->branch, SLICE("main"));
    int64_t id = ref != NULL ? ref->snapshot_id
                 : is_main   ? p->metadata->current_snapshot_id
                             : ICEBERG_NO_ID;
    p->parent = id == ICEBERG_NO_ID ? NULL : iceberg_metadata_snapshot(p->metadata, id);
    return ERR_OK;
}

/* Java's words for the codec of metadata files. */
static enum avro_output_codec codec_of(const struct iceberg_metadata *metadata)
{
    struct slice name = iceberg_metadata_property(metadata, "write.avro.compression-codec");
    return slice_equal_fold(name, SLICE("uncompressed")) ? AVRO_OUTPUT_NULL
           : slice_equal_fold(name, SLICE("zstd"))       ? AVRO_OUTPUT_ZSTANDARD
                                                         : AVRO_OUTPUT_DEFLATE;
}

enum err iceberg_snapshot_write(const struct iceberg_snapshot_change *change, struct arena *arena,
                                struct iceberg_snapshot_written *ret_written, struct errinfo *info)
{
    const struct iceberg_metadata *metadata = change->metadata;
    struct producer p = {.change = change,
                         .metadata = metadata,
                         .branch = change->branch.len > 0 ? change->branch : SLICE("main"),
                         .arena = arena,
                         .first_row_id = metadata->next_row_id,
                         .next_row_id = metadata->next_row_id,
                         .codec = codec_of(metadata),
                         .info = info};
    struct iceberg_snapshot_written written = {.snapshot_id = change->snapshot_id,
                                               .parent_id = ICEBERG_NO_ID};
    *ret_written = written;
    if (metadata->has_encryption_keys) {
        return errinfo_set(info, ERR_UNSUPPORTED, NULL, "an encrypted table cannot be written");
    }
    if (uuid_new(p.uuid) != ERR_OK) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
    }
    p.sequence_number = metadata->format_version > 1 ? metadata->last_sequence_number + 1 : 0;
    TRY(find_parent(&p));
    TRY(iceberg_metadata_folder(metadata, arena, &p.folder, info));
    TRY(write__paths_open(&p.removed, change->removed, change->removed_count, arena, info));
    TRY(write__paths_open(&p.replaced, change->replaced, change->replaced_count, arena, info));
    TRY(write__paths_open(&p.removed_deletes, change->removed_deletes, change->removed_delete_count,
                          arena, info));
    enum err err = produce(&p, &written);
    write__tally_fini(&p.tally);
    written.parent_id = p.parent == NULL ? ICEBERG_NO_ID : p.parent->id;
    written.merged_count = p.merged_count;
    written.locations = p.locations;
    written.location_count = p.location_count;
    *ret_written = written;
    return err;
}

enum err iceberg_snapshot_new_id(const struct iceberg_metadata *metadata, int64_t *ret_id,
                                 struct errinfo *info)
{
    uint64_t bits = 0;
    do {
        if (random_bytes(&bits, sizeof(bits)) != ERR_OK) {
            return errinfo_set(info, ERR_INTERNAL, NULL, "there are no random numbers");
        }
        bits >>= 1;
    } while (bits == 0 || iceberg_metadata_snapshot(metadata, (int64_t)bits) != NULL);
    *ret_id = (int64_t)bits;
    return ERR_OK;
}

static enum err folder_of(const struct iceberg_metadata *metadata, const char *property,
                          const char *name, struct arena *arena, struct slice *ret_folder,
                          struct errinfo *info)
{
    struct slice given = iceberg_metadata_property(metadata, property);
    while (given.len > 1 && given.ptr[given.len - 1] == '/') {
        given.len--;
    }
    char *path = given.len > 0 ? arena_slicedup(arena, given)
                               : arena_printf(arena, "%.*s/%s", (int)metadata->location.len,
                                              metadata->location.ptr, name);
    if (path == NULL) {
        return errinfo_nomem(info);
    }
    *ret_folder = slice_of(path);
    return ERR_OK;
}

enum err iceberg_metadata_folder(const struct iceberg_metadata *metadata, struct arena *arena,
                                 struct slice *ret_folder, struct errinfo *info)
{
    return folder_of(metadata, "write.metadata.path", "metadata", arena, ret_folder, info);
}

enum err iceberg_data_folder(const struct iceberg_metadata *metadata, struct arena *arena,
                             struct slice *ret_folder, struct errinfo *info)
{
    return folder_of(metadata, "write.data.path", "data", arena, ret_folder, info);
}
