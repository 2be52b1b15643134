/* What a statement would need and give, without running it. Nothing is read: no audit record, no
 * place; but names are resolved as the person, and errors cleaned, as if it ran. */
#include "base/mem.h"
#include "query/temp/change_rules_int.h"
#include "query/dml/dml_int.h"
#include "sql/scan.h"

static enum err copy_columns(const struct engine_column *columns, size_t count, struct arena *arena,
                             struct query_column **ret_columns, struct errinfo *info)
{
    struct query_column *copies = arena_calloc(arena, count + 1, sizeof(*copies));
    if (copies == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        copies[i] = (struct query_column){columns[i].name, columns[i].type};
    }
    *ret_columns = copies;
    return ERR_OK;
}

/* A function that was rewritten may have had no use for the last ones: any value will do. */
static enum err add_unused(struct slice **types, size_t *count, size_t wanted, struct arena *arena,
                           struct errinfo *info)
{
    if (wanted <= *count) {
        return ERR_OK;
    }
    struct slice *grown = arena_calloc(arena, wanted + 1, sizeof(*grown));
    if (grown == NULL) {
        return errinfo_nomem(info);
    }
    if (*count > 0) {
        memcpy(grown, *types, *count * sizeof(*grown));
    }
    *types = grown;
    *count = wanted;
    return ERR_OK;
}

static enum err ask_engine(struct session *session, struct slice sql, struct arena *arena,
                           struct query_column **ret_columns, size_t *ret_column_count,
                           struct slice **ret_types, size_t *ret_type_count, struct errinfo *info)
{
    struct engine_column *columns;
    size_t count;
    TRY(engine_describe(session->engine, session->who, sql, arena, &columns, &count, info));
    TRY(engine_describe_parameters(session->engine, session->who, sql, arena, ret_types,
                                   ret_type_count, info));
    TRY(copy_columns(columns, count, arena, ret_columns, info));
    *ret_column_count = count;
    return ERR_OK;
}

/* Plans `text` and asks the engine; the columns too where `ret_columns` is given. */
static enum err describe_text(struct session *session, struct slice text, struct arena *arena,
                              struct query_column **ret_columns, size_t *ret_column_count,
                              struct slice **ret_types, size_t *ret_type_count,
                              struct errinfo *info)
{
    struct plan *plan CLEANUP(plan_cleanup) = NULL;
    struct access *access CLEANUP(access_cleanup) = NULL;
    struct buf sql CLEANUP(buf_fini) = {0};
    TRY(plan_build(session, NULL, text, &plan, info));
    TRY(access_open(session->warehouse, session->who, plan, NULL, &access, info));
    if (access_bind(access, plan->physical_sql, &sql) != ERR_OK) {
        return errinfo_nomem(info);
    }
    enum err err = ask_engine(session, buf_slice(&sql), arena, ret_columns, ret_column_count,
                              ret_types, ret_type_count, info);
    if (err != ERR_OK) {
        struct query described = {.session = session, .plan = plan};
        query_clean_error(&described, true, info);
        return err;
    }
    return add_unused(ret_types, ret_type_count, plan->ast->parameter_count, arena, info);
}

/* ---- INSERT, UPDATE, DELETE ---- */

