/* Runs one file of SQL with its right answers (script.h) against a warehouse of its own, and
 * says how many of its steps held. Whatever the file does, its audit trail must be intact at the
 * end. */
#include <ftw.h>
#include <regex.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include "arrow/value.h"
#include "base/buf.h"
#include "base/io.h"
#include "base/mem.h"
#include "engine/host/testing.h"
#include "observe/audit.h"
#include "query/query.h"
#include "script.h"

#define SETS_MAX 16
#define PARAMETERS_MAX 16

struct runner {
    const char *path;
    struct arena *arena;
    char folder[64]; /* holds data/ and warehouse/ */
    char data[80];
    struct slice owner;
    struct slice iceberg;
    const char *sets[SETS_MAX];
    size_t set_count;
    struct config *config;
    struct warehouse *warehouse;
    struct identity *who;
    struct session *session;
    struct slice person; /* empty: the owner */
    struct query_parameter parameters[PARAMETERS_MAX];
    size_t parameter_count;
    unsigned passed;
    unsigned failed;
};

/* What a statement did. */
struct outcome {
    enum err err;
    struct errinfo info;
    struct buf types;
    struct buf columns;
    struct lines rows;
    const char *tag;
    struct slice notice;
};

static void outcome_fini(struct outcome *outcome)
{
    buf_fini(&outcome->types);
    buf_fini(&outcome->columns);
}

/* ---- the warehouse under test ---- */

static void close_session(struct runner *r)
{
    session_close(TAKE(r->session));
    identity_unref(TAKE(r->who));
}

static void close_warehouse(struct runner *r)
{
    close_session(r);
    warehouse_close(TAKE(r->warehouse));
    config_free(TAKE(r->config));
}

static enum err open_session(struct runner *r, struct errinfo *info)
{
    close_session(r);
    TRY(warehouse_login_local(r->warehouse, r->person, &r->who, info));
    return session_open(r->warehouse, r->who, &r->session, info);
}

static enum err open_warehouse(struct runner *r, struct errinfo *info)
{
    close_warehouse(r);
    struct config_sources sources = {.sets = r->sets, .set_count = r->set_count};
    TRY(config_load(&sources, &r->config, info));
    struct warehouse_options options = {
        .config = r->config, .create_if_missing = true, .engine_host = test_host_program()};
    TRY(warehouse_open(&options, &r->warehouse, info));
    return open_session(r, info);
}

/* `text` with ${dir} and ${owner} filled in. */
static struct slice expand(struct runner *r, struct slice text)
{
    struct buf out CLEANUP(buf_fini) = {0};
    const struct {
        struct slice name;
        struct slice value;
    } names[] = {{SLICE("${dir}"), slice_of(r->data)},
                 {SLICE("${owner}"), r->owner},
                 {SLICE("${iceberg}"), r->iceberg}};
    while (text.len > 0) {
        size_t skip = 1;
        struct slice piece = {text.ptr, 1};
        for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
            if (slice_starts_with(text, names[i].name)) {
                piece = names[i].value;
                skip = names[i].name.len;
            }
        }
        buf_append_slice(&out, piece);
        text = (struct slice){text.ptr + skip, text.len - skip};
    }
    struct slice kept;
    ASSERT(!buf_failed(&out) && arena_slice(r->arena, buf_slice(&out), &kept));
    return kept;
}

static enum err write_file(struct runner *r, const struct step *step, struct errinfo *info)
{
    char path[256];
    (void)snprintf(path, sizeof(path), "%s/%.*s", r->data, SLICE_ARGS(step->argument));
    char *slash = strrchr(path, '/');
    *slash = '\0';
    TRY(io_make_folders(path, 0700, info));
    *slash = '/';
    return io_write_file_atomic(path, step->body, 0600, info);
}

/* ---- running a statement ---- */

static char type_letter(const char *format)
{
    if (strchr("cCsSiIlL", format[0]) != NULL) {
        return 'I';
    }
    switch (format[0]) {
    case 'e':
    case 'f':
    case 'g':
        return 'R';
    case 'd': /* sums of integers are decimals without a scale */
        return strstr(format, ",0") == NULL ? 'R' : 'I';
    case 'b':
        return 'B';
    case 't':
        return 'D';
    case 'u':
    case 'U':
    case 'v':
        return 'T';
    }
    return '?';
}

