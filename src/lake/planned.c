/* Scans that somebody else plans: what is asked of them, and what they answer as a plan.
 *
 * An answer has no sequence numbers, so no equality delete can be applied by it, and no row tells
 * when it was last updated: who plans is decided by lake__is_planned_elsewhere. What the filter
 * leaves is filtered here all the same; "residual-filter" says nothing that is needed. */
#include "base/json.h"
#include "lake/lake_int.h"

#define REQUEST_BYTES_MAX (1024u * 1024)
#define PLANNED_NODES_MAX 50000000u
#define PLANNED_DEPTH_MAX 64u
#define DAYS_MIN (-719162) /* 0001-01-01 */
#define DAYS_MAX 2932896   /* 9999-12-31 */
#define DAY_US 86400000000LL

/* ---- who plans ---- */

static struct slice summary_of(const struct iceberg_snapshot *snapshot, const char *key)
{
    for (size_t i = 0; i < snapshot->summary_count; i++) {
        if (slice_equal(snapshot->summary[i].key, slice_of(key))) {
            return snapshot->summary[i].value;
        }
    }
    return (struct slice){0};
}

bool lake__is_planned_elsewhere(const struct lake_origin *from)
{
    if (from->planner == NULL || from->snapshot == NULL || from->metadata->format_version > 2) {
        return false;
    }
    return from->metadata->format_version == 1 ||
           slice_equal(summary_of(from->snapshot, "total-equality-deletes"), SLICE("0"));
}

/* ---- what is asked ---- */

static bool is_in_years(const struct iceberg_value *value)
{
    int64_t day_units = value->type == ICEBERG_DATE ? 1 : DAY_US;
    return value->integer >= DAYS_MIN * day_units && value->integer < (DAYS_MAX + 1) * day_units;
}

/* Values whose JSON is the same to every reader. */
static bool is_plain(const struct iceberg_value *value)
{
    switch (value->type) {
    case ICEBERG_BOOLEAN:
    case ICEBERG_INT:
    case ICEBERG_LONG:
    case ICEBERG_DECIMAL:
    case ICEBERG_STRING:
        return !value->is_null;
    case ICEBERG_DATE:
    case ICEBERG_TIMESTAMP:
    case ICEBERG_TIMESTAMPTZ:
        return !value->is_null && is_in_years(value);
    case ICEBERG_UNKNOWN:
    case ICEBERG_FLOAT: /* NaN, and which zero */
    case ICEBERG_DOUBLE:
    case ICEBERG_TIME:
    case ICEBERG_TIMESTAMP_NS:
    case ICEBERG_TIMESTAMPTZ_NS:
    case ICEBERG_UUID:
    case ICEBERG_FIXED:
    case ICEBERG_BINARY:
    case ICEBERG_VARIANT:
    case ICEBERG_GEOMETRY:
    case ICEBERG_GEOGRAPHY:
    case ICEBERG_STRUCT:
    case ICEBERG_LIST:
    case ICEBERG_MAP:
        break;
    }
    return false;
}

static const char *word_of(enum iceberg_operator op)
{
    switch (op) {
    case ICEBERG_IS_NULL:
        return "is-null";
    case ICEBERG_NOT_NULL:
        return "not-null";
    case ICEBERG_EQUAL:
        return "eq";
    case ICEBERG_NOT_EQUAL:
        return "not-eq";
    case ICEBERG_LESS:
        return "lt";
    case ICEBERG_LESS_EQUAL:
        return "lt-eq";
    case ICEBERG_GREATER:
        return "gt";
    case ICEBERG_GREATER_EQUAL:
        return "gt-eq";
    case ICEBERG_IN:
        return "in";
    case ICEBERG_STARTS_WITH:
        return "starts-with";
    case ICEBERG_TRUE:
    case ICEBERG_FALSE:
    case ICEBERG_AND:
    case ICEBERG_OR:
    case ICEBERG_NOT:
    case ICEBERG_IS_NAN:
    case ICEBERG_NOT_NAN:
    case ICEBERG_NOT_IN:
    case ICEBERG_NOT_STARTS_WITH:
        break;
    }
    return NULL;
}

