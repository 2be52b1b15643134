/* The procedures, and what calling one has in common: arguments by name or place, the table, a dry
 * run, rows of a result. */
#include "query/maintain/maintain_int.h"

#include "base/json.h"
#include "lake/write.h"
#include "query/plan/policy_int.h"
#include "sql/scan.h"

#define SQL_BIGINT                                                                                 \
    {                                                                                              \
        "BIGINT", 6                                                                                \
    }
#define SQL_VARCHAR                                                                                \
    {                                                                                              \
        "VARCHAR", 7                                                                               \
    }
#define COLUMN(id, name, type)                                                                     \
    {                                                                                              \
        id, {name, sizeof(name) - 1}, {name, sizeof(name) - 1}, type                               \
    }
#define COLUMNS_MAX 8
#define NAME_DISTANCE 3u /* edits up to which a wrong name is taken for another */

/* What all that take a table begin with, and all that change it end with. */
#define TABLE                                                                                      \
    {                                                                                              \
        "table", MAINTAIN_TEXT, true                                                               \
    }
#define DRY_RUN                                                                                    \
    {                                                                                              \
        "dry_run", MAINTAIN_BOOLEAN, false                                                         \
    }

struct parameter {
    const char *name;
    enum maintain_type type;
    bool is_required;
};

static enum err list_procedures(struct maintain *call, struct errinfo *info);