static enum err print_cell(const struct ArrowSchema *schema, const struct ArrowArray *array,
                           int64_t row, struct buf *out, struct errinfo *info)
{
    if (!arrow_is_valid(schema, array, row)) {
        buf_append_str(out, "NULL");
        return ERR_OK;
    }
    struct buf text CLEANUP(buf_fini) = {0};
    TRY(arrow_print(schema, array, row, &text, info));
    buf_append_str(out, text.len == 0 ? "(empty)" : "");
    for (size_t i = 0; i < text.len; i++) {
        buf_append_str(out, text.ptr[i] == '\n' ? "\\n" : "");
        buf_append(out, text.ptr + i, text.ptr[i] != '\n');
    }
    return ERR_OK;
}

static enum err keep_batch(struct runner *r, const struct ArrowSchema *schema,
                           const struct ArrowArray *batch, bool by_value, struct lines *rows,
                           struct errinfo *info)
{
    struct buf line CLEANUP(buf_fini) = {0};
    struct slice kept;
    for (int64_t row = 0; row < batch->length; row++) {
        buf_reset(&line);
        for (int64_t c = 0; c < schema->n_children; c++) {
            buf_append_str(&line, c > 0 && !by_value ? " | " : "");
            TRY(print_cell(schema->children[c], batch->children[c], batch->offset + row, &line,
                           info));
            if (by_value || c + 1 == schema->n_children) {
                ASSERT(arena_slice(r->arena, buf_slice(&line), &kept));
                lines_add(rows, r->arena, kept);
                buf_reset(&line);
            }
        }
    }
    return ERR_OK;
}

static enum err pull_rows(struct runner *r, struct query *query, bool by_value,
                          struct outcome *outcome)
{
    struct ArrowSchema schema = {0};
    TRY(query_schema(query, &schema, &outcome->info));
    for (int64_t c = 0; c < schema.n_children; c++) {
        buf_append_char(&outcome->types, type_letter(schema.children[c]->format));
        buf_printf(&outcome->columns, "%s%s", c == 0 ? "" : ", ", schema.children[c]->name);
    }
    enum err err = ERR_OK;
    bool is_end = false;
    while (err == ERR_OK && !is_end) {
        struct ArrowArray batch = {0};
        err = query_next(query, &batch, &outcome->info);
        is_end = batch.release == NULL;
        if (err == ERR_OK && !is_end) {
            err = keep_batch(r, &schema, &batch, by_value, &outcome->rows, &outcome->info);
            batch.release(&batch);
        }
    }
    schema.release(&schema);
    return err;
}

static void run_sql(struct runner *r, const struct step *step, struct outcome *outcome)
{
    struct query *query CLEANUP(query_cleanup) = NULL;
    *outcome = (struct outcome){0};
    size_t parameter_count = r->parameter_count;
    r->parameter_count = 0;
    errinfo_init(&outcome->info);
    outcome->err = query_open(r->session, expand(r, step->sql), r->parameters, parameter_count,
                              &query, &outcome->info);
    if (outcome->err == ERR_OK && query_has_rows(query)) {
        outcome->err = pull_rows(r, query, step->order == VALUES_SORTED, outcome);
    }
    if (outcome->err == ERR_OK) {
        outcome->tag = query_tag(query); /* a literal */
        ASSERT(arena_slice(r->arena, slice_of(query_notice(query)), &outcome->notice));
    }
}

/* ---- judging it ---- */

PRINTF_LIKE(3, 4)
static bool wrong(const struct runner *r, const struct step *step, const char *format, ...)
{
    va_list args;
    printf("%s:%u: as %s: ", r->path, step->line, r->person.len == 0 ? "owner" : r->person.ptr);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    printf("\n    %.*s\n", SLICE_ARGS(step->sql));
    return false;
}

static bool contains(struct slice text, struct slice part)
{
    return part.len == 0 || slice_find(text, part) != SIZE_MAX;
}

static bool matches(struct slice text, struct slice pattern)
{
    bool is_regex = pattern.len > 2 && pattern.ptr[0] == '/' && pattern.ptr[pattern.len - 1] == '/';
    if (!is_regex) {
        return contains(text, pattern);
    }
    char expression[512];
    regex_t regex;
    (void)snprintf(expression, sizeof(expression), "%.*s", (int)pattern.len - 2, pattern.ptr + 1);
    if (regcomp(&regex, expression, REG_EXTENDED | REG_NOSUB) != 0) {
        return false;
    }
    int found = regexec(&regex, text.ptr, 0, NULL, 0);
    regfree(&regex);
    return found == 0;
}

