/* moat iceberg inspect|validate PATH: a table as people, or as JSON. Works without a warehouse: it
 * reads files that the OS user may read anyway, as that user. */
#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "catalog/iceberg.h"
#include "cli/cli_int.h"
#include "cli/text.h"
#include "iceberg/inspect.h"

#define SNAPSHOTS_SHOWN 10
#define COLUMNS_MAX 8

const char iceberg_help[] =
    "Usage: moat iceberg inspect PATH     what a table is made of\n"
    "       moat iceberg validate PATH    whether all that its metadata says is true\n"
    "\n"
    "PATH is the folder of an Iceberg table (the one that holds \"metadata\"), or one metadata\n"
    "file: orders/metadata/v7.metadata.json. Nothing is changed and no warehouse is needed.\n"
    "\n"
    "inspect   schema, partition specs, branches and tags, the latest snapshots, and the files of\n"
    "          the current one: how many, how large, how many are small, how much is deleted.\n"
    "          Many small files or deletes mean the table wants compaction.\n"
    "validate  reads every manifest of every living snapshot and compares: references, ids, "
    "counts\n"
    "          and sizes with the files in storage, sequence numbers, bounds and partition\n"
    "          summaries, checksums of deletion vectors, footers of statistics files.\n"
    "          A PROBLEM can make readers fail or give wrong rows; a warning cannot.\n"
    "\n"
    "  --format json         one JSON document instead of text\n"
    "  -o, --output FILE     write it to FILE\n"
    "  --color WHEN          auto, always or never\n"
    "\n"
    "Exit codes: 0 ok, 1 it cannot be read, 2 usage, 6 validate found a problem.\n";

struct table_view {
    struct cli *cli;
    struct iceberg_io io;
    struct catalog_iceberg_table table;
    const struct iceberg_metadata *metadata;
};

/* ---- text ---- */

/* Rows of aligned columns, made first and printed at the end. */
struct grid {
    struct arena *arena;
    char *cells[256][COLUMNS_MAX];
    size_t rows;
    size_t columns;
    bool is_right[COLUMNS_MAX];
    bool failed;
};

static void grid_cell(struct grid *grid, size_t column, struct slice text)
{
    struct buf escaped CLEANUP(buf_fini) = {0};
    text_escape(&escaped, text, KEEP_NOTHING);
    char *copy = buf_failed(&escaped) ? NULL : arena_strdup(grid->arena, buf_cstr(&escaped));
    grid->failed = grid->failed || copy == NULL;
    grid->cells[grid->rows][column] = copy;
}

PRINTF_LIKE(3, 4)
static void grid_printf(struct grid *grid, size_t column, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    grid_cell(grid, column, slice_of(text));
}

static bool grid_next(struct grid *grid)
{
    bool has_room = grid->rows + 1 < ARRAY_COUNT(grid->cells);
    grid->rows += has_room ? 1 : 0;
    return has_room;
}

static void grid_print(struct cli *cli, const char *title, const struct grid *grid)
{
    struct buf *out = &cli->out.buf;
    size_t widths[COLUMNS_MAX] = {0};
    for (size_t r = 0; r < grid->rows; r++) {
        for (size_t c = 0; c < grid->columns; c++) {
            const char *cell = grid->cells[r][c] == NULL ? "" : grid->cells[r][c];
            size_t width = text_width(slice_of(cell));
            widths[c] = width > widths[c] ? width : widths[c];
        }
    }
    buf_printf(out, "\n%s%s%s\n", sink_style(&cli->out, STYLE_BOLD), title,
               sink_style(&cli->out, STYLE_OFF));
    for (size_t r = 0; r < grid->rows; r++) {
        buf_append_str(out, r == 0 ? sink_style(&cli->out, STYLE_DIM) : "");
        for (size_t c = 0; c < grid->columns; c++) {
            const char *cell = grid->cells[r][c] == NULL ? "" : grid->cells[r][c];
            size_t pad = widths[c] - text_width(slice_of(cell));
            bool is_last = c + 1 == grid->columns;
            buf_append_str(out, "  ");
            buf_printf(out, "%*s", grid->is_right[c] ? (int)pad : 0, "");
            buf_append_str(out, cell);
            buf_printf(out, "%*s", grid->is_right[c] || is_last ? 0 : (int)pad, "");
        }
        buf_printf(out, "%s\n", r == 0 ? sink_style(&cli->out, STYLE_OFF) : "");
    }
}

