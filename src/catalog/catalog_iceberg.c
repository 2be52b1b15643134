/* Attached Iceberg catalogs: what they have in common. */
#include "catalog/catalog_iceberg_int.h"

#include <stdlib.h>

#include "base/buf.h"
#include "storage/storage.h"

static const struct {
    const char *name;
    enum catalog_iceberg_kind kind;
} kinds[] = {
    {"iceberg_local", CATALOG_ICEBERG_LOCAL},
    {"iceberg_hadoop", CATALOG_ICEBERG_HADOOP},
    {"iceberg_static", CATALOG_ICEBERG_STATIC},
    {"iceberg_rest", CATALOG_ICEBERG_REST},
    {"iceberg_hive", CATALOG_ICEBERG_HIVE},
    {"iceberg_glue", CATALOG_ICEBERG_GLUE},
    {"hadoop", CATALOG_ICEBERG_HADOOP},
    {"static", CATALOG_ICEBERG_STATIC},
    {"rest", CATALOG_ICEBERG_REST},
    {"hive", CATALOG_ICEBERG_HIVE},
    {"glue", CATALOG_ICEBERG_GLUE},
};

bool catalog_iceberg_kind_parse(struct slice text, enum catalog_iceberg_kind *ret_kind)
{
    for (size_t i = 0; i < ARRAY_COUNT(kinds); i++) {
        if (slice_equal_fold(text, slice_of(kinds[i].name))) {
            *ret_kind = kinds[i].kind;
            return true;
        }
    }
    return false;
}

const char *catalog_iceberg_kind_name(enum catalog_iceberg_kind kind)
{
    return kinds[kind].name;
}

/* ---- names ---- */

enum err iceberg_catalog__add(struct iceberg_name_list *list,
                              const struct catalog_iceberg_name *name, struct errinfo *info)
{
    if (list->count == ICEBERG_NAMES_MAX) {
        return errinfo_set(info, ERR_LIMIT, "54000", "a catalog has more than %d names",
                           ICEBERG_NAMES_MAX);
    }
    if (list->count == list->capacity) {
        size_t capacity = list->capacity == 0 ? 32 : list->capacity * 2;
        struct catalog_iceberg_name *grown = arena_calloc(list->arena, capacity, sizeof(*grown));
        if (grown == NULL) {
            return errinfo_nomem(info);
        }
        if (list->count > 0) {
            memcpy(grown, list->names, list->count * sizeof(*grown));
        }
        list->names = grown;
        list->capacity = capacity;
    }
    list->names[list->count++] = *name;
    return ERR_OK;
}

static int compare_names(const void *a, const void *b)
{
    const struct catalog_iceberg_name *first = a;
    const struct catalog_iceberg_name *second = b;
    int order = slice_compare(first->ns, second->ns);
    return order != 0 ? order : slice_compare(first->name, second->name);
}

void iceberg_catalog__sort(struct iceberg_name_list *list)
{
    if (list->count > 1) {
        qsort(list->names, list->count, sizeof(*list->names), compare_names);
    }
}

enum err(iceberg_catalog__no_namespace)(const struct catalog_iceberg *catalog, struct slice ns,
                                        struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "3F000",
                       "namespace \"%.*s\" does not exist in catalog \"%.*s\"", SLICE_ARGS(ns),
                       SLICE_ARGS(catalog->name));
}

static bool is_level(struct slice level)
{
    return level.len > 0 && !slice_equal(level, SLICE(".")) && !slice_equal(level, SLICE(".."));
}

enum err iceberg_catalog__check_name(struct slice name, bool is_namespace, struct errinfo *info)
{
    bool is_valid =
        name.len > 0 && name.len <= ICEBERG_NAMESPACE_BYTES_MAX && slice_is_utf8(name, NULL);
    size_t start = 0;
    for (size_t i = 0; is_valid && i <= name.len; i++) {
        bool is_end = i == name.len || (is_namespace && name.ptr[i] == '.');
        if (is_end) {
            is_valid = is_level((struct slice){name.ptr + start, i - start});
            start = i + 1;
        } else {
            is_valid =
                (unsigned char)name.ptr[i] >= 0x20 && name.ptr[i] != 0x7F && name.ptr[i] != '/';
        }
    }
    if (is_valid) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_INVALID, "42602", "\"%.*s\" is no name of %s", SLICE_ARGS(name),
                      is_namespace ? "a namespace" : "a table or view");
    errinfo_hint(info, "Names have 1 to %d bytes, no slash and no control characters%s.",
                 ICEBERG_NAMESPACE_BYTES_MAX,
                 is_namespace ? "; levels stand between single dots" : "");
    return ERR_INVALID;
}