/* A whole column whose name can mean nothing else: with a dot it may be a field's of another. */
static const struct iceberg_field *term_of(const struct iceberg_schema *schema, int32_t field_id)
{
    for (size_t i = 0; i < schema->root.field_count; i++) {
        const struct iceberg_field *field = &schema->root.fields[i];
        if (field->id == field_id) {
            return slice_find(field->name, SLICE(".")) == SIZE_MAX ? field : NULL;
        }
    }
    return NULL;
}

static void write_leaf(struct buf *out, const struct iceberg_expression *leaf,
                       const struct iceberg_field *field)
{
    bool is_list = leaf->op == ICEBERG_IN;
    buf_printf(out, "{\"type\":\"%s\",\"term\":", word_of(leaf->op));
    json_write_string(out, field->name);
    buf_append_str(out, leaf->value_count == 0 ? "" : is_list ? ",\"values\":[" : ",\"value\":");
    for (size_t i = 0; i < leaf->value_count; i++) {
        buf_append_str(out, i == 0 ? "" : ",");
        iceberg_value_write(&leaf->values[i], out);
    }
    buf_append_str(out, is_list ? "]}" : "}");
}

static bool can_write_leaf(const struct iceberg_expression *leaf,
                           const struct iceberg_schema *schema)
{
    bool is_test = leaf->op == ICEBERG_IS_NULL || leaf->op == ICEBERG_NOT_NULL;
    bool can = word_of(leaf->op) != NULL && term_of(schema, leaf->field_id) != NULL &&
               (is_test ? leaf->value_count == 0 : leaf->value_count > 0);
    for (size_t i = 0; can && i < leaf->value_count; i++) {
        can = is_plain(&leaf->values[i]);
    }
    return can;
}

/* Says what can be said: of a conjunction maybe a part, which is weaker. False: nothing, and
 * nothing was written. */
static bool write_filter(struct buf *out, const struct iceberg_expression *filter,
                         const struct iceberg_schema *schema)
{
    bool is_or = filter->op == ICEBERG_OR;
    if (!is_or && filter->op != ICEBERG_AND) {
        bool can = can_write_leaf(filter, schema);
        if (can) {
            write_leaf(out, filter, term_of(schema, filter->field_id));
        }
        return can;
    }
    struct buf left CLEANUP(buf_fini) = {0};
    struct buf right CLEANUP(buf_fini) = {0};
    bool has_left = write_filter(&left, filter->left, schema);
    bool has_right = write_filter(&right, filter->right, schema);
    out->failed = out->failed || buf_failed(&left) || buf_failed(&right);
    if (has_left && has_right) {
        buf_printf(out, "{\"type\":\"%s\",\"left\":", is_or ? "or" : "and");
        buf_append_slice(out, buf_slice(&left));
        buf_append_str(out, ",\"right\":");
        buf_append_slice(out, buf_slice(&right));
        buf_append_char(out, '}');
        return true;
    }
    if (is_or || (!has_left && !has_right)) {
        return false;
    }
    buf_append_slice(out, has_left ? buf_slice(&left) : buf_slice(&right));
    return true;
}

void lake__planned_request(const struct lake_origin *from, const struct iceberg_expression *bound,
                           struct buf *out)
{
    struct buf filter CLEANUP(buf_fini) = {0};
    bool is_current = from->schema->id == from->metadata->current_schema_id;
    bool is_snapshots = !is_current && from->schema->id == from->snapshot->schema_id;
    bool has_filter = (is_current || is_snapshots) && write_filter(&filter, bound, from->schema) &&
                      filter.len <= REQUEST_BYTES_MAX;
    buf_printf(out, "{\"snapshot-id\":%lld,\"case-sensitive\":true,\"use-snapshot-schema\":%s",
               (long long)from->snapshot->id, is_snapshots ? "true" : "false");
    if (has_filter) {
        buf_append_str(out, ",\"filter\":");
        buf_append_slice(out, buf_slice(&filter));
    }
    buf_append_char(out, '}');
    out->failed = out->failed || buf_failed(&filter);
}