static void print_bytes(uint64_t bytes, struct buf *out)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < ARRAY_COUNT(units)) {
        value /= 1024;
        unit++;
    }
    buf_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", value, units[unit]);
}

static void print_time(int64_t timestamp_ms, struct buf *out)
{
    struct iceberg_value value = {.type = ICEBERG_TIMESTAMP};
    struct buf text CLEANUP(buf_fini) = {0};
    if (__builtin_mul_overflow(timestamp_ms, 1000, &value.integer)) {
        buf_append_str(out, "out of range");
        return;
    }
    iceberg_value_print(&value, &text);
    struct slice shown = buf_slice(&text);
    shown.len -= shown.len > 3 ? 3 : 0; /* the microseconds, always 000 */
    buf_append_slice(out, shown);
    buf_append_str(out, " UTC");
}

static void label(struct cli *cli, const char *name, struct slice value)
{
    buf_printf(&cli->out.buf, "%s%-16s%s", sink_style(&cli->out, STYLE_DIM), name,
               sink_style(&cli->out, STYLE_OFF));
    text_escape(&cli->out.buf, value, KEEP_NOTHING);
    buf_append_char(&cli->out.buf, '\n');
}

static void print_head(const struct table_view *view)
{
    const struct iceberg_metadata *m = view->metadata;
    struct buf text CLEANUP(buf_fini) = {0};
    label(view->cli, "Table", m->location);
    label(view->cli, "Metadata", view->table.name.metadata_location);
    buf_printf(&text, "%u", m->format_version);
    label(view->cli, "Format version", buf_slice(&text));
    label(view->cli, "UUID", m->uuid.len == 0 ? SLICE("none") : m->uuid);
    buf_reset(&text);
    print_time(m->last_updated_ms, &text);
    label(view->cli, "Last change", buf_slice(&text));
    if (m->has_encryption_keys) {
        label(view->cli, "Encryption", SLICE("the table has encryption keys"));
    }
}

static void add_fields(struct grid *grid, const struct iceberg_type *type, int depth)
{
    for (size_t i = 0; i < type->field_count; i++) {
        const struct iceberg_field *field = &type->fields[i];
        struct buf text CLEANUP(buf_fini) = {0};
        bool is_plain = field->type.field_count == 0;
        grid_printf(grid, 0, "%d", field->id);
        grid_printf(grid, 1, "%*s%.*s", depth * 2, "", SLICE_ARGS(field->name));
        if (is_plain) {
            iceberg_type_print(&field->type, &text);
        } else {
            buf_append_str(&text, field->type.id == ICEBERG_STRUCT ? "struct"
                                  : field->type.id == ICEBERG_LIST ? "list"
                                                                   : "map");
        }
        grid_cell(grid, 2, buf_slice(&text));
        grid_printf(grid, 3, "%s", field->is_required ? "required" : "");
        buf_reset(&text);
        if (field->initial_default != NULL) {
            iceberg_value_print(field->initial_default, &text);
        }
        grid_cell(grid, 4, buf_slice(&text));
        if (!grid_next(grid)) {
            return;
        }
        add_fields(grid, &field->type, depth + 1);
    }
}

static void heads(struct grid *grid, const char *const *names, size_t count)
{
    grid->columns = count;
    for (size_t i = 0; i < count; i++) {
        grid_printf(grid, i, "%s", names[i]);
    }
    (void)grid_next(grid);
}

static struct grid *new_grid(struct cli *cli, const char *const *names, size_t count)
{
    struct grid *grid = arena_calloc(cli->arena, 1, sizeof(*grid));
    if (grid != NULL) {
        grid->arena = cli->arena;
        heads(grid, names, count);
    }
    return grid;
}

static bool print_schema(const struct table_view *view)
{
    static const char *const names[] = {"id", "column", "type", "", "default"};
    const struct iceberg_schema *schema = iceberg_metadata_current_schema(view->metadata);
    struct grid *grid = new_grid(view->cli, names, ARRAY_COUNT(names));
    char title[64];
    if (grid == NULL) {
        return false;
    }
    grid->is_right[0] = true;
    add_fields(grid, &schema->root, 0);
    (void)snprintf(title, sizeof(title), "Schema %d, of %zu", schema->id,
                   view->metadata->schema_count);
    grid_print(view->cli, title, grid);
    return !grid->failed;
}