/* ---- reading ---- */

enum err catalog_iceberg_check(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct errinfo *info)
{
    struct catalog_iceberg_name name;
    struct slice *namespaces = NULL;
    size_t count = 0;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "catalog check", 0);
    if (arena == NULL) {
        return errinfo_nomem(info);
    }
    switch (catalog->kind) {
    case CATALOG_ICEBERG_LOCAL:
        return iceberg_local__check(catalog, info);
    case CATALOG_ICEBERG_HADOOP:
        TRY(catalog_iceberg_namespaces(catalog, who, arena, &namespaces, &count, info));
        if (count == 0) {
            (void)errinfo_set(info, ERR_NOT_FOUND, "58P01",
                              "no Iceberg table is below the folder of catalog \"%.*s\"",
                              SLICE_ARGS(catalog->name));
            errinfo_hint(info,
                         "Tables are <folder>/<namespace>/<table>/metadata/v1.metadata.json.");
            return ERR_NOT_FOUND;
        }
        return ERR_OK;
    case CATALOG_ICEBERG_STATIC:
        return iceberg_static__name(catalog, who, arena, &name, info);
    case CATALOG_ICEBERG_REST:
    case CATALOG_ICEBERG_HIVE:
    case CATALOG_ICEBERG_GLUE:
        return rest_check(catalog->rest, &catalog->remote, who, info);
    }
    return ERR_OK;
}

/* Of one namespace, and of names like `name`, where that is cheaper; callers filter. */
static enum err list_names(const struct catalog_iceberg *catalog, const struct identity *who,
                           struct slice ns, struct slice name, struct iceberg_name_list *list,
                           struct errinfo *info)
{
    struct catalog_iceberg_name only;
    switch (catalog->kind) {
    case CATALOG_ICEBERG_LOCAL:
        return iceberg_local__names(catalog, name, list, info);
    case CATALOG_ICEBERG_HADOOP:
        return iceberg_hadoop__names(catalog, who, ns, list, info);
    case CATALOG_ICEBERG_STATIC:
        TRY(iceberg_static__name(catalog, who, list->arena, &only, info));
        return iceberg_catalog__add(list, &only, info);
    case CATALOG_ICEBERG_REST:
    case CATALOG_ICEBERG_HIVE:
    case CATALOG_ICEBERG_GLUE:
        return iceberg_rest__names(catalog, who, ns, list, info);
    }
    return ERR_OK;
}

/* Each namespace and its parents, once. */
static enum err add_levels(struct iceberg_name_list *list, struct slice ns, struct errinfo *info)
{
    for (size_t i = 1; i <= ns.len; i++) {
        if (i == ns.len || ns.ptr[i] == '.') {
            struct catalog_iceberg_name level = {.ns = {ns.ptr, i}};
            TRY(iceberg_catalog__add(list, &level, info));
        }
    }
    return ERR_OK;
}

enum err catalog_iceberg_namespaces(const struct catalog_iceberg *catalog,
                                    const struct identity *who, struct arena *arena,
                                    struct slice **ret_namespaces, size_t *ret_count,
                                    struct errinfo *info)
{
    struct iceberg_name_list found = {.arena = arena};
    struct iceberg_name_list levels = {.arena = arena};
    TRY(catalog->kind == CATALOG_ICEBERG_LOCAL ? iceberg_local__namespaces(catalog, &found, info)
        : catalog_iceberg_is_remote(catalog)
            ? iceberg_rest__namespaces(catalog, who, &found, info)
            : list_names(catalog, who, SLICE(""), SLICE(""), &found, info));
    for (size_t i = 0; i < found.count; i++) {
        TRY(add_levels(&levels, found.names[i].ns, info));
    }
    iceberg_catalog__sort(&levels);
    struct slice *namespaces = arena_calloc(arena, levels.count + 1, sizeof(*namespaces));
    size_t count = 0;
    if (namespaces == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < levels.count; i++) {
        if (count == 0 || !slice_equal(namespaces[count - 1], levels.names[i].ns)) {
            namespaces[count++] = levels.names[i].ns;
        }
    }
    *ret_namespaces = namespaces;
    *ret_count = count;
    return ERR_OK;
}

