/* Policy expressions from people's text to stored form, checked without touching data. */
#include "base/json.h"
#include "query/plan/policy_int.h"
#include "query/query_int.h"
#include "sql/scan.h"

size_t statement_position(struct slice statement, struct slice part)
{
    bool is_inside = part.ptr != NULL && statement.ptr != NULL && part.ptr >= statement.ptr &&
                     part.ptr <= statement.ptr + statement.len;
    return is_inside ? (size_t)(part.ptr - statement.ptr) + 1 : 0;
}

enum err bind_column(const struct relation *relation, struct slice name, size_t position,
                     const struct relation_column **ret_column, struct errinfo *info)
{
    unsigned best = 3;
    const struct relation_column *nearest = NULL;
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct relation_column *column = &relation->columns[i];
        if (slice_equal_fold(column->name, name)) {
            *ret_column = column;
            return ERR_OK;
        }
        unsigned distance = slice_edit_distance(column->name, name, best - 1);
        if (distance < best) {
            best = distance;
            nearest = column;
        }
    }
    (void)errinfo_set(info, ERR_NOT_FOUND, "42703", "column \"%.*s\" of \"%.*s\" does not exist",
                      SLICE_ARGS(name), SLICE_ARGS(relation->name.name));
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%.*s\"?", SLICE_ARGS(nearest->name));
    }
    errinfo_position(info, position);
    return ERR_NOT_FOUND;
}

/* "(SELECT CAST(NULL AS type) AS __moat_c1, ...)": the relation's shape without its data. */
static void write_shape(const struct relation *relation, struct buf *out)
{
    buf_append_str(out, "(SELECT ");
    for (size_t i = 0; i < relation->column_count; i++) {
        buf_printf(out, "%sCAST(NULL AS ", i == 0 ? "" : ", ");
        buf_append_slice(out, relation_column_sql_type(&relation->columns[i]));
        buf_printf(out, ") AS \"__moat_c%u\"", relation->columns[i].id);
    }
    buf_append_str(out, ")");
}

static enum err type_of(struct policy_tables *tables, const struct relation *relation,
                        struct slice expression, struct slice *ret_type, struct errinfo *info)
{
    struct session *session = tables->session;
    struct arena *arena = tables->arena;
    struct buf sql CLEANUP(buf_fini) = {0};
    if (sql_expression_reads_tables(expression)) {
        TRY(sql_expression_shape(expression, &tables->namer, arena, &expression, info));
    }
    buf_append_str(&sql, "SELECT (");
    buf_append_slice(&sql, expression);
    buf_append_str(&sql, ") FROM ");
    write_shape(relation, &sql);
    if (buf_failed(&sql)) {
        return errinfo_nomem(info);
    }
    struct engine_column *columns;
    size_t count;
    TRY(engine_describe(session->engine, session->who, buf_slice(&sql), arena, &columns, &count,
                        info));
    ASSERT(count == 1);
    *ret_type = columns[0].type;
    return ERR_OK;
}

/* A mask of a type that widens to the column's without loss (0 on a BIGINT) is cast to it, so that
 * the column keeps its type. Texts never are: a literal would, and fail on each row. */
static bool widen(struct policy_tables *tables, const struct relation *relation,
                  const struct relation_column *column, struct slice folded, struct slice *stored)
{
    struct arena *arena = tables->arena;
    struct slice type;
    struct errinfo ignored;
    char *both = arena_printf(arena, "CASE WHEN false THEN \"__moat_c%u\" ELSE (%.*s) END",
                              column->id, (int)folded.len, folded.ptr);
    if (both == NULL || type_of(tables, relation, slice_of(both), &type, &ignored) != ERR_OK ||
        !slice_equal(type, column->type) || slice_equal(column->type, SLICE("VARCHAR"))) {
        return false;
    }
    char *cast = arena_printf(arena, "CAST((%.*s) AS %.*s)", (int)stored->len, stored->ptr,
                              (int)column->type.len, column->type.ptr);
    if (cast != NULL) {
        *stored = slice_of(cast);
    }
    return cast != NULL;
}

