/* Columns of a relation, and what keeps their identity when the relation is made anew.
 *
 * Policy refers to column ids only, so a wrong match would unmask. A new column takes the id of
 * the old one that comes from the same source; only then may one of the same name, that no other
 * claims, be meant. Rejected: matching by name first (a table whose masked column was renamed and
 * that is then replaced would get its source column back under a new, unmasked id). */
#include "system/change_int.h"

#define COLUMNS_MAX 16384u
#define COLUMN_NAME_BYTES_MAX 1024u
#define COLUMN_TYPE_BYTES_MAX (1024u * 1024)

enum err system__load_columns(struct system *system, int64_t relation_id, struct arena *arena,
                              struct relation_column **ret_columns, size_t *ret_count,
                              struct errinfo *info)
{
    struct cursor cursor CLEANUP(system__close_cursor) = {0};
    struct row_list list = {.item_bytes = sizeof(struct relation_column)};
    void *item;
    TRY(system__open_cursor(system,
                            "SELECT id, name, source, type FROM relation_column"
                            " WHERE relation = ?1 ORDER BY ordinal",
                            VALUES(INT(relation_id)), &cursor, info));
    for (;;) {
        TRY(system__next_item(&cursor, arena, &list, &item, info));
        struct relation_column *column = item;
        if (column == NULL) {
            break;
        }
        column->id = (uint32_t)system__int(&cursor, 0);
        TRY(system__text(&cursor, 1, arena, &column->name, info));
        TRY(system__text(&cursor, 2, arena, &column->source, info));
        TRY(system__text(&cursor, 3, arena, &column->type, info));
    }
    *ret_columns = list.items;
    *ret_count = list.count;
    return ERR_OK;
}

/* Lenient: they come from files. */
static bool is_text(struct slice text, size_t bytes_max)
{
    return text.len > 0 && text.len <= bytes_max && slice_is_utf8(text, NULL) &&
           memchr(text.ptr, '\0', text.len) == NULL;
}

static enum err bad_name(struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "42602", "the name of a column is not valid");
    errinfo_hint(info, "Names have 1 to %u bytes of UTF-8 without NUL.", COLUMN_NAME_BYTES_MAX);
    return ERR_INVALID;
}

static int compare_names(const void *a, const void *b)
{
    return slice_compare_fold(*(const struct slice *)a, *(const struct slice *)b);
}