static bool judge_error(struct runner *r, const struct step *step, const struct outcome *outcome)
{
    const struct errinfo *info = &outcome->info;
    if (outcome->err == ERR_OK) {
        return wrong(r, step, "no error, %.*s was due", SLICE_ARGS(step->sqlstate));
    }
    struct slice message = slice_of(info->message);
    struct slice hint = slice_of(info->hint);
    struct slice detail = slice_of(info->detail);
    bool is_right = slice_equal(slice_of(info->sqlstate), step->sqlstate) &&
                    matches(message, expand(r, step->message)) &&
                    (step->hint.ptr == NULL || matches(hint, expand(r, step->hint))) &&
                    (step->detail.ptr == NULL || matches(detail, expand(r, step->detail))) &&
                    (!step->has_position || step->position == info->position);
    bool is_told =
        step->never.ptr != NULL && (contains(message, step->never) || contains(hint, step->never) ||
                                    contains(detail, step->never));
    if (!is_right || is_told) {
        return wrong(r, step, "ERROR %s at %zu: %s\n    detail: %s\n    hint: %s", info->sqlstate,
                     info->position, info->message, info->detail, info->hint);
    }
    return true;
}

static bool types_match(struct slice expected, struct slice actual)
{
    bool is_same = expected.len == actual.len;
    for (size_t i = 0; is_same && i < expected.len; i++) {
        is_same = expected.ptr[i] == '?' || expected.ptr[i] == actual.ptr[i];
    }
    return is_same;
}

static bool judge_rows(struct runner *r, struct step *step, struct outcome *outcome)
{
    struct lines *rows = &outcome->rows;
    bool is_told = false;
    for (size_t i = 0; i < step->rows.count; i++) {
        step->rows.items[i] = expand(r, step->rows.items[i]);
    }
    if (step->order != ROWS_AS_GIVEN) {
        lines_sort(rows);
        lines_sort(&step->rows);
    }
    bool is_same = rows->count == step->rows.count;
    for (size_t i = 0; i < rows->count; i++) {
        is_same = is_same && slice_equal(rows->items[i], step->rows.items[i]);
        is_told = is_told || (step->never.ptr != NULL && contains(rows->items[i], step->never));
    }
    bool has_types = types_match(step->types, buf_slice(&outcome->types));
    bool has_columns =
        step->columns.ptr == NULL || slice_equal(step->columns, buf_slice(&outcome->columns));
    if (is_same && has_types && has_columns && !is_told) {
        return true;
    }
    (void)wrong(r, step, "wrong %s; types %s, columns %s; rows:",
                !has_types     ? "types"
                : !has_columns ? "columns"
                : is_told      ? "text told"
                               : "rows",
                buf_cstr(&outcome->types), buf_cstr(&outcome->columns));
    for (size_t i = 0; i < rows->count; i++) {
        printf("%.*s\n", SLICE_ARGS(rows->items[i]));
    }
    return false;
}

static bool judge_ok(struct runner *r, struct step *step, struct outcome *outcome)
{
    if (outcome->err != ERR_OK) {
        return wrong(r, step, "ERROR %s at %zu: %s\n    detail: %s\n    hint: %s",
                     outcome->info.sqlstate, outcome->info.position, outcome->info.message,
                     outcome->info.detail, outcome->info.hint);
    }
    if (step->kind == STEP_ROWS) {
        return judge_rows(r, step, outcome);
    }
    bool is_right = (step->tag.ptr == NULL || slice_equal(step->tag, slice_of(outcome->tag))) &&
                    (step->notice.ptr == NULL || matches(outcome->notice, expand(r, step->notice)));
    return is_right ||
           wrong(r, step, "tag \"%s\", notice \"%s\"", outcome->tag, outcome->notice.ptr);
}

/* ---- a file ---- */