static enum err check_namespace(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct arena *arena, struct errinfo *info)
{
    struct slice *namespaces = NULL;
    size_t count = 0;
    TRY(catalog_iceberg_namespaces(catalog, who, arena, &namespaces, &count, info));
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(namespaces[i], ns)) {
            return ERR_OK;
        }
    }
    return iceberg_catalog__no_namespace(catalog, ns, info);
}

enum err catalog_iceberg_properties(const struct catalog_iceberg *catalog,
                                    const struct identity *who, struct slice ns,
                                    struct arena *arena, struct iceberg_property **ret_properties,
                                    size_t *ret_count, struct errinfo *info)
{
    if (catalog->kind == CATALOG_ICEBERG_LOCAL) {
        return iceberg_local__properties(catalog, ns, arena, ret_properties, ret_count, info);
    }
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__properties(catalog, who, ns, arena, ret_properties, ret_count, info);
    }
    TRY(check_namespace(catalog, who, ns, arena, info));
    *ret_properties = NULL;
    *ret_count = 0;
    return ERR_OK;
}

enum err catalog_iceberg_names(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct arena *arena,
                               struct catalog_iceberg_name **ret_names, size_t *ret_count,
                               struct errinfo *info)
{
    struct iceberg_name_list list = {.arena = arena};
    TRY(list_names(catalog, who, ns, SLICE(""), &list, info));
    TRY(iceberg_block__list(catalog, ns, &list, info));
    size_t count = 0;
    for (size_t i = 0; i < list.count; i++) {
        if (ns.len == 0 || slice_equal(list.names[i].ns, ns)) {
            list.names[count++] = list.names[i];
        }
    }
    list.count = count;
    if (count == 0 && ns.len > 0) {
        TRY(check_namespace(catalog, who, ns, arena, info));
    }
    iceberg_catalog__sort(&list);
    *ret_names = list.names;
    *ret_count = count;
    return ERR_OK;
}

/* ---- loading ---- */

static enum err no_table(const struct catalog_iceberg *catalog, struct slice ns, struct slice name,
                         const struct catalog_iceberg_name *near, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_NOT_FOUND, "42P01",
                      "table \"%.*s.%.*s\" does not exist in catalog \"%.*s\"", SLICE_ARGS(ns),
                      SLICE_ARGS(name), SLICE_ARGS(catalog->name));
    if (near != NULL) {
        errinfo_hint(info, "Two names differ only in case from it; quote the one you mean.");
    }
    return ERR_NOT_FOUND;
}

/* Exactly, or folding case if that leaves one. */
static enum err find_name(const struct catalog_iceberg *catalog, const struct identity *who,
                          struct slice ns, struct slice name, struct arena *arena,
                          struct catalog_iceberg_name *ret_name, struct errinfo *info)
{
    struct iceberg_name_list list = {.arena = arena};
    const struct catalog_iceberg_name *folded = NULL;
    size_t folded_count = 0;
    bool is_static = catalog->kind == CATALOG_ICEBERG_STATIC;
    TRY(list_names(catalog, who, SLICE(""), name, &list, info));
    for (size_t i = 0; i < list.count; i++) {
        const struct catalog_iceberg_name *row = &list.names[i];
        if (slice_equal(row->ns, ns) && slice_equal(row->name, name)) {
            *ret_name = *row;
            return ERR_OK;
        }
        if ((slice_equal_fold(row->ns, ns) && slice_equal_fold(row->name, name)) ||
            (is_static && slice_equal_fold(catalog->name, name))) {
            folded = row;
            folded_count++;
        }
    }
    if (folded_count != 1) {
        return no_table(catalog, ns, name, folded, info);
    }
    *ret_name = *folded;
    return ERR_OK;
}