static enum err check_unique(const struct relation_column *columns, size_t count,
                             struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "columns", 0);
    struct slice *names = arena == NULL ? NULL : arena_calloc(arena, count, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        names[i] = columns[i].name;
    }
    qsort(names, count, sizeof(*names), compare_names);
    for (size_t i = 1; i < count; i++) {
        if (slice_equal_fold(names[i], names[i - 1])) {
            (void)errinfo_set(info, ERR_INVALID, "42701", "column \"%.*s\" is there twice",
                              SLICE_ARGS(names[i]));
            errinfo_hint(info, "Give one of them another name, with AS in a view.");
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

enum err system__check_columns(const struct relation_column *columns, size_t count,
                               struct errinfo *info)
{
    if (count == 0 || count > COLUMNS_MAX) {
        return errinfo_set(info, count == 0 ? ERR_INVALID : ERR_LIMIT, NULL,
                           "a table or view has 1 to %u columns, not %zu", COLUMNS_MAX, count);
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_text(columns[i].name, COLUMN_NAME_BYTES_MAX) ||
            !is_text(columns[i].source, COLUMN_NAME_BYTES_MAX)) {
            return bad_name(info);
        }
        if (!is_text(columns[i].type, COLUMN_TYPE_BYTES_MAX)) {
            return errinfo_set(info, ERR_INVALID, NULL, "the type of column \"%.*s\" is not valid",
                               SLICE_ARGS(columns[i].name));
        }
    }
    return check_unique(columns, count, info);
}

/* ---- identity ---- */

/* Old columns sorted by one of their texts, to be found by it. */
struct column_index {
    const struct relation_column **sorted;
    size_t count;
    bool is_by_source;
};

static struct slice key_of(const struct relation_column *column, bool is_by_source)
{
    return is_by_source ? column->source : column->name;
}

static int compare_sources(const void *a, const void *b)
{
    return slice_compare_fold((*(const struct relation_column *const *)a)->source,
                              (*(const struct relation_column *const *)b)->source);
}

static int compare_column_names(const void *a, const void *b)
{
    return slice_compare_fold((*(const struct relation_column *const *)a)->name,
                              (*(const struct relation_column *const *)b)->name);
}

static bool make_index(const struct relation_column *columns, size_t count, bool is_by_source,
                       struct arena *arena, struct column_index *ret_index)
{
    const struct relation_column **sorted = arena_calloc(arena, count, sizeof(*sorted));
    if (sorted == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        sorted[i] = &columns[i];
    }
    qsort(sorted, count, sizeof(*sorted), is_by_source ? compare_sources : compare_column_names);
    *ret_index = (struct column_index){sorted, count, is_by_source};
    return true;
}

/* The unclaimed old column of this key, preferring the same case; NULL if there is none. */
static const struct relation_column *find_old(const struct column_index *index, struct slice key,
                                              const struct relation_column *old,
                                              const bool *claimed)
{
    size_t low = 0, high = index->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct slice at = key_of(index->sorted[middle], index->is_by_source);
        if (slice_compare_fold(at, key) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const struct relation_column *best = NULL;
    for (; low < index->count; low++) {
        const struct relation_column *at = index->sorted[low];
        struct slice text = key_of(at, index->is_by_source);
        if (!slice_equal_fold(text, key)) {
            break;
        }
        if (!claimed[at - old] && (best == NULL || slice_equal(text, key))) {
            best = at;
        }
    }
    return best;
}

/* Sets ids of `columns` (a copy); those without a match get new ones from `next_id`. */
static enum err match(const struct relation_column *old, size_t old_count, bool keep_names,
                      struct relation_column *columns, size_t count, uint32_t *next_id,
                      struct arena *arena, struct errinfo *info)
{
    bool *claimed = arena_calloc(arena, old_count + 1, sizeof(*claimed));
    struct column_index by_source, by_name;
    if (claimed == NULL || !make_index(old, old_count, true, arena, &by_source) ||
        !make_index(old, old_count, false, arena, &by_name)) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        const struct relation_column *same = find_old(&by_source, columns[i].source, old, claimed);
        columns[i].id = same == NULL ? 0 : same->id;
        if (same != NULL) {
            claimed[same - old] = true;
            columns[i].name = keep_names ? same->name : columns[i].name;
        }
    }
    for (size_t i = 0; i < count; i++) {
        if (columns[i].id != 0) {
            continue;
        }
        /* A re-read of the files (keep_names) knows nothing but sources. */
        const struct relation_column *same =
            keep_names ? NULL : find_old(&by_name, columns[i].name, old, claimed);
        if (same != NULL) {
            claimed[same - old] = true;
            columns[i].id = same->id;
        } else if (*next_id == UINT32_MAX) {
            return errinfo_set(info, ERR_LIMIT, NULL, "the relation has had too many columns");
        } else {
            columns[i].id = (*next_id)++;
        }
    }
    return ERR_OK;
}

static enum err insert(struct system *system, int64_t relation_id,
                       const struct relation_column *columns, size_t count, struct errinfo *info)
{
    TRY(system__run(system, "DELETE FROM relation_column WHERE relation = ?1",
                    VALUES(INT(relation_id)), info));
    for (size_t i = 0; i < count; i++) {
        TRY(system__run(system,
                        "INSERT INTO relation_column (relation, ordinal, id, name, source, type)"
                        " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                        VALUES(INT(relation_id), INT(i), INT(columns[i].id), TEXT(columns[i].name),
                               TEXT(columns[i].source), TEXT(columns[i].type)),
                        info));
    }
    return ERR_OK;
}

