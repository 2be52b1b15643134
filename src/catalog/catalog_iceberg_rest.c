/* Catalogs that are asked over HTTP, in the words of the others: namespaces are dotted texts. A
 * level with a dot of its own could not be told apart and is passed over, as are names that could
 * not be written. */
#include "base/hash.h"
#include "catalog/catalog_iceberg_int.h"
#include "catalog/rest/plan.h"
#include "catalog/rest/report.h"
#include "iceberg/write.h"

bool iceberg_rest__split(struct slice ns, struct slice *levels, struct rest_namespace *ret_ns)
{
    size_t count = 0;
    if (iceberg_catalog__check_name(ns, true, NULL) != ERR_OK) {
        return false;
    }
    for (size_t start = 0, i = 0; i <= ns.len; i++) {
        if (i == ns.len || ns.ptr[i] == '.') {
            levels[count++] = (struct slice){ns.ptr + start, i - start};
            start = i + 1;
        }
    }
    *ret_ns = (struct rest_namespace){levels, count};
    return true;
}

/* Levels as one text; empty for one that has none here. */
static enum err join(const struct rest_namespace *ns, struct arena *arena, struct slice *ret_text,
                     struct errinfo *info)
{
    struct buf text CLEANUP(buf_fini) = {0};
    bool is_plain = true;
    for (size_t i = 0; i < ns->level_count; i++) {
        struct slice level = ns->levels[i];
        is_plain = is_plain && slice_find(level, SLICE(".")) == SIZE_MAX;
        buf_append_str(&text, i == 0 ? "" : ".");
        buf_append_slice(&text, level);
    }
    if (buf_failed(&text) || !arena_slice(arena, buf_slice(&text), ret_text)) {
        return errinfo_nomem(info);
    }
    if (!is_plain || iceberg_catalog__check_name(*ret_text, true, NULL) != ERR_OK) {
        *ret_text = (struct slice){0};
    }
    return ERR_OK;
}

enum err iceberg_rest__namespaces(const struct catalog_iceberg *catalog, const struct identity *who,
                                  struct iceberg_name_list *list, struct errinfo *info)
{
    struct rest_namespace *namespaces = NULL;
    size_t count = 0;
    TRY(rest_namespaces(catalog->rest, &catalog->remote, who, list->arena, &namespaces, &count,
                        info));
    for (size_t i = 0; i < count; i++) {
        struct catalog_iceberg_name row = {0};
        TRY(join(&namespaces[i], list->arena, &row.ns, info));
        if (row.ns.len > 0) {
            TRY(iceberg_catalog__add(list, &row, info));
        }
    }
    return ERR_OK;
}

static enum err list_one(const struct catalog_iceberg *catalog, const struct identity *who,
                         struct slice ns, struct iceberg_name_list *list, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_name *names = NULL;
    size_t count = 0;
    if (!iceberg_rest__split(ns, levels, &asked)) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    TRY(rest_names(catalog->rest, &catalog->remote, who, &asked, list->arena, &names, &count,
                   info));
    for (size_t i = 0; i < count; i++) {
        struct catalog_iceberg_name row = {
            .ns = ns, .name = names[i].name, .is_view = names[i].is_view};
        if (iceberg_catalog__check_name(row.name, false, NULL) == ERR_OK) {
            TRY(iceberg_catalog__add(list, &row, info));
        }
    }
    return ERR_OK;
}

enum err iceberg_rest__names(const struct catalog_iceberg *catalog, const struct identity *who,
                             struct slice ns, struct iceberg_name_list *list, struct errinfo *info)
{
    struct iceberg_name_list namespaces = {.arena = list->arena};
    if (ns.len > 0) {
        return list_one(catalog, who, ns, list, info);
    }
    TRY(iceberg_rest__namespaces(catalog, who, &namespaces, info));
    for (size_t i = 0; i < namespaces.count; i++) {
        enum err err = list_one(catalog, who, namespaces.names[i].ns, list, info);
        if (err != ERR_OK && err != ERR_NOT_FOUND && err != ERR_DENIED) {
            return err; /* what may not be looked into hides itself only */
        }
    }
    return ERR_OK;
}

