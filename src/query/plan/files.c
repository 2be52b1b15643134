/* Files that are not what their table was registered as: which one, and what of it.
 *
 * The engine reads the first files of a table, takes the others for alike, and when they are not
 * says so in terms of its own. So its complaint only starts a search here: each file is bound
 * alone, and the first that differs is named. That costs nothing while all is well, and needs no
 * parsing of the engine's words beyond a list of marks. */
#include "base/mem.h"
#include "query/plan/files_int.h"
#include "query/run/run_int.h"
#include "sql/scan.h"

/* Binding a text file takes milliseconds. Past so many the engine's own words have to do. */
#define FILES_LOOKED_AT_MAX 1000

enum defect_kind {
    DEFECT_NONE,
    DEFECT_GONE,
    DEFECT_EMPTY,
    DEFECT_FORM,
    DEFECT_COLUMN,
    DEFECT_TYPE,
};

struct file_defect {
    enum defect_kind kind;
    const struct relation *relation;
    size_t object;
    size_t other; /* a file that has the column; SIZE_MAX = none was seen */
    struct slice column;
    struct slice type;       /* in the table, or the other file */
    struct slice other_type; /* in this file */
    struct buf detail;       /* further, for who may know */
};

struct look {
    struct session *session;
    struct query *query;           /* for cancellation */
    const struct identity *who;    /* as whom the files are read */
    struct engine_session *engine; /* of its own: the session's may be in the middle of a query */
    struct arena *arena;
    bool is_by_name;
    struct engine_column **columns; /* of the files looked at so far, for those that have been */
    size_t *column_counts;
};

/* ---- one file ---- */

static struct slice base_name(struct slice location)
{
    const char *slash = location.len == 0 ? NULL : memrchr(location.ptr, '/', location.len);
    size_t skip = slash == NULL ? 0 : (size_t)(slash - location.ptr) + 1;
    return (struct slice){location.ptr + skip, location.len - skip};
}

static struct slice without_quotes(struct slice literal)
{
    bool is_quoted = literal.len >= 2 && literal.ptr[0] == '\'';
    return is_quoted ? (struct slice){literal.ptr + 1, literal.len - 2} : literal;
}

static bool has_option(const struct relation *relation, struct slice name, struct slice value)
{
    for (size_t i = 0; i < relation->option_count; i++) {
        if (slice_equal_fold(relation->options[i].name, name) &&
            slice_equal_fold(without_quotes(relation->options[i].value), value)) {
            return true;
        }
    }
    return false;
}

/* Binds one file; with `is_pinned` as the table's columns say, else as it is. */
static enum err describe(struct look *look, const struct relation *relation, size_t object,
                         bool is_pinned, struct engine_column **ret_columns, size_t *ret_count,
                         struct errinfo *info)
{
    struct relation alone = *relation;
    alone.objects = &relation->objects[object];
    alone.object_count = 1;
    alone.column_count = is_pinned ? relation->column_count : 0;
    const struct relation_object *objects[] = {&relation->objects[object]};
    struct warehouse *warehouse = look->session->warehouse;
    struct access *access CLEANUP(access_cleanup) = NULL;
    TRY(access_open_objects(warehouse, look->who, objects, 1, &access, info));
    struct buf text CLEANUP(buf_fini) = {0};
    struct buf bound CLEANUP(buf_fini) = {0};
    struct access_uri_context uri = {warehouse, &alone, 0};
    buf_append_str(&text, "SELECT * FROM ");
    TRY(catalog_source_sql(&alone, access_placeholder_uri, &uri, &text, info));
    if (buf_failed(&text) || access_bind(access, buf_slice(&text), &bound) != ERR_OK) {
        return errinfo_nomem(info);
    }
    return engine_describe(look->engine, look->who, buf_slice(&bound), look->arena, ret_columns,
                           ret_count, info);
}

static const struct engine_column *find_column(const struct engine_column *columns, size_t count,
                                               struct slice name)
{
    for (size_t i = 0; i < count; i++) {
        if (slice_equal_fold(columns[i].name, name)) {
            return &columns[i];
        }
    }
    return NULL;
}