/* ---- what is answered ---- */

struct reader {
    const struct lake_source *source;
    struct arena *arena;
    struct iceberg_scan_file *files;
    size_t file_count;
    size_t file_capacity;
    struct iceberg_delete_file *deletes;
    size_t delete_count;
    size_t delete_capacity;
    size_t delete_first; /* of the page that is read */
    size_t page_deletes;
    struct lake_map paths; /* of data files */
    struct errinfo *info;
};

static enum err(wrong)(const struct reader *r, const char *what)
{
    return errinfo_set(r->info, ERR_CORRUPT, "08P01",
                       "the catalog's plan of \"%.*s\" is none that the specification knows: %s",
                       SLICE_ARGS(r->source->from.name), what);
}
#define wrong(...) ((void)(wrong)(__VA_ARGS__), (enum err)ERR_CORRUPT)

static enum err unsupported(const struct reader *r, const char *what)
{
    (void)errinfo_set(r->info, ERR_UNSUPPORTED, NULL, "the catalog's plan of \"%.*s\" has %s",
                      SLICE_ARGS(r->source->from.name), what);
    errinfo_hint(r->info, "ATTACH OR REPLACE ... (PLANNING 'client') plans it here, where the "
                          "catalog lets the table's manifests be read.");
    return ERR_UNSUPPORTED;
}

/* Every member is known, and there once. */
static enum err check_members(const struct reader *r, const struct json *node,
                              const char *const *known, size_t known_count)
{
    uint64_t seen = 0;
    if (node->type != JSON_OBJECT) {
        return wrong(r, "something that is no object");
    }
    for (const struct json *member = node->first; member != NULL; member = member->next) {
        size_t at = 0;
        while (at < known_count && !slice_equal(member->key, slice_of(known[at]))) {
            at++;
        }
        if (at == known_count) {
            return unsupported(r, "a member that is not known here");
        }
        if ((seen & (1ULL << at)) != 0) {
            return wrong(r, "a member that is there twice");
        }
        seen |= 1ULL << at;
    }
    return ERR_OK;
}

static bool read_number(const struct json *node, const char *key, int64_t otherwise, int64_t least,
                        int64_t most, int64_t *ret_value)
{
    const struct json *member = json_get(node, key);
    if (json_is_null(member)) {
        *ret_value = otherwise;
        return true;
    }
    return json_to_i64(member, ret_value) && *ret_value >= least && *ret_value <= most;
}

/* "data" and, of Iceberg before 1.11, "DATA"; "position-deletes" and "POSITION_DELETES". */
static bool is_word(struct slice text, const char *word)
{
    bool is_same = text.len == strlen(word);
    for (size_t i = 0; is_same && i < text.len; i++) {
        char c = text.ptr[i] == '_' ? '-' : text.ptr[i];
        c = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
        is_same = c == word[i];
    }
    return is_same;
}

static bool read_format(struct slice text, enum iceberg_file_format *ret_format)
{
    static const struct {
        const char *word;
        enum iceberg_file_format format;
    } formats[] = {{"parquet", ICEBERG_PARQUET},
                   {"avro", ICEBERG_AVRO},
                   {"orc", ICEBERG_ORC},
                   {"puffin", ICEBERG_PUFFIN}};
    for (size_t i = 0; i < ARRAY_COUNT(formats); i++) {
        if (is_word(text, formats[i].word)) {
            *ret_format = formats[i].format;
            return true;
        }
    }
    return false;
}

