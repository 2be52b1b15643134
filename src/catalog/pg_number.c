/* Names in casts to regclass and its like, to numbers. */
#include "catalog/pg_int.h"

/* As the keys of relations are: lower case, without quotes. */
static enum err fold(struct slice text, struct arena *arena, struct slice *ret_key,
                     struct errinfo *info)
{
    char *key = arena_alloc(arena, text.len + 1);
    size_t len = 0;
    if (key == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < text.len; i++) {
        char ch = text.ptr[i];
        if (ch != '"') {
            key[len++] = ch >= 'A' && ch <= 'Z' ? (char)(ch + 32) : ch;
        }
    }
    *ret_key = (struct slice){key, len};
    return ERR_OK;
}

static struct slice without_schema(struct slice key)
{
    struct slice prefix = SLICE(SQL_SCHEMA_PG ".");
    return slice_starts_with(key, prefix)
               ? (struct slice){key.ptr + prefix.len, key.len - prefix.len}
               : key;
}

static uint32_t fixed_relation(struct slice key)
{
    const struct pg_relation *relation;
    struct slice name = without_schema(key);
    struct slice information = SLICE(SQL_SCHEMA_INFORMATION ".");
    bool is_information = slice_starts_with(key, information);
    for (size_t i = 0; (relation = catalog__pg_relation_at(i)) != NULL; i++) {
        bool is_pg = strcmp(relation->schema, SQL_SCHEMA_PG) == 0;
        struct slice own =
            is_information ? (struct slice){key.ptr + information.len, key.len - information.len}
                           : name;
        if (is_pg != is_information && slice_equal(slice_of(relation->name), own)) {
            return relation->oid;
        }
    }
    return 0;
}

static uint32_t fixed_type(struct slice key)
{
    const struct pg_type *type;
    struct slice name = without_schema(key);
    for (size_t i = 0; (type = catalog__pg_type_at(i)) != NULL; i++) {
        if (slice_equal(slice_of(type->name), name) || slice_equal(slice_of(type->format), name)) {
            return type->oid;
        }
    }
    static const char *const others[][2] = {
        {"int", "int4"}, {"float", "float8"}, {"decimal", "numeric"}, {"string", "text"}};
    for (size_t i = 0; i < ARRAY_COUNT(others); i++) {
        if (slice_equal(slice_of(others[i][0]), name)) {
            return catalog__pg_type_named(others[i][1])->oid;
        }
    }
    return 0;
}

static uint32_t fixed_proc(struct slice key)
{
    struct slice wanted = without_schema(key);
#define PG_PROC(oid, name, arguments, result)                                                      \
    if (slice_equal(SLICE(name), wanted)) {                                                        \
        return oid;                                                                                \
    }
#include "catalog/pg_procs.def"
    return 0;
}

static enum err own_relation(const struct pg_model *model, struct slice key, uint32_t *ret_oid,
                             struct errinfo *info)
{
    struct buf name CLEANUP(buf_fini) = {0};
    for (size_t i = 0; *ret_oid == 0 && i < model->relation_count; i++) {
        for (unsigned form = 0; catalog__pg_print_key(&model->relations[i], form, &name); form++) {
            if (slice_equal(buf_slice(&name), key)) {
                *ret_oid = model->relations[i].oid;
            }
        }
    }
    return buf_failed(&name) ? errinfo_nomem(info) : ERR_OK;
}

static enum err own(const char *kind, struct slice key, const struct pg_model *model,
                    uint32_t *ret_oid, struct errinfo *info)
{
    if (strcmp(kind, "regclass") == 0) {
        return own_relation(model, key, ret_oid, info);
    }
    for (size_t i = 0; strcmp(kind, "regrole") == 0 && i < model->person_count; i++) {
        bool is_it = slice_equal_fold(model->people[i].name, key);
        *ret_oid = is_it ? model->people[i].oid : *ret_oid;
    }
    for (size_t i = 0; strcmp(kind, "regnamespace") == 0 && i < model->schema_count; i++) {
        bool is_it = slice_equal_fold(model->schemas[i].shown, key);
        *ret_oid = is_it ? model->schemas[i].oid : *ret_oid;
    }
    return ERR_OK;
}

static enum err not_found(const char *kind, struct slice text, struct errinfo *info)
{
    static const char *const words[][3] = {
        {"regclass", "42P01", "relation"}, {"regtype", "42704", "type"},
        {"regrole", "42704", "role"},      {"regnamespace", "3F000", "schema"},
        {"regproc", "42883", "function"},  {"regprocedure", "42883", "function"}};
    const char *const *word = words[0];
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        word = strcmp(words[i][0], kind) == 0 ? words[i] : word;
    }
    return errinfo_set(info, ERR_NOT_FOUND, word[1], "%s \"%.*s\" does not exist", word[2],
                       SLICE_ARGS(text));
}

enum err catalog_pg_number(const char *kind, struct slice text,
                           const struct catalog_system_input *input, struct arena *arena,
                           uint32_t *ret_oid, struct errinfo *info)
{
    struct slice key;
    uint64_t number;
    uint32_t oid = 0;
    TRY(fold(text, arena, &key, info));
    if (slice_equal(text, SLICE("-")) || (slice_to_u64(text, &number) && number <= UINT32_MAX)) {
        *ret_oid = slice_equal(text, SLICE("-")) ? 0 : (uint32_t)number;
        return ERR_OK;
    }
    if (strcmp(kind, "regclass") == 0) {
        oid = fixed_relation(key);
    } else if (strcmp(kind, "regtype") == 0) {
        oid = fixed_type(key);
    } else if (strcmp(kind, "regproc") == 0 || strcmp(kind, "regprocedure") == 0) {
        oid = fixed_proc(key);
    }
    if (oid == 0 && input != NULL) {
        const struct pg_model *model;
        TRY(catalog__pg_model_get(input, arena, &model, info));
        TRY(own(kind, key, model, &oid, info));
    }
    if (oid == 0) {
        return not_found(kind, text, info);
    }
    *ret_oid = oid;
    return ERR_OK;
}
