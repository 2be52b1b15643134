/* Plans scans of tables named on the command line, and says how long that takes.
 *
 *     scan_probe [--threads N] METADATA FILTER...   each filter cold, then warm from the cache
 *     scan_probe --list                             requests on standard input, plans as JSON lines
 *
 * A filter is JSON: ["and", a, b], ["not", a], [">=", "column", value], ["in", "column", [values]],
 * ["is-null", "column"], true; values as the spec's single-value JSON. A request is
 * {"metadata": path, "snapshot": id or null, "filter": filter}; tests/interop/iceberg/
 * compare_plans.py sends them, to compare with PyIceberg. */
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "base/json.h"
#include "base/mem.h"
#include "iceberg/scan.h"

#define REQUEST_BYTES_MAX (1024 * 1024)

static const struct {
    const char *name;
    enum iceberg_operator op;
} operators[] = {
    {"and", ICEBERG_AND},
    {"or", ICEBERG_OR},
    {"not", ICEBERG_NOT},
    {"is-null", ICEBERG_IS_NULL},
    {"not-null", ICEBERG_NOT_NULL},
    {"is-nan", ICEBERG_IS_NAN},
    {"not-nan", ICEBERG_NOT_NAN},
    {"=", ICEBERG_EQUAL},
    {"!=", ICEBERG_NOT_EQUAL},
    {"<", ICEBERG_LESS},
    {"<=", ICEBERG_LESS_EQUAL},
    {">", ICEBERG_GREATER},
    {">=", ICEBERG_GREATER_EQUAL},
    {"in", ICEBERG_IN},
    {"not-in", ICEBERG_NOT_IN},
    {"starts-with", ICEBERG_STARTS_WITH},
    {"not-starts-with", ICEBERG_NOT_STARTS_WITH},
};

struct filter_reader {
    const struct iceberg_schema *schema;
    struct arena *arena;
    struct errinfo *info;
};

static enum err wrong(struct errinfo *info)
{
    return errinfo_set(info, ERR_INVALID, NULL, "that is no filter");
}

static enum err read_values(const struct filter_reader *reader, const struct iceberg_field *field,
                            const struct json *node, struct iceberg_expression *out)
{
    size_t count = node->type == JSON_ARRAY ? node->count : 1;
    struct iceberg_value *values = arena_calloc(reader->arena, count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(reader->info);
    }
    const struct json *item = node->type == JSON_ARRAY ? node->first : node;
    for (size_t i = 0; i < count; i++, item = item->next) {
        TRY(iceberg_value_parse(&field->type, item, reader->arena, &values[i], reader->info));
    }
    out->values = values;
    out->value_count = count;
    return ERR_OK;
}

static enum err read_filter(const struct filter_reader *reader, const struct json *node,
                            const struct iceberg_expression **ret_filter)
{
    struct iceberg_expression *out = arena_calloc(reader->arena, 1, sizeof(*out));
    if (out == NULL) {
        return errinfo_nomem(reader->info);
    }
    *ret_filter = out;
    if (node->type == JSON_BOOL) {
        out->op = node->boolean ? ICEBERG_TRUE : ICEBERG_FALSE;
        return ERR_OK;
    }
    if (node->type != JSON_ARRAY || node->count < 2 || node->first->type != JSON_STRING) {
        return wrong(reader->info);
    }
    size_t at = 0;
    while (at < ARRAY_COUNT(operators) &&
           !slice_equal(node->first->text, slice_of(operators[at].name))) {
        at++;
    }
    if (at == ARRAY_COUNT(operators)) {
        return wrong(reader->info);
    }
    out->op = operators[at].op;
    if (out->op <= ICEBERG_NOT) {
        TRY(read_filter(reader, json_at(node, 1), &out->left));
        return out->op == ICEBERG_NOT     ? ERR_OK
               : json_at(node, 2) == NULL ? wrong(reader->info)
                                          : read_filter(reader, json_at(node, 2), &out->right);
    }
    const struct iceberg_field *field =
        iceberg_schema_find_name(reader->schema, json_at(node, 1)->text);
    if (field == NULL) {
        return errinfo_set(reader->info, ERR_INVALID, NULL, "there is no column \"%.*s\"",
                           SLICE_ARGS(json_at(node, 1)->text));
    }
    out->field_id = field->id;
    return out->op <= ICEBERG_NOT_NAN ? ERR_OK
           : json_at(node, 2) == NULL ? wrong(reader->info)
                                      : read_values(reader, field, json_at(node, 2), out);
}

static double now_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- --list ---- */

static void print_plan(const struct iceberg_scan_plan *plan)
{
    struct buf out CLEANUP(buf_fini) = {0};
    buf_append_str(&out, "{\"files\":[");
    for (size_t i = 0; i < plan->file_count; i++) {
        const struct iceberg_scan_file *file = &plan->files[i];
        buf_append_str(&out, i == 0 ? "[" : ",[");
        json_write_string(&out, file->file.path);
        for (size_t d = 0; d < file->delete_count; d++) {
            buf_append_char(&out, ',');
            json_write_string(&out, plan->deletes[file->deletes[d]].file.path);
        }
        for (size_t d = 0; d < file->equality_delete_count; d++) {
            buf_append_char(&out, ',');
            json_write_string(&out, plan->deletes[file->equality_deletes[d]].file.path);
        }
        buf_append_char(&out, ']');
    }
    buf_append_str(&out, "],\"residuals\":[");
    for (size_t i = 0; i < plan->file_count; i++) {
        struct buf text CLEANUP(buf_fini) = {0};
        iceberg_expression_print(plan->files[i].residual, NULL, &text);
        buf_append_str(&out, i == 0 ? "" : ",");
        json_write_string(&out, buf_slice(&text));
    }
    buf_printf(&out, "],\"manifests_skipped\":%llu,\"by_partition\":%llu,\"by_metrics\":%llu}",
               (unsigned long long)plan->counts.manifests_skipped,
               (unsigned long long)plan->counts.files_skipped_by_partition,
               (unsigned long long)plan->counts.files_skipped_by_metrics);
    printf("%s\n", buf_cstr(&out));
}

