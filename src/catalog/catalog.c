/* Names and registered files. */
#include "catalog/catalog.h"

#include "catalog/catalog_int.h"

bool catalog__is_admin(const struct identity *who)
{
    return identity_is_owner(who) || identity_has_role(who, SLICE(SYSTEM_ROLE_ADMIN));
}

/* The schemas Moat fills have one spelling. */
static struct slice canonical_schema(struct slice schema)
{
    static const char *const known[] = {SQL_SCHEMA_SYSTEM, SQL_SCHEMA_INFORMATION, SQL_SCHEMA_PG,
                                        SQL_SCHEMA_DEFAULT};
    for (size_t i = 0; i < ARRAY_COUNT(known); i++) {
        if (slice_equal_fold(schema, slice_of(known[i]))) {
            return slice_of(known[i]);
        }
    }
    return schema;
}

enum err catalog_qualify(const struct sql_name *written, struct slice default_schema,
                         struct arena *arena, struct sql_name *ret_name, struct errinfo *info)
{
    if (written->name.len == 0) {
        return errinfo_set(info, ERR_INVALID, "42602", "a name is empty");
    }
    if (written->catalog.len > 0 &&
        !slice_equal_fold(written->catalog, SLICE(SQL_CATALOG_DEFAULT))) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "3D000", "catalog \"%.*s\" does not exist",
                          SLICE_ARGS(written->catalog));
        errinfo_hint(info, "The catalog of this warehouse is \"" SQL_CATALOG_DEFAULT "\".");
        return ERR_NOT_FOUND;
    }
    struct sql_name name = {.catalog = SLICE(SQL_CATALOG_DEFAULT)};
    struct slice schema = written->schema.len > 0  ? written->schema
                          : default_schema.len > 0 ? default_schema
                                                   : SLICE(SQL_SCHEMA_DEFAULT);
    if (!arena_slice(arena, canonical_schema(schema), &name.schema) ||
        !arena_slice(arena, written->name, &name.name)) {
        return errinfo_nomem(info);
    }
    *ret_name = name;
    return ERR_OK;
}

static enum err list_objects(const struct identity *who, struct slice location, struct arena *arena,
                             struct relation *relation, struct errinfo *info)
{
    struct storage_entry *entries;
    size_t count;
    TRY(storage_list(who, location, CATALOG_FILES_MAX, arena, &entries, &count, info));
    struct relation_object *objects = arena_calloc(arena, count, sizeof(*objects));
    if (objects == NULL) {
        return errinfo_nomem(info);
    }
    bool is_partitioned = catalog__is_partitioned(relation->options, relation->option_count);
    for (size_t i = 0; i < count; i++) {
        objects[i] = (struct relation_object){.location = entries[i].location,
                                              .size_bytes = entries[i].size_bytes,
                                              .etag = entries[i].etag};
        TRY(catalog__suffix(entries[i].location, is_partitioned, arena, &objects[i].suffix, info));
    }
    relation->objects = objects;
    relation->object_count = count;
    return is_partitioned ? catalog__check_partitions(relation, info) : ERR_OK;
}

enum err catalog_load(struct system *system, const struct identity *who,
                      const struct sql_name *name, bool with_objects, struct arena *arena,
                      struct relation *ret_relation, struct errinfo *info)
{
    ASSERT(who != NULL);
    struct system_relation loaded = {0};
    TRY(system_relation_load(system, who, name, arena, &loaded, info));
    if (with_objects && loaded.relation.kind == RELATION_TABLE) {
        enum err err = list_objects(who, loaded.location, arena, &loaded.relation, info);
        if (err == ERR_NOT_FOUND) {
            /* The table is there, its files are not: this must not read as "no such table". */
            char detail[ERRINFO_MESSAGE_BYTES];
            (void)snprintf(detail, sizeof(detail), "%s", info == NULL ? "" : info->message);
            (void)errinfo_set(info, ERR_INVALID, "58P01", "the files of \"%.*s\" are missing",
                              SLICE_ARGS(loaded.relation.name.name));
            errinfo_detail(info, "%.900s.", detail);
            errinfo_hint(info, "Put them back, or DROP the table.");
            return ERR_INVALID;
        }
        TRY(err);
    }
    *ret_relation = loaded.relation;
    return ERR_OK;
}

static bool format_of(struct slice path, enum relation_format *ret_format)
{
    static const struct {
        const char *ending;
        enum relation_format format;
    } endings[] = {{".parquet", FORMAT_PARQUET}, {".csv", FORMAT_CSV},    {".tsv", FORMAT_CSV},
                   {".json", FORMAT_JSON},       {".jsonl", FORMAT_JSON}, {".ndjson", FORMAT_JSON}};
    static const char *const compressed[] = {".gz", ".zst"};
    bool is_compressed = false;
    for (size_t i = 0; i < ARRAY_COUNT(compressed) && !is_compressed; i++) {
        struct slice ending = slice_of(compressed[i]);
        is_compressed = slice_ends_with(path, ending);
        path.len -= is_compressed ? ending.len : 0;
    }
    for (size_t i = 0; i < ARRAY_COUNT(endings); i++) {
        struct slice ending = slice_of(endings[i].ending);
        if (path.len >= ending.len &&
            slice_equal_fold((struct slice){path.ptr + path.len - ending.len, ending.len},
                             ending) &&
            !(is_compressed && endings[i].format == FORMAT_PARQUET)) {
            *ret_format = endings[i].format;
            return true;
        }
    }
    return false;
}

enum err catalog_load_path(const struct identity *who, struct slice pattern,
                           const enum relation_format *format,
                           const struct relation_option *options, size_t option_count,
                           struct arena *arena, struct relation *ret_relation, struct errinfo *info)
{
    ASSERT(who != NULL);
    if (!identity_is_owner(who) || identity_actor(who).len > 0 ||
        !slice_equal(identity_client(who), SLICE("embedded"))) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "permission denied to read files by their path");
        errinfo_hint(info, "Files are read through registered tables; SHOW TABLES lists yours.");
        return ERR_DENIED;
    }
    struct relation relation = {.kind = RELATION_PATH,
                                .options = options,
                                .option_count = option_count,
                                .owner = identity_subject(who)};
    if (format != NULL) {
        relation.format = *format;
    } else if (!format_of(pattern, &relation.format)) {
        (void)errinfo_set(info, ERR_INVALID, "22023",
                          "the format of \"%.*s\" cannot be told by its ending",
                          SLICE_ARGS(pattern));
        errinfo_hint(info, "Known endings: .parquet, .csv, .tsv, .json, .jsonl, .ndjson (text also "
                           "with .gz or .zst). Else say STORED AS CSV in CREATE EXTERNAL TABLE, "
                           "or read_csv('...') in FROM.");
        return ERR_INVALID;
    }
    TRY(catalog_check_options(relation.format, options, option_count, info));
    if (!arena_slice(arena, pattern, &relation.name.name)) {
        return errinfo_nomem(info);
    }
    TRY(list_objects(who, pattern, arena, &relation, info));
    *ret_relation = relation;
    return ERR_OK;
}
