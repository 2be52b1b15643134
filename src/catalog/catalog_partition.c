/* Columns that stand in folder names: .../region=EU/year=2024/part-0.parquet.
 *
 * The engine takes them out of an object's address, and leaves out the files that a condition on
 * them excludes. So an object's address ends with those folders, and with nothing else of its
 * location: `suffix`, which is also where a compression's ending is. Every file must have the same
 * keys (the engine looks at the first and the last only); types are pinned as all are. */
#include "catalog/catalog_int.h"
#include "sql/scan.h"

bool catalog__is_partitioned(const struct relation_option *options, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(options[i].name, SLICE("hive_partitioning"))) {
            return slice_equal_fold(options[i].value, SLICE("true")) ||
                   slice_equal_fold(options[i].value, SLICE("'true'"));
        }
    }
    return false;
}

/* "key=value" at the front of `path`, before a slash; moves `path` behind that slash. */
static bool take_folder(struct slice *path, struct slice *ret_folder)
{
    const char *slash = path->len == 0 ? NULL : memchr(path->ptr, '/', path->len);
    if (slash == NULL) {
        return false;
    }
    *ret_folder = (struct slice){path->ptr, (size_t)(slash - path->ptr)};
    *path = (struct slice){slash + 1, path->len - ret_folder->len - 1};
    return true;
}

static bool is_word(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '_')) {
            return false;
        }
    }
    return text.len > 0;
}

/* The key of a folder, empty if it is a plain one. */
static struct slice key_of(struct slice folder)
{
    const char *equals = memchr(folder.ptr, '=', folder.len);
    struct slice key = {folder.ptr, equals == NULL ? 0 : (size_t)(equals - folder.ptr)};
    return is_word(key) ? key : (struct slice){"", 0};
}

/* As it is where an address can hold it (writers have encoded it so), else as %xx. */
static void append_value(struct slice value, struct buf *out)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_.-~+%";
    for (size_t i = 0; i < value.len; i++) {
        char c = value.ptr[i];
        if (c != '\0' && strchr(plain, c) != NULL) {
            buf_append_char(out, c);
        } else {
            buf_printf(out, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}

enum err catalog__suffix(struct slice location, bool is_partitioned, struct arena *arena,
                         struct slice *ret_suffix, struct errinfo *info)
{
    static const char *const endings[] = {".gz", ".zst"};
    struct buf suffix CLEANUP(buf_fini) = {0};
    struct slice path = location;
    struct slice folder;
    while (is_partitioned && take_folder(&path, &folder)) {
        struct slice key = key_of(folder);
        if (key.len > 0) {
            buf_append_char(&suffix, '/');
            buf_append_slice(&suffix, key);
            buf_append_char(&suffix, '=');
            append_value((struct slice){folder.ptr + key.len + 1, folder.len - key.len - 1},
                         &suffix);
        }
    }
    buf_append_str(&suffix, suffix.len > 0 ? "/f" : "");
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        if (slice_ends_with(location, slice_of(endings[i]))) {
            buf_append_str(&suffix, endings[i]);
        }
    }
    if (buf_failed(&suffix) || !arena_slice(arena, buf_slice(&suffix), ret_suffix)) {
        return errinfo_nomem(info);
    }
    return ERR_OK;
}

/* The next key of a suffix; moves `rest` behind its value. */
static bool next_key(struct slice *rest, struct slice *ret_key)
{
    struct slice folder;
    while (take_folder(rest, &folder)) {
        *ret_key = key_of(folder);
        if (ret_key->len > 0) {
            return true;
        }
    }
    return false;
}

enum err catalog__check_partitions(const struct relation *relation, struct errinfo *info)
{
    for (size_t i = 0; i < relation->object_count; i++) {
        struct slice first = relation->objects[0].suffix;
        struct slice own = relation->objects[i].suffix;
        struct slice first_key = {0};
        struct slice own_key = {0};
        bool has_first;
        bool has_own;
        bool has_any = false;
        do {
            has_first = next_key(&first, &first_key);
            has_own = next_key(&own, &own_key);
            has_any = has_any || has_own;
        } while (has_first && has_own && slice_equal(first_key, own_key));
        if (has_first || has_own || !has_any) {
            (void)errinfo_set(info, ERR_INVALID, "22023", "the files of \"%.*s\" %s",
                              SLICE_ARGS(relation->name.name),
                              has_any ? "are in folders of different partitions"
                                      : "are in no folders such as year=2024");
            errinfo_hint(info, has_any ? "Each file needs the same keys in the same order."
                                       : "Leave hive_partitioning out, or name the folders: "
                                         "'data/*/*.parquet', 'data/**/*.parquet'.");
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

bool catalog__is_partition(const struct relation *relation, const struct relation_column *column)
{
    struct slice rest =
        relation->object_count == 0 ? (struct slice){"", 0} : relation->objects[0].suffix;
    struct slice key;
    while (next_key(&rest, &key)) {
        if (slice_equal_fold(key, column->source)) {
            return true;
        }
    }
    return false;
}

void catalog__print_partitions(const struct relation *relation, struct buf *out)
{
    bool is_any = false;
    for (size_t i = 0; i < relation->column_count; i++) {
        if (catalog__is_partition(relation, &relation->columns[i])) {
            buf_append_str(out, is_any ? ", " : ", hive_types = {");
            sql_quote_string(out, relation->columns[i].source);
            buf_append_str(out, ": ");
            sql_quote_string(out, relation->columns[i].type);
            is_any = true;
        }
    }
    buf_append_str(out, is_any ? "}" : "");
}