/* A warehouse of folders is not listed to find one table of it. */
static enum err find_hadoop(const struct catalog_iceberg *catalog, const struct identity *who,
                            struct slice ns, struct slice name, struct arena *arena,
                            struct catalog_iceberg_name *ret_name, struct errinfo *info)
{
    struct catalog_iceberg_name row = {.ns = ns, .name = name};
    struct slice folder;
    if (iceberg_catalog__check_name(name, false, NULL) != ERR_OK ||
        (ns.len > 0 && iceberg_catalog__check_name(ns, true, NULL) != ERR_OK)) {
        return no_table(catalog, ns, name, NULL, info); /* a path, say: nothing is called so */
    }
    TRY(iceberg_hadoop__folder(catalog, ns, name, arena, &folder, info));
    enum err err = iceberg_hadoop__current(who, folder, arena, &row.metadata_location, info);
    if (err == ERR_NOT_FOUND) {
        TRY(find_name(catalog, who, ns, name, arena, &row, info));
        TRY(iceberg_hadoop__folder(catalog, row.ns, row.name, arena, &folder, info));
        err = iceberg_hadoop__current(who, folder, arena, &row.metadata_location, info);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (!arena_slice(arena, row.ns, &ret_name->ns) ||
        !arena_slice(arena, row.name, &ret_name->name)) {
        return errinfo_nomem(info);
    }
    ret_name->is_view = false;
    ret_name->metadata_location = row.metadata_location;
    return ERR_OK;
}

static enum err load(const struct catalog_iceberg *catalog, const struct identity *who,
                     struct slice ns, struct slice name, struct arena *arena,
                     struct catalog_iceberg_table *ret_table, struct errinfo *info)
{
    struct catalog_iceberg_table table = {0};
    struct iceberg_io io;
    struct buf bytes CLEANUP(buf_fini) = {0};
    if (catalog_iceberg_is_remote(catalog)) {
        return iceberg_rest__load(catalog, who, ns, name, arena, ret_table, info);
    }
    TRY(catalog_iceberg_io_of(catalog, who, NULL, arena, &io, info));
    TRY(catalog->kind == CATALOG_ICEBERG_HADOOP
            ? find_hadoop(catalog, who, ns, name, arena, &table.name, info)
            : find_name(catalog, who, ns, name, arena, &table.name, info));
    if (table.name.metadata_location.len == 0) {
        return errinfo_set(info, ERR_CORRUPT, NULL, "table \"%.*s\" has no metadata location",
                           SLICE_ARGS(name));
    }
    enum err err = io.read_all(io.context, table.name.metadata_location, 0, 0, &bytes, info);
    if (err == ERR_NOT_FOUND) {
        /* Not in the words of a missing table: it is there, its metadata is not. */
        return errinfo_set(info, ERR_INVALID, "58P01",
                           "the metadata file of table \"%.*s\" is gone", SLICE_ARGS(name));
    }
    TRY(err);
    TRY(table.name.is_view
            ? iceberg_view_parse(buf_slice(&bytes), arena, &table.view, info)
            : iceberg_metadata_parse(buf_slice(&bytes), arena, &table.metadata, info));
    *ret_table = table;
    return ERR_OK;
}

enum err catalog_iceberg_load(const struct catalog_iceberg *catalog, const struct identity *who,
                              struct slice ns, struct slice name, struct arena *arena,
                              struct catalog_iceberg_table *ret_table, struct errinfo *info)
{
    struct catalog_iceberg_table table = {0};
    struct slice own_ns = ns;
    struct slice own_name = name;
    bool is_loaded = false;
    bool is_gone = false;
    TRY(iceberg_block__find(catalog, &own_ns, &own_name, arena, &is_loaded, &is_gone, &table,
                            info));
    if (is_gone) {
        return no_table(catalog, ns, name, NULL, info);
    }
    if (!is_loaded) {
        TRY(load(catalog, who, own_ns, own_name, arena, &table, info));
        TRY(iceberg_block__show(catalog, name, own_name, arena, &table, info));
    }
    *ret_table = table;
    return ERR_OK;
}
