#include "query/temp/temp_int.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/io.h"
#include "base/mem.h"

/* ---- what they take ---- */

struct temp_quota *temp_quota_new(void)
{
    struct temp_quota *quota = mem_calloc(1, sizeof(*quota));
    if (quota != NULL) {
        atomic_init(&quota->references, 1);
    }
    return quota;
}

struct temp_quota *temp_quota_ref(struct temp_quota *quota)
{
    atomic_fetch_add(&quota->references, 1);
    return quota;
}

void temp_quota_unref(struct temp_quota *quota)
{
    if (quota != NULL && atomic_fetch_sub(&quota->references, 1) == 1) {
        ASSERT(atomic_load(&quota->disk_bytes) == 0 && atomic_load(&quota->shape_bytes) == 0);
        mem_free(quota);
    }
}

/* ---- files ---- */

enum err temp_file_new(const char *folder, struct temp_quota *quota, struct temp_file **ret_file,
                       struct errinfo *info)
{
    struct temp_file *file = mem_calloc(1, sizeof(*file));
    if (file == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&file->references, 1);
    file->fd = open(folder, O_TMPFILE | O_RDWR | O_EXCL | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        mem_free(file);
        return errinfo_set(info, ERR_IO, NULL, "cannot make a temporary file");
    }
    file->quota = temp_quota_ref(quota);
    *ret_file = file;
    return ERR_OK;
}

struct temp_file *temp_file_ref(struct temp_file *file)
{
    atomic_fetch_add(&file->references, 1);
    return file;
}

void temp_file_unref(struct temp_file *file)
{
    if (file != NULL && atomic_fetch_sub(&file->references, 1) == 1) {
        io_close(file->fd);
        atomic_fetch_sub(&file->quota->disk_bytes, file->size_bytes);
        temp_quota_unref(file->quota);
        mem_free(file);
    }
}

enum err temp_file_append(struct temp_file *file, const void *bytes, size_t len,
                          struct errinfo *info)
{
    file->size_bytes += len; /* also of what was not written whole */
    atomic_fetch_add(&file->quota->disk_bytes, len);
    return io_write_all(file->fd, (struct slice){bytes, len}, info);
}

enum err temp_file_read(const struct temp_file *file, uint64_t offset, void *ret_bytes, size_t len,
                        struct errinfo *info)
{
    char *to = ret_bytes;
    if (offset > file->size_bytes || len > file->size_bytes - offset) {
        return errinfo_set(info, ERR_INVALID, NULL, "a read leaves the temporary file");
    }
    for (size_t done = 0; done < len;) {
        ssize_t got = pread(file->fd, to + done, len - done, (off_t)(offset + done));
        if (got <= 0) {
            return errinfo_set(info, ERR_IO, NULL, "cannot read a temporary file");
        }
        done += (size_t)got;
    }
    return ERR_OK;
}

/* ---- tables ---- */

struct temp_table *temp_table_ref(struct temp_table *table)
{
    atomic_fetch_add(&table->references, 1);
    return table;
}

void temp_table_unref(struct temp_table *table)
{
    if (table != NULL && atomic_fetch_sub(&table->references, 1) == 1) {
        for (size_t i = 0; i < table->file_count; i++) {
            temp_file_unref(table->files[i]);
        }
        if (table->quota != NULL) {
            atomic_fetch_sub(&table->quota->shape_bytes, table->shape_bytes);
        }
        temp_quota_unref(table->quota);
        arena_free(table->arena);
        mem_free(table);
    }
}

uint64_t temp_table_rows(const struct temp_table *table)
{
    uint64_t rows = 0;
    for (size_t i = 0; i < table->file_count; i++) {
        rows += table->files[i]->row_count;
    }
    return rows;
}

static enum err count_shape(struct temp_table *table, struct temp_quota *quota,
                            struct errinfo *info)
{
    table->quota = temp_quota_ref(quota);
    table->shape_bytes = arena_bytes(table->arena);
    uint64_t before = atomic_fetch_add(&quota->shape_bytes, table->shape_bytes);
    if (before + table->shape_bytes > TEMP_SHAPES_BYTES_MAX) {
        (void)errinfo_set(info, ERR_LIMIT, "53400",
                          "the columns and rules of the session's temporary tables take more than "
                          "%u MiB",
                          (unsigned)(TEMP_SHAPES_BYTES_MAX >> 20));
        errinfo_hint(info,
                     "DROP some, or end the transaction, which keeps what it may go back to.");
        return ERR_LIMIT;
    }
    return ERR_OK;
}