static bool print_specs(const struct table_view *view)
{
    static const char *const names[] = {"spec", "field", "name", "transform", "of", ""};
    const struct iceberg_metadata *m = view->metadata;
    struct grid *grid = new_grid(view->cli, names, ARRAY_COUNT(names));
    if (grid == NULL) {
        return false;
    }
    for (size_t i = 0; i < m->spec_count; i++) {
        const struct iceberg_spec *spec = &m->specs[i];
        const char *mark = spec->id == m->default_spec_id ? "default" : "";
        if (spec->field_count == 0) {
            grid_printf(grid, 0, "%d", spec->id);
            grid_printf(grid, 2, "unpartitioned");
            grid_printf(grid, 5, "%s", mark);
            (void)grid_next(grid);
        }
        for (size_t k = 0; k < spec->field_count; k++) {
            const struct iceberg_partition_field *field = &spec->fields[k];
            const struct iceberg_field *source = iceberg_metadata_field(m, field->source_ids[0]);
            grid_printf(grid, 0, "%d", spec->id);
            grid_printf(grid, 1, "%d", field->field_id);
            grid_cell(grid, 2, field->name);
            grid_cell(grid, 3, field->transform.text);
            grid_cell(grid, 4, source == NULL ? SLICE("?") : source->name);
            grid_printf(grid, 5, "%s", mark);
            (void)grid_next(grid);
        }
    }
    grid_print(view->cli, "Partition specs", grid);
    return !grid->failed;
}

static bool print_refs(const struct table_view *view)
{
    static const char *const names[] = {"name", "", "snapshot"};
    const struct iceberg_metadata *m = view->metadata;
    struct grid *grid = new_grid(view->cli, names, ARRAY_COUNT(names));
    if (grid == NULL || m->ref_count == 0) {
        return grid != NULL;
    }
    for (size_t i = 0; i < m->ref_count; i++) {
        grid_cell(grid, 0, m->refs[i].name);
        grid_printf(grid, 1, "%s", m->refs[i].is_tag ? "tag" : "branch");
        grid_printf(grid, 2, "%lld", (long long)m->refs[i].snapshot_id);
        (void)grid_next(grid);
    }
    grid_print(view->cli, "Branches and tags", grid);
    return !grid->failed;
}

static struct slice summary_of(const struct iceberg_snapshot *snapshot, const char *key)
{
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, slice_of(key))) {
            return snapshot->summary[i].value;
        }
    }
    return (struct slice){"", 0};
}

static bool print_snapshots(const struct table_view *view)
{
    static const char *const names[] = {"snapshot",   "time",         "operation", "sequence",
                                        "data files", "delete files", "rows",      ""};
    const struct iceberg_metadata *m = view->metadata;
    struct grid *grid = new_grid(view->cli, names, ARRAY_COUNT(names));
    char title[64];
    if (grid == NULL) {
        return false;
    }
    grid->is_right[0] = grid->is_right[3] = grid->is_right[4] = true;
    grid->is_right[5] = grid->is_right[6] = true;
    size_t shown = m->snapshot_count < SNAPSHOTS_SHOWN ? m->snapshot_count : SNAPSHOTS_SHOWN;
    for (size_t i = 0; i < shown; i++) {
        const struct iceberg_snapshot *snapshot = &m->snapshots[m->snapshot_count - 1 - i];
        struct buf time CLEANUP(buf_fini) = {0};
        print_time(snapshot->timestamp_ms, &time);
        grid_printf(grid, 0, "%lld", (long long)snapshot->id);
        grid_cell(grid, 1, buf_slice(&time));
        grid_cell(grid, 2, snapshot->operation);
        grid_printf(grid, 3, "%lld", (long long)snapshot->sequence_number);
        grid_cell(grid, 4, summary_of(snapshot, "total-data-files"));
        grid_cell(grid, 5, summary_of(snapshot, "total-delete-files"));
        grid_cell(grid, 6, summary_of(snapshot, "total-records"));
        grid_printf(grid, 7, "%s", snapshot->id == m->current_snapshot_id ? "current" : "");
        (void)grid_next(grid);
    }
    (void)snprintf(title, sizeof(title), "Snapshots, the last %zu of %zu", shown,
                   m->snapshot_count);
    grid_print(view->cli, title, grid);
    return !grid->failed;
}

