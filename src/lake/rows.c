#include "lake/rows.h"

#include "base/mem.h"
#include "iceberg/deletes.h"
#include "lake/lake_int.h"

struct lake_rows {
    struct arena *arena; /* of paths */
    struct lake_map paths;
    struct iceberg_positions **positions; /* by number of the path */
    size_t capacity;
    uint64_t added;
};

enum err lake_rows_open(struct lake_rows **ret_rows, struct errinfo *info)
{
    struct lake_rows *rows CLEANUP(lake_rows_cleanup) = mem_calloc(1, sizeof(*rows));
    if (rows == NULL) {
        return errinfo_nomem(info);
    }
    rows->arena = arena_new(NULL, "rows", 0);
    if (rows->arena == NULL) {
        return errinfo_nomem(info);
    }
    *ret_rows = TAKE(rows);
    return ERR_OK;
}

void lake_rows_close(struct lake_rows *rows)
{
    if (rows == NULL) {
        return;
    }
    for (size_t i = 0; i < rows->paths.count && i < rows->capacity; i++) {
        iceberg_positions_close(rows->positions[i]);
    }
    mem_free(rows->positions);
    lake__map_fini(&rows->paths);
    arena_free(rows->arena);
    mem_free(rows);
}

static enum err need_room(struct lake_rows *rows, struct errinfo *info)
{
    if (rows->paths.count < rows->capacity) {
        return ERR_OK;
    }
    size_t capacity = rows->capacity == 0 ? 16 : rows->capacity * 2;
    struct iceberg_positions **grown =
        mem_realloc(rows->positions, capacity * sizeof(struct iceberg_positions *));
    if (grown == NULL) {
        return errinfo_nomem(info);
    }
    memset(grown + rows->capacity, 0,
           (capacity - rows->capacity) * sizeof(struct iceberg_positions *));
    rows->positions = grown;
    rows->capacity = capacity;
    return ERR_OK;
}

static enum err find_file(struct lake_rows *rows, struct slice path, size_t *ret_number,
                          struct errinfo *info)
{
    struct slice kept;
    if (lake__map_find(&rows->paths, path, ret_number)) {
        return ERR_OK;
    }
    TRY(need_room(rows, info));
    if (!arena_slice(rows->arena, path, &kept) ||
        lake__map_add(&rows->paths, kept, ret_number, NULL) != ERR_OK) {
        return errinfo_nomem(info);
    }
    return iceberg_positions_open(&rows->positions[*ret_number], info);
}

enum err lake_rows_add(struct lake_rows *rows, const struct ArrowArray *batch, struct errinfo *info)
{
    /* VARCHAR and BIGINT with plain 32-bit offsets (engine.h). */
    const struct ArrowArray *paths = batch->children[0];
    const struct ArrowArray *numbers = batch->children[1];
    const int32_t *offsets = (const int32_t *)paths->buffers[1] + paths->offset;
    const char *text = paths->buffers[2];
    const int64_t *positions = (const int64_t *)numbers->buffers[1] + numbers->offset;
    if (paths->null_count != 0 || numbers->null_count != 0) {
        return errinfo_set(info, ERR_INTERNAL, NULL, "a row does not say where it is stored");
    }
    rows->added += (uint64_t)batch->length;
    for (int64_t i = 0, end; i < batch->length; i = end) {
        struct slice path = {text + offsets[i], (size_t)(offsets[i + 1] - offsets[i])};
        size_t number;
        for (end = i + 1; end < batch->length; end++) {
            struct slice next = {text + offsets[end], (size_t)(offsets[end + 1] - offsets[end])};
            if (!slice_equal(path, next)) {
                break;
            }
        }
        TRY(find_file(rows, path, &number, info));
        TRY(iceberg_positions_add(rows->positions[number], positions + i, (size_t)(end - i), info));
    }
    return ERR_OK;
}

enum err lake_rows_touch(struct lake_rows *rows, struct slice path, struct errinfo *info)
{
    size_t number;
    return find_file(rows, path, &number, info);
}

uint64_t lake_rows_added(const struct lake_rows *rows)
{
    return rows->added;
}

uint64_t lake_rows_count(const struct lake_rows *rows)
{
    uint64_t count = 0;
    for (size_t i = 0; i < rows->paths.count; i++) {
        count += rows->positions[i] == NULL ? 0 : iceberg_positions_count(rows->positions[i]);
    }
    return count;
}

enum err lake_rows_add_deleted(struct lake_rows *rows, struct engine *engine,
                               const struct lake_source *source,
                               const struct iceberg_scan_plan *plan, struct errinfo *info)
{
    struct lake_deletes *deletes CLEANUP(lake__deletes_cleanup) = NULL;
    TRY(lake__deletes_open(engine, source, NULL, &deletes, info));
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *file = &plan->files[i];
        size_t number;
        if (file->delete_count > 0 && lake__map_find(&rows->paths, file->file.path, &number)) {
            TRY(lake__deletes_add(deletes, number, file->file.path, plan, file, info));
        }
    }
    for (size_t i = 0; i < rows->paths.count; i++) {
        if (lake__deletes_has(deletes, i)) {
            TRY(lake__deletes_copy(deletes, i, rows->positions[i], info));
        }
    }
    return ERR_OK;
}

enum err lake_rows_subset(const struct lake_rows *rows, struct arena *arena,
                          struct lake_subset *ret_subset, struct errinfo *info)
{
    size_t count = rows->paths.count;
    struct slice *paths = arena_calloc(arena, count + 1, sizeof(*paths));
    const struct iceberg_positions **dead =
        arena_calloc(arena, count + 1, sizeof(struct iceberg_positions *));
    if (paths == NULL || dead == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        paths[i] = rows->paths.keys[i];
        dead[i] = rows->positions[i];
    }
    *ret_subset = (struct lake_subset){paths, dead, count};
    return ERR_OK;
}