static enum err copy_columns(struct temp_table *table, const struct relation_column *columns,
                             size_t count, struct errinfo *info)
{
    struct relation_column *copies = arena_calloc(table->arena, count + 1, sizeof(*copies));
    if (copies == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        copies[i].id = (uint32_t)i + 1;
        if (!arena_slice(table->arena, columns[i].name, &copies[i].name) ||
            !arena_slice(table->arena, columns[i].type, &copies[i].type)) {
            return errinfo_nomem(info);
        }
        copies[i].source = copies[i].name;
    }
    table->columns = copies;
    table->column_count = count;
    return ERR_OK;
}

static enum err copy_names(struct temp_table *table, const struct temp_rule *rule,
                           struct temp_rule *ret_rule, struct errinfo *info)
{
    struct slice *names = arena_calloc(table->arena, rule->column_count + 1, sizeof(*names));
    if (names == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < rule->column_count; i++) {
        if (!arena_slice(table->arena, rule->columns[i], &names[i])) {
            return errinfo_nomem(info);
        }
    }
    ret_rule->columns = names;
    return ERR_OK;
}

static enum err copy_rules(struct temp_table *table, const struct temp_rule *rules, size_t count,
                           struct errinfo *info)
{
    table->rules = arena_calloc(table->arena, count + 1, sizeof(*table->rules));
    if (table->rules == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct temp_rule *copy = &table->rules[i];
        *copy = rules[i];
        TRY(copy_names(table, &rules[i], copy, info));
        if (!arena_slice(table->arena, rules[i].name, &copy->name) ||
            !arena_slice(table->arena, rules[i].expression, &copy->expression)) {
            return errinfo_nomem(info);
        }
    }
    table->rule_count = count;
    return ERR_OK;
}

enum err temp_table_new(const struct temp_table *like, bool is_kept, struct temp_file *more,
                        struct temp_table **ret_table, struct errinfo *info)
{
    struct temp_table *table CLEANUP(temp_table_cleanup) = mem_calloc(1, sizeof(*table));
    size_t kept = is_kept ? like->file_count : 0;
    if (table == NULL) {
        return errinfo_nomem(info);
    }
    atomic_init(&table->references, 1);
    table->arena = arena_new(NULL, "temporary table", 0);
    table->files = table->arena == NULL
                       ? NULL
                       : arena_calloc(table->arena, kept + 1, sizeof(struct temp_file *));
    if (table->files == NULL || !arena_slice(table->arena, like->name, &table->name) ||
        !arena_slice(table->arena, like->uuid, &table->uuid)) {
        return errinfo_nomem(info);
    }
    table->is_dropped_on_commit = like->is_dropped_on_commit;
    TRY(copy_columns(table, like->columns, like->column_count, info));
    TRY(copy_rules(table, like->rules, like->rule_count, info));
    TRY(count_shape(table, like->quota, info));
    for (size_t i = 0; i < kept; i++) {
        table->files[table->file_count++] = temp_file_ref(like->files[i]);
    }
    if (more != NULL) {
        table->files[table->file_count++] = temp_file_ref(more);
    }
    *ret_table = TAKE(table);
    return ERR_OK;
}

enum err temp_table_relation(const struct temp_table *table, struct arena *arena,
                             struct relation *ret_relation, struct errinfo *info)
{
    struct relation_object *objects = arena_calloc(arena, table->file_count + 1, sizeof(*objects));
    if (objects == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < table->file_count; i++) {
        char *etag = arena_printf(arena, "temp-%p", (void *)table->files[i]);
        if (etag == NULL) {
            return errinfo_nomem(info);
        }
        objects[i] = (struct relation_object){.temp = table->files[i],
                                              .size_bytes = table->files[i]->size_bytes,
                                              .etag = slice_of(etag)};
    }
    *ret_relation = (struct relation){
        .kind = RELATION_TEMP,
        .name = {SLICE(SQL_CATALOG_DEFAULT), SLICE(TEMP_SCHEMA), table->name},
        .uuid = table->uuid,
        .columns = table->columns,
        .column_count = table->column_count,
        .format = FORMAT_PARQUET,
        .objects = objects,
        .object_count = table->file_count,
    };
    return ERR_OK;
}

