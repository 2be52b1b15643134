/* COPY (query) TO 'file': the rows that the query gives this person, written by the engine through
 * a grant to one new file. Only for the warehouse's owner: a file outlives every policy. */
#include <limits.h>

#include "query/plan/policy_int.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

struct copy_format {
    const char *name;
    const char *options;
    bool is_text; /* has no VARIANT of its own */
};

static enum err find_format(const struct statement *statement,
                            const struct copy_format **ret_format, struct errinfo *info)
{
    static const struct copy_format formats[] = {
        {"parquet", "FORMAT parquet, COMPRESSION zstd", false},
        {"csv", "FORMAT csv, HEADER true", true},
        {"json", "FORMAT json", true},
    };
    struct slice wanted = {"", 0};
    for (size_t i = 0; i < statement->option_count; i++) {
        const struct relation_option *option = &statement->options[i];
        if (!slice_equal_fold(option->name, SLICE("format"))) {
            return errinfo_set(info, ERR_INVALID, NULL,
                               "COPY takes no option \"%.*s\"; it takes "
                               "FORMAT",
                               SLICE_ARGS(option->name));
        }
        wanted = option->value;
        if (wanted.len >= 2 && wanted.ptr[0] == '\'') {
            wanted = (struct slice){wanted.ptr + 1, wanted.len - 2};
        }
    }
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        char ending[16];
        (void)snprintf(ending, sizeof(ending), ".%s", formats[i].name);
        bool is_named = slice_equal_fold(wanted, slice_of(formats[i].name));
        bool is_ending =
            wanted.len == 0 && slice_ends_with(statement->copy_target, slice_of(ending));
        if (is_named || is_ending) {
            *ret_format = &formats[i];
            return ERR_OK;
        }
    }
    (void)errinfo_set(info, ERR_INVALID, NULL, "COPY needs a format");
    errinfo_hint(info, "End the file's name in .parquet, .csv or .json, or add (FORMAT parquet).");
    return ERR_INVALID;
}

/* Not into the warehouse's own folder, by whatever name: links and ".." are resolved first. */
static enum err check_outside(const struct warehouse *warehouse, struct arena *arena,
                              struct slice target, struct errinfo *info)
{
    char *folder = arena_slicedup(arena, target);
    if (folder == NULL) {
        return errinfo_nomem(info);
    }
    char *slash = strrchr(folder, '/');
    if (slash != NULL) {
        slash[slash == folder ? 1 : 0] = '\0';
    }
    char into[PATH_MAX];
    char own[PATH_MAX];
    if (realpath(slash == NULL ? "." : folder, into) == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "58P01", "the folder to copy into does not exist");
        return ERR_NOT_FOUND;
    }
    if (realpath(warehouse->folder, own) == NULL) {
        return errinfo_set(info, ERR_IO, NULL, "the warehouse's folder cannot be found");
    }
    size_t len = strlen(own);
    if (strncmp(into, own, len) == 0 && (into[len] == '/' || into[len] == '\0')) {
        return errinfo_set(info, ERR_DENIED, NULL,
                           "COPY does not write into the warehouse's folder");
    }
    return ERR_OK;
}

static enum err check_target(struct query *query, const struct statement *statement,
                             struct errinfo *info)
{
    const struct identity *who = query->session->who;
    if (!identity_is_owner(who) || identity_actor(who).len > 0) {
        (void)errinfo_set(info, ERR_DENIED, NULL, "permission denied to write files");
        errinfo_hint(info, "Take the rows from the result instead.");
        return ERR_DENIED;
    }
    struct slice target = statement->copy_target;
    if (target.len == 0 || target.ptr[target.len - 1] == '/') {
        return errinfo_set(info, ERR_INVALID, NULL, "COPY needs the name of a file");
    }
    return check_outside(query->session->warehouse, query->arena, target, info);
}

/* ---- values that text has no form of ---- */

/* The engine's name of a type with JSON in place of VARIANT. A field of that name is followed by
 * its type. */
static bool print_as_json(struct slice type, struct buf *out)
{
    struct slice variant = SLICE("VARIANT");
    bool is_any = false;
    bool is_start = true;
    for (size_t i = 0; i < type.len; i++) {
        struct slice rest = {type.ptr + i, type.len - i};
        char next = rest.len > variant.len ? rest.ptr[variant.len] : ',';
        if (is_start && slice_starts_with(rest, variant) && strchr(",)[", next) != NULL) {
            buf_append_str(out, "JSON");
            i += variant.len - 1;
            is_any = true;
        } else {
            buf_append_char(out, type.ptr[i]);
        }
        is_start = type.ptr[i] == ' ' || type.ptr[i] == '(';
    }
    return is_any;
}