/* DEFAULT is a word of INSERT alone. */
static enum err write_insert_probe(struct slice query, struct buf *out, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    size_t copied = 0;
    scanner_init(&scanner, query);
    do {
        TRY(scanner_next(&scanner, &token, info));
        if (token_is(&token, "default")) {
            buf_append(out, query.ptr + copied, token.offset - copied);
            buf_append_str(out, "NULL");
            copied = token.offset + token.text.len;
        }
    } while (token.kind != TOKEN_END);
    buf_append(out, query.ptr + copied, query.len - copied);
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* SELECT $1, $2 ...: as many as the statement has, of types that are not known. */
static enum err count_parameters(struct slice text, struct buf *out, struct errinfo *info)
{
    struct scanner scanner;
    struct token token;
    uint64_t highest = 0;
    scanner_init(&scanner, text);
    do {
        uint64_t number = 0;
        TRY(scanner_next(&scanner, &token, info));
        bool is_one = token.kind == TOKEN_PARAMETER && token.text.len > 1 &&
                      slice_to_u64((struct slice){token.text.ptr + 1, token.text.len - 1}, &number);
        highest = is_one && number > highest ? number : highest;
    } while (token.kind != TOKEN_END);
    buf_append_str(out, "SELECT 1");
    for (uint64_t i = 1; i <= highest; i++) {
        buf_printf(out, ", $%llu", (unsigned long long)i);
        TRY(sql_check_length(out->len, sql_limits_default.statement_bytes_max, info));
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

/* A query with the same parameters in the same places; empty: there can be none. */
static enum err write_probe(const struct statement *statement, const struct temp_table *table,
                            bool is_temp, struct buf *out, struct errinfo *info)
{
    if (statement->kind == STATEMENT_INSERT) {
        return write_insert_probe(statement->query, out, info);
    }
    if (statement->kind ==
        STATEMENT_MERGE) { /* which names are in view differs from part to part */
        return count_parameters(statement->text, out, info);
    }
    buf_append_str(out, "SELECT 1");
    for (size_t i = 0; statement->kind == STATEMENT_UPDATE && i < statement->column_count; i++) {
        if (!slice_equal_fold(statement->types[i], SLICE("default"))) {
            const struct relation_column *column =
                statement->paths[i].len > 0 ? NULL : change_column(table, statement->columns[i]);
            buf_printf(out, ", CAST((%.*s\n) AS %.*s)", SLICE_ARGS(statement->types[i]),
                       SLICE_ARGS(column == NULL ? SLICE("VARCHAR") : column->type));
        }
    }
    if (statement->where.len > 0) {
        buf_printf(out, ", (%.*s\n)", SLICE_ARGS(statement->where));
    }
    if (is_temp) {
        change_write_table(table, statement->alias, out);
    } else {
        dml_print_from(statement, out);
    }
    return buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}

static void tell_type(const struct temp_table *table, struct slice column, struct slice parameter,
                      struct slice *types, size_t type_count)
{
    uint64_t number;
    bool is_one = parameter.len > 1 && parameter.ptr[0] == '$' &&
                  slice_to_u64((struct slice){parameter.ptr + 1, parameter.len - 1}, &number) &&
                  number > 0 && number <= type_count;
    for (size_t i = 0; is_one && i < table->column_count; i++) {
        if (slice_equal_fold(table->columns[i].name, column)) {
            types[number - 1] = table->columns[i].type;
        }
    }
}

/* VALUES ($1, ...): a parameter that is a value by itself has its column's type. */
static enum err tell_values(const struct statement *statement, const struct temp_table *table,
                            struct slice *types, size_t type_count, struct errinfo *info)
{
    struct scanner scanner;
    struct token tokens[3] = {0};
    size_t depth = 0;
    size_t index = 0;
    scanner_init(&scanner, statement->query);
    TRY(scanner_next(&scanner, &tokens[2], info));
    if (!token_is(&tokens[2], "values")) {
        return ERR_OK;
    }
    while (tokens[2].kind != TOKEN_END) {
        tokens[0] = tokens[1];
        tokens[1] = tokens[2];
        TRY(scanner_next(&scanner, &tokens[2], info));
        bool is_begun = token_is_operator(&tokens[0], "(") || token_is_operator(&tokens[0], ",");
        bool is_ended = token_is_operator(&tokens[2], ")") || token_is_operator(&tokens[2], ",");
        bool is_alone = depth == 1 && tokens[1].kind == TOKEN_PARAMETER && is_begun && is_ended;
        size_t wanted = statement->column_count > 0 ? statement->column_count : table->column_count;
        if (is_alone && index < wanted) {
            struct slice column = statement->column_count > 0 ? statement->columns[index]
                                                              : table->columns[index].name;
            tell_type(table, column, tokens[1].text, types, type_count);
        }
        index = token_is_operator(&tokens[2], "(") && depth == 0 ? 0 : index;
        index += depth == 1 && token_is_operator(&tokens[2], ",");
        depth += token_is_operator(&tokens[2], "(");
        depth -= token_is_operator(&tokens[2], ")") && depth > 0;
    }
    return ERR_OK;
}

static enum err describe_change(struct session *session, const struct statement *statement,
                                struct arena *arena, struct query_column **ret_columns,
                                size_t *ret_column_count, struct slice **ret_types,
                                size_t *ret_type_count, struct errinfo *info)
{
    struct temp_table shape = {0}; /* of one of a lake: its columns */
    const struct temp_table *table = session_temp(session, &statement->name);
    bool is_temp = table != NULL;
    struct buf probe CLEANUP(buf_fini) = {0};
    struct buf returning CLEANUP(buf_fini) = {0};
    struct query_column *ignored_columns;
    struct slice *ignored_types;
    size_t ignored;
    *ret_column_count = 0;
    *ret_type_count = 0;
    if (!is_temp) {
        TRY(dml_columns(session, &statement->name, dml_rights(statement), arena, &shape.columns,
                        &shape.column_count, info));
        table = &shape;
    }
    TRY(write_probe(statement, table, is_temp, &probe, info));
    if (probe.len > 0) {
        TRY(describe_text(session, buf_slice(&probe), arena, &ignored_columns, &ignored, ret_types,
                          ret_type_count, info));
    }
    for (size_t i = 0; statement->kind == STATEMENT_UPDATE && i < statement->column_count; i++) {
        if (statement->paths[i].len == 0) {
            tell_type(table, statement->columns[i], slice_trim(statement->types[i]), *ret_types,
                      *ret_type_count);
        }
    }
    if (statement->kind == STATEMENT_INSERT) {
        TRY(tell_values(statement, table, *ret_types, *ret_type_count, info));
    }
    for (size_t i = 0; i < *ret_type_count; i++) { /* the table may go before they are read */
        struct slice type = (*ret_types)[i];
        if (!arena_slice(arena, type, &(*ret_types)[i])) {
            return errinfo_nomem(info);
        }
    }
    if (statement->returning.len == 0) {
        return ERR_OK;
    }
    buf_printf(&returning, "SELECT %.*s\n", SLICE_ARGS(statement->returning));
    if (is_temp) {
        change_write_table(table, statement->alias, &returning);
    } else {
        struct statement named = {.name = statement->name, .alias = statement->alias};
        dml_print_from(&named, &returning);
    }
    return buf_failed(&returning)
               ? errinfo_nomem(info)
               : describe_text(session, buf_slice(&returning), arena, ret_columns, ret_column_count,
                               &ignored_types, &ignored, info);
}

static bool is_change(struct slice statement)
{
    struct scanner scanner;
    struct token token;
    scanner_init(&scanner, statement);
    return scanner_next(&scanner, &token, NULL) == ERR_OK &&
           (token_is(&token, "insert") || token_is(&token, "update") ||
            token_is(&token, "delete") || token_is(&token, "merge"));
}

enum err session_describe(struct session *session, struct slice statement, struct arena *arena,
                          struct query_column **ret_columns, size_t *ret_column_count,
                          struct slice **ret_parameter_types, size_t *ret_parameter_count,
                          struct errinfo *info)
{
    struct slice numbers, name;
    bool is_signal;
    struct errinfo local;
    info = info != NULL ? info : &local;
    errinfo_init(info);
    TRY(session_check(session, info));
    TRY(session_refresh_block(session, info));
    TRY(sql_check_text(statement, session->warehouse->limits.statement_bytes_max, info));
    if (is_change(statement)) {
        struct statement parsed;
        TRY(statement_parse(statement, arena, &parsed, info));
        return describe_change(session, &parsed, arena, ret_columns, ret_column_count,
                               ret_parameter_types, ret_parameter_count, info);
    }
    TRY(signal_describe(statement, arena, &numbers, &name, &is_signal, info));
    TRY(describe_text(session, is_signal ? numbers : statement, arena, ret_columns,
                      ret_column_count, ret_parameter_types, ret_parameter_count, info));
    if (is_signal && *ret_column_count == 1) {
        (*ret_columns)[0] = (struct query_column){name, SLICE("BOOLEAN")};
    }
    return ERR_OK;
}
