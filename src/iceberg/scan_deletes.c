/* Which deletes apply to which data files (spec "Scan Planning").
 *
 * Deletes are grouped by what finds them (a path, a partition, nothing for global ones) and sorted
 * by sequence number within a group, so that a data file takes the end of each of its groups. */
#include "base/mem.h"
#include "iceberg/scan_int.h"

#define PATH_FIELD_ID 2147483546 /* file_path of position delete files (reserved field ids) */

/* ---- kinds of deletes ---- */

static bool is_vector(const struct iceberg_file *file)
{
    return file->format == ICEBERG_PUFFIN;
}

static bool is_global(const struct scan__plan *plan, const struct iceberg_file *file)
{
    const struct scan__spec *spec = scan__find_spec(plan, file->spec_id);
    return file->content == ICEBERG_EQUALITY_DELETES && spec->is_unpartitioned;
}

/* The one data file that a position delete file or vector is about; ptr NULL = several. */
static struct slice target_path(const struct iceberg_file *file)
{
    if (file->content != ICEBERG_POSITION_DELETES || file->referenced_data_file.ptr != NULL) {
        return file->referenced_data_file;
    }
    for (size_t i = 0; i < file->metrics_count; i++) {
        const struct iceberg_metrics *metrics = &file->metrics[i];
        if (metrics->field_id == PATH_FIELD_ID && metrics->lower.ptr != NULL &&
            metrics->upper.ptr != NULL && slice_equal(metrics->lower, metrics->upper)) {
            return metrics->lower;
        }
    }
    return (struct slice){NULL, 0};
}

/* ---- targets ---- */

static bool add_target(struct scan__map *map, struct slice key, int64_t sequence)
{
    int64_t *least = scan__map_at(map, key, sequence);
    if (least == NULL) {
        return false;
    }
    *least = *least < sequence ? *least : sequence;
    return true;
}

enum err scan__targets_build(const struct scan__plan *plan, const struct scan__task *tasks,
                             size_t task_count, struct scan__targets *ret_targets)
{
    struct buf key CLEANUP(buf_fini) = {0};
    struct scan__targets targets = {
        .paths.arena = plan->scratch, .partitions.arena = plan->scratch, .sequence_min = INT64_MAX};
    for (size_t t = 0; t < task_count; t++) {
        for (size_t i = 0; i < tasks[t].kept.count; i++) {
            const struct iceberg_file *file = &tasks[t].kept.files[i];
            buf_reset(&key);
            scan__partition_key(file->spec_id, file->partition, file->partition_count, &key);
            if (buf_failed(&key) ||
                !add_target(&targets.partitions, buf_slice(&key), file->sequence_number) ||
                !add_target(&targets.paths, file->path, file->sequence_number)) {
                return ERR_NOMEM;
            }
            targets.sequence_min = file->sequence_number < targets.sequence_min
                                       ? file->sequence_number
                                       : targets.sequence_min;
        }
    }
    *ret_targets = targets;
    return ERR_OK;
}

enum err scan__targets_has(const struct scan__plan *plan, const struct scan__targets *targets,
                           const struct iceberg_file *file, struct buf *key, bool *ret_applies)
{
    struct slice path = target_path(file);
    if (is_global(plan, file)) {
        *ret_applies = file->sequence_number > targets->sequence_min;
        return ERR_OK;
    }
    if (file->content == ICEBERG_POSITION_DELETES && path.ptr != NULL) {
        const int64_t *sequence = scan__map_find(&targets->paths, path);
        /* A vector that is too old is an error, which is found when it is matched. */
        *ret_applies = sequence != NULL && (is_vector(file) || file->sequence_number >= *sequence);
        return ERR_OK;
    }
    buf_reset(key);
    scan__partition_key(file->spec_id, file->partition, file->partition_count, key);
    if (buf_failed(key)) {
        return ERR_NOMEM;
    }
    const int64_t *sequence = scan__map_find(&targets->partitions, buf_slice(key));
    *ret_applies = sequence != NULL &&
                   (file->content == ICEBERG_EQUALITY_DELETES ? file->sequence_number > *sequence
                                                              : file->sequence_number >= *sequence);
    return ERR_OK;
}