/* The query with each VARIANT as JSON, as it goes to clients; else as it is. */
static enum err print_query(struct query *query, struct slice physical, struct buf *out,
                            struct errinfo *info)
{
    struct session *session = query->session;
    struct engine_column *columns;
    size_t count;
    bool is_any = false;
    struct buf wrapped CLEANUP(buf_fini) = {0};
    TRY(engine_describe(session->engine, session->who, physical, query->arena, &columns, &count,
                        info));
    buf_append_str(&wrapped, "SELECT ");
    for (size_t i = 0; i < count; i++) {
        struct buf type CLEANUP(buf_fini) = {0};
        bool is_variant = print_as_json(columns[i].type, &type);
        is_any = is_any || is_variant;
        buf_append_str(&wrapped, i == 0 ? "" : ", ");
        if (is_variant) {
            /* The cast alone makes the text "null" of NULL. */
            buf_printf(&wrapped, "CASE WHEN c%zu IS NOT NULL THEN CAST(c%zu AS %s) END", i, i,
                       buf_cstr(&type));
        } else {
            buf_printf(&wrapped, "c%zu", i);
        }
        buf_append_str(&wrapped, " AS ");
        sql_quote_name(&wrapped, columns[i].name);
        wrapped.failed = wrapped.failed || buf_failed(&type);
    }
    buf_append_str(&wrapped, " FROM (");
    buf_append_slice(&wrapped, physical);
    buf_append_str(&wrapped, ") AS t(");
    for (size_t i = 0; i < count; i++) {
        buf_printf(&wrapped, "%sc%zu", i == 0 ? "" : ", ", i);
    }
    buf_append_str(&wrapped, ")");
    buf_append_slice(out, is_any ? buf_slice(&wrapped) : physical);
    return buf_failed(&wrapped) ? errinfo_nomem(info) : ERR_OK;
}

/* The engine's writer would say of them that they are local times. */
static enum err check_instants(struct query *query, struct slice physical, struct errinfo *info)
{
    struct session *session = query->session;
    struct engine_column *columns;
    size_t count;
    TRY(engine_describe(session->engine, session->who, physical, query->arena, &columns, &count,
                        info));
    for (size_t i = 0; i < count; i++) {
        if (slice_find(columns[i].type, SLICE("TIMESTAMPTZ_NS")) != SIZE_MAX) {
            (void)errinfo_set(info, ERR_UNSUPPORTED, NULL,
                              "column \"%.*s\" of type %.*s cannot be copied to a Parquet file",
                              SLICE_ARGS(columns[i].name), SLICE_ARGS(columns[i].type));
            errinfo_hint(info, "Cast it to TIMESTAMPTZ, which keeps microseconds, or say the zone "
                               "of a TIMESTAMP_NS: c AT TIME ZONE 'UTC'.");
            return ERR_UNSUPPORTED;
        }
    }
    return ERR_OK;
}

/* ---- running ---- */

/* Runs to the end here: a copy has no rows to give. */
enum err run_copy_to_end(struct query *query, struct slice sql, struct errinfo *info)
{
    TRY(query_engine_open(query, sql, info));
    for (;;) {
        struct ArrowArray batch = {0};
        TRY(query_check_cancelled(query, info));
        enum err err = engine_query_next(query->engine, &batch, info);
        if (err != ERR_OK) {
            query_clean_error(query, false, info);
            return err;
        }
        if (batch.release == NULL) {
            return ERR_OK;
        }
        if (batch.n_children == 1 && batch.length == 1 && batch.children[0]->n_buffers == 2) {
            query->rows_out = (uint64_t)((const int64_t *)batch.children[0]->buffers[1])[0];
        }
        batch.release(&batch);
    }
}

enum err run_copy(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct session *session = query->session;
    const struct copy_format *format;
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    TRY(check_target(query, statement, info));
    TRY(find_format(statement, &format, info));
    enum err err = plan_build(session, query, statement->query, &plan, info);
    if (err != ERR_OK) {
        if (info != NULL && info->position > 0) {
            info->position += statement_position(query->statement, statement->query) - 1;
        }
        return err;
    }
    char *target = arena_slicedup(query->arena, statement->copy_target);
    if (target == NULL) {
        return errinfo_nomem(info);
    }
    TRY(query_move(query, QUERY_ADMITTED, info));
    TRY(access_open(session->warehouse, session->who, plan, target, &query->access, info));
    TRY(query_move(query, QUERY_RUNNING, info));
    struct buf bound CLEANUP(buf_fini) = {0};
    struct buf sql CLEANUP(buf_fini) = {0};
    struct buf uri CLEANUP(buf_fini) = {0};
    access_sink_uri(query->access, &uri);
    if (access_bind(query->access, plan->physical_sql, &bound) != ERR_OK || buf_failed(&uri)) {
        return errinfo_nomem(info);
    }
    buf_append_str(&sql, "COPY (");
    if (format->is_text) {
        TRY(print_query(query, buf_slice(&bound), &sql, info));
    } else {
        TRY(check_instants(query, buf_slice(&bound), info));
        buf_append_slice(&sql, buf_slice(&bound));
    }
    buf_append_str(&sql, ") TO ");
    sql_quote_string(&sql, buf_slice(&uri));
    buf_append_str(&sql, " (");
    buf_append_str(&sql, format->options);
    buf_append_str(&sql, ")");
    if (buf_failed(&sql)) {
        return errinfo_nomem(info);
    }
    TRY(run_copy_to_end(query, buf_slice(&sql), info));
    TRY(access_sink_finish(query->access, info));
    (void)snprintf(query->notice, sizeof(query->notice), "%llu rows",
                   (unsigned long long)query->rows_out);
    return ERR_OK;
}
