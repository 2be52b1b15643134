/* What there is in a metastore: databases, which are namespaces of one level, and their Iceberg
 * tables. */
#include "catalog/rest/hive/hive_int.h"
#include "identity/identity.h"

#define TABLES_AT_ONCE 200 /* whose descriptions are asked for by one call */

static const struct hive_method get_all_databases = {"get_all_databases", false, {HIVE_FAILS}};
static const struct hive_method get_database = {"get_database", false, {HIVE_MISSING, HIVE_FAILS}};
static const struct hive_method create_database = {
    "create_database", true, {HIVE_EXISTS, HIVE_REFUSED, HIVE_FAILS}};
static const struct hive_method alter_database = {
    "alter_database", true, {HIVE_FAILS, HIVE_MISSING}};
static const struct hive_method drop_database = {
    "drop_database", true, {HIVE_MISSING, HIVE_REFUSED, HIVE_FAILS}};
static const struct hive_method get_all_tables = {"get_all_tables", false, {HIVE_FAILS}};
static const struct hive_method get_tables = {
    "get_table_objects_by_name_req", false, {HIVE_FAILS, HIVE_REFUSED, HIVE_MISSING}};

enum {
    DATABASE_NAME = 1,
    DATABASE_COMMENT = 2,
    DATABASE_LOCATION = 3,
    DATABASE_PROPERTIES = 4,
    DATABASE_OWNER = 6,
    DATABASE_OWNER_KIND = 7,
    OWNER_IS_USER = 1,
};

/* A list of texts, as the answer has it. */
static enum err read_texts(const struct rest_call *call, const struct hive_reply *reply,
                           struct arena *arena, struct slice **ret_texts, size_t *ret_count)
{
    struct thrift_reader reader = {.left = reply->result.value};
    size_t count = reply->result.type == THRIFT_LIST ? thrift_read_list(&reader, THRIFT_STRING) : 0;
    if (reply->result.type != THRIFT_LIST || reader.is_bad || count > REST_NAMES_MAX) {
        return hive_call__wrong(call, "no list of names");
    }
    struct slice *texts = arena_calloc(arena, count + 1, sizeof(*texts));
    for (size_t i = 0; texts != NULL && i < count; i++) {
        if (!arena_slice(arena, thrift_read_string(&reader), &texts[i])) {
            texts = NULL;
        }
    }
    if (texts == NULL) {
        return errinfo_nomem(call->info);
    }
    *ret_texts = texts;
    *ret_count = count;
    return reader.is_bad ? hive_call__wrong(call, "a list that ends too soon") : ERR_OK;
}

static enum err list_databases(const struct rest_call *call, struct arena *arena,
                               struct slice **ret_names, size_t *ret_count)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, call, &get_all_databases, "catalog", call->catalog->name);
    TRY(hive_call__do(&hive, &reply));
    return read_texts(call, &reply, arena, ret_names, ret_count);
}

enum err hive__check(const struct rest_call *call)
{
    struct slice *names;
    size_t count;
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "check", 0);
    return arena == NULL ? errinfo_nomem(call->info) : list_databases(call, arena, &names, &count);
}

enum err hive__namespaces(const struct rest_call *call, struct arena *arena,
                          struct rest_namespace **ret_namespaces, size_t *ret_count)
{
    struct slice *names;
    size_t count;
    TRY(list_databases(call, arena, &names, &count));
    struct rest_namespace *namespaces = arena_calloc(arena, count + 1, sizeof(*namespaces));
    if (namespaces == NULL) {
        return errinfo_nomem(call->info);
    }
    for (size_t i = 0; i < count; i++) {
        namespaces[i] = (struct rest_namespace){&names[i], 1};
    }
    *ret_namespaces = namespaces;
    *ret_count = count;
    return ERR_OK;
}

/* ---- tables ---- */

static enum err ask_tables(const struct rest_call *call, struct slice database,
                           const struct slice *names, size_t count, struct hive_reply *reply)
{
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &get_tables, "namespace", database);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_string_field(&hive.body, 1, database);
    thrift_field(&hive.body, THRIFT_LIST, 2);
    thrift_list(&hive.body, THRIFT_STRING, count);
    for (size_t i = 0; i < count; i++) {
        thrift_string(&hive.body, names[i]);
    }
    thrift_stop(&hive.body);
    return hive_call__do(&hive, reply);
}

/* Of some tables, those that are Iceberg's. */
static enum err pick(const struct rest_call *call, struct slice database, const struct slice *names,
                     size_t count, struct arena *arena, struct rest_name *out, size_t *out_count)
{
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct thrift_field field;
    TRY(ask_tables(call, database, names, count, &reply));
    struct thrift_reader result = {.left = reply.result.value};
    if (reply.result.type != THRIFT_STRUCT || !thrift_read_field(&result, &field) ||
        field.id != 1 || field.type != THRIFT_LIST) {
        return hive_call__wrong(call, "no list of tables");
    }
    struct thrift_reader list = {.left = field.value};
    size_t found = thrift_read_list(&list, THRIFT_STRUCT);
    if (found > count) {
        return hive_call__wrong(call, "more tables than were asked for");
    }
    for (size_t i = 0; i < found; i++) {
        struct hive_found table;
        if (!hive_table__read(thrift_read_raw(&list, THRIFT_STRUCT), &table)) {
            return hive_call__wrong(call, "a table that is none");
        }
        if (table.is_iceberg && !arena_slice(arena, table.name, &out[(*out_count)++].name)) {
            return errinfo_nomem(call->info);
        }
    }
    return ERR_OK;
}