/* Kinds of types between which the engine casts without a thought. */
static unsigned family(struct slice type)
{
    static const struct {
        const char *start;
        unsigned family;
    } families[] = {
        {"TINYINT", 1},   {"SMALLINT", 1},  {"INTEGER", 1},  {"BIGINT", 1},  {"HUGEINT", 1},
        {"UTINYINT", 1},  {"USMALLINT", 1}, {"UINTEGER", 1}, {"UBIGINT", 1}, {"UHUGEINT", 1},
        {"FLOAT", 1},     {"DOUBLE", 1},    {"DECIMAL(", 1}, {"VARCHAR", 2}, {"DATE", 3},
        {"TIMESTAMP", 3}, {"BOOLEAN", 4},   {"TIME", 5},     {"STRUCT(", 6}, {"MAP(", 7},
    };
    if (slice_ends_with(type, SLICE("]"))) {
        return 8;
    }
    for (size_t i = 0; i < ARRAY_COUNT(families); i++) {
        if (slice_starts_with(type, slice_of(families[i].start))) {
            return families[i].family;
        }
    }
    return 0;
}

static bool are_alike(struct slice type, struct slice other)
{
    return slice_equal(type, other) || (family(type) != 0 && family(type) == family(other));
}

/* ---- the search ---- */

/* Marks the first column of the table that the file lacks, or has as something else. */
static bool compare(const struct relation *relation, const struct engine_column *columns,
                    size_t count, struct file_defect *defect)
{
    for (size_t i = 0; i < relation->column_count; i++) {
        const struct relation_column *column = &relation->columns[i];
        const struct engine_column *found = find_column(columns, count, column->source);
        bool is_other = found != NULL && relation->format == FORMAT_PARQUET &&
                        !are_alike(column->type, found->type);
        if (found == NULL || is_other) {
            defect->kind = found == NULL ? DEFECT_COLUMN : DEFECT_TYPE;
            defect->column = column->source;
            defect->type = column->type;
            defect->other_type = found == NULL ? SLICE("") : found->type;
            return true;
        }
    }
    return false;
}

static void list_columns(const struct engine_column *columns, size_t count, struct buf *out)
{
    for (size_t i = 0; i < count && i < 20; i++) {
        buf_printf(out, "%s%.*s", i == 0 ? "it has " : ", ", SLICE_ARGS(columns[i].name));
    }
    buf_append_str(out, count > 20 ? ", ..." : "");
}

/* JSON without a byte is a file without rows; the others have columns to say. */
static bool needs_bytes(const struct relation *relation)
{
    bool has_header = !has_option(relation, SLICE("header"), SLICE("false"));
    return relation->format == FORMAT_PARQUET || (relation->format == FORMAT_CSV && has_header);
}

/* Whether the file by itself fails as a part of the table. ERR_OK and DEFECT_NONE if not. */
static enum err look_at(struct look *look, const struct relation *relation, size_t object,
                        struct file_defect *defect, struct errinfo *info)
{
    struct storage_entry now;
    struct errinfo local;
    enum err err =
        storage_stat(look->who, relation->objects[object].location, look->arena, &now, info);
    if (err == ERR_NOT_FOUND) {
        defect->kind = DEFECT_GONE;
        return ERR_OK;
    }
    TRY(err);
    if (now.size_bytes == 0) {
        defect->kind = needs_bytes(relation) ? DEFECT_EMPTY : DEFECT_NONE;
        return ERR_OK;
    }
    struct engine_column *columns;
    size_t count;
    errinfo_init(&local);
    if (relation->format == FORMAT_CSV && (look->is_by_name || relation->column_count == 0)) {
        return ERR_OK;
    }
    /* JSON that is pinned would not be looked into. */
    bool is_pinned = relation->format == FORMAT_CSV;
    err = describe(look, relation, object, is_pinned, &columns, &count, &local);
    if (err == ERR_NOMEM || err == ERR_CANCELLED) {
        return err;
    }
    if (relation->format == FORMAT_CSV && err != ERR_OK) {
        /* Which column it lacks is told by its own. */
        err = describe(look, relation, object, false, &columns, &count, &local);
        if (err == ERR_OK && compare(relation, columns, count, defect)) {
            list_columns(columns, count, &defect->detail);
            return ERR_OK;
        }
    }
    if (err != ERR_OK) {
        defect->kind = DEFECT_FORM;
        buf_append_str(&defect->detail, local.message); /* of one file, so it is "file 0" there */
        return ERR_OK;
    }
    look->columns[object] = columns;
    look->column_counts[object] = count;
    if (relation->format == FORMAT_PARQUET && !look->is_by_name &&
        compare(relation, columns, count, defect)) {
        list_columns(columns, count, &defect->detail);
    }
    return ERR_OK;
}