static const struct procedure {
    const char *name;
    maintain_fn run;
    struct parameter parameters[MAINTAIN_PARAMETERS_MAX];
    struct relation_column columns[COLUMNS_MAX];
    const char *purpose;
} procedures[] = {
    {"rollback_to_snapshot",
     maintain_rollback_to_snapshot,
     {TABLE, {"snapshot_id", MAINTAIN_INTEGER, true}, DRY_RUN},
     {COLUMN(1, "previous_snapshot_id", SQL_BIGINT), COLUMN(2, "current_snapshot_id", SQL_BIGINT)},
     "make an ancestor of the current snapshot the current one"},
    {"rollback_to_timestamp",
     maintain_rollback_to_timestamp,
     {TABLE, {"timestamp", MAINTAIN_TIME, true}, DRY_RUN},
     {COLUMN(1, "previous_snapshot_id", SQL_BIGINT), COLUMN(2, "current_snapshot_id", SQL_BIGINT)},
     "make the ancestor that was current before a time the current one"},
    {"set_current_snapshot",
     maintain_set_current_snapshot,
     {TABLE, {"snapshot_id", MAINTAIN_INTEGER, false}, {"ref", MAINTAIN_TEXT, false}, DRY_RUN},
     {COLUMN(1, "previous_snapshot_id", SQL_BIGINT), COLUMN(2, "current_snapshot_id", SQL_BIGINT)},
     "make any snapshot, or that of a branch or tag, the current one"},
    {"cherrypick_snapshot",
     maintain_cherrypick_snapshot,
     {TABLE, {"snapshot_id", MAINTAIN_INTEGER, true}, DRY_RUN},
     {COLUMN(1, "source_snapshot_id", SQL_BIGINT), COLUMN(2, "current_snapshot_id", SQL_BIGINT)},
     "put what a snapshot appended onto the current one"},
    {"publish_changes",
     maintain_publish_changes,
     {TABLE, {"wap_id", MAINTAIN_TEXT, true}, DRY_RUN},
     {COLUMN(1, "source_snapshot_id", SQL_BIGINT), COLUMN(2, "current_snapshot_id", SQL_BIGINT)},
     "make true what was staged under a name (lake.wap_id)"},
    {"fast_forward",
     maintain_fast_forward,
     {TABLE, {"branch", MAINTAIN_TEXT, true}, {"to", MAINTAIN_TEXT, true}, DRY_RUN},
     {COLUMN(1, "branch", SQL_VARCHAR), COLUMN(2, "previous_ref", SQL_BIGINT),
      COLUMN(3, "updated_ref", SQL_BIGINT)},
     "move a branch forward to where another branch or tag is"},
    {"expire_snapshots",
     maintain_expire_snapshots,
     {TABLE,
      {"older_than", MAINTAIN_TIME, false},
      {"retain_last", MAINTAIN_INTEGER, false},
      DRY_RUN},
     {COLUMN(1, "expired_snapshots", SQL_BIGINT), COLUMN(2, "removed_refs", SQL_BIGINT),
      COLUMN(3, "deleted_data_files", SQL_BIGINT), COLUMN(4, "deleted_delete_files", SQL_BIGINT),
      COLUMN(5, "deleted_manifests", SQL_BIGINT), COLUMN(6, "deleted_manifest_lists", SQL_BIGINT),
      COLUMN(7, "deleted_statistics_files", SQL_BIGINT),
      COLUMN(8, "not_deleted_files", SQL_BIGINT)},
     "forget old snapshots, and remove the files that only they had"},
    {"remove_orphan_files",
     maintain_remove_orphan_files,
     {TABLE, {"older_than", MAINTAIN_TIME, false}, DRY_RUN},
     {COLUMN(1, "orphan_file_location", SQL_VARCHAR)},
     "remove files in the table's folder that nothing refers to"},
    {"rewrite_data_files",
     maintain_rewrite_data_files,
     {TABLE,
      {"rewrite_all", MAINTAIN_BOOLEAN, false},
      {"min_input_files", MAINTAIN_INTEGER, false},
      {"where", MAINTAIN_TEXT, false},
      {"strategy", MAINTAIN_TEXT, false},
      {"sort_order", MAINTAIN_TEXT, false},
      {"delete_file_threshold", MAINTAIN_INTEGER, false},
      DRY_RUN},
     {COLUMN(1, "rewritten_data_files", SQL_BIGINT), COLUMN(2, "added_data_files", SQL_BIGINT),
      COLUMN(3, "rewritten_bytes", SQL_BIGINT)},
     "write small data files again as fewer large ones, or those with deletes, or all; sorted"},
    {"rewrite_manifests",
     maintain_rewrite_manifests,
     {TABLE, DRY_RUN},
     {COLUMN(1, "rewritten_manifests", SQL_BIGINT), COLUMN(2, "added_manifests", SQL_BIGINT)},
     "write small manifests again as fewer large ones"},
    {"rewrite_position_delete_files",
     maintain_rewrite_position_deletes,
     {TABLE, {"rewrite_all", MAINTAIN_BOOLEAN, false}, DRY_RUN},
     {COLUMN(1, "rewritten_delete_files", SQL_BIGINT), COLUMN(2, "added_delete_files", SQL_BIGINT),
      COLUMN(3, "rewritten_bytes", SQL_BIGINT), COLUMN(4, "added_bytes", SQL_BIGINT)},
     "write deletes by position again, one file or vector a data file; drop those of files gone"},
    {"compute_statistics",
     maintain_compute_statistics,
     {TABLE, {"columns", MAINTAIN_TEXT, false}, {"snapshot_id", MAINTAIN_INTEGER, false}, DRY_RUN},
     {COLUMN(1, "column_name", SQL_VARCHAR), COLUMN(2, "distinct_values", SQL_BIGINT),
      COLUMN(3, "statistics_file", SQL_VARCHAR)},
     "count the distinct values of columns into sketches that other engines read"},
    {"migrate_format",
     maintain_migrate_format,
     {TABLE, {"format_version", MAINTAIN_INTEGER, false}, DRY_RUN},
     {COLUMN(1, "previous_version", SQL_BIGINT), COLUMN(2, "format_version", SQL_BIGINT),
      COLUMN(3, "rewritten_delete_files", SQL_BIGINT), COLUMN(4, "added_delete_files", SQL_BIGINT)},
     "bring a table to a newer version of the format (3), and its deletes by position to vectors"},
    {"advise",
     maintain_advise,
     {{"table", MAINTAIN_TEXT, false}, {"catalog", MAINTAIN_TEXT, false}},
     {COLUMN(1, "table_name", SQL_VARCHAR), COLUMN(2, "procedure", SQL_VARCHAR),
      COLUMN(3, "reason", SQL_VARCHAR), COLUMN(4, "statement", SQL_VARCHAR)},
     "say which table needs which of these, and why"},
    {"register_table",
     maintain_register_table,
     {{"table", MAINTAIN_TEXT, true}, {"metadata_file", MAINTAIN_TEXT, true}, DRY_RUN},
     {COLUMN(1, "current_snapshot_id", SQL_BIGINT), COLUMN(2, "total_records_count", SQL_BIGINT)},
     "give a table that is there a name in a catalog"},
    {"procedures",
     list_procedures,
     {{NULL, MAINTAIN_TEXT, false}},
     {COLUMN(1, "procedure", SQL_VARCHAR), COLUMN(2, "parameters", SQL_VARCHAR),
      COLUMN(3, "purpose", SQL_VARCHAR)},
     "list these procedures"},
};