static unsigned percent(uint64_t part, uint64_t whole)
{
    return whole == 0 ? 0 : (unsigned)((double)part * 100 / (double)whole + 0.5);
}

static void print_totals(const struct table_view *view, const struct iceberg_totals *t)
{
    struct cli *cli = view->cli;
    struct buf *out = &cli->out.buf;
    struct buf text CLEANUP(buf_fini) = {0};
    buf_printf(out, "\n%sFiles of the current snapshot%s\n", sink_style(&cli->out, STYLE_BOLD),
               sink_style(&cli->out, STYLE_OFF));
    buf_printf(&text, "%llu, ", (unsigned long long)t->data_files);
    print_bytes(t->data_bytes, &text);
    buf_printf(&text, ", %llu rows before deletes", (unsigned long long)t->data_rows);
    label(cli, "  data files", buf_slice(&text));
    if (t->data_files > 0) {
        buf_reset(&text);
        print_bytes(t->data_bytes_least, &text);
        buf_append_str(&text, " to ");
        print_bytes(t->data_bytes_most, &text);
        buf_append_str(&text, ", on average ");
        print_bytes(t->data_bytes / t->data_files, &text);
        label(cli, "  sizes", buf_slice(&text));
        buf_reset(&text);
        buf_printf(&text, "%llu (%u %%) below ", (unsigned long long)t->small_files,
                   percent(t->small_files, t->data_files));
        print_bytes(t->small_bytes, &text);
        label(cli, "  small files", buf_slice(&text));
    }
    buf_reset(&text);
    buf_printf(&text, "%llu files, %llu vectors, %llu rows (%u %% of all)",
               (unsigned long long)t->position_files, (unsigned long long)t->vectors,
               (unsigned long long)(t->position_rows + t->vector_rows),
               percent(t->position_rows + t->vector_rows, t->data_rows));
    label(cli, "  by position", buf_slice(&text));
    buf_reset(&text);
    buf_printf(&text, "%llu files, %llu values", (unsigned long long)t->equality_files,
               (unsigned long long)t->equality_rows);
    label(cli, "  by equality", buf_slice(&text));
    buf_reset(&text);
    buf_printf(&text, "%llu, of these %llu of deletes, ", (unsigned long long)t->manifests,
               (unsigned long long)t->delete_manifests);
    print_bytes(t->manifest_bytes, &text);
    label(cli, "  manifests", buf_slice(&text));
}

/* ---- JSON ---- */

static void json_text(struct buf *out, const char *name, struct slice value)
{
    buf_printf(out, ",\"%s\":", name);
    json_write_string(out, value);
}

static void json_totals(struct buf *out, const struct iceberg_totals *t)
{
    const struct {
        const char *name;
        uint64_t value;
    } members[] = {
        {"manifests", t->manifests},
        {"delete_manifests", t->delete_manifests},
        {"manifest_bytes", t->manifest_bytes},
        {"data_files", t->data_files},
        {"data_rows", t->data_rows},
        {"data_bytes", t->data_bytes},
        {"data_bytes_least", t->data_bytes_least},
        {"data_bytes_most", t->data_bytes_most},
        {"small_files", t->small_files},
        {"small_bytes", t->small_bytes},
        {"position_delete_files", t->position_files},
        {"position_deletes", t->position_rows},
        {"deletion_vectors", t->vectors},
        {"vector_deletes", t->vector_rows},
        {"equality_delete_files", t->equality_files},
        {"equality_deletes", t->equality_rows},
        {"delete_bytes", t->delete_bytes},
    };
    buf_append_str(out, ",\"files\":{");
    for (size_t i = 0; i < ARRAY_COUNT(members); i++) {
        buf_printf(out, "%s\"%s\":%llu", i == 0 ? "" : ",", members[i].name,
                   (unsigned long long)members[i].value);
    }
    buf_append_char(out, '}');
}