enum err iceberg_rest__properties(const struct catalog_iceberg *catalog, const struct identity *who,
                                  struct slice ns, struct arena *arena,
                                  struct iceberg_property **ret_properties, size_t *ret_count,
                                  struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_property *found = NULL;
    size_t count = 0;
    if (!iceberg_rest__split(ns, levels, &asked)) {
        return iceberg_catalog__no_namespace(catalog, ns, info);
    }
    TRY(rest_namespace_properties(catalog->rest, &catalog->remote, who, &asked, arena, &found,
                                  &count, info));
    struct iceberg_property *properties = arena_calloc(arena, count + 1, sizeof(*properties));
    if (properties == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        properties[i] = (struct iceberg_property){.key = found[i].key, .value = found[i].value};
    }
    *ret_properties = properties;
    *ret_count = count;
    return ERR_OK;
}

/* ---- reports ---- */

void catalog_iceberg_report_scan(const struct catalog_iceberg *catalog, const struct identity *who,
                                 const struct catalog_iceberg_name *table,
                                 const struct rest_scan_report *report)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    if (catalog->kind == CATALOG_ICEBERG_REST && iceberg_rest__split(table->ns, levels, &ns)) {
        rest_report_scan(catalog->rest, &catalog->remote, who, &ns, table->name, report);
    }
}

void catalog_iceberg_report_commit(const struct catalog_iceberg *catalog,
                                   const struct identity *who,
                                   const struct catalog_iceberg_name *table,
                                   const struct rest_commit_report *report)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    if (catalog->kind == CATALOG_ICEBERG_REST && iceberg_rest__split(table->ns, levels, &ns)) {
        rest_report_commit(catalog->rest, &catalog->remote, who, &ns, table->name, report);
    }
}

/* ---- files ---- */

enum err catalog_iceberg_open_remote(const struct catalog_iceberg *catalog,
                                     const struct identity *who,
                                     const struct catalog_iceberg_name *table,
                                     struct slice location, struct storage_object **ret_object,
                                     struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    if (!catalog_iceberg_is_remote(catalog)) {
        (void)errinfo_set(
            info, ERR_UNSUPPORTED, NULL,
            "catalog \"%.*s\" names files elsewhere and vends no credentials for them",
            SLICE_ARGS(catalog->name));
        errinfo_hint(info, "Attach the catalog that does, with TYPE iceberg_rest.");
        return ERR_UNSUPPORTED;
    }
    if (!iceberg_rest__split(table->ns, levels, &ns)) {
        return iceberg_catalog__no_namespace(catalog, table->ns, info);
    }
    return rest_open_object(catalog->rest, &catalog->remote, who, &ns, table->name, location,
                            ret_object, info);
}

enum err catalog_iceberg_planner(const struct catalog_iceberg *catalog, const struct identity *who,
                                 const struct catalog_iceberg_name *table,
                                 struct rest_planner **ret_planner, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace ns;
    ASSERT(catalog_iceberg_is_remote(catalog));
    if (!iceberg_rest__split(table->ns, levels, &ns)) {
        return iceberg_catalog__no_namespace(catalog, table->ns, info);
    }
    return rest_planner_open(catalog->rest, &catalog->remote, who, &ns, table->name, ret_planner,
                             info);
}

/* ---- loading ---- */

void catalog_iceberg_load_ahead(const struct catalog_iceberg *catalog, const struct identity *who,
                                struct slice ns, struct slice name)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    if (catalog_iceberg_is_remote(catalog) && catalog->remote.ahead != NULL &&
        iceberg_rest__split(ns, levels, &asked) &&
        iceberg_catalog__check_name(name, false, NULL) == ERR_OK) {
        rest_ahead_load(catalog->remote.ahead, &catalog->remote, who, &asked, name,
                        catalog->wants_history);
    }
}

static enum err no_table(const struct catalog_iceberg *catalog, struct slice ns, struct slice name,
                         struct errinfo *info)
{
    return errinfo_set(info, ERR_NOT_FOUND, "42P01",
                       "table \"%.*s.%.*s\" does not exist in catalog \"%.*s\"", SLICE_ARGS(ns),
                       SLICE_ARGS(name), SLICE_ARGS(catalog->name));
}

/* A catalog may leave out where the metadata lies; what was read is known by its bytes then. */
static enum err name_location(const struct rest_loaded *loaded, struct arena *arena,
                              struct slice *ret_location, struct errinfo *info)
{
    if (loaded->metadata_location.len > 0) {
        *ret_location = loaded->metadata_location;
        return ERR_OK;
    }
    char *text =
        arena_printf(arena, "(%016llx)", (unsigned long long)hash_xx64(loaded->metadata, 0));
    if (text == NULL) {
        return errinfo_nomem(info);
    }
    *ret_location = slice_of(text);
    return ERR_OK;
}