/* In the order of the spec's fields, or, as Iceberg before 1.11 writes them, by their ids. */
static const struct json *partition_value(const struct json *partition,
                                          const struct iceberg_spec *spec, size_t index)
{
    char key[16];
    (void)snprintf(key, sizeof(key), "%d", spec->fields[index].field_id);
    return partition->type == JSON_ARRAY ? json_at(partition, (uint32_t)index)
                                         : json_get(partition, key);
}

static enum err read_partition(const struct reader *r, const struct json *node,
                               const struct iceberg_spec *spec, struct iceberg_file *out)
{
    const struct json *partition = json_get(node, "partition");
    struct iceberg_value *values = arena_calloc(r->arena, spec->field_count + 1, sizeof(*values));
    if (values == NULL) {
        return errinfo_nomem(r->info);
    }
    out->partition = values;
    out->partition_count = spec->field_count;
    if (json_is_null(partition) && spec->field_count == 0) {
        return ERR_OK;
    }
    bool is_list = partition != NULL && partition->type == JSON_ARRAY;
    bool is_object = partition != NULL && partition->type == JSON_OBJECT;
    if ((!is_list && !is_object) || (is_list && partition->count != spec->field_count)) {
        return wrong(r, "a file without the values of its partition");
    }
    size_t known = 0;
    for (size_t i = 0; i < spec->field_count; i++) {
        struct iceberg_type type;
        const struct json *value = partition_value(partition, spec, i);
        known += value != NULL ? 1 : 0;
        if (!lake__partition_type(r->source, &spec->fields[i], &type)) {
            return unsupported(r, "a partition of a transform that is not known here");
        }
        values[i] = (struct iceberg_value){.type = type.id, .is_null = true};
        if (json_is_null(value)) {
            continue;
        }
        enum err err = iceberg_value_parse(&type, value, r->arena, &values[i], NULL);
        if (err != ERR_OK) {
            return err == ERR_NOMEM ? errinfo_nomem(r->info)
                                    : wrong(r, "a value of a partition that is none of its type");
        }
    }
    return known == partition->count ? ERR_OK : wrong(r, "a value of no field of its partition");
}

static enum err read_file(const struct reader *r, const struct json *node, struct iceberg_file *out)
{
    int64_t spec_id;
    struct slice path = json_get_text(node, "file-path");
    *out = (struct iceberg_file){.status = ICEBERG_EXISTING,
                                 .snapshot_id = ICEBERG_NO_ID,
                                 .file_sequence_number = ICEBERG_NO_ID,
                                 .sort_order_id = (int32_t)ICEBERG_NO_ID,
                                 .content_offset = ICEBERG_NO_ID,
                                 .content_size_bytes = ICEBERG_NO_ID,
                                 .is_encrypted = !json_is_null(json_get(node, "key-metadata"))};
    if (path.len == 0 || !arena_slice(r->arena, path, &out->path)) {
        return path.len == 0 ? wrong(r, "a file without a path") : errinfo_nomem(r->info);
    }
    if (!read_format(json_get_text(node, "file-format"), &out->format)) {
        return wrong(r, "a file of an unknown format");
    }
    if (!read_number(node, "file-size-in-bytes", -1, 0, INT64_MAX, &out->size_bytes) ||
        !read_number(node, "record-count", -1, 0, INT64_MAX, &out->record_count) ||
        !read_number(node, "first-row-id", ICEBERG_NO_ID, 0, INT64_MAX, &out->first_row_id) ||
        !read_number(node, "spec-id", -1, 0, INT32_MAX, &spec_id) || out->size_bytes < 0 ||
        out->record_count < 0 || spec_id < 0) {
        return wrong(r, "a file without its size, count or specification");
    }
    const struct iceberg_spec *spec =
        iceberg_metadata_spec(r->source->from.metadata, (int32_t)spec_id);
    if (spec == NULL) {
        return wrong(r, "a file of a partition specification that the table has not");
    }
    out->spec_id = spec->id;
    return read_partition(r, node, spec, out);
}

