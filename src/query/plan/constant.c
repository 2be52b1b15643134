/* Rows of a statement that reads nothing and gives the same rows each time (sql_ast_is_constant):
 * the engine is asked once, and the plan keeps what it said.
 *
 * Such a statement shows nobody any data, and all of its end is known before its first row leaves:
 * it has one record in the trail, the one of its end, written before that. */
#include "base/mem.h"
#include "query/query_int.h"

#define CONSTANT_ROWS_MAX 16
#define CONSTANT_BYTES_MAX 4096

struct constant {
    struct ArrowSchema schema;
    struct ArrowArray batch;
    struct arena *arena;
    struct query_column *columns;
    size_t column_count;
};

void constant_free(struct constant *constant)
{
    if (constant == NULL) {
        return;
    }
    if (constant->schema.release != NULL) {
        constant->schema.release(&constant->schema);
    }
    if (constant->batch.release != NULL) {
        constant->batch.release(&constant->batch);
    }
    arena_free(constant->arena);
    mem_free(constant);
}

static enum err copy_columns(struct constant *constant, const struct engine_query *engine,
                             struct errinfo *info)
{
    size_t count = engine_query_column_count(engine);
    constant->columns = arena_calloc(constant->arena, count + 1, sizeof(*constant->columns));
    if (constant->columns == NULL) {
        return errinfo_nomem(info);
    }
    for (size_t i = 0; i < count; i++) {
        struct engine_column column = engine_query_column(engine, i);
        if (!arena_slice(constant->arena, column.name, &constant->columns[i].name) ||
            !arena_slice(constant->arena, column.type, &constant->columns[i].type)) {
            return errinfo_nomem(info);
        }
    }
    constant->column_count = count;
    return ERR_OK;
}

enum err constant_keep(struct query *query, struct errinfo *info)
{
    struct constant *constant CLEANUP(constant_cleanup) = mem_calloc(1, sizeof(*constant));
    struct ArrowArray end = {0};
    if (constant == NULL) {
        return errinfo_nomem(info);
    }
    constant->arena = arena_new(NULL, "constant", 0);
    if (constant->arena == NULL) {
        return errinfo_nomem(info);
    }
    TRY(copy_columns(constant, query->engine, info));
    TRY(engine_query_schema(query->engine, &constant->schema, info));
    TRY(query_pull(query, &constant->batch, info));
    if (constant->batch.release == NULL || constant->batch.length > CONSTANT_ROWS_MAX ||
        query->bytes_out > CONSTANT_BYTES_MAX) {
        query->pulled = constant->batch; /* as any other statement from here on */
        constant->batch.release = NULL;
        return ERR_OK;
    }
    TRY(query_pull(query, &end, info));
    if (end.release != NULL) {
        end.release(&end);
        return errinfo_set(info, ERR_INTERNAL, NULL, "a constant has more than one batch");
    }
    struct constant *none = NULL;
    if (atomic_compare_exchange_strong(&query->plan->constant, &none, constant)) {
        TAKE(constant);
    }
    return ERR_OK;
}

size_t constant_column_count(const struct constant *constant)
{
    return constant->column_count;
}

struct query_column constant_column(const struct constant *constant, size_t index)
{
    return constant->columns[index];
}

/* ---- what is given out: views that hold the plan ---- */

static void release_array(struct ArrowArray *array)
{
    plan_unref(array->private_data);
    array->release = NULL;
}

static void release_schema(struct ArrowSchema *schema)
{
    plan_unref(schema->private_data);
    schema->release = NULL;
}

void constant_batch(struct plan *plan, struct ArrowArray *ret_batch)
{
    const struct constant *constant = atomic_load(&plan->constant);
    atomic_fetch_add(&plan->references, 1);
    *ret_batch = constant->batch;
    ret_batch->release = release_array;
    ret_batch->private_data = plan;
}

void constant_schema(struct plan *plan, struct ArrowSchema *ret_schema)
{
    const struct constant *constant = atomic_load(&plan->constant);
    atomic_fetch_add(&plan->references, 1);
    *ret_schema = constant->schema;
    ret_schema->release = release_schema;
    ret_schema->private_data = plan;
}
