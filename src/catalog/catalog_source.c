/* From a relation to the call of the engine's reader.
 *
 * CSV types are pinned with `types`, not with `columns`: `columns` names the columns by position,
 * so a file whose columns were reordered would show one column under the name, and the mask, of
 * another. `types` goes by the header and refuses a file that lacks a column. The dialect stays
 * detected unless given; a file it would read otherwise has other names, and is refused for that.
 * */
#include "catalog/catalog_int.h"
#include "sql/scan.h"

static const char *const readers[] = {
    [FORMAT_PARQUET] = "read_parquet", [FORMAT_CSV] = "read_csv", [FORMAT_JSON] = "read_json"};

static void print_types(const struct relation *relation, const char *parameter, struct buf *out)
{
    bool is_first = true;
    buf_printf(out, ", %s = {", parameter);
    for (size_t i = 0; i < relation->column_count; i++) {
        bool is_constant = relation->kind == RELATION_SYSTEM &&
                           slice_starts_with(relation->columns[i].source, SLICE("="));
        if (is_constant || catalog__is_partition(relation, &relation->columns[i])) {
            continue;
        }
        buf_append_str(out, is_first ? "" : ", ");
        is_first = false;
        sql_quote_string(out, relation->columns[i].source);
        buf_append_str(out, ": ");
        sql_quote_string(out, relation->columns[i].type);
    }
    buf_append_char(out, '}');
}

enum err catalog_source_sql(const struct relation *relation, catalog_uri_fn uri, void *context,
                            struct buf *out, struct errinfo *info)
{
    ASSERT(relation->kind != RELATION_VIEW);
    if (relation->object_count == 0) {
        return errinfo_set(info, ERR_NOT_FOUND, "58P01", "\"%.*s\" has no files",
                           SLICE_ARGS(relation->name.name));
    }
    struct buf object CLEANUP(buf_fini) = {0};
    buf_printf(out, "%s([", readers[relation->format]);
    for (size_t i = 0; i < relation->object_count; i++) {
        buf_reset(&object);
        uri(context, i, &object);
        buf_append_str(out, i == 0 ? "" : ", ");
        sql_quote_string(out, buf_slice(&object));
    }
    buf_append_char(out, ']');
    for (size_t i = 0; i < relation->option_count; i++) {
        const struct option_rule *rule =
            catalog__option_find(relation->format, relation->options[i].name);
        if (rule == NULL) {
            return errinfo_set(info, ERR_CORRUPT, NULL, "\"%.*s\" has the unknown option \"%.*s\"",
                               SLICE_ARGS(relation->name.name),
                               SLICE_ARGS(relation->options[i].name));
        }
        TRY(catalog__option_print(rule, relation->options[i].value, out, info));
    }
    if (relation->column_count > 0 && relation->format != FORMAT_PARQUET) {
        print_types(relation, relation->format == FORMAT_CSV ? "types" : "columns", out);
    }
    catalog__print_partitions(relation, out);
    buf_append_char(out, ')');
    return buf_failed(&object) || buf_failed(out) ? errinfo_nomem(info) : ERR_OK;
}