bool temp_keeps_type(struct slice type, bool *ret_as_text)
{
    static const char *const exact[] = {
        "BOOLEAN",   "TINYINT",  "SMALLINT", "INTEGER",   "BIGINT", "UTINYINT",
        "USMALLINT", "UINTEGER", "UBIGINT",  "FLOAT",     "DOUBLE", "BLOB",
        "DATE",      "VARCHAR",  "TIME",     "TIMESTAMP", "UUID",   "TIMESTAMP WITH TIME ZONE",
        "VARIANT"};
    /* The engine's writer makes something else of these, and the text of each is exact. */
    static const char *const texts[] = {
        "HUGEINT",     "UHUGEINT",      "INTERVAL",     "BIT",
        "TIMESTAMP_S", "TIMESTAMP_MS",  "TIMESTAMP_NS", "TIME WITH TIME ZONE",
        "JSON",        "TIMESTAMPTZ_NS"};
    bool is_list = slice_ends_with(type, SLICE("[]"));
    if (is_list) { /* of what is kept as it is, however deep */
        bool as_text = false;
        struct slice item = {type.ptr, type.len - 2};
        *ret_as_text = false;
        return temp_keeps_type(item, &as_text) && !as_text;
    }
    *ret_as_text = false;
    for (size_t i = 0; i < ARRAY_COUNT(exact); i++) {
        if (slice_equal(type, slice_of(exact[i]))) {
            return true;
        }
    }
    if (slice_starts_with(type, SLICE("DECIMAL("))) {
        return true;
    }
    *ret_as_text = true;
    for (size_t i = 0; i < ARRAY_COUNT(texts); i++) {
        if (slice_equal(type, slice_of(texts[i]))) {
            return true;
        }
    }
    return slice_starts_with(type, SLICE("ENUM("));
}

/* ---- sets ---- */

struct temp_set *temp_set_ref(struct temp_set *set)
{
    if (set != NULL) {
        atomic_fetch_add(&set->references, 1);
    }
    return set;
}

void temp_set_unref(struct temp_set *set)
{
    if (set != NULL && atomic_fetch_sub(&set->references, 1) == 1) {
        for (size_t i = 0; i < set->count; i++) {
            temp_table_unref(set->tables[i]);
        }
        mem_free(set->tables);
        mem_free(set);
    }
}

enum err temp_set_with(const struct temp_set *set, struct slice name, struct temp_table *table,
                       struct temp_set **ret_set, struct errinfo *info)
{
    size_t before = set == NULL ? 0 : set->count;
    struct temp_set *made = mem_calloc(1, sizeof(*made));
    struct temp_table **tables = mem_calloc(before + 1, sizeof(struct temp_table *));
    if (made == NULL || tables == NULL) {
        mem_free(made);
        mem_free(tables);
        return errinfo_nomem(info);
    }
    atomic_init(&made->references, 1);
    made->tables = tables;
    for (size_t i = 0; i < before; i++) {
        if (!slice_equal_fold(set->tables[i]->name, name)) {
            tables[made->count++] = temp_table_ref(set->tables[i]);
        }
    }
    if (table != NULL) {
        tables[made->count++] = temp_table_ref(table);
    }
    if (made->count > TEMP_TABLES_MAX) {
        temp_set_unref(made);
        return errinfo_set(info, ERR_LIMIT, NULL, "a session has at most %d temporary tables",
                           TEMP_TABLES_MAX);
    }
    *ret_set = made;
    return ERR_OK;
}

struct temp_set *temp_set_at_commit(struct temp_set *set)
{
    struct temp_set *left = temp_set_ref(set);
    for (size_t i = 0; set != NULL && i < set->count; i++) {
        struct temp_set *smaller;
        struct errinfo ignored;
        if (set->tables[i]->is_dropped_on_commit &&
            temp_set_with(left, set->tables[i]->name, NULL, &smaller, &ignored) == ERR_OK) {
            temp_set_unref(left);
            left = smaller;
        }
    }
    return left;
}