static enum err run_directive(struct runner *r, const struct step *step, struct errinfo *info)
{
    switch (step->kind) {
    case STEP_FILE:
        return write_file(r, step, info);
    case STEP_OWNER:
    case STEP_USER:
        r->person = step->kind == STEP_OWNER ? SLICE("") : expand(r, step->argument);
        return open_session(r, info);
    case STEP_RECONNECT:
        return open_session(r, info);
    case STEP_CONFIG:
        ASSERT(r->set_count < SETS_MAX);
        r->sets[r->set_count++] = expand(r, step->argument).ptr;
        return open_warehouse(r, info);
    case STEP_REOPEN:
        return open_warehouse(r, info);
    case STEP_PARAMETER:
        ASSERT(r->parameter_count < PARAMETERS_MAX);
        r->parameters[r->parameter_count++] =
            (struct query_parameter){.is_null = step->argument.len == 0, .text = step->argument};
        return ERR_OK;
    case STEP_END:
    case STEP_OK:
    case STEP_ERROR:
    case STEP_ROWS:
        break;
    }
    return errinfo_set(info, ERR_INTERNAL, NULL, "not a directive");
}

static enum err run_file(struct runner *r, struct script *script, struct errinfo *info)
{
    struct step step;
    TRY(open_warehouse(r, info));
    for (;;) {
        TRY(script_next(script, &step, info));
        if (step.kind == STEP_END) {
            return ERR_OK;
        }
        if (step.kind < STEP_OK) {
            enum err err = run_directive(r, &step, info);
            if (err != ERR_OK) {
                printf("%s:%u: the directive failed\n", r->path, step.line);
                return err;
            }
            continue;
        }
        struct outcome outcome CLEANUP(outcome_fini) = {0};
        run_sql(r, &step, &outcome);
        bool is_right = step.kind == STEP_ERROR ? judge_error(r, &step, &outcome)
                                                : judge_ok(r, &step, &outcome);
        r->passed += is_right;
        r->failed += !is_right;
    }
}

static void check_trail(struct runner *r)
{
    char trail[128];
    struct audit_report report;
    struct errinfo info;
    (void)snprintf(trail, sizeof(trail), "%s/warehouse/audit", r->folder);
    if (audit_verify(trail, NULL, &report, &info) == ERR_OK && report.is_intact &&
        report.records > 0) {
        r->passed++;
        return;
    }
    printf("%s: the audit trail is not intact: %s\n", r->path, report.problem);
    r->failed++;
}

static int remove_entry(const char *path, UNUSED const struct stat *status, UNUSED int kind,
                        UNUSED struct FTW *walk)
{
    return remove(path);
}

static enum err prepare(struct runner *r, struct slice *ret_text, struct errinfo *info)
{
    char *set;
    (void)snprintf(r->folder, sizeof(r->folder), "/tmp/moat_sql_XXXXXX");
    if (mkdtemp(r->folder) == NULL) {
        return errinfo_set(info, ERR_IO, NULL, "no temporary folder");
    }
    (void)snprintf(r->data, sizeof(r->data), "%s/data", r->folder);
    TRY(io_make_folders(r->data, 0700, info));
    TRY(identity_os_user(r->arena, &r->owner, info));
    const char *iceberg = getenv("MOAT_TEST_ICEBERG");
    r->iceberg = slice_of(iceberg == NULL ? "/no/sample" : iceberg);
    set = arena_printf(r->arena, "warehouse.path=%s/warehouse", r->folder);
    if (set == NULL) {
        return errinfo_nomem(info);
    }
    r->sets[r->set_count++] = set;
    return io_read_file(r->arena, r->path, 16u << 20, ret_text, info);
}

int main(int argc, char **argv)
{
    struct runner r = {.path = argc == 2 ? argv[1] : ""};
    struct errinfo info;
    struct slice text;
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s FILE.slt\n", argv[0]);
        return 2;
    }
    errinfo_init(&info);
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    r.arena = arena_new(NULL, "file", 0);
    enum err err = r.arena == NULL ? errinfo_nomem(&info) : prepare(&r, &text, &info);
    if (err == ERR_OK) {
        struct script script = {text, 1, r.arena};
        err = run_file(&r, &script, &info);
    }
    close_warehouse(&r);
    if (err != ERR_OK) {
        printf("%s: ERROR %s: %s\n", r.path, info.sqlstate, info.message);
        r.failed++;
    }
    check_trail(&r);
    (void)nftw(r.folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    arena_free(r.arena);
    printf("%u passed, %u failed\n", r.passed, r.failed);
    return r.failed == 0 ? 0 : 1;
}