static bool grow(struct arena *arena, void *array_of_pointer, size_t *capacity, size_t need,
                 size_t item_bytes)
{
    void **array = array_of_pointer;
    if (need <= *capacity) {
        return true;
    }
    void *grown = arena_calloc(arena, need * 2, item_bytes);
    if (grown == NULL) {
        return false;
    }
    if (*capacity > 0) {
        memcpy(grown, *array, *capacity * item_bytes);
    }
    *array = grown;
    *capacity = need * 2;
    return true;
}

#define FILE_MEMBERS                                                                               \
    "content", "file-path", "file-format", "spec-id", "partition", "file-size-in-bytes",           \
        "record-count", "key-metadata", "split-offsets", "sort-order-id", "column-sizes",          \
        "value-counts", "null-value-counts", "nan-value-counts", "lower-bounds", "upper-bounds",   \
        "first-row-id"

static enum err read_delete(struct reader *r, const struct json *node)
{
    static const char *const known[] = {FILE_MEMBERS, "content-offset", "content-size-in-bytes",
                                        "equality-ids", "referenced-data-file"};
    TRY(check_members(r, node, known, ARRAY_COUNT(known)));
    struct slice content = json_get_text(node, "content");
    if (is_word(content, "equality-deletes")) {
        return unsupported(r, "an equality delete file, and does not say which rows are older");
    }
    if (!is_word(content, "position-deletes")) {
        return wrong(r, "a delete file of an unknown content");
    }
    if (!grow(r->arena, &r->deletes, &r->delete_capacity, r->delete_count + 1,
              sizeof(*r->deletes))) {
        return errinfo_nomem(r->info);
    }
    struct iceberg_file *file = &r->deletes[r->delete_count].file;
    TRY(read_file(r, node, file));
    if (file->format != ICEBERG_PARQUET || file->is_encrypted ||
        !json_is_null(json_get(node, "content-offset"))) {
        return unsupported(r, "a delete file that is no plain Parquet");
    }
    file->content = ICEBERG_POSITION_DELETES;
    r->delete_count++;
    return ERR_OK;
}

static enum err read_references(struct reader *r, const struct json *node,
                                struct iceberg_scan_file *out)
{
    if (json_is_null(node)) {
        return ERR_OK;
    }
    if (node->type != JSON_ARRAY) {
        return wrong(r, "references that are no list");
    }
    uint32_t *indexes = arena_calloc(r->arena, (size_t)node->count + 1, sizeof(*indexes));
    if (indexes == NULL) {
        return errinfo_nomem(r->info);
    }
    for (const struct json *item = node->first; item != NULL; item = item->next) {
        int64_t index;
        if (!json_to_i64(item, &index) || index < 0 || (uint64_t)index >= r->page_deletes) {
            return wrong(r, "a reference to a delete file that is not there");
        }
        indexes[out->delete_count++] = (uint32_t)(r->delete_first + (uint64_t)index);
    }
    out->deletes = indexes;
    return ERR_OK;
}

static enum err read_task(struct reader *r, const struct json *node)
{
    static const char *const known[] = {"data-file", "delete-file-references", "residual-filter"};
    static const char *const known_of_file[] = {FILE_MEMBERS};
    static const struct iceberg_expression all = {.op = ICEBERG_TRUE};
    size_t number;
    bool is_new;
    TRY(check_members(r, node, known, ARRAY_COUNT(known)));
    const struct json *data = json_get(node, "data-file");
    if (data == NULL) {
        return wrong(r, "a task without a file");
    }
    TRY(check_members(r, data, known_of_file, ARRAY_COUNT(known_of_file)));
    if (!is_word(json_get_text(data, "content"), "data")) {
        return wrong(r, "a task whose file is none of data");
    }
    if (!grow(r->arena, &r->files, &r->file_capacity, r->file_count + 1, sizeof(*r->files))) {
        return errinfo_nomem(r->info);
    }
    struct iceberg_scan_file *out = &r->files[r->file_count];
    *out = (struct iceberg_scan_file){.residual = &all};
    TRY(read_file(r, data, &out->file));
    out->file.content = ICEBERG_DATA;
    if (lake__map_add(&r->paths, out->file.path, &number, &is_new) != ERR_OK) {
        return errinfo_nomem(r->info);
    }
    if (!is_new) {
        return wrong(r, "a file twice");
    }
    TRY(read_references(r, json_get(node, "delete-file-references"), out));
    r->file_count++;
    return ERR_OK;
}