/* ---- results ---- */

static void member(struct maintain *call, const char *name)
{
    bool is_first = call->lines.len == 0 || call->lines.ptr[call->lines.len - 1] == '\n';
    buf_printf(&call->lines, "%s\"%s\":", is_first ? "{" : ",", name);
}

void maintain_number(struct maintain *call, const char *name, int64_t value)
{
    member(call, name);
    buf_printf(&call->lines, "%lld", (long long)value);
}

void maintain_id(struct maintain *call, const char *name, int64_t id)
{
    member(call, name);
    if (id == ICEBERG_NO_ID) {
        buf_append_str(&call->lines, "null");
    } else {
        buf_printf(&call->lines, "%lld", (long long)id);
    }
}

void maintain_text(struct maintain *call, const char *name, struct slice text)
{
    member(call, name);
    json_write_string(&call->lines, text);
}

void maintain_end_line(struct maintain *call)
{
    buf_append_str(&call->lines, "}\n");
}

static enum err list_procedures(struct maintain *call, struct errinfo *info)
{
    for (size_t i = 0; i < ARRAY_COUNT(procedures); i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        const struct parameter *parameters = procedures[i].parameters;
        static const char *const types[] = {[MAINTAIN_TEXT] = "text",
                                            [MAINTAIN_INTEGER] = "integer",
                                            [MAINTAIN_BOOLEAN] = "boolean",
                                            [MAINTAIN_TIME] = "timestamp"};
        for (size_t p = 0; p < MAINTAIN_PARAMETERS_MAX && parameters[p].name != NULL; p++) {
            bool is_required = parameters[p].is_required;
            buf_printf(&text, "%s%s%s => %s%s", p == 0 ? "" : ", ", is_required ? "" : "[",
                       parameters[p].name, types[parameters[p].type], is_required ? "" : "]");
        }
        maintain_text(call, "procedure", slice_of(procedures[i].name));
        maintain_text(call, "parameters", buf_slice(&text));
        maintain_text(call, "purpose", slice_of(procedures[i].purpose));
        maintain_end_line(call);
        if (buf_failed(&text)) {
            return errinfo_nomem(info);
        }
    }
    return ERR_OK;
}

/* ---- arguments ---- */

static enum err bad_argument(const struct maintain *call, const struct statement_argument *argument,
                             const char *name, const char *what, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "22023", "argument \"%s\" of CALL wants %s", name, what);
    errinfo_position(info, statement_position(call->query->statement, call->statement->text) +
                               argument->offset);
    return ERR_INVALID;
}

/* 2024-01-31, 2024-01-31 12:30:00[.5][Z]: in UTC unless it says another zone. */
static bool parse_time(struct slice text, struct arena *arena, int64_t *ret_ms)
{
    static const enum iceberg_type_id types[] = {ICEBERG_TIMESTAMP, ICEBERG_TIMESTAMPTZ,
                                                 ICEBERG_DATE};
    for (size_t i = 0; i < ARRAY_COUNT(types); i++) {
        const struct iceberg_type type = {.id = types[i]};
        struct iceberg_value value;
        if (lake_value_parse(&type, text, arena, &value)) {
            *ret_ms =
                types[i] == ICEBERG_DATE ? value.integer * INT64_C(86400000) : value.integer / 1000;
            return true;
        }
    }
    return false;
}

static enum err read_value(struct maintain *call, const struct statement_argument *argument,
                           const struct parameter *parameter, struct maintain_value *out,
                           struct errinfo *info)
{
    out->is_given = argument->value.ptr != NULL;
    out->text = argument->value;
    if (!out->is_given) {
        return ERR_OK;
    }
    switch (parameter->type) {
    case MAINTAIN_TEXT:
        return out->text.len > 0 ? ERR_OK
                                 : bad_argument(call, argument, parameter->name, "a text", info);
    case MAINTAIN_INTEGER:
        return slice_to_i64(out->text, &out->number)
                   ? ERR_OK
                   : bad_argument(call, argument, parameter->name, "a whole number", info);
    case MAINTAIN_BOOLEAN:
        out->is_true = slice_equal_fold(out->text, SLICE("true"));
        return out->is_true || slice_equal_fold(out->text, SLICE("false"))
                   ? ERR_OK
                   : bad_argument(call, argument, parameter->name, "true or false", info);
    case MAINTAIN_TIME:
        return parse_time(out->text, call->query->arena, &out->number)
                   ? ERR_OK
                   : bad_argument(call, argument, parameter->name,
                                  "a time such as '2024-01-31 12:30:00'", info);
    }
    return ERR_OK;
}