static enum err answer(struct slice line, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "request", 0);
    struct iceberg_io io = iceberg_io_local();
    struct json *request;
    struct iceberg_metadata metadata;
    struct iceberg_scan_plan plan;
    int64_t snapshot_id;
    TRY(json_parse(arena, line, NULL, &request, info));
    TRY(iceberg_metadata_load(&io, json_get_text(request, "metadata"), arena, &metadata, info));
    struct iceberg_scan_options options = {.io = &io, .metadata = &metadata, .thread_count = 2};
    if (!json_to_i64(json_get(request, "snapshot"), &snapshot_id)) {
        snapshot_id = metadata.current_snapshot_id;
    }
    options.snapshot = iceberg_metadata_snapshot(&metadata, snapshot_id);
    options.schema = iceberg_metadata_current_schema(&metadata);
    struct filter_reader reader = {.schema = options.schema, .arena = arena, .info = info};
    TRY(read_filter(&reader, json_get(request, "filter"), &options.filter));
    TRY(iceberg_scan_plan(&options, arena, &plan, info));
    print_plan(&plan);
    return ERR_OK;
}

static int answer_all(void)
{
    static char line[REQUEST_BYTES_MAX];
    while (fgets(line, sizeof(line), stdin) != NULL) {
        struct errinfo info;
        errinfo_init(&info);
        if (answer(slice_of(line), &info) != ERR_OK) {
            struct buf out CLEANUP(buf_fini) = {0};
            buf_append_str(&out, "{\"error\":");
            json_write_string(&out, slice_of(info.message));
            printf("%s}\n", buf_cstr(&out));
        }
        (void)fflush(stdout);
    }
    return 0;
}

/* ---- timing ---- */

static enum err measure(const struct iceberg_scan_options *options, const char *how,
                        const char *filter, struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "plan", 0);
    struct iceberg_scan_plan plan;
    struct rusage usage;
    double begin = now_ms();
    TRY(iceberg_scan_plan(options, arena, &plan, info));
    double end = now_ms();
    (void)getrusage(RUSAGE_SELF, &usage);
    const struct iceberg_scan_counts *counts = &plan.counts;
    printf("%s\t%.1f ms\t%zu files\t%zu deletes\tmanifests %llu of %llu skipped, %llu cached\t"
           "files %llu seen, %llu by partition, %llu by metrics\tplan %zu KiB, peak %ld MiB\t%s\n",
           how, end - begin, plan.file_count, plan.delete_count,
           (unsigned long long)counts->manifests_skipped,
           (unsigned long long)counts->manifests_total,
           (unsigned long long)counts->manifest_cache_hits, (unsigned long long)counts->files_total,
           (unsigned long long)counts->files_skipped_by_partition,
           (unsigned long long)counts->files_skipped_by_metrics, arena_bytes(arena) / 1024,
           usage.ru_maxrss / 1024, filter);
    return ERR_OK;
}

static enum err bench(const char *path, char **filters, int filter_count, unsigned threads,
                      struct errinfo *info)
{
    struct arena *arena CLEANUP(arena_cleanup) = arena_new(NULL, "table", 0);
    struct iceberg_manifest_cache *cache CLEANUP(iceberg_manifest_cache_cleanup) = NULL;
    struct iceberg_io io = iceberg_io_local();
    struct iceberg_metadata metadata;
    TRY(iceberg_manifest_cache_open(UINT64_C(1) << 30, &cache, info));
    double begin = now_ms();
    TRY(iceberg_metadata_load(&io, slice_of(path), arena, &metadata, info));
    printf("metadata\t%.1f ms\n", now_ms() - begin);
    struct iceberg_scan_options options = {
        .io = &io,
        .metadata = &metadata,
        .snapshot = iceberg_metadata_snapshot(&metadata, metadata.current_snapshot_id),
        .schema = iceberg_metadata_current_schema(&metadata),
        .cache_scope = SLICE("bench"),
        .thread_count = threads};
    for (int i = 0; i < filter_count; i++) {
        struct json *node;
        struct filter_reader reader = {.schema = options.schema, .arena = arena, .info = info};
        TRY(json_parse(arena, slice_of(filters[i]), NULL, &node, info));
        TRY(read_filter(&reader, node, &options.filter));
        options.cache = NULL;
        TRY(measure(&options, "cold", filters[i], info));
        options.cache = cache;
        TRY(measure(&options, i == 0 ? "fill" : "mixed", filters[i], info));
        TRY(measure(&options, "warm", filters[i], info));
        TRY(measure(&options, "warm", filters[i], info));
    }
    return ERR_OK;
}

int main(int argument_count, char **arguments)
{
    struct errinfo info;
    unsigned threads = 1;
    int at = 1;
    errinfo_init(&info);
    if (argument_count == 2 && strcmp(arguments[1], "--list") == 0) {
        return answer_all();
    }
    if (argument_count > 2 && strcmp(arguments[1], "--threads") == 0) {
        threads = (unsigned)strtoul(arguments[2], NULL, 10);
        at = 3;
    }
    if (at >= argument_count) {
        (void)fprintf(stderr, "usage: scan_probe [--threads N] METADATA FILTER... | --list\n");
        return 2;
    }
    if (bench(arguments[at], arguments + at + 1, argument_count - at - 1, threads, &info) !=
        ERR_OK) {
        (void)fprintf(stderr, "%s\n", info.message);
        return 1;
    }
    return 0;
}