static enum err read_list(struct reader *r, struct slice text,
                          enum err (*read)(struct reader *r, const struct json *node))
{
    static const struct json_limits limits = {.depth_max = PLANNED_DEPTH_MAX,
                                              .nodes_max = PLANNED_NODES_MAX};
    struct arena *tree CLEANUP(arena_cleanup) = arena_new(NULL, "plan", 0);
    struct json *list;
    if (text.len == 0) {
        return ERR_OK;
    }
    enum err err = tree == NULL ? ERR_NOMEM : json_parse(tree, text, &limits, &list, NULL);
    if (err == ERR_NOMEM) {
        return errinfo_nomem(r->info);
    }
    if (err != ERR_OK || list->type != JSON_ARRAY) {
        return wrong(r, "files that are no list");
    }
    for (const struct json *item = list->first; item != NULL; item = item->next) {
        TRY(read(r, item));
    }
    return ERR_OK;
}

static enum err read_pages(struct reader *r, const struct lake_plan_page *pages, size_t page_count)
{
    for (size_t i = 0; i < page_count; i++) {
        r->delete_first = r->delete_count;
        TRY(read_list(r, pages[i].delete_files, read_delete));
        r->page_deletes = r->delete_count - r->delete_first;
        TRY(read_list(r, pages[i].tasks, read_task));
    }
    return ERR_OK;
}

enum err lake__planned_read(const struct lake_source *source, const struct lake_plan_page *pages,
                            size_t page_count, struct arena *arena,
                            struct iceberg_scan_plan *ret_plan, struct errinfo *info)
{
    struct reader r = {.source = source, .arena = arena, .info = info};
    enum err err = read_pages(&r, pages, page_count);
    lake__map_fini(&r.paths);
    TRY(err);
    struct iceberg_scan_plan plan = {.files = r.files,
                                     .file_count = r.file_count,
                                     .deletes = r.deletes,
                                     .delete_count = r.delete_count};
    plan.counts.files_total = r.file_count;
    plan.counts.files_matched = r.file_count;
    plan.counts.delete_files_matched = r.delete_count;
    for (size_t i = 0; i < r.file_count; i++) {
        plan.counts.rows_matched += (uint64_t)r.files[i].file.record_count;
        plan.counts.bytes_matched += (uint64_t)r.files[i].file.size_bytes;
    }
    *ret_plan = plan;
    return ERR_OK;
}

enum err lake__planned(const struct lake_source *source, void *run,
                       const struct iceberg_expression *filter, struct arena *arena,
                       struct iceberg_scan_plan *ret_plan, struct errinfo *info)
{
    struct arena *scratch CLEANUP(arena_cleanup) = arena_new(NULL, "planned", 0);
    struct buf request CLEANUP(buf_fini) = {0};
    const struct iceberg_expression *bound;
    struct lake_plan_page *pages = NULL;
    size_t page_count = 0;
    if (scratch == NULL) {
        return errinfo_nomem(info);
    }
    TRY(iceberg_expression_bind(filter, source->from.schema, scratch, &bound, info));
    if (bound->op == ICEBERG_FALSE) { /* no row can match */
        *ret_plan = (struct iceberg_scan_plan){0};
        return ERR_OK;
    }
    lake__planned_request(&source->from, bound, &request);
    if (buf_failed(&request)) {
        return errinfo_nomem(info);
    }
    TRY(source->from.planner->plan(run, buf_slice(&request), scratch, &pages, &page_count, info));
    return lake__planned_read(source, pages, page_count, arena, ret_plan, info);
}