enum err hive__names(const struct rest_call *call, const struct rest_namespace *ns,
                     struct arena *arena, struct rest_name **ret_names, size_t *ret_count)
{
    struct slice database;
    struct slice *names;
    size_t count;
    size_t found = 0;
    if (!metastore_name__of(ns, &database)) {
        return metastore__no_namespace(call, ns);
    }
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    hive_call__begin(&hive, call, &get_all_tables, "namespace", database);
    thrift_string_field(&hive.body, 1, database);
    TRY(hive_call__do(&hive, &reply));
    TRY(read_texts(call, &reply, arena, &names, &count));
    struct rest_name *out = arena_calloc(arena, count + 1, sizeof(*out));
    if (out == NULL) {
        return errinfo_nomem(call->info);
    }
    for (size_t i = 0; i < count; i += TABLES_AT_ONCE) {
        size_t some = count - i < TABLES_AT_ONCE ? count - i : TABLES_AT_ONCE;
        TRY(pick(call, database, names + i, some, arena, out, &found));
    }
    *ret_names = out;
    *ret_count = found;
    return ERR_OK;
}

/* ---- one database ---- */

static enum err ask_database(const struct rest_call *call, const struct rest_namespace *ns,
                             struct hive_reply *reply)
{
    struct slice database;
    if (!metastore_name__of(ns, &database)) {
        return metastore__no_namespace(call, ns);
    }
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &get_database, "namespace", database);
    thrift_string_field(&hive.body, 1, database);
    TRY(hive_call__do(&hive, reply));
    return reply->result.type == THRIFT_STRUCT ? ERR_OK : hive_call__wrong(call, "no database");
}

static enum err add_property(const struct rest_call *call, struct arena *arena, struct slice key,
                             struct slice value, struct rest_property *out)
{
    return arena_slice(arena, key, &out->key) && arena_slice(arena, value, &out->value)
               ? ERR_OK
               : errinfo_nomem(call->info);
}

/* The property that a field of a database is; empty: none. */
static struct slice key_of(int16_t id)
{
    return id == DATABASE_LOCATION  ? SLICE(METASTORE_LOCATION)
           : id == DATABASE_COMMENT ? SLICE(METASTORE_COMMENT)
                                    : (struct slice){0};
}

enum err hive__properties(const struct rest_call *call, const struct rest_namespace *ns,
                          struct arena *arena, struct rest_property **ret_properties,
                          size_t *ret_count)
{
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    struct thrift_field field;
    TRY(ask_database(call, ns, &reply));
    size_t capacity = reply.result.value.len / 8 + 3; /* an entry has two lengths */
    struct rest_property *out = arena_calloc(arena, capacity, sizeof(*out));
    size_t count = 0;
    if (out == NULL) {
        return errinfo_nomem(call->info);
    }
    struct thrift_reader reader = {.left = reply.result.value};
    while (thrift_read_field(&reader, &field)) {
        struct slice key = key_of(field.id);
        struct thrift_reader map = {.left = field.value};
        size_t entries = 0;
        if (key.len > 0) {
            struct slice value = thrift_text_of(&reader, &field);
            if (value.len > 0) {
                TRY(add_property(call, arena, key, value, &out[count++]));
            }
        } else if (field.id == DATABASE_PROPERTIES && field.type == THRIFT_MAP) {
            entries = thrift_read_map(&map, THRIFT_STRING, THRIFT_STRING);
        }
        for (size_t i = 0; i < entries && !map.is_bad; i++) {
            struct slice name = thrift_read_string(&map);
            struct slice value = thrift_read_string(&map);
            TRY(add_property(call, arena, name, value, &out[count++]));
        }
        reader.is_bad = reader.is_bad || map.is_bad;
    }
    *ret_properties = out;
    *ret_count = count;
    return reader.is_bad ? hive_call__wrong(call, "a database that is none") : ERR_OK;
}

/* Those that are fields of their own are none of the map. */
static bool is_field(struct slice key)
{
    return slice_equal(key, key_of(DATABASE_LOCATION)) ||
           slice_equal(key, key_of(DATABASE_COMMENT));
}

static void write_texts(struct buf *out, const struct rest_property *properties, size_t count)
{
    static const int16_t ids[] = {DATABASE_COMMENT, DATABASE_LOCATION};
    for (size_t i = 0; i < ARRAY_COUNT(ids); i++) {
        const struct rest_property *given = metastore__property(properties, count, key_of(ids[i]));
        if (given != NULL && given->value.ptr != NULL) {
            thrift_string_field(out, ids[i], given->value);
        }
    }
}