static void json_specs(struct buf *out, const struct iceberg_metadata *m)
{
    buf_append_str(out, ",\"partition_specs\":[");
    for (size_t i = 0; i < m->spec_count; i++) {
        buf_printf(out, "%s{\"spec_id\":%d,\"is_default\":%s,\"fields\":[", i == 0 ? "" : ",",
                   m->specs[i].id, m->specs[i].id == m->default_spec_id ? "true" : "false");
        for (size_t k = 0; k < m->specs[i].field_count; k++) {
            const struct iceberg_partition_field *field = &m->specs[i].fields[k];
            buf_printf(out, "%s{\"field_id\":%d,\"source_id\":%d", k == 0 ? "" : ",",
                       field->field_id, field->source_ids[0]);
            json_text(out, "name", field->name);
            json_text(out, "transform", field->transform.text);
            buf_append_char(out, '}');
        }
        buf_append_str(out, "]}");
    }
    buf_append_char(out, ']');
}

static void json_snapshots(struct buf *out, const struct iceberg_metadata *m)
{
    buf_append_str(out, ",\"snapshots\":[");
    for (size_t i = 0; i < m->snapshot_count; i++) {
        const struct iceberg_snapshot *s = &m->snapshots[i];
        buf_printf(out,
                   "%s{\"snapshot_id\":%lld,\"parent_id\":%lld,\"sequence_number\":%lld,"
                   "\"timestamp_ms\":%lld,\"schema_id\":%d",
                   i == 0 ? "" : ",", (long long)s->id, (long long)s->parent_id,
                   (long long)s->sequence_number, (long long)s->timestamp_ms, s->schema_id);
        json_text(out, "operation", s->operation);
        buf_append_char(out, '}');
    }
    buf_append_str(out, "],\"refs\":[");
    for (size_t i = 0; i < m->ref_count; i++) {
        buf_printf(out, "%s{\"snapshot_id\":%lld,\"is_tag\":%s", i == 0 ? "" : ",",
                   (long long)m->refs[i].snapshot_id, m->refs[i].is_tag ? "true" : "false");
        json_text(out, "name", m->refs[i].name);
        buf_append_char(out, '}');
    }
    buf_append_char(out, ']');
}

static void json_inspect(const struct table_view *view, const struct iceberg_totals *totals)
{
    const struct iceberg_metadata *m = view->metadata;
    struct buf *out = &view->cli->out.buf;
    buf_printf(out, "{\"format_version\":%u,\"current_snapshot_id\":%lld,\"last_updated_ms\":%lld",
               m->format_version, (long long)m->current_snapshot_id, (long long)m->last_updated_ms);
    json_text(out, "location", m->location);
    json_text(out, "metadata_location", view->table.name.metadata_location);
    json_text(out, "uuid", m->uuid);
    buf_append_str(out, ",\"schema\":");
    iceberg_schema_write(iceberg_metadata_current_schema(m), out);
    json_specs(out, m);
    json_snapshots(out, m);
    json_totals(out, totals);
    buf_append_str(out, "}\n");
}

/* ---- commands ---- */

static enum err load_table(struct table_view *view, struct identity **ret_who, struct errinfo *info)
{
    struct cli *cli = view->cli;
    struct identity_spec spec = {
        .provider = SLICE("local"), .client = SLICE("embedded"), .is_owner = true};
    struct catalog_iceberg catalog = {.name = SLICE("table"), .kind = CATALOG_ICEBERG_STATIC};
    struct catalog_iceberg_name *names = NULL;
    size_t count = 0;
    TRY(identity_os_user(cli->arena, &spec.subject, info));
    TRY(identity_new(&spec, ret_who, info));
    TRY(catalog_iceberg_locate(*ret_who, slice_of(cli->options.operand), cli->arena,
                               &catalog.location, info));
    TRY(catalog_iceberg_names(&catalog, *ret_who, (struct slice){0}, cli->arena, &names, &count,
                              info));
    TRY(catalog_iceberg_load(&catalog, *ret_who, names[0].ns, names[0].name, cli->arena,
                             &view->table, info));
    view->metadata = &view->table.metadata;
    view->io = catalog_iceberg_io(*ret_who);
    return ERR_OK;
}