static size_t parameter_count(const struct procedure *procedure)
{
    size_t count = 0;
    while (count < MAINTAIN_PARAMETERS_MAX && procedure->parameters[count].name != NULL) {
        count++;
    }
    return count;
}

static void hint_argument(const struct procedure *procedure, struct slice name,
                          struct errinfo *info)
{
    const char *nearest = NULL;
    unsigned limit = NAME_DISTANCE + 1;
    for (size_t i = 0; i < parameter_count(procedure); i++) {
        struct slice known = slice_of(procedure->parameters[i].name);
        unsigned distance = slice_edit_distance(name, known, NAME_DISTANCE);
        if (name.len > 0 && distance < limit) {
            nearest = procedure->parameters[i].name;
            limit = distance;
        }
    }
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean \"%s\"?", nearest);
    } else {
        errinfo_hint(info, "CALL moat.procedures() lists what there is.");
    }
}

static enum err read_argument(struct maintain *call, const struct procedure *procedure,
                              size_t index, bool *is_said, struct errinfo *info)
{
    const struct statement_argument *argument = &call->statement->call_arguments[index];
    size_t count = parameter_count(procedure);
    size_t at = argument->name.len == 0 ? index : 0;
    while (argument->name.len > 0 && at < count &&
           !slice_equal_fold(argument->name, slice_of(procedure->parameters[at].name))) {
        at++;
    }
    if (at >= count || is_said[at]) {
        (void)errinfo_set(info, ERR_INVALID, "42883", "moat.%s has no%s argument \"%.*s\"",
                          procedure->name, at < count ? " second" : "", SLICE_ARGS(argument->name));
        hint_argument(procedure, argument->name, info);
        errinfo_position(info, statement_position(call->query->statement, call->statement->text) +
                                   argument->offset);
        return ERR_INVALID;
    }
    is_said[at] = true;
    return read_value(call, argument, &procedure->parameters[at], &call->values[at], info);
}

static enum err read_arguments(struct maintain *call, const struct procedure *procedure,
                               struct errinfo *info)
{
    bool is_said[MAINTAIN_PARAMETERS_MAX] = {false};
    for (size_t i = 0; i < call->statement->call_argument_count; i++) {
        TRY(read_argument(call, procedure, i, is_said, info));
    }
    for (size_t i = 0; i < parameter_count(procedure); i++) {
        const struct parameter *parameter = &procedure->parameters[i];
        if (parameter->is_required && !call->values[i].is_given) {
            return errinfo_set(info, ERR_INVALID, "22023", "moat.%s needs the argument \"%s\"",
                               procedure->name, parameter->name);
        }
        if (strcmp(parameter->name, "dry_run") == 0) {
            call->is_dry_run = call->values[i].is_true;
        }
    }
    return ERR_OK;
}

/* 'catalog.namespace.table' */
enum err maintain_name(const struct maintain *call, struct slice text, struct sql_name *ret_name,
                       struct errinfo *info)
{
    struct slice parts[3];
    struct scanner scanner;
    struct token token;
    size_t count = 0;
    bool has_more = true;
    scanner_init(&scanner, text);
    while (has_more && count < ARRAY_COUNT(parts)) {
        TRY(scanner_next(&scanner, &token, info));
        bool is_name = (token.kind == TOKEN_WORD || token.kind == TOKEN_QUOTED) &&
                       token_identifier(&token, call->query->arena, &parts[count]);
        if (!is_name) {
            break;
        }
        count++;
        TRY(scanner_next(&scanner, &token, info));
        has_more = token_is_operator(&token, ".");
    }
    if (count == 0 || token.kind != TOKEN_END) {
        return errinfo_set(info, ERR_INVALID, "42602", "\"%.*s\" is no name of a table",
                           SLICE_ARGS(text));
    }
    *ret_name =
        (struct sql_name){count == 3 ? parts[0] : (struct slice){"", 0},
                          count >= 2 ? parts[count - 2] : (struct slice){"", 0}, parts[count - 1]};
    return ERR_OK;
}