/* What was there, without what is given; then what is given. */
static void write_map(struct buf *out, struct slice before, const struct rest_property *properties,
                      size_t count)
{
    struct thrift_reader reader = {.left = before};
    struct buf entries CLEANUP(buf_fini) = {0};
    size_t total = 0;
    size_t old = before.len == 0 ? 0 : thrift_read_map(&reader, THRIFT_STRING, THRIFT_STRING);
    for (size_t i = 0; i < old && !reader.is_bad; i++) {
        struct slice key = thrift_read_string(&reader);
        struct slice value = thrift_read_string(&reader);
        if (!reader.is_bad && metastore__property(properties, count, key) == NULL) {
            thrift_string(&entries, key);
            thrift_string(&entries, value);
            total++;
        }
    }
    for (size_t i = 0; i < count; i++) {
        bool is_last = metastore__property(properties, count, properties[i].key) == &properties[i];
        if (properties[i].value.ptr != NULL && !is_field(properties[i].key) && is_last) {
            thrift_string(&entries, properties[i].key);
            thrift_string(&entries, properties[i].value);
            total++;
        }
    }
    thrift_field(out, THRIFT_MAP, DATABASE_PROPERTIES);
    thrift_map(out, THRIFT_STRING, THRIFT_STRING, total);
    buf_append_slice(out, buf_slice(&entries));
    if (buf_failed(&entries)) {
        out->failed = true;
    }
}

enum err hive__create_namespace(const struct rest_call *call, const struct rest_namespace *ns,
                                const struct rest_property *properties, size_t property_count)
{
    struct slice database;
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    if (!metastore_name__of(ns, &database)) {
        (void)errinfo_set(call->info, ERR_INVALID, "42602",
                          "a namespace of catalog \"%.*s\" is one name in small letters",
                          SLICE_ARGS(call->catalog->name));
        errinfo_hint(call->info, "A Hive metastore has databases, and none in them.");
        return ERR_INVALID;
    }
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &create_database, "namespace", database);
    thrift_field(&hive.body, THRIFT_STRUCT, 1);
    thrift_string_field(&hive.body, DATABASE_NAME, database);
    write_texts(&hive.body, properties, property_count);
    write_map(&hive.body, (struct slice){0}, properties, property_count);
    thrift_string_field(&hive.body, DATABASE_OWNER, identity_subject(call->who));
    thrift_i32_field(&hive.body, DATABASE_OWNER_KIND, OWNER_IS_USER);
    thrift_stop(&hive.body);
    return hive_call__do(&hive, &reply);
}

enum err hive__drop_namespace(const struct rest_call *call, const struct rest_namespace *ns)
{
    struct slice database;
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    if (!metastore_name__of(ns, &database)) {
        return metastore__no_namespace(call, ns);
    }
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &drop_database, "namespace", database);
    thrift_string_field(&hive.body, 1, database);
    thrift_bool_field(&hive.body, 2, false); /* its folder stays */
    thrift_bool_field(&hive.body, 3, false); /* and so does what has tables */
    TRY(hive_call__send(&hive, &reply));
    if (reply.fault == HIVE_REFUSED) {
        return errinfo_set(call->info, ERR_INVALID, "2BP01", "namespace \"%.*s\" is not empty",
                           SLICE_ARGS(database));
    }
    return reply.fault == HIVE_FINE ? ERR_OK : hive_call__fault(&hive, &reply);
}

static void write_altered(struct buf *out, struct slice before,
                          const struct rest_property *properties, size_t count)
{
    struct thrift_reader reader = {.left = before};
    struct thrift_field field;
    struct slice map = {0};
    while (thrift_read_field(&reader, &field)) {
        struct slice key = key_of(field.id);
        if (field.id == DATABASE_PROPERTIES && field.type == THRIFT_MAP) {
            map = field.value;
        } else if (key.len == 0 || metastore__property(properties, count, key) == NULL) {
            thrift_field(out, field.type, field.id);
            buf_append_slice(out, field.value);
        }
    }
    write_texts(out, properties, count);
    write_map(out, map, properties, count);
}

enum err hive__set_properties(const struct rest_call *call, const struct rest_namespace *ns,
                              const struct rest_property *properties, size_t property_count)
{
    struct hive_reply before CLEANUP(hive_reply__fini) = {0};
    struct hive_reply reply CLEANUP(hive_reply__fini) = {0};
    TRY(ask_database(call, ns, &before));
    struct hive_call hive CLEANUP(hive_call__fini) = {0};
    hive_call__begin(&hive, call, &alter_database, "namespace", ns->levels[0]);
    thrift_string_field(&hive.body, 1, ns->levels[0]);
    thrift_field(&hive.body, THRIFT_STRUCT, 2);
    write_altered(&hive.body, before.result.value, properties, property_count);
    thrift_stop(&hive.body);
    return hive_call__do(&hive, &reply);
}
