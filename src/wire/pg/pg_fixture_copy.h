/* The part of pg_fixture.h that takes rows, and the end of its queries. Internal. */
#pragma once

#include "wire/pg/pg_fixture.h"

/* ---- query: rows in ---- */

static const struct query_column fixture_targets[] = {
    {{"n", 1}, {"BIGINT", 6}},        {{"t", 1}, {"VARCHAR", 7}},   {{"d", 1}, {"DATE", 4}},
    {{"m", 1}, {"DECIMAL(9,2)", 12}}, {{"l", 1}, {"INTEGER[]", 9}}, {{"y", 1}, {"BLOB", 4}},
    {{"o", 1}, {"BOOLEAN", 7}},       {{"f", 1}, {"DOUBLE", 6}},    {{"s", 1}, {"TIMESTAMP", 9}},
    {{"i", 1}, {"INTERVAL", 8}},      {{"u", 1}, {"UUID", 4}},      {{"h", 1}, {"SMALLINT", 8}},
};
static size_t fixture_target_count = 2;

bool query_takes_rows(const struct query *query)
{
    return query->takes_rows;
}

size_t query_target_count(UNUSED const struct query *query)
{
    return fixture_target_count;
}

struct query_column query_target(UNUSED const struct query *query, size_t index)
{
    ASSERT(index < fixture_target_count);
    return fixture_targets[index];
}

enum err query_push_begin(struct query *query, struct ArrowSchema *schema,
                          UNUSED struct errinfo *info)
{
    query->schema = *schema;
    schema->release = NULL;
    query->is_pushing = true;
    return ERR_OK;
}

/* What the engine would rely on. */
static void fixture_check_batch(const struct ArrowSchema *schema, const struct ArrowArray *batch)
{
    ASSERT(batch->n_children == schema->n_children && batch->length > 0);
    for (int64_t i = 0; i < batch->n_children; i++) {
        const struct ArrowArray *column = batch->children[i];
        bool is_text = strcmp(schema->children[i]->format, "u") == 0;
        const int32_t *ends = column->buffers[1];
        int64_t null_count = 0;
        const uint8_t *bits = column->buffers[0];
        ASSERT(column->length == batch->length && column->buffers[1] != NULL);
        ASSERT(column->n_buffers == (is_text ? 3 : 2) &&
               (bits != NULL) == (column->null_count > 0));
        for (int64_t row = 0; row < column->length; row++) {
            null_count += bits != NULL && (bits[row / 8] >> (row % 8) & 1) == 0;
            ASSERT(!is_text || (ends[0] == 0 && ends[row] <= ends[row + 1]));
        }
        ASSERT(null_count == column->null_count);
        if (is_text) {
            struct slice all = {column->buffers[2], (size_t)ends[column->length]};
            ASSERT(slice_is_utf8(all, NULL));
        }
    }
}

enum err query_push(struct query *query, struct ArrowArray *batch, UNUSED struct errinfo *info)
{
    ASSERT(query->is_pushing);
    if (batch != NULL) {
        fixture_check_batch(&query->schema, batch);
        query->rows_in += batch->length;
        batch->release(batch);
        batch->release = NULL;
    }
    return ERR_OK;
}

enum err query_push_end(struct query *query, UNUSED struct errinfo *info)
{
    ASSERT(query->is_pushing);
    query->is_pushing = false;
    return ERR_OK;
}

void query_push_fail(struct query *query, const struct errinfo *why)
{
    ASSERT(why->code != ERR_OK && query->takes_rows);
}

bool query_bad_value(UNUSED const struct query *query, UNUSED uint64_t *ret_line,
                     UNUSED size_t *ret_target, UNUSED struct slice *ret_value)
{
    return false;
}

void query_close(struct query *query)
{
    if (query != NULL) {
        if (query->schema.release != NULL) {
            query->schema.release(&query->schema);
        }
        query->session->has_query = false;
        mem_free(query);
    }
}