enum err system__store_columns(struct system *system, const struct relation_row *relation,
                               const struct relation_column *columns, size_t count, bool keep_names,
                               struct arena *arena, struct errinfo *info)
{
    struct relation_column *old;
    size_t old_count;
    uint32_t next_id = relation->next_column_id;
    struct relation_column *matched = arena_calloc(arena, count, sizeof(*matched));
    if (matched == NULL) {
        return errinfo_nomem(info);
    }
    memcpy(matched, columns, count * sizeof(*matched));
    TRY(system__load_columns(system, relation->id, arena, &old, &old_count, info));
    TRY(match(old, old_count, keep_names, matched, count, &next_id, arena, info));
    enum err err = check_unique(matched, count, info);
    if (err == ERR_INVALID && keep_names) {
        errinfo_hint(info, "The files have a new column of that name: rename the old one first.");
    }
    TRY(err);
    TRY(insert(system, relation->id, matched, count, info));
    return system__run(system,
                       "UPDATE relation SET next_column_id = ?2, version = ?3 WHERE id = ?1",
                       VALUES(INT(relation->id), INT(next_id), INT(system->next_version)), info);
}

/* ---- rename ---- */

enum err system__rename_column(struct system *system, const struct actor *actor,
                               struct change *change, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "rename", 0);
    struct relation_row relation;
    struct slice column = change->column;
    struct slice new_name = change->text;
    bool found = false;
    int64_t id = 0, other = 0;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_own_relation(system, actor, &change->name, arena, &relation, info));
    if (!is_text(new_name, COLUMN_NAME_BYTES_MAX)) {
        return bad_name(info);
    }
    TRY(system__number(system, "SELECT id FROM relation_column WHERE relation = ?1 AND name = ?2",
                       VALUES(INT(relation.id), TEXT(column)), &found, &id, info));
    if (!found) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42703",
                          "column \"%.*s\" of \"%.*s\" does not exist", SLICE_ARGS(column),
                          SLICE_ARGS(relation.name));
        system__suggest(system, "SELECT name FROM relation_column WHERE relation = ?1",
                        VALUES(INT(relation.id)), column, info);
        return ERR_NOT_FOUND;
    }
    TRY(system__number(system, "SELECT id FROM relation_column WHERE relation = ?1 AND name = ?2",
                       VALUES(INT(relation.id), TEXT(new_name)), &found, &other, info));
    if (found && other != id) {
        return errinfo_set(info, ERR_EXISTS, "42701", "column \"%.*s\" of \"%.*s\" already exists",
                           SLICE_ARGS(new_name), SLICE_ARGS(relation.name));
    }
    TRY(system__run(system, "UPDATE relation_column SET name = ?3 WHERE relation = ?1 AND id = ?2",
                    VALUES(INT(relation.id), INT(id), TEXT(new_name)), info));
    return system__run(system, "UPDATE relation SET version = ?2 WHERE id = ?1",
                       VALUES(INT(relation.id), INT(system->next_version)), info);
}

enum err system_column_rename(struct system *system, const struct identity *who,
                              const struct sql_name *name, struct slice column,
                              struct slice new_name, struct errinfo *info)
{
    struct change change = {
        .kind = CHANGE_RENAME_COLUMN, .name = *name, .column = column, .text = new_name};
    return system__change(system, who, &change, info);
}

enum err system__refresh(struct system *system, const struct actor *actor, struct change *change,
                         struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "refresh", 0);
    struct relation_row relation;
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(system__need_own_relation(system, actor, &change->name, arena, &relation, info));
    if (relation.is_view) {
        return errinfo_set(info, ERR_INVALID, "42809", "\"%.*s\" is not a table",
                           SLICE_ARGS(relation.name));
    }
    return system__store_columns(system, &relation, change->relation.relation.columns,
                                 change->relation.relation.column_count, true, arena, info);
}

enum err system_relation_refresh(struct system *system, const struct identity *who,
                                 const struct sql_name *name, const struct relation_column *columns,
                                 size_t column_count, struct errinfo *info)
{
    struct change change = {.kind = CHANGE_REFRESH, .name = *name};
    change.relation.relation.columns = columns;
    change.relation.relation.column_count = column_count;
    TRY(system__check_columns(columns, column_count, info));
    return system__change(system, who, &change, info);
}