/* A file that has the column, among those looked at before. */
static void find_other(const struct look *look, struct file_defect *defect)
{
    defect->other = SIZE_MAX;
    for (size_t i = 0; i < defect->object && defect->other == SIZE_MAX; i++) {
        const struct engine_column *found =
            find_column(look->columns[i], look->column_counts[i], defect->column);
        if (found != NULL) {
            defect->other = i;
            defect->type = found->type;
        }
    }
}

/* Files that are read by their path have no columns but those of the first. */
static enum err take_columns(struct look *look, struct relation *relation, struct errinfo *info)
{
    struct engine_column *columns;
    size_t count;
    TRY(describe(look, relation, 0, false, &columns, &count, info));
    struct relation_column *taken = arena_calloc(look->arena, count + 1, sizeof(*taken));
    if (taken == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        taken[i] = (struct relation_column){(uint32_t)i + 1, columns[i].name, columns[i].name,
                                            columns[i].type};
    }
    relation->columns = taken;
    relation->column_count = count;
    return ERR_OK;
}

/* The first file that is not like the table. */
static enum err search(struct look *look, const struct relation *asked, struct file_defect *defect,
                       struct errinfo *info)
{
    struct relation *relation = arena_calloc(look->arena, 1, sizeof(*relation));
    if (relation == NULL) {
        return errinfo_nomem(info);
    }
    *relation = *asked;
    struct errinfo local;
    errinfo_init(&local);
    if (relation->column_count == 0 && take_columns(look, relation, &local) == ERR_NOMEM) {
        return errinfo_nomem(info);
    }
    size_t count = relation->object_count;
    look->is_by_name = has_option(relation, SLICE("union_by_name"), SLICE("true"));
    look->columns = arena_calloc(look->arena, count + 1, sizeof(*look->columns));
    look->column_counts = arena_calloc(look->arena, count + 1, sizeof(*look->column_counts));
    if (look->columns == NULL || look->column_counts == NULL) {
        return errinfo_nomem(info);
    }
    defect->relation = relation;
    for (size_t i = 0; i < count && i < FILES_LOOKED_AT_MAX; i++) {
        TRY(query_check_cancelled(look->query, info));
        defect->object = i;
        TRY(look_at(look, relation, i, defect, info));
        if (defect->kind != DEFECT_NONE) {
            find_other(look, defect);
            return ERR_OK;
        }
    }
    return ERR_OK;
}

/* ---- telling ---- */

static const char *format_word(enum relation_format format)
{
    static const char *const words[] = {
        [FORMAT_PARQUET] = "Parquet", [FORMAT_CSV] = "CSV", [FORMAT_JSON] = "JSON"};
    return words[format];
}

/* The engine's words about a file that it was given alone. */
static void rename_alone(struct errinfo *info)
{
    for (char *at; (at = strstr(info->detail, "file 0")) != NULL;) {
        memmove(at + 4, at + 6, strlen(at + 6) + 1);
    }
}

static void hint_columns(const struct relation *relation, bool is_registering, struct errinfo *info)
{
    struct slice name = relation->name.name;
    if (relation->kind == RELATION_PATH && !is_registering) {
        errinfo_hint(info,
                     "Files of different columns are read together by read_%s('...', "
                     "union_by_name = true).",
                     relation->format == FORMAT_PARQUET ? "parquet" : "csv");
    } else if (is_registering) {
        errinfo_hint(info, "Give all files of a table the same columns, or add "
                           "OPTIONS (union_by_name true): what a file lacks is NULL then.");
    } else {
        errinfo_hint(info,
                     "Put a file with the table's columns back. Or, if the columns are meant to "
                     "change, ALTER TABLE %.*s REFRESH reads them again, and OPTIONS "
                     "(union_by_name true) lets files differ.",
                     SLICE_ARGS(name));
    }
}