static enum err check_type(struct policy_tables *tables, const struct relation *relation,
                           const struct relation_column *column, struct slice *stored,
                           struct errinfo *info)
{
    struct slice folded;
    struct slice type;
    bool is_dangling;
    TRY(sql_expression_fold(*stored, relation, tables->session->who, tables->arena, &folded,
                            &is_dangling, info));
    enum err err = type_of(tables, relation, folded, &type, info);
    if (err != ERR_OK) {
        if (info != NULL && strstr(info->message, "__moat_") != NULL) {
            (void)errinfo_set(info, ERR_INVALID, "42804",
                              "the expression does not fit its columns");
        }
        return err;
    }
    struct slice wanted = column != NULL ? column->type : SLICE("BOOLEAN");
    if (slice_equal(type, wanted) || slice_equal(type, SLICE("\"NULL\""))) {
        return ERR_OK;
    }
    if (column != NULL && !slice_equal(type, SLICE("VARCHAR")) &&
        widen(tables, relation, column, folded, stored)) {
        return ERR_OK;
    }
    if (column == NULL) {
        (void)errinfo_set(info, ERR_INVALID, "42804", "ROWS WHERE must be BOOLEAN, not %.*s",
                          SLICE_ARGS(type));
        errinfo_hint(info, "Write a condition, such as region = 'EU'.");
    } else {
        (void)errinfo_set(info, ERR_INVALID, "42804",
                          "the mask gives %.*s, column \"%.*s\" is %.*s", SLICE_ARGS(type),
                          SLICE_ARGS(column->name), SLICE_ARGS(wanted));
        errinfo_hint(info,
                     "Mask with null, or with an expression of the column's type: CAST(... AS "
                     "%.*s).",
                     SLICE_ARGS(wanted));
    }
    return ERR_INVALID;
}

static enum err bind_text(struct policy_tables *tables, const struct relation *relation,
                          struct slice expression, bool is_mask, struct slice *ret_stored,
                          struct errinfo *info)
{
    struct session *session = tables->session;
    struct arena *arena = tables->arena;
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf json CLEANUP(buf_fini) = {0};
    buf_append_str(&sql, "SELECT ");
    buf_append_slice(&sql, expression);
    if (buf_failed(&sql)) {
        return errinfo_nomem(info);
    }
    TRY(sql_ast_check_text(expression, &session->warehouse->limits, info));
    enum err err = engine_parse(session->engine, buf_slice(&sql), &json, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position > strlen("SELECT ")) {
            info->position -= strlen("SELECT ");
        }
        return err;
    }
    struct slice kept_json;
    struct slice kept_text;
    if (buf_failed(&json) || !arena_slice(arena, buf_slice(&json), &kept_json) ||
        !arena_slice(arena, expression, &kept_text)) {
        return errinfo_nomem(info);
    }
    struct json *document;
    uint32_t *ids;
    size_t id_count;
    TRY(sql_expression_bind(kept_json, kept_text, relation, &tables->definer,
                            &session->warehouse->limits, arena, &document, &ids, &id_count, info));
    if (is_mask) {
        TRY(sql_expression_key_hashes(document, arena, info));
    }
    buf_reset(&json);
    buf_reset(&sql);
    json_write(&json, document);
    TRY(engine_deparse(session->engine, buf_slice(&json), &sql, info));
    struct slice select;
    if (buf_failed(&json) || buf_failed(&sql) || !arena_slice(arena, buf_slice(&sql), &select)) {
        return errinfo_nomem(info);
    }
    *ret_stored = sql_expression_of_select(select);
    return ERR_OK;
}

enum err bind_expression(struct session *session, const struct relation *relation,
                         const struct relation_column *column, struct slice expression,
                         size_t position, struct arena *arena, struct slice *ret_stored,
                         struct errinfo *info)
{
    struct slice text = expression;
    struct slice stored;
    struct policy_tables tables;
    policy_tables_init(&tables, session, arena);
    enum err err = ERR_OK;
    if (column != NULL) {
        err = policy_mask_expand(expression, column, arena, &text, info);
    }
    bool is_own_text = text.ptr == expression.ptr;
    if (err == ERR_OK) {
        err = bind_text(&tables, relation, text, column != NULL, &stored, info);
    }
    if (err == ERR_OK) {
        err = check_type(&tables, relation, column, &stored, info);
        is_own_text = false;
    }
    if (err != ERR_OK) {
        if (position != 0 && info != NULL) {
            size_t inside = is_own_text && info->position > 0 ? info->position - 1 : 0;
            errinfo_position(info, position + inside);
        }
        return err;
    }
    *ret_stored = stored;
    return ERR_OK;
}

enum err find_grantee(struct session *session, struct slice name, bool kind_given, bool said_role,
                      struct arena *arena, enum grantee_kind *ret_kind, struct errinfo *info)
{
    if (kind_given) {
        *ret_kind = said_role ? GRANTEE_ROLE : GRANTEE_USER;
        return ERR_OK;
    }
    struct slice *roles;
    size_t count;
    TRY(system_roles(session->warehouse->system, session->who, arena, &roles, &count, info));
    *ret_kind = GRANTEE_USER; /* one name space: what is no role must be a user, or is refused */
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(roles[i], name)) {
            *ret_kind = GRANTEE_ROLE;
        }
    }
    if (slice_equal_fold(name, SLICE("public"))) {
        *ret_kind = GRANTEE_ROLE;
    }
    return ERR_OK;
}