/* ---- the call ---- */

/* Appends what would be done; commits it only if it is meant. */
enum err maintain_commit(struct maintain *call, const struct ddl_change *change,
                         struct errinfo *info)
{
    bool is_changed;
    if (!call->is_dry_run) {
        return ddl_commit(&call->ddl, change, &is_changed, info);
    }
    struct slice requirements, updates;
    enum err err = change->build(change->context, &call->ddl, call->query->arena, &requirements,
                                 &updates, info);
    if (change->undo != NULL) {
        change->undo(change->context, &call->ddl);
    }
    return err;
}

/* Not ERR_BUSY to the loop of commits: doing it again would not mend it. */
enum err maintain_changed(const struct ddl *ddl, struct errinfo *info)
{
    (void)errinfo_set(info, ERR_INVALID, "40001",
                      "somebody else has changed table \"%.*s\" since its files were rewritten",
                      SLICE_ARGS(ddl->name));
    errinfo_hint(info, "Call it again.");
    return ERR_INVALID;
}

enum err maintain_check_appended(const struct ddl *ddl, int64_t snapshot_id, struct errinfo *info)
{
    int64_t id = ddl->metadata->current_snapshot_id;
    while (id != snapshot_id) {
        const struct iceberg_snapshot *snapshot = iceberg_metadata_snapshot(ddl->metadata, id);
        if (snapshot == NULL || !slice_equal(snapshot->operation, SLICE("append"))) {
            return maintain_changed(ddl, info);
        }
        id = snapshot->parent_id;
    }
    return ERR_OK;
}

static enum err run(struct maintain *call, const struct procedure *procedure, struct errinfo *info)
{
    TRY(read_arguments(call, procedure, info));
    bool has_table = procedure->run != list_procedures && procedure->run != maintain_advise &&
                     procedure->run != maintain_register_table;
    if (has_table) {
        struct sql_name name;
        TRY(maintain_name(call, call->values[0].text, &name, info));
        TRY(session_refuse_in_block(call->query->session, info));
        TRY(ddl_open(call->query, &name, &call->ddl, info));
        TRY(catalog_iceberg_borrow(&call->ddl.catalog, call->query->session->who, call->ddl.ns,
                                   call->ddl.name, info));
    }
    TRY(procedure->run(call, info));
    size_t columns = 0;
    while (columns < COLUMNS_MAX && procedure->columns[columns].name.len > 0) {
        columns++;
    }
    return buf_failed(&call->lines) ? errinfo_nomem(info)
                                    : query_run_rows(call->query, procedure->columns, columns,
                                                     buf_slice(&call->lines), info);
}

static void hint_procedure(struct slice name, struct errinfo *info)
{
    const char *nearest = NULL;
    unsigned limit = NAME_DISTANCE + 1;
    for (size_t i = 0; i < ARRAY_COUNT(procedures); i++) {
        unsigned distance = slice_edit_distance(name, slice_of(procedures[i].name), NAME_DISTANCE);
        if (distance < limit) {
            nearest = procedures[i].name;
            limit = distance;
        }
    }
    if (nearest != NULL) {
        errinfo_hint(info, "Did you mean moat.%s?", nearest);
    } else {
        errinfo_hint(info, "CALL moat.procedures() lists what there is.");
    }
}

enum err maintain_call(struct query *query, const struct statement *statement, struct errinfo *info)
{
    struct maintain call = {.query = query, .statement = statement};
    const struct procedure *procedure = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(procedures); i++) {
        if (slice_equal_fold(statement->name.name, slice_of(procedures[i].name))) {
            procedure = &procedures[i];
        }
    }
    if (procedure == NULL) {
        (void)errinfo_set(info, ERR_NOT_FOUND, "42883", "there is no procedure moat.%.*s",
                          SLICE_ARGS(statement->name.name));
        hint_procedure(statement->name.name, info);
        errinfo_position(info, statement_position(query->statement, statement->name.name));
        return ERR_NOT_FOUND;
    }
    enum err err = run(&call, procedure, info);
    ddl_close(&call.ddl);
    buf_fini(&call.lines);
    return err;
}