static enum err tell(const struct file_defect *defect, bool is_registering, struct errinfo *info)
{
    const struct relation *relation = defect->relation;
    struct slice file = base_name(relation->objects[defect->object].location);
    const char *format = format_word(relation->format);
    const char *sqlstate = is_registering ? "42P17" : "55000";
    char other[300];
    bool has_other = defect->other != SIZE_MAX;
    struct slice other_file =
        has_other ? base_name(relation->objects[defect->other].location) : SLICE("");
    (void)snprintf(other, sizeof(other), has_other ? "\"%.*s\"" : "the table%.*s",
                   (int)(other_file.len < 250 ? other_file.len : 250), other_file.ptr);
    switch (defect->kind) {
    case DEFECT_NONE:
        break;
    case DEFECT_GONE:
        (void)errinfo_set(info, ERR_INVALID, "58P01", "\"%.*s\" is gone", SLICE_ARGS(file));
        errinfo_hint(info, "Run the statement again: it reads the files that are there then.");
        break;
    case DEFECT_EMPTY:
        (void)errinfo_set(info, ERR_INVALID, sqlstate, "\"%.*s\" is empty (0 bytes)",
                          SLICE_ARGS(file));
        errinfo_hint(info,
                     relation->format == FORMAT_CSV
                         ? "Remove it, or write at least the line of column names into it."
                         : "Remove it, or write it anew: even without rows a Parquet file has "
                           "its columns.");
        break;
    case DEFECT_FORM:
        (void)errinfo_set(info, ERR_INVALID, sqlstate, "\"%.*s\" cannot be read as %s",
                          SLICE_ARGS(file), format);
        errinfo_detail(info, "%.900s", buf_cstr(&defect->detail));
        rename_alone(info);
        errinfo_hint(info, "Was it cut short, or is it of another format? Write it anew, or remove "
                           "it.");
        break;
    case DEFECT_COLUMN:
        (void)errinfo_set(info, ERR_INVALID, sqlstate, "\"%.*s\" has no column \"%.*s\"; %s has",
                          SLICE_ARGS(file), SLICE_ARGS(defect->column), other);
        break;
    case DEFECT_TYPE:
        (void)errinfo_set(info, ERR_INVALID, sqlstate,
                          "column \"%.*s\" is %.*s in \"%.*s\", but %.*s in %s",
                          SLICE_ARGS(defect->column), SLICE_ARGS(defect->other_type),
                          SLICE_ARGS(file), SLICE_ARGS(defect->type), other);
        break;
    }
    if (defect->kind == DEFECT_COLUMN || defect->kind == DEFECT_TYPE) {
        errinfo_detail(info, "Of \"%.*s\": %.800s.", SLICE_ARGS(file), buf_cstr(&defect->detail));
        hint_columns(relation, is_registering, info);
    }
    return ERR_INVALID;
}

static enum err begin(struct look *look, struct query *query, const struct identity *who,
                      struct errinfo *info)
{
    *look =
        (struct look){.session = query->session, .query = query, .who = who, .arena = query->arena};
    return engine_session_open(query->session->warehouse->engine, who, &look->engine, info);
}

/* What the engine says when a file is not what it took it for. */
static bool is_about_files(const struct errinfo *info)
{
    static const char *const marks[] = {"COLUMN_TYPES error",
                                        "schema mismatch in glob",
                                        "failed to cast column",
                                        "too small to be a Parquet",
                                        "No magic bytes",
                                        "CSV Error",
                                        "Malformed JSON",
                                        "Error while reading file",
                                        "Failed to read file",
                                        "parquet",
                                        "Parquet",
                                        "JSON transform error",
                                        "Invalid Input Error: Failed",
                                        "cannot open",
                                        "cannot read",
                                        "in the CSV",
                                        "read_csv",
                                        "sniffing file",
                                        "Schema mismatch between globbed"};
    for (size_t i = 0; i < ARRAY_COUNT(marks); i++) {
        if (strstr(info->message, marks[i]) != NULL) {
            return true;
        }
    }
    return false;
}