/* ---- the index ---- */

struct item {
    int64_t group;
    int64_t sequence;
    uint32_t delete_index;
};

struct scan__deletes {
    const struct iceberg_file *const *files;
    struct scan__map groups; /* key to number */
    struct item *items;      /* by group, sequence, index */
    size_t *group_starts;    /* and the end of the last */
};

/* 'v' a path's vectors, 'f' its position delete files, 'p' those of a partition, 'e' its equality
 * deletes, 'g' global ones. */
static bool make_key(char kind, const struct iceberg_file *file, struct slice path, struct buf *key)
{
    buf_reset(key);
    buf_append_char(key, kind);
    if (kind == 'v' || kind == 'f') {
        buf_append_slice(key, path);
    } else if (kind != 'g') {
        scan__partition_key(file->spec_id, file->partition, file->partition_count, key);
    }
    return !buf_failed(key);
}

static char kind_of(const struct scan__plan *plan, const struct iceberg_file *file)
{
    if (file->content == ICEBERG_EQUALITY_DELETES) {
        return is_global(plan, file) ? 'g' : 'e';
    }
    if (is_vector(file)) {
        return 'v';
    }
    return target_path(file).ptr != NULL ? 'f' : 'p';
}

static int compare_items(const void *a, const void *b)
{
    const struct item *left = a;
    const struct item *right = b;
    if (left->group != right->group) {
        return left->group < right->group ? -1 : 1;
    }
    if (left->sequence != right->sequence) {
        return left->sequence < right->sequence ? -1 : 1;
    }
    return (left->delete_index > right->delete_index) - (left->delete_index < right->delete_index);
}

enum err scan__deletes_build(const struct scan__plan *plan, const struct iceberg_file *const *files,
                             size_t count, const struct scan__deletes **ret_deletes)
{
    struct buf key CLEANUP(buf_fini) = {0};
    struct scan__deletes *deletes = arena_calloc(plan->scratch, 1, sizeof(*deletes));
    if (deletes == NULL) {
        return ERR_NOMEM;
    }
    deletes->files = files;
    deletes->groups.arena = plan->scratch;
    deletes->items = arena_calloc(plan->scratch, count + 1, sizeof(*deletes->items));
    for (size_t i = 0; i < count && deletes->items != NULL; i++) {
        if (!make_key(kind_of(plan, files[i]), files[i], target_path(files[i]), &key)) {
            return ERR_NOMEM;
        }
        int64_t *group =
            scan__map_at(&deletes->groups, buf_slice(&key), (int64_t)deletes->groups.count);
        if (group == NULL) {
            return ERR_NOMEM;
        }
        deletes->items[i] = (struct item){
            .group = *group, .sequence = files[i]->sequence_number, .delete_index = (uint32_t)i};
    }
    deletes->group_starts =
        arena_calloc(plan->scratch, deletes->groups.count + 1, sizeof(*deletes->group_starts));
    if (deletes->items == NULL || deletes->group_starts == NULL) {
        return ERR_NOMEM;
    }
    qsort(deletes->items, count, sizeof(*deletes->items), compare_items);
    for (size_t i = 0; i < count; i++) {
        deletes->group_starts[deletes->items[i].group + 1] = i + 1;
    }
    *ret_deletes = deletes;
    return ERR_OK;
}

