/* Rows that were written for the schema of before, when somebody has altered the table meanwhile.
 * Files know columns by id, so a column that was added, dropped, renamed or widened since does no
 * harm; what must hold is what the new schema demands of all rows: values where it allows no NULL.
 */
#include "query/dml/dml_int.h"

static bool has_nulls(const struct iceberg_file *file, int32_t field_id)
{
    for (size_t i = 0; i < file->metrics_count; i++) {
        if (file->metrics[i].field_id == field_id) {
            return file->metrics[i].null_count != 0; /* not known: it may */
        }
    }
    return true;
}

static bool is_filled(const struct dml *dml, int32_t field_id)
{
    bool is_filled = true;
    for (size_t i = 0; i < dml->added_count && is_filled; i++) {
        const struct iceberg_file *file = &dml->added[i];
        is_filled = file->content != ICEBERG_DATA || !has_nulls(file, field_id);
    }
    return is_filled;
}

static const struct iceberg_field *find_broken(const struct dml *dml,
                                               const struct iceberg_type *type)
{
    const struct iceberg_field *broken = NULL;
    for (size_t i = 0; i < type->field_count && broken == NULL; i++) {
        const struct iceberg_field *field = &type->fields[i];
        const struct iceberg_field *old =
            iceberg_schema_find_id(dml->write.schema, field->id, NULL);
        /* A column that is new has its default in rows that were written without it. */
        bool is_demanded = field->is_required && (old == NULL || !old->is_required);
        bool is_given = old == NULL ? field->initial_default != NULL : is_filled(dml, field->id);
        broken = is_demanded && !is_given ? field : find_broken(dml, &field->type);
    }
    return broken;
}

enum err dml_check_schema(const struct dml *dml, const struct iceberg_metadata *now,
                          struct errinfo *info)
{
    if (now->current_schema_id == dml->metadata->current_schema_id) {
        return ERR_OK;
    }
    const struct iceberg_field *broken =
        find_broken(dml, &iceberg_metadata_current_schema(now)->root);
    if (broken == NULL) {
        return ERR_OK;
    }
    (void)errinfo_set(info, ERR_BUSY, "40001",
                      "somebody else has made column \"%.*s\" of table \"%.*s\" NOT NULL since "
                      "rows were written for it",
                      SLICE_ARGS(broken->name), SLICE_ARGS(dml->name));
    errinfo_hint(info, "Run the statement again.");
    return ERR_BUSY;
}