enum err files_check_sizes(const struct relation *relation, struct errinfo *info)
{
    for (size_t i = 0; i < relation->object_count; i++) {
        if (relation->objects[i].size_bytes == 0 && needs_bytes(relation)) {
            struct file_defect defect = {.kind = DEFECT_EMPTY, .relation = relation, .object = i};
            return tell(&defect, true, info);
        }
    }
    return ERR_OK;
}

enum err files_check(struct query *query, const struct relation *relation, struct errinfo *info)
{
    struct look look;
    struct file_defect defect = {0};
    TRY(begin(&look, query, query->session->who, info));
    enum err err = search(&look, relation, &defect, info);
    engine_session_close(look.engine);
    if (err == ERR_OK && defect.kind != DEFECT_NONE) {
        err = tell(&defect, true, info);
    }
    buf_fini(&defect.detail);
    return err;
}

bool files_explain_sniff(struct query *query, const struct relation *path, struct errinfo *info)
{
    struct errinfo told;
    errinfo_init(&told);
    if (info == NULL || !is_about_files(info) || files_check(query, path, &told) != ERR_INVALID) {
        return false;
    }
    *info = told;
    return true;
}

/* ---- after a failure ---- */

static bool is_of_files(const struct plan_table *table)
{
    const struct relation *relation = table->relation;
    return (relation->kind == RELATION_TABLE || relation->kind == RELATION_PATH) &&
           relation->lake == NULL && relation->object_count > 0 && !table->is_mentioned_before &&
           !relation->objects[0].is_bytes;
}

static bool may_be_told(const struct query *query, const struct plan_table *table)
{
    return !table->is_bound && table->audit.as_definer.len == 0 &&
           table->audit.via_policy.len == 0 &&
           resolve_may_administer(query->session->who, table->relation);
}

static void tell_stranger(const struct plan_table *table, struct errinfo *info)
{
    bool is_known = table->audit.as_definer.len == 0 && table->audit.via_policy.len == 0;
    if (is_known) {
        (void)errinfo_set(info, ERR_INVALID, "55000",
                          "a file of table \"%.*s\" is not what was registered",
                          SLICE_ARGS(table->relation->name.name));
    } else {
        (void)errinfo_set(info, ERR_INVALID, "55000",
                          "a file that the statement reads is not what was registered");
    }
    errinfo_hint(info, "Ask its owner, who is told which file, and what of it.");
}

bool files_explain(struct query *query, struct errinfo *info)
{
    const struct plan *plan = query->plan;
    if (plan == NULL || info == NULL || !is_about_files(info)) {
        return false;
    }
    struct errinfo ignored;
    bool is_told = false;
    for (size_t i = 0; i < plan->table_count && !is_told; i++) {
        const struct plan_table *table = &plan->tables[i];
        struct look look;
        struct file_defect defect = {0};
        errinfo_init(&ignored);
        if (!is_of_files(table) || begin(&look, query, table->who, &ignored) != ERR_OK) {
            continue;
        }
        enum err err = search(&look, table->relation, &defect, &ignored);
        engine_session_close(look.engine);
        is_told = err == ERR_OK && defect.kind != DEFECT_NONE;
        if (is_told && may_be_told(query, table)) {
            (void)tell(&defect, false, info);
        } else if (is_told) {
            tell_stranger(table, info);
        }
        buf_fini(&defect.detail);
    }
    return is_told;
}

/* ---- names in what is left of the engine's words ---- */

/* The file that "file <n>" is, or empty if it is not for this person to know. */
static struct slice file_name(const struct query *query, uint64_t index)
{
    const struct plan *plan = query->plan;
    for (size_t i = 0; i < plan->table_count; i++) {
        const struct plan_table *table = &plan->tables[i];
        bool is_in = index >= table->object_first &&
                     index - table->object_first < table->object_count &&
                     !table->is_mentioned_before && is_of_files(table);
        if (is_in) {
            return may_be_told(query, table)
                       ? base_name(table->relation->objects[index - table->object_first].location)
                       : SLICE("");
        }
    }
    return SLICE("");
}