static enum err inspect(struct table_view *view, struct errinfo *info)
{
    const struct iceberg_metadata *m = view->metadata;
    struct iceberg_totals totals = {0};
    const struct iceberg_snapshot *current = iceberg_metadata_snapshot(m, m->current_snapshot_id);
    if (current != NULL) {
        TRY(iceberg_inspect(&view->io, m, current, &totals, info));
    }
    if (view->cli->format == OUTPUT_JSON) {
        json_inspect(view, &totals);
        return ERR_OK;
    }
    print_head(view);
    if (!print_schema(view) || !print_specs(view) || !print_refs(view) || !print_snapshots(view)) {
        return errinfo_nomem(info);
    }
    print_totals(view, &totals);
    return ERR_OK;
}

struct findings {
    struct cli *cli;
    uint64_t count;
};

static void print_finding(void *context, const struct iceberg_finding *finding)
{
    struct findings *findings = context;
    struct cli *cli = findings->cli;
    struct buf *out = &cli->out.buf;
    bool is_problem = finding->severity == ICEBERG_PROBLEM;
    if (cli->format == OUTPUT_JSON) {
        buf_printf(out, "%s{\"severity\":\"%s\",\"check\":\"%s\"", findings->count == 0 ? "" : ",",
                   is_problem ? "problem" : "warning", finding->check);
        json_text(out, "where", finding->where);
        json_text(out, "message", slice_of(finding->message));
        buf_append_char(out, '}');
    } else {
        buf_printf(out, "%s%s%s  %s: ", sink_style(&cli->out, is_problem ? STYLE_RED : STYLE_BOLD),
                   is_problem ? "PROBLEM" : "warning", sink_style(&cli->out, STYLE_OFF),
                   finding->check);
        text_escape(out, finding->where, KEEP_NOTHING);
        buf_append_char(out, ' ');
        text_escape(out, slice_of(finding->message), KEEP_NOTHING);
        buf_append_char(out, '\n');
    }
    findings->count++;
}

static enum err validate(struct table_view *view, bool *ret_valid, struct errinfo *info)
{
    struct cli *cli = view->cli;
    struct findings findings = {.cli = cli};
    struct iceberg_validate_counts c = {0};
    const struct iceberg_validate_options options = {
        .io = &view->io, .metadata = view->metadata, .report = print_finding, .context = &findings};
    bool is_json = cli->format == OUTPUT_JSON;
    buf_append_str(&cli->out.buf, is_json ? "{\"findings\":[" : "");
    TRY(iceberg_validate(&options, &c, info));
    buf_printf(&cli->out.buf,
               is_json ? "],\"problems\":%llu,\"warnings\":%llu,\"checks\":%llu,\"snapshots\":%llu,"
                         "\"manifests\":%llu,\"files\":%llu,\"vectors\":%llu}\n"
                       : "%llu problems, %llu warnings: %llu checks of %llu snapshots, %llu "
                         "manifests, %llu files, %llu deletion vectors\n",
               (unsigned long long)c.problems, (unsigned long long)c.warnings,
               (unsigned long long)c.checks, (unsigned long long)c.snapshots,
               (unsigned long long)c.manifests, (unsigned long long)c.files,
               (unsigned long long)c.vectors);
    *ret_valid = c.problems == 0;
    return ERR_OK;
}

enum cli_exit command_iceberg(struct cli *cli)
{
    struct identity *who CLEANUP(identity_cleanup) = NULL;
    struct table_view view = {.cli = cli};
    struct errinfo info;
    bool is_valid = true;
    errinfo_init(&info);
    cli->format = cli->options.format_given ? cli->options.format : OUTPUT_TABLE;
    enum err err = ERR_OK;
    if (cli->format != OUTPUT_TABLE && cli->format != OUTPUT_JSON) {
        err = errinfo_set(&info, ERR_INVALID, "22023",
                          "`moat iceberg` prints as table or json, not as %s",
                          options_format_name(cli->format));
    }
    if (err == ERR_OK && cli->options.output != NULL) {
        err = sink_open_file(&cli->out, cli->options.output, &info);
    }
    if (err == ERR_OK) {
        err = load_table(&view, &who, &info);
    }
    if (err == ERR_OK) {
        err = cli->options.command == COMMAND_ICEBERG_VALIDATE ? validate(&view, &is_valid, &info)
                                                               : inspect(&view, &info);
    }
    if (err == ERR_OK) {
        err = sink_flush(&cli->out, &info);
    }
    if (err != ERR_OK) {
        cli_report(cli, &info);
        return EXIT_STATEMENT;
    }
    return is_valid ? EXIT_OK : EXIT_TABLE;
}