/* The deletes of a group from a sequence number on. */
static enum err find_group(const struct scan__deletes *deletes, char kind,
                           const struct iceberg_file *file, int64_t sequence, struct buf *key,
                           const struct item **ret_items, size_t *ret_count)
{
    *ret_count = 0;
    if (!make_key(kind, file, file->path, key)) {
        return ERR_NOMEM;
    }
    const int64_t *group = scan__map_find(&deletes->groups, buf_slice(key));
    if (group == NULL) {
        return ERR_OK;
    }
    size_t from = deletes->group_starts[*group];
    size_t end = deletes->group_starts[*group + 1];
    size_t to = end;
    while (from < to) {
        size_t middle = from + (to - from) / 2;
        if (deletes->items[middle].sequence < sequence) {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    *ret_items = deletes->items + from;
    *ret_count = end - from;
    return ERR_OK;
}

/* ---- equality deletes by statistics ---- */

static const struct iceberg_field *find_field(const struct scan__plan *plan, int32_t id)
{
    const struct iceberg_metadata *metadata = plan->options->metadata;
    const struct iceberg_field *field = iceberg_schema_find_id(plan->options->schema, id, NULL);
    for (size_t i = metadata->schema_count; field == NULL && i > 0; i--) {
        field = iceberg_schema_find_id(&metadata->schemas[i - 1], id, NULL);
    }
    return field;
}

static bool are_apart(const struct iceberg__facts *a, const struct iceberg__facts *b)
{
    int order;
    return (a->has_upper && b->has_lower && iceberg__compare(&a->upper, &b->lower, &order) &&
            order < 0) ||
           (b->has_upper && a->has_lower && iceberg__compare(&b->upper, &a->lower, &order) &&
            order < 0);
}

/* False if in some equality column no value of the data file equals one of the deletes. */
static bool may_share_rows(const struct scan__plan *plan, const struct iceberg_file *data,
                           const struct iceberg_file *delete)
{
    for (size_t i = 0; i < delete->equality_id_count; i++) {
        struct iceberg__facts have;
        struct iceberg__facts gone;
        const struct iceberg_field *field = find_field(plan, delete->equality_ids[i]);
        if (field == NULL) {
            continue;
        }
        struct iceberg_value like = {.type = field->type.id, .scale = field->type.scale};
        struct iceberg_expression leaf = {
            .op = ICEBERG_EQUAL, .field_id = field->id, .values = &like, .value_count = 1};
        if (!iceberg__facts_of_metrics((void *)(uintptr_t)data, &leaf, &have) ||
            !iceberg__facts_of_metrics((void *)(uintptr_t) delete, &leaf, &gone)) {
            continue;
        }
        if (!(have.may_be_null && gone.may_be_null) && !(have.may_be_nan && gone.may_be_nan) &&
            !(have.may_be_value && gone.may_be_value && !are_apart(&have, &gone))) {
            return false;
        }
    }
    return true;
}

/* ---- matching ---- */

struct matched {
    uint32_t *indices;
    size_t count;
    size_t capacity;
};

static void matched_fini(struct matched *matched)
{
    mem_free(matched->indices);
}

static bool matched_add(struct matched *matched, uint32_t delete_index)
{
    if (matched->count == matched->capacity) {
        size_t capacity = matched->capacity == 0 ? 8 : matched->capacity * 2;
        uint32_t *grown = mem_realloc(matched->indices, capacity * sizeof(*grown));
        if (grown == NULL) {
            return false;
        }
        matched->indices = grown;
        matched->capacity = capacity;
    }
    matched->indices[matched->count++] = delete_index;
    return true;
}

static int compare_indices(const void *a, const void *b)
{
    uint32_t left = *(const uint32_t *)a;
    uint32_t right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static enum err matched_copy(struct matched *matched, struct arena *arena,
                             const uint32_t **ret_indices, size_t *ret_count)
{
    uint32_t *copy = NULL;
    if (matched->count > 0) {
        copy = arena_calloc(arena, matched->count, sizeof(*copy));
        if (copy == NULL) {
            return ERR_NOMEM;
        }
        qsort(matched->indices, matched->count, sizeof(*copy), compare_indices);
        memcpy(copy, matched->indices, matched->count * sizeof(*copy));
    }
    *ret_indices = copy;
    *ret_count = matched->count;
    return ERR_OK;
}

/* A delete that names a data file must be of its partition. */
static enum err check_partition(const struct scan__plan *plan, const struct iceberg_file *data,
                                const struct iceberg_file *delete)
{
    struct buf left CLEANUP(buf_fini) = {0};
    struct buf right CLEANUP(buf_fini) = {0};
    scan__partition_key(data->spec_id, data->partition, data->partition_count, &left);
    scan__partition_key(delete->spec_id, delete->partition, delete->partition_count, &right);
    if (buf_failed(&left) || buf_failed(&right)) {
        return errinfo_nomem(plan->info);
    }
    return slice_equal(buf_slice(&left), buf_slice(&right))
               ? ERR_OK
               : errinfo_set(plan->info, ERR_CORRUPT, NULL,
                             "deletes of one data file belong to another partition than the file");
}

static enum err find_vector(const struct scan__plan *plan, const struct scan__deletes *deletes,
                            const struct iceberg_file *file, struct buf *key,
                            struct matched *matched)
{
    const struct item *items = NULL;
    size_t count = 0;
    if (find_group(deletes, 'v', file, INT64_MIN, key, &items, &count) != ERR_OK) {
        return errinfo_nomem(plan->info);
    }
    if (count == 0) {
        return ERR_OK;
    }
    if (count > 1) {
        return errinfo_set(plan->info, ERR_CORRUPT, NULL,
                           "%zu deletion vectors are about one data file", count);
    }
    if (items[0].sequence < file->sequence_number) {
        return errinfo_set(plan->info, ERR_CORRUPT, NULL,
                           "a deletion vector is older (%lld) than its data file (%lld)",
                           (long long)items[0].sequence, (long long)file->sequence_number);
    }
    TRY(check_partition(plan, file, deletes->files[items[0].delete_index]));
    return matched_add(matched, items[0].delete_index) ? ERR_OK : errinfo_nomem(plan->info);
}

static enum err find_positions(const struct scan__plan *plan, const struct scan__deletes *deletes,
                               const struct iceberg_file *file, struct buf *key,
                               struct matched *matched)
{
    static const char kinds[] = {'f', 'p'};
    for (size_t k = 0; k < sizeof(kinds); k++) {
        const struct item *items = NULL;
        size_t count = 0;
        if (find_group(deletes, kinds[k], file, file->sequence_number, key, &items, &count) !=
            ERR_OK) {
            return errinfo_nomem(plan->info);
        }
        for (size_t i = 0; i < count; i++) {
            if (kinds[k] == 'f') {
                TRY(check_partition(plan, file, deletes->files[items[i].delete_index]));
            }
            if (!matched_add(matched, items[i].delete_index)) {
                return errinfo_nomem(plan->info);
            }
        }
    }
    return ERR_OK;
}

static enum err find_equalities(const struct scan__plan *plan, const struct scan__deletes *deletes,
                                const struct iceberg_file *file, struct buf *key,
                                struct matched *matched)
{
    static const char kinds[] = {'g', 'e'};
    if (file->sequence_number == INT64_MAX) {
        return ERR_OK;
    }
    for (size_t k = 0; k < sizeof(kinds); k++) {
        const struct item *items = NULL;
        size_t count = 0;
        if (find_group(deletes, kinds[k], file, file->sequence_number + 1, key, &items, &count) !=
            ERR_OK) {
            return errinfo_nomem(plan->info);
        }
        for (size_t i = 0; i < count; i++) {
            uint32_t at = items[i].delete_index;
            if (may_share_rows(plan, file, deletes->files[at]) && !matched_add(matched, at)) {
                return errinfo_nomem(plan->info);
            }
        }
    }
    return ERR_OK;
}

enum err scan__deletes_find(const struct scan__plan *plan, const struct scan__deletes *deletes,
                            const struct iceberg_file *file, struct arena *arena,
                            struct iceberg_scan_file *ret_file)
{
    struct buf key CLEANUP(buf_fini) = {0};
    struct matched positions CLEANUP(matched_fini) = {0};
    struct matched equalities CLEANUP(matched_fini) = {0};
    TRY(find_vector(plan, deletes, file, &key, &positions));
    if (positions.count == 0) { /* a vector holds all deletes that were there before it */
        TRY(find_positions(plan, deletes, file, &key, &positions));
    }
    TRY(find_equalities(plan, deletes, file, &key, &equalities));
    if (matched_copy(&positions, arena, &ret_file->deletes, &ret_file->delete_count) != ERR_OK ||
        matched_copy(&equalities, arena, &ret_file->equality_deletes,
                     &ret_file->equality_delete_count) != ERR_OK) {
        return errinfo_nomem(plan->info);
    }
    return ERR_OK;
}