/* Replaces "file 3", with or without quotes around it, by the file's name. */
static void put_names(const struct query *query, char *text, size_t size)
{
    static const char mark[] = "file ";
    struct buf out CLEANUP(buf_fini) = {0};
    const char *rest = text;
    for (const char *at; (at = strstr(rest, mark)) != NULL;) {
        const char *digits = at + strlen(mark);
        size_t count = strspn(digits, "0123456789");
        uint64_t index;
        bool is_lake = strncmp(digits + count, " of the table", 13) == 0;
        if (count == 0 || is_lake || !slice_to_u64((struct slice){digits, count}, &index)) {
            buf_append(&out, rest, (size_t)(digits - rest));
            rest = digits;
            continue;
        }
        const char *end = digits + count;
        bool is_quoted = at > rest && (at[-1] == '"' || at[-1] == '\'') && *end == at[-1];
        struct slice name = file_name(query, index);
        buf_append(&out, rest, (size_t)(at - rest) - (is_quoted ? 1 : 0));
        buf_printf(&out, name.len > 0 ? "\"%.*s\"" : "a file%.*s", SLICE_ARGS(name));
        rest = end + (is_quoted ? 1 : 0);
    }
    buf_append_str(&out, rest);
    if (!buf_failed(&out)) {
        (void)snprintf(text, size, "%s", buf_cstr(&out));
    }
}

static void cut(char *text, const char *mark)
{
    char *at = strstr(text, mark);
    if (at != NULL) {
        *at = '\0';
    }
}

/* The engine's report of a line of CSV is a page: where, what and the line are what one needs. */
static void shorten_csv(struct errinfo *info)
{
    static const char start[] = "CSV Error on Line: ";
    static const char line_mark[] = " Original Line: ";
    static const char *const whats[] = {" Error when ",
                                        " Expected Number of Columns",
                                        " Value with unterminated quote",
                                        " Missing columns",
                                        " Maximum line size",
                                        " Invalid unicode",
                                        " The "};
    static const char *const ends[] = {" Column ", " Possible ", " * ", " file = "};
    char text[ERRINFO_MESSAGE_BYTES];
    (void)snprintf(text, sizeof(text), "%s", info->message);
    char *line = strstr(text, line_mark);
    if (strncmp(text, start, strlen(start)) != 0 || line == NULL) {
        return;
    }
    const char *file = strstr(info->message, " file = ");
    struct slice name = {NULL, 0};
    if (file != NULL) {
        file += strlen(" file = ");
        const char *after = strstr(file, " delimiter = ");
        name = (struct slice){file, after == NULL ? strlen(file) : (size_t)(after - file)};
    }
    *line = '\0';
    line += strlen(line_mark);
    char *what = NULL;
    for (size_t i = 0; i < ARRAY_COUNT(whats); i++) {
        char *at = strstr(line, whats[i]);
        what = at != NULL && (what == NULL || at < what) ? at : what;
    }
    if (what == NULL) {
        return;
    }
    *what++ = '\0';
    for (size_t i = 0; i < ARRAY_COUNT(ends); i++) {
        cut(what, ends[i]);
    }
    char sqlstate[sizeof(info->sqlstate)];
    memcpy(sqlstate, info->sqlstate, sizeof(sqlstate));
    char named[256];
    (void)snprintf(named, sizeof(named), "%.*s", SLICE_ARGS(name));
    (void)errinfo_set(info, info->code, sqlstate, "line %s of %s: %s", text + strlen(start),
                      name.len > 0 ? named : "a file", what);
    errinfo_detail(info, "The line: %.800s", line);
    errinfo_hint(info, "Mend the file. Or CREATE OR REPLACE the table with OPTIONS (ignore_errors "
                       "true), which leaves such lines out, or nullstr for what stands for NULL.");
}

void files_polish(const struct query *query, struct errinfo *info)
{
    if (info == NULL || query->plan == NULL) {
        return;
    }
    put_names(query, info->message, sizeof(info->message));
    put_names(query, info->detail, sizeof(info->detail));
    shorten_csv(info);
}