enum err iceberg_catalog__read(const struct catalog_iceberg *catalog, const struct identity *who,
                               struct slice ns, struct slice name, struct slice location,
                               struct arena *arena, struct slice *ret_document,
                               struct errinfo *info)
{
    const struct catalog_iceberg_name table = {.ns = ns, .name = name};
    struct iceberg_io io;
    struct buf bytes CLEANUP(buf_fini) = {0};
    TRY(catalog_iceberg_io_of(catalog, who, &table, arena, &io, info));
    enum err err = io.read_all(io.context, location, 0, 0, &bytes, info);
    if (err == ERR_NOT_FOUND) {
        return errinfo_set(info, ERR_INVALID, "58P01",
                           "the metadata file of table \"%.*s\" is gone", SLICE_ARGS(name));
    }
    TRY(err);
    return iceberg_document_text(buf_slice(&bytes), arena, ret_document, info);
}

static enum err load_exact(const struct catalog_iceberg *catalog, const struct identity *who,
                           struct slice ns, struct slice name, struct arena *arena,
                           struct catalog_iceberg_table *ret_table, struct errinfo *info)
{
    struct slice levels[ICEBERG_LEVELS_MAX];
    struct rest_namespace asked;
    struct rest_loaded loaded;
    struct catalog_iceberg_table table = {0};
    if (!iceberg_rest__split(ns, levels, &asked) ||
        iceberg_catalog__check_name(name, false, NULL) != ERR_OK) {
        return no_table(catalog, ns, name, info);
    }
    TRY(rest_load(catalog->rest, &catalog->remote, who, &asked, name, catalog->wants_history, arena,
                  &loaded, info));
    table.name.is_view = loaded.is_view;
    table.restrictions = loaded.restrictions;
    table.planning = loaded.planning;
    if (!arena_slice(arena, ns, &table.name.ns) || !arena_slice(arena, name, &table.name.name)) {
        return errinfo_nomem(info);
    }
    TRY(name_location(&loaded, arena, &table.name.metadata_location, info));
    if (catalog_iceberg_is_metastore(catalog)) {
        TRY(iceberg_catalog__read(catalog, who, ns, name, loaded.metadata_location, arena,
                                  &loaded.metadata, info));
    }
    TRY(loaded.is_view ? iceberg_view_parse(loaded.metadata, arena, &table.view, info)
                       : iceberg_metadata_parse(loaded.metadata, arena, &table.metadata, info));
    *ret_table = table;
    return ERR_OK;
}

/* The one name that is this one but for ASCII case. */
static enum err find_folded(const struct catalog_iceberg *catalog, const struct identity *who,
                            struct slice ns, struct slice name, struct arena *arena,
                            struct catalog_iceberg_name *ret_name, struct errinfo *info)
{
    struct iceberg_name_list namespaces = {.arena = arena};
    struct iceberg_name_list names = {.arena = arena};
    size_t found = 0;
    TRY(iceberg_rest__namespaces(catalog, who, &namespaces, info));
    for (size_t i = 0; i < namespaces.count; i++) {
        if (slice_equal_fold(namespaces.names[i].ns, ns)) {
            TRY(list_one(catalog, who, namespaces.names[i].ns, &names, info));
        }
    }
    for (size_t i = 0; i < names.count; i++) {
        if (slice_equal_fold(names.names[i].name, name)) {
            *ret_name = names.names[i];
            found++;
        }
    }
    return found == 1 ? ERR_OK : no_table(catalog, ns, name, info);
}

enum err iceberg_rest__load(const struct catalog_iceberg *catalog, const struct identity *who,
                            struct slice ns, struct slice name, struct arena *arena,
                            struct catalog_iceberg_table *ret_table, struct errinfo *info)
{
    struct catalog_iceberg_name other;
    struct errinfo ignored;
    enum err err = load_exact(catalog, who, ns, name, arena, ret_table, info);
    /* A name with a "$" is first of all a table's and what is asked about it. */
    if (err != ERR_NOT_FOUND || memchr(name.ptr, '$', name.len) != NULL) {
        return err;
    }
    enum err listed = find_folded(catalog, who, ns, name, arena, &other, &ignored);
    bool is_same = listed == ERR_OK && slice_equal(other.ns, ns) && slice_equal(other.name, name);
    if (listed != ERR_OK || is_same) {
        return listed == ERR_NOMEM ? errinfo_nomem(info) : err;
    }
    return load_exact(catalog, who, other.ns, other.name, arena, ret_table, info);
}
